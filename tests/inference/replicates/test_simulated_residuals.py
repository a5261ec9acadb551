"""Simulated residuals, against dense normal distributions and loops over responses."""

import functools
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from generalized_samples import cbpp
from numpy.testing import assert_allclose, assert_array_equal
from samples import quiet, sleepstudy
from scipy import stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.graphics.diagnostics import _tests
from statsmodels_lmm.inference.replicates import simulated_residuals as module
from statsmodels_lmm.inference.replicates.simulated_residuals import (
    SimulatedResiduals,
    simulated_residuals,
)
from statsmodels_lmm.inference.replicates.simulation import simulate
from statsmodels_lmm.random.terms import random_effects

N = 90


@functools.cache
def sample():
    rng = np.random.default_rng(12)
    g, h = rng.permutation(np.arange(N) % 9), rng.permutation(np.arange(N) % 7)
    x, u, v = rng.uniform(1.0, 3.0, N), rng.standard_normal((9, 2)), rng.normal(size=7)
    y = 2.0 + 0.5 * x + u[g, 0] + 0.6 * u[g, 1] * x + v[h] + rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g], "h": h})
    frame["w"], frame["o"] = rng.uniform(0.5, 3.0, N), 10.0 * rng.standard_normal(N)
    frame["x2"] = 2.0 * x
    frame["flat"] = rng.standard_normal(N)
    frame.index = [f"row {i}" for i in range(N)]
    return frame


CASES = {
    "slopes": ("y ~ x + (x | g)", {}),
    "crossed": ("y ~ x + (x || g) + (1 | h)", {}),
    "weights": ("y ~ x + (x | g) + (1 | h)", {"weights": "w"}),
    "offset": ("y ~ x + offset(2 * o) + (1 | g)", {"offset": "o"}),
    "no fixed effects": ("y ~ 0 + (x | g)", {}),
    "dropped column": ("y ~ x + x2 + (1 | g)", {}),
    "singular": ("flat ~ x + (x | g)", {}),
}


@functools.cache
def fitted(name="crossed", reml=True):
    formula, options = CASES[name]
    return quiet(formula, sample(), reml, **options)


def dense(name, result):
    """Mean and covariance of the response, n x n."""
    frame, options = sample(), CASES[name][1]
    matrices = result.cov_re
    weights = frame[options["weights"]] if "weights" in options else np.ones(N)
    covariance = np.diag(result.scale / np.asarray(weights))
    for factor, matrix in matrices.items():
        columns = [np.ones(N) if c == "Intercept" else frame[c] for c in matrix.index]
        z = np.column_stack(columns)
        same = frame[factor].to_numpy()[:, None] == frame[factor].to_numpy()
        covariance += same * (z @ matrix.to_numpy() @ z.T)
    mean = np.zeros(N)
    for column, value in result.params.dropna().items():
        mean += value * (1.0 if column == "Intercept" else frame[column].to_numpy())
    if name == "offset":
        mean += 3.0 * frame["o"].to_numpy()
    return mean, covariance


def check_places(found, probabilities, nsim):
    """Shares of simulated responses within their sampling error of the truth."""
    p = np.clip(np.asarray(probabilities), 1e-4, 1.0 - 1e-4)
    gap = np.abs(found.residuals.to_numpy() - probabilities)
    assert (gap < 4.7 * np.sqrt(p * (1.0 - p) / nsim) + 2.0 / nsim).all()


# the residuals -------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reml", [True, False])
def test_parametric_residuals_are_normal_probabilities(name, reml):
    result = fitted(name, reml)
    found = simulated_residuals(result, 2000, rng=3)
    mean, covariance = dense(name, result)
    y = result.model.endog
    check_places(found, stats.norm.cdf((y - mean) / np.sqrt(np.diag(covariance))), 2000)
    assert_allclose(found.predicted, mean, rtol=1e-8)
    assert found.residuals.index.equals(sample().index)
    assert found.residuals.between(0.0, 1.0).all()


@pytest.mark.parametrize("name", CASES)
def test_conditional_residuals_are_those_of_pearson(name):
    result = fitted(name)
    found = simulated_residuals(result, 2000, rng=4, kind="conditional")
    check_places(found, stats.norm.cdf(result.resid_pearson), 2000)
    assert_allclose(found.predicted, result.fittedvalues)


