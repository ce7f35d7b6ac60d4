"""Reading one formula: what is read, by which rule, and what is refused."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition

from lgdcnn_lib.benchmarks import BENCHMARKS
from lgdcnn_lib.elements import SYMBOLS, data_dir
from lgdcnn_lib.formulas import FormulaError, read_formula


def amounts(formula):
    numbers, values, note = read_formula(formula)
    assert note == ""
    return {SYMBOLS[z]: a for z, a in zip(numbers, values, strict=True)}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Fe", {"Fe": 1}),
        ("Fe2O3", {"Fe": 2, "O": 3}),
        ("NaN", {"Na": 1, "N": 1}),
        ("CO", {"C": 1, "O": 1}),
        ("Co", {"Co": 1}),
        ("Fe02O3", {"Fe": 2, "O": 3}),
        ("CH3COOH", {"C": 2, "H": 4, "O": 2}),
        ("Al0.4C0.2Nb0.6", {"Al": 0.4, "C": 0.2, "Nb": 0.6}),
        ("Ca(OH)2", {"Ca": 1, "O": 2, "H": 2}),
        ("K4[Fe(CN)6]", {"K": 4, "Fe": 1, "C": 6, "N": 6}),
        ("{[(Fe)2O]2N}3", {"Fe": 12, "O": 6, "N": 3}),
        ("(Li0.1O0.3)0.7", {"Li": 0.07, "O": 0.21}),
        ("Ca(OH)0.5", {"Ca": 1, "O": 0.5, "H": 0.5}),
        ("Fe1e-3O", {"Fe": 0.001, "O": 1}),
        ("Fe1.0E-3O2E0", {"Fe": 0.001, "O": 2}),
        ("Fe1E+2O", {"Fe": 100, "O": 1}),
        ("Fe1Er2", {"Fe": 1, "Er": 2}),
        ("Fe2Es3", {"Fe": 2, "Es": 3}),
        ("Ca(OH)1.5e-1", {"Ca": 1, "O": 0.15, "H": 0.15}),
        ("Fe₂O₃", {"Fe": 2, "O": 3}),
        ("Fe₁₀O₁₂", {"Fe": 10, "O": 12}),
        (" Fe2 O3\t", {"Fe": 2, "O": 3}),
        ("NaCl\n", {"Na": 1, "Cl": 1}),
        ("2H2O", {"H": 4, "O": 2}),
        ("Y3N@C80", {"Y": 3, "N": 1, "C": 80}),
        ("Fe5.", {"Fe": 5}),
        ("OgTs", {"Og": 1, "Ts": 1}),
    ],
)
def test_notations(formula, expected):
    assert amounts(formula) == expected


HYDRATE = {"Cu": 1, "S": 1, "O": 9, "H": 10}


@pytest.mark.parametrize("dot", ["·", "•", "⋅", "∙", "*", " · "])
def test_hydrates_with_a_separator(dot):
    assert amounts(f"CuSO4{dot}5H2O") == HYDRATE
    assert amounts(f"CuSO4{dot}5(H2O)") == HYDRATE
    assert amounts(f"CaSO4{dot}0.5H2O") == {"Ca": 1, "S": 1, "O": 4.5, "H": 1}
    assert amounts(f"LiOH{dot}H2O") == {"Li": 1, "O": 2, "H": 3}


def test_several_parts_with_factors():
    kaolinite = {"Al": 2, "O": 9, "Si": 2, "H": 4}
    assert amounts("Al2O3·2SiO2·2H2O") == kaolinite
    assert amounts("3CaO·Al2O3") == {"Ca": 3, "O": 6, "Al": 2}


@pytest.mark.parametrize("formula", ["LiOH.H2O", "Li1OH.(H2O)", "LiOH.[H2O]"])
def test_a_dot_before_a_letter_or_bracket_is_a_separator(formula):
    assert amounts(formula) == {"Li": 1, "O": 2, "H": 3}


@pytest.mark.parametrize(
    ("formula", "same", "said"),
    [
        ("CuSO4.5H2O", "CuSO4·5H2O", "CuSO4 · 5H2O"),
        ("CuSO4.5(H2O)", "CuSO4·5H2O", "CuSO4 · 5(H2O)"),
        ("CaSO4.0.5H2O", "CaSO4·0.5H2O", "CaSO4 · 0.5H2O"),
        ("Na0.7CoO2.1.3H2O", "Na0.7CoO2·1.3H2O", "Na0.7CoO2 · 1.3H2O"),
        ("Na0.5.2H2O", "Na0.5·2H2O", "Na0.5 · 2H2O"),
        ("Fe10.5H2O", "Fe10·5H2O", "Fe10 · 5H2O"),
        ("(NH4)2SO4.NiSO4.6H2O", "(NH4)2SO4·NiSO4·6H2O", "NiSO4 · 6H2O"),
        ("MgCl2.6NH3", "MgCl2·6NH3", "MgCl2 · 6NH3"),
        ("Fe.5O.5", "Fe0.5O0.5", "'.5' read as the amount 0.5"),
        ("CaO.2SiO2", "CaO0.2SiO2", "'.2' read as the amount 0.2"),
    ],
)
def test_ambiguous_texts_are_read_by_a_rule_and_say_so(formula, same, said):
    numbers, values, note = read_formula(formula)
    assert (numbers, values, "") == read_formula(same)
    assert said in note


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Na0.5H2O", {"Na": 0.5, "H": 2, "O": 1}),
        ("CuSO4·2.5H2O", {"Cu": 1, "S": 1, "O": 6.5, "H": 5}),
        ("2.5H2O", {"H": 5, "O": 2.5}),
        ("Zr9Co82.4Mo8.6", {"Zr": 9, "Co": 82.4, "Mo": 8.6}),
    ],
)
def test_dots_that_can_only_be_decimal_points(formula, expected):
    assert amounts(formula) == expected


@pytest.mark.parametrize(
    ("formula", "said"),
    [("D2O", "D read as"), ("T2", "T read as"), ("HDO", "D read as")],
)
def test_isotopes_are_hydrogen_and_say_so(formula, said):
    numbers, _, note = read_formula(formula)
    assert set(numbers) <= {1, 8}
    assert note == f"{said} hydrogen"
    assert read_formula("HDO")[:2] == read_formula("H2O")[:2]
    assert read_formula("CuSO4.5D2O")[2] == "read as CuSO4 · 5D2O; D read as hydrogen"


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "empty formula"),
        (" \t", "empty formula"),
        ("Xx2", "unknown element symbol 'Xx'"),
        ("X", "unknown element symbol 'X'"),
        ("Vac", "unknown element symbol 'Vac'"),
        ("NACL", "unknown element symbol 'A'"),
        ("Fe2E", "unknown element symbol 'E'"),
        ("Feo", "unknown element symbol 'Feo'"),
        ("Uue", "unknown element symbol"),
        ("co", "does not start with an element symbol"),
        ("nan", "does not start with an element symbol"),
        ("H2O(g)", "'g)' does not start with an element symbol"),
        ("CuSO4·xH2O", "'xH2O' does not start with an element symbol"),
        ("C o", "a blank inside"),
        ("Fe2 3", "a blank inside"),
        ("KF 2H2O", "a blank before added molecules: write a ·"),
        ("NiI 2 H2O", "a blank before added molecules"),
        ("Fe0", "an amount of zero"),
        ("NaCl0", "an amount of zero"),
        ("NaCl0.0", "an amount of zero"),
        ("Fe(OH)0", "an amount of zero"),
        ("CuSO4·0H2O", "an amount of zero"),
        ("Fe-2", "negative amount"),
        ("Fe-0.5O", "negative amount"),
        ("SO4-2", "negative amount, or a charge"),
        ("Fe1e-9O", "is not in 1e-08 to 1e"),
        ("Fe1e999O", "amount inf is not in"),
        ("FeO300000000", "is not in"),
        ("(O20000)20000", "is not in"),
        ("(Fe1e-5)1e-5O", "the amount of Fe is below 1e-08"),
        ("(Fe1e-5)1e-5", "the amount of Fe is below 1e-08"),
        ("Si@2", "unexpected character '@'"),
        ("Fe@@2O3", "unexpected character '@'"),
        ("Na+", "charges, dashes and superscripts"),
        ("Fe3+", "charges, dashes and superscripts"),
        ("Fe²⁺", "charges, dashes and superscripts"),
        ("O2-", "charges, dashes and superscripts"),
        ("ZrO2-Y2O3", "charges, dashes and superscripts"),
        ("Li1-xCoO2", "charges, dashes and superscripts"),
        ("¹⁸O", "charges, dashes and superscripts"),
        ("(", "brackets do not match"),
        ("Fe(OH", "brackets do not match"),
        ("Fe)2", "brackets do not match"),
        ("(Fe]2", "brackets do not match"),
        ("FeO()", "brackets do not match, or are empty"),
        ("(CuSO4·5H2O)2", "hold a separator"),
        ("Fe2.5.1O", "the number .1 follows no element"),
        ("Fe(2)", "the number 2 follows no element"),
        ("2", "no element in '2'"),
        ("Fe·", "no element in ''"),
        ("·H2O", "no element in ''"),
        ("Fe1,5", "unexpected character ','"),
        ("Al2O3:Cr", "unexpected character ':'"),
        ("Fe2O3/Al2O3", "unexpected character '/'"),
        ("Fe٣", "unexpected character"),
        (None, "missing value"),
        (math.nan, "missing value"),
        (np.float32("nan"), "missing value"),
        (pd.NA, "missing value"),
        (5, "not text but int"),
        (b"Fe", "not text but bytes"),
        (["Fe"], "not text but list"),
    ],
)
def test_what_cannot_be_read_says_why(formula, reason):
    with pytest.raises(FormulaError) as error:
        read_formula(formula)
    assert reason in error.value.reason
    assert error.value.formula is formula
    assert error.value.row is None
    assert repr(formula) in str(error.value)


def test_errors_survive_pickling_and_name_the_row():
    error = pickle.loads(pickle.dumps(FormulaError("Xx", "unknown", 3)))
    assert (error.row, error.formula, error.reason) == (3, "Xx", "unknown")
    assert str(error) == "row 3: 'Xx': unknown"
    assert isinstance(error, ValueError)


@pytest.mark.slow
def test_every_benchmark_formula_is_read_as_pymatgen_reads_it():
    formulas = set()
    for name in BENCHMARKS:
        path = data_dir() / f"benchmarks/{name}.csv.xz"
        formulas |= set(pd.read_csv(path, keep_default_na=False)["formula"])
    assert len(formulas) == 528_031
    different = [formula for formula in formulas if not reads_as_pymatgen(formula)]
    assert different == []


def reads_as_pymatgen(formula):
    numbers, values, note = read_formula(formula)
    expected = Composition(formula).get_el_amt_dict()
    # The same elements in the same order; amounts equal but for noise in products.
    if note or [SYMBOLS[z] for z in numbers] != list(expected):
        return False
    noise = 1e-12 if "(" in formula else 0
    pairs = zip(values, expected.values(), strict=True)
    return all(abs(a - b) <= noise * b for a, b in pairs)


def test_amounts_that_pymatgen_writes_with_an_exponent():
    with pytest.raises(FormulaError, match="an amount is above"):
        read_formula("(Fe1e8)1e8O")
