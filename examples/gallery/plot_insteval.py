"""
Students and lecturers: thousands of random effects
===================================================

At ETH Zurich 2,972 students rated 1,128 lecturers, 73,421 times, from 1 to 5. Students
and lecturers are crossed, but far from completely: most students never met most
lecturers. A strict student should not count against the lecturers that he rates, and a
lecturer with four ratings should not top the list by luck. A mixed model does both.
"""

import matplotlib.pyplot as plt

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

data = datasets.insteval.load_pandas().data
formula = "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)"
result = crossedmixedlm(formula, data).fit()
print(result.summary())

# %%
# Lecturers differ more in how they are rated than students do in how they rate. Their
# shares in the variance of a rating:

total = result.vcomp.sum() + result.scale
shares = (result.vcomp / total).round(3)
print(shares)

# %%
# Who is rated best? By means it is somebody with few ratings; the model pulls them in,
# and how far depends on their number.

by_mean = data.groupby("d", observed=True)["y"].agg(["mean", "size"])
table = result.random_effects_table()
lecturers = table[table["group"] == "d"].set_index("level")
by_mean["mode"] = lecturers["mode"].reindex(by_mean.index.astype(str)).to_numpy()
print(by_mean.sort_values("mean", ascending=False).head().round(2))
print(by_mean.sort_values("mode", ascending=False).head().round(2))

# %%
# All of them, sorted, with intervals of 95 %: each is a line, and those that exclude
# zero are blue. The intervals of students are longer because they have 25 ratings on
# average, lecturers 65.

figure = result.plot_random_effects(["d", "s"])
plt.show()
