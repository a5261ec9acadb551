"""Refits of generalized models, against fits of the same responses."""

import dataclasses

import numpy as np
import pytest
from generalized_samples import cbpp, fitted, model
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.criteria.without_effects import without_effects
from statsmodels_lmm.core.resampling import generalized_refits
from statsmodels_lmm.core.resampling.generalized_refits import WithoutEffects
from statsmodels_lmm.inference.replicates.refitted_parameters import design_of


def responses(count=2):
    return fitted("binomial").simulate(count, rng=4).to_numpy().T


def test_one_bad_response_among_others():
    design = design_of(fitted("binomial")._results)
    good = responses()
    alone = design.fit(good)
    found = design.fit(np.insert(good, 1, np.nan, axis=0))
    assert np.isnan(found.value[1])
    assert np.isnan(found.coefficients[1]).all()
    assert not found.certified[1]
    for field in dataclasses.fields(found):
        if field.name != "covariances":
            kept = np.delete(getattr(found, field.name), 1, axis=0)
            assert_array_equal(kept, getattr(alone, field.name))
    assert_array_equal(np.delete(found.covariances[0], 1, axis=0), alone.covariances[0])
    assert alone.certified.all()
    criteria = design.criteria(np.insert(good, 1, np.nan, axis=0))
    assert_array_equal(criteria[[0, 2]], alone.value)
    assert np.isnan(criteria[1])


def test_where_no_search_can_start(monkeypatch):
    """Variances of another response may be of no use; then it starts anew."""
    design = design_of(fitted("negativebinomial")._results)
    counts = fitted("negativebinomial").simulate(1, rng=4).to_numpy().T
    expected = design.fit(counts)

    def nowhere(*args, **kwargs):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(generalized_refits, "conditional_modes", nowhere)
    found = design.fit(counts)
    assert_allclose(found.value, expected.value, atol=1e-7)
    monkeypatch.setattr(generalized_refits, "search_generalized", nowhere)
    assert np.isnan(design.fit(counts).value).all()


@pytest.mark.parametrize("extra", [0.0, 0.3])
def test_searches_start_off_the_boundary(extra):
    """At alpha = 0 and at variances of zero every slope vanishes."""
    design = design_of(fitted("negativebinomial")._results)
    nothing = tuple(f.nothing() for f in design.factors)
    factors, start = dataclasses.replace(design, extra=extra, factors=nothing)._start
    assert start > 0.01 if extra == 0.0 else start == extra
    assert all(f.covariance[0, 0] > 0.0 for f in factors)


@pytest.mark.parametrize("name", ["poisson", "negativebinomial", "log gamma"])
def test_without_random_effects(name):
    """The optimum of a search that moves theta is no lower at zero than this one."""
    fit = fitted(name)
    _, conditional = fit.model._prepared()
    start = fit.model._units.coefficients(fit.params)
    found = without_effects(conditional, start, fit.extra)
    units = fit.model._units
    extra = [] if fit.extra is None else [found.extra]
    point = np.concatenate([units.beta(found.coefficients), [0.0], extra])
    assert_allclose(fit.model.loglike(point), -0.5 * found.value, rtol=1e-10)
    slopes = fit.model.score(point)
    assert_allclose(np.delete(slopes, len(fit.params)), 0.0, atol=2e-2)
    design = WithoutEffects(conditional, start, fit.extra)
    y = fit.model.endog
    criteria = design.criteria(np.stack([y, np.full(len(y), np.nan)]))
    assert_allclose(criteria[0], found.value, rtol=1e-10)
    assert np.isnan(criteria[1])


def test_standard_errors_for_known_variances():
    rx = fitted("binomial").with_cov_type("rx")
    design = design_of(rx._results)
    y = responses(1)
    root = np.linalg.inv(design.fit(y).fixed_root[0]).T
    data = rx.model._prepared()[0]
    errors = np.linalg.norm(data.to_fixed @ root, axis=1)
    expected = model("binomial").with_response(y[0]).fit(cov_type="rx").bse
    assert_allclose(errors, expected, rtol=1e-5)
    assert len(y[0]) == len(cbpp())


def test_responses_without_finite_estimates():
    """A period without a case, and herds in which all animals or none are cases."""
    design = design_of(fitted("binomial")._results)
    frame, (y,) = cbpp(), responses(1)
    no_case = np.where(frame["period"] == "4", 0.0, y)
    by_herd = frame["herd"].astype(int).to_numpy() % 2 * 1.0
    found = design.fit(np.stack([no_case, y, by_herd]))
    assert_array_equal(found.separated, [True, False, True])
    assert np.isfinite(found.value).all()
    assert np.isnan(found.coefficients[[0, 2]]).all()
    assert np.isfinite(found.coefficients[1]).all()
