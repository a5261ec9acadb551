"""
The forms of a model with correlated errors from sums, without whitened rows.

With R^-1 = sum_j c_j Q_j and A = [Z X], a coordinate changes A'R^-1 A by
-D_k = sum_j dc_j A'Q_j A, and the criterion needs no more of the rows than

    tr(N A'Q_j A),    N = (A'R^-1 A + S^-1)^-1,    D_k,    A'Q_j e,

and the products of raw residuals e within the patterns. In

    H = sum of U (R - A N A' - e e' / scale) U'    over the groups of a pattern,

any matrix with the same traces tr(Q_j .) may stand for A N A': the slopes and the
Hessian depend on it by linear combinations of these alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    inverse_lower,
    times_each,
    transpose,
)
from statsmodels_lmm.core.criteria.correlated_forms import CorrelatedForms, PairTraces
from statsmodels_lmm.core.engines.fixed_sums import combined
from statsmodels_lmm.core.residuals.patterns import PatternCovariance


@dataclass(frozen=True)
class SummedErrors:
    """
    The covariance of the errors at a point, and the sums to go with it.

    Parameters
    ----------
    covariance : PatternCovariance
        R of the patterns.
    sums : FixedSums
        The sums.
    """

    covariance: PatternCovariance
    sums: Any

    @cached_property
    def slopes(self):
        """Weights of A'Q_j A in D_k, shape (c, J)."""
        return self.sums.entries.slopes(self.covariance)

    def change(self, sums):
        """Sums over j for each coordinate, shape (c, ...)."""
        return combined(self.slopes, sums)


