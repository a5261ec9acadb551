"""statsmodels' mediation analysis and multiple imputation of models with bars."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from statsmodels.imputation.mice import MICE, MICEData
from statsmodels.stats.mediation import Mediation

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm

pytestmark = pytest.mark.slow

N, GROUPS = 300, 15
RNG = np.random.default_rng(18)
DATA = pd.DataFrame({"g": np.arange(N) % GROUPS, "x": RNG.normal(size=N)}, dtype=float)
DATA["m"] = 0.5 * DATA["x"] + 0.3 * RNG.normal(size=N)
DATA["y"] = 0.4 * DATA["m"] + DATA["x"] + 0.3 * RNG.normal(size=N)
DATA["y"] += RNG.normal(size=GROUPS)[DATA["g"].astype(int)]


def indirect(outcome, mediator):
    analysis = Mediation(outcome, mediator, "x", "m").fit(n_rep=40, rng=1)
    return analysis.summary()["Estimate"].iloc[0]


def test_mediation():
    outcome = crossedmixedlm("y ~ x + m + (1 | g)", DATA)
    mediator = crossedmixedlm("m ~ x + (1 | g)", DATA)
    found = indirect(outcome, mediator)
    expected = indirect(
        mixedlm("y ~ x + m", DATA, groups="g"), mixedlm("m ~ x", DATA, groups="g")
    )
    assert found == pytest.approx(0.2, abs=0.06)
    assert found == pytest.approx(expected, abs=0.06)


def test_mediation_with_a_function_of_the_user():
    same = lambda v: v * 1.0  # noqa: E731
    outcome = crossedmixedlm("y ~ x + m + (1 | g)", DATA)
    mediator = crossedmixedlm("m ~ same(x) + (1 | g)", DATA)
    assert same(1.0) == 1.0
    analysis = Mediation(outcome, mediator, ["x", "same(x)"], "m")
    analysis.exposure = "x"
    assert np.isfinite(analysis.fit(n_rep=2, rng=1).summary()).all(axis=None)


def test_distribution():
    """Draws have the mean and the variances of the model."""
    model = crossedmixedlm("y ~ x + m + (1 | g)", DATA)
    fit = model.fit()
    distribution = model.get_distribution(fit.params, fit.scale)
    rng = np.random.default_rng(2)
    draws = np.array([distribution.rvs(N, rng=rng) for _ in range(400)])
    assert_allclose(draws.mean(axis=0), fit.predict(), atol=0.4)
    variance = fit.scale + fit.vcomp.iloc[0]
    assert_allclose(draws.var(axis=0).mean(), variance, rtol=0.15)
    first = model.get_distribution(fit.params, fit.scale).rvs(N, rng=3)
    fresh = crossedmixedlm("y ~ x + m + (1 | g)", DATA)
    again = fresh.get_distribution(fit.params, fit.scale).rvs(N, rng=3)
    assert_allclose(first, again, rtol=1e-6)


@pytest.mark.parametrize(
    "formula",
    ["y ~ x + m + (1 | g)", "y ~ x + m + (x || g)", "y ~ 0 + x + m + (1 | g)"],
)
def test_multiple_imputation(formula):
    holes = DATA.copy()
    holes.loc[::9, "m"] = np.nan
    np.random.seed(0)  # noqa: NPY002, MICEData draws from it
    found = MICE(formula, CrossedMixedLM, MICEData(holes)).fit(1, 3)
    expected = crossedmixedlm(formula, DATA).fit()
    assert_allclose(found.params[-1], expected.params.iloc[-1], atol=0.2)
    assert "MICE" in str(found.summary())


def test_multiple_imputation_with_weights():
    holes = DATA.copy()
    holes.loc[::9, "m"] = np.nan
    np.random.seed(0)  # noqa: NPY002
    mice = MICE(
        "y ~ x + m + (1 | g)",
        CrossedMixedLM,
        MICEData(holes),
        init_kwds={"weights": np.linspace(0.5, 2.0, N)},
    )
    assert np.isfinite(mice.fit(1, 2).params).all()


def test_fixed_effects_start_nothing():
    model = crossedmixedlm("y ~ x + m + (1 | g)", DATA)
    fit = model.fit()
    assert_array_equal(model.fit(start_params=fit.params).theta, fit.theta)
    # as many of them as of variance parameters are told apart by their names
    slopes = crossedmixedlm("y ~ x + m + (x | g)", DATA)
    expected = slopes.fit()
    assert len(expected.params) == len(expected.theta)
    assert_array_equal(slopes.fit(start_params=expected.params).theta, expected.theta)
    with pytest.raises(ValueError, match="theta has 1 entries"):
        model.fit(start_params=[1.0, 2.0])
