"""Standard deviations, correlations and parameters of a block, with derivatives."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.structures.block import CovarianceModel
from statsmodels_lmm.core.structures.roots import (
    lower_entries,
    lower_root,
    lower_triangle,
    symmetric_units,
)
from statsmodels_lmm.core.structures.structured_block import StructuredCovariance


@dataclass(frozen=True)
class UnstructuredFunctions:
    """
    Functions of the covariances of an unstructured block, of one fit or of many.

    Derivatives are dicts keyed by position among all parameters, -1 for sigma^2.

    Parameters
    ----------
    model : CovarianceModel
        The model of the block.
    quantities : list of Quantity
        The quantities that tables report.
    values : ndarray
        The covariance matrix, shape (..., k, k).
    place : ndarray
        Indices of the block's parameters among those of all blocks, shape (m,).
    """

    model: CovarianceModel
    quantities: list
    values: np.ndarray
    place: np.ndarray

    def _place(self, a, b):
        """Position of a covariance among all parameters."""
        row, column = lower_triangle(self.model.size)
        return int(self.place[(row == max(a, b)) & (column == min(a, b))][0])

    def evaluate(self, i, scale, residual):
        """A quantity on a scale, its derivatives and its range."""
        q = self.quantities[i]
        if q.kind == "sd":
            value, slope = on_scale(self.values[..., q.first, q.first], scale)
            return value, {self._place(q.first, q.first): slope}, positive_range(scale)
        value, slopes = _correlation(self.values, q.first, q.second)
        return value, {self._place(*e): s for e, s in slopes.items()}, (-1.0, 1.0)

    def covariance(self, a, b, residual):
        """The covariance of two effects and its derivatives."""
        return self.values[..., a, b], {self._place(a, b): 1.0}

    def variances(self, residual):
        """Variances and covariances, row by row, and their derivatives."""
        entries = zip(*np.tril_indices(self.model.size))
        return [(self.values[..., a, b], {self._place(a, b): 1.0}) for a, b in entries]

    def theta(self, residual):
        """
        Entries of L, their derivatives and their ranges.

        Returns
        -------
        values, change, along : ndarray
            Shapes (..., m), (..., m, m) for the covariances and (..., m) for sigma^2.
        ranges : list of (float, float)
        """
        residual = np.asarray(residual)[..., None, None]
        values, change = _cholesky(self.values / residual)
        row, column = lower_triangle(self.model.size)
        lowest = np.where(row == column, 0.0, -np.inf)
        ranges = [(low, np.inf) for low in lowest.tolist()]
        along = -values / (2.0 * residual[..., 0])
        return values, transpose(change) / residual, along, ranges


@dataclass(frozen=True)
class StructuredFunctions:
    """
    Functions of the parameters of a block with a structure.

    Parameters
    ----------
    model, quantities, place
        As for `UnstructuredFunctions`.
    values : ndarray
        The parameters of the structure, shape (..., m).
    """

    model: StructuredCovariance
    quantities: list
    values: np.ndarray
    place: np.ndarray

    def evaluate(self, i, scale, residual):
        """A parameter, its derivatives and its range."""
        theta, place = self.values[..., i], int(self.place[i])
        parameter = self.model.parameters[i]
        if parameter.kind != "sd":
            idle = self.model.without_variance(self.values)
            theta = np.where(idle, np.nan, theta)
            return theta, {place: 1.0}, (parameter.lower, parameter.upper)
        value, slope = on_scale(theta**2 * residual, scale)
        slopes = {place: 2.0 * theta * residual * slope, -1: theta**2 * slope}
        return value, slopes, positive_range(scale)

    def covariance(self, a, b, residual):
        """The covariance of two effects and its derivatives."""
        structure, k = self.model.structure, self.model.size
        theta, unit = self.values, np.asarray(residual)
        flat = theta.reshape(-1, theta.shape[-1])
        relative = np.array([structure.covariance(t, k)[a, b] for t in flat])
        relative = relative.reshape(unit.shape)
        change = np.array([structure.derivative(t, k)[:, a, b] for t in flat])
        change = unit[..., None] * change.reshape(theta.shape)
        slopes = {int(place): change[..., i] for i, place in enumerate(self.place)}
        return unit * relative, {-1: relative, **slopes}

    def variances(self, residual):
        """Squares of the standard deviations, and their derivatives."""
        kinds = [p.kind for p in self.model.parameters]
        places = [i for i, kind in enumerate(kinds) if kind == "sd"]
        return [self.evaluate(i, "var", residual)[:2] for i in places]

    def theta(self, residual):
        """The parameters, their derivatives and their ranges, as those of L."""
        ranges = [(p.lower, p.upper) for p in self.model.parameters]
        return self.values, np.eye(len(self.place)), 0.0, ranges


def positive_range(scale):
    """Range of a standard deviation on one of the scales."""
    return (-np.inf if scale == "log_sd" else 0.0), np.inf


def on_scale(variance, scale):
    """A variance on one of the scales, and its derivative there."""
    if scale == "var":
        return variance, np.ones(np.shape(variance))
    positive = np.where(variance > 0.0, variance, np.nan)
    if scale == "sd":
        return np.sqrt(variance), 0.5 / np.sqrt(positive)
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(variance), 0.5 / positive


def _correlation(covariance, a, b):
    """A correlation, and its derivatives with respect to the matrix's entries."""
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


def _cholesky(relative):
    """Roots of S, and their derivatives with respect to its entries, (..., m, m)."""
    root = lower_root(relative)
    k = root.shape[-1]
    inverse = _inverse_or_nan(root)
    units = symmetric_units(k)
    inner = np.tril(
        inverse[..., None, :, :] @ units @ transpose(inverse)[..., None, :, :]
    )
    inner[..., range(k), range(k)] *= 0.5
    change = root[..., None, :, :] @ inner
    return lower_entries(root), lower_entries(change)


def _inverse_or_nan(root):
    """Inverses of lower triangular matrices, NaN for those that have none."""
    diagonal = np.diagonal(root, axis1=-2, axis2=-1)
    size = np.abs(root).max(axis=(-1, -2), initial=0.0)
    regular = (diagonal.min(axis=-1, initial=np.inf) > 1e-7 * size)[..., None, None]
    identity = np.eye(root.shape[-1])
    inverse = np.linalg.inv(np.where(regular, root, identity))
    return np.where(regular, inverse, np.nan)
