"""The different rows of a matrix, as NumPy finds them."""

import numpy as np
from numpy.testing import assert_array_equal

from statsmodels_lmm.core.algebra.distinct_rows import distinct_rows


def test_distinct_rows_are_those_of_numpy():
    rng = np.random.default_rng(1)
    for keys in (rng.integers(0, 3, (200, 4)), rng.random((20, 2)), np.zeros((5, 0))):
        first, which = distinct_rows(keys)
        if keys.shape[1]:
            _, one, inverse = np.unique(
                keys, axis=0, return_index=True, return_inverse=True
            )
            assert_array_equal(first, one)
            assert_array_equal(which, inverse.ravel())
        assert_array_equal(keys[first][which], keys)


def test_different_rows_with_equal_products():
    # rows that the vector of the products cannot tell apart
    a, b = np.cos([1.0, 2.0])
    keys = np.array([[0.0, 0.0], [b, -a], [0.0, 0.0]])
    first, which = distinct_rows(keys)
    assert len(first) == 2
    assert_array_equal(keys[first][which], keys)
