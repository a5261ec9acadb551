"""
Fits with covariance structures, held against dense algebra, R and each other.

The criterion is computed here from n x n matrices and minimized by SciPy; numbers of
lme4 and nlme are frozen, with the calls that gave them.
"""

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import optimize, stats

from statsmodels_lmm import CrossedMixedLM, random_effects
from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.structures import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
    Fixed,
    Known,
    Parameter,
    Structure,
    deviation,
)

N, TIMES, SEED = 96, 4, 42
K = 0.5 * np.eye(TIMES) + 0.5 * 0.6 ** np.abs(np.subtract.outer(range(4), range(4)))


def lags(k):
    return np.abs(np.subtract.outer(np.arange(k), np.arange(k)))


def toeplitz(row):
    """A small matrix, without the overhead of SciPy's function."""
    return row[lags(len(row))]


def stationary(partial):
    """A Toeplitz correlation matrix from partial autocorrelations, any in (-1, 1)."""
    r, phi = np.ones(1), np.zeros(0)
    for p in partial:
        r = np.append(r, phi @ r[:0:-1] + p * (1.0 - phi @ r[1:]))
        phi = np.append(phi - p * phi[::-1], p)
    return toeplitz(r)


class Toeplitz(Structure):
    """One variance and a partial autocorrelation for each distance."""

    name = "toep"

    def parameters(self, effects):
        k = len(effects)
        lags = [Parameter(f"rho{d}", -1.0, 1.0, 0.0, "cor") for d in range(1, k)]
        return [deviation(self.name), *lags]

    def covariance(self, theta, k):
        return theta[0] ** 2 * stationary(theta[1:])


class Careless(Toeplitz):
    """Correlations by distance in ranges in which there is not always a matrix."""

    def covariance(self, theta, k):
        return theta[0] ** 2 * toeplitz(np.append(1.0, theta[1:]))


OWN = {"toep": Toeplitz(), "known": Known(K), "fixed": Fixed(K)}


@pytest.fixture(scope="module")
def data():
    """Twelve subjects at four times, two rows each, and two crossed factors."""
    rng = np.random.default_rng(SEED)
    g, t = np.repeat(np.arange(12), 8), np.tile(np.repeat(np.arange(4), 2), 12)
    h, k = rng.permutation(np.arange(N) % 6), rng.permutation(np.arange(N) % 5)
    x, z = rng.standard_normal((2, N))
    root = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(range(4), range(4))))
    at_times = 1.1 * rng.standard_normal((12, 4)) @ root.T
    own = rng.standard_normal((12, 3)) @ np.linalg.cholesky(0.6 + 0.4 * np.eye(3)).T
    y = 3.0 + 0.5 * x + at_times[g, t] + own[g, 0] + own[g, 1] * x + own[g, 2] * z
    y += rng.standard_normal((6, 4))[h, t] + 0.7 * rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "t": t, "h": h, "k": k})
    frame["g"], frame["half"] = [f"s{i}" for i in g], t // 2
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    frame["twice"] = 2.0 * x - 1.0
    return frame.sample(frac=1.0, random_state=1).reset_index(drop=True)


@pytest.fixture(scope="module")
def sleep():
    return load("sleepstudy")


# the dense criterion --------------------------------------------------------


def unstructured(theta):
    k = int((np.sqrt(8 * len(theta) + 1) - 1) / 2)
    lower = np.zeros((k, k))
    column, row = np.triu_indices(k)
    lower[row, column] = theta
    return lower @ lower.T


def het_cs(theta):
    s, rho = theta[:-1], theta[-1]
    return np.outer(s, s) * (rho + (1 - rho) * np.eye(len(s)))


def hom_cs(k):
    return lambda theta: het_cs(np.append(np.full(k, theta[0]), theta[1]))


def het_ar(theta):
    s, rho = theta[:-1], theta[-1]
    return np.outer(s, s) * rho ** lags(len(s))


def hom_ar(k):
    return lambda theta: theta[0] ** 2 * theta[1] ** lags(k)


SD, COR, ANY = (0.0, None), (-0.999, 0.999), (None, None)
INTERCEPT, SLOPE, PLANE, EACH = ("1",), ("1", "x"), ("1", "x", "z"), ("t",)

CASES = {
    # formula, options, terms: (factors, effects, S, ranges)
    "cs": (
        "x + cs(1 + x + z | g)",
        {},
        [(["g"], PLANE, het_cs, [SD] * 3 + [(-0.499, 0.999)])],
    ),
    "cs hom": (
        "x + cs(0 + C(t) | g, hom=TRUE)",
        {},
        [(["g"], EACH, hom_cs(4), [SD, (-0.333, 0.999)])],
    ),
    "ar1": ("x + ar1(0 + factor(t) | g)", {}, [(["g"], EACH, hom_ar(4), [SD, COR])]),
    "ar1 het": (
        "x + ar1(0 + C(t) | g, hom=FALSE)",
        {},
        [(["g"], EACH, het_ar, [SD] * 4 + [COR])],
    ),
    "diag hom": (
        "x + diag(0 + C(t) | g, hom=True)",
        {},
        [(["g"], EACH, lambda t: t[0] ** 2 * np.eye(4), [SD])],
    ),
    "known": (
        "x + known(0 + C(t) | g)",
        {},
        [(["g"], EACH, lambda t: t[0] ** 2 * K, [SD])],
    ),
    "fixed": (
        "x + fixed(0 + C(t) | g) + (1 | h)",
        {},
        [(["g"], EACH, lambda t: K, []), (["h"], INTERCEPT, unstructured, [SD])],
    ),
    "user": (
        "x + toep(0 + C(t) | g)",
        {},
        [
            (
                ["g"],
                EACH,
                lambda t: t[0] ** 2 * stationary(t[1:]),
                [SD] + [COR] * 3,
            )
        ],
    ),
    "same group": (
        "x + (1 + x | g) + ar1(0 + C(t) | g)",
        {},
        [
            (["g"], SLOPE, unstructured, [SD, ANY, SD]),
            (["g"], EACH, hom_ar(4), [SD, COR]),
        ],
    ),
    "structured first": (
        "x + diag(0 + C(t) | g, hom=True) + (1 + x | g)",
        {},
        [
            (["g"], EACH, lambda t: t[0] ** 2 * np.eye(4), [SD]),
            (["g"], SLOPE, unstructured, [SD, ANY, SD]),
        ],
    ),
    "crossed": (
        "x + cs(1 + x | g, hom=TRUE) + ar1(0 + C(t) | h) + (1 | k)",
        {},
        [
            (["g"], SLOPE, hom_cs(2), [SD, COR]),
            (["h"], EACH, hom_ar(4), [SD, COR]),
            (["k"], INTERCEPT, unstructured, [SD]),
        ],
    ),
    "nested": (
        "x + cs(1 + x | g / half, hom=TRUE)",
        {},
        [
            (["g"], SLOPE, hom_cs(2), [SD, COR]),
            (["g", "half"], SLOPE, hom_cs(2), [SD, COR]),
        ],
    ),
    "weights": (
        "x + ar1(0 + C(t) | g) + (1 | h)",
        {"weights": "w"},
        [(["g"], EACH, hom_ar(4), [SD, COR]), (["h"], INTERCEPT, unstructured, [SD])],
    ),
    "offset": (
        "x + offset(o) + cs(1 + x | g)",
        {},
        [(["g"], SLOPE, het_cs, [SD, SD, COR])],
    ),
    "rank": (
        "x + twice + ar1(0 + C(t) | g)",
        {},
        [(["g"], EACH, hom_ar(4), [SD, COR])],
    ),
    "no fixed": ("0 + ar1(0 + C(t) | g)", {}, [(["g"], EACH, hom_ar(4), [SD, COR])]),
}


