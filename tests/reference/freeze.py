"""
Write fits.json from a folder of reference fits made by lme4.

    python tests/reference/freeze.py FOLDER

The folder holds ``fits/ID.json`` (or ``.json.gz``), one record for each fit, where
ID is a name below and ``ml`` or ``reml``. The names of columns, factors and levels
are changed to those of the package; the numbers stay, with twelve digits.
"""

import gzip
import json
import pathlib
import re
import sys

import numpy as np
from frames import frame

from statsmodels_lmm.formula.api import crossedmixedlm

HERE = pathlib.Path(__file__).parent

MODELS = {
    "cake_facslope": "angle ~ recipe*temp + (recipe|replicate)",
    "cake_helm": "angle ~ C(recipe, Helmert)*temperature + (1|recipe:replicate)",
    "cake_nested": "angle ~ recipe*C(temperature, Poly) + (1|replicate/recipe)",
    "cake_rr": "angle ~ recipe + temp + (1|recipe:replicate)",
    "cake_same_group": "angle ~ recipe*C(temperature, Poly) + (1|replicate)"
    " + (0+temp|replicate) + (1|recipe:replicate)",
    "cake_sum": "angle ~ C(recipe, Sum)*temp + (1|replicate) + (1|recipe:replicate)",
    "collinear": "Reaction ~ Days + DaysC + (1|Subject)",
    "dye1": "Yield ~ 1 + (1|Batch)",
    "dye2_singular": "Yield ~ 1 + (1|Batch)",
    "ie_full2": "y ~ 1 + (1|s) + (1|d)",
    "ie_full3": "y ~ service + (1|s) + (1|d) + (1|dept:service)",
    "ie_full4": "y ~ service*dept + studage + lectage + (1|s) + (1|d)",
    "ie_sub2": "y ~ service + (1|s) + (1|d)",
    "ie_sub3": "y ~ service*lectage + studage + (1|s) + (1|d) + (1|dept:service)",
    "mach_base3": "score ~ C(Machine, Treatment('C')) + (1|Worker/Machine)",
    "mach_dbar": "score ~ Machine + (0+mA+mB+mC||Worker)",
    "mach_dbar_factor": "score ~ Machine + (Machine||Worker)",
    "mach_fac": "score ~ Machine + (Machine|Worker)",
    "mach_fac0": "score ~ Machine + (0+Machine|Worker)",
    "mach_fac_nofix0": "score ~ 0 + Machine + (0+Machine|Worker)",
    "mach_nested": "score ~ Machine + (1|Worker/Machine)",
    "mach_slope_sum": "score ~ C(Machine, Sum) + (Machine|Worker)",
    "mach_unbal": "score ~ Machine + (1|Worker) + (1|Worker:Machine)",
    "oats_colon": "Q('yield') ~ nitroF*Variety + (1|Block) + (1|Block:Variety)",
    "oats_fac": "Q('yield') ~ nitroF*Variety + (1|Block/Variety)",
    "oats_facslope": "Q('yield') ~ nitroF + Variety + (Variety|Block)",
    "oats_noint": "Q('yield') ~ 0 + nitroF + Variety + (1|Block/Variety)",
    "oats_slash": "Q('yield') ~ nitro + Variety + (1|Block/Variety)",
    "oats_sum": "Q('yield') ~ C(nitroF, Sum)*C(Variety, Helmert) + (1|Block/Variety)",
    "oats_unbal": "Q('yield') ~ nitroF*Variety + (1|Block/Variety)",
    "ortho_agef": "distance ~ ageF*Sex + (ageF|Subject)",
    "ortho_dbar": "distance ~ ageC*Sex + (ageC||Subject)",
    "ortho_int": "distance ~ age*Sex + (1|Subject)",
    "ortho_sexslope": "distance ~ ageC*Sex + (0+male+female|Subject)",
    "ortho_sexslope_dbar": "distance ~ ageC*Sex + (0+male|Subject)"
    " + (0+female|Subject) + (0+ageC|Subject)",
    "ortho_slope": "distance ~ age + (age|Subject)",
    "ortho_slopeC": "distance ~ ageC*Sex + (ageC|Subject)",
    "ortho_slopeI": "distance ~ I(age-11)*Sex + (I(age-11)|Subject)",
    "orthosum": "distance ~ ageC*C(Sex, Sum) + (ageC|Subject)",
    "pastes_colon": "strength ~ 1 + (1|batch) + (1|batch:cask)",
    "pastes_explicit": "strength ~ 1 + (1|sample) + (1|batch)",
    "pastes_inner_only": "strength ~ 1 + (1|batch:cask)",
    "pastes_slash": "strength ~ 1 + (1|batch/cask)",
    "pen": "diameter ~ 1 + (1|plate) + (1|sample)",
    "pen_off": "diameter ~ offset(plate_number/10) + (1|plate) + (1|sample)",
    "pen_part": "diameter ~ 1 + (1|plate) + (1|sample)",
    "pen_swap": "diameter ~ (1|sample) + (1|plate)",
    "rail1": "travel ~ 1 + (1|Rail)",
    "sc_big": "Reaction ~ DaysBig + (DaysBig|Subject)",
    "sc_rbig": "RBig ~ DaysTiny + (DaysTiny||Subject)",
    "sc_rsmall": "RSmall ~ Days + (Days|Subject)",
    "sc_tiny": "Reaction ~ DaysTiny + (DaysTiny|Subject)",
    "sc_year": "Reaction ~ DaysYr + (DaysYr|Subject)",
    "sing_dbar": "Reaction ~ Days + (Days||Subject)",
    "sing_int0": "Reaction ~ Days + (Days|Subject)",
    "sing_pen3": "diameter ~ 1 + (1|plate) + (1|sample) + (1|plate:sample)",
    "sing_rho1": "Reaction ~ Days + (Days|Subject)",
    "sing_rhom1": "Reaction ~ Days + (Days|Subject)",
    "ss_dayf": "Reaction ~ DayF + (1|Subject)",
    "ss_dbar": "Reaction ~ Days + (Days||Subject)",
    "ss_dbar_long": "Reaction ~ Days + (1|Subject) + (0+Days|Subject)",
    "ss_half": "Reaction ~ half + (half|Subject)",
    "ss_half0": "Reaction ~ half + (0+half|Subject)",
    "ss_int": "Reaction ~ Days + (1|Subject)",
    "ss_int_only": "Reaction ~ 1 + (1|Subject)",
    "ss_mixslope": "Reaction ~ Days*half + (Days + half|Subject)",
    "ss_na": "Reaction ~ Days + (Days|Subject)",
    "ss_na_w": "Reaction ~ Days + (Days||Subject)",
    "ss_noint": "Reaction ~ 0 + Grp + Grp:Days + (Days|Subject)",
    "ss_noint_m1": "Reaction ~ Days - 1 + (1|Subject)",
    "ss_off": "Reaction ~ Days + offset(off) + (Days|Subject)",
    "ss_off_arg": "Reaction ~ Days + (Days||Subject)",
    "ss_slope": "Reaction ~ Days + (Days|Subject)",
    "ss_slope_nofix": "Reaction ~ 1 + (Days|Subject)",
    "ss_slopeonly": "Reaction ~ Days + (0+Days|Subject)",
    "ss_slopeonly_m1": "Reaction ~ Days + (Days-1|Subject)",
    "ss_w": "Reaction ~ Days + (Days|Subject)",
    "ss_w_int": "Reaction ~ Days*Grp + (1|Subject)",
    "ub_grp": "Reaction ~ Days*Grp + (Days||Subject)",
    "ub_int": "Reaction ~ Days + (1|Subject)",
    "ub_slope": "Reaction ~ Days + (Days|Subject)",
}
"""The models by the names of their records, in Python's spelling."""

