"""Which structures of errors contain which, and tests between models with errors."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats

from statsmodels_lmm.core.residuals.base import ResidualStructure, correlation_parameter
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.comparison.nested_errors import errors_hold
from statsmodels_lmm.inference.replicates.simulation import (
    drawn_response,
    generators,
    seeds,
)
from statsmodels_lmm.residual import Residual

N, T = 24, 5
CORRELATED = "y ~ t", "ar1(t | g)"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    gap = np.abs(np.subtract.outer(np.arange(T), np.arange(T)))
    root = np.linalg.cholesky(0.6**gap)
    data = pd.DataFrame({"g": np.repeat(np.arange(N), T), "t": np.tile(range(T), N)})
    data["x"] = rng.normal(size=N * T)
    data["arm"] = np.where(data["g"] % 2, "a", "b")
    data["hours"], data["bent"] = 3.0 * data["t"], data["t"] ** 2
    errors = (rng.normal(size=(N, T)) @ root.T).ravel()
    data["y"] = errors * np.where(data["arm"] == "a", 1.0, 1.6) + 0.2 * data["t"]
    data["y"] += np.repeat(rng.normal(size=N), T)
    return data


def errors(data, residual=None, dispersion=None):
    told = {"residual": residual, "dispersion": dispersion}
    return crossedmixedlm("y ~ 1", data, **told).residual


class Pairs(ResidualStructure):
    """A class of a user: neighbors alone are correlated."""

    name = "pairs"

    def parameters(self, size):
        return [correlation_parameter(lower=-0.4, upper=0.4)]

    def correlation(self, phi, where):
        gap = np.abs(where[..., :, None] - where[..., None, :])
        return np.where(gap == 0, 1.0, np.where(gap == 1, phi[0], 0.0))


PAIRS = Residual(Pairs(), when="t", group="g")

HELD = [
    ("ar1(t | g)", "car1(t | g)"),
    ("arma(t | g)", "ar1(t | g)"),
    ("arma(t | g, p=2, q=1)", "arma(t | g, p=1, q=1)"),
    ("car1(hours | g)", "car1(t | g)"),
    ("car1(t | g)", "exp(hours | g)"),
    ("exp(t | g, nugget=True)", "exp(hours | g)"),
    ("matern(t | g)", "exp(t | g)"),
    ("matern(t | g, smoothness=0.5)", "car1(t | g)"),
    ("toep(t | g)", "cs(1 | g)"),
    ("toep(t | g)", "ar1(hours | g)"),
    ("toep(t | g)", "exp(t | g, nugget=True)"),
    ("ad(t | g)", "car1(bent | g)"),
    ("us(t | g)", "ar1(bent | g)"),
    ("us(t | g)", "toep(t | g, hom=False)"),
    ("us(t | g)", PAIRS),
    ("us(t | g, by=arm)", "us(t | g)"),
    ("cs(t | g)", "cs(1 | g)"),
    (PAIRS, PAIRS),
]

APART = [
    ("car1(t | g)", "ar1(t | g)"),
    ("arma(t | g, p=0, q=1)", "ar1(t | g)"),
    ("ar1(bent | g)", "ar1(t | g)"),
    ("exp(t | g)", "exp(t | g, nugget=True)"),
    ("ad(t | g)", "exp(t | g, nugget=True)"),
    ("matern(t | g, smoothness=1.5)", "exp(t | g)"),
    ("gau(t | g)", "exp(t | g)"),
    ("toep(t | g)", "ar1(bent | g)"),
    ("toep(t | g)", PAIRS),
    ("ad(t | g)", "cs(1 | g)"),
    ("cs(1 | g)", "cs(t | g)"),
    ("us(t | g)", "us(t | g, by=arm)"),
    ("us(t | g)", "cs(1 | arm)"),
    ("cs(1 | g)", "ar1(t | g)"),
]


@pytest.mark.parametrize(("outer", "inner"), HELD, ids=str)
def test_structures_that_contain_others(data, outer, inner):
    assert errors_hold(errors(data, outer), errors(data, inner))


@pytest.mark.parametrize(("outer", "inner"), APART, ids=str)
def test_structures_that_do_not(data, outer, inner):
    assert not errors_hold(errors(data, outer), errors(data, inner))


def test_dispersions_by_span(data):
    wide, narrow = errors(data, None, "~ arm * t"), errors(data, None, "~ I(-t) + arm")
    assert errors_hold(wide, narrow)
    assert not errors_hold(narrow, wide)
    assert errors_hold(narrow, None)
    assert not errors_hold(None, narrow)
    assert not errors_hold(narrow, errors(data, "ar1(t | g)"))


# tests ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits(data):
    formulas = {
        "plain": ("y ~ t + (1 | g)", {}),
        "ar1": ("y ~ t + (1 | g)", {"residual": "ar1(t | g)"}),
        "car1": ("y ~ t + (1 | g)", {"residual": "car1(t | g)"}),
        "alone": ("y ~ t", {"residual": "ar1(t | g)"}),
        "arm": ("y ~ t + (1 | g)", {"residual": "ar1(t | g)", "dispersion": "~ arm"}),
        "csh": ("y ~ t", {"residual": "cs(t | g)"}),
        "arma": ("y ~ t", {"residual": "arma(t | g, p=1, q=1)"}),
    }
    made = {n: crossedmixedlm(f, data, **k).fit() for n, (f, k) in formulas.items()}
    return made | {"ols": smf.ols("y ~ t", data).fit()}


CASES = [
    # full, restricted, df, whether one parameter tested is at an end of its range
    ("ar1", "plain", 1, False),
    ("car1", "plain", 1, True),
    ("ar1", "alone", 1, True),
    ("arm", "ar1", 1, False),
    ("csh", "plain", T - 1, False),  # cs contains (1 | g)
]


@pytest.mark.parametrize(("full", "restricted", "df", "at_end"), CASES)
def test_chi_squared_or_mixture(fits, full, restricted, df, at_end):
    full, restricted = fits[full], fits[restricted]
    test = full.compare_lr_test(restricted)
    assert_allclose(test.statistic, 2.0 * (full.llf - restricted.llf), atol=1e-7)
    assert test.df_diff == df
    assert_allclose(test.pvalue, stats.chi2.sf(test.statistic, df), rtol=1e-9)
    share = 0.5 if at_end else 1.0
    assert_allclose(test.pvalue_mixture, share * test.pvalue, rtol=1e-9)


def test_least_squares_is_nested_in_all(fits):
    with pytest.warns(DataWarning, match="refitted by maximum likelihood"):
        test = fits["alone"].compare_lr_test(fits["ols"])
    full = fits["alone"].model.fit(reml=False)
    assert_allclose(test.statistic, 2.0 * (full.llf - fits["ols"].llf), atol=1e-7)
    assert test.df_diff == 1


def test_no_distribution_where_parameters_vanish_under_independence(fits):
    with pytest.warns(DataWarning, match=r"arma\(t | g, q=1\)"):
        test = fits["arma"].compare_lr_test(fits["ols"])
    assert np.isnan(test.pvalue)
    assert test.statistic > 0.0
    assert test.df_diff == 2
    assert fits["arma"].compare_lr_test(fits["alone"]).pvalue > 0.0


@pytest.mark.parametrize(
    ("full", "restricted", "message"),
    [
        ("plain", "ar1", r"\(ar1\(t \| g\)\) are not .* full one \(independent\)"),
        ("csh", "alone", r"\(ar1\(t \| g\)\) are not .* full one \(cs\(t \| g\)\)"),
        ("alone", "plain", r"random effects \(Intercept \| g\) are not in"),
        ("ar1", "car1", "at least as many parameters"),
    ],
)
def test_models_that_are_not_nested(fits, full, restricted, message):
    with pytest.raises(DataError, match=message):
        fits[full].compare_lr_test(fits[restricted])


def test_table_of_several_models(fits):
    table = fits["arm"].anova(fits["plain"], fits["ar1"])
    assert table["n_params"].tolist() == [4, 5, 6]
    assert (
        table.attrs["models"]["m2"] == "y ~ t + (1 | g), ar1(t | g), dispersion ~ arm"
    )


def test_the_exact_test_needs_independent_errors(fits):
    for full, restricted in (("ar1", "alone"), ("arm", "plain")):
        with pytest.raises(NotImplementedError, match=r"exact test .* not available"):
            fits[full].compare_lr_test(fits[restricted], method="exact", nsim=3)


def test_bootstrap_draws_are_statistics_of_refits(fits):
    full, restricted = fits["ar1"], fits["alone"]
    test = full.compare_lr_test(restricted, method="bootstrap", nsim=4, rng=2, n_jobs=1)
    response = drawn_response(restricted._results)
    drawn = response.draw(generators(seeds(2, 4)))
    fitted = [[f.refit(y).llf for y in drawn] for f in (full, restricted)]
    assert_allclose(test.draws, 2.0 * np.subtract(*fitted), atol=1e-6)
    assert test.pvalue == (1 + (test.draws >= test.statistic).sum()) / 5


# terms ---------------------------------------------------------------------------


def test_terms_are_dropped_and_the_errors_stay(fits, data):
    fit = fits["arm"]
    alone = fit.drop_random("g")
    anew = crossedmixedlm(
        "y ~ t", data, residual="ar1(t | g)", dispersion="~ arm"
    ).fit()
    assert_allclose(alone.llf, anew.llf, atol=1e-8)
    assert str(alone.model.residual) == "ar1(t | g), dispersion ~ arm"
    table = fit.ranova()
    assert_allclose(table.loc["(1 | g)", "llf"], anew.llf, atol=1e-8)
    ml = crossedmixedlm(
        "y ~ 1 + (1 | g)", data, residual="ar1(t | g)", dispersion="~ arm"
    ).fit(reml=False)
    assert_allclose(fit.drop1().loc["t", "aic"], ml.aic, atol=1e-7)
    lrt = fit.fixed_effect_tests("lrt").loc["t", "statistic"]
    assert_allclose(lrt, 2.0 * (fit.model.fit(reml=False).llf - ml.llf), atol=1e-7)
    with pytest.raises(ValueError, match="there are none"):
        alone.drop_random("g")


def test_update_keeps_or_changes_the_errors(fits, data):
    model = fits["arm"].model
    kept = model.update(". ~ . + x - (1 | g)", data)
    assert kept.formula_full == "y ~ t + x"
    assert str(kept.residual) == str(model.residual)
    assert model.update(residual=False, dispersion="").residual is None
    assert model.update(residual=None, dispersion=None).residual is None
    assert str(model.update(residual=None).residual) == "dispersion ~ arm"
    other = model.update(residual="cs(1 | g)", dispersion="~ t", formula=". ~ 1")
    assert str(other.residual) == "cs(1 | g), dispersion ~ t"
    with pytest.raises(Exception, match="no random-effects term"):
        model.update(". ~ . - (1 | g)", residual=False, dispersion=False)


def test_the_larger_model_comes_first(data):
    small = crossedmixedlm("y ~ t", data, residual="ar1(t | g)").fit()
    large = crossedmixedlm("y ~ t", data, residual="us(t | g)").fit()
    with pytest.raises(DataError, match="the larger model comes first"):
        small.compare_lr_test(large)
    wider = crossedmixedlm("y ~ t + x", data, residual="us(t | g)").fit()
    with pytest.raises(DataError, match="the larger model comes first"):
        large.compare_lr_test(wider)
