"""
Linear spaces of (L, tau) in which one parameter has a given value.

L is the relative factor of a covariance block, and tau = 1 / sigma. In a basis that
starts with the effects in question, L becomes a Cholesky factor U with short first
rows: (s tau, 0, ..., 0) for an effect with standard deviation s, and
(v cos(phi), v sin(phi), 0, ..., 0) for a second one at the angle phi. Both are linear
in tau or in the lengths. The other rows are free; their triangle is pivoted, as in
`structures.unstructured_block`.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import solve_triangular

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.structures.base import Parameter
from statsmodels_lmm.core.structures.relative_factor import (
    RelativeFactor,
    block_diagonal,
)
from statsmodels_lmm.core.structures.unstructured_block import (
    UnstructuredBlock,
    pivoted_triangle,
)

NO_LENGTH = 1e-13
"""Length of a row of L that counts as zero, relative to L."""

NO_DEVIATION = 1e-7
"""Standard deviation relative to sigma below which correlations are undefined."""

AT_BOUNDARY = 1e-7
"""Angle, in radians, that counts as a correlation of one."""


@dataclass(frozen=True)
class Coordinates:
    """
    A point (L, tau) and the directions in which it may move along a constraint.

    Parameters
    ----------
    factors : tuple of RelativeFactor
        The factors in elimination order; every entry of an
        unstructured block is free.
    tau : float or None
        1 / sigma, None if sigma is profiled out.
    jacobian : ndarray
        Derivatives of the m entries of the blocks of L (row by row) and of log(tau)
        with respect to the f free coordinates, shape (m + 1, f).
    along : ndarray
        Derivatives of these m + 1 entries with respect to the parameter held.
    bounded : dict
        Coordinates that must not be negative: column of the Jacobian to value.
    bend : ndarray, optional
        Second derivatives of a curved constraint in these entries, shape
        (m + 1, m + 1); None if it is linear.
    errors : ndarray, optional
        Coordinates of the errors' covariance, whose entries come before log(tau).
    """

    factors: tuple
    tau: float | None
    jacobian: np.ndarray
    along: np.ndarray
    bounded: dict
    bend: np.ndarray | None = None
    errors: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __setstate__(self, state):
        """Read pickles, including earlier ones without errors."""
        self.__dict__.update({"errors": np.zeros(0)} | state)

    def curvature(self, gradient, curvature):
        """
        Second derivatives of the criterion along the constraint.

        They are those of the Lagrangian, whose multiplier is the slope along the
        constraint's normal.

        Parameters
        ----------
        gradient, curvature : ndarray
            Derivatives of the criterion in all entries.

        Returns
        -------
        ndarray
        """
        if self.bend is None:
            return curvature
        return curvature - (gradient @ self.along) * self.bend


class Constraint:
    """
    One parameter held, and coordinates for all others.

    Attributes
    ----------
    lower, upper : float
        Range of the parameter.
    widest : float
        Largest first step, for parameters about which the data say little.
    plateau : tuple of float
        Values below and above which the criterion is known not to change.
    """

    lower, upper = -np.inf, np.inf
    widest = 1.0
    plateau = -np.inf, np.inf

    def estimate(self, coefficients, factors, tau, extra=None):
        """
        The parameter at given values of all parameters.

        Parameters
        ----------
        coefficients : ndarray
            Standardized fixed effects, shape (p,).
        factors : sequence of RelativeFactor
            In elimination order.
        tau : float
            1 / sigma; 1 in a generalized model, whose L are absolute.
        extra : float, optional
            The extra parameter of a family.

        Returns
        -------
        float
            NaN if undefined there.
        """
        raise NotImplementedError

    def concerns(self, factor, block):
        """Whether the parameter belongs to this covariance block."""
        return False

    def reduced(self, products, at):
        """The sufficient statistics with the parameter held."""
        return products

    def cases(self):
        """Constraints, with values, under which this parameter is undefined."""
        return ()

    def whole(self, coefficients, at):
        """All standardized coefficients from those of the reduced statistics."""
        return coefficients

    def direct_slope(self, products, deviance, at):
        """Direct derivative of the criterion, with L and sigma fixed."""
        return 0.0

    def spread(self, products, optimum):
        """Change of the parameter that raises the criterion by about one."""
        return optimum.spread(self.widest)

    def hold_fixed(self, coefficients, at):
        """
        Move the fixed effects of a generalized model onto the constraint.

        Parameters
        ----------
        coefficients : ndarray
            Standardized fixed effects, shape (p,).
        at : float
            Value of the parameter.

        Returns
        -------
        coefficients : ndarray
            Those with the parameter held, shape (p,).
        moves : ndarray
            Directions in which they may move, shape (p, f).
        change : ndarray
            Their derivatives with respect to the parameter, shape (p,).
        """
        return coefficients, np.eye(len(coefficients)), np.zeros(len(coefficients))

    def hold_extra(self, extra, at):
        """The same for the extra parameter of a family, as the family takes it."""
        return extra, np.eye(1), np.zeros(1)

    def place_parameters(self, coefficients, factors, extra, at):
        """
        Move a point of a generalized model onto the constraint.

        Parameters
        ----------
        coefficients : ndarray
            Standardized fixed effects, shape (p,).
        factors : sequence of RelativeFactor
            In elimination order.
        extra : float or None
            The extra parameter of the family, as the family takes it.
        at : float
            Value of the parameter.

        Returns
        -------
        coordinates : Coordinates
            Its rows are the fixed effects, the entries of L, and the extra parameter.
        coefficients, extra
            Those on the constraint.
        """
        coefficients, *of_fixed = self.hold_fixed(coefficients, at)
        placed = self.place_factors(factors, 1.0, at)
        # without the row of log(tau)
        parts = [of_fixed, (placed.jacobian[:-1], placed.along[:-1])]
        if extra is not None:
            extra, *of_extra = self.hold_extra(extra, at)
            parts.append(of_extra)
        moves, change = zip(*parts)
        first = moves[0].shape[1]
        coordinates = replace(
            placed,
            jacobian=block_diagonal(moves),
            along=np.concatenate(change),
            bounded={c + first: v for c, v in placed.bounded.items()},
        )
        return coordinates, coefficients, extra

    def place(self, factors, tau, at):
        """
        Move a point onto the constraint.

        Parameters
        ----------
        factors : sequence of RelativeFactor
            In elimination order.
        tau : float
            1 / sigma.
        at : float
            Value of the parameter.

        Returns
        -------
        Coordinates
        """
        return self.finish(self.place_factors(factors, tau, at), tau, at)

    def place_factors(self, factors, tau, at):
        """As `place`, with sigma profiled out or, in a generalized model, absent."""
        placed, columns, along, bounded, count = [], [], [], {}, 0
        for i, factor in enumerate(factors):
            blocks = []
            for block, inside in zip(factor.blocks, factor.slices):
                if self.concerns(i, inside):
                    new, moves, change, ends = self.held(block, tau, at)
                    bounded = {c + count: v for c, v in ends.items()}
                else:
                    new, moves = block.freed()
                    change = np.zeros(new.n_free)
                blocks.append(new)
                columns.append(moves.T)
                along.append(change)
                count += len(moves)
            placed.append(RelativeFactor(tuple(blocks)))
        moved = block_diagonal(columns) if columns else np.zeros((0, 0))
        jacobian = np.concatenate([moved, np.zeros((1, moved.shape[1]))])
        change = np.concatenate([*along, [0.0]])
        return Coordinates(tuple(placed), None, jacobian, change, bounded)

    def held(self, block, tau, at):
        """
        The block in question with the parameter held at a value.

        Parameters
        ----------
        block : CovarianceBlock
            The block, not necessarily on the constraint.
        tau : float
            1 / sigma.
        at : float
            Value of the parameter.

        Returns
        -------
        block : CovarianceBlock
            The block, with m free parameters.
        moves : ndarray
            Directions in which it may move, shape (f, m).
        change : ndarray
            Derivative of the block with respect to the parameter, shape (m,).
        bounded : dict
            Coordinates that must not be negative: row of `moves` to value.
        """
        raise NotImplementedError

    def finish(self, coordinates, tau, at):
        """Add the entries for tau."""
        return coordinates


@dataclass(frozen=True)
class FixedEffect(Constraint):
    """
    A linear function u'gamma of the standardized coefficients, |u| = 1.

    In a generalized model the coefficients are parameters of the criterion and move in
    the complement of u. In a linear one the criterion is that of the model with offset
    X u c and with the complement of u as fixed effects. Under REML the other
    coefficients are integrated out but this one is not, so the minimum over c is near
    the estimate, not at it.

    Parameters
    ----------
    direction : ndarray
        u, shape (p,).
    plateau : tuple of float, optional
        See `Constraint`; for a coefficient whose estimate is infinite.
    """

    direction: np.ndarray
    plateau: tuple = (-np.inf, np.inf)

    def estimate(self, coefficients, factors, tau, extra=None):
        """The function u'gamma."""
        return float(self.direction @ coefficients)

    def reduced(self, products, at):
        """The sufficient statistics of [X H, y - X u c], H the complement of u."""
        p = products.k_fixed
        change = np.zeros((p + 1, p))
        change[:p, : p - 1] = _frame(self.direction)[:, 1:]
        change[:p, p - 1] = -at * self.direction
        change[p, p - 1] = 1.0
        return products.turned(change)

    def whole(self, coefficients, at):
        """All standardized coefficients from those of the complement of u."""
        return _frame(self.direction) @ np.append(at, coefficients)

    def hold_fixed(self, coefficients, at):
        """The coefficients moved along u, and the complement of u."""
        u = self.direction
        held = coefficients + (at - u @ coefficients) * u
        return held, _frame(u)[:, 1:], u

    def direct_slope(self, products, deviance, at):
        """(2 / sigma^2) (c - u'gamma) / (u'(X'V^-1 X)^-1 u), gamma the GLS fit at V."""
        estimate, variance = self._free_estimate(products, deviance)
        return 2.0 * (at - estimate) / variance

    def spread(self, products, optimum):
        """The standard error of the estimate."""
        return np.sqrt(self._free_estimate(products, optimum.deviance)[1])

    def _free_estimate(self, products, deviance):
        """The generalized least-squares estimate at V, and its variance."""
        whole = profiled_deviance(products, deviance.factors, False, valued=False)
        half = solve_triangular(whole.fixed_root, self.direction, lower=True)
        variance = float(half @ half * deviance.scale)
        return float(self.direction @ whole.coefficients), variance


