"""
Derivatives of the profiled deviance in the entries of the relative factors.

Notation: t = Z'Py, u = L't, K = Z'V^-1 Z (ML) or Z'P Z (REML), nu and r^2 as in
`deviance`. For a parameter a, the entry (i, j) of one factor's L,

    dS_a = e_i L_j' + L_j e_i',      t_a = (I (x) dS_a) t.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.dense import product, transpose
from statsmodels_lmm.core.engines.choice import projected_forms
from statsmodels_lmm.core.engines.elimination import half_forms, times_gram

WIDE = 10
"""Number of effects of a level from which k x k x k x k arrays are avoided."""

MAX_DENSE_COLUMNS = 2500
"""Number of random effects up to which Z'V^-1 Z is formed densely."""


@dataclass(frozen=True)
class Derivatives:
    """
    First derivatives and a curvature matrix of the criterion.

    Parameters
    ----------
    duals : tuple of ndarray
        G_i = dd/dS_i, symmetric, shapes (..., k_i, k_i). At a minimum over the
        cone of covariance matrices G_i L_i = 0 and G_i is positive semi-definite.
    gradient : ndarray
        In the free entries of the factors, shape (..., m).
    curvature : ndarray
        Average information plus the exact part that comes from S being
        quadratic in L, or the exact Hessian, shape (..., m, m).
    observed : ndarray
        t_a'Z'PZ t_b / scale, twice the information that the response adds,
        shape (..., m, m).
    working : ndarray
        t't_a / scale, minus the derivative of nu log(scale), shape (..., m).
    """

    duals: tuple
    gradient: np.ndarray
    curvature: np.ndarray
    observed: np.ndarray
    working: np.ndarray


def dual_matrices(deviance):
    """
    G_i = sum_g [K_i]_gg - (1 / scale) sum_g t_g t_g', shapes (..., k_i, k_i).

    Parameters
    ----------
    deviance : ProfiledDeviance
        Where to differentiate.
    """
    duals = []
    for i, sums in enumerate(deviance.selected.level_sums):
        t = deviance.scores[i]
        scale = np.asarray(deviance.scale)[..., None, None]
        dual = sums - t.swapaxes(-1, -2) @ t / scale
        if deviance.reml:
            y = deviance.fixed_scores[i]
            flat = y.swapaxes(-1, -2).reshape(*y.shape[:-3], -1, y.shape[-2])
            dual = dual - flat.swapaxes(-1, -2) @ flat
        duals.append(0.5 * (dual + dual.swapaxes(-1, -2)))
    return tuple(duals)


def gradient(factors, duals):
    """The gradient 2 G_i L_i at the free entries, shape (..., m)."""
    return np.concatenate(
        [f.slope(dual) for f, dual in zip(factors, duals)],
        axis=-1,
    )


def average_derivatives(deviance):
    """
    Gradient and average information of the criterion.

    The average information is that of Gilmour, Thompson and Cullis (1995) and
    Johnson and Thompson (1995) with the residual variance profiled out, plus
    2 G_i, the second derivative of S = L L'.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Where to differentiate.

    Returns
    -------
    Derivatives
    """
    duals = dual_matrices(deviance)
    working, products = _working_products(deviance)
    scale = np.asarray(deviance.scale)[..., None]
    observed, steps = products / scale[..., None], working / scale
    curvature = observed - steps[..., :, None] * steps[..., None, :] / deviance.nu
    start = 0
    for factor, dual in zip(deviance.factors, duals):
        here = slice(start, start + factor.n_free)
        curvature[..., here, here] += factor.curvature(dual)
        start = here.stop
    slope = gradient(deviance.factors, duals)
    return Derivatives(duals, slope, curvature, observed, steps)


def with_exact_hessian(deviance, found):
    """
    Replace the average information by the Hessian.

    It is exact for one factor and for up to `MAX_DENSE_COLUMNS` random effects;
    beyond that it is found from central differences of the exact gradient.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Where to differentiate.
    found : Derivatives
        Its first derivatives and average information.

    Returns
    -------
    Derivatives
    """
    if exact_hessian_is_feasible(deviance.elimination.products.plan):
        curvature = found.curvature + found.observed - _expected_information(deviance)
    else:
        curvature = _differenced_gradient(deviance)
    return replace(found, curvature=curvature)


