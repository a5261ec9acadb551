"""Cross-products that combine linearly, against dense matrices and whitened rows."""

from dataclasses import replace

import numpy as np
import pytest
from correlated_cases import criterion_of, somewhere
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines import fixed_sums as module
from statsmodels_lmm.core.engines.fixed_sums import FixedSums, fixed_sums
from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.equal_entries import equal_entries
from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.moving_average import ARMA
from statsmodels_lmm.core.residuals.patterns import PatternCovariance, Patterns
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.free_parameters import FreeParameters

CASES = [
    # structure, unequal variances, sets of parameters, effects within groups, crossed
    (Autoregressive(), False, 1, 2, 0),
    (CompoundSymmetry(), True, 1, 0, 0),
    (CompoundSymmetry(), False, 2, 1, 0),
    (Unstructured(), True, 2, 0, 0),
    (Toeplitz(), True, 2, 1, 0),
    (AnteDependence(), False, 2, 2, 0),
    (ARMA(2, 1), False, 1, 1, 0),
    (None, True, 1, 1, 0),
]


def entries_of(model):
    patterns = Patterns.of(model)
    return patterns, equal_entries(patterns, patterns.representatives(model))


def summed(criterion):
    """The criterion with fixed sums, whether they pay or not."""
    patterns, entries = entries_of(criterion.model)
    sums = FixedSums.of(criterion.engine, criterion.rows, patterns, entries)
    return replace(criterion, sums=sums)


def only_columns(layout, structure, log_sd=None, size=5):
    """A covariance of errors of rows that are laid out."""
    n = layout.n_rows
    log_sd = np.zeros((n, 0)) if log_sd is None else log_sd
    return ResidualCovariance(structure, layout, size, 1, log_sd, 4.0)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_sums_are_what_whitening_gives(case, reml):
    by_rows = criterion_of(case, reml)
    point = somewhere(by_rows)
    one, two = by_rows.evaluate(point), summed(by_rows).evaluate(point)
    assert two.errors is not None
    assert_allclose(two.value, one.value, rtol=1e-13)
    assert_allclose(two.coefficients, one.coefficients, rtol=1e-11)
    assert_allclose(two.slope, one.slope, atol=1e-11 * np.abs(one.slope).max())
    for exact in (False, True):
        mine, theirs = (d.derivatives(exact).curvature for d in (two, one))
        assert_allclose(mine, theirs, atol=1e-11 * np.abs(theirs).max())


@pytest.mark.parametrize("case", [CASES[0], CASES[4]], ids=["ar1", "toep"])
def test_products_are_those_of_a_dense_precision(case):
    criterion = summed(criterion_of(case))
    *_, phi = somewhere(criterion)
    products = criterion.products_at(phi.values)
    root = criterion.model.at(phi.values).colored(np.eye(products.nobs))
    precision = np.linalg.inv(root @ root.T)
    columns, (term,) = criterion.rows.columns(), criterion.engine.plan.terms
    z = term.indicator().toarray()
    assert_allclose(products.gram, columns.T @ precision @ columns, atol=1e-10)
    sums = (z.T @ precision @ columns).reshape(products.level_sums[0].shape)
    assert_allclose(products.level_sums[0], sums, atol=1e-10)
    whole = z.T @ precision @ z
    for g, block in enumerate(products.diagonal[0]):
        here = slice(g * len(block), (g + 1) * len(block))
        assert_allclose(block, whole[here, here], atol=1e-10)


