"""The data that a model rejects, and the warnings after a fit."""

from difflib import get_close_matches

import numpy as np

from statsmodels_lmm.core.search.newton import REACHED
from statsmodels_lmm.exceptions import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    RankWarning,
    warn,
)
from statsmodels_lmm.inputs.row_values import check_row_values, listed
from statsmodels_lmm.keywords import OF_FIT, R_ARGUMENTS
from statsmodels_lmm.residual.absorbed_effects import absorbs

ARGUMENTS = (
    "check_levels contrasts dispersion missing offset power_of_fitted rank "
    "relationship relationship_inverse residual structures subset weights"
).split()
"""Arguments of a model from a formula, which other names may mean."""

CONFOUNDED = "its variance and the residual variance are confounded"
"""Why a factor must have fewer levels than there are rows of equal weight."""

SMALLEST, LARGEST = 1e-153, 1e153
"""Range of standard deviations with squares within floating point."""


def unknown_arguments(names):
    """
    The error for unknown arguments, with advice for those known from R.

    Parameters
    ----------
    names : iterable of str
        The arguments.

    Returns
    -------
    TypeError
    """
    names = sorted(names)
    for name in names:
        if name in R_ARGUMENTS:
            return TypeError(f"{name}= {R_ARGUMENTS[name]}")
        if name in OF_FIT:
            line = f"crossedmixedlm(formula, data).fit({name}={OF_FIT[name]})"
            return TypeError(f"{name}= is an argument of fit: `{line}`")
    close = [n for name in names for n in get_close_matches(name, ARGUMENTS, n=1)]
    near = f"; did you mean {close[0]}=?" if close else ""
    return TypeError(f"unknown argument {', '.join(names)}{near}")


def check_arguments(further, missing, rank):
    """
    Reject arguments of a model that have no meaning.

    Parameters
    ----------
    further : iterable of str
        Arguments given in addition to the documented ones.
    missing, rank : str
        See `CrossedMixedLM`.

    Raises
    ------
    TypeError
        If an argument does not exist.
    ValueError
        If an argument has an unknown value.
    """
    unknown = set(further) - {"formula", "model_spec", "hasconst", "missing_idx"}
    if unknown:
        raise unknown_arguments(unknown)
    if missing not in ("none", "drop", "raise"):
        raise ValueError(f"missing must be 'none', 'drop' or 'raise', not {missing!r}")
    if rank not in ("drop", "raise"):
        raise ValueError(f"rank must be 'drop' or 'raise', not {rank!r}")


def check_data(
    endog,
    exog,
    random,
    sides,
    check_levels,
    confounded,
    may_be_constant=False,
    alone=False,
    may_be_wide=False,
):
    """
    Reject data to which a model cannot be fitted.

    Parameters
    ----------
    endog, exog : array_like
        Response and fixed design.
    random : tuple of RandomEffects
        Random effects.
    sides : dict
        Weights, offset and the like: one value per row or None, by name.
    check_levels : bool
        Whether to reject random effects whose variances the data cannot determine.
    confounded : (str, bool)
        Why there must be more rows than levels, or "", and whether there must be more
        than random effects.
    may_be_constant : bool, optional
        Whether a constant response is allowed.
    alone : bool, optional
        Whether the fixed effects may stand alone.
    may_be_wide : bool, optional
        Whether there may be as many fixed effects as rows.

    Raises
    ------
    DataError
    """
    y, x = np.asarray(endog), np.asarray(exog)
    n = len(y)
    if not n:
        raise DataError("the data have no rows")
    y = y.reshape(n, -1)
    if y.shape[1] != 1:
        raise DataError("the response must have one column")
    if x.ndim != 2:
        raise DataError("the design of the fixed effects must have two dimensions")
    for values, what in ((y, "the response"), (x, "the fixed effects")):
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            rows = listed(np.flatnonzero(bad))
            raise DataError(f"{what} has missing or infinite values in rows {rows}")
    if not random and not alone:
        raise DataError("a mixed model needs at least one random effect")
    if not may_be_wide:
        check_number_of_columns(x)
    if n > 1 and (y == y[0]).all() and not may_be_constant:
        raise DataError("the response is constant")
    for name, values in sides.items():
        if values is not None:
            check_row_values(values, name)
    for effects in random:
        _check_random(effects, n, check_levels, *confounded)


def check_number_of_columns(exog, advice=""):
    """
    Reject a fixed design of as many independent columns as rows.

    Parameters
    ----------
    exog : ndarray
        Fixed design, shape (n, p).
    advice : str, optional
        What to do.

    Raises
    ------
    DataError
    """
    n, p = exog.shape
    if n <= p and n <= np.linalg.matrix_rank(exog):
        raise DataError(f"{n} rows are too few for {p} fixed effects{advice}")


