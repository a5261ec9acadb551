"""Means over the distribution of the random effects, against other integrals."""

import numpy as np
import pandas as pd
import pytest
from generalized_samples import (
    cbpp,
    differenced_covariance,
    every_parameter,
    fitted,
    slopes,
)
from numpy.testing import assert_allclose
from scipy import integrate, stats

from statsmodels_lmm import matrix_effects
from statsmodels_lmm.core.families.links import Power
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.inference.prediction.population_mean import (
    mean_slopes,
    population_mean,
)
from statsmodels_lmm.models.generalized import CrossedMixedGLM


def integral(family, eta, variance):
    """By adaptive integration."""

    def weighed(x):
        value = float(family.mean(np.asarray(eta + np.sqrt(variance) * x)))
        return value * stats.norm.pdf(x)

    return integrate.quad(weighed, -12.0, 12.0, epsabs=1e-13)[0]


@pytest.mark.parametrize("name", ["binomial", "poisson", "log gamma"])
def test_one_row(name):
    family = fitted(name).family
    for eta, variance in ((-2.0, 0.3), (0.4, 1.5), (1.0, 0.0)):
        found = population_mean(family, np.array([eta]), np.array([variance]))
        assert_allclose(found, integral(family, eta, variance), rtol=1e-6)


def test_the_mean_of_a_log_normal():
    family = fitted("poisson").family
    eta, variance = np.array([-1.0, 0.5]), np.array([0.7, 2.0])
    expected = np.exp(eta + variance / 2.0)
    assert_allclose(population_mean(family, eta, variance), expected, rtol=1e-12)
    found = mean_slopes(family, eta, variance)
    assert_allclose(found, [expected, expected / 2.0], rtol=1e-10)


def test_a_mean_beyond_the_range_of_the_link():
    family, eta = Poisson(Power(0.5)), np.array([9.0, 1.0, np.nan])
    with pytest.warns(DataWarning, match="1 of 3 means .* the range of the sqrt link"):
        means = population_mean(family, eta, np.ones(3))
    assert_allclose(means, [82.0, np.nan, np.nan])


def test_slopes_where_nothing_varies():
    family = fitted("binomial").family
    first, second = mean_slopes(family, np.array([0.3]), np.zeros(1))
    assert_allclose(first, family.mean_slope(np.array([0.3])))
    assert second == 0.0


def rows_of(name):
    """Each row's random effects as a function of theta, and its design."""
    fit = fitted(name)

    def variance(theta):
        if name == "gamma":
            root = np.array([[theta[0], 0.0], [theta[1], theta[2]]])
            z = fit.model.random[0].grouped.effects
            return ((z @ root) ** 2).sum(axis=1)
        return np.full(len(fit.model.endog), (theta**2).sum())

    return variance


@pytest.mark.parametrize("name", ["binomial", "rows", "poisson", "gamma", "log gamma"])
def test_predictions_and_their_standard_errors(name):
    fit, variance = fitted(name), rows_of(name)
    known = fit.model._offset
    p, m = len(fit.params), len(fit.theta)

    def means(point):
        eta = fit.model.exog @ point[:p] + (0.0 if known is None else known)
        return population_mean(fit.family, eta, variance(point[p : p + m]))

    point, covariance = every_parameter(fit), differenced_covariance(name)
    found = fit.get_prediction(random_effects="average")
    assert_allclose(found.predicted, means(point), rtol=1e-8)
    assert_allclose(fit.predict(random_effects="average"), means(point), rtol=1e-8)
    jacobian = slopes(means, point, 1e-4 * np.sqrt(np.diag(covariance)))
    expected = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    assert_allclose(found.se, expected, rtol=1e-4)
    link = found.linear_predictor
    assert_allclose(fit.family.mean(link), found.predicted)
    reach = stats.norm.isf(0.025) * found.se / np.abs(fit.family.mean_slope(link))
    ends = fit.family.mean(link[:, None] + reach[:, None] * [-1.0, 1.0])
    assert_allclose(found.conf_int(), np.sort(ends, axis=1))


