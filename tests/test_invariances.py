"""
What must not change, or change in a known way, when the data are changed.

Every property holds for any data; Hypothesis draws the data. A search ends with a
Newton step that promises less than 1e-10 of the criterion, which leaves errors of
some 1e-8 in theta when the criterion is well curved (SAME), and where it is almost
flat 1e-5 (FLAT); the criterion itself is good to its rounding (CRITERION).
"""

import copy
import io
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels_twin import gain_left, mixedlm_at

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm

pytestmark = pytest.mark.slow

SAME = 1e-6
CRITERION = 1e-8

seeds = st.integers(0, 10**6)
some = settings(max_examples=3)
few = settings(max_examples=2)

CROSSED = "y ~ x + (1 | a) + (1 | b)"
NESTED = "y ~ x + (1 | a / c)"
SLOPES = "y ~ x + (x | a) + (1 | b)"
FORMULAS = [CROSSED, NESTED, SLOPES]


def simulate(seed, n=120, a=8, b=6, sd=(1.0, 0.8, 0.6)):
    """Crossed a and b, c within a, covariate x; effects of all sizes."""
    rng = np.random.default_rng(seed)
    levels_a = np.concatenate([np.arange(a), rng.integers(a, size=n - a)])
    levels_b = rng.permutation(np.arange(n) % b)
    levels_c = rng.integers(3, size=n)
    x = rng.standard_normal(n)
    y = 2.0 + 0.7 * x + rng.standard_normal(n)
    y += sd[0] * rng.standard_normal(a)[levels_a]
    y += sd[1] * rng.standard_normal(b)[levels_b]
    y += sd[1] * rng.standard_normal((a, 3))[levels_a, levels_c]
    y += sd[2] * rng.standard_normal(a)[levels_a] * x
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "a": [f"a{i}" for i in levels_a],
            "b": [f"b{i}" for i in levels_b],
            "c": [f"c{i}" for i in levels_c],
        }
    )


def balanced(seed, groups=7, rows=6, sd=1.0):
    """One-way layout, x the same in every group."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = np.tile(np.linspace(-1.0, 1.0, rows), groups)
    y = 1.0 + x + sd * rng.standard_normal(groups)[g] + rng.standard_normal(len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g})


def fit(formula, data, **options):
    reml = options.pop("reml", True)
    return crossedmixedlm(formula, data, **options).fit(reml=reml)


def criterion(result):
    return -2.0 * result.llf


def covariances(result):
    """Covariance matrix of each factor, by name."""
    return {name: frame.to_numpy() for name, frame in result.cov_re.items()}


def modes(result):
    """Conditional modes, a Series by group, effect and level."""
    table = result.random_effects_table()
    return table.set_index(["group", "effect", "level"])["mode"].sort_index()


def dense_log_v(result, frame):
    """Log |I + Z S Z'| of a fit with weights w, from n x n matrices."""
    v = np.eye(len(frame))
    root = np.sqrt(frame["w"].to_numpy())
    for effects, covariance in zip(result.model.random, result._covariances()):
        grouped = effects.grouped
        z = grouped.effects * root[:, None]
        same = grouped.codes[:, None] == grouped.codes
        v += same * (z @ covariance @ z.T) / result.scale
    return np.linalg.slogdet(v)[1]


def assert_same(first, second, tolerance=SAME, scale=1.0, shift=0.0):
    """
    The same fit, the second in units of the response `scale` times larger.

    `shift` is what is added to the second criterion on top of that.
    """
    assert first.converged
    assert second.converged
    freedom = first.df_resid if first.reml else first.nobs
    expected = criterion(first) + 2.0 * freedom * np.log(scale) + shift
    assert criterion(second) == pytest.approx(expected, rel=1e-9, abs=CRITERION)
    np.testing.assert_allclose(
        second.theta, first.theta, rtol=tolerance, atol=tolerance
    )
    size = np.sqrt(first.scale)
    assert np.sqrt(second.scale) == pytest.approx(size * scale, rel=tolerance)
    np.testing.assert_allclose(
        second.params / scale, first.params, rtol=tolerance, atol=tolerance * size
    )
    np.testing.assert_allclose(second.bse / scale, first.bse, rtol=tolerance)


