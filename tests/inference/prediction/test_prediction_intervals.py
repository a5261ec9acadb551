"""
Standard errors that include the random effects, and prediction intervals.

They are held against a dense inverse of the mixed model equations, against
simulated prediction errors, and against numbers of lme4.
"""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import N, load, quiet
from scipy import stats
from scipy.linalg import block_diag

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.prediction import prediction as prediction_module
from statsmodels_lmm.inference.prediction.prediction import get_prediction
from statsmodels_lmm.inference.prediction.prediction_variance import joint_covariance

X_AND_F = ("Intercept", "f[T.b]", "f[T.c]", "x")


@pytest.fixture(scope="module")
def new(data):
    """Known levels in new combinations, then unseen ones."""
    rng = np.random.default_rng(19)
    frame = pd.DataFrame({"h": [3, 0, 11, 3, 7, 5, 3, 99], "f": list("cabbacca")})
    frame["g"] = ["g2", "g9", "g0", "g2", "g5", "g7", "gnew", "gnew"]
    frame["c"] = [0, 1, 2, 2, 0, 1, 0, 0]
    frame["x"], frame["flat"] = rng.uniform(0.0, 5.0, 8), rng.standard_normal(8)
    frame["o"], frame["w"] = np.arange(8.0), rng.uniform(0.5, 2.0, 8)
    frame["m"] = [3, 39, 7, 3, 20, 11, 77, 5]
    return frame.assign(same=frame["f"].str.upper())


ONE, X, FLAT = ("1",), ("1", "x"), ("1", "flat")
MODELS = {
    # formula, options, (factor, columns of the data, effects, group of each effect)
    "crossed": ("(x | g) + (1 | h)", {}, [(["g"], X, [0, 0]), (["h"], ONE, [0])]),
    "weights": (
        "(x | g) + (1 | h)",
        {"weights": "w"},
        [(["g"], X, [0, 0]), (["h"], ONE, [0])],
    ),
    "offset": ("offset(o) + (1 | h)", {}, [(["h"], ONE, [0])]),
    "chain": ("(1 | g) + (x | m)", {}, [(["g"], ONE, [0]), (["m"], X, [0, 0])]),
    "nested": ("(1 | g / c)", {}, [(["g", "c"], ONE, [0]), (["g"], ONE, [0])]),
    "terms": (
        "(1 | g) + (0 + x | g) + (1 | h)",
        {},
        [(["g"], X, [0, 1]), (["h"], ONE, [0])],
    ),
    "singular": (
        "(flat | h) + (1 | g)",
        {},
        [(["h"], FLAT, [0, 0]), (["g"], ONE, [0])],
    ),
    "redundant": ("same + (x | g)", {}, [(["g"], X, [0, 0])]),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request, data):
    return Case(request.param, data)


