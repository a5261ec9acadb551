"""
An engine gathers cross-products, from which the random effects are eliminated.

    Engine --gather--> Products --eliminate--> Elimination

An engine holds what depends on neither weights nor covariances: the order of
elimination and the pattern of nonzero entries. Products are sums over rows, so the
products of two sets of rows can be added. An elimination is the factorized system at
one value of the covariances. No code outside this package depends on the kind of
engine; to add one, write a class for each of these protocols and list the engine in
`choice.ENGINES`.

Notation: W = [X y] with w = p + 1 columns; term i of the plan has l_i levels and k_i
effects, model matrix Z_i and relative covariance S_i = L_i L_i'; Z and S are those of
all terms, V = I + Z S Z', and M = (S^-1 + Z'Z)^-1 = L (I + L'Z'Z L)^-1 L', which exists
for singular S as well.
"""

from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """
    Whatever in a design depends on neither weights nor covariances.

    Attributes
    ----------
    plan : EliminationPlan
        Order of the terms, which all per-term arguments and results follow.
    """

    plan: Any

    @classmethod
    def suits(cls, terms) -> bool:
        """Whether the engine suits the given random-effects terms."""

    @classmethod
    def of(cls, terms, nobs) -> "Engine":
        """
        The engine of a design, with its choice of dense and sparse parts.

        Parameters
        ----------
        terms : sequence of GroupedEffects or RawEffects
            In standardized units, in the order given by the user.
        nobs : int
            Number of rows n.

        Raises
        ------
        MemoryError
            If the system would not fit.
        """

    def take(self, which) -> "Engine":
        """
        The engine of a subset of the rows, with the same plan and pattern.

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
            T, which multiplies X, y and Z from the left. The plan of the products
            holds the transformed effects.
        """


class Products(Protocol):
    """
    The contribution of a set of rows to a fit, whatever the covariances.

    Attributes
    ----------
    plan : EliminationPlan
        Order of the terms, with the effects from which the products were formed; the
        plan of a sum of products has no rows.
    nobs, k_fixed : int
        Numbers of rows n and of columns p of X.
    level_sums : tuple of ndarray
        Z_i'W, shapes (..., l_i, k_i, w).
    gram : ndarray
        W'W, shape (..., w, w).
    squares : list of ndarray
        Diagonal of Z_i'Z_i, shapes (l_i, k_i).
    has_batch_axes : bool
        Whether responses and covariances may have leading axes.
    is_stochastic : bool
        Whether traces and log |V| are estimated from probes.
    rows : Rows or None
        The rows from which they were formed; None for a sum of products.
    """

    plan: Any
    nobs: int
    level_sums: tuple
    gram: np.ndarray
    has_batch_axes: bool
    is_stochastic: bool
    rows: Any

    @property
    def k_fixed(self) -> int:
        """Number of columns p of X."""

    @property
    def squares(self) -> list:
        """Diagonal of Z_i'Z_i, shapes (l_i, k_i)."""

    def __add__(self, other) -> "Products":
        """
        The products of both sets of rows.

        Raises
        ------
        ValueError
            If they are not from one engine or from parts of it made by `take`.
        """

    def __neg__(self) -> "Products":
        """The products times -1, to subtract those of other rows or weights."""

    def moments(self):
        """The sums used by the method of moments, a `moments.Moments`."""

    def left_by_fixed(self) -> np.ndarray:
        """Share of each term's effect columns outside the span of X, if X'X = n I."""

    def turned(self, change) -> "Products":
        """The products of W @ `change`, whose last column is the response."""

    def with_response(self, data) -> "Products":
        """The products of the same design with another response, a Standardized."""

    def with_responses(self, data, responses) -> "Products":
        """The products of many responses, shape (r, n), with a leading axis."""

    def select(self, which) -> "Products":
        """The products of selected responses."""

    def projection_is_affordable(self, largest) -> bool:
        """Whether K = Z'V^-1 Z has level blocks only, or at most `largest` columns."""

    def gram_times(self, columns) -> list:
        """
        Z'Z T for columns T, if Z'V^-1 Z is affordable.

        Parameters
        ----------
        columns : sequence of ndarray
            Rows of T for each term, shapes (..., l_i, k_i, m).
        """

    def require_projection(self, what, instead):
        """
        Raise MemoryError if K is needed but does not fit.

        Parameters
        ----------
        what, instead : str
            What needs K, and an alternative that does not, as worded in the message.

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
            Whether to make another pass over the rows to keep the digits that large
            covariances would cost.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the system is not positive definite in floating point.
        """


class Elimination(Protocol):
    """
    The system at one value of the relative covariances.

    Where levels are related by a sparse precision, sums passed in refer to the levels
    themselves, like `Products.level_sums`, whereas modes and projections returned refer
    to independent levels, see `PrecisionEffects`.

    Attributes
    ----------
    products : Products
        The products from which the effects were eliminated.
    roots : tuple of ndarray
        L of each term, shapes (..., k_i, k_i).
    logdet : ndarray
        log |V|, shape (...).
    gram : ndarray
        W'V^-1 W, shape (..., w, w).
    precision : float
        Lower bound on the relative error of `logdet` and `gram`: that of the arithmetic
        for a direct method.
    cancelled : float
        Sum over the tail's pivots of the value before the reduction divided by the
        value after it: the error of log |V| due to subtraction, in units of rounding.
    row_width : int
        Numbers stored per row while its form is computed; 0 if it stays sparse.
    """

    products: Any
    roots: tuple
    logdet: np.ndarray
    gram: np.ndarray
    precision: float

    @property
    def cancelled(self) -> float:
        """Sum over the tail's pivots of their values before / after the reduction."""

    @property
    def row_width(self) -> int:
        """Numbers stored per row while its form is computed."""

    def solve(self, sums=None) -> list:
        """
        M C for sums C. The default, C = Z'W, gives the conditional modes.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            Rows of C for each term, shapes (..., l_i, k_i, m).

        Returns
        -------
        list of ndarray
            Arrays of the same shapes.
        """

    def project(self, sums=None) -> list:
        """C - Z'Z M C, which is Z'V^-1 W for C = Z'W; arguments as for `solve`."""

    def projected_forms(self, columns) -> np.ndarray:
        """
        T'Z'V^-1 Z T, shape (..., m, m).

        Parameters
        ----------
        columns : list of ndarray
            Rows of T for each term, shapes (..., l_i, k_i, m).
        """

    def selected_inverse(self):
        """
        Blocks of M and sums of blocks of Z'V^-1 Z, a SelectedInverse.

        Its ``leverages(terms)`` are the forms z'M z of the rows, shape (..., n).
        """

    def row_forms(self, terms):
        """
        Pairs of row sets B, D, dense or sparse, for which z'M z sums b'd over pairs.

        Parameters
        ----------
        terms : sequence of GroupedEffects, RawEffects or OfLevels
            The rows z, with terms and levels as in the plan.
        """

    def projection(self, fixed_scores=None):
        """
        K = Z'V^-1 Z, or Z'PZ given Z_i'V^-1 X (X'V^-1 X)^(-1/2), shapes (l_i, k_i, p).

        Returns
        -------
        object or None
            Its ``trace_products(changes)`` are tr(K D_a K D_b), see `projection`; None
            if K cannot be formed.
        """
