"""The trained networks in ``data/checkpoints``, and the tool that makes them anew."""

import json
import re

import pandas as pd
import pytest

import cecv_study
from lgdcnn_lib.benchmarks import load_benchmark, score
from lgdcnn_lib.predictor import Predictor

STUDIES = cecv_study.checkpoints()
SAID = (
    "command", "seed", "commit", "seconds", "val_mae", "test_mae", "date", "hardware",
    "versions", "recipe",
)  # fmt: skip


def facts_of(model):
    path = cecv_study.CHECKPOINTS / f"{model}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_are_nine_and_nothing_else():
    assert len(STUDIES) == 9
    files = {path.name for path in cecv_study.CHECKPOINTS.iterdir()}
    kinds = ("json", "safetensors")
    assert files == {f"{study.model}.{kind}" for study in STUDIES for kind in kinds}
    assert all(
        (s.recipe, s.config) == (STUDIES[0].recipe, STUDIES[0].config) for s in STUDIES
    )


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.model)
def test_each_says_how_it_was_made(study):
    facts = facts_of(study.model)
    assert not [key for key in SAID if facts.get(key) in (None, "")]
    assert facts["run"] == study.run
    assert facts["seed"] == study.seed
    assert facts["seconds"] > 0
    assert facts["recipe"]["epochs"] == facts["epochs"] == study.recipe.epochs
    assert re.match(r"cecv_study.py (--again )?checkpoints", facts["command"])
    runs = pd.read_csv(cecv_study.RUNS, dtype=str, keep_default_na=False)
    [row] = runs[runs["run"] == study.run].to_dict("records")
    said = {key: "" if facts[key] is None else str(facts[key]) for key in row}
    assert said == row


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.model)
def test_each_is_small_and_the_network_it_claims_to_be(study):
    path = cecv_study.CHECKPOINTS / f"{study.model}.safetensors"
    assert path.stat().st_size < 3_000_000
    predictor, facts = Predictor.load(path), facts_of(study.model)
    assert predictor.model.n_parameters() == facts["n_parameters"]
    assert predictor.model.config.d == facts["d"]
    task = load_benchmark(study.task)
    for part, said in ((task.val, "val_mae"), (task.test, "test_mae")):
        found = predictor.predict(part["formula"])["prediction"]
        error = score("mae", part["target"], found)
        assert error == pytest.approx(float(facts[said]), rel=1e-3)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.model)
def test_each_holds_its_intervals(study):
    """Calibrated on the validation set; judged on a part of the test set."""
    path = cecv_study.CHECKPOINTS / f"{study.model}.safetensors"
    task = load_benchmark(study.task)
    rows = task.test.sample(1000, random_state=0)
    found = Predictor.load(path).predict(rows["formula"], interval=0.9)
    truth = rows["target"].to_numpy()
    inside = (found["lower"] <= truth) & (truth <= found["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.03)  # three standard errors


def test_new_rows_take_the_place_of_old_ones(tmp_path):
    path, fields = tmp_path / "runs.csv", ("run", "seed")

    def rows(*pairs):
        return [dict(zip(fields, pair, strict=True)) for pair in pairs]

    cecv_study.write(path, fields, rows(("a", "0"), ("b", "0"), ("b", "1")))
    cecv_study.write(path, fields, rows(("c", "0")))
    cecv_study.write(path, fields, rows(("b", "2")))
    found = pd.read_csv(path, dtype=str).to_dict("records")
    assert found == rows(("a", "0"), ("c", "0"), ("b", "2"))


def test_a_run_is_repeated_only_when_asked(tmp_path, monkeypatch):
    performed = []
    monkeypatch.setattr(cecv_study, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(cecv_study, "perform", performed.append)
    monkeypatch.setattr(cecv_study, "done", lambda: {STUDIES[0].run})
    cecv_study.work(STUDIES[:2])
    assert performed == STUDIES[1:2]
    cecv_study.work(STUDIES[:2], again=True)
    assert performed == [STUDIES[1], *STUDIES[:2]]
