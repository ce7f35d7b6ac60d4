"""Figures of predictions: their errors, how they were learned, and who is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from lgdcnn_lib.plotting_style import PALE, PALETTE, WIDTH, line_style, new_axes


def with_unit(name: str, unit: str) -> str:
    """Label of an axis, such as ``"bulk modulus (GPa)"``."""
    return name if unit in ("", "1") else f"{name} ({unit})"


def parity(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    unit: str,
    quantity: str = "target",
    ax: Axes | None = None,
) -> Axes:
    """Plot predictions against targets, with distributions along the sides.

    Parameters
    ----------
    y_true, y_pred
        N targets, and N predictions.
    unit, quantity
        Of the targets, for the axes.

    Raises
    ------
    ValueError
        When there is no pair, or one is not finite.
    """
    truth, found = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if not len(truth) or not np.isfinite([truth, found]).all():
        raise ValueError("parity needs pairs of finite numbers")
    ax, _ = new_axes(ax, 5.2, 5.0)
    low, high = (float(f([f(truth), f(found)])) for f in (np.min, np.max))
    margin = 0.03 * ((high - low) or 1.0)
    ends = (low - margin, high + margin)
    ax.plot(ends, ends, color=PALETTE["grey"], linewidth=1.2, zorder=1)
    _dots(ax, truth, found)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.set_xlabel(with_unit(quantity, unit))
    ax.set_ylabel(with_unit(f"predicted {quantity}", unit))
    error = np.abs(truth - found).mean()
    summary = f"MAE {error:.3g} {'' if unit == '1' else unit}".strip()
    summary += f"\nN = {len(truth):,}"
    ax.text(0.04, 0.96, summary, transform=ax.transAxes, va="top")
    bins = np.linspace(*ends, 50)
    _marginal(ax, truth, bins, "top")
    _marginal(ax, found, bins, "right")
    return ax


def learning_curve(
    histories: pd.DataFrame | Mapping[str, pd.DataFrame],
    unit: str,
    ax: Axes | None = None,
) -> Axes:
    """Plot the validation error against the epoch, and mark the best epoch.

    Parameters
    ----------
    histories
        History of a run (columns ``epoch`` and ``val_error``), or name -> history.
    """
    ax, _ = new_axes(ax)
    named = {"": histories} if isinstance(histories, pd.DataFrame) else histories
    for i, (name, history) in enumerate(named.items()):
        seen = history.dropna(subset=["val_error"])
        best = [int(seen["val_error"].to_numpy().argmin())] if len(seen) else []
        style = line_style(i) | {"markevery": best, "markersize": 8, "label": name}
        ax.plot(seen["epoch"], seen["val_error"], **style)
    ax.set_xlabel("epoch")
    ax.set_ylabel(with_unit("validation MAE", unit))
    if len(named) > 1:
        ax.legend()
    return ax


def ranking(
    errors: Mapping[str, npt.ArrayLike],
    unit: str,
    label: str = "test MAE",
    published: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Rank models by their mean error, best on top, with every run shown.

    Parameters
    ----------
    errors
        Model -> error of each run (seed or fold). The bar spans the runs.
    published
        Model -> published error, drawn as an open diamond; a model may be here only.
    """
    published = dict(published or {})
    runs = {name: np.atleast_1d(np.asarray(v, float)) for name, v in errors.items()}
    mean = {name: float(v.mean()) for name, v in runs.items()}
    order = published | mean
    names = sorted(order, key=order.__getitem__)
    ax, _ = new_axes(ax, WIDTH, 1.2 + 0.36 * len(names))
    for y, name in enumerate(names):
        if name in runs:
            x = runs[name]
            ax.hlines(y, x.min(), x.max(), color=PALETTE["sky"], linewidth=2)
            ax.plot(x, np.full(len(x), y), "o", color=PALETTE["sky"], ms=4, alpha=0.7)
    here: dict[str, Any] = {"color": PALETTE["blue"], "ms": 8}
    rows = [names.index(name) for name in mean]
    ax.plot(list(mean.values()), rows, "o", label="here, mean of runs", **here)
    there: dict[str, Any] = {"mfc": "white", "mec": PALETTE["orange"], "mew": 2}
    rows = [names.index(name) for name in published]
    ax.plot(list(published.values()), rows, "D", label="published", **there)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", color=PALE)
    ax.set_xlabel(with_unit(label, unit))
    if published:
        ax.legend()
    return ax


