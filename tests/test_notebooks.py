"""The chapters' anatomy, their set-up cell, and the tools that make them."""

import ast
import subprocess
import sys

import pytest

import anatomy
import imports
import notebooks

CHAPTERS = notebooks.chapters()
DRAFT = """\
# Title

> **Question.** Why?

## What you need

Prose with a fence:

```python
# not a cell
```

```{code-cell}
:tags: [setup]
```

+++

Another cell.

```{code-cell}
:alt: A line that rises from left to right,
  and goes on rising.
:caption: It rises.
:name: fig-rises
axes.plot([1, 2]);
```

````{code-cell}
text = '''
```{code-cell}
'''
````
"""


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_has_its_anatomy(path):
    assert anatomy.problems(path) == []


def test_every_chapter_is_in_the_table_of_contents():
    toc = (notebooks.ROOT / "_toc.yml").read_text(encoding="utf-8")
    for path in CHAPTERS:
        name = path.relative_to(notebooks.ROOT).with_suffix("").as_posix()
        assert f"file: {name}\n" in toc, f"{name} is in no part of _toc.yml"


def test_figures_and_exercises_have_names_of_their_own():
    text = "".join(path.read_text(encoding="utf-8") for path in CHAPTERS)
    for pattern in (r'"name": "(fig-[^"]+)"', r":label: (ex-[\w-]+)"):
        found = anatomy.re.findall(pattern, text)
        assert sorted(found) == sorted(set(found))


def test_setup_cell_is_short_python_that_names_this_repository():
    code = notebooks.setup_cell()
    ast.parse(code)
    assert "@" not in code
    assert notebooks.repository_url() in code
    assert f"--branch {notebooks.release_tag()} " in code
    assert len([line for line in code.splitlines() if line]) <= 20


def test_setup_cell_leaves_colab_packages_alone():
    """Elsewhere than on Colab it neither clones nor installs."""
    code = notebooks.setup_cell().partition("import torch")[0]
    check = "import subprocess\nsubprocess.run = None\n"
    subprocess.run([sys.executable, "-c", check + code], check=True)


def test_draft_becomes_a_notebook():
    notebook = notebooks.markdown_to_notebook(DRAFT)
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds == ["markdown", "markdown", "code", "markdown", "code", "code"]
    setup, figure, last = (c for c in notebook["cells"] if c["cell_type"] == "code")
    assert notebooks.source(setup) == notebooks.setup_cell()
    assert figure["metadata"]["mystnb"] == {
        "image": {"alt": "A line that rises from left to right, and goes on rising."},
        "figure": {"caption": "It rises.", "name": "fig-rises"},
    }
    assert "```{code-cell}" in notebooks.source(last)


def test_notebook_and_text_are_the_same_thing():
    notebook = notebooks.markdown_to_notebook(DRAFT)
    text = notebooks.notebook_to_markdown(notebook)
    assert notebooks.markdown_to_notebook(text) == notebook


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_survives_the_way_to_text_and_back(path):
    notebook = notebooks.read(path)
    text = notebooks.notebook_to_markdown(notebook)
    again = notebooks.markdown_to_notebook(text)
    assert [notebooks.source(c) for c in again["cells"]] == [
        notebooks.source(c) for c in notebook["cells"]
    ]


def test_anatomy_names_what_a_draft_lacks(tmp_path):
    path = tmp_path / "draft.ipynb"
    notebooks.write(notebooks.markdown_to_notebook(DRAFT), path)
    found = "\n".join(anatomy.problems(path))
    for words in ("'## Recap'", "things to learn", "Difficulty", "exercises"):
        assert words in found
    assert "draws" not in found


def test_drawing_is_seen_at_the_top_level_only():
    assert anatomy._draws("figure, axes = plt.subplots()", set())
    assert anatomy._draws("parity(run)", {"parity"})
    assert not anatomy._draws("def draw(axes):\n    axes.plot([1])", set())
    assert not anatomy._draws("table.sort_values()", set())


def test_needed_modules_follow_imports():
    found = imports.needed("from lgdcnn_lib.composition import encode")
    assert {"composition", "elements"} <= found
    assert "models" not in found
    assert imports.imported("from lgdcnn_lib import models") == {"models"}
    assert imports.imported("import numpy") == set()
