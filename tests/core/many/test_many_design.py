"""Fits of many responses are single fits, whatever the kernel."""

import numpy as np
import pytest
from many_designs import FORMULAS, design, responses, responses_of, rows

from statsmodels_lmm.core.many import problems
from statsmodels_lmm.core.many.fits import ManyFits
from statsmodels_lmm.core.many.many_design import ManyDesign
from statsmodels_lmm.core.many.standardized_responses import standardized
from statsmodels_lmm.formula.api import crossedmixedlm

COUNT = 18

SINGLE = 1e-14
"""Tolerance of the single fits."""


def many(model, reml=True):
    return ManyDesign(*model._sufficient_statistics(), reml)


def compare(fits, i, result):
    """
    One of many fits against a single one.

    A mean 1e7 times the spread costs the coefficients, not the residuals, their digits.
    """
    result = result.with_df_method("satterthwaite")
    error, theta = result.bse.to_numpy(), result.theta.to_numpy()
    assert fits.certified[i]
    assert fits.promised[i] < 1e-12
    np.testing.assert_allclose(
        fits.params[i] - result.params,
        0.0,
        atol=3e-8 * error.min() + 1e-11 * abs(result.params).max(),
    )
    np.testing.assert_allclose(fits.bse[i], error, rtol=2e-8)
    np.testing.assert_allclose(
        fits.theta[i], theta, atol=2e-8 * max(1.0, abs(theta).max())
    )
    np.testing.assert_allclose(fits.scale[i], result.scale, rtol=1e-8)
    np.testing.assert_allclose(fits.llf[i], result.llf, atol=1e-8)
    df = result.df_resid_inference
    np.testing.assert_allclose(fits.df[i], df, rtol=1e-6)
    assert fits.singular[i] == result.singular.any()
    assert fits.nobs[i] == result.nobs


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", FORMULAS)
def test_many_fits_are_single_fits(name, reml):
    model = design(name)
    y = responses_of(model, COUNT)
    fits = many(model, reml).fit(y.copy())
    for i in range(0, COUNT, 1 if reml else 5):
        compare(fits, i, model.with_response(y[i]).fit(reml, tol=SINGLE))


@pytest.mark.parametrize("name", FORMULAS)
def test_own_rows_are_rows_left_out(name):
    frame = rows()
    model = crossedmixedlm(FORMULAS[name], frame)
    y = responses(frame, 12, seed=8)
    y[np.random.default_rng(2).random(y.shape) < 0.15] = np.nan
    fits = many(model).fit(y.copy())
    for i in range(0, 12, 2):
        own = frame.assign(y=y[i])
        compare(fits, i, crossedmixedlm(FORMULAS[name], own).fit(tol=SINGLE))


def test_own_weights_are_prior_weights():
    frame = rows()
    rng = np.random.default_rng(4)
    frame["w"] = rng.uniform(0.5, 2.0, len(frame))
    formula = FORMULAS["crossed slopes"]
    model = crossedmixedlm(formula, frame, weights="w")
    y, own = responses(frame, 6), rng.uniform(0.2, 3.0, (6, len(frame)))
    fits = many(model).fit(y.copy(), own)
    for i in (0, 1, 4):
        weighted = frame.assign(y=y[i], w=frame["w"] * own[i])
        compare(fits, i, crossedmixedlm(formula, weighted, weights="w").fit(tol=SINGLE))


@pytest.mark.parametrize("name", ["crossed", "slopes"])
def test_a_response_without_a_fit_leaves_the_others_alone(name):
    model = design(name)
    y = responses_of(model, 8)
    whole = many(model).fit(y.copy())
    y[1] = 0.0
    y[2] = model.exog @ [1.0, 2.0]  # X reproduces it
    y[3, 4], y[5] = np.inf, np.nan
    y[6, model.exog[:, 1] != model.exog[0, 1]] = np.nan  # one row a group
    y[7, model.data.frame["g"] > 0] = np.nan
    fits = many(model).fit(y.copy())
    told = [problems.SENTENCES[p] for p in fits.problem]
    assert told == [
        "",
        "the fixed effects reproduce the response exactly",
        "the fixed effects reproduce the response exactly",
        "infinite values",
        "",
        "all values are missing",
        "the rows left are no more than the levels of a grouping factor",
        "the rows left have a single level of a grouping factor",
    ]
    others = [0, 4]
    np.testing.assert_allclose(fits.llf[others], whole.llf[others], rtol=1e-12)
    rest = fits.problem != problems.FINE
    assert np.isnan(fits.params[rest]).all()
    assert not fits.certified[rest].any()


def test_rows_that_leave_a_column_out():
    model = design("unbalanced")
    y = responses_of(model, 2)
    y[1, model.exog[:, model.exog_names.index("f[T.b]")] == 1.0] = np.nan
    fits = many(model).fit(y)
    assert problems.SENTENCES[fits.problem[1]].endswith("determine all fixed effects")
    assert fits.certified.tolist() == [True, False]


@pytest.mark.parametrize("name", ["crossed", "slopes"])
def test_residuals_that_lost_their_digits_are_left_for_a_fit_alone(name):
    model = design(name)
    y = responses_of(model, 2)
    y[1] = 1e7 * model.data.frame["g"] + y[0]
    fits = many(model).fit(y)
    assert fits.problem.tolist() == [problems.FINE, problems.ALONE]


def test_what_fails_in_a_batch_is_left_for_a_fit_alone(monkeypatch):
    model = design("crossed")
    y, one = responses_of(model, 5), many(design("crossed"))
    whole, usual = one.fit(y.copy()), ManyDesign._settled

    def fails(self, scaled, weights):
        if (scaled.scale == bad).any():
            raise np.linalg.LinAlgError
        return usual(self, scaled, weights)

    bad = standardized(one.data, y[[3]]).scale[0]
    monkeypatch.setattr(ManyDesign, "_settled", fails)
    fits = one.fit(y.copy())
    assert fits.problem.tolist() == [problems.FINE] * 3 + [
        problems.ALONE,
        problems.FINE,
    ]
    np.testing.assert_allclose(fits.llf[4], whole.llf[4], rtol=1e-12)


def test_parameters_given_need_no_search():
    model = design("crossed slopes")
    y = responses_of(model, 6)
    one = many(model)
    fits = one.fit(y.copy())
    evaluation, scaled = one.evaluate(y.copy(), fits.theta)
    np.testing.assert_allclose(
        evaluation.scale * scaled.scale**2, fits.scale, rtol=1e-9
    )


def test_sizes_depend_on_the_design_alone():
    classes, general = many(design("slopes")), many(design("crossed"))
    assert classes.size > general.size >= 100
    assert general.classes is None
    assert len(classes.classes.counts) == 1
    assert classes.takes_weights
    assert classes.in_batches


def test_fits_are_joined_and_written_into_places():
    nothing = ManyFits.nothing(3, 2, 1)
    model = design("unbalanced")
    some = many(model).fit(responses_of(model, 2))
    nothing = ManyFits.nothing(3, 3, 1)
    nothing.put(np.array([2, 0]), some)
    assert np.isnan(nothing.llf[1])
    assert nothing.llf[2] == some.llf[0]
    joined = ManyFits.join([nothing, some])
    np.testing.assert_array_equal(joined.take([3, 4]).params, some.params)
