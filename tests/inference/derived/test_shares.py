"""Intervals of shares of variance stand on the shares themselves."""

import numpy as np
import pytest
from generalized_samples import cbpp
from numpy.testing import assert_allclose
from samples import sample

from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

LINEAR = {
    "slopes": ("y ~ x + f + (x | g) + (1 | h)", {}),
    "weights": ("y ~ x + (x || g)", {"weights": "w"}),
    "a structure": ("y ~ x + twice + ar1(0 + f | g) + (1 | h)", {}),
}


@pytest.mark.filterwarnings("ignore:the fixed effects are not linearly")
@pytest.mark.parametrize("name", LINEAR)
def test_estimates_of_linear_models(name):
    formula, options = LINEAR[name]
    fit = crossedmixedlm(formula, sample(), **options).fit()
    for function in (fit.icc, fit.r_squared, fit.repeatability):
        found = function(conf_int=True)
        assert_allclose(found.estimates, np.ravel(function()), rtol=1e-8)
        assert np.isfinite(found.errors).all()
    assert list(found.estimates.index)[:2] == ["g adjusted", "g unadjusted"]


def test_adjusted_is_an_expression():
    fit = crossedmixedlm("y ~ x + (1 | g) + (1 | h)", sample()).fit()
    text = "(var(g) + var(h)) / (var(g) + var(h) + var(Residual))"
    own, found = fit.derive(text, alpha=0.1), fit.icc(conf_int="wald", alpha=0.1)
    assert_allclose(found.summary_frame().iloc[0], own.summary_frame().iloc[0])
    boot = fit.bootstrap(40, rng=1)
    drawn = fit.r_squared(conf_int="bootstrap", bootstrap=boot).draws
    for i in (0, 7):
        linear = fit.model.exog @ boot.draws.iloc[i, :2].to_numpy()
        fixed, spread = np.var(linear, ddof=1), boot.draws.iloc[i, 4:7] ** 2
        total = fixed + spread.sum()
        shares = np.array([fixed, total - spread["sigma"]]) / total
        assert_allclose(drawn.iloc[i], shares)
    with pytest.raises(ValueError, match="conf_int must be"):
        fit.icc(conf_int="delta")
    with pytest.raises(ValueError, match="method and random_effects are for"):
        fit.icc(method="delta", conf_int=True)


def test_generalized_models():
    data = cbpp()
    fit = crossedmixedglm(
        "prop ~ period + (1 | herd) + (1 | obs)",
        data,
        family="binomial",
        weights="size",
    ).fit()
    for given in ({}, {"method": "delta", "random_effects": "average"}):
        found = fit.icc(conf_int=True, **given)
        assert_allclose(found.estimates, fit.icc(**given), rtol=1e-8)
        found = fit.r_squared(conf_int=True, **given)
        assert_allclose(found.estimates, fit.r_squared(**given), rtol=1e-8)
    with pytest.raises(ValueError, match="random_effects must be"):
        fit.icc(conf_int=True, random_effects=True)
