"""Delta method and replicates against dense likelihoods and computations by hand."""

import numpy as np
import pandas as pd
import pytest
from generalized_samples import cbpp
from numpy.testing import assert_allclose
from samples import sample
from scipy import stats

from statsmodels_lmm.core.algebra.differences import differenced_hessian
from statsmodels_lmm.exceptions import DataWarning, FormulaError, RankWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

SLOPES = """
line = var(1 | g) + 4 * cov(1, x | g) + 4 * var(x | g)
share = line / (line + var(h) + var(Residual))
cor(1, x | g)
sd(x | g) / sigma
"""


def by_hand(g, h, residual):
    """The functions of SLOPES."""
    line = g[0, 0] + 4.0 * g[0, 1] + 4.0 * g[1, 1]
    return np.array(
        [
            line,
            line / (line + h + residual),
            g[0, 1] / np.sqrt(g[0, 0] * g[1, 1]),
            np.sqrt(g[1, 1] / residual),
        ]
    )


@pytest.fixture(scope="module")
def slopes():
    return crossedmixedlm("y ~ x + (x | g) + (1 | h)", sample()).fit()


@pytest.fixture(scope="module")
def boot(slopes):
    return slopes.bootstrap(60, rng=1)


@pytest.fixture(scope="module")
def herds():
    return crossedmixedglm(
        "incidence ~ period + (1 | herd)",
        cbpp(),
        family="negativebinomial",
        exposure=cbpp()["size"],
    ).fit()


# Wald ----------------------------------------------------------------------


def test_delta_method_of_a_linear_model(slopes):
    """Against differences of a dense restricted likelihood in the covariances."""
    data = sample()
    x = np.column_stack([np.ones(len(data)), data["x"]])
    g = pd.get_dummies(data["g"]).to_numpy(float)
    h = pd.get_dummies(data["h"]).to_numpy(float)
    y, same = data["y"].to_numpy(), g @ g.T
    parts = [same, same * (x[:, :1] * x[:, 1] + x[:, 1:] * x[:, 0])]
    parts += [same * np.outer(x[:, 1], x[:, 1]), h @ h.T, np.eye(len(y))]

    def half_criterion(at):
        v = np.tensordot(at, parts, axes=1)
        inner = x.T @ np.linalg.solve(v, x)
        rest = y - x @ np.linalg.solve(inner, x.T @ np.linalg.solve(v, y))
        sizes = [np.linalg.slogdet(m)[1] for m in (v, inner)]
        return 0.5 * (sum(sizes) + rest @ np.linalg.solve(v, rest))

    def functions(at):
        return by_hand(np.array([at[:2], at[1:3]]), at[3], at[4])

    cov = slopes.cov_re["g"].to_numpy()
    at = np.array([*cov[np.tril_indices(2)], slopes.vcomp["h"].iloc[0], slopes.scale])
    inverse = np.linalg.inv(differenced_hessian(half_criterion, at))
    steps = 1e-5 * np.diag(np.abs(at))
    gradient = [
        (functions(at + s) - functions(at - s)) / (2.0 * s.max()) for s in steps
    ]
    expected = np.sqrt(np.einsum("ai,ab,bi->i", gradient, inverse, gradient))
    found = slopes.derive(SLOPES)
    assert list(found.estimates.index)[:2] == ["line", "share"]
    assert_allclose(found.estimates, functions(at), rtol=1e-8)
    assert_allclose(found.errors, expected, rtol=1e-4)


def test_delta_method_of_a_generalized_model(herds):
    """Against the Hessian in (beta, theta, alpha), with the covariances of all."""
    theta, alpha = float(herds.theta.iloc[0]), herds.alpha
    hessian = herds.model.hessian(np.array([*herds.params, theta, alpha]))
    found = herds.derive("b['Intercept'] + var(herd) / 2 + 3 * alpha + sd(herd)")
    gradient = np.array([1.0, 0.0, 0.0, 0.0, theta + 1.0, 3.0])
    expected = np.sqrt(-gradient @ np.linalg.solve(hessian, gradient))
    assert_allclose(found.errors, expected, rtol=1e-5)
    robust = herds.with_cov_type("CR1", cbpp()["herd"])
    apart = robust.derive("b['Intercept'] + 3 * alpha").errors
    alone = herds.variance_parameters().loc["alpha", "std err"]
    assert_allclose(apart**2, robust.bse["Intercept"] ** 2 + 9.0 * alone**2)


def test_the_variance_of_a_distribution(herds):
    """It is differentiated in alpha, at the mean of the fit."""
    found = herds.derive("var(Distribution)")
    mean = np.exp(-np.log(np.expm1(found.estimates.iloc[0]) - herds.alpha))
    slope = 1.0 / (1.0 + 1.0 / mean + herds.alpha)
    alone = herds.variance_parameters().loc["alpha", "std err"]
    assert_allclose(found.errors, slope * alone, rtol=1e-6)


