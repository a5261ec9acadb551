"""
The largest of correlated t statistics, for simultaneous tests and intervals.

If the correlations are products, r_ij = l_i l_j, as those of Dunnett's comparisons of
independent means with a control, the statistics are independent given one normal
variable, and the probability is a double integral (Dunnett 1955). Otherwise the vector
of statistics is its direction, which is uniform on a sphere, times a length, which has
an F distribution; the average over directions is by a quasi-random sequence (Genz and
Bretz 2009, section 4.1). Its error grows from 1e-5 for three statistics to 5e-4 for
eleven; four times as many directions halve it.

References
----------
Dunnett, C. W. (1955). A multiple comparison procedure for comparing several treatments
with a control. Journal of the American Statistical Association 50, 1096-1121.

Genz, A. and Bretz, F. (2009). Computation of Multivariate Normal and t Probabilities.
Springer.
"""

import numpy as np
from scipy import special
from scipy.stats import qmc

from statsmodels_lmm.core.uncertainty.studentized_range import quantiles, scale_average

COMMON = np.linspace(-9.0, 9.0, 181)
"""Points of the normal variable that the statistics have in common."""

CLOSE, LARGEST_SHARE = 1e-8, 0.95
"""Largest error of correlations that are products, and the largest l_i^2."""

N_DIRECTIONS, N_GROUPS = 2**14, 256
"""Number of directions, and of groups of similar ones that are averaged."""

LARGEST_ARRAY = 2**20
"""Number of entries of arrays of integrands."""

RANK_TOLERANCE = 1e-10
"""Eigenvalues of a correlation matrix that count as 0."""


class LargestT:
    """
    Distribution of the largest of m correlated t statistics, or of their sizes.

    Parameters
    ----------
    correlation : ndarray
        Correlation matrix, possibly singular, shape (m, m).
    two_sided : bool
        Whether the absolute values are compared.
    """

    def __init__(self, correlation, two_sided):
        self.count, self.two_sided = len(correlation), two_sided
        self.loadings, self.is_product = _loadings(correlation)
        self.rank, self.sizes = 0, np.zeros(0)
        if not self.is_product:
            self.rank, self.sizes = _largest_by_direction(correlation, two_sided)

    def sf(self, t, df):
        """
        Probability that the largest exceeds a value.

        Parameters
        ----------
        t : ndarray
            Values, shape (n,); NaN gives NaN.
        df : ndarray
            Degrees of freedom, infinite for normal variables, shape (n,).

        Returns
        -------
        ndarray
            Shape (n,).
        """
        if self.is_product:
            return scale_average(self._in_blocks, t, df, 0.5)
        return np.array([self._over_directions(*each) for each in zip(t, df)])

    def isf(self, probability, df):
        """
        Upper quantiles of the largest.

        Parameters
        ----------
        probability : float
            Probability of a larger value, below 1/2 unless two-sided.
        df : ndarray
            Degrees of freedom, shape (n,); NaN gives NaN.

        Returns
        -------
        ndarray
            Shape (n,).
        """
        sides = 2.0 if self.two_sided else 1.0
        above = -special.stdtrit(df, probability / (sides * self.count))
        return quantiles(lambda t: self.sf(t, df), probability, above)

    def _in_blocks(self, w):
        """Probability for normal variables, (n,), without large arrays."""
        count = 1 + len(w) * len(COMMON) * self.count // LARGEST_ARRAY
        return np.concatenate([*map(self._normal_tail, np.array_split(w, count))])

    def _normal_tail(self, w):
        """Probability for normal variables by integration over the common one, (n,)."""
        rest = np.sqrt(1.0 - self.loadings**2)
        shift = COMMON[:, None] * self.loadings
        upper = special.ndtr((shift - w[:, None, None]) / rest)
        if self.two_sided:
            upper = upper + special.ndtr((-shift - w[:, None, None]) / rest)
        with np.errstate(divide="ignore"):
            some = -np.expm1(np.log1p(-np.minimum(upper, 1.0)).sum(axis=2))
        density = np.exp(-0.5 * COMMON**2) / np.sqrt(2.0 * np.pi)
        return (COMMON[1] - COMMON[0]) * some @ density

    def _over_directions(self, t, df):
        """Probability by the length of the vector in each direction."""
        if np.isnan(t) or np.isnan(df):
            return np.nan
        same = self.sizes * t > 0.0
        squares = (t / self.sizes[same]) ** 2
        if np.isinf(df):
            longer = special.chdtrc(self.rank, squares)
        else:
            longer = special.fdtrc(self.rank, df, squares / self.rank)
        share = longer.sum() / len(self.sizes)
        return share if t > 0.0 else 1.0 - share


def _loadings(correlation):
    """The l_i, and whether the correlations are their products."""
    m = len(correlation)
    if m == 1:
        return np.zeros(1), True
    if m == 2:
        size = np.sqrt(abs(correlation[0, 1]))
        loadings = size * np.array([1.0, np.sign(correlation[0, 1]) or 1.0])
    else:
        # the largest correlation of each statistic, with a third one
        others = np.abs(correlation - np.eye(m))
        j = others.argmax(axis=1)
        k = np.minimum(others, others[j])
        k[np.arange(m), j] = 0.0
        k = k.argmax(axis=1)
        i = np.arange(m)
        with np.errstate(invalid="ignore", divide="ignore"):
            squares = correlation[i, j] * correlation[i, k] / correlation[j, k]
            first = int(np.argmax(others.sum(axis=1)))
            signs = np.where(correlation[first] < 0.0, -1.0, 1.0)
            loadings = signs * np.sqrt(np.where(others.any(axis=1), squares, 0.0))
    error = np.abs(np.outer(loadings, loadings) - correlation)
    np.fill_diagonal(error, 0.0)
    good = (error <= CLOSE).all() and (loadings**2 <= LARGEST_SHARE).all()
    return loadings, bool(good)


def _largest_by_direction(correlation, two_sided):
    """Rank of the statistics, and the largest of a unit vector in each direction."""
    values, vectors = np.linalg.eigh(correlation)
    kept = values > RANK_TOLERANCE * values[-1]
    root, rank = vectors[:, kept] * np.sqrt(values[kept]), int(kept.sum())
    points = qmc.Sobol(rank, scramble=False).random(N_DIRECTIONS) + 0.5 / N_DIRECTIONS
    directions = special.ndtri(points)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    statistics = directions @ root.T
    if two_sided:
        largest = np.abs(statistics).max(axis=1)
    else:
        largest = np.concatenate([statistics.max(axis=1), -statistics.min(axis=1)])
    # the probability is a smooth function of the largest
    return rank, np.sort(largest).reshape(N_GROUPS, -1).mean(axis=1)
