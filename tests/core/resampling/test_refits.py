"""Many fits at once are single fits, one by one."""

import functools
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dense_twin import DenseTwin, starts
from numpy.testing import assert_allclose, assert_array_equal
from samples import quiet

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.engines import batches, block_engine
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.engines.coupling import SparseCoupling
from statsmodels_lmm.core.resampling import refits
from statsmodels_lmm.core.resampling.refits import Refits, lifted, refit_all
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
)
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.replicates.refitted_parameters import design_of

N = 150
COUNT = 8


@functools.cache
def sample():
    """Rows of crossed factors g and h, and k nested in g."""
    rng = np.random.default_rng(21)
    g, h = rng.permutation(np.arange(N) % 12), rng.permutation(np.arange(N) % 8)
    x, z = rng.uniform(1.0, 4.0, N), rng.standard_normal(N)
    frame = pd.DataFrame({"g": g, "h": h, "x": x, "z": z, "x2": 2.0 * x - 1.0})
    frame["k"], frame["f"] = np.arange(N) % 2, g % 3
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    u, v = rng.standard_normal((12, 2)), rng.standard_normal(8)
    frame["y"] = 2.0 + 0.5 * x + u[g, 0] + 0.5 * u[g, 1] * x + 0.7 * v[h]
    frame["y"] += rng.standard_normal(N)
    return frame


@functools.cache
def responses():
    """Half of them with hardly any random effects, so that some fits are singular."""
    rng, data = np.random.default_rng(22), sample()
    out = []
    for i in range(COUNT):
        size = 1.0 if i < COUNT // 2 else 0.05
        u, v = rng.standard_normal((12, 2)), rng.standard_normal(8)
        m = rng.standard_normal((12, 2))
        y = 1.0 - 0.3 * data["x"] + size * (u[data["g"], 0] + 0.7 * v[data["h"]])
        y += size * (0.4 * u[data["g"], 1] * data["x"] + 0.6 * m[data["g"], data["k"]])
        out.append(y + rng.standard_normal(N))
    return np.array(out)


CASES = {
    "intercepts": ("y ~ x + (1 | g)", {}),
    "slopes": ("y ~ x + (x | g)", {}),
    "slopes of their own": ("y ~ x + (x || g)", {}),
    "three effects": ("y ~ x + z + (x + z | g)", {}),
    "two crossed": ("y ~ x + (x | g) + (1 | h)", {}),
    "nested": ("y ~ x + (x | g) + (1 | g:k)", {}),
    "chain and tail": ("y ~ x + (1 | h) + (1 | g / k)", {}),
    "tail of slopes": ("y ~ x + (x | h) + (x || g)", {}),
    "weights": ("y ~ x + (x | g) + (1 | h)", {"weights": "w"}),
    "offset": ("y ~ x + (x | g)", {"offset": "o"}),
    "no fixed effects": ("y ~ 0 + (x | g) + (1 | h)", {}),
    "dropped column": ("y ~ x + x2 + z + (1 | g) + (1 | h)", {"weights": "w"}),
}


@functools.cache
def fitted(name, reml=True):
    formula, options = CASES[name]
    return quiet(formula, sample(), reml, **options)._results


@functools.cache
def singles(name, reml):
    """A fit of each response by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fitted(name, reml).model
        return [model.with_response(y).fit(reml=reml)._results for y in responses()]


def centered(result, values):
    """What a design fits: less the offset."""
    return values - (0.0 if result.model.offset is None else result.model.offset)


@functools.cache
def batch(name, reml):
    result = fitted(name, reml)
    return design_of(result).fit(centered(result, responses()))


def covariance_matrices(result, fits):
    """Covariance matrices in user units and the user's order, (r, k, k) each."""
    data, products = result.model._sufficient_statistics()
    scale = fits.scale[:, None, None] * data.response_scale**2
    order = list(products.plan.order)
    return [
        scale * (back @ fits.covariances[order.index(i)] @ back.T)
        for i, back in enumerate(data.to_effects)
    ]


