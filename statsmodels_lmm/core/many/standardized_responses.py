"""
Many responses in the units of one standardized design.

As in `rows.standardize`, a response is replaced by its least-squares residuals in units
of their root mean square. A large mean is subtracted first and added to the coefficient
of the constant, never projected, or else it would cost the residuals their digits.
"""

from dataclasses import dataclass

import numpy as np

CACHED = 2**16
"""Numbers that stay in the cache of a processor."""


@dataclass(frozen=True)
class StandardizedResponses:
    """
    Responses in standardized units, and the way back.

    Parameters
    ----------
    values : ndarray
        Residuals of least squares over their root mean square, zero in rows that are
        not used, shape (r, n).
    least_squares : ndarray
        Least-squares coefficients of the columns of X kept, shape (r, p).
    scale : ndarray
        Root mean squares in the units of the data, shape (r,).
    largest : ndarray
        Bound on the size of a response times its root weight, shape (r,).
    """

    values: np.ndarray
    least_squares: np.ndarray
    scale: np.ndarray
    largest: np.ndarray

    def take(self, which):
        """A selection of the responses."""
        arrays = self.values, self.least_squares, self.scale, self.largest
        return StandardizedResponses(*(a[which] for a in arrays))


def standardized(design, responses, weights=None):
    """
    Standardize many responses.

    Parameters
    ----------
    design : StandardizedDesign
        The design.
    responses : ndarray
        Responses minus the offset, finite, shape (r, n).
    weights : ndarray, optional
        Weights of the rows of each response, in addition to those of the design and
        zero in rows that are not used, shape (r, n).

    Returns
    -------
    StandardizedResponses

    Raises
    ------
    numpy.linalg.LinAlgError
        If the rows of a response leave X short of rank.
    """
    x, (count, n) = design.exog, responses.shape
    coefficients = np.empty((count, x.shape[1]))
    level, scale, largest = np.zeros(count), np.empty(count), np.empty(count)
    values = np.empty((count, n))
    # rows of few responses stay in the cache of a processor from one pass to the next
    step = max(1, CACHED // n)
    for start in range(0, count, step):
        part = slice(start, start + step)
        own = None if weights is None else weights[part]
        if design.ones is not None:
            level[part] = _means(responses[part], own)
        rest = responses[part] - level[part, None]
        rest *= design.root_weights
        around = np.maximum(rest.max(axis=1), -rest.min(axis=1))
        largest[part] = around + np.abs(level[part]) * design.root_weights.max()
        coefficients[part], scale[part] = _project(x, rest, own)
        rest /= np.where(scale[part] > 0.0, scale[part], 1.0)[:, None]
        values[part] = rest
    least_squares = coefficients @ (design.to_fixed * design.root_unit).T
    if design.ones is not None:
        least_squares += level[:, None] * design.ones
    unit = float(design.root_unit)
    return StandardizedResponses(values, least_squares, scale * unit, largest * unit)


def _project(x, rest, weights):
    """
    Turn responses into residuals, in place.

    Returns
    -------
    coefficients : ndarray
        Shape (r, p).
    scale : ndarray
        Root mean square of the residuals, shape (r,).
    """
    n, total = rest.shape[1], 0.0
    if weights is None:
        for _ in range(2):  # twice, so that no digits are lost
            further = rest @ x / n
            rest -= further @ x.T
            total = total + further
        return total, np.sqrt(np.einsum("rn,rn->r", rest, rest) / n)
    used = weights > 0.0
    rest *= used
    inverse = np.linalg.inv(weighted_gram(x, weights))
    for _ in range(2):
        further = (((weights * rest) @ x)[:, None] @ inverse)[:, 0]
        rest -= further @ x.T
        rest *= used
        total = total + further
    squares = np.einsum("rn,rn,rn->r", weights, rest, rest)
    return total, np.sqrt(squares / used.sum(axis=1))


def weighted_gram(x, weights):
    """
    X'W X for the weights of each response.

    Parameters
    ----------
    x : ndarray
        Shape (n, p).
    weights : ndarray
        Diagonals of W, shape (r, n).

    Returns
    -------
    ndarray
        Shape (r, p, p).
    """
    p = x.shape[1]
    row, column = np.tril_indices(p)
    out = np.empty((len(weights), p, p))
    out[:, row, column] = weights @ (x[:, row] * x[:, column])
    out[:, column, row] = out[:, row, column]
    return out


def _means(responses, weights):
    """Means over the rows used, shape (r,)."""
    if weights is None:
        return responses.mean(axis=1)
    used = weights > 0.0
    return np.einsum("rn,rn->r", responses, used) / np.maximum(used.sum(axis=1), 1)
