"""Simulation, refits and bootstrap of generalized models."""

import dataclasses
import functools
import pickle
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.resampling import generalized_refits
from statsmodels_lmm.core.resampling.generalized_batches import GeneralizedBatches
from statsmodels_lmm.core.resampling.generalized_refits import GeneralizedRefitting
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.graphics.profiles import _caption
from statsmodels_lmm.inference.replicates import bootstrap as bootstrap_module
from statsmodels_lmm.inference.replicates.simulation import seeds, starting_values

COUNTS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@functools.cache
def counts():
    return crossedmixedglm(COUNTS, cbpp(), family="binomial").fit()


def binary_frame():
    rng = np.random.default_rng(8)
    g, x = np.arange(90) % 9, rng.standard_normal(90)
    eta = 0.5 * x + 0.8 * rng.standard_normal(9)[g]
    y = rng.random(90) < 1.0 / (1.0 + np.exp(-eta))
    return pd.DataFrame({"y": y, "g": g, "x": x, "t": np.where(y, "sick", "fit")})


@functools.cache
def binary(response="y"):
    """A fit of booleans y or of texts t, of which "sick" is the event."""
    data = binary_frame()
    data["t"] = pd.Categorical(data["t"], ["fit", "sick"])
    return crossedmixedglm(f"{response} ~ x + (1 | g)", data, family="binomial").fit()


# forms of responses --------------------------------------------------------------


def test_successes_are_drawn_and_refitted():
    size = cbpp()["size"].to_numpy()
    drawn = counts().simulate(3, rng=2)
    assert drawn.shape == (56, 3)
    assert_array_equal(counts().simulate(2, rng=2), drawn[[0, 1]])
    assert_array_equal(drawn.index, cbpp().index)
    values = drawn.to_numpy()
    assert_array_equal(values, np.round(values))
    assert (values <= size[:, None]).all()
    # the same model with proportions draws the same
    proportions = fitted("binomial").simulate(3, rng=2)
    assert_allclose(proportions.to_numpy() * size[:, None], values, atol=1e-9)
    one = counts().refit(drawn[1])
    assert_array_equal(one.model.endog, values[:, 1] / size)
    assert_array_equal(one.model.trials, size)
    both = np.column_stack([values[:, 1], size - values[:, 1]])
    frame = pd.DataFrame(both, drawn.index).iloc[::-1]
    for form in (both, frame, drawn[[1]]):
        assert_array_equal(counts().model.with_response(form).endog, one.model.endog)
    other = fitted("binomial").refit(proportions[1])
    expected = cbpp().assign(prop=proportions[1])
    expected = crossedmixedglm(
        "prop ~ period + (1 | herd)", expected, family="binomial", weights="size"
    ).fit()
    for found in (one, other):
        assert_allclose(found.params, expected.params, atol=1e-6)
        assert_allclose(found.llf, expected.llf, atol=1e-8)


def test_two_levels_are_drawn_as_zero_and_one():
    drawn = binary().simulate(2, rng=3)[0]
    assert set(drawn.unique()) == {0.0, 1.0}
    expected = binary().refit(drawn)
    texts = pd.Categorical(np.where(drawn == 1.0, "sick", "fit"), ["fit", "sick"])
    for result, form in (
        (binary(), drawn == 1.0),
        (binary(), drawn.astype(int)),
        (binary("t"), pd.Series(texts, drawn.index)),
        (binary("t"), drawn),
    ):
        assert_array_equal(result.model.with_response(form).endog, expected.model.endog)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, n: np.column_stack([y, n - y + 1.0]), "trials are not those of"),
        (
            lambda y, n: n + 1.0,
            r"successes than trials in rows 0, .* \(56 in all\)",
        ),
        (lambda y, n: y / n, "not whole numbers in .*; multiply proportions by the"),
        (lambda y, n: y[:-1], "has shape"),
        (lambda y, n: np.where(y > 3, np.nan, y), "is missing or infinite"),
    ],
)
def test_responses_that_do_not_suit_the_trials(change, message):
    y, n = cbpp()["incidence"].to_numpy(), cbpp()["size"].to_numpy()
    with pytest.raises(DataError, match=message):
        counts().refit(change(y, n))


