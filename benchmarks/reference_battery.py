"""
Compare fits with a folder of reference fits made by lme4.

    python benchmarks/reference_battery.py FOLDER [--only TEXT] [--json OUT]

The folder holds ``index.json``, ``datasets.json``, ``data/`` and ``fits/``, with one
JSON record per fit. Every linear mixed model with a formula common to R and Python is
fitted. The script prints the largest disagreement of each kind and every fit that
exceeds the tolerances. Disagreements are relative to the standard error of the number,
or to the largest number in its table.
"""

import argparse
import gzip
import json
import pathlib
import re
import sys
import time
import traceback
import warnings

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

TOLERANCES = {
    "criterion": 1e-6,
    "recoded": 1e-5,
    "llf": 1e-6,
    "aic": 1e-6,
    "bic": 1e-6,
    "beta": 1e-3,
    "se": 1e-3,
    "vcov": 2e-3,
    "sigma": 1e-3,
    "varcorr": 2e-3,
    "modes": 2e-3,
    "condvar": 5e-3,
    "fitted": 2e-3,
    "predict": 2e-3,
}
"""
Tolerances, as the precision of the references allows. Their criterion is within 1e-9 of
the minimum, so a parameter is known to about 3e-5 of its standard error; flat and
singular directions are less precise. Where X is coded differently, the REML criteria
are compared by way of log |X'V^-1 X|, which is not at its minimum and so less precise.
"""

CODING = {"sum": "Sum", "helmert": "Helmert", "sdif": "Diff"}


class Battery:
    """A folder of reference fits."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.index = json.loads((self.root / "index.json").read_text())
        records = json.loads((self.root / "datasets.json").read_text())
        self.datasets = {d["name"]: d for d in records}
        self._frames = {}

    def frame(self, name):
        """One data set, with factors as Categorical with R's levels."""
        if name not in self._frames:
            record = self.datasets[name]
            kinds = {c["name"]: c for c in record["columns"]}
            text = {n: str for n, c in kinds.items() if c["kind"] != "number"}
            frame = pd.read_csv(
                self.root / record["file"],
                dtype=text,
                na_values=["NA"],
                keep_default_na=False,
                float_precision="round_trip",
            )
            self._frames[name] = self.typed(name, frame)
        return self._frames[name]

    def typed(self, name, frame, extra=()):
        """A frame with the column types of a data set."""
        frame = frame.copy()
        for column in self.datasets[name]["columns"]:
            if column["name"] not in frame:
                continue
            values = frame[column["name"]]
            if column["kind"] == "number":
                frame[column["name"]] = values.astype(float)
            else:
                levels = [*column["levels"], *extra]
                frame[column["name"]] = pd.Categorical(
                    values, [x for x in dict.fromkeys(levels)]
                )
        return frame

    def fit(self, entry):
        """The record of one fit."""
        path = self.root / "fits" / f"{entry['id']}.json"
        if path.exists():
            return json.loads(path.read_text())
        return json.loads(gzip.open(f"{path}.gz", "rt").read())


def translate(record, dataset):
    """R's formula in Python's spelling."""
    formula = record["formula"].replace("^", "**")
    formula = re.sub(r"\bscale\((\w+)\)", r"scale(\1, ddof=1)", formula)
    formula = re.sub(r"as\.integer\((\w+)\)", r"\1_number", formula)
    kinds = {c["name"]: c for c in dataset["columns"]}
    contrasts = record["contrasts"] or {}
    coded = {n: c for n, c in kinds.items() if c["kind"] == "ordered"}
    for name in {**contrasts, **coded}:
        how = contrasts.get(name, {"type": "poly"})
        base = how.get("base")
        coding = CODING.get(how["type"]) or "Poly"
        if how["type"] == "treatment":
            coding = f"Treatment({kinds[name]['levels'][int(base or 1) - 1]!r})"
        left, *bars = re.split(r"(\([^()]*\|[^()]*\))", formula)
        parts = [left, *bars]
        for i, part in enumerate(parts):
            effects, bar, group = part.partition("|") if "|" in part else (part, "", "")
            effects = re.sub(rf"\b{name}\b", f"C({name}, {coding})", effects)
            parts[i] = effects + bar + group
        formula = "".join(parts)
    return formula


def r_name(name):
    """A column name of the formula engine in approximately R's spelling."""
    name = "(Intercept)" if name == "Intercept" else name
    name = re.sub(
        r"\bC\((\w+), (?:Sum|Helmert|Diff|Poly|Treatment\(.*?\))\)", r"\1", name
    )
    name = re.sub(r"\[(?:[TSHD]\.)?([^\]]*)\]", r"\1", name)
    return name.replace(" ", "").replace(",ddof=1", "").replace("**", "^")


