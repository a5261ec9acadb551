"""
A model with penalized columns, in the units of the data and in those of its core.

The core's response is y over its scale s_y, and its columns have mean squares of one,
both times the square roots of the weights, divided by u. With weights of mean w, the
penalty is

    (n alpha / s) sum_j w_j |b_j|,

with b_j the coefficient of the column standardized and s the residual standard
deviation at the mean weight ("scaled"), or the same without s ("lmmlasso"). So |b_j|
is that of the core times k = sqrt(w) / u, or k = s_y / u, and b_j^2 that times k^2: an
elastic net with the share c of absolute values has in the core

    lambda = n alpha (c k + (1 - c) k^2) and the share c / (c + (1 - c) k).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.criteria.units import rescaled_theta
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.penalized.objective import OBJECTIVES
from statsmodels_lmm.core.penalized.path import PenalizedProblem
from statsmodels_lmm.core.penalized.refits import refit
from statsmodels_lmm.core.penalized.wide_columns import WideColumns
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import (
    check_choice,
    require_data,
)
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.regularized.columns import PenalizedColumns
from statsmodels_lmm.regularized.estimates import Estimate
from statsmodels_lmm.regularized.lasso import lasso
from statsmodels_lmm.regularized.parts import with_columns

MOST = 500
"""Default of the largest number of columns to choose."""


@dataclass(frozen=True)
class Regularization:
    """
    What is minimized.

    Parameters
    ----------
    L1_wt : float, optional
        Share of the absolute values in the penalty; the rest is half of the squares.
    objective : {"scaled", "lmmlasso"}, optional
        The objective, see `CrossedMixedLM.fit_regularized_path`.
    standardize : bool, optional
        Whether the penalty is on coefficients of columns of mean square one.
    penalty_weights : array_like, optional
        Relative weights of the penalty, shape (p,); 0 for a column that is not
        penalized.
    adaptive : int, optional
        Number of further rounds with weights that follow the coefficients.
    max_columns : int, optional
        Largest number of columns to choose. Default is half the number of rows, and
        at most 500.
    retrace : bool, optional
        Whether a path is also run upwards, and the lower minimum kept. Default is to do
        so with the objective of lmmlasso.
    """

    L1_wt: float = 1.0
    objective: str = "scaled"
    standardize: bool = True
    penalty_weights: Any = None
    adaptive: int = 0
    max_columns: int | None = None
    retrace: bool | None = None

    def __post_init__(self):
        check_choice("objective", self.objective, tuple(OBJECTIVES))
        if not 0.0 < self.L1_wt <= 1.0:
            raise ValueError(
                f"L1_wt must be above 0 and at most 1, not {self.L1_wt!r}: a ridge "
                "alone chooses no columns; it is a random effect of all columns"
            )
        if not isinstance(self.adaptive, int) or self.adaptive < 0:
            raise ValueError(f"adaptive is a number of rounds, not {self.adaptive!r}")
        most = self.max_columns
        if most is not None and (not isinstance(most, int | np.integer) or most < 1):
            raise ValueError(f"max_columns must be a positive number, not {most!r}")

    @property
    def is_retraced(self):
        """Whether a path is also run upwards."""
        by_default = self.objective == "lmmlasso"
        return by_default if self.retrace is None else self.retrace

    def largest(self, n):
        """Largest number of columns to choose from n rows."""
        return min(n // 2, MOST) if self.max_columns is None else self.max_columns


@dataclass(frozen=True)
class PenalizedModel:
    """
    A model whose columns are divided into those that are penalized and the others.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    base : CrossedMixedLM
        The model of the columns that are not penalized.
    columns : PenalizedColumns
        The wide matrix.
    rows : ndarray or None
        Its rows, shape (n,); None for all in order.
    weights : ndarray
        Weights of the penalty, shape (p,); infinite for columns in `base`.
    options : Regularization
        What is minimized.
    """

    model: Any
    base: Any
    columns: PenalizedColumns
    rows: Any
    weights: np.ndarray
    options: Regularization

    @classmethod
    def of(cls, model, options):
        """
        Divide the columns of a model.

        Parameters
        ----------
        model : CrossedMixedLM
            The model. Without ``penalized=``, all columns of exog are penalized but the
            constant and those with a random slope, whose mean the slope's variance
            would absorb.
        options : Regularization
            What is minimized.

        Returns
        -------
        PenalizedModel
        """
        require_data(model, "a penalized fit")
        _refuse_power_of_fitted(model)
        exog, names = model.exog, list(model.exog_names)
        if model.penalized is None:
            columns, rows = PenalizedColumns(exog, pd.Index(names)), None
            own = unpenalized_columns(model)
            weights = np.where(own, 0.0, 1.0)
        else:
            columns, rows = model.penalized, model.penalized_rows.astype(np.intp)
            if np.array_equal(rows, np.arange(columns.matrix.shape[0])):
                rows = None
            weights = np.ones(columns.matrix.shape[1])
            _refuse_slopes(model, columns)
        if options.penalty_weights is not None:
            weights = _checked_weights(options.penalty_weights, len(weights))
        free = np.flatnonzero(weights == 0.0)
        if model.penalized is None:
            exog, names = exog[:, free], [names[j] for j in free]
        elif len(free):
            exog = np.column_stack([exog, columns.take(free, rows)])
            names += [columns.names[j] for j in free]
        if len(free) == len(weights):
            raise DataError(
                "there are no columns to penalize; give penalized=, or more columns"
            )
        weights[free] = np.inf
        base = with_columns(model, exog, names)
        return cls(model, base, columns, rows, weights, options)

    def on(self, model):
        """The same division of the columns of a model of other rows."""
        weights = np.where(np.isinf(self.weights), 0.0, self.weights)
        return self.of(model, replace(self.options, penalty_weights=weights))

    @cached_property
    def _data(self):
        """Standardized data of the columns that are not penalized."""
        base = self.base
        if base.residual is not None:
            return base._prepared_errors()[0]
        return base._sufficient_statistics()[0]

    @property
    def _engine(self):
        """The engine of the random effects."""
        base, data = self.base, self._data
        if base.residual is not None:
            return base._prepared_errors()[1]
        return base._design.engine or engine_for(data.terms, len(data.endog))

    @property
    def units(self):
        """The conversion between the core's units and those of the data."""
        return self.base._units

    @cached_property
    def n_penalized(self):
        """Number of penalized columns."""
        return int(np.isfinite(self.weights).sum())

    @cached_property
    def problem(self):
        """The PenalizedProblem of the core."""
        data, options = self._data, self.options
        root = None if self.model.weights is None else data.root_weights
        try:
            columns = WideColumns.of(
                self.columns.matrix,
                self.rows,
                root,
                center=data.ones is not None,
                scale=options.standardize,
            )
        except ValueError as error:
            names = [self.columns.names[j] for j in error.args[0]]
            raise DataError(
                f"{len(names)} penalized columns have missing or infinite values: "
                f"{listed(names)}; fill or leave out these columns"
            ) from None
        if not columns.sizes[np.isfinite(self.weights)].any():
            raise DataError(
                "all penalized columns are constant; give columns that vary"
            )
        weights = self.weights.copy()
        weights[[j for _, j in columns.equal_columns]] = np.inf
        errors = self.base.residual
        return PenalizedProblem(
            data.endog,
            data.exog,
            columns,
            self._engine,
            weights,
            OBJECTIVES[options.objective],
            lasso,
            options.L1_wt / (options.L1_wt + (1.0 - options.L1_wt) * self._size),
            # sigma is that of a typical row, whatever the origin of a dispersion
            errors=None if errors is None else replace(errors.model, is_centered=True),
        )

    @cached_property
    def _size(self):
        """k: what is penalized, in the units of the data over that of the core."""
        data, weights = self._data, self.model.weights
        if self.options.objective == "lmmlasso":
            return data.response_scale / data.root_unit
        mean = 1.0 if weights is None else weights.mean()
        return np.sqrt(mean) / data.root_unit

    @property
    def _unit(self):
        """The core's lambda over alpha."""
        k, c = self._size, self.options.L1_wt
        return len(self._data.endog) * k * (c + (1.0 - c) * k)

    def amount(self, alpha):
        """The core's lambda for alpha."""
        return alpha * self._unit

    def alpha(self, amount):
        """Alpha for the core's lambda."""
        return amount / self._unit

    @cached_property
    def null(self):
        """The fit without penalized columns."""
        return self.problem.without_columns()

    @cached_property
    def alpha_max(self):
        """The smallest alpha at which the fit without columns is a minimum."""
        return self.alpha(self.problem.largest_amount(self.null))

    def estimate(self, fit, unit=1.0):
        """
        A fit in the units of the data.

        Parameters
        ----------
        fit : PenalizedFit or Refit
            The fit.
        unit : float, optional
            The unit of its random effects.

        Returns
        -------
        Estimate
        """
        data, units = self._data, self.units
        raw, constant = self.problem.columns.unstandardized(
            fit.coefficients * (data.response_scale / data.root_unit), fit.chosen
        )
        fixed = units.beta(fit.unpenalized)
        if data.ones is not None:
            fixed[data.kept] += constant * data.ones
        factors, whitening = fit.deviance.factors, fit.whitening
        # to sigma of a row whose log standard deviation is zero
        shift = 0.0 if whitening is None else whitening.mean_log_deviation
        relative = units.relative_covariances(factors)
        return Estimate(
            chosen=fit.chosen,
            coefficients=raw,
            fixed=fixed,
            scale=float(units.scale(fit.scale)) * np.exp(-2.0 * shift),
            theta=rescaled_theta(units, factors, np.exp(shift)),
            relative=tuple(np.exp(2.0 * shift) * each for each in relative),
            modes=tuple(unit * m for m in units.modes(fit.deviance)),
            errors=np.zeros(0) if whitening is None else whitening.parameters,
        )

    def objective(self, fit):
        """The value of the objective in the units of the data."""
        return 0.5 * (fit.value + self.units.shift(False))

    def refitted(self, chosen):
        """
        The ML fit of chosen columns.

        Parameters
        ----------
        chosen : ndarray
            Penalized columns, shape (m,).

        Returns
        -------
        estimate : Estimate or None
            None if the columns leave no residual.
        llf : float
            Log-likelihood.
        """
        found = refit(self.problem, chosen)
        if found is None:
            return None, np.nan
        return self.estimate(found, found.unit), -self.objective(found)

    def mean(self, estimate, model=None):
        """
        Predictions with random effects for the rows of the model, or of one like it.

        Parameters
        ----------
        estimate : Estimate
            Of this model.
        model : CrossedMixedLM, optional
            A model with the same columns and levels.

        Returns
        -------
        ndarray
            Shape (n,).
        """
        model = self.model if model is None else model
        other = self if model is self.model else self.on(model)
        mean = other.base.exog @ np.nan_to_num(estimate.fixed)
        mean += self.columns_of(other, estimate)
        if model.offset is not None:
            mean = mean + model.offset
        for effects, modes in zip(model.random, estimate.modes):
            mean = mean + effects.grouped.times(modes)
        return mean

    @staticmethod
    def columns_of(other, estimate):
        """The part of the chosen columns in the rows of a model."""
        return other.columns.take(estimate.chosen, other.rows) @ estimate.coefficients


