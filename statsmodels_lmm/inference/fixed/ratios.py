"""Fixed effects as odds ratios, rate ratios and other ratios."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.inference.requirements import as_fit

OF_MEANS = {
    "Binomial": "risk ratio",
    "Poisson": "rate ratio",
    "NegativeBinomial": "rate ratio",
}
"""Ratios of means by family; those of all others are mean ratios."""

BY_LINK = {"logit": "odds ratio", "cloglog": "hazard ratio"}
"""Ratios whose logarithms are the coefficients; with a log link those of means."""


def ratio_name(results):
    """
    The kind of ratio that the exponential of a coefficient is.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    str
        Such as "odds ratio".

    Raises
    ------
    ValueError
        If the coefficients are not logarithms of ratios.
    """
    family = getattr(as_fit(results), "family", None)
    if family is None:
        return ratio_of("Gaussian", "identity")
    return ratio_of(family.name, family.link_name)


def ratio_of(family, link):
    """
    The kind of ratio that the exponential of a coefficient is, by names.

    Parameters
    ----------
    family, link : str
        Names of the family and of its link, such as "Binomial" and "logit".

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the coefficients are not logarithms of ratios.
    """
    if link == "log":
        return OF_MEANS.get(family, "mean ratio")
    if link not in BY_LINK:
        raise ValueError(
            "exponentiate needs a link whose coefficients are logarithms of ratios, "
            f"{', '.join(sorted([*BY_LINK, 'log']))}; the link of this model is {link}"
        )
    return BY_LINK[link]


def mean_ratio_name(family):
    """
    The kind of ratio that a ratio of means of the response is.

    Parameters
    ----------
    family : Family
        The conditional distribution.

    Returns
    -------
    str
        Such as "risk ratio".
    """
    return OF_MEANS.get(family.name, "mean ratio")


def ratios(results: Any, alpha: float = 0.05) -> pd.DataFrame:
    """
    Tabulate the exponentials of the fixed effects.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    alpha : float, optional
        One minus the level of the intervals.

    Returns
    -------
    DataFrame
        Columns ratio, std err (by the delta method), lower and upper, the exponentials
        of the limits of the coefficients.

    Raises
    ------
    ValueError
        If the coefficients are not logarithms of ratios.
    """
    raw = as_fit(results)
    ratio_name(raw)
    with np.errstate(over="ignore"):
        ratio, (lower, upper) = np.exp(raw.params), np.exp(raw.conf_int(alpha).T)
        columns = {"ratio": ratio, "std err": ratio * raw.bse}
    columns |= {"lower": lower, "upper": upper}
    return pd.DataFrame(columns, raw.model.exog_names)
