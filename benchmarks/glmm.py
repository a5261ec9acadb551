"""
Time generalized linear mixed models side by side with lme4 (R) and glmm (Rust core).

As side_by_side.py does it, from the formula to the log-likelihood and standard errors;
``linear`` is our linear model of the same formula. All models are binomial with a logit
link. glmer does not fit the largest. See README.rst.
"""

from functools import partial
from pathlib import Path

from side_by_side import LINEAR, OURS, Model, classic, main

TOOLS = [OURS, "glmer", "glmm", LINEAR]


def proportions():
    """Return cbpp with the proportion of cattle that fell ill."""
    data = classic("cbpp")().astype({"period": "category"})
    return data.assign(y=data["incidence"] / data["size"])


def contraception():
    """Return Contraception of R's mlmRev with a coded response and squared ages."""
    data = classic("Contraception", "mlmRev")()
    return data.assign(y=(data["use"] == "Y").astype(int), age2=data["age"] ** 2)


def verbal_aggression():
    """Return VerbAgg with a coded response."""
    data = classic("VerbAgg")()
    return data.assign(y=(data["r2"] == "Y").astype(int))


def good_ratings():
    """Return InstEval with ratings of 4 and 5 as events."""
    data = classic("InstEval")()
    return data.assign(y=(data["y"] >= 4).astype(int))


def simulated(nobs, levels, n_columns=1):
    """
    Simulate binary responses with intercepts of factors that meet at random.

    Parameters
    ----------
    nobs : int
        Number of rows.
    levels : dict of str to int
        Numbers of levels of the factors.
    n_columns : int
        Number of predictors, x1, x2, ...
    """
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(15)
    x = rng.normal(size=(nobs, n_columns)).round(6)
    eta = -0.5 + x @ np.linspace(0.5, -0.5, n_columns)
    data = {f"x{j + 1}": column for j, column in enumerate(x.T)}
    for name, count in levels.items():
        data[name] = rng.integers(count, size=nobs)
        eta += rng.normal(scale=0.8, size=count)[data[name]]
    y = (rng.uniform(size=nobs) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"y": y, **data})


def random_intercepts(nobs, n_columns=1, without=(LINEAR,), **levels):
    """Return the model of simulated rows with an intercept of each factor."""
    columns = [f"x{j + 1}" for j in range(n_columns)]
    formula = " + ".join([*columns, *(f"(1 | {name})" for name in levels)])
    data = partial(simulated, nobs, levels, n_columns)
    return binomial(f"y ~ {formula}", data, ",".join(levels), without=without)


def binomial(formula, data, factors, **others):
    """Return a binomial model."""
    return Model(formula, data, factors, reml=False, family="binomial", **others)


LARGE = LINEAR, "glmer"

MODELS = {
    "cbpp": binomial(
        "y ~ period + (1 | herd)", proportions, "period,herd", weights="size"
    ),
    "contraception": binomial(
        "y ~ age + age2 + urban + livch + (1 | district)",
        contraception,
        "urban,livch,district",
        without=(LINEAR,),
    ),
    "verbagg": binomial(
        "y ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        verbal_aggression,
        "Gender,btype,situ,id,item",
        without=(LINEAR,),
    ),
    "insteval": binomial(
        "y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)",
        good_ratings,
        "s,d,dept",
        without=LARGE,
    ),
    "columns": random_intercepts(3_000, n_columns=22, g=100),
    "levels": random_intercepts(100_000, g=5_000),
    "crossed": random_intercepts(100_000, g=2_000, h=200),
    "million": random_intercepts(1_000_000, g=50_000, without=LARGE),
    "million-crossed": random_intercepts(1_000_000, g=10_000, h=1_000, without=LARGE),
}

if __name__ == "__main__":
    main(MODELS, TOOLS, __doc__, Path(__file__).resolve())