def unpenalized_columns(model):
    """
    Which columns of exog are not penalized without being told: booleans, shape (p,).

    Parameters
    ----------
    model : CrossedMixedLM
        The model.

    Returns
    -------
    ndarray
    """
    exog = model.exog
    own = (exog == exog[0]).all(axis=0) & (exog[0] != 0.0)
    for effects in model.random:
        if effects.has_groups:
            for column in effects.grouped.effects.T:
                own |= (exog == column[:, None]).all(axis=0)
    return own


def _refuse_slopes(model, columns):
    """Reject penalized columns that also have a random slope, by name."""
    named = {name for e in model.random for name in e.effect_names}
    both = sorted(named.intersection(columns.names))
    if both:
        raise DataError(
            f"{listed(both)} is penalized and has a random slope, whose variance would "
            "absorb its mean; put it into the formula or exog instead"
        )


def _refuse_power_of_fitted(model):
    """Reject errors that follow fitted values, which a penalty shrinks."""
    if model.residual is not None and model.residual.follows_fitted:
        raise NotImplementedError(
            "a penalized fit is not available with power_of_fitted: shrunken fitted "
            "values would set the variances; choose the columns without it"
        )


def _checked_weights(weights, p):
    weights = np.array(weights, dtype=float)
    if weights.shape != (p,):
        raise ValueError(
            f"there are {p} columns, and weights of the penalty of shape "
            f"{weights.shape}; give one for each column, 0 for those not penalized"
        )
    if not (weights >= 0.0).all():
        raise ValueError("weights of the penalty must be 0 or positive")
    return weights
