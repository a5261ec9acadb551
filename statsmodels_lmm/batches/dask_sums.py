"""Sums over the partitions of a Dask frame, where these are."""

import os
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

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
    parts = frame.to_delayed()
    reading = _reading_tasks(parts)
    n_runs = min(_threads(), len(parts))
    edges = (np.arange(n_runs + 1) * len(parts) // n_runs).tolist()
    runs = [
        _Run(start, _run_sums(empty, parts, reading, start, stop))
        for start, stop in zip(edges[:-1], edges[1:])
    ]
    while len(runs) > 2:
        pairs = [runs[i : i + 2] for i in range(0, len(runs), 2)]
        runs = [_joined(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    try:
        # here, because threads cannot listen for warnings of their own
        with empty._told.listening():
            warnings.simplefilter("ignore", DeprecationWarning)  # of reading
            first, *second = dask.compute(*(run.sums for run in runs))
    except TypeError:
        empty.__getstate__()  # raises the error of what cannot be sent
        raise
    return _merged(runs[-1].start, first, *second)


@dataclass(frozen=True)
class _Run:
    """The sums of consecutive partitions, not yet computed, and the first of them."""

    start: int
    sums: Any


def _run_sums(empty, parts, reading, start, stop):
    """The sums of a run of partitions, not yet computed."""
    if reading is None:
        batches: list = [(i, [parts[i]], []) for i in range(start, stop)]
    else:
        cuts = [*range(start, stop, READ_AT_ONCE), stop]
        batches = [(a, [], reading[a:b]) for a, b in zip(cuts[:-1], cuts[1:])]
    sums, delayed = None, needed("dask").delayed
    for i, tables, tasks in batches:
        # all bring along what they begin with: a worker that adds is slow to send
        sums = delayed(partial(_summed, empty, i, tasks))(sums, *tables)
    return sums


def _joined(one, other):
    """Two runs, one after the other, as one."""
    merged = needed("dask").delayed(partial(_merged, other.start))
    return _Run(one.start, merged(one.sums, other.sums))


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
