"""Generalized models that several tests share."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from samples import load

from statsmodels_lmm.models.generalized import CrossedMixedGLM

REFERENCE = json.loads(
    (Path(__file__).parent / "reference/generalized.json").read_text()
)


def cbpp():
    """The cbpp data, with a proportion and a factor of the rows."""
    data = pd.DataFrame(REFERENCE["cbpp"]).astype({"herd": str, "period": str})
    return data.assign(prop=data["incidence"] / data["size"], obs=range(len(data)))


def frame(name):
    """The data of a model."""
    if name not in ("gamma", "log gamma", "binary", "structure"):
        return cbpp()
    data = load("sleepstudy")
    return data.assign(slow=(data["Reaction"] > 300) * 1.0, third=data["Days"] // 4)


MODELS = {
    "binomial": ("prop ~ period + (1|herd)", {"weights": "size"}),
    "rows": ("prop ~ period + (1|herd) + (1|obs)", {"weights": "size"}),
    "poisson": ("incidence ~ period + (1|herd)", {"exposure": "size"}),
    "negativebinomial": ("incidence ~ period + (1|herd)", {"exposure": "size"}),
    "gamma": ("Reaction ~ Days + (Days|Subject)", {}),
    "log gamma": ("Reaction ~ Days + (1|Subject)", {}),
    "structure": ("Reaction ~ Days + ar1(0 + C(third)|Subject)", {}),
    "binary": ("slow ~ Days + (1|Subject) + (1|Days)", {}),
}


def family(name):
    """The family of a model."""
    if name == "log gamma":
        return sm.families.Gamma(sm.families.links.Log())
    names = {"structure": "gamma", "binary": "binomial", "rows": "binomial"}
    return names.get(name, name)


def model(name):
    """A model, new each time."""
    formula, arguments = MODELS[name]
    return CrossedMixedGLM.from_formula(
        formula, frame(name), family=family(name), **arguments
    )


@functools.cache
def fitted(name):
    """Its fit, the same each time."""
    return model(name).fit()


def every_parameter(fit):
    """Fixed effects, theta and the extra parameter, as the likelihood takes them."""
    extra = [] if fit.extra is None else [fit.extra]
    return np.concatenate([fit.params, fit.theta, extra])


def slopes(function, point, steps):
    """Derivatives by central differences, shape (values, parameters)."""
    moves = zip(np.diag(steps), steps)
    each = [(function(point + m) - function(point - m)) / (2.0 * h) for m, h in moves]
    return np.stack(each, axis=-1)


@functools.cache
def differenced_covariance(name):
    """The inverse information of all parameters, by differences of the score."""
    fit, point = fitted(name), every_parameter(fitted(name))
    steps = 1e-5 * np.sqrt(np.diag(np.linalg.inv(fit.model.information(point))))
    information = -slopes(fit.model.score, point, steps)
    return np.linalg.inv(0.5 * (information + information.T))
