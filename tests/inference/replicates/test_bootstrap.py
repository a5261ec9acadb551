"""The bootstrap is a simulation and a fit of each response, whatever does it."""

import contextlib
import functools
import pickle
import threading
import time
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import N, load, quiet, sample

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.engines import batches, block_engine
from statsmodels_lmm.core.resampling import refits
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference import parallel
from statsmodels_lmm.inference.replicates import bootstrap as bootstrap_module
from statsmodels_lmm.inference.replicates.bootstrap import BootstrapResults, bootstrap
from statsmodels_lmm.inference.replicates.simulation import (
    drawn_response,
    generators,
    seeds,
)

COUNT = 12


CASES = {
    "slopes": ("y ~ x + (x | g)", {}),
    "crossed": ("y ~ x + (x || g) + (1 | h)", {}),
    "weights and offset": (
        "y ~ x + (1 | h) + (x | g)",
        {"weights": "w", "offset": "o"},
    ),
    "dropped column": ("y ~ x + twice + (1 | g)", {}),
    "no fixed effects": ("y ~ 0 + (1 | g) + (1 | h)", {}),
}


@functools.cache
def fitted(name="slopes", reml=True):
    formula, options = CASES[name]
    return quiet(formula, reml=reml, **options)


@functools.cache
def plain():
    return fitted().bootstrap(COUNT, rng=1)


def same(one, other):
    """To the last bit."""
    for name in ("estimates", "errors"):
        pd.testing.assert_series_equal(
            getattr(one, name), getattr(other, name), check_exact=True
        )
    for name in ("draws", "draw_errors"):
        a, b = getattr(one, name), getattr(other, name)
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    if one.statistics is not None:
        pd.testing.assert_frame_equal(
            one.statistics, other.statistics, check_exact=True
        )
    for name in ("nsim", "n_failed", "n_boundary", "n_uncertified", "kind"):
        assert getattr(one, name) == getattr(other, name)


