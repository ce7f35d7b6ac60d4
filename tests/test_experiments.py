"""The grid: a run is done once, its row says how, and anything can be taken up."""

import dataclasses
import importlib
import json

import pandas as pd
import pytest
import torch

from lgdcnn_lib import experiments, runs
from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.experiments import finished, run_grid
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.provenance import provenance, start_process
from lgdcnn_lib.runs import COLUMNS, RunSpec, run, specs, subset
from lgdcnn_lib.training import TrainConfig, Trainer, fit
from lgdcnn_lib.transfer import start_from

PROVENANCE = importlib.import_module("lgdcnn_lib.provenance")
TRAIN = TrainConfig(epochs=1, device="cpu")
TASK = load_benchmark("matbench_steels", fold=0)
SPEC = RunSpec("matbench_steels", "lstm", 0, 0, ModelConfig(d=8), TRAIN)


def test_a_row_says_how_it_was_made():
    row, predictions = run(SPEC)
    assert set(row) == set(COLUMNS)
    assert row["versions"].startswith("lgdcnn_lib")
    for split, truth in (("val", TASK.val), ("test", TASK.test)):
        kept = predictions[predictions["split"] == split].reset_index(drop=True)
        error = (kept["prediction"] - truth["target"]).abs().mean()
        assert row[f"{split}_error"] == pytest.approx(error, rel=1e-5)


def test_choosing_leaves_the_test_set_alone():
    row, predictions = run(SPEC, test=False)
    assert row["test_error"] == ""
    assert set(predictions["split"]) == {"val"}
    assert row["val_error"] > 0


def test_the_recipe_names_every_setting_but_the_seed():
    same = dataclasses.replace(SPEC, seed=3, train_config=TrainConfig(epochs=1, seed=3))
    assert same.recipe == SPEC.recipe
    longer = dataclasses.replace(SPEC, train_config=TrainConfig(epochs=2))
    wider = dataclasses.replace(SPEC, model_config=ModelConfig(d=16))
    assert len({SPEC.recipe, longer.recipe, wider.recipe}) == 3


def test_the_grid_is_resumable(tmp_path, monkeypatch):
    path = tmp_path / "results" / "grid.csv"
    grid = [SPEC, dataclasses.replace(SPEC, model="mean", seed=1)]
    run_grid(grid[:1], path, predictions=tmp_path / "predictions")
    before = path.read_text()
    run_grid(grid, path, predictions=tmp_path / "predictions")
    assert path.read_text().startswith(before)
    assert finished(path) == {spec.key for spec in grid}
    monkeypatch.setattr(experiments, "run", None)  # nothing is left to run
    run_grid(grid, path)
    recipes = json.loads((path.parent / "recipes.json").read_text())
    assert recipes[SPEC.recipe]["model_config"]["d"] == 8
    files = sorted(file.name for file in (tmp_path / "predictions").iterdir())
    assert len(files) == 2
    kept = pd.read_csv(tmp_path / "predictions" / files[0])
    assert list(kept) == ["split", "prediction", "std"]


def test_processes_share_a_grid(tmp_path):
    path = tmp_path / "grid.csv"
    grid = [dataclasses.replace(SPEC, model="mean", seed=seed) for seed in range(3)]
    assert run_grid(grid, path, jobs=2) == 0
    assert finished(path) == {spec.key for spec in grid}
    assert len(pd.read_csv(path)) == 3


def test_a_failed_run_is_told_and_the_others_go_on(tmp_path, capsys):
    path = tmp_path / "grid.csv"
    wild = dataclasses.replace(SPEC, train_config=TrainConfig(lr=1e30, device="cpu"))
    mean = dataclasses.replace(SPEC, model="mean")
    assert run_grid([wild, mean], path) == 1
    assert finished(path) == {mean.key}
    assert "lower the learning rate" in capsys.readouterr().err


