"""
Inference from a fitted model, step by step.

The data are 100 plants: ten greenhouses have five trays each, and each tray has two
plants. Growth depends on the dose of a fertilizer; greenhouses differ, and so do trays
within greenhouses. The data are simulated, so the truth is known.

    python examples/inference.py
"""

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm


def simulated_plants():
    """Simulate ten greenhouses with five trays each and two plants in each tray."""
    rng = np.random.default_rng(16)
    house, tray = np.divmod(np.arange(100) // 2, 5)
    dose = rng.uniform(0.0, 4.0, 100).round(2)
    of_house = rng.normal(scale=1.0, size=10)
    of_tray = rng.normal(scale=0.8, size=50)
    growth = 3.0 + 1.5 * dose + of_house[house] + of_tray[5 * house + tray]
    growth += rng.normal(scale=1.2, size=100)
    houses = np.array(list("ABCDEFGHIJ"))[house]
    columns = {"growth": growth.round(3), "dose": dose, "house": houses, "tray": tray}
    return pd.DataFrame(columns)


def show(title, content):
    print(f"\n{title}\n{'-' * len(title)}")
    print(content)


def main():
    pd.set_option("display.width", 140, "display.max_columns", 20)
    pd.set_option("display.precision", 4)
    data = simulated_plants()
    result = crossedmixedlm("growth ~ dose + (1 | house/tray)", data).fit()
    print(result.summary(df_method="kenward-roger"))

    boot = result.bootstrap(999, rng=1)
    table = boot.conf_int("all").loc[:"sigma"].drop(index=["se Intercept", "se dose"])
    show("Five intervals for every parameter, 999 bootstrap replicates", table)
    print(f"{boot.n_boundary} replicates are on the boundary, {boot.n_failed} failed.")
    show("Profile likelihood", result.conf_int(method="profile"))
    show("Standard errors of the variance parameters", result.variance_parameters())

    show("F test of dose", result.anova(df_method="kenward-roger"))
    show(
        "The same effect by a bootstrapped likelihood-ratio test",
        result.fixed_effect_tests(method="bootstrap", nsim=999, rng=1),
    )

    without = result.drop_random("(1 | tray:house)")
    print(f"\nWithout trays: {without.model.formula_full}")
    for method in ("chi2", "mixture", "exact", "bootstrap"):
        test = result.compare_lr_test(without, method=method, nsim=1999, rng=1)
        print(f"  {method:10s} LR = {test.statistic:.3f}, p = {test.pvalue:.4f}")
    show("All random effects", result.random_effect_tests(method="exact", rng=1))

    smaller = crossedmixedlm("growth ~ 1 + (1 | house)", data).fit(reml=False)
    middle = crossedmixedlm("growth ~ dose + (1 | house)", data).fit(reml=False)
    full = crossedmixedlm("growth ~ dose + (1 | house/tray)", data).fit(reml=False)
    show("Three nested models", smaller.anova(middle, full))

    new = pd.DataFrame(
        {"dose": [2.0, 2.0, 2.0], "house": ["A", "A", "new"], "tray": [0, 99, 0]}
    )
    prediction = result.get_prediction(
        new, random_effects=True, new_levels="population", interval="prediction"
    )
    show("Known tray, new tray, new greenhouse", prediction.summary_frame())

    show("Explained variance", result.r_squared())
    show("Intraclass correlation", result.icc(by_group=True))
    influence = result.get_influence(group="house")
    show("Change of the dose effect without a greenhouse", influence.dfbetas["dose"])

    other = result.refit(result.simulate(rng=1)[0])
    show("A fit to a simulated response", other.params)


if __name__ == "__main__":
    main()
