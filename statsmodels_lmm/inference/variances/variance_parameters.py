"""Standard deviations, correlations and theta, with standard errors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import block_diag, null_space
from scipy.special import expit, logit

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.derivatives import MAX_DENSE_COLUMNS
from statsmodels_lmm.core.structures.relative_factor import structured_parameters
from statsmodels_lmm.core.structures.roots import vanishes
from statsmodels_lmm.core.uncertainty.joint_covariance import variance_slopes
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
    joint_information,
    observed_information,
)
from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.inference.requirements import as_fit, check_alpha, require_sums
from statsmodels_lmm.inference.variances.block_functions import (
    StructuredFunctions,
    UnstructuredFunctions,
    on_scale,
    positive_range,
)
from statsmodels_lmm.inference.variances.identification import (
    combined,
    flat_at,
    informative,
)

SCALES = ("sd", "var", "log_sd")


@dataclass(frozen=True)
class VarianceFunctions:
    """
    Functions of the variances and covariances, for one or many fits.

    Parameters
    ----------
    labels : list of str
        The M names.
    values : ndarray
        Shape (..., M).
    jacobian : ndarray
        Derivatives with respect to the m + 1 parameters of `VarianceEstimates`, shape
        (..., M, m + 1).
    ranges : list of tuple
        Range of each function.
    """

    labels: list
    values: np.ndarray
    jacobian: np.ndarray
    ranges: list

    def covariance(self, parameters):
        """Covariance matrix by the delta method, shape (..., M, M)."""
        covariance = self.jacobian @ parameters.uncertainty @ transpose(self.jacobian)
        open_ = parameters.undetermined(self.jacobian)
        return np.where(open_[..., :, None] | open_[..., None, :], np.nan, covariance)

    def errors(self, parameters):
        """Standard errors by the delta method, shape (..., M)."""
        half = self.jacobian @ parameters.uncertainty
        variance = (half * self.jacobian).sum(axis=-1)
        # functions that the data do not identify have none
        known = (variance > 0.0) & ~parameters.undetermined(self.jacobian)
        return np.sqrt(np.where(known, variance, np.nan))

    def limits(self, parameters, alpha):
        """
        Wald intervals on scales without bounds, shape (..., M, 2).

        They are computed for the logarithm of what is positive and for the inverse
        hyperbolic tangent of a correlation, and transformed.
        """
        errors, reach = self.errors(parameters), stats.norm.isf(alpha / 2.0)
        pairs = zip(np.moveaxis(self.values, -1, 0), np.moveaxis(errors, -1, 0))
        each = [
            interval_within(value, reach * error, *ends)
            for (value, error), ends in zip(pairs, self.ranges)
        ]
        return np.stack(each, axis=-2)


def interval_within(value, reach, lower, upper):
    """
    An interval that respects a range.

    Parameters
    ----------
    value, reach : ndarray
        Middle and half the length of the unrestricted interval, shape (...).
    lower, upper : float
        The range. If it is bounded below only, the interval is symmetric for the
        logarithm of the distance, and if it has two ends, for the logit of the share.

    Returns
    -------
    ndarray
        Shape (..., 2).
    """
    value, sides = np.asarray(value)[..., None], np.array([-1.0, 1.0])
    reach = np.asarray(reach)[..., None] * sides
    if np.isfinite(lower) and np.isfinite(upper):
        share = (value - lower) / (upper - lower)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = logit(share) + reach / ((upper - lower) * share * (1.0 - share))
        return lower + (upper - lower) * expit(moved)
    if np.isfinite(lower):
        above = value - lower
        with np.errstate(divide="ignore", invalid="ignore"):
            return lower + above * np.exp(reach / above)
    return value + reach


@dataclass(frozen=True)
class VarianceEstimates:
    """
    The variances and covariances of a model, for one or many fits.

    Parameters
    ----------
    random : tuple of RandomEffects
        The factors of the model.
    covariances : tuple of ndarray
        Covariance matrix of the random effects of each factor, shapes (..., k, k).
    scale : ndarray
        Residual variance, shape (...).
    uncertainty : ndarray
        Covariance matrix of the estimates, shape (..., m + 1, m + 1): block by block
        the lower triangle of `covariances`, column by column, or the parameters of a
        structure; then the scale.
    structured : ndarray, optional
        Parameters of all blocks with a structure, shape (..., s).
    flat : ndarray, optional
        Changes of the parameters that do not change the likelihood, shape (m + 1, f).
        Default is none.
    singular, vanished : ndarray, optional
        Which covariance blocks are singular, and which count as zero, (..., blocks).
        Default is none.
    errors : ErrorCovariance, optional
        The errors' covariance, whose parameters stand before the scale in
        `uncertainty`.
    error_values : ndarray, optional
        Its parameters, shape (..., e).
    """

    random: tuple
    covariances: tuple
    scale: np.ndarray
    uncertainty: np.ndarray
    structured: np.ndarray | None = None
    flat: np.ndarray | None = None
    singular: np.ndarray | None = None
    vanished: np.ndarray | None = None
    errors: Any = None
    error_values: Any = None

    def undetermined(self, jacobian):
        """Whether functions with these derivatives are undetermined, shape (..., M)."""
        flat = self.flat
        if flat is None or not flat.shape[1]:
            return np.zeros(jacobian.shape[:-1], dtype=bool)
        return (combined(jacobian, flat) != 0.0).any(axis=-1)

    @cached_property
    def blocks(self):
        """Each covariance block, see `block_functions`."""
        start, used = 0, 0
        out: list = []
        for effects, covariance in zip(self.random, self.covariances):
            for (columns, _, model), quantities in zip(
                effects.blocks, effects.quantities
            ):
                place = start + np.arange(model.n_parameters)
                theta = slice(used, used + model.n_structured)
                start, used = start + model.n_parameters, theta.stop
                if model.has_structure:
                    values = np.asarray(self.structured)[..., theta]
                    out.append(StructuredFunctions(model, quantities, values, place))
                else:
                    values = covariance[..., columns, columns]
                    out.append(UnstructuredFunctions(model, quantities, values, place))
        return out

    @property
    def _width(self):
        return self.uncertainty.shape[-1]

    def _row(self, slopes):
        """Derivatives with respect to all parameters, from dicts keyed by position."""
        row = np.zeros((*np.shape(self.scale), self._width))
        for place, slope in slopes.items():
            row[..., place] = slope
        return row

    @staticmethod
    def _is_among(which, block):
        """Whether a block is one of those that `singular` or `vanished` names."""
        return np.asarray(False) if which is None else which[..., block]

    def estimates(self, scale="sd"):
        """
        Standard deviations and correlations, block by block, and sigma.

        Parameters
        ----------
        scale : {"sd", "var", "log_sd"}, optional
            Standard deviations, their squares, or their logarithms.

        Returns
        -------
        VarianceFunctions
            Correlations with an effect without variance and the derivatives of a
            standard deviation of zero are NaN.
        """
        values, rows, ranges = [], [], []
        for i, block in enumerate(self.blocks):
            zero = self._is_among(self.vanished, i)[..., None]
            for j, quantity in enumerate(block.quantities):
                value, slopes, ends = block.evaluate(j, scale, self.scale)
                values.append(value)
                row = self._row(slopes)
                # a variance of zero has a standard error, its root has none
                smooth = scale == "var" and quantity.kind == "sd"
                rows.append(row if smooth else np.where(zero, np.nan, row))
                ranges.append(ends)
        value, slope = on_scale(np.asarray(self.scale), scale)
        labels = variance_labels(self.random, scale)
        values.append(value)
        rows.append(self._row({-1: slope}))
        ranges.append(positive_range(scale))
        if self.errors is not None:
            first = self._width - 1 - self.error_values.shape[-1]
            for k, name in enumerate(self.errors.parameter_names):
                labels.append(name)
                values.append(self.error_values[..., k])
                rows.append(self._row({first + k: 1.0}))
            ranges += self.errors.parameter_ranges
        return VarianceFunctions(
            labels, np.stack(values, -1), np.stack(rows, -2), ranges
        )

    def covariances_of(self, factor, block):
        """
        Variances and covariances of one block with their standard errors.

        Parameters
        ----------
        factor, block : int
            Positions of the factor and of the block.

        Returns
        -------
        values, errors : ndarray
            The lower triangle row by row, or the variances of a structure, (..., m).
        """
        counts = [len(e.quantities) for e in self.random]
        functions = self.blocks[sum(counts[:factor]) + block].variances(self.scale)
        values, rows = zip(*((value, self._row(slopes)) for value, slopes in functions))
        variances = VarianceFunctions([], np.stack(values, -1), np.stack(rows, -2), [])
        return variances.values, variances.errors(self)

    def theta(self):
        """
        Relative covariance parameters: Cholesky factors divided by sigma.

        Returns
        -------
        VarianceFunctions
            The derivatives are NaN for a singular covariance matrix, and for a
            structure without variance.
        """
        batch = np.shape(self.scale)
        values, ranges = [np.zeros((*batch, 0))], []
        rows = [np.zeros((*batch, 0, self._width))]
        for i, block in enumerate(self.blocks):
            entries, change, along, ends = block.theta(self.scale)
            row = np.zeros((*entries.shape, self._width))
            row[..., block.place] = change
            row[..., -1] = along
            values.append(entries)
            has_structure = block.model.has_structure
            which = self.vanished if has_structure else self.singular
            without = self._is_among(which, i)[..., None, None]
            rows.append(np.where(without, np.nan, row))
            ranges += ends
        labels = [f"theta {label}" for e in self.random for label in e.theta_labels]
        return VarianceFunctions(
            labels, np.concatenate(values, -1), np.concatenate(rows, -2), ranges
        )


RESIDUAL = {"sd": "sigma", "var": "sigma^2", "log_sd": "log sigma"}


@dataclass(frozen=True)
class AbsoluteEstimates(VarianceEstimates):
    """
    The variances and covariances of a generalized model.

    They are absolute: the scale to which theta is relative is 1, and its uncertainty,
    last, is zero. It is preceded by that of the family's extra parameter, if any.

    Parameters
    ----------
    extra : ndarray, optional
        The dispersion, or the alpha of the negative binomial family, shape (...).
    is_dispersion : bool, optional
        Whether `extra` is a dispersion rather than an alpha.
    """

    extra: np.ndarray | None = None
    is_dispersion: bool = False

    def estimates(self, scale="sd"):
        """
        Standard deviations and correlations, and the dispersion or alpha.

        Parameters
        ----------
        scale : {"sd", "var", "log_sd"}, optional
            As for `VarianceEstimates.estimates`. An alpha is the same on every scale.

        Returns
        -------
        VarianceFunctions
        """
        found = super().estimates(scale)
        labels, values = found.labels[:-1], found.values[..., :-1]
        rows, ranges = found.jacobian[..., :-1, :], found.ranges[:-1]
        if self.extra is not None:
            value, slope, ends = np.asarray(self.extra), 1.0, (0.0, np.inf)
            if self.is_dispersion:
                (value, slope), ends = on_scale(value, scale), positive_range(scale)
            labels = [*labels, RESIDUAL[scale] if self.is_dispersion else "alpha"]
            values = np.concatenate([values, value[..., None]], axis=-1)
            last = self._row({-2: slope})[..., None, :]
            rows, ranges = np.concatenate([rows, last], axis=-2), [*ranges, ends]
        return VarianceFunctions(labels, values, rows, ranges)


def variance_estimates(results, average=False):
    """
    Compute the variances and covariances of a fit with their uncertainty.

    Parameters
    ----------
    results : MixedResults
        A fit.
    average : bool, optional
        Whether to use the average information of a linear model, as for replicates,
        rather than the observed information.

    Returns
    -------
    VarianceEstimates
    """
    results = as_fit(results)
    if results.model.residual is not None:
        return _estimates_with_errors(results, average)
    if results._is_gaussian:
        return _relative_estimates(results, average)
    require_sums(results.model, "a standard error of a variance parameter")
    return _absolute_estimates(results)


def _absolute_estimates(results):
    """The variances of a generalized model, from the joint covariance."""
    evaluation, first = results.at_optimum, results.at_optimum.criterion.counts[0]
    slopes = variance_slopes(evaluation)
    joint = results._joint.covariance[first:, first:]
    lost = np.isnan(np.diag(joint))
    known = np.where(lost | lost[:, None], 0.0, joint)
    factors, extra = results._units.of_plan(results._estimates.factors), None
    if results.family.has_extra:
        extra = results.alpha if results.family.extra_is_squared else results.scale
    return absolute_in_user_units(
        results.model,
        [factor.covariance for factor in factors],
        slopes @ known @ slopes.T,
        structured_parameters(factors),
        extra,
        slopes[:, lost],
    )


def _relative_estimates(results, average):
    """
    The variances of a linear model, from the information about them.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    average : bool, optional
        Whether to use the average information, as for replicates, rather than the
        observed information.

    Returns
    -------
    VarianceEstimates
    """
    deviance = results.at_optimum
    products = deviance.elimination.products
    flat = flat_at(results)
    # coordinates without the directions that leave the likelihood unchanged
    known = np.append(informative(results), True)
    basis = np.eye(len(known))[:, known]
    if flat.shape[1]:
        basis = basis @ null_space(flat[known].T)
    information = basis.T @ average_information(deviance) @ basis
    if not average and products.projection_is_affordable(MAX_DENSE_COLUMNS):
        observed = basis.T @ observed_information(deviance) @ basis
        if _is_positive(observed):
            information = observed
    inverse = basis @ inverse_information(information) @ basis.T
    covariances = tuple(f.covariance for f in deviance.factors)
    structured = structured_parameters(deviance.factors)
    return in_user_units(
        results.model, covariances, deviance.scale, inverse, structured, flat
    )


def _estimates_with_errors(results, average):
    """The variances of a linear model whose errors have a covariance."""
    require_sums(results.model, "a standard error of a variance parameter")
    deviance, kind = results.at_optimum, "average" if average else "observed"
    if not deviance.variance_forms.are_affordable:
        kind = "average"
    information = joint_information(deviance, kind)
    if not _is_positive(information):
        information = joint_information(deviance, "average")
    return in_user_units(
        results.model,
        tuple(f.covariance for f in deviance.factors),
        deviance.scale,
        inverse_information(information),
        structured_parameters(deviance.factors) if deviance.factors else None,
        errors=results.residual_params,
    )


def variance_table(
    results: Any, scale: str = "sd", alpha: float | None = None
) -> pd.DataFrame:
    """
    Tabulate the variance parameters with standard errors.

    Parameters
    ----------
    results : MixedResults
        A fit.
    scale : {"sd", "var", "log_sd"}, optional
        Standard deviations, variances, or logarithms of standard deviations.
        Correlations are the same on every scale.
    alpha : float, optional
        One minus the level of Wald intervals to add. They are symmetric for the
        logarithm of a standard deviation and for Fisher's z of a correlation.

    Returns
    -------
    DataFrame
        Columns estimate and std err, and with `alpha` also lower, upper and note, which
        says why a standard error is NaN; one row per parameter. A standard error is NaN
        where the delta method does not apply, for a standard deviation of zero and its
        correlations, and where the data do not determine the parameter, for instance
        if two grouping factors form the same groups.

    Notes
    -----
    The covariance of the estimated variances and covariances is the inverse of the
    observed information in these parameters, with the fixed effects profiled or
    integrated out; for functions of them the delta method is used. In a generalized
    model it is part of the inverse of the joint Hessian of all parameters, and the
    last row is the dispersion or the alpha of the family, if it has one. The average
    information replaces the observed information if this is not positive definite, as
    may happen on the boundary, if several factors have more than 2,500 random effects,
    and if levels are related through a sparse inverse.
    """
    parameters = variance_estimates(results)
    functions = parameters.estimates(_checked(scale))
    columns = {"estimate": functions.values, "std err": functions.errors(parameters)}
    if alpha is not None:
        check_alpha(alpha)
        columns["lower"], columns["upper"] = functions.limits(parameters, alpha).T
        open_ = parameters.undetermined(functions.jacobian)
        why = np.where(open_, "not determined by the data", "on the boundary")
        columns["note"] = np.where(np.isnan(columns["std err"]), why, "")
    return pd.DataFrame(columns, index=pd.Index(functions.labels, name="parameter"))


def variance_covariance(results: Any, scale: str = "sd") -> pd.DataFrame:
    """
    Compute the covariance matrix of the estimated variance parameters.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    scale : {"sd", "var", "log_sd"}, optional
        As for `variance_table`.

    Returns
    -------
    DataFrame
        Rows and columns in the order of `variance_table`.
    """
    parameters = variance_estimates(results)
    functions = parameters.estimates(_checked(scale))
    return ResultTable(
        functions.covariance(parameters), functions.labels, functions.labels
    )


def _checked(scale):
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    return scale


def _is_positive(matrix):
    """Whether a symmetric matrix is positive definite, whatever its scales."""
    diagonal = np.diagonal(matrix)
    if not (diagonal > 0.0).all():
        return False
    scaled = matrix / np.sqrt(np.outer(diagonal, diagonal))
    return bool(np.linalg.eigvalsh(scaled)[0] > 1e-10)


def in_user_units(
    model, relative, scale, uncertainty, structured=None, flat=None, errors=None
):
    """
    Convert variance parameters to the units of the data, for one or many fits.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    relative : sequence of ndarray
        Relative covariances in standardized units, in the order of the elimination
        plan, shapes (..., k, k).
    scale : ndarray
        Residual variance in standardized units, shape (...).
    uncertainty : ndarray
        Covariance matrix of the estimates of ``scale * relative``, or of the
        parameters of a structure, and of scale, in standardized units, shape
        (..., m + 1, m + 1).
    structured : ndarray, optional
        Parameters of the blocks with a structure, in the order of the elimination
        plan, shape (..., s).
    flat : ndarray, optional
        Changes of these parameters that do not change the likelihood, shape
        (m + 1, f). Default is none.
    errors : ndarray, optional
        Parameters of the errors' covariance, shape (..., e), whose uncertainty stands
        before that of the scale.

    Returns
    -------
    VarianceEstimates
        The parameters, in the order of the model.
    """
    units, change = model._units, model._units.variance_change()
    if errors is not None:
        inner = np.eye(np.shape(errors)[-1])
        change = block_diag(change[:-1, :-1], inner, change[-1:, -1:])
    if structured is None:
        structured = np.zeros((*np.shape(scale), 0))
    singular, vanished = _boundary(units, relative, np.asarray(structured))
    if not model.random:
        singular = vanished = np.zeros((*np.shape(scale), 0), dtype=bool)
    return VarianceEstimates(
        model.random,
        tuple(units.covariances(relative, scale)),
        units.scale(scale),
        change @ uncertainty @ change.T,
        units.structured(structured),
        None if flat is None else combined(change, flat),
        singular,
        vanished,
        None if errors is None else model.residual,
        errors,
    )


def absolute_change(units, family):
    """
    Change of a generalized model's variance parameters from standardized units.

    Parameters
    ----------
    units : Units
        The conversion.
    family : Family
        Its extra parameter, if any, is last and has no units.

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    rest = np.eye(1 + family.has_extra)
    return block_diag(units.variance_change()[:-1, :-1], rest)


