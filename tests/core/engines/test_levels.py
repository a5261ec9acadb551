"""Levels when they are eliminated, against inverses of single matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines.levels import (
    level_gram,
    solve_levels,
    sum_by_parent,
)


@pytest.mark.parametrize("kind", ["regular", "singular", "zero"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_one_level_at_a_time(k, kind):
    rng = np.random.default_rng(k)
    half = rng.standard_normal((4, 6, k))
    diagonal, root = half.swapaxes(1, 2) @ half, np.tril(rng.standard_normal((k, k)))
    root[:, -1] *= kind == "regular"
    root *= kind != "zero"
    half, inner, logdet = solve_levels(diagonal, root)
    s, total = root @ root.T, 0.0
    for g, a in enumerate(diagonal):
        j = np.linalg.inv(np.eye(k) + a @ s)
        assert_allclose(inner[g], j, atol=1e-12)
        assert_allclose(half[g].T @ half[g], s @ j, atol=1e-12)
        total += np.linalg.slogdet(np.eye(k) + a @ s)[1]
    assert logdet == pytest.approx(total, abs=1e-12)


def test_sums_by_parent():
    values = np.arange(24.0).reshape(2, 4, 1, 3)
    found = sum_by_parent(values, np.array([0, 0, 1, 1]))
    assert_allclose(found, [v.reshape(2, 2, 1, 3).sum(axis=1) for v in values])


def test_gram_of_all_levels():
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 5, 3, 2)), rng.standard_normal((5, 3, 4))
    wanted = np.einsum("rgka,gkb->rab", left, right)
    assert_allclose(level_gram(left, right), wanted, atol=1e-13)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("k", [1, 2, 3])
def test_weights_below_zero_are_no_warning(k):
    diagonal = np.stack([np.eye(k), -2.0 * np.eye(k)])
    if k == 1:
        assert np.isnan(solve_levels(diagonal, np.eye(k))[2])
        return
    with pytest.raises(np.linalg.LinAlgError):
        solve_levels(diagonal, np.eye(k))
