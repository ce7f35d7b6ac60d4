"""Run the chapters that need it, several at a time, and keep what they print and draw.

The results go into the cache that the book is built from (``_build/.jupyter_cache``).
A chapter runs again when its code, a module of the library that it needs, or a file
under ``data/`` has changed. A chapter that fails shows its traceback, and the exit
status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import resource
import sys
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from traceback import format_exc
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution

import imports
from notebooks import ROOT, chapters

CACHE = ROOT / "_build" / ".jupyter_cache"
DOCTREES = ROOT / "_build" / ".doctrees"
MADE = {"__pycache__", "retrained"}  # folders of data/ that follow from the rest


def timeout() -> int:
    """Seconds that one cell may take, as the book's settings say; -1 for no limit.

    In FULL mode a cell may train nine networks.
    """
    if os.environ.get("LGDCNN_FULL") == "1":
        return -1
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return int(config["execute"]["timeout"])


@cache
def _data_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "data").rglob("*")):
        if path.is_file() and not MADE.intersection(path.parts):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def inputs_digest(notebook: nbformat.NotebookNode) -> str:
    """A digest of all that the results depend on, beside the notebook itself."""
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    digest = hashlib.sha256(_data_digest().encode())
    for name in ("__init__", *sorted(imports.needed("\n".join(cells)))):
        digest.update((imports.LIBRARY / f"{name}.py").read_bytes())
    digest.update(os.environ.get("LGDCNN_FULL", "").encode())
    return digest.hexdigest()


def is_fresh(cached: Any, notebook: nbformat.NotebookNode) -> bool:
    """Whether the cache holds this notebook, run with the present library and data."""
    try:
        record = cached.match_cache_notebook(notebook)
    except KeyError:
        return False
    return bool(record.data.get("inputs") == inputs_digest(notebook))


def stated_minutes(notebook: nbformat.NotebookNode) -> float:
    """The time that a chapter states for two CPU cores; 0 when it states none."""
    text = "\n".join(cell.source for cell in notebook.cells)
    match = re.search(r"\*\*Time:\*\* ([\d.]+) min on two CPU cores", text)
    return float(match.group(1)) if match else 0.0


def run_cells(path: Path, again: bool = True) -> ExecutionResult:
    """Run a chapter in a kernel of its own; a kernel that dies gets one more try.

    Two kernels that start at the same moment may take the same port.
    """
    try:
        return single_nb_execution(
            nbformat.read(path, as_version=4),
            cwd=str(path.parent),
            timeout=timeout(),
            allow_errors=False,
            extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        )
    except RuntimeError as error:
        if not again:
            raise
        print(f"once more: {path.name}, {error}", file=sys.stderr, flush=True)
        return run_cells(path, again=False)


def _run(path: Path) -> tuple[Path, nbformat.NotebookNode, dict[str, float], str]:
    try:
        result = run_cells(path)
    except RuntimeError:  # its kernel died twice
        nothing = {"execution_seconds": 0.0, "peak_memory_mb": 0.0}
        return path, nbformat.read(path, as_version=4), nothing, format_exc()
    # The kernel was this process's only child.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    cost = {"execution_seconds": result.time, "peak_memory_mb": peak * unit / 2**20}
    return path, result.nb, cost, result.exc_string or ""


def execute(paths: list[Path], workers: int) -> list[Path]:
    """Run what is not fresh, longest first; return the chapters that failed."""
    cached = get_cache(str(CACHE))
    books = {path: nbformat.read(path, as_version=4) for path in paths}
    stale = [path for path in paths if not is_fresh(cached, books[path])]
    stale.sort(key=lambda path: -stated_minutes(books[path]))
    inputs = {path: inputs_digest(books[path]) for path in stale}
    print(f"{len(paths)} chapters, {len(stale)} of them to run", flush=True)
    failed = []
    with Pool(workers, maxtasksperchild=1) as pool:
        for path, notebook, cost, traceback in pool.imap_unordered(_run, stale):
            name = path.relative_to(ROOT)
            spent = "{execution_seconds:.0f} s, {peak_memory_mb:.0f} MB".format(**cost)
            if traceback:
                failed.append(path)
                print(f"FAILED {name} after {spent}\n{traceback}", flush=True)
                continue
            print(f"ran {name} in {spent}", flush=True)
            data = {**cost, "inputs": inputs[path]}
            bundle = CacheBundleIn(notebook, str(path), data=data)
            cached.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            # Sphinx looks at the notebook's date only: make it read the new results.
            (DOCTREES / name).with_suffix(".doctree").unlink(missing_ok=True)
    return failed


def main() -> int:
    """Run the chapters named, or all."""
    parser = argparse.ArgumentParser(description="Run the chapters that need it.")
    parser.add_argument("notebooks", type=Path, nargs="*")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 4))
    args = parser.parse_args()
    # One thread each: more threads than cores make every chapter slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = [path.resolve() for path in args.notebooks] or chapters()
    failed = execute(paths, args.workers)
    for path in failed:
        print(f"FAILED {path.relative_to(ROOT)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
