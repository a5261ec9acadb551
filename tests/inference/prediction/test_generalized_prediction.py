"""Predictions of generalized models on both scales, against dense computations."""

import numpy as np
import pandas as pd
import pytest
from generalized_samples import REFERENCE, cbpp, fitted, frame
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import expit

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.models.generalized import CrossedMixedGLM

RECORD = REFERENCE["fits"]["cbpp"]


def new_rows():
    return pd.DataFrame(RECORD["newdata"])


@pytest.mark.parametrize("which", ["mean", "linear"])
def test_predictions_of_lme4(which):
    fit = fitted("binomial")
    for modes, name in ((False, "fixed"), (True, "conditional")):
        expected = np.array(RECORD[name])
        found = fit.predict(new_rows(), random_effects=modes, which=which)
        expected = expit(expected) if which == "mean" else expected
        assert_allclose(found, expected, atol=2e-5)


def test_the_default_is_the_mean_without_random_effects():
    fit = fitted("binomial")
    assert_allclose(fit.predict(), expit(fit.model.exog @ fit.params))
    assert_allclose(fit.predict(type="link"), fit.model.exog @ fit.params)


@pytest.mark.parametrize("name", ["binomial", "poisson", "gamma", "rows", "structure"])
def test_predictions_with_all_modes_are_fitted_values(name):
    fit = fitted(name)
    assert_allclose(fit.predict(random_effects=True), fit.fittedvalues)
    rows = fit.predict(random_effects=True, which="linear")
    assert_allclose(rows, fit.linear_predictor)


def dense(name):
    """X, Z, the covariance of all random effects and the observed weights."""
    fit = fitted(name)
    model = fit.model
    columns = [
        np.kron(np.eye(e.n_levels), np.ones(e.grouped.k_effects))[e.grouped.codes]
        * np.tile(e.grouped.effects, e.n_levels)
        for e in model.random
    ]
    sizes = [e.n_levels for e in model.random]
    blocks = [np.kron(np.eye(n), s) for n, s in zip(sizes, fit.cov_re.values())]
    size = sum(map(len, blocks))
    covariance, start = np.zeros((size, size)), 0
    for block in blocks:
        inside = slice(start, start + len(block))
        covariance[inside, inside], start = block, inside.stop
    weights = model.family.slopes(
        model.endog, model._prior_weights, fit.linear_predictor.to_numpy(), fit.extra
    ).second
    return model.exog, np.hstack(columns), covariance, weights


@pytest.mark.parametrize("name", ["binomial", "rows", "gamma", "log gamma"])
def test_standard_errors_with_random_effects(name):
    fit, (x, z, covariance, weights) = fitted(name), dense(name)
    both = np.hstack([x, z])
    system = both.T @ (weights[:, None] * both)
    p = x.shape[1]
    system[p:, p:] += np.linalg.inv(covariance)
    inverse = np.linalg.inv(system)
    expected = np.sqrt(np.diag(both @ inverse @ both.T))
    found = fit.get_prediction(random_effects=True, which="linear")
    assert_allclose(found.se, expected, rtol=1e-6)
    size = np.sqrt(np.diag(inverse))
    found = fit.joint_covariance() / np.outer(size, size)
    assert_allclose(found, inverse / np.outer(size, size), atol=1e-6)


@pytest.mark.parametrize("name", ["binomial", "poisson", "gamma", "log gamma"])
@pytest.mark.parametrize("modes", [False, True])
def test_intervals_are_those_of_the_linear_predictor(name, modes):
    fit = fitted(name)
    linear = fit.get_prediction(random_effects=modes, which="linear")
    found = fit.get_prediction(random_effects=modes)
    assert_allclose(found.predicted, fit.family.mean(linear.predicted))
    change = np.array([-1e-6, 1e-6])
    moved = fit.family.mean(linear.predicted[:, None] * (1.0 + change))
    slope = np.abs(np.diff(moved)[:, 0]) / np.abs(linear.predicted * 2e-6)
    assert_allclose(found.se, slope * linear.se, rtol=1e-6)
    reach = stats.norm.isf(0.05) * linear.se
    ends = fit.family.mean(linear.predicted[:, None] + reach[:, None] * [-1.0, 1.0])
    assert_allclose(found.conf_int(alpha=0.1), np.sort(ends, axis=1))
    table = found.summary_frame(alpha=0.1)
    assert list(table) == ["predicted", "se", "ci_lower", "ci_upper"]
    assert (table["ci_lower"] < table["predicted"]).all()
    assert (table["predicted"] < table["ci_upper"]).all()


def test_standard_errors_without_random_effects_are_of_the_kind_asked_for():
    x = fitted("binomial").model.exog
    for kind in ("hessian", "rx"):
        fit = fitted("binomial").with_cov_type(kind)
        expected = np.sqrt(np.einsum("ij,jk,ik->i", x, fit.cov_params(), x))
        assert_allclose(fit.get_prediction(which="linear").se, expected)


# offsets and exposures -------------------------------------------------------------


