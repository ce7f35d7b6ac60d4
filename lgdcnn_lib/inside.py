"""What a trained network holds of each element: vectors, neighbours, contributions.

`element_means` places the elements in a layer's space, `same_label_odds` says how well
that space keeps the groups of the periodic table together, and `contributions` takes a
prediction apart, element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import rankdata

from lgdcnn_lib.capture import Formulas, check_layers, encode_for, layer_outputs
from lgdcnn_lib.elements import ATOMIC_NUMBERS, SYMBOLS
from lgdcnn_lib.predictor import Predictor

FloatArray = npt.NDArray[np.float64]


def element_means(
    source: Any,
    formulas: Formulas,
    layers: Sequence[str] | None = None,
    min_compounds: int = 20,
) -> dict[str, pd.DataFrame]:
    """Mean vector of each element in each layer, over the compounds that contain it.

    Parameters
    ----------
    source
        A model, or a predictor.
    formulas
        N formulas, or an encoded batch.
    layers
        Layer names; by default all.
    min_compounds
        Elements in fewer compounds are left out.

    Returns
    -------
    dict
        Layer -> DataFrame (E, d), float64; the index is the symbol, by atomic number.

    Raises
    ------
    ValueError
        For an unknown layer.
    FormulaError
        For a formula that cannot be read.
    """
    model, batch = encode_for(source, formulas)
    names = list(model.layer_names if layers is None else layers)
    check_layers(model, names)
    numbers, mask = batch.atomic_numbers.cpu(), batch.mask.cpu()
    counts = torch.bincount(numbers[mask], minlength=len(SYMBOLS))
    sums = {name: torch.zeros(0) for name in names}
    for rows, name, h in layer_outputs(model, batch, names):
        z, real = numbers[rows, : h.shape[1]], mask[rows, : h.shape[1]]
        if not len(sums[name]):
            sums[name] = torch.zeros(len(SYMBOLS), h.shape[2], dtype=torch.float64)
        sums[name].index_add_(0, z[real], torch.from_numpy(h).double()[real])
    kept = np.flatnonzero(counts >= max(min_compounds, 1))
    index = pd.Index([SYMBOLS[z] for z in kept], name="element")
    return {
        name: pd.DataFrame((total[kept] / counts[kept, None]).numpy(), index=index)
        for name, total in sums.items()
    }


def similarities(vectors: npt.ArrayLike) -> FloatArray:
    """Cosine similarity of E vectors (E, d), their mean taken out first: (E, E)."""
    v = np.asarray(vectors, dtype=np.float64)
    v = v - v.mean(axis=0)
    norm = np.linalg.norm(v, axis=1, keepdims=True)
    v = np.divide(v, norm, out=np.zeros_like(v), where=norm > 0)
    return np.asarray(v @ v.T)


def same_label_odds(vectors: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Chance that two vectors of one label are more alike than two of different ones.

    The area under the ROC curve of `similarities` over all pairs: 1 if every pair of
    one label is more alike than every other pair, 0.5 if labels mean nothing.

    Parameters
    ----------
    vectors
        (E, d).
    labels
        E labels, such as the group of each element.

    Raises
    ------
    ValueError
        If no two labels are equal, or all are; if a label has no vector, or one that
        is not finite.
    """
    label, v = np.asarray(labels), np.asarray(vectors, dtype=np.float64)
    if len(label) != len(v) or not np.isfinite(v).all():
        raise ValueError(f"needs a finite vector for each of {len(label)} labels")
    rows, columns = np.triu_indices(len(label), k=1)
    same = label[rows] == label[columns]
    if not 0 < same.sum() < len(same):
        raise ValueError("labels must be equal for some pairs, and differ for others")
    rank = rankdata(similarities(v)[rows, columns])
    above = rank[same].sum() - same.sum() * (same.sum() + 1) / 2
    return float(above / (same.sum() * (~same).sum()))


