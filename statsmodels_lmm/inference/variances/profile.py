"""
Profile likelihood of the fixed effects and the variance parameters.

Unlike a Wald interval, a profile interval needs no standard error, respects the
range of the parameter and does not depend on how it is parameterized.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.core.criteria.krylov import criterion_of
from statsmodels_lmm.core.search.constrained import ConstrainedSearch
from statsmodels_lmm.core.search.constrained_correlated import (
    CorrelatedSearch,
    ErrorCoordinate,
    ErrorParameter,
)
from statsmodels_lmm.core.search.constrained_generalized import GeneralizedSearch
from statsmodels_lmm.core.search.constrained_krylov import KrylovSearch, zeta_error
from statsmodels_lmm.core.search.constraints import (
    Constraint,
    Correlation,
    ExtraParameter,
    FixedEffect,
    ResidualDeviation,
    StandardDeviation,
    StructureParameter,
)
from statsmodels_lmm.core.search.profile_curve import ProfileCurve, profile_curve
from statsmodels_lmm.display import Brief, captioned
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.parallel import run
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_alpha,
    require_sums,
)
from statsmodels_lmm.inference.variances.variance_parameters import (
    RESIDUAL,
    variance_labels,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY_EFFECTS = 2000
"""Number of random effects beyond which each parameter is worth a process."""

LARGEST_ERROR = 0.05
"""Monte-Carlo error of zeta beyond which there is no profile."""

AT_ENDS = -12.0, 12.0
"""Inverse hyperbolic tangents of -1 and 1, but for 1e-10."""


@dataclass(frozen=True)
class ProfiledValue:
    """
    One parameter of a fit and its curve.

    Parameters
    ----------
    label : str
        Name of the parameter.
    kind : {"fixed", "sd", "cor", "structure", "sigma"}
        Kind of parameter; the extra parameter of a family is a "sigma".
    constraint : Constraint
        The parameter as the core represents it.
    to_user : callable
        Conversion from the units of the constraint to those of the data.
    shift : float
        Criterion in the units of the data minus that in the units of the core.
    curve : ProfileCurve or None
        None if the criterion does not depend on the parameter.
    """

    label: str
    kind: str
    constraint: Constraint
    to_user: Callable
    shift: float
    curve: ProfileCurve | None = None


@dataclass(frozen=True, repr=False)
class ProfileLikelihood(Brief):
    """
    Profile likelihoods of parameters of a fit.

    Parameters
    ----------
    parameters : tuple of ProfiledValue
        The parameters profiled.
    curves : DataFrame
        One row per point: the parameter, its value, zeta, the criterion (deviance
        after ML, REML criterion after REML), and the estimates of all parameters given
        that value.
    spacing : float
        Intended difference of zeta between adjacent points.
    """

    parameters: tuple
    curves: pd.DataFrame
    spacing: float

    @property
    def mc_se(self) -> float:
        """
        Largest error of zeta due to the probes of ``engine="krylov"``; 0 if exact.

        The limits of an interval are off by as many standard errors of the parameter.
        """
        curves = [p.curve for p in self.parameters if p.curve is not None]
        return max(map(zeta_error, curves), default=0.0)

    def plot(self, which: Any = None, ax: Any = None) -> "Figure":
        """
        Plot zeta for each parameter; see `graphics.plot_profile`.

        Parameters
        ----------
        which, ax : optional
            As for `graphics.plot_profile`.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.profiles import plot_profile

        return plot_profile(self, which, ax)

    def _brief(self):
        labels = ", ".join(value.label for value in self.parameters)
        count = f"{len(self.curves):,} points of {len(self.parameters)} curves"
        return [count, labels, *self._error_note]

    def _repr_html_(self):
        title = "Intervals of level 0.95 from profile likelihoods"
        lines = [title, *self._error_note]
        return captioned(lines, self.conf_int().to_html())

    @property
    def _error_note(self):
        error = self.mc_se
        return [f"Monte-Carlo error of limits at most {error:.1g} SE"] if error else []

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """
        Compute profile-likelihood confidence intervals.

        The interval ends where ``|zeta|`` first reaches the normal quantile of
        ``1 - alpha / 2`` on each side of the estimate, found to about nine digits by
        Newton's method with exact slopes, not by interpolation. If the likelihood
        never falls that far, the limit is the end of the parameter's range: 0 for a
        standard deviation, -1 or 1 for a correlation, infinity. If the curve could
        not be followed that far, the limit is NaN.

        Parameters
        ----------
        alpha : float, optional
            One minus the level of the intervals.

        Returns
        -------
        DataFrame
            Columns lower and upper, one row per parameter. After a fit by
            ``engine="krylov"``, ``attrs["mc_se"]`` is `mc_se`.

        Warns
        -----
        DataWarning
            If a limit is NaN.
        """
        check_alpha(alpha)
        height = stats.norm.isf(alpha / 2.0)
        rows = [_interval(p, height, self.spacing) for p in self.parameters]
        index = pd.Index([p.label for p in self.parameters], name="parameter")
        table = pd.DataFrame(rows, index, ["lower", "upper"], dtype=float)
        if error := self.mc_se:
            table.attrs["mc_se"] = error
        lost = table.index[table.isna().any(axis=1)]
        if len(lost):
            warn(
                "the likelihood could not be followed to the limit of the interval of "
                f"{', '.join(lost)}, which is NaN; see the points in `curves`, or use "
                "method='percentile'",
                DataWarning,
            )
        return table