# data ----------------------------------------------------------------------


@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds)
def test_order_of_rows(formula, seed):
    data = simulate(seed)
    mixed = data.sample(frac=1.0, random_state=seed)
    first, second = fit(formula, data), fit(formula, mixed)
    assert_same(first, second)
    pd.testing.assert_series_equal(modes(first), modes(second), atol=SAME, rtol=SAME)
    fitted = pd.Series(np.asarray(second.fittedvalues), index=mixed.index).sort_index()
    np.testing.assert_allclose(fitted, np.asarray(first.fittedvalues), atol=SAME)


@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds)
def test_names_of_levels(formula, seed):
    data = simulate(seed)
    rng = np.random.default_rng(seed)
    renamed = data.copy()
    names = {}
    for factor in "abc":
        old = np.unique(data[factor])
        new = rng.permutation(len(old)) * 7 - 3  # numbers in another order
        names[factor] = dict(zip(old, new.tolist()))
        renamed[factor] = data[factor].map(names[factor])
    first, second = fit(formula, data), fit(formula, renamed)
    assert_same(first, second)
    if formula == CROSSED:
        one = first.random_effects["a"]["Intercept"].rename(names["a"]).sort_index()
        other = second.random_effects["a"]["Intercept"].sort_index()
        np.testing.assert_allclose(other, one, atol=SAME)


@some
@given(seed=seeds)
def test_types_of_levels(seed):
    data = simulate(seed)
    first = fit(CROSSED, data)
    categories = pd.Categorical(data["a"], categories=sorted(set(data["a"])) + ["no"])
    assert_same(first, fit(CROSSED, data.assign(a=categories)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CROSSED, "y ~ x + (1 | b) + (1 | a)"),
        (CROSSED, "y ~ (1 | b) + x + (1 | a)"),
        (NESTED, "y ~ x + (1 | a:c) + (1 | a)"),
        (SLOPES, "y ~ x + (1 | b) + (x | a)"),
        ("y ~ x + (1 | a) + (1 | b) + (1 | c)", "y ~ x + (1 | c) + (1 | b) + (1 | a)"),
    ],
)
@some
@given(seed=seeds)
def test_order_of_terms(one, other, seed):
    data = simulate(seed)
    first, second = fit(one, data), fit(other, data)
    assert criterion(second) == pytest.approx(criterion(first), abs=CRITERION)
    np.testing.assert_allclose(second.params, first.params, rtol=SAME, atol=SAME)
    mine, theirs = covariances(first), covariances(second)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(theirs[name], mine[name], rtol=SAME, atol=SAME)


@some
@given(seed=seeds)
def test_order_of_effects(seed):
    """(0 + x + z | a) and (0 + z + x | a): the same covariances, permuted."""
    data = simulate(seed, n=150)
    data["z"] = np.random.default_rng(seed + 1).standard_normal(len(data))
    first = fit("y ~ x + (0 + x + z | a)", data).cov_re["a"]
    second = fit("y ~ x + (0 + z + x | a)", data).cov_re["a"]
    second = second.loc[first.index, first.columns]
    np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-5)


# response ------------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e12])
@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds)
def test_scale_of_response(formula, scale, reml, seed):
    data = simulate(seed)
    first = fit(formula, data, reml=reml)
    second = fit(formula, data.assign(y=data["y"] * scale), reml=reml)
    assert_same(first, second, scale=scale)


@pytest.mark.parametrize("shift", [-1e3, 1e6, 1e9])
@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds)
def test_shift_of_response(formula, shift, seed):
    """Only the intercept moves; adding 1e9 rounds the response to 1e-7."""
    data = simulate(seed)
    first, second = fit(formula, data), fit(formula, data.assign(y=data["y"] + shift))
    rounding = max(SAME, 1e-15 * abs(shift))
    np.testing.assert_allclose(second.theta, first.theta, atol=10 * rounding)
    assert second.scale == pytest.approx(first.scale, rel=10 * rounding)
    assert second.params["x"] == pytest.approx(first.params["x"], abs=rounding)
    moved = second.params["Intercept"] - shift
    assert moved == pytest.approx(first.params["Intercept"], abs=10 * rounding)
    assert criterion(second) == pytest.approx(criterion(first), abs=100 * rounding)
    np.testing.assert_allclose(modes(second), modes(first), atol=10 * rounding)


