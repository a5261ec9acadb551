import numpy as np
import pytest
from exact_families import derivatives, mp, vectorized

from statsmodels_lmm.core.families.saddle_point import (
    SERIES,
    excess,
    stirling_remainder,
    stirling_slopes,
)


def test_excess_keeps_its_digits():
    x = np.array([-30.0, -1.0, -1.1e-3, -0.9e-3, -1e-9, 1e-200, 2e-5, 1e-3, 0.4, 90.0])
    exact = vectorized(lambda x: mp.expm1(x) - x)(x)[0]
    np.testing.assert_allclose(excess(x), exact, rtol=2e-13)
    assert excess(np.array([0.0]))[0] == 0.0
    assert excess(np.array([-800.0]))[0] == 799.0
    assert np.isfinite(excess(np.array([800.0, 1e300, np.inf]))).all()


@vectorized
def exact_remainder(v):
    def remainder(v):
        x = 1 / v
        return mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2

    return derivatives(remainder, v, range(3))


def test_remainder_and_its_slopes():
    v = np.array([1e-4, 0.01, 0.9 * SERIES, SERIES, 1.01 * SERIES, 0.5, 1.0, 40.0, 1e5])
    value, first, second = exact_remainder(v)
    np.testing.assert_allclose(stirling_remainder(v), value, rtol=2e-13)
    found = stirling_slopes(v)
    np.testing.assert_allclose(found[0], first, rtol=1e-11)
    np.testing.assert_allclose(found[1], second, rtol=1e-7)


def test_remainder_vanishes_smoothly_at_zero():
    assert stirling_remainder(0.0) == 0.0
    first, second = stirling_slopes(0.0)
    assert first == pytest.approx(1.0 / 12.0, rel=1e-15)
    assert second == 0.0
