"""Standard deviations, correlations and theta, with their standard errors."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.linalg import block_diag, null_space

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.derivatives import MAX_DENSE_COLUMNS
from statsmodels_lmm.core.structures.relative_factor import structured_parameters
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
    observed_information,
)
from statsmodels_lmm.inference.requirements import as_fit
from statsmodels_lmm.inference.variances.block_functions import (
    StructuredFunctions,
    UnstructuredFunctions,
    deviation,
    positive_range,
)
from statsmodels_lmm.inference.variances.identification import (
    combined,
    flat_at,
    informative,
)

SCALES = ("sd", "var", "log_sd")


@dataclass(frozen=True)
class Estimates:
    """
    Functions of the variances and covariances, for one fit or for many.

    Parameters
    ----------
    labels : list of str
        Names, M of them.
    values : ndarray
        Shape (..., M).
    jacobian : ndarray
        Derivatives in the parameters of `VarianceParameters`, (..., M, m + 1).
    ranges : list of tuple
        The range of each.
    """

    labels: list
    values: np.ndarray
    jacobian: np.ndarray
    ranges: list

    def covariance(self, parameters):
        """Covariance matrix by the delta method, shape (..., M, M)."""
        found = self.jacobian @ parameters.uncertainty @ transpose(self.jacobian)
        open_ = parameters.undetermined(self.jacobian)
        return np.where(open_[..., :, None] | open_[..., None, :], np.nan, found)

    def errors(self, parameters):
        """Standard errors by the delta method, shape (..., M)."""
        half = self.jacobian @ parameters.uncertainty
        variance = (half * self.jacobian).sum(axis=-1)
        # what the data do not identify has none
        known = (variance > 0.0) & ~parameters.undetermined(self.jacobian)
        return np.sqrt(np.where(known, variance, np.nan))


@dataclass(frozen=True)
class VarianceParameters:
    """
    The variances and covariances of a model, for one fit or for many.

    Parameters
    ----------
    random : tuple of RandomEffects
        The factors of the model.
    covariances : tuple of ndarray
        Covariance matrix of the random effects of each factor, shapes (..., k, k).
    scale : ndarray
        Residual variance, shape (...).
    uncertainty : ndarray
        Covariance matrix of the estimates of the lower triangles of `covariances`,
        column by column, or the parameters of a structure, block by block, and of the
        scale, shape (..., m + 1, m + 1).
    structured : ndarray, optional
        Parameters of all blocks with a structure, shape (..., s).
    flat : ndarray, optional
        Changes of the parameters that do not change the likelihood, (m + 1, f);
        default is none.
    """

    random: tuple
    covariances: tuple
    scale: np.ndarray
    uncertainty: np.ndarray
    structured: np.ndarray | None = None
    flat: np.ndarray | None = None

    def undetermined(self, jacobian):
        """Which functions with these derivatives the data leave open, (..., M)."""
        flat = self.flat
        if flat is None or not flat.shape[1]:
            return np.zeros(jacobian.shape[:-1], dtype=bool)
        return (combined(jacobian, flat) != 0.0).any(axis=-1)

    @cached_property
    def _blocks(self):
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
        """Derivatives in all parameters from those by place."""
        row = np.zeros((*np.shape(self.scale), self._width))
        for place, slope in slopes.items():
            row[..., place] = slope
        return row

    def estimates(self, scale="sd"):
        """
        Standard deviations and correlations, block by block, and sigma.

        Parameters
        ----------
        scale : {"sd", "var", "log_sd"}, optional
            Standard deviations, their squares, or their logarithms.

        Returns
        -------
        Estimates
            A correlation with an effect without variance is NaN, and so are the
            derivatives of a standard deviation of zero.
        """
        values, rows, ranges = [], [], []
        for block in self._blocks:
            for at in range(len(block.quantities)):
                value, slopes, ends = block.told(at, scale, self.scale)
                values.append(value)
                rows.append(self._row(slopes))
                ranges.append(ends)
        value, slope = deviation(np.asarray(self.scale), scale)
        return Estimates(
            variance_labels(self.random, scale),
            np.stack([*values, value], -1),
            np.stack([*rows, self._row({-1: slope})], -2),
            [*ranges, positive_range(scale)],
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
        told = self._blocks[sum(counts[:factor]) + block].variances(self.scale)
        values, rows = zip(*((value, self._row(slopes)) for value, slopes in told))
        found = Estimates([], np.stack(values, -1), np.stack(rows, -2), [])
        return found.values, found.errors(self)

    def theta(self):
        """
        Relative covariance parameters: the Cholesky factors over sigma.

        Returns
        -------
        Estimates
            The derivatives are NaN for a singular covariance matrix.
        """
        values, rows, ranges = [], [], []
        for block in self._blocks:
            entries, change, along, ends = block.theta(self.scale)
            row = np.zeros((*entries.shape, self._width))
            row[..., block.place] = change
            row[..., -1] = along
            values.append(entries)
            rows.append(row)
            ranges += ends
        labels = [f"theta {label}" for e in self.random for label in e.theta_labels]
        return Estimates(
            labels, np.concatenate(values, -1), np.concatenate(rows, -2), ranges
        )


RESIDUAL = {"sd": "sigma", "var": "sigma^2", "log_sd": "log sigma"}


def variance_parameters(results, average=False):
    """
    The variances and covariances of a fit with their uncertainty.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    average : bool, optional
        Whether to take the average information, as replicates do, rather than the
        observed one.

    Returns
    -------
    VarianceParameters
    """
    results = as_fit(results)
    deviance = results.at_optimum
    products = deviance.elimination.products
    flat = flat_at(results)
    # coordinates that leave out what the likelihood does not depend on
    known = np.append(informative(results, products.plan), True)
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


def variance_table(results, scale="sd"):
    """
    Variance parameters with their standard errors.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    scale : {"sd", "var", "log_sd"}, optional
        Standard deviations, variances, or logarithms of standard deviations.
        Correlations are the same on every scale.

    Returns
    -------
    DataFrame
        Columns estimate and std err, one row for each parameter. A standard error is
        NaN where the delta method has none: for a standard deviation of zero and its
        correlations; and where the data do not determine the parameter, as when two
        grouping factors make the same groups.

    Notes
    -----
    The covariance of the estimates of variances and covariances is the inverse of
    the observed information in these parameters, with the fixed effects profiled or
    integrated out; that of functions of them follows by the delta method. The average
    information takes its place where the observed one is not positive definite, as it
    can be on the boundary, with more than 2,500 random effects of several factors, and
    where levels are related by a sparse inverse.
    """
    parameters = variance_parameters(results)
    found = parameters.estimates(_checked(scale))
    columns = {"estimate": found.values, "std err": found.errors(parameters)}
    return pd.DataFrame(columns, index=pd.Index(found.labels, name="parameter"))


def variance_covariance(results, scale="sd"):
    """
    Covariance matrix of the estimates of the variance parameters.

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
    parameters = variance_parameters(results)
    found = parameters.estimates(_checked(scale))
    return pd.DataFrame(found.covariance(parameters), found.labels, found.labels)


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


