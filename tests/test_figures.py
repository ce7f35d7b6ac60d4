"""Figures for slides: both formats, with captions."""

import nbformat
import pytest

import figures

DRAWING = """\
import matplotlib.pyplot as plt
plt.plot([0, 1], [1, 0]);
"""
METADATA = {
    "mystnb": {
        "image": {"alt": "A line that falls."},
        "figure": {"caption": "It falls.", "name": "fig-falls"},
    }
}


@pytest.fixture
def chapter(tmp_path):
    cells = [
        nbformat.v4.new_code_cell(DRAWING, metadata=METADATA),
        nbformat.v4.new_code_cell(DRAWING),  # no figure of the book: not exported
    ]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_figures_are_exported_in_both_formats(chapter, tmp_path):
    folder = tmp_path / "figures"
    assert figures.export(chapter, folder) == ""
    names = sorted(path.name for path in folder.glob("[!.]*"))
    assert names == ["captions.md", "fig-falls.png", "fig-falls.svg"]
    assert (folder / "fig-falls.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "fig-falls.svg").read_text("utf-8")
    assert "**fig-falls.** It falls." in (folder / "captions.md").read_text("utf-8")
    (folder / "fig-falls.svg").unlink()
    assert figures.export(chapter, folder) == ""
    assert not (folder / "fig-falls.svg").exists()  # nothing changed, so not run again


def test_a_chapter_that_fails_is_told(chapter, tmp_path):
    book = nbformat.read(chapter, as_version=4)
    book.cells[0].source = "1 / 0"
    nbformat.write(book, chapter)
    assert "ZeroDivisionError" in figures.export(chapter, tmp_path / "figures")