def align(ours, theirs):
    """Positions of reference names among ours; None if they do not match."""
    plain = [r_name(n) for n in ours]
    wanted = [n.replace(" ", "") for n in theirs]
    if len(plain) == len(wanted) and set(plain) == set(wanted):
        return [plain.index(n) for n in wanted]
    parts = [":".join(sorted(p.split(":"))) for p in plain]
    sought = [":".join(sorted(w.split(":"))) for w in wanted]
    if set(parts) == set(sought):
        return [parts.index(s) for s in sought]
    return None


def fit_record(battery, record):
    """Fit the model of a record."""
    dataset = battery.datasets[record["data"]]
    frame = battery.frame(record["data"])
    formula = translate(record, dataset)
    for name in re.findall(r"(\w+)_number", formula):
        frame = frame.assign(**{f"{name}_number": frame[name].cat.codes + 1.0})
    model = crossedmixedlm(
        formula,
        frame,
        weights=record["weights"],
        offset=record["offset"],
        check_levels=False,
    )
    return model.fit(reml=record["REML"])


def compare(battery, record):
    """Fit one model and measure every disagreement."""
    start = time.perf_counter()
    result = fit_record(battery, record)
    found = {"seconds": time.perf_counter() - start}
    found["evaluations"] = result.optimum.evaluations
    found["certified"] = result.converged
    kept = np.isfinite(result.params)
    names = list(result.params.index[kept])
    order = align(names, record["beta"]["names"])
    if order is None and record["REML"]:
        # other columns that span the same space change the criterion by a constant
        ours = result.cov_params().to_numpy()[np.ix_(kept, kept)] / result.scale
        shift = record["devcomp"]["ldRX2"] + np.linalg.slogdet(ours)[1]
        found["recoded"] = result.deviance_criterion + shift - record["criterion"]
    else:
        found["criterion"] = result.deviance_criterion - record["criterion"]
        found["llf"] = abs(result.llf - record["logLik"])
        found["aic"] = abs(result.aic - record["AIC"])
        found["bic"] = abs(result.bic - record["BIC"])
    sigma = record["sigma"]
    found["sigma"] = abs(result.scale**0.5 / sigma - 1)
    if order is not None:
        beta = result.params.to_numpy()[kept][order]
        se = np.array(
            record["se"]["values"] if isinstance(record["se"], dict) else record["se"]
        )
        covariance = result.cov_params().to_numpy()[np.ix_(kept, kept)][
            np.ix_(order, order)
        ]
        found["beta"] = np.max(abs(beta - record["beta"]["values"]) / se)
        found["se"] = np.max(abs(np.sqrt(np.diag(covariance)) / se - 1))
        found["vcov"] = np.max(
            abs(covariance - matrix(record["vcov"])) / np.outer(se, se)
        )
    found["varcorr"] = compare_varcorr(result, record)
    found.update(compare_modes(result, record))
    fitted = np.array(record["fitted"])
    spread = result.fittedvalues.std() + sigma
    found["fitted"] = (
        np.max(abs(result.fittedvalues.to_numpy()[: len(fitted)] - fitted)) / spread
    )
    if (
        record.get("predict")
        and order is not None
        and "_number" not in result.model.formula_full
    ):
        found["predict"] = compare_predictions(battery, record, result, spread)
    return found


def matrix(value):
    """A matrix of a record."""
    return np.array(value["values"] if isinstance(value, dict) else value, dtype=float)


def grouped(result):
    """Our covariance blocks by grouping factor, with levels in lme4's order."""
    out = {}
    for effects, covariance in zip(result.model.random, result._results._covariances()):
        for block, names in zip(effects.grouped.block_slices, effects.block_names):
            out.setdefault(frozenset(effects.columns), []).append(
                ([r_name(n) for n in names], covariance[block, block])
            )
    return out


def compare_varcorr(result, record):
    """Largest difference of covariances, relative to sigma and the sds."""
    ours = grouped(result)
    worst = 0.0
    sigma = record["sigma"]
    varcorr = record["varcorr"]
    items = (
        varcorr.items()
        if isinstance(varcorr, dict)
        else [(v["group"], v) for v in varcorr]
    )
    for name, value in items:
        if name in ("Residual", "sigma"):
            continue
        group = frozenset(re.sub(r"\.\d+$", "", name).split(":"))
        sd = value["sd"]
        names = [
            n.replace(" ", "")
            for n in (sd["names"] if isinstance(sd, dict) else value["names"])
        ]
        theirs = matrix(value["cov"]).reshape(len(names), len(names))
        for have, cov in ours.get(group, []):
            if set(have) == set(names):
                at = [have.index(n) for n in names]
                scale = np.sqrt(np.diag(theirs)) + 1e-3 * sigma
                gap = abs(cov[np.ix_(at, at)] - theirs) / np.outer(scale, scale)
                worst = max(worst, gap.max())
                break
        else:
            return None
    return worst


