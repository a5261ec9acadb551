"""
Traces and blocks of the inverse, exact but for a correction estimated from probes.

With B and P of `krylov_system`, and x = S^-1 z for probes z,

    sum_g [S^-1]_gg  = exact(P) + mean of the faces of (x - P z) z',
    tail: sum_g [Z_i'V^-1 Z_i]_gg = L^-1 (l I - sum_g [S^-1]_gg) L^-1,
    head: sum_g [Z_1'V^-1 Z_1]_gg = sum_g Q_g - J_g (exact(A_1t L B L'A_t1)
              + mean of the faces of A_1t L (x - B z) (A_1t L z)')_gg J_g',

where the faces of a b' are the sums over the levels of a_g b_g'. Only the correction
x - P z is solved for, which is of second order in N, so few digits of it suffice.

Where L is almost singular, the tail's formula divides by almost zero. There the traces
are those of a system whose smallest eigenvalues of L are raised.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.engines.krylov_system import (
    krylov_system,
    level_sums_of,
    symmetric_root,
    times_blocks,
)

CORRECTION = 1e-3
"""Residual, as a share of the correction's first one, at which it is solved."""

SINGULAR = 1e-3
"""Eigenvalue of L, times the root of the rows per level, that is almost zero."""

RAISED = 1e-2
"""What it is raised to."""

NO_LEVERAGES = (
    "hat values and what follows from them, such as influence, need the inverse of a "
    'dense matrix, which the fit by engine="krylov" avoids; fit with engine="exact" if '
    "it fits in memory"
)


@dataclass(frozen=True)
class KrylovInverse:
    """
    Counterpart of `selected_inverse.SelectedInverse` for this engine.

    Parameters
    ----------
    elimination : KrylovElimination
        The elimination from which it was computed.
    level_sums : tuple of ndarray
        Estimated sums over the levels of the diagonal blocks of Z_i'V^-1 Z_i, shapes
        (k_i, k_i).
    samples : tuple of ndarray
        The estimate of each probe, shapes (m, k_i, k_i).
    projected, modes : tuple of ndarray
        As in that class.
    exact : tuple of ndarray
        For the head the blocks of A_1t L B L'A_t1, and those of P for the terms of the
        tail, shapes (l_i, k_i, k_i).
    """

    elimination: Any
    level_sums: tuple
    samples: tuple
    projected: tuple
    modes: tuple
    exact: tuple

    nested = None
    """Blocks between nested terms are not kept."""

    @cached_property
    def diagonal(self):
        """
        Approximate conditional covariances of the levels over sigma^2, (l_i, k_i, k_i).

        They are the blocks of M with P and B in place of S^-1, which understates them:
        by 1e-4 of a standard deviation or less where the rows are well mixed, and by up
        to a tenth where the terms have few levels in common, as workers and firms do.
        """
        system, roots = self.elimination.system, self.elimination.roots
        # C A_1t is S_1 J A_1t
        outer = (roots[0] @ roots[0]) @ system.inner
        head = system.covariance + outer @ self.exact[0] @ transpose(outer)
        tail = [root @ blocks @ root for root, blocks in zip(roots[1:], self.exact[1:])]
        return (head, *tail)

    def leverages(self, terms):
        """Raise NotImplementedError."""
        raise NotImplementedError(NO_LEVERAGES)

    def forms_within(self, terms, m):
        """Raise NotImplementedError."""
        raise NotImplementedError(NO_LEVERAGES)


def krylov_inverse(elimination):
    """
    Estimate the traces that a gradient needs.

    Parameters
    ----------
    elimination : KrylovElimination
        The elimination.

    Returns
    -------
    KrylovInverse
    """
    system, products = elimination.system, elimination.products
    kept = elimination._kept
    if "blocks" not in kept:
        kept["blocks"] = (system.head_blocks(), *system.tail_blocks())
    exact, inner = kept["blocks"], system.inner
    corrections = _corrections(system, products.probes, kept, "own")
    own = inner @ products.diagonal[0]  # Q_g
    certain = (own - inner @ exact[0] @ transpose(inner)).sum(axis=0)
    samples = [certain - corrections[0]]
    raised, others, known = _raised(elimination)
    for j, f in enumerate(products.plan.tail, 1):
        root, blocks, rest = system.roots[j], exact[j], corrections[j]
        if raised is not None and raised.roots[j] is not root:
            root, blocks, rest = raised.roots[j], known[j - 1], others[j]
        left = f.n_levels * np.eye(f.k_effects) - blocks.sum(axis=0) - rest
        outside = np.linalg.inv(root)
        samples.append(outside @ left @ outside)
    projected = elimination.project()
    squares = [root @ root for root in elimination.roots]
    return KrylovInverse(
        elimination,
        tuple(each.mean(axis=0) for each in samples),
        tuple(samples),
        tuple(projected),
        tuple(s @ p for s, p in zip(squares, projected)),
        exact,
    )


def _raised(elimination):
    """A system with raised eigenvalues of L, if any is almost zero."""
    products, kept = elimination.products, elimination._kept
    if "raised" not in kept:
        roots, changed = [elimination.roots[0]], False
        terms = zip(products.plan.tail, products.squares[1:], elimination.roots[1:])
        for f, squares, root in terms:
            unit = 1.0 / np.sqrt(max(squares.sum(axis=1).mean() / f.k_effects, 1e-300))
            almost = np.linalg.svd(root, compute_uv=False)[-1] < SINGULAR * unit
            changed |= almost
            roots.append(symmetric_root(root, RAISED * unit) if almost else root)
        kept["raised"] = None, None
        if changed:
            system = krylov_system(products, roots)
            kept["raised"] = system, system.tail_blocks()
    system, blocks = kept["raised"]
    if system is None:
        return None, None, None
    return system, _corrections(system, products.probes, kept, "raised"), blocks


def _corrections(system, probes, kept, name):
    """The faces of what is missing from exact(.), shapes (m, k_i, k_i)."""
    each = []
    for block in probes.blocks:
        key = name, block
        if key not in kept:
            signs = probes.columns(block, system.products.plan.n_tail)
            kept[key] = _of_signs(system, signs, name == "own")
        each.append(kept[key])
    return [np.concatenate(parts) for parts in zip(*each)]


def _of_signs(system, z, with_head):
    """The corrections of a few probes, first that of the head."""
    once, twice = system.twice(z)
    change = system.solve(z - system.times(twice), CORRECTION)
    head = system.products.plan.terms[0]
    out = [np.zeros((z.shape[1], head.k_effects, head.k_effects))]
    if with_head:
        left, right = system.rooted(twice + change - once), system.rooted(z)
        for part, (levels, _) in enumerate(system.products.coupling):
            inner = system.inner[levels]
            one, other = (system.at_head(x, part) for x in (left, right))
            one, other = times_blocks(inner, one), times_blocks(inner, other)
            out[0] += level_sums_of(one, other, head)
    for f, rows in system.tail:
        out.append(level_sums_of(change[rows], z[rows], f))
    return [0.5 * (each + transpose(each)) for each in out]
