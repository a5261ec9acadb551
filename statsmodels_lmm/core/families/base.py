"""
What a family of conditional distributions provides, row by row.

A family is a distribution together with a link. For a row with response y, prior weight
a and linear predictor eta,

    c(eta) = -log f(y | eta, a, extra),

and the criteria of a generalized model need c with its derivatives with respect to eta.
They are computed from eta, not from the mean: a mean that rounds to a bound of its
range has lost the tail of eta.

The prior weight is the number of trials of a proportion; in other families it divides
the dispersion, Var(y) = phi V(mu) / a. The `extra` parameter is log phi in families
with a dispersion that is estimated, and alpha in the negative binomial family, whose
kernels are smooth at alpha = 0, the Poisson limit. Families without an extra parameter
ignore it.

All arrays may have leading axes, for many responses at once.
"""

from typing import NamedTuple, Protocol

import numpy as np


class Slopes(NamedTuple):
    """Derivatives of c with respect to eta, shapes (..., n)."""

    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    fourth: np.ndarray


class Expected(NamedTuple):
    """The expectation of c'' given eta, and its derivatives, shapes (..., n)."""

    second: np.ndarray
    third: np.ndarray
    extra: np.ndarray


class ExtraSlopes(NamedTuple):
    """
    Derivatives with respect to the extra parameter at a given eta, shapes (..., n).

    Parameters
    ----------
    loss, first, second : ndarray
        Derivatives of c, c' and c''.
    curvature : ndarray
        Second derivative of c.
    """

    loss: np.ndarray
    first: np.ndarray
    second: np.ndarray
    curvature: np.ndarray


class Family(Protocol):
    """
    A conditional distribution with its link.

    Attributes
    ----------
    name, link_name : str
        As in statsmodels, such as "Binomial" and "logit".
    has_extra : bool
        Whether there is an extra parameter.
    extra_is_squared : bool
        Whether the extra parameter is not negative, so that a search moves its root.
    is_canonical : bool
        Whether c'' does not depend on y.
    is_discrete : bool
        Whether y is a count, or a count over the prior weight.
    """

    name: str
    link_name: str
    has_extra: bool
    extra_is_squared: bool
    is_canonical: bool
    is_discrete: bool

    def half_deviance(self, y, a, eta, extra=None):
        """
        c(eta) minus its smallest value over eta, `saturated`.

        Their sum over the rows keeps the digits that large counts would cost c itself.

        Parameters
        ----------
        y, a : ndarray
            Responses and prior weights, shapes (..., n).
        eta : ndarray
            Linear predictor, shape (..., n).
        extra : float or ndarray, optional
            The extra parameter, shape (...).

        Returns
        -------
        ndarray
            Shape (..., n).
        """

    def saturated(self, y, a, extra=None):
        """The smallest value of c over eta, shape (..., n); all constants kept."""

    def slopes(self, y, a, eta, extra=None) -> Slopes:
        """The first four derivatives of c."""

    def quadratic(self, y, a, eta, extra=None):
        """The half deviance and the first two derivatives of c, a tuple."""

    def expected(self, y, a, eta, extra=None) -> Expected:
        """The expectation of c'' over y, its derivatives in eta and the extra one."""

    def extra_slopes(self, y, a, eta, extra) -> ExtraSlopes:
        """Derivatives with respect to the extra parameter."""

    def mean(self, eta):
        """The mean mu, the inverse link, shape (..., n)."""

    def mean_slope(self, eta):
        """The derivative d mu / d eta."""

    def link(self, mu):
        """The linear predictor eta of a mean."""

    def variance(self, mu, a, extra=None):
        """Var(y) at a mean."""

    def unit_deviance(self, y, mu, extra=None):
        """Twice the log-likelihood ratio of y and mu for a = 1 and phi = 1."""

    def starting_mean(self, y, a):
        """A mean strictly inside the range, from which the search starts; a float."""

    def starting_extra(self, y, a, eta):
        """A moment estimate of the extra parameter, a float."""

    def dispersion(self, extra):
        """The dispersion phi; 1 without an extra parameter."""

    def draw(self, rng, mu, a, extra=None):
        """
        Simulated responses.

        Parameters
        ----------
        rng : numpy.random.Generator
            The source of random numbers.
        mu, a : ndarray
            Means and prior weights, shapes (..., n).
        extra : float, optional
            The extra parameter.
        """

    def cdf(self, y, mu, a, extra=None):
        """P(Y <= y) at a mean, for simulated residuals; shape (..., n)."""

    def problem(self, y, a):
        """
        What disqualifies a response, if anything.

        Returns
        -------
        tuple of (str, ndarray) or None
            What is wrong, worded to follow "the response", and a mask of the rows.
        """
