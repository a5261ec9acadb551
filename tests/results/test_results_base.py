"""Results of any mixed model, from an evaluation of its criterion and its units."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.results.base import MixedResults

TABLES = (
    *("variance_components", "boundary_table", "re_pca", "random_effects_table"),
    *("cov_params", "conf_int"),
)
ATTRIBUTES = (
    *("params", "bse", "llf", "theta", "vcomp", "singular", "is_singular", "nobs"),
    *("df_model", "df_resid", "converged", "dropped", "n_params", "aic", "bic"),
)


class OtherResults(MixedResults):
    """Results of a criterion without a parameter of scale."""

    method = "other"
    _n_scales = 0

    def __init__(self, linear):
        super().__init__(linear.model, linear._units, linear.at_optimum, linear.optimum)
        self.at_optimum = linear.at_optimum
        self.identification = linear.identification


@pytest.fixture(scope="module")
def linear():
    data = load("sleepstudy")
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()._results


@pytest.fixture(scope="module")
def other(linear):
    return OtherResults(linear)


def same(one, two):
    if isinstance(one, pd.DataFrame | pd.Series):
        return one.equals(two)
    return np.array_equal(one, two)


@pytest.mark.parametrize("name", TABLES)
def test_tables(name, linear, other):
    assert same(getattr(other, name)(), getattr(linear, name)())


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes(name, linear, other):
    found, expected = getattr(other, name), getattr(linear, name)
    if name == "n_params":
        assert found == expected - 1
    elif name == "aic":
        assert found == expected - 2.0
    elif name == "bic":
        assert found == pytest.approx(expected - np.log(linear.nobs), rel=1e-14)
    else:
        assert same(found, expected)


def test_random_effects(linear, other):
    assert other.cov_re["Subject"].equals(linear.cov_re["Subject"])
    assert other.random_effects["Subject"].equals(linear.random_effects["Subject"])
    for level, covariance in linear.random_effects_cov["Subject"].items():
        assert other.random_effects_cov["Subject"][level].equals(covariance)


def test_prediction_and_summary(linear, other):
    new = load("sleepstudy").iloc[:20]
    for random_effects in (False, True):
        found = other.predict(new, random_effects=random_effects)
        assert_array_equal(found, linear.predict(new, random_effects=random_effects))
    text = other.summary().as_text()
    assert "Mixed Model Results" in text
    assert "Linear" not in text
    assert "other" in text


def test_the_evaluation_may_be_anywhere(linear):
    """Nothing but the evaluation tells where the variances are."""
    units, products = linear._units, linear.model._sufficient_statistics()[1]
    theta = np.array([1.0, 0.1, 0.3])
    evaluation = profiled_deviance(products, units.factors_at(theta), True)
    found = MixedResults(linear.model, units, evaluation, linear.optimum)
    expected = linear.model.loglike(theta)
    assert found.llf == pytest.approx(expected, rel=1e-14)
    (relative,) = linear.model.relative_covariances(theta)
    covariance = found.cov_re["Subject"]
    assert_allclose(covariance, found.scale * relative, rtol=1e-14)
