"""Means, contrasts and slopes on the scale of the response, against R and algebra."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, differenced_covariance, every_parameter, fitted
from generalized_samples import slopes as differenced
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.prediction.population_mean import population_mean

HERE = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((HERE / "marginal_means.json").read_text())

MEANS = ["mean", "std err", "ci_lower", "ci_upper"]
ESTIMATES, RATIOS = ["estimate", *MEANS[1:]], ["ratio", *MEANS[1:]]
SLOPES = ["slope", *MEANS[1:]]


@functools.cache
def fit(name):
    if name == "cbpp":
        formula = "cbind(incidence, size - incidence) ~ period + (1|herd)"
        return crossedmixedglm(formula, cbpp(), family="binomial").fit()
    if name == "use":
        formula = "use ~ age * urban + livch + (urban | district)"
        return crossedmixedglm(formula, load("contraception")).fit()
    formula = "TICKS ~ C(YEAR) + meters + (1|BROOD) + (1|INDEX) + (1|LOCATION)"
    data = load("grouseticks").eval("meters = (HEIGHT - 462) / 100")
    return crossedmixedglm(formula, data, family="poisson").fit()


NONE = {"adjust": "none"}

AS_IN_EMMEANS = {
    "cbpp, differences": lambda f: f.marginal_means("period").contrasts(**NONE),
    "cbpp, risk ratios": lambda f: f.marginal_means("period").contrasts(
        exponentiate=True, **NONE
    ),
    "use, averaged": lambda f: f.marginal_means("urban", type="response"),
    "use, slopes": lambda f: f.marginal_slopes("age", "urban", which="linear"),
    "use, slopes of means": lambda f: f.marginal_slopes("age", "urban", at={"age": 5}),
    "ticks, proportional": lambda f: f.marginal_means(
        "meters", at={"meters": [-1, 2]}, weights="proportional"
    ),
}


@pytest.mark.parametrize("what", AS_IN_EMMEANS)
def test_agreement_with_emmeans(what):
    """Within the errors of glmer's optimum and of its numerical Hessian."""
    found = AS_IN_EMMEANS[what](fit(what.partition(",")[0]))
    columns = [found.kind, *MEANS[1:]]
    expected = np.array(REFERENCE[what])
    if what in ("use, averaged", "ticks, proportional"):  # symmetric in emmeans
        columns, expected = columns[:2], expected[:, :2]
    assert_allclose(found.frame[columns], expected, rtol=5e-4)


def test_the_transformed_mean_of_the_linear_predictor():
    means = fit("use").marginal_means("urban", which="linear").frame
    found = fit("use").family.mean(means[["mean", "ci_lower", "ci_upper"]].to_numpy())
    expected = np.array(REFERENCE["use, back-transformed"])[:, [0, 2, 3]]
    assert_allclose(found, expected, rtol=5e-4)


# against the delta method with numerical derivatives ---------------------------------


def spread(name, theta, days):
    """Variance of the linear predictor at a number of days."""
    if name != "gamma":
        return (theta**2).sum() + 0.0 * days
    root = np.array([[theta[0], 0.0], [theta[1], theta[2]]])
    z = np.column_stack([np.ones_like(days), days])
    return ((z @ root) ** 2).sum(axis=1)


@functools.cache
def population(name):
    """Means by hand as a function of all parameters, and the covariance of these."""
    f = fitted(name)
    if name == "gamma":
        days = np.array([2.0, 7.0])
        design, offset = np.column_stack([np.ones(2), days]), 0.0
    else:
        days, offset = np.zeros(4), np.log(f.model.exposure).mean()
        design = np.eye(4)
        design[:, 0] = 1.0
    p, m = len(f.params), len(f.theta)

    def means(point, move=0.0):
        at = design.copy()
        at[:, -1] += move
        eta = at @ point[:p] + offset
        return population_mean(
            f.family, eta, spread(name, point[p : p + m], days + move)
        )

    return means, every_parameter(f), differenced_covariance(name)


def delta_method(function, point, covariance):
    steps = 1e-4 * np.sqrt(np.diag(covariance))
    jacobian = differenced(function, point, steps)
    return np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))


SPECS = {
    "gamma": {"specs": "Days", "at": {"Days": [2, 7]}},
    "poisson": {"specs": "period"},
}


