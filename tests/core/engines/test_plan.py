"""In which order terms are eliminated, and how their levels are renumbered."""

import numpy as np
import pytest
from dense_twin import SHAPES, design

from statsmodels_lmm.core.engines.plan import parent_levels, plan_elimination
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects


@pytest.mark.parametrize("name", SHAPES)
def test_relabelling_goes_back(name):
    data = design(name)
    plan = plan_elimination(data.terms)
    assert sorted(plan.order) == list(range(len(data.terms)))
    for factor, i, new in zip(plan.terms, plan.order, plan.relabel):
        assert sorted(new) == list(range(factor.n_levels))
        assert np.array_equal(factor.codes, new[data.terms[i].codes])
        assert factor.effects is data.terms[i].effects
    for (i, j), parents in plan.parents.items():
        assert (np.diff(parents) >= 0).all()
        assert np.array_equal(parents[plan.terms[i].codes], plan.terms[j].codes)


def test_shapes_of_plans():
    expected = {"chain of 3": 3, "2 crossed": 1, "3 crossed": 1, "chain and tail": 2}
    for name, n_chain in expected.items():
        assert plan_elimination(design(name).terms).n_chain == n_chain
    data = design("chain and tail")
    assert plan_elimination(data.terms, chain_tail=False).n_chain == 1
    # without a tail a chain is never cut
    data = design("chain of 3")
    assert plan_elimination(data.terms, chain_tail=False).n_chain == 3


def test_parent_levels():
    child = GroupedEffects(np.array([0, 1, 2, 0, 2]), 3, np.ones((5, 1)), (1,))
    parent = GroupedEffects(np.array([1, 0, 1, 1, 1]), 2, np.ones((5, 1)), (1,))
    assert parent_levels(child, parent).tolist() == [1, 0, 1]
    assert parent_levels(parent, child) is None
