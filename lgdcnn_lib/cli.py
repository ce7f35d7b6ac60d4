"""The command line, ``python -m lgdcnn_lib``: train, predict, cecv, benchmark, data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from lgdcnn_lib.benchmarks import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0, or 2 when the input cannot be used; the reason goes to standard error.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, KeyError, FileNotFoundError) as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        print(f"error: {reason}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m lgdcnn_lib",
        description="Train, predict and look inside networks that read formulas.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_train(commands)
    _add_predict(commands)
    _add_cecv(commands)
    _add_benchmark(commands)
    _add_data(commands)
    return parser


def _add_train(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("train", help="train a network on your own CSV")
    p.add_argument("csv", type=Path, help="columns formula, target, perhaps split")
    p.add_argument("--out", type=Path, required=True, help="the model file to write")
    p.add_argument("--formula", default="formula", help="name of the formula column")
    p.add_argument("--target", default="target", help="name of the target column")
    p.add_argument("--unit", default="1", help="of the target, for the model card")
    p.add_argument(
        "--group",
        choices=("composition", "system"),
        default="composition",
        help="what no split tears apart: one composition, or one set of elements",
    )
    p.add_argument(
        "--merge-within",
        type=float,
        metavar="DIFFERENCE",
        help="one row, the median, where a composition's targets differ by no more; "
        "compositions whose targets differ by more are rejected",
    )
    p.add_argument("--classify", action="store_true", help="targets are 0 and 1")
    p.add_argument("--model", default="lg_dcnn", help="lg_dcnn (default), lstm, gru, …")
    p.add_argument(
        "--width", type=int, default=256, help="channels, %(default)s by default"
    )
    p.add_argument("--epochs", type=int, help="by default those of the recipe")
    p.add_argument("--seed", type=int, default=0, help="of weights and batches")
    p.set_defaults(run=train)


def _add_predict(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("predict", help="predict for formulas or a CSV of them")
    p.add_argument("model", type=Path, help="a model file")
    p.add_argument("formulas", nargs="+", help="formulas, or one CSV file")
    p.add_argument("--formula", default="formula", help="name of the formula column")
    p.add_argument("--out", type=Path, help="CSV to write; otherwise it is printed")
    p.add_argument("--interval", type=float, help="share that it shall hold: 0.9")
    p.add_argument(
        "--known", type=Path, help="CSV of the training formulas: says which are far"
    )
    p.set_defaults(run=predict)


def _add_cecv(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("cecv", help="count the environments that layers see")
    p.add_argument("model", type=Path, help="a model file")
    p.add_argument("csv", type=Path, help="a CSV with a formula column")
    p.add_argument("--formula", default="formula", help="name of the formula column")
    p.add_argument("--element", nargs="+", default=["Si"], help="symbols; default: Si")
    p.add_argument("--layer", nargs="+", help="layer names; by default all")
    p.add_argument(
        "--method",
        choices=("leader", "complete"),
        default="leader",
        help="leader clustering (default), or complete linkage",
    )
    p.add_argument("--out", type=Path, required=True, help="the CSV table to write")
    p.add_argument("--figure", type=Path, help="a figure file (.png, .svg, .pdf)")
    p.set_defaults(run=count)


def _add_benchmark(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("benchmark", help="run a part of the benchmark grid")
    p.add_argument("--tasks", nargs="+", default=["all"], help="names; default: all")
    p.add_argument(
        "--models", nargs="+", default=["lg_dcnn"], help="names; default: lg_dcnn"
    )
    p.add_argument("--seeds", type=int, nargs="+", default=[0], help="a run for each")
    p.add_argument("--max-rows", type=int, help="leave larger tasks out")
    p.add_argument("--epochs", type=int, help="by default those of the recipe")
    p.add_argument("--slice", default="0/1", help="i/n: every n-th run, from the i-th")
    p.add_argument("--validation-only", action="store_true", help="leave test sets")
    p.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    p.add_argument("--out", type=Path, help="default: data/results/grid.csv")
    p.add_argument("--predictions", type=Path, help="folder for test predictions")
    p.set_defaults(run=benchmark)


def _add_data(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("data", help="list the 31 tasks, or write one as CSV")
    p.add_argument("task", nargs="?", help="its name; without it, a list of all")
    p.add_argument("--fold", type=int, help="of a Matbench task")
    p.add_argument("--out", type=Path, help="CSV to write: formula, target, split")
    p.set_defaults(run=data)


def train(options: argparse.Namespace) -> None:
    """Train on a user's CSV; report the errors once, and write a model card."""
    from dataclasses import replace

    from lgdcnn_lib import parallel
    from lgdcnn_lib.card import error_table, model_card
    from lgdcnn_lib.models import ModelConfig, build_model
    from lgdcnn_lib.training import TrainConfig, fit

    task = _own_task(options)
    config = TrainConfig(seed=options.seed)
    if options.epochs is not None:
        config = replace(config, epochs=options.epochs)
    size = ModelConfig(d=options.width)
    parallel.join()
    run = fit(build_model(options.model, size, seed=options.seed), task, config)
    if parallel.rank():
        return  # the first process reports for all
    for name, row in error_table(run.predictor, task).iterrows():
        error = f"{task.metric} {row['error']:.4g} {task.unit}"
        print(f"{name}: {error}, {row['rows']:.0f} rows")
    run.predictor.save(options.out)
    card = options.out.with_suffix(".md")
    card.write_text(model_card(run.predictor, task), encoding="utf-8")
    print(f"wrote {options.out} and its card, {card}")


