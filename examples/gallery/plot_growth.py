"""
Growth: errors that are correlated and spread more and more
===========================================================

Thirty seedlings in sun or shade are measured every other day. A seedling that is ahead
of its line one day is still ahead two days later, and tall plants are measured less
well than small ones. Random effects alone describe neither. This example finds out what
is wrong, mends it, and forecasts the next measurements. The data are simulated: errors
two days apart are correlated by 0.7, and their standard deviation grows as the root of
the day.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm import compare_criteria, compare_table, report
from statsmodels_lmm.formula.api import crossedmixedlm

RHO, POWER, PLANTS, DAYS = 0.7, 0.5, 30, np.arange(2, 33, 2)

rng = np.random.default_rng(5)
lag = abs(np.subtract.outer(range(16), range(16)))
drift = rng.normal(size=(PLANTS, 16)) @ np.linalg.cholesky(RHO**lag).T
sun = np.arange(PLANTS) % 2
ahead = rng.normal(scale=0.8, size=(PLANTS, 1))
height = 4.0 + ahead + np.outer(0.8 + 0.3 * sun, DAYS)
plants = pd.DataFrame({"plant": np.repeat(np.arange(PLANTS), 16)})
plants["day"] = np.tile(DAYS, PLANTS)
plants["light"] = np.where(sun, "sun", "shade")[plants["plant"]]
plants["height"] = (height + 0.25 * DAYS**POWER * drift).round(1).ravel()
plants["step"] = plants["day"] // 2

# %%
# The last three days are put aside, and a few heights were never measured. A plain
# model has a line for each light, and plants are above or below it.

is_known = plants["day"] <= 26
seen = plants[is_known & (rng.uniform(size=len(plants)) > 0.05)]
formula = "height ~ light * day + (1 | plant)"
plain = crossedmixedlm(formula, seen).fit()
print(plain.summary())

# %%
# Its residuals by day, and how those of the same plant are related (the figure below
# shows both): they spread more from day to day, and neighbors are alike. Each remedy is
# added and tested. ``ar1`` counts steps of one, here of two days.

steps = {"residual": "ar1(step | plant)"}
candidates = [
    plain.model,
    crossedmixedlm(formula, seen, **steps),
    crossedmixedlm(formula, seen, **steps, dispersion="~ log(day)"),
    crossedmixedlm(formula, seen, **steps, dispersion="~ log(day) + light"),
]
names = ["plain", "ar1", "ar1, day", "ar1, day, light"]
fits = [model.fit() for model in candidates]
print(compare_criteria(*fits, names=names).round(1))
for name, small, large in zip(names[1:], fits, fits[1:]):
    test = large.compare_lr_test(small)
    print(f"{name}: chi2 = {test.statistic:.1f}, p = {test.pvalue:.2g}")

# %%
# The correlation and the growing spread are both needed, a variance for each light is
# not. The standard deviation is a power of the day, because its logarithm is linear in
# that of the day. Intervals from the profile likelihood contain what was simulated, 0.7
# and 0.5:

chosen = fits[2]
intervals = chosen.profile(["ar1 rho", "log sd log(day)"]).conf_int()
print(chosen.residual_table().join(intervals).round(3))

# %%
# A forecast for the days that were put aside. With ``include_residual=True`` it starts
# where a plant was seen last, and returns to its line. New rows need the columns of the
# errors, here ``step`` and ``day``.

later = plants[~is_known]
options = {"random_effects": True, "interval": "prediction"}
forecasts = {
    "plain": plain.get_prediction(later, **options),
    "line": chosen.get_prediction(later, **options),
    "line and error": chosen.get_prediction(later, include_residual=True, **options),
}
rows = {}
for name, forecast in forecasts.items():
    frame = forecast.summary_frame()
    inside = later["height"].between(frame["obs_ci_lower"], frame["obs_ci_upper"])
    miss = (later["height"] - frame["predicted"]) ** 2
    rows[name] = {
        "root mean squared error": np.sqrt(miss.mean()),
        "on the first day": np.sqrt(miss[later["day"] == 28].mean()),
        "inside the intervals": inside.mean(),
    }
print(pd.DataFrame(rows).T.round(2))

# %%
# The plain model promises too much: its intervals for single measurements should miss
# one in twenty. The lines of the chosen model alone are not better, because they leave
# the drift to the errors; together they are.
#
# Above, the plain model: residuals by day and their autocorrelation. Below, the
# normalized residuals of the chosen one, within the bounds but for chance, and its
# forecast for two plants with their lines (dotted) and what was put aside (circles).

figure, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
plain.plot_residuals(by="day", ax=axes[0, 0])
plain.plot_autocorrelation("day", groups="plant", ax=axes[0, 1])
chosen.plot_autocorrelation("day", kind="normalized", ax=axes[1, 0])
ax = axes[1, 1]
told = forecasts["line and error"].summary_frame()
told["line"] = forecasts["line"].predicted
for plant, color in ((4, "#0072B2"), (13, "#D55E00")):
    known, new = (d[(d["plant"] == plant) & (d["day"] > 10)] for d in (seen, later))
    ax.plot(known["day"], known["height"], "o", color=color, markersize=4)
    ax.plot(new["day"], new["height"], "o", color=color, markersize=4, mfc="none")
    ends = (told.loc[new.index, f"obs_ci_{side}"] for side in ("lower", "upper"))
    ax.fill_between(new["day"], *ends, color=color, alpha=0.2, linewidth=0)
    ax.plot(new["day"], told.loc[new.index, "predicted"], color=color)
    ax.plot(new["day"], told.loc[new.index, "line"], color=color, linestyle=":")
ax.set(xlabel="day", ylabel="height (cm)")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# For the paper:

chosen = chosen.with_df_method("satterthwaite")
print(compare_table(plain, chosen, names=["plain", "correlated"], decimals=2))
print(report(chosen))
