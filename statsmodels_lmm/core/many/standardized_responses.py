"""
Many responses in the units of one standardized design.

As in `rows.standardize`, a response is replaced by its least-squares residuals in units
of their root mean square. A large mean is subtracted first and added to the coefficient
of the constant, never projected, or else it would cost the residuals their digits.
"""

from dataclasses import dataclass

import numpy as np


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
    """

    values: np.ndarray
    least_squares: np.ndarray
    scale: np.ndarray

    def take(self, which):
        """A selection of the responses."""
        arrays = self.values, self.least_squares, self.scale
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
    level = np.zeros(len(responses))
    if design.ones is not None:
        level = _means(responses, weights)
    rest = responses - level[:, None]
    rest *= design.root_weights
    x, n = design.exog, responses.shape[1]
    if weights is not None:
        used = weights > 0.0
        rest *= used
        inverse = np.linalg.inv(weighted_gram(x, weights))
        n = used.sum(axis=1)[:, None]
    coefficients = np.zeros((len(rest), x.shape[1]))
    for _ in range(2):  # twice, so that no digits are lost
        if weights is None:
            further = rest @ x / n
        else:
            further = ((weights * rest) @ x)[:, None] @ inverse
            further = further[:, 0]
        rest -= further @ x.T
        if weights is not None:
            rest *= used
        coefficients += further
    least_squares = coefficients @ (design.to_fixed * design.root_unit).T
    if design.ones is not None:
        least_squares += level[:, None] * design.ones
    each = rest**2 if weights is None else weights * rest**2
    scale = np.sqrt((each / n).sum(axis=1))
    rest /= np.where(scale > 0.0, scale, 1.0)[:, None]
    return StandardizedResponses(rest, least_squares, scale * float(design.root_unit))


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
