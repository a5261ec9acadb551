"""What batches of rows leave behind for a fit."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import triangle_of_qr
from statsmodels_lmm.core.rows.pair_sums import PairSums


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
    """

    sums: PairSums
    triangle: np.ndarray
    shift: np.ndarray
    effect_shifts: tuple
    constants: tuple
    terms: tuple
    log_weights: float
    has_weights: bool

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
        root = np.ones(n) if weights is None else np.sqrt(weights)
        columns = np.column_stack([exog, endog])
        shift = columns.mean(axis=0)
        shift[:p][np.ptp(exog, axis=0) == 0.0] = 0.0
        whole = np.column_stack([np.ones(n), columns - shift]) * root[:, None]
        triangle = np.zeros((p + 2, p + 2))
        found = triangle_of_qr(whole)
        triangle[: len(found)] = found
        constants, shifts, weighted = [], [], []
        for term in terms:
            ones = [_ones(term.effects, block) for block in term.block_slices]
            move = np.zeros(term.k_effects)
            for block, one in zip(term.block_slices, ones):
                if one is not None:
                    move[block] = term.effects[:, block].mean(axis=0)
                    move[one] = 0.0
            effects = (term.effects - move) * root[:, None]
            constants.append(tuple(ones))
            shifts.append(move)
            weighted.append(term.at(term.codes, effects))
        return cls(
            sums=PairSums.of(weighted, whole),
            triangle=triangle,
            shift=shift,
            effect_shifts=tuple(shifts),
            constants=tuple(constants),
            terms=tuple(term.take(slice(0)) for term in terms),
            log_weights=0.0 if weights is None else float(np.log(weights).sum()),
            has_weights=weights is not None,
        )


def _ones(effects, block):
    """Position of the first column of ones within a covariance block, or None."""
    ones = (effects[:, block] == 1.0).all(axis=0)
    return block.start + int(np.argmax(ones)) if ones.any() else None
