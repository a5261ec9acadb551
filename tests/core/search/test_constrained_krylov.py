"""Profiles with estimated traces against exact ones."""

from dataclasses import replace

import numpy as np
import pytest
from krylov_cases import fits, products
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.krylov import KrylovProfiled
from statsmodels_lmm.core.search.constrained import ConstrainedSearch
from statsmodels_lmm.core.search.constrained_krylov import (
    Anchor,
    KrylovConstrained,
    KrylovSearch,
    WithoutDeterminant,
    zeta_error,
)
from statsmodels_lmm.core.search.constraints import (
    FixedEffect,
    ResidualDeviation,
    StandardDeviation,
)
from statsmodels_lmm.core.search.descent import Iterate
from statsmodels_lmm.core.search.profile_curve import profile_curve

REACH = 1.96


def deviation(plan, levels):
    """The standard deviation of the first effect of the term with so many levels."""
    place = [f.n_levels for f in plan.terms].index(levels)
    k = plan.terms[place].k_effects
    return StandardDeviation(place, slice(0, k), np.eye(k)[0])


def curves(kind, seed, constraint_of, reml=True):
    """The curves of one parameter by both engines, as far as an interval reaches."""
    fit, both = fits(kind, seed, reml), products(kind, seed)
    out = []
    for deviance, own in zip((fit.exact, fit.found), both):
        own = deviance.elimination.products if own is both[1] else own
        krylov = own.is_stochastic
        search = (
            KrylovSearch(KrylovProfiled(own, reml))
            if krylov
            else ConstrainedSearch(Profiled(own, reml))
        )
        constraint, tau = constraint_of(own.plan), float(deviance.scale) ** -0.5
        at = constraint.estimate(deviance.coefficients, deviance.factors, tau)
        moves = reml and isinstance(constraint, FixedEffect)
        value = None if moves else float(deviance.value)
        curve = profile_curve(search, constraint, at, search.start(deviance), value)
        out.append(curve.extended(REACH, 0.5))
    return out


def ends(curve):
    return np.array([curve.crossing(side, REACH) for side in (-1.0, 1.0)])


PARAMETERS = {
    "fixed": lambda plan: FixedEffect(np.array([0.0, 0.6, 0.8])),
    "sigma": lambda plan: ResidualDeviation(),
    "head": lambda plan: deviation(plan, plan.terms[0].n_levels),
    "tail": lambda plan: deviation(plan, plan.terms[1].n_levels),
}


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_without_noise_the_integral_is_exact(parameter):
    # all of the tail is in the coarse space, so that probes add nothing
    truth, found = curves("small", 0, PARAMETERS[parameter], parameter != "tail")
    assert_allclose(ends(found), ends(truth), rtol=1e-6)
    assert zeta_error(found) < 1e-8
    assert zeta_error(truth) == 0.0


@pytest.mark.parametrize(
    ("kind", "seed", "parameter"),
    [
        ("plain", 0, "sigma"),
        ("weights", 1, "tail"),
        ("slopes", 0, "head"),
        ("plain", 1, "fixed"),
        ("zero", 1, "tail"),
        ("three", 2, "tail"),
    ],
)
def test_limits(kind, seed, parameter):
    truth, found = curves(kind, seed, PARAMETERS[parameter])
    exact = ends(truth)
    off = np.abs(ends(found) - exact).max() / (exact[1] - exact[0]) * 2.0 * REACH
    error = zeta_error(found)
    assert 0.0 < error < 0.01
    assert off <= 6.0 * error
    # the end of the range is met as by the exact engine
    assert (exact[0] == 0.0) == (ends(found)[0] == 0.0)


def moved(deviance, size):
    """The same criterion at other factors."""
    factors = [f.moved(np.full(f.n_free, size)) for f in deviance.factors]
    return deviance.elsewhere(factors)


@pytest.mark.parametrize(("kind", "tolerance"), [("small", 2e-6), ("slopes", 0.0)])
def test_change_of_the_determinant(kind, tolerance):
    fit = fits(kind, 0)
    start = Anchor.of(fit.found)
    assert_allclose(start.logdet, fit.found.elimination.logdet)
    there = moved(fit.found, 0.1)
    end = start.moved(there)
    values = []
    for each in (fit.found, there):
        own = [fit.own.of_user(each.factors)[i] for i in fit.units.plan.order]
        exact = profiled_deviance(products(kind)[0], own, True)
        values.append(float(exact.elimination.logdet))
    change = end.logdet.mean() - start.logdet.mean()
    error = end.error(start)
    assert_allclose(change, values[1] - values[0], atol=6.0 * error + tolerance)
    assert error < 0.05
    assert (error > 1e-6) == (kind == "slopes")


def test_merit_is_the_trapezoid_rule():
    fit = fits("small", 0)
    own = fit.found.elimination.products
    constraint, tau = ResidualDeviation(), float(fit.found.scale) ** -0.5
    at = -np.log(tau) + 0.05
    constrained = KrylovConstrained(WithoutDeterminant(own, True), constraint, at)
    here = Iterate.of(constrained.evaluate((fit.found.factors, tau)))
    step = 0.005 * np.ones(len(here.gradient))
    step[-1] = 0.0
    trial = constrained.evaluate(constrained.moved(here, step))
    slopes = trial.derivatives().gradient
    decrease = -0.5 * (here.gradient + slopes) @ step
    assert_allclose(constrained.gain(here, trial, step, 1.0), decrease, rtol=2e-3)
    # covariances that do not change leave what is known exactly
    same = replace(trial, value=trial.value + 1.0)
    again = Iterate.of(trial)
    assert_allclose(constrained.gain(again, same, step, 1.0), -1.0)