class Dense:
    """The criterion of a case from n x n matrices."""

    def __init__(self, name, data):
        formula, options, terms = CASES[name]
        self.ranges = [r for *_, ranges in terms for r in ranges]
        ends = np.cumsum([0] + [len(ranges) for *_, ranges in terms])
        self.parts = [
            (together(data, factors), columns(data, effects), function, slice(a, b))
            for (factors, effects, function, _), a, b in zip(terms, ends, ends[1:])
        ]
        self.y = data["y"].to_numpy()
        if "offset" in formula:
            self.y = self.y - data["o"].to_numpy()
        self.x = np.column_stack([np.ones(N), data["x"]])
        if formula.startswith("0"):
            self.x = np.empty((N, 0))
        self.noise = 1.0 / data["w"] if "weights" in options else np.ones(N)

    def spread(self, theta):
        """Z S Z', the relative covariance of the random part."""
        total = np.zeros((N, N))
        for same, effects, function, own in self.parts:
            total += same * (effects @ function(theta[own]) @ effects.T)
        return total

    def solve(self, theta, reml):
        """Criterion, fixed effects, their covariance over sigma^2, sigma^2."""
        nu = N - self.x.shape[1] * reml
        root = np.linalg.cholesky(np.diag(self.noise) + self.spread(theta))
        x, y = np.linalg.solve(root, self.x), np.linalg.solve(root, self.y)
        inverse = np.linalg.inv(x.T @ x)
        beta = inverse @ (x.T @ y)
        scale = ((y - x @ beta) ** 2).sum() / nu
        value = 2.0 * np.log(np.diag(root)).sum()
        value += nu * (1.0 + np.log(2.0 * np.pi * scale))
        if reml and len(beta):
            value -= np.linalg.slogdet(inverse)[1]
        return value, beta, inverse, scale

    def criterion(self, theta, reml):
        return self.solve(np.asarray(theta, dtype=float), reml)[0]

    def full(self, parameters, reml):
        """The same for (parameters, sigma^2), sigma^2 not profiled out."""
        theta, scale = parameters[:-1], parameters[-1]
        value, _, _, best = self.solve(theta, reml)
        nu = N - self.x.shape[1] * reml
        return value + nu * (np.log(scale / best) + best / scale - 1.0)


def codes(data, factors):
    return pd.factorize(data[factors].astype(str).agg(":".join, axis=1))[0]


def together(data, factors):
    """Whether two rows are of one level, n x n."""
    level = codes(data, factors)
    return level[:, None] == level


def columns(data, effects):
    if effects == EACH:
        return (data["t"].to_numpy()[:, None] == np.arange(TIMES)).astype(float)
    return np.column_stack([np.ones(N) if e == "1" else data[e] for e in effects])


def model(name, data):
    formula, options, _ = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return crossedmixedlm(f"y ~ {formula}", data, structures=OWN, **options)


@pytest.fixture(scope="module", params=CASES)
def case(request, data):
    return Dense(request.param, data), model(request.param, data)


@functools.cache
def fitted(own, reml):
    """The fit of a case, which two tests look at."""
    return own.fit(reml=reml)


@pytest.mark.parametrize("reml", [True, False])
def test_optimum(case, reml):
    dense, own = case
    result = fitted(own, reml)
    theta = result.theta.to_numpy()
    value, beta, inverse, scale = dense.solve(theta, reml)
    assert_allclose(-2.0 * result.llf, value, rtol=1e-10)
    assert_allclose(result.scale, scale, rtol=1e-8)
    kept = result.params.dropna().index
    assert_allclose(result.params[kept], beta, rtol=1e-8)
    if len(kept):
        errors = np.sqrt(scale * np.diag(inverse))
        assert_allclose(result.bse[kept], errors, rtol=1e-8)
    if dense.ranges:
        # from a large deviation the search may be thrown to zero and stay there
        starts = [
            [sd if low == 0.0 else other for low, _ in dense.ranges]
            for sd in (0.2, 0.6)
            for other in (0.1, 0.7)
        ]
        best = min(
            optimize.minimize(
                dense.criterion, start, (reml,), "L-BFGS-B", bounds=dense.ranges
            ).fun
            for start in starts
        )
        assert value <= best + 1e-6
        assert_allclose(value, best, atol=1e-3)
    assert result.converged
    assert result.optimum.evaluations < 30


@pytest.mark.parametrize("reml", [True, False])
def test_modes_and_fitted_values(case, reml):
    dense, own = case
    result = fitted(own, reml)
    spread = dense.spread(result.theta.to_numpy())
    v = np.diag(dense.noise) + spread
    fixed = dense.x @ result.params.dropna().to_numpy()
    random = spread @ np.linalg.solve(v, dense.y - fixed)
    offset = own.endog - dense.y
    # modes are BLUPs: their sum over the terms is this
    assert_allclose(result.fittedvalues - offset, fixed + random, rtol=1e-7)


def slopes(function, at, h=1e-4):
    """First derivatives by differences of fourth order."""
    steps = h * np.eye(len(at))
    return np.array(
        [
            (8 * (function(at + s) - function(at - s)))
            - (function(at + 2 * s) - function(at - 2 * s))
            for s in steps
        ]
    ) / (12 * h)


@pytest.mark.parametrize("reml", [True, False])
def test_derivatives_at_any_theta(case, reml):
    dense, own = case
    rng = np.random.default_rng(5)
    theta = rng.uniform(0.15, 0.4, len(dense.ranges))
    value = dense.criterion(theta, reml)
    assert_allclose(-2.0 * own.loglike(theta, reml), value, rtol=1e-10)
    if not len(theta):
        return
    first = slopes(lambda t: dense.criterion(t, reml), theta)
    assert_allclose(-2.0 * own.score(theta, reml), first, rtol=1e-6, atol=1e-6)
    second = slopes(lambda t: own.score(t, reml), theta)
    found = own.hessian(theta, reml)
    assert_allclose(found, second, rtol=1e-6, atol=1e-5)
    assert_allclose(found, found.T, rtol=1e-10)


def test_theta_at_the_ends_of_the_ranges(data):
    dense, own = Dense("cs hom", data), model("cs hom", data)
    for theta in ([0.0, 0.3], [0.9, 1.0], [0.9, -1.0 / 3.0]):
        found = -2.0 * own.loglike(theta, False)
        assert_allclose(found, dense.criterion(theta, False), rtol=1e-9)


@pytest.mark.parametrize("theta", [[0.9, 1.2], [0.9, -0.5], [-0.9, -0.5]])
def test_theta_outside_of_the_ranges_is_refused(data, theta):
    """There is no such covariance matrix, so there is no likelihood either."""
    own = model("cs hom", data)
    try:
        value = own.loglike(theta)
    except ValueError:
        return
    assert not np.isfinite(value)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_matrix_that_is_none_is_not_fitted(seed):
    """Where a structure of the user is not positive semi-definite."""
    best = np.array([[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]])
    frame = made(best, 30, 3, seed)
    structure = Careless()
    own = crossedmixedlm("y ~ toep(0 + f | g)", frame, structures={"toep": structure})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = own.fit()
        except ValueError:
            return
    expected = structure.covariance(result.theta.to_numpy(), 3)
    assert np.linalg.eigvalsh(expected)[0] > -1e-8
    assert_allclose(result.cov_re["g"] / result.scale, expected, atol=1e-8)


