"""Standard deviations, correlations and theta, with their standard errors."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from statsmodels_lmm.core.covariance import lower_root, lower_triangles
from statsmodels_lmm.core.dense import transpose
from statsmodels_lmm.core.derivatives import exact_hessian_is_feasible
from statsmodels_lmm.core.variance_information import (
    average_information,
    inverse_information,
    observed_information,
    unit_directions,
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
        return self.jacobian @ parameters.uncertainty @ transpose(self.jacobian)

    def errors(self, parameters):
        """Standard errors by the delta method, shape (..., M)."""
        half = self.jacobian @ parameters.uncertainty
        variance = (half * self.jacobian).sum(axis=-1)
        # what the data do not identify has none
        return np.sqrt(np.where(variance > 0.0, variance, np.nan))


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
        column by column, and of the scale, shape (..., m + 1, m + 1).
    """

    random: tuple
    covariances: tuple
    scale: np.ndarray
    uncertainty: np.ndarray

    @cached_property
    def _positions(self):
        """For each factor, where each entry of its covariance matrix is."""
        start, out = 0, []
        for effects in self.random:
            k = effects.grouped.k_effects
            rows, columns = lower_triangles(effects.grouped.block_slices)
            at = np.full((k, k), -1)
            at[rows, columns] = at[columns, rows] = start + np.arange(len(rows))
            start += len(rows)
            out.append(at)
        return out

    @property
    def _width(self):
        return self.uncertainty.shape[-1]

    def _empty(self):
        return np.zeros((*np.shape(self.scale), self._width))

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
        positive = (-np.inf if scale == "log_sd" else 0.0), np.inf
        for effects, covariance, at in zip(
            self.random, self.covariances, self._positions
        ):
            for block in effects.grouped.block_slices:
                inside = range(block.start, block.stop)
                for a in inside:
                    row = self._empty()
                    value, row[..., at[a, a]] = _deviation(covariance[..., a, a], scale)
                    values.append(value)
                    rows.append(row)
                    ranges.append(positive)
                for a in inside:
                    for b in range(block.start, a):
                        row = self._empty()
                        value, slopes = _correlation(covariance, a, b)
                        for entry, slope in slopes.items():
                            row[..., at[entry]] = slope
                        values.append(value)
                        rows.append(row)
                        ranges.append((-1.0, 1.0))
        row = self._empty()
        value, row[..., -1] = _deviation(np.asarray(self.scale), scale)
        return Estimates(
            variance_labels(self.random, scale),
            np.stack([*values, value], -1),
            np.stack([*rows, row], -2),
            [*ranges, positive],
        )

    def theta(self):
        """
        Relative covariance parameters: the Cholesky factors over sigma.

        Returns
        -------
        Estimates
            The derivatives are NaN for a singular covariance matrix.
        """
        labels, values, rows, ranges = [], [], [], []
        scale = np.asarray(self.scale)[..., None, None]
        for effects, covariance, at in zip(
            self.random, self.covariances, self._positions
        ):
            names = effects.effect_names
            for block in effects.grouped.block_slices:
                root = lower_root(covariance[..., block, block] / scale)
                place = at[block, block]
                own, columns = lower_triangles([slice(0, len(place))])
                inverse = _inverse_or_nan(root)
                units = unit_directions([slice(0, len(place))], len(place))
                inner = np.tril(
                    inverse[..., None, :, :]
                    @ units
                    @ transpose(inverse)[..., None, :, :]
                )
                inner[..., range(len(place)), range(len(place))] *= 0.5
                change = root[..., None, :, :] @ inner / scale[..., None]
                row = np.zeros((*np.shape(self.scale), len(own), self._width))
                row[..., place[own, columns]] = transpose(change[..., own, columns])
                row[..., -1] = -root[..., own, columns] / (2.0 * scale[..., 0])
                values.append(root[..., own, columns])
                rows.append(row)
                first = block.start
                lowest = np.where(own == columns, 0.0, -np.inf)
                ranges += [(low, np.inf) for low in lowest.tolist()]
                labels += [
                    f"theta {effects.name}.{names[first + r]}"
                    + ("" if r == c else f".{names[first + c]}")
                    for r, c in zip(own, columns)
                ]
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
    results = getattr(results, "_results", results)
    deviance = results.at_optimum
    plan = deviance.elimination.products.plan
    known = np.append(_informative(results, plan), True)
    inside = np.ix_(known, known)
    information = average_information(deviance)[inside]
    if not average and exact_hessian_is_feasible(plan):
        observed = observed_information(deviance)[inside]
        if _is_positive(observed):
            information = observed
    inverse = np.zeros((len(known),) * 2)
    inverse[inside] = inverse_information(information)
    covariances = tuple(f.covariance for f in deviance.factors)
    return in_user_units(results.model, covariances, deviance.scale, inverse)


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
        correlations.

    Notes
    -----
    The covariance of the estimates of variances and covariances is the inverse of
    the observed information in these parameters, with the fixed effects profiled or
    integrated out; that of functions of them follows by the delta method. The average
    information takes its place where the observed one is not positive definite, as it
    can be on the boundary, and with more than 2,500 random effects of several factors.
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


