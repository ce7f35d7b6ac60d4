"""A user's own CSV: checked columns, good rows, and bad rows with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lgdcnn_lib.benchmarks import Task
from lgdcnn_lib.composition import encode

SHARES: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


def read_formulas(path: str | Path, formula: str = "formula") -> pd.DataFrame:
    """Read a CSV, every cell of the formula column as text ("NaN" is sodium nitride).

    Raises
    ------
    ValueError
        When the file has no such column or no rows.
    """
    table = pd.read_csv(path, dtype={formula: str}, keep_default_na=False)
    if formula not in table:
        columns = ", ".join(map(str, table.columns))
        raise ValueError(f"{path} has no column {formula!r}; it has: {columns}")
    if table.empty:
        raise ValueError(f"{path} has no rows")
    return table


def check_rows(
    table: pd.DataFrame, formula: str = "formula", target: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the rows that can be used from those that cannot.

    Parameters
    ----------
    table : DataFrame
    formula, target : str
        Columns; without ``target`` only the formulas are checked.

    Returns
    -------
    good : DataFrame
        The usable rows, index kept; ``target`` as a number.
    rejects : DataFrame
        row (position in the table, from 0), formula, reason.

    Raises
    ------
    ValueError
        When the table has no such column.
    """
    if target is not None and target not in table:
        columns = ", ".join(map(str, table.columns))
        raise ValueError(f"no column {target!r}; there are: {columns}")
    _, rejects = encode(table[formula], on_error="collect")
    reasons = dict(zip(rejects["row"], rejects["reason"], strict=True))
    good = table.copy()
    if target is not None:
        good[target] = pd.to_numeric(table[target], errors="coerce")
        for row in np.flatnonzero(~np.isfinite(good[target].to_numpy(float))):
            text = f"target {table[target].iloc[row]!r} is not a finite number"
            reasons.setdefault(int(row), text)
    rows = sorted(reasons)
    bad = pd.DataFrame(
        {
            "row": rows,
            "formula": table[formula].iloc[rows].to_numpy(),
            "reason": [reasons[row] for row in rows],
        }
    )
    return good.drop(index=good.index[rows]), bad


def merge_duplicates(
    table: pd.DataFrame,
    tolerance: float,
    formula: str = "formula",
    target: str = "target",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put one row, with the median target, where several have the same composition.

    Parameters
    ----------
    table : DataFrame
        Checked rows.
    tolerance : float
        Largest difference between targets that are taken for one, in their unit.

    Returns
    -------
    merged : DataFrame
        The first row of each composition whose rows agree, index kept.
    rejects : DataFrame
        row (its label in the index), formula, reason: all rows of a composition whose
        targets differ by more.

    Raises
    ------
    FormulaError
        For a formula that cannot be read.
    """
    group = group_rows(table[formula])
    targets = table[target].groupby(group)
    low, high = targets.transform("min"), targets.transform("max")
    differ = high - low > tolerance
    merged = table.assign(**{target: targets.transform("median")})[~differ]
    merged = merged[~pd.Series(group, table.index)[~differ].duplicated()]
    count = targets.transform("size")
    bad = table.index[differ]
    reasons = [
        f"{count[row]} rows of this composition say {low[row]:g} to {high[row]:g}"
        for row in bad
    ]
    rejects = {"row": bad, "formula": table.loc[bad, formula], "reason": reasons}
    return merged, pd.DataFrame(rejects).reset_index(drop=True)


def group_rows(formulas: pd.Series, by: str = "composition") -> np.ndarray:
    """Number the groups of rows that a split must not tear apart.

    Parameters
    ----------
    formulas : N str
    by : {"composition", "system"}
        Rows of one composition (Fe2O3, Fe4O6), or of one chemical system, the same set
        of elements (Fe2O3, Fe3O4).

    Returns
    -------
    (N,) int array

    Raises
    ------
    FormulaError
        For a formula that cannot be read.
    ValueError
        When ``by`` is neither.
    """
    batch = encode(formulas)
    numbers = batch.atomic_numbers.numpy()
    if by == "system":
        rows = np.sort(numbers, axis=1)
    elif by == "composition":
        rows = np.hstack([numbers, batch.fractions.numpy()])
    else:
        raise ValueError(f"group rows by 'composition' or 'system', not {by!r}")
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel()


def make_task(
    table: pd.DataFrame,
    name: str,
    formula: str = "formula",
    target: str = "target",
    unit: str = "1",
    metric: str = "mae",
    seed: int = 0,
    group: str = "composition",
) -> Task:
    """Make a task from checked rows.

    A column ``split`` (train, val, test) is obeyed. Otherwise groups, not rows, are
    dealt out at random, 80 : 10 : 10. ``group`` says what stays together: rows of one
    ``"composition"``, or of one chemical ``"system"`` (see `group_rows`).

    Raises
    ------
    ValueError
        When a split would be empty or has an unknown name, or ``group`` is unknown.
    """
    data = table.rename(columns={formula: "formula", target: "target"})
    if "split" in data:
        split = data["split"].astype(str).to_numpy()
        unknown = set(split) - set(SHARES)
        if unknown:
            raise ValueError(f"unknown split {sorted(unknown)}; use {list(SHARES)}")
    else:
        split = _deal_out(group_rows(data["formula"], group), seed)
    parts = {
        part: data.loc[split == part, ["formula", "target"]].reset_index(drop=True)
        for part in SHARES
    }
    for part in ("train", "val"):
        if parts[part].empty:
            raise ValueError(f"the {part} split of {name} is empty: more rows needed")
    return Task(name, unit=unit, metric=metric, **parts)


def _deal_out(group: np.ndarray, seed: int) -> np.ndarray:
    place = np.random.default_rng(seed).permutation(group.max() + 1)[group]
    share = (place + 0.5) / (group.max() + 1)
    edges = np.cumsum(list(SHARES.values()))[:-1]
    return np.array(list(SHARES))[np.searchsorted(edges, share)]
