"""Export the figures of the chapters as SVG and PNG, with their captions, for slides.

    python tools/figures.py [NAME …]     # all chapters, or those whose names hold NAME

``build/figures/<chapter>/<figure>.svg`` and ``.png``, and a ``captions.md`` each.
The site shows PNG only, so a chapter runs once more here, with both formats; it runs
again when its code, the library or the data have changed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from jupyter_cache.executors.utils import single_nb_execution

from execute import inputs_digest, timeout
from notebooks import ROOT, chapters

FIGURES = ROOT / "build" / "figures"
FORMATS = ("png", "svg")
ARGUMENTS = ["--IPKernelApp.log_level=40"] + [
    f"--InlineBackend.figure_formats={name}" for name in FORMATS
]


def export(path: Path, folder: Path) -> str:
    """Run a chapter and write its figures into a folder; return a traceback or ''."""
    notebook = nbformat.read(path, as_version=4)
    text = inputs_digest(notebook) + path.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    stamp = folder / ".inputs"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return ""
    result = single_nb_execution(
        notebook,
        cwd=str(path.parent),
        timeout=timeout(),
        allow_errors=False,
        extra_arguments=ARGUMENTS,
    )
    if result.exc_string:
        return str(result.exc_string)
    shutil.rmtree(folder, ignore_errors=True)
    write(result.nb, folder)
    stamp.write_text(digest, encoding="utf-8")
    return ""


def write(notebook: nbformat.NotebookNode, folder: Path) -> list[str]:
    """Write the figures of a chapter that has run; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names, lines = [], []
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if cell.cell_type != "code" or "name" not in figure:
            continue
        drawn = [o.data for o in cell.outputs if "image/png" in o.get("data", {})]
        for number, data in enumerate(drawn, start=1):
            name = figure["name"] + (f"-{number}" if number > 1 else "")
            png = base64.b64decode(data["image/png"])
            (folder / f"{name}.png").write_bytes(png)
            if "image/svg+xml" in data:
                svg = data["image/svg+xml"]
                (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
            names.append(name)
        if not drawn:
            continue  # a widget: its pictures are on the page only
        alt = cell.metadata["mystnb"].get("image", {}).get("alt", "")
        lines.append(f"**{figure['name']}.** {figure['caption']}\n\nSeen: {alt}\n")
    (folder / "captions.md").write_text("\n".join(lines), encoding="utf-8")
    return names


def main() -> int:
    """Export the figures of all chapters, several at a time."""
    parser = argparse.ArgumentParser(description="Figures for slides.")
    parser.add_argument("names", nargs="*", help="parts of the chapters' file names")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = [
        path
        for path in chapters()
        if not args.names or any(name in path.name for name in args.names)
    ]
    folders = [FIGURES / path.stem for path in paths]
    with ProcessPoolExecutor(args.workers) as pool:
        tracebacks = list(pool.map(export, paths, folders))
    for folder, traceback in zip(folders, tracebacks, strict=True):
        what = f"FAILED\n{traceback}" if traceback else len(list(folder.glob("*.svg")))
        print(f"{folder.relative_to(ROOT)}: {what}")
    return int(any(tracebacks))


if __name__ == "__main__":
    sys.exit(main())
