"""Several optima: where the first search ends above another, and where it need not."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from statsmodels_lmm.core import search as search_module
from statsmodels_lmm.core.saturation import is_saturated
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm


def dense_criterion(y, x, pieces, reml, weights=None):
    """The criterion of variances over sigma^2, one for each piece Z Z'."""
    n, p = x.shape
    base = np.eye(n) if weights is None else np.diag(1.0 / weights)

    def criterion(deviations):
        v = base + sum(d**2 * z @ z.T for d, z in zip(deviations, pieces))
        root = np.linalg.cholesky(v)
        ys, xs = np.linalg.solve(root, y), np.linalg.solve(root, x)
        q, r = np.linalg.qr(xs)
        rest = ys - q @ (q.T @ ys)
        nu = n - p if reml else n
        value = 2 * np.log(np.diag(root)).sum()
        value += nu * (1 + np.log(2 * np.pi * (rest @ rest) / nu))
        return value + (2 * np.log(np.abs(np.diag(r))).sum() if reml else 0.0)

    return criterion


def small_case(seed):
    """Few rows, no intercept, two factors: where second optima are common."""
    rng = np.random.default_rng(seed)
    n = 24
    data = pd.DataFrame(
        {"a": np.arange(n) % 4, "b": rng.integers(3, size=n), "x": rng.normal(size=n)}
    )
    modes = rng.normal(size=(4, 2)) * [2.0, 2.0]
    y = modes[data["a"], 0] + modes[data["a"], 1] * data["x"]
    y += 2.0 * rng.normal(size=3)[data["b"]] + rng.normal(size=n)
    return data.assign(y=y)


def dense_best(data, reml):
    a, b = (np.eye(k)[data[g]] for g, k in (("a", 4), ("b", 3)))
    x = data[["x"]].to_numpy()
    criterion = dense_criterion(data["y"].to_numpy(), x, [a, a * x, b], reml)
    rng = np.random.default_rng(0)
    ends = [
        optimize.minimize(criterion, 10.0 ** rng.uniform(-2, 1.5, 3)).fun
        for _ in range(12)
    ]
    return min(ends)


SEEDS = range(60)
FORMULA = "y ~ 0 + x + (1 | a) + (0 + x | a) + (1 | b)"


@pytest.fixture(scope="module")
def second_optima():
    """Cases whose first search alone ends above the best."""
    found = []
    for seed in SEEDS:
        data = small_case(seed)
        model = crossedmixedlm(FORMULA, data)
        best = model.fit()
        if best.optimum.starts > 1:
            first = search_alone(model)
            if first.deviance_criterion > best.deviance_criterion + 1e-4:
                found.append((data, first, best))
    return found


def search_alone(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "_has_doubts", lambda deviance, idle: False)
        return model.fit()


def test_second_searches_find_what_the_first_misses(second_optima):
    assert second_optima  # otherwise nothing is tested
    for data, first, best in second_optima:
        assert first.converged
        assert first.optimum.starts == 1
        assert best.optimum.starts > 1
        assert best.optimum.others[0] > 1e-4
        assert best.deviance_criterion <= dense_best(data, True) + 1e-4


def test_one_start_inside_the_cone():
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(15), 8), rng.normal(size=120)
    y = rng.normal(size=15)[g] + rng.normal(size=15)[g] * x + rng.normal(size=120)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    result = crossedmixedlm("y ~ x + (x | g)", data).fit()
    assert not result.is_singular
    assert result.optimum.starts == 1
    assert result.optimum.others == ()


def test_a_start_of_ones_own_is_the_only_one():
    model = crossedmixedlm(FORMULA, small_case(0))
    assert model.fit(start_params=[1.0, 1.0, 1.0]).optimum.starts == 1


def test_searches_one_after_another_end_as_those_side_by_side(
    second_optima, monkeypatch
):
    """A model that is too large for a batch finds the same optimum."""
    monkeypatch.setattr(search_module, "is_batchable", lambda products: False)
    same = 0
    for data, _, best in second_optima:
        again = crossedmixedlm(FORMULA, data).fit()
        assert again.optimum.starts > 1
        same += again.deviance_criterion <= best.deviance_criterion + 1e-6
    assert same >= 0.5 * len(second_optima)


