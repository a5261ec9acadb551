"""Fits agree with those of lme4, run to a much tighter optimum than its default."""

import functools
import json
import pathlib
from itertools import cycle

import numpy as np
import pandas as pd
import pytest
from reference.frames import frame

from statsmodels_lmm.formula.api import crossedmixedlm

FITS = json.loads((pathlib.Path(__file__).parent / "reference/fits.json").read_text())

CRITERION = 1e-6
PARAMETER = 1e-3
SATURATED = "ortho_agef.reml", "ortho_agef.ml", "sing_pen3.reml", "sing_pen3.ml"
"""Fits of which the effects can reproduce any response; they are not called proved."""

PREDICTED = [
    name
    for name, saved in FITS.items()
    if not saved["flat"] and (saved["reml"] or name.replace(".ml", ".reml") not in FITS)
]
"""One fit of each model: what the rows are multiplied by is compared for both."""

QUADRATIC = 2e-3
CURVATURE = 5e-3
"""
What the precision of the references allows. Their criterion is within 1e-9 of the
minimum, so a parameter that the criterion determines to one standard error is known
to about 3e-5 of it; flat and singular directions are known worse. Covariances are
quadratic in the parameters, and conditional variances a ratio of such.
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore:the fixed effects are not linearly"),
    pytest.mark.filterwarnings("ignore:'||' does not separate"),
    pytest.mark.filterwarnings("ignore:1 row dropped"),
    pytest.mark.filterwarnings("ignore:fixed and random effects together reproduce"),
]


@functools.cache
def fit(name):
    saved = FITS[name]
    model = crossedmixedlm(
        saved["formula"],
        frame(saved["data"]),
        weights=saved["weights"],
        offset=saved["offset"],
        check_levels=False,
    )
    return model.fit(reml=saved["reml"])


def largest(gap):
    """Largest absolute value, NaN if one is NaN."""
    return np.abs(np.asarray(gap, dtype=float)).max()


def square(rows):
    """A symmetric matrix from its lower triangle."""
    lower = np.array([row + [0.0] * (len(rows) - len(row)) for row in rows])
    return lower + np.tril(lower, -1).T


@pytest.mark.parametrize("name", FITS)
def test_optimum(name):
    saved, result = FITS[name], fit(name)
    assert result.converged == (name not in SATURATED)
    assert result.optimum.saturated == (name in SATURATED)
    assert result.optimum.promised < 1e-6
    assert result.optimum.evaluations <= 20
    assert -2 * result.llf <= saved["criterion"] + CRITERION
    assert result.nobs == saved["n"]
    assert result.llf == pytest.approx(saved["llf"], rel=0, abs=CRITERION)
    # lme4 counts what the data do not determine, too
    idle = result.identification.idle
    assert (idle > 0) == saved["flat"]
    aic, bic = result.aic + 2 * idle, result.bic + np.log(saved["n"]) * idle
    assert aic == pytest.approx(saved["aic"], rel=0, abs=CRITERION)
    assert bic == pytest.approx(saved["bic"], rel=0, abs=CRITERION)


@pytest.mark.parametrize("name", FITS)
def test_fixed_effects(name):
    saved, result = FITS[name], fit(name)
    names, se = saved["fixed"], np.array(saved["se"])
    assert sorted(result.params.index[result.params.isna()]) == saved["dropped"]
    gap = (result.params[names] - saved["beta"]) / se
    assert largest(gap) < PARAMETER
    assert largest(result.bse[names] / se - 1) < PARAMETER
    if "vcov" in saved:
        gap = result.cov_params().loc[names, names] - square(saved["vcov"])
        assert largest(gap / np.outer(se, se)) < QUADRATIC


@pytest.mark.parametrize("name", [n for n, saved in FITS.items() if not saved["flat"]])
def test_variances(name):
    saved, result = FITS[name], fit(name)
    sigma = saved["sigma"]
    assert np.sqrt(result.scale) == pytest.approx(sigma, rel=PARAMETER)
    matrices = result.cov_re
    for term in saved["varcorr"]:
        names, theirs = term["effects"], np.array(term["cov"])
        ours = matrices[term["group"]].loc[names, names]
        sd = np.sqrt(np.diag(theirs)) + 1e-3 * sigma
        assert largest((ours - theirs) / np.outer(sd, sd)) < QUADRATIC


@pytest.mark.parametrize("name", [n for n, saved in FITS.items() if not saved["flat"]])
def test_modes(name):
    saved, result = FITS[name], fit(name)
    table = result.random_effects_table().set_index(["group", "effect", "level"])
    for factor in saved["modes"]:
        for j, effect in enumerate(factor["effects"]):
            ours = table.loc[(factor["group"], effect)].loc[factor["levels"]]
            modes = np.array(factor["modes"])[:, j]
            scale = largest(modes) + 1e-3 * saved["sigma"]
            assert largest(ours["mode"] - modes) < QUADRATIC * scale
            variances = np.array(factor["variances"])[:, j]
            scale = variances + (1e-3 * saved["sigma"]) ** 2
            assert largest((ours["sd"] ** 2 - variances) / scale) < CURVATURE


@pytest.mark.parametrize("name", PREDICTED)
def test_predictions(name):
    saved, result = FITS[name], fit(name)
    limit = QUADRATIC * (result.fittedvalues.std() + saved["sigma"])
    assert largest(result.fittedvalues.iloc[:6] - saved["fitted"]) < limit
    for block in saved["predict"]:
        new = pd.DataFrame(block["new"])
        for key, conditional in (("population", False), ("conditional", True)):
            if block[key] is None:
                continue
            ours = result.predict(
                new, random_effects=conditional, new_levels="population"
            )
            theirs = np.array(block[key], dtype=float)
            assert (ours.isna() == np.isnan(theirs)).all()
            assert largest((ours - theirs).fillna(0.0)) < limit


def certified_above(name, result):
    """How much worse a certified point is than the best, 0 where none is certified."""
    best = min(FITS[name]["criterion"], -2.0 * fit(name).llf)
    return result.converged * (-2.0 * result.llf - best)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("which", "name"), enumerate(FITS))
def test_a_moved_optimum_is_not_proved(which, name):
    """One parameter by some of its standard error, and all of them."""
    result = fit(name)
    theta, reml = result.theta.to_numpy(), result.reml
    curvature = np.diagonal(result.model.information(theta, reml=reml))
    steps = 1e-3 / np.sqrt(np.where(curvature > 0.0, curvature, np.inf))
    one = np.eye(len(theta))[which % len(theta)]
    for direction, size in ((one, 1.0 + 4.0 * (which % 3)), (np.ones(len(theta)), 5.0)):
        moved = theta + size * steps * direction
        found = result.model.fit(reml=reml, start_params=moved, maxiter=1)
        assert found.optimum.evaluations == 1
        # the promise is that of a quadratic
        assert certified_above(name, found) < 1.01 * CRITERION


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "maxiter"), list(zip(FITS, cycle([1, 2, 3]))))
def test_a_search_that_is_stopped_is_not_proved(name, maxiter):
    found = fit(name).model.fit(reml=fit(name).reml, maxiter=maxiter)
    assert found.optimum.evaluations <= maxiter
    assert certified_above(name, found) < 1.01 * CRITERION


@pytest.mark.slow
def test_evaluations_altogether():
    assert np.median([fit(name).optimum.evaluations for name in FITS]) <= 7
