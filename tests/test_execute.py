"""How chapters are run: kernels that die, and what makes a result stale."""

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


def test_a_cell_has_a_limit_but_in_full_mode(monkeypatch):
    monkeypatch.delenv("LGDCNN_FULL", raising=False)
    assert 0 < execute.timeout() < 3600
    monkeypatch.setenv("LGDCNN_FULL", "1")
    assert execute.timeout() == -1  # nbclient: none


def test_results_go_stale_with_the_data_but_not_with_what_full_makes(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    for name in ("results", "retrained"):
        (tmp_path / "data" / name).mkdir(parents=True)

    digest = execute._data_digest.__wrapped__  # without its cache
    before = digest()
    (tmp_path / "data/retrained/lstm.safetensors").write_text("weights")
    assert digest() == before
    (tmp_path / "data/results/main.csv").write_text("a row")
    assert digest() != before
