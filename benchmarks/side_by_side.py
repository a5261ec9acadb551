"""
Time linear mixed models side by side with lme4 (R) and glmm (Python, Rust core).

Every pair of a tool and a model has its own process, which reads the same CSV file,
waits, and fits once per request. The requests cycle through the tools, so that
disturbances of the machine affect all of them alike. Times run from the formula to the
log-likelihood of the fitted model. See README.rst.

Run as ``side_by_side.py worker ...`` or ``side_by_side.py data ...``, the same file
serves as the process of a Python tool or as the one that writes the data; the driver
itself needs only the standard library.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import select
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve()
START_LIMIT = 600  # seconds that a process may take to import and to read
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # in units of ru_maxrss


# ---------------------------------------------------------------------------
# Models and data


@dataclass(frozen=True)
class Model:
    """
    A formula, its estimation criterion and the data to which it is fitted.

    Parameters
    ----------
    formula : str
        The formula in lme4's syntax.
    data : callable
        Returns the data as a DataFrame.
    factors : str
        Columns passed to every tool as factors, separated by commas.
    reml : bool
        Whether the REML criterion is used instead of the likelihood.
    glmm_formula : str, optional
        The same model in glmm's notation, where that differs.
    family : str
        The distribution of the response, "gaussian" or "binomial".
    weights : str
        The column of prior weights; "" for none.
    without : tuple of str
        Tools that would take too long.
    """

    formula: str
    data: Callable
    factors: str
    reml: bool = True
    glmm_formula: str | None = None
    family: str = "gaussian"
    weights: str = ""
    without: tuple = ()


def classic(name, package="lme4"):
    """Return a function that loads a data set, if need be from an R package."""

    def load():
        import pandas as pd

        try:
            from statsmodels_lmm import datasets

            return getattr(datasets, name.lower()).load_pandas().data
        except (ImportError, AttributeError):
            code = f"write.csv({package}::{name}, row.names = FALSE)"
            pipe = subprocess.Popen(["Rscript", "-e", code], stdout=subprocess.PIPE)
            return pd.read_csv(pipe.stdout)

    return load


def random_effects(rng, levels, columns, rank):
    """Draw effects, (levels, columns), with a covariance of given rank."""
    loadings = rng.normal(scale=0.7, size=(columns, rank))
    return rng.normal(size=(levels, rank)) @ loadings.T


def maximal(interactions, n_subj=56, n_item=32):
    """
    Return a function that simulates subjects crossed with items.

    Each pair has one row. The predictors A, B and C are coded -0.5 and 0.5 and
    vary within subjects and within items. The random effects of both factors are
    those of ``A + B + C`` or, with `interactions`, of ``A * B * C``; their
    covariance matrices have half the full rank.
    """

    def simulate():
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(5632)
        subj, item = np.divmod(np.arange(n_subj * n_item), n_item)
        cell = (subj + item) % 8
        a, b, c = ((cell >> bit & 1) - 0.5 for bit in range(3))
        data = pd.DataFrame({"one": 1.0, "A": a, "B": b, "C": c})
        if interactions:
            data = data.assign(AB=a * b, AC=a * c, BC=b * c, ABC=a * b * c)
        effects = data.to_numpy()
        width = effects.shape[1]
        y = 2 + a + rng.normal(size=len(cell))
        for index, levels in ((subj, n_subj), (item, n_item)):
            u = random_effects(rng, levels, width, width // 2)
            y += (effects * u[index]).sum(axis=1)
        return data.assign(y=y.round(6), subj=subj, item=item)

    return simulate


def schools(n_school=200, n_classroom=10, n_pupil=100):
    """Simulate slopes in classrooms, which are numbered within their schools."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(200)
    rows = np.arange(n_school * n_classroom * n_pupil)
    unique = rows // n_pupil
    school, classroom = np.divmod(unique, n_classroom)
    x = rng.normal(size=len(rows)).round(6)
    y = 1 + 0.5 * x + rng.normal(size=len(rows))
    for index in (school, unique):
        u = random_effects(rng, index[-1] + 1, 2, 2)
        y += u[index, 0] + u[index, 1] * x
    columns = {"y": y.round(6), "x": x, "school": school, "classroom": classroom}
    return pd.DataFrame({**columns, "unique": unique})


