"""Means of several networks: whose error they have, and who may join."""

import numpy as np
import pandas as pd
import pytest

from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.ensembles import (
    add_ensembles,
    add_mixed,
    ensemble_error,
    pair_errors,
)
from lgdcnn_lib.results import load_predictions, load_results, summary

DEFAULT = "619d34f25e"  # the recipe of the list main


def test_an_ensemble_is_scored_by_its_mean():
    task = "matbench_steels"
    truth = [load_benchmark(task, fold).test["target"].to_numpy() for fold in (0, 1)]

    def member(fold, seed, shift):
        facts = {"fold": str(fold), "seed": seed, "split": "test", "model": "ours"}
        return pd.DataFrame({"prediction": truth[fold] + shift}).assign(**facts)

    runs = [member(0, 0, 3.0), member(0, 1, -1.0), member(1, 0, 0.0), member(1, 1, 6.0)]
    ensemble = pd.concat(runs)
    assert ensemble_error(task, ensemble) == pytest.approx((1.0 + 3.0) / 2)
    alone = ensemble[ensemble["seed"] == 0]
    assert ensemble_error(task, alone) == pytest.approx(1.5)
    # Another kind of network counts for as much as both members of the first.
    other = [member(fold, 0, -5.0).assign(model="other") for fold in (0, 1)]
    mixed = pd.concat([ensemble, *other])
    assert ensemble_error(task, mixed) == pytest.approx((2.0 + 1.0) / 2)
    with pytest.raises(ValueError, match="missing, or double"):
        ensemble_error(task, pd.concat([*runs, member(1, 1, 0.0)]))
    with pytest.raises(ValueError, match="no test rows"):
        ensemble_error(task, ensemble.assign(split="val"))


def test_ensembles_of_the_best_recipes_are_no_worse_than_their_members():
    """The mean's absolute error is at most the mean of the absolute errors."""
    rows = load_results("best")
    rows = rows[rows["task"].isin(["mp_shear_modulus", "mp_bulk_modulus"])]
    table = add_ensembles(summary(rows))
    assert len(table) == 2
    assert (table["ensemble"] < table["test_error"]).all()
    nowhere = add_ensembles(table.assign(recipe="none"))
    assert nowhere["ensemble"].isna().all()


def summaries(*names):
    """Summaries of the best recipe and of the partners, for some tasks."""
    lists = (load_results(name) for name in ("best", "partner"))
    return [summary(rows[rows["task"].isin(names)]) for rows in lists]


def test_a_mixed_ensemble_is_the_mean_of_both_kinds():
    """Of kept predictions: the mean of the two kinds' own means."""
    name = "aflow__energy_atom"
    table, partners = summaries(name)
    free = pd.DataFrame({"helps": pd.Series(dtype=bool)})
    [row] = add_mixed(add_ensembles(table), partners, free).to_dict("records")
    kinds = []
    for run in pd.concat([table, partners]).itertuples():
        kept = load_predictions(name, run.model)
        kept = kept[(kept["recipe"] == run.recipe) & (kept["split"] == "test")]
        members = [part["prediction"].to_numpy() for _, part in kept.groupby("seed")]
        kinds.append(np.mean(members, axis=0))
    truth = load_benchmark(name).test["target"].to_numpy()
    assert row["mixed"] == pytest.approx(np.abs(np.mean(kinds, axis=0) - truth).mean())
    assert row["final"] == row["mixed"]


def test_a_partner_joins_only_where_validation_rows_do_not_forbid_it():
    names = ["aflow__Egap", "matbench_jdft2d", "OQMD_Bandgap"]
    table, partners = summaries(*names)
    pairs = pd.DataFrame({"helps": [False]}, ["matbench_jdft2d"])
    partners = partners[partners["task"] != "OQMD_Bandgap"]
    found = add_mixed(add_ensembles(table), partners, pairs).set_index("task")
    assert found["final"]["aflow__Egap"] == found["mixed"]["aflow__Egap"]
    refused = found.loc["matbench_jdft2d"]
    assert refused["final"] == refused["ensemble"] != refused["mixed"]
    assert np.isnan(found["mixed"]["OQMD_Bandgap"])
    assert found["final"]["OQMD_Bandgap"] == found["ensemble"]["OQMD_Bandgap"]


def test_pairs_are_judged_by_validation_rows(monkeypatch):
    """By hand: errors +1 and +3 of two seeds, -2 of the other kind."""
    truth = load_benchmark("mp_bulk_modulus").val["target"].to_numpy()
    wrong = truth + 1e3

    def kept(task, model):
        if task != "mp_bulk_modulus":
            raise FileNotFoundError
        shifts = {"ours": [1.0, 3.0], "other": [-2.0]}[model]
        facts = {"recipe": "r", "fold": ""}
        parts = [
            pd.DataFrame({"prediction": values}).assign(seed=i, split=split, **facts)
            for i, shift in enumerate(shifts)
            for split, values in (("val", truth + shift), ("test", wrong))
        ]
        return pd.concat(parts)

    monkeypatch.setattr("lgdcnn_lib.ensembles.load_predictions", kept)
    tasks = ["mp_bulk_modulus", "mp_shear_modulus"]
    [row] = pair_errors(tasks, "r", "ours", "other").to_dict("records")
    known = {"one": (1 + 3) / 2, "seed": 2.0, "kind": (0.5 + 0.5) / 2}
    assert {k: row[k] for k in known} == pytest.approx(known)
    assert row["helps"]
    [row] = pair_errors(tasks, "r", "other", "ours").to_dict("records")
    assert np.isnan(row["seed"])  # one seed: compared with that alone
    assert row["helps"]
    assert pair_errors(tasks, "another", "ours", "other").empty


def test_shipped_pairs_name_each_task_once():
    tasks = ["aflow__ael_bulk_modulus_vrh", "matbench_steels"]
    pairs = pair_errors(tasks, DEFAULT, "lg_dcnn", "transformer")
    assert list(pairs.index) == tasks
    assert (pairs["seed"] < pairs["one"]).all()  # a mean of two is no worse on average
