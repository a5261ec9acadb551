"""
Chicks: growth curves with splines
==================================

Fifty chicks on four diets were weighed every other day for three weeks (Crowder and
Hand 1990; the data are ChickWeight in R). Which diet makes them grow best, and what
will a chick weigh? The table is as it was kept: a row for each chick, a column for each
day, and words where there was nothing to weigh.
"""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm import compare_criteria, compare_table, report
from statsmodels_lmm.formula.api import crossedmixedlm

WEIGHTS = """
chick,diet,0,2,4,6,8,10,12,14,16,18,20,21
1,1,42,51,59,64,76,93,106,125,149,171,199,205
2,1,40,49,58,72,84,103,122,138,162,187,209,215
3,1,43,39,55,67,84,99,115,138,163,187,198,202
4,1,42,49,56,67,74,87,102,108,136,154,160,157
5,1,41,42,48,60,79,106,141,164,197,199,220,223
6,1,41,49,59,74,97,124,141,148,155,160,160,157
7,1,41,49,57,71,89,112,146,174,218,250,288,305
8,1,42,50,61,71,84,93,110,116,126,134,125,?
9,1,42,51,59,68,85,96,90,92,93,100,100,98
10,1,41,44,52,63,74,81,89,96,101,112,120,124
11,1,43,51,63,84,112,139,168,177,182,184,181,175
12,1,41,49,56,62,72,88,119,135,162,185,195,205
13,1,41,48,53,60,65,67,71,70,71,81,91,96
14,1,41,49,62,79,101,128,164,192,227,248,259,266
15,1,41,49,56,64,68,68,67,68,died,,,
16,1,41,45,49,51,57,51,54,died,,,,
17,1,42,51,61,72,83,89,98,103,113,123,133,142
18,1,39,35,died,,,,,,,,,
19,1,43,48,55,62,65,71,82,88,106,120,144,157
20,1,41,47,54,58,65,73,77,89,98,107,115,117
21,2,40,50,62,86,125,163,217,240,275,307,318,331
22,2,41,55,64,77,90,95,108,111,131,148,164,167
23,2,43,52,61,73,90,103,127,135,145,163,170,175
24,2,42,52,58,74,66,68,70,71,72,72,76,74
25,2,40,49,62,78,102,124,146,164,197,231,259,265
26,2,42,48,57, 74,93,114,136,147,169,205,236,251
27,2,39,46,58,73,87,100,115,123,144,163,185,192
28,2,39,46,58,73,92,114,145,156,184,207,212,233
29,2,39,48,59,74,87,106,134,150,187,230,279,309
30,2,42,48,59,72,85,98,115,122,143,151,157,150
30,2,42,48,59,72,85,98,115,122,143,151,157,150
31,diet 3,42,53,62,73,85,102,123,138,170,204,235,256
32,diet 3,41,49,65,82,107,129,159,179,221,263,291,305
33,diet 3,39,50,63,77,96,111,137,144,151,146,156,147
34,diet 3,41,49,63,85,107,134,164,186,235,294,327,341
35,3,41,53,64,87,123,158,201,238,287,332,361,373
36,3,39,48,61,76,98,116,145,166,198,227,225,220
37,3,41,48,56,68,80,83,103,112,135,157,169,178
38,3,41,49,61,74,98,109,128,154,192,232,280,290
39,3,42,50,61,78,89,109,130,146,170,214,250,272
40,3,41,55,66,79,101,120,154,182,215,262,295,321
41,4,42,51,66,85,103,124,155,153,175,184,199,204
42,4,42,49,63,84,103,126,160,174,204,234,269,281
43,4,42,55,69,96,131,157,184,188,197,198,199,200
44,4,42,51,65,86,103,118,127,138,145,146,died,
45,4,41,50,61,78,98,117,135,141,147,174,197,196
46,4,40,52,62,82,101,120,144,156,173,210,231,238
47,4,41,53,66,79,100,123,148,157,168,185,210,205
48,4,39,50,62,80,104,125,154,170,222,261,303,322
49,4,40,53,64,85,108,128,152,166,184,203,233,237
50,4,41,54,67,84,105,122,155,175,205,234,264,264
"""

