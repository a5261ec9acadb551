"""Pictures of generalized models against what they should show."""

import pickle

import numpy as np
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted
from numpy.testing import assert_allclose
from samples import load

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

from statsmodels_lmm.exceptions import DataError, DataWarning  # noqa: E402
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm  # noqa: E402
from statsmodels_lmm.graphics.binned_residuals import plot_binned_residuals  # noqa: E402
from statsmodels_lmm.graphics.shrinkage import group_estimates  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(ax):
    """The points and lines, in the order in which they were drawn."""
    return [line.get_xydata() for line in ax.lines]


# binned residuals --------------------------------------------------------------------


def test_averages_of_zeros_and_ones_in_bins():
    fit = fitted("binary")
    (ax,) = plot_binned_residuals(fit, "Days", n_bins=5).axes
    _, lower, upper, points = drawn(ax)
    days, mu = fit.model.data.frame["Days"].to_numpy(), fit.fittedvalues
    for k in range(5):
        rows = (days == 2 * k) | (days == 2 * k + 1)
        assert_allclose(points[k], [2 * k + 0.5, (fit.model.endog - mu)[rows].mean()])
        reach = 2.0 * np.sqrt((mu * (1.0 - mu))[rows].sum()) / rows.sum()
        assert_allclose([upper[k, 1], -lower[k, 1]], reach)
    assert len(points) == 5
    assert ax.get_xlabel() == "Days"


def test_trials_count_and_rows_with_one_prediction_share_a_bin():
    fit = fitted("binomial")
    (ax,) = fit.plot_binned_residuals().axes
    _, _, upper, points = drawn(ax)
    data = cbpp().assign(mu=fit.fittedvalues)
    predicted = np.sort(fit.predict(data.drop_duplicates("period")))
    assert_allclose(points[:, 0], predicted)
    size, mu = data["size"], data["mu"]
    parts = data.assign(rest=data["incidence"] - size * mu, v=size * mu * (1 - mu))
    sums = parts.groupby("period")[["rest", "v", "size"]].sum()[::-1]
    assert_allclose(points[:, 1], sums["rest"] / sums["size"])
    assert_allclose(upper[:, 1], 2.0 * np.sqrt(sums["v"]) / sums["size"])


def test_bins_of_a_linear_model_and_of_given_values():
    data, weights = load("sleepstudy"), 1.0 + np.arange(180) % 3
    formula = "Reaction ~ Days + (1|Subject)"
    fit = crossedmixedlm(formula, data, weights=weights).fit()
    (ax,) = fit.plot_binned_residuals(x=np.arange(180), n_bins=2).axes
    _, _, upper, points = drawn(ax)
    expected = (
        (fit.model.endog - np.asarray(fit.fittedvalues)).reshape(2, 90).mean(axis=1)
    )
    assert_allclose(points, np.column_stack([[44.5, 134.5], expected]))
    spread = (fit.scale / weights).reshape(2, 90).sum(axis=1)
    assert_allclose(upper[:, 1], 2.0 * np.sqrt(spread) / 90)


def test_rows_that_stand_for_several():
    data = load("sleepstudy")
    data["slow"], repeats = (data["Reaction"] > 300) * 1.0, 1 + np.arange(180) % 2
    formula = "slow ~ Days + (1|Subject)"
    fit = crossedmixedglm(formula, data, freq_weights=repeats).fit(nagq=0)
    rows = data.loc[data.index.repeat(repeats)].reset_index(drop=True)
    written = crossedmixedglm(formula, rows).fit(nagq=0)
    edges = {"n_bins": 180}  # a bin for each day
    found, expected = (
        drawn(f.plot_binned_residuals("Days", **edges).axes[0]) for f in (fit, written)
    )
    assert_allclose(found[2], expected[2], rtol=1e-6)
    assert_allclose(found[3], expected[3], atol=1e-6)


def test_bins_that_cannot_be_formed():
    fit = fitted("binary")
    with pytest.raises(ValueError, match="n_bins must be at least 2"):
        fit.plot_binned_residuals(n_bins=1)
    with pytest.raises(ValueError, match="no column 'day'; there are slow, Days"):
        fit.plot_binned_residuals("day")
    with pytest.raises(ValueError, match="2 values but the model 180 rows"):
        fit.plot_binned_residuals([1.0, 2.0])
    with pytest.raises(ValueError, match="period is not numeric"):
        fitted("binomial").plot_binned_residuals("period")


def test_residuals_stand_against_the_linear_predictor():
    fit = fitted("poisson")
    for plot in (fit.plot_residuals, fit.plot_scale_location):
        (ax,) = plot().axes
        places = ax.collections[0].get_offsets()[:, 0]
        assert_allclose(places, fit.linear_predictor)
        assert ax.get_xlabel() == "linear predictor of incidence"
    with pytest.raises(ValueError, match="zeros and ones is a function of the mean"):
        fitted("binary").plot_scale_location()
    bare = pickle.loads(pickle.dumps(fitted("binary")))
    bare.remove_data()
    with pytest.raises(DataError, match="the data of the model were removed"):
        bare.plot_scale_location()


