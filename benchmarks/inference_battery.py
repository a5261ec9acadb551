"""
Compare inference with a folder of reference fits made by R.

    python benchmarks/inference_battery.py FOLDER [--only TEXT] [--kinds NAMES]

The folder is that of ``reference_battery.py``. Degrees of freedom, F tests, tests of
random effects, profile intervals, explained variance, influence and likelihood-ratio
tests are compared with those of lmerTest, pbkrtest, lme4 and performance, where a
record has them. The script prints the largest disagreement of each kind and every fit
that exceeds the tolerance of its kind.
"""

import argparse
import json
import re
import sys
import traceback
import warnings

import numpy as np
import pandas as pd
from reference_battery import Battery, align, fit_record, matrix, r_name

TOLERANCES = {
    "satterthwaite df": 1e-3,
    "satterthwaite p": 1e-4,
    "kenward-roger df": 1e-3,
    "kenward-roger p": 1e-4,
    "kenward-roger se": 1e-4,
    "kenward-roger vcov": 1e-4,
    "anova F": 1e-3,
    "anova df": 2e-3,
    "ranova": 1e-4,
    "profile": 1e-3,
    "r2": 1e-4,
    "icc": 1e-4,
    "hat": 1e-4,
    "cook": 1e-3,
    "rstudent": 1e-3,
    "deletion": 1e-2,
    "lr": 1e-4,
}
"""
Relative to the number; for intervals to their width, and for case deletion to the
standard error. lmerTest differentiates numerically, and lme4 interpolates profiles.
"""


def relative(ours, theirs):
    """Largest difference, relative to the larger of the two numbers."""
    ours = np.asarray(ours, dtype=float)
    theirs = np.array([np.nan if t is None else t for t in np.ravel(theirs)], float)
    theirs = theirs.reshape(ours.shape)
    both = np.isfinite(ours) & np.isfinite(theirs)
    size = np.maximum(np.maximum(abs(ours), abs(theirs)), 1e-8)
    return np.max(abs(ours - theirs)[both] / size[both], initial=0.0)


def compare_df(result, record, order, found):
    """Degrees of freedom and p-values of the coefficients."""
    kept = np.flatnonzero(np.isfinite(result.params))
    for key, method in (
        ("satterthwaite", "satterthwaite"),
        ("kenward_roger", "kenward-roger"),
    ):
        reference = record.get(key)
        if not reference or not reference.get("df"):
            continue
        ours = result.with_df_method(method)
        df = ours._results.df_resid_inference[kept][order]
        found[f"{method} df"] = relative(df, reference["df"])
        found[f"{method} p"] = relative(
            ours.pvalues.iloc[kept].iloc[order], reference["p"]
        )
        if "se" in reference:
            se = ours.bse.to_numpy()[kept][order]
            found[f"{method} se"] = relative(se, reference["se"])
        if "vcov_adjusted" in reference:  # some records have none
            ours = ours.cov_params().to_numpy()[np.ix_(kept[order], kept[order])]
            gap = abs(ours - matrix(reference["vcov_adjusted"])) / np.outer(se, se)
            found[f"{method} vcov"] = gap.max()


def compare_anova(result, record, found):
    """F tests of types I, II and III."""
    names = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward-roger"}
    for method, types in (record.get("anova") or {}).items():
        for kind, reference in types.items() if types else ():
            if not reference.get("term"):
                continue
            if method == "Kenward-Roger" and not record["REML"]:
                continue
            table = result.anova(type=kind, df_method=names[method])
            plain = [_term(t) for t in table.index]
            wanted = [_term(t) for t in reference["term"]]
            if set(plain) != set(wanted):
                found.setdefault("terms", []).append((kind, plain, wanted))
                continue
            table = table.iloc[[plain.index(t) for t in wanted]]
            for name, column, key in (("F", "F", "F"), ("df", "df_denom", "DenDF")):
                gap = relative(table[column], reference[key])
                found[f"anova {name}"] = max(found.get(f"anova {name}", 0.0), gap)


def _term(name):
    return frozenset(r_name(name).replace("^", "**").split(":"))


def compare_ranova(result, record, found):
    """Tests of the random effects."""
    reference = record.get("ranova")
    if not reference or "error" in reference:  # R gave none
        return
    table = result.random_effect_tests()
    if len(table) != len(reference["row"]):
        found["rows"] = list(table.index), reference["row"]
        return
    ours = np.sort(table["statistic"].to_numpy()[1:])
    theirs = np.sort(np.array(reference["LRT"][1:], dtype=float))
    found["ranova"] = np.max(abs(ours - theirs) / np.maximum(1.0, theirs))


def compare_profile(result, record, order, found):
    """Profile intervals, relative to their widths."""
    reference = record.get("confint_profile")
    if not reference or "error" in reference:  # R gave none
        return
    ours = result.conf_int(method="profile")
    labels = {_label(name): name for name in ours.index}
    worst, where = 0.0, None
    kept = np.flatnonzero(np.isfinite(result.params))
    fixed = dict(zip(record["beta"]["names"], result.params.index[kept[order]]))
    for name, low, high in zip(*(reference[k] for k in ("names", "lower", "upper"))):
        label = fixed.get(name) or labels.get(_reference_label(name))
        if label is None or low is None or high is None:
            continue
        gap = np.max(abs(ours.loc[label] - [low, high])) / (high - low)
        if gap > worst:
            worst, where = gap, name
    found["profile"] = worst
    found["profile where"] = where


