"""What rows in batches are, wherever they come from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

BATCH_SIZE = 500_000
"""Rows in a batch, where the source lets us choose."""

READ_FIRST = {
    ".csv": "pd.read_csv({0!r})",
    ".feather": "pd.read_feather({0!r})",
    ".json": "pd.read_json({0!r})",
    ".xlsx": "pd.read_excel({0!r})",
}
"""How to read a file that is not a Parquet file, by its ending."""


@dataclass(frozen=True)
class Source:
    """
    Rows in batches.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    open : callable
        Called with names of columns; returns an iterator of tables that have them.
    once : bool
        Whether the rows can be read only once.
    n_rows : int, optional
        Number of rows, if known.
    partitions : DataFrame of Dask, optional
        A frame whose partitions are summed where they are.
    """

    names: list
    open: Callable[[list], Iterator[Any]]
    once: bool = False
    n_rows: int | None = None
    partitions: Any = None


def close(tables):
    """Close an iterator of tables, if it can be closed."""
    if hasattr(tables, "close"):
        tables.close()


def needed(module, extra="batches"):
    """
    Import a package that only some sources need.

    Parameters
    ----------
    module : str
        Its name.
    extra : str, optional
        The extra that installs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        It says how to install the package.
    """
    try:
        return import_module(module)
    except ImportError:
        raise ImportError(
            f"{module.partition('.')[0]} is needed to read these batches; "
            f"pip install 'statsmodels-lmm[{extra}]'"
        ) from None
