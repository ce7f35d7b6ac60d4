"""The explorers of the book: each takes data and returns an `Explorer` to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from lgdcnn_lib import plotting
from lgdcnn_lib.capture import encode_for, layer_features
from lgdcnn_lib.cecv import THRESHOLDS, cluster_labels
from lgdcnn_lib.elements import SYMBOLS
from lgdcnn_lib.explorer import Explorer
from lgdcnn_lib.inside import composition_line, similarities
from lgdcnn_lib.predictor import Predictor


def threshold_explorer(
    matrices: Sequence[npt.ArrayLike],
) -> Explorer:
    """Move the threshold, and see compounds join clusters.

    Parameters
    ----------
    matrices
        N environment matrices of one size: see `plotting.environment_heatmap`.
    """

    def draw(t: float) -> Axes:
        return plotting.environment_heatmap(matrices, cluster_labels(matrices, t))

    def describe(t: float) -> str:
        count = int(cluster_labels(matrices, t).max()) + 1
        return (
            f"Environment matrices of {len(matrices)} compounds as rows of colour, "
            f"ordered by cluster. At threshold {t:g} there are {count} clusters."
        )

    return Explorer({"threshold t": list(THRESHOLDS)}, draw, describe, [0.2])


def layer_explorer(source: Any, formula: str) -> Explorer:
    """Move through the layers, and see a compound's environment matrix change.

    Parameters
    ----------
    source
        A model, or a predictor.
    formula
        At least two elements. In a live kernel any other formula may be typed; its
        matrices in all layers are drawn side by side.
    """
    model = getattr(source, "model", source)
    names = list(model.layer_names)

    def draw(layer: str) -> Axes:
        return plotting.environment_matrix(*_matrix(source, formula, layer))

    def describe(layer: str) -> str:
        values, elements = _matrix(source, formula, layer)
        pairs = [
            f"{a} and {b} {values[i, k]:.2f}"
            for i, a in enumerate(elements)
            for k, b in enumerate(elements)
            if i < k
        ]
        return f"Correlations in {formula}, layer {layer}: {', '.join(pairs)}."

    def typed(text: str) -> Axes:
        return _all_layers(source, text, names)

    return Explorer({"layer": names}, draw, describe, ask=("formula", typed))


def _all_layers(source: Any, formula: str, names: Sequence[str]) -> Axes:
    """Draw a compound's matrices in all layers side by side."""
    found = [_matrix(source, formula, layer) for layer in names]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    options: dict[str, Any] = {"layout": "constrained", "squeeze": False}
    size = (2.6 * columns, 2.7 * rows)
    _, axes = plt.subplots(rows, columns, figsize=size, **options)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, layer, matrix in zip(axes.flat, names, found, strict=False):
        ax.set_axis_on()
        plotting.environment_matrix(*matrix, ax)
        ax.set_title(layer)
    first: Axes = axes.flat[0]
    return first


def _matrix(source: Any, formula: str, layer: str) -> tuple[Any, list[str]]:
    _, batch = encode_for(source, [formula])
    elements = [SYMBOLS[z] for z in batch.atomic_numbers[0]]
    return layer_features(source, batch, layer).matrices()[0], elements


def element_explorer(
    vectors: Mapping[str, pd.DataFrame], elements: Sequence[str]
) -> Explorer:
    """Choose an element and a layer, and see which elements the layer holds alike.

    Parameters
    ----------
    vectors
        Layer -> element vectors: see `lgdcnn_lib.inside.element_means`.
    elements
        Symbols to choose from.

    Raises
    ------
    ValueError
        For a symbol without a vector.
    """
    alike = {
        layer: pd.DataFrame(similarities(v), v.index, v.index)
        for layer, v in vectors.items()
    }

    def draw(element: str, layer: str) -> str:
        label = f"similarity to {element}, layer {layer}"
        values = alike[layer][element].to_dict()
        return plotting.periodic_svg(values, label, plotting.DIVERGING, marked=element)

    def describe(element: str, layer: str) -> str:
        nearest = alike[layer][element].drop(element).nlargest(3).index
        return (
            f"Periodic table coloured by similarity to {element} in layer {layer}. "
            f"The most similar elements are {', '.join(nearest)}."
        )

    known = list(vectors[next(iter(vectors))].index)
    unknown = sorted(set(elements) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} has no vector")
    settings = {"element": list(elements), "layer": list(vectors)}
    return Explorer(settings, draw, describe)


