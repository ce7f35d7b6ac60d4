"""The chemical environment clustering vector (CECV) of a network's layers.

CECV counts, for an element X, how many different chemical environments a layer sees
for X, at 8 similarity thresholds (Du and Wang, J. Chem. Theory Comput. 2024, 20, 6756).
Formula -> layer output -> environment matrix -> clusters -> counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgdcnn_lib.capture import (
    Formulas,
    LayerFeatures,
    check_layers,
    encode_for,
    layer_features,
    layer_outputs,
)
from lgdcnn_lib.composition import CompositionBatch
from lgdcnn_lib.elements import ATOMIC_NUMBERS, SYMBOLS
from lgdcnn_lib.environments import (
    THRESHOLDS,
    FloatArray,
    IntArray,
    Method,
    Rule,
    check_options,
    cluster_labels,
    count_environments,
    count_vectors,
    environment_matrices,
    group_by_size,
)
from lgdcnn_lib.models import CompositionModel

__all__ = [
    "CECV",
    "MAX_ELEMENTS",
    "MIN_ELEMENTS",
    "THRESHOLDS",
    "LayerFeatures",
    "cecv",
    "cecv_table",
    "cluster_labels",
    "count_environments",
    "environment_matrices",
    "layer_features",
]

MIN_ELEMENTS, MAX_ELEMENTS = 3, 7  # a compound that takes part has as many elements


@dataclass(frozen=True)
class CECV:
    """Chemical environment clustering vector of one element in one layer.

    Attributes
    ----------
    element, layer : str
    thresholds : tuple of T float
    counts : (T,) int64
        Environments at each threshold, summed over compounds of 3 to 7 elements.
    formulas : tuple of str
        The compounds that took part, in data order.
    method, rule : str
        See `count_environments`.
    """

    element: str
    layer: str
    thresholds: tuple[float, ...]
    counts: IntArray
    formulas: tuple[str, ...]
    method: Method
    rule: Rule

    @property
    def n_compounds(self) -> int:
        """Number N of compounds that took part."""
        return len(self.formulas)

    @property
    def normalized(self) -> FloatArray:
        """Counts divided by N, in (0, 1]; NaN if there was no compound."""
        n = self.n_compounds
        return self.counts / n if n else np.full(len(self.counts), np.nan)


def cecv(
    source: Any,
    formulas: Formulas,
    element: str = "Si",
    layer: str = "dcnn.3",
    method: Method = "leader",
    rule: Rule = "standard",
    thresholds: Sequence[float] = THRESHOLDS,
    batch_size: int = 512,
) -> CECV:
    """Count the environments that a layer sees for one element.

    Compounds take part that contain the element and have 3 to 7 elements (with 2, all
    environment matrices are equal). If there is none, all counts are 0. A formula that
    is given twice counts twice.

    Parameters
    ----------
    source, formulas, layer, batch_size
        See `layer_features`.
    element
        Symbol of the element.
    method, rule, thresholds
        See `count_environments`.

    Raises
    ------
    ValueError
        For an unknown element, layer, method or rule, or a negative threshold.
    FormulaError
        For a formula that cannot be read.
    """
    limits = check_options(thresholds, method, rule)
    model, batch = encode_for(source, formulas)
    check_layers(model, [layer])
    [number] = _atomic_numbers([element])
    part = batch[np.flatnonzero(_eligible(batch) & _contains(batch, number))]
    matrices = _layer_matrices(model, part, [layer], batch_size)[layer]
    counts = count_environments(matrices, limits, method, rule)
    used = tuple(limits.tolist())
    return CECV(element, layer, used, counts, part.formulas, method, rule)


def cecv_table(
    source: Any,
    formulas: Formulas,
    elements: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    method: Method = "leader",
    rule: Rule = "standard",
    thresholds: Sequence[float] = THRESHOLDS,
    min_compounds: int = 1,
    batch_size: int = 512,
) -> pd.DataFrame:
    """CECV of many elements and layers, from one pass through the network.

    Parameters
    ----------
    source, formulas, batch_size
        See `layer_features`.
    elements
        Symbols; by default all that occur in at least ``min_compounds`` compounds of 3
        to 7 elements, by atomic number.
    layers
        Layer names; by default all.
    method, rule, thresholds
        See `count_environments`.
    min_compounds
        Read only where ``elements`` is not given.

    Returns
    -------
    DataFrame with a row for each element, layer and threshold: element, layer,
    n_compounds, threshold, count, normalized (NaN where n_compounds is 0).

    Raises
    ------
    TypeError
        For one text instead of a list of symbols.
    ValueError
        For an unknown element, layer, method or rule, or a negative threshold.
    FormulaError
        For a formula that cannot be read.
    """
    limits = check_options(thresholds, method, rule)
    model, batch = encode_for(source, formulas)
    names = list(model.layer_names if layers is None else layers)
    check_layers(model, names)
    part = batch[np.flatnonzero(_eligible(batch))]
    numbers = range(1, len(SYMBOLS)) if elements is None else _atomic_numbers(elements)
    chosen = {number: _contains(part, number) for number in numbers}
    if elements is None:
        chosen = {z: c for z, c in chosen.items() if c.sum() >= max(min_compounds, 1)}
    found = _layer_matrices(model, part, names, batch_size)
    grouped = {name: list(group_by_size(found[name])) for name in names}
    records = [
        (SYMBOLS[number], name, int(contains.sum()), t, int(count))
        for number, contains in chosen.items()
        for name in names
        for t, count in zip(
            limits,
            _count_where(contains, grouped[name], limits, method, rule),
            strict=True,
        )
    ]
    columns = ["element", "layer", "n_compounds", "threshold", "count"]
    table = pd.DataFrame.from_records(records, columns=columns)
    n_compounds = table["n_compounds"].where(table["n_compounds"] > 0)
    table["normalized"] = table["count"] / n_compounds
    return table


def _count_where(
    chosen: npt.NDArray[np.bool_],
    groups: Sequence[tuple[IntArray, FloatArray]],
    limits: FloatArray,
    method: Method,
    rule: Rule,
) -> IntArray:
    counts = np.zeros(len(limits), dtype=np.int64)
    for rows, vectors in groups:
        counts += count_vectors(vectors[chosen[rows]], limits, method, rule)
    return counts


def _layer_matrices(
    model: CompositionModel,
    batch: CompositionBatch,
    layers: Sequence[str],
    batch_size: int,
) -> dict[str, list[FloatArray]]:
    mask = batch.mask.cpu().numpy()
    found = {name: [np.empty((0, 0))] * len(batch) for name in layers}
    for rows, name, h in layer_outputs(model, batch, layers, batch_size):
        matrices = environment_matrices(h, mask[rows, : h.shape[1]])
        for row, matrix in zip(rows, matrices, strict=True):
            found[name][row] = matrix
    return found


def _atomic_numbers(elements: Sequence[str]) -> list[int]:
    if isinstance(elements, str):
        raise TypeError(f"give a list of symbols: [{elements!r}]")
    unknown = [symbol for symbol in elements if symbol not in ATOMIC_NUMBERS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not the symbol of an element")
    return [ATOMIC_NUMBERS[symbol] for symbol in elements]


def _contains(batch: CompositionBatch, number: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (
        ((batch.atomic_numbers == number) & batch.mask).any(dim=1).cpu().numpy()
    )
    return found


def _eligible(batch: CompositionBatch) -> npt.NDArray[np.bool_]:
    sizes = batch.n_elements.cpu().numpy()
    eligible: npt.NDArray[np.bool_] = (sizes >= MIN_ELEMENTS) & (sizes <= MAX_ELEMENTS)
    return eligible