def close(one, other):
    """
    Two sets of fits are the same.

    A search ends when less than 1e-8 is to be gained, and how long its first steps are
    depends a little on the company: values agree to that, estimates to its root.
    """
    assert_allclose(one.value, other.value, atol=1e-8)
    for name in ("coefficients", "fixed_root", "scale"):
        a, b = getattr(one, name), getattr(other, name)
        assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    for a, b in zip(one.covariances, other.covariances, strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    largest = np.nanmax(np.abs(other.variance_covariance))
    assert_allclose(
        one.variance_covariance,
        other.variance_covariance,
        rtol=1e-3,
        atol=1e-4 * largest,
    )


# single fits ---------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_single_fits(name, reml):
    result, found = fitted(name, reml), batch(name, reml)
    data, _ = result.model._sufficient_statistics()
    each = singles(name, reml)
    assert found.value.shape == (COUNT,)

    criterion = found.value + data.criterion_shift(reml)
    assert_allclose(criterion, [r.deviance_criterion for r in each], atol=1e-7)

    kept = data.kept
    coefficients = data.response_scale * found.coefficients @ data.to_fixed.T
    errors = np.array([r.bse[kept] for r in each])
    expected = np.array([r.params[kept] for r in each])
    assert coefficients.shape == expected.shape
    assert (np.abs(coefficients - expected) <= 1e-3 * errors).all()

    root = data.to_fixed @ np.linalg.inv(found.fixed_root).swapaxes(-1, -2)
    unit = data.response_scale**2 * found.scale[:, None, None]
    covariance = unit * (root @ root.swapaxes(-1, -2))
    expected = [r.cov_params()[np.ix_(kept, kept)] for r in each]
    assert_allclose(covariance, np.reshape(expected, covariance.shape), rtol=1e-3)

    scale = data.response_scale**2 * found.scale
    assert_allclose(scale, [r.scale for r in each], rtol=1e-4)
    for i, matrices in enumerate(covariance_matrices(result, found)):
        expected = np.array([r._covariances()[i] for r in each])
        # of the size that the effects have in the response
        columns = np.sqrt(np.mean(result.model.random[i].grouped.effects ** 2, axis=0))
        size = np.outer(columns, columns) / scale[:, None, None]
        assert_allclose(size * matrices, size * expected, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["slopes", "chain and tail", "weights"])
def test_singular_fits_are_among_them(name, reml):
    """The comparison covers them, and both ways find the same ones."""
    singular = np.array([r.is_singular for r in singles(name, reml)])
    assert singular.any()
    assert not singular.all()
    found = batch(name, reml)
    at_zero = np.zeros(COUNT, dtype=bool)
    _, products = fitted(name, reml).model._sufficient_statistics()
    for factor, s in zip(products.plan.terms, found.covariances):
        for block in factor.block_slices:
            values = np.linalg.svd(s[:, block, block], compute_uv=False)
            at_zero |= values[:, -1] <= 1e-8 * np.maximum(1.0, values[:, 0])
    assert_array_equal(at_zero, singular)


@pytest.mark.parametrize("name", ["slopes", "two crossed", "chain and tail", "weights"])
def test_information_of_single_fits(name):
    """That of the same point, in the units of another standardization."""
    found, result = batch(name, True), fitted(name, True)
    data, _ = result.model._sufficient_statistics()
    for i, single in enumerate(singles(name, True)):
        own, _ = single.model._sufficient_statistics()
        expected = inverse_information(average_information(single.at_optimum))
        expected = expected * (own.response_scale / data.response_scale) ** 4
        size = np.abs(expected).max()
        assert_allclose(
            found.variance_covariance[i], expected, rtol=5e-3, atol=1e-4 * size
        )


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["slopes of their own", "chain and tail", "weights"])
def test_dense_criterion(name, reml):
    """Values, coefficients and scales against n x n matrices; G L = 0, G >= 0."""
    result, found = fitted(name, reml), batch(name, reml)
    data, products = result.model._sufficient_statistics()
    order = products.plan.order
    root = design_of(result).root_weights / data.response_scale
    for i, y in enumerate(centered(result, responses()) * root):
        roots = [None] * len(order)
        for at, factor in enumerate(products.plan.terms):
            roots[order[at]] = pivoted_factor(
                found.covariances[at][i], factor.block_slices
            )
        twin = DenseTwin(y, data.exog, data.terms, roots, reml)
        assert_allclose(found.value[i], twin.value, rtol=1e-10)
        assert_allclose(found.scale[i], twin.scale, rtol=1e-9)
        assert_allclose(found.coefficients[i], twin.coefficients, atol=1e-9)
        inverse = np.linalg.inv(found.fixed_root[i])
        assert_allclose(inverse.T @ inverse, twin.xvx_inverse, atol=1e-12)
        for at, (factor, root) in enumerate(zip(data.terms, roots)):
            information = np.trace(twin.level_sum(at))
            dual = twin.dual(at) / information
            for block in factor.block_slices:
                own = dual[block, block]
                slope = own @ root.matrix[block, block]
                assert np.abs(slope).max() < 1e-3
                assert np.linalg.eigvalsh(own)[0] > -1e-3