def absolute_in_user_units(
    model, covariances, uncertainty, structured, extra=None, flat=None
):
    """
    Convert variance parameters of a generalized model, for one or many fits.

    Parameters
    ----------
    model : CrossedMixedGLM
        The model.
    covariances : sequence of ndarray
        Covariances in standardized units, in the order of the elimination plan, shapes
        (..., k, k).
    uncertainty : ndarray
        Covariance matrix of the estimates in standardized units, see
        `joint_covariance.variance_slopes`, shape (..., m, m).
    structured : ndarray
        As for `in_user_units`.
    extra : ndarray, optional
        The dispersion, or the alpha of the negative binomial family, shape (...).
    flat : ndarray, optional
        As for `in_user_units`.

    Returns
    -------
    AbsoluteEstimates
        The parameters, in the order of the model.
    """
    units, family = model._units, model.family
    change = absolute_change(units, family)
    singular, vanished = _boundary(units, covariances, structured)
    scale = np.ones(np.shape(uncertainty)[:-2])
    return AbsoluteEstimates(
        model.random,
        tuple(units.covariances(covariances, scale)),
        scale,
        change @ uncertainty @ change.T,
        units.structured(structured),
        None if flat is None else change @ flat,
        singular,
        vanished,
        extra=extra if family.has_extra else None,
        is_dispersion=not family.extra_is_squared,
    )


