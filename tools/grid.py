"""Run the book's experiments: one row at once per finished run, resumable.

    python tools/grid.py recipe --jobs 2     # which recipe? (validation sets only)
    python tools/grid.py classes --jobs 2    # which for classes? (validation only)
    python tools/grid.py main --jobs 2       # lg_dcnn on all 31 tasks, 3 seeds
    python tools/grid.py single --jobs 2     # other networks, the smaller tasks
    python tools/grid.py forest --jobs 2     # random forests, the smaller tasks
    python tools/grid.py samples --jobs 2    # error against training size
    python tools/grid.py lengths --jobs 2    # error against the number of epochs
    python tools/grid.py vectors --jobs 2    # element vectors
    python tools/grid.py few --jobs 2        # element vectors with few rows
    python tools/grid.py leaks --jobs 2      # padding and order, as published and not
    python tools/grid.py steps --jobs 2      # what each step to the best recipe brings
    python tools/grid.py best --jobs 2       # the best, refitted with validation
    python tools/grid.py partner --jobs 2    # a transformer, to be averaged with it
    python tools/grid.py transfer --jobs 2   # from data/pretrained, or from the start
    python tools/grid.py published --jobs 2  # the published recipe, in full
    python tools/grid.py ingredients         # its ingredients, one at a time, small

Each list writes ``data/results/<name>.csv`` and, where chapters need them, predictions,
packed into ``data/results/predictions`` at the end (``pack`` packs what there is).
Several lists may be named: they are done in that order. A training that was stopped
goes on from its last epoch. One long training may have several processes:

    torchrun --nproc-per-node 2 tools/grid.py best --task OQMD_Bandgap --seed 0
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lgdcnn_lib import parallel
from lgdcnn_lib.benchmarks import BENCHMARKS, N_FOLDS
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.experiments import run_grid
from lgdcnn_lib.models import ModelConfig
from lgdcnn_lib.provenance import start_process
from lgdcnn_lib.results import pack_predictions
from lgdcnn_lib.runs import BASELINES, RunSpec, specs
from lgdcnn_lib.training import TrainConfig
from pretrain import PRETRAINED
from recipe_search import (
    CHOICE,
    DEFAULT,
    FOUR_TABLES,
    LONG,
    NETWORK,
    ORDERS,
    class_round,
    recipe,
    varied,
)

RESULTS = data_dir() / "results"
PREDICTIONS = Path("runs/predictions")
CHECKPOINTS = Path("runs/checkpoints")
SMALL = 20_000  # rows: the tasks on which everything is compared
LARGE = 120_000  # rows: beyond, a network takes hours of a core
SEEDS = (0, 1, 2)


def smaller() -> list[str]:
    """Names of the tasks of at most 20,000 rows."""
    return [name for name, task in BENCHMARKS.items() if task.rows <= SMALL]


def main_grid() -> list[RunSpec]:
    """L-G-DCNN with the chosen recipe on every task; a whole seed before the next."""
    grids = (specs(BENCHMARKS, ["lg_dcnn"], [s], DEFAULT, NETWORK) for s in SEEDS)
    return [spec for grid in grids for spec in grid]


def single() -> list[RunSpec]:
    """Other networks with the same recipe and budget; the first folds first.

    On mid-sized regressions a transformer alone, whose validation rows say whether it
    may join the best.
    """
    models = ["lstm", "dcnn", "transformer"]
    grid = specs(smaller(), models, [0], DEFAULT, NETWORK)
    middle = [
        name
        for name, task in BENCHMARKS.items()
        if SMALL < task.rows <= LARGE and task.metric == "mae"
    ]
    partners = specs(middle, ["transformer"], [0], DEFAULT, NETWORK)
    return sorted(grid, key=lambda spec: spec.fold or 0) + partners


def forest() -> list[RunSpec]:
    """Random forests on composition features, and the mean."""
    return specs(smaller(), list(BASELINES), [0], DEFAULT, ModelConfig())


def on_choice(
    configs: list[tuple[str, ModelConfig, TrainConfig]],
    tasks: tuple[tuple[str, int | None], ...],
) -> list[RunSpec]:
    """Each network and recipe on the tasks of choice, with three seeds."""
    return [
        RunSpec(task, model, fold, seed, network, replace(train, seed=seed))
        for seed in SEEDS
        for model, network, train in configs
        for task, fold in tasks
    ]


FOUR_TASKS = (*CHOICE, ("mp_bulk_modulus", None))
HALF = replace(NETWORK, d=128)  # half as wide: many trainings, a third of the time


def stretched(train: TrainConfig, share: float) -> TrainConfig:
    """Epochs for a share of the rows, so that a training takes about as many steps.

    A batch is the root of the training size, and so are the steps of an epoch.
    """
    return replace(train, epochs=round(train.epochs / share**0.5))


def samples() -> list[RunSpec]:
    """Error against training size, on four tasks, with about as many steps at any."""
    grid = []
    for task, fold in FOUR_TASKS:
        n = BENCHMARKS[task].splits[0]
        for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
            size = None if share == 1 else round(share * n)
            for seed in SEEDS:
                train = stretched(replace(DEFAULT, seed=seed), share)
                for model in ("lg_dcnn", "transformer", "random_forest"):
                    grid.append(RunSpec(task, model, fold, seed, HALF, train, size))
    return grid


def lengths() -> list[RunSpec]:
    """Error against the number of epochs, each a training of its own."""
    budgets = [replace(DEFAULT, epochs=n) for n in (2, 5, 10, 20, 40, 80)]
    models = ("lg_dcnn", "transformer", "lstm", "dcnn")
    return on_choice([(m, HALF, b) for b in budgets for m in models], CHOICE[:2])


def vectors() -> list[RunSpec]:
    """Element tables, alone and joined."""
    tables = (
        "mat2vec", "onehot", "random", "magpie", "skipatom", "mace_mp0", "orb_v2",
        "chgnet", "sevennet", "mat2vec+mat2vec", "mat2vec+mace_mp0", FOUR_TABLES,
    )  # fmt: skip
    networks = [ModelConfig(d=128, element_table=table) for table in tables]
    return on_choice([("lg_dcnn", n, DEFAULT) for n in networks], FOUR_TASKS)


def few() -> list[RunSpec]:
    """Element tables with few training rows, and as many steps (`samples`)."""
    grid = []
    chosen = (CHOICE[0][0], CHOICE[2][0])
    for spec in [spec for spec in vectors() if spec.task in chosen]:
        for share in (0.05, 0.2):
            size = round(share * BENCHMARKS[spec.task].splits[0])
            longer = stretched(spec.train_config, share)
            grid.append(replace(spec, train_config=longer, n_train=size))
    return grid


def leaks() -> list[RunSpec]:
    """The published forward pass, and the leaks closed one at a time."""
    mixed = replace(DEFAULT, batching="mixed")
    paper = ModelConfig.paper(d=128)
    configs = [
        ("lg_dcnn", paper, mixed),
        ("lg_dcnn", replace(paper, padding="masked"), DEFAULT),
        ("lg_dcnn", replace(paper, order="canonical"), mixed),
        ("lg_dcnn", replace(paper, padding="masked", order="canonical"), DEFAULT),
    ]
    return on_choice(configs, FOUR_TASKS)


# Where validation preferred beta = 1: targets that are mostly near zero (and Ed, which
# is like e_hull).
BETA = {
    "aflow__Egap", "mp_e_hull", "mp_mu_b", "CritExam__Ed", "CritExam__Ef",
    "matbench_mp_gap", "OQMD_Bandgap",
}  # fmt: skip

# Where LONG is worse on validation rows.
PLAIN = {"matbench_expt_gap", "matbench_expt_is_metal", "matbench_glass"}

# Tasks of more than 100,000 rows for which 100 epochs could not be paid yet.
SHORT = {
    "matbench_mp_gap", "matbench_mp_e_form", "matbench_mp_is_metal", "OQMD_Bandgap",
}  # fmt: skip


def best_recipe(task: str) -> tuple[ModelConfig, TrainConfig, int]:
    """Network, recipe and number of orders that validation chose for a task."""
    if task == "matbench_perovskites":  # twins: decay keeps it from learning by heart
        return HALF, replace(DEFAULT, weight_decay=3.0), 0
    if task in PLAIN:
        return NETWORK, DEFAULT, 0
    beta = 1.0 if task in BETA else 0.0
    if task in SHORT:
        return NETWORK, replace(DEFAULT, beta=beta), 0
    return NETWORK, replace(LONG, beta=beta), ORDERS


def best(model: str = "lg_dcnn") -> list[RunSpec]:
    """The chosen recipes, refitted on training and validation rows; three seeds.

    The largest tasks come last: a network of theirs takes hours of a core.
    """
    names = sorted(BENCHMARKS, key=lambda name: BENCHMARKS[name].rows)
    grid = []
    for seed in SEEDS:
        for name in names:
            task = BENCHMARKS[name]
            network, train, orders = best_recipe(name)
            folds = range(N_FOLDS) if task.collection == "matbench" else [None]
            config = replace(train, seed=seed)
            grid += [
                RunSpec(name, model, f, seed, network, config, None, orders, True)
                for f in folds
            ]
    large = {n for n in names if BENCHMARKS[n].rows > LARGE}
    return sorted(grid, key=lambda spec: spec.task in large)


def partner() -> list[RunSpec]:
    """A network of another kind, whose predictions are averaged with the best.

    On regressions: pairs are judged by absolute errors. A transformer does not see the
    order of elements: there is nothing to shuffle. It gets 40 epochs: with 100, three
    validation errors rose by 4 or fell by 1 %.
    """
    grid = []
    for spec in best("transformer"):
        if BENCHMARKS[spec.task].metric == "rocauc":
            continue
        long = spec.train_config
        short = replace(long, epochs=DEFAULT.epochs, shuffle_elements=False)
        grid.append(replace(spec, train_config=short, orders=0))
    return grid


def steps() -> list[RunSpec]:
    """From the default to the best recipe, one step at a time, at half the width."""
    tasks = ("aflow__ael_bulk_modulus_vrh", "mp_bulk_modulus")
    ladder = [
        (DEFAULT, 0, False),
        (replace(DEFAULT, epochs=100), 0, False),
        (LONG, ORDERS, False),
        (LONG, ORDERS, True),
    ]
    return [
        RunSpec(
            task, "lg_dcnn", None, seed, HALF, replace(train, seed=seed), None,
            orders, refit,
        )
        for seed in SEEDS
        for train, orders, refit in ladder
        for task in tasks
    ]  # fmt: skip


def transfer() -> list[RunSpec]:
    """Small tasks from a network that knows formation enthalpies, and from none.

    Seed 0 is the teacher's own: the head starts as the teacher's did, along which its
    features have grown. Chapter 26 shows what comes of it, and judges by the others.
    """
    grid = []
    for seed in (*SEEDS, 3):
        for task in ("matbench_phonons", "matbench_jdft2d", "matbench_steels",
                     "matbench_expt_gap"):  # fmt: skip
            n = BENCHMARKS[task].splits[0]
            for size in [*(s for s in (50, 200, 800) if s < n), None]:
                for start in ("", PRETRAINED):
                    config = replace(DEFAULT, seed=seed)
                    grid.append(
                        RunSpec(task, "lg_dcnn", seed, seed, NETWORK, config, size,
                                start=start)
                    )  # fmt: skip
    return grid


def published() -> list[RunSpec]:
    """The published network and recipe, in full, on one task."""
    task, fold = CHOICE[0]
    return [
        RunSpec(task, "lg_dcnn", fold, s, ModelConfig.paper(), TrainConfig.paper(s))
        for s in SEEDS
    ]


def ingredients() -> list[RunSpec]:
    """Ingredients of the published recipe in ours, small; judged by validation."""
    cycles = {"schedule": "triangular"}
    lamb = {"optimizer": "lamb_lookahead", "lr": 6e-3}
    batches = {"batching": "mixed", "batch_size": "published"}
    changes: list[dict[str, Any]] = [
        {},
        lamb,
        cycles,
        batches,
        {"jitter": 0.02},
        cycles | lamb | batches | {"jitter": 0.02},
    ]
    short = replace(DEFAULT, epochs=20)  # 20: a whole cycle
    small = ModelConfig(d=64)
    return varied([({}, change, 0) for change in changes], CHOICE[:2], small, short)


LISTS: dict[str, Callable[[], list[RunSpec]]] = {
    "recipe": recipe,
    "classes": class_round,
    "main": main_grid,
    "single": single,
    "forest": forest,
    "samples": samples,
    "lengths": lengths,
    "vectors": vectors,
    "few": few,
    "leaks": leaks,
    "steps": steps,
    "best": best,
    "partner": partner,
    "transfer": transfer,
    "published": published,
    "ingredients": ingredients,
}
# Lists whose predictions are kept.
KEPT = {"main", "single", "forest", "best", "partner", "steps"}
BLIND = {"recipe", "classes", "ingredients"}  # lists that do not look at test sets


def main() -> int:
    """Run the lists named."""
    parser = argparse.ArgumentParser(description="Run the book's experiments.")
    parser.add_argument("lists", nargs="+", choices=[*LISTS, "pack"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    parser.add_argument("--task", choices=BENCHMARKS, help="only this task")
    parser.add_argument("--seed", type=int, help="only this seed")
    options = parser.parse_args()
    start_process()
    parallel.join()
    failed = 0
    for name in options.lists:
        if name == "pack":
            continue
        grid = [
            spec
            for spec in LISTS[name]()
            if options.task in (None, spec.task) and options.seed in (None, spec.seed)
        ]
        kept = PREDICTIONS if name in KEPT else None
        path = options.out / f"{name}.csv"
        test = name not in BLIND
        failed += run_grid(grid, path, test, kept, options.jobs, CHECKPOINTS)
    if not parallel.rank():
        pack_predictions(PREDICTIONS, options.out / "predictions")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
