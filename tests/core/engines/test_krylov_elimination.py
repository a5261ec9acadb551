"""Conjugate gradients against dense matrices."""

from dataclasses import replace

import numpy as np
import pytest
from krylov_cases import KINDS, case, products
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines.krylov_engine import KrylovEngine
from statsmodels_lmm.core.engines.krylov_products import KrylovProducts
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums

CLOSE = {"rtol": 1e-7, "atol": 1e-7}


def roots_of(plan, kind="regular"):
    """Roots of the terms, those of the last singular if asked for."""
    rng = np.random.default_rng(4)
    roots = [
        0.7 * np.tril(rng.uniform(0.3, 1.0, (f.k_effects,) * 2)) for f in plan.terms
    ]
    if kind == "singular":
        roots[-1] = roots[-1] * 0.0
        roots[0][-1] = 0.0
    return roots


def both(kind, singular="regular", probes=64):
    exact, mine = products(kind, probes=probes)
    given = dict(zip(exact.plan.order, roots_of(exact.plan, singular)))
    return (
        exact.eliminate([given[i] for i in exact.plan.order]),
        mine.eliminate([given[i] for i in mine.plan.order]),
    )


def in_order(elimination, per_term):
    """Arrays of the terms in the user's order of terms and levels."""
    plan = elimination.products.plan
    pairs = sorted(zip(plan.order, range(len(plan.order))))
    return [per_term[place][plan.relabel[place]] for _, place in pairs]


def of_user(elimination, per_term):
    """Matrices of the terms in the user's order of terms."""
    order = elimination.products.plan.order
    return [m for _, m in sorted(zip(order, per_term), key=lambda pair: pair[0])]


