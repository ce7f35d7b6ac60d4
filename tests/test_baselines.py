"""Composition features by hand, and baselines on small and real tasks."""

import numpy as np
import pandas as pd
import pytest

from lgdcnn_lib.baselines import (
    MeanBaseline,
    RandomForestBaseline,
    composition_features,
)
from lgdcnn_lib.benchmarks import Task, load_benchmark, score
from lgdcnn_lib.composition import FormulaError


def small_task(metric="mae", n=60):
    """A task that is easy to learn: share of oxygen, or whether it is above 0.5."""
    rng = np.random.default_rng(0)
    amounts = rng.integers(1, 9, size=(n, 2))
    formulas = [f"Fe{a}O{b}" for a, b in amounts]
    target = amounts[:, 1] / amounts.sum(axis=1)
    if metric == "rocauc":
        target = (target > 0.5).astype(float)
    frame = pd.DataFrame({"formula": formulas, "target": target})
    return Task("small", frame[:40], frame[40:50], frame[50:], metric=metric)


def feature(formula, name):
    features, names = composition_features([formula])
    return features[0, names.index(name)]


def test_features_by_hand():
    # Fe2O3: numbers 26 and 8, fractions 2/5 and 3/5.
    expected = {
        "n elements": 2,
        "norm 2": np.sqrt(0.4**2 + 0.6**2),
        "norm 10": (0.4**10 + 0.6**10) ** 0.1,
        "Number mean": 0.4 * 26 + 0.6 * 8,
        "Number deviation": 2 * 0.4 * 0.6 * 18,
        "Number min": 8,
        "Number max": 26,
        "Number range": 18,
        "Number mode": 8,
    }
    for name, value in expected.items():
        assert feature("Fe2O3", name) == pytest.approx(value, rel=1e-6)
    assert feature("NaCl", "Number mode") == 11  # equal amounts: the smaller value
    assert feature("Fe", "Number deviation") == 0


def test_features_have_a_name_each_and_are_finite():
    features, names = composition_features(["Fe2O3", "LiFePO4", "PuO2", "H", "NaN"])
    assert features.shape == (5, 1 + 5 + 6 * 22)
    assert len(names) == len(set(names)) == features.shape[1]
    assert np.isfinite(features).all()


def test_features_do_not_depend_on_company_or_spelling():
    many = ["Fe2O3", "NaLiMgAlSiOHF", *(["NaCl"] * 5000), "O3Fe2", "Fe4O6"]
    features, _ = composition_features(many)
    [alone], _ = composition_features(["Fe2O3"])
    for row in (0, -2, -1):
        np.testing.assert_allclose(features[row], alone, rtol=1e-6)
    assert composition_features([])[0].shape == (0, 138)


def test_mean_baseline():
    task = small_task()
    baseline = MeanBaseline().fit(task)
    table = baseline.predict(["NaCl", "Fe"])
    assert table.columns.tolist() == ["formula", "prediction", "std"]
    assert table["formula"].tolist() == ["NaCl", "Fe"]
    assert table["prediction"].tolist() == [task.train["target"].mean()] * 2
    assert table["std"].tolist() == pytest.approx(
        [task.train["target"].std(ddof=0)] * 2
    )
    assert len(baseline.predict([])) == 0
    classes = small_task("rocauc")
    share = MeanBaseline().fit(classes).predict(["Fe"])["prediction"][0]
    assert share == classes.train["target"].mean()


def test_forest_learns_an_easy_target_and_keeps_the_order():
    task = small_task()
    forest = RandomForestBaseline(n_trees=20).fit(task)
    table = forest.predict(task.test["formula"])
    assert table["formula"].tolist() == task.test["formula"].tolist()
    error = score("mae", task.test["target"], table["prediction"])
    mean = MeanBaseline().fit(task).predict(task.test["formula"])
    assert error < 0.3 * score("mae", task.test["target"], mean["prediction"])
    assert (table["std"] >= 0).all()
    reverse = forest.predict(task.test["formula"][::-1])
    assert reverse["prediction"].tolist() == table["prediction"].tolist()[::-1]
    assert len(forest.predict([])) == 0


def test_forest_prediction_is_that_of_scikit_learn():
    for task in (small_task(), small_task("rocauc")):
        forest = RandomForestBaseline(n_trees=5).fit(task)
        table = forest.predict(task.val["formula"])
        features, _ = composition_features(task.val["formula"])
        if task.metric == "mae":
            expected = forest.forest.predict(features)
        else:
            expected = forest.forest.predict_proba(features)[:, 1]
        np.testing.assert_allclose(table["prediction"], expected, atol=1e-12)


def test_forest_gives_probabilities_for_classes():
    task = small_task("rocauc")
    table = RandomForestBaseline(n_trees=20).fit(task).predict(task.test["formula"])
    assert table["prediction"].between(0, 1).all()
    assert score("rocauc", task.test["target"], table["prediction"]) > 0.9


def test_forest_depends_on_its_seed_and_on_nothing_else():
    task = small_task()

    def predictions(**settings):
        forest = RandomForestBaseline(n_trees=5, **settings).fit(task)
        return forest.predict(task.test["formula"])["prediction"].tolist()

    first = predictions(seed=1)
    np.random.seed(0)  # noqa: NPY002 (the global state must not matter)
    assert predictions(seed=1) == first
    assert predictions(seed=1, n_jobs=2) == first
    assert predictions(seed=2) != first


def test_forest_refuses():
    with pytest.raises(RuntimeError, match="fit before predict"):
        RandomForestBaseline().predict(["NaCl"])
    with pytest.raises(RuntimeError, match="fit before predict"):
        MeanBaseline().predict(["NaCl"])
    task = small_task()
    with pytest.raises(FormulaError, match="row 1"):
        RandomForestBaseline(n_trees=2).fit(task).predict(["NaCl", "Qq"])


@pytest.mark.slow
def test_forest_reaches_the_published_error():
    task = load_benchmark("aflow__ael_bulk_modulus_vrh")
    table = RandomForestBaseline().fit(task).predict(task.test["formula"])
    error = score(task.metric, task.test["target"], table["prediction"])
    assert error <= 1.1 * 11.907  # data/published/extended_mae.csv


@pytest.mark.parametrize("kind", [MeanBaseline, RandomForestBaseline])
@pytest.mark.parametrize(
    ("targets", "metric", "reason"),
    [
        ([], "mae", "the train split of own is empty"),
        ([1.0, np.nan], "mae", "train row 1, KCl: the target nan is not a finite"),
        ([0.5, 0.9], "rocauc", "train row 0, NaCl: the target 0.5 is not a class"),
        ([1.0, 1.0], "rocauc", "the train split of own holds one class only"),
    ],
)
def test_targets_that_teach_nothing(kind, targets, metric, reason):
    formulas = ["NaCl", "KCl"][: len(targets)]
    train = pd.DataFrame({"formula": formulas, "target": np.array(targets, float)})
    with pytest.raises(ValueError, match=reason):
        kind().fit(Task("own", train, train, train, "", metric))
