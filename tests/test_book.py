"""The built site holds what it promises: no gap, no dead link, no other host."""

import json
import re
from functools import cache
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

import built_site
import notebooks
from built_site import ROOT, SITE

pytestmark = pytest.mark.site
PAGES = built_site.pages()
CHAPTERS = [page for page in PAGES if (ROOT / page).with_suffix(".ipynb").exists()]
MAX_PAGE, MAX_SITE = 4 * 2**20, 60 * 2**20
# What a browser fetches by itself, and where the address stands.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}


@cache
def soup(page: str) -> BeautifulSoup:
    path = SITE / page
    if not path.exists():
        built_site.lacking(f"{path.relative_to(ROOT)} is not there; run `make book`")
    return BeautifulSoup(path.read_text(encoding="utf-8"), "lxml")


@pytest.mark.parametrize("page", PAGES)
def test_every_image_says_what_is_seen(page):
    for image in soup(page).find_all("img"):
        alt = (image.get("alt") or "").strip()
        assert alt, f"{image.get('src', '')[:80]} has no alt text"
        assert not re.search(r"\.(png|svg|jpe?g)$|^_|/", alt), f"a path for alt: {alt}"


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_figure_of_a_chapter_has_a_caption(page):
    for image in soup(page).select("div.cell_output img"):
        figure = image.find_parent("figure")
        assert figure, f"a figure without caption; its alt text: {image['alt']}"
        assert figure.find("figcaption").get_text(strip=True)


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_folded_cell_of_an_exercise_says_what_it_holds(page):
    for tag, what in (("checker", "the checker"), ("solution", "a solution")):
        folds = soup(page).select(f"div.tag_{tag} > details > summary")
        assert len(folds) == 3
        assert {fold.get_text(" ", strip=True) for fold in folds} == {
            f"Show {what} Hide {what}"
        }


@pytest.mark.parametrize("page", PAGES)
def test_page_fetches_nothing_from_another_host(page):
    found = [
        tag[attribute]
        for name, attribute in FETCHED.items()
        for tag in soup(page).find_all(name)
        if tag.get(attribute)
    ]
    links = soup(page).find_all("link", rel=True, href=True)
    found += [link["href"] for link in links if "canonical" not in link["rel"]]
    other = [address for address in found if re.match(r"(https?:)?//", address)]
    assert other == []


def test_style_sheets_fetch_nothing_from_another_host():
    for path in SITE.rglob("*.css"):
        text = path.read_text(encoding="utf-8", errors="replace")
        found = re.findall(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^)\"']+)", text)
        assert found == [], path.name


@pytest.mark.parametrize("page", PAGES)
def test_links_and_anchors_lead_somewhere(page):
    broken = []
    for link in soup(page).find_all("a", href=True):
        parts = urlsplit(link["href"])
        if parts.scheme or parts.netloc:
            continue
        target = (SITE / page).parent / unquote(parts.path) if parts.path else None
        target = (target or SITE / page).resolve()
        if not target.exists():
            broken.append(link["href"])
        elif parts.fragment and target.suffix == ".html":
            where = target.relative_to(SITE).as_posix()
            if not soup(where).find(id=unquote(parts.fragment)):
                broken.append(link["href"])
    assert broken == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_opens_in_colab_and_can_be_mended(page):
    repository = notebooks.repository_url()
    name = page.removesuffix(".html") + ".ipynb"
    links = [link["href"] for link in soup(page).find_all("a", href=True)]
    owner = repository.removeprefix("https://github.com/")
    assert any(
        "colab" in link and f"{owner}/blob/main/{name}" in link for link in links
    )
    assert f"{repository}/edit/main/{name}" in links


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_shows_no_error_and_nothing_unrendered(page):
    article = soup(page).find("article")
    assert not article.select(
        ".traceback, .output.error, .system-message, .problematic"
    )
    text = article.get_text(" ")
    assert not re.search(r"\{(cite|ref|eq|numref|doc)[^}]*\}`|:::\{", text)
    assert not re.search(r"<(Axes|Figure|matplotlib)[ .:]", text)  # a missing semicolon


@pytest.mark.parametrize("page", PAGES)
def test_page_weighs_little(page):
    weight = (SITE / page).stat().st_size
    for image in soup(page).find_all("img", src=True):
        path = (SITE / page).parent / image["src"]
        weight += path.stat().st_size if not image["src"].startswith("data:") else 0
    assert weight <= MAX_PAGE


def test_site_weighs_little():
    if not SITE.exists():
        built_site.lacking("the site is not built; run `make book`")
    files = [path for path in SITE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_SITE


def test_no_chapter_is_left_over():
    """Every page of the site is in the table of contents or made by Sphinx."""
    soup(PAGES[0])
    made = {path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html")}
    made = {page for page in made if not page.startswith(("_", "py-modindex"))}
    assert made - set(PAGES) <= {"index.html", "search.html", "genindex.html"}


def test_packages_of_the_page_are_pinned_by_integrity_alone():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert packages
    assert all("integrity" in entry for entry in packages)
    assert not any("resolved" in entry for entry in packages)


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_leads_to_glossary_and_api(page):
    article = soup(page).find("article")
    terms = article.select('a.term[href*="glossary.html#term-"]')
    assert terms
    assert all(term.get("title", "").endswith(".") for term in terms)
    assert article.select('p.objects a.object[href*="/api_"]')


@pytest.mark.parametrize("page", PAGES)
def test_page_says_when_it_was_verified_and_what_a_link_shows(page):
    verified = soup(page).select_one("footer .verified").get_text()
    day = r"\d{1,2} \w+ \d{4}"
    ran = rf"Code last run on {day}, in \d+ s and \d\.\d GB of memory\. "
    ran = ran if page in CHAPTERS else ""
    assert re.match(rf"{ran}Built on {day} with lgdcnn_lib .+torch", verified)
    facts = {
        tag["property"]: tag["content"] for tag in soup(page).select("meta[property]")
    }
    assert facts["og:url"] == notebooks.site_url() + page
    assert facts["og:image"].startswith(notebooks.site_url())
    assert (SITE / facts["og:image"].removeprefix(notebooks.site_url())).exists()


def test_library_objects_lead_to_the_chapters_that_derive_them():
    page = soup("book/appendix/api_networks.html")
    entry = page.find(id="lgdcnn_lib.layers.SoftAttention").find_parent("dl")
    assert entry.select('a[href*="/10_attention.html"]')
