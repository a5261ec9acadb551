"""Linear models of rows that arrive in batches."""

from collections.abc import Mapping
from typing import Any, Self

from statsmodels_lmm.batches.opening import source_of
from statsmodels_lmm.batches.reading import IN_MEMORY
from statsmodels_lmm.batches.row_sums import RowSums
from statsmodels_lmm.batches.sources import BATCH_SIZE
from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.models.from_sums import model_from_sums


class FromBatches:
    """Ways to create a model of rows that are read in batches and not kept."""

    @classmethod
    def from_batches(
        cls,
        batches: Any,
        formula: str,
        *,
        weights: str | None = None,
        offset: str | None = None,
        subset: str | None = None,
        missing: str = "drop",
        contrasts: Mapping[str, Any] | None = None,
        structures: Mapping[str, Structure] | None = None,
        check_levels: bool = True,
        rank: str = "drop",
        eval_env: Any = None,
        batch_size: int = BATCH_SIZE,
        progress: bool | None = None,
    ) -> Self:
        """
        Create a model of rows that are read in batches and not kept.

        Parameters
        ----------
        batches : object
            The rows, see `RowSums.of`.
        formula : str
            Formula in lme4's language, see `from_formula`. A transform such as
            ``center(x)`` and a factor among the fixed effects take one more pass over
            the rows each.
        weights, offset, subset, missing, contrasts, structures, eval_env
            See `RowSums.of`.
        check_levels, rank
            See `from_formula`.
        batch_size, progress
            See `RowSums.of`.

        Returns
        -------
        CrossedMixedLM
            A model of the sums over the rows. Its fit has everything but the rows:
            ``result.predict(source)`` and ``result.augment(source)`` read them again.

        Raises
        ------
        FormulaError
            If the formula cannot be read or evaluated.
        DataError
            If the rows cannot be used.
        """
        sums = sums_of_rows(
            formula,
            batches,
            batch_size,
            {},
            depth=1,
            weights=weights,
            offset=offset,
            subset=subset,
            missing=missing,
            contrasts=contrasts,
            structures=structures,
            eval_env=eval_env,
            progress=progress,
        )
        return cls.from_sums(sums, check_levels=check_levels, rank=rank)

    @classmethod
    def from_sums(
        cls, sums: RowSums, *, check_levels: bool = True, rank: str = "drop"
    ) -> Self:
        """
        Create a model of sums over rows.

        Parameters
        ----------
        sums : RowSums
            The sums.
        check_levels, rank
            See `from_formula`.

        Returns
        -------
        CrossedMixedLM
            See `from_batches`.
        """
        if not isinstance(sums, RowSums):
            raise TypeError(
                f"sums are a RowSums, not {type(sums).__name__}; `CrossedMixedLM."
                "from_batches(source, formula)` sums the rows of a source"
            )
        arguments = sums.model_arguments()
        return model_from_sums(cls, **arguments, check_levels=check_levels, rank=rank)


def sums_of_rows(formula, source, batch_size, in_memory, *, depth, **options):
    """
    Sum the rows of a source for a model.

    Parameters
    ----------
    formula, source, batch_size
        As for `RowSums.of`.
    in_memory : dict
        Arguments that need all rows in memory, None or False if not given.
    depth : int
        Stack frames between this function and the user.
    **options
        Further arguments of `RowSums.of`.

    Returns
    -------
    RowSums

    Raises
    ------
    NotImplementedError
        If an argument needs all rows in memory.
    """
    for name, value in in_memory.items():
        if value is not None and value is not False:
            raise NotImplementedError(
                f"{name}= is not available for rows in batches; {IN_MEMORY}"
            )
    if not isinstance(formula, str):
        parse(formula)  # raises the error, which may be that of exchanged arguments
    source = source_of(source, batch_size)
    return RowSums._of(formula, source, depth=depth + 1, **options)