def test_an_exposure_is_needed_for_new_data():
    fit, data = fitted("poisson"), cbpp()
    with pytest.raises(DataError, match="the model has an exposure, so new data need"):
        fit.predict(data)
    with pytest.raises(DataError, match="pass exposure= as an array"):
        fit.get_prediction(data)
    by_name = fit.predict(data, exposure="size")
    assert_allclose(by_name, fit.predict())
    assert_allclose(fit.predict(data, exposure=data["size"]), by_name)
    assert_allclose(fit.predict(data, exposure=2.0), 2.0 * by_name / data["size"])
    shuffled = data["size"].sample(frac=1.0, random_state=0)
    assert_allclose(fit.predict(data, exposure=shuffled), by_name)
    assert_allclose(fit.get_prediction(data, exposure="size").predicted, by_name)


def test_an_exposure_is_positive():
    with pytest.raises(
        DataError, match="exposure has values that are not positive in rows 0"
    ):
        fitted("poisson").predict(cbpp(), exposure=0.0)


def test_an_offset_is_needed_for_new_data():
    data = cbpp()
    data["o"] = np.log(data["size"])
    of_argument = CrossedMixedGLM.from_formula(
        "incidence ~ period + (1|herd)", data, family="poisson", offset="o"
    ).fit()
    with pytest.raises(DataError, match="the model has an offset"):
        of_argument.predict(data)
    expected = fitted("poisson").predict()
    assert_allclose(of_argument.predict(data, offset="o"), expected, rtol=1e-6)
    assert_allclose(of_argument.predict(), expected, rtol=1e-6)
    of_formula = CrossedMixedGLM.from_formula(
        "incidence ~ period + offset(o) + (1|herd)", data, family="poisson"
    ).fit()
    assert_allclose(of_formula.predict(data), expected, rtol=1e-6)
    more = of_formula.predict(data, offset=1.0)
    assert_allclose(more, np.e * expected, rtol=1e-6)
    with pytest.raises(DataError, match="the model has an offset"):
        of_formula.predict(of_formula.model.exog, transform=False)


def test_the_rows_of_the_fit_keep_what_is_not_replaced():
    data = cbpp()
    data["o"] = np.linspace(-0.5, 0.5, len(data))
    fit = CrossedMixedGLM.from_formula(
        "incidence ~ period + (1|herd)",
        data,
        family="poisson",
        offset="o",
        exposure="size",
    ).fit()
    eta = fit.model.exog @ fit.params
    assert_allclose(fit.predict(), np.exp(eta + data["o"]) * data["size"])
    assert_allclose(fit.predict(exposure=1.0), np.exp(eta + data["o"]))
    assert_allclose(fit.predict(offset=0.0), np.exp(eta) * data["size"])


# levels and arguments --------------------------------------------------------------


def test_new_levels():
    fit, data = fitted("binomial"), new_rows().assign(herd="new")
    with pytest.raises(DataError, match="new levels of herd"):
        fit.predict(data, random_effects=True)
    found = fit.get_prediction(
        data, random_effects=True, new_levels="population", which="linear"
    )
    assert_allclose(found.predicted, RECORD["fixed"], atol=2e-5)
    plain = fit.with_cov_type("rx").get_prediction(data, which="linear")
    assert_allclose(found.se**2, plain.se**2 + fit.vcomp.iloc[0], rtol=1e-6)
    nothing = fit.predict(data, random_effects=True, new_levels="nan")
    assert np.isnan(nothing).all()


def test_a_model_from_arrays():
    fit = fitted("binomial")
    rows = CrossedMixedGLM(
        fit.model.endog,
        fit.model.exog,
        {"herd": cbpp()["herd"].to_numpy()},
        weights=cbpp()["size"].to_numpy(),
    ).fit()
    x, herds = fit.model.exog[:3], {"herd": cbpp()["herd"].to_numpy()[:3]}
    assert_allclose(rows.predict(x), fit.predict()[:3], rtol=1e-6)
    for kind in (True, "average"):
        found = rows.predict(x, random_effects=kind, random=herds)
        expected = fit.predict(random_effects=kind)[:3]
        assert_allclose(found, expected, rtol=1e-6)


def test_missing_values_are_nan():
    data = new_rows().assign(herd="1")
    data.loc[2, "period"] = None
    for kind in (False, True, "average"):
        table = fitted("binomial").get_prediction(data, random_effects=kind)
        gaps = table.summary_frame().isna()
        assert gaps.loc[2].all()
        assert not gaps.drop(2).any(axis=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"which": "linear", "random_effects": "average"}, "use which='mean'"),
        ({"interval": "prediction"}, "prediction intervals are for a linear"),
        ({"df_method": "satterthwaite"}, "defined for a linear mixed model"),
        ({"random_effects": ["no"]}, "no random effects no"),
        ({"new_levels": "zero"}, "new_levels must be"),
        ({"which": "median"}, "which must be"),
    ],
)
def test_arguments_without_meaning(arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted("gamma").get_prediction(frame("gamma"), **arguments)
