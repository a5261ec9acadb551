"""
The null distribution of the likelihood-ratio statistic of one variance.

Under y = X beta + e, the statistic for y = X beta + Z b + e, b ~ N(0, lambda sigma^2
I), depends on the data only through a few chi-squared variables, whatever n is
(Crainiceanu and Ruppert 2004, theorem 1 and equation 9).
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.rows.related_effects import related

GRID = np.concatenate([[0.0], np.logspace(-6, 14, 81)])
"""Ratios lambda, in units of 1 / max(mu), between which the maximum is bracketed."""

NO_EIGENVALUE = 1e-10
"""Eigenvalues of Z'M Z up to this share of the largest of Z'Z count as zero."""

EQUAL = 1e-12
"""Difference, relative to the largest, at which eigenvalues of Z'Z count as equal."""

NO_RISE = 1e-14
"""Values on the grid that, multiplied by nu, are at most this are treated as zero."""

GAIN = 1e-11
"""The search ends when a Newton step promises less than this."""

MAX_STEPS = 100
"""Largest number of Newton steps or bisections."""

ENTRIES = 2**20
"""Largest number of draws at once, times the numbers held for each."""


@dataclass(frozen=True)
class NullDesign:
    """
    The quantities that determine the null distribution of the statistic.

    With M = I - X (X'X)^-1 X', independent w_s ~ chi2(counts_s), v ~ chi2(df_rest)
    and u ~ chi2(k_tested),

        nu log(1 + u / (sum w + v))
          + sup { nu log(1 + N / D) - sum d log(1 + lambda xi): lambda >= 0 },

    where N = sum w lambda mu / (1 + lambda mu) and D = sum w / (1 + lambda mu) + v.

    Parameters
    ----------
    nu : int
        n - p for the restricted likelihood, n for the likelihood.
    mu : ndarray
        Distinct positive eigenvalues of Z'M Z, in units of the largest, shape (m,).
    counts : ndarray
        Multiplicities of `mu`, shape (m,).
    df_rest : int
        n - p minus the number of positive eigenvalues.
    xi : ndarray
        Eigenvalues in the determinant: mu for the restricted likelihood, those of Z'Z
        in the same units for the likelihood, shape (r,).
    xi_counts : ndarray
        Multiplicities d of `xi`, shape (r,).
    k_tested : int
        Number of fixed effects that are zero under the null hypothesis.
    """

    nu: int
    mu: np.ndarray
    counts: np.ndarray
    df_rest: int
    xi: np.ndarray
    xi_counts: np.ndarray
    k_tested: int

    @property
    def degrees_of_freedom(self):
        """Degrees of freedom of (w, v, u), shape (m + 2,)."""
        return np.append(self.counts, [self.df_rest, self.k_tested])


def null_design(basis, factor, reml, k_tested=0):
    """
    Eigenvalues that determine the null distribution of the statistic.

    Parameters
    ----------
    basis : ndarray
        Orthonormal basis of the fixed effects of the full model, shape (n, p).
    factor : GroupedEffects or RawEffects
        The tested effect, one column; with prior weights w, its column and those of X
        times sqrt(w).
    reml : bool
        Whether the statistic is that of the restricted likelihood.
    k_tested : int, optional
        Number of fixed effects that are zero under the null hypothesis.

    Returns
    -------
    NullDesign
    """
    n, p = basis.shape
    factor = related(factor)
    squares = factor.diagonal_blocks()[:, 0, 0]
    coupling = factor.level_sums(basis)[:, 0, :]
    xi, xi_counts, members = _distinct(squares)
    mu, counts = _projected_eigenvalues(xi, coupling, members)
    positive = mu > NO_EIGENVALUE * xi[-1]
    mu, counts = mu[positive], counts[positive]
    if reml:
        xi, xi_counts = mu, counts
    unit = mu.max(initial=0.0) or 1.0
    return NullDesign(
        nu=n - p if reml else n,
        mu=mu / unit,
        counts=counts,
        df_rest=n - p - int(counts.sum()),
        xi=xi / unit,
        xi_counts=xi_counts,
        k_tested=k_tested,
    )


