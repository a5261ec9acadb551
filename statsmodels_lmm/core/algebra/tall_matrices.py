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

from statsmodels_lmm.core.algebra.dense import inverse_lower

MANY_ROWS = 10_000
"""Number of rows from which cross-products are formed."""

CLEARLY = 0.01
"""Share of each column's norm outside the span of those before it that this takes."""

ROWS_AT_ONCE = 2**14
"""Number of rows that are overwritten at once."""


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


def _root(matrix):
    """The Cholesky factor of the cross-products, or None."""
    n, p = matrix.shape
    if n < max(MANY_ROWS, p**2):
        return None
    try:
        root = np.linalg.cholesky(matrix.T @ matrix)
    except np.linalg.LinAlgError:
        return None
    left = np.diagonal(root) / np.linalg.norm(root, axis=1)
    return root if left.min(initial=1.0) > CLEARLY else None


def _multiply(matrix, change):
    """Multiply from the right, in place."""
    for start in range(0, len(matrix), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        matrix[some] = matrix[some] @ change