def test_start_params(data):
    own = model("cs", data)
    best = own.fit()
    for start in (
        [1.0, 1.0, 1.0, 0.0],
        [0.2, 0.9, 2.0, 0.8],
        [2.0, 0.1, 0.5, -0.3],
        best.theta.to_numpy(),
    ):
        result = own.fit(start_params=start)
        assert result.converged
        assert_allclose(result.llf, best.llf, rtol=1e-10)
    with pytest.raises(ValueError, match="theta has 4 entries"):
        own.fit(start_params=[1.0, 0.0])


# numbers of R ---------------------------------------------------------------

# lme4 2.0, tests/testthat/test-covariance_structures.R, ML
LME4 = {
    "Days + us(Days | Subject)": -875.96967223,
    "Days + cs(Days | Subject)": -875.96967223,
    "Days + diag(Days | Subject)": -876.00162757,
    "factor(Days) + ar1(0 + factor(Days) | Subject)": -868.28808032,
}


@pytest.mark.parametrize("formula", LME4)
def test_lme4(sleep, formula):
    result = crossedmixedlm(f"Reaction ~ {formula}", sleep).fit(reml=False)
    # lme4's own optimizer stops as far as 2e-9 from the best
    assert_allclose(result.llf, LME4[formula], atol=5e-9)
    assert result.llf > LME4[formula] - 5e-9


def test_lme4_ar1(sleep):
    formula = "Reaction ~ factor(Days) + ar1(0 + factor(Days) | Subject)"
    result = crossedmixedlm(formula, sleep).fit(reml=False)
    table = result.variance_components().set_index("effect2")
    assert_allclose(np.sqrt(result.scale), 14.571586, rtol=1e-5)
    assert_allclose(table["variance"].iloc[0], 2127.0964, rtol=1e-5)
    assert_allclose(table.loc["rho", "sd"], 0.880257, rtol=1e-6)


# nlme 3.1-162: log-likelihood, parameters, sigma, fixed effects, standard errors
# f(random) is lme(Reaction ~ Days, sleepstudy, random=list(Subject=random)), or
# lme(score ~ Machine, Machines, random=list(Worker=random))
NLME = [
    # pdCompSymm(~Days)
    (
        *("sleepstudy", "cs(Days | Subject, hom=TRUE)", True, -878.887153936),
        [7.22765654839, 0.592539216072, 27.8347413732],
        [251.405104848, 10.4672859596],
        [4.21563105906, 1.85037841426],
    ),
    # the same, method="ML"
    (
        *("sleepstudy", "cs(Days | Subject, hom=TRUE)", False, -882.738879228),
        [6.71294962349, 0.698984356471, 27.8836747887],
        [251.405104848, 10.4672859596],
        None,
    ),
    # pdIdent(~Days)
    (
        *("sleepstudy", "diag(Days | Subject, hom=TRUE)", True, -879.574949776),
        [8.89874302564, 27.3744729806],
        [251.405104848, 10.4672859596],
        [4.33370548022, 2.21448263857],
    ),
    # gls(Reaction ~ Days, sleepstudy, correlation=corExp(c(5, 0.2),
    #     form=~Days | Subject, nugget=TRUE), method="REML"); with r = exp(-1 / range)
    # and a nugget n: rho = r, sd^2 = (1 - n) s^2, sigma^2 = n s^2
    (
        *("sleepstudy", "ar1(0 + factor(Days) | Subject)", True, -867.093233999),
        [47.3398546528, 0.883503682954, 15.1311677695],
        [253.907391043, 10.4488543973],
        [11.3652180763, 1.51759412936],
    ),
    # pdCompSymm(~Machine - 1)
    (
        *("machines", "cs(0 + Machine | Worker, hom=TRUE)", True, -107.843784004),
        [6.06365410299, 0.621695655274, 0.96157663829],
        [52.3555555556, 7.96666666667, 13.9166666667],
        [2.48583020866, 2.17697547088, 2.17697547088],
    ),
    # the same, method="ML"
    (
        *("machines", "cs(0 + Machine | Worker, hom=TRUE)", False, -112.63472347),
        [5.5306915825, 0.622739688158, 0.961576637435],
        [52.3555555556, 7.96666666667, 13.9166666667],
        None,
    ),
    # pdIdent(~Machine - 1)
    (
        *("machines", "diag(0 + Machine | Worker, hom=TRUE)", True, -110.627795025),
        [6.06365410716, 0.961576637975],
        [52.3555555556, 7.96666666667, 13.9166666667],
        None,
    ),
    # pdDiag(~Machine - 1)
    (
        *("machines", "diag(0 + Machine | Worker)", True, -108.825539288),
        [4.07928067189, 8.62529081944, 4.38947955815, 0.961576638144],
        [52.3555555556, 7.96666666667, 13.9166666667],
        None,
    ),
]


@pytest.mark.parametrize(
    ("name", "term", "reml", "llf", "parameters", "fixed", "errors"), NLME
)
def test_nlme(name, term, reml, llf, parameters, fixed, errors):
    frame = load(name)
    start = {"sleepstudy": "Reaction ~ Days", "machines": "score ~ Machine"}[name]
    result = crossedmixedlm(f"{start} + {term}", frame).fit(reml=reml)
    assert_allclose(result.llf, llf, atol=2e-9)
    # nlme's optimizers stop at a relative change of 1e-6 of the criterion
    found = result.variance_parameters()["estimate"]
    assert_allclose(found, parameters, rtol=1e-4)
    assert_allclose(result.params, fixed, rtol=1e-6)
    if errors is not None:
        assert_allclose(result.bse, errors, rtol=1e-4)


# identities -----------------------------------------------------------------


def both(data, first, second, reml=True, **options):
    return [
        crossedmixedlm(f"y ~ {f}", data, **options).fit(reml=reml)
        for f in (first, second)
    ]


def same_fit(one, two, rtol=1e-6):
    assert one.converged
    assert two.converged
    assert_allclose(one.llf, two.llf, rtol=1e-10)
    assert_allclose(one.params, two.params, rtol=rtol)
    assert_allclose(one.bse, two.bse, rtol=rtol)
    assert_allclose(one.scale, two.scale, rtol=rtol)
    assert_allclose(one.fittedvalues, two.fittedvalues, rtol=rtol)


@pytest.mark.slow
def test_cs_of_two_effects_is_unstructured(data):
    cs, us = both(data, "x + cs(x | g) + (1 | h)", "x + (x | g) + (1 | h)")
    same_fit(cs, us)
    assert_allclose(cs.cov_re["g"], us.cov_re["g"], rtol=1e-6)
    one, two = cs.random_effects["g"], us.random_effects["g"]
    assert_allclose(one, two, rtol=1e-5, atol=1e-8)
    for level, covariance in us.random_effects_cov["g"].items():
        assert_allclose(cs.random_effects_cov["g"][level], covariance, rtol=1e-5)
    for scale in ("sd", "var", "log_sd"):
        one, two = (r.variance_parameters(scale) for r in (cs, us))
        assert_allclose(one, two, rtol=1e-5)
    for method in ("satterthwaite", "kenward-roger"):
        one, two = (r.with_df_method(method) for r in (cs, us))
        assert_allclose(one.bse, two.bse, rtol=1e-6)
        assert_allclose(one.conf_int(), two.conf_int(), rtol=1e-5)
        assert_allclose(one.pvalues, two.pvalues, rtol=1e-4)
    one, two = (r.profile(which="random").conf_int() for r in (cs, us))
    assert_allclose(one, two, rtol=1e-5)
    one, two = (r.profile(which="x").conf_int() for r in (cs, us))
    assert_allclose(one, two, rtol=1e-6)
    one, two = (r.get_prediction(random_effects=True).se for r in (cs, us))
    assert_allclose(one, two, rtol=1e-6)
    one, two = (r.get_influence().cooks_distance[0] for r in (cs, us))
    assert_allclose(one, two, rtol=1e-5)
    assert one.shape == (N,)


