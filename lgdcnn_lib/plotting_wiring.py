"""The wiring of a cell: boxes and arrows, written down as text."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lgdcnn_lib.plotting_style import PALE, PALETTE


def wiring(wires: str, boxes: str, height: float, ax: Axes | None = None) -> Axes:
    """Draw wires and boxes in the units that they are written in.

    Parameters
    ----------
    wires : str
        A wire a line, ``x,y x,y …``; it ends in an arrow.
    boxes : str
        A box a line, ``x,y colour text``: a name of ``PALETTE``, any other word for a
        pale box.
    height : float
        Of the figure, in inches, where a new one is made.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a line cannot be read.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, height))
    grey = PALETTE["grey"]
    head = {"arrowstyle": "-|>", "shrinkB": 11, "color": grey, "lw": 1.5}
    for line in wires.strip().splitlines():
        points = [_point(text, line) for text in line.split()]
        if len(points) < 2:
            raise ValueError(f"a wire needs two points or more: {line!r}")
        ax.plot(*zip(*points, strict=True), color=grey, lw=1.5, zorder=1)
        ax.annotate("", points[-1], points[-2], arrowprops=head, zorder=1)
    for line in boxes.strip().splitlines():
        place, colour, text = [*line.split(maxsplit=2), "", ""][:3]
        if not text:
            raise ValueError(f"a box needs x,y, a colour and a text: {line!r}")
        fill = PALETTE.get(colour, PALE)
        ink = PALETTE["ink"] if fill == PALE else "white"
        box = {"boxstyle": "round,pad=0.35", "fc": fill, "ec": grey}
        x, y = _point(place, line)
        ax.text(x, y, text, ha="center", va="center", color=ink, bbox=box, zorder=3)
    ax.set_axis_off()
    return ax


def _point(text: str, line: str) -> tuple[float, float]:
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"no point x,y: {text!r} in the line {line!r}") from None
    return x, y
