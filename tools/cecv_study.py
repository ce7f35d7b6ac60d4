"""Train the networks whose layers the book looks into, and count what they see.

    python tools/cecv_study.py checkpoints     # the nine of `shipped`, kept as files
    python tools/cecv_study.py controls        # seeds, width, kernel, padding, data, …
    python tools/cecv_study.py design          # fusion in steps, and roads not taken
    python tools/cecv_study.py nulls           # untrained networks and bare vectors

Names of runs may follow, to do only these. A run that has its row in
``data/results/cecv_runs.csv`` is not repeated, so that a list can be taken up at any
moment, by several processes too; with ``--again`` all runs named are repeated, and new
rows and files take the place of the old. CECV uses the formulas of the test set, never
its targets; the test error is scored once, after the last epoch.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from lgdcnn_lib.benchmarks import Task, load_benchmark, score
from lgdcnn_lib.cecv import cecv_table, count_environments, environment_matrices
from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import ATOMIC_NUMBERS, data_dir, element_table
from lgdcnn_lib.models import CompositionModel, ModelConfig, build_model
from lgdcnn_lib.provenance import provenance, start_process
from lgdcnn_lib.shipped import SHIPPED
from lgdcnn_lib.training import TrainConfig, Trainer

RUNS = data_dir() / "results/cecv_runs.csv"
COUNTS = data_dir() / "results/cecv_counts.csv"
CHECKPOINTS = data_dir() / "checkpoints"
ELEMENTS = ("Si", "O", "Li", "Al", "Fe", "Cu", "As", "La")
SNAPSHOTS = (0, 1, 2, 5, 10, 20)
RECIPE = TrainConfig(epochs=30, batch_size=128, lr=1e-3, eval_every=5, device="cpu")
WIDTH = ModelConfig(d=128)
RUN_FIELDS = (
    "run", "model", "task", "seed", "d", "kernel", "padding", "epochs", "batch_size",
    "n_parameters", "val_mae", "test_mae", "seconds", "commit", "date", "hardware",
    "versions", "command",
)  # fmt: skip
COUNT_FIELDS = (
    "run", "epoch", "layer", "element", "method", "n_compounds",
    "c05", "c10", "c15", "c20", "c25", "c30", "c35", "c40",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Study:
    """One training whose layers are looked into."""

    run: str
    model: str
    task: str = "CritExam__Ef"
    seed: int = 0
    config: ModelConfig = WIDTH
    recipe: TrainConfig = RECIPE
    fold: int | None = None
    keep: bool = False  # as a checkpoint
    every: bool = False  # counts of all elements, at the end


def checkpoints() -> list[Study]:
    """The nine that are shipped: one recipe, one budget."""
    return [Study(f"{name}-main", name, keep=True, every=True) for name in SHIPPED]


def design() -> list[Study]:
    """L-G-DCNN in three steps, and roads not taken: 3 seeds, 2 small data sets."""
    networks = {name: (name, WIDTH) for name in SHIPPED if name != "dcnn_k1"}
    networks["dcnn>lstm"] = ("dcnn>lstm", WIDTH)
    networks["gru>dcnn"] = ("gru>dcnn", WIDTH)
    networks["transformer>dcnn"] = ("transformer>dcnn", WIDTH)
    no_skips = dataclasses.replace(WIDTH, residual=False)
    networks["lg_dcnn, no skips"] = ("lg_dcnn", no_skips)
    separate = dataclasses.replace(WIDTH, attention="separate")
    networks["lg_dcnn, 2 attentions"] = ("lg_dcnn", separate)
    for blocks in (4, 5):  # as many parameters as designs 1 and 3
        deeper = dataclasses.replace(WIDTH, blocks=blocks)
        networks[f"dcnn, {blocks} blocks"] = ("dcnn", deeper)
    studies = []
    for task, fold in (("aflow__ael_bulk_modulus_vrh", None), ("matbench_expt_gap", 0)):
        for seed in range(3):
            recipe = TrainConfig(epochs=40, eval_every=10, seed=seed, device="cpu")
            for name, (model, config) in networks.items():
                run = f"design {task} {name} {seed}"
                studies.append(
                    Study(run, model, task, seed, config, recipe, fold, every=True)
                )
    return studies


def controls() -> list[Study]:
    """All that the separation of global and local models might depend on."""
    trio = ("lstm", "dcnn", "lg_dcnn")
    short = dataclasses.replace(RECIPE, epochs=10)
    published: dict[str, Any] = {
        "padding": "published",
        "order": "written",
        "encoding": "sin",
    }
    mixed = dataclasses.replace(short, batching="mixed")
    studies = []
    for seed in (1, 2):
        again = dataclasses.replace(RECIPE, seed=seed)
        for name in trio:
            studies.append(Study(f"{name}-seed{seed}", name, seed=seed, recipe=again))
    for name in ("lstm", "dcnn"):
        config = ModelConfig(d=128, **published)
        studies.append(Study(f"{name}-padded", name, config=config, recipe=mixed))
        studies.append(Study(f"{name}-mp_e_hull", name, "mp_e_hull", recipe=short))
        studies.append(Study(f"{name}-short", name, recipe=short))
        onehot = ModelConfig(d=128, element_table="onehot")
        studies.append(Study(f"{name}-onehot", name, config=onehot, recipe=short))
        for d in (32, 256):
            config = ModelConfig(d=d)
            studies.append(Study(f"{name}-d{d}", name, config=config, recipe=short))
    config = ModelConfig(d=128, kernel=5)
    studies.append(Study("dcnn-k5", "dcnn", config=config, recipe=short))
    wide = ModelConfig(d=256)
    studies.append(Study("dcnn_k1-d256", "dcnn_k1", config=wide, recipe=short))
    for name in trio:
        long = dataclasses.replace(RECIPE, epochs=60)
        studies.append(Study(f"{name}-long", name, recipe=long))
    return studies


def counts(
    study: str, epoch: int, model: CompositionModel, formulas: Any, every: bool
) -> Iterator[dict[str, Any]]:
    """Yield CECV rows of all layers; ``every``: all elements, and complete linkage."""
    for method in ("leader", "complete") if every else ("leader",):
        elements = None if every and method == "leader" else ELEMENTS
        table = cecv_table(model, formulas, elements, method=method, min_compounds=20)
        keys = ["element", "layer", "n_compounds"]
        for (element, layer, n), rows in table.groupby(keys, sort=False):
            values = zip(COUNT_FIELDS[6:], rows["count"], strict=True)
            yield {
                "run": study, "epoch": epoch, "layer": layer, "element": element,
                "method": method, "n_compounds": n, **dict(values),
            }  # fmt: skip


def write(path: Path, fields: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Add rows in the place of older ones of the same runs, safe beside others."""
    runs = {row["run"] for row in rows}
    with (
        FileLock(path.parent / ".lock"),
        path.open("a+", newline="", encoding="utf-8") as file,
    ):
        file.seek(0)
        kept = [row for row in csv.DictReader(file) if row["run"] not in runs]
        file.truncate(0)
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(kept + rows)


