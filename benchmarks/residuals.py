"""
Time fits with correlated errors beside R's nlme and glmmTMB.

Each model is fitted by this package in this process and by R in a process of its own,
on the same data in the same run; starting R and reading the data are not counted. A
fit by R that takes longer than ``--cap`` seconds is ended and shown as such. Our times
are medians over ``--repeats`` fits, formula included, after a first one. R fits small
models as often, and large ones once.
"""

import argparse
import subprocess
import tempfile
import time
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from side_by_side import print_table

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

R_CODE = """
suppressMessages({{library(nlme); library(glmmTMB)}})
data <- read.csv("{path}", stringsAsFactors = TRUE)
{prepare}
times <- c()
while (length(times) <= {repeats} && sum(times) < {enough}) {{
  times <- c(times, system.time(m <- {call})[["elapsed"]])
}}
cat(times, format(as.numeric(logLik(m)), digits = 14))
"""

R_START = 60  # seconds that R may take to start and read


@dataclass(frozen=True)
class Task:
    """
    One model.

    Parameters
    ----------
    name : str
        Name in the table.
    data : DataFrame
        The data.
    formula, residual : str
        Our formula, and the correlations.
    calls : dict of str
        Calls that fit the model in R, by package.
    dispersion : str, optional
        Our formula of the standard deviations.
    prepare : str, optional
        What R does to the data before.
    """

    name: str
    data: pd.DataFrame
    formula: str
    residual: str | None
    calls: dict
    dispersion: str | None = None
    prepare: str = ""


def of_nlme(name):
    """Data that come with nlme."""
    code = f"write.csv(as.data.frame(nlme::{name}), row.names = FALSE)"
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", code], capture_output=True, text=True, check=True
    )
    return pd.read_csv(StringIO(done.stdout))


