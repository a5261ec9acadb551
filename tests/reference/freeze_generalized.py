"""
Write generalized.json from a folder of reference fits made by lme4 and glmmTMB.

    python tests/reference/freeze_generalized.py FOLDER

The folder holds ``fits/ID.json``, one record for each fit, and ``data/cbpp.csv``. The
numbers stay, with twelve digits; fixed effects are in the order of the formula.
"""

import json
import pathlib
import sys

import pandas as pd

HERE = pathlib.Path(__file__).parent

FITS = {"cbpp": "g_cbpp.agq1", "cbpp, rows": "g_cbpp_obs.agq1"}
GAMMA = {"sleepstudy": "g_ss_gamma.agq1"}

WHOLE = ["logLik", "AIC", "BIC", "deviance", "sum_pearson_sq", "df_residual"]
LISTS = ["se_rx", "se_hessian", "fitted", "linear_predictor"]
LISTS += ["resid_deviance", "resid_pearson", "resid_response"]


def rounded(values):
    """Numbers of twelve digits."""
    if isinstance(values, list):
        return [rounded(value) for value in values]
    return float(f"{values:.12g}")


def fit(record):
    """What lme4 says of a binomial fit."""
    out = {name: rounded(record[name]) for name in WHOLE + LISTS}
    out["beta"] = rounded(record["beta"]["values"])
    out["sd"] = {term["group"]: rounded(term["sd"][0]) for term in record["varcorr"]}
    modes = record["ranef"]["herd"]
    out["levels"], out["modes"] = modes["levels"], rounded(modes["values"])
    variances = modes["condVar_by_term"]
    out["mode_variances"] = rounded(variances[0] if variances else [])
    out["newdata"] = record["predict"]["newdata"]
    out["fixed"] = rounded(record["predict"]["re_form_NA"])
    out["conditional"] = rounded(record["predict"]["re_form_NULL"])
    return out


def main(folder):
    """Write the file."""
    folder = pathlib.Path(folder)
    read = {
        name: json.loads((folder / "fits" / f"{key}.json").read_text())
        for name, key in (FITS | GAMMA).items()
    }
    data = pd.read_csv(folder / "data" / "cbpp.csv")
    columns = ["herd", "incidence", "size", "period"]
    found = {"cbpp": {name: data[name].tolist() for name in columns}}
    found["fits"] = {name: fit(read[name]) for name in FITS}
    names = ["logLik", "beta", "se", "sd"]
    found["fits"] |= {
        name: {n: rounded(read[name]["glmmTMB"][n]) for n in names} for name in GAMMA
    }
    text = json.dumps(found, indent=0).replace(",\n", ", ").replace("\n", "")
    (HERE / "generalized.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
