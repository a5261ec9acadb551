"""
How precise an elimination is, and a tail in blocks against the same tail as dense.

What small designs find is held against dense twins.
"""

from functools import cache

import numpy as np
import pytest
from engine_cases import CLOSE, case, roots
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra import bordered_cholesky
from statsmodels_lmm.core.algebra.bordered_cholesky import (
    BorderedCholesky,
    DenseCholesky,
)
from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.row_transforms import RowWeights


@pytest.mark.parametrize("name", ["chain of 3", "chain and tail", "one factor"])
def test_weights_reach_what_is_read_from_the_rows(name):
    """Digits that large covariances cost come from weighted rows."""
    rows, _, engine = case(name)
    transform = RowWeights(np.linspace(0.5, 1.5, len(rows.endog)))
    found = engine.gather(rows, transform)
    levels = roots(name)
    one, other = found.eliminate(levels), found.eliminate(levels, closely=True)
    assert other.gram is not one.gram
    assert_allclose(one.gram, other.gram, **CLOSE)


def test_a_direct_engine_is_as_precise_as_arithmetic():
    for name in ("chain and tail", "levels"):
        rows, _, engine = case(name)
        assert engine.gather(rows).eliminate(roots(name)).precision == 1e-14


SIZES = {"regular": (1.3, 0.7, 0.4), "singular": (1.3, 0.7, 0.0)}


@cache
def both(kind):
    """
    One elimination with the tail in blocks and one with the tail as dense.

    Students rate teachers of their own department, and one in ten a visiting one.
    """
    rng = np.random.default_rng(6)
    n, students, teachers, departments = 6000, 1500, 240, 30
    student = np.concatenate([np.arange(students), rng.integers(students, size=n)])
    n, own = len(student), student % departments
    teacher = own + departments * rng.integers(teachers // departments, size=n)
    visits = rng.random(n) < 0.1
    teacher[visits] = teachers + rng.integers(10, size=visits.sum())
    codes = student, teacher, own
    levels = students, teachers + 10, departments
    terms = [
        GroupedEffects(c, size, np.ones((n, 1)), (1,)) for c, size in zip(codes, levels)
    ]
    rows = Rows(rng.standard_normal(n), rng.standard_normal((n, 2)))
    roots, out = [np.full((1, 1), s) for s in SIZES[kind]], []
    for work in (np.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bordered_cholesky, "FEWEST", 0)
            patch.setattr(bordered_cholesky, "WORTHWHILE", work)
            out.append(engine_for(terms, n).gather(rows).eliminate(roots))
    return out


@pytest.mark.parametrize("kind", SIZES)
def test_a_tail_in_blocks(kind):
    in_blocks, dense = both(kind)
    assert isinstance(in_blocks.tail_cholesky, BorderedCholesky)
    assert len(in_blocks.tail_cholesky.pattern.blocks) > 5
    assert isinstance(dense.tail_cholesky, DenseCholesky)
    assert_allclose(in_blocks.logdet, dense.logdet, rtol=1e-13)
    assert_allclose(in_blocks.gram, dense.gram, rtol=1e-11)
    plan, rng = dense.products.plan, np.random.default_rng(7)
    sums = [rng.standard_normal((f.n_levels, 1, 4)) for f in plan.terms]
    for name in ("solve", "project", "projected_forms"):
        pairs = zip(*(getattr(each, name)(sums) for each in both(kind)), strict=True)
        for one, other in pairs:
            assert_allclose(one, other, rtol=1e-9, atol=1e-11)
    few = plan.take(slice(20)).terms
    forms = [
        sum(as_array(left @ right.T) for left, right in each.row_forms(few))
        for each in both(kind)
    ]
    assert_allclose(*forms, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", SIZES)
def test_the_inverse_of_a_tail_in_blocks(kind):
    one, other = (each.selected_inverse() for each in both(kind))
    for name in ("diagonal", "level_sums", "projected", "modes"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_cancelled_digits_of_a_tail_in_blocks():
    """Pivots are those of the order in which the columns are eliminated."""
    in_blocks, dense = both("regular")
    order, root = in_blocks.tail_cholesky.pattern.order, dense.tail_cholesky.root
    pivots = np.diagonal(np.linalg.cholesky((root @ root.T)[np.ix_(order, order)])) ** 2
    sizes = [f.n_levels for f in dense.products.plan.tail]
    scale = np.repeat([0.7, 0.4], sizes)
    before = 1.0 + scale**2 * dense.products.tail.diagonal()
    assert_allclose(in_blocks.cancelled, (before[order] / pivots).sum(), rtol=1e-11)
