"""Standardized sums are the sums over standardized rows, for every kind of design."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import design

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.rows.standardized_sums import standardize_sums
from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.core.structures.by_name import structure_named
from statsmodels_lmm.core.structures.structured_block import StructuredCovariance


def compound(term):
    """The term with one compound-symmetric block."""
    names = tuple("abc"[: term.k_effects])
    model = StructuredCovariance(structure_named("cs"), names)
    return replace(term, blocks=(term.k_effects,), structures=(model,))


def designs():
    base = design("3 crossed")
    rng = np.random.default_rng(7)
    n, (_, x, z) = len(base.endog), base.exog.T
    groups = np.eye(3)[rng.permutation(np.arange(n) % 3)]
    ones, w = np.ones(n), rng.uniform(0.1, 9.0, n)
    far = [f.at(f.codes, f.effects + 1e5 * (f.effects != 1.0)) for f in base.terms]
    bare = [f.at(f.codes, f.effects * rng.uniform(1, 2, n)[:, None]) for f in far]
    cases = {
        "plain": (base.exog, base.terms, None),
        "weights": (base.exog, base.terms, w),
        "no constant": (base.exog[:, 1:], base.terms, None),
        "no fixed effects": (base.exog[:, :0], base.terms, w),
        "redundant": (np.column_stack([ones, x, z, x - z, 0 * x]), base.terms, None),
        "constant of 5 comes last": (np.column_stack([x, z, 5 * ones]), base.terms, w),
        "groups without constant": (np.column_stack([groups, x]), base.terms, None),
        "constant in their span": (np.column_stack([groups, ones]), base.terms, w),
        "far away, zeros first": (
            np.column_stack([0 * x, ones, x + 1e6]),
            base.terms,
            None,
        ),
        "two constants": (np.column_stack([ones, 2 * ones, x]), base.terms, None),
        "far away": (base.exog + [0, 1e6, -1e6], far, None),
        "far away, weights": (base.exog + [0, 1e6, 3e4], far, w),
        "effects without constant": (base.exog, bare, w),
        "tiny": (base.exog * [1, 1e-9, 1e-9], base.terms, 1e-8 * w),
        "compound": (base.exog, [compound(f) for f in far], w),
        "compound, near": (base.exog, [compound(f) for f in base.terms], w),
    }
    return base, cases


BASE, CASES = designs()


@pytest.mark.parametrize("name", CASES)
def test_sums_over_standardized_rows(name):
    exog, terms, weights = CASES[name]
    found = standardize_sums(SummedRows.of(BASE.endog, exog, terms, weights))
    n = len(BASE.endog)
    root = np.ones(n) if weights is None else np.sqrt(weights)
    x = exog[:, found.kept] * root[:, None] @ found.to_fixed
    fit = exog[:, found.kept] @ found.least_squares
    y = (BASE.endog - fit) * root / found.response_scale
    columns = np.column_stack([x, y])
    moved = [
        f.at(f.codes, f.effects @ change * root[:, None])
        for f, change in zip(terms, found.to_effects)
    ]
    # a dense product of columns far from zero loses what centering keeps
    close = {"rtol": 1e-9, "atol": 1e-6 if name.startswith("far") else 1e-9}
    expected = PairSums.of(moved, Rows(None, columns))
    np.testing.assert_allclose(found.sums.gram, expected.gram, **close)
    np.testing.assert_allclose(np.diagonal(found.sums.gram), n, rtol=1e-13)
    for i, _ in enumerate(terms):
        sums, blocks = found.sums.level_sums[i], found.sums.diagonal[i]
        np.testing.assert_allclose(sums, expected.level_sums[i], **close)
        np.testing.assert_allclose(blocks, expected.diagonal[i], **close)
    for pair, link in expected.links.items():
        np.testing.assert_allclose(found.sums.links[pair].blocks, link.blocks, **close)
    assert found.n_rows == n
    assert found.n_columns == exog.shape[1]


@pytest.mark.parametrize("name", CASES)
def test_units_are_those_of_rows_in_memory(name):
    exog, terms, weights = CASES[name]
    found = standardize_sums(SummedRows.of(BASE.endog, exog, terms, weights))
    expected = standardize(BASE.endog, exog, terms, weights)
    np.testing.assert_array_equal(found.kept, expected.kept)
    np.testing.assert_allclose(found.response_scale, expected.response_scale, 1e-12)
    largest = np.abs(expected.least_squares).max(initial=1e-300)
    np.testing.assert_allclose(
        found.least_squares / largest, expected.least_squares / largest, atol=1e-12
    )
    for reml in (True, False):
        shift = expected.criterion_shift(reml)
        shift -= 0.0 if not reml else 2 * expected.log_fixed
        mine = found.criterion_shift(reml) - (2 * found.log_fixed if reml else 0.0)
        assert mine == pytest.approx(shift, rel=1e-12)
    if weights is None:
        assert found.log_fixed == pytest.approx(expected.log_fixed, abs=1e-12)
        for one, other in zip(found.to_effects, expected.to_effects):
            largest = np.abs(other).max()
            np.testing.assert_allclose(one / largest, other / largest, atol=1e-11)
    # X'X = T^-T n T^-1 / u^2 whatever the unit u of the weights
    kept = exog[:, found.kept] * (1.0 if weights is None else np.sqrt(weights)[:, None])
    if kept.shape[1] and not name.startswith("far"):
        logdet = np.linalg.slogdet(kept.T @ kept / len(kept))[1]
        assert 2 * found.log_fixed == pytest.approx(logdet, abs=1e-9)


def test_a_response_without_residual():
    exog, terms, _ = CASES["plain"]
    found = standardize_sums(SummedRows.of(exog @ [1.0, 2.0, 3.0], exog, terms))
    assert found.response_scale < 1e-14


def test_another_shift_changes_nothing():
    """The means of a first batch are not those of all rows."""
    exog, terms, weights = CASES["weights"]
    whole = SummedRows.of(BASE.endog, exog, terms, weights)
    off = np.array([0.0, 3.0, -0.2, 0.7])
    change = np.eye(5)
    change[0, 1:] = -off
    moves = [np.eye(f.k_effects) for f in terms]
    moves[1][0, 0] = 1.0
    moved = replace(
        whole,
        sums=whole.sums.changed(change, moves),
        triangle=np.linalg.qr(whole.triangle @ change, mode="r"),
        shift=whole.shift + off,
    )
    one, other = standardize_sums(whole), standardize_sums(moved)
    np.testing.assert_allclose(one.least_squares, other.least_squares, rtol=1e-12)
    np.testing.assert_allclose(one.response_scale, other.response_scale, rtol=1e-13)
    for a, b in zip(one.sums.level_sums, other.sums.level_sums):
        np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-11)


def test_effects_about_another_shift():
    rng, n = np.random.default_rng(3), 40
    x, codes = rng.normal(3.0, 1.0, n), np.arange(n) % 5
    term = GroupedEffects(codes, 5, np.column_stack([x, np.ones(n)]), (2,))
    exog, y = np.ones((n, 1)), rng.standard_normal(n)
    whole = SummedRows.of(y, exog, [term])
    off = np.array([[1.0, 0.0], [-0.4, 1.0]])
    sums = whole.sums.changed(np.eye(3), [off])
    moved = replace(
        whole, sums=sums, effect_shifts=(whole.effect_shifts[0] + [0.4, 0],)
    )
    one, other = standardize_sums(whole), standardize_sums(moved)
    np.testing.assert_allclose(one.to_effects, other.to_effects, atol=1e-13)
    np.testing.assert_allclose(one.sums.diagonal, other.sums.diagonal, atol=1e-12)


@pytest.mark.parametrize("name", ["weights", "tiny", "compound", "compound, near"])
def test_standardized_effects(name):
    """Orthonormal with respect to weights near one; a structure keeps its effects."""
    exog, terms, weights = CASES[name]
    found = standardize_sums(SummedRows.of(BASE.endog, exog, terms, weights))
    moments = [blocks.sum(axis=0) for blocks in found.sums.diagonal]
    for moment, change in zip(moments, found.to_effects):
        assert 0.2 < moment[0, 0] / len(BASE.endog) < 5.0
        if name.startswith("compound"):
            np.testing.assert_array_equal(change, np.diag(np.diagonal(change)))
    if not name.startswith("compound"):
        np.testing.assert_allclose(moments[2] / moments[2][0, 0], np.eye(2), atol=1e-12)


def test_intercepts_keep_their_unit():
    for n in range(20, 60):
        term = GroupedEffects(np.arange(n) % 5, 5, np.ones((n, 1)), (1,))
        summed = SummedRows.of(np.arange(n) % 3.0, np.ones((n, 1)), [term])
        assert standardize_sums(summed).to_effects[0] == 1.0


def test_effects_that_are_zero():
    exog, terms, _ = CASES["plain"]
    none = GroupedEffects(terms[0].codes, 3, np.zeros((44, 1)), (1,))
    found = standardize_sums(SummedRows.of(BASE.endog, exog, [none]))
    assert found.to_effects[0] == 1.0
    assert not found.sums.diagonal[0].any()


def test_a_response_that_is_almost_explained():
    exog, terms, _ = CASES["plain"]
    y = exog @ [1.0, 1e7, -1e7] + BASE.endog
    found = standardize_sums(SummedRows.of(y, exog, terms))
    np.testing.assert_allclose(found.sums.gram[-1, :-1], 0.0, atol=1e-12)
