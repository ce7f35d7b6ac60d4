"""How far a composition lies from those that a model was trained on.

The distance of two compositions is that of their cumulated fractions along a line of
the elements, Pettifor's Mendeleev numbers (J. Phys. C 1986, 19, 285), on which
neighbours are chemically alike. The summed differences would be the earth mover's
distance of Hargreaves et al. (Chem. Mater. 2020, 32, 10610): what it takes to turn one
composition into the other, if atoms are moved along the line. Here the root of the
summed squares stands for it, which one matrix product finds for thousands at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import SYMBOLS, element_properties

FloatArray = npt.NDArray[np.float64]

_CHUNK = 512  # compositions compared at a time: bounds the memory
_SAMPLE = 2000  # known compositions that say what distances are usual


@cache
def _line() -> npt.NDArray[np.int64]:
    """Atomic numbers in the order of the Mendeleev numbers; those without one last."""
    numbers = element_properties().set_index("atomic_number")["mendeleev_number"]
    known = numbers.reindex(range(1, len(SYMBOLS))).fillna(np.inf)
    return known.index.to_numpy()[np.argsort(known.to_numpy(), kind="stable")]


def cumulated_fractions(formulas: Iterable[str]) -> FloatArray:
    """Cumulate the fractions of each formula along the line of the elements.

    Returns
    -------
    (N, 118) float64
        Ascending rows that end at 1. All atoms of one formula one place further along
        the line are at distance 1 from it; half of the atoms at half of that.

    Raises
    ------
    FormulaError
        For a formula that cannot be read.
    """
    batch = encode(formulas)
    fractions = np.zeros((len(batch), len(SYMBOLS)))
    rows = np.arange(len(batch))[:, None]
    np.add.at(fractions, (rows, batch.atomic_numbers.numpy()), batch.fractions.numpy())
    return np.cumsum(fractions[:, _line()], axis=1)


def novelty(
    formulas: Iterable[str], known: Iterable[str], share: float = 0.1
) -> pd.DataFrame:
    """Find the nearest known composition of each formula, and mark those far from all.

    Parameters
    ----------
    formulas
        N formulas.
    known
        Formulas that the model was trained on.
    share
        Far is what lies farther than all but this share of the known compositions do
        from their own nearest neighbour among the known.

    Returns
    -------
    DataFrame
        formula, nearest (a known formula), distance, far (bool).

    Raises
    ------
    FormulaError
        For a formula that cannot be read.
    ValueError
        When fewer than two different compositions are known, or ``share`` is not
        between 0 and 1.
    TypeError
        For one text instead of a list of them.
    """
    if isinstance(formulas, str) or isinstance(known, str):
        raise TypeError("novelty takes lists of formulas: write [formula]")
    formulas, known = list(formulas), list(known)
    places = cumulated_fractions(known)
    every = max(1, len(places) // _SAMPLE)
    _, usual = _nearest(places[::every], places, skip_equal=True)
    usual = usual[np.isfinite(usual)]
    if not len(usual):
        raise ValueError("novelty needs two different known compositions")
    row, distance = _nearest(cumulated_fractions(formulas), places)
    return pd.DataFrame(
        {
            "formula": formulas,
            "nearest": [known[i] for i in row],
            "distance": distance,
            "far": distance > np.quantile(usual, 1 - share),
        }
    )


def _nearest(
    asked: FloatArray, known: FloatArray, skip_equal: bool = False
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Row and distance of the nearest of ``known``; both (N,)."""
    row = np.zeros(len(asked), dtype=np.int64)
    distance = np.zeros(len(asked))
    known_squares = (known**2).sum(axis=1)
    for start in range(0, len(asked), _CHUNK):
        part = asked[start : start + _CHUNK]
        squares = known_squares - 2 * part @ known.T + (part**2).sum(axis=1)[:, None]
        if skip_equal:  # rounding leaves some 1e-13 of equal compositions
            squares[squares < 1e-10] = np.inf
        best = squares.argmin(axis=1)
        row[start : start + _CHUNK] = best
        exact = np.linalg.norm(part - known[best], axis=1)
        nowhere = np.isinf(squares[np.arange(len(part)), best])
        distance[start : start + _CHUNK] = np.where(nowhere, np.inf, exact)
    return row, distance
