"""The deviance with correlated errors, against dense algebra and differences."""

from dataclasses import replace

import numpy as np
import pytest
from correlated_cases import criterion_of, design, differences, somewhere
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria import correlated_forms
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.core.structures.free_parameters import FreeParameters

CASES = [
    # structure, unequal variances, sets of parameters, effects within groups, crossed
    (Autoregressive(), False, 1, 2, 0),
    (CompoundSymmetry(), True, 1, 0, 0),
    (Unstructured(), True, 2, 1, 0),
    (ContinuousAutoregressive(), True, 2, 1, 2),
    (Autoregressive(), False, 1, 0, 1),
    (None, True, 1, 1, 1),
]


def dense_value(case, criterion, point):
    """-2 log-likelihood with beta and sigma at their best, from n x n matrices."""
    endog, exog, terms, _ = design(*case)
    *factors, phi = point
    whitening = criterion.model.at(phi.values)
    v = whitening.colored(whitening.colored(np.eye(len(endog))).T).T
    by_place = [
        factors[criterion.engine.plan.order.index(i)] for i in range(len(terms))
    ]
    for term, factor in zip(terms, by_place):
        z = term.indicator().toarray()
        v = v + z @ np.kron(np.eye(term.n_levels), factor.covariance) @ z.T
    inverse = np.linalg.inv(v)
    inner = exog.T @ inverse @ exog
    beta = np.linalg.solve(inner, exog.T @ inverse @ endog)
    rest = endog - exog @ beta
    nu = len(endog) - (exog.shape[1] if criterion.reml else 0)
    scale = rest @ inverse @ rest / nu
    value = np.linalg.slogdet(v)[1] + nu * (1.0 + np.log(2.0 * np.pi * scale))
    return value + (np.linalg.slogdet(inner)[1] if criterion.reml else 0.0)


@pytest.mark.parametrize(
    "case", CASES, ids=["ar1", "csh", "us", "car1", "crossed", "sd"]
)
@pytest.mark.parametrize("reml", [True, False])
def test_value_slopes_and_hessian(case, reml):
    criterion = criterion_of(case, reml)
    point = somewhere(criterion)
    here = criterion.evaluate(point)
    assert_allclose(here.value, dense_value(case, criterion, point), rtol=1e-11)
    slopes = here.derivatives(True)
    gradient, hessian = differences(criterion, point, len(slopes.gradient))
    assert_allclose(slopes.gradient, gradient, atol=1e-7 * np.abs(gradient).max())
    assert_allclose(slopes.curvature, hessian, atol=1e-7 * np.abs(hessian).max())


def test_average_information_is_the_average():
    # the mean over responses of the exact Hessian at the truth is the expected one, and
    # so is that of the average information
    case = CASES[1]
    criterion = criterion_of(case)
    point = somewhere(criterion)
    whitening = criterion.model.at(point[-1].values)
    rng, exact, average = np.random.default_rng(3), 0.0, 0.0
    for _ in range(100):
        endog = whitening.colored(rng.standard_normal(len(criterion.rows.endog)))
        rows = replace(criterion.rows, endog=endog)
        here = replace(criterion, rows=rows).evaluate(point)
        exact = exact + here.derivatives(True).curvature / 100
        average = average + here.derivatives().curvature / 100
    assert_allclose(average, exact, atol=0.15 * np.abs(exact).max())


def test_centered_and_plain_columns_are_the_same_model():
    criterion = criterion_of(CASES[1])
    plain = replace(criterion, model=replace(criterion.model, is_centered=False))
    x = criterion.model.start() + 0.3
    one = criterion.evaluate([FreeParameters(x)])
    two = plain.evaluate([FreeParameters(x)])
    assert_allclose(one.value, two.value, rtol=1e-12)
    ratio = np.exp(2.0 * one.whitening.mean_log_deviation)
    assert_allclose(one.scale, two.scale * ratio, rtol=1e-12)


def test_whitened_draws_are_independent():
    criterion = criterion_of(CASES[3])
    whitening = criterion.model.at(criterion.model.start() + 0.2)
    identity = np.eye(len(criterion.rows.endog))
    assert_allclose(whitening.apply(whitening.colored(identity)), identity, atol=1e-12)
    assert_allclose(
        whitening.log_determinant,
        2.0 * np.linalg.slogdet(whitening.colored(identity))[1],
        atol=1e-10,
    )


@pytest.mark.parametrize("case", [CASES[1], CASES[3]], ids=["csh", "car1"])
def test_traces_by_pattern_are_those_by_rows(case, monkeypatch):
    criterion = criterion_of(case)
    point = somewhere(criterion)
    found = []
    for entries in (10**8, 0):
        monkeypatch.setattr(correlated_forms, "ENTRIES", entries)
        pairs = criterion.evaluate(point).variance_forms.pairs
        found.append([*pairs.blocks, pairs.plain, pairs.once, pairs.twice])
    for one, two in zip(*found):
        assert_allclose(one, two, rtol=1e-10, atol=1e-10 * np.abs(two).max())
