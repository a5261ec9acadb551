"""Arrows overlap where means do not differ."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.uncertainty.comparison_arrows import (
    arrow_lengths,
    discrepancies,
)


def reaches(values, k):
    matrix = np.full((k, k), np.nan)
    matrix[np.triu_indices(k, 1)] = values
    return np.where(np.isnan(matrix), matrix.T, matrix)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_equal_standard_errors(order):
    """Each arrow has half of the least significant difference."""
    estimates = np.array([0.0, 1.5, 2.5])[order]
    reach = reaches([2.0, 2.0, 2.0], 3)
    lengths = arrow_lengths(estimates, reach)
    assert_allclose(lengths, 1.0, rtol=1e-9)
    assert not discrepancies(estimates, reach, lengths).any()
    wrong = discrepancies(estimates, reach, np.full((2, 3), 0.6))
    assert wrong.sum() == 1
    assert wrong[order.index(0), order.index(1)]
    wrong = discrepancies(estimates, reach, np.full((2, 3), 1.3))
    assert wrong.sum() == 1
    assert wrong[order.index(0), order.index(2)]


def test_differences_that_cannot_be_estimated():
    estimates = np.array([0.0, np.nan, 3.0])
    lengths = arrow_lengths(estimates, reaches([np.nan, 2.0, np.nan], 3))
    assert_allclose(lengths, [[1.0, 0.0, 1.0]] * 2, atol=1e-12)


def test_arrows_have_no_negative_length():
    estimates, reach = np.array([0.0, 1.0, 1.2]), reaches([9.0, 0.1, 0.1], 3)
    assert arrow_lengths(estimates, reach).min() >= 0.0
