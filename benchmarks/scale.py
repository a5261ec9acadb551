"""
Time fits of large crossed designs, with the memory that they take.

Every fit has a process of its own, which simulates the data, imports the package and
fits one small model, so that only the fit is timed: from the formula to the summary. To
add a design, write a function that simulates it and an entry of `SHAPES`; to add an
engine or an option of a fit, write an entry of `FITS`.

The fits "exact", "krylov" and "auto" are ours, and "dask" is the last of them with rows
that two processes of a Dask cluster on this machine sum, whose time to start and whose
memory are not counted; "lmer" is that of lme4, if there is an
Rscript, from a CSV file that is read before; "glmm" that of a Python package with a
core in Rust; and "gpboost" that of GPBoost's iterative method with its defaults, by
maximum likelihood. Both need a Python that has them.

The ratio is that of the fit's time to the time that lme4 takes for sleepstudy on the
same machine, if given by ``--lmer``. Memory is the largest resident set of the process
during the fit, and what it had grown by. A virtual machine that is given memory only
when it is used takes seconds for each gigabyte, so some is used and freed before.
"""

import argparse
import atexit
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from side_by_side import million, print_table

HERE = Path(__file__).resolve().parent
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # in units of ru_maxrss
STATUS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Shape:
    """
    A design of a given size.

    Parameters
    ----------
    formula : str
        The formula in lme4's syntax.
    data : callable
        Returns the data as a DataFrame, or the folder of Parquet files.
    about : str
        What the design is.
    """

    formula: str
    data: Callable
    about: str


# ---------------------------------------------------------------------------
# Data


def shares(n, skew, rng):
    """Shares of n levels in the rows, log-normal with a given spread, (n,)."""
    sizes = np.exp(skew * rng.standard_normal(n))
    return sizes / sizes.sum()


def distinct_pairs(n_a, n_b, n_pairs, skews, rng):
    """
    Distinct pairs of levels, each level at least once and hardly with all others.

    Parameters
    ----------
    n_a, n_b : int
        Numbers of levels.
    n_pairs : int
        Number of pairs.
    skews : tuple of float
        How unequal the levels of either factor are, see `shares`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of ndarray
        Levels of each pair, in random order, shapes (n_pairs,).
    """
    shares_a, shares_b = (
        np.minimum(shares(n, skew, rng), 0.5 * others / n_pairs)
        for n, others, skew in ((n_a, n_b, skews[0]), (n_b, n_a, skews[1]))
    )
    shares_a, shares_b = shares_a / shares_a.sum(), shares_b / shares_b.sum()
    every_a = np.arange(n_a) * n_b + rng.choice(n_b, n_a, p=shares_b)
    every_b = rng.choice(n_a, n_b, p=shares_a) * n_b + np.arange(n_b)
    found = np.unique(np.concatenate([every_a, every_b]))
    while len(found) < n_pairs:
        a = rng.choice(n_a, n_pairs, p=shares_a)
        more = a * n_b + rng.choice(n_b, n_pairs, p=shares_b)
        more = np.setdiff1d(more, found)
        left = n_pairs - len(found)
        found = np.concatenate([found, rng.permutation(more)[:left]])
    return np.divmod(rng.permutation(found), n_b)


def response(rng, data, deviations, slopes=None):
    """A response with random intercepts, and slopes of x with the same deviations."""
    y = 1.0 + 0.2 * data["x"].to_numpy() + rng.standard_normal(len(data))
    for name, deviation in deviations.items():
        levels = data[name].to_numpy()
        y += deviation * rng.standard_normal(levels.max() + 1)[levels]
        if slopes:
            u = slopes * rng.standard_normal(levels.max() + 1)
            y += u[levels] * data["x"].to_numpy()
    return y.round(6)


def crossed(n_a, n_b, n_pairs, skews, seed):
    """Two crossed factors and a covariate, each pair of levels in one row at most."""
    rng = np.random.default_rng(seed)
    a, b = distinct_pairs(n_a, n_b, n_pairs, skews, rng)
    x = rng.standard_normal(n_pairs).round(6)
    data = pd.DataFrame({"a": a, "b": b, "x": x})
    return data.assign(y=response(rng, data, {"a": 0.4, "b": 0.6}))


def ratings(n_users=6_040, n_movies=3_706, nobs=1_000_209, skew=1.6):
    """Ratings with the margins of MovieLens 1M."""
    return crossed(n_users, n_movies, nobs, (1.0, skew), 1)


def more_ratings():
    """Ratings with the margins of MovieLens 32M, most of the movies with few."""
    return ratings(200_948, 84_432, 26_000_000, 2.9)


