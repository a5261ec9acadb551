"""Cluster-robust covariances as users ask for them, and all that reads them."""

import copy
import functools
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from samples import N, load, quiet, sample
from scipy import stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm
from statsmodels_lmm.results.saving import from_json

REFERENCE = Path(__file__).parents[2] / "reference" / "clubsandwich.json"
NESTED = "y ~ x + f + (x | g) + (1 | m)"
NAMES = ["Intercept", "f[T.b]", "f[T.c]", "x"]


@functools.cache
def fit(formula=NESTED):
    return quiet(formula)


@functools.cache
def robust(cov_type="CR2", groups="g", formula=NESTED):
    return fit(formula).with_cov_type(cov_type, groups)


@functools.cache
def counts():
    """A Poisson model whose random effects vary."""
    data = sample()
    rng = np.random.default_rng(3)
    of_g, of_m = rng.standard_normal(10), rng.standard_normal(40)
    eta = 0.2 * data["x"] + 0.7 * of_g[data["g"].str[1:].astype(int)]
    data["y"] = rng.poisson(np.exp(eta + of_m[data["m"]]))
    return data


@functools.cache
def generalized(formula="y ~ x + (1 | g) + (1 | m)", **options):
    return crossedmixedglm(formula, counts(), family="poisson").fit(**options)


# against other programs --------------------------------------------------------------


@functools.cache
def reference_fit(name):
    data = load(name)
    row = np.arange(1, len(data) + 1)
    formula = {
        "sleepstudy": "Reaction ~ Days + I(Days**2) + (Days | Subject)",
        "oats": "yield ~ nitro + Variety + (1 | Block/Variety)",
    }[name]
    return quiet(formula, data[(row % 7 != 3) & (row > 5)])


@pytest.mark.parametrize("cov_type", ["CR0", "CR1", "cluster", "CR2"])
@pytest.mark.parametrize("name", ["sleepstudy", "oats"])
def test_against_clubsandwich(name, cov_type):
    other = {"cluster": "CR1S"}.get(cov_type, cov_type)
    expected = json.loads(REFERENCE.read_text())[name][other]
    groups = {"sleepstudy": "Subject", "oats": "Block"}[name]
    found = reference_fit(name).with_cov_type(cov_type, groups)
    order = list(range(len(found.params)))
    if name == "oats":  # nitro comes last here
        order = [0, 3, 1, 2]
    # lme4's search ends about 1e-7 from ours
    close = {"rtol": 1e-6}
    assert_allclose(found.bse.iloc[order], expected["se"], **close)
    small = found.with_df_method("satterthwaite")
    assert_allclose(small.df_resid_inference[order], expected["df"], **close)
    assert_allclose(small.pvalues.iloc[order], expected["p"], rtol=1e-5)
    every = np.eye(len(order))[1:]
    test = small.f_test(every)
    assert_allclose(test.fvalue, expected["F"], **close)
    assert_allclose(test.df_denom, expected["df_denom"], **close)
    naive = small.f_test(every, df_method="residual")
    assert_allclose(naive.fvalue, expected["naive_F"], **close)
    clusters = {"sleepstudy": 18, "oats": 6}[name]
    assert naive.df_denom == clusters - 1
    if cov_type != "CR2":
        assert found.f_test(every).df_denom == clusters - 1


@functools.cache
def without_random_effects():
    """Data in which the groups do not differ, so that their variance is zero."""
    data = sample()
    rng = np.random.default_rng(2)
    data["y"] = data["x"] + rng.standard_normal(N)
    return data


@pytest.mark.parametrize("correction", [True, False])
def test_least_squares_if_nothing_varies(correction):
    """statsmodels' cluster covariance, where the variance is estimated as zero."""
    data = without_random_effects()
    kwds = {"groups": data["g"], "use_correction": correction}
    found = crossedmixedlm("y ~ x + f + (1 | g)", data).fit(
        cov_type="cluster", cov_kwds=kwds, df_method="residual"
    )
    assert found.theta.iloc[0] == 0.0
    assert found.cov_type == ("cluster" if correction else "CR0")
    groups = data["g"].str[1:].astype(int)
    ols = sm.OLS.from_formula("y ~ x + f", data).fit(
        cov_type="cluster", cov_kwds=kwds | {"groups": groups}, use_t=True
    )
    for name in ("bse", "tvalues", "pvalues"):
        assert_allclose(getattr(found, name), getattr(ols, name), rtol=1e-9)
    assert_allclose(found.conf_int(), ols.conf_int())
    ours, theirs = (r.f_test("x = 0.5, f[T.b] = 0") for r in (found, ols))
    assert_allclose(ours.fvalue, theirs.fvalue)
    assert_allclose(ours.df_denom, theirs.df_denom)


