"""The network in ``data/pretrained``, and the tool that makes it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import grid
import pretrain
from lgdcnn_lib.benchmarks import load_benchmark, score
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.results import load_results
from lgdcnn_lib.runs import subset
from lgdcnn_lib.training import TrainConfig

PATH = data_dir().parent / pretrain.PRETRAINED


@pytest.fixture(scope="module")
def facts():
    return json.loads(PATH.with_suffix(".json").read_text(encoding="utf-8"))


def test_it_is_the_network_it_claims_to_be(facts):
    predictor = Predictor.load(PATH)
    assert predictor.model.config == build_model("lg_dcnn", pretrain.NETWORK).config
    assert predictor.model.n_parameters() == facts["n_parameters"]
    assert predictor.info["train_config"] == facts["recipe"] == asdict(pretrain.RECIPE)
    task = load_benchmark(facts["task"])
    assert predictor.info["data_hash"] == task.data_hash
    found = predictor.predict(task.val["formula"])["prediction"]
    error = score("mae", task.val["target"], found)
    assert error == pytest.approx(facts["val_mae"], rel=1e-3)
    rows = task.test.sample(1000, random_state=0)
    found = predictor.predict(rows["formula"], interval=0.9)
    truth = rows["target"].to_numpy()
    inside = (found["lower"] <= truth) & (truth <= found["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.03)  # three standard errors


def test_it_says_how_it_was_made(facts):
    made = ("command", "commit", "seconds", "date", "hardware", "versions")
    assert not [key for key in made if facts.get(key) in (None, "")]
    assert facts["command"] == "pretrain.py"


def test_trainings_start_from_it():
    assert {spec.start for spec in grid.transfer()} == {"", pretrain.PRETRAINED}
    recipes = json.loads((data_dir() / "results/recipes.json").read_text())
    starts = {recipes[r].get("start") for r in load_results("transfer")["recipe"]}
    assert starts == {None, pretrain.PRETRAINED}


def test_what_is_kept_says_what_was_done(tmp_path: Path):
    task = subset(load_benchmark("CritExam__Ef"), 64, seed=0)
    task = replace(task, val=task.val[:50], test=task.test[:50])
    recipe = TrainConfig(epochs=1, seed=3, device="cpu")
    predictor, made = pretrain.train(task, ModelConfig(d=16), recipe)
    path = tmp_path / "new/small.safetensors"
    pretrain.keep(predictor, made, task, path)
    facts = json.loads(path.with_suffix(".json").read_text())
    again = Predictor.load(path)
    found = again.predict(task.test["formula"])["prediction"]
    error = score("mae", task.test["target"], found)
    assert facts["test_mae"] == pytest.approx(error, rel=1e-4)
    assert facts["recipe"] == asdict(recipe)
    assert again.info["commit"] == facts["commit"] == made["commit"]
