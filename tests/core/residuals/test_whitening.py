"""The likelihood of rows with correlated errors, from its definition."""

import numpy as np
import pytest
from correlated_cases import criterion_of, differences, somewhere
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from statsmodels_lmm.core.residuals import second_order
from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.moving_average import ARMA
from statsmodels_lmm.core.residuals.spatial import Exponential, Gaussian, Matern
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance

CASES = [
    # structure, unequal variances, sets of parameters, effects within groups, crossed
    (Toeplitz(), True, 2, 1, 0),
    (AnteDependence(), False, 2, 0, 1),
    (ARMA(2, 1), True, 1, 0, 0),
    (ARMA(0, 2), False, 2, 0, 0),
    (Exponential(nugget=True), True, 1, 1, 0),
    (Gaussian(), False, 1, 0, 1),
    (Matern(nugget=True), False, 1, 0, 0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_slopes_and_hessian(case):
    criterion = criterion_of(case)
    point = somewhere(criterion)
    slopes = criterion.evaluate(point).derivatives(True)
    gradient, hessian = differences(criterion, point, len(slopes.gradient))
    assert_allclose(slopes.gradient, gradient, atol=1e-7 * np.abs(gradient).max())
    assert_allclose(slopes.curvature, hessian, atol=1e-7 * np.abs(hessian).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_likelihood(case):
    # independent groups of a multivariate normal, with the structure's own matrices
    criterion = criterion_of((*case[:3], 0, 0), reml=False)
    model, rows = criterion.model, criterion.rows
    (point,) = somewhere(criterion)
    here = criterion.evaluate([point])
    parameters, _ = model.unfold(point.values)
    phi, gamma = model.split(parameters)
    sd = np.exp((model.log_sd - model.log_sd.mean(axis=0)) @ gamma)
    rest = rows.columns() @ here.contrast
    total = 0.0
    for batch in model.layout.batches:
        for group, p in zip(batch.rows, batch.patterns):
            matrix = model.structure.correlation(
                phi[batch.parts[p]], batch.where[p : p + 1]
            )[0]
            cov = here.scale * matrix * np.outer(sd[group], sd[group])
            total -= 2.0 * multivariate_normal(cov=cov).logpdf(rest[group])
    assert_allclose(here.value, total, rtol=1e-11)


def test_places_in_the_plane():
    rng = np.random.default_rng(1)
    places, groups = rng.random((30, 2)), np.arange(30) % 3
    layout = lay_out(groups, places, relative=True)
    model = ResidualCovariance(Exponential(), layout, 10, 1, np.zeros((30, 0)), 1.0)
    errors = model.at(model.fold([0.3]))
    distances = np.hypot(*(places[:, None] - places).T)
    expected = np.where(groups[:, None] == groups, np.exp(-distances / 0.3), 0.0)
    root = errors.colored(np.eye(30))
    assert_allclose(root @ root.T, expected, atol=1e-12)
    whitened = errors.apply(expected)
    assert_allclose(errors.apply(whitened.T), np.eye(30), atol=1e-11)


def test_large_blocks_one_at_a_time():
    # two patterns of 70 rows are factorized as those of fewer rows are
    places = np.random.default_rng(1).random(140)
    layout = lay_out(np.repeat([0, 1], 70), places, relative=True)
    model = ResidualCovariance(Gaussian(True), layout, 70, 1, np.zeros((140, 0)), 1.0)
    roots = model.at(model.start()).roots
    one, two = roots.lower[0], np.linalg.cholesky(roots.correlations[0])
    assert one.shape == (2, 70, 70)
    assert_allclose(one, two, atol=1e-12)
    assert_allclose(roots.inverses[0] @ one, np.array([np.eye(70)] * 2), atol=1e-10)


def test_second_derivatives_some_patterns_at_a_time(monkeypatch):
    criterion = criterion_of(CASES[1])
    point = somewhere(criterion)
    whole = criterion.evaluate(point).derivatives(True).curvature
    monkeypatch.setattr(second_order, "ENTRIES", 1)
    one_by_one = criterion.evaluate(point).derivatives(True).curvature
    assert_allclose(one_by_one, whole, rtol=1e-12, atol=1e-12)


def test_linear_structures_skip_second_derivatives():
    for structure in (Toeplitz(), Unstructured()):
        assert structure.is_linear
        bends = structure.second_derivative(np.zeros(3), np.array([[0, 1]]))
        assert_allclose(bends, np.zeros((3, 3, 1, 2, 2)))