def series(n_groups, rho=0.45, n_times=10):
    """Simulate autoregressive errors beside random intercepts and slopes."""
    rng = np.random.default_rng(1)
    group, t = np.divmod(np.arange(n_groups * n_times), n_times)
    x, z = rng.standard_normal((2, len(group)))
    noise = rng.standard_normal((n_groups, n_times))
    errors = noise.copy()
    for j in range(1, n_times):
        errors[:, j] = rho * errors[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
    u = 0.6 * rng.standard_normal((n_groups, 2))
    y = 1 + 0.5 * x + 0.2 * z + u[group, 0] + u[group, 1] * x + errors.ravel()
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": group, "t": t})


def trial(n_patients, n_visits=10):
    """Simulate a trial with dropout, two arms and an unstructured covariance."""
    rng = np.random.default_rng(2)
    mixing = 0.3 * rng.standard_normal((n_visits, n_visits))
    mixing = mixing + 0.5 * np.tril(np.ones((n_visits, n_visits)))
    covariance = mixing @ mixing.T + np.eye(n_visits)
    errors = rng.multivariate_normal(np.zeros(n_visits), covariance, n_patients)
    arm = rng.integers(0, 2, n_patients)
    last = np.minimum(n_visits, rng.geometric(0.08, n_patients) + 2)
    patient, visit = np.divmod(np.arange(n_patients * n_visits), n_visits)
    y = errors.ravel() + 0.1 * arm[patient] * visit
    data = pd.DataFrame({"y": y, "patient": patient, "visit": visit})
    data["arm"] = np.array(["a", "b"])[arm][patient]
    data["week"] = pd.Categorical(visit.astype(str), map(str, range(n_visits)))
    return data[visit < last[patient]].reset_index(drop=True)


def tasks(large):
    growth = datasets.orthodont.load_pandas().data
    growth["visit"] = (growth["age"] - 8) // 2
    ovary = of_nlme("Ovary")
    angle = 2 * np.pi * ovary["Time"]
    ovary = ovary.assign(sine=np.sin(angle), cosine=np.cos(angle))
    ovary["turn"] = ovary.groupby("Mare").cumcount()
    sleep = datasets.sleepstudy.load_pandas().data
    ordered = "data <- data[order(data$g, data$t), ]; data$g <- factor(data$g)"
    ar1 = "corAR1(form = ~ t | g)"
    by_visit = (
        "data$week <- factor(data$visit); data$v <- data$visit + 1; "
        "data$patient <- factor(data$patient)"
    )
    return [
        Task(
            "Orthodont, ar1 and sd by sex",
            growth,
            "distance ~ age * Sex + (1 | Subject)",
            "ar1(visit | Subject)",
            {
                "nlme": "lme(distance ~ age * Sex, data, ~ 1 | Subject, "
                "correlation = corAR1(form = ~ visit | Subject), "
                "weights = varIdent(form = ~ 1 | Sex))"
            },
            dispersion="~ Sex",
            prepare="data$visit <- as.integer(data$visit)",
        ),
        Task(
            "BodyWeight, car1 and power of time",
            of_nlme("BodyWeight"),
            "weight ~ Time * C(Diet) + (Time | Rat)",
            "car1(Time | Rat)",
            {
                "nlme": "lme(weight ~ Time * factor(Diet), data, ~ Time | Rat, "
                "correlation = corCAR1(form = ~ Time), "
                "weights = varPower(form = ~ Time))"
            },
            dispersion="~ log(Time)",
        ),
        Task(
            "Ovary, ar1",
            ovary,
            "follicles ~ sine + cosine + (1 | Mare)",
            "ar1(turn | Mare)",
            {
                "nlme": "lme(follicles ~ sine + cosine, data, ~ 1 | Mare, "
                "correlation = corAR1(form = ~ turn | Mare))"
            },
        ),
        Task(
            "sleepstudy, ar1",
            sleep,
            "Reaction ~ Days + (1 | Subject)",
            "ar1(Days | Subject)",
            {
                "nlme": "lme(Reaction ~ Days, data, ~ 1 | Subject, "
                "correlation = corAR1(form = ~ Days | Subject))",
                "glmmTMB": "glmmTMB(Reaction ~ Days + (1 | Subject) + "
                "ar1(0 + factor(Days) | Subject), data, dispformula = ~ 0, "
                "REML = TRUE)",
            },
        ),
        Task(
            "2,000 rows, ar1",
            series(200),
            "y ~ x + z + (x | g)",
            "ar1(t | g)",
            {
                "nlme": f"lme(y ~ x + z, data, ~ x | g, correlation = {ar1})",
                "glmmTMB": "glmmTMB(y ~ x + z + (x | g) + ar1(0 + factor(t) | g), "
                "data, dispformula = ~ 0, REML = TRUE)",
            },
            prepare=ordered,
        ),
        Task(
            "trial, 400 patients x 10 visits, us",
            trial(400),
            "y ~ arm * week",
            "us(week | patient)",
            {
                "nlme": "gls(y ~ arm * week, data, correlation = "
                "corSymm(form = ~ v | patient), weights = varIdent(form = ~ 1 | week))",
                "glmmTMB": "glmmTMB(y ~ arm * week + us(0 + week | patient), data, "
                "dispformula = ~ 0, REML = TRUE)",
            },
            prepare=by_visit,
        ),
        *(
            [
                Task(
                    "1,000,000 rows, ar1",
                    series(100_000),
                    "y ~ x + z + (x | g)",
                    "ar1(t | g)",
                    {"nlme": f"lme(y ~ x + z, data, ~ x | g, correlation = {ar1})"},
                    prepare=ordered,
                ),
                Task(
                    "trial, 20,000 patients x 10 visits, us",
                    trial(20_000),
                    "y ~ arm * week",
                    "us(week | patient)",
                    {
                        "nlme": "gls(y ~ arm * week, data, correlation = "
                        "corSymm(form = ~ v | patient), "
                        "weights = varIdent(form = ~ 1 | week))",
                        "glmmTMB": "glmmTMB(y ~ arm * week + us(0 + week | patient), "
                        "data, dispformula = ~ 0, REML = TRUE)",
                    },
                    prepare=by_visit,
                ),
            ]
            if large
            else []
        ),
    ]


def ours(task, options):
    """Median seconds of a fit with its formula, the log-likelihood and evaluations."""
    seconds = []
    while len(seconds) <= options.repeats and sum(seconds) < options.enough:
        start = time.perf_counter()
        model = crossedmixedlm(
            task.formula, task.data, residual=task.residual, dispersion=task.dispersion
        )
        result = model.fit()
        seconds.append(time.perf_counter() - start)
    rest = seconds[1:] or seconds
    return median(rest), result.llf, result.optimum.evaluations


def theirs(task, call, path, options):
    """Median seconds of a call in R, or why there are none, and its log-likelihood."""
    code = R_CODE.format(
        path=path,
        prepare=task.prepare,
        repeats=options.repeats,
        enough=options.enough,
        call=call,
    )
    try:
        done = subprocess.run(
            ["Rscript", "--vanilla", "-e", code],
            capture_output=True,
            text=True,
            timeout=options.cap + R_START,
        )
    except subprocess.TimeoutExpired:
        return f"over {options.cap:g}", np.nan
    if done.returncode:
        return "failed: " + done.stderr.strip().splitlines()[-1][:40], np.nan
    told = done.stdout.replace("NA", "nan").split()
    *seconds, llf = map(float, told)
    return median(seconds[1:] or seconds), llf


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--enough", type=float, default=10.0, help="seconds a model")
    parser.add_argument("--cap", type=float, default=300.0, help="seconds a fit in R")
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks(options.large):
            path = Path(folder) / "data.csv"
            task.data.to_csv(path, index=False)
            mine, llf, evaluations = ours(task, options)
            for package, call in task.calls.items():
                seconds, other = theirs(task, call, path, options)
                shown, ratio = seconds, ""
                if not isinstance(seconds, str):
                    shown, ratio = f"{seconds:.3g}", f"{mine / seconds:.3f}"
                above = "" if np.isnan(other) else f"{llf - other:.1e}"
                rows.append(
                    [
                        task.name,
                        f"{mine:.3g}",
                        str(evaluations),
                        package,
                        shown,
                        ratio,
                        above,
                    ]
                )
                print(rows[-1], flush=True)
    header = ["model", "s", "evaluations", "beside", "its s", "ratio", "llf above"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
