"""Data in units whose squares overflow: a fit, or words about the units."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm

RNG = np.random.default_rng(3)
N = 90
GROUPS = np.repeat(np.arange(15), 6)
DATA = pd.DataFrame({"x": 5.0 + RNG.normal(size=N), "g": GROUPS})
DATA["y"] = DATA["x"] * (1 + RNG.normal(size=15)[GROUPS]) + RNG.normal(size=N)
WEIGHTS, NOISE = RNG.uniform(0.5, 2.0, N), RNG.normal(size=N)
PLAIN = crossedmixedlm("y ~ x + (1 | g)", DATA).fit()
SLOPES = crossedmixedlm("y ~ x + (x | g)", DATA).fit()
WEIGHTED = crossedmixedlm("y ~ x + (1 | g)", DATA, weights=WEIGHTS).fit()


@pytest.mark.parametrize("unit", [1e-145, 1e-90, 1e90, 1e145])
def test_units_of_the_response(unit):
    found = crossedmixedlm("y ~ x + (1 | g)", DATA.assign(y=DATA["y"] * unit)).fit()
    assert_allclose(found.params / unit, PLAIN.params, rtol=1e-9)
    assert_allclose(found.bse / unit, PLAIN.bse, rtol=1e-9)
    assert_allclose(found.theta, PLAIN.theta, rtol=1e-7)
    assert_allclose(found.llf, PLAIN.llf - (N - 2) * np.log(unit), rtol=1e-12)
    assert found.converged


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (1e160, r"the response is too large: it .*; divide it by 1e160"),
        (1e300, r"the response is too large: it .*; divide it by 1e300"),
        (1e-170, r"the response is too small: it .*; multiply it by 1e170"),
        (1e-300, r"the response is too small: it .*; multiply it by 1e300"),
    ],
)
def test_a_response_without_a_variance(unit, message):
    model = crossedmixedlm("y ~ 1 + (1 | g)", DATA.assign(y=NOISE * unit))
    with pytest.raises(DataError, match=message):
        model.fit()


@pytest.mark.parametrize("unit", [1e-145, 1e145])
def test_units_of_a_covariate(unit):
    data = DATA.assign(x=DATA["x"] * unit)
    for formula, plain in (("y ~ x + (1 | g)", PLAIN), ("y ~ x + (x | g)", SLOPES)):
        found = crossedmixedlm(formula, data).fit()
        assert_allclose(found.params * [1.0, unit], plain.params, rtol=1e-7)
        assert_allclose(found.bse * [1.0, unit], plain.bse, rtol=1e-7)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_a_coefficient_without_a_variance(unit):
    data = DATA.assign(x=DATA["x"] * unit)
    with pytest.warns(DataWarning, match="use other units for: x"):
        found = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    assert_allclose(found.params * [1.0, unit], PLAIN.params, rtol=1e-9)
    assert_allclose(found.bse.iloc[0], PLAIN.bse.iloc[0], rtol=1e-9)
    assert np.isnan(found.bse.iloc[1])
    assert np.isnan(found.pvalues.iloc[1])
    if unit < 1.0:
        assert np.isnan(found.t_test("x = 0").sd).all()
    with pytest.raises(DataError, match="the random effects x by g have a column"):
        crossedmixedlm("y ~ x + (x | g)", data).fit()


@pytest.mark.parametrize("unit", [1e-300, 1e-140, 1e-40, 1e40, 1e300])
def test_units_of_weights(unit):
    weights = WEIGHTS * unit
    found = crossedmixedlm("y ~ x + (1 | g)", DATA, weights=weights).fit()
    assert_allclose(found.params, WEIGHTED.params, rtol=1e-9)
    assert_allclose(found.bse, WEIGHTED.bse, rtol=1e-9)
    assert_allclose(found.scale / unit, WEIGHTED.scale, rtol=1e-9)
    assert_allclose(found.llf, WEIGHTED.llf, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-140, 1e140])
def test_units_of_a_matrix(unit):
    z = pd.get_dummies(DATA["g"]).to_numpy(float)
    x = np.column_stack([np.ones(N), DATA["x"]])
    found = CrossedMixedLM(DATA["y"], x, {"z": z * unit}).fit()
    assert_allclose(found.params, PLAIN.params, rtol=1e-9)
    assert_allclose(found.theta * unit, PLAIN.theta, rtol=1e-6)


def test_coefficients_that_overflow():
    data = DATA.assign(y=DATA["y"] * 1e100, x=DATA["x"] * 1e-250)
    with pytest.raises(DataError, match="their coefficients overflow"):
        crossedmixedlm("y ~ x + (1 | g)", data).fit()
