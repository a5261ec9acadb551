"""
Time mixed models of relatives, with dense and with sparse relationships.

A model of people with a dense relationship matrix K and one record each is fitted by
statsmodels_lmm, by a plain computation with a Cholesky factor of the n x n covariance
matrix, by glimix-core (Python) and by lme4 (R); a model of animals in a pedigree, with
a sparse inverse, by statsmodels_lmm and lme4. All fits are by REML, on the same data in
the same run, and their criteria must agree. Tools that are not installed are skipped.
See README.rst.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from scipy import io, linalg, optimize, sparse
from side_by_side import print_table, shown, version_of

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.relationship import (
    numerator_relationship,
    numerator_relationship_inverse,
)

AGREEMENT = 1e-6  # relative difference of two criteria

# ---------------------------------------------------------------------------
# Data


def people(n):
    """Simulate people with 2n markers, K computed from these, and two responses."""
    rng = np.random.default_rng(n)
    markers = rng.standard_normal((n, 2 * n)) / np.sqrt(2 * n)
    x = rng.standard_normal(n)
    data = pd.DataFrame({"id": np.arange(n), "x": x})
    for name in ("y", "y2"):
        genes = markers @ rng.standard_normal(2 * n)
        data[name] = 1.0 + 0.5 * x + genes + rng.standard_normal(n)
    return data, markers @ markers.T


def animals(n, generations=10):
    """Simulate a pedigree with few sires per generation and one record per animal."""
    rng = np.random.default_rng(n)
    size = n // generations
    labels = np.arange(1, n + 1)  # 0 is an unknown parent
    parents = np.zeros((2, n), dtype=int)
    genes = rng.standard_normal(n)
    for first in range(size, n, size):
        own, last = slice(first, first + size), labels[first - size : first]
        sires = rng.choice(last, max(10, size // 100), replace=False)
        dams = rng.choice(np.setdiff1d(last, sires), size // 2, replace=False)
        parents[:, own] = rng.choice(sires, size), rng.choice(dams, size)
        inherited = genes[parents[:, own] - 1].mean(axis=0)
        genes[own] = inherited + np.sqrt(0.5) * genes[own]
    pedigree = pd.DataFrame({"animal": labels, "sire": parents[0], "dam": parents[1]})
    x, herd = rng.standard_normal(n), rng.integers(max(5, n // 100), size=n)
    of_herd = 0.5 * rng.standard_normal(herd.max() + 1)
    y = 1.0 + 0.5 * x + genes + of_herd[herd] + 1.2 * rng.standard_normal(n)
    return pedigree, pd.DataFrame({"animal": labels, "herd": herd, "x": x, "y": y})


# ---------------------------------------------------------------------------
# Tools


@dataclass(frozen=True)
class Record:
    """Times of a tool, its evaluations of the criterion, and the value reached."""

    tool: str
    fit: float
    read: float | None = None
    rotate: float | None = None
    refit: float | None = None
    evaluations: int | None = None
    criterion: float | None = None
    extrapolated: bool = False

    @property
    def total(self):
        """Seconds to the first fit."""
        return self.fit + (self.read or 0.0) + (self.rotate or 0.0)

    def check(self, criterion):
        """Raise AssertionError unless the criterion is the given one."""
        if abs(self.criterion - criterion) > AGREEMENT * abs(criterion):
            raise AssertionError(f"{self.tool}: {self.criterion}, ours: {criterion}")


def clocked(action, *args):
    start = time.perf_counter()
    found = action(*args)
    return found, time.perf_counter() - start


def repeated(measure, options):
    """Return the record of median total time, repeating while time remains."""
    runs, start = [], time.perf_counter()
    while len(runs) < options.repeats and time.perf_counter() - start < options.enough:
        runs.append(measure()[0])
    return sorted(runs, key=lambda record: record.total)[(len(runs) - 1) // 2]


def ours(data, k):
    known = {"id": (k, data["id"])}
    model, read = clocked(
        lambda: crossedmixedlm("y ~ x + (1 | id)", data, relationship=known)
    )
    _, rotate = clocked(model._sufficient_statistics)
    result, fit = clocked(model.fit)
    _, refit = clocked(result.refit, data["y2"])
    evaluations, criterion = result.optimum.evaluations, -2.0 * result.llf
    name = "statsmodels_lmm"
    return Record(name, fit, read, rotate, refit, evaluations, criterion), result


def plain_criterion(theta, y, x, k):
    """The REML criterion from a Cholesky factor of V = theta^2 K + I."""
    n, p = x.shape
    v = theta**2 * k
    v.flat[:: n + 1] += 1.0
    root = linalg.cholesky(v, lower=True, overwrite_a=True, check_finite=False)
    solved = linalg.solve_triangular(root, np.column_stack([x, y]), lower=True)
    q, r = linalg.qr(solved[:, :-1], mode="economic")
    rest = solved[:, -1] - q @ (q.T @ solved[:, -1])
    log_determinants = np.log(np.diag(root)).sum() + np.log(np.abs(np.diag(r))).sum()
    scale = rest @ rest / (n - p)
    return 2.0 * log_determinants + (n - p) * (1.0 + np.log(2.0 * np.pi * scale))


def plain(data, k, theta, options):
    """Minimize the criterion, or time three evaluations if n is large."""
    x = np.column_stack([np.ones(len(data)), data["x"]])
    evaluate = partial(plain_criterion, y=data["y"].to_numpy(), x=x, k=k)
    if len(data) > options.plain:
        runs = [clocked(evaluate, theta) for _ in range(3)]
        each = median(seconds for _, seconds in runs)
        count = options.evaluations
        return Record(
            "dense Cholesky",
            count * each,
            None,
            None,
            count * each,
            count,
            runs[0][0],
            True,
        )
    found, seconds = clocked(
        lambda: optimize.minimize_scalar(evaluate, bounds=(0.0, 5.0), method="bounded")
    )
    return Record("dense Cholesky", seconds, None, None, seconds, found.nfev, found.fun)


GLIMIX_CODE = """
import json, sys, time
import numpy as np
from glimix_core.lmm import LMM
from numpy_sugar.linalg import economic_qs
saved = np.load(sys.argv[1])
x, k = saved["x"], saved["k"]
some = slice(50)
warm_up = LMM(saved["y"][some], x[some], economic_qs(k[some, some]), restricted=True)
warm_up.fit(verbose=False)
times = [time.perf_counter()]
qs = economic_qs(k)
times.append(time.perf_counter())
for y in (saved["y"], saved["y2"]):
    lmm = LMM(y, x, qs, restricted=True)
    lmm.fit(verbose=False)
    times.append(time.perf_counter())
    # its restricted likelihood has log|X'X| in it
    reached = -2 * lmm.lml() + np.linalg.slogdet(x.T @ x)[1]
    if len(times) == 3:
        criterion = reached
