"""
Covariance blocks with a structure, in coordinates without bounds.

A search must not leave the range of a parameter, but may stop at an end of it. So it
moves in coordinates phi that are folded into the range:

    a standard deviation            theta = unit |phi|
    between two ends                theta = middle + half sin(phi)
    above or below one end          theta = end +- unit phi^2

At an end dS / dphi is zero, and the second derivative shows whether the criterion
rises from there, as for the free entries of an unstructured factor.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.structures.base import Structure, generic_point
from statsmodels_lmm.core.structures.quantity import Quantity
from statsmodels_lmm.core.structures.roots import SINGULAR, lower_root, rank
from statsmodels_lmm.core.structures.unstructured_block import (
    SNAP,
    UnstructuredCovariance,
    row_units,
)

EVEN = 1e-6
"""Derivative at a lower end that counts as zero, relative to that at the start."""

OFF_EDGE = 0.98
"""Largest sine of an angle at which a search starts."""


@dataclass(frozen=True)
class Fold:
    """
    The map from an unbounded coordinate to the range of a parameter.

    Parameters
    ----------
    kind : {"free", "even", "square", "angle"}
        Which map.
    origin, unit : float
        Constants of the map.
    lower, upper : float, optional
        Ends of the range, which rounding must not pass.
    """

    kind: str
    origin: float
    unit: float
    lower: float = -np.inf
    upper: float = np.inf

    def unfold(self, x):
        """The parameter and two derivatives with respect to the coordinate."""
        if self.kind == "angle":
            sine, cosine = np.sin(x), np.cos(x)
            value = np.clip(self.origin + self.unit * sine, self.lower, self.upper)
            return value, self.unit * cosine, -self.unit * sine
        if self.kind == "square":
            return self.origin + self.unit * x**2, 2.0 * self.unit * x, 2.0 * self.unit
        if self.kind == "even":
            sign = -1.0 if x < 0.0 else 1.0
            return self.origin + self.unit * abs(x), sign * self.unit, 0.0
        return self.origin + self.unit * x, self.unit, 0.0

    def fold(self, theta):
        """The coordinate of a parameter."""
        distance = (theta - self.origin) / self.unit
        if self.kind == "angle":
            return np.arcsin(np.clip(distance, -1.0, 1.0))
        if self.kind == "square":
            return np.sqrt(max(distance, 0.0))
        return distance


PLAIN = Fold("free", 0.0, 1.0)
"""A parameter that is not folded."""


@dataclass(frozen=True)
class StructuredCovariance:
    """
    A covariance matrix with a structure, see `block.CovarianceModel`.

    Parameters
    ----------
    structure : Structure
        From parameters to S in the units of the data.
    effects : tuple of str
        Names of the k effects.
    unit : ndarray, optional
        Units of the standardized effects, in which the covariance is
        S_ab / (unit_a unit_b), shape (k,); ones if None.
    """

    structure: Structure
    effects: tuple
    unit: np.ndarray | None = None

    has_structure = True

    @property
    def size(self):
        """Number of effects k."""
        return len(self.effects)

    @cached_property
    def parameters(self):
        """The parameters, a tuple of Parameter."""
        return tuple(self.structure.parameters(self.effects))

    @property
    def n_parameters(self):
        """Number of parameters m."""
        return len(self.parameters)

    @property
    def name(self):
        """Name of the structure."""
        return self.structure.name

    @property
    def n_structured(self):
        """Number of parameters that S does not determine: all."""
        return self.n_parameters

    def in_units(self, change):
        """The model for standardized effects, which may differ only in units."""
        return replace(self, unit=np.diag(change))

    def without_variance(self, theta):
        """Whether all standard deviations are zero, so that the rest is undefined."""
        sd = [a for a, p in enumerate(self.parameters) if p.kind == "sd"]
        return np.logical_and(bool(sd), (theta[..., sd] == 0.0).all(axis=-1))

    def is_singular(self, covariance, structured_theta):
        """
        Which S count as singular, whatever the units of the effects.

        Parameters
        ----------
        covariance : ndarray
            S in standardized units, shape (..., k, k); it gives the standard
            deviations.
        structured_theta : ndarray
            The parameters, shape (..., m).

        Returns
        -------
        ndarray of bool
            Shape (...).
        """
        variances = np.diagonal(covariance, axis1=-2, axis2=-1)
        deviations = np.sqrt(np.maximum(variances, 0.0))
        theta = np.array(structured_theta)
        for a, p in enumerate(self.parameters):
            if p.kind == "sd":
                effects = slice(None) if p.effect is None else [p.effect]
                theta[..., a] = deviations[..., effects].max(axis=-1)
        singular = np.zeros(theta.shape[:-1], dtype=bool)
        for batch in np.ndindex(singular.shape):
            singular[batch] = self.structure.is_singular(theta[batch], self.size)
        return singular

    def holds(self, other):
        """Whether another model, of effects in this one's span, is a special case."""
        if not other.has_structure:
            # a single effect remains when the others have no variance
            return other.size == 1 and self.structure.holds_each_effect
        return self.structure.holds(other.structure, self.effects, other.effects)

    def parts(self):
        """Models of single effects that together make this one, if any."""
        independent = self.structure.is_independent
        return (UnstructuredCovariance(1),) * self.size if independent else ()

    def quantities(self, names, title):
        """The parameters of the structure, labeled with its title."""
        quantities = []
        for p in self.parameters:
            if p.kind == "sd":
                whole = title if p.name == self.name else p.name
                effect = whole if p.effect is None else self.effects[p.effect]
                quantities.append(
                    Quantity("sd", p.effect or 0, None, effect, "", effect)
                )
            else:
                label = f"{title} {p.name}"
                quantities.append(Quantity(p.kind, None, None, title, p.name, label))
        return quantities

    def quantity_values(self, quantities, covariance, theta):
        """Variances, and the parameters, see `block.CovarianceModel`."""
        idle = self.without_variance(theta)
        values = []
        for q, value in zip(quantities, theta):
            if q.kind == "sd":
                values.append((value**2, value))
            else:
                values.append((np.nan, np.nan if idle else value))
        return values

    def theta_labels(self, names, quantities):
        """Names of the parameters."""
        return [
            q.effect1 if q.kind == "sd" else f"{q.effect1}.{q.effect2}"
            for q in quantities
        ]

    def unit_change(self, back, unit):
        """The identity: parameters are in the units of the data, shape (m, m)."""
        return np.eye(self.n_parameters)

    def _scaled(self, matrices):
        if self.unit is None:
            return matrices
        return matrices / np.outer(self.unit, self.unit)

    def covariance(self, theta):
        """S in standardized units, shape (k, k)."""
        return self._scaled(self.structure.covariance(theta, self.size))

    def derivative(self, theta):
        """Derivatives dS / dtheta in standardized units, shape (m, k, k)."""
        return self._scaled(self.structure.derivative(theta, self.size))

    def second_derivative(self, theta):
        """Second derivatives of S with respect to theta, shape (m, m, k, k)."""
        return self._scaled(self.structure.second_derivative(theta, self.size))

    @cached_property
    def folds(self):
        """How each parameter is folded, a tuple of `Fold`."""
        return tuple(self._fold(a, p) for a, p in enumerate(self.parameters))

    def _fold(self, a, parameter):
        low, high = parameter.lower, parameter.upper
        if np.isfinite(low) and np.isfinite(high):
            return Fold("angle", 0.5 * (low + high), 0.5 * (high - low), low, high)
        if parameter.kind == "sd":
            kind = "even" if self._is_flat(a, 0.0) else "square"
            return Fold(kind, 0.0, 1.0 / self._length(parameter.effect))
        if not (np.isfinite(low) or np.isfinite(high)):
            return Fold("free", 0.0, 1.0)
        end, side = (low, 1.0) if np.isfinite(low) else (high, -1.0)
        kind = "even" if self._is_flat(a, end) else "square"
        return Fold(kind, end, side)

    def generic(self):
        """The block at a point where nothing cancels, with effects of equal length."""
        theta = generic_point(self.parameters)
        for a, parameter in enumerate(self.parameters):
            if parameter.kind == "sd":
                theta[a] /= self._length(parameter.effect)
        return self.block(theta, folded=False)

    def _length(self, effect):
        """Length of one effect in standardized units; None for the root mean square."""
        if self.unit is None:
            return 1.0
        squares = self.unit**-2.0
        return float(np.sqrt(squares.mean() if effect is None else squares[effect]))

    def _is_flat(self, a, end):
        """Whether dS is zero at an end, so that S can be reflected there."""
        theta = generic_point(self.parameters)
        inside = np.abs(self.structure.derivative(theta, self.size)[a]).max()
        theta[a] = end
        with np.errstate(all="ignore"):
            at_end = np.abs(self.structure.derivative(theta, self.size)[a]).max()
        return bool(at_end <= EVEN * inside)

    def start(self, covariance):
        """The block from which a search starts, with the variances of a given S."""
        theta = []
        for parameter in self.parameters:
            value = parameter.initial
            if parameter.kind == "sd" and parameter.start is None:
                variances, effect = np.diag(covariance), parameter.effect
                value = np.sqrt(
                    variances.mean() if effect is None else variances[effect]
                )
                value = value / self._length(effect)
            theta.append(value)
        return self.block(theta).lifted()

    def at(self, theta, change, pivoted=False):
        """The block at given parameters; raises outside their ranges."""
        self.check_range(theta)
        return self.block(theta, folded=pivoted)

    def check_range(self, theta):
        """Reject parameters outside their ranges."""
        for parameter, value in zip(self.parameters, theta):
            if not parameter.lower <= value <= parameter.upper:
                raise ValueError(
                    f"theta: {parameter.name} of {self.structure.name} is {value:.6g}, "
                    f"outside of [{parameter.lower:.6g}, {parameter.upper:.6g}]"
                )

    def block(self, theta, folded=True):
        """The block at given search coordinates or at a given theta."""
        folds = self.folds if folded else (PLAIN,) * self.n_parameters
        coordinates = np.array([f.fold(float(t)) for f, t in zip(folds, theta)])
        return StructuredBlock(self, coordinates, folds)


