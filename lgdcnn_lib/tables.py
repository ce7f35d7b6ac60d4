"""A user's own CSV: checked columns, good rows, and bad rows with their reasons."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.errors import ParserWarning

from lgdcnn_lib.benchmarks import Task
from lgdcnn_lib.composition import encode

SHARES: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


def read_formulas(
    path: str | Path, formula: str = "formula", text: bool = False
) -> pd.DataFrame:
    """Read a CSV, every cell of the formula column as text ("NaN" is a formula).

    With ``text`` all other columns are text too, and stay as they are written.

    Raises
    ------
    OSError
        When there is no such file.
    ValueError
        When the file cannot be read as UTF-8 and CSV, or has no such column or no rows.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ParserWarning)
            columns = len(pd.read_csv(path, nrows=0, index_col=False).columns)
            table = pd.read_csv(
                path,
                dtype=str if text else {formula: str},
                keep_default_na=False,
                index_col=False,
                skip_blank_lines=columns > 1,  # of one column, it is an empty cell
            )
    except ParserWarning:  # pandas would drop cells, or take formulas for an index
        raise ValueError(
            f"{path}: rows have more cells than the first line has columns; is a "
            "column's name missing, or a cell with a comma not quoted?"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from error
    if formula not in table:
        names = ", ".join(map(str, table.columns))
        raise ValueError(f"{path} has no column {formula!r}; it has: {names}")
    if table.empty:
        raise ValueError(f"{path} has no rows")
    return table


def check_rows(
    table: pd.DataFrame,
    formula: str = "formula",
    target: str | None = None,
    classes: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the rows that can be used from those that cannot.

    Parameters
    ----------
    table : DataFrame
    formula, target : str
        Columns; without ``target`` only the formulas are checked.
    classes : bool
        Whether targets must be 0 or 1 (or True and False).

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
    _check_columns(table, formula, *([] if target is None else [target]))
    _, rejects = encode(table[formula], on_error="collect")
    reasons = dict(zip(rejects["row"], rejects["reason"], strict=True))
    good = table.copy()
    if target is not None:
        given = table[target]
        if classes:  # "TRUE" is what spreadsheets write
            words = given.astype(str).str.lower()
            given = words.replace({"true": "1", "false": "0"})
        good[target] = pd.to_numeric(given, errors="coerce").astype(float)
        usable = good[target].isin([0, 1]) if classes else np.isfinite(good[target])
        wanted = "neither 0 nor 1" if classes else "not a finite number"
        for row in np.flatnonzero(~usable):
            text = f"target {str(table[target].iloc[row])!r} is {wanted}"
            reasons.setdefault(int(row), text)
    rows = sorted(reasons)
    bad = pd.DataFrame(
        {
            "row": rows,
            "formula": table[formula].iloc[rows].to_numpy(),
            "reason": [reasons[row] for row in rows],
        }
    )
    return good[~np.isin(np.arange(len(good)), rows)], bad


def _check_columns(table: pd.DataFrame, *wanted: str) -> None:
    for column in wanted:
        if column not in table:
            columns = ", ".join(map(str, table.columns))
            raise ValueError(f"no column {column!r}; there are: {columns}")


def merge_duplicates(
    table: pd.DataFrame,
    tolerance: float,
    formula: str = "formula",
    target: str = "target",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put one row, with the median target, where several have the same composition.

    Rows of different parts are not merged where a column ``split`` names the parts.

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
    ValueError
        For a missing column, or a tolerance below 0.
    """
    _check_columns(table, formula, target)
    if not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance}; must be 0 or more")
    group = group_rows(table[formula])
    if "split" in table:
        group = table.groupby([group, "split"], dropna=False).ngroup().to_numpy()
    targets = table[target].groupby(group)
    low, high = targets.transform("min"), targets.transform("max")
    differ = high - low > tolerance
    merged = table.assign(**{target: targets.transform("median")})[~differ]
    merged = merged[~pd.Series(group, table.index)[~differ].duplicated()]
    count = targets.transform("size")
    spans = zip(count[differ], low[differ], high[differ], strict=True)
    rejects = {
        "row": table.index[differ],
        "formula": table.loc[differ, formula].to_numpy(),
        "reason": [
            f"{n} rows of this composition say {least:g} to {most:g}"
            for n, least, most in spans
        ],
    }
    return merged, pd.DataFrame(rejects)


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
    dealt out at random, 80 : 10 : 10.

    Parameters
    ----------
    table : DataFrame
        Checked rows (`check_rows`).
    name : str
        Of the task.
    formula, target : str
        Columns.
    unit : str
        Of the target.
    metric : {"mae", "rocauc"}
    seed : int
        Of the split.
    group : {"composition", "system"}
        What stays together (`group_rows`). A warning names the number of rows that a
        given split tears from their group in the training set.

    Raises
    ------
    FormulaError
        For a formula that cannot be read.
    ValueError
        When there is no row or no such column, training or validation set would be
        empty (the test set may be), a split has an unknown name, ``group`` or
        ``metric`` is unknown, or training or validation set do not hold both classes,
        0 and 1, and nothing else.
    """
    _check_columns(table, formula, target)
    if table.empty:
        raise ValueError(f"{name} has no row that can be used")
    data = pd.DataFrame({"formula": table[formula], "target": table[target]})
    groups = group_rows(data["formula"], group)
    if "split" in table:
        split = table["split"].astype(str).to_numpy()
        unknown = set(split) - set(SHARES)
        if unknown:
            raise ValueError(f"unknown split {sorted(unknown)}; use {list(SHARES)}")
        torn = np.isin(groups, groups[split == "train"]) & (split != "train")
        if torn.any():
            warnings.warn(
                f"{torn.sum()} rows of val and test have a {group} that train has too",
                stacklevel=2,
            )
    else:
        split = _deal_out(groups, seed)
    parts = {part: data[split == part].reset_index(drop=True) for part in SHARES}
    for part in ("train", "val"):
        if parts[part].empty:
            raise ValueError(f"the {part} split of {name} is empty: more rows needed")
        if metric == "rocauc" and set(parts[part]["target"]) != {0, 1}:
            raise ValueError(f"the {part} split of {name} needs targets 0 and 1, both")
    return Task(name, unit=unit, metric=metric, **parts)


def _deal_out(group: np.ndarray, seed: int) -> np.ndarray:
    place = np.random.default_rng(seed).permutation(group.max() + 1)[group]
    share = (place + 0.5) / (group.max() + 1)
    edges = np.cumsum(list(SHARES.values()))[:-1]
    return np.array(list(SHARES))[np.searchsorted(edges, share)]
