"""
Second derivatives of a covariance of errors, as they enter the exact Hessian.

In the notation of `whitening`, with R_kl the second derivative in two parameters and
B_kl = U R_kl U',

    correlations      B_kl = L^-1 C_kl L^-T
    one of each       B_fk = L^-1 F C_k L^-T + transposed
    deviations        B_fg = L^-1 F_f F_g L + L^-1 F_f C F_g L^-T + transposed
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.algebra.differences import differenced_gradient


def second_traces(whitening, blocks, slopes):
    """
    Second derivatives tr(B_kl H), with the part due to the coordinates.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors.
    blocks : callable
        Gives the blocks of H of a batch, symmetric, shape (G, m, m).
    slopes : ndarray
        Values tr(B_k H) in the coordinates, shape (m,).

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    model = whitening.model
    c, s, total = model.n_correlations, model.log_sd.shape[1], model.n_parameters
    out = np.zeros((total, total))
    each = zip(model.layout.batches, whitening.roots, whitening.inverse_roots)
    changes = whitening.second_bends if c else None
    for number, (batch, roots, inverses) in enumerate(each):
        h, pattern = blocks(batch), batch.patterns
        for part, patterns in _parts(batch) if c else ():
            here = slice(part * c, (part + 1) * c)
            sums = batch.pattern_sums(h)[patterns]
            bends = changes[number][:, :, patterns]
            out[here, here] += np.einsum("klpij,pij->kl", bends, sums)
        if not s:
            continue
        f = model.columns[batch.rows]
        root, inverse = roots[pattern], inverses[pattern]
        right = h @ inverse
        middle = transpose(inverse) @ right
        ends = (root * transpose(right)).sum(axis=-1)
        between = middle * (root @ transpose(root))
        out[-s:, -s:] += 2.0 * np.einsum("gmi,gm,gmj->ij", f, ends, f)
        out[-s:, -s:] += 2.0 * np.einsum("gmi,gmn,gnj->ij", f, between, f)
        _with_correlations(whitening, out, number, batch, middle, f)
    jacobian = whitening.jacobian
    return jacobian.T @ out @ jacobian + _of_coordinates(whitening, slopes)


def pair_traces(whitening):
    """Traces tr(B_k B_l), shape (m, m)."""
    model = whitening.model
    c, s, total = model.n_correlations, model.log_sd.shape[1], model.n_parameters
    out = np.zeros((total, total))
    each = zip(model.layout.batches, whitening.roots, whitening.inverse_roots)
    for number, (batch, roots, inverses) in enumerate(each):
        bends = whitening.bends[number]
        for part, patterns in _parts(batch) if c else ():
            here = slice(part * c, (part + 1) * c)
            some = bends[:, patterns]
            counts = batch.counts[patterns]
            out[here, here] += np.einsum("kpij,lpij,p->kl", some, some, counts)
        if not s:
            continue
        f, pattern = model.columns[batch.rows], batch.patterns
        inverse = transpose(inverses) @ inverses
        between = (roots @ transpose(roots)) * inverse + np.eye(roots.shape[-1])
        out[-s:, -s:] += 2.0 * np.einsum("gmi,gmn,gnj->ij", f, between[pattern], f)
        _with_correlations(whitening, out, number, batch, inverse[pattern], f)
    jacobian = whitening.jacobian
    return jacobian.T @ out @ jacobian


def _parts(batch):
    """Each set of parameters, and which patterns have it."""
    return [(part, batch.parts == part) for part in np.unique(batch.parts)]


def _with_correlations(whitening, out, number, batch, middle, f):
    """Add 2 sum_r f_r (C_k G)_rr for blocks G to the entries of gamma and phi."""
    c, s = whitening.model.n_correlations, f.shape[-1]
    if not c:
        return
    root, pattern = whitening.roots[number], batch.patterns
    for part, patterns in _parts(batch):
        groups = patterns[pattern]
        for k, bend in enumerate(whitening.bends[number]):
            change = root @ bend @ transpose(root)
            diagonal = (change[pattern[groups]] * middle[groups]).sum(axis=-1)
            values = 2.0 * np.einsum("gm,gms->s", diagonal, f[groups])
            out[part * c + k, -s:] += values
            out[-s:, part * c + k] += values


def _of_coordinates(whitening, slopes):
    """Slopes times the second derivatives of the parameters in the coordinates."""
    model, x = whitening.model, whitening.x
    count = model.n_parts * model.n_correlations
    out = np.zeros((len(x), len(x)))
    if not count:
        return out
    natural = np.linalg.solve(whitening.jacobian.T, slopes)
    ranges = [(-np.inf, np.inf)] * len(x)
    bends = differenced_gradient(lambda t: model.unfold(t)[1], x, ranges)
    out += np.einsum("lik,i->lk", bends, natural)
    return 0.5 * (out + out.T)
