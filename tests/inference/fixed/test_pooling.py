"""Rubin's rules against mice."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm import crossedmixedlm, pool_imputations
from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError

PATH = Path(__file__).parents[2] / "reference" / "imputations.json"
Q, U = [10.2, 10.9, 9.8, 10.5, 10.1], [2.1, 2.4, 1.9, 2.2, 2.0]

# mice 3.15.0: pool.scalar(Q, U, n, k), n - k being Inf or 178
MICE = {np.inf: (492.417233560091, 0.0938019067329852)}
MICE[178.0] = 120.856700131811, 0.104821077115134


def fit(estimate, variance, **changes):
    model = SimpleNamespace(exog_names=["x"])
    values = {"nobs": 9, "use_t": False, "df_resid": 178.0, "converged": True}
    values |= {"params": [estimate], "cov_params": lambda: [[variance]]}
    return SimpleNamespace(model=model, **values | changes)


@pytest.mark.parametrize("df_complete", MICE)
def test_as_in_mice(df_complete):
    df, missing = MICE[df_complete]
    for pooled in (
        pool_imputations(map(fit, Q, U), df_complete),
        pool_imputations(fit(q, u, use_t=df_complete < np.inf) for q, u in zip(Q, U)),
    ):
        row = pooled.summary_frame().loc["x"]
        found = row["estimate"], row["std_error"] ** 2, row["riv"]
        assert_allclose(found, [10.3, 2.33, 0.0990566037735849])
        assert_allclose([row["df"], row["fmi"]], [df, missing])
        assert pooled.n_imputations == 5
        assert len(pooled.variances) == 0
        # R 4.2.2: qt(0.975, df) * sqrt(2.33)
        half = {np.inf: 2.99912673, 178.0: 3.02201442}[df_complete]
        assert_allclose(row[["lower", "upper"]].tolist(), [10.3 - half, 10.3 + half])


def test_a_joint_test_of_equal_fits_is_that_of_one():
    pooled = pool_imputations([fit(3.0, 2.0), fit(3.0, 2.0)])
    test = pooled.wald_test("`x` = 1")
    assert test.df_denom == np.inf
    assert_allclose([test.statistic, test.pvalue], [2.0, stats.chi2.sf(2.0, 1)])
    assert repr(test) == "<F test: F=2, p=0.1573, df_num=1, df_denom=inf>"


def test_what_is_not_a_hypothesis_is_named():
    with pytest.raises(FormulaError, match=r"^w = 0 is not a linear equation .* x; wr"):
        pool_imputations([fit(3.0, 2.0), fit(3.1, 2.0)]).wald_test("w = 0")


def test_equal_fits_are_one_fit():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.arange(60) % 6, "x": rng.normal(size=60)})
    data["y"] = data["x"] + rng.normal(size=6)[data["g"]] + rng.normal(size=60)
    one = crossedmixedlm("y ~ x + (x | g)", data).fit(df_method="satterthwaite")
    pooled = pool_imputations([one, one, one])
    assert_allclose(pooled.params, one.params)
    assert_allclose(pooled.cov_params(), one.cov_params())
    complete = one.df_resid_inference
    assert_allclose(pooled.df, complete * (complete + 1.0) / (complete + 3.0))
    assert_allclose(pooled.variances, one.variance_components()["variance"])
    assert pooled.variances.loc["g", "x", ""].size == 1
    assert "3 imputations" in str(pooled)
    assert "p_value" in pooled._repr_html_()


def test_what_cannot_be_pooled():
    good = fit(1.0, 1.0)
    with pytest.raises(TypeError, match="at least two fits"):
        pool_imputations([good])
    with pytest.raises(ValueError, match="df_complete must be positive"):
        pool_imputations([good, good], 0.0)
    other = fit(1.0, 1.0, nobs=8)
    with pytest.raises(DataError, match="fit 2 has 8 rows and fit 1 has 9: impute"):
        pool_imputations([good, other])
    other.model.exog_names = ["z"]
    with pytest.raises(DataError, match="fit 2 has other fixed effects"):
        pool_imputations([good, other])
    with pytest.warns(DataWarning, match="fit 2 has not converged"):
        pool_imputations([good, fit(1.0, 1.0, converged=False)])
    nothing = fit(np.nan, np.nan)
    assert pool_imputations([good, nothing]).summary_frame().loc["x"].isna().all()


def test_p_values():
    """R 4.2.2: 2 * pt(-2, 120.856700131811), a statistic of 2 by shifting."""
    shift = 2.0 * np.sqrt(2.33) - 10.3
    pooled = pool_imputations([fit(q + shift, u) for q, u in zip(Q, U)], 178.0)
    assert_allclose(pooled.summary_frame().loc["x", "p_value"], 0.0477424605139)


@pytest.fixture(scope="module")
def saved():
    return json.loads(PATH.read_text())


@pytest.fixture(scope="module")
def nhanes(saved):
    """Regressions of the five imputations of mice's example."""
    fits = []
    for values in zip(*saved["imputed"].values()):
        data = pd.DataFrame(saved["nhanes2"], dtype=float)
        for name, found in zip(saved["imputed"], values):
            data.loc[data[name].isna(), name] = found
        fits.append(smf.ols("bmi ~ C(age) + hyp + chl", data).fit())
    return fits


