"""
Count how often 95 % intervals cover the truth in data simulated from known models.

Each data set is fitted by REML, and every kind of interval is computed. For each method
the table shows how often the truth lay below, inside and above the interval, and how
often there was no interval; these add up to 100 %. See README.rst.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

ALPHA = 0.05
DF_METHODS = ("satterthwaite", "kenward-roger")
METHODS = (
    *("wald", *DF_METHODS, "profile"),
    *("basic", "normal", "studentized", "percentile"),
)

# ---------------------------------------------------------------------------
# Designs


@dataclass(frozen=True)
class Design:
    """
    A model whose parameters are known.

    Parameters
    ----------
    formula : str
        Its formula; the response is y.
    rows : callable
        Returns the covariates and grouping factors, a DataFrame.
    fixed : dict of float
        Fixed effects by name.
    random : dict of dict
        Covariances of the random effects, by grouping factor: standard deviations
        by name of the effect and, for two effects, their correlation as "cor".
    sigma : float
        Residual standard deviation.
    """

    formula: str
    rows: Callable
    fixed: dict
    random: dict
    sigma: float

    def truth(self):
        """Return the true parameters as a Series, with the package's names."""
        found = dict(self.fixed)
        for factor, effects in self.random.items():
            names = [name for name in effects if name != "cor"]
            found |= {f"{factor}: sd {name}": effects[name] for name in names}
            if "cor" in effects:
                found[f"{factor}: cor {names[1]}, {names[0]}"] = effects["cor"]
        return pd.Series({**found, "sigma": self.sigma})

    def responses(self, rng, size):
        """Draw responses, shape (size, n)."""
        rows = self.rows().assign(Intercept=1.0)
        mean = sum(value * rows[name] for name, value in self.fixed.items())
        y = mean.to_numpy() + self.sigma * rng.normal(size=(size, len(rows)))
        for factor, effects in self.random.items():
            index = rows.groupby(factor.split(":")).ngroup().to_numpy()
            names = [name for name in effects if name != "cor"]
            correlation = np.eye(len(names))
            correlation[correlation == 0] = effects.get("cor", 0.0)
            deviations = np.array([effects[name] for name in names])
            root = deviations[:, None] * np.linalg.cholesky(correlation)
            u = rng.normal(size=(size, index.max() + 1, len(names))) @ root.T
            y += (u[:, index] * rows[names].to_numpy()).sum(axis=-1)
        return y


def longitudinal():
    subject, day = np.divmod(np.arange(180), 10)
    return pd.DataFrame({"Subject": subject, "Days": day})


