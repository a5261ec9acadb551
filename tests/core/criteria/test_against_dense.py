"""Every clever path of the core against its dense twin."""

import numpy as np
import pytest
from dense_twin import (
    SHAPES,
    DenseTwin,
    covariances,
    design,
    evaluate,
    products_of,
    roots_of,
    user_order,
    user_parameters,
)

from statsmodels_lmm.core.criteria.derivatives import (
    dual_matrices,
)
from statsmodels_lmm.core.engines.coupling import SparseCoupling
from statsmodels_lmm.core.structures.relative_factor import full_factor

CROSSED = ["2 crossed", "2 crossed, 2 effects each", "3 crossed", "chain and tail"]
KINDS = ["regular", "zero", "singular"]
# n = 44 rows and a condition number of V below 1e3: 1e-16 x 1e3 x a few sums
CLOSE = 1e-10


def close(got, wanted, tolerance=CLOSE):
    """Equal up to a share of the largest entry."""
    wanted = np.asarray(wanted, dtype=float)
    got = np.asarray(got, dtype=float)
    assert got.shape == wanted.shape
    size = max(np.abs(wanted).max(initial=0.0), 1e-300)
    assert np.abs(got - wanted).max(initial=0.0) <= tolerance * max(size, 1e-6)


def check_estimates(products, roots, twin, tolerance=CLOSE):
    found = evaluate(products, roots, twin.reml)
    close(found.value, twin.value, tolerance)
    close(found.elimination.logdet, twin.logdet, tolerance)
    close(found.scale, twin.scale, tolerance)
    close(found.coefficients, twin.coefficients, tolerance)
    root = np.linalg.inv(found.fixed_root)
    close(root.T @ root, twin.xvx_inverse, tolerance)
    each = range(len(roots))
    modes = user_order(products, found.modes)
    scores = user_order(products, found.scores)
    blocks = user_order(products, found.selected.diagonal)
    sums = user_order(products, found.selected.level_sums, levels=False)
    for i in each:
        close(modes[i], twin.modes(i), tolerance)
        close(scores[i], twin.scores(i), tolerance)
        close(blocks[i], twin.conditional_blocks(i), tolerance)
        close(sums[i], twin.level_sum(i), tolerance)


def check_derivatives(products, roots, twin, tolerance=CLOSE):
    found = evaluate(products, roots, twin.reml)
    duals = user_order(products, dual_matrices(found), levels=False)
    for i in range(len(roots)):
        close(duals[i], twin.dual(i), tolerance)
    at = user_parameters(products, roots)
    slope = found.derivatives()
    close(slope.gradient[at], twin.gradient(), tolerance)
    for exact in (False, True):
        slope = found.derivatives(exact=True) if exact else slope
        close(slope.curvature[np.ix_(at, at)], twin.curvature(exact), tolerance)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHAPES)
def test_estimates(name, kind, reml):
    data = design(name)
    roots = roots_of(data, covariances(data, kind))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    check_estimates(products_of(data), roots, twin)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHAPES)
def test_derivatives(name, kind, reml):
    data = design(name)
    roots = roots_of(data, covariances(data, kind))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    check_derivatives(products_of(data), roots, twin)


@pytest.mark.parametrize("name", ["one factor, blocks 1 and 2", "3 crossed"])
def test_full_factors(name):
    """Factors whose every entry is free, as for derivatives in theta."""
    data = design(name)
    relative = covariances(data, "regular")
    rng = np.random.default_rng(3)
    roots = []
    for s, f in zip(relative, data.terms):
        matrix = np.where(s != 0.0, rng.standard_normal(s.shape), 0.0)
        roots.append(full_factor(matrix, f.block_slices))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, True)
    check_estimates(products_of(data), roots, twin)
    check_derivatives(products_of(data), roots, twin)


@pytest.mark.parametrize("max_pairs", [None, 0])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CROSSED)
def test_sparse_coupling(name, kind, reml, max_pairs, monkeypatch):
    """A coupling held sparsely, with and without products of pairs."""
    data = design(name)
    products = products_of(data, monkeypatch, max_pairs)
    assert isinstance(products.coupling[0], SparseCoupling)
    assert products.plan.n_chain == 1
    assert (products.coupling[0]._by_cell is None) == (max_pairs == 0)
    roots = roots_of(data, covariances(data, kind))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    check_estimates(products, roots, twin)
    check_derivatives(products, roots, twin)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_huge_covariances(name, reml):
    """
    Relative standard deviations of 1e4, against 40 digits.

    A covariance of 1e8 amplifies the rounding of the cross-products 1e8 times in
    what the fixed effects and the random ones can tell apart only by that
    covariance: 1e-16 x 1e8 x 30 rows, and ten times that where a level has fewer
    rows than effects. What one factor says about itself keeps all its digits.
    """
    data = design(name, n=30)
    roots = roots_of(data, covariances(data, "huge"))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml, digits=40)
    products = products_of(data)
    found = evaluate(products, roots, reml)
    alone = len(roots) == 1
    amplified = 3e-5 if name == "chain of 3" else 3e-6
    close(found.value, twin.value, 1e-7)
    close(found.elimination.logdet, twin.logdet, 1e-13 if alone else 1e-7)
    close(found.scale, twin.scale, 1e-13 if alone else 1e-9)
    close(found.coefficients, twin.coefficients, amplified)
    modes = user_order(products, found.modes)
    blocks = user_order(products, found.selected.diagonal)
    sums = user_order(products, found.selected.level_sums, levels=False)
    duals = user_order(products, dual_matrices(found), levels=False)
    for i, root in enumerate(roots):
        close(modes[i], twin.modes(i), amplified)
        close(blocks[i], twin.conditional_blocks(i), 1e-12 if alone else amplified)
        # in units of log theta these are of the order of the number of levels
        left, right = root.matrix.T, root.matrix
        wanted = twin.l[i].T @ twin.level_sum(i) @ twin.l[i]
        close(left @ sums[i] @ right, wanted, 1e-12 if alone else amplified)
        wanted = (twin.l[i].T @ twin.dual(i) @ twin.l[i]).astype(float)
        assert np.abs(left @ duals[i] @ right - wanted).max() < amplified


def test_mixed_boundary():
    """One factor at zero, one singular, one huge, all crossed."""
    data = design("3 crossed", n=30)
    kinds = [covariances(data, kind) for kind in ("zero", "singular", "huge")]
    relative = [kinds[i][i] for i in range(3)]
    roots = roots_of(data, relative)
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, True, digits=40)
    check_estimates(products_of(data), roots, twin, 3e-6)
