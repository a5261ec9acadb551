"""Related people with genotypes, and dense computations that scans are held against."""

import numpy as np
import pandas as pd
from scipy import optimize

FATHERS = [-1, -1, 0, 0, 2, 2]
MOTHERS = [-1, -1, 1, 1, -1, -1]


def family_kinship(n_families):
    """Relationships of families of six, two of whom have one known parent."""
    size = len(FATHERS)
    a = np.zeros((size, size))
    for i, parents in enumerate(zip(FATHERS, MOTHERS)):
        known = [p for p in parents if p >= 0]
        a[i, :i] = a[:i, i] = 0.5 * a[known, :i].sum(axis=0)
        a[i, i] = 1.0 + (0.5 * a[parents] if len(known) == 2 else 0.0)
    return np.kron(np.eye(n_families), a)


def people(n_families=20, seed=0, share=1.0):
    """A trait with heritability, a covariate, and genotypes without effect."""
    rng = np.random.default_rng(seed)
    k = family_kinship(n_families)
    n = len(k)
    labels = [f"p{i:03d}" for i in rng.permutation(n)]
    sex = rng.integers(2, size=n).astype(float)
    genes = np.linalg.cholesky(k) @ rng.normal(size=n)
    trait = 3.0 + 0.5 * sex + share * genes + rng.normal(size=n)
    data = pd.DataFrame(
        {"id": labels, "sex": sex, "trait": trait, "w": rng.uniform(0.5, 3.0, n)},
        index=[f"row{i}" for i in range(n)],
    )
    relationship = pd.DataFrame(k, labels, labels)
    return data, relationship


def genotypes(data, count=30, seed=1):
    """Copies of an allele, by row of the data."""
    rng = np.random.default_rng(seed)
    counts = rng.binomial(2, rng.uniform(0.1, 0.5, count), (len(data), count))
    names = [f"snp{j:03d}" for j in range(count)]
    return pd.DataFrame(counts.astype(np.int8), data.index, names)


def dense_fit(y, x, v, reml):
    """Coefficients, covariance, r^2 and criterion by generalized least squares."""
    n, p = x.shape
    root = np.linalg.cholesky(v)
    left = np.linalg.solve(root, np.column_stack([x, y]))
    q, r = np.linalg.qr(left[:, :p])
    rest = left[:, p] - q @ (q.T @ left[:, p])
    rest -= q @ (q.T @ rest)
    beta = np.linalg.solve(r, q.T @ left[:, p])
    squares, nu = float(rest @ rest), n - p * reml
    inverse = np.linalg.inv(r)
    value = 2.0 * np.log(np.diagonal(root)).sum() + nu * np.log(squares)
    if reml:
        value += 2.0 * np.log(np.abs(np.diagonal(r))).sum()
    return beta, squares / nu * inverse @ inverse.T, squares, value


def dense_best(y, x, k, reml, errors=None):
    """The best ratio on a fine grid and beyond, for V = errors + ratio K."""
    errors = np.eye(len(y)) if errors is None else errors

    def value(t):
        return dense_fit(y, x, errors + np.exp(t) * k, reml)[3]

    grid = np.linspace(-16.0, 14.0, 61)
    at = int(np.argmin([value(t) for t in grid]))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, 60)]
    found = optimize.minimize_scalar(
        value, bounds=(low, high), method="bounded", options={"xatol": 1e-9}
    )
    if dense_fit(y, x, errors, reml)[3] <= found.fun:
        return 0.0
    return float(np.exp(found.x))
