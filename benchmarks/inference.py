"""
Time the inference of statsmodels_lmm and of R's lme4, lmerTest and pbkrtest.

The bootstrap, refits, degrees of freedom by Satterthwaite and by Kenward and Roger,
profile intervals, comparisons of means, functions of the parameters, power curves, and
what follows a fit of a generalized model are timed on the same data in the same run:
this package in this process, R in a separate process for each task. Times are medians
over all runs but the first, and exclude the fit. Without R only this package is timed.
See README.rst.
"""

import argparse
import gc
import math
import os
import platform
import resource
import signal
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, methodcaller
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from side_by_side import print_table, version_of

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.relationship import numerator_relationship_inverse

R_CODE = """
suppressMessages(library(lmerTest))
data <- read.csv("{path}")
factors <- strsplit("{factors}", ",")[[1]]
data[factors] <- lapply(data[factors], factor)
m <- {fit}({formula}, data, {how})
times <- c()
while (length(times) <= {repeats} && sum(times) < {enough})
    times <- c(times, sum(system.time({action})[{clock}]))
cat(times)
"""

R_START = 30  # seconds that R may take to start, read and fit

R_CLOCKS = {"elapsed": '"elapsed"', "processor": 'c("user.self", "sys.self")'}
CLOCKS = {"elapsed": time.perf_counter, "processor": time.process_time}

# ---------------------------------------------------------------------------
# Models and data


@dataclass(frozen=True)
class Model:
    """
    A formula that R and this package read alike, and the data to which it is fitted.

    Parameters
    ----------
    formula : str
        The formula.
    data : DataFrame
        The data; grouping factors are not numeric.
    reml : bool
        Whether the REML criterion is used instead of the likelihood.
    family : str, optional
        The family of a generalized model, under the same name in R.
    """

    formula: str
    data: pd.DataFrame
    reml: bool = True
    family: str | None = None

    def model(self):
        """Read the formula and the data."""
        if self.family is None:
            return crossedmixedlm(self.formula, self.data)
        return crossedmixedglm(self.formula, self.data, family=self.family)

    @property
    def options(self):
        """Arguments of our ``fit``."""
        return {"reml": self.reml} if self.family is None else {}

    @property
    def how_in_r(self):
        """Further arguments of lmer or glmer."""
        if self.family is not None:
            return f"family = {self.family}"
        return "REML = TRUE" if self.reml else "REML = FALSE"


def example(name):
    return getattr(datasets, name).load_pandas().data


def crossed_slopes(n_subjects=56, n_items=32):
    """Simulate slopes of one covariate in each of two crossed factors."""
    rng = np.random.default_rng(5632)
    s, i = np.divmod(np.arange(n_subjects * n_items), n_items)
    x = rng.normal(size=len(s))
    y = 1 + 0.5 * x + rng.normal(size=len(s))
    for index, levels in ((s, n_subjects), (i, n_items)):
        u = 0.5 * rng.normal(size=(levels, 2))
        y += u[index, 0] + u[index, 1] * x
    data = pd.DataFrame({"y": y, "x": x, "s": s, "i": i})
    return data.astype({"s": "category", "i": "category"})


def longitudinal(nobs, n_times=10, n_items=20):
    """Simulate subjects in two groups, with two covariates that vary within them."""
    rng = np.random.default_rng(nobs)
    subject, at = np.divmod(np.arange(nobs), n_times)
    n_subjects = nobs // n_times
    item = (3 * subject + at) % n_items
    x, z = rng.normal(size=(2, nobs))
    group = subject % 2
    u = 0.5 * rng.normal(size=(n_subjects, 2))
    y = 1 + 0.5 * x + u[subject, 0] + u[subject, 1] * x + rng.normal(size=nobs)
    y += 0.5 * rng.normal(size=n_items)[item]
    columns = {"x": x, "z": z, "group": group, "subject": subject, "item": item}
    data = pd.DataFrame({"y": y, **columns})
    return data.astype({"subject": "category", "item": "category"})


