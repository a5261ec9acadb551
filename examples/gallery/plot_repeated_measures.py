"""
Repeated measures: correlation between visits
=============================================

Forty patients on two treatments make six visits, and at each visit their blood pressure
is measured twice. Consecutive visits are more alike than distant ones: the correlation
is 0.7 between neighboring visits, 0.49 between visits two apart, and so on. This
example compares three structures for the covariance matrix of the six visits.

Here two measurements share a visit, so that visits are random effects. Where each visit
has one measurement, its errors are correlated instead: :doc:`../residuals`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

N_PATIENTS, VISITS, RHO = 40, 6, 0.7

rng = np.random.default_rng(5)
lag = np.abs(np.subtract.outer(np.arange(VISITS), np.arange(VISITS)))
root = np.linalg.cholesky(8.0**2 * RHO**lag)
of_visit = rng.normal(size=(N_PATIENTS, VISITS)) @ root.T
patient, visit = np.divmod(np.repeat(np.arange(N_PATIENTS * VISITS), 2), VISITS)
data = pd.DataFrame({"patient": patient, "visit": visit, "treated": patient % 2})
data["pressure"] = 140.0 - 1.5 * visit * data["treated"] + of_visit[patient, visit]
data["pressure"] += rng.normal(scale=5.0, size=len(data))

# %%
# Compound symmetry, ``cs``, has one correlation for all pairs of visits; ``ar1`` has
# one that decreases with distance; an unstructured matrix has 15. With ``hom=True`` the
# variances are the same at all visits.

fixed = "pressure ~ visit * treated"
structures = {
    "cs": "cs(0 + C(visit) | patient, hom=True)",
    "ar1": "ar1(0 + C(visit) | patient, hom=True)",
    "us": "(0 + C(visit) | patient)",
}
fits = {
    name: crossedmixedlm(f"{fixed} + {term}", data).fit()
    for name, term in structures.items()
}
print(fits["ar1"].summary())

# %%
# The fixed effects are the same in all three models, so REML criteria may be compared.
# The unstructured matrix has the highest likelihood, as it must, but pays for its 21
# parameters.

columns = {name: [f.llf, f.n_params, f.aic, f.bic] for name, f in fits.items()}
table = pd.DataFrame(columns, ["llf", "parameters", "AIC", "BIC"]).T
print(table.round(1))

# %%
# ``ar1`` is a special case of the unstructured matrix, so the two can be compared by a
# test. It does not reject ``ar1``.

test = fits["us"].compare_lr_test(fits["ar1"])
print(f"us or ar1: {test.statistic:.1f} on {test.df_diff} df, p = {test.pvalue:.2f}")

# %%
# The choice matters for the effect of the treatment over time, whose standard error is
# too small under compound symmetry. Patients whose pressure drifts look like patients
# who respond to the treatment.

slope = "visit:treated"
effect = pd.DataFrame(
    {
        "estimate": {name: f.params[slope] for name, f in fits.items()},
        "std err": {name: f.bse[slope] for name, f in fits.items()},
    }
)
print(effect.round(3))

# %%
# The figure shows the correlations between visits by their distance. Dots are the
# unstructured estimates.


def correlations(fit):
    """Correlations of the visits of a patient."""
    covariance = fit.cov_re["patient"].to_numpy()
    sd = np.sqrt(np.diag(covariance))
    return covariance / np.outer(sd, sd)


distance = np.arange(1, VISITS)
first, second = np.triu_indices(VISITS, 1)
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(distance, RHO**distance, color="0.4", linestyle=":", label="truth")
free = correlations(fits["us"])[first, second]
ax.plot(second - first, free, "o", color="0.6", label="unstructured")
for name, color in (("ar1", "#0072B2"), ("cs", "#D55E00")):
    ax.plot(distance, correlations(fits[name])[0, 1:], color=color, label=name)
ax.set(xlabel="visits apart", ylabel="correlation", ylim=(0, 1), xticks=distance)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