# batches -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slopes", "chain and tail", "no fixed effects"])
def test_a_batch_of_one(name):
    whole = batch(name, True)
    result = fitted(name)
    for i, y in enumerate(centered(result, responses())):
        close(design_of(result).fit(y[None]), whole.take([i]))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_one_after_another(name, monkeypatch):
    """A design too large to be batched has the same fits."""
    together = batch(name, True)
    for limit in ("MAX_BATCHED_EFFECTS", "MAX_BATCHED_TAIL"):
        monkeypatch.setattr(batches, limit, -1)
        result = fitted(name)
        design = design_of(result)
        assert refits.batch_size(design.products) == 1
        found = design.fit(centered(result, responses()))
        assert_allclose(found.value, together.value, atol=1e-7)
        for field in ("coefficients", "fixed_root", "scale", "variance_covariance"):
            assert getattr(found, field).shape == getattr(together, field).shape
        # to what a criterion known to 1e-8 says
        assert_allclose(found.coefficients, together.coefficients, atol=1e-4)
        assert_allclose(found.scale, together.scale, rtol=1e-4)
        for a, b in zip(found.covariances, together.covariances, strict=True):
            assert_allclose(a, b, rtol=1e-3, atol=2e-4)
        assert found.certified.all()
        monkeypatch.undo()


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["slopes", "two crossed", "chain and tail"])
@pytest.mark.parametrize("batched", [True, False])
def test_a_bad_response_among_others(name, bad, batched, monkeypatch):
    """It fails alone; the others are what they are without it."""
    result, together = fitted(name), batch(name, True)
    if not batched:
        monkeypatch.setattr(batches, "MAX_BATCHED_EFFECTS", -1)
    values = centered(result, responses())
    spoiled = np.insert(values, [0, 3], bad, axis=0)
    with np.errstate(invalid="ignore"):
        found = design_of(result).fit(spoiled)
    at = np.array([0, 4])
    for field in ("value", "coefficients", "fixed_root", "scale"):
        assert np.isnan(getattr(found, field)[at]).all()
    assert np.isnan(found.variance_covariance[at]).all()
    assert all(np.isnan(s[at]).all() for s in found.covariances)
    assert not found.certified[at].any()
    good = np.delete(np.arange(COUNT + 2), at)
    if batched:
        close(found.take(good), together)
    assert_allclose(found.value[good], together.value, atol=1e-7)
    assert len(found.evaluations) == COUNT + 2


def test_only_bad_responses():
    result = fitted("slopes")
    found = design_of(result).fit(np.zeros((3, N)))
    assert np.isnan(found.value).all()
    assert found.variance_covariance.shape == (3, 4, 4)
    assert not found.certified.any()


def test_joining_and_taking():
    whole = batch("chain and tail", False)
    parts = [whole.take(slice(0, 3)), whole.take([3]), whole.take(np.arange(4, COUNT))]
    joined = Refits.join(parts)
    for name, value in vars(whole).items():
        if name == "covariances":
            assert all(map(np.array_equal, value, joined.covariances))
        else:
            assert_array_equal(getattr(joined, name), value)
    order = np.arange(COUNT)[::-1]
    assert_array_equal(whole.take(order).value, whole.value[order])
    mask = whole.value > np.median(whole.value)
    assert_array_equal(whole.take(mask).scale, whole.scale[mask])


def test_order_of_the_responses():
    result = fitted("two crossed")
    order = np.random.default_rng(1).permutation(COUNT)
    found = design_of(result).fit(centered(result, responses()[order]))
    close(found, batch("two crossed", True).take(order))


def test_scale_of_a_response():
    """A response a thousand times as large has the same relative covariances."""
    result = fitted("two crossed")
    found = design_of(result).fit(1e3 * centered(result, responses()))
    whole = batch("two crossed", True)
    assert_allclose(found.scale, 1e6 * whole.scale, rtol=1e-6)
    assert_allclose(found.coefficients, 1e3 * whole.coefficients, rtol=1e-6, atol=1e-3)
    for a, b in zip(found.covariances, whole.covariances):
        assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_size_of_a_batch():
    """A function of the design: as many as the arrays may hold, and at least one."""
    _, small = fitted("intercepts").model._sufficient_statistics()
    _, large = fitted("chain and tail").model._sufficient_statistics()
    assert refits.batch_size(small) == refits.MAX_BATCH
    assert 1 <= refits.batch_size(large) <= refits.MAX_BATCH
    more = replace(large, gram=np.zeros((7, 3, 3)))
    assert refits.batch_size(more) == refits.batch_size(large)


def test_size_of_a_batch_is_bounded_by_memory(monkeypatch):
    _, products = fitted("chain and tail").model._sufficient_statistics()
    monkeypatch.setattr(refits, "BATCH_ENTRIES", 5000)
    few = refits.batch_size(products)
    monkeypatch.setattr(refits, "BATCH_ENTRIES", 10000)
    assert 1 <= few < refits.batch_size(products) < refits.MAX_BATCH
    monkeypatch.setattr(refits, "BATCH_ENTRIES", 1)
    assert refits.batch_size(products) == 1