def _boundary(units, relative, structured):
    """Which blocks are singular, and which count as zero, in the user's order."""
    # in other units, a root of a singular matrix is lost in rounding
    start, each = 0, []
    for term, covariance in zip(units.plan.terms, relative):
        found = []
        for model, block in zip(term.structures, term.block_slices):
            own, end = covariance[..., block, block], start + model.n_structured
            singular = model.is_singular(own, structured[..., start:end])
            found.append((singular, vanishes(own)))
            start = end
        each.append(found)
    flags = list(zip(*(pair for found in units.of_user(each) for pair in found)))
    if not flags:
        return None, None
    return [np.stack(which, axis=-1) for which in flags]


def variance_labels(random, scale):
    """
    List the names of standard deviations and correlations by block, and of sigma.

    Parameters
    ----------
    random : sequence of RandomEffects
        The factors of a model.
    scale : {"sd", "var", "log_sd"}
        Standard deviations, their squares, or their logarithms.

    Returns
    -------
    list of str
    """
    labels = []
    for effects in random:
        for q in (q for block in effects.quantities for q in block):
            what = {"sd": f"{scale} {q.label}", "cor": f"cor {q.label}"}
            labels.append(f"{effects.name}: {what.get(q.kind, q.label)}")
    return [*labels, RESIDUAL[scale]]
