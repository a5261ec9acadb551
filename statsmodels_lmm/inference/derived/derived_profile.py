"""Profile likelihood of a function of the parameters."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.search.held_function import LIFT, HeldFunction
from statsmodels_lmm.core.search.profile_curve import ProfileCurve, profile_curve
from statsmodels_lmm.core.structures.relative_factor import structured_parameters
from statsmodels_lmm.inference.derived.differentiable import Differentiable
from statsmodels_lmm.inference.derived.joint_estimates import variances_at
from statsmodels_lmm.inference.derived.named_parameters import NamedParameters
from statsmodels_lmm.inference.requirements import require_sums
from statsmodels_lmm.inference.variances.profile import (
    check_error,
    constrained_search,
    parameters_of,
)
from statsmodels_lmm.inference.variances.variance_parameters import absolute_change

SPACING = 0.5
"""Intended difference of zeta between adjacent points of a curve."""

INSIDE = 1e-9
"""
Distance from an end of the range at which the curve ends, relative to the estimate. The
criterion is smooth there, so that the end itself is known as well.
"""


@dataclass(frozen=True)
class FunctionAtPoint:
    """
    A function of named parameters as a function of those of the search.

    Parameters
    ----------
    results : MixedResults
        The fit.
    value : callable
        From `NamedParameters` to the value.
    distribution : callable or None
        As for `NamedParameters`.
    """

    results: Any = field(repr=False)
    value: Any
    distribution: Any

    @cached_property
    def _change(self):
        """Change of the variance parameters from standardized units."""
        units = self.results._units
        if self.results._is_gaussian:
            return units.variance_change()
        return absolute_change(units, self.results.family)

    def __call__(self, point):
        """The value at a `SurfacePoint`, and its derivatives in all entries."""
        units, model = self.results._units, self.results.model
        with np.errstate(divide="ignore", over="ignore"):  # lost on the way to an end
            scale = np.float64(1.0 if point.tau is None else point.tau) ** -2.0
        covariances = units.covariances([f.covariance for f in point.factors], scale)
        structured = units.structured(structured_parameters(point.factors))
        fixed, residual, extra = self.results.params, np.float64(1.0), None
        if self.results._is_gaussian:
            residual = units.scale(scale)
        else:
            fixed, extra = units.beta(point.coefficients), self._user_extra(point)
        given = covariances, residual, structured, extra
        variances = variances_at(self.results, *given)
        names = list(model.exog_names)
        parameters = NamedParameters(names, fixed, variances, self.distribution, True)
        found = self.value(parameters)
        if not isinstance(found, Differentiable):
            return float(found), np.zeros(self._size(point))
        with np.errstate(invalid="ignore"):  # a root at 0 has no slope
            return float(found.value), self._slopes(point, found.slopes, scale)

    @staticmethod
    def _user_extra(point):
        """The alpha or the dispersion."""
        if point.extra is None:
            return None
        return point.extra**2 if point.is_squared else np.exp(point.extra)

    def _slopes(self, point, slopes, scale):
        """Derivatives in all entries from those in the parameters in user units."""
        p = len(self.results.params)
        inner = slopes[p:] @ self._change
        blocks = [b for f in point.factors for b in f.blocks]
        places = consecutive(b.n_parameters for b in blocks)
        pairs = list(zip(blocks, places))
        out = [inner[place] @ b.parameter_slopes(scale) for b, place in pairs]
        if point.tau is not None:
            of_scale = sum(inner[place] @ b.scale_slopes() for b, place in pairs)
            return np.append(np.concatenate(out), -2.0 * scale * (of_scale + inner[-1]))
        units = self.results._units
        to_fixed = units.response_scale * units.data.to_fixed
        out.insert(0, slopes[:p][units.data.kept] @ to_fixed)
        if point.extra is not None:
            step = 2.0 * point.extra if point.is_squared else np.exp(point.extra)
            out.append(np.atleast_1d(inner[-2] * step))
        return np.concatenate(out)

    def _size(self, point):
        """Number of entries."""
        count = sum(f.n_free for f in point.factors)
        if point.tau is not None:
            return count + 1
        return count + len(point.coefficients) + (point.extra is not None)


@dataclass(frozen=True)
class ProfiledFunction:
    """
    The curve of a function of the parameters.

    Parameters
    ----------
    curve : ProfileCurve
        The criterion, minimized subject to the function's value.
    range : tuple of float
        Range of the function.
    """

    curve: ProfileCurve
    range: tuple

    def extended(self, alpha):
        """The curve continued to the limits of an interval."""
        curve = self.curve.extended(float(stats.norm.isf(alpha / 2.0)), SPACING)
        check_error(curve)
        return replace(self, curve=curve)

    def interval(self, alpha):
        """
        Lower and upper limit, for a curve `extended` so far.

        A limit is NaN where the curve could not be followed.
        """
        height = float(stats.norm.isf(alpha / 2.0))
        curve, hold = self.curve, self.curve.constraint
        ends = []
        for side, end, limit in zip((-1.0, 1.0), (hold.lower, hold.upper), self.range):
            at = curve.crossing(side, height)
            ends.append(limit if at == end else float(at))
        return tuple(ends)


def profiled(results, function, estimate, error, distribution):
    """
    Profile the likelihood of a function of the parameters.

    Parameters
    ----------
    results : MixedResults
        A fit.
    function : Function
        The function.
    estimate : Differentiable
        Its estimate.
    error : float
        Its standard error, NaN if there is none.
    distribution : callable or None
        As for `NamedParameters`.

    Returns
    -------
    ProfiledFunction
    """
    require_sums(results.model, "a profile of the likelihood")
    search, optimum = constrained_search(results), results.at_optimum
    at_point = FunctionAtPoint(results, function.value, distribution)
    hold = _held(results, at_point, function.range, float(estimate.value), error)
    start, tau = search.start(optimum), float(optimum.scale) ** -0.5
    hold = replace(hold, undefined=_undefined(results, hold, tau))
    coefficients, factors = optimum.coefficients, optimum.factors
    value = hold.estimate(coefficients, factors, tau, optimum.extra)
    lowest = float(optimum.value) if results._is_gaussian else None
    curve = profile_curve(search, hold, value, start, lowest)
    return ProfiledFunction(curve, function.range)


def _undefined(results, hold, tau):
    """The standard deviations that leave the function undefined if they are zero."""
    optimum = results.at_optimum
    cases = [
        (p.constraint, 0.0) for p in parameters_of(results, "sd") if p.kind == "sd"
    ]

    def is_defined(constraint, at):
        factors = constraint.place_factors(optimum.factors, tau, at).factors
        return hold.is_defined(optimum.coefficients, factors, tau, optimum.extra)

    return tuple(case for case in cases if not is_defined(*case))


def _held(results, at_point, range_, estimate, error):
    """The constraint, whose range ends just before that of the function."""
    optimum = results.at_optimum
    linear = results._is_gaussian
    squared = not linear and results.family.extra_is_squared
    size = error if np.isfinite(error) and error > 0.0 else np.nan
    hold = HeldFunction(at_point, linear, squared)
    lifted = tuple(f.lifted(LIFT) for f in optimum.factors)
    tau = float(optimum.scale) ** -0.5
    moved = hold.estimate(optimum.coefficients, lifted, tau, optimum.extra)
    typical = np.nanmax([abs(estimate), abs(moved - estimate), size])
    lower, upper = range_[0] + INSIDE * typical, range_[1] - INSIDE * typical
    widest = 5.0 * size if np.isfinite(size) else max(typical, abs(moved - estimate))
    return replace(hold, lower=lower, upper=upper, widest=widest)
