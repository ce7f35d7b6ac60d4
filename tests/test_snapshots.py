"""The tool that spends the same epochs in three ways."""

import numpy as np
import pandas as pd
import pytest

import snapshots
from lgdcnn_lib.benchmarks import Task, load_benchmark, score
from lgdcnn_lib.models import ModelConfig
from lgdcnn_lib.recipe import TrainConfig


@pytest.fixture
def small(monkeypatch):
    """A task of a few compounds, and trainings of moments."""
    full = load_benchmark("aflow__ael_bulk_modulus_vrh")
    parts = (full.train[:60], full.val[:20], full.test[:20])
    task = Task("small", *parts, "GPa", "mae")
    short = TrainConfig(epochs=2, batch_size=16, device="cpu", shuffle_elements=True)
    monkeypatch.setattr(snapshots, "HALF", ModelConfig(d=8))
    monkeypatch.setattr(snapshots, "LONG", TrainConfig(epochs=8, device="cpu"))
    monkeypatch.setattr(snapshots, "SHORT", short)
    monkeypatch.setattr(snapshots, "load_benchmark", lambda name, fold: task)
    return task


def test_rows_of_a_way_by_hand(small):
    runs = snapshots.seeds(small, seed=1)
    assert len({run.predictor.predict(["TiC"])["prediction"][0] for run in runs}) == 4
    found = {row["members"]: row for row in snapshots.rows(small, runs)}
    assert list(found) == [1, 2, 3, 4]
    test = small.test
    two = [run.predictor.predict(test["formula"], orders=8) for run in runs[-2:]]
    m = np.array([table["prediction"] for table in two])
    error = score("mae", test["target"], m.mean(axis=0))
    assert found[2]["test_error"] == pytest.approx(error)
    squared = (m - test["target"].to_numpy()) ** 2
    joint = (m.mean(axis=0) - test["target"].to_numpy()) ** 2
    gap = squared.mean() - joint.mean()  # the identity of chapter 23
    assert found[2]["ambiguity"] == pytest.approx(gap / squared.mean())
    assert found[1]["ambiguity"] == 0


def test_a_way_that_has_its_rows_is_known(small, tmp_path):
    path = tmp_path / "snapshots.csv"
    assert snapshots.done(path) == set()
    for way in ("once", "snapshots"):
        snapshots.perform("small", None, way, 2, path)
    assert snapshots.done(path) == {("small", "once", "2"), ("small", "snapshots", "2")}
    table = pd.read_csv(path)
    assert table["epochs"].eq(8).all()
    assert table.groupby("way")["members"].max().to_dict() == {
        "once": 1,
        "snapshots": 4,
    }


def test_the_ways_cost_the_same():
    assert snapshots.SHORT.epochs * snapshots.MEMBERS == snapshots.LONG.epochs
    table = pd.read_csv(snapshots.RESULTS)
    assert set(table["epochs"]) == {snapshots.LONG.epochs}
