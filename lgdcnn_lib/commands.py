"""What the commands of ``python -m lgdcnn_lib`` do.

Imports stand inside the functions: the help, and an error, should not wait for torch.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from lgdcnn_lib.benchmarks import Task
    from lgdcnn_lib.predictor import Predictor

REJECTS = ".rejects.csv"  # ending of the file of rows that could not be used


def train(options: argparse.Namespace) -> None:
    """Train on a user's CSV; save the network, report its errors, write its card."""
    from dataclasses import replace

    from lgdcnn_lib import parallel
    from lgdcnn_lib.card import error_table, model_card, unit_behind
    from lgdcnn_lib.models import ModelConfig, build_model
    from lgdcnn_lib.training import TrainConfig, fit

    card = _beside(options.out, ".md")
    for path in (options.out, card, _beside(options.out, REJECTS)):
        _check_out(path, options.csv)
    task = _own_task(options)
    config = TrainConfig(seed=options.seed)
    if options.epochs is not None:
        config = replace(config, epochs=options.epochs)
    size = ModelConfig(d=options.width)
    parallel.join()
    run = fit(build_model(options.model, size, seed=options.seed), task, config)
    if parallel.rank():
        return  # the first process reports for all
    run.predictor.save(options.out)
    for name, row in error_table(run.predictor, task).iterrows():
        error = f"{task.metric} {row['error']:.4g}{unit_behind(task)}"
        print(f"{name}: {error}, {row['rows']:.0f} rows")
    card.write_text(model_card(run.predictor, task), encoding="utf-8")
    print(f"wrote {options.out} and its card, {card}")


def _own_task(options: argparse.Namespace) -> Task:
    """Check the rows of a user's CSV, write the bad ones aside, deal out the others."""
    import pandas as pd

    from lgdcnn_lib.tables import check_rows, make_task, merge_duplicates, read_formulas

    formula, target = options.formula, options.target
    table = read_formulas(options.csv, formula)
    good, rejects = check_rows(table, formula, target, options.classify)
    _said()
    if options.merge_within is not None:
        good, differ = merge_duplicates(good, options.merge_within, formula, target)
        rejects = pd.concat([rejects, differ], ignore_index=True)
    _write_rejects(rejects, options.out)
    return make_task(
        good,
        options.csv.stem,
        formula,
        target,
        options.unit,
        "rocauc" if options.classify else "mae",
        options.seed,
        options.group,
    )


def predict(options: argparse.Namespace) -> None:
    """Predict for every row, in order; rows that cannot be read say why."""
    from lgdcnn_lib.predictor import Predictor
    from lgdcnn_lib.tables import check_rows

    if options.out is not None:
        _check_out(options.out, options.model, Path(options.formulas[0]))
    predictor = Predictor.load(options.model)
    table = _asked(options)
    good, rejects = check_rows(table, options.formula)
    _said()
    predicted = _predicted(predictor, good[options.formula], options)
    results = [*predicted.columns, "reason"]
    if taken := [name for name in results if name in table]:
        raise ValueError(f"rename the columns {', '.join(taken)}: results go there")
    table[predicted.columns] = predicted
    table["reason"] = ""
    table.loc[table.index[rejects["row"]], "reason"] = rejects["reason"].to_numpy()
    unit = "" if predictor.unit in ("", "1") else f", in {predictor.unit}"
    if options.out is None:
        print(table.to_string(index=False))
        print(f"{len(good)} predicted{unit}", file=sys.stderr)
    else:
        table.to_csv(options.out, index=False)
        print(f"wrote {options.out} ({len(good)} predicted{unit})")
        if len(rejects):
            print(f"{len(rejects)} not: see their column reason", file=sys.stderr)
    if good.empty:
        raise ValueError("no formula could be read; the reasons stand beside them")


def _asked(options: argparse.Namespace) -> pd.DataFrame:
    """The formulas of the command line, or the rows of the CSV file named there."""
    import pandas as pd

    from lgdcnn_lib.tables import read_formulas

    files = [text for text in options.formulas if text.lower().endswith(".csv")]
    if files and len(options.formulas) > 1:
        raise ValueError(f"give formulas, or one CSV file alone: {files[0]}")
    if files:
        return read_formulas(files[0], options.formula, text=True)
    return pd.DataFrame({options.formula: options.formulas})


def _predicted(
    predictor: Predictor, formulas: pd.Series, options: argparse.Namespace
) -> pd.DataFrame:
    """Columns of results, with the index of ``formulas``."""
    from lgdcnn_lib.novelty import novelty
    from lgdcnn_lib.tables import check_rows, read_formulas

    found = predictor.predict(formulas, interval=options.interval)
    found = found.drop(columns="formula").set_index(formulas.index)
    if options.known is None:
        return found
    table = read_formulas(options.known, options.formula)
    known = check_rows(table, options.formula)[0][options.formula]
    place = novelty(formulas, known).drop(columns="formula")
    return found.join(place.set_index(formulas.index))