# %%
# A row for each weight, numbers that are numbers, and one spelling of the diets:

wide = pd.read_csv(io.StringIO(WEIGHTS)).drop_duplicates()
chicks = wide.melt(["chick", "diet"], var_name="day", value_name="Weight (g)")
chicks["Weight (g)"] = pd.to_numeric(chicks["Weight (g)"], errors="coerce")
chicks["diet"], chicks["day"] = chicks["diet"].str[-1], chicks["day"].astype(float)

# %%
# Chicks grow by a factor rather than by a number of grams, and so the model is one of
# logarithms. The mean of each diet is a natural spline. What is the curve of a chick?
# All three candidates have the same fixed effects.

curve = "cr(day, df=4, constraints='center')"
formula = f"log(`Weight (g)`) ~ {curve} * diet + "
candidates = {
    "lines": "(day | chick)",
    "parabolas": "(poly(day, 2) | chick)",
    "splines": f"({curve} | chick)",
}
fits = {
    name: crossedmixedlm(formula + curves, chicks).fit(df_method="satterthwaite")
    for name, curves in candidates.items()
}
print(compare_criteria(*fits.values(), names=list(fits)).round(1))

# %%
# Growth slows down in some chicks and not in others, which a line for each cannot show,
# nor a parabola. Weights on the last day, as ratios to those on the first diet, and six
# chicks with the curve of their diet and their own:

splines = fits["splines"]
at_end = splines.marginal_means("diet", at={"day": 21.0})
print(at_end.contrasts("reference", exponentiate=True))
splines.plot_groups("day", levels=[13, 20, 44, 37, 41, 35])

# %%
# Predictions are made for the logarithm and transformed back to medians. What would
# chick 44 have weighed, which was lost after day 18?

lost = pd.DataFrame({"chick": 44, "diet": "4", "day": [20.0, 21.0]})
found = splines.get_prediction(lost, random_effects=True, interval="prediction")
print(np.exp(found.summary_frame().drop(columns="se")).round(0))

# %%
# For each diet the median with its confidence interval (dark) and the range in which 95
# of 100 new chicks are expected (light):

figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained", sharey=True)
days = np.linspace(0.0, 21.0, 64)
for ax, (diet, rows) in zip(axes, chicks.groupby("diet")):
    grid = pd.DataFrame({"day": days, "diet": diet})
    found = splines.get_prediction(grid, interval="prediction").summary_frame()
    for ends, alpha in (("obs_ci", 0.15), ("ci", 0.4)):
        ends = found[f"{ends}_lower"], found[f"{ends}_upper"]
        ax.fill_between(days, *np.exp(ends), color="#0072B2", alpha=alpha, linewidth=0)
    ax.plot(days, np.exp(found["predicted"]), color="#0072B2")
    ax.plot(rows["day"], rows["Weight (g)"], ".", color="0.4", markersize=3)
    ax.set(title=f"diet {diet}", xlabel="day")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("weight (g)")
plt.show()

# %%
# For the paper. The coefficients of a spline mean nothing one by one, so that the table
# leaves them out and the paragraph tests them together.

names = compare_table(*fits.values()).numbers.index.unique("row")
labels = {name: None for name in names if "(day" in name or name.startswith("Cor")}
labels |= {f"diet[T.{d}]": f"diet {d}" for d in "234"}
print(compare_table(*fits.values(), names=list(fits), labels=labels))
labels |= {curve: "age", f"{curve}:diet": "diet on growth"}
print(report(splines, labels=labels))

# %%
# Crowder, M. J. and Hand, D. J. (1990). Analysis of Repeated Measures. Chapman & Hall.
