"""Passes over the rows of a source, batch by batch."""

from itertools import chain
from typing import Any

from statsmodels_lmm.batches.sources import close
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.parallel import progress_bar


class Passes:
    """
    Passes over a source, of which the first batches are known before any of them.

    Parameters
    ----------
    source : Source
        The rows.
    names : list
        Columns to be read.
    progress : bool, optional
        Whether to show a progress bar, see `inference.parallel.progress_bar`.
    """

    def __init__(self, source, names, progress=None):
        self.source, self.names, self.progress = source, names, progress
        self._open: Any = None
        self._seen: list = []
        self._length: int | None = None

    def first(self):
        """
        The first tables, which later passes have again.

        Yields
        ------
        table
        """
        self._open = iter(self.source.open(self.names))
        for table in self._open:
            self._seen.append(table)
            yield table

    def every(self, title, reason=None):
        """
        All tables.

        Parameters
        ----------
        title : str
            What is done, for the progress bar.
        reason : str, optional
            The term that needs this pass before that which sums the rows.

        Yields
        ------
        table

        Raises
        ------
        DataError
            If the rows can be read only once and another pass is to follow, or if this
            pass has other rows than the one before.
        """
        if reason is not None and self.source.once:
            raise self.no_more(reason)
        if reason is not None:
            self.close()
        if self._open is None:
            opened = tables = self.source.open(self.names)
        else:
            # the only pass goes on with what is open: another one may not begin anew
            opened, tables = self._open, chain(self._seen, self._open)
            self._open, self._seen = None, []
        bar, length = progress_bar(self.source.n_rows, self.progress, "row", title), 0
        try:
            for table in tables:
                yield table
                bar.update(len(table))
                length += len(table)
        finally:
            bar.close()
            close(opened)
        self._check_length(length)

    def _check_length(self, length):
        """Reject a pass that had other rows than the one before."""
        if self._length not in (None, length):
            raise DataError(
                f"the batches had {self._length} rows when they were read first and "
                f"{length} the next time: a function must return a new iterator of all "
                "tables each time"
            )
        self._length = length

    def no_more(self, reason):
        """The error for rows that would have to be read again."""
        return DataError(
            f"{reason} must be known before the rows are summed, but these batches can "
            "be read only once: give a path, a dataset or a function that returns a "
            "new iterator of tables"
        )

    def close(self):
        """Close what has been opened."""
        if self._open is not None:
            close(self._open)
        self._open, self._seen = None, []
