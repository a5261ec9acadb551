"""Shifts and scales leave the standardized data; the way back is exact."""

import numpy as np
import pytest
from dense_twin import design

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.standardize import (
    constant_column,
    independent_columns,
    standardize,
)

# as many digits as the shift or scale leaves, and two less
CLOSE = 1e-12


def effects_of(data):
    return data.terms[0].effects


def same(first, second, tolerance=CLOSE):
    np.testing.assert_allclose(first.endog, second.endog, atol=tolerance)
    np.testing.assert_allclose(first.exog, second.exog, atol=tolerance)
    for a, b in zip(first.terms, second.terms):
        np.testing.assert_allclose(a.effects, b.effects, atol=tolerance)


@pytest.fixture
def data():
    return design("one factor, 3 effects")


def test_standardized_units(data):
    found = standardize(data.endog, data.exog, data.terms)
    n, p = data.exog.shape
    assert np.mean(found.endog**2) == pytest.approx(1.0)
    np.testing.assert_allclose(found.exog.T @ found.exog / n, np.eye(p), atol=1e-13)
    np.testing.assert_allclose(found.exog.T @ found.endog, 0.0, atol=1e-11)
    z = found.terms[0].effects
    np.testing.assert_allclose(z.T @ z / n, np.eye(3), atol=1e-12)


def test_the_way_back(data):
    found = standardize(data.endog, data.exog, data.terms)
    beta = np.linalg.lstsq(data.exog, data.endog)[0]
    np.testing.assert_allclose(found.least_squares, beta, rtol=1e-12)
    residual = data.endog - data.exog @ beta
    np.testing.assert_allclose(found.endog * found.response_scale, residual, atol=1e-12)
    np.testing.assert_allclose(found.exog, data.exog @ found.to_fixed, atol=1e-12)
    z = effects_of(data)
    back = found.terms[0].effects
    np.testing.assert_allclose(z @ found.to_effects[0], back, atol=1e-12)
    logdet = np.linalg.slogdet(data.exog.T @ data.exog / len(z))[1]
    assert 2 * found.log_fixed == pytest.approx(logdet)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scales(data, scale):
    plain = standardize(data.endog, data.exog, data.terms)
    scaled = standardize(data.endog * scale, data.exog, data.terms)
    same(plain, scaled)
    assert scaled.response_scale == pytest.approx(plain.response_scale * scale)
    exog = data.exog * [1.0, scale, 1.0 / scale]
    same(plain, standardize(data.endog, exog, data.terms))
    f = data.terms[0]
    effects = f.effects * [1.0, scale, 1.0 / scale]
    other = GroupedEffects(f.codes, f.n_levels, effects, f.blocks)
    same(plain, standardize(data.endog, data.exog, [other]))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_large_mean_of_whole_numbers_costs_no_digit(data, weighted):
    """They are stored exactly, so what is left of the response is the same."""
    rng = np.random.default_rng(1)
    y = rng.integers(-1000, 1000, len(data.endog)).astype(float)
    weights = rng.uniform(0.5, 2.0, len(y)) if weighted else None
    plain = standardize(y, data.exog, data.terms, weights)
    moved = standardize(y + 2.0**40, data.exog, data.terms, weights)
    np.testing.assert_allclose(moved.endog, plain.endog, atol=1e-10)
    assert moved.response_scale == pytest.approx(plain.response_scale, rel=1e-10)


@pytest.mark.parametrize("shift", [1e3, 1e8])
def test_shifts(data, shift):
    """A shift takes its digits from the column; the rest is kept."""
    plain = standardize(data.endog, data.exog, data.terms)
    tolerance = 1e-14 * shift
    moved = standardize(data.endog + shift, data.exog, data.terms)
    same(plain, moved, tolerance)
    assert moved.least_squares[0] == pytest.approx(plain.least_squares[0] + shift)
    np.testing.assert_allclose(
        moved.least_squares[1:], plain.least_squares[1:], atol=tolerance
    )
    exog = data.exog + [0.0, shift, -shift]
    same(plain, standardize(data.endog, exog, data.terms), tolerance)
    f = data.terms[0]
    effects = f.effects + [0.0, shift, -shift]
    other = GroupedEffects(f.codes, f.n_levels, effects, f.blocks)
    same(plain, standardize(data.endog, data.exog, [other]), tolerance)


def test_adding_fixed_effects(data):
    plain = standardize(data.endog, data.exog, data.terms)
    moved = standardize(data.endog + data.exog @ [3.0, 4.0, 5.0], data.exog, [])
    np.testing.assert_allclose(moved.endog, plain.endog, atol=CLOSE)
    np.testing.assert_allclose(
        moved.least_squares, plain.least_squares + [3.0, 4.0, 5.0], rtol=1e-12
    )


