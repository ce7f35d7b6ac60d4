"""What the book adds to Sphinx.

Before pages are read, the generated parts are written (``tools/pages.py``). When a page
is written, words of the glossary and names of the library become links that say what
they mean, and the page learns when it was verified and what a link to it shows.
"""

from __future__ import annotations

import datetime
import html
import platform
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

from docutils import nodes
from jupyter_cache import get_cache
from sphinx.application import Sphinx

import lgdcnn_lib
import pages
from contents import Chapter, chapters
from notebooks import ROOT, site_url

GLOSSARY = "book/appendix/glossary"
# Pages whose words are not the book's: titles of papers, docstrings.
LEFT_ALONE = ("book/appendix/bibliography", "book/appendix/api_")
CACHE = ROOT / "_build" / ".jupyter_cache"
PLAIN = (nodes.emphasis, nodes.strong)
FOLDS = {"tag_checker": "the checker", "tag_solution": "a solution"}
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn")


# Before the pages are read ----------------------------------------------------


def prepare(app: Sphinx) -> None:
    """Write the generated parts, and let the site carry the social card."""
    pages.write()
    app.config.html_static_path.append(str(pages.GENERATED / "static"))


def link_chapters(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """End a docstring with the chapters that derive and use the object."""
    derived = pages.derivations().get(name)
    used = [c for c in pages.uses_of(name) if c != derived]
    parts = []
    if derived:
        parts.append(f"derived in {_doc(derived)}")
    if used:
        parts.append("used in " + ", ".join(_doc(chapter) for chapter in used))
    if parts:
        text = "; ".join(parts)
        lines += ["", f"*In the book:* {text}.", ""]


def _doc(chapter: Chapter) -> str:
    return f":doc:`chapter {chapter.number} </{chapter.name}>`"


def keep_own(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """An object is documented by the module that defines it, not where it is used."""
    home = getattr(obj, "__module__", None)
    current = app.env.temp_data.get("autodoc:module")
    if what == "module" and home and home.startswith("lgdcnn_lib") and home != current:
        return True
    return None


def name_folds(app: Sphinx, doctree: nodes.document) -> None:
    """Let a folded cell say what it holds: an exercise's checker, or a solution."""
    for cell in doctree.findall(nodes.container):
        for tag, what in FOLDS.items():
            if tag in cell["classes"]:
                cell["prompt_show"] = f"Show {what}"
                cell["prompt_hide"] = f"Hide {what}"


# When a page is written -------------------------------------------------------


@cache
def definitions() -> dict[str, str]:
    """Term -> its definition in plain words, from the glossary's source."""
    text = (ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8")
    body = text.partition("```{glossary}\n")[2].partition("\n```")[0]
    found: dict[str, str] = {}
    for entry in body.strip().split("\n\n"):
        lines = entry.splitlines()
        meaning = " ".join(line.strip() for line in lines if line.startswith(" "))
        plain = re.sub(r"\{\w+\}`([^`]+)`", r"\1", meaning).replace("`", "")
        plain = plain.replace("$", "").replace("*", "")
        found |= {line: plain for line in lines if not line.startswith(" ")}
    return found


def link_words(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the first use of each term, and the library's names in a chapter."""
    if docname.startswith((GLOSSARY, *LEFT_ALONE)) or app.builder.format != "html":
        return
    _name_term_links(doctree)
    anchors = _term_anchors(app)
    todo = {term for term in anchors if term in definitions()}
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for text in list(paragraph.findall(nodes.Text)):
            plain = isinstance(text.parent, PLAIN) and text.parent.children == [text]
            if todo and (text.parent is paragraph or plain):
                text.parent.replace(text, list(_linked(app, docname, text, todo)))
    _link_objects(app, doctree, docname)


def _name_term_links(doctree: nodes.document) -> None:
    """Links that an author made by ``{term}`` get their definition too."""
    lower = {term.lower(): meaning for term, meaning in definitions().items()}
    for link in doctree.findall(nodes.reference):
        if "#term-" in link.get("refuri", ""):
            link["reftitle"] = lower.get(link.astext().lower(), "")
            link["classes"].append("term")


def _term_anchors(app: Sphinx) -> dict[str, str]:
    objects = app.env.domaindata["std"]["objects"]
    return {
        name: anchor
        for (kind, name), (page, anchor) in objects.items()
        if kind == "term" and page == GLOSSARY
    }


def _linked(
    app: Sphinx, docname: str, text: nodes.Text, todo: set[str]
) -> Iterator[nodes.Node]:
    """The pieces of a text, the first use of each term being a link."""
    rest = str(text)
    while found := _first_term(rest, todo):
        term, start, end = found
        todo.discard(term)
        if start:
            yield nodes.Text(rest[:start])
        uri = app.builder.get_relative_uri(docname, GLOSSARY)
        anchor = _term_anchors(app)[term]
        yield nodes.reference(
            "",
            rest[start:end],
            internal=True,
            refuri=f"{uri}#{anchor}",
            reftitle=definitions()[term],
            classes=["term"],
        )
        rest = rest[end:]
    if rest:
        yield nodes.Text(rest)


def _first_term(text: str, terms: set[str]) -> tuple[str, int, int] | None:
    """The term that comes first in the text, and where; the longest of several."""
    if not terms:
        return None
    names = sorted(terms, key=lambda term: -len(term))
    words = "|".join(re.escape(name) for name in names)
    match = re.search(rf"(?<![\w-])({words})s?(?![\w-])", text, re.IGNORECASE)
    if match is None:
        return None
    lower = {name.lower(): name for name in names}
    return lower[match.group(1).lower()], match.start(), match.end()


def _link_objects(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Lead the names that a chapter imports to the API appendix, and list them."""
    chapter = {c.name: c for c in chapters()}.get(docname)
    if chapter is None:
        return
    known = app.env.domaindata["py"]["objects"]
    links: dict[str, str] = {}
    for name in sorted(pages.imports_of(chapter)):
        if entry := known.get(pages.home(name)):
            page = app.builder.get_relative_uri(docname, entry.docname)
            links[name.partition(".")[2]] = f"{page}#{entry.node_id}"
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext()
        if name in links and not isinstance(literal.parent, nodes.reference):
            literal.parent.replace(literal, _object_link(name, links[name]))
    end = nodes.paragraph("", "In the API: ", classes=["objects"])
    for name, uri in links.items():
        end += [_object_link(name, uri), nodes.Text(" ")]
    list(doctree.findall(nodes.section))[-1].append(end)


def _object_link(name: str, uri: str) -> nodes.reference:
    link = nodes.reference("", "", internal=True, refuri=uri, classes=["object"])
    link += nodes.literal("", name)
    return link


def describe_page(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], tree: Any
) -> None:
    """Say when the page was verified, and what a link to it shows elsewhere."""
    context["theme_extra_footer"] = f'<p class="verified">{verified(pagename)}</p>'
    site = app.config.html_baseurl
    title = html.escape(re.sub(r"<[^>]+>", "", context.get("title", "")))
    facts = {
        "og:type": "article",
        "og:title": title,
        "og:site_name": html.escape(app.config.project),
        "og:url": f"{site}{pagename}.html",
        "og:image": f"{site}_static/card.png",
        "og:image:alt": "The title of the book beside a CECV curve that falls.",
        "twitter:card": "summary_large_image",
    }
    tags = "".join(f'<meta property="{k}" content="{v}" />\n' for k, v in facts.items())
    context["metatags"] = context.get("metatags", "") + tags


def verified(pagename: str) -> str:
    """When the code of a page last ran, and when and with what the page was built."""
    versions = [f"lgdcnn_lib {lgdcnn_lib.__version__}{_commit()}"]
    versions += [f"{name} {version(name)}" for name in PACKAGES]
    versions.append(f"Python {platform.python_version()}")
    built = f"Built on {_day(datetime.date.today())} with {', '.join(versions)}."
    return f"{_ran(pagename)}{built}"


def _ran(pagename: str) -> str:
    path = ROOT / f"{pagename}.ipynb"
    if not path.exists() or not CACHE.exists():
        return ""
    try:
        record = get_cache(str(CACHE)).match_cache_file(str(path))
    except KeyError:
        return ""
    seconds = round(record.data["execution_seconds"])
    memory = record.data["peak_memory_mb"] / 1024
    spent = f"{seconds} s and {memory:.1f} GB of memory"
    return f"Code last run on {_day(record.created)}, in {spent}. "


def _day(date: datetime.date) -> str:
    return f"{date:%d %B %Y}".lstrip("0")


@cache
def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx when to call what."""
    app.config.html_baseurl = site_url()
    app.connect("builder-inited", prepare)
    app.connect("autodoc-process-docstring", link_chapters)
    app.connect("autodoc-skip-member", keep_own)
    app.connect("doctree-read", name_folds)
    app.connect("doctree-resolved", link_words)
    app.connect("html-page-context", describe_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
