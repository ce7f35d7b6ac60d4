"""What the chapters say of themselves, and how the book arranges them.

Titles, questions, times and difficulties are read from the notebooks, their order from
``_toc.yml``. What no notebook says (reading paths, weeks of a course, which chapter
derives which object) stands in ``book/contents.yml``, by the number of the chapter, so
a chapter that is not written yet may be named there: it appears when it exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from anatomy import TIME
from notebooks import ROOT, Notebook, read, source


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    Attributes
    ----------
    number
        Number in the name of its file.
    name
        Path below the project's root, without its ending.
    part, title, question
    cpu, gpu
        Stated minutes on two CPU cores, and on a Colab GPU.
    difficulty
        ``"●○○"`` to ``"●●●"``.
    """

    number: int
    name: str
    part: str
    title: str
    question: str
    cpu: float
    gpu: float
    difficulty: str

    @property
    def link(self) -> str:
        """A Markdown link to it, from any page."""
        return f"[{self.title}](/{self.name}.ipynb)"

    @property
    def notebook(self) -> Notebook:
        """The notebook, as plain data."""
        return read(ROOT / f"{self.name}.ipynb")


def table_of_contents() -> Iterator[tuple[str, str]]:
    """Caption of the part and name of each page below the front page, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        for entry in part["chapters"]:
            yield part["caption"], entry["file"]
            for section in entry.get("sections", []):
                yield part["caption"], section["file"]


def chapters() -> list[Chapter]:
    """The chapters in the order of the book; the appendix holds none."""
    pages = table_of_contents()
    return [
        _chapter(part, name)
        for part, name in pages
        if (ROOT / f"{name}.ipynb").exists() and not name.startswith("book/appendix/")
    ]


def arrangement() -> dict[str, Any]:
    """What ``book/contents.yml`` says."""
    text = (ROOT / "book" / "contents.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@cache
def _chapter(part: str, name: str) -> Chapter:
    notebook = read(ROOT / f"{name}.ipynb")
    cells = [source(c) for c in notebook["cells"] if c["cell_type"] == "markdown"]
    time = TIME.search("\n".join(cells))
    if time is None:
        raise ValueError(f"{name} states no time and difficulty in the usual form")
    title = cells[0].splitlines()[0].removeprefix("# ").strip()
    question = cells[0].partition("> **Question.**")[2].strip()
    return Chapter(
        number=int(name.rpartition("/")[2][:2]),
        name=name,
        part=part,
        title=title,
        question=" ".join(question.split()),
        cpu=float(time.group(1)),
        gpu=float(time.group(2)),
        difficulty=time.group(3),
    )
