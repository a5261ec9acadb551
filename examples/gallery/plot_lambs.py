"""
Lambs: heritability and breeding values from a pedigree
=======================================================

How much of the differences between lambs in their weight at 100 days is inherited, and
which rams are worth breeding from? The data are simulated: 480 lambs of two generations
in nine flocks, and a trait of which 30 % is inherited within flocks. They come as two
files, a pedigree and a list of weights, and neither is clean.
"""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from statsmodels_lmm import compare_table, report
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.relationship import numerator_relationship

rng = np.random.default_rng(6)
parents = np.full((540, 2), -1)  # 60 founders, of which ten are rams
parents[60:300] = rng.integers([0, 10], [10, 60], (240, 2))
parents[300:] = rng.integers([60, 70], [70, 120], (240, 2))
value = rng.normal(size=540)
for i in range(60, 540):  # half of the variance is that within families
    value[i] = value[parents[i]].mean() + np.sqrt(0.5) * value[i]
flock, male = rng.integers(9, size=540), rng.integers(2, size=540)
weight = 30 + 3 * male + 2 * rng.normal(size=9)[flock] + 2.2 * value
weight += rng.normal(scale=3.36, size=540)

name = np.array([f"S{i:03d}" for i in range(540)])
family = pd.DataFrame(name[parents], columns=["ram", "ewe"])
family.insert(0, "id", name)
family = family[60:].sample(frac=1.0, random_state=1)
family.iloc[::40, 1] = "0"
family.iloc[10::40, 1] = family.iloc[10::40, 1].str.lower()
family.iloc[20::40, 2] += " "
scales = pd.DataFrame({"id": name, "Sex": np.where(male, "M", "F"), "Flock": flock})
scales["Weight (kg)"] = [f"{w:.1f}" for w in weight]
decimal_commas = scales["Flock"] == 3
scales.loc[decimal_commas, "Weight (kg)"] = scales["Weight (kg)"].str.replace(".", ",")
scales.loc[scales.index % 50 == 0, "Weight (kg)"] = "sold"
scales.loc[scales["Flock"] == 5, "Sex"] = scales["Sex"].str.lower()
scales = pd.concat([scales[60:], scales[90:95]])
files = family.to_csv(index=False), scales.to_csv(index=False)

# %%
# Parents without a row of their own are founders, and 0 is an unknown parent. But
# "s012" and "S012" would be two animals, of which a warning tells.

family, lambs = (pd.read_csv(io.StringIO(file)) for file in files)
family = family.apply(lambda names: names.str.strip().str.upper())
kinship = numerator_relationship(family, animal="id", sire="ram", dam="ewe")
print(kinship.shape, kinship.loc[name[300], name[parents[300]]].to_dict())

lambs = lambs.drop_duplicates()
lambs["Sex"] = lambs["Sex"].str.upper()
text = lambs["Weight (kg)"].str.replace(",", ".")
lambs["Weight (kg)"] = pd.to_numeric(text, errors="coerce")
print(lambs["Weight (kg)"].count(), "weights of", len(lambs), "lambs")

# %%
# The animal model gives every animal a breeding value, and the pedigree says how these
# are related. An older model does without: half-sibs by one ram share a quarter of the
# genetic variance.

records = lambs.merge(family, on="id")
formula = "`Weight (kg)` ~ Sex + (1 | Flock) + "
animal = crossedmixedlm(
    formula + "(1 | id)", records, relationship={"id": kinship}
).fit(df_method="satterthwaite")
known = records["ram"] != "0"
sire = crossedmixedlm(formula + "(1 | ram)", records, subset=known).fit()
print(animal.variance_components())

# %%
# Heritability is the share of the genetic variance in that of a record. If animals are
# selected within flocks, the variance between flocks does not count, and the share is
# written as a function of the parameters; its true value is 0.30. The animal model has
# the shorter interval, because it also knows the ewes, and who descends from whom.

print(animal.heritability(conf_int="profile"))
h2 = "h2 = var(id) / (var(id) + var(Residual))"
print(animal.derive(h2, "profile"))
print(sire.derive("h2 = 4 * var(ram) / (var(ram) + var(Residual))", "profile"))

# %%
# The accuracy of a breeding value is its correlation with the true one. It follows from
# the variance of its error, which allows for the estimation of the fixed effects.

covariance = animal.joint_covariance("id")
error = pd.Series(np.diag(covariance), covariance.index)["id", "Intercept"]
prior = animal.cov_re["id"].iloc[0, 0] * np.diag(kinship)
values = animal.random_effects["id"].set_axis(["value"], axis=1)
values["accuracy"] = np.sqrt(1.0 - error / prior)
values["lambs"] = family["ram"].value_counts()
rams = values.dropna().astype({"lambs": int})
print(rams.sort_values("value", ascending=False).head().round(2))

# %%
# Left: breeding values of the rams with 95 % intervals. Right: all breeding values
# against the true ones, which only a simulation can show.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
rams = rams.sort_values("value")
reach = 1.96 * np.sqrt(error[rams.index])
axes[0].errorbar(rams["value"], rams.index, xerr=reach, fmt="o", color="#0072B2")
axes[0].axvline(0.0, color="0.7", linewidth=1)
axes[0].set(xlabel="breeding value (kg)", ylabel="ram")
true = pd.Series(2.2 * value, name)[values.index]
axes[1].axline((0, 0), slope=1, color="0.7", linewidth=1)
axes[1].plot(values["value"], true, ".", color="#0072B2", markersize=4)
axes[1].set(xlabel="predicted (kg)", ylabel="true (kg)")
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
print(f"correlation {np.corrcoef(values['value'], true)[0, 1]:.2f}, ", end="")
print(f"mean accuracy {values['accuracy'].mean():.2f}")

# %%
# For the paper:

sire = sire.with_df_method("satterthwaite")
print(compare_table(sire, animal, names=["sire", "animal"], decimals=2))
print(report(animal, labels={"Sex[T.M]": "being male", "Sex": "sex"}))
