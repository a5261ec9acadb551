"""Variance inflation factors against those of car."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import crossedmixedglm, crossedmixedlm, datasets
from statsmodels_lmm.exceptions import DataError, RankWarning


def test_as_in_car():
    """lme4 1.1.31, car 3.1.1."""
    cake = datasets.cake.load_pandas().data
    cake["temp"] = cake["temp"].astype(float)
    formula = "angle ~ recipe * temp + (1 | recipe:replicate)"
    table = crossedmixedlm(formula, cake).fit().vif()
    assert list(table.index) == ["recipe", "temp", "recipe:temp"]
    assert list(table["df"]) == [2, 1, 2]
    assert_allclose(table["gvif"], [133.413551, 3.0, 156.514508], rtol=1e-6)
    assert_allclose(table["gvif_scaled"], [3.3985995, 1.7320508, 3.5370292], rtol=1e-6)


def test_a_generalized_model():
    """
    The factor of one coefficient is its variance times its precision.

    With default settings car 3.1.1 gives 1.15141: it takes lme4's covariance matrix,
    from differences of a deviance whose conditional modes are iterated until 1e-7. With
    ``glmerControl(tolPwrss = 1e-13)`` it gives 1.1528013, and with the covariance
    matrix ``vcov(m, use.hessian = FALSE)``, which needs no differences, 1.133474.
    """
    cbpp = datasets.cbpp.load_pandas().data
    formula = "incidence + (size - incidence) ~ C(period) + size + (1 | herd)"
    model = crossedmixedglm(formula, cbpp, family="binomial")
    fit = model.fit()
    covariance = fit.cov_params().to_numpy()[1:, 1:]
    expected = covariance[-1, -1] * np.linalg.inv(covariance)[-1, -1]
    table = fit.vif()
    assert list(table["df"]) == [3, 1]
    assert_allclose(table["gvif"], expected)  # of two terms both have the same
    assert_allclose(table["gvif_scaled"], expected ** np.array([1 / 6, 1 / 2]))
    assert_allclose(table["gvif"], 1.1528013, rtol=1e-6)
    assert_allclose(model.fit(cov_type="rx").vif()["gvif"], 1.133474, rtol=1e-5)


def test_redundant_columns_and_single_terms():
    data = datasets.sleepstudy.load_pandas().data
    data = data.assign(twice=2.0 * data["Days"], z=np.sin(np.arange(180.0)))
    formula = "Reaction ~ Days + z + (1 | Subject)"
    without = crossedmixedlm(formula, data).fit()
    model = crossedmixedlm(f"{formula} + twice", data)
    with pytest.warns(RankWarning):
        fit = model.fit()
    table = fit.vif()
    assert_allclose(table.loc[["Days", "z"]], without.vif())
    assert table.loc["twice"].isna().tolist() == [True, False, True]
    assert table.loc["twice", "df"] == 0
    with pytest.raises(DataError, match="at least two terms"):
        crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit().vif()
