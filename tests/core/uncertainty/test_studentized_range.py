"""The studentized range against scipy's slow integrals and Student's t."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from statsmodels_lmm.core.uncertainty.studentized_range import range_isf, range_sf


@pytest.mark.parametrize(
    ("q", "k", "df"),
    [
        (3.0, 4, 5.0),
        (1.2, 12, 1.0),
        (6.0, 12, 40.0),
        (4.0, 60, 900.0),
        (3.3, 3, np.inf),
    ],
)
def test_against_scipy(q, k, df):
    found = range_sf(np.array([q]), k, np.array([df]))
    assert_allclose(found, stats.studentized_range.sf(q, k, df), rtol=1e-9)


def test_the_range_of_two_is_a_t_statistic():
    """With all digits of small probabilities, for few and many degrees of freedom."""
    q, df = np.meshgrid([0.1, 1.0, 5.0, 20.0], [1.0, 2.5, 59.0, 61.0, 1e7, np.inf])
    found = range_sf(q.ravel(), 2, df.ravel())
    expected = 2.0 * stats.t.sf(q / np.sqrt(2.0), df).ravel()
    assert_allclose(found, expected, rtol=1e-10)
    assert expected.min() < 1e-40


def test_quantiles():
    df = np.array([1.0, 3.0, 1e4, np.inf, np.nan])
    for probability in (1e-9, 0.05, 0.7):
        found = range_isf(probability, 7, df)
        assert_allclose(range_sf(found[:4], 7, df[:4]), probability, rtol=1e-9)
        assert np.isnan(found[4])


def test_the_ends():
    found = range_sf(np.array([0.0, 200.0, np.nan]), 3, np.full(3, np.inf))
    assert_allclose(found, [1.0, 0.0, np.nan], rtol=1e-10)
    assert max(range_sf(np.zeros(1), k, np.ones(1)) for k in (2, 3, 7, 12)) <= 1.0
    lost = range_sf(np.ones(2), 3, np.array([np.nan, 4.0]))
    assert_array_equal(np.isnan(lost), [True, False])
