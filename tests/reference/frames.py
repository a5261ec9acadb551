"""The data of the reference fits, from the data sets of the package."""

import functools
import json
import pathlib

import numpy as np
import pandas as pd

from statsmodels_lmm import datasets

RAIL = (
    *(55, 53, 54, 26, 37, 32, 78, 91, 85),
    *(92, 100, 96, 49, 51, 50, 80, 85, 83),
)


def frame(name):
    """One data set by the name that the references give it."""
    return _load(name).copy()


@functools.cache
def _load(name):
    base, _, part = name.partition("_")
    if base == "Rail":
        rail = np.repeat(["1", "2", "3", "4", "5", "6"], 3)
        return pd.DataFrame({"Rail": pd.Categorical(rail), "travel": RAIL})
    published = tables()
    if name in published:
        data = table(published[name])
        return ADDED.get(name, lambda d: d)(data)
    data = getattr(datasets, base.lower()).load_pandas().data
    data = ADDED.get(base, lambda d: d)(data)
    return PARTS[name](data) if part else data


@functools.cache
def tables():
    """The data that only the references need."""
    return json.loads((pathlib.Path(__file__).parent / "tables.json").read_text())


def table(columns):
    """A data frame from lists, and factors from levels and codes."""
    data = {}
    for name, values in columns.items():
        if isinstance(values, dict):
            values = pd.Categorical.from_codes(values["codes"], values["levels"])
        data[name] = values
    return pd.DataFrame(data)


def _sleepstudy(data):
    days = data["Days"].astype(int)
    subject = data["Subject"].cat.codes.to_numpy()
    letters = np.array(["C", "A", "B"])
    return data.assign(
        w=1.0 + 0.5 * ((np.arange(180) + 1) % 4),
        off=8.0 * days,
        DayF=pd.Categorical(days.astype(str)),
        half=pd.Categorical(np.where(days < 5, "early", "late")),
        Grp=pd.Categorical(letters[(subject + 2) % 3]),
        DaysC=data["Days"] - 4.5,
        RBig=data["Reaction"] * 1e5,
        RSmall=data["Reaction"] * 1e-4,
        DaysYr=data["Days"] + 2000,
        DaysTiny=data["Days"] * 1e-5,
        DaysBig=data["Days"] * 1e6,
    )


def _missing(data):
    for column, rows in {
        "Reaction": [5, 77, 140],
        "Days": [12, 99],
        "Subject": [33],
        "w": [150],
    }.items():
        data.loc[np.array(rows) - 1, column] = np.nan
    return data


def _unbalanced(data):
    rows = [1, 1, 2, 3, 10, 4, 5, 1, 2, 10, 7, 3, 2, 1, 10, 6, 4, 2]
    kept = data["Days"].to_numpy() < np.repeat(rows, 10)
    return data[kept].reset_index(drop=True)


def _subjects(*names):
    def take(data):
        data = data[data["Subject"].isin(names)].reset_index(drop=True)
        data["Subject"] = data["Subject"].cat.remove_unused_categories()
        return data

    return take


def _without(*rows):
    return lambda data: data.drop(index=np.array(rows) - 1).reset_index(drop=True)


def _third(data):
    row = np.arange(len(data)) + 1
    return data[7 * row % 11 < 6].reset_index(drop=True)


def _insteval(data):
    return data.assign(
        studage=data["studage"].cat.as_unordered(),
        lectage=data["lectage"].cat.as_unordered(),
    )


def _some_departments(data):
    every_fourth = data["s"].astype(int) % 4 == 0
    data = data[data["dept"].isin(["4", "6", "12"]) & every_fourth]
    data = data.reset_index(drop=True)
    return data.assign(
        **{n: data[n].cat.remove_unused_categories() for n in ("s", "d", "dept")}
    )


ADDED = {
    "sleepstudy": _sleepstudy,
    "InstEval": _insteval,
    "cbpp": lambda d: d.assign(
        prop=d["incidence"] / d["size"],
        obs=pd.Categorical(np.arange(1, 57).astype(str)),
    ),
    "Contraception": lambda d: d.assign(useN=(d["use"] == "Y") * 1.0),
    "epil2": lambda d: d.assign(
        Base=np.log(d["base"] / 4),
        Age=np.log(d["age"]),
        Visit=(2 * d["period"] - 5) / 10,
        obs=pd.Categorical(np.arange(1, 237).astype(str)),
    ),
    "Penicillin": lambda d: d.assign(plate_number=d["plate"].cat.codes + 1.0),
    "Oats": lambda d: d.assign(nitroF=pd.Categorical(d["nitro"].map("{:g}".format))),
    "Machines": lambda d: d.assign(
        **{f"m{m}": (d["Machine"] == m).astype(float) for m in "ABC"}
    ),
    "Orthodont": lambda d: d.assign(
        ageC=d["age"] - 11,
        male=(d["Sex"] == "Male").astype(float),
        female=(d["Sex"] == "Female").astype(float),
        ageF=pd.Categorical(d["age"].map("{:g}".format), ["8", "10", "12", "14"]),
    ),
}
"""Columns that the data sets of the references have in addition."""

PARTS = {
    "sleepstudy_na": _missing,
    "sleepstudy_unbal": _unbalanced,
    "sleepstudy_scale": lambda d: d,
    "sleepstudy_rho1": _subjects("308", "332", "337", "352", "371"),
    "sleepstudy_rhom1": _subjects("332", "333", "335", "350", "369"),
    "sleepstudy_int0": _subjects("332", "333", "335", "369", "371"),
    "Penicillin_part": _third,
    "Oats_unbal": _without(3, 8, 17, 18, 19, 33, 45, 46, 60, 71),
    "Machines_unbal": _without(2, 3, 6, 8, 9, 12, 19, 20, 27, 33),
    "InstEval_sub": _some_departments,
}
"""Data sets that are part of another, and how."""
