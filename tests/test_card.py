"""The model card says what is true of the model."""

from dataclasses import replace

import numpy as np
import pytest

from lgdcnn_lib.benchmarks import Task, load_benchmark, score
from lgdcnn_lib.card import error_table, model_card
from lgdcnn_lib.composition import encode
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.training import TrainConfig, fit


@pytest.fixture(scope="module")
def trained():
    full = load_benchmark("mp_bulk_modulus")
    task = Task("small", full.train[:400], full.val[:99], full.test[:200], "GPa")
    model = build_model("lstm", ModelConfig(d=16), seed=0)
    return task, fit(model, task, TrainConfig(epochs=4, device="cpu")).predictor


def test_errors_are_those_of_the_predictor(trained):
    task, predictor = trained
    table = error_table(predictor, task)
    found = predictor.predict(task.test["formula"], interval=0.9)
    error = score("mae", task.test["target"], found["prediction"])
    assert table.loc["test", "error"] == pytest.approx(error)
    mean = (task.test["target"] - task.train["target"].mean()).abs().mean()
    assert table.loc["test", "mean_baseline"] == pytest.approx(mean)
    inside = task.test["target"].between(found["lower"], found["upper"]).mean()
    assert table.loc["test", "covered"] == pytest.approx(inside)
    assert table["rows"].tolist() == [99, 200]
    assert f"- test: mae {error:.4g} GPa" in model_card(predictor, task)


def test_limits_name_the_elements_that_are_missing(trained):
    task, predictor = trained
    card = model_card(predictor, task)
    [line] = [line for line in card.splitlines() if "never met" in line]
    batch = encode(task.train["formula"])
    named = line.partition(":")[2].strip(" .").split()
    assert set(encode(named).atomic_numbers.flatten().tolist()).isdisjoint(
        batch.atomic_numbers[batch.mask].tolist()
    )
    assert len(named) + len(np.unique(batch.atomic_numbers[batch.mask])) == 118
    assert task.data_hash[:16] in card
    assert "seed 0" in card
    counts = [int(line.split(": ")[1].split(",")[0]) for line in card.splitlines()
              if line.startswith("- Test compositions")]  # fmt: skip
    assert sum(counts) == 200


def test_without_a_test_set_and_without_calibration(trained):
    task, predictor = trained
    bare = Task("bare", task.train, task.val, task.test[:0], "GPa")
    assert list(error_table(predictor, bare).index) == ["validation"]
    predictor.calibration, kept = None, predictor.calibration
    try:
        assert "Intervals" not in model_card(predictor, bare)
    finally:
        predictor.calibration = kept


def test_a_number_without_unit_stands_alone(trained):
    task, predictor = trained
    card = model_card(predictor, replace(task, unit="1"))
    [line] = [line for line in card.splitlines() if line.startswith("- Target")]
    assert " in the middle" in line
    assert " 1 in the middle" not in line
    assert "1;" not in card


def test_intervals_are_judged_in_the_orders_that_they_were_calibrated_with(trained):
    task, predictor = trained
    found = replace(predictor, calibration=None)
    found.calibrate(task.val, orders=2)
    table = error_table(found, task)
    asked = found.predict(task.test["formula"], orders=2, interval=0.9)
    width = (asked["upper"] - asked["lower"]).mean()
    assert table.loc["test", "width"] == pytest.approx(width)
    near = replace(task, test=task.train[:40])  # all of them are near
    said = f"training set: 40, mae {error_table(found, near).loc['test', 'error']:.4g}"
    assert said in model_card(found, near)


def test_a_training_set_of_one_composition_has_a_card(trained):
    task, predictor = trained
    train = task.train[:2].assign(formula=["NaCl", "Na2Cl2"])
    assert "Test compositions" not in model_card(predictor, replace(task, train=train))


def test_no_rows_to_judge_are_an_empty_table(trained):
    task, predictor = trained
    table = error_table(predictor, replace(task, val=task.val[:0], test=task.test[:0]))
    assert list(table) == ["rows", "error", "mean_baseline"]
    assert table.empty


def test_an_interval_of_everything_is_refused(trained):
    task, predictor = trained
    with pytest.raises(ValueError, match="between 0 and 1"):
        error_table(predictor, task, level=1.0)
