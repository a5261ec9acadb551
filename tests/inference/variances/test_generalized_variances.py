"""Variance parameters of generalized models against differences of the score."""

import numpy as np
import pytest
from generalized_samples import differenced_covariance, every_parameter, fitted, slopes
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm.formula.api import crossedmixedlm

REGULAR = ["binomial", "negativebinomial", "gamma", "log gamma", "structure", "rows"]


def told(name, scale):
    """The variance parameters as a function of all parameters."""
    fit, power = fitted(name), {"sd": 0.5, "var": 1.0, "log_sd": 0.5}[scale]
    p = len(fit.params)

    def on_scale(variance):
        value = variance**power
        return np.log(value) if scale == "log_sd" else value

    def function(point):
        theta, extra = point[p : p + len(fit.theta)], point[p + len(fit.theta) :]
        if name == "gamma":
            root = np.array([[theta[0], 0.0], [theta[1], theta[2]]])
            s = root @ root.T
            variances, cor = np.diag(s), s[1, 0] / np.sqrt(s[0, 0] * s[1, 1])
            values = [*on_scale(variances), cor]
        elif name == "structure":
            values = [on_scale(theta[0] ** 2), theta[1]]
        else:
            values = on_scale(theta**2)
        if name == "negativebinomial":
            last = extra
        else:
            last = on_scale(np.exp(extra))
        return np.concatenate([values, last])

    return function


@pytest.mark.parametrize("scale", ["sd", "var", "log_sd"])
@pytest.mark.parametrize("name", REGULAR)
def test_standard_errors(name, scale):
    fit, function = fitted(name), told(name, scale)
    point = every_parameter(fit)
    covariance = differenced_covariance(name)
    steps = 1e-4 * np.sqrt(np.diag(covariance))
    jacobian = slopes(function, point, steps)
    table = fit.variance_parameters(scale)
    assert_allclose(table["estimate"], function(point), rtol=1e-8)
    expected = jacobian @ covariance @ jacobian.T
    assert_allclose(table["std err"], np.sqrt(np.diag(expected)), rtol=1e-5)
    found = fit.cov_variance_parameters(scale)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert_allclose(found / size, expected / size, atol=1e-5)


def test_labels():
    labels = {
        "binomial": ["herd: sd Intercept"],
        "negativebinomial": ["herd: sd Intercept", "alpha"],
        "log gamma": ["Subject: sd Intercept", "sigma"],
    }
    for name, expected in labels.items():
        assert fitted(name).variance_parameters().index.tolist() == expected


def test_intervals_are_symmetric_without_bounds():
    table = fitted("gamma").variance_parameters(alpha=0.1)
    reach = stats.norm.isf(0.05) * table["std err"]
    is_cor = table.index.str.contains("cor")
    value, ends = table["estimate"], table[["lower", "upper"]].to_numpy()
    logs = np.log(ends[~is_cor])
    size = (reach / value)[~is_cor]
    assert_allclose(logs.mean(axis=1), np.log(value[~is_cor]))
    assert_allclose(np.diff(logs)[:, 0], 2.0 * size)
    z = np.arctanh(ends[is_cor])
    assert_allclose(z.mean(axis=1), np.arctanh(value[is_cor]))
    assert_allclose(np.diff(z)[:, 0], (2.0 * reach / (1.0 - value**2))[is_cor])
    assert (table["note"] == "").all()


def test_intervals_of_a_linear_model_are_the_same_function():
    fit = crossedmixedlm("Reaction ~ Days + (1|Subject)", load("sleepstudy")).fit()
    table = fit.variance_parameters(alpha=0.05)
    logs = np.log(table[["lower", "upper"]].to_numpy())
    reach = stats.norm.isf(0.025) * table["std err"] / table["estimate"]
    assert_allclose(logs.mean(axis=1), np.log(table["estimate"]))
    assert_allclose(np.diff(logs)[:, 0], 2.0 * reach)
    assert list(fit.variance_parameters()) == ["estimate", "std err"]


def test_a_variance_of_zero_has_no_standard_error():
    table = fitted("binary").variance_parameters(alpha=0.05)
    row = table.loc["Days: sd Intercept"]
    assert row["estimate"] == 0.0
    assert row["note"] == "on the boundary"
    assert np.isnan(row[["std err", "lower", "upper"]].to_numpy(float)).all()
    assert table.loc["Subject: sd Intercept", "note"] == ""
    assert table.loc["Subject: sd Intercept", "std err"] > 0.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, 95])
def test_alpha_is_between_zero_and_one(alpha):
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        fitted("binomial").variance_parameters(alpha=alpha)
