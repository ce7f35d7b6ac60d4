"""From formulas to tensors: order, exactness, padding, indexing, rejects, speed."""

import copy
import dataclasses
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgdcnn_lib.composition import (
    CompositionBatch,
    FormulaError,
    FormulaWarning,
    encode,
    parse_formula,
    shuffle_elements,
)
from lgdcnn_lib.elements import SYMBOLS

FORMULAS = ["Fe2O3", "NaCl", "Si", "Ca3Al2(SiO4)3", "LiFeMnPO4", "NaN"]

compositions = st.dictionaries(
    st.sampled_from(SYMBOLS[1:]), st.integers(1, 400), min_size=1, max_size=20
)


def write(amounts, decimals=0):
    """Write symbol -> amount as a formula, amounts divided by 10**decimals."""
    texts = {s: f"{a / 10**decimals:.{decimals}f}" for s, a in amounts.items()}
    return "".join(f"{symbol}{text}" for symbol, text in texts.items())


def same(a, b):
    """Whether two batches hold the same bits."""
    fields = ("atomic_numbers", "fractions", "mask")
    return all(torch.equal(getattr(a, f), getattr(b, f)) for f in fields)


def test_a_batch_by_hand():
    batch = encode(["Fe2O3", "NaCl", "Si", "LiFeMnPO4"])
    assert batch.formulas == ("Fe2O3", "NaCl", "Si", "LiFeMnPO4")
    assert batch.atomic_numbers.tolist() == [
        [8, 26, 0, 0, 0],
        [11, 17, 0, 0, 0],
        [14, 0, 0, 0, 0],
        [8, 3, 15, 25, 26],
    ]
    expected = [[0.6, 0.4, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [1, 0, 0, 0, 0]]
    expected.append([4 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8])
    assert torch.equal(batch.fractions, torch.tensor(expected))
    assert torch.equal(batch.mask, batch.atomic_numbers > 0)
    assert batch.n_elements.tolist() == [2, 2, 1, 5]
    types = [batch.atomic_numbers.dtype, batch.fractions.dtype, batch.mask.dtype]
    assert types == [torch.int64, torch.float32, torch.bool]
    assert len(batch) == 4


def test_parse_formula_by_hand():
    assert parse_formula("Fe2O3") == ((8, 26), (0.6, 0.4))
    assert parse_formula("ClNa") == ((11, 17), (0.5, 0.5))
    assert parse_formula("ClNa", order="written") == ((17, 11), (0.5, 0.5))
    assert parse_formula("NaN") == ((7, 11), (0.5, 0.5))


def test_written_order_is_amount_descending_then_as_written():
    batch = encode(["ClNa", "LiFeMnPO4", "O3Fe2", "Fe2O3"], order="written")
    assert batch.atomic_numbers[:, :2].tolist() == [[17, 11], [8, 3], [8, 26], [8, 26]]
    assert batch.atomic_numbers[1].tolist() == [8, 3, 26, 25, 15]


@pytest.mark.parametrize(
    "ways",
    [
        ("NaCl", "ClNa", "Na2Cl2", "Na0.1Cl0.1", "(NaCl)3", "Na1e-3Cl0.001", "2NaCl"),
        ("Fe2O3", "O3Fe2", "Fe0.4O0.6", "Fe₂O₃", "Fe20O30", "Fe0.04O0.06", "FeFeO3"),
        ("V0.6Zn0.4N0.2", "V3Zn2N", "(V0.3Zn0.2N0.1)0.7", "NZn2V3"),
        ("CuSO4·5H2O", "CuSO9H10", "Cu0.5S0.5O4.5H5", "5H2O·CuSO4"),
        ("Al0.3333333O0.6666667", "O6666667Al3333333"),
    ],
)
def test_one_composition_has_one_encoding(ways):
    first, *others = [encode([formula]) for formula in ways]
    assert all(same(first, other) for other in others)


@given(compositions, st.randoms(use_true_random=False), st.integers(1, 50))
def test_order_and_scale_change_no_bit(amounts, random, factor):
    shuffled = list(amounts.items())
    random.shuffle(shuffled)
    scaled = {symbol: amount * factor for symbol, amount in shuffled}
    first = encode([write(amounts)])
    assert same(first, encode([write(scaled)]))
    assert same(first, encode([write(dict(shuffled), decimals=3)]))


@given(compositions)
def test_canonical_order_and_exact_fractions(amounts):
    numbers, fractions = parse_formula(write(amounts))
    total = sum(amounts.values())
    assert {SYMBOLS[z]: f for z, f in zip(numbers, fractions, strict=True)} == {
        symbol: amount / total for symbol, amount in amounts.items()
    }
    keys = [(-f, z) for z, f in zip(numbers, fractions, strict=True)]
    assert keys == sorted(keys)
    batch = encode([write(amounts)])
    assert batch.fractions.sum().item() == pytest.approx(1, abs=1e-6)


def test_differences_that_are_noise_are_ties():
    # 1e-10 apart: equal for the order, so the atomic number decides.
    assert parse_formula("Cl0.50000000005Na0.49999999995")[0] == (11, 17)
    # 4e-8 apart: not noise.
    assert parse_formula("Al0.3333333O0.33333334")[0] == (8, 13)
    # Steel: 2e-7 apart.
    assert parse_formula("V0.0000614Nb0.0000616Fe0.99")[0] == (26, 41, 23)


def test_alloy_of_twenty_elements():
    formula = "".join(f"{SYMBOLS[z]}0.05" for z in range(40, 20, -1))
    numbers, fractions = parse_formula(formula)
    assert numbers == tuple(range(21, 41))
    assert fractions == (0.05,) * 20


@given(st.lists(st.sampled_from(FORMULAS), max_size=6), st.integers(0, 9))
def test_padding_changes_nothing_else(formulas, extra):
    batch = encode(formulas)
    length = batch.mask.shape[1] + extra
    padded = batch.pad_to(length)
    assert padded.mask.shape == (len(formulas), length)
    assert same(padded, encode(formulas, length=length))
    assert same(padded.trim(), batch)
    assert padded.formulas == batch.formulas
    assert not padded.atomic_numbers[~padded.mask].any()
    assert not padded.fractions[~padded.mask].any()
    assert padded.n_elements.tolist() == batch.n_elements.tolist()


def test_no_formula_is_ever_cut():
    batch = encode(["Fe2O3", "LiFeMnPO4"])
    with pytest.raises(ValueError, match="length 4 would cut a formula of 5"):
        batch.pad_to(4)
    with pytest.raises(ValueError, match="would cut"):
        encode(["LiFeMnPO4"], length=3)


@given(st.lists(st.integers(-6, 5), max_size=8))
def test_indexing_is_encoding_the_chosen_formulas(rows):
    batch = encode(FORMULAS)
    chosen = [FORMULAS[row] for row in rows]
    expected = encode(chosen, length=batch.mask.shape[1])
    for index in (rows, torch.tensor(rows, dtype=torch.long), np.array(rows, int)):
        found = batch[index]
        assert found.formulas == tuple(chosen)
        assert same(found, expected)


def test_other_ways_to_index():
    batch = encode(FORMULAS)
    assert batch[1].formulas == ("NaCl",)
    assert batch[-1].formulas == ("NaN",)
    assert batch[np.int64(2)].formulas == ("Si",)
    assert batch[1:6:2].formulas == ("NaCl", "Ca3Al2(SiO4)3", "NaN")
    assert batch[[]].mask.shape == (0, batch.mask.shape[1])
    assert batch[batch.n_elements == 2].formulas == ("Fe2O3", "NaCl", "NaN")
    with pytest.raises(IndexError):
        batch[len(FORMULAS)]


def test_batches_are_frozen_and_move_between_devices():
    batch = encode(["Fe2O3"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.mask = None
    moved = batch.to("meta")
    assert isinstance(moved, CompositionBatch)
    tensors = (moved.atomic_numbers, moved.fractions, moved.mask)
    assert [tensor.device.type for tensor in tensors] == ["meta"] * 3
    assert moved.formulas == batch.formulas
    assert same(copy.deepcopy(batch), batch.to("cpu"))


@pytest.mark.parametrize("empty", [[], (), pd.Series([], dtype=object)])
def test_no_formulas_at_all(empty):
    batch, rejects = encode(empty, on_error="collect")
    assert len(batch) == len(rejects) == 0
    assert batch.mask.shape == (0, 0)
    assert batch.trim().pad_to(3).mask.shape == (0, 3)


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, np.array, iter])
def test_any_collection_of_texts(kind):
    batch = encode(kind(FORMULAS))
    assert batch.formulas == tuple(FORMULAS)


def test_the_first_bad_formula_stops_with_its_row():
    with pytest.raises(FormulaError) as error:
        encode(["NaCl", "Xx2", ""])
    assert (error.value.row, error.value.formula) == (1, "Xx2")
    assert str(error.value) == "row 1: 'Xx2': unknown element symbol 'Xx'"


def test_bad_formulas_are_collected_with_reasons():
    formulas = ["NaCl", "Xx2", None, "Fe0", "ClNa", ""]
    batch, rejects = encode(formulas, on_error="collect")
    assert batch.formulas == ("NaCl", "ClNa")
    assert same(batch[0], batch[1])
    assert list(rejects.columns) == ["row", "formula", "reason"]
    assert rejects["row"].tolist() == [1, 2, 3, 5]
    assert rejects["formula"].tolist() == ["Xx2", None, "Fe0", ""]
    assert rejects["reason"].tolist() == [
        "unknown element symbol 'Xx'",
        "missing value",
        "an amount of zero",
        "empty formula",
    ]


def test_all_bad():
    batch, rejects = encode(["Xx", float("nan")], on_error="collect")
    assert len(batch) == 0
    assert len(rejects) == 2


def test_nothing_to_reject_gives_an_empty_table():
    _, rejects = encode(["NaCl"], on_error="collect")
    assert list(rejects.columns) == ["row", "formula", "reason"]
    assert rejects.empty


@pytest.mark.parametrize(
    ("options", "message"),
    [({"on_error": "skip"}, "on_error"), ({"order": "alphabetical"}, "order")],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        encode(["NaCl"], **options)


def test_one_text_is_not_a_list_of_formulas():
    with pytest.raises(TypeError, match=r"encode\(\[formula\]\)"):
        encode("NaCl")


def test_one_warning_names_what_was_read_by_a_rule():
    formulas = ["NaCl", "CuSO4.5H2O", "D2O"] + ["MgCl2.6H2O"] * 5
    with pytest.warns(FormulaWarning) as caught:
        encode(formulas)
    assert len(caught) == 1
    lines = str(caught[0].message).splitlines()
    assert lines[0] == "row 1, 'CuSO4.5H2O': read as CuSO4 · 5H2O"
    assert lines[1] == "row 2, 'D2O': D read as hydrogen"
    assert lines[-1] == "and 2 more"
    with pytest.warns(FormulaWarning, match="'D2O': D read as hydrogen"):
        parse_formula("D2O")


def test_plain_formulas_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode([*FORMULAS, "CuSO4·5H2O", "Na0.5H2O"])


SPEED = """
import re, time
from pathlib import Path
from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.composition import encode
formulas = load_benchmark("OQMD_Energy_per_atom").train["formula"]
start = time.process_time()
batch = encode(formulas)
seconds = time.process_time() - start
assert len(batch) == 239_190
# Not ru_maxrss: a new process inherits the peak of the one that started it.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(seconds, 1024 * int(peak[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_largest_training_set_takes_seconds():
    command = [sys.executable, "-c", SPEED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    assert seconds < 5
    assert memory < 1e9


def test_shuffled_elements_keep_their_fractions_and_the_padding_its_place():
    batch = encode(["Fe", "CaTiO3", "LiFePO4"])
    moved = shuffle_elements(batch, torch.Generator().manual_seed(1))
    assert torch.equal(moved.mask, batch.mask)
    assert not moved.atomic_numbers[~batch.mask].any()
    assert not torch.equal(moved.atomic_numbers, batch.atomic_numbers)
    for new, old in zip(
        torch.stack([moved.atomic_numbers, moved.fractions], -1).tolist(),
        torch.stack([batch.atomic_numbers, batch.fractions], -1).tolist(),
        strict=True,
    ):
        assert sorted(map(tuple, new)) == sorted(map(tuple, old))


def test_a_batch_without_formulas_can_be_indexed():
    batch = dataclasses.replace(encode(["NaCl", "Fe2O3", "CuO"]), formulas=())
    part = batch[[2, 0]]
    assert part.formulas == ()
    assert torch.equal(part.atomic_numbers, batch.atomic_numbers[[2, 0]])
