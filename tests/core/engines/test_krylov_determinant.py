"""Estimates of log |V| against dense determinants."""

import numpy as np
import pytest
from krylov_cases import KINDS, products, term
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines import krylov_determinant
from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.engines.krylov_determinant import (
    _deflated,
    _estimate,
    log_determinant,
)
from statsmodels_lmm.core.engines.krylov_engine import KrylovEngine
from statsmodels_lmm.core.engines.krylov_probes import Probes, variance_of_mean
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import standardize


def eliminations(kind, size=0.8):
    exact, mine = products(kind)
    given = {
        i: size * np.tril(np.ones((f.k_effects,) * 2) * 0.5 + 0.5 * np.eye(f.k_effects))
        for i, f in zip(exact.plan.order, exact.plan.terms)
    }
    return [p.eliminate([given[i] for i in p.plan.order]) for p in (exact, mine)]


@pytest.mark.parametrize("is_formed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_against_dense(kind, is_formed):
    exact, mine = eliminations(kind)
    found = _estimate(mine.system, Probes(0, 64), {}, is_formed)
    assert abs(found.value - float(exact.logdet)) <= 4.0 * found.error + 1e-7
    assert found.error <= (0.01 if is_formed else 0.2)


@pytest.mark.parametrize("kind", ["plain", "slopes", "four"])
@pytest.mark.parametrize("at_once", [4e6, 100.0])
def test_traces_of_the_rest(kind, at_once, monkeypatch):
    """The traces of the powers of N_r, formed or not, are those of dense matrices."""
    monkeypatch.setattr(krylov_determinant, "AT_ONCE", at_once)
    system = eliminations(kind)[1].system
    q = system.products.plan.n_tail
    for is_formed in (False, True):
        rest = _deflated(system, is_formed)
        d = rest.basis
        outside = np.eye(q) - d @ d.T
        n = outside @ (rest.times(outside) - outside)
        expected = [np.trace(outside)]
        power = np.eye(q)
        for _ in rest.traces[1:]:
            power = power @ n
            expected.append(np.trace(power))
        assert len(rest.traces) == (5 if is_formed else 2)
        assert_allclose(rest.traces, expected, atol=1e-8)


def test_moments_are_formed_where_needed(monkeypatch):
    exact, mine = eliminations("sparse", size=2.0)
    rough = _estimate(mine.system, Probes(0, 8), {}, False)
    assert rough.error > krylov_determinant.ENOUGH
    assert log_determinant(mine.system, Probes(0, 8), {}).error < 0.5 * rough.error
    monkeypatch.setattr(krylov_determinant, "FORMED", 0.0)
    assert log_determinant(mine.system, Probes(0, 8), {}) == rough
    monkeypatch.setattr(krylov_determinant, "FORMED", 1e9)
    monkeypatch.setattr(krylov_determinant, "SQUARED", 0.0)
    found = log_determinant(mine.system, Probes(0, 64), {})
    assert abs(found.value - float(exact.logdet)) <= 4.0 * found.error


def test_nothing_is_left_to_chance_without_variances():
    _, mine = products("plain")
    nothing = mine.eliminate([np.zeros((1, 1))] * 2)
    assert_allclose(nothing.logdet, 0.0, atol=1e-8)
    assert nothing.log_determinant.error < 1e-8


def test_nothing_is_left_to_chance_beside_a_small_tail():
    exact, mine = eliminations("small")
    assert mine.log_determinant.error == 0.0
    assert_allclose(mine.logdet, exact.logdet, rtol=1e-12)


@pytest.mark.parametrize("size", [0.0, 0.7])
def test_few_columns_leave_nothing_to_chance(size):
    """A tail of at most 64 columns is its own coarse space."""
    rng = np.random.default_rng(0)
    n = 400
    terms = [term(rng, n, 80), term(rng, n, 30)]
    data = standardize(rng.standard_normal(n), np.ones((n, 1)), terms)
    rows, engines = Rows(data.endog, data.exog), (BlockEngine, KrylovEngine)
    exact, mine = (
        each.of(data.terms, n).gather(rows).eliminate([size * np.eye(1)] * 2)
        for each in engines
    )
    assert_allclose(mine.log_determinant.value, exact.logdet, atol=1e-9)
    assert mine.log_determinant.error == 0.0


def test_variance_of_a_mean():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((20_000, 8))
    z = samples.mean(axis=1) / np.sqrt([variance_of_mean(s) for s in samples])
    assert_allclose((z**2).mean(), 1.0, rtol=0.1)
    whole = variance_of_mean(samples[:10])
    assert_allclose(np.diag(whole), [variance_of_mean(c) for c in samples[:10].T])


def test_probes():
    probes = Probes(3, 12)
    assert probes.blocks == [(0, 8), (1, 4)]
    columns = probes.columns((0, 8), 100)
    assert set(np.unique(columns)) == {-1.0, 1.0}
    assert np.array_equal(columns[:, :4], Probes(3, 4).columns((0, 4), 100))
    assert not np.array_equal(columns, Probes(4, 12).columns((0, 8), 100))
    assert Probes(3, 12, more=64).of_determinant() == Probes(3, 64)
