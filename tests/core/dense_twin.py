"""
The obvious dense computations that the numerical core is held against.

Everything is written with V = I + Z S Z', its inverse and n x n matrices, in the
order of the user's factors and levels. With `digits` it is done in decimal numbers,
for points at which V is too ill-conditioned for double precision.
"""

from dataclasses import dataclass, replace
from decimal import Decimal, getcontext

import numpy as np

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.engines import block_engine
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.structures.relative_factor import (
    pivoted_factor,
    starting_factor,
)

PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923")


def with_digits(digits):
    """A function that makes arrays of decimal numbers of as many digits."""
    getcontext().prec = digits
    return np.vectorize(Decimal, otypes=[object])


def dense_z(factor):
    """Z of one factor, row by row."""
    n, k = factor.effects.shape
    z = np.zeros((n, factor.n_levels * k))
    for row in range(n):
        start = factor.codes[row] * k
        z[row, start : start + k] = factor.effects[row]
    return z


def inverse_and_logdet(matrix):
    """Inverse and log-determinant of a positive definite matrix."""
    if matrix.dtype != object:
        return np.linalg.inv(matrix), np.linalg.slogdet(matrix)[1]
    n = len(matrix)
    work = np.concatenate([matrix, np.vectorize(Decimal)(np.eye(n))], axis=1)
    logdet = Decimal(0)
    for i in range(n):  # Gauss-Jordan; no pivots needed for a positive matrix
        logdet += work[i, i].ln()
        work[i] = work[i] / work[i, i]
        for j in range(n):
            if j != i:
                work[j] = work[j] - work[j, i] * work[i]
    return work[:, n:], logdet


def free_entries(factor):
    """(row, column) in L of the free entries of a factor of unstructured blocks."""
    return [
        (start.start + row, start.start + column)
        for block, start in zip(factor.blocks, factor.slices)
        for row, column in zip(block.rows, block.columns)
    ]


