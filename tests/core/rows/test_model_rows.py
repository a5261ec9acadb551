"""The rows of a model, as they are and with other columns."""

import numpy as np
from numpy.testing import assert_allclose

from statsmodels_lmm.core.rows.model_rows import Rows


def test_times_is_the_product_with_the_columns():
    rng = np.random.default_rng(1)
    rows = Rows(rng.standard_normal(9), rng.standard_normal((9, 3)))
    for each in (rows, rows.turned(rng.standard_normal((4, 2))), Rows(None, rows.exog)):
        columns = each.columns()
        contrast = rng.standard_normal(columns.shape[1])
        assert_allclose(each.times(contrast), columns @ contrast, atol=1e-14)
