"""Designs without some of their terms, if the other terms keep their columns."""

from functools import reduce

import numpy as np

from statsmodels_lmm.core.rows.spans import spans
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.artificial_rows import artificial_rows, row_products

SAME_SPAN = (
    "without {} the other terms span the same columns: they contain it, as an "
    "interaction of factors does, or it is redundant"
)


def reduced_design(spec, columns, dropped):
    """
    A design with some of the columns of another.

    Parameters
    ----------
    spec : DesignInfo
        The design.
    columns : sequence of int
        The columns of the terms that remain.
    dropped : str
        What is dropped, for messages.

    Returns
    -------
    DesignInfo

    Raises
    ------
    DataError
        If the formula without the dropped terms would code others in another way, as it
        does for a factor without the constant.
    """
    columns = list(columns)
    rows, kept, full = artificial_rows(spec), [], []
    for term, place in spec.term_slices.items():
        if place.stop > place.start and place.start in columns:
            kept.append(term)
            each = [rows.by_factor[factor] for factor in term.factors]
            full.append(reduce(row_products, each, np.ones((len(rows.design), 1))))
    every = np.hstack([np.zeros((len(rows.design), 0)), *full])
    if not spans(rows.design[:, columns], every):
        if spans(every, rows.design):
            raise DataError(SAME_SPAN.format(dropped))
        raise DataError(
            f"without {dropped} other terms would be coded in another way, which needs "
            "the rows; fit the smaller model to the source"
        )
    return spec.subset(kept)
