"""Read what the grid has written: rows of results, and kept predictions.

A Matbench task is scored as its leaderboard does: the mean over the five folds. A seed
whose folds are not all there yet is left out of a summary, and counted as such.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lgdcnn_lib.benchmarks import BENCHMARKS, N_FOLDS
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.experiments import write_predictions

GROUP = ["task", "model", "recipe", "n_train"]
RUN = ["model", "recipe", "seed", "fold"]


def load_results(*names: str) -> pd.DataFrame:
    """Read ``data/results/<name>.csv``, several of them one below the other.

    Returns
    -------
    DataFrame
        A row a run, with the columns of `runs.COLUMNS`; ``fold`` and
        ``n_train`` are text, empty where there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such list.
    """
    text = {"fold": str, "n_train": str, "recipe": str}
    paths = [data_dir() / f"results/{name}.csv" for name in names]
    tables = [
        pd.read_csv(
            path,
            dtype=text,
            keep_default_na=False,
            na_values={"test_error": [""], "val_error": [""]},
        )
        for path in paths
    ]
    return pd.concat(tables, ignore_index=True).drop_duplicates(
        [*GROUP, "fold", "seed"]
    )


def by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over the folds of each seed; leave seeds with missing folds out.

    Returns
    -------
    DataFrame
        task, model, recipe, n_train, seed, val_error, test_error (means over folds),
        seconds (sum), n_parameters.
    """
    grouped = rows.groupby([*GROUP, "seed"], sort=False)
    table = grouped.agg(
        val_error=("val_error", "mean"),
        test_error=("test_error", "mean"),
        seconds=("seconds", "sum"),
        n_parameters=("n_parameters", "first"),
        folds=("fold", "nunique"),
    ).reset_index()
    needed = table["task"].map(folds_of)
    complete: pd.DataFrame = table[table["folds"] == needed].drop(columns="folds")
    return complete.reset_index(drop=True)


def folds_of(task: str) -> int:
    """Number of folds of a task: 5 for Matbench, else 1."""
    return N_FOLDS if BENCHMARKS[task].collection == "matbench" else 1


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over the seeds of each task, model, recipe and training size.

    Returns
    -------
    DataFrame
        task, model, recipe, n_train, n_seeds, val_error, test_error (means), spread
        (sample standard deviation of the test error over seeds; NaN for one seed),
        seconds (mean of a seed, all folds), n_parameters.
    """
    table: pd.DataFrame = (
        by_seed(rows)
        .groupby(GROUP, sort=False)
        .agg(
            n_seeds=("seed", "nunique"),
            val_error=("val_error", "mean"),
            test_error=("test_error", "mean"),
            spread=("test_error", "std"),
            seconds=("seconds", "mean"),
            n_parameters=("n_parameters", "first"),
        )
        .reset_index()
    )
    return table


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Keep, of each task and model of a `summary`, the recipe best on validation."""
    sign = np.where(_ranks(table), -1.0, 1.0)
    # NumPy's argsort: that of a pandas 2 Series does not put NaN last.
    order = np.argsort((sign * table["val_error"]).to_numpy(), kind="stable")
    best = table.iloc[order].drop_duplicates(["task", "model"])
    kept: pd.DataFrame = best.sort_index().reset_index(drop=True)
    return kept


def against(table: pd.DataFrame, reference: str, tie: float = 0.01) -> pd.DataFrame:
    """Judge the rows of a `summary` by what a model has published for their tasks.

    Parameters
    ----------
    reference
        A model of ``BENCHMARKS[task].published``; other tasks, and rows without a
        test error, are left out.
    tie
        Two errors tie if they differ by at most this share of the published one, or by
        at most the spread over seeds, where there are several.

    Returns
    -------
    DataFrame
        The rows with ``published``, ``ratio`` (error over published error) and
        ``verdict``: "win", "tie" or "loss". For a ROC-AUC the error is what is missing
        to 1.
    """
    known = [BENCHMARKS[task].published.get(reference) for task in table["task"]]
    found = table.assign(published=np.array(known, float))
    found = found.dropna(subset=["published", "test_error"])
    ranks = _ranks(found)
    ours, theirs = (
        found[column].where(~ranks, 1 - found[column])
        for column in ("test_error", "published")
    )
    margin = np.fmax(tie * theirs, found["spread"])
    verdict = np.where(ours < theirs, "win", "loss")
    verdict = np.where((ours - theirs).abs() <= margin, "tie", verdict)
    result: pd.DataFrame = found.assign(ratio=ours / theirs, verdict=verdict)
    return result.reset_index(drop=True)


def _ranks(table: pd.DataFrame) -> pd.Series:
    """Whether a row is judged by ROC-AUC."""
    ranks = [BENCHMARKS[task].metric == "rocauc" for task in table["task"]]
    return pd.Series(ranks, index=table.index, dtype=bool)


def load_predictions(task: str, model: str = "lg_dcnn") -> pd.DataFrame:
    """Read the kept predictions of a task.

    Returns
    -------
    DataFrame
        model, recipe, seed, fold, split (val, test), prediction, std; within a run and
        a split in the row order of ``load_benchmark(task, fold)``.

    Raises
    ------
    FileNotFoundError
        When no predictions of the task are kept.
    ValueError
        When there are none of this model.
    """
    path = data_dir() / f"results/predictions/{task}.csv.xz"
    if not path.exists():
        raise FileNotFoundError(f"no predictions of {task} are kept in {path.parent}")
    text = {"fold": str, "recipe": str}
    table = pd.read_csv(path, dtype=text, keep_default_na=False)
    found: pd.DataFrame = table[table["model"] == model].reset_index(drop=True)
    if found.empty:
        known = ", ".join(sorted(set(table["model"])))
        raise ValueError(f"no predictions of {model!r} on {task}; there are: {known}")
    return found


def three_digits(value: object) -> object:
    """Write a float with three significant digits, NaN as nothing; leave the rest."""
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:#.3g}".rstrip(".")


def pack_predictions(folder: Path, out: Path) -> None:
    """Gather the files of single runs into one file a task.

    Parameters
    ----------
    folder
        Files ``task-fold-model-seed-recipe.csv.xz`` that `save_predictions` wrote.
    out
        Folder of the files ``<task>.csv.xz``. Runs that are there already stay.
    """
    tables: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(folder.glob("*.csv.xz")):
        task, *parts = path.name.removesuffix(".csv.xz").split("-")
        fold, model, seed, recipe = parts if len(parts) == 4 else ("", *parts)
        table = pd.read_csv(path)
        table = table.assign(model=model, recipe=recipe, seed=int(seed), fold=fold)
        table = table[[*RUN, "split", "prediction", "std"]]
        tables.setdefault(task, []).append(table)
    out.mkdir(parents=True, exist_ok=True)
    for task, runs in tables.items():
        path = out / f"{task}.csv.xz"
        text = {"fold": str, "recipe": str}
        known = []
        if path.exists():
            known = [pd.read_csv(path, dtype=text, keep_default_na=False)]
        done = {key for table in known for key in table.groupby(RUN).groups}
        new = [run for run in runs if tuple(run.loc[0, RUN]) not in done]
        if new:
            write_predictions(pd.concat(known + new), path, task)
