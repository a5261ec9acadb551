"""Sums over the rows of a design whose random effects stay sparse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sparse_cases import CASES, N, data, products_of

from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.rows.standardize import standardize


def test_other_responses_of_the_same_design():
    """What a bootstrap needs: Z'y, X'y and y'y of many responses."""
    endog, exog, pairs = data("two related")
    standardized = standardize(endog, exog, [f for f, _ in pairs])
    products = sufficient_statistics(
        standardized.endog, standardized.exog, standardized.terms
    )
    responses = np.random.default_rng(21).standard_normal((3, N))
    found = products.with_responses(standardized, responses)
    for i, y in enumerate(responses):
        each = sufficient_statistics(y, standardized.exog, standardized.terms)
        assert_allclose(found.gram[i], each.gram, atol=1e-10)
        for one, other in zip(found.level_sums, each.level_sums):
            assert_allclose(one[i], other, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_squares(case):
    """Squared lengths of the columns of independent levels, by which effects scale."""
    products = products_of(case)
    assert_allclose(
        np.concatenate([each.ravel() for each in products.squares]),
        np.diag(products.matrix.toarray()),
    )