def moves(n_people, n_places, n_years, chance, local, rng):
    """
    Where people are each year, who move now and then.

    Parameters
    ----------
    n_people, n_places, n_years : int
        Numbers of people, places and years.
    chance : float
        Chance of a move each year.
    local : int
        Number of places in a neighbourhood, which a move leaves with a chance of 0.1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of ndarray
        Person and place of each row.
    """
    share = shares(n_places, 1.0, rng)
    home = rng.choice(n_places, n_people, p=share)
    places = np.empty((n_years, n_people), dtype=np.int64)
    places[0] = home
    for year in range(1, n_years):
        near = home - home % local + rng.integers(local, size=n_people)
        far = rng.choice(n_places, n_people, p=share)
        new = np.where(rng.random(n_people) < 0.1, far, np.minimum(near, n_places - 1))
        places[year] = np.where(rng.random(n_people) < chance, new, places[year - 1])
    _, places = np.unique(places, return_inverse=True)
    return np.tile(np.arange(n_people), n_years), places.reshape(-1)


def workers(n_workers=1_000_000, n_firms=100_000, n_years=6):
    """Wages of workers who change firms in a quarter of the years, mostly nearby."""
    rng = np.random.default_rng(4)
    worker, firm = moves(n_workers, n_firms, n_years, 0.25, 50, rng)
    data = pd.DataFrame({"worker": worker, "firm": firm})
    data["x"] = rng.standard_normal(len(data)).round(6)
    return data.assign(y=response(rng, data, {"worker": 0.8, "firm": 0.4}))


def teachers(n_students=100_000, n_teachers=20_000, n_years=8):
    """Scores of students with another teacher each year, mostly of the same school."""
    rng = np.random.default_rng(5)
    student, teacher = moves(n_students, n_teachers, n_years, 1.0, 40, rng)
    data = pd.DataFrame({"student": student, "teacher": teacher})
    data["x"] = rng.standard_normal(len(data)).round(6)
    return data.assign(y=response(rng, data, {"student": 0.8, "teacher": 0.3}))