def llf(result):
    return result.llf


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of two replicates, so that there is something to distribute."""
    plain()  # which is kept, in pieces of its own size
    monkeypatch.setattr(refits, "MAX_BATCH", 2)


def single_fits(name, reml, count, rng, kind="parametric"):
    """Fits of the same responses, one by one."""
    result = fitted(name, reml)._results
    part = drawn_response(result, kind).draw(generators(seeds(rng, count)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean = np.asarray(result.model.predict(result.params))
        return [result.model.with_response(mean + p).fit(reml=reml) for p in part]


# draws ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_draws_are_single_fits(name, reml):
    boot = fitted(name, reml).bootstrap(COUNT, rng=1)
    each = single_fits(name, reml, 6, 1)
    assert_array_equal(boot.draws.index, np.arange(COUNT))
    names = list(fitted(name, reml).model.exog_names)
    for i, result in enumerate(each):
        row, table = boot.draws.iloc[i], result.variance_components()
        errors = np.asarray(result.bse)
        near = {"atol": 1e-3 * np.nanmax(errors, initial=1e-3)}
        assert_allclose(row[names], result.params, **near)
        assert_allclose(row[[f"se {n}" for n in names]], errors, rtol=2e-3)
        deviations = table["effect2"] == ""
        labels = list(boot.draws.columns[2 * len(names) :][: len(table)])
        found = row[labels].to_numpy(float)
        assert_allclose(
            found[deviations], table["sd"][deviations], rtol=1e-3, atol=2e-3
        )
        correlations = ~deviations & np.isfinite(table["sd"])
        if not result.is_singular:
            assert_allclose(
                found[correlations], table["sd"][correlations], atol=5e-3, rtol=1e-3
            )
        thetas = [f"theta {n}" for n in result.theta.index]
        if not result.is_singular:
            assert_allclose(row[thetas], result.theta, rtol=2e-3, atol=2e-3)
        assert_allclose(boot.draw_errors.iloc[i][names], errors, rtol=2e-3)


@pytest.mark.parametrize("name", ["crossed", "weights and offset"])
def test_draws_of_responses_are_those_of_simulate(name):
    """The same source of randomness gives both the same responses."""
    result = fitted(name)
    responses = result.simulate(4, rng=7)
    boot = result.bootstrap(4, rng=7)
    for i in range(4):
        single = result.refit(responses[i])
        assert_allclose(boot.draws.iloc[i]["x"], single.params["x"], atol=1e-4)
        assert_allclose(boot.draws.iloc[i]["sigma"], single.scale**0.5, rtol=1e-4)


def test_columns():
    boot = plain()
    assert list(boot.draws.columns) == [
        "Intercept",
        "x",
        "se Intercept",
        "se x",
        "g: sd Intercept",
        "g: sd x",
        "g: cor x, Intercept",
        "sigma",
        "theta g.Intercept",
        "theta g.x.Intercept",
        "theta g.x",
    ]
    for other in (boot.draw_errors.columns, boot.estimates.index, boot.errors.index):
        assert list(other) == list(boot.draws.columns)
    assert boot.draw_errors[["se Intercept", "se x"]].isna().all().all()
    assert boot.statistics is None
    assert isinstance(boot, BootstrapResults)


@pytest.mark.parametrize("name", CASES)
def test_estimates_are_those_of_the_fit(name):
    result = fitted(name)
    boot = result.bootstrap(2, rng=1)
    names = list(result.params.index)
    assert_allclose(boot.estimates[names], result.params)
    assert_allclose(boot.estimates[[f"se {n}" for n in names]], result.bse)
    assert_allclose(boot.errors[names], result.bse)
    rest = boot.estimates.iloc[2 * len(names) :]
    table = result.variance_components()
    expected = np.concatenate([table["sd"], result.theta])
    assert_allclose(rest, expected, rtol=1e-6, atol=1e-7)


def test_dropped_columns():
    boot = fitted("dropped column").bootstrap(3, rng=1)
    assert boot.draws[["twice", "se twice"]].isna().all().all()
    assert boot.draws.drop(columns=["twice", "se twice"]).notna().all().all()
    assert boot.conf_int("all").loc["twice"].isna().all()


def test_arrays_without_a_formula():
    groups = np.arange(N) % 9
    rng = np.random.default_rng(6)
    y = rng.standard_normal(N) + rng.standard_normal(9)[groups]
    exog = np.column_stack([np.ones(N), rng.standard_normal(N)])
    boot = CrossedMixedLM(y, exog, random={"g": groups}).fit().bootstrap(5, rng=1)
    assert list(boot.draws.columns[:5]) == [
        "const",
        "x1",
        "se const",
        "se x1",
        "g: sd Intercept",
    ]


def test_standard_errors_of_replicates():
    """They are near those of the fit, and make intervals that are near, too."""
    boot = fitted("crossed").bootstrap(200, rng=5)
    for name in ("x", "sigma"):
        ratio = boot.draw_errors[name].median() / boot.errors[name]
        assert 0.8 < ratio < 1.2
        spread = boot.draws[name].std() / boot.errors[name]
        assert 0.8 < spread < 1.2
    wald, other = (boot.conf_int(m).loc["x"] for m in ("wald", "studentized"))
    width = wald["upper"] - wald["lower"]
    assert (np.abs(wald - other) < 0.25 * width).all()


def test_standard_errors_are_of_one_kind():
    """Those of the data are what those of a replicate are, as studentizing wants."""
    data = load("sleepstudy").sample(100, random_state=1)
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    boot = result.bootstrap(3, rng=1)
    responses = result.simulate(3, rng=1)
    for i in range(3):
        own = result.refit(responses[i]).bootstrap(1, rng=1).errors
        pd.testing.assert_series_equal(
            boot.draw_errors.loc[i], own, rtol=5e-3, check_names=False
        )


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward-roger", "residual"])
def test_degrees_of_freedom_do_not_matter(df_method):
    """Replicates have no small-sample standard errors; nor has the estimate."""
    other = fitted().with_df_method(df_method).bootstrap(COUNT, rng=1)
    same(plain(), other)


# kinds ---------------------------------------------------------------------


def test_conditional_draws():
    """The modes stay: estimates vary about those of the fitted values."""
    result = fitted("crossed", False)._results
    boot = result.bootstrap(300, rng=3, kind="conditional")
    assert boot.kind == "conditional"
    each = single_fits("crossed", False, 3, 3, "conditional")
    for i, single in enumerate(each):
        assert_allclose(boot.draws["x"].iloc[i], single.params["x"], atol=1e-4)
    part = drawn_response(result, "conditional").draw(generators(seeds(3, 300)))
    mean = result.fittedvalues - result.model.predict(result.params)
    spread = np.sqrt(result.scale)
    assert_allclose(part.mean(axis=0), mean, atol=4.0 * spread / np.sqrt(300))
    assert_allclose(part.std(axis=0), spread, rtol=0.25)
    assert_allclose((part - mean).std(), spread, rtol=0.02)
    # less than with new effects, which move the mean of each row
    new = result.bootstrap(300, rng=3)
    here, there = (b.draws["Intercept"] + 2.5 * b.draws["x"] for b in (boot, new))
    assert here.std() < 0.6 * there.std()


def test_semiparametric_draws():
    result = fitted("crossed", False)._results
    boot = result.bootstrap(300, rng=3, kind="semiparametric")
    assert boot.kind == "semiparametric"
    each = single_fits("crossed", False, 3, 3, "semiparametric")
    for i, single in enumerate(each):
        assert_allclose(boot.draws["x"].iloc[i], single.params["x"], atol=1e-4)
    # the variances of what is drawn are the estimates
    other = result.bootstrap(300, rng=4)
    for name in ("sigma", "g: sd Intercept", "h: sd Intercept"):
        error = other.draws[name].std() / np.sqrt(300)
        gap = boot.draws[name].mean() - other.draws[name].mean()
        assert abs(gap) < 6.0 * error
    text = str(boot)
    assert text.startswith("Semiparametric bootstrap, 300 replicates\n")


def test_kinds_differ():
    draws = [
        fitted().bootstrap(2, rng=1, kind=kind).draws["x"].to_numpy()
        for kind in ("parametric", "conditional", "semiparametric")
    ]
    assert len(np.unique(np.array(draws))) == 6


def test_units_of_an_effect():
    """Slopes per other unit are resampled as well."""
    expected = fitted().bootstrap(5, rng=1, kind="semiparametric").draws
    data = sample().assign(x=1e8 * sample()["x"])
    result = crossedmixedlm("y ~ x + (x | g)", data).fit()
    found = result.bootstrap(5, rng=1, kind="semiparametric").draws
    for name in ("x", "g: sd x"):
        assert_allclose(1e8 * found[name], expected[name], rtol=2e-3, atol=1e-3)
    assert_allclose(found["sigma"], expected["sigma"], rtol=1e-3)


# counts --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["slopes", "crossed", "weights and offset"])
def test_boundary_replicates_are_singular_fits(name, reml):
    boot = fitted(name, reml).bootstrap(12, rng=2)
    singular = [r.is_singular for r in single_fits(name, reml, 12, 2)]
    assert 0 < sum(singular) < 12
    assert boot.n_boundary == sum(singular)
    assert boot.n_failed == 0


def test_theta_of_a_singular_replicate_has_no_standard_errors():
    """A root that rounding keeps from being singular has none either."""
    rng = np.random.default_rng(0)
    at = np.repeat(np.arange(12), 5)
    data = pd.DataFrame(rng.normal(size=(60, 2)), columns=["x", "z"]).assign(g=at)
    data["y"] = 0.3 * rng.normal(size=12)[at] + rng.normal(size=60)
    boot = crossedmixedlm("y ~ x + (x + z | g)", data).fit().bootstrap(300, rng=1)
    errors = boot.draw_errors.filter(like="theta")
    assert errors.shape[1] == 6
    assert 0 < boot.n_boundary < 300
    assert (errors.isna().sum() == boot.n_boundary).all()
    assert (errors.max() < 100.0 * errors.median()).all()


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_replicates_are_certified(name, reml):
    boot = fitted(name, reml).bootstrap(200, rng=2)
    assert boot.n_uncertified == 0
    assert boot.nsim == len(boot.draws) == 200
    assert boot.interrupted is False
    assert boot.failures == ()


def test_uncertified_replicates_are_counted(monkeypatch):
    """They stay among the draws."""
    real = refits.refit_all

    def careless(*args, **kwargs):
        found = real(*args, **kwargs)
        found.certified[[0, 3]] = False
        return found

    monkeypatch.setattr(
        "statsmodels_lmm.core.resampling.replicates.refit_all", careless
    )
    boot = fitted().bootstrap(6, rng=1)
    assert boot.n_uncertified == 2
    assert len(boot.draws) == 6


def test_a_replicate_that_cannot_be_fitted(monkeypatch):
    """It is counted; the others keep their numbers."""
    real = bootstrap_module.Replicates.fit

    def spoiled(self, generators):
        responses, fits = real(self, generators)
        fits.value[[1, 4]] = np.nan
        return responses, fits

    plain()  # before it is spoiled
    monkeypatch.setattr(bootstrap_module.Replicates, "fit", spoiled)
    boot = fitted().bootstrap(COUNT, rng=1)
    assert boot.n_failed == 2
    kept = np.delete(np.arange(COUNT), [1, 4])
    assert_array_equal(boot.draws.index, kept)
    expected = plain().draws.loc[kept]
    pd.testing.assert_frame_equal(boot.draws, expected)
    assert boot.nsim == COUNT
    assert "2 failed" in str(boot)
    assert boot.summary().attrs["n_failed"] == 2


# workers -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parametric", "semiparametric"])
def test_workers_give_the_same_draws(small_pieces, kind):
    """One process, two, threads, and no number at all: to the last bit."""
    result = fitted("crossed")
    one = result.bootstrap(7, rng=1, kind=kind, n_jobs=1)
    same(one, result.bootstrap(7, rng=1, kind=kind))
    same(one, result.bootstrap(7, rng=1, kind=kind, n_jobs=2))
    with joblib.parallel_config(backend="threading"):
        same(one, result.bootstrap(7, rng=1, kind=kind, n_jobs=2))
    with joblib.parallel_config(backend="threading", n_jobs=2):
        same(one, result.bootstrap(7, rng=1, kind=kind))


def test_workers_give_the_same_statistics(small_pieces):
    result = fitted("crossed")
    one = result.bootstrap(5, rng=1, statistic=llf, n_jobs=1)
    same(one, result.bootstrap(5, rng=1, statistic=llf, n_jobs=2))
    with joblib.parallel_config(backend="threading"):
        same(one, result.bootstrap(5, rng=1, statistic=llf, n_jobs=2))
    # a function without a name goes to other processes, too
    found = result.bootstrap(5, rng=1, statistic=lambda r: r.llf, n_jobs=2)
    same(one, found)


def test_source_of_randomness():
    same(plain(), fitted().bootstrap(COUNT, rng=1))
    same(plain(), fitted().bootstrap(COUNT, rng=np.random.default_rng(1)))
    assert not plain().draws.equals(fitted().bootstrap(COUNT, rng=2).draws)
    one, other = (fitted().bootstrap(2).draws for _ in range(2))
    assert not one.equals(other)


def test_replicates_do_not_depend_on_their_number():
    more = fitted().bootstrap(2 * COUNT, rng=1)
    assert_allclose(more.draws.iloc[:COUNT], plain().draws, rtol=1e-4, atol=1e-4)


def test_pieces_are_of_one_size(small_pieces):
    """The last piece is smaller; nothing is lost."""
    boot = fitted().bootstrap(5, rng=1)
    assert_array_equal(boot.draws.index, np.arange(5))
    assert_allclose(boot.draws, plain().draws.iloc[:5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_large_models_one_after_another(name, monkeypatch):
    """What is too large for one array computation is fitted as by `fit`."""
    together = fitted(name).bootstrap(6, rng=1)
    monkeypatch.setattr(batches, "MAX_BATCHED_EFFECTS", 1)
    apart = fitted(name).bootstrap(6, rng=1, n_jobs=1)
    names = [n for n in together.draws if "cor" not in n and "theta" not in n]
    assert_allclose(apart.draws[names], together.draws[names], rtol=1e-3, atol=1e-3)
    assert apart.n_boundary == together.n_boundary
    assert apart.n_uncertified == 0
    # the exact single fits
    each = single_fits(name, True, 6, 1)
    assert_allclose(apart.draws["sigma"], [r.scale**0.5 for r in each], rtol=1e-7)


def test_large_models_ask_for_workers(monkeypatch):
    """By default they are fitted in parallel, and small ones are not."""
    asked = []

    def record(function, pieces, n_jobs, progress, parallel):
        asked.append((len(pieces), n_jobs, parallel))
        return [function(p) for p in pieces], False

    monkeypatch.setattr(bootstrap_module, "run", record)
    result = fitted()
    result.bootstrap(4, rng=1)
    result.bootstrap(4, rng=1, statistic=llf, n_jobs=3)
    monkeypatch.setattr(batches, "MAX_BATCHED_EFFECTS", 1)
    result.bootstrap(4, rng=1)
    pays = "if it pays"
    assert asked == [(1, None, False), (1, 3, pays), (4, None, pays)]


def test_draws_do_not_depend_on_when_processes_start(monkeypatch):
    """A large model: without workers, and with workers from the second one on."""
    monkeypatch.setattr(batches, "MAX_BATCHED_EFFECTS", 1)
    started, real = [], joblib.Parallel

    def here(n_jobs, **options):
        started.append(n_jobs)
        return real(n_jobs=1, **options)

    monkeypatch.setattr(joblib, "Parallel", here)
    alone = fitted().bootstrap(5, rng=1)
    assert started == []
    monkeypatch.setattr(parallel, "START", -1.0)
    same(alone, fitted().bootstrap(5, rng=1))
    assert started == [-1]


@pytest.mark.slow
def test_a_statistic_is_distributed(monkeypatch):
    """Each replicate costs a fit: there are pieces for many workers."""
    sizes = []

    def record(function, pieces, n_jobs, progress, parallel):
        sizes.extend(map(len, pieces))
        return [function(p) for p in pieces], False

    monkeypatch.setattr(bootstrap_module, "run", record)
    fitted().bootstrap(40, rng=1, statistic=lambda r: r.nobs, n_jobs=2)
    assert sum(sizes) == 40
    assert max(sizes) <= 10


def test_threads_leave_warnings_alone(small_pieces):
    """Filters are what they were, also where one thread begins before another ends."""
    barrier, first = threading.Barrier(2), []

    def together(result):
        first.append(threading.get_ident())
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(0.3)
        if threading.get_ident() != first[0]:
            time.sleep(0.03)
        return 1.0

    before = list(warnings.filters)
    with joblib.parallel_config(backend="threading"):
        fitted().bootstrap(4, rng=1, statistic=together, n_jobs=2)
    after = list(warnings.filters)
    warnings.filters[:] = before
    assert after == before


def test_many_levels(monkeypatch):
    """Crossed factors of which most levels never meet."""
    monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"g": rng.integers(60, size=200)})
    data["h"] = rng.integers(20, size=200)
    data["y"] = rng.standard_normal(60)[data["g"]] + rng.standard_normal(20)[data["h"]]
    data["y"] += rng.standard_normal(200)
    result = crossedmixedlm("y ~ 1 + (1 | g) + (1 | h)", data).fit()
    _, products = result.model._sufficient_statistics()
    assert "Sparse" in type(products.coupling[0]).__name__
    boot = result.bootstrap(4, rng=1, n_jobs=1)
    single = result.refit(result.simulate(1, rng=1)[0])
    assert_allclose(boot.draws["sigma"].iloc[0], single.scale**0.5, rtol=1e-4)


@pytest.mark.parametrize("reml", [True, False])
def test_a_factor_without_information(reml):
    data = sample().assign(f=sample()["h"] % 2)
    with pytest.warns(UserWarning, match="f"):
        result = crossedmixedlm("y ~ 0 + C(h) + (1 | f) + (1 | g)", data).fit(reml=reml)
    boot = result.bootstrap(10, rng=1)
    assert_array_equal(boot.draws["f: sd Intercept"], 0.0)
    assert boot.n_boundary == 10
    assert boot.n_uncertified == 0


def test_singular_fit():
    """Half of the replicates of no variance have none."""
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    boot = result.bootstrap(200, rng=1)
    assert boot.estimates["Batch: sd Intercept"] == 0.0
    assert 100 <= boot.n_boundary <= 150
    zero = boot.draws["Batch: sd Intercept"] == 0.0
    assert zero.sum() == boot.n_boundary
    assert boot.draw_errors.loc[zero, "Batch: sd Intercept"].isna().all()
    assert (boot.draw_errors.loc[~zero, "Batch: sd Intercept"] > 0.0).all()
    lower, upper = boot.conf_int().loc["Batch: sd Intercept"]
    assert lower == 0.0 < upper


# statistics ----------------------------------------------------------------


def test_statistic_is_called_with_fits():
    seen = []
    boot = fitted().bootstrap(
        3, rng=1, statistic=lambda r: seen.append(r) or r.params["x"], n_jobs=1
    )
    each = single_fits("slopes", True, 3, 1)
    assert_allclose(boot.statistics[0], [r.params["x"] for r in each])
    *refits, own = seen
    assert [r.llf for r in refits] == pytest.approx([r.llf for r in each])
    assert own.llf == fitted().llf
    assert boot.own_statistics[0] == own.params["x"]
    assert seen[0].method == "REML"
    assert "coef" in seen[0].summary().as_text()
    assert_allclose(boot.statistics[0], boot.draws["x"], atol=1e-4)


def test_tables_show_parameters_and_statistics():
    """Standard errors and relative parameters are shown on request."""
    boot = fitted().bootstrap(
        COUNT, rng=1, statistic=["2 * sigma", "ratio = b['x'] / sd(x | g)"]
    )
    shown = [*boot.estimates.index[:2], *boot.estimates.index[4:-3]]
    table = boot.summary(alpha=0.2)
    assert list(table.index) == [*shown, "2 * sigma", "ratio"]
    whole = boot.summary(alpha=0.2, every=True)
    assert list(whole.index) == [*boot.draws.columns, "2 * sigma", "ratio"]
    pd.testing.assert_frame_equal(whole.loc[table.index], table)
    assert_allclose(table.loc["2 * sigma"], 2.0 * table.loc["sigma"])
    assert "2 * sigma" in str(boot)
    assert "2 * sigma" in boot._repr_html_()
    ends = boot.conf_int("all", alpha=0.2)
    assert ends["percentile"].notna().all().all()
    assert ends["studentized"].iloc[-2:].isna().all().all()
    old = replace(boot, own_statistics=None)
    assert old.summary(alpha=0.2)["estimate"].isna().sum() == 2
    failed = fitted().bootstrap(3, rng=1, statistic=fails_at_home, n_jobs=1)
    assert np.isnan(failed.summary("normal").loc["statistic 0", "estimate"])


def fails_at_home(result):
    if result.llf == fitted().llf:
        raise ValueError
    return result.llf


def test_what_a_statistic_may_return():
    def of(function):
        return fitted().bootstrap(3, rng=1, statistic=function, n_jobs=1).statistics

    each = single_fits("slopes", True, 3, 1)
    number = of(lambda r: r.llf)
    assert number.shape == (3, 1)
    assert_allclose(number[0], [r.llf for r in each])
    assert list(of(lambda r: np.float64(r.scale)).columns) == [0]
    array = of(lambda r: np.asarray(r.params))
    assert list(array.columns) == [0, 1]
    matrix = of(lambda r: r.cov_re["g"].to_numpy())
    assert matrix.shape == (3, 4)
    assert_allclose(matrix.iloc[0], each[0].cov_re["g"].to_numpy().ravel())
    series = of(lambda r: r.params)
    assert list(series.columns) == ["Intercept", "x"]
    assert_allclose(series, [r.params for r in each])
    table = of(lambda r: {"a": r.llf, "b": r.scale})
    assert list(table.columns) == ["a", "b"]
    assert_allclose(table["b"], [r.scale for r in each])


def fails_sometimes(result):
    if result.params["x"] > 0.5:
        raise RuntimeError("x is large")
    return result.llf


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_statistic_that_fails(n_jobs, small_pieces):
    boot = fitted().bootstrap(COUNT, rng=1, statistic=fails_sometimes, n_jobs=n_jobs)
    large = plain().draws["x"] > 0.5
    assert 0 < large.sum() < COUNT
    assert boot.n_failed == large.sum()
    assert_array_equal(boot.draws.index, np.flatnonzero(~large))
    assert_array_equal(boot.statistics.index, boot.draws.index)
    assert boot.failures == ("RuntimeError: x is large",)
    each = single_fits("slopes", True, COUNT, 1)
    expected = [r.llf for r, skipped in zip(each, large) if not skipped]
    assert_allclose(boot.statistics[0], expected)


def test_a_statistic_that_always_fails():
    def fails(result):
        raise KeyError("nothing")

    with pytest.raises(DataError, match=r"failed in all of 4 .*KeyError: 'nothing'"):
        fitted().bootstrap(4, rng=1, statistic=fails, n_jobs=1)


def test_several_errors_are_listed_once():
    def fails(result):
        raise ValueError("high" if result.params["x"] > 0.5 else "low")

    counted = []

    def partly(result):
        counted.append(1)
        return 1.0 if len(counted) == 1 else fails(result)

    boot = fitted().bootstrap(COUNT, rng=1, statistic=partly, n_jobs=1)
    assert boot.n_failed == COUNT - 1
    assert set(boot.failures) == {"ValueError: high", "ValueError: low"}
    assert len(boot.failures) == 2


def test_warnings_of_replicates_are_not_shown():
    def warns(result):
        warnings.warn("every time", stacklevel=1)
        return 1.0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted().bootstrap(5, rng=1, statistic=warns, n_jobs=1)
        fitted("crossed").bootstrap(20, rng=1)


# interrupts and progress ---------------------------------------------------


def interrupted_after(monkeypatch, count):
    """Raise a KeyboardInterrupt when more than so many pieces are asked for."""
    real, calls = bootstrap_module.Replicates.fit, []

    def fit(self, generators):
        calls.append(1)
        if len(calls) > count:
            raise KeyboardInterrupt
        return real(self, generators)

    monkeypatch.setattr(bootstrap_module.Replicates, "fit", fit)


@pytest.mark.parametrize("statistic", [None, llf])
def test_interrupt(small_pieces, monkeypatch, statistic):
    """What is done is returned, with a warning at the caller's line."""
    whole = fitted().bootstrap(COUNT, rng=1, statistic=statistic, n_jobs=1)
    interrupted_after(monkeypatch, 3)
    with pytest.warns(DataWarning, match=f"interrupted after 6 of {COUNT}") as caught:
        boot = fitted().bootstrap(COUNT, rng=1, statistic=statistic, n_jobs=1)
    assert caught[0].filename == __file__
    assert boot.interrupted is True
    assert boot.nsim == COUNT
    assert boot.n_failed == 0
    pd.testing.assert_frame_equal(boot.draws, whole.draws.iloc[:6])
    if statistic is not None:
        pd.testing.assert_frame_equal(boot.statistics, whole.statistics.iloc[:6])
    assert f"6 replicates of {COUNT}, interrupted" in str(boot)
    assert np.isfinite(boot.conf_int().loc["x"]).all()


