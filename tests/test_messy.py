"""The shipped table of faults is the one that its script writes, faults and all."""

import pandas as pd

import messy
from lgdcnn_lib.tables import check_rows, merge_duplicates, read_formulas

FORMULA, TARGET = "material", "bulk modulus (GPa)"


def test_the_script_writes_the_shipped_file():
    shipped = pd.read_csv(messy.OUT, dtype=str, keep_default_na=False)
    assert shipped.equals(messy.messy_table())
    assert messy.OUT.stat().st_size < 50_000


def test_every_fault_is_found_and_no_good_row_is_lost():
    table = read_formulas(messy.OUT, FORMULA)
    good, rejects = check_rows(table, FORMULA, TARGET)
    assert len(rejects) == 27 + 53  # formulas, targets
    merged, differ = merge_duplicates(good, 5, FORMULA, TARGET)
    assert 30 <= len(differ) <= 40  # 20 pairs, less those that a fault spoilt
    assert 1350 < len(merged) < messy.ROWS
    reasons = " ".join(rejects["reason"])
    for fault in ("unknown element symbol 'Xx'", "charges", "'n/a'", "GPa", "'~"):
        assert fault in reasons
