"""
Functions of a variance ratio by their values at a few nodes.

On a window the ratio r is a function of x in [-1, 1]: log r is linear in x, or, in the
lowest window, r itself, from 0. A criterion is analytic in x far beyond the window, so
the polynomial through its values at J Chebyshev nodes

    x_j = cos(pi (j + 1/2) / J)

has an error that falls geometrically with J (Trefethen 2013, chapter 8). Its minimum
is found without another value, for any number of criteria side by side, and whatever
else is known at the nodes is known there.

References
----------
Trefethen, L. N. (2013). Approximation Theory and Approximation Practice. SIAM.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev

NODES = 14
"""Number of nodes J; the error of a logarithm of a ratio is then below 1e-10."""

HALF = 1.0
"""Half the length of a window of the logarithm."""

STEP = 1.8
"""Distance of neighboring windows in units of `HALF`, so that they overlap."""

LOWEST = -9.0
"""Logarithm of a ratio below which windows are not logarithmic."""

NEARLY_NONE = 0.1
"""Ratio times largest eigenvalue below which V differs from I by less than 10 %."""

HIGHEST = 28.0
"""Logarithm of the largest finite ratio, of the order of a double's digits."""

CONVERGED = 1e-13
"""Newton step at which a minimum counts as found."""

_ANGLES = np.pi * (np.arange(NODES) + 0.5) / NODES
_COEFFICIENTS = 2.0 / NODES * np.cos(np.outer(np.arange(NODES), _ANGLES))
_COEFFICIENTS[0] /= 2.0
_GRID = np.linspace(-1.0, 1.0, 25)


def _of_nodes(order):
    """Coefficients of a derivative of the polynomial, from values at the nodes."""
    if not order:
        return _COEFFICIENTS
    return chebyshev.chebder(_COEFFICIENTS, order)


_DERIVATIVES = tuple(_of_nodes(order) for order in range(3))


def weights(x, order=0):
    """
    Weights with which values at the nodes give a value or derivative elsewhere.

    Parameters
    ----------
    x : ndarray
        Places in [-1, 1], shape (r,).
    order : {0, 1, 2}, optional
        Order of the derivative with respect to x.

    Returns
    -------
    ndarray
        Shape (r, J).
    """
    change = _DERIVATIVES[order]
    return chebyshev.chebvander(x, len(change) - 1) @ change


def lowest(values):
    """
    Where criteria are lowest within a window.

    Parameters
    ----------
    values : ndarray
        Criteria at the nodes, shape (r, J).

    Returns
    -------
    x : ndarray
        Shape (r,).
    side : ndarray
        -1 or 1 where a criterion falls beyond that end of the window, else 0.
    """
    values = values - values.mean(axis=1, keepdims=True)
    x = _GRID[(values @ weights(_GRID).T).argmin(axis=1)]
    for _ in range(20):
        slope = (weights(x, 1) * values).sum(axis=1)
        curvature = (weights(x, 2) * values).sum(axis=1)
        is_convex = curvature > 0.0
        step = np.where(is_convex, -slope / np.where(is_convex, curvature, 1.0), 0.0)
        step = np.where(is_convex, step, -np.sign(slope)).clip(-0.1, 0.1)
        moved = (x + step).clip(-1.0, 1.0)
        change, x = np.abs(moved - x).max(initial=0.0), moved
        if change < CONVERGED:
            break
    slope = (weights(x, 1) * values).sum(axis=1)
    return x, np.where((np.abs(x) == 1.0) & (slope * x <= 0.0), x, 0.0).astype(int)


@dataclass(frozen=True)
class Window:
    """
    A range of ratios, on a logarithmic scale or from zero.

    Parameters
    ----------
    center : float
        Logarithm of the ratio at x = 0.
    from_zero : bool, optional
        Whether the ratio is linear in x, and 0 at x = -1.
    """

    center: float
    from_zero: bool = False

    def ratio(self, x):
        """The ratio at x in [-1, 1]."""
        if self.from_zero:
            return np.exp(self.center) * (1.0 + x)
        return np.exp(self.center + HALF * x)

    @cached_property
    def nodes(self):
        """The ratios at the nodes, shape (J,)."""
        return self.ratio(np.cos(_ANGLES))


@dataclass(frozen=True)
class Windows:
    """
    Windows that overlap and cover all ratios from zero.

    Parameters
    ----------
    each : tuple of Window
        From the lowest.
    first : int
        Position of the window where searches start.
    """

    each: tuple
    first: int

    @classmethod
    def around(cls, ratio, largest):
        """
        Windows of which one has a given ratio at its center.

        Parameters
        ----------
        ratio : float
            May be 0, which is at the end of the lowest window.
        largest : float
            Largest eigenvalue of V - I for a ratio of 1.

        Returns
        -------
        Windows
        """
        bottom = min(LOWEST, np.log(NEARLY_NONE / largest)) + HALF
        middle = np.log(ratio) if ratio > 0.0 else -np.inf
        below = max(int((middle - bottom) // (STEP * HALF)), 0) if ratio > 0.0 else 0
        start = max(middle, bottom) - below * STEP * HALF
        count = max(below + 1, int(np.ceil((HIGHEST - start) / (STEP * HALF))))
        centers = start + STEP * HALF * np.arange(count)
        top = start - (STEP - 1.0) * HALF
        zero = Window(top - np.log(2.0), from_zero=True)
        first = 0 if middle < top else below + 1
        return cls((zero, *(Window(float(c)) for c in centers)), first)