def numbers(test):
    return [float(getattr(test, n)) for n in ("statistic", "df_num", "df_denom")]


HYPOTHESES = {
    "age_chl": "C(age)[T.2.0] = 0, C(age)[T.3.0] = 0, chl = 0",
    "age_hyp_chl": ["C(age)[T.2.0]", "C(age)[T.3.0]", "hyp", "chl"],
}


@pytest.mark.parametrize("name", HYPOTHESES)
@pytest.mark.parametrize(("kind", "df"), [("tests", 20.0), ("asymptotic", np.inf)])
def test_joint_tests_as_in_mice(saved, nhanes, name, kind, df):
    test = pool_imputations(nhanes, df).wald_test(HYPOTHESES[name])
    expected = saved[kind][name]
    assert_allclose([*numbers(test), float(test.pvalue)], expected[:4], rtol=1e-8)


def test_the_published_example_of_one_coefficient(saved, nhanes):
    """The page of mice's D1 prints 5.28351 and 0.671799; its 4 is a limit."""
    pooled = pool_imputations(nhanes)
    row, test = pooled.summary_frame().loc["chl"], pooled.wald_test("chl = 0")
    assert_allclose([float(test.statistic), row["riv"]], [5.28351, 0.671799], rtol=1e-6)
    assert_allclose(numbers(test), [row["statistic"] ** 2, 1.0, row["df"]])
    assert_allclose(float(test.pvalue), row["p_value"])
    asymptotic = pool_imputations(nhanes, np.inf).wald_test("chl")
    assert_allclose(numbers(asymptotic), saved["asymptotic"]["chl"][:3], rtol=1e-8)
    shifted = pooled.wald_test(f"chl = {float(pooled.params['chl'])!r}")
    assert_allclose(float(shifted.statistic), 0.0, atol=1e-12)


def test_joint_tests_of_mixed_models(saved):
    """The fits are by REML, with a slope of each subject."""
    data, fits = load("sleepstudy"), []
    data["load"] = np.array(saved["load"], dtype=float)
    for values in saved["loads"]:
        whole = data.copy()
        whole.loc[whole["load"].isna(), "load"] = values
        formula = "Reaction ~ Days + load + I(load**2) + (Days | Subject)"
        fits.append(crossedmixedlm(formula, whole).fit())
    for df, expected in zip((None, 15.0), saved["sleepstudy"]):
        test = pool_imputations(fits, df).wald_test("load = 0, I(load ** 2) = 0")
        assert_allclose(numbers(test)[:2], expected[:2], rtol=1e-6)
        assert_allclose([float(test.df_denom), float(test.pvalue)], expected[2:4], 1e-6)


def two(shift, use_t=False, df=178.0):
    """A fit of two coefficients, of which the second is moved."""
    other = fit(1.0, 1.0, use_t=use_t, df_resid=df)
    other.model.exog_names = ["x", "z"]
    other.params = [3.0 + shift, 2.0 - shift]
    other.cov_params = lambda: [[2.0, 0.5], [0.5, 1.0]]
    return other


def test_where_no_approximation_of_reiter_exists():
    """Few fits, or few complete degrees of freedom; equal fits are one."""
    within, apart = np.array([[2.0, 0.5], [0.5, 1.0]]), [[1.0, -1.0], [-1.0, 1.0]]
    share = np.trace(apart @ np.linalg.inv(within)) / 2.0
    few = pool_imputations([two(0.0), two(0.4)]).wald_test("x = 0, z = 0")
    riv = 1.5 * 0.08 * share
    assert_allclose(few.df_denom, 2.0 * 1.5 * (1.0 + 1.0 / riv) ** 2 / 2.0)
    moves = -0.4, -0.1, 0.2, 0.3
    short = pool_imputations([two(s, True, 3.0) for s in moves]).wald_test(np.eye(2))
    riv = 1.25 * np.var(moves, ddof=1) * share
    old = 4.0 + 2.0 * (1.0 + (1.0 - 2.0 / 6.0) / riv) ** 2
    assert_allclose(short.df_denom, 1.0 / (1.0 / old + (1.0 + riv) / 2.0))
    unequal = two(0.0, True, np.array([50.0, 30.0]))
    equal = pool_imputations([unequal] * 4).wald_test("x = 0, z = 0")
    assert_allclose(equal.df_denom, 30.0 * 31.0 / 33.0)
    q = np.array([3.0, 2.0])
    expected = q @ np.linalg.solve(within, q) / 2.0
    assert_allclose(float(equal.statistic), expected)


def test_hypotheses_that_make_no_sense():
    pooled = pool_imputations([two(0.0), two(0.4)])
    with pytest.raises(ValueError, match="3 hypotheses are not independent"):
        pooled.wald_test("x = 0, z = 0, x = z")
    lost = two(0.0)
    lost.params = [np.nan, 2.0]
    pooled = pool_imputations([two(0.1), lost])
    assert np.isnan(float(pooled.wald_test("x = 0, z = 0").pvalue))
    assert np.isfinite(float(pooled.wald_test("z = 0").pvalue))