def exact_hessian_is_feasible(plan, largest=MAX_DENSE_COLUMNS):
    """Whether Z'V^-1 Z is block-diagonal or small enough to be formed."""
    if plan.is_sparse:
        return False
    return plan.is_diagonal or sum(f.n_columns for f in plan.factors) <= largest


def _differenced_gradient(deviance, step=1e-4):
    """Central differences of the gradient, shape (m, m)."""

    def gradient_at(entry, change):
        factors, start = [], 0
        for f in deviance.factors:
            move = np.zeros(f.n_free)
            if start <= entry < start + len(move):
                move[entry - start] = change
            start += len(move)
            factors.append(f.moved(move))
        duals = dual_matrices(deviance.elsewhere(factors))
        return gradient(factors, duals)

    m = sum(f.n_free for f in deviance.factors)
    rows = [
        (gradient_at(a, step) - gradient_at(a, -step)) / (2 * step) for a in range(m)
    ]
    return 0.5 * (np.array(rows) + np.array(rows).T)


def _working_products(deviance):
    """The products t't_a, shape (..., m), and t_a'Z'PZ t_b, shape (..., m, m)."""
    m = sum(f.n_free for f in deviance.factors)
    start = 0
    columns, first = [], []
    for factor, t in zip(deviance.factors, deviance.scores):
        block = np.zeros((*t.shape, m))
        here = slice(start, start + factor.n_free)
        changes = np.moveaxis(factor.directions, -3, -1)
        flat = changes.reshape(*changes.shape[:-2], -1)
        moved = (t @ flat).reshape(*t.shape, -1)
        block[..., here] = moved
        first.append((t[..., None] * moved).sum(axis=(-3, -2)))
        columns.append(block)
        start = here.stop
    return np.concatenate(first, axis=-1), projected_products(deviance, columns)


def projected_products(deviance, columns):
    """
    T'Z'PZ T for some columns T with a row for each random effect.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Gives P.
    columns : list of ndarray
        Rows of T of each factor in the order of the elimination plan, shapes
        (..., l_i, k_i, m).

    Returns
    -------
    ndarray
        Shape (..., m, m).
    """
    total, across = projected_forms(deviance.elimination, columns)
    half = np.linalg.solve(deviance.fixed_root, across)
    return total - transpose(half) @ half


def _expected_information(deviance):
    """Tr(K dS_a K dS_b) over pairs of free entries, shape (m, m)."""
    changes = of_all_factors(f.directions for f in deviance.factors)
    return trace_products(deviance, changes)


def of_all_factors(changes):
    """
    Changes of each factor among those of all, of which the others leave it as it is.

    Parameters
    ----------
    changes : iterable of ndarray
        Changes of the S of each factor by its own parameters, shapes (m_i, k_i, k_i).

    Returns
    -------
    list of ndarray
        By all m parameters, one factor's after another's, shapes (m, k_i, k_i).
    """
    changes = list(changes)
    m, start, out = sum(map(len, changes)), 0, []
    for own in changes:
        among = np.zeros((m, *own.shape[1:]))
        among[start : start + len(own)] = own
        start += len(own)
        out.append(among)
    return out