def test_interrupt_before_anything_is_done(small_pieces, monkeypatch):
    interrupted_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        fitted().bootstrap(COUNT, rng=1, n_jobs=1)


def test_interrupt_by_a_statistic(small_pieces):
    """It is not one of its errors."""
    counted = []

    def stops(result):
        counted.append(1)
        if len(counted) == 6:
            raise KeyboardInterrupt
        return 1.0

    with pytest.warns(DataWarning, match="interrupted after 4 of 12"):
        boot = fitted().bootstrap(COUNT, rng=1, statistic=stops, n_jobs=1)
    assert len(boot.draws) == 4
    assert boot.failures == ()


def test_progress_without_tqdm(monkeypatch):
    real = parallel.import_module

    def refuse(name):
        if name == "tqdm":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(parallel, "import_module", refuse)
    with pytest.raises(ImportError, match=r"tqdm .*statsmodels_lmm\[parallel\]"):
        fitted().bootstrap(2, rng=1, progress=True)
    assert len(fitted().bootstrap(2, rng=1).draws) == 2


def test_progress_is_shown(capsys):
    pytest.importorskip("tqdm")
    fitted().bootstrap(4, rng=1, progress=True)
    assert "4/4" in capsys.readouterr().err
    fitted().bootstrap(4, rng=1)
    assert capsys.readouterr().err == ""


