"""
Responses that a design cannot be fitted to, found before they spoil a batch.

Each problem has a number, so that those of a million responses fit in memory.
"""

import numpy as np

from statsmodels_lmm.core.many.standardized_responses import weighted_gram

FINE, ALONE, MISSING, INFINITE, RANK, LEVELS = range(6)
ROWS, EXACT, FAILED, SIZE, UNWEIGHTED = range(6, 11)
"""No problem; one that a fit of its own may solve; and those that have a sentence."""

SENTENCES = {
    FINE: "",
    ALONE: "",
    MISSING: "all values are missing",
    INFINITE: "infinite values",
    RANK: "the rows left do not determine all fixed effects",
    LEVELS: "the rows left have a single level of a grouping factor",
    ROWS: "the rows left are no more than the levels of a grouping factor",
    EXACT: "the fixed effects reproduce the response exactly",
    FAILED: "the fit failed",
    SIZE: "the square of the response is beyond the range of floating-point numbers; "
    "use another unit",
    UNWEIGHTED: "the weights of all its values are zero",
}
"""What is wrong."""

RANK_TOLERANCE = 1e-12
"""Smallest eigenvalue of X'X of the rows left, relative to the largest, that counts."""

SMALLEST, LARGEST = 1e-153, 1e153
"""Limits of residuals whose variances are within the range of numbers."""

STEPS = 3.0
"""Residuals, in steps between adjacent numbers as large as the response, that are 0."""


def problems_of_values(responses):
    """
    Responses with infinite values, or without any.

    Parameters
    ----------
    responses : ndarray
        NaN where missing, shape (r, n).

    Returns
    -------
    ndarray
        Numbers of problems, shape (r,).
    """
    out = np.full(len(responses), FINE, dtype=np.int8)
    out[np.isnan(responses).all(axis=1)] = MISSING
    out[np.isinf(responses).any(axis=1)] = INFINITE
    return out


def problems_of_rows(design, terms, used):
    """
    Responses whose own rows do not determine the model.

    Parameters
    ----------
    design : StandardizedDesign
        The design.
    terms : sequence of GroupedEffects
        Its random-effects terms.
    used : ndarray
        Which rows each response uses, booleans, shape (r, n).

    Returns
    -------
    ndarray
        Numbers of problems, shape (r,).
    """
    out = np.full(len(used), FINE, dtype=np.int8)
    counted = used.astype(float)
    if design.exog.shape[1]:
        values = np.linalg.eigvalsh(weighted_gram(design.exog, counted))
        out[values[:, 0] <= RANK_TOLERANCE * values[:, -1]] = RANK
    nobs = used.sum(axis=1)
    for term in terms:
        ones = term.at(term.codes, np.ones((len(term.codes), 1)))
        levels = (ones.transposed_times(counted)[..., 0] > 0.0).sum(axis=1)
        out[levels >= nobs] = ROWS
        out[levels < 2] = LEVELS
    out[nobs == 0] = UNWEIGHTED
    return out


def are_out_of_range(scaled):
    """
    Which responses have squares that are too small or too large for a number.

    Parameters
    ----------
    scaled : StandardizedResponses
        The responses, standardized.

    Returns
    -------
    ndarray
        Booleans, shape (r,); False for responses of zero.
    """
    small = (scaled.largest > 0.0) & (scaled.largest < SMALLEST)
    return small | ~(scaled.scale < LARGEST)


def are_exact(scaled):
    """
    Which responses X reproduces up to rounding, see `validation.check_residual`.

    Parameters
    ----------
    scaled : StandardizedResponses
        The responses, standardized.

    Returns
    -------
    ndarray
        Booleans, shape (r,).
    """
    return scaled.scale <= STEPS * np.finfo(float).eps * scaled.largest