FLAT = 1e-5
"""Share of the largest curvature of the criterion below which one counts as 0."""


def main():
    root = pathlib.Path(sys.argv[1])
    lines = []
    for name, formula in MODELS.items():
        for method in ("reml", "ml"):
            record = read(root / "fits" / f"{name}.{method}.json")
            frozen = json.dumps(freeze(record, formula), separators=(",", ":"))
            lines.append(f'"{name}.{method}":{frozen}')
    (HERE / "fits.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read(path):
    """A record, compressed or not."""
    if path.exists():
        return json.loads(path.read_text())
    return json.loads(gzip.open(f"{path}.gz", "rt").read())


def freeze(record, formula):
    """What of a record is compared, in the words of the package."""
    data = frame(record["data"])
    model = crossedmixedlm(formula, data, check_levels=False)
    fixed = python_names(record["beta"]["names"], model.exog_names, data)
    curvature = record["optimum"].get("hessian_eigenvalues_free") or []
    curvature = [c for c in curvature if c is not None] or [1.0]
    frozen = {
        "data": record["data"],
        "formula": formula,
        "reml": record["REML"],
        "weights": record["weights"],
        "offset": record["offset"],
        "n": record["n"],
        "flat": bool(min(curvature) < FLAT * max(curvature)),
        "dropped": sorted(set(model.exog_names) - set(fixed)),
        "criterion": digits(record["criterion"], 15),
        "llf": digits(record["logLik"], 15),
        "aic": digits(record["AIC"], 15),
        "bic": digits(record["BIC"], 15),
        "fixed": fixed,
        "beta": digits(record["beta"]["values"]),
        "se": digits(record["se"]),
        "sigma": digits(record["sigma"]),
        "varcorr": [covariance(v, model, data) for v in record["varcorr"]],
        "modes": [modes(n, v, model, data) for n, v in record["ranef"].items()],
        "fitted": digits(record["fitted"][:6]),
        "predict": predictions(record["predict"], data),
    }
    if len(fixed) <= 12:
        frozen["vcov"] = [digits(r[: i + 1]) for i, r in enumerate(record["vcov"])]
    return frozen


def digits(values, n=12):
    """Numbers without the digits that the references do not have."""
    if isinstance(values, list):
        return [digits(v, n) for v in values]
    return values if values is None else float(f"{values:.{n}g}")


def python_names(wanted, names, data):
    """Our names of columns that lme4 calls `wanted`."""
    known = {r_name(name, data): name for name in names}
    return [known[sorted_parts(w.replace(" ", ""))] for w in wanted]


def sorted_parts(name):
    """An interaction does not depend on the order of its factors."""
    return ":".join(sorted(name.split(":")))


def r_name(name, data):
    """What R calls a column; sum and Helmert codings have numbers."""
    if name == "Intercept":
        return "(Intercept)"
    spellings = []
    for part in name.split(":"):
        part = re.sub(r"^C\((\w+), .*?\)(?=[.\[^]|$)", r"\1", part).replace(" ", "")
        part = part.replace(".Linear", ".L").replace(".Quadratic", ".Q")
        part = part.replace(".Cubic", ".C").replace("**", "^")
        found = re.fullmatch(r"(\w+)\[(?:([TSH])\.)?(.*)\]", part)
        if found and (found[2] or "T") != "T":
            at = list(data[found[1]].cat.categories).index(found[3])
            spellings.append(f"{found[1]}{at + (found[2] == 'S')}")
        elif found:
            spellings.append(f"{found[1]}{found[3]}")
        else:
            spellings.append(part)
    return sorted_parts(":".join(spellings))


def effects_by(group, model):
    """Our grouping factor that lme4 calls `group`."""
    columns = set(re.split("[:.]", re.sub(r"\.\d+$", "", group)))
    return next(e for e in model.random if set(e.columns) == columns)


def covariance(value, model, data):
    """Covariance matrix of a term."""
    effects = effects_by(value["group"], model)
    names = python_names(value["names"], effects.effect_names, data)
    return {"group": effects.name, "effects": names, "cov": digits(value["cov"])}


def modes(group, value, model, data):
    """Conditional modes of the first levels of a factor, and their variances."""
    effects = effects_by(group, model)
    few = 4
    blocks = value["condVar_by_term"]
    blocks = list(blocks.values()) if isinstance(blocks, dict) else blocks
    blocks = [np.array(b[:few], dtype=float) for b in blocks]
    blocks = [b[:, None, None] if b.ndim == 1 else b for b in blocks]
    variances = [b.diagonal(axis1=1, axis2=2) for b in blocks]
    order = [group.split(":").index(c) for c in effects.columns]
    levels = [level.split(":") for level in value["levels"][:few]]
    if len(order) == 1:
        levels = [[level] for level in value["levels"][:few]]
    return {
        "group": effects.name,
        "effects": python_names(value["columns"], effects.effect_names, data),
        "levels": [":".join(parts[i] for i in order) for parts in levels],
        "modes": digits(value["values"][:few]),
        "variances": digits(np.hstack(variances).tolist()),
    }


def predictions(value, data):
    """New data and predictions without and with the random effects."""
    out = []
    for block in (value, value.get("new_levels")):
        if not block:
            continue
        new = block["newdata"]
        if "plate" in new and "plate_number" in data:
            levels = list(data["plate"].cat.categories)
            new["plate_number"] = [
                levels.index(p) + 1 if p in levels else None for p in new["plate"]
            ]
        conditional = block.get("re_form_NULL") or block["values"]
        out.append(
            {
                "new": new,
                "population": digits(block.get("re_form_NA")),
                "conditional": digits(conditional),
            }
        )
    return out


if __name__ == "__main__":
    main()