def correlated(rho, seed, hom):
    """Three conditions, each seen once by a dozen people, of equal correlation."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky((1 - rho) * np.eye(3) + rho)
    modes = rng.normal(size=(12, 3)) @ root.T
    g, f = np.repeat(np.arange(12), 6), np.tile(np.arange(3), 24)
    y = 2.0 * modes[g, f] + rng.normal(size=72)
    frame = pd.DataFrame({"g": g, "f": np.array(list("uvw"))[f], "y": y})
    return frame, f"y ~ f + cs(0 + f | g, hom={hom})"


@pytest.mark.parametrize("rho", [-0.45, 0.0, 0.9])
@pytest.mark.parametrize("hom", [True, False])
def test_structures_are_searched_from_several_places(rho, hom):
    data, formula = correlated(rho, 2, hom)
    model = crossedmixedlm(formula, data)
    result = model.fit()
    assert result.converged
    assert result.optimum.starts >= 3
    rng = np.random.default_rng(0)
    size = len(result.theta)
    for _ in range(6):
        start = np.append(10.0 ** rng.uniform(-1, 1, size - 1), rng.uniform(-0.4, 0.9))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            other = model.fit(start_params=start)
        assert result.deviance_criterion <= other.deviance_criterion + 1e-6


def saturated(seed=0):
    """Eighteen rows in two factors with slopes: no row is left."""
    rng = np.random.default_rng(seed)
    a, b = np.arange(18) % 6, np.arange(18) % 5
    data = pd.DataFrame({"a": a, "b": b, "x": rng.normal(size=18)})
    return data.assign(y=rng.normal(size=6)[a] + rng.normal(size=18), z=data["x"] ** 2)


SATURATED = "y ~ x + (x | a) + (z | b)"


def test_saturation_is_the_rank_of_all_columns():
    data = saturated()
    columns = [np.ones((18, 1)), data[["x"]].to_numpy()]
    for g, v in (("a", "x"), ("b", "z")):
        levels = np.eye(data[g].max() + 1)[data[g]]
        columns += [levels, levels * data[[v]].to_numpy()]
    assert np.linalg.matrix_rank(np.hstack(columns)) == 18
    _, products = crossedmixedlm(SATURATED, data)._sufficient_statistics()
    assert is_saturated(products)
    # as many columns, but two of them are the same
    data["z"] = 1.0 * (data["b"] == 0)
    columns[4:] = [columns[4], columns[4] * data[["z"]].to_numpy()]
    assert np.linalg.matrix_rank(np.hstack(columns)) < 18
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = crossedmixedlm(SATURATED, data)
    _, products = model._sufficient_statistics()
    assert not is_saturated(products)


def test_saturated_designs_are_never_called_proved():
    model = crossedmixedlm(SATURATED, saturated())
    with pytest.warns(DataWarning, match="nothing is left to tell the residual"):
        result = model.fit()
    assert not result.converged
    assert result.optimum.saturated
    text = str(result.summary())
    assert "NOT proved" in text
    assert "nothing is left to tell" in text


def test_a_likelihood_without_bound_is_refused():
    """Slopes and intercepts of two factors reproduce any response of these rows."""
    refused = 0
    for seed in range(6):
        model = crossedmixedlm(SATURATED, saturated(seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = model.fit(reml=False)
            except DataError as error:
                assert "no maximum" in str(error)  # noqa: PT017
                refused += 1
            else:
                assert not result.converged
                assert result.residual_share > 1e-6
    assert refused


def test_known_covariances_are_not_saturated():
    """A record for each of many relatives says something of both variances."""
    rng = np.random.default_rng(3)
    n = 30
    root = np.tril(rng.normal(size=(n, n))) / 5 + np.eye(n)
    kinship = pd.DataFrame(root @ root.T)
    y = root @ rng.normal(size=n) + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "id": np.arange(n)})
    model = crossedmixedlm("y ~ 1 + (1 | id)", data, relationship={"id": kinship})
    _, products = model._sufficient_statistics()
    assert not is_saturated(products)
