"""
Subjects and items: a maximal model in psycholinguistics
========================================================

In this experiment 36 people decide whether a string of letters is a word. There are 24
words, each shown after a prime that is related to it, neutral, or unrelated. Every
person sees every word once, in a Latin square. People and words are both samples, so
both have random effects, and the effect of the prime may vary between people and
between words. The model that the design calls for therefore has a covariance matrix of
three effects for each of the two factors.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

PRIMES = ["related", "neutral", "unrelated"]
TRUTH = {"related": 550.0, "neutral": 580.0, "unrelated": 590.0}

rng = np.random.default_rng(8)
subject, item = np.divmod(np.arange(36 * 24), 24)
prime = (subject + item) % 3
data = pd.DataFrame({"subject": subject, "item": item})
data["prime"] = pd.Categorical.from_codes(prime, PRIMES)
data["time"] = np.array(list(TRUTH.values()))[prime]
# overall speed, and the changes due to related and unrelated primes
of_subject = rng.normal(size=(36, 3)) * [60.0, 20.0, 20.0]
of_item = rng.normal(size=(24, 3)) * [30.0, 25.0, 25.0]
change = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1]])[prime]
data["time"] += ((of_subject[subject] + of_item[item]) * change).sum(axis=1)
data["time"] += rng.normal(scale=70.0, size=len(data))

# %%
# Two covariance matrices with six parameters each are a lot to estimate from 864 rows.
# One of them is singular, which is no obstacle: a local optimum is proved.

maximal = crossedmixedlm(
    "time ~ prime + (prime | subject) + (prime | item)", data
).fit()
print(maximal.summary())
print(maximal.boundary_table()[["group", "n_effects", "rank", "singular"]])

# %%
# A simpler model has random intercepts only. It treats the 864 reactions as independent
# pieces of evidence about primes, and its standard errors are too small.

intercepts = crossedmixedlm("time ~ prime + (1 | subject) + (1 | item)", data).fit()
print(pd.DataFrame({"maximal": maximal.bse, "intercepts": intercepts.bse}).round(2))

# %%
# Do the primes differ? The degrees of freedom of Satterthwaite's and of Kenward and
# Roger's methods show how much information there is: about as many as there are people
# and words.

tests = {
    (name, method): fit.anova(df_method=method).loc["prime"]
    for name, fit in (("maximal", maximal), ("intercepts", intercepts))
    for method in ("satterthwaite", "kenward-roger")
}
table = pd.DataFrame(tests).T[["df", "df_denom", "F", "PR(>F)"]]
print(table.astype(float).round(4).to_string())

# %%
# Marginal means and their differences, with p-values adjusted by Tukey's method:

means = maximal.marginal_means("prime", df_method="kenward-roger")
contrasts = means.contrasts()
print(means.summary())
print(contrasts.summary())

# %%
# The left panel shows the means, the right panel the differences from related primes in
# both models.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
maximal.plot_effects("prime", df_method="kenward-roger", data=False, ax=axes[0])
names = ["maximal", "intercepts only"]
maximal.plot_coefficients(
    intercepts, names=names, df_method="kenward-roger", ax=axes[1]
)
plt.show()
