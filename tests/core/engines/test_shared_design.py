"""Models of one design and several responses form what they share once."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.engines import shared_design
from statsmodels_lmm.core.resampling.replicates import Replicates
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula import backend
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.inference.replicates import bootstrap as bootstrap_module
from statsmodels_lmm.inference.replicates.refitted_parameters import design_of
from statsmodels_lmm.inference.replicates.simulation import drawn_response, seeds

N = 120


@functools.cache
def sample():
    rng = np.random.default_rng(41)
    g, h = rng.permutation(np.arange(N) % 12), rng.permutation(np.arange(N) % 7)
    x, z = 100.0 + rng.standard_normal(N), rng.standard_normal(N)
    y = 0.3 * x + rng.standard_normal(12)[g] + rng.standard_normal(7)[h]
    y += 0.5 * rng.standard_normal(12)[g] * z + rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h})
    frame["t"], frame["w"] = np.arange(N) % 3, rng.uniform(0.5, 2.0, N)
    frame["o"] = rng.standard_normal(N)
    return frame


@functools.cache
def other_response():
    frame = sample()
    return 2.0 * frame["y"] + np.sin(np.arange(N)) + 0.7 * (frame["h"] % 3) - 50.0


KINSHIP = 0.7 * np.eye(12) + 0.3
INVERSE = sparse.csc_array(np.linalg.inv(KINSHIP))


def formula_model(formula, **options):
    return lambda y: crossedmixedlm(formula, sample().assign(y=y), **options)


def array_model(**options):
    frame = sample()
    exog = np.column_stack([np.ones(N), frame["x"]])
    matrix = np.random.default_rng(3).standard_normal((N, 9))
    return lambda y: CrossedMixedLM(
        y, exog, {"Z": matrix, "g": frame["g"].to_numpy()}, **options
    )


MODELS = {
    "slopes": formula_model("y ~ x * z + (z | g) + (1 | h)", weights="w", offset="o"),
    "nested": formula_model("y ~ x + (1 | g/h)"),
    "no constant": formula_model("y ~ 0 + z + (0 + z | g)", weights="w"),
    "no fixed effects": formula_model("y ~ 0 + (1 | g)"),
    "redundant": formula_model("y ~ x + I(2 * x) + z + (1 | g)"),
    "structures": formula_model("y ~ x + ar1(0 + C(t) | g) + cs(0 + C(t) | h)"),
    "related": formula_model(
        "y ~ x + (1 | g)", relationship={"g": (KINSHIP, np.arange(12))}
    ),
    "related sparsely": formula_model(
        "y ~ x + (z | g) + (1 | h)",
        relationship_inverse={"g": (INVERSE, np.arange(12))},
    ),
    "matrix": array_model(),
    "mixedlm": lambda y: mixedlm(
        "y ~ x", sample().assign(y=y), groups="g", vc_formula={"h": "0 + C(h)"}
    ),
}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def counts(monkeypatch):
    """How often rows are passed over for X and Z, and formulas are evaluated."""
    found = {"designs": 0, "cross-products": 0, "formulas": 0}

    def counted(owner, name, what):
        function = getattr(owner, name)

        def call(*args, **kwargs):
            found[what] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    counted(shared_design, "standardize_design", "designs")
    counted(shared_design, "sufficient_statistics", "cross-products")
    counted(backend, "_by_patsy", "formulas")
    return found


def once(counts):
    return counts["designs"] == counts["cross-products"] == 1


def same_fit(one, other):
    assert one.llf == pytest.approx(other.llf, rel=1e-12)
    assert_allclose(one.params, other.params, rtol=1e-9)
    assert_allclose(one.theta, other.theta, rtol=1e-7, atol=1e-9)
    assert_allclose(one.scale, other.scale, rtol=1e-9)
    assert_allclose(one.cov_params(), other.cov_params(), rtol=1e-8)
    mine, yours = one.random_effects_table(), other.random_effects_table()
    assert_allclose(mine["mode"], yours["mode"], rtol=1e-7, atol=1e-9)
    assert_allclose(mine["sd"], yours["sd"], rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_a_refit_is_a_fit_of_a_new_model(name, reml, counts):
    """But nothing that the new response does not change is computed again."""
    result = MODELS[name](sample()["y"]).fit(reml=reml)
    assert once(counts)
    formulas = counts["formulas"]
    found = result.refit(other_response())
    again = found.refit(sample()["y"])
    assert once(counts)
    assert counts["formulas"] == formulas
    same_fit(found, MODELS[name](other_response()).fit(reml=reml))
    same_fit(again, result)


@pytest.mark.parametrize("other_first", [True, False])
def test_whichever_model_is_fitted_first(other_first, counts):
    model = MODELS["slopes"](sample()["y"])
    other = model.with_response(other_response())
    assert counts["designs"] == 0
    for each in (other, model) if other_first else (model, other):
        each.fit()
    assert once(counts)
    same_fit(other.fit(), MODELS["slopes"](other_response()).fit())
    same_fit(model.fit(), MODELS["slopes"](sample()["y"]).fit())


def test_a_loop_over_simulated_responses(counts):
    result = MODELS["slopes"](sample()["y"]).fit()
    formulas = counts["formulas"]
    for _, y in result.simulate(3, rng=1).items():
        result.refit(y)
    assert once(counts)
    assert counts["formulas"] == formulas


def test_a_statistic_costs_no_design(counts):
    result = MODELS["slopes"](sample()["y"]).fit()
    formulas = counts["formulas"]
    boot = result.bootstrap(3, rng=1, n_jobs=1, statistic=lambda r: r.llf)
    assert once(counts)
    assert counts["formulas"] == formulas
    assert boot.statistics.shape == (3, 1)


def llf(result):
    return result.llf


def test_nor_in_another_process(counts):
    """The model arrives without its design, the replicates bring it."""
    result = MODELS["related sparsely"](sample()["y"]).fit()._results
    replicates = Replicates(drawn_response(result), (design_of(result),))
    task = bootstrap_module._Task(replicates, result, llf, result.model._design)
    expected = task(seeds(1, 2))[1]
    arrived = pickle.loads(pickle.dumps(task))
    found = arrived(seeds(1, 2))[1]
    assert once(counts)
    assert_allclose(found, expected, rtol=1e-12)


def test_a_response_that_cannot_be_fitted_spoils_no_other():
    model = MODELS["slopes"](sample()["y"])
    bad = model.with_response(3.0 * sample()["x"] + sample()["o"])
    with pytest.raises(DataError, match="residual variance is zero"):
        bad.fit()
    same_fit(model.fit(), MODELS["slopes"](sample()["y"]).fit())


def test_functions_of_the_caller_are_known_after_a_refit():
    def scaled(values):
        return values / 10.0

    result = crossedmixedlm("y ~ scaled(x) + (1 | g)", sample()).fit()
    again = result.refit(sample()["y"])
    assert_allclose(again.predict(sample().head(3)), result.predict(sample().head(3)))


@pytest.mark.slow
@pytest.mark.parametrize("removed", ["first", "second"])
def test_removed_data_are_those_of_one_fit(removed):
    first = MODELS["related"](sample()["y"]).fit()
    second = first.refit(other_response())
    fits = {"first": first, "second": second}
    fits.pop(removed).remove_data()
    (left,) = fits.values()
    y = sample()["y"] if removed == "second" else other_response()
    expected = MODELS["related"](y).fit()
    same_fit(left.model.fit(), expected)
    assert_allclose(left.resid, expected.resid, atol=1e-9)
    assert_allclose(left.profile().conf_int(), expected.profile().conf_int(), rtol=1e-5)


def test_pickles_carry_no_design(counts):
    """They are as large as before a fit, and form a design of their own."""
    model = MODELS["slopes"](sample()["y"])
    other = model.with_response(other_response())
    before = len(pickle.dumps(other))
    expected = other.fit()
    model.fit()
    text = pickle.dumps(other)
    assert len(text) < before + 1000  # names that statsmodels remembers
    same_fit(pickle.loads(text).fit(), expected)
    assert counts["designs"] == 2


def test_a_copy_may_be_changed():
    """It may get another design, so that it shares none."""
    model = MODELS["no constant"](sample()["y"])
    model.fit()
    other = copy.copy(model)
    other.exog = 2.0 * model.exog
    assert_allclose(other.fit().params, 0.5 * model.fit().params)


def test_eigenvectors_of_relatives_are_found_once(monkeypatch):
    calls = []
    found = Relationship.orthogonal_root
    monkeypatch.setattr(
        Relationship,
        "orthogonal_root",
        lambda *args: calls.append(1) or found(*args),
    )
    result = MODELS["related"](sample()["y"]).fit()
    result.refit(other_response())
    assert len(calls) == 1


def test_sums_are_standardized_and_multiplied_once(monkeypatch):
    frame, calls = sample(), []
    terms = [
        GroupedEffects(frame[name].to_numpy(), size, np.ones((N, 1)), (1,))
        for name, size in (("g", 12), ("h", 7))
    ]
    exog = np.column_stack([np.ones(N), frame["x"]])
    summed = SummedRows.of(frame["y"].to_numpy(), exog, terms)
    for name in ("standardize_sums", "sufficient_statistics_of_sums"):
        original = getattr(shared_design, name)

        def counted(*arguments, name=name, original=original):
            calls.append(name)
            return original(*arguments)

        monkeypatch.setattr(shared_design, name, counted)
    shared = shared_design.SharedDesign()
    data = shared.of_sums(summed)
    assert shared.of_sums(summed) is data
    assert calls == ["standardize_sums", "sufficient_statistics_of_sums"]
    # another engine starts from the same standardized sums
    other = shared_design.SharedDesign(design=data)
    assert other.of_sums(summed) is data
    assert calls[2:] == ["sufficient_statistics_of_sums"]
    assert_allclose(other.products.gram, shared.products.gram)
