"""Standard deviations, correlations and theta, with standard errors."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.linalg import block_diag, null_space

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.derivatives import exact_hessian_is_feasible
from statsmodels_lmm.core.structures.relative_factor import lower_root, lower_triangles
from statsmodels_lmm.core.structures.structured_factor import structured_parameters
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
    observed_information,
    unit_directions,
)
from statsmodels_lmm.inference.requirements import as_fit
from statsmodels_lmm.inference.variances.identification import (
    combined,
    flat_at,
    informative,
)

SCALES = ("sd", "var", "log_sd")


@dataclass(frozen=True)
class Estimates:
    """
    Functions of the variances and covariances, for one or many fits.

    Parameters
    ----------
    labels : list of str
        The M names.
    values : ndarray
        Shape (..., M).
    jacobian : ndarray
        Derivatives in the parameters of `VarianceParameters`, (..., M, m + 1).
    ranges : list of tuple
        Range of each function.
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
        # functions that the data do not identify have none
        known = (variance > 0.0) & ~parameters.undetermined(self.jacobian)
        return np.sqrt(np.where(known, variance, np.nan))


@dataclass(frozen=True)
class VarianceParameters:
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
    """

    random: tuple
    covariances: tuple
    scale: np.ndarray
    uncertainty: np.ndarray
    structured: np.ndarray | None = None
    flat: np.ndarray | None = None

    def undetermined(self, jacobian):
        """Whether functions with these derivatives are undetermined, shape (..., M)."""
        flat = self.flat
        if flat is None or not flat.shape[1]:
            return np.zeros(jacobian.shape[:-1], dtype=bool)
        return (combined(jacobian, flat) != 0.0).any(axis=-1)

    @cached_property
    def _blocks(self):
        """Each covariance block; see `_Block`."""
        start, used, out = 0, 0, []
        for effects, covariance in zip(self.random, self.covariances):
            for (block, names, structured), quantities, count in zip(
                effects.blocks, effects.quantities, effects.grouped.parameter_counts
            ):
                place = start + np.arange(count)
                start += count
                if structured is None:
                    values = covariance[..., block, block]
                else:
                    values = np.asarray(self.structured)[..., used : used + count]
                    used += count
                out.append(
                    _Block(effects.name, names, structured, quantities, values, place)
                )
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
            Correlations with an effect without variance and the derivatives of a
            standard deviation of zero are NaN.
        """
        values, rows, ranges = [], [], []
        positive = (-np.inf if scale == "log_sd" else 0.0), np.inf
        for block in self._blocks:
            for at, q in enumerate(block.quantities):
                row = self._empty()
                if block.structured is None:
                    value, slopes = block.entry(q, scale)
                    ends = positive if q.kind == "sd" else (-1.0, 1.0)
                else:
                    value, slopes, ends = self._parameter(block, at, scale, positive)
                for place, slope in slopes.items():
                    row[..., place] = slope
                values.append(value)
                rows.append(row)
                ranges.append(ends)
        row = self._empty()
        value, row[..., -1] = _deviation(np.asarray(self.scale), scale)
        return Estimates(
            variance_labels(self.random, scale),
            np.stack([*values, value], -1),
            np.stack([*rows, row], -2),
            [*ranges, positive],
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
        own = self._blocks[sum(counts[:factor]) + block]
        rows, values = [], []
        if own.structured is None:
            k = len(own.names)
            column, row = np.triu_indices(k)
            for a, b in zip(*np.tril_indices(k)):
                at = np.flatnonzero((row == a) & (column == b))[0]
                change = self._empty()
                change[..., own.place[at]] = 1.0
                rows.append(change)
                values.append(own.values[..., a, b])
        else:
            for at, parameter in enumerate(own.structured.parameters):
                if parameter.kind == "sd":
                    value, slopes, _ = self._parameter(own, at, "var", (0.0, np.inf))
                    change = self._empty()
                    for place, slope in slopes.items():
                        change[..., place] = slope
                    rows.append(change)
                    values.append(value)
        found = Estimates([], np.stack(values, -1), np.stack(rows, -2), [])
        return found.values, found.errors(self)

    def _parameter(self, block, at, scale, positive):
        """A parameter of a structure, its derivatives and its range."""
        theta, place = block.values[..., at], int(block.place[at])
        parameter = block.structured.parameters[at]
        if parameter.kind != "sd":
            idle = block.structured.without_variance(block.values)
            theta = np.where(idle, np.nan, theta)
            return theta, {place: 1.0}, (parameter.lower, parameter.upper)
        value, slope = _deviation(theta**2 * self.scale, scale)
        slopes = {place: 2.0 * theta * self.scale * slope, -1: theta**2 * slope}
        return value, slopes, positive

    def theta(self):
        """
        Relative covariance parameters: Cholesky factors divided by sigma.

        Returns
        -------
        Estimates
            The derivatives are NaN for a singular covariance matrix.
        """
        labels, values, rows, ranges = [], [], [], []
        scale = np.asarray(self.scale)[..., None, None]
        for block in self._blocks:
            m = len(block.place)
            row = np.zeros((*np.shape(self.scale), m, self._width))
            if block.structured is None:
                found, change = _cholesky(block.values / scale)
                row[..., block.place] = transpose(change) / scale
                row[..., -1] = -found / (2.0 * scale[..., 0])
                column, at = np.triu_indices(len(block.names))
                lowest = np.where(at == column, 0.0, -np.inf)
                ranges += [(low, np.inf) for low in lowest.tolist()]
            else:
                found = block.values
                row[..., range(m), block.place] = 1.0
                ranges += [(p.lower, p.upper) for p in block.structured.parameters]
            values.append(found)
            rows.append(row)
        for effects in self.random:
            labels += [f"theta {label}" for label in effects.theta_labels]
        return Estimates(
            labels, np.concatenate(values, -1), np.concatenate(rows, -2), ranges
        )


@dataclass(frozen=True)
class _Block:
    """
    A covariance block of one or many fits.

    `values` holds the covariance matrix (..., k, k) or the parameters of the structure
    (..., m), and `place` the positions of the parameters among those of all blocks.
    """

    group: str
    names: tuple
    structured: object
    quantities: list
    values: np.ndarray
    place: np.ndarray

    def entry(self, q, scale):
        """A deviation or correlation, and its derivatives by position."""
        k = len(self.names)
        column, row = np.triu_indices(k)
        at = np.empty((k, k), dtype=int)
        at[row, column] = at[column, row] = self.place
        if q.kind == "sd":
            value, slope = _deviation(self.values[..., q.first, q.first], scale)
            return value, {int(at[q.first, q.first]): slope}
        value, slopes = _correlation(self.values, q.first, q.second)
        return value, {int(at[entry]): slope for entry, slope in slopes.items()}


def _cholesky(relative):
    """Entries of the roots of S, and their derivatives in S, shape (..., m, m)."""
    root = lower_root(relative)
    k = root.shape[-1]
    own, columns = lower_triangles([slice(0, k)])
    inverse = _inverse_or_nan(root)
    units = unit_directions([slice(0, k)], k)
    inner = np.tril(
        inverse[..., None, :, :] @ units @ transpose(inverse)[..., None, :, :]
    )
    inner[..., range(k), range(k)] *= 0.5
    change = root[..., None, :, :] @ inner
    return root[..., own, columns], change[..., own, columns]


RESIDUAL = {"sd": "sigma", "var": "sigma^2", "log_sd": "log sigma"}


def variance_parameters(results, average=False):
    """
    Compute the variances and covariances of a fit with their uncertainty.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    average : bool, optional
        Whether to use the average information, as for replicates, rather than the
        observed information.

    Returns
    -------
    VarianceParameters
    """
    results = as_fit(results)
    deviance = results.at_optimum
    plan = deviance.elimination.products.plan
    flat = flat_at(results)
    # coordinates without the directions that leave the likelihood unchanged
    known = np.append(informative(results, plan), True)
    basis = np.eye(len(known))[:, known]
    if flat.shape[1]:
        basis = basis @ null_space(flat[known].T)
    information = basis.T @ average_information(deviance) @ basis
    if not average and exact_hessian_is_feasible(plan):
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
    Tabulate the variance parameters with standard errors.

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
        Columns estimate and std err, one row per parameter. A standard error is NaN
        where the delta method does not apply, for a standard deviation of zero and its
        correlations, and where the data do not determine the parameter, for instance
        if two grouping factors form the same groups.

    Notes
    -----
    The covariance of the estimated variances and covariances is the inverse of the
    observed information in these parameters, with the fixed effects profiled or
    integrated out; for functions of them the delta method is used. The average
    information replaces the observed information if this is not positive definite, as
    may happen on the boundary, if several factors have more than 2,500 random effects,
    and if levels are related through a sparse inverse.
    """
    parameters = variance_parameters(results)
    found = parameters.estimates(_checked(scale))
    columns = {"estimate": found.values, "std err": found.errors(parameters)}
    return pd.DataFrame(columns, index=pd.Index(found.labels, name="parameter"))


def variance_covariance(results, scale="sd"):
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

    Returns
    -------
    VarianceParameters
        The parameters, in the order of the model.
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
    """Parameters of the structures of each factor, in the order of the plan."""
    counts = [
        sum(s.n_parameters for s in data.factors[i].structures if s is not None)
        for i in order
    ]
    return np.split(np.asarray(structured), np.cumsum(counts)[:-1], axis=-1)


def _unit_change(grouped, back, unit):
    """Change of units of the covariance parameters of a factor, shape (m, m)."""
    blocks = []
    for structured, block in zip(grouped.structures, grouped.block_slices):
        if structured is not None:
            blocks.append(np.eye(structured.n_parameters))
            continue
        own = back[block, block]
        whole = [slice(0, len(own))]
        rows, columns = lower_triangles(whole)
        moved = own @ unit_directions(whole, len(own)) @ own.T
        blocks.append(unit * moved[:, rows, columns].T)
    return block_diag(*blocks)


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


def _deviation(variance, scale):
    """A variance on one of the scales, and its derivative."""
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
    product = np.sqrt(v) * np.sqrt(w)
    product = np.where(product > 0.0, product, np.nan)
    value = np.clip(covariance[..., a, b] / product, -1.0, 1.0)
    slopes = {
        (a, b): 1.0 / product,
        (a, a): -0.5 * value / np.where(v > 0.0, v, np.nan),
        (b, b): -0.5 * value / np.where(w > 0.0, w, np.nan),
    }
    return value, slopes


def _inverse_or_nan(root):
    """Inverses of lower triangular matrices, NaN for singular ones."""
    diagonal = np.diagonal(root, axis1=-2, axis2=-1)
    size = np.abs(root).max(axis=(-1, -2), initial=0.0)
    regular = (diagonal.min(axis=-1, initial=np.inf) > 1e-7 * size)[..., None, None]
    identity = np.eye(root.shape[-1])
    inverse = np.linalg.inv(np.where(regular, root, identity))
    return np.where(regular, inverse, np.nan)