def _own_task(options: argparse.Namespace) -> Task:
    """Check the rows of a user's CSV, write the bad ones aside, deal out the others."""
    import pandas as pd

    from lgdcnn_lib.tables import check_rows, make_task, merge_duplicates, read_formulas

    formula, target = options.formula, options.target
    table = read_formulas(options.csv, formula)
    good, rejects = check_rows(table, formula, target)
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
    import pandas as pd

    from lgdcnn_lib.novelty import novelty
    from lgdcnn_lib.predictor import Predictor
    from lgdcnn_lib.tables import check_rows, read_formulas

    predictor = Predictor.load(options.model)
    first = Path(options.formulas[0])
    if first.suffix == ".csv":
        table = read_formulas(first, options.formula)
    else:
        table = pd.DataFrame({options.formula: options.formulas})
    good, rejects = check_rows(table, options.formula)
    predicted = predictor.predict(good[options.formula], interval=options.interval)
    predicted = predicted.drop(columns="formula").set_index(good.index)
    if options.known is not None:
        known, _ = check_rows(
            read_formulas(options.known, options.formula), options.formula
        )
        place = novelty(good[options.formula], known[options.formula])
        place = place.drop(columns="formula").set_index(good.index)
        predicted = predicted.join(place)
    table[list(predicted)] = predicted
    table["reason"] = ""
    table.loc[table.index[rejects["row"]], "reason"] = rejects["reason"].to_numpy()
    if options.out is None:
        print(table.to_string(index=False))
    else:
        table.to_csv(options.out, index=False)
        _write_rejects(rejects, options.out)
        print(f"wrote {options.out} ({len(good)} predicted, unit {predictor.unit})")


def count(options: argparse.Namespace) -> None:
    """Write a table of CECV, and perhaps a figure."""
    from lgdcnn_lib.cecv import cecv_table
    from lgdcnn_lib.predictor import Predictor
    from lgdcnn_lib.tables import check_rows, read_formulas

    predictor = Predictor.load(options.model)
    table = read_formulas(options.csv, options.formula)
    good, rejects = check_rows(table, options.formula)
    _write_rejects(rejects, options.out)
    counts = cecv_table(
        predictor,
        good[options.formula].tolist(),
        options.element,
        options.layer,
        options.method,
    )
    counts.to_csv(options.out, index=False)
    print(f"wrote {options.out}")
    if options.figure is not None:
        from lgdcnn_lib.plotting import cecv_curves

        curves = {
            f"{element}, {layer}": rows["normalized"].to_numpy()
            for (element, layer), rows in counts.groupby(
                ["element", "layer"], sort=False
            )
        }
        figure = cecv_curves(curves).get_figure(root=True)
        assert figure is not None
        figure.savefig(options.figure, bbox_inches="tight")
        print(f"wrote {options.figure}")


def benchmark(options: argparse.Namespace) -> None:
    """Run every run of a slice of the grid that has no row yet."""
    from dataclasses import replace

    from lgdcnn_lib.benchmarks import BENCHMARKS
    from lgdcnn_lib.elements import data_dir
    from lgdcnn_lib.experiments import run_grid, specs
    from lgdcnn_lib.models import ModelConfig
    from lgdcnn_lib.training import TrainConfig

    tasks = list(BENCHMARKS) if options.tasks == ["all"] else options.tasks
    if options.max_rows is not None:
        tasks = [name for name in tasks if BENCHMARKS[name].rows <= options.max_rows]
    config = TrainConfig()
    if options.epochs is not None:
        config = replace(config, epochs=options.epochs)
    grid = specs(tasks, options.models, options.seeds, config, ModelConfig())
    i, n = (int(part) for part in options.slice.split("/"))
    out = options.out or data_dir() / "results" / "grid.csv"
    failed = run_grid(
        grid[i::n],
        out,
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

    if options.task is None:
        for known in BENCHMARKS.values():
            print(f"{known.name:40} {known.rows:7}  {known.property}, {known.unit}")
        return
    facts = BENCHMARKS[options.task]
    print(f"{facts.name}: {facts.property}, {facts.unit}; {facts.metric}")
    print(f"{facts.rows} rows; {facts.source}; licence: {facts.licence}")
    if options.out is not None:
        task = load_benchmark(facts.name, fold=options.fold)
        splits = {"train": task.train, "val": task.val, "test": task.test}
        parts = [frame.assign(split=name) for name, frame in splits.items()]
        pd.concat(parts).to_csv(options.out, index=False)
        print(f"wrote {options.out}")


def _write_rejects(rejects: pd.DataFrame, out: Path) -> None:
    """Write rows that could not be used beside ``out``, and say so."""
    if len(rejects):
        path = out.with_suffix(".rejects.csv")
        rejects.to_csv(path, index=False)
        print(f"{len(rejects)} rows could not be used: see {path}", file=sys.stderr)
