"""
The largest of correlated t statistics, for simultaneous tests and intervals.

If the correlations are products, r_ij = l_i l_j, as those of Dunnett's comparisons of
independent means with a control, the statistics are independent given one normal
variable, and the probability is a double integral (Dunnett 1955). With a covariate they
are l_i l_j + k_i k_j, independent given two. Otherwise the vector of statistics is its
direction, which is uniform on a sphere, times a length, which has an F distribution;
the average over directions is by a quasi-random sequence (Genz and Bretz 2009, section
4.1). Its error grows from 1e-5 for three statistics to 5e-4 for eleven; four times as
many directions halve it.

References
----------
Dunnett, C. W. (1955). A multiple comparison procedure for comparing several treatments
with a control. Journal of the American Statistical Association 50, 1096-1121.

Genz, A. and Bretz, F. (2009). Computation of Multivariate Normal and t Probabilities.
Springer.
"""

import numpy as np
from scipy import optimize, special
from scipy.stats import qmc

from statsmodels_lmm.core.uncertainty.studentized_range import quantiles, scale_average

COMMON = np.linspace(-9.0, 9.0, 181)
"""Points of the normal variable that the statistics have in common."""

RADIUS, STEP = 7.5, 0.35
"""Extent of the points of two such variables, and their distance."""

CLOSE, LARGEST_SHARES = 1e-8, (0.95, 0.9)
"""
Largest error of correlations from the l_i, and the largest share of one and of two
variables in a statistic, above which the integrand is too steep for the points.
"""
MOST_FACTORED = 30
"""Number of statistics up to which two common variables are sought."""

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
        self.loadings = _loadings(correlation)
        self.rank, self.sizes = 0, np.zeros(0)
        if self.loadings is None:
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
        if self.loadings is not None:
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
        points, weights = _common(self.loadings.shape[1])
        shift = points @ self.loadings.T
        count = 1 + len(w) * shift.size // LARGEST_ARRAY
        parts = np.array_split(w, count)
        return np.concatenate([self._normal_tail(p, shift) @ weights for p in parts])

    def _normal_tail(self, w, shift):
        """Probabilities given the common variables, (n, number of points)."""
        rest = np.sqrt(1.0 - (self.loadings**2).sum(axis=1))
        upper = special.ndtr((shift - w[:, None, None]) / rest)
        if self.two_sided:
            upper = upper + special.ndtr((-shift - w[:, None, None]) / rest)
        with np.errstate(divide="ignore"):
            return -np.expm1(np.log1p(-np.minimum(upper, 1.0)).sum(axis=2))

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


def _common(count):
    """Points and weights of one or two independent normal variables."""
    if count == 1:
        points, step = COMMON[:, None], COMMON[1] - COMMON[0]
    else:
        line, step = np.arange(-RADIUS, RADIUS + STEP, STEP), STEP
        points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        points = points[np.linalg.norm(points, axis=1) <= RADIUS]
    density = np.exp(-0.5 * (points**2).sum(axis=1))
    return points, density * (step / np.sqrt(2.0 * np.pi)) ** count


def _loadings(correlation):
    """The l_i of one or two common variables, (m, 1) or (m, 2), or None."""
    one = _products(correlation)[:, None]
    if _suit(one, correlation):
        return one
    if len(correlation) > MOST_FACTORED:
        return None
    two = _sums_of_products(correlation)
    return two if _suit(two, correlation) else None


def _suit(loadings, correlation):
    """Whether the correlations follow from the l_i, whose integrals are smooth."""
    error = np.abs(loadings @ loadings.T - correlation)
    np.fill_diagonal(error, 0.0)
    shares, largest = (loadings**2).sum(axis=1), LARGEST_SHARES[loadings.shape[1] - 1]
    return bool((error <= CLOSE).all() and (shares <= largest).all())


def _products(correlation):
    """The l_i, if the correlations are their products."""
    m = len(correlation)
    if m == 1:
        return np.zeros(1)
    if m == 2:
        size = np.sqrt(abs(correlation[0, 1]))
        return size * np.array([1.0, np.sign(correlation[0, 1]) or 1.0])
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
        return signs * np.sqrt(np.where(others.any(axis=1), squares, 0.0))


def _sums_of_products(correlation):
    """The l_i and k_i whose sums of products are closest to the correlations."""
    m = len(correlation)
    i, j = np.tril_indices(m, -1)

    def errors(entries):
        each = entries.reshape(m, 2)
        return (each[i] * each[j]).sum(axis=1) - correlation[i, j]

    def slopes(entries):
        each = entries.reshape(m, 2)
        out = np.zeros((len(i), m, 2))
        out[np.arange(len(i)), i] = each[j]
        out[np.arange(len(i)), j] = each[i]
        return out.reshape(len(i), -1)

    values, vectors = np.linalg.eigh(correlation)
    start = vectors[:, -2:] * np.sqrt(0.5 * np.maximum(values[-2:], 0.0))
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    found = optimize.least_squares(errors, start.ravel(), slopes, max_nfev=200, **tight)
    return found.x.reshape(m, 2)


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
