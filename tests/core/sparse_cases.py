"""Designs whose random effects stay sparse, with dense relationships."""

from functools import cache

import numpy as np
import pytest
from scipy import sparse

from statsmodels_lmm.core.engines import sparse_engine
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.engines.sparse_products import SparseProducts
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Precision, Relationship
from statsmodels_lmm.core.rows.raw_effects import RawEffects

N = 36


def precision_matrix(seed, size):
    """A sparse, regular precision, as of a pedigree, and its inverse."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((size, size))
    for i in range(2, size):
        weights[i, rng.choice(i, 2, replace=False)] = rng.uniform(0.2, 0.6, 2)
    own = np.eye(size) - weights
    q = own.T @ np.diag(rng.uniform(0.5, 3.0, size)) @ own
    return sparse.csc_array(q), np.linalg.inv(q)


def codes(rng, size):
    return rng.permutation(np.append(np.arange(size), rng.integers(size, size=N))[:N])


def related(seed, size, k, blocks=None, unseen=2):
    """A factor with a sparse precision, and K; the last levels have no rows."""
    rng = np.random.default_rng(seed)
    effects = np.column_stack([np.ones(N), rng.standard_normal((N, k - 1))])
    q, known = precision_matrix(seed, size)
    at = codes(rng, size - unseen)
    factor = GroupedEffects(at, size, effects, blocks or (k,), (), Precision(q))
    return factor, known


def unrelated(seed, size, k):
    rng = np.random.default_rng(seed)
    effects = np.column_stack([np.ones(N), rng.standard_normal((N, k - 1))])
    return GroupedEffects(codes(rng, size), size, effects, (k,)), np.eye(size)


def densely_related(seed, size):
    factor, known = unrelated(seed, size, 1)
    root = np.random.default_rng(seed).standard_normal((size, size))
    known = root @ root.T / size + 0.2 * np.eye(size)
    return GroupedEffects(
        factor.codes, size, factor.effects, (1,), (), Relationship(known)
    ), known


def matrix(seed, size, known=None):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((N, size)) * (rng.random((N, size)) < 0.3)
    if known == "precision":
        q, k = precision_matrix(seed, size)
        return RawEffects(sparse.csr_array(z), Precision(q)), k
    return RawEffects(sparse.csr_array(z)), np.eye(size)


def dense_matrix(seed, size):
    factor, known = matrix(seed, size)
    return RawEffects(factor.matrix.toarray()), known


CASES = {
    "levels": lambda: [related(1, 9, 1)],
    "slopes": lambda: [related(2, 9, 2)],
    "blocks": lambda: [related(3, 8, 3, (1, 2))],
    "two related": lambda: [related(4, 7, 1), related(5, 9, 2, unseen=0)],
    "beside crossed": lambda: [
        unrelated(6, 4, 2),
        related(7, 9, 1),
        unrelated(8, 6, 1),
    ],
    "matrix": lambda: [matrix(9, 12)],
    "matrix with precision": lambda: [matrix(10, 8, "precision")],
    "matrix beside slopes": lambda: [matrix(11, 10), related(12, 6, 2)],
    "beside dense relationship": lambda: [related(13, 9, 1), densely_related(14, 5)],
    "beside dense matrix": lambda: [related(15, 9, 2), dense_matrix(16, 6)],
}

KINDS = ["regular", "zero", "singular", "small", "large"]


@cache
def data(case):
    rng = np.random.default_rng(17)
    pairs = CASES[case]()
    exog = np.column_stack([np.ones(N), rng.standard_normal((N, 2))])
    endog = exog @ [1.0, -1.0, 0.5] + rng.standard_normal(N)
    for factor, known in pairs:
        z = np.kron(np.linalg.cholesky(known), np.eye(factor.k_effects))
        endog = endog + factor.indicator() @ z @ rng.standard_normal(len(z))
    return endog, exog, pairs


@cache
def products_of(case):
    endog, exog, pairs = data(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_engine, "MANY_COLUMNS", 5)
        products = sufficient_statistics(endog, exog, [f for f, _ in pairs])
    assert isinstance(products, SparseProducts)
    return products


def relative(case, kind):
    """A relative covariance of each factor."""
    rng = np.random.default_rng(18)
    out = []
    for factor, _ in data(case)[2]:
        s = np.zeros((factor.k_effects,) * 2)
        for block in factor.block_slices:
            size = block.stop - block.start
            root = np.tril(rng.standard_normal((size, size)), -1)
            root += np.diag(rng.uniform(0.5, 1.5, size))
            root *= {"zero": 0.0, "small": 1e-5, "large": 1e3}.get(kind, 1.0)
            if kind == "singular":
                root[:, -1] = 0.0
            s[block, block] = root @ root.T
        out.append(s)
    return out