class DenseTwin:
    """
    Criterion, estimates and derivatives at one value of the relative factors.

    Parameters
    ----------
    endog, exog : ndarray
        Response and fixed design.
    factors : sequence of GroupedEffects
        In the user's order.
    roots : sequence of RelativeFactor
        L of each factor and the entries to differentiate by.
    reml : bool
        Which criterion.
    digits : int, optional
        Decimal digits to compute with.
    """

    def __init__(self, endog, exog, factors, roots, reml, digits=None):
        number = with_digits(digits) if digits else np.asarray
        self.terms, self.roots, self.reml = factors, roots, reml
        n, p = exog.shape
        y, x = number(endog), number(exog)
        self.z = [number(dense_z(f)) for f in factors]
        self.l = [number(r.matrix) for r in roots]
        self.s = [m @ m.T for m in self.l]
        v = number(np.eye(n))
        for i in range(len(factors)):
            v = v + self.through_levels(i, self.s[i])
        self.v_inverse, logdet = inverse_and_logdet(v)
        xvx = x.T @ self.v_inverse @ x
        self.xvx_inverse, xvx_logdet = inverse_and_logdet(xvx)
        vx = self.v_inverse @ x
        self.p = self.v_inverse - vx @ self.xvx_inverse @ vx.T
        self.py = self.p @ y
        self.nu = n - p if reml else n
        self.scale = (y @ self.py) / self.nu
        total = 2 * PI * self.scale if digits else 2 * np.pi * self.scale
        self.logdet = logdet
        self.value = logdet + self.nu * (1 + (total.ln() if digits else np.log(total)))
        if reml:
            self.value = self.value + xvx_logdet
        self.coefficients = self.xvx_inverse @ (vx.T @ y)
        # what the logarithms of the criterion are differentiated to
        self.kernel = self.p if reml else self.v_inverse

    def through_levels(self, i, change):
        """Z_i (I (x) change) Z_i', n x n."""
        f, z = self.terms[i], self.z[i]
        n = len(f.codes)
        blocks = z.reshape(n, f.n_levels, -1)
        moved = np.concatenate(
            [blocks[:, g] @ change for g in range(f.n_levels)], axis=1
        )
        return moved @ z.T

    def level_blocks(self, i, matrix):
        """Diagonal blocks of Z_i' matrix Z_i, shape (l, k, k)."""
        f = self.terms[i]
        k = f.k_effects
        full = self.z[i].T @ matrix @ self.z[i]
        return np.array(
            [full[g * k : (g + 1) * k, g * k : (g + 1) * k] for g in range(f.n_levels)]
        )

    def scores(self, i):
        """Z_i'Py, shape (l, k)."""
        return (self.z[i].T @ self.py).reshape(self.terms[i].n_levels, -1)

    def modes(self, i):
        """S_i Z_i'Py level by level, shape (l, k)."""
        return self.scores(i) @ self.s[i]

    def conditional_blocks(self, i):
        """Diagonal blocks of S - S Z'V^-1 Z S, shape (l, k, k)."""
        s = self.s[i]
        blocks = self.level_blocks(i, self.v_inverse)
        return np.array([s - s @ block @ s for block in blocks])

    def level_sum(self, i):
        """Sum of the diagonal blocks of Z_i'V^-1 Z_i, shape (k, k)."""
        return self.level_blocks(i, self.v_inverse).sum(axis=0)

    def dual(self, i):
        """Derivative of the criterion in S_i, shape (k, k)."""
        t = self.scores(i)
        return self.level_blocks(i, self.kernel).sum(axis=0) - t.T @ t / self.scale

    def _slopes(self):
        """(factor, row, column, dV) of every free entry."""
        out = []
        for i, root in enumerate(self.roots):
            k = self.terms[i].k_effects
            for row, column in free_entries(root):
                ds = np.zeros((k, k)) * self.l[i][0, 0]
                ds[row] = ds[row] + self.l[i][:, column]
                ds = ds + ds.T
                out.append((i, row, column, self.through_levels(i, ds)))
        return out

    def gradient(self):
        """Tr(K dV_a) - y'P dV_a P y / scale."""
        return np.array(
            [
                (self.kernel * dv).sum() - self.py @ dv @ self.py / self.scale
                for *_, dv in self._slopes()
            ]
        )

    def curvature(self, exact):
        """
        Second derivatives, or with the average information in their place.

        The Hessian of log |V| and of nu log(y'Py) from their definitions; the
        average information replaces 2 y'P dV_a P dV_b P y / scale - tr(K dV_a K
        dV_b) by y'P dV_a P dV_b P y / scale.
        """
        slopes = self._slopes()
        m = len(slopes)
        out = np.zeros((m, m)) * self.scale
        for a, (i, row_a, column_a, dv_a) in enumerate(slopes):
            for b, (j, row_b, column_b, dv_b) in enumerate(slopes):
                quadratic = self.py @ dv_a @ self.p @ dv_b @ self.py / self.scale
                product = (self.py @ dv_a @ self.py) * (self.py @ dv_b @ self.py)
                entry = -product / (self.nu * self.scale**2)
                if exact:
                    trace = (self.kernel @ dv_a * (self.kernel @ dv_b).T).sum()
                    entry = entry + 2 * quadratic - trace
                else:
                    entry = entry + quadratic
                if i == j and column_a == column_b:
                    k = self.terms[i].k_effects
                    dds = np.zeros((k, k))
                    dds[row_a, row_b] += 1.0
                    dds[row_b, row_a] += 1.0
                    ddv = self.through_levels(i, dds)
                    entry = entry + (self.kernel * ddv).sum()
                    entry = entry - self.py @ ddv @ self.py / self.scale
                out[a, b] = entry
        return out


@dataclass(frozen=True)
class Design:
    """Data of one design, in the user's order."""

    endog: np.ndarray
    exog: np.ndarray
    terms: tuple


def _codes(rng, n, n_levels):
    """Each level at least once, the rest at random."""
    codes = np.concatenate([np.arange(n_levels), rng.integers(n_levels, size=n)])
    return rng.permutation(codes[:n])


def _effects(rng, n, k):
    """An intercept and k - 1 covariates, the last one with zeros."""
    columns = np.column_stack([np.ones(n), rng.standard_normal((n, k - 1))])
    if k > 1:
        columns[rng.random(n) < 0.3, -1] = 0.0
    return columns