def million(nobs=1_000_000, n_a=50_000, n_b=5_000):
    """Simulate two large crossed factors whose levels meet at random."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(6)
    a, b = rng.integers(n_a, size=nobs), rng.integers(n_b, size=nobs)
    x = rng.normal(size=nobs).round(6)
    y = 1 + 0.5 * x + rng.normal(size=n_a)[a] + 0.5 * rng.normal(size=n_b)[b]
    y += rng.normal(size=nobs)
    return pd.DataFrame({"y": y.round(6), "x": x, "a": a, "b": b})


def no_day_variance(nobs=22_435):
    """Simulate seven days with no effect; with this seed the estimate is 0."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(7)
    x1, x2, y = rng.normal(size=(3, nobs)).round(6)
    y = (1 + 0.2 * x1 + 0.8 * x2 + 1.3 * y).round(6)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "day": rng.integers(7, size=nobs)})


MODELS = {
    "sleepstudy": Model(
        "Reaction ~ Days + (Days | Subject)", classic("sleepstudy"), "Subject"
    ),
    "penicillin": Model(
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        classic("Penicillin"),
        "plate,sample",
    ),
    "singular": Model("y ~ x1 + x2 + (1 | day)", no_day_variance, "day"),
    "insteval": Model(
        "y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)",
        classic("InstEval"),
        "s,d,dept",
        reml=False,
    ),
    "maximal-20": Model(
        "y ~ A + B + C + (A + B + C | subj) + (A + B + C | item)",
        maximal(interactions=False),
        "subj,item",
        reml=False,
    ),
    "maximal-72": Model(
        "y ~ A * B * C + (A * B * C | subj) + (A * B * C | item)",
        maximal(interactions=True),
        "subj,item",
        reml=False,
        glmm_formula="y ~ A + B + C + AB + AC + BC + ABC"
        " + (A + B + C + AB + AC + BC + ABC | subj)"
        " + (A + B + C + AB + AC + BC + ABC | item)",
    ),
    "schools": Model(
        "y ~ x + (x | school / classroom)",
        schools,
        "school,classroom,unique",
        glmm_formula="y ~ x + (x | school) + (x | unique)",
    ),
    "million": Model("y ~ x + (1 | a) + (1 | b)", million, "a,b"),
}


# ---------------------------------------------------------------------------
# The process of a Python tool


def core_seconds(model):
    """Time the shortest of many fits of an already built model."""
    shortest, stop = float("inf"), time.perf_counter() + 1
    while time.perf_counter() < stop:
        start = time.perf_counter()
        model.fit()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def ours():
    """Return the fit, the report on a fit and the core's time of statsmodels_lmm."""
    from statsmodels_lmm.formula.api import crossedmixedlm

    def fit(formula, data, reml, family, weights):
        result = crossedmixedlm(formula, data, **weights).fit(reml=reml)
        return -2 * result.llf, result

    def report(result):
        optimum = result.optimum
        state = "certified" if optimum.certified else "not certified"
        return {"evaluations": optimum.evaluations, "state": state}

    def core(formula, data):
        return {"core": core_seconds(crossedmixedlm(formula, data))}

    return fit, report, core


def ours_generalized():
    """Return the fit and the report on a fit of a generalized model."""
    from statsmodels_lmm.formula.api import crossedmixedglm

    def fit(formula, data, reml, family, weights):
        result = crossedmixedglm(formula, data, family=family, **weights).fit()
        _ = result.bse
        return -2 * result.llf, result

    _, report, _ = ours()
    return fit, report, None


