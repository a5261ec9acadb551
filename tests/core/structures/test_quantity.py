"""What tables tell of a covariance block."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.structures.base import Parameter, Structure
from statsmodels_lmm.core.structures.correlated import CompoundSymmetry
from statsmodels_lmm.core.structures.structured_block import StructuredCovariance
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance

NAMES = ("a", "b", "c")


class Ramp(Structure):
    """A deviation of the first effect, and something else."""

    name = "ramp"

    def parameters(self, effects):
        return [Parameter("ramp", 0.0, kind="sd"), Parameter("slope", start=1.0)]

    def covariance(self, theta, k):
        return np.diag((theta[0] * theta[1] ** np.arange(k)) ** 2)


def told(model, title):
    return [(q.kind, q.label) for q in model.quantities(NAMES, title)]


def test_quantities_of_an_unstructured_block():
    model = UnstructuredCovariance(3)
    labels = [("sd", "a"), ("sd", "b"), ("sd", "c")]
    labels += [("cor", "b, a"), ("cor", "c, a"), ("cor", "c, b")]
    assert told(model, "us") == labels
    quantities = model.quantities(NAMES, "us")
    assert model.theta_labels(NAMES, quantities) == ["a", "b.a", "c.a", "b", "c.b", "c"]
    s = np.array([[4.0, 3.0, 0.0], [3.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    values = model.quantity_values(quantities, s, np.zeros(6))
    expected = [(4, 2), (9, 3), (0, 0), (3, 0.5), (0, np.nan), (0, np.nan)]
    assert_allclose(values, expected)


def test_quantities_of_a_structure():
    model = StructuredCovariance(CompoundSymmetry(False), NAMES)
    labels = [("sd", "a"), ("sd", "b"), ("sd", "c"), ("cor", "cs2 rho")]
    assert told(model, "cs2") == labels
    quantities = model.quantities(NAMES, "cs2")
    assert model.theta_labels(NAMES, quantities) == ["a", "b", "c", "cs2.rho"]
    theta = np.array([0.5, 0.0, 2.0, 0.3])
    values = model.quantity_values(quantities, np.eye(3), theta)
    assert_allclose(values, [(0.25, 0.5), (0, 0), (4, 2), (np.nan, 0.3)])
    values = model.quantity_values(quantities, np.eye(3), np.array([0, 0, 0, 0.3]))
    assert_allclose(values[-1], (np.nan, np.nan))


@pytest.mark.parametrize("title", ["ramp", "ramp2"])
def test_a_deviation_with_the_name_of_the_structure(title):
    model = StructuredCovariance(Ramp(), NAMES)
    assert told(model, title) == [("sd", title), ("", f"{title} slope")]
