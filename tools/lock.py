"""Pin ``requirements.in``, and all that it needs, in ``requirements.lock``.

The pins hold on every platform from Python 3.10 on (``uv pip compile --universal``).
Pins that exist stay, unless ``--upgrade`` is given. The CUDA packages, which some
builds of torch ask for on Linux, are left out: pip adds them where they are needed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = """\
# Made by `make lock` from requirements.in; do not edit. One lock for all platforms:
#   uv pip compile --universal --python-version 3.10, without nvidia, cuda and triton.
# Install with: pip install -r requirements.lock
"""


def main() -> int:
    """Compile, drop the CUDA packages, and write the header."""
    install = [sys.executable, "-m", "pip", "install", "-q", "uv"]
    subprocess.run(install, check=True)
    options = ["--universal", "--python-version", "3.10", "--no-header"]
    command = ["requirements.in", "-o", LOCK.name, "--no-annotate", "-q"]
    compile_ = [sys.executable, "-m", "uv", "pip", "compile", *options, *command]
    subprocess.run([*compile_, *sys.argv[1:]], cwd=ROOT, check=True)
    pins = LOCK.read_text(encoding="utf-8").splitlines()
    kept = [pin for pin in pins if not re.match(r"#|nvidia|cuda|triton", pin)]
    LOCK.write_text(HEADER + "\n".join(kept) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
