"""
One trust-region step: the minimum of a quadratic over a ball, for one problem or many.

Leading axes run over the problems.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import eigh

NO_CURVATURE = 1e-6
"""Curvature that counts as zero, relative to the largest."""

WORTHWHILE = 1e-7
"""
Promised decrease that takes precedence over directions of negative curvature and hardly
any slope. Such directions mark a saddle, but also the floor of a curved valley of
parameters that the data cannot distinguish, where they mislead.
"""

ACCEPTED = 1e-4
"""Share of the promised decrease that a step must achieve."""


def next_radius(radius, length, gain):
    """
    The radius after a step.

    It doubles after a good step that reached it, and shrinks in proportion to a poor
    step.

    Parameters
    ----------
    radius, length : float or ndarray
        Radius of the ball and length of the step, shape (...).
    gain : float or ndarray
        Share of the promised decrease that the step achieved, shape (...).

    Returns
    -------
    ndarray
        Shape (...).
    """
    grown = np.where((gain > 0.75) & (length > 0.9 * radius), 2.0 * radius, radius)
    shrunk = np.where(gain > ACCEPTED, 0.5, 0.25) * length
    return np.where(gain < 0.25, shrunk, grown)


def step_in_units(gradient, curvature, radius, units):
    """
    The step of `trust_region_step`, with a unit of length for each parameter.

    Parameters
    ----------
    gradient, curvature : ndarray
        g and H, shapes (..., m) and (..., m, m).
    radius : float or ndarray
        Radius of the ball in these units, shape (...).
    units : ndarray
        Unit of each parameter, shape (..., m).

    Returns
    -------
    step : ndarray
        Step of the parameters, shape (..., m).
    promised : float or ndarray
        Decrease of the quadratic, shape (...).
    """
    scaled = units[..., :, None] * curvature * units[..., None, :]
    step, promised = trust_region_step(units * gradient, scaled, radius)
    return units * step, promised


def trust_region_step(gradient, curvature, radius):
    """
    Minimize g's + s'H s / 2 over a ball of given radius.

    Parameters
    ----------
    gradient : ndarray
        g, shape (..., m).
    curvature : ndarray
        H, symmetric but not necessarily definite, shape (..., m, m).
    radius : float or ndarray
        Radius of the ball, shape (...).

    Returns
    -------
    step : ndarray
        Shape (..., m).
    promised : float or ndarray
        Decrease of the quadratic, shape (...).
    """
    if not gradient.shape[-1]:
        return gradient, np.zeros(gradient.shape[:-1])
    values, vectors = eigh(curvature)
    slope = (gradient[..., None, :] @ vectors)[..., 0, :]
    # usually all are clearly positive and Newton's step is short enough
    plain = values[..., 0] > NO_CURVATURE * values[..., -1]
    step = -slope / np.where(plain[..., None], values, np.inf)
    plain = plain & ((step**2).sum(axis=-1) <= radius**2)
    if not plain.all():
        rest = ~plain
        radius = np.broadcast_to(radius, plain.shape)[rest]
        step[rest] = _careful_step(slope[rest], values[rest], radius)
    promised = _decrease(slope, values, step)
    return (vectors @ step[..., None])[..., 0], promised


def _decrease(slope, values, step):
    return -((slope + 0.5 * values * step) * step).sum(axis=-1)


def _careful_step(slope, values, radius):
    """The steps in eigenvector coordinates, shape (batch, m)."""
    largest = np.abs(values).max(axis=1, initial=1e-300, keepdims=True)
    size = np.linalg.norm(slope, axis=1, keepdims=True)
    flat = (np.abs(values) <= NO_CURVATURE * largest) & (np.abs(slope) <= NO_CURVATURE)
    idle = (values <= 0.0) & (np.abs(slope) <= 1e-2 * size)
    step = _step_along_axes(slope, values, ~(flat | idle), radius)
    again = _decrease(slope, values, step) <= WORTHWHILE
    if again.any():
        step[again] = _step_along_axes(
            slope[again], values[again], ~flat[again], radius[again]
        )
    return step


def _step_along_axes(slope, values, used, radius):
    """The steps along some of the eigenvectors, shape (batch, m)."""
    slope = np.where(used, slope, 0.0)
    values = np.where(used, values, np.inf)
    lowest = values.min(axis=1, initial=np.inf)
    convex = lowest > 0.0
    step = -slope / np.where(convex[:, None], values, np.inf)
    outside = used.any(axis=1) & ~(convex & (np.linalg.norm(step, axis=1) <= radius))
    if outside.any():
        long = np.flatnonzero(outside)
        step[long] = _step_to_boundary(slope[long], values[long], radius[long])
    return step


def _step_to_boundary(slope, values, radius):
    """Steps to the boundary, where the Newton step is too long or does not exist."""
    lowest = values.min(axis=1)
    low = np.maximum(0.0, -lowest)
    least = low + np.where(lowest <= 0.0, 1e-9 * np.maximum(1.0, low), 0.0)
    step = -slope / (values + least[:, None])
    length = np.linalg.norm(step, axis=1)
    short = length < radius
    along = values.argmin(axis=1)
    every = np.arange(len(step))
    size = np.sqrt(np.maximum(radius**2 - length**2 + step[every, along] ** 2, 0.0))
    signed = np.where(slope[every, along] > 0.0, -size, size)
    long = ~short
    step[every[short], along[short]] = signed[short]
    if long.any():
        shift = _shift_for_radius(slope[long], values[long], low[long], radius[long])
        step[long] = -slope[long] / (values[long] + shift[:, None])
    return step


def _shift_for_radius(slope, values, low, radius):
    """The shifts at which the steps reach the radius."""
    high = low + np.linalg.norm(slope, axis=1) / radius
    for _ in range(60):
        middle = 0.5 * (low + high)
        length = np.linalg.norm(slope / (values + middle[:, None]), axis=1)
        # a step that is long enough is kept while others change
        met = np.abs(length - radius) < 1e-3 * radius
        if met.all():
            return middle
        low = np.where(met | (length > radius), middle, low)
        high = np.where(met | (length <= radius), middle, high)
    return high
