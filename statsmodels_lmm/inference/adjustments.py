"""Adjustments of p-values for many tests."""

import numpy as np
from statsmodels.stats.multitest import multipletests, multitest_alias

from statsmodels_lmm.inference.requirements import check_choice
from statsmodels_lmm.keywords import R_ADJUSTMENTS

ADJUSTMENTS = (
    *("bonferroni", "sidak", "holm-sidak", "holm", "simes-hochberg", "hommel"),
    *("fdr_bh", "fdr_by", "fdr_tsbh", "fdr_tsbky", "fdr_gbs"),
)
"""Methods of `multipletests` by their long names."""


def adjusted(p, method):
    """
    Adjusted p-values; NaN stays NaN and does not count.

    Parameters
    ----------
    p : ndarray
        Shape (r,).
    method : str or None
        As for `adjustment_of`.

    Returns
    -------
    ndarray
    """
    out, known = np.array(p, dtype=float), np.isfinite(p)
    method = adjustment_of(method)
    if method is not None and known.any():
        out[known] = multipletests(out[known], method=method)[1]
    return out


def adjustment_of(name):
    """
    Name of an adjustment in statsmodels' words.

    Parameters
    ----------
    name : str or None
        A method of ``multipletests``, or R's name for one; None or "none" for none.

    Returns
    -------
    str or None

    Raises
    ------
    ValueError
        If there is no such method.
    """
    name = R_ADJUSTMENTS.get(name, name) if isinstance(name, str) else name
    if name not in (None, "none", *multitest_alias):
        check_choice("adjust", name, (None, *ADJUSTMENTS))
    return None if name == "none" else name