@pytest.mark.parametrize("name", ["crossed", "weights", "singular"])
def test_groups_are_means_of_their_rows(name):
    result = fitted(name)
    mean, covariance = dense(name, result)
    labels = sorted(set(sample()["g"]))
    share = np.array([sample()["g"] == label for label in labels], dtype=float)
    share /= share.sum(axis=1, keepdims=True)
    gap = share @ (result.model.endog - mean)
    sd = np.sqrt(np.diag(share @ covariance @ share.T))
    found = simulated_residuals(result, 2000, rng=5, group="g")
    assert list(found.residuals.index) == labels
    assert_allclose(found.observed, share @ result.model.endog)
    assert_allclose(found.predicted, share @ mean)
    check_places(found, stats.norm.cdf(gap / sd), 2000)


def test_groups_from_values_are_the_same():
    by_name = simulated_residuals(fitted(), 20, rng=1, group="h")
    shuffled = sample()["h"].sample(frac=1.0, random_state=2)
    by_value = simulated_residuals(fitted(), 20, rng=1, group=shuffled)
    assert_array_equal(by_name.residuals, by_value.residuals)


def test_residuals_are_those_of_lme4():
    # R 4.2, lme4: pnorm((y - X beta) / sqrt(diag(V))) of rows 1, 57, 60, 100, 180
    expected = [0.479329952, 0.996748928, 0.080418293, 0.958344139, 0.611394022]
    found = simulated_residuals(sleepstudy(), 4000, rng=6)
    at = found.residuals.to_numpy()[[0, 56, 59, 99, 179]]
    sd = np.sqrt(np.array(expected) * (1.0 - np.array(expected)) / 4000)
    assert (np.abs(at - expected) < 4.0 * sd + 1.0 / 4000).all()


def test_models_from_arrays():
    frame = sample()
    exog = np.column_stack([np.ones(N), frame["x"]])
    term = random_effects(frame["g"], exog, name="g", names=["Intercept", "x"])
    result = CrossedMixedLM(frame["y"].to_numpy(), exog, random=[term]).fit()
    found = simulated_residuals(result, 50, rng=7)
    expected = simulated_residuals(fitted("slopes"), 50, rng=7)
    assert_allclose(found.residuals, expected.residuals, atol=1.0 / 51)
    assert list(found.residuals.index) == list(range(N))


@pytest.mark.parametrize(
    ("kind", "random"), [("parametric", "new"), ("conditional", "conditional")]
)
def test_responses_are_those_of_simulate(kind, random):
    found = simulated_residuals(fitted("weights"), 30, rng=8, kind=kind)
    draws = simulate(fitted("weights"), 30, rng=8, random_effects=random).to_numpy()
    assert_allclose(found.simulated, draws, rtol=1e-12)
    below = [(row < y).sum() for row, y in zip(draws, fitted("weights").model.endog)]
    assert_array_equal(np.floor(found.residuals * 31), below)


def test_places_within_strips_are_uniform():
    places = simulated_residuals(sleepstudy(), 20, rng=9).residuals * 21
    assert stats.kstest(places % 1.0, "uniform").pvalue > 0.01


class Counts:
    """Draws of whole numbers."""

    left_out = 0.0

    def draw(self, streams):
        return np.array([g.integers(4, size=N) for g in streams], dtype=float)


def test_ties_are_broken_at_random(monkeypatch):
    result = fitted("no fixed effects")
    endog = np.arange(N) % 4.0
    monkeypatch.setattr(module, "drawn_response", lambda *_: Counts())
    monkeypatch.setattr(result.model, "endog", endog)
    found = simulated_residuals(result, 40, rng=11)
    below = (found.simulated <= endog[:, None] - 0.5).sum(axis=1)
    ties = (np.abs(found.simulated - endog[:, None]) < 0.5).sum(axis=1)
    assert ties.min() > 2
    shares = (41 * found.residuals.to_numpy() - below) / (ties + 1)
    assert 0.0 < shares.min() < shares.max() < 1.0
    assert stats.kstest(shares, "uniform").pvalue > 0.01


