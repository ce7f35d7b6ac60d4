"""The state of a training, and its small named steps.

``run_epoch`` reads top to bottom: batches, a step, a look at the validation set, a line
of history. The test set is never touched here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lgdcnn_lib import parallel
from lgdcnn_lib.benchmarks import Task, score
from lgdcnn_lib.composition import CompositionBatch, shuffle_elements
from lgdcnn_lib.graphs import GraphedStep, Step
from lgdcnn_lib.inference import batches_by_count
from lgdcnn_lib.models import CompositionModel, ModelOutput
from lgdcnn_lib.optim import CycleAveraging
from lgdcnn_lib.predictor import Predictor, Scaler
from lgdcnn_lib.recipe import (
    HALF_CYCLE,
    TrainConfig,
    average_duplicates,
    beta_weights,
    check_targets,
    compounds_per_batch,
    cross_entropy,
    encode_split,
    make_optimizer,
    make_schedule,
    pick_device,
    robust_l1,
)


class Trainer:
    """The state of a training, and its small named steps.

    Under ``torchrun`` each process takes its share of every batch (see `parallel`).

    Parameters
    ----------
    model : CompositionModel
        Trained in place.
    task : Task
        Only ``train`` and ``val`` are read.
    config : TrainConfig

    Raises
    ------
    FormulaError
        For a formula that cannot be read, naming its table.
    ValueError
        As `recipe.check_targets` does.
    """

    def __init__(
        self, model: CompositionModel, task: Task, config: TrainConfig
    ) -> None:
        self.model, self.task, self.config = model, task, config
        self.device = pick_device(config.device)
        model.to(self.device)
        check_targets(task)
        self.data_hash = task.data_hash  # of what is read now
        order = model.config.order
        batch = encode_split("train", task.train, order)
        target = task.train["target"].to_numpy(float)
        if config.average_duplicates:
            batch, target = average_duplicates(batch, target)
        self.val = encode_split("val", task.val, order)
        self.val_target = task.val["target"].to_numpy(float)
        self.classify = task.metric == "rocauc"
        self.scaler = Scaler() if self.classify else Scaler.of(target)
        self.n_elements = batch.n_elements
        self.data = batch.to(self.device)
        scaled = (target - self.scaler.mean) / self.scaler.std
        self.target = torch.tensor(scaled, dtype=torch.float32, device=self.device)
        self.batch_size = compounds_per_batch(config.batch_size, len(target))
        self.generator = torch.Generator().manual_seed(int(config.seed))
        self.optimizer = make_optimizer(model, config)
        steps = len(self.batches(torch.Generator().manual_seed(0)))
        self.schedule = make_schedule(self.optimizer, config, steps)
        self.ema: AveragedModel | None = None
        self.cycles: CycleAveraging | None = None
        if config.averaging == "ema":
            average = get_ema_multi_avg_fn(config.ema_decay)
            self.ema = AveragedModel(model, multi_avg_fn=average)
            for module in self.ema.modules():
                if isinstance(module, nn.RNNBase):
                    module.flatten_parameters()  # a copy on a GPU lies scattered
        elif config.averaging == "cycle":
            self.cycles = CycleAveraging(model)
        self.step: Step = GraphedStep(self.update) if self._recordable else self.update
        self.history: list[dict[str, float]] = []
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.stopped = False

    @property
    def _recordable(self) -> bool:
        """Whether a step can be replayed: on a GPU, alone, and without padding."""
        c = self.config
        plain = c.batching == "by_count" and c.optimizer == "adamw"
        return self.device.type == "cuda" and plain and parallel.processes() == 1

    def batches(self, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of an epoch's batches, in random order."""
        shuffled = torch.randperm(len(self.n_elements), generator=generator)
        if self.config.batching == "mixed":
            return list(shuffled.split(self.batch_size))
        groups = batches_by_count(self.n_elements[shuffled], self.batch_size)
        order = torch.randperm(len(groups), generator=generator)
        return [shuffled[groups[i]] for i in order]

    def select(self, rows: Tensor) -> CompositionBatch:
        """Take the compounds of an epoch in the order of its batches, with noise."""
        fractions = self.data.fractions[rows]
        if self.config.jitter:
            noise = torch.randn(fractions.shape, generator=self.generator)
            noise = (noise.to(self.device) * self.config.jitter).clamp(min=-0.99)
            fractions = (fractions * (1 + noise)).clamp(0, 1)
            fractions = fractions / fractions.sum(dim=1, keepdim=True)
        numbers, mask = self.data.atomic_numbers[rows], self.data.mask[rows]
        batch = CompositionBatch((), numbers, fractions, mask)
        if self.config.shuffle_elements:
            batch = shuffle_elements(batch, self.generator)
        return batch

    def steps(self, batches: list[Tensor]) -> Iterator[tuple[CompositionBatch, Tensor]]:
        """Yield the compounds and targets of each batch, cut to their length.

        That is their number of elements, or the length of the longest formula.
        """
        # All at once: a step has no time for small transfers and small operations.
        rows = torch.cat(batches).to(self.device)
        epoch, target = self.select(rows), self.target[rows]
        mixed = self.config.batching == "mixed"
        end = 0
        for batch in batches:
            start, end = end, end + len(batch)
            here = (slice(start, end), slice(0, self.length(batch)))
            numbers, fractions = epoch.atomic_numbers[here], epoch.fractions[here]
            mask = epoch.mask[here]
            part = CompositionBatch((), numbers, fractions, mask, full=not mixed)
            yield part, target[start:end]

    def length(self, rows: Tensor) -> int:
        """Element slots of a batch."""
        if self.config.batching == "mixed":
            return self.data.mask.shape[1]
        return int(self.n_elements[rows[0]])

    def losses(self, output: ModelOutput, target: Tensor) -> Tensor:
        """The loss of each compound, (N,): here you may put another."""
        if self.classify:
            return cross_entropy(output, target)
        return robust_l1(output, target) * beta_weights(output, self.config.beta)

    def update(self, batch: CompositionBatch, target: Tensor) -> Tensor:
        """Predict, compare, differentiate, step, forget; return the summed loss."""
        mine, target, weight = parallel.share(batch, target)
        loss = weight * self.losses(self.model(mine), target).sum()
        # A small left-over batch counts for as much as its compounds.
        (loss / self.batch_size).backward()
        parallel.sum_gradients(self.model)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return parallel.total(loss.detach())

    def train_step(self, batch: CompositionBatch, target: Tensor) -> Tensor:
        """Take one optimiser step; return the sum of the losses of the batch."""
        loss = self.step(batch, target)
        self.schedule.step()
        if self.ema is not None:
            self.ema.update_parameters(self.model)
        return loss

    def train_epoch(self) -> float:
        """Run one pass over the training set; return the mean loss.

        Raises
        ------
        FloatingPointError
            When a loss is not finite, naming epoch and step.
        """
        self.model.train()
        steps = self.steps(self.batches(self.generator))
        losses = torch.stack([self.train_step(*step) for step in steps]).cpu()
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            raise FloatingPointError(
                f"loss {float(losses[bad[0]])} at epoch {len(self.history) + 1}, "
                f"step {int(bad[0]) + 1}; lower the learning rate ({self.config.lr})"
            )
        return float(losses.double().sum()) / len(self.target)

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
            "data_hash": self.data_hash,
            "train_config": asdict(self.config),
            "epochs": len(self.history),
        }
        return Predictor(model, self.scaler, self.task.metric, self.task.unit, info)

    def run_epoch(self) -> bool:
        """Train an epoch and write its line of history; return True to stop."""
        start = time.perf_counter()
        lr = float(self.optimizer.param_groups[0]["lr"])
        loss = self.train_epoch()
        epoch = len(self.history) + 1
        error, stop = float("nan"), False
        last = epoch == self.config.epochs
        cycle_end = self.cycles is not None and epoch % (2 * HALF_CYCLE) == 0
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
        self.stopped = stop or last
        return self.stopped

    def finish(self, interrupted: bool) -> Predictor:
        """Put the chosen weights into the model: the average, or the last.

        After an interruption, the best on validation so far. The validation set also
        calibrates the intervals.
        """
        if interrupted and self.best is not None:
            self.model.load_state_dict(self.best[1])
        elif self.ema is not None:
            self.model.load_state_dict(self.ema.module.state_dict())
        elif self.cycles is not None and self.cycles.n_averaged:
            self.model.load_state_dict(self.cycles.average)
        self.model.eval()
        predictor = self.predictor(self.model)
        if len(self.val) and not self.classify:
            predictor.calibrate(self.task.val)
        return predictor

    @property
    def _network(self) -> list[Any]:
        """Stages and settings: weights of the same shapes may belong to another."""
        return [list(self.model.variant.stages), asdict(self.model.config)]

    def state(self) -> dict[str, Any]:
        """Everything that an exact resume needs."""
        return {
            "network": self._network,
            "config": asdict(self.config),
            "data_hash": self.data_hash,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "cycles": None if self.cycles is None else self.cycles.state_dict(),
            "generator": self.generator.get_state(),
            "history": self.history,
            "best": self.best,
            "stopped": self.stopped,
        }

    def _here(self, optimizer: dict[str, Any]) -> dict[str, Any]:
        """The state of AdamW as this device wants it: it may come from another."""
        gpu = self.device.type == "cuda"
        groups = optimizer.get("param_groups", [])
        for group in (group for group in groups if "capturable" in group):
            lr = float(group["lr"])
            group["lr"] = torch.tensor(lr, device=self.device) if gpu else lr
            group["capturable"] = gpu  # torch then moves the counts of steps, too
        return optimizer

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``.

        Raises
        ------
        ValueError
            When it belongs to another network, another recipe or other data.
        """
        for key, mine in (
            ("network", self._network),
            ("config", asdict(self.config)),
            ("data_hash", self.data_hash),
        ):
            if state.get(key) != mine:
                raise ValueError(
                    f"the checkpoint has another {key}: {state.get(key)}, not {mine}"
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(self._here(state["optimizer"]))
        self.schedule.load_state_dict(state["schedule"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if self.cycles is not None:
            self.cycles.load_state_dict(state["cycles"])
        self.generator.set_state(state["generator"])
        self.history = state["history"]
        self.best = None if state["best"] is None else tuple(state["best"])
        self.stopped = state["stopped"]


def _copy(model: CompositionModel) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}