@dataclass(frozen=True)
class ExtraParameter(Constraint):
    """
    The extra parameter of a family in the coordinates of the search.

    Parameters
    ----------
    is_squared : bool
        Whether it is the square root of an alpha, rather than the logarithm of a
        dispersion.
    """

    is_squared: bool

    def __post_init__(self):
        if self.is_squared:
            object.__setattr__(self, "lower", 0.0)

    def estimate(self, coefficients, factors, tau, extra=None):
        """The square root of alpha or the logarithm of phi."""
        return float(np.sqrt(extra) if self.is_squared else extra)

    def hold_extra(self, extra, at):
        """No freedom is left."""
        held = at**2 if self.is_squared else at
        return held, np.zeros((1, 0)), np.ones(1)


@dataclass(frozen=True)
class ResidualDeviation(Constraint):
    """The logarithm of sigma, in standardized units."""

    def estimate(self, coefficients, factors, tau, extra=None):
        """log(1 / tau)."""
        return -float(np.log(tau))

    def finish(self, coordinates, tau, at):
        """Hold tau."""
        along = coordinates.along.copy()
        along[-1] = -1.0
        return replace(coordinates, tau=np.exp(-at), along=along)


@dataclass(frozen=True)
class StandardDeviation(Constraint):
    """
    The standard deviation of e'b, e a unit vector over the effects of a block.

    Parameters
    ----------
    factor : int
        Position of the term in the elimination plan.
    block : slice
        Columns of the covariance block.
    effect : ndarray
        e, shape (size of the block,).
    """

    factor: int
    block: slice
    effect: np.ndarray

    lower, upper = 0.0, np.inf

    def estimate(self, coefficients, factors, tau, extra=None):
        """|e'L| / tau, zero if it is negligible."""
        root = factors[self.factor].matrix[self.block, self.block]
        length = float(np.linalg.norm(self.effect @ root))
        return length / tau if length > NO_DEVIATION else 0.0

    def concerns(self, factor, block):
        """Whether the parameter belongs to this covariance block."""
        return (factor, block) == (self.factor, self.block)

    def held(self, block, tau, at):
        """U = [[at tau, 0], [free, triangle]] in a basis that starts with e."""
        matrix, k = block.matrix, block.size
        basis = _frame(self.effect).T
        first, others = self.effect @ matrix, basis[1:] @ matrix
        root, rows, columns = np.zeros((k, k)), [], []
        root[0, 0] = at * tau
        if k > 1:
            heads = 0
            if at > 0.0:
                heads = 1
                turned = others @ _frame(_direction(first, matrix))
                root[1:, 0], others = turned[:, 0], turned[:, 1:]
            rows, columns = _lower_rows(root, others, 1, heads)
        moves = _unit_moves(basis.T, rows, columns)
        change = np.zeros((k, k))
        change[:, 0] = tau * self.effect
        return UnstructuredBlock.full(basis.T @ root), moves, change.ravel(), {}

    def finish(self, coordinates, tau, at):
        """Let tau move, and with it the entry proportional to tau."""
        jacobian = np.column_stack([coordinates.jacobian, at * coordinates.along])
        jacobian[-1, -1] = 1.0
        return replace(coordinates, tau=tau, jacobian=jacobian)


