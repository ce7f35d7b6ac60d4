"""Intervals: against a hand calculation, against MAPIE, and on data they never saw."""

import json

import numpy as np
import pandas as pd
import pytest
from mapie.conformity_scores import ResidualNormalisedScore
from mapie.regression import SplitConformalRegressor
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator, RegressorMixin

from lgdcnn_lib.benchmarks import BENCHMARKS, Task, load_benchmark
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.intervals import Calibration, conformal_quantile
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor, Scaler
from lgdcnn_lib.results import load_predictions, load_results
from lgdcnn_lib.training import TrainConfig, fit


class Column(RegressorMixin, BaseEstimator):
    """An estimator that predicts a column of its input: predictions that are given."""

    def __init__(self, column=0):
        self.column, self.is_fitted = column, True

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.asarray(x)[:, self.column]


def draw(n, seed):
    """Predictions, deviations that are wrong on purpose, and true values."""
    rng = np.random.default_rng(seed)
    std = rng.lognormal(size=n)
    prediction = rng.normal(size=n)
    return prediction, std, prediction + rng.laplace(size=n) * std**0.5


def test_a_quantile_by_hand():
    scores = [5, 1, 4, 2, 3, 9, 8, 7, 6]  # n = 9, so k = 10 * level
    assert conformal_quantile(scores, 0.9) == 9
    assert conformal_quantile(scores, 0.8) == 8
    assert conformal_quantile(scores, 0.81) == 9
    assert conformal_quantile(scores, 0.7) == 7  # 10 * 0.7 in floating point is more
    with pytest.raises(ValueError, match=r"^9 calibration rows are too few.*takes 19$"):
        conformal_quantile(scores, 0.95)
    for level in (0, 1, 90):
        with pytest.raises(ValueError, match="between 0 and 1"):
            conformal_quantile(scores, level)


def test_an_interval_by_hand():
    found = Calibration.of([1, 2, 9], [0, 4, 0], [1, 4, 9], exponent=0.5)
    assert found.scores.tolist() == [1, 1, 3]
    assert found.half_width([4, 16], 0.75).tolist() == [6, 12]
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match=f"row 1: .* a number in each .* {wrong}"):
            Calibration.of([1, wrong], [0, 0], [1, 1])
    with pytest.raises(ValueError, match="calibration needs rows"):
        Calibration.of([], [], [])


@pytest.mark.parametrize("n", [50, 199])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_the_same_interval_as_mapie(n, level):
    prediction, std, y = draw(n, seed=n)
    score = ResidualNormalisedScore(Column(1), prefit=True, sym=True)
    theirs = SplitConformalRegressor(Column(0), level, score)
    scale = std**0.6
    theirs.conformalize(np.column_stack([prediction, scale]), y)
    new, new_std, _ = draw(20, seed=1)
    _, ends = theirs.predict_interval(np.column_stack([new, new_std**0.6]))
    half = Calibration.of(y, prediction, std, 0.6).half_width(new_std, level)
    assert np.allclose(ends[:, 0, 0], new - half, rtol=1e-5)
    assert np.allclose(ends[:, 1, 0], new + half, rtol=1e-5)


@pytest.mark.parametrize("exponent", [0, 0.6, 1])
def test_the_stated_share_is_held_on_average(exponent):
    """Over many draws of 19 calibration rows; k / (n + 1) is 0.9 exactly."""
    held = []
    for seed in range(300):
        prediction, std, y = draw(19 + 100, seed)
        known = Calibration.of(y[:19], prediction[:19], std[:19], exponent)
        half = known.half_width(std[19:], 0.9)
        held.append((np.abs(y - prediction)[19:] <= half).mean())
    assert np.mean(held) == pytest.approx(0.9, abs=4 * np.std(held) / 300**0.5)


def test_wider_for_a_larger_share_and_a_larger_deviation():
    prediction, std, y = draw(500, 0)
    known = Calibration.of(y, prediction, std)
    widths = [known.half_width([1.0, 2.0], level) for level in (0.5, 0.8, 0.9, 0.99)]
    assert (np.diff(widths, axis=0) > 0).all()
    assert (np.diff(widths, axis=1) > 0).all()


@pytest.fixture(scope="module")
def trained():
    full = load_benchmark("aflow__ael_bulk_modulus_vrh")
    task = Task("small", full.train[:300], full.val[:99], full.test, "GPa", "mae")
    model = build_model("lstm", ModelConfig(d=16), seed=0)
    config = TrainConfig(epochs=5, device="cpu")
    return task, fit(model, task, config).predictor


