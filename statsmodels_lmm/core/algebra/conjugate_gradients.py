"""Preconditioned conjugate gradients for many right-hand sides at once."""

import numpy as np

LIMIT = 2000
"""Largest number of iterations; a preconditioner worth its name needs a few dozen."""


def conjugate_gradients(times, precondition, right, tolerance):
    """
    Solve S x = b for every column b.

    Columns share the products with S but nothing else, so that each is what it would
    be alone but for the number of iterations, which is that of the slowest.

    Parameters
    ----------
    times, precondition : callable
        S x and B x for columns x, shape (q, m), with S and B positive definite.
    right : ndarray
        The columns b, shape (q, m).
    tolerance : float
        Norm of the residual, relative to that of b, at which a column is solved.

    Returns
    -------
    ndarray
        Shape (q, m).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a column is not solved after `LIMIT` iterations.
    """
    x, left = np.zeros_like(right), right.copy()
    goal = tolerance**2 * _inner(right, right)
    step = precondition(left)
    size = _inner(left, step)
    for _ in range(LIMIT):
        if (_inner(left, left) <= goal).all():
            return x
        image = times(step)
        length = _ratio(size, _inner(step, image))
        x += length * step
        image *= length
        left -= image
        better = precondition(left)
        size, before = _inner(left, better), size
        step *= _ratio(size, before)
        step += better
    raise np.linalg.LinAlgError("conjugate gradients do not converge")


def _inner(one, other):
    """Inner products of the columns, shape (m,)."""
    return np.einsum("qm,qm->m", one, other)


def _ratio(above, below):
    """Ratios, zero for columns that are already exact."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)
