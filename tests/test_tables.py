"""A user's CSV: nothing is lost, every bad row has its reason."""

import numpy as np
import pandas as pd
import pytest

from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.composition import encode
from lgdcnn_lib.tables import (
    check_rows,
    group_rows,
    make_task,
    merge_duplicates,
    read_formulas,
)

FORMULAS = ["NaCl", "KCl", "LiF", "KBr", "Fe", "Cu", "FeNi", "CuZn", "MgO", "CaO"]


def frame(n=40):
    metals = [f"Fe{i + 1}Ni" for i in range(n)]
    return pd.DataFrame({"formula": metals, "target": np.arange(n, dtype=float)})


def test_reading_keeps_sodium_nitride(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("formula,target\nNaN,1\nNaCl,2\n")
    assert read_formulas(path)["formula"].tolist() == ["NaN", "NaCl"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("name,y\nNaCl,1\n", "has no column 'formula'; it has: name, y"),
     ("formula,y\n", "no rows"),
     ("", "a.csv is no CSV file in UTF-8: No columns"),
     ("formula,y\n7,NaCl,1\n", "more cells than the first line"),
     ('formula,y\n"NaCl,1\n', "a.csv is no CSV file")],
)  # fmt: skip
def test_unusable_files(tmp_path, text, reason):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_formulas(path)


def test_rows_part_into_good_and_bad():
    table = pd.DataFrame(
        {
            "formula": ["NaCl", "Xy2", "Fe", "", "MgO"],
            "y": ["1", "2", "soft", "4", "5e1"],
        }
    )
    good, rejects = check_rows(table, target="y")
    assert good["formula"].tolist() == ["NaCl", "MgO"]
    assert good["y"].tolist() == [1.0, 50.0]
    assert rejects["row"].tolist() == [1, 2, 3]
    assert "soft" in rejects["reason"][1]
    assert len(good) + len(rejects) == len(table)
    with pytest.raises(ValueError, match="no column 'z'"):
        check_rows(table, target="z")


def test_a_comma_at_the_end_of_rows_shifts_nothing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("formula,y\nNaCl,1,\nLiF,2,\n")
    table = read_formulas(path)
    assert table["formula"].tolist() == ["NaCl", "LiF"]
    assert table["y"].tolist() == [1, 2]


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("formula,ort\nNaCl,Köln\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.csv is no CSV file in UTF-8"):
        read_formulas(path)


def test_a_target_beside_columns_of_our_names():
    table = frame().assign(gap=lambda t: t["target"] + 1, material=lambda t: t.formula)
    table = table.assign(target="note", formula="note")
    task = make_task(table, "mine", "material", "gap")
    assert list(task.train) == ["formula", "target"]
    assert sorted(pd.concat([task.train, task.val, task.test])["target"]) == [
        *range(1, 41)
    ]


def test_no_row_is_said():
    with pytest.raises(ValueError, match="mine has no row that can be used"):
        make_task(frame(0), "mine")


def test_a_given_split_that_leaks_is_said_and_not_merged():
    rows = [("NaCl", 1.0, "train"), ("ClNa", 3.0, "test"), ("MgO", 1.0, "train")]
    rows += [("LiF", 1.0, "val"), ("Na2Cl2", 2.0, "train")]
    table = pd.DataFrame(rows, columns=["formula", "target", "split"])
    merged, rejects = merge_duplicates(table, tolerance=5)
    assert merged["target"].tolist() == [1.5, 3, 1, 1]  # the test row is left alone
    assert rejects.empty
    with pytest.warns(UserWarning, match="^1 rows of val and test have a composition"):
        make_task(merged, "mine")
    with pytest.raises(ValueError, match="not 'nonsense'"):
        make_task(table, "mine", group="nonsense")


def test_compositions_stay_together():
    table = pd.concat([frame(), frame().assign(formula=lambda t: "Ni3" + t["formula"])])
    doubled = pd.concat([table, table.sample(frac=1, random_state=0)])
    task = make_task(doubled, "mine")
    parts = [set(part["formula"]) for part in (task.train, task.val, task.test)]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert sum(map(len, (task.train, task.val, task.test))) == len(doubled)
    assert len(task.val) == pytest.approx(0.1 * len(doubled), abs=4)
    again = make_task(doubled, "mine")
    assert again.data_hash == task.data_hash
    assert make_task(doubled, "mine", seed=1).data_hash != task.data_hash


def test_given_splits_are_obeyed():
    table = frame(6).assign(split=["train", "test", "val", "train", "train", "test"])
    task = make_task(table, "mine")
    assert task.train["target"].tolist() == [0, 3, 4]
    assert task.test["target"].tolist() == [1, 5]
    with pytest.raises(ValueError, match="unknown split"):
        make_task(table.replace("val", "holdout"), "mine")
    with pytest.raises(ValueError, match="val split of mine is empty"):
        make_task(table.replace("val", "train"), "mine")