def glmm():
    """Return the fit and the report on a fit of glmm; its criterion is lme4's."""
    sys.path.remove(str(HERE.parent))  # which has a glmm.py, too
    import glmm as package

    def fit(formula, data, reml, family, weights):
        given = {name: data[column] for name, column in weights.items()}
        reml = reml if family == "gaussian" else None
        result = package.fit(data, formula, family, reml=reml, **given)
        return -2 * result.loglik, result

    def report(result):
        flags = {"converged": result.converged, "singular": result.singular}
        state = ", ".join(word for word, true in flags.items() if true)
        return {"evaluations": result.n_eval, "state": state or "not converged"}

    return fit, report, None


def floor():
    """Return nothing: pandas alone fits no model."""
    return None, None, None


def version_of(package):
    """Return the version of an installed package, or "from source"."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "from source"


def work(tool, path, formula, reml, factors, family, weights):
    """
    Fit the model once for each input line ``fit``; answer in JSON.

    The line ``core`` requests the time of the numerical core alone.
    """
    warnings.simplefilter("ignore")

    def say(**message):
        print(json.dumps(message), flush=True)

    tools = {OURS: ours_generalized, LINEAR: ours, "glmm": glmm, "pandas": floor}
    if family == "gaussian":
        tools[OURS] = ours
    given = {"weights": weights} if weights else {}
    try:
        fit, report, core = tools[tool]()
        import pandas as pd
    except ImportError as error:
        say(error=f"not available: {error}")
        return
    data = pd.read_csv(path)
    data = data.astype(dict.fromkeys(factors.split(","), "category"))
    say(version=version_of(OURS if tool == LINEAR else tool), nobs=len(data))
    for request in sys.stdin:
        gc.collect()
        try:
            if request.strip() == "core":
                say(**core(formula, data))
                continue
            start = time.perf_counter()
            criterion, result = fit(formula, data, reml == "TRUE", family, given)
            seconds = time.perf_counter() - start
            say(seconds=seconds, criterion=float(criterion), **report(result))
        except Exception as error:  # a tool may fail in any way: the others go on
            say(error=f"{type(error).__name__}: {error}")
        result = None


# ---------------------------------------------------------------------------
# The driver


@dataclass
class Record:
    """The results of a tool on a model; `seconds` are all fits, in order."""

    model: str
    tool: str
    startup: float | None = None
    idle_megabytes: float | None = None
    seconds: list[float] = field(default_factory=list)
    criterion: float | None = None
    evaluations: int | None = None
    state: str | None = None
    core: float | None = None
    peak_megabytes: float | None = None
    version: str | None = None
    nobs: int | None = None
    error: str | None = None

    @property
    def timed(self):
        """The fits that count, without the first unless it is the only one."""
        return self.seconds[1:] or self.seconds

    def update(self, answer):
        """Store the answer of a process."""
        answer = dict(answer)
        if "seconds" in answer:
            self.seconds.append(answer.pop("seconds"))
        for name, value in answer.items():
            setattr(self, name, value)


class Worker:
    """
    The process of a tool on a model.

    Parameters
    ----------
    record : Record
        Identifies the tool and model, and stores the answers.
    model : Model
        The model.
    path : Path
        The CSV file with the data.
    options : argparse.Namespace
        The options of the command line.
    """

    def __init__(self, record: Record, model: Model, path: Path, options) -> None:
        """Start the process and wait until it has read the data."""
        self.record, self.process = record, None
        tool, formula = record.tool, model.formula
        if tool in ("lmer", "glmer", "R"):
            command = [options.rscript, HERE.with_suffix(".R")]
        elif tool == "glmm":
            command = [options.glmm_python, HERE, "worker"]
            formula = model.glmm_formula or formula
        else:
            command = [sys.executable, HERE, "worker"]
        reml = "TRUE" if model.reml else "FALSE"
        task = [tool, str(path), formula, reml, model.factors]
        task += [model.family, model.weights]
        start = time.perf_counter()
        try:
            self.process = subprocess.Popen(
                [*map(str, command), *task],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if options.verbose else subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError as error:
            record.error = f"not available: {error.strerror}"
            return
        self.ask(None, START_LIMIT)
        record.startup = time.perf_counter() - start
        record.idle_megabytes = self.peak_so_far()

    def ask(self, request, limit):
        """Send a request, if any, and wait at most `limit` seconds for the answer."""
        pipe = self.process.stdout
        if request:
            self.process.stdin.write(f"{request}\n".encode())
        if not select.select([pipe], [], [], limit)[0]:
            self.process.kill()
            self.record.error = f"killed after {limit:g} s"
        elif line := pipe.readline():
            self.record.update(json.loads(line))
        else:
            self.record.error = "the process ended without an answer"

    def peak_so_far(self):
        """Return the peak memory of the running process where Linux reports it."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) / 1024
        except (OSError, IndexError):
            return None

    def wants(self, enough):
        """Whether another fit is worth its time."""
        return not self.record.error and sum(self.record.seconds) < enough

    def close(self):
        """End the process and note its peak memory."""
        if self.process:
            self.process.stdin.close()
            _, _, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = 0
            self.process.stdout.close()
            self.record.peak_megabytes = usage.ru_maxrss / MEGABYTE


