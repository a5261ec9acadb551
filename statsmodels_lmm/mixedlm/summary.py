"""The summary of a fit in MixedLM's layout."""

import numpy as np
import pandas as pd

from statsmodels_lmm.markup import Summary2
from statsmodels_lmm.results.summary import boundary_notes, covariance_notes


def summary(results, yname=None, xname_fe=None, xname_re=None, title=None, alpha=0.05):
    """
    Summarize a fit; see `MixedLMResults.summary`.

    Returns
    -------
    statsmodels.iolib.summary2.Summary
    """
    model, layout = results.model, results.layout
    fixed = _names(xname_fe, model.exog_names, "xname_fe")
    random = _names(xname_re, layout.variance_names(model), "xname_re")
    sizes = model.group_sizes
    table = Summary2()
    table.add_dict(
        {
            "Model:": "MixedLM",
            "No. Observations:": str(int(results.nobs)),
            "No. Groups:": str(model.n_groups),
            "Min. group size:": f"{sizes.min():.0f}",
            "Max. group size:": f"{sizes.max():.0f}",
            "Mean group size:": f"{sizes.mean():.1f}",
            "Dependent Variable:": yname or model.endog_names,
            "Method:": results.method,
            "Scale:": results.scale,
            "Log-Likelihood:": results.llf,
            "Converged:": "Yes" if results.converged else "No",
        }
    )
    table.add_title(title or "Mixed Linear Model Regression Results")
    ends = np.asarray(results.conf_int(alpha))
    values = np.column_stack(
        [results.params, results.bse, results.tvalues, results.pvalues, ends]
    )
    variances, errors = results._variances
    empty = np.full((len(random), 4), np.nan)
    rows = np.vstack([values, np.column_stack([variances, errors, empty])])
    columns = ["Coef.", "Std.Err.", "z", "P>|z|"]
    columns += [f"[{alpha / 2}", f"{1 - alpha / 2}]"]
    frame = pd.DataFrame(rows, [*fixed, *random], columns)
    text = frame.map(lambda v: f"{v:.3f}" if np.isfinite(v) else "")
    table.add_df(text, align="r")
    formula = getattr(model, "formula_full", None)
    if formula:
        table.add_text(f"In lme4's notation: {formula}")
    for message in results.identification.messages:
        table.add_text(f"Not determined: {message}.")
    for line in [*covariance_notes(results), *boundary_notes(results)]:
        table.add_text(line)
    return table


def _names(given, default, what):
    """The names given if their number is right, else the default names."""
    if given is None:
        return list(default)
    if len(given) != len(default):
        raise ValueError(f"{what} should be a list of length {len(default)}")
    return list(given)
