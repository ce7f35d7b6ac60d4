"""Intervals that hold the share of true values that they state: split conformal.

Half an interval is ``q * std**EXPONENT``, with q from errors on data that the training
has not seen. Whatever the errors look like, it then holds at least the stated share of
new values, on average, as long as they come from where those data came from (Vovk et
al. 2005; Lei et al., J. Am. Stat. Assoc. 2018, 113, 1094).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Power of the predicted deviation that scales an interval: 1 trusts it, 0 ignores it.
#: Chosen on the validation sets of the benchmarks (chapter "Calibrated intervals").
EXPONENT = 0.6


def rows_needed(level: float) -> int:
    """Fewest calibration rows that an interval of this share can be made of.

    Raises
    ------
    ValueError
        When ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"an interval holds a share between 0 and 1, not {level}")
    return ceil(round(level / (1 - level), 9))


def conformal_quantile(scores: npt.ArrayLike, level: float) -> float:
    """The score that a new one stays below with probability ``level`` or more.

    It is the k-th smallest of n scores, k = ceil((n + 1) * level): not n, since the new
    score may fall into any of n + 1 gaps.

    Raises
    ------
    ValueError
        When ``level`` is not between 0 and 1, or n is too small for it.
    """
    needed = rows_needed(level)  # refuses a level outside 0 to 1
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    k = ceil(round((len(ordered) + 1) * level, 9))  # 0.7 * 10 is a little over 7
    if k > len(ordered):
        raise ValueError(
            f"{len(ordered)} calibration rows are too few for an interval of "
            f"{level:.6g}: it takes {needed}"
        )
    return float(ordered[k - 1])


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a predictor knows of its errors on data that the training has not seen.

    Attributes
    ----------
    scores
        Array (n,), float32: ``|y - prediction| / std**exponent``, ascending.
    exponent
        Power of the predicted deviation.
    orders
        Of the elements, over which these predictions were averaged (0: one order).
    """

    scores: npt.NDArray[np.float32]
    exponent: float = EXPONENT
    orders: int = 0

    @classmethod
    def of(
        cls,
        target: npt.ArrayLike,
        prediction: npt.ArrayLike,
        std: npt.ArrayLike,
        exponent: float = EXPONENT,
        orders: int = 0,
    ) -> Calibration:
        """Compare predictions with the truth; three arrays (n,) in one unit.

        Raises
        ------
        ValueError
            When there is no row, or one is not a finite number.
        """
        residual = np.abs(np.asarray(target, float) - np.asarray(prediction, float))
        scores = residual / np.asarray(std, float) ** exponent
        if not len(scores):
            raise ValueError("calibration needs rows, and a number in each of them")
        for row in np.flatnonzero(~np.isfinite(scores))[:1]:
            raise ValueError(
                f"row {row}: calibration needs a number in each row, and its error is "
                f"{scores[row]}"
            )
        return cls(np.sort(scores).astype(np.float32), exponent, orders)

    def half_width(self, std: npt.ArrayLike, level: float) -> FloatArray:
        """Half of the interval around each prediction: (N,), in the unit of ``std``.

        Raises
        ------
        ValueError
            As `conformal_quantile` does.
        """
        scale = np.asarray(std, dtype=np.float64) ** self.exponent
        return np.asarray(conformal_quantile(self.scores, level) * scale)
