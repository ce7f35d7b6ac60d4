"""The public repository's workflows run what one can run at home."""

import re

import pytest
import yaml

from notebooks import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.M))


def commands(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_step_can_be_called_locally(path):
    assert commands(path)
    for command in commands(path):
        target = re.fullmatch(r"make ([a-z-]+)", command)
        plain = command in ("bash .ci/run", "touch _build/html/.nojekyll")
        assert plain or (target and target.group(1) in TARGETS), command


def test_ci_runs_targets_that_exist():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    found = re.findall(r"make ([a-z-]+)", script)
    assert {"test", "colab-check"} <= set(found) <= TARGETS


def test_every_target_is_phony_or_a_file():
    phony = set(re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.M).group(1).split())
    assert phony >= TARGETS
