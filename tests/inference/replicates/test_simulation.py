"""Simulated responses, against dense covariance matrices; fits to new responses."""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load, quiet

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.replicates.simulation import (
    drawn_response,
    generators,
    refit,
    seeds,
    simulate,
)

N = 60
DRAWS = 8_000


@functools.cache
def sample():
    rng = np.random.default_rng(31)
    g, h = rng.permutation(np.arange(N) % 10), rng.permutation(np.arange(N) % 6)
    x = rng.uniform(1.0, 3.0, N)
    u, v = rng.standard_normal((10, 2)), rng.standard_normal(6)
    y = 2.0 + 0.5 * x + u[g, 0] + 0.6 * u[g, 1] * x + v[h] + rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g], "h": h})
    frame["w"], frame["o"] = rng.uniform(0.5, 3.0, N), 10.0 * rng.standard_normal(N)
    frame["x2"] = 2.0 * x
    frame.index = [f"row {i}" for i in range(N)]
    return frame


CASES = {
    "slopes": ("y ~ x + (x | g)", {}),
    "crossed": ("y ~ x + (x || g) + (1 | h)", {}),
    "weights": ("y ~ x + (x | g) + (1 | h)", {"weights": "w"}),
    "offsets": ("y ~ x + offset(2 * o) + (1 | g) + (1 | h)", {"offset": "o"}),
    "no fixed effects": ("y ~ 0 + (x | g)", {"weights": "w", "offset": "o"}),
    "dropped column": ("y ~ x + x2 + (1 | g)", {}),
}


@functools.cache
def fitted(name="crossed", reml=True):
    formula, options = CASES[name]
    return quiet(formula, sample(), reml, **options)


def columns_of(frame, names):
    return np.column_stack(
        [np.ones(len(frame)) if n == "Intercept" else frame[n] for n in names]
    )


def dense_covariance(result, frame, weights=None, rows=None):
    """Z Sigma Z' + sigma^2 / W of the rows of a frame; Z only of some rows."""
    rows = np.ones(len(frame)) if rows is None else rows
    weights = np.ones(len(frame)) if weights is None else weights
    total = np.diag(result.scale / weights)
    for name, matrix in result.cov_re.items():
        z = columns_of(frame, matrix.index)
        used = rows[name][:, None] if isinstance(rows, dict) else rows[:, None]
        key = frame[name].to_numpy()
        z = z * used
        total += z @ matrix.to_numpy() @ z.T * (key[:, None] == key)
    return total


def check_moments(draws, mean, covariance, limit=4.7):
    """Every mean and covariance within its sampling error."""
    draws, mean = np.asarray(draws).T, np.asarray(mean)
    variances, count = np.diag(covariance), len(draws)
    gap = draws.mean(axis=0) - mean
    assert (np.abs(gap) <= limit * np.sqrt(variances / count) + 1e-12).all()
    centered = draws - mean
    found = centered.T @ centered / count
    errors = np.sqrt((np.outer(variances, variances) + covariance**2) / count)
    assert (np.abs(found - covariance) <= limit * errors + 1e-12).all()


def weights_of(name):
    return sample()["w"].to_numpy() if "weights" in CASES[name][1] else np.ones(N)


# data of the model ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_new_random_effects(name):
    result = fitted(name)
    draws = result.simulate(DRAWS, rng=1)
    assert draws.shape == (N, DRAWS)
    assert_array_equal(draws.index, sample().index)
    covariance = dense_covariance(result, sample(), weights_of(name))
    data = sample()
    mean = {
        "slopes": lambda p: p["Intercept"] + p["x"] * data["x"],
        "crossed": lambda p: p["Intercept"] + p["x"] * data["x"],
        "weights": lambda p: p["Intercept"] + p["x"] * data["x"],
        "offsets": lambda p: p["Intercept"] + p["x"] * data["x"] + 3.0 * data["o"],
        "no fixed effects": lambda p: data["o"],
        "dropped column": lambda p: p["Intercept"] + p["x"] * data["x"],
    }[name](result.params)
    check_moments(draws, mean, covariance)
    with pytest.raises(AssertionError):
        check_moments(draws, mean, 1.1 * covariance)


