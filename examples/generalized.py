"""
Generalized linear mixed models of proportions, yes-or-no answers and counts.

Three data sets that come with the package: new cases of a lung disease in herds of
cattle, use of contraception in the districts of Bangladesh, and ticks on grouse chicks.

    python examples/generalized.py
"""

import pandas as pd

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedglm


def main():
    proportions()
    answers()
    counts()


def proportions():
    """New cases among the animals of a herd: odds ratios and probabilities."""
    cbpp = datasets.cbpp.load_pandas().data
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    result = crossedmixedglm(formula, cbpp, family="binomial").fit()
    show("A lung disease in 15 herds", result.summary(exponentiate=True))

    quarters = pd.DataFrame({"period": ["1", "2", "3", "4"]})
    averages = result.get_prediction(quarters, random_effects="average")
    table = pd.DataFrame(
        {
            "a herd with effect 0": result.predict(quarters),
            "mean of all herds": averages.predicted,
            "lower": averages.conf_int()[:, 0],
            "upper": averages.conf_int()[:, 1],
        }
    ).set_index(quarters["period"])
    show("Probability of a new case by quarter", table.round(3))

    show("Likelihood-ratio test of the quarters", result.drop1())
    show("Profile intervals", result.conf_int(method="profile").round(3))
    means = result.marginal_means("period", random_effects="average")
    show("Risk ratios, as means of all herds", means.contrasts(exponentiate=True))
    robust = result.with_cov_type("CR1", groups="herd")
    errors = pd.DataFrame({"model": result.bse, "cluster-robust": robust.bse})
    show("Standard errors", errors.round(3))


def answers():
    """Yes or no: quadrature after Laplace's approximation."""
    women = datasets.contraception.load_pandas().data
    formula = "use ~ age + I(age**2) + urban + livch + (urban | district)"
    model = crossedmixedglm(formula, women, family="binomial")
    result = model.fit(nagq=9)
    show("Use of contraception in 60 districts", result.summary())

    fits = {"Laplace": model.fit(), "9 nodes": result}
    table = pd.DataFrame(
        {name: [r.llf, *r.variance_components()["sd"]] for name, r in fits.items()},
        ["log-likelihood", "sd country", "sd town - country", "correlation"],
    )
    show("Laplace's approximation against quadrature", table.round(3))


def counts():
    """Counts that vary more than Poisson counts: two ways to allow for it."""
    grouse = datasets.grouseticks.load_pandas().data
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)"
    fits = {
        "Poisson": crossedmixedglm(formula, grouse, family="poisson"),
        "with an effect for each chick": crossedmixedglm(
            formula + " + (1 | INDEX)", grouse, family="poisson"
        ),
        "negative binomial": crossedmixedglm(
            formula, grouse, family="negativebinomial"
        ),
    }
    fits = {name: model.fit() for name, model in fits.items()}
    show("Ticks on grouse chicks", fits["Poisson"].summary())
    table = pd.DataFrame(
        {
            "AIC": {name: r.aic for name, r in fits.items()},
            "per 10 m of height": {
                name: r.ratios().loc["cHEIGHT", "ratio"] ** 10
                for name, r in fits.items()
            },
        }
    )
    show("Overdispersion, and the rate ratio of height", table.round(3))

    checks = {
        name: fits[name]
        .simulated_residuals(rng=1, kind="conditional")
        .zero_inflation_test()
        for name in ("Poisson", "negative binomial")
    }
    table = pd.DataFrame(checks, ["observed / expected", "p-value"]).T
    show("Zeros in comparison with simulated counts", table.round(3))


def show(title, shown):
    print(f"\n{title}\n{'-' * len(title)}\n\n{shown}")


if __name__ == "__main__":
    main()
