"""
Influence in generalized models.

Steps without rows are held against statsmodels' GLM where there are no random effects,
and otherwise against generalized least squares with the dense covariance of the working
response; refits against fits to the remaining data.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, model
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.models.generalized import CrossedMixedGLM


@pytest.fixture(scope="module", params=["poisson", "gamma", "rows"])
def fitted(request):
    return model(request.param).fit()


def working(result):
    """X, working response and its dense covariance, in the user's units."""
    raw, m = result._results, result.model
    family, eta = raw.family, raw.linear_predictor
    prior = np.ones(len(eta)) if m.weights is None else m.weights
    h = 1e-6
    slope = (family.mean(eta + h) - family.mean(eta - h)) / (2 * h)
    variance = family.variance(family.mean(eta), prior, raw.extra)
    response = eta - m._offset if m._offset is not None else eta
    response = response + (m.endog - family.mean(eta)) / slope
    covariance = np.diag(variance / slope**2)
    for effects, each in zip(m.random, result.cov_re.values()):
        z = effects.grouped.indicator().toarray()
        levels = np.eye(effects.grouped.n_levels)
        covariance += z @ np.kron(levels, each.to_numpy()) @ z.T
    return m.exog, response, covariance


def least_squares(x, y, covariance):
    inverse = np.linalg.inv(covariance)
    known = np.linalg.inv(x.T @ inverse @ x)
    return known @ x.T @ inverse @ y, known


def test_a_step_without_rows(fitted):
    x, y, covariance = working(fitted)
    codes = fitted.model.random[0].grouped.codes
    found = fitted.get_influence(fitted.model.random[0].name)
    rows = fitted.get_influence()
    whole, known = least_squares(x, y, covariance)
    for keep, one, i in [(codes != 2, found, 2), (np.arange(len(y)) != 5, rows, 5)]:
        beta, rest = least_squares(x[keep], y[keep], covariance[np.ix_(keep, keep)])
        change = whole - beta
        assert_allclose(one.dfbeta.iloc[i], change, rtol=1e-5, atol=1e-9)
        if one is found:
            assert_allclose(one.bse_without.iloc[i], np.sqrt(np.diag(rest)), rtol=1e-5)
            distance = change @ np.linalg.solve(known, change) / len(change)
            assert_allclose(one.cooks_distance[0].iloc[i], distance, rtol=1e-5)
            ratio = np.linalg.det(rest) / np.linalg.det(known)
            assert_allclose(one.cov_ratio.iloc[i], ratio, rtol=1e-5)
    assert_allclose(found.scale_without, fitted.scale)
    # the hat matrix of the weighted rows
    inverse = np.linalg.inv(covariance)
    p = inverse - inverse @ x @ known @ x.T @ inverse
    noise = np.diag(covariance) - sum(
        np.diag(
            e.grouped.indicator()
            @ np.kron(np.eye(e.grouped.n_levels), c)
            @ e.grouped.indicator().toarray().T
        )
        for e, c in zip(fitted.model.random, fitted.cov_re.values())
    )
    left = 1.0 - noise * np.diag(p)
    assert_allclose(rows.hat_matrix_diag, left, rtol=1e-5)
    studentized = noise * (p @ y) / np.sqrt(noise * (1.0 - left))
    assert_allclose(rows.resid_studentized, studentized, rtol=1e-4, atol=1e-7)


def test_without_variance_it_is_that_of_a_glm():
    data = cbpp()
    rng = np.random.default_rng(3)
    y = pd.Series(rng.binomial(data["size"], 0.3) / data["size"], name="y")
    x = np.column_stack([np.ones(len(y)), np.linspace(-1, 1, len(y))])
    fit = CrossedMixedGLM(
        y, x, {"herd": data["herd"]}, family="binomial", weights=data["size"]
    ).fit()
    assert fit.is_singular
    binomial = sm.families.Binomial()
    other = sm.GLM(y, x, binomial, var_weights=data["size"]).fit().get_influence()
    found = fit.get_influence()
    assert_allclose(found.hat_matrix_diag, other.hat_matrix_diag, rtol=1e-8)
    assert_allclose(found.cooks_distance[0], other.cooks_distance[0], rtol=1e-7)
    assert_allclose(found.dfbeta, other.d_params, rtol=1e-6, atol=1e-9)
    assert_allclose(found.resid_studentized, other.resid_studentized, rtol=1e-6)


@pytest.mark.parametrize("name", ["poisson", "negativebinomial"])
def test_refits(name):
    result, data = model(name).fit(), cbpp()
    found = result.get_influence("herd", refit=True, n_jobs=1)
    keep = data["herd"] != "7"
    other = CrossedMixedGLM.from_formula(
        "incidence ~ period + (1|herd)", data[keep], family=name, exposure="size"
    ).fit()
    assert_allclose(found.params_without.loc["7"], other.params, rtol=1e-5)
    assert_allclose(found.bse_without.loc["7"], other.bse, rtol=1e-5)
    own = found.variance_params_without.loc["7"]
    table = other.variance_parameters()["estimate"]
    assert_allclose(own[table.index], table, rtol=1e-4, atol=1e-6)
    assert found.converged.all()


def test_a_group_without_which_an_estimate_is_infinite():
    data = cbpp().assign(rare=lambda d: 1.0 * d["herd"].isin(["1", "2"]))
    data.loc[data["herd"] == "2", "prop"] = 0.0
    fit = CrossedMixedGLM.from_formula(
        "prop ~ rare + (1|herd)", data, family="binomial", weights="size"
    ).fit()
    with pytest.warns(DataWarning, match="without herd 1 there is no finite estimate"):
        found = fit.get_influence("herd", refit=True, n_jobs=1)
    assert "infinite" in found.not_estimable["1"]
    assert found.params_without.loc["1"].isna().all()


def test_infinite_coefficients_do_not_change():
    data = cbpp()
    data["ill"] = np.where(data["period"] == "1", 1.0, data["incidence"] > 0)
    separated = CrossedMixedGLM.from_formula(
        "ill ~ period + size + (1|herd)", data, family="binomial"
    )
    with pytest.warns(DataWarning, match="infinite"):
        fit = separated.fit()
    for group in (None, "herd"):
        found = fit.get_influence(group)
        for table in (found.dfbeta, found.params_without, found.dfbetas):
            assert table.columns[table.notna().all()].tolist() == ["size"]
            assert table.columns[table.isna().all()].size == 4