@pytest.mark.parametrize("name", SPECS)
def test_means_over_the_random_effects(name):
    f, (means, *of) = fitted(name), population(name)
    found = f.marginal_means(**SPECS[name], random_effects="average", alpha=0.1)
    table, expected, se = found.frame, means(of[0]), delta_method(means, *of)
    assert_allclose(table["mean"], expected, rtol=1e-8)
    assert_allclose(table["std err"], se, rtol=1e-4)
    link = f.family.link(expected)
    reach = stats.norm.isf(0.05) * se / np.abs(f.family.mean_slope(link))
    ends = f.family.mean(link + np.outer([-1.0, 1.0], reach))
    assert_allclose(table["ci_lower"], ends.min(axis=0), rtol=1e-4)
    assert_allclose(table["ci_upper"], ends.max(axis=0), rtol=1e-4)
    assert "Averaged over the random effects." in str(found)

    steps = -np.diff(np.eye(len(expected)), axis=0)
    named = {str(i): c for i, c in enumerate(steps)}
    table = found.contrasts(named).frame
    assert_allclose(table["estimate"], steps @ expected, rtol=1e-8)
    se = delta_method(lambda point: steps @ means(point), *of)
    assert_allclose(table["std err"], se, rtol=1e-4)
    assert_allclose(table["statistic"], steps @ expected / se, rtol=1e-4)
    table = found.contrasts(named, exponentiate=True).frame
    assert_allclose(table["ratio"], np.exp(steps @ np.log(expected)), rtol=1e-8)
    se = delta_method(lambda point: steps @ np.log(means(point)), *of)
    assert_allclose(table["std err"], se * table["ratio"], rtol=1e-4)
    ends = np.exp(steps @ np.log(expected) + 1.0 * stats.norm.isf(0.05) * se)
    assert_allclose(table["ci_upper"], ends, rtol=1e-4)
    assert_allclose(table["statistic"], np.log(table["ratio"]) / se, rtol=1e-4)


def test_an_effect_that_a_single_cluster_determines():
    """Its residuals say nothing about the error of the effect."""
    data = cbpp().assign(own=lambda d: 1.0 * (d["herd"] == "3"))
    alone = crossedmixedglm("incidence ~ own + (1|herd)", data, family="poisson").fit()
    with pytest.warns(DataWarning, match="single cluster"):
        alone = alone.with_cov_type("CR1", groups="herd")
    table = alone.marginal_means("own", random_effects="average").frame
    assert table["std err"].isna().tolist() == [False, True]


def test_slopes_over_the_random_effects():
    """The variance of random slopes grows with the predictor, too."""
    f, (means, *of) = fitted("gamma"), population("gamma")

    def slopes(point):
        return (means(point, 1e-3) - means(point, -1e-3)) / 2e-3

    asked = {"specs": "Days", "at": {"Days": [2, 7]}, "random_effects": "average"}
    table = f.marginal_slopes("Days", **asked).frame
    assert_allclose(table["slope"], slopes(of[0]), rtol=1e-6)
    se = delta_method(slopes, *of)
    assert_allclose(table["std err"], se, rtol=1e-4)
    assert_allclose(table["ci_upper"] - table["slope"], 1.959964 * se, rtol=1e-4)


def test_a_log_normal_mean():
    """E exp(eta + b) = exp(eta + v / 2)."""
    f = fitted("poisson")
    variance = f.vcomp.iloc[0]
    zero = f.marginal_means("period").frame["mean"]
    found = f.marginal_means("period", random_effects="average").frame["mean"]
    assert_allclose(found, zero * np.exp(variance / 2.0), rtol=1e-8)


def test_predictions_at_the_same_values():
    f, new = fitted("poisson"), pd.DataFrame({"period": list("1234")})
    exposure = np.exp(np.log(cbpp()["size"]).mean())
    for how in ({}, {"random_effects": "average"}):
        expected = f.get_prediction(new, exposure=exposure, **how).summary_frame()
        found = f.marginal_means("period", **how)
        assert_allclose(found.frame[MEANS], expected, rtol=1e-9)
    assert f"geometric mean of the exposure, {exposure:.6g}" in str(found)


def test_an_effect_without_a_fixed_counterpart():
    """The means are averaged over its levels, the variances of which differ."""
    f = crossedmixedglm(
        "slow ~ Days + (0 + C(late)|Subject)",
        load("sleepstudy").eval("slow = (Reaction > 300) * 1.0\nlate = (Days > 4) * 1"),
    ).fit(nagq=0)
    found = f.marginal_means(at={"Days": 3}, random_effects="average")
    eta = f.params @ [1.0, 3.0]
    spread = np.diag(f.cov_re["Subject"])
    expected = population_mean(f.family, np.full(2, eta), spread).mean()
    assert_allclose(found.frame["mean"], expected)
    assert found.frame["std err"].iloc[0] > 0.0


# what is not determined, and what is refused -----------------------------------------


@pytest.mark.filterwarnings("ignore:the fixed effects are not linearly independent")
def test_levels_without_a_finite_mean_and_cells_that_were_not_seen():
    data = cbpp()
    data.loc[data["period"] == "4", "incidence"] = 0
    data["side"] = np.where(data["herd"].astype(int) > 7, "b", "a")
    data = data[(data["period"] != "3") | (data["side"] == "a")]
    formula = "cbind(incidence, size - incidence) ~ period * side + (1|herd)"
    with pytest.warns(match="infinite"):
        f = crossedmixedglm(formula, data).fit()
    for how in ({}, {"random_effects": "average"}):
        means = f.marginal_means(["period", "side"], **how)
        table = means.frame
        unseen = (table["period"] == "3") & (table["side"] == "b")
        unknown = (unseen | (table["period"] == "4")).to_numpy()
        assert_allclose(means.estimable, ~unknown)
        assert_allclose(np.isnan(table["mean"]), unknown)
        assert_allclose(np.isnan(table["std err"]), unknown)
        averaged = f.marginal_means("period", **how).frame["mean"]
        assert_allclose(np.isnan(averaged), averaged.index >= 2)


