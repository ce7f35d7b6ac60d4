"""The generated parts of the pages: true to code, data and notebooks, and complete."""

import re

import numpy as np
import pytest

import book_extension
import contents
import effects
import imports
import notebooks
import pages
import pictures
from lgdcnn_lib.benchmarks import BENCHMARKS
from lgdcnn_lib.environments import THRESHOLDS
from lgdcnn_lib.models import MODELS
from lgdcnn_lib.results import load_results

CHAPTERS = contents.chapters()
GUIDE = (notebooks.ROOT / "book/appendix/instructor.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def movie():
    return pictures.movie()


def test_chapters_are_those_of_the_table_of_contents():
    names = [name for _, name in contents.table_of_contents()]
    listed = [name for name in names if (notebooks.ROOT / f"{name}.ipynb").exists()]
    assert [chapter.name for chapter in CHAPTERS] == listed
    numbers = [chapter.number for chapter in CHAPTERS]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_chapter_stands_on_every_page_that_arranges_chapters(chapter):
    assert chapter.link in pages.chapter_table()
    assert pages.course().count(f"Chapter {chapter.number}, {chapter.link}") == 1
    assert chapter.number in {n for p in _arranged("paths") for n in p["chapters"]}
    assert chapter.question.endswith("?")


def _arranged(key):
    return contents.arrangement()[key]


def test_the_guide_is_bound_to_the_chapters():
    assert len(_arranged("course")) == 12
    for name in ("course", "workshop"):
        assert f"generated/{name}.md" in GUIDE
    for chapter in CHAPTERS:
        line = f"{chapter.link}: {chapter.cpu:g} min"
        assert line in pages.course()
    hours = 7  # of work in the day
    stated = {c.number: c.cpu for c in CHAPTERS}
    used = [n for session in _arranged("workshop") for n in session["chapters"]]
    assert sum(stated.get(number, 0) for number in used) < 0.2 * 60 * hours


def test_tasks_named_in_the_guide_exist():
    pattern = r"`((?:aflow|mp|matbench|CritExam|OQMD)_[\w]+)`"
    found = set(re.findall(pattern, GUIDE))
    assert found
    assert found <= set(BENCHMARKS)


def test_a_chapter_that_is_not_written_is_left_out(monkeypatch):
    monkeypatch.setattr(pages, "chapters", lambda: CHAPTERS[1:])
    assert CHAPTERS[0].link not in pages.course() + pages.paths()
    assert CHAPTERS[1].link in pages.course()


def test_datasets_page_names_all_tasks_with_their_facts():
    text = pages.datasets()
    parts = dict(zip(BENCHMARKS, text.split("\n(data-")[1:], strict=True))
    for name, task in BENCHMARKS.items():
        assert f"### {name}\n" in parts[name]
        assert task.licence in parts[name]
        assert " / ".join(f"{n:,}" for n in task.splits) in parts[name]
        for model in task.published:
            assert model in parts[name]
    assert "doi:10" not in re.sub(r"\[doi:[^\]]*\]", "", text)


def test_models_page_draws_every_model():
    text = pages.models()
    for name in MODELS:
        assert f"model_{name}.svg" in text
    assert "8,635,911" in text  # the published size


def test_api_pages_hold_every_module_once():
    text = "".join(pages.api(group) for group in _arranged("api"))
    found = re.findall(r"automodule:: lgdcnn_lib\.(\w+)", text)
    assert sorted(found) == sorted(imports.modules())


@pytest.mark.parametrize(("name", "number"), _arranged("derived").items())
def test_derived_object_exists_and_its_chapter_uses_it(name, number):
    home = pages.home(name)
    module, _, attribute = home.rpartition(".")
    assert hasattr(pages.importlib.import_module(module), attribute)
    for chapter in CHAPTERS:
        if chapter.number == number:
            assert attribute in pages.code_of(chapter)


def test_home_is_where_an_object_is_defined():
    assert pages.home("cecv.environment_matrices") == (
        "lgdcnn_lib.environments.environment_matrices"
    )
    assert pages.home("benchmarks.BENCHMARKS") == "lgdcnn_lib.benchmarks.BENCHMARKS"


def test_bibtex_cites_book_and_paper():
    text = pages.bibtex()
    assert text.count("{") == text.count("}")
    assert notebooks.repository_url() in text
    assert "10.1021/acs.jctc.4c00187" in text


def test_moving_picture_shows_what_is_counted(movie):
    assert movie.places.shape == (len(THRESHOLDS) + 1, movie.counts[0], 2)
    assert (np.diff(movie.counts) <= 0).all()
    for places, count in zip(movie.places, movie.counts, strict=True):
        assert len(np.unique(places, axis=0)) <= count
    assert movie.places.min() == 0
    assert movie.places.max() == 1


def test_moving_picture_can_be_paused_and_says_its_numbers(movie):
    html = pictures.movie_html(movie)
    for count in movie.counts:
        assert f"<b>{count}</b>" in html
    assert 'type="checkbox" id="cecv-pause"' in html
    assert html.count("<circle r=") == movie.counts[0]
    style = (notebooks.ROOT / "book/_static/pages.css").read_text(encoding="utf-8")
    assert "prefers-reduced-motion: reduce" in style


def test_glossary_explains_each_term_once():
    found = book_extension.definitions()
    assert len(found) > 60
    for term, meaning in found.items():
        assert meaning.endswith("."), term
        assert len(meaning.split()) >= 5, term
    assert len({term.lower() for term in found}) == len(found)
    assert found["CECV"] == found["chemical environment clustering vector"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a batch of folds", None),
        ("Polymorphs differ", "polymorph"),
        ("the environment matrix R", "environment matrix"),
        ("a null-model", None),
        ("no MAEs", "MAE"),
    ],
)
def test_terms_are_found_as_whole_words(text, found):
    term = book_extension._first_term(text, set(book_extension.definitions()))
    assert (term and term[0]) == found


def test_every_page_says_when_it_was_verified():
    line = book_extension.verified("book/intro")
    assert re.match(r"Built on \d{1,2} \w+ \d{4} with lgdcnn_lib \d", line)
    assert "torch" in line


def test_effects_are_ratios_of_paired_validation_errors():
    """One of them by hand; and every change finds its rows."""
    found = {effect.change: effect for effect in effects.effects()}
    assert len(found) == len(effects.CHANGES)
    assert min(effect.pairs for effect in found.values()) >= 4
    rows = load_results("recipe")
    before, after = (
        rows[rows["recipe"] == name].set_index(["task", "seed"])["val_error"]
        for name in (effects.OURS, "2ef5f8b0e0")
    )
    logs = np.log(after / before)
    jittered = found["fractions jittered by 2 %"]
    assert jittered.mean == pytest.approx(np.exp(logs.mean()) - 1)
    assert jittered.pairs == len(logs)
    assert f"{100 * jittered.mean:+.1f} %" in pages.effect_table()