SHAPES = {
    # name: ((levels, effects, blocks), ...); a parent "in" means nested
    "one factor": [(6, 1, (1,), None)],
    "one factor, 2 effects": [(6, 2, (2,), None)],
    "one factor, 3 effects": [(5, 3, (3,), None)],
    "one factor, blocks 1 and 2": [(5, 3, (1, 2), None)],
    "chain of 3": [(3, 1, (1,), None), (12, 2, (2,), 2), (6, 1, (1,), 0)],
    "2 crossed": [(4, 1, (1,), None), (7, 1, (1,), None)],
    "2 crossed, 2 effects each": [(4, 2, (2,), None), (6, 2, (2,), None)],
    "3 crossed": [(3, 1, (1,), None), (7, 2, (1, 1), None), (4, 2, (2,), None)],
    "chain and tail": [(3, 1, (1,), None), (9, 2, (2,), 0), (5, 2, (2,), None)],
    "2 x 2 nested": [
        (3, 1, (1,), None),
        (10, 1, (1,), 0),
        (4, 1, (1,), None),
        (7, 1, (1,), 2),
    ],
}
"""
Levels, effect columns, blocks and the factor in which it is nested of each factor.
"""


def design(name, n=44, seed=1):
    """One of `SHAPES` with n rows, unbalanced, the fixed design of 3 columns."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[name]
    codes = [None] * len(shape)

    def find(i):
        n_levels, parent = shape[i][0], shape[i][3]
        if codes[i] is None and parent is None:
            codes[i] = _codes(rng, n, n_levels)
        elif codes[i] is None:
            find(parent)
            above = codes[parent]
            child = np.arange(n) % n_levels
            # children of a parent are those whose number modulo its levels is it
            n_parents = shape[parent][0]
            own = [np.arange(g, n_levels, n_parents) for g in range(n_parents)]
            seen = np.zeros(n_parents, dtype=int)
            for row in range(n):
                g = above[row]
                child[row] = own[g][seen[g] % len(own[g])]
                seen[g] += 1
            codes[i] = np.unique(child, return_inverse=True)[1]
        return codes[i]

    factors = []
    for i, (_, k, blocks, _) in enumerate(shape):
        found = find(i)
        effects = _effects(rng, n, k)
        factors.append(GroupedEffects(found, found.max() + 1, effects, blocks))
    exog = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    endog = exog @ [1.0, -2.0, 0.5] + rng.standard_normal(n)
    for f in factors:
        endog = endog + dense_z(f) @ rng.standard_normal(f.n_columns)
    return Design(endog, exog, tuple(factors))


def covariances(data, kind, seed=2):
    """A relative covariance of each factor: regular, zero, singular or huge."""
    rng = np.random.default_rng(seed)
    out = []
    for f in data.terms:
        s = np.zeros((f.k_effects, f.k_effects))
        for block in f.block_slices:
            size = block.stop - block.start
            root = np.tril(rng.standard_normal((size, size)), -1)
            root += np.diag(rng.uniform(0.5, 1.5, size))
            if kind == "zero":
                root = 0.0 * root
            elif kind == "singular":
                root[:, -1] = 0.0
            elif kind == "huge":
                root = 1e4 * root
            s[block, block] = root @ root.T
        out.append(s)
    return out


def roots_of(data, relative):
    """The pivoted factor of each relative covariance, in the user's order."""
    return [pivoted_factor(s, f.block_slices) for s, f in zip(relative, data.terms)]


def products_of(data, monkeypatch=None, max_pairs=None):
    """Cross-products, with a sparse coupling if there is a monkeypatch."""
    if monkeypatch is not None:
        monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
        monkeypatch.setattr(block_engine, "DENSE_SHARE", 1e9)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    if max_pairs is not None:
        coupling = [replace(c, max_pairs=max_pairs) for c in products.coupling]
        products = replace(products, coupling=tuple(coupling))
    return products


def evaluate(products, roots, reml):
    """The core's criterion at factors given in the user's order."""
    return profiled_deviance(products, [roots[i] for i in products.plan.order], reml)


def starts(products, covariances):
    """Relative factors with some covariances, in the order of the plan."""
    return list(map(starting_factor, products.plan.terms, covariances))


def user_order(products, parts, levels=True):
    """Parts by factor (and level) from the order of the plan to the user's."""
    plan = products.plan
    out = [None] * len(parts)
    for at, i in enumerate(plan.order):
        out[i] = parts[at][plan.relabel[at]] if levels else parts[at]
    return out


def user_parameters(products, roots):
    """For each entry of a gradient in the user's order, its place in the plan's."""
    sizes = [roots[i].n_free for i in products.plan.order]
    ends = np.cumsum(sizes)
    where = {
        i: np.arange(end - size, end)
        for i, size, end in zip(products.plan.order, sizes, ends)
    }
    return np.concatenate([where[i] for i in range(len(roots))])
