"""
Time fits of one model to many responses.

Three works: correlated slopes, random intercepts, and crossed factors with missing
values of each response's own, each with Satterthwaite's degrees of freedom of every
coefficient. In the same run lmerTest (a loop in R) fits a few of the responses, and
flash-mm (https://pypi.org/project/flash-mm) some of those with random intercepts; both
are skipped if not installed. Coefficients are compared. Each of our works runs in a
process of its own, so that its peak memory is known. See README.rst.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from side_by_side import print_table

from statsmodels_lmm.formula.api import crossedmixedlm

WORKS = {
    "slopes": ("~ days + (days | subject)", 20_000, 3.0),
    "intercepts": ("~ age + treat + (1 | g)", 100_000, 6.0),
    "crossed": ("~ cond + load + (1 | subj) + (1 | item)", 2_000, 3.0),
}
"""Formula, number of responses, and seconds that are aimed at."""

DRAWN = 500
"""Number of responses drawn at once."""

LMERTEST = """
suppressMessages(library(lmerTest))
a <- commandArgs(TRUE)
d <- read.csv(a[1]); y <- read.csv(a[2], header = FALSE)
for (f in strsplit(a[4], ",")[[1]]) d[[f]] <- factor(d[[f]])
formula <- as.formula(paste("y", a[3]))
out <- NULL; start <- proc.time()[["elapsed"]]
for (i in seq_len(ncol(y))) {
  d$y <- y[[i]]
  m <- suppressMessages(suppressWarnings(lmer(formula, d)))
  out <- rbind(out, cbind(i, coef(summary(m))[, 1:3]))
}
cat(proc.time()[["elapsed"]] - start, "\\n")
write.csv(out, a[5], row.names = FALSE)
"""

FLASH = """
import sys, time
import numpy as np
from flash_mm import lmmfit
given = np.load(sys.argv[1])
start = time.perf_counter()
fit = lmmfit(given["y"], given["x"], given["z"], d=[given["z"].shape[1]])
print(time.perf_counter() - start)
np.save(sys.argv[2], np.asarray(fit["coef"]).T)
"""


# ---------------------------------------------------------------------------
# Data


def rows(work, rng):
    """Rows, and pairs (codes, effect columns) of the random effects."""
    if work == "slopes":
        subject, days = np.divmod(np.arange(180), 10)
        frame = pd.DataFrame({"subject": subject, "days": days.astype(float)})
        effects = [(subject, np.column_stack([np.ones(180), days / 5]))]
    elif work == "intercepts":
        g = np.sort(rng.integers(0, 40, 400))
        g = np.unique(g, return_inverse=True)[1]
        frame = pd.DataFrame({"g": g, "age": rng.normal(size=400)})
        frame["treat"] = (g % 2).astype(float)
        effects = [(g, np.ones((400, 1)))]
    else:
        subj, item = np.divmod(np.arange(56 * 32), 32)
        frame = pd.DataFrame({"subj": subj, "item": item})
        frame["cond"] = ((subj + item) % 2).astype(float)
        frame["load"] = rng.normal(size=len(frame))
        one = np.ones((len(frame), 1))
        effects = [(subj, one), (item, one)]
    return frame, effects


def responses(work, count, rng, frame, effects):
    """Responses (n, count) with variances that may be zero; a tenth is missing."""
    n, out = len(frame), np.empty((len(frame), count))
    m = DRAWN  # so that fewer responses are the first of more
    for start in range(0, count, m):
        y = rng.normal(size=(n, m)) + rng.normal(size=m)
        for codes, z in effects:
            for column in z.T:
                sd = np.exp(rng.normal(size=m) - 0.5) * (rng.random(m) > 0.3)
                b = rng.normal(size=(codes.max() + 1, m)) * sd
                y += b[codes] * column[:, None]
        if work == "crossed":
            y[rng.random(y.shape) < 0.1] = np.nan
        out[:, start : start + m] = y[:, : count - start]
    return out


def made(work, count, seed=1):
    """Rows and responses of a work."""
    rng = np.random.default_rng(seed)
    frame, effects = rows(work, rng)
    return frame, responses(work, count, rng, frame, effects)


# ---------------------------------------------------------------------------
# Tools


def ours(work, count, n_jobs, repeats):
    """Seconds of each run, processor seconds, coefficients, df and peak MB."""
    frame, y = made(work, count)
    model = crossedmixedlm(WORKS[work][0], frame)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        many = model.fit_many(y, n_jobs=n_jobs, progress=False)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "processor": processor,
        "params": many.params.to_numpy(),
        "df": many.df.to_numpy(),
        "singular": many.singular.to_numpy(),
        "proved": float(many.converged.mean()),
        "failed": many.n_failed,
        "memory": peak - before,
        "data": y.nbytes / 2**20,
    }


def lmertest(work, count):
    """Seconds a response, coefficients (count, p) and df; None if not installed."""
    if shutil.which("Rscript") is None:
        return None
    frame, y = made(work, count)
    factors = [c for c in ("subject", "g", "subj", "item") if c in frame]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / n) for n in ("rows.csv", "y.csv", "out.csv")]
        frame.to_csv(paths[0], index=False)
        pd.DataFrame(y).to_csv(paths[1], index=False, header=False, na_rep="NA")
        script = Path(folder) / "loop.R"
        script.write_text(LMERTEST)
        command = ["Rscript", str(script), *paths[:2], WORKS[work][0]]
        done = subprocess.run(
            [*command, ",".join(factors), paths[2]], capture_output=True, text=True
        )
        if done.returncode:
            print(done.stderr[-300:], file=sys.stderr)
            return None
        table = pd.read_csv(paths[2])
    p = len(table) // count
    values = table.to_numpy()[:, [1, 3]].reshape(count, p, 2)
    return {
        "each": float(done.stdout.split()[-1]) / count,
        "params": values[..., 0],
        "df": values[..., 1],
    }


def flash(python, work, count):
    """Seconds a response and coefficients; None if not installed."""
    if python is None or work != "intercepts":
        return None
    frame, y = made(work, count)
    z = (frame["g"].to_numpy()[:, None] == np.arange(frame["g"].max() + 1)).astype(
        float
    )
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["treat"]])
    with tempfile.TemporaryDirectory() as folder:
        given, out = str(Path(folder) / "in.npz"), str(Path(folder) / "out.npy")
        np.savez(given, y=np.ascontiguousarray(y.T), x=x, z=z)
        done = subprocess.run(
            [python, "-c", FLASH, given, out], capture_output=True, text=True
        )
        if done.returncode:
            print(done.stderr[-300:], file=sys.stderr)
            return None
        return {"each": float(done.stdout.split()[-1]) / count, "params": np.load(out)}


# ---------------------------------------------------------------------------
# p-values


def uniformity(count):
    """Shares of p-values below levels where nothing is true, by df method."""
    rng = np.random.default_rng(2)
    frame, effects = rows("slopes", rng)
    codes, z = effects[0]
    table = []
    for label, sd in (("positive variances", 0.7), ("a variance of zero", 0.0)):
        y = rng.normal(size=(len(frame), count))
        for column, size in zip(z.T, (0.7, sd)):
            b = rng.normal(size=(codes.max() + 1, count)) * size
            y += b[codes] * column[:, None]
        many = crossedmixedlm(WORKS["slopes"][0], frame).fit_many(y, progress=False)
        for method in ("satterthwaite", "asymptotic"):
            p = many.t_test("days", method)["p"].to_numpy()
            shares = [f"{(p < level).mean():.4f}" for level in (0.05, 0.01, 0.001)]
            ks = stats.kstest(p, "uniform").pvalue
            table.append([label, method, *shares, f"{ks:.2g}"])
    print(f"\np-values of {count:,} responses without an effect")
    print_table(["", "df", "< .05", "< .01", "< .001", "uniform, p"], table)


# ---------------------------------------------------------------------------


def compared(work, args):
    """One row of the table of times."""
    _, usual, aim = WORKS[work]
    count = max(20, int(usual * args.size))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        mine = pool.submit(ours, work, count, args.n_jobs, args.repeats).result()
    best = min(mine["seconds"])
    row = {
        "work": work,
        "responses": f"{count:,}",
        "seconds": " ".join(f"{s:.2f}" for s in mine["seconds"]),
        "cpu": f"{min(mine['processor']):.2f}",
        "aim": f"{aim * count / usual:.2f}",
        "ms each": f"{best / count * 1e3:.3f}",
        "MB": f"{mine['memory']:.0f}",
        "proved": f"{mine['proved']:.4f}",
    }
    peers = {
        "lmerTest": lmertest(work, min(args.lmertest, count))
        if args.lmertest
        else None,
        "flash-mm": flash(args.flash_python, work, min(args.flash, count)),
    }
    for name, peer in peers.items():
        if peer is None:
            row[name] = ""
            continue
        k = len(peer["params"])
        # a smaller work has the same first responses
        error = np.abs(peer["params"] - mine["params"][:k]).max()
        row[name] = f"{peer['each'] / best * count:.0f} times ({error:.0e})"
        if "df" in peer:
            regular = ~mine["singular"][:k]
            ratio = np.abs(peer["df"] / mine["df"][:k] - 1.0)[regular]
            row["df"] = f"{np.median(ratio):.0e}"
    return row


def main():
    """Run the works and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=WORKS)
    parser.add_argument("--size", type=float, default=1.0, help="share of responses")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lmertest", type=int, default=20, help="responses; 0: none")
    parser.add_argument("--flash", type=int, default=500, help="responses")
    parser.add_argument("--flash-python", help="a Python that has flash-mm")
    parser.add_argument("--pvalues", type=int, default=0, help="responses")
    parser.add_argument("--json", help="where to keep the rows")
    args = parser.parse_args()
    table = [compared(work, args) for work in args.works]
    columns = list(dict.fromkeys(name for row in table for name in row))
    print_table(columns, [[row.get(c, "") for c in columns] for row in table])
    if args.pvalues:
        uniformity(args.pvalues)
    if args.json:
        Path(args.json).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
