"""Results of generalized models against lme4, glmmTMB and statsmodels' GLM."""

import copy
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import (
    REFERENCE,
    cbpp,
    differenced_covariance,
    fitted,
    model,
)
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

from statsmodels_lmm import from_json
from statsmodels_lmm.core.criteria.quadrature import Quadrature
from statsmodels_lmm.exceptions import ConvergenceWarning, DataError
from statsmodels_lmm.models.generalized import CrossedMixedGLM

LME4 = {"binomial": REFERENCE["fits"]["cbpp"], "rows": REFERENCE["fits"]["cbpp, rows"]}
EVERY = ["binomial", "rows", "poisson", "negativebinomial", "gamma", "structure"]


# other programs --------------------------------------------------------------------


@pytest.mark.parametrize("name", LME4)
def test_lme4(name):
    fit, record = fitted(name), LME4[name]
    errors = np.array(record["se_hessian"])
    assert_allclose(fit.llf, record["logLik"], atol=1e-6)
    assert_allclose(fit.aic, record["AIC"], atol=2e-6)
    assert_allclose(fit.bic, record["BIC"], atol=2e-6)
    assert_allclose(fit.params, record["beta"], atol=1e-4 * errors.min())
    assert_allclose(fit.bse, errors, rtol=1e-3)
    assert_allclose(fit.with_cov_type("rx").bse, record["se_rx"], rtol=1e-3)
    for group, variance in fit.vcomp.droplevel("effect").items():
        assert_allclose(np.sqrt(variance), record["sd"][group], atol=1e-4)
    assert_allclose(fit.deviance, record["deviance"], rtol=1e-5)
    assert_allclose(fit.pearson_chi2, record["sum_pearson_sq"], rtol=1e-5)
    modes = fit.random_effects["herd"].loc[record["levels"]]
    assert_allclose(modes, record["modes"], atol=1e-4)
    found = fit.random_effects_table().set_index(["group", "level"]).loc["herd"]
    expected = np.sqrt(np.ravel(record["mode_variances"]))
    assert_allclose(found.loc[record["levels"], "sd"], expected, rtol=1e-3)
    for what in ("linear_predictor", "resid_deviance", "resid_pearson"):
        values = getattr(fit, what)
        assert_allclose(values[: len(record[what])], record[what], atol=2e-4)
    assert_allclose(fit.mu[: len(record["fitted"])], record["fitted"], atol=1e-4)
    count = len(record["resid_response"])
    assert_allclose(fit.resid_response[:count], record["resid_response"], atol=1e-4)


