"""The lists of experiments: nothing twice, test sets left alone while choosing."""

import pytest

import grid
import notebooks

CHAPTERS = "\n".join(
    notebooks.source(cell)
    for path in notebooks.chapters()
    for cell in notebooks.read(path)["cells"]
)


@pytest.mark.parametrize("name", grid.LISTS)
def test_no_run_stands_twice_in_a_list(name):
    keys = [spec.key for spec in grid.LISTS[name]()]
    assert len(keys) == len(set(keys)) > 0


def test_lists_that_choose_do_not_look_at_test_sets():
    assert set(grid.BLIND) <= set(grid.LISTS)
    assert not grid.BLIND & grid.KEPT


@pytest.mark.parametrize("name", sorted(grid.BLIND))
def test_chapters_name_the_default_of_the_trials(name):
    """Its recipe's name stands in their code; it is the first of the list."""
    assert f'"{grid.LISTS[name]()[0].recipe}"' in CHAPTERS