def test_bootstrap_of_cs_of_two_effects(data):
    cs, us = both(data, "x + cs(x | g)", "x + (x | g)")
    one, two = (r.bootstrap(20, rng=3, n_jobs=1) for r in (cs, us))
    # theta is something else; everything else is the same
    same = [not n.startswith("theta") for n in one.estimates.index]
    assert sum(same) == 8
    one, two = (np.asarray(b.draws)[:, same] for b in (one, two))
    assert_allclose(one, two, rtol=1e-3, atol=1e-4)


def test_diag(data):
    diag, bars = both(data, "x + diag(x | g)", "x + (x || g)")
    same_fit(diag, bars)
    assert_allclose(diag.theta, bars.theta, rtol=1e-8)
    hom, one = both(data, "diag(1 | g, hom=TRUE)", "(1 | g)")
    same_fit(hom, one)


def test_ar1_of_two_times_is_cs(data):
    ar1, cs = both(data, "ar1(0 + C(half) | g)", "cs(0 + C(half) | g, hom=True)")
    same_fit(ar1, cs)
    assert_allclose(ar1.theta, cs.theta, rtol=1e-7)
    ar1, cs = both(data, "ar1(0 + C(half) | g, hom=False)", "cs(0 + C(half) | g)")
    same_fit(ar1, cs)
    assert_allclose(ar1.variance_parameters(), cs.variance_parameters(), rtol=1e-5)


@pytest.mark.parametrize("structure", ["cs", "ar1", "diag"])
def test_one_effect(data, structure):
    one, us = both(data, f"x + {structure}(1 | g)", "x + (1 | g)")
    same_fit(one, us)
    assert_allclose(one.theta, us.theta, rtol=1e-7)
    assert len(one.variance_parameters()) == 2


@pytest.mark.parametrize("reml", [True, False])
def test_compound_symmetry_of_a_factor_is_two_intercepts(reml):
    """With sd^2 rho the variance by worker, sd^2 (1 - rho) that by worker:machine."""
    frame = load("machines")
    start = "score ~ Machine + "
    cs = crossedmixedlm(start + "cs(0 + Machine | Worker, hom=TRUE)", frame)
    two = crossedmixedlm(start + "(1 | Worker) + (1 | Worker:Machine)", frame)
    cs, two = cs.fit(reml=reml), two.fit(reml=reml)
    same_fit(cs, two)
    sd, rho, _ = cs.variance_parameters()["estimate"]
    between, within = two.vcomp
    assert_allclose(sd**2 * rho, between, rtol=1e-6)
    assert_allclose(sd**2 * (1.0 - rho), within, rtol=1e-6)
    one, other = (r.with_df_method("satterthwaite").pvalues for r in (cs, two))
    assert_allclose(one, other, rtol=1e-4)
    if reml:
        one, other = (r.with_df_method("kenward-roger").bse for r in (cs, two))
        assert_allclose(one, other, rtol=1e-5)


def test_rows_and_labels(data):
    formula = "y ~ x + cs(x + z | g) + ar1(0 + C(t) | h)"
    result = crossedmixedlm(formula, data).fit()
    other = data.sample(frac=1.0, random_state=9)
    other["g"] = other["g"].map({f"s{i}": 100 - 7 * i for i in range(12)})
    again = crossedmixedlm(formula, other).fit()
    assert_allclose(again.llf, result.llf, rtol=1e-12)
    assert_allclose(again.theta, result.theta, rtol=1e-6)
    assert_allclose(again.params, result.params, rtol=1e-7)


def test_order_of_terms(data):
    terms = ["cs(x | g)", "ar1(0 + C(t) | g)", "(1 | h)"]
    results = [
        crossedmixedlm(f"y ~ x + {' + '.join(t)}", data).fit()
        for t in (terms, terms[::-1], terms[1:] + terms[:1])
    ]
    for result in results[1:]:
        same_fit(result, results[0])
        assert_allclose(
            result.theta.sort_index(), results[0].theta.sort_index(), rtol=1e-5
        )


@pytest.mark.parametrize("structure", ["cs", "ar1"])
def test_units(data, structure):
    """Standard deviations scale; rho and the certificate stay."""
    hom = ", hom=FALSE" if structure == "ar1" else ""
    formula = f"y ~ x + {structure}(x + z | g{hom})"
    result = crossedmixedlm(formula, data).fit()
    changed = data.assign(
        y=1e4 * data["y"] - 7e5, x=1e-3 * data["x"], z=1e5 * data["z"]
    )
    other = crossedmixedlm(formula, changed).fit()
    assert other.converged
    scales = np.array([1.0, 1e3, 1e-5])
    assert_allclose(other.theta.iloc[:3], result.theta.iloc[:3] * scales, rtol=1e-5)
    assert_allclose(other.theta.iloc[3], result.theta.iloc[3], rtol=1e-5, atol=1e-7)
    assert_allclose(other.scale, 1e8 * result.scale, rtol=1e-7)
    assert_allclose(
        other.llf + (N - 2) * np.log(1e4), result.llf - np.log(1e-3), atol=1e-6
    )
    errors, others = (r.variance_parameters()["std err"] for r in (result, other))
    units = np.array([1e4, 1e7, 1e-1, 1.0, 1e4])
    assert_allclose(others, errors * units, rtol=1e-4)


def test_a_reversed_order_of_times_is_the_same_ar1(data):
    result = crossedmixedlm("y ~ x + ar1(0 + C(t) | g)", data).fit()
    other = crossedmixedlm("y ~ x + ar1(0 + C(t) | g)", data.assign(t=3 - data["t"]))
    same_fit(result, other.fit())


def test_arrays(data):
    """Structures of models without a formula."""
    result = crossedmixedlm("y ~ x + cs(x | g) + ar1(0 + C(t) | h)", data).fit()
    exog = np.column_stack([np.ones(N), data["x"]])
    slope, each = columns(data, SLOPE), columns(data, EACH)
    for structures in (("cs", "ar1"), (CompoundSymmetry(False), AutoRegressive(True))):
        for random in (
            [(data["g"], slope, structures[0]), (data["h"], each, structures[1])],
            {
                "g": random_effects(data["g"], slope, structures[0]),
                "h": {
                    "groups": data["h"].to_numpy(),
                    "effects": each,
                    "structure": structures[1],
                },
            },
        ):
            own = CrossedMixedLM(data["y"].to_numpy(), exog, random=random)
            found = own.fit()
            assert_allclose(found.llf, result.llf, rtol=1e-12)
            assert_allclose(found.theta, result.theta, rtol=1e-6)
    # a matrix of its own: one level with all the effects
    block = np.zeros((N, 4))
    block[np.arange(N), data["t"]] = 1.0
    matrix = CrossedMixedLM(
        data["y"].to_numpy(), exog, random=[(block, AutoRegressive(True))]
    ).fit()
    frame = data.assign(one=np.arange(N) % 1)
    own = Dense("ar1", frame)
    own.parts[0] = (np.ones((N, N)), *own.parts[0][1:])
    value = own.criterion(matrix.theta.to_numpy(), True)
    assert_allclose(-2.0 * matrix.llf, value, rtol=1e-10)
    best = optimize.minimize(
        own.criterion, [0.5, 0.1], (True,), "L-BFGS-B", bounds=own.ranges
    )
    assert value <= best.fun + 1e-6


