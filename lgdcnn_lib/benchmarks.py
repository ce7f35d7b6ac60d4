"""The 31 benchmark tasks: what they are, and their train, validation and test tables.

The 18 *extended* tasks have fixed splits. The 13 *Matbench* tasks have five official
folds; what is left of a fold after its test part is divided, with a fixed seed, into
nine parts for training and one for validation. `BENCHMARKS` holds the facts,
`load_benchmark` the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lgdcnn_lib.elements import data_dir

#: Number of official Matbench folds, and the seed that defines them.
N_FOLDS = 5
FOLD_SEED = 18012019

#: Share of a fold's training part that is set aside for validation.
VALIDATION_SHARE = 0.1


# Of the models of the leaderboard: those that never look at a structure; and the tasks
# that have none, on which no model can ("input type: composition").
FORMULA_MODELS = ("crabnet", "ax_saasbo_crabnet", "finder_composition")
NO_STRUCTURES = (
    "matbench_steels",
    "matbench_expt_gap",
    "matbench_expt_is_metal",
    "matbench_glass",
)


@dataclass(frozen=True)
class Benchmark:
    """Facts about one task.

    Attributes
    ----------
    name
        Name of the task.
    collection
        ``"extended"`` (fixed splits) or ``"matbench"`` (five folds).
    property
        What is predicted, in words.
    unit
        Unit of the target; ``"1"`` if it has none.
    metric
        ``"mae"``, or ``"rocauc"`` for the classification tasks (targets 0 and 1).
    rows
        Number of rows, all splits together.
    splits
        Rows of train, validation and test; of fold 0 for Matbench.
    elements
        Smallest and largest number of elements in a formula.
    repeated
        Rows whose composition stands in an earlier row as well.
    source, licence, citation
        Where the data come from, under what terms, and what to cite.
    sha256
        Hash of the decompressed file.
    published
        Published test errors: model -> error, in the task's unit and metric.
    """

    name: str
    collection: str
    property: str
    unit: str
    metric: str
    rows: int
    splits: tuple[int, int, int]
    elements: tuple[int, int]
    repeated: int
    source: str
    licence: str
    citation: str
    sha256: str
    published: dict[str, float] = field(hash=False, repr=False)

    def composition_only(self) -> tuple[str, ...]:
        """The models in `published` that read the formula alone, the mean left out."""
        names = tuple(name for name in self.published if name != "dummy")
        if self.collection == "extended" or self.name in NO_STRUCTURES:
            return names
        return tuple(name for name in names if name in FORMULA_MODELS)


@dataclass(frozen=True, eq=False)
class Task:
    """Tables to learn from and to be judged by. Make your own from any DataFrames.

    Attributes
    ----------
    name
        Name of the task.
    train, val, test
        DataFrames with columns ``formula`` and ``target``. Choices are made on `val`;
        `test` is scored once.
    unit
        Unit of the targets.
    metric
        ``"mae"`` or ``"rocauc"``.
    fold
        Matbench fold, or None.
    """

    name: str
    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame
    unit: str = "1"
    metric: str = "mae"
    fold: int | None = None

    def __post_init__(self) -> None:
        if self.metric not in ("mae", "rocauc"):
            raise ValueError(f"metric is 'mae' or 'rocauc', not {self.metric!r}")
        for split, frame in self._splits():
            missing = {"formula", "target"} - set(frame.columns)
            if missing:
                raise ValueError(f"{self.name}, {split}: no column {sorted(missing)}")

    @property
    def data_hash(self) -> str:
        """SHA-256 of the formulas and targets of the three splits, in order."""
        digest = hashlib.sha256()
        for split, frame in self._splits():
            digest.update(f"{split},{len(frame)}\n".encode())
            digest.update("\n".join(map(str, frame["formula"])).encode())
            digest.update(frame["target"].to_numpy(dtype="<f8").tobytes())
        return digest.hexdigest()

    def _splits(self) -> tuple[tuple[str, pd.DataFrame], ...]:
        return ("train", self.train), ("val", self.val), ("test", self.test)


class _Registry(Mapping[str, Benchmark]):
    """The tasks by name, read from the data folder when first asked for."""

    @cached_property
    def _tasks(self) -> dict[str, Benchmark]:
        published = _published()
        frame = _read_csv("benchmarks/registry.csv")
        tasks = [_benchmark(row, published) for _, row in frame.iterrows()]
        return {task.name: task for task in tasks}

    def __getitem__(self, name: str) -> Benchmark:
        if name not in self._tasks:
            raise KeyError(f"no benchmark {name!r}; known: {', '.join(self._tasks)}")
        return self._tasks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


#: The 31 tasks by name: a mapping whose files are read when it is first used.
BENCHMARKS: Mapping[str, Benchmark] = _Registry()


def load_benchmark(name: str, fold: int | None = None) -> Task:
    """Read one task.

    Parameters
    ----------
    name
        A key of `BENCHMARKS`.
    fold
        For a Matbench task, the official fold, 0 to 4. None for the others.

    Returns
    -------
    Task
        Its tables, with rows in the order of the source within each split.

    Raises
    ------
    KeyError
        If there is no such task.
    ValueError
        If a Matbench task is asked for without a fold from 0 to 4, or another with one.
    """
    facts = BENCHMARKS[name]
    folds = facts.collection == "matbench"
    if folds and fold not in range(N_FOLDS):
        raise ValueError(f"{name} has folds 0 to {N_FOLDS - 1}; fold={fold!r} is none")
    if not folds and fold is not None:
        raise ValueError(f"{name} has fixed splits: leave fold={fold!r} out")
    frame = _read_csv(f"benchmarks/{name}.csv.xz")
    data = frame[["formula", "target"]].astype({"target": np.float64})
    if fold is None:
        split = frame["split"].to_numpy()
        rows = [np.flatnonzero(split == part) for part in ("train", "val", "test")]
    else:
        rows = list(fold_rows(data["target"].to_numpy(), fold, facts.metric))
    train, val, test = (data.iloc[part].reset_index(drop=True) for part in rows)
    return Task(name, train, val, test, facts.unit, facts.metric, fold)


def score(metric: str, truth: ArrayLike, prediction: ArrayLike) -> float:
    """Judge predictions by a task's metric.

    Parameters
    ----------
    metric
        ``"mae"``: mean absolute error, in the task's unit; smaller is better.
        ``"rocauc"``: area under the receiver operating characteristic; 0.5 is chance,
        1 is perfect, and NaN says that the truth holds one class only.
    truth, prediction
        Arrays (N,). For ``"rocauc"``: classes 0 and 1, and numbers that rank them.

    Raises
    ------
    ValueError
        If the metric is unknown, or the lengths differ, or there is nothing to judge.
    """
    expected = np.asarray(truth, dtype=np.float64)
    found = np.asarray(prediction, dtype=np.float64)
    if expected.shape != found.shape or expected.ndim != 1 or not len(expected):
        raise ValueError(f"cannot compare {found.shape} with {expected.shape} values")
    if metric == "mae":
        return float(np.abs(expected - found).mean())
    if metric == "rocauc":
        from sklearn.metrics import roc_auc_score  # takes seconds: only where needed

        return float(roc_auc_score(expected, found))
    raise ValueError(f"metric is 'mae' or 'rocauc', not {metric!r}")


def fold_rows(
    targets: NDArray[np.float64], fold: int, metric: str = "mae"
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of train, validation and test of a Matbench fold.

    Parameters
    ----------
    targets
        Targets of all rows, array (N,), in the official order.
    fold
        0 to 4.
    metric
        Tasks judged by ``"rocauc"`` are stratified by class, as the official ones are.

    Returns
    -------
    tuple of arrays
        Sorted row numbers; together they are 0 to N - 1, each once. The test rows are
        the official ones. A tenth of the others, drawn with a seed made of the official
        one and the fold, is for validation.

    Raises
    ------
    ValueError
        For another fold or metric, or fewer rows than folds.
    """
    if fold not in range(N_FOLDS) or metric not in ("mae", "rocauc"):
        raise ValueError(f"no fold {fold!r} for the metric {metric!r}")
    from sklearn.model_selection import KFold, StratifiedKFold  # as in `score`

    kind = StratifiedKFold if metric == "rocauc" else KFold
    splitter = kind(N_FOLDS, shuffle=True, random_state=FOLD_SEED)
    parts = list(splitter.split(np.zeros(len(targets)), targets))
    learn, test = parts[fold]
    shuffled = np.random.default_rng([FOLD_SEED, fold]).permutation(learn)
    n_val = round(VALIDATION_SHARE * len(learn))
    return np.sort(shuffled[n_val:]), np.sort(shuffled[:n_val]), np.sort(test)


