"""
Conversion between the elimination's order and units and the user's.

The elimination orders the terms, and the levels of each, in its own way, and works on
standardized data. With starred quantities in standardized units,

    beta = s T beta* + c,    b_i = s B_i b_i*,    sigma = s sigma*,

where s is the scale of the response, T and B_i are the changes of units of the columns
of X and Z_i, and c are the least-squares coefficients. Relative covariances are
S_i = B_i S_i* B_i'.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.algebra.dense import (
    as_array,
    consecutive,
    inverse_lower,
    transpose,
)
from statsmodels_lmm.core.engines.plan import EliminationPlan
from statsmodels_lmm.core.engines.row_forms import ROW_ENTRIES
from statsmodels_lmm.core.rows.standardize import Standardized
from statsmodels_lmm.core.structures.relative_factor import (
    factor_at,
    pivoted_factor,
)
from statsmodels_lmm.core.structures.roots import lower_triangles


@dataclass(frozen=True)
class Units:
    """
    The plan's order and standardized units, and the user's order and units.

    Lists with one element per term are in the plan's order or in the user's, as each
    method states.

    Parameters
    ----------
    data : Standardized
        The standardized data, with terms in the user's order.
    plan : EliminationPlan
        The order of the elimination.
    """

    data: Standardized
    plan: EliminationPlan

    # orders ----------------------------------------------------------------

    @cached_property
    def places(self):
        """Position in the plan of each of the user's terms."""
        order = self.plan.order
        return tuple(sorted(range(len(order)), key=order.__getitem__))

    def of_user(self, per_term):
        """A list in the plan's order, rearranged into the user's order."""
        return [per_term[place] for place in self.places]

    def of_plan(self, per_term):
        """A list in the user's order, rearranged into the plan's order."""
        return [per_term[i] for i in self.plan.order]

    def term(self, i):
        """The plan's term for the user's term i."""
        return self.plan.terms[self.places[i]]

    # fixed effects -----------------------------------------------------------

    def whole(self, kept):
        """Values of the columns of X kept, NaN for the others, shape (..., p)."""
        out = np.full((*np.shape(kept)[:-1], self.data.n_columns), np.nan)
        out[..., self.data.kept] = kept
        return out

    def beta_change(self, change):
        """
        The change of the fixed effects for a change of the standardized coefficients.

        Parameters
        ----------
        change : ndarray
            Shape (..., r).

        Returns
        -------
        ndarray
            Shape (..., p); NaN for dropped columns.
        """
        return self.whole(change @ (self.data.response_scale * self.data.to_fixed).T)

    def beta(self, coefficients):
        """Fixed effects, NaN for dropped columns, shape (..., p)."""
        return self.beta_change(coefficients) + self.whole(self.data.least_squares)

    def coefficients(self, beta):
        """Standardized coefficients of given fixed effects, shape (p,)."""
        data = self.data
        above = np.asarray(beta, dtype=float)[data.kept] - data.least_squares
        return np.linalg.solve(data.to_fixed, above) / data.response_scale

    def beta_root(self, fixed_root):
        """
        A root of the covariance of the fixed effects kept, divided by sigma^2.

        Parameters
        ----------
        fixed_root : ndarray
            Lower Cholesky factor of X'V^-1 X in standardized units, shape (..., r, r).

        Returns
        -------
        ndarray
            R with (X'V^-1 X)^-1 = R R' in the units of the data, shape (..., r, r).
        """
        return self.data.to_fixed @ transpose(inverse_lower(fixed_root))

    def beta_directions(self):
        """
        Each fixed effect as a direction of the standardized coefficients.

        Returns
        -------
        columns : ndarray
            Columns of X kept, shape (r,).
        directions : ndarray
            Unit vectors e, shape (r, r).
        lengths, origins : ndarray
            The l and o with which a fixed effect is o + l e'beta*, shapes (r,).
        """
        rows = self.data.to_fixed
        sizes = np.linalg.norm(rows, axis=1)
        lengths = self.data.response_scale * sizes
        return self.data.kept, rows / sizes[:, None], lengths, self.data.least_squares

    def fixed(self, design):
        """Rows of X (m, p) in standardized units over s, shape (m, r)."""
        return design[:, self.data.kept] @ self.data.to_fixed

    # variances -----------------------------------------------------------------

    @property
    def response_scale(self):
        """The unit of a standard deviation, s."""
        return self.data.response_scale

    def scale(self, scale):
        """Residual variance sigma^2."""
        return np.asarray(scale) * self.data.response_scale**2

    def relative_covariances(self, factors):
        """
        S of each term.

        Parameters
        ----------
        factors : sequence of RelativeFactor
            In the plan's order.

        Returns
        -------
        list of ndarray
            In the user's order, exactly symmetric, shapes (k, k).
        """
        pairs = zip(self.data.to_effects, self.of_user(factors))
        roots = [change @ factor.matrix for change, factor in pairs]
        return [root @ root.T for root in roots]

    def covariances(self, relative, scale):
        """
        Covariance matrices sigma^2 S of the random effects, for one fit or for many.

        Parameters
        ----------
        relative : sequence of ndarray
            S* of each term in the plan's order, shapes (..., k, k).
        scale : ndarray
            Standardized residual variance, shape (...).

        Returns
        -------
        list of ndarray
            In the user's order, shapes (..., k, k).
        """
        unit = self.scale(scale)[..., None, None]
        return [
            unit * (change @ s @ change.T)
            for change, s in zip(self.data.to_effects, self.of_user(relative))
        ]

    def structured(self, parameters):
        """Parameters of structures (..., s), from the plan's order to the user's."""
        parts = consecutive(term.n_structured for term in self.plan.terms)
        each = [np.asarray(parameters)[..., part] for part in parts]
        if not each:
            return np.asarray(parameters)
        return np.concatenate(self.of_user(each), axis=-1)

    def variance_change(self):
        """
        Change of the covariance parameters from standardized units.

        Returns
        -------
        ndarray
            Derivatives of the lower triangles of sigma^2 S column by column, or the
            parameters of a structure, block by block in the user's order, and of
            sigma^2, in the same parameters in the plan's order, shape (m + 1, m + 1).
        """
        unit, blocks = self.data.response_scale**2, []
        for term, change in zip(self.data.terms, self.data.to_effects):
            pairs = zip(term.structures, term.block_slices)
            blocks += [model.unit_change(change[s, s], unit) for model, s in pairs]
        if not blocks:
            return np.array([[unit]])
        changed = self._plan_columns(block_diag(*blocks))
        return block_diag(changed, unit)

    def _parameter_slices(self):
        """Slices of the parameters of each of the user's terms."""
        return consecutive(f.n_parameters for f in self.data.terms)

    def _plan_columns(self, matrix):
        """A matrix with its columns rearranged into the plan's order."""
        parts = [matrix[:, part] for part in self._parameter_slices()]
        return np.hstack(self.of_plan(parts))

    def deviations(self, i, block):
        """
        Each effect of a covariance block as a direction in the standardized effects.

        Parameters
        ----------
        i : int
            Position of the term in the user's order.
        block : slice
            Columns of the block.

        Returns
        -------
        directions : ndarray
            Unit vectors e, shape (k, k).
        lengths : ndarray
            An effect is length * e'b*, shape (k,).
        """
        rows = self.data.to_effects[i][block, block]
        sizes = np.linalg.norm(rows, axis=1)
        return rows / sizes[:, None], self.data.response_scale * sizes

    # theta ---------------------------------------------------------------------

    def theta(self, factors):
        """
        Relative covariance parameters.

        Parameters
        ----------
        factors : sequence of RelativeFactor
            In the plan's order.

        Returns
        -------
        ndarray
            In the user's order, shape (m,).
        """
        pairs = zip(self.of_user(factors), self.data.to_effects)
        each = [factor.theta(change) for factor, change in pairs]
        return np.concatenate([np.zeros(0), *each])

    def factors_at(self, theta, pivoted=False):
        """
        Relative covariance factors at a given theta.

        Parameters
        ----------
        theta : array_like
            Relative covariance parameters in the user's order, shape (m,).
        pivoted : bool, optional
            True for the start of a search, False for derivatives with respect to theta.

        Returns
        -------
        list of RelativeFactor
            In the plan's order.

        Raises
        ------
        ValueError
            If theta has the wrong shape, is not finite or is out of range.
        """
        theta, slices = np.asarray(theta, dtype=float), self._parameter_slices()
        size = slices[-1].stop if slices else 0
        if theta.shape != (size,):
            raise ValueError(
                f"theta has {size} entries, the relative covariance parameters "
                f"in the order of result.theta; got an array of shape {theta.shape}"
            )
        if not np.isfinite(theta).all():
            raise ValueError("theta must be finite")
        data = self.data
        return [
            factor_at(data.terms[i], theta[slices[i]], data.to_effects[i], pivoted)
            for i in self.plan.order
        ]

    def factors_at_many(self, theta):
        """
        Relative covariance factors at many values of theta, for unstructured blocks.

        Parameters
        ----------
        theta : ndarray
            In the user's order, shape (r, m).

        Returns
        -------
        list of RelativeFactor
            In the plan's order, as for the start of a search.
        """
        slices = self._parameter_slices()
        out = []
        for i in self.plan.order:
            term, change = self.data.terms[i], self.data.to_effects[i]
            row, column = lower_triangles(term.block_slices)
            lower = np.zeros((len(theta), *change.shape))
            lower[:, row, column] = theta[:, slices[i]]
            root = np.linalg.solve(change, lower)
            out.append(pivoted_factor(root @ transpose(root), term.block_slices))
        return out

    def theta_jacobian(self, factors):
        """
        Derivatives with respect to theta of the free parameters of unpivoted factors.

        Parameters
        ----------
        factors : sequence of RelativeFactor
            As returned by `factors_at`.

        Returns
        -------
        ndarray
            Free parameters in the plan's order, theta in the user's,
            shape (number of free parameters, m).
        """
        of_user = self.of_user(factors)
        pairs = zip(of_user, self.data.to_effects)
        jacobian = block_diag(*(f.theta_jacobian(change) for f, change in pairs))
        parts = [jacobian[part] for part in consecutive(f.n_free for f in of_user)]
        return np.vstack(self.of_plan(parts))

    # random effects --------------------------------------------------------------

    def modes(self, evaluation):
        """
        Conditional modes of the random effects.

        Parameters
        ----------
        evaluation : ProfiledDeviance
            The criterion.

        Returns
        -------
        list of ndarray
            In the user's order, shapes (l, k).
        """
        out = []
        for i, change in enumerate(self.data.to_effects):
            place = self.places[i]
            modes = self.plan.terms[place].level_modes(evaluation.modes[place])
            modes = modes[self.plan.relabel[place]]
            out.append(modes @ change.T * self.data.response_scale)
        return out

    def independent_modes(self, evaluation, i):
        """Modes of the plan's independent levels, which determine those of a term."""
        modes = evaluation.modes[self.places[i]]
        return modes @ (self.data.to_effects[i] * self.data.response_scale).T

    def level_blocks(self, evaluation, i):
        """
        Conditional covariances of the levels of a term, as the elimination stores them.

        Parameters
        ----------
        evaluation : ProfiledDeviance
            The criterion at the optimum, without batch axes.
        i : int
            Position of the term in the user's order.

        Returns
        -------
        LevelBlocks or None
            None if they are not available, as for densely related levels.
        """
        place = self.places[i]
        if not self.plan.terms[place].has_user_levels:
            return None
        blocks = evaluation.selected.diagonal[place]
        return LevelBlocks(blocks, self.plan.relabel[place], self.data.to_effects[i])

    def mode_covariances(self, evaluation, i):
        """
        Conditional covariances of the random effects of each level, divided by sigma^2.

        Parameters
        ----------
        evaluation : ProfiledDeviance
            The criterion at the optimum, without batch axes.
        i : int
            Position of the term in the user's order.

        Returns
        -------
        ndarray
            Shape (l, k, k).
        """
        at_hand = self.level_blocks(evaluation, i)
        if at_hand is not None:
            return at_hand.covariances()
        term = self.term(i)
        relative = self.relative_covariances(evaluation.factors)[i]
        out = term.left_over[:, None, None] * relative
        every = np.arange(term.of_user.n_levels)
        return out + self.solved_covariances(evaluation, i, every)

    def solved_covariances(self, evaluation, i, levels):
        """
        Conditional covariances of selected levels, each from a system that is solved.

        Parameters
        ----------
        evaluation : ProfiledDeviance
            The criterion at the optimum, without batch axes.
        i : int
            Position of the term in the user's order.
        levels : ndarray
            Positions of the levels in the user's order, shape (r,).

        Returns
        -------
        ndarray
            Divided by sigma^2, shape (r, k, k).
        """
        term = self.term(i)
        k = term.k_effects
        out = np.zeros((len(levels), k, k))
        step = max(1, ROW_ENTRIES // (k * self.plan.n_columns))
        for start in range(0, len(levels), step):
            some = levels[start : start + step]
            columns = np.tile(np.arange(k), len(some))
            each = np.repeat(some, k)
            rows = self.unit_rows(np.full(len(each), i), each, columns)
            for left, right in evaluation.elimination.row_forms(rows):
                parts = [as_array(m).reshape(len(some), k, -1) for m in (left, right)]
                out[start : start + step] += parts[0] @ transpose(parts[1])
        return out

    def rows(self, parts):
        """
        Rows of each term in the plan's units over s.

        Parameters
        ----------
        parts : sequence of EffectRows or RawRows
            In the user's order.

        Returns
        -------
        list of GroupedEffects, RawEffects or OfLevels
            In the plan's order.
        """
        changed = zip(self.plan.terms, self.plan.relabel, self.plan.order)
        return [
            parts[i].at(term, relabel, self.data.to_effects[i])
            for term, relabel, i in changed
        ]

    def unit_rows(self, terms, levels, columns):
        """
        Rows z that each pick one random effect, b = s z'b*.

        Parameters
        ----------
        terms, levels, columns : ndarray
            The random effects: position of the term in the user's order (-1 for a row
            of zeros), level and effect column, shape (m,).

        Returns
        -------
        list of GroupedEffects, RawEffects or OfLevels
            In the plan's order.
        """
        rows = []
        for term, relabel, i in zip(
            self.plan.terms, self.plan.relabel, self.plan.order
        ):
            concerned = terms == i
            codes = np.zeros(len(terms), dtype=np.intp)
            effects = np.zeros((len(terms), term.k_effects))
            codes[concerned] = relabel[levels[concerned]]
            effects[concerned] = self.data.to_effects[i][columns[concerned]]
            rows.append(term.at(codes, effects))
        return rows

    # criterion -------------------------------------------------------------------

    def criterion(self, evaluation):
        """-2 times the (restricted) log-likelihood of the original data."""
        return float(evaluation.value + self.shift(evaluation.reml))

    def shift(self, reml):
        """The amount to add to the standardized criterion, see `criterion`."""
        return self.data.criterion_shift(reml)

    def optimum(self, optimum, factors):
        """
        The report of a search, in the user's order and units.

        Parameters
        ----------
        optimum : Optimum
            How the search went.
        factors : sequence of RelativeFactor
            Where it ended, in the plan's order.

        Returns
        -------
        Optimum
        """
        return replace(
            optimum,
            theta=self.theta(factors),
            dual_eigenvalues=tuple(self.of_user(optimum.dual_eigenvalues)),
            duals=tuple(self.of_user(optimum.duals)),
        )


def rescaled_theta(units, factors, factor):
    """
    Theta of the same covariances if sigma is divided by a factor.

    Parameters
    ----------
    units : Units
        The conversion to the user's order and units.
    factors : sequence of RelativeFactor
        In the plan's order.
    factor : float
        The factor.

    Returns
    -------
    ndarray
        In the user's order; parameters of structures other than standard deviations
        are unchanged.
    """
    sizes = [
        np.full(model.n_parameters, factor)
        if not model.has_structure
        else np.array([factor if p.kind == "sd" else 1.0 for p in model.parameters])
        for term in units.data.terms
        for model in term.structures
    ]
    return units.theta(factors) * np.concatenate([np.zeros(0), *sizes])


@dataclass(frozen=True)
class LevelBlocks:
    """
    Conditional covariances of the levels of a term, not yet in the units of the data.

    Parameters
    ----------
    blocks : ndarray
        Over sigma^2, in standardized units, with levels in the plan's order, shape
        (l, k, k).
    relabel : ndarray
        The plan's level for each of the user's levels, shape (l,).
    change : ndarray
        Takes standardized effects to the units of the data over s, shape (k, k).
    """

    blocks: np.ndarray
    relabel: np.ndarray
    change: np.ndarray

    def covariances(self):
        """Conditional covariances divided by sigma^2 in the user's units, (l, k, k)."""
        return self.change @ self.blocks[self.relabel] @ self.change.T