def relative_errors(
    ratios: Mapping[str, Mapping[str, float]],
    label: str,
    spread: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the errors of models on many tasks as multiples of a reference error.

    Parameters
    ----------
    ratios
        Model -> task -> error over reference error. The first model is drawn full, and
        its tasks are the rows, its best on top; the others are drawn open.
    label
        Of the axis: whose error is 1.
    spread
        Task -> standard deviation of the first model's ratio.
    """
    first, *others = ratios
    ours = ratios[first]
    tasks = sorted(ours, key=ours.__getitem__)
    ax, _ = new_axes(ax, WIDTH, 1.4 + 0.3 * len(tasks))
    ax.axvline(1, color=PALETTE["grey"], linewidth=1.2, zorder=1)
    for i, name in enumerate(others, start=1):
        points = [
            (ratios[name][t], y) for y, t in enumerate(tasks) if t in ratios[name]
        ]
        colour, marker = (line_style(i)[key] for key in ("color", "marker"))
        style = {"mfc": "none", "mec": colour, "mew": 1.6, "ms": 6, "label": name}
        ax.plot(*np.array(points).reshape(-1, 2).T, marker, **style)
    wide = [(spread or {}).get(task, np.nan) for task in tasks]
    x, rows = [ours[task] for task in tasks], range(len(tasks))
    bars: dict[str, Any] = {"color": PALETTE["blue"], "ms": 7.5, "elinewidth": 2}
    ax.errorbar(x, rows, xerr=wide, fmt="o", label=first, zorder=4, **bars)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    fine = (0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.2)
    medium = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8)
    coarse = (0.05, 0.1, 0.25, 0.5, 0.7, 1, 1.5, 2, 3, 5)
    wanted = fine if high < 1.6 * low else medium if high < 2.5 * low else coarse
    ticks = [t for t in wanted if low <= t <= high]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(rows, tasks)
    ax.set_ylim(len(tasks) - 0.5, -0.5)
    ax.grid(axis="y", color=PALE)
    ax.set_xlabel(label)
    handles, names = ax.get_legend_handles_labels()
    order = [-1, *range(len(others))]  # Matplotlib puts error bars last
    entries = [handles[i] for i in order], [names[i] for i in order]
    ax.legend(*entries, loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2)
    return ax


def histogram(
    values: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    label: str,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Plot one distribution, or several by name as shares of their own total."""
    ax, _ = new_axes(ax)
    many = isinstance(values, Mapping)
    named = values if isinstance(values, Mapping) else {"": values}
    series = {name: np.asarray(v, dtype=float) for name, v in named.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(series.values())), 40)
    for i, (name, v) in enumerate(series.items()):
        heights = np.histogram(v, edges)[0] * (100 / max(len(v), 1) if many else 1)
        colour, dashes = line_style(i)["color"], ("-", "--", ":", "-.")[i % 4]
        ax.stairs(heights, edges, color=colour, linestyle=dashes, lw=1.8, label=name)
        if not many:
            ax.stairs(heights, edges, fill=True, alpha=0.5, color=colour)
    ax.set_xlabel(with_unit(label, unit))
    ax.set_ylabel("share (%)" if many else "number")
    ax.set_ylim(bottom=0)
    if many:
        ax.legend()
    return ax


def error_by_bin(
    values: npt.ArrayLike,
    errors: npt.ArrayLike,
    label: str,
    unit: str,
    bins: npt.ArrayLike,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the mean absolute error in bins of a number, with 90 % intervals.

    Under each point stands how many compounds it is made of; the dashed line is the
    error of all of them.

    Parameters
    ----------
    values, errors
        N numbers, and N absolute errors.
    bins
        B + 1 edges; a bin holds its lower edge, the last one also its upper edge.
    names
        B names of the bins; by default their edges.

    Raises
    ------
    ValueError
        For a number that is in no bin.
    """
    x, e = np.asarray(values, dtype=float), np.abs(np.asarray(errors, dtype=float))
    edges = np.asarray(bins, dtype=float)
    place = np.searchsorted(edges, x, side="right") - 1
    place[x == edges[-1]] = len(edges) - 2
    for value in x[(place < 0) | (place > len(edges) - 2)]:  # NaN too
        raise ValueError(f"the value {value:g} is in no bin")
    ax, _ = new_axes(ax)
    rng = np.random.default_rng(0)
    for i in range(len(edges) - 1):
        found = e[place == i]
        if not len(found):
            continue
        means = rng.choice(found, (200, len(found))).mean(axis=1)
        ax.vlines(i, *np.quantile(means, [0.05, 0.95]), color=PALETTE["blue"], lw=2)
        ax.plot(i, found.mean(), "o", color=PALETTE["blue"])
        count, beneath = f"{len(found):,}", ("data", "axes fraction")
        ax.annotate(count, (i, 0.02), xycoords=beneath, ha="center", fontsize=9)
    ax.axhline(e.mean(), color=PALETTE["grey"], linestyle="--", linewidth=1.2)
    pairs = pairwise(edges)
    ax.set_xticks(range(len(edges) - 1), names or [f"{a:g}–{b:g}" for a, b in pairs])
    ax.set_xlabel(label)
    ax.set_ylabel(with_unit("mean absolute error", unit))
    ax.set_ylim(bottom=0)
    ax.margins(y=0.15)
    return ax


def _dots(ax: Axes, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> None:
    alpha = float(np.clip(25 / np.sqrt(len(x) + 1), 0.06, 0.7))
    ax.scatter(x, y, 12, PALETTE["blue"], alpha=alpha, linewidths=0, rasterized=True)


def _marginal(ax: Axes, values: npt.NDArray[Any], bins: Any, side: str) -> None:
    heights, edges = np.histogram(values, bins)
    style: dict[str, Any] = {"fill": True, "color": PALETTE["blue"], "alpha": 0.35}
    if side == "top":
        margin = ax.inset_axes((0, 1.01, 1, 0.13), sharex=ax)
        margin.stairs(heights, edges, **style)
    else:
        margin = ax.inset_axes((1.01, 0, 0.13, 1), sharey=ax)
        margin.stairs(heights, edges, orientation="horizontal", **style)
    margin.set_axis_off()
