"""What a network has to beat: the mean, and a random forest on composition features.

Baselines look like a `Predictor`: formulas in, a table of predictions out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from lgdcnn_lib.benchmarks import Task
from lgdcnn_lib.composition import encode
from lgdcnn_lib.elements import data_dir, element_table
from lgdcnn_lib.recipe import check_targets

FloatArray = npt.NDArray[np.float64]

STATISTICS = ("mean", "deviation", "min", "max", "range", "mode")
NORMS = (2, 3, 5, 7, 10)
_CHUNK = 4096  # compounds described at a time: bounds the memory


def composition_features(formulas: Iterable[str]) -> tuple[FloatArray, tuple[str, ...]]:
    """Describe formulas by statistics of their elements' properties.

    The Magpie set (Ward et al., npj Comput. Mater. 2016, 2, 16028): the number of
    elements, p-norms of the fractions, and for each of 22 element properties the
    fraction-weighted mean, the fraction-weighted mean absolute deviation from it, the
    minimum, maximum and range over the elements, and the value of the most abundant
    element (the smallest such value where several are as abundant).

    Parameters
    ----------
    formulas
        N formulas.

    Returns
    -------
    features : (N, F) float64
    names : tuple of F str
        Such as ``"n elements"``, ``"norm 2"``, ``"AtomicWeight mean"``.

    Raises
    ------
    FormulaError
        For a formula that cannot be read.
    """
    batch = encode(formulas)
    numbers, fractions = batch.atomic_numbers.numpy(), batch.fractions.numpy()
    properties = element_table("magpie").vectors.astype(np.float64)
    columns = _property_names()
    names = ["n elements", *(f"norm {p}" for p in NORMS)]
    names += [f"{column} {statistic}" for statistic in STATISTICS for column in columns]
    features = np.empty((len(batch), len(names)))
    for start in range(0, len(batch), _CHUNK):
        rows = slice(start, start + _CHUNK)
        f = fractions[rows].astype(np.float64)
        norms = [(f**p).sum(axis=1) ** (1 / p) for p in NORMS]
        features[rows] = np.column_stack(
            [(f > 0).sum(axis=1), *norms, *_statistics(properties[numbers[rows]], f)]
        )
    return features, tuple(names)


def _statistics(values: FloatArray, f: FloatArray) -> list[FloatArray]:
    """Statistics over L elements: values (N, L, P), fractions (N, L); each (N, P)."""
    weights, real = f[:, :, None], (f > 0)[:, :, None]
    mean = (weights * values).sum(axis=1)
    deviation = (weights * np.abs(values - mean[:, None])).sum(axis=1)
    low = values.min(axis=1, where=real, initial=np.inf)
    high = values.max(axis=1, where=real, initial=-np.inf)
    most = real & (weights == weights.max(axis=1, keepdims=True))
    mode = values.min(axis=1, where=most, initial=np.inf)
    return [mean, deviation, low, high, high - low, mode]


@cache
def _property_names() -> tuple[str, ...]:
    path = data_dir() / "elements" / "magpie.csv.xz"
    return tuple(map(str, pd.read_csv(path, nrows=0, index_col=0).columns))


@dataclass
class MeanBaseline:
    """Predict the mean of the training targets for every formula.

    For a classification task that is the share of the positive class.

    Attributes
    ----------
    seed
        Of no effect here: all baselines are made alike.
    """

    seed: int = 0
    mean: float = field(default=float("nan"), init=False)
    std: float = field(default=float("nan"), init=False)

    def fit(self, task: Task) -> MeanBaseline:
        """Learn from ``task.train``, and return itself.

        Raises
        ------
        ValueError
            As `recipe.check_targets` does.
        """
        check_targets(task)
        target = task.train["target"].to_numpy(dtype=np.float64)
        self.mean, self.std = float(target.mean()), float(target.std())
        return self

    def predict(self, formulas: Iterable[str]) -> pd.DataFrame:
        """Return DataFrame(formula, prediction, std); std is that of the targets.

        Raises
        ------
        RuntimeError
            If it has not been fitted.
        FormulaError
            For a formula that cannot be read.
        """
        if np.isnan(self.mean):
            raise RuntimeError("call fit before predict")
        known = encode(formulas).formulas
        n = len(known)
        return _table(known, np.full(n, self.mean), np.full(n, self.std))


@dataclass
class RandomForestBaseline:
    """A random forest on `composition_features`.

    The defaults were chosen on the validation part of aflow__ael_bulk_modulus_vrh.

    Attributes
    ----------
    seed
        Of the bootstrap samples and of the features tried at a split.
    n_trees
        Number of trees.
    max_features
        Share of the features tried at a split.
    n_jobs
        Threads. The result does not depend on it.
    """

    seed: int = 0
    n_trees: int = 200
    max_features: float = 0.3
    n_jobs: int = 1
    forest: Any = field(default=None, init=False, repr=False)

    def fit(self, task: Task) -> RandomForestBaseline:
        """Learn from ``task.train``, and return itself.

        Raises
        ------
        FormulaError
            For a formula that cannot be read.
        ValueError
            As `recipe.check_targets` does.
        """
        classes = task.metric == "rocauc"
        kind = RandomForestClassifier if classes else RandomForestRegressor
        self.forest = kind(
            self.n_trees,
            max_features=self.max_features,
            random_state=self.seed,
            n_jobs=self.n_jobs,
        )
        check_targets(task)
        target = task.train["target"].to_numpy(dtype=np.float64)
        features, _ = composition_features(task.train["formula"])
        self.forest.fit(features, target.astype(int) if classes else target)
        return self

    def predict(self, formulas: Iterable[str]) -> pd.DataFrame:
        """Return DataFrame(formula, prediction, std).

        ``prediction`` is the mean over the trees: the target, or the probability of
        class 1. ``std`` is the standard deviation over the trees: it ranks predictions
        by their uncertainty, but it is no calibrated error.

        Raises
        ------
        RuntimeError
            If the forest has not been fitted.
        FormulaError
            For a formula that cannot be read.
        """
        if self.forest is None:
            raise RuntimeError("call fit before predict")
        formulas = list(formulas)
        if not formulas:
            return _table((), np.empty(0), np.empty(0))
        features, _ = composition_features(formulas)
        features = features.astype(np.float32)  # once, not once for each tree
        votes = np.stack(
            [self._vote(tree, features) for tree in self.forest.estimators_]
        )
        return _table(formulas, votes.mean(axis=0), votes.std(axis=0))

    def _vote(self, tree: Any, features: npt.NDArray[Any]) -> FloatArray:
        if isinstance(self.forest, RandomForestRegressor):
            return np.asarray(tree.predict(features))
        [positive] = np.flatnonzero(self.forest.classes_ == 1)
        return np.asarray(tree.predict_proba(features)[:, positive])


def _table(
    formulas: Sequence[str], prediction: FloatArray, std: FloatArray
) -> pd.DataFrame:
    columns = {"formula": list(formulas), "prediction": prediction, "std": std}
    return pd.DataFrame(columns)
