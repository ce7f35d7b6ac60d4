"""How a number was made: commit, date, hardware, versions, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import torch

import lgdcnn_lib


def provenance() -> dict[str, str]:
    """Commit, date, hardware, versions and command of this process.

    The hardware is the best that torch sees, not what a training was told to use.

    In an exported tree, which has no repository, set ``$GIT_COMMIT``.
    """
    return {
        "commit": os.environ.get("GIT_COMMIT") or _commit(),
        "date": date.today().isoformat(),
        "hardware": _hardware(),
        "versions": (
            f"lgdcnn_lib {lgdcnn_lib.__version__}, torch {torch.__version__}, "
            f"numpy {np.__version__}, python {platform.python_version()}"
        ),
        "command": " ".join([*_launcher(), Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _launcher() -> list[str]:
    """What started this process and others, to train together."""
    together = os.environ.get("LOCAL_WORLD_SIZE")
    return ["torchrun", "--nproc-per-node", together] if together else []


@cache
def _commit() -> str:
    """Look up the commit once: a process keeps the code that it started with."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return "unknown"
    return found.stdout.strip() or "unknown"


def start_process() -> None:
    """Note the commit, and use one thread; on a GPU, multiply in TF32 (rows say so)."""
    _commit()
    torch.set_num_threads(1)
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")


def _hardware() -> str:
    threads = f"{torch.get_num_threads()} thread(s)"
    if _launcher():  # their seconds are not those of one process
        threads = f"{_launcher()[-1]} processes of {threads}"
    if torch.backends.mps.is_available():
        return f"mps, {_processor()}"
    if not torch.cuda.is_available():
        return f"cpu, {threads}, {_processor()}"
    precision = torch.get_float32_matmul_precision()
    return f"cuda, {torch.cuda.get_device_name()}, float32 products: {precision}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