@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds, move=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
def test_adding_fixed_effects(formula, seed, move):
    data = simulate(seed)
    first = fit(formula, data)
    second = fit(formula, data.assign(y=data["y"] + move[0] + move[1] * data["x"]))
    np.testing.assert_allclose(second.theta, first.theta, atol=SAME)
    moved = np.asarray(second.params) - move
    np.testing.assert_allclose(moved, first.params, atol=SAME)
    np.testing.assert_allclose(second.bse, first.bse, rtol=SAME)
    assert criterion(second) == pytest.approx(criterion(first), abs=CRITERION)


# covariates ----------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("scale", [1e-12, 1e-2, 1e12])
@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds)
def test_scale_of_covariate(formula, scale, reml, seed):
    """Coefficients of x shrink; only log |X'V^-1 X| of REML notices."""
    data = simulate(seed)
    first = fit(formula, data, reml=reml)
    second = fit(formula, data.assign(x=data["x"] * scale), reml=reml)
    assert second.converged
    shift = 2.0 * np.log(scale) if reml else 0.0
    assert criterion(second) == pytest.approx(criterion(first) + shift, abs=CRITERION)
    units = np.array([1.0, scale])
    np.testing.assert_allclose(second.params * units, first.params, atol=SAME)
    np.testing.assert_allclose(second.bse * units, first.bse, rtol=SAME)
    assert second.scale == pytest.approx(first.scale, rel=SAME)
    for name, covariance in covariances(first).items():
        change = np.outer(units, units)[: len(covariance), : len(covariance)]
        moved = covariances(second)[name] * change
        np.testing.assert_allclose(moved, covariance, rtol=SAME, atol=SAME)


@pytest.mark.parametrize("shift", [1e2, 1e8])
@few
@given(seed=seeds)
def test_shift_of_covariate(shift, seed):
    """
    X and Z span what they did: the same fit, with other intercepts.

    At 1e8 x is rounded to 1e-8 and the covariance of the intercepts, some 1e16,
    says nothing about the old one; fits and variances of slopes still do.
    """
    data = simulate(seed)
    first = fit(SLOPES, data)
    second = fit(SLOPES, data.assign(x=data["x"] + shift))
    assert second.converged
    assert second.scale == pytest.approx(first.scale, rel=SAME)
    assert criterion(second) == pytest.approx(criterion(first), abs=1e-6)
    assert second.params["x"] == pytest.approx(first.params["x"], abs=SAME)
    assert second.bse["x"] == pytest.approx(first.bse["x"], rel=SAME)
    one, other = covariances(first)["a"], covariances(second)["a"]
    assert other[1, 1] == pytest.approx(one[1, 1], rel=1e-5, abs=SAME)
    np.testing.assert_allclose(covariances(second)["b"], covariances(first)["b"], 1e-5)
    if shift < 1e3:
        back = np.array([[1.0, shift], [0.0, 1.0]])
        np.testing.assert_allclose(back @ other @ back.T, one, rtol=1e-5, atol=1e-5)
    atol = 1e-5 if shift < 1e3 else 1e-4
    np.testing.assert_allclose(second.fittedvalues, first.fittedvalues, atol=atol)


