"""Profile likelihoods, against references, refits and dense likelihoods."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import optimize, stats
from scipy.optimize import minimize

from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.variances import profile as profiles
from statsmodels_lmm.inference.variances.profile import profile
from statsmodels_lmm.models.linear import CrossedMixedLM

QUANTILE = stats.chi2.isf(0.05, 1)


@functools.cache
def sample():
    """Crossed and nested factors, weights, a covariate."""
    rng = np.random.default_rng(3)
    n = 240
    g, h = rng.permutation(np.arange(n) % 12), rng.permutation(np.arange(n) % 10)
    k = rng.permutation(np.arange(n) % 6)
    x, z = rng.standard_normal((2, n))
    u, v = rng.standard_normal((12, 2)), rng.standard_normal((10, 2))
    y = 2.0 + 0.5 * x + 0.8 * u[g, 0] + (0.3 * u[g, 0] + 0.4 * u[g, 1]) * x
    y += 0.6 * v[h, 0] + 0.3 * v[h, 1] * x + 0.5 * rng.standard_normal(6)[k]
    y += rng.standard_normal(n)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h, "k": k})
    return frame.assign(w=rng.uniform(0.5, 2.0, n))


@functools.cache
def sleep(reml=False, formula="Reaction ~ Days + (Days | Subject)"):
    return crossedmixedlm(formula, load("sleepstudy")).fit(reml=reml)


@functools.cache
def profiled_sleep(reml=False):
    return profile(sleep(reml), n_points=1)


# lme4 1.1-31, confint(m, method = "profile") of ML fits: splines through the profile,
# which are good to about 1e-5; a lower end of 0 is exact
REFERENCES = {
    "sleepstudy": (
        "Reaction ~ Days + (Days | Subject)",
        {
            "Intercept": (237.680691, 265.129519),
            "Days": (7.358652, 13.575920),
            "Subject: sd Intercept": (14.381390, 37.716055),
            "Subject: sd Days": (3.801177, 8.753392),
            "Subject: cor Days, Intercept": (-0.481493, 0.685016),
            "sigma": (22.898257, 28.857999),
        },
    ),
    "sleepstudy, no correlation": (
        "Reaction ~ Days + (Days || Subject)",
        {
            "Intercept": (237.572156, 265.238054),
            "Days": (7.334069, 13.600503),
            "Subject: sd Intercept": (15.258706, 37.786532),
            "Subject: sd Days": (3.964078, 8.769159),
            "sigma": (22.880549, 28.787598),
        },
    ),
    "dyestuff": (
        "Yield ~ 1 + (1 | Batch)",
        {
            "Intercept": (1486.451509, 1568.548491),
            "Batch: sd Intercept": (12.198416, 84.063407),
            "sigma": (38.230123, 67.657670),
        },
    ),
    "dyestuff2": (
        "Yield ~ 1 + (1 | Batch)",
        {
            "Batch: sd Intercept": (0.0, 2.084048),
            "sigma": (2.892845, 4.815830),
        },
    ),
    "penicillin": (
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        {
            "Intercept": (21.266608, 24.677836),
            "plate: sd Intercept": (0.633565, 1.182103),
            "sample: sd Intercept": (1.095831, 3.556319),
            "sigma": (0.485846, 0.629453),
        },
    ),
    "pastes": (
        "strength ~ 1 + (1 | batch / cask)",
        {
            "Intercept": (58.663649, 61.443018),
            "batch:cask: sd Intercept": (2.157931, 4.053803),
            "batch: sd Intercept": (0.0, 2.946596),
            "sigma": (0.652023, 1.085447),
        },
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_references(name):
    formula, expected = REFERENCES[name]
    data = load(name.partition(",")[0])
    result = crossedmixedlm(formula, data).fit(reml=False)
    found = profile(result, list(expected), n_points=1).conf_int()
    assert list(found.index) == list(expected)
    ends = np.array(list(expected.values()))
    width = np.diff(ends, axis=1)
    assert_allclose(found.to_numpy() / width, ends / width, atol=3e-5)
    assert ((found["lower"] == 0.0) == (ends[:, 0] == 0.0)).all()


# refits --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("reml", "weights"), [(False, None), (True, "w")])
def test_fixed_effects_against_refits_with_an_offset(reml, weights):
    formula = "y ~ x + z + (x | g) + (1 | h) + (1 | k)"
    model = crossedmixedlm(formula, sample(), weights=weights)
    result = model.fit(reml=reml)
    found = profile(result, "fixed")
    ends = found.conf_int()
    assert list(ends.index) == ["Intercept", "x", "z"]
    for j, name in enumerate(ends.index):
        curve = found.curves[found.curves["parameter"] == name]
        lowest = curve.loc[curve["zeta"] == 0.0]

        def refit(value, j=j):
            rest = CrossedMixedLM(
                model.endog - value * model.exog[:, j],
                np.delete(model.exog, j, axis=1),
                random=model.random,
                weights=model.weights,
            )
            return -2.0 * rest.fit(reml=reml).llf

        for value, deviance in zip(
            curve["value"].iloc[::3], curve["deviance"].iloc[::3]
        ):
            assert_allclose(refit(value), deviance, atol=1e-7)
        least = float(lowest["deviance"].iloc[0])
        rises = [refit(end) - least for end in ends.loc[name]]
        assert_allclose(rises, QUANTILE, atol=1e-6)
        if not reml:
            assert_allclose(lowest["value"], result.params[name])
            assert_allclose(least, -2.0 * result.llf)


def dense_deviance(result, covariances, sigma):
    """ML deviance or REML criterion with the covariance of each factor given."""
    model = result.model
    n, p = model.exog.shape
    weights = np.ones(n) if model.weights is None else model.weights
    v = np.diag(sigma**2 / weights)
    for effects, covariance in zip(model.random, covariances):
        columns, codes = effects.grouped.effects, effects.grouped.codes
        v += columns @ covariance @ columns.T * (codes[:, None] == codes)
    root = np.linalg.cholesky(v)
    white = np.linalg.solve(root, np.column_stack([model.exog, model.endog]))
    x, y = white[:, :-1], white[:, -1]
    gram = x.T @ x
    r = y - x @ np.linalg.solve(gram, x.T @ y)
    total = 2.0 * np.log(np.diag(root)).sum() + r @ r
    if result.method == "REML":
        total += np.linalg.slogdet(gram)[1]
        n -= p
    return total + n * np.log(2.0 * np.pi)


MODELS = {
    "slopes, ML": ("y ~ x + (x | g)", False, None),
    "weights, REML": ("y ~ x + (x | g) + (1 | k)", True, "w"),
    "two factors with slopes": ("y ~ x + (x | g) + (x | h)", False, None),
    "three factors, REML": ("y ~ x + (x || g) + (x | h) + (1 | k)", True, None),
    "no correlation in between": ("y ~ 1 + (1 | g) + (0 + x + z | g)", True, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_curves_against_dense_criteria(name):
    """The criterion at the estimates along a curve is what the curve says."""
    formula, reml, weights = MODELS[name]
    result = crossedmixedlm(formula, sample(), weights=weights).fit(reml=reml)
    found = profile(result, "random", n_points=2)
    table = result.variance_components()
    labels = list(found.conf_int().index)
    assert len(labels) == len(table)
    raw = result._results
    for _, row in found.curves.iloc[::2].iterrows():
        at, covariances = 0, []
        for effects in result.model.random:
            covariance = np.zeros((len(effects.effect_names),) * 2)
            for block in effects.grouped.block_slices:
                size = block.stop - block.start
                sd = row[labels[at : at + size]].to_numpy(float)
                correlation = np.eye(size)
                low = np.tril_indices(size, -1)
                number = len(low[0])
                values = row[labels[at + size : at + size + number]].to_numpy(float)
                correlation[low] = np.nan_to_num(values)
                correlation = correlation + correlation.T - np.eye(size)
                covariance[block, block] = correlation * np.outer(sd, sd)
                at += size + number
            covariances.append(covariance)
        expected = dense_deviance(raw, covariances, row["sigma"])
        assert_allclose(row["deviance"], expected, atol=1e-6)
        rise = row["deviance"] + 2.0 * result.llf
        assert_allclose(row["zeta"] ** 2, rise, atol=1e-6)


@pytest.mark.parametrize("reml", [False, True])
def test_ends_against_a_dense_minimizer(reml):
    """At both ends of an interval the dense minimum has risen by the quantile."""
    data = sample().query("g < 8 and h < 6")
    result = crossedmixedlm("y ~ x + (x | g)", data).fit(reml=reml)._results
    ends = profile(result, "g: sd x").conf_int().loc["g: sd x"]

    def held(z, sd):
        root = np.array([[z[1], z[0]], [0.0, sd]])
        return dense_deviance(result, [root @ root.T], np.exp(z[2]))

    options = {"xatol": 1e-6, "fatol": 1e-10, "maxfev": 2000}
    for end in ends:
        fit = minimize(held, [0.2, 0.7, 0.0], (end,), "Nelder-Mead", options=options)
        assert_allclose(fit.fun + 2.0 * result.llf, QUANTILE, atol=1e-7)


# shape of the curves -------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("reml", [False, True])
def test_curve_table(reml):
    found = profile(sleep(reml), alpha_max=0.02, n_points=6)
    reach = stats.norm.isf(0.01)
    for name, curve in found.curves.groupby("parameter", sort=False):
        assert (np.diff(curve["value"]) > 0.0).all()
        assert (np.diff(curve["zeta"]) > 0.0).all()
        assert (curve["zeta"] == 0.0).sum() == 1
        assert_allclose(curve["value"], curve[name], rtol=1e-12)
        assert abs(curve["zeta"].iloc[-1]) >= reach or name.endswith("Intercept")
        assert len(curve) >= 10
    steps = sum(p.curve.evaluations for p in found.parameters)
    assert steps < 5 * len(found.curves)


@pytest.mark.slow
def test_intervals_are_nested_and_extend_the_curves():
    found = profile(sleep(), "random", alpha_max=0.1, n_points=2)
    narrow, wide = found.conf_int(0.32), found.conf_int(0.001)
    middle = found.conf_int()
    assert (wide["lower"] < middle["lower"]).all()
    assert (middle["lower"] < narrow["lower"]).all()
    assert (narrow["upper"] < middle["upper"]).all()
    assert (middle["upper"] < wide["upper"]).all()
    # the interval does not depend on how densely the curve was drawn
    coarse = profile(sleep(), "random", n_points=1).conf_int()
    assert_allclose(coarse, middle, rtol=1e-7)


@pytest.mark.slow
def test_variances_are_squares():
    deviations = profiled_sleep().conf_int().iloc[2:]
    variances = profile(sleep(), "random", scale="var", n_points=1).conf_int()
    assert list(variances.index) == [
        "Subject: var Intercept",
        "Subject: var Days",
        "Subject: cor Days, Intercept",
        "sigma^2",
    ]
    power = np.array([2.0, 2.0, 1.0, 2.0])[:, None]
    squares = deviations.to_numpy() ** power
    assert_allclose(
        variances, squares * np.sign(deviations) ** (power - 1.0), rtol=1e-8
    )


# invariances ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("reml", [False, True])
def test_units_of_the_data(reml):
    data = load("sleepstudy")
    scaled = data.assign(Reaction=1e6 * data["Reaction"], Days=1e6 * data["Days"])
    formula = "Reaction ~ Days + (Days | Subject)"
    result = crossedmixedlm(formula, scaled).fit(reml=reml)
    found = profile(result, n_points=1).conf_int()
    factor = np.array([1e6, 1.0, 1e6, 1.0, 1.0, 1e6])[:, None]
    expected = factor * profiled_sleep(reml).conf_int()
    assert_allclose(found, expected, rtol=1e-6)


def test_a_shift_of_the_covariate():
    data = load("sleepstudy")
    shifted = data.assign(Days=data["Days"] + 1000.0)
    formula = "Reaction ~ Days + (Days | Subject)"
    which = ["Days", "Subject: sd Days", "sigma"]
    result = crossedmixedlm(formula, shifted).fit(reml=False)
    found = profile(result, which, n_points=1).conf_int()
    assert_allclose(found, profiled_sleep().conf_int().loc[which], rtol=1e-6)


@pytest.mark.slow
def test_order_of_the_rows():
    data = load("sleepstudy").sample(frac=1.0, random_state=1)
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit(reml=False)
    found = profile(result, n_points=1).conf_int()
    assert_allclose(found, profiled_sleep().conf_int(), rtol=1e-7)


# boundaries ----------------------------------------------------------------


@pytest.mark.parametrize("reml", [False, True])
def test_a_deviation_of_zero(reml):
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff2")).fit(reml=reml)
    found = profile(result, "Batch: sd Intercept")
    assert found.curves["value"].iloc[0] == 0.0
    assert found.curves["zeta"].iloc[0] == 0.0
    assert (found.curves["zeta"].iloc[1:] > 0.0).all()
    lower, upper = found.conf_int().iloc[0]
    assert lower == 0.0
    covariance = [np.array([[upper**2]])]

    def held(z):
        return dense_deviance(result._results, covariance, np.exp(z[0]))

    fit = minimize(held, [1.0], method="Nelder-Mead", options={"xatol": 1e-7})
    assert_allclose(fit.fun + 2.0 * result.llf, QUANTILE, atol=1e-6)


def test_a_correlation_without_deviations_is_flat():
    data = sample().copy()
    rng = np.random.default_rng(1)
    data["y"] = rng.standard_normal(len(data))
    # within the levels everything sums to zero: no variance between them
    data["y"] -= data.groupby("g")["y"].transform("mean")
    data["x"] = 1.0 * (rng.permuted(np.arange(len(data))) % 2)
    data["y"] -= data.groupby(["g", "x"])["y"].transform("mean")
    result = crossedmixedlm("y ~ 1 + (x | g)", data).fit(reml=False)
    assert result.cov_re["g"].to_numpy().max() < 1e-20
    found = profile(result)
    curve = found.curves[found.curves["parameter"] == "g: cor x, Intercept"]
    assert (curve["zeta"] == 0.0).all()
    assert_allclose(curve["deviance"], -2.0 * result.llf)
    ends = found.conf_int()
    assert tuple(ends.loc["g: cor x, Intercept"]) == (-1.0, 1.0)
    assert (ends.loc[["g: sd Intercept", "g: sd x"], "lower"] == 0.0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "reml"), [(1.0, False), (-1.0, True)])
def test_a_correlation_of_one(sign, reml):
    rng = np.random.default_rng(4)
    data = sample().copy()
    u, noise = rng.standard_normal(12), rng.standard_normal(len(data))
    for level in range(12):
        # noise that the lines of the levels do not see
        at = np.flatnonzero(data["g"] == level)
        lines = np.column_stack([np.ones(len(at)), data["x"].iloc[at]])
        noise[at] -= lines @ np.linalg.lstsq(lines, noise[at])[0]
    data["y"] = u[data["g"]] * (1.0 + 0.3 * sign * data["x"]) + noise
    result = crossedmixedlm("y ~ x + (x | g)", data).fit(reml=reml)
    table = result.variance_components()
    assert_allclose(table["sd"].iloc[2], sign)
    found = profile(result)
    ends = found.conf_int()
    boundary = "upper" if sign > 0.0 else "lower"
    assert ends.loc["g: cor x, Intercept", boundary] == sign
    other = "lower" if sign > 0.0 else "upper"
    assert abs(ends.loc["g: cor x, Intercept", other]) < 1.0
    estimates = np.append(result.params, table["sd"])
    assert (ends["lower"] <= estimates + 1e-9).all()
    assert (ends["upper"] >= estimates - 1e-9).all()


@pytest.mark.parametrize("reml", [False, True])
def test_a_correlation_is_never_worse_than_no_deviation(reml):
    """A weak effect without variance allows any correlation: the curve has a roof."""
    rng = np.random.default_rng(11)
    data = sample().copy()
    u = rng.standard_normal((12, 2))[data["g"]]
    data["y"] = u[:, 0] + 0.2 * u[:, 1] * data["x"] + rng.standard_normal(len(data))
    result = crossedmixedlm("y ~ x + (x | g)", data).fit(reml=reml)
    found = profile(result, "g: cor x, Intercept", alpha_max=1e-6, n_points=20)
    smaller = crossedmixedlm("y ~ x + (1 | g)", data).fit(reml=reml)
    roof = -2.0 * smaller.llf
    assert 0.1 < roof + 2.0 * result.llf < stats.norm.isf(5e-7) ** 2
    assert (found.curves["deviance"] <= roof + 1e-7).all()
    assert_allclose(found.curves["deviance"].max(), roof, atol=1e-7)
    zeta = found.curves["zeta"]
    assert (np.diff(zeta) > -1e-6).all()
    # the interval of a level beyond the roof is everything
    assert tuple(found.conf_int(1e-6).iloc[0]) == (-1.0, 1.0)


@pytest.mark.parametrize("seed", [1, 15, 41, 63, 76, 100, 102])
def test_a_correlation_has_minima_beyond_that_of_its_neighbor(seed):
    """
    Small groups, in which the nearest minimum can be worse than no deviation.

    Which of the two deviations is zero where it is better differs between the seeds.
    """
    rng = np.random.default_rng(seed)
    levels = rng.integers(4, 9)
    n = levels * rng.integers(3, 6)
    g, x = np.arange(n) % levels, rng.standard_normal(n)
    u, slope = rng.standard_normal((levels, 2)), rng.choice([0.1, 0.3, 0.6])
    y = rng.choice([0.3, 1.0]) * u[g, 0] + slope * u[g, 1] * x + rng.standard_normal(n)
    data, reml = pd.DataFrame({"g": g, "x": x, "y": y}), bool(seed % 2)

    def fit(random):
        return crossedmixedlm(f"y ~ x + {random}", data).fit(reml=reml)

    curves = profile(
        fit("(x | g)"), "g: cor x, Intercept", alpha_max=6e-5, n_points=13
    ).curves
    roof = min(-2.0 * fit(random).llf for random in ("(1 | g)", "(0 + x | g)"))
    assert (curves["deviance"] <= roof + 1e-6).all()
    assert_allclose(curves["deviance"].max(), roof, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("reml", [False, True])
def test_a_deviation_without_information(reml):
    """Groups that the fixed effects tell apart: flat by REML, to infinity."""
    data = sample().assign(f=sample()["k"] % 2)
    formula = "y ~ 0 + C(k) + x + (1 | f) + (1 | g)"
    with pytest.warns(UserWarning, match="f"):
        result = crossedmixedlm(formula, data).fit(reml=reml)
    found = profile(result, "random")
    lower, upper = found.conf_int().loc["f: sd Intercept"]
    assert lower == 0.0
    assert np.isinf(upper) == reml
    curve = found.curves[found.curves["parameter"] == "f: sd Intercept"]
    assert_allclose(curve["deviance"].iloc[0], -2.0 * result.llf, atol=1e-8)
    if reml:
        # what rounding leaves of a criterion with variances 1e9 times sigma^2
        assert_allclose(curve["zeta"] ** 2, 0.0, atol=1e-3)
    without = crossedmixedlm("y ~ 0 + C(k) + x + (1 | g)", data).fit(reml=reml)
    ends = profile(without, "random", n_points=1).conf_int()
    assert_allclose(found.conf_int().loc[ends.index], ends, rtol=1e-5)


@pytest.mark.parametrize("reml", [False, True])
def test_two_levels_know_little_of_an_upper_end(reml):
    """It is finite, far away, and where the criterion has risen so far."""
    rng = np.random.default_rng(1)
    g = np.arange(40) % 2
    y = rng.standard_normal(2)[g] + rng.standard_normal(40)
    model = crossedmixedlm("y ~ 1 + (1 | g)", pd.DataFrame({"g": g, "y": y}))
    result = model.fit(reml=reml)
    profiled = profile(result, "g: sd Intercept", alpha_max=1e-3)
    upper = profiled.conf_int(1e-4)["upper"].item()
    assert upper > 15.0
    if not reml:
        # y has the covariance sigma^2 I + upper^2 Z Z', sigma estimated anew
        same = (g[:, None] == g).astype(float)

        def criterion(log_sigma):
            v = np.exp(2.0 * log_sigma) * np.eye(40) + upper**2 * same
            inverse = np.linalg.inv(v)
            mean = inverse.sum(axis=0) @ y / inverse.sum()
            return -2.0 * stats.multivariate_normal(np.full(40, mean), v).logpdf(y)

        lowest = optimize.minimize_scalar(criterion, (-0.5, 0.5), tol=1e-12).fun
        rise = lowest + 2.0 * result.llf
        assert_allclose(np.sqrt(rise), stats.norm.isf(5e-5), rtol=1e-6)
    # farther than numbers are precise the end is not known, and is not infinity
    if reml:
        with pytest.warns(UserWarning, match="could not be followed"):
            assert np.isnan(profiled.conf_int(1e-6)["upper"].item())


def test_few_rows_for_each_level():
    rng = np.random.default_rng(2)
    codes = np.append(np.arange(30), np.arange(4))
    y = rng.standard_normal(30)[codes] + rng.standard_normal(34)
    data = pd.DataFrame({"y": y, "g": codes})
    for reml in (False, True):
        result = crossedmixedlm("y ~ 1 + (1 | g)", data).fit(reml=reml)
        found = profile(result)
        ends = found.conf_int()
        assert np.isfinite(ends.to_numpy()).all()
        assert (ends.loc["sigma"] > 0.0).all()
        estimates = np.append(result.params, result.variance_components()["sd"])
        assert (ends["lower"] <= estimates).all()
        assert (ends["upper"] >= estimates).all()


# arguments -----------------------------------------------------------------


@pytest.mark.slow
def test_choice_of_parameters():
    fixed = profile(sleep(), "fixed")
    assert list(fixed.conf_int().index) == ["Intercept", "Days"]
    assert list(fixed.curves["parameter"].unique()) == ["Intercept", "Days"]
    one = profile(sleep(), "sigma", n_points=1).conf_int()
    assert list(one.index) == ["sigma"]
    assert_allclose(one, profiled_sleep().conf_int().loc[["sigma"]], rtol=1e-9)


def test_dropped_columns():
    data = sample().assign(x2=2.0 * sample()["x"])
    with pytest.warns(UserWarning, match="x2"):
        result = crossedmixedlm("y ~ x + x2 + z + (1 | g)", data).fit(reml=False)
    found = profile(result, "fixed", n_points=1).conf_int()
    assert list(found.index) == ["Intercept", "x", "z"]
    plain = crossedmixedlm("y ~ x + z + (1 | g)", data).fit(reml=False)
    assert_allclose(found, profile(plain, "fixed", n_points=1).conf_int(), rtol=1e-7)
    with pytest.raises(ValueError, match="dropped as redundant"):
        profile(result, ["x2"])


def test_bad_arguments():
    with pytest.raises(ValueError, match="no parameter 'Day'"):
        profile(sleep(), "Day")
    with pytest.raises(ValueError, match="scale must be"):
        profile(sleep(), scale="log")
    with pytest.raises(ValueError, match="alpha_max must be"):
        profile(sleep(), alpha_max=5)
    with pytest.raises(ValueError, match="n_points must be"):
        profile(sleep(), n_points=0)
    with pytest.raises(ValueError, match="alpha must be"):
        profile(sleep(), "sigma").conf_int(95)


# what is kept -----------------------------------------------------------------


def test_curves_are_computed_once(monkeypatch):
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff")).fit()
    computed = []

    def counted(*arguments, curve=profiles._curve):
        computed.append(arguments[-1])
        if len(computed) == 2:
            raise KeyboardInterrupt
        return curve(*arguments)

    monkeypatch.setattr(profiles, "_curve", counted)
    with pytest.warns(DataWarning, match="interrupted after 1 of 3 parameters; the"):
        first = result.profile()
    assert [p.label for p in first.parameters] == ["Intercept"]
    whole = result.profile()
    assert len(computed) == 4
    ends = result.conf_int(method="profile")
    assert_allclose(ends, whole.conf_int())
    of_variances = result.profile("random", scale="var").conf_int()
    assert_allclose(of_variances, ends[1:] ** 2)
    assert len(computed) == 4
    result.profile("sigma", alpha_max=0.1)
    assert len(computed) == 5
    # not in a pickle, nor without the data
    again = pickle.loads(pickle.dumps(result))
    assert "_curves" in vars(result._results)
    assert "_curves" not in vars(again._results)
    assert_allclose(again.profile("sigma").conf_int(), ends[2:])
