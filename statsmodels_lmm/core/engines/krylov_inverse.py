"""
Traces and blocks of the inverse, exact but for a correction estimated from probes.

With B and P of `krylov_system`, and x = S^-1 z for probes z,

    sum_g [S^-1]_gg  = exact(P) + mean of the faces of (x - P z) z',
    tail: sum_g [Z_i'V^-1 Z_i]_gg = L^-1 (l I - sum_g [S^-1]_gg) L^-1,
    head: sum_g [Z_1'V^-1 Z_1]_gg = sum_g Q_g - J_g (exact(A_1t L B L'A_t1)
              + mean of the faces of A_1t L (x - B z) (A_1t L z)')_gg J_g',

where the faces of a b' are the sums over the levels of a_g b_g'. Only the correction
x - P z is solved for, which is of second order in N, so few digits of it suffice.

Where L is almost singular the tail's formula divides by almost zero, which does the
exact part no harm, but the noise of other effects. With z_s the part of the probes in
the directions in which L is small, and z_l the rest, [S^-1]_ss is then taken from z_s,
and [S^-1]_sl and [S^-1]_ll from z_l: what is divided by L is also proportional to it.
Where L is smaller still, the traces are those of a system in which it is raised.
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

SMALL = 0.3
"""Eigenvalue of L, times the root of the rows per level, that is small."""

RAISED = 1e-3
"""What smaller ones are raised to, which changes traces by its square."""

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

    diagonal_is_cheap = True
    """Whether `diagonal` takes no solution for each level."""

    @cached_property
    def diagonal(self):
        """
        Approximate conditional covariances of the levels over sigma^2, (l_i, k_i, k_i).

        They are the blocks of M with B, or P for the tail, in place of S^-1: off by
        1e-4 of a standard deviation or less where the rows are well mixed, and by up to
        a tenth where the terms have few levels in common, as workers and firms do.
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
    corrections = _corrections(system, products.probes, kept)
    own = inner @ products.diagonal[0]  # Q_g
    certain = (own - inner @ exact[0] @ transpose(inner)).sum(axis=0)
    samples = [certain - corrections[0]]
    split = _split(elimination)
    others = _split_corrections(split, products.probes, kept) if split else []
    for j, f in enumerate(products.plan.tail, 1):
        root, blocks, rest = system.roots[j], exact[j], corrections[j]
        if split and split.small[j - 1].any():
            root, blocks = split.system.roots[j], split.blocks[j - 1]
            rest = others[j - 1]
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


@dataclass(frozen=True)
class _Split:
    """
    What is asked of probes where some L are small.

    Parameters
    ----------
    system : KrylovSystem
        The system, with eigenvalues of L raised if they are almost zero.
    blocks : list of ndarray
        Diagonal blocks of its P for the terms of the tail.
    small : list of ndarray
        Projections on the directions in which the L of each is small, shapes (k, k).
    """

    system: Any
    blocks: Any
    small: Any


def _split(elimination):
    """The system and the directions in which some L are small; None without any."""
    system, products = elimination.system, elimination.products
    kept = elimination._kept
    if "split" in kept:
        return kept["split"]
    roots, small, is_raised = [elimination.roots[0]], [], False
    terms = zip(products.plan.tail, products.squares[1:], elimination.roots[1:])
    for f, squares, root in terms:
        rows = max(squares.sum(axis=1).mean() / f.k_effects, 1e-300)
        vectors, values, _ = np.linalg.svd(root)
        which = vectors[:, values < SMALL / np.sqrt(rows)]
        small.append(which @ which.T)
        if values[-1] < RAISED / np.sqrt(rows):
            root, is_raised = symmetric_root(root, RAISED / np.sqrt(rows)), True
        roots.append(root)
    blocks = kept["blocks"][1:]
    if is_raised:
        system = krylov_system(products, roots)
        blocks = system.tail_blocks()
    # if all are small there are no others to keep apart
    some = any(each.any() for each in small)
    others = any(np.trace(each) < len(each) - 0.5 for each in small)
    found = is_raised or (some and others)
    kept["split"] = _Split(system, blocks, small) if found else None
    return kept["split"]


def _split_corrections(split, probes, kept):
    """The corrections of the tail's terms from split probes, shapes (m, k, k)."""
    system, each = split.system, []
    for block in probes.blocks:
        key = "split", block
        if key not in kept:
            z = probes.columns(block, system.products.plan.n_tail)
            pairs = zip(split.small, system.tail)
            inside = np.concatenate(
                [times_blocks(small[None], z[rows]) for small, (_, rows) in pairs]
            )
            outside = z - inside
            one, other = (
                _missing(system, part)[1] if part.any() else part
                for part in (inside, outside)
            )
            out = []
            for (f, rows), small in zip(system.tail, split.small):
                large = np.eye(f.k_effects) - small
                within = small @ level_sums_of(one[rows], inside[rows], f) @ small
                rest = level_sums_of(other[rows], outside[rows], f) @ large
                whole = within + large @ rest
                whole = 0.5 * (whole + transpose(whole))
                across = small @ rest
                out.append(whole + across + transpose(across))
            kept[key] = out
        each.append(kept[key])
    return [np.concatenate(parts) for parts in zip(*each)]


def _corrections(system, probes, kept):
    """The faces of what is missing from exact(.), shapes (m, k_i, k_i)."""
    each = []
    for block in probes.blocks:
        if block not in kept:
            signs = probes.columns(block, system.products.plan.n_tail)
            kept[block] = _of_signs(system, signs)
        each.append(kept[block])
    return [np.concatenate(parts) for parts in zip(*each)]


def _missing(system, z):
    """What x = S^-1 z has beyond B z, and beyond P z."""
    once, twice = system.twice(z)
    change = system.solve(z - system.times(twice), CORRECTION)
    return twice + change - once, change


def _of_signs(system, z):
    """The corrections of a few probes, first that of the head."""
    first, change = _missing(system, z)
    head = system.products.plan.terms[0]
    out = [np.zeros((z.shape[1], head.k_effects, head.k_effects))]
    left, right = system.rooted(first), system.rooted(z)
    for part, (levels, *_) in enumerate(system.products.coupling):
        inner = system.inner[levels]
        one, other = (system.at_head(x, part) for x in (left, right))
        one, other = times_blocks(inner, one), times_blocks(inner, other)
        out[0] += level_sums_of(one, other, head)
    for f, rows in system.tail:
        out.append(level_sums_of(change[rows], z[rows], f))
    return [0.5 * (each + transpose(each)) for each in out]