class Case:
    """A fit, and everything about its predictions by dense linear algebra."""

    def __init__(self, name, data):
        random, options, self.factors = MODELS[name]
        self.name, self.data = name, data
        self.result = quiet(f"y ~ x + f + {random}", data, **options)
        self.raw = self.result._results
        weights = data["w"].to_numpy() if "weights" in options else np.ones(len(data))
        self.x = self.fixed(data)
        self.keys = [self.levels(data, columns) for columns, _, _ in self.factors]
        self.levels_of = [sorted(set(k)) for k in self.keys]
        covariances = self.result.cov_re
        names = [":".join(columns) for columns, _, _ in self.factors]
        self.sigma = [covariances[n].to_numpy() for n in names]
        # Lambda ([X ZL]'W[X ZL] + diag(0, I))^-1 Lambda', for any Sigma = s2 LL'
        s2 = self.result.scale
        roots = [
            np.kron(np.eye(len(levels)), root(sigma / s2))
            for levels, sigma in zip(self.levels_of, self.sigma)
        ]
        p = self.x.shape[1]
        to_user = block_diag(np.eye(p), *roots)
        columns = np.column_stack([self.x, self.random(data)]) @ to_user
        equations = columns.T @ (columns * weights[:, None])
        equations[range(p, len(equations)), range(p, len(equations))] += 1.0
        self.inverse = s2 * to_user @ np.linalg.inv(equations) @ to_user.T
        y = (data["y"] - (data["o"] if name == "offset" else 0.0)).to_numpy()
        right = columns.T @ (weights * y)
        self.effects = to_user @ np.linalg.solve(equations, right)

    def fixed(self, frame):
        f = frame["f"].to_numpy()
        return np.column_stack([np.ones(len(f)), f == "b", f == "c", frame["x"]])

    @staticmethod
    def levels(frame, columns):
        return list(zip(*(frame[c] for c in columns)))

    def values(self, frame, at, take=None):
        """Effect columns of one factor, zero where not taken."""
        _, effects, groups = self.factors[at]
        z = np.column_stack(
            [np.ones(len(frame)) if e == "1" else frame[e] for e in effects]
        )
        return z if take is None else z * np.isin(groups, take.get(at, []))

    def random(self, frame, take=None):
        """Z of all factors, rows of unseen levels zero."""
        blocks = []
        for at, (columns, effects, _) in enumerate(self.factors):
            z, known = self.values(frame, at, take), self.levels_of[at]
            block = np.zeros((len(frame), len(known), len(effects)))
            for row, level in enumerate(self.levels(frame, columns)):
                if level in known:
                    block[row, known.index(level)] = z[row]
            blocks.append(block.reshape(len(frame), -1))
        return np.column_stack(blocks)

    def draws(self, frame, take, unseen):
        """z'Sigma z of the columns in `take`, of all rows or of unseen levels."""
        out = np.zeros(len(frame))
        for at, (columns, _, _) in enumerate(self.factors):
            z = self.values(frame, at, take)
            form = np.einsum("ij,jk,ik->i", z, self.sigma[at], z)
            new = [k not in self.levels_of[at] for k in self.levels(frame, columns)]
            out += form * (np.array(new) if unseen else 1.0)
        return out

    def expected(self, frame, take, weights):
        """Mean, variance of the mean and of a new observation."""
        rows = np.column_stack([self.fixed(frame), self.random(frame, take)])
        variance = np.einsum("ij,jk,ik->i", rows, self.inverse, rows)
        variance += self.draws(frame, take, unseen=True)
        mean = rows @ self.effects
        mean += frame["o"].to_numpy() if self.name == "offset" else 0.0
        rest = {
            at: [g for g in set(groups) if g not in take.get(at, [])]
            for at, (_, _, groups) in enumerate(self.factors)
        }
        observed = variance + self.draws(frame, rest, unseen=False)
        return mean, variance, observed + self.result.scale / weights

    @property
    def everything(self):
        return {at: sorted(set(g)) for at, (_, _, g) in enumerate(self.factors)}


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def check(found, expected, index):
    mean, variance, observed = expected
    table = found.summary_frame(alpha=0.1)
    assert_allclose(found.predicted, mean, rtol=1e-8)
    assert_allclose(found.se, np.sqrt(variance), rtol=1e-8)
    assert_allclose(found.se_obs, np.sqrt(observed), rtol=1e-8)
    quantile = stats.norm.isf(0.05)
    assert list(table) == [
        *("predicted", "se", "ci_lower", "ci_upper"),
        *("obs_ci_lower", "obs_ci_upper"),
    ]
    assert table.index.equals(index)
    assert_allclose(table["ci_lower"], mean - quantile * np.sqrt(variance), rtol=1e-7)
    upper = mean + quantile * np.sqrt(observed)
    assert_allclose(table["obs_ci_upper"], upper, rtol=1e-7)
    assert_allclose(found.conf_int(alpha=0.1)[:, 1], upper, rtol=1e-7)
    assert_allclose(found.conf_int(False, 0.1)[:, 0], table["ci_lower"], rtol=1e-12)


# against the dense inverse -------------------------------------------------


