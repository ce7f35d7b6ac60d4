"""The figures of the book: each function takes data and returns Matplotlib ``Axes``.

Without ``ax`` a function makes a figure of its own; with it, it draws there and touches
nothing else. Figures stand on a white plate, in light pages and in dark ones.
"""

from lgdcnn_lib.plotting_cecv import (
    cecv_curves,
    environment_heatmap,
    environment_matrix,
)
from lgdcnn_lib.plotting_models import (
    histogram,
    learning_curve,
    parity,
    ranking,
    residuals,
    with_unit,
)
from lgdcnn_lib.plotting_periodic import periodic_table
from lgdcnn_lib.plotting_style import (
    DIVERGING,
    PALE,
    PALETTE,
    SEQUENTIAL,
    line_style,
    use_style,
)

__all__ = [
    "DIVERGING",
    "PALE",
    "PALETTE",
    "SEQUENTIAL",
    "cecv_curves",
    "environment_heatmap",
    "environment_matrix",
    "histogram",
    "learning_curve",
    "line_style",
    "parity",
    "periodic_table",
    "ranking",
    "residuals",
    "use_style",
    "with_unit",
]
