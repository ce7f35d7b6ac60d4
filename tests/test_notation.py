"""The notation appendix: its code names exist, and its shapes are true."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lgdcnn_lib.benchmarks import Task
from lgdcnn_lib.capture import layer_features
from lgdcnn_lib.cecv import cecv
from lgdcnn_lib.composition import encode
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Scaler

PAGE = Path(__file__).parents[1] / "book" / "appendix" / "notation.md"
HEADER = ["symbol", "meaning", "shape", "unit", "code name"]
UNITS = {"1", "target", "std", "places", "none"}
FORMULAS = ["SiO2", "CaTiO3", "MgSiO3", "LiFePO4", "CaSiO3"]


def rows():
    """(section, its modules, cells) of each row of each table."""
    found, section, modules = [], "", []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section, modules = line[3:], []
        elif line.startswith("Module"):
            modules = re.findall(r"`(\w+)`", line)
        elif line.startswith("| ") and not line.startswith("| symbol"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.append((section, modules, cells))
    return found


ROWS = rows()


@pytest.fixture(scope="module")
def samples():
    """An object of each class that the page names, with known sizes."""
    batch = encode(FORMULAS)
    model = build_model("lg_dcnn", ModelConfig(d=16, resolution=500))
    features = layer_features(model, FORMULAS, "dcnn.3")
    counted = cecv(model, FORMULAS, element="Si")
    frame = pd.DataFrame({"formula": FORMULAS, "target": 1.0})
    found = [batch, model(batch), features, counted, model.config]
    found += [Task("sample", frame, frame, frame), Scaler(2.0, 3.0)]
    by_class = {type(sample): sample for sample in found}
    for module in model.modules():
        by_class.setdefault(type(module), module)
    return by_class


def resolve(name, modules, samples):
    """The object behind a code name; attributes of instances come from a sample."""
    first, *path = name.split(".")
    loaded = [importlib.import_module(f"lgdcnn_lib.{module}") for module in modules]
    owners = [module for module in loaded if hasattr(module, first)]
    if not owners:
        raise AttributeError(f"no {first} in {modules}")
    assert len({id(getattr(module, first)) for module in owners}) == 1, "ambiguous"
    found = getattr(owners[0], first)
    for part in path:
        found = getattr(
            samples.get(found, found) if isinstance(found, type) else found, part
        )
    return found


def test_tables_are_whole():
    text = PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"^## ", text, re.M)
    headers = re.findall(r"^\| symbol.*$", text, re.M)
    assert len(headers) == len(sections)
    assert {header for header in headers} == {"| " + " | ".join(HEADER) + " |"}
    assert len(ROWS) > 40
    for section, modules, cells in ROWS:
        assert modules, section
        assert len(cells) == len(HEADER), (section, cells)
        assert all(cells), (section, cells)
        assert cells[3] in UNITS, cells


def test_a_symbol_stands_once_in_a_section():
    seen = [(section, cells[0]) for section, _, cells in ROWS]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(("section", "modules", "cells"), ROWS)
def test_code_name_exists(section, modules, cells, samples):
    name = re.fullmatch(r"`([\w.]+)`", cells[4])
    assert name, f"{section}: {cells[4]} is no code name"
    resolve(name.group(1), modules, samples)


def test_shapes_are_those_of_the_objects(samples):
    sizes = {"N": 5, "L": 4, "d": 16, "m": 8, "h": 8, "R": 500, "K": 3, "k": 200}
    checked = []
    for section, modules, cells in ROWS:
        found = resolve(cells[4].strip("`"), modules, samples)
        shape = found.shape if isinstance(found, torch.Tensor | np.ndarray) else None
        if isinstance(found, tuple) and not isinstance(found[0], str):
            shape = (len(found),)
        written = re.fullmatch(r"\$\(([^()$]+)\)\$", cells[2])
        if shape is None or not written:
            continue
        factors = [
            re.sub(r"(\d)([a-zA-Z])", r"\1*\2", part.strip())
            for part in written.group(1).split(",")
            if part.strip()
        ]
        expected = tuple(eval(factor, {}, sizes) for factor in factors)
        assert tuple(shape) == expected, (section, cells)
        checked.append(cells[0])
    assert len(checked) >= 20, checked


def test_every_module_named_is_used():
    for section in {section for section, _, _ in ROWS}:
        named = [(m, c) for s, m, c in ROWS if s == section]
        modules, names = named[0][0], [cells[4].strip("`") for _, cells in named]
        for module in modules:
            loaded = importlib.import_module(f"lgdcnn_lib.{module}")
            assert any(hasattr(loaded, name.split(".")[0]) for name in names), module


@pytest.mark.parametrize("name", ["ElementConv.kernel_size", "Conv", "CECV.size"])
def test_names_that_do_not_exist_are_found_out(name, samples):
    with pytest.raises(AttributeError):
        resolve(name, ["layers", "cecv"], samples)
