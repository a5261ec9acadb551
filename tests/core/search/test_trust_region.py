"""Steps inside a ball, and how its radius changes."""

import numpy as np
import pytest

from statsmodels_lmm.core.search.trust_region import (
    next_radius,
    step_in_units,
    trust_region_step,
)


def quadratic(gradient, curvature, steps):
    """G's + s'H s / 2 for each row s."""
    return steps @ gradient + 0.5 * ((steps @ curvature) * steps).sum(axis=1)


def by_brute_force(gradient, curvature, radius):
    """Largest decrease among very many points of the ball."""
    m = len(gradient)
    if m == 2:
        angle = np.linspace(0.0, 2.0 * np.pi, 4001)
        sphere = np.column_stack([np.cos(angle), np.sin(angle)])
    else:  # a spiral that covers the sphere evenly
        i = np.arange(20_000) + 0.5
        z = 1.0 - i / 10_000
        angle = np.pi * (1.0 + 5.0**0.5) * i
        flat = np.sqrt(1.0 - z**2)
        sphere = np.column_stack([flat * np.cos(angle), flat * np.sin(angle), z])
    # along each ray the best length in closed form
    slope = sphere @ gradient
    bend = ((sphere @ curvature) * sphere).sum(axis=1)
    inside = np.where(bend > 0, -slope / np.where(bend > 0, bend, 1.0), radius)
    length = np.clip(inside, 0.0, radius)
    return -quadratic(gradient, curvature, sphere * length[:, None]).min()


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("signs", ["positive", "indefinite", "negative"])
def test_step_is_the_best(m, signs):
    """
    No point of the ball is better by more than 1 %.

    The radius is met to 1e-3 only, and the points of brute force are that dense.
    Slopes along negative curvature are at least 2 % of the whole: smaller ones are
    put off, see below.
    """
    rng = np.random.default_rng(3)
    for _ in range(60):
        values = rng.uniform(0.1, 3.0, m)
        if signs == "negative":
            values = -values
        elif signs == "indefinite":
            values[0] *= -1.0
        vectors = np.linalg.qr(rng.standard_normal((m, m)))[0]
        curvature = (vectors * values) @ vectors.T
        slope = rng.standard_normal(m)
        slope += 0.02 * np.linalg.norm(slope) * np.sign(slope)
        gradient = vectors @ slope
        radius = rng.uniform(0.1, 3.0)
        step, promised = trust_region_step(gradient, curvature, radius)
        assert np.linalg.norm(step) <= 1.0011 * radius
        value = quadratic(gradient, curvature, step[None])[0]
        assert promised == pytest.approx(-value, rel=1e-9)
        best = by_brute_force(gradient, curvature, radius)
        assert 0.99 * best <= promised <= 1.01 * best


def test_hard_case():
    """No slope along the lowest curvature: the step uses it to the full radius."""
    curvature = np.diag([-1.0, 2.0])
    step, promised = trust_region_step(np.zeros(2), curvature, 0.5)
    np.testing.assert_allclose(np.abs(step), [0.5, 0.0], atol=1e-12)
    assert promised == pytest.approx(0.125)
    # the other slope promises next to nothing
    step, promised = trust_region_step(np.array([0.0, 1e-5]), curvature, 0.5)
    assert abs(step[0]) == pytest.approx(0.5, rel=1e-3)
    assert promised == pytest.approx(0.125, rel=1e-3)


def test_idle_negative_curvature_is_put_off():
    curvature = np.diag([-1.0, 2.0])
    step, promised = trust_region_step(np.array([0.0, 1.0]), curvature, 1.0)
    np.testing.assert_allclose(step, [0.0, -0.5], atol=1e-12)
    assert promised == pytest.approx(0.25)
    # but not for ever: x^4 / 4 - x^2 / 2 + y^2 has its minima at x = 1 and -1
    x, y = 0.0, 1.0
    for _ in range(30):
        gradient = np.array([x**3 - x, 2 * y])
        step, _ = trust_region_step(gradient, np.diag([3 * x**2 - 1, 2.0]), 0.3)
        x, y = x + step[0], y + step[1]
    assert abs(x) == pytest.approx(1.0)
    assert y == pytest.approx(0.0, abs=1e-9)


def test_flat_direction_is_left_alone():
    gradient, curvature = np.array([1e-9, -1.0]), np.diag([1e-12, 1.0])
    step, promised = trust_region_step(gradient, curvature, 10.0)
    np.testing.assert_allclose(step, [0.0, 1.0], atol=1e-12)
    assert promised == pytest.approx(0.5)


def test_no_parameter_moves_at_a_minimum():
    step, promised = trust_region_step(np.zeros(2), np.eye(2), 1.0)
    assert not step.any()
    assert promised == 0.0


def test_many_steps_are_those_of_one_after_another():
    """Plain, long, saddle-shaped, flat and still ones, with radii of their own."""
    rng = np.random.default_rng(5)
    curvature = np.stack(
        [np.diag(v) for v in ([1, 2], [1, 2], [-1, 2], [0, 1], [1, 1])]
    )
    gradient = np.array([[0.1, 0.2], [9.0, 1.0], [0.3, 1.0], [0.0, 1.0], [0.0, 0.0]])
    turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    curvature, gradient = turn @ curvature @ turn.T, gradient @ turn.T
    radius = np.array([1.0, 0.5, 2.0, 0.3, 1.0])
    step, promised = trust_region_step(gradient, curvature, radius)
    for i in range(len(radius)):
        one, decrease = trust_region_step(gradient[i], curvature[i], radius[i])
        assert np.abs(step[i] - one).max() < 1e-12
        assert promised[i] == pytest.approx(decrease, abs=1e-12)
    shared, _ = trust_region_step(gradient, curvature, 0.5)
    each, _ = trust_region_step(gradient, curvature, np.full(5, 0.5))
    assert np.array_equal(shared, each)


def test_units_are_a_change_of_variables():
    gradient, curvature = np.array([3.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    units = np.array([4.0, 0.25])
    step, promised = step_in_units(gradient, curvature, 0.2, units)
    assert np.linalg.norm(step / units) == pytest.approx(0.2, rel=2e-3)
    scaled = units[:, None] * curvature * units
    other, again = trust_region_step(units * gradient, scaled, 0.2)
    assert promised == again
    assert np.array_equal(step, units * other)


def test_no_parameters():
    step, promised = trust_region_step(np.zeros((3, 0)), np.zeros((3, 0, 0)), 1.0)
    assert step.shape == (3, 0)
    assert promised.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("length", "gain", "expected"),
    [
        (2.0, 0.9, 4.0),  # good and bounded by the radius
        (1.0, 0.9, 2.0),  # good, but short anyway
        (2.0, 0.5, 2.0),
        (1.5, 0.1, 0.75),  # poor
        (1.5, -3.0, 0.375),  # not taken
    ],
)
def test_radius(length, gain, expected):
    assert next_radius(2.0, length, gain) == expected
    many = next_radius(np.full(2, 2.0), np.array([length, 1.0]), np.array([gain, 0.5]))
    assert many.tolist() == [expected, 2.0]