def test_glmmtmb():
    fit, record = fitted("log gamma"), REFERENCE["fits"]["sleepstudy"]
    assert_allclose(fit.llf, record["logLik"], atol=1e-6)
    assert_allclose(fit.params, record["beta"], rtol=1e-5)
    assert_allclose(fit.bse, record["se"], rtol=1e-3)
    assert_allclose(np.sqrt(fit.vcomp), record["sd"], rtol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_covariance_of_the_fixed_effects(name):
    fit, p = fitted(name), len(fitted(name).params)
    expected = differenced_covariance(name)[:p, :p]
    size = np.sqrt(np.diag(expected))
    found = fit.cov_params() / np.outer(size, size)
    assert_allclose(found, expected / np.outer(size, size), atol=1e-5)
    assert_allclose(fit.normalized_cov_params * fit.scale, fit.cov_params())


OF_STATSMODELS = {
    "binomial": sm.families.Binomial(),
    "poisson": sm.families.Poisson(),
    "gamma": sm.families.Gamma(),
}


@pytest.mark.parametrize("name", OF_STATSMODELS)
def test_residuals_are_those_of_statsmodels(name):
    fit, sm_family = fitted(name), OF_STATSMODELS[name]
    y, mu = fit.model.endog, fit.mu.to_numpy()
    weights = fit.model._prior_weights
    expected = sm_family.resid_dev(y, mu, var_weights=weights)
    assert_allclose(fit.resid_deviance, expected)
    pearson = (y - mu) * np.sqrt(weights / sm_family.variance(mu))
    assert_allclose(fit.resid_pearson, pearson)
    assert_allclose(fit.resid_working, (y - mu) * sm_family.link.deriv(mu))
    assert_allclose(fit.deviance, (expected**2).sum())
    assert_allclose(fit.pearson_chi2, (pearson**2).sum())
    offset = fit.model._offset
    null = sm.GLM(
        y, np.ones(len(y)), family=sm_family, var_weights=weights, offset=offset
    ).fit()
    assert_allclose(fit.null_deviance, null.deviance)
    if name == "binomial":
        counts = np.round(weights * y)
        expected = stats.binom.logpmf(counts, weights, null.mu).sum()
        assert_allclose(fit.llnull, expected)
    if name == "poisson":
        assert_allclose(fit.llnull, null.llf)
    ratio = np.exp(2.0 * (fit.llnull - fit.llf) / fit.nobs)
    assert_allclose(fit.pseudo_rsquared(), 1.0 - ratio)
    assert_allclose(fit.pseudo_rsquared("mcf"), 1.0 - fit.llf / fit.llnull)


def test_frequencies_count_as_rows():
    data = cbpp()
    often = pd.concat([data, data.iloc[:9]], ignore_index=True)
    times = np.where(np.arange(len(data)) < 9, 2.0, 1.0)
    fits = [
        CrossedMixedGLM.from_formula("prop ~ period + (1|herd)", frame, **more).fit()
        for frame, more in (
            (data, {"weights": "size", "freq_weights": times}),
            (often, {"weights": "size"}),
        )
    ]
    for name in ("llf", "aic", "bic", "df_resid", "deviance", "pearson_chi2"):
        assert_allclose(getattr(fits[0], name), getattr(fits[1], name), rtol=1e-8)
    assert_allclose(fits[0].overdispersion, fits[1].overdispersion, rtol=1e-8)
    assert_allclose(fits[0].bse, fits[1].bse, rtol=1e-6)
    found = [fit.pseudo_rsquared() for fit in fits]
    assert_allclose(*found, rtol=1e-8)


# inference of statsmodels ------------------------------------------------------------


@pytest.mark.parametrize("name", ["binomial", "gamma"])
def test_tests_of_fixed_effects(name):
    fit = fitted(name)
    z = fit.params / fit.bse
    assert_allclose(fit.tvalues, z)
    assert_allclose(fit.t_test(np.eye(len(z))).tvalue, z)
    assert not fit.use_t
    last = fit.model.exog_names[-1]
    wald = fit.wald_test(f"{last} = 0", scalar=True)
    assert_allclose(wald.statistic, z.iloc[-1] ** 2)
    assert_allclose(fit.f_test(f"{last} = 0").fvalue, z.iloc[-1] ** 2)
    terms = fit.wald_test_terms(scalar=True).table
    rows = fit.cov_params().iloc[1:, 1:]
    expected = fit.params[1:] @ np.linalg.solve(rows, fit.params[1:])
    assert_allclose(terms["statistic"].iloc[-1], expected)


def test_labels():
    fit = fitted("binomial")
    names = fit.model.exog_names
    for values in (fit.params, fit.bse, fit.tvalues, fit.pvalues, fit.fe_params):
        assert values.index.tolist() == names
    assert fit.conf_int().index.tolist() == names
    assert fit.cov_params().index.tolist() == names
    rows = fit.model.data.row_labels
    for name in ("fittedvalues", "mu", "resid_response", "resid_deviance", "resid"):
        assert getattr(fit, name).index.equals(rows)
    for name in ("resid_pearson", "resid_working", "linear_predictor"):
        assert getattr(fit, name).index.equals(rows)


def test_a_refit_is_of_the_same_kind():
    first = fitted("binomial").model.fit(nagq=5, cov_type="rx")
    again = first.refit(first.model.endog)
    assert again.nagq == 5
    assert again.cov_type == "rx"
    assert_allclose(again.llf, first.llf, atol=1e-8)
    assert_allclose(again.bse, first.bse, rtol=1e-5)


def test_a_model_without_a_term_has_the_same_family_and_rows():
    fit = fitted("negativebinomial")
    without = fit.drop_fixed("period")
    expected = CrossedMixedGLM.from_formula(
        "incidence ~ 1 + (1|herd)", cbpp(), family="negativebinomial", exposure="size"
    ).fit()
    assert_allclose(without.llf, expected.llf, atol=1e-8)


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: fit.exact_lr_test(),
        lambda fit: fit.with_df_method("satterthwaite"),
    ],
)
def test_what_is_defined_for_linear_models_is_refused(ask):
    with pytest.raises(ValueError, match="defined for a linear mixed model"):
        ask(fitted("binomial"))


