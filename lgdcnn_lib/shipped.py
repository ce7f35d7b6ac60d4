"""The trained networks that come with the book: read, or trained anew."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock

from lgdcnn_lib.benchmarks import load_benchmark, score
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.models import build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.provenance import provenance
from lgdcnn_lib.training import TrainConfig, fit

__all__ = ["SHIPPED", "shipped"]

SHIPPED = (
    "dcnn", "dcnn_k1", "gru", "l_att_dcnn", "l_dcnn", "lg_dcnn", "lg_dcnn_v1", "lstm",
    "transformer",
)  # fmt: skip


def shipped(name: str, retrain: bool = False, device: str = "cpu") -> Predictor:
    """Return a network of ``data/checkpoints``, trained on ``CritExam__Ef``.

    Parameters
    ----------
    name : str
        One of `SHIPPED`.
    retrain : bool
        Train it anew by the recipe in its JSON file, on a GPU where there is one. It is
        kept in ``data/retrained``, and read from there the next time.
    device : str
        Where the network that is returned lies.

    Returns
    -------
    Predictor
        ``info`` says how it was made, and as text its errors ``"val_mae"`` and
        ``"test_mae"`` (eV/atom).

    Raises
    ------
    ValueError
        For another name.
    KeyboardInterrupt
        When the training is stopped. The next call goes on with it.
    """
    if name not in SHIPPED:
        raise ValueError(f"no network {name!r}; there are {', '.join(SHIPPED)}")
    path = data_dir() / "checkpoints" / f"{name}.safetensors"
    if retrain:
        path = _retrained(path)
    return Predictor.load(path, device)


def _retrained(original: Path) -> Path:
    """Train what is not yet there; others who want the same network wait for it."""
    folder = data_dir() / "retrained"
    folder.mkdir(exist_ok=True)
    path = folder / original.name
    state = path.with_suffix(".state")
    with FileLock(path.with_suffix(".lock")):
        if state.exists() or not path.exists():
            _train(original, path, state)
    return path


def _train(original: Path, path: Path, state: Path) -> None:
    facts = json.loads(original.with_suffix(".json").read_text(encoding="utf-8"))
    recipe = TrainConfig(**{**facts["recipe"], "device": "auto"})
    config = Predictor.load(original).model.config
    task = load_benchmark(facts["task"])
    model = build_model(facts["model"], config, seed=facts["seed"])
    run = fit(model, task, recipe, checkpoint=state)
    if run.interrupted:
        raise KeyboardInterrupt(f"the training of {path.stem} is not at its end")
    predictor = run.predictor
    found = predictor.predict(task.test["formula"])["prediction"]
    predictor.info |= {
        "model": facts["model"], "seed": facts["seed"], "d": config.d,
        "val_mae": f"{run.history['val_error'].iloc[-1]:.5g}",
        "test_mae": f"{score('mae', task.test['target'], found):.5g}",
        "seconds": round(run.history["seconds"].sum(), 1), **provenance(),
    }  # fmt: skip
    predictor.save(path)
    state.unlink()
