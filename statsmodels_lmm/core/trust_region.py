"""One step: the minimum of a quadratic over a ball."""

import numpy as np

from statsmodels_lmm.core.dense import eigh

FLAT = 1e-6
"""Curvature, relative to the largest, that counts as none."""

WORTHWHILE = 1e-7
"""
Promised decrease for which directions of negative curvature and hardly any slope
are put off. They mark a saddle, but also the inside of a curved valley of
parameters that the data cannot tell apart, where they mislead.
"""


def trust_region_step(gradient, curvature, radius):
    """
    Minimize g's + s'H s / 2 over the ball of a radius.

    Parameters
    ----------
    gradient : ndarray
        g, shape (m,).
    curvature : ndarray
        H, symmetric, not necessarily positive, shape (m, m).
    radius : float
        Radius of the ball.

    Returns
    -------
    step : ndarray
        Shape (m,).
    promised : float
        Decrease of the quadratic.
    """
    values, vectors = eigh(curvature)
    slope = vectors.T @ gradient
    largest = np.abs(values).max(initial=1e-300)
    flat = (np.abs(values) <= FLAT * largest) & (np.abs(slope) <= FLAT)
    idle = (values <= 0.0) & (np.abs(slope) <= 1e-2 * np.linalg.norm(slope))
    for left_out in (flat | idle, flat):
        used = ~left_out
        step = np.zeros_like(slope)
        step[used] = _step_along_axes(slope[used], values[used], radius)
        promised = -(slope + 0.5 * values * step) @ step
        if promised > WORTHWHILE:
            break
    return vectors @ step, float(promised)


def _step_along_axes(slope, values, radius):
    """The step in the coordinates of the eigenvectors."""
    if not len(slope):
        return slope
    lowest = values.min()
    if lowest > 0:
        step = -slope / values
        if np.linalg.norm(step) <= radius:
            return step
    low = max(0.0, -lowest)
    step = -slope / (values + low + 1e-9 * max(1.0, low))
    length = np.linalg.norm(step)
    if length < radius:
        along = np.argmin(values)
        rest = np.sqrt(radius**2 - length**2 + step[along] ** 2)
        step[along] = -rest if slope[along] > 0 else rest
        return step
    return -slope / (values + _shift_for_radius(slope, values, low, radius))


def _shift_for_radius(slope, values, low, radius):
    """The shift at which the step has the length of the radius."""
    high = low + np.linalg.norm(slope) / radius
    for _ in range(60):
        middle = 0.5 * (low + high)
        length = np.linalg.norm(slope / (values + middle))
        if abs(length - radius) < 1e-3 * radius:
            return middle
        low, high = (middle, high) if length > radius else (low, middle)
    return high