def in_user_units(model, relative, scale, uncertainty, structured=None, flat=None):
    """
    Variance parameters in the units of the data, for one fit or for many.

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
        Covariance matrix of the estimates of ``scale * relative`` and scale in
        standardized units, or of the parameters of a structure, (..., m + 1, m + 1).
    structured : ndarray, optional
        Parameters of the blocks with a structure, in the order of the elimination
        plan, shape (..., s).
    flat : ndarray, optional
        Changes of these parameters that do not change the likelihood, (m + 1, f);
        default is none.

    Returns
    -------
    VarianceParameters
        In the order of the model.
    """
    data, products = model._sufficient_statistics()
    order = list(products.plan.order)
    unit = data.response_scale**2
    ends = np.cumsum([0] + [data.factors[i].n_parameters for i in order])
    change = np.zeros((ends[-1] + 1,) * 2)
    change[-1, -1] = unit
    if structured is None:
        structured = np.zeros((*np.shape(scale), 0))
    covariances, row, moved = [], 0, _by_factor(data, order, structured)
    for i, (effects, back) in enumerate(zip(model.random, data.to_effects)):
        at = order.index(i)
        size = effects.grouped.n_parameters
        change[row : row + size, ends[at] : ends[at + 1]] = _unit_change(
            effects.grouped, back, unit
        )
        row += size
        root = np.asarray(scale)[..., None, None] * unit
        covariances.append(root * (back @ relative[at] @ back.T))
    return VarianceParameters(
        model.random,
        tuple(covariances),
        np.asarray(scale) * unit,
        change @ uncertainty @ change.T,
        np.concatenate([moved[order.index(i)] for i in range(len(order))], axis=-1),
        None if flat is None else combined(change, flat),
    )


def _by_factor(data, order, structured):
    """Parameters of structures of each factor, in the order of the plan."""
    counts = [data.factors[i].n_structured for i in order]
    return np.split(np.asarray(structured), np.cumsum(counts)[:-1], axis=-1)


def _unit_change(grouped, back, unit):
    """Change of units of the covariance parameters of a factor, shape (m, m)."""
    pairs = zip(grouped.structures, grouped.block_slices)
    return block_diag(*(c.unit_change(back[s, s], unit) for c, s in pairs))


def variance_labels(random, scale):
    """
    Names of standard deviations and correlations, block by block, and of sigma.

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
