"""Measure the speed and the memory of all that has to be fast.

    python tools/bench.py          # about eight minutes on two idle cores

Prints one table and writes it to ``data/results/bench.csv``. Each number is the median
of several runs, with the lowest and the highest beside it. *share* is the per cent of
the machine's own speed in float32 matrix products that useful work reaches (see
`flops`); that speed is measured anew before every run. The exit status is 1 where a
limit is broken.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flops import useful_flop
from lgdcnn_lib.benchmarks import Task, load_benchmark
from lgdcnn_lib.cecv import cecv_table, count_environments
from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.environments import Method
from lgdcnn_lib.inference import batches_by_count
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.provenance import provenance
from lgdcnn_lib.training import TrainConfig, Trainer
from measure import (
    WIDTHS,
    Row,
    in_fresh_process,
    line,
    peak_memory,
    product_speed,
    seconds,
    threads,
)

BATCH = 256
PUBLISHED_EPOCH = 9.0  # seconds: about what the published code takes, two threads


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much to measure."""

    runs: int = 5
    processes: int = 3  # fresh ones, for each peak of memory
    sizes: tuple[int, int] = (256, 512)  # d: default, published
    models: tuple[str, ...] = (
        "lstm", "gru", "dcnn", "dcnn_k1", "l_dcnn", "l_att_dcnn", "lg_dcnn",
        "lg_dcnn_v1", "transformer",
    )  # fmt: skip
    rows: int | None = None  # of each data set; None: all
    matrices: int = 5000
    passes: int = 8  # over a batch of each length, where memory is measured
    cores: int = os.cpu_count() or 1


QUICK = Plan(1, 1, (8, 16), ("lg_dcnn",), rows=300, matrices=50, passes=4, cores=1)


def task(name: str, rows: int | None) -> Task:
    """Load a benchmark, or its first rows."""
    full = load_benchmark(name)
    parts = {part: getattr(full, part)[:rows] for part in ("train", "val", "test")}
    return dataclasses.replace(full, **parts)


def bulk_modulus(plan: Plan) -> Task:
    """The task on which networks are timed."""
    return task("aflow__ael_bulk_modulus_vrh", plan.rows)


def machine(plan: Plan) -> Iterator[Row]:
    """The limit of all that follows: float32 matrix products."""
    for number in sorted({1, plan.cores}):
        for d in plan.sizes:
            with threads(number):
                values = [product_speed(d) for _ in range(4 * plan.runs)]
            what = f"limit: 1024 x {d} @ {d} x {d}"
            yield Row(what, "GFLOP/s", values, d=d, threads=number)


def encoding(plan: Plan) -> Iterator[Row]:
    """Formulas of the largest training set."""
    written = task("OQMD_Energy_per_atom", plan.rows).train["formula"].tolist()
    values = [len(written) / seconds(lambda: encode(written)) for _ in range(plan.runs)]
    yield Row("encoding OQMD", "formulas/s", values, at_least=239_190 / 5)
    peaks = [in_fresh_process(encode_oqmd, plan.rows) for _ in range(plan.processes)]
    yield Row("encoding OQMD, peak memory", "MB", peaks, at_most=1000.0)


def encode_oqmd(rows: int | None) -> float:
    """Encode the formulas; return the peak of this process in MB."""
    encode(task("OQMD_Energy_per_atom", rows).train["formula"])
    return peak_memory()


def networks(plan: Plan) -> Iterator[Row]:
    """Training and prediction of each variant at each size, on one thread."""
    data = bulk_modulus(plan)
    for d in plan.sizes:
        for name in plan.models:
            limited = name == "lg_dcnn" and d == plan.sizes[-1]
            yield from network(name, d, data, plan.runs, 60.0 if limited else None)


def network(
    name: str, d: int, data: Task, runs: int, least_share: float | None
) -> Iterator[Row]:
    """Training and prediction of one network."""
    config = TrainConfig(epochs=runs + 1, batch_size=BATCH, device="cpu")
    trainer = Trainer(build_model(name, ModelConfig(d=d)), data, config)
    predictor = trainer.predictor(trainer.model)
    batch = encode(data.train["formula"])
    counts = batch.n_elements
    shapes = [(len(b), int(counts[b[0]])) for b in batches_by_count(counts, BATCH)]
    passes: dict[str, Callable[[], object]] = {
        "training": trainer.train_epoch,
        "prediction": lambda: predictor.predict_batch(batch, BATCH),
    }
    facts: dict[str, Any] = {"model": name, "d": d, "batch": BATCH}
    for what, work in passes.items():
        gflop = useful_flop(trainer.model, shapes, what == "training") / 1e9
        work()
        rates, shares = [], []
        for _ in range(runs):
            limit = product_speed(d)
            took = seconds(work)
            rates.append(len(batch) / took)
            shares.append(100 * gflop / took / limit)
        share = statistics.median(shares)
        each = gflop / len(batch)
        yield Row(what, "compounds/s", rates, gflop=each, share=share, **facts)
        if least_share is not None and what == "training":
            yield Row(
                "training, share of the limit",
                "%",
                shares,
                at_least=least_share,
                **facts,
            )


def epochs(plan: Plan) -> Iterator[Row]:
    """Epochs of lg_dcnn, with their look at the validation set."""
    data = bulk_modulus(plan)
    default, published = plan.sizes
    two = min(2, plan.cores)
    yield Row(
        f"epoch (published code: about {PUBLISHED_EPOCH:.0f} s)",
        "s",
        epoch_seconds(data, published, BATCH, two, plan.runs),
        *("lg_dcnn", published, BATCH, two),
        at_most=PUBLISHED_EPOCH / 2,
    )
    values = epoch_seconds(data, default, 64, 1, plan.runs)
    yield Row("epoch", "s", values, "lg_dcnn", default, 64)