def wide(nobs=60_000, n_groups=300, n_levels=6):
    """Simulate 42 fixed effects: a polynomial for each level of a factor."""
    rng = np.random.default_rng(nobs)
    x, g = rng.uniform(-1.0, 1.0, nobs), rng.integers(n_groups, size=nobs)
    y = rng.normal(size=n_groups)[g] + rng.normal(size=nobs)
    data = pd.DataFrame({"y": y, "g": g, "f": rng.integers(n_levels, size=nobs)})
    for power in range(1, 7):
        data[f"x{power}"] = x**power
    return data.astype({"g": "category", "f": "category"})


# ---------------------------------------------------------------------------
# Clocks


def our_seconds(model, action, options):
    """Time an action on a result; each run has its own fit, so nothing is cached."""
    fitted, clock = model.model(), CLOCKS[options.clock]
    times = []
    while len(times) <= options.repeats and sum(times) < options.enough:
        result = fitted.fit(**model.options)
        gc.collect()
        gc.disable()
        start = clock()
        action(result)
        times.append(clock() - start)
        gc.enable()
    return median(times[1:] or times)


def r_seconds(model, action, options, fit="lme4::lmer"):
    """Time an R expression on the fit `m`; a string if there is no time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        model.data.to_csv(path, index=False)
        numeric = model.data.select_dtypes("number")
        code = R_CODE.format(
            path=path,
            factors=",".join(model.data.columns.difference(numeric.columns)),
            fit=fit,
            formula=model.formula,
            how=model.how_in_r,
            repeats=options.repeats,
            enough=options.enough,
            action=action,
            clock=R_CLOCKS[options.clock],
        )
        return run_r(code, options)


def run_r(code, options):
    """Run R code that prints seconds; return the median without the first run."""
    room = {"R_MAX_VSIZE": f"{options.memory:g}Gb"}
    allowed, limits = options.cap + R_START, {}
    if options.clock == "processor":
        seconds = math.ceil(allowed)
        limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (seconds, seconds))
        allowed, limits = None, {"preexec_fn": limit}
    try:
        done = subprocess.run(
            [options.rscript, "-e", code],
            capture_output=True,
            text=True,
            timeout=allowed,
            env={**os.environ, **room},
            **limits,
        )
    except OSError:
        return "-"
    except subprocess.TimeoutExpired:
        return f"over {options.cap:g}"
    if done.returncode:
        if done.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
            return f"over {options.cap:g}"
        if options.verbose:
            print(done.stderr)
        full = "memory exhausted" in done.stderr or "cannot alloc" in done.stderr
        return f"over {options.memory:g} GiB" if full else "failed"
    times = [float(word) for word in done.stdout.split()]
    return median(times[1:] or times)


def r_cells(ours, theirs, options):
    """Return the time of R and its ratio to ours as text."""
    if not isinstance(theirs, str):
        return format(theirs, ".4g"), format(theirs / ours, ".3g")
    if theirs == f"over {options.cap:g}":
        return theirs, f"over {options.cap / ours:.3g}"
    return theirs, "-"


# ---------------------------------------------------------------------------
# Tasks


def bootstraps(options):
    """Time refits to simulated responses against lme4's bootMer, per replicate."""
    sleepstudy = Model("Reaction ~ Days + (Days | Subject)", example("sleepstudy"))
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    penicillin = Model(formula, example("penicillin"))
    crossed = Model("y ~ x + (x | s) + (x | i)", crossed_slopes())
    rows = []
    for name, model, nsim, r_nsim in (
        ("sleepstudy", sleepstudy, 10_000, 100),
        ("penicillin", penicillin, 1_000, 50),
        ("crossed slopes", crossed, 1_000, 20),
    ):
        theirs = r_seconds(model, f"bootMer(m, fixef, nsim = {r_nsim})", options)
        if not isinstance(theirs, str):
            theirs *= 1e3 / r_nsim
        for n_jobs in (None, 2):
            action = methodcaller("bootstrap", nsim, rng=1, n_jobs=n_jobs)
            ours = our_seconds(model, action, options)
            each = 1e3 * ours / nsim
            cells = f"{n_jobs or 'default'}", f"{nsim:,}", f"{ours:.4g}", f"{each:.4g}"
            rows.append([name, *cells, *r_cells(each, theirs, options)])
    header = "model,n_jobs,replicates,ours s,ours ms each,R ms each,R/ours"
    print_table(header.split(","), rows)


