"""Train the network of ``data/pretrained``: the formation enthalpies of OQMD.

    python tools/pretrain.py     # 1.5 hours of a core, minutes of a GPU

Beside it stands a JSON file that says what it is and how it was made. Trainings of the
list ``transfer`` (`grid.py`) start from it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lgdcnn_lib.benchmarks import Task, load_benchmark, score
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.provenance import provenance, start_process
from lgdcnn_lib.training import TrainConfig, fit
from recipe_search import DEFAULT, NETWORK

TASK = "OQMD_Formation_Enthalpy"
PRETRAINED = f"data/pretrained/{TASK}.safetensors"  # from the root: part of recipes
RECIPE = replace(DEFAULT, beta=1.0)


def train(
    task: Task, network: ModelConfig, recipe: TrainConfig
) -> tuple[Predictor, dict[str, Any]]:
    """Train L-G-DCNN; also return how it was done."""
    start = time.perf_counter()
    run = fit(build_model("lg_dcnn", network, recipe.seed), task, recipe)
    if run.interrupted:
        raise KeyboardInterrupt
    seconds = round(time.perf_counter() - start)
    return run.predictor, {"seconds": seconds} | provenance()


def keep(predictor: Predictor, made: dict[str, Any], task: Task, path: Path) -> None:
    """Write a network, and beside it what it is and how it was made."""
    facts: dict[str, Any] = {"task": task.name, "model": "lg_dcnn"}
    facts["n_parameters"] = predictor.model.n_parameters()
    for name, rows in (("val_mae", task.val), ("test_mae", task.test)):
        found = predictor.predict(rows["formula"])["prediction"]
        facts[name] = float(f"{score('mae', rows['target'], found):.5g}")
    facts |= made
    predictor.info.update(facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    predictor.save(path)
    facts["recipe"] = predictor.info["train_config"]
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


def main() -> None:
    """Make the files anew."""
    start_process()
    task = load_benchmark(TASK)
    keep(*train(task, NETWORK, RECIPE), task, Path(PRETRAINED))


if __name__ == "__main__":
    main()
