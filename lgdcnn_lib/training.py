"""One visible training loop.

``fit`` reads top to bottom: batches, a step, a look at the validation set, a line of
history. The test set is never touched here.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from lgdcnn_lib.benchmarks import Task, score
from lgdcnn_lib.checkpoint import load_tree, save_tree
from lgdcnn_lib.composition import CompositionBatch, encode
from lgdcnn_lib.models import CompositionModel
from lgdcnn_lib.optim import CycleAveraging, Lamb, Lookahead, one_cycle, triangular
from lgdcnn_lib.predictor import Predictor, Scaler, batches_by_count
from lgdcnn_lib.recipe import (
    HALF_CYCLE,
    TrainConfig,
    average_duplicates,
    cross_entropy,
    pick_device,
    published_batch_size,
    robust_l1,
)

__all__ = ["Run", "TrainConfig", "Trainer", "fit"]


@dataclass
class Run:
    """What ``fit`` returns.

    Attributes
    ----------
    history : DataFrame
        A row an epoch: epoch, lr, train_loss, val_loss, val_error, seconds.
    predictor : Predictor
    """

    history: pd.DataFrame
    predictor: Predictor


class Trainer:
    """The state of a training, and its small named steps.

    Parameters
    ----------
    model : CompositionModel
        Trained in place.
    task : Task
        Only ``train`` and ``val`` are read.
    config : TrainConfig
    """

    def __init__(
        self, model: CompositionModel, task: Task, config: TrainConfig
    ) -> None:
        self.model, self.task, self.config = model, task, config
        self.device = pick_device(config.device)
        model.to(self.device)
        order = model.config.order
        batch = encode(task.train["formula"], order=order)
        target = task.train["target"].to_numpy(float)
        if config.average_duplicates:
            batch, target = average_duplicates(batch, target)
        self.val = encode(task.val["formula"], order=order)
        self.val_target = task.val["target"].to_numpy(float)
        self.classify = task.metric == "rocauc"
        self.scaler = Scaler() if self.classify else Scaler.of(target)
        self.n_elements = batch.n_elements
        self.data = batch.to(self.device)
        scaled = (target - self.scaler.mean) / self.scaler.std
        self.target = torch.tensor(scaled, dtype=torch.float32, device=self.device)
        self.batch_size = config.batch_size or published_batch_size(len(target))
        self.generator = torch.Generator().manual_seed(config.seed)
        self._make_optimizer()
        self.history: list[dict[str, float]] = []
        self.best: tuple[float, dict[str, Tensor]] | None = None

    def _make_optimizer(self) -> None:
        c = self.config
        steps = len(self.batches(torch.Generator().manual_seed(0)))
        parameters = self.model.parameters()
        if c.optimizer == "adamw":
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                parameters, lr=c.lr, weight_decay=c.weight_decay, fused=True
            )
        else:
            self.optimizer = Lookahead(
                Lamb(parameters, lr=c.lr, weight_decay=c.weight_decay)
            )
        if c.schedule == "one_cycle":
            self.schedule = one_cycle(self.optimizer, c.lr, steps * c.epochs)
        else:
            self.schedule = triangular(self.optimizer, c.lr, HALF_CYCLE * steps)
        self.ema: AveragedModel | None = None
        self.cycles: CycleAveraging | None = None
        if c.averaging == "ema":
            self.ema = AveragedModel(
                self.model, multi_avg_fn=get_ema_multi_avg_fn(c.ema_decay)
            )
        elif c.averaging == "cycle":
            self.cycles = CycleAveraging(self.model)

    def batches(self, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of an epoch's batches, in random order."""
        shuffled = torch.randperm(len(self.n_elements), generator=generator)
        if self.config.batching == "mixed":
            return list(shuffled.split(self.batch_size))
        groups = batches_by_count(self.n_elements[shuffled], self.batch_size)
        order = torch.randperm(len(groups), generator=generator)
        return [shuffled[groups[i]] for i in order]

    def select(self, rows: Tensor) -> CompositionBatch:
        """Take the compounds of a batch, with jittered fractions, without padding."""
        length = self.data.atomic_numbers.shape[1]
        if self.config.batching == "by_count":
            length = int(self.n_elements[rows[0]])
        rows = rows.to(self.device)
        fractions = self.data.fractions[rows, :length]
        if self.config.jitter:
            noise = torch.randn(fractions.shape, generator=self.generator)
            noise = noise.to(self.device) * self.config.jitter
            fractions = (fractions * (1 + noise)).clamp(0, 1)
            fractions = fractions / fractions.sum(dim=1, keepdim=True)
        numbers = self.data.atomic_numbers[rows, :length]
        return CompositionBatch((), numbers, fractions, self.data.mask[rows, :length])

    def train_step(self, rows: Tensor) -> float:
        """Take one optimiser step; return the sum of the losses of the batch."""
        output = self.model(self.select(rows))
        loss_of = cross_entropy if self.classify else robust_l1
        losses = loss_of(output, self.target[rows.to(self.device)])
        # A small left-over batch counts for as much as its compounds.
        (losses.sum() / self.batch_size).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        if self.ema is not None:
            self.ema.update_parameters(self.model)
        return float(losses.detach().sum())

    def train_epoch(self) -> float:
        """Run one pass over the training set; return the mean loss.

        Raises
        ------
        FloatingPointError
            When a loss is not finite, naming epoch and step.
        """
        self.model.train()
        total = 0.0
        for step, rows in enumerate(self.batches(self.generator), start=1):
            loss = self.train_step(rows)
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"loss {loss} at epoch {len(self.history) + 1}, step {step}; "
                    f"lower the learning rate ({self.config.lr})"
                )
            total += loss
        return total / len(self.target)

    @property
    def best_guess(self) -> CompositionModel:
        """The network to judge: the running average where there is one."""
        if self.ema is None:
            return self.model
        return cast(CompositionModel, self.ema.module)

    def validate(self) -> float:
        """Error on the validation set: MAE in the task's unit, or 1 - ROC-AUC."""
        predictor = self.predictor(self.best_guess)
        prediction = predictor.predict_batch(self.val)["prediction"]
        error = score(self.task.metric, self.val_target, prediction)
        return 1 - error if self.classify else error

    def predictor(self, model: CompositionModel) -> Predictor:
        """Wrap a network with the scaler and the facts of this training."""
        info = {
            "task": self.task.name,
            "fold": self.task.fold,
            "data_hash": self.task.data_hash,
            "train_config": asdict(self.config),
            "epochs": len(self.history),
        }
        return Predictor(model, self.scaler, self.task.metric, self.task.unit, info)

    def run_epoch(self) -> bool:
        """Train an epoch and write its line of history; return True to stop."""
        start = time.perf_counter()
        lr = self.optimizer.param_groups[0]["lr"]
        loss = self.train_epoch()
        epoch = len(self.history) + 1
        error, stop = float("nan"), False
        last = epoch == self.config.epochs
        cycle_end = epoch % (2 * HALF_CYCLE) == 0
        if len(self.val) and (epoch % self.config.eval_every == 0 or last or cycle_end):
            error = self.validate()
            if self.best is None or error < self.best[0]:
                self.best = (error, _copy(self.best_guess))
        if self.cycles is not None and cycle_end:
            stop = self.cycles.update(self.model, error)
        self.history.append(
            {
                "epoch": epoch,
                "lr": lr,
                "train_loss": loss,
                "val_error": error,
                "seconds": time.perf_counter() - start,
            }
        )
        return stop or last

    def finish(self, interrupted: bool) -> Predictor:
        """Put the chosen weights into the model: the average, or the last.

        After an interruption, the best on validation so far.
        """
        if interrupted and self.best is not None:
            self.model.load_state_dict(self.best[1])
        elif self.ema is not None:
            self.model.load_state_dict(self.ema.module.state_dict())
        elif self.cycles is not None and self.cycles.n_averaged:
            self.model.load_state_dict(self.cycles.average)
        self.model.eval()
        return self.predictor(self.model)

    def state(self) -> dict[str, Any]:
        """Everything that an exact resume needs."""
        return {
            "config": asdict(self.config),
            "data_hash": self.task.data_hash,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "cycles": None if self.cycles is None else self.cycles.state_dict(),
            "generator": self.generator.get_state(),
            "history": self.history,
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``.

        Raises
        ------
        ValueError
            When it belongs to another recipe or other data.
        """
        for key, mine in (
            ("config", asdict(self.config)),
            ("data_hash", self.task.data_hash),
        ):
            if state[key] != mine:
                raise ValueError(
                    f"the checkpoint has another {key}: {state[key]}, not {mine}"
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if self.cycles is not None:
            self.cycles.load_state_dict(state["cycles"])
        self.generator.set_state(state["generator"])
        self.history = state["history"]
        self.best = None if state["best"] is None else tuple(state["best"])


def fit(
    model: CompositionModel,
    task: Task,
    config: TrainConfig | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | None = None,
) -> Run:
    """Train a network on a task.

    Parameters
    ----------
    model : CompositionModel
        Trained in place.
    task : Task
        ``train`` teaches, ``val`` is watched; ``test`` is not read.
    config : TrainConfig, optional
    checkpoint : path, optional
        Written after every epoch; when it exists, training goes on from it exactly.
    progress : bool, optional
        Show a bar. By default, in a terminal or notebook only.

    Returns
    -------
    Run
        An interruption (Ctrl-C) returns the best network so far.
    """
    trainer = Trainer(model, task, config or TrainConfig())
    epochs = trainer.config.epochs
    if checkpoint is not None and Path(checkpoint).exists():
        trainer.restore(load_tree(checkpoint))
    interrupted = False
    done = len(trainer.history)
    with _bar(epochs, done, progress) as bar:
        try:
            while len(trainer.history) < epochs:
                stop = trainer.run_epoch()
                bar.set_postfix(val_error=f"{trainer.history[-1]['val_error']:.4g}")
                bar.update()
                if checkpoint is not None:
                    save_tree(checkpoint, trainer.state())
                if stop:
                    break
        except KeyboardInterrupt:
            interrupted = True
    predictor = trainer.finish(interrupted)
    return Run(pd.DataFrame(trainer.history), predictor)


def _copy(model: CompositionModel) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def _bar(epochs: int, done: int, progress: bool | None) -> tqdm:
    # Left alone, tqdm obeys TQDM_DISABLE: a page that is built wants no bars.
    options = {} if progress is None else {"disable": not progress}
    if progress is None and not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        options = {"disable": True}
    return tqdm(total=epochs, initial=done, unit="epoch", **options)
