"""Sums over rows that arrive in batches, and all that is done with them."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

from statsmodels_lmm.batches.dask_sums import partition_sums
from statsmodels_lmm.batches.finishing import finished, model_arguments
from statsmodels_lmm.batches.learning import check_some_rows, learn
from statsmodels_lmm.batches.opening import source_of
from statsmodels_lmm.batches.passes import Passes
from statsmodels_lmm.batches.reading import read_names, variable_of_rows
from statsmodels_lmm.batches.saving import (
    arrays_of,
    own_names,
    packed,
    sums_from,
    unpacked,
)
from statsmodels_lmm.batches.sources import BATCH_SIZE
from statsmodels_lmm.batches.sums import Sums
from statsmodels_lmm.batches.told_once import ToldOnce
from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.codings import check_factors
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.packing import packed_value


class RowSums(Brief):
    """
    Sums over rows in batches: all that a fit needs of them, whatever their number.

    `RowSums.of` sums the rows of a source. Sums of further batches can be added,
    saved and loaded: what a fit of all rows needs is the sum.

    Attributes
    ----------
    formula : str
        The formula.
    nobs : int
        Number of rows summed.
    n_dropped : int
        Number of incomplete rows left out.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from statsmodels_lmm import CrossedMixedLM, RowSums
    >>> rng = np.random.default_rng(0)
    >>> def month():
    ...     g, h = rng.integers(20, size=500), rng.integers(9, size=500)
    ...     return pd.DataFrame({"y": rng.normal(size=500) + g % 3, "g": g, "h": h})
    >>> sums = RowSums.of("y ~ 1 + (1 | g) + (1 | h)", [month()])
    >>> sums.update(month()).nobs
    1000
    >>> CrossedMixedLM.from_sums(sums).fit().params.round(2).tolist()
    [0.91]
    """

    def __init__(self, sums, told=None):
        self._sums = sums
        self._told = ToldOnce() if told is None else told

    @classmethod
    def of(
        cls,
        formula: str,
        source: Any,
        *,
        weights: str | None = None,
        offset: str | None = None,
        subset: str | None = None,
        missing: str = "drop",
        contrasts: Mapping[str, Any] | None = None,
        structures: Mapping[str, Structure] | None = None,
        eval_env: Any = None,
        batch_size: int = BATCH_SIZE,
        progress: bool | None = None,
    ) -> Self:
        """
        Sum the rows of a source.

        Parameters
        ----------
        formula : str
            Formula in lme4's language, see `CrossedMixedLM.from_formula`.
        source : object
            The rows: the path of a Parquet file or folder, or a pattern of paths; a
            dataset or record batch reader of pyarrow; a lazy frame of polars; a
            relation of DuckDB; a frame of Dask; a function that returns a new iterator
            of tables; an iterable of tables; or one table.
        weights, offset : str, optional
            Columns of prior weights and of a known part of the linear predictor.
        subset : str, optional
            Condition on the rows, such as ``"x > 2 and f != 'a'"``.
        missing : {"drop", "raise"}, optional
            What to do with incomplete rows.
        contrasts : dict, optional
            Codings of factors among the fixed effects.
        structures : dict, optional
            Your own covariance structures.
        eval_env : int or dict, optional
            Where names are looked up that are not columns, see
            `CrossedMixedLM.from_formula`.
        batch_size : int, optional
            Rows in a batch, where the source lets us choose.
        progress : bool, optional
            Whether to show a progress bar. Default is to show one after two seconds on
            a terminal, if tqdm is installed.

        Returns
        -------
        RowSums

        Raises
        ------
        FormulaError
            If the formula cannot be read or evaluated.
        DataError
            If the rows cannot be used; the message names the column, and the rows by
            their positions in the source.
        """
        return cls._of(
            formula,
            source_of(source, batch_size),
            weights=weights,
            offset=offset,
            subset=subset,
            missing=missing,
            contrasts=contrasts,
            structures=structures,
            eval_env=eval_env,
            progress=progress,
            depth=1,
        )

    @classmethod
    def _of(cls, formula, source, *, contrasts, progress, depth, **options):
        """The sums of a source; `depth` is as for `read_names`."""
        formula, parsed, structures, wanted = read_names(
            formula, source.names, contrasts=contrasts, depth=depth + 1, **options
        )
        told, passes = ToldOnce(), Passes(source, wanted.names, progress)
        try:
            recipe = learn(formula, parsed, structures, wanted, passes, told)
            check_factors(contrasts, recipe.empty_frame({}))
            sums = cls(Sums.empty(recipe), told)
            if source.partitions is None:
                for table in passes.every("sums"):
                    sums._add(table)
            else:
                sums = partition_sums(sums, source.partitions[wanted.names])
        finally:
            passes.close()
        check_some_rows(sums._sums.counts, wanted)
        variable = variable_of_rows(wanted.scope, [sums._sums.counts.read])
        if variable is not None:
            raise variable
        return sums

    @property
    def formula(self) -> str:
        """The formula."""
        return self._sums.recipe.text

    @property
    def nobs(self) -> int:
        """Number of rows summed."""
        return self._sums.counts.complete

    @property
    def n_dropped(self) -> int:
        """Number of incomplete rows left out."""
        return self._sums.counts.dropped

    def _brief(self):
        levels = ", ".join(
            f"{terms[0].group} ({factor.n_levels:,})"
            for terms, factor in zip(
                self._sums.recipe.parsed.by_factor, self._sums.factors
            )
        )
        return [self.formula, f"{self.nobs:,} rows; groups: {levels}"]

    def _add(self, table):
        with self._told.listening():
            self._sums.add(table)

    def update(self, batch: Any, *, progress: bool | None = None) -> Self:
        """
        Add the rows of another batch, or of another source.

        What the formula remembers, such as the mean in ``center(x)`` and the levels of
        a factor in the fixed effects, stays as it is; new levels of grouping factors
        are added.

        Parameters
        ----------
        batch : table or source
            Any source that `of` takes.
        progress : bool, optional
            Whether to show a progress bar, see `of`.

        Returns
        -------
        RowSums
            These sums, changed.

        Raises
        ------
        DataError
            If the rows cannot be used. Batches before the one with the error have been
            added.
        """
        source = source_of(batch)
        passes = Passes(source, self._sums.recipe.wanted.names, progress)
        absent = [n for n in passes.names if n not in source.names]
        if absent:
            raise DataError(f"column '{absent[0]}' not in the batch")
        try:
            for table in passes.every("sums"):
                self._add(table)
        finally:
            passes.close()
        return self

    def empty(self) -> Self:
        """
        Sums of no rows that remember the same, to be merged with these later.

        Returns
        -------
        RowSums
        """
        return type(self)(Sums.empty(self._sums.recipe), self._told)

    def _copy(self):
        """The same sums, to which others can be added."""
        return type(self)(self._sums.copy(), self._told)

    def __sizeof__(self):  # by which Dask decides where to merge
        return object.__sizeof__(self) + self._sums.nbytes

    def merge(self, other: Self) -> Self:
        """
        Add the sums of other rows.

        Parameters
        ----------
        other : RowSums
            Sums of the same formula that remember the same of the data, such as those
            that `empty` began. They are not changed.

        Returns
        -------
        RowSums
            These sums, changed.

        Raises
        ------
        DataError
            If the sums cannot be added.
        """
        if not isinstance(other, RowSums):
            raise TypeError(
                f"merge takes other RowSums, not {type(other).__name__}; "
                "`sums.update(rows)` adds rows"
            )
        self._sums.recipe.check_same(other._sums.recipe)
        self._sums.merge(other._sums)
        return self

    def save(self, path: str | PathLike[str]) -> None:
        """
        Write the sums to a file, to which later batches can be added.

        Parameters
        ----------
        path : str or PathLike
            The file, an npz archive of numbers and names, without code but the formula.

        Raises
        ------
        FormulaError, DataError
            If the formula uses more than `check_formula` allows, names or structures of
            your own, or levels that are neither text, numbers nor dates.
        """
        recipe = self._sums.recipe
        own = [*own_names(recipe.wanted.scope), *recipe.structures]
        if own:
            raise DataError(
                f"the formula uses names of your own, which cannot be saved: "
                f"{', '.join(own)}"
            )
        names = [n for n in recipe.wanted.names if isinstance(n, str)]
        check_formula(self.formula, names, subset=recipe.wanted.subset)
        Path(path).write_bytes(packed(self._sums))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """
        Read sums from a file that `save` wrote.

        Parameters
        ----------
        path : str or PathLike
            The file. Nothing in it is evaluated but the formula, when rows are added,
            and it must pass `check_formula`.

        Returns
        -------
        RowSums

        Raises
        ------
        FormulaError
            If the formula is not allowed.
        DataError
            If the file is damaged, or was written by a newer version.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"there is no file {path}; `sums.save(path)` writes one"
            )
        try:
            return cls(unpacked(Path(path).read_bytes()))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def __getstate__(self):
        recipe = self._sums.recipe
        scope = {n: packed_value(v) for n, v in recipe.wanted.scope.items()}
        lost = [name for name, value in scope.items() if value is None]
        if lost:
            raise DataError(
                f"'{lost[0]}' in the formula cannot be sent to other processes"
            )
        sums = self._sums
        arrays = arrays_of(sums, with_values=False)
        return arrays, scope, recipe.structures, sums.values, sums.seen

    def __setstate__(self, state):
        arrays, scope, *rest = state
        scope = {name: value.unpacked() for name, value in scope.items()}
        self._sums = sums_from(arrays, scope, *rest)
        self._told = ToldOnce()

    def finish(self) -> SummedRows:
        """
        The sums with levels sorted, as the core of the package takes them.

        `CrossedMixedLM.from_sums` makes a model of them.

        Returns
        -------
        SummedRows
        """
        return finished(self._sums)[0]

    def model_arguments(self) -> dict[str, Any]:
        """
        The arguments of `models.from_sums.model_from_sums`.

        Returns
        -------
        dict
        """
        return model_arguments(self._sums)
