"""A kernel that dies at its start gets one more try, and no third."""

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
