"""The networks that come with the book, read and trained anew."""

import json

import pytest
from filelock import FileLock, Timeout

import lgdcnn_lib.training
from lgdcnn_lib import shipped as module
from lgdcnn_lib.benchmarks import load_benchmark, score
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.shipped import SHIPPED, shipped

TASK = "aflow__ael_debye_temperature"
FORMULAS = ["Fe2O3", "NaCl", "CaTiO3"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder whose LSTM is trained on a small task, for two epochs."""
    real = data_dir()
    for name in ("benchmarks", "elements", "published"):
        (tmp_path / name).symlink_to(real / name)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    weights = (real / "checkpoints/lstm.safetensors").read_bytes()
    (folder / "lstm.safetensors").write_bytes(weights)
    facts = json.loads((real / "checkpoints/lstm.json").read_text("utf-8"))
    facts["task"] = TASK
    facts["recipe"]["epochs"] = 2
    (folder / "lstm.json").write_text(json.dumps(facts), "utf-8")
    monkeypatch.setenv("LGDCNN_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_the_file_of_its_name(name):
    direct = Predictor.load(data_dir() / f"checkpoints/{name}.safetensors")
    found = shipped(name)
    assert found.predict(FORMULAS).equals(direct.predict(FORMULAS))
    assert found.info["task"] == "CritExam__Ef"


def test_another_name_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no network 'lgdcnn'; there are .*lg_dcnn"):
        shipped("lgdcnn")


def test_a_network_is_trained_anew_once_by_its_own_recipe(data):
    found = shipped("lstm", retrain=True)
    assert found.info["task"] == TASK
    assert found.info["epochs"] == 2
    assert found.info["val_mae"] != shipped("lstm").info["val_mae"]
    assert {*found.info} >= {"commit", "date", "hardware", "versions", "command", "d"}
    assert 0 < found.info["seconds"] < shipped("lstm").info["seconds"]
    original = shipped("lstm")
    assert found.model.config == original.model.config
    assert found.model.n_parameters() == original.model.n_parameters()
    task = load_benchmark(TASK)
    predicted = found.predict(task.test["formula"])["prediction"]
    error = score("mae", task.test["target"], predicted)
    assert float(found.info["test_mae"]) == pytest.approx(error, rel=1e-4)
    assert found.predict(FORMULAS, interval=0.9)["lower"].notna().all()
    again = data / "retrained/lstm.safetensors"
    written = again.stat().st_mtime_ns
    assert (
        shipped("lstm", retrain=True).predict(FORMULAS).equals(found.predict(FORMULAS))
    )
    assert again.stat().st_mtime_ns == written


def test_a_training_that_was_stopped_goes_on(data, monkeypatch):
    real = lgdcnn_lib.training.Trainer.run_epoch

    def stopped(trainer):
        if trainer.history:
            raise KeyboardInterrupt
        return real(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(lgdcnn_lib.training.Trainer, "run_epoch", stopped)
        with pytest.raises(KeyboardInterrupt, match="lstm is not at its end"):
            shipped("lstm", retrain=True)
    assert not (data / "retrained/lstm.safetensors").exists()
    resumed = shipped("lstm", retrain=True)
    (data / "retrained/lstm.safetensors").unlink()
    whole = shipped("lstm", retrain=True)
    assert resumed.predict(FORMULAS).equals(whole.predict(FORMULAS))


def test_who_wants_the_same_network_waits(data, monkeypatch):
    (data / "retrained").mkdir()
    impatient = lambda path: FileLock(path, timeout=0)  # noqa: E731
    monkeypatch.setattr(module, "FileLock", impatient)
    with FileLock(data / "retrained/lstm.lock"), pytest.raises(Timeout):
        shipped("lstm", retrain=True)
