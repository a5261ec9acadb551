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


# places that new data must share with the fit ----------------------------------------


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(range(12), 5), "t": np.tile(range(5), 12)})
    frame["y"] = rng.normal(size=(12, 5)).cumsum(axis=1).ravel()
    return _dated(frame)


def _dated(frame):
    names = pd.Index([f"week {k}" for k in range(9)])
    order = pd.Categorical.from_codes(frame["t"], names, ordered=True)
    day = pd.Timestamp("2024-02-27 09:00") + pd.to_timedelta(frame["t"], unit="D")
    return frame.assign(day=day, week=order)


@pytest.mark.parametrize("name", ["ar1", "car1", "exp", "gau", "arma"])
@pytest.mark.parametrize("when", ["day", "week"])
def test_new_rows_count_from_the_origin_of_the_fit(series, name, when):
    new = _dated(pd.DataFrame({"g": [0, 1, 99], "t": [6, 8, 6]}))
    found = [
        crossedmixedlm("y ~ 1", series, residual=f"{name}({x} | g)")
        .fit()
        .predict(new, include_residual=True)
        for x in ("t", when)
    ]
    assert_allclose(found[1], found[0], rtol=1e-9)


def test_new_levels_are_those_of_the_fit(series):
    result = crossedmixedlm("y ~ 1", series, residual="ar1(week | g)").fit()
    expected = result.predict(series, include_residual=True)
    other = series.assign(week=series["week"].astype(str))
    assert_allclose(result.predict(other, include_residual=True), expected)
    other["week"] = "week 77"
    with pytest.raises(DataError, match="no level 'week 77'"):
        result.predict(other, include_residual=True)


def test_dates_are_dates_again(series):
    dates = crossedmixedlm("y ~ 1", series, residual="car1(day | g)").fit()
    with pytest.raises(DataError, match=r"pd\.to_datetime"):
        dates.predict(series.assign(day=3.0), include_residual=True)
    times = crossedmixedlm("y ~ 1", series, residual="car1(t | g)").fit()
    with pytest.raises(DataError, match="must be numeric"):
        times.predict(series.assign(t=series["day"]), include_residual=True)


@pytest.mark.parametrize("name", ["us", "toep", "ad"])
def test_correlations_with_an_unseen_visit_are_not_known(series, name):
    text = f"{name}(t | g, hom=True)"
    result = crossedmixedlm("y ~ 1", series, residual=text).fit()
    new = pd.DataFrame({"g": [0, 99], "t": [2, 7]})
    found = result.predict(new, include_residual=True)
    assert_allclose(found[1], result.fe_params.iloc[0])
    with pytest.raises(DataError, match=r"correlations .* row 1 .* ar1"):
        result.predict(new.assign(g=[0, 1]), include_residual=True)


def test_kriging_with_a_nugget_and_replicates():
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 5, (24, 2))
    places = np.vstack([places, places[:6]])
    data = pd.DataFrame(places, columns=["east", "north"]).assign(plot=1)
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    c = 0.8 * np.exp(-apart / 2.0) + 0.2 * np.eye(30)
    data["y"] = np.linalg.cholesky(c) @ rng.normal(size=30)
    text = "exp(east + north | plot, nugget=True)"
    result = crossedmixedlm("y ~ 1", data, residual=text).fit()
    reach, nugget = result.residual_params
    c = (1.0 - nugget) * np.exp(-apart / reach) + nugget * np.eye(30)
    assert_allclose(result.residual_covariance(), result.scale * c, rtol=1e-9)
    new = pd.DataFrame({"east": [1.0, 2.0], "north": [2.0, 4.0], "plot": 1})
    far = np.linalg.norm(new[["east", "north"]].to_numpy()[:, None] - places, axis=-1)
    share = np.linalg.solve(c, (1.0 - nugget) * np.exp(-far / reach).T).T
    mean = result.fe_params.iloc[0]
    expected = mean + share @ (data["y"] - mean)
    assert_allclose(result.predict(new, include_residual=True), expected, rtol=1e-9)


@pytest.mark.parametrize("formula", ["y ~ t", "y ~ t + (1 | g)"])
def test_errors_of_weighted_rows(series, formula):
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(series))
    data = series.assign(w=weights)
    result = crossedmixedlm(formula, data, residual="ar1(t | g)", weights="w").fit()
    told = {"random_effects": "(" in formula, "include_residual": True}
    told["interval"] = "prediction"
    for here in (
        result.get_prediction(**told),
        result.get_prediction(data, weights="w", **told),
    ):
        assert_allclose(here.predicted, data["y"], rtol=1e-9)
        assert_allclose(here.var_obs, 0.0, atol=1e-9)
    del told["interval"]
    assert_allclose(result.predict(**told), data["y"], rtol=1e-9)
    new = pd.DataFrame({"g": [0, 1], "t": [6, 7]})
    light, heavy = (
        result.get_prediction(new, weights=w, **told) for w in ([1, 1], [4, 4])
    )
    means = result.predict(new, random_effects=told["random_effects"])
    assert_allclose(heavy.predicted - means, 0.5 * (light.predicted - means))
    with pytest.raises(DataError, match="new observations need theirs"):
        result.predict(new, **told)


def test_new_data_without_times(data):
    result = crossedmixedlm(
        "Reaction ~ 1 + (1 | Subject)", data, residual="ar1(Days | Subject)"
    ).fit()
    new = data.head(2).drop(columns="Days")
    with pytest.raises(DataError, match="the new data have no column 'Days'"):
        result.predict(new, random_effects=True, include_residual=True)
