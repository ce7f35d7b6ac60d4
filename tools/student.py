"""Write the notebooks of a class, and check that they run.

    python tools/student.py student        # build/student, without solutions
    python tools/student.py instructor     # build/instructor, with them
    python tools/student.py check [NAME …] # run student notebooks to the first exercise

A student's notebook is the chapter without the cells tagged ``solution``, with an empty
cell after each starter. An instructor's notebook says before each solution which
exercise it answers; its code is the chapter's, so `tools/execute.py` need not run it
again where the book is built.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from jupyter_cache.executors.utils import single_nb_execution

from notebooks import BOOK, ROOT, Cell, Notebook, chapters, read, source, write

BUILD = ROOT / "build"
AIMS = {
    "Recall": "whether the chapter's definition can be used on a new case",
    "Modify": "whether the code is understood well enough to change one thing in it",
    "Extend": "whether a question can be turned into a measurement with a control",
}


def student(notebook: Notebook) -> Notebook:
    """The chapter without its solutions, and with room for answers."""
    result = copy.deepcopy(notebook)
    cells: list[Cell] = []
    for cell in result["cells"]:
        if "solution" in _tags(cell):
            continue
        cells.append(cell)
        if "starter" in _tags(cell):
            cells.append(_cell("code", "# Your answer", f"answer-{len(cells)}"))
    result["cells"] = cells
    return result


def instructor(notebook: Notebook) -> Notebook:
    """The chapter with a line before each solution: its exercise, and what it tests."""
    result = copy.deepcopy(notebook)
    cells: list[Cell] = []
    title = ""
    for cell in result["cells"]:
        found = re.search(r"^:{3,}\{exercise\} (.+)$", source(cell), re.MULTILINE)
        title = found.group(1) if found else title
        if "solution" in _tags(cell):
            aim = AIMS.get(title.partition(":")[0])
            text = f"**Solution.** {title}." + (f" It tests {aim}." if aim else "")
            cells.append(_cell("markdown", text, f"solution-{len(cells)}"))
        cells.append(cell)
    result["cells"] = cells
    return result


def _tags(cell: Cell) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def _cell(kind: str, text: str, name: str) -> Cell:
    cell: Cell = {"cell_type": kind, "id": name, "metadata": {}, "source": [text]}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def build(kind: str) -> list[Path]:
    """Write all notebooks of a kind anew; return where they are."""
    make: Callable[[Notebook], Notebook] = student if kind == "student" else instructor
    folder = BUILD / kind
    shutil.rmtree(folder, ignore_errors=True)
    written = []
    for path in chapters():
        written.append(folder / path.relative_to(BOOK))
        write(make(read(path)), written[-1])
    return written


def to_first_starter(notebook: Notebook) -> Notebook:
    """The notebook up to its first starter cell, which is the last."""
    tagged = [i for i, c in enumerate(notebook["cells"]) if "starter" in _tags(c)]
    return notebook | {"cells": notebook["cells"][: tagged[0] + 1]}


def run_to_first_starter(path: Path) -> str:
    """Run a student's notebook up to its first exercise; return a traceback or ''."""
    text = json.dumps(to_first_starter(read(path)))
    part = nbformat.reads(text, as_version=4)
    result = single_nb_execution(
        part, cwd=str(path.parent), timeout=1800, allow_errors=False
    )
    return result.exc_string or ""


def check(paths: list[Path], workers: int) -> int:
    """Run several up to their first exercise; return how many fail."""
    with ProcessPoolExecutor(workers) as pool:
        tracebacks = list(pool.map(run_to_first_starter, paths))
    for path, traceback in zip(paths, tracebacks, strict=True):
        print(f"{'FAILED' if traceback else 'ran'} {path.name}\n{traceback}".strip())
    return sum(map(bool, tracebacks))


def main() -> int:
    """Write or check the notebooks."""
    parser = argparse.ArgumentParser(description="Notebooks for a class.")
    parser.add_argument("command", choices=("student", "instructor", "check"))
    parser.add_argument("names", nargs="*", help="parts of file names (check only)")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if args.command == "check":
        paths = [
            path
            for path in build("student")
            if not args.names or any(name in path.name for name in args.names)
        ]
        return int(bool(check(paths, args.workers)))
    written = build(args.command)
    print(f"{len(written)} notebooks in {(BUILD / args.command).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
