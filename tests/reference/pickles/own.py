"""What a user would have in a module of his own; the pickles know it by name."""

import numpy as np

from statsmodels_lmm.structures import Parameter, Structure, deviation


class Toeplitz(Structure):
    """One variance and a correlation for each distance, small enough for a matrix."""

    name = "toep"

    def parameters(self, effects):
        k = len(effects)
        ends = -0.9 / (k - 1), 0.9 / (k - 1)
        lags = [Parameter(f"rho{d}", *ends, 0.0, "cor") for d in range(1, k)]
        return [deviation(self.name), *lags]

    def covariance(self, theta, k):
        at = np.arange(k)
        return theta[0] ** 2 * np.append(1.0, theta[1:])[abs(at[:, None] - at)]


def damped(x):
    """Called by formulas."""
    return x / (1.0 + np.abs(x))


def alternating(theta):
    """Relative deviations of six columns, two in turns."""
    return np.diag(np.resize(theta, 6))


def alternating_slopes(theta):
    """Its derivatives in theta."""
    return [alternating([1.0, 0.0]), alternating([0.0, 1.0])]


def scaled(theta):
    """A factor that is a number times a matrix."""
    return theta[0] * np.tri(6)


def total(results):
    """A statistic of replicates."""
    return float(np.sum(results.params))
