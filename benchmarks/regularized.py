"""
What is chosen among many columns, and how long it takes.

``groups`` simulates data of the kind of Schelldorfer, Buehlmann and van de Geer (2011):
25 groups of 6 rows, 300 columns with correlations 0.2 between neighbors, of which four
matter (1.5, 1.2, 1, 2), variances 0.56 between and 1 within groups. It counts the right
and the wrong columns that the extended BIC, the universal penalty and stability
selection choose. ``kinship`` has 1,200 individuals in families, 10,000 genotypes, of
which 20 matter, and a polygenic effect; it compares the first 40 columns of the path
with those of a lasso without kinship. ``times`` are of paths of 50 penalties, each once
in a process of its own, with the memory beyond that of the data.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from side_by_side import print_table
from sklearn.linear_model import lasso_path

from statsmodels_lmm import CrossedMixedLM

TRUE = np.array([1.5, 1.2, 1.0, 2.0])


def grouped(rng, n_groups=25, size=6, p=300):
    """Response, columns and groups."""
    n, g = n_groups * size, np.repeat(np.arange(n_groups), size)
    x = rng.normal(size=(n, p))
    for j in range(1, p):
        x[:, j] = 0.2 * x[:, j - 1] + np.sqrt(1.0 - 0.04) * x[:, j]
    places = np.arange(4) * (p // 8) + 1
    y = 1.0 + x[:, places] @ TRUE + np.sqrt(0.56) * rng.normal(size=n_groups)[g]
    return y + rng.normal(size=n), x, g, places


def families(rng, n_families=200, p=10_000, causal=20):
    """Response, genotypes, kinship and causal columns of families of six."""
    frequencies = rng.uniform(0.1, 0.5, p)
    parents = rng.random((n_families, 2, 2, p)) < frequencies
    pick = rng.integers(2, size=(n_families, 4, 2, p), dtype=np.int8).astype(bool)
    first, second = parents[:, None, :, 0], parents[:, None, :, 1]
    passed = np.where(pick, first, second).sum(axis=2)
    z = np.concatenate([parents.sum(axis=2), passed], axis=1).astype(np.int8)
    z = z.reshape(-1, p)
    block = np.full((6, 6), 0.5)
    block[0, 1] = block[1, 0] = 0.0
    np.fill_diagonal(block, 1.0)
    root = np.linalg.cholesky(block)
    polygenic = (rng.normal(size=(n_families, 6)) @ root.T).ravel()
    places = np.sort(rng.choice(p, causal, replace=False))
    fixed = z[:, places] @ (rng.choice([-1.0, 1.0], causal) * 0.35)
    y = fixed + 1.1 * polygenic + rng.normal(size=len(z))
    return y, z, np.kron(np.eye(n_families), block), places


def kinship_model(y, z, kinship):
    """The model of individuals with one record each."""
    names = [f"i{i}" for i in range(len(y))]
    kinship = pd.DataFrame(kinship, names, names)
    one = np.ones((len(y), 1))
    return CrossedMixedLM(
        y, one, {"id": names}, relationship={"id": kinship}, penalized=z
    )


def simulate_groups(count, seed):
    """Right and wrong columns over data sets."""
    rows = {name: [] for name in ("ebic", "universal", "stability")}
    for k in range(count):
        y, x, g, places = grouped(np.random.default_rng([seed, k]))
        model = CrossedMixedLM(y, np.ones((len(y), 1)), {"g": g}, penalized=x)
        names = {f"penalized[{j}]" for j in places}
        for rule, found in rows.items():
            if rule == "stability" and k >= 20:
                continue
            fit = model.fit_regularized(rule, rng=k)
            chosen = set(fit.selection.chosen)
            right = len(chosen & names)
            found.append([right, len(chosen) - right, fit.scale, fit.vcomp.iloc[0]])
    table = []
    for rule, found in rows.items():
        found = np.array(found)
        complete = f"{100 * (found[:, 0] == 4).mean():.0f} %"
        means = [f"{value:.2f}" for value in found.mean(axis=0)]
        table.append([rule, str(len(found)), complete, *means])
    header = ["rule", "sets", "all four", "right", "wrong", "s2 (1)", "tau2 (.56)"]
    print_table(header, table)


def compare_kinship(seed, size):
    """True columns among the first of the path, with kinship and without."""
    y, z, kinship, places = families(np.random.default_rng(seed))
    begin = time.perf_counter()
    path = kinship_model(y, z, kinship).fit_regularized_path(n_alphas=40, eps=0.4)
    seconds = time.perf_counter() - begin
    x = (z - z.mean(axis=0)) / z.std(axis=0)
    largest = np.abs(x.T @ (y - y.mean())).max() / len(y)
    alphas = largest * np.geomspace(1.0, 0.2, 60)
    _, coefs, _ = lasso_path(x, y - y.mean(), alphas=alphas)
    header, table = ["columns up to", "with kinship", "true", "lasso alone", "true"], []
    for most in size:
        fits = [p.estimate.chosen for p in path.points]
        ours = max((c for c in fits if len(c) <= most), key=len)
        each = [np.flatnonzero(b) for b in coefs.T]
        other = max((c for c in each if len(c) <= most), key=len)
        cells = [[str(len(c)), str(np.isin(places, c).sum())] for c in (ours, other)]
        table.append([str(most), *cells[0], *cells[1]])
    print_table(header, table)
    print(f"path of {len(path.alphas)} penalties: {seconds:.1f} s")


CASES = {
    "300 columns": lambda rng: grouped(rng)[:3],
    "10,000 columns, n = 1,000": lambda rng: grouped(rng, 100, 10, 10_000)[:3],
    "10,000 int8, n = 1,200, kinship": lambda rng: families(rng)[:3],
    "100,000 int8, n = 1,200, kinship": lambda rng: families(rng, p=100_000)[:3],
}


def time_case(name):
    """Seconds and memory of one path, in this process."""
    y, x, third = CASES[name](np.random.default_rng(1))
    current = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from here
    begin = time.perf_counter()
    if "kinship" in name:
        model = kinship_model(y, x, third)
        path = model.fit_regularized_path(eps=0.4)
    else:
        one = np.ones((len(y), 1))
        model = CrossedMixedLM(y, one, {"g": third}, penalized=x)
        path = model.fit_regularized_path()
    seconds = time.perf_counter() - begin
    criteria = time.perf_counter()
    certified = path.criteria["certified"].all()
    criteria = time.perf_counter() - criteria
    more = f"{(_resident('VmHWM') - current) / 1024:.0f}"
    cells = [len(path.alphas), path.n_nonzero.iloc[-1], f"{seconds:.1f}"]
    print("|".join(map(str, [name, *cells, f"{criteria:.1f}", more, certified])))


def _resident(name):
    """Memory in use or its peak, in kB."""
    with open("/proc/self/status") as lines:
        return next(int(s.split()[1]) for s in lines if s.startswith(name))


def time_paths():
    """A table of times."""
    header = "path,penalties,chosen at last,seconds,criteria,MB more,certified"
    table = []
    for name in CASES:
        command = [sys.executable, __file__, "case", "--name", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        table.append(done.stdout.strip().split("|"))
    print_table(header.split(","), table)


def main():
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["groups", "kinship", "times", "case"])
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default="300 columns")
    options = parser.parse_args()
    if options.what == "groups":
        simulate_groups(options.sets, options.seed)
    elif options.what == "kinship":
        compare_kinship(options.seed, (10, 20, 40, 80))
    elif options.what == "times":
        time_paths()
    else:
        time_case(options.name)


if __name__ == "__main__":
    main()