def test_tests_of_all_means_and_of_all_ratios():
    means = fit("cbpp").marginal_means("period")
    expected = fit("cbpp").wald_test_terms().table.loc["period", "statistic"]
    test = means.joint_test()
    assert_allclose(test["F"] * test["df"], np.squeeze(expected))
    ratios = (
        fit("cbpp")
        .marginal_means("period", which="linear")
        .contrasts("consecutive", exponentiate=True)
    )
    assert_allclose(ratios.joint_test()["F"], test["F"])
    residual = fit("cbpp").marginal_means("period", df_method="residual")
    assert_allclose(residual.frame["df"], 52)
    assert_allclose(residual.joint_test()["F"], test["F"])


def test_ratios_of_ratios():
    means = fit("cbpp").marginal_means("period", which="linear")
    ratios = means.contrasts("consecutive", exponentiate=True)
    assert ratios.table["contrast"].iloc[0] == "period2 / period1"
    assert "Ratio: odds ratio; tests and intervals of its logarithm." in str(ratios)
    again = ratios.contrasts("consecutive").frame
    first = ratios.frame["ratio"].to_numpy()
    assert_allclose(again["ratio"], first[1:] / first[:-1])
    risks = fit("cbpp").marginal_means("period").contrasts(exponentiate=True)
    assert "Ratio: risk ratio;" in str(risks)


def test_exponentials_that_are_no_ratios():
    refused = pytest.raises(ValueError, match="differences of logarithms")
    f = fit("cbpp")
    linear = crossedmixedlm("Reaction ~ Days + (1|Subject)", load("sleepstudy")).fit()
    inverse = fitted("gamma").marginal_means(
        "Days", at={"Days": [1, 2]}, which="linear"
    )
    for means in (
        f.marginal_means("period").contrasts("consecutive"),
        fit("use").marginal_slopes("age", "urban"),
        linear.marginal_means("Days", at={"Days": [1, 2]}),
        inverse,
    ):
        with refused:
            means.contrasts(exponentiate=True)


def test_means_by_an_identity_link_and_their_ratios():
    data = load("sleepstudy").eval("late = Days > 4")
    family = sm.families.Gamma(sm.families.links.Identity())
    f = crossedmixedglm("Reaction ~ late + (1|Subject)", data, family=family).fit()
    means = f.marginal_means("late")
    assert_allclose(means.frame["mean"], f.params.iloc[0] + np.r_[0, f.params[1:]])
    assert "transformed" not in str(means)
    ratios = means.contrasts("reference", exponentiate=True)
    assert_allclose(
        ratios.frame["ratio"], means.frame["mean"][1:] / means.frame["mean"][0]
    )
    assert "Ratio: mean ratio;" in str(ratios)


def test_unknown_scales():
    f = fit("cbpp")
    with pytest.raises(ValueError, match="use which='mean'"):
        f.marginal_means("period", which="linear", random_effects="average")
    with pytest.raises(ValueError, match="False, for random effects of zero, or"):
        f.marginal_means("period", random_effects=True)
    with pytest.raises(ValueError, match="which must be"):
        f.marginal_slopes("period", which="odds")


def test_trials_are_frequencies():
    """Proportions with numbers of trials are averaged like the rows of 0 and 1."""
    data = cbpp()
    data["side"] = np.where(data["herd"].astype(int) > 7, "b", "a")
    formula = "prop ~ period + side + (1|herd)"
    f = crossedmixedglm(formula, data, weights="size").fit(nagq=0)
    cells = data.groupby(["period", "side"], as_index=False)["size"].sum()
    mean = f.predict(cells)
    found = f.marginal_means(weights="cells").frame["mean"]
    assert_allclose(found, np.average(mean, weights=cells["size"]))


def test_rows_that_were_observed_several_times():
    data = cbpp().assign(often=np.arange(56) % 3 + 1, dose=np.arange(56) ** 2 / 3e3)
    formula = "incidence ~ period + dose + (1|herd)"

    def means(rows, **how):
        counts = crossedmixedglm(
            formula, rows, family="poisson", exposure="size", **how
        )
        return counts.fit().marginal_means("period").frame["mean"]

    repeated = data.loc[data.index.repeat(data["often"])].reset_index(drop=True)
    assert_allclose(means(data, freq_weights="often"), means(repeated), rtol=1e-7)