@dataclass(frozen=True)
class Correlation(Constraint):
    """
    The angle between two effects of a block, the arc cosine of their correlation.

    Parameters
    ----------
    factor : int
        Position of the term in the elimination plan.
    block : slice
        Columns of the covariance block.
    first, second : ndarray
        The two effects as unit vectors, shape (size of the block,).
    """

    factor: int
    block: slice
    first: np.ndarray
    second: np.ndarray

    lower, upper = 0.0, np.pi

    def estimate(self, coefficients, factors, tau, extra=None):
        """The angle between two rows of L, NaN if either is zero."""
        root = factors[self.factor].matrix[self.block, self.block]
        rows = np.stack([self.first, self.second]) @ root
        lengths = np.linalg.norm(rows, axis=1)
        if lengths.min() <= NO_DEVIATION:
            return np.nan
        one, two = rows / lengths[:, None]
        # precise for small and large angles, unlike an arc cosine
        apart, together = np.linalg.norm(one - two), np.linalg.norm(one + two)
        angle = float(2.0 * np.arctan2(apart, together))
        if angle < AT_BOUNDARY:
            return 0.0
        return np.pi if np.pi - angle < AT_BOUNDARY else angle

    def cases(self):
        """Either standard deviation at zero, which leaves the angle undefined."""
        return tuple(
            (StandardDeviation(self.factor, self.block, effect), 0.0)
            for effect in (self.first, self.second)
        )

    def concerns(self, factor, block):
        """Whether the parameter belongs to this covariance block."""
        return (factor, block) == (self.factor, self.block)

    def held(self, block, tau, at):
        """U = [[s, 0, 0], [v cos, v sin, 0], [free, free, triangle]], s, v >= 0."""
        matrix, k = block.matrix, block.size
        cos, sin = np.cos(at), np.sin(at)
        if at in (self.lower, self.upper):
            sin = 0.0
        pair = np.stack([self.first, self.second])
        rest = np.linalg.qr(pair.T, mode="complete")[0][:, 2:].T
        basis = np.concatenate([pair, rest])
        back = np.linalg.inv(basis)
        one, two = pair @ matrix
        limit = NO_LENGTH * _size(matrix)
        s, v = (x if x > limit else 0.0 for x in map(_length, (one, two)))
        frame = _plane(one, two, s, v, cos, sin, matrix)
        root, rows, columns = np.zeros((k, k)), [], []
        root[0, 0], root[1, :2] = s, (v * cos, v * sin)
        if k > 2:
            others = rest @ matrix @ frame
            heads = 2 if sin else 1
            root[2:, :heads] = others[:, :heads]
            rows, columns = _lower_rows(root, others[:, heads:], 2, heads)
        moves = np.zeros((2, k, k))
        moves[0][:, 0] = back[:, 0]
        moves[1][:, 0], moves[1][:, 1] = cos * back[:, 1], sin * back[:, 1]
        moves = moves.reshape(2, -1)
        moves = np.concatenate([moves, _unit_moves(back, rows, columns)])
        change = np.zeros((k, k))
        change[:, 0], change[:, 1] = -v * sin * back[:, 1], v * cos * back[:, 1]
        placed = UnstructuredBlock.full(back @ root)
        return placed, moves, change.ravel(), {0: s, 1: v}


