"""Every public name of a fit of sums works as with rows, or says what needs them."""

import pickle

import matplotlib
import numpy as np
import pandas as pd
import pytest
from summed_models import sample, summed

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.comparison.likelihood_ratio import compare_models
from statsmodels_lmm.reporting.comparison_table import compare_table
from statsmodels_lmm.reporting.criteria_table import compare_criteria
from statsmodels_lmm.reporting.prose import report
from statsmodels_lmm.results.saving import from_json

matplotlib.use("Agg")

DATA = sample()
FORMULA = "y ~ center(x) * f + (x | h) + (1 | g)"
NEW = sample(9, 15)
EVERYTHING = {"random_effects": True, "new_levels": "population"}

READ = """
aic bic bse bse_fe converged cov_re cov_type deviance_criterion df_method df_model
df_resid dropped fe_params identification inference is_singular llf method mle_retvals
model n_params nobs optimum out_of_range params pvalues random_effects
random_effects_cov reason reml residual_params residual_share scale singular theta
tvalues unbounded uninformative vcomp without_robust_error
""".split()
"""Attributes."""

CALLED = """
anova boundary_table coef_by_level conf_int cov_params cov_variance_parameters drop1
fixed_effect_tests glance icc joint_covariance joint_tests plot_coefficients
plot_profile plot_profile_density plot_profile_pairs plot_random_effects
plot_random_effects_correlation plot_random_effects_qq plot_variance_shares profile
r_squared random_effect_tests random_effects_table ranova re_pca repeatability
residual_table summary summary2 tidy to_json variance_components variance_parameters vif
wald_test_terms
""".split()
"""Methods that need no arguments."""

WORKING = {
    "compare_lr_test": lambda r: r.compare_lr_test(r.drop_fixed("center(x):f")),
    "derive": lambda r: r.derive("sigma ** 2"),
    "drop_fixed": lambda r: r.drop_fixed("center(x):f").params,
    "drop_random": lambda r: r.drop_random("h", "x").theta,
    "f_test": lambda r: r.f_test("center(x) = 0").fvalue,
    "get_prediction": lambda r: r.get_prediction(NEW, **EVERYTHING).summary_frame(),
    "heritability": lambda r: r.heritability("g", basis="standard"),
    "marginal_means": lambda r: r.marginal_means("f").frame,
    "marginal_slopes": lambda r: r.marginal_slopes("x", by="f").frame,
    "plot_effects": lambda r: r.plot_effects("x", by="f", data=False),
    "predict": lambda r: r.predict(NEW, **EVERYTHING),
    "save": lambda r: r.save("/dev/null"),
    "simulate": lambda r: r.simulate(2, rng=1, exog=NEW),
    "standardized": lambda r: r.standardized(method="basic"),
    "t_test": lambda r: r.t_test("center(x) = 0").tvalue,
    "t_test_pairwise": lambda r: r.t_test_pairwise("f").result_frame,
    "wald_test": lambda r: r.wald_test("center(x) = 0", scalar=True).statistic,
    "with_df_method": lambda r: r.with_df_method("kenward-roger").conf_int(),
    "remove_data": lambda r: r.remove_data(),
}
"""Methods with arguments, or that change the fit."""

