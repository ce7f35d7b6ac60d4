"""What a training is made of: losses, the recipe, and its small decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lgdcnn_lib.benchmarks import Task
from lgdcnn_lib.composition import CompositionBatch, FormulaError, Order, encode
from lgdcnn_lib.models import ModelOutput
from lgdcnn_lib.optim import Lamb, Lookahead, one_cycle, triangular

HALF_CYCLE = 10  # epochs from the lowest learning rate to the highest
CHOICES = {
    "batching": ("by_count", "mixed"),
    "schedule": ("one_cycle", "triangular"),
    "optimizer": ("adamw", "lamb_lookahead"),
    "averaging": ("none", "ema", "cycle"),
}


def robust_l1(output: ModelOutput, target: Tensor) -> Tensor:
    """Laplace negative log-likelihood for each compound, up to a constant.

    ``sqrt(2) |y - m| exp(-s) + s`` with s the log standard deviation; shape (N,).
    """
    spread = output.log_std
    return 2**0.5 * (target - output.mean).abs() * (-spread).exp() + spread


def beta_weights(output: ModelOutput, beta: float) -> Tensor:
    """Weights ``exp(beta s)`` of the losses, constant for the gradient; (N,).

    The gradient of `robust_l1` for the mean is divided by the deviation exp(s). Where
    a network once is unsure, it then learns slowly, and stays unsure. With beta = 1
    the weight undoes the division (beta-NLL, Seitzer et al., ICLR 2022).
    """
    return (beta * output.log_std.detach()).exp()


def cross_entropy(output: ModelOutput, target: Tensor) -> Tensor:
    """Binary cross-entropy for each compound; ``output.mean`` is the logit. (N,)."""
    return F.binary_cross_entropy_with_logits(output.mean, target, reduction="none")


@dataclass(frozen=True)
class TrainConfig:
    """A training recipe.

    Attributes
    ----------
    epochs : int
    batch_size : int or {"root", "published"}
        ``"root"``: the power of 2 nearest to sqrt(n), n training compounds, so that an
        epoch has as many steps as a batch has compounds. ``"published"``:
        2**round(log2(n) - 4) between 128 and 4096.
    batching : {"by_count", "mixed"}
        ``"by_count"``: all compounds of a batch have the same number of elements, so
        nothing is padded. ``"mixed"``: padded to the longest formula of the file.
    lr : float
        Highest learning rate.
    schedule : {"one_cycle", "triangular"}
        One rise and fall over the training, or a cycle every 20 epochs.
    optimizer : {"adamw", "lamb_lookahead"}
    weight_decay : float
    averaging : {"none", "ema", "cycle"}
        Exponential average of the weights over about an epoch's steps; or at the ends
        of cycles, while validation improves (published).
    ema_decay : float
    beta : float
        Weight of a compound's loss: its predicted deviation to this power. With the
        published 0, compounds that the network is unsure of teach it little; with 1,
        the mean learns from every absolute error alike (`beta_weights`).
    jitter : float
        Standard deviation of the relative noise on the fractions.
    shuffle_elements : bool
        Give the elements of each compound in a new random order at every step.
    average_duplicates : bool
        Replace training rows of one composition by their mean (published).
    eval_every : int
        Epochs between looks at the validation set; the last epoch is always seen.
    seed : int
        Of batches and jitter.
    device : str
        ``"auto"``: CUDA, else MPS, else CPU.

    Raises
    ------
    ValueError
        For a word that is none of those above, or a number of epochs below 1.
    """

    epochs: int = 40
    batch_size: int | str = 64
    batching: str = "by_count"
    lr: float = 1e-3
    schedule: str = "one_cycle"
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    averaging: str = "none"
    ema_decay: float = 0.99
    beta: float = 0.0
    jitter: float = 0.0
    shuffle_elements: bool = False
    average_duplicates: bool = False
    eval_every: int = 1
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}; one of {allowed}")
        for name in ("epochs", "eval_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; must be 1 or more")

    @classmethod
    def paper(cls, seed: int = 0) -> TrainConfig:
        """The published recipe."""
        return cls(
            epochs=300,
            batch_size="published",
            batching="mixed",
            lr=6e-3,
            schedule="triangular",
            optimizer="lamb_lookahead",
            weight_decay=0.0,
            averaging="cycle",
            jitter=0.02,
            average_duplicates=True,
            seed=seed,
        )


def pick_device(name: str = "auto") -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU; or the device named.

    Raises
    ------
    RuntimeError
        For a device that torch does not know.
    """
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def compounds_per_batch(batch_size: int | str, n_train: int) -> int:
    """Apply the rule that ``TrainConfig.batch_size`` names, or take its number.

    Raises
    ------
    ValueError
        For a rule that is not known, or a number below 1.
    """
    if batch_size == "root":
        return int(2 ** round(np.log2(n_train) / 2))
    if batch_size == "published":
        return int(np.clip(2 ** round(np.log2(n_train) - 4), 128, 4096))
    if isinstance(batch_size, str) or batch_size < 1:
        raise ValueError(
            f"batch_size is 'root', 'published' or a number of compounds, "
            f"not {batch_size!r}"
        )
    return batch_size


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimiser of a recipe, for all weights of a network.

    On a GPU, AdamW keeps its learning rate and its step count there, so that a
    recorded step (`GraphedStep`) reads what the schedule sets.
    """
    if config.optimizer == "lamb_lookahead":
        decay = config.weight_decay
        return Lookahead(Lamb(model.parameters(), lr=config.lr, weight_decay=decay))
    device = next(model.parameters()).device
    gpu = device.type == "cuda"
    return AdamW(
        model.parameters(),
        lr=torch.tensor(config.lr, device=device) if gpu else config.lr,
        weight_decay=config.weight_decay,
        fused=True,
        capturable=gpu,
    )


def make_schedule(
    optimizer: Optimizer, config: TrainConfig, steps_per_epoch: int
) -> LRScheduler:
    """The learning-rate schedule of a recipe."""
    if config.schedule == "one_cycle":
        return one_cycle(optimizer, config.lr, steps_per_epoch * config.epochs)
    return triangular(optimizer, config.lr, HALF_CYCLE * steps_per_epoch)


def average_duplicates(
    batch: CompositionBatch, target: np.ndarray
) -> tuple[CompositionBatch, np.ndarray]:
    """Replace rows of one composition by their first, with the mean target.

    In written order (``ModelConfig.order``), NaCl and ClNa are two, as published.
    """
    rows = np.hstack([batch.atomic_numbers.numpy(), batch.fractions.numpy()])
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(inverse.ravel(), weights=target)
    means = sums / np.bincount(inverse.ravel())
    order = np.argsort(first)
    return batch[torch.from_numpy(first[order])], means[order]


def encode_split(name: str, rows: pd.DataFrame, order: Order) -> CompositionBatch:
    """Encode the formulas of a split; an error names it."""
    try:
        return encode(rows["formula"], order=order)
    except FormulaError as error:
        reason = f"{error.reason} (in the {name} table)"
        raise FormulaError(error.formula, reason, error.row) from None


def check_targets(task: Task) -> None:
    """Refuse targets of the training and validation sets that cannot teach.

    Raises
    ------
    ValueError
        For a target that is not a finite number, or not 0 or 1 for a classifier, naming
        its row and formula; for an empty training set, or a split of one class.
    """
    classify = task.metric == "rocauc"
    wanted = "a class, 0 or 1" if classify else "a finite number"
    for name, rows in (("train", task.train), ("val", task.val)):
        target = pd.to_numeric(rows["target"], errors="coerce").to_numpy(float)
        good = np.isin(target, [0, 1]) if classify else np.isfinite(target)
        for row in np.flatnonzero(~good)[:1]:
            raise ValueError(
                f"{name} row {row}, {rows['formula'].iloc[row]}: the target "
                f"{rows['target'].iloc[row]} is not {wanted}"
            )
        if classify and len(set(target)) == 1:
            raise ValueError(f"the {name} split of {task.name} holds one class only")
    if task.train.empty:
        raise ValueError(f"the train split of {task.name} is empty")
