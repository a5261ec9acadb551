"""
Combinations of the fixed effects that stay finite although coefficients do not.

If the likelihood increases forever in the directions D, coefficients beta + D a run
away, but a combination l'beta with l'D = 0 has the same value all along.
"""

import numpy as np
from scipy.linalg import null_space

ROUNDING = 1e-12
"""Entries of a combination, relative to the largest, that are due to rounding."""

CANCELLED = 1e-6
"""Size of l'd, relative to the sum of the absolute terms, that is treated as zero."""


def speeds(combinations, directions):
    """
    How fast combinations change along each direction.

    Parameters
    ----------
    combinations : ndarray
        l, shape (..., r).
    directions : ndarray
        D, shape (r, k).

    Returns
    -------
    ndarray
        l'D, exactly zero where the terms cancel, shape (..., k).
    """
    sizes = np.abs(combinations)
    used = sizes > ROUNDING * sizes.max(axis=-1, keepdims=True, initial=0.0)
    found = np.where(used, combinations, 0.0) @ directions
    found[np.abs(found) <= CANCELLED * (sizes @ np.abs(directions))] = 0.0
    return found


def without_motion(combinations, directions):
    """
    Coefficients of all that combinations say about what is finite.

    Parameters
    ----------
    combinations : ndarray
        L, shape (q, r).
    directions : ndarray
        D, shape (r, k).

    Returns
    -------
    ndarray
        C with C L D = 0, of full rank, shape (s, q): first one row for each finite
        combination alone, then combinations of the others.
    """
    moving = speeds(combinations, directions)
    sizes = np.linalg.norm(moving, axis=1)
    moves = sizes > 0.0
    each = np.eye(len(moving))
    together = null_space((moving[moves] / sizes[moves, None]).T).T / sizes[moves]
    return np.vstack([each[~moves], together @ each[moves]])
