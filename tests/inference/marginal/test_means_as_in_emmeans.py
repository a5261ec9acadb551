"""Marginal means of six published data sets, on both scales, against emmeans."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from published import fit

PATH = Path(__file__).parents[2] / "reference" / "generalized_means.json"
REFERENCE = json.loads(PATH.read_text())

BASE = 4.0 * np.exp(np.log(fit("epil").model.data.frame["base"] / 4.0).mean())
ASKED = {
    "cbpp": {"specs": "period"},
    "contraception": {"specs": ["ch", "urban"]},
    "grouseticks": {"specs": "YEAR"},
    "carrots": {"specs": "trt"},
    "epil": {"specs": "trt", "by": "visit", "at": {"base": BASE}},
    "rats": {"specs": "Diet"},
}


@pytest.mark.parametrize("name", ASKED)
def test_means_and_ratios(name):
    """Within the errors of glmer's optimum and Hessian, 2e-4 of a standard error."""
    expected, errors = REFERENCE[name], ["std err", "ci_lower", "ci_upper"]
    linear = fit(name).marginal_means(**ASKED[name], which="linear")
    response = fit(name).marginal_means(**ASKED[name])
    tables = {
        "link": linear,
        "response": response,
        "differences": linear.contrasts(adjust="none"),
        "ratios": linear.contrasts(adjust="none", exponentiate=True),
    }
    if name == "carrots":  # emmeans does not exponentiate complementary log-logs
        del tables["ratios"]
    for what, found in tables.items():
        numbers, theirs = found.frame[[found.kind, *errors]], np.array(expected[what])
        scaled = (numbers - theirs) / theirs[:, [1]]
        assert_allclose(scaled, 0.0, atol=2e-4, err_msg=what)
    pvalues = linear.contrasts(adjust="tukey").frame["pvalue"]
    assert_allclose(pvalues, np.ravel(expected["pvalue"]), rtol=1e-3, atol=1e-9)
