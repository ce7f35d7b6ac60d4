"""One look for all figures: colours, sizes, and the small parts that figures share."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes

# Told apart with any of the three colour-vision deficiencies; at least 3:1 on white.
PALETTE = {
    "blue": "#1f4788",
    "orange": "#cf7f00",
    "green": "#1a9e68",
    "red": "#a8321a",
    "purple": "#b55ec0",
    "sky": "#2f80f7",
    "ink": "#20262d",
    "grey": "#7c8694",
}
PALE = "#e6eaef"  # plates, bands and empty cells
MUTED = "#5b6570"  # letters on them
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
WIDTH, HEIGHT = 6.4, 4.0  # inches: letters stay legible on a phone
_MARKERS = "osD^vPX*"


def use_style() -> None:
    """Set Matplotlib's defaults to those of the book. Call it once in a notebook."""
    ink, grey = PALETTE["ink"], PALETTE["grey"]
    plt.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": grey,
            "axes.grid": False,
            "axes.labelcolor": ink,
            "axes.labelsize": 11.5,
            "axes.prop_cycle": cycler(color=list(PALETTE.values())),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "figure.dpi": 144,
            "figure.facecolor": "white",
            "figure.figsize": (WIDTH, HEIGHT),
            "font.size": 11,
            "image.cmap": SEQUENTIAL,
            "legend.fontsize": 10,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "lines.markersize": 5.5,
            "savefig.bbox": "tight",
            "savefig.dpi": 144,
            "text.color": ink,
            "xtick.color": grey,
            "xtick.labelcolor": ink,
            "ytick.color": grey,
            "ytick.labelcolor": ink,
        }
    )


def new_axes(
    ax: Axes | None, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Axes, bool]:
    """Return ``ax``, or the axes of a new figure, and whether they are new."""
    if ax is not None:
        return ax, False
    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made, True


def line_style(i: int) -> dict[str, Any]:
    """Colour, marker and dashes of the i-th curve: colour never stands alone."""
    n = len(PALETTE)
    return {
        "color": list(PALETTE.values())[i % n],
        "marker": _MARKERS[i % n],
        "linestyle": "-" if i < n else "--",
    }
