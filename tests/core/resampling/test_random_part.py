"""Draws of random effects and residuals, against their covariance matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.resampling.draws import (
    Gaussian,
    Held,
    NormalResponse,
    RandomPart,
    Resampled,
    reflated,
)
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.structures.roots import lower_root

DRAWS = 8_000


def streams(count=DRAWS, seed=1):
    sequences = np.random.SeedSequence(seed).spawn(count)
    return [np.random.Generator(np.random.PCG64(s)) for s in sequences]


def check_moments(draws, mean, covariance, limit=4.5):
    """
    Mean and covariance of some draws from a normal distribution.

    Every entry in units of its standard deviation over samples, of which the largest
    of a few hundred hardly exceeds 4.
    """
    count = len(draws)
    variances = np.diag(covariance)
    errors = np.sqrt(variances / count)
    gap = draws.mean(axis=0) - mean
    assert (np.abs(gap) <= limit * errors + 1e-12).all()
    centered = draws - mean
    found = centered.T @ centered / count
    errors = np.sqrt((np.outer(variances, variances) + covariance**2) / count)
    assert (np.abs(found - covariance) <= limit * errors + 1e-12).all()


def dense_covariance(part_factors, covariances, scale, weights):
    """Z (I (x) S) Z' + scale / W."""
    total = np.diag(scale / weights)
    for factor, s in zip(part_factors, covariances):
        same = factor.codes[:, None] == factor.codes
        total += factor.effects @ s @ factor.effects.T * same
    return total


# how rows are drawn --------------------------------------------------------


def test_gaussian():
    root = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.0]])
    draws = Gaussian(2, root).draw(streams())
    assert draws.shape == (DRAWS, 2, 3)
    covariance = np.kron(np.eye(2), root @ root.T)
    check_moments(draws.reshape(DRAWS, 6), np.zeros(6), covariance)


def test_resampled():
    """Rows stay whole, each as likely as any other at every place."""
    pool = np.array([[0.0, 5.0], [1.0, 7.0], [2.0, -1.0], [3.0, 0.0]])
    draws = Resampled(pool).draw(streams())
    assert draws.shape == (DRAWS, 4, 2)
    which = draws[..., 0].astype(int)
    assert_array_equal(pool[which], draws)
    counts = np.array([np.bincount(column, minlength=4) for column in which.T])
    error = np.sqrt(DRAWS * 0.25 * 0.75)
    assert (np.abs(counts - DRAWS / 4) < 4.0 * error).all()
    # with replacement, and places are independent
    both = np.bincount(4 * which[:, 0] + which[:, 1], minlength=16)
    error = np.sqrt(DRAWS / 16 * 15 / 16)
    assert (np.abs(both - DRAWS / 16) < 4.0 * error).all()


def test_fixed():
    values = np.arange(6.0).reshape(3, 2)
    assert_array_equal(Held(values).draw(streams(5)), values[None])


@pytest.mark.parametrize(
    "kind", [Gaussian(4, np.eye(2)), Resampled(np.arange(8.0).reshape(4, 2))]
)
def test_a_draw_depends_on_its_own_generator(kind):
    together = kind.draw(streams(6))
    apart = [kind.draw([g])[0] for g in streams(6)]
    assert_array_equal(together, apart)


# responses -----------------------------------------------------------------


def parts():
    """Two factors on 14 rows, one of them with a singular covariance."""
    rng = np.random.default_rng(5)
    n = 14
    slopes = np.column_stack([np.ones(n), rng.uniform(0.5, 2.0, n)])
    first = GroupedEffects(rng.permutation(np.arange(n) % 4), 4, slopes, (2,))
    second = GroupedEffects(rng.permutation(np.arange(n) % 3), 3, slopes[:, :1], (1,))
    line = np.array([1.0, -0.7])
    covariances = np.outer(line, line), np.array([[0.5]])
    return (first, second), covariances, 0.8, rng.uniform(0.5, 3.0, n)


