"""
Simulated residuals of six published data sets, and bootstraps of two, against R.

Both are random: shares and means are compared within four standard errors.
"""

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from published import FORMULAS, fit

PATH = Path(__file__).parents[2] / "reference" / "generalized_replicates.json"
REFERENCE = json.loads(PATH.read_text())
NAMES = [name for name in REFERENCE if name != "made_by"]
NSIM = 250


def assert_shares(found, expected, n, m):
    """Shares of n and of m draws, each smoothed by a success and a failure."""
    found, expected = np.array(found, float), np.array(expected, float)
    common = (n * found + m * expected + 1.0) / (n + m + 2.0)
    errors = np.sqrt(common * (1.0 - common) * (1.0 / n + 1.0 / m))
    assert (np.abs(found - expected) <= 4.0 * errors).all()


@functools.cache
def residuals(name, group=None):
    return fit(name).simulated_residuals(NSIM, rng=1, group=group)


@pytest.mark.parametrize("name", NAMES)
def test_dispersion_and_zeros(name):
    found, expected = residuals(name), REFERENCE[name]["residuals"]
    tests = {"spread": found.dispersion_test()}
    if name != "rats":
        tests["zeros"] = found.zero_inflation_test()
    for what, test in tests.items():
        theirs, m = expected[what], expected["nsim"]
        mean = theirs["observed"] / test.statistic
        error = theirs["sd"] * np.sqrt(1.0 / NSIM + 1.0 / m)
        assert abs(mean - theirs["mean"]) < 4.0 * error
        tail = min(theirs["upper"], theirs["lower"])
        assert_shares(test.pvalue / 2.0, tail, NSIM, m)


@pytest.mark.parametrize("name", NAMES)
def test_places_among_simulated_responses(name):
    """Of some rows, and of the sums of some groups, which are often equal."""
    expected = REFERENCE[name]["residuals"]
    group = re.search(r"\(1\|(\w+)\)", FORMULAS[name])[1]
    rows = residuals(name)
    groups = residuals(name, group)
    labels = groups.residuals.index.astype(str).tolist()
    places = [labels.index(label) for label in expected["groups"]]
    for found, which, prefix in (
        (rows, expected["rows"], ""),
        (groups, places, "group_"),
    ):
        near = np.isclose(found.simulated.T, found.observed, rtol=1e-9)
        assert_array_equal(near, found.simulated.T == found.observed)  # sums are exact
        drawn, observed = found.simulated[which], found.observed[which, None]
        below, equal = expected[prefix + "below"], expected[prefix + "equal"]
        counts = NSIM, expected["nsim"]
        assert_shares((drawn < observed).mean(axis=1), below, *counts)
        assert_shares((drawn == observed).mean(axis=1), equal, *counts)


REPLICATES = {"cbpp": 1000, "carrots": 30}


@pytest.mark.parametrize("name", REPLICATES)
def test_bootstrap(name):
    """The shares of replicates below the quantiles of lme4's bootMer."""
    expected = REFERENCE[name]["bootstrap"]
    draws = fit(name).bootstrap(REPLICATES[name], rng=1, n_jobs=1).draws
    # as R names them: period2, not period[T.2]
    draws.columns = [re.sub(r"C\(|\)|\[T\.|\]", "", column) for column in draws]
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    for column, limits in expected["quantiles"].items():
        inside = np.array(limits) != 0.0  # many variances are zero
        below = draws[column].to_numpy()[:, None] <= np.array(limits)[inside]
        counts = len(draws), expected["nsim"]
        assert_shares(below.mean(axis=0), levels[inside], *counts)
