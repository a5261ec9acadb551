"""
Scale and center the data before they are squared.

A fit in standardized units is equivariant under shifts and scaling of the response and
of every column, and loses no digits to a large mean. The response is replaced by its
least-squares residuals in units of their root mean square, X by an orthonormal basis of
its column space, and the effect columns of each covariance block by an orthonormal
basis of theirs.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import (
    cholesky,
    eigvalsh,
    inverse_lower,
    triangle_of_qr,
)
from statsmodels_lmm.core.algebra.tall_matrices import (
    are_clearly_independent,
    orthonormalized,
)
from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.raw_effects import RawEffects

RANK_TOLERANCE = 1e-7
"""Share of a column's norm that must remain after projecting out those before it."""

MARGIN = 10.0
"""Multiple of the tolerance above which all columns are kept without a closer look."""

SPANNED = 1e-12
"""The tolerance for a constant that follows other columns."""

UNIT_EXPONENT = 200
"""Binary exponent up to which a column is squared without scaling."""

ORTHOGONAL_TOLERANCE = 1e-10
"""Smallest eigenvalue of a correlation matrix at which it is inverted."""


class StandardUnits:
    """
    What follows from the maps between standardized units and the user's.

    Attributes
    ----------
    n_rows : int
        Number of rows n.
    kept, to_effects, log_weights, log_fixed
        See `StandardizedDesign`.
    response_scale : float
        See `Standardized`.
    """

    @property
    def effect_sizes(self: Any):
        """Sizes of each term's effects relative to the response scale, shapes (k,)."""
        return [np.abs(change).max(axis=1) for change in self.to_effects]

    def criterion_shift(self: Any, reml):
        """
        The amount to add to the standardized criterion for that in the data's units.

        Parameters
        ----------
        reml : bool
            Whether it is the REML criterion.

        Returns
        -------
        float
        """
        nu = self.n_rows - (len(self.kept) if reml else 0)
        shift = 2.0 * nu * np.log(self.response_scale) - self.log_weights
        return shift + (2.0 * self.log_fixed if reml else 0.0)


@dataclass(frozen=True)
class StandardizedDesign(StandardUnits):
    """
    A standardized design, common to all responses.

    Parameters
    ----------
    exog : ndarray
        Orthonormal basis of the fixed design times sqrt(n), shape (n, r).
    terms : tuple of GroupedEffects or RawEffects
        Random-effects terms with standardized effect columns.
    n_columns : int
        Number of columns of X.
    kept : ndarray
        Columns of X that span its column space, shape (r,).
    to_fixed : ndarray
        beta = response_scale * to_fixed @ coefficients + least_squares, shape
        (r, r).
    to_effects : tuple of ndarray
        b = response_scale * to_effects @ standardized b, shapes (k, k).
    root_weights : ndarray
        Square roots of the prior weights, divided by `root_unit`, shape (n,).
    root_unit : float
        A power of two of the order of magnitude of these square roots.
    log_weights : float
        Sum of the logarithms of the prior weights.
    log_fixed : float
        Half the change of log |X'V^-1 X| from standardized to user units.
    ones : ndarray or None
        Coefficients with which X gives a column of ones, shape (r,); None without a
        constant.
    """

    exog: np.ndarray
    terms: tuple
    n_columns: int
    kept: np.ndarray
    to_fixed: np.ndarray
    to_effects: tuple
    root_weights: np.ndarray
    root_unit: float
    log_weights: float
    log_fixed: float
    ones: np.ndarray | None

    @property
    def n_rows(self):
        """Number of rows n."""
        return len(self.exog)

    def with_response(self, endog):
        """
        Standardize a response of this design.

        Parameters
        ----------
        endog : ndarray
            Response minus its offset, shape (n,).

        Returns
        -------
        Standardized
        """
        n, unit = len(endog), _units(endog)
        residual = endog / unit
        level = 0.0 if self.ones is None else residual.mean()
        residual -= level
        residual *= self.root_weights
        coefficients = np.zeros(self.exog.shape[1])
        for _ in range(2):  # twice, so that no digits are lost
            further = self.exog.T @ residual / n
            residual -= self.exog @ further
            coefficients += further
        with np.errstate(over="ignore", invalid="ignore"):
            least_squares = (self.to_fixed * self.root_unit) @ coefficients
            if self.ones is not None:
                least_squares += level * self.ones
            least_squares *= unit
        scale = float(np.linalg.norm(residual) / np.sqrt(n))
        if scale > 0.0:
            residual /= scale
        return self._with(residual, least_squares, scale * float(self.root_unit * unit))

    def with_plain_response(self, endog):
        """
        The design with a response that keeps its units.

        Coefficients and random effects are on the scale of a linear predictor, which
        has no unit of its own.

        Parameters
        ----------
        endog : ndarray
            Response, shape (n,).

        Returns
        -------
        Standardized
        """
        return self._with(endog, np.zeros(len(self.kept)), 1.0)

    def _with(self, endog, least_squares, response_scale):
        own = {f.name: getattr(self, f.name) for f in fields(StandardizedDesign)}
        return Standardized(
            **own,
            endog=endog,
            least_squares=least_squares,
            response_scale=response_scale,
        )


