"""What sums leave open is what their rows leave open."""

import numpy as np
import pytest
from dense_twin import SHAPES, design

from statsmodels_lmm.core.engines.choice import (
    sufficient_statistics,
    sufficient_statistics_of_sums,
)
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.rows.standardized_sums import standardize_sums
from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.core.uncertainty.identification import flat_directions
from statsmodels_lmm.core.uncertainty.identification_of_sums import (
    flat_directions_of_sums,
)


def cases():
    base = design("2 crossed")
    rng, n = np.random.default_rng(0), 44
    first, second = base.terms
    ones = np.ones((n, 1))
    halves = (np.arange(n) % 2 == 0).astype(float)
    each = GroupedEffects(np.arange(n), n, ones, (1,))
    twin = first.at(3 - first.codes, ones)
    groups = GroupedEffects(np.arange(n) // 4, 11, ones, (1,))
    apart = np.column_stack([halves, 1.0 - halves])
    x = rng.standard_normal(n)
    dependent = np.column_stack([x, -2.0 * x])
    by_half = GroupedEffects(np.arange(n) % 6, 6, apart, (2,))
    between = groups.at(groups.codes, dependent)
    return {
        "same levels twice": (first, second, twin),
        "a level for each row": (first, each),
        "effects that never meet": (second, by_half),
        "dependent within levels": (
            GroupedEffects(between.codes, 11, between.effects, (2,)),
            second,
        ),
        "a level for each row, and twice": (each, first, twin),
    }


CASES = cases()


def both(terms, exog, reml, weights=None):
    endog = design("2 crossed").endog
    data = standardize(endog, exog, terms, weights)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    count = sum(f.n_parameters for f in terms)
    informative = np.ones(count, dtype=bool)
    rows = flat_directions(data, products, reml, informative)
    data = standardize_sums(SummedRows.of(endog, exog, terms, weights))
    products = sufficient_statistics_of_sums(data.sums, data.terms)
    return rows, flat_directions_of_sums(data, products, reml, informative)


def projector(directions):
    basis = np.linalg.qr(directions)[0]
    return basis @ basis.T


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_the_same_directions_are_flat(name, reml):
    exog = design("2 crossed").exog
    rows, sums = both(CASES[name], exog, reml)
    assert rows.shape == sums.shape
    assert sums.shape[1]
    np.testing.assert_allclose(projector(sums), projector(rows), atol=1e-6)


def test_the_projection_off_the_fixed_effects_counts():
    """With group means among the fixed effects only differences are informative."""
    n = 44
    base = design("2 crossed")
    exog = np.eye(22)[np.arange(n) // 2]
    each = GroupedEffects(np.arange(n), n, np.ones((n, 1)), (1,))
    rows, sums = both((base.terms[0], each), exog, True)
    assert rows.shape == sums.shape == (3, 1)
    np.testing.assert_allclose(projector(sums), projector(rows), atol=1e-6)


def test_what_the_fixed_effects_distinguish_is_flat_under_reml_alone():
    n, ones = 44, np.ones((44, 1))
    pairs = GroupedEffects(np.arange(n) // 2, 22, ones, (1,))
    each = GroupedEffects(np.arange(n), n, ones, (1,))
    exog = np.eye(22)[np.arange(n) // 2]
    for reml, count in ((True, 2), (False, 1)):
        rows, sums = both((pairs, each), exog, reml)
        assert rows.shape == sums.shape == (3, count)


def test_almost_flat_is_not_flat():
    exog, (first, second, _) = design("2 crossed").exog, CASES["same levels twice"]
    near = 1.0 + 1e-5 * np.random.default_rng(2).standard_normal((44, 1))
    rows, sums = both((first, second, first.at(first.codes, near)), exog, True)
    assert rows.shape == sums.shape == (4, 0)


def test_what_is_not_involved_is_exactly_zero():
    _, found = both(CASES["same levels twice"], design("2 crossed").exog, True)
    assert (np.count_nonzero(found, axis=0) == 2).all()


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_flat_in_ordinary_designs(name):
    data = design(name)
    rng = np.random.default_rng(1)
    for weights in (None, rng.uniform(0.5, 2.0, len(data.endog))):
        rows, sums = both(data.terms, data.exog, True, weights)
        assert rows.shape == sums.shape
        assert not sums.shape[1]


def test_parameters_that_are_held_are_left_out():
    exog, terms = design("2 crossed").exog, CASES["same levels twice"]
    data = standardize_sums(SummedRows.of(design("2 crossed").endog, exog, terms))
    products = sufficient_statistics_of_sums(data.sums, data.terms)
    which = np.array([products.plan.order[i] != 2 for i in range(3)])
    found = flat_directions_of_sums(data, products, True, which)
    assert found.shape == (4, 0)
