"""How precise an elimination is; what it finds is held against dense twins."""

import numpy as np
import pytest
from engine_cases import CLOSE, case, roots
from numpy.testing import assert_allclose

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