ROWS = {
    "augment": lambda r: r.augment(),
    "bootstrap": lambda r: r.bootstrap(nsim=2, rng=0),
    "exact_lr_test": lambda r: r.exact_lr_test(),
    "fittedvalues": lambda r: r.fittedvalues,
    "get_influence": lambda r: r.get_influence(),
    "plot_autocorrelation": lambda r: r.plot_autocorrelation(),
    "plot_binned_residuals": lambda r: r.plot_binned_residuals(),
    "plot_diagnostics": lambda r: r.plot_diagnostics(),
    "plot_groups": lambda r: r.plot_groups(),
    "plot_influence": lambda r: r.plot_influence(),
    "plot_residuals": lambda r: r.plot_residuals(),
    "plot_residuals_qq": lambda r: r.plot_residuals_qq(),
    "plot_scale_location": lambda r: r.plot_scale_location(),
    "plot_shrinkage": lambda r: r.plot_shrinkage(),
    "plot_simulated_residuals": lambda r: r.plot_simulated_residuals(),
    "power": lambda r: r.power("center(x)"),
    "power_curve": lambda r: r.power_curve("center(x)", [100, 200]),
    "refit": lambda r: r.refit(DATA["y"]),
    "resid": lambda r: r.resid,
    "resid_normalized": lambda r: r.resid_normalized,
    "resid_pearson": lambda r: r.resid_pearson,
    "simulated_residuals": lambda r: r.simulated_residuals(),
    "with_cov_type": lambda r: r.with_cov_type("cluster", "g"),
}
"""What needs the rows."""

ELSEWHERE = ["monte_carlo", "sample_residuals", "selection"]
"""What other tests try: those of engines, of batches and of penalized fits."""

OTHERWISE = ["plot_variogram", "residual_covariance"]
"""What is for correlated errors, which a model of sums cannot have."""

FURTHER_ROWS = {
    "predict": lambda r: r.predict(),
    "simulate": lambda r: r.simulate(rng=0),
    "standardized": lambda r: r.standardized(method="refit"),
    "get_prediction": lambda r: r.get_prediction(),
    "drop_random": lambda r: r.drop_random("h").drop_random("g"),
    "marginal_means": lambda r: r.marginal_means("f", weights="proportional"),
    "compare_lr_test": lambda r: r.compare_lr_test(
        r.drop_random("h"), method="bootstrap", nsim=2
    ),
    "random_effect_tests": lambda r: r.random_effect_tests("bootstrap", nsim=2),
    "standardized by level": lambda r: r.standardized(method="pseudo", group="g"),
}
"""Other arguments with which methods that work need the rows."""


@pytest.fixture(scope="module", name="fits")
def both_fits():
    model = crossedmixedlm(FORMULA, DATA)
    return summed(model).fit(tol=0.0), model.fit(tol=0.0)


def test_no_public_name_is_forgotten(fits):
    raw = fits[0]._results
    public = {name for name in dir(raw) if not name.startswith("_")} - set(raw._hidden)
    known = [*READ, *CALLED, *WORKING, *ROWS, *OTHERWISE, *ELSEWHERE]
    assert len(known) == len(set(known))
    assert public == set(known)


def numbers(value):
    """The numbers of what a method returns, flat."""
    value = getattr(value, "frame", value)
    if isinstance(value, pd.DataFrame | pd.Series):
        table = pd.DataFrame(value).select_dtypes("number")
        return table.to_numpy(float).ravel()
    if isinstance(value, dict):
        parts = [numbers(each) for each in value.values()]
        return np.concatenate([np.zeros(0), *parts])
    if isinstance(value, tuple | list):
        return np.concatenate([np.zeros(0), *map(numbers, value)])
    if isinstance(value, np.ndarray | float | int):
        return np.ravel(np.asarray(value, dtype=float))
    return np.zeros(0)


def same(found, expected):
    one, other = numbers(found), numbers(expected)
    assert one.shape == other.shape
    finite = np.isfinite(other)
    size = max(1.0, np.abs(other[finite]).max(initial=0.0))
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-8 * size)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READ)
def test_attributes(fits, name):
    found, expected = (getattr(fit, name) for fit in fits)
    if name not in ("optimum", "mle_retvals"):
        same(found, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLED)
def test_methods_without_arguments(fits, name):
    found, expected = (getattr(fit, name)() for fit in fits)
    if name in ("summary", "summary2"):
        text, given = (str(each).partition("Local optimum")[0] for each in fits)
        assert text == given
    same(found, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [n for n in WORKING if n != "remove_data"])
