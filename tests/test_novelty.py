"""Novelty: distances by hand, and errors that it tells apart on kept predictions."""

import numpy as np
import pytest

from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.composition import FormulaError
from lgdcnn_lib.elements import element_properties
from lgdcnn_lib.intervals import Calibration
from lgdcnn_lib.novelty import cumulated_fractions, novelty
from lgdcnn_lib.results import load_predictions

KNOWN = ["NaCl", "KCl", "LiF", "MgO", "Fe2O3"]


def distance(first, second):
    """Slowly, in float64."""
    a, b = cumulated_fractions([first, second]).astype(float)
    return ((a - b) ** 2).sum() ** 0.5


def test_atoms_moved_to_the_next_element():
    number = element_properties()["mendeleev_number"]
    assert number["K"] + 1 == number["Na"]
    assert distance("K", "Na") == pytest.approx(1)
    assert distance("KCl", "NaCl") == pytest.approx(0.5)
    assert distance("KNaCl2", "NaCl") == pytest.approx(0.25)
    assert distance("Rb", "Na") == pytest.approx(2**0.5)  # two places


def test_it_is_a_distance_of_compositions():
    assert distance("NaCl", "Cl2Na2") == 0
    ab, bc, ac = (
        distance(*p) for p in (("NaCl", "MgO"), ("MgO", "Fe"), ("NaCl", "Fe"))
    )
    assert ac <= ab + bc
    assert ab == distance("MgO", "NaCl")
    assert distance("NaCl", "KCl") < distance("NaCl", "FeCl")


def test_nearest_is_the_nearest():
    asked = ["NaF", "CaO", "Fe3O4", "Cl2Na2"]
    found = novelty(asked, KNOWN)
    for row in found.itertuples():
        slow = {name: distance(row.formula, name) for name in KNOWN}
        assert row.nearest == min(slow, key=slow.get)
        assert row.distance == pytest.approx(slow[row.nearest], rel=1e-5)
    assert found["formula"].tolist() == asked
    assert found["distance"].iloc[-1] == 0
    assert not found["far"].iloc[-1]


def test_dopings_are_told_apart():
    known = ["Fe0.98Ni0.02", "Fe", "Fe0.97Ni0.03", "KCl"]
    found = novelty(["Fe0.97Ni0.03", "Fe", "Fe0.99Ni0.01"], known)
    assert found["nearest"].tolist()[:2] == ["Fe0.97Ni0.03", "Fe"]
    assert found["distance"].tolist()[:2] == [0, 0]
    assert found["distance"].iloc[2] == pytest.approx(distance("Fe99Ni", "Fe"))


def test_known_compositions_are_far_from_the_others_as_often_as_stated():
    train = (
        load_benchmark("aflow__ael_bulk_modulus_vrh")
        .train["formula"]
        .sample(1500, random_state=0)
    )
    found = novelty(train[:500], train[500:], share=0.2)
    assert found["far"].mean() == pytest.approx(0.2, abs=0.06)
    stricter = novelty(train[:500], train[500:], share=0.05)["far"]
    assert not (stricter & ~found["far"]).any()


def test_noble_gases_are_far_from_everything():
    train = load_benchmark("aflow__ael_bulk_modulus_vrh").train["formula"]
    assert novelty(["XeHe", "MgO"], train)["far"].tolist() == [True, False]


def test_it_is_fast_enough_for_a_screen():
    import time

    train = load_benchmark("aflow__ael_bulk_modulus_vrh").train["formula"]
    formulas = [f"Fe{i}Ni{j}O{k}" for i in range(1, 21) for j in range(1, 21)
                for k in range(1, 26)]  # fmt: skip
    start = time.perf_counter()
    assert len(novelty(formulas, train)) == 10_000
    assert time.perf_counter() - start < 30  # 2 s on an idle core


def test_bad_input():
    with pytest.raises(FormulaError, match="Xx"):
        novelty(["Xx2"], KNOWN)
    with pytest.raises(ValueError, match="two different"):
        novelty(["NaCl"], ["MgO", "Mg2O2"])


@pytest.mark.parametrize("name", ["CritExam__Ef", "mp_bulk_modulus"])
def test_far_compositions_have_larger_errors_than_their_intervals_say(name):
    """Against the same number of compositions drawn at random."""
    task, kept = load_benchmark(name), load_predictions(name)
    run = kept[(kept["seed"] == 0) & (kept["recipe"] == kept["recipe"].iloc[0])]
    val, test = (run[run["split"] == part] for part in ("val", "test"))
    known = Calibration.of(task.val["target"], val["prediction"], val["std"])
    error = np.abs(task.test["target"].to_numpy() - test["prediction"].to_numpy())
    missed = error > known.half_width(test["std"], 0.9)
    rows = np.random.default_rng(0).permutation(len(error))[:2500]
    far = novelty(task.test["formula"].iloc[rows], task.train["formula"])["far"]
    far = far.to_numpy()
    assert 0.02 < far.mean() < 0.2
    rng = np.random.default_rng(1)
    null = [missed[rows][rng.permutation(far)].mean() for _ in range(400)]
    assert missed[rows][far].mean() > np.quantile(null, 0.99)
    assert error[rows][far].mean() > 1.3 * error[rows][~far].mean()


def test_a_series_of_dopings_is_many_compositions():
    series = [f"Y{2 - x / 1000:.3f}Eu{x / 1000:.3f}O3" for x in range(1, 41)]
    found = novelty([*series, "NaCl"], series)
    assert found["nearest"].tolist()[:-1] == series
    assert (found["distance"][:-1] == 0).all()
    assert found["far"].tolist()[-1]
    perovskites = ["La0.999Sr0.001MnO3", "LaMnO3", "FeO", "La0.998Sr0.002MnO3"]
    found = novelty(perovskites, perovskites)
    assert found["nearest"].tolist() == perovskites


def test_one_text_is_not_a_list_of_formulas():
    for formulas, known in (("CO", ["NaCl", "KCl"]), (["CO"], "NaCl")):
        with pytest.raises(TypeError, match=r"write \[formula\]"):
            novelty(formulas, known)