def measure(name, model, path, options):
    """Let every tool in turn fit the model `name`; return their records."""
    workers = []
    for tool in options.tools:
        if tool not in model.without:
            workers.append(Worker(Record(name, tool), model, path, options))
    fitting = [worker for worker in workers if worker.record.tool not in FLOORS]
    for _ in range(options.repeats + 1):
        for worker in fitting:
            if worker.wants(options.enough):
                worker.ask("fit", options.cap)
    for worker in fitting:
        record = worker.record
        if (name, record.tool) == ("sleepstudy", OURS) and not record.error:
            worker.ask("core", options.cap)
    for worker in workers:
        worker.close()
    return [worker.record for worker in workers]


# ---------------------------------------------------------------------------
# Tables

OURS, LINEAR, FLOORS = "statsmodels_lmm", "linear", ("pandas", "R")
TOOLS = [OURS, "lmer", "glmm", *FLOORS]


def print_table(header, rows):
    """Print rows of strings; words are aligned left, numbers right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    sides = ["<" if name in ("tool", "model", "state") else ">" for name in header]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = zip(row, sides, widths, strict=True)
        print("  ".join(f"{cell:{side}{w}}" for cell, side, w in cells).rstrip())
    print()


def shown(value, form):
    """Format a number, or a dash for none."""
    return "-" if value is None else format(value, form)


def print_model(records, model):
    """Print the times and criteria of all tools on one model."""
    nobs = next((record.nobs for record in records if record.nobs), None)
    criterion = "REML" if model.reml else "ML"
    print(f"{records[0].model}: {model.formula}, {criterion}, {shown(nobs, ',')} rows")
    alike = [record for record in records if record.tool != LINEAR]
    reached = [record.criterion for record in alike if record.criterion is not None]
    best = min(reached, default=None)
    rows = []
    for record in records:
        times = record.timed
        value = record.criterion if record in alike else None
        rows.append(
            [
                record.tool,
                shown(min(times, default=None), ".4f"),
                shown(median(times) if times else None, ".4f"),
                str(len(times)),
                shown(value, ".6f"),
                shown(value if value is None else value - best, ".1e"),
                shown(record.evaluations, "d"),
                shown(record.idle_megabytes, ".0f"),
                shown(record.peak_megabytes, ".0f"),
                shown(record.startup, ".1f"),
                record.error or record.state or "floor: reads, fits nothing",
            ]
        )
    header = "tool,min s,median s,fits,criterion,above best,evaluations"
    header += ",idle MB,peak MB,start s,state"
    print_table(header.split(","), rows)
    for record in records:
        if record.core is not None:
            print(f"{record.tool}, fit of a built model: {record.core:.6f} s\n")


def ratio(one, other, statistic):
    """Format a statistic of the times of one record over that of another."""
    if not (one and other and one.timed and other.timed):
        return "-"
    return format(statistic(one.timed) / statistic(other.timed), ".3g")


def paired(one, other):
    """Format the median ratio of the times of each turn, and the middle half."""
    if not (one and other and one.timed and other.timed):
        return "-"
    ratios = sorted(a / b for a, b in zip(one.timed, other.timed))
    quarter = (len(ratios) - 1) // 4
    low, high = ratios[quarter], ratios[-1 - quarter]
    return f"{median(ratios):.3g} ({low:.3g}-{high:.3g})"


def print_ratios(results, tools):
    """Print the median seconds of every model and our ratios to the peers."""
    us, *others = [tool for tool in tools if tool not in FLOORS]
    rows = []
    for records in results:
        by_tool = {record.tool: record for record in records}
        each = [by_tool.get(tool) for tool in (us, *others)]
        rows.append(
            [records[0].model]
            + [shown(median(r.timed) if r and r.timed else None, ".4g") for r in each]
            + [ratio(each[0], other, min) for other in each[1:]]
            + [paired(each[0], other) for other in each[1:]]
        )
    header = ["model", "ours s", *(f"{tool} s" for tool in others)]
    for name in ("min", "paired median (middle half)"):
        header += [f"ours/{tool} {name}" for tool in others]
    print_table(header, rows)


# ---------------------------------------------------------------------------
# The command line


def limit_threads(cores):
    """Bind all processes to `cores` cores and, unless set, to as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    for library in ("OMP", "OPENBLAS", "MKL", "RAYON", "VECLIB_MAXIMUM"):
        os.environ.setdefault(f"{library}_NUM_THREADS", str(cores))


