"""
Errors that depend on the row before alone: whitening in time proportional to the rows.

With r_t the correlation of row t with the one before it, 0 for the first of a group,
and s_t^2 = 1 - r_t^2, the inverse V of the triangle L with C = L L' has two diagonals,

    (V x)_t = (x_t - r_t x_(t-1)) / s_t,

and so have its derivatives V_k, with which B_k = -(V_k L + L' V_k'). For H = w w' with
whitened rows w, and x = L w, a trace takes products of neighbors alone:

    tr(B_k H) = -2 sum of r_kt (r_t w_t^2 / s_t^2 - x_(t-1) w_t / s_t).

Second derivatives follow from those of Q = R^-1 = U'U,

    tr(B_kl H) = 2 tr(B_k B_l H) - tr(U^-T Q_kl U^-1 H).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import solve_banded

from statsmodels_lmm.core.algebra.distinct_rows import distinct_rows
from statsmodels_lmm.core.residuals.block_roots import by_parts


@dataclass(frozen=True)
class Chain:
    """
    The rows of all residual groups, one after the other in order of place.

    Parameters
    ----------
    order : ndarray
        The rows, shape (n,).
    follows : ndarray
        Whether a row of that order has one of its group before it, shape (n,).
    step : ndarray
        Which step leads to the row, shape (n,); of no meaning for the first of a group.
    before, after : ndarray
        Places before and after each different step, shape (k,).
    parts : ndarray
        Set of parameters of each step, shape (k,).
    """

    order: np.ndarray
    follows: np.ndarray
    step: np.ndarray
    before: np.ndarray
    after: np.ndarray
    parts: np.ndarray


def chain_of(layout, of_visits):
    """
    Put the rows of a layout one after the other.

    Parameters
    ----------
    layout : ResidualLayout
        The residual groups, placed by visits or along a line.
    of_visits : bool
        Whether a step depends on both visits; otherwise on their distance alone.

    Returns
    -------
    Chain
    """
    each = []
    for batch in layout.batches:
        where = np.repeat(batch.where, batch.counts, axis=0)
        before = np.concatenate([where[:, :1], where[:, :-1]], axis=1)
        parts = np.broadcast_to(batch.parts[batch.patterns][:, None], where.shape)
        follows = np.arange(where.shape[1]) > 0
        follows = np.broadcast_to(follows, where.shape)
        columns = batch.rows, follows, before, where, parts
        each.append([column.ravel() for column in columns])
    order, follows, before, after, parts = map(np.concatenate, zip(*each))
    if not of_visits:
        before, after = np.zeros_like(before), after - before
    keys = np.column_stack([parts, before, after])
    first, step = distinct_rows(keys)
    return Chain(order, follows, step, before[first], after[first], parts[first])


@dataclass(frozen=True)
class Bidiagonal:
    """
    A lower triangular matrix with two diagonals.

    Parameters
    ----------
    diagonal, below : ndarray
        Entries of row t in columns t and t - 1, shape (n,); the first of `below` is 0.
    """

    diagonal: np.ndarray
    below: np.ndarray

    def times(self, columns):
        """M A for columns A, shape (n, w)."""
        out = self.diagonal[:, None] * columns
        out[1:] += self.below[1:, None] * columns[:-1]
        return out

    def transposed_times(self, columns):
        """M'A for columns A, shape (n, w)."""
        out = self.diagonal[:, None] * columns
        out[:-1] += self.below[1:, None] * columns[1:]
        return out

    def solve(self, columns, transposed=False):
        """M^-1 A or M^-T A for columns A, shape (n, w)."""
        if not columns.size:
            return columns
        below, above = np.append(self.below[1:], 0.0), np.append(0.0, self.below[1:])
        if transposed:
            return solve_banded((0, 1), np.array([above, self.diagonal]), columns)
        return solve_banded((1, 0), np.array([self.diagonal, below]), columns)

    def matrix(self, order):
        """The matrix for rows in their own order, as a csr_array."""
        n = len(order)
        values = np.concatenate([self.diagonal, self.below[1:]])
        rows = np.concatenate([order, order[1:]])
        columns = np.concatenate([order, order[:-1]])
        out = sparse.csr_array((values, (rows, columns)), shape=(n, n))
        out.eliminate_zeros()
        return out