def test_residuals_are_orthogonal(data):
    """Also to columns that explain all but a billionth of the response."""
    endog = data.endog + 1e9 * data.exog[:, 1]
    found = standardize(endog, data.exog, data.terms)
    assert np.abs(found.exog.T @ found.endog / len(endog)).max() < 1e-14


def test_weights(data):
    """Weighted data are data multiplied by the roots of the weights."""
    w = np.random.default_rng(1).uniform(0.5, 2.0, len(data.endog))
    root = np.sqrt(w)
    found = standardize(data.endog, data.exog, data.terms, w)
    beta = np.linalg.lstsq(data.exog * root[:, None], data.endog * root)[0]
    np.testing.assert_allclose(found.least_squares, beta, rtol=1e-12)
    np.testing.assert_allclose(
        found.endog * found.response_scale,
        (data.endog - data.exog @ beta) * root,
        atol=1e-12,
    )
    back = data.terms[0].effects @ found.to_effects[0] * root[:, None]
    np.testing.assert_allclose(found.terms[0].effects, back, atol=1e-12)
    assert found.log_weights == pytest.approx(np.log(w).sum())


def test_blocks_are_not_mixed():
    data = design("one factor, blocks 1 and 2")
    change = standardize(data.endog, data.exog, data.terms).to_effects[0]
    assert not change[0, 1:].any()
    assert not change[1:, 0].any()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_rank(data, scale):
    """Redundant columns are found whatever their scale, the later ones dropped."""
    a, b, c = data.exog.T
    exog = np.column_stack([a, b, (a - 2 * b) * scale, c * scale, np.zeros_like(a)])
    assert standardize(data.endog, exog, data.terms).kept.tolist() == [0, 1, 3]
    noise = np.random.default_rng(1).standard_normal(len(a))
    nearly = np.column_stack([a, b, a - 2 * b + 1e-4 * noise])
    assert standardize(data.endog, nearly, data.terms).kept.tolist() == [0, 1, 2]


def test_independent_columns():
    assert independent_columns(np.zeros((4, 2))).tolist() == []
    x = np.arange(4.0)[:, None]
    assert independent_columns(np.hstack([x, 1e-300 * x, x**2])).tolist() == [0, 2]


def test_constant_column():
    x = np.arange(3.0)[:, None]
    assert constant_column(np.hstack([x, 0 * x, 0 * x + 2])) == 2
    assert constant_column(x) is None
    assert constant_column(x[:, :0]) is None


def test_a_constant_after_columns_that_span_it_is_the_one_dropped():
    """Of dependent columns the later one goes, wherever the constant stands."""
    rng = np.random.default_rng(5)
    level = np.arange(30) % 3
    dummies = np.eye(3)[level]
    x = rng.standard_normal(30)
    groups = GroupedEffects(np.arange(30) % 5, 5, np.ones((30, 1)), (1,))
    for weights in (None, rng.uniform(0.5, 2.0, 30)):
        last = np.column_stack([dummies, x, np.ones(30)])
        y = rng.standard_normal(30)
        assert standardize(y, last, [groups], weights).kept.tolist() == [0, 1, 2, 3]
        first = np.column_stack([np.ones(30), dummies, x])
        assert standardize(y, first, [groups], weights).kept.tolist() == [0, 1, 2, 4]
        middle = np.column_stack([x + 1e8, np.ones(30), dummies])
        assert standardize(y, middle, [groups], weights).kept.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_another_response_of_the_same_design(data, weighted, shift):
    """It is standardized as if it were the first one, and nothing else is new."""
    n = len(data.endog)
    weights = np.linspace(0.5, 2.0, n) if weighted else None
    exog = np.column_stack([data.exog, 3.0 * data.exog[:, 2] + shift])
    first = standardize(data.endog, exog, data.terms, weights)
    y = shift + np.cos(np.arange(n))
    found = first.with_response(y)
    expected = standardize(y, exog, data.terms, weights)
    for name in ("endog", "least_squares", "response_scale"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one, other, rtol=1e-14, atol=0.0)
    for name in ("exog", "terms", "kept", "to_fixed", "to_effects", "root_weights"):
        assert getattr(found, name) is getattr(first, name)
    assert found.criterion_shift(True) == expected.criterion_shift(True)


def test_a_response_that_is_nearly_fitted_keeps_its_digits(data):
    """The second projection takes off what the first one leaves by rounding."""
    rest = np.cos(np.arange(len(data.endog)))
    q = np.linalg.qr(data.exog)[0]
    rest -= q @ (q.T @ rest)
    found = standardize(data.endog, data.exog, data.terms).with_response(
        1e6 * data.exog[:, 1] + 1e-6 * rest
    )
    assert np.abs(found.exog.T @ found.endog).max() < 1e-12 * len(rest)
