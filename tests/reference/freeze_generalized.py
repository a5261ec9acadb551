"""
Write the files of generalized models from reference fits made by lme4 and glmmTMB.

    python tests/reference/freeze_generalized.py FOLDER

The folder holds ``fits/ID.json``, one record for each fit, and ``data/NAME.csv``. The
numbers stay, with twelve digits.
"""

import json
import pathlib
import sys

import pandas as pd
from freeze import digits, effects_by, modes, predictions, python_names, read

from statsmodels_lmm.formula.api import crossedmixedglm

HERE = pathlib.Path(__file__).parent

FITS = {"cbpp": "g_cbpp.agq1", "cbpp, rows": "g_cbpp_obs.agq1"}
GAMMA = {"sleepstudy": "g_ss_gamma.agq1"}

WHOLE = ["logLik", "AIC", "BIC", "deviance", "sum_pearson_sq", "df_residual"]
LISTS = ["se_rx", "se_hessian", "fitted", "linear_predictor"]
LISTS += ["resid_deviance", "resid_pearson", "resid_response"]


def fit(record):
    """What lme4 says of a binomial fit."""
    out = {name: digits(record[name]) for name in WHOLE + LISTS}
    out["beta"] = digits(record["beta"]["values"])
    out["sd"] = {term["group"]: digits(term["sd"][0]) for term in record["varcorr"]}
    modes = record["ranef"]["herd"]
    out["levels"], out["modes"] = modes["levels"], digits(modes["values"])
    variances = modes["condVar_by_term"]
    out["mode_variances"] = digits(variances[0] if variances else [])
    out["newdata"] = record["predict"]["newdata"]
    out["fixed"] = digits(record["predict"]["re_form_NA"])
    out["conditional"] = digits(record["predict"]["re_form_NULL"])
    return out


# generalized_fits.json and tables.json ---------------------------------------------

TABLES = {
    "BodyWeight": ["weight", "Time", "Rat", "Diet"],
    "crowder_seeds": ["plate", "gen", "extract", "germ", "n"],
    "epil2": ["y", "trt", "base", "age", "V4", "subject", "period"],
    "hughes_grapes": ["block", "trt", "vine", "diseased", "total"],
    "ilri_sheep": ["sex", "weanwt", "weanage", "ewe", "ram"],
    "jansen_carrot": ["trt", "gen", "block", "n", "y"],
}
"""Columns of data that the package does not have."""

NODES = {
    "g_cbpp": (0, 1, 9, 25),
    "g_cbpp_obs": (0, 1),
    "g_cbpp_probit": (0, 1, 9),
    "g_cbpp_w": (0, 1, 9),
    "g_contra": (0, 1, 9),
    "g_contra_cll": (0, 1, 9),
    "g_contra_slope": (0, 1),
    "g_epil": (0, 1, 10),
    "g_epil_obs": (0, 1),
    "g_epil_slope": (0, 1),
    "g_seeds": (0, 1, 11),
    "h_g_grapes": (0, 1),
    "h_g_jansen": (0, 1),
    # lme4's Gamma criterion is no likelihood; there glmmTMB is compared with
    "g_bw_gamma": (1,),
    "g_ss_gamma": (1,),
    "h_g_sheep_gamma": (1,),
}
"""The models by the names of their records, and their numbers of nodes."""

ROWS = ["fitted", "linear_predictor", "resid_response", "resid_pearson"]
ROWS += ["resid_deviance"]


def table(folder, name):
    """Columns of a table as lists; those of a factor as levels and codes."""
    described = json.loads((folder / "datasets.json").read_text())
    described = next(d for d in described if d["name"] == name)
    levels = {c["name"]: c.get("levels") for c in described["columns"]}
    types = {c: str for c, known in levels.items() if known}
    data = pd.read_csv(folder / described["file"], dtype=types)
    out = {}
    for column in TABLES[name]:
        values, known = data[column], levels[column]
        if known:
            codes = pd.Categorical(values, known).codes
            out[column] = {"levels": known, "codes": codes.tolist()}
        else:
            out[column] = [None if pd.isna(v) else v for v in values]
    return out


def freeze(record):
    """What of a record is compared, in the words of the package."""
    # not at the top: the frames are made of the tables
    from frames import frame

    data, formula = frame(record["data"]), record["formula"].replace("^", "**")
    family, weights = record["family"], record["weights"]
    model = crossedmixedglm(formula, data, family=family, weights=weights)
    found = {name: record[name] for name in ("data", "family", "link", "weights", "n")}
    found |= {"formula": formula, "nagq": record["nAGQ"]}
    names = record["beta"]["names"]
    found["fixed"] = python_names(names, model.exog_names, data)
    if record["nAGQ"] == 1 and "glmmTMB" in record:
        theirs = {n: record["glmmTMB"][n] for n in ("logLik", "beta", "se", "sd")}
        found["glmmTMB"] = {n: digits(v, 15) for n, v in theirs.items()}
    if record["family"] == "Gamma":
        return found
    found["beta"] = digits(record["beta"]["values"])
    found["criterion"] = digits(record["minus2logLik"], 15)
    found["integrated"] = digits(record.get("marginal_logLik_agq61_at_estimates"))
    for name in ("deviance", "sum_pearson_sq", "se_rx", "se_hessian"):
        found[name] = digits(record.get(name))
    for name in ROWS:
        found[name] = digits(record[name][:6])
    found["varcorr"] = []
    for term in record["varcorr"]:
        effects = effects_by(term["group"], model)
        own = python_names(term["names"], effects.effect_names, data)
        told = {"sd": digits(term["sd"]), "corr": digits(term["corr"])}
        found["varcorr"].append({"group": effects.name, "effects": own, **told})
    found["modes"] = [modes(g, v, model, data) for g, v in record["ranef"].items()]
    told = record["predict"]
    found["predict"] = predictions(told, data)
    if "partial" in told:
        first = effects_by(record["random_terms"][0]["group"], model).name
        values = digits(told["partial"]["values"])
        found["partial"] = {"group": first, "values": values}
    return found


def write(name, parts):
    """A file with one line for each part."""
    lines = [
        f'"{key}":{json.dumps(part, separators=(",", ":"))}'
        for key, part in parts.items()
    ]
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main(folder):
    """Write the files."""
    folder = pathlib.Path(folder)
    write("tables.json", {name: table(folder, name) for name in TABLES})
    ids = [f"{name}.agq{n}" for name, each in NODES.items() for n in each]
    records = {key: read(folder / "fits" / f"{key}.json") for key in ids}
    frozen = {key: freeze(record) for key, record in records.items()}
    write("generalized_fits.json", frozen)
    few = {
        name: read(folder / "fits" / f"{key}.json")
        for name, key in (FITS | GAMMA).items()
    }
    data = pd.read_csv(folder / "data" / "cbpp.csv")
    columns = ["herd", "incidence", "size", "period"]
    found = {"cbpp": {name: data[name].tolist() for name in columns}}
    found["fits"] = {name: fit(few[name]) for name in FITS}
    names = ["logLik", "beta", "se", "sd"]
    found["fits"] |= {
        name: {n: digits(few[name]["glmmTMB"][n]) for n in names} for name in GAMMA
    }
    text = json.dumps(found, indent=0).replace(",\n", ", ").replace("\n", "")
    (HERE / "generalized.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