# weights and offsets -------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds, weight=st.sampled_from([1e-6, 0.5, 2.0, 1e6]))
def test_equal_weights(formula, reml, seed, weight):
    """sigma^2 / w is the old sigma^2; everything else is the same."""
    data = simulate(seed)
    first = fit(formula, data, reml=reml)
    second = fit(formula, data, reml=reml, weights=np.full(len(data), weight))
    assert second.scale / weight == pytest.approx(first.scale, rel=SAME)
    ratio = np.asarray(second.theta) * np.sqrt(weight)
    np.testing.assert_allclose(ratio, first.theta, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(second.params, first.params, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(second.bse, first.bse, rtol=SAME)
    np.testing.assert_allclose(modes(second), modes(first), atol=SAME)
    assert second.llf == pytest.approx(first.llf, abs=CRITERION)


@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds)
def test_weight_two_is_a_row_twice(formula, seed):
    """
    The same cross-products, another number of rows.

    With theta given, log |V| and r^2 = nu sigma^2 agree; sigma^2 is over 2 n rows
    instead of n. (The best theta differs: it depends on n, too.)
    """
    data = simulate(seed)
    twice = pd.concat([data, data])
    weighted = crossedmixedlm(formula, data, weights=np.full(len(data), 2.0))
    doubled = crossedmixedlm(formula, twice)
    n = len(data)
    result = weighted.fit(reml=False)
    theta = np.asarray(result.theta)

    def log_r2(theta):
        """From -2 l + n log w = log |V| + n (1 + log(2 pi r^2 / n)), and with 2 n."""
        one = -2.0 * weighted.loglike(theta, reml=False) + n * np.log(2.0)
        two = -2.0 * doubled.loglike(theta, reml=False)
        return (two - one) / n - 1.0 - np.log(2.0 * np.pi) + np.log(4.0 * n)

    # at theta = 0 r^2 is the weighted sum of squares of OLS
    ssr = 2.0 * smf.ols("y ~ x", data).fit().ssr
    assert np.exp(log_r2(0.0 * theta)) == pytest.approx(ssr, rel=1e-10)
    assert np.exp(log_r2(theta)) == pytest.approx(n * result.scale, rel=1e-10)


@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds)
def test_weights_of_means(formula, seed):
    """Means of r rows with weight r: the modes and coefficients of all rows."""
    means = simulate(seed, n=80)
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 4, size=len(means))
    noise = rng.standard_normal(rows.sum())
    at = np.repeat(np.arange(len(means)), rows)
    noise -= (np.bincount(at, noise) / rows)[at]
    every = means.iloc[at].assign(y=means["y"].to_numpy()[at] + noise)
    weighted = crossedmixedlm(formula, means, weights=rows.astype(float))
    whole = crossedmixedlm(formula, every)
    within = (noise**2).sum()
    n, m = len(every), len(means)

    result = weighted.fit(reml=False)
    theta, r2 = np.asarray(result.theta), m * result.scale
    one = -2.0 * result.llf + np.log(rows).sum()
    log_v = one - m * (1.0 + np.log(2.0 * np.pi * r2 / m))
    assert log_v == pytest.approx(dense_log_v(result, means.assign(w=rows)), abs=1e-9)
    # the rows have the same log |V|, and in r^2 what varies about the means
    two = -2.0 * whole.loglike(theta, reml=False)
    expected = log_v + n * (1.0 + np.log(2.0 * np.pi * (r2 + within) / n))
    assert two == pytest.approx(expected, abs=CRITERION)


@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds)
def test_nothing_said_is_nothing_changed(formula, seed):
    data = simulate(seed)
    first = fit(formula, data)
    n = len(data)
    for options in (
        {"weights": np.ones(n)},
        {"offset": np.zeros(n)},
        {"weights": np.ones(n), "offset": np.zeros(n)},
    ):
        second = fit(formula, data, **options)
        assert_same(first, second)


@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds, size=st.floats(-1e3, 1e3))
def test_offset(formula, seed, size):
    """An offset is a part of the response that is known."""
    data = simulate(seed)
    offset = size * np.sin(np.arange(len(data)))
    first = fit(formula, data.assign(y=data["y"] - offset))
    second = fit(formula, data, offset=offset)
    assert_same(first, second, 1e-10)
    np.testing.assert_allclose(
        second.fittedvalues - offset, first.fittedvalues, atol=1e-8
    )
    third = fit(formula + " + offset(o)", data.assign(o=offset))
    assert_same(first, third, 1e-10)


# optimality ----------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds)
def test_no_theta_is_better(formula, reml, seed):
    data = simulate(seed, sd=(0.8, 0.3, 0.2))
    model = crossedmixedlm(formula, data)
    result = model.fit(reml=reml)
    best = result.llf
    theta = np.asarray(result.theta)
    assert model.loglike(theta, reml=reml) == pytest.approx(best, abs=CRITERION)
    rng = np.random.default_rng(seed)
    tries = [np.zeros_like(theta), np.ones_like(theta)]
    tries += [rng.standard_normal(len(theta)) for _ in range(10)]
    tries += [theta + 0.1**k * rng.standard_normal(len(theta)) for k in range(1, 6)]
    for other in tries:
        assert model.loglike(other, reml=reml) <= best + 1e-9
    for start in (np.zeros_like(theta), 3.0 * np.ones_like(theta)):
        again = model.fit(reml=reml, start_params=start)
        assert again.llf == pytest.approx(best, abs=1e-6)
        assert model.loglike(start, reml=reml) <= again.llf + 1e-9


