"""What a chapter must have: the rules of CONTRIBUTING.md, as code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from notebooks import Cell, Notebook, read, setup_cell, source

MAX_LINES, MAX_COLUMNS = 25, 88
HEADINGS = (
    "## What you will learn",
    "## What you need",
    "## What can go wrong",
    "## Exercises",
    "## Recap",
    "## References",
)
TIME = re.compile(
    r"\*\*Time:\*\* ([\d.]+) min on two CPU cores, ([\d.]+) min on a Colab GPU\. "
    r"\*\*Difficulty:\*\* (●○○|●●○|●●●)"
)
DRAWING_METHODS = {
    "bar", "barh", "boxplot", "contour", "contourf", "errorbar", "fill_between",
    "hexbin", "hist", "imshow", "matshow", "pcolormesh", "plot", "scatter",
    "subplots", "violinplot",
}  # fmt: skip


def problems(path: Path) -> list[str]:
    """Everything in which the notebook departs from the anatomy, one line each."""
    notebook = read(path)
    rules = (_order, _opening, _setup, _clean, _sizes, _figures, _exercises)
    return [f"{path.name}: {line}" for rule in rules for line in rule(notebook)]


def _prose(notebook: Notebook) -> str:
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return "\n".join(source(cell) for cell in cells)


def _code(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _tags(cell: Cell) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def _order(notebook: Notebook) -> Iterator[str]:
    lines = _prose(notebook).splitlines()
    found = [line.strip() for line in lines if line.strip() in HEADINGS]
    for heading in HEADINGS:
        if found.count(heading) != 1:
            yield f"needs the heading '{heading}' once, has it {found.count(heading)} ×"
    if set(found) == set(HEADINGS) and found != list(HEADINGS):
        yield "has its headings in another order: " + ", ".join(found)


def _opening(notebook: Notebook) -> Iterator[str]:
    first = source(notebook["cells"][0])
    if not first.startswith("# "):
        yield "does not begin with '# Title'"
    if "> **Question.**" not in first:
        yield "asks no '> **Question.** …' under its title"
    text = _prose(notebook)
    if not TIME.search(text):
        yield "states no '**Time:** … **Difficulty:** ●○○' in the form of the rules"
    learn = text.partition(HEADINGS[0])[2].partition("\n## ")[0]
    bullets = len(re.findall(r"^[-*] ", learn, re.MULTILINE))
    if not 3 <= bullets <= 5:
        yield f"lists {bullets} things to learn, not 3 to 5"


def _setup(notebook: Notebook) -> Iterator[str]:
    cells = [cell for cell in _code(notebook) if "setup" in _tags(cell)]
    if len(cells) != 1:
        yield f"has {len(cells)} cells tagged 'setup', not one"
    elif cells[0] is not _code(notebook)[0]:
        yield "runs code before the set-up cell"
    elif source(cells[0]).strip() != setup_cell():
        yield "has another set-up cell: run 'python tools/notebooks.py setup'"


def _clean(notebook: Notebook) -> Iterator[str]:
    for number, cell in enumerate(notebook["cells"]):
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"cell {number} has outputs"
        if not source(cell).strip():
            yield f"cell {number} is empty"


def _sizes(notebook: Notebook) -> Iterator[str]:
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        lines = source(cell).splitlines()
        if len(lines) > MAX_LINES:
            yield f"cell {number} has {len(lines)} lines, over {MAX_LINES}"
        if any(len(line) > MAX_COLUMNS for line in lines):
            yield f"cell {number} is wider than {MAX_COLUMNS} columns"


def _figures(notebook: Notebook) -> Iterator[str]:
    figures = _figure_functions(notebook)
    names: list[str] = []
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        mystnb = cell["metadata"].get("mystnb", {})
        alt = mystnb.get("image", {}).get("alt", "")
        figure = mystnb.get("figure", {})
        names += [figure["name"]] if "name" in figure else []
        if not (_draws(source(cell), figures) or mystnb):
            continue
        if len(alt.split()) < 4:
            yield f"cell {number} draws, but its alt text says nothing: '{alt}'"
        if not (figure.get("caption") and figure.get("name")):
            yield f"cell {number} draws a figure without caption or name"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"has two figures named {name}"


def _figure_functions(notebook: Notebook) -> set[str]:
    """Names that the chapter imports from the modules that draw."""
    found: set[str] = set()
    for cell in _code(notebook):
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.ImportFrom) and node.module in (
                "lgdcnn_lib.plotting",
                "lgdcnn_lib.widgets",
            ):
                found |= {alias.asname or alias.name for alias in node.names}
    return {name for name in found if name.islower()} - {"use_style"}


def _draws(code: str, figures: set[str]) -> bool:
    """Whether running the cell itself (not a function it defines) draws."""
    todo: list[ast.AST] = [ast.parse(code)]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in figures:
                return True
            if isinstance(called, ast.Attribute) and (
                called.attr in DRAWING_METHODS
                or ast.unparse(called.value) == "plotting"
            ):
                return True
        todo.extend(ast.iter_child_nodes(node))
    return False


def _exercises(notebook: Notebook) -> Iterator[str]:
    text = _prose(notebook)
    labels = re.findall(r"^:{3,}\{exercise\}[^\n]+\n:label: (ex-\S+)$", text, re.M)
    if len(labels) < 3:
        yield f"has {len(labels)} exercises with a title and a label, fewer than 3"
    parts = ("checker", "starter", "solution")
    cells = [cell for cell in _code(notebook) if set(parts) & set(_tags(cell))]
    order = [part for cell in cells for part in parts if part in _tags(cell)]
    if order != list(parts) * len(labels):
        yield f"does not follow each exercise by {parts}: {order}"
    for cell in cells:
        yield from _exercise_cell(source(cell), _tags(cell))


def _exercise_cell(code: str, tags: list[str]) -> Iterator[str]:
    last = ast.unparse(ast.parse(code).body[-1]).replace("\n", " ")
    if "checker" in tags:
        if "def check_" not in code or "hide-input" not in tags:
            yield "has a checker without 'def check_…' or the tag hide-input"
    elif "starter" in tags:
        if not re.match(r"check_\w+\(.*\)", last):
            yield f"has a starter that ends in '{last}', not in check_…(…)"
    elif not re.match(r"assert check_\w+\(.*\)", last) or "hide-cell" not in tags:
        yield f"has a solution that ends in '{last}', or is not tagged hide-cell"
