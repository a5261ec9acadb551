"""Sums over the partitions of a Dask frame, where these are."""

import os
import sys
from functools import partial

import numpy as np

from statsmodels_lmm.batches.sources import needed

READ_AT_ONCE = 4
"""Partitions that one task reads and sums, which an interrupt does not divide."""


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
    parts, merged = frame.to_delayed(), dask.delayed(_merged)
    reading = _reading_tasks(parts)
    n_runs = min(_threads(), len(parts))
    starts = np.arange(n_runs + 1) * len(parts) // n_runs
    level = []
    for start, stop in zip(starts[:-1], starts[1:]):
        if reading is None:
            batches: list = [([part], []) for part in parts[start:stop]]
        else:
            cuts = [*range(start, stop, READ_AT_ONCE), stop]
            batches = [([], reading[a:b]) for a, b in zip(cuts[:-1], cuts[1:])]
        sums = None
        for tables, tasks in batches:
            # all bring along what they begin with: a worker that adds is slow to send
            sums = dask.delayed(partial(_summed, empty, tasks))(sums, *tables)
        level.append(sums)
    while len(level) > 2:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    first, *second = dask.compute(*level)
    return _merged(first, *second)


def _reading_tasks(parts):
    """
    The tasks that make the partitions, or None if any takes more than one.

    A partition that one task reads need not travel, nor wait in memory, if it is read
    where it is summed.
    """
    graph = dict(parts[0].__dask_graph__())
    tasks = [graph.get(part.key) for part in parts]
    alone = (callable(t) and not getattr(t, "dependencies", True) for t in tasks)
    return tasks if all(alone) else None


def _threads():
    """Number of threads of the cluster, or of this machine without one."""
    try:
        client = sys.modules["distributed"].default_client()
    except (KeyError, ValueError):  # no cluster
        return os.cpu_count() or 1
    return max(1, sum(client.nthreads().values()))


# what Dask holds may be used again if a worker dies, so it is not changed


def _summed(empty, tasks, sums, *tables):
    sums = (empty if sums is None else sums)._copy()
    for table in tables:
        sums.update(table, progress=False)
    for task in tasks:
        sums.update(task(), progress=False)
    return sums


def _merged(first, *others):
    sums = first._copy()
    for other in others:
        sums.merge(other)
    return sums