def test_levels_of_another_response():
    other = pd.Categorical(
        np.where(binary_frame()["y"], "fit", "sick"), ["sick", "fit"]
    )
    with pytest.raises(DataError, match="the event is 'fit', and 'sick' in the model"):
        binary("t").refit(other)


def test_a_refit_starts_at_the_estimates():
    """Which are those of the same response, unless slopes vanish or are infinite."""
    for name in ("binomial", "negativebinomial"):
        again = fitted(name).refit(fitted(name).model.endog)
        assert_allclose(again.params, fitted(name).params, atol=1e-7)
        assert again.converged
        assert again.optimum.evaluations < fitted(name).optimum.evaluations
    fit = fitted("negativebinomial")._results
    assert_array_equal(starting_values(fit)[-2:], [fit.theta.iloc[0], fit.alpha])
    for name in ("is_singular", "alpha"):
        end = SimpleNamespace(
            params=fit.params,
            theta=fit.theta,
            extra=fit.extra,
            is_singular=name == "is_singular",
            alpha=0.0 if name == "alpha" else fit.alpha,
            unbounded=fit.unbounded,
        )
        assert starting_values(end) is None


def test_a_refit_where_no_search_can_start_at_the_estimates():
    """Means at the fixed effects alone are negative; it starts where a fit does."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(8), 6)
    x = np.tile(np.arange(6.0), 8) * np.where(g > 3, 2.0, 0.2)
    mean = np.where(g > 3, 40.0, 4.0) - 3.2 * x + g % 4
    frame = pd.DataFrame({"y": rng.poisson(mean), "x": x, "g": g})
    family = sm.families.Poisson(sm.families.links.Identity())
    fit = crossedmixedglm("y ~ x + (1 | g)", frame, family=family).fit()
    assert fit.predict().min() < 0.0
    model = fit.model.with_response(rng.poisson(mean))
    with pytest.raises(DataError, match="no start was found"):
        model.fit(start_params=starting_values(fit._results))
    assert_allclose(fit.refit(model.endog).params, model.fit().params, atol=1e-6)


# simulation ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poisson", "binomial"])
def test_rows_of_the_data_as_new_rows(name):
    sides = {"poisson": {"exposure": "size"}, "binomial": {"weights": "size"}}[name]
    frame = cbpp()
    found = fitted(name).simulate(2, rng=5, exog=frame, **sides)
    expected = fitted(name).simulate(2, rng=5)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    frame.loc[3, "period"] = np.nan
    frame.loc[5, "size"] = np.nan
    with_holes = fitted(name).simulate(2, rng=5, exog=frame, **sides)
    assert_array_equal(np.flatnonzero(with_holes[0].isna()), [3, 5])


def test_conditional_draws_keep_the_modes():
    fit = fitted("poisson")
    for arguments in ({}, {"exog": cbpp(), "exposure": "size"}):
        drawn = fit.simulate(400, rng=6, random_effects="conditional", **arguments)
        error = np.sqrt(fit.fittedvalues / 400)
        assert ((drawn.mean(axis=1) - fit.fittedvalues).abs() < 5.0 * error).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs numbers of trials: pass weights="),
        ({"weights": 0.0}, "weights are not positive in rows"),
        ({"weights": 2.5}, "not whole numbers of trials in rows"),
    ],
)
def test_trials_of_new_rows(arguments, message):
    with pytest.raises(DataError, match=message):
        counts().simulate(exog=cbpp(), **arguments)
    assert counts().simulate(exog=cbpp().head(2), weights=9, rng=1)[0].max() <= 9.0


def test_binary_rows_need_no_trials():
    assert binary().simulate(exog=binary_frame(), rng=1)[0].isin([0.0, 1.0]).all()


def test_weights_of_new_rows_of_a_linear_model():
    frame = binary_frame().assign(w=4.0)
    fit = crossedmixedlm("x ~ 1 + (1 | g)", frame).fit()
    one, four = (fit.simulate(rng=1, exog=frame, weights=w)[0] for w in (1, "w"))
    zero = fit.simulate(rng=1, exog=frame, weights=1e12)[0]
    assert_allclose(one - zero, 2.0 * (four - zero), rtol=1e-4)
    with pytest.raises(ValueError, match="exposure is for a generalized model"):
        fit.simulate(exog=frame, exposure=2.0)
    with pytest.raises(ValueError, match="weights are for new rows"):
        fit.simulate(weights=2.0)


def weighted_fit(response, **arguments):
    frame = binary_frame().assign(n=np.arange(90) % 5 * 1.0, w=0.5, two=2)
    family = "binomial" if response == "y" else "poisson"
    return crossedmixedglm(
        f"{response} ~ x + (1 | g)", frame, family=family, **arguments
    ).fit()


def test_weights_that_no_response_has():
    with pytest.raises(DataError, match="freq_weights stands for several"):
        weighted_fit("y", freq_weights="two").simulate()
    with pytest.raises(DataError, match="not whole numbers of trials in rows 0, 1"):
        weighted_fit("y", weights="w").simulate()
    with pytest.warns(DataWarning, match="without the prior weights: a Poisson"):
        drawn = weighted_fit("n", weights="w").simulate(rng=1)
    assert_array_equal(drawn, np.round(drawn))
    # which multiply the numbers of trials in the likelihood
    twice = crossedmixedglm(
        COUNTS, cbpp().assign(two=2), family="binomial", weights="two"
    ).fit()
    with pytest.warns(DataWarning, match="without the prior weights: a Binomial"):
        drawn = twice.simulate(3, rng=1)
    assert (drawn.le(cbpp()["size"], axis=0)).all(axis=None)
    assert_array_equal(drawn, np.round(drawn))
    assert twice.refit(drawn[0]).converged


def test_means_out_of_range():
    rng = np.random.default_rng(9)
    g = np.arange(200) % 20
    mean = np.maximum(3.0 + 1.4 * rng.standard_normal(20), 0.3)
    frame = pd.DataFrame({"y": rng.poisson(mean[g]), "g": g})
    family = sm.families.Poisson(sm.families.links.Identity())
    fit = crossedmixedglm("y ~ 1 + (1 | g)", frame, family=family).fit()
    with pytest.raises(DataError, match="cannot be drawn: their means leave the range"):
        fit.simulate(20, rng=1)
    boot = fit.bootstrap(6, rng=1, n_jobs=1)
    assert boot.n_failed + len(boot.draws) == 6
    assert boot.n_failed > 0


# bootstrap -----------------------------------------------------------------------


@functools.cache
def slopes():
    rng = np.random.default_rng(10)
    g, x = np.arange(160) % 20, rng.standard_normal(160)
    u, v = rng.standard_normal((2, 20))
    y = rng.poisson(np.exp(1.0 + 0.6 * u[g] + (0.3 + 0.6 * v[g]) * x))
    data = pd.DataFrame({"y": y, "g": g, "x": x})
    return crossedmixedglm("y ~ x + (x | g)", data, family="poisson").fit()


@pytest.mark.parametrize("name", ["slopes", "negativebinomial", "log gamma", "rows"])
def test_draws_are_refits(name):
    fit = slopes() if name == "slopes" else fitted(name)
    boot = fit.bootstrap(2, rng=3, n_jobs=1)
    names = list(fit.params.index)
    table = fit.variance_parameters()
    assert list(boot.estimates.index[2 * len(names) :][: len(table)]) == list(
        table.index
    )
    assert_allclose(boot.estimates[table.index], table["estimate"])
    assert_allclose(boot.errors[table.index], table["std err"])
    assert_allclose(boot.errors[names], fit.bse)
    drawn, at_end = fit.simulate(2, rng=3), 0
    for i in range(2):
        one = fit.refit(drawn[i])
        at_end += one.is_singular or one.alpha == 0.0
        row, errors = boot.draws.loc[i], boot.draw_errors.loc[i]
        near = {"atol": 1e-4 * one.bse.max()}
        assert_allclose(row[names], one.params, **near)
        assert_allclose(row[[f"se {n}" for n in names]], one.bse, rtol=1e-3)
        assert_allclose(errors[names], one.bse, rtol=1e-3)
        own = one.variance_parameters()
        assert_allclose(row[own.index], own["estimate"], rtol=1e-3, atol=1e-4)
        assert_allclose(errors[own.index], own["std err"], rtol=5e-3)
        thetas = [f"theta {n}" for n in one.theta.index]
        assert_allclose(row[thetas], one.theta, rtol=1e-3, atol=1e-4)
    # the correlations of slopes are within their range
    assert boot.n_boundary == at_end
    assert boot.n_uncertified == boot.n_separated == boot.n_failed == 0


BOOTMER = {
    "mean": [-1.39611819, -1.00554669, -1.13530252, -1.62530059, 0.58484220],
    "sd": [0.23979844, 0.29976577, 0.31221231, 0.42342325, 0.20038197],
    "lower": [-1.88170395, -1.62719815, -1.76493198, -2.57124007, 0.13744564],
    "upper": [-0.95309443, -0.45015506, -0.52943697, -0.90731646, 0.96277662],
}
"""
Moments and 95 per cent percentile intervals of the fixed effects of cbpp and of the
deviation between herds, by lme4 1.1.31 in R 4.2.2:

    m <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
      control = glmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
                             tolPwrss = 1e-10, optCtrl = list(rhoend = 1e-8)))
    f <- function(m) c(fixef(m), sd = getME(m, "theta")[[1]])
    b <- bootMer(m, f, nsim = 2000, seed = 20240)
    colMeans(b$t); apply(b$t, 2, sd); apply(b$t, 2, quantile, c(.025, .975), type = 6)
