"""
Designs that leave nothing for the residual variance.

If the columns of [X Z] span all n rows, the effects can reproduce any response. The
likelihood then grows without bound as the residual variance goes to zero, unless Z
alone spans the rows, and the REML likelihood may be largest there. With all relative
variances t, log |V| + log |X'V^-1 X| grows as (rank [X Z] - p) log t, so that two
evaluations tell the rank. Levels with a known relationship, a model matrix, or effects
whose covariance has a structure are left out: their covariance, not their number, tells
them from the residuals. So is one effect for each row if prior weights differ, as in
meta-analysis: its variances are not in proportion to those of the residuals, and keep
the likelihood bounded.
"""

import numpy as np

from statsmodels_lmm.core.criteria.start import start_at

LARGE = 1e7, 1e6, 1e5
"""
Relative variances t in units of the levels over the rows, which are compared with a
hundred times as much; the largest that floating point bears tells the rank best.
"""

DIFFERENT = 1e-6
"""Relative difference of the effects of rows that makes their variances different."""


def is_saturated(products, structured=False):
    """
    Whether fixed and independent random effects span all rows.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics in standardized units.
    structured : bool, optional
        Whether effects whose covariance has a structure count, too.

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
    # one intercept for each row is said not to be told from the residuals
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
    """Whether levels are independent, their effects of any covariance or structured."""
    own = term.of_user
    known = not own.is_grouped or own.relationship is not None
    return not known and (structured or not term.is_structured)


def _is_told_by_weights(term, nobs):
    """Whether there is one effect for each row, of other variances than residuals'."""
    if term.k_effects > 1 or term.n_columns < nobs:
        return False
    sizes = np.abs(term.of_user.effects)
    return bool(0.0 < sizes.min() < (1.0 - DIFFERENT) * sizes.max())


def _log_determinants(products, counted, t):
    """Log |V| + log |X'V^-1 X|, the relative variances of some terms t, others 0."""
    sizes = [t if of_any_size else 0.0 for of_any_size in counted]
    roots = [f.matrix for f in start_at(products, sizes)]
    elimination = products.eliminate(roots, closely=True)
    p = products.k_fixed
    return elimination.logdet + np.linalg.slogdet(elimination.gram[:p, :p])[1]
