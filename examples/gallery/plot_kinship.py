"""
SNPs and a trait in related people
==================================

Three of 200 SNPs affect a trait. So do many unmeasured genes, which relatives share. An
analysis that treats relatives as unrelated assumes more information than there is, and
too often finds SNPs that have no effect. The remedy is a random effect for each person,
with covariances proportional to kinship.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.relationship import numerator_relationship

EFFECTS = {"snp040": 0.35, "snp100": -0.35, "snp170": 0.30}
"""Effect of one more copy of the allele on the trait."""

# %%
# The data are 150 families of two parents and four children. A child inherits one of
# the two alleles of each parent. Its polygenic value is the mean of its parents' values
# plus a random deviation with half the variance of a founder.

rng = np.random.default_rng(23)
n_families, n_snps = 150, 200
frequency = rng.uniform(0.1, 0.5, n_snps)
parents = rng.random((n_families, 2, 2, n_snps)) < frequency
which = rng.random((n_families, 4, 2, n_snps)) < 0.5
children = np.where(which, parents[:, None, :, 0], parents[:, None, :, 1])
counts = np.concatenate([parents.sum(axis=2), children.sum(axis=2)], axis=1)

genes = rng.normal(size=(n_families, 2))
young = genes.mean(axis=1, keepdims=True) + np.sqrt(0.5) * rng.normal(size=(150, 4))
polygenic = np.hstack([genes, young]).ravel()

snps = [f"snp{j:03d}" for j in range(1, n_snps + 1)]
data = pd.DataFrame(counts.reshape(-1, n_snps), columns=snps)
data["trait"] = polygenic + rng.normal(scale=0.7, size=len(data))
for name, effect in EFFECTS.items():
    data["trait"] += effect * data[name]

family, member = np.divmod(np.arange(len(data)), 6)
data["id"] = [f"F{f:03d}.{m}" for f, m in zip(family, member)]
people = data[["id"]].copy()
for parent, at in (("father", 0), ("mother", 1)):
    label = data["id"].to_numpy()[6 * family + at]
    people[parent] = np.where(member < 2, None, label)

# %%
# The relationships follow from the pedigree: 1 with oneself, 1/2 between parent and
# child and between siblings, 0 between father and mother.

kinship = numerator_relationship(people, animal="id", sire="father", dam="mother")
print(kinship.iloc[:6, :6])

# %%
# The formula gives each person a random intercept, and ``relationship`` says how people
# are related. The true share of the variance due to genes is 1 / (1 + 0.49) = 0.67.

fixed = f"trait ~ {' + '.join(snps)}"
related = crossedmixedlm(
    f"{fixed} + (1 | id)", data, relationship={"id": kinship}
).fit()
strangers = smf.ols(fixed, data).fit()

variances = related.vcomp.iloc[0], related.scale
heritability = variances[0] / sum(variances)
print(f"heritability {heritability:.2f}")

# %%
# For a SNP without effect, chi2, the square of the estimate divided by its standard
# error, is 1 on average. If relatives are treated as unrelated, it is larger.

idle = [name for name in snps if name not in EFFECTS]
for title, fit in (("with kinship", related), ("as strangers", strangers)):
    chi2 = (fit.params[idle] / fit.bse[idle]) ** 2
    below = (fit.pvalues[idle] < 0.05).mean()
    print(f"{title}: mean chi2 {chi2.mean():.2f}, {below:.1%} have p < 0.05")

# %%
# The figure compares the sorted p-values with those expected if no SNP has an effect.
# For SNPs without effect, the p-values follow the line if kinship is modeled, and
# depart from it otherwise. The dashed line is Bonferroni's threshold.

expected = -np.log10((np.arange(n_snps) + 0.5) / n_snps)
figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
ax.axline((0, 0), slope=1, color="0.7", linewidth=1)
ax.axhline(-np.log10(0.05 / n_snps), color="0.5", linewidth=1, linestyle="--")
for title, fit, color, marker in (
    ("as strangers", strangers, "#D55E00", "s"),
    ("with kinship", related, "#0072B2", "o"),
):
    sorted_p = fit.pvalues[snps].sort_values()
    height = -np.log10(sorted_p.to_numpy())
    ax.plot(expected, height, marker, color=color, markersize=4, label=title)
    if fit is related:
        for x, y, name in zip(expected, height, sorted_p.index[:3]):
            ax.annotate(name, (x, y), (-6, 0), textcoords="offset points", ha="right")
ax.set(xlabel="expected, $-\\log_{10} p$", ylabel="observed, $-\\log_{10} p$")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="upper left")
plt.show()
