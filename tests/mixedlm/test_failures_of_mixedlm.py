"""
Models at which statsmodels' MixedLM was seen to fail: no convergence, a worse point,
errors, or numbers that are wrong without a word.

Here they are fitted by ours only. What is right is told by lme4 1.1-31 or by n x n
algebra; what is said of MixedLM was seen with statsmodels 0.15.0.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import optimize
from statsmodels.regression.linear_model import OLS

from statsmodels_lmm.exceptions import RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm


def data_of(name):
    return load(name)


def dense_loglike(theta, y, x, z, reml=True):
    """
    Log-likelihood, residual variance profiled out.

    Parameters
    ----------
    theta : sequence of ndarray
        Relative covariance root of each factor, (k, k).
    y, x : ndarray
        Response and fixed design.
    z : sequence of list of ndarray
        For each factor the indicator columns times each of k effects, (n, levels).
    """
    n, p = x.shape
    v = np.eye(n)
    for root, columns in zip(theta, z):
        relative = root @ root.T
        for i, one in enumerate(columns):
            for j, other in enumerate(columns):
                v += relative[i, j] * one @ other.T
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    r = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    nu = n - p if reml else n
    out = nu * (1 + np.log(2 * np.pi * (r @ inverse @ r) / nu))
    out += np.linalg.slogdet(v)[1]
    if reml:
        out += np.linalg.slogdet(information)[1]
    return -0.5 * out


def dense_optimum(y, x, z, starts=(1.0, 0.3), reml=True):
    """Highest dense log-likelihood from several starts."""
    sizes = [len(columns) for columns in z]

    def roots(values):
        out = []
        for k in sizes:
            root = np.zeros((k, k))
            root[np.tril_indices(k)] = values[: k * (k + 1) // 2]
            values = values[k * (k + 1) // 2 :]
            out.append(root)
        return out

    def negative(values):
        return -dense_loglike(roots(values), y, x, z, reml)

    unit = np.concatenate([np.eye(k)[np.tril_indices(k)] for k in sizes])
    found = [
        optimize.minimize(
            negative,
            s * unit,
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-9, "maxfev": 600},
        )
        for s in starts
    ]
    return -min(each.fun for each in found)


def indicators(labels):
    return pd.get_dummies(pd.Series(labels)).to_numpy(dtype=float)


def quiet(call, *args, **kwargs):
    """A call that may not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call(*args, **kwargs)


# everything is one group -------------------------------------------------------


PENICILLIN = data_of("penicillin").assign(one=1)
CROSSED = {"plate": "0 + C(plate)", "sample": "0 + C(sample)"}


def check_penicillin(fit):
    """diameter ~ 1 + (1 | plate) + (1 | sample) of lme4."""
    assert fit.converged
    assert fit.llf == pytest.approx(-165.430294, abs=1e-5)
    assert fit.params["Intercept"] == pytest.approx(22.9722, abs=1e-4)
    assert fit.bse["Intercept"] == pytest.approx(0.8086, abs=1e-4)
    assert_allclose(fit.vcomp, [0.8467**2, 1.9316**2], rtol=3e-4)
    assert fit.scale == pytest.approx(0.5499**2, rel=3e-4)


@pytest.mark.parametrize("use_sparse", [True, False])
def test_crossed_factors_of_penicillin(use_sparse):
    fit = quiet(
        mixedlm(
            "diameter ~ 1",
            PENICILLIN,
            groups="one",
            vc_formula=CROSSED,
            use_sparse=use_sparse,
        ).fit
    )
    check_penicillin(fit)
    twin = crossedmixedlm("diameter ~ 1 + (1 | plate) + (1 | sample)", PENICILLIN)
    assert_allclose(fit.fittedvalues, twin.fit().fittedvalues, atol=1e-8)
    assert list(fit.random_effects) == [1]
    assert fit.random_effects_cov[1].shape == (30, 30)


