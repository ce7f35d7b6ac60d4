"""The command line, ``python -m lgdcnn_lib``: train, predict, cecv, benchmark, data."""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from lgdcnn_lib import commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0, or 2 when the input cannot be used; the reason goes to standard error.
    """
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _note
        try:
            options.run(options)
        except (ValueError, KeyError, OSError, FloatingPointError) as error:
            reason = error.args[0] if isinstance(error, KeyError) else error
            print(f"error: {reason}", file=sys.stderr)
            return 2
    return 0


def _note(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning as one line, without the code that it comes from."""
    print(f"note: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m lgdcnn_lib",
        description="Train, predict and look inside networks that read formulas.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")
    _add_train(subparsers)
    _add_predict(subparsers)
    _add_cecv(subparsers)
    _add_benchmark(subparsers)
    _add_data(subparsers)
    return parser


def _add_train(subparsers: argparse._SubParsersAction) -> None:
    p = subparsers.add_parser("train", help="train a network on your own CSV")
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
    p.set_defaults(run=commands.train)


def _add_predict(subparsers: argparse._SubParsersAction) -> None:
    p = subparsers.add_parser("predict", help="predict for formulas or a CSV of them")
    p.add_argument("model", type=Path, help="a model file")
    p.add_argument("formulas", nargs="+", help="formulas, or one CSV file")
    p.add_argument("--formula", default="formula", help="name of the formula column")
    p.add_argument("--out", type=Path, help="CSV to write; otherwise it is printed")
    p.add_argument("--interval", type=float, help="share that it shall hold: 0.9")
    p.add_argument(
        "--known", type=Path, help="CSV of the training formulas: says which are far"
    )
    p.set_defaults(run=commands.predict)


def _add_cecv(subparsers: argparse._SubParsersAction) -> None:
    p = subparsers.add_parser("cecv", help="count the environments that layers see")
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
    p.set_defaults(run=commands.count)


def _add_benchmark(subparsers: argparse._SubParsersAction) -> None:
    p = subparsers.add_parser("benchmark", help="run a part of the benchmark grid")
    p.add_argument("--tasks", nargs="+", default=["all"], help="names; default: all")
    p.add_argument(
        "--models", nargs="+", default=["lg_dcnn"], help="names; default: lg_dcnn"
    )
    p.add_argument("--seeds", type=int, nargs="+", default=[0], help="a run for each")
    p.add_argument("--max-rows", type=int, help="leave larger tasks out")
    p.add_argument("--epochs", type=int, help="by default those of the recipe")
    p.add_argument(
        "--slice",
        type=_slice,
        default=slice(0, None, 1),
        metavar="I/N",
        help="every n-th run, from the i-th: 0/4, 1/4, 2/4 and 3/4 make the whole",
    )
    p.add_argument("--validation-only", action="store_true", help="leave test sets")
    p.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    p.add_argument("--out", type=Path, help="default: data/results/grid.csv")
    p.add_argument("--predictions", type=Path, help="folder for test predictions")
    p.set_defaults(run=commands.benchmark)


def _add_data(subparsers: argparse._SubParsersAction) -> None:
    p = subparsers.add_parser("data", help="list the 31 tasks, or write one as CSV")
    p.add_argument("task", nargs="?", help="its name; without it, a list of all")
    p.add_argument("--fold", type=int, help="of a Matbench task")
    p.add_argument("--out", type=Path, help="CSV to write: formula, target, split")
    p.set_defaults(run=commands.data)


def _slice(text: str) -> slice:
    """Every n-th run from the i-th, of ``i/n``."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not i/n with i below n")
    return slice(int(found[1]), None, int(found[2]))
