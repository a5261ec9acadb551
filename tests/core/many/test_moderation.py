"""Moderated variances by the published formulas, worked by hand."""

import numpy as np
import pytest
from scipy import special, stats

from statsmodels_lmm.core.many.moderation import (
    Prior,
    _winsorized_moments,
    inverse_trigamma,
    prior_of,
    robust_prior_of,
)


def simulated(n=4000, df=6.0, d0=10.0, s0=2.0, seed=0):
    """Variances that follow the hierarchical model."""
    rng = np.random.default_rng(seed)
    true = s0 * d0 / rng.chisquare(d0, n)
    return true * rng.chisquare(df, n) / df, np.full(n, df)


def test_the_prior_solves_the_equations_of_its_moments():
    s2, df = np.array([0.4, 1.1, 0.2, 9.0, 2.5, 0.05]), np.array([4.0, 5, 4, 6, 5, 4])
    prior = prior_of(s2, df)
    e = np.log(s2) - special.digamma(df / 2) + np.log(df / 2)
    excess = e.var(ddof=1) - np.mean([special.polygamma(1, d / 2) for d in df])
    d0 = prior.df[0]
    np.testing.assert_allclose(special.polygamma(1, d0 / 2), excess)
    expected = np.exp(e.mean() + special.digamma(d0 / 2) - np.log(d0 / 2))
    np.testing.assert_allclose(prior.variance, expected)
    by_hand = (d0 * expected + df * s2) / (d0 + df)
    np.testing.assert_allclose(prior.posterior(s2, df), by_hand)


def test_equal_variances_are_one():
    s2, df = np.array([1.0, 1.1, 0.9, 1.05]), np.full(4, 8.0)
    prior = prior_of(s2, df)
    assert np.isinf(prior.df).all()
    np.testing.assert_array_equal(prior.posterior(s2, df), prior.variance)
    robust = robust_prior_of(s2, df)
    assert np.isinf(robust.df).all()


@pytest.mark.parametrize("value", [1e-4, 0.3, 1.0, 40.0, 1e4])
def test_the_inverse_of_trigamma(value):
    found = inverse_trigamma(value)
    np.testing.assert_allclose(special.polygamma(1, found), value, rtol=1e-9)


@pytest.mark.parametrize("find", [prior_of, robust_prior_of])
def test_parameters_are_found_again(find):
    prior = find(*simulated())
    assert abs(np.median(prior.df) - 10.0) < 1.5
    assert abs(prior.variance - 2.0) < 0.1


def test_winsorized_moments_are_those_of_draws():
    rng, law = np.random.default_rng(1), stats.f(5, 9)
    ends = np.log(law.ppf([0.05, 0.9]))
    draws = np.clip(np.log(law.rvs(400_000, random_state=rng)), *ends)
    mean, variance = _winsorized_moments(5, 9)
    np.testing.assert_allclose(
        [mean, variance], [draws.mean(), draws.var()], atol=0.005
    )


def test_outliers_keep_their_variances_and_leave_the_others_alone():
    s2, df = simulated()
    clean = robust_prior_of(s2, df)
    s2[:80] *= 200.0
    usual, robust = prior_of(s2, df), robust_prior_of(s2, df)
    assert usual.df[0] < 0.5 * clean.df.max()
    assert abs(robust.df.max() - clean.df.max()) < 2.0
    assert (robust.df[:80] < 0.5 * robust.df.max()).mean() > 0.9
    # the larger the variance, the fewer degrees of freedom
    order = np.argsort(s2)
    assert (np.diff(robust.df[order]) <= 1e-12).all()


def test_unequal_degrees_of_freedom_keep_their_tails():
    s2, df = simulated()
    df[::2] = 3.0
    s2[::2] = simulated(df=3.0, seed=5)[0][::2]
    prior = robust_prior_of(s2, df)
    assert abs(np.median(prior.df) - 10.0) < 2.5


def test_a_prior_of_many_degrees_of_freedom_decides():
    prior = Prior(2.0, np.array([np.inf, 1e12, 0.0]))
    found = prior.posterior(np.array([5.0, 5.0, 5.0]), np.full(3, 4.0))
    np.testing.assert_allclose(found, [2.0, 2.0, 5.0], rtol=1e-9)


def test_one_outlier_is_the_median_of_its_own_prior():
    s2, df = simulated()
    s2[0] *= 1e4
    prior = robust_prior_of(s2, df)
    others = robust_prior_of(s2[1:], df[1:])
    assert prior.df.argmin() == 0
    np.testing.assert_allclose(prior.df[1:].max(), others.df.max(), rtol=0.02)
    above = stats.f.sf(s2[0] / prior.variance, 6.0, prior.df[0])
    np.testing.assert_allclose(above, 0.5, atol=0.03)