def test_the_models_are_what_they_are_named_for(data):
    assert Case("singular", data).raw.is_singular
    assert Case("redundant", data).raw.dropped == ["same[T.B]", "same[T.C]"]
    plans = {
        name: Case(name, data).raw.model._sufficient_statistics()[1].plan
        for name in ("crossed", "chain")
    }
    assert plans["crossed"].n_tail == 20
    assert plans["chain"].n_chain == 2
    assert (np.diff(plans["chain"].relabel[0]) < 0).any()


@pytest.mark.parametrize("rows", ["data", "new"])
def test_with_all_random_effects(case, rows, data, new):
    frame = {"data": data, "new": new}[rows]
    weights = frame["w"].to_numpy() if case.name == "weights" else 1.0
    found = get_prediction(
        case.result,
        frame,
        random_effects=True,
        new_levels="population",
        interval="prediction",
        weights="w" if case.name == "weights" else None,
    )
    check(found, case.expected(frame, case.everything, weights), frame.index)


@pytest.mark.parametrize("rows", ["data", "new"])
def test_without_random_effects(case, rows, data, new):
    frame = {"data": data, "new": new}[rows]
    given = np.linspace(0.5, 3.0, len(frame))
    found = get_prediction(case.result, frame, interval="prediction", weights=given)
    expected = case.expected(frame, {}, given)
    check(found, expected, frame.index)
    # the variance of Ruby's mixed_models: x'Vx + diag(Z Sigma Z') + sigma^2
    given = np.ones(len(frame))
    found = get_prediction(case.result, frame, interval="prediction", weights=given)
    covariance = np.nan_to_num(case.result.cov_params().loc[X_AND_F, X_AND_F])
    wanted = np.diag(case.fixed(frame) @ covariance @ case.fixed(frame).T)
    wanted = wanted + case.draws(frame, case.everything, unseen=False)
    assert_allclose(found.se_obs**2, wanted + case.result.scale, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "asked", "take"),
    [
        ("crossed", "g", {0: [0]}),
        ("crossed", ["(1 | h)"], {1: [0]}),
        ("nested", "g", {1: [0]}),
        ("nested", "g:c", {0: [0]}),
        ("terms", "(1 | g)", {0: [0]}),
        ("terms", ["(0 + x | g)", "h"], {0: [1], 1: [0]}),
        ("singular", "h", {0: [0]}),
    ],
)
def test_with_some_random_effects(name, asked, take, data, new):
    case = Case(name, data)
    for frame in (data, new):
        found = get_prediction(
            case.result,
            frame,
            random_effects=asked,
            new_levels="population",
            interval="prediction",
        )
        check(found, case.expected(frame, take, 1.0), frame.index)


def test_the_data_of_the_fit(case, data):
    weights = data["w"].to_numpy() if case.name == "weights" else 1.0
    found = get_prediction(case.result, random_effects=True, interval="prediction")
    check(found, case.expected(data, case.everything, weights), data.index)
    assert_allclose(found.predicted, case.result.fittedvalues, rtol=1e-10)
    found = get_prediction(case.result, interval="prediction")
    check(found, case.expected(data, {}, weights), data.index)


def test_joint_covariance(case):
    found = joint_covariance(case.result)
    assert found.columns.equals(found.index)
    assert found.index.names == ["group", "effect", "level"]
    labels = [("", name, "") for name in X_AND_F]
    for (columns, effects, _), levels in zip(case.factors, case.levels_of):
        names = ["Intercept" if e == "1" else e for e in effects]
        text = [v[0] if len(v) == 1 else ":".join(map(str, v)) for v in levels]
        labels += [(":".join(columns), n, v) for v in text for n in names]
    dropped = [("", name, "") for name in case.raw.dropped]
    assert sorted(map(str, found.index)) == sorted(map(str, labels + dropped))
    at = found.index.get_indexer(labels)
    size = np.abs(case.inverse).max()
    values = found.to_numpy()[np.ix_(at, at)]
    assert_allclose(values, case.inverse, rtol=0, atol=1e-10 * size)
    assert found.loc[dropped].isna().to_numpy().all()


