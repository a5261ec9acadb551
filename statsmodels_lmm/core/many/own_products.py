"""
Cross-products of many responses, each with weights of its own.

A missing value is a row of weight zero, so that any pattern of missing values and any
weights are one computation: the columns z z', z x and x x' of the rows, summed with the
weights of each response.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.engines.coupling import DenseCoupling
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.many.standardized_responses import weighted_gram


@dataclass(frozen=True)
class OwnProducts(CrossProducts):
    """
    Sufficient statistics in which every array has an axis for the responses.

    See `CrossProducts`; the numbers of rows are an array (r,), and a term without tail
    has no coupling.
    """

    nobs: Any

    def select(self, which):
        """The products of selected responses; of one, without that axis."""
        coupling = tuple(
            None if c is None else DenseCoupling(c.values[which]) for c in self.coupling
        )
        return replace(
            self,
            nobs=self.nobs[which],
            level_sums=tuple(sums[which] for sums in self.level_sums),
            gram=self.gram[which],
            diagonal=tuple(d[which] for d in self.diagonal),
            nested={pair: block[which] for pair, block in self.nested.items()},
            coupling=coupling,
            tail=self.tail[which],
        )


def own_products(products, x, responses, weights):
    """
    Form the products of responses over their own rows.

    Parameters
    ----------
    products : CrossProducts
        Those of the design, whose terms are grouped and not related.
    x : ndarray
        X in standardized units, shape (n, p).
    responses : ndarray
        Responses in standardized units, shape (r, n).
    weights : ndarray
        Weights of their rows, zero for a missing value, shape (r, n).

    Returns
    -------
    OwnProducts
    """
    plan, p = products.plan, x.shape[1]
    chain, n_tail = plan.chain, plan.n_tail
    r, weighted = len(responses), weights * responses
    gram = np.empty((r, p + 1, p + 1))
    gram[:, :p, :p] = weighted_gram(x, weights)
    gram[:, :p, p] = gram[:, p, :p] = weighted @ x
    gram[:, p, p] = (weighted * responses).sum(axis=1)
    level_sums = []
    for term in plan.terms:
        sums = [_level_sums(term, column, weights) for column in x.T]
        sums.append(_level_sums(term, np.ones(len(x)), weighted))
        level_sums.append(np.stack(sums, axis=-1))
    coupling: list = [None] * len(chain)
    if plan.tail:
        for i, term in enumerate(chain):
            blocks = [_crossed(term, other, weights) for other in plan.tail]
            whole = np.concatenate(blocks, axis=-1)
            shape = r, term.n_levels, term.k_effects, n_tail
            coupling[i] = DenseCoupling(whole.reshape(shape))
    tail = np.zeros((r, n_tail, n_tail))
    pairs = list(zip(plan.tail, plan.tail_slices))
    for a, (term, rows) in enumerate(pairs):
        for other, columns in pairs[: a + 1]:
            tail[:, rows, columns] = _crossed(term, other, weights)
            tail[:, columns, rows] = tail[:, rows, columns].swapaxes(1, 2)
    return OwnProducts(
        plan=plan,
        nobs=(weights > 0.0).sum(axis=1),
        level_sums=tuple(level_sums),
        gram=gram,
        diagonal=tuple(_by_level(term, term, weights) for term in chain),
        nested={
            (i, j): _by_level(chain[i], chain[j], weights) for i, j in plan.parents
        },
        coupling=tuple(coupling),
        tail=tail,
    )


def _level_sums(term, column, weights):
    """Z'W c for a column c, shape (r, l, k)."""
    return term.transposed_times(weights * column)


def _by_level(term, other, weights):
    """The blocks of Z_i'W Z_j of each level of i, shape (r, l, k_i, k_j)."""
    each = [_level_sums(term, column, weights) for column in other.effects.T]
    return np.stack(each, axis=-1)


def _crossed(term, other, weights):
    """Z_i'W Z_j, shape (r, q_i, q_j)."""
    n, (k, m) = len(term.codes), (term.k_effects, other.k_effects)
    values = term.effects[:, :, None] * other.effects[:, None, :]
    row = (term.codes * k)[:, None] + np.arange(k)
    column = (other.codes * m)[:, None] + np.arange(m)
    cell = row[:, :, None] * other.n_columns + column[:, None, :]
    size = term.n_columns * other.n_columns
    rows = np.repeat(np.arange(n), k * m)
    sums = sparse.csr_array((values.ravel(), (cell.ravel(), rows)), shape=(size, n))
    out = np.ascontiguousarray((sums @ weights.T).T)
    return out.reshape(len(weights), term.n_columns, other.n_columns)