def test_responses():
    factors, covariances, scale, weights = parts()
    effects = tuple(
        Gaussian(f.n_levels, lower_root(s)) for f, s in zip(factors, covariances)
    )
    residuals = Gaussian(14, np.array([[np.sqrt(scale)]]))
    part = NormalResponse(RandomPart(factors, effects), residuals, np.sqrt(weights))
    draws = part.draw(streams())
    expected = dense_covariance(factors, covariances, scale, weights)
    check_moments(draws, np.zeros(14), expected)
    # a wrong factor of one half, or of the weights, is seen
    with pytest.raises(AssertionError):
        check_moments(draws, np.zeros(14), 1.1 * expected)


def test_fixed_effects_of_levels():
    factors, _, scale, _ = parts()
    rng = np.random.default_rng(6)
    modes = rng.standard_normal((4, 2)), rng.standard_normal((3, 1))
    residuals = Gaussian(14, np.array([[np.sqrt(scale)]]))
    part = NormalResponse(RandomPart(factors, tuple(map(Held, modes))), residuals)
    mean = sum((f.effects * m[f.codes]).sum(axis=1) for f, m in zip(factors, modes))
    check_moments(part.draw(streams(seed=2)), mean, scale * np.eye(14))


def test_a_response_depends_on_its_own_generator():
    factors, covariances, _, weights = parts()
    effects = (
        Gaussian(4, lower_root(covariances[0])),
        Resampled(np.arange(3.0)[:, None]),
    )
    residuals = Resampled(np.linspace(-1.0, 1.0, 14)[:, None])
    part = NormalResponse(RandomPart(factors, effects), residuals, np.sqrt(weights))
    together = part.draw(streams(6))
    apart = np.vstack([part.draw([g]) for g in streams(6)])
    assert_array_equal(together, apart)
    assert len(np.unique(together, axis=0)) == 6


def test_drawing_does_not_change_what_is_drawn_from():
    factors, *_ = parts()
    modes = np.ones((4, 2)), np.ones((3, 1))
    pool = np.linspace(-1.0, 1.0, 14)[:, None]
    held = RandomPart(factors, tuple(map(Held, modes)))
    part = NormalResponse(held, Resampled(pool))
    first = part.draw(streams(3))
    assert_array_equal(part.draw(streams(3)), first)
    assert_array_equal(pool, np.linspace(-1.0, 1.0, 14)[:, None])


# rows stretched to a covariance --------------------------------------------


def moments(rows):
    return rows.mean(axis=0), np.cov(rows.T, bias=True)


def test_reflated_moments():
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((9, 3)) @ rng.standard_normal((3, 3)) + 5.0
    root = rng.standard_normal((3, 3))
    mean, covariance = moments(reflated(rows, root @ root.T))
    assert_allclose(mean, 0.0, atol=1e-12)
    assert_allclose(covariance, root @ root.T, rtol=1e-9, atol=1e-9)


def test_reflated_to_blocks():
    """Effects without a correlation have none among the rows."""
    rows = np.random.default_rng(8).standard_normal((9, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    _, covariance = moments(reflated(rows, np.diag([2.0, 3.0])))
    assert_allclose(covariance, np.diag([2.0, 3.0]), atol=1e-9)


def test_reflated_where_there_is_no_variance():
    line = np.array([1.0, 2.0])
    rows = np.random.default_rng(9).standard_normal((9, 1)) * line
    _, covariance = moments(reflated(rows, np.outer(line, line)))
    assert_allclose(covariance, np.outer(line, line), atol=1e-9)
    assert_array_equal(reflated(np.zeros((5, 2)), np.zeros((2, 2))), 0.0)
    assert_array_equal(reflated(np.zeros((5, 1)), np.ones((1, 1))), 0.0)
    half = np.column_stack([rows[:, 0], np.zeros(9)])
    _, covariance = moments(reflated(half, np.diag([4.0, 0.0])))
    assert_allclose(covariance, np.diag([4.0, 0.0]), atol=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 0.1, 1e9])
def test_reflated_in_other_units(unit):
    """A slope per nanometer is a slope."""
    rng = np.random.default_rng(10)
    rows, root = rng.standard_normal((9, 2)), rng.standard_normal((2, 2))
    scale = np.array([1.0, unit])
    covariance = root @ root.T
    found = reflated(rows * scale, covariance * np.outer(scale, scale))
    _, spread = moments(found / scale)
    assert_allclose(spread, covariance, rtol=1e-6)
    assert_allclose(found / scale, reflated(rows, covariance), rtol=1e-6, atol=1e-9)
