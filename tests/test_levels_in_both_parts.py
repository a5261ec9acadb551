"""Random effects of levels that the fixed effects tell apart, or almost do."""

import warnings

import numpy as np
import pytest

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataWarning

LEVELS, ROWS = 6, 12


def model_of(noise, crossed):
    """
    A column of X for each level, with noise within it.

    The noise is the share of the norm of an indicator that X does not span. Crossed
    with a factor of more levels the levels are eliminated last.
    """
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(LEVELS), ROWS)
    inside = rng.standard_normal((LEVELS, ROWS))
    inside -= inside.mean(axis=1, keepdims=True)
    inside /= np.sqrt((inside**2).mean(axis=1, keepdims=True))
    exog = np.eye(LEVELS)[g] * (1.0 + noise * inside.ravel()[:, None])
    h = rng.permutation(np.arange(len(g)) % 18)
    y = rng.standard_normal(LEVELS)[g] + rng.standard_normal(18)[h]
    y += rng.standard_normal(len(g))
    return CrossedMixedLM(y, exog, random={"g": g, "h": h} if crossed else {"g": g})


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("noise", [0.0, 1e-7, 3e-6])
def test_levels_that_are_fixed_have_no_variance(noise, crossed):
    """A share of the squares below 1e-10 is rounding."""
    with pytest.warns(DataWarning, match="already distinguish the levels of g"):
        result = model_of(noise, crossed).fit()
    assert result.uninformative == ("g",)
    assert result.vcomp.iloc[0] == 0.0
    assert result.converged


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("noise", [3e-5, 1e-3, 0.3])
def test_levels_that_are_almost_fixed_have_one(noise, crossed):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        result = model_of(noise, crossed).fit()
    assert result.uninformative == ()
    assert result.boundary_table()["dual"].iloc[0] != 0.0
