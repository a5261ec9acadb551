"""
Power: how many subjects does a study need?
===========================================

Power is the probability of finding an effect that exists. It can be estimated by
simulation: draw responses, fit the model, test the effect, and count the significant
results. The bootstrap of a fit does just this, with many responses in one array
computation. All it needs is a fit whose estimates are the values assumed in planning
the study.

In this example half of the subjects are treated, all are measured on five days, and the
treatment affects the slope over days.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.formula.api import crossedmixedlm

EFFECT = 1.0
"""Effect of the treatment on the slope."""

PSI = np.diag([3.0**2, 1.0**2])
"""Covariance of intercepts and slopes of the subjects."""

SIGMA = 2.0
"""Standard deviation of the residuals."""

Z = np.column_stack([np.ones(5), np.arange(5)])

# %%
# Random numbers can be centered and scaled to have exactly the required moments. In a
# balanced design the estimates depend on only two of these: the covariance of the
# subjects' own least-squares lines, PSI + SIGMA^2 (Z'Z)^-1, and the sum of squares
# about the lines. Hence one can construct data whose estimates are the planned values.


def typical_study(n_subjects):
    """Give data whose estimates by REML are the planned values."""
    rng = np.random.default_rng(n_subjects)
    treated = np.arange(n_subjects) % 2
    lines = rng.normal(size=(n_subjects, 2))
    for group in (0, 1):
        lines[treated == group] -= lines[treated == group].mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(lines.T @ lines / (n_subjects - 2)))
    root = np.linalg.cholesky(PSI + SIGMA**2 * np.linalg.inv(Z.T @ Z))
    lines = lines @ whiten.T @ root.T + [20.0, 1.0]
    lines[:, 1] += EFFECT * treated
    residuals = rng.normal(size=(n_subjects, 5))
    residuals -= residuals @ Z @ np.linalg.pinv(Z)
    residuals *= SIGMA * np.sqrt(3 * n_subjects) / np.linalg.norm(residuals)
    subject, day = np.divmod(np.arange(5 * n_subjects), 5)
    y = (lines @ Z.T + residuals).ravel()
    columns = {"subject": subject, "day": day, "treated": treated[subject], "y": y}
    return pd.DataFrame(columns)


formula = "y ~ day * treated + (day | subject)"
planned = crossedmixedlm(formula, typical_study(20)).fit()
print(planned.summary(df_method="satterthwaite"))

# %%
# With 20 subjects Satterthwaite's method gives 18 degrees of freedom for the treatment,
# two fewer than there are subjects, and p is 0.075: even an estimate of the planned
# size would not be significant.
#
# Now the replicates. Each has its own estimate and standard error. A different true
# effect would shift the estimates and change nothing else, so the same replicates serve
# for every effect, and for an effect of zero, where the power should be 5 %.

NSIM = 500
SIZES, EFFECTS = [10, 20, 30, 40, 60, 80], [0.0, 0.5, 1.0, 1.5]


def power(n_subjects, nsim=NSIM):
    """Share of replicates in which the effect is found, for each true effect."""
    fit = crossedmixedlm(formula, typical_study(n_subjects)).fit()
    draws = fit.bootstrap(nsim, rng=n_subjects).draws
    estimate, error = draws["day:treated"], draws["se day:treated"]
    critical = stats.t.isf(0.025, n_subjects - 2)
    return [(abs(estimate - EFFECT + e) / error > critical).mean() for e in EFFECTS]


table = pd.DataFrame([power(n) for n in SIZES], SIZES, EFFECTS)
print(table.round(3))

# %%
# For this design there is also a formula, based on the noncentral t distribution. It
# gives the lines in the figure; dots are the simulation results, with two standard
# errors.
#
# With missing visits or crossed factors there is no formula. In that case
# ``result.simulate(500, exog=design)`` draws responses for any design from the fit of a
# pilot study, and ``fit.refit(y)`` fits the model to one of them.


def power_by_formula(n_subjects, effect):
    """Power of the two-sided t test."""
    variance = 4.0 * (PSI + SIGMA**2 * np.linalg.inv(Z.T @ Z))[1, 1] / n_subjects
    df, shift = n_subjects - 2, effect / np.sqrt(variance)
    critical = stats.t.isf(0.025, df)
    return stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift)


grid = np.arange(10, 81, 2)
colors = ["#8c8c8c", "#56B4E9", "#0072B2", "#D55E00"]
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
ax.axhline(0.8, color="0.7", linestyle="--", linewidth=1)
for effect, color in zip(EFFECTS, colors):
    share = table[effect]
    error = 2.0 * np.sqrt(share * (1.0 - share) / NSIM)
    ax.plot(grid, power_by_formula(grid, effect), color=color, linewidth=1)
    ax.errorbar(SIZES, share, error, fmt="o", color=color, label=f"{effect:g}")
ax.set(xlabel="subjects", ylabel="power", ylim=(0, 1.03))
ax.spines[["top", "right"]].set_visible(False)
figure.legend(title="effect", frameon=False, loc="outside right center")
plt.show()
