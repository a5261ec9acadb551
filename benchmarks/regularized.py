"""
What is chosen among many columns, and how long it takes.

``groups`` simulates data of the kind of Schelldorfer, Buehlmann and van de Geer (2011):
25 groups of 6 rows, 300 columns with correlations 0.2 between neighbors, of which four
matter (1.5, 1.2, 1, 2), variances 0.56 between and 1 within groups. It counts the right
and the wrong columns that the extended BIC, the universal penalty and stability
selection choose. ``kinship`` has 1,200 individuals in families, 10,000 genotypes, of
which 20 matter, and a polygenic effect; it compares the first columns of the path with
those of a lasso without kinship, and what rules choose. ``wide`` has more groups and
up to 10,000 columns, and the plain lasso and its BIC for comparison. ``times`` are of
paths of 50 penalties, each once in a process of its own, with the memory beyond that of
the data.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import gammaln
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


def compare_kinship(seeds, sizes=(10, 20, 40, 80)):
    """True and all columns among the first of the path, with kinship and without."""
    first, chosen = [], []
    for seed in seeds:
        y, z, kinship, places = families(np.random.default_rng(seed))

        def counts(columns, places=places):
            return f"{np.isin(places, columns).sum()}/{len(columns)}"

        model = kinship_model(y, z, kinship)
        begin = time.process_time()
        path = model.fit_regularized_path(n_alphas=40, eps=0.4)
        seconds = time.process_time() - begin
        x = (z - z.mean(axis=0)) / z.std(axis=0)
        largest = np.abs(x.T @ (y - y.mean())).max() / len(y)
        alphas = largest * np.geomspace(1.0, 0.2, 60)
        _, coefs, _ = lasso_path(x, y - y.mean(), alphas=alphas)
        for name, fits in (
            ("with kinship", [p.estimate.chosen for p in path.points]),
            ("lasso alone", [np.flatnonzero(b) for b in coefs.T]),
        ):
            each = [max((c for c in fits if len(c) <= m), key=len) for m in sizes]
            first.append([str(seed), name, *map(counts, each)])
        rules = []
        for rule in ("ebic", "bic"):
            place = int(np.flatnonzero(path.alphas == path.best_alpha(rule))[0])
            rules.append(counts(path.points[place].estimate.chosen))
        names = [f"penalized[{j}]" for j in range(z.shape[1])]
        for rule in ("universal", "stability"):
            options = {"n_pairs": 10} if rule == "stability" else {}
            groups = np.arange(len(y)) // 6
            fit = model.fit_regularized(rule, groups=groups, rng=seed, **options)
            rules.append(counts(np.flatnonzero(np.isin(names, fit.selection.chosen))))
        chosen.append([str(seed), *rules, f"{seconds:.1f}"])
    print_table(["seed", "path", *(f"up to {m}" for m in sizes)], first)
    header = ["seed", "ebic", "bic", "universal", "stability", "seconds of the path"]
    print_table(header, chosen)


WIDE = [(25, 300, 10), (30, 500, 10), (60, 1000, 10), (60, 5000, 2), (60, 10_000, 2)]


def simulate_wide(seed):
    """Columns and variances by number of groups and of columns."""
    table = []
    for n_groups, p, count in WIDE:
        ours, plain = [], []
        for k in range(count):
            y, x, g, places = grouped(np.random.default_rng([seed, k]), n_groups, 6, p)
            model = CrossedMixedLM(y, np.ones((len(y), 1)), {"g": g}, penalized=x)
            fit = model.fit_regularized(reml=False)
            names = [f"penalized[{j}]" for j in places]
            found = list(fit.selection.chosen)
            right = np.isin(names, found).sum()
            ours.append([right, len(found) - right, fit.scale, fit.vcomp.iloc[0]])
            columns, s2 = _plain_lasso(y, x)
            right = np.isin(places, columns).sum()
            plain.append([right, len(columns) - right, s2])
        means = [np.mean(part, axis=0) for part in (ours, plain)]
        cells = [f"{value:.2f}" for part in means for value in part]
        table.append([str(n_groups), str(p), str(count), *cells])
    header = ["groups", "p", "sets", "right", "wrong", "s2 (1)", "tau2 (.56)"]
    header += ["lasso: right", "wrong", "s2 (1.56)"]
    print_table(header, table)


def _plain_lasso(y, x):
    """Columns and variance of a lasso without groups, by the extended BIC of refits."""
    n, p = x.shape
    _, coefs, _ = lasso_path(x - x.mean(axis=0), y - y.mean(), eps=0.05)
    best = np.inf, None, None
    for columns in {tuple(np.flatnonzero(b)) for b in coefs.T}:
        m = len(columns)
        if m > n // 3:
            continue
        exog = np.column_stack([np.ones(n), x[:, list(columns)]])
        rest = y - exog @ np.linalg.lstsq(exog, y, rcond=None)[0]
        s2 = np.mean(rest**2)
        choices = gammaln(p + 1.0) - gammaln(m + 1.0) - gammaln(p - m + 1.0)
        value = n * np.log(s2) + np.log(n) * m + 2.0 * choices
        best = min(best, (value, columns, s2))
    return best[1:]


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
    parser.add_argument("what", choices=["groups", "kinship", "wide", "times", "case"])
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--name", default="300 columns")
    options = parser.parse_args()
    if options.what == "groups":
        simulate_groups(options.sets, options.seed)
    elif options.what == "kinship":
        compare_kinship(range(1, options.seeds + 1))
    elif options.what == "wide":
        simulate_wide(options.seed)
    elif options.what == "times":
        time_paths()
    else:
        time_case(options.name)


if __name__ == "__main__":
    main()