def _benchmark(row: pd.Series, published: dict[str, dict[str, float]]) -> Benchmark:
    """Make a Benchmark of one row of the registry."""
    counts = {split: int(row[f"n_{split}"]) for split in ("train", "val", "test")}
    texts = ("name", "collection", "property", "unit", "metric")
    origin = ("source", "licence", "citation", "sha256")
    return Benchmark(
        **{name: str(row[name]) for name in texts + origin},
        rows=int(row["rows"]),
        splits=(counts["train"], counts["val"], counts["test"]),
        elements=(int(row["min_elements"]), int(row["max_elements"])),
        repeated=int(row["repeated"]),
        published=published.get(str(row["name"]), {}),
    )


def _published() -> dict[str, dict[str, float]]:
    """Return task -> model -> published error, from ``data/published``."""
    errors: dict[str, dict[str, float]] = {}
    for name in ("extended_mae", "matbench_v0.1"):
        table = pd.read_csv(data_dir() / f"published/{name}.csv", comment="#")
        table = table.set_index("task").drop(columns="metric", errors="ignore")
        for task, row in table.iterrows():
            errors[str(task)] = {str(k): float(v) for k, v in row.dropna().items()}
    return errors


def _read_csv(name: str) -> pd.DataFrame:
    # "NaN" is a formula: no text stands for a missing value in these files.
    return pd.read_csv(data_dir() / name, keep_default_na=False)