@pytest.mark.parametrize("name", CASES)
def test_conditional_random_effects(name):
    result = fitted(name)
    draws = result.simulate(DRAWS, rng=2, random_effects="conditional")
    residuals = np.diag(result.scale / weights_of(name))
    check_moments(draws, result.fittedvalues, residuals)


def test_singular_covariances():
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    assert result.is_singular
    draws = result.simulate(DRAWS, rng=3)
    check_moments(draws, result.fittedvalues, result.scale * np.eye(len(data)))


def test_correlation_of_one():
    rng = np.random.default_rng(4)
    data = sample().copy()
    u, noise = rng.standard_normal(10), rng.standard_normal(N)
    codes = data["g"].str[1:].astype(int).to_numpy()
    for level in range(10):
        at = np.flatnonzero(codes == level)
        lines = np.column_stack([np.ones(len(at)), data["x"].iloc[at]])
        noise[at] -= lines @ np.linalg.lstsq(lines, noise[at])[0]
    data["y"] = u[codes] * (1.0 - 0.8 * data["x"].to_numpy()) + noise
    result = crossedmixedlm("y ~ x + (x | g)", data).fit()
    assert result.is_singular
    assert result.cov_re["g"].to_numpy()[0, 0] > 0.1
    draws = result.simulate(DRAWS, rng=4)
    mean = result.predict()
    check_moments(draws, mean, dense_covariance(result, data))


def test_arrays_without_a_formula():
    rng = np.random.default_rng(5)
    groups = np.arange(N) % 10
    exog = np.column_stack([np.ones(N), rng.standard_normal(N)])
    y = exog @ [1.0, 2.0] + rng.standard_normal(10)[groups] + rng.standard_normal(N)
    result = CrossedMixedLM(y, exog, random={"g": groups}).fit()
    draws = result.simulate(DRAWS, rng=5)
    same = groups[:, None] == groups
    covariance = result.cov_re["g"].to_numpy() * same + result.scale * np.eye(N)
    check_moments(draws, exog @ result.params, covariance)
    assert_array_equal(draws.index, np.arange(N))


# new data ------------------------------------------------------------------


def new_data():
    """Known and unseen levels, several rows of each."""
    frame = pd.DataFrame({"g": ["g3", "new", "g3", "other", "new", "g0", "g3"]})
    frame["h"] = [2, 2, 99, 99, 5, 0, 99]
    frame["x"] = [1.0, 2.0, 3.0, 1.5, 0.5, 2.5, 0.0]
    frame["o"], frame["w"] = np.arange(7.0), 100.0
    frame["x2"] = 2.0 * frame["x"]
    frame.index = list("abcdefg")
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slopes", "crossed", "weights", "offsets"])
def test_new_data_with_new_random_effects(name):
    """Rows of one level share its effect, known or not; rows have the weight 1."""
    result, new = fitted(name), new_data()
    offset = new["o"].to_numpy() if name == "offsets" else None
    draws = result.simulate(DRAWS, rng=6, exog=new, offset=offset)
    assert_array_equal(draws.index, new.index)
    mean = result.params["Intercept"] + result.params["x"] * new["x"]
    if name == "offsets":
        mean += 3.0 * new["o"]
    check_moments(draws, mean, dense_covariance(result, new))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slopes", "crossed", "weights"])
def test_new_data_with_conditional_random_effects(name):
    """Known levels have their modes, unseen ones effects that their rows share."""
    result, new = fitted(name), new_data()
    draws = result.simulate(DRAWS, rng=7, exog=new, random_effects="conditional")
    mean = result.predict(new, random_effects=True, new_levels="population")
    unseen = {
        "g": new["g"].isin(["new", "other"]).to_numpy(float),
        "h": (new["h"] == 99).to_numpy(float),
    }
    check_moments(draws, mean, dense_covariance(result, new, rows=unseen))


