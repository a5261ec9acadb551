"""The different rows of a matrix."""

import numpy as np


def distinct_rows(keys):
    """
    Find the different rows of a matrix.

    Sorting rows is slow. Their products with one vector are sorted instead, and rows
    with equal products compared.

    Parameters
    ----------
    keys : ndarray
        Shape (n, c).

    Returns
    -------
    first : ndarray
        Where each different row occurs first, rows in lexicographic order, shape (d,).
    which : ndarray
        Which of them each row is, shape (n,).
    """
    # elementwise, so that equal rows have equal products to the last digit
    products = np.zeros(len(keys))
    for number, column in enumerate(keys.T, start=1):
        products += np.cos(number) * column
    _, first, which = np.unique(products, return_index=True, return_inverse=True)
    if (keys[first][which] != keys).any():
        _, first, which = np.unique(
            keys, axis=0, return_index=True, return_inverse=True
        )
        return first, which.ravel()
    order = np.lexsort(keys[first].T[::-1]) if keys.shape[1] else np.zeros(1, int)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[which]