def _check_random(effects, n, check_levels, reason, check_columns):
    grouped = effects.grouped
    if not effects.has_groups:
        return
    if not np.isfinite(grouped.effects).all():
        raise DataError(f"the random effects by {effects.name} are not finite")
    if not check_levels:
        return
    specified = grouped.is_structured or grouped.relationship is not None
    if grouped.n_levels < 2 and not specified:
        raise DataError(
            f"grouping factor {effects.name} has {grouped.n_levels} level; "
            "a random effect needs at least 2"
        )
    if reason and not specified and grouped.n_levels >= n:
        raise DataError(
            f"grouping factor {effects.name} has as many levels as there are rows "
            f"({n}); {reason} (check_levels=False fits it anyway)"
        )
    if not check_columns or grouped.relationship is not None:
        return
    for _, names, model in effects.blocks:
        if model.has_structure:
            continue
        if grouped.n_levels * len(names) >= n and len(names) > 1:
            raise DataError(
                f"{n} rows do not exceed the {grouped.n_levels * len(names)} "
                f"random effects ({listed(names)}) by {effects.name}; the model "
                "cannot be distinguished from one with fewer (check_levels=False fits "
                "it anyway)"
            )


def check_sums(summed, random, names, check_levels):
    """
    Reject sums over rows to which a model cannot be fitted.

    Parameters
    ----------
    summed : SummedRows
        The sums.
    random : tuple of RandomEffects
        Random effects.
    names : list of str
        Names of the columns of X.
    check_levels : bool
        Whether to reject random effects whose variances the data cannot determine.

    Raises
    ------
    DataError
    """
    n, columns = summed.sums.nobs, summed.standing_rows()
    if not n:
        raise DataError("the data have no rows")
    if len(names) != columns.shape[1] - 1 or len(random) != len(summed.terms):
        raise DataError(
            f"{len(names)} names of fixed and {len(random)} of random effects do not "
            f"fit sums of {columns.shape[1] - 1} columns and {len(summed.terms)} terms"
        )
    finite = np.isfinite(summed.triangle).all(axis=0)
    if not finite.all():
        lost = [*names, "the response"]
        bad = [str(lost[j]) for j in np.flatnonzero(~finite[1:])]
        raise DataError(
            "missing or infinite values in " + ", ".join(bad or ["weights"])
        )
    rank = np.linalg.matrix_rank(columns[:, 1:]) if len(names) else 0
    if n <= len(names) and n <= rank:
        raise DataError(f"{n} rows are too few for {len(names)} fixed effects")
    if n > 1 and not summed.triangle[1:, -1].any():
        raise DataError("the response is constant")
    reason = "" if summed.has_weights else CONFOUNDED
    for effects in random:
        _check_random(effects, n, check_levels, reason, True)


def check_errors(errors, random, weights):
    """
    Reject random effects that the correlations of errors already contain.

    Parameters
    ----------
    errors : ErrorCovariance or None
        The errors.
    random : tuple of RandomEffects
        Random effects.
    weights : array_like or None
        Prior weights.

    Raises
    ------
    DataError
    """
    grouping = [effects for effects in random if effects.has_groups]
    for effects in grouping if errors is not None else ():
        grouped = effects.grouped
        for columns, names, _ in effects.blocks:
            if absorbs(errors, errors, weights, grouped, grouped.effects[:, columns]):
                raise DataError(
                    f"{errors.term} already contains the random effects "
                    f"({', '.join(names)} | {effects.name}), so that the data cannot "
                    "tell their variance from the errors' covariance; leave one of "
                    "them out (check_levels=False fits the model anyway)"
                )


FEW_STEPS = 100
"""Size of the residuals, in steps of the response, that leaves enough digits."""


def check_residual(largest, data):
    """
    Reject a response that the fixed effects reproduce exactly.

    At the magnitude of the response, adjacent floating-point numbers differ by a step.
    Least-squares residuals of about one step cannot be distinguished from zero, and
    those of a few dozen steps have lost digits.

    Parameters
    ----------
    largest : float
        Magnitude of the response minus its offset, times the square roots of the
        weights.
    data : Standardized or StandardizedSums
        The standardized data.

    Raises
    ------
    DataError
        If no residual remains.

    Warns
    -----
    DataWarning
        If few digits remain.
    """
    size = data.response_scale
    step = np.finfo(float).eps * largest
    if size <= 3.0 * step:
        raise DataError(
            "the residual variance is zero: the fixed effects reproduce the "
            "response exactly"
        )
    if size <= FEW_STEPS * step:
        warn(
            f"the response is as large as {largest:.2g}, where numbers are about "
            f"{step:.1g} apart, and its residuals from the fixed effects are about "
            f"{size:.1g}: their digits were lost before the fit. Subtract a constant "
            "when the response is computed",
            DataWarning,
        )


