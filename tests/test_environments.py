"""Environment matrices and their clusters, against plain loops and by hand."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.cecv import cecv, layer_features
from lgdcnn_lib.elements import data_dir, element_table
from lgdcnn_lib.environments import (
    THRESHOLDS,
    cluster_labels,
    correlate,
    count_environments,
    environment_matrices,
)
from lgdcnn_lib.predictor import Predictor

ROOT3_2 = np.sqrt(3) / 2
# Three columns of mean 0 and sample standard deviation 1, to be checked on paper.
BY_HAND = np.array([[-1.0, -1, 0], [0, 1, -1], [1, 0, 1]])


# --- the definitions, word for word ---


def loop_matrix(x):
    x = np.asarray(x, dtype=np.float64)
    z = np.empty_like(x)
    for j in range(x.shape[1]):
        z[:, j] = (x[:, j] - x[:, j].mean()) / x[:, j].std(ddof=1)
    n = len(x)
    return np.array(
        [[np.corrcoef(z[i], z[k])[0, 1] for k in range(n)] for i in range(n)]
    )


def distance(a, b, rule="standard"):
    if len(a) != len(b):
        return np.inf
    if rule == "paper" and len(a) == 3:
        a, b = np.abs(a), np.abs(b)
    return np.abs(a - b).max()


def shares(a, b, t, rule):
    d = distance(a, b, rule)
    return d < t if rule == "paper" and len(a) == 3 else d <= t


def loop_leader(matrices, t, rule="standard"):
    labels = [None] * len(matrices)
    k = 0
    for i, leader in enumerate(matrices):
        if labels[i] is not None:
            continue
        labels[i] = k
        for j, other in enumerate(matrices):
            if labels[j] is None and shares(leader, other, t, rule):
                labels[j] = k
        k += 1
    return labels


def loop_complete(matrices, t, rule="standard"):
    clusters = [[i] for i in range(len(matrices))]

    def linkage(p, q):
        return max(distance(matrices[i], matrices[j], rule) for i in p for j in q)

    while len(clusters) > 1:
        pairs = [
            (linkage(p, q), a, a + 1 + b)
            for a, p in enumerate(clusters)
            for b, q in enumerate(clusters[a + 1 :])
        ]
        d, a, b = min(pairs)
        if not (d < t if rule == "paper" else d <= t):
            break
        clusters[a] += clusters.pop(b)
    labels = np.empty(len(matrices), dtype=int)
    for k, cluster in enumerate(sorted(clusters, key=min)):
        labels[cluster] = k
    return labels.tolist()


def random_features(rng, sizes, d=16):
    """Padded features of compounds with the given numbers of elements."""
    features = np.full((len(sizes), max(sizes), d), np.nan, dtype=np.float32)
    mask = np.arange(max(sizes)) < np.array(sizes)[:, None]
    features[mask] = rng.normal(size=(int(mask.sum()), d))
    return features, mask


def random_matrices(seed, n_compounds=40, low=3, high=6):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(low, high, n_compounds).tolist()
    return environment_matrices(*random_features(rng, sizes))


def mat2vec_matrices(n_compounds=40, seed=1):
    vectors = element_table("mat2vec").vectors
    rng = np.random.default_rng(seed)
    numbers = [
        rng.choice(np.arange(1, 90), size=4, replace=False) for _ in range(n_compounds)
    ]
    return list(correlate(vectors[np.array(numbers)]))


def trained_matrices(n_compounds=40):
    """What the last layer of a trained network sees in silicon compounds."""
    predictor = Predictor.load(data_dir() / "checkpoints/lg_dcnn.safetensors")
    formulas = load_benchmark("CritExam__Ef").test["formula"]
    chosen = cecv(predictor, formulas[formulas.str.contains("Si")]).formulas
    return layer_features(predictor, chosen[:n_compounds], "dcnn.3").matrices()


# --- environment matrices ---


def test_matrices_agree_with_the_definition():
    rng = np.random.default_rng(0)
    sizes = [3, 7, 4, 3, 2, 5, 4]
    features, mask = random_features(rng, sizes)
    matrices = environment_matrices(features, mask)
    for matrix, x, n in zip(matrices, features, sizes, strict=True):
        assert matrix.shape == (n, n)
        assert matrix.dtype == np.float64
        np.testing.assert_allclose(matrix, loop_matrix(x[:n]), atol=1e-12)
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(np.diag(matrix), 1.0)


def test_matrices_of_mat2vec_agree_with_the_definition():
    vectors = element_table("mat2vec").vectors
    for numbers in ([14, 8, 12], [26, 8, 3, 15], [1, 6, 7, 8, 11, 16, 17]):
        x = vectors[numbers]
        np.testing.assert_allclose(correlate(x[None])[0], loop_matrix(x), atol=1e-12)


def test_matrix_by_hand():
    [matrix] = environment_matrices(BY_HAND[None], np.ones((1, 3)))
    r = [matrix[0, 1], matrix[0, 2], matrix[1, 2]]
    np.testing.assert_allclose(r, [-ROOT3_2, 0.5, -ROOT3_2], atol=1e-15)


def test_matrices_ignore_padding_scale_and_offset_of_columns():
    rng = np.random.default_rng(2)
    features, mask = random_features(rng, [3, 4, 5])
    scale, offset = rng.uniform(1, 3, 16), rng.normal(size=16)
    wide = np.concatenate([features * scale + offset, np.full((3, 2, 16), 7e30)], 1)
    wide_mask = np.concatenate([mask, np.zeros((3, 2), bool)], 1)
    pairs = zip(
        environment_matrices(features, mask),
        environment_matrices(wide, wide_mask),
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_mask_may_have_gaps_and_chunks_do_not_show():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2500, 5, 4))
    mask = np.ones((2500, 5), bool)
    mask[:, 1] = False
    got = np.stack(environment_matrices(x, mask))
    np.testing.assert_array_equal(got, correlate(x[:, [0, 2, 3, 4]]))


def test_matrices_take_tensors_with_gradients():
    x = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    got = environment_matrices(x.requires_grad_(), torch.ones(2, 3, dtype=torch.bool))
    np.testing.assert_array_equal(np.stack(got), correlate(x))


def test_standardised_rows_sum_to_zero_so_the_matrix_is_singular():
    matrices = np.stack(
        environment_matrices(*random_features(np.random.default_rng(4), [5] * 20))
    )
    assert np.abs(np.linalg.eigvalsh(matrices)[:, 0]).max() < 1e-12


def test_one_and_two_elements_are_trivial():
    rng = np.random.default_rng(5)
    np.testing.assert_array_equal(correlate(rng.normal(size=(4, 1, 8))), 1.0)
    pairs = correlate(rng.normal(size=(4, 2, 8)))
    np.testing.assert_allclose(pairs, [[[1, -1], [-1, 1]]] * 4, atol=1e-12)


def test_constant_columns_count_for_nothing():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(4, 6))
    x[:, 2] = 0.1  # the rounded mean of four 0.1 need not be 0.1
    x[:, 4] = 1 / 3
    z = x.copy()
    for j in (0, 1, 3, 5):
        z[:, j] = (x[:, j] - x[:, j].mean()) / x[:, j].std(ddof=1)
    z[:, [2, 4]] = 0
    np.testing.assert_allclose(correlate(x[None])[0], np.corrcoef(z), atol=1e-12)


def test_constant_rows_correlate_with_nothing_but_themselves():
    column = np.array([0.3, 1.1, -0.7], dtype=np.float32)
    same = np.stack(
        [column, 2.7 * column, 0.9 * column + 1], axis=1
    )  # but for rounding
    for x in (same, column[:, None], np.ones((3, 5))):
        np.testing.assert_array_equal(correlate(x[None])[0], np.eye(3))
    half = np.array([[0.0, 0, 0], [1, 2, 1], [2, 1, 1.5]])  # only row 0 is constant
    half -= half.mean(axis=0)
    half[0] = 0
    half[2] = -half[1]
    np.testing.assert_allclose(
        correlate(half[None])[0], [[1, 0, 0], [0, 1, -1], [0, -1, 1]], atol=1e-12
    )


@pytest.mark.parametrize(
    ("features", "mask", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), "shape"),
        (np.ones((2, 3, 4)), np.ones((2, 4)), "shape"),
        (np.ones((2, 3, 4)), [[1, 1, 1], [0, 0, 0]], "compound 1 has no element"),
        ([[[1.0], [2]], [[1], [np.nan]]], np.ones((2, 2)), "compound 1 has a feature"),
    ],
)
def test_matrices_refuse(features, mask, message):
    with pytest.raises(ValueError, match=message):
        environment_matrices(np.asarray(features), np.asarray(mask))


def test_no_compounds_no_matrices():
    assert environment_matrices(np.zeros((0, 4, 8)), np.zeros((0, 4))) == []


# --- counts and labels ---

LOOPS = {"leader": loop_leader, "complete": loop_complete}
SETS = {
    "trained": trained_matrices,
    "random": lambda: random_matrices(0),
    "small": lambda: random_matrices(7, n_compounds=12, low=2, high=4),
    "mat2vec": mat2vec_matrices,
}


@pytest.mark.parametrize("rule", ["standard", "paper"])
@pytest.mark.parametrize("method", ["leader", "complete"])
@pytest.mark.parametrize("name", SETS)
def test_clusters_agree_with_loops(name, method, rule):
    matrices = SETS[name]()
    thresholds = (0.05, 0.2, 0.4, 0.8, 1.2)
    counts = count_environments(matrices, thresholds, method, rule)
    for t, count in zip(thresholds, counts, strict=True):
        expected = LOOPS[method](matrices, t, rule)
        labels = cluster_labels(matrices, t, method, rule)
        assert labels.tolist() == expected
        assert count == max(expected) + 1


def test_three_compounds_by_hand():
    a, b = BY_HAND, BY_HAND[[0, 2, 1]]
    c = 10 * BY_HAND[:, [2, 0, 1]] + 3  # the environment of a, seen in other units
    matrices = environment_matrices(np.stack([a, b, c]), np.ones((3, 3)))
    # The entries of a and c are (-.866, .5, -.866), those of b (.5, -.866, -.866).
    for method in ("leader", "complete"):
        assert count_environments(matrices, [0.05, 1.36, 1.37], method).tolist() == [
            2,
            2,
            1,
        ]
        assert cluster_labels(matrices, 0.05, method).tolist() == [0, 1, 0]
        # Without signs a and b differ by .866 - .5 = .366 only.
        paper = count_environments(matrices, [0.35, 0.4], method, "paper")
        assert paper.tolist() == [2, 1]


def test_rules_differ_at_the_threshold_itself():
    def matrix(r, n):
        return np.eye(n) + r * (np.ones((n, n)) - np.eye(n))

    for n, expected in ((3, 2), (4, 1)):
        pair = [matrix(0.5, n), matrix(0.75, n)]  # exact in binary
        for method in ("leader", "complete"):
            assert count_environments(pair, 0.25, method).tolist() == [1]
            found = count_environments(pair, 0.25, method, "paper")
            assert found.tolist() == [expected]


matrix_sets = st.tuples(st.integers(0, 10_000), st.integers(1, 25)).map(
    lambda seed_n: random_matrices(seed_n[0], seed_n[1], 1, 6)
)


@settings(deadline=None, max_examples=50)  # a busy machine is no failure
@given(matrix_sets)
def test_counts_lie_between_groups_and_compounds(matrices):
    n_groups = len({len(m) for m in matrices})
    for method in ("leader", "complete"):
        counts = count_environments(matrices, method=method)
        assert counts.shape == (len(THRESHOLDS),)
        assert (counts <= len(matrices)).all()
        assert (counts >= n_groups).all()
        assert count_environments(matrices, [2.0], method).tolist() == [n_groups]


@settings(deadline=None, max_examples=50)  # a busy machine is no failure
@given(matrix_sets)
def test_complete_linkage_never_rises_with_the_threshold(matrices):
    counts = count_environments(matrices, np.linspace(0, 2, 41), "complete")
    assert (np.diff(counts) <= 0).all()


@settings(deadline=None, max_examples=50)  # a busy machine is no failure
@given(matrix_sets, st.randoms(use_true_random=False))
def test_complete_linkage_does_not_depend_on_the_order(matrices, random):
    order = list(range(len(matrices)))
    random.shuffle(order)
    shuffled = [matrices[i] for i in order]
    expected = count_environments(matrices, method="complete")
    got = count_environments(shuffled, method="complete")
    assert got.tolist() == expected.tolist()
    pairs = cluster_labels(matrices, 0.3, "complete")[order]
    again = cluster_labels(shuffled, 0.3, "complete")
    assert ((pairs[:, None] == pairs) == (again[:, None] == again)).all()


def offset_matrix(a, b, c):
    return np.array([[1, a, b], [a, 1, c], [b, c, 1]], dtype=float)


def test_complete_linkage_does_not_depend_on_the_order_with_ties():
    line = [offset_matrix(r / 4, 0, 0) for r in range(4)]  # 0, 1/4, 1/2, 3/4: all ties
    orders = ([0, 1, 2, 3], [1, 2, 0, 3], [2, 1, 3, 0], [3, 1, 1, 2, 0, 2])
    counts = {
        tuple(count_environments([line[i] for i in order], [0.25, 0.5], "complete"))
        for order in orders
    }
    assert len(counts) == 1


def test_in_a_complete_cluster_all_pairs_are_within_the_threshold():
    matrices = random_matrices(3, 60)
    labels = cluster_labels(matrices, 0.35, "complete")
    for k in range(labels.max() + 1):
        members = [m for m, label in zip(matrices, labels, strict=True) if label == k]
        assert max(distance(a, b) for a in members for b in members) <= 0.35


def test_leader_counts_may_rise_with_the_threshold():
    # At .18 the second leads the last two. At .20 the first takes the second, and the
    # last two, .32 apart, are left to lead themselves.
    matrices = [
        offset_matrix(*r)
        for r in [(0, 0, 0), (0.2, 0, 0), (0.36, 0.16, 0), (0.36, -0.16, 0)]
    ]
    assert count_environments(matrices, [0.18, 0.20]).tolist() == [2, 3]
    # It also happens to matrices of features, if seldom.
    rises = sum(
        (np.diff(count_environments(list(correlate(x)))) > 0).any()
        for x in np.random.default_rng(0).normal(size=(300, 10, 3, 8))
    )
    assert 0 < rises < 30


def test_leader_counts_may_depend_on_the_order():
    chain = [offset_matrix(r, 0, 0) for r in (0, 0.15, 0.3)]
    assert count_environments(chain, [0.2]).tolist() == [2]
    assert count_environments([chain[1], chain[0], chain[2]], [0.2]).tolist() == [1]


def test_no_matrix_no_environment():
    for method in ("leader", "complete"):
        assert count_environments([], method=method).tolist() == [0] * 8
        assert cluster_labels([], 0.2, method).tolist() == []
        assert count_environments([np.eye(4)], method=method).tolist() == [1] * 8


def test_bad_options_and_matrices_are_refused():
    eye = np.eye(3)
    with pytest.raises(ValueError, match="at least 0"):
        count_environments([eye], [-0.1])
    with pytest.raises(ValueError, match="at least 0"):
        count_environments([eye], [np.nan])
    with pytest.raises(ValueError, match="'single'"):
        count_environments([eye], method="single")
    with pytest.raises(ValueError, match="'strict'"):
        cluster_labels([eye], 0.1, rule="strict")
    with pytest.raises(ValueError, match="matrix 1 is not square"):
        count_environments([eye, np.ones((2, 3))])
    with pytest.raises(ValueError, match="matrix 1 is not symmetric"):
        count_environments([eye, np.triu(np.ones((3, 3)))])
    with pytest.raises(ValueError, match="matrix 0 is not symmetric, or not finite"):
        count_environments([np.full((3, 3), np.nan), eye])


@pytest.mark.parametrize(("method", "limit"), [("leader", 2.0), ("complete", 15.0)])
def test_speed_on_five_thousand_matrices_of_four_elements(method, limit):
    x = np.random.default_rng(0).uniform(-1, 1, size=(5000, 6))  # hardly any cluster
    matrices = np.tile(np.eye(4), (5000, 1, 1))
    rows, columns = np.triu_indices(4, 1)
    matrices[:, rows, columns] = matrices[:, columns, rows] = x
    start = time.process_time()
    count_environments(list(matrices), method=method)
    seconds = time.process_time() - start
    assert seconds < limit


def test_at_a_strict_zero_nothing_is_within_the_threshold():
    equal = [np.array([[1, 0.2, 0.3], [0.2, 1, 0.4], [0.3, 0.4, 1]])] * 4
    other = [np.eye(3)]
    for method in ("leader", "complete"):
        for matrices in (equal, equal + other):
            [count] = count_environments(matrices, [0], method, "paper")
            assert count == len(matrices)


def test_labels_belong_to_one_threshold():
    with pytest.raises(ValueError, match="one threshold, not to 2"):
        cluster_labels([np.eye(3)], [0.1, 0.2])
