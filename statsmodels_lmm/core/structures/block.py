"""
What every covariance block provides, whatever its parameters.

A `CovarianceModel` says how the covariance of some effects depends on parameters; a
`CovarianceBlock` is that covariance at one value of the parameters, in the coordinates
of a search. Callers never need to know the kind of either.
"""

from typing import Protocol

import numpy as np


class CovarianceBlock(Protocol):
    """
    A covariance block S = L L' of k effects, a function of m free parameters.

    The free parameters are the coordinates of a search. They have no bounds: a boundary
    of the parameter space appears as a point at which dS is zero.

    Attributes
    ----------
    size, n_free, n_parameters : int
        Numbers of effects k, of free parameters m, and of parameters in the units of
        the data.
    matrix, covariance : ndarray
        L and S in standardized units, shape (k, k).
    directions : ndarray
        Derivatives of S with respect to the free parameters, shape (m, k, k).
    structured_theta : ndarray
        Parameters of a structure, in the units of the data, which S does not determine;
        empty if unstructured.
    is_singular : bool
        Whether S counts as singular.
    may_be_elsewhere : bool
        Whether the criterion is likely to have another optimum.
    """

    size: int
    n_free: int
    n_parameters: int
    matrix: np.ndarray
    covariance: np.ndarray
    directions: np.ndarray
    structured_theta: np.ndarray
    is_singular: bool
    may_be_elsewhere: bool

    # the search

    def units(self, precision):
        """
        Natural step lengths of the free parameters, shape (m,).

        Parameters
        ----------
        precision : ndarray
            Mean over the levels of the diagonal of Z'V^-1 Z, shape (k,).
        """

    def slope(self, dual):
        """Derivatives tr(G dS) of the criterion, G its dual (k, k); shape (m,)."""

    def curvature(self, dual):
        """The part tr(G d^2 S) of the second derivatives, shape (m, m)."""

    def moved(self, step):
        """The block after a step, in the same coordinates."""

    def stepped(self, step):
        """The block after a step, in the coordinates best for the next one."""

    def snapped(self, tolerance=...):
        """The block with anything almost on the boundary moved onto it, or itself."""

    def lifted(self, amount):
        """The block moved off the boundary by a given amount."""

    def correlated(self, share):
        """The block with any correlation parameters at a share of their ends."""

    def nothing(self):
        """The block with zero variances."""

    def rank(self):
        """Number of standard deviations of S that do not count as zero."""

    def certificates(self, dual, information):
        """
        Certificates of a first-order optimum.

        Parameters
        ----------
        dual : ndarray
            G, shape (..., k, k).
        information : ndarray
            Sum of the diagonal blocks of Z'V^-1 Z, shape (..., k, k).

        Returns
        -------
        smallest, unused : list
            How steeply the criterion falls, relative to the information about the
            block, in the worst direction and in the worst direction that S does not
            use. At an optimum no `unused` is below zero.
        """

    # parameters in the units of the data

    def theta(self, back):
        """
        The parameters, shape (n_parameters,).

        Parameters
        ----------
        back : ndarray
            B, which takes standardized effects to the units of the data, shape (k, k).
        """

    def theta_jacobian(self, back):
        """Jacobian matrix d(free parameters) / d(theta), shape (m, n_parameters)."""

    # information about the covariances, see `variance_information`

    def unit_changes(self, scale):
        """Changes of sigma^2 S per unit of each parameter, (n_parameters, k, k)."""

    def parameter_slopes(self, scale):
        """Derivatives of those parameters in the free ones, (n_parameters, m)."""

    def traces(self, inner):
        """Inner products of the changes of S with matrices (..., k, k); (..., n)."""

    def scale_slopes(self):
        """Derivatives of the parameters with respect to sigma^2, S constant."""

    def bend(self, dual):
        """The term tr(G d^2 S) / 2 of the Hessian, shape (n_parameters,) * 2."""

    def natural_bend(self, root, along):
        """
        Second derivatives of sigma^2 S over sigma^2, in natural parameters.

        Parameters
        ----------
        root : ndarray
            B with B B' the covariance of the parameters, shape (n_parameters, r).
        along : ndarray
            The row of B for the logarithm of sigma^2, shape (r,).

        Returns
        -------
        ndarray
            Their sum with the covariances as weights, shape (k, k).
        """

    # a parameter that is held, see `constraints`

    def freed(self):
        """
        The block in coordinates for a search restricted to some directions.

        Returns
        -------
        block : CovarianceBlock
            The same S.
        moves : ndarray
            Allowed moves: f directions of the free parameters, shape (f, m).
        """


class CovarianceModel(Protocol):
    """
    How the covariance of k effects depends on parameters.

    Attributes
    ----------
    size, n_parameters, n_structured : int
        Numbers of effects k, of parameters, and of parameters that S does not
        determine.
    parameters : tuple of Parameter
        The parameters of a structure; empty if unstructured.
    name : str
        Name in tables.
    structure : Structure or None
        None if unstructured.
    has_structure : bool
        Whether S depends on parameters of its own, which do not change with the units
        of the effects.
    """

    size: int
    n_parameters: int
    n_structured: int
    parameters: tuple
    name: str
    structure: object
    has_structure: bool

    def in_units(self, change):
        """
        The model for standardized effects.

        Parameters
        ----------
        change : ndarray
            Takes standardized effects to the units of the data, shape (k, k).
        """

    def start(self, covariance):
        """The block from which a search starts, near a given S (k, k)."""

    def at(self, theta, change, pivoted=False):
        """
        The block at given parameters.

        Parameters
        ----------
        theta : ndarray
            Parameters in the units of the data, shape (n_parameters,).
        change : ndarray
            Takes standardized effects to the units of the data, shape (k, k).
        pivoted : bool, optional
            True for the start of a search, False for derivatives with respect to theta.
        """

    def generic(self):
        """The block at a point at which nothing cancels."""

    def is_singular(self, covariance, structured_theta):
        """
        Which covariances count as singular.

        Parameters
        ----------
        covariance : ndarray
            S in standardized units, shape (..., k, k).
        structured_theta : ndarray
            Parameters that S does not determine, shape (..., n_structured).

        Returns
        -------
        ndarray of bool
            Shape (...).
        """

    def unit_change(self, back, unit):
        """
        How the parameters of sigma^2 S change with the units of the data.

        Parameters
        ----------
        back : ndarray
            B, which takes standardized effects to the units of the data, shape (k, k).
        unit : float
            Squared unit of the response.

        Returns
        -------
        ndarray
            Shape (n_parameters, n_parameters).
        """

    def holds(self, other):
        """Whether another model, of effects in this one's span, is a special case."""

    def parts(self):
        """Models of single effects that together make this one, if any; else empty."""

    def quantities(self, names, title):
        """
        The quantities that tables report for a block.

        Parameters
        ----------
        names : sequence of str
            Names of the effects.
        title : str
            Name of the model, unique among those of the same term.

        Returns
        -------
        list of Quantity
        """

    def quantity_values(self, quantities, covariance, theta):
        """
        The values of such quantities at a relative covariance.

        Parameters
        ----------
        quantities : list of Quantity
            As returned by `quantities`.
        covariance : ndarray
            S in the units of the data, shape (k, k).
        theta : ndarray
            The parameters, shape (n_parameters,).

        Returns
        -------
        list of (float, float)
            A variance or covariance, NaN if there is none, and the standard deviation,
            correlation or parameter, NaN if it is undefined.
        """

    def theta_labels(self, names, quantities):
        """Names of the parameters, as a list of str."""