def check_range(data, random):
    """
    Reject data whose variances exceed the range of floating-point numbers.

    Parameters
    ----------
    data : Standardized
        The standardized data.
    random : tuple of RandomEffects
        Random effects.

    Raises
    ------
    DataError
    """
    size = data.response_scale
    if not SMALLEST < size < LARGEST:
        what = "the response"
        if data.log_weights:
            what += ", times the square roots of the weights,"
        word, advice = _out_of_range(size)
        raise DataError(
            f"{what} is too {word}: it varies by {size:.1g}, whose square, the "
            f"variance, is beyond the range of floating-point numbers; {advice}"
        )
    if not np.isfinite(data.least_squares).all():
        raise DataError(
            "the response is so large relative to the columns of the fixed effects "
            "that their coefficients overflow; use other units"
        )
    for effects, sizes in zip(random, data.effect_sizes):
        for name, unit in zip(effects.effect_names, sizes):
            for size in (unit, unit * data.response_scale):
                if not SMALLEST < size < LARGEST:
                    word, _ = _out_of_range(1.0 / size)
                    raise DataError(
                        f"the random effects {name} by {effects.name} have a column "
                        f"that is too {word} relative to the response: the effects are "
                        f"of the order {size:.0e}, whose square, the variance, is "
                        "beyond the range of floating-point numbers; use other units"
                    )


def _out_of_range(size):
    """Whether a size is too large or too small, and the remedy."""
    word, change = ("large", "divide") if size > 1.0 else ("small", "multiply")
    exponent = abs(round(float(np.log10(size)))) if 0.0 < size < np.inf else 300
    return word, f"{change} it by 1e{exponent}"


def check_maxiter(maxiter, start_params):
    """
    Reject a number of evaluations that is none, or a search of none without a start.

    Parameters
    ----------
    maxiter : int
        Largest number of evaluations.
    start_params : array_like or None
        Starting values.
    """
    if not isinstance(maxiter, int | np.integer) or maxiter < 0:
        raise ValueError(f"maxiter must be a whole number, not {maxiter!r}")
    if maxiter == 0 and start_params is None:
        raise ValueError(
            "maxiter=0 stays at start_params, without a search: give these parameters"
        )


def warn_after_fit(results):
    """
    Warn of problems with the data that the user can solve.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    """
    if results.dropped:
        warn(
            "the fixed effects are not linearly independent; dropped: "
            + ", ".join(results.dropped),
            RankWarning,
        )
    if results.out_of_range:
        warn(
            "the squares of the standard errors of some fixed effects are beyond the "
            "range of floating-point numbers, so they are NaN; use other units for: "
            + ", ".join(results.out_of_range),
            DataWarning,
        )
    for effects in results.uninformative:
        warn(
            f"the fixed effects already distinguish the levels of {effects}; its "
            "variance cannot be estimated and is set to 0",
            DataWarning,
        )
    flat = results.identification.sentences
    for sentence in flat:
        warn(sentence, DataWarning)
    unbounded = results.unbounded.sentences
    for sentence in unbounded:
        warn(sentence, DataWarning)
    optimum = results.optimum
    if optimum.saturated and not flat:
        warn(
            "fixed and random effects together reproduce any response of these rows, "
            "so nothing remains to estimate the residual variance from, and the "
            "variances are those of a local optimum at best. Leave out a random effect",
            DataWarning,
        )
    if not (optimum.saturated or optimum.given or results.converged or unbounded):
        _warn_of_search(results)


def _warn_of_search(results):
    """Warn that no optimum is proved."""
    optimum = results.optimum
    if results.reason:
        warn(results.reason, ConvergenceWarning)
    elif optimum.rounding >= REACHED and (
        # without rows the digits that are lost cannot be had in another pass
        optimum.promised < REACHED or results.model.summed is not None
    ):
        warn(
            "the best variances are not proved: the residual variance is so small "
            "relative to those of the random effects that rounding moves -2 "
            f"log-likelihood by up to {optimum.rounding:.1g}. Subtract the known part "
            "of the large effects from the response, or leave these effects out",
            ConvergenceWarning,
        )
    elif optimum.interrupted:
        warn(
            "the search was interrupted before the best variances were "
            "found, so its numbers are provisional (a further step promises a gain of "
            f"{optimum.promised:.2g} in -2 log-likelihood)",
            ConvergenceWarning,
        )
    else:
        probed = getattr(results.model, "_choice", None) is not None
        exact = 'fit with engine="exact" if it fits in memory, ' if probed else ""
        warn(
            "the fit stopped before the best variances were found, so its numbers "
            "are provisional (a further step promises a gain of "
            f"{optimum.promised:.2g} in -2 log-likelihood). Raise maxiter, "
            f"{exact}or simplify the random "
            "effects: see result.boundary_table() for the terms the data say little "
            "about.",
            ConvergenceWarning,
        )
