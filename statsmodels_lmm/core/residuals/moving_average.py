"""Autoregressive errors with moving averages, in whole steps."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import comb

from statsmodels_lmm.core.algebra.differences import differenced_gradient
from statsmodels_lmm.core.residuals.base import (
    ResidualStructure,
    bounded,
    gaps,
    unbounded,
)
from statsmodels_lmm.core.residuals.partial_autocorrelations import (
    coefficients,
    from_coefficients,
)
from statsmodels_lmm.core.structures.base import Parameter

COMPLEX_STEP = 1e-30
"""Imaginary step of a derivative without cancellation (Squire & Trapp 1998)."""

REAL_STEP = 1e-4
"""Relative step of a second derivative from exact first ones."""


@dataclass(frozen=True)
class ARMA(ResidualStructure):
    """
    A stationary and invertible series of orders p and q.

        e_t = ar_1 e_(t-1) + ... + ar_p e_(t-p)
              + w_t + ma_1 w_(t-1) + ... + ma_q w_(t-q)

    nlme's ``corARMA``; a step that was not observed counts. A search moves in partial
    autocorrelations, of the series and of the one whose coefficients are -ma.

    Parameters
    ----------
    p, q : int, optional
        Orders of the autoregression and of the moving average. Default is 1 and 0.

    Raises
    ------
    ValueError
        If an order is negative or not a whole number, or both are zero.
    """

    p: int = 1
    q: int = 0

    name = "arma"
    of_whole_steps = True

    def __post_init__(self):
        for order in (self.p, self.q):
            if order != int(order) or order < 0:
                raise ValueError(f"an order of arma is a whole number, not {order}")
        if not self.p + self.q:
            raise ValueError("arma needs an order: `p` or `q` must be positive")

    def parameters(self, size):
        """
        The coefficients, ar_1, ..., ar_p and ma_1, ..., ma_q.

        The k-th is a sum of products of k of the p roots, which are inside the unit
        circle, and so less than their number, the binomial coefficient.
        """
        return [
            Parameter(f"{kind}.{k}", -1.0 * comb(order, k), 1.0 * comb(order, k))
            for kind, order in (("ar", self.p), ("ma", self.q))
            for k in range(1, order + 1)
        ]

    def correlation(self, phi, where):
        """Autocorrelation at the lag of each pair, shape (..., m, m)."""
        lags = _lags(where)
        return self._table(phi, lags.max())[lags]

    def derivative(self, phi, where):
        """Derivatives in the coefficients, shape (c, ..., m, m)."""
        lags = _lags(where)
        return self._slopes(phi, lags.max())[:, lags]

    def second_derivative(self, phi, where):
        """Second derivatives in the coefficients, shape (c, c, ..., m, m)."""
        lags = _lags(where)
        return self._bends(phi, lags.max())[..., lags]

    def _table(self, phi, last):
        """Autocorrelations at lags 0, ..., last."""
        values = autocovariances(phi[: self.p], phi[self.p :], last + 1)
        return values / values[0]

    def _slopes(self, phi, last):
        """Derivatives of the autocorrelations, shape (c, last + 1)."""
        steps = phi + 1j * COMPLEX_STEP * np.eye(len(phi))
        return np.array([self._table(s, last).imag for s in steps]) / COMPLEX_STEP

    def _bends(self, phi, last):
        """Second derivatives of the autocorrelations, shape (c, c, last + 1)."""
        ranges = [(-np.inf, np.inf)] * len(phi)
        out = differenced_gradient(
            lambda t: self._slopes(t, last), phi, ranges, REAL_STEP
        )
        return 0.5 * (out + out.swapaxes(0, 1))

    def start(self, size, spread):
        """A first coefficient of 0.2, and zeros."""
        return np.append(0.2, np.zeros(self.p + self.q - 1))

    def unfold(self, x, size):
        """Coefficients from inverse tanh of partial autocorrelations."""
        partial, slopes = bounded(x)
        ar, of_ar = coefficients(partial[: self.p])
        ma, of_ma = coefficients(-partial[self.p :])
        jacobian = np.zeros((len(x),) * 2)
        jacobian[: self.p, : self.p] = of_ar
        jacobian[self.p :, self.p :] = of_ma
        return np.append(ar, -ma), jacobian * slopes

    def fold(self, phi, size):
        """Inverse tanh of partial autocorrelations."""
        ar, ma = phi[: self.p], np.negative(phi[self.p :])
        return unbounded(np.append(from_coefficients(ar), -from_coefficients(ma)))

    def __str__(self):
        return f"arma({self.p}, {self.q})"


def _lags(where):
    """Whole steps between all pairs of rows, shape (..., m, m)."""
    return np.rint(gaps(where)).astype(np.intp)


def autocovariances(ar, ma, count):
    """
    Autocovariances of a series, over the variance of its innovations.

    Those of the first p lags solve the Yule-Walker equations (Brockwell & Davis 1991,
    section 3.3); the others follow by recursion.

    Parameters
    ----------
    ar, ma : ndarray
        Coefficients, shapes (p,) and (q,), real or complex.
    count : int
        Number of lags, from 0 on.

    Returns
    -------
    ndarray
        Shape (count,).
    """
    p, q = len(ar), len(ma)
    left, right = np.append(1.0, np.negative(ar)), np.append(1.0, ma)
    responses = lfilter(right, left, np.eye(1, q + 1)[0])
    inputs = np.zeros(max(p, q, count - 1) + 1, dtype=responses.dtype)
    for k in range(q + 1):
        inputs[k] = right[k:] @ responses[: q + 1 - k]
    equations = np.zeros((p + 1, p + 1), dtype=responses.dtype)
    for k in range(p + 1):
        for i, value in enumerate(left):
            equations[k, abs(k - i)] += value
    first = np.linalg.solve(equations, inputs[: p + 1])
    inputs[: p + 1] = lfilter(left, 1.0, first)
    return lfilter([1.0], left, inputs)[:count]