# edges ----------------------------------------------------------------------


def made(covariance, levels, repeats, seed, sigma=1.0):
    """Rows of levels with k correlated effects, one for each of k conditions."""
    rng = np.random.default_rng(seed)
    k = len(covariance)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    g = np.repeat(np.arange(levels), k * repeats)
    f = np.tile(np.repeat(np.arange(k), repeats), levels)
    b = rng.standard_normal((levels, k)) @ root.T
    y = 2.0 + b[g, f] + sigma * rng.standard_normal(len(g))
    return pd.DataFrame({"y": y, "g": g, "f": np.array(list("abcdefgh"))[f]})


def proved(result):
    assert result.converged
    assert result.optimum.evaluations < 30
    table = result.boundary_table()
    assert (table["dual"] >= -1e-5).all()
    assert not any("NOT" in note for note in str(result.summary()).splitlines())
    return table


@pytest.mark.parametrize("structure", ["ar1", "cs"])
@pytest.mark.parametrize("seed", range(6))
def test_a_correlation_of_one(structure, seed):
    """A random intercept, whatever the structure is called."""
    frame = made(np.ones((4, 4)), 30, 3, seed)
    formula = f"y ~ {structure}(0 + f | g, hom=True)"
    result = crossedmixedlm(formula, frame).fit()
    intercept = crossedmixedlm("y ~ (1 | g)", frame).fit()
    table = proved(result)
    assert result.llf >= intercept.llf - 1e-8
    sd, rho = result.theta
    if abs(result.llf - intercept.llf) > 1e-8:
        assert rho < 1.0
        assert not result.is_singular
        return
    assert rho == pytest.approx(1.0, abs=1e-12)
    assert_allclose(sd, intercept.theta.iloc[0], rtol=1e-6)
    assert result.is_singular
    assert table["rank"].tolist() == [1]
    assert "has rank 1 of 4" in " ".join(str(result.summary()).split())


def test_some_seeds_reach_a_correlation_of_one():
    """So that the test above cannot pass by its early return alone."""
    reached = [
        crossedmixedlm("y ~ ar1(0 + f | g)", made(np.ones((4, 4)), 30, 3, seed))
        .fit()
        .is_singular
        for seed in range(6)
    ]
    assert 1 <= sum(reached)


@pytest.mark.parametrize("hom", [True, False])
def test_the_lowest_correlation(hom):
    """Effects that sum to zero in every level."""
    frame = made(np.eye(3) - 1.0 / 3.0, 40, 4, 7)
    rest = frame.groupby(["g"])["y"].transform("mean")
    frame["y"] += 0.2 - rest
    result = crossedmixedlm(f"y ~ cs(0 + f | g, hom={hom})", frame).fit()
    table = proved(result)
    assert result.theta.iloc[-1] == pytest.approx(-0.5, abs=1e-12)
    assert result.is_singular
    assert table["rank"].tolist() == [2]
    assert "has rank 2 of 3" in " ".join(str(result.summary()).split())


@pytest.mark.parametrize("term", ["cs({}, hom=True)", "ar1({})", "diag({}, hom=True)"])
def test_no_variance(term):
    frame = made(np.zeros((3, 3)), 20, 4, 2)
    # less alike within cells than by chance, for any correlation
    cell = frame.groupby(["g", "f"])["y"].transform("mean")
    frame["y"] -= 0.999 * (cell - frame["y"].mean())
    formula = f"y ~ {term.format('0 + f | g')}"
    result = crossedmixedlm(formula, frame).fit()
    table = proved(result)
    assert result.theta.iloc[0] == 0.0
    assert result.is_singular
    assert table["rank"].tolist() == [0]
    assert np.isfinite(result.llf)
    said = " ".join(str(result.summary()).split())
    assert "On the boundary: the variances are estimated as 0" in said
    assert np.isfinite(result.bse).all()
    assert (result.fittedvalues - result.params.iloc[0]).abs().max() == 0.0


def test_a_negative_correlation():
    frame = made(hom_ar(5)([1.5, -0.7]), 60, 2, 3)
    result = crossedmixedlm("y ~ ar1(0 + f | g)", frame).fit()
    proved(result)
    assert -0.85 < result.theta.iloc[1] < -0.5
    assert not result.is_singular


def corner(structure):
    """One effect with little variance that goes against two that go together."""
    covariance = [[0.04, -0.15, -0.15], [-0.15, 1.0, 0.8], [-0.15, 0.8, 1.0]]
    frame = made(np.array(covariance), 40, 4, 1)
    function = {"cs": het_cs, "ar1": het_ar}[structure]
    low = {"cs": -0.499, "ar1": -0.999}[structure]
    level, f = frame["g"].to_numpy(), pd.factorize(frame["f"])[0]
    z, y = np.eye(3)[f], frame["y"].to_numpy()
    # levels are balanced, so one block of rows stands for all
    first = z[level == 0]
    means = y.reshape(40, 12)

    def criterion(theta):
        v = np.eye(12) + first @ function(np.asarray(theta)) @ first.T
        root = np.linalg.cholesky(v)
        one = np.linalg.solve(root, np.ones(12))
        rows = np.linalg.solve(root, means.T)
        weight = 40 * (one @ one)
        rest = rows - np.outer(one, np.full(40, (one @ rows).sum() / weight))
        nu = 480 - 1
        value = 80.0 * np.log(np.diag(root)).sum() + np.log(weight)
        return value + nu * (1.0 + np.log(2.0 * np.pi * (rest**2).sum() / nu))

    return frame, criterion, [SD] * 3 + [(low, 0.999)]


@pytest.mark.parametrize("structure", ["cs", "ar1"])
def test_no_variance_of_one_effect(structure):
    """
    The deviation is zero at the optimum, where the criterion rises at once.

    Its sign would matter for the correlations, so it cannot be reflected there.
    """
    frame, criterion, ranges = corner(structure)
    result = crossedmixedlm(f"y ~ {structure}(0 + f | g, hom=False)", frame).fit()
    theta = result.theta.to_numpy()
    assert_allclose(-2.0 * result.llf, criterion(theta), rtol=1e-10)
    best = min(
        optimize.minimize(
            criterion, start, method="L-BFGS-B", bounds=ranges, options={"ftol": 1e-14}
        ).fun
        for start in ([0.2, 0.8, 0.8, 0.5], [0.0, 0.8, 0.8, 0.8], [0.3, 0.8, 0.8, -0.1])
    )
    assert -2.0 * result.llf <= best + 1e-6
    assert theta[0] == 0.0
    table = proved(result)
    assert table["rank"].tolist() == [2]
    assert result.is_singular


