"""Fits of which the exact answer is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from samples import load

from statsmodels_lmm.formula.api import crossedmixedlm


def digits(got, wanted):
    """Correct decimal digits, 17 for all of them."""
    error = abs(got - wanted) / abs(wanted)
    return 17.0 if error == 0.0 else -np.log10(error)


# Newton's method on the profiled deviance in mpmath with 50 digits
SLEEPSTUDY = {
    True: (
        [
            0.9667329518648034270384,
            0.01516905427048468858435,
            0.2309095947604833494861,
        ],
        25.59181562672525236612,
        1743.628271958490760688,
    ),
    False: (
        [
            0.9292254737236954591356,
            0.01816570667003531362036,
            0.222645422566726591484,
        ],
        25.59181562672525236612,
        1751.939344463197620767,
    ),
}


@pytest.mark.parametrize("reml", [True, False])
def test_sleepstudy_to_12_digits(reml):
    theta, sigma, criterion = SLEEPSTUDY[reml]
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", load("sleepstudy"))
    result = result.fit(reml=reml)
    for got, wanted in zip(result.theta, theta):
        assert digits(got, wanted) > 12
    assert digits(np.sqrt(result.scale), sigma) > 14
    assert digits(-2.0 * result.llf, criterion) > 14
    assert digits(result.params["Intercept"], 251.4051048484848484848) > 13
    assert digits(result.params["Days"], 10.46728595959595959596) > 13


# Simon and Lesage (1989), in the Statistical Reference Datasets of NIST: nine
# treatments; the first row of each is its mean, then come mean - 0.1 and + 0.1
SIMON_LESAGE = {
    # name: rows of a treatment, constant leading part, digits to expect
    "SmLs01": (21, 1, 13),
    "SmLs02": (201, 1, 13),
    "SmLs03": (2001, 1, 12),
    # nine constant leading digits: 1e6 in units of 0.1 leaves ten digits
    "SmLs04": (21, 1_000_000, 9),
    "SmLs05": (201, 1_000_000, 9),
    "SmLs06": (2001, 1_000_000, 9),
    # thirteen: storing the data as binary numbers leaves four
    "SmLs07": (21, 1_000_000_000_000, 4),
    "SmLs08": (201, 1_000_000_000_000, 4),
    "SmLs09": (2001, 1_000_000_000_000, 4),
}


def simon_lesage(name):
    """One of the nine data sets, every number written in decimal before it is read."""
    rows, leading, _ = SIMON_LESAGE[name]
    treatment, response = [], []
    for t, tenths in enumerate([4, 3, 5, 3, 5, 3, 5, 3, 5], start=1):
        changes = [0] + [-1, 1] * ((rows - 1) // 2)
        treatment += [t] * rows
        response += [float(f"{leading}.{tenths + change}") for change in changes]
    return pd.DataFrame({"treatment": treatment, "response": response})


@pytest.mark.parametrize("name", SIMON_LESAGE)
def test_simon_lesage(name):
    """REML of balanced data: sigma^2 = MSW and 1 + n sigma_b^2 / sigma^2 = F."""
    rows, _, expected = SIMON_LESAGE[name]
    data = simon_lesage(name)
    result = crossedmixedlm("response ~ 1 + (1 | treatment)", data).fit()
    assert digits(result.scale, 0.01) > expected
    # certified: between groups 8 x 0.01 x rows, that is F = rows
    assert digits(1.0 + rows * result.theta.iloc[0] ** 2, rows) > expected
    assert result.converged


def nist(name):
    """A file of the NIST data and its certified MSW and F."""
    folder = Path(scipy.stats.__file__).parent / "tests" / "data" / "nist_anova"
    path = folder / f"{name}.dat"
    if not path.exists():
        pytest.skip("SciPy was installed without its tests")
    lines = path.read_text().splitlines()
    within = next(line for line in lines if line.startswith("Within"))
    between = next(line for line in lines if line.startswith("Between"))
    values = np.loadtxt(lines[60:])
    data = pd.DataFrame({"treatment": values[:, 0], "response": values[:, 1]})
    return data, float(within.split()[-1]), float(between.split()[-1])


# AtmWtAg has seven constant leading digits, which leave some nine of sigma^2
@pytest.mark.parametrize(
    ("name", "expected"),
    [("AtmWtAg", 8), ("SiRstv", 12), *((k, v[2]) for k, v in SIMON_LESAGE.items())],
)
def test_nist(name, expected):
    data, within, f_statistic = nist(name)
    result = crossedmixedlm("response ~ 1 + (1 | treatment)", data).fit()
    rows = len(data) / data["treatment"].nunique()
    assert digits(result.scale, within) > expected
    assert digits(1.0 + rows * result.theta.iloc[0] ** 2, f_statistic) > expected
    if name in SIMON_LESAGE:
        copied = simon_lesage(name)
        assert (copied["response"] == data["response"]).all()
        assert (copied["treatment"] == data["treatment"]).all()


# Stroup (1989), the split-plot example of SAS' manual of PROC MIXED:
# block, whole-plot treatment A; the response at both levels of B
SPLIT_PLOT = """
1 1 56 41   1 2 50 36   1 3 39 35
2 1 30 25   2 2 36 28   2 3 33 30
3 1 32 24   3 2 31 27   3 3 15 19
4 1 30 25   4 2 35 30   4 3 17 18
"""


def split_plot():
    numbers = np.array(SPLIT_PLOT.split(), dtype=int).reshape(-1, 4)
    rows = [(b, a, s + 1, y[s]) for b, a, *y in numbers.tolist() for s in (0, 1)]
    return pd.DataFrame(rows, columns=["block", "a", "b", "y"])


def test_split_plot():
    """REML of balanced data is its analysis of variance, and SAS prints as much."""
    data = split_plot()
    y = data["y"].to_numpy(float).reshape(4, 3, 2)  # block, A, B
    whole = y.mean(axis=2)
    block = whole.mean(axis=1)
    ms_block = 6 * ((block - y.mean()) ** 2).sum() / 3
    rest = whole - block[:, None] - whole.mean(axis=0) + y.mean()
    ms_whole = 2 * (rest**2).sum() / 6
    rest = y - whole[..., None] - y.mean(axis=0) + whole.mean(axis=0)[:, None]
    ms_error = (rest**2).sum() / 9
    wanted = [(ms_block - ms_whole) / 6, (ms_whole - ms_error) / 2]
    np.testing.assert_allclose([*wanted, ms_error], [62.3958, 15.3819, 9.3611], 1e-5)

    formula = "y ~ C(a) * C(b) + (1 | block) + (1 | block:a)"
    result = crossedmixedlm(formula, data).fit()
    # rounding of 1e-15 times the ratios of the variances
    np.testing.assert_allclose(result.vcomp, wanted, rtol=1e-11)
    assert result.scale == pytest.approx(ms_error, rel=1e-12)
    assert -2.0 * result.llf == pytest.approx(119.8, abs=0.05)


# profiled deviance: published references rounded to five decimals, at an optimum
# good to five or six digits, hence the tolerance of 3e-6
PROFILED_HESSIANS = [
    # data, formula, reml, upper triangle by rows
    ("dyestuff", "Yield ~ 1 + (1 | Batch)", False, [18.51491]),
    ("dyestuff2", "Yield ~ 1 + (1 | Batch)", False, [28.76868]),
    (
        "penicillin",
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        False,
        [28.67146, -0.75667, 2.20149],
    ),
    (
        "pastes",
        "strength ~ 1 + (1 | sample) + (1 | batch)",
        False,
        [3.8031, 0.6143, 1.59396],
    ),
    (
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject)",
        False,
        [40.88726, 31.51761, -14.52959, 461.42273, 183.59651, 867.56167],
    ),
    (
        "sleepstudy",
        "Reaction ~ Days + (Days || Subject)",
        False,
        [40.71214, -8.6257, 890.40902],
    ),
    ("dyestuff", "Yield ~ 1 + (1 | Batch)", True, [14.08369]),
    (
        "penicillin",
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        True,
        [28.42876, -0.55388, 1.55393],
    ),
    (
        "pastes",
        "strength ~ 1 + (1 | sample) + (1 | batch)",
        True,
        [3.69503, 0.45843, 1.63317],
    ),
    (
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject)",
        True,
        [37.24146, 27.55389, -12.75115, 415.69053, 154.95292, 790.04046],
    ),
]


@pytest.mark.parametrize(("name", "formula", "reml", "upper"), PROFILED_HESSIANS)
def test_profiled_hessian(name, formula, reml, upper):
    model = crossedmixedlm(formula, load(name))
    result = model.fit(reml=reml)
    hessian = model.hessian(result.theta.to_numpy(), reml=reml)
    got = -2.0 * hessian[np.triu_indices(len(hessian))]
    np.testing.assert_allclose(got, upper, rtol=5e-6, atol=1e-5)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-11)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
        ("penicillin", "diameter ~ 1 + (1 | sample) + (1 | plate)"),
        ("oats", "yield_ ~ nitro + (nitro | Block) + (1 | Block:Variety)"),
    ],
)
def test_derivatives_in_theta(name, formula, reml):
    """Score and Hessian in user units, away from the optimum, by differences."""
    data = load(name).rename(columns={"yield": "yield_"})
    model = crossedmixedlm(formula, data)
    m = len(model.fit(reml=reml).theta)
    theta = np.linspace(0.9, 0.4, m)
    step = 1e-5
    score, hessian = [], []
    for direction in np.eye(m) * step:
        up, down = theta + direction, theta - direction
        change = model.loglike(up, reml=reml) - model.loglike(down, reml=reml)
        score.append(change / (2 * step))
        change = model.score(up, reml=reml) - model.score(down, reml=reml)
        hessian.append(change / (2 * step))
    # rounding of the criterion, some 1e-13, over the step; truncation is less
    np.testing.assert_allclose(
        model.score(theta, reml=reml), score, rtol=1e-6, atol=1e-6
    )
    exact = model.hessian(theta, reml=reml)
    np.testing.assert_allclose(
        exact, hessian, rtol=1e-6, atol=1e-6 * np.abs(exact).max()
    )
    np.testing.assert_array_equal(model.information(theta, reml=reml), -exact)


def precise(seed, sigma, correlation):
    """Slopes and intercepts that are huge against the residuals."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(40), 5), np.tile(np.arange(5.0), 40)
    u = rng.normal(size=(40, 2))
    slope = correlation * u[:, 0] + np.sqrt(1 - correlation**2) * u[:, 1]
    rng.integers(0, 8, 200)
    y = u[g, 0] + 0.7 * slope[g] * x + sigma * rng.normal(size=200)
    return pd.DataFrame({"g": g, "x": x, "y": y})


@pytest.mark.parametrize(
    ("sigma", "correlation", "llf", "theta"),
    [
        (1e-3, 0.9999, 645.648, (963.97, 676.58, 9.2145)),
        (1e-2, 1.0, None, (96.167, 67.571, 0.2307)),
        (1e-2, 0.9999, None, (96.167, 67.726, 0.98373)),
        (1e-3, 0.9, None, (963.97, 657.26, 282.74)),
    ],
)
def test_huge_and_strongly_correlated_effects(sigma, correlation, llf, theta):
    """The numbers are lme4's, from its optimizer bobyqa."""
    result = crossedmixedlm("y ~ x + (x | g)", precise(0, sigma, correlation)).fit()
    assert result.converged
    assert llf is None or result.llf == pytest.approx(llf, abs=1e-3)
    np.testing.assert_allclose(result.theta, theta, rtol=2e-3)
