"""Predictor: order of rows, files, units."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lgdcnn_lib.composition import FormulaError, encode
from lgdcnn_lib.inference import run_model
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor, Scaler

FORMULAS = ["Fe2O3", "Si", "NaCl", "LiFeMnPO4", "Ge", "MgO"]


def make(name="lg_dcnn", **changes):
    model = build_model(name, ModelConfig(d=16, **changes))
    return Predictor(model, Scaler(100.0, 20.0), unit="GPa", info={"task": "x"})


def test_rows_stay_in_order_and_in_units():
    predictor = make()
    table = predictor.predict(FORMULAS, batch_size=2)
    assert table["formula"].tolist() == FORMULAS
    for i, formula in enumerate(FORMULAS):
        with torch.no_grad():
            out = predictor.model(encode([formula]))
        assert table["prediction"][i] == pytest.approx(100 + 20 * out.mean.item())
        assert table["std"][i] == pytest.approx(20 * out.log_std.exp().item(), rel=1e-5)


def test_prediction_leaves_the_training_flag():
    predictor = make()
    predictor.model.train()
    predictor.predict(FORMULAS)
    assert predictor.model.training


def test_published_padding_depends_on_the_company():
    predictor = make(padding="published", order="written")
    alone = predictor.predict(["NaCl"])["prediction"][0]
    assert abs(predictor.predict(["NaCl", "LiFeMnPO4"])["prediction"][0] - alone) > 1e-3


def test_a_bad_formula_is_named():
    with pytest.raises(FormulaError, match="Xx"):
        make().predict(["NaCl", "Xx2"])


@pytest.mark.parametrize("name", MODELS)
def test_file_round_trip(name, tmp_path):
    predictor = make(name)
    path = tmp_path / "model.safetensors"
    predictor.save(path)
    back = Predictor.load(path)
    assert back.predict(FORMULAS).equals(predictor.predict(FORMULAS))
    assert back.model.config == predictor.model.config
    assert (back.unit, back.info, back.metric) == ("GPa", {"task": "x"}, "mae")


def test_loading_needs_no_element_table(tmp_path, monkeypatch):
    make().save(tmp_path / "m.safetensors")
    monkeypatch.setenv("LGDCNN_DATA", str(tmp_path / "nowhere"))
    assert len(Predictor.load(tmp_path / "m.safetensors").predict(["MgO"])) == 1


def test_files_that_are_not_understood(tmp_path):
    with pytest.raises(FileNotFoundError, match="no predictor"):
        Predictor.load(tmp_path / "missing")
    text = tmp_path / "text"
    text.write_text("not a model, not a model, not a model")
    with pytest.raises(ValueError, match="no safetensors"):
        Predictor.load(text)
    weights = tmp_path / "weights"
    save_file({"x": torch.zeros(1)}, weights)
    with pytest.raises(ValueError, match="holds no predictor"):
        Predictor.load(weights)
    header = json.dumps({"format": "lgdcnn-predictor", "format_version": 99})
    save_file({"x": torch.zeros(1)}, weights, metadata={"predictor": header})
    with pytest.raises(ValueError, match="version 99"):
        Predictor.load(weights)
    header = json.dumps({"format": "lgdcnn-predictor", "format_version": 1})
    save_file({"x": torch.zeros(1)}, weights, metadata={"predictor": header})
    with pytest.raises(ValueError, match="cannot be built here: KeyError"):
        Predictor.load(weights)


def test_a_negative_number_of_orders_is_refused():
    with pytest.raises(ValueError, match="orders=-1"):
        make().predict(["MgO"], orders=-1)


def test_constant_targets_can_be_scaled():
    assert Scaler.of(np.array([2.0, 2.0])) == Scaler(2.0, 1.0)


def test_batch_size_does_not_matter():
    model = build_model("transformer", ModelConfig(d=16))
    batch = encode(FORMULAS)
    one, all_ = run_model(model, batch, 1), run_model(model, batch, 100)
    assert torch.allclose(one.mean, all_.mean, atol=1e-6)


def test_mean_over_orders_does_not_depend_on_how_a_formula_is_written():
    model = build_model("lg_dcnn", ModelConfig(d=16), seed=0)
    predictor = Predictor(model, Scaler())
    once = predictor.predict(["CaTiO3", "LiFePO4"])
    mean = predictor.predict(["CaTiO3", "LiFePO4"], orders=6)
    again = predictor.predict(["O3TiCa", "PLiO4Fe"], orders=6)
    columns = ["prediction", "std"]
    assert np.allclose(mean[columns], again[columns], rtol=1e-6)
    assert not np.allclose(mean["prediction"], once["prediction"], rtol=1e-6)
    # An LSTM alone, read from either end, gives other numbers; a kernel-1 CNN does not.
    blind = Predictor(build_model("dcnn_k1", ModelConfig(d=16), seed=0), Scaler())
    same = blind.predict(["CaTiO3"], orders=6), blind.predict(["CaTiO3"])
    assert np.allclose(same[0]["prediction"], same[1]["prediction"], rtol=1e-5)


def test_files_that_do_not_fit_the_library(tmp_path):
    path = tmp_path / "m"
    make().save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(state | {"new.weight": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(ValueError, match=r"cannot be built here.*new\.weight"):
        Predictor.load(path)
    save_file(state, path, metadata={"predictor": "[]"})
    with pytest.raises(ValueError, match="holds no predictor"):
        Predictor.load(path)


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match="cannot be written"):
        make().save(tmp_path / "no folder" / "m")


def test_a_loaded_predictor_does_not_follow_its_file(tmp_path):
    path = tmp_path / "network.safetensors"
    for seed in (1, 0):
        model = build_model("lstm", ModelConfig(d=8), seed=seed)
        Predictor(model, Scaler()).save(tmp_path / f"{seed}.safetensors")
    shutil.copyfile(tmp_path / "0.safetensors", path)
    loaded = Predictor.load(path)
    before = loaded.predict(["NaCl", "Fe2O3"])
    path.write_bytes(b"x" * path.stat().st_size)
    assert loaded.predict(["NaCl", "Fe2O3"]).equals(before)


def test_a_device_may_be_an_object_and_a_wrong_one_is_no_fault_of_the_file(tmp_path):
    path = tmp_path / "network.safetensors"
    Predictor(build_model("lstm", ModelConfig(d=8)), Scaler()).save(path)
    loaded = Predictor.load(path, torch.device("cpu"))
    assert len(loaded.predict(["NaCl"])) == 1
    with pytest.raises(RuntimeError, match="device"):
        Predictor.load(path, "auto")


def test_equal_targets_keep_their_scale_though_sums_round():
    assert Scaler.of(np.full(3, 0.1)).std == 1
    assert Scaler.of(np.full(7, -3.3)).std == 1


def test_no_formulas_give_an_empty_table_with_any_padding():
    for config in (ModelConfig(d=8), ModelConfig.paper(d=8)):
        table = Predictor(build_model("lg_dcnn", config), Scaler()).predict([])
        assert table.columns.tolist() == ["formula", "prediction", "std"]
        assert table.empty
