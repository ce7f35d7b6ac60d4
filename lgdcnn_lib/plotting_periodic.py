"""A property of the elements, laid out as the periodic table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex, to_rgb
from matplotlib.patches import Rectangle

from lgdcnn_lib.elements import ATOMIC_NUMBERS, SYMBOLS
from lgdcnn_lib.plotting_style import MUTED, PALE, PALETTE, SEQUENTIAL, new_axes

_NOBLE = (2, 10, 18, 36, 54, 86, 118)
_F_BLOCKS = {57: 8.4, 89: 9.4}  # first of fifteen: row below the table


def table_position(atomic_number: int) -> tuple[float, float]:
    """Column and row of an element's cell: hydrogen is at (1, 1).

    Lanthanum to lutetium and actinium to lawrencium stand in two rows of their own.
    """
    for first, row in _F_BLOCKS.items():
        if first <= atomic_number < first + 15:
            return 3.0 + atomic_number - first, row
    period = 1 + sum(atomic_number > noble for noble in _NOBLE)
    end = _NOBLE[period - 1]
    start = 1 + (_NOBLE[period - 2] if period > 1 else 0)
    from_left, from_right = atomic_number - start, end - atomic_number
    in_s_block = from_left < (1 if period == 1 else 2)
    return float(1 + from_left if in_s_block else 18 - from_right), float(period)


def periodic_table(
    values: Mapping[str, float],
    label: str,
    cmap: str = SEQUENTIAL,
    limits: tuple[float, float] | None = None,
    fmt: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Colour the periodic table by a number for each element.

    Parameters
    ----------
    values
        Symbol -> number. Elements that are absent or NaN stay pale.
    label
        What the number is, with its unit.
    cmap
        Colour map: the default for amounts, ``DIVERGING`` for differences.
    limits
        Numbers at the ends of the colour bar; default: smallest and largest.
    fmt
        Such as ``"{:.2f}"``: also write the numbers.

    Raises
    ------
    ValueError
        If a symbol is unknown or there is no number.
    """
    unknown = sorted(set(values) - set(ATOMIC_NUMBERS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not the symbol of an element")
    known = {s: float(v) for s, v in values.items() if np.isfinite(v)}
    if not known:
        raise ValueError("no element has a number")
    low, high = limits or (min(known.values()), max(known.values()))
    norm = Normalize(low, high)
    ax, _ = new_axes(ax, 7.0, 4.1)
    for number, symbol in enumerate(SYMBOLS[1:], start=1):
        value = known.get(symbol)
        if value is None:
            _draw_cell(ax, number, to_rgb(PALE), "", MUTED)
        else:
            text = fmt.format(value) if fmt else ""
            _draw_cell(ax, number, colormaps[cmap](norm(value))[:3], text)
    for row, mark in ((6, "*"), (7, "**"), (8.4, "*"), (9.4, "**")):
        at_end = row > 7
        ax.text(2.3 if at_end else 3, row, mark, ha="center", va="center")
    ax.set(xlim=(0.4, 18.6), ylim=(10, 0.4), aspect="equal")
    ax.set_axis_off()
    bar = ax.inset_axes((3.0, 1.5, 8.6, 0.4), transform=ax.transData)
    mappable = ScalarMappable(norm, colormaps[cmap])
    ax.figure.colorbar(
        mappable, cax=bar, orientation="horizontal", format="{x:g}"
    ).minorticks_off()
    bar.set_title(label, fontsize=11, fontweight="normal", loc="left")
    return ax


def periodic_svg(
    values: Mapping[str, float],
    label: str,
    cmap: str = SEQUENTIAL,
    marked: str = "",
) -> str:
    """Write what `periodic_table` draws as a small SVG text.

    A tenth of the size and a hundredth of the time: for pictures by the hundred.

    Parameters
    ----------
    values, label, cmap
        See `periodic_table`; the colours go from -1 to 1.
    marked
        Symbol that gets a frame.

    Raises
    ------
    ValueError
        If a symbol is unknown.
    """
    unknown = sorted(set(values) - set(ATOMIC_NUMBERS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not the symbol of an element")
    shades, norm = colormaps[cmap], Normalize(-1, 1)
    cells, letters = [], {"white": "", PALETTE["ink"]: "", MUTED: ""}
    for number, symbol in enumerate(SYMBOLS[1:], start=1):
        x, y = (10 * place for place in table_position(number))
        value = values.get(symbol, np.nan)
        known = bool(np.isfinite(value))
        colour = shades(norm(value))[:3] if known else to_rgb(PALE)
        ink = _ink(colour) if known else MUTED
        frame = f' stroke="{PALETTE["ink"]}"' if symbol == marked else ""
        box = f"M{x - 4.7:g} {y - 4.7:g}h9.4v9.4h-9.4z"
        cells.append(f'<path fill="{to_hex(colour)}"{frame} d="{box}"/>')
        letters[ink] += f'<text x="{x:g}" y="{y + 1.6:g}">{symbol}</text>'
    texts = "".join(f'<g fill="{ink}">{text}</g>' for ink, text in letters.items())
    bar = "".join(
        f'<path fill="{to_hex(shades(i / 42))}" d="M{30 + 2 * i} 15h2.1v4h-2.1z"/>'
        for i in range(43)
    )
    ends = np.linspace(-1, 1, 5)
    ticks = "".join(
        f'<text x="{30 + 21.5 * i:g}" y="23.5">{f"{value:g}".replace("-", "−")}</text>'
        for i, value in enumerate(ends)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="3 4 184 98" '
        'width="736" height="392" '
        'font-family="DejaVu Sans, Arial, sans-serif" font-size="4.4" '
        f'text-anchor="middle">{"".join(cells)}{texts}{bar}<g fill="{PALETTE["ink"]}">'
        f'<text x="30" y="12.5" text-anchor="start">{escape(label)}</text>'
        f"{ticks}</g></svg>"
    )


def _ink(colour: Sequence[float]) -> str:
    """Colour of letters that are legible on a colour."""
    luminance = np.dot(np.asarray(colour) ** 2.2, (0.2126, 0.7152, 0.0722))
    return "white" if luminance < 0.18 else PALETTE["ink"]


def _draw_cell(
    ax: Axes, number: int, colour: Sequence[float], text: str, ink: str = ""
) -> None:
    column, row = table_position(number)
    ink = ink or _ink(colour)
    corner = column - 0.47, row - 0.47
    ax.add_patch(Rectangle(corner, 0.94, 0.94, color=colour, lw=0))
    middle: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    ax.text(column, row - (0.17 if text else 0), SYMBOLS[number], size=10.5, **middle)
    if text:
        ax.text(column, row + 0.25, text, size=6.5, **middle)