@dataclass(frozen=True)
class BidiagonalRoots:
    """
    The correlations at one value of their parameters, see `block_roots.BlockRoots`.

    Parameters
    ----------
    model : ResidualCovariance
        How the covariance of the errors depends on parameters.
    phi : ndarray
        Parameters of each set, shape (parts, c).
    """

    model: Any
    phi: np.ndarray

    @cached_property
    def _steps(self):
        """Correlations across each step and derivatives, (k,), (c, k), (c, c, k)."""
        chain, lag = self.model.chain, self.model.structure.lag
        where = np.column_stack([chain.before, chain.after])
        return [
            by_parts(
                lambda phi, w, order=order: lag(phi, *w.T)[order],
                self.phi,
                where,
                chain.parts,
                order,
            )
            for order in range(3)
        ]

    def _at_rows(self, values):
        """Values of the steps at the rows they lead to; 0 at the first of a group."""
        return np.where(
            self.model.chain.follows, values[..., self.model.chain.step], 0.0
        )

    @cached_property
    def lags(self):
        """Correlation r of each row with the one before it, shape (n,)."""
        return self._at_rows(self._steps[0])

    @cached_property
    def rest(self):
        """
        The share of the variance that the row before leaves, s^2, shape (n,).

        Raises
        ------
        numpy.linalg.LinAlgError
            If it is not positive in floating point.
        """
        rest = (1.0 - self.lags) * (1.0 + self.lags)
        if not (rest > 0.0).all():
            raise np.linalg.LinAlgError("a correlation of neighbors is 1")
        return rest

    @cached_property
    def inverse(self):
        """V, in the order of the chain."""
        root = np.sqrt(self.rest)
        return Bidiagonal(1.0 / root, -self.lags / root)

    # products with rows ---------------------------------------------------------

    def _in_order(self, function, columns):
        """A function of columns (n, w) of rows in the order of the chain."""
        order = self.model.chain.order
        flat = columns.reshape(len(order), -1)
        out = np.empty(flat.shape)
        out[order] = function(flat[order])
        return out.reshape(columns.shape)

    def whiten(self, columns):
        """V A for columns A, dense or sparse, shape (n,) or (n, w)."""
        if sparse.issparse(columns):
            return (self.inverse.matrix(self.model.chain.order) @ columns).tocsr()
        return self._in_order(self.inverse.times, columns)

    def color(self, columns):
        """V^-1 A for dense columns A."""
        return self._in_order(self.inverse.solve, columns)

    def whiten_transposed(self, columns):
        """V'A for dense columns A."""
        return self._in_order(self.inverse.transposed_times, columns)

    def color_transposed(self, columns):
        """V^-T A for dense columns A."""
        return self._in_order(lambda a: self.inverse.solve(a, True), columns)

    def bent(self, columns):
        """B_k A of all sets of parameters, shape (parts, c, n, ...)."""
        colored, out = self.color(columns), np.empty((*self.phi.shape, *columns.shape))
        for place in np.ndindex(self.phi.shape):
            direction = np.zeros(self.phi.shape)
            direction[place] = 1.0
            out[place] = self._along(direction, columns, colored)
        return out

    def along(self, direction, columns):
        """The sum of d_k B_k A for changes d of the parameters, shape (parts, c)."""
        return self._along(direction, columns, self.color(columns))

    def _along(self, direction, columns, colored):
        of_step = (direction[self.model.chain.parts].T * self._steps[1]).sum(axis=0)
        own = self._at_rows(of_step) / self.rest**1.5
        change = Bidiagonal(self.lags * own, -own)
        right = self._in_order(change.transposed_times, columns)
        return -self._in_order(change.times, colored) - self.color_transposed(right)

    # scalars ---------------------------------------------------------

    def _by_parameter(self, weights):
        """Sums over rows of r_k times weights (n,), shape (parts c,)."""
        chain, out = self.model.chain, np.zeros(self.phi.shape)
        np.add.at(out, chain.parts, (self._steps[1] * self._by_step(weights)).T)
        return out.ravel()

    def _by_step(self, weights):
        """Sums of weights (n,) over the rows that each step leads to, shape (k,)."""
        chain = self.model.chain
        kept = np.where(chain.follows, weights, 0.0)
        return np.bincount(chain.step, kept, minlength=len(chain.parts))

    def _by_pair(self, weights):
        """Sums over rows of r_k r_l times weights, shape (parts c, parts c)."""
        _, slopes, _ = self._steps
        return self._of_pairs(
            np.einsum("ks,ls,s->skl", slopes, slopes, self._by_step(weights))
        )

    def _of_pairs(self, each):
        """Add matrices (k, c, c) of the steps to the blocks of their sets."""
        parts, c = self.phi.shape
        blocks = np.zeros((parts, c, c))
        np.add.at(blocks, self.model.chain.parts, each)
        out = np.zeros((parts, c, parts, c))
        for part, block in enumerate(blocks):
            out[part, :, part] = block
        return out.reshape(parts * c, parts * c)

    @property
    def log_determinant(self):
        """Logarithm of the determinant of C, over all groups."""
        return float(np.log(self.rest).sum())

    @cached_property
    def _columns(self):
        """F of each row, and what it exceeds that of the row before by, (n, s)."""
        f = self.model.columns[self.model.chain.order]
        return f, np.diff(f, axis=0, prepend=f[:1])

    def paired(self, form):
        """tr(B_k H) of correlations and of gamma, see `BlockRoots.paired`."""
        near, r, rest = form.neighbors, self.lags, self.rest
        across = near.across / np.sqrt(rest)
        own = self._by_parameter(-2.0 * (r * near.whitened / rest - across))
        f, change = self._columns
        return np.append(own, 2.0 * (near.whitened @ f + (r * across) @ change))

    def pair_traces(self):
        """Traces tr(B_k B_l) of correlations and of gamma, shape (m, m)."""
        r, rest, (f, change) = self.lags, self.rest, self._columns
        own = self._by_pair(2.0 * (1.0 + r**2) / rest**2)
        both = -2.0 * r / rest  # f_t + f_(t-1) = 2 f_t - change
        mixed = np.array(
            [self._by_parameter(both * each) for each in (2.0 * f - change).T]
        )
        weight = (r**2 / rest)[:, None]
        gamma = 4.0 * f.T @ f + 2.0 * change.T @ (weight * change)
        return _joined(own, mixed, gamma)

    leaves_pairs = True

    def second_traces(self, form):
        """tr(B_kl H) without 2 tr(B_k B_l H), shape (m, m)."""
        near, r, rest = form.neighbors, self.lags, self.rest
        ww, xw, xx, s = near.whitened, near.across, near.before, np.sqrt(rest)
        slope = 2.0 * r * ww / rest - 2.0 * xw / s
        bend = 2.0 * (1.0 + 3.0 * r**2) * ww / rest**2
        bend += -8.0 * r * xw / (s * rest) + 2.0 * xx / rest
        bends = np.moveaxis(self._steps[2] * self._by_step(slope), -1, 0)
        own = -self._of_pairs(bends) - self._by_pair(bend)
        f, change = self._columns
        mixed = [
            self._by_parameter(self._mixed(one, step, ww, xw, xx))
            for one, step in zip(f.T, change.T)
        ]
        lagged, twice = r / s * xw, r**2 / rest * xx
        crossed = 2.0 * f.T @ (lagged[:, None] * change)
        gamma = 2.0 * f.T @ (ww[:, None] * f) + crossed + crossed.T
        gamma += change.T @ ((twice - lagged)[:, None] * change)
        return _joined(own, mixed, -2.0 * gamma)

    def _mixed(self, f, change, ww, xw, xx):
        """What multiplies r_k in the second derivative in it and in gamma."""
        r, rest = self.lags, self.rest
        before = f - change
        of_xw = (f * (3.0 * r**2 - 1.0) - before * (1.0 + r**2)) / rest**1.5
        return 2.0 * (2.0 * r * f * ww / rest + of_xw * xw - r * change * xx / rest)


def _joined(own, mixed, gamma):
    """A symmetric matrix from its blocks; `mixed` has rows of gamma, if any."""
    mixed = np.reshape(mixed, (len(gamma), len(own)))
    return np.block([[own, mixed.T], [mixed, gamma]])