# certificates --------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_optima_are_certified(name, reml):
    assert all(r.converged for r in singles(name, reml))
    assert batch(name, reml).certified.all()


@pytest.mark.parametrize("batched", [True, False])
def test_what_is_stopped_early_is_not_certified(batched, monkeypatch):
    result, together = fitted("two crossed"), batch("two crossed", True)
    if not batched:
        monkeypatch.setattr(batches, "MAX_BATCHED_EFFECTS", -1)
    data, products = result.model._sufficient_statistics()
    values = centered(result, responses()) / data.response_scale
    many = products.with_responses(data, values)
    start = lifted(result._units.of_plan(result._estimates.factors), products)
    found = refit_all(Profiled(many, True), start, Settings(maxiter=1, tol=1e-8))
    assert_array_equal(found.evaluations, 1)
    assert not found.certified.any()
    assert (found.value > together.value + 1e-3).all()


def test_evaluations_are_few():
    for name in CASES:
        assert batch(name, True).evaluations.max() < 30


def test_start_does_not_matter():
    result = fitted("two crossed")
    data, products = result.model._sufficient_statistics()
    values = centered(result, responses()) / data.response_scale
    many = products.with_responses(data, values)
    wide = [4.0 * np.eye(f.k_effects) for f in products.plan.terms]
    found = refit_all(Profiled(many, True), starts(products, wide))
    assert_allclose(found.value, batch("two crossed", True).value, atol=1e-7)


# cross-products ------------------------------------------------------------


def of_sparse_coupling(name, monkeypatch):
    """A fit of which the coupling of chain and tail is sparse."""
    monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
    monkeypatch.setattr(block_engine, "DENSE_SHARE", 1e9)
    formula, options = CASES[name]
    result = crossedmixedlm(formula, sample(), **options).fit()._results
    _, products = result.model._sufficient_statistics()
    assert any(isinstance(c, SparseCoupling) for c in products.coupling)
    return result


@pytest.mark.parametrize("sparsely", [False, True])
@pytest.mark.parametrize("name", ["tail of slopes", "chain and tail", "weights"])
def test_cross_products_of_other_responses(name, sparsely, monkeypatch):
    result = of_sparse_coupling(name, monkeypatch) if sparsely else fitted(name)
    data, products = result.model._sufficient_statistics()
    values = centered(result, responses()) / data.response_scale
    many = products.with_responses(data, values)
    for i, y in enumerate(values):
        one = sufficient_statistics(y, data.exog, data.terms)
        for a, b in zip(many.level_sums, one.level_sums, strict=True):
            assert_allclose(a[i], b, rtol=1e-12, atol=1e-9)
        assert_allclose(many.gram[i], one.gram, rtol=1e-12, atol=1e-9)
    assert many.plan is products.plan


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tail of slopes", "two crossed", "weights"])
def test_sparse_coupling(name, monkeypatch):
    """Factors with few common rows, as most of a few hundred levels have."""
    together = batch(name, True)
    result = of_sparse_coupling(name, monkeypatch)
    found = design_of(result).fit(centered(result, responses()))
    assert_allclose(found.value, together.value, atol=1e-7)


@pytest.mark.parametrize("reml", [True, False])
def test_a_factor_without_information(reml):
    """Fixed effects that tell its levels apart: its variance is zero, as in a fit."""
    with pytest.warns(UserWarning, match="f"):
        result = crossedmixedlm("y ~ 0 + C(f) + x + (1 | f) + (1 | g)", sample()).fit(
            reml=reml
        )
    result = result._results
    found = design_of(result).fit(responses())
    matrices = covariance_matrices(result, found)
    assert_allclose(matrices[0], 0.0, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = [
            result.model.with_response(y).fit(reml=reml)._results for y in responses()
        ]
    expected = [r._covariances()[1] for r in each]
    assert_allclose(matrices[1], expected, rtol=1e-3, atol=1e-4)
    assert found.certified.all()


def test_lifted_covariances():
    """No direction is on the boundary, and those off it hardly move."""
    result = fitted("two crossed")
    _, products = result.model._sufficient_statistics()
    zeros = [np.zeros((f.k_effects,) * 2) for f in products.plan.terms]
    moved = lifted(starts(products, zeros), products)
    for s, f in zip((m.covariance for m in moved), products.plan.terms):
        assert np.linalg.eigvalsh(s)[0] > 0.0
        assert_allclose(s, np.diag(np.diag(s)))
        # well below sigma^2 over the information of a level
        assert s.max() < f.n_levels / products.nobs
