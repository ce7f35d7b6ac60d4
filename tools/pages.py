"""Write the parts of the book's pages that follow from code, data and notebooks.

Each function returns Markdown; `write` puts what they return, and the pictures, into
``_build/generated``, where the pages of the appendix and the front page include it.
``tools/book_extension.py`` calls it before the pages are read.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import imports
from contents import Chapter, arrangement, chapters
from effects import effect_rows
from lgdcnn_lib.benchmarks import BENCHMARKS, Benchmark, load_benchmark
from lgdcnn_lib.elements import ELEMENT_TABLES
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from notebooks import ROOT, repository_url, source

GENERATED = ROOT / "_build" / "generated"
METRICS = {"mae": "MAE", "rocauc": "ROC-AUC"}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in r] for r in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# Chapters ---------------------------------------------------------------------


def chapter_table() -> str:
    """All chapters: number, title, minutes and difficulty, and the sum of minutes."""
    found = chapters()
    rows = [
        (f"{c.number}", c.link, f"{c.cpu:g}", f"{c.gpu:g}", c.difficulty) for c in found
    ]
    cpu, gpu = sum(c.cpu for c in found), sum(c.gpu for c in found)
    rows.append(("", "all of them", f"{cpu:g}", f"{gpu:g}", ""))
    return table(("", "chapter", "CPU", "GPU", "difficulty"), rows)


def paths() -> str:
    """The reader's paths, as cards; a chapter that is not written yet is left out."""
    known = {chapter.number: chapter for chapter in chapters()}
    cards = []
    for path in arrangement()["paths"]:
        steps = [known[number] for number in path["chapters"] if number in known]
        minutes = sum(step.cpu for step in steps)
        lines = [
            f":::{{grid-item-card}} {path['name']}",
            path["for"],
            "",
            " → ".join(step.link for step in steps),
            "",
            f"*{len(steps)} chapters, {minutes:g} min of computing.*",
            ":::",
        ]
        cards.append("\n".join(lines))
    return "::::{grid} 1 1 2 2\n:gutter: 3\n\n" + "\n\n".join(cards) + "\n::::\n"


def course() -> str:
    """The weeks of the course, with what is planned for chapters that exist."""
    return _sessions(arrangement()["course"], "Week")


def workshop() -> str:
    """The sessions of the one-day workshop."""
    return _sessions(arrangement()["workshop"], "Session")