class SummedForms(CorrelatedForms):
    """The forms of which derivatives consist, see `CorrelatedDeviance`, from sums."""

    are_affordable = True

    @property
    def _errors(self):
        return self.deviance.errors

    @property
    def _whitening(self):
        """The covariance of one group of each pattern, for which `form` is."""
        return self._errors.covariance.whitening

    # sums -------------------------------------------------------------------------

    @cached_property
    def _modes(self):
        """M Z'R^-1 W, shape (l, k, w)."""
        each = self.deviance.selected.modes
        sums = self._errors.sums.sums
        return each[0] if each else np.zeros(sums.shape[1:])

    @cached_property
    def _left_sums(self):
        """Z'Q_j B of what the effects leave, B = W - Z M Z'R^-1 W, (J, l, k, w)."""
        sums = self._errors.sums
        return sums.sums - times_each(sums.squares, self._modes)

    @cached_property
    def _left_gram(self):
        """B'Q_j B, shape (J, w, w)."""
        sums = self._errors.sums
        count, *_, width = sums.sums.shape
        modes = self._modes.reshape(self._modes.shape[0] * self._modes.shape[1], width)
        flat = (count, len(modes), width)
        explained = modes.T @ sums.sums.reshape(flat)
        return sums.gram - explained - transpose(self._left_sums.reshape(flat)) @ modes

    @cached_property
    def _inverse(self):  # type: ignore[override]
        """F^-T, shape (p, p)."""
        return transpose(inverse_lower(self.deviance.fixed_root))

    @cached_property
    def _traces(self):
        """tr(N A'Q_j A), without the columns of X for ML, shape (J,)."""
        out = np.zeros(self._errors.sums.entries.count)
        for block in self.deviance.selected.diagonal:
            out = out + np.tensordot(self._errors.sums.squares, block, 3)
        if self.deviance.reml:
            inner = self._inverse @ self._inverse.T
            out = out + np.tensordot(self._left_gram[:, :-1, :-1], inner, 2)
        return out

    @cached_property
    def _residual_sums(self):
        """U e e'U' of the patterns, summed over their groups, shapes (P, m, m)."""
        deviance = self.deviance
        e = deviance.criterion.rows.times(deviance.contrast)
        for term, modes in zip(deviance.raw_terms, deviance.modes):
            e = e - term.times(modes)
        each = []
        for batch in self._errors.sums.patterns.batches:
            inside = e[batch.rows]
            if len(batch.counts) == 1:
                each.append((inside.T @ inside)[None])
            else:
                pairs = zip(batch.starts[:-1], batch.starts[1:])
                each.append(np.array([inside[i:j].T @ inside[i:j] for i, j in pairs]))
        return self._errors.covariance.whitened(each)

    @cached_property
    def _hat_sums(self):
        """U T U' with a T that has the traces of A N A', shapes (P, m, m)."""
        spread = self._errors.sums.entries.spread(self._traces)
        return self._errors.covariance.whitened(spread)

    @cached_property
    def form(self):
        """H of the patterns, a PatternForm."""
        scale, covariance = self._scale, self._errors.covariance
        blocks = [
            counts[:, None, None] * np.eye(hat.shape[-1]) - hat - own / scale
            for counts, hat, own in zip(
                covariance.counts, self._hat_sums, self._residual_sums
            )
        ]
        inverses = self._whitening.roots.inverses
        turned = [transpose(u) @ h @ u for u, h in zip(inverses, blocks)]
        return PatternForm(blocks, turned)

    # what derivatives need --------------------------------------------------------

    def error_slopes(self):
        """The derivatives in the coordinates, shape (c,)."""
        return self._whitening.paired(self.form)

    def second_traces(self):
        """Their derivatives where B_k changes, shape (c, c)."""
        return self._whitening.second_traces(self.form, self.deviance.error_slopes)

    def _bent_products(self):
        deviance, errors = self.deviance, self._errors
        # U^-T B_k e is what R_k R^-1 e is to raw residuals e
        gram = errors.change(self._left_gram @ deviance.contrast)
        sums = errors.change(self._left_sums @ deviance.contrast)
        total = errors.covariance.products(self._residual_sums)
        half = (gram[:, :-1] @ self._inverse).T
        of_terms = [np.moveaxis(sums, 0, -1)] if deviance.factors else []
        across, between = self._projected(of_terms, half, total)
        return gram @ deviance.contrast, across, between

    @cached_property
    def pairs(self):
        """Traces with products of two derivatives of V, PairTraces."""
        errors, covariance = self._errors, self._errors.covariance
        gram = errors.change(self._left_gram[:, :-1, :-1])
        gram = self._inverse.T @ gram @ self._inverse
        if not self.deviance.reml:
            gram = gram[:, :0, :0]
        twice, blocks = np.einsum("kpq,lqp->kl", gram, gram), []
        if self.deviance.factors:
            of_effects, block = self._level_pairs(gram)
            twice, blocks = twice + of_effects, [block]
        once = covariance.products(self._hat_sums)
        return PairTraces(blocks, covariance.pair_traces(), once, twice)

    def _level_pairs(self, gram):
        """
        What the levels add to tr(N D_k N D_l), and Z'P B_k P Z summed over levels.

        Parameters
        ----------
        gram : ndarray
            The part of N^(1/2)'D_k N^(1/2) for the columns of X, shape (c, p, p).

        Returns
        -------
        ndarray
            Shapes (c, c) and (c, k, k).
        """
        deviance, errors, p = self.deviance, self._errors, gram.shape[-1]
        (inverse,), (term,) = deviance.selected.diagonal, deviance.elimination.terms
        squares = errors.change(errors.sums.squares)
        mixed = errors.change(self._left_sums[..., :-1]) @ self._inverse
        mixed, y = mixed[..., :p], deviance.fixed_scores[0][..., :p]
        half = times_each(inverse, squares)
        flat = len(squares), -1
        twice = half.reshape(flat) @ transpose(half).reshape(flat).T
        weighted = times_each(inverse, mixed)
        twice += 2.0 * weighted.reshape(flat) @ mixed.reshape(flat).T if p else 0.0

        inner = term.inner
        turned = times_each(times_each(inner, squares), transpose(inner)).sum(axis=1)
        crossed = times_each(inner, mixed)
        for own, cross, between in zip(turned, crossed, gram):
            left = _gram(cross, y)
            own += _gram(y @ between, y) - left - left.T
        return twice, turned


@dataclass(frozen=True)
class PatternForm:
    """
    H of the patterns, see `ProjectionForm`.

    Parameters
    ----------
    blocks, turned : list of ndarray
        H and L^-T H L^-1 of the patterns of each batch, shapes (P, m, m).
    """

    blocks: list
    turned: list


def _gram(left, right):
    """Sums over levels and columns of the products of effects, shape (k, k)."""
    k = left.shape[1]
    flat = np.swapaxes(left, 0, 1).reshape(k, -1)
    return flat @ np.swapaxes(right, 0, 1).reshape(k, -1).T
