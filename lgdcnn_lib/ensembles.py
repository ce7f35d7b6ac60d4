"""Average the kept predictions of several networks, of one kind or of two.

Whether a network of another kind helps is judged on validation rows (`pair_errors`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from lgdcnn_lib.benchmarks import BENCHMARKS, load_benchmark, score
from lgdcnn_lib.results import folds_of, load_predictions

RUNS = ["task", "model", "recipe"]


def ensemble_error(task: str, runs: pd.DataFrame) -> float:
    """Score the mean prediction of several kept runs on the test rows.

    Parameters
    ----------
    task : str
    runs : DataFrame
        Rows of `load_predictions`; every seed of a model has the same folds. Where
        there are several models, each counts for the same, whatever its seeds.

    Returns
    -------
    float
        MAE in the task's unit or ROC-AUC, averaged over the folds.

    Raises
    ------
    ValueError
        When a fold has not as many test rows of each seed as the task has, or there is
        no test row.
    """
    errors = []
    for fold, rows in runs[runs["split"] == "test"].groupby("fold"):
        truth = load_benchmark(task, int(fold) if fold else None).test["target"]
        kinds = []
        for _, kind in rows.groupby("model"):
            members = [run["prediction"].to_numpy() for _, run in kind.groupby("seed")]
            if {len(member) for member in members} != {len(truth)}:
                raise ValueError(f"{task}, fold {fold!r}: rows are missing, or double")
            kinds.append(np.mean(members, axis=0))
        mean = np.mean(kinds, axis=0)
        errors.append(score(BENCHMARKS[task].metric, truth, mean))
    if not errors:
        raise ValueError(f"{task}: no test rows")
    return float(np.mean(errors))


def whole_runs(task: str, model: str, recipe: str) -> pd.DataFrame:
    """Kept predictions of the seeds of a recipe that have all their folds.

    Returns
    -------
    DataFrame
        As `load_predictions`; empty, without columns, where none are kept.
    """
    try:
        kept = load_predictions(task, model)
    except (FileNotFoundError, ValueError):
        return pd.DataFrame()
    kept = kept[kept["recipe"] == recipe]
    folds = kept.groupby("seed")["fold"].nunique()
    whole: pd.DataFrame = kept[kept["seed"].isin(folds.index[folds == folds_of(task)])]
    return whole


def add_ensembles(table: pd.DataFrame) -> pd.DataFrame:
    """Add to a `summary` the error of the mean prediction of its seeds.

    Returns
    -------
    DataFrame
        With ``ensemble``; NaN where predictions are not kept.
    """
    errors = []
    for task, model, recipe in table[RUNS].to_numpy().tolist():
        runs = whole_runs(task, model, recipe)
        errors.append(ensemble_error(task, runs) if len(runs) else np.nan)
    return table.assign(ensemble=errors)


def add_mixed(
    table: pd.DataFrame, partners: pd.DataFrame, pairs: pd.DataFrame
) -> pd.DataFrame:
    """Add the error of the mean of two kinds of networks, and the one to report.

    Parameters
    ----------
    table : DataFrame
        Of `add_ensembles`.
    partners : DataFrame
        A `summary` of networks of another kind, at most one row a task.
    pairs : DataFrame
        Of `pair_errors`.

    Returns
    -------
    DataFrame
        With ``mixed``, NaN where a kind is missing; and ``final``: ``mixed`` where
        there is one, but ``ensemble`` where validation rows were better without.
    """
    other = {task: rest for task, *rest in partners[RUNS].to_numpy().tolist()}
    errors = []
    for task, model, recipe in table[RUNS].to_numpy().tolist():
        own = whole_runs(task, model, recipe)
        partner = whole_runs(task, *other[task]) if task in other else own[:0]
        both = pd.concat([own, partner]) if len(own) and len(partner) else own[:0]
        errors.append(ensemble_error(task, both) if len(both) else np.nan)
    mixed = pd.Series(errors, table.index, float)
    worse = set(pairs.index[~pairs["helps"]])
    use = mixed.notna() & ~table["task"].isin(worse)
    return table.assign(mixed=mixed, final=mixed.where(use, table["ensemble"]))


def pair_errors(
    tasks: Iterable[str], recipe: str, model: str, partner: str
) -> pd.DataFrame:
    """Is a second network of another kind better than a second seed? By validation.

    Parameters
    ----------
    tasks : iterable of str
        Regressions; those without kept validation rows of both kinds are left out.
    recipe : str
        Of both kinds.
    model, partner : str

    Returns
    -------
    DataFrame
        Indexed by task: ``one``, the MAE of one network of ``model``; ``seed``, of the
        mean of two seeds of it (NaN if there is one); ``kind``, of the mean of one of
        it and one of ``partner``; all averaged over pairs and folds. ``helps``: whether
        ``kind`` is lowest.
    """
    rows = {}
    for task in tasks:
        try:
            runs = [load_predictions(task, name) for name in (model, partner)]
        except (FileNotFoundError, ValueError):
            continue
        kept = [r[(r["recipe"] == recipe) & (r["split"] == "val")] for r in runs]
        folds = sorted(set(kept[0]["fold"]) & set(kept[1]["fold"]))
        if folds:
            each = [_pairs(task, f, *(k[k["fold"] == f] for k in kept)) for f in folds]
            rows[task] = np.mean(each, axis=0)
    table = pd.DataFrame(rows, ["one", "seed", "kind"]).T
    lowest = table[["one", "seed"]].min(axis=1)
    return table.assign(helps=table["kind"] < lowest)


def _pairs(
    task: str, fold: str, own: pd.DataFrame, other: pd.DataFrame
) -> tuple[float, float, float]:
    """Mean MAE of one, of two seeds, and of two kinds, on the validation rows."""
    truth = load_benchmark(task, int(fold) if fold else None).val["target"].to_numpy()

    def error(*members: np.ndarray) -> float:
        return float(np.abs(np.mean(members, axis=0) - truth).mean())

    ours, theirs = (
        [run["prediction"].to_numpy() for _, run in runs.groupby("seed")]
        for runs in (own, other)
    )
    seeds = [error(a, b) for a, b in combinations(ours, 2)]
    return (
        float(np.mean([error(a) for a in ours])),
        float(np.mean(seeds)) if seeds else np.nan,
        float(np.mean([error(a, b) for a in ours for b in theirs])),
    )
