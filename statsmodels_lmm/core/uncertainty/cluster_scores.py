"""
Cluster-robust covariance of the fixed effects of a generalized mixed model.

If each cluster contains the levels of its random effects, the Laplace deviance is a sum
over clusters, d = sum_c d_c, and so is its gradient in all free parameters:
coefficients, covariances and the extra parameter. With H the Hessian of d, the
covariance of their estimates is

    H^-1 (sum_c g_c g_c') H^-1,    g_c the gradient of d_c,

of which the block of the fixed effects is kept (Liang and Zeger 1986; White 1982). It
allows for the estimation of the covariances, unlike a sandwich of the fixed effects
alone.

In the notation of `laplace_derivatives`, with sums over the rows, levels and random
effects of a cluster,

    dd_c/dbeta = X_c'(2 c' + rho),    dd_c/dL_i = 2 G_ic L_i,
    G_ic = sum_g [A_c (I + S A_c)^-1]_gg - sum_g t_g t_g' + sym(sum_g q_g t_g').

References
----------
Liang, K.-Y. and Zeger, S. L. (1986). Longitudinal data analysis using generalized
linear models. Biometrika 73, 13-22.

White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50,
1-25.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import consecutive, transpose
from statsmodels_lmm.core.rows.clusters import cluster_batches
from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.core.uncertainty.cluster_robust import ClusterRobust, alone


def robust_by_scores(deviance, joint, codes, n_clusters, factor=1.0):
    """
    The cluster-robust covariance of the fixed effects.

    Parameters
    ----------
    deviance : LaplaceDeviance
        The criterion at the optimum, with the fixed effects among its parameters.
    joint : JointCovariance
        The covariance of its free parameters.
    codes : ndarray
        Cluster of each row, shape (n,). Clusters contain the levels of all random
        effects.
    n_clusters : int
        Number of clusters, none of them empty.
    factor : float, optional
        What multiplies the sandwich.

    Returns
    -------
    ClusterRobust
        Of the coefficients that the joint covariance makes uncorrelated.
    """
    p, root = deviance.model.exog.shape[1], joint.fixed_root
    if not np.isfinite(root).all():  # the data do not determine the fixed effects
        unknown = np.full((p, p), np.nan)
        every = np.full_like(joint.covariance, np.nan)
        return ClusterRobust(unknown, n_clusters, np.zeros((p, 0)), whole=every)
    scores = cluster_gradients(deviance, codes, n_clusters)
    known = np.diag(joint.covariance) > 0.0  # neither fixed nor undetermined
    moves = scores[:, known] @ (0.5 * joint.covariance[known])
    whiten = np.linalg.pinv(root)
    each = moves[:, :p] @ whiten.T
    return ClusterRobust(
        factor * each.T @ each,
        n_clusters,
        alone(deviance.model.exog, codes, n_clusters, whiten.T),
        whole=factor * moves.T @ moves,
    )


def cluster_gradients(deviance, codes, n_clusters):
    """
    The gradient of the Laplace deviance, cluster by cluster.

    Parameters
    ----------
    deviance, codes, n_clusters
        As for `robust_by_scores`.

    Returns
    -------
    ndarray
        With respect to the free parameters, shape (n_clusters, m).
    """
    model, first, slopes = deviance.model, deviance.first, deviance.slopes

    def by_cluster(rows, columns):
        return level_sums(codes, n_clusters, rows[:, None], columns)[:, 0]

    rows = 2.0 * slopes.first + first.leverages * deviance.weight_slopes
    rows = rows - slopes.second * first.pull
    parts = [by_cluster(rows, model.exog)]
    totals = _information(deviance, codes, n_clusters)
    each = zip(model.terms, deviance.factors, first.state, first.adjoint, totals)
    for term, factor, t, q, total in each:
        clusters = np.zeros(term.n_levels, dtype=np.intp)
        clusters[term.codes] = codes
        dual = total + level_sums(clusters, n_clusters, q - t, t)
        # S is symmetric, and so are its derivatives
        parts.append(np.einsum("cab,mab->cm", dual, factor.directions))
    if deviance.criterion.counts[1]:
        each = deviance.extra_slopes
        rows = 2.0 * each.loss + first.leverages * each.second - first.pull * each.first
        if model.family.extra_is_squared:
            rows = 2.0 * np.sqrt(deviance.extra) * rows
        parts.append(by_cluster(rows, np.ones((len(rows), 1))))
    return np.hstack(parts)


def _information(deviance, codes, n_clusters):
    """Sums of the diagonal blocks of A (I + S A)^-1, shapes (n_clusters, k_i, k_i)."""
    model, factors = deviance.model, deviance.factors
    weights = deviance.slopes.second
    if not deviance.criterion.is_observed:
        weights = model.expected(deviance.inner.eta, deviance.extra).second
    out = [np.empty((n_clusters, f.size, f.size)) for f in factors]
    for batch in cluster_batches(model.terms, codes, n_clusters):
        z = batch.times([np.eye(f.size) for f in factors])
        spread = batch.times([f.covariance for f in factors])
        weighted = transpose(batch.laid_out(weights)[..., None] * z)  # Z'W
        gram = weighted @ z
        inner = np.eye(z.shape[-1]) + weighted @ spread  # I + A S
        blocks = np.linalg.solve(inner, gram)
        counts = [e.shape[2:] for e in batch.effects]
        places = consecutive(n_levels * k for n_levels, k in counts)
        for sums, place, (n_levels, k) in zip(out, places, counts):
            block = blocks[:, place, place].reshape(-1, n_levels, k, n_levels, k)
            sums[batch.clusters] = np.einsum("bgigj->bij", block)
    return out
