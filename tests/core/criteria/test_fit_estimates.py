"""Estimates of a fit in the units of the user, and what is found when asked for."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm import datasets
from statsmodels_lmm.core.criteria.estimates import TINY, estimates
from statsmodels_lmm.formula.api import crossedmixedlm


@pytest.fixture(scope="module")
def result():
    data = datasets.sleepstudy.load_pandas().data
    data["twice"] = 2.0 * data["Days"]
    formula = "Reaction ~ Days + twice + (Days | Subject)"
    with pytest.warns(Warning, match="twice"):
        return crossedmixedlm(formula, data).fit()._results


@pytest.fixture
def own(result):
    return estimates(result._units, result.at_optimum)


def test_estimates_are_those_of_the_units(result, own):
    units, optimum = result._units, result.at_optimum
    assert_array_equal(own.fixed, units.beta(optimum.coefficients))
    assert_array_equal(own.kept, [0, 1])
    assert_array_equal(own.fixed_root, units.beta_root(optimum.fixed_root))
    assert own.scale == float(units.scale(optimum.scale)) == pytest.approx(654.94, 1e-5)
    assert own.factors == tuple(units.of_user(optimum.factors))
    assert own.criterion == units.criterion(optimum) == pytest.approx(1743.628, 1e-6)
    assert_array_equal(own.relative[0], units.relative_covariances(own.factors)[0])
    assert_array_equal(own.modes[0], units.modes(optimum)[0])


def test_covariance_of_fixed_effects(own):
    assert not len(own.out_of_range)
    root = own.fixed_root
    assert_allclose(own.fixed_covariance[:2, :2], root @ root.T, rtol=1e-15)
    assert np.isnan(own.fixed_covariance[2]).all()
    assert np.isnan(own.fixed_covariance[:, 2]).all()


@pytest.mark.parametrize("size", [1e-170, 1e170])
@pytest.mark.parametrize("column", [0, 1])
def test_variances_that_no_number_holds(own, column, size):
    root = own.fixed_root.copy()
    root[column] *= size
    lost = replace(own, fixed_root=root)
    assert_array_equal(lost.out_of_range, [column])
    assert np.isnan(lost.fixed_covariance[column]).all()
    assert np.isnan(lost.fixed_covariance[:, column]).all()
    assert np.isfinite(lost.fixed_covariance[1 - column, 1 - column])


def test_the_residual_variance_counts(own):
    # in range over sigma^2, and not in the units of the response
    lost = replace(own, scale=TINY)
    assert_array_equal(lost.out_of_range, [0, 1])
    kept = replace(own, kept=np.array([0, 2]))
    assert_array_equal(replace(kept, scale=TINY).out_of_range, [0, 2])


def test_covariances_of_modes(own, result):
    found = own.mode_covariances(0)
    wanted = result._units.mode_covariances(result.at_optimum, 0)
    assert_array_equal(found, wanted)
    assert replace(own, level_blocks=(None,)).mode_covariances(0) is None


def test_what_a_fit_does_not_need_is_found_when_asked_for(result):
    with pytest.warns(Warning, match="twice"):
        fresh = result.model.fit()._results
    assert not fresh._mode_variances
    assert not {"at_optimum", "_fixed_part"} & set(vars(fresh))
    first = fresh._mode_covariances(0)
    assert fresh._mode_covariances(0) is first
    assert_allclose(first, fresh.scale * fresh._estimates.mode_covariances(0))
