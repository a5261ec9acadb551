"""
What must not change, or change in a known way, when a generalized model is restated.

A search ends with a Newton step that promises next to nothing, so that two fits of the
same model agree to some 1e-6 of the standard errors; the log-likelihoods agree to
rounding.
"""

import functools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy import integrate, optimize, stats
from statsmodels.genmod.families import links

from statsmodels_lmm.core.families.gaussian import Gaussian
from statsmodels_lmm.core.families.links import Power
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

SAME = 1e-5
CRITERION = 1e-8

ONE = "(1 | a)"
CROSSED = "(1 | a) + (1 | b)"
SLOPES = "(x | a) + (1 | b)"
RANDOM = [ONE, CROSSED, SLOPES]
CASES = [(ONE, 1), (CROSSED, 0), (SLOPES, 1)]
"""Random effects and numbers of nodes."""


@functools.cache
def _simulated(seed, n):
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(np.arange(n) % 15), rng.permutation(np.arange(n) % 8)
    x, offset = rng.standard_normal(n), rng.uniform(-0.5, 0.5, n)
    eta = 0.3 + 0.6 * x + 0.8 * rng.standard_normal(15)[a]
    eta += 0.5 * rng.standard_normal(15)[a] * x + 0.5 * rng.standard_normal(8)[b]
    mean = 1.0 / (1.0 + np.exp(-eta))
    trials = rng.integers(1, 6, n)
    wins = rng.binomial(trials, mean)
    data = {
        "x": x,
        "binary": rng.binomial(1, mean),
        "wins": wins,
        "trials": trials,
        "losses": trials - wins,
        "count": rng.poisson(np.exp(eta)),
        "size": rng.gamma(3.0, np.exp(eta) / 3.0),
        "value": eta + 0.7 * rng.standard_normal(n),
        "offset": offset,
        "a": [f"a{i:02}" for i in a],
        "b": [f"b{i}" for i in b],
    }
    return pd.DataFrame(data)


def simulated(seed=0, n=240):
    """Crossed a and b, slopes of x by a, and responses of several kinds."""
    return _simulated(seed, n).copy()


FAMILIES = {
    "binary": sm.families.Binomial(),
    "wins + losses": sm.families.Binomial(),
    "count": sm.families.Poisson(),
    "size": sm.families.Gamma(links.Log()),
}


def fit(response, random, data, family=None, nagq=1, fixed="x", **options):
    family = FAMILIES[response] if family is None else family
    formula = f"{response} ~ {fixed} + {random}"
    result = crossedmixedglm(formula, data, family=family, **options).fit(nagq=nagq)
    assert result.converged
    return result


@functools.cache
def plain(response, random, nagq=1):
    """The fit of the data as they are."""
    return fit(response, random, simulated(), nagq=nagq)


def assert_same(first, second, shift=0.0, params=None, bse=None):
    """The same fit; `params` and `bse` are what those of the first turn into."""
    assert second.llf == pytest.approx(first.llf + shift, abs=CRITERION)
    errors = first.bse if bse is None else bse
    params = first.params if params is None else params
    assert_allclose((second.params - params) / errors, 0.0, atol=SAME)
    assert_allclose(second.bse, errors, rtol=SAME)
    assert second.cov_re.keys() == first.cov_re.keys()
    for name, covariance in first.cov_re.items():
        assert_allclose(second.cov_re[name], covariance, rtol=SAME, atol=SAME)
    assert second.scale == pytest.approx(first.scale, rel=SAME)


def modes(result):
    """Conditional modes, a Series by group, effect and level."""
    table = result.random_effects_table()
    return table.set_index(["group", "effect", "level"])["mode"].sort_index()


# responses -------------------------------------------------------------------------