def _sessions(sessions: list[dict[str, object]], word: str) -> str:
    known = {chapter.number: chapter for chapter in chapters()}
    parts = []
    for number, session in enumerate(sessions, start=1):
        title = session.get("at") or f"{word} {number}"
        lines = [f"### {title}: {session['topic']}", ""]
        for chapter in session.get("chapters", []):  # type: ignore[attr-defined]
            if chapter in known:
                lines += [f"- {_chapter_line(known[chapter])}"]
        lines += ["", f"*In the end* {session['outcome']}"]
        if "task" in session:
            lines += ["", f"*To hand in:* {session['task']}"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _chapter_line(chapter: Chapter) -> str:
    return (
        f"Chapter {chapter.number}, {chapter.link}: {chapter.cpu:g} min on two CPU "
        f"cores, {chapter.difficulty}"
    )


# Data and models --------------------------------------------------------------


def datasets() -> str:
    """The 31 tasks: an overview, and what is known of each."""
    header = ("task", "property", "metric", "rows")
    rows = [
        (
            f"[{task.name}](#data-{_slug(task.name)})",
            task.property + ("" if task.unit == "1" else f", {task.unit}"),
            METRICS[task.metric],
            f"{task.rows:,}",
        )
        for task in BENCHMARKS.values()
    ]
    parts = [_task(task) for task in BENCHMARKS.values()]
    return table(header, rows) + "\n## Task by task\n\n" + "\n\n".join(parts) + "\n"


def _task(task: Benchmark) -> str:
    fold = 0 if task.collection == "matbench" else None
    data = load_benchmark(task.name, fold)
    targets = pd.concat([data.train, data.val, data.test])["target"].to_numpy()
    low, middle, high = np.quantile(targets, [0.05, 0.5, 0.95])
    unit = "" if task.unit == "1" else f" {task.unit}"
    train, val, test = (f"{number:,}" for number in task.splits)
    published = ", ".join(
        f"{name} {value:g}" for name, value in sorted(task.published.items())
    )
    call = f'load_benchmark("{task.name}"' + (")" if fold is None else ", fold=0)")
    if task.metric == "mae":
        spread = f"Median {middle:.4g}{unit}; nine tenths between {low:.4g} and "
        spread += (
            f"{high:.4g}{unit}; extremes {min(targets):.4g} and {max(targets):.4g}"
        )
    else:
        spread = f"{targets.mean():.0%} of the rows are in class 1"
    where = "fold 0" if fold == 0 else "fixed"
    lines = [
        f"(data-{_slug(task.name)})=",
        f"### {task.name}",
        "",
        f"{task.property[0].upper()}{task.property[1:]}; `{call}`.",
        "",
        f"- Formulas: {task.elements[0]} to {task.elements[1]} elements.",
        f"- Targets: {spread}.",
        f"- Rows: {train} / {val} / {test} for train, validation and test ({where}); "
        f"{task.repeated:,} repeat a composition.",
        f"- Source: {task.source.removesuffix('.')}. {_with_links(task.citation)}.",
        f"- Licence: {task.licence}.",
    ]
    if published:
        what = METRICS[task.metric] + (f" in{unit}" if unit else "")
        lines.append(f"- Published test {what}: {published}.")
    return "\n".join(lines)


def element_tables() -> str:
    """The element tables with source and licence."""
    header = ("table", "numbers", "what it is", "source", "licence", "citation")
    rows = (
        (
            f"`{name}`",
            info.dimension,
            info.description,
            info.source,
            info.licence,
            _with_links(info.citation),
        )
        for name, info in ELEMENT_TABLES.items()
    )
    return table(header, rows)


def _with_links(text: str) -> str:
    link = r"[doi:\1](https://doi.org/\1)"
    text = re.sub(r"doi:(10\.[^\s;,()]+\w)", link, text)
    return re.sub(r"arXiv:(\d[\d.]+\d)", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def models() -> str:
    """The networks: an overview, then each with its stages and its diagram."""
    parts, rows = [], []
    for name, variant in MODELS.items():
        ours = build_model(name).n_parameters()
        paper = build_model(name, ModelConfig.paper()).n_parameters()
        stages = " → ".join(variant.stages)
        link = f"[`{name}`](#model-{_slug(name)})"
        rows.append((link, variant.summary, f"{ours:,}", f"{paper:,}"))
        alt = (
            f"{name}, drawn from top to bottom: embedding, {stages.replace(' →', ',')}"
        )
        parts.append(
            f"(model-{_slug(name)})=\n### {name}\n\n{_sentence(variant.summary)} "
            f"Stages: embedding → {stages} → head.\n\n"
            f"```{{figure}} /_build/generated/model_{name}.svg\n"
            f":alt: {alt}, head; each box with its shapes and its parameters.\n"
            f':width: 420px\n\n`build_model("{name}")`: {ours:,} parameters.\n```\n'
        )
    header = ("name", "what it is", "parameters, default", "published size")
    return table(header, rows) + "\n## Diagrams\n\n" + "\n".join(parts)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _slug(name: str) -> str:
    return name.lower().replace("_", "-").replace("--", "-")


# API --------------------------------------------------------------------------


def api(group: str) -> str:
    """The modules of one page of the API appendix, each documented by autodoc.

    A module that ``book/contents.yml`` does not name stands on the page ``other``.
    """
    groups: dict[str, list[str]] = arrangement()["api"]
    named = {module for listed in groups.values() for module in listed}
    rest = [module for module in imports.modules() if module not in named]
    listed = groups[group] + (rest if group == "other" else [])
    parts = []
    for module in listed:
        directive = f".. automodule:: lgdcnn_lib.{module}\n   :members:\n"
        if module in ("models", "layers"):
            directive += "   :exclude-members: forward\n"
        parts.append(f"## {module}\n\n```{{eval-rst}}\n{directive}```\n")
    return "\n".join(parts)


def code_of(chapter: Chapter) -> str:
    """The code of a chapter, cell after cell."""
    cells = chapter.notebook["cells"]
    return "\n".join(source(cell) for cell in cells if cell["cell_type"] == "code")


def imports_of(chapter: Chapter) -> set[str]:
    """What a chapter imports from the library, as ``module.object``."""
    return imports.imported_names(code_of(chapter))


@functools.cache
def _uses() -> dict[str, list[Chapter]]:
    """Full name of an object -> the chapters that import it."""
    found: dict[str, list[Chapter]] = {}
    for chapter in chapters():
        for name in sorted({home(name) for name in imports_of(chapter)}):
            found.setdefault(name, []).append(chapter)
    return found


def uses_of(name: str) -> list[Chapter]:
    """The chapters that import an object, by its full name."""
    return _uses().get(name, [])


@functools.cache
def home(name: str) -> str:
    """Full name of an object where it is defined; ``name`` is as imported."""
    module, _, attribute = name.partition(".")
    found = getattr(importlib.import_module(f"lgdcnn_lib.{module}"), attribute, None)
    defined = str(getattr(found, "__module__", None) or "")
    own = defined.startswith("lgdcnn_lib.")
    return f"{defined if own else f'lgdcnn_lib.{module}'}.{attribute}"


def derivations() -> dict[str, Chapter]:
    """Full name of an object -> the chapter that builds it by hand, where it exists."""
    known = {chapter.number: chapter for chapter in chapters()}
    listed: dict[str, int] = arrangement()["derived"]
    pairs = ((home(name), known.get(number)) for name, number in listed.items())
    return {name: chapter for name, chapter in pairs if chapter is not None}


def derivation_table() -> str:
    """Which chapter derives which object."""
    rows = (
        (f"{{py:obj}}`{name.removeprefix('lgdcnn_lib.')} <{name}>`", c.number, c.link)
        for name, c in derivations().items()
    )
    return table(("object", "chapter", ""), rows)


# Front page -------------------------------------------------------------------


def effect_table() -> str:
    """What single differences from the publication do to the validation error."""
    header = ("published choice", "validation error", "spread", "pairs", "rows")
    return table(header, effect_rows())


def bibtex() -> str:
    """BibTeX of the book, from ``CITATION.cff``, and of the paper."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = " and ".join(
        f"{{{a['name']}}}"
        if "name" in a
        else f"{a['family-names']}, {a['given-names']}"
        for a in cff["authors"]
    )
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    book = (
        f"@software{{lgdcnn_book,\n  title = {{{cff['title']}}},\n"
        f"  author = {{{authors}}},\n  year = {{{config['copyright']}}},\n"
        f"  version = {{{cff['version']}}},\n  url = {{{repository_url()}}}\n}}"
    )
    bib = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    paper = re.search(r"^@article\{du2024rational,.*?^\}", bib, re.M | re.S)
    assert paper is not None, "references.bib has no du2024rational"
    return f"```bibtex\n{book}\n\n{paper.group(0)}\n```\n"


# Writing ----------------------------------------------------------------------


def texts() -> dict[str, Callable[[], str]]:
    """Name of each generated file, and what makes its text."""
    return {
        "chapters": chapter_table,
        "paths": paths,
        "course": course,
        "workshop": workshop,
        "datasets": datasets,
        "element_tables": element_tables,
        "models": models,
        "derivations": derivation_table,
        "bibtex": bibtex,
        "effects": effect_table,
        **{
            f"api_{group}": functools.partial(api, group)
            for group in arrangement()["api"]
        },
    }


def put(path: Path, content: str) -> None:
    """Write a file, but only if that changes it: Sphinx reads dates."""
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def write() -> None:
    """Write everything that the pages include."""
    import pictures

    for name, make in texts().items():
        put(GENERATED / f"{name}.md", make())
    pictures.write(GENERATED)


if __name__ == "__main__":
    write()
