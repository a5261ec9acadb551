"""What a criterion does unless it says otherwise."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import design, products_of, starts
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.search.descent import Iterate


class Plain(Criterion):
    """A criterion that leaves all verbs as they are."""


@pytest.fixture
def current():
    products = products_of(design("2 crossed, 2 effects each"))
    start = starts(products, [np.eye(2), 0.5 * np.eye(2)])
    return Iterate.of(profiled_deviance(products, start, True))


def test_steps_are_those_of_the_trust_region(current):
    for radius in (0.01, 1.0):
        step, promised = Plain().step(current, radius)
        expected, decrease = current.step(radius)
        assert np.array_equal(step, expected)
        assert promised == decrease > 0.0
    assert Plain().exact_below == 0.0
    assert Plain().take([0]).evaluate(current.point) is None


def test_a_step_moves_the_factors(current):
    step = 0.01 * np.arange(1.0, len(current.gradient) + 1.0)
    moved = Plain().moved(current, step)
    first, second = np.split(step, [current.point[0].n_free])
    for new, old, own in zip(moved, current.point, (first, second)):
        assert_allclose(new.covariance, old.moved(own).covariance, atol=1e-14)


def test_many_responses_are_taken_apart_and_one_is_shared():
    products = products_of(design("one factor"))
    one = Profiled(products, True)
    assert one.take(np.array([0, 0])) is one
    start = starts(products, [np.eye(1)])
    assert one.evaluate(start).value == profiled_deviance(products, start, True).value
    spoiled = replace(products, gram=np.full_like(products.gram, np.nan))
    assert Profiled(spoiled, True).evaluate(start) is None
    grams = np.stack([products.gram, spoiled.gram, 2.0 * products.gram])
    sums = tuple(np.stack([s] * 3) for s in products.level_sums)
    many = Profiled(replace(products, gram=grams, level_sums=sums), True)
    assert many.evaluate(start) is None
    assert np.array_equal(many.take(np.array([0, 2])).products.gram, grams[[0, 2]])
    assert many.take(0).evaluate(start).value == one.evaluate(start).value