# arguments and the object --------------------------------------------------


def test_bad_arguments():
    for nsim in (0, -3, 1.5, "10", True):
        with pytest.raises(ValueError, match="nsim must be a positive whole number"):
            fitted().bootstrap(nsim)
    with pytest.raises(ValueError, match=r"parametric, conditional, semiparametric"):
        fitted().bootstrap(2, kind="residual")


def test_removed_data():
    result = crossedmixedlm("y ~ x + (1 | g)", sample()).fit()
    result.remove_data()
    with pytest.raises(DataError, match="removed"):
        result.bootstrap(2)


def test_one_replicate():
    boot = fitted().bootstrap(1, rng=1)
    assert boot.draws.shape == (1, 11)
    assert boot.conf_int("percentile").isna().all().all()
    assert boot.conf_int("wald").loc["x"].notna().all()


@pytest.mark.parametrize("method", ["percentile", "basic", "studentized", "all"])
def test_too_few_replicates_for_a_quantile(method):
    with pytest.warns(DataWarning, match="12 replicates are too few .* 39 would be"):
        plain().conf_int(method)


def test_moments_of_few_replicates():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain().conf_int("wald")
        plain().conf_int("normal")


def test_function_and_method_are_one():
    same(plain(), bootstrap(fitted(), COUNT, rng=1))
    same(plain(), bootstrap(fitted()._results, COUNT, rng=1))


def test_the_fit_is_left_alone():
    result = crossedmixedlm("y ~ x + (x | g)", sample()).fit()
    params, endog = result.params.copy(), result.model.endog.copy()
    result.bootstrap(3, rng=1, statistic=llf, n_jobs=1)
    assert_array_equal(result.model.endog, endog)
    pd.testing.assert_series_equal(result.params, params)
    assert result.model.fit().llf == result.llf


def test_pickles():
    boot = pickle.loads(pickle.dumps(plain()))
    same(boot, plain())
    pd.testing.assert_frame_equal(boot.conf_int("all"), plain().conf_int("all"))
    # also a bootstrap of a fit that was pickled
    again = pickle.loads(pickle.dumps(fitted()))
    same(again.bootstrap(COUNT, rng=1), plain())
