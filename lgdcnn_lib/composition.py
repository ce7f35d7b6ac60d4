"""From formulas to tensors of atomic numbers and fractions.

A composition is a set of (element, fraction) pairs; a formula is one of many ways to
write it. `encode` reads many formulas into one padded batch. The elements stand in a
canonical order, amount descending and then atomic number ascending, and fractions are
computed from the exact decimals of the text: NaCl, ClNa and Na2Cl2 give the same bits.
What a formula may hold is written in `lgdcnn_lib.formulas`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lgdcnn_lib.batch import CompositionBatch, shuffle_elements
from lgdcnn_lib.formulas import FormulaError, FormulaWarning, read_formula

__all__ = [
    "CompositionBatch",
    "FormulaError",
    "FormulaWarning",
    "Order",
    "encode",
    "parse_formula",
    "shuffle_elements",
]

Order = Literal["canonical", "written"]


def parse_formula(
    formula: str, order: Order = "canonical"
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Read one formula.

    Parameters
    ----------
    formula
        Anything that `lgdcnn_lib.formulas` describes.
    order
        ``"canonical"``: amount descending, then atomic number ascending.
        ``"written"``: amount descending, ties in the order of the formula.

    Returns
    -------
    tuple
        Atomic numbers, and the fractions of the atoms (sum 1).

    Raises
    ------
    FormulaError
        If the formula cannot be read; it says why.

    Examples
    --------
    >>> parse_formula("Fe2O3")
    ((8, 26), (0.6, 0.4))
    """
    numbers, amounts, note = read_formula(formula)
    if note:
        warnings.warn(f"{formula!r}: {note}", FormulaWarning, stacklevel=2)
    _, ordered, fractions = _arrange([numbers], [amounts], order)
    return tuple(ordered.tolist()), tuple(fractions.tolist())


@overload
def encode(
    formulas: Iterable[str],
    *,
    on_error: Literal["raise"] = ...,
    order: Order = ...,
    length: int | None = ...,
) -> CompositionBatch: ...


@overload
def encode(
    formulas: Iterable[str],
    *,
    on_error: Literal["collect"],
    order: Order = ...,
    length: int | None = ...,
) -> tuple[CompositionBatch, pd.DataFrame]: ...


def encode(
    formulas: Iterable[str],
    *,
    on_error: Literal["raise", "collect"] = "raise",
    order: Order = "canonical",
    length: int | None = None,
) -> CompositionBatch | tuple[CompositionBatch, pd.DataFrame]:
    """Read many formulas into one padded batch.

    Parameters
    ----------
    formulas
        N formulas; `lgdcnn_lib.formulas` describes what they may hold. Those that are
        ambiguous and read by a rule are named in one `FormulaWarning`.
    on_error
        ``"raise"``: stop at the first formula that cannot be read. ``"collect"``:
        leave it out, and return a table of what was left out and why.
    order
        Order of the elements, as in `parse_formula`.
    length
        Length L of the rows; default: that of the longest formula.

    Returns
    -------
    CompositionBatch
        Tensors (N, L). With ``on_error="collect"``, a pair: the batch, and the rejects
        as a DataFrame with columns ``row`` (position in `formulas`, from 0),
        ``formula`` and ``reason``.

    Raises
    ------
    FormulaError
        If a formula cannot be read; it holds the row, the formula and the reason.
    ValueError
        If `length` is shorter than a formula, or an option has an unknown value.
    TypeError
        If `formulas` is one text instead of a list of them.
    """
    if isinstance(formulas, str):
        raise TypeError("encode takes a list of formulas: write encode([formula])")
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
    kept: list[str] = []
    numbers: list[list[int]] = []
    amounts: list[list[float]] = []
    notes: list[str] = []
    rejects: list[tuple[int, object, str]] = []
    for row, formula in enumerate(formulas):
        try:
            elements, values, note = read_formula(formula)
        except FormulaError as error:
            if on_error == "raise":
                raise FormulaError(formula, error.reason, row) from None
            rejects.append((row, formula, error.reason))
            continue
        kept.append(formula)
        numbers.append(elements)
        amounts.append(values)
        if note:
            notes.append(f"row {row}, {formula!r}: {note}")
    if notes:
        warnings.warn(_summary(notes), FormulaWarning, stacklevel=2)
    batch = _to_tensors(tuple(kept), *_arrange(numbers, amounts, order))
    batch = batch if length is None else batch.pad_to(length)
    if on_error == "raise":
        return batch
    return batch, _reject_table(rejects)


