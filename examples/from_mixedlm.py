"""
The same analyses with statsmodels' MixedLM and with this package, side by side.

Only one import changes. Sleepstudy has random slopes, and Pastes has a nested factor
given by ``vc_formula``. For each the script prints which numbers agree, which differ,
and why. It then fits two models that MixedLM cannot express, or fits too slowly.

    python examples/from_mixedlm.py
"""

import time

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from statsmodels_lmm import datasets
from statsmodels_lmm.formula import api  # the one import that changes

REASONS = """
Why the last lines differ:
  std err of a variance  MixedLM gives that of variance / scale, times the square root
                         of the scale. This is the standard error neither of the ratio
                         nor of the variance printed with it; here it is the latter.
  AIC                    MixedLM has none after REML. Here it counts all parameters,
                         as in lme4.
  len(params)            MixedLM's params hold the fixed effects and the variances
                         divided by the scale; here that vector is packed_params.
Other lines differed in the fourth digit at most with statsmodels 0.15.0, whose search
stops sooner."""
"""What the numbers that differ mean in the two packages."""


def timed(function, *args, **kwargs):
    """Return a fit and the time that it took, in seconds."""
    start = time.perf_counter()
    result = function(*args, **kwargs).fit()
    return result, time.perf_counter() - start


def numbers(result):
    """Collect the main results of a fit, by the same code for both packages."""
    found = {"log-likelihood": result.llf}
    for name in result.fe_params.index:
        found[name] = result.fe_params[name]
        found[f"std err of {name}"] = result.bse_fe[name]
    covariance = result.cov_re
    for i, row in enumerate(covariance.index):
        for column in covariance.columns[: i + 1]:
            found[f"cov_re {row}, {column}"] = covariance.loc[row, column]
    for i, value in enumerate(result.vcomp):
        found[f"vcomp {i}"] = value
    found["scale"] = result.scale
    group, effects = next(iter(result.random_effects.items()))
    for i, value in enumerate(effects):
        found[f"random effect {i} of group {group}"] = value
    found["first fitted value"] = result.fittedvalues.iloc[0]
    table = result.summary().tables[1]
    for name in table.index[len(result.fe_params) :]:
        found[f"std err of {name}"] = float(table.loc[name, "Std.Err."])
    found["AIC"] = result.aic
    found["len(params)"] = len(result.params)
    return found


def side_by_side(*args, **kwargs):
    """Fit with both packages and print the results of both."""
    old, old_seconds = timed(smf.mixedlm, *args, **kwargs)
    new, new_seconds = timed(api.mixedlm, *args, **kwargs)
    table = pd.DataFrame({"MixedLM": numbers(old), "here": numbers(new)})
    same = np.isclose(table["MixedLM"], table["here"], rtol=1e-3, atol=1e-3)
    table[""] = np.where(same, "", "differs")
    print(table.to_string(float_format="{:.4f}".format, na_rep="none"))
    print(f"log-likelihood here minus MixedLM's: {new.llf - old.llf:.1e}")
    print(f"seconds: MixedLM {old_seconds:.3f}, here {new_seconds:.3f}")
    print(f"lme4's formula: {new.model.formula_full}")


def subjects_and_items():
    """Simulate 40 subjects who read 30 items in two conditions, with random slopes."""
    rng = np.random.default_rng(3)
    subject, item = np.divmod(np.arange(40 * 30), 30)
    condition = rng.integers(2, size=len(item)) - 0.5
    of_subject = rng.multivariate_normal([0, 0], [[900, 200], [200, 400]], 40)[subject]
    of_item = rng.multivariate_normal([0, 0], [[400, 0], [0, 100]], 30)[item]
    slope = -20.0 + of_subject[:, 1] + of_item[:, 1]
    y = 500.0 + of_subject[:, 0] + of_item[:, 0] + slope * condition
    y += 50.0 * rng.standard_normal(len(y))
    columns = {"ms": y, "condition": condition, "subject": subject, "item": item}
    return pd.DataFrame(columns)


def main():
    title("Sleepstudy: random intercepts and slopes")
    sleepstudy = datasets.sleepstudy.load_pandas().data
    side_by_side("Reaction ~ Days", sleepstudy, groups="Subject", re_formula="~Days")

    title("Pastes: casks within batches, by vc_formula")
    pastes = datasets.pastes.load_pandas().data
    casks = {"cask": "0 + C(cask)"}
    side_by_side(
        "strength ~ 1", pastes, groups="batch", re_formula="1", vc_formula=casks
    )
    print(REASONS)

    title("Subjects and items, both with slopes")
    print("MixedLM allows one factor with correlated effects, so it has no such model.")
    formula = "ms ~ condition + (condition | subject) + (condition | item)"
    result, seconds = timed(api.mixedlm, formula, subjects_and_items())
    print(result.variance_components().to_string(index=False))
    print(f"{formula}: {int(result.nobs):,} rows in {seconds:.3f} seconds")

    title("InstEval: 2,972 students rate 1,128 lecturers")
    print(
        "MixedLM was not run: with all rows as one group and a variance component for\n"
        "each factor, it takes more than 10 seconds for 2,000 of these rows."
    )
    insteval = datasets.insteval.load_pandas().data
    formula = "y ~ service + (1 | s) + (1 | d)"
    result, seconds = timed(api.mixedlm, formula, insteval)
    print(result.variance_components().to_string(index=False))
    print(f"{formula}: {int(result.nobs):,} rows in {seconds:.2f} seconds")


def title(text):
    print(f"\n{text}\n{'=' * len(text)}")


if __name__ == "__main__":
    main()
