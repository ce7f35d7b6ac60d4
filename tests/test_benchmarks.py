"""The registry, the splits and the folds, and what is known to be wrong with them."""

import dataclasses
import functools
import time

import numpy as np
import pandas as pd
import pytest

from lgdcnn_lib.benchmarks import (
    BENCHMARKS,
    Benchmark,
    Task,
    fold_rows,
    load_benchmark,
    score,
)
from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import data_dir

EXTENDED = [n for n, task in BENCHMARKS.items() if task.collection == "extended"]
MATBENCH = [n for n, task in BENCHMARKS.items() if task.collection == "matbench"]

ROWS = {
    "matbench_dielectric": 4764,
    "matbench_expt_gap": 4604,
    "matbench_expt_is_metal": 4921,
    "matbench_glass": 5680,
    "matbench_jdft2d": 636,
    "matbench_log_gvrh": 10987,
    "matbench_log_kvrh": 10987,
    "matbench_mp_e_form": 132752,
    "matbench_mp_gap": 106113,
    "matbench_mp_is_metal": 106113,
    "matbench_perovskites": 18928,
    "matbench_phonons": 1265,
    "matbench_steels": 312,
}

# First test rows (from 0) of matbench_steels in the official v0.1 record, by fold, with
# their yield strengths; and the sum of all test rows. From the file
# matbench/tests/msonability_matbench_steels.json of the matbench repository (MIT).
STEELS = {
    0: ([2, 4, 19, 25, 26, 31], [1736.3, 2249.6, 1185.1, 1322.1, 1870.6, 1405.6]),
    1: ([3, 8, 9, 11, 23, 29], [2487.3, 1088.6, 1502.0, 2331.1, 1350.4, 1550.3]),
    2: ([16, 18, 20, 22, 32, 47], [2381.6, 1603.3, 2510.3, 1312.6, 1529.6, 1322.9]),
    3: ([1, 6, 13, 21, 30, 33], [1123.1, 2501.1, 2402.3, 2372.4, 2381.6, 1825.8]),
    4: ([0, 5, 7, 10, 12, 14], [2411.5, 1328.3, 1228.9, 2411.5, 1274.7, 1460.7]),
}


def load(name):
    return load_benchmark(name, 0 if name in MATBENCH else None)


def test_there_are_31_tasks():
    assert len(BENCHMARKS) == 31
    assert len(EXTENDED) == 18
    assert len(MATBENCH) == 13
    assert list(BENCHMARKS) == EXTENDED + MATBENCH
    assert {name: BENCHMARKS[name].rows for name in MATBENCH} == ROWS


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_every_task_is_described(name):
    task = BENCHMARKS[name]
    assert isinstance(task, Benchmark)
    assert all(str(value) for value in dataclasses.astuple(task))
    assert task.name == name
    assert task.metric in ("mae", "rocauc")
    assert "doi:" in task.citation
    assert len(task.sha256) == 64
    assert sum(task.splits) == task.rows
    assert 1 <= task.elements[0] <= task.elements[1]


def test_units():
    units = {name: task.unit for name, task in BENCHMARKS.items()}
    assert units["aflow__ael_bulk_modulus_vrh"] == "GPa"
    assert units["aflow__agl_thermal_conductivity_300K"] == "W/(m K)"
    assert units["OQMD_Volume_per_atom"] == "Å³/atom"
    assert units["matbench_perovskites"] == "eV/cell"
    # Classes, and quantities that have no dimension.
    none = {name for name, unit in units.items() if unit == "1"}
    classes = {n for n, task in BENCHMARKS.items() if task.metric == "rocauc"}
    assert none == classes | {"mp_elastic_anisotropy", "matbench_dielectric"}
    assert len(classes) == 3


def test_published_errors():
    aflow = BENCHMARKS["aflow__ael_bulk_modulus_vrh"].published
    assert aflow["lg_dcnn"] == 8.221
    assert aflow["crabnet"] == 8.692
    assert BENCHMARKS["matbench_perovskites"].published["crabnet"] == 0.4065
    assert "crabnet" not in BENCHMARKS["matbench_glass"].published
    for name in EXTENDED:
        assert {"lg_dcnn", "crabnet", "roost"} <= set(BENCHMARKS[name].published)
    for name in MATBENCH:
        assert {"dummy", "random_forest"} <= set(BENCHMARKS[name].published)


