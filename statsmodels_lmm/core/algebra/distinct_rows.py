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
    weights, products = np.random.default_rng(0).random(keys.shape[1]), np.zeros(1)
    for weight, column in zip(weights, keys.T):
        products = products + weight * column
    products = np.broadcast_to(products, len(keys))
    _, first, which = np.unique(products, return_index=True, return_inverse=True)
    if (keys[first][which] != keys).any():
        first = which = np.arange(len(keys))
    _, order, place = np.unique(
        keys[first], axis=0, return_index=True, return_inverse=True
    )
    return first[order], place.ravel()[which]