@pytest.mark.filterwarnings("ignore")
def test_a_constant_with_a_random_intercept_changes_nothing():
    """MixedLM invents a variance of the only group; the intercept's error is 0.0171."""
    fit = mixedlm(
        "diameter ~ 1",
        PENICILLIN,
        groups="one",
        re_formula="1",
        vc_formula=CROSSED,
    ).fit()
    check_penicillin(fit)
    assert not float(fit.cov_re.iloc[0, 0]) > 0.0


def test_components_by_plate_are_another_model():
    """The samples of each plate have effects of their own: one per row."""
    fit = mixedlm(
        "diameter ~ 1", PENICILLIN, groups="plate", vc_formula={"s": "0 + C(sample)"}
    ).fit()
    ols = OLS.from_formula("diameter ~ 1", PENICILLIN).fit()
    assert fit.converged
    assert fit.bse["Intercept"] == pytest.approx(ols.bse["Intercept"], rel=1e-8)
    assert fit.vcomp[0] + fit.scale == pytest.approx(ols.scale, rel=1e-8)
    # lme4: diameter ~ 1 + (1 | plate) + (1 | plate:sample), its checks switched off
    both = mixedlm(
        "diameter ~ 1",
        PENICILLIN,
        groups="plate",
        re_formula="1",
        vc_formula={"s": "0 + C(sample)"},
    ).fit()
    assert both.llf == pytest.approx(-306.628012, abs=1e-6)
    assert both.bse["Intercept"] == pytest.approx(0.178805259, rel=1e-5)
    assert both.cov_re.iloc[0, 0] == pytest.approx(0.3083660609**2, rel=1e-3)
    assert both.vcomp[0] + both.scale == pytest.approx(4.0333, rel=1e-4)


# variances of zero -------------------------------------------------------------


@pytest.mark.parametrize(
    ("reml", "criterion", "deviation"),
    [(True, 161.8283, 3.71568), (False, 162.8730, 3.65323)],
)
def test_dyestuff2_is_exactly_at_zero(reml, criterion, deviation):
    model = mixedlm("Yield ~ 1", data_of("dyestuff2"), groups="Batch")
    fit = quiet(model.fit, reml=reml)
    assert fit.converged
    assert -2 * fit.llf == pytest.approx(criterion, abs=1e-4)
    assert float(fit.cov_re.iloc[0, 0]) == 0.0
    assert np.sqrt(fit.scale) == pytest.approx(deviation, rel=1e-5)
    if reml:
        assert fit.params["Intercept"] == pytest.approx(5.6656, abs=1e-4)
        assert fit.bse["Intercept"] == pytest.approx(0.6784, abs=1e-4)
    assert all(float(b.iloc[0]) == 0.0 for b in fit.random_effects.values())
    assert all(float(v.iloc[0, 0]) == 0.0 for v in fit.random_effects_cov.values())
    assert "Batch" in str(fit.summary())


