"""Heritabilities against formulas, by dense algebra where designs are unbalanced."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import sample

from statsmodels_lmm.formula.api import crossedmixedlm

PATH = Path(__file__).parents[2] / "reference" / "trials.json"


@pytest.fixture(scope="module")
def trial():
    """Twelve genotypes in six incomplete blocks, with a genotype in every block."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"block": np.repeat(np.arange(6), 5)})
    frame["gen"] = [
        g for b in range(6) for g in [0, *(1 + (4 * b + np.arange(4)) % 11)]
    ]
    frame["y"] = 10.0 + rng.standard_normal(12)[frame["gen"]] + frame["block"]
    frame["y"] += 0.7 * rng.standard_normal(30)
    return crossedmixedlm("y ~ 1 + (1 | gen) + (1 | block)", frame).fit()


def dense(fit):
    """Design of the genotypes, and the projected inverse covariance of the rest."""
    data = fit.model.data.frame
    gen, block = (pd.get_dummies(data[n]).to_numpy(float) for n in ("gen", "block"))
    v = fit.vcomp["block"].iloc[0] * block @ block.T + fit.scale * np.eye(len(gen))
    inner = np.linalg.inv(v)
    one = inner.sum(axis=1)
    return gen, inner - np.outer(one, one) / one.sum()


def mean_difference(covariance):
    pairs = [(i, j) for i in range(len(covariance)) for j in range(i)]
    c = covariance
    return np.mean([c[i, i] + c[j, j] - 2.0 * c[i, j] for i, j in pairs])


def test_entry_means(trial):
    genetic = trial.vcomp["gen"].iloc[0]
    gen, projected = dense(trial)
    information = gen.T @ projected @ gen
    errors = np.linalg.inv(information + np.eye(len(information)) / genetic)
    cullis = 1.0 - mean_difference(errors) / (2.0 * genetic)
    assert_allclose(trial.heritability("gen", "cullis"), cullis, rtol=1e-8)
    blue = mean_difference(np.linalg.pinv(information))
    piepho = genetic / (genetic + blue / 2.0)
    assert_allclose(trial.heritability("gen", "piepho"), piepho, rtol=1e-6)
    records = gen.sum(axis=0)
    standard = genetic / (genetic + trial.scale * np.mean(1.0 / records))
    found = trial.heritability("gen", "standard", conf_int="profile")
    assert_allclose(found.estimates, standard)
    assert found.conf_int().loc["heritability", "lower"] < standard


def test_published_examples_of_heritable():
    """
    Printed by R's package heritable 0.1.0 for fits of lme4.

    https://stat.ethz.ch/CRAN/web/packages/heritable/readme/README.html for the alpha
    design, the package's vignette heritable.html for lettuce in complete blocks.
    """
    saved = json.loads(PATH.read_text())
    oats = pd.DataFrame(saved["oats"]).astype({"rep": "category"})
    fit = crossedmixedlm("y ~ rep + (1 | gen) + (1 | rep:block)", oats).fit()
    assert_allclose(fit.heritability("gen", "cullis"), 0.8091338, rtol=1e-6)
    assert_allclose(fit.heritability("gen", "standard"), 0.8400678, rtol=1e-6)
    # its "Piepho" takes the variance of differences, by Kenward and Roger, from a model
    # with fixed genotypes; ours keeps the other variances, as the definition does
    genetic = fit.vcomp["gen"].iloc[0]
    other = crossedmixedlm("y ~ 0 + C(gen) + rep + (1 | rep:block)", oats)
    pairs = other.fit(df_method="kenward-roger").marginal_means("gen").pairs()
    half = np.mean(pairs.summary_frame()["std err"] ** 2) / 2.0
    assert_allclose(genetic / (genetic + half), 0.7966375, rtol=1e-6)
    assert_allclose(fit.heritability("gen", "piepho"), 0.808, atol=5e-4)
    rows = np.arange(267)
    lettuce = pd.DataFrame({"y": saved["lettuce"], "gen": rows // 3, "rep": rows % 3})
    fit = crossedmixedlm("y ~ C(rep) + (1 | gen)", lettuce).fit()
    found = [fit.heritability("gen", b) for b in ("standard", "cullis", "piepho")]
    assert_allclose(found, 0.8294971, rtol=1e-7)


def test_complete_blocks():
    """In a balanced trial the three agree."""
    data = sample().assign(g=np.arange(120) % 10, b=np.arange(120) // 10)
    data["y"] += data["g"]
    fit = crossedmixedlm("y ~ 1 + (1 | g) + (1 | b)", data).fit()
    each = [fit.heritability("g", b) for b in ("standard", "cullis", "piepho")]
    assert_allclose(each, each[0], rtol=1e-6)


def test_relationships():
    """The only factor with a relationship is meant; the rest is the phenotype's."""
    data = sample()
    levels = sorted(data["g"].unique())
    known = pd.DataFrame(0.3 + 0.7 * np.eye(10), levels, levels)
    fit = crossedmixedlm(
        "y ~ x + (1 | g) + (x | h)", data, relationship={"g": known}
    ).fit()
    found = fit.heritability(conf_int=True)
    x, slopes = data["x"], fit.cov_re["h"].to_numpy()
    each = slopes[0, 0] + 2.0 * x * slopes[0, 1] + x**2 * slopes[1, 1]
    genetic = fit.vcomp["g"].iloc[0]
    expected = genetic / (genetic + each.mean() + fit.scale)
    assert_allclose(found.estimates, expected)
    assert fit.heritability() == found.estimates.iloc[0]
    with pytest.raises(ValueError, match="is for unrelated genotypes"):
        fit.heritability("g", "cullis")
    with pytest.raises(ValueError, match="h has several effects"):
        fit.heritability("h", "narrow")


def test_requests_that_make_no_sense(trial):
    with pytest.raises(ValueError, match="factor of the genotypes: gen, block"):
        trial.heritability()
    with pytest.raises(ValueError, match="are not related; choose a basis"):
        trial.heritability("gen")
    with pytest.raises(ValueError, match="no grouping factor animal"):
        trial.heritability("animal")
    with pytest.raises(ValueError, match="no interval for basis='cullis'"):
        trial.heritability("gen", "cullis", conf_int=True)


def test_no_genetic_variance():
    fit = crossedmixedlm("flat ~ 1 + (1 | f) + (1 | g)", sample()).fit()
    none = fit.vcomp.index[fit.vcomp == 0.0][0][0]
    assert fit.heritability(none, "piepho") == 0.0
    assert np.isnan(fit.heritability(none, "cullis"))


def test_genotypes_that_cannot_be_compared():
    """Fixed genotypes in other blocks cannot be compared if blocks are fixed, too."""
    data = sample().assign(half=lambda d: (d["g"] > "g4") * 1.0)
    data["y"] += 5.0 * data["g"].str[1:].astype(float)
    fit = crossedmixedlm("y ~ half + (1 | g)", data).fit()
    assert np.isnan(fit.heritability("g", "piepho"))
    assert 0.0 < fit.heritability("g", "cullis") < 1.0
