"""Training: determinism, exact resume, interruption, the recipe's small decisions."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from lgdcnn_lib.benchmarks import Task, load_benchmark
from lgdcnn_lib.checkpoint import load_tree, save_tree
from lgdcnn_lib.composition import FormulaError, encode
from lgdcnn_lib.models import ModelConfig, ModelOutput, build_model
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.recipe import (
    average_duplicates,
    beta_weights,
    compounds_per_batch,
    cross_entropy,
    pick_device,
    robust_l1,
)
from lgdcnn_lib.training import TrainConfig, Trainer, fit, fit_snapshots

SMALL = ModelConfig(d=16)
QUICK = TrainConfig(epochs=3, batch_size=16, device="cpu")
RECIPES = {
    "default": {},
    "ema": {"averaging": "ema", "jitter": 0.02},
    "published": {
        "optimizer": "lamb_lookahead",
        "schedule": "triangular",
        "averaging": "cycle",
        "batching": "mixed",
        "average_duplicates": True,
        "jitter": 0.02,
    },
}


@pytest.fixture(scope="module")
def task():
    """160 + 40 compounds of the bulk-modulus task."""
    full = load_benchmark("aflow__ael_bulk_modulus_vrh")
    return Task("small", full.train[:160], full.val[:40], full.test[:0], "GPa", "mae")


@pytest.fixture(scope="module")
def classification():
    formulas = ["NaCl", "KCl", "LiF", "KBr", "Fe", "Cu", "FeNi", "CuZn"] * 4
    table = pd.DataFrame({"formula": formulas, "target": ([0.0] * 4 + [1.0] * 4) * 4})
    return table


def recipe(**changes):
    return dataclasses.replace(QUICK, **changes)


@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_same_seed_same_curve(task, changes):
    first, again = (
        fit(build_model("lg_dcnn", SMALL), task, recipe(**changes)).history
        for _ in range(2)
    )
    columns = ["epoch", "lr", "train_loss", "val_error"]
    pd.testing.assert_frame_equal(first[columns], again[columns], check_exact=True)
    other = fit(build_model("lg_dcnn", SMALL), task, recipe(seed=1, **changes)).history
    assert not np.allclose(first["train_loss"], other["train_loss"])


@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_resume_equals_an_uninterrupted_run(task, changes, tmp_path, monkeypatch):
    config = recipe(**changes)
    through = fit(build_model("lg_dcnn", SMALL), task, config)
    path = tmp_path / "run.safetensors"
    trainer = Trainer(build_model("lg_dcnn", SMALL), task, config)
    trainer.run_epoch()
    trainer.run_epoch()
    save_tree(path, trainer.state())
    resumed = fit(build_model("lg_dcnn", SMALL, seed=9), task, config, checkpoint=path)
    assert resumed.history["val_error"].tolist() == (
        through.history["val_error"].tolist()
    )
    theirs = resumed.predictor.model.state_dict()
    for key, value in through.predictor.model.state_dict().items():
        assert torch.equal(value, theirs[key]), key
    assert len(load_tree(path)["history"]) == config.epochs


def test_a_training_that_has_stopped_early_stays_so(task, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "validate", lambda self: 1.0)  # it never improves
    path, config = tmp_path / "run.safetensors", TrainConfig.paper()
    config = dataclasses.replace(config, batch_size=256, device="cpu")
    first = fit(build_model("lstm", SMALL), task, config, checkpoint=path)
    assert len(first.history) < config.epochs
    again = fit(build_model("lstm", SMALL), task, config, checkpoint=path)
    assert len(again.history) == len(first.history)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("schedule", "onecycle"),
        ("optimizer", "lamb"),
        ("averaging", "EMA"),
        ("batching", "by-count"),
        ("epochs", 0),
        ("eval_every", 0),
    ],
)
def test_a_misspelt_recipe_is_refused(setting, value):
    with pytest.raises(ValueError, match=f"{setting}={value!r}"):
        TrainConfig(**{setting: value})


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_target_that_is_no_number_names_its_row(task, part):
    rows = getattr(task, part).copy()
    rows.loc[3, "target"] = np.nan
    spoilt = dataclasses.replace(task, **{part: rows})
    formula = rows["formula"][3]
    with pytest.raises(ValueError, match=f"{part} row 3, {formula}: the target nan"):
        fit(build_model("lstm", SMALL), spoilt, recipe())


def test_resume_refuses_another_recipe(task, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(build_model("lstm", SMALL), task, recipe(epochs=1), checkpoint=path)
    with pytest.raises(ValueError, match="another config"):
        fit(build_model("lstm", SMALL), task, recipe(epochs=2), checkpoint=path)


def test_interruption_keeps_the_best_so_far(task, monkeypatch):
    plain = fit(build_model("lstm", SMALL), task, recipe(epochs=4)).history
    original, calls = Trainer.run_epoch, []

    def interrupted(self):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    run = fit(build_model("lstm", SMALL), task, recipe(epochs=4))
    assert len(run.history) == 3
    predicted = run.predictor.predict(task.val["formula"])["prediction"]
    error = np.abs(predicted - task.val["target"].to_numpy()).mean()
    assert error == pytest.approx(plain["val_error"][:3].min(), rel=1e-5)


def test_another_loss_is_one_method(task):
    class Plain(Trainer):
        def losses(self, output, target):
            return (output.mean - target).abs()

    trainer = Plain(build_model("lstm", SMALL), task, recipe())
    before = trainer.model.head.linear.weight.detach().clone()
    trainer.train_epoch()
    moved = (trainer.model.head.linear.weight - before).abs().amax(dim=1)
    # The plain loss does not know the log deviation (row 1): only decay moves it.
    assert moved[1] < 1e-4 < moved[0]


def test_beta_weighs_the_gradient_of_the_mean_and_not_its_sign(task):
    mean = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    output = ModelOutput(mean, torch.tensor([-3.0, 0.0, 2.0]))
    target = torch.tensor([0.0, 0.0, 3.0])
    sign = torch.tensor([1.0, -1.0, -1.0])
    for beta in (0.0, 0.5, 1.0):
        loss = robust_l1(output, target) * beta_weights(output, beta)
        [gradient] = torch.autograd.grad(loss.sum(), mean)
        expected = 2**0.5 * sign * (output.log_std * (beta - 1)).exp()
        assert torch.allclose(gradient, expected)


def test_beta_changes_what_is_learnt(task):
    losses = [
        Trainer(build_model("gru", SMALL), task, recipe(beta=beta)).train_epoch()
        for beta in (0.0, 1.0)
    ]
    assert losses[0] != losses[1]


def test_infinite_loss_names_the_step(task):
    with pytest.raises(FloatingPointError, match="epoch 1, step"):
        fit(build_model("lstm", SMALL), task, recipe(lr=1e30))


def test_batches_cover_the_training_set_once(task):
    for batching in ("by_count", "mixed"):
        trainer = Trainer(build_model("gru", SMALL), task, recipe(batching=batching))
        batches = trainer.batches(torch.Generator().manual_seed(3))
        assert sorted(torch.cat(batches).tolist()) == list(range(160))
        assert max(len(rows) for rows in batches) <= 16
        counts = [set(trainer.n_elements[rows].tolist()) for rows in batches]
        assert (max(len(c) for c in counts) == 1) == (batching == "by_count")


def test_jitter_keeps_fractions_a_composition(task):
    trainer = Trainer(build_model("gru", SMALL), task, recipe(jitter=0.02))
    rows = torch.cat(trainer.batches(trainer.generator))
    jittered, plain = trainer.select(rows).fractions, trainer.data.fractions[rows]
    assert torch.allclose(jittered.sum(dim=1), torch.ones(len(rows)))
    assert 0 < (jittered - plain).abs().max() < 0.1
    assert torch.equal(jittered > 0, plain > 0)


@pytest.mark.parametrize("batching", ["by_count", "mixed"])
def test_steps_hold_the_compounds_of_their_batches(task, batching):
    trainer = Trainer(build_model("gru", SMALL), task, recipe(batching=batching))
    batches = trainer.batches(trainer.generator)
    steps = list(trainer.steps(batches))
    longest = trainer.data.mask.shape[1]
    for rows, (batch, target) in zip(batches, steps, strict=True):
        n = int(trainer.n_elements[rows[0]]) if batching == "by_count" else longest
        assert torch.equal(batch.atomic_numbers, trainer.data.atomic_numbers[rows, :n])
        assert torch.equal(batch.fractions, trainer.data.fractions[rows, :n])
        assert torch.equal(batch.mask, trainer.data.mask[rows, :n])
        assert torch.equal(target, trainer.target[rows])


def test_test_set_is_never_read(task):
    unreadable = pd.DataFrame({"formula": ["not a formula"], "target": [np.nan]})
    poisoned = dataclasses.replace(task, test=unreadable)
    fit(build_model("lstm", SMALL), poisoned, recipe(epochs=1))


def test_eval_every_and_empty_validation(task):
    run = fit(build_model("lstm", SMALL), task, recipe(epochs=5, eval_every=2))
    assert run.history["val_error"].notna().tolist() == [False, True, False, True, True]
    blind = dataclasses.replace(task, val=task.val[:0])
    history = fit(build_model("lstm", SMALL), blind, recipe(epochs=1)).history
    assert history["val_error"].isna().all()


def test_shuffled_elements_are_the_same_compounds(task):
    trainer = Trainer(build_model("lstm", SMALL), task, recipe(shuffle_elements=True))
    rows = torch.cat(trainer.batches(trainer.generator))
    shuffled, plain = trainer.select(rows), trainer.data[rows]
    pairs = [
        [
            sorted(zip(z.tolist(), f.tolist(), strict=True))
            for z, f in zip(batch.atomic_numbers, batch.fractions, strict=True)
        ]
        for batch in (shuffled, plain)
    ]
    assert pairs[0] == pairs[1]
    assert torch.equal(shuffled.mask, plain.mask)
    assert not torch.equal(shuffled.atomic_numbers, plain.atomic_numbers)


def test_batch_size_rules():
    assert compounds_per_batch(48, 10) == 48
    for n in (224, 3428, 95_581, 239_190):
        batch = compounds_per_batch("root", n)
        assert 2**-0.5 <= batch / n**0.5 <= 2**0.5
    for wrong in ("square", 0):
        with pytest.raises(ValueError, match="batch_size is"):
            compounds_per_batch(wrong, 100)


def test_published_rules():
    assert compounds_per_batch("published", 500) == 128
    assert compounds_per_batch("published", 3428) == 256
    assert compounds_per_batch("published", 239_190) == 4096
    paper = TrainConfig.paper(seed=3)
    assert (paper.epochs, paper.batch_size, paper.lr, paper.seed) == (
        300,
        "published",
        6e-3,
        3,
    )
    assert paper.optimizer == "lamb_lookahead"


def test_published_recipe_stops_after_five_refusals(task, monkeypatch):
    monkeypatch.setattr(Trainer, "train_epoch", lambda self: 0.0)
    monkeypatch.setattr(Trainer, "validate", lambda self: 1.0)
    paper = dataclasses.replace(TrainConfig.paper(), device="cpu")
    run = fit(build_model("lstm", SMALL), task, paper)
    assert len(run.history) == 120  # one acceptance, then five refusals


def test_duplicates_are_averaged_in_order():
    batch = encode(["NaCl", "Fe2O3", "Cl2Na2", "Si", "O3Fe2"])
    kept, target = average_duplicates(batch, np.array([1.0, 2.0, 3.0, 7.0, 6.0]))
    assert kept.formulas == ("NaCl", "Fe2O3", "Si")
    assert target.tolist() == [2.0, 4.0, 7.0]


def test_robust_loss_by_hand():
    out = ModelOutput(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    loss = robust_l1(out, torch.tensor([3.0, 0.0]))
    assert loss.tolist() == pytest.approx([2**0.5 * 2, 1.0])


def test_robust_loss_is_least_at_the_true_spread():
    """For |y - m| = 1 on average, the best standard deviation is sqrt(2)."""
    s = torch.linspace(-1, 2, 3001)
    loss = robust_l1(ModelOutput(torch.zeros_like(s), s), torch.ones_like(s))
    assert s[loss.argmin()].exp().item() == pytest.approx(2**0.5, rel=1e-2)


def test_cross_entropy_by_hand():
    out = ModelOutput(torch.tensor([0.0, 2.0]), torch.zeros(2))
    loss = cross_entropy(out, torch.tensor([1.0, 0.0]))
    assert loss.tolist() == pytest.approx(
        [np.log(2), 2 + np.log1p(np.exp(-2))], rel=1e-6
    )


def test_classifier_learns_metals(classification):
    task = Task("metals", classification, classification, classification, "", "rocauc")
    run = fit(build_model("lg_dcnn", SMALL), task, recipe(epochs=30, lr=3e-3))
    assert run.history["val_error"].iloc[-1] == 0  # 1 - ROC-AUC
    probability = run.predictor.predict(["NaCl", "Fe"])["prediction"]
    assert probability[0] < 0.2 < 0.8 < probability[1]


def test_device_by_name():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type in {"cpu", "cuda", "mps"}


def test_progress_bar_on_demand(task, capsys):
    fit(build_model("lstm", SMALL), task, recipe(epochs=1))
    assert capsys.readouterr().err == ""
    fit(build_model("lstm", SMALL), task, recipe(epochs=1), progress=True)
    assert "val_error" in capsys.readouterr().err


def test_tree_refuses_what_it_cannot_write(tmp_path):
    with pytest.raises(TypeError, match="set"):
        save_tree(tmp_path / "x", {"a": {1, 2}})


@pytest.mark.parametrize("change", [{"encoding": "sin"}, {"d": 8}])
def test_resume_refuses_another_network(task, tmp_path, change):
    path = tmp_path / "run.safetensors"
    fit(build_model("lstm", SMALL), task, recipe(epochs=1), checkpoint=path)
    other = build_model("lstm", dataclasses.replace(SMALL, **change))
    with pytest.raises(ValueError, match="another network"):
        fit(other, task, recipe(epochs=1), checkpoint=path)


def test_strong_jitter_leaves_fractions(task):
    rows = pd.DataFrame({"formula": ["Si"] * 3000, "target": np.linspace(0, 1, 3000)})
    pure = dataclasses.replace(task, train=rows)
    trainer = Trainer(build_model("lstm", SMALL), pure, recipe(jitter=0.5))
    for _ in range(5):
        fractions = trainer.select(torch.arange(3000)).fractions
        assert torch.equal(fractions, torch.ones(3000, 1))


def test_validation_is_looked_at_when_asked_and_at_the_end(task):
    history = fit(build_model("lstm", SMALL), task, recipe(epochs=21, eval_every=99))
    seen = history.history.dropna(subset="val_error")["epoch"]
    assert seen.tolist() == [21]


def test_an_interruption_in_the_first_epoch_has_a_history(task, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run_epoch", interrupt)
    history = fit(build_model("lstm", SMALL), task, recipe()).history
    assert history.empty
    assert "val_error" in history


def test_a_state_from_a_gpu_goes_on_where_there_is_none(task, tmp_path):
    trainer = Trainer(build_model("lstm", SMALL), task, recipe())
    trainer.run_epoch()
    state = trainer.state()
    for group in state["optimizer"]["param_groups"]:  # as AdamW keeps it on a GPU
        group["lr"], group["capturable"] = torch.tensor(group["lr"]), True
    other = Trainer(build_model("lstm", SMALL), task, recipe())
    other.restore(state)
    for group in other.optimizer.param_groups:
        assert isinstance(group["lr"], float)
        assert not group["capturable"]
    other.run_epoch()
    trainer.run_epoch()
    assert other.history[-1]["val_error"] == trainer.history[-1]["val_error"]


def test_resume_refuses_data_that_were_changed_in_place(task, tmp_path):
    path = tmp_path / "run.safetensors"
    own = dataclasses.replace(task, train=task.train.copy())
    fit(build_model("lstm", SMALL), own, recipe(epochs=1), checkpoint=path)
    own.train["target"] *= 100
    with pytest.raises(ValueError, match="another data_hash"):
        fit(build_model("lstm", SMALL), own, recipe(epochs=1), checkpoint=path)


def test_a_bad_formula_names_its_table(task):
    rows = task.val.copy()
    rows.loc[1, "formula"] = "Xx2"
    with pytest.raises(FormulaError, match=r"row 1: 'Xx2'.*\(in the val table\)"):
        fit(build_model("lstm", SMALL), dataclasses.replace(task, val=rows), recipe())


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ({0: 2.0}, "train row 0, NaCl: the target 2.0 is not a class, 0 or 1"),
        ({row: 0.0 for row in range(32)}, "the train split of own holds one class"),
    ],
)
def test_classes_are_0_and_1_and_both_are_there(classification, targets, reason):
    train = classification.copy()
    train.loc[list(targets), "target"] = list(targets.values())
    own = Task("own", train, classification, classification[:0], "", "rocauc")
    with pytest.raises(ValueError, match=reason):
        fit(build_model("lstm", SMALL), own, recipe())


def test_targets_that_are_text_or_missing_altogether(task):
    train = task.train.astype({"target": object})
    train.loc[5, "target"] = "n/a"
    with pytest.raises(ValueError, match=r"train row 5, .*: the target n/a is not a"):
        fit(build_model("lstm", SMALL), dataclasses.replace(task, train=train))
    empty = dataclasses.replace(task, train=task.train[:0])
    with pytest.raises(ValueError, match="the train split of small is empty"):
        fit(build_model("lstm", SMALL), empty)


def test_a_checkpoint_that_cannot_be_used_says_why(task, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder for the checkpoint"):
        fit(build_model("lstm", SMALL), task, recipe(), tmp_path / "none" / "run.state")
    junk = tmp_path / "junk.state"
    junk.write_text("no safetensors file")
    with pytest.raises(ValueError, match=r"junk\.state was not written by save_tree"):
        fit(build_model("lstm", SMALL), task, recipe(), junk)
    saved = tmp_path / "network.safetensors"
    run = fit(build_model("lstm", SMALL), task, recipe(epochs=1))
    run.predictor.save(saved)
    with pytest.raises(ValueError, match=r"network\.safetensors was not written by"):
        fit(build_model("lstm", SMALL), task, recipe(), saved)
    with pytest.raises(OSError, match="cannot be written"):
        save_tree(tmp_path / "none" / "run.state", {"a": torch.ones(1)})


def test_numbers_of_numpy_are_numbers(task, tmp_path):
    path = tmp_path / "run.state"
    config = recipe(epochs=1, seed=np.int64(3))
    own = dataclasses.replace(task, fold=np.int64(1))
    run = fit(build_model("lstm", SMALL), own, config, checkpoint=path)
    run.predictor.info["mae"] = np.float32(0.5)
    run.predictor.save(tmp_path / "network.safetensors")
    again = Predictor.load(tmp_path / "network.safetensors")
    assert (again.info["fold"], again.info["mae"]) == (1, 0.5)
    assert load_tree(path)["config"]["seed"] == 3


def test_snapshots_are_one_training_in_cycles(task):
    """The first is that of `fit`, the next goes on from it, and none changes later."""
    runs = fit_snapshots(build_model("lstm", SMALL, seed=0), task, QUICK, cycles=3)
    network = build_model("lstm", SMALL, seed=0)
    for cycle, run in enumerate(runs):
        alone = fit(network, task, recipe(seed=QUICK.seed + cycle))
        seen = [r.predictor.predict(["NaCl", "TiC", "MgB2"]) for r in (run, alone)]
        pd.testing.assert_frame_equal(*seen)
        assert len(run.history) == QUICK.epochs
    assert len({run.predictor.predict(["TiC"])["prediction"][0] for run in runs}) == 3


def test_snapshots_need_a_cycle(task):
    with pytest.raises(ValueError, match="cycles is 0"):
        fit_snapshots(build_model("lstm", SMALL), task, QUICK, cycles=0)


def test_an_interruption_ends_the_snapshots(task, monkeypatch):
    epochs = Trainer.run_epoch
    calls = []

    def stop_in_the_second_cycle(trainer):
        calls.append(trainer)
        if len(calls) == QUICK.epochs + 2:
            raise KeyboardInterrupt
        return epochs(trainer)

    monkeypatch.setattr(Trainer, "run_epoch", stop_in_the_second_cycle)
    runs = fit_snapshots(build_model("lstm", SMALL), task, QUICK, cycles=4)
    assert [run.interrupted for run in runs] == [False, True]
