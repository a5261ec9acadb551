"""
Write errors.json from a folder of reference fits made by nlme.

    python tests/reference/freeze_errors.py FOLDER

The folder holds ``fits/ID.json`` (or ``.json.gz``), one record for each fit, where
ID is a name below and ``ml`` or ``reml``.
"""

import gzip
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent

MODELS = {
    "n_mach_ident": (
        "Machines",
        "score ~ Machine + (1 | Worker / Machine)",
        {"dispersion": "~ Machine"},
    ),
    "n_oats_cs": (
        "Oats",
        "Q('yield') ~ nitroF + Variety + (1 | Block)",
        {"residual": "cs(1 | Block:Variety)"},
    ),
    "n_ortho_ar1": (
        "Orthodont",
        "distance ~ age*Sex + (1 | Subject)",
        {"residual": "ar1(visit | Subject)"},
    ),
    "n_ortho_ident": (
        "Orthodont",
        "distance ~ ageC*Sex + (ageC | Subject)",
        {"dispersion": "~ Sex"},
    ),
    "n_ortho_ident_ar1": (
        "Orthodont",
        "distance ~ ageC*Sex + (1 | Subject)",
        {"residual": "ar1(visit | Subject)", "dispersion": "~ Sex"},
    ),
    "n_ortho_power": (
        "Orthodont",
        "distance ~ ageC*Sex + (1 | Subject)",
        {"dispersion": "~ log(age)"},
    ),
    "n_ss_ar1": (
        "sleepstudy",
        "Reaction ~ Days + (1 | Subject)",
        {"residual": "ar1(Days | Subject)"},
    ),
    "n_ss_ar1_ub": (
        "sleepstudy_unbal",
        "Reaction ~ Days + (1 | Subject)",
        {"residual": "ar1(Days | Subject)"},
    ),
    "n_ss_cs": (
        "sleepstudy",
        "Reaction ~ Days + (0 + Days | Subject)",
        {"residual": "cs(1 | Subject)"},
    ),
}
"""Data, formula and what is said of the errors, by the name of nlme's record."""


def record(folder, name):
    path = folder / "fits" / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text())
    return json.loads(gzip.open(f"{path}.gz", "rt").read())


def rounded(values):
    return [float(f"{value:.12g}") for value in values]


def frozen(fit, data, formula, errors):
    numbers = {
        "data": data,
        "formula": formula,
        **errors,
        "reml": fit["REML"],
        "logLik": fit["logLik"],
        "beta": rounded(fit["beta"]["values"]),
        "se": rounded(fit["se"]),
        "sigma": fit["sigma"],
        "fitted": rounded(row[-1] for row in fit["fitted"][:8]),
        "pearson": rounded(fit["resid_pearson"][:8]),
        "normalized": rounded(fit["resid_normalized"][:8]),
        "squares": fit["sum_resid_normalized_sq"],
    }
    for name in ("cor_param", "var_param"):
        if fit.get(name):
            numbers[name] = rounded(fit[name]["values"])
    return numbers


def main(folder):
    folder = pathlib.Path(folder)
    fits = {
        f"{name}.{method}": frozen(record(folder, f"{name}.{method}"), *model)
        for name, model in MODELS.items()
        for method in ("ml", "reml")
    }
    text = json.dumps(fits, indent=1)
    (HERE / "errors.json").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
