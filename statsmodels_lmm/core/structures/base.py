"""
Covariance structures: maps from parameters to the covariance matrix of a term.

Each structure is one small class. To write your own, subclass `Structure` and define
`parameters` and either `covariance` or `factor`; finite differences supply whatever
else a fit needs.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.differences import (
    differenced_gradient,
    differenced_hessian,
    is_inside,
)
from statsmodels_lmm.core.structures.roots import SINGULAR, is_singular, lower_root


@dataclass(frozen=True)
class Parameter:
    """
    One parameter of a structure.

    Parameters
    ----------
    name : str
        The name, such as "rho".
    lower, upper : float, optional
        The range, ends included.
    start : float, optional
        Where a search starts. Standard deviations start from the data; by default the
        others start at the middle of a finite range, one unit inside a single end, or
        zero.
    kind : {"", "sd", "cor"}, optional
        "sd" is a standard deviation divided by sigma; its range starts at 0, and the
        covariance matrix does not depend on its sign. "cor" is a correlation, and "" is
        anything else.
    effect : int, optional
        Effect to which a standard deviation belongs. Default is all effects.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf
    start: float | None = None
    kind: str = ""
    effect: int | None = None

    @property
    def initial(self):
        """Where a search starts unless the data determine it."""
        if self.start is not None:
            return self.start
        ends = np.isfinite([self.lower, self.upper])
        if ends.all():
            return 0.5 * (self.lower + self.upper)
        if ends.any():
            return self.lower + 1.0 if ends[0] else self.upper - 1.0
        return 0.0


def deviation(name="sd", effect=None):
    """A parameter that is a standard deviation divided by sigma, see `Parameter`."""
    return Parameter(name, lower=0.0, kind="sd", effect=effect)


def generic_point(parameters):
    """
    A point at which nothing cancels.

    Parameters
    ----------
    parameters : sequence of Parameter
        The m parameters of a structure.

    Returns
    -------
    ndarray
        Distinct values, off the middle of finite ranges, shape (m,).
    """
    values = []
    for position, parameter in enumerate(parameters):
        low, high = parameter.lower, parameter.upper
        if np.isfinite(low) and np.isfinite(high):
            values.append(0.5 * (low + high) + 0.31 * (high - low))
        else:
            values.append(parameter.initial + 0.1 + 0.3 * position / len(parameters))
    return np.array(values)


class Structure:
    """
    How the k x k covariance matrix of a term depends on parameters theta.

    The matrix S is relative: the covariance of the random effects divided by sigma^2.
    It must be positive semi-definite for every theta in its range, since a search
    cannot end at an interior point where S ceases to be a covariance matrix.

    Attributes
    ----------
    name : str
        Name in tables, and before the parenthesis of a term in a formula.
    """

    name = "structure"
    is_independent = False
    """Whether all covariances are zero."""

    @property
    def holds_each_effect(self):
        """Whether one effect may have any variance while the others have none."""
        return False

    @property
    def gives_derivative(self):
        """Whether the derivative is given rather than computed by differences."""
        return type(self).derivative is not Structure.derivative

    def parameters(self, effects):
        """
        The parameters.

        Parameters
        ----------
        effects : sequence of str
            Names of the k effects.

        Returns
        -------
        list of Parameter
        """
        raise NotImplementedError

    def factor(self, theta, k):
        """
        A square root L of S = L L'.

        Parameters
        ----------
        theta : ndarray
            Parameters, shape (m,).
        k : int
            Number of effects.

        Returns
        -------
        ndarray
            L, with k rows.
        """
        return lower_root(self.covariance(theta, k))

    def covariance(self, theta, k):
        """The matrix S, shape (k, k); same arguments as `factor`."""
        root = self.factor(theta, k)
        return root @ root.T

    def derivative(self, theta, k):
        """
        Derivatives of S with respect to the parameters.

        The default takes finite differences.

        Returns
        -------
        ndarray
            Shape (m, k, k).
        """
        if not len(theta):
            return np.zeros((0, k, k))
        return differenced_gradient(
            lambda t: self.covariance(t, k), theta, self.ranges(k)
        )

    def second_derivative(self, theta, k):
        """
        Second derivatives of S.

        The default takes differences, of the first derivatives if those are given.

        Returns
        -------
        ndarray
            Shape (m, m, k, k).
        """
        if not len(theta):
            return np.zeros((0, 0, k, k))
        ranges = self.ranges(k)
        if not self.gives_derivative and is_inside(theta, ranges):
            return differenced_hessian(lambda t: self.covariance(t, k), theta)
        out = differenced_gradient(lambda t: self.derivative(t, k), theta, ranges)
        return 0.5 * (out + out.swapaxes(0, 1))

    def ranges(self, k):
        """Lower and upper end of each parameter."""
        return [(p.lower, p.upper) for p in self.parameters([""] * k)]

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Whether S counts as singular; `theta` is in common units."""
        return bool(is_singular(self.covariance(theta, k), tolerance))

    def holds(self, other, effects, other_effects):
        """
        Whether another structure is a special case of this one.

        The default is that only an equal structure is.

        Parameters
        ----------
        other : Structure
            The other structure; its effects lie in the span of this one's.
        effects, other_effects : sequence of str
            Names of the effects of each.

        Returns
        -------
        bool
        """
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        parameters = self.parameters(effects)
        if parameters != other.parameters(effects):
            return False
        theta, k = generic_point(parameters), len(effects)
        return np.array_equal(self.covariance(theta, k), other.covariance(theta, k))

    def __str__(self):
        return self.name
