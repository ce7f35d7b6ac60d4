"""Figures of what a network holds of the elements: their map, and mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from lgdcnn_lib.plotting_style import (
    PALE,
    PALETTE,
    SEQUENTIAL,
    WIDTH,
    line_style,
    new_axes,
)

SPLITS: dict[str, dict[str, Any]] = {
    "train": {"marker": "o", "facecolor": PALETTE["ink"]},
    "val": {"marker": "s", "facecolor": PALETTE["grey"]},
    "test": {"marker": "D", "facecolor": "white"},
}


def element_map(
    points: npt.ArrayLike,
    symbols: Sequence[str],
    values: Mapping[str, float],
    label: str,
    axis: str = "component",
    ax: Axes | None = None,
) -> Axes:
    """Draw elements at points of the plane, coloured by a property.

    Parameters
    ----------
    points
        (E, 2), such as the first two principal components.
    symbols
        E symbols.
    values
        Symbol -> number; elements that are absent or NaN stay grey.
    label
        What the number is, with its unit.
    axis
        Word on both axes, before the number 1 or 2.

    Raises
    ------
    ValueError
        When points and symbols differ in number, or no element has a number.
    """
    place = np.asarray(points, dtype=float)
    if place.shape != (len(symbols), 2):
        raise ValueError(f"{len(symbols)} symbols, but points of shape {place.shape}")
    colour = np.array([values.get(symbol, np.nan) for symbol in symbols], dtype=float)
    unknown = np.isnan(colour)
    if unknown.all():
        raise ValueError("no element has a number")
    ax, _ = new_axes(ax, WIDTH, 4.8)
    plate: dict[str, Any] = {"s": 190, "linewidths": 0}
    x, y = place.T
    ax.scatter(x[unknown], y[unknown], color=PALE, **plate)
    shades: dict[str, Any] = {"c": colour[~unknown], "cmap": SEQUENTIAL}
    dots = ax.scatter(x[~unknown], y[~unknown], **shades, **plate)
    middle = np.nanmin(colour) + 0.55 * np.ptp(colour[~unknown])
    for symbol, across, up, value in zip(symbols, x, y, colour, strict=True):
        ink = "white" if value < middle else PALETTE["ink"]  # the map ends in yellow
        ax.text(across, up, symbol, ha="center", va="center", fontsize=8, color=ink)
    ax.set_xlabel(f"{axis} 1")
    ax.set_ylabel(f"{axis} 2")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.figure.colorbar(dots, ax=ax, label=label)
    return ax


def composition_curve(
    line: pd.DataFrame,
    quantity: str,
    second: str,
    known: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a prediction along a composition line, its uncertainty, and known targets.

    Parameters
    ----------
    line
        Columns x, prediction and std: see `lgdcnn_lib.inside.composition_line`.
    quantity
        What is predicted, with its unit.
    second
        Symbol whose atomic fraction is x.
    known
        Columns x, target and split (train, val or test).
    """
    ax, _ = new_axes(ax)
    x, y = line["x"].to_numpy(), line["prediction"].to_numpy()
    spread = line["std"].to_numpy()
    ax.axhline(0, color=PALETTE["grey"], linewidth=1)
    style: dict[str, Any] = {"color": PALETTE["sky"], "alpha": 0.25, "lw": 0}
    ax.fill_between(x, y - spread, y + spread, label="± predicted std", **style)
    ax.plot(x, y, color=PALETTE["blue"], label="prediction")
    for split, look in SPLITS.items():
        if known is None or not (known["split"] == split).any():
            continue
        rows = known[known["split"] == split]
        edge: dict[str, Any] = {"edgecolor": PALETTE["ink"], "zorder": 4, "s": 34}
        ax.scatter(rows["x"], rows["target"], label=f"known, {split}", **look, **edge)
    ax.set_xlabel(f"atomic fraction x of {second}")
    ax.set_ylabel(quantity)
    ax.set_xlim(0, 1)
    ax.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2)
    return ax


def contribution_curves(
    line: pd.DataFrame, elements: Sequence[str], unit: str, ax: Axes | None = None
) -> Axes:
    """Draw what each element adds to the prediction along a composition line.

    Parameters
    ----------
    line
        Columns x, base, prediction and one for each element: see
        `lgdcnn_lib.inside.composition_line`.
    elements
        The two symbols.
    """
    ax, _ = new_axes(ax)
    ax.plot(line["x"], line["base"], ":", color=PALETTE["grey"], label="base")
    ax.plot(
        line["x"], line["prediction"], color=PALETTE["ink"], label="sum: prediction"
    )
    for i, element in enumerate(elements):
        style = line_style(i) | {"markevery": max(1, len(line) // 12)}
        ax.plot(line["x"], line[element], label=element, **style)
    ax.set_xlabel(f"atomic fraction x of {elements[1]}")
    ax.set_ylabel(f"contribution ({unit})")
    ax.set_xlim(0, 1)
    ax.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2)
    return ax


def ternary_map(
    fractions: npt.ArrayLike,
    values: npt.ArrayLike,
    corners: Sequence[str],
    label: str,
    known: npt.ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Colour a triangle of compositions by a number, and mark known compounds.

    Parameters
    ----------
    fractions
        (N, 3) atomic fractions of the corners' elements; rows sum to 1.
    values
        N numbers.
    corners
        Three symbols: left, right, top.
    label
        What the number is, with its unit.
    known
        (K, 4): fractions and target, drawn as dots in the same colours.
    """
    ax, _ = new_axes(ax, WIDTH, 4.8)
    found = np.asarray(values, dtype=float)
    x, y = _in_triangle(fractions)
    limits: dict[str, Any] = {"vmin": found.min(), "vmax": found.max()}
    shade = ax.tripcolor(x, y, found, shading="gouraud", cmap=SEQUENTIAL, **limits)
    shade.set_rasterized(True)
    corner_x, corner_y = _in_triangle(np.eye(3))
    ax.plot([*corner_x, 0], [*corner_y, 0], color=PALETTE["grey"], linewidth=1)
    for symbol, a, b, shift in zip(
        corners, corner_x, corner_y, ((-8, -8), (8, -8), (0, 10)), strict=True
    ):
        place: dict[str, Any] = {"textcoords": "offset points", "ha": "center"}
        ax.annotate(symbol, (a, b), shift, va="center", weight="bold", **place)
    if known is not None:
        points = np.asarray(known, dtype=float)
        dots: dict[str, Any] = {"edgecolor": "white", "s": 30, "zorder": 4}
        at, up = _in_triangle(points[:, :3])
        ax.scatter(at, up, c=points[:, 3], cmap=SEQUENTIAL, **dots, **limits)
    ax.set_aspect("equal")
    ax.margins(0.08)
    ax.set_axis_off()
    ax.figure.colorbar(shade, ax=ax, label=label)
    return ax


def _in_triangle(
    fractions: npt.ArrayLike,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    f = np.asarray(fractions, dtype=float)
    return f[:, 1] + f[:, 2] / 2, f[:, 2] * np.sqrt(3) / 2
