"""Moments by effect column, from whole model matrices."""

import numpy as np
import pytest
from engine_cases import DESIGNS, case
from numpy.testing import assert_allclose


def seen(factor):
    """The model matrix of the levels, before those of a precision are turned."""
    z = factor.indicator()
    return z.toarray() if hasattr(z, "toarray") else np.asarray(z)


@pytest.mark.parametrize("name", DESIGNS)
def test_sums(name):
    rows, _, engine = case(name)
    found = engine.gather(rows).moments()
    factors = engine.plan.terms
    z = np.hstack([seen(f) for f in factors])
    label, width = [], 0
    for f in factors:
        label += (width + np.tile(np.arange(f.k_effects), f.n_levels)).tolist()
        width += f.k_effects
    of = np.eye(width)[label]
    gram, t = z.T @ z, z.T @ rows.endog
    a = np.diag(gram)
    inverse = np.where(a > 1e-9, 1.0 / np.where(a > 1e-9, a, 1.0), 0.0)
    close = {"rtol": 1e-9, "atol": 1e-9}
    assert_allclose(found.squares, of.T @ (inverse[:, None] * gram**2) @ of, **close)
    assert_allclose(found.between, of.T @ (inverse * t**2), **close)
    assert_allclose(found.traces, of.T @ a, **close)
    assert_allclose(found.counts, of.T @ (inverse > 0))