def first_seconds(model, options):
    """Time the fit of a model built anew for each run, excluding its formula."""
    times = []
    while len(times) <= options.repeats and sum(times) < options.enough:
        fresh = crossedmixedlm(model.formula, model.data)
        start = time.perf_counter()
        fresh.fit(reml=model.reml)
        times.append(time.perf_counter() - start)
    return median(times[1:] or times)


def refits(options):
    """Time fits to another response against the first fit and lme4's refit."""
    powers = " + ".join(f"x{power}" for power in range(1, 7))
    models = {
        "sleepstudy": Model(
            "Reaction ~ Days + (Days | Subject)", example("sleepstudy")
        ),
        "42 columns": Model(f"y ~ f * ({powers}) + (1 | g)", wide()),
        "insteval": Model(
            "y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)", example("insteval")
        ),
    }
    replicates = {"rng": 1, "n_jobs": 1}
    rows = []
    for name, model in models.items():
        first = first_seconds(model, options)
        fitted = crossedmixedlm(model.formula, model.data).fit()
        call = methodcaller("refit", fitted.simulate(rng=1)[0])
        ours = our_seconds(model, call, options)
        plain = our_seconds(model, methodcaller("bootstrap", 5, **replicates), options)
        call = methodcaller("bootstrap", 5, statistic=SCALE, **replicates)
        own = our_seconds(model, call, options)
        theirs = r_seconds(model, "refit(m, simulate(m)[[1]])", options)
        figures = first, ours, ours / first, plain, own, own / plain
        cells = [f"{len(model.data):,}", *(f"{x:.3g}" for x in figures)]
        rows.append([name, *cells, *r_cells(ours, theirs, options)])
    header = "model,rows,fit s,refit s,refit/fit,5 draws s,with a statistic s,"
    header += "with/without,R refit s,R/ours"
    print_table(header.split(","), rows)


SCALE = attrgetter("scale")

DF_METHODS = {
    # lmerTest's lmer does most of the work of Satterthwaite's method in advance
    "satterthwaite": ("lme4::lmer", "summary(as_lmerModLmerTest(m))"),
    "kenward-roger": ("lmerTest::lmer", 'summary(m, ddf = "Kenward-Roger")'),
}


def p_values(result, method):
    return result.with_df_method(method).pvalues


def degrees_of_freedom(options):
    """Time tests of all fixed effects against lmerTest and pbkrtest."""
    formula = "y ~ x + z + group + (x | subject) + (1 | item)"
    models = [("longitudinal", Model(formula, longitudinal(n))) for n in options.sizes]
    formula = "y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)"
    models.append(("insteval", Model(formula, example("insteval"))))
    for method, (fit, action) in DF_METHODS.items():
        rows = []
        for name, model in models:
            ours = our_seconds(model, partial(p_values, method=method), options)
            theirs = "-"
            if name != "insteval":
                theirs = r_seconds(model, action, options, fit)
            cells = f"{len(model.data):,}", f"{ours:.4g}"
            rows.append([name, *cells, *r_cells(ours, theirs, options)])
        print(f"{method}:")
        print_table("model,rows,ours s,R s,R/ours".split(","), rows)


