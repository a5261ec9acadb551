"""Quadratic forms in the inverse of the mixed model equations, against the inverse."""

import numpy as np
import pytest
from dense_twin import (
    SHAPES,
    covariances,
    dense_z,
    design,
    evaluate,
    inverse_and_logdet,
    products_of,
    roots_of,
    with_digits,
)
from numpy.testing import assert_allclose
from scipy.linalg import block_diag

from statsmodels_lmm.core.algebra import bordered_cholesky
from statsmodels_lmm.core.engines.coupling import DenseCoupling, SparseCoupling
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.uncertainty import mixed_model_inverse
from statsmodels_lmm.core.uncertainty.mixed_model_inverse import (
    error_covariance,
    error_variances,
)

CROSSED = ["2 crossed", "2 crossed, 2 effects each", "3 crossed", "chain and tail"]
ROWS = 25


def dense_inverse(data, roots, number=np.asarray):
    """
    Lambda ([X ZL]'[X ZL] + diag(0, I))^-1 Lambda' with Lambda = diag(I, L).

    The mixed model equations in spherical random effects, which stand for any L,
    singular or not; factors and levels are in the user's order.
    """
    p = data.exog.shape[1]
    scale = [np.kron(np.eye(f.n_levels), r.matrix) for f, r in zip(data.terms, roots)]
    to_user = number(block_diag(np.eye(p), *scale))
    columns = number(np.column_stack([data.exog, *map(dense_z, data.terms)]))
    columns = columns @ to_user
    equations = columns.T @ columns
    for at in range(p, len(equations)):
        equations[at, at] += 1
    return to_user @ inverse_and_logdet(equations)[0] @ to_user.T


def new_rows(data, seed=3, m=ROWS):
    """Fixed rows, and any levels: nested factors need not agree with the data."""
    rng = np.random.default_rng(seed)
    factors = []
    for f in data.terms:
        effects = 2.0 * rng.standard_normal((m, f.k_effects))
        effects[rng.random(m) < 0.2] = 0.0
        codes = rng.integers(f.n_levels, size=m)
        factors.append(GroupedEffects(codes, f.n_levels, effects, f.blocks))
    return rng.standard_normal((m, data.exog.shape[1])), factors


def in_plan_order(products, factors):
    plan = products.plan
    return [
        GroupedEffects(new[f.codes], f.n_levels, f.effects, f.blocks)
        for f, new in zip([factors[i] for i in plan.order], plan.relabel)
    ]


def found_by(products, roots, fixed, factors):
    deviance = evaluate(products, roots, True)
    rows = in_plan_order(products, factors)
    return error_variances(deviance, fixed, rows), error_covariance(
        deviance, fixed, rows
    )


def check(data, products, roots):
    inverse = dense_inverse(data, roots)
    fixed, factors = new_rows(data)
    wanted = np.column_stack([fixed, *map(dense_z, factors)])
    wanted = wanted @ inverse @ wanted.T
    variances, covariance = found_by(products, roots, fixed, factors)
    size = np.abs(wanted).max()
    assert_allclose(covariance, wanted, rtol=0, atol=1e-11 * size)
    assert_allclose(variances, np.diag(wanted), rtol=1e-10, atol=1e-12 * size)


@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", SHAPES)
def test_forms(name, kind):
    data = design(name)
    check(data, products_of(data), roots_of(data, covariances(data, kind)))


@pytest.mark.parametrize("kind", ["regular", "singular"])
@pytest.mark.parametrize("name", CROSSED)
def test_forms_where_the_coupling_is_sparse(name, kind, monkeypatch):
    data = design(name)
    products = products_of(data, monkeypatch)
    assert isinstance(products.coupling[0], SparseCoupling)
    check(data, products, roots_of(data, covariances(data, kind)))


