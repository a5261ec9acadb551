"""Standard errors of variance parameters, against dense and numerical derivatives."""

import functools

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load, quiet

from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
)
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.variances.variance_parameters import (
    VarianceEstimates,
    in_user_units,
    variance_estimates,
)

N = 120


@functools.cache
def sample():
    rng = np.random.default_rng(41)
    g, h = rng.permutation(np.arange(N) % 12), rng.permutation(np.arange(N) % 10)
    x, z = rng.uniform(1.0, 4.0, N), rng.standard_normal(N)
    u, v = rng.standard_normal((12, 3)), rng.standard_normal((10, 2))
    y = 2.0 + 0.5 * x + u[g, 0] + u[g, 1] * x + 0.8 * u[g, 2] * z + v[h, 0]
    y += 0.7 * v[h, 1] * z + rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h})
    frame["f"], frame["w"] = g % 3, rng.uniform(0.5, 2.0, N)
    frame["k"] = np.arange(N) % 2
    return frame


CASES = {
    "slopes": ("y ~ x + (x | g)", {}),
    "three effects and a crossed factor": ("y ~ x + (x + z | g) + (1 | h)", {}),
    "blocks": ("y ~ x + (1 | h) + (x | g) + (0 + z | g)", {}),
    "more levels later": ("y ~ x + (z | h) + (x || g)", {}),
    "nested": ("y ~ x + (1 | g / k) + (z | h)", {}),
    "weights": ("y ~ x + (x | g) + (1 | h)", {"weights": "w"}),
    "no fixed effects": ("y ~ 0 + (x | g)", {}),
}


@functools.cache
def fitted(name, reml=True):
    formula, options = CASES[name]
    return quiet(formula, sample(), reml, **options)._results


def by_average_information(result):
    """The parameters with the inverse of the average information."""
    deviance = result.at_optimum
    inverse = inverse_information(average_information(deviance))
    relative = [f.covariance for f in deviance.factors]
    return in_user_units(result.model, relative, deviance.scale, inverse)


def directions_of(result):
    """dV / d(entry) for the lower triangles of the covariances, in user units."""
    model, out = result.model, []
    for effects in model.random:
        z, codes = effects.grouped.effects, effects.grouped.codes
        same = codes[:, None] == codes
        for block in effects.grouped.block_slices:
            for column in range(block.start, block.stop):
                for row in range(column, block.stop):
                    unit = np.zeros((z.shape[1],) * 2)
                    unit[row, column] = unit[column, row] = 1.0
                    out.append(z @ unit @ z.T * same)
    weights = np.ones(len(model.endog)) if model.weights is None else model.weights
    return [*out, np.diag(1.0 / weights)]


def entries_of(result):
    """The parameters themselves, in the same order."""
    out = []
    for effects, s in zip(result.model.random, result._covariances()):
        for block in effects.grouped.block_slices:
            for column in range(block.start, block.stop):
                out += [s[row, column] for row in range(column, block.stop)]
    return np.array([*out, result.scale])


def dense_information(result, at=None):
    """y'P V_r P V_s P y / 2 with n x n matrices, in user units."""
    slopes = directions_of(result)
    values = entries_of(result) if at is None else at
    v = sum(s * d for s, d in zip(values, slopes))
    x, y = result.model.exog, result.model.endog
    inverse = np.linalg.inv(v)
    vx = inverse @ x
    p = inverse - vx @ np.linalg.pinv(x.T @ vx) @ vx.T
    moved = [d @ p @ y for d in slopes]
    return 0.5 * np.array([[a @ p @ b for b in moved] for a in moved])


# average information in user units -----------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_dense_average_information(name, reml):
    result = fitted(name, reml)
    found = by_average_information(result)
    entries = np.concatenate(
        [
            s[block, block].T[np.triu_indices(block.stop - block.start)]
            for e, s in zip(result.model.random, found.covariances)
            for block in e.grouped.block_slices
        ]
    )
    assert_allclose(np.append(entries, found.scale), entries_of(result), rtol=1e-9)
    expected = np.linalg.inv(dense_information(result))
    size = np.sqrt(np.diag(expected))
    both = np.outer(size, size)
    assert_allclose(found.uncertainty / both, expected / both, atol=1e-6)


