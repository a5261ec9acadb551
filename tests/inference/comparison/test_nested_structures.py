"""Which structures of the user's own are a case of others."""

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm import Structure
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.structures import deviation


class Shared(Structure):
    """Effects of one variance and a correlation that is given."""

    name = "shared"

    def __init__(self, correlation=0.5):
        self.correlation = correlation

    def parameters(self, effects):
        return [deviation("sd")]

    def covariance(self, theta, k):
        within = np.full((k, k), self.correlation)
        np.fill_diagonal(within, 1.0)
        return theta[0] ** 2 * within


class Rising(Structure):
    """Effects whose variances rise."""

    name = "rising"

    def parameters(self, effects):
        return [deviation("sd")]

    def covariance(self, theta, k):
        return theta[0] ** 2 * np.diag(1.0 + np.arange(k))


def fit(term, structure, more=""):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.arange(90) % 10, "h": np.arange(90) % 9})
    data["f"] = np.array(list("abc"))[rng.integers(3, size=90)]
    data["y"] = rng.standard_normal(10)[data["g"]] + rng.standard_normal(9)[data["h"]]
    data["y"] += rng.standard_normal(90)
    formula = f"y ~ 1 + {term}(0 + f | g)" + more
    model = crossedmixedlm(formula, data, structures={term: structure})
    return model.fit(reml=False)


def test_the_same_function_is_nested():
    full, restricted = fit("own", Shared(), " + (1 | h)"), fit("own", Shared(0.5))
    assert full.compare_lr_test(restricted).df_diff == 1


@pytest.mark.parametrize(
    ("name", "other"), [("own", Shared(0.2)), ("own", Rising()), ("rising", Rising())]
)
def test_other_functions_are_not(name, other):
    full = fit("own", Shared(), " + (1 | h)")
    with pytest.raises(DataError, match="not nested"):
        full.compare_lr_test(fit(name, other))