def nested():
    x = np.random.default_rng(100).normal(size=100)
    a, inside = np.divmod(np.arange(100), 10)
    return pd.DataFrame({"a": a, "b": inside // 2, "x": x})


def crossed():
    subject, item = np.divmod(np.arange(200), 10)
    return pd.DataFrame({"s": subject, "i": item, "treated": subject % 2})


def few_levels():
    return pd.DataFrame({"g": np.arange(30) // 5})


DESIGNS = {
    "longitudinal": Design(
        "y ~ Days + (Days | Subject)",
        longitudinal,
        {"Intercept": 250.0, "Days": 10.0},
        {"Subject": {"Intercept": 25.0, "Days": 6.0, "cor": 0.2}},
        sigma=25.0,
    ),
    "nested": Design(
        "y ~ x + (1 | a/b)",
        nested,
        {"Intercept": 1.0, "x": 0.5},
        {"a": {"Intercept": 0.4}, "a:b": {"Intercept": 0.4}},
        sigma=1.0,
    ),
    "crossed": Design(
        "y ~ treated + (1 | s) + (1 | i)",
        crossed,
        {"Intercept": 1.0, "treated": 0.5},
        {"s": {"Intercept": 0.7}, "i": {"Intercept": 0.5}},
        sigma=1.0,
    ),
    "few levels": Design(
        "y ~ 1 + (1 | g)",
        few_levels,
        {"Intercept": 1.0},
        {"g": {"Intercept": 0.5}},
        sigma=1.0,
    ),
}


# ---------------------------------------------------------------------------
# Intervals of one data set


def intervals(result, names, replicates, rng):
    """
    Return all intervals of a fit, (methods, parameters, 2); NaN where there is none.

    Wald intervals are normal, even for standard deviations and correlations.
    """
    boot = result.bootstrap(replicates, rng=rng, n_jobs=1, progress=False)
    tables = boot.conf_int("all", ALPHA)
    found = {m: tables[m].loc[names] for m in tables.columns.unique("method")}
    # short and sparse curves, which change no interval
    curves = result.profile(alpha_max=ALPHA, n_points=2)
    found["profile"] = curves.conf_int(ALPHA).loc[names]
    for method in DF_METHODS:
        found[method] = result.conf_int(ALPHA, df_method=method).reindex(names)
    return np.stack([found[method].to_numpy() for method in METHODS])


def examine(design, y, replicates, rng):
    """Fit one data set; return whether the fit is singular, and the intervals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = crossedmixedlm(design.formula, design.rows().assign(y=y))
        result = model.fit(reml=True)
        names = list(design.truth().index)
        return result.is_singular, intervals(result, names, replicates, rng)


# ---------------------------------------------------------------------------
# Tables


def shares(ends, truth):
    """
    Count where the truth lies.

    Parameters
    ----------
    ends : ndarray
        Lower and upper ends, shape (r, 2), NaN where there is no interval.
    truth : float
        The truth.

    Returns
    -------
    list of float
        Percentages: below the interval, inside, above, no interval; and the mean
        width of the intervals.
    """
    lower, upper = ends.T
    absent = np.isnan(upper - lower)
    below, above = truth < lower, truth > upper
    where = below, ~(below | above | absent), above, absent
    width = (upper - lower)[~absent]
    return [*(100 * found.mean() for found in where), width.mean()]


def print_design(name, design, singular, found, seconds):
    """Print the table of a design; `found` has shape (r, methods, parameters, 2)."""
    error = 100 * np.sqrt(ALPHA * (1 - ALPHA) / len(found))
    print(f"{name}: {design.formula}, {len(found):,} data sets", end=", ")
    print(f"{100 * np.mean(singular):.1f} % singular fits, {seconds:.0f} s")
    rows = {}
    for at, (parameter, truth) in enumerate(design.truth().items()):
        for method, ends in zip(METHODS, found[:, :, at].swapaxes(0, 1), strict=True):
            if method not in DF_METHODS or parameter in design.fixed:
                rows[f"{parameter} = {truth:g}", method] = shares(ends, truth)
    columns = ["below", f"inside (se {error:.1f})", "above", "none", "mean width"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(rows, names=["parameter", "method"])
    print(table.to_string(formatters=["{:.1f}".format] * 4 + ["{:.3g}".format]))
    print()


# ---------------------------------------------------------------------------
# The command line


def parse(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    add = parser.add_argument
    add("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    add("--datasets", type=int, default=1_000, help="data sets for each design")
    add("--replicates", type=int, default=499, help="bootstrap replicates of each")
    add("--n-jobs", type=int, default=-1, help="number of processes, as in joblib")
    add("--seed", type=int, default=1, help="seed of all random numbers")
    add("--quick", action="store_true", help="100 data sets, 99 replicates")
    options = parser.parse_args(arguments)
    if options.quick:
        options.datasets, options.replicates = 100, 99
    return options


def main(arguments=None):
    """Simulate, fit and print."""
    options = parse(arguments)
    workers = joblib.Parallel(n_jobs=options.n_jobs)
    for name in options.designs:
        design, start = DESIGNS[name], time.perf_counter()
        seed = np.random.SeedSequence([options.seed, list(DESIGNS).index(name)])
        first, *seeds = seed.spawn(options.datasets + 1)
        y = design.responses(np.random.default_rng(first), options.datasets)
        done = workers(
            joblib.delayed(examine)(
                design, one, options.replicates, np.random.default_rng(s)
            )
            for one, s in zip(y, seeds, strict=True)
        )
        singular, found = map(np.array, zip(*done, strict=True))
        print_design(name, design, singular, found, time.perf_counter() - start)


if __name__ == "__main__":
    main()