def parse(arguments, models, tools, description):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument(
        "--models", nargs="+", choices=models, default=list(models), metavar="MODEL"
    )
    parser.add_argument(
        "--tools", nargs="+", choices=tools, default=tools, metavar="TOOL"
    )
    add = parser.add_argument
    add("--repeats", type=int, default=11, help="timed fits after the warm-up")
    add("--cap", type=float, default=400, help="seconds after which a fit is killed")
    add("--enough", type=float, default=30, help="seconds after which none is repeated")
    add("--cores", type=int, default=2, help="cores, and threads, of every tool")
    add("--rscript", default="Rscript", help="the Rscript that finds lme4")
    add("--glmm-python", default=sys.executable, help="the Python that finds glmm")
    add("--json", type=Path, help="file in which to store all figures")
    add("--verbose", action="store_true", help="show what the tools write to stderr")
    return parser.parse_args(arguments)


def main(models, tools, description, script):
    """
    Measure, print and, if requested, save; or write the data of a model.

    Parameters
    ----------
    models : dict of str to Model
        All models.
    tools : list of str
        All tools, ours first.
    description : str
        What is timed, in its first line.
    script : Path
        The script that has the models.
    """
    match sys.argv[1:]:
        case ["data", name, path]:
            models[name].data().to_csv(path, index=False)
            return
    options = parse(None, models, tools, description)
    limit_threads(options.cores)
    machine = {"platform": platform.platform(), "cores": options.cores}
    machine["BLAS threads"] = os.environ["OPENBLAS_NUM_THREADS"]
    machine["load before"] = os.getloadavg()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            path = Path(folder, f"{name}.csv")
            subprocess.run([sys.executable, script, "data", name, path], check=True)
            results.append(measure(name, models[name], path, options))
            path.unlink()
            print_model(results[-1], models[name])
            machine["load after"] = os.getloadavg()
            if options.json:
                flat = [asdict(record) for records in results for record in records]
                figures = {"machine": machine, "records": flat}
                options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print_ratios(results, options.tools)
    versions = {r.tool: r.version for records in results for r in records if r.version}
    print(", ".join(f"{tool} {version}" for tool, version in versions.items()))
    print(", ".join(f"{name} {value}" for name, value in machine.items()))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["worker", *task]:
            work(*task)
        case _:
            main(MODELS, TOOLS, __doc__, HERE)
