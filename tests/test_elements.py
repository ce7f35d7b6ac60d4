"""The element vocabulary, tables and properties."""

import dataclasses

import numpy as np
import pytest
from pymatgen.core import Element

from lgdcnn_lib.elements import (
    ATOMIC_NUMBERS,
    ELEMENT_TABLES,
    SYMBOLS,
    data_dir,
    element_properties,
    element_table,
)


def test_symbols_are_those_of_the_periodic_table():
    assert len(SYMBOLS) == 119
    assert SYMBOLS[0] == ""
    assert SYMBOLS[1:] == tuple(Element.from_Z(z).symbol for z in range(1, 119))
    assert {SYMBOLS[z]: z for z in range(1, 119)} == ATOMIC_NUMBERS


@pytest.mark.parametrize("name", list(ELEMENT_TABLES))
def test_every_table_has_one_finite_row_for_each_element(name):
    table = element_table(name)
    assert table.name == name
    assert table.vectors.shape == (119, ELEMENT_TABLES[name].dimension)
    assert table.vectors.dtype == np.float32
    assert np.isfinite(table.vectors).all()
    assert not table.vectors[0].any()
    assert table.info == (ELEMENT_TABLES[name],)
    assert all(dataclasses.astuple(table.info[0]))


@pytest.mark.parametrize("name", list(ELEMENT_TABLES))
def test_missing_elements_get_the_mean_of_the_others(name):
    table = element_table(name)
    missing = [ATOMIC_NUMBERS[symbol] for symbol in table.missing]
    present = sorted(set(range(1, 119)) - set(missing))
    assert missing == sorted(missing)
    mean = table.vectors[present].astype(np.float64).mean(axis=0)
    filled = table.vectors[missing]
    assert filled == pytest.approx(np.tile(mean, (len(missing), 1)), rel=1e-4, abs=1e-5)
    distinct = np.unique(table.vectors[present], axis=0)
    assert len(distinct) == len(present)


def test_mat2vec_is_complete_and_as_published():
    table = element_table("mat2vec")
    assert table.missing == ()
    assert table.vectors[1, :3] == pytest.approx([0.05714642, -0.22556457, 0.17279916])
    assert table.vectors[118, 0] == pytest.approx(-0.00465517)


def test_magpie_columns_belong_to_their_elements():
    vectors = element_table("magpie").vectors
    assert vectors[:98, 0] == pytest.approx(np.arange(98))  # atomic number
    assert vectors[ATOMIC_NUMBERS["Fe"], 3] == pytest.approx(1811)  # melting point, K


def test_onehot_has_one_channel_for_each_element():
    assert np.array_equal(element_table("onehot").vectors[1:], np.eye(118))


def test_random_vectors_never_change():
    vectors = element_table("random").vectors
    assert vectors[1, :2] == pytest.approx([0.12573022, -0.13210486])
    assert vectors[118, -1] == pytest.approx(-1.484168)


def test_tables_are_read_once_and_cannot_be_changed():
    table = element_table("chgnet")
    assert table is element_table("chgnet")
    with pytest.raises(ValueError, match="read-only"):
        table.vectors[1, 0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.name = "other"


def test_joined_tables_have_equal_weight():
    joined = element_table("mat2vec+oliynyk+onehot")
    assert joined.vectors.shape == (119, 200 + 44 + 118)
    assert not joined.vectors[0].any()
    assert joined.missing == element_table("oliynyk").missing
    assert [info.dimension for info in joined.info] == [200, 44, 118]
    absent = [ATOMIC_NUMBERS[symbol] for symbol in joined.missing]
    present = sorted(set(range(1, 119)) - set(absent))
    parts = np.split(joined.vectors, [200, 244], axis=1)
    weights = [np.square(part[present]).mean(axis=0).sum() for part in parts]
    assert weights == pytest.approx([362 / 3] * 3, rel=0.4)
    whole = np.square(element_table("mat2vec+onehot").vectors[1:]).mean()
    assert whole == pytest.approx(1, rel=1e-4)
    assert parts[1][absent] == pytest.approx(np.zeros((len(absent), 44)), abs=1e-5)


def test_joined_columns_are_standardised_and_a_constant_column_stays_finite():
    vectors = element_table("magpie+jarvis").vectors.astype(np.float64)
    magpie = vectors[1:98, :22]
    scale = np.sqrt((22 + 438) / 2 / 22)
    assert magpie.mean(0) == pytest.approx(np.zeros(22), abs=1e-5)
    assert magpie.std(0) == pytest.approx(np.full(22, scale), rel=1e-4)
    assert np.isfinite(vectors).all()  # 16 columns of jarvis are constant


@pytest.mark.parametrize("name", ["", "unknown", "mat2vec+unknown", "mat2vec+"])
def test_unknown_table_names_what_is_known(name):
    with pytest.raises(KeyError, match="known: chgnet, jarvis"):
        element_table(name)


def test_properties_agree_with_pymatgen():
    frame = element_properties()
    assert tuple(frame.index) == SYMBOLS[1:]
    assert list(frame["atomic_number"]) == list(range(1, 119))
    elements = [Element(symbol) for symbol in frame.index]
    assert list(frame["group"]) == [element.group for element in elements]
    assert list(frame["period"]) == [element.row for element in elements]
    masses = [float(element.atomic_mass) for element in elements]
    assert list(frame["atomic_mass"]) == pytest.approx(masses, rel=0.02)


def test_properties_of_known_elements():
    frame = element_properties()
    assert frame.loc["Na", "name"] == "Sodium"
    assert frame.loc["He", "block"] == "s"
    assert frame.loc["Ce", ["group", "period", "block"]].tolist() == [3, 6, "f"]
    assert frame.loc["F", "electronegativity"] == pytest.approx(3.98)
    assert np.isnan(frame.loc["Ar", "electronegativity"])
    assert frame["name"].notna().all()


def test_data_dir_follows_the_environment(tmp_path, monkeypatch):
    assert (data_dir() / "benchmarks" / "registry.csv").is_file()
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setenv("LGDCNN_DATA", str(tmp_path))
    assert data_dir() == tmp_path
    monkeypatch.setenv("LGDCNN_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="LGDCNN_DATA"):
        data_dir()


def test_a_changed_copy_of_the_properties_changes_no_other():
    own = element_properties()
    own["electronegativity"] = 0.0
    assert element_properties().loc["F", "electronegativity"] == pytest.approx(3.98)
