"""Tables of a fit: R's broom.mixed 0.2.9.4, dense algebra, and the methods behind."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, DataWarning, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.tidy import augment, glance, tidy

ALL = ("fixed", "ran_pars", "ran_vals")


@pytest.fixture(scope="module")
def data():
    return load("sleepstudy")


@pytest.fixture(scope="module")
def sleep(data):
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()


@pytest.fixture(scope="module")
def sleep_ml(data):
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit(reml=False)


@pytest.fixture(scope="module")
def pastes():
    data = load("pastes")
    return crossedmixedlm("strength ~ 1 + (1 | batch/cask)", data).fit()


def row(table, term, group=None):
    found = table[table["term"] == term]
    if group is not None:
        found = found[found["group"] == group]
    assert len(found) == 1
    return found.iloc[0]


# against broom.mixed -------------------------------------------------------


def test_fixed_effects_as_broom(sleep):
    table = tidy(sleep, "fixed", conf_int=True, conf_level=0.9)
    columns = ["estimate", "std_error", "statistic", "conf_low", "conf_high"]
    # tidy(m, effects = "fixed", conf.int = TRUE, conf.level = 0.9)
    broom = [
        [251.405105, 6.82459669, 36.83808965, 240.17964222, 262.6305675],
        [10.467286, 1.54578964, 6.77148149, 7.92468826, 13.0098837],
    ]
    assert_allclose(table[columns].to_numpy(), broom, rtol=2e-5)
    assert list(table["term"]) == ["Intercept", "Days"]
    assert (table["effect"] == "fixed").all()
    assert table["group"].isna().all()
    assert np.isinf(table["df"]).all()


def test_degrees_of_freedom_as_broom(sleep):
    table = tidy(sleep, "fixed", conf_int=True, df_method="satterthwaite")
    columns = ["df", "p_value", "conf_low", "conf_high"]
    # tidy of a fit of lmerTest
    broom = [
        [16.999726, 1.1715581e-17, 237.0064468, 265.803763],
        [16.999984, 3.2638245e-06, 7.2059547, 13.728617],
    ]
    assert_allclose(table[columns].to_numpy(), broom, rtol=1e-3)
    same = tidy(sleep.with_df_method("satterthwaite"), "fixed", conf_int=True)
    pd.testing.assert_frame_equal(same, table)


def test_random_parameters_as_broom(sleep, pastes):
    table = tidy(sleep, "ran_pars")
    # tidy(m), names without parentheses
    broom = {
        ("Subject", "sd__Intercept"): 24.740657995,
        ("Subject", "sd__Days"): 5.922137659,
        ("Subject", "cor__Intercept.Days"): 0.065551238,
        ("Residual", "sd__Observation"): 25.591795722,
    }
    found = dict(zip(zip(table["group"], table["term"]), table["estimate"]))
    assert list(found) == list(broom)
    assert_allclose(list(found.values()), list(broom.values()), rtol=1e-4)
    table = tidy(pastes)
    assert row(table, "sd__Intercept", "batch:cask")["estimate"] == pytest.approx(
        2.904077466, rel=1e-5
    )
    assert row(table, "sd__Intercept", "batch")["estimate"] == pytest.approx(
        1.287365881, rel=1e-4
    )


def test_profile_intervals_as_broom(sleep_ml):
    table = tidy(sleep_ml, conf_int=True, conf_method="profile")
    # tidy(m, conf.int = TRUE, conf.method = "profile")
    broom = [
        [237.68069547, 265.12951469],
        [7.35865330, 13.57591874],
        [14.38143435, 37.71601215],
        [3.80116474, 8.75336674],
        [-0.48150044, 0.68498621],
        [22.89826622, 28.85799732],
    ]
    assert_allclose(table[["conf_low", "conf_high"]].to_numpy(), broom, rtol=1e-4)


def test_modes_as_broom(sleep):
    table = tidy(sleep, "ran_vals", conf_int=True, conf_level=0.9)
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    # tidy(m, effects = "ran_vals", conf.int = TRUE, conf.level = 0.9)
    broom = [
        [2.25855095, 12.070857, -17.5962419, 22.1133438],
        [-40.39873808, 12.070857, -60.2535309, -20.5439452],
        [-38.96040896, 12.070857, -58.8152018, -19.1056161],
    ]
    assert_allclose(table.loc[:2, columns].to_numpy(), broom, rtol=1e-4)
    assert list(table["level"][:3].astype(str)) == ["308", "309", "310"]
    assert len(table) == 36


def test_coefficients_as_broom(sleep):
    table = tidy(sleep, ["fixed", "ran_coefs"])
    # tidy(m, effects = "ran_coefs"), broom.mixed 0.2.9.4
    broom = [253.663655798, 211.006366770, 212.444695891]
    assert_allclose(table["estimate"][2:5], broom, rtol=1e-5)
    assert list(table["level"][2:5].astype(str)) == ["308", "309", "310"]
    assert set(table["group"][2:]) == {"Subject"}
    assert list(table["term"][[2, 19, 20, 37]]) == [*2 * ["Intercept"], *2 * ["Days"]]
    assert len(table) == 38
    assert table["std_error"][2:].isna().all()


def test_glance_as_broom(sleep, sleep_ml, pastes):
    # glance(m): nobs, sigma, logLik, AIC, BIC, REMLcrit or deviance, df.residual
    broom = {
        "sleep": [180, 25.591796, -871.81414, 1755.6283, 1774.786, 1743.6283, 174],
        "ml": [180, 25.591907, -875.96967, 1763.9393, 1783.0971, 1751.9393, 174],
        "pastes": [60, 0.82340752, -123.49537, 254.99075, 263.36812, 246.99075, 56],
    }
    for result, name in ((sleep, "sleep"), (sleep_ml, "ml"), (pastes, "pastes")):
        table = glance(result)
        assert table.shape == (1, 9)
        assert_allclose(table.iloc[0, :7].to_numpy(float), broom[name], rtol=2e-5)
        assert table.columns[5] == ("REMLcrit" if result.reml else "deviance")
        assert bool(table["converged"].item())
        assert not table["singular"].item()


def test_augment_as_broom(sleep, data):
    table = augment(sleep, influence=True)
    # augment(m)
    broom = [
        [253.663656, -4.1036558, 251.405105, 0.229304038, 0.00496313251],
        [273.329918, -14.6252175, 261.872391, 0.169729994, 0.04020620186],
        [292.996179, -42.1955792, 272.339677, 0.126823715, 0.22609918476],
    ]
    columns = ["fitted", "resid", "fixed", "hat", "cooksd"]
    assert_allclose(table.loc[:2, columns].to_numpy(), broom, rtol=1e-4)
    assert list(table.columns) == ["Reaction", "Days", "Subject", *columns]
    assert list(augment(sleep).columns[3:]) == columns[:3]


# scales and intervals ------------------------------------------------------


def test_variances(sleep):
    deviations = tidy(sleep, "ran_pars").set_index("term")
    variances = tidy(sleep, "ran_pars", scale="var").set_index("term")
    assert_allclose(
        variances["estimate"].to_numpy()[[0, 1, 3]],
        deviations["estimate"].to_numpy()[[0, 1, 3]] ** 2,
    )
    sd = deviations["estimate"]["sd__Days"]
    error = deviations["std_error"]["sd__Days"]
    assert variances["std_error"]["var__Days"] == pytest.approx(2 * sd * error)
    name = "cor__Intercept.Days"
    assert variances.loc[name, "estimate"] == deviations.loc[name, "estimate"]
    assert_allclose(
        deviations["std_error"], sleep.variance_parameters()["std err"], rtol=1e-12
    )


@pytest.mark.slow
def test_intervals_follow_the_scale(sleep):
    own = sleep.profile(scale="var")
    tables = [
        tidy(sleep, "ran_pars", True, conf_method=method, scale="var")
        for method in ("profile", own, own.conf_int())
    ]
    for table in tables:
        ends = table[["conf_low", "conf_high"]].to_numpy()
        assert_allclose(ends, own.conf_int().to_numpy()[2:], rtol=1e-6)
    table = tidy(sleep, "ran_pars", True, conf_method=own)
    assert_allclose(
        table[["conf_low", "conf_high"]].to_numpy(),
        sleep.profile().conf_int().to_numpy()[2:],
        rtol=1e-6,
    )


def test_intervals_of_the_bootstrap(sleep):
    boot = sleep.bootstrap(nsim=30, rng=1)
    ends = boot.conf_int("percentile", alpha=0.2)
    table = tidy(sleep, conf_int=True, conf_level=0.8, conf_method=boot)
    for term, label in (
        ("Days", "Days"),
        ("sd__Days", "Subject: sd Days"),
        ("cor__Intercept.Days", "Subject: cor Days, Intercept"),
        ("sd__Observation", "sigma"),
    ):
        found = row(table, term)[["conf_low", "conf_high"]].to_numpy(float)
        assert_allclose(found, ends.loc[label].to_numpy())
    basic = boot.conf_int("basic", alpha=0.2)
    table = tidy(sleep, conf_int=True, conf_method=basic, scale="var")
    found = row(table, "var__Days")[["conf_low", "conf_high"]].to_numpy(float)
    assert_allclose(found, basic.loc["Subject: sd Days"].to_numpy() ** 2)


def test_wald_intervals_of_random_parameters_are_missing(sleep):
    table = tidy(sleep, ALL, conf_int=True)
    missing = table[["conf_low", "conf_high"]].isna().all(axis=1)
    assert (missing == (table["effect"] == "ran_pars")).all()


def test_only_the_modes_need_no_profile(sleep, monkeypatch):
    monkeypatch.delattr("statsmodels_lmm.inference.tidy.profile")
    table = tidy(sleep, "ran_vals", conf_int=True, conf_method="profile")
    z = stats.norm.ppf(0.975)
    half = (table["conf_high"] - table["conf_low"]) / 2
    assert_allclose(half, z * table["std_error"])


def test_columns(sleep):
    plain = ["effect", "group", "term", "estimate", "std_error"]
    plain += ["statistic", "df", "p_value"]
    assert list(tidy(sleep).columns) == plain
    assert list(tidy(sleep, conf_int=True).columns) == [
        *plain,
        "conf_low",
        "conf_high",
    ]
    assert list(tidy(sleep, ["ran_vals"]).columns[:4]) == [
        *("effect", "group", "level", "term")
    ]
    order = tidy(sleep, ("ran_pars", "fixed"))["effect"]
    assert list(order) == ["ran_pars"] * 4 + ["fixed"] * 2
    assert tidy(sleep, ALL).shape == (42, 9)


# other models --------------------------------------------------------------


@pytest.mark.slow
def test_structures(data):
    data = data.assign(t=data["Days"].astype(int))
    result = crossedmixedlm("Reaction ~ Days + ar1(0 + C(t) | Subject)", data).fit()
    table = tidy(result, "ran_pars", conf_int=True, conf_method="profile")
    assert list(table["term"]) == ["sd__ar1", "cor__ar1.rho", "sd__Observation"]
    components = result.variance_components()
    assert_allclose(table["estimate"], components["sd"])
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["conf_high"] > table["estimate"]).all()
    squares = tidy(result, "ran_pars", scale="var")["estimate"]
    assert_allclose(squares[0], components["variance"][0])
    assert squares[1] == table["estimate"][1]


def test_singular_fit():
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    table = tidy(result, ALL, conf_int=True, conf_method="profile")
    zero = row(table, "sd__Intercept")
    assert zero["estimate"] == 0.0
    assert np.isnan(zero["std_error"])
    assert zero["conf_low"] == 0.0
    assert zero["conf_high"] > 0.5
    assert glance(result)["singular"].item()


def test_redundant_column(data):
    data = data.assign(twice=2 * data["Days"])
    model = crossedmixedlm("Reaction ~ Days + twice + (1 | Subject)", data)
    with pytest.warns(RankWarning):
        result = model.fit()
    table = tidy(result, conf_int=True, conf_method="profile")
    numbers = ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
    assert row(table, "twice")[numbers].isna().all()
    assert row(table, "Days")[numbers].notna().all()


def test_arrays_without_fixed_effects(data):
    y, g = data["Reaction"].to_numpy(), data["Subject"].to_numpy()
    z = (g[:, None] == np.unique(g)).astype(float)
    models = [
        CrossedMixedLM(y, np.zeros((180, 0)), random={"Subject": g}),
        CrossedMixedLM(y, np.zeros((180, 0)), random={"Subject": z}),
    ]
    tables = [tidy(m.fit(), ("fixed", "ran_pars"), conf_int=True) for m in models]
    assert list(tables[0]["effect"]) == ["ran_pars", "ran_pars"]
    assert_allclose(tables[0]["estimate"], tables[1]["estimate"], rtol=1e-6)
    by_groups, by_matrix = (augment(m.fit(), influence=True) for m in models)
    assert list(by_groups.columns[:3]) == ["y", "Subject", "fitted"]
    assert list(by_groups["Subject"]) == list(g)
    assert list(by_matrix.columns[:2]) == ["y", "fitted"]
    assert_allclose(by_groups["fitted"], by_matrix["fitted"], rtol=1e-8)
    assert (by_groups["fixed"] == 0.0).all()


def test_without_data(data):
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    before = tidy(result, ALL)
    result.remove_data()
    with pytest.warns(DataWarning, match="need the data, which were removed"):
        after = tidy(result, ALL)
    assert after.loc[2:5, "std_error"].isna().all()
    after.loc[2:5, "std_error"] = before.loc[2:5, "std_error"]
    pd.testing.assert_frame_equal(after, before)
    assert glance(result)["nobs"].item() == 180
    with pytest.raises(DataError, match="removed"):
        augment(result)


# augment -------------------------------------------------------------------


def dense(result):
    """Fitted values, leverages and Cook's distances with n x n algebra."""
    model, n = result.model, int(result.nobs)
    x, y = model.exog, model.endog - model.offset
    v = np.diag(1.0 / model.weights)
    marginal = v.copy()
    for effects, covariance in zip(model.random, result._results._covariances()):
        z = effects.grouped.effects
        same = np.equal.outer(effects.grouped.codes, effects.grouped.codes)
        marginal += same * (z @ (covariance / result.scale) @ z.T)
    inverse = np.linalg.inv(marginal)
    gls = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse)
    hat = np.eye(n) - v @ inverse @ (np.eye(n) - x @ gls)
    resid = y - hat @ y
    pearson = resid * np.sqrt(model.weights) / np.sqrt(result.scale)
    leverage = np.diag(hat)
    cooks = pearson**2 * leverage / (1 - leverage) ** 2 / x.shape[1]
    return {
        "fitted": hat @ y + model.offset,
        "resid": resid,
        "fixed": x @ gls @ y + model.offset,
        "hat": leverage,
        "cooksd": cooks,
    }


