"""Information criteria of several models: R's performance, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm import compare_criteria
from statsmodels_lmm.exceptions import ConvergenceWarning, DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.comparison.likelihood_ratio import model_name

PATH = Path(__file__).parents[1] / "reference" / "reporting.json"
REFERENCE = json.loads(PATH.read_text())
R_NAMES = {
    "n_params": "df",
    "llf": "logLik",
    "aic": "AIC",
    "aicc": "AICc",
    "bic": "BIC",
    "weight": "AIC_wt",
}


@pytest.fixture(scope="module")
def sleep():
    data = load("sleepstudy")
    return [
        crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit(reml=False),
        crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit(reml=False),
        smf.ols("Reaction ~ Days", data).fit(),
    ]


@pytest.fixture(scope="module")
def ticks():
    data = load("grouseticks").astype({"YEAR": str})
    formula = "TICKS ~ YEAR + (1 | BROOD)"
    return [
        crossedmixedglm(formula, data, family="poisson").fit(),
        # glmer.nb's approximation
        crossedmixedglm(formula, data, family="negativebinomial").fit(
            hessian="expected"
        ),
        smf.glm("TICKS ~ YEAR", data, family=sm.families.Poisson()).fit(),
    ]


@pytest.mark.parametrize("kind", ["linear", "counts"])
def test_criteria_as_in_performance(kind, sleep, ticks):
    fits = {"linear": sleep, "counts": ticks}[kind]
    table = compare_criteria(*fits, names=["a", "b", "c"])
    expected = REFERENCE[kind]
    assert list(table.index) == ["b", "a", "c"]
    for ours, theirs in R_NAMES.items():
        found = table[ours].loc[["a", "b", "c"]]
        assert_allclose(found, expected[theirs], rtol=2e-5, atol=1e-12, err_msg=ours)
    for criterion, theirs in {"aicc": "AICc", "bic": "BIC"}.items():
        table = compare_criteria(*fits, names=["a", "b", "c"], criterion=criterion)
        weights = table["weight"].loc[["a", "b", "c"]]
        assert_allclose(weights, expected[f"{theirs}_wt"], rtol=1e-3, atol=1e-12)
        least = table[criterion].min()
        assert_allclose(table["delta"], table[criterion] - least, atol=1e-9)
        assert table[criterion].iloc[0] == least


def test_formulas_stand_below_the_table(sleep):
    table = compare_criteria(*sleep[:2])
    formulas = [f"Reaction ~ Days + ({e} | Subject)" for e in ("Days", "1")]
    places = {f: i for i, f in enumerate(map(model_name, sleep[:2]))}
    expected = {f"m{places[f]}": f for f in formulas}
    assert list(table.index) == list(expected)
    assert sorted(str(table).split("\n")[-2:]) == sorted(
        f"{label}: {formula}" for label, formula in expected.items()
    )
    twice = compare_criteria(sleep[2], sleep[2])
    assert list(twice.index) == ["m0", "m1"]
    assert list(twice["weight"]) == [0.5, 0.5]
    assert "models" not in compare_criteria(*sleep[:2], names="ab").attrs


def test_a_dispersion_of_glm_is_at_its_maximum(sleep):
    data = load("sleepstudy")
    log = sm.families.Gamma(sm.families.links.Log())
    gamma = smf.glm("Reaction ~ Days", data, family=log).fit()
    table = compare_criteria(*sleep, gamma, names=["a", "b", "c", "gamma"])
    shape, mean = 1.0 / gamma.scale, np.asarray(gamma.fittedvalues)
    near = shape * np.exp(np.linspace(-0.2, 0.2, 4001))[:, None]
    y = data["Reaction"].to_numpy()
    llf = stats.gamma.logpdf(y, near, scale=mean / near).sum(axis=1).max()
    assert_allclose(table.loc["gamma", "llf"], llf, rtol=1e-9)
    assert gamma.llf < llf - 1e-5
    assert table.loc["gamma", "n_params"] == 3


def test_aicc_needs_more_rows_than_parameters():
    data, formula = load("sleepstudy")[:5], "Reaction ~ Days"
    fits = [smf.ols(f, data).fit() for f in (formula, formula + " + I(Days**2)")]
    table = compare_criteria(*fits, names=["line", "curve"])
    assert_allclose(table.loc["line", "aicc"] - table.loc["line", "aic"], 24.0)
    assert np.isnan(table.loc["curve", "aicc"])


def refused(match, *fits, kind=DataError):
    with pytest.raises(kind, match=match):
        compare_criteria(*fits, names=[f"m{i}" for i in range(len(fits))])


def test_other_data_are_refused(sleep):
    data, formula = load("sleepstudy"), "Reaction ~ Days + (1 | Subject)"
    fewer = crossedmixedlm(formula, data[:170]).fit(reml=False)
    refused("m0 and m1 were fitted to 180 and 170 rows", sleep[0], fewer)
    logs = crossedmixedlm(f"np.log({formula[:8]}){formula[8:]}", data).fit(reml=False)
    refused("m0 and m2 have different responses", *sleep[::2], logs)
    later = smf.ols("Reaction ~ Days", data.set_axis(data.index + 1)).fit()
    refused("rows of m0 and m1 have different labels", sleep[0], later)
    bare = crossedmixedlm(formula, data).fit(reml=False)
    bare.remove_data()
    refused("data of the model were removed", sleep[0], bare)


def test_other_likelihoods_are_refused(sleep, ticks):
    data = load("sleepstudy")
    reml = [
        crossedmixedlm(f"Reaction ~ {x} + (1 | Subject)", data).fit()
        for x in ("Days", "1")
    ]
    refused("one was fitted by REML and the other by maximum", reml[0], sleep[0])
    refused("one was fitted by REML and the other by maximum", sleep[2], reml[0])
    refused("by REML with different fixed effects", *reml)
    nodes = ticks[0].model.fit(nagq=0)
    refused("m0 and m2 were fitted with nagq=1 and 0", ticks[0], ticks[2], nodes)
    observed = ticks[1].model.fit()
    refused("hessian='expected' and 'observed'", ticks[1], observed)
    normal = crossedmixedlm("TICKS ~ YEAR + (1 | BROOD)", ticks[0].model.data.frame)
    refused("a discrete and a continuous", ticks[0], normal.fit(reml=False))
    counts = smf.poisson("TICKS ~ YEAR", ticks[0].model.data.frame).fit(disp=False)
    refused("m1: the likelihood of Poisson cannot", ticks[0], counts)


def test_other_numbers_of_trials_are_refused():
    data = load("cbpp").assign(rate=lambda d: d["incidence"] / d["size"])
    arguments = {"data": data, "family": "binomial"}
    formula = "rate ~ period + (1 | herd)"
    one = crossedmixedglm(formula, weights="size", **arguments).fit()
    twice = crossedmixedglm(formula, weights=2 * data["size"], **arguments).fit()
    refused("m0 and m1 were fitted with different weights", one, twice)


def test_other_frequencies_are_refused(ticks):
    data, family = ticks[0].model.data.frame, sm.families.Poisson()
    often = smf.glm("TICKS ~ YEAR", data, family=family, freq_weights=data.index % 2)
    refused("different freq_weights", ticks[0], often.fit())


def test_arguments(sleep):
    refused("at least two", sleep[0], kind=TypeError)
    with pytest.raises(ValueError, match="'aic', 'aicc' or 'bic', not 'AIC'"):
        compare_criteria(*sleep, criterion="AIC")
    with pytest.raises(ValueError, match="3 models and 1 names"):
        compare_criteria(*sleep, names=["a"])


def test_a_fit_that_has_not_converged_is_told(sleep):
    data = load("sleepstudy")
    model = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data)
    with pytest.warns(ConvergenceWarning):
        early = model.fit(reml=False, maxiter=1)
    assert not early.converged
    with pytest.warns(DataWarning, match="m1: the fit has not converged"):
        compare_criteria(sleep[0], early, names=["m0", "m1"])