def test_blocks_of_the_joint_covariance(data):
    result = Case("crossed", data).result
    full = joint_covariance(result)
    assert_allclose(full.iloc[:4, :4], result.cov_params(), rtol=1e-9)
    some = joint_covariance(result, "h")
    assert some.index.get_level_values("group").unique().tolist() == ["", "h"]
    assert_allclose(some, full.loc[some.index, some.index], rtol=1e-9)
    assert_allclose(joint_covariance(result, []), result.cov_params(), rtol=1e-9)
    # at least the variance given the fixed effects
    known = result.random_effects_cov["g"]["g3"]
    more = full.loc[("g", slice(None), "g3"), ("g", slice(None), "g3")].to_numpy()
    assert np.linalg.eigvalsh(more - known).min() > 0.0
    with pytest.raises(ValueError, match="no grouping factor k; there are g, h"):
        joint_covariance(result, ["g", "k"])


def test_joint_covariance_that_does_not_fit(data, monkeypatch):
    result = Case("crossed", data).result
    monkeypatch.setattr(memory, "available_bytes", lambda: 20_000)
    with pytest.raises(MemoryError, match="joint covariance of 36 effects"):
        joint_covariance(result)
    assert joint_covariance(result, []).shape == (4, 4)


# against simulated errors --------------------------------------------------


def test_errors_in_simulated_data(data, new):
    """
    Errors of predictions over 40,000 draws of (b, y), theta and sigma known.

    The predictors are those of generalized least squares with a dense V. A variance
    from 40,000 draws has a standard error of 0.7 percent.
    """
    case, draws = Case("crossed", data), 40_000
    rng = np.random.default_rng(0)
    s2 = case.result.scale
    sizes = [len(levels) for levels in case.levels_of]
    sigma = block_diag(*(np.kron(np.eye(n), s) for n, s in zip(sizes, case.sigma)))
    x, z = case.x, case.random(data)
    v = z @ sigma @ z.T + s2 * np.eye(N)
    to_beta = np.linalg.solve(x.T @ np.linalg.solve(v, x), np.linalg.solve(v, x).T)
    to_modes = sigma @ np.linalg.solve(v, z).T @ (np.eye(N) - x @ to_beta)
    b = root(sigma) @ rng.standard_normal((len(sigma), draws))
    y = z @ b + np.sqrt(s2) * rng.standard_normal((N, draws))  # beta is 0
    fixed, random = case.fixed(new), case.random(new)
    error = fixed @ (to_beta @ y) + random @ (to_modes @ y - b)
    for at in range(len(case.factors)):
        values = case.values(new, at)
        unseen = [
            k not in case.levels_of[at] for k in case.levels(new, case.factors[at][0])
        ]
        for row in np.flatnonzero(unseen):
            own = root(case.sigma[at]) @ rng.standard_normal((values.shape[1], draws))
            error[row] -= values[row] @ own
    found = get_prediction(
        case.result,
        new,
        random_effects=True,
        new_levels="population",
        interval="prediction",
    )
    assert_allclose(found.var_pred, error.var(axis=1), rtol=0.03)
    error += np.sqrt(s2) * rng.standard_normal(error.shape)
    assert_allclose(found.var_obs, error.var(axis=1), rtol=0.03)


# against lme4 --------------------------------------------------------------


