"""A user's CSV: nothing is lost, every bad row has its reason."""

import numpy as np
import pandas as pd
import pytest

from lgdcnn_lib.tables import check_rows, make_task, read_formulas

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
     ("formula,y\n", "no rows")],
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