def test_a_model_that_is_not_known_is_found_before_any_run():
    with pytest.raises(ValueError, match=r"unknown models \['lg_dcn'\]; known: lstm"):
        specs(["matbench_steels"], ["lg_dcn", "mean"], [0], TRAIN, ModelConfig())


def test_predictions_of_a_subset_are_not_kept(tmp_path):
    part = dataclasses.replace(SPEC, model="mean", n_train=50)
    _, predictions = run(part)
    with pytest.raises(ValueError, match="n_train=50 are not kept"):
        experiments.save_predictions(tmp_path, part, predictions)


def test_orders_are_part_of_the_recipe():
    several = dataclasses.replace(SPEC, orders=4)
    assert several.recipe != SPEC.recipe
    assert run(several)[0]["test_error"] != run(SPEC)[0]["test_error"]


def test_a_refit_learns_from_the_validation_rows_too(monkeypatch):
    seen = []

    def watched(model, task, *rest):
        seen.append(task)
        return fit(model, task, *rest)

    monkeypatch.setattr(runs, "fit", watched)
    refit = dataclasses.replace(SPEC, refit=True)
    row, predictions = run(refit)
    assert set(seen[0].train["formula"]) == {*TASK.train["formula"], *TASK.val.formula}
    assert len(seen[0].train) == len(TASK.train) + len(TASK.val)
    assert row["val_error"] == ""
    assert row["test_error"] > 0
    assert set(predictions["split"]) == {"test"}
    assert refit.recipe != SPEC.recipe


def test_a_run_starts_from_the_weights_named(tmp_path):
    path = tmp_path / "pretrained.safetensors"
    source = fit(build_model("lstm", SPEC.model_config, seed=5), TASK, TRAIN).predictor
    source.save(path)
    still = dataclasses.replace(TRAIN, lr=1e-12, weight_decay=0.0)
    started = dataclasses.replace(SPEC, start=str(path), train_config=still)
    model = build_model("lstm", SPEC.model_config)
    start_from(model, source)
    for name, value in model.named_parameters():
        same = torch.equal(value, dict(source.model.named_parameters())[name])
        assert same != name.startswith("head.")
    assert run(started)[0]["test_error"] != run(SPEC)[0]["test_error"]
    with pytest.raises(ValueError, match="other settings"):
        start_from(build_model("lstm", ModelConfig(d=16)), source)
    with pytest.raises(ValueError, match="other stages"):
        start_from(build_model("gru", SPEC.model_config), source)


def test_an_exported_tree_names_its_commit(monkeypatch):
    monkeypatch.delenv("GIT_COMMIT", raising=False)
    assert provenance()["commit"] != "abc1234"
    monkeypatch.setenv("GIT_COMMIT", "abc1234")
    assert provenance()["commit"] == "abc1234"


def test_a_claimed_run_is_left_to_its_owner(tmp_path, monkeypatch):
    path = tmp_path / "grid.csv"
    mean = dataclasses.replace(SPEC, model="mean")
    original = experiments.run

    def meanwhile(spec, *rest):
        """While this run lasts, another process asks for the same grid."""
        monkeypatch.setattr(experiments, "run", None)
        assert run_grid([mean], path) == 0
        assert finished(path) == set()
        return original(spec, *rest)

    monkeypatch.setattr(experiments, "run", meanwhile)
    assert run_grid([mean], path) == 0
    assert finished(path) == {mean.key}


def test_a_run_finished_meanwhile_is_not_repeated(tmp_path, monkeypatch):
    states = iter([set(), {SPEC.key}])
    monkeypatch.setattr(experiments, "finished", lambda path: next(states))
    monkeypatch.setattr(experiments, "run", None)
    run_grid([SPEC], tmp_path / "grid.csv")