def test_unknown_task_names_the_known_ones():
    with pytest.raises(KeyError, match="known: aflow__ael_bulk_modulus_vrh, aflow"):
        BENCHMARKS["unknown"]
    with pytest.raises(KeyError, match="unknown"):
        load_benchmark("unknown")
    assert "unknown" not in BENCHMARKS


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_every_task_loads_as_described(name):
    facts, task = BENCHMARKS[name], load(name)
    splits = (task.train, task.val, task.test)
    assert tuple(map(len, splits)) == facts.splits
    assert (task.name, task.unit, task.metric) == (name, facts.unit, facts.metric)
    for frame in splits:
        assert list(frame.columns) == ["formula", "target"]
        assert frame["target"].dtype == np.float64
        assert np.isfinite(frame["target"]).all()
        assert frame["formula"].map(lambda text: isinstance(text, str)).all()
        assert list(frame.index) == list(range(len(frame)))
        if facts.metric == "rocauc":
            assert set(frame["target"]) == {0.0, 1.0}


def test_sodium_nitride_is_not_a_missing_value():
    task = load_benchmark("matbench_mp_e_form", fold=0)
    formulas = pd.concat([task.train, task.val, task.test])["formula"]
    assert not formulas.isna().any()
    path = data_dir() / "benchmarks/OQMD_Energy_per_atom.csv.xz"
    assert not pd.read_csv(path, keep_default_na=False)["formula"].isna().any()


def test_the_largest_task_loads_within_two_seconds():
    load_benchmark("OQMD_Energy_per_atom")
    start = time.process_time()
    load_benchmark("OQMD_Energy_per_atom")
    assert time.process_time() - start < 2


# Compositions that occur twice although the collection is meant to have none: written
# with decimals once and with whole numbers once. (formulas, splits)
KNOWN_TWINS = {
    (("Al0.4C0.2Mo0.6", "Al2C1Mo3"), ("train", "train")),
    (("Al0.4C0.2Nb0.6", "Al2C1Nb3"), ("train", "train")),
    (("Al0.4C0.2Ta0.6", "Al2C1Ta3"), ("val", "train")),
    (("N0.2V0.6Zn0.4", "N1V3Zn2"), ("test", "val")),
}


@functools.cache
def compositions():
    """Return a number for each formula of the 18: equal for equal compositions."""
    names = [f"benchmarks/{name}.csv.xz" for name in EXTENDED]
    files = [pd.read_csv(data_dir() / name, keep_default_na=False) for name in names]
    formulas = pd.concat([file["formula"] for file in files]).unique()
    batch = encode(formulas)
    parts = [batch.atomic_numbers.numpy(), batch.fractions.numpy().view(np.int32)]
    rows = np.ascontiguousarray(np.concatenate(parts, axis=1))
    keys = np.unique(rows.view(f"V{rows.strides[0]}").ravel(), return_inverse=True)[1]
    return pd.Series(keys, index=formulas)


def twins(task):
    """Return groups of formulas with the same composition, and their splits."""
    splits = {"train": task.train, "val": task.val, "test": task.test}
    data = pd.concat([frame.assign(split=split) for split, frame in splits.items()])
    assert not data["formula"].duplicated().any()
    data["key"] = compositions()[data["formula"]].to_numpy()
    double = data[data["key"].duplicated(keep=False)].sort_values("formula")
    groups = double.groupby("key")
    return {(tuple(g["formula"]), tuple(g["split"])) for _, g in groups}


@pytest.mark.parametrize("name", EXTENDED)
def test_no_composition_is_in_two_splits_but_for_those_we_know(name):
    known = name in ("aflow__Egap", "aflow__energy_atom")
    assert twins(load_benchmark(name)) == (KNOWN_TWINS if known else set())


@pytest.mark.parametrize("fold", range(5))
def test_official_folds_of_the_steels(fold):
    rows, targets = STEELS[fold]
    path = data_dir() / "benchmarks/matbench_steels.csv.xz"
    column = pd.read_csv(path)["target"].to_numpy()
    test = fold_rows(column, fold)[2]
    assert test[:6].tolist() == rows
    assert column[test[:6]].tolist() == targets
    found = load_benchmark("matbench_steels", fold=fold).test["target"]
    assert found[:6].tolist() == targets


