"""
A split-plot experiment: oats and nitrogen
==========================================

The classic field trial of Yates (1935) has six blocks. Each block has three plots, one
for each variety of oats, and each plot has four subplots, one for each amount of
nitrogen. Varieties are compared between plots and amounts of nitrogen within plots, so
there are two kinds of error, which the random effects ``(1 | Block/Variety)``
represent.
"""

import matplotlib.pyplot as plt

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

oats = datasets.oats.load_pandas().data
formula = "Q('yield') ~ C(nitro) * Variety + (1 | Block/Variety)"
result = crossedmixedlm(formula, oats).fit()
print(result.variance_components())

# %%
# These are the F tests of the textbooks: in a balanced trial Kenward and Roger's
# degrees of freedom are the classical ones. There are 10 for varieties, (6 - 1)(3 - 1)
# from the plots, and 45 for nitrogen, 3(6 - 1)(4 - 1) from the subplots.

table = result.anova(df_method="kenward-roger")
print(table[["df", "df_denom", "F", "PR(>F)"]].round(4).to_string())

# %%
# Nitrogen has an effect. Varieties may differ, but three of them in six blocks do not
# show it. The interaction is small, so means over the varieties are a fair summary.
# They increase with nitrogen; according to the quadratic contrast of the four means, it
# is not certain that the increase levels off.

small = result.with_df_method("kenward-roger")
means = small.marginal_means("nitro")
print(means.summary())
trend = means.contrasts("poly")
print(trend.summary())

# %%
# How much does each step add? P-values and intervals are adjusted for three
# comparisons.

steps = means.contrasts("consecutive")
print(steps.summary())

# %%
# All twelve means, plotted over the yields of the subplots.

figure = small.plot_effects("nitro", by="Variety")
plt.show()

# %%
# Yates, F. (1935). Complex experiments. Supplement to the Journal of the Royal
# Statistical Society 2, 181-247.
