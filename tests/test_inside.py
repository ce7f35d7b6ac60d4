"""Element vectors, how well they keep labels together, and contributions."""

import numpy as np
import pytest

from lgdcnn_lib.capture import layer_features
from lgdcnn_lib.inside import (
    composition_line,
    contributions,
    element_means,
    line_formulas,
    same_label_odds,
    similarities,
)
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor, Scaler

FORMULAS = ["Fe2O3", "CuO", "NaCl", "LiFePO4", "Fe", "O2", "NaO2"]


@pytest.fixture(scope="module")
def predictor():
    model = build_model("lg_dcnn", ModelConfig(d=16), seed=3)
    return Predictor(model, Scaler(-1.5, 0.8), "mae", "eV/atom", {})


def test_element_means_are_means_over_compounds(predictor):
    found = element_means(predictor, FORMULAS, min_compounds=2)
    assert list(found) == list(predictor.model.layer_names)
    assert list(found["gru"].index) == ["O", "Na", "Fe"]
    features = layer_features(predictor, FORMULAS, "gru").features
    iron = [features[0, 1], features[3, 3], features[4, 0]]  # by amount, then by Z
    np.testing.assert_allclose(found["gru"].loc["Fe"], np.mean(iron, axis=0), atol=1e-6)
    assert len(element_means(predictor, FORMULAS, ["gru"], 1)["gru"]) == 7
    with pytest.raises(ValueError, match="no layer"):
        element_means(predictor, FORMULAS, ["nowhere"])


def test_similarities():
    v = np.array([[1.0, 0], [-1, 0], [0, 2], [0, -2]])
    found = similarities(v + 5)  # what all share does not count
    np.testing.assert_allclose(np.diag(found), 1)
    assert found[0, 1] == pytest.approx(-1)
    assert found[0, 2] == pytest.approx(0)
    assert not np.isnan(similarities(np.ones((3, 2)))).any()


def test_odds_are_one_for_perfect_and_half_for_meaningless_labels():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 10)
    centres = np.eye(3)[labels] * 10
    assert same_label_odds(centres + rng.normal(size=(30, 3)), labels) == 1
    noise = rng.normal(size=(30, 5))
    shuffled = [same_label_odds(noise, rng.permutation(labels)) for _ in range(300)]
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.01)
    assert same_label_odds(np.ones((4, 2)), [0, 0, 1, 1]) == 0.5  # all tied
    for bad in ([0, 0, 0], [0, 1, 2]):
        with pytest.raises(ValueError, match="labels"):
            same_label_odds(np.eye(3), bad)


def test_contributions_add_up_to_the_prediction(predictor):
    parts = contributions(predictor, FORMULAS)
    total = parts.groupby("row")["contribution"].sum() + predictor.scaler.mean
    expected = predictor.predict(FORMULAS)["prediction"]
    np.testing.assert_allclose(total, expected, rtol=0, atol=1e-5)
    iron_oxide = parts[parts["formula"] == "Fe2O3"]
    assert list(iron_oxide["element"]) == ["O", "Fe"]
    np.testing.assert_allclose(iron_oxide["fraction"], [0.6, 0.4])
    assert (parts.groupby("row")["gate"].nunique() == 1).all()


def test_without_exchange_a_part_depends_on_nothing_but_its_element_and_amount():
    model = build_model("dcnn_k1", ModelConfig(d=16), seed=0)
    predictor = Predictor(model, Scaler(), "mae", "1", {})
    parts = contributions(predictor, ["CuO", "ZnO", "Cu3O"])
    raw = (parts["contribution"] / parts["gate"])[parts["element"] == "O"].to_numpy()
    assert raw[0] == pytest.approx(raw[1], abs=1e-6)
    assert raw[0] != pytest.approx(raw[2], abs=1e-3)


def test_every_label_needs_a_vector():
    for vectors in (np.eye(6), np.full((3, 2), np.nan)):
        with pytest.raises(ValueError, match="a finite vector for each of 3 labels"):
            same_label_odds(vectors, [0, 0, 1])


def test_contributions_refuse_what_has_none(predictor):
    with pytest.raises(ValueError, match="no formula"):
        contributions(predictor, [])
    with pytest.raises(ValueError, match="regression"):
        contributions(Predictor(predictor.model, Scaler(), "rocauc", "1", {}), ["CuO"])
    padded = build_model("lstm", ModelConfig(d=16, padding="published"))
    with pytest.raises(ValueError, match="padding"):
        contributions(Predictor(padded, Scaler(), "mae", "1", {}), ["CuO"])


def test_composition_line_agrees_with_predict(predictor):
    line = composition_line(predictor, "Cu", "O", [0.25, 0.5, 0.75])
    expected = predictor.predict(["Cu3O", "CuO", "CuO3"])
    np.testing.assert_allclose(line["prediction"], expected["prediction"], atol=1e-6)
    np.testing.assert_allclose(line["std"], expected["std"], rtol=1e-5)
    total = line["base"] + line["Cu"] + line["O"]
    np.testing.assert_allclose(total, line["prediction"], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("Cu", "Cu", [0.5]), "two elements"),
        (("Cu", "Xx", [0.5]), "'Xx'"),
        (("Cu", "O", [0.5, 1.0]), "fraction 1 is not between 0 and 1"),
        (("Cu", "O", 2.0), "fraction 2 is not between 0 and 1"),
        (("Cu", "O", [np.nan]), "between 0 and 1"),
    ],
)
def test_line_formulas_refuse(arguments, why):
    with pytest.raises(ValueError, match=why):
        line_formulas(*arguments)
