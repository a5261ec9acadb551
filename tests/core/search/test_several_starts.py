"""Several optima: where the first search ends above another, and where it need not."""

import json
import pathlib
import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.saturation import is_saturated
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.search import several_starts as search_module
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.random.terms import random_effects
from statsmodels_lmm.structures import AutoRegressive, Diagonal

FROZEN = json.loads(
    (pathlib.Path(__file__).parents[2] / "reference/second_optima.json").read_text()
)
"""
Small random data, made by ``benchmarks/local_optima.py``. Those of "best" have several
optima, of which `criterion` is the lowest that a dense search from 40 random starts
found; by maximum likelihood those of "refused" have none.
"""

FORMS = {"us": None, "diag": Diagonal, "ar1": AutoRegressive}


def frozen(case):
    """The model of some frozen data."""
    terms = []
    for name, factor in zip("abc", case["factors"]):
        form = FORMS[factor["form"]]
        structure = form and form(factor["hom"])
        effects = np.array(factor["effects"])
        terms.append(random_effects(factor["codes"], effects, structure, name))
    exog = np.array(case["exog"])
    weights = case["weights"]
    return CrossedMixedLM(np.array(case["endog"]), exog, terms, weights=weights)


def search_alone(model, reml=True):
    """The fit that a single search finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "_has_doubts", lambda deviance, idle: False)
        return model.fit(reml)


@pytest.mark.parametrize("case", FROZEN["best"], ids=lambda case: case["kind"])
def test_second_searches_find_what_the_first_misses(case):
    model, reml = frozen(case), case["reml"]
    first, best = search_alone(model, reml), model.fit(reml)
    assert first.converged
    assert first.optimum.starts == 1
    assert first.deviance_criterion > case["criterion"] + 0.01
    assert best.converged
    assert best.optimum.starts > 1
    assert best.deviance_criterion == pytest.approx(case["criterion"], abs=1e-5)
    gap = first.deviance_criterion - best.deviance_criterion
    assert any(other == pytest.approx(gap, abs=1e-5) for other in best.optimum.others)
    assert f"best of {best.optimum.starts} starts" in str(best.summary())


@pytest.mark.parametrize("case", FROZEN["best"][:2], ids=lambda case: case["kind"])
def test_a_search_that_will_end_above_a_known_optimum_is_given_up(case):
    model, reml = frozen(case), case["reml"]
    best = model.fit(reml).at_optimum
    products = model._sufficient_statistics()[1]
    start = moment_start(products)
    alone, optimum = minimize(Profiled(products, reml), start)
    assert optimum.certified
    assert alone.value > best.value + 0.01
    assert minimize(Profiled(products, reml), start, known=best) == (None, None)


@pytest.mark.parametrize("case", FROZEN["best"][:2], ids=lambda case: case["kind"])
def test_searches_one_after_another_end_where_those_side_by_side_do(case, monkeypatch):
    """A model that is too large for a batch finds the same optimum."""
    monkeypatch.setattr(search_module, "is_batchable", lambda products: False)
    best = frozen(case).fit(case["reml"])
    assert best.optimum.starts in (2, 3)
    assert best.deviance_criterion == pytest.approx(case["criterion"], abs=1e-5)


@pytest.mark.parametrize("case", FROZEN["refused"], ids=lambda case: case["kind"])
def test_a_likelihood_without_bound_is_refused(case):
    with pytest.raises(DataError, match="the likelihood has no maximum"):
        frozen(case).fit(reml=False)


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
    model = frozen(FROZEN["best"][1])
    assert model.fit().optimum.starts > 1
    assert model.fit(start_params=np.ones(4)).optimum.starts == 1


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
    with pytest.warns(DataWarning, match="nothing remains to estimate the residual"):
        result = model.fit()
    assert not result.converged
    assert result.optimum.saturated
    text = str(result.summary())
    assert "NOT proved" in text
    assert "nothing remains to" in text


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


def test_effect_sizes_of_meta_analysis_are_not_saturated():
    """Studies with several effects: the weights tell their variance from sigma^2."""
    rng = np.random.default_rng(11)
    study, weights = np.repeat(np.arange(20), 6), rng.uniform(1.0, 60.0, size=120)
    y = 0.5 * rng.normal(size=20)[study] + 0.4 * rng.normal(size=120)
    y += rng.normal(size=120) / np.sqrt(weights)
    data = pd.DataFrame({"y": y, "study": study, "effect": np.arange(120)})
    formula = "y ~ 1 + (1 | study) + (1 | effect)"
    for reml in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = crossedmixedlm(formula, data, weights=weights, check_levels=False)
            result = model.fit(reml=reml)
        assert result.converged
        assert not result.optimum.saturated
    equal = crossedmixedlm(formula, data, check_levels=False)
    assert is_saturated(equal._sufficient_statistics()[1])