@pytest.mark.parametrize(("random", "nagq"), CASES)
@pytest.mark.parametrize(
    ("link", "mirrored"),
    [
        (links.Logit, links.Logit),
        (links.Probit, links.Probit),
        (links.Cauchy, links.Cauchy),
        (links.CLogLog, links.LogLog),
        (links.LogLog, links.CLogLog),
    ],
)
def test_success_and_failure_exchanged(link, mirrored, random, nagq):
    data = simulated()
    first = fit("wins + losses", random, data, sm.families.Binomial(link()), nagq)
    other = sm.families.Binomial(mirrored())
    second = fit("losses + wins", random, data, other, nagq)
    assert_same(first, second, params=-first.params)
    assert_allclose(modes(second), -modes(first), atol=SAME)
    assert_allclose(second.fittedvalues, 1.0 - first.fittedvalues, atol=SAME)
    assert_allclose(second.resid_deviance, -first.resid_deviance, atol=SAME)
    assert second.deviance == pytest.approx(first.deviance, rel=SAME)


def expanded(data):
    """A row of 0 or 1 for each trial."""
    wins = data.loc[data.index.repeat(data["wins"])].assign(binary=1)
    losses = data.loc[data.index.repeat(data["losses"])].assign(binary=0)
    return pd.concat([wins, losses], ignore_index=True)


@pytest.mark.parametrize(("random", "nagq"), [*CASES, (ONE, 7)])
def test_counts_are_their_rows(random, nagq):
    data, first = simulated(), plain("wins + losses", random, nagq)
    second = fit("binary", random, expanded(data), nagq=nagq)
    n, k = data["trials"], data["wins"]
    ways = stats.binom.logpmf(k, n, 0.5) + n * np.log(2.0)
    assert_same(first, second, shift=-ways.sum())
    assert_allclose(modes(second), modes(first), atol=SAME)
    share = data.assign(share=k / n)
    third = fit("share", random, share, "binomial", nagq, weights="trials")
    assert_same(first, third)


def test_kinds_of_binary_responses():
    data, first = simulated(), plain("binary", ONE)
    for values in (data["binary"] > 0, data["binary"].map({0: "lost", 1: "won"})):
        assert_same(first, fit("binary", ONE, data.assign(binary=values)))


@pytest.mark.parametrize("random", RANDOM)
@pytest.mark.parametrize("response", ["binary", "count", "size"])
def test_rows_observed_repeatedly(response, random):
    data = simulated()
    times = 1 + np.arange(len(data)) % 3
    repeated = data.loc[data.index.repeat(times)].reset_index(drop=True)
    first = fit(response, random, repeated)
    second = fit(response, random, data, freq_weights=times)
    assert_same(first, second)
    assert second.df_resid == first.df_resid
    assert second.bic == pytest.approx(first.bic, abs=1e-7)
    assert second.deviance == pytest.approx(first.deviance, rel=SAME)
    assert second.pearson_chi2 == pytest.approx(first.pearson_chi2, rel=SAME)


@pytest.mark.parametrize("random", RANDOM)
@pytest.mark.parametrize("scale", [1e-6, 1e5])
def test_unit_of_a_positive_response(scale, random):
    """A Gamma model with a log link: the intercept moves, and the density."""
    data, first = simulated(), plain("size", random)
    second = fit("size", random, data.assign(size=scale * data["size"]))
    params = first.params.copy()
    params["Intercept"] += np.log(scale)
    assert_same(first, second, -len(data) * np.log(scale), params)


# the linear predictor --------------------------------------------------------------


@pytest.mark.parametrize(("scale", "nagq"), [(-1e-8, 1), (1e3, 0), (1e8, 1)])
@pytest.mark.parametrize("response", FAMILIES)
def test_scale_of_a_column(response, scale, nagq):
    data, first = simulated(), plain(response, SLOPES, nagq)
    second = fit(response, SLOPES, data.assign(x=scale * data["x"]), nagq=nagq)
    factor = np.array([1.0, 1.0 / scale])
    assert second.llf == pytest.approx(first.llf, abs=CRITERION)
    gap = (second.params / factor - first.params) / first.bse
    assert_allclose(gap, 0.0, atol=SAME)
    assert_allclose(second.bse / np.abs(factor), first.bse, rtol=SAME)
    theirs = second.cov_re["a"] / np.outer(factor, factor)
    assert_allclose(theirs, first.cov_re["a"], rtol=SAME, atol=SAME)


