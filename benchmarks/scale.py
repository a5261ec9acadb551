"""
Time fits of large crossed designs, with the memory that they take.

Every fit has a process of its own, which simulates the data, imports the package and
fits one small model, so that only the fit is timed: from the formula to the summary. To
add a design, write a function that simulates it and an entry of `SHAPES`; to add an
engine or an option of a fit, write an entry of `FITS`.

The ratio is that of the fit's time to the time that lme4 takes for sleepstudy on the
same machine, if given by ``--lmer``. Memory is the largest resident set of the process
during the fit, and what it had grown by.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from side_by_side import million, print_table

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
        Returns the data as a DataFrame.
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
    Distinct pairs of levels, each level at least once.

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
    shares_a, shares_b = shares(n_a, skews[0], rng), shares(n_b, skews[1], rng)
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


def ratings(n_users=6_040, n_movies=3_706, nobs=1_000_209):
    """Ratings with the margins of MovieLens 1M."""
    return crossed(n_users, n_movies, nobs, (1.0, 1.6), 1)


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
    "ratings": Shape(
        "y ~ x + (1 | a) + (1 | b)", ratings, "6,040 x 3,706, long tails, a million"
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
    evaluations : int
        Evaluations of the criterion.
    criterion : float
        -2 times the (restricted) log-likelihood.
    theta : list of float
        The relative covariance parameters.
    """

    seconds: float
    cpu: float
    peak: float
    growth: float
    evaluations: int
    criterion: float
    theta: list


def ours(shape, data):
    """Fit by statsmodels_lmm with its defaults, and print the summary."""
    from statsmodels_lmm.formula.api import crossedmixedlm

    result = crossedmixedlm(shape.formula, data).fit()
    str(result.summary())
    return result.optimum.evaluations, -2.0 * result.llf, result.theta.tolist()


FITS = {"ours": ours}


def resident(which):
    """Megabytes of the resident set, "VmRSS" now or "VmHWM" at its largest."""
    status = Path("/proc/self/status")
    if not status.exists():  # only Linux forgets earlier peaks
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[which].split()[0]) / 1024


def measured(shape, fit):
    """Simulate a design, fit it and return a Record."""
    small = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 7], "x": [1.0, 2, 3, 1, 2, 4]})
    small = small.assign(a=[0, 0, 1, 1, 2, 2])
    fit(Shape("y ~ x + (1 | a)", None, "to import everything"), small)
    data = shape.data()
    if STATUS.exists():
        STATUS.write_text("5")
    before, start, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    evaluations, criterion, theta = fit(shape, data)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resident("VmHWM")
    return Record(seconds, cpu, peak, peak - before, evaluations, criterion, theta)


def in_own_process(name, fit, threads):
    """The Record of one fit in a new process."""
    command = [sys.executable, str(Path(__file__).resolve()), "worker", name, fit]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return Record(**json.loads(done.stdout.splitlines()[-1]))


def worker(name, fit):
    record = measured(SHAPES[name], FITS[fit])
    print(json.dumps(record.__dict__))


def main():
    """Print a table of fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS))
    parser.add_argument("--threads", type=int, default=1, help="of BLAS")
    parser.add_argument("--lmer", type=float, help="seconds of lmer for sleepstudy")
    parser.add_argument("--json", type=Path, help="file for the records")
    options = parser.parse_args()

    head = ["shape", "fit", "seconds", "CPU", "peak MB", "growth", "eval.", "criterion"]
    rows, records = [], []
    for name in options.only:
        print(f"{name}: {SHAPES[name].formula}, {SHAPES[name].about}", flush=True)
        for fit in options.fits:
            record = in_own_process(name, fit, options.threads)
            records.append({"shape": name, "fit": fit, **record.__dict__})
            row = [name, fit, f"{record.seconds:.2f}", f"{record.cpu:.2f}"]
            row += [f"{record.peak:.0f}", f"{record.growth:.0f}"]
            row += [str(record.evaluations), f"{record.criterion:.6f}"]
            if options.lmer:
                row.append(f"{record.seconds / options.lmer:.1f}")
            rows.append(row)
    print_table(head + ["ratio"] * bool(options.lmer), rows)
    if options.json:
        options.json.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:])
    else:
        main()