def _reject_table(rejects: list[tuple[int, object, str]]) -> pd.DataFrame:
    """Return the rejects as a table that keeps None apart from NaN."""
    frame: pd.DataFrame = pd.DataFrame(
        rejects, columns=["row", "formula", "reason"], dtype=object
    )
    return frame.astype({"row": np.int64})


def _summary(notes: list[str]) -> str:
    more = [f"and {len(notes) - 5} more"] if len(notes) > 5 else []
    return "\n".join([*notes[:5], *more])


def _arrange(
    numbers: list[list[int]], amounts: list[list[float]], order: Order
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return counts (N,), and atomic numbers and fractions, row after row, in order."""
    if order not in ("canonical", "written"):
        raise ValueError(f"order is 'canonical' or 'written', not {order!r}")
    counts = np.array([len(row) for row in numbers], dtype=np.int64)
    total = int(counts.sum())
    flat = np.fromiter((z for row in numbers for z in row), np.int64, total)
    fractions = _fractions(amounts, counts, total)
    rows = np.repeat(np.arange(len(counts)), counts)
    # Ties are decided on rounded fractions: amounts that differ by noise are equal.
    descending = -np.rint(fractions * 1e9)
    tie = flat if order == "canonical" else np.arange(total)
    sorting = np.lexsort((tie, descending, rows))
    return counts, flat[sorting], fractions[sorting]


def _fractions(
    amounts: list[list[float]], counts: NDArray[np.int64], total: int
) -> NDArray[np.float64]:
    """Return amounts divided by the sum of their row, correctly rounded.

    Whole numbers and their sums are exact in float64, so one division is all the
    rounding there is. Decimals are scaled to whole numbers first. A formula times any
    factor therefore has the same fractions, to the last bit.
    """
    flat = np.fromiter((a for row in amounts for a in row), np.float64, total)
    if not total:
        return flat
    starts = np.cumsum(counts) - counts
    fractions = flat / np.repeat(np.add.reduceat(flat, starts), counts)
    whole = np.logical_and.reduceat(flat == np.floor(flat), starts)
    for row in np.flatnonzero(~whole):
        place = slice(starts[row], starts[row] + counts[row])
        fractions[place] = _exact_fractions(amounts[row])
    return np.asarray(fractions, dtype=np.float64)


def _exact_fractions(amounts: list[float]) -> list[float]:
    # An amount is at least 1e-8 and has at most 17 digits: 30 places hold them all.
    scaled = [int(Decimal(repr(amount)).scaleb(30)) for amount in amounts]
    total = sum(scaled)
    return [value / total for value in scaled]


def _to_tensors(
    formulas: tuple[str, ...],
    counts: NDArray[np.int64],
    numbers: NDArray[np.int64],
    fractions: NDArray[np.float64],
) -> CompositionBatch:
    """Fill padded tensors (N, L) from the row-after-row arrays."""
    longest = int(counts.max()) if len(counts) else 0
    mask = np.arange(longest) < counts[:, None]
    padded_numbers = np.zeros(mask.shape, dtype=np.int64)
    padded_fractions = np.zeros(mask.shape, dtype=np.float32)
    padded_numbers[mask] = numbers
    padded_fractions[mask] = fractions
    return CompositionBatch(
        formulas,
        torch.from_numpy(padded_numbers),
        torch.from_numpy(padded_fractions),
        torch.from_numpy(mask),
    )