rotate, fit, refit = np.diff(times)
print(json.dumps(dict(rotate=rotate, fit=fit, refit=refit, criterion=criterion)))
"""


def glimix(data, k, options):
    """Fit with glimix-core in the Python that has it; None if there is none."""
    if options.glimix_python is None:
        return None
    x = np.column_stack([np.ones(len(data)), data["x"]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.npz")
        np.savez(path, x=x, k=k, y=data["y"], y2=data["y2"])
        command = [options.glimix_python, "-c", GLIMIX_CODE, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Record("glimix-core", **json.loads(done.stdout))


R_CODE = """
suppressMessages(library(lme4))
data <- read.csv("{folder}/data.csv")
root <- as(Matrix::readMM("{folder}/root.mtx"), "CsparseMatrix")
parsed <- lFormula({formula}, data, control = lmerControl(
    check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore"))
rotate <- system.time({{
    first <- seq_len(nrow(root))
    z <- parsed$reTrms$Zt
    parsed$reTrms$Zt <- rbind(root %*% z[first, ], z[-first, , drop = FALSE])
}})[["elapsed"]]
for (run in 1:2) fit <- system.time({{
    criterion <- do.call(mkLmerDevfun, parsed)
    found <- optimizeLmer(criterion)
}})[["elapsed"]]
cat(sprintf("%.17g", c(rotate, fit, found$feval, found$fval)))
"""


def lmer(formula, data, relationship, options):
    """
    Fit with lme4, Z' replaced by R Z', where K = R'R; None if R is not installed.

    This is pedigreemm's method. The related factor must have the most levels.
    """
    if options.rscript is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        data.to_csv(Path(folder, "data.csv"), index=False)
        root = linalg.cholesky(relationship)
        io.mmwrite(Path(folder, "root.mtx"), sparse.coo_array(root))
        code = R_CODE.format(folder=folder, formula=formula)
        command = [options.rscript, "-e", code]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=options.cap
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    rotate, fit, count, criterion = map(float, done.stdout.split())
    return Record("lmer", fit, None, rotate, fit, int(count), criterion)


# ---------------------------------------------------------------------------
# Tasks


def dense(options):
    """Fit people with dense relationships, and the same model to another response."""
    ours(*people(100))
    for n in sorted(options.people):
        data, k = people(n)
        first, result = ours(data, k)
        records = [repeated(partial(ours, data, k), options)]
        records.append(plain(data, k, result.theta.iloc[0], options))
        if not records[-1].extrapolated:
            options.evaluations = records[-1].evaluations
        records.append(glimix(data, k, options))
        if n <= options.r_levels:
            records.append(lmer("y ~ x + (1 | id)", data, k, options))
        records = [record for record in records if record is not None]
        rows = []
        for record in records:
            record.check(first.criterion)
            times = record.read, record.rotate, record.fit, record.total, record.refit
            ratios = record.total / records[0].total, record.refit / records[0].refit
            rows.append(
                [
                    record.tool,
                    *(shown(t, ".3g") for t in times),
                    shown(record.evaluations, "d"),
                    *(format(r, ".3g") for r in ratios),
                    format(record.criterion, ".6f"),
                ]
            )
        print(f"{n:,} people")
        header = "tool,read s,rotate s,fit s,total s,refit s,evaluations"
        header += ",total/ours,refit/ours,criterion"
        print_table(header.split(","), rows)
        if any(record.extrapolated for record in records):
            print(
                f"dense Cholesky: no search, {options.evaluations} evaluations at the "
                "median time of three\n"
            )


def of_animals(n):
    """Fit to animals in a separate process; return its time and memory."""
    warnings.simplefilter("ignore")
    pedigree, data = animals(300)
    fit_animals(pedigree, data)
    pedigree, data = animals(n)
    idle = peak_megabytes()
    result, times = fit_animals(pedigree, data)
    found = {"evaluations": result.optimum.evaluations, "criterion": -2.0 * result.llf}
    return times, found | {"idle": idle, "peak": peak_megabytes()}


def peak_megabytes():
    """Return the peak memory of this process where Linux reports it."""
    try:
        # getrusage would include the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return None


ANIMALS = "y ~ x + (1 | animal) + (1 | herd)"


def fit_animals(pedigree, data):
    inverse, invert = clocked(numerator_relationship_inverse, pedigree)
    known = {"animal": inverse}
    model, read = clocked(
        lambda: crossedmixedlm(ANIMALS, data, relationship_inverse=known)
    )
    _, analyze = clocked(model._sufficient_statistics)
    result, fit = clocked(model.fit)
    return result, (invert, read, analyze, fit)


def pedigrees(options):
    """Fit animals of ten generations, with herds as a crossed factor."""
    rows = []
    for n in sorted(options.animals):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            times, found = pool.submit(of_animals, n).result()
        total, theirs = sum(times), None
        if n <= options.r_levels:
            pedigree, data = animals(n)
            relationship = numerator_relationship(pedigree).to_numpy()
            theirs = lmer(ANIMALS, data, relationship, options)
        cells = [f"{n:,}", *(format(t, ".3g") for t in (*times, total))]
        cells += [format(found["evaluations"], "d")]
        cells += [shown(found[name], ".0f") for name in ("idle", "peak")]
        if theirs is None:
            cells += ["-", "-"]
        else:
            theirs.check(found["criterion"])
            cells += [format(theirs.total, ".3g"), format(theirs.total / total, ".3g")]
        rows.append(cells)
    header = "animals,A^-1 s,read s,analyze s,fit s,total s,evaluations,idle MB,peak MB"
    print_table([*header.split(","), "lmer s", "lmer/ours"], rows)


# ---------------------------------------------------------------------------
# The command line

TASKS = {"dense": dense, "pedigree": pedigrees}


def load():
    return ", ".join(f"{x:.2f}" for x in os.getloadavg())


def describe_machine(options):
    """Print the conditions on which the figures depend."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {load()}")
    names = ("statsmodels_lmm", "statsmodels", "numpy", "scipy")
    versions = [f"{name} {version_of(name)}" for name in names]
    print(f"Python {platform.python_version()}, " + ", ".join(versions))
    asked = (
        "import importlib.metadata as m; print('glimix-core', m.version('glimix-core'))"
    )
    described = "cat(R.version.string, 'lme4', format(packageVersion('lme4')), '\\n')"
    described += "; cat('BLAS of R', extSoftVersion()[['BLAS']], '\\n')"
    for tool, option, code in (
        (options.glimix_python, "-c", asked),
        (options.rscript, "-e", described),
    ):
        if tool is not None:
            subprocess.run([tool, option, code], check=False)
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "default")
    print(f"BLAS threads {threads}\n", flush=True)


def parse(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    add = parser.add_argument
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="what to time")
    add("--people", type=int, nargs="+", default=[1_200, 5_000])
    add("--animals", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    add("--repeats", type=int, default=5, help="runs from which the median is taken")
    add("--enough", type=float, default=20, help="seconds after which none is repeated")
    add("--plain", type=int, default=2_000, help="largest n of a full dense search")
    add("--evaluations", type=int, default=15, help="of the dense criterion beyond")
    add("--r-levels", type=int, default=2_000, help="largest n for lme4")
    add("--cap", type=float, default=300, help="seconds after which R is killed")
    add("--rscript", help="the Rscript that finds lme4")
    add("--glimix-python", help="the Python that finds glimix-core")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure and print."""
    options = parse(arguments)
    warnings.simplefilter("ignore")
    describe_machine(options)
    for name in options.tasks:
        print(f"{name}: {TASKS[name].__doc__}\n")
        TASKS[name](options)
    print(f"load {load()}")


if __name__ == "__main__":
    main(sys.argv[1:])
