"""Every number and table of the results, against dense or published ones."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from scipy import optimize, stats
from statsmodels_twin import gain_left, mixedlm_at

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import ConvergenceWarning, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm

N = 90


@functools.cache
def sample():
    """Crossed g (9 levels) and h (5); weights w, offset o; the rows are shuffled."""
    rng = np.random.default_rng(20)
    g, h = rng.permutation(np.arange(N) % 9), rng.permutation(np.arange(N) % 5)
    x, z = rng.standard_normal((2, N))
    u, v = rng.standard_normal((9, 2)), rng.standard_normal(5)
    y = 3.0 + 0.5 * x + 1.5 * u[g, 0] + 0.8 * u[g, 1] * x + v[h]
    y += 0.7 * rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "w": rng.uniform(0.5, 3.0, N)})
    frame["o"] = rng.uniform(-2.0, 2.0, N)
    frame["g"], frame["h"] = [f"g{i}" for i in g], h
    frame["f"] = np.array(["a", "b", "c"])[rng.integers(3, size=N)]
    return frame.set_index(rng.permutation(1000)[:N])


def indicator(groups, columns):
    """Z of one factor, the columns of a level next to each other."""
    levels, codes = np.unique(groups, return_inverse=True)
    rows = np.eye(len(levels))[codes]
    return (rows[:, :, None] * columns[:, None, :]).reshape(len(codes), -1)


class Dense:
    """Estimates for given relative covariances, from V = W^-1 + Z S Z'."""

    def __init__(self, y, x, zs, relative, weights=None, reml=True):
        n, p = x.shape
        big = [np.kron(np.eye(z.shape[1] // len(s)), s) for z, s in zip(zs, relative)]
        v = np.diag(np.ones(n) if weights is None else 1.0 / weights)
        v = v + sum(z @ s @ z.T for z, s in zip(zs, big))
        vi = np.linalg.inv(v)
        inner = x.T @ vi @ x
        self.beta = np.linalg.solve(inner, x.T @ vi @ y)
        rest = y - x @ self.beta
        df = n - p if reml else n
        self.scale = rest @ vi @ rest / df
        self.cov = self.scale * np.linalg.inv(inner)
        value = df * (np.log(2 * np.pi * self.scale) + 1) + np.linalg.slogdet(v)[1]
        self.llf = -0.5 * (value + (np.linalg.slogdet(inner)[1] if reml else 0.0))
        self.modes, self.mode_covs = [], []
        for z, s, one in zip(zs, big, relative):
            k = len(one)
            self.modes.append((s @ z.T @ vi @ rest).reshape(-1, k))
            cov = self.scale * (s - s @ z.T @ vi @ z @ s)
            starts = range(0, len(cov), k)
            self.mode_covs.append([cov[i : i + k, i : i + k] for i in starts])
        self.fitted = x @ self.beta
        for z, modes in zip(zs, self.modes):
            self.fitted = self.fitted + z @ modes.ravel()


# formula, grouping columns with their effect columns, blocks of effects
MODELS = {
    "slope": ("(x | g)", [("g", "1x")], [[2]]),
    "few levels first": ("(1 | h) + (x | g)", [("h", "1"), ("g", "1x")], [[1], [2]]),
    "many levels first": ("(x | g) + (1 | h)", [("g", "1x"), ("h", "1")], [[2], [1]]),
    "double bar": ("(x || g) + (1 | h)", [("g", "1x"), ("h", "1")], [[1, 1], [1]]),
    "two terms": (
        "(1 | g) + (1 | h) + (0 + x + z | g)",
        [("g", "1xz"), ("h", "1")],
        [[1, 2], [1]],
    ),
}
CASES = [
    (name, reml, weighted)
    for name in MODELS
    for reml in (True, False)
    for weighted in (False, True)
]


def arrays(name):
    data = sample()
    columns = {"1": np.ones(N), "x": data["x"], "z": data["z"]}
    zs = [
        indicator(data[group], np.column_stack([columns[c] for c in effects]))
        for group, effects in MODELS[name][1]
    ]
    return np.column_stack([np.ones(N), data["x"]]), zs


@functools.cache
def fit(name, reml=True, weighted=False):
    """A fit; the weighted ones have an offset, too."""
    more = {"weights": "w", "offset": "o"} if weighted else {}
    model = crossedmixedlm("y ~ x + " + MODELS[name][0], sample(), **more)
    return model.fit(reml=reml)


def relative_covariances(name, theta):
    """S of each factor from theta: lower triangles column by column."""
    theta, out = np.asarray(theta), []
    for blocks in MODELS[name][2]:
        lower, at = np.zeros((sum(blocks),) * 2), 0
        for size in blocks:
            columns, rows = np.triu_indices(size)
            lower[at + rows, at + columns] = theta[: len(rows)]
            theta, at = theta[len(rows) :], at + size
        out.append(lower @ lower.T)
    assert not theta.size
    return out


def dense(name, reml=True, weighted=False, theta=None):
    data = sample()
    x, zs = arrays(name)
    if theta is None:
        theta = fit(name, reml, weighted).theta
    y = data["y"] - data["o"] if weighted else data["y"]
    weights = data["w"].to_numpy() if weighted else None
    relative = relative_covariances(name, theta)
    return Dense(y.to_numpy(), x, zs, relative, weights, reml)


@functools.cache
def sleepstudy():
    return load("sleepstudy")


@functools.cache
def sleep(effects="Days", reml=True):
    formula = f"Reaction ~ Days + ({effects} | Subject)"
    return crossedmixedlm(formula, sleepstudy()).fit(reml=reml)


@functools.cache
def dyestuff2(reml=True):
    """A variance of zero."""
    data = load("dyestuff2")
    return crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit(reml=reml)


@functools.cache
def perfect_correlation():
    """A slope that goes with the intercept: rank 1 of 2; and a crossed factor."""
    rng = np.random.default_rng(3)
    g, h = np.repeat(np.arange(12), 8), np.tile(np.arange(8), 12)
    x = np.tile(np.linspace(-1.0, 1.0, 8), 12)[rng.permutation(96)]
    u = rng.standard_normal(12)
    y = 1.0 + x + u[g] * (1.0 + 0.5 * x) + rng.standard_normal(8)[h]
    y += 0.4 * rng.standard_normal(96)
    data = pd.DataFrame({"y": y, "x": x, "g": g, "h": h})
    return crossedmixedlm("y ~ x + (1 | h) + (x | g)", data).fit()


@functools.cache
def redundant():
    """The column `twice` is two times `x`; the fits with and without it."""
    data = sample().assign(twice=2.0 * sample()["x"])
    with pytest.warns(RankWarning, match="dropped: twice"):
        result = crossedmixedlm("y ~ x + twice + f + (1 | g)", data).fit()
    return data, result, crossedmixedlm("y ~ x + f + (1 | g)", data).fit()


# estimates -----------------------------------------------------------------


@pytest.mark.parametrize(("name", "reml", "weighted"), CASES)
def test_estimates_are_those_of_dense_matrices(name, reml, weighted):
    result, twin = fit(name, reml, weighted), dense(name, reml, weighted)
    assert_allclose(result.params, twin.beta, rtol=1e-9)
    assert_allclose(result.bse, np.sqrt(np.diag(twin.cov)), rtol=1e-9)
    assert_allclose(result.cov_params(), twin.cov, rtol=1e-8, atol=1e-12)
    assert_allclose(result.scale, twin.scale, rtol=1e-9)
    assert_allclose(result.llf, twin.llf, rtol=1e-11)
    data = sample()
    offset = data["o"] if weighted else 0.0
    assert_allclose(result.fittedvalues, twin.fitted + offset, rtol=1e-8)
    assert_allclose(result.resid, data["y"] - twin.fitted - offset, atol=1e-9)
    root = np.sqrt(data["w"]) if weighted else 1.0
    pearson = (data["y"] - twin.fitted - offset) * root / np.sqrt(twin.scale)
    assert_allclose(result.resid_pearson, pearson, atol=1e-9)


@pytest.mark.parametrize(("name", "reml", "weighted"), CASES)
def test_random_effects_are_those_of_dense_matrices(name, reml, weighted):
    result, twin = fit(name, reml, weighted), dense(name, reml, weighted)
    modes = result.random_effects.values()
    covs = result.random_effects_cov.values()
    for found, cov, mode, blocks in zip(modes, covs, twin.modes, twin.mode_covs):
        assert_allclose(found, mode, atol=1e-8)
        assert list(cov) == list(found.index)
        for block, expected in zip(cov.values(), blocks):
            assert_allclose(block, expected, atol=1e-8)
            assert list(block.index) == list(block.columns) == list(found.columns)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["slope", "few levels first", "double bar"])
def test_no_theta_of_a_generic_optimizer_is_better(name, reml):
    def deviance(theta):
        return -2.0 * dense(name, reml, True, theta).llf

    start = np.array(fit(name, reml, True).theta) + 0.1
    found = optimize.minimize(deviance, start, method="BFGS", options={"gtol": 1e-4})
    assert -2.0 * fit(name, reml, True).llf == pytest.approx(found.fun, abs=1e-5)
    if name == "double bar":
        assert_allclose(np.abs(found.x), fit(name, reml, True).theta, atol=1e-3)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("effects", ["1", "Days"])
def test_mixedlm(effects, reml):
    ours = sleep(effects, reml)
    model = smf.mixedlm(
        "Reaction ~ Days", sleepstudy(), groups="Subject", re_formula=effects
    )
    theirs = mixedlm_at(model, ours)
    assert abs(gain_left(model, ours)) < 1e-12
    assert_allclose(ours.llf, theirs.llf, rtol=1e-11)
    assert_allclose(ours.fe_params, theirs.fe_params, rtol=1e-8)
    assert_allclose(ours.bse_fe, theirs.bse_fe, rtol=1e-5)
    assert_allclose(ours.cov_re["Subject"], theirs.cov_re, rtol=1e-8)
    assert_allclose(ours.scale, theirs.scale, rtol=1e-8)
    assert_allclose(ours.fittedvalues, theirs.fittedvalues, rtol=1e-8)
    assert_allclose(ours.resid, theirs.resid, atol=1e-6)
    found, covariances = ours.random_effects["Subject"], ours.random_effects_cov
    assert list(found.index) == list(theirs.random_effects)
    for level, modes in theirs.random_effects.items():
        assert_allclose(found.loc[level], modes, atol=1e-6)
        cov = theirs.random_effects_cov[level]
        assert_allclose(covariances["Subject"][level], cov, rtol=1e-7, atol=1e-7)
    for name in ("fe_params", "bse_fe", "fittedvalues", "resid"):
        assert list(getattr(ours, name).index) == list(getattr(theirs, name).index)
    for name in ("nobs", "df_resid", "method"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_published_numbers():
    """Those of lme4 for the sleepstudy data."""
    result = sleep()
    assert_allclose(-2 * result.llf, 1743.6283, atol=1e-4)
    assert_allclose(result.params, [251.4051, 10.4673], atol=1e-4)
    assert_allclose(result.bse, [6.8246, 1.5458], atol=1e-4)
    assert_allclose(np.sqrt(result.vcomp), [24.7407, 5.9221], atol=5e-4)
    assert_allclose(np.sqrt(result.scale), 25.5918, atol=1e-4)


def test_one_way_layout_in_closed_form():
    data = load("dyestuff")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    groups = data.groupby("Batch", observed=True)["Yield"]
    between = 5 * groups.mean().var()
    within = groups.var().mean()
    assert_allclose(result.scale, within, rtol=1e-8)
    assert_allclose(result.vcomp.item(), (between - within) / 5, rtol=1e-7)
    assert_allclose(result.theta, np.sqrt((between / within - 1) / 5), rtol=1e-7)
    assert_allclose(result.params, data["Yield"].mean(), rtol=1e-12)
    assert_allclose(result.bse, np.sqrt(between / 30), rtol=1e-8)
    shrunken = (1 - within / between) * (groups.mean() - data["Yield"].mean())
    for level, modes in result.random_effects["Batch"].iterrows():
        assert_allclose(modes, shrunken[level], rtol=1e-7)
        variance = result.vcomp.item() * within / between
        found = result.random_effects_cov["Batch"][level]
        assert_allclose(found, variance, rtol=1e-6)


# counts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_theta"), list(zip(MODELS, [3, 4, 4, 3, 5], strict=True))
)
@pytest.mark.parametrize("reml", [True, False])
def test_counts_and_criteria(name, n_theta, reml):
    result = fit(name, reml)
    k = 2 + n_theta + 1
    assert result.n_params == result.df_modelwc == k
    assert_allclose(result.aic, -2 * result.llf + 2 * k, rtol=1e-14)
    assert_allclose(result.bic, -2 * result.llf + np.log(N) * k, rtol=1e-14)
    assert (result.nobs, result.df_resid, result.df_model) == (N, N - 2, 1)
    assert result.method == ("REML" if reml else "ML")
    assert result.reml is reml
    assert result.use_t is False


def test_df_model_without_a_constant():
    result = crossedmixedlm("y ~ 0 + x + z + (1 | g)", sample()).fit()
    assert (result.df_model, result.df_resid) == (2, N - 2)


def test_counts_of_dropped_rows():
    data = sample().copy()
    data.iloc[[3, 7], 0] = np.nan
    result = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    assert (result.nobs, result.df_resid) == (N - 2, N - 4)
    assert len(result.fittedvalues) == len(result.resid) == N - 2
    assert list(result.resid.index) == list(data.index[data["y"].notna()])


# variance components -------------------------------------------------------


THETA_LABELS = {
    "slope": ["g.Intercept", "g.x.Intercept", "g.x"],
    "few levels first": ["h.Intercept", "g.Intercept", "g.x.Intercept", "g.x"],
    "many levels first": ["g.Intercept", "g.x.Intercept", "g.x", "h.Intercept"],
    "double bar": ["g.Intercept", "g.x", "h.Intercept"],
    "two terms": ["g.Intercept", "g.x", "g.z.x", "g.z", "h.Intercept"],
}


@pytest.mark.parametrize("name", MODELS)
def test_theta(name):
    result = fit(name)
    assert list(result.theta.index) == THETA_LABELS[name]
    assert result.theta.name == "theta"
    expected = []
    for cov, blocks in zip(result.cov_re.values(), MODELS[name][2]):
        at = 0
        for size in blocks:
            block = np.asarray(cov)[at : at + size, at : at + size] / result.scale
            expected += list(np.linalg.cholesky(block).T[np.triu_indices(size)])
            at += size
    assert_allclose(result.theta, expected, rtol=1e-7)


def test_order_of_factors_changes_labels_only():
    one, other = fit("few levels first"), fit("many levels first")
    assert_allclose(one.theta[other.theta.index], other.theta, rtol=1e-6)
    assert_allclose(one.vcomp[other.vcomp.index], other.vcomp, rtol=1e-6)
    assert list(one.cov_re) == list(one.random_effects) == ["h", "g"]


def test_theta_of_singular_fits():
    assert_allclose(dyestuff2().theta, 0.0, atol=1e-12)
    result = perfect_correlation()
    theta = result.theta
    assert list(theta.index) == ["h.Intercept", "g.Intercept", "g.x.Intercept", "g.x"]
    assert theta["g.x"] == pytest.approx(0.0, abs=1e-6)
    assert (theta[["h.Intercept", "g.Intercept"]] > 0.1).all()
    assert_allclose(result.model.loglike(theta), result.llf, rtol=1e-12)
    lower = np.array([[theta.iloc[1], 0.0], [theta.iloc[2], theta.iloc[3]]])
    assert_allclose(result.cov_re["g"], result.scale * lower @ lower.T, rtol=1e-6)


def test_cov_re():
    one = sleep().cov_re["Subject"]
    assert list(one.index) == list(one.columns) == ["Intercept", "Days"]
    several = fit("two terms").cov_re
    assert list(several) == ["g", "h"]
    assert list(several["g"].index) == ["Intercept", "x", "z"]
    # independent terms of one factor
    assert_allclose(several["g"].loc["Intercept", ["x", "z"]], 0.0)
    assert several["g"].loc["x", "z"] != 0.0


@pytest.mark.parametrize("name", MODELS)
def test_vcomp_and_table_of_variances(name):
    result = fit(name)
    covs = result.cov_re.values()
    factors = [group for group, _ in MODELS[name][1]]
    index = [(f, e) for f, cov in zip(factors, covs) for e in cov.index]
    assert list(result.vcomp.index) == index
    assert list(result.vcomp.index.names) == ["group", "effect"]
    assert_allclose(result.vcomp, np.concatenate([np.diag(c) for c in covs]))
    table = result.variance_components()
    assert list(table) == ["group", "effect1", "effect2", "variance", "sd"]
    assert tuple(table.iloc[-1, :3]) == ("Residual", "", "")
    assert_allclose(table.iloc[-1, 3:].astype(float), [result.scale, result.scale**0.5])
    variances = table[table["effect2"] == ""]
    assert_allclose(variances["sd"], np.sqrt(variances["variance"]))
    covariances = table[table["effect2"] != ""]
    assert len(covariances) == sum(
        size * (size - 1) // 2 for blocks in MODELS[name][2] for size in blocks
    )
    for row in covariances.itertuples():
        cov = result.cov_re[row.group]
        sd = np.sqrt(np.diag(cov))
        correlations = pd.DataFrame(cov / np.outer(sd, sd), cov.index, cov.index)
        assert_allclose(row.variance, cov.loc[row.effect1, row.effect2])
        assert_allclose(row.sd, correlations.loc[row.effect1, row.effect2])


def test_table_of_variances_as_in_lme4():
    table = sleep().variance_components()
    assert table["group"].tolist() == ["Subject"] * 3 + ["Residual"]
    assert table["effect1"].tolist() == ["Intercept", "Days", "Intercept", ""]
    assert table["effect2"].tolist() == ["", "", "Days", ""]
    assert_allclose(table["variance"], [612.1, 35.07, 9.604, 654.94], rtol=2e-4)
    assert_allclose(table["sd"], [24.741, 5.922, 0.0656, 25.592], rtol=1e-3)


def stopped_at(theta):
    """A fit that may not leave its start."""
    model = crossedmixedlm("y ~ 1 + (x | g)", sample())
    with pytest.warns(ConvergenceWarning):
        return model.fit(start_params=theta, maxiter=1)


def test_correlation_of_effects_without_variance():
    result = stopped_at([0.0, 0.0, 0.0])
    table = result.variance_components()
    assert table["effect2"].tolist() == ["", "", "x", ""]
    assert table["variance"].tolist() == [0.0, 0.0, 0.0, result.scale]
    assert np.isnan(table["sd"][2])
    assert "nan" in result.summary().as_text()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_no_variance_is_negative_by_rounding():
    result = stopped_at([0.0, 0.0, 0.5])
    table = result.variance_components()
    assert table["variance"][0] == pytest.approx(0.0, abs=1e-12)
    assert (table["variance"][[0, 1, 3]] >= 0.0).all()
    assert table["variance"][1] == pytest.approx(0.25 * result.scale, rel=1e-8)
    assert np.isfinite(result.theta).all()
    assert np.isfinite(table["sd"][[0, 1]]).all()


# random effects ------------------------------------------------------------


def test_shape_of_random_effects():
    one = fit("slope").random_effects
    assert list(one) == ["g"]
    assert list(one["g"].index) == [f"g{i}" for i in range(9)]
    assert list(one["g"].columns) == ["Intercept", "x"]
    several = fit("many levels first").random_effects
    assert list(several) == ["g", "h"]
    assert list(several["g"].index) == [f"g{i}" for i in range(9)]
    assert list(several["g"].columns) == ["Intercept", "x"]
    assert list(several["h"].index) == [0, 1, 2, 3, 4]
    assert list(several["h"].columns) == ["Intercept"]


def test_random_effects_table():
    result, twin = fit("few levels first"), dense("few levels first")
    table = result.random_effects_table()
    assert list(table) == ["group", "effect", "level", "mode", "sd"]
    assert table["group"].tolist() == ["h"] * 5 + ["g"] * 18
    assert table["effect"].tolist() == ["Intercept"] * 14 + ["x"] * 9
    names = [f"g{i}" for i in range(9)]
    assert table["level"].tolist() == [0, 1, 2, 3, 4, *names, *names]
    modes = np.concatenate([m.T.ravel() for m in twin.modes])
    assert_allclose(table["mode"], modes, atol=1e-8)
    sds = [np.sqrt([np.diag(c) for c in blocks]) for blocks in twin.mode_covs]
    assert_allclose(table["sd"], np.concatenate([s.T.ravel() for s in sds]), atol=1e-8)
    assert list(table.index) == list(range(23))


def test_random_effects_of_singular_fits():
    result = dyestuff2()
    (factor,) = result.random_effects
    assert (result.random_effects[factor] == 0.0).all(axis=None)
    for cov in result.random_effects_cov[factor].values():
        assert cov.to_numpy().item() == 0.0
    table = perfect_correlation().random_effects["g"]
    assert_allclose(np.corrcoef(table.T)[0, 1], 1.0, atol=1e-8)


def counted(monkeypatch, kind):
    """How many of a kind of pandas' objects are made from now on."""
    made = []
    start = kind.__init__

    def init(self, *args, **kwargs):
        made.append(1)
        start(self, *args, **kwargs)

    monkeypatch.setattr(kind, "__init__", init)
    return made


def test_covariances_of_a_level_are_made_when_asked_for(monkeypatch):
    result = crossedmixedlm("y ~ x + (x | g)", sample()).fit()
    frames = counted(monkeypatch, pd.DataFrame)
    covariances = result.random_effects_cov["g"]
    assert len(frames) == 0
    assert covariances["g3"] is result.random_effects_cov["g"]["g3"]
    assert len(frames) == 1


def test_random_effects_of_several_factors_are_made_once():
    result = crossedmixedlm("y ~ x + (x | g) + (1 | h)", sample()).fit()
    assert result.random_effects is result.random_effects
    assert result.random_effects_cov["g"]["g3"] is result.random_effects_cov["g"]["g3"]


def test_changed_random_effects_change_no_results():
    result = crossedmixedlm("y ~ x + (x | g)", sample()).fit()
    both = crossedmixedlm("y ~ x + (x | g) + (1 | h)", sample()).fit()
    expected = [r.random_effects_table() for r in (result, both)]
    fitted = result.fittedvalues
    result.random_effects["g"].loc[:, :] = 9.0
    result.random_effects_cov["g"]["g3"].loc[:, :] = 9.0
    both.random_effects["g"].loc[:, :] = 9.0
    both.random_effects_cov["h"][1].loc[:, :] = 9.0
    for each, table in zip((result, both), expected):
        pd.testing.assert_frame_equal(each.random_effects_table(), table)
    assert_allclose(result.fittedvalues, fitted)


def test_random_effects_are_not_pickled():
    result = crossedmixedlm("y ~ x + (x | g)", sample()).fit()
    before = len(pickle.dumps(result))
    expected = copy.deepcopy(result.random_effects["g"])
    covariances = dict(result.random_effects_cov["g"])
    text = pickle.dumps(result)
    assert len(text) == before
    for other in (pickle.loads(text), copy.deepcopy(result)):
        pd.testing.assert_frame_equal(other.random_effects["g"], expected)
        assert other.random_effects_cov["g"] == covariances
    result.remove_data()
    again = pickle.loads(pickle.dumps(result))
    for other in (result, again, result.with_df_method("residual")):
        pd.testing.assert_frame_equal(other.random_effects["g"], expected)


# singular fits -------------------------------------------------------------


def test_regular_fits():
    for name in MODELS:
        result = fit(name)
        assert result.is_singular is False
        assert not result.singular.any()
        table = result.boundary_table()
        assert (table["rank"] == table["n_effects"]).all()
        assert_allclose(table["dual"], 0.0, atol=1e-6)


def test_zero_variance():
    for reml in (True, False):
        result = dyestuff2(reml)
        assert result.converged is True
        assert result.is_singular is True
        assert result.singular.to_dict() == {"Batch: Intercept": True}
        row = result.boundary_table().iloc[0]
        assert row["group"] == "Batch"
        assert row["effects"] == "Intercept"
        assert (row["n_effects"], row["rank"], row["singular"]) == (1, 0, True)
        assert row["dual"] > 0.01
        data = load("dyestuff2")
        ols = smf.ols("Yield ~ 1", data).fit()
        assert_allclose(result.params, ols.params, rtol=1e-12)
        assert_allclose(result.scale, ols.ssr / (29 if reml else 30), rtol=1e-12)
        assert_allclose(result.bse, np.sqrt(result.scale / 30), rtol=1e-12)
    assert_allclose(result.llf, ols.llf, rtol=1e-12)


def test_perfect_correlation():
    result = perfect_correlation()
    assert result.converged
    assert result.is_singular
    assert result.singular.tolist() == [False, True]
    assert list(result.singular.index) == ["h: Intercept", "g: Intercept, x"]
    table = result.boundary_table()
    assert table["rank"].tolist() == [1, 1]
    assert table["n_effects"].tolist() == [1, 2]
    assert (table["dual"] > -1e-5).all()
    pca = result.re_pca().set_index(["group", "component"])
    assert_allclose(pca.loc[("g", 2), ["sd", "share"]], 0.0, atol=1e-5)
    assert_allclose(pca.loc[("g", 1), ["share", "cumulative"]], 1.0)
    assert_allclose(result.variance_components()["sd"].iloc[3], 1.0, atol=1e-8)


def test_re_pca():
    result = fit("two terms")
    table = result.re_pca()
    assert list(table) == ["group", "component", "sd", "share", "cumulative"]
    assert table["group"].tolist() == ["g"] * 3 + ["h"]
    assert table["component"].tolist() == [1, 2, 3, 1]
    values = np.linalg.eigvalsh(result.cov_re["g"] / result.scale)[::-1]
    assert_allclose(table["sd"][:3], np.sqrt(values), rtol=1e-7)
    assert_allclose(table["share"][:3], values / values.sum(), rtol=1e-7)
    assert_allclose(table["cumulative"][:3], values.cumsum() / values.sum())
    assert_allclose(table["sd"][3], result.theta["h.Intercept"], rtol=1e-7)


# the search ----------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_optimum(name):
    result = fit(name)
    optimum = result.optimum
    assert optimum.certified is result.converged is True
    assert_allclose(optimum.theta, result.theta)
    assert 1 <= optimum.evaluations < 30
    assert abs(optimum.gradient_norm) < 1e-4
    assert 0.0 <= optimum.promised < 1e-10
    assert len(optimum.duals) == len(optimum.dual_eigenvalues) == len(MODELS[name][1])
    sizes = [sum(blocks) for blocks in MODELS[name][2]]
    assert [len(d) for d in optimum.duals] == sizes
    counts = [len(blocks) for blocks in MODELS[name][2]]
    assert [len(d) for d in optimum.dual_eigenvalues] == counts
    criteria = [step[0] for step in optimum.trace]
    assert criteria == sorted(criteria, reverse=True)
    assert result.mle_retvals["converged"] is True
    assert result.mle_retvals["iterations"] == optimum.evaluations
    assert_allclose(result.mle_retvals["fopt"], -2 * result.llf)
    assert "optimizer" in result.mle_settings


def quiet_fits():
    data = sample()
    frame = data.assign(y=data["z"])
    return {
        "regular": lambda: crossedmixedlm("y ~ x + (x | g) + (1 | h)", data).fit(),
        "ML": lambda: crossedmixedlm("y ~ x + (x | g)", data).fit(reml=False),
        "zero": lambda: crossedmixedlm("y ~ x + (x | g) + (1 | h)", frame).fit(),
        "zero ML": lambda: crossedmixedlm("y ~ x + (1 | g)", frame).fit(reml=False),
        "weights": lambda: crossedmixedlm("y ~ x + (1 | g)", data, weights="w").fit(),
    }


@pytest.mark.parametrize("case", quiet_fits())
def test_certified_fits_say_nothing(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = quiet_fits()[case]()
        result.summary()
        result.summary2()
    assert result.converged
    if case.startswith("zero"):
        assert result.is_singular


@pytest.mark.parametrize("maxiter", [1, 2])
def test_one_warning_in_plain_words_where_maxiter_is_too_small(maxiter):
    model = crossedmixedlm("y ~ x + (x | g) + (1 | h)", sample())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = model.fit(maxiter=maxiter)
    assert [w.category for w in caught] == [ConvergenceWarning]
    text = str(caught[0].message)
    assert "the fit stopped before the best variances were found" in text
    assert "Raise maxiter" in text
    assert caught[0].filename == __file__
    assert result.converged is False
    assert result.mle_retvals["converged"] is False
    assert result.optimum.evaluations <= maxiter
    assert "Local optimum NOT proved" in result.summary().as_text()
    assert result.llf < fit("many levels first").llf
    with pytest.warns(ConvergenceWarning, match='maxiter, fit with engine="exact" if'):
        model.fit(maxiter=maxiter, engine="krylov")


def test_start_params():
    result = fit("few levels first")
    model = result.model
    again = model.fit(start_params=result.theta)
    assert again.optimum.evaluations < result.optimum.evaluations
    assert_allclose(again.theta, result.theta, rtol=1e-6)
    # where one evaluation is allowed, it is at the start
    start = [0.3, 0.7, -0.2, 0.5]
    with pytest.warns(ConvergenceWarning):
        first = model.fit(start_params=start, maxiter=1)
    assert_allclose(first.theta, start, rtol=1e-10)
    assert_allclose(first.llf, dense("few levels first", theta=start).llf, rtol=1e-11)


@pytest.mark.parametrize("start", [0.0, 1e-8, 1.0, 30.0])
def test_every_start_leads_to_the_optimum(start):
    result = fit("few levels first")
    theta = start * np.array([1.0, 1.0, 0.0, 1.0])
    again = result.model.fit(start_params=theta)
    assert again.converged
    assert_allclose(again.llf, result.llf, atol=1e-7)


# the likelihood as a function ----------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_derivatives(name, reml):
    result = fit(name, True, True)
    model, theta = result.model, np.array(result.theta)
    theta = theta * np.linspace(0.7, 1.4, len(theta)) + 0.05
    twin = dense(name, reml, True, theta)
    assert_allclose(model.loglike(theta, reml=reml), twin.llf, rtol=1e-11)
    step = 1e-5 * np.eye(len(theta))
    score = [
        (
            dense(name, reml, True, theta + h).llf
            - dense(name, reml, True, theta - h).llf
        )
        / 2e-5
        for h in step
    ]
    assert_allclose(model.score(theta, reml=reml), score, atol=1e-5)
    hessian = [
        (model.score(theta + h, reml=reml) - model.score(theta - h, reml=reml)) / 2e-5
        for h in step
    ]
    found = model.hessian(theta, reml=reml)
    assert_allclose(found, hessian, rtol=1e-5, atol=1e-5)
    assert_allclose(found, found.T, atol=1e-10)
    assert_allclose(model.information(theta, reml=reml), -found)


@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_at_the_estimates(reml):
    result = fit("many levels first", reml)
    model, theta = result.model, result.theta
    assert_allclose(model.loglike(theta, reml=reml), result.llf, rtol=1e-12)
    assert_allclose(model.score(theta, reml=reml), 0.0, atol=1e-5)
    assert (np.linalg.eigvalsh(model.information(theta, reml=reml)) > 0).all()


# weights, offset, redundant columns ----------------------------------------


def test_equal_weights_and_offsets_in_all_forms():
    data = sample()
    named = fit("slope", True, True)
    given = crossedmixedlm(
        "y ~ x + (x | g)", data, weights=data["w"], offset=list(data["o"])
    ).fit()
    inside = crossedmixedlm("y ~ x + (x | g) + offset(o)", data, weights="w").fit()
    for result in (given, inside):
        assert_allclose(result.params, named.params, rtol=1e-10)
        assert_allclose(result.llf, named.llf, rtol=1e-12)
        assert_allclose(result.fittedvalues, named.fittedvalues, rtol=1e-10)


def test_offsets_add_up():
    data = sample()
    both = crossedmixedlm("y ~ x + (1 | g) + offset(o)", data, offset="z").fit()
    moved = data.assign(y=data["y"] - data["o"] - data["z"])
    plain = crossedmixedlm("y ~ x + (1 | g)", moved).fit()
    assert_allclose(both.params, plain.params, rtol=1e-9)
    assert_allclose(both.resid, plain.resid, atol=1e-10)
    assert_allclose(both.fittedvalues - plain.fittedvalues, data["o"] + data["z"])


def test_redundant_columns_are_nan():
    data, result, plain = redundant()
    assert result.dropped == ["twice"]
    assert list(result.params.index[np.isnan(result.params)]) == ["twice"]
    assert np.isnan(result.bse["twice"])
    kept = list(plain.params.index)
    assert_allclose(result.params[kept], plain.params, rtol=1e-10)
    assert_allclose(result.bse[kept], plain.bse, rtol=1e-10)
    assert_allclose(result.cov_params().loc[kept, kept], plain.cov_params())
    assert_allclose(result.llf, plain.llf, rtol=1e-12)
    assert_allclose(result.fittedvalues, plain.fittedvalues, rtol=1e-10)
    for name in ("n_params", "aic", "bic", "df_resid", "df_model"):
        assert_allclose(getattr(result, name), getattr(plain, name), rtol=1e-12)
    interval = result.conf_int()
    assert_allclose(interval.loc[kept], plain.conf_int(), rtol=1e-9)
    assert interval.loc["twice"].isna().all()
    assert result.pvalues.isna().to_list() == result.params.isna().to_list()
    assert_allclose(result.predict(data), plain.predict(data), rtol=1e-10)
    found = result.get_prediction(data).summary_frame()
    assert_allclose(found, plain.get_prediction(data).summary_frame(), rtol=1e-9)


def test_tests_beside_redundant_columns():
    _, result, plain = redundant()
    for hypothesis in ("x = 0.2", "f[T.b] = f[T.c]"):
        found, expected = result.t_test(hypothesis), plain.t_test(hypothesis)
        assert_allclose(found.effect, expected.effect, rtol=1e-9)
        assert_allclose(found.sd, expected.sd, rtol=1e-9)
        assert_allclose(found.pvalue, expected.pvalue, rtol=1e-8)
        found = result.wald_test(hypothesis, scalar=True)
        expected = plain.wald_test(hypothesis, scalar=True)
        assert_allclose(found.statistic, expected.statistic, rtol=1e-9)
        assert_allclose(found.pvalue, expected.pvalue, rtol=1e-8)
    terms = result.wald_test_terms(scalar=True).table
    expected = plain.wald_test_terms(scalar=True).table
    assert list(terms.index) == ["Intercept", "f", "x", "twice"]
    assert_allclose(
        terms.loc[expected.index].astype(float), expected.astype(float), rtol=1e-8
    )
    assert np.isnan(terms.loc["twice", ["statistic", "pvalue"]].astype(float)).all()
    assert terms.loc["twice", "df_constraint"] == 0
    pairs = result.t_test_pairwise("f").result_frame.iloc[:, :4]
    assert_allclose(pairs, plain.t_test_pairwise("f").result_frame.iloc[:, :4])


def test_test_of_a_redundant_column_is_nan():
    """What cannot be estimated has no p-value, and not one of 1."""
    _, result, _ = redundant()
    found = result.t_test("twice = 0")
    assert np.isnan(found.pvalue)
    assert np.isnan(found.sd)
    table = result.t_test(np.eye(5)).summary_frame()
    assert_allclose(table["coef"], result.params)
    assert_allclose(table["std err"], result.bse)


@pytest.mark.parametrize(
    ("hypothesis", "left"),
    [
        ("x = 0, twice = 0", "x = 0"),
        ("x + twice = 0, f[T.b] = 0.5", "f[T.b] = 0.5"),
        ((np.eye(5)[[1, 3, 4]], [0.1, 0.2, 0.3]), "f[T.b] = 0.1, x = 0.2"),
    ],
)
def test_wald_test_of_what_can_be_estimated(hypothesis, left):
    _, result, plain = redundant()
    assert list(result.params.index).index("twice") == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = result.wald_test(hypothesis, scalar=True)
        by_f = result.f_test(hypothesis)
    expected = plain.wald_test(left, scalar=True)
    assert_allclose(found.statistic, expected.statistic, rtol=1e-9)
    assert_allclose(found.pvalue, expected.pvalue, rtol=1e-8)
    assert_allclose(by_f.pvalue, plain.f_test(left).pvalue, rtol=1e-8)


def test_nothing_left_to_test():
    _, result, _ = redundant()
    for hypothesis in ("twice = 0", "x + twice = 0"):
        assert np.isnan(result.wald_test(hypothesis, scalar=True).pvalue)
        found = result.t_test(hypothesis)
        assert np.isnan(found.conf_int()).all()
        assert "nan" in str(found.summary())
    found = result.t_test("x = 0, twice = 0").summary_frame()
    assert found["P>|z|"].isna().tolist() == [False, True]


# tables --------------------------------------------------------------------


def lines(result):
    return result.summary().as_text().splitlines()


@pytest.mark.parametrize("name", MODELS)
def test_summary_has_80_columns(name):
    for line in lines(fit(name)):
        assert len(line) <= 80
    for line in str(fit(name).summary2()).splitlines():
        assert len(line) <= 80


def test_80_columns_for_words_of_a_boundary():
    data = sample().assign(y=sample()["z"])
    data = data.rename(columns={"x": "temperature", "g": "laboratory"})
    result = crossedmixedlm("y ~ temperature + (temperature | laboratory)", data).fit()
    assert result.is_singular
    for line in lines(result):
        assert len(line) <= 80


@pytest.mark.parametrize("kind", ["summary", "summary2"])
def test_numbers_in_summaries(kind):
    text = str(getattr(sleep(), kind)())
    for number in (
        *("251.4051", "10.4673", "612.0899", "35.0717", "654.9410", "24.7405"),
        *("25.5918", "-871.8141", "1755.6283", "180", "Subject (18)", "0.07", "REML"),
        *("Reaction", "CrossedMixedLM", "Intercept", "Days", "Residual", "P>|z|"),
    ):
        assert number in text
    assert "Local optimum proved; 1 start; " in text
    assert "On the boundary" not in text
    assert "dropped" not in text
    assert "Fewer than 5" not in text


def test_summary_of_ml():
    text = sleep(reml=False).summary().as_text()
    assert "Deviance:" in text
    assert "REML" not in text
    assert "1751.9393" in text
    assert "REML criterion:" in sleep().summary().as_text()
    assert "1743.6283" in sleep().summary().as_text()


def test_rows_of_the_table_of_variances():
    text = fit("two terms").summary().as_text()
    start = text.index("Random effects")
    table = text[start : text.index("Fixed effects")].splitlines()
    rows = [line.split() for line in table if line[:1] not in "=- " or "." in line]
    body = [row for row in rows if row and row[-1][-1].isdigit()]
    assert body[0][:3] == ["g", "(9)", "Intercept"]
    assert [row[0] for row in body[1:]] == ["x", "z", "h", "Residual"]
    cov = fit("two terms").cov_re["g"]
    correlation = cov.loc["x", "z"] / np.sqrt(cov.loc["x", "x"] * cov.loc["z", "z"])
    assert body[2][-1] == f"{correlation:.2f}"
    assert "h (5)" in text


def test_boundary_in_words():
    text = " ".join(lines(dyestuff2()))
    assert "the variance is estimated as 0 for Intercept by Batch." in text
    assert "Local optimum proved; 1 start; " in text
    assert "the variance is estimated as 0" in " ".join(
        str(dyestuff2().summary2()).split()
    )
    text = " ".join(" ".join(lines(perfect_correlation())).split())
    assert "the covariance matrix of Intercept, x by g has rank 1 of 2" in text
    assert text.count("On the boundary") == 1


def test_notes_of_the_summary():
    data = sample().copy()
    data.loc[data.index[:3], "y"] = np.nan
    data["k"] = np.arange(N) % 3
    result = crossedmixedlm("y ~ x + (1 | g) + (1 | k)", data).fit()
    text = result.summary().as_text()
    assert "3 incomplete rows were dropped." in text
    assert "Fewer than 5 levels, so the variance is poorly known: k" in text
    data = sample().copy()
    data.loc[data.index[0], "x"] = np.nan
    one = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    assert "1 incomplete row was dropped." in one.summary().as_text()
    _, result, _ = redundant()
    for text in (result.summary().as_text(), str(result.summary2())):
        assert "Redundant columns dropped: twice." in text


def test_arguments_of_summaries():
    for kind in ("summary", "summary2"):
        table = getattr(sleep(), kind)(
            yname="time", xname=["start", "per day"], title="Sleep", alpha=0.1
        )
        text = str(table)
        assert text.lstrip().startswith("Sleep")
        for word in ("time", "start", "per day", "0.95]"):
            assert word in text
        assert "Reaction" not in text
    low = sleep().params["Days"] - stats.norm.ppf(0.95) * sleep().bse["Days"]
    assert f"{low:.3f}" in str(sleep().summary(alpha=0.1))
    assert f"{low:.4f}" in str(sleep().summary2(alpha=0.1))


def test_tables_of_summary2():
    tables = sleep().summary2().tables
    assert list(tables[1].index) == ["Intercept", "Days"]
    assert list(tables[1])[:4] == ["Coef.", "Std.Err.", "z", "P>|z|"]
    assert list(tables[2].index) == ["Subject (18)", "", "Residual"]
    assert list(tables[2]["Variance"]) == ["612.0899", "35.0717", "654.9410"]


@pytest.mark.parametrize("get", [sleep, dyestuff2, perfect_correlation])
def test_other_formats(get):
    result = get()
    html = result.summary().as_html()
    assert html.count("<table") == 3
    assert result._repr_html_() == html
    assert result._results._repr_html_() == html
    assert f"{result.scale:.4f}" in html
    assert "Random effects" in html
    latex = result.summary().as_latex()
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 3
    assert f"{result.scale:.4f}" in latex
    assert "Residual" in result.summary().as_csv()
    assert "<table" in result.summary2().as_html()
    assert "tabular" in result.summary2().as_latex()


def test_very_small_and_large_variances():
    for factor in (1e-6, 1e6):
        data = sample().assign(y=factor * sample()["y"])
        result = crossedmixedlm("y ~ x + (1 | g)", data).fit()
        text = result.summary().as_text()
        assert f"{result.scale:.4g}" in text
        assert all(len(line) <= 80 for line in text.splitlines())


def test_labels_of_array_models():
    data = sample()
    x = sm.add_constant(data["x"].to_numpy())
    effects = {"g": (data["g"].to_numpy(), x), "h": data["h"].to_numpy()}
    result = CrossedMixedLM(data["y"].to_numpy(), x, random=effects).fit()
    expected = fit("many levels first")
    assert isinstance(result.params, np.ndarray)
    assert isinstance(result.fittedvalues, np.ndarray)
    assert_allclose(result.params, expected.params, rtol=1e-7)
    assert_allclose(result.theta, expected.theta, rtol=1e-6)
    assert list(result.theta.index) == ["g.z1", "g.z2.z1", "g.z2", "h.Intercept"]
    assert "const" in result.summary().as_text()


def test_coefficients_by_level_as_lme4():
    data = load("sleepstudy")
    both = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    slopes = crossedmixedlm("Reaction ~ 1 + (0 + Days | Subject)", data).fit()
    # coef(m)$Subject, lme4 1.1.31
    expected = [[253.663655798, 19.66626172516], [211.006366770, 1.84760534435]]
    found = both.coef_by_level()["Subject"]
    assert_allclose(found[["Intercept", "Days"]].head(2), expected, rtol=1e-4)
    assert list(found.index.astype(str)[:2]) == ["308", "309"]
    expected = [[254.418268778, 19.75923414150], [254.418268778, -5.42509795952]]
    found = slopes.coef_by_level()["Subject"]
    assert list(found) == ["Intercept", "Days"]
    assert_allclose(found.head(2), expected, rtol=1e-5)


def test_coefficients_by_level_of_a_model_from_arrays():
    data = load("sleepstudy")
    x = sm.add_constant(data["Days"].to_numpy())
    groups = {"Subject": data["Subject"].to_numpy()}
    arrays = CrossedMixedLM(data["Reaction"].to_numpy(), x, groups).fit()
    named = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    found = arrays.coef_by_level()["Subject"]
    assert list(found) == ["const", "x1"]
    assert_allclose(found, named.coef_by_level()["Subject"], rtol=1e-6)
