"""The appendix that compares: each entry in Python runs, and is true if it claims."""

import re

import numpy as np
import pytest

from lgdcnn_lib.benchmarks import BENCHMARKS
from lgdcnn_lib.cecv import count_environments
from lgdcnn_lib.composition import encode
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.recipe import TrainConfig
from notebooks import ROOT

PAGE = ROOT / "book" / "appendix" / "paper_against_code.md"
NAMES = {
    "ModelConfig": ModelConfig,
    "TrainConfig": TrainConfig,
    "build_model": build_model,
    "count_environments": count_environments,
    "encode": encode,
    "matrices": [np.eye(3), np.eye(4)],
}


def rows():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        re.split(r"(?<!\\)\|", line.strip("|")) for line in lines if line[:2] == "| "
    ]
    return [
        [cell.strip() for cell in row] for row in cells if row[0].strip() != "published"
    ]


ROWS = rows()


def test_every_row_says_three_things():
    assert len(ROWS) > 15
    for row in ROWS:
        assert len(row) == 3, row
        assert all(row), row


@pytest.mark.parametrize("code", sorted({row[2] for row in ROWS} - {"not offered"}))
def test_the_entry_runs_and_is_true(code):
    assert re.fullmatch(r"`[^`]+`", code)
    found = eval(code.strip("`"), dict(NAMES))
    assert isinstance(found, bool) is ("==" in code or "average_dup" in code)
    if isinstance(found, bool):
        assert found


def test_every_regression_task_has_published_errors():
    tasks = [task for task in BENCHMARKS.values() if task.metric == "mae"]
    assert len(tasks) == 28
    assert all(task.published for task in tasks)


def test_the_defaults_are_not_the_published_ones():
    ours, paper = ModelConfig(), ModelConfig.paper()
    for name in ("d", "encoding", "padding", "order"):
        assert getattr(ours, name) != getattr(paper, name)
    assert TrainConfig() != TrainConfig.paper()