def parquet(nobs=50_000_000, n_users=200_000, n_movies=20_000, batch=1_000_000):
    """A folder of Parquet files with rows that are never in memory at once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    rng = np.random.default_rng(7)
    user, movie = 0.4 * rng.standard_normal(n_users), rng.standard_normal(n_movies)
    for start in range(0, nobs, batch):
        size = min(batch, nobs - start)
        a, b = rng.integers(n_users, size=size), rng.integers(n_movies, size=size)
        x = rng.standard_normal(size).round(2)
        y = user[a] + 0.6 * movie[b] + 0.2 * x + rng.standard_normal(size)
        data = pd.DataFrame({"a": a, "b": b, "x": x, "y": y.round(2)})
        data = data.astype({"a": np.int32, "b": np.int32})
        data.to_parquet(folder / f"{start // batch:04}.parquet")
    return folder


def lexicon(n_words=80_962, n_people=814, nobs=2_745_952):
    """Lexical decisions with the margins of the English Lexicon Project."""
    rng = np.random.default_rng(2)
    data = crossed(n_words, n_people, nobs, (0.05, 0.05), 2)
    word = rng.integers(2, size=n_words)[data["a"]]
    renamed = data.rename(columns={"a": "word", "b": "person"})
    return renamed.assign(nonword=word, y=data["y"] + 0.1 * word)


def slopes_by_three(sizes=(9_452, 344, 68), nobs=130_418):
    """Slopes by three partially crossed factors, with the margins of "d3"."""
    rng = np.random.default_rng(3)
    levels = [rng.choice(n, nobs, p=shares(n, 0.5, rng)) for n in sizes]
    for level, n in zip(levels, sizes):
        level[:n] = rng.permutation(n)
    data = pd.DataFrame(dict(zip("ghi", levels)))
    data["x"] = rng.standard_normal(nobs).round(6)
    return data.assign(y=response(rng, data, dict.fromkeys("ghi", 0.4), 0.2))


SHAPES = {
    "million": Shape(
        "y ~ x + (1 | a) + (1 | b)", million, "50,000 x 5,000, a million rows"
    ),
    "ml-1m": Shape(
        "y ~ x + (1 | a) + (1 | b)", ratings, "6,040 x 3,706, a million, long tails"
    ),
    "ml-32m": Shape(
        "y ~ x + (1 | a) + (1 | b)",
        more_ratings,
        "200,948 x 84,432, 26 million distinct pairs, long tails",
    ),
    "workers": Shape(
        "y ~ x + (1 | worker) + (1 | firm)",
        workers,
        "1,000,000 workers x 100,000 firms, 6 million rows",
    ),
    "teachers": Shape(
        "y ~ x + (1 | student) + (1 | teacher)",
        teachers,
        "100,000 students x 20,000 teachers, 800,000 rows",
    ),
    "parquet": Shape(
        "y ~ x + (1 | a) + (1 | b)",
        parquet,
        "200,000 x 20,000, 50 million rows in Parquet files",
    ),
    "lexicon": Shape(
        "y ~ x + nonword + (1 | word) + (1 | person)",
        lexicon,
        "80,962 x 814, 2.7 million rows",
    ),
    "d3": Shape(
        "y ~ x + (x | g) + (x | h) + (x | i)",
        slopes_by_three,
        "9,452, 344 and 68 levels with slopes, 130,418 rows",
    ),
}

# ---------------------------------------------------------------------------
# Fits


@dataclass(frozen=True)
class Record:
    """
    A fit.

    Parameters
    ----------
    seconds, cpu : float
        Time from the formula to the summary, and CPU time of all threads.
    peak, growth : float
        Largest resident set in megabytes, and its excess over that before the fit.
    evaluations : int or None
        Evaluations of the criterion, if they are told.
    criterion : float
        -2 times the restricted log-likelihood, or for GPBoost the log-likelihood.
    theta : list of float
        The relative covariance parameters.
    error : float
        Largest Monte-Carlo error of theta in standard errors; 0.0 if exact.
    """

    seconds: float
    cpu: float
    peak: float
    growth: float
    evaluations: int
    criterion: float
    theta: list
    error: float = 0.0


def ours(engine):
    """The fit by statsmodels_lmm with an engine, and the printing of its summary."""

    def fit(shape, data):
        from statsmodels_lmm.formula.api import crossedmixedlm

        result = crossedmixedlm(shape.formula, data).fit(engine=engine)
        str(result.summary())
        error, table = 0.0, result.monte_carlo
        if table is not None:
            error = float((table["mc_se"] / table["se"]).max())
        evaluations = result.optimum.evaluations
        return evaluations, -2.0 * result.llf, result.theta.tolist(), error

    return fit


def gpboost(shape, data):
    """Fit by the iterative method of GPBoost."""
    import gpboost as gpb

    factors = re.findall(r"\(1 \| (\w+)\)", shape.formula)
    columns = re.findall(r"(\w+) \+", shape.formula.split("~")[1])
    model = gpb.GPModel(
        group_data=data[factors].to_numpy(),
        likelihood="gaussian",
        matrix_inversion_method="iterative",
    )
    exog = np.column_stack([np.ones(len(data)), data[columns]])
    model.fit(y=data["y"].to_numpy(), X=exog)
    residual, *variances = np.ravel(model.get_cov_pars())[: len(factors) + 1]
    theta = np.sqrt(np.array(variances) / residual).tolist()
    return None, 2.0 * model.get_current_neg_log_likelihood(), theta, 0.0


def glmm(shape, data):
    """Fit by glmm, with a core in Rust."""
    sys.path[:] = [path for path in sys.path if Path(path) != HERE]  # has a glmm.py
    import glmm as package

    factors = re.findall(r"\| (\w+)\)", shape.formula)
    data = data.assign(**{name: data[name].astype("category") for name in factors})
    result = package.fit(data, shape.formula, "gaussian", reml=True)
    return result.n_eval, -2.0 * result.loglik, [], 0.0


@cache
def cluster():
    """A client of two processes on this machine, each with one thread."""
    import dask
    from distributed import Client, LocalCluster

    # as the page on large data advises
    place = "distributed.nanny.pre-spawn-environ.MALLOC_"
    sizes = {"TRIM_THRESHOLD_": 2**26, "MMAP_THRESHOLD_": 2**25}
    dask.config.set({place + name: size for name, size in sizes.items()})
    processes = LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=None
    )
    client = Client(processes)
    atexit.register(processes.close)
    atexit.register(client.close)
    return client


def on_cluster(shape, data):
    """The automatic fit of rows that are summed by Dask's processes."""
    import dask.dataframe as dd

    cluster()
    is_frame = isinstance(data, pd.DataFrame)
    rows = dd.from_pandas(data, npartitions=2) if is_frame else dd.read_parquet(data)
    return ours("auto")(shape, rows)


OWN = {engine: ours(engine) for engine in ("auto", "exact", "krylov")}
FITS = {**OWN, "dask": on_cluster, "lmer": None, "gpboost": gpboost, "glmm": glmm}

LMER = """
arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1])
suppressMessages(library(lme4))
small <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
peak <- function(name) {
  status <- if (file.exists("/proc/self/status")) readLines("/proc/self/status") else ""
  found <- grep(name, status, value = TRUE)
  if (length(found)) as.numeric(gsub("[^0-9]", "", found)) / 1024 else NA
}
invisible(gc())
before <- peak("VmRSS")
start <- proc.time()
fit <- lmer(as.formula(arguments[2]), data)
invisible(capture.output(print(summary(fit))))
spent <- proc.time() - start
cat(spent[["elapsed"]], spent[["user.self"]] + spent[["sys.self"]], peak("VmHWM"),
    before, fit@optinfo$feval, format(REMLcrit(fit), digits = 15), getME(fit, "theta"))
"""