def test_methods_with_arguments(fits, name):
    found, expected = (WORKING[name](fit) for fit in fits)
    same(found, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ROWS)
def test_what_needs_the_rows_says_so(fits, name):
    with pytest.raises(DataError) as error:
        ROWS[name](fits[0])
    text = str(error.value)
    assert "summed in batches and not kept" in text
    assert "result.predict(source)" in text
    assert "result.augment(source)" in text
    assert "result.sample_residuals(source)" in text
    assert "; residuals needs" not in text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FURTHER_ROWS)
def test_further_calls_that_need_the_rows_say_so(fits, name):
    with pytest.raises(DataError, match=r"summed in batches and not kept.*source"):
        FURTHER_ROWS[name](fits[0])


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_for_correlated_errors(fits, name):
    with pytest.raises(DataError):
        getattr(fits[0], name)()


def test_removed_data_leave_the_sums():
    result = summed(crossedmixedlm(FORMULA, DATA)).fit()
    result.remove_data()
    assert result.model.fit().llf == result.llf
    assert result.icc().notna().all(axis=None)


OTHER_MODELS = {
    "weights": ("y ~ x * f + z + (x | h) + (1 | g)", {"weights": "w"}),
    "no constant": ("y ~ 0 + f + x:f + z + (1 | g) + (1 | h)", {}),
    "sum coding": ("y ~ C(f, Sum) * x * z + (1 | g)", {"weights": "w"}),
    "polynomial": ("y ~ poly(x, 2) * f + (1 | g)", {}),
    "offset": ("y ~ x + f + offset(z) + (1 | g)", {"offset": "o"}),
    "redundant": ("y ~ x + z + dup + f + (1 | g)", {}),
    "singular": ("z ~ x * f + (x | h) + (1 | g)", {}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHER_MODELS)
def test_inference_in_other_models(name):
    formula, options = OTHER_MODELS[name]
    model = crossedmixedlm(formula, DATA, **options)
    found, expected = summed(model).fit(tol=0.0), model.fit(tol=0.0)
    weighted = "weights" in options
    for call in (
        # hypotheses of type 1 and 2 are about averages over the rows
        lambda r: [r.anova(type=t) for t in (1, 2, 3)],
        lambda r: r.anova(type=3, df_method="kenward-roger"),
        lambda r: r.marginal_means("f").frame,
        lambda r: (r.r_squared(), r.icc()),
        lambda r: r.variance_parameters(),
        lambda r: r.vcomp,
        lambda r: r.random_effects_table(),
    ):
        same(call(found), call(expected))
    if not weighted and name != "offset":
        same(found.standardized("basic"), expected.standardized("basic"))
    assert found.identification.messages == expected.identification.messages


def test_shares_of_sums_with_weights_alone():
    model = summed(crossedmixedlm("y ~ x + (1 | g)", DATA, weights="w"))
    object.__setattr__(model.summed, "plain", None)
    with pytest.raises(DataError, match="without their prior weights"):
        model.fit().icc()


def test_records_of_sums_with_weights():
    model = summed(crossedmixedlm("y ~ x + (1 | g)", DATA, weights="w"))
    with pytest.raises(DataError, match="number of records"):
        model.fit().heritability("g", basis="standard")


def test_the_spread_of_a_response_with_offset():
    result = summed(crossedmixedlm("y ~ x + offset(z) + (1 | g)", DATA)).fit()
    with pytest.raises(DataError, match="spread of the response"):
        result.standardized(method="basic")


def test_unknown_numeric_columns():
    model = summed(crossedmixedlm("y ~ x * f + (1 | g)", DATA))
    model.data.numeric = {}
    result = model.fit()
    with pytest.raises(DataError, match=r"give at=\{'x': ...\}"):
        result.marginal_means("f")
    assert result.marginal_means("f", at={"x": 3.0}).frame.shape[0] == 3
    expected = crossedmixedlm("y ~ x * f + (1 | g)", DATA).fit()
    at = {"x": 3.0}
    found = result.marginal_slopes("x", by="f", at=at).frame
    same(found, expected.marginal_slopes("x", by="f", at=at).frame)


def test_saving(fits):
    found, expected = (from_json(fit.to_json()) for fit in fits)
    same(found.predict(NEW, **EVERYTHING), expected.predict(NEW, **EVERYTHING))
    result = pickle.loads(pickle.dumps(fits[0]))
    same(result.anova(), fits[1].anova())
    same(result.marginal_means("f").frame, fits[1].marginal_means("f").frame)


@pytest.mark.filterwarnings("ignore")
def test_reports(fits):
    found, expected = map(report, fits)
    assert str(found) == str(expected)
    found, expected = (compare_table(fit) for fit in fits)
    assert str(found) == str(expected)


def pair(first, second, reml=True, **options):
    models = [crossedmixedlm(f, DATA, **options) for f in (first, second)]
    return [summed(m).fit(reml) for m in models], [m.fit(reml) for m in models]


@pytest.mark.filterwarnings("ignore:refitted by maximum likelihood")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("y ~ x + (1 | g)", "y ~ x + (1 | g) + (x | h)"),
        ("y ~ x + (x || h)", "y ~ x + (x | h)"),
        ("y ~ x + (1 | g)", "y ~ x * f + (1 | g)"),
        ("y ~ far + (1 | g)", "y ~ z + far + (1 | g)"),
    ],
)
def test_likelihood_ratios(first, second):
    found, expected = pair(first, second)
    same(compare_models(*found), compare_models(*expected))
    same(compare_models(found[0], expected[1]), compare_models(*expected))
    same(compare_models(expected[0], found[1]), compare_models(*expected))
    found, expected = pair(first, second, reml=False)
    same(compare_criteria(*found), compare_criteria(*expected))


