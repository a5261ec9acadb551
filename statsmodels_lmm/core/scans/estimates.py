"""What a scan keeps of each candidate."""

from dataclasses import dataclass, fields

import numpy as np

NONE, CONSTANT, SPANNED, REPRODUCED, NOT_FOUND = range(5)
EMPTY, MISSING, INFINITE, CODE = range(5, 9)

REASONS = {
    NONE: "",
    CONSTANT: "the candidate is constant",
    SPANNED: "the fixed effects determine the candidate",
    REPRODUCED: "the candidate and the fixed effects reproduce the response",
    NOT_FOUND: "no optimum of the variances was found",
    EMPTY: "too few rows are left",
    MISSING: "all values are missing",
    INFINITE: "a value is infinite",
    CODE: "a value of type int8 is neither 0, 1, 2 nor missing_code",
}
"""Why there are no numbers, by code."""


@dataclass(frozen=True)
class Estimates:
    """
    Estimates for r candidates, or sets, of q columns each, in standardized units.

    With S = C'P C and u = C'P y, where P projects out X, the effects are S^-1 u and
    r^2 = y'P y - u'S^-1 u.

    Parameters
    ----------
    effect : ndarray
        Shape (r, q).
    information : ndarray
        S, shape (r, q, q).
    squares : ndarray
        r^2, shape (r,).
    value : ndarray
        The criterion without its constants, shape (r,); comparable with that of the
        model without candidates only for ML.
    ratio : ndarray
        Variance ratio, shape (r,); NaN where there is not one alone.
    spread : ndarray
        Variance of log(sigma^2 / S) due to the estimated variances, shape (r,).
    nobs, df_resid : ndarray
        Rows used, and these minus the columns of X and C, shape (r,).
    reason : ndarray
        Code of the reason why there is no estimate, shape (r,).
    null_value, null_squares : ndarray
        Criterion and r^2 of the model without candidates, on the same rows, shape (r,).
    """

    effect: np.ndarray
    information: np.ndarray
    squares: np.ndarray
    value: np.ndarray
    ratio: np.ndarray
    spread: np.ndarray
    nobs: np.ndarray
    df_resid: np.ndarray
    reason: np.ndarray
    null_value: np.ndarray
    null_squares: np.ndarray

    @classmethod
    def nothing(cls, count, width, nobs, df_resid):
        """
        Estimates that are yet to be made.

        Parameters
        ----------
        count, width : int
            Numbers r of candidates and q of columns of each.
        nobs, df_resid : int
            See above.

        Returns
        -------
        Estimates
            All NaN, without a reason.
        """
        values = {f.name: np.full(count, np.nan) for f in fields(cls)}
        values["effect"] = np.full((count, width), np.nan)
        values["information"] = np.full((count, width, width), np.nan)
        values["nobs"] = np.full(count, nobs)
        values["df_resid"] = np.full(count, df_resid)
        values["reason"] = np.zeros(count, dtype=np.int8)
        return cls(**values)

    @classmethod
    def join(cls, parts):
        """Several sets of estimates of as many columns each, joined into one."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})

    def put(self, which, other):
        """Set some of the estimates to others, in place."""
        for f in fields(self):
            getattr(self, f.name)[which] = getattr(other, f.name)