def test_fixed_effects_of_a_linear_model(slopes):
    """Their covariance is that of the fit, whichever it is."""
    data = sample()
    for fit in (slopes, slopes.with_cov_type("CR1", data["h"])):
        found = fit.derive("b['Intercept'] - 2 * b['x']").errors
        assert_allclose(found, fit.t_test([1.0, -2.0]).sd.ravel(), rtol=1e-10)


def test_intervals_respect_the_range(slopes):
    found = slopes.derive(SLOPES, alpha=0.1)
    reach = stats.norm.isf(0.05) * np.array([-1.0, 1.0])
    value, error = found.estimates.to_numpy(), found.errors.to_numpy()
    ends = found.conf_int().to_numpy()
    assert_allclose(ends[0], value[0] + error[0] * reach)
    slope = 1.0 / (1.0 - value[2] ** 2)
    angle = np.arctanh(value[2]) + slope * error[2] * reach
    assert_allclose(ends[2], np.tanh(angle))
    assert_allclose(ends[3], value[3] * np.exp(error[3] / value[3] * reach))
    share = slopes.derive(
        {"share": lambda p: p.var("h") / (p.var("h") + p.var("Residual"))},
        transform="logit",
        alpha=0.1,
    )
    same = slopes.derive("share = var(h) / (var(h) + var(Residual))", alpha=0.1)
    pd.testing.assert_frame_equal(share.summary_frame(), same.summary_frame())
    assert "90 % Wald" in str(same)
    wide, own = same.conf_int(alpha=0.01), same.conf_int()
    assert (wide["lower"] < own["lower"]).all()


def test_what_may_be_given(slopes):
    def ratio(p):
        return p.b("x") / p.b("1")

    found = slopes.derive([ratio, "var(h)", lambda p: np.sqrt(p["sigma"])])
    assert list(found.estimates.index) == ["ratio", "var(h)", "function"]
    expected = slopes.params["x"] / slopes.params["Intercept"], slopes.scale**0.25
    assert_allclose(found.estimates.iloc[[0, 2]], expected)
    assert slopes.derive("two = 2").estimates["two"] == 2.0
    with pytest.raises(TypeError, match="a function of the parameters is text"):
        slopes.derive(3)
    with pytest.raises(ValueError, match="name ratio is given twice"):
        slopes.derive([ratio, ratio])
    with pytest.raises(ValueError, match="must be a single expression"):
        slopes.derive({"a": "1\n2"})
    with pytest.raises(ValueError, match="no function"):
        slopes.derive([])
    with pytest.raises(ValueError, match="must be a single number"):
        slopes.derive(lambda p: [1.0, 2.0])
    with pytest.raises(ValueError, match="method must be"):
        slopes.derive("var(h)", "delta")
    with pytest.raises(ValueError, match="transform must be"):
        slopes.derive("var(h)", transform="sqrt")
    with pytest.raises(TypeError, match="nsim applies to the bootstrap only"):
        slopes.derive("var(h)", nsim=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("var(g)", r"such as \(1 \| g\); the effects by g are Intercept, x"),
        ("cor(x | g)", r"two effects and a factor, such as \(1, x \| g\)"),
        ("var(q)", "no grouping factor q; there are g, h"),
        ("var(xx | g)", "no effect by g xx; did you mean x?"),
        ("b['xx']", "no fixed effect xx; did you mean x?"),
        ("h + 1", r"write var\(h\) for the variance"),
        ("x", r"write b\['x'\] for the fixed effect"),
        ("sigmaa", "no parameter sigmaa; did you mean sigma?"),
        ("var(Distribution)", r"a linear model has var\(Residual\)"),
    ],
)
def test_names_that_are_not_there(slopes, text, message):
    with pytest.raises(FormulaError, match=message) as caught:
        slopes.derive(f"1 + {text}")
    assert caught.value.span[0] == 4


def test_names_of_effects(slopes):
    one = slopes.derive("var(1 | g) - var(`Intercept` | g) + var((Intercept)|g)")
    assert_allclose(one.estimates, slopes.vcomp["g", "Intercept"])
    assert_allclose(
        slopes.derive("`h: sd Intercept`").errors,
        [slopes.variance_parameters().loc["h: sd Intercept", "std err"]],
    )


# what has no number --------------------------------------------------------


def test_the_boundary(slopes):
    data = sample()
    fit = crossedmixedlm("flat ~ x + (1 | g) + (1 | h)", data).fit()
    gone = fit.vcomp.index[fit.vcomp == 0.0][0][0]
    found = fit.derive(f"var({gone}) / (var({gone}) + var(Residual))\nvar(Residual)")
    assert np.isnan(found.errors.iloc[0])
    assert "boundary" in found.notes.iloc[0]
    assert np.isfinite(found.errors.iloc[1])
    assert "boundary" in str(found)
    assert "boundary" in found._repr_html_()