def test_duplicates_that_agree_become_one_and_the_others_none():
    table = pd.DataFrame(
        {
            "formula": ["NaCl", "Fe2O3", "Cl2Na2", "Fe4O6", "MgO", "ClNa"],
            "target": [1.0, 100.0, 3.0, 200.0, 7.0, 2.5],
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    merged, rejects = merge_duplicates(table, tolerance=2)
    assert merged["formula"].tolist() == ["NaCl", "MgO"]
    assert merged["target"].tolist() == [2.5, 7]
    assert merged.index.tolist() == [10, 14]
    assert rejects["row"].tolist() == [11, 13]
    assert set(rejects["reason"]) == {"2 rows of this composition say 100 to 200"}
    all_kept, none = merge_duplicates(table, tolerance=100)
    assert len(all_kept) == 3
    assert none.empty
    assert merge_duplicates(all_kept, tolerance=0)[0].equals(all_kept)


def test_groups_by_hand():
    formulas = pd.Series(["Fe2O3", "O6Fe4", "Fe3O4", "NaCl", "FeO"])
    first, again, other, salt, third = group_rows(formulas)
    assert first == again
    assert len({first, other, salt, third}) == 4
    systems = group_rows(formulas, "system")
    assert len(set(systems[[0, 1, 2, 4]])) == 1
    assert systems[3] != systems[0]
    with pytest.raises(ValueError, match="'composition' or 'system', not 'cluster'"):
        group_rows(formulas, "cluster")


def test_chemical_systems_stay_together():
    full = load_benchmark("mp_bulk_modulus")
    table = pd.concat([full.train, full.val])
    task = make_task(table, "mine", group="system")
    parts = [
        {
            tuple(sorted(set(row)))
            for row in encode(part["formula"]).atomic_numbers.tolist()
        }
        for part in (task.train, task.val, task.test)
    ]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert sum(map(len, (task.train, task.val, task.test))) == len(table)
    assert len(task.test) == pytest.approx(0.1 * len(table), rel=0.15)
    loose = make_task(table, "mine")
    assert loose.data_hash != task.data_hash


def test_tables_put_together_lose_no_row():
    """Two tables below each other have each label twice."""
    first = pd.DataFrame({"formula": ["NaCl", "Xy"], "target": [1.0, 2.0]})
    second = pd.DataFrame({"formula": ["NaCl", "LiF"], "target": [9.0, 2.0]})
    good, bad = check_rows(pd.concat([first, second]), target="target")
    assert good["formula"].tolist() == ["NaCl", "NaCl", "LiF"]
    assert bad[["row", "formula"]].to_numpy().tolist() == [[1, "Xy"]]
    merged, differ = merge_duplicates(good, 1)
    assert merged["formula"].tolist() == ["LiF"]
    assert differ["formula"].tolist() == ["NaCl", "NaCl"]
    assert differ["reason"].tolist() == ["2 rows of this composition say 1 to 9"] * 2


def test_classes_as_spreadsheets_write_them():
    targets = ["TRUE", "false", "True", "FALSE", "1", "0", "", "yes"]
    table = pd.DataFrame({"formula": FORMULAS[:8], "target": targets})
    good, bad = check_rows(table, target="target", classes=True)
    assert good["target"].tolist() == [1, 0, 1, 0, 1, 0]
    assert bad["row"].tolist() == [6, 7]
    good, _ = check_rows(
        table.assign(target=[True, False] * 4), "formula", "target", True
    )
    assert good["target"].tolist() == [1, 0] * 4


def test_an_empty_cell_of_a_single_column_is_a_row(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("formula\nFe2O3\n\nNaCl\n")
    table = read_formulas(path)
    assert table["formula"].tolist() == ["Fe2O3", "", "NaCl"]
    assert check_rows(table)[1]["row"].tolist() == [1]
    path.write_text("formula,target\nFe2O3,1\n\n\n")  # here it is no row
    assert len(read_formulas(path)) == 1


def test_rows_of_no_part_are_not_lost_when_duplicates_are_merged():
    table = pd.DataFrame({"formula": ["NaCl", "KCl", "ClNa", "LiF"], "target": 1.0})
    table["split"] = ["train", None, None, None]
    merged, rejects = merge_duplicates(table, 0)
    assert merged["formula"].tolist() == table["formula"].tolist()
    assert merged["target"].tolist() == [1.0] * 4
    assert rejects.empty


def test_columns_that_are_not_there_and_tolerances_that_are_none():
    table = pd.DataFrame({"composition": ["NaCl"], "target": [1.0]})
    for work in (
        lambda: check_rows(table),
        lambda: merge_duplicates(table, 0),
        lambda: make_task(table, "own"),
    ):
        with pytest.raises(ValueError, match="no column 'formula'; there are: compos"):
            work()
    for tolerance in (-1, float("nan")):
        with pytest.raises(ValueError, match="must be 0 or more"):
            merge_duplicates(table, tolerance, "composition")


def test_a_mean_of_two_classes_is_no_class():
    table = frame(4).assign(target=[0, 0.5, 1, 1])
    table["split"] = ["train", "train", "val", "val"]
    with pytest.raises(ValueError, match="train split of own needs targets 0 and 1"):
        make_task(table, "own", metric="rocauc")
