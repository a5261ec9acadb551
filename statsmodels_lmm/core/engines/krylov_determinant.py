"""
log |V| by deflated Lanczos quadrature.

With M = Delta^-1/2 S Delta^-1/2 = I + N, D an orthonormal basis of Delta^1/2 V, and M_r
the Schur complement of D in M on the complement of D,

    log |V| = sum_g log |D_g| + log |Delta| + log |D'M D| + tr log M_r,

with the D_g of the head. The last term is the mean over probes of z'log(M_r) z, by
Gauss quadrature from a few steps of Lanczos (Ubaru, Chen and Saad 2017). A polynomial
of N_r = M_r - I, fitted to log(1 + x) on the nodes, is subtracted, and its trace is
added exactly: that of degree one is known, and those of degree two to four where S is
sparse enough to be formed.

References
----------
Ubaru, S., Chen, J. and Saad, Y. (2017). Fast estimation of tr(f(A)) via stochastic
Lanczos quadrature. SIAM Journal on Matrix Analysis and Applications 38, 1075-1099.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import eigh_tridiagonal

from statsmodels_lmm.core.algebra.dense import product
from statsmodels_lmm.core.algebra.threads import in_threads
from statsmodels_lmm.core.engines.krylov_probes import variance_of_mean
from statsmodels_lmm.core.engines.krylov_system import times_blocks

MOST_STEPS = 40
"""Largest number of steps of Lanczos."""

SETTLED = 1e-5
"""Change of a quadrature by another step that is none."""

NOTHING_LEFT = 1e-12
"""Norm of a column of which Lanczos has found everything."""

ENOUGH = 0.01
"""Error above which S is formed, if it is sparse."""

FORMED = 4e7
"""Products of pairs up to which S is sparse."""

SQUARED = 3e8
"""Products of entries up to which N^2 is formed."""

AT_ONCE = 4e6
"""Products of entries of the rows of N^2 that are held at once."""

DEFLATED = "deflated"
"""Name under which matrices are kept."""


@dataclass(frozen=True)
class LogDeterminant:
    """
    An estimate of log |V|.

    Parameters
    ----------
    value : float
        The estimate.
    error : float
        Its Monte-Carlo standard error.
    """

    value: float
    error: float


def log_determinant(system, probes, kept):
    """
    Estimate log |V|.

    Parameters
    ----------
    system : KrylovSystem
        The Schur complement of the tail.
    probes : Probes
        The signs.
    kept : dict
        What is known from fewer probes.

    Returns
    -------
    LogDeterminant
    """
    found = _estimate(system, probes, kept, is_formed=False)
    if found.error > ENOUGH and is_sparse(system):
        found = _estimate(system, probes, kept, is_formed=True)
    return found


def _estimate(system, probes, kept, is_formed):
    """The estimate with S multiplied from its parts, or formed."""
    name = DEFLATED, is_formed
    if name not in kept:
        kept[name] = _deflated(system, is_formed)
    deflated, q = kept[name], system.products.plan.n_tail
    exact = float(system.log_head + deflated.known)
    if deflated.basis.shape[1] == q:
        return LogDeterminant(exact, 0.0)
    nodes: list = []
    weights: list = []
    for block in probes.blocks:
        key = "quadrature", is_formed, block
        if key not in kept:
            z = deflated.outside(probes.columns(block, q))
            kept[key] = _quadrature(deflated.times, z)
        each = kept[key]
        nodes += list(each[0])
        weights += list(each[1])
    rest, error = _regression(nodes, weights, deflated.traces)
    return LogDeterminant(exact + rest, error)


def _regression(nodes, weights, traces):
    """
    Estimate tr log M_r and its error from the quadratures of single probes.

    A polynomial of N_r is fitted to log(1 + x) in the measure of all quadratures. Since
    it has a constant, nothing is left of their mean, and its trace is the estimate. The
    error is that of the jackknife, so that it knows of the fit.

    Parameters
    ----------
    nodes, weights : list of ndarray
        Of each probe, shape (steps,).
    traces : ndarray
        tr N_r^j for j = 0, 1, ..., shape (degree + 1,).

    Returns
    -------
    value, error : float
    """
    x, w = np.concatenate(nodes) - 1.0, np.sqrt(np.concatenate(weights))
    powers = np.vander(x, len(traces), increasing=True) * w[:, None]
    left, sizes, right = np.linalg.svd(powers, full_matrices=False)
    used = sizes > 1e-13 * sizes[0]
    q, trace = left[:, used], (right @ traces)[used] / sizes[used]
    starts = np.cumsum([0, *(len(n) for n in nodes[:-1])])
    squares = np.add.reduceat(q[:, :, None] * q[:, None, :], starts)
    fitted = np.add.reduceat(q * (np.log1p(x) * w)[:, None], starts)
    whole = fitted.sum(axis=0)
    others = np.eye(q.shape[1]) - squares
    without = np.linalg.solve(others, (whole - fitted)[:, :, None])[:, :, 0] @ trace
    value, m = float(whole @ trace), len(nodes)
    error = np.sqrt(variance_of_mean(m * value - (m - 1) * without))
    return value, float(error)


@dataclass(frozen=True)
class _Deflated:
    """
    M_r, what is known of log |S| beside it, and the traces of the powers of N_r.

    Parameters
    ----------
    multiply : callable
        M x for columns x.
    basis : ndarray
        D, shape (q, r).
    across : ndarray
        G = M D - D D'M D, shape (q, r).
    inverse : ndarray
        (D'M D)^-1, shape (r, r).
    known : float
        log |Delta| + log |D'M D|.
    traces : ndarray
        tr N_r^j on the complement of D for j = 0, 1, ..., shape (degree + 1,).
    """

    multiply: Any
    basis: np.ndarray
    across: np.ndarray
    inverse: np.ndarray
    known: float
    traces: np.ndarray

    def outside(self, x):
        """The part of columns x in the complement of D."""
        return x - product(self.basis, product(self.basis.T, x))

    def times(self, x):
        """M_r x for columns x in the complement of D."""
        y = self.outside(self.multiply(x))
        return y - product(self.across, self.inverse @ product(self.across.T, x))


def _deflated(system, is_formed):
    """M_r and what is known exactly."""
    roots, inverses, log_blocks = [], [], 0.0
    for block in system.blocks:
        values, vectors = np.linalg.eigh(block)
        log_blocks += np.log(values).sum()
        size = np.sqrt(values)[:, None, :]
        roots.append((vectors * size) @ vectors.swapaxes(1, 2))
        inverses.append((vectors / size) @ vectors.swapaxes(1, 2))

    def scaled(blocks, x):
        pairs = zip(blocks, system.tail)
        return np.concatenate([times_blocks(b, x[rows]) for b, (_, rows) in pairs])

    n = _sparse_rest(system, inverses) if is_formed else None
    if n is None:

        def multiply(x):
            return scaled(inverses, system.times(scaled(inverses, x)))

    else:

        def multiply(x):
            return x + n @ x

    basis = np.linalg.qr(scaled(roots, system.coarse))[0]
    image = multiply(np.ascontiguousarray(basis))
    within = product(basis.T, image)
    within = 0.5 * (within + within.T)
    inverse = np.linalg.inv(within)
    across = image - product(basis, within)
    q, r = basis.shape
    # the diagonal of M is one
    first = r - np.trace(within) - np.trace(inverse @ product(across.T, across))
    traces = [q - r, first]
    if n is not None:
        traces += _higher_traces(n, basis, image - basis, within, inverse)
    known = log_blocks + np.linalg.slogdet(within)[1]
    return _Deflated(multiply, basis, across, inverse, known, np.array(traces))


def is_sparse(system):
    """Whether S has few enough entries to be formed."""
    products = system.products
    head = products.plan.terms[0]
    linked = np.zeros(head.n_levels)
    for j, f in enumerate(products.plan.tail, 1):
        first = products.links[0, j].first
        linked += f.k_effects * np.bincount(first, minlength=head.n_levels)
    return bool(head.k_effects * (linked**2).sum() <= FORMED)


def _sparse_rest(system, inverses):
    """N as a csr_array."""
    products, plan = system.products, system.products.plan
    scale = [root @ inverse for root, inverse in zip(system.roots[1:], inverses)]
    right = sparse.csr_array(
        sparse.block_diag([_block_matrix(each) for each in scale], format="csr")
    )
    links = [m for j, m in _whole_links(products)]
    reduced = (
        _block_matrix(system.half) @ sparse.csr_array(sparse.hstack(links)) @ right
    )
    size = len(plan.tail)
    parts: list = [[None] * size for _ in range(size)]
    for i, own in enumerate(products.diagonal[1:]):
        parts[i][i] = _block_matrix(own)
    for (i, j), (matrix, upwards) in products.across.items():
        parts[i][j], parts[j][i] = matrix, upwards
    tail = sparse.csr_array(sparse.block_array(parts))
    # S - I scaled, plus Delta^-1 - I
    rest = right.T @ tail @ right - reduced.T @ reduced
    own = [inverse @ inverse - np.eye(inverse.shape[-1]) for inverse in inverses]
    shift = sparse.block_diag([_block_matrix(each) for each in own], format="csr")
    return sparse.csr_array(rest + shift)


def _whole_links(products):
    """Z_1'Z_j of the terms of the tail."""
    terms = products.plan.terms
    for j in range(1, len(terms)):
        link = products.links[0, j]
        yield j, link.matrix(terms[0].n_levels, terms[j].n_levels)


def _block_matrix(blocks):
    """A block-diagonal csr_array from blocks of shape (l, k, k)."""
    count, k, _ = blocks.shape
    if k == 1:
        return sparse.csr_array(sparse.diags_array(blocks[:, 0, 0]))
    places = np.arange(count), np.arange(count + 1)
    return sparse.bsr_array((blocks, *places), shape=(count * k,) * 2).tocsr()


def _higher_traces(n, basis, image, within, inverse):
    """
    Traces of N_r^2 and, unless N^2 has too many entries, of N_r^3 and N_r^4.

    With Y = N D and W = [D Y], N_r = N + W K W' on all columns, so that the traces of
    its powers differ from those of N by traces of the small matrices W'N^j W.
    """
    inner = within - np.eye(len(within))
    corner = -inverse
    side = -np.eye(len(within)) + inner @ inverse
    first = inner - inner @ inverse @ inner
    k = np.block([[first, side], [side.T, corner]])
    w = np.hstack([basis, image])
    powers = [w, n @ w]
    g0, g1 = (k @ product(w.T, p) for p in powers)
    out = [(n.data**2).sum() + 2 * np.trace(g1) + np.trace(g0 @ g0)]
    entries = np.diff(n.indptr).astype(float)
    if entries[n.indices].sum() > SQUARED:
        return out
    powers += [n @ powers[1]]
    powers += [n @ powers[2]]
    g2, g3 = (k @ product(w.T, p) for p in powers[2:])
    third, fourth = _entries_of_powers(n)
    third += 3 * np.trace(g2) + 3 * np.trace(g1 @ g0) + np.trace(g0 @ g0 @ g0)
    fourth += 4 * np.trace(g3) + 4 * np.trace(g2 @ g0)
    fourth += 2 * np.trace(g1 @ g1) + 4 * np.trace(g1 @ g0 @ g0)
    fourth += np.trace(g0 @ g0 @ g0 @ g0)
    return [*out, third, fourth]


def _entries_of_powers(n):
    """Traces of N^3 and N^4, from a few rows of N^2 at a time."""
    work = np.append(0.0, np.cumsum(np.diff(n.indptr)[n.indices]))[n.indptr]
    edges = np.searchsorted(work, np.arange(0.0, work[-1], AT_ONCE))
    edges = np.unique([*edges, n.shape[0]])

    def traces(rows):
        some = n[slice(*rows)]
        squared = some @ n
        return some.multiply(squared).sum(), (squared.data**2).sum()

    each = in_threads(traces, list(zip(edges[:-1], edges[1:])), work[-1])
    return np.sum(each, axis=0)


def _quadrature(times, z):
    """
    Nodes and weights of Gauss quadrature of z'f(M_r) z for each column z.

    Returns
    -------
    nodes, weights : ndarray
        Shapes (m, steps).
    """
    squares = np.einsum("qm,qm->m", z, z)
    before, v = np.zeros_like(z), z / np.sqrt(squares)
    diagonal: list = []
    off: list = []
    last = None
    beta = np.zeros(z.shape[1])
    while True:
        y = times(v) - beta * before
        alpha = np.einsum("qm,qm->m", y, v)
        y -= alpha * v
        diagonal.append(alpha)
        if len(diagonal) > 3:
            nodes, weights = _nodes(diagonal, off, squares)
            value = (weights * np.log(nodes)).sum(axis=1)
            if last is not None and np.abs(value - last).max() < SETTLED:
                return nodes, weights
            last = value
        beta = np.sqrt(np.einsum("qm,qm->m", y, y))
        exhausted = beta <= NOTHING_LEFT
        if len(diagonal) == MOST_STEPS or exhausted.all():
            return _nodes(diagonal, off, squares)
        beta = np.where(exhausted, 0.0, beta)
        before, v = v, y / np.where(exhausted, np.inf, beta)
        off.append(beta)


def _nodes(diagonal, off, squares):
    """Eigenvalues of the tridiagonal matrices, and weights."""
    nodes, weights = [], []
    pairs = zip(np.array(diagonal).T, np.reshape(off, (len(off), len(squares))).T)
    for (main, beside), square in zip(pairs, squares):
        values, vectors = eigh_tridiagonal(main, beside)
        nodes.append(np.maximum(values, 1e-12))
        weights.append(square * vectors[0] ** 2)
    return np.array(nodes), np.array(weights)
