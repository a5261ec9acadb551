"""
Covariances of the errors by pattern: groups with the same places and deviations.

Groups whose rows have the same places and the same columns of F share the matrix
R = D C D. Whatever the criterion needs of R follows from one matrix for each pattern,
once what stands beside it has been added up over the groups.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.algebra.distinct_rows import distinct_rows
from statsmodels_lmm.core.residuals.layout import Batch, ResidualLayout
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance, Whitening


@dataclass(frozen=True)
class Patterns:
    """
    The residual groups by pattern.

    Parameters
    ----------
    batches : tuple of Batch
        All groups, by number of rows; F is the same for all groups of a pattern.
    """

    batches: tuple

    @classmethod
    def of(cls, model):
        """The patterns of a ResidualCovariance."""
        batches = model.layout.batches
        if model.log_sd.shape[1]:
            batches = tuple(_by_deviations(each, model.log_sd) for each in batches)
        return cls(batches)

    @cached_property
    def layout(self):
        """One group of each pattern, its rows numbered from 0, a ResidualLayout."""
        batches, start = [], 0
        for batch in self.batches:
            shape = len(batch.counts), batch.rows.shape[1]
            rows = start + np.arange(shape[0] * shape[1]).reshape(shape)
            one = np.arange(shape[0] + 1)
            batches.append(replace(batch, rows=rows, starts=one))
            start += rows.size
        return ResidualLayout(start, tuple(batches))

    @property
    def n_entries(self):
        """Number of entries of the matrices of all patterns."""
        return sum(batch.where[..., None].size for batch in self.layout.batches)

    def representatives(self, model):
        """The ResidualCovariance of one group of each pattern."""
        rows = [batch.rows[batch.starts[:-1]].ravel() for batch in self.batches]
        columns = model.columns[np.concatenate(rows)]
        one = replace(model, layout=self.layout, log_sd=columns, is_centered=False)
        one.__dict__["chain"] = None  # there are blocks, however long the groups
        return one


def _by_deviations(batch, log_sd):
    """A batch with the patterns divided by the columns of F."""
    each = log_sd[batch.rows].reshape(len(batch.rows), -1)
    first, which = distinct_rows(np.column_stack([batch.patterns, each]))
    there = batch.patterns[first]
    return Batch(
        rows=batch.rows[np.argsort(which, kind="stable")],
        starts=np.append(0, np.cumsum(np.bincount(which))),
        where=batch.where[there],
        parts=batch.parts[there],
    )


@dataclass(frozen=True)
class PatternCovariance:
    """
    The matrices R of the patterns at one value of the parameters.

    Parameters
    ----------
    whitening : Whitening
        The covariance of one group of each pattern.
    counts : tuple of ndarray
        Number of groups of each pattern of each batch, shapes (P,).
    """

    whitening: Whitening
    counts: tuple

    @classmethod
    def at(cls, patterns: Patterns, model: ResidualCovariance, x):
        """The matrices at coordinates x, for `model` of one group of each pattern."""
        return cls(model.at(x), tuple(batch.counts for batch in patterns.batches))

    @cached_property
    def _log_deviations(self):
        """Logarithms of the deviations of the rows of each pattern, shapes (P, m)."""
        whole = self.whitening.log_deviations
        return [whole[b.rows] for b in self.whitening.model.layout.batches]

    @cached_property
    def log_determinant(self):
        """Logarithm of the determinant of R, over all groups."""
        total = 0.0
        each = zip(self.counts, self.whitening.roots.lower, self._log_deviations)
        for counts, lower, log_sd in each:
            diagonal = np.log(np.diagonal(lower, axis1=-2, axis2=-1)) + log_sd
            total += 2.0 * float(counts @ diagonal.sum(axis=-1))
        return total

    @cached_property
    def roots(self):
        """U with U'U = R^-1, shapes (P, m, m)."""
        pairs = zip(self.whitening.roots.inverses, self._log_deviations)
        return [inverse * np.exp(-log_sd)[:, None] for inverse, log_sd in pairs]

    @cached_property
    def precisions(self):
        """R^-1 of each pattern, shapes (P, m, m)."""
        return [transpose(root) @ root for root in self.roots]

    @cached_property
    def bends(self):
        """B_k = U R_k U' in all coordinates, shapes (c, P, m, m)."""
        whitening, out = self.whitening, []
        roots, model = whitening.roots, whitening.model
        (parts, c), turn = roots.phi.shape, whitening.jacobian.T
        batches = model.layout.batches
        each = zip(batches, roots.lower, roots.inverses, roots.changes)
        for batch, lower, inverse, changes in each:
            own = inverse @ changes @ transpose(inverse)
            if parts > 1:
                is_of = batch.parts == np.arange(parts)[:, None]
                own = own * is_of[:, None, :, None, None]
            f = np.moveaxis(model.columns[batch.rows], -1, 0)
            half = inverse @ (f[..., None] * lower)
            shape = *lower.shape[:1], *lower.shape[1:]
            every = np.concatenate(
                [own.reshape(parts * c, *shape), half + transpose(half)]
            )
            out.append(np.tensordot(turn, every, 1))
        return out

    def products(self, matrices):
        """
        Sums over the patterns of tr(B_k B_l T).

        Parameters
        ----------
        matrices : sequence of ndarray
            T of the patterns, symmetric, shapes (P, m, m).

        Returns
        -------
        ndarray
            Shape (c, c).
        """
        out = 0.0
        for bends, matrix in zip(self.bends, matrices):
            flat = bends.reshape(len(bends), -1)
            out = out + flat @ (bends @ matrix).reshape(flat.shape).T
        return 0.5 * (out + np.transpose(out))

    def pair_traces(self):
        """Traces tr(B_k B_l) over all groups, shape (c, c)."""
        return self.products(
            [
                n[:, None, None] * np.eye(b.shape[-1])
                for n, b in zip(self.counts, self.roots)
            ]
        )

    def whitened(self, matrices):
        """U T U' for symmetric matrices T of the patterns, shapes (P, m, m)."""
        return [u @ t @ transpose(u) for u, t in zip(self.roots, matrices)]
