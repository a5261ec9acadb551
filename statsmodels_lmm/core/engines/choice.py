"""The choice of a model's engine."""

from dataclasses import replace

from statsmodels_lmm.core.engines.base import Engine
from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.engines.block_sums import products_of_sums
from statsmodels_lmm.core.engines.sparse_engine import SparseEngine
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums, suffice

ENGINES: tuple = SparseEngine, BlockEngine
"""In order of preference; the last suits all terms."""


def engine_for(terms, nobs) -> Engine:
    """
    Choose an engine and let it plan the elimination.

    Parameters
    ----------
    terms : sequence of GroupedEffects or RawEffects
        Random-effects terms in standardized units, in the order given by the user.
    nobs : int
        Number of rows n.

    Returns
    -------
    Engine
    """
    kind = next(engine for engine in ENGINES if engine.suits(terms))
    return kind.of(terms, nobs)


def sufficient_statistics(endog, exog, terms):
    """
    Form the cross-products of a model for the engine that suits it.

    Parameters
    ----------
    endog : ndarray
        Response, shape (n,).
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    terms : sequence of GroupedEffects or RawEffects
        Random-effects terms, in the order given by the user.

    Returns
    -------
    CrossProducts or SparseProducts
    """
    rows = Rows(endog, exog)
    if suffice(terms):
        found = sufficient_statistics_of_sums(PairSums.of(terms, rows), terms)
        return replace(found, rows=rows)
    return engine_for(terms, len(endog)).gather(rows)


def sufficient_statistics_of_sums(sums, terms):
    """
    Form the cross-products of a model from sums over its rows.

    Parameters
    ----------
    sums : PairSums
        Sums with the columns [X y], terms in the order given by the user.
    terms : sequence of GroupedEffects
        The terms, without rows.

    Returns
    -------
    CrossProducts
    """
    return products_of_sums(sums, terms)