def split_split_plot():
    """Simulate 4 blocks of 3 irrigations, 3 varieties and 4 amounts of nitrogen."""
    rng = np.random.default_rng(434)
    levels = pd.MultiIndex.from_product(
        [list(f) for f in ("1234", "abc", "pqr", "wxyz")]
    )
    data = levels.to_frame(index=False, name=["block", "water", "kind", "nitro"])
    data = data.astype("category")
    y = rng.normal(size=36)[np.arange(144) % 36] + rng.normal(size=144)
    for rows, deviation in ((36, 1.0), (12, 0.8), (4, 0.6)):
        y += deviation * rng.normal(size=144 // rows)[np.arange(144) // rows]
    return data.assign(y=10.0 + y)


def profiles(options):
    """Time profile intervals of all parameters against lme4, both by ML."""
    models = {
        "sleepstudy": ("Reaction ~ Days + (Days | Subject)", None),
        "penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", None),
        "pastes": ("strength ~ 1 + (1 | batch / cask)", None),
        "split-split-plot": (
            "y ~ water * kind * nitro + (1 | block / water / kind)",
            split_split_plot(),
        ),
        "insteval": ("y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)", None),
    }
    rows = []
    for name in options.models or models:
        formula, data = models[name]
        model = Model(formula, example(name) if data is None else data, reml=False)
        ours = our_seconds(model, lambda r: r.profile(n_jobs=1).conf_int(), options)
        theirs = r_seconds(model, "confint(profile(m))", options)
        rows.append([name, f"{ours:.4g}", *r_cells(ours, theirs, options)])
        print(*rows[-1], flush=True)
    print_table("model,ours s,R s,R/ours".split(","), rows)


def trial():
    """Simulate 12 varieties in 6 blocks with 2 plots of each."""
    rng = np.random.default_rng(12)
    block, variety = np.arange(144) // 24, np.arange(144) % 12
    y = rng.normal(size=6)[block] + 0.5 * rng.normal(size=12)[variety]
    data = pd.DataFrame({"y": y + rng.normal(size=144), "b": block, "v": variety})
    return data.astype({"b": "category", "v": "category"})


ICC = "var(Subject) / (var(Subject) + var(Residual))"

R_ICC = """bootMer(m, function(m) {{
    v <- as.data.frame(VarCorr(m))$vcov; v[1] / sum(v)
}}, nsim = 100)"""


def tukey(result):
    means = result.with_df_method("kenward-roger").marginal_means("v")
    return means.pairs().summary_frame()


def functions(options):
    """Time comparisons of means and an intraclass correlation against R."""
    sleep = Model("Reaction ~ Days + (1 | Subject)", example("sleepstudy"))
    rows = []
    for task, model, ours, theirs, each in (
        (
            "66 differences, Tukey",
            Model("y ~ v + (1 | b) + (1 | b:v)", trial()),
            tukey,
            "summary(emmeans::emmeans(m, pairwise ~ v)$contrasts)",
            1.0,
        ),
        (
            "ICC, 1,000 replicates",
            sleep,
            methodcaller("derive", ICC, "bootstrap", nsim=1000, rng=1, n_jobs=1),
            R_ICC.format(),
            10.0,
        ),
    ):
        seconds = our_seconds(model, ours, options)
        r = r_seconds(model, theirs, options)
        if not isinstance(r, str):
            r *= each
        rows.append([task, f"{seconds:.4g}", *r_cells(seconds, r, options)])
    related = relatives()
    for task, ours in (
        ("animals, profile", lambda r: r.profile(n_jobs=1).conf_int()),
        ("animals, profile of h2", methodcaller("heritability", conf_int="profile")),
    ):
        rows.append([task, f"{our_seconds(related, ours, options):.4g}", "-", "-"])
    print_table("task,ours s,R s,R/ours".split(","), rows)


@dataclass(frozen=True)
class Relatives(Model):
    """A model of related animals, for which lme4 has no formula."""

    pedigree: pd.DataFrame | None = None

    def model(self):
        """Read the formula, the data and the pedigree."""
        inverse = numerator_relationship_inverse(self.pedigree)
        related = {"animal": inverse}
        return crossedmixedlm(self.formula, self.data, relationship_inverse=related)


