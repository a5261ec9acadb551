"""
Contraception in Bangladesh: from the data to a report
======================================================

In 1988 a survey asked 1,934 women in 60 districts of Bangladesh whether they used
contraception. How does it depend on age, on the number of living children and on living
in a town, and how much do districts differ? The data are those of Huq and Cleland
(1990), which are a classic of multilevel analysis.
"""

import matplotlib.pyplot as plt
import pandas as pd

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedglm

women = datasets.contraception.load_pandas().data
print(women.groupby(["urban", "livch"], observed=True)["use"].value_counts().unstack())

# %%
# Age is centered, in years. The effect of living in a town may differ between
# districts, so a district has two random effects. Is a straight line in age enough?
# Residuals of single women say nothing; their averages in groups of similar age do.

straight = crossedmixedglm(
    "use ~ age + urban + livch + (urban | district)", women
).fit()
formula = "use ~ age + I(age**2) + urban + livch + (urban | district)"
model = crossedmixedglm(formula, women)
result = model.fit()

figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
for ax, fit, title in zip(axes[0], (straight, result), ("age", "age and its square")):
    fit.plot_binned_residuals("age", ax=ax)
    ax.set(title=title, ylim=(-0.38, 0.38))

# %%
# The figure below has them in its first row. The youngest and the oldest women use less
# contraception than a line predicts, and the square of age mends that. Now the model as
# a whole:

print(result.summary())
simulated = result.simulated_residuals(rng=1, group="district")
print("uniform by district:", simulated.uniformity_test())

# %%
# The means of the districts are spread as they are in simulated data. The summary says
# that quadrature would change little. Indeed:

accurate = model.fit(nagq=9)
change = pd.concat([accurate.params - result.params, accurate.theta - result.theta])
print(f"largest change: {change.abs().max():.3f}")

# %%
# So Laplace's approximation will do. Tests of the terms, and of the districts' second
# effect:

print(result.drop1().round(4))
print(result.random_effect_tests()[["statistic", "df", "pvalue_mixture"]].round(4))

# %%
# Age matters only by its square, towns and children matter clearly, and the difference
# between town and country is not the same in all districts. How large is it? The
# probabilities are means over the districts, for women of average age:

means = result.marginal_means(
    "urban", by="livch", at={"age": 0.0}, random_effects="average"
)
print(means)
differences = means.contrasts(reverse=True)
print(differences)

# %%
# A woman in a town is more likely to use contraception by about 17 percentage points,
# whatever the number of her children. Profile intervals of the standard deviations and
# the correlation of the districts' effects complete the report:

intervals = result.conf_int(method="profile", which="random")
print(pd.concat([result.variance_parameters()["estimate"], intervals], axis=1).round(2))

# %%
# The correlation is negative: where much contraception is used in the country, towns
# add little. The second row of the figure shows the means, with 95 % intervals, and
# what the model predicts for a woman with one child in town and country of each
# district.

left, right = axes[1]
colors = {"N": ("#0072B2", "country", -0.06), "Y": ("#D55E00", "town", 0.06)}
children = {level: x for x, level in enumerate(["0", "1", "2", "3+"])}
for urban, frame in means.frame.groupby("urban", observed=True):
    color, label, shift = colors[urban]
    x = [children[level] + shift for level in frame["livch"]]
    error = [frame["mean"] - frame["ci_lower"], frame["ci_upper"] - frame["mean"]]
    left.errorbar(x, frame["mean"], error, fmt="o", color=color, label=label)
left.set_xticks(list(children.values()), list(children))
left.set(xlabel="living children", ylabel="use of contraception", ylim=(0, 0.8))
left.legend(frameon=False, loc="lower right")

districts = pd.DataFrame({"district": result.random_effects["district"].index})
districts = districts.assign(age=0.0, livch="1")
country, town = (
    result.predict(districts.assign(urban=urban), random_effects=True) for urban in "NY"
)
right.plot([0, 1], [0, 1], color="0.7", linewidth=1)
right.plot(country, town, "o", color="#0072B2", markersize=4)
right.set(xlabel="country", ylabel="town", xlim=(0.1, 0.85), ylim=(0.1, 0.85))
for ax in axes.flat:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Huq, N. M. and Cleland, J. (1990). Bangladesh Fertility Survey 1989 (Main Report).
# National Institute of Population Research and Training, Dhaka.
