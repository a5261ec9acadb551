"""Which rows of arrays a model uses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.tools.sm_exceptions import MissingDataError

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataWarning

RNG = np.random.default_rng(3)
GROUPS = np.repeat(np.arange(8), 5)
X = np.column_stack([np.ones(40), RNG.standard_normal(40)])
Y = X @ [1.0, 2.0] + RNG.standard_normal(8)[GROUPS] + RNG.standard_normal(40)


@pytest.mark.parametrize("missing", ["none", "drop", "raise"])
def test_rows_without_weight_are_dropped_whatever_is_missing(missing):
    weights = np.ones(40)
    weights[[2, 7]] = 0.0
    with pytest.warns(DataWarning, match="rows of weight 0 dropped"):
        model = CrossedMixedLM(Y, X, [GROUPS], weights=weights, missing=missing)
    keep = weights > 0.0
    expected = CrossedMixedLM(Y[keep], X[keep], [GROUPS[keep]]).fit()
    assert model.n_dropped == 2
    assert_allclose(model.fit().llf, expected.llf, rtol=1e-12)


def test_a_gap_is_refused_or_dropped_unless_its_row_has_no_weight():
    weights, y = np.ones(40), Y.copy()
    weights[2], y[2] = 0.0, np.nan
    for missing in ("drop", "raise"):
        with pytest.warns(DataWarning, match="rows of weight 0 dropped"):
            model = CrossedMixedLM(y, X, [GROUPS], weights=weights, missing=missing)
        assert model.nobs == 39
    y[5] = np.nan
    assert CrossedMixedLM(y, X, [GROUPS], missing="drop").nobs == 38
    with pytest.raises(MissingDataError, match="missing values"):
        CrossedMixedLM(y, X, [GROUPS], missing="raise")
