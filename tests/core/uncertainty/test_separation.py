"""Separation against the extreme rays of the cone of directions without a loss."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from statsmodels_lmm.core.uncertainty.separation import separation, signs

rng = np.random.default_rng(20260117)


def rays(exog, sign):
    """
    Extreme rays of {d: s_r x_r'd >= 0, with equality where s_r = 0}.

    The entries of X are small whole numbers and X has rank 3, so that every ray is the
    vector product of two rows, exactly.
    """
    found = []
    for a, b in combinations(np.unique(exog, axis=0), 2):
        for d in (np.cross(a, b), np.cross(b, a)):
            moved = exog @ d
            if d.any() and (sign * moved >= 0).all() and not moved[sign == 0].any():
                found.append(d)
    return found


def outside_span(exog):
    """Which unit vectors are not combinations of the rows."""
    rank = np.linalg.matrix_rank(exog) if len(exog) else 0
    units = np.eye(exog.shape[1])
    return np.array([np.linalg.matrix_rank([*exog, u]) > rank for u in units])


def check(exog, sign, rows):
    """Compare what is found with the rows that can be separated."""
    found = separation(exog, sign)
    if not rows.any():
        assert found is None
        return
    assert_array_equal(found.rows, rows)
    assert_array_equal(found.columns, outside_span(exog[~rows]))
    moved = exog @ found.direction
    assert (sign[rows] * moved[rows] > 0.0).all()
    assert np.abs(moved[~rows]).max(initial=0.0) < 1e-9
    assert np.abs(found.direction).max() == 1.0
    assert not found.direction[~found.columns].any()


def test_small_designs():
    seen = {"none": 0, "some": 0, "all": 0}
    for n in rng.integers(3, 14, 200):
        exog = rng.integers(-2, 3, (n, 3)).astype(float)
        exog[:, 0] = rng.integers(0, 2)  # now and then a rank of 2
        if np.linalg.matrix_rank(exog) < 3:
            exog[:, 0] = rng.integers(-2, 3, n)
        if np.linalg.matrix_rank(exog) < 3:
            continue
        sign = rng.choice([-1.0, 0.0, 1.0], n, p=[0.4, 0.2, 0.4])
        if rng.random() < 0.3:
            sign = np.sign(exog @ rng.integers(-2, 3, 3) + 0.0)
        rows = sum((exog @ d != 0 for d in rays(exog, sign)), np.zeros(n, bool))
        check(exog, sign, rows)
        seen["all" if rows.all() else "some" if rows.any() else "none"] += 1
    assert min(seen.values()) > 20


def test_a_level_that_is_always_zero():
    level = np.repeat([0, 1, 2], 100)
    x = rng.standard_normal(300)
    exog = np.column_stack([np.ones(300), level == 1, level == 2, x])
    y = (rng.random(300) < 0.5) * 1.0
    assert separation(exog, signs("Binomial", "logit", y)) is None
    y[level == 2] = 0.0
    found = separation(exog, signs("Binomial", "logit", y))
    assert_array_equal(found.direction, [0.0, 0.0, -1.0, 0.0])
    assert_array_equal(found.columns, [False, False, True, False])
    assert_array_equal(found.rows, level == 2)


def test_the_reference_level_is_always_one():
    level = np.repeat([0, 1, 2], 100)
    exog = np.column_stack([np.ones(300), level == 1, level == 2])
    y = np.where(level == 0, 1.0, np.arange(300) % 2)
    found = separation(exog, signs("Binomial", "probit", y))
    assert found.direction == pytest.approx([1.0, -1.0, -1.0], abs=1e-9)
    assert_array_equal(found.rows, level == 0)


@pytest.mark.parametrize("column", ["redundant", "zero"])
def test_a_column_that_depends_on_those_before_it(column):
    level = np.repeat([0, 1, 2], 100)
    exog = np.column_stack([np.ones(300), level == 1, level == 2, level == 0])
    exog[:, 3] *= column == "redundant"
    y = np.where(level == 2, 0.0, np.arange(300) % 2)
    found = separation(exog, signs("Binomial", "logit", y))
    assert_array_equal(found.direction, [0.0, 0.0, -1.0, 0.0])
    assert_array_equal(found.columns, [False, False, True, False])


def test_one_direction_far_ahead_of_another():
    """First x separates all rows but those at 0, then z separates these."""
    x = np.array([-3.0, -1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 5.0])
    z = np.array([9.0, 9.0, -1.0, -1.0, 1.0, 1.0, -9.0, -9.0])
    exog = np.column_stack([x, z])
    sign = np.where(x == 0.0, np.sign(z), np.sign(x))
    check(exog, sign, np.ones(8, bool))


@pytest.mark.parametrize("family", ["Poisson", "NegativeBinomial"])
def test_counts_of_zero(family):
    level = np.repeat([0, 1, 2], 50)
    x = rng.standard_normal(150)
    exog = np.column_stack([np.ones(150), level == 1, level == 2, x])
    y = rng.poisson(1.0, 150)
    assert separation(exog, signs(family, "log", y)) is None
    y[level == 1] = 0
    found = separation(exog, signs(family, "log", y))
    assert_array_equal(found.columns, [False, True, False, False])
    assert_array_equal(found.rows, level == 1)


def test_positive_counts_hold_their_rows():
    exog = np.column_stack([np.ones(4), [-1.0, 0.0, 0.0, 1.0]])
    assert separation(exog, signs("Poisson", "log", np.array([0, 2, 3, 0]))) is None
    assert separation(exog, signs("Poisson", "log", np.array([1, 2, 3, 0]))) is None
    found = separation(exog[1:], signs("Poisson", "log", np.array([2, 3, 0])))
    assert_array_equal(found.rows, [False, False, True])
    assert_array_equal(found.direction, [0.0, -1.0])


@pytest.mark.parametrize("shift", [0.0, 1.7e9, -1.7e9])
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_units_and_origins_do_not_matter(shift, unit):
    x = rng.integers(-5, 6, 400).astype(float)
    z = rng.standard_normal(400)
    exog = np.column_stack([np.ones(400), unit * (x + shift), z])
    y = np.where(x == 3.0, np.arange(400) % 2, x > 3.0)
    found = separation(exog, signs("Binomial", "logit", y))
    assert_array_equal(found.rows, x != 3.0)
    assert_array_equal(found.columns, [True, True, False])
    y[np.argmax(x)] = 0.0
    assert separation(exog, signs("Binomial", "logit", y)) is None


def test_more_rows_than_one_program_holds():
    n = 20_000
    exog = np.column_stack([np.ones(n), rng.standard_normal((n, 5))])
    eta = exog @ [0.2, 1.0, -1.0, 0.5, 0.0, 0.0]
    sign = np.sign(eta)
    found = separation(exog, sign)
    assert found.rows.all()
    assert found.columns.all()
    assert (sign * (exog @ found.direction) > 0.0).all()
    last, far = np.argsort(np.abs(eta))[-2:]
    exog[last], sign[last] = exog[far], -sign[far]
    assert separation(exog, sign) is None


def test_what_no_response_separates():
    y = np.array([0.0, 0.0, 1.0])
    assert signs("Gamma", "log", y + 1.0) is None
    assert signs("Poisson", "sqrt", y) is None
    assert signs("Binomial", "identity", y) is None
    assert_array_equal(signs("Binomial", "log", y), [-1.0, -1.0, 0.0])
    assert_array_equal(
        signs("Binomial", "cloglog", np.array([0.0, 0.4, 1.0])), [-1.0, 0.0, 1.0]
    )


def test_nothing_to_separate():
    assert separation(np.zeros((4, 0)), np.ones(4)) is None
    assert separation(np.zeros((4, 2)), np.ones(4)) is None
    assert separation(np.ones((4, 1)), np.zeros(4)) is None
