"""100 epochs, spent in three ways: one training, four snapshots of it, four trainings.

    python tools/snapshots.py                            # all four tasks
    python tools/snapshots.py --task mp_bulk_modulus     # one of them

Writes ``data/results/snapshots.csv``: a row for the mean of the last 1 to 4 networks of
each way and seed. What has its rows is not repeated.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from grid import FOUR_TASKS, HALF, SEEDS
from lgdcnn_lib.benchmarks import Task, load_benchmark, score
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.models import build_model
from lgdcnn_lib.provenance import provenance, start_process
from lgdcnn_lib.training import Run, TrainConfig, fit, fit_snapshots
from recipe_search import LONG, ORDERS

RESULTS = data_dir() / "results/snapshots.csv"
MEMBERS = 4
SHORT = replace(LONG, epochs=LONG.epochs // MEMBERS)
COLUMNS = (
    "task", "fold", "way", "seed", "members", "epochs", "val_error", "test_error",
    "ambiguity", "seconds", "commit", "date", "hardware", "versions", "command",
)  # fmt: skip


def trained(task: Task, seed: int, recipe: TrainConfig) -> Run:
    """Train one network from the start."""
    network = build_model("lg_dcnn", HALF, seed=seed)
    return fit(network, task, replace(recipe, seed=seed))


def once(task: Task, seed: int) -> list[Run]:
    """One long training."""
    return [trained(task, seed, LONG)]


def snapshots(task: Task, seed: int) -> list[Run]:
    """One training in four cycles, each with a snapshot at its end."""
    network = build_model("lg_dcnn", HALF, seed=seed)
    return fit_snapshots(network, task, replace(SHORT, seed=seed), MEMBERS)


def seeds(task: Task, seed: int) -> list[Run]:
    """Four short trainings that have nothing in common but data and recipe."""
    first = MEMBERS * seed
    return [trained(task, s, SHORT) for s in range(first, first + MEMBERS)]


WAYS = {"once": once, "snapshots": snapshots, "seeds": seeds}


def rows(task: Task, runs: list[Run]) -> Iterator[dict[str, Any]]:
    """Score the mean of the last networks, for each number of them.

    ``ambiguity``: their disagreement's share of their mean squared error, test rows.
    """
    found, truth = {}, {"val": task.val["target"], "test": task.test["target"]}
    for part, table in (("val", task.val), ("test", task.test)):
        each = [run.predictor.predict(table["formula"], orders=ORDERS) for run in runs]
        found[part] = np.array([member["prediction"] for member in each])
    for n in range(1, len(runs) + 1):
        last = found["test"][-n:]
        squared = ((last - truth["test"].to_numpy()) ** 2).mean()
        errors = {
            f"{part}_error": score(task.metric, truth[part], found[part][-n:].mean(0))
            for part in truth
        }
        yield {"members": n, "ambiguity": last.var(axis=0).mean() / squared} | errors


def done(path: Path) -> set[tuple[str, str, str]]:
    """Task, way and seed of what has rows."""
    if not path.exists():
        return set()
    known = pd.read_csv(path, dtype=str)[["task", "way", "seed"]]
    return set(known.itertuples(index=False, name=None))


def write(path: Path, new: list[dict[str, Any]]) -> None:
    """Add rows; safe beside another process."""
    with (
        FileLock(path.parent / ".lock"),
        path.open("a", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        if not file.tell():
            writer.writeheader()
        writer.writerows(new)


def perform(name: str, fold: int | None, way: str, seed: int, path: Path) -> None:
    """Train in one way, score, write."""
    task, made = load_benchmark(name, fold=fold), provenance()
    runs = WAYS[way](task, seed)
    if any(run.interrupted for run in runs):
        raise KeyboardInterrupt
    history = pd.concat([run.history for run in runs])
    facts = {
        "task": name, "fold": "" if fold is None else fold, "way": way, "seed": seed,
        "epochs": len(history), "seconds": round(history["seconds"].sum(), 1),
    }  # fmt: skip
    new = [facts | made | row for row in rows(task, runs)]
    for row in new:
        for key in ("val_error", "test_error", "ambiguity"):
            row[key] = float(f"{row[key]:.6g}")
    write(path, new)


def main() -> None:
    """Do what has no rows yet, a whole seed before the next."""
    parser = argparse.ArgumentParser(description="Spend 100 epochs in three ways.")
    tasks = dict(FOUR_TASKS)
    parser.add_argument("--task", choices=tasks, help="only this task")
    options = parser.parse_args()
    start_process()
    for seed in SEEDS:
        for name, fold in tasks.items():
            for way in WAYS:
                wanted = options.task in (None, name)
                if wanted and (name, way, str(seed)) not in done(RESULTS):
                    perform(name, fold, way, seed, RESULTS)


if __name__ == "__main__":
    main()
