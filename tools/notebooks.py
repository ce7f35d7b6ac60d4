"""Write, read and check the book's notebooks.

Chapters are committed as ``.ipynb`` without outputs; they are easier to write as
text. Commands::

    python tools/notebooks.py from-md draft.md book/1_foundations/01_name.ipynb
    python tools/notebooks.py to-md book/1_foundations/01_name.ipynb draft.md
    python tools/notebooks.py setup            # rewrite the set-up cell everywhere
    python tools/notebooks.py check [NOTEBOOK ...]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
FENCE = re.compile(r"^(`{3,})\{code-cell\}[ \w]*$")
OPTION = re.compile(r"^:(tags|alt|caption|name):\s*(.*)$")
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}

Notebook = dict[str, Any]
Cell = dict[str, Any]


def chapters() -> list[Path]:
    """All notebooks of the book, in order."""
    found = BOOK.rglob("*.ipynb")
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def repository_url() -> str:
    """The address of the public repository; it stands in ``_config.yml`` only."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return str(config["repository"]["url"])


def site_url() -> str:
    """Where GitHub Pages serves the built site of that repository."""
    owner, name = repository_url().split("/")[-2:]
    return f"https://{owner}.github.io/{name}/"


def release_tag() -> str:
    """The tag that Colab clones: ``v`` and the version of the library."""
    text = (ROOT / "lgdcnn_lib" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if match is None:
        raise ValueError("lgdcnn_lib/__init__.py has no __version__")
    return f"v{match.group(1)}"


def setup_cell() -> str:
    """The one text of the set-up cell, from ``tools/setup_cell.py``."""
    text = (ROOT / "tools" / "setup_cell.py").read_text(encoding="utf-8").strip()
    text = text.replace("@TAG@", release_tag())
    return text.replace("@REPOSITORY@", repository_url())


def source(cell: Cell) -> str:
    """The text of a cell, whichever way the file stores it."""
    return "".join(cell["source"])


def read(path: Path) -> Notebook:
    """A notebook as plain data."""
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def write(notebook: Notebook, path: Path) -> None:
    """Write a notebook the way Jupyter does."""
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


# From text to notebook --------------------------------------------------------


def markdown_to_notebook(text: str) -> Notebook:
    """Turn a MyST-like text into a notebook.

    Code cells are fenced as ```` ```{code-cell} ````, with options in their first
    lines: ``:tags: [a, b]``, ``:alt:``, ``:caption:``, ``:name:`` (a long value goes
    on in indented lines). A new Markdown cell starts at ``+++``, at each ``## ``
    heading and at each ``{exercise}``. A code cell tagged ``setup`` gets the
    canonical set-up cell, whatever is in it.
    """
    cells: list[Cell] = []
    prose: list[str] = []
    lines = iter(text.splitlines())
    in_fence = ""

    def flush() -> None:
        body = "\n".join(prose).strip("\n")
        if body.strip():
            cells.append(_cell("markdown", body, {}))
        prose.clear()

    for line in lines:
        opening = FENCE.match(line)
        if opening and not in_fence:
            flush()
            cells.append(_code_cell(_until(lines, opening.group(1))))
            continue
        if in_fence:
            in_fence = "" if line.strip() == in_fence else in_fence
        elif line.startswith("```"):
            in_fence = line[: len(line) - len(line.lstrip("`"))]
        elif line.strip() == "+++":
            flush()
            continue
        elif line.startswith("## ") or re.match(r"^:{3,}\{exercise\}", line):
            flush()
        prose.append(line)
    flush()
    return {
        "cells": _with_ids(cells),
        "metadata": METADATA,
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _until(lines: Any, fence: str) -> list[str]:
    body: list[str] = []
    for line in lines:
        if line.strip() == fence:
            return body
        body.append(line)
    raise ValueError(f"a code cell is never closed; it begins {body[:3]}")


def _code_cell(body: list[str]) -> Cell:
    options: dict[str, str] = {}
    key, taken = "", 0
    for line in body:
        match = OPTION.match(line)
        if match:
            key = match.group(1)
            options[key] = match.group(2).strip()
        elif key and line.startswith("  ") and line.strip():
            options[key] += " " + line.strip()
        else:
            break
        taken += 1
    code = "\n".join(body[taken:]).strip("\n")
    metadata: dict[str, Any] = {}
    tags = [tag.strip() for tag in options.get("tags", "").strip("[]").split(",")]
    if tags := [tag for tag in tags if tag]:
        metadata["tags"] = tags
    mystnb: dict[str, Any] = {}
    if "alt" in options:
        mystnb["image"] = {"alt": options["alt"]}
    if "caption" in options:
        mystnb["figure"] = {"caption": options["caption"]}
        if "name" in options:
            mystnb["figure"]["name"] = options["name"]
    if mystnb:
        metadata["mystnb"] = mystnb
    return _cell("code", setup_cell() if "setup" in tags else code, metadata)


def _cell(kind: str, text: str, metadata: dict[str, Any]) -> Cell:
    cell: Cell = {
        "cell_type": kind,
        "metadata": metadata,
        "source": text.splitlines(keepends=True),
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def _with_ids(cells: list[Cell]) -> list[Cell]:
    """Give each cell an id made of its text, so that a rewrite is a small diff."""
    seen: dict[str, int] = {}
    for cell in cells:
        name = hashlib.sha256((cell["cell_type"] + source(cell)).encode()).hexdigest()
        seen[name[:10]] = number = seen.get(name[:10], 0) + 1
        cell["id"] = name[:10] if number == 1 else f"{name[:10]}-{number}"
    return cells


# From notebook to text --------------------------------------------------------


def notebook_to_markdown(notebook: Notebook) -> str:
    """The text that `markdown_to_notebook` turns into this notebook."""
    parts: list[str] = []
    after_prose = False
    for cell in notebook["cells"]:
        text = source(cell).strip("\n")
        if cell["cell_type"] == "code":
            ticks = "````" if "```" in text else "```"
            options = "".join(f":{k}: {v}\n" for k, v in _options(cell["metadata"]))
            parts.append(f"{ticks}{{code-cell}}\n{options}{text}\n{ticks}")
            after_prose = False
            continue
        splits_itself = re.match(r"^(## |:{3,}\{exercise\})", text)
        if after_prose and not splits_itself:
            parts.append("+++")
        parts.append(text)
        after_prose = True
    return "\n\n".join(parts) + "\n"


def _options(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    options = []
    if tags := metadata.get("tags"):
        options.append(("tags", f"[{', '.join(tags)}]"))
    mystnb = metadata.get("mystnb", {})
    if alt := mystnb.get("image", {}).get("alt"):
        options.append(("alt", alt))
    figure = mystnb.get("figure", {})
    options += [(key, figure[key]) for key in ("caption", "name") if key in figure]
    return options


def rewrite_setup_cells() -> list[Path]:
    """Put the canonical set-up cell into every chapter; return what changed."""
    changed = []
    for path in chapters():
        notebook = read(path)
        for cell in notebook["cells"]:
            if "setup" in cell["metadata"].get("tags", []):
                cell["source"] = setup_cell().splitlines(keepends=True)
        if notebook != read(path):
            write(notebook, path)
            changed.append(path)
    return changed


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description="Write, read and check chapters.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("from-md", "to-md"):
        command = commands.add_parser(name)
        command.add_argument("source", type=Path)
        command.add_argument("target", type=Path)
    commands.add_parser("setup", help="rewrite the set-up cell of every chapter")
    check = commands.add_parser("check", help="say what a chapter lacks")
    check.add_argument("notebooks", type=Path, nargs="*")
    args = parser.parse_args(argv)
    if args.command == "from-md":
        text = args.source.read_text(encoding="utf-8")
        write(markdown_to_notebook(text), args.target)
    elif args.command == "to-md":
        args.target.write_text(notebook_to_markdown(read(args.source)), "utf-8")
    elif args.command == "setup":
        for path in rewrite_setup_cells():
            print(f"set-up cell rewritten: {path.relative_to(ROOT)}")
    else:
        from anatomy import problems

        wanted = args.notebooks or chapters()
        found = [line for path in wanted for line in problems(path)]
        print("\n".join(found) or "every chapter has its anatomy")
        return int(bool(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
