"""Check, on a machine with a CUDA GPU, what tests elsewhere cannot see.

    python tools/gpu_check.py [TABLE.csv]

A recorded training equals an ordinary one; it agrees with the processor; and it is
faster. The numbers go into a table (``data/results/gpu_check.csv`` holds those of one
run). The exit status is 1 where one of these fails, or where there is no GPU.
"""

from __future__ import annotations

import dataclasses
import sys
import time

import numpy as np
import pandas as pd
import torch

from lgdcnn_lib.benchmarks import Task, load_benchmark
from lgdcnn_lib.graphs import GraphedStep
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from lgdcnn_lib.provenance import provenance
from lgdcnn_lib.training import TrainConfig, Trainer

FULL = load_benchmark("aflow__ael_bulk_modulus_vrh")
TASK = Task("small", FULL.train[:600], FULL.val[:100], FULL.test[:0], "GPa", "mae")


def losses(name: str, device: str, recorded: bool, epochs: int = 4) -> np.ndarray:
    """Training losses of a small network, epoch by epoch."""
    config = TrainConfig(epochs=epochs, jitter=0.02, device=device, averaging="ema")
    trainer = Trainer(build_model(name, ModelConfig(d=64)), TASK, config)
    if not recorded:
        trainer.step = trainer.update
    while not trainer.run_epoch():
        pass
    if recorded:
        assert isinstance(trainer.step, GraphedStep)
        assert any(trainer.step.graphs.values()), "nothing was recorded"
    return np.array(
        [[line["train_loss"], line["val_error"]] for line in trainer.history]
    )


def seconds(name: str, recorded: bool) -> float:
    """Seconds of an epoch of the default network, after a warm-up."""
    task = dataclasses.replace(FULL, val=FULL.val[:0])
    trainer = Trainer(build_model(name), task, TrainConfig(epochs=5, device="cuda"))
    if not recorded:
        trainer.step = trainer.update
    for _ in range(2):
        trainer.run_epoch()
    start = time.perf_counter()
    for _ in range(2):
        trainer.run_epoch()
    return (time.perf_counter() - start) / 2


def main() -> int:
    """Compare, time, report."""
    if not torch.cuda.is_available():
        print("no CUDA GPU here: nothing was checked")
        return 1
    wrong, rows = [], []
    for name in MODELS:
        cpu = losses(name, "cpu", False)
        ordinary = losses(name, "cuda", False)
        replayed = losses(name, "cuda", True)
        row = {
            "model": name,
            "recorded_against_ordinary": abs(replayed / ordinary - 1).max(),
            "gpu_against_cpu": abs(ordinary / cpu - 1).max(),
            "ordinary_epoch_s": round(seconds(name, False), 3),
            "recorded_epoch_s": round(seconds(name, True), 3),
        }
        rows.append(row | provenance())
        print(row, flush=True)
        exact = row["recorded_against_ordinary"] <= 1e-3
        near = row["gpu_against_cpu"] <= 2e-2
        if not (exact and near and row["recorded_epoch_s"] < row["ordinary_epoch_s"]):
            wrong.append(name)
    if len(sys.argv) > 1:
        pd.DataFrame(rows).to_csv(sys.argv[1], index=False, float_format="%.2g")
    print("wrong:", wrong or "nothing")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