@dataclass(frozen=True)
class StructureParameter(Constraint):
    """
    A parameter of a structure; for a standard deviation, theta / tau is held.

    Parameters
    ----------
    factor : int
        Position of the term in the elimination plan.
    block : slice
        Columns of the covariance block.
    position : int
        Position of the parameter in the structure.
    parameter : Parameter
        The parameter.
    """

    factor: int
    block: slice
    position: int
    parameter: Parameter

    def __post_init__(self):
        object.__setattr__(self, "lower", self.parameter.lower)
        object.__setattr__(self, "upper", self.parameter.upper)

    @property
    def _is_deviation(self):
        return self.parameter.kind == "sd"

    def estimate(self, coefficients, factors, tau, extra=None):
        """The parameter's value, zero for a negligible standard deviation."""
        factor = factors[self.factor]
        block = factor.blocks[factor.slices.index(self.block)]
        value = float(block.structured_theta[self.position])
        if not self._is_deviation:
            return value
        return value / tau if abs(value) > NO_DEVIATION else 0.0

    def concerns(self, factor, block):
        """Whether the parameter belongs to this covariance block."""
        return (factor, block) == (self.factor, self.block)

    def held(self, block, tau, at):
        """The block with the parameter held, in coordinates of the others."""
        unit = tau if self._is_deviation else 1.0
        moves = np.delete(np.eye(block.n_free), self.position, axis=0)
        change = np.zeros(block.n_free)
        change[self.position] = unit
        return block.held(self.position, at * unit), moves, change, {}

    def finish(self, coordinates, tau, at):
        """Let tau move a held standard deviation; otherwise profile sigma out."""
        if not self._is_deviation:
            return coordinates
        jacobian = np.column_stack([coordinates.jacobian, at * coordinates.along])
        jacobian[-1, -1] = 1.0
        return replace(coordinates, tau=tau, jacobian=jacobian)


