"""Notebooks for a class: what students get, and what instructors get."""

import json

import nbformat
import pytest
from jupyter_cache import get_cache

import notebooks
import student

CHAPTERS = notebooks.chapters()
TAGS = ("checker", "starter", "solution")


def tagged(notebook, tag):
    return [
        cell for cell in notebook["cells"] if tag in cell["metadata"].get("tags", [])
    ]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_student_notebook_holds_no_solution(path):
    chapter = notebooks.read(path)
    result = student.student(chapter)
    text = "\n".join(notebooks.source(cell) for cell in result["cells"])
    solutions = tagged(chapter, "solution")
    assert len(solutions) >= 3
    for cell in solutions:
        assert notebooks.source(cell) not in text
        for line in own_lines(cell, chapter):
            assert line not in text.splitlines()
    for tag in ("checker", "starter"):
        assert tagged(result, tag) == tagged(chapter, tag)
    answers = [c for c in result["cells"] if notebooks.source(c) == "# Your answer"]
    assert len(answers) == len(tagged(chapter, "starter"))
    ids = [cell["id"] for cell in result["cells"]]
    assert len(set(ids)) == len(ids)


def own_lines(cell, chapter):
    """Lines of a solution that stand nowhere else in the chapter."""
    others = [other for other in chapter["cells"] if other is not cell]
    known = {line for other in others for line in notebooks.source(other).splitlines()}
    return [line for line in notebooks.source(cell).splitlines() if line not in known]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_instructor_notebook_runs_the_code_of_the_chapter(path, tmp_path):
    """The same code in the same order, so what runs the chapter has run it."""
    chapter, result = notebooks.read(path), student.instructor(notebooks.read(path))
    code = [
        [notebooks.source(c) for c in book["cells"] if c["cell_type"] == "code"]
        for book in (chapter, result)
    ]
    assert code[0] == code[1]
    for cell in tagged(result, "solution"):
        before = result["cells"][result["cells"].index(cell) - 1]
        assert notebooks.source(before).startswith("**Solution.** ")
    assert hashed(result, tmp_path) == hashed(chapter, tmp_path)  # not run twice


def hashed(notebook, folder):
    book = nbformat.reads(json.dumps(notebook), as_version=4)
    return get_cache(str(folder)).create_hashed_notebook(book)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01_property_from_formula"])
def test_student_notebook_runs_to_its_first_exercise(name, tmp_path):
    (path,) = [path for path in CHAPTERS if path.stem == name]
    copy = tmp_path / path.name
    notebooks.write(student.student(notebooks.read(path)), copy)
    assert student.run_to_first_starter(copy) == ""


def test_the_first_exercise_is_reached():
    chapter = student.student(notebooks.read(CHAPTERS[0]))
    part = student.to_first_starter(chapter)
    assert part["cells"][-1] == tagged(chapter, "starter")[0]
    assert len(tagged(part, "starter")) == 1