def test_dense_average_information_of_singular_fits():
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()._results
    assert result.is_singular
    found = by_average_information(result).uncertainty
    assert_allclose(found, np.linalg.inv(dense_information(result)), rtol=1e-8)
    assert (np.diag(found) > 0.0).all()

    data = sample().copy()
    rng = np.random.default_rng(2)
    u = rng.standard_normal(12)[data["g"]]
    data["y"] = u * (1.0 + data["x"]) + rng.standard_normal(N)
    result = crossedmixedlm("y ~ x + (x + z | g)", data).fit()._results
    assert result.is_singular
    found = by_average_information(result).uncertainty
    expected = np.linalg.inv(dense_information(result))
    size = np.sqrt(np.diag(expected))
    both = np.outer(size, size)
    assert_allclose(found / both, expected / both, atol=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_balanced_one_way_layout(reml):
    """Mean squares are independent: textbook variances of the variances."""
    data = load("dyestuff")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit(reml=reml)._results
    found = by_average_information(result)
    means = data.groupby("Batch")["Yield"].transform("mean")
    between = ((means - data["Yield"].mean()) ** 2).sum() / (5 if reml else 6)
    within = ((data["Yield"] - means) ** 2).sum() / 24
    df = 5 if reml else 6
    spread_between, spread_within = 2 * between**2 / df, 2 * within**2 / 24
    expected = [
        [(spread_between + spread_within) / 25, -spread_within / 5],
        [-spread_within / 5, spread_within],
    ]
    assert_allclose(found.uncertainty, expected, rtol=1e-6)
    # the observed information is the same at the optimum of a balanced layout
    assert_allclose(variance_estimates(result).uncertainty, expected, rtol=1e-6)


def scaled_by(name, factors, unit=1.0):
    data = sample().assign(y=unit * sample()["y"])
    for column, factor in factors.items():
        data[column] = factor * data[column]
    formula, options = CASES[name]
    return crossedmixedlm(formula, data, **options).fit()._results


@pytest.mark.parametrize("find", [by_average_information, variance_estimates])
@pytest.mark.parametrize("unit", [1e-6, 1e5])
def test_units_of_the_columns(unit, find):
    """Entries of Sigma are in units of y over those of the columns."""
    name = "three effects and a crossed factor"
    plain = find(fitted(name))
    other = find(scaled_by(name, {"x": unit, "z": 10.0}, 1e3))
    # g: 11, x1, z1, xx, zx, zz; h: 11; sigma^2
    change = [1, 1 / unit, 0.1, 1 / unit**2, 0.1 / unit, 0.01, 1, 1]
    change = 1e6 * np.array(change)
    both = np.outer(change, change)
    assert_allclose(other.uncertainty, both * plain.uncertainty, rtol=1e-5)
    assert_allclose(other.scale, 1e6 * plain.scale, rtol=1e-6)
    for scale in ("sd", "log_sd"):
        a, b = plain.estimates(scale), other.estimates(scale)
        errors = a.errors(plain)
        if scale == "sd":
            errors = errors * [1e3, 1e3 / unit, 100.0, 1, 1, 1, 1e3, 1e3]
        assert_allclose(b.errors(other), errors, rtol=1e-5)


@pytest.mark.parametrize("find", [by_average_information, variance_estimates])
def test_order_of_rows_and_factors(find):
    result = crossedmixedlm("y ~ x + (x | g) + (z | h)", sample()).fit()
    data = sample().sample(frac=1.0, random_state=3)
    other = crossedmixedlm("y ~ x + (z | h) + (x | g)", data).fit()
    one, two = find(result._results), find(other._results)
    order = [3, 4, 5, 0, 1, 2, 6]
    expected = one.uncertainty[np.ix_(order, order)]
    assert_allclose(two.uncertainty, expected, rtol=1e-5, atol=1e-8)


# delta method --------------------------------------------------------------


@functools.cache
def regular(name):
    """Parameters away from every boundary, entries by column and all of them."""
    rng, entries, covariances = np.random.default_rng(7), [], []
    random = fitted(name).model.random
    for effects in random:
        s = np.zeros((effects.grouped.k_effects,) * 2)
        for block in effects.grouped.block_slices:
            size = block.stop - block.start
            root = rng.standard_normal((size, size + 1))
            s[block, block] = root @ root.T
            rows, columns = np.triu_indices(size)
            entries += list(s[block, block][rows, columns])
        covariances.append(s)
    root = rng.standard_normal((len(entries) + 1, len(entries) + 3))
    parameters = VarianceEstimates(
        random, tuple(covariances), np.array(0.7), root @ root.T
    )
    return parameters, np.array([*entries, 0.7])


def functions_of(name, scale, entries):
    """Standard deviations, correlations and sigma of some entries, literally."""
    result, out, at = fitted(name), [], 0
    power = {
        "sd": np.sqrt,
        "var": lambda v: v,
        "log_sd": lambda v: np.log(np.sqrt(v)),
    }[scale]
    for effects in result.model.random:
        for size in effects.grouped.blocks:
            s = np.zeros((size, size))
            for column in range(size):
                for row in range(column, size):
                    s[row, column] = s[column, row] = entries[at]
                    at += 1
            out += [power(s[a, a]) for a in range(size)]
            for a in range(size):
                out += [s[a, b] / np.sqrt(s[a, a] * s[b, b]) for b in range(a)]
    return np.array([*out, power(entries[at])])


def theta_of(name, entries):
    result, out, at = fitted(name), [], 0
    for effects in result.model.random:
        for size in effects.grouped.blocks:
            s = np.zeros((size, size))
            for column in range(size):
                for row in range(column, size):
                    s[row, column] = s[column, row] = entries[at]
                    at += 1
            root = np.linalg.cholesky(s / entries[-1])
            out += [root[r, c] for c in range(size) for r in range(c, size)]
    return np.array(out)


def numerical_jacobian(function, at):
    """Central differences, Richardson-extrapolated."""

    def differences(h):
        columns = []
        for j in range(len(at)):
            step = np.zeros(len(at))
            step[j] = h * np.abs(at).max()
            columns.append((function(at + step) - function(at - step)) / (2 * step[j]))
        return np.array(columns).T

    return (4.0 * differences(0.5e-4) - differences(1e-4)) / 3.0


@pytest.mark.parametrize("scale", ["sd", "var", "log_sd"])
@pytest.mark.parametrize("name", CASES)
def test_delta_method(name, scale):
    parameters, at = regular(name)
    found = parameters.estimates(scale)
    assert_allclose(found.values, functions_of(name, scale, at), rtol=1e-8)
    jacobian = numerical_jacobian(functools.partial(functions_of, name, scale), at)
    assert_allclose(found.jacobian, jacobian, rtol=1e-6, atol=1e-7)
    covariance = jacobian @ parameters.uncertainty @ jacobian.T
    size = np.sqrt(np.diag(covariance))
    both = np.outer(size, size)
    assert_allclose(found.covariance(parameters) / both, covariance / both, atol=1e-6)
    assert_allclose(found.errors(parameters), size, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_delta_method_of_theta(name):
    parameters, at = regular(name)
    found = parameters.theta()
    assert_allclose(found.values, theta_of(name, at), rtol=1e-9)
    own = variance_estimates(fitted(name)).theta()
    assert_allclose(own.values, fitted(name).theta, rtol=1e-6, atol=1e-7)
    jacobian = numerical_jacobian(functools.partial(theta_of, name), at)
    assert_allclose(found.jacobian, jacobian, rtol=1e-6, atol=1e-7)
    size = np.sqrt(np.diag(jacobian @ parameters.uncertainty @ jacobian.T))
    assert_allclose(found.errors(parameters), size, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_many_at_once(name):
    one, _ = regular(name)
    grown = [1.0, 2.0, 0.3]
    many = VarianceEstimates(
        one.random,
        tuple(np.multiply.outer(grown, s) for s in one.covariances),
        np.array(grown) * one.scale,
        np.multiply.outer(np.square(grown), one.uncertainty),
    )
    for a, b in (
        (one.estimates(), many.estimates()),
        (one.estimates("log_sd"), many.estimates("log_sd")),
        (one.theta(), many.theta()),
    ):
        assert a.labels == b.labels
        assert b.values.shape == (3, len(a.labels))
        assert_allclose(b.values[0], a.values)
        assert_allclose(b.errors(many)[0], a.errors(one))
        assert_allclose(b.covariance(many)[0], a.covariance(one), atol=1e-12)
    roots = np.array([0.0 if "cor " in x else 0.5 for x in one.estimates().labels])
    expected = np.multiply.outer(np.ones(3), one.estimates().errors(one))
    expected *= np.power.outer(grown, roots)
    assert_allclose(many.estimates().errors(many), expected)
    # theta and correlations do not change when all variances grow
    assert_allclose(many.theta().errors(many), np.tile(one.theta().errors(one), (3, 1)))


# labels --------------------------------------------------------------------


def test_labels():
    parameters = variance_estimates(fitted("blocks"))
    assert parameters.estimates().labels == [
        "h: sd Intercept",
        "g: sd Intercept",
        "g: sd x",
        "g: cor x, Intercept",
        "g: sd z",
        "sigma",
    ]
    variances = parameters.estimates("var").labels
    assert variances[1:3] == ["g: var Intercept", "g: var x"]
    assert variances[3] == "g: cor x, Intercept"
    assert variances[-1] == "sigma^2"
    logs = parameters.estimates("log_sd").labels
    assert (logs[0], logs[-1]) == ("h: log_sd Intercept", "log sigma")
    assert parameters.theta().labels == [
        "theta h.Intercept",
        "theta g.Intercept",
        "theta g.x.Intercept",
        "theta g.x",
        "theta g.z",
    ]


@pytest.mark.parametrize("name", CASES)
def test_labels_are_those_of_other_tables(name):
    result = fitted(name)
    parameters = variance_estimates(result)
    table = result.variance_components()
    found = parameters.estimates()
    assert_allclose(found.values, table["sd"], rtol=1e-8)
    for label, row in zip(found.labels[:-1], table.itertuples()):
        if row.effect2:
            assert label == f"{row.group}: cor {row.effect2}, {row.effect1}"
        else:
            assert label == f"{row.group}: sd {row.effect1}"
    names = [f"theta {n}" for n in result.theta.index]
    assert parameters.theta().labels == names


# boundaries ----------------------------------------------------------------


def test_a_deviation_of_zero():
    """It has no standard error, its square and the others have."""
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()._results
    parameters = variance_estimates(result)
    for scale in ("sd", "log_sd"):
        errors = parameters.estimates(scale).errors(parameters)
        assert_array_equal(np.isnan(errors), [True, False])
    assert parameters.estimates("log_sd").values[0] == -np.inf
    errors = parameters.estimates("var").errors(parameters)
    assert (errors > 0.0).all()
    assert_allclose(errors**2, np.diag(parameters.uncertainty))
    assert np.isnan(parameters.theta().errors(parameters)).all()
    assert_array_equal(parameters.theta().values, 0.0)


def test_a_correlation_without_a_deviation():
    zero = np.array([[2.0, 0.0], [0.0, 0.0]])
    one = variance_estimates(fitted("slopes"))
    parameters = VarianceEstimates(one.random, (zero,), one.scale, one.uncertainty)
    found = parameters.estimates()
    errors = found.errors(parameters)
    assert_array_equal(np.isnan(found.values), [False, False, True, False])
    assert_array_equal(np.isnan(errors), [False, True, True, False])
    assert_allclose(found.values[0], np.sqrt(2.0))


def test_a_correlation_of_one():
    ends = np.array([[4.0, -2.0], [-2.0, 1.0]])
    one = variance_estimates(fitted("slopes"))
    parameters = VarianceEstimates(one.random, (ends,), one.scale, one.uncertainty)
    found = parameters.estimates()
    assert_allclose(found.values[:3], [2.0, 1.0, -1.0])
    # with derivatives 1 / sqrt(v w) and -r / (2 v)
    row = np.array([0.125, 0.5, 0.5, 0.0])
    assert_allclose(found.jacobian[2], row)
    assert np.isnan(parameters.theta().errors(parameters)).all()


@pytest.mark.parametrize("reml", [True, False])
def test_a_factor_without_information(reml):
    """It does not change what is known about the others."""
    with pytest.warns(UserWarning, match="f"):
        result = crossedmixedlm("y ~ 0 + C(f) + x + (1 | f) + (1 | g)", sample()).fit(
            reml=reml
        )
    plain = crossedmixedlm("y ~ 0 + C(f) + x + (1 | g)", sample()).fit(reml=reml)
    finders = [by_average_information]
    if reml:
        # after ML there is information of a kind about its variance: against it
        finders.append(variance_estimates)
    for find in finders:
        one, two = find(result._results), find(plain._results)
        a, b = one.estimates("var"), two.estimates("var")
        assert a.labels[1:] == b.labels
        assert_allclose(a.values[1:], b.values, rtol=1e-7)
        assert_allclose(a.errors(one)[1:], b.errors(two), rtol=1e-6)


# observed information ------------------------------------------------------


@functools.cache
def interior(reml):
    """An unbalanced fit that is far from every boundary."""
    data = load("sleepstudy").sample(100, random_state=1)
    formula = "Reaction ~ Days + (Days | Subject)"
    return crossedmixedlm(formula, data).fit(reml=reml)


def criterion(result, entries):
    """Log-likelihood at some variances and covariances, by n x n matrices."""
    v = sum(s * d for s, d in zip(entries, directions_of(result)))
    x, y = result.model.exog, result.model.endog
    root = np.linalg.cholesky(v)
    white = np.linalg.solve(root, np.column_stack([x, y]))
    gram = white[:, :-1].T @ white[:, :-1]
    r = white[:, -1] - white[:, :-1] @ np.linalg.solve(
        gram, white[:, :-1].T @ white[:, -1]
    )
    total = 2.0 * np.log(np.diag(root)).sum() + r @ r
    if result.reml:
        total += np.linalg.slogdet(gram)[1]
    return -0.5 * total


@pytest.mark.parametrize("reml", [True, False])
def test_uncertainty_is_that_of_the_dense_likelihood(reml):
    """Second differences of the log-likelihood, where it has its maximum inside."""
    result = interior(reml)._results
    found = variance_estimates(result).uncertainty
    size = np.sqrt(np.diag(found))
    at, m = entries_of(result), len(size)
    observed = np.empty((m, m))
    steps = 3e-3 * np.diag(size)
    for a in range(m):
        for b in range(a + 1):
            ends = (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)
            values = [
                s * t * criterion(result, at + s * steps[a] + t * steps[b])
                for s, t in ends
            ]
            observed[a, b] = observed[b, a] = -sum(values) / 4.0
    unit = 3e-3 * size
    expected = np.linalg.inv(observed / np.outer(unit, unit))
    both = np.outer(size, size)
    assert_allclose(found / both, expected / both, atol=1e-3)
    other = by_average_information(result).uncertainty / both
    assert np.abs(found / both - other).max() > 0.01


def test_average_information_on_the_boundary():
    """Where the observed information has no inverse that is a covariance."""
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()._results
    found = variance_estimates(result).uncertainty
    assert (np.linalg.eigvalsh(found) > 0.0).all()


@pytest.mark.parametrize("scale", ["sd", "var", "log_sd"])
def test_tables(scale):
    result = interior(True)
    parameters = variance_estimates(result)
    found = parameters.estimates(scale)
    table = result.variance_parameters(scale)
    assert list(table.columns) == ["estimate", "std err"]
    assert list(table.index) == found.labels
    assert_allclose(table["estimate"], found.values)
    assert_allclose(table["std err"], found.errors(parameters))
    covariance = result.cov_variance_parameters(scale)
    assert list(covariance.index) == list(covariance.columns) == found.labels
    assert_allclose(covariance, found.covariance(parameters))
    assert_allclose(np.sqrt(np.diag(covariance)), table["std err"])


def test_bad_scale():
    for method in ("variance_parameters", "cov_variance_parameters"):
        with pytest.raises(ValueError, match="sd, var, log_sd, not 'log'"):
            getattr(interior(True), method)("log")


def test_wrapped_results():
    result = crossedmixedlm("y ~ x + (x | g)", sample()).fit()
    found = variance_estimates(result)
    assert_allclose(found.uncertainty, variance_estimates(result._results).uncertainty)
    assert found.random is result.model.random