def count(options: argparse.Namespace) -> None:
    """Write a table of CECV, and perhaps a figure."""
    from lgdcnn_lib.cecv import cecv_table
    from lgdcnn_lib.predictor import Predictor
    from lgdcnn_lib.tables import check_rows, read_formulas

    for path in (options.out, _beside(options.out, REJECTS)):
        _check_out(path, options.csv, options.model)
    if options.figure is not None:
        _check_out(options.figure, options.csv, options.model, options.out)
        _check_kind(options.figure)
    predictor = Predictor.load(options.model)
    table = read_formulas(options.csv, options.formula)
    good, rejects = check_rows(table, options.formula)
    _said()
    _write_rejects(rejects, options.out)
    formulas = good[options.formula].tolist()
    counts = cecv_table(
        predictor, formulas, options.element, options.layer, options.method
    )
    compounds = counts.groupby("element", sort=False)["n_compounds"].max()
    if absent := [str(element) for element in compounds.index[compounds == 0]]:
        names = ", ".join(absent)
        raise ValueError(f"no formula of 3 to 7 elements in {options.csv} has {names}")
    counts.to_csv(options.out, index=False)
    print(f"wrote {options.out}")
    if options.figure is not None:
        _draw(counts, options.figure)
        print(f"wrote {options.figure}")


def _draw(counts: pd.DataFrame, path: Path) -> None:
    """Write the curves of a CECV table to a figure file."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    from lgdcnn_lib.plotting import cecv_curves

    groups = counts.groupby(["element", "layer"], sort=False)["normalized"]
    curves = {f"{element}, {layer}": y.to_numpy() for (element, layer), y in groups}
    figure = cecv_curves(curves).get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)


def benchmark(options: argparse.Namespace) -> None:
    """Run every run of a slice of the grid that has no row yet."""
    from dataclasses import replace

    from lgdcnn_lib.benchmarks import BENCHMARKS
    from lgdcnn_lib.elements import data_dir
    from lgdcnn_lib.experiments import run_grid
    from lgdcnn_lib.models import ModelConfig
    from lgdcnn_lib.runs import specs
    from lgdcnn_lib.training import TrainConfig

    tasks = list(BENCHMARKS) if options.tasks == ["all"] else options.tasks
    if options.max_rows is not None:
        tasks = [name for name in tasks if BENCHMARKS[name].rows <= options.max_rows]
    config = TrainConfig()
    if options.epochs is not None:
        config = replace(config, epochs=options.epochs)
    grid = specs(tasks, options.models, options.seeds, config, ModelConfig())
    failed = run_grid(
        grid[options.slice],
        options.out or data_dir() / "results" / "grid.csv",
        not options.validation_only,
        options.predictions,
        options.jobs,
    )
    if failed:
        raise ValueError(f"{failed} runs failed; call again to retry them")


def data(options: argparse.Namespace) -> None:
    """List the tasks; or describe one, and write it."""
    import pandas as pd

    from lgdcnn_lib.benchmarks import BENCHMARKS, load_benchmark

    if options.out is not None:
        _check_out(options.out)
    if options.task is None:
        if options.out is not None:
            raise ValueError("name the task to write")
        for known in BENCHMARKS.values():
            print(f"{known.name:40} {known.rows:7}  {known.property}, {known.unit}")
        return
    facts = BENCHMARKS[options.task]
    print(f"{facts.name}: {facts.property}, {facts.unit}; {facts.metric}")
    print(f"{facts.rows} rows; {facts.source}; licence: {facts.licence}")
    if options.fold is not None and options.out is None:
        raise ValueError("--fold is a part of what --out writes; name a file")
    if options.out is not None:
        task = load_benchmark(facts.name, fold=options.fold)
        splits = {"train": task.train, "val": task.val, "test": task.test}
        parts = [frame.assign(split=name) for name, frame in splits.items()]
        pd.concat(parts).to_csv(options.out, index=False)
        print(f"wrote {options.out}")


def _said() -> None:
    """From here on, no notes on formulas: they have been read, and noted, once."""
    from lgdcnn_lib.formulas import FormulaWarning

    warnings.simplefilter("ignore", FormulaWarning)


def _check_out(path: Path, *taken: Path) -> None:
    """Refuse, before the work, a file that cannot be written or that the work needs."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} to write {path.name} to")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"no permission to write in the folder {path.parent}")
    for other in taken:
        if path.resolve() == other.resolve():
            raise ValueError(f"{other} would be replaced: name another file")


def _check_kind(path: Path) -> None:
    """Refuse an ending that no figure has."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if path.suffix[1:].lower() not in FigureCanvasAgg.get_supported_filetypes():
        raise ValueError(f"{path} needs an ending such as .png or .svg")


def _beside(out: Path, ending: str) -> Path:
    """A file beside ``out``: its name, less an ending that we know, and ``ending``."""
    stem = out.stem if out.suffix in (".safetensors", ".csv") else out.name
    return out.with_name(stem + ending)


def _write_rejects(rejects: pd.DataFrame, out: Path) -> None:
    """Write rows that could not be used beside ``out``, and say so."""
    path = _beside(out, REJECTS)
    path.unlink(missing_ok=True)  # of an earlier call
    if len(rejects):
        rejects.to_csv(path, index=False)
        print(f"{len(rejects)} rows could not be used: see {path}", file=sys.stderr)