def test_levels_of_several_columns():
    """A level of g:h is a pair, also an unseen pair of known values."""
    data = sample()
    result = crossedmixedlm("y ~ x + (1 | g:h) + (1 | g)", data).fit()
    new = pd.DataFrame({"g": ["g1", "g1", "g1", "zz"], "h": [0, 0, 1, 0], "x": 1.0})
    draws = result.simulate(DRAWS, rng=8, exog=new)
    pair, single = result.cov_re["g:h"], result.cov_re["g"]
    g, h = new["g"].to_numpy(), new["h"].to_numpy()
    same = g[:, None] == g
    both = same & (h[:, None] == h)
    covariance = result.scale * np.eye(4) + pair.to_numpy() * both
    covariance = covariance + single.to_numpy() * same
    mean = result.params["Intercept"] + result.params["x"] * new["x"]
    check_moments(draws, mean, covariance)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["new", "conditional"])
def test_data_of_the_model_as_new_data(how):
    """The mean is the same; without weights so is everything."""
    result = fitted("slopes")
    draws = result.simulate(DRAWS, rng=9, exog=sample(), random_effects=how)
    if how == "new":
        check_moments(draws, result.predict(), dense_covariance(result, sample()))
    else:
        check_moments(draws, result.fittedvalues, result.scale * np.eye(N))


@pytest.mark.parametrize("how", ["new", "conditional"])
def test_incomplete_rows(how):
    result, new = fitted("crossed"), new_data()
    new.loc["c", "x"] = np.nan
    draws = result.simulate(4, rng=1, exog=new, random_effects=how)
    assert_array_equal(draws.index, new.index)
    assert draws.loc["c"].isna().all()
    rest = draws.drop(index="c")
    assert rest.notna().all().all()
    # complete rows are as they would be alone
    alone = result.simulate(4, rng=1, exog=new.drop(index="c"), random_effects=how)
    pd.testing.assert_frame_equal(rest, alone)


@pytest.mark.parametrize("how", ["new", "conditional"])
def test_rows_without_a_level(how):
    """A row of which the group is missing is incomplete."""
    result, new = fitted("crossed"), new_data()
    new.loc["b", "g"] = None
    draws = result.simulate(4, rng=1, exog=new, random_effects=how)
    assert draws.loc["b"].isna().all()
    assert draws.drop(index="b").notna().all().all()


def test_offset_of_new_rows():
    result, new = fitted("slopes"), new_data()
    plain = result.simulate(3, rng=1, exog=new)
    shift = np.arange(7.0)
    moved = result.simulate(3, rng=1, exog=new, offset=shift)
    assert_allclose(moved.sub(plain).to_numpy(), np.tile(shift[:, None], 3))
    with pytest.raises(DataError, match="offset has shape"):
        result.simulate(3, exog=new, offset=[1.0])


def test_offset_without_new_rows():
    """As for `predict` it takes the place of the offset of the model."""
    result = fitted("offsets")
    offset = np.linspace(0.0, 100.0, N)
    moved = result.simulate(3, rng=1, offset=offset)
    change = result.predict(offset=offset) - result.predict()
    expected = result.simulate(3, rng=1).add(change, axis=0)
    assert_allclose(moved, expected)


# randomness ----------------------------------------------------------------


def test_same_source_same_draws():
    result = fitted()
    first = result.simulate(3, rng=11)
    pd.testing.assert_frame_equal(first, result.simulate(3, rng=11))
    generator = np.random.default_rng(11)
    pd.testing.assert_frame_equal(first, result.simulate(3, rng=generator))
    # a generator is advanced
    assert not first.equals(result.simulate(3, rng=generator))
    assert not first.equals(result.simulate(3, rng=12))
    assert not result.simulate(3).equals(result.simulate(3))
    assert not first[0].equals(first[1])


@pytest.mark.parametrize("options", [{}, {"random_effects": "conditional"}])
@pytest.mark.parametrize("new", [False, True])
def test_a_response_does_not_depend_on_their_number(new, options):
    if new:
        options = {**options, "exog": new_data()}
    few = fitted().simulate(2, rng=11, **options)
    many = fitted().simulate(9, rng=11, **options)
    pd.testing.assert_frame_equal(few, many[[0, 1]])


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fitted().simulate(2)
    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_seeds():
    few, many = seeds(5, 3), seeds(5, 10)
    for a, b in zip(generators(few), generators(many)):
        assert a.integers(2**60) == b.integers(2**60)
    states = {g.integers(2**60) for g in generators(many)}
    assert len(states) == 10