def trace_products(deviance, changes):
    """
    Tr(K D_a K D_b) for pairs of changes D of the covariance of the random effects.

    K is Z'PZ after REML and Z'V^-1 Z after ML.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Gives K, without batch axes.
    changes : sequence of ndarray
        Change of the S of each factor, symmetric, in the order of the elimination
        plan, shapes (m, k_i, k_i).

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    plan = deviance.elimination.products.plan
    if max(f.k_effects for f in plan.factors) > WIDE:
        return _wide_trace_products(deviance, changes)
    if plan.is_diagonal:
        pairs = {(0, 0): _single_factor_squares(deviance)}
    else:
        pairs = _dense_squares(deviance)
    out = np.zeros((len(changes[0]),) * 2)
    for (i, j), squares in pairs.items():
        left = np.einsum("mca,abcd->mbd", changes[i], squares)
        block = np.einsum("mbd,nbd->mn", left, changes[j])
        out += block if i == j else block + block.T
    return out


def _wide_trace_products(deviance, changes):
    """The same without squares of K, for levels with many effects."""
    plan = deviance.elimination.products.plan
    if not plan.is_diagonal:
        k0, start = _dense_projection(deviance), 0
        columns: list = []
        for f, own in zip(plan.factors, changes):
            rows = k0[:, start : start + f.n_columns]
            rows = rows.reshape(len(k0), f.n_levels, f.k_effects)
            columns.append([(rows @ d).reshape(len(k0), -1) for d in own])
            start += f.n_columns
        return _traces(np.array([np.hstack(each) for each in zip(*columns)]))
    factor, own = deviance.elimination.factors[0], changes[0]
    k0 = factor.inner @ factor.diagonal
    moved = np.array([k0 @ change for change in own])
    out = np.einsum("mgab,ngba->mn", moved, moved, optimize=True)
    if deviance.reml:
        # K is K_0 less an outer product of y over all levels
        y = deviance.fixed_scores[0]
        turned = np.array([change @ y for change in own])
        flat = [t.reshape(-1, y.shape[-1]) for t in turned]
        across = np.array([(k0 @ t).reshape(f.shape) for t, f in zip(turned, flat)])
        out -= 2.0 * np.einsum("mip,nip->mn", across, np.array(flat))
        inner = np.array([f.T @ y.reshape(f.shape) for f in flat])
        out += np.einsum("mpq,nqp->mn", inner, inner)
    return out


def _traces(matrices):
    """Tr(A_a A_b) for pairs of some matrices, shape (m, m)."""
    flat = matrices.reshape(len(matrices), -1)
    return flat @ transpose(matrices).reshape(len(matrices), -1).T


def _single_factor_squares(deviance):
    """Sum over levels g, h of K_gh (x) K_gh, shape (k, k, k, k)."""
    factor = deviance.elimination.factors[0]
    k0 = factor.inner @ factor.diagonal
    out = np.einsum("gab,gcd->abcd", k0, k0)
    if deviance.reml:
        y = deviance.fixed_scores[0]
        yy = y @ y.swapaxes(-1, -2)
        cross = np.einsum("gab,gcd->abcd", k0, yy)
        pairs = np.einsum("gar,gcs->acrs", y, y)
        out = out - cross - cross.transpose(2, 3, 0, 1)
        out = out + np.einsum("acrs,bdrs->abcd", pairs, pairs)
    return out


def _dense_projection(deviance):
    """The whole matrix K, factors in the order of the plan, shape (q, q)."""
    elimination = deviance.elimination
    plan = elimination.products.plan
    sizes = [f.n_columns for f in plan.factors]
    q = sum(sizes)
    identity = np.eye(q)
    ends = np.cumsum([0] + sizes)
    rows = [identity[a:b] for a, b in zip(ends[:-1], ends[1:])]
    chain = [r.reshape(f.n_levels, f.k_effects, q) for r, f in zip(rows, plan.chain)]
    tail = identity[ends[plan.n_chain] :]
    right, tail_right = times_gram(elimination.products, chain, tail)
    k0 = np.concatenate([r.reshape(-1, q) for r in right] + [tail_right])
    k0 = k0 - half_forms(elimination, right, tail_right)[:q]
    if deviance.reml:
        p = elimination.products.k_fixed
        parts = deviance.fixed_scores
        y = np.concatenate([part.reshape(n, p) for part, n in zip(parts, sizes)])
        k0 = k0 - product(y, y.T)
    return k0


def _dense_squares(deviance):
    """The same for each pair of factors, from the whole matrix K."""
    plan = deviance.elimination.products.plan
    ends = np.cumsum([0] + [f.n_columns for f in plan.factors])
    k0, out = _dense_projection(deviance), {}
    for i, f in enumerate(plan.factors):
        for j, g in enumerate(plan.factors[: i + 1]):
            block = k0[ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
            block = block.reshape(f.n_levels, f.k_effects, g.n_levels, g.k_effects)
            flat = block.transpose(1, 3, 0, 2).reshape(f.k_effects * g.k_effects, -1)
            squares = product(flat, flat.T).reshape(
                f.k_effects, g.k_effects, f.k_effects, g.k_effects
            )
            out[i, j] = squares
    return out