# tables ------------------------------------------------------------------------------


def test_the_summary():
    text = str(fitted("binomial").summary())
    for cell in ("Family:", "Binomial", "Link:", "logit", "ML (Laplace)", "P>|z|"):
        assert cell in text
    assert "-2 Log-Likelihood:            184.0526" in text
    assert "Residual " not in text
    assert "Scale" not in text
    assert "Event" not in text
    assert "Pearson chi2:                  63.0783" in text
    assert "Overdispersion" not in text
    table = fitted("binomial").summary2().tables[0].to_numpy().ravel().tolist()
    assert "logit" in table
    assert "Scale:" not in table


def test_a_dispersion_is_the_residual_of_the_summary():
    fit = fitted("gamma")
    text = str(fit.summary())
    assert (
        f"Residual                    {fit.scale:.4f}     {fit.scale**0.5:.4f}" in text
    )
    assert f"Scale:                          {fit.scale:.4f}" in text


def test_alpha_is_in_the_summary():
    fit = fitted("negativebinomial")
    assert f"Alpha:                          {fit.alpha:.4f}" in str(fit.summary())
    assert "Residual " not in str(fit.summary())
    assert "alpha is estimated as 0" not in str(fit.summary())
    rare = cbpp().assign(y=np.arange(56) % 2)  # varies less than Poisson counts
    counts = CrossedMixedGLM.from_formula(
        "y ~ 1 + (1|herd)", rare, family="negativebinomial"
    )
    limit = counts.fit()
    assert limit.alpha == 0.0
    assert "alpha is estimated as 0, the Poisson limit." in str(limit.summary())


def test_the_event_is_in_the_summary():
    fit = model("binomial").fit()
    fit.model.event = "ill"
    assert "Event:" in str(fit.summary())
    assert "ill" in str(fit.summary2())


def test_markup():
    summary = fitted("binomial").summary(exponentiate=True)
    assert "P&gt;|z|" in summary.as_html()
    assert "odds ratio" in summary.as_html()
    assert "odds ratio" in summary.as_latex()
    assert "Binomial" in fitted("binomial")._repr_html_()


def test_overdispersion():
    data = cbpp().assign(many=lambda d: 7 * d["incidence"])
    fit = CrossedMixedGLM.from_formula(
        "many ~ period + (1|herd)", data, family="poisson", exposure="size"
    ).fit()
    residuals = (data["many"] - fit.mu) / np.sqrt(fit.mu)
    ratio = (residuals**2).sum() / (56 - 5)
    assert_allclose(fit.overdispersion, ratio)
    text = " ".join(str(fit.summary()).split())
    assert f"Pearson's chi-squared is {ratio:.2f} times its degrees of" in text
    assert '(1 | obs), or family="negativebinomial"' in text


def test_where_overdispersion_means_nothing():
    assert fitted("binary").overdispersion is None
    assert fitted("gamma").overdispersion is None
    assert fitted("negativebinomial").overdispersion is not None


@pytest.mark.parametrize(("name", "n_nodes"), [("binomial", 25), ("gamma", 9)])
def test_what_quadrature_changes(name, n_nodes):
    fit = fitted(name)
    change = fit.quadrature_change
    point = np.concatenate([fit.params, fit.theta, fit.extra or []], axis=None)
    value = -2.0 * fit.model.loglike(point, nagq=n_nodes)
    assert change.n_nodes == n_nodes
    assert_allclose(change.value, value + 2.0 * fit.llf, atol=1e-6)
    text = " ".join(str(fit.summary()).split())
    assert f"changes -2 log-likelihood by {change.value:+.3g}." in text


