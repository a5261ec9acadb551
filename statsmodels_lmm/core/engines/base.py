"""
An engine forms cross-products, products are eliminated, an elimination answers.

    Engine --gather--> Products --eliminate--> Elimination

An engine knows what depends on neither weights nor covariances: the order of
elimination and where there are entries. Products are sums over rows, so that those of
two sets of rows are added. An elimination is the system at one value of the
covariances. Nothing outside this room asks which kind of them it has; a new kind is a
class for each of these protocols and an entry in `choice.ENGINES`.

Notation: W = [X y] with w = p + 1 columns; term i of the plan has l_i levels and k_i
effects, the model matrix Z_i and the relative covariance S_i = L_i L_i'; Z and S are
those of all terms, V = I + Z S Z', and M = (S^-1 + Z'Z)^-1 = L (I + L'Z'Z L)^-1 L',
which exists for singular S, too.
"""

from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """
    Everything about a design that depends on neither weights nor covariances.

    Attributes
    ----------
    plan : EliminationPlan
        Order of the terms, which all per-term arguments and results have.
    """

    plan: Any

    @classmethod
    def suits(cls, terms) -> bool:
        """Whether some random-effects terms, as the user gave them, are for it."""

    @classmethod
    def of(cls, terms, nobs) -> "Engine":
        """
        The engine of a design, which decides what is dense and what sparse.

        Parameters
        ----------
        terms : sequence of GroupedEffects or RawEffects
            In standardized units, in the order the user gave.
        nobs : int
            Number of rows n.

        Raises
        ------
        MemoryError
            If the system would not fit.
        """

    def take(self, which) -> "Engine":
        """
        The engine of some of the rows, with the same plan and pattern.

        Parameters
        ----------
        which : slice or ndarray
            Positions of the rows, or booleans.
        """

    def gather(self, rows, transform=None) -> "Products":
        """
        Form the products in one pass over the rows.

        Parameters
        ----------
        rows : Rows
            X and y.
        transform : RowTransform, optional
            T, by which X, y and Z are multiplied from the left. The plan of the
            products has the transformed effects.
        """


class Products(Protocol):
    """
    What some rows contribute to a fit, whatever the covariances are.

    Attributes
    ----------
    plan : EliminationPlan
        Order of the terms, with the effects that the products were formed from; of a
        sum of products it has no rows.
    nobs, k_fixed : int
        Numbers of rows n and of columns p of X.
    level_sums : tuple of ndarray
        Z_i'W, shapes (..., l_i, k_i, w).
    gram : ndarray
        W'W, shape (..., w, w).
    squares : list of ndarray
        Diagonal of Z_i'Z_i, shapes (l_i, k_i).
    is_batchable : bool
        Whether responses and covariances may have leading axes.
    rows : Rows or None
        What they were formed from, None if that is not one set of rows.
    """

    plan: Any
    nobs: int
    level_sums: tuple
    gram: np.ndarray
    is_batchable: bool
    rows: Any

    @property
    def k_fixed(self) -> int:
        """Number of columns p of X."""

    @property
    def squares(self) -> list:
        """Diagonal of Z_i'Z_i, shapes (l_i, k_i)."""

    def __add__(self, other) -> "Products":
        """
        The products of the rows of both.

        Raises
        ------
        ValueError
            If they are not of one engine, or of parts of it that `take` gave.
        """

    def moments(self):
        """What the method of moments takes, a `moments.Moments`."""

    def left_by_fixed(self) -> np.ndarray:
        """Share of the effect columns of each term that X leaves, if X'X = n I."""

    def turned(self, change) -> "Products":
        """The products of W times `change`, whose last column is the response."""

    def with_response(self, data) -> "Products":
        """The products of another response of the same design, a Standardized."""

    def with_responses(self, data, responses) -> "Products":
        """The products of many responses, shape (r, n), with a leading axis."""

    def select(self, which) -> "Products":
        """Those of some of many responses."""

    def projection_is_affordable(self, largest) -> bool:
        """Whether K = Z'V^-1 Z has level blocks only, or at most `largest` columns."""

    def require_projection(self, what, instead):
        """
        Refuse what needs K if there is no room for it.

        Parameters
        ----------
        what, instead : str
            What needs it, and what would not, as they stand in the message.

        Raises
        ------
        MemoryError
        """

    def eliminate(self, roots, closely=False) -> "Elimination":
        """
        Eliminate the random effects.

        Parameters
        ----------
        roots : sequence of ndarray
            L of each term, shapes (..., k_i, k_i).
        closely : bool, optional
            Whether to spend a pass over the rows on digits that large covariances would
            cost.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the system is not positive definite in floating point.
        """


class Elimination(Protocol):
    """
    The system at one value of the relative covariances.

    Where levels are related by a sparse precision, sums that are given are those of the
    levels themselves, as `Products.level_sums`, and modes and projections that are
    returned are those of independent levels, see `PrecisionEffects`.

    Attributes
    ----------
    products : Products
        What was eliminated.
    roots : tuple of ndarray
        L of each term, shapes (..., k_i, k_i).
    logdet : ndarray
        log |V|, shape (...).
    gram : ndarray
        W'V^-1 W, shape (..., w, w).
    precision : float
        Relative error of these at the least: that of arithmetic if it is direct.
    cancelled : float
        Pivots before over after the reduction of the tail, summed: what subtraction
        costs log |V|, in units of rounding.
    row_width : int
        Numbers that a row takes while its form is found, 0 if it stays sparse.
    """

    products: Any
    roots: tuple
    logdet: np.ndarray
    gram: np.ndarray
    precision: float

    @property
    def cancelled(self) -> float:
        """Pivots before over after the reduction of the tail, summed."""

    @property
    def row_width(self) -> int:
        """Numbers that a row takes while its form is found."""

    def solve(self, sums=None) -> list:
        """
        M C for sums C, the conditional modes if C = Z'W, which is the default.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            Rows of C of each term, shapes (..., l_i, k_i, m).

        Returns
        -------
        list of ndarray
            Of the same shapes.
        """

    def project(self, sums=None) -> list:
        """C - Z'Z M C, which is Z'V^-1 W for C = Z'W; arguments as of `solve`."""

    def projected_forms(self, columns) -> tuple:
        """
        T'Z'V^-1 Z T and X'V^-1 Z T, shapes (..., m, m) and (..., p, m).

        Parameters
        ----------
        columns : list of ndarray
            Rows of T of each term, shapes (..., l_i, k_i, m).
        """

    def selected_inverse(self):
        """Blocks of M and sums of those of Z'V^-1 Z, a SelectedInverse."""

    def row_forms(self, terms):
        """
        Pairs of rows B, D, sparse or not, such that forms z'M z are the sum of B D'.

        Parameters
        ----------
        terms : sequence of GroupedEffects, RawEffects or OfLevels
            The rows z, terms and levels as in the plan.
        """

    def projection(self, fixed_scores=None):
        """
        K = Z'V^-1 Z, or Z'PZ given Z_i'V^-1 X (X'V^-1 X)^(-1/2), shapes (l_i, k_i, p).

        Returns
        -------
        object or None
            Its ``trace_products(changes)`` are Tr(K D_a K D_b), see `projection`; None
            if K cannot be formed.
        """
