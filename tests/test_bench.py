"""The benchmark runs, judges itself, and counts work as a hand would."""

import math
import sys

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import bench
from flops import layer_flop, useful_flop
from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.layers import ElementConv, Recurrent, SoftAttention
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from lgdcnn_lib.recipe import robust_l1
from measure import Row, in_fresh_process, peak_memory, product_speed

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
FORMULAS = ["Fe2O3", "NaCl", "BaTiO3", "LiFePO4", "CaMgSi2O6", "K2SO4", "GaAs", "SiO2"]


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")


def compounds(n):
    chosen = [f for f in FORMULAS if encode([f]).n_elements == n]
    return encode(chosen * 100)  # the table is the smaller side of the projection


def test_layers_counted_by_hand():
    d, n = 6, 3
    conv, product = ElementConv(d, 3), 2 * d * d
    assert layer_flop(conv, 1) == product  # both neighbours lie outside
    assert layer_flop(conv, n) == (n + 2 * (n - 1)) * product
    assert layer_flop(ElementConv(d, 5), n) == (3 + 2 * 2 + 2 * 1) * product
    # W1 x, then w2 . relu(.), for each element
    assert layer_flop(SoftAttention(d), n) == n * (2 * d * d + 2 * d)
    # Two directions, four gates of d/2: 3 inputs, and 2 states that are not zero
    lstm = layer_flop(Recurrent(torch.nn.LSTM, d), n)
    assert lstm == 2 * 4 * (3 * (2 * 6 * 3) + 2 * (2 * 3 * 3))
    assert layer_flop(Recurrent(torch.nn.GRU, d), n) == 3 / 4 * lstm


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("name", ["dcnn", "dcnn_k1"])
def test_work_is_what_torch_counts(name, n):
    model, batch = build_model(name, ModelConfig(d=8)), compounds(n)
    shapes = [(len(batch), n)]
    with FlopCounterMode(display=False) as forward:
        output = model(batch)
    assert useful_flop(model, shapes, training=False) == forward.get_total_flops()
    with FlopCounterMode(display=False) as backward:
        robust_l1(output, torch.zeros(len(batch))).sum().backward()
    both = forward.get_total_flops() + backward.get_total_flops()
    assert useful_flop(model, shapes, training=True) == both


@pytest.mark.parametrize("name", MODELS)
def test_smaller_batches_only_project_the_element_table_more_often(name):
    model = build_model(name, ModelConfig(d=8))
    whole = useful_flop(model, [(300, 3)], training=True)
    parts = useful_flop(model, [(200, 3), (100, 3)], training=True)
    rows, k = model.elements.vectors.shape
    assert parts - whole == 2 * (2 * rows * k * 8)  # forward, and for its weights


def test_an_unknown_layer_is_an_error():
    with pytest.raises(TypeError, match="Identity"):
        layer_flop(torch.nn.Identity(), 2)


@pytest.mark.parametrize(
    ("limits", "text", "broken"),
    [
        ({}, "", False),
        ({"at_most": 2.0}, "<= 2", False),
        ({"at_most": 1.9}, "<= 1.9", True),
        ({"at_least": 2.0}, ">= 2", False),
        ({"at_least": 2.1}, ">= 2.1", True),
    ],
)
def test_the_median_is_judged(limits, text, broken):
    row = Row("what", "s", [9.0, 2.0, 1.0], **limits)
    assert (row.median, row.limit, row.broken) == (2.0, text, broken)
    assert row.record()["met"] == {"": ""}.get(text, "no" if broken else "yes")


def test_product_speed_is_that_of_a_machine():
    assert 0.1 < product_speed(64) < 1e5


def hold(size):
    kept = b"x" * size
    return len(kept), peak_memory()


@linux
def test_a_fresh_process_counts_its_own_memory_only():
    here = b"x" * 1_000_000_000  # as well as what both import
    _, imports = in_fresh_process(hold, 0)
    size, peak = in_fresh_process(hold, 200_000_000)
    assert size == 200_000_000
    assert peak - imports == pytest.approx(200, abs=60)
    assert peak_memory() - imports > 0.8 * len(here) / 1e6


@linux
@pytest.mark.slow
def test_the_quick_benchmark_fills_the_table_and_judges_itself(tmp_path, capsys):
    path = tmp_path / "bench.csv"
    status = bench.main(["--quick", "--output", str(path)])
    rows = read(path)
    printed = capsys.readouterr().out
    for row in rows:
        assert float(row["min"]) <= float(row["median"]) <= float(row["max"])
        assert math.isfinite(float(row["median"]))
        assert row["what"] in printed
        assert all(row[fact] for fact in ("commit", "date", "hardware", "load"))
    measured = {row["what"].split(",")[0] for row in rows}
    assert {"training", "prediction", "encoding OQMD", "training on OQMD"} <= measured
    assert status == any(row["met"] == "no" for row in rows)
    # A tiny network is all overhead: it must be seen to miss its share.
    [share] = [row for row in rows if row["unit"] == "%"]
    assert share["met"] == "no"
    assert "limit broken: training, share" in printed


def test_the_kept_table_says_how_it_was_made():
    path = data_dir() / "results/bench.csv"
    if not path.exists():
        pytest.skip("make bench has not run yet")
    rows = read(path)
    assert {row["d"] for row in rows if row["what"] == "training"} == {"256", "512"}
    assert all(row["command"].startswith("bench.py") for row in rows)


def test_a_try_leaves_the_table_alone(tmp_path, monkeypatch, capsys):
    row = bench.Row("training", "s", [1.0])
    monkeypatch.setattr(bench, "measure", lambda plan: [row])
    monkeypatch.setattr(bench, "data_dir", lambda: tmp_path)
    (tmp_path / "results").mkdir()
    assert bench.main(["--quick"]) == 0
    assert not (tmp_path / "results/bench.csv").exists()
    assert bench.main([]) == 0
    assert len(read(tmp_path / "results/bench.csv")) == 1