def test_a_change_that_matters_advises_a_refit():
    model = CrossedMixedGLM.from_formula(
        "slow ~ Days + (1|Subject)", fitted("binary").model.data.frame
    )
    fit = model.fit()
    assert abs(fit.quadrature_change.value) >= 0.1
    assert "; refit with nagq=25." in str(fit.summary())
    robust = fit.with_cov_type("CR1", groups="Subject")
    assert "refit with" not in str(robust.summary())
    refit = model.fit(nagq=25)
    assert refit.quadrature_change is None
    assert "refit with" not in str(refit.summary())
    assert refit.method == "ML (nagq=25)"


def test_several_factors_have_no_quadrature():
    assert fitted("rows").quadrature_change is None
    assert "quadrature" not in str(fitted("rows").summary())


def test_quadrature_is_asked_for_once(monkeypatch):
    fit = model("binomial").fit()
    str(fit.summary())
    monkeypatch.setattr(Quadrature, "at", None)
    assert "25-point quadrature" in str(fit.summary())


def test_an_interrupted_search_says_so():
    def stop(*_):
        raise StopIteration

    with pytest.warns(ConvergenceWarning, match="search was interrupted"):
        fit = model("binomial").fit(callback=stop)
    assert not fit.converged
    assert fit.optimum.interrupted
    text = " ".join(str(fit.summary()).split())
    assert "NOT proved, the search was interrupted" in text


def test_other_standard_errors_are_named():
    assert "(rx)" in str(fitted("binomial").with_cov_type("rx").summary())
    with pytest.raises(ValueError, match="cov_type must be 'hessian', 'rx', 'CR0'"):
        fitted("binomial").with_cov_type("HC0")


def test_summary_col():
    text = str(summary_col([fitted("binomial"), fitted("poisson")]))
    assert f"{fitted('binomial').params.iloc[0]:.4f}" in text
    assert f"({fitted('poisson').bse.iloc[0]:.4f})" in text


def test_plain_tables():
    fit = fitted("negativebinomial")
    rows = fit.tidy("ran_pars").set_index("term")
    assert_allclose(rows["std_error"], fit.variance_parameters()["std err"])
    assert rows.index.tolist() == ["sd__Intercept", "alpha"]
    assert rows.loc["alpha", "estimate"] == fit.alpha
    glance = fit.glance().iloc[0]
    assert glance["deviance"] == fit.deviance
    assert glance["sigma"] == 1.0
    assert glance["df_residual"] == 56 - 6
    table = fit.augment()
    assert_allclose(table["fitted"], fit.linear_predictor)
    assert_allclose(table["mu"], np.exp(table["fitted"]))
    assert_allclose(table["resid"], fit.resid_deviance)
    assert_allclose(table["wtres"], fit.resid_pearson)
    assert_allclose(table["offset"], np.log(cbpp()["size"]))
    modes = np.asarray(fit.random_effects["herd"].loc[cbpp()["herd"], "Intercept"])
    assert_allclose(table["fixed"], table["fitted"] - modes)
    assert (fitted("binomial").augment()["weights"] == cbpp()["size"]).all()