def profile(
    result: Any,
    which: Any = None,
    scale: str = "sd",
    alpha_max: float = 0.01,
    n_points: int = 5,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> ProfileLikelihood:
    """
    Profile the likelihood of the parameters of a fit.

    One parameter is held at a value while all others are estimated anew. The profile is
    that of the criterion of the fit, the deviance after ML and the REML criterion after
    REML. lme4 profiles the deviance in both cases; refit by ML for the same.

    Under REML the profile of a fixed effect is the REML criterion of the model with
    this effect as an offset: the other effects are integrated out, but this one is not.
    Its minimum is near the estimate rather than at it, because the variances allow for
    one coefficient fewer; zeta is measured from the minimum of the curve.

    The likelihood of a generalized model is that of the fit, by the Laplace
    approximation or by quadrature. A coefficient whose estimate is infinite has one
    finite limit.

    After a fit by ``engine="krylov"`` the curves are integrals of the score, which is
    estimated from the probes of the fit; ``mc_se`` states their error.

    Parameters
    ----------
    result : MixedResults
        A fit.
    which : {"fixed", "random"}, str or list of str, optional
        The fixed effects, the variance parameters, or names of parameters. Default
        is all.
    scale : {"sd", "var"}, optional
        Whether to show standard deviations or their squares.
    alpha_max : float, optional
        The curves extend to the limits of intervals of level ``1 - alpha_max``.
    n_points : int, optional
        Approximate number of points on each side of an estimate.
    n_jobs : int, optional
        Number of workers, as in joblib, each with some of the parameters. Default is
        one for small models, and for large ones all processors or as configured by
        ``joblib.parallel_config``.
    progress : bool, optional
        Whether to show a progress bar. Default is to show one after two seconds on
        a terminal, if tqdm is installed.

    Returns
    -------
    ProfileLikelihood
        The profiles; after an interrupt, those of the parameters completed. The result
        keeps the curves, so that intervals and plots with the same `alpha_max` and
        `n_points` need not compute them again.

    Raises
    ------
    ValueError
        If an argument has an unknown value, or a generalized model was fitted with
        ``nagq=0``.
    DataError
        If the data of the model have been removed, or a variance has no finite
        estimate.
    NotImplementedError
        If the error due to probes exceeds 0.05 standard errors of a parameter.

    Notes
    -----
    With d the criterion, minimized over the other parameters,
    ``zeta = sign(value - estimate) * sqrt(d(value) - min d)`` (Bates et al. 2015,
    section 5.1). If a curve is not monotone, the interval is the connected one up to
    the first crossing on each side.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear
    mixed-effects models using lme4. Journal of Statistical Software 67(1).
    """
    if scale not in ("sd", "var"):
        raise ValueError(f"scale must be 'sd' or 'var', not {scale!r}")
    check_alpha(alpha_max, "alpha_max")
    if not n_points >= 1:
        raise ValueError(f"n_points must be at least 1, not {n_points!r}")
    raw = as_fit(result)
    require_sums(raw.model, "a profile of the likelihood")
    if raw.unbounded.sentences and raw.unbounded.directions is None:
        raise DataError(
            "the likelihood has no maximum from which to profile: "
            + "; ".join(raw.unbounded.sentences)
        )
    search = constrained_search(raw)
    every = parameters_of(raw, scale)
    wanted = _chosen(every, which, raw)
    reach = float(stats.norm.isf(alpha_max / 2.0))
    spacing = reach / n_points
    state = _state(raw.at_optimum)
    large = raw._units.plan.n_columns > MANY_EFFECTS
    task = partial(_curve, raw, reach, spacing)
    # by position, as labels depend on the scale
    places = {p.label: place for place, p in enumerate(every)}
    known = vars(raw).setdefault("_curves", {}).setdefault((alpha_max, n_points), {})
    missing = [p for p in wanted if places[p.label] not in known]
    pieces = [[p.constraint] for p in missing]
    done, interrupted = run(
        task, pieces, n_jobs, progress, parallel=large and "processes"
    )
    known.update({places[p.label]: curve for p, curve in zip(missing, done)})
    found = [(p, known[places[p.label]]) for p in wanted if places[p.label] in known]
    if interrupted:
        warn(
            f"interrupted after {len(found)} of {len(wanted)} parameters; the same "
            "call computes the rest",
            DataWarning,
        )
    profiled = [
        replace(p, curve=curve and replace(curve, search=search)) for p, curve in found
    ]
    frames = [_table(p, every, state, float(raw.at_optimum.value)) for p in profiled]
    curves = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return ProfileLikelihood(tuple(profiled), curves, spacing)


# parameters ----------------------------------------------------------------


def parameters_of(raw, scale):
    """All parameters of a fit, see `profile`."""
    units = raw._units
    unit, shift = units.response_scale, units.shift(raw.reml)
    parameters = []
    variance_names = variance_labels(raw.model.random, scale)
    taken = {"parameter", "value", "zeta", "deviance", *variance_names}
    columns = (*units.beta_directions(), _plateaus(raw))
    for column, row, length, origin, plateau in zip(*columns):
        to_user = ToUser("fixed", float(length), float(origin))
        name = raw.model.exog_names[column]
        name = f"fixed {name}" if name in taken else name
        # under REML one coefficient less is integrated out, in the units of the rest
        own_shift = shift + (2.0 * np.log(length) if raw.reml else 0.0)
        effect = FixedEffect(row, plateau)
        parameters.append(ProfiledValue(name, "fixed", effect, to_user, own_shift))
    power = 2.0 if scale == "var" else 1.0
    labels = iter(variance_names)
    for i, effects in enumerate(raw.model.random):
        place = units.places[i]
        for block, _, model in effects.blocks:
            if model.has_structure:
                parameters += _structure_parameters(
                    model, place, block, labels, unit, power, shift
                )
                continue
            rows, lengths = units.deviations(i, block)
            for row, length in zip(rows, lengths):
                deviation = StandardDeviation(place, block, row)
                to_user = ToUser("sd", float(length), power=power)
                parameters.append(
                    ProfiledValue(next(labels), "sd", deviation, to_user, shift)
                )
            for a in range(len(rows)):
                for b in range(a):
                    pair = Correlation(place, block, rows[b], rows[a])
                    to_user = ToUser("cor")
                    parameters.append(
                        ProfiledValue(next(labels), "cor", pair, to_user, shift)
                    )
    if raw._is_gaussian:
        to_user = ToUser("sigma", unit, power=power)
        last = ProfiledValue(next(labels), "sigma", ResidualDeviation(), to_user, shift)
        return [*parameters, last, *_error_parameters(raw, shift)]
    return parameters + _extra_parameter(raw.family, scale)


def _error_parameters(raw, shift):
    """The parameters of the errors."""
    errors, parameters = raw.model.residual, list[ProfiledValue]()
    if errors is None:
        return parameters
    whitening = raw.at_optimum.whitening
    model = errors.without_data().model
    alone = (whitening.jacobian != 0.0).sum(axis=1) == 1
    each = zip(errors.parameter_names, errors.parameter_ranges)
    for position, (label, ends) in enumerate(each):
        constraint: Constraint
        to_user: Callable
        if alone[position]:
            to_user = ErrorToUser("errors", model=model, position=position)
            between = np.isfinite(ends).all()
            constraint = ErrorCoordinate(position, *([AT_ENDS] if between else []))
        else:
            constraint = ErrorParameter(model, position, ends)
            to_user = constraint.parameter
        parameters.append(ProfiledValue(label, "errors", constraint, to_user, shift))
    return parameters


def _plateaus(raw):
    """Ranges of the fixed effects outside which the likelihood is flat."""
    kept, directions, _, _ = raw._units.beta_directions()
    plateaus = [FixedEffect.plateau] * len(kept)
    if raw.unbounded.directions is None:
        return plateaus
    # where the search for an infinite coefficient ended
    ends = directions @ raw.at_optimum.coefficients
    for j in np.flatnonzero(raw.unbounded.columns):
        positive = raw.params[kept[j]] > 0.0
        plateaus[j] = (-np.inf, ends[j]) if positive else (ends[j], np.inf)
    return plateaus


def _extra_parameter(family, scale):
    """The dispersion of a family or its alpha, in a list; empty if it has none."""
    if not family.has_extra:
        return []
    constraint = ExtraParameter(family.extra_is_squared)
    if family.extra_is_squared:
        label, to_user = "alpha", ToUser("sd", power=2.0)
    else:
        label = RESIDUAL[scale]
        to_user = ToUser("sigma", power=0.5 if scale == "sd" else 1.0)
    return [ProfiledValue(label, "sigma", constraint, to_user, 0.0)]


def parameter_of(raw, factor, block, effect):
    """
    The parameter for the standard deviation of an effect.

    Parameters
    ----------
    raw : CrossedMixedLMResults
        A fit.
    factor, block, effect : int
        Positions of the factor, of the covariance block and of the effect within it.

    Returns
    -------
    ProfiledValue
    """
    labels = iter(variance_labels(raw.model.random, "sd"))
    wanted = None
    for i, effects in enumerate(raw.model.random):
        for j, quantities in enumerate(effects.quantities):
            for q in quantities:
                label = next(labels)
                if (i, j, q.kind, q.first) == (factor, block, "sd", effect):
                    wanted = label
    return next(p for p in parameters_of(raw, "sd") if p.label == wanted)


def _structure_parameters(model, place, block, labels, unit, power, shift):
    """The parameters of a block with a structure."""
    parameters = []
    for a, parameter in enumerate(model.parameters):
        constraint = StructureParameter(place, block, a, parameter)
        deviation = parameter.kind == "sd"
        to_user = ToUser("sd", unit, power=power) if deviation else ToUser("fixed")
        kind = "sd" if deviation else "structure"
        parameters.append(ProfiledValue(next(labels), kind, constraint, to_user, shift))
    return parameters


@dataclass(frozen=True)
class ToUser:
    """
    Conversion from the units of a constraint to those of the data.

    Parameters
    ----------
    kind : {"fixed", "sd", "cor", "sigma"}
        Kind of parameter, for start + unit x, (unit x)^power, cos(x) or
        (unit exp(x))^power.
    unit, start, power : float, optional
        Constants of the conversion.
    """

    kind: str
    unit: float = 1.0
    start: float = 0.0
    power: float = 1.0

    def __call__(self, standardized):
        """The value in the units of the data."""
        if self.kind == "fixed":
            return self.start + self.unit * standardized
        if self.kind == "cor":
            return -1.0 if standardized == np.pi else float(np.cos(standardized))
        value = np.exp(standardized) if self.kind == "sigma" else standardized
        return (self.unit * value) ** self.power


@dataclass(frozen=True)
class ErrorToUser(ToUser):
    """
    Conversion from a coordinate of the errors' covariance to its parameter.

    Parameters
    ----------
    model : ResidualCovariance
        The covariance.
    position : int
        Which coordinate.
    """

    model: Any = None
    position: int = 0

    def __call__(self, standardized):
        """The parameter."""
        x = self.model.start()
        x[self.position] = standardized
        return float(self.model.unfold(x)[0][self.position])


def _chosen(every, which, raw):
    """The parameters requested, in the order of the fit or of the names."""
    if which is None:
        return every
    if isinstance(which, str):
        if which in ("fixed", "random"):
            return [p for p in every if (p.kind == "fixed") == (which == "fixed")]
        which = [which]
    if not isinstance(which, list | tuple | set | pd.Index):
        raise TypeError(f"which must be names of parameters, not {which!r}")
    by_label = {p.label: p for p in every}
    for name in which:
        if name in raw.dropped:
            raise ValueError(
                f"{name!r} was dropped as redundant and has no profile; choose from "
                f"{list(by_label)}"
            )
        if name not in by_label:
            raise ValueError(
                f"there is no parameter {name!r}; choose from {list(by_label)}, or "
                "'fixed' or 'random'"
            )
    return [by_label[name] for name in which]


# curves --------------------------------------------------------------------


def _state(deviance):
    """The arguments of `Constraint.estimate` at an evaluated criterion."""
    tau = float(deviance.scale) ** -0.5
    return deviance.coefficients, deviance.factors, tau, deviance.extra


def constrained_search(raw):
    """The minima of the criterion of a fit under constraints."""
    if raw.model.residual is not None:
        return CorrelatedSearch(raw.model._criterion(raw.reml))
    if raw._is_gaussian:
        criterion = criterion_of(raw.model._sufficient_statistics()[1], raw.reml)
        if criterion.products.is_stochastic:
            return KrylovSearch(criterion)
        return ConstrainedSearch(criterion)
    if raw.nagq == 0:
        raise ValueError(
            "with nagq=0 the fixed effects are not parameters of the likelihood, which "
            "therefore has no profile; refit with nagq=1"
        )
    return GeneralizedSearch(raw.at_optimum.criterion)


def _curve(raw, reach, spacing, constraints):
    """
    The curve of one parameter without the data, which would be costly to transfer.

    None if the criterion does not depend on the parameter, such as a correlation with
    an effect without variance.
    """
    (constraint,) = constraints
    search, optimum = constrained_search(raw), raw.at_optimum
    estimate = constraint.estimate(*_state(optimum))
    if np.isnan(estimate):
        return None
    # elsewhere under REML, and where quadrature depends on the coordinates
    moves = raw.reml and isinstance(constraint, FixedEffect)
    value = None if moves or not raw._is_gaussian else float(optimum.value)
    curve = profile_curve(search, constraint, estimate, search.start(optimum), value)
    curve = curve.extended(reach, spacing)
    check_error(curve)
    return replace(curve, search=None)


def check_error(curve):
    """
    Reject a curve that the probes of a fit leave too uncertain.

    Parameters
    ----------
    curve : ProfileCurve
        A curve, with its search.

    Raises
    ------
    NotImplementedError
    """
    error = zeta_error(curve)
    if error > LARGEST_ERROR:
        raise NotImplementedError(
            "the profile of the likelihood is not stated, as the probes of the fit by "
            f'engine="krylov" leave errors of {error:.1g} standard errors in its '
            f"limits, more than {LARGEST_ERROR}; use more probes in fit, "
            'method="percentile", or fit with engine="exact" if it fits in memory'
        )


def _interval(parameter, height, spacing):
    """Lower and upper limit in the units of the data."""
    if parameter.curve is None:
        return -1.0, 1.0
    curve = parameter.curve.extended(height, spacing)
    # a correlation decreases with its angle
    sides = (1.0, -1.0) if parameter.kind == "cor" else (-1.0, 1.0)
    return tuple(float(parameter.to_user(curve.crossing(s, height))) for s in sides)


def _table(parameter, every, state, value):
    """The points of one curve in the units of the data."""
    rows = []
    if parameter.curve is None:
        for correlation in (-1.0, 0.0, 1.0):
            estimates = _estimates(every, state)
            estimates[parameter.label] = correlation
            rows.append((correlation, 0.0, value + parameter.shift, estimates))
    else:
        sign = -1.0 if parameter.kind == "cor" else 1.0
        origin = parameter.curve.origin.at
        for point in parameter.curve.points:
            held = float(parameter.to_user(point.at))
            zeta = sign * np.sign(point.at - origin) * point.height
            estimates = _estimates(every, _state(point.optimum.deviance))
            estimates[parameter.label] = held
            rows.append((held, zeta, point.optimum.value + parameter.shift, estimates))
        rows.sort(key=lambda row: row[0])
    columns = ["value", "zeta", "deviance"]
    frame = pd.DataFrame([row[:3] for row in rows], columns=columns)
    frame.insert(0, "parameter", parameter.label)
    others = pd.DataFrame([row[3] for row in rows])
    return pd.concat([frame, others], axis=1)


def _estimates(every, state):
    """All parameters in the units of the data, by label."""
    return {p.label: float(p.to_user(p.constraint.estimate(*state))) for p in every}