def simulate_null(design, nsim, rng):
    """
    Draw from the null distribution of the statistic.

    Parameters
    ----------
    design : NullDesign
        The eigenvalues.
    nsim : int
        Number of draws.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray
        Shape (nsim,).
    """
    df = design.degrees_of_freedom
    rows = max(1, ENTRIES // (len(df) + len(GRID)))
    out = np.empty(nsim)
    for start in range(0, nsim, rows):
        part = out[start : start + rows]
        chi_squared = np.zeros((len(part), len(df)))
        chi_squared[:, df > 0] = rng.chisquare(
            df[df > 0], size=(len(part), np.count_nonzero(df))
        )
        part[:] = statistics(design, chi_squared)
    return out


def statistics(design, chi_squared):
    """
    The statistic at given values of the chi-squared variables.

    The maximum is bracketed on a grid of lambda and located by Newton's method with
    bisection.

    Parameters
    ----------
    design : NullDesign
        The eigenvalues.
    chi_squared : ndarray
        Values of (w, v, u), shape (c, m + 2).

    Returns
    -------
    ndarray
        Shape (c,); zero where the maximum is at lambda = 0 and no fixed effects are
        tested.
    """
    w, rest, tested = np.split(chi_squared, [len(design.mu), len(design.mu) + 1], 1)
    total = w.sum(axis=1) + rest[:, 0]
    residual = w @ (1.0 / (1.0 + design.mu[:, None] * GRID)) + rest
    values = design.nu * np.log(total[:, None] / residual)
    values -= design.xi_counts @ np.log1p(design.xi[:, None] * GRID)
    peak = 1 + values[:, 1:].argmax(axis=1)
    best = np.where(values[:, 1:].max(axis=1) > NO_RISE * design.nu, peak, 0)
    rising = _slopes(design, w, rest, GRID[best])[0] > 0.0
    inside = np.flatnonzero(rising | (best > 0))
    left = GRID[np.where(rising, best, best - 1)[inside]]
    right = GRID[np.minimum(peak + rising, len(GRID) - 1)[inside]]
    w, rest, start = w[inside], rest[inside], GRID[best[inside]]
    out = np.zeros(len(best))
    out[inside] = np.maximum(
        _profile(design, w, rest, start),
        _profile(design, w, rest, _stationary(design, w, rest, start, left, right)),
    )
    return out + design.nu * np.log1p(tested[:, 0] / total)


def _profile(design, w, rest, ratio):
    """The expression in braces of `NullDesign` at one lambda for each row."""
    shrunk = w / (1.0 + ratio[:, None] * design.mu)
    explained = ratio * (shrunk @ design.mu)
    residual = shrunk.sum(axis=1) + rest[:, 0]
    determinant = np.log1p(ratio[:, None] * design.xi) @ design.xi_counts
    return design.nu * np.log1p(explained / residual) - determinant


def _slopes(design, w, rest, ratio):
    """First and second derivatives of `_profile` with respect to lambda."""
    inverse = 1.0 / (1.0 + ratio[:, None] * design.mu)
    part = w * inverse
    residual = part.sum(axis=1) + rest[:, 0]
    part *= inverse
    slope = (part @ design.mu) / residual
    part *= inverse
    bend = 2.0 * (part @ design.mu**2) / residual
    share = design.xi / (1.0 + ratio[:, None] * design.xi)
    first = design.nu * slope - share @ design.xi_counts
    second = design.nu * (slope**2 - bend) + share**2 @ design.xi_counts
    return first, second


def _stationary(design, w, rest, ratio, left, right):
    """Maxima of `_profile` between two values of lambda, one for each row."""
    ratio = ratio.copy()
    active = np.arange(len(ratio))
    for _ in range(MAX_STEPS):
        current = ratio[active]
        first, second = _slopes(design, w[active], rest[active], current)
        left[active] = np.where(first > 0.0, current, left[active])
        right[active] = np.where(first > 0.0, right[active], current)
        step = -first / np.where(second < 0.0, second, -np.inf)
        moved = current + step
        low, high = left[active], right[active]
        newton = (second < 0.0) & (moved >= low) & (moved <= high)
        ratio[active] = np.where(newton, moved, 0.5 * (low + high))
        done = (newton & (first * step <= GAIN)) | (high - low <= 1e-15 * high)
        active = active[~done]
        if not len(active):
            break
    return ratio


def _distinct(values):
    """Distinct values in ascending order, their counts, and the positions of each."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    starts = np.flatnonzero(np.diff(ascending) > EQUAL * ascending[-1]) + 1
    members = np.split(order, starts)
    first = np.append(0, starts)
    return ascending[first], np.diff(np.append(first, len(values))), members


def _projected_eigenvalues(values, coupling, members):
    """
    Eigenvalues and their counts of diag(d) - C C', d equal within groups of rows.

    If a group has more rows than C has columns, an orthogonal transformation makes the
    excess rows of C zero, and each of these gives an eigenvalue d.
    """
    p = coupling.shape[1]
    kept, diagonal, counts = [], [], []
    for value, rows in zip(values, members):
        block = coupling[rows]
        if len(rows) > p:
            block = np.linalg.qr(block, mode="r")
        kept.append(block)
        diagonal += [value] * len(block)
        counts.append(len(rows) - len(block))
    block = np.concatenate(kept)
    require_memory(
        8 * 4 * len(block) ** 2,
        f"the exact test of {len(block):,} levels of different sizes needs a matrix",
        "method='bootstrap' needs none",
    )
    single = np.linalg.eigvalsh(np.diag(diagonal) - block @ block.T)
    repeated = np.array(counts) > 0
    return (
        np.concatenate([single, values[repeated]]),
        np.concatenate([np.ones(len(single), dtype=int), np.array(counts)[repeated]]),
    )