@pytest.mark.parametrize("singular", ["regular", "singular"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_but_traces_is_exact(kind, singular):
    exact, mine = both(kind, singular)
    assert_allclose(mine.gram, exact.gram, **CLOSE)
    for verb in ("solve", "project"):
        pair = (in_order(e, getattr(e, verb)()) for e in (exact, mine))
        for one, other in zip(*pair, strict=True):
            assert_allclose(other, one, **CLOSE)
    rng = np.random.default_rng(1)
    terms = case(kind).terms
    columns = [rng.standard_normal((f.n_levels, f.k_effects, 3)) for f in terms]
    forms = []
    for e in (exact, mine):
        plan = e.products.plan
        own = []
        for i, relabel in zip(plan.order, plan.relabel):
            moved = np.empty_like(columns[i])
            moved[relabel] = columns[i]
            own.append(moved)
        forms.append(e.projected_forms(own))
    assert_allclose(forms[1], forms[0], rtol=1e-6)


@pytest.mark.parametrize("singular", ["regular", "singular"])
@pytest.mark.parametrize("kind", KINDS)
def test_level_sums_within_their_error(kind, singular):
    exact, mine = both(kind, singular)
    truth = of_user(exact, exact.selected_inverse().level_sums)
    found = mine.selected_inverse()
    pairs = zip(truth, of_user(mine, found.level_sums), of_user(mine, found.samples))
    for one, other, samples in pairs:
        error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
        size = np.trace(one)
        # a raised root moves the traces by its square
        assert (np.abs(other - one) <= 4.0 * error + 2e-6 * size).all()
        assert error.max() <= 0.02 * size


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_of_modes(kind):
    exact, mine = both(kind)
    pair = (in_order(e, e.selected_inverse().diagonal) for e in (exact, mine))
    for i, (one, other) in enumerate(zip(*pair, strict=True)):
        sizes = np.diagonal(one, axis1=1, axis2=2)
        ratio = np.diagonal(other, axis1=1, axis2=2) / sizes
        assert np.abs(ratio - 1.0).max() <= 0.1
        if i != mine.products.plan.order[0]:
            assert ratio.max() <= 1.0 + 1e-9  # P is below the inverse


@pytest.mark.parametrize("kind", ["plain", "slopes", "three"])
def test_forms_of_rows(kind):
    exact, mine = both(kind)
    forms = []
    for e in (exact, mine):
        terms = [f.take(np.arange(5)) for f in e.products.plan.terms]
        total = 0.0
        for left, right in e.row_forms(terms):
            dense = [m.toarray() if hasattr(m, "toarray") else m for m in (left, right)]
            total = total + (dense[0] * dense[1]).sum(axis=1)
        forms.append(total)
    assert_allclose(forms[1], forms[0], rtol=1e-8)


def test_rows_are_optional():
    _, mine = products("slopes")
    data, plan = case("slopes"), mine.plan
    sums = PairSums.of(data.terms, Rows(data.endog, data.exog))
    sums = sums.ordered(plan.order, plan.relabel)
    without = KrylovProducts.of(plan.take(slice(0)), sums, mine.probes)
    roots = roots_of(plan)
    one, other = mine.eliminate(roots), without.eliminate(roots)
    assert_allclose(other.gram, one.gram, rtol=1e-12)
    assert_allclose(other.logdet, one.logdet, rtol=1e-12)
    pairs = zip(other.selected_inverse().level_sums, one.selected_inverse().level_sums)
    for mine, yours in pairs:
        assert_allclose(mine, yours, rtol=1e-9)
    own, known = without.moments(), products("slopes")[1].moments()
    assert_allclose(own.squares, known.squares)


def test_parts_add_up():
    data = case("four")
    engine = KrylovEngine.of(data.terms, len(data.endog))
    rows = Rows(data.endog, data.exog)
    total = None
    for part in (slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)):
        own = engine.take(part).gather(Rows(data.endog[part], data.exog[part]))
        total = own if total is None else total + own
    whole = engine.gather(rows)
    for pair, link in whole.links.items():
        assert_allclose(total.links[pair].blocks, link.blocks)
        assert np.array_equal(total.links[pair].second, link.second)
    assert_allclose((total + -whole).gram, 0.0, atol=1e-9)


def test_moments_are_those_of_the_block_engine():
    for kind in ("slopes", "four"):
        exact, mine = products(kind)
        place = {i: j for j, i in enumerate(exact.plan.order)}
        order = []
        sizes = [f.k_effects for f in exact.plan.terms]
        starts = np.cumsum([0, *sizes])
        for i in mine.plan.order:
            order += range(starts[place[i]], starts[place[i]] + sizes[place[i]])
        one, other = exact.moments(), mine.moments()
        assert_allclose(other.squares, one.squares[np.ix_(order, order)])
        assert_allclose(other.between, one.between[order])


def test_the_numbers_depend_on_the_seed_alone():
    _, mine = products("three")
    roots = roots_of(mine.plan)
    one, again = mine.eliminate(roots), mine.eliminate(roots)
    for a, b in zip(one.selected_inverse().samples, again.selected_inverse().samples):
        assert np.array_equal(a, b)
    more = one.probed(count=16).selected_inverse().samples
    for a, b in zip(one.selected_inverse().samples, more):
        assert np.array_equal(a, b[:8])
    seed = replace(mine, probes=replace(mine.probes, seed=1)).eliminate(roots)
    assert seed.logdet != one.logdet


def test_a_root_may_be_turned():
    """Everything depends on S = L L' alone, so a new pivot costs nothing."""
    _, mine = products("slopes")
    roots = roots_of(mine.plan)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((2, 2)))[0]
    turned = [r @ turn if len(r) == 2 else -r for r in roots]
    one, other = mine.eliminate(roots), mine.eliminate(turned)
    assert_allclose(other.gram, one.gram, rtol=1e-11)
    pairs = zip(one.selected_inverse().samples, other.selected_inverse().samples)
    for a, b in pairs:
        assert_allclose(b, a, rtol=1e-8, atol=1e-8)
