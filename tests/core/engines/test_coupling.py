"""Both kinds of coupling say the same."""

import numpy as np
import pytest
from dense_twin import design, products_of
from engine_cases import case
from scipy import sparse

from statsmodels_lmm.core.engines.coupling import DenseCoupling, SparseCoupling

LEVELS, EFFECTS, COLUMNS = 8, 2, 11


def pair(k=EFFECTS, max_pairs=60_000_000, share=0.4, seed=1):
    """The same coupling held densely and sparsely; one level has no entry."""
    rng = np.random.default_rng(seed)
    occupied = rng.random((LEVELS, 1, COLUMNS)) < share
    occupied[3] = False
    values = np.where(occupied, rng.standard_normal((LEVELS, k, COLUMNS)), 0.0)
    level, column = np.nonzero(occupied[:, 0])
    rows = (level * k)[:, None] + np.arange(k)
    columns = np.repeat(column, k)
    entries = values[level, :, column].ravel()
    matrix = sparse.csr_array(
        (entries, (rows.ravel(), columns)), shape=(LEVELS * k, COLUMNS)
    )
    matrix.sort_indices()
    return DenseCoupling(values), SparseCoupling(matrix, k, max_pairs)


@pytest.mark.parametrize("share", [0.15, 0.4])
@pytest.mark.parametrize("max_pairs", [60_000_000, 0])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_verbs(k, max_pairs, share):
    dense, held_sparsely = pair(k, max_pairs, share)
    rng = np.random.default_rng(2)
    weights = rng.standard_normal((LEVELS, k, k))
    weights = weights + weights.swapaxes(1, 2)
    middle = rng.standard_normal((COLUMNS, COLUMNS))
    middle = middle + middle.T
    rows = rng.standard_normal((LEVELS, k, 4))
    columns = rng.standard_normal((COLUMNS, 4))
    outer = rng.standard_normal((LEVELS, k, k))
    t = dense.values

    gram = sum(t[g].T @ weights[g] @ t[g] for g in range(LEVELS))
    quadratic = np.array([t[g] @ middle @ t[g].T for g in range(LEVELS)])
    transposed = sum(t[g].T @ rows[g] for g in range(LEVELS))
    times = np.array([t[g] @ columns for g in range(LEVELS)])
    for link in (dense, held_sparsely):
        # of a sparse coupling's gram only the lower triangle is meant
        np.testing.assert_allclose(np.tril(link.gram(weights)), np.tril(gram), 1e-12)
        np.testing.assert_allclose(link.quadratic(middle), quadratic, 1e-11, 1e-13)
        np.testing.assert_allclose(link.transposed_times(rows), transposed, 1e-12)
        np.testing.assert_allclose(link.times(columns), times, 1e-12, 1e-14)
    summed = sum(outer[g] @ quadratic[g] @ outer[g].T for g in range(LEVELS))
    found = held_sparsely.quadratic_sum(outer, np.tril(middle))
    np.testing.assert_allclose(found, summed, 1e-11)


@pytest.mark.parametrize("max_pairs", [60_000_000, 0])
def test_quadratic_reads_the_lower_triangle(max_pairs):
    """A sparsely coupled tail leaves the upper triangle of its inverse open."""
    _, link = pair(1, max_pairs)
    rng = np.random.default_rng(3)
    middle = rng.standard_normal((COLUMNS, COLUMNS))
    middle = middle + middle.T
    got = link.quadratic(np.tril(middle))
    np.testing.assert_allclose(got, link.quadratic(middle), 1e-11, 1e-13)


def test_minus():
    dense, _ = pair()
    change = np.random.default_rng(4).standard_normal(dense.values.shape)
    assert (dense.minus(change).values == dense.values - change).all()


def test_zero_effects_are_held(monkeypatch):
    """The rows of a level share a pattern even if an effect is zero there."""
    data = design("2 crossed, 2 effects each")
    data.terms[1].effects[data.terms[1].codes == 2, 1] = 0.0
    dense = products_of(data).coupling[0].values
    link = products_of(data, monkeypatch).coupling[0]
    k = link.k_effects
    sizes = np.diff(link.matrix.indptr).reshape(-1, k)
    assert (sizes == sizes[:, :1]).all()
    assert np.array_equal(link.matrix.toarray().reshape(dense.shape), dense)


def test_couplings_of_two_patterns_are_not_added():
    rows, _, engine = case("2 crossed, sparsely")
    one = engine.gather(rows).coupling[0]
    cut = one.matrix.copy()
    cut.data[:3] = 0.0
    cut.eliminate_zeros()
    with pytest.raises(ValueError, match="of the same engine"):
        one + type(one)(cut, one.k_effects)


@pytest.mark.parametrize("share", [0.15, 0.4])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("max_pairs", [60_000_000, 0])
def test_factor_of_the_rest(max_pairs, k, share):
    """What is left of Z_t'Z_t, scaled, with the identity."""
    dense, link = pair(k, max_pairs, share)
    rng = np.random.default_rng(8)
    weights = rng.standard_normal((LEVELS, k, k))
    weights = weights @ weights.swapaxes(-1, -2)
    tail = dense.gram(np.broadcast_to(30.0 * np.eye(k), weights.shape))
    scale = rng.uniform(0.5, 2.0, COLUMNS)
    wanted = np.eye(COLUMNS) + np.outer(scale, scale) * (tail - dense.gram(weights))
    found = link.rest_cholesky(sparse.csr_array(tail), weights, scale).root
    assert not np.triu(found, 1).any()
    np.testing.assert_allclose(found @ found.T, wanted, rtol=1e-12, atol=1e-12)
