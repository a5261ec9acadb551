"""
Ticks on grouse chicks: counts with many zeros
==============================================

Elston et al. (2001) counted the ticks on the heads of 403 red grouse chicks, in three
years and at heights between 400 and 530 m. Chicks belong to broods and broods to
places. Almost a third of the chicks carry no tick, and two carry 85. Does that take a
model with zero inflation?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedglm

grouse = datasets.grouseticks.load_pandas().data
grouse["height"] = grouse["cHEIGHT"] / 10.0  # per 10 m, from the mean
print(grouse["TICKS"].describe().round(1).to_dict())
print("no tick:", (grouse["TICKS"] == 0).sum(), "of", len(grouse))

# %%
# Three models have the same linear predictor. A Poisson distribution has a variance
# equal to its mean. Chicks of one brood may differ more than that: either each has a
# random effect of its own, or the distribution is negative binomial.

formula = "TICKS ~ YEAR + height + (1 | BROOD) + (1 | LOCATION)"
fits = {
    "Poisson": crossedmixedglm(formula, grouse, family="poisson").fit(),
    "effect of chicks": crossedmixedglm(
        formula + " + (1 | INDEX)", grouse, family="poisson"
    ).fit(),
    "negative binomial": crossedmixedglm(
        formula, grouse, family="negativebinomial"
    ).fit(),
}
print(pd.Series({name: fit.aic for name, fit in fits.items()}).round(1))

# %%
# The AIC of the Poisson model is larger by 200. What is wrong with it? Counts are
# simulated from a fit, with the effects of broods and places that were estimated, and
# compared with those observed. The model with effects of chicks is left out here, as
# each chick's effect was fitted to its own count.

residuals = {
    name: fits[name].simulated_residuals(1000, rng=1, kind="conditional")
    for name in ("Poisson", "negative binomial")
}
checks = {name: found.tests() for name, found in residuals.items()}
print(pd.concat(checks).round(3))

# %%
# The Poisson model has too few zeros and too little spread. The negative binomial model
# accounts for both, although nothing in it makes zeros of its own: chicks that differ
# in how many ticks they attract have more zeros as well as more large counts. There is
# no need for zero inflation. Its dispersion ratio is below 1, as it is for a correct
# model whose effects were fitted to the same counts.
#
# If the effects of broods and places are drawn anew, the whole model is examined:

negative = fits["negative binomial"]
whole = negative.simulated_residuals(1000, rng=1)
print(whole.tests().round(3))

# %%
# Now the report. All three models agree on the rate ratio of the height. It is the same
# for all chicks of a brood, so that the random effects of broods have protected its
# interval from overdispersion; an effect that varies within broods would not be so
# lucky.

table = {
    name: fit.ratios().loc["height", ["ratio", "lower", "upper"]]
    for name, fit in fits.items()
}
print(pd.DataFrame(table).T.round(3))
print(negative.drop1().round(4))
tests = negative.random_effect_tests()
print(tests[["statistic", "pvalue", "pvalue_mixture"]].round(4))

# %%
# Every 10 m of height leave four fifths of the ticks. Broods differ clearly; places add
# so little beyond them that they might be equal. The mean number of ticks per chick at
# average height is that over all broods, places and chicks:

means = negative.marginal_means("YEAR", at={"height": 0.0}, random_effects="average")
print(means)
print(means.contrasts(exponentiate=True))

# %%
# Left: the number of chicks without a tick, in the data (line) and in simulated data.
# Right: counts on a scale of square roots, and means over all broods and places.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
colors = {"Poisson": "#D55E00", "negative binomial": "#0072B2"}
for name, found in residuals.items():
    zeros = (found.simulated == 0).sum(axis=0)
    bins = np.arange(zeros.min(), zeros.max() + 3, 3)
    axes[0].hist(zeros, bins, color=colors[name], alpha=0.6, label=name)
axes[0].axvline((grouse["TICKS"] == 0).sum(), color="black")
axes[0].set(xlabel="chicks without a tick", ylabel="simulated data sets")
axes[0].margins(y=0.2)
axes[0].legend(frameon=False)

grid = pd.DataFrame({"height": np.linspace(-6.0, 7.0, 50)})
rng = np.random.default_rng(1)
for year, color in zip(["95", "96", "97"], ["#0072B2", "#D55E00", "#009E73"]):
    at = grouse["YEAR"] == year
    shift = rng.uniform(-0.1, 0.1, at.sum())
    axes[1].plot(
        grouse["height"][at] + shift, grouse["TICKS"][at], ".", color=color, ms=3
    )
    found = negative.get_prediction(grid.assign(YEAR=year), random_effects="average")
    frame = found.summary_frame()
    axes[1].plot(grid["height"], frame["predicted"], color=color, label=f"19{year}")
    ends = frame["ci_lower"], frame["ci_upper"]
    axes[1].fill_between(grid["height"], *ends, color=color, alpha=0.2, linewidth=0)
axes[1].set_yscale("function", functions=(np.sqrt, np.square))
axes[1].set(xlabel="height from the mean, 10 m", ylabel="ticks per chick", ylim=(0, 90))
axes[1].set_yticks([0, 1, 5, 20, 50, 80])
axes[1].legend(frameon=False)
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Elston, D. A., Moss, R., Boulinier, T., Arrowsmith, C. and Lambin, X. (2001). Analysis
# of aggregation, a worked example: numbers of ticks on red grouse chicks. Parasitology
# 122, 563-569.