def relatives(founders=100, born=900):
    """Simulate records of animals with two parents among the founders."""
    rng, count = np.random.default_rng(900), founders + born
    sire = np.append(np.zeros(founders, int), rng.integers(1, 21, size=born))
    dam = np.append(np.zeros(founders, int), rng.integers(21, founders + 1, size=born))
    pedigree = pd.DataFrame({"animal": 1 + np.arange(count), "sire": sire, "dam": dam})
    value = rng.normal(size=count)
    value[founders:] *= np.sqrt(0.5)
    value[founders:] += 0.5 * (value[sire[founders:] - 1] + value[dam[founders:] - 1])
    herd = rng.integers(20, size=count)
    y = value + rng.normal(size=20)[herd] + 1.2 * rng.normal(size=count)
    data = pedigree[["animal"]].assign(y=y, herd=herd)
    return Relatives("y ~ 1 + (1 | animal) + (1 | herd)", data, pedigree=pedigree)


# simulated residuals as DHARMa computes them, without a package
R_RESIDUALS = """{{
    y <- as.matrix(simulate(m, 250)); if (ncol(y) > 250) y <- y[, 2 * (1:250) - 1]
    obs <- model.response(model.frame(m)); if (is.matrix(obs)) obs <- obs[, 1]
    rowMeans(y < obs) + runif(nrow(y)) * rowMeans(y == obs)
}}"""


def generalized(options):
    """Time what follows the fit of a generalized model against lme4."""
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    cbpp = Model(formula, example("cbpp"), family="binomial")
    formula = "use ~ age + square + urban + livch + (1 | district)"
    women = example("contraception")
    women = women.assign(use=1.0 * (women["use"] == "Y"), square=women["age"] ** 2)
    binary = Model(formula, women, family="binomial")
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)"
    ticks = Model(formula, example("grouseticks"), family="poisson")
    rows = []
    for name, model, group in (
        ("cbpp", cbpp, "herd"),
        ("contraception", binary, "district"),
        ("grouseticks", ticks, "BROOD"),
    ):
        for task, ours, theirs, each in (
            (
                "bootstrap, 1,000",
                methodcaller("bootstrap", 1000, rng=1),
                "bootMer(m, fixef, nsim = 20)",
                50.0,
            ),
            ("profile", lambda r: r.profile().conf_int(), "confint(profile(m))", 1.0),
            (
                "simulated residuals, 250",
                methodcaller("simulated_residuals", 250, rng=1),
                R_RESIDUALS.format(),
                1.0,
            ),
            (
                "influence of groups",
                methodcaller("get_influence", group, refit=True),
                f'influence(m, "{group}")',
                1.0,
            ),
        ):
            seconds = our_seconds(model, ours, options)
            r = r_seconds(model, theirs, options, "lme4::glmer")
            if not isinstance(r, str):
                r *= each
            rows.append([name, task, f"{seconds:.4g}", *r_cells(seconds, r, options)])
    print_table("model,task,ours s,R s,R/ours".split(","), rows)


# what simr does, without simr: draw, refit and test at each number of groups
R_POWER = """{{
    test <- function(fit) {test}
    for (n in c({sizes})) {{
        old <- unique(as.character(data${g}))
        rows <- do.call(rbind, lapply(seq_len(n), function(i) {{
            part <- data[data${g} == old[(i - 1) %% length(old) + 1], ]
            part${g} <- i
            part
        }}))
        rows${g} <- factor(rows${g})
        ys <- simulate({formula}, newdata = rows, nsim = {nsim},
            newparams = list(beta = fixef(m), theta = getME(m, "theta"){sigma}){family})
        for (i in seq_len({nsim})) {{
            rows$y_ <- ys[[i]]
            test(suppressMessages({fit}(y_ {formula}, rows{family})))
        }}
    }}
}}"""


R_TESTS = {
    "asymptotic": "coef(summary(fit))",
    "satterthwaite": "coef(summary(lmerTest::as_lmerModLmerTest(fit)))",
}


def r_power_seconds(model, effect, group, sizes, nsim, df_method, options):
    """Time the loop in R over all sizes, in seconds for each study."""
    fit = "lme4::lmer" if model.family is None else "lme4::glmer"
    action = R_POWER.format(
        test=R_TESTS[df_method],
        g=group,
        sizes=", ".join(map(str, sizes)),
        nsim=nsim,
        formula=model.formula[model.formula.index("~") :],
        fit=fit,
        sigma=", sigma = sigma(m)" if model.family is None else "",
        family=f", family = {model.family}" if model.family else "",
    )
    theirs = r_seconds(model, action, options, fit)
    return theirs if isinstance(theirs, str) else theirs / (nsim * len(sizes))