@dataclass(frozen=True)
class StructuredBlock:
    """
    A covariance block with a structure at one value of its parameters.

    See `block.CovarianceBlock` for its methods.

    Parameters
    ----------
    model : StructuredCovariance
        The structure.
    coordinates : ndarray
        phi, shape (m,).
    folds : tuple of Fold
        How each is folded into the range of its parameter.
    """

    model: StructuredCovariance
    coordinates: np.ndarray
    folds: tuple

    def __setstate__(self, state):
        """Read pickles, including earlier ones in which the model was a block."""
        if "block" in state:
            state = {
                "model": state["block"],
                "coordinates": state["coordinates"],
                "folds": state["folds"],
            }
        self.__dict__.update(state)

    @property
    def n_free(self):
        """Number of free parameters m."""
        return len(self.coordinates)

    @property
    def size(self):
        """Number of effects k."""
        return self.model.size

    @property
    def free_values(self):
        """The coordinates phi, shape (m,)."""
        return self.coordinates

    @cached_property
    def _unfolded(self):
        """Theta and its first two derivatives with respect to the coordinates."""
        pairs = zip(self.folds, self.coordinates)
        unfolded = np.array([f.unfold(x) for f, x in pairs]).reshape(-1, 3)
        return tuple(unfolded.T)

    @property
    def n_parameters(self):
        """Number of parameters in the units of the data, m."""
        return len(self.coordinates)

    @property
    def structured_theta(self):
        """Parameters in the units of the data, shape (m,)."""
        return self._unfolded[0]

    def theta(self, back):
        """The parameters, which do not depend on the units of the effects."""
        return self.structured_theta

    @cached_property
    def covariance(self):
        """S, shape (k, k)."""
        return self.model.covariance(self.structured_theta)

    @cached_property
    def matrix(self):
        """A root L of S, shape (k, k); raises LinAlgError if S has none."""
        return lower_root(self.covariance, strict=True)

    @cached_property
    def _slopes(self):
        """Derivatives of S with respect to theta, shape (m, k, k)."""
        return self.model.derivative(self.structured_theta)

    @cached_property
    def directions(self):
        """Derivatives of S with respect to the coordinates, shape (m, k, k)."""
        _, first, _ = self._unfolded
        return self._slopes * first[:, None, None]

    @cached_property
    def _second(self):
        theta, first, second = self._unfolded
        out = self.model.second_derivative(theta)
        out = out * np.multiply.outer(first, first)[:, :, None, None]
        each = np.arange(len(theta))
        if second.any():
            out[each, each] += self._slopes * second[:, None, None]
        return out

    def units(self, precision):
        """Natural step lengths of the coordinates, shape (m,)."""
        length = row_units(precision.mean(keepdims=True), np.zeros(1, dtype=int))
        least = [length[0] if p.kind == "sd" else 1.0 for p in self.model.parameters]
        angles = np.array([f.kind == "angle" for f in self.folds], dtype=bool)
        return np.where(angles, 1.0, np.maximum(np.abs(self.coordinates), least))

    def slope(self, dual):
        """Derivatives of the criterion, tr(G dS), shape (m,)."""
        return (self.directions * dual).sum(axis=(-1, -2))

    def curvature(self, dual):
        """The part tr(G d^2 S) of the second derivatives, shape (m, m)."""
        return (self._second * dual).sum(axis=(-1, -2))

    def stepped(self, step):
        """The block after a step of the coordinates."""
        return replace(self, coordinates=self.coordinates + step)

    moved = stepped

    def held(self, a, theta):
        """The block with one parameter held at a value and not folded."""
        coordinates, folds = self.coordinates.copy(), list(self.folds)
        coordinates[a], folds[a] = theta, PLAIN
        return replace(self, coordinates=coordinates, folds=tuple(folds))

    def lifted(self, amount=0.1):
        """The block with coordinates moved off the ends of ranges."""
        out = self.coordinates.copy()
        for a, (fold, parameter) in enumerate(zip(self.folds, out)):
            if fold.kind == "angle":
                out[a] = np.arcsin(np.clip(np.sin(parameter), -OFF_EDGE, OFF_EDGE))
            elif fold.kind in ("even", "square"):
                out[a] = max(abs(parameter), amount)
        return replace(self, coordinates=out)

    def snapped(self, tolerance=SNAP):
        """The block with coordinates almost at an end moved onto it."""
        out = self.coordinates.copy()
        for a, fold in enumerate(self.folds):
            if fold.kind == "angle":
                edge = np.pi * (np.round(out[a] / np.pi - 0.5) + 0.5)
                out[a] = edge if abs(out[a] - edge) <= tolerance else out[a]
            elif fold.kind != "free" and abs(out[a]) <= tolerance:
                out[a] = 0.0
        return (
            self if (out == self.coordinates).all() else replace(self, coordinates=out)
        )

    def correlated(self, share):
        """The block with its correlations at a share of their upper or lower ends."""
        theta = self.structured_theta.copy()
        for a, parameter in enumerate(self.model.parameters):
            if parameter.kind == "cor":
                end = parameter.upper if share > 0.0 else parameter.lower
                theta[a] = abs(share) * end
        return self.model.block(theta).lifted()

    @property
    def is_singular(self):
        """Whether S counts as singular, whatever the units of the effects."""
        return self.model.is_singular(self.covariance, self.structured_theta)

    def rank(self):
        """Number of standard deviations that do not count as zero."""
        return rank(self.matrix)

    @property
    def may_be_elsewhere(self):
        """Whether another optimum is likely, as with any free parameter."""
        return self.n_free > 0

    def nothing(self):
        """The block with its standard deviations at zero."""
        out = self.coordinates.copy()
        for a, parameter in enumerate(self.model.parameters):
            out[a] = 0.0 if parameter.kind == "sd" else out[a]
        return replace(self, coordinates=out)

    def certificates(self, dual, information):
        """
        Curvature of the criterion where parameters are at an end of their range.

        Parameters
        ----------
        dual : ndarray
            G, shape (k, k).
        information : ndarray
            Sum of the diagonal blocks of Z'V^-1 Z, shape (k, k).

        Returns
        -------
        smallest, unused : list of float
            The smallest second derivative in a coordinate at an end, over the
            information about it; in `unused` at most 0.
        """
        smallest = 0.0
        second = np.diagonal(self._second, axis1=0, axis2=1)
        for a in range(self.n_free):
            bend, size = second[..., a], np.abs(self.directions[a]).max()
            if size > SINGULAR * np.abs(bend).max(initial=0.0):
                continue
            weight = (np.abs(bend) * np.abs(information)).sum()
            if weight > 0.0:
                smallest = min(smallest, float((bend * dual).sum() / weight))
        return [smallest], [smallest]

    def theta_jacobian(self, back):
        """Jacobian matrix d(phi) / d(theta), shape (m, m)."""
        return np.diag(1.0 / self._unfolded[1])

    def unit_changes(self, scale):
        """Changes of sigma^2 S per unit of each parameter, shape (m, k, k)."""
        return scale * self._slopes

    def parameter_slopes(self, scale):
        """Derivatives of the parameters in the coordinates, shape (m, m)."""
        return np.diag(self._unfolded[1])

    def traces(self, inner):
        """Inner products of the changes of S with matrices, shape (..., m)."""
        return np.tensordot(inner, self._slopes, axes=([-2, -1], [1, 2]))

    def scale_slopes(self):
        """Zero: the parameters are those of S, shape (m,)."""
        return np.zeros(self.n_parameters)

    def bend(self, dual):
        """The term tr(G d^2 S) / 2 of the Hessian, shape (m, m)."""
        second = self.model.second_derivative(self.structured_theta)
        return 0.5 * (second * dual).sum(axis=(-1, -2))

    def natural_bend(self, root, along):
        """
        Second derivatives of sigma^2 S over sigma^2, see `CovarianceBlock`.

        Natural are variances sigma^2 theta^2 in the place of deviations theta, and
        other parameters as they are; or variances and covariances, if S is any matrix
        or is linear in one of each. With t and u_a the rows for log(sigma^2) and
        theta_a, S_a and S_ab the derivatives of S, and
        w_a = theta_a^2 tt + 4 theta_a tu_a + 2 u_a u_a that of a variance, the sum is

            tt S + 2 tu_a S_a + u_a u_b S_ab - w_a S_a / (2 theta_a).
        """
        theta = np.asarray(self.structured_theta)
        second = self.model.second_derivative(theta)
        sd = np.array([p.kind == "sd" for p in self.model.parameters], dtype=bool)
        size = len(self.covariance)
        is_any = len(theta) == size * (size + 1) // 2
        if is_any or (sd.sum() == 1 and not second[~sd][:, ~sd].any()):
            return np.zeros_like(self.covariance)
        tt, tu, uu = along @ along, root @ along, root @ root.T
        total = tt * self.covariance * bool(sd.any())
        total = total + 2.0 * np.tensordot(tu, self._slopes, 1)
        total = total + np.tensordot(uu, second, 2)
        for a in np.flatnonzero(sd):
            # at zero the slope is zero, and its ratio the second derivative
            ratio = self._slopes[a] / theta[a] if theta[a] else second[a, a]
            weight = 0.5 * theta[a] ** 2 * tt + 2.0 * theta[a] * tu[a] + uu[a, a]
            total = total - weight * ratio
        return total

    def freed(self):
        """The block itself, with every coordinate free to move."""
        return self, np.eye(self.n_free)
