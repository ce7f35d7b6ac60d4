"""A model card: what a predictor was trained on, its errors, and where they end."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lgdcnn_lib.baselines import MeanBaseline
from lgdcnn_lib.benchmarks import Task, score
from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import SYMBOLS
from lgdcnn_lib.intervals import rows_needed
from lgdcnn_lib.novelty import novelty
from lgdcnn_lib.predictor import Predictor
from lgdcnn_lib.tables import group_rows

RARE = 10  # fewer training compounds than this, and an element is hardly known


def model_card(predictor: Predictor, task: Task, level: float = 0.9) -> str:
    """Write the card of a predictor in Markdown.

    Parameters
    ----------
    predictor : Predictor
        Trained on ``task.train``.
    task : Task
        All its splits are read: look at the card when your choices are made.
    level : float
        Share that the intervals state, for a predictor that is calibrated.
    """
    lines = [
        f"# Model card: {task.name}",
        "## Data",
        *_data_lines(task),
        "## Errors",
        *_error_lines(predictor, task, level),
        "## Limits",
        *_limit_lines(predictor, task),
        "## How it was made",
        *_recipe_lines(predictor),
    ]
    return "\n".join(lines) + "\n"


def error_table(predictor: Predictor, task: Task, level: float = 0.9) -> pd.DataFrame:
    """Errors on validation and test set, beside the mean of the training targets.

    Returns
    -------
    DataFrame
        A row a split that has rows: rows, error, mean_baseline (both in the task's
        metric and unit), and, for a predictor calibrated with enough rows, covered
        (share of true values inside their interval) and width (mean, in the unit).
    """
    calibration = predictor.calibration
    if calibration is not None and len(calibration.scores) < rows_needed(level):
        calibration = None
    baseline = MeanBaseline().fit(task)
    records = {}
    for name, data in (("validation", task.val), ("test", task.test)):
        if data.empty:
            continue
        orders = 0 if calibration is None else calibration.orders
        found = predictor.predict(data["formula"], orders=orders)
        guess = baseline.predict(data["formula"])["prediction"]
        record = {
            "rows": len(data),
            "error": score(task.metric, data["target"], found["prediction"]),
            "mean_baseline": score(task.metric, data["target"], guess),
        }
        if calibration is not None:
            half = calibration.half_width(found["std"], level)
            residual = np.abs(data["target"].to_numpy() - found["prediction"])
            record |= {"covered": (residual <= half).mean(), "width": 2 * half.mean()}
        records[name] = record
    columns = None if records else ["rows", "error", "mean_baseline"]
    table = pd.DataFrame.from_dict(records, orient="index", columns=columns)
    return table.astype({"rows": int})


def _data_lines(task: Task) -> list[str]:
    target = task.train["target"]
    low, middle, high = np.quantile(target, [0.05, 0.5, 0.95])
    sizes = encode(task.train["formula"]).n_elements
    unit = unit_behind(task)
    return [
        f"- {len(task.train)} rows for training, {len(task.val)} for validation, "
        f"{len(task.test)} for the test.",
        f"- Target: {middle:.4g}{unit} in the middle; nine in ten lie between "
        f"{low:.4g} and {high:.4g}; all between {target.min():.4g} and "
        f"{target.max():.4g}.",
        f"- Formulas of {int(sizes.min())} to {int(sizes.max())} elements.",
        f"- SHA-256 of all rows: {task.data_hash[:16]}…",
    ]


def _error_lines(predictor: Predictor, task: Task, level: float) -> list[str]:
    lines, table = [], error_table(predictor, task, level)
    unit = unit_behind(task)
    for name, row in table.iterrows():
        line = (
            f"- {name}: {task.metric} {row['error']:.4g}{unit}; the mean of the "
            f"training targets makes {row['mean_baseline']:.4g}."
        )
        if "covered" in row:
            line += (
                f" Intervals of {level:.0%} hold {row['covered']:.1%} of the values; "
                f"they are {row['width']:.4g}{unit} wide on average."
            )
        lines.append(line)
    if predictor.calibration is not None:
        n = len(predictor.calibration.scores)
        few = f"{n} validation rows, {rows_needed(level)} are needed."
        if "covered" in table:
            lines.append("- The intervals were calibrated on the validation rows.")
        else:
            lines.append(f"- No intervals of {level:.0%}: {few}")
    return lines


def _limit_lines(predictor: Predictor, task: Task) -> list[str]:
    batch = encode(task.train["formula"])
    seen = np.bincount(batch.atomic_numbers[batch.mask].numpy(), minlength=119)
    lines = [
        "- It sees the composition only: polymorphs of one formula get one number.",
        f"- Elements it never met: {_symbols(np.flatnonzero(seen[1:] == 0) + 1)}.",
        f"- Elements in fewer than {RARE} training compounds: "
        f"{_symbols(np.flatnonzero((seen > 0) & (seen < RARE)))}.",
    ]
    known = len(set(group_rows(task.train["formula"])))
    if len(task.test) and known > 1:  # of one composition, none is near
        far = novelty(task.test["formula"], task.train["formula"])["far"].to_numpy()
        calibration = predictor.calibration
        orders = 0 if calibration is None else calibration.orders
        found = predictor.predict(task.test["formula"], orders=orders)["prediction"]
        for name, part in (("near", ~far), ("far from", far)):
            truth = task.test["target"].to_numpy()[part]
            if task.metric == "mae" and part.any():
                error = score("mae", truth, found[part])
                lines.append(
                    f"- Test compositions {name} the training set: {part.sum()}, "
                    f"mae {error:.4g}{unit_behind(task)}."
                )
    return lines


def _recipe_lines(predictor: Predictor) -> list[str]:
    info = predictor.info
    recipe = info.get("train_config", {})
    return [
        f"- {predictor.model.n_parameters()} parameters, width "
        f"{predictor.model.config.d}, {info.get('epochs', '?')} epochs, "
        f"seed {recipe.get('seed', '?')}.",
        *(f"- {key}: {value}" for key, value in recipe.items()),
    ]


def unit_behind(task: Task) -> str:
    """The unit behind a number; an area under a curve and a plain number have none."""
    bare = task.unit in ("", "1") or task.metric == "rocauc"
    return "" if bare else f" {task.unit}"


def _symbols(numbers: Iterable[int]) -> str:
    return " ".join(SYMBOLS[z] for z in numbers) or "none"