def singular_slopes(seed):
    """Twelve groups whose slopes are minus half of their intercepts, plus noise."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(12), 6)
    x = np.tile(np.arange(6.0), 12)
    u = rng.normal(size=12)[g]
    y = 1 + 0.5 * x + u * (1 - 0.5 * x) + rng.normal(size=72)
    return pd.DataFrame({"y": y, "x": x, "g": g})


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 4, 10])
def test_slopes_of_correlation_one(seed):
    data = singular_slopes(seed)
    fit = quiet(mixedlm("y ~ x", data, groups="g", re_formula="~x").fit)
    covariance = fit.cov_re.to_numpy()
    deviations = np.sqrt(np.diag(covariance))
    assert covariance[0, 1] / deviations.prod() == pytest.approx(-1.0, abs=1e-6)
    assert fit.converged
    x = np.column_stack([np.ones(72), data["x"]])
    z = indicators(data["g"])
    best = dense_optimum(
        data["y"].to_numpy(), x, [[z, z * x[:, 1:]]], starts=(1.0, 0.3, 0.1)
    )
    assert fit.llf >= best - 1e-7
    root = np.zeros((2, 2))
    root[:, 0] = deviations * [1, -1] / np.sqrt(fit.scale)
    own = dense_loglike([root], data["y"].to_numpy(), x, [[z, z * x[:, 1:]]])
    assert fit.llf == pytest.approx(own, abs=1e-6)
    # modes and their covariances exist
    modes = np.array([fit.random_effects[k] for k in range(12)])
    assert_allclose(modes[:, 1] / modes[:, 0], -deviations[1] / deviations[0])
    assert all(np.isfinite(v).all(axis=None) for v in fit.random_effects_cov.values())


def crossed(seed, item=0.0):
    rng = np.random.default_rng(seed)
    subject, items = np.repeat(np.arange(20), 10), np.tile(np.arange(10), 20)
    y = 2 + rng.normal(size=20)[subject] + item * rng.normal(size=10)[items]
    y = y + 1.5 * rng.normal(size=200)
    return pd.DataFrame({"y": y, "s": subject, "i": items, "one": 1})


def fit_crossed(data):
    vc = {"s": "0 + C(s)", "i": "0 + C(i)"}
    return quiet(mixedlm("y ~ 1", data, groups="one", vc_formula=vc).fit)


@pytest.mark.parametrize("seed", range(20))
def test_crossed_factors_of_which_one_is_nothing(seed):
    data = crossed(seed)
    fit = fit_crossed(data)
    assert fit.converged
    # the criterion is flat in no direction: any other point is worse
    y, x = data["y"].to_numpy(), np.ones((200, 1))
    z = [[indicators(data["i"])], [indicators(data["s"])]]
    ratios = np.sqrt(fit.vcomp / fit.scale)
    at = [np.array([[t]]) for t in ratios]
    assert fit.llf == pytest.approx(dense_loglike(at, y, x, z), abs=1e-8)
    for k in (0, 1):
        for step in (-0.02, 0.02, 0.1):
            moved = [a + step * (i == k) for i, a in enumerate(at)]
            if moved[k][0, 0] >= 0:
                assert dense_loglike(moved, y, x, z) < fit.llf


@pytest.mark.slow
def test_about_half_of_these_are_exactly_zero():
    found = [fit_crossed(crossed(seed)).vcomp[0] for seed in range(20)]
    assert 5 <= np.sum(np.array(found) == 0.0) <= 17


def test_crossed_factors_at_the_dense_optimum():
    data = crossed(2)
    fit = fit_crossed(data)
    z = [[indicators(data["i"])], [indicators(data["s"])]]
    best = dense_optimum(data["y"].to_numpy(), np.ones((200, 1)), z, starts=(0.5,))
    assert fit.llf >= best - 1e-7
    assert fit.llf == pytest.approx(best, abs=1e-5)


def no_intercepts(seed):
    """Residuals of each group sum to zero: the variance between groups is zero."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(15), 5)
    e = rng.normal(size=(15, 5))
    e -= e.mean(axis=1, keepdims=True)
    between = rng.normal(size=15)[g]
    x = rng.normal(size=75)
    y = 9.8 + 3.1 * between + 2.05 * x + e.ravel()
    return pd.DataFrame({"y": y, "x": x, "between": between, "g": g})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", [None, "lbfgs"])
@pytest.mark.parametrize("reml", [True, False])
def test_fixed_effects_at_a_variance_of_zero_are_those_of_least_squares(
    seed, method, reml
):
    """MixedLM gives 0.0 for the intercept and effects between groups."""
    data = no_intercepts(seed)
    model = mixedlm("y ~ between + x", data, groups="g")
    fit = quiet(model.fit, method=method, reml=reml)
    ols = OLS.from_formula("y ~ between + x", data).fit()
    assert fit.converged
    assert float(fit.cov_re.iloc[0, 0]) == 0.0
    assert_allclose(fit.params, ols.params, rtol=1e-8)
    if reml:
        assert_allclose(fit.bse, ols.bse, rtol=1e-8)
    else:
        assert fit.llf == pytest.approx(ols.llf, abs=1e-9)
    assert_allclose(fit.fittedvalues, ols.fittedvalues, atol=1e-8)