@pytest.mark.parametrize("response", FAMILIES)
def test_origin_of_a_column(response):
    data, first = simulated(), plain(response, SLOPES)
    second = fit(response, SLOPES, data.assign(x=data["x"] + 30.0))
    change = np.array([[1.0, -30.0], [0.0, 1.0]])
    assert second.llf == pytest.approx(first.llf, abs=CRITERION)
    gap = np.linalg.solve(change, second.params) - first.params
    assert_allclose(gap / first.bse, 0.0, atol=SAME)
    wanted = change @ first.cov_params() @ change.T
    assert_allclose(second.cov_params(), wanted, rtol=10.0 * SAME)
    wanted = change @ first.cov_re["a"].to_numpy() @ change.T
    assert_allclose(second.cov_re["a"], wanted, rtol=10.0 * SAME)


@pytest.mark.parametrize(("random", "nagq"), CASES)
@pytest.mark.parametrize("response", FAMILIES)
def test_shift_of_the_offset(response, random, nagq):
    data = simulated()
    first = fit(response, random, data, nagq=nagq, offset="offset")
    moved = data["offset"] - np.log(2.0)
    second = fit(response, random, data, nagq=nagq, offset=moved)
    params = first.params.copy()
    params["Intercept"] += np.log(2.0)
    assert_same(first, second, params=params)
    assert_allclose(second.linear_predictor, first.linear_predictor, atol=SAME)
    third = fit(response, random + " + offset(offset)", data, nagq=nagq)
    assert_same(first, third)


@pytest.mark.parametrize("random", RANDOM)
def test_exposure(random):
    data = simulated()
    exposure = np.exp(data["offset"])
    first = fit("count", random, data, offset="offset")
    assert_same(first, fit("count", random, data, exposure=exposure))
    half = 0.5 * data["offset"]
    both = {"offset": half, "exposure": np.exp(half)}
    assert_same(first, fit("count", random, data, **both))


# levels and rows -------------------------------------------------------------------


@pytest.mark.parametrize(("random", "nagq"), CASES)
@pytest.mark.parametrize("response", FAMILIES)
def test_order_of_rows(response, random, nagq):
    first, mixed = plain(response, random, nagq), simulated()
    mixed = mixed.sample(frac=1.0, random_state=5)
    second = fit(response, random, mixed, nagq=nagq)
    assert_same(first, second)
    assert_allclose(modes(second), modes(first), atol=SAME)
    assert_allclose(second.fittedvalues.sort_index(), first.fittedvalues, rtol=SAME)


@pytest.mark.parametrize("random", RANDOM)
@pytest.mark.parametrize("response", FAMILIES)
def test_names_of_levels(response, random):
    first, renamed = plain(response, random), simulated()
    rng = np.random.default_rng(3)
    for factor in "ab":
        old = np.unique(renamed[factor])
        new = dict(zip(old, (rng.permutation(len(old)) * 7 - 3).tolist()))
        renamed[factor] = renamed[factor].map(new)
    second = fit(response, random, renamed)
    assert_same(first, second)
    assert_allclose(second.fittedvalues, first.fittedvalues, rtol=SAME)


@pytest.mark.parametrize("response", ["wins + losses", "size"])
def test_order_of_terms(response):
    data = simulated()
    assert_same(plain(response, SLOPES), fit(response, "(1 | b) + (x | a)", data))
    first = fit(response, "(1 | a / b)", data)
    assert_same(first, fit(response, "(1 | a:b) + (1 | a)", data))
    first = fit(response, "(x || a)", data)
    second = fit(response, "(1 | a) + (0 + x | a)", data)
    assert_same(first, second)


# other models ----------------------------------------------------------------------


def equal_groups(seed=0, n=30):
    """Six groups of the same rows, whose estimated variance is zero."""
    part = simulated(seed, 240).iloc[:n]
    parts = [part.assign(g=str(i)) for i in range(6)]
    data = pd.concat(parts, ignore_index=True)
    return data.assign(share=data["wins"] / data["trials"])


