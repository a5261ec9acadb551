"""The parameters of errors: tables, standard errors, covariances, replicates."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime

from statsmodels_lmm import compare_table, datasets, planned, report
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.replicates.refitted_parameters import (
    design_of,
    variances_of,
)
from statsmodels_lmm.inference.variances.variance_parameters import variance_estimates


@pytest.fixture(scope="module")
def data():
    return datasets.sleepstudy.load_pandas().data


@pytest.fixture(scope="module")
def result(data):
    model = crossedmixedlm(
        "Reaction ~ Days + (1 | Subject)",
        data,
        weights=1.0 + data["Days"] % 2,
        residual="ar1(Days | Subject)",
        dispersion="~ Days",
    )
    return model.fit(reml=False)


def test_table(result):
    table = result.residual_table()
    assert list(table.index) == ["ar1 rho", "log sd Days"]
    assert_allclose(table["estimate"], result.residual_params)
    assert_allclose(table["ratio"], [np.nan, np.exp(result.residual_params[1])])


def test_covariance_of_a_group(result, data):
    rho, gamma = result.residual_params
    days = np.arange(10.0)
    deviations = np.exp(gamma * days) / np.sqrt(1.0 + days % 2)
    wanted = rho ** np.abs(days[:, None] - days) * np.outer(deviations, deviations)
    found = result.residual_covariance("309")
    assert_allclose(found, result.scale * wanted, rtol=1e-10)
    assert list(found.index) == list(days)
    with pytest.raises(DataError, match="no residual group 'x'"):
        result.residual_covariance("x")


def test_normalized_residuals_have_the_quadratic_form_of_the_errors(result, data):
    inverse = np.linalg.inv(result.residual_covariance("309").to_numpy())
    rows = (data["Subject"] == "309").to_numpy()
    e = result.resid[rows].to_numpy()
    normalized = result.resid_normalized[rows]
    assert_allclose(normalized @ normalized, e @ inverse @ e, rtol=1e-8)
    deviations = np.sqrt(np.diag(result.residual_covariance("309")))
    assert_allclose(result.resid_pearson[rows], e / deviations, rtol=1e-10)


def test_standard_errors_are_those_of_the_likelihood(result):
    start = np.append(result.theta, result.residual_params)

    def slope(values):
        return approx_fprime(
            values, lambda v: result.model.loglike(v, reml=False), 1e-5
        )

    steps = 1e-4 * np.eye(3)
    rows = [(slope(start + h) - slope(start - h)) / 2e-4 for h in steps]
    covariance = np.linalg.inv(-0.5 * (np.array(rows) + np.array(rows).T))
    errors = result.variance_parameters()["std err"]
    wanted = np.sqrt(np.diag(covariance))[1:]
    assert_allclose(errors[["ar1 rho", "log sd Days"]], wanted, rtol=2e-3)


def test_limits_stay_in_the_range(result):
    table = result.variance_parameters(alpha=1e-6)
    assert -1.0 < table.loc["ar1 rho", "lower"] < table.loc["ar1 rho", "upper"] < 1.0
    assert (table["note"] == "").all()


def test_replicates_are_refits(result):
    responses = result.simulate(2, rng=1).to_numpy().T
    fits = design_of(result).fit(responses - result._fixed_part)
    parameters = variances_of(result, fits).estimates()
    for row, response in enumerate(responses):
        refit = result.refit(response)
        table = refit.variance_parameters()
        assert list(table.index) == parameters.labels
        assert_allclose(parameters.values[row], table["estimate"], rtol=2e-4, atol=1e-4)
    criteria = design_of(result).criteria(responses - result._fixed_part)
    assert_allclose(criteria[1], -2.0 * refit.llf, rtol=1e-8)


def test_bootstrap_lists_the_errors(result):
    boot = result.bootstrap(12, rng=1, n_jobs=1)
    assert list(boot.draws.columns[-3:-1]) == ["ar1 rho", "log sd Days"]
    assert boot.n_failed == 0
    assert_allclose(boot.estimates["ar1 rho"], result.residual_params[0])
    assert np.isfinite(boot.draw_errors["ar1 rho"]).all()


def test_without_random_effects(data):
    alone = crossedmixedlm("Reaction ~ Days", data, residual="ar1(Days | Subject)")
    result = alone.fit()
    table = result.variance_parameters()
    assert list(table.index) == ["sigma", "ar1 rho"]
    boot = result.bootstrap(5, rng=1, n_jobs=1)
    assert "ar1 rho" in boot.draws


def test_independent_errors_have_no_covariance_matrix(data):
    plain = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    assert plain.residual_table().empty
    assert_allclose(plain.resid_normalized, plain.resid_pearson)
    with pytest.raises(DataError, match="not correlated"):
        plain.residual_covariance()


@pytest.fixture(scope="module")
def alone(data):
    """A model of errors without random effects."""
    model = crossedmixedlm("Reaction ~ Days", data, residual="cs(1 | Subject)")
    return model.fit()


def test_profiles_without_random_effects_are_those_of_the_random_intercept(alone, data):
    other = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    ours = alone.conf_int(method="profile").loc[["Intercept", "Days"]]
    theirs = other.conf_int(method="profile").loc[["Intercept", "Days"]]
    assert_allclose(ours, theirs, rtol=1e-6)


def test_power_is_refused_rather_than_that_of_independent_errors(alone, data):
    with pytest.raises(NotImplementedError, match="power is not available"):
        alone.power("Days", nsim=2, rng=1)
    values = {"Intercept": 250.0, "Days": 10.0, "sigma": 30.0}
    with pytest.raises(NotImplementedError, match="planned fit is not available"):
        planned("Reaction ~ Days", data, values, residual="cs(1 | Subject)")


def test_columns_of_the_errors_are_not_standardized(result):
    by_refit, by_columns = (result.standardized(m) for m in ("refit", "basic"))
    assert_allclose(by_refit.loc["Days"], by_columns.loc["Days"], rtol=1e-5)


def test_visits_are_times_of_an_autocorrelation(data):
    plt = pytest.importorskip("matplotlib.pyplot")
    visits = data.assign(visit=data["Days"].astype("category"))
    fit = crossedmixedlm(
        "Reaction ~ visit", visits, residual="ar1(Days | Subject)"
    ).fit()
    by_visit, by_number = (
        fit.plot_autocorrelation(when).axes[0].lines[1].get_ydata()
        for when in ("visit", data["Days"])
    )
    assert_allclose(by_visit, by_number)
    assert len(by_visit) > 5
    with pytest.raises(ValueError, match="the times are text"):
        fit.plot_autocorrelation(data["Subject"].astype(str))
    plt.close("all")


def test_a_method_in_the_place_of_a_level_is_answered(alone):
    with pytest.raises(TypeError, match=r"conf_int\(method='profile'\)"):
        alone.conf_int("profile")
    with pytest.raises(TypeError, match="not a CrossedMixedLMResultsWrapper"):
        report(alone, alone)


def test_a_name_with_a_blank_is_suggested_as_it_is_written(alone):
    with pytest.raises(FormulaError, match="did you mean `cs rho`") as caught:
        alone.derive("rho")
    name = re.search(r"mean (.*)\?", str(caught.value))[1]
    assert_allclose(alone.derive(name).estimates, alone.residual_params)


def test_a_table_of_models_of_errors_alone_has_no_shares_of_random_effects(alone):
    shown = str(compare_table(alone))
    assert (
        re.search(r"^R2 +(.*)$", shown, re.M)[1] == f"{alone.r_squared().iloc[0]:.3f}"
    )
    assert "ICC" not in shown
    assert "conditional" not in shown


@pytest.mark.parametrize(
    "errors",
    [
        {"residual": "ar1(Days | Subject)"},
        {"dispersion": "~ Days"},
        {"residual": "ar1(Days | Subject)", "dispersion": "~ Days"},
    ],
    ids=["ar1", "dispersion", "both"],
)
def test_intervals_of_shares_by_the_delta_method(data, errors):
    """Standard errors are those of shares computed anew at moved parameters."""
    fitted = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data, **errors).fit()
    raw = fitted._results
    estimates = variance_estimates(raw)
    s = raw.model.residual.log_sd.shape[1]
    phi = estimates.error_values
    at = np.concatenate([estimates.covariances[0].ravel(), phi, [fitted.scale]])
    log_sd, fixed = raw.model.residual.log_sd, fitted.params["Days"]
    spread = np.var(data["Days"], ddof=1)

    def shares(values, slope):
        gamma = values[1 + len(phi) - s : 1 + len(phi)]
        noise = values[-1] * np.exp(2.0 * log_sd @ gamma).mean()
        explained = slope**2 * spread
        total = values[0] + noise
        return np.array(
            [
                values[0] / total,
                values[0] / (total + explained),
                explained / (total + explained),
                (explained + values[0]) / (total + explained),
            ]
        )

    found = [fitted.icc(conf_int=True), fitted.r_squared(conf_int=True)]
    frame = pd.concat([each.summary_frame() for each in found])
    assert_allclose(frame["estimate"], shares(at, fixed), rtol=1e-8)
    slopes = [
        (shares(at + e, fixed) - shares(at - e, fixed)) / (2.0 * e.max())
        for e in np.diag(1e-5 * np.abs(at))
    ]
    h = 1e-5 * abs(fixed)
    of_fixed = (shares(at, fixed + h) - shares(at, fixed - h)) / (2.0 * h)
    slopes = np.array(slopes)
    variance = np.einsum("ap,ab,bp->p", slopes, estimates.uncertainty, slopes)
    variance += of_fixed**2 * fitted.bse["Days"] ** 2
    assert_allclose(frame["std err"], np.sqrt(variance), rtol=1e-6)
    plain = np.append(fitted.icc(), fitted.r_squared())
    assert_allclose(frame["estimate"], plain, rtol=1e-8)
