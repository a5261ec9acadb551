"""
Designs that leave nothing for the residual variance.

If the columns of [X Z] span all n rows, the effects can reproduce any response. The
likelihood then grows without bound as the residual variance goes to zero, unless Z
alone spans the rows, and the REML likelihood may be largest there. When all relative
variances are t, log |V| + log |X'V^-1 X| grows as (rank [X Z] - p) log t, so two
evaluations determine the rank. Terms with related levels, a model matrix or a
covariance structure are left out: their covariance, not their number of levels,
separates them from the residuals. So is a term with one effect per row if the prior
weights differ, as in meta-analysis: its variances are then not proportional to those of
the residuals, which keeps the likelihood bounded.
"""

import numpy as np

from statsmodels_lmm.core.criteria.start import start_at

LARGE = 1e7, 1e6, 1e5
"""
Relative variance t, in units of levels over rows, compared with one a hundred times
as large; the largest t that floating point allows shows the rank best.
"""

DIFFERENT = 1e-6
"""Relative difference at which the variances of the rows' effects count as unequal."""


def is_saturated(products, structured=False):
    """
    Whether fixed and independent random effects span all rows.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics in standardized units.
    structured : bool, optional
        Whether to count effects with a covariance structure as well.

    Returns
    -------
    bool
    """
    n = products.nobs
    counted = [
        is_independent(f, structured) and not _is_told_by_weights(f, n)
        for f in products.plan.terms
    ]
    terms = [f for f, c in zip(products.plan.terms, counted) if c]
    q = sum(f.n_columns for f in terms)
    # one intercept per row has an error message of its own
    if q + products.k_fixed < n or [f.k_effects for f in terms] == [1]:
        return False
    for t in LARGE:
        try:
            rise = _log_determinants(products, counted, 100.0 * t)
            rise -= _log_determinants(products, counted, t)
        except np.linalg.LinAlgError:
            continue
        return bool(products.k_fixed + rise / np.log(100.0) > n - 0.5)
    return False


def is_independent(term, structured=False):
    """Whether levels are independent; `structured` allows a covariance structure."""
    of_user = term.of_user
    known = not of_user.is_grouped or of_user.relationship is not None
    return not known and (structured or not term.is_structured)


def _is_told_by_weights(term, nobs):
    """Whether there is one effect per row, with variances unlike the residuals'."""
    if term.k_effects > 1 or term.n_columns < nobs:
        return False
    sizes = np.abs(term.of_user.effects)
    return bool(0.0 < sizes.min() < (1.0 - DIFFERENT) * sizes.max())


def _log_determinants(products, counted, t):
    """Log |V| + log |X'V^-1 X|, relative variances t for some terms, 0 for others."""
    sizes = [t if of_any_size else 0.0 for of_any_size in counted]
    roots = [f.matrix for f in start_at(products, sizes)]
    elimination = products.eliminate(roots, closely=True)
    p = products.k_fixed
    return elimination.logdet + np.linalg.slogdet(elimination.gram[:p, :p])[1]