def test_training_fills_the_calibration(trained, tmp_path):
    task, predictor = trained
    val = predictor.predict(task.val["formula"], interval=0.9)
    inside = task.val["target"].between(val["lower"] - 1e-3, val["upper"] + 1e-3)
    assert inside.sum() == 90  # k = 100 * 0.9 of 99
    assert (val["upper"] - val["prediction"]).to_numpy() == pytest.approx(
        (val["prediction"] - val["lower"]).to_numpy()
    )
    path = tmp_path / "model.safetensors"
    predictor.save(path)
    back = Predictor.load(path).predict(task.test["formula"][:9], interval=0.8)
    assert back.equals(predictor.predict(task.test["formula"][:9], interval=0.8))
    assert list(back) == ["formula", "prediction", "std", "lower", "upper"]


def test_older_files_load_and_say_that_they_hold_none(trained, tmp_path):
    _, predictor = trained
    path = tmp_path / "old.safetensors"
    predictor.save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["predictor"])
    del header["calibration"]
    state = load_file(path)
    del state["calibration.scores"]
    save_file(state, path, metadata={"predictor": json.dumps(header)})
    old = Predictor.load(path)
    assert len(old.predict(["MgO"])) == 1
    with pytest.raises(ValueError, match="holds no calibration; call calibrate"):
        old.predict(["MgO"], interval=0.9)


def test_intervals_that_are_not_offered(trained):
    task, predictor = trained
    with pytest.raises(ValueError, match="orders=0, not 4: call calibrate"):
        predictor.predict(["MgO"], orders=4, interval=0.9)
    with pytest.raises(ValueError, match="99 calibration rows are too few"):
        predictor.predict(["MgO"], interval=0.999)
    model = build_model("lstm", ModelConfig(d=8))
    classifier = Predictor(model, Scaler(), metric="rocauc")
    with pytest.raises(ValueError, match="a classifier has no intervals"):
        classifier.predict(["MgO"], interval=0.9)
    with pytest.raises(ValueError, match="a classifier has no intervals"):
        classifier.calibrate(task.val)
    shuffled = Predictor(predictor.model, predictor.scaler)
    shuffled.calibrate(task.val[:20], orders=2)
    assert len(shuffled.predict(["MgO"], orders=2, interval=0.9)) == 1


def test_a_classifier_trains_without_calibration():
    formulas = ["NaCl", "KCl", "LiF", "KBr", "Fe", "Cu", "FeNi", "CuZn"]
    table = pd.DataFrame({"formula": formulas, "target": [0.0] * 4 + [1.0] * 4})
    task = Task("metals", table, table, table, metric="rocauc")
    model = build_model("lstm", ModelConfig(d=8))
    run = fit(model, task, TrainConfig(epochs=1, device="cpu"))
    assert run.predictor.calibration is None


def kept_tasks():
    """Regression tasks with kept predictions and 700 test rows to 15,000."""
    names = load_results("main")["task"].unique()  # refitted runs have no validation
    folder = data_dir() / "results/predictions"
    kept = [name for name in sorted(names) if (folder / f"{name}.csv.xz").exists()]
    facts = [BENCHMARKS[name] for name in kept]
    return [f.name for f in facts if f.metric == "mae" and 700 <= f.splits[2] <= 15_000]


@pytest.mark.parametrize("name", kept_tasks())
def test_coverage_on_kept_predictions_is_within_chance_of_what_is_stated(name):
    """Four times the spread that the numbers of rows leave, and a point for drift."""
    fold = 0 if BENCHMARKS[name].collection == "matbench" else None
    task, kept = load_benchmark(name, fold), load_predictions(name)
    kept = kept[kept["recipe"].isin(load_results("main")["recipe"])]
    kept = kept[kept["fold"] == ("" if fold is None else str(fold))]
    run = kept[kept["seed"] == kept["seed"].min()]
    val, test = (run[run["split"] == part] for part in ("val", "test"))
    known = Calibration.of(task.val["target"], val["prediction"], val["std"])
    error = np.abs(task.test["target"].to_numpy() - test["prediction"].to_numpy())
    covered = (error <= known.half_width(test["std"], 0.9)).mean()
    chance = (0.09 / len(val) + 0.09 / len(test)) ** 0.5
    assert abs(covered - 0.9) < 4 * chance + 0.01


def test_deviations_are_one_scale_not_a_calibration():
    """A network's own deviation times a constant gives the same intervals."""
    prediction, std, y = draw(99, 3)
    once = Calibration.of(y, prediction, std).half_width(std, 0.9)
    scaled = Calibration.of(y, prediction, 7 * std).half_width(7 * std, 0.9)
    assert np.allclose(once, scaled, rtol=1e-6)
