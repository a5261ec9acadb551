"""Related levels as independent ones: Z (C (x) I) against Z (K (x) I) Z', n x n."""

import numpy as np
import pytest
from dense_twin import dense_z
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.related_effects import RelatedEffects, related

N, LEVELS, SEEN = 31, 8, 6


def correlated(seed, size):
    """A regular covariance matrix with different variances."""
    root = np.random.default_rng(seed).standard_normal((size, size + 3))
    return root @ root.T / size


def relationship(kind):
    """K of LEVELS levels, regular or singular in one of the usual ways."""
    k = correlated(3, LEVELS)
    if kind == "identity":
        return np.eye(LEVELS)
    if kind == "duplicates":
        twins = [0, 0, 2, 3, 4, 4, 6, 7]
        return k[np.ix_(twins, twins)]
    if kind == "low rank":
        markers = np.random.default_rng(5).standard_normal((LEVELS, 3))
        return markers @ markers.T
    if kind == "zero row":
        k[2] = k[:, 2] = 0.0
    if kind == "unseen zero row":
        k[7] = k[:, 7] = 0.0
    return {"small": 1e-6, "large": 1e6}.get(kind, 1.0) * k


KINDS = [
    "regular",
    "identity",
    "duplicates",
    "low rank",
    "zero row",
    "unseen zero row",
    "small",
    "large",
]


def grouped(kind, k_effects=1, seed=0):
    """Rows of SEEN of the levels, in no order, with effects of different sizes."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.concatenate([np.arange(SEEN), np.zeros(N - SEEN, int)]))
    codes[codes == 0] = rng.integers(SEEN, size=(codes == 0).sum())
    codes[:SEEN] = np.arange(SEEN)[::-1]
    effects = np.column_stack(
        [rng.uniform(0.5, 2.0, N), rng.standard_normal((N, k_effects - 1))]
    )
    blocks = (k_effects,)
    known = Relationship(relationship(kind))
    return GroupedEffects(codes, LEVELS, effects, blocks, (None,), known)


def raw(kind, n, is_sparse):
    """A model matrix for the LEVELS columns."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal((n, LEVELS)) * (rng.random((n, LEVELS)) < 0.6)
    known = None if kind is None else Relationship(relationship(kind))
    return RawEffects(sparse.csr_array(z) if is_sparse else z, known)


