"""Standard deviations times a correlation matrix: diag, cs, ar1."""

import numpy as np

from statsmodels_lmm.core.structures.base import Parameter, Structure, deviation
from statsmodels_lmm.core.structures.roots import SINGULAR


class Correlated(Structure):
    """
    Standard deviations times a correlation matrix with at most one parameter.

    Parameters
    ----------
    hom : bool
        Whether all effects have the same standard deviation.
    """

    is_homogeneous = False
    """The default of ``hom``."""

    def __init__(self, hom):
        self.hom = hom

    def __repr__(self):
        return f"{type(self).__name__}(hom={self.hom})"

    def __str__(self):
        return f"{self.name}, {'hom' if self.hom else 'het'}"

    def __eq__(self, other):
        return type(self) is type(other) and self.hom == other.hom

    def __hash__(self):
        return hash((type(self), self.hom))

    def correlations(self, rho, k):
        """
        The correlation matrix and its first two derivatives with respect to rho.

        Parameters
        ----------
        rho : float or None
            The parameter; None for a single effect.
        k : int
            Number of effects.
        """
        raise NotImplementedError

    def correlation_range(self, k):
        """Lower and upper end of rho; None without such a parameter."""
        return (-1.0, 1.0) if k > 1 else None

    def parameters(self, effects):
        """The standard deviations, followed by rho if there are several effects."""
        if self.hom:
            parameters = [deviation(self.name)]
        else:
            parameters = [deviation(name, a) for a, name in enumerate(effects)]
        ends = self.correlation_range(len(effects))
        if ends is not None:
            low, high = ends
            parameters.append(Parameter("rho", low, high, 0.0, "cor"))
        return parameters

    def _parts(self, theta, k):
        """Which standard deviation each effect has, their values, and correlations."""
        theta = np.asarray(theta, dtype=float)
        which = np.ones((k, 1)) if self.hom else np.eye(k)
        count = which.shape[1]
        rho = theta[count] if len(theta) > count else None
        return which, which @ theta[:count], self.correlations(rho, k)

    def covariance(self, theta, k):
        """The correlations, scaled on both sides by the standard deviations."""
        _, s, (r, _, _) = self._parts(theta, k)
        return np.outer(s, s) * r

    def derivative(self, theta, k):
        """Derivatives of S with respect to the parameters, shape (m, k, k)."""
        which, s, (r, r1, _) = self._parts(theta, k)
        derivatives = [(np.outer(b, s) + np.outer(s, b)) * r for b in which.T]
        if len(theta) > len(derivatives):
            derivatives.append(np.outer(s, s) * r1)
        return np.array(derivatives)

    def second_derivative(self, theta, k):
        """Second derivatives of S, shape (m, m, k, k)."""
        which, s, (r, r1, r2) = self._parts(theta, k)
        m, count = len(theta), which.shape[1]
        out = np.zeros((m, m, k, k))
        for a in range(count):
            for b in range(count):
                across = np.outer(which[:, a], which[:, b])
                out[a, b] = (across + across.T) * r
            if m > count:
                across = np.outer(which[:, a], s)
                out[a, -1] = out[-1, a] = (across + across.T) * r1
        if m > count:
            out[-1, -1] = np.outer(s, s) * r2
        return out

    @property
    def holds_each_effect(self):
        """Whether every effect has a variance of its own."""
        return not self.hom

    def holds(self, other, effects, other_effects):
        """Whether `other` equals this structure or is a special case of it."""
        if not isinstance(other, Correlated):
            return False
        same = type(self) is type(other) or other.is_independent
        same = same and tuple(effects) == tuple(other_effects)
        return same and (other.hom or not self.hom)

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """As in lme4: a variance is zero, or rho is at an end of its range."""
        count = 1 if self.hom else k
        deviations = np.abs(theta[:count])
        small = deviations <= tolerance * max(1.0, deviations.max())
        ends = self.correlation_range(k)
        if ends is None or len(theta) == count:
            return bool(small.any())
        distance = np.abs(np.subtract(ends, theta[count])).min()
        return bool(small.any() or distance <= tolerance)


class Diagonal(Correlated):
    """Independent effects: ``diag(x | g)``; ``hom=True`` for a common variance."""

    name = "diag"
    is_independent = True

    def correlations(self, rho, k):
        """No correlations."""
        return np.eye(k), np.zeros((k, k)), np.zeros((k, k))

    def correlation_range(self, k):
        """None: there is no parameter."""
        return None


class CompoundSymmetry(Correlated):
    """
    One correlation for all pairs of effects: ``cs(x | g)``.

    rho lies between -1 / (k - 1) and 1.
    """

    name = "cs"

    def correlations(self, rho, k):
        """The correlation rho for every pair."""
        rest = 1.0 - np.eye(k)
        r = np.eye(k) + (0.0 if rho is None else rho) * rest
        return r, rest, np.zeros((k, k))

    def correlation_range(self, k):
        """From -1 / (k - 1) to 1."""
        return (-1.0 / (k - 1), 1.0) if k > 1 else None


class AutoRegressive(Correlated):
    """
    Correlations rho^d of effects d places apart: ``ar1(0 + C(time) | g)``.

    Effects follow the order of the columns, one step apart.
    """

    name = "ar1"
    is_homogeneous = True

    def correlations(self, rho, k):
        """The powers of rho."""
        d = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
        rho = 0.0 if rho is None else rho
        first = np.where(d > 0, d * rho ** np.maximum(d - 1, 0), 0.0)
        second = np.where(d > 1, d * (d - 1) * rho ** np.maximum(d - 2, 0), 0.0)
        return rho**d, first, second
