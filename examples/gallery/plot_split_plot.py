"""
A split-plot experiment: oats and nitrogen
==========================================

Yates (1935) has the classic field trial. Each of six blocks has three plots, one for
each variety of oats; each plot has four subplots, one for each amount of nitrogen.
Varieties are compared between plots, amounts of nitrogen within. So there are two
kinds of error, and the random effects say so: ``(1 | Block/Variety)``.
"""

import matplotlib.pyplot as plt

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

oats = datasets.oats.load_pandas().data
formula = "Q('yield') ~ C(nitro) * Variety + (1 | Block/Variety)"
result = crossedmixedlm(formula, oats).fit()
print(result.variance_components())

# %%
# The F tests of the textbook: in a balanced trial Kenward and Roger's degrees of
# freedom are those that one counts by hand. There are 10 for varieties, from (6 - 1) (3
# - 1) plots, and 45 for nitrogen, from 3 (6 - 1) (4 - 1) subplots.

table = result.anova(df_method="kenward-roger")
print(table[["df", "df_denom", "F", "PR(>F)"]].round(4).to_string())

# %%
# Nitrogen matters; varieties may, but three of them in six blocks do not show it. The
# interaction is small, so means over varieties are a fair summary. They rise; that they
# rise less and less is not sure, says the quadratic contrast of the four means.

small = result.with_df_method("kenward-roger")
means = small.marginal_means("nitro")
print(means.summary())
trend = means.contrasts("poly")
print(trend.summary())

# %%
# How much does each step bring? p-values and intervals are adjusted for three of them.

steps = means.contrasts("consecutive")
print(steps.summary())

# %%
# All twelve means, over the yields of the subplots.

figure = small.plot_effects("nitro", by="Variety")
plt.show()

# %%
# Yates, F. (1935). Complex experiments. Supplement to the Journal of the Royal
# Statistical Society 2, 181-247.
