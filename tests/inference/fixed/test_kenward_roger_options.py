"""Options of Kenward and Roger's method at the public doors, against SAS's numbers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import report
from statsmodels_lmm.formula.api import crossedmixedlm

PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "reference" / "repeated_measures.json").read_text()
)


@pytest.fixture(scope="module")
def fev():
    data = {name: PUBLISHED["data"][name] for name in ("FEV1", "USUBJID")}
    for name in ("AVISIT", "ARMCD"):
        coded = PUBLISHED["data"][name]
        data[name] = pd.Categorical.from_codes(coded["codes"], coded["levels"])
    data = pd.DataFrame(data)
    return data.assign(t=data["AVISIT"].cat.codes)


@pytest.fixture(scope="module")
def ar1(fev):
    return crossedmixedlm("FEV1 ~ ARMCD", fev, residual="ar1(t | USUBJID)").fit()


TERM = "ARMCD[T.TRT]"


@pytest.mark.parametrize("label", ["kr", "kr(linear)"])
def test_second_derivatives_as_in_sas(ar1, label):
    published = PUBLISHED["kenward_roger"]["ar1"]
    for result in (
        ar1.with_df_method(label),
        ar1.model.fit(df_method=label.upper()),
    ):
        assert_allclose(result.bse[TERM], published[label], rtol=2e-6)
        assert_allclose(result.df_resid_inference[1], published["df"], rtol=6e-6)
    tested = ar1.t_test("ARMCD[T.TRT] = 0", df_method=label)
    assert_allclose(tested.sd.item(), published[label], rtol=2e-6)
    f = ar1.anova(df_method=label).loc["ARMCD", "F"]
    assert_allclose(f, (ar1.params[TERM] / published[label]) ** 2, rtol=1e-5)
    same = ar1.fixed_effect_tests(f"kenward-roger{label[2:]}").loc["ARMCD", "statistic"]
    assert_allclose(same, f, rtol=1e-10)


def test_the_bridge_of_a_random_intercept_and_equal_correlations(fev):
    # pbkrtest 0.5.5: vcovAdj and Lb_ddf of lmer(FEV1 ~ ARMCD + (1 | USUBJID))
    effects = crossedmixedlm("FEV1 ~ ARMCD + (1 | USUBJID)", fev).fit()
    errors = crossedmixedlm("FEV1 ~ ARMCD", fev, residual="cs(1 | USUBJID)").fit()
    published = PUBLISHED["kenward_roger"]["cs"]
    for fitted, method, error, df in (
        (effects, "kenward-roger", 0.79647780, 175.93636),
        (errors, "kenward-roger(expected)", 0.79647780, 175.93636),
        (errors, "kenward-roger", published["kr"], published["df"]),
        (effects, "kenward-roger(observed)", published["kr"], published["df"]),
    ):
        found = fitted.with_df_method(method)
        assert found.df_method == method
        assert_allclose(found.bse[TERM], error, rtol=1e-6)
        assert_allclose(found.df_resid_inference[1], df, rtol=1e-6)


def test_names_and_what_follows_from_them(ar1):
    plain, both = "KR (Linear)", "kenward_roger(LINEAR,expected)"
    assert ar1.with_df_method(plain).df_method == "kenward-roger(linear)"
    other = ar1.with_df_method(both)
    assert other.df_method == "kenward-roger(expected, linear)"
    assert "kenward-roger(expected, linear)" in other.summary().as_text()
    assert "covariance matrix (expected, linear)." in report(other).text.replace(
        "\n", " "
    )
    table = other.marginal_means("ARMCD").frame
    assert (table["df"] < 1e4).all()
    assert np.isfinite(other.conf_int().to_numpy()).all()
    refitted = other.model.fit(df_method=other.df_method)
    assert_allclose(refitted.bse, other.bse, rtol=1e-8)


@pytest.mark.parametrize("name", ["satterthwaite(linear)", "kr(quadratic)", "kr()"])
def test_unknown_options_are_answered(ar1, name):
    with pytest.raises(ValueError, match=r"unknown.*'kenward-roger\(linear\)'"):
        ar1.with_df_method(name)
    with pytest.raises(ValueError, match=r"unknown.*'kenward-roger\(linear\)'"):
        ar1.fixed_effect_tests(name)


def test_options_are_for_reml(ar1):
    with pytest.raises(ValueError, match="only for REML"):
        ar1.model.fit(reml=False, df_method="kr(linear)")
