"""The figures of the book: each function takes data and returns Matplotlib ``Axes``.

Without ``ax`` a function makes a figure of its own; with it, it draws there and touches
nothing else. Figures stand on a white plate, in light pages and in dark ones.
"""

from lgdcnn_lib.plotting_cecv import (
    alluvial,
    cecv_curves,
    distance_map,
    environment_heatmap,
    environment_matrix,
)
from lgdcnn_lib.plotting_elements import (
    composition_curve,
    contribution_curves,
    element_map,
    ternary_map,
)
from lgdcnn_lib.plotting_models import (
    error_by_bin,
    histogram,
    learning_curve,
    parity,
    ranking,
    relative_errors,
    with_unit,
)
from lgdcnn_lib.plotting_periodic import periodic_svg, periodic_table
from lgdcnn_lib.plotting_style import (
    DIVERGING,
    PALE,
    PALETTE,
    SEQUENTIAL,
    line_style,
    use_style,
)
from lgdcnn_lib.plotting_wiring import wiring

__all__ = [
    "DIVERGING",
    "PALE",
    "PALETTE",
    "SEQUENTIAL",
    "alluvial",
    "cecv_curves",
    "composition_curve",
    "contribution_curves",
    "distance_map",
    "element_map",
    "environment_heatmap",
    "environment_matrix",
    "error_by_bin",
    "histogram",
    "learning_curve",
    "line_style",
    "parity",
    "periodic_svg",
    "periodic_table",
    "ranking",
    "relative_errors",
    "ternary_map",
    "use_style",
    "wiring",
    "with_unit",
]