@pytest.mark.parametrize(
    "chain",
    [
        ["y ~ 1 + (1 | a)", "y ~ x + (1 | a)", "y ~ x + (x || a)", "y ~ x + (x | a)"],
        ["y ~ x + (1 | a)", CROSSED, "y ~ x + (1 | a) + (1 | b) + (1 | a:b)"],
        ["y ~ x + (1 | a)", NESTED, "y ~ x + (x | a) + (1 | a:c)"],
    ],
)
@some
@given(seed=seeds)
def test_larger_models_fit_better(chain, seed):
    data = simulate(seed, sd=(0.5, 0.3, 0.2))
    found = [fit(formula, data, reml=False).llf for formula in chain]
    assert (np.diff(found) >= -1e-8).all()


# balanced data -------------------------------------------------------------


@some
@given(seed=seeds, sd=st.floats(0.0, 3.0))
def test_one_way_in_closed_form(seed, sd):
    """
    REML is the analysis of variance truncated at 0, ML divides by l, not l - 1.

    So REML's variance of groups is never smaller than that of ML.
    """
    data = balanced(seed, sd=sd)
    groups, rows = 7, 6
    means = data.groupby("g")["y"].mean()
    ols = smf.ols("y ~ x", data).fit()
    within = smf.ols("y ~ x + C(g)", data).fit()
    ss_between = ols.ssr - within.ssr
    found = {}
    for reml, df_between, lost in ((True, groups - 1, 2), (False, groups, 0)):
        # the slope of x is estimated within groups
        df_within = within.df_resid + (0 if reml else 1)
        result = fit("y ~ x + (1 | g)", data, reml=reml)
        ms_between, ms_within = ss_between / df_between, within.ssr / df_within
        if ms_between > ms_within:
            variance = (ms_between - ms_within) / rows
            assert result.vcomp.iloc[0] == pytest.approx(variance, rel=1e-8, abs=1e-8)
            assert result.scale == pytest.approx(ms_within, rel=1e-8)
        else:
            assert result.theta.iloc[0] == 0.0
            total = ols.ssr / (len(data) - lost)
            assert result.scale == pytest.approx(total, rel=1e-10)
        found[reml] = result.vcomp.iloc[0]
    assert found[True] >= found[False]
    # conditional modes sum to zero and shrink the means of the groups
    result = fit("y ~ x + (1 | g)", data)
    effects = result.random_effects_table()["mode"].to_numpy()
    assert abs(effects.sum()) < 1e-10
    ratio = rows * result.theta.iloc[0] ** 2
    shrunken = ratio / (1.0 + ratio) * (means - means.mean())
    np.testing.assert_allclose(effects, shrunken, atol=1e-10)


@some
@given(seed=seeds)
def test_modes_sum_to_zero_when_crossed(seed):
    rng = np.random.default_rng(seed)
    a, b = map(np.ravel, np.indices((6, 5)))
    y = rng.standard_normal(6)[a] + rng.standard_normal(5)[b]
    data = pd.DataFrame({"y": y + rng.standard_normal(30), "a": a, "b": b})
    result = fit("y ~ 1 + (1 | a) + (1 | b)", data)
    for frame in result.random_effects.values():
        assert abs(frame["Intercept"].sum()) < 1e-10
    assert result.params["Intercept"] == pytest.approx(data["y"].mean(), rel=1e-10)