def powers(options):
    """Time a power curve over four numbers of groups against a loop with lme4."""
    sleepstudy = Model("Reaction ~ Days + (Days | Subject)", example("sleepstudy"))
    crossed = Model("y ~ x + (x | s) + (x | i)", crossed_slopes(16, 16))
    women = example("contraception")
    women = women.assign(use=1.0 * (women["use"] == "Y"))
    binary = Model("use ~ age + (1 | district)", women, family="binomial")
    subjects = "Days", "Subject", [6, 12, 18, 24]
    rows = []
    for name, model, curve, df_method, nsim, r_nsim in (
        ("sleepstudy", sleepstudy, subjects, "asymptotic", 1000, 25),
        ("sleepstudy", sleepstudy, subjects, "satterthwaite", 1000, 15),
        ("crossed", crossed, ("x", "s", [8, 12, 16, 24]), "asymptotic", 1000, 5),
        ("contraception", binary, ("age", "district", [20, 60]), "asymptotic", 200, 3),
    ):
        effect, group, sizes = curve
        asked = {"nsim": nsim, "rng": 1, "df_method": df_method}
        call = methodcaller("power_curve", effect, sizes, group, **asked)
        ours = our_seconds(model, call, options)
        theirs = r_power_seconds(model, *curve, r_nsim, df_method, options)
        theirs = theirs if isinstance(theirs, str) else 1e3 * theirs
        each = 1e3 * ours / (nsim * len(sizes))
        cells = df_method, f"{nsim:,}", f"{ours:.4g}", f"{each:.4g}"
        rows.append([name, *cells, *r_cells(each, theirs, options)])
    header = "model,test,studies,ours s,ours ms each,R ms each,R/ours"
    print_table(header.split(","), rows)


# ---------------------------------------------------------------------------
# The command line

TASKS = {
    "bootstrap": bootstraps,
    "refit": refits,
    "df": degrees_of_freedom,
    "profile": profiles,
    "functions": functions,
    "generalized": generalized,
    "power": powers,
}


def describe_machine(options):
    """Print the conditions on which the figures depend."""
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "default")
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {load}")
    names = ("statsmodels_lmm", "statsmodels", "numpy", "scipy", "joblib")
    versions = [f"{name} {version_of(name)}" for name in names]
    print(f"Python {platform.python_version()}, " + ", ".join(versions))
    code = "for (p in c('lme4', 'lmerTest', 'pbkrtest'))"
    code += " cat(paste(p, packageVersion(p)), ''); cat(R.version.string)"
    try:
        done = subprocess.run(
            [options.rscript, "-e", code], capture_output=True, text=True
        )
        print(done.stdout or "R lacks packages")
    except OSError:
        print("R is not available")
    print(f"BLAS threads {threads}\n")


def parse(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    add = parser.add_argument
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="what to time")
    add("--repeats", type=int, default=5, help="timed runs after the first one")
    add("--enough", type=float, default=20, help="seconds after which none is repeated")
    add("--cap", type=float, default=120, help="seconds after which R is killed")
    add("--memory", type=float, default=12, help="GiB that R may use")
    add("--models", nargs="+", help="of the task profile; default is all")
    add(
        "--clock",
        choices=CLOCKS,
        default="elapsed",
        help="what is timed; on a busy machine the processor's time",
    )
    add("--sizes", type=int, nargs="+", default=[200, 1_000, 5_000, 20_000])
    add("--rscript", default="Rscript", help="the Rscript that finds the packages")
    add("--verbose", action="store_true", help="show the errors of R")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure and print."""
    options = parse(arguments)
    warnings.simplefilter("ignore")
    describe_machine(options)
    for name in options.tasks:
        print(f"{name}: {TASKS[name].__doc__}\n")
        TASKS[name](options)
    print(f"load {', '.join(f'{x:.2f}' for x in os.getloadavg())}")


if __name__ == "__main__":
    main()
