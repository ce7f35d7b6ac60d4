"""What single differences from the publication do to the error, by the rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lgdcnn_lib.elements import data_dir
from lgdcnn_lib.results import load_results


@dataclass(frozen=True)
class Effect:
    """Relative change of the validation error when the published choice is taken.

    Attributes
    ----------
    change : str
        In words.
    mean, spread : float
        Over pairs of trainings with the same task and seed that differ in nothing else.
    pairs : int
    source : str
        List of results that holds the rows.
    """

    change: str
    mean: float
    spread: float
    pairs: int
    source: str


# What is published, in words: the list of results, the recipe without it, the change.
OURS = "6c4ca88ca9"  # the default of the first search
SMALL = "07c9a1bd29"  # the default of `ingredients`
CLOSED = {"padding": "masked", "order": "canonical", "batching": "by_count"}
PADDED: dict[str, Any] = {"padding": "published", "batching": "mixed"}
CHANGES: tuple[tuple[str, str, str | dict[str, Any], dict[str, Any]], ...] = (
    ("512 channels instead of 256", "recipe", OURS, {"d": 512}),
    ("fractions jittered by 2 %", "recipe", OURS, {"jitter": 0.02}),
    ("Lamb in Lookahead, up to 6e-3", "ingredients", SMALL,
     {"optimizer": "lamb_lookahead", "lr": 6e-3}),
    ("a triangular learning rate", "ingredients", SMALL, {"schedule": "triangular"}),
    ("large batches of mixed element counts", "ingredients", SMALL,
     {"batching": "mixed", "batch_size": "published"}),
    ("layers and batches that run over padding", "leaks", CLOSED, PADDED),
    ("ties in the order of the formula", "leaks", CLOSED, {"order": "written"}),
    ("both of these", "leaks", CLOSED, PADDED | {"order": "written"}),
)  # fmt: skip


def effects() -> Iterator[Effect]:
    """Measure each change of `CHANGES`."""
    recipes = json.loads((data_dir() / "results/recipes.json").read_text())
    flat = {
        name: {"orders": parts.get("orders", 0)}
        | parts["model_config"]
        | parts["train_config"]
        for name, parts in recipes.items()
        if "model_config" in parts
    }
    for words, source, base, change in CHANGES:
        rows = load_results(source)
        here = {name: flat[name] for name in rows["recipe"].unique()}
        if isinstance(base, str):
            start = flat[base]
        else:
            [start] = [s for s in here.values() if base.items() <= s.items()]
        before, after = (
            rows[rows["recipe"].isin([n for n, s in here.items() if s == wanted])]
            for wanted in (start, start | change)
        )
        pairs = before.merge(after, on=["task", "fold", "seed", "n_train", "model"])
        ratio = pairs["val_error_y"] / pairs["val_error_x"]
        mean = float(np.exp(np.log(ratio).mean()) - 1)
        yield Effect(words, mean, float(ratio.std()), len(ratio), source)


def effect_rows() -> list[tuple[str, ...]]:
    """The effects as cells of a table."""
    return [
        (
            e.change,
            f"{100 * e.mean:+.1f} %",
            f"{100 * e.spread:.1f} %",
            str(e.pairs),
            f"`{e.source}.csv`",
        )
        for e in effects()
    ]