def toarray(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def whole(factor, known):
    """Z of the levels and K (x) I."""
    z = dense_z(factor) if isinstance(factor, GroupedEffects) else factor.indicator()
    return toarray(z), np.kron(known, np.eye(factor.k_effects))


def check_verbs(found, z):
    """Everything that is done with a model matrix, against the matrix."""
    rng = np.random.default_rng(8)
    n, k = len(z), found.k_effects
    columns, rows = rng.standard_normal((n, 3)), rng.standard_normal((2, n))
    b = rng.standard_normal((4, 2, found.n_levels, k))
    shape = found.n_levels, k
    assert found.n_columns == z.shape[1] == found.n_levels * k
    assert_allclose(toarray(found.indicator()), z, atol=1e-12 * abs(z).max())
    sums = (z.T @ columns).reshape(*shape, 3)
    tolerance = {"rtol": 1e-9, "atol": 1e-11 * abs(z).max()}
    assert_allclose(found.level_sums(columns), sums, **tolerance)
    sums = (rows @ z).reshape(2, *shape)
    assert_allclose(found.transposed_times(rows), sums, **tolerance)
    product = b.reshape(4, 2, -1) @ z.T
    assert_allclose(found.times(b), product, **tolerance)
    some = np.array([4, 0, 4, 2])
    assert_allclose(toarray(found.take(some).indicator()), z[some], **tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_one_effect_is_rotated(kind):
    factor = grouped(kind)
    found = related(factor)
    z, k = whole(factor, factor.relationship.matrix)
    assert isinstance(found, RelatedEffects)
    columns = z @ found.root
    size = abs(k).max()
    assert_allclose(columns @ columns.T, z @ k @ z.T, atol=1e-11 * size)
    # orthogonal columns, and as few of them as the rank of what the data see
    gram = columns.T @ columns
    assert_allclose(gram, np.diag(found.squares), atol=1e-11 * abs(gram).max())
    assert_allclose(found.diagonal_blocks()[:, 0, 0], found.squares)
    assert found.n_levels == np.linalg.matrix_rank(z @ k @ z.T, tol=1e-9 * size)
    check_verbs(found, columns)


@pytest.mark.parametrize("kind", KINDS)
def test_several_effects(kind):
    factor = grouped(kind, 3)
    found = related(factor)
    z, k = whole(factor, factor.relationship.matrix)
    columns = z @ np.kron(found.root, np.eye(3))
    assert_allclose(columns @ columns.T, z @ k @ z.T, atol=1e-11 * abs(k).max())
    check_verbs(found, columns)
    m = np.random.default_rng(1).standard_normal((LEVELS * 3, 5))
    expected = np.kron(found.root, np.eye(3)).T @ m
    assert_allclose(found.independent(m), expected, atol=1e-11 * abs(expected).max())
    assert_allclose(found.independent(sparse.csr_array(m)), found.independent(m))


@pytest.mark.parametrize("k_effects", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_levels_without_rows(kind, k_effects):
    """They are the regression on those seen, and what it leaves."""
    factor = grouped(kind, k_effects)
    known, found = factor.relationship.matrix, related(factor)
    size = abs(known).max()
    seen, unseen = np.arange(SEEN), np.arange(SEEN, LEVELS)
    of_seen = known[np.ix_(seen, seen)]
    across = known[np.ix_(unseen, seen)]
    slopes = across @ np.linalg.pinv(of_seen, rcond=1e-10, hermitian=True)
    explained = found.root @ found.root.T
    assert_allclose(explained[:SEEN, :SEEN], of_seen, atol=1e-10 * size)
    assert_allclose(explained[SEEN:, :SEEN], slopes @ of_seen, atol=1e-9 * size)
    left = np.zeros_like(known)
    left[SEEN:, SEEN:] = known[SEEN:, SEEN:] - slopes @ across.T
    assert_allclose(found.left_over_matrix, left, atol=1e-9 * size)
    assert_allclose(found.left_over, np.diag(left), atol=1e-9 * size)
    assert (found.left_over >= 0.0).all()
    modes = np.random.default_rng(7).standard_normal((found.n_levels, k_effects))
    assert_allclose(found.level_modes(modes), found.root @ modes, rtol=1e-12)


@pytest.mark.parametrize("effect", [0.0, 1e-300, 1e-17, 1e-9, 1e-7, 1e-5])
def test_level_that_the_data_hardly_see(effect):
    """A level whose effect column is (almost) zero is predicted from the others."""
    factor = grouped("regular")
    effects = np.where(factor.codes[:, None] == 3, effect, factor.effects)
    factor = factor.at(factor.codes, effects)
    found = related(factor)
    k = factor.relationship.matrix
    others = np.array([g for g in range(SEEN) if g != 3])
    across = np.linalg.solve(k[np.ix_(others, others)], k[others, 3])
    # the covariances of what is seen with all levels are those of K
    root = found.root
    assert_allclose(root[others] @ root.T, k[others], atol=1e-8)
    # what it has of its own is known to eps / effect^2 only, or not needed at all
    total = (root[3] ** 2).sum() + found.left_over[3]
    assert_allclose(total, k[3, 3], rtol=1e-5)
    assert (root[3] ** 2).sum() >= across @ k[others, 3] - 1e-9


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("n", [5, LEVELS, 30])
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_matrix_of_its_own(kind, n, is_sparse):
    factor = raw(kind, n, is_sparse)
    found = related(factor)
    known = np.eye(LEVELS) if kind is None else relationship(kind)
    z, size = toarray(factor.matrix), abs(known).max()
    columns = z @ found.root
    assert_allclose(columns @ columns.T, z @ known @ z.T, atol=1e-10 * size)
    gram = columns.T @ columns
    assert_allclose(gram, np.diag(found.squares), atol=1e-10 * abs(gram).max())
    check_verbs(found, columns)
    # C C' never has more than K has, and explains all covariances with the rows
    left = found.left_over_matrix
    assert_allclose(left, known - found.root @ found.root.T, atol=1e-12 * size)
    assert np.linalg.eigvalsh(left)[0] > -1e-10 * size
    assert_allclose(z @ left, 0.0, atol=1e-9 * size)
    assert_allclose(found.left_over, np.diag(left), atol=1e-9 * size)


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("kind", [None, "regular", "low rank"])
def test_variances_of_rows(kind, is_sparse):
    factor = raw(kind, 12, is_sparse)
    known = np.eye(LEVELS) if kind is None else relationship(kind)
    z = toarray(factor.matrix)
    forms = np.diag(z @ known @ z.T)
    assert_allclose(factor.forms(), forms, rtol=1e-12)
    root = np.array([[0.7]])
    assert_allclose(factor.row_variances(root), 0.49 * forms, rtol=1e-12)
    by_level = grouped("regular", 2)
    root = np.array([[0.7, 0.0], [0.3, 1.1]])
    z, k = dense_z(by_level), by_level.relationship.matrix
    expected = np.diag(z @ np.kron(k, root @ root.T) @ z.T)
    assert_allclose(by_level.row_variances(root), expected, rtol=1e-12)


def test_unrelated_levels_are_left_as_they_are():
    rng = np.random.default_rng(0)
    factor = GroupedEffects(rng.integers(3, size=9), 3, np.ones((9, 1)), (1,))
    assert related(factor) is factor


def test_rows_of_one_random_effect_each():
    """Where predictions meet the factor: new codes and effects, the same C."""
    rng = np.random.default_rng(4)
    codes, effects = rng.integers(LEVELS, size=7), rng.standard_normal((7, 2))
    found = related(grouped("regular", 2)).at(codes, effects)
    z = dense_z(GroupedEffects(codes, LEVELS, effects, (2,)))
    assert_allclose(found.indicator(), z @ np.kron(found.root, np.eye(2)), atol=1e-13)
    found = related(raw("regular", 20, False)).at(codes, effects[:, :1])
    z = np.zeros((7, LEVELS))
    z[np.arange(7), codes] = effects[:, 0]
    assert_allclose(found.indicator(), z @ found.root, atol=1e-13)


def test_order_of_levels_does_not_matter():
    factor = grouped("regular")
    order = np.random.default_rng(6).permutation(LEVELS)
    known = factor.relationship.matrix
    other = GroupedEffects(
        np.argsort(order)[factor.codes],
        LEVELS,
        factor.effects,
        (1,),
        (None,),
        Relationship(known[np.ix_(order, order)]),
    )
    one, two = related(factor), related(other)
    assert_allclose(two.squares, one.squares, rtol=1e-10)
    assert_allclose(two.left_over, one.left_over[order], atol=1e-12)
    covariance = one.root @ one.root.T
    assert_allclose(two.root @ two.root.T, covariance[np.ix_(order, order)], atol=1e-11)


def test_root_and_subset_of_a_relationship():
    known = Relationship(relationship("low rank"))
    assert known.root.shape == (LEVELS, 3)
    assert_allclose(known.root @ known.root.T, known.matrix, atol=1e-12)
    among = known.among(np.array([4, 1]))
    assert_array_equal(among.matrix, known.matrix[[4, 1]][:, [4, 1]])
    assert_array_equal(known.variances, np.diag(known.matrix))


@pytest.mark.parametrize("k_effects", [1, 2])
def test_nothing_to_be_seen(k_effects):
    """Levels without variance, or an effect column of zeros: no random effects."""
    factor = grouped("regular", k_effects)
    nothing = [
        factor.at(factor.codes, 0.0 * factor.effects),
        GroupedEffects(
            factor.codes,
            LEVELS,
            factor.effects,
            factor.blocks,
            (None,),
            Relationship(np.zeros((LEVELS, LEVELS))),
        ),
    ]
    for each in nothing:
        found = related(each)
        z = toarray(found.indicator())
        assert_allclose(z @ z.T, np.zeros((N, N)))
