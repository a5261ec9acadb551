"""
A custom covariance structure, written in a few lines and used in a formula.

Sixty patients are seen 0, 1, 2, 4, 8 and 16 weeks after the start of a treatment. At
each visit blood pressure is measured twice; some visits are missed. The correlation
between two visits of a patient decays with the weeks between them as rho^|t - t'|, an
autoregressive process in continuous time. The structure `ar1` counts visits instead of
weeks. The data are simulated with rho = 0.85, so the truth is known.

    python examples/own_structure.py
"""

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.structures import Parameter, Structure, deviation

WEEKS = [0, 1, 2, 4, 8, 16]

STRUCTURES = {"us": "", "cs": ", hom=TRUE", "ar1": "", "car1": ""}
"""Names of structures, and the options added to their terms."""


class ContinuousAR1(Structure):
    """Correlations rho^|t - t'| of effects at the times t."""

    name = "car1"

    def __init__(self, times):
        self.lags = np.abs(np.subtract.outer(times, times))

    def parameters(self, effects):
        """One standard deviation, and the correlation rho at a distance of one week."""
        return [deviation(self.name), Parameter("rho", 0.0, 1.0, 0.5, "cor")]

    def covariance(self, theta, k):
        """The covariance matrix, relative to the residual variance."""
        return theta[0] ** 2 * theta[1] ** self.lags


def simulated_patients(n_patients=60, seed=3):
    """Give patient, week, drug and pressure, with two rows for each visit kept."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), len(WEEKS))
    week = np.tile(WEEKS, n_patients)
    drug = patient % 2
    lags = np.abs(np.subtract.outer(WEEKS, WEEKS))
    covariance = 8.0**2 * 0.85**lags
    visit = rng.multivariate_normal(np.zeros(len(WEEKS)), covariance, n_patients)
    mean = 150.0 + visit.ravel() - 0.5 * week * drug
    columns = {"patient": patient, "week": week, "drug": drug, "mean": mean}
    visits = pd.DataFrame(columns).sample(frac=0.9, random_state=rng)
    data = visits.loc[visits.index.repeat(2)].sort_index(ignore_index=True)
    pressure = data.pop("mean") + rng.normal(scale=4.0, size=len(data))
    return data.assign(pressure=pressure.round())


def compare(fits):
    """Give a table of the fits, each tested against the unstructured one."""
    rows = {}
    for name, fit in fits.items():
        rows[name] = {"parameters": fit.n_params, "-2 llf": -2 * fit.llf}
        rows[name]["AIC"] = fit.aic
        if name != "us":
            test = fits["us"].compare_lr_test(fit)
            rows[name].update(LR=test.statistic, df=test.df_diff, p=test.pvalue)
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("AIC")


def show(title, content):
    print(f"\n{title}\n{'-' * len(title)}")
    print(content)


def correlations_with_start(fits):
    """Give the correlation of each visit with the first, for every structure."""
    table = pd.DataFrame(index=pd.Index(WEEKS, name="week"))
    for name, fit in fits.items():
        covariance = fit.cov_re["patient"].to_numpy()
        sd = np.sqrt(np.diag(covariance))
        table[name] = covariance[0] / (sd[0] * sd)
    return table


def main(n_patients=60):
    pd.set_option("display.width", 140, "display.max_columns", 20)
    pd.set_option("display.precision", 3)
    data = simulated_patients(n_patients)
    # factor(week) has its effects in the order of WEEKS, the times of the structure
    own = {"car1": ContinuousAR1(WEEKS)}
    fits = {}
    for name, options in STRUCTURES.items():
        term = f"{name}(0 + factor(week) | patient{options})"
        formula = f"pressure ~ week * drug + {term}"
        fits[name] = crossedmixedlm(formula, data, structures=own).fit(reml=False)
    show("Four structures, by ML; LR tests against us", compare(fits))
    show("Correlation with the visit in week 0", correlations_with_start(fits))

    result = fits["car1"].model.fit()
    show("Continuous time, by REML", result.summary(df_method="satterthwaite"))
    show("Profile intervals", result.profile().conf_int())
    return fits


if __name__ == "__main__":
    main()
