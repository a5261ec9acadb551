"""Generalized models of six published data sets, fitted in reference/*.R as well."""

import functools

import numpy as np
import statsmodels.api as sm
from generalized_samples import cbpp
from reference.frames import frame
from samples import load

from statsmodels_lmm.formula.api import crossedmixedglm

links = sm.families.links

FAMILIES = {
    "cbpp": "binomial",
    "contraception": "binomial",
    "grouseticks": "poisson",
    "carrots": sm.families.Binomial(links.CLogLog()),
    "epil": "negativebinomial",
    "rats": sm.families.Gamma(links.Log()),
}
FORMULAS = {
    "cbpp": "cbind(incidence, size - incidence) ~ period + (1|herd)",
    "contraception": "use ~ age + urban * ch + (1|district)",
    "grouseticks": "TICKS ~ C(YEAR) + cHEIGHT + (1|BROOD) + (1|LOCATION)",
    "carrots": "cbind(y, n - y) ~ trt + (1|gen) + (1|block)",
    "epil": "y ~ trt * visit + offset(np.log(base / 4)) + (1|subject)",
    "rats": "weight ~ Time * Diet + (1|Rat)",
}


def data(name):
    """The data of a model, with the factors that it has in addition."""
    if name == "contraception":
        table = load(name)
        return table.assign(ch=np.where(table["livch"] == "0", "N", "Y"))
    if name == "epil":
        return frame("epil2").assign(visit=lambda d: d["period"].astype(str))
    published = {"carrots": "jansen_carrot", "rats": "BodyWeight"}
    if name in published:
        return frame(published[name])
    return cbpp() if name == "cbpp" else load(name)


@functools.cache
def fit(name, formula=None):
    """The fit of one of the models, or of another formula."""
    formula = FORMULAS[name] if formula is None else formula
    model = crossedmixedglm(formula, data(name), family=FAMILIES[name])
    # lme4 has the expected Hessian; it differs for the link of the carrots only
    return model.fit(hessian="expected" if name == "carrots" else "observed")
