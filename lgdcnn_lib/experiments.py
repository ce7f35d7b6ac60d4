"""The benchmark grid: tasks x folds x models x seeds, one row at once per finished run.

A run that has its row is never repeated, so a grid can be stopped and taken up at any
moment. Every row says how it was made; ``recipes.json`` spells out the recipes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from lgdcnn_lib.baselines import MeanBaseline, RandomForestBaseline
from lgdcnn_lib.benchmarks import BENCHMARKS, N_FOLDS, Task, load_benchmark, score
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.provenance import provenance, start_process
from lgdcnn_lib.training import TrainConfig, fit
from lgdcnn_lib.transfer import start_from

BASELINES = {"mean": MeanBaseline, "random_forest": RandomForestBaseline}


@dataclass(frozen=True)
class RunSpec:
    """One run of a grid.

    Attributes
    ----------
    task, model : str
        Names in ``BENCHMARKS``; in ``MODELS`` or ``BASELINES``.
    fold : int or None
    seed : int
        Of weights, batches and jitter, and of the subset.
    n_train : int or None
        Train on a random subset of this size (sample efficiency).
    orders : int
        Average predictions over as many random orders of the elements; 0 takes the
        canonical order, once.
    refit : bool
        Train on the validation rows too: for recipes that were chosen before.
    start : str
        Predictor file whose weights the training starts from (`transfer.start_from`).
    """

    task: str
    model: str
    fold: int | None = None
    seed: int = 0
    model_config: ModelConfig = field(default_factory=ModelConfig)
    train_config: TrainConfig = field(default_factory=TrainConfig)
    n_train: int | None = None
    orders: int = 0
    refit: bool = False
    start: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe: every setting but the seed."""
        extra = {"orders": self.orders, "refit": self.refit, "start": self.start}
        extra = {name: value for name, value in extra.items() if value}
        if self.model in BASELINES:
            return {"baseline": self.model} | extra
        train = asdict(self.train_config)
        train.pop("seed"), train.pop("device")
        if not train["beta"]:  # came later: earlier rows keep their recipe's name
            del train["beta"]
        settings = {"model_config": asdict(self.model_config), "train_config": train}
        return settings | extra

    @property
    def recipe(self) -> str:
        """Ten hexadecimal digits that name the recipe."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def key(self) -> tuple[str, ...]:
        """What makes a run unique, as text."""
        parts = (self.task, self.fold, self.model, self.seed, self.recipe, self.n_train)
        return tuple("" if part is None else str(part) for part in parts)


KEY = ("task", "fold", "model", "seed", "recipe", "n_train")
COLUMNS = (
    *KEY,
    "metric",
    "val_error",
    "test_error",
    "epochs",
    "seconds",
    "n_parameters",
    "commit",
    "date",
    "hardware",
    "versions",
    "command",
)


def subset(task: Task, n_train: int | None, seed: int) -> Task:
    """Keep a random ``n_train`` of the training rows; validation and test stay."""
    if n_train is None:
        return task
    train = task.train.sample(n=n_train, random_state=seed).reset_index(drop=True)
    return replace(task, train=train)


def with_validation(task: Task) -> Task:
    """Move the validation rows to the training rows."""
    train = pd.concat([task.train, task.val], ignore_index=True)
    return replace(task, train=train, val=task.val[:0])


def run(spec: RunSpec, test: bool = True) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train once and score.

    Parameters
    ----------
    spec : RunSpec
    test : bool
        False leaves the test set alone (while choosing a recipe).

    Returns
    -------
    row : dict
        The keys are ``COLUMNS``. Errors: MAE in the task's unit, or ROC-AUC.
    predictions : DataFrame
        split (val, test), prediction, std, in row order; no test rows when ``test``
        is False, no validation rows after a refit.

    Raises
    ------
    ValueError
        For a refit that may not look at the test set: nothing would be scored.
    """
    if spec.refit and not test:
        raise ValueError("a refit has nothing to score without the test set")
    task = subset(load_benchmark(spec.task, fold=spec.fold), spec.n_train, spec.seed)
    if spec.refit:
        task = with_validation(task)
    made = provenance()
    start = time.perf_counter()
    if spec.model in BASELINES:
        predictor: Any = BASELINES[spec.model](seed=spec.seed).fit(task)
        epochs, n_parameters = 0, 0
    else:
        model = build_model(spec.model, spec.model_config, seed=spec.seed)
        if spec.start:
            start_from(model, Predictor.load(spec.start))
        trained = fit(model, task, replace(spec.train_config, seed=spec.seed))
        predictor, epochs = trained.predictor, len(trained.history)
        n_parameters = model.n_parameters()
    seconds = time.perf_counter() - start
    options = {"orders": spec.orders} if spec.orders else {}
    splits = {"val": task.val} if len(task.val) else {}
    if test:
        splits["test"] = task.test
    tables = {
        name: predictor.predict(table["formula"], **options)
        for name, table in splits.items()
    }
    row = dict(zip(KEY, spec.key, strict=True)) | {
        "metric": task.metric,
        "val_error": "",
        "test_error": "",
        **{
            f"{name}_error": _score(tables[name], rows, task)
            for name, rows in splits.items()
        },
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "n_parameters": n_parameters,
    }
    named = [table.assign(split=name) for name, table in tables.items()]
    columns = ["split", "prediction", "std"]
    return row | made, pd.concat(named, ignore_index=True)[columns]