@pytest.mark.parametrize("rho", [0.45, 0.99, 0.999999])
def test_digits_of_a_strong_autocorrelation(rho):
    by_rows = criterion_of(CASES[0])
    patterns, entries = entries_of(by_rows.model)
    sums = FixedSums.of(by_rows.engine, by_rows.rows, patterns, entries)
    x, one_of_each = by_rows.model.fold([rho]), patterns.representatives(by_rows.model)
    weights = entries.values(PatternCovariance.at(patterns, one_of_each, x))
    gram = np.tensordot(weights, sums.gram, 1)
    expected = by_rows.products_at(x).gram
    assert_allclose(gram, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_rows_are_whitened_where_digits_are_lost(monkeypatch):
    criterion = summed(criterion_of(CASES[0]))
    point = somewhere(criterion)
    assert criterion.evaluate(point).errors is not None
    monkeypatch.setattr(module, "LOST", 1.0)
    again = criterion.evaluate(point)
    assert again.errors is None
    assert_allclose(again.value, criterion.whitened.evaluate(point).value, rtol=1e-14)


def test_which_entries_are_equal():
    group, visit = np.divmod(np.arange(60), 5)
    whole = lay_out(group, 1.0 * visit, relative=True)
    _, ar1 = entries_of(only_columns(whole, Autoregressive()))
    assert ar1.count == 3  # ends, inner rows and neighbors
    _, cs = entries_of(only_columns(whole, CompoundSymmetry()))
    assert cs.count == 2
    _, us = entries_of(only_columns(lay_out(group, visit), Unstructured()))
    assert us.count == 15
    alone = lay_out(np.arange(60), np.zeros(60))
    log_sd = np.column_stack([visit == 1, visit == 2]).astype(float)
    _, sd = entries_of(only_columns(alone, None, log_sd))
    assert sd.count == 3
    kept = np.arange(60) != 7  # a gap of two steps, and its ends
    gaps = lay_out(group[kept], 1.0 * visit[kept], relative=True)
    _, ar1 = entries_of(only_columns(gaps, Autoregressive()))
    assert ar1.count == 5


def test_a_sum_that_does_not_hold_is_not_used():
    group, visit = np.divmod(np.arange(60), 5)
    model = only_columns(lay_out(group, 1.0 * visit, relative=True), Autoregressive())
    patterns, entries = entries_of(model)
    one_of_each = patterns.representatives(model)
    here = PatternCovariance.at(patterns, one_of_each, model.fold([0.5]))
    assert entries.values(here) is not None
    merged = replace(entries, labels=np.where(entries.labels == 3, 3, 0))
    assert merged.values(here) is None


def test_other_columns_and_responses():
    criterion = summed(criterion_of(CASES[0]))
    change = np.random.default_rng(1).standard_normal((3, 2))
    point = somewhere(criterion)
    mine, theirs = (c.turned(change) for c in (criterion, criterion.whitened))
    assert_allclose(mine.evaluate(point).value, theirs.evaluate(point).value)
    endog = np.random.default_rng(2).standard_normal(len(criterion.rows.endog))
    mine, theirs = (c.with_response(endog) for c in (criterion, criterion.whitened))
    one, two = mine.evaluate(point), theirs.evaluate(point)
    assert one.errors is not None
    assert_allclose(one.value, two.value, rtol=1e-13)
    assert_allclose(one.slope, two.slope, atol=1e-11)
    anew = summed(theirs).sums
    assert_allclose(mine.sums.gram, anew.gram, atol=1e-12)
    assert_allclose(mine.sums.sums, anew.sums, atol=1e-12)


def test_the_end_of_a_search_has_whitened_rows():
    criterion = summed(criterion_of(CASES[0]))
    one, _ = search_correlated(criterion, Settings())
    two, _ = search_correlated(criterion.whitened, Settings())
    assert one.errors is not None
    assert_allclose(one.value, two.value, rtol=1e-12)
    assert_allclose(one.whitening.x, two.whitening.x, atol=1e-7)
    assert_allclose(one.residuals, two.residuals, atol=1e-7)
    assert_allclose(one.variance_forms.traces(), two.variance_forms.traces(), rtol=1e-6)


def test_where_sums_pay():
    def of(case, **changes):
        criterion = criterion_of(case)
        model = replace(criterion.model, **changes)
        return fixed_sums(criterion.engine, criterion.rows, model)

    assert of((Autoregressive(), False, 1, 1, 0)) is not None
    assert of((CompoundSymmetry(), False, 1, 0, 0)) is not None
    # each row has a variance of its own
    assert of((Autoregressive(), True, 1, 1, 0)) is None
    # residual groups within levels of one factor only
    assert of((Autoregressive(), False, 1, 0, 1)) is None
    assert of((Autoregressive(), False, 1, 1, 1)) is None
    # each group has places of its own
    n = len(criterion_of(CASES[0]).rows.endog)
    places = np.random.default_rng(1).random(n)
    layout = lay_out(np.arange(n) // 5, places, relative=True)
    case = (ContinuousAutoregressive(), False, 1, 0, 0)
    assert of(case, layout=layout) is None


def test_sums_of_the_errors_alone():
    # without random effects and columns of X, a sum of squares and a determinant
    criterion = criterion_of((Unstructured(), False, 1, 0, 0), reml=False)
    rows = replace(criterion.rows, exog=criterion.rows.exog[:, :0])
    criterion = replace(criterion, rows=rows)
    point = [FreeParameters(criterion.model.start())]
    one, two = criterion.evaluate(point), summed(criterion).evaluate(point)
    assert_allclose(two.value, one.value, rtol=1e-13)
    assert_allclose(two.slope, one.slope, atol=1e-11)
