"""Whole numbers take little memory, and all numbers keep their values."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from statsmodels_lmm.core.algebra.whole_numbers import compact


@pytest.mark.parametrize(
    ("numbers", "kind", "signed"),
    [
        ([0.0, 255.0], np.uint8, np.int16),
        ([127.0], np.uint8, np.int8),
        ([1.0, 256.0, 65535.0], np.uint16, np.int32),
        ([2.0**31 - 1.0], np.uint32, np.int32),
        ([2.0**31], float, float),
        ([-128.0, 3.0], float, np.int16),
        ([-(2.0**31) + 1.0], float, np.int32),
        ([0.5, 1.0], float, float),
        ([1.0, np.nan], float, float),
        ([1.0, np.inf], float, float),
        ([], np.uint8, np.int8),
    ],
)
def test_the_smallest_type_that_holds_all_is_taken(numbers, kind, signed):
    numbers = np.array(numbers)
    for found, expected in (compact(numbers), kind), (compact(numbers, True), signed):
        assert found.dtype == expected
        assert_array_equal(found, numbers)
