"""Sums over the partitions of a Dask frame, where these are."""

import os
import sys
import warnings
from contextlib import contextmanager
from functools import partial
from itertools import chain

import numpy as np

from statsmodels_lmm.batches.sources import needed
from statsmodels_lmm.exceptions import DataError, FormulaError

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

    Raises
    ------
    FormulaError, DataError
        If rows cannot be used; the message names the partition and the rows in it.
    """
    dask = needed("dask")
    parts, level = frame.to_delayed(), []
    reading = _reading_tasks(parts)
    n_runs = min(_threads(), len(parts))
    starts = np.arange(n_runs + 1) * len(parts) // n_runs
    for start, stop in zip(starts[:-1], starts[1:]):
        sums, size = None, 1 if reading is None else READ_AT_ONCE
        for i in range(start, stop, size):
            some = slice(i, min(i + size, stop))
            tables, tasks = (
                (parts[some], []) if reading is None else ([], reading[some])
            )
            # all begin with what they bring along: a worker that adds is slow to send
            add = partial(_summed, empty, i, tasks)
            sums = dask.delayed(add)(sums, *tables)
        level.append((start, sums))
    while len(level) > 2:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [
            (pair[0][0], dask.delayed(partial(_merged, pair[1][0]))(*_last(pair)))
            if len(pair) == 2
            else pair[0]
            for pair in pairs
        ]
    try:
        # here, because threads cannot listen for warnings of their own
        with empty._told.listening():
            warnings.simplefilter("ignore", DeprecationWarning)  # of reading
            first, *second = dask.compute(*_last(level))
    except TypeError:
        empty.__getstate__()  # raises the error of what cannot be sent
        raise
    return _merged(level[-1][0], first, *second)


def _last(pairs):
    return [last for _, last in pairs]


def _reading_tasks(parts):
    """
    The tasks that make the partitions, or None if any takes more than one.

    A partition that one task reads need not travel, nor wait in memory, if it is read
    where it is summed.
    """
    graphs: dict = {}  # most often one and the same, of as many tasks as partitions
    tasks = []
    for part in parts:
        graph = part.__dask_graph__()
        if id(graph) not in graphs:
            graphs[id(graph)] = dict(graph)
        task = graphs[id(graph)][part.key]
        if not callable(task) or task.dependencies:
            return None
        tasks.append(task)
    return tasks


def _threads():
    """Number of threads of the cluster, or of this machine without one."""
    try:
        client = sys.modules["distributed"].default_client()
    except (KeyError, ValueError):  # no cluster
        return os.cpu_count() or 1
    return max(1, sum(client.nthreads().values()))


# what Dask holds may be used again if a worker dies, so it is not changed


def _summed(empty, start, tasks, sums, *tables):
    sums = (empty if sums is None else sums)._copy()
    for i, table in enumerate(chain(tables, (task() for task in tasks)), start):
        with _located(f"partition {i}"):
            sums._sums.add(table, 0)
    return sums


def _merged(start, first, *others):
    sums = first._copy()
    for other in others:
        with _located(f"partitions from {start} on"):
            sums.merge(other)
    return sums


@contextmanager
def _located(where):
    """Say where rows are that cannot be used, since nobody knows those before."""
    try:
        yield
    except (DataError, FormulaError) as error:
        error.args = (f"{where}: {error}",)
        raise