def epoch_seconds(
    data: Task, d: int, batch_size: int, number: int, runs: int
) -> list[float]:
    """Seconds of each epoch after the first."""
    config = TrainConfig(epochs=runs + 1, batch_size=batch_size, device="cpu")
    trainer = Trainer(build_model("lg_dcnn", ModelConfig(d=d)), data, config)
    with threads(number):
        trainer.run_epoch()
        return [seconds(trainer.run_epoch) for _ in range(runs)]


def environments(plan: Plan) -> Iterator[Row]:
    """CECV: clustering of many matrices, and a whole table."""
    limits: dict[Method, float] = {"leader": 2.0, "complete": 15.0}
    for method, limit in limits.items():
        what = f"CECV, {plan.matrices} matrices, {method}"
        found = [
            in_fresh_process(cluster, plan.matrices, method)
            for _ in range(plan.processes)
        ]
        yield Row(what, "s", [took for took, _ in found], at_most=limit)
        peaks = [peak for _, peak in found]
        yield Row(f"{what}, peak memory", "MB", peaks, at_most=2000.0)
    predictor = Predictor.load(data_dir() / "checkpoints/lg_dcnn.safetensors")
    written = task("CritExam__Ef", plan.rows).test["formula"].tolist()
    values = [seconds(lambda: cecv_table(predictor, written)) for _ in range(2)]
    d = predictor.model.config.d
    yield Row("CECV, table of CritExam__Ef", "s", values, "lg_dcnn", d, at_most=60.0)


def cluster(number: int, method: Method) -> tuple[float, float]:
    """Count environments among random 4 x 4 matrices; return seconds and peak in MB.

    With entries spread evenly between -1 and 1 hardly any two are alike, which is the
    most work.
    """
    matrices = np.tile(np.eye(4), (number, 1, 1))
    upper = np.triu_indices(4, k=1)
    values = np.random.default_rng(0).uniform(-1, 1, size=(number, 6))
    matrices[:, upper[0], upper[1]] = matrices[:, upper[1], upper[0]] = values
    took = seconds(lambda: count_environments(list(matrices), method=method))
    return took, peak_memory()


def training_memory(plan: Plan) -> Iterator[Row]:
    """Peak of a training on OQMD, and what it grew by after half of the steps."""
    d = plan.sizes[-1]
    runs = [
        in_fresh_process(train_oqmd, d, plan.rows, plan.passes, plan.cores)
        for _ in range(min(plan.processes, 2))
    ]
    facts = "lg_dcnn", d, BATCH, plan.cores
    peaks = [run[-1] for run in runs]
    yield Row("training on OQMD, peak memory", "MB", peaks, *facts, at_most=3000.0)
    growth = [run[-2] - run[len(run) // 2 - 1] for run in runs]
    yield Row("training on OQMD, growth in 2nd half", "MB", growth, *facts)


class OneOfEachLength(Trainer):
    """A training whose epochs are short: one batch of each number of elements."""

    def batches(self, generator: torch.Generator) -> list[Tensor]:
        """The first batch of each number of elements."""
        first = {int(self.n_elements[b[0]]): b for b in super().batches(generator)}
        return list(first.values())


def train_oqmd(d: int, rows: int | None, passes: int, cores: int) -> list[float]:
    """Train for some steps; return the peak of this process in MB after each pass.

    The last pass also predicts the whole validation set.
    """
    config = TrainConfig(
        epochs=passes, batch_size=BATCH, eval_every=passes, device="cpu"
    )
    data = task("OQMD_Energy_per_atom", rows)
    with threads(cores):
        model = build_model("lg_dcnn", ModelConfig(d=d))
        trainer = OneOfEachLength(model, data, config)
        peaks = []
        for _ in range(passes):
            trainer.run_epoch()
            peaks.append(peak_memory())
    return peaks


def measure(plan: Plan) -> Iterator[Row]:
    """Everything, in the order of the table."""
    sections = machine, encoding, networks, epochs, environments, training_memory
    return chain.from_iterable(section(plan) for section in sections)


def main(arguments: list[str] | None = None) -> int:
    """Print the table line by line, write it, and judge."""
    parser = argparse.ArgumentParser(description="Measure speed and memory.")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny sizes, only a try: writes nothing unless --output is given",
    )
    parser.add_argument("--output", type=Path, help="default: data/results/bench.csv")
    args = parser.parse_args(arguments)
    output = args.output
    if output is None and not args.quick:  # a try leaves the committed table alone
        output = data_dir() / "results/bench.csv"
    load = os.getloadavg()[0]
    print(line({key: key for key in WIDTHS}), flush=True)
    rows, records = [], []
    with threads(1):
        facts = provenance() | {"load": f"{load:.2f}"}
        for row in measure(QUICK if args.quick else Plan()):
            print(line(row.record()), flush=True)
            rows.append(row)
            records.append(row.record() | facts)
    if output is not None:
        with output.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
    broken = [row for row in rows if row.broken]
    for row in broken:
        print(f"limit broken: {line(row.record())}")
    if load > 0.5:
        print(f"Other work ran on this machine (load {load:.1f} at the start): times")
        print("are too long, and a limit on them may be broken for that reason alone.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
