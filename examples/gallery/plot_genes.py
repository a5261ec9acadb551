"""
Genes in repeated measures: one model, thousands of responses
=============================================================

Blood of 12 patients is drawn on four visits, half of the patients are treated, and the
expression of 5,000 genes is measured in every sample. Of each gene it is asked whether
its course differs under treatment. The patients differ in level and in trend, so the
model has correlated random intercepts and slopes.

The model is the same 5,000 times. ``fit_many`` fits all responses by a few array
computations; every fit is the REML fit that ``fit`` would give, with its proof.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

N_PATIENTS, N_GENES, N_TRUE = 12, 5000, 250
rng = np.random.default_rng(4)

samples = pd.MultiIndex.from_product(
    [range(N_PATIENTS), range(4)], names=["patient", "visit"]
).to_frame(index=False)
samples["treated"] = samples["patient"] % 2
samples.index = [f"s{i:03d}" for i in range(len(samples))]

# %%
# The genes are simulated: variances differ between genes, for some the patients do not
# differ at all, and in the first 250 treatment changes the trend. One sample in fifty
# failed, for a few genes each, and its value is missing.

patient, visit = samples["patient"].to_numpy(), samples["visit"].to_numpy()
sigma = np.sqrt(0.25 * 8.0 / rng.chisquare(8.0, N_GENES))
sds = sigma * rng.choice([0.0, 0.4, 0.8], size=(2, N_GENES))
level, trend = rng.normal(size=(2, N_PATIENTS, N_GENES)) * sds[:, None]
effect = np.where(np.arange(N_GENES) < N_TRUE, rng.normal(scale=0.8, size=N_GENES), 0)
treated_visit = (samples["treated"] * samples["visit"]).to_numpy()
values = 8.0 + level[patient] + 0.3 * trend[patient] * visit[:, None]
values += treated_visit[:, None] * effect + rng.normal(size=values.shape) * sigma
incomplete = rng.choice(N_GENES, 300, replace=False)
values[rng.integers(len(samples), size=300), incomplete] = np.nan
names = [f"G{i:04d}" for i in range(N_GENES)]
expression = pd.DataFrame(values, samples.index, names)

# %%
# The formula has no response. A model without a response can be fitted to many.

model = crossedmixedlm("~ visit * treated + (visit | patient)", samples)
many = model.fit_many(expression)
print(many)
print(many.summary().round(3))

# %%
# The summary says what matters of 5,000 fits. Many are singular, because the patients
# hardly differ in level or trend of many genes; that is an estimate and no failure.
# Every fit is proved to be an optimum.
#
# The test of the interaction has Satterthwaite's degrees of freedom, and its p-values
# are adjusted for the number of genes.

tests = many.t_test("visit:treated")
print(tests.sort_values("p").head())

# %%
# With few patients the variance of a single gene is uncertain. The genes together say
# how large variances are, and moderated tests borrow that knowledge (Smyth, 2004), as
# limma does for models without random effects.

moderated = many.t_test("visit:treated", moderated=True)


def found(table):
    """How many genes are found, and how many of these are false."""
    below = table["p_adjusted"] < 0.05
    return int(below.sum()), int(below[N_TRUE:].sum())


print("usual, of these false:    ", *found(tests))
print("moderated, of these false:", *found(moderated))

# %%
# A gene that stands out is an ordinary result, with everything that one has.

best = tests["p"].idxmin()
result = many[best]
print(result.summary())

# %%
# The volcano shows the genes by effect and p-value. The p-values of genes without an
# effect should be uniform. Where a variance is truly zero they are rather too large,
# because the estimated variance cannot be negative: the tests are conservative there.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), layout="constrained")
many.plot_volcano("visit:treated", ax=left, moderated=True)
null = model.fit_many(expression.iloc[:, N_TRUE:])
null.plot_pvalues("visit:treated", ax=right)
right.set_title("Genes without an effect")
plt.show()
