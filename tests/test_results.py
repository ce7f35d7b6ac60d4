"""Summaries count what is there, and kept predictions give the errors of their rows."""

import numpy as np
import pandas as pd
import pytest

from lgdcnn_lib import results
from lgdcnn_lib.benchmarks import BENCHMARKS, load_benchmark, score
from lgdcnn_lib.experiments import save_predictions
from lgdcnn_lib.results import (
    against,
    by_seed,
    chosen,
    load_predictions,
    load_results,
    pack_predictions,
    summary,
    three_digits,
)
from lgdcnn_lib.runs import COLUMNS, RunSpec, run


def rows(task, folds, seeds, **more):
    records = [
        {"task": task, "fold": fold, "model": "m", "seed": seed, "recipe": "r"}
        | {"n_train": "", "val_error": 1.0, "test_error": seed + 0.1 * i}
        | {"seconds": 2.0, "n_parameters": 7} | more
        for seed in seeds
        for i, fold in enumerate(folds)
    ]  # fmt: skip
    return pd.DataFrame(records)


def test_a_summary_by_hand():
    five = rows("matbench_steels", "01234", (0, 1, 2))
    [line] = summary(five).to_dict("records")
    assert line["test_error"] == pytest.approx(1.2)  # folds: + 0.2; seeds: 0, 1, 2
    assert line["spread"] == pytest.approx(1.0)
    assert (line["n_seeds"], line["seconds"]) == (3, 10)


def test_a_seed_with_missing_folds_is_left_out():
    whole, part = (
        rows("matbench_steels", "01234", (0,)),
        rows("matbench_steels", "01", (1,)),
    )
    table = by_seed(pd.concat([whole, part]))
    assert table["seed"].tolist() == [0]
    one = rows("aflow__Egap", [""], (0, 1))
    assert by_seed(one)["seed"].tolist() == [0, 1]
    assert np.isnan(summary(rows("aflow__Egap", [""], (4,)))["spread"][0])


def test_several_lists_stand_one_below_the_other():
    both = load_results("main", "forest")
    assert len(both) == len(load_results("main")) + len(load_results("forest"))
    with pytest.raises(FileNotFoundError, match="no_such_list"):
        load_results("no_such_list")


@pytest.mark.parametrize(
    ("task", "better"), [("aflow__Egap", "low"), ("matbench_glass", "high")]
)
def test_validation_chooses_the_recipe(task, better):
    folds = "01234" if task == "matbench_glass" else [""]
    both = [
        rows(task, folds, (0,), recipe=name, val_error=error, test_error=0.5)
        for name, error in (("low", 0.2), ("high", 0.8))
    ]
    assert chosen(summary(pd.concat(both)))["recipe"].tolist() == [better]


@pytest.mark.parametrize(
    ("error", "spread", "verdict"),
    [
        (8.0, np.nan, "win"),
        (8.221 * 1.009, np.nan, "tie"),
        (8.221 * 1.011, np.nan, "loss"),
        (9.0, 1.0, "tie"),
        (9.0, 0.5, "loss"),
    ],
)
def test_a_tie_is_within_one_percent_or_the_spread(error, spread, verdict):
    table = pd.DataFrame({"task": ["aflow__ael_bulk_modulus_vrh"]})
    table = table.assign(test_error=error, spread=spread)
    [row] = against(table, "lg_dcnn").to_dict("records")
    assert (row["verdict"], row["published"]) == (verdict, 8.221)
    assert row["ratio"] == pytest.approx(error / 8.221)


def test_for_a_roc_auc_the_error_is_what_is_missing_to_one():
    known = BENCHMARKS["matbench_glass"].published["modnet"]
    table = pd.DataFrame({"task": ["matbench_glass"], "spread": np.nan})
    table = table.assign(test_error=1 - 2 * (1 - known))
    [row] = against(table, "modnet").to_dict("records")
    assert row["ratio"] == pytest.approx(2)
    assert row["verdict"] == "loss"
    assert against(table, "crabnet").empty


def test_shipped_rows_are_whole():
    names = ["main", "recipe"]
    table = load_results(*names)
    assert list(table) == list(COLUMNS)
    assert set(table["task"]) <= set(BENCHMARKS)
    assert table["val_error"].notna().all()
    assert load_results("recipe")["test_error"].isna().all()  # chosen by validation
    assert (table["commit"].str.len() >= 7).all()
    assert table["hardware"].str.startswith(("cpu", "cuda")).all()


def test_kept_predictions_give_the_errors_of_their_rows():
    """Any error of the grid can be computed again from the data and the predictions."""
    table = load_results("main", "best").set_index(["task", "recipe", "seed", "fold"])
    for name in ("matbench_log_kvrh", "CritExam__Ed"):
        for (recipe, seed, fold, split), part in load_predictions(name).groupby(
            ["recipe", "seed", "fold", "split"]
        ):
            task = load_benchmark(name, fold=int(fold) if fold else None)
            truth = task.test if split == "test" else task.val
            error = score(task.metric, truth["target"], part["prediction"])
            assert error == pytest.approx(
                table.loc[(name, recipe, seed, fold), f"{split}_error"], rel=1e-3
            )


def test_packing_keeps_each_run_once(tmp_path, monkeypatch):
    specs = [RunSpec("matbench_steels", "mean", fold) for fold in (0, 1)]
    for spec in specs:
        row, predictions = run(spec)
        save_predictions(tmp_path / "runs", spec, predictions)
    out = tmp_path / "results" / "predictions"
    for _ in range(2):
        pack_predictions(tmp_path / "runs", out)
    monkeypatch.setattr(results, "data_dir", lambda: tmp_path)
    kept = load_predictions("matbench_steels", "mean")
    task = load_benchmark("matbench_steels", fold=1)
    assert kept.groupby("fold")["split"].value_counts()["1", "test"] == len(task.test)
    last = kept[(kept["fold"] == "1") & (kept["split"] == "test")]["prediction"]
    assert score("mae", task.test["target"], last) == pytest.approx(
        row["test_error"], rel=1e-4
    )
    with pytest.raises(ValueError, match="there are: mean"):
        load_predictions("matbench_steels")
    with pytest.raises(FileNotFoundError, match="no predictions of aflow__Egap"):
        load_predictions("aflow__Egap")


def test_three_digits_keep_their_zeros_and_leave_the_rest():
    shown = [three_digits(v) for v in (2.0, 29.04, 0.3204, 3.6e-6, 128.4, np.nan)]
    assert shown == ["2.00", "29.0", "0.320", "3.60e-06", "128", ""]
    assert [three_digits(v) for v in (3, "win", None)] == [3, "win", None]


def test_recipes_that_were_never_validated_are_kept_and_unscored_rows_not_judged():
    table = pd.DataFrame({"task": ["aflow__Egap", "mp_e_hull", "mp_mu_b"]})
    table = table.assign(model="lg_dcnn", recipe="r", val_error=np.nan, spread=np.nan)
    table["test_error"] = [0.1, np.nan, 0.2]
    assert len(chosen(table)) == 3
    assert against(table, "crabnet")["task"].tolist() == ["aflow__Egap", "mp_mu_b"]
