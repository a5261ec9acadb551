"""
The inverse of Henderson's mixed model equations, applied to a few rows.

The errors of the estimated fixed effects and of the conditional modes have the joint
covariance sigma^2 K (Henderson 1975; theta taken as known),

    K = [X'X  X'Z          ]^-1 = [0  0]   [ I     ]
        [Z'X  Z'Z + S^-1   ]      [0  M] + [-M Z'X ] (X'V^-1 X)^-1 [I  -X'Z M]

with M = (S^-1 + Z'Z)^-1. The right side exists for singular S as well. For a row
(x, z) the quadratic form is z'M z plus (X'V^-1 X)^-1 at x - X'Z M z. Neither K nor
M is formed: a row touches one level of each term, so the elimination carries few
numbers along the chain, and the tail costs one triangular solve.

References
----------
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a
selection model. Biometrics 31, 423-447.
"""

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import as_array, solve_lower
from statsmodels_lmm.core.engines.row_forms import ROW_ENTRIES


def error_variances(deviance, fixed, terms):
    """
    Variances of the errors of predictions divided by sigma^2, (x, z) K (x, z)'.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    fixed : ndarray
        x of each row, in standardized units, shape (m, p).
    terms : sequence of GroupedEffects or RelatedEffects
        z of each row, in standardized units, terms and levels in the order of the
        elimination plan. A row of zeros leaves a term out.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    elimination = deviance.elimination
    if elimination.row_width:
        # each row costs a triangular solve
        first, each = _distinct(terms)
        forms = _forms(elimination, [f.take(first) for f in terms])[each]
    else:
        forms = _forms(elimination, terms)
    return forms + (_shifted(deviance, fixed, terms) ** 2).sum(axis=1)


def error_covariance(deviance, fixed, terms):
    """
    Covariance of the errors of predictions, divided by sigma^2.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    fixed : ndarray
        x of each row, as in `error_variances`, shape (m, p).
    terms : sequence of GroupedEffects or RelatedEffects
        z of each row, as in `error_variances`.

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    shifted = _shifted(deviance, fixed, terms)
    out = shifted @ shifted.T
    for left, right in deviance.elimination.row_forms(terms):
        form = left @ right.T
        out += as_array(form)
    return 0.5 * (out + out.T)


def _forms(elimination, terms):
    """The quadratic form z'M z of each row, shape (m,)."""
    out = np.zeros(terms[0].n_rows)
    step = max(1, ROW_ENTRIES // max(1, elimination.row_width))
    for start in range(0, len(out), step):
        part = slice(start, start + step)
        for left, right in elimination.row_forms([f.take(part) for f in terms]):
            both = left.multiply(right) if sparse.issparse(left) else left * right
            out[part] += both.sum(axis=1)
    return out


def _shifted(deviance, fixed, terms):
    """(x - X'V^-1 Z S z)' R^-T with R R' = X'V^-1 X, shape (m, p)."""
    if not fixed.shape[1]:
        return fixed
    shifted = fixed.copy()
    for f, modes in zip(terms, deviance.fixed_modes):
        shifted -= f.times(np.moveaxis(modes, -1, 0)).T
    return solve_lower(deviance.fixed_root, shifted.T).T


def _distinct(terms):
    """Positions of the distinct rows, and which of these each row equals."""
    bases = [f.of_user for f in terms]
    if not all(f.is_grouped for f in bases):
        every = np.arange(terms[0].n_rows)
        return every, every
    keys = np.column_stack([c for f in bases for c in (f.codes, f.effects)])
    _, first, each = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, each.ravel()