def compare_modes(result, record):
    """Largest difference of conditional modes and of their variances."""
    modes, variances = 0.0, 0.0
    sigma = record["sigma"]
    for name, value in (record.get("ranef") or {}).items():
        group = frozenset(name.split(":"))
        effects = [e for e in result.model.random if frozenset(e.columns) == group]
        if not effects:
            return {}
        at = result.model.random.index(effects[0])
        position = [effects[0].columns.index(part) for part in name.split(":")]
        levels = [str(level) for level in effects[0].levels]
        if len(position) > 1:
            pieces = [level.split(":") for level in levels]
            levels = [":".join(piece[i] for i in position) for piece in pieces]
        ours = [r_name(n) for n in effects[0].effect_names]
        theirs = [n.replace(" ", "") for n in value["columns"]]
        if set(ours) != set(theirs):
            return {}
        columns = [ours.index(n) for n in theirs]
        rows = [levels.index(x) for x in value["levels"]]
        values = matrix(value["values"]).reshape(len(rows), -1)
        found = result._results._modes[at][np.ix_(rows, columns)]
        scale = np.abs(values).max(axis=0) + 1e-3 * sigma
        modes = max(modes, np.max(abs(found - values) / scale))
        per_term = value.get("condVar_by_term") or []
        if isinstance(per_term, dict):
            per_term = list(per_term.values())
        start = 0
        for blocks in per_term:
            blocks = np.array(blocks, dtype=float)
            if blocks.ndim == 1:
                blocks = blocks[:, None, None]
            k = blocks.shape[-1]
            inside = columns[start : start + k]
            start += k
            mine = result._results._mode_covariances(at)[rows[: len(blocks)]]
            mine = mine[:, inside][:, :, inside]
            size = np.sqrt(np.diagonal(blocks, axis1=1, axis2=2)) + 1e-3 * sigma
            gap = abs(mine - blocks) / (size[:, :, None] * size[:, None, :])
            variances = max(variances, gap.max())
    return {"modes": modes, "condvar": variances}


def compare_predictions(battery, record, result, spread):
    """Largest difference of predictions on new data."""
    source = record["predict"]
    worst = 0.0
    blocks = [(source, False)] + (
        [(source["new_levels"], True)] if source.get("new_levels") else []
    )
    for block, new in blocks:
        frame = pd.DataFrame(
            {
                k: [np.nan if v is None else v for v in col]
                for k, col in block["newdata"].items()
            }
        )
        frame = battery.typed(record["data"], frame, ["zzNEW"] if new else [])
        for key, how in (("re_form_NA", False), ("re_form_NULL", True)):
            if not block.get(key):
                continue
            theirs = np.array(
                [np.nan if v is None else v for v in block[key]], dtype=float
            )
            mine = result.predict(frame, random_effects=how, new_levels="population")
            gap = abs(mine.to_numpy() - theirs)
            worst = max(worst, np.nanmax(gap, initial=0.0) / spread)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("folder")
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    options = parser.parse_args()
    battery = Battery(options.folder)
    entries = [
        e for e in battery.index if e["kind"] == "lmm" and options.only in e["id"]
    ]
    results, failures = {}, []
    warnings.simplefilter("ignore")
    for entry in entries:
        record = battery.fit(entry)
        try:
            results[entry["id"]] = compare(battery, record)
        except Exception as error:
            failures.append(entry["id"])
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(
                f"FAILED {entry['id']}: {record['formula']}\n   "
                f"{type(error).__name__}: {error} ({last.name}:{last.lineno})"
            )
    report(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, default=float))
    return bool(failures)


def report(results):
    """Print the worst of each kind and everything above its tolerance."""
    table = pd.DataFrame(results).T
    print(
        f"{len(table)} fits; evaluations: median {table.evaluations.median():g}, "
        f"largest {table.evaluations.max()}; {table.seconds.sum():.1f} s; "
        f"certified {int(table.certified.sum())}"
    )
    for key, limit in TOLERANCES.items():
        if key not in table:
            continue
        values = table[key].dropna().astype(float)
        bad = values[values > limit].sort_values(ascending=False)
        print(
            f"{key:10s} compared {len(values)}, median {values.median():.1e}, "
            f"largest {values.max():.1e}, above {limit:g}: {len(bad)}"
        )
        for name, value in bad.head(12).items():
            print(f"     {name} {value:.2e}")
    slow = table.evaluations.astype(float).sort_values(ascending=False).head(8)
    print("most evaluations:", dict(slow))
    print("not certified:", list(table.index[~table.certified.astype(bool)]))


if __name__ == "__main__":
    sys.exit(main())
