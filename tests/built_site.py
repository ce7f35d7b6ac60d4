"""The built site, as the tests of the book and of the browser see it."""

import os
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
IN_CI = os.environ.get("CI") == "true"


def lacking(what: str) -> None:
    """Say what cannot be tested: a failure in CI, a loud skip elsewhere."""
    if IN_CI:
        pytest.fail(what)
    pytest.skip(f"NOT TESTED: {what}")


def pages() -> list[str]:
    """The pages of the table of contents, as addresses below the site's root."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    for part in toc["parts"]:
        todo = list(part["chapters"])
        while todo:
            entry = todo.pop(0)
            files.append(entry["file"])
            todo = entry.get("sections", []) + todo
    return [f"{name}.html" for name in files]
