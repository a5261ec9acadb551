"""
A covariance structure of your own, written in a few lines and used in a formula.

60 patients are seen 0, 1, 2, 4, 8 and 16 weeks after a treatment began; at a visit
the blood pressure is taken twice, and some visits are missed. What two visits of a
patient share fades with the weeks between them: the correlation is rho^|t - t'|, an
autoregressive process in continuous time. The structure `ar1` counts visits instead
of weeks. The data are simulated with rho = 0.85, so the truth is known.

    python examples/own_structure.py
"""

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.structures import Parameter, Structure, deviation

WEEKS = [0, 1, 2, 4, 8, 16]


class ContinuousAR1(Structure):
    """Correlations rho^|t - t'| of effects at the times t."""

    name = "car1"

    def __init__(self, times):
        self.lags = np.abs(np.subtract.outer(times, times))

    def parameters(self, effects):
        return [deviation(), Parameter("rho", 0.0, 1.0, 0.5, "cor")]

    def covariance(self, theta, k):
        sd, rho = theta
        return sd**2 * rho**self.lags


def simulated_patients(n_patients=60, seed=4):
    """Give patient, week, treated and pressure, two rows for each visit kept."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), len(WEEKS))
    week = np.tile(WEEKS, n_patients)
    treated = np.where(patient % 2, "drug", "placebo")
    lags = np.abs(np.subtract.outer(WEEKS, WEEKS))
    covariance = 8.0**2 * 0.85**lags
    visit = rng.multivariate_normal(np.zeros(len(WEEKS)), covariance, n_patients)
    mean = 150.0 + visit.ravel() - 0.5 * week * (treated == "drug")
    columns = {"patient": patient, "week": week, "treated": treated, "mean": mean}
    visits = pd.DataFrame(columns).sample(frac=0.9, random_state=rng)
    data = visits.loc[visits.index.repeat(2)].sort_index(ignore_index=True)
    pressure = data.pop("mean") + rng.normal(scale=4.0, size=len(data))
    return data.assign(pressure=pressure.round())


def compare(fits):
    """Give a table of the fits, each tested against the one without structure."""
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


def main(n_patients=60):
    pd.set_option("display.width", 140, "display.max_columns", 20)
    pd.set_option("display.precision", 3)
    data = simulated_patients(n_patients)
    structures = {"car1": ContinuousAR1(WEEKS)}
    formula = "pressure ~ week * treated + {}(0 + factor(week) | patient)"
    fits = {}
    for name in ("us", "cs", "ar1", "car1"):
        words = formula.format(name).replace("cs(0", "cs(0")
        model = crossedmixedlm(words, data, structures=structures)
        fits[name] = model.fit(reml=False)
    show("Four structures, by ML", compare(fits))

    result = crossedmixedlm(formula.format("car1"), data, structures=structures).fit()
    show("Continuous time, by REML", result.summary(df_method="satterthwaite"))
    show("Profile intervals", result.profile().conf_int())
    return fits


if __name__ == "__main__":
    main()
