"""Chemical environments: correlation matrices of compounds, and how many differ.

An *environment matrix* says how similar a layer's vectors of a compound's elements
are to each other. Two compounds with the same number of elements share an
environment at threshold t when no entry of their matrices differs by more than t.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

Method = Literal["leader", "complete"]
Rule = Literal["standard", "paper"]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

THRESHOLDS = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40)
# Standardised values are of order 1 and come from float32 outputs: a row that spreads
# by less than this is constant but for rounding.
ROW_TOLERANCE = 1e-6
_CHUNK = 1024  # compounds whose features are held in float64 at a time


def environment_matrices(features: Any, mask: Any) -> list[FloatArray]:
    """Correlate the element vectors of each compound (paper, section on CECV).

    Every column of a compound's element feature matrix is standardised over its n
    elements (mean 0, sample standard deviation 1); the environment matrix R is the
    Pearson correlation between the rows. Rows keep the order of ``features``.

    What is undefined is defined as follows. A column that is constant over the
    elements says nothing about their differences and becomes 0. A row that is constant
    after that has correlation 0 with the others and 1 with itself. One element gives
    ``[[1]]``. Two elements always give ``[[1, -1], [-1, 1]]``, because two standardised
    numbers are (a, -a) whatever they were: that is why CECV starts at n = 3. For the
    same reason R is always singular: the n standardised rows sum to zero.

    Parameters
    ----------
    features
        Layer outputs, shape (N, L, d), an array or a tensor.
    mask
        Shape (N, L), true where there is a real element. Padding is never read.

    Returns
    -------
    list of N arrays, float64, the i-th of shape (n_i, n_i), symmetric, in [-1, 1].

    Raises
    ------
    ValueError
        If shapes disagree, a compound has no element, or a feature is not finite.
    """
    values, real = _as_array(features), _as_array(mask).astype(bool)
    if values.ndim != 3 or real.shape != values.shape[:2]:
        raise ValueError(
            "features must have shape (N, L, d) and mask (N, L), not "
            f"{values.shape} and {real.shape}"
        )
    sizes = real.sum(axis=1)
    if not sizes.all():
        raise ValueError(f"compound {int(sizes.argmin())} has no element in its mask")
    matrices: list[FloatArray] = [np.empty(0)] * len(values)
    for n in np.unique(sizes):
        rows = np.flatnonzero(sizes == n)
        for part in np.split(rows, range(_CHUNK, len(rows), _CHUNK)):
            block = values[part][real[part]].reshape(len(part), n, -1)
            finite = np.isfinite(block).all(axis=(1, 2))
            if not finite.all():
                bad = int(part[finite.argmin()])
                raise ValueError(f"compound {bad} has a feature that is not finite")
            for row, matrix in zip(part, correlate(block), strict=True):
                matrices[row] = matrix
    return matrices


def correlate(features: Any) -> FloatArray:
    """Environment matrices of compounds that all have n elements.

    Parameters
    ----------
    features
        Shape (M, n, d), finite, no padding.

    Returns
    -------
    Shape (M, n, n), float64: see `environment_matrices`.
    """
    x = _as_array(features).astype(np.float64)
    n = x.shape[1]
    varies = x.max(axis=1) > x.min(axis=1)  # exact, where a rounded std may not be 0
    x -= x.mean(axis=1, keepdims=True)
    std = np.sqrt((x * x).sum(axis=1) / max(n - 1, 1))
    usable = varies & (std > 0)
    x *= np.divide(1.0, std, out=np.zeros_like(std), where=usable)[:, None, :]
    constant = np.ptp(x, axis=2) < ROW_TOLERANCE
    x -= x.mean(axis=2, keepdims=True)
    norm = np.sqrt((x * x).sum(axis=2))
    x *= np.divide(1.0, norm, out=np.zeros_like(norm), where=~constant)[:, :, None]
    products = x @ x.transpose(0, 2, 1)
    upper = np.triu(np.clip(products, -1.0, 1.0), k=1)  # mirrored: exactly symmetric
    matrices: FloatArray = upper + upper.transpose(0, 2, 1) + np.eye(n)
    return matrices


def upper_triangle(matrices: FloatArray) -> FloatArray:
    """Entries above the diagonal: (M, n, n) becomes (M, n(n-1)/2)."""
    rows, columns = np.triu_indices(matrices.shape[1], k=1)
    vectors: FloatArray = matrices[:, rows, columns]
    return vectors


def count_environments(
    matrices: Sequence[npt.ArrayLike],
    thresholds: npt.ArrayLike = THRESHOLDS,
    method: Method = "leader",
    rule: Rule = "standard",
) -> IntArray:
    """Count the different environments at each threshold.

    Matrices of different size never share an environment; clusters are summed over
    the sizes. ``"leader"`` is the paper's: the first unassigned compound leads, and all
    unassigned ones within t of it join. Its counts depend on the order of the
    compounds, and now and then they *rise* with t, since a larger t lets a leader take
    a compound that would have led a larger cluster. ``"complete"`` is complete linkage
    with the Chebyshev distance: in a cluster all pairs are within t. It does not depend
    on the order (ties are broken by value) and never rises with t.

    Numbers are compared in float64 with no tolerance. Features are float32, so a
    distance within about 1e-6 of a threshold may fall on either side of it on
    another machine.

    Parameters
    ----------
    matrices
        N environment matrices, each square and symmetric, of any sizes.
    thresholds
        T thresholds on the largest difference between entries.
    method
        ``"leader"`` or ``"complete"``.
    rule
        ``"standard"``: ``max |Ra - Rb| <= t``. ``"paper"``: the published code's,
        which for n = 3 takes absolute values first and compares strictly,
        ``max ||Ra| - |Rb|| < t``.

    Returns
    -------
    T counts, int64: each between the number of sizes and N (0 if there is no matrix).
    For t >= 2, one cluster per size.

    Raises
    ------
    ValueError
        For a negative threshold, an unknown method or rule, or a matrix that is not
        square, finite and symmetric.
    """
    limits = check_options(thresholds, method, rule)
    counts = np.zeros(len(limits), dtype=np.int64)
    for _, vectors in group_by_size(matrices):
        counts += count_vectors(vectors, limits, method, rule)
    return counts


def cluster_labels(
    matrices: Sequence[npt.ArrayLike],
    threshold: float,
    method: Method = "leader",
    rule: Rule = "standard",
) -> IntArray:
    """Cluster of each compound at one threshold: see `count_environments`.

    Returns
    -------
    N labels, int64, numbered 0, 1, ... in the order in which clusters first appear, so
    ``labels.max() + 1`` is the count. No cluster mixes sizes.

    Raises
    ------
    ValueError
        As `count_environments` does, and for more than one threshold.
    """
    limits = check_options(threshold, method, rule)
    if len(limits) != 1:
        raise ValueError(f"labels belong to one threshold, not to {len(limits)}")
    labels = np.zeros(len(matrices), dtype=np.int64)
    n_clusters = 0
    for rows, vectors in group_by_size(matrices):
        [found] = _label_vectors(vectors, limits, method, rule)
        labels[rows] = found + n_clusters
        n_clusters += int(found.max()) + 1
    return _renumber(labels)


def count_vectors(
    vectors: FloatArray, thresholds: FloatArray, method: Method, rule: Rule
) -> IntArray:
    """`count_environments` for the upper triangles (M, n(n-1)/2) of one size n."""
    found = _label_vectors(vectors, thresholds, method, rule)
    counts = [int(labels.max(initial=-1)) + 1 for labels in found]
    return np.array(counts, dtype=np.int64)


def _label_vectors(
    vectors: FloatArray, limits: FloatArray, method: Method, rule: Rule
) -> list[IntArray]:
    if len(vectors) == 0:
        return [np.zeros(0, dtype=np.int64) for _ in limits]
    if rule == "paper" and vectors.shape[1] == 3:  # n = 3 elements have 3 pairs
        vectors = np.abs(vectors)
        limits = np.nextafter(limits, -np.inf)  # d < t is d <= the float below t
    if method == "complete":
        return _complete(vectors, limits)
    return [_leader(vectors, limit) for limit in limits]


def _leader(vectors: FloatArray, limit: float) -> IntArray:
    labels = np.full(len(vectors), -1, dtype=np.int64)
    if vectors.shape[1] == 0:
        return labels + 1
    # Followers lie in a window of the widest coordinate. The window is a little too
    # wide on purpose: rounding must not decide, the exact rule below does.
    key = vectors[:, np.ptp(vectors, axis=0).argmax()]
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], key - limit - 1e-9)
    last = np.searchsorted(key[order], key + limit + 1e-9, side="right")
    n_clusters = 0
    for leader in range(len(vectors)):
        if labels[leader] >= 0:
            continue
        near = order[first[leader] : last[leader]]
        near = near[labels[near] < 0]
        within = (np.abs(vectors[near] - vectors[leader]) <= limit).all(axis=1)
        labels[near[within]] = n_clusters
        labels[leader] = n_clusters  # also where a strict rule shuts itself out
        n_clusters += 1
    return labels


def _complete(vectors: FloatArray, limits: FloatArray) -> list[IntArray]:
    # Equal matrices merge first at distance 0, so merging them beforehand changes
    # nothing; sorting the distinct ones makes ties independent of the data order.
    distinct, place = np.unique(vectors + 0.0, axis=0, return_inverse=True)
    place = place.reshape(-1)
    alone = np.arange(len(vectors))  # at a strict 0, nothing is within the limit
    if len(distinct) == 1:
        return [alone if limit < 0 else 0 * alone for limit in limits]
    tree = linkage(distinct, method="complete", metric="chebyshev")
    cuts = [fcluster(tree, limit, criterion="distance") for limit in limits]
    found = zip(cuts, limits, strict=True)
    return [alone if limit < 0 else _renumber(cut[place]) for cut, limit in found]


def _renumber(labels: npt.NDArray[Any]) -> IntArray:
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[place.reshape(-1)]


def group_by_size(
    matrices: Sequence[npt.ArrayLike],
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Sort matrices by their size n.

    Yields
    ------
    (rows, vectors)
        Positions of the M matrices of one size, ascending, and their upper triangles,
        (M, n(n-1)/2).

    Raises
    ------
    ValueError
        For a matrix that is not square, finite and symmetric.
    """
    arrays = [np.asarray(matrix, dtype=np.float64) for matrix in matrices]
    for i, array in enumerate(arrays):
        if array.ndim != 2 or array.shape[0] != array.shape[1]:
            raise ValueError(f"matrix {i} is not square but has shape {array.shape}")
    sizes = np.array([len(array) for array in arrays], dtype=np.int64)
    for n in np.unique(sizes):
        rows = np.flatnonzero(sizes == n)
        stack = np.stack([arrays[row] for row in rows])
        good = np.isfinite(stack) & np.isclose(stack, stack.transpose(0, 2, 1))
        good = good.all(axis=(1, 2))
        if not good.all():
            bad = int(rows[good.argmin()])
            raise ValueError(f"matrix {bad} is not symmetric, or not finite")
        yield rows, upper_triangle(stack)


def check_options(thresholds: npt.ArrayLike, method: Method, rule: Rule) -> FloatArray:
    """Return the thresholds as an array.

    Raises
    ------
    ValueError
        For a negative threshold, an unknown method or rule.
    """
    limits = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if limits.ndim != 1 or not (limits >= 0).all():
        raise ValueError(f"thresholds must be numbers of at least 0, not {limits}")
    for value, allowed in ((method, get_args(Method)), (rule, get_args(Rule))):
        if value not in allowed:
            raise ValueError(f"expected one of {allowed}, not {value!r}")
    return limits


def _as_array(values: Any) -> npt.NDArray[Any]:
    if hasattr(values, "detach"):  # a tensor; torch itself is not needed here
        values = values.detach().cpu()
    return np.asarray(values)
