"""
A genome-wide scan in families
==============================

Which of 2,500 SNPs affect a trait? The people are parents and children, so a test that
takes them for strangers has too many small p-values. ``scan_predictors`` tests every
SNP beside a random effect with the covariances of kinship, and estimates the variances
anew for each.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.relationship import numerator_relationship

EFFECTS = {"rs0700": 0.50, "rs1710": -0.45}
"""Effect of one more copy of the allele on the trait."""

# %%
# The data are 150 families of two parents and four children, with five chromosomes of
# 500 SNPs. Alleles that are neighbors are correlated, as they are in a population. A
# child inherits pieces of both chromosomes of each parent.

rng = np.random.default_rng(4)
n_families, n_chromosomes, length = 150, 5, 500
m = n_chromosomes * length
first = np.arange(m) % length == 0


def founders(count):
    """Give haplotypes in which alleles at neighboring places are correlated."""
    noise = rng.normal(size=(count, m))
    level = np.empty_like(noise)
    for j in range(m):
        kept = 0.0 if first[j] else 0.97
        level[:, j] = np.sqrt(1.0 - kept**2) * noise[:, j]
        level[:, j] += kept * level[:, j - 1]
    return level < stats.norm.ppf(frequency)


def gametes(pairs):
    """Give a haplotype of each pair, switching at random and between chromosomes."""
    switch = rng.random((len(pairs), m)) < np.where(first, 0.5, 0.004)
    which = np.cumsum(switch, axis=1) % 2
    return np.where(which, pairs[:, 1], pairs[:, 0])


frequency = rng.uniform(0.1, 0.5, m)
parents = founders(4 * n_families).reshape(n_families, 2, 2, m)
children = [
    np.stack([gametes(parents[:, 0]), gametes(parents[:, 1])], axis=1) for _ in range(4)
]
haplotypes = np.concatenate([parents, np.stack(children, axis=1)], axis=1)
names = [f"rs{j:04d}" for j in range(m)]
counts = haplotypes.sum(axis=2).reshape(-1, m).astype(np.int8)
genotypes = pd.DataFrame(counts, columns=names)

family, member = np.divmod(np.arange(6 * n_families), 6)
people = pd.DataFrame({"id": [f"F{f:03d}.{i}" for f, i in zip(family, member)]})
for parent, at in (("father", 0), ("mother", 1)):
    label = people["id"].to_numpy()[6 * family + at]
    people[parent] = np.where(member < 2, None, label)
kinship = numerator_relationship(people, animal="id", sire="father", dam="mother")

genes = np.linalg.cholesky(kinship.to_numpy()) @ rng.normal(size=len(people))
people["trait"] = genes + rng.normal(scale=0.7, size=len(people))
for name, effect in EFFECTS.items():
    people["trait"] += effect * genotypes[name]

# %%
# One line scans all SNPs. Values of type int8 are read as genotypes, and ``positions``
# says where they are.

places = {"chromosome": np.arange(m) // length + 1, "position": np.arange(m) % length}
positions = pd.DataFrame(places, names)
model = crossedmixedlm("trait ~ (1 | id)", people, relationship={"id": kinship})
scan = model.scan_predictors(genotypes, positions=positions, adjust="holm")
print(scan.summary(6))

# %%
# Neighbors of the causal SNPs are found as well, since they are inherited together.

best = scan.table["p"].idxmin()
significant = scan.table[scan.table["p_adjusted"] < 0.05]
print(significant.groupby("chromosome")["position"].agg(["count", "min", "max"]))

# %%
# Is there a second signal behind the strongest? With the best SNP among the fixed
# effects, which then determine it, its neighbors lose their significance, and the other
# chromosome keeps its own.

people["best"] = genotypes[best].astype(float)
given = crossedmixedlm("trait ~ best + (1 | id)", people, relationship={"id": kinship})
second = given.scan_predictors(genotypes, positions=positions, adjust="holm")
print(second.summary(3))

# %%
# A correlation of trait and SNP takes relatives for strangers. Its inflation factor,
# the median of chi-squared over the median expected, should be 1, as it is for the
# scan.

centered = counts - counts.mean(axis=0)
trait = people["trait"].to_numpy() - people["trait"].mean()
r = trait @ centered / np.linalg.norm(trait) / np.linalg.norm(centered, axis=0)
naive = np.median(len(trait) * r**2) / stats.chi2.median(1)
print(f"inflation: with kinship {scan.inflation:.2f}, as strangers {naive:.2f}")

# %%
# The Manhattan plot has Bonferroni's threshold as a dashed line. In the right panel,
# p-values follow the line but for the SNPs around the two causal ones.

figure, axes = plt.subplots(
    1, 2, figsize=(11, 4), layout="constrained", width_ratios=[2.2, 1]
)
scan.plot_manhattan(ax=axes[0])
scan.plot_qq(ax=axes[1])
plt.show()
