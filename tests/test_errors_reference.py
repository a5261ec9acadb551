"""Correlated errors and errors of unequal variance, against nlme."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.frames import frame

from statsmodels_lmm.formula.api import crossedmixedlm

FITS = json.loads((Path(__file__).parent / "reference/errors.json").read_text())


def fitted(known):
    data = frame(known["data"])
    if "visit" in known.get("residual", ""):
        data["visit"] = (data["age"] - 8) // 2
    errors = {name: known.get(name) for name in ("residual", "dispersion")}
    return crossedmixedlm(known["formula"], data, **errors).fit(reml=known["reml"])


@pytest.mark.parametrize("name", FITS)
def test_fits_of_nlme(name):
    known = FITS[name]
    result = fitted(known)
    assert result.converged
    assert result.optimum.evaluations <= 12
    assert result.llf >= known["logLik"] - 1e-7
    assert_allclose(result.llf, known["logLik"], atol=1e-6)
    # the formula engine puts factors before covariates
    params, errors = np.sort(result.params), np.sort(result.bse)
    assert_allclose(params, np.sort(known["beta"]), rtol=1e-4, atol=1e-4)
    # after ML, nlme multiplies standard errors by the root of n / (n - p)
    n, p = result.nobs, len(params)
    factor = 1.0 if known["reml"] else np.sqrt(n / (n - p))
    assert_allclose(factor * errors, np.sort(known["se"]), rtol=2e-4)
    assert_allclose(np.sqrt(result.scale), known["sigma"], rtol=2e-4)
    wanted = list(known.get("cor_param", []))
    if known.get("dispersion") == "~ log(age)":
        wanted += known["var_param"]
    else:
        wanted += list(np.log(known.get("var_param", [1.0])[1:]))
    assert_allclose(result.residual_params, wanted, atol=3e-4)
    assert_allclose(result.fittedvalues[:8], known["fitted"], rtol=1e-4)
    assert_allclose(np.asarray(result.resid_pearson)[:8], known["pearson"], atol=2e-4)
    normalized = np.asarray(result.resid_normalized)
    assert_allclose(normalized @ normalized, known["squares"], rtol=1e-3)
    if "cs(" not in known.get("residual", ""):  # of which nlme takes another root
        assert_allclose(normalized[:8], known["normalized"], atol=5e-4)


@pytest.mark.parametrize("name", ["n_ortho_ident_ar1.reml", "n_ss_ar1.ml"])
def test_order_of_rows_does_not_matter(name):
    known = FITS[name]
    data = frame(known["data"])
    if "visit" in known["residual"]:
        data["visit"] = (data["age"] - 8) // 2
    mixed = data.sample(frac=1.0, random_state=3)
    errors = {each: known.get(each) for each in ("residual", "dispersion")}
    result = crossedmixedlm(known["formula"], mixed, **errors).fit(reml=known["reml"])
    assert_allclose(result.llf, known["logLik"], atol=1e-6)
    one = fitted(known)
    assert_allclose(
        result.resid_normalized.loc[data.index], one.resid_normalized, atol=1e-6
    )


def test_standard_deviations_that_follow_the_fitted_values():
    # nlme: lme(Reaction ~ Days, sleepstudy, ~ 1 | Subject, weights = varPower(),
    # method = "ML", control = lmeControl(tolerance = 1e-10, maxIter = 500))
    data = frame("sleepstudy")
    formula = "Reaction ~ Days + (1 | Subject)"
    model = crossedmixedlm(formula, data, power_of_fitted=True)
    result = model.fit(reml=False)
    # the fit to these fitted values has them as its own
    held = data.assign(fitted=result.fittedvalues)
    again = crossedmixedlm(formula, held, dispersion="~ np.log(fitted)")
    again = again.fit(reml=False)
    assert_allclose(again.llf, result.llf, rtol=1e-10)
    assert_allclose(again.fittedvalues, held["fitted"], rtol=1e-7)
    assert_allclose(again.residual_params, result.residual_params, rtol=1e-6)
    assert "not a maximum of a likelihood" in str(result.summary())
    with pytest.raises(ValueError, match="not a maximum of a likelihood"):
        result.compare_lr_test(crossedmixedlm(formula, data).fit(reml=False))
    assert_allclose(result.model.fit(reml=False).llf, result.llf, rtol=1e-10)


def test_a_fitted_value_of_zero_has_no_power():
    data = frame("sleepstudy").assign(zero=0.0)
    data.loc[::2, "Reaction"] *= -1.0
    data["sign"] = np.where(np.arange(len(data)) % 2, 1.0, -1.0)
    data["Reaction"] -= data["Reaction"].groupby(data["sign"]).transform("mean")
    with pytest.raises(ValueError, match="fitted value is zero"):
        crossedmixedlm(
            "Reaction ~ 0 + zero + (1 | Subject)", data, power_of_fitted=True
        ).fit()