def test_generalized_least_squares_if_nothing_varies():
    data = without_random_effects()
    data["y"] = np.tile([2, 0, 5, 1, 3, 2], N // 6)
    data["six"] = np.arange(N) // 6  # the same in all of them
    kwds = {"groups": "six"}
    found = crossedmixedglm("y ~ x + (1 | six)", data, family="poisson").fit(
        cov_type="cluster", cov_kwds=kwds
    )
    assert found.theta.iloc[0] == 0.0
    groups = data["six"]
    glm = sm.GLM.from_formula("y ~ x", data, family=sm.families.Poisson()).fit(
        tol=1e-14, cov_type="cluster", cov_kwds={"groups": groups}
    )
    assert_allclose(found.bse, glm.bse, rtol=1e-6)


def test_generalized_from_the_scores_of_clusters():
    """A cluster's score is that of all rows minus that of the others."""
    found, data = generalized(), counts()
    pairs = data["g"].str[1:].astype(int) // 2
    params, scores = np.append(found.params, found.theta), []
    for pair in range(5):
        others = data[pairs != pair]
        rest = crossedmixedglm("y ~ x + (1 | g) + (1 | m)", others, family="poisson")
        scores.append(found.model.score(params) - rest.score(params))
    bread = np.linalg.inv(found.model.information(params))
    expected = bread @ np.transpose(scores) @ scores @ bread
    assert found.theta.min() > 0.1
    for cov_type, factor in (("CR0", 1.0), ("CR1", 5 / 4)):
        robust = found.with_cov_type(cov_type, pairs)
        assert_allclose(robust.cov_params(), factor * expected[:2, :2], rtol=1e-6)


# what reads them ---------------------------------------------------------------------


def test_everything_reads_it():
    found, plain = robust(), fit()
    assert found.cov_type == "CR2"
    assert plain.cov_type == "nonrobust"
    errors, df = found.bse, found.df_resid_inference
    assert (np.abs(errors / plain.bse - 1.0) > 1e-3).all()
    assert_allclose(found.params, plain.params)
    row = np.array([1.0, 0.5, -0.5, 2.0])
    one = found.t_test(row)
    assert_allclose(one.sd**2, row @ found.cov_params() @ row)
    expected = 2.0 * stats.t.sf(np.abs(one.tvalue), one.df_denom)
    assert_allclose(one.pvalue, expected)
    reach = stats.t.isf(0.025, df) * errors
    assert_allclose(found.conf_int()[1], found.params + reach)
    table = found.tidy("fixed", conf_int=True)
    assert_allclose(table[["std_error", "df"]], np.column_stack([errors, df]))
    assert_allclose(table["conf_high"], found.params + reach)
    joint = found.f_test("f[T.b], f[T.c]")
    terms = found.anova()
    assert_allclose(terms.loc["f", "F"], joint.fvalue)
    assert_allclose(terms.loc["f", "df_denom"], joint.df_denom)
    wald = found.wald_test("x", df_method="asymptotic")
    assert_allclose(wald.statistic, (found.params["x"] / errors["x"]) ** 2)
    new = sample().head(3)
    rows = plain.model.exog[:3]
    expected = np.sqrt(np.einsum("ij,jk,ik->i", rows, found.cov_params(), rows))
    assert_allclose(found.get_prediction(new).se, expected)
    means = found.marginal_means("f").frame
    at = np.tile([1.0, 0.0, 0.0, sample()["x"].mean()], (3, 1))
    at[[1, 2], [1, 2]] = 1.0
    expected = np.sqrt(np.einsum("ij,jk,ik->i", at, found.cov_params(), at))
    assert_allclose(means["std err"], expected)
    assert "Cluster-robust standard errors: CR2, 10 clusters of g." in str(
        found.summary()
    )
    # the model's own
    for name in ("llf", "theta", "aic"):
        assert np.all(getattr(found, name) == getattr(plain, name))


def test_degrees_of_freedom():
    assert robust().df_method == "satterthwaite"
    assert robust().use_t
    first = robust("CR1")
    assert first.df_method == "asymptotic"
    assert not first.use_t
    residual = first.with_df_method("residual")
    assert residual.df_resid_inference == 9.0
    assert "Degrees of freedom: residual, 9." in str(residual.summary())
    assert_allclose(residual.bse, first.bse)
    small = first.with_df_method("satterthwaite")
    assert (small.df_resid_inference < 9.5).all()
    with pytest.raises(ValueError, match="use df_method='satterthwaite'"):
        first.with_df_method("kenward-roger")


def test_back_to_the_model():
    again = robust().with_cov_type("nonrobust")
    assert_allclose(again.bse, fit().bse)
    assert again.df_method == "asymptotic"
    assert not again.use_t
    assert not again.cov_kwds
    kept = fit().with_df_method("residual").with_cov_type("nonrobust")
    assert kept.df_method == "residual"


def test_travels():
    found = robust("CR1")
    assert_allclose(pickle.loads(pickle.dumps(found)).bse, found.bse)
    assert_allclose(copy.deepcopy(found).bse, found.bse)
    light = from_json(found.to_json())
    assert light.cov_type == "CR1"
    assert_allclose(light.bse, found.bse)
    before = json.loads(fit().to_json())
    del before["cov_type"]
    assert from_json(json.dumps(before | {"version": 3})).cov_type == ""
    other = copy.deepcopy(found)
    other.remove_data()
    assert_allclose(other.bse, found.bse)
    assert other._results._robust.codes is None
    assert other._results._cov_kwds == {}


def test_refits_keep_it():
    pairs = sample()["g"].str[1:].astype(int) // 2
    found = fit().with_cov_type("CR2", pairs)
    again = found.refit(found.model.endog + 1.0)
    assert again.cov_type == "CR2"
    assert again.df_method == "satterthwaite"
    assert_allclose(again.bse, found.bse, rtol=1e-6)
    residual = found.with_df_method("residual").refit(found.model.endog)
    assert residual.df_method == "residual"
    counted = generalized().with_cov_type("CR1", "g")
    again = counted.refit(counted.model.endog)
    assert_allclose(again.bse, counted.bse, rtol=1e-6)


def test_generalized_results_read_it():
    found = generalized().with_cov_type("CR1", "g")
    assert "CR1, 10 clusters of g" in str(found.summary())
    assert_allclose(found.tidy("fixed")["std_error"], found.bse)
    assert_allclose(found.t_test("x").sd, found.bse["x"])
    assert_allclose(found.with_cov_type("hessian").bse, generalized().bse)
    by_rx = generalized().with_cov_type("rx")
    assert_allclose(by_rx.with_cov_type("CR1", "g").bse, found.bse)
    asked = generalized(cov_type="CR1", cov_kwds=Groups({"groups": "g"}))
    assert_allclose(asked.bse, found.bse)


class Groups(dict):
    """A dict for a cached function."""

    def __hash__(self):
        return hash(tuple(self.items()))


def test_statsmodels_mixedlm():
    found = mixedlm("y ~ x", sample(), groups="g").fit(
        cov_type="CR1", cov_kwds={"groups": "g"}
    )
    same = quiet("y ~ x + (1 | g)").with_cov_type("CR1", "g")
    assert_allclose(found.bse_fe, same.bse, rtol=1e-6)
    assert "CR1, 10 clusters of g" in str(found.summary())


# clusters ----------------------------------------------------------------------------


def test_clusters_by_name_and_value():
    data, expected = sample(), robust("CR1").bse
    for groups in (
        data["g"].to_numpy(),
        data["g"].sample(frac=1.0, random_state=1),
        data["g"].astype("category"),
    ):
        assert_allclose(fit().with_cov_type("CR1", groups).bse, expected)
    crossed = fit("y ~ x + (1 | g)")
    by_column = crossed.with_cov_type("CR1", "x")
    assert_allclose(by_column.bse, crossed.with_cov_type("CR1", data["x"]).bse)
    assert "120 clusters of x" in by_column.cov_kwds["description"]


CROSSED = "y ~ x + f + (x | g) + (1 | h)"


@pytest.mark.parametrize(
    ("formula", "arguments", "error", "match"),
    [
        (
            CROSSED,
            ("CR2", "g"),
            DataError,
            "level .* of h is in clusters g. and g.: use",
        ),
        (NESTED, ("CR2", "f"), DataError, "CR2 needs clusters that contain"),
        (NESTED, ("CR1",), ValueError, "cov_type='CR1' needs groups, the clusters"),
        (NESTED, ("nonrobust", "g"), ValueError, "groups belong to a cluster-robust"),
        (NESTED, ("CR3", "g"), ValueError, "'CR2' or 'cluster', not 'CR3'"),
        (NESTED, ("CR1", "q"), ValueError, r"as groups=data\[...\]"),
        (NESTED, ("CR1", [1, 2]), DataError, r"groups have shape \(2,\)"),
        (NESTED, ("CR1", np.ones(N)), DataError, "groups have only one value"),
    ],
)
def test_errors(formula, arguments, error, match):
    with pytest.raises(error, match=match):
        fit(formula).with_cov_type(*arguments)


def test_arguments_of_fit():
    model = fit().model
    with pytest.raises(ValueError, match="have no 'df_correction'; a cluster-robust"):
        model.fit(cov_type="CR1", cov_kwds={"groups": "g", "df_correction": True})
    with pytest.raises(ValueError, match="cov_type must be 'nonrobust', 'CR0'"):
        model.fit(cov_type="HC1")


def test_crossed_random_effects():
    found = robust("CR0", "g", CROSSED)
    with pytest.raises(DataError, match="minus one"):
        found.with_df_method("satterthwaite")
    assert found.with_df_method("residual").df_resid_inference == 9.0
    # those whose variance is zero may cross
    data = sample()
    data["even"] = np.arange(N) % 2
    data["y"] -= data.groupby("even")["y"].transform("mean")
    nothing = quiet("y ~ x + (1 | g) + (1 | even)", data)
    assert nothing.vcomp["even"].iloc[0] == 0.0
    alone = quiet("y ~ x + (1 | g)", data).with_cov_type("CR2", "g")
    assert_allclose(nothing.with_cov_type("CR2", "g").bse, alone.bse, rtol=1e-6)


def test_related_levels_and_matrices():
    data = sample()
    names = sorted(set(data["g"]))
    kin = pd.DataFrame(0.5 * np.eye(10) + 0.5, names, names)
    rng = np.random.default_rng(4)
    z = rng.standard_normal((N, 8))
    data["y"] += z @ rng.standard_normal(8)
    related = quiet("y ~ x + (1 | g)", data, relationship={"g": kin})
    exog = np.column_stack([np.ones(N), data["x"]])
    matrix = CrossedMixedLM(data["y"], exog, random={"z": z}).fit()
    for found, match in ((related, "related by a known"), (matrix, "matrix of random")):
        with pytest.raises(DataError, match=match):
            found.with_cov_type("CR2", data["g"])
        # by the scores of the rows, X'V^-1 e
        v = np.eye(N) + found.theta.iloc[0] ** 2 * (
            z @ z.T if found is matrix else kin.loc[data["g"], data["g"]].to_numpy()
        )
        inverse = np.linalg.inv(v)
        params = np.asarray(found.params)
        rows = exog * (inverse @ (data["y"].to_numpy() - exog @ params))[:, None]
        scores = pd.DataFrame(rows).groupby(data["g"].to_numpy()).sum().to_numpy()
        bread = np.linalg.inv(exog.T @ inverse @ exog)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            robust = found.with_cov_type("CR0", data["g"])
        assert len(caught) == (found is related)
        expected = bread @ scores.T @ scores @ bread
        assert_allclose(robust.cov_params(), expected, rtol=1e-6)


@pytest.mark.parametrize("inverse", [False, True])
def test_relatives_in_several_clusters(inverse):
    """Families are independent clusters; their members are not, even if unseen."""
    data = sample()
    names = [*sorted(set(data["g"])), "unseen"]
    kin = np.eye(11)
    kin[:5, :5] += 0.5
    kin[[10, 10, 9, 8], [9, 8, 10, 10]] = 0.3
    kin = pd.DataFrame(kin, names, names)
    if inverse:
        kin.loc[:] = np.linalg.inv(kin)
    known = {"relationship_inverse" if inverse else "relationship": {"g": kin}}
    data["y"] += 3.0 * (data["g"] > names[4])
    fit = quiet("y ~ x + (1 | g)", data, **known)
    match = "levels of g in different clusters are related"
    for last in (8, 9):
        clusters = dict(zip(names, [0, 0, 0, 0, 0, 5, 6, 7, 8, last]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit.with_cov_type("CR1", data["g"].map(clusters))
        assert [match in str(w.message) for w in caught] == [True] * (last == 9)


def test_generalized_refusals():
    found = generalized()
    with pytest.raises(ValueError, match="use cov_type='CR1'"):
        found.with_cov_type("CR2", "g")
    with pytest.raises(DataError, match="choose larger clusters; there are none for"):
        found.with_cov_type("CR1", "m")
    with pytest.raises(ValueError, match="df_method='satterthwaite' is defined for"):
        found.with_cov_type("CR1", "g").with_df_method("satterthwaite")
    with pytest.raises(ValueError, match="fit with nagq=1"):
        generalized(nagq=0).with_cov_type("CR1", "g")
    with pytest.raises(ValueError, match="fit with nagq=1"):
        found.model.fit(nagq=2, cov_type="CR1", cov_kwds={"groups": "g"})


# what is not determined --------------------------------------------------------------


def test_what_a_single_cluster_determines():
    data = sample()
    data["own"] = (data["g"] == "g3") * 1.0
    plain = quiet("y ~ x + own + twice + (1 | g)", data)
    with pytest.warns(DataWarning, match="No robust standard error for own: a single"):
        found = plain.with_cov_type("CR2", "g")
    assert np.isnan(found.bse[["own", "twice"]]).all()
    assert np.isfinite(found.bse[["Intercept", "x"]]).all()
    assert found.without_robust_error == ["own"]
    assert not plain.without_robust_error
    assert np.isnan(found.cov_params().loc["own", "x"])
    assert np.isnan(found.t_test("own - Intercept").sd)
    assert np.isfinite(found.t_test("Intercept").sd)
    assert np.isnan(found.df_resid_inference[2])
    assert found.f_test("own, x").df_num == 1
    assert "No robust standard error for own" in str(found.summary())


def test_few_clusters():
    codes = sample()["g"].str[1:].astype(int) % 3
    found = fit().with_cov_type("CR2", codes.to_numpy())
    assert np.isfinite(found.bse).all()
    with pytest.warns(DataWarning, match="the clusters are too few for a joint test"):
        test = found.f_test("x, f[T.b], f[T.c]")
    assert np.isnan([test.fvalue, test.pvalue]).all()
    singular = fit().with_cov_type("CR1", codes.to_numpy())
    with pytest.warns(DataWarning, match="too few"):
        test = singular.wald_test("x, f[T.b], f[T.c]")
    assert np.isnan(test.statistic)


def test_infinite_coefficients():
    data = counts()
    data["none"] = np.where(data["k"] == "p", data["y"], 0)
    found = crossedmixedglm("none ~ k + (1 | g)", data, family="poisson").fit()
    robust = found.with_cov_type("CR1", "g")
    assert found.unbounded.sentences
    assert (np.isnan(robust.bse) == np.isnan(found.bse)).all()
    assert np.isfinite(robust.bse["Intercept"])


def test_one_row_clusters_and_weights():
    data = sample()
    weighted = quiet("y ~ x + (1 | g)", data, weights=data["w"])
    found = weighted.with_cov_type("CR1", "g")
    # by hand: V = W^-1 + s 1 1'
    exog, theta = weighted.model.exog, weighted.theta.iloc[0]
    residuals, meat = data["y"] - exog @ weighted.params.to_numpy(), 0.0
    for group in set(data["g"]):
        rows = (data["g"] == group).to_numpy()
        v = np.diag(1.0 / data["w"][rows]) + theta**2
        score = exog[rows].T @ np.linalg.solve(v, residuals[rows])
        meat = meat + np.outer(score, score)
    bread = weighted.cov_params().to_numpy() / weighted.scale
    assert_allclose(found.cov_params(), 10 / 9 * bread @ meat @ bread, rtol=1e-7)
    single = quiet("y ~ x + (1 | g)").with_cov_type("CR1", range(N))
    assert np.isfinite(single.bse).all()


def test_likelihood_ratios_do_not_use_it():
    found = robust()
    smaller = found.drop_fixed("x")
    with pytest.warns(DataWarning, match="does not use the cluster-robust"):
        test = found.compare_lr_test(smaller)
    with pytest.warns(DataWarning, match="does not use the cluster-robust"):
        table = found.drop1()
    plain = fit()
    expected = plain.compare_lr_test(plain.drop_fixed("x"))
    assert_allclose(test.pvalue, expected.pvalue, rtol=1e-8)
    assert_allclose(table.loc["x", "pvalue"], expected.pvalue, rtol=1e-8)