def _informative(results, plan):
    """Which covariance parameters the fixed effects leave anything about."""
    flags = []
    for i, factor in zip(plan.order, plan.factors):
        told = results.model.random[i].name not in results.uninformative
        flags += [told] * len(lower_triangles(factor.block_slices)[0])
    return np.array(flags, dtype=bool)


def _is_positive(matrix):
    """Whether a symmetric matrix is positive definite, whatever its scales."""
    diagonal = np.diagonal(matrix)
    if not (diagonal > 0.0).all():
        return False
    scaled = matrix / np.sqrt(np.outer(diagonal, diagonal))
    return bool(np.linalg.eigvalsh(scaled)[0] > 1e-10)


def in_user_units(model, relative, scale, uncertainty):
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
        standardized units, shape (..., m + 1, m + 1).

    Returns
    -------
    VarianceParameters
        In the order of the model.
    """
    data, products = model._sufficient_statistics()
    order = list(products.plan.order)
    unit = data.response_scale**2
    sizes = [len(lower_triangles(data.factors[i].block_slices)[0]) for i in order]
    ends = np.cumsum([0, *sizes])
    change = np.zeros((ends[-1] + 1,) * 2)
    change[-1, -1] = unit
    covariances, row = [], 0
    for i, (effects, back) in enumerate(zip(model.random, data.to_effects)):
        at = order.index(i)
        slices, k = effects.grouped.block_slices, effects.grouped.k_effects
        rows, columns = lower_triangles(slices)
        moved = back @ unit_directions(slices, k) @ back.T
        here = slice(row, row + len(rows))
        change[here, ends[at] : ends[at + 1]] = unit * moved[:, rows, columns].T
        row = here.stop
        root = np.asarray(scale)[..., None, None] * unit
        covariances.append(root * (back @ relative[at] @ back.T))
    return VarianceParameters(
        model.random,
        tuple(covariances),
        np.asarray(scale) * unit,
        change @ uncertainty @ change.T,
    )


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
        for names in effects.block_names:
            labels += [f"{effects.name}: {scale} {name}" for name in names]
            labels += [
                f"{effects.name}: cor {names[a]}, {names[b]}"
                for a in range(len(names))
                for b in range(a)
            ]
    return [*labels, RESIDUAL[scale]]


def _deviation(variance, scale):
    """A variance on one of the scales, and its derivative there."""
    if scale == "var":
        return variance, np.ones(np.shape(variance))
    positive = np.where(variance > 0.0, variance, np.nan)
    if scale == "sd":
        return np.sqrt(variance), 0.5 / np.sqrt(positive)
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(variance), 0.5 / positive


def _correlation(covariance, a, b):
    """A correlation, and its derivatives in the entries of the matrix."""
    v, w = covariance[..., a, a], covariance[..., b, b]
    product = np.sqrt(v * w)
    product = np.where(product > 0.0, product, np.nan)
    value = np.clip(covariance[..., a, b] / product, -1.0, 1.0)
    slopes = {
        (a, b): 1.0 / product,
        (a, a): -0.5 * value / np.where(v > 0.0, v, np.nan),
        (b, b): -0.5 * value / np.where(w > 0.0, w, np.nan),
    }
    return value, slopes


def _inverse_or_nan(root):
    """Inverses of lower triangular matrices, NaN for those that have none."""
    diagonal = np.diagonal(root, axis1=-2, axis2=-1)
    size = np.abs(root).max(axis=(-1, -2), initial=0.0)
    regular = (diagonal.min(axis=-1, initial=np.inf) > 1e-7 * size)[..., None, None]
    identity = np.eye(root.shape[-1])
    inverse = np.linalg.inv(np.where(regular, root, identity))
    return np.where(regular, inverse, np.nan)
