"""
What remains of other columns within a term's levels, found without subtraction.

With Z_g = Q_g T_g the rows of a level, Q_g orthonormal, the cross-products of columns
A and B that remain once its effects are eliminated are

    A'V_g^-1 B = A'(I - Q_g Q_g')B + (Q_g'A)'(I + T_g S T_g')^-1 (Q_g'B).

The first part does not depend on S, and neither part is a difference. Subtracting what
the effects explain from A'B gives the same number, but hardly a digit of it survives
when S is large relative to the information in a level.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.rows.grouped_effects import level_sums

DEPENDENT = 1e-10
"""Share of an effect's norm in a level that must remain after preceding effects."""


@dataclass(frozen=True)
class WithinLevels:
    """
    The first term of a chain and what remains of other columns within its levels.

    Parameters
    ----------
    root : ndarray
        T, upper triangular, shape (l, k, k).
    nested, fixed : dict of ndarray, ndarray
        Q_g'Z_j of the ancestors by j, shapes (l, k, k_j), and Q_g'W, (l, k, w).
    left : dict of ndarray
        What remains of Z_j'Z_m, summed over the levels of j, by (j, m), j <= m, shapes
        (l_j, k_j, k_m).
    left_fixed : dict of ndarray
        What remains of Z_j'W, by j, shapes (l_j, k_j, w).
    gram : ndarray
        What remains of W'W, shape (w, w).
    """

    root: np.ndarray
    nested: dict
    fixed: np.ndarray
    left: dict
    left_fixed: dict
    gram: np.ndarray

    def half_inverse(self, root):
        """Square roots R of R'R = (I + T S T')^-1 for S = L L', shape (l, k, k)."""
        left, values, _ = np.linalg.svd(self.root @ root)
        return transpose(left) / np.sqrt(1.0 + values**2)[..., None]


def within_levels(chain, fixed):
    """
    Remove the span of a term's effects from other columns, level by level.

    Parameters
    ----------
    chain : sequence of GroupedEffects
        The term and those in which it is nested.
    fixed : ndarray
        W = [X y], shape (n, w).

    Returns
    -------
    WithinLevels
    """
    head, above = chain[0], dict(enumerate(chain[1:], 1))
    basis = _basis(head)
    root = sums_by_level(head, basis, head.effects)
    nested, rest = {}, {}
    for j, term in above.items():
        rest[j], nested[j] = _left(head, basis, term.effects)
    rest_fixed, own_fixed = _left(head, basis, fixed)
    return WithinLevels(
        root,
        nested,
        own_fixed,
        {
            (j, m): sums_by_level(above[j], rest[j], rest[m])
            for j in above
            for m in above
            if j <= m
        },
        {j: sums_by_level(above[j], rest[j], rest_fixed) for j in above},
        rest_fixed.T @ rest_fixed,
    )


def sums_by_level(term, left, right):
    """Sums of the products of columns by level, shape (l, a, b)."""
    return level_sums(term.codes, term.n_levels, left, right)


def _basis(term):
    """Orthonormal columns of each level's effects, zero where dependent, (n, k)."""
    basis = np.zeros_like(term.effects)
    for c in range(term.k_effects):
        whole = term.effects[:, c : c + 1]
        size = _norms(term, whole)
        column, _ = _left(term, basis[:, :c], whole)
        length = _norms(term, column)
        kept = length > DEPENDENT * size
        inverse = np.where(kept, 1.0 / np.where(kept, length, 1.0), 0.0)
        basis[:, c] = column[:, 0] * inverse[term.codes]
    return basis


def _norms(term, column):
    return np.sqrt(sums_by_level(term, column, column)[:, 0, 0])


def _left(term, basis, columns):
    """Residuals after projection onto a basis, and coordinates in that basis."""
    total = 0.0
    for _ in range(2):  # twice, to remove what rounding left
        share = sums_by_level(term, basis, columns)
        columns = columns - np.einsum("na,nab->nb", basis, share[term.codes])
        total = total + share
    return columns, total
