"""
What every covariance block knows, whatever its covariance depends on.

A `CovarianceModel` says how the covariance of some effects depends on parameters; a
`CovarianceBlock` is that covariance at one value of them, in the coordinates of a
search. Nobody asks of which kind they are.
"""

from typing import Protocol

import numpy as np


class CovarianceBlock(Protocol):
    """
    A covariance block S = L L' of k effects, a function of m free parameters.

    The free parameters are the coordinates of a search. They have no bounds; what is
    on the boundary of the parameter space is a place at which dS is zero.

    Attributes
    ----------
    size, n_free, n_parameters : int
        Number of effects k, of free parameters m, and of parameters in the units of
        the data.
    matrix, covariance : ndarray
        L and S in standardized units, shape (k, k).
    directions : ndarray
        Derivatives of S in the free parameters, shape (m, k, k).
    structured_theta : ndarray
        Parameters in the units of the data that S does not tell, those of a structure;
        empty if unstructured.
    is_singular : bool
        Whether S counts as singular.
    may_be_elsewhere : bool
        Whether another optimum of the criterion is likely.
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
        Lengths in which steps of the free parameters are measured, shape (m,).

        Parameters
        ----------
        precision : ndarray
            Mean over the levels of the diagonal of Z'V^-1 Z, shape (k,).
        """

    def slope(self, dual):
        """Derivatives tr(G dS) of the criterion for its dual G (k, k), shape (m,)."""

    def curvature(self, dual):
        """The part tr(G d^2 S) of the second derivatives, shape (m, m)."""

    def moved(self, step):
        """The block after a step, the free parameters meaning the same as before."""

    def stepped(self, step):
        """The block after a step, with the free parameters best for another one."""

    def snapped(self, tolerance=...):
        """The block with what is almost on the boundary put there, or itself."""

    def lifted(self, amount):
        """The block moved off the boundary by some amount."""

    def correlated(self, share):
        """The block with correlations at a share of their ends, if S has such."""

    def nothing(self):
        """The block without variances."""

    def rank(self):
        """Number of deviations of S that do not count as zero."""

    def certificates(self, dual, information):
        """
        What proves a first-order optimum.

        Parameters
        ----------
        dual : ndarray
            G, shape (..., k, k).
        information : ndarray
            Sum of the diagonal blocks of Z'V^-1 Z, shape (..., k, k).

        Returns
        -------
        smallest, unused : list
            How steeply the criterion falls in the worst direction, relative to the
            information about the block, and in the worst of those that S does not use.
            An optimum has no `unused` below zero.
        """

    # parameters in the units of the data

    def theta(self, back):
        """
        Its parameters, shape (n_parameters,).

        Parameters
        ----------
        back : ndarray
            B, from standardized effects to those of the data, shape (k, k).
        """

    def theta_jacobian(self, back):
        """Derivatives of the free parameters in those, shape (m, n_parameters)."""

    # information about the covariances, see `variance_information`

    def unit_changes(self, scale):
        """Changes of sigma^2 S by a unit of each parameter, (n_parameters, k, k)."""

    def traces(self, inner):
        """Inner products of the changes of S and matrices (..., k, k), (..., n)."""

    def scale_slopes(self):
        """What the parameters change by as sigma^2 does and S stays."""

    def bend(self, dual):
        """The part tr(G d^2 S) / 2 in the parameters, shape (n, n)."""

    # a parameter that is held, see `constraints`

    def freed(self):
        """
        The block as another search wants it that may move it in some directions.

        Returns
        -------
        block : CovarianceBlock
            The same S.
        moves : ndarray
            Directions of its f coordinates in its free parameters, shape (f, m).
        """


class CovarianceModel(Protocol):
    """
    How the covariance of k effects depends on parameters.

    Attributes
    ----------
    size, n_parameters, n_structured : int
        Number of effects k, of parameters, and of parameters that S does not tell.
    parameters : tuple of Parameter
        Those of a structure; empty if unstructured.
    name : str
        Name in tables.
    structure : Structure or None
        None if unstructured.
    has_structure : bool
        Whether S depends on parameters that are its own, so that these do not change
        with the units of the effects.
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
            From standardized effects to those of the data, shape (k, k).
        """

    def start(self, covariance):
        """The block from which a search starts, near some S (k, k)."""

    def at(self, theta, change, pivoted=False):
        """
        The block at some parameters.

        Parameters
        ----------
        theta : ndarray
            Parameters in the units of the data, shape (n_parameters,).
        change : ndarray
            From standardized effects to those of the data, shape (k, k).
        pivoted : bool, optional
            Whether a search starts there, or derivatives in theta are wanted.
        """

    def generic(self):
        """The block at a place at which nothing cancels."""

    def is_singular(self, covariance, structured_theta):
        """
        Which covariances count as singular.

        Parameters
        ----------
        covariance : ndarray
            S in standardized units, shape (..., k, k).
        structured_theta : ndarray
            Parameters that S does not tell, shape (..., n_structured).

        Returns
        -------
        ndarray of bool
            Shape (...).
        """

    def unit_change(self, back, unit):
        """
        Change of the parameters of sigma^2 S with the units of the data.

        Parameters
        ----------
        back : ndarray
            B, from standardized effects to those of the data, shape (k, k).
        unit : float
            Squared unit of the response.

        Returns
        -------
        ndarray
            Shape (n_parameters, n_parameters).
        """

    def holds(self, other):
        """Whether another model of effects that these span is a case of this."""

    def parts(self):
        """Models of single effects that together are this one; empty if none are."""

    def quantities(self, names, title):
        """
        What tables tell of a block.

        Parameters
        ----------
        names : sequence of str
            Names of the effects.
        title : str
            Name of the model, told apart from others of the same factor.

        Returns
        -------
        list of Quantity
        """

    def quantity_values(self, quantities, covariance, theta):
        """
        The values of those for a relative covariance.

        Parameters
        ----------
        quantities : list of Quantity
            What `quantities` gave.
        covariance : ndarray
            S in the units of the data, shape (k, k).
        theta : ndarray
            Its parameters, shape (n_parameters,).

        Returns
        -------
        list of (float, float)
            A variance or covariance, NaN where there is none, and the deviation,
            correlation or parameter, NaN where it means nothing.
        """

    def theta_labels(self, names, quantities):
        """Names of the parameters, a list of str."""
