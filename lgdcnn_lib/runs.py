"""One run of an experiment: train once, score, and say how it was made."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lgdcnn_lib.baselines import MeanBaseline, RandomForestBaseline
from lgdcnn_lib.benchmarks import BENCHMARKS, N_FOLDS, Task, load_benchmark, score
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.provenance import provenance
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


def run(
    spec: RunSpec, test: bool = True, checkpoint: Path | None = None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train once and score.

    Parameters
    ----------
    spec : RunSpec
    test : bool
        False leaves the test set alone (while choosing a recipe).
    checkpoint : Path, optional
        As for `training.fit`: a training that was stopped goes on from there.

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
    KeyboardInterrupt
        When the training is stopped: half a training has no row.
    """
    if spec.refit and not test:
        raise ValueError("a refit has nothing to score without the test set")
    task = subset(load_benchmark(spec.task, fold=spec.fold), spec.n_train, spec.seed)
    if spec.refit:
        task = with_validation(task)
    made = provenance()
    predictor, facts = _train(spec, task, checkpoint)
    options = {"orders": spec.orders} if spec.orders else {}
    splits = {"val": task.val} if len(task.val) else {}
    if test:
        splits["test"] = task.test
    tables = {
        name: predictor.predict(table["formula"], **options)
        for name, table in splits.items()
    }
    errors = {"val_error": "", "test_error": ""} | {
        f"{name}_error": _score(tables[name], rows, task)
        for name, rows in splits.items()
    }
    row = dict(zip(KEY, spec.key, strict=True)) | {"metric": task.metric} | errors
    named = [table.assign(split=name) for name, table in tables.items()]
    columns = ["split", "prediction", "std"]
    return row | facts | made, pd.concat(named, ignore_index=True)[columns]


def _train(
    spec: RunSpec, task: Task, checkpoint: Path | None
) -> tuple[Any, dict[str, Any]]:
    """Train; also return epochs, seconds and size."""
    if spec.model in BASELINES:
        start = time.perf_counter()
        baseline = BASELINES[spec.model](seed=spec.seed).fit(task)
        seconds = round(time.perf_counter() - start, 1)
        return baseline, {"epochs": 0, "seconds": seconds, "n_parameters": 0}
    model = build_model(spec.model, spec.model_config, seed=spec.seed)
    if spec.start:
        start_from(model, Predictor.load(spec.start))
    trained = fit(model, task, replace(spec.train_config, seed=spec.seed), checkpoint)
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained.predictor, {
        "epochs": len(trained.history),
        "seconds": round(trained.history["seconds"].sum(), 1),  # before a resume, too
        "n_parameters": model.n_parameters(),
    }


def _score(predictions: pd.DataFrame, truth: pd.DataFrame, task: Task) -> float:
    error = score(task.metric, truth["target"], predictions["prediction"])
    return float(f"{error:.6g}")


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
