"""The benchmark grid: tasks x folds x models x seeds, one row at once per finished run.

A run that has its row is never repeated, so a grid can be stopped and taken up at any
moment. Every row says how it was made; ``recipes.json`` spells out the recipes.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from lgdcnn_lib import parallel
from lgdcnn_lib.benchmarks import BENCHMARKS
from lgdcnn_lib.provenance import start_process
from lgdcnn_lib.runs import COLUMNS, KEY, RunSpec, run


def finished(path: Path) -> set[tuple[str, ...]]:
    """Return the keys of the runs that have their row in ``path``.

    Raises
    ------
    ValueError
        For a file of something else.
    """
    if _is_new(path):
        return set()
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not set(KEY) <= set(rows):
        raise ValueError(f"{path} holds no results: name another file")
    return set(rows[list(KEY)].itertuples(index=False, name=None))


def _is_new(path: Path) -> bool:
    return not path.exists() or not path.stat().st_size


def append(path: Path, row: dict[str, Any], spec: RunSpec) -> None:
    """Write a row at once, and its recipe; safe beside other processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recipes = path.parent / "recipes.json"
    with FileLock(path.parent / ".lock"):
        new = _is_new(path)
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        known = json.loads(recipes.read_text()) if recipes.exists() else {}
        if spec.recipe not in known:
            known[spec.recipe] = spec.settings
            recipes.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def save_predictions(folder: Path, spec: RunSpec, predictions: pd.DataFrame) -> None:
    """Keep a run's predictions in row order.

    Raises
    ------
    ValueError
        For a run on a subset: its predictions have no place among the others'.
    """
    if spec.n_train is not None:
        raise ValueError(f"predictions of n_train={spec.n_train} are not kept")
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(predictions, folder / f"{_name(spec)}.csv.xz", spec.task)


def _name(spec: RunSpec) -> str:
    """Name the files of a run."""
    return "-".join(part for part in spec.key if part)


def write_predictions(table: pd.DataFrame, path: Path, task: str) -> None:
    """Write with five digits; probabilities with eight, or their ranks would tie."""
    digits = 8 if BENCHMARKS[task].metric == "rocauc" else 5
    table.to_csv(path, index=False, float_format=f"%.{digits}g")


def run_grid(
    grid: Iterable[RunSpec],
    path: Path,
    test: bool = True,
    predictions: Path | None = None,
    jobs: int = 1,
    checkpoints: Path | None = None,
) -> int:
    """Run what has no row yet; one row in ``path`` per finished run.

    Several processes may share a grid, ``jobs`` of them started here: each takes the
    next run that nobody claimed. Those that joined under ``torchrun`` share each run
    (see `parallel`). A run that fails prints its error, and the others go on. One that
    is stopped goes on from its last epoch, if ``checkpoints`` names a folder.

    Returns
    -------
    int
        Number of runs that failed.
    """
    return len(_failures(list(grid), path, test, predictions, jobs, checkpoints))


def _failures(
    grid: list[RunSpec],
    path: Path,
    test: bool,
    predictions: Path | None,
    jobs: int,
    checkpoints: Path | None,
) -> set[tuple[str, ...]]:
    """Keys of the runs that failed; of several processes, each may have tried one."""
    if jobs > 1:
        # Spawned, not forked: a forked process cannot use a GPU.
        context = multiprocessing.get_context("spawn")
        arguments = [(grid, path, test, predictions, 1, checkpoints)] * jobs
        with context.Pool(jobs, start_process) as pool:
            return set().union(*pool.starmap(_failures, arguments, chunksize=1))
    failed = set()
    for spec in grid:
        with _claim(path, spec) as mine:
            try:
                if mine:
                    _finish(spec, path, test, predictions, checkpoints)
            except Exception:
                failed.add(spec.key)
                print(f"FAILED {spec.key}\n{traceback.format_exc()}", file=sys.stderr)
    return failed


@contextmanager
def _claim(path: Path, spec: RunSpec) -> Iterator[bool]:
    """Whether a run is ours: it has no row, and no other process is at it.

    Of processes that train together, the first decides.
    """
    lock = FileLock(path.parent / ".claims" / (_name(spec) + path.stem))
    mine = False
    if not parallel.rank() and spec.key not in finished(path):
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
            mine = spec.key not in finished(path)
        except Timeout:  # another process is at it
            pass
    try:
        yield parallel.agree(mine)
    finally:
        lock.release()


def _finish(
    spec: RunSpec,
    path: Path,
    test: bool,
    predictions: Path | None,
    checkpoints: Path | None,
) -> None:
    """Run to the end and write what came out."""
    checkpoint = None
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
        checkpoint = checkpoints / f"{_name(spec)}.safetensors"
    row, predicted = run(spec, test, checkpoint)
    if parallel.rank():
        return  # the first process writes for all
    if predictions is not None:
        save_predictions(predictions, spec, predicted)
    append(path, row, spec)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)  # a baseline writes none
