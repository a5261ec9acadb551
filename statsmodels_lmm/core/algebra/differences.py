"""Derivatives of functions of a vector by fourth-order differences."""

import numpy as np

STEP = 2e-3
"""Relative step."""

CENTRAL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
ONE_SIDED = {0: -25 / 12, 1: 4.0, 2: -3.0, 3: 4 / 3, 4: -1 / 4}
"""Steps and weights (Fornberg 1988)."""


def _size(x, step):
    """Size of a step at a value."""
    return step * max(abs(x), 0.1)


def is_inside(x, ranges):
    """Whether two steps in every direction stay inside the ranges."""
    return all(
        low <= value - 2 * _size(value, STEP) and value + 2 * _size(value, STEP) <= high
        for value, (low, high) in zip(x, ranges)
    )


def differenced_gradient(function, x, ranges, step=STEP):
    """
    First derivatives.

    Parameters
    ----------
    function : callable
        Maps an array of shape (m,), within the ranges, to an array.
    x : array_like
        The point, shape (m,), m at least 1.
    ranges : sequence of tuple
        Lower and upper end of each entry of x; close to an end, all steps are taken
        away from it.
    step : float, optional
        Relative step.

    Returns
    -------
    ndarray
        Shape (m, ...).
    """
    x = np.asarray(x, dtype=float)
    out = []
    for a, (low, high) in enumerate(ranges):
        # four steps fit between the ends on at least one side
        size, terms = min(_size(x[a], step), 0.125 * (high - low)), CENTRAL
        if x[a] - 2 * size < low or x[a] + 2 * size > high:
            size = size if x[a] + 4 * size <= high else -size
            terms = ONE_SIDED
        unit = size * np.eye(len(x))[a]
        out.append(sum(w * function(x + o * unit) for o, w in terms.items()) / size)
    return np.array(out)


def differenced_hessian(function, x):
    """
    Second derivatives from function values.

    Parameters
    ----------
    function : callable
        Maps an array of shape (m,) to an array.
    x : array_like
        The point, shape (m,), with room on all sides.

    Returns
    -------
    ndarray
        Shape (m, m, ...).
    """
    x, m = np.asarray(x, dtype=float), len(x)
    steps = np.diag([_size(value, STEP) for value in x])
    middle = np.asarray(function(x))
    out = np.empty((m, m, *middle.shape))
    for a, h in enumerate(steps):
        near = function(x + h) + function(x - h)
        far = function(x + 2 * h) + function(x - 2 * h)
        out[a, a] = (16.0 * near - far - 30.0 * middle) / (12.0 * h[a] ** 2)
        for b, j in enumerate(steps[:a]):
            each = [
                function(x + c * (h + j))
                + function(x - c * (h + j))
                - function(x + c * (h - j))
                - function(x - c * (h - j))
                for c in (1, 2)
            ]
            across = (16.0 * each[0] - each[1]) / (48.0 * h[a] * j[b])
            out[a, b] = out[b, a] = across
    return out
