"""What batches of rows leave behind for a fit."""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.tall_matrices import square_triangle
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance


@dataclass(frozen=True)
class PlainSums:
    """
    What rows sum to without their prior weights, for shares of variance and the like.

    Parameters
    ----------
    triangle : ndarray
        R of a QR decomposition of W = [1, X - m, y - o - m_y], (p + 2, p + 2).
    effect_moments : tuple of ndarray
        For each term, the sum over the rows of the products of its effects minus their
        shifts, shapes (k_i, k_i).
    inverse_weights : float
        Sum of 1 / w, n without weights.
    """

    triangle: np.ndarray
    effect_moments: tuple
    inverse_weights: float


@dataclass(frozen=True)
class SummedRows:
    """
    What batches of rows leave behind: all that a fit needs of the data.

    With prior weights w, every row of [1, X - m, y - o - m_y] and of the effects is
    multiplied by sqrt(w).

    Parameters
    ----------
    sums : PairSums
        Sums with the columns W = [1, X - m, y - o - m_y], shape (n, p + 2), and the
        effects of each term minus their shifts; terms in the user's order, levels
        sorted, unused ones dropped.
    triangle : ndarray
        R of a QR decomposition of W, stacked batch on batch, (p + 2, p + 2).
    shift : ndarray
        (m, m_y), close to the means; 0 in a constant column of X, shape (p + 1,).
    effect_shifts : tuple of ndarray
        What was subtracted from the effect columns of each term, 0 in the constant
        and in blocks without one, shapes (k_i,).
    constants : tuple of tuple
        For each term, for each covariance block, the position among the term's columns
        of the column of ones in that block, or None.
    terms : tuple of GroupedEffects
        The terms without rows: numbers of levels, blocks and structures.
    log_weights : float
        Sum of the logarithms of the prior weights; 0.0 without.
    has_weights : bool
        Whether there are prior weights.
    plain : PlainSums, optional
        The same without the prior weights; None without weights, for which they are no
        other, or if they were not kept.
    mean_offset : float, optional
        Mean over the rows of the part of the offset o that is not in the formula.
    """

    sums: PairSums
    triangle: np.ndarray
    shift: np.ndarray
    effect_shifts: tuple
    constants: tuple
    terms: tuple
    log_weights: float
    has_weights: bool
    plain: PlainSums | None = None
    mean_offset: float = 0.0

    @property
    def unweighted(self):
        """The PlainSums, or None if they were not kept beside weighted ones."""
        if self.plain is not None or self.has_weights:
            return self.plain
        moments = tuple(blocks.sum(axis=0) for blocks in self.sums.diagonal)
        return PlainSums(self.triangle, moments, float(self.sums.nobs))

    @property
    def response_size(self):
        """Root mean square of y - o, times the roots of the weights."""
        column = self.triangle[:, -1] + self.shift[-1] * self.triangle[:, 0]
        return float(np.linalg.norm(column) / np.sqrt(self.sums.nobs))

    def rows_per_level(self, i):
        """
        Numbers of rows of the levels of a term.

        Parameters
        ----------
        i : int
            Position of the term.

        Returns
        -------
        ndarray or None
            Shape (l_i,); None with prior weights or without a constant among the
            effects, of which the sums do not tell it.
        """
        ones = [c for c in self.constants[i] if c is not None]
        if self.has_weights or not ones:
            return None
        return self.sums.level_sums[i][:, ones[0], 0].round().astype(np.int64)

    def standing_rows(self):
        """
        Rows that stand for those of [1, X], with the same cross-products.

        Returns
        -------
        ndarray
            R [1, X] for W = QR, without prior weights if they were kept, shape
            (p + 2, 1 + p).
        """
        known = self.unweighted
        triangle = self.triangle if known is None else known.triangle
        ones, columns = triangle[:, :1], triangle[:, 1:-1]
        return np.hstack([ones, columns + ones * self.shift[:-1]])

    def with_columns(self, columns):
        """
        The sums of the same rows with some of the columns of X.

        Parameters
        ----------
        columns : sequence of int
            Positions of the columns.

        Returns
        -------
        SummedRows
        """
        p = len(self.shift) - 1
        places = [0, *(1 + j for j in columns), p + 1]
        change = np.eye(p + 2)[:, places]

        def reduced(triangle):
            return square_triangle(triangle[:, places])

        plain = self.plain
        if plain is not None:
            plain = replace(plain, triangle=reduced(plain.triangle))
        same = [np.eye(f.k_effects) for f in self.terms]
        return replace(
            self,
            sums=self.sums.changed(change, same),
            triangle=reduced(self.triangle),
            shift=self.shift[[*columns, p]],
            plain=plain,
        )

    def with_effects(self, effects):
        """
        The sums of the same rows with some of the random effects.

        Parameters
        ----------
        effects : sequence of (int, sequence of int)
            Positions of the terms that remain, each with those of the effect columns
            that remain, ascending. What remains of a block is unstructured.

        Returns
        -------
        SummedRows
        """
        order = [i for i, _ in effects]
        parts = dict(zip(order, (self._with_columns_of(*each) for each in effects)))
        same = [np.eye(f.k_effects) for f in self.terms]
        changes = [parts[i][0] if i in parts else e for i, e in enumerate(same)]
        sums = self.sums.changed(np.eye(len(self.shift) + 1), changes)
        plain = self.plain
        if plain is not None:
            moments = tuple(
                changes[i].T @ plain.effect_moments[i] @ changes[i] for i in order
            )
            plain = replace(plain, effect_moments=moments)
        _, shifts, constants, terms = zip(*parts.values())
        kept = [np.arange(term.n_levels) for term in terms]
        return replace(
            self,
            sums=sums.ordered(order, kept),
            effect_shifts=shifts,
            constants=constants,
            terms=terms,
            plain=plain,
        )

    def _with_columns_of(self, i, columns):
        """Change of the effects of a term, shifts, constants and what remains of it."""
        term, columns = self.terms[i], list(columns)
        change, shifts = np.eye(term.k_effects)[:, columns], self.effect_shifts[i]
        shifts, blocks = shifts[columns], list[int]()
        structures, constants = [], []
        for block, constant, structure in zip(
            term.block_slices, self.constants[i], term.structures
        ):
            inside = [j for j in columns if block.start <= j < block.stop]
            if not inside:
                continue
            here = slice(sum(blocks), sum(blocks) + len(inside))
            blocks.append(len(inside))
            whole = len(inside) == block.stop - block.start
            structures.append(
                structure if whole else UnstructuredCovariance(len(inside))
            )
            if constant is not None and constant not in inside:
                change[constant, here] = shifts[here]
                shifts[here], constant = 0.0, None
            constants.append(None if constant is None else columns.index(constant))
        reduced = replace(
            term,
            effects=term.effects[:, columns],
            blocks=tuple(blocks),
            structures=tuple(structures),
        )
        return change, shifts, tuple(constants), reduced

    @classmethod
    def of(cls, endog, exog, terms, weights=None):
        """
        The sums over rows in memory.

        Parameters
        ----------
        endog : ndarray
            Response minus its offset, shape (n,).
        exog : ndarray
            Design of the fixed effects X, shape (n, p).
        terms : sequence of GroupedEffects
            Terms with unrelated levels.
        weights : ndarray, optional
            Positive prior weights, shape (n,).

        Returns
        -------
        SummedRows
        """
        n, p = exog.shape
        columns = np.column_stack([exog, endog])
        shift = columns.mean(axis=0)
        shift[:p][np.ptp(exog, axis=0) == 0.0] = 0.0
        whole = np.column_stack([np.ones(n), columns - shift])
        moved, shifts, constants = [], [], []
        for term in terms:
            ones = [_ones(term.effects, block) for block in term.block_slices]
            move = np.zeros(term.k_effects)
            for block, one in zip(term.block_slices, ones):
                if one is not None:
                    move[block] = term.effects[:, block].mean(axis=0)
                    move[one] = 0.0
            constants.append(tuple(ones))
            shifts.append(move)
            moved.append(term.at(term.codes, term.effects - move))
        root, plain, logarithms = np.ones((n, 1)), None, 0.0
        if weights is not None:
            root, logarithms = np.sqrt(weights)[:, None], float(np.log(weights).sum())
            plain = PlainSums(
                square_triangle(whole),
                tuple(f.effects.T @ f.effects for f in moved),
                float((1.0 / weights).sum()),
            )
        weighted = [term.at(term.codes, term.effects * root) for term in moved]
        return cls(
            sums=PairSums.of(weighted, Rows(None, whole * root)),
            triangle=square_triangle(whole * root),
            shift=shift,
            effect_shifts=tuple(shifts),
            constants=tuple(constants),
            terms=tuple(term.take(slice(0)) for term in terms),
            log_weights=logarithms,
            has_weights=weights is not None,
            plain=plain,
        )


def _ones(effects, block):
    """Position of the first column of ones within a covariance block, or None."""
    ones = (effects[:, block] == 1.0).all(axis=0)
    return block.start + int(np.argmax(ones)) if ones.any() else None