def _score(predictions: pd.DataFrame, truth: pd.DataFrame, task: Task) -> float:
    error = score(task.metric, truth["target"], predictions["prediction"])
    return float(f"{error:.6g}")


def finished(path: Path) -> set[tuple[str, ...]]:
    """Return the keys of the runs that have their row in ``path``.

    Raises
    ------
    ValueError
        For a file of something else.
    """
    if _is_new(path):
        return set()
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not set(KEY) <= set(rows):
        raise ValueError(f"{path} holds no results: name another file")
    return set(rows[list(KEY)].itertuples(index=False, name=None))


def _is_new(path: Path) -> bool:
    return not path.exists() or not path.stat().st_size


def append(path: Path, row: dict[str, Any], spec: RunSpec) -> None:
    """Write a row at once, and its recipe; safe beside other processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recipes = path.parent / "recipes.json"
    with FileLock(path.parent / ".lock"):
        new = _is_new(path)
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        known = json.loads(recipes.read_text()) if recipes.exists() else {}
        if spec.recipe not in known:
            known[spec.recipe] = spec.settings
            recipes.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def save_predictions(folder: Path, spec: RunSpec, predictions: pd.DataFrame) -> None:
    """Keep a run's predictions in row order.

    Raises
    ------
    ValueError
        For a run on a subset: its predictions have no place among the others'.
    """
    if spec.n_train is not None:
        raise ValueError(f"predictions of n_train={spec.n_train} are not kept")
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(part for part in spec.key if part) + ".csv.xz"
    write_predictions(predictions, folder / name, spec.task)


def write_predictions(table: pd.DataFrame, path: Path, task: str) -> None:
    """Write with five digits; probabilities with eight, or their ranks would tie."""
    digits = 8 if BENCHMARKS[task].metric == "rocauc" else 5
    table.to_csv(path, index=False, float_format=f"%.{digits}g")


def specs(
    tasks: Iterable[str],
    models: Sequence[str],
    seeds: Sequence[int],
    train_config: TrainConfig,
    model_config: ModelConfig,
) -> list[RunSpec]:
    """Build the grid, smallest tasks first; all five folds of a Matbench task.

    Raises
    ------
    KeyError
        For an unknown task.
    ValueError
        For an unknown model.
    """
    known = [*MODELS, *BASELINES]
    if unknown := sorted(set(models) - set(known)):
        raise ValueError(f"unknown models {unknown}; known: {', '.join(known)}")
    grid = []
    for task in sorted(tasks, key=lambda name: BENCHMARKS[name].rows):
        matbench = BENCHMARKS[task].collection == "matbench"
        folds = range(N_FOLDS) if matbench else [None]
        for seed in seeds:
            config = replace(train_config, seed=seed)
            grid += [
                RunSpec(task, model, fold, seed, model_config, config)
                for model in models
                for fold in folds
            ]
    return grid


def run_grid(
    grid: Iterable[RunSpec],
    path: Path,
    test: bool = True,
    predictions: Path | None = None,
    jobs: int = 1,
) -> int:
    """Run what has no row yet; one row in ``path`` per finished run.

    Several processes may share a grid, ``jobs`` of them started here: each takes the
    next run that nobody claimed. A run that fails prints its error, and the others go
    on.

    Returns
    -------
    int
        Number of runs that failed.
    """
    return len(_failures(list(grid), path, test, predictions, jobs))


def _failures(
    grid: list[RunSpec], path: Path, test: bool, predictions: Path | None, jobs: int
) -> set[tuple[str, ...]]:
    """Keys of the runs that failed; of several processes, each may have tried one."""
    if jobs > 1:
        # Spawned, not forked: a forked process cannot use a GPU.
        context = multiprocessing.get_context("spawn")
        arguments = [(grid, path, test, predictions, 1)] * jobs
        with context.Pool(jobs, start_process) as pool:
            return set().union(*pool.starmap(_failures, arguments, chunksize=1))
    failed = set()
    for spec in grid:
        if spec.key in finished(path):
            continue
        claim = path.parent / ".claims" / ("-".join(spec.key) + path.stem)
        claim.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(claim, timeout=0):
                if spec.key in finished(path):
                    continue
                row, predicted = run(spec, test)
                if predictions is not None:
                    save_predictions(predictions, spec, predicted)
                append(path, row, spec)
        except Timeout:  # another process is at it
            continue
        except Exception:
            failed.add(spec.key)
            print(f"FAILED {spec.key}\n{traceback.format_exc()}", file=sys.stderr)
    return failed