def test_function_and_method_are_one():
    result = fitted()
    first = simulate(result._results, 2, rng=1)
    pd.testing.assert_frame_equal(first, result.simulate(2, rng=1))
    pd.testing.assert_frame_equal(first, simulate(result, 2, rng=1))


def test_bad_arguments():
    result = fitted()
    with pytest.raises(ValueError, match="'new' or 'conditional', not 'old'"):
        result.simulate(random_effects="old")
    for nsim in (0, -1, 2.0, "3", True, None):
        with pytest.raises(ValueError, match="nsim must be a positive whole number"):
            result.simulate(nsim)
    with pytest.raises(DataError, match="no column 'x'"):
        result.simulate(exog=new_data().drop(columns="x"))
    with pytest.raises(DataError, match="g"):
        result.simulate(exog=new_data().drop(columns="g"))


def test_removed_data():
    result = crossedmixedlm("y ~ x + (1 | g)", sample()).fit()
    result.remove_data()
    with pytest.raises(DataError, match="removed"):
        result.simulate()
    with pytest.raises(DataError, match="removed"):
        result.refit(np.zeros(N))


# what is resampled ---------------------------------------------------------


def test_semiparametric_draws():
    """Modes and residuals of the fit, stretched to the estimated variances."""
    result = fitted("weights")._results
    drawn = drawn_response(result, "semiparametric")
    for effects, matrix in zip(drawn.part.effects, result._covariances()):
        assert_allclose(effects.pool.mean(axis=0), 0.0, atol=1e-12)
        spread = np.cov(effects.pool.T, bias=True)
        assert_allclose(spread, np.squeeze(matrix), rtol=1e-8)
    pool = drawn.residuals.pool
    assert pool.shape == (N, 1)
    assert_allclose(pool.mean(), 0.0, atol=1e-12)
    assert_allclose((pool**2).mean(), result.scale)
    # an order-preserving map of the residuals
    ranks = np.argsort(np.argsort(result.resid_pearson))
    assert_array_equal(np.argsort(np.argsort(pool[:, 0])), ranks)
    draws = drawn.draw(generators(seeds(1, DRAWS)))
    expected = dense_covariance(fitted("weights"), sample(), weights_of("weights"))
    assert_allclose(draws.mean(axis=0), 0.0, atol=0.06 * np.sqrt(expected.max()))
    assert_allclose(np.cov(draws.T, bias=True), expected, atol=0.06 * expected.max())


def test_semiparametric_draws_of_a_singular_fit():
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()._results
    drawn = drawn_response(result, "semiparametric")
    assert_array_equal(drawn.part.effects[0].pool, 0.0)


# refits --------------------------------------------------------------------


def same_fit(one, other):
    assert_allclose(one.llf, other.llf, rtol=1e-12)
    assert_allclose(one.params, other.params, rtol=1e-10)
    assert_allclose(one.theta, other.theta, rtol=1e-8, atol=1e-10)
    assert_allclose(one.cov_params(), other.cov_params(), rtol=1e-8)
    assert one.method == other.method


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_refit_to_the_same_response(name, reml):
    result = fitted(name, reml)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = result.refit(sample()["y"])
        same_fit(again, result)
        same_fit(again.refit(sample()["y"]), result)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_refit_is_a_fit_of_new_data(name, reml):
    y = fitted(name, reml).simulate(1, rng=3)[0]
    formula, options = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fitted(name, reml).refit(y)
        data = sample().assign(y=y)
        expected = crossedmixedlm(formula, data, **options).fit(reml=reml)
    same_fit(found, expected)
    assert_allclose(found.resid, expected.resid, atol=1e-8)
    assert_allclose(found.fittedvalues, expected.fittedvalues)
    assert list(found.params.index) == list(expected.params.index)


