"""The formulas that everybody writes: certified, and the criterion is what it says."""

import json
import pathlib
import warnings

import numpy as np
import pytest
from samples import load

from statsmodels_lmm.formula.api import crossedmixedlm

FORMULAS = {
    "intercepts": "rt ~ Days + (1 | Subject)",
    "slopes": "rt ~ Days + (Days | Subject)",
    "double_bar": "rt ~ Days + (Days || Subject)",
    "two_terms": "rt ~ Days + (1 | Subject) + (0 + Days | Subject)",
    "no_predictor": "rt ~ 1 + (1 | Subject)",
    "cell_means": "rt ~ 0 + cond + (1 | Subject)",
    "minus_one": "rt ~ Days - 1 + (Days - 1 | Subject)",
    "crossed": "rt ~ Days + cond + (1 | Subject) + (1 | item)",
    "two_slopes": "rt ~ Days + dose + (Days + dose | Subject) + (1 | item)",
    "interaction": "rt ~ Days * cond + (Days | Subject)",
    "three_way": "rt ~ Days * cond * sex + (1 | Subject)",
    "power": "rt ~ (Days + cond + sex)**2 + (1 | Subject)",
    "square": "rt ~ Days + I(Days**2) + (Days | Subject)",
    "poly": "rt ~ poly(Days, 2) + (poly(Days, 2) | Subject)",
    "spline": "rt ~ bs(Days, df=4) + (1 | Subject)",
    "log_response": "log(rt) ~ Days + (Days | Subject)",
    "log_slope": "rt ~ np.log(dose) + (np.log(dose) | Subject)",
    "scale": "rt ~ scale(Days) + scale(dose) + (scale(Days) | Subject)",
    "offset": "rt ~ Days + offset(base) + (1 | Subject)",
    "factor_slopes": "rt ~ Days + cond + (0 + cond | Subject)",
    "factor_double_bar": "rt ~ Days + cond + (cond || Subject)",
    "nested_deep": "rt ~ Days + (1 | site/lab/Subject)",
    "nested_slopes": "rt ~ Days + (Days | site/Subject)",
    "cells": "rt ~ cond + (1 | Subject:cond) + (1 | item)",
    "random_interaction": "rt ~ Days * dose + (Days * dose | Subject)",
    "sum_coding": "rt ~ C(cond, Sum) * Days + age + (cond | Subject)",
}

FOLDER = pathlib.Path(__file__).parent.parent / "reference"
LME4 = json.loads((FOLDER / "everyday.json").read_text())
ROWS = [0, 19, 54, 89, 132, 179]


@pytest.fixture(scope="module")
def data():
    """The sleepstudy data with more columns; reference/everyday.R has the same."""
    i = np.arange(180)
    s = i // 10
    frame = load("sleepstudy")
    frame["dose"] = 1 + (11 * i % 17) / 4
    frame["age"] = 21.0 + 7 * s % 18
    frame["cond"] = np.array(["a", "b", "c"])[i % 3]
    frame["sex"] = np.array(["f", "m"])[s % 2]
    frame["site"] = [f"S{k}" for k in s // 6]
    frame["lab"] = [f"L{k}" for k in s // 3 % 2]
    frame["item"] = [f"i{k:02d}" for k in 5 * i % 12]
    frame["base"] = 10.0 * (i % 7)
    frame["rt"] = frame["Reaction"] + 12 * np.sin(2 * (5 * i % 12))
    frame["rt"] += 6 * frame["dose"] * np.sin(s + 1)
    return frame


def fit(formula, data, reml):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = crossedmixedlm(formula, data).fit(reml=reml)
    expected = []
    if "cond ||" in formula:  # the columns of cond span the intercept
        expected = ["diag(cond | Subject)", "cannot be distinguished"]
    assert len(caught) == len(expected)
    assert all(e in str(c.message) for e, c in zip(expected, caught))
    return result


def random_part(result):
    """ZLambda at the fitted theta, from the triangles of theta one by one."""
    theta, columns = list(result.theta), []
    for effects in result.model.random:
        for block in effects.grouped.block_slices:
            k = block.stop - block.start
            relative = np.zeros((k, k))
            for column in range(k):
                for row in range(column, k):
                    relative[row, column] = theta.pop(0)
            for level in range(effects.n_levels):
                here = effects.grouped.codes == level
                columns.append(here[:, None] * effects.grouped.effects[:, block])
                columns[-1] = columns[-1] @ relative
    assert not theta
    return np.hstack(columns)


def dense_criterion(result):
    """-2 log-likelihood, or the REML criterion, with the covariance written out."""
    model, zl = result.model, random_part(result)
    x, n, p = model.exog, *model.exog.shape
    y = model.endog - (0.0 if model.offset is None else model.offset)
    v = np.eye(n) + zl @ zl.T
    vx = np.linalg.solve(v, x)
    beta = np.linalg.solve(x.T @ vx, vx.T @ y)
    r = y - x @ beta
    rss, df = r @ np.linalg.solve(v, r), n - p if result.reml else n
    value = df * (1 + np.log(2 * np.pi * rss / df)) + np.linalg.slogdet(v)[1]
    return value + (np.linalg.slogdet(x.T @ vx)[1] if result.reml else 0.0)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("name", FORMULAS)
def test_everyday(name, method, data):
    result = fit(FORMULAS[name], data, method == "reml")
    assert result.converged
    assert result.optimum.evaluations <= 20
    assert -2 * result.llf == pytest.approx(dense_criterion(result), rel=0, abs=1e-7)
    lme4 = LME4[name][method]
    assert -2 * result.llf == pytest.approx(lme4["criterion"], rel=0, abs=1e-6)
    assert result.n_params + result.identification.idle == lme4["n_params"]
    sigma = lme4["sigma"]
    assert np.sqrt(result.scale) == pytest.approx(sigma, rel=1e-3)
    x = result.model.exog[ROWS]
    fixed = x @ result.params
    se = np.sqrt(np.diag(x @ result.cov_params() @ x.T))
    assert fixed == pytest.approx(np.array(lme4["fixed"]), abs=1e-3 * se.max())
    assert se == pytest.approx(np.array(lme4["se"]), rel=1e-3)
    variance = result.scale * (random_part(result)[ROWS] ** 2).sum(axis=1)
    theirs = np.array(lme4["random_variance"])
    assert variance == pytest.approx(theirs, rel=2e-3, abs=1e-3 * sigma**2)
    fitted = result.fittedvalues.to_numpy()[ROWS]
    assert fitted == pytest.approx(np.array(lme4["fitted"]), abs=2e-3 * sigma)
