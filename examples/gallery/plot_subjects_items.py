"""
Subjects and items: a maximal model in psycholinguistics
========================================================

36 people decide whether a string of letters is a word, for 24 words, after a prime
that is related to the word, neutral, or unrelated. Every person sees every word once,
in a Latin square. People and words are both samples, so both are random, and both may
react to the prime in their own way: the model that the design asks for has a
covariance matrix of three effects for each.
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
# speed, and what related and unrelated primes change for each
of_subject = rng.normal(size=(36, 3)) * [60.0, 20.0, 20.0]
of_item = rng.normal(size=(24, 3)) * [30.0, 25.0, 25.0]
change = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1]])[prime]
data["time"] += ((of_subject[subject] + of_item[item]) * change).sum(axis=1)
data["time"] += rng.normal(scale=70.0, size=len(data))

# %%
# Two covariance matrices with six parameters each are a lot to ask of 864 rows. One of
# them is singular, and that is no obstacle: a local optimum is proved.

maximal = crossedmixedlm(
    "time ~ prime + (prime | subject) + (prime | item)", data
).fit()
print(maximal.summary())
print(maximal.boundary_table()[["group", "n_effects", "rank", "singular"]])

# %%
# The shortcut has random intercepts only. It takes 864 reactions as so many pieces of
# evidence about primes, and its standard errors are too small.

intercepts = crossedmixedlm("time ~ prime + (1 | subject) + (1 | item)", data).fit()
print(pd.DataFrame({"maximal": maximal.bse, "intercepts": intercepts.bse}).round(2))

# %%
# Are the primes different? Satterthwaite's and Kenward and Roger's degrees of freedom
# tell how much information about it there is: about as many as there are people and
# words.

tests = {
    (name, method): fit.anova(df_method=method).loc["prime"]
    for name, fit in (("maximal", maximal), ("intercepts", intercepts))
    for method in ("satterthwaite", "kenward-roger")
}
table = pd.DataFrame(tests).T[["df", "df_denom", "F", "PR(>F)"]]
print(table.astype(float).round(4).to_string())

# %%
# Marginal means and their differences, with p-values adjusted by Tukey's method.

means = maximal.marginal_means("prime", df_method="kenward-roger")
contrasts = means.contrasts()
print(means.summary())
print(contrasts.summary())

# %%
# Left the means; right the differences from related primes in both models.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
maximal.plot_effects("prime", df_method="kenward-roger", data=False, ax=axes[0])
names = ["maximal", "intercepts only"]
maximal.plot_coefficients(
    intercepts, names=names, df_method="kenward-roger", ax=axes[1]
)
plt.show()
