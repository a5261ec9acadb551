"""
Sums over the rows of batches, which can be added.

Levels are numbered in the order in which they arrive, so that later sums only have
more of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.tall_matrices import square_triangle
from statsmodels_lmm.core.rows.grouped_effects import level_sums


@dataclass(frozen=True)
class GrowingSums:
    """
    Sums over rows, level by level; those over pairs of levels are `growing_links`.

    The columns are V = [1, X - m, y - o - m_y], where m and m_y are shifts, and
    W = V sqrt(w); the effects Z_i have their shifts subtracted and are multiplied by
    sqrt(w).

    Parameters
    ----------
    nobs : int
        Number of rows n.
    triangle : ndarray
        R of a QR decomposition of W, shape (c, c).
    level_sums : tuple of ndarray
        Z_i'W of each term, shapes (l_i, k_i, c).
    diagonal : tuple of ndarray
        The blocks of Z_i'Z_i of each term, shapes (l_i, k_i, k_i).
    lowest, highest : ndarray
        Smallest and largest values of the columns of V, shape (c,).
    ones : tuple of ndarray
        Whether each effect column, without weights and shifts, is 1 in all rows,
        shapes (k_i,).
    log_weights : float
        Sum of the logarithms of the weights w.
    plain : tuple or None
        What `PlainSums` holds, without the weights; None if there are none.
    """

    nobs: int
    triangle: np.ndarray
    level_sums: tuple
    diagonal: tuple
    lowest: np.ndarray
    highest: np.ndarray
    ones: tuple
    log_weights: float
    plain: tuple | None = None

    @classmethod
    def of(cls, columns, codes, n_levels, effects, shifts, weights=None):
        """
        The sums over some rows.

        Parameters
        ----------
        columns : ndarray
            V, shape (n, c), of at least one row; those of Fortran's order are summed
            faster.
        codes : sequence of ndarray
            Level of each row for each term, shapes (n,).
        n_levels : sequence of int
            Numbers of levels l_i.
        effects : sequence of ndarray
            Effect columns of each term as they are, shapes (n, k_i).
        shifts : sequence of ndarray
            What to subtract from them, shapes (k_i,).
        weights : ndarray, optional
            Positive weights w, shape (n,).

        Returns
        -------
        sums : GrowingSums
        weighted : list of ndarray
            The effects with shifts and weights, shapes (n, k_i).
        """
        weighted = [e - s if s.any() else e for e, s in zip(effects, shifts)]
        whole, plain = columns, None
        if weights is not None:
            moments = tuple(e.T @ e for e in weighted)
            plain = square_triangle(columns), moments, float((1.0 / weights).sum())
            root = np.sqrt(weights)[:, None]
            whole, weighted = columns * root, [e * root for e in weighted]
        terms = list(zip(codes, n_levels, weighted))
        sums = cls(
            nobs=len(columns),
            triangle=square_triangle(whole),
            level_sums=tuple(level_sums(g, count, e, whole) for g, count, e in terms),
            diagonal=tuple(level_sums(g, count, e, e) for g, count, e in terms),
            lowest=columns.min(axis=0),
            highest=columns.max(axis=0),
            ones=tuple((e == 1.0).all(axis=0) for e in effects),
            log_weights=0.0 if weights is None else float(np.log(weights).sum()),
            plain=plain,
        )
        return sums, weighted

    def plus(self, other):
        """
        The sums over the rows of both.

        Parameters
        ----------
        other : GrowingSums
            Sums about the same shifts, with the same numbers for the levels that both
            have.

        Returns
        -------
        GrowingSums
        """
        plain = None
        if self.plain is not None:
            (r, moments, inverse), (s, further, more) = self.plain, other.plain
            triangle = square_triangle(np.vstack([r, s]))
            added = tuple(a + b for a, b in zip(moments, further))
            plain = triangle, added, inverse + more
        return GrowingSums(
            nobs=self.nobs + other.nobs,
            triangle=square_triangle(np.vstack([self.triangle, other.triangle])),
            level_sums=tuple(map(_padded_sum, self.level_sums, other.level_sums)),
            diagonal=tuple(map(_padded_sum, self.diagonal, other.diagonal)),
            lowest=np.minimum(self.lowest, other.lowest),
            highest=np.maximum(self.highest, other.highest),
            ones=tuple(a & b for a, b in zip(self.ones, other.ones)),
            log_weights=self.log_weights + other.log_weights,
            plain=plain,
        )

    def moved(self, by, effects):
        """
        The same sums about other shifts.

        Parameters
        ----------
        by : ndarray
            What to add to the columns of V, 0 in the first, shape (c,).
        effects : sequence of ndarray
            Multiply the effects of each term from the right, shapes (k_i, k_i).

        Returns
        -------
        GrowingSums
        """
        change = np.eye(len(by))
        change[0] += by
        pairs = list(zip(self.level_sums, self.diagonal, effects))
        plain = self.plain
        if plain is not None:
            triangle, moments, inverse = plain
            turned = tuple(b.T @ m @ b for m, b in zip(moments, effects))
            plain = triangle @ change, turned, inverse
        return replace(
            self,
            triangle=self.triangle @ change,
            level_sums=tuple(b.T @ s @ change for s, _, b in pairs),
            diagonal=tuple(b.T @ d @ b for _, d, b in pairs),
            lowest=self.lowest + by,
            highest=self.highest + by,
            plain=plain,
        )

    def numbered(self, codes, n_levels):
        """
        The same sums with other numbers of the levels.

        Parameters
        ----------
        codes : sequence of ndarray
            New number of each level, shapes (l_i,).
        n_levels : sequence of int
            New numbers of levels.

        Returns
        -------
        GrowingSums
        """
        triples = list(zip(codes, n_levels))
        return replace(
            self,
            level_sums=tuple(
                _placed(s, *where) for s, where in zip(self.level_sums, triples)
            ),
            diagonal=tuple(
                _placed(s, *where) for s, where in zip(self.diagonal, triples)
            ),
        )


def shift_of_effects(before, after, constants):
    """
    How effect columns change when what is subtracted from them does.

    Parameters
    ----------
    before, after : ndarray
        What is subtracted, shape (k,).
    constants : ndarray
        Position, for each column, of the column of ones in its block, shape (k,);
        only read where the shifts differ.

    Returns
    -------
    ndarray
        B with Z_after = Z_before B, shape (k, k).
    """
    change = np.eye(len(before))
    moved = np.flatnonzero(before != after)
    change[constants[moved], moved] += (before - after)[moved]
    return change


def _padded_sum(one, other):
    """The sum of arrays of which the shorter one lacks levels at the end."""
    if len(one) < len(other):
        one, other = other, one
    total = one.copy()
    total[: len(other)] += other
    return total


def _placed(sums, codes, n_levels):
    """Sums of levels at their new places."""
    placed = np.zeros((n_levels, *sums.shape[1:]))
    placed[codes] = sums
    return placed
