"""Figures of environments: CECV curves, and environment matrices of one or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy.spatial.distance import cdist

from lgdcnn_lib.environments import THRESHOLDS, group_by_size
from lgdcnn_lib.plotting_style import (
    DIVERGING,
    MUTED,
    PALE,
    PALETTE,
    WIDTH,
    line_style,
    new_axes,
)


def cecv_curves(
    curves: Mapping[str, npt.ArrayLike],
    thresholds: Sequence[float] = THRESHOLDS,
    target: tuple[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw CECV curves, and the target region between a global and a local model.

    Parameters
    ----------
    curves
        Name -> T counts, or counts divided by the number of compounds: what is never
        above 1 is labelled as that.
    thresholds
        T thresholds.
    target
        Names of the global and of the local curve. The region wanted by the paper is
        shaded: not above the global curve for t <= 0.15, between both from 0.20 on.
    """
    ax, _ = new_axes(ax)
    t = np.asarray(thresholds)
    values = {name: np.asarray(curve, dtype=float) for name, curve in curves.items()}
    if target is not None:
        low, high = values[target[0]], values[target[1]]
        for part, bottom, top in ((t < 0.175, 0 * low, low), (t > 0.175, low, high)):
            label = None if part[0] else "target region"
            ax.fill_between(
                t, bottom, top, where=part.tolist(), color=PALE, label=label, lw=0
            )
    for i, (name, curve) in enumerate(values.items()):
        ax.plot(t, curve, label=name, **line_style(i))
    highest = max((np.nanmax(v, initial=0.0) for v in values.values()), default=0.0)
    per_compound = highest <= 1
    ax.set_xlabel("similarity threshold t (difference of correlations)")
    ax.set_ylabel("environments per compound" if per_compound else "environments")
    ax.set_xticks(t)
    ax.set_ylim(bottom=0)
    ax.legend(ncols=1 + len(values) // 6)
    return ax


def environment_matrix(
    matrix: npt.ArrayLike, elements: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Draw one environment matrix (n, n) with its numbers; rows are the elements."""
    values = np.asarray(matrix)
    n = len(values)
    if len(elements) != n:
        raise ValueError(f"{n} rows, but {len(elements)} elements")
    ax, new = new_axes(ax, 4.6, 3.8)
    image = ax.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1)
    for (i, k), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.6 else PALETTE["ink"]
        text = f"{value:.2f}".replace("-", "−")
        ax.text(k, i, text, ha="center", va="center", color=colour)
    ax.set_xticks(range(n), elements)
    ax.set_yticks(range(n), elements)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if new:
        ax.figure.colorbar(image, ax=ax, label="correlation", ticks=[-1, 0, 1])
    return ax


def environment_heatmap(
    matrices: Sequence[npt.ArrayLike], labels: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw the environment matrices of many compounds, ordered by cluster.

    A row is a compound, a column a pair of its elements, by descending amount. The
    largest cluster is on top; the strip at the left changes tone with the cluster.

    Parameters
    ----------
    matrices
        N matrices of one size (n, n).
    labels
        N cluster labels.

    Raises
    ------
    ValueError
        For matrices of different sizes, or not a label for each.
    """
    if len({np.shape(matrix) for matrix in matrices}) != 1:
        raise ValueError("the matrices must all have the same size")
    stack, labels = np.asarray(matrices), np.asarray(labels)
    if len(labels) != len(stack):
        raise ValueError(f"{len(stack)} matrices, but {len(labels)} labels")
    ax, _ = new_axes(ax, WIDTH, 4.6)
    sizes = np.bincount(labels)
    order = np.lexsort((labels, -sizes[labels]))
    rows, columns = np.triu_indices(stack.shape[1], k=1)
    entries = stack[order][:, rows, columns]
    look: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest"}
    image = ax.imshow(entries, cmap=DIVERGING, vmin=-1, vmax=1, **look)
    _mark_clusters(ax, sizes[labels[order]], labels[order])
    pairs = [f"{i + 1}–{k + 1}" for i, k in zip(rows, columns, strict=True)]
    ax.set_xticks(range(len(pairs)), pairs)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("pair of elements (1: the most abundant)")
    count = f"{len(stack)} compounds in {len(np.unique(labels))} clusters"
    ax.set_ylabel(count, labelpad=20)
    ax.figure.colorbar(image, ax=ax, label="correlation", ticks=[-1, 0, 1])
    return ax


def _mark_clusters(
    ax: Axes, sizes: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> None:
    """Draw the strip of clusters, and lines below those that are large enough."""
    rank = np.cumsum(np.diff(labels, prepend=labels[:1]) != 0)
    strip = ax.inset_axes((-0.035, 0, 0.02, 1), sharey=ax)
    tones: dict[str, Any] = {
        "cmap": "Greys",
        "vmin": -0.5,
        "vmax": 1.3,
        "aspect": "auto",
    }
    strip.imshow(rank[:, None] % 2, interpolation="nearest", **tones)
    strip.set_axis_off()
    for last in np.flatnonzero(np.diff(rank)):
        if sizes[last] >= 0.02 * len(sizes):
            ax.axhline(last + 0.5, color="white", linewidth=1)


def distance_map(matrices: Sequence[npt.ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw how far apart the environments of N compounds are, each pair a pixel.

    Parameters
    ----------
    matrices
        N environment matrices of one size, in the order in which they are drawn.
    """
    groups = list(group_by_size(matrices))
    if len(groups) != 1:
        raise ValueError("the matrices must all have the same size")
    ((_, vectors),) = groups
    ax, new = new_axes(ax, 5.0, 4.2)
    image = ax.imshow(cdist(vectors, vectors, "chebyshev"), "viridis_r", vmin=0)
    image.set_clim(0, THRESHOLDS[-1])
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(f"{len(vectors)} compounds")
    ax.set_ylabel("the same compounds")
    if new:
        label = "largest difference of correlations"
        ax.figure.colorbar(image, ax=ax, label=label, extend="max")
    return ax


def alluvial(
    labels: Mapping[str, npt.ArrayLike], n_largest: int = 6, ax: Axes | None = None
) -> Axes:
    """Draw how compounds move between the clusters of successive layers.

    A column is a layer; its blocks are the ``n_largest`` clusters, the largest on top,
    and all smaller ones in one block. Colours stay with the compounds: they are those
    of the clusters of the first layer, grey for its small ones.

    Parameters
    ----------
    labels
        Layer -> N cluster labels, of the same compounds in the same order.
    """
    ranks = {name: _rank_by_size(found, n_largest) for name, found in labels.items()}
    columns = list(ranks.values())
    if len(columns) < 2 or len({len(rank) for rank in columns}) != 1:
        raise ValueError("labels must be of two layers or more, and of equal length")
    ax, _ = new_axes(ax, WIDTH + 0.6, 4.4)
    colour, gap = columns[0], 0.02 * len(columns[0])
    tones = [line_style(i)["color"] for i in range(n_largest)] + [PALETTE["grey"]]
    for i, (a, b) in enumerate(pairwise(columns)):
        leave, arrive = _places(a, colour, b, gap), _places(b, colour, a, gap)
        for flow in np.unique(np.stack([a, colour, b]), axis=1).T:
            these = (a == flow[0]) & (colour == flow[1]) & (b == flow[2])
            ends = leave[these].min(), arrive[these].min()
            _ribbon(ax, i, ends, int(these.sum()), tones[flow[1]])
    for i, rank in enumerate(columns):
        place = _places(rank, colour, colour, gap)
        for block in np.unique(rank):
            inside = place[rank == block]
            tone = MUTED if block == n_largest else PALETTE["ink"]
            ax.bar(i, len(inside), 0.12, inside.min(), color=tone)
    ax.set_xticks(range(len(columns)), list(ranks), rotation=45)
    ax.invert_yaxis()
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("layer")
    ax.set_ylabel(f"{len(colour)} compounds, largest clusters on top")
    return ax


def _ribbon(
    ax: Axes, column: int, ends: tuple[float, float], width: int, colour: str
) -> None:
    """Draw the band of ``width`` compounds from one column to the next."""
    along = np.linspace(0, 1, 30)
    ease = along**2 * (3 - 2 * along)
    low = ends[0] + (ends[1] - ends[0]) * ease
    look: dict[str, Any] = {"color": colour, "alpha": 0.55, "lw": 0}
    ax.fill_between(column + 0.06 + 0.88 * along, low, low + width, **look)


def _rank_by_size(labels: npt.ArrayLike, n_largest: int) -> npt.NDArray[np.int64]:
    """Rank of each compound's cluster by size; ``n_largest`` for all small ones."""
    found, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(found), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(found))
    ranks: npt.NDArray[np.int64] = np.minimum(rank[place], n_largest)
    return ranks


def _places(
    block: npt.NDArray[np.int64],
    colour: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    gap: float,
) -> npt.NDArray[np.float64]:
    """Height of each compound in a column, sorted by block, colour, other block."""
    place = np.empty(len(block))
    place[np.lexsort((other, colour, block))] = np.arange(len(block))
    return place + gap * block
