"""
Designs that leave nothing for the residual variance.

If the columns of [X Z] span all n rows, the effects can reproduce any response. The
likelihood then grows without bound as the residual variance goes to zero, unless Z
alone spans the rows, and the REML likelihood may be largest there. With all relative
variances t, log |V| + log |X'V^-1 X| grows as (rank [X Z] - p) log t, so that two
evaluations tell the rank. Levels with a known relationship, a model matrix, or effects
whose covariance has a structure are left out: their covariance, not their number, tells
them from the residuals.
"""

import numpy as np

from statsmodels_lmm.core.engine import eliminate
from statsmodels_lmm.core.grouped_effects import GroupedEffects
from statsmodels_lmm.core.start import start_at

LARGE = 1e7, 1e6, 1e5
"""
Relative variances t in units of the levels over the rows, which are compared with a
hundred times as much; the largest that floating point bears tells the rank best.
"""


def is_saturated(products):
    """
    Whether fixed and independent random effects span all rows.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics in standardized units.

    Returns
    -------
    bool
    """
    factors = [f for f in products.plan.factors if is_independent(f)]
    q = sum(f.n_columns for f in factors)
    # of one intercept for each row the prior weights tell the variances
    if q + products.k_fixed < products.nobs or [f.k_effects for f in factors] == [1]:
        return False
    for t in LARGE:
        try:
            rise = _log_determinants(products, 100.0 * t)
            rise -= _log_determinants(products, t)
        except np.linalg.LinAlgError:
            continue
        return bool(products.k_fixed + rise / np.log(100.0) > products.nobs - 0.5)
    return False


def is_independent(factor):
    """Whether levels are independent and their effects of any covariance."""
    own = factor.of_user
    known = not isinstance(own, GroupedEffects) or own.relationship is not None
    return not (known or factor.is_structured)


def _log_determinants(products, t):
    """Log |V| + log |X'V^-1 X| with all relative variances t."""
    sizes = [t if is_independent(f) else 0.0 for f in products.plan.factors]
    roots = [f.matrix for f in start_at(products, sizes)]
    elimination = eliminate(products, roots, closely=True)
    p = products.k_fixed
    return elimination.logdet + np.linalg.slogdet(elimination.gram[:p, :p])[1]
