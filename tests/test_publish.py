"""One address of the repository, in one place, and everywhere the same."""

import re
import shutil
import subprocess
import sys

import pytest

import notebooks
import publish
from notebooks import ROOT

NEW = "https://github.com/some-school/materials-book"
CHAPTER = "book/1_foundations/01_property_from_formula.ipynb"
TEXT = (
    "*.md",
    "*.yml",
    "*.cff",
    "*.toml",
    "book/**/*.md",
    "book/*.yml",
    ".github/**/*",
)


@pytest.fixture
def copy(tmp_path):
    """What of the project knows the address."""
    for name in (*publish.COPIES, "_config.yml", "lgdcnn_lib/__init__.py", CHAPTER):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, "tools/publish.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def owners(text):
    """Owners and names in all addresses of GitHub, its pages and Colab's notebooks."""
    found = re.findall(r"github\.com/([\w.-]+/[\w.-]+)", text)
    found += re.findall(r"google\.com/github/([\w.-]+/[\w.-]+)/", text)
    found += ["/".join(m) for m in re.findall(r"//([\w-]+)\.github\.io/([\w-]+)", text)]
    return set(found)


def test_publishing_changes_every_address(copy):
    before = {path: path.read_text("utf-8") for path in copy.rglob("*.*")}
    done = run(copy, NEW + ".git/")
    assert done.returncode == 0, done.stdout
    changed = [path for path, text in before.items() if path.read_text("utf-8") != text]
    names = {path.relative_to(copy).as_posix() for path in changed}
    assert names == {*publish.COPIES, "_config.yml", CHAPTER}
    for path in changed:
        text = path.read_text("utf-8")
        assert "some-school/materials-book" in owners(text)
        assert not owners(text) & owners(notebooks.repository_url())
    assert "https://some-school.github.io/materials-book/" in done.stdout
    assert "&& cd materials-book\n" in (copy / "README.md").read_text("utf-8")


def test_publishing_twice_changes_nothing_more(copy):
    run(copy, NEW)
    assert "address written" not in run(copy, NEW).stdout


@pytest.mark.parametrize("url", ["", "ftp://github.com/a/b", "https://github.com/a"])
def test_publishing_refuses_what_is_no_repository(copy, url):
    before = (copy / "_config.yml").read_text("utf-8")
    done = run(copy, url)
    assert done.returncode == 2
    assert (copy / "_config.yml").read_text("utf-8") == before


def test_no_other_file_holds_an_address_of_the_repository():
    own = owners(notebooks.repository_url()) | owners(notebooks.site_url())
    known = {ROOT / name for name in (*publish.COPIES, "_config.yml")}
    texts = {path for pattern in TEXT for path in ROOT.glob(pattern) if path.is_file()}
    assert known <= texts
    for path in texts - known:
        assert not owners(path.read_text("utf-8")) & own, path


def test_files_with_the_address_hold_no_other_one_of_ours():
    own = owners(notebooks.repository_url())
    for name in ("README.md", "CITATION.cff"):
        assert owners((ROOT / name).read_text("utf-8")) == own, name
