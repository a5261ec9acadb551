"""R-squared and intraclass correlations, from rows and from R."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import N, load, sample

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.variances.explained_variance import icc, r_squared

PATH = Path(__file__).parents[2] / "reference" / "reporting.json"


def fit(formula, reml=True, data=None, **kwargs):
    data = sample() if data is None else data
    return crossedmixedlm(formula, data, **kwargs).fit(reml=reml)


def by_rows(result):
    """Variances of the parts from n x n matrices."""
    x, n = result.model.exog, len(result.model.exog)
    beta = np.nan_to_num(np.asarray(result.params))
    centered = np.eye(n) - 1.0 / n
    fixed = beta @ x.T @ centered @ x @ beta / (n - 1)
    covariances = result.cov_re
    random = []
    for effects in result.model.random:
        z = effects.grouped.indicator().toarray()
        sigma = np.kron(np.eye(effects.n_levels), covariances[effects.name])
        random.append(np.trace(z @ sigma @ z.T) / n)
    weights = 1.0 if result.model.weights is None else result.model.weights
    return fixed, np.array(random), np.mean(np.full(n, result.scale) / weights)


MODELS = {
    "intercepts": ("y ~ x + f + (1 | g) + (1 | h)", {}),
    "slopes": ("y ~ x + (x | g) + (1 | h)", {}),
    "uncorrelated": ("y ~ x + (x || g)", {}),
    "slopes without fixed effect": ("y ~ 1 + (x | g) + (0 + f | h)", {}),
    "nested": ("y ~ x + (1 | h / f)", {}),
    "terms of one factor": ("y ~ x + (x | g) + (0 + z | g)", {}),
    "weights and offset": (
        "y ~ x + (x | g) + (1 | h)",
        {"weights": "w", "offset": "o"},
    ),
    "singular": ("flat ~ x + (1 | g) + (x + z | h)", {}),
    "redundant": ("y ~ x + I(2 * x) + f + (1 | g)", {}),
    "no fixed effects": ("y ~ 0 + (1 | g)", {}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_variances_of_the_rows(name, reml):
    formula, kwargs = MODELS[name]
    result = fit(formula, reml, **kwargs)
    fixed, random, residual = by_rows(result)
    total = fixed + random.sum() + residual
    found = r_squared(result)
    assert found.index.tolist() == ["marginal", "conditional"]
    wanted = [fixed / total, (fixed + random.sum()) / total]
    assert_allclose(found, wanted, rtol=1e-9, atol=1e-14)
    assert 0.0 <= found["marginal"] <= found["conditional"] < 1.0
    found = icc(result)
    assert found.index.tolist() == ["adjusted", "unadjusted"]
    wanted = [random.sum() / (total - fixed), random.sum() / total]
    assert_allclose(found, wanted, rtol=1e-9)
    shares = icc(result._results, by_group=True)
    assert shares.index.tolist() == [e.name for e in result.model.random]
    wanted = np.column_stack([random / (total - fixed), random / total])
    assert_allclose(shares, wanted, rtol=1e-9, atol=1e-14)
    assert_allclose(shares.sum(), found, rtol=1e-12)
    assert result.is_singular or name != "singular"


# r2_nakagawa and icc of performance 0.10.2 on fits of lme4 1.1-31 at the REML optimum,
# found with tight tolerances: marginal, conditional, adjusted, unadjusted
PERFORMANCE = {
    "Reaction ~ Days + (1 | Subject)": [
        0.279885637,
        0.704255452,
        0.589308917,
        0.424369816,
    ],
    "Reaction ~ Days + (Days | Subject)": [
        0.278652034,
        0.799218908,
        0.721658476,
        0.520566874,
    ],
}


@pytest.mark.parametrize("formula", PERFORMANCE)
def test_performance(formula):
    result = fit(formula, data=load("sleepstudy"))
    found = [*r_squared(result), *icc(result)]
    assert_allclose(found, PERFORMANCE[formula], rtol=1e-7)


def test_published_examples_of_performance():
    """
    The numbers that its tests expect, test-r2_nakagawa.R and test-icc.R, of iris.

    https://github.com/easystats/performance/tree/main/tests/testthat
    """
    saved = json.loads(PATH.read_text())["iris"]
    data = pd.DataFrame(saved).assign(species=np.repeat(["a", "b", "c"], 50))
    data.columns = data.columns.str.replace(".", "_")
    result = fit("Sepal_Length ~ Petal_Length + (1 | species)", data=data)
    published = [0.65846169440315, 0.969409477972726]
    assert_allclose(r_squared(result), published, rtol=1e-6)
    assert_allclose(icc(result), [0.910433109183341, 0.310947768161385], rtol=1e-6)


def test_performance_by_group():
    """``icc(m, by_group = TRUE)`` of performance, three digits."""
    data = load("pastes")
    result = fit("strength ~ 1 + (1 | batch / cask)", data=data)
    found = icc(result, by_group=True)
    assert_allclose(found.loc["batch:cask"], 0.783, atol=5e-4)
    assert_allclose(found.loc["batch"], 0.154, atol=5e-4)
    assert r_squared(result)["marginal"] < 1e-15


def test_balanced_one_way_layout():
    """The repeatability is (MSA - MSE) / (MSA + (k - 1) MSE)."""
    data = load("dyestuff")
    groups = data.groupby("Batch", observed=True)["Yield"]
    between, within = 5 * groups.mean().var(), groups.var().mean()
    found = icc(fit("Yield ~ 1 + (1 | Batch)", data=data))
    expected = (between - within) / (between + 4 * within)
    assert_allclose(found, expected, rtol=1e-8)


def test_without_variance_it_is_that_of_least_squares():
    """The conditional R-squared of a variance of zero is the marginal one."""
    data = sample()
    flat = data["flat"] - data["flat"].groupby(data["h"]).transform("mean")
    result = fit("flat ~ 1 + (1 | h)", data=data.assign(flat=flat))
    assert result.is_singular
    assert_allclose(icc(result), 0.0, atol=1e-15)
    x = data["x"] - data["x"].groupby(data["h"]).transform("mean")
    result = fit("flat ~ x + (1 | h)", False, data.assign(flat=flat, x=x))
    assert result.is_singular
    # var(X beta) is sum of squares / (n - 1), sigma^2 of ML that of the rest / n
    r2 = np.corrcoef(flat, x)[0, 1] ** 2
    expected = r2 / (r2 + (1 - r2) * (N - 1) / N)
    assert_allclose(r_squared(result), expected, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
def test_invariances(reml):
    formula, data = "y ~ x + f + (x | g) + (1 | h)", sample()
    result = fit(formula, reml)
    others = [
        fit(formula, reml, data.sample(frac=1.0, random_state=1)),
        fit(formula, reml, data.assign(g="level " + data["g"].str[::-1])),
        fit(formula, reml, data.assign(y=1e5 - 1e-4 * data["y"])),
        fit(formula, reml, data.assign(x=1e6 + 20.0 * data["x"])),
        fit("y ~ f + x + (1 | h) + (1 + x | g)", reml),
    ]
    for other in others:
        assert_allclose(r_squared(other), r_squared(result), rtol=1e-6)
        found = icc(other, by_group=True).sort_index()
        assert_allclose(found, icc(result, by_group=True), rtol=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_units_of_the_weights_do_not_matter(reml):
    data = sample().assign(more=lambda d: 250.0 * d["w"], same=40.0)
    one = fit("y ~ x + (x | g)", reml, data, weights="w")
    two = fit("y ~ x + (x | g)", reml, data, weights="more")
    assert_allclose(r_squared(two), r_squared(one), rtol=1e-6)
    assert_allclose(icc(two, by_group=True), icc(one, by_group=True), rtol=1e-6)
    # equal weights are none
    plain = fit("y ~ x + (x | g)", reml)
    equal = fit("y ~ x + (x | g)", reml, data, weights="same")
    assert_allclose(r_squared(equal), r_squared(plain), rtol=1e-6)
    assert_allclose(icc(equal), icc(plain), rtol=1e-6)


def test_offset_is_not_explained():
    """An offset that is taken from the response changes nothing."""
    data = sample()
    moved = data.assign(y=data["y"] - data["o"])
    expected = fit("y ~ x + (x | g)", data=moved)
    for found in (
        fit("y ~ x + (x | g)", offset="o"),
        fit("y ~ x + offset(o) + (x | g)"),
    ):
        assert_allclose(r_squared(found), r_squared(expected), rtol=1e-9)


def test_models_from_arrays():
    data = sample()
    x = np.column_stack([np.ones(N), data["x"]])
    random = {"g": (data["g"], x), "h": data["h"]}
    result = CrossedMixedLM(data["y"].to_numpy(), x, random=random).fit()
    twin = fit("y ~ x + (x | g) + (1 | h)")
    assert_allclose(r_squared(result), r_squared(twin), rtol=1e-9)
    assert_allclose(icc(result, True), icc(twin, True), rtol=1e-9)


def test_data_that_were_removed():
    result = fit("y ~ x + (1 | g)")
    result.remove_data()
    for call in (r_squared, icc):
        with pytest.raises(DataError, match="data of the model were removed"):
            call(result)


def test_arguments_without_a_meaning_are_refused():
    result = fit("y ~ x + (1 | g)")
    for share in (icc, r_squared):
        with pytest.raises(TypeError, match="ci; conf_int=True adds intervals"):
            share(result, ci=True)
    with pytest.raises(ValueError, match="by_group must be False or True"):
        icc(result, "g")