def contributions(predictor: Predictor, formulas: Formulas) -> pd.DataFrame:
    """Take predictions apart into what each element of a compound adds.

    The head is linear in the mean over the n elements, up to its gate: with (m_i, l_i)
    the head's outputs at element i, the prediction is

        mean + std * sigmoid(mean of l_i) * (1/n) * sum of m_i.

    So element i adds std * gate * m_i / n, and ``base``, the mean of the training
    targets, belongs to no element. The gate is shared: it is no property of an element.

    Returns
    -------
    DataFrame with a row for each element of each compound, in the order of the
    formulas: row, formula, element, fraction, contribution, gate, base (in the
    predictor's unit). Contributions and base of a row add up to the prediction.

    Raises
    ------
    ValueError
        For a classifier, or a network with published padding; for no formula.
    FormulaError
        For a formula that cannot be read.
    """
    model, batch = encode_for(predictor, formulas)
    if predictor.metric == "rocauc" or model.config.padding == "published":
        raise ValueError("contributions need a regression network without padding")
    if not len(batch):
        raise ValueError("there is no formula to take apart")
    numbers, fractions = batch.atomic_numbers.cpu(), batch.fractions.cpu()
    parts = []
    weight, bias = (p.detach().cpu().numpy() for p in model.head.linear.parameters())
    for rows, _, h in layer_outputs(model, batch, model.layer_names[-1:]):
        m, _, gate = np.moveaxis(h @ weight.T + bias, 2, 0)
        share = 1 / (1 + np.exp(-gate.mean(axis=1, keepdims=True)))
        parts.append(
            pd.DataFrame(
                {
                    "row": np.repeat(rows, h.shape[1]),
                    "z": numbers[rows, : h.shape[1]].numpy().ravel(),
                    "fraction": fractions[rows, : h.shape[1]].numpy().ravel(),
                    "contribution": (
                        predictor.scaler.std * share * m / h.shape[1]
                    ).ravel(),
                    "gate": np.broadcast_to(share, m.shape).ravel(),
                }
            )
        )
    found = pd.concat(parts).sort_values("row", kind="stable", ignore_index=True)
    found.insert(1, "formula", np.array(batch.formulas)[found["row"]])
    found.insert(2, "element", [SYMBOLS[z] for z in found.pop("z")])
    return found.assign(base=predictor.scaler.mean)


def line_formulas(first: str, second: str, fractions: npt.ArrayLike) -> list[str]:
    """Formulas along a composition line, ``second`` having each atomic fraction x.

    Parameters
    ----------
    first, second
        Symbols.
    fractions
        Numbers strictly between 0 and 1; six decimals are kept.

    Raises
    ------
    ValueError
        For an unknown or repeated symbol, or a fraction outside (0, 1).
    """
    for symbol in (first, second):
        if symbol not in ATOMIC_NUMBERS:
            raise ValueError(f"{symbol!r} is not the symbol of an element")
    if first == second:
        raise ValueError("a composition line needs two elements")
    x = np.atleast_1d(np.asarray(fractions, dtype=float))
    for value in x[~((x >= 1e-6) & (x <= 1 - 1e-6))]:
        raise ValueError(f"fraction {value:g} is not between 0 and 1, ends excluded")
    return [f"{first}{1 - value:.6f}{second}{value:.6f}" for value in x]


def composition_line(
    predictor: Predictor, first: str, second: str, fractions: npt.ArrayLike
) -> pd.DataFrame:
    """Predict along a composition line, with each element's contribution.

    Parameters
    ----------
    predictor, first, second, fractions
        See `contributions` and `line_formulas`.

    Returns
    -------
    DataFrame: x (fraction of ``second``), prediction, std, gate, base, and a column for
    each element with its contribution, all but x and gate in the predictor's unit.

    Raises
    ------
    ValueError
        As `contributions` and `line_formulas` do.
    """
    formulas = line_formulas(first, second, fractions)
    line = predictor.predict(formulas)[["prediction", "std"]]
    line.insert(0, "x", np.atleast_1d(np.asarray(fractions, dtype=float)))
    parts = contributions(predictor, formulas)
    shared = parts.groupby("row")[["gate", "base"]].first()
    each = parts.pivot(index="row", columns="element", values="contribution")
    return line.join(shared).join(each[[first, second]])
