"""
Rice: a split-split-plot experiment with lost plots
===================================================

Gomez and Gomez (1984, p. 143) grew three varieties of rice at five amounts of nitrogen
under three kinds of management. Each of three replicates had five main plots for
nitrogen, each main plot three subplots for management, and each subplot three plots for
the varieties. The published data are complete. Here four plots are lost, and the table
is as a field book may be typed: one row per main plot, units among the numbers, and
levels that are not spelled alike.
"""

import io

import matplotlib.pyplot as plt
import pandas as pd

from statsmodels_lmm import compare_criteria, compare_table, report
from statsmodels_lmm.formula.api import crossedmixedlm

BOOK = """
rep,Nitrogen (kg/ha),Min V1,Min V2,Min V3,Opt V1,Opt V2,Opt V3,Int V1,Int V2,Int V3
R1,0,3.320,6.101,5.355,3.766,5.096,7.442,4.660,6.573,7.018
R1,50,3.188,5.595,6.706,3.625,6.357,8.592,5.232,7.016,8.480
R1,80,5.468,5.442,8.452,5.759,6.398,8.662,6.215,6.953,9.112
R1,110,4.246,6.209,8.042,5.255,6.992,rats,6.829,7.565,9.660
R1,140 kg,3.132,6.860,9.314,5.389,6.857,9.224,5.217,7.254,10.360
R2,0,3.864,5.122,5.536,4.311,4.873,6.462,5.915,5.495,8.020
R2,50,4.752,6.780,6.546,4.809,5.925,7.646,5.170,7.442,9.942
R2,80,5.788,5.988,6.698,6.130,6.533,8.526,7.106,6.914,9.140
r2,110,4.842,,,5.742,7.856,9.016,5.869,7.626,8.966
R2,140,4.375,6.894,8.508,4.315,6.974,9.680,5.389,7.812,9.896
R3,0,4.507,4.815,5.244,4.875,4.166,5.584,5.400,4.225,7.642
R3,50,4.756,5.390,7.092,5.295,5.163,7.212,6.046,4.478,8.714
R3 ,80,4.422,6.509,8.650,5.308,6.569,8.514,6.318,7.991,9.320
R3,110,4.863,5.779,6.902,5.345,6.164,7.778,6.011,7.362,9.128
R3,140,-,6.573,8.032,5.896,7.422,9.294,7.309,8.950,9.712
R3,140,-,6.573,8.032,5.896,7.422,9.294,7.309,8.950,9.712
"""
"""Yields in tons per hectare."""

# %%
# A row that was typed twice is dropped, levels are spelled alike, and columns of yields
# become rows. What is no number is missing.

book = pd.read_csv(io.StringIO(BOOK)).drop_duplicates()
book["rep"] = book["rep"].str.strip().str.upper()
book["nitrogen"] = book.pop("Nitrogen (kg/ha)").str.removesuffix(" kg").astype(int)
rice = book.melt(["rep", "nitrogen"], value_name="Yield (t/ha)")
rice[["management", "variety"]] = rice.pop("variable").str.split(" ", expand=True)
rice["Yield (t/ha)"] = pd.to_numeric(rice["Yield (t/ha)"], errors="coerce")
print(rice.sample(5, random_state=1))

# %%
# The design is in the random effects: nitrogen was randomized to main plots within
# replicates, management to subplots, and varieties to the plots within these. Kenward
# and Roger's degrees of freedom are then those of the strata: without the losses 8 for
# main plots, 20 for subplots and 60 for plots, and with them a little less.

strata = "(1 | rep/nitrogen/management)"
formula = f"`Yield (t/ha)` ~ C(nitrogen) * management * variety + {strata}"
full = crossedmixedlm(formula, rice).fit(df_method="kenward-roger")
print(full.anova()[["df", "df_denom", "F", "PR(>F)"]].round(3))
print(full.boundary_table()[["group", "rank", "singular"]])

# %%
# All three variances are estimated as zero: plots of the same main plot or subplot are
# no more alike than any others. The terms stay in the model nevertheless, because they
# are part of the design, and the degrees of freedom respect it: nitrogen is compared
# between main plots, of which there are 15.
#
# Varieties respond differently to nitrogen, and management acts on all of them alike.
# Letters tell varieties apart at each amount; those with a letter in common do not
# differ by Tukey's test.

letters = full.marginal_means("variety", by="nitrogen").cld()
print(letters.pivot(index="nitrogen", columns="variety", values=["mean", "letters"]))
print(full.marginal_means("management").pairs())

# %%
# Nitrogen is an amount and not a label, so the next models have a line or a parabola
# for each variety instead of five means. Models with different fixed effects are
# compared by maximum likelihood.

rice["N"] = rice["nitrogen"] / 100
lines = f"`Yield (t/ha)` ~ 0 + variety + variety:N + management + {strata}"
parabolas = lines.replace("variety:N", "variety:N + variety:I(N**2)")
models = [crossedmixedlm(f, rice) for f in (formula, lines, parabolas)]
names = ["factors", "lines", "parabolas"]
fits = [model.fit(reml=False) for model in models]
print(compare_criteria(*fits, names=names, criterion="aicc").round(2))

# %%
# The criteria cannot decide between lines and parabolas, but parabolas can say what
# lines cannot: the first variety does not use the largest amounts. Its yield is highest
# at the vertex of its parabola, and at 140 kg its curve points down, while those of the
# others still point up.

curves = models[2].fit(df_method="kenward-roger")
vertex = "best = -50 * b['variety[V1]:N'] / b['variety[V1]:I(N ** 2)']"
print(curves.derive(vertex))
print(curves.marginal_slopes("N", "variety", at={"N": 1.4}))

# %%
# Left: means by the factors, averaged over management; right: the parabolas, with
# nitrogen in units of 100 kg/ha.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
full.plot_effects("nitrogen", by="variety", ax=axes[0])
curves.plot_effects("N", by="variety", ax=axes[1])
plt.show()

# %%
# For the paper, a table of both curves and a paragraph on the second. What limits the
# numbers, such as a variance of zero, is part of both.

straight = models[1].fit(df_method="kenward-roger")
print(compare_table(straight, curves, names=names[1:], decimals=2))
print(report(curves))

# %%
# Gomez, K. A. and Gomez, A. A. (1984). Statistical Procedures for Agricultural
# Research. 2nd edition. Wiley.
