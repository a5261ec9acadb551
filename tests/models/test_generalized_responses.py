"""One fit, however its response is written."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.models.generalized import CrossedMixedGLM


def simulated():
    """Rows of 12 trials each in 12 groups, and the same trials one by one."""
    rng = np.random.default_rng(8)
    rows = pd.DataFrame(
        {"g": np.repeat(np.arange(12), 4), "x": np.tile([0, 1, 2, 3], 12)}
    )
    eta = 0.4 * rows["x"] - 1.0 + rng.standard_normal(12)[rows["g"]]
    rows["size"] = 12
    rows["cases"] = rng.binomial(12, 1.0 / (1.0 + np.exp(-eta)))
    rows["share"] = rows["cases"] / rows["size"]
    single = rows.loc[rows.index.repeat(12)].reset_index(drop=True)
    single["ill"] = np.tile(np.arange(12), len(rows)) < single["cases"]
    single["state"] = np.where(single["ill"], "sick", "healthy")
    return rows, single


ROWS, SINGLE = simulated()


def fit(left, data=ROWS, **given):
    model = CrossedMixedGLM.from_formula(f"{left} ~ x + (1 | g)", data, **given)
    return model.fit()


@pytest.fixture(scope="module")
def expected():
    return fit("cbind(cases, size - cases)")


@pytest.mark.parametrize(
    ("left", "given"),
    [
        ("cases + I(size - cases)", {}),
        ("share", {"weights": "size"}),
        ("share", {"trials": "size"}),
    ],
)
def test_rows_of_several_trials(left, given, expected):
    found = fit(left, **given)
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    assert_allclose(found.params, expected.params, rtol=1e-8)


@pytest.mark.parametrize(
    ("left", "event"), [("ill", True), ("state", "sick"), ("1 * ill", None)]
)
def test_rows_of_a_single_trial(left, event, expected):
    found = fit(left, SINGLE)
    assert_allclose(found.params, expected.params, rtol=1e-6)
    assert_allclose(found.theta, expected.theta, rtol=1e-6)
    assert found.model.event == event


def test_arrays(expected):
    exog = np.column_stack([np.ones(len(ROWS)), ROWS["x"]])
    random = {"g": ROWS["g"]}
    counts = np.column_stack([ROWS["cases"], ROWS["size"] - ROWS["cases"]])
    for endog, weights in ((counts, None), (ROWS["share"], ROWS["size"])):
        model = CrossedMixedGLM(endog, exog, random, weights=weights)
        assert_allclose(model.fit().llf, expected.llf, rtol=1e-12)
    exog = np.column_stack([np.ones(len(SINGLE)), SINGLE["x"]])
    model = CrossedMixedGLM(SINGLE["state"], exog, {"g": SINGLE["g"]})
    assert model.event == "sick"
    assert_allclose(model.endog, SINGLE["ill"])


def test_the_name_and_the_weights_are_as_given(expected):
    model = expected.model
    assert model.endog_names == "cbind(cases, size - cases)"
    assert model.weights is None
    assert_allclose(model.trials, ROWS["size"])
    both = fit("cbind(cases, size - cases)", weights=np.full(len(ROWS), 2.0))
    twice = fit("share", weights=2 * ROWS["size"])
    assert_allclose(both.llf, twice.llf, rtol=1e-12)
    with pytest.raises(DataError, match="have their own numbers of trials"):
        fit("cbind(cases, size - cases)", trials="size")


def test_rows_with_gaps_are_dropped():
    data = ROWS.assign(size=ROWS["size"].where(ROWS.index != 5))
    with_gap = fit("cbind(cases, size - cases)", data)
    assert with_gap.model.nobs == len(ROWS) - 1
    without = fit("cbind(cases, size - cases)", ROWS.drop(index=5))
    assert_allclose(with_gap.llf, without.llf, rtol=1e-12)


def test_a_response_without_an_estimate():
    with pytest.raises(DataError, match="'cases' is 0 in every row"):
        fit("cases", ROWS.assign(cases=0), family="poisson")
    with pytest.raises(DataError, match="'state' has 1 level: sick"):
        fit("state", SINGLE[SINGLE["ill"]])


def test_constant_counts_have_an_estimate():
    found = fit("cases", ROWS.assign(cases=3), family="poisson")
    assert_allclose(found.params, [np.log(3.0), 0.0], atol=1e-6)
