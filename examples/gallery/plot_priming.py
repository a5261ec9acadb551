"""
Priming: from the log of an experiment to a paper
=================================================

Forty people, half of them native speakers, decide whether a string of letters is a
word. The word follows a prime that is related to it or not. Is the decision faster
after a related prime, and by as much in learners as in native speakers? The data are
simulated, with everything that the log of a real experiment contains: time-outs among
the times, slips of the finger, levels that are not spelled alike, and one session that
was saved twice.
"""

import io
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm import compare_criteria, compare_table, report
from statsmodels_lmm.formula.api import crossedmixedlm

rng = np.random.default_rng(4)
person, word = np.divmod(np.arange(40 * 24), 24)
native, related = person % 2 == 0, (person // 2 + word) % 2 == 0
time = np.where(native, 6.35, 6.55) - np.where(native, 0.12, 0.05) * related
time += 0.12 * rng.normal(size=40)[person] + 0.08 * rng.normal(size=24)[word]
time += 0.06 * rng.normal(size=24)[word] * native + 0.2 * rng.normal(size=960)
log = pd.DataFrame({"Participant": person + 101, "Word": [f"w{i:02d}" for i in word]})
log["Group"] = np.where(native, "native", np.where(person < 8, "Learner", "learner"))
log["Prime"] = np.where(related, "related", "unrelated")
log["RT (ms)"] = np.exp(time).round().astype(int).astype(str)
odd = rng.choice(960, 40, replace=False)
log.loc[odd[:20], "RT (ms)"] = "timeout"
log.loc[odd[20:26], "RT (ms)"] = ["12", "8", "31", "9800", "15040", "7431"]
log.loc[odd[26:], "Prime"] += " "
csv = pd.concat([log, log[person == 17]]).to_csv(index=False)

# %%
# A model of the table as it is read stops at the first obstacle and says what to do.

data = pd.read_csv(io.StringIO(csv))
print(data.head())
formula = (
    "log(`RT (ms)`) ~ Prime * Group + (Prime | Participant) + (Prime * Group | Word)"
)
try:
    crossedmixedlm(formula, data)
except ValueError as error:
    print(fill(str(error), 79))

# %%
# Every remedy is a line. Nobody decides within 200 ms, and who takes longer than 3 s
# has done something else meanwhile. These trials stay in the table, but not in the
# model.

data = data.drop_duplicates()
data["Prime"] = data["Prime"].str.strip()
data["Group"] = data["Group"].str.lower()
data["RT (ms)"] = pd.to_numeric(data["RT (ms)"], errors="coerce")
valid = data["RT (ms)"].between(200, 3000)
print(f"{valid.sum()} of {len(data)} trials are valid")

# %%
# Sum contrasts turn the coefficients of a two-by-two design into main effects and their
# interaction. The maximal model has a random effect for whatever varies within a person
# or a word: the prime varies within both, the group only within words.

contrasts = {"Prime": "sum", "Group": "sum"}
maximal = crossedmixedlm(formula, data, subset=valid, contrasts=contrasts).fit()
print(maximal.boundary_table()[["group", "n_effects", "rank", "singular"]])
tests = ["statistic", "df", "pvalue_mixture"]
print(maximal.random_effect_tests()[tests].round(3))

# %%
# Ten variances and correlations of words are more than 24 words can tell, and their
# matrix is singular. That alone is no reason for a smaller model; the tests are. They
# begin with effects that no other effect contains, such as interactions. Neither of the
# two is needed, so they are dropped and the question is asked again.

reduced = maximal.drop_random("(Prime | Participant)", "Prime")
reduced = reduced.drop_random("(Prime * Group | Word)", "Prime:Group")
print(reduced.random_effect_tests()[tests].round(3))

# %%
# Words differ in how much harder they are for learners, but not in how much a prime
# helps. The criteria agree:

chosen = reduced.drop_random(effect="Prime", term="(1 + Prime + Group | Word)")
names = ["maximal", "reduced", "chosen"]
print(compare_criteria(maximal, reduced, chosen, names=names).round(2))

# %%
# Tests and means follow, with Satterthwaite's degrees of freedom. The model is one of
# logarithms, so its means are geometric means of the times, and the effect of a prime
# is a ratio: a related prime saves native speakers a tenth of their time, and learners
# half as much. The interaction says that these ratios differ.

chosen = chosen.with_df_method("satterthwaite")
print(chosen.anova().round(4))
means = chosen.marginal_means("Prime", by="Group", which="mean")
print(means)
ratios = chosen.marginal_means("Prime", by="Group").pairs(exponentiate=True)
print(ratios)

# %%
# Left: the logarithms of the times, with their means. Right: the residuals, which are
# normal enough.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
chosen.plot_effects("Prime", by="Group", ax=axes[0])
chosen.plot_residuals_qq(ax=axes[1])
plt.show()

# %%
# For the paper: a table of the first and the last model, with labels that a reader
# understands. The simplification has hardly changed what it says.

labels = {
    "C(Prime, Sum)": "prime",
    "C(Group, Sum)": "group",
    "C(Prime, Sum):C(Group, Sum)": "their interaction",
    "C(Prime, Sum)[S.related]": "Prime (related)",
    "C(Group, Sum)[S.learner]": "Group (learner)",
    "C(Prime, Sum)[S.related]:C(Group, Sum)[S.learner]": "Prime x group",
    "log(RT (ms))": "the logarithm of the reaction time",
}
fits = maximal.with_df_method("satterthwaite"), chosen
print(compare_table(*fits, names=["maximal", "chosen"], labels=labels))

# %%
# And a paragraph, which says what was done, with what result, and by what means:

print(report(chosen, labels=labels))