def map_explorer(
    points: Mapping[str, npt.ArrayLike],
    symbols: Sequence[str],
    properties: Mapping[str, Mapping[str, float]],
) -> Explorer:
    """Choose a network and a property, and see the map of the elements.

    Parameters
    ----------
    points
        Name, such as that of a network -> (E, 2): see `plotting.element_map`.
    symbols
        E symbols.
    properties
        Name of a property, with its unit -> symbol -> number.
    """

    def draw(name: str, colour: str) -> Axes:
        return plotting.element_map(points[name], symbols, properties[colour], colour)

    def describe(name: str, colour: str) -> str:
        place = np.asarray(points[name], dtype=float)
        value = np.array([properties[colour].get(s, np.nan) for s in symbols])
        known = np.isfinite(value)
        rho = [spearmanr(place[known, k], value[known]).statistic for k in (0, 1)]
        return (
            f"Map of {len(symbols)} elements in {name}, coloured by {colour}, whose "
            f"rank correlation with component 1 is {rho[0]:.2f}, with 2 {rho[1]:.2f}."
        )

    settings = {"map": list(points), "coloured by": list(properties)}
    return Explorer(settings, draw, describe)


def line_explorer(
    predictor: Predictor,
    systems: Sequence[str],
    fractions: npt.ArrayLike,
    quantity: str,
    known: Mapping[str, pd.DataFrame] | None = None,
) -> Explorer:
    """Choose a system, and see the prediction along its composition line.

    Parameters
    ----------
    systems
        Such as ``"Cu-O"``. In a live kernel any other pair may be typed.
    fractions
        Of the second element: see `lgdcnn_lib.inside.composition_line`.
    quantity
        What is predicted, with its unit.
    known
        System -> compounds to mark: see `plotting.composition_curve`.
    """

    def draw(system: str) -> Axes:
        first, second = _pair(system)
        line = composition_line(predictor, first, second, fractions)
        marked = (known or {}).get(system)
        return plotting.composition_curve(line, quantity, second, marked)

    def describe(system: str) -> str:
        line = composition_line(predictor, *_pair(system), fractions)
        lowest = line.iloc[int(line["prediction"].argmin())]
        return (
            f"{quantity.replace('/', ' per ')} predicted along {system}: lowest, "
            f"{lowest['prediction']:.2f}, at x = {lowest['x']:.2f}."
        )

    settings = {"system": list(systems)}
    return Explorer(settings, draw, describe, ask=("system, such as Fe-O", draw))


def _pair(system: str) -> tuple[str, str]:
    parts = system.replace("–", "-").split("-")
    if len(parts) != 2 or not set(parts) < set(SYMBOLS):
        raise ValueError(f"{system!r} is not a pair of elements such as Cu-O")
    return parts[0], parts[1]


def variant_explorer(
    curves: Mapping[str, npt.ArrayLike],
) -> Explorer:
    """Choose a network, and see its CECV curve among those of all others.

    Parameters
    ----------
    curves
        Network -> counts at the eight `THRESHOLDS`, or these divided by the number of
        compounds.
    """
    values = {name: np.asarray(curve, dtype=float) for name, curve in curves.items()}
    top = 1.05 * max(curve.max() for curve in values.values())

    def draw(name: str) -> Axes:
        ax = plotting.cecv_curves({name: values[name]})
        for other in values.keys() - {name}:
            grey = plotting.PALETTE["grey"]
            ax.plot(THRESHOLDS, values[other], color=grey, alpha=0.3, zorder=0)
        ax.set_ylim(0, top)
        return ax

    def describe(name: str) -> str:
        numbers = ", ".join(f"{value:.3g}" for value in values[name])
        return f"CECV curve of {name} among those of the other networks: {numbers}."

    return Explorer({"network": list(curves)}, draw, describe)
