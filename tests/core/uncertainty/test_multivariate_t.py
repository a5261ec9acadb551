"""The largest of correlated t statistics against cases with a known distribution."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, special, stats

from statsmodels_lmm.core.uncertainty.multivariate_t import LargestT
from statsmodels_lmm.core.uncertainty.studentized_range import range_isf, range_sf

LOADINGS = np.array([0.5, -0.8, 0.7, 0.3])
QUASI_RANDOM = 3e-4
"""Error of probabilities by a quasi-random sequence."""


def correlation(loadings):
    return np.outer(loadings, loadings) + np.diag(1.0 - loadings**2)


def given_the_common_one(t, loadings, two_sided):
    """The probability for normal variables by adaptive integration."""
    rest = np.sqrt(1.0 - loadings**2)

    def none_larger(z):
        upper = special.ndtr((t - loadings * z) / rest)
        lower = special.ndtr((-t - loadings * z) / rest) if two_sided else 0.0
        return np.prod(upper - lower) * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)

    return 1.0 - integrate.quad(none_larger, -9.0, 9.0, epsabs=1e-11)[0]


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("m", [2, 4])
def test_products(m, two_sided):
    loadings = LOADINGS[:m]
    largest = LargestT(correlation(loadings), two_sided)
    t = np.array([0.8 if two_sided else -0.8, np.nan])
    found = largest.sf(t, np.full(2, np.inf))
    expected = given_the_common_one(t[0], loadings, two_sided)
    assert_allclose(found, [expected, np.nan], rtol=1e-8)
    df = np.array([3.0, 40.5])
    assert_allclose(largest.sf(largest.isf(0.05, df), df), 0.05, rtol=1e-9)


def test_a_single_statistic_is_students():
    t, df = np.array([-1.0, 0.5, 4.0]), np.array([2.0, 7.5, 30.0])
    assert_allclose(LargestT(np.eye(1), False).sf(t, df), stats.t.sf(t, df), rtol=1e-10)


def test_independent_and_equal_statistics():
    t, df = np.array([0.7, 2.5]), np.full(2, np.inf)
    alone = 2.0 * stats.norm.sf(t)
    independent = LargestT(np.eye(3), True).sf(t, df)
    assert_allclose(independent, 1.0 - (1.0 - alone) ** 3, rtol=1e-9)
    assert_allclose(LargestT(np.ones((2, 2)), True).sf(t, df), alone, rtol=1e-9)


@pytest.mark.parametrize("two_sided", [True, False])
def test_two_common_variables(two_sided):
    """As in Dunnett's comparisons with a covariate; by Gauss and Hermite's rule."""
    rows = np.array([12.0, 7.0, 9.0, 5.0, 8.0])
    differences = np.hstack([-np.ones((4, 1)), np.eye(4)])
    covariate = differences @ [0.3, -0.5, 0.1, 0.9, -0.7]
    covariance = differences @ np.diag(1.0 / rows) @ differences.T
    covariance += np.outer(covariate, covariate) / 9.0
    errors = np.sqrt(np.diag(covariance))
    largest = LargestT(covariance / np.outer(errors, errors), two_sided)
    assert largest.loadings.shape == (4, 2)
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1)[..., None, :]
    shared = np.stack([np.full(4, rows[0] ** -0.5), covariate / 3.0], axis=1)
    shared /= errors[:, None]
    rest = np.sqrt(1.0 - (shared**2).sum(axis=1))
    shift, t = (z * shared).sum(axis=-1), 2.1
    lower = special.ndtr((-t - shift) / rest) if two_sided else 0.0
    none = np.prod(special.ndtr((t - shift) / rest) - lower, axis=-1)
    expected = 1.0 - weights @ none @ weights / (2.0 * np.pi)
    found = largest.sf(np.array([t]), np.array([np.inf]))
    assert_allclose(found, expected, rtol=1e-7)
    df = np.array([7.0])
    assert_allclose(largest.sf(largest.isf(0.05, df), df), 0.05, rtol=1e-9)


@pytest.mark.parametrize("two_sided", [True, False])
def test_directions_agree_with_integrals(two_sided):
    """After a change of the correlations that is too small to matter."""
    loadings = np.append(LOADINGS, 0.6)
    exact = LargestT(correlation(loadings), two_sided)
    near = correlation(loadings)
    change = 1e-6 * np.sin(np.arange(25.0)).reshape(5, 5)
    near += change + change.T - 2.0 * np.diag(np.diag(change))
    found = LargestT(near, two_sided)
    assert found.loadings is None
    t = np.array([0.4, 1.5, 2.5, 3.0 if two_sided else -0.5, np.nan])
    for df in (4.0, np.inf):
        same = np.full(len(t), df)
        assert_allclose(found.sf(t, same), exact.sf(t, same), atol=QUASI_RANDOM)
    df = np.array([9.0])
    assert_allclose(found.isf(0.05, df), exact.isf(0.05, df), rtol=2e-3)


def test_all_differences_have_the_distribution_of_their_range():
    """Whose correlations are singular."""
    pairs = np.array(
        [np.eye(4)[a] - np.eye(4)[b] for a, b in combinations(range(4), 2)]
    )
    largest = LargestT(0.5 * pairs @ pairs.T, True)
    t, df = np.array([1.0, 2.5, 4.0]), np.full(3, 12.0)
    expected = range_sf(np.sqrt(2.0) * t, 4, df)
    assert_allclose(largest.sf(t, df), expected, atol=QUASI_RANDOM)
    critical = range_isf(0.05, 4, df) / np.sqrt(2.0)
    assert_allclose(largest.isf(0.05, df), critical, rtol=2e-3)