def _lower_rows(root, others, first, heads):
    """Fill the rows of U from `first` on and list their free entries."""
    triangle, at_row, at_column = pivoted_triangle(others)
    root[first:, first:] = triangle
    head_rows, head_columns = np.indices((len(others), heads))
    return (
        first + np.append(head_rows.ravel(), at_row),
        np.append(head_columns.ravel(), first + at_column),
    )


def _unit_moves(back, rows, columns):
    """Derivatives of L = back U with respect to entries of U, shape (m, k k)."""
    moves = np.zeros((len(rows), *back.shape))
    moves[np.arange(len(rows)), :, columns] = back.T[rows]
    return moves.reshape(len(rows), back.size)


def _frame(unit):
    """An orthogonal matrix that starts with a unit vector; the identity if it can."""
    mirror = unit.copy()
    mirror[0] += 1.0 if unit[0] >= 0.0 else -1.0
    frame = np.eye(len(unit)) - mirror[:, None] * (mirror / abs(mirror[0]))
    frame[:, 0] = unit
    return frame


def _unused(matrix):
    """A unit vector orthogonal to the rows of a singular matrix."""
    return np.linalg.svd(matrix)[2][-1]


def _direction(row, matrix):
    """A row of L divided by its length, or a direction orthogonal to all rows."""
    length = _length(row)
    if length <= NO_LENGTH * _size(matrix):
        return _unused(matrix)
    return row / length


def _plane(one, two, s, v, cos, sin, matrix):
    """An orthogonal matrix that turns two rows into the first two columns."""
    if s > 0.0:
        first = one / s
        across = two - (two @ first) * first
        length = _length(across)
        second = across / length if length > 1e-8 * v > 0.0 else _unused(matrix)
    elif v > 0.0:
        along, across = two / v, _unused(matrix)
        first, second = cos * along + sin * across, sin * along - cos * across
    else:
        return np.eye(len(matrix))
    pair = np.stack([first, second], axis=1)
    frame = np.linalg.qr(pair, mode="complete")[0]
    # only the complement, since the factorization may flip the signs of the pair
    frame[:, :2] = pair
    return frame


def _length(row):
    return float(np.linalg.norm(row))


def _size(matrix):
    """The size relative to which entries of L are negligible, at least sigma's."""
    return max(1.0, _length(matrix))