def by_lmer(rscript, shape):
    """The Record of a fit by lme4."""
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "data.csv", Path(folder) / "lmer.R"
        shape.data().to_csv(data, index=False)
        script.write_text(LMER)
        command = [rscript, str(script), str(data), shape.formula]
        touch()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    seconds, cpu, peak, before, evaluations, value, *theta = map(
        float, done.stdout.split()
    )
    return Record(seconds, cpu, peak, peak - before, int(evaluations), value, theta)


def resident(which):
    """Megabytes of the resident set, "VmRSS" now or "VmHWM" at its largest."""
    status = Path("/proc/self/status")
    if not status.exists():  # only Linux forgets earlier peaks
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[which].split()[0]) / 1024


def touch(gigabytes=4):
    """Have a virtual machine be given memory now, rather than while a fit is timed."""
    np.ones(gigabytes * 2**27)


def measured(shape, fit):
    """Simulate a design, fit it and return a Record."""
    rng = np.random.default_rng(0)
    small = pd.DataFrame({"a": np.repeat(np.arange(8), 6), "b": np.tile(range(6), 8)})
    small["x"] = rng.standard_normal(len(small))
    small["y"] = response(rng, small, {"a": 1.0, "b": 1.0})
    fit(Shape("y ~ x + (1 | a) + (1 | b)", None, "to import everything"), small)
    data = shape.data()
    touch()
    if STATUS.exists():
        STATUS.write_text("5")
    before, start, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    evaluations, criterion, theta, error = fit(shape, data)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resident("VmHWM")
    growth = peak - before
    return Record(seconds, cpu, peak, growth, evaluations, criterion, theta, error)


def in_own_process(name, fit, options):
    """The Record of one fit in a new process."""
    others = {"gpboost": options.gpboost_python, "glmm": options.glmm_python}
    python = others.get(fit) or sys.executable
    command = [python, str(Path(__file__).resolve()), "worker", name, fit]
    names = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"
    environment = {**os.environ, **dict.fromkeys(names, str(options.threads))}
    if fit == "lmer":
        command.append(options.rscript)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return Record(**json.loads(done.stdout.splitlines()[-1]))


def worker(name, fit, *rscript):
    """Print the record of a fit."""
    if fit == "lmer":
        record = by_lmer(*rscript, SHAPES[name])
    else:
        record = measured(SHAPES[name], FITS[fit])
    print(json.dumps(record.__dict__))


def main():
    """Print a table of fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--fits", nargs="+", choices=FITS, default=["auto"])
    parser.add_argument("--threads", type=int, default=1, help="of BLAS")
    parser.add_argument("--lmer", type=float, help="seconds of lmer for sleepstudy")
    parser.add_argument("--rscript", default="Rscript", help="the one that finds lme4")
    parser.add_argument("--gpboost-python", help="the Python that finds gpboost")
    parser.add_argument("--glmm-python", help="the Python that finds glmm")
    parser.add_argument("--json", type=Path, help="file for the records")
    options = parser.parse_args()

    for fit in {"gpboost", "glmm"}.intersection(options.fits):
        if not getattr(options, f"{fit}_python"):
            parser.error(f"--{fit}-python is needed for {fit}")

    head = ["shape", "fit", "seconds", "CPU", "peak MB", "growth", "eval.", "error"]
    head.append("criterion")
    rows, records = [], []
    for name in options.only:
        print(f"{name}: {SHAPES[name].formula}, {SHAPES[name].about}", flush=True)
        for fit in options.fits:
            try:
                record = in_own_process(name, fit, options)
            except subprocess.CalledProcessError as error:
                print(f"{fit}: {error}", file=sys.stderr)
                continue
            records.append({"shape": name, "fit": fit, **record.__dict__})
            row = [name, fit, f"{record.seconds:.2f}", f"{record.cpu:.2f}"]
            row += [f"{record.peak:.0f}", f"{record.growth:.0f}"]
            row += [str(record.evaluations or ""), f"{record.error:.2g}"]
            row.append(f"{record.criterion:.6f}")
            print(*row, [round(t, 6) for t in record.theta], flush=True)
            if options.lmer:
                row.append(f"{record.seconds / options.lmer:.1f}")
            rows.append(row)
    print()
    print_table(head + ["ratio"] * bool(options.lmer), rows)
    if options.json:
        options.json.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:])
    else:
        main()