def test_other_data_are_told():
    (_, second), _ = pair("y ~ x + (1 | g)", "y ~ x + z + (1 | g)")
    fewer = summed(crossedmixedlm("y ~ x + (1 | g)", DATA.iloc[:-3])).fit()
    with pytest.raises(DataError, match="300 and 297 rows"):
        second.compare_lr_test(fewer)
    weighted = summed(crossedmixedlm("y ~ x + (1 | g)", DATA, weights="w")).fit()
    with pytest.raises(DataError, match="different weights"):
        second.compare_lr_test(weighted)
    moved = DATA.assign(y=DATA["y"].sample(frac=1.0, random_state=1).to_numpy() + 1e-5)
    other = summed(crossedmixedlm("y ~ x + (1 | g)", moved)).fit()
    with pytest.raises(DataError, match="different responses"):
        second.compare_lr_test(other)
    with pytest.raises(DataError, match=r"f\[T.b\], f\[T.c\] of the restricted"):
        second.compare_lr_test(summed(crossedmixedlm("y ~ f + (1 | g)", DATA)).fit())
    shifted = DATA.assign(x=DATA["x"].to_numpy()[::-1])
    other = summed(crossedmixedlm("y ~ x + (1 | g)", shifted)).fit()
    with pytest.raises(DataError, match="x of the restricted"):
        second.compare_lr_test(other)
    slopes = summed(crossedmixedlm("y ~ x + (x | g)", DATA)).fit()
    with pytest.raises(DataError, match=r"the random effects \(Intercept, x \| g\)"):
        second.compare_lr_test(slopes)


def test_every_plot_is_a_picture_or_names_the_way(fits):
    plots = [name for name in dir(fits[0]._results) if name.startswith("plot_")]
    tried = {*CALLED, *WORKING, *ROWS, *OTHERWISE}
    assert set(plots) <= tried
    for name in plots:
        if name in ROWS:
            with pytest.raises(DataError, match=r"sample_residuals\(source\)"):
                ROWS[name](fits[0])
