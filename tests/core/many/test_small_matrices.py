"""Algebra with the responses last is that of one matrix after the other."""

import numpy as np
import pytest

from statsmodels_lmm.core.many.small_matrices import (
    inner,
    inverse_root,
    shared_times,
    times,
    within,
)

RNG = np.random.default_rng(0)


def test_products():
    a, b = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(4, 3, 2, 5))
    np.testing.assert_allclose(times(a, b), np.einsum("abr,xbcr->xacr", a, b))
    t, j = RNG.normal(size=(4, 3, 3, 5)), RNG.normal(size=(3, 3, 5))
    expected = np.einsum("abr,xbcr,dcr->xadr", j, t, j)
    np.testing.assert_allclose(within(j, t), expected)
    np.testing.assert_allclose(inner(t, t), (t**2).sum(axis=(1, 2)))
    m = RNG.normal(size=(6, 2))
    np.testing.assert_allclose(shared_times(m, a), np.einsum("xa,abr->xbr", m, a))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_inverse_roots(k):
    half = RNG.normal(size=(7, k, k + 2))
    matrices = half @ half.swapaxes(1, 2)
    inverse, logdet = inverse_root(np.moveaxis(matrices, 0, -1))
    np.testing.assert_allclose(logdet, np.linalg.slogdet(matrices)[1])
    expected = np.linalg.inv(np.linalg.cholesky(matrices))
    np.testing.assert_allclose(np.moveaxis(inverse, -1, 0), expected, atol=1e-12)


def test_indefinite_matrices_have_no_root():
    with pytest.raises(np.linalg.LinAlgError):
        inverse_root(np.array([[[1.0, -1.0]]]))
