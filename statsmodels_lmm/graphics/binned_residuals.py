"""Plot of residuals averaged in bins, for responses of zeros and ones and counts."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.graphics.canvas import BLUE, GRAY, canvas, finish
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.requirements import as_fit, require_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_binned_residuals(
    results: Any, x: Any = None, n_bins: Any = None, ax: Any = None
) -> "Figure":
    r"""
    Plot averages of the residuals in bins of a predictor or of the predicted means.

    Single residuals of a response of zeros and ones lie on two curves, whether or not
    the model is right; averages of them lie around 0.

    Parameters
    ----------
    results : CrossedMixedGLMResults or CrossedMixedLMResults
        A fit.
    x : str or array_like, optional
        The variable that forms the bins: a numeric column of the data, or one value
        per row used. Default is the mean predicted by the fixed effects.
    n_bins : int, optional
        Number of bins, with nearly the same numbers of rows; rows with the same value
        share a bin. Default is the square root of the number of rows, or if this is
        less than 10, 10 or half the number of rows.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure
        In each bin the average :math:`\sum a (y - \hat\mu) / \sum a`, with conditional
        means :math:`\hat\mu` and numbers of trials a (1 if it is no proportion), and
        lines at :math:`\pm 2 (\sum a^2 \mathrm{Var}(y))^{1/2} / \sum a`, between which
        about 95% of the averages lie if the model is right.

    Raises
    ------
    DataError
        If the data of the model have been removed.
    ValueError
        If there is no such column, or there are fewer than two bins.

    Notes
    -----
    Means are conditional on the modes, which are shrunken: against the conditional
    means themselves the averages would rise even if the model is right.

    References
    ----------
    Gelman, A. and Hill, J. (2007). Data Analysis Using Regression and
    Multilevel/Hierarchical Models. Cambridge University Press, section 5.6.
    """
    results = as_fit(results)
    model = results.model
    require_data(model, "a plot of residuals")
    values, label = _variable(results, x)
    n = len(values)
    if n_bins is None:
        n_bins = max(int(np.sqrt(n)), min(10, n // 2))
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, not {n_bins!r}")
    bins = _bins(values, n_bins)
    trials, variance, repeats = _of_rows(results)

    def sums(each):
        return np.bincount(bins, repeats * each)

    total = sums(trials)
    centers = np.bincount(bins, values) / np.bincount(bins)
    averages = sums(trials * (model.endog - results.fittedvalues)) / total
    reach = 2.0 * np.sqrt(sums(trials**2 * variance)) / total

    figure, ax = canvas(ax)
    ax.axhline(0.0, color=GRAY, linewidth=0.8, linestyle="--")
    for side in (-1.0, 1.0):
        ax.plot(centers, side * reach, color=GRAY, linewidth=1.0)
    ax.plot(centers, averages, "o", color=BLUE, markersize=4.5)
    response = short(model.endog_names, 24)
    finish(ax, label, f"average residual of {response}\nand ± 2 standard errors")
    return figure


def _variable(results, x):
    """The values that form the bins, and their name."""
    model = results.model
    if x is None:
        means = results._mean(results._fixed_part)
        return means, f"{short(model.endog_names, 24)} predicted by the fixed effects"
    if not isinstance(x, str):
        values, name = pd.Series(x), getattr(x, "name", None) or "x"
        if len(values) != len(model.endog):
            raise ValueError(
                f"x has {len(values)} values but the model {len(model.endog)} rows"
            )
    else:
        columns = model.data.frame if has_formula(model) else {}
        if not has_formula(model):
            columns = dict(zip(model.exog_names, map(pd.Series, model.exog.T)))
        if x not in columns:
            listed = ", ".join(map(str, columns))
            raise ValueError(f"there is no column {x!r}; there are {listed}")
        values, name = columns[x], x
    if not pd.api.types.is_numeric_dtype(values):
        raise ValueError(f"{name} is not numeric; average residuals by its levels")
    return values.to_numpy(float), short(name)


def _of_rows(results):
    """Numbers of trials, variances of the responses, and numbers of observations."""
    model, ones = results.model, np.ones(len(results.model.endog))
    if results._is_gaussian:
        return ones, results.scale / model._frequencies, ones
    family, weights = results.family, model._prior_weights
    variance = family.variance(results.fittedvalues, weights, results.extra)
    trials = weights if family.name == "Binomial" else ones
    return trials, variance, model._repeats * ones


def _bins(values, n_bins):
    """The bin of each row, from 0 on."""
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, n_bins + 1)[1:-1]))
    found = np.searchsorted(edges, values, side="left")
    return np.unique(found, return_inverse=True)[1]
