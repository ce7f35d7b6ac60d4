"""A kernel that dies gets one more try, and no third; other chapters go on."""

import nbformat
import pytest

import execute


@pytest.mark.parametrize(("deaths", "tries"), [(0, 1), (1, 2), (2, 2)])
def test_a_dead_kernel_is_started_once_more(deaths, tries, tmp_path, monkeypatch):
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    seen = []

    def run(notebook, **options):
        seen.append(options["cwd"])
        if len(seen) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return "done"

    monkeypatch.setattr(execute, "single_nb_execution", run)
    if deaths < 2:
        assert execute.run_cells(path) == "done"
    else:
        with pytest.raises(RuntimeError, match="Kernel died"):
            execute.run_cells(path)
    assert seen == [str(tmp_path)] * tries


def test_a_kernel_that_dies_twice_fails_its_chapter_only(tmp_path, monkeypatch):
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)

    def die(notebook, **options):
        raise RuntimeError("Kernel died")

    monkeypatch.setattr(execute, "single_nb_execution", die)
    found, notebook, cost, error = execute._run(path)
    assert (found, notebook.cells, cost["execution_seconds"]) == (path, [], 0)
    assert "Kernel died" in error
