"""
Structures of the covariance matrix of a term: from parameters to a matrix.

Each is one small class. A structure of your own is a subclass of `Structure` with
`parameters` and either `covariance` or `factor`; what else a fit needs is found by
differences.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.differences import gradient, hessian, is_inside
from statsmodels_lmm.core.structures.roots import SINGULAR, is_singular, lower_root


@dataclass(frozen=True)
class Parameter:
    """
    One parameter of a structure.

    Parameters
    ----------
    name : str
        Its name, such as "rho".
    lower, upper : float, optional
        Its range, ends included.
    start : float, optional
        Where a search starts. Standard deviations start from the data; the default
        of others is the middle of a finite range, one above a single end, or zero.
    kind : {"", "sd", "cor"}, optional
        A standard deviation over sigma, from 0 and with a covariance matrix that does
        not depend on its sign; a correlation; or anything else.
    effect : int, optional
        The effect whose standard deviation it is. Default is that of all effects.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf
    start: float | None = None
    kind: str = ""
    effect: int | None = None

    @property
    def initial(self):
        """Where a search starts if the data do not say."""
        if self.start is not None:
            return self.start
        ends = np.isfinite([self.lower, self.upper])
        if ends.all():
            return 0.5 * (self.lower + self.upper)
        if ends.any():
            return self.lower + 1.0 if ends[0] else self.upper - 1.0
        return 0.0


def deviation(name="sd", effect=None):
    """The parameter that is a standard deviation over sigma, see `Parameter`."""
    return Parameter(name, lower=0.0, kind="sd", effect=effect)


def generic_point(parameters):
    """
    A place at which nothing cancels.

    Parameters
    ----------
    parameters : sequence of Parameter
        The m parameters of a structure.

    Returns
    -------
    ndarray
        Values off the middle of finite ranges and otherwise all different, shape (m,).
    """
    values = []
    for at, parameter in enumerate(parameters):
        low, high = parameter.lower, parameter.upper
        if np.isfinite(low) and np.isfinite(high):
            values.append(0.5 * (low + high) + 0.31 * (high - low))
        else:
            values.append(parameter.initial + 0.1 + 0.3 * at / len(parameters))
    return np.array(values)


class Structure:
    """
    How the k x k covariance matrix of a term depends on parameters theta.

    The matrix S is relative: the covariance of the random effects over sigma^2. It
    must be positive semi-definite wherever theta is in its range: a search cannot end
    where S stops being a covariance matrix inside of it.

    Attributes
    ----------
    name : str
        Name in tables, and before the parenthesis of a term in a formula.
    """

    name = "structure"
    is_independent = False
    """Whether it has no covariances."""

    @property
    def holds_each_effect(self):
        """Whether one effect of any variance is a case, the others having none."""
        return False

    @property
    def gives_derivative(self):
        """Whether there is a derivative other than by differences."""
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
            Shape (k, any number).
        """
        return lower_root(self.covariance(theta, k))

    def covariance(self, theta, k):
        """The matrix S, shape (k, k), from the same arguments as `factor`."""
        root = self.factor(theta, k)
        return root @ root.T

    def derivative(self, theta, k):
        """
        Derivatives of S in the parameters.

        The default takes differences.

        Returns
        -------
        ndarray
            Shape (m, k, k).
        """
        if not len(theta):
            return np.zeros((0, k, k))
        return gradient(lambda t: self.covariance(t, k), theta, self.ranges(k))

    def second_derivative(self, theta, k):
        """
        Second derivatives of S.

        The default takes differences, of the first derivatives where they are given.

        Returns
        -------
        ndarray
            Shape (m, m, k, k).
        """
        if not len(theta):
            return np.zeros((0, 0, k, k))
        ranges = self.ranges(k)
        if not self.gives_derivative and is_inside(theta, ranges):
            return hessian(lambda t: self.covariance(t, k), theta)
        out = gradient(lambda t: self.derivative(t, k), theta, ranges)
        return 0.5 * (out + out.swapaxes(0, 1))

    def ranges(self, k):
        """Lower and upper end of each parameter."""
        return [(p.lower, p.upper) for p in self.parameters([""] * k)]

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Whether S has a deviation that counts as zero; `theta` as of equal units."""
        return bool(is_singular(self.covariance(theta, k), tolerance))

    def holds(self, other, effects, other_effects):
        """
        Whether another structure is a case of this one.

        Here, whether it is the same function.

        Parameters
        ----------
        other : Structure
            The other, for effects that those of this one span.
        effects, other_effects : sequence of str
            Names of the effects of either.

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