@pytest.mark.parametrize("reml", [True, False])
@some
@given(seed=seeds)
def test_no_variance_is_ols(reml, seed):
    """Groups less different than by chance: theta is 0 and the fit is OLS."""
    data = balanced(seed, sd=0.0)
    excess = data["y"] - data.groupby("g")["y"].transform("mean")
    data["y"] = excess + 0.01 * data["y"]
    result = fit("y ~ x + (1 | g)", data, reml=reml)
    assert result.theta.tolist() == [0.0]
    assert result.is_singular
    ols = smf.ols("y ~ x", data).fit()
    np.testing.assert_allclose(result.params, ols.params, rtol=1e-12, atol=1e-14)
    bse = ols.bse if reml else ols.bse * np.sqrt(ols.df_resid / ols.nobs)
    np.testing.assert_allclose(result.bse, bse, rtol=1e-12)
    assert (modes(result) == 0.0).all()
    if not reml:
        assert result.llf == pytest.approx(ols.llf, rel=1e-12)


# formulas ------------------------------------------------------------------


@some
@given(seed=seeds)
def test_nesting_three_ways(seed):
    data = simulate(seed)
    # labels that do not sort the way the groups are nested
    data["ac"] = data["c"] + "/" + data["a"]
    first = fit(NESTED, data)
    table = first.random_effects_table().set_index(["effect", "level"])
    for formula, fine in (("(1 | a) + (1 | a:c)", "a:c"), ("(1 | a) + (1 | ac)", "ac")):
        second = fit(f"y ~ x + {formula}", data)
        assert second.llf == pytest.approx(first.llf, abs=CRITERION)
        np.testing.assert_allclose(
            np.sort(second.vcomp), np.sort(first.vcomp), rtol=SAME, atol=SAME
        )
        np.testing.assert_allclose(second.fittedvalues, first.fittedvalues, atol=SAME)
        if fine != "ac":
            continue
        mine = table[table["group"] == "a:c"].sort_values("mode")
        other = second.random_effects_table()
        other = other[other["group"] == "ac"].sort_values("mode")
        np.testing.assert_allclose(other["mode"], mine["mode"], atol=SAME)
        np.testing.assert_allclose(other["sd"], mine["sd"], atol=SAME)


@some
@given(seed=seeds)
def test_double_bar(seed):
    data = simulate(seed)
    first = fit("y ~ x + (x || a)", data)
    second = fit("y ~ x + (1 | a) + (0 + x | a)", data)
    assert_same(first, second)
    np.testing.assert_allclose(first.fittedvalues, second.fittedvalues, atol=SAME)


@some
@given(seed=seeds)
def test_names_in_the_formula_do_not_matter(seed):
    data = simulate(seed)
    renamed = data.rename(columns={"y": "out come", "x": "class", "a": "für", "b": "1"})
    formula = "Q('out come') ~ Q('class') + (1 | für) + (1 | Q('1'))"
    try:
        second = fit(formula, renamed)
    except ValueError:
        pytest.skip("quoted names are not for grouping factors")
    assert_same(fit(CROSSED, data), second, 1e-12)


# prediction and storage ----------------------------------------------------


