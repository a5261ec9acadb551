"""
Six intervals for every parameter
=================================

The data are 100 plants: ten greenhouses have five trays each, and each tray has two
plants. Growth depends on the dose of a fertilizer; greenhouses differ, and so do trays
within greenhouses. There are few rows for five parameters, and the kind of interval
matters.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

TRUTH = {
    "Intercept": 3.0,
    "dose": 1.5,
    "house:tray: sd Intercept": 0.8,
    "house: sd Intercept": 1.0,
    "sigma": 1.2,
}

rng = np.random.default_rng(16)
house, tray = np.divmod(np.arange(100) // 2, 5)
data = pd.DataFrame({"house": house, "tray": tray, "dose": rng.uniform(0.0, 4.0, 100)})
data["growth"] = 3.0 + 1.5 * data["dose"] + rng.normal(size=10)[house]
data["growth"] += rng.normal(scale=0.8, size=50)[5 * house + tray]
data["growth"] += rng.normal(scale=1.2, size=100)

result = crossedmixedlm("growth ~ dose + (1 | house/tray)", data).fit()
print(result.summary())

# %%
# The bootstrap simulates 999 responses from the fit and fits the model to each of them,
# in one array computation. It provides four of the five intervals below; Wald's come
# from the standard errors alone.

bootstrap = result.bootstrap(999, rng=1)
intervals = bootstrap.conf_int("all").loc[list(TRUTH)]
print(intervals.round(2).T.to_string())
print(f"{bootstrap.n_boundary} of {bootstrap.nsim} replicates are on the boundary.")

# %%
# The sixth kind, the profile interval, contains all values that a likelihood-ratio test
# would not reject.

profile = result.conf_int(method="profile").loc[list(TRUTH)]
print(profile.round(2))

# %%
# For the fixed effects and sigma all six are much alike. For the standard deviations,
# of ten greenhouses and of fifty trays, they are not. Wald's intervals are symmetric,
# but the likelihood is not. The profile and percentile intervals for greenhouses start
# at zero, so the greenhouses might well be all the same. The studentized interval is
# much shorter than the others and excludes the true value. The page :doc:`/inference`
# shows how often each kind covers the truth: profile intervals are the ones to use.

methods = ["wald", "basic", "normal", "studentized", "percentile"]
rows = {name: intervals[name] for name in methods} | {"profile": profile}
estimates = bootstrap.estimates

figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), layout="constrained", sharey=True)
for ax, (name, true) in zip(axes.flat, TRUTH.items()):
    for at, (method, table) in enumerate(rows.items()):
        color = "#D55E00" if method == "profile" else "#0072B2"
        ax.plot(table.loc[name], [at, at], color=color, linewidth=3)
    ax.axvline(estimates[name], color="0.3", linewidth=1, label="estimate")
    ax.axvline(true, color="0.3", linewidth=1, linestyle=":", label="truth")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_title(name, fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)
axes[0, 0].invert_yaxis()
axes[1, 2].set_visible(False)
handles, labels = ax.get_legend_handles_labels()
figure.legend(handles, labels, loc=(0.75, 0.25), frameon=False)
plt.show()