def test_a_structure_between_fixed_effects_that_explain_it(data):
    """A factor that the fixed effects tell apart has no variance to estimate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = crossedmixedlm("y ~ C(g) + cs(1 | g) + (1 | h)", data).fit()
    assert result.theta.iloc[0] == 0.0
    assert result.converged


# formulas -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "names", "theta"),
    [
        ("us(x | g)", ["Intercept", "x"], 3),
        ("diag(x | g)", ["Intercept", "x"], 2),
        ("diag(x | g, hom = TRUE)", ["Intercept", "x"], 1),
        ("diag(x | g, hom=F)", ["Intercept", "x"], 2),
        ("cs(1+x|g)", ["Intercept", "x"], 3),
        ("cs(1 + x | g, hom=T)", ["Intercept", "x"], 2),
        ("cs(0 + C(t) | g, hom=False)", None, 5),
        ("cs(0 + factor(t) | g:k, hom=True)", None, 2),
        ("ar1(0 + factor( t ) | g)", None, 2),
        ("ar1(0 + C(t) | `g`)", None, 2),
        ("ar1(0 + C(t) | g, hom=FALSE)", None, 5),
        ("toep(0 + C(t) | g)", None, 4),
        ("(1 | g) + ar1(0 + C(t) | g)", None, 3),
        ("cs(x | g) + (1 | h)", None, 4),
    ],
)
def test_formulas(data, term, names, theta):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = crossedmixedlm(f"y ~ {term}", data, structures=OWN, check_levels=False)
    assert sum(r.grouped.n_parameters for r in own.random) == theta
    if names is not None:
        assert list(own.random[0].effect_names) == names


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("nope(x | g)", "unknown covariance structure 'nope'; known are us, diag"),
        ("us(x | g, hom=TRUE)", "after diag, cs and ar1"),
        ("toep(x | g, hom=TRUE)", "after diag, cs and ar1"),
        ("cs(x | g, hom=2)", "hom=True"),
        ("cs(x | g, hom)", "hom=True"),
        ("cs(x | g, TRUE)", "hom=True"),
        ("cs(x | g, )", "hom=True"),
        ("cs(x | g, het=TRUE)", "hom=True"),
        ("cs(x | g, hom=TRUE, hom=TRUE)", "hom=True"),
        ("cs(x || g)", "use either cs"),
        ("ar1(0 + C(t) || g)", "use either ar1"),
        ("cs(x)(1 | g)", "stand alone|parenthes|bar"),
        ("2 * cs(x | g)", "stand alone"),
        ("cs(x | g) + (1 | g)", "intercept"),
        ("cs(x | g) + cs(x | g)", "twice"),
        ("cs(x | g) - cs(z | g)", "cannot be subtracted"),
        ("cs(| g)", "effects"),
        ("cs(x | )", "effects"),
        ("log(x | g)", "a bar inside a call"),
    ],
)
def test_formulas_that_are_refused(data, term, message):
    with pytest.raises(FormulaError, match=message) as caught:
        crossedmixedlm(f"y ~ {term}", data, structures=OWN)
    text = str(caught.value)
    assert "^" in text
    # the caret stands under the formula
    assert term in text


@pytest.mark.parametrize(
    ("structures", "error", "message"),
    [
        ({"toep": Toeplitz}, TypeError, "object of a subclass"),
        ({"toep": np.eye(4)}, TypeError, "object of a subclass"),
        ({"toep": "cs"}, TypeError, "object of a subclass"),
        ({"cs": Toeplitz()}, ValueError, "cannot be the name"),
        ({"us": Toeplitz()}, ValueError, "cannot be the name"),
        ({"my toep": Toeplitz()}, ValueError, "cannot be the name"),
        ({"": Toeplitz()}, ValueError, "cannot be the name"),
        ({"a.b": Toeplitz()}, ValueError, "cannot be the name"),
        # these stand for functions in formulas, so no term could use them
        ({"C": Toeplitz()}, ValueError, "cannot be the name"),
        ({"factor": Toeplitz()}, ValueError, "cannot be the name"),
        (Toeplitz(), TypeError, "iterable|structures|dict"),
    ],
)
def test_structures_that_are_refused(data, structures, error, message):
    with pytest.raises(error, match=message):
        crossedmixedlm("y ~ (1 | g)", data, structures=structures)


@pytest.fixture(scope="module")
def user_llf(data):
    """Of the case "user"."""
    return model("user", data).fit().llf


@pytest.mark.slow
@pytest.mark.parametrize("name", ["y", "x", "g", "t"])
def test_a_structure_may_be_called_as_a_column(data, name, user_llf):
    own = {name: Toeplitz()}
    result = crossedmixedlm(f"y ~ x + {name}(0 + C(t) | g)", data, structures=own).fit()
    assert_allclose(result.llf, user_llf, rtol=1e-12)


class Wrong(Toeplitz):
    """A structure of which one method is wrong."""

    def __init__(self, **methods):
        for name, method in methods.items():
            setattr(self, name, method)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (
            Wrong(covariance=lambda t, k: (0.1 + abs(t[0] - 1.0)) * np.eye(k)),
            "not smooth",
        ),
        (Wrong(covariance=lambda t, k: 1.0 - t[0] ** 2 * np.eye(k)), "semi-definite"),
        (Wrong(covariance=lambda t, k: np.eye(k - 1)), r"shape \(3, 3\) for 4"),
        (Wrong(derivative=lambda t, k: np.zeros((4, k, k))), "derivative of toep"),
        (Wrong(derivative=lambda t, k: np.zeros((2, k, k))), "derivative"),
    ],
)
def test_wrong_structures(data, structure, message):
    with pytest.raises(ValueError, match=message):
        crossedmixedlm("y ~ toep(0 + C(t) | g)", data, structures={"toep": structure})


@pytest.mark.parametrize(
    "structure", ["toeplitz", 3, [1.0], CompoundSymmetry, {"cs": 1}]
)
def test_structures_of_arrays_that_are_refused(data, structure):
    with pytest.raises((DataError, TypeError), match="structure must be one of"):
        random_effects(data["g"], columns(data, SLOPE), structure)


# what is told ---------------------------------------------------------------


def test_labels(data):
    result = crossedmixedlm(
        "y ~ x + cs(x | g) + ar1(0 + C(t) | g) + toep(0 + C(half) | h)",
        data,
        structures=OWN,
    ).fit()
    assert list(result.theta.index) == [
        *("g.Intercept", "g.x", "g.cs.rho", "g.ar1", "g.ar1.rho"),
        *("h.toep", "h.toep.rho1"),
    ]
    table = result.variance_parameters()
    assert list(table.index) == [
        *("g: sd Intercept", "g: sd x", "g: cor cs rho", "g: sd ar1"),
        *("g: cor ar1 rho", "h: sd toep", "h: cor toep rho1", "sigma"),
    ]
    sigma, theta = np.sqrt(result.scale), result.theta
    assert_allclose(table["estimate"].iloc[0], sigma * theta.iloc[0])
    assert_allclose(table["estimate"].iloc[2], theta.iloc[2])
    assert result.n_params == 2 + 7 + 1
    covariance = result.cov_re["g"].to_numpy()
    ar1 = result.scale * hom_ar(4)(theta.iloc[3:5].to_numpy())
    assert_allclose(covariance[2:, 2:], ar1, rtol=1e-10, atol=1e-12)
    assert_allclose(covariance[:2, 2:], 0.0)
    text = str(result.summary())
    assert "toep, 2 effects" in text
    assert "ar1, hom, 4 effects" in text


def test_two_terms_of_one_structure_have_different_labels(data):
    """So that every parameter can be named, in profiles and tables."""
    frame = data.assign(a=data["k"] % 2)
    formula = "y ~ cs(0 + C(t) | g, hom=True) + cs(0 + C(a) | g, hom=True)"
    result = crossedmixedlm(formula, frame).fit()
    assert result.theta.index.is_unique
    assert result.variance_parameters().index.is_unique


def test_two_heterogeneous_terms_have_different_labels(data):
    frame = data.assign(a=data["k"] % 2)
    result = crossedmixedlm("y ~ cs(x | g) + cs(0 + C(a) | g)", frame).fit()
    assert result.theta.index.is_unique
    assert result.variance_parameters().index.is_unique


def test_boundary_notes_of_a_matrix_that_is_almost_singular():
    """Where rho counts as one but every direction still varies a little."""
    frame = made(np.ones((4, 4)), 30, 3, 0)
    own = crossedmixedlm("y ~ ar1(0 + f | g)", frame)
    result = own.fit()
    result._results.optimum.theta[1] = 1.0 - 5e-5
    assert result.is_singular
    assert "rank 4 of 4" not in " ".join(str(result.summary()).split())


# inference ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cs", "ar1", "ar1 het", "user", "same group"])
@pytest.mark.parametrize("reml", [True, False])
def test_standard_errors_of_variance_parameters(data, name, reml):
    """Inverse observed information of the dense criterion in (theta, sigma^2)."""
    dense, own = Dense(name, data), model(name, data)
    # of "ar1 het" the best optimum is on the boundary, another one inside
    inside = [1.0, 1.0, 1.0, 1.0, 0.0] if name == "ar1 het" else None
    result = own.fit(reml=reml, start_params=inside)
    theta, scale = result.theta.to_numpy(), result.scale
    if result.is_singular:
        pytest.fail("the case must be inside")
    kinds = [q.kind for e in result.model.random for b in e.quantities for q in b]
    at = np.append(theta, scale)

    def gradient(p):
        return slopes(lambda q: dense.full(q, reml), p, 1e-3)

    information = 0.5 * slopes(gradient, at, 1e-3)
    covariance = np.linalg.inv(0.5 * (information + information.T))

    def estimates(p):
        sigma = np.sqrt(p[-1])
        if name == "same group":
            s = unstructured(p[:3])
            first = [np.sqrt(s[0, 0]), np.sqrt(s[1, 1])]
            first = [*(sigma * np.array(first)), s[0, 1] / np.prod(first)]
            return np.array([*first, sigma * p[3], p[4], sigma])
        found = [q * (sigma if k == "sd" else 1.0) for q, k in zip(p, kinds)]
        return np.array([*found, sigma])

    jacobian = slopes(estimates, at).T
    expected = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    table = result.variance_parameters()
    assert_allclose(table["estimate"], estimates(at), rtol=1e-8)
    assert_allclose(table["std err"], expected, rtol=2e-4)


@pytest.mark.parametrize(
    ("name", "label", "position"),
    [
        ("ar1", "g: cor ar1 rho", 1),
        ("ar1", "g: sd ar1", 0),
        ("ar1", "sigma", -1),
        ("cs hom", "g: cor cs rho", 1),
        ("user", "g: cor toep rho2", 2),
        ("crossed", "h: sd ar1", 2),
    ],
)
def test_ends_of_profile_intervals(data, name, label, position):
    """There the criterion, minimized over the rest, has risen by the quantile."""
    dense, result = Dense(name, data), model(name, data).fit(reml=False)
    found = result.profile(which=label).conf_int()
    estimate = result.variance_parameters().loc[label, "estimate"]
    lower, upper = found.loc[label]
    assert lower < estimate < upper
    start = np.append(result.theta, result.scale)
    # the rest is free: theta and the logarithm of sigma
    kind = "sd" if " sd " in label else "sigma" if label == "sigma" else "cor"
    best = result.deviance_criterion
    for end in (lower, upper):
        if end in (0.0, 1.0, -1.0):
            continue

        def held(rest, end=end):
            sigma = np.exp(rest[-1])
            theta = np.array(rest[:-1])
            if kind == "sigma":
                sigma = end
            else:
                theta[position] = end / sigma if kind == "sd" else end
            try:
                return dense.full(np.append(theta, sigma**2), False)
            except np.linalg.LinAlgError:
                return 1e10

        free = np.append(start[:-1], 0.5 * np.log(start[-1]))
        bounds = [*dense.ranges, (None, None)]
        lowest = optimize.minimize(
            held,
            free,
            method="L-BFGS-B",
            jac="3-point",
            bounds=bounds,
            options={"ftol": 1e-13, "gtol": 1e-7},
        ).fun
        assert_allclose(lowest - best, stats.chi2.isf(0.05, 1), atol=2e-3)


def test_an_open_profile_ends_at_the_range():
    frame = made(np.ones((4, 4)), 30, 3, 1)
    result = crossedmixedlm("y ~ cs(0 + f | g, hom=True)", frame).fit()
    interval = result.profile(which="random").conf_int()
    assert interval.loc["g: cor cs rho", "upper"] == pytest.approx(1.0)
    assert interval.loc["g: cor cs rho", "lower"] > -1.0 / 3.0


def test_bootstrap(data):
    result = model("ar1", data).fit()
    first = result.bootstrap(12, rng=5, n_jobs=1)
    again = result.bootstrap(12, rng=5, n_jobs=1)
    shared = result.bootstrap(12, rng=5, n_jobs=2)
    assert_allclose(first.draws, again.draws, rtol=0, atol=0)
    assert_allclose(first.draws, shared.draws, rtol=0, atol=0)
    names = list(first.estimates.index)
    assert "g: cor ar1 rho" in names
    # each draw is the fit of a simulated response
    responses = np.asarray(result.simulate(12, rng=5))
    assert responses.shape == (N, 12)
    rho = np.asarray(first.draws)[:, names.index("g: cor ar1 rho")]
    assert np.ptp(rho) > 0.0
    assert np.abs(rho).max() <= 1.0


@pytest.mark.slow
def test_batch_refits_are_fits(data):
    """A bootstrap draw is what the model finds for its response by itself."""
    from statsmodels_lmm.inference.replicates.simulation import refit

    result = model("crossed", data).fit()
    responses = np.asarray(result.simulate(3, rng=8))
    for y in responses.T:
        own = result.model.with_response(y).fit()
        again = refit(result, y)
        assert_allclose(again.llf, own.llf, rtol=1e-9)


def test_simulated_covariances(data):
    """Drawn from the structure: AR(1) within a subject and time."""
    result = model("ar1", data).fit()
    draws = np.asarray(result.simulate(4000, rng=1))
    residual = draws - np.asarray(result.predict())[:, None]
    dense = Dense("ar1", data)
    theta = result.theta.to_numpy()
    expected = result.scale * (np.eye(N) + dense.spread(theta))
    found = residual @ residual.T / 4000
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # 96^2 / 2 correlated entries, each with standard error below 2 / sqrt(8000)
    assert (np.abs(found - expected) / size).max() < 5.0 * np.sqrt(2.0 / 4000)


def like(data, small, large, **options):
    small, large = (
        crossedmixedlm(f"y ~ x + {f}", data, structures=OWN).fit(reml=False)
        for f in (small, large)
    )
    test = large.compare_lr_test(small)
    statistic, _, df = test
    assert_allclose(statistic, 2.0 * (large.llf - small.llf), atol=1e-8)
    assert statistic >= -1e-7
    return df


@pytest.mark.parametrize(
    ("small", "large", "df"),
    [
        ("cs(x + z | g)", "(x + z | g)", 2),
        ("cs(x + z | g, hom=True)", "cs(x + z | g)", 2),
        ("cs(x + z | g, hom=True)", "(x + z | g)", 4),
        ("ar1(0 + C(t) | g)", "ar1(0 + C(t) | g, hom=False)", 3),
        ("ar1(0 + C(t) | g)", "(0 + C(t) | g)", 8),
        ("diag(x + z | g, hom=True)", "cs(x + z | g, hom=True)", 1),
        ("diag(x + z | g, hom=True)", "cs(x + z | g)", 3),
        ("diag(0 + C(t) | g, hom=True)", "ar1(0 + C(t) | g)", 1),
        ("diag(x + z | g)", "(x + z | g)", 3),
        # independent effects of different variances, too
        ("diag(x + z | g)", "cs(x + z | g)", 1),
        ("diag(x + z | g, hom=True)", "diag(x + z | g)", 2),
        ("diag(x + z | g)", "ar1(x + z | g, hom=False)", 1),
        # other effects have no variance
        ("(1 | g)", "cs(x + z | g)", 3),
        ("(1 | g)", "cs(x | g) + (1 | h)", 3),
        ("toep(0 + C(t) | g)", "(0 + C(t) | g)", 6),
    ],
)
def test_nested_structures(data, small, large, df):
    assert like(data, small, large) == df


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("ar1(0 + C(t) | g)", "cs(0 + C(t) | g)"),
        ("cs(0 + C(t) | g, hom=True)", "ar1(0 + C(t) | g, hom=False)"),
        ("(x | g)", "cs(x + z | g)"),
        ("(1 | g)", "cs(x | g, hom=True)"),
        ("known(0 + C(t) | g)", "cs(0 + C(t) | g)"),
    ],
)
def test_structures_that_are_not_nested(data, small, large):
    with pytest.raises(DataError, match=r"not nested|as many parameters"):
        like(data, small, large)


def test_fixed_effects_beside_a_structure_of_the_user(data):
    """The same structure, though each model was given an object of its own."""
    formula = "y ~ {}toep(0 + C(t) | g)"
    fits = [
        crossedmixedlm(formula.format(x), data, structures={"toep": Toeplitz()})
        for x in ("", "x + ")
    ]
    small, large = (f.fit(reml=False) for f in fits)
    assert large.compare_lr_test(small)[2] == 1


def test_drop_fixed_keeps_the_structures(data):
    result = model("user", data).fit(reml=False)
    left = result.drop_fixed("x")
    other = crossedmixedlm("y ~ toep(0 + C(t) | g)", data, structures=OWN)
    assert_allclose(left.llf, other.fit(reml=False).llf, rtol=1e-12)
    table = result.anova_fixed() if hasattr(result, "anova_fixed") else None
    assert table is None or np.isfinite(table.to_numpy(float)).any()
    assert "toep(" in left.model.formula_full


def test_drop_fixed_knows_the_words_of_the_formula(sleep):
    formula = "Reaction ~ factor(Days) + ar1(0 + factor(Days) | Subject)"
    result = crossedmixedlm(formula, sleep).fit(reml=False)
    one, two = result.drop_fixed("factor(Days)"), result.drop_fixed("C(Days)")
    assert one.llf == two.llf


@pytest.mark.slow
def test_drop_random_keeps_the_structures(data):
    result = model("crossed", data).fit(reml=False)
    left = result.drop_random("k")
    formula = "y ~ x + cs(1 + x | g, hom=TRUE) + ar1(0 + C(t) | h)"
    other = crossedmixedlm(formula, data).fit(reml=False)
    assert_allclose(left.llf, other.llf, rtol=1e-10)
    left = result.drop_random("ar1(0 + C(t) | h)")
    formula = "y ~ x + cs(1 + x | g, hom=TRUE) + (1 | k)"
    other = crossedmixedlm(formula, data).fit(reml=False)
    assert_allclose(left.llf, other.llf, rtol=1e-10)
    user = model("user", data).fit(reml=False)
    gone = user.drop_random("toep(0 + C(t) | g)")
    assert not hasattr(gone.model, "random")


def test_random_effect_tests(data):
    result = model("crossed", data).fit(reml=False)
    table = result.random_effect_tests(reduce_terms=False)
    assert len(table) == 4
    assert table["n_params"].iloc[0] == 2 + 2 + 2 + 1 + 1
    assert sorted(table["df"].iloc[1:]) == [1, 2, 2]
    assert (table["statistic"].iloc[1:] >= -1e-8).all()


def test_reduced_terms_are_nested(data):
    """With one variance for all effects no effect can be left out by itself."""
    result = crossedmixedlm("y ~ x + cs(x | g, hom=True) + (1 | h)", data).fit()
    table = result.random_effect_tests()
    assert not [name for name in table.index if name.startswith("x in")]


@pytest.mark.parametrize("name", ["cs", "user", "known", "fixed", "crossed", "nested"])
def test_pickles_and_copies(data, name):
    result = model(name, data).fit()
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert other.llf == result.llf
        assert str(other.summary()) == str(result.summary())
        assert_allclose(other.variance_parameters(), result.variance_parameters())
        again = other.model.fit()
        assert_allclose(again.llf, result.llf, rtol=1e-12)


def test_prediction_of_new_rows(data):
    """Dense: the modes of known levels, and the whole variance of new ones."""
    result = model("same group", data).fit()
    new = data.iloc[[3, 40, 7]].assign(g=["s2", "s8", "unseen"], t=[0, 3, 2])
    kwargs = {"random_effects": True, "new_levels": "population"}
    found = result.get_prediction(new, **kwargs)
    both_rows = pd.concat([data, new], ignore_index=True)
    level, slope = codes(both_rows, ["g"]), both_rows[["x"]].to_numpy()
    slope = np.column_stack([np.ones(N + 3), slope])
    each = (both_rows["t"].to_numpy()[:, None] == np.arange(4)).astype(float)
    theta = result.theta.to_numpy()
    same = level[:, None] == level
    spread = same * (slope @ unstructured(theta[:3]) @ slope.T)
    spread = spread + same * (each @ hom_ar(4)(theta[3:]) @ each.T)
    inverse = np.linalg.inv(np.eye(N) + spread[:N, :N])
    x, x_new = slope[:N], slope[N:]
    beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ data["y"])
    weights = spread[N:, :N] @ inverse
    expected = x_new @ beta + weights @ (data["y"] - x @ beta)
    assert_allclose(found.predicted, expected, rtol=1e-8)
    assert_allclose(result.predict(new, **kwargs), expected, rtol=1e-8)
    rest = x_new - weights @ x
    variance = np.diag(spread[N:, N:] - weights @ spread[:N, N:])
    variance = variance + np.diag(rest @ np.linalg.inv(x.T @ inverse @ x) @ rest.T)
    assert_allclose(found.se, np.sqrt(result.scale * variance), rtol=1e-7)
    draws = np.asarray(result.simulate(3, rng=2, exog=new))
    assert draws.shape == (3, 3)


def test_structures_are_reported_equal_however_they_are_given(data):
    """By name in a formula, or as an object of the user."""
    names = ("cs", "ar1")
    objects = (CompoundSymmetry(False), AutoRegressive(True))
    for name, structure in zip(names, objects):
        one = crossedmixedlm(f"y ~ {name}(0 + C(t) | g)", data).fit()
        own = {"mine": structure}
        two = crossedmixedlm("y ~ mine(0 + C(t) | g)", data, structures=own).fit()
        assert_allclose(one.theta, two.theta, rtol=1e-10)
        assert list(one.theta.index) == list(two.theta.index)
    hom = crossedmixedlm(
        "y ~ mine(0 + C(t) | g)", data, structures={"mine": Diagonal(True)}
    ).fit()
    assert len(hom.theta) == 1


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e7])
@pytest.mark.parametrize("hom", [True, False])
def test_units_do_not_make_a_fit_singular(scale, hom):
    """Deviations are compared as those of effects of equal length."""
    data = load("sleepstudy")
    data["x"] = scale * data["Days"]
    effects = "0 + x" if hom else "1 + x"
    formula = f"Reaction ~ x + cs({effects} | Subject, hom={hom})"
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        fit = crossedmixedlm(formula, data).fit()
    assert not fit.is_singular
    assert fit.bootstrap(20, rng=1).n_boundary <= 3
