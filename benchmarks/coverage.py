"""
Count how often 95 % intervals cover the truth in data simulated from known models.

Each data set is fitted, a linear model by REML, and every kind of interval is computed.
For each method the table shows how often the truth lay below, inside and above the
interval, and how often there was no interval; these add up to 100 %. Some designs
examine a share of the variance, an intraclass correlation or a heritability. For
generalized models a second table shows how often tests at the 5 % level reject what is
true: an effect of zero, and, in data without differences among groups, their variance
of zero. See README.rst.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import joblib
import numpy as np
import pandas as pd
from scipy import special

from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.relationship import numerator_relationship_inverse

ALPHA = 0.05
DF_METHODS = ("satterthwaite", "kenward-roger")
BOOTSTRAP = ("basic", "normal", "studentized", "percentile")
METHODS = ("wald", *DF_METHODS, "profile", *BOOTSTRAP)
SHARE_METHODS = ("wald", "profile", "basic", "normal", "percentile")
TESTS = ("zero: Wald", "zero: likelihood ratio", "variance: likelihood ratio")

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
    sigma : float or None
        Residual standard deviation of a linear model.
    family : str, optional
        Family of a generalized model.
    share : str, optional
        A grouping factor of a linear model: what is examined is its share of the
        variance, not the parameters.
    pedigree : DataFrame, optional
        The parents of the levels of that factor, in two generations: 0 for those of
        founders, which come first.
    """

    formula: str
    rows: Callable
    fixed: dict
    random: dict
    sigma: float | None = None
    family: str | None = None
    share: str | None = None
    pedigree: pd.DataFrame | None = None

    @property
    def methods(self):
        """The methods for intervals."""
        if self.share is not None:
            return SHARE_METHODS
        return [m for m in METHODS if self.family is None or m not in DF_METHODS]

    @property
    def expression(self):
        """The share as a function of the parameters."""
        total = " + ".join(f"var({name})" for name in (*self.random, "Residual"))
        return f"share = var({self.share}) / ({total})"

    def fit(self, y):
        """Fit the model to a response."""
        data = self.rows().assign(y=y)
        if self.pedigree is not None:
            related = {self.share: numerator_relationship_inverse(self.pedigree)}
            model = crossedmixedlm(self.formula, data, relationship_inverse=related)
            return model.fit(reml=True)
        if self.family is None:
            return crossedmixedlm(self.formula, data).fit(reml=True)
        return crossedmixedglm(self.formula, data, family=self.family).fit()

    def without_variance(self):
        """The design with equal groups."""
        none = {g: dict.fromkeys(effects, 0.0) for g, effects in self.random.items()}
        return replace(self, random=none)

    def truth(self):
        """Return the true parameters as a Series, with the package's names."""
        if self.share is not None:
            variances = {g: sd["Intercept"] ** 2 for g, sd in self.random.items()}
            total = sum(variances.values()) + self.sigma**2
            return pd.Series({"share": variances[self.share] / total})
        found = dict(self.fixed)
        for factor, effects in self.random.items():
            names = [name for name in effects if name != "cor"]
            found |= {f"{factor}: sd {name}": effects[name] for name in names}
            if "cor" in effects:
                found[f"{factor}: cor {names[1]}, {names[0]}"] = effects["cor"]
        if self.sigma is not None:
            found["sigma"] = self.sigma
        return pd.Series(found)

    def responses(self, rng, size):
        """Draw responses, shape (size, n)."""
        rows = self.rows().assign(Intercept=1.0)
        mean = sum(value * rows[name] for name, value in self.fixed.items())
        y = np.tile(mean.to_numpy(), (size, 1))
        if self.sigma is not None:
            y += self.sigma * rng.normal(size=y.shape)
        for factor, effects in self.random.items():
            index = rows.groupby(factor.split(":")).ngroup().to_numpy()
            names = [name for name in effects if name != "cor"]
            correlation = np.eye(len(names))
            correlation[correlation == 0] = effects.get("cor", 0.0)
            deviations = np.array([effects[name] for name in names])
            root = deviations[:, None] * np.linalg.cholesky(correlation)
            if self.pedigree is not None:
                index = rows[factor].to_numpy() - 1
                u = root * bred(self.pedigree, rng, size)[..., None]
            else:
                u = rng.normal(size=(size, index.max() + 1, len(names))) @ root.T
            y += (u[:, index] * rows[names].to_numpy()).sum(axis=-1)
        if self.family == "poisson":
            return rng.poisson(np.exp(y)).astype(float)
        if self.family == "binomial":
            return rng.binomial(1, special.expit(y)).astype(float)
        return y