def test_without_fixed_effects_among_the_parameters():
    fast = fitted("binomial").model.fit(nagq=0)
    found = fast.get_prediction(random_effects="average").se
    careful = fitted("binomial").get_prediction(random_effects="average").se
    assert_allclose(found, careful, rtol=0.1)


def test_levels_are_new_also_in_the_rows_of_the_fit():
    herds = sorted(cbpp()["herd"].unique())
    matrix = np.full((15, 15), 0.3) + np.diag(np.linspace(0.7, 2.0, 15))
    fit = CrossedMixedGLM.from_formula(
        "prop ~ period + (1|herd)",
        cbpp(),
        weights="size",
        relationship={"herd": pd.DataFrame(matrix, herds, herds)},
    ).fit()
    found = fit.get_prediction(random_effects="average")
    new = fit.get_prediction(cbpp(), random_effects="average")
    assert_allclose(found.predicted, new.predicted)
    assert_allclose(found.se, new.se)


def test_a_matrix_of_random_effects():
    z = np.random.default_rng(1).standard_normal((56, 8))
    fit = CrossedMixedGLM(
        cbpp()["prop"].to_numpy(),
        np.ones((56, 1)),
        [matrix_effects(z, name="snp")],
        weights=cbpp()["size"].to_numpy(),
    ).fit()
    eta = np.full(56, fit.params[0])
    spread = fit.vcomp.iloc[0] * (z**2).sum(axis=1)
    expected = population_mean(fit.family, eta, spread)
    assert_allclose(fit.predict(random_effects="average"), expected)
    x, random = np.ones((3, 1)), {"snp": z[:3]}
    found = fit.get_prediction(x, random_effects="average", random=random)
    assert_allclose(found.predicted, expected[:3])
    whole = fit.get_prediction(random_effects="average")
    assert_allclose(found.se, whole.se[:3])


def test_a_singular_fit():
    found = fitted("binary").get_prediction(random_effects="average")
    assert np.isfinite(found.se).all()
    assert (found.se > 0.0).all()


@pytest.mark.parametrize(("cov_type", "groups"), [("rx", None), ("CR1", "herd")])
def test_the_covariance_that_was_asked_for(cov_type, groups):
    """Of the parameters of which the average is a function, by differences."""
    fit = fitted("binomial").with_cov_type(cov_type, groups=groups)
    new = pd.DataFrame({"period": ["1", "3"]})
    design = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]])
    point, step = np.append(fit.params, fit.theta), 1e-5

    def means(parameters):
        beta, sd = parameters[:-1], np.full(2, parameters[-1])
        return population_mean(fit.family, design @ beta, sd**2)

    slopes = [
        (means(point + e) - means(point - e)) / (2.0 * step) for e in step * np.eye(5)
    ]
    covariance = np.zeros((5, 5))
    covariance[:4, :4] = fit.cov_params()
    if groups is not None:
        # clusters' gradients of the log-likelihood, by their own models
        inverse = np.linalg.inv(-fit.model.hessian(point))
        data, scores = cbpp(), []
        for herd in data["herd"].unique():
            rest = CrossedMixedGLM.from_formula(
                "prop ~ period + (1|herd)", data[data["herd"] != herd], weights="size"
            )
            scores.append(fit.model.score(point) - rest.score(point))
        moves = np.array(scores) @ inverse
        covariance = 15.0 / 14.0 * moves.T @ moves
        assert_allclose(covariance[:4, :4], fit.cov_params(), rtol=1e-4, atol=1e-6)
    slopes = np.array(slopes)
    expected = np.sqrt(np.diag(slopes.T @ covariance @ slopes))
    found = fit.get_prediction(new, random_effects="average").se
    assert_allclose(found, expected, rtol=1e-4)
