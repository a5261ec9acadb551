"""Many standardized responses are single ones, with rows of their own or not."""

import numpy as np
from many_designs import design, responses, responses_of, rows

from statsmodels_lmm.core.many.standardized_responses import standardized, weighted_gram


def test_they_are_single_ones():
    model = design("unbalanced")
    y = responses_of(model, 6)
    data, _ = model._sufficient_statistics()
    found = standardized(data, y)
    for i in range(6):
        one = data.with_response(y[i])
        np.testing.assert_allclose(found.values[i], one.endog, atol=1e-9)
        np.testing.assert_allclose(found.least_squares[i], one.least_squares)
        np.testing.assert_allclose(found.scale[i], one.response_scale)
    assert found.take([1]).scale == found.scale[1]


def test_own_weights_are_weighted_least_squares():
    frame = rows()
    model = design("slopes")
    data, _ = model._sufficient_statistics()
    y, rng = responses(frame, 6), np.random.default_rng(0)
    w = rng.uniform(0.5, 2.0, y.shape) * (rng.random(y.shape) > 0.2)
    y[w == 0.0] = 1e9  # never read
    found = standardized(data, y, w)
    for i in range(6):
        root = np.sqrt(w[i])
        b = np.linalg.lstsq(model.exog * root[:, None], y[i] * root)[0]
        np.testing.assert_allclose(found.least_squares[i], b, rtol=1e-7)
        rest = np.where(w[i] > 0, y[i] - model.exog @ b, 0.0)
        scale = np.sqrt((w[i] * rest**2).sum() / (w[i] > 0).sum())
        np.testing.assert_allclose(found.scale[i], scale, rtol=1e-7)
        np.testing.assert_allclose(found.values[i], rest / scale, atol=1e-6)


def test_the_weighted_gram():
    x, w = np.random.default_rng(0).normal(size=(9, 3)), np.arange(18.0).reshape(2, 9)
    expected = [x.T @ np.diag(each) @ x for each in w]
    np.testing.assert_allclose(weighted_gram(x, w), expected)


def test_a_steep_trend_costs_no_digits():
    model = design("slopes")
    data, _ = model._sufficient_statistics()
    y = responses_of(model, 2) + 1e9 * model.exog[:, 1]
    found = standardized(data, y)
    assert np.abs(found.values @ data.exog).max() < 1e-10 * model.nobs
    whole = standardized(data, y, np.ones(y.shape))
    assert np.abs(whole.values @ data.exog).max() < 1e-10 * model.nobs