@pytest.mark.parametrize("name", MATBENCH)
def test_folds_are_disjoint_and_complete(name):
    path = data_dir() / f"benchmarks/{name}.csv.xz"
    targets = pd.read_csv(path, keep_default_na=False)["target"].to_numpy()
    metric, n = BENCHMARKS[name].metric, len(targets)
    tests = []
    for fold in range(5):
        train, val, test = fold_rows(targets, fold, metric)
        assert np.array_equal(np.sort(np.concatenate([train, val, test])), np.arange(n))
        assert abs(len(test) - n / 5) <= 1
        assert abs(len(val) - 0.1 * (n - len(test))) <= 0.5
        tests.append(test)
        if metric == "rocauc":
            share = [targets[part].mean() for part in (test, np.r_[train, val])]
            assert share[0] == pytest.approx(share[1], abs=2e-3)
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(n))


def test_validation_is_drawn_anew_for_each_fold_but_never_changes():
    targets = np.zeros(1000)
    first, again = fold_rows(targets, 1), fold_rows(targets, 1)
    assert all(map(np.array_equal, first, again))
    assert first[1][:4].tolist() == fold_rows(np.ones(1000), 1)[1][:4].tolist()
    assert len(np.intersect1d(first[1], fold_rows(targets, 2)[1])) < 30


@pytest.mark.parametrize("fold", [None, -1, 5])
def test_matbench_needs_a_fold(fold):
    with pytest.raises(ValueError, match="folds 0 to 4"):
        load_benchmark("matbench_steels", fold=fold)


def test_fixed_splits_have_no_fold():
    with pytest.raises(ValueError, match="fixed splits"):
        load_benchmark("aflow__Egap", fold=0)


def small(target=1.0):
    frame = pd.DataFrame({"formula": ["NaCl", "Fe2O3"], "target": [target, 2.0]})
    return Task("mine", frame, frame, frame, unit="eV")


def test_a_task_of_your_own():
    task = small()
    assert (task.unit, task.metric, task.fold) == ("eV", "mae", None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.unit = "K"


def test_the_data_hash_is_of_the_content():
    assert small().data_hash == small().data_hash
    assert small().data_hash != small(1.0000000001).data_hash
    task = small()
    swapped = dataclasses.replace(task, train=task.train[::-1])
    shorter = dataclasses.replace(task, val=task.val[:1])
    other_index = dataclasses.replace(task, val=task.val.set_index([[5, 6]]))
    assert len({task.data_hash, swapped.data_hash, shorter.data_hash}) == 3
    assert other_index.data_hash == task.data_hash
    known = load_benchmark("aflow__ael_bulk_modulus_vrh").data_hash
    assert known.startswith("d7412a40")
    folds = [load_benchmark("matbench_steels", fold).data_hash for fold in (0, 1)]
    assert folds[0] != folds[1]


def test_a_task_without_its_columns_is_refused():
    frame = pd.DataFrame({"formula": ["NaCl"], "energy": [1.0]})
    with pytest.raises(ValueError, match=r"mine, train: no column \['target'\]"):
        Task("mine", frame, frame, frame)
    task = small()
    with pytest.raises(ValueError, match="metric is"):
        dataclasses.replace(task, metric="rmse")


def test_scores_by_hand():
    assert score("mae", [1, 2, 3], [1, 3, 5]) == 1
    assert score("rocauc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    with pytest.raises(ValueError, match="metric is"):
        score("rmse", [1], [1])
    with pytest.raises(ValueError, match="cannot compare"):
        score("mae", [1, 2], [1])
    with pytest.raises(ValueError, match="cannot compare"):
        score("mae", [], [])


@pytest.mark.parametrize(("fold", "metric"), [(5, "mae"), (-1, "mae"), (0, "rmse")])
def test_a_fold_or_metric_that_there_is_not(fold, metric):
    with pytest.raises(ValueError, match=f"no fold {fold} for the metric '{metric}'"):
        fold_rows(np.arange(100.0), fold, metric)


def test_models_of_a_task_without_structures_read_the_formula_alone():
    structured = BENCHMARKS["matbench_dielectric"]
    assert set(structured.composition_only()) == {"crabnet", "finder_composition"}
    steels = BENCHMARKS["matbench_steels"]
    assert set(steels.published) - set(steels.composition_only()) == {"dummy"}
    bulk = BENCHMARKS["mp_bulk_modulus"]
    assert list(bulk.composition_only()) == list(bulk.published)