def test_refit_leaves_the_first_fit_alone():
    result = crossedmixedlm("y ~ x + (1 | g)", sample()).fit()
    before = result.llf, result.resid.copy()
    result.refit(100.0 + np.arange(N) ** 0.5 + sample()["h"])
    assert_array_equal(result.model.endog, sample()["y"])
    assert result.model.fit().llf == before[0]
    pd.testing.assert_series_equal(result.resid, before[1])


def test_refit_aligns_a_series():
    y = fitted().simulate(1, rng=4)[0]
    expected = fitted().refit(y.to_numpy())
    same_fit(fitted().refit(y.sample(frac=1.0, random_state=1)), expected)
    more = pd.concat([pd.Series(1e9, ["before"]), y, pd.Series(np.nan, ["after"])])
    same_fit(fitted().refit(more), expected)
    # labels of something else: by position, as an array
    same_fit(fitted().refit(y.reset_index(drop=True)), expected)
    same_fit(fitted().refit(y.tolist()), expected)
    same_fit(fitted().refit(y.to_numpy()[:, None]), expected)
    same_fit(fitted().refit(y.to_frame().iloc[::-1]), expected)


def test_refit_after_incomplete_rows_were_dropped():
    data = sample().copy()
    data.loc[["row 3", "row 17"], "x"] = np.nan
    result = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    y = pd.Series(np.random.default_rng(2).standard_normal(N), data.index)
    used = data["x"].notna()
    expected = result.refit(y[used].to_numpy())
    same_fit(result.refit(y), expected)
    with pytest.raises(DataError, match=r"shape \(60,\), the model 58 rows"):
        result.refit(y.to_numpy())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refit_refuses_bad_responses(bad):
    y = sample()["y"].copy()
    with pytest.raises(DataError, match=r"shape \(59,\), the model 60 rows"):
        fitted().refit(y.to_numpy()[:-1])
    with pytest.raises(DataError, match=r"shape \(60, 2\)"):
        fitted().refit(np.column_stack([y, y]))
    y.iloc[[2, 5]] = bad
    with pytest.raises(DataError, match="missing or infinite in 2 "):
        fitted().refit(y)
    with pytest.raises(DataError):
        fitted().refit(np.ones(N))


def test_results_of_a_refit_are_complete():
    y = fitted("weights").simulate(1, rng=5)[0]
    found = refit(fitted("weights"), y)
    formula, options = CASES["weights"]
    direct = crossedmixedlm(formula, sample().assign(y=y), **options).fit()

    def text(result):
        lines = result.summary().as_text().splitlines()
        # rounding decides how many evaluations the last digits take
        words = "Date", "Time", "evaluations:", "remaining gain"
        return [line for line in lines if not any(word in line for word in words)]

    assert text(found) == text(direct)
    new = new_data()
    options = {"random_effects": True, "new_levels": "population"}
    pd.testing.assert_series_equal(
        found.predict(new, **options), direct.predict(new, **options)
    )
    pd.testing.assert_frame_equal(
        found.simulate(2, rng=1, exog=new), direct.simulate(2, rng=1, exog=new)
    )
    assert_allclose(found.drop_fixed("x").llf, direct.drop_fixed("x").llf)
    assert_allclose(found.drop_random("h").llf, direct.drop_random("h").llf)
    assert found.model.endog_names == "y"
    assert_array_equal(found.model.data.endog, y)
    assert_array_equal(np.ravel(found.model.data.orig_endog), y)
    again = pickle.loads(pickle.dumps(found))
    same_fit(again, found)
    assert_array_equal(again.model.endog, y)
    same_fit(again.refit(sample()["y"]), fitted("weights"))


def test_refit_of_arrays():
    groups = np.arange(N) % 10
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal((2, N)) + rng.standard_normal(10)[groups]
    exog = np.ones((N, 1))
    result = CrossedMixedLM(first, exog, random={"g": groups}).fit()
    expected = CrossedMixedLM(second, exog, random={"g": groups}).fit()
    same_fit(result.refit(second), expected)
    # an array model has no labels to align by
    shuffled = pd.Series(second, rng.permutation(N))
    same_fit(result.refit(shuffled), expected)
