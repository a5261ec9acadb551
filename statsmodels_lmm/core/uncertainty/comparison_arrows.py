"""
Lengths of arrows that overlap where means do not differ.

The algorithm of R's emmeans (Lenth), without negative lengths: two arrows that point at
each other should together be as long as the half-width of the interval of the
difference, which exceeds the difference if and only if it is not significant. With k
means there are 2 k arrows and k (k - 1) / 2 such conditions, which are met by least
squares, with the largest weights for pairs that are nearly significant.
"""

import numpy as np
from scipy.optimize import nnls

BASE_WEIGHT, EXTRA_WEIGHT = 3.0, 20.0
"""Weight of a condition, and what is added to it near the limit of significance."""


def arrow_lengths(estimates, reach):
    """
    Lengths of the arrows to the left and to the right of each mean.

    Parameters
    ----------
    estimates : ndarray
        Means, shape (k,).
    reach : ndarray
        Half-widths of the intervals of the differences, a symmetric matrix, shape
        (k, k); NaN where a difference is not estimable.

    Returns
    -------
    ndarray
        Shape (2, k); 0 for means that are compared with no other.
    """
    k = len(estimates)
    order = np.argsort(estimates, kind="stable")
    rows, values = [], []
    for a, i in enumerate(order):
        for j in order[a + 1 :]:  # whose mean is larger
            gap = estimates[j] - estimates[i]
            if not (reach[i, j] > 0.0 and np.isfinite(gap)):
                continue
            overlap = 1.0 - gap / reach[i, j]
            weight = BASE_WEIGHT + EXTRA_WEIGHT * max(0.0, 0.5 - overlap**2)
            row = np.zeros(2 * k)
            row[[k + i, j]] = weight * (1.0 - overlap)
            rows.append(row)
            values.append(weight * gap)
    known = np.where(reach > 0.0, reach, np.inf)
    np.fill_diagonal(known, np.inf)
    typical = 0.5 * known.min(axis=1)
    typical = np.where(np.isfinite(typical), typical, 0.0)
    conditions = np.vstack([*rows, np.eye(2 * k)])
    lengths, _ = nnls(conditions, np.concatenate([values, typical, typical]))
    return lengths.reshape(2, k)


def discrepancies(estimates, reach, lengths):
    """
    Pairs whose arrows overlap although they differ, or the other way round.

    Parameters
    ----------
    estimates, reach
        As for `arrow_lengths`.
    lengths : ndarray
        Lengths of the arrows, shape (2, k).

    Returns
    -------
    ndarray
        Booleans, shape (k, k).
    """
    gaps = estimates - estimates[:, None]
    together = lengths[1][:, None] + lengths[0]
    wrong = (together > gaps) != (reach > gaps)
    return wrong & (gaps > 0.0) & np.isfinite(reach)