SEPAL_LENGTH = """
51 49 47 46 50 54 46 50 44 49 54 48 48 43 58 57 54 51 57 51 54 51 46 51 48 50 50
52 52 47 48 54 52 55 49 50 55 49 44 51 50 45 44 50 51 48 51 46 53 50 70 64 69 55
65 57 63 49 66 52 50 59 60 61 56 67 56 58 62 56 59 61 63 61 64 66 68 67 60 57 55
55 58 60 54 60 67 63 56 55 55 61 58 50 56 57 57 62 51 57 63 58 71 63 65 76 49 73
67 72 65 64 68 57 58 64 65 77 77 60 69 56 77 63 67 72 62 61 64 72 74 79 64 63 61
77 63 64 60 69 67 69 58 68 67 67 63 65 62 59
"""
PETAL_WIDTH = """
2 2 2 2 2 4 3 2 2 1 2 2 1 1 2 4 4 3 3 3 2 4 2 5 2 2 4 2 2 2 2 4 1 2 2 2 2 1 2 2
3 3 2 6 4 3 2 2 2 2 14 15 15 13 15 13 16 10 13 14 10 15 10 14 13 14 15 10 15 11
18 13 15 12 13 14 14 17 15 10 11 10 12 16 15 16 15 13 13 13 12 14 12 10 13 12 13
13 11 13 25 19 21 18 22 21 17 18 18 25 20 19 21 20 24 23 18 22 23 15 23 20 20 18
21 18 18 18 21 16 19 20 22 15 14 23 24 18 18 21 24 23 19 23 25 23 19 20 23 18
"""


def test_standard_errors_of_lme4():
    """
    ``predict(lmer(Petal.Width ~ Sepal.Length + (1 | Species), iris), se.fit = TRUE)``.

    The first three, from the tests of lme4, with and without ``re.form = NA``; lme4
    stops a little before the optimum. Fisher's irises in millimeters.
    """
    length, width = (
        np.array(t.split(), float) / 10 for t in (SEPAL_LENGTH, PETAL_WIDTH)
    )
    frame = pd.DataFrame({"width": width, "length": length})
    frame["species"] = np.repeat(["setosa", "versicolor", "virginica"], 50)
    result = crossedmixedlm("width ~ length + (1 | species)", frame).fit()
    found = get_prediction(result, random_effects=True).se[:3]
    assert_allclose(found, [0.02718164, 0.02722989, 0.02861884], atol=1e-8)
    found = get_prediction(result).se[:3]
    assert_allclose(found, [0.45114787, 0.45149797, 0.45193073], atol=1e-7)


LME4 = {
    # rows 1, 10 and 60 of the data: prediction, its standard error, that as a
    # prediction of a new observation; standard errors of the fixed part, in the
    # mean and for a new observation of a new level
    "sleepstudy": (
        "Reaction ~ Days + (Days | Subject)",
        [253.66367039830, 430.6599909503, 352.2006682231],
        [12.25479297885, 13.8568984407, 13.8568984407],
        [28.37465379572, 29.1024854861, 29.1024854861],
        [6.82455653207, 14.6287859174, 14.6287859174],
        [36.24369652221, 67.0426345188, 67.0426345188],
    ),
    "penicillin": (
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        [25.963827234073, 23.679874293403, 19.215837268274],
        [0.240197646998] * 3,
        [0.600091966752] * 3,
        [0.808573390985] * 3,
        [2.324657496171] * 3,
    ),
    "pastes": (
        "strength ~ 1 + (1 | batch / cask)",
        [62.628664610856, 57.299730181366, 57.818458735250],
        [0.572501863640] * 3,
        [1.002875058954] * 3,
        [0.676870066128] * 3,
        [3.350690734022] * 3,
    ),
}


@pytest.mark.parametrize("name", LME4)
def test_mixed_model_equations_of_lme4(name):
    """
    From X, Z, Lambda and sigma of lme4 1.1-31 at the REML optimum.

    There ``solve(crossprod(cbind(X, Z %*% Lambda)) + diag(0, I))`` was formed.
    """
    formula, mean, se, observed, fixed, drawn = LME4[name]
    data = load(name)
    result, at = crossedmixedlm(formula, data).fit(), [0, 9, 59]
    found = get_prediction(result, random_effects=True, interval="prediction")
    assert_allclose(np.asarray(found.predicted)[at], mean, rtol=1e-8)
    assert_allclose(found.se[at], se, rtol=1e-7)
    assert_allclose(found.se_obs[at], observed, rtol=1e-7)
    found = get_prediction(result, interval="prediction")
    assert_allclose(found.se[at], fixed, rtol=1e-7)
    assert_allclose(found.se_obs[at], drawn, rtol=1e-7)


