"""Sums over the partitions of a Dask frame, where these are."""

from statsmodels_lmm.batches.sources import needed


def partition_sums(empty, frame):
    """
    Sum the partitions of a frame on its scheduler and merge them pair by pair.

    Parameters
    ----------
    empty : RowSums
        Sums of no rows, with which every partition begins.
    frame : DataFrame of Dask
        The columns that are needed.

    Returns
    -------
    RowSums
        The sums over all partitions. They are merged in the order of the partitions,
        whatever the workers, so that results are the same to the last digit.
    """
    dask = needed("dask")
    begin = dask.delayed(empty)
    summed, merged = dask.delayed(_summed), dask.delayed(_merged)
    level = [summed(begin, part) for part in frame.to_delayed()]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0].compute()


def _summed(empty, table):
    return empty.empty().update(table, progress=False)


def _merged(one, other):
    # what Dask holds may be used again if a worker dies, so it is not changed
    return one.empty().merge(one).merge(other)
