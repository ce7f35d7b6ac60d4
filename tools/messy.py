"""Write ``data/examples/messy.csv``: real values, with the faults of a grown table.

The rows are those of the task ``mp_bulk_modulus`` (Materials Project, CC BY 4.0). The
faults are invented, but each is of a kind that such tables have. Usage::

    python tools/messy.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.elements import SYMBOLS
from lgdcnn_lib.formulas import read_formula

OUT = Path(__file__).resolve().parents[1] / "data" / "examples" / "messy.csv"
ROWS = 1500


def written_otherwise(formula: str) -> str:
    """The same composition, elements turned round and amounts doubled."""
    numbers, amounts, _ = read_formula(formula)
    pairs = zip(numbers[::-1], amounts[::-1], strict=True)
    return "".join(f"{SYMBOLS[z]}{2 * amount:g}" for z, amount in pairs)


def repeats(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that stand twice: copied, rewritten with another last digit, in kbar."""
    copied, rewritten, kbar = table[:10], table[10:50].copy(), table[50:70].copy()
    rewritten["formula"] = rewritten["formula"].map(written_otherwise)
    rewritten["target"] = rewritten["target"] * 1.01
    kbar["target"] = kbar["target"] * 10
    return pd.concat([copied, rewritten, kbar])


def damage(table: pd.DataFrame) -> None:
    """Spoil formulas and targets in place, each fault in rows of its own."""
    formula, target = table.columns
    start = 0
    for column, n, spoil in (
        (formula, 8, lambda text: "Xx" + text),
        (formula, 4, str.lower),
        (formula, 6, lambda text: text + "2+"),
        (formula, 6, lambda text: text + " (cubic)"),
        (formula, 3, lambda text: ""),
        (target, 15, lambda text: ""),
        (target, 8, lambda text: "n/a"),
        (target, 10, lambda text: text + " GPa"),
        (target, 10, lambda text: "~" + text),
        (target, 10, lambda text: text.replace(".", ",")),
    ):
        rows = table.index[start : start + n]
        table.loc[rows, column] = table.loc[rows, column].map(spoil)
        start += n


def messy_table(seed: int = 0) -> pd.DataFrame:
    """The table with its faults, all cells as text, rows in random order."""
    rng = np.random.default_rng(seed)
    source = load_benchmark("mp_bulk_modulus").train
    table = source.iloc[rng.permutation(len(source))[:ROWS]]
    table = pd.concat([table, repeats(table)])
    table["target"] = table["target"].map("{:.1f}".format)
    table.columns = pd.Index(["material", "bulk modulus (GPa)"])
    table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    damage(table)
    return table.iloc[rng.permutation(len(table))].reset_index(drop=True)


if __name__ == "__main__":
    OUT.parent.mkdir(exist_ok=True)
    messy_table().to_csv(OUT, index=False)
    print(f"wrote {OUT}")