def test_augment_against_dense(data):
    rng = np.random.default_rng(3)
    data = data.assign(w=rng.uniform(0.5, 2, 180), o=rng.normal(size=180))
    data.loc[[3, 50], "Days"] = np.nan
    formula = "Reaction ~ Days + offset(o) + (Days | Subject)"
    result = crossedmixedlm(formula, data, weights="w").fit()
    used = data["Days"].notna()
    for expected, table in (
        (dense(result), augment(result, data, influence=True)),
        (dense(result), augment(result, pl.from_pandas(data), influence=True)),
    ):
        assert list(table.columns[:5]) == list(data.columns)
        assert len(table) == 180
        for name, values in expected.items():
            assert table.loc[~used, name].isna().all()
            assert_allclose(table.loc[used, name], values, rtol=1e-6, atol=1e-9)


def test_augment_keeps_labels_and_order(data):
    shuffled = data.sample(frac=1.0, random_state=0)
    result = crossedmixedlm("Reaction ~ Days + (1 | Subject)", shuffled).fit()
    table = augment(result, data)
    assert list(table.index) == list(data.index)
    assert_allclose(table["fitted"] + table["resid"], data["Reaction"])
    own = augment(result)
    assert list(own.index) == list(shuffled.index)


def test_augment_refuses(data, sleep):
    with pytest.raises(DataError, match="have a column 'resid'; rename it"):
        augment(sleep, data.assign(resid=0.0))
    with pytest.raises(DataError, match=r"170 rows .* 180 rows of the fit"):
        augment(sleep, data.iloc[:170])
    with pytest.raises(DataError, match="unique labels"):
        augment(sleep, pd.concat([data, data]))
    twice = data.set_index("Days", drop=False)
    result = crossedmixedlm("Reaction ~ Days + (1 | Subject)", twice).fit()
    assert len(augment(result, twice)) == 180


def test_bad_arguments(sleep):
    with pytest.raises(ValueError, match="ran_vals, ran_coefs, not 'random'"):
        tidy(sleep, "random")
    with pytest.raises(ValueError, match="scale must be 'sd' or 'var', not 'vcov'"):
        tidy(sleep, scale="vcov")
    with pytest.raises(ValueError, match="between 0 and 1, not 95"):
        tidy(sleep, conf_level=95)
    with pytest.raises(ValueError, match="not 'boot'"):
        tidy(sleep, conf_int=True, conf_method="boot")
    with pytest.raises(ValueError, match="lower and upper"):
        tidy(sleep, conf_int=True, conf_method=pd.DataFrame({"a": [1.0]}))