def test_estimates_at_given_variances():
    """``get_fe_params`` at variances of zero and near it."""
    data = no_intercepts(0)
    model = mixedlm("y ~ between + x", data, groups="g")
    ols = OLS.from_formula("y ~ between + x", data).fit().params.to_numpy()
    for ratio in (0.0, 1e-14, 1e-11, 1e-9):
        found, _ = model.get_fe_params(np.array([[ratio]]), np.zeros(0))
        assert_allclose(found, ols, rtol=1e-6)
    z = indicators(data["g"])
    v = np.eye(75) + 2.5 * z @ z.T
    x, y = model.exog, model.endog
    expected = np.linalg.solve(x.T @ np.linalg.solve(v, x), x.T @ np.linalg.solve(v, y))
    found, singular = model.get_fe_params(np.array([[2.5]]), np.zeros(0))
    assert_allclose(found, expected, rtol=1e-8)
    assert not singular
    r = y - x @ expected
    scale = r @ np.linalg.solve(v, r) / (75 - 3)
    found = model.get_scale(expected, np.array([[2.5]]), np.zeros(0))
    assert found == pytest.approx(scale, rel=1e-8)


def test_likelihood_at_variances_of_zero():
    """MixedLM's is not a number there."""
    data = crossed(1)
    model = mixedlm(
        "y ~ 1", data, groups="one", vc_formula={"s": "0 + C(s)", "i": "0 + C(i)"}
    )
    ols = OLS.from_formula("y ~ 1", data).fit()
    assert model.loglike(np.zeros(2), reml=False) == pytest.approx(ols.llf, abs=1e-9)


# redundant columns -------------------------------------------------------------


def test_redundant_columns_are_left_out():
    data = no_intercepts(5).assign(
        twice=lambda d: 2 * d["x"] - 1,
        level=lambda d: pd.Categorical(d["g"] % 3, range(5)),
    )
    model = mixedlm("y ~ x + twice + C(level)", data, groups="g")
    with pytest.warns(RankWarning):
        fit = model.fit()
    expected = mixedlm(
        "y ~ x + C(level)", data.assign(level=data["g"] % 3), groups="g"
    ).fit()
    assert fit.converged
    assert fit.llf == pytest.approx(expected.llf, abs=1e-8)
    assert np.isnan(fit.params["twice"])
    kept = fit.params.dropna()
    assert len(kept) == 4
    assert_allclose(sorted(kept), sorted(expected.params), atol=1e-6)
    assert_allclose(fit.fittedvalues, expected.fittedvalues, atol=1e-8)
    assert np.isfinite(fit.packed_params.iloc[-1])
    assert_allclose(fit.cov_re, expected.cov_re, atol=1e-8)
    assert "twice" in str(fit.summary())


# many levels -------------------------------------------------------------------


def test_students_and_lecturers():
    """
    2,000 rows of InstEval, for which MixedLM takes a minute.

    lme4 (bobyqa, rhoend 1e-10): y ~ service + (1 | s) + (1 | d).
    """
    data = data_of("insteval").iloc[::36][:2000].assign(one=1)
    vc = {"s": "0 + C(s)", "d": "0 + C(d)"}
    model = mixedlm("y ~ service", data, groups="one", vc_formula=vc, use_sparse=True)
    fit = quiet(model.fit)
    assert fit.converged
    assert fit.optimum.evaluations <= 20
    assert -2 * fit.llf <= 6753.53805357 + 1e-6
    assert_allclose(fit.vcomp, [0.2996430342, 0.0238527403], rtol=1e-4)
    assert fit.scale == pytest.approx(1.4543964931, rel=1e-5)
    assert_allclose(fit.params, [3.268335985, -0.144758999], atol=1e-7)
    assert_allclose(fit.bse, [0.0452627436, 0.0654692319], rtol=1e-6)
    effects = fit.random_effects[1]
    assert len(effects) == data["s"].nunique() + data["d"].nunique()


