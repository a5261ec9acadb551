"""Whether the columns of one matrix span those of another."""

import numpy as np

from statsmodels_lmm.core.rows.standardize import constant_column, independent_columns


def spans(x, x0):
    """
    Whether the columns of one matrix span those of another.

    Parameters
    ----------
    x, x0 : ndarray
        The larger and the smaller matrix, shapes (n, p) and (n, q).

    Returns
    -------
    bool
    """
    size = np.sqrt((x0**2).sum(axis=0))
    constant = constant_column(x)
    if constant is not None:
        # a large mean would mask the rest of a column
        x = np.delete(x - x.mean(axis=0), constant, axis=1)
        x0 = x0 - x0.mean(axis=0)
    scale = np.sqrt((x0**2).sum(axis=0))
    norms = np.sqrt((x**2).sum(axis=0))
    unit = x / np.where(norms > 0.0, norms, 1.0)
    basis = np.linalg.qr(unit[:, independent_columns(unit)])[0]
    rest = x0 - basis @ (basis.T @ x0)
    rest -= basis @ (basis.T @ rest)
    left = np.sqrt((rest**2).sum(axis=0))
    return bool((left <= np.maximum(1e-7 * scale, 1e-13 * size)).all())


def with_constant(columns):
    """Columns of shape (n, s) after a constant one, shape (n, s + 1)."""
    return np.column_stack([np.ones(len(columns)), columns])
