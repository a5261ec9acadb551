"""Power is the share of simulated studies that reject, whatever finds it."""

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import quiet
from scipy import stats

from statsmodels_lmm import CrossedMixedLM, planned
from statsmodels_lmm.core.resampling.replicates import Replicates
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.power.planned_values import Plan, at_plan
from statsmodels_lmm.inference.power.study_size import sizes
from statsmodels_lmm.inference.replicates.simulation import (
    drawn_response,
    generators,
    seeds,
)

REFERENCE = json.loads((Path(__file__).parents[2] / "reference/power.json").read_text())
FEW = 4


def simdata():
    return pd.DataFrame({name: REFERENCE[name] for name in "xgyz"})


@functools.cache
def slopes():
    return crossedmixedlm("y ~ x + (x | g)", simdata()).fit()


@functools.cache
def counts():
    return crossedmixedglm("z ~ x + (1 | g)", simdata(), family="poisson").fit()


def trial(n_subjects=12, n_times=4, effect=1.0, between=4.0):
    """A planned trial with two arms."""
    subject, time = np.divmod(np.arange(n_subjects * n_times), n_times)
    frame = pd.DataFrame({"subject": subject, "time": time})
    frame["arm"] = np.where(subject < n_subjects // 2, "a", "b")
    values = {"Intercept": 0.0, "arm[T.b]": effect, "var(subject)": between, "sigma": 1}
    return planned("y ~ arm + (1 | subject)", frame, values)


def studies(result, n, values, reml=None):
    """The fits of the first studies of a curve, one by one."""
    (size,), _ = sizes(result._results, [n], "g")
    plan = Plan.of(result)
    plan.set(result.model, values)
    options = {} if reml is None else {"reml": reml}
    drawn = at_plan(size.model(result._results), plan, options)
    response = drawn_response(drawn)
    each = response.draw(generators(seeds(np.random.default_rng(1), FEW)))
    for y in each + response.left_out:
        yield drawn.model.with_response(y), y


# p-values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "df_method", ["asymptotic", "residual", "satterthwaite", "kenward-roger"]
)
@pytest.mark.parametrize("effect", ["x", "x = -0.2, Intercept = 8"])
def test_pvalues_are_those_of_fits_one_by_one(df_method, effect):
    values = {"x": -0.15, "var(x | g)": 0.05, "cor(1, x | g)": 0.3}
    options = {"values": values, "df_method": df_method, "nsim": FEW, "rng": 1}
    curve = slopes().power_curve(effect, [5], **options, n_jobs=1)
    expected = [
        model.fit(df_method=df_method).wald_test(effect).pvalue
        for model, _ in studies(slopes(), 5, values)
    ]
    assert_allclose(curve.pvalues[5], expected, rtol=2e-4)


