"""Requirements that functions of a fit share."""

from numbers import Number

from statsmodels_lmm.exceptions import DataError


def as_fit(results):
    """
    Return results without their wrapper.

    Parameters
    ----------
    results : CrossedMixedLMResults, RegressionResults or a wrapper of one
        A fit.

    Returns
    -------
    CrossedMixedLMResults or RegressionResults

    Raises
    ------
    TypeError
        If the argument is not a fit.
    """
    results = getattr(results, "_results", results)
    if isinstance(results, list | tuple | dict):
        kind, inside = type(results).__name__, ""
        if isinstance(results, dict):
            inside = ".values()"
        raise TypeError(
            f"fits are given one by one; put a star before the {kind}, as in "
            f"`compare_table(*fits{inside})`"
        )
    if not hasattr(results, "model"):
        hint = "; call its fit" if hasattr(results, "fit") else ""
        raise TypeError(f"{results!r} is not a fitted model{hint}")
    return results


def require_data(model, purpose):
    """
    Reject a model whose data have been removed.

    Parameters
    ----------
    model : CrossedMixedLM or statsmodels model
        The model.
    purpose : str
        What needs the data, for the message.

    Raises
    ------
    DataError
    """
    if getattr(model, "summed", None) is not None:
        raise rows_summed(purpose)
    require_sums(model, purpose)


def rows_summed(purpose):
    """
    Create the error for what needs rows that were only summed.

    Parameters
    ----------
    purpose : str
        What needs the rows, for the message.

    Returns
    -------
    DataError
    """
    return DataError(
        f"the rows of the model were summed in batches and not kept; {purpose} needs "
        "them: give the model a table in memory, such as pd.read_parquet(path); "
        "result.predict(source) and result.augment(source) alone read them again, and "
        "result.sample_residuals(source) a random sample, for pictures such as "
        "sample.plot.scatter('fitted', 'resid')"
    )


def require_sums(model, purpose):
    """
    Reject a model that has neither its data nor sums over their rows.

    Parameters
    ----------
    model : CrossedMixedLM or statsmodels model
        The model.
    purpose : str
        What needs them, for the message.

    Raises
    ------
    DataError
    """
    if has_sums(model):
        return
    if not hasattr(model, "endog"):
        raise DataError(f"a fit loaded from JSON has no data; {purpose} needs them")
    raise DataError(f"the data of the model were removed; {purpose} needs them")


def has_sums(model):
    """Whether a model has its data, or sums over their rows."""
    rows = getattr(model, "endog", None)
    return rows is not None or getattr(model, "summed", None) is not None


def require_response(model):
    """
    Reject a model from a formula without a response.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.

    Raises
    ------
    DataError
    """
    if not model._has_response:
        raise DataError(
            f"the formula {model.formula_full!r} has no response, so it can be fitted "
            "to many only: `model.fit_many(responses)`, or to one of them: "
            "`model.with_response(y).fit()`; `model.simulate(params, cov_re, scale)` "
            "draws responses"
        )


def require_random_effects(model, purpose):
    """
    Reject a model without random effects.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    purpose : str
        What needs them, for the message.

    Raises
    ------
    DataError
    """
    if not model.random:
        raise DataError(f"{purpose} needs random effects, and the model has none")


def require_gaussian(results, purpose, instead=""):
    """
    Reject a model whose response is not normal with a residual variance.

    Parameters
    ----------
    results : MixedResults or RegressionResults
        A fit without its wrapper; a least-squares fit has a normal response.
    purpose : str
        What is defined for a linear model only.
    instead : str, optional
        What to use for a generalized one.

    Raises
    ------
    ValueError
    """
    if not getattr(results, "_is_gaussian", True):
        raise ValueError(
            f"{purpose} is defined for a linear mixed model, whose response is normal "
            "given the random effects, not for a generalized one"
            + (f"; use {instead}" if instead else "")
        )


def require_independent_errors(model, purpose, instead=""):
    """
    Reject a model whose errors are correlated or of unequal variance.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    purpose : str
        What is not available, for the message.
    instead : str, optional
        What to do with such a model.

    Raises
    ------
    NotImplementedError
    """
    if model.residual is not None:
        raise NotImplementedError(
            f"{purpose} is not available for a model with residual= or dispersion= "
            f"({model.residual})" + (f"; {instead}" if instead else "")
        )


def require_exact(results, purpose):
    """
    Reject a fit whose traces are estimated from probes.

    Parameters
    ----------
    results : MixedResults
        A fit without its wrapper.
    purpose : str
        What needs an exact fit, for the message.

    Raises
    ------
    NotImplementedError
    """
    if getattr(results, "_probes", None) is not None:
        raise NotImplementedError(
            f'{purpose} is not available after a fit by engine="krylov", whose '
            "criterion and traces are estimated from probes; fit with "
            'engine="exact" if it fits in memory'
        )


def require_likelihood(fits):
    """
    Reject fits whose standard deviations follow the fitted values.

    Parameters
    ----------
    fits : iterable
        Fits without their wrappers.

    Raises
    ------
    ValueError
    """
    for fit in fits:
        errors = getattr(fit.model, "residual", None)
        if errors is not None and errors.follows_fitted:
            raise ValueError(
                "with power_of_fitted the estimates are not a maximum of a likelihood, "
                "which therefore cannot be compared; put the power of a covariate into "
                'dispersion, such as "~ log(x)"'
            )


def names_lost(model):
    """
    Create the error for a formula whose names could not be pickled with the model.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.

    Returns
    -------
    DataError
    """
    names = ", ".join(model.data.lost)
    return DataError(
        f"the formula uses names that could not be pickled with the model: {names}"
    )


def check_choice(name, value, allowed):
    """
    Reject a value that is not among those allowed.

    Parameters
    ----------
    name : str
        The argument.
    value : object
        What was given.
    allowed : sequence
        Values allowed.

    Raises
    ------
    ValueError
        With the list of values allowed.
    """
    if value not in allowed:
        listed = ", ".join(map(repr, allowed[:-1]))
        raise ValueError(f"{name} must be {listed} or {allowed[-1]!r}, not {value!r}")


def check_alpha(alpha, name="alpha"):
    """
    Reject a value that is not between 0 and 1.

    Parameters
    ----------
    alpha : float
        One minus the level of the intervals.
    name : str, optional
        Name of the argument.

    Raises
    ------
    TypeError, ValueError
    """
    is_number = isinstance(alpha, Number)
    if not is_number:
        what = repr(alpha) if isinstance(alpha, str) else f"a {type(alpha).__name__}"
        advice = f"; is it a method, as in `result.conf_int(method={alpha!r})`?"
        advice = advice if isinstance(alpha, str) else ""
        raise TypeError(f"{name} is a number such as 0.05, not {what}{advice}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"{name} must be between 0 and 1, not {alpha!r}")
