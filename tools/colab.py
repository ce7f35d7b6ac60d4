"""On Colab: install the library and what it lacks, and leave all else as it is.

Colab's torch, numpy, pandas and matplotlib fit its drivers and each other. So the
library goes in without its dependencies, and a dependency that is missing goes in under
the constraint that every package that is there keeps its version.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "lgdcnn-lib"


def pip(*arguments: str) -> None:
    """Run pip of this Python, quietly."""
    command = [sys.executable, "-m", "pip", "install", "-q", *arguments]
    subprocess.run(command, check=True)


def installed(name: str) -> bool:
    """Whether a distribution is there."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def missing() -> list[str]:
    """Return the library's requirements of which nothing is installed."""
    wanted = metadata.requires(PACKAGE) or []
    runtime = [line for line in wanted if "extra ==" not in line]
    names = {line: re.split(r"[<>=!~; \[]", line, maxsplit=1)[0] for line in runtime}
    return [line for line, name in names.items() if not installed(name)]


def main() -> None:
    """Install the library, then what it lacks."""
    if not installed(PACKAGE):
        pip("--no-deps", "-e", str(ROOT))
    wanted = missing()
    if not wanted:
        return
    pins = {dist.name: dist.version for dist in metadata.distributions()}
    with tempfile.TemporaryDirectory() as folder:
        keep = Path(folder) / "keep.txt"
        keep.write_text(
            "\n".join(f"{name}=={version}" for name, version in sorted(pins.items())),
            encoding="utf-8",
        )
        pip("-c", str(keep), *wanted)


if __name__ == "__main__":
    main()