@dataclass(frozen=True)
class Standardized(StandardizedDesign):
    """
    Standardized data and the maps back to the original units.

    Parameters
    ----------
    endog : ndarray
        Standardized response, shape (n,).
    least_squares : ndarray
        Least-squares coefficients of the kept columns, shape (r,).
    response_scale : float
        Root mean square of the least-squares residuals.
    """

    endog: np.ndarray
    least_squares: np.ndarray
    response_scale: float


def standardize(endog, exog, terms, weights=None):
    """
    Standardize the data of a linear mixed model.

    Parameters
    ----------
    endog : ndarray
        Response minus its offset, shape (n,).
    exog, terms, weights : optional
        See `standardize_design`.

    Returns
    -------
    Standardized
    """
    return standardize_design(exog, terms, weights).with_response(endog)


def standardize_design(exog, terms, weights=None):
    """
    Standardize the design of a linear mixed model.

    Parameters
    ----------
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    terms : sequence of GroupedEffects or RawEffects
        Random-effects terms.
    weights : ndarray, optional
        Positive prior weights, shape (n,).

    Returns
    -------
    StandardizedDesign
    """
    n, n_columns = exog.shape
    root = np.broadcast_to(1.0, n) if weights is None else np.sqrt(weights)
    # powers of two change no digits; the criterion is best scaled with weights near 1
    root_unit = power_of_two(root.mean())
    units = _units(exog)
    # sums run down columns
    if weights is not None:
        root = root / root_unit
    exog = np.divide(exog, units, order="F")
    constant = _independent_constant(exog, root)
    shifts = np.zeros(exog.shape[1])
    if constant is not None:
        shifts = exog.mean(axis=0) / exog[0, constant]
        shifts[constant] = 0.0
        for j in np.flatnonzero(shifts):
            exog[:, j] -= exog[:, constant] * shifts[j]
    kept = independent_columns(exog if weights is None else exog * root[:, None])
    if len(kept) < exog.shape[1]:
        exog = exog[:, kept]
    first, norms = exog[0].copy(), _root_mean_squares(exog)
    exog /= norms
    if weights is not None:
        exog *= root[:, None]
    q, r = orthonormalized(exog)
    del exog  # as large as the data
    to_fixed = inverse_lower(r.T).T / norms[:, None] * np.sqrt(n)
    ones = None
    if constant is not None:
        place = int(np.flatnonzero(kept == constant)[0])
        ones = np.zeros(len(kept))
        ones[place] = 1.0 / first[place] / units[constant]
        back = np.eye(len(kept))
        back[place] -= shifts[kept]
        to_fixed = back @ to_fixed
    with np.errstate(over="ignore", under="ignore"):
        to_fixed = to_fixed / units[kept][:, None] / root_unit
    standardized = [_standardize_effects(f, root, root_unit) for f in terms]
    q *= np.sqrt(n)
    return StandardizedDesign(
        exog=q,
        terms=tuple(f for f, _ in standardized),
        n_columns=n_columns,
        kept=kept,
        to_fixed=to_fixed,
        to_effects=tuple(t for _, t in standardized),
        root_weights=root,
        root_unit=root_unit,
        log_weights=0.0 if weights is None else float(np.log(weights).sum()),
        log_fixed=-float(np.linalg.slogdet(to_fixed)[1]),
        ones=ones,
    )


def power_of_two(size):
    """The largest power of two up to a positive number."""
    return float(np.ldexp(1.0, np.frexp(size)[1] - 1))


def _units(values):
    """Powers of two that keep squared columns within range; mostly 1."""
    high, low = values.max(axis=0, initial=0.0), values.min(axis=0, initial=0.0)
    largest = np.maximum(high, -low)
    exponents = np.frexp(largest)[1] - 1
    return np.ldexp(1.0, np.where(np.abs(exponents) > UNIT_EXPONENT, exponents, 0))


def _root_mean_squares(columns):
    """The root mean square of each column."""
    return np.sqrt(np.einsum("nc,nc->c", columns, columns) / len(columns))


def constant_column(columns):
    """Position of the first column that is constant and not zero, or None."""
    if not columns.shape[1]:
        return None
    same = (columns == columns[0]).all(axis=0) & (columns[0] != 0)
    return int(np.argmax(same)) if same.any() else None


def _independent_constant(exog, root):
    """Position of a constant outside the span of the columns before it, or None."""
    constant = constant_column(exog)
    if constant:
        # a column with a large mean almost spans the constant, but not quite
        columns = exog[:, : constant + 1] * root[:, None]
        before = independent_columns(columns, SPANNED)
        return constant if constant in before else None
    return constant


