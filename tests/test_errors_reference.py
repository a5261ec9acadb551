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
