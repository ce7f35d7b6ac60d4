"""Train a network: one call, one visible loop.

``fit`` repeats `Trainer.run_epoch`, saves the state where asked, and survives an
interruption.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lgdcnn_lib import parallel
from lgdcnn_lib.benchmarks import Task
from lgdcnn_lib.checkpoint import load_tree, save_tree
from lgdcnn_lib.models import CompositionModel
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.recipe import TrainConfig
from lgdcnn_lib.trainer import Trainer

__all__ = ["Run", "TrainConfig", "Trainer", "fit", "fit_snapshots"]

HISTORY = ["epoch", "lr", "train_loss", "val_error", "seconds"]


@dataclass
class Run:
    """What ``fit`` returns.

    Attributes
    ----------
    history : DataFrame
        A row an epoch: epoch, lr, train_loss, val_error, seconds.
    predictor : Predictor
    interrupted : bool
        Whether Ctrl-C ended the training before its time.
    """

    history: pd.DataFrame
    predictor: Predictor
    interrupted: bool = False


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
        An interruption (Ctrl-C) returns the best network so far, and says so.

    Raises
    ------
    FormulaError, ValueError
        For a formula or a target that cannot be used, naming its row (`Trainer`), or a
        checkpoint of another network, another recipe or other data.
    OSError
        When the checkpoint cannot be written.
    FloatingPointError
        When the loss is not finite any more.
    """
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise FileNotFoundError(f"there is no folder for the checkpoint {checkpoint}")
    trainer = Trainer(model, task, config or TrainConfig())
    if checkpoint is not None and Path(checkpoint).exists():
        trainer.restore(load_tree(checkpoint))
    interrupted = False
    done = len(trainer.history)
    with _bar(trainer.config.epochs, done, progress) as bar:
        try:
            while not trainer.stopped:
                trainer.run_epoch()
                bar.set_postfix(val_error=f"{trainer.history[-1]['val_error']:.4g}")
                bar.update()
                if checkpoint is not None and not parallel.rank():
                    save_tree(checkpoint, trainer.state())
        except KeyboardInterrupt:
            interrupted = True
    predictor = trainer.finish(interrupted)
    history = pd.DataFrame(trainer.history, columns=HISTORY)
    return Run(history, predictor, interrupted)


def fit_snapshots(
    model: CompositionModel,
    task: Task,
    config: TrainConfig,
    cycles: int,
    progress: bool | None = None,
) -> list[Run]:
    """Train in cycles, and keep the network that stands at the end of each.

    A cycle goes on from the weights of the one before, with a new schedule and new
    batches. The mean of the networks' predictions is a snapshot ensemble (Huang et al.,
    ICLR 2017).

    Parameters
    ----------
    model, task, progress
        As for `fit`.
    config : TrainConfig
        Of one cycle; the seed of the batches grows by 1 from cycle to cycle.
    cycles : int
        At least 1.

    Returns
    -------
    list of Run
        One a cycle; an interruption (Ctrl-C) ends the list.

    Raises
    ------
    ValueError
        For less than one cycle, and as `fit` does.
    FormulaError, FloatingPointError
        As `fit` does.
    """
    if cycles < 1:
        raise ValueError(f"cycles is {cycles}: there must be at least one")
    runs: list[Run] = []
    for cycle in range(cycles):
        here = replace(config, seed=config.seed + cycle)
        run = fit(model, task, here, progress=progress)
        runs.append(replace(run, predictor=copy.deepcopy(run.predictor)))
        if run.interrupted:
            break
    return runs


def _bar(epochs: int, done: int, progress: bool | None) -> tqdm:
    # Left alone, tqdm obeys TQDM_DISABLE: a page that is built wants no bars.
    options = {} if progress is None else {"disable": not progress}
    if progress is None and not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        options = {"disable": True}
    return tqdm(total=epochs, initial=done, unit="epoch", **options)
