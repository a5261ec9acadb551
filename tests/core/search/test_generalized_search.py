"""The search for the parameters of a generalized model."""

from dataclasses import replace

import numpy as np
import pytest
from engine_cases import DESIGNS
from generalized_twin import conditional
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.laplace import Laplace
from statsmodels_lmm.core.criteria.quadrature import Quadrature
from statsmodels_lmm.core.search.generalized import search_generalized
from statsmodels_lmm.core.search.newton import Settings

FAMILIES = ["logit", "probit", "poisson", "negative binomial", "gamma"]


@pytest.mark.parametrize("name", DESIGNS)
def test_every_engine_is_certified(name):
    evaluation, optimum = search_generalized(
        Laplace(conditional(name, "logit")), Settings(tol=1e-9)
    )
    assert optimum.certified
    assert optimum.evaluations <= 40
    step = 0.01 * np.random.default_rng(0).standard_normal(len(optimum.curvature))
    for move in (step, -step):
        assert float(evaluation.near(move).value) > float(evaluation.value) - 1e-9


@pytest.mark.parametrize("options", [{}, {"jointly": True}, {"observed": False}])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_certified(family, options):
    criterion = Laplace(conditional("2 crossed", family), **options)
    evaluation, optimum = search_generalized(criterion, Settings(tol=1e-9))
    assert optimum.certified
    assert np.abs(evaluation.first.gradient).max() < 1e-3


@pytest.mark.parametrize("name", ["one factor", "2 crossed, 2 effects each"])
def test_a_moved_optimum_is_not_certified(name):
    """A search that may not move from 1e-3 of a standard error says so."""
    criterion = Laplace(conditional(name, "logit"))
    evaluation, optimum = search_generalized(criterion, Settings(tol=1e-9))
    errors = np.sqrt(2.0 / np.diag(evaluation.hessian)[:2])
    coefficients = evaluation.coefficients + [1e-3 * errors[0], 0.0]
    point = criterion.point(coefficients, evaluation.factors)
    moved = criterion.evaluate(point)
    assert float(moved.value) > float(evaluation.value)
    place = replace_start(criterion, point)
    _, stopped = search_generalized(criterion, Settings(maxiter=1), place)
    assert optimum.certified
    assert stopped.promised > 1e-8
    assert stopped.evaluations <= 2


def replace_start(criterion, point):
    from statsmodels_lmm.core.criteria.laplace import Place

    return Place(tuple(point))


def test_quadrature_counts_the_search_before_it():
    model = conditional("one factor", "logit")
    _, laplace = search_generalized(Laplace(model), Settings(tol=1e-9))
    evaluation, optimum = search_generalized(
        Quadrature(model, n_nodes=9), Settings(tol=1e-9)
    )
    assert optimum.certified
    assert optimum.evaluations > 2
    assert laplace.evaluations < 20
    assert evaluation.criterion.nagq == 9


def test_order_of_rows_and_levels_is_irrelevant():
    model = conditional("2 crossed", "poisson")
    order = np.random.default_rng(3).permutation(len(model.endog))
    shuffled = replace(
        model,
        engine=type(model.engine).of([f.take(order) for f in model.terms], len(order)),
        endog=model.endog[order],
        weights=model.weights[order],
        exog=model.exog[order],
        offset=model.offset[order],
    )
    one, _ = search_generalized(Laplace(model), Settings())
    two, _ = search_generalized(Laplace(shuffled), Settings())
    assert_allclose(float(one.value), float(two.value), rtol=1e-11)
    assert_allclose(one.coefficients, two.coefficients, atol=1e-7)


def test_a_callback_may_stop_the_search():
    seen = []

    def watch(iterate, promised, evaluations):
        seen.append((float(iterate.value), evaluations))
        if len(seen) == 2:
            raise StopIteration

    model = conditional("2 crossed", "logit")
    evaluation, optimum = search_generalized(Laplace(model), Settings(watch=watch))
    assert optimum.interrupted
    assert not optimum.certified
    assert float(evaluation.value) == seen[-1][0]


def test_the_keyboard_may_stop_the_search(monkeypatch):
    model = conditional("2 crossed", "logit")
    criterion, calls = Laplace(model), []
    plain = Laplace.at

    def at(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Laplace, "at", at)
    _, optimum = search_generalized(criterion, Settings())
    assert optimum.interrupted
    assert len(calls) == 3
