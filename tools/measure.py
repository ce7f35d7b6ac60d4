"""What a benchmark is made of: a line of its table, clocks, threads, memory."""

from __future__ import annotations

import dataclasses
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    what, unit : str
    values : list of float
        One a run.
    model : str
    d, batch, threads : int or None
    gflop : float or None
        Useful work for a compound, in 1e9 operations.
    share : float or None
        Per cent of the machine's speed in matrix products.
    at_most, at_least : float or None
        The limit.
    """

    what: str
    unit: str
    values: list[float]
    model: str = ""
    d: int | None = None
    batch: int | None = None
    threads: int = 1
    gflop: float | None = None
    share: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return statistics.median(self.values)

    @property
    def limit(self) -> str:
        """The limit as text; empty where there is none."""
        if self.at_most is not None:
            return f"<= {_text(self.at_most)}"
        return "" if self.at_least is None else f">= {_text(self.at_least)}"

    @property
    def broken(self) -> bool:
        """Whether the median breaks the limit."""
        above = self.at_most is not None and self.median > self.at_most
        return above or (self.at_least is not None and self.median < self.at_least)

    def record(self) -> dict[str, str]:
        """The row as text, for the table and the file."""
        facts = {
            "what": self.what,
            "model": self.model,
            "d": self.d,
            "batch": self.batch,
            "threads": self.threads,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "unit": self.unit,
            "runs": len(self.values),
            "gflop": self.gflop,
            "share": self.share,
            "limit": self.limit,
            "met": "" if not self.limit else "no" if self.broken else "yes",
        }
        return {key: _text(value) for key, value in facts.items()}


WIDTHS = {
    "what": -38,
    "model": -11,
    "d": 4,
    "batch": 5,
    "threads": 7,
    "median": 7,
    "min": 7,
    "max": 7,
    "unit": -11,
    "runs": 4,
    "gflop": 7,
    "share": 5,
    "limit": -8,
    "met": -3,
}


def line(record: dict[str, str]) -> str:
    """One line of the printed table."""
    cells = (
        record[key].rjust(width) if width > 0 else record[key].ljust(-width)
        for key, width in WIDTHS.items()
    )
    return "  ".join(cells).rstrip()


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def product_speed(d: int) -> float:
    """GFLOP/s of 1024 x d @ d x d in float32, over a twentieth of a second or less."""
    rows, weights, out = torch.randn(1024, d), torch.randn(d, d), torch.empty(1024, d)
    flop = 2 * 1024 * d * d
    repeats = min(200, 1 + int(8e9 / flop))

    def multiply() -> None:
        for _ in range(repeats):
            torch.mm(rows, weights, out=out)

    torch.mm(rows, weights, out=out)
    return repeats * flop / seconds(multiply) / 1e9


def peak_memory() -> float:
    """Most memory that this process has held so far, in MB (1e6 bytes); on Linux.

    Not ``ru_maxrss``: a new process inherits the peak of the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None, "no VmHWM in /proc/self/status"
    return 1024 * int(found[1]) / 1e6


def in_fresh_process(work: Callable[..., Any], *args: Any) -> Any:
    """Call ``work(*args)`` where nothing has been imported or held before."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args).result()
