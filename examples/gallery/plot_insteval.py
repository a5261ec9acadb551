"""
Students and lecturers: thousands of random effects
===================================================

At ETH Zurich 2,972 students gave 1,128 lecturers 73,421 ratings, from 1 to 5. Students
and lecturers are crossed, but far from completely: most students never met most of the
lecturers. A strict student should not count against the lecturers he rates, and a
lecturer with four ratings should not top the list by luck. A mixed model takes care of
both.
"""

import matplotlib.pyplot as plt

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

data = datasets.insteval.load_pandas().data
formula = "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)"
result = crossedmixedlm(formula, data).fit()
print(result.summary())

# %%
# Lecturers differ more in the ratings they receive than students do in the ratings they
# give. Their shares of the variance of a rating are:

total = result.vcomp.sum() + result.scale
shares = (result.vcomp / total).round(3)
print(shares)

# %%
# Who is rated best? Judging by the means, it is someone with few ratings. The model
# pulls such lecturers toward the average, and how far depends on the number of their
# ratings.

by_mean = data.groupby("d", observed=True)["y"].agg(["mean", "size"])
table = result.random_effects_table()
lecturers = table[table["group"] == "d"].set_index("level")
by_mean["mode"] = lecturers["mode"].reindex(by_mean.index.astype(str)).to_numpy()
print(by_mean.sort_values("mean", ascending=False).head().round(2))
print(by_mean.sort_values("mode", ascending=False).head().round(2))

# %%
# The figure shows all of them, sorted, with 95 % intervals; those that exclude zero are
# blue. The intervals for students are longer because students have 25 ratings on
# average, and lecturers 65.

figure = result.plot_random_effects(["d", "s"])
plt.show()
