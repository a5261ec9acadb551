"""
Orthonormal columns of matrices with very many rows.

The triangle of a QR decomposition is a root of the cross-products, which takes a tenth
of the time of reflections. A second round restores the digits that the first has lost
(Yamamoto, Nakatsukasa, Yanagisawa and Fukaya 2015), as long as no column is nearly a
combination of the others; reflections do the rest.

References
----------
Yamamoto, Y., Nakatsukasa, Y., Yanagisawa, Y. and Fukaya, T. (2015). Roundoff error
analysis of the CholeskyQR2 algorithm. Electronic Transactions on Numerical Analysis 44,
306-326.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import inverse_lower, triangle_of_qr

MANY_ROWS = 10_000
"""Number of rows from which cross-products are formed."""

CLEARLY = 0.01
"""Share of each column's norm outside the span of those before it that this takes."""

WELL = 10.0
"""Condition of columns of norm 1 up to which one round loses at most two digits."""

ROWS_AT_ONCE = 2**14
"""Number of rows that are multiplied at once."""

SMALLEST, LARGEST = 1e-280, 1e280
"""Squares of norms that have all their digits, and so have the products."""


def are_clearly_independent(matrix):
    """
    Whether no column is nearly a combination of those before it.

    Parameters
    ----------
    matrix : ndarray
        Columns that are not zero, shape (n, p).

    Returns
    -------
    bool
        False also if rows are too few to tell cheaply.
    """
    return _root(matrix) is not None


def orthonormalized(matrix):
    """
    The QR decomposition of a matrix.

    Parameters
    ----------
    matrix : ndarray
        Shape (n, p), of full rank; it may be overwritten.

    Returns
    -------
    q : ndarray
        Orthonormal columns, shape (n, p).
    r : ndarray
        The upper triangle with QR equal to the matrix, shape (p, p).
    """
    first = _root(matrix)
    if first is None:
        return np.linalg.qr(matrix)
    _multiply(matrix, inverse_lower(first).T)
    second = _root(matrix)
    _multiply(matrix, inverse_lower(second).T)
    return matrix, (first @ second).T


def square_triangle(matrix):
    """
    R of the QR decomposition of a matrix, with rows of zeros if it has too few rows.

    Parameters
    ----------
    matrix : ndarray
        Shape (n, p).

    Returns
    -------
    ndarray
        The upper triangle, shape (p, p), whose rows may have either sign.
    """
    n, size = matrix.shape
    first = None
    if _is_tall(n, size):
        filled = np.flatnonzero(matrix.any(axis=0))
        gram = _products(matrix)[np.ix_(filled, filled)]
        first = _root_of(gram)
    if first is None:
        found = triangle_of_qr(matrix)
        return np.vstack([found, np.zeros((size - len(found), size))])
    norms = np.sqrt(np.diagonal(gram))
    inverse = inverse_lower(first / norms[:, None])
    if np.linalg.norm(inverse, 2) > WELL:
        change, gram = (inverse / norms).T, np.zeros(gram.shape)
        for some in _slices(n):
            part = matrix[some][:, filled] @ change
            gram += part.T @ part
        first = first @ np.linalg.cholesky(gram)
    found = np.zeros((size, size))
    found[np.ix_(filled, filled)] = first.T
    return found


def _root(matrix):
    """The Cholesky factor of the cross-products, or None."""
    return _root_of(_products(matrix)) if _is_tall(*matrix.shape) else None


def _products(matrix):
    """Cross-products, infinite where they are beyond the range of floats."""
    with np.errstate(over="ignore", invalid="ignore"):
        return matrix.T @ matrix


def _root_of(gram):
    """The Cholesky factor of cross-products, or None."""
    squares = np.diagonal(gram)
    if not ((squares > SMALLEST) & (squares < LARGEST)).all():
        return None
    try:
        root = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return None
    left = np.diagonal(root) / np.linalg.norm(root, axis=1)
    return root if left.min(initial=1.0) > CLEARLY else None


def _is_tall(n, p):
    return n >= max(MANY_ROWS, p**2)


def _multiply(matrix, change):
    """Multiply from the right, in place."""
    for some in _slices(len(matrix)):
        matrix[some] = matrix[some] @ change


def _slices(n):
    """The rows of a matrix, a few at once."""
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, n, ROWS_AT_ONCE)]