@pytest.mark.parametrize("formula", FORMULAS)
@some
@given(seed=seeds)
def test_prediction_of_the_data(formula, seed):
    data = simulate(seed)
    result = fit(formula, data)
    fitted = np.asarray(result.fittedvalues)
    # one product more or less: rounding
    np.testing.assert_allclose(
        result.predict(data, random_effects=True), fitted, rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(result.predict(random_effects=True), fitted, atol=1e-12)
    np.testing.assert_allclose(result.resid, data["y"] - fitted, atol=1e-12)
    fixed = result.params["Intercept"] + result.params["x"] * data["x"]
    np.testing.assert_allclose(result.predict(data), fixed, rtol=1e-12, atol=1e-12)
    some_rows = data.sample(10, random_state=seed)
    part = result.predict(some_rows, random_effects=True)
    expected = pd.Series(fitted, index=data.index).loc[some_rows.index]
    np.testing.assert_allclose(part, expected, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
@few
@given(seed=seeds)
def test_storage(formula, seed, tmp_path_factory):
    data = simulate(seed)
    result = fit(formula, data)
    buffer = io.BytesIO()
    pickle.dump(result, buffer)
    buffer.seek(0)
    path = tmp_path_factory.mktemp("results") / "result.pickle"
    result.save(path)
    new = data.head(7)
    predicted = result.predict(new, random_effects=True)
    theta = np.asarray(result.theta)
    for other in (pickle.load(buffer), copy.deepcopy(result), sm.load(path)):
        assert other.llf == result.llf
        assert (other.params == result.params).all()
        assert (other.theta == result.theta).all()
        assert (other.predict(new, random_effects=True) == predicted).all()
        assert other.model.loglike(theta) == pytest.approx(result.llf, rel=1e-12)
        again = other.model.fit()
        assert_same(result, again)
        assert (
            other.summary().as_text().splitlines()[-3:]
            == (result.summary().as_text().splitlines()[-3:])
        )


# kinds of numbers ----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int64", "int8", "Float64", "Int64"])
@some
@given(seed=seeds)
def test_types_of_numbers(dtype, seed):
    """Numbers are what they are, whatever holds them."""
    data = simulate(seed)
    for column in "xy":
        data[column] = (10.0 * data[column]).round()
    plain = fit(SLOPES, data)
    typed = fit(SLOPES, data.astype({"x": dtype, "y": dtype}))
    assert_same(plain, typed)


@few
@given(seed=seeds)
def test_single_precision(seed):
    """Not rounded any further than by the numbers themselves."""
    data = simulate(seed).astype({"x": "float32", "y": "float32"})
    double = data.astype({"x": "float64", "y": "float64"})
    assert_same(fit(SLOPES, double), fit(SLOPES, data))


def spoiled(data, how, rng):
    y = data["y"].to_numpy().copy()
    n = len(y)
    if how == "outlier":
        y[rng.integers(n)] = 1e6
    elif how == "huge outlier":
        y[rng.integers(n)] = 1e150
    elif how == "heavy tails":
        y = rng.standard_cauchy(n)
    elif how == "half zeros":
        y[rng.permutation(n)[: n // 2]] = 0.0
    elif how == "ties":
        y = np.round(y / 3.0)
    elif how == "two values":
        y = (y > 2.0).astype(float)
    elif how == "one differs":
        y = np.zeros(n)
        y[rng.integers(n)] = 1.0
    elif how == "tiny":
        y = 1e-300 * y
    elif how == "only a":
        y = np.unique(data["a"], return_inverse=True)[1].astype(float)
    elif how == "only x":
        y = 1.0 + 2.0 * data["x"].to_numpy()
    elif how == "constant":
        y = np.full(n, 3.7)
    return data.assign(y=y)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(
    "how",
    [
        "outlier",
        "huge outlier",
        "heavy tails",
        "half zeros",
        "ties",
        "two values",
        "one differs",
        "tiny",
        "only a",
        "only x",
        "constant",
    ],
)
@few
@given(seed=seeds)
def test_spoiled_responses(how, formula, seed):
    """Finite numbers or an error in words, never NaN in silence."""
    data = spoiled(simulate(seed), how, np.random.default_rng(seed))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            result = fit(formula, data)
    except DataError:
        # the one that differs may be alone in its cell
        assert how in ("only a", "only x", "constant", "tiny", "one differs")
        return
    assert np.isfinite(result.llf)
    assert np.isfinite(result.scale)
    assert result.scale > 0.0
    assert np.isfinite(result.params).all()
    assert np.isfinite(result.bse).all()
    assert np.isfinite(result.theta).all()
    assert np.isfinite(modes(result)).all()
    assert how not in ("only x", "constant")


# other programs ------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("effects", ["1", "x"])
@few
@given(seed=seeds)
def test_one_factor_is_mixedlm(effects, reml, seed):
    """statsmodels' MixedLM on what it can do."""
    data = simulate(seed, n=160, sd=(1.2, 0.0, 0.9))
    ours = crossedmixedlm(f"y ~ x + ({effects} | a)", data).fit(reml=reml)
    if np.linalg.eigvalsh(ours.cov_re["a"] / ours.scale)[0] < 1e-3:
        return  # it needs the inverse of the covariance matrix
    model = smf.mixedlm("y ~ x", data, groups="a", re_formula=f"~{effects}")
    theirs = mixedlm_at(model, ours)
    assert abs(gain_left(model, ours)) < 1e-9
    np.testing.assert_allclose(theirs.llf, ours.llf, rtol=1e-9)
    np.testing.assert_allclose(theirs.fe_params, ours.fe_params, rtol=1e-6)
    assert theirs.scale == pytest.approx(ours.scale, rel=1e-6)
