r"""
Covariance of the fixed effects that is robust within clusters of rows.

Everything refers to the coefficients R'beta with X'V^-1 X = R R', whose covariance is
sigma^2 I if the model holds, and X stands for X R^-T. The sum of s_c s_c', where
s_c = X_c'[V^-1 e]_c is the score of a cluster and e = y - X beta, estimates their
covariance (CR0, Liang and Zeger 1986). For m clusters it is too small by a factor of
about 1 - 1/m, of which CR1 takes account.

If each cluster contains the levels of its random effects, V is block-diagonal. CR2
replaces e_c by A_c e_c with the symmetric A_c for which

    A_c G_c A_c = V_c,    G_c = V_c - X_c X_c' = Var(e_c) / sigma^2,

so that the estimate is unbiased if the model holds (Bell and McCaffrey 2002,
Pustejovsky and Tipton 2018). With V_c = C C' for any root C, and G_c = C N N'C',

    A_c = C (C'G_c C)^(-1/2) C' = C U D^-1 U'C',    C'C N = U D W'.

Where G_c is singular, the inverse is generalized. V_c = I + Z_c S Z_c' and G_c differ
from the identity in the span of X_c and Z_c alone. With S = L L' and
[X_c Z_c L e_c] = Q T, Q orthonormal, these matrices are Q M Q' + I - Q Q' with M of the
size of T, which takes the place of the rows: no matrix has as many rows and columns as
the cluster has rows, unless these are few. The rank of T does not matter.

Weights are part of the rows, which are multiplied by their square roots.

Degrees of freedom are those of Satterthwaite if the model holds. For a contrast l, the
estimate is the sum of the squares of a_c'e_c with a_c = A_c V_c^-1 X_c l, whose
covariances are sigma^2 times

    P_cc = a_c'G_c a_c,    P_cd = -(X_c'a_c)'(X_d'a_d),

so that the degrees of freedom are (sum_c P_cc)^2 / sum_cd P_cd^2. Several contrasts are
tested by Hotelling's T^2 with as many degrees of freedom as give the estimate the total
variance of a Wishart matrix (Pustejovsky and Tipton 2018, section 4.2).

References
----------
Bell, R. M. and McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
regression with multi-stage samples. Survey Methodology 28, 169-181.

Liang, K.-Y. and Zeger, S. L. (1986). Longitudinal data analysis using generalized
linear models. Biometrika 73, 13-22.

Pustejovsky, J. E. and Tipton, E. (2018). Small-sample methods for cluster-robust
variance estimation and hypothesis testing in fixed effects models. Journal of Business
& Economic Statistics 36, 672-683.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import inverse_lower, transpose
from statsmodels_lmm.core.rows.clusters import cluster_batches
from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.core.uncertainty.case_deletion import residual_form

ALONE = 1e-10
"""Share of a direction of X outside a cluster that is mere rounding."""

SINGULAR = 1e-12
"""Eigenvalue of a covariance of contrasts, relative to the largest, treated as zero."""


@dataclass(frozen=True)
class ClusterRobust:
    """
    A cluster-robust covariance of R'beta, and the distribution of its estimate.

    Parameters
    ----------
    covariance : ndarray
        In units of sigma^2, shape (p, p).
    n_clusters : int
        Number of clusters m.
    alone : ndarray
        Orthonormal directions of R'beta that a single cluster determines, whose
        residuals vanish and so say nothing about a variance, shape (p, k).
    through, own : ndarray, optional
        X_c'A_c V_c^-1 X_c, and the matrices that give P_cc, shapes (m, p, p); None if
        the degrees of freedom are not known.
    constant_df : float, optional
        The degrees of freedom of every test, if they are not to be Satterthwaite's.
    whole : ndarray, optional
        The covariance of all free parameters of a generalized model, in standardized
        units, shape (q, q).
    """

    covariance: np.ndarray
    n_clusters: int
    alone: np.ndarray
    through: np.ndarray | None = None
    own: np.ndarray | None = None
    constant_df: float | None = None
    whole: np.ndarray | None = None

    def undetermined(self, contrasts):
        """
        Whether a contrast rests on a direction that a single cluster determines.

        Parameters
        ----------
        contrasts : ndarray
            Coefficients of R'beta, shape (..., p).

        Returns
        -------
        ndarray
            Booleans, shape (...).
        """
        shares = ((contrasts @ self.alone) ** 2).sum(axis=-1)
        return shares > ALONE * (contrasts**2).sum(axis=-1)

    def df(self, contrast):
        """
        Degrees of freedom of a contrast.

        Parameters
        ----------
        contrast : ndarray
            Coefficients of R'beta, shape (p,).

        Returns
        -------
        float
            Infinite for a contrast of zeros, which has no error.
        """
        if self.constant_df is not None:
            return self.constant_df
        if not contrast.any():
            return np.inf
        return self._wishart_df(contrast[None])

    def restricted(self, basis):
        """
        The covariance of several contrasts.

        Parameters
        ----------
        basis : ndarray
            Coefficients of R'beta, shape (q, p).

        Returns
        -------
        ndarray
            Shape (q, q); NaN if it is singular, as with fewer clusters than contrasts.
        """
        covariance = basis @ self.covariance @ basis.T
        values = np.linalg.eigvalsh(covariance)
        is_regular = values[0] > SINGULAR * values[-1]
        return covariance if is_regular else np.full_like(covariance, np.nan)

    def joint(self, whitened, basis):
        """
        Denominator degrees of freedom and scale of an F test of several contrasts.

        Parameters
        ----------
        whitened, basis : ndarray
            The contrasts, and orthonormal ones with the same span, shape (q, p).

        Returns
        -------
        df, scale : float
            NaN if the clusters are too few.
        """
        q = len(basis)
        if self.constant_df is not None:
            return self.constant_df, 1.0
        wishart = self._wishart_df(basis)
        df = wishart - q + 1.0
        return (df, df / wishart) if df > 0.0 else (np.nan, np.nan)

    def _wishart_df(self, basis):
        """Degrees of freedom of the estimated covariance of contrasts (q, p)."""
        q = len(basis)
        own = basis @ self.own @ basis.T
        values, vectors = np.linalg.eigh(own.sum(axis=0))
        turn = vectors / np.sqrt(values)  # makes the expectation the identity
        own = turn.T @ own @ turn
        through = transpose(self.through) @ (basis.T @ turn)  # (m, p, q)
        # sums over pairs of clusters of tr(P)^2 + tr(P P), first as if P were
        # -B_c'B_d for all pairs
        flat = through.reshape(len(through), -1)
        outer = (flat.T @ flat).reshape(-1, q, len(basis.T), q)
        squares = transpose(through) @ through
        pairs = (outer**2).sum() + (outer * outer.transpose(0, 3, 2, 1)).sum()
        return q * (q + 1.0) / (pairs + _spread(own) - _spread(squares))


def _spread(matrices):
    """Sum of tr(P)^2 + tr(P P) of symmetric matrices."""
    traces = np.trace(matrices, axis1=-2, axis2=-1)
    return (traces**2).sum() + (matrices**2).sum()


def cluster_robust(deviance, data, codes, n_clusters, factor=1.0):
    """
    The sum of the scores' outer products, CR0, or a multiple of it.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    data : Standardized
        The data.
    codes : ndarray
        Cluster of each row, shape (n,).
    n_clusters : int
        Number of clusters, none of them empty.
    factor : float, optional
        What multiplies the sum.

    Returns
    -------
    ClusterRobust
        Its degrees of freedom are those for clusters that contain the levels of all
        random effects.
    """
    form = residual_form(deviance, data)
    exog = _whitened(deviance, data.exog)
    residuals = (form @ deviance.contrast)[:, None]
    scores = level_sums(codes, n_clusters, residuals, exog)[:, 0]
    within = level_sums(codes, n_clusters, exog, _whitened(deviance, form[:, :-1]))
    own = within - within @ within
    return ClusterRobust(
        factor * scores.T @ scores / deviance.scale,
        n_clusters,
        alone(data.exog, codes, n_clusters, deviance.fixed_root),
        within,
        own,
    )


def bias_reduced(deviance, data, factors, codes, n_clusters):
    """
    The covariance CR2.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    data : Standardized
        The data.
    factors : sequence of RelativeFactor
        Those of the terms of `data`, in its order.
    codes : ndarray
        Cluster of each row, shape (n,). Clusters contain the levels of all random
        effects that vary.
    n_clusters : int
        Number of clusters, none of them empty.

    Returns
    -------
    ClusterRobust
    """
    exog = _whitened(deviance, data.exog)
    residuals = data.endog - data.exog @ deviance.coefficients
    pairs = [(t, f.matrix) for t, f in zip(data.terms, factors) if f.matrix.any()]
    terms, roots = [t for t, _ in pairs], [root for _, root in pairs]
    p = exog.shape[1]
    scores = np.empty((n_clusters, p))
    through, own = np.empty((n_clusters, p, p)), np.empty((n_clusters, p, p))
    for batch in cluster_batches(terms, codes, n_clusters):
        x, e = batch.laid_out(exog), batch.laid_out(residuals[:, None])
        columns = np.concatenate([x, batch.times(roots), e], axis=-1)
        here = batch.clusters
        scores[here], through[here], own[here] = _adjusted(columns, p)
    return ClusterRobust(
        scores.T @ scores / deviance.scale,
        n_clusters,
        alone(data.exog, codes, n_clusters, deviance.fixed_root),
        through,
        own,
    )


def alone(exog, codes, n_clusters, fixed_root):
    """
    The directions of R'beta that a single cluster determines.

    Parameters
    ----------
    exog : ndarray
        X with X'X = n I, shape (n, p).
    codes : ndarray
        Cluster of each row, shape (n,).
    n_clusters : int
        Number of clusters.
    fixed_root : ndarray
        R, shape (p, p).

    Returns
    -------
    ndarray
        Orthonormal, shape (p, k).
    """
    shares = level_sums(codes, n_clusters, exog, exog) / len(exog)
    found = [np.zeros((len(fixed_root), 0))]
    for share in shares[np.trace(shares, axis1=1, axis2=2) > 1.0 - ALONE]:
        values, vectors = np.linalg.eigh(share)
        found.append(fixed_root.T @ vectors[:, values > 1.0 - ALONE])
    left, sizes, _ = np.linalg.svd(np.hstack(found), full_matrices=False)
    return left[:, sizes > ALONE * np.linalg.norm(fixed_root)]


def _whitened(deviance, columns):
    """Columns times R^-T, shape (n, p)."""
    return columns @ transpose(inverse_lower(deviance.fixed_root))


def _adjusted(columns, p):
    """
    Scores of clusters with adjusted residuals, and what their moments depend on.

    Parameters
    ----------
    columns : ndarray
        [X Z L e] of each cluster, shape (b, rows, p + q + 1).
    p : int
        Number of columns of X.

    Returns
    -------
    scores : ndarray
        Shape (b, p).
    through, own : ndarray
        See `ClusterRobust`, shapes (b, p, p).
    """
    triangle = np.asarray(np.linalg.qr(columns, mode="r"))
    x, z, e = triangle[..., :p], triangle[..., p:-1], triangle[..., -1:]
    root = np.linalg.cholesky(np.eye(x.shape[1]) + z @ transpose(z))
    x_white = np.linalg.solve(root, x)
    left, sizes, _ = np.linalg.svd(x_white, full_matrices=False)
    rest = 1.0 - np.minimum(sizes, 1.0) ** 2
    rest = np.where(rest > ALONE, np.sqrt(np.maximum(rest, 0.0)), 0.0)
    half = np.eye(x.shape[1]) - (left * (1.0 - rest)[:, None]) @ transpose(left)  # N
    turned, sizes, _ = np.linalg.svd(transpose(root) @ root @ half)
    kept = sizes > 0.5 * np.sqrt(ALONE)  # C'C has no eigenvalue below 1
    inverse = np.where(kept, 1.0 / np.where(kept, sizes, 1.0), 0.0)[:, None]
    contrasts = root @ ((turned * inverse) @ (transpose(turned) @ x_white))  # A V^-1 X
    spread = half @ transpose(root) @ contrasts
    scores = (transpose(contrasts) @ e)[..., 0]
    return scores, transpose(contrasts) @ x, transpose(spread) @ spread
