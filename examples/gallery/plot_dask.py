"""
A bootstrap on a Dask cluster
=============================

Small models are bootstrapped as one array computation and need no cluster. Workers help
if the model is large, or if each replicate calls a function of yours. The work is
distributed by joblib: ``joblib.parallel_config`` sets where it is done, and Dask is one
of the choices. In this example the cluster consists of two workers in the process of
this page; with the address of a scheduler it can consist of any number of machines.
"""

import importlib.util

import matplotlib.pyplot as plt
import numpy as np

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

sleepstudy = datasets.sleepstudy.load_pandas().data
result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", sleepstudy).fit()


def last_day(fit):
    """How much slower the average and the slowest subject are on day 9."""
    slopes = fit.random_effects["Subject"]["Days"]
    average = 9.0 * fit.params["Days"]
    return {"average": average, "slowest": average + 9.0 * slopes.max()}


# %%
# The call is the same with and without workers, and so are the draws: the same ``rng``
# gives the same numbers, to the last bit.

here = result.bootstrap(40, rng=1, statistic=last_day, n_jobs=1)
there = here
if importlib.util.find_spec("distributed") and importlib.util.find_spec("joblib"):
    import joblib
    from distributed import Client

    workers = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    # a busy machine may need more than the ten seconds that joblib waits for workers
    with (
        Client(**workers, dashboard_address=None, timeout=600),
        joblib.parallel_config("dask", n_jobs=2, wait_for_workers_timeout=600),
    ):
        there = result.bootstrap(40, rng=1, statistic=last_day)
    print(f"the same: {there.statistics.equals(here.statistics)}")
else:
    print("dask.distributed and joblib are not installed: nothing to show")

# %%
# The result is the bootstrap distribution of a user-defined statistic.

print(there.statistics.quantile([0.1, 0.5, 0.9]).round(1))
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
bins = np.linspace(40.0, 280.0, 25)
for name, color in (("average", "#0072B2"), ("slowest", "#D55E00")):
    ax.hist(there.statistics[name], bins, color=color, alpha=0.6, label=name)
ax.set(xlabel="slower on day 9 than on day 0 (ms)", ylabel="replicates")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