def train(study: Study, task: Task) -> tuple[Trainer, list[dict[str, Any]], float]:
    """Train with snapshots of the counts; return the seconds of training alone."""
    stages = study.model.split(">")
    name = stages if len(stages) > 1 else study.model
    model = build_model(name, study.config, seed=study.seed)
    trainer = Trainer(model, task, study.recipe)
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    for epoch in range(study.recipe.epochs + 1):
        last = epoch == study.recipe.epochs
        if epoch:
            start = time.perf_counter()
            trainer.run_epoch()
            seconds += time.perf_counter() - start
        snapshot = epoch in SNAPSHOTS or epoch % 25 == 0
        if last or (snapshot and not study.run.startswith("design")):
            formulas = task.test["formula"].tolist()
            rows += counts(study.run, epoch, model, formulas, last and study.every)
    return trainer, rows, seconds


def perform(study: Study) -> None:
    """Train, count, score once, write."""
    task = load_benchmark(study.task, fold=study.fold)
    trainer, rows, seconds = train(study, task)
    predictor = trainer.finish(interrupted=False)
    predicted = predictor.predict(task.test["formula"])["prediction"]
    config = trainer.model.config
    facts = {
        "run": study.run, "model": study.model, "task": study.task, "seed": study.seed,
        "d": config.d, "kernel": config.kernel, "padding": config.padding,
        "epochs": study.recipe.epochs, "batch_size": study.recipe.batch_size,
        "n_parameters": trainer.model.n_parameters(),
        "val_mae": f"{trainer.history[-1]['val_error']:.5g}",
        "test_mae": f"{score('mae', task.test['target'], predicted):.5g}",
        "seconds": round(seconds, 1), **provenance(),
    }  # fmt: skip
    if study.keep:
        predictor.info.update(facts)
        predictor.save(CHECKPOINTS / f"{study.model}.safetensors")
        facts_and_recipe = {**facts, "recipe": dataclasses.asdict(study.recipe)}
        text = json.dumps(facts_and_recipe, indent=1)
        (CHECKPOINTS / f"{study.model}.json").write_text(text + "\n")
    write(COUNTS, COUNT_FIELDS, rows)
    write(RUNS, RUN_FIELDS, [facts])


