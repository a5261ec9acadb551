"""Products with L of the tail, against the whole block-diagonal matrix."""

import numpy as np
import pytest
from dense_twin import covariances, design, roots_of
from numpy.testing import assert_allclose
from scipy.linalg import block_diag

from statsmodels_lmm.core.engines.plan import plan_elimination
from statsmodels_lmm.core.engines.tail import scale_tail, times_tail_root


@pytest.mark.parametrize("name", ["3 crossed", "2 x 2 nested", "chain and tail"])
def test_products_with_the_root(name):
    data = design(name)
    plan = plan_elimination(data.terms)
    found = roots_of(data, covariances(data, "regular"))
    roots = [found[i].matrix for i in plan.order[plan.n_chain :]]
    whole = block_diag(
        *(np.kron(np.eye(f.n_levels), m) for f, m in zip(plan.tail, roots))
    )
    rng = np.random.default_rng(1)
    columns, square = rng.standard_normal((plan.n_tail, 3)), whole @ whole.T + 1.0
    assert_allclose(times_tail_root(plan, roots, columns), whole @ columns)
    assert_allclose(scale_tail(plan, roots, square), whole @ square @ whole.T)
    both = np.array([columns, 2.0 * columns])
    assert_allclose(times_tail_root(plan, roots, both), whole @ both)
    wanted = whole @ square @ whole.T
    assert_allclose(scale_tail(plan, roots, square.copy(), overwrite=True), wanted)