def independent_columns(columns, tolerance=RANK_TOLERANCE):
    """
    Columns that are not linear combinations of the columns before them.

    Parameters
    ----------
    columns : ndarray
        Shape (n, p).
    tolerance : float, optional
        Share of a column's norm that must remain after projecting out those before it.

    Returns
    -------
    ndarray
        Positions, ascending.
    """
    norms = _root_mean_squares(columns)
    candidates = np.flatnonzero(norms > 0)
    if not len(candidates):
        return candidates
    if len(candidates) == columns.shape[1] and are_clearly_independent(columns):
        return candidates
    scaled = columns[:, candidates] / norms[candidates]
    triangle = triangle_of_qr(scaled)
    # what remains of each column, of norm sqrt(n), if all are kept
    left = np.abs(np.diagonal(triangle))
    clearly = MARGIN * tolerance * np.sqrt(len(columns))
    if len(left) == len(candidates) and left.min() > clearly:
        return candidates
    basis = np.zeros((len(triangle), 0))
    kept = []
    for position, column in zip(candidates, triangle.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > tolerance * np.linalg.norm(column):
            kept.append(position)
            basis = np.column_stack([basis, rest / size])
    return np.array(kept)


def _standardize_effects(term, root, root_unit):
    """A term with standardized effect columns, and the map back."""
    if isinstance(term, RawEffects):
        return _standardize_columns(term, root, root_unit)
    if _is_standard(term, root):
        return term, np.ones((1, 1))
    effects = np.empty_like(term.effects)
    to_effects = np.zeros((term.k_effects, term.k_effects))
    size = np.sqrt(_mean_variance(term))
    structures = []
    for block, structure in zip(term.block_slices, term.structures):
        units = _units(term.effects[:, block])
        columns = term.effects[:, block] / units
        # a structure survives changes of units only
        scaling = _unit_columns if structure.has_structure else _orthonormal
        columns, change = scaling(columns)
        effects[:, block] = columns * root[:, None] / size
        change = change / units[:, None] / root_unit
        to_effects[block, block] = change / size
        structures.append(structure.in_units(change / size))
    standardized = replace(term, effects=effects, structures=tuple(structures))
    return standardized, to_effects


def _is_standard(term, root):
    """Whether the only effect is the intercept of independent levels, unweighted."""
    alone = term.k_effects == 1 and term.relationship is None and not term.is_structured
    return alone and not root.strides[0] and bool((term.effects == 1.0).all())


def _mean_variance(term):
    """Mean over the rows of the relationship's variance of their levels."""
    if isinstance(term.relationship, Precision):
        return term.relationship.size
    if term.relationship is None:
        return 1.0
    return term.relationship.variances[term.codes].mean() or 1.0


def _standardize_columns(term, root, root_unit):
    """A model matrix whose rows have mean variance one, and the map back."""
    known, z = term.relationship, term.matrix
    unit = _units(z.data if sparse.issparse(z) else np.ravel(z))
    z = z if unit == 1.0 else z / unit
    if isinstance(known, Precision):
        spread = z * known.size
    else:
        spread = z if known is None else z @ known.matrix
    squares = z.multiply(spread) if sparse.issparse(z) else z * spread
    size = np.sqrt(squares.sum() / len(root)) or 1.0
    rows = root[:, None] / size
    z = z.multiply(rows).tocsr() if sparse.issparse(z) else z * rows
    return replace(term, matrix=z), np.array([[1.0 / size / unit / root_unit]])


def _unit_columns(columns):
    """Columns with a root mean square of one, and the map back."""
    norms = _root_mean_squares(columns)
    norms[norms == 0.0] = 1.0
    return columns / norms, np.diag(1.0 / norms)


def _orthonormal(columns):
    """Columns times T, with mean cross-products I where possible, and T."""
    k = columns.shape[1]
    if k == 1 and (columns == 1.0).all():
        return columns, np.ones((1, 1))
    shift = np.eye(k)
    constant = constant_column(columns)
    if constant is not None:
        means = columns.mean(axis=0)
        shift[constant] -= means / columns[0, constant]
        shift[constant, constant] = 1.0
        means[constant] = 0.0
        columns = columns - means
    norms = _root_mean_squares(columns)
    norms[norms == 0.0] = 1.0
    columns = columns / norms
    change = shift / norms
    if k > 1:
        inverse = whitener(columns.T @ columns / len(columns))
        if inverse is not None:
            return columns @ inverse, change @ inverse
    return columns, change


def whitener(correlation):
    """T with T'CT = I for a correlation matrix C, or None if C is nearly singular."""
    if eigvalsh(correlation)[0] > ORTHOGONAL_TOLERANCE:
        return inverse_lower(cholesky(correlation)).T
    return None
