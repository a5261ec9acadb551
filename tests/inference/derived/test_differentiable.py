"""The chain rule against differences."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.inference.derived.differentiable import PARTIAL, Differentiable

AT = np.array([0.3, 0.6])


@pytest.mark.parametrize("ufunc", PARTIAL, ids=lambda f: f.__name__)
def test_derivatives(ufunc):
    def both(x):
        return ufunc(x[0] * x[1], *[x[1] + 2.0 * x[0]] * (ufunc.nin - 1))

    found = both([Differentiable(v, row) for v, row in zip(AT, np.eye(2))])
    assert found.value == both(AT)
    h = 1e-5 * np.eye(2)
    differences = [(both(AT + d) - both(AT - d)) / 2e-5 for d in h]
    assert_allclose(found.slopes, differences, rtol=1e-8)


def test_constants_take_part():
    x = Differentiable(-2.0, np.array([1.0]))
    assert_allclose((3.0 - x**2 / 4.0).slopes, [1.0])
    assert x < 0.0


def test_a_root_of_zero_depends_on_its_argument_alone():
    x = Differentiable(0.0, np.array([1.0, 0.0]))
    assert np.array_equal(np.sqrt(x).slopes, [np.inf, 0.0])


def test_unknown_functions():
    x = Differentiable(1.0, np.array([1.0]))
    with pytest.raises(TypeError, match=r"derivative of sin is not known.*sqrt"):
        np.sin(x)
    with pytest.raises(TypeError, match="NumPy's functions, not math"):
        math.sqrt(x)
