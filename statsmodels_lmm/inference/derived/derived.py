"""Functions of the parameters of a fit, with intervals."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.core.search.constrained_krylov import zeta_error
from statsmodels_lmm.exceptions import DataWarning, warn
from statsmodels_lmm.inference.derived.derived_profile import profiled
from statsmodels_lmm.inference.derived.differentiable import Differentiable
from statsmodels_lmm.inference.derived.functions import evaluated, functions_of
from statsmodels_lmm.inference.derived.joint_estimates import joint_estimates
from statsmodels_lmm.inference.replicates.bootstrap import BootstrapResults
from statsmodels_lmm.inference.replicates.bootstrap import bootstrap as draw_replicates
from statsmodels_lmm.inference.replicates.bootstrap_intervals import (
    interval,
    tell_of_few,
)
from statsmodels_lmm.inference.requirements import as_fit, check_alpha, check_choice
from statsmodels_lmm.inference.variances.variance_parameters import interval_within

METHODS = ("wald", "bootstrap", "profile")

OPEN = "not determined by the data"
BOUNDARY = "on the boundary; use profile or bootstrap"
LOST = "the likelihood could not be followed; use bootstrap"
INTEGRATED = "no profile, as it involves fixed effects; use bootstrap"


@dataclass(frozen=True)
class DerivedQuantities:
    """
    Functions of the parameters of a fit, with intervals.

    Parameters
    ----------
    estimates, errors : Series
        Estimates and standard errors, by name; for the bootstrap the standard
        deviations of the replicates, and NaN for profiles.
    notes : Series
        Why a number is NaN, else empty.
    method : {"wald", "bootstrap", "profile"}
        Source of the intervals.
    alpha : float
        One minus the level of the intervals shown.
    ranges : tuple
        Range of each.
    draws : DataFrame or None
        Values in the bootstrap replicates, one column for each function.
    profiles : tuple
        The curve of each function, for profiles.
    """

    estimates: pd.Series
    errors: pd.Series
    notes: pd.Series
    method: str
    alpha: float
    ranges: tuple = field(repr=False)
    draws: pd.DataFrame | None = field(default=None, repr=False)
    profiles: tuple = field(default=(), repr=False)

    def conf_int(
        self, alpha: float | None = None, kind: str = "percentile"
    ) -> pd.DataFrame:
        """
        Compute confidence intervals.

        Parameters
        ----------
        alpha : float, optional
            One minus the level; default is `alpha` of the object.
        kind : {"percentile", "basic", "normal"}, optional
            Kind of bootstrap interval, see `BootstrapResults.conf_int`.

        Returns
        -------
        DataFrame
            Columns lower and upper, one row per function; for profiles of a fit by
            ``engine="krylov"``, ``attrs["mc_se"]`` is as in `ProfileLikelihood`.
        """
        alpha = self.alpha if alpha is None else alpha
        check_alpha(alpha)
        check_choice("kind", kind, ("percentile", "basic", "normal"))
        profiles = tuple(p and p.extended(alpha) for p in self.profiles)
        known = replace(self, profiles=profiles)
        rows = [known._interval(i, alpha, kind) for i in range(len(self.estimates))]
        self._tell_of_lost(rows)
        index = self.estimates.index
        table = pd.DataFrame(rows, index, ["lower", "upper"], dtype=float)
        errors = [zeta_error(p.curve) for p in profiles if p is not None]
        if error := max(errors, default=0.0):
            table.attrs["mc_se"] = error
        return table

    def _tell_of_lost(self, rows):
        """Warn of the limits to which a profile could not be followed."""
        lost = [
            name
            for name, ends, curve in zip(self.estimates.index, rows, self.profiles)
            if curve is not None and np.isnan(ends).any()
        ]
        if lost:
            warn(
                "the likelihood could not be followed to the limit of the interval of "
                f"{', '.join(lost)}, which is NaN; name its range with transform=, or "
                "use method='bootstrap'",
                DataWarning,
            )

    def _interval(self, i, alpha, kind):
        """Lower and upper limit of one function."""
        estimate, error = self.estimates.iloc[i], self.errors.iloc[i]
        if self.method == "wald":
            reach = stats.norm.isf(alpha / 2.0) * error
            return interval_within(estimate, reach, *self.ranges[i])
        if self.draws is not None:
            draws = self.draws.iloc[:, i].to_numpy()
            nothing = np.full(len(draws), np.nan)
            ends = interval(kind, estimate, np.nan, draws, nothing, alpha)
            return np.clip(ends, *self.ranges[i])
        profiled = self.profiles[i]
        return (np.nan, np.nan) if profiled is None else profiled.interval(alpha)

    def summary_frame(self, alpha: float | None = None) -> pd.DataFrame:
        """
        Estimates, standard errors and intervals.

        Parameters
        ----------
        alpha : float, optional
            One minus the level; default is `alpha` of the object.

        Returns
        -------
        DataFrame
            Columns estimate, std err, lower and upper; note if there is one to any of
            the functions. There are no standard errors for profiles.
        """
        columns = {"estimate": self.estimates, "std err": self.errors}
        if self.method == "profile":
            del columns["std err"]
        table = pd.DataFrame(columns)
        table[["lower", "upper"]] = self.conf_int(alpha)
        if self.notes.any():
            table["note"] = self.notes
        return table

    def __str__(self):
        """The kind of intervals, and the table."""
        count = "" if self.draws is None else f", {len(self.draws)} replicates"
        level = f"{100.0 * (1.0 - self.alpha):g} %"
        kind = {"wald": "Wald", "bootstrap": "percentile"}.get(self.method, self.method)
        return (
            f"Functions of the parameters, {level} {kind} intervals{count}\n"
            + self.summary_frame().to_string(float_format="{:.4f}".format)
        )

    __repr__ = __str__

    def _repr_html_(self):
        return self.summary_frame().to_html()


def derive(
    results: Any,
    functions: Any,
    method: str = "wald",
    alpha: float = 0.05,
    transform: Any = None,
    bootstrap: Any = None,
    **options: Any,
) -> DerivedQuantities:
    r"""
    Compute functions of the parameters with intervals.

    Parameters
    ----------
    results : MixedResults
        A fit.
    functions : str, callable, list or dict
        An expression such as ``"h2 = var(animal) / (var(animal) + var(Residual))"``,
        several of them in lines of their own, a function of `NamedParameters` such as
        ``lambda p: p.b("x") / p.b("z")``, or a list or dict of these. See the notes.
    method : {"wald", "bootstrap", "profile"}, optional
        Source of the intervals: the delta method, replicates, or the likelihood,
        minimized subject to the function's value.
    alpha : float, optional
        One minus the level of the intervals.
    transform : {None, "identity", "log", "logit", "fisher"}, optional
        Scale on which Wald intervals are symmetric, which keeps them within the range
        of a positive number, a share or a correlation. Default is that of the range
        that follows from the expression: a ratio whose denominator has all terms of
        the numerator is a share. The range also bounds the other intervals.
    bootstrap : BootstrapResults, optional
        Replicates to use; default is to draw them.
    **options
        Arguments of `bootstrap` for drawing replicates.

    Returns
    -------
    DerivedQuantities

    Raises
    ------
    FormulaError
        If an expression cannot be understood or names no parameter of the model.

    Notes
    -----
    An expression consists of numbers, the operators ``+ - * / **``, parentheses, the
    functions sqrt, exp, log, tanh, atanh, abs, logit and expit, the number pi, names
    given to expressions before it, and of parameters:

    ==========================  ========================================================
    ``var(g)``, ``sd(g)``       variance and standard deviation of the only effect of a
                                factor
    ``var(x | g)``              of one of several effects; 1 is the intercept
    ``cov(x, z | g)``, ``cor``  covariance and correlation of two effects
    ``var(Residual)``           residual variance of a linear model; its root is sigma
    ``var(Distribution)``       in a generalized model, the variance of the response
                                given its mean on the scale of the linear predictor, see
                                `r_squared`; the mean at which it is taken is held at
                                its estimate
    ``b['x']``                  a fixed effect
    ``alpha``, ```ar1 rho```    any row of `variance_parameters`, in backticks unless it
                                is a single word
    ==========================  ========================================================

    The standard error by the delta method is the root of :math:`g' V g` with g the
    derivatives of the function, by the chain rule, and V the joint covariance of fixed
    effects and variance parameters. It is NaN if the function depends on a variance
    that is estimated as zero, where the method does not apply.

    References
    ----------
    Cox, C. (1998). Delta method. In Encyclopedia of Biostatistics. Wiley.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.dyestuff.load_pandas().data
    >>> result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    >>> derived = derive(result, "ICC = var(Batch) / (var(Batch) + var(Residual))")
    >>> derived.estimates.round(3).to_dict()
    {'ICC': 0.418}
    """
    check_choice("method", method, METHODS)
    results = as_fit(results)
    if bootstrap is not None:
        options = options | {"bootstrap": bootstrap}
    return derived(results, functions_of(functions, transform), method, alpha, options)


def derived(results, functions, method, alpha, options=None, settings=None):
    """
    Compute functions with intervals.

    Parameters
    ----------
    results : MixedResults
        A fit.
    functions : list of Function
        The functions.
    method, alpha
        As for `derive`.
    options : dict, optional
        Arguments of `bootstrap`, or "bootstrap", replicates to use.
    settings : dict, optional
        Arguments of `variance_of_distribution`.

    Returns
    -------
    DerivedQuantities
    """
    options = options or {}
    if options and method != "bootstrap":
        raise TypeError(f"{', '.join(options)} applies to the bootstrap only")
    check_alpha(alpha)
    joint = joint_estimates(results, settings)
    rows = [_delta(f, joint) for f in functions]
    index = pd.Index([f.name for f in functions], name="function")
    estimates, errors, notes = (pd.Series(c, index) for c in zip(*rows))
    ranges = tuple(f.range for f in functions)
    draws, profiles = None, ()
    if method == "bootstrap":
        replicates = _replicates(results, **options)
        draws = evaluated(functions, results, replicates.draws, settings)
        draws.loc[:, (notes == OPEN).to_numpy()] = np.nan
        errors = draws.std(ddof=1)
        tell_of_few(len(draws), alpha)
    if method == "profile":
        pairs = [
            _profiled(results, f, joint.parameters, error, note)
            for f, error, note in zip(functions, errors, notes)
        ]
        profiles, told = zip(*pairs)
        notes[:] = told
        errors = errors * np.nan
    if method == "bootstrap":
        notes = notes.where(notes != BOUNDARY, "")
    return DerivedQuantities(
        estimates, errors, notes, method, alpha, ranges, draws, profiles
    )


def method_of(conf_int):
    """
    The method of intervals that an argument `conf_int` asks for.

    Parameters
    ----------
    conf_int : bool or str
        As for `icc`.

    Returns
    -------
    str
    """
    check_choice("conf_int", conf_int, (False, True, "wald", "bootstrap", "profile"))
    return conf_int if isinstance(conf_int, str) else "wald"


def _profiled(results, function, parameters, error, note):
    """The profile of a function, None if there is none, and why."""
    found = function.value(parameters)
    if note not in ("", BOUNDARY):
        return None, note
    if not isinstance(found, Differentiable):
        return None, "a constant"
    if results._is_gaussian and found.slopes[: len(parameters.names)].any():
        return None, INTEGRATED
    distribution = parameters.distribution
    try:
        return profiled(results, function, found, error, distribution), ""
    except np.linalg.LinAlgError:
        return None, LOST


def _delta(function, joint):
    """Estimate, standard error and note of one function by the delta method."""
    found = function.value(joint.parameters)
    if not isinstance(found, Differentiable):
        if np.ndim(found):
            raise ValueError(f"{function.name} must be a single number, not {found!r}")
        return float(found), 0.0, ""
    p, variances = len(joint.parameters.names), joint.parameters.variances
    value, slopes = float(found.value), found.slopes
    used = slopes != 0.0
    with np.errstate(invalid="ignore"):
        inner = slopes[used] @ joint.covariance[np.ix_(used, used)] @ slopes[used]
    error = float(np.sqrt(inner)) if inner >= 0.0 else np.nan
    if variances.undetermined(np.nan_to_num(slopes[None, p:])).any():
        return np.nan, np.nan, OPEN
    names = np.array(joint.parameters.names)[used[:p]]
    lost = names[np.isnan(joint.parameters.fixed[used[:p]])]
    if len(lost):
        return np.nan, np.nan, f"{', '.join(lost)} was dropped as redundant"
    if value in function.range or _touches_zero(variances, slopes[p:]):
        return value, np.nan, BOUNDARY
    if np.isnan(error) and len(names):
        return value, np.nan, "the standard error of a fixed effect is not defined"
    return value, error, "" if np.isfinite(error) else BOUNDARY


def _touches_zero(variances, slopes):
    """Whether a function depends on a covariance block, or an alpha, that is zero."""
    extra = getattr(variances, "extra", None)
    if extra is not None and extra == 0.0 and slopes[-2] != 0.0:
        return True
    gone = variances.vanished if variances.vanished is not None else []
    return any(
        zero and (slopes[block.place] != 0.0).any()
        for zero, block in zip(gone, variances.blocks)
    )


def _replicates(results, bootstrap=None, **options):
    """The replicates to use: those given, if they are of this fit, or new ones."""
    if bootstrap is None:
        return draw_replicates(results, **options)
    if options:
        raise TypeError(f"{', '.join(sorted(options))}: there is a bootstrap already")
    if not isinstance(bootstrap, BootstrapResults):
        raise TypeError(
            "bootstrap must be a BootstrapResults, as returned by bootstrap(), not a "
            f"{type(bootstrap).__name__}"
        )
    fixed = bootstrap.estimates.iloc[: len(results.params)]
    same = list(fixed.index) == list(results.model.exog_names)
    if not same or not np.array_equal(fixed, results.params, equal_nan=True):
        raise ValueError("bootstrap has the replicates of another fit")
    return bootstrap
