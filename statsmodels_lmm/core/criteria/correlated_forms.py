"""
What changes of the covariance matrix do to a fit with correlated errors.

In whitened rows V = I + Z S Z', G = V^-1 X F^-T, and a coordinate changes V by B_k.
Traces need

    P = I - H H',    H = [Z M^(1/2)  G],
    tr(P B_k P B_l) = tr(B_k B_l) - 2 tr(H'B_k B_l H) + tr(H'B_k H H'B_l H),

without G for ML. If one term is eliminated level by level, H'B_k H has blocks for the
levels, and Z M^(1/2) only as many columns as the term has effects: those of different
levels share no rows.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import (
    as_array,
    consecutive,
    eigh,
    transpose,
)
from statsmodels_lmm.core.criteria.derivatives import (
    of_all_factors,
    projected_products,
    working_columns,
)
from statsmodels_lmm.core.criteria.variance_forms import VarianceForms, expected_traces
from statsmodels_lmm.core.engines.levels import level_gram
from statsmodels_lmm.core.residuals.natural import natural_curvature, of_user
from statsmodels_lmm.core.residuals.patterns import PatternCovariance, Patterns

ENTRIES = 4_000_000
"""Size of the largest array formed for a batch of columns."""

LARGEST = 100_000_000
"""Size of the largest matrix kept for traces."""


@dataclass(frozen=True)
class PairTraces:
    """
    Traces with products of two derivatives of V, one or both in a coordinate.

    Parameters
    ----------
    blocks : list of ndarray
        Sums over the levels of the diagonal blocks of Z'P B_k P Z for each term, shapes
        (c, k, k).
    plain, once, twice : ndarray
        tr(B_k B_l), tr(B_k H H'B_l) and tr(H H'B_k H H'B_l), shapes (c, c).
    """

    blocks: list
    plain: np.ndarray
    once: np.ndarray
    twice: np.ndarray

    @property
    def projected(self):
        """tr(P B_k P B_l), shape (c, c)."""
        return self.plain - 2.0 * self.once + self.twice

    def across(self, changes):
        """
        tr(P B_k P Z D Z').

        Parameters
        ----------
        changes : sequence of ndarray
            D for the parameters of each term, shapes (m_i, k_i, k_i).

        Returns
        -------
        ndarray
            Shape (m, c).
        """
        each = [np.einsum("mab,kab->mk", d, b) for d, b in zip(changes, self.blocks)]
        return np.vstack([np.zeros((0, len(self.plain))), *each])


class CorrelatedForms(VarianceForms):
    """The forms of a model with a covariance of errors, see `VarianceForms`."""

    usual_information = "observed"

    @property
    def n_coordinates(self):  # type: ignore[override]
        """Number of coordinates of the errors' covariance."""
        return self._whitening.model.n_parameters

    @property
    def _whitening(self):
        return self.deviance.whitening

    @property
    def _scale(self):
        return float(self.deviance.scale)

    def free_slopes(self):
        """Changes of the covariance of F'beta along the free parameters, (m, p, p)."""
        own = super().free_slopes() if self.deviance.factors else []
        rows = self.deviance.fixed_rows
        unit = np.eye(self.n_coordinates)
        errors = [rows.T @ self._whitening.along(u, rows) for u in unit]
        p = rows.shape[1]
        return np.array([*own, *errors]).reshape(-1, p, p)

    # products ---------------------------------------------------------------------

    def working_products(self):
        """Products y'P V_r P y and y'P V_r P V_s P y, see `VarianceForms`."""
        first, products = self.products_of(self.unit_changes)
        lengths = self._lengths(len(first))
        return first * lengths, products * np.outer(lengths, lengths)

    def products_of(self, changes):
        """
        Products for changes of the S of each term and for the coordinates.

        Parameters
        ----------
        changes : sequence of ndarray
            Changes by each term's own parameters, shapes (m_i, k_i, k_i).

        Returns
        -------
        first, products : ndarray
            With V_k = B_k for the coordinates, shapes (m,) and (m, m).
        """
        deviance, first, columns = self.deviance, np.zeros(0), []
        if changes:
            first, columns = working_columns(deviance, changes)
        count = len(first)
        own, across, between = self._bent_products()
        out = np.zeros((count + len(own),) * 2)
        if changes:
            out[:count, :count] = projected_products(deviance, columns)
        out[count:, count:] = between
        for c, r in zip(columns, across):
            out[:count, count:] += level_gram(c, r)
        out[count:, :count] = out[:count, count:].T
        return np.append(first, own), out

    def _bent_products(self):
        """e'q_k, Z'P q_k of each term and q_k'P q_l for q_k = B_k e."""
        q = self.deviance.bent_residuals
        return self.deviance.residuals @ q, *self._projected_rows(q)

    def _lengths(self, m):
        """Changes of sigma^2 V per unit of the coordinates are sigma^2 B_k."""
        lengths = np.ones(m)
        lengths[m - self.n_coordinates :] = self._scale
        return lengths

    def _projected_rows(self, q):
        """Z'P q of each term, shapes (l, k, m), and q'P q, for columns q (n, m)."""
        sums = [term.level_sums(q) for term in self.deviance.terms]
        return self._projected(sums, self.deviance.fixed_rows.T @ q, q.T @ q)

    def _projected(self, sums, half, total):
        """The same from Z'q of each term, G'q and q'q."""
        deviance, across = self.deviance, []
        if sums:
            modes = deviance.elimination.solve(sums)
            total = total - sum(map(level_gram, sums, modes))
            across = deviance.elimination.project(sums)
            across = [a - y @ half for a, y in zip(across, deviance.fixed_scores)]
        return across, total - half.T @ half

    def slopes(self, changes, along):
        """Changes of the covariance of F'beta, see `VarianceForms`."""
        rows = self.deviance.fixed_rows
        each = [rows.T @ self._whitening.along(u, rows) for u in along]
        p = rows.shape[1]
        errors = self._scale * np.array(each).reshape(-1, p, p)
        return [*super().slopes(changes, along), errors]

    def products(self, changes, along):
        """G'V_r P V_r G for one direction, see `VarianceForms`."""
        q = self._scale * self._whitening.along(along, self.deviance.fixed_rows)
        across, total = self._projected_rows(q)
        columns = self._columns(changes)
        if columns:
            mixed = sum(map(level_gram, columns, across))
            total = total + mixed + mixed.T
            total = total + projected_products(self.deviance, columns)
        return total

    def curvature(self, root):
        """Second derivatives in the natural parameters, see `VarianceForms`."""
        own = super().curvature(root)
        last = root[-1 - self.n_coordinates :]
        scaled = np.vstack([self._scale * last[:-1], last[-1:]])
        return own + natural_curvature(
            self._whitening, self.deviance.fixed_rows, scaled
        )

    def bend(self):
        """Half the terms of the Hessian with second derivatives of V, shape (m, m)."""
        own = super().bend() if self.deviance.factors else np.zeros((0, 0))
        count, c = len(own), self.n_coordinates
        out = np.zeros((count + c,) * 2)
        out[:count, :count] = own
        out[count:, count:] = 0.5 * self.second_traces()
        return out

    def error_slopes(self):
        """tr(P B_k) - e'B_k e / scale, shape (c,)."""
        return self._whitening.paired(self.deviance.form)

    def second_traces(self):
        """tr(P B_kl) - e'B_kl e / scale, shape (c, c)."""
        deviance = self.deviance
        return self._whitening.second_traces(deviance.form, deviance.error_slopes)

    def of_user(self):
        """The directions of the user's parameters, see `VarianceForms`."""
        change = super().of_user()
        c = self.n_coordinates
        inner = np.eye(len(change))
        inner[-c - 1 :, -c - 1 :] = of_user(self._whitening, self._scale)
        return change @ inner

    # traces -----------------------------------------------------------------------

    def require(self, what, instead):
        """Raise MemoryError if the traces need matrices that do not fit."""
        if self.deviance.terms and not self._by_level:
            super().require(what, instead)
        if not self.are_affordable:
            n, width = self._shape
            raise MemoryError(
                f"{what} needs a dense matrix of {n:,} x {width:,}; {instead}"
            )

    @property
    def _by_level(self):
        return is_by_level(self.deviance.elimination.products.plan)

    @property
    def _shape(self):
        return half_shape(self.deviance.elimination.products)

    @property
    def are_affordable(self):
        """Whether the traces fit."""
        n, width = self._shape
        return max(n * width, width**2 * self.n_coordinates) <= LARGEST

    def traces(self):
        """Traces tr(P V_r P V_s) for the parameters and V, shape (m + 1, m + 1)."""
        deviance, changes, c = self.deviance, self.unit_changes, self.n_coordinates
        count = sum(map(len, changes))
        out = np.zeros((count + c + 1,) * 2)
        if changes:
            own = np.append(np.arange(count), count + c)
            of_effects = expected_traces(deviance, of_all_factors(changes))
            out[np.ix_(own, own)] = of_effects
        here = slice(count, count + c)
        out[:count, here], out[here, here] = (
            self.pairs.across(changes),
            self.pairs.projected,
        )
        out[here, :count] = out[:count, here].T
        # P V P is P, and at the optimum the slopes tr(P B_k) - e'B_k e / scale are zero
        observed = deviance.residuals @ deviance.bent_residuals
        out[here, -1] = out[-1, here] = observed / self._scale
        out[-1, -1] = deviance.nu
        lengths = np.append(self._lengths(count + c), 1.0)
        return out * np.outer(lengths, lengths)

    @cached_property
    def pairs(self):
        """Traces with products of two derivatives of V, PairTraces."""
        return self._level_traces() if self._by_level else self._dense_traces()

    @cached_property
    def _fixed(self):
        """G; without columns for ML."""
        rows = self.deviance.fixed_rows
        return rows if self.deviance.reml else rows[:, :0]

    def _level_traces(self):
        """The traces if each level of one term has rows of its own."""
        deviance, fixed = self.deviance, self._fixed
        (term,), k = deviance.terms, deviance.terms[0].k_effects
        unit = np.broadcast_to(np.eye(k), (term.n_levels, k, k))
        (inverse,) = deviance.elimination.solve([unit])
        left = term.at(
            term.codes, _times_blocks(term, unit - inverse @ term.diagonal_blocks())
        )  # V^-1 Z
        roots = term.at(term.codes, _times_blocks(term, _root(inverse)))
        half = np.hstack([roots.effects, fixed])
        once, blocks, inner = self._within(half, roots, fixed)
        # each pair of effects occurs twice, a pair of an effect and a column once
        weights = np.append(np.ones(k), np.full(fixed.shape[1], 2.0))
        twice = np.einsum("gakq,galq,q->kl", blocks, blocks, weights, optimize=True)
        twice += np.einsum("kpq,lqp->kl", inner[..., k:], inner[..., k:])

        _, blocks, inner = self._within(np.hstack([left.effects, fixed]), left, fixed)
        blocks = np.moveaxis(blocks, 2, 0)
        y = deviance.fixed_scores[0][..., : fixed.shape[1]]
        mixed = blocks[..., k:] @ transpose(y)
        both = y @ inner[:, None, :, k:] @ transpose(y)
        turned = (blocks[..., :k] - mixed - transpose(mixed) + both).sum(axis=1)
        return PairTraces([turned], self._whitening.pair_traces(), once, twice)

    def _within(self, columns, term, fixed):
        """
        Sums for changes B_k A of columns A.

        Returns
        -------
        gram, blocks, inner : ndarray
            tr(A'B_k B_l A), Z'B_k A of each level and G'B_k A, shapes (c, c),
            (l, k, c, a) and (c, p, a).
        """
        gram, blocks, inner = 0.0, [], []
        for place in self._batches(columns.shape[1]):
            bent = self._whitening.bent(columns[:, place])
            flat = bent.reshape(len(bent), -1)
            gram = gram + flat @ flat.T
            inner.append(fixed.T @ bent)
            sums = term.level_sums(np.moveaxis(bent, 0, 1).reshape(len(columns), -1))
            blocks.append(sums.reshape(*sums.shape[:2], len(bent), -1))
        return gram, np.concatenate(blocks, axis=-1), np.concatenate(inner, axis=-1)

    def _dense_traces(self):
        """The traces from H as a whole matrix."""
        deviance = self.deviance
        columns = [as_array(sparse.csr_array(f.indicator())) for f in deviance.terms]
        widths = [each.shape[1] for each in columns]
        z = np.hstack([np.zeros((len(deviance.residuals), 0)), *columns])
        q, half = z.shape[1], self._fixed
        if q:
            half = np.hstack([z @ _root(self._inverse(widths)), half])
        both, once, plain = self._bent_grams(np.hstack([z, half]), q)
        own, mixed, inner = both[:, :q, :q], both[:, q:, :q], both[:, q:, q:]
        projected = half.T @ z
        mixed = projected.T @ mixed
        turned = own - mixed - transpose(mixed) + projected.T @ inner @ projected
        blocks = []
        for term, place in zip(deviance.terms, consecutive(widths)):
            shape = term.n_levels, term.k_effects
            of_term = turned[:, place, place].reshape(-1, *shape, *shape)
            blocks.append(np.einsum("kgagb->kab", of_term))
        twice = np.einsum("kab,lba->kl", inner, inner)
        return PairTraces(blocks, plain, once, twice)

    def _bent_grams(self, columns, start):
        """
        Products with derivatives B_k for columns A, of which the last are H.

        Returns
        -------
        both, once, plain : ndarray
            A'B_k A, tr(H'B_k B_l H) and tr(B_k B_l), shapes (c, a, a), (c, c), (c, c).
        """
        whitening, width = self._whitening, columns.shape[1]
        patterns = Patterns.of(whitening.model)
        if patterns.n_entries * width**2 <= ENTRIES:
            return self._by_pattern(patterns, columns, start)
        c = self.n_coordinates
        parts, once = [np.zeros((c, width, 0))], np.zeros((c, c))
        for place in self._batches(width):
            bent = whitening.bent(columns[:, place])
            parts.append(columns.T @ bent)
            flat = bent[..., max(start - place.start, 0) :].reshape(len(bent), -1)
            once += flat @ flat.T
        return np.concatenate(parts, axis=-1), once, whitening.pair_traces()

    def _by_pattern(self, patterns, columns, start):
        """See `_bent_grams`; products of rows are added up before B_k enters."""
        whitening, width = self._whitening, columns.shape[1]
        one_of_each = patterns.representatives(whitening.model)
        covariance = PatternCovariance.at(patterns, one_of_each, whitening.x)
        both, halves = np.zeros((self.n_coordinates, width**2)), []
        for batch, bends in zip(patterns.batches, covariance.bends):
            m = batch.rows.shape[1]
            sums = np.empty((len(batch.counts), m, width, m, width))
            for out, i, j in zip(sums, batch.starts[:-1], batch.starts[1:]):
                inside = columns[batch.rows[i:j]].reshape(j - i, m * width)
                out[...] = (inside.T @ inside).reshape(m, width, m, width)
            flat = bends.reshape(len(bends), -1)
            both += flat @ sums.swapaxes(2, 3).reshape(flat.shape[1], width**2)
            own = sums[:, :, start:, :, start:]
            halves.append(np.einsum("pmana->pmn", own))
        both = both.reshape(len(both), width, width)
        return both, covariance.products(halves), covariance.pair_traces()

    def _inverse(self, widths):
        """M as a whole matrix, shape (q, q)."""
        terms, unit = self.deviance.terms, np.eye(sum(widths))
        sums = [
            unit[rows].reshape(f.n_levels, f.k_effects, -1)
            for f, rows in zip(terms, consecutive(widths))
        ]
        modes = self.deviance.elimination.solve(sums)
        return np.vstack([each.reshape(-1, len(unit)) for each in modes])

    def _batches(self, width):
        """Ranges of columns whose changes fit."""
        rows = max(1, self.n_coordinates * self.deviance.elimination.products.nobs)
        step = max(1, ENTRIES // rows)
        return [slice(i, min(i + step, width)) for i in range(0, width, step)]


def is_by_level(plan):
    """Whether there is one term whose levels have rows of their own."""
    return plan.is_diagonal and plan.terms[0].is_grouped


def half_shape(products):
    """Shape of H, columns of different levels in one where they share no rows."""
    terms = products.plan.terms
    by_level = is_by_level(products.plan)
    own = sum(f.k_effects if by_level else f.n_columns for f in terms)
    return products.nobs, own + products.k_fixed


def _times_blocks(term, blocks):
    """The effects of each row times the block of its level, shape (n, k)."""
    return (term.effects[:, None] @ blocks[term.codes])[:, 0]


def _root(matrices):
    """Symmetric roots of positive semi-definite matrices, shapes (..., k, k)."""
    values, vectors = eigh(matrices)
    roots = np.sqrt(np.maximum(values, 0.0))
    return (vectors * roots[..., None, :]) @ transpose(vectors)
