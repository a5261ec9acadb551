"""Joint tests of all factors and interactions of the fixed effects."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.inference.fixed.terms import fixed_terms
from statsmodels_lmm.inference.marginal.contrast_sets import as_list, free
from statsmodels_lmm.inference.marginal.marginal_means import marginal_means
from statsmodels_lmm.inference.marginal.reference_grid import (
    check_predictor,
    is_covariate,
    reference_grid,
)
from statsmodels_lmm.inference.requirements import as_fit


def joint_tests(
    results: Any,
    by: Any = None,
    at: Any = None,
    weights: str = "equal",
    df_method: str | None = None,
) -> ResultTable:
    """
    Test every factor and interaction by contrasts of marginal means.

    For each set of predictors that a term of the fixed effects contains: F tests that
    the means do not differ or, of several predictors, that no interaction contrast
    differs from 0; in a generalized model, of the linear predictor. A covariate is
    tested at its mean minus and plus 1. Without `by` and with equal weights they are
    tests of type III, whatever the coding of the factors, if covariates in interactions
    are centered.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    by : str or list of str, optional
        Columns: the others are tested at each combination of their levels, which are
        simple effects.
    at, weights, df_method : optional
        As for `marginal_means`.

    Returns
    -------
    DataFrame
        One row per test: "term"; the levels of `by`; "df"; "df_denom", infinite for a
        chi-squared test of df times F; "F" and "PR(>F)". Sets without an estimable
        contrast are left out.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.cake.load_pandas().data
    >>> result = crossedmixedlm(
    ...     "angle ~ recipe * temperature + (1 | replicate/recipe)", data
    ... ).fit()
    >>> joint_tests(result, by="recipe").round(2)["F"].tolist()
    [8.58, 7.21, 6.75]
    """
    results, by = as_fit(results), as_list(by)
    levels = reference_grid(results, at).levels
    for name in by:
        check_predictor(name, levels)
    at = {} if at is None else dict(at)
    for name, values in levels.items():
        if name not in at and name not in by and is_covariate(values):
            at[name] = values[0] + np.array([-1.0, 1.0])
    fixed = {n for n, values in levels.items() if len(as_list(at.get(n, values))) < 2}
    tables = []
    for names in _tested(results, fixed | set(by)):
        means = marginal_means(
            results, names, by, at, weights, df_method=df_method, which="linear"
        )
        table = means.contrasts(["consecutive"] * len(names)).joint_test()
        table.insert(0, _column(by), ":".join(map(str, names)))
        tables.append(table)
    if not tables:
        raise DataError("there is no factor or covariate to test")
    whole = pd.concat(tables, ignore_index=True)
    whole = whole[whole.iloc[:, -4] > 0]
    if by:
        whole = whole.sort_values(
            by, key=lambda c: pd.Index(levels[c.name]).get_indexer(c), kind="stable"
        )
    return ResultTable(whole.reset_index(drop=True))


def _column(by):
    return free(["term"], by)["term"]


def _tested(results, others):
    """Sets of predictors that a term contains, without others, the smallest first."""
    frame = results.model.data.frame
    terms = [
        [c for text in term.factors for c in columns_in(text, frame.columns)]
        for term in fixed_terms(results)
    ]
    names = dict.fromkeys(c for term in terms for c in term)
    varying = [name for name in names if name not in others]
    for size in range(1, len(varying) + 1):
        for some in combinations(varying, size):
            if any(set(some) <= set(term) for term in terms):
                yield list(some)