def test_joint_covariance_of_lme4():
    """Sleepstudy, fixed effects and the modes of subject 308, as above."""
    data = load("sleepstudy")
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    wanted = [
        [46.574571859406, -1.451095705854, -34.004996592362, -0.533574073153],
        [-1.451095705854, 2.389463311908, -0.533574073152, -1.948425583240],
        [-34.004996592362, -0.533574073153, 171.615372279742, -19.719495486071],
        [-0.533574073152, -1.948425583240, -19.719495486071, 6.965572935182],
    ]
    assert_allclose(joint_covariance(result).iloc[:4, :4], wanted, rtol=1e-6)


# invariances ---------------------------------------------------------------


def both(result, frame, **kwargs):
    found = get_prediction(
        result,
        frame,
        random_effects=True,
        new_levels="population",
        interval="prediction",
        **kwargs,
    )
    return np.array([found.predicted, found.se, found.se_obs])


def test_invariances(data, new):
    formula = "y ~ x + f + (x | g) + (1 | h)"
    expected = both(crossedmixedlm(formula, data).fit(), new)
    shuffled = data.sample(frac=1.0, random_state=0)
    assert_allclose(both(crossedmixedlm(formula, shuffled).fit(), new), expected, 1e-7)
    scaled = crossedmixedlm(formula, data.assign(y=1e-6 * data["y"])).fit()
    assert_allclose(both(scaled, new), 1e-6 * expected, 1e-7)

    def other(frame):
        return frame.assign(x=1e4 + 100.0 * frame["x"], g="k" + frame["g"].str[::-1])

    moved = crossedmixedlm(formula, other(data)).fit()
    assert_allclose(both(moved, other(new)), expected, 1e-6)
    swapped = crossedmixedlm("y ~ f + x + (1 | h) + (1 + x | g)", data).fit()
    assert_allclose(both(swapped, new), expected, 1e-7)
    order = [3, 7, 0, 0, 6]
    again = both(swapped, new.iloc[order])
    assert_allclose(again, both(swapped, new)[:, order], 1e-12)


def test_weights_of_equal_size_are_a_scale(data, new):
    formula = "y ~ x + f + (x | g) + (1 | h)"
    expected = both(crossedmixedlm(formula, data).fit(), new)
    result = crossedmixedlm(formula, data, weights=np.full(N, 4.0)).fit()
    assert_allclose(both(result, new, weights=np.full(8, 4.0)), expected, 1e-7)