def test_grid_order_and_folds():
    names = ["aflow__Egap", "matbench_steels"]
    grid = specs(names, ["lstm", "mean"], [0, 1], TRAIN, ModelConfig())
    assert [spec.task for spec in grid] == ["matbench_steels"] * 20 + [
        "aflow__Egap"
    ] * 4
    assert {spec.fold for spec in grid[:20]} == {0, 1, 2, 3, 4}
    assert all(spec.fold is None for spec in grid[20:])
    assert all(spec.seed == spec.train_config.seed for spec in grid)


def test_training_subsets():
    small = dataclasses.replace(SPEC, n_train=50)
    task = subset(load_benchmark("matbench_steels", fold=0), 50, seed=0)
    assert len(task.train) == 50
    assert small.key != SPEC.key
    assert run(small, test=False)[0]["n_train"] == "50"


def test_processor_has_a_name():
    assert provenance()["hardware"].split(", ")[-1]


def test_the_commit_without_git(monkeypatch):
    PROVENANCE._commit.cache_clear()
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("GIT_COMMIT", raising=False)
    start_process()
    assert provenance()["commit"] == "unknown"
    PROVENANCE._commit.cache_clear()


def test_a_refitted_baseline_is_a_run_of_its_own():
    plain = RunSpec("matbench_steels", "mean", 0)
    assert plain.key != dataclasses.replace(plain, refit=True).key


def test_processes_that_train_together_say_so(monkeypatch):
    monkeypatch.setattr(PROVENANCE.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(PROVENANCE.torch.backends.mps, "is_available", lambda: False)
    alone = provenance()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    made = provenance()
    assert made["command"] == f"torchrun --nproc-per-node 2 {alone['command']}"
    assert made["hardware"] == alone["hardware"].replace(
        "cpu, ", "cpu, 2 processes of "
    )


def test_hardware_names_the_processor_of_apple(monkeypatch):
    monkeypatch.setattr(PROVENANCE.torch.backends.mps, "is_available", lambda: True)
    assert provenance()["hardware"].startswith("mps, ")


def test_the_seed_of_a_run_is_that_of_its_batches(monkeypatch):
    seeds = []

    def spy(model, task, config, *rest):
        seeds.append(config.seed)
        return fit(model, task, config, *rest)

    monkeypatch.setattr(runs, "fit", spy)
    run(dataclasses.replace(SPEC, seed=5))
    assert seeds == [5]


def test_a_refit_without_test_set_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(runs, "fit", None)
    with pytest.raises(ValueError, match="nothing to score"):
        run(dataclasses.replace(SPEC, refit=True), test=False)


def test_a_run_that_fails_in_two_processes_failed_once(tmp_path):
    wild = dataclasses.replace(SPEC, task="no_task")
    assert run_grid([wild], tmp_path / "grid.csv", jobs=2) == 1


def test_rows_go_to_no_other_file_and_an_empty_one_will_do(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("formula,target\nFeO,1\n")
    with pytest.raises(ValueError, match=r"data\.csv holds no results"):
        finished(path)
    path.write_text("")
    mean = dataclasses.replace(SPEC, model="mean")
    assert run_grid([mean], path) == 0
    assert finished(path) == {mean.key}


def test_a_stopped_run_has_no_row_and_goes_on(tmp_path, monkeypatch):
    path, folder = tmp_path / "grid.csv", tmp_path / "checkpoints"
    recipe = TrainConfig(epochs=3, device="cpu")
    spec = dataclasses.replace(SPEC, train_config=recipe)
    through = run(spec)[0]
    run_epoch, calls = Trainer.run_epoch, []

    def stopped(self):
        calls.append(len(self.history))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(Trainer, "run_epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_grid([spec], path, checkpoints=folder)
    assert finished(path) == set()
    assert run_grid([spec], path, checkpoints=folder) == 0
    assert calls == [0, 1, 2, 2]  # two epochs, the stop, and the third epoch again
    [row] = pd.read_csv(path).to_dict("records")
    assert row["test_error"] == through["test_error"]
    assert row["epochs"] == 3
    assert not list(folder.iterdir())
