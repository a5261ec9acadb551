"""Forecasts and kriging, against the conditional normal distribution."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import datasets
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm

CASES = [
    ("Reaction ~ Days", None),
    ("Reaction ~ Days + (1 | Subject)", "~ Days"),
    ("Reaction ~ Days + (Days | Subject) + (1 | item)", None),
]


@pytest.fixture(scope="module")
def data():
    sleep = datasets.sleepstudy.load_pandas().data
    return sleep.assign(item=np.random.default_rng(0).integers(0, 6, len(sleep)))


def dense(result, old, new):
    """Best linear unbiased predictions of new rows, and the variances of errors."""
    rows = pd.concat([old, new])
    n, days = len(old), rows["Days"].to_numpy(float)
    group = pd.factorize(rows["Subject"])[0]
    gamma = result.residual_params[1:]
    deviations = np.exp(days * gamma[0]) if len(gamma) else np.ones(len(days))
    v = result.scale * np.outer(deviations, deviations) * (group[:, None] == group)
    v = v * result.residual_params[0] ** np.abs(days[:, None] - days)
    for name, covariance in result.cov_re.items():
        level = pd.factorize(rows[name])[0]
        z = np.column_stack([np.ones(len(days)), days])[:, : len(covariance)]
        v = v + (level[:, None] == level) * (z @ covariance.to_numpy() @ z.T)
    x = np.column_stack([np.ones(len(days)), days])
    inverse = np.linalg.inv(v[:n, :n])
    phi = np.linalg.inv(x[:n].T @ inverse @ x[:n])
    beta = phi @ x[:n].T @ inverse @ old["Reaction"]
    share = v[n:, :n] @ inverse
    apart = x[n:] - share @ x[:n]
    mean = x[n:] @ beta + share @ (old["Reaction"] - x[:n] @ beta)
    variance = v[n:, n:] - share @ v[:n, n:] + apart @ phi @ apart.T
    return mean, np.diag(variance)


@pytest.mark.parametrize(("formula", "dispersion"), CASES, ids=["gls", "sd", "crossed"])
def test_new_days_of_known_subjects(data, formula, dispersion):
    old, new = data[data["Days"] < 8], data[data["Days"] >= 8]
    model = crossedmixedlm(
        formula, old, residual="ar1(Days | Subject)", dispersion=dispersion
    )
    result = model.fit()
    effects = bool(model.random)
    told = {"random_effects": effects, "include_residual": True}
    predicted = result.get_prediction(new, interval="prediction", **told)
    mean, variance = dense(result, old, new)
    assert_allclose(predicted.predicted, mean, rtol=1e-9)
    assert_allclose(predicted.var_obs, variance, rtol=1e-9)
    assert_allclose(result.predict(new, **told), mean, rtol=1e-9)


def test_an_observed_row_is_predicted_by_itself(data):
    result = crossedmixedlm(
        "Reaction ~ Days", data, residual="ar1(Days | Subject)"
    ).fit()
    here = result.get_prediction(
        data.head(3), include_residual=True, interval="prediction"
    )
    assert_allclose(here.predicted, data["Reaction"].head(3), rtol=1e-12)
    assert_allclose(here.var_obs, 0.0, atol=1e-6)


def test_new_rows_have_their_own_variances(data):
    result = crossedmixedlm("Reaction ~ Days", data, dispersion="~ Days").fit()
    here = result.get_prediction(data.head(10), interval="prediction")
    factor = np.exp(2.0 * result.residual_params[0] * data["Days"].head(10))
    assert_allclose(here.var_obs - here.se**2, result.scale * factor, rtol=1e-9)


def test_errors_of_new_groups_are_not_known(data):
    result = crossedmixedlm(
        "Reaction ~ Days", data, residual="ar1(Days | Subject)"
    ).fit()
    new = pd.DataFrame({"Days": [3.0], "Subject": ["999"]})
    with_error = result.predict(new, include_residual=True)
    assert_allclose(with_error, result.predict(new))


def test_independent_errors_tell_nothing(data):
    result = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    with pytest.raises(ValueError, match="needs correlated errors"):
        result.get_prediction(data, random_effects=True, include_residual=True)


def test_random_effects_are_needed(data):
    result = crossedmixedlm(
        "Reaction ~ Days + (1 | Subject)", data, residual="ar1(Days | Subject)"
    ).fit()
    with pytest.raises(ValueError, match="random_effects=True"):
        result.get_prediction(data, include_residual=True)


def test_a_visit_without_a_variance_of_its_own(data):
    result = crossedmixedlm(
        "Reaction ~ 1", data, residual="ar1(Days | Subject, hom=False)"
    ).fit()
    new = pd.DataFrame({"Days": [12], "Subject": ["308"]})
    with pytest.raises(DataError, match="variance of errors"):
        result.get_prediction(new, interval="prediction")


def test_responses_at_new_rows_have_correlated_errors(data):
    result = crossedmixedlm(
        "Reaction ~ Days", data, residual="ar1(Days | Subject)", dispersion="~ Days"
    ).fit()
    new = pd.DataFrame({"Days": [11.0, 10.0, 12.0], "Subject": ["new", "308", "new"]})
    drawn = result.simulate(20_000, rng=1, exog=new)
    rho, gamma = result.residual_params
    deviations = np.sqrt(result.scale) * np.exp(gamma * new["Days"].to_numpy())
    wanted = np.outer(deviations, deviations) * [[1, 0, rho], [0, 1, 0], [rho, 0, 1]]
    found = np.cov(drawn)
    assert_allclose(found, wanted, atol=0.05 * wanted.max())
    assert_allclose(drawn.mean(axis=1), result.predict(new), atol=0.05 * deviations[0])


def test_responses_at_an_unseen_visit(data):
    result = crossedmixedlm(
        "Reaction ~ 1", data, residual="us(Days | Subject, hom=True)"
    ).fit()
    new = pd.DataFrame({"Days": [11], "Subject": ["308"]})
    with pytest.raises(DataError, match="has not seen"):
        result.simulate(1, rng=1, exog=new)