def bred(pedigree, rng, size):
    """Draw additive genetic values of two generations, shape (size, animals)."""
    values = rng.normal(size=(size, len(pedigree)))
    sire, dam = pedigree["sire"].to_numpy(), pedigree["dam"].to_numpy()
    born = sire > 0
    values[:, born] *= np.sqrt(0.5)
    values[:, born] += (values[:, sire[born] - 1] + values[:, dam[born] - 1]) / 2.0
    return values


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


def groups(count):
    """Ten rows in each group, x within groups and zero between them."""
    g, inside = np.divmod(np.arange(10 * count), 10)
    return pd.DataFrame({"g": g, "x": inside / 9.0 - 0.5, "zero": g % 2})


def generalized(family, count):
    """The design of a generalized model."""
    return Design(
        "y ~ x + zero + (1 | g)",
        partial(groups, count),
        {"Intercept": 0.5, "x": 1.0, "zero": 0.0},
        {"g": {"Intercept": 0.6}},
        family=family,
    )


def clusters(count):
    return pd.DataFrame({"g": np.arange(5 * count) // 5})


def intraclass(count, icc):
    """Groups of five rows, with a total variance of 1."""
    return Design(
        "y ~ 1 + (1 | g)",
        partial(clusters, count),
        {"Intercept": 1.0},
        {"g": {"Intercept": np.sqrt(icc)}},
        sigma=np.sqrt(1.0 - icc),
        share="g",
    )


def families(sires=20, dams=40, offspring=160):
    """A pedigree: each sire has two dams, and each dam as many offspring."""
    founders, at = sires + dams, np.arange(offspring)
    parents = {
        "sire": np.append(np.zeros(founders, int), 1 + at % dams % sires),
        "dam": np.append(np.zeros(founders, int), 1 + sires + at % dams),
    }
    return pd.DataFrame({"animal": 1 + np.arange(founders + offspring), **parents})


def bred_records():
    return families().loc[lambda d: d["sire"] > 0, ["animal"]]


def inherited(h2):
    """One record of each animal of the second generation, with a variance of 1."""
    return Design(
        "y ~ 1 + (1 | animal)",
        bred_records,
        {"Intercept": 1.0},
        {"animal": {"Intercept": np.sqrt(h2)}},
        sigma=np.sqrt(1.0 - h2),
        share="animal",
        pedigree=families(),
    )


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
    **{
        f"{family}, {count} groups": generalized(family, count)
        for family in ("poisson", "binomial")
        for count in (8, 30)
    },
    **{
        f"icc {icc}, {count} groups": intraclass(count, icc)
        for icc in (0.1, 0.6)
        for count in (6, 50)
    },
    "heritability 0.4": inherited(0.4),
}


# ---------------------------------------------------------------------------
# Intervals of one data set


def intervals(result, design, replicates, rng):
    """
    Return all intervals of a fit, (methods, parameters, 2); NaN where there is none.

    Wald intervals are normal, even for standard deviations and correlations.
    """
    names = list(design.truth().index)
    nothing = pd.DataFrame(np.nan, names, ["lower", "upper"])
    boot = result.bootstrap(replicates, rng=rng, n_jobs=1, progress=False)
    tables = boot.conf_int("all", ALPHA)
    found = {m: tables[m].reindex(names) for m in tables.columns.unique("method")}
    if result.converged:
        # short and sparse curves, which change no interval
        curves = result.profile(alpha_max=ALPHA, n_points=2)
        found["profile"] = curves.conf_int(ALPHA).reindex(names)
    for method in set(design.methods) & set(DF_METHODS):
        found[method] = result.conf_int(ALPHA, df_method=method).reindex(names)
    return np.stack([found.get(method, nothing) for method in design.methods])


def share_intervals(result, design, replicates, rng):
    """Return all intervals of the share, (methods, 1, 2); NaN where there is none."""
    derive = partial(result.derive, design.expression, alpha=ALPHA)
    boot = derive("bootstrap", nsim=replicates, rng=rng, n_jobs=1, progress=False)
    found = {kind: boot.conf_int(kind=kind) for kind in SHARE_METHODS[2:]}
    found["wald"] = derive("wald").conf_int()
    found["profile"] = derive("profile").conf_int()
    return np.stack([found[method] for method in design.methods])


def rejections(result, design, without):
    """
    Return whether each test of `TESTS` rejects, NaN where there is none.

    Parameters
    ----------
    result : CrossedMixedGLMResults
        A fit.
    design : Design
        Its design.
    without : ndarray
        A response without differences among groups.
    """
    found = np.full(len(TESTS), np.nan)
    if result.converged:
        found[0] = result.pvalues["zero"] < ALPHA
        smaller = replace(design, formula=design.formula.replace(" + zero", ""))
        other = smaller.fit(result.model.endog)
        if other.converged:
            found[1] = result.compare_lr_test(other).pvalue < ALPHA
    equal = design.without_variance().fit(without)
    if equal.converged:
        found[2] = equal.random_effect_tests()["pvalue_mixture"].iloc[-1] < ALPHA
    return found


def examine(design, y, without, replicates, rng):
    """
    Fit one data set: whether the fit is singular, the intervals and the tests.

    Without replicates there are no intervals.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = design.fit(y)
        found = np.zeros(0)
        if replicates:
            every = intervals if design.share is None else share_intervals
            found = every(result, design, replicates, rng)
        tests = np.zeros(0)
        if design.family is not None:
            tests = rejections(result, design, without)
        return result.is_singular, found, tests


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
        for method, ends in zip(
            design.methods, found[:, :, at].swapaxes(0, 1), strict=True
        ):
            if method not in DF_METHODS or parameter in design.fixed:
                rows[f"{parameter} = {truth:g}", method] = shares(ends, truth)
    columns = ["below", f"inside (se {error:.1f})", "above", "none", "mean width"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(rows, names=["parameter", "method"])
    print(table.to_string(formatters=["{:.1f}".format] * 4 + ["{:.3g}".format]))
    print()


def print_tests(tests):
    """Print how often tests reject, of shape (r, tests)."""
    error = 100 * np.sqrt(ALPHA * (1 - ALPHA) / len(tests))
    table = pd.DataFrame(
        {
            f"rejected, % (se {error:.1f})": 100 * np.nanmean(tests, axis=0),
            "none, %": 100 * np.isnan(tests).mean(axis=0),
        },
        index=TESTS,
    )
    print(table.to_string(float_format="{:.1f}".format), end="\n\n")


# ---------------------------------------------------------------------------
# The command line


def parse(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    add = parser.add_argument
    add("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    add("--datasets", type=int, default=1_000, help="data sets for each design")
    add(
        "--replicates",
        type=int,
        default=499,
        help="bootstrap replicates; 0: only tests",
    )
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
        rng = np.random.default_rng(first)
        y = design.responses(rng, options.datasets)
        without = design.without_variance().responses(rng, options.datasets)
        done = workers(
            joblib.delayed(examine)(
                design, *pair, options.replicates, np.random.default_rng(s)
            )
            for *pair, s in zip(y, without, seeds, strict=True)
        )
        singular, found, tests = map(np.array, zip(*done, strict=True))
        if options.replicates:
            print_design(name, design, singular, found, time.perf_counter() - start)
        if design.family is not None:
            print_tests(tests)


if __name__ == "__main__":
    main()