def test_infinite_coefficients_are_no_points():
    data = cbpp()
    data["ill"] = np.where(data["period"] == "1", 1.0, data["incidence"] > 0)
    formula = "ill ~ period + size + (1|herd)"
    separated = crossedmixedglm(formula, data, family="binomial")
    with pytest.warns(DataWarning, match="infinite"):
        fit = separated.fit()
    (ax,) = fit.plot_coefficients().axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["size"]
    lost = "not estimated: Intercept, period[T.2], period[T.3], period[T.4]"
    assert ax.get_xlabel().endswith(lost)


# shrinkage ---------------------------------------------------------------------------


def test_a_group_alone_is_a_fit_of_its_rows():
    """By statsmodels' GLM; a herd without a case has no finite estimate."""
    fit, data = fitted("poisson"), cbpp()
    population, alone, model = group_estimates(fit, 0)
    assert_allclose(population, fit.params["Intercept"])
    assert_allclose(model, population + fit.random_effects["herd"])
    offset = fit.model._offset + fit.model.exog[:, 1:] @ fit.params[1:]
    for level, value in zip(fit.model.random[0].levels, alone[:, 0]):
        rows = (data["herd"] == level).to_numpy()
        if not data["incidence"][rows].any():
            assert np.isnan(value)
            continue
        family = sm.families.Poisson()
        own = sm.GLM(
            data["incidence"][rows],
            np.ones(rows.sum()),
            offset=offset[rows],
            family=family,
        ).fit(tol=1e-12)
        assert_allclose(value, own.params.iloc[0], rtol=1e-8)


def test_a_group_without_a_case_is_left_out():
    data = cbpp()
    data.loc[data["herd"] == "2", "incidence"] = 0
    fit = crossedmixedglm(
        "incidence ~ period + (1|herd)", data, family="poisson", exposure="size"
    ).fit(nagq=0)
    alone = group_estimates(fit, 0)[1][:, 0]
    assert list(fit.model.random[0].levels[np.isnan(alone)]) == ["2"]
    assert "left out: 1 of 15 levels" in fit.plot_shrinkage().axes[0].get_title()


def test_two_effects_of_a_group_alone():
    data = load("sleepstudy")
    family = sm.families.Gamma(sm.families.links.Log())
    fit = crossedmixedglm("Reaction ~ Days + (Days|Subject)", data, family=family).fit()
    population, alone, _ = group_estimates(fit, 0)
    assert_allclose(population, fit.params)
    for level in (0, 5):
        rows = fit.model.random[0].grouped.codes == level
        own = sm.GLM(data["Reaction"][rows], fit.model.exog[rows], family=family)
        assert_allclose(alone[level], own.fit(tol=1e-12).params, rtol=1e-5)


# effects and coefficients ------------------------------------------------------------


def test_observed_proportions_of_zeros_and_ones():
    data = load("sleepstudy")
    data["slow"], data["late"] = (data["Reaction"] > 300) * 1.0, data["Days"] > 4
    fit = crossedmixedglm("slow ~ late * Days + (1|Subject)", data).fit(nagq=0)
    (ax,) = fit.plot_effects("late").axes
    points = next(line for line in ax.lines if line.get_markerfacecolor() == "none")
    expected = data.groupby("late")["slow"].mean()
    assert_allclose(points.get_xydata(), np.column_stack([[0, 1], expected]))
    assert "Circles: observed proportions." in ax.get_title()
    (ax,) = fit.plot_effects("Days").axes
    points = next(line for line in ax.lines if line.get_markerfacecolor() == "none")
    expected = data.groupby("Days")["slow"].mean()
    assert_allclose(points.get_xydata(), expected.reset_index())


def test_areas_of_proportions_and_means_of_the_population():
    fit = fitted("binomial")
    (ax,) = fit.plot_effects("period", random_effects="average").axes
    areas = ax.collections[0].get_sizes()
    assert_allclose(areas / areas[0], cbpp()["size"] / cbpp()["size"][0])
    assert "Averaged over the random effects." in ax.get_title()
    means = fit.marginal_means("period", random_effects="average").frame["mean"]
    assert any(len(p) == 4 and np.allclose(p[:, 1], means) for p in drawn(ax))


def test_linear_predictors_stand_without_data():
    fit = fitted("poisson")
    (ax,) = fit.plot_effects("period", which="linear").axes
    (points,) = (p for p in drawn(ax) if len(p) == 4)
    means = fit.marginal_means("period", which="linear").frame["mean"]
    assert_allclose(points[:, 1], means)
    assert ax.get_ylabel().startswith("incidence\nlinear predictor\n")


def test_coefficients_as_ratios():
    fit = fitted("poisson")
    (ax,) = fit.plot_coefficients(exponentiate=True).axes
    reference, points = drawn(ax)
    assert_allclose(reference[:, 0], 1.0)
    assert_allclose(points[:, 0], np.exp(fit.params[1:]))
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "rate ratio and 95% interval"
    with pytest.raises(ValueError, match="would mix odds ratio and rate ratio"):
        fit.plot_coefficients(fitted("binomial"), exponentiate=True)
