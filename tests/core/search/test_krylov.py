"""Fits with estimated traces against exact ones, and when there are such fits."""

from dataclasses import replace

import numpy as np
import pytest
from krylov_cases import KINDS, case, fits, products
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria import krylov as criteria
from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.krylov import (
    KrylovProfiled,
    criterion_of,
    errors,
    probed,
    valued,
)
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.search import krylov
from statsmodels_lmm.core.search.descent import Iterate
from statsmodels_lmm.core.search.krylov import (
    is_by_level,
    is_for_dense,
    is_worth_polishing,
    search_krylov,
    why_not,
    with_value,
)
from statsmodels_lmm.core.search.newton import Settings, minimize

SEEDS = [*range(3), *(pytest.param(s, marks=pytest.mark.slow) for s in range(3, 12))]


def claimed(fit):
    """Errors of theta over those claimed, where there is something to claim."""
    some = np.isfinite(fit.se) & (fit.mc_se > 1e-7 * fit.se)
    return ((fit.theta - fit.truth)[some] / fit.mc_se[some]).tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_twins(kind, seed):
    fit = fits(kind, seed)
    assert fit.report.certified
    some = np.isfinite(fit.se)
    assert (fit.mc_se <= 0.01 * fit.se)[some].all()
    assert (np.abs(fit.theta - fit.truth) <= 6.0 * fit.mc_se + 1e-6)[some].all()
    assert -1e-8 <= fit.there.value - fit.exact.value <= 2e-3
    error = fit.found.elimination.log_determinant.error
    assert error <= krylov.VALUE_ERROR
    assert abs(fit.found.value - fit.there.value) <= 6.0 * error + 1e-6
    # at the same covariances all else is exact
    assert_allclose(fit.found.coefficients, fit.there.coefficients, atol=1e-8)
    assert_allclose(fit.found.fixed_root, fit.there.fixed_root, rtol=1e-7, atol=1e-7)
    assert_allclose(fit.found.scale, fit.there.scale, rtol=1e-9)
    pairs = fit.own.modes(fit.found), fit.units.modes(fit.there)
    for mine, yours in zip(*pairs, strict=True):
        assert_allclose(mine, yours, atol=1e-8)


def test_errors_are_as_claimed():
    every = [fits(kind, seed) for kind in KINDS for seed in range(3)]
    of_theta = [z for fit in every for z in claimed(fit)]
    assert 0.5 <= np.sqrt(np.mean(np.square(of_theta))) <= 1.5
    of_value = [
        float(f.found.value - f.there.value) / f.found.elimination.log_determinant.error
        for f in every
        if f.found.elimination.log_determinant.error > 1e-7
    ]
    assert 0.5 <= np.sqrt(np.mean(np.square(of_value))) <= 1.5


def test_the_merit_is_the_change_of_the_criterion():
    """The trapezoid rule is exact to third order in the step, and blind to a pivot."""
    exact, mine = products("slopes", 1)
    criterion = KrylovProfiled(mine, True)
    start = moment_start(mine)
    current = Iterate.of(criterion.evaluate(start))
    assert np.isnan(current.value)
    step, promised = current.step(0.05)
    trial = criterion.evaluate(criterion.moved(current, step))
    gain = criterion.gain(current, trial, step, promised)
    same = [mine.plan.order.index(i) for i in exact.plan.order]
    before = profiled_deviance(exact, [start[i] for i in same], True).value
    after = profiled_deviance(exact, [trial.factors[i] for i in same], True).value
    assert_allclose(gain, before - after, rtol=0.02)
    # along the covariances themselves, for points without a step
    assert_allclose(criterion.gain(current, trial, None, 0.0), gain, rtol=0.1)


def test_no_evaluation_is_wasted(monkeypatch):
    """Where probes are doubled, and at a new pivot, the rest is known."""
    _, mine = products("slopes", 1)
    counts = []

    def counted(*args, **kwargs):
        counts.append(1)
        return profiled_deviance(*args, **kwargs)

    monkeypatch.setattr(criteria, "profiled_deviance", counted)
    monkeypatch.setattr(krylov, "THETA_ERROR", 1e-3)
    found, report = search_krylov(mine, True, Settings())
    count = found.elimination.products.probes.count
    assert count > 8
    assert report.evaluations == len(counts)
    assert errors(found).ratio <= 1e-3 or count == krylov.MOST_PROBES


def test_more_probes_keep_the_first():
    fit = fits("three", 0)
    more = probed(fit.found, count=16)
    for few, many in zip(fit.found.selected.samples, more.selected.samples):
        assert np.array_equal(few, many[: len(few)])


def test_given_numbers_of_probes_stay():
    mine = products("sparse", 0)[1].probed(count=4)
    found, _ = search_krylov(mine, True, Settings(), fixed=True)
    found = with_value(found, fixed=True)
    assert found.elimination.products.probes.count == 4
    assert found.elimination.products.probes.more == 0
    assert np.isfinite(valued(found).value)


def test_same_seed_same_numbers():
    mine = products("slopes", 0)[1]
    ends = [search_krylov(mine, True, Settings())[0] for _ in range(2)]
    one, other = (np.concatenate([f.free_values for f in e.factors]) for e in ends)
    assert np.array_equal(one, other)
    seed = replace(mine, probes=replace(mine.probes, seed=5))
    third = search_krylov(seed, True, Settings())[0]
    third = np.concatenate([f.free_values for f in third.factors])
    assert not np.array_equal(one, third)
    assert_allclose(third, one, atol=0.05)


def test_certificates_allow_for_the_error():
    _, mine = products("zero", 0)
    criterion = KrylovProfiled(mine, True)
    found, report = minimize(criterion, moment_start(mine))
    assert report.certified
    assert criterion.dual_error(found) >= 0.0
    exact = Profiled(products("zero", 0)[0], True)
    assert exact.dual_error(None) == 0.0
    assert isinstance(criterion_of(mine, True), KrylovProfiled)
    assert type(criterion_of(exact.products, True)) is Profiled


def grouped(levels, n=50):
    codes = np.arange(n) % levels
    return GroupedEffects(codes, levels, np.ones((n, 1)), (1,))


def test_which_engine():
    few, many = grouped(5), grouped(50)
    crossed = case("plain").terms
    large = [replace(grouped(50), n_levels=q) for q in (5000, 3000)]
    assert is_for_dense(crossed, 1000)
    assert is_for_dense([large[0]], 10**6)
    assert is_for_dense([large[0], few], 10**6)
    known = replace(few, relationship=Relationship(np.eye(5)))
    raw = RawEffects(np.zeros((50, 3)))
    assert is_for_dense([*large, known], 10**6)
    assert "related" in why_not([many, known])
    assert "model matrix" in why_not([many, raw])
    assert why_not([many, few]) == ""
    assert is_by_level([many])
    assert is_by_level([many, few])  # nested
    assert not is_by_level(crossed)


def test_large_crossed_terms_call_for_probes(monkeypatch):
    crossed = case("plain").terms
    monkeypatch.setattr(krylov, "DENSE_WORK", 1e3)
    assert not is_for_dense(crossed, 100)
    assert is_for_dense([grouped(50), grouped(25)], 100)  # nested


def test_polishing(monkeypatch):
    mine = products("plain")[1]
    assert is_worth_polishing(mine)
    monkeypatch.setattr(krylov, "available_bytes", lambda: 1000)
    assert not is_worth_polishing(mine)
    monkeypatch.setattr(krylov, "available_bytes", lambda: None)
    assert is_worth_polishing(mine)
    monkeypatch.setattr(krylov, "PATIENCE", 0.0)
    assert not is_worth_polishing(mine)
