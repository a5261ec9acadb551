"""
Seeds that germinate: from counts on plates to odds ratios
==========================================================

Broomrape is a parasite whose seeds germinate when they feel the roots of a host.
Crowder (1978) put seeds of two kinds on 21 plates with an extract of the roots of beans
or cucumbers, and counted how many germinated. Does the extract matter, and to both
kinds alike? The counts were typed as fractions.
"""

import io

import matplotlib.pyplot as plt
import pandas as pd

from statsmodels_lmm import compare_table, report
from statsmodels_lmm.formula.api import crossedmixedglm

PLATES = """
Plate,Seed ,Root extract,Germinated
1,O. aegyptiaca 75,bean,10/39
2,O. aegyptiaca 75,bean,23/62
3,O. aegyptiaca 75,Bean,23/81
4,O. aegyptiaca 75,bean,26/51
5,O. aegyptiaca 75,bean,17/39
6,O. aegyptiaca 75,cucumber,5/6
7,O. aegyptiaca 75,cucumber,53/74
8,O. aegyptiaca 75,cucumber ,55/72
9,O. aegyptiaca 75,cucumber,32/51
10,O. aegyptiaca 75,cucumber,46/79
11,O. aegyptiaca 75,cucumber,10/13
12,O. aegyptiaca  73,bean,8/16
13,O. aegyptiaca  73,bean,10/30
14,O. aegyptiaca  73,bean,8/28
15,O. aegyptiaca  73,bean,23/45
16,O. aegyptiaca  73,bean,0/4
17,O. aegyptiaca  73,Cucumber,3/12
18,O. aegyptiaca  73,cucumber,22/41
19,O. aegyptiaca  73,cucumber,15/30
20,O. aegyptiaca  73,cucumber,32/51
21,O. aegyptiaca  73,cucumber,3/7
21,O. aegyptiaca  73,cucumber,3/7
22,O. aegyptiaca  73,cucumber,mould
"""

# %%
# A plate without a count is no observation, and one that was typed twice is not two.

seeds = pd.read_csv(io.StringIO(PLATES)).rename(columns=str.strip).drop_duplicates()
seeds["Extract"] = seeds.pop("Root extract").str.strip().str.lower()
seeds["Kind"] = "kind " + seeds.pop("Seed").str[-2:]
counts = seeds.pop("Germinated").str.extract(r"(\d+)/(\d+)").astype(float)
seeds = seeds.assign(yes=counts[0], no=counts[1] - counts[0]).dropna()
print(seeds.groupby(["Kind", "Extract"])[["yes", "no"]].sum().astype(int))

# %%
# Plates with the same seeds and the same extract differ by more than the binomial
# distribution allows, if only a little. A random effect of the plates takes up the
# excess. The alternative without it is a model of statsmodels.

model = crossedmixedglm("cbind(yes, no) ~ Kind * Extract + (1 | Plate)", seeds)
result = model.fit()
print(result.summary())
plain = result.drop_random("(1 | Plate)")
additive = result.drop_fixed("Kind:Extract")

# %%
# Is a random effect needed, and does the effect of the extract depend on the kind of
# seeds? The variance is tested on its boundary. With 21 plates the distribution of
# chi-squared is an approximation; the bootstrap does without.

print(result.random_effect_tests()[["statistic", "pvalue_mixture"]].round(3))
test = result.compare_lr_test(additive, method="bootstrap", nsim=499, rng=1)
print(f"interaction: {test.statistic:.2f}, p = {test.pvalue:.3f}")

# %%
# The evidence for both is weak. But extracts were given to plates, so their effects
# stay, and a question of the study is answered by an estimate rather than by leaving it
# out. These are the odds ratios of the extracts by kind, and the ratio of the two:

odds = result.marginal_means("Extract", by="Kind", which="linear")
print(odds.contrasts(reverse=True, exponentiate=True))
both = result.marginal_means("~ Kind * Extract", which="linear")
print(both.contrasts("interaction", exponentiate=True))

# %%
# Readers understand probabilities better. These are means over plates; the differences
# between extracts are in points of probability.

means = result.marginal_means("Extract", by="Kind", random_effects="average")
print(means)
print(means.contrasts(reverse=True))

# %%
# Left: probabilities, and the proportions of the plates as dots the larger, the more
# seeds. Right: are the effects of the plates normal?

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
result.plot_effects("Extract", by="Kind", random_effects="average", ax=axes[0])
axes[0].set_ylabel("probability of germination")
result.plot_random_effects_qq(ax=axes[1])
plt.show()

# %%
# For the paper: odds ratios with their intervals from three models side by side, and a
# paragraph on the one that was chosen. Each plate is a row, so its effect is the excess
# over the binomial variance and nothing that rows have in common; an intraclass
# correlation would be zero, and is left out. The paragraph tests coefficients by Wald's
# statistic. For the interaction the bootstrap above is the better authority.

labels = {"Kind[T.kind 75]": "Kind 75", "Extract[T.cucumber]": "Cucumber"}
labels["Kind[T.kind 75]:Extract[T.cucumber]"] = "Kind 75 x cucumber"
labels |= {"cbind(yes, no)": "germination", "Kind:Extract": "their interaction"}
labels["ICC"] = None
names = ["no plates", "additive", "interaction"]
table = compare_table(
    *(plain, additive, result),
    names=names,
    labels=labels,
    exponentiate=True,
    uncertainty="conf_int",
    decimals=2,
)
print(table)
print(report(result, labels=labels))

# %%
# Crowder, M. J. (1978). Beta-binomial Anova for proportions. Applied Statistics 27,
# 34-37.