GLMS = [
    ("binary", sm.families.Binomial(link()), {})
    for link in (links.Logit, links.Probit, links.CLogLog, links.LogLog, links.Cauchy)
]
GLMS += [
    ("share", sm.families.Binomial(), {"var_weights": "trials"}),
    ("count", sm.families.Poisson(), {"exposure": "trials"}),
    ("count", sm.families.Poisson(), {"freq_weights": "trials"}),
    ("count", sm.families.Poisson(links.Sqrt()), {}),
    ("count", sm.families.NegativeBinomial(alpha=0.4), {}),
    ("size", sm.families.Gamma(), {}),
    ("size", sm.families.Gamma(links.Log()), {"var_weights": "trials"}),
    ("size", sm.families.Gamma(links.Log()), {"offset": "offset"}),
    ("size", sm.families.InverseGaussian(links.Log()), {}),
    ("size", sm.families.InverseGaussian(links.InversePower()), {}),
    ("size", sm.families.Gaussian(links.Log()), {}),
    ("size", sm.families.Gaussian(links.Log()), {"freq_weights": "trials"}),
]


def named(case):
    response, family, options = case
    name, link = type(family).__name__, type(family.link).__name__
    return "-".join([response, name, link, *options])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", GLMS, ids=named)
def test_without_variance_it_is_statsmodels_glm(case):
    response, family, options = case
    data = equal_groups()
    if type(family.link) is links.InversePower:
        data["x"] = 0.2 * data["x"]  # the mean stays positive
    ours = fit(response, "(1 | g)", data, family, **options)
    assert ours.is_singular
    assert ours.theta.tolist() == [0.0]
    sides = {name: data[column] for name, column in options.items()}
    exog = ours.model.exog
    model = sm.GLM(data[response].to_numpy(float), exog, family=family, **sides)
    theirs = model.fit(tol=1e-15, maxiter=500, tol_criterion="params")
    assert_allclose(ours.params, theirs.params, rtol=1e-10, atol=1e-11)
    assert_allclose(ours.fittedvalues, theirs.fittedvalues, rtol=1e-10)
    assert ours.deviance == pytest.approx(theirs.deviance, rel=1e-10)
    assert ours.df_resid == theirs.df_resid
    # the dispersion is of maximum likelihood here and of Pearson there
    scale = ours.scale
    llf = theirs.llf_scaled(scale)
    if response == "share":  # statsmodels does not know that the weights are trials
        counts = data["wins"], data["trials"]
        llf = stats.binom.logpmf(*counts, theirs.fittedvalues).sum()
    assert ours.llf == pytest.approx(llf, rel=1e-10)
    if not ours.family.has_extra:
        assert scale == theirs.scale == 1.0
        assert ours.n_params == 3  # theta counts
    information = -model.hessian(theirs.params, scale=scale, observed=True)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    assert_allclose(ours.bse, errors, rtol=1e-8)
    assert ours.pearson_chi2 == pytest.approx(theirs.pearson_chi2, rel=1e-10)
    for name in ("resid_response", "resid_pearson", "resid_deviance"):
        wanted = getattr(theirs, name)
        assert_allclose(getattr(ours, name), wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("response", ["size", "count"])
def test_dispersion_is_of_maximum_likelihood(response):
    data = equal_groups()
    if response == "count":
        ours = fit(response, "(1 | g)", data, "negativebinomial")
        model = sm.NegativeBinomial(data["count"], ours.model.exog)
        theirs = model.fit([*ours.params, ours.alpha], method="newton", disp=False)
        assert_allclose([*ours.params, ours.alpha], theirs.params, rtol=1e-7)
        assert ours.llf == pytest.approx(theirs.llf, rel=1e-10)
        return
    ours = fit(response, "(1 | g)", data)
    y, mean = data["size"], ours.fittedvalues

    def loss(log_shape):
        shape = np.exp(log_shape)
        return -stats.gamma.logpdf(y, shape, scale=mean / shape).sum()

    found = optimize.minimize_scalar(loss, (0.0, 1.0), options={"xtol": 1e-10})
    assert -ours.llf == pytest.approx(found.fun, rel=1e-11)
    assert ours.scale == pytest.approx(np.exp(-found.x), rel=1e-6)


@pytest.mark.parametrize("random", [*RANDOM, "(1 | a / b)", "(x || a)"])
def test_normal_rows_are_a_linear_mixed_model(random):
    """
    With an identity link, which the public door sends to the linear model.

    All of its standard errors are those of known variances.
    """
    data = simulated()
    formula = f"value ~ x + {random}"
    family = Gaussian(Power(1.0))
    ours = crossedmixedglm(formula, data, family=family).fit()
    theirs = crossedmixedlm(formula, data).fit(reml=False)
    assert ours.llf == pytest.approx(theirs.llf, abs=CRITERION)
    assert_allclose((ours.params - theirs.params) / theirs.bse, 0.0, atol=SAME)
    assert_allclose(ours.with_cov_type("rx").bse, theirs.bse, rtol=SAME)
    assert ours.scale == pytest.approx(theirs.scale, rel=SAME)
    for name, covariance in theirs.cov_re.items():
        assert_allclose(ours.cov_re[name], covariance, rtol=1e-4, atol=SAME)
    assert_allclose(modes(ours), modes(theirs), atol=1e-4)
    assert_allclose(ours.fittedvalues, theirs.fittedvalues, atol=1e-4)


# approximations --------------------------------------------------------------------


def integrands(result, data):
    """The log-density of each level's rows and effect u, a function of u."""
    eta = np.asarray(result.predict(which="linear"))
    sd = result.theta.iloc[0]
    for _, rows in data.groupby("a").indices.items():
        n, k = (data[c].to_numpy()[rows] for c in ("trials", "wins"))

        def density(u, n=n, k=k, eta=eta[rows]):
            p = 1.0 / (1.0 + np.exp(-eta - sd * u))
            return stats.binom.logpmf(k, n, p).sum() + stats.norm.logpdf(u)

        yield density


def peak(density):
    """Mode of a density."""
    return optimize.minimize_scalar(lambda u: -density(u), (-1.0, 1.0)).x


def test_one_node_is_the_laplace_approximation():
    """A normal density of the height and curvature at each mode."""
    result, total = plain("wins + losses", ONE), 0.0
    for density in integrands(result, simulated()):
        u, h = peak(density), 1e-3
        near = [density(u + j * h) for j in (-2, -1, 0, 1, 2)]
        curvature = -np.dot([-1, 16, -30, 16, -1], near) / (12.0 * h * h)
        total += density(u) + 0.5 * np.log(2.0 * np.pi / curvature)
    assert result.llf == pytest.approx(total, abs=1e-6)


def test_quadrature_converges_to_the_integral():
    result, exact = plain("wins + losses", ONE), 0.0
    for density in integrands(result, simulated()):
        top = density(peak(density))

        def relative(u, density=density, top=top):
            return np.exp(density(u) - top)

        area, _ = integrate.quad(relative, -9.0, 9.0, limit=200)
        exact += top + np.log(area)
    given = np.concatenate([result.params, result.theta])
    nodes = 1, 3, 5, 25
    errors = [abs(result.model.loglike(given, nagq=n) - exact) for n in nodes]
    assert errors[0] > 1e-3
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 0.1 * errors[1]
    assert errors[3] < 1e-9


@pytest.mark.parametrize("response", ["binary", "count"])
def test_intervals_cover(response):
    """Errors of the slope in units of its standard error are standard normal."""
    rng = np.random.default_rng(11)
    group, x = np.repeat(np.arange(20), 6), np.tile(np.linspace(-1.0, 1.0, 6), 20)
    data = pd.DataFrame({"g": group, "x": x, "y": np.arange(120) % 2})
    model = crossedmixedglm("y ~ x + (1 | g)", data, family=FAMILIES[response])
    scores = []
    for _ in range(100):
        eta = 0.4 + 0.7 * x + 0.6 * rng.standard_normal(20)[group]
        p = 1.0 / (1.0 + np.exp(-eta))
        drawn = rng.binomial(1, p) if response == "binary" else rng.poisson(np.exp(eta))
        result = model.with_response(drawn.astype(float)).fit()
        assert result.converged
        low, high = result.conf_int().loc["x"]
        assert low < result.params["x"] < high
        scores.append((result.params["x"] - 0.7) * 2.0 * 1.96 / (high - low))
    # three standard errors
    assert np.mean(scores) == pytest.approx(0.0, abs=3.0 / np.sqrt(100))
    assert np.std(scores) == pytest.approx(1.0, abs=3.0 / np.sqrt(200))