@pytest.mark.parametrize(
    "formula", ["y ~ x + (1 | g) + (1 | h)", "y ~ x + ar1(0 + C(k) | g)"]
)
def test_degrees_of_freedom_of_terms_that_are_fitted_one_by_one(formula):
    """Crossed factors, and a covariance structure."""
    data = simdata().assign(h=lambda d: d["x"] % 4, k=lambda d: d["x"] // 4)
    fit = quiet(formula, data)
    asked = {"df_method": "satterthwaite", "values": {"x": -0.3}}
    curve = fit.power_curve("x", [4], "g", **asked, nsim=3, rng=1, n_jobs=1)
    pairs = zip(studies(fit, 4, {"x": -0.3}), curve.pvalues[4])
    for (model, _), pvalue in pairs:
        expected = quiet_fit(model, df_method="satterthwaite").pvalues["x"]
        assert_allclose(pvalue, expected, rtol=1e-3)


def quiet_fit(model, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(**options)


def test_likelihood_ratios_of_fixed_effects():
    """By maximum likelihood, also of a value other than zero."""
    curve = slopes().power_curve("x = -0.1", [5], test="lrt", nsim=FEW, rng=1, n_jobs=1)
    for (model, y), pvalue in zip(studies(slopes(), 5, {}, False), curve.pvalues[5]):
        x = model.exog[:, 1]
        null = CrossedMixedLM(y + 0.1 * x, model.exog[:, :1], model.random)
        statistic = 2.0 * (model.fit(reml=False).llf - null.fit(reml=False).llf)
        assert_allclose(pvalue, stats.chi2.sf(statistic, 1), rtol=1e-4)


@pytest.mark.parametrize("effect", ["var(x | g)", "g", "(x | g)"])
def test_likelihood_ratios_of_variances(effect):
    values = {"var(x | g)": 0.02, "var(1 | g)": 0.1}
    curve = slopes().power_curve(effect, [5], values=values, nsim=FEW, rng=1, n_jobs=1)
    for (model, _), pvalue in zip(studies(slopes(), 5, values), curve.pvalues[5]):
        full = model.fit()
        if effect == "var(x | g)":
            groups = model.random[0].grouped.codes
            less = CrossedMixedLM(model.endog, model.exog, {"g": groups}).fit()
            expected = full.compare_lr_test(less).pvalue_mixture
        else:
            ols = np.linalg.lstsq(model.exog, model.endog)[0]
            rest = model.endog - model.exog @ ols
            nu = len(rest) - 2
            value = nu * (1.0 + np.log(2.0 * np.pi * (rest @ rest) / nu))
            value += np.linalg.slogdet(model.exog.T @ model.exog)[1]
            statistic = max(2.0 * full.llf + value, 0.0)
            expected = 0.5 * stats.chi2.sf(statistic, [2, 3]).sum()
        assert_allclose(pvalue, expected, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, -0.1])
def test_pvalues_of_a_generalized_model(value):
    """Also of a value other than zero, which becomes an offset."""
    asked = {"values": {"x": -0.05}, "nsim": FEW, "rng": 1, "n_jobs": 1}
    effect = f"x = {value}"
    wald = counts().power_curve(effect, [4], **asked).pvalues[4]
    likelihoods = counts().power_curve(effect, [4], test="lrt", **asked).pvalues[4]
    for i, (model, y) in enumerate(studies(counts(), 4, {"x": -0.05})):
        full, x = model.fit(), model.exog[:, 1]
        assert_allclose(wald[i], full.wald_test(effect).pvalue, rtol=1e-4)
        options = {"family": "poisson", "offset": value * x}
        null = type(model)(y, model.exog[:, :1], model.random, **options)
        expected = stats.chi2.sf(2.0 * (full.llf - null.fit().llf), 1)
        assert_allclose(likelihoods[i], expected, rtol=1e-4)


# powers that are known ---------------------------------------------------------


def test_the_power_of_a_t_test():
    """A balanced trial is a t test of the subjects' means, with noncentral t."""
    plan, sigma = trial(), np.sqrt(4.0 + 1.0 / 4.0)
    curve = plan.power_curve(
        "arm[T.b]", [8, 20, 40], values={"arm[T.b]": 2.0}, df_method="satterthwaite",
        nsim=200, rng=3, n_jobs=1,
    )  # fmt: skip
    for n, power in curve.table["power"].items():
        df, shift = n - 2, 2.0 / (sigma * np.sqrt(4.0 / n))
        ends = stats.t.isf(0.025, df), -stats.t.isf(0.025, df)
        exact = stats.nct.sf(ends[0], df, shift) + stats.nct.cdf(ends[1], df, shift)
        assert abs(power - exact) < 3.0 * np.sqrt(exact * (1.0 - exact) / 200)


def test_the_size_of_a_test_without_an_effect():
    curve = trial().power_curve(
        "arm[T.b]", [8], values={"arm[T.b]": 0.0}, df_method="satterthwaite",
        nsim=300, rng=4, alpha=0.1, n_jobs=1,
    )  # fmt: skip
    assert abs(curve.table["power"].iloc[0] - 0.1) < 3.0 * np.sqrt(0.09 / 300)
    assert stats.kstest(curve.pvalues[8], "uniform").pvalue > 0.01


def test_the_size_of_a_test_of_a_variance():
    """Half of the statistics are zero, and their p-values one."""
    fit = crossedmixedlm("y ~ x + (1 | g)", simdata()).fit()
    asked = {"values": {"var(g)": 0.0}, "nsim": 400, "rng": 5, "n_jobs": 1}
    curve = fit.power_curve("g", [12], alpha=0.2, **asked)
    assert abs(curve.table["power"].iloc[0] - 0.2) < 3.0 * np.sqrt(0.16 / 400) + 0.03
    assert 0.3 < np.mean(curve.pvalues[12] == 1.0) < 0.7


def agrees(power, published, nsim, of_published=1000):
    spread = published * (1.0 - published) * (1.0 / nsim + 1.0 / of_published)
    return abs(power - published) < 3.0 * np.sqrt(spread)


def test_the_powers_published_of_simr():
    asked = {"values": {"x": -0.05}, "nsim": 200, "rng": 2, "n_jobs": 1}
    own = counts().power("x", **asked)
    assert agrees(own.table["power"].loc[30], REFERENCE["own"], 200)
    for found, published in (
        (counts().power_curve("x", [4], within="x + g", **asked), "within"),
        (counts().power_curve("x", [20], along="x", **asked), "values of x"),
    ):
        for n, power in found.table["power"].items():
            assert agrees(power, REFERENCE[published][str(n)], 200)
    along = counts().power_curve("x", [3, 9, 15], **asked)
    size = along.n_for(0.8)
    assert size.lower <= REFERENCE["reaches"]["g"] <= size.upper
    assert along.table["power"].is_monotonic_increasing


# sources of randomness and interrupts --------------------------------------------


def test_the_same_studies_for_any_number_of_workers(monkeypatch):
    monkeypatch.setattr("statsmodels_lmm.core.resampling.refits.BATCH_ENTRIES", 2**7)
    curves = [
        trial().power_curve("arm", [6, 8], nsim=20, rng=9, n_jobs=jobs)
        for jobs in (1, None)
    ]
    for n in (6, 8):
        assert_array_equal(curves[0].pvalues[n], curves[1].pvalues[n])
    other = trial().power_curve("arm", [6, 8], nsim=20, rng=10, n_jobs=1)
    assert (other.pvalues[6] != curves[0].pvalues[6]).any()
    # as many studies of a size do not change the others
    more = trial().power_curve("arm", [6, 8], nsim=30, rng=9, n_jobs=1)
    assert_array_equal(more.pvalues[6][:20], curves[0].pvalues[6])


@pytest.mark.parametrize("after", [0, 1])
def test_interrupts(monkeypatch, after):
    """Sizes that are done are kept."""
    real, calls = Replicates.fit, []

    def fit(self, generators):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return real(self, generators)

    monkeypatch.setattr(Replicates, "fit", fit)
    if not after:
        with pytest.raises(KeyboardInterrupt):
            trial().power_curve("arm", [6, 8], nsim=5, n_jobs=1)
        return
    with pytest.warns(DataWarning, match="before any study with 8 levels of subject"):
        curve = trial().power_curve("arm", [6, 8], nsim=5, n_jobs=1)
    assert curve.interrupted
    assert list(curve.table.index) == [6]
    assert "interrupted" in str(curve)


def test_separated_studies_are_counted():
    """They do not reject; the likelihood ratio does not need finite estimates."""
    frame = pd.DataFrame({"g": np.repeat(np.arange(4), 5), "x": np.tile([0, 1], 10)})
    values = {"Intercept": 0.0, "x": 6.0, "var(g)": 0.1}
    plan = planned("y ~ x + (1 | g)", frame, values, family="binomial")
    curve = plan.power_curve("x", [4], nsim=10, rng=0, n_jobs=1)
    (row,), pvalues = curve.table.to_dict("records"), curve.pvalues[4]
    assert row["separated"] == np.isnan(pvalues).sum() > 3
    assert row["failed"] == 0
    assert row["power"] == np.sum(pvalues < 0.05) / 10
    assert "separated" in str(curve)
    likelihoods = plan.power_curve("x", [4], test="lrt", nsim=10, rng=0, n_jobs=1)
    assert likelihoods.table["power"].iloc[0] == 1.0


# refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "options", "error", "words"),
    [
        ("w", {}, ValueError, "no effect w; there are the coefficients Intercept, x"),
        ("h", {}, ValueError, "the random effects \\(x \\| g\\)"),
        ("(x | h)", {}, ValueError, "no random-effects term"),
        ("var(w | g)", {}, ValueError, "there is no effect by g w"),
        ("x = 0, 2 * x = 0", {}, ValueError, "depend linearly on each other"),
        (3, {}, TypeError, "name of an effect"),
        ("x", {"n": [1]}, ValueError, "at least 2, not 1"),
        ("x", {"n": [2.5]}, ValueError, "positive whole number"),
        ("x", {"n": []}, ValueError, "n has no size"),
        ("x", {"along": "w"}, ValueError, "no grouping factor or column w; there are"),
        (
            "x",
            {"within": "w"},
            ValueError,
            "no column w to be within; there are g,",
        ),
        ("x", {"along": "g", "within": "x"}, ValueError, "not both"),
        ("x", {"values": {"slope": 1.0}}, ValueError, "no parameter slope; there are"),
        (
            "x",
            {"values": {"var(h)": 1}},
            ValueError,
            "no grouping factor h",
        ),
        ("x", {"values": {"var(1|g)": -1}}, ValueError, "must not be negative"),
        ("x", {"values": {"cor(1, x|g)": 1.5}}, DataError, "positive semi-definite"),
        ("x", {"test": "score"}, ValueError, "'wald' or 'lrt'"),
        ("g", {"test": "wald"}, ValueError, "use test='lrt'"),
        ("x", {"test": "lrt", "df_method": "kr"}, ValueError, "leave it out"),
        ("x", {"df_method": "fisher"}, ValueError, "df_method must be"),
        ("x", {"nsim": 0}, ValueError, "nsim must be"),
        ("x", {"alpha": 5}, ValueError, "alpha must be between"),
        ("x", {"seed": 1}, TypeError, "rng"),
    ],
)
def test_what_is_refused(effect, options, error, words):
    with pytest.raises(error, match=words):
        slopes().power_curve(effect, **{"n": [4], "nsim": 2} | options)


def test_what_other_fits_are_refused():
    with pytest.raises(ValueError, match="linear mixed model"):
        counts().power("x", df_method="satterthwaite")
    fit = crossedmixedlm("y ~ x + (1 | g)", simdata()).fit(reml=False)
    with pytest.raises(DataError, match="reml=True"):
        fit.power("x", df_method="kenward-roger")
    with pytest.raises(DataError, match="cluster-robust"):
        slopes().with_cov_type("CR0", "g").power("x")


def test_a_size_that_leaves_nothing_of_an_effect():
    frame = pd.DataFrame({"g": np.repeat(np.arange(6), 3), "x": np.repeat(range(6), 3)})
    frame["y"] = np.random.default_rng(0).normal(size=18)
    fit = crossedmixedlm("y ~ x + I(x**2) + (1 | g)", frame).fit()
    with pytest.raises(DataError, match="6 rows do not determine"):
        fit.power_curve("I(x ** 2)", [2], nsim=2)