def test_chunks_do_not_matter(monkeypatch):
    whole = simulated_residuals(fitted(), 23, rng=12)
    tests = whole.uniformity_test("simulation"), whole.dispersion_test()
    monkeypatch.setattr(module, "CHUNK", 3 * N)
    parts = simulated_residuals(fitted(), 23, rng=12)
    assert_allclose(parts.simulated, whole.simulated, rtol=1e-12)
    assert_array_equal(parts.residuals, whole.residuals)
    again = parts.uniformity_test("simulation"), parts.dispersion_test()
    assert_allclose(again, tests, rtol=1e-12)


def test_units_of_the_response_do_not_matter():
    frame = sample().assign(z=1024.0 * sample()["y"] - 300.0)
    other = crossedmixedlm("z ~ x + (x || g) + (1 | h)", frame).fit()
    found = simulated_residuals(other, 99, rng=13).residuals
    expected = simulated_residuals(fitted(), 99, rng=13).residuals
    assert_allclose(found, expected, atol=1.0 / 100)


def test_rng():
    first = simulated_residuals(fitted(), 10, rng=14)
    again = simulated_residuals(fitted(), 10, rng=np.random.default_rng(14))
    other = simulated_residuals(fitted(), 10, rng=15)
    assert_array_equal(first.residuals, again.residuals)
    assert (first.residuals != other.residuals).all()


