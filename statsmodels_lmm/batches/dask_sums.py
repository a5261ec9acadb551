"""Sums over the partitions of a Dask frame, where these are."""

import os
import sys

import numpy as np

from statsmodels_lmm.batches.sources import needed


def partition_sums(empty, frame):
    """
    Sum the partitions of a frame on its scheduler.

    Every thread of the cluster adds up a run of consecutive partitions, since to move
    sums and to merge their levels costs more than to add rows. The sums of the runs are
    merged pair by pair, the last two of them here.

    Parameters
    ----------
    empty : RowSums
        Sums of no rows, with which every run begins.
    frame : DataFrame of Dask
        The columns that are needed.

    Returns
    -------
    RowSums
        The sums over all partitions. They are merged in the order of the partitions, so
        that results are the same to the last digit with as many threads.
    """
    dask = needed("dask")
    begin = dask.delayed(empty)
    summed, merged = dask.delayed(_summed), dask.delayed(_merged)
    parts, level = frame.to_delayed(), []
    n_runs = min(_threads(), len(parts))
    starts = np.arange(n_runs + 1) * len(parts) // n_runs
    for start, stop in zip(starts[:-1], starts[1:]):
        sums = begin
        for part in parts[start:stop]:
            sums = summed(sums, part)
        level.append(sums)
    while len(level) > 2:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    first, *second = dask.compute(*level)
    return _merged(first, *second)


def _threads():
    """Number of threads of the cluster, or of this machine without one."""
    try:
        client = sys.modules["distributed"].default_client()
    except (KeyError, ValueError):  # no cluster
        return os.cpu_count() or 1
    return max(1, sum(client.nthreads().values()))


# what Dask holds may be used again if a worker dies, so it is not changed


def _summed(sums, table):
    return sums._copy().update(table, progress=False)


def _merged(first, *others):
    sums = first._copy()
    for other in others:
        sums.merge(other)
    return sums