# copies ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "copied",
    [lambda fit: pickle.loads(pickle.dumps(fit)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_copies(name, copied):
    fit = fitted(name)
    other = copied(fit)
    assert str(other.summary()) == str(fit.summary())
    assert_allclose(other.variance_parameters(), fit.variance_parameters())
    found = other.predict(random_effects="average")
    assert_allclose(found, fit.predict(random_effects="average"))


@pytest.mark.parametrize("name", EVERY)
def test_a_clone_in_the_manner_of_statsmodels(name):
    first = fitted(name)
    old = first.model
    kwds = old._get_init_kwds()
    clone = old.__class__(old.endog, old.exog, **kwds)
    assert_allclose(clone.fit().llf, first.llf, atol=1e-9)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("pickled", [False, True])
def test_without_data(name, pickled):
    full = fitted(name)
    fit = model(name).fit()
    fit.remove_data()
    fit = pickle.loads(pickle.dumps(fit)) if pickled else fit
    said = " ".join(str(full.summary()).split())
    rest = re.sub(r"(\d+-point q|Q)uadrature .*? by [+-][\d.e-]+\. ", "", said)
    assert " ".join(str(fit.summary()).split()) == rest
    for kind in ("deviance", "pearson_chi2", "llnull", "null_deviance", "llf", "bic"):
        assert getattr(fit, kind) == getattr(full, kind)
    assert fit.quadrature_change is None
    assert fit.glance().equals(full.glance())
    table = full.random_effects_table()
    assert_allclose(fit.random_effects_table()["sd"], table["sd"])
    for ask in (
        lambda: fit.fittedvalues,
        lambda: fit.resid_pearson,
        lambda: fit.resid_deviance,
        lambda: fit.predict(),
        lambda: fit.variance_parameters(),
        lambda: fit.augment(),
    ):
        with pytest.raises(DataError, match="the data of the model were removed"):
            ask()
    data = full.model.data.frame.assign(size=3.0)
    more = {"exposure": "size"} if full.model.exposure is not None else {}
    for kind in (False, True, "average"):
        expected = full.predict(data, random_effects=kind, **more)
        assert_allclose(fit.predict(data, random_effects=kind, **more), expected)
    expected = full.get_prediction(data, **more).se
    assert_allclose(fit.get_prediction(data, **more).se, expected)


# JSON --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_json(name):
    fit = fitted(name)
    light = from_json(fit.to_json())
    assert light.family.link_name == fit.family.link_name
    assert light.family.name == fit.family.name
    assert_allclose(light.params, fit.params, rtol=1e-14)
    assert light.method == fit.method
    assert light.llf == fit.llf
    data = fit.model.data.frame.assign(size=3.0)
    more = {"exposure": "size"} if fit.model.exposure is not None else {}
    for kind in (False, True, "average"):
        for which in ("mean", "linear")[: 1 if kind == "average" else 2]:
            asked = {"random_effects": kind, "which": which, **more}
            found = light.predict(data, **asked)
            assert_allclose(found, fit.predict(data, **asked), rtol=1e-12)
    if more:
        with pytest.raises(DataError, match="the model has an exposure"):
            light.predict(data)
    assert light.summary() == str(fit.summary())


def test_a_family_of_the_user_is_not_saved():
    class Own(sm.families.links.Logit):
        pass

    fit = CrossedMixedGLM.from_formula(
        "prop ~ period + (1|herd)",
        cbpp(),
        family=sm.families.Binomial(Own()),
        weights="size",
    ).fit()
    assert_allclose(fit.llf, fitted("binomial").llf, atol=1e-6)
    with pytest.raises(DataError, match=r"custom .* cannot be saved"):
        fit.to_json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("family", "name"), "Normal"),
        (("family", "link"), "log it"),
        (("family", "power"), 0.0),
        (("needs", "offset"), "no"),
        (("covariances",), []),
        (("covariances", 0, 0, 0), -1.0),
    ],
)
def test_damaged_texts(path, value):
    saved = json.loads(fitted("binomial").to_json())
    inside = saved["generalized"]
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    with pytest.raises(DataError, match="not a saved fit, or a damaged one"):
        from_json(json.dumps(saved))


@pytest.mark.parametrize(
    ("method", "argument", "said"),
    [
        ("predict", "newdata", "is spelled exog="),
        ("get_prediction", "re_form", "is spelled random_effects="),
        ("summary", "ddf", "z tests"),
        ("summary2", "level", "is spelled alpha="),
    ],
)
def test_arguments_of_r(method, argument, said):
    with pytest.raises(TypeError, match=f"{argument}= .*{said}"):
        getattr(fitted("binomial"), method)(**{argument: None})