def done() -> set[str]:
    """Names of the runs that have their row."""
    return set(pd.read_csv(RUNS)["run"]) if RUNS.exists() else set()


def work(studies: list[Study], again: bool = False) -> None:
    """Perform what nobody else is doing, and has done unless ``again``."""
    locks = data_dir() / "results/.claims"
    locks.mkdir(parents=True, exist_ok=True)
    for study in studies:
        try:
            with FileLock(locks / study.run.replace(">", "-"), timeout=0):
                if again or study.run not in done():
                    perform(study)
        except Timeout:  # another process is at it
            continue


def nulls() -> None:
    """Count in untrained networks (5 seeds) and in bare element vectors."""
    formulas = load_benchmark("CritExam__Ef").test["formula"].tolist()
    rows: list[dict[str, Any]] = []
    for name in SHIPPED:
        for seed in range(5):
            model = build_model(name, ModelConfig(d=128), seed=seed)
            rows += counts(f"{name}-untrained{seed}", 0, model, formulas, False)
    batch = encode(formulas)
    sizes = batch.n_elements
    batch = batch[torch.nonzero((sizes >= 3) & (sizes <= 7))[:, 0]]
    mask, numbers = batch.mask.numpy(), batch.atomic_numbers.numpy()
    for name in ("mat2vec", "onehot"):
        vectors = element_table(name).vectors
        for element in ELEMENTS:
            chosen = np.flatnonzero((numbers == ATOMIC_NUMBERS[element]).any(axis=1))
            matrices = environment_matrices(vectors[numbers[chosen]], mask[chosen])
            values = zip(COUNT_FIELDS[6:], count_environments(matrices), strict=True)
            row = {"run": f"{name}-vectors", "epoch": 0, "layer": "vectors"}
            row |= {"element": element, "method": "leader", "n_compounds": len(chosen)}
            rows.append(row | dict(values))
    write(data_dir() / "results/cecv_nulls.csv", COUNT_FIELDS, rows)


def main() -> None:
    """Run the part named on the command line."""
    start_process()
    again = "--again" in sys.argv
    part, *wanted = [word for word in sys.argv[1:] if word != "--again"] or [""]
    lists = {"checkpoints": checkpoints, "controls": controls, "design": design}
    if part in lists:
        studies = lists[part]()
        if unknown := sorted(set(wanted) - {study.run for study in studies}):
            raise SystemExit(f"no run {', '.join(unknown)} in {part}")
        work([s for s in studies if not wanted or s.run in wanted], again)
    elif part == "nulls":
        nulls()
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
