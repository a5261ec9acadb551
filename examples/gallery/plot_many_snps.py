"""
Which of 3,000 SNPs, in related people?
=======================================

Eight of 3,000 SNPs affect a trait of 900 people, and so do many unmeasured genes, which
relatives share. There are more than three times as many columns as rows, so that no
model of all of them can be fitted. A penalty chooses a few, while the variance that
relatives share is estimated along with their coefficients.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.formula.api import crossedmixedlm

# %%
# The data are 150 families of two parents and four children. A child inherits one of
# the two alleles of each parent. Copies are kept as small integers, which the model
# reads a few columns at a time.

rng = np.random.default_rng(4)
n_families, n_snps = 150, 3000
frequency = rng.uniform(0.1, 0.5, n_snps)
parents = rng.random((n_families, 2, 2, n_snps)) < frequency
which = rng.random((n_families, 4, 2, n_snps)) < 0.5
children = np.where(which, parents[:, None, :, 0], parents[:, None, :, 1])
counts = np.concatenate([parents.sum(axis=2), children.sum(axis=2)], axis=1)

people = [f"p{i:03d}" for i in range(6 * n_families)]
snps = pd.DataFrame(counts.reshape(-1, n_snps).astype(np.int8), people)
snps = snps.add_prefix("snp")
causal = [f"snp{j}" for j in range(150, n_snps, 375)]

family = np.full((6, 6), 0.5)
family[0, 1] = family[1, 0] = 0.0
np.fill_diagonal(family, 1.0)
polygenic = rng.normal(size=(n_families, 6)) @ np.linalg.cholesky(family).T
trait = snps[causal] @ np.tile([0.7, -0.7], 4) + polygenic.ravel()
trait += 0.7 * rng.normal(size=len(people))
data = pd.DataFrame({"trait": trait, "person": people}, index=people)

# %%
# The relationship matrix comes from the pedigree. (One from these SNPs would count each
# SNP twice.) It has a block for each family.

kinship = sparse.kron(sparse.eye_array(n_families), family).toarray()
kinship = pd.DataFrame(kinship, people, people)
model = crossedmixedlm(
    "trait ~ 1 + (1 | person)",
    data,
    penalized=snps,
    relationship={"person": kinship},
)
path = model.fit_regularized_path(n_alphas=40, eps=0.6, retrace=True)
print(path)

# %%
# The extended BIC of refits chooses the size. It counts how many sets of so many SNPs
# there are, and so is in no danger of choosing hundreds.

result = path.best()
print(result.summary())
chosen = set(result.selection.chosen)
print("right:", len(chosen & set(causal)), "wrong:", len(chosen - set(causal)))

# %%
# All eight are found. The variances are those of the refit by REML; without the SNPs,
# their share is taken for that of relatives:

null = crossedmixedlm(
    "trait ~ 1 + (1 | person)", data, relationship={"person": kinship}
).fit()
for name, fit in {"without SNPs": null, "with eight": result}.items():
    print(f"{name}: polygenic {fit.vcomp.iloc[0]:.2f}, residual {fit.scale:.2f}")

# %%
# That is also why a note of the path says that the objective has several minima.
# Without SNPs, the relatives account for what SNPs could, and hold these out. On the
# way back from smaller penalties, ``retrace=True``, lower minima with SNPs are found,
# even above the penalty at which the first would enter otherwise.
#
# The picture has the coefficients along the path, and the criterion. Most of what the
# smallest penalties admit is noise: the criterion rises there.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
path.plot(axes[0])
path.plot_criteria(ax=axes[1])
plt.show()