def test_the_responses_are_held_once(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2**18)
    rng = np.random.default_rng(16)
    g = np.arange(20_000) % 100
    y = rng.standard_normal(100)[g] + rng.standard_normal(20_000)
    result = crossedmixedlm("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g})).fit()
    tracemalloc.start()
    found = simulated_residuals(result, 200, rng=17)
    found.dispersion_test()
    found.uniformity_test("simulation")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * found.simulated.nbytes


# the tests -----------------------------------------------------------------------


def clustered(rng, nsim=60, groups=12, size=8, between=3.0):
    """Residuals of a response that is one of nsim + 1 with the same distribution."""
    shared = np.repeat(rng.standard_normal((groups, nsim + 1)), size, axis=0)
    draws = between * shared + rng.standard_normal(shared.shape)
    observed, simulated = draws[:, 0], draws[:, 1:]
    below = (simulated < observed[:, None]).sum(axis=1)
    places = pd.Series((below + rng.random(len(below))) / (nsim + 1))
    zero = np.zeros(len(places))
    return SimulatedResiduals(places, observed, zero, simulated, "parametric")


def distance(places, steps):
    """Largest distance to the uniform distribution at some places."""
    return max(abs((places <= s).mean() - s) for s in steps)


def test_uniformity_by_kolmogorov_and_smirnov():
    found = simulated_residuals(sleepstudy(), 100, rng=18)
    places = np.sort(found.residuals.to_numpy())
    above = np.arange(1, 181) / 180 - places
    below = places - np.arange(180) / 180
    statistic, pvalue = found.uniformity_test()
    assert_allclose(statistic, max(above.max(), below.max()))
    assert found.uniformity_test("ks") == (statistic, pvalue)
    assert_allclose(pvalue, stats.kstwo.sf(statistic, 180))


def test_uniformity_among_simulated_responses():
    found = clustered(np.random.default_rng(19), nsim=30)
    draws = np.column_stack([found.observed, found.simulated])
    steps = np.arange(1, 32) / 31
    distances = []
    for j in range(31):
        below = (np.delete(draws, j, axis=1) < draws[:, [j]]).sum(axis=1)
        distances.append(distance((below + 0.5) / 31, steps))
    expected = np.mean(np.array(distances) >= distances[0] - 1e-12)
    test = found.uniformity_test("simulation")
    assert_allclose(test, (distances[0], expected))
    assert test._fields == ("statistic", "pvalue")


def test_dispersion_by_a_loop():
    result = fitted("weights")
    found = simulated_residuals(result, 50, rng=20)
    mean, _ = dense("weights", result)
    draws = simulate(result, 50, rng=20).to_numpy()
    spreads = np.array([np.std(draw - mean) for draw in draws.T])
    spread = np.std(result.model.endog - mean)
    tail = min((spreads >= spread).sum(), (spreads <= spread).sum())
    expected = (spread / spreads.mean(), min(1.0, 2.0 * (1 + tail) / 51))
    assert_allclose(found.dispersion_test(), expected, rtol=1e-8)


def test_outliers_are_outside_all_simulated():
    found = clustered(np.random.default_rng(21), nsim=20)
    observed = found.observed.copy()
    observed[:7] = [30.0, -30.0, 31.0, -31.0, 40.0, 50.0, 60.0]
    found = replace(found, observed=observed)
    outside = [y < min(s) or y > max(s) for y, s in zip(observed, found.simulated)]
    assert list(found.outliers) == outside
    count, p = sum(outside), 2.0 / 21.0
    masses = stats.binom.pmf(np.arange(97), 96, p)
    expected = masses[masses <= masses[count] * (1 + 1e-7)].sum()
    assert_allclose(found.outlier_test(), (count / 96, expected))
    draws = np.column_stack([observed, found.simulated])
    counts = []
    for j in range(21):
        others = np.delete(draws, j, axis=1)
        low, high = others.min(axis=1), others.max(axis=1)
        counts.append(((draws[:, j] < low) | (draws[:, j] > high)).sum())
    tail = min(
        np.sum(np.array(counts[1:]) >= counts[0]),
        np.sum(np.array(counts[1:]) <= counts[0]),
    )
    expected = (count / 96, min(1.0, 2.0 * (1 + tail) / 21))
    assert_allclose(found.outlier_test("simulation"), expected)


@pytest.mark.slow
def test_dependence_within_groups():
    """Of right models "ks" rejects too many, "simulation" as many as it should."""
    rng = np.random.default_rng(22)
    tests = [clustered(rng) for _ in range(300)]
    by_ks = np.mean([t.uniformity_test().pvalue <= 0.05 for t in tests])
    among = np.mean([t.uniformity_test("simulation").pvalue <= 0.05 for t in tests])
    outside = np.mean([t.outlier_test("simulation").pvalue <= 0.05 for t in tests])
    spread = np.mean([t.dispersion_test().pvalue <= 0.05 for t in tests])
    assert by_ks > 0.3
    # 0.05 and four standard errors
    assert max(among, outside, spread) < 0.1
    assert among > 0.01


def test_a_wrong_distribution_is_seen():
    rng = np.random.default_rng(23)
    g = np.arange(500) % 50
    y = rng.standard_normal(50)[g] + 2.0 * rng.exponential(size=500)
    frame = pd.DataFrame({"y": y, "g": g})
    result = crossedmixedlm("y ~ 1 + (1 | g)", frame).fit()
    wrong = simulated_residuals(result, 199, rng=24)
    assert wrong.uniformity_test().pvalue < 0.01
    alone = simulated_residuals(result, 199, rng=24, kind="conditional")
    assert alone.uniformity_test("simulation").pvalue == 1.0 / 200.0
    pvalues = []
    for _, response in simulate(result, 20, rng=25).items():
        right = simulated_residuals(result.refit(response), 99, rng=26)
        pvalues.append([right.uniformity_test().pvalue, right.outlier_test().pvalue])
    # four of 20 happen to less than one right model in sixty
    assert (np.array(pvalues) <= 0.05).sum(axis=0).max() < 4


# what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "new"}, "kind must be 'parametric' or 'conditional', not 'new'"),
        ({"nsim": 0}, "nsim must be a positive whole number, not 0"),
        ({"group": "z"}, "no grouping factor or column 'z'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        simulated_residuals(fitted(), **options)


@pytest.mark.parametrize("test", ["uniformity_test", "outlier_test"])
def test_bad_methods(test):
    found = simulated_residuals(fitted(), 3, rng=1)
    with pytest.raises(
        ValueError, match=r"method must be '[a-z]+' or 'simulation', not 'exact'"
    ):
        getattr(found, test)("exact")


def test_removed_data():
    result = crossedmixedlm("y ~ x + (1 | g)", sample()).fit()
    result.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        simulated_residuals(result)


def test_too_large(monkeypatch):
    result = fitted()
    monkeypatch.setattr(
        "statsmodels_lmm.core.algebra.memory.available_bytes", lambda: 10**5
    )
    with pytest.raises(MemoryError, match=r"250 responses of 90 rows.*smaller nsim"):
        simulated_residuals(result)


# generalized models --------------------------------------------------------------


def counts(zeros=0.0):
    """A fit of counts of which a share was replaced by zeros."""
    rng = np.random.default_rng(24)
    g, x = np.arange(120) % 12, rng.standard_normal(120)
    mean = np.exp(1.2 + 0.4 * x + 0.4 * rng.standard_normal(12)[g])
    y = rng.poisson(mean) * (rng.random(120) >= zeros)
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    return crossedmixedglm("y ~ x + (1 | g)", frame, family="poisson").fit()


def tied(nsim=12):
    """Counts from 0 to 3, of which the observed ones are also drawn."""
    draws = np.random.default_rng(25).integers(4, size=(50, nsim + 1)).astype(float)
    draws[:3, 0] = [9.0, -1.0, 9.0]
    draws[3, 4] = 9.0
    zero, places = np.zeros(50), pd.Series(np.full(50, 0.5))
    return SimulatedResiduals(
        places, draws[:, 0], zero, draws[:, 1:], "parametric", True
    )


@pytest.mark.parametrize("kind", ["parametric", "conditional"])
def test_residuals_of_counts_of_successes(kind):
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    result = crossedmixedglm(formula, cbpp(), family="binomial").fit()
    found = simulated_residuals(result, 20, rng=9, kind=kind)
    random = {"parametric": "new"}.get(kind, kind)
    draws = simulate(result, 20, rng=9, random_effects=random).to_numpy()
    assert_array_equal(found.simulated, draws)
    assert_array_equal(found.observed, cbpp()["incidence"])
    mean = result.fittedvalues if kind == "conditional" else result.predict()
    assert_allclose(found.predicted, mean * cbpp()["size"])
    below = (draws < found.observed[:, None]).sum(axis=1)
    above = (draws > found.observed[:, None]).sum(axis=1)
    places = 21 * found.residuals.to_numpy()
    assert ((below <= places) & (places <= 21 - above)).all()
    assert found.is_discrete
    assert found.outlier_test() == found.outlier_test("simulation")


def test_ranks_of_ties_are_shared(monkeypatch):
    """Counted one by one; chunks do not matter."""
    found = tied()
    draws = np.column_stack([found.observed, found.simulated])
    counts, outside = np.zeros((13, 13)), np.zeros(13)
    for row in draws:
        for j, value in enumerate(row):
            below, equal = (row < value).sum(), (row == value).sum()
            counts[below : below + equal, j] += 1.0 / equal
            outside[j] += equal == 1 and below in (0, 12)
    ranks = module._ranks(found.observed, found.simulated)
    assert_allclose(ranks.counts, counts, atol=1e-12)
    assert_array_equal(ranks.outside, outside)
    assert outside[0] == found.outliers.sum() > 2
    monkeypatch.setattr(module, "CHUNK", 13 * 8 * 7)
    again = module._ranks(found.observed, found.simulated)
    assert_allclose(again.counts, counts, atol=1e-12)
    assert_array_equal(again.outside, outside)


def test_zeros_are_counted():
    found = tied()
    zeros = (found.simulated == 0.0).sum(axis=0)
    count = (found.observed == 0.0).sum()
    tail = min((zeros >= count).sum(), (zeros <= count).sum())
    expected = count / zeros.mean(), min(1.0, 2.0 * (1 + tail) / 13)
    assert_allclose(found.zero_inflation_test(), expected)
    rows = ["uniformity", "dispersion", "outliers", "zero_inflation"]
    assert list(found.tests().index) == rows
    for name in rows:
        expected = getattr(found, f"{name.removesuffix('s')}_test")()
        assert_allclose(found.tests().loc[name, list(expected._fields)], expected)
    assert list(replace(found, is_discrete=False).tests().index) == rows[:3]
    assert "\nzeros, relative" in _tests(found)
    assert "zeros" not in _tests(replace(found, is_discrete=False))
    none = replace(found, observed=np.ones(50), simulated=np.ones((50, 12)))
    assert np.isnan(none.zero_inflation_test().statistic)
    with pytest.raises(ValueError, match="a continuous response has no zeros"):
        replace(found, is_discrete=False).zero_inflation_test()


def test_zeros_that_the_model_does_not_expect():
    right, wrong = (
        simulated_residuals(counts(share), 99, rng=1, kind="conditional")
        for share in (0.0, 0.3)
    )
    assert right.zero_inflation_test().pvalue > 0.05
    assert wrong.zero_inflation_test().pvalue < 0.05
    assert wrong.zero_inflation_test().statistic > 1.5
    assert wrong.uniformity_test("simulation").pvalue < 0.05
    assert right.uniformity_test("simulation").pvalue > 0.05
