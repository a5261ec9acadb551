"""Everything that a fit of a linear model offers, asked of a generalized one."""

import functools
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted
from numpy.testing import assert_allclose
from scipy import stats

from statsmodels_lmm import from_json
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

LINEAR_ONLY = "is defined for a linear mixed model"


@functools.cache
def binomial(formula="cbind(incidence, size - incidence) ~ period + (1|herd)", nagq=1):
    return crossedmixedglm(formula, cbpp(), family="binomial").fit(nagq=nagq)


def linear():
    return crossedmixedlm("incidence ~ period + (1|herd)", cbpp()).fit()


WITH = {
    "compare_lr_test": lambda f: f(
        binomial("cbind(incidence, size - incidence) ~ 1 + (1|herd)")
    ),
    "derive": lambda f: f("sd(herd)"),
    "drop_fixed": lambda f: f("period"),
    "drop_random": lambda f: f("herd"),
    "f_test": lambda f: f("period[T.2] = 0"),
    "heritability": lambda f: f("herd", "narrow"),
    "initialize": lambda f: None,
    "load": lambda f: None,
    "marginal_means": lambda f: f("period"),
    "marginal_slopes": lambda f: f("period"),
    "plot_effects": lambda f: f("period"),
    "power": lambda f: f("period", nsim=2),
    "power_curve": lambda f: f("period", [4], nsim=2),
    "standardized": lambda f: f("basic"),
    "refit": lambda f: f(cbpp()["incidence"]),
    "remove_data": lambda f: None,
    "save": lambda f: None,
    "t_test": lambda f: f("period[T.2] = 0"),
    "t_test_pairwise": lambda f: f("period"),
    "wald_test": lambda f: f("period[T.2] = 0"),
    "with_cov_type": lambda f: f("rx"),
    "with_df_method": lambda f: f("residual"),
}
"""Calls of methods that need arguments, or that change the results or files."""

