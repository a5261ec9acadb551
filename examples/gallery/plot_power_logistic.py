"""
Power of a study with a yes-or-no response
==========================================

How many schools does a study of a prevention program need? Whole schools are assigned
to the program or to none, 20 pupils of each are asked whether they smoke, and schools
differ for reasons of their own. For such a design there is no formula of the power, but
simulation needs nothing except a model with known parameters.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.formula.api import crossedmixedglm

PUPILS = 20
"""Pupils asked in each school."""

BASELINE = -0.85
"""Log odds of smoking in a school of average effect without the program: 30 %."""

DEVIATION = 0.5
"""Standard deviation of the log odds between schools."""

EFFECTS = {"none": 0.0, "odds 2/3": np.log(2 / 3), "odds 1/2": np.log(1 / 2)}
"""True effects of the program on the log odds."""

# %%
# With ``maxiter=0`` a fit stays at the parameters that it is given: here the planned
# ones, fixed effects first and then the standard deviation. It knows the design, and
# its response does not matter.


def planned(n_schools, effect):
    """A model of the study at the planned parameters."""
    school, pupil = np.divmod(np.arange(PUPILS * n_schools), PUPILS)
    columns = {"school": school, "program": school % 2, "smokes": pupil % 2}
    model = crossedmixedglm("smokes ~ program + (1 | school)", pd.DataFrame(columns))
    return model.fit(start_params=[BASELINE, effect, DEVIATION], maxiter=0)


study = planned(20, EFFECTS["odds 1/2"])
print(study.params.round(3).to_dict(), study.theta.round(3).to_dict())

# %%
# ``simulate`` draws responses from it, and ``refit`` fits the model to one of them.
# This is one possible outcome of the study:

smokes = study.simulate(rng=1)[0]
print(study.refit(smokes).summary())

# %%
# The bootstrap does this for hundreds of responses in one array computation, and keeps
# the estimates with their standard errors. In some replicates the schools do not seem
# to differ: their variance is zero, which is an answer like any other.

NSIM = 200
SIZES = [8, 16, 28, 40]


def replicates(n_schools, effect):
    """Estimates and standard errors of the effect in many such studies."""
    draws = planned(n_schools, effect).bootstrap(NSIM, rng=n_schools).draws
    return draws[["program", "se program"]].set_axis(["estimate", "error"], axis=1)


studies = {
    (name, n): replicates(n, effect) for name, effect in EFFECTS.items() for n in SIZES
}
power = pd.Series(
    {
        key: (abs(draws["estimate"] / draws["error"]) > stats.norm.isf(0.025)).mean()
        for key, draws in studies.items()
    }
).unstack(0)[list(EFFECTS)]
print(power.round(3))

# %%
# The first column, in which there is no effect, should be 5 %. With eight schools it is
# more, because z tests take no account of the uncertainty of the variance between
# schools. Power that is due to this is no merit; so small a study should be tested by
# the bootstrap, ``fit.drop1(method="bootstrap")``.
#
# The errors fall with the root of the number of schools. Those of the largest study
# thus tell how many schools a power of 80 % takes, roughly:

errors = {name: studies[name, SIZES[-1]]["error"].median() for name in EFFECTS}
critical = stats.norm.isf(0.025)
needed = {
    name: SIZES[-1] * ((critical + stats.norm.isf(0.2)) * errors[name] / effect) ** 2
    for name, effect in EFFECTS.items()
    if effect
}
print({name: round(n) for name, n in needed.items()})

# %%
# The lines in the figure are the power of a z test with such errors; dots are the
# results of the simulation, with two standard errors.


def power_of_normal(n_schools, name):
    """Power of a z test with a known standard error."""
    shift = EFFECTS[name] / (errors[name] * np.sqrt(SIZES[-1] / n_schools))
    return stats.norm.sf(critical - shift) + stats.norm.cdf(-critical - shift)


grid = np.arange(SIZES[0], SIZES[-1] + 1)
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
ax.axhline(0.8, color="0.7", linestyle="--", linewidth=1)
for name, color in zip(EFFECTS, ["#8c8c8c", "#0072B2", "#D55E00"]):
    share = power[name]
    error = 2.0 * np.sqrt(share * (1.0 - share) / NSIM)
    ax.plot(grid, power_of_normal(grid, name), color=color, linewidth=1)
    ax.errorbar(SIZES, share, error, fmt="o", color=color, label=name)
ax.set(xlabel="schools", ylabel="power", ylim=(0, 1.03))
ax.spines[["top", "right"]].set_visible(False)
figure.legend(title="effect", frameon=False, loc="outside right center")
plt.show()