def test_without_variance_they_are_those_of_least_squares():
    """A singular fit is the linear model, whose intervals statsmodels knows."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.uniform(size=48), "g": np.arange(48) % 6})
    # residuals whose means by group are all zero
    noise = rng.standard_normal(48)
    frame["y"] = (
        frame["x"] + noise - pd.Series(noise).groupby(frame["g"]).transform("mean")
    )
    result = crossedmixedlm("y ~ x + (1 | g)", frame).fit()
    assert result.is_singular
    new = pd.DataFrame({"x": [0.1, 3.0, 0.1], "g": [2, 5, 77]})
    wanted = smf.ols("y ~ x", frame).fit().get_prediction(new).summary_frame()
    found = get_prediction(
        result,
        new,
        random_effects=True,
        new_levels="population",
        interval="prediction",
        df_method="residual",
    ).summary_frame()
    columns = ["mean", "mean_se", "mean_ci_lower", "mean_ci_upper"]
    columns += ["obs_ci_lower", "obs_ci_upper"]
    assert_allclose(found, wanted[columns], rtol=1e-7)


# new levels, missing values, other inputs ----------------------------------


def test_new_levels(data, new):
    result = Case("crossed", data).result
    with pytest.raises(DataError, match="new levels of g: gnew"):
        get_prediction(result, new, random_effects=True)
    found = get_prediction(result, new, random_effects=True, new_levels="nan")
    assert found.summary_frame().isna().all(axis=1).tolist() == [False] * 6 + [True] * 2
    known = get_prediction(result, new[:6], random_effects=True)
    assert_allclose(found.se[:6], known.se, rtol=1e-12)
    # levels do not matter where no mode is added
    assert np.isfinite(get_prediction(result, new, interval="prediction").se_obs).all()


def test_missing_values(data, new):
    result = Case("crossed", data).result
    holes = new[:6].astype({"g": object})
    holes.iloc[1, holes.columns.get_loc("x")] = np.nan
    holes.iloc[4, holes.columns.get_loc("g")] = None
    found = get_prediction(
        result, holes, random_effects=True, interval="prediction"
    ).summary_frame()
    assert found.isna().all(axis=1).tolist() == [False, True, False, False, True, False]
    full = get_prediction(
        result, new[:6], random_effects=True, interval="prediction"
    ).summary_frame()
    rows = [0, 2, 3, 5]
    assert_allclose(found.iloc[rows], full.iloc[rows], rtol=1e-12)


def test_no_rows(data, new):
    found = get_prediction(Case("crossed", data).result, new[:0], random_effects=True)
    assert found.summary_frame().shape == (0, 4)


def test_columns_that_are_needed(data, new):
    result = Case("singular", data).result
    plain = new[["x", "f"]]
    assert np.isfinite(get_prediction(result, plain).se).all()
    with pytest.raises(DataError, match="no column 'flat'"):
        get_prediction(result, plain, interval="prediction")
    # the effect columns of a new draw, not its level
    part = new[["x", "f", "flat"]]
    found = get_prediction(result, part, interval="prediction").se_obs
    expected = get_prediction(result, new, interval="prediction").se_obs
    assert_allclose(found, expected, rtol=1e-14)
    with pytest.raises(DataError, match="'g'"):
        get_prediction(result, part, random_effects="g")


def test_one_row_as_a_series(data, new):
    result = Case("weights", data).result
    options = {"random_effects": True, "interval": "prediction", "weights": "w"}
    expected = get_prediction(result, new[:6], **options).summary_frame()
    found = get_prediction(result, new.loc[2], **options).summary_frame()
    assert_allclose(found, expected.loc[[2]], rtol=1e-12)


def test_weights_of_new_observations(data, new):
    result = Case("weights", data).result
    assert np.isfinite(get_prediction(result, new).se).all()
    with pytest.raises(DataError, match=r"model has weights.*pass weights"):
        get_prediction(result, new, interval="prediction")
    plain = get_prediction(result, new, interval="prediction", weights=np.ones(8))
    found = get_prediction(result, new, interval="prediction", weights="w")
    assert_allclose(
        found.var_obs - plain.var_obs, result.scale * (1.0 / new["w"] - 1.0), rtol=1e-8
    )
    for bad, match in (
        (np.ones(3), r"weights has shape \(3,\) but the data have 8 rows"),
        ("nowhere", "column 'nowhere' not in data"),
        (np.zeros(8), "must be positive"),
        (-np.ones(8), "negative"),
    ):
        with pytest.raises(DataError, match=match):
            get_prediction(result, new, interval="prediction", weights=bad)


def test_arguments(data, new):
    result = Case("crossed", data).result
    for options, match in (
        ({"interval": "both"}, "interval must be 'confidence' or 'prediction'"),
        ({"new_levels": "zero"}, "new_levels must be"),
        ({"df_method": "exact"}, "df_method must be"),
        ({"random_effects": "k"}, "no random effects k"),
    ):
        with pytest.raises(ValueError, match=match):
            get_prediction(result, new, **options)
    found = get_prediction(result, new)
    with pytest.raises(ValueError, match="interval='prediction'"):
        found.conf_int(obs=True)
    assert "obs_ci_lower" not in found.summary_frame()


def test_models_from_arrays(data):
    """The rows of the fit have everything; new rows only a design."""
    x = np.column_stack([np.ones(N), data["x"]])
    random = {"g": (data["g"], x), "h": data["h"]}
    result = CrossedMixedLM(data["y"].to_numpy(), x, random=random).fit()
    twin = crossedmixedlm("y ~ x + (x | g) + (1 | h)", data).fit()
    for asked in (True, False):
        options = {"random_effects": asked, "interval": "prediction"}
        found = get_prediction(result, **options).summary_frame()
        expected = get_prediction(twin, **options).summary_frame()
        assert_allclose(found, expected, rtol=1e-7)
    table = get_prediction(result, x.tolist()).summary_frame()
    assert_allclose(table, get_prediction(twin).summary_frame(), rtol=1e-7)
    for options in ({"interval": "prediction"}, {"random_effects": True}):
        with pytest.raises(ValueError, match="random effects at new rows need"):
            get_prediction(result, x, **options)


def test_data_that_were_removed(data, new):
    result = crossedmixedlm("y ~ x + f + (x | g) + (1 | h)", data).fit()
    result.remove_data()
    for call in (
        lambda: joint_covariance(result),
        lambda: get_prediction(result),
        lambda: get_prediction(result, new[:6], random_effects=True),
    ):
        with pytest.raises(DataError, match="data of the model were removed"):
            call()
    expected = get_prediction(Case("crossed", data).result, new).summary_frame()
    found = get_prediction(result, new).summary_frame()
    assert_allclose(found, expected, rtol=1e-12)


def test_pickled_results(data, new):
    result = Case("crossed", data).result
    other = pickle.loads(pickle.dumps(result))
    assert_allclose(
        get_prediction(other, new[:6], random_effects=True).se,
        get_prediction(result, new[:6], random_effects=True).se,
        rtol=1e-12,
    )


# degrees of freedom --------------------------------------------------------


def test_residual_degrees_of_freedom(data, new):
    result = Case("crossed", data).result
    for options in ({}, {"random_effects": "h"}):
        found = get_prediction(result, new[:6], df_method="residual", **options)
        normal = get_prediction(result, new[:6], df_method="asymptotic", **options)
        assert_allclose(found.se, normal.se, rtol=1e-14)
        half = stats.t.isf(0.025, N - 4) * found.se
        assert_allclose(found.conf_int()[:, 1], found.predicted + half, rtol=1e-12)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_of_each_row(method, data, new, monkeypatch):
    result = Case("crossed", data).result
    covariance = 1.5 * result._results.normalized_cov_params * result.scale
    asked = []

    def df(contrast):
        asked.append(np.array(contrast))
        return 5.0 + contrast @ contrast

    def variances(rows):
        return np.einsum("ij,jk,ik->i", rows, np.asarray(covariance), rows)

    def inference(results, df_method):
        if df_method == "asymptotic":
            return true_inference(results, df_method)
        assert results is result._results
        assert df_method == method
        return SimpleNamespace(df=df, variances=variances)

    true_inference = prediction_module.inference
    monkeypatch.setattr(prediction_module, "inference", inference)
    rows = pd.concat([new, new.assign(x=np.nan)[:1]], ignore_index=True)
    found = get_prediction(result, rows, df_method=method)
    design = Case("crossed", data).fixed(new)
    plain = get_prediction(result, new)
    assert_allclose(found.se[:8], np.sqrt(1.5) * plain.se, rtol=1e-12)
    half = stats.t.isf(0.05, 5.0 + (design**2).sum(axis=1)) * found.se[:8]
    assert_allclose(
        found.conf_int(alpha=0.1)[:8, 1], plain.predicted + half, rtol=1e-12
    )
    assert np.isnan(found.conf_int()[8]).all()
    # once for equal rows
    asked.clear()
    get_prediction(result, pd.concat([new] * 3), df_method=method)
    assert len(asked) == 8
    for options in ({"random_effects": True}, {"interval": "prediction"}):
        with pytest.raises(ValueError, match="confidence intervals of the fixed part"):
            get_prediction(result, new, df_method=method, **options)
