"""
Second derivatives of a covariance of errors by dense blocks, for the exact Hessian.

In the notation of `whitening`, with R_kl the second derivative in two parameters and
B_kl = U R_kl U',

    correlations      B_kl = L^-1 C_kl L^-T
    one of each       B_fk = L^-1 F C_k L^-T + transposed
    deviations        B_fg = L^-1 F_f F_g L + L^-1 F_f C F_g L^-T + transposed
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose

ENTRIES = 2_000_000
"""Size of the largest array of second derivatives."""


def block_second_traces(roots, form):
    """
    Second derivatives tr(B_kl H).

    Parameters
    ----------
    roots : BlockRoots
        The correlations.
    form : ProjectionForm
        H.

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    model = roots.model
    c, s, total = model.n_correlations, model.log_sd.shape[1], model.n_parameters
    out = np.zeros((total, total))
    for number, batch in enumerate(model.layout.batches):
        h, pattern = form.blocks[number], batch.patterns
        lower, inverse = roots.lower[number], roots.inverses[number]
        if c and not model.structure.is_linear:
            _add_bends(out, roots, batch, form.turned[number])
        if not s:
            continue
        f = model.columns[batch.rows]
        root, inverse = lower[pattern], inverse[pattern]
        right = h @ inverse
        middle = transpose(inverse) @ right
        ends = (root * transpose(right)).sum(axis=-1)
        between = middle * (root @ transpose(root))
        out[-s:, -s:] += 2.0 * np.einsum("gmi,gm,gmj->ij", f, ends, f)
        out[-s:, -s:] += 2.0 * np.einsum("gmi,gmn,gnj->ij", f, between, f)
        _with_correlations(roots, out, number, batch, middle, f)
    return out


def _add_bends(out, roots, batch, turned):
    """Add tr(C_kl G) of the patterns, G of shape (P, m, m), some patterns at a time."""
    c, m = roots.phi.shape[1], turned.shape[-1]
    step = max(1, ENTRIES // (c * m) ** 2)
    for part, patterns in _parts(batch):
        here, which = slice(part * c, (part + 1) * c), np.flatnonzero(patterns)
        for start in range(0, len(which), step):
            some = which[start : start + step]
            bends = roots.model.structure.second_derivative(
                roots.phi[part], batch.where[some]
            )
            out[here, here] += np.einsum("klpij,pij->kl", bends, turned[some])


def block_pair_traces(roots):
    """Traces tr(B_k B_l), shape (m, m)."""
    model = roots.model
    c, s, total = model.n_correlations, model.log_sd.shape[1], model.n_parameters
    out = np.zeros((total, total))
    each = zip(model.layout.batches, roots.lower, roots.inverses, roots.changes)
    for number, (batch, lower, inverse, changes) in enumerate(each):
        bends = inverse @ changes @ transpose(inverse)
        for part, patterns in _parts(batch) if c else ():
            here = slice(part * c, (part + 1) * c)
            some = bends[:, patterns]
            counts = batch.counts[patterns]
            out[here, here] += np.einsum("kpij,lpij,p->kl", some, some, counts)
        if not s:
            continue
        f, pattern = model.columns[batch.rows], batch.patterns
        whole = transpose(inverse) @ inverse
        between = (lower @ transpose(lower)) * whole + np.eye(lower.shape[-1])
        out[-s:, -s:] += 2.0 * np.einsum("gmi,gmn,gnj->ij", f, between[pattern], f)
        _with_correlations(roots, out, number, batch, whole[pattern], f)
    return out


def _parts(batch):
    """Each set of parameters, and which patterns have it."""
    return [(part, batch.parts == part) for part in np.unique(batch.parts)]


def _with_correlations(roots, out, number, batch, middle, f):
    """Add 2 sum_r f_r (C_k G)_rr for blocks G to the entries of gamma and phi."""
    c, s, pattern = roots.phi.shape[1], f.shape[-1], batch.patterns
    for part, patterns in _parts(batch) if c else ():
        groups = patterns[pattern]
        for k, change in enumerate(roots.changes[number]):
            diagonal = (change[pattern[groups]] * middle[groups]).sum(axis=-1)
            values = 2.0 * np.einsum("gm,gms->s", diagonal, f[groups])
            out[part * c + k, -s:] += values
            out[-s:, part * c + k] += values