@pytest.mark.filterwarnings("ignore:the covariances")
def test_what_the_data_leave_open():
    data = sample().assign(again=lambda d: d["g"])
    with pytest.warns(RankWarning, match="twice"):
        fit = crossedmixedlm("y ~ x + twice + (1 | g) + (1 | again)", data).fit()
    found = fit.derive("var(g)\nvar(g) + var(again)\nb['twice']\nb['x']")
    assert np.isnan(found.estimates).tolist() == [True, False, True, False]
    assert np.isnan(found.errors).tolist() == [True, False, True, False]
    assert found.notes.iloc[0] == "not determined by the data"
    assert found.notes.iloc[2] == "twice was dropped as redundant"


# replicates ----------------------------------------------------------------


def test_replicates_by_hand(slopes, boot):
    found = slopes.derive(SLOPES, "bootstrap", bootstrap=boot, alpha=0.1)
    one, two, cor, h, sigma = (
        boot.draws[n].to_numpy()
        for n in (
            "g: sd Intercept", "g: sd x", "g: cor x, Intercept",
            "h: sd Intercept", "sigma",
        )
    )  # fmt: skip
    g = np.array([[one**2, cor * one * two], [cor * one * two, two**2]])
    expected = [by_hand(*each) for each in zip(np.moveaxis(g, -1, 0), h**2, sigma**2)]
    assert_allclose(found.draws, expected, rtol=1e-7)
    assert_allclose(found.errors, found.draws.std())
    middle = found.draws["share"].sort_values().to_numpy()
    lower, upper = found.conf_int().loc["share"]
    assert middle[1] < lower < middle[4]
    assert middle[-5] < upper < middle[-2]
    basic = found.conf_int(kind="basic").loc["share"]
    assert_allclose(basic, 2.0 * found.estimates["share"] - np.array([upper, lower]))
    assert "60 replicates" in str(found)
    with pytest.warns(DataWarning, match="60 replicates are too few"):
        slopes.derive("var(h)", "bootstrap", bootstrap=boot, alpha=0.01)


def test_replicates_of_another_fit(slopes, boot, herds):
    with pytest.raises(ValueError, match="another fit"):
        herds.derive("var(herd)", "bootstrap", bootstrap=boot)
    with pytest.raises(TypeError, match="must be a BootstrapResults"):
        slopes.derive("var(h)", "bootstrap", bootstrap=boot.draws)
    with pytest.raises(TypeError, match="nsim: there is a bootstrap already"):
        slopes.derive("var(h)", "bootstrap", bootstrap=boot, nsim=3)


def test_replicates_of_a_structure_and_independent_effects():
    """Covariances of replicates are those of their refits."""
    data = sample()
    fit = crossedmixedlm("y ~ x + cs(0 + f | g) + (x || h)", data).fit()
    text = ["cov(f[a], f[b] | g)", "var(f[c] | g)", "cov(1, x | h)", "var(x | h)"]
    boot = fit.bootstrap(1, rng=3, statistic=text, n_jobs=1)

    def refitted(result):
        g, h = result.cov_re["g"], result.cov_re["h"]
        return [g.iloc[0, 1], g.iloc[2, 2], h.iloc[0, 1], h.iloc[1, 1]]

    drawn = fit.simulate(1, rng=3)
    expected = refitted(fit.refit(drawn[0]))
    assert_allclose(boot.statistics.iloc[0], expected, atol=2e-3)
    assert_allclose(boot.own_statistics, refitted(fit), rtol=1e-9)
    assert_allclose(fit.derive(text).estimates, refitted(fit), rtol=1e-9)
    table = fit.variance_parameters(scale="var")
    assert_allclose(
        fit.derive("var(f[c] | g)").errors,
        table.loc[["g: var f[c]"], "std err"],
        rtol=1e-9,
    )


def test_statistics_of_a_generalized_bootstrap(herds):
    text = "var(herd) + alpha\n`alpha`\nvar(Distribution)"
    boot = herds.bootstrap(1, rng=2, statistic=text, n_jobs=1)
    alpha, sd = boot.draws["alpha"], boot.draws["herd: sd Intercept"]
    assert_allclose(boot.statistics.iloc[:, 0], sd**2 + alpha)
    assert_allclose(boot.statistics["`alpha`"], alpha)
    with pytest.warns(DataWarning, match="too few"):
        table = boot.summary()
    assert list(table.index[-3:]) == list(boot.statistics.columns)
    assert_allclose(table["estimate"].iloc[-3:], herds.derive(text).estimates)
    with pytest.raises(FormulaError, match="a generalized model has no residual"):
        herds.derive("var(Residual)")