"""


@functools.cache
def many():
    return counts().bootstrap(45, rng=11, n_jobs=1)


def test_bootstrap_of_cbpp_by_lme4():
    """Within four standard errors of 45 replicates."""
    draws = many().draws
    names = [*counts().params.index, "herd: sd Intercept"]
    count, found = len(draws), draws[names].to_numpy()
    sd = np.array(BOOTMER["sd"])
    gap = np.abs(found.mean(axis=0) - BOOTMER["mean"])
    assert (gap < 4.0 * sd / np.sqrt(count)).all()
    assert_allclose(found.std(axis=0), sd, rtol=4.0 / np.sqrt(2.0 * count))
    inside = (BOOTMER["lower"] < found) & (found < BOOTMER["upper"])
    share, error = inside.mean(axis=0), np.sqrt(0.05 * 0.95 / count)
    assert (np.abs(share - 0.95) < 4.0 * error).all()


def test_all_intervals():
    boot = many()
    table = boot.conf_int("all", alpha=0.2, every=True)
    names = list(counts().params.index)
    assert np.isfinite(table.loc[names]).all(axis=None)
    wald = table["wald"].loc[names].to_numpy()
    assert_allclose(wald, counts().conf_int(alpha=0.2))
    width = np.diff(wald, axis=1)
    for method in ("basic", "normal", "studentized", "percentile"):
        assert (np.abs(table[method].loc[names] - wald) < 0.5 * width).all(axis=None)
    assert (table["percentile"]["lower"].iloc[-2:] >= 0.0).all()
    assert "n_separated" in boot.summary().attrs
    assert "separated" not in str(boot)


def test_pictures_know_the_parameters():
    table = zip(many().draws.columns, many().kinds)
    random = [label for label, kind in table if kind == "random"]
    assert random == ["herd: sd Intercept"]
    lost = dataclasses.replace(many(), n_failed=1, separated=(4, 6))
    assert ", 1 failed, 2 separated\n" in _caption(lost, "percentile", 0.95)


@functools.cache
def rare():
    """A model of which some responses have no success where f is 1."""
    rng = np.random.default_rng(12)
    g, f = np.repeat(np.arange(10), 8), np.tile([0, 0, 0, 1], 20)
    p = np.where(f == 1, 0.13, 0.5)
    data = pd.DataFrame({"y": rng.random(80) < p, "f": f, "g": g})
    return crossedmixedglm("y ~ f + (1 | g)", data, family="binomial").fit()


@pytest.mark.filterwarnings("ignore:.* replicates are too few")
def test_separated_replicates_are_left_out():
    boot = rare().bootstrap(16, rng=1, n_jobs=1)
    drawn = rare().simulate(16, rng=1)
    without = drawn[rare().model.exog[:, 1] == 1.0].sum() == 0
    assert 0 < without.sum() < 8
    assert boot.separated == tuple(np.flatnonzero(without))
    assert boot.n_separated == without.sum()
    assert boot.n_failed == 0
    assert_array_equal(boot.draws.index, np.flatnonzero(~without))
    assert boot.draws["f"].abs().max() < 6.0
    assert f"0 failed, {without.sum()} separated and left out, " in str(boot)
    assert boot.summary().attrs["n_separated"] == without.sum()


def test_only_separated_replicates(monkeypatch):
    monkeypatch.setattr(GeneralizedBatches, "suits", lambda *_: False)
    monkeypatch.setattr(generalized_refits, "is_separated", lambda *_: True)
    with pytest.raises(DataError, match="2 of 2 replicates are separated"):
        rare().bootstrap(2, rng=1, n_jobs=1)


def llf(result):
    return result.llf


def test_kinds_and_statistics(monkeypatch):
    """Any worker gives the same, to the last bit."""
    monkeypatch.setattr(GeneralizedRefitting, "size", 2)
    arguments = {"rng": 2, "statistic": llf, "kind": "conditional"}
    one = counts().bootstrap(3, n_jobs=1, **arguments)
    with joblib.parallel_config(backend="threading"):
        two = counts().bootstrap(3, n_jobs=2, **arguments)
    pd.testing.assert_frame_equal(one.draws, two.draws, check_exact=True)
    pd.testing.assert_frame_equal(one.statistics, two.statistics, check_exact=True)
    drawn = counts().simulate(3, rng=2, random_effects="conditional")
    for i in range(2):
        single = counts().refit(drawn[i])
        assert_allclose(one.statistics.loc[i, 0], single.llf, atol=1e-7)
        assert_allclose(one.draws.loc[i, "Intercept"], single.params.iloc[0], atol=1e-4)
    with pytest.raises(ValueError, match="a generalized model has none; use"):
        counts().bootstrap(2, kind="semiparametric")


def test_work_for_another_process():
    fit = fitted("negativebinomial")._results
    response = bootstrap_module.drawn_response(fit)
    design = bootstrap_module.design_of(fit)
    task = bootstrap_module._Task(bootstrap_module.Replicates(response, (design,)))
    arrived = pickle.loads(pickle.dumps(task))
    (here, _), (there, _) = task(seeds(1, 1)), arrived(seeds(1, 1))
    assert_array_equal(here.coefficients, there.coefficients)
    assert_array_equal(here.variance_covariance, there.variance_covariance)
    assert not task.replicates.in_batches


def test_replicates_whose_search_leaves_the_range_of_the_link():
    root = sm.families.Poisson(sm.families.links.Sqrt())
    fit = crossedmixedglm("incidence ~ period + (1|herd)", cbpp(), family=root).fit()
    found = fit.bootstrap(nsim=20, rng=0, n_jobs=1)
    assert len(found.draws) + found.n_failed == 20
    assert len(found.draws) > 10
    assert np.isfinite(found.draws).all(axis=None)
