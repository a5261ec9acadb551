"""Many fits against lmerTest, response by response."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm.formula.api import crossedmixedlm

LMERTEST = json.loads(
    (Path(__file__).parents[1] / "reference" / "many.json").read_text()
)
Y = np.array(LMERTEST["y"], dtype=float).T


def rows():
    """The design of many.R."""
    g, x = np.divmod(np.arange(60), 5)
    return pd.DataFrame({"g": g, "x": x, "h": 3 * np.arange(1, 61) % 7})


@pytest.mark.parametrize("formula", LMERTEST["fits"])
def test_fits_are_those_of_lmertest(formula):
    many = crossedmixedlm(formula, rows()).fit_many(Y)
    for i, fit in enumerate(LMERTEST["fits"][formula]):
        np.testing.assert_allclose(many.params.loc[i], fit["params"], rtol=1e-6)
        np.testing.assert_allclose(many.bse.loc[i], fit["bse"], rtol=1e-5)
        np.testing.assert_allclose(-2.0 * many.llf[i], fit["reml"], rtol=1e-9)
        assert many.singular[i] == fit["singular"]
        if not fit["singular"]:  # where lmerTest differences in a direction of no use
            np.testing.assert_allclose(many.df.loc[i], fit["df"], rtol=2e-3)
