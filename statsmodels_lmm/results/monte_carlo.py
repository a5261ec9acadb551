"""The Monte-Carlo error of estimates from probes."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.criteria.krylov import theta_errors
from statsmodels_lmm.display import ResultTable


def monte_carlo_table(model, units, deviance):
    """
    The table of `CrossedMixedLMResults.monte_carlo`.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    units : Units
        The conversion to the user's order and units.
    deviance : ProfiledDeviance
        The optimum, with its value.

    Returns
    -------
    DataFrame
    """
    statistical, simulated = theta_errors(units, deviance)
    labels = [name for e in model.random for name in e.theta_labels]
    error = 0.5 * deviance.elimination.log_determinant.error
    llf = -0.5 * units.criterion(deviance)
    return pd.DataFrame(
        {
            "estimate": [*units.theta(deviance.factors), llf],
            "se": [*statistical, np.nan],
            "mc_se": [*simulated, error],
        },
        index=pd.Index([*labels, "llf"], name="parameter"),
    )


def shown(table):
    """A copy of the table for the user."""
    return None if table is None else ResultTable(table, copy=True)


def monte_carlo_note(results):
    """
    What a summary says of the error of estimates from probes.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    list of str
    """
    table = results._monte_carlo
    if table is None:
        return []
    probes, more = results._probes.count, results._probes.more
    count = f"{probes} probes" + (f", {more} for the log-likelihood" if more else "")
    ratios = (table["mc_se"] / table["se"]).to_numpy()
    largest = np.nanmax(ratios, initial=0.0)
    return [
        f"{count}; Monte-Carlo error at most {largest:.1g} SE, of the "
        f"log-likelihood {table['mc_se'].iloc[-1]:.1g}."
    ]
