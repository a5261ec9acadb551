"""
The fit without some of its rows, at the same relative covariances.

Leaving out the rows I is equivalent to adding an indicator for each (Cook and Weisberg
1982; Haslett 1999 for correlated errors). With e = P y, H = I - P, and K the inverse of
the mixed model equations, so that H = A K A' for the rows A = [X Z],

    beta - beta_(I) = K_b. A_I' (I - H_II)^-1 e_I
                    = K_b. (I - G K)^-1 A_I' e_I,    G = A_I'A_I,

where the second form is restricted to the columns that the rows I touch, so its size
does not grow with the number of rows. All results are in units of sigma and in
coordinates in which X'V^-1 X = R R' is the identity.

References
----------
Cook, R. D. and Weisberg, S. (1982). Residuals and Influence in Regression. Chapman
and Hall.
Haslett, J. (1999). A simple derivation of deletion diagnostic results for the general
linear model with correlated errors. JRSS B 61, 603-609.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from statsmodels_lmm.core.algebra.dense import solve_lower
from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.structures.relative_factor import full_factor
from statsmodels_lmm.core.uncertainty.mixed_model_inverse import (
    error_covariance,
    error_variances,
)

MAX_COLUMNS = 3000
"""Number of columns up to which a dense block of K is formed."""

NO_DIRECTION = 1e-14
"""Share of a direction of X in the remaining rows that counts as zero."""

NEARLY_REDUNDANT = 1e-6
"""Share of a direction of X below which the remaining rows are evaluated afresh."""


@dataclass(frozen=True)
class Deletions:
    """
    Fits that each leave out a set of rows, where sigma^2 = 1, X'V^-1 X = R R' = I.

    Values are NaN if the remaining rows do not determine the fixed effects and sigma.

    Parameters
    ----------
    change : ndarray
        R'(beta - beta_(I)) / sigma, shape (m, p).
    covariance : ndarray
        R'(X'V^-1 X)_(I)^-1 R, shape (m, p, p); for single rows the identity plus an
        outer product vv', with only v stored, shape (m, p).
    scale : ndarray
        Residual variance without the rows divided by that of the fit, shape (m,).
    """

    change: np.ndarray
    covariance: np.ndarray
    scale: np.ndarray

    @property
    def determinant(self):
        """Determinant of each covariance, shape (m,)."""
        if self.covariance.ndim == 2:
            return 1.0 + (self.covariance**2).sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.linalg.det(self.covariance)

    def variances(self, root):
        """
        Diagonals of R C R', for a root R and a covariance matrix C.

        Parameters
        ----------
        root : ndarray
            Shape (p, p).

        Returns
        -------
        ndarray
            Shape (m, p).
        """
        if self.covariance.ndim == 2:
            return (root**2).sum(axis=1) + (self.covariance @ root.T) ** 2
        return ((root @ self.covariance) * root).sum(axis=2)


def residual_form(deviance, data):
    """
    V^-1 [X y], row by row.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    data : Standardized
        The data.

    Returns
    -------
    ndarray
        Shape (n, p + 1).
    """
    out = np.column_stack([data.exog, data.endog])
    terms = deviance.elimination.products.plan.terms
    for term, modes in zip(terms, deviance.selected.modes):
        out -= term.times(np.moveaxis(modes, -1, 0)).T
    return out


def delete_rows(deviance, data):
    """
    Leave out one row at a time.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    data : Standardized
        The data.

    Returns
    -------
    deletions : Deletions
        The fit without each row.
    leverages : ndarray
        Diagonal of H, shape (n,).
    residuals : ndarray
        P y / sigma, shape (n,).
    """
    n, p = data.exog.shape
    form = residual_form(deviance, data)
    residuals = form @ deviance.contrast / np.sqrt(deviance.scale)
    terms = deviance.elimination.products.plan.terms
    leverages = error_variances(deviance, data.exog, terms)
    rest = np.where(leverages < 1.0, 1.0 - leverages, np.nan)
    scores = solve_lower(deviance.fixed_root, form[:, :p].T).T if p else form[:, :0]
    half = scores / np.sqrt(rest)[:, None]
    change = scores * (residuals / rest)[:, None]
    scale = _scale(deviance, n, 1, residuals**2 / rest)
    for row in np.flatnonzero(1.0 - (data.exog**2).sum(axis=1) / n < NEARLY_REDUNDANT):
        change[row], covariance, scale[row] = _evaluate_rest(
            deviance, data, np.arange(n) != row
        )
        half[row] = np.nan
        if np.isfinite(scale[row]):
            values, vectors = np.linalg.eigh(covariance - np.eye(p))
            half[row] = np.sqrt(values[-1]) * vectors[:, -1]
    return Deletions(change, half, scale), leverages, residuals


def delete_groups(deviance, data, codes, n_groups):
    """
    Leave out one group of rows at a time.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    data : Standardized
        The data.
    codes : ndarray
        Group of each row, integers in 0, ..., n_groups - 1, shape (n,).
    n_groups : int
        Number of groups, at least 2.

    Returns
    -------
    Deletions
        The fit without each group.
    """
    n, p = data.exog.shape
    residuals = residual_form(deviance, data) @ deviance.contrast
    residuals /= np.sqrt(deviance.scale)
    rows = _rows_by_group(deviance, data, residuals, codes, n_groups)
    taken = level_sums(codes, n_groups, data.exog, data.exog) / n
    left = 1.0 - np.linalg.eigvalsh(taken).max(axis=1, initial=0.0)
    change, scale = np.empty((n_groups, p)), np.empty(n_groups)
    covariance = np.empty((n_groups, p, p))
    wide = np.array([len(group.columns) > MAX_COLUMNS for group in rows])
    few = n - np.bincount(codes, minlength=n_groups) <= p
    apart = np.flatnonzero(wide | few | (left < NEARLY_REDUNDANT))
    for g in apart:
        change[g], covariance[g], scale[g] = _evaluate_rest(deviance, data, codes != g)
    for batch, columns in _batches(rows, set(apart.tolist()), deviance, p):
        inverse = error_covariance(deviance, *_unit_rows(deviance, p, columns))
        for g in batch:
            places = np.searchsorted(columns, rows[g].columns)
            block = inverse[np.ix_(places, places)]
            change[g], covariance[g], scale[g] = _downdate(deviance, n, block, rows[g])
    return Deletions(change, covariance, scale)


@dataclass(frozen=True)
class _Group:
    """Rows A_I on the columns of [X Z] that they touch, and their P y."""

    columns: np.ndarray
    design: sparse.csr_array
    residuals: np.ndarray


def _rows_by_group(deviance, data, residuals, codes, n_groups):
    """The rows of each group; the columns of X always come first."""
    terms = deviance.elimination.products.plan.terms
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(n_groups + 1))
    parts = [data.exog, *(f.indicator() for f in terms)]
    parts = [sparse.csr_array(part) for part in parts]
    design = sparse.hstack(parts).tocsr()[order]
    fixed = np.arange(data.exog.shape[1])
    out = []
    for start, stop in zip(ends[:-1], ends[1:]):
        part = design[start:stop]
        columns = np.union1d(fixed, part.indices)
        local = np.searchsorted(columns, part.indices)
        part = sparse.csr_array(
            (part.data, local, part.indptr), shape=(stop - start, len(columns))
        )
        out.append(_Group(columns, part, residuals[order[start:stop]]))
    return out


def _batches(rows, apart, deviance, p):
    """Batches of groups that together touch few columns, with these columns."""
    plan = deviance.elimination.products.plan
    touched = np.zeros(p + plan.n_columns, dtype=bool)
    batch: list = []
    size = 0
    for g, group in enumerate(rows):
        if g in apart:
            continue
        new = int((~touched[group.columns]).sum())
        if batch and size + new > MAX_COLUMNS:
            yield batch, np.flatnonzero(touched)
            touched[:] = False
            batch, size, new = [], 0, len(group.columns)
        touched[group.columns] = True
        batch.append(g)
        size += new
    if batch:
        yield batch, np.flatnonzero(touched)


def _unit_rows(deviance, p, columns):
    """Unit vectors for columns of [X Z], as rows of X and of the terms."""
    fixed = (columns[:, None] == np.arange(p)).astype(float)
    plan = deviance.elimination.products.plan
    pairs = zip(plan.terms, plan.slices)
    return fixed, [f.unit_rows(columns - p - place.start) for f, place in pairs]


def _downdate(deviance, n, inverse, group):
    """Change, covariance and scale from the block of K touched by a group."""
    p = len(deviance.coefficients)
    gram = (group.design.T @ group.design).toarray()
    score = group.design.T @ group.residuals
    scores = inverse[:, :p] @ deviance.fixed_root
    right = np.column_stack([score, gram @ scores])
    system = np.eye(len(gram)) - gram @ inverse
    solved = linalg.solve(system, right, overwrite_a=True, check_finite=False)
    explained = group.residuals @ group.residuals + score @ inverse @ solved[:, 0]
    added = scores.T @ solved[:, 1:]
    return (
        scores.T @ solved[:, 0],
        np.eye(p) + 0.5 * (added + added.T),
        _scale(deviance, n, len(group.residuals), explained),
    )


def _scale(deviance, n, n_deleted, explained):
    """Ratio of residual variances after losing rows and a sum of squares."""
    enough = n - n_deleted > len(deviance.coefficients)
    left = deviance.nu - n_deleted if enough else np.nan
    return (deviance.nu - explained) / left


def _evaluate_rest(deviance, data, keep):
    """Change, covariance and scale from the criterion of the rows kept."""
    p = data.exog.shape[1]
    nothing = np.full(p, np.nan), np.full((p, p), np.nan), np.nan
    inside = data.exog[keep]
    share = np.linalg.eigvalsh(inside.T @ inside / len(keep)).min(initial=1.0)
    # what remains of a column may be mere rounding
    if keep.sum() <= p or share <= NO_DIRECTION:
        return nothing
    terms = []
    for f in deviance.elimination.products.plan.terms:
        terms.append(f.of_user.subset(keep))
    rest = standardize(data.endog[keep], inside, terms)
    if len(rest.kept) < p:
        return nothing
    products = sufficient_statistics(rest.endog, rest.exog, rest.terms)
    roots = []
    for i in products.plan.order:
        lower = np.linalg.solve(rest.to_effects[i], deviance.factors[i].matrix)
        roots.append(full_factor(lower, terms[i].block_slices))
    try:
        optimum = profiled_deviance(products, roots, deviance.reml)
    except np.linalg.LinAlgError:
        return nothing
    unit, root = rest.response_scale, deviance.fixed_root
    coefficients = unit * rest.to_fixed @ optimum.coefficients + rest.least_squares
    half = root.T @ rest.to_fixed @ np.linalg.inv(optimum.fixed_root).T
    change = root.T @ (deviance.coefficients - coefficients) / np.sqrt(deviance.scale)
    return change, half @ half.T, optimum.scale * unit**2 / deviance.scale