@pytest.mark.parametrize("name", ["one factor, 2 effects", *CROSSED])
def test_a_few_rows_at_a_time(name, monkeypatch):
    data = design(name)
    products = products_of(data)
    assert not isinstance(products.coupling[0], SparseCoupling)
    roots = roots_of(data, covariances(data, "regular"))
    rows = new_rows(data)
    wanted = found_by(products, roots, *rows)[0]
    monkeypatch.setattr(
        mixed_model_inverse, "ROW_ENTRIES", 4 * max(1, products.plan.n_tail)
    )
    assert_allclose(found_by(products, roots, *rows)[0], wanted, rtol=1e-13)


@pytest.mark.parametrize("name", ["one factor", "3 crossed"])
def test_rows_that_are_repeated(name):
    data = design(name)
    products = products_of(data)
    roots = roots_of(data, covariances(data, "regular"))
    fixed, factors = new_rows(data)
    wanted = found_by(products, roots, fixed, factors)[0]
    at = np.random.default_rng(0).integers(ROWS, size=3 * ROWS)
    again = [
        GroupedEffects(f.codes[at], f.n_levels, f.effects[at], f.blocks)
        for f in factors
    ]
    assert_allclose(found_by(products, roots, fixed[at], again)[0], wanted[at])


def test_the_solves_are_done_once_for_equal_random_effects(monkeypatch):
    data = design("3 crossed")
    products = products_of(data)
    assert isinstance(products.coupling[0], DenseCoupling)
    roots = roots_of(data, covariances(data, "regular"))
    fixed, factors = new_rows(data)
    same = [
        GroupedEffects(f.codes * 0, f.n_levels, f.effects * 0 + 1.5, f.blocks)
        for f in factors
    ]
    widths = []
    solve = mixed_model_inverse.solve_lower

    def counted(root, right):
        widths.append(right.shape)
        return solve(root, right)

    deviance = evaluate(products, roots, True)
    for module in (bordered_cholesky, mixed_model_inverse):
        monkeypatch.setattr(module, "solve_lower", counted)
    error_variances(deviance, fixed, in_plan_order(products, same))
    q, p = products.plan.n_tail, fixed.shape[1]
    # one row, the modes for X and y, and the fixed part of each row
    assert widths == [(q, 1), (q, p + 1), (p, ROWS)]


@pytest.mark.parametrize("name", ["one factor", "2 crossed"])
def test_without_random_effects_it_is_the_fixed_part(name):
    data = design(name)
    products = products_of(data)
    roots = roots_of(data, covariances(data, "regular"))
    fixed, factors = new_rows(data)
    none = [
        GroupedEffects(f.codes, f.n_levels, 0.0 * f.effects, f.blocks) for f in factors
    ]
    root = evaluate(products, roots, True).fixed_root
    wanted = np.einsum("ij,jk,ik->i", fixed, np.linalg.inv(root @ root.T), fixed)
    assert_allclose(found_by(products, roots, fixed, none)[0], wanted, rtol=1e-11)


def test_without_fixed_effects_and_without_rows():
    data = design("2 crossed")
    empty = type(data)(data.endog, data.exog[:, :0], data.terms)
    check(empty, products_of(empty), roots_of(empty, covariances(empty, "regular")))
    products = products_of(data)
    roots = roots_of(data, covariances(data, "regular"))
    variances, covariance = found_by(products, roots, *new_rows(data, m=0))
    assert variances.shape == (0,)
    assert covariance.shape == (0, 0)


@pytest.mark.parametrize("name", SHAPES)
def test_huge_variances(name):
    """
    Standard deviations of 1e4 sigma, which crossed factors and the constant share.

    Entries of the inverse are 1e6 times the forms of rows that were observed and
    more. A form found from the inverse keeps eight digits; this one keeps all.
    """
    data = design(name)
    roots = roots_of(data, covariances(data, "huge"))
    number = with_digits(50)
    inverse = dense_inverse(data, roots, number)
    rows = number(np.column_stack([data.exog, *map(dense_z, data.terms)]))
    wanted = np.diag(rows @ inverse @ rows.T).astype(float)
    found = found_by(products_of(data), roots, data.exog, list(data.terms))[0]
    assert wanted.max() < 1.0
    assert np.abs(inverse).max() > 1e6
    assert_allclose(found, wanted, rtol=1e-13)
