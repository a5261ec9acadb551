"""Contrasts of many fits are those of one fit after the other."""

import numpy as np

from statsmodels_lmm.core.many.many_contrasts import (
    contrast_dfs,
    f_statistics,
    joint_dfs,
)
from statsmodels_lmm.core.uncertainty.small_sample import contrast_df, joint_df

RNG = np.random.default_rng(1)
SLOPES = RNG.normal(size=(5, 4, 3, 3)) * 0.3
SLOPES = SLOPES + SLOPES.swapaxes(-1, -2)


def test_degrees_of_freedom():
    contrasts = RNG.normal(size=(5, 2, 3))
    contrasts[3, 1] = 0.0
    found = contrast_dfs(SLOPES, contrasts)
    for i in range(5):
        np.testing.assert_allclose(found[i], contrast_df(SLOPES[i], contrasts[i]))
    assert np.isinf(found[3, 1])


def test_joint_degrees_of_freedom():
    basis = np.linalg.qr(RNG.normal(size=(5, 3, 2)))[0].swapaxes(1, 2)
    small = 0.1 * SLOPES
    found = joint_dfs(contrast_dfs(small, basis))
    for i in range(5):
        np.testing.assert_allclose(found[i], joint_df(small[i], basis[i]))
    each = np.array([[1.5, 9.0], [4.0, 4.0], [4.0, 8.0], [np.inf, np.inf]])
    np.testing.assert_allclose(joint_dfs(each)[:2], [2.0, 4.0])
    excess = 2.0 / 2.0 + 2.0 / 6.0
    assert joint_dfs(each)[2] == 2.0 * (2.0 + excess) / excess


def test_f_is_a_quadratic_form():
    contrasts, errors = RNG.normal(size=(5, 2, 3)), RNG.normal(size=(5, 2))
    statistic, rank, df = f_statistics(None, contrasts, errors)
    assert rank == 2
    assert np.isinf(df).all()
    for f, c, e in zip(statistic, contrasts, errors):
        np.testing.assert_allclose(f, e @ np.linalg.solve(c @ c.T, e) / 2.0)
    # a contrast that depends on another adds nothing
    twice = np.concatenate([contrasts, contrasts[:, :1]], axis=1)
    again = np.concatenate([errors, errors[:, :1]], axis=1)
    same, rank, _ = f_statistics(None, twice, again)
    assert rank == 2
    np.testing.assert_allclose(same, statistic)
