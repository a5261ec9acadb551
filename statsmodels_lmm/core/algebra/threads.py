"""Threads for the work of sparse matrices, which leaves Python alone meanwhile."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

LIMITS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
"""Environment variables by which users, joblib and Dask limit threads."""

WORTH = 2e6
"""Number of multiplications from which threads pay."""


def thread_count():
    """Number of threads that a process may use."""
    limits = [os.environ.get(name, "") for name in LIMITS]
    told = [int(limit) for limit in limits if limit.isdigit()]
    if told:
        return max(1, min(told))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(function, items, cost):
    """
    Apply a function to items, in threads if that pays.

    Parameters
    ----------
    function : callable
        Function of one item.
    items : sequence
        The items.
    cost : float
        Number of multiplications in all.

    Returns
    -------
    list
        What it returns for each.
    """
    workers = min(thread_count(), len(items)) if cost >= WORTH else 1
    if workers < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def by_columns(function, x, at_once, cost):
    """
    Apply a function to a few columns at a time.

    Parameters
    ----------
    function : callable
        Gives an array of the shape of x, each column from the same column of x, by the
        same arithmetic whatever the others.
    x : ndarray
        Shape (q, m).
    at_once : int
        Largest number of columns at a time.
    cost : float
        Number of multiplications for each column.

    Returns
    -------
    ndarray
        Shape (q, m); the same bits whatever the number of threads.
    """
    m = x.shape[1]
    workers = thread_count() if cost * m >= WORTH else 1
    width = min(at_once, max(2, -(-m // workers)))
    if m <= width:
        return function(x)
    parts = [np.ascontiguousarray(x[:, a : a + width]) for a in range(0, m, width)]
    return np.hstack(in_threads(function, parts, cost * m))
