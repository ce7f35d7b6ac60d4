"""Check, on a machine with a CUDA GPU, what tests elsewhere cannot see.

    python tools/gpu_check.py

A recorded training equals an ordinary one; it agrees with the processor; and it is
faster. The exit status is 1 where one of these fails, or where there is no GPU.
"""

from __future__ import annotations

import dataclasses
import sys
import time

import numpy as np
import torch

from lgdcnn_lib.benchmarks import Task, load_benchmark
from lgdcnn_lib.graphs import GraphedStep
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
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
    print(torch.cuda.get_device_name(), torch.__version__)
    wrong = []
    for name in MODELS:
        cpu = losses(name, "cpu", False)
        ordinary = losses(name, "cuda", False)
        replayed = losses(name, "cuda", True)
        gaps = abs(replayed / ordinary - 1).max(), abs(ordinary / cpu - 1).max()
        times = seconds(name, False), seconds(name, True)
        print(
            f"{name:15} recorded against ordinary {gaps[0]:.1e}, GPU against CPU "
            f"{gaps[1]:.1e}; {times[0]:.3f} s an epoch, recorded {times[1]:.3f} s",
            flush=True,
        )
        if gaps[0] > 1e-3 or gaps[1] > 2e-2 or times[1] > times[0]:
            wrong.append(name)
    print("wrong:", wrong or "nothing")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