OF_RESIDUALS = {"residual_share", "residual_params", "resid_normalized"}
OF_RESIDUALS |= {"residual_covariance", "residual_table"}
OF_RESIDUALS |= {"monte_carlo", "sample_residuals", "selection"}
"""What the results of a linear model alone have."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [n for n in dir(linear()) if not n.startswith("_")])
def test_every_public_name_works_or_is_refused_in_words(name):
    if name in OF_RESIDUALS:
        return
    try:
        value = getattr(binomial(), name)
        if inspect.ismethod(value) or inspect.isfunction(value):
            WITH.get(name, lambda call: call())(value)
        refusal = None
    except ValueError as error:
        refusal = error
    finally:
        plt.close("all")
    in_words = refusal is None or isinstance(refusal, DataError)
    assert in_words or LINEAR_ONLY in str(refusal) or "numeric" in str(refusal)


def test_a_likelihood_ratio_test_of_nested_models():
    full = crossedmixedglm(
        "incidence ~ period + (1|herd) + (1|obs)",
        cbpp(),
        family="poisson",
        exposure="size",
    ).fit()
    test = full.compare_lr_test(fitted("poisson"))
    statistic = 2.0 * (full.llf - fitted("poisson").llf)
    assert_allclose(test.statistic, statistic)
    assert_allclose(test.pvalue, stats.chi2.sf(statistic, 1))
    assert_allclose(test.pvalue_mixture, 0.5 * test.pvalue)


def test_a_share_of_the_residual_variance():
    with pytest.raises(AttributeError, match="of a linear model; r_squared"):
        _ = fitted("poisson")._results.residual_share
    assert not hasattr(fitted("poisson"), "residual_share")


def test_a_negative_binomial_against_its_poisson():
    """The alpha tested is on its boundary; statsmodels fits the other model alone."""
    full, restricted = fitted("negativebinomial"), fitted("poisson")
    test = full.compare_lr_test(restricted)
    statistic = 2.0 * (full.llf - restricted.llf)
    assert_allclose(test.statistic, statistic)
    assert_allclose(test.pvalue, stats.chi2.sf(statistic, 1))
    assert_allclose(test.pvalue_mixture, 0.5 * test.pvalue)
    table = restricted.anova(full)
    assert_allclose(table.iloc[1, -3:], [1, test.pvalue, test.pvalue_mixture])
    with pytest.raises(DataError, match="not the other way round"):
        restricted.compare_lr_test(full)
    data, family = cbpp(), sm.families.Poisson()
    glm = sm.GLM(
        data["incidence"], full.model.exog, family, exposure=data["size"]
    ).fit()
    alone = full.compare_lr_test(glm)
    assert_allclose(alone.statistic, 2.0 * (full.llf - glm.llf))
    assert alone.df_diff == 2
    tails = stats.chi2.sf(alone.statistic, [1, 2])
    assert_allclose(alone.pvalue_mixture, [0.5, 0.25] @ tails)
    draws = full.compare_lr_test(glm, "bootstrap", nsim=4, rng=0, n_jobs=1).draws
    assert (draws < 3.0).all()  # those of negative binomial responses are larger
    table = full.anova(glm)
    models = table.attrs["models"].values()
    assert [name.split(", ")[-1] for name in models] == [
        "Poisson",
        "NegativeBinomial",
    ]


def test_what_cannot_be_compared():
    fit = fitted("binomial")
    probit = sm.families.Binomial(sm.families.links.Probit())
    formula, data = "prop ~ 1 + (1|herd)", cbpp()

    def other(family="binomial", **how):
        model = crossedmixedglm(formula, data, family=family, weights="size")
        return model.fit(**how)

    with pytest.raises(DataError, match="different families or links"):
        fit.compare_lr_test(other(probit))
    with pytest.raises(DataError, match="fitted with nagq=1 and 5"):
        fit.compare_lr_test(other(nagq=5))
    with pytest.raises(DataError, match="different families or links"):
        fit.compare_lr_test(linear())
    with pytest.raises(DataError, match="different families or links"):
        fit.compare_lr_test(sm.GLM(data["prop"], np.ones(56), family=probit).fit())
    more = crossedmixedglm(formula, data, weights=2 * data["size"]).fit()
    with pytest.raises(DataError, match="fitted with different weights"):
        fit.compare_lr_test(more)


@pytest.mark.parametrize("name", ["binomial", "poisson", "negativebinomial"])
def test_without_random_effects_the_likelihood_is_that_of_statsmodels(name):
    fit, data = fitted(name), cbpp()
    x = fit.model.exog
    if name == "binomial":
        both = data[["incidence"]].assign(rest=data["size"] - data["incidence"])
        expected = sm.GLM(both, x, family=sm.families.Binomial()).fit().llf
    elif name == "poisson":
        counts, known = data["incidence"], {"exposure": data["size"]}
        expected = sm.GLM(counts, x, family=sm.families.Poisson(), **known).fit().llf
    else:
        counts, known = data["incidence"], {"exposure": data["size"]}
        model = sm.NegativeBinomial(counts, x, **known)
        expected = model.fit(disp=0, maxiter=200, gtol=1e-9, method="bfgs").llf
    table = fit.ranova()
    assert_allclose(table["llf"].iloc[1], expected, atol=1e-5)
    assert_allclose(table["statistic"].iloc[1], 2.0 * (fit.llf - expected), atol=1e-5)


def test_the_likelihood_without_random_effects_at_the_best_dispersion():
    fit = fitted("log gamma")
    family = sm.families.Gamma(sm.families.links.Log())
    mu = sm.GLM(fit.model.endog, fit.model.exog, family=family).fit().mu
    y = fit.model.endog
    phi = np.linspace(0.001, 0.2, 2000)[:, None]
    each = stats.gamma.logpdf(y, 1.0 / phi, scale=mu * phi).sum(axis=1)
    found = fit.ranova()["llf"].iloc[1]
    assert found >= each.max()
    assert_allclose(found, each.max(), atol=1e-3)


def test_analysis_of_variance_is_by_wald_tests():
    fit = fitted("binomial")
    table = fit.anova()
    assert list(table) == ["statistic", "df", "pvalue"]
    beta, block = fit.params.iloc[1:], fit.cov_params().iloc[1:, 1:]
    expected = beta @ np.linalg.solve(block, beta)
    assert_allclose(table.loc["period", "statistic"], expected)
    assert_allclose(fit.anova(df_method="residual")["df_denom"], fit.df_resid)
    with pytest.raises(ValueError, match=LINEAR_ONLY):
        fit.anova(df_method="satterthwaite")


def test_successes_and_failures_are_reduced_like_proportions():
    table, expected = binomial().drop1(), fitted("binomial").drop1()
    assert_allclose(table, expected, atol=1e-6)
    assert table.loc["period", "df"] == 3


def test_a_saved_fit_of_successes_and_failures():
    fit, new = binomial(), cbpp()[["period"]]
    assert_allclose(from_json(fit.to_json()).predict(new), fit.predict(new))


def test_marginal_means_of_the_linear_predictor():
    fit = fitted("poisson")
    means = fit.marginal_means("period", which="linear")
    assert "Marginal means of the linear predictor of incidence" in str(means)
    assert "On the scale of the link, log." in str(means)
    coefficients = fit.params.to_numpy()
    expected = coefficients[0] + np.r_[0.0, coefficients[1:]]
    expected += np.log(fit.model.exposure).mean()
    assert_allclose(means.frame["mean"], expected, atol=1e-12)


def test_pictures_are_on_the_scale_of_the_response():
    fit = fitted("binomial")
    (ax,) = fit.plot_effects("period", data=False).axes
    drawn = np.concatenate([line.get_ydata() for line in ax.lines])
    frame = pd.DataFrame({"period": list("1234")})
    expected = fit.predict(frame).to_numpy()
    assert np.isin(expected.round(10), drawn.round(10)).all()
    groups = fitted("poisson").plot_groups()
    lines = [line.get_ydata() for ax in groups.axes for line in ax.lines]
    assert min(map(np.min, lines)) >= 0.0
    with pytest.raises(ValueError, match="a normal Q-Q plot of residuals is defined"):
        fit.plot_residuals_qq()
    plt.close("all")


@pytest.mark.parametrize("nagq", [0, 1, 5])
def test_a_model_without_fixed_effects(nagq):
    data = cbpp()
    formula, how = "prop ~ 0 + (1|herd)", {"family": "binomial", "weights": "size"}
    fit = crossedmixedglm(formula, data, **how).fit(nagq=nagq)
    offset = crossedmixedglm("prop ~ 1 + (1|herd)", data, **how)
    if nagq:
        at = offset.loglike([0.0, fit.theta.iloc[0]], nagq)
        assert_allclose(fit.llf, at, atol=1e-8)
    assert fit.converged
    assert not len(fit.params)
    assert "Random effects" in str(fit.summary())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_starting_values_are_finite(bad):
    model = fitted("binomial").model
    with pytest.raises(ValueError, match="params must be finite"):
        model.fit(start_params=[bad, 0.0, 0.0, 0.0, 1.0])


def test_there_are_at_most_a_hundred_nodes():
    with pytest.raises(ValueError, match="nagq must be at most 100, not 101"):
        fitted("binomial").model.fit(nagq=101)