# units -------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-5, 1e-3, 1e3, 1e5, 1e8])
def test_units_of_a_slope(unit):
    """
    The criterion of sleepstudy in other units of the days.

    MixedLM stops at -869.736 for 1e-3 and calls it converged; lme4 is not exact
    for 1e3 and 1e5 either.
    """
    data = data_of("sleepstudy")
    data = data.assign(Days=data["Days"] * unit)
    model = mixedlm("Reaction ~ Days", data, groups="Subject", re_formula="~Days")
    fit = quiet(model.fit)
    assert fit.converged
    expected = -0.5 * 1743.628272 - np.log(unit)
    assert fit.llf == pytest.approx(expected, abs=1e-6)
    assert fit.params["Days"] * unit == pytest.approx(10.4673, abs=1e-4)
    assert fit.bse["Days"] * unit == pytest.approx(1.5458, abs=1e-4)
    deviations = np.sqrt(np.diag(fit.cov_re)) * [1.0, unit]
    assert_allclose(deviations, [24.7407, 5.9221], rtol=1e-4)
    assert np.sqrt(fit.scale) == pytest.approx(25.5918, rel=1e-5)


def test_units_of_a_component():
    data = data_of("sleepstudy").assign(small=lambda d: d["Days"] * 1e-4)
    arguments = {"groups": "Subject", "re_formula": "1"}
    first = mixedlm("Reaction ~ Days", data, vc_formula={"v": "0 + Days"}, **arguments)
    other = mixedlm("Reaction ~ Days", data, vc_formula={"v": "0 + small"}, **arguments)
    one, two = quiet(first.fit), quiet(other.fit)
    # lme4's criterion of (Days || Subject)
    assert -2 * one.llf == pytest.approx(1743.669294, abs=1e-6)
    assert two.llf == pytest.approx(one.llf, abs=1e-8)
    assert_allclose(two.vcomp, one.vcomp * 1e8, rtol=1e-4)


# labels ------------------------------------------------------------------------


def test_repeated_labels_of_rows_and_labels_of_mixed_types():
    """MixedLM selects rows by label, and sorts labels."""
    data = data_of("pastes").copy()
    arguments = {"re_formula": "1", "vc_formula": {"cask": "0 + C(cask)"}}
    expected = 246.9907
    data.index = np.arange(60) % 7
    fit = mixedlm("strength ~ 1", data, groups="batch", **arguments).fit()
    assert -2 * fit.llf == pytest.approx(expected, abs=1e-4)
    codes = data["batch"].cat.codes
    mixed = [i if i % 2 else f"batch {i}" for i in codes]
    mixed = pd.Series(mixed, data.index, dtype=object)
    fit = mixedlm("strength ~ 1", data, groups=mixed, **arguments).fit()
    assert -2 * fit.llf == pytest.approx(expected, abs=1e-4)
    assert_allclose(
        np.sqrt([fit.cov_re.iloc[0, 0], *fit.vcomp]), [1.2874, 2.9041], rtol=1e-4
    )
    assert set(fit.model.group_labels) == set(mixed)


@pytest.mark.parametrize(
    ("name", "formula", "arguments", "criterion"),
    [
        ("sleepstudy", "Reaction ~ Days", {"groups": "Subject"}, 1786.4651),
        ("dyestuff", "Yield ~ 1", {"groups": "Batch"}, 319.6543),
        (
            "machines",
            "score ~ Machine",
            {"groups": "Worker", "re_formula": "~Machine"},
            208.3112,
        ),
    ],
)
def test_criteria_of_lme4(name, formula, arguments, criterion):
    fit = quiet(mixedlm(formula, data_of(name), **arguments).fit)
    assert fit.converged
    assert -2 * fit.llf == pytest.approx(criterion, abs=1e-4)


def test_nested_recipes():
    """lme4: angle ~ recipe * temperature + (1 | recipe:replicate)."""
    arguments = {"groups": "recipe", "vc_formula": {"r": "0 + C(replicate)"}}
    model = mixedlm("angle ~ recipe * temperature", data_of("cake"), **arguments)
    fit = quiet(model.fit)
    assert fit.converged
    deviations = np.sqrt([fit.vcomp[0], fit.scale])
    assert_allclose(deviations, [6.4682, 4.5245], rtol=1e-4)