def _label(name):
    """Our label of a variance parameter as a key."""
    match = re.fullmatch(r"(.*): (sd|cor) (.*)", name)
    if not match:
        return name
    group, kind, effects = match.groups()
    effects = frozenset(r_name(e) for e in effects.split(", "))
    return kind, effects, frozenset(group.split(":"))


def _reference_label(name):
    """lme4's label as the same key."""
    match = re.fullmatch(r"(sd|cor)_(.*)\|(.*)", name)
    if not match:
        return name
    kind, effects, group = match.groups()
    parts = effects.split(".(") if kind == "cor" else [effects]
    parts = [parts[0], *(f"({p}" for p in parts[1:])]
    if kind == "cor" and len(parts) == 1:
        parts = effects.split(".", 1)
    return kind, frozenset(parts), frozenset(group.split(":"))


def compare_quality(result, record, found):
    """Explained variance and influence."""
    trace = record.get("r2_trace")
    if trace:
        ours = result.r_squared()
        gap = [relative(ours[k], trace[k]) for k in ("marginal", "conditional")]
        found["r2"] = max(gap)
    icc = record.get("icc")
    if icc and "||" not in record["formula"] and isinstance(icc.get("adjusted"), float):
        found["icc"] = relative(result.icc()["adjusted"], icc["adjusted"])
    if not record.get("hatvalues"):
        return
    influence = result.get_influence()
    count = len(record["hatvalues"])
    for key, values, name in (
        ("hatvalues", influence.hat_matrix_diag, "hat"),
        ("cooks_distance", influence.cooks_distance[0], "cook"),
        ("rstudent", influence.resid_studentized, "rstudent"),
    ):
        theirs = np.array(
            [np.nan if v is None else v for v in record[key]], dtype=float
        )
        gap = abs(np.asarray(values)[:count] - theirs)
        found[name] = np.nanmax(gap) / max(np.nanmax(abs(theirs)), 1e-8)


def compare(battery, record):
    """Fit one model and measure every disagreement."""
    result = fit_record(battery, record)
    found = {"singular": result.is_singular}
    kept = np.isfinite(result.params)
    order = align(list(result.params.index[kept]), record["beta"]["names"])
    if order is not None:
        compare_df(result, record, order, found)
        compare_profile(result, record, order, found)
    compare_anova(result, record, found)
    compare_ranova(result, record, found)
    compare_quality(result, record, found)
    return found


def compare_pairs(battery, only):
    """Likelihood-ratio tests of pairs of models."""
    found = {}
    entries = {e["id"]: e for e in battery.index}
    for pair in json.loads((battery.root / "lrt_pairs.json").read_text()):
        small, large = pair["small"], pair["large"]
        if only not in small or entries[large]["kind"] != "lmm":
            continue
        fits = [fit_record(battery, battery.fit(entries[e])) for e in (large, small)]
        try:
            test = fits[0].compare_lr_test(fits[1])
        except ValueError as error:
            found[f"{small} < {large}"] = {"refused": str(error)}
            continue
        gap = abs(test.statistic - pair["chisq"]) / max(1.0, pair["chisq"])
        found[f"{small} < {large}"] = {"lr": gap, "lr df": test.df_diff - pair["df"]}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("folder")
    parser.add_argument("--only", default="")
    parser.add_argument("--max-rows", type=int, default=20_000)
    options = parser.parse_args()
    battery = Battery(options.folder)
    warnings.simplefilter("ignore")
    results, failures = {}, 0
    for entry in battery.index:
        if entry["kind"] != "lmm" or options.only not in entry["id"]:
            continue
        if entry["n"] > options.max_rows:
            continue
        record = battery.fit(entry)
        try:
            results[entry["id"]] = compare(battery, record)
        except Exception as error:
            failures += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(
                f"FAILED {entry['id']}: {record['formula']}\n   "
                f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
            )
    results |= compare_pairs(battery, options.only)
    report(results)
    return bool(failures)


def report(results):
    """Print the worst of each kind and everything above its tolerance."""
    table = pd.DataFrame(results).T
    for key, limit in TOLERANCES.items():
        if key not in table:
            continue
        values = table[key].dropna().astype(float)
        bad = values[values > limit].sort_values(ascending=False)
        print(
            f"{key:20s} compared {len(values)}, median {values.median():.1e}, "
            f"largest {values.max():.1e}, above {limit:g}: {len(bad)}"
        )
        for name, value in bad.head(15).items():
            singular = " singular" if table.loc[name].get("singular") is True else ""
            print(f"     {name} {value:.2e}{singular}")
    for key in ("terms", "rows", "refused"):
        if key in table:
            for name, value in table[key].dropna().items():
                print(f"{key}: {name} {value}")


if __name__ == "__main__":
    sys.exit(main())
