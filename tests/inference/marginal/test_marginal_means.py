"""
Marginal means, their slopes and contrasts.

They are held against generalized least squares with rows of the design written out by
hand, against numbers of R's emmeans, and against what must not change them.
"""

import functools
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import quiet
from scipy import stats
from statsmodels.formula import options
from statsmodels.stats.multitest import multipletests

from statsmodels_lmm import CrossedMixedLM, datasets
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.marginal.contrast_sets import (
    contrast_set,
    level_labels,
    orthogonal_polynomials,
)
from statsmodels_lmm.inference.marginal.marginal_means import (
    marginal_means,
    marginal_slopes,
)
from statsmodels_lmm.inference.marginal.multiple_comparisons import critical_values

N = 120
F, K = ["c", "a", "b"], ["p", "q"]
PVALUE = 1e-12
"""Absolute accuracy of the distribution of the studentized range."""


@functools.cache
def sample():
    """Two unbalanced factors in no alphabetical order, covariates and two groupings."""
    rng = np.random.default_rng(33)
    f = rng.choice(F, N, p=[0.5, 0.3, 0.2])
    k = np.where(f == "c", rng.choice(K, N, p=[0.7, 0.3]), rng.choice(K, N))
    g, h = rng.permutation(np.arange(N) % 12), rng.permutation(np.arange(N) % 10)
    frame = pd.DataFrame({"f": pd.Categorical(f, F), "k": k, "g": g, "h": h})
    frame["x"], frame["z"] = rng.uniform(1.0, 5.0, N), rng.standard_normal(N) + 3.0
    frame["n"], frame["flag"] = np.arange(N) % 4, rng.random(N) < 0.3
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    y = np.log(frame["x"]) + (f == "a") * frame["x"] + 2.0 * (k == "q") * (f == "b")
    y += rng.standard_normal(12)[g] + 0.7 * rng.standard_normal(10)[h]
    frame["y"] = y + 0.8 * rng.standard_normal(N)
    frame.loc[[5, 40], "z"] = np.nan
    return frame


def fit(formula, data=None, reml=True, **options):
    return quiet(formula, sample() if data is None else data, reml, **options)


FULL = "y ~ f * k + f * np.log(x) + z"
MODELS = {
    "crossed": (f"{FULL} + (1 | g) + (1 | h)", {}),
    "ml": (f"{FULL} + (1 | g) + (1 | h)", {"reml": False}),
    "slopes": (f"{FULL} + (z || g)", {}),
    "weights": (f"{FULL} + (1 | g) + (1 | h)", {"weights": "w"}),
    "argument": (f"{FULL} + (1 | g)", {"offset": "o"}),
    "offset": (f"{FULL} + offset(np.log(x)) + (1 | g)", {}),
    "singular": (f"{FULL} + (1 | g) + (1 | n)", {}),
}


class Dense:
    """The same by generalized least squares, for FULL."""

    def __init__(self, name):
        formula, how = MODELS[name]
        self.result = fit(formula, **how)
        self.data = sample().dropna()
        d = self.data
        self.added = np.zeros(len(d))
        if name == "argument":
            self.added = d["o"].to_numpy()
        elif name == "offset":
            self.added = np.log(d["x"].to_numpy())
        self.name = name
        weights = d["w"] if name == "weights" else np.ones(len(d))
        v = self.result.scale * np.diag(1.0 / np.asarray(weights))
        cov = self.result.cov_re
        for effects in self.result.model.random:
            sigma = np.asarray(cov[effects.name])
            key = d[effects.name].to_numpy()
            columns = np.ones((len(d), 1))
            if len(sigma) == 2:
                columns = np.column_stack([columns, d["z"]])
            v += (columns @ sigma @ columns.T) * (key[:, None] == key)
        rows = zip(d["f"], d["k"], d["x"], d["z"])
        x = np.array([self.row(*r) for r in rows])
        self.x, inverse = x, np.linalg.inv(v)
        self.covariance = np.linalg.inv(x.T @ inverse @ x)
        self.beta = self.covariance @ x.T @ inverse @ (d["y"] - self.added)

    @staticmethod
    def row(f, k, x, z):
        a, b, q, lx = f == "a", f == "b", k == "q", np.log(x)
        return np.array([1, a, b, q, a * q, b * q, lx, a * lx, b * lx, z], dtype=float)

    def at_means(self, f, k, x=None):
        x = self.data["x"].mean() if x is None else x
        return self.row(f, k, x, self.data["z"].mean())

    def offset_at(self, x=None):
        if self.name == "offset":
            return np.log(self.data["x"].mean() if x is None else x)
        return self.added.mean()

    def check(self, found, rows, offset):
        rows = np.array(rows)
        assert_allclose(found.iloc[:, -5], rows @ self.beta + offset, rtol=1e-8)
        variances = np.einsum("ij,jk,ik->i", rows, self.covariance, rows)
        assert_allclose(found["std err"], np.sqrt(variances), rtol=1e-7)


@functools.cache
def dense(name):
    return Dense(name)


@pytest.fixture(params=MODELS)
def case(request):
    return dense(request.param)


# against generalized least squares -------------------------------------------


def test_means_of_one_factor(case):
    found = marginal_means(case.result, "f").frame
    rows = [np.mean([case.at_means(f, k) for k in K], axis=0) for f in F]
    assert list(found["f"]) == F
    case.check(found, rows, case.offset_at())


def test_means_of_two_factors_by_values_of_a_covariate(case):
    found = marginal_means(case.result, ["f", "k"], by="x", at={"x": [1, 2.5]}).frame
    order = [(f, k, x) for x in (1.0, 2.5) for k in K for f in F]
    assert list(found[["f", "k", "x"]].itertuples(index=False, name=None)) == order
    rows = [case.at_means(*o) for o in order]
    case.check(found, rows, [case.offset_at(x) for _, _, x in order])


def test_mean_over_all(case):
    found = marginal_means(case.result, at={"f": ["b", "a"]}).frame
    rows = [case.at_means(f, k) for f in "ab" for k in K]
    case.check(found, [np.mean(rows, axis=0)], case.offset_at())
    assert list(found) == ["mean", "std err", "df", "ci_lower", "ci_upper"]


def test_slopes(case):
    points = [1.5, 3.0]
    slopes = marginal_slopes(case.result, "x", "f", by="x", at={"x": points})
    # d log(x) / dx = 1 / x
    rows = []
    for x, f in itertools.product(points, F):
        row = (case.row(f, "p", np.e, 0.0) - case.row(f, "p", 1.0, 0.0)) / x
        rows.append(row)
    offset = np.repeat(1.0 / np.array(points), 3) * (case.name == "offset")
    assert_allclose(slopes.rows, rows, atol=1e-9)
    assert_allclose(slopes.offset, offset, atol=1e-9)
    assert_allclose(
        slopes.frame["slope"], rows @ case.beta + offset, rtol=1e-7, atol=1e-8
    )


def test_pairwise_differences(case):
    found = marginal_means(case.result, "f", by="k").contrasts(adjust="none").frame
    pairs = [(F[0], F[1]), (F[0], F[2]), (F[1], F[2])]
    rows = [case.at_means(a, k) - case.at_means(b, k) for k in K for a, b in pairs]
    estimates, errors = found["estimate"], found["std err"]
    assert_allclose(estimates, rows @ case.beta, rtol=1e-8)
    variances = np.einsum("ij,jk,ik->i", rows, case.covariance, rows)
    assert_allclose(errors, np.sqrt(variances), rtol=1e-7)
    assert_allclose(found["statistic"], estimates / errors)
    assert_allclose(found["pvalue"], 2 * stats.norm.sf(abs(estimates / errors)))
    assert_allclose(found["ci_upper"], estimates + stats.norm.isf(0.025) * errors)
    assert list(found["contrast"]) == [f"{a} - {b}" for a, b in pairs] * 2
    assert list(found["k"]) == ["p"] * 3 + ["q"] * 3


@pytest.mark.parametrize("weights", ["proportional", "outer", "cells"])
@pytest.mark.parametrize("name", ["crossed", "weights"])
def test_weights(name, weights):
    formula, how = MODELS[name]
    result = fit(formula.replace("z", "flag + z"), **how)
    data = sample().dropna()
    data["w"] = data["w"] if name == "weights" else 1.0
    found = marginal_means(result, "f", weights=weights, at={"z": 1.0})
    grid = marginal_means(result, ["f", "k", "flag"], at={"z": 1.0})
    total = data["w"].sum()
    for i, f in enumerate(F):
        shares = []
        for _, cell in grid.table.iterrows():
            k, flag = data["k"] == cell["k"], data["flag"] == cell["flag"]
            share = {
                "proportional": data["w"][k & flag].sum(),
                "outer": data["w"][k].sum() * data["w"][flag].sum() / total,
                "cells": data["w"][(data["f"] == f) & k & flag].sum(),
            }[weights]
            shares.append(share * (cell["f"] == f))
        shares = np.array(shares) / np.sum(shares)
        assert_allclose(found.rows[i], shares @ grid.rows, atol=1e-12)


# numbers of emmeans 1.8.4 with lme4 1.1.31, pbkrtest 0.5.2, lmerTest 3.1.3 -------


def test_emmeans_cake():
    # angle ~ recipe * temperature + (1 | replicate/recipe), ~ recipe, Kenward-Roger
    data = datasets.cake.load().data
    result = fit("angle ~ recipe * temperature + (1 | replicate/recipe)", data)
    means = marginal_means(result, "recipe", df_method="kenward-roger")
    found = means.frame
    assert_allclose(found["mean"], [33.1222222222, 31.6444444444, 31.6], rtol=1e-9)
    assert_allclose(found["std err"], 1.736833394937, rtol=1e-6)
    assert_allclose(found["df"], 17.361910960689, rtol=1e-6)
    lower = [29.463634143799, 27.985856366022, 27.941411921577]
    assert_allclose(found["ci_lower"], lower, rtol=1e-6)
    pairs = means.contrasts().frame
    assert list(pairs["contrast"]) == ["A - B", "A - C", "B - C"]
    assert_allclose(pairs["std err"], 0.9752763819877, rtol=1e-6)
    assert_allclose(pairs["df"], 28.0, rtol=1e-6)
    assert_allclose(
        pairs["statistic"], [1.515239992550, 1.560811120146, 0.045571127595], rtol=1e-6
    )
    tukey = [0.299254762800, 0.278997430501, 0.998855747384]
    assert_allclose(pairs["pvalue"], tukey, rtol=1e-6)


def test_emmeans_oats():
    # yield ~ nitroF * Variety + (1 | Block/Variety), nitroF = factor(nitro)
    data = datasets.oats.load().data
    result = fit("Q('yield') ~ C(nitro) * Variety + (1 | Block/Variety)", data)
    means = marginal_means(result, "nitro", df_method="kenward-roger")
    assert_allclose(means.frame["df"], 6.792051056461, rtol=1e-6)
    tukey = [3.764306274533e-04, 3.362356393311e-09, 4.276357046251e-12]
    tukey += [6.390210545954e-03, 9.244855670998e-06, 1.797194865780e-01]
    pvalues = means.contrasts().frame["pvalue"]
    assert_allclose(pvalues, tukey, rtol=1e-5, atol=1e-10)
    assert means.contrasts().table["contrast"][0] == "nitro0 - nitro0.2"
    means = marginal_means(result, "Variety", "nitro", df_method="satterthwaite")
    found = means.frame
    assert_allclose(found["df"], 16.082051, rtol=1e-6)
    assert_allclose(found["mean"][:4], [80.0, 520 / 6, 71.5, 98.5], rtol=1e-8)
    assert_allclose(found["ci_lower"][:2], [60.702072610, 67.368739278], rtol=1e-6)


def test_emmeans_orthodont():
    # distance ~ age * Sex + (1 | Subject), ~ Sex | age, Satterthwaite
    data = datasets.orthodont.load().data
    result = fit("distance ~ age * Sex + (1 | Subject)", data)
    means = marginal_means(result, "Sex", by="age", df_method="satterthwaite")
    found = means.frame
    assert list(found["age"]) == [11.0, 11.0]
    assert_allclose(found["mean"], [24.96875, 22.647727272727], rtol=1e-9)
    assert_allclose(found["std err"], [0.486000753993, 0.586138963209], rtol=1e-6)
    pair = means.contrasts().frame.iloc[0]
    assert pair["contrast"] == "Male - Female"
    assert_allclose(pair["pvalue"], 0.005375055914, rtol=1e-5)
    assert_allclose(pair["ci_lower"], 0.752855373249, rtol=1e-5)


# what the data do not determine --------------------------------------------------


def emptied():
    """Without a cell of f and k; x2 is another name for what x tells."""
    data = sample().dropna()
    data = data[~((data["f"] == "a") & (data["k"] == "q"))]
    return data.assign(x2=1000.0 - 2.0 * data["x"], u=data["x"] + 1e4)


def ranks(rows, x):
    """Whether each row depends linearly on those of x."""
    size = np.linalg.norm(x, axis=0)
    x, rows = x / np.where(size > 0, size, 1.0), rows / np.where(size > 0, size, 1.0)
    rank = np.linalg.matrix_rank(x, tol=1e-9)
    stacked = [np.linalg.matrix_rank(np.vstack([x, row]), tol=1e-9) for row in rows]
    return np.array(stacked) == rank


@pytest.mark.parametrize(
    "fixed", ["f * k + x", "f * k + u + x + x2", "C(f, Sum) * k * x", "k + k:f + flag"]
)
def test_estimability(fixed):
    result = fit(f"y ~ {fixed} + (1 | g)", emptied())
    assert np.isnan(result.params).any()
    means = marginal_means(result, ["f", "k"])
    pairs = means.contrasts()
    for found in (means, pairs, marginal_means(result, "f")):
        known = ranks(found.rows, result.model.exog)
        assert_array_equal(found.estimable, known)
        assert 0 < known.sum() < len(known)
        assert_array_equal(found.frame.iloc[:, -1].notna(), known)
        assert_array_equal(found.frame["df"].notna(), known)
    # the design's own rows are what the fit says of them
    seen = means.table.merge(emptied()[["f", "k"]].drop_duplicates())
    assert means.estimable.sum() == len(seen)
    average = fit("y ~ f * k + (1 | g)", emptied())
    cells = marginal_means(average, "f", weights="cells")
    assert cells.estimable.all()


def test_estimates_where_columns_were_dropped():
    result = fit("y ~ f * k + x + x2 + (1 | g)", emptied())
    assert np.isnan(result.params).sum() == 2
    means = marginal_means(result, ["f", "k"], df_method="kenward-roger")
    data = emptied().assign(cell=lambda d: d["f"].astype(str) + d["k"])
    other = marginal_means(
        fit("y ~ cell + x + (1 | g)", data), "cell", df_method="kenward-roger"
    ).frame.set_index("cell")
    found = means.frame.dropna()
    same = other.loc[found["f"].astype(str) + found["k"]]
    for name in ("mean", "std err", "df", "ci_lower"):
        assert_allclose(found[name], same[name], rtol=1e-6)
    # F of what can be told: 4 differences of 5 cells
    test = means.joint_test()
    assert test["df"][0] == 4
    whole = marginal_means(
        fit("y ~ cell + x + (1 | g)", data), "cell", df_method="kenward-roger"
    ).joint_test()
    assert_allclose(test, whole, rtol=1e-6)
    # cells without data have no weight of their own
    cells = marginal_means(result, ["f", "k"], weights="cells")
    assert_array_equal(cells.estimable, means.estimable)


def test_average_over_no_rows_is_unknown():
    result = fit("y ~ f + k + x + (1 | g)", emptied())
    assert np.isfinite(result.params).all()
    found = marginal_means(result, ["f", "k"]).estimable
    assert found.all()  # without the interaction every cell is determined
    cells = marginal_means(result, "f", at={"k": "q"}, weights="cells")
    assert_array_equal(cells.estimable, [True, False, True])
    pairs = cells.contrasts().frame
    assert_array_equal(pairs["estimate"].isna(), [True, False, True])
    assert cells.joint_test()["df"][0] == 1


# invariances ---------------------------------------------------------------------


def table(result, **options):
    options.setdefault("specs", "f")
    options.setdefault("df_method", "satterthwaite")
    means = marginal_means(result, **options)
    contrasts = means.contrasts(adjust="holm")
    return pd.concat([means.frame, contrasts.frame], axis=1).select_dtypes(float)


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["C(f, Sum)", "C(f, Helmert)", "C(f, Diff)"])
def test_coding_of_factors_does_not_matter(coding):
    formula = "y ~ f * k + z + (1 | g)"
    expected = table(fit(formula))
    found = table(fit(formula.replace("f *", f"{coding} *")))
    assert_allclose(found, expected, rtol=1e-6, atol=PVALUE)


@pytest.mark.slow
def test_engine_does_not_matter(monkeypatch):
    expected = table(fit("y ~ f * k + C(n) + np.log(x) + (1 | g)"), specs="n")
    monkeypatch.setattr(options, "formula_engine", "formulaic")
    result = fit("y ~ f * k + C(n) + np.log(x) + (1 | g)")
    assert_allclose(table(result, specs="n"), expected, rtol=1e-6, atol=PVALUE)
    assert len(marginal_means(result, "n").frame) == 4


@pytest.mark.slow
def test_order_of_rows_and_names_of_groups_do_not_matter():
    formula = "y ~ f * k + x + (1 | g) + (1 | h)"
    data = sample().sample(frac=1.0, random_state=1)
    data["g"] = "group " + data["g"].astype(str)
    found, expected = table(fit(formula, data)), table(fit(formula))
    assert_allclose(found, expected, rtol=1e-6, atol=PVALUE)


def test_units_of_columns_do_not_matter():
    formula = "y ~ f * k + f * x + (1 | g)"
    data = sample().assign(x=lambda d: 1e3 * d["x"] + 1e5, y=lambda d: 10.0 * d["y"])
    found, expected = fit(formula, data), fit(formula)
    scaled = marginal_means(found, "f").frame
    plain = marginal_means(expected, "f").frame
    for name in ("mean", "std err", "ci_lower"):
        assert_allclose(scaled[name], 10.0 * plain[name], rtol=1e-6)
    scaled = marginal_slopes(found, "x", "f").frame
    plain = marginal_slopes(expected, "x", "f").frame
    for name in ("slope", "std err", "ci_lower"):
        assert_allclose(scaled[name], 0.01 * plain[name], rtol=1e-6)


def test_mean_of_a_centered_column_is_zero():
    data = datasets.sleepstudy.load_pandas().data
    data["centered"] = 0.1 * data["Days"] - (0.1 * data["Days"]).mean()
    data.loc[0, "centered"] += 1e-15
    assert data["centered"].mean() != 0.0
    fit = CrossedMixedLM.from_formula("Reaction ~ centered + (1 | Subject)", data).fit()
    assert "At centered = 0." in str(fit.marginal_means())


def test_predictions_are_means_of_their_own_rows():
    result = fit("y ~ f * poly(x, 2) + bs(z, df=4) + C(n) + flag + (1 | g)")
    at = {"x": 2.0, "z": 3.1, "n": 3, "flag": True, "f": "a"}
    found = marginal_means(result, at=at).frame["mean"][0]
    assert_allclose(found, result.predict(pd.DataFrame([at]))[0], rtol=1e-10)
    slope = marginal_slopes(result, "z", at=at).frame["slope"][0]
    ends = [result.predict(pd.DataFrame([{**at, "z": z}]))[0] for z in (3.0999, 3.1001)]
    assert_allclose(slope, np.diff(ends)[0] / 2e-4, rtol=1e-5)


def test_levels_that_are_averaged():
    data = sample().assign(two=np.where(np.arange(N) % 3 == 0, 1.0, 7.0))
    result = fit("y ~ two + flag + C(n) + x + (1 | g)", data)
    means = marginal_means(result, ["two", "flag", "n", "x"])
    levels = {name: list(means.table[name].unique()) for name in means.table}
    assert levels["two"] == [1.0, 7.0]  # two values are kept, as in emmeans
    assert levels["flag"] == [False, True]
    assert levels["n"] == [0, 1, 2, 3]
    assert_allclose(levels["x"], [data["x"].mean()])
    whole = marginal_means(result).frame["mean"][0]
    assert_allclose(whole, means.frame["mean"].mean(), rtol=1e-12)


def test_joint_test_is_the_type_3_test_of_a_factor():
    # with no covariate in an interaction both are about equally weighted means;
    # Satterthwaite's degrees of freedom depend on the contrasts that are taken
    result = fit("y ~ f * k + x + (1 | g) + (1 | h)")
    for method in ("satterthwaite", "kenward-roger"):
        expected = result.anova(type=3, df_method=method)
        for name in "fk":
            found = marginal_means(result, name, df_method=method).joint_test().iloc[0]
            assert_allclose(found["F"], expected.loc[name, "F"], rtol=1e-7)
            if method == "kenward-roger":
                assert_allclose(found[1:], expected.loc[name][3:], rtol=1e-6)
        differences = marginal_means(result, "f", by="k", df_method=method).contrasts()
        within = differences.contrasts("pairwise", by="contrast")
        interaction = result.with_df_method(method)._results.inference.f_test(
            within.rows[:2]
        )
        assert_allclose(interaction.statistic, expected.loc["f:k", "F"], rtol=1e-7)


def test_joint_test_within_groups():
    result = fit("y ~ f * k + offset(o) + x + (1 | g)", sample().assign(o=0.5))
    means = marginal_means(result, "f", by="k", at={"o": 0.5})
    found = means.joint_test()
    assert list(found["k"]) == K
    for i, group in enumerate(np.split(np.arange(6), 2)):
        gaps = np.diff(means.rows[group], axis=0)
        covariance = gaps @ result.cov_params().to_numpy() @ gaps.T
        errors = gaps @ result.params.to_numpy()
        wald = errors @ np.linalg.solve(covariance, errors)
        assert_allclose(found["F"][i], wald / 2, rtol=1e-7)
        assert_allclose(found["PR(>F)"][i], stats.chi2.sf(wald, 2), rtol=1e-6)


# sets of contrasts and their adjustment ------------------------------------------


def coefficients(method, k=4, **options):
    levels = pd.DataFrame({"f": list("abcdefgh")[:k]})
    return contrast_set(method, levels, **options)


def test_sets_of_contrasts():
    names, found = coefficients("pairwise", 3)
    assert names == ["a - b", "a - c", "b - c"]
    assert_array_equal(found, [[1, -1, 0], [1, 0, -1], [0, 1, -1]])
    names, found = coefficients("pairwise", 3, reverse=True)
    assert names == ["b - a", "c - a", "c - b"]
    assert_array_equal(found, [[-1, 1, 0], [-1, 0, 1], [0, -1, 1]])
    names, found = coefficients("reference", 3)
    assert names == ["b - a", "c - a"]
    names, found = coefficients("reference", 3, reference="b")
    assert names == ["a - b", "c - b"]
    assert_array_equal(found, [[1, -1, 0], [0, -1, 1]])
    names, found = coefficients("consecutive", 3)
    assert names == ["b - a", "c - b"]
    assert_array_equal(found, [[-1, 1, 0], [0, -1, 1]])
    names, found = coefficients("effects", 4)
    assert names[0] == "a effect"
    assert_allclose(found[0], [0.75, -0.25, -0.25, -0.25])
    names, found = coefficients({"late": [-1, 0, 1]}, 3)
    assert names == ["late"]
    assert_array_equal(found, [[-1, 0, 1]])
    assert coefficients([[1, 0], [0, 1]], 2)[0] == ["c1", "c2"]
    for method in ("pairwise", "reference", "consecutive", "poly"):
        assert coefficients(method, 1)[1].shape == (0, 1)


def test_polynomials_are_those_of_the_tables():
    # Fisher and Yates (1963), table XXIII
    assert_array_equal(orthogonal_polynomials(3), [[-1, 0, 1], [1, -2, 1]])
    five = [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1], [1, -4, 6, -4, 1]]
    assert_array_equal(orthogonal_polynomials(5), five)
    cubic = [-7, 5, 7, 3, -3, -7, -5, 7]
    assert_array_equal(orthogonal_polynomials(8)[2], cubic)
    for k in (2, 6, 13):
        rows = orthogonal_polynomials(k)
        assert len(rows) == min(6, k - 1)
        gram = rows @ rows.T
        assert_array_equal(gram, np.diag(np.diag(gram)))
        assert not rows.sum(axis=1).any()
        powers = np.vander(np.arange(k), increasing=True)[:, : len(rows) + 1]
        assert_allclose((rows @ powers)[np.tril_indices(len(rows))], 0, atol=1e-6)


def test_labels():
    frame = pd.DataFrame({"f": ["a", "b"], "n": [1.0, 2.5]})
    assert level_labels(frame) == ["a n1", "b n2.5"]
    frame = pd.DataFrame({"day": ["Jul-01", "mid July"], "b": [True, False]})
    assert level_labels(frame) == ["(Jul-01 True)", "mid July False"]


@functools.cache
def means_of_n(df_method="satterthwaite"):
    result = fit("y ~ C(n) * f + k + x + (1 | g) + (1 | h)")
    return marginal_means(result, "n", by="f", df_method=df_method)


@pytest.mark.parametrize(
    ("adjust", "df_method"),
    [
        ("holm", "asymptotic"),
        ("bonferroni", "residual"),
        ("sidak", "satterthwaite"),
        ("fdr_bh", "residual"),
        ("hommel", "asymptotic"),
        ("sidak", "asymptotic"),
        ("bonferroni", "satterthwaite"),
    ],
)
def test_adjustment_within_groups(adjust, df_method):
    means = means_of_n(df_method)
    plain = means.contrasts("consecutive", adjust="none").frame
    found = means.contrasts("consecutive", adjust=adjust).frame
    for _, group in plain.groupby("f", observed=True):
        expected = multipletests(group["pvalue"], method=adjust)[1]
        assert_allclose(found["pvalue"][group.index], expected, rtol=1e-10)
    alpha = {"bonferroni": 0.05 / 3, "sidak": 1 - 0.95 ** (1 / 3)}.get(adjust, 0.05)
    reach = stats.t.isf(alpha / 2, plain["df"]) * plain["std err"]
    assert_allclose(found["ci_lower"], plain["estimate"] - reach, rtol=1e-9)


def test_contrasts_that_cannot_be_tested_do_not_count():
    df = np.array([7.0, np.nan, np.inf])
    found = critical_values(df, "bonferroni", 3, 0.1)
    assert_allclose(found, stats.t.isf(0.1 / 2 / 2, df))


def test_tukey_agrees_with_its_intervals():
    means = marginal_means(fit("y ~ C(n) + x + (1 | g)"), "n", df_method="residual")
    row = means.contrasts().frame.iloc[2]
    # at its own p-value an interval ends at 0
    again = means.contrasts(alpha=row["pvalue"]).frame.iloc[2]
    ends = sorted(abs(again[["ci_lower", "ci_upper"]].astype(float)))
    assert ends[0] < 1e-9 * ends[1]
    reach = abs(row["statistic"]) * np.sqrt(2)
    expected = stats.studentized_range.sf(reach, 4, row["df"])
    assert_allclose(row["pvalue"], expected, rtol=1e-9)


@pytest.mark.parametrize("adjust", ["tukey", "mvt"])
def test_quantiles_of_different_degrees_of_freedom(adjust):
    df = np.array([7.0, np.nan, np.inf, 7.0])
    found = critical_values(df, adjust, 2, 0.1, np.eye(4) + 0.3 * (1 - np.eye(4)))
    alone = [critical_values(df[[i]], adjust, 2, 0.1, np.eye(1))[0] for i in (0, 2)]
    assert_allclose(alone, stats.t.isf(0.05, df[[0, 2]]), rtol=1e-10)
    assert_array_equal(np.isnan(found), [False, True, False, False])
    assert found[0] == found[3]
    if adjust == "tukey":
        assert_allclose(found[[0, 2]], alone, rtol=1e-10)


def test_contrasts_of_contrasts():
    means = means_of_n()
    within = means.contrasts("reference")
    found = within.contrasts("reference", by="contrast", adjust="none")
    values = means.frame["mean"].to_numpy().reshape(3, 4)
    steps = values[:, 1:] - values[:, :1]
    expected = (steps[1:] - steps[:1]).T.ravel()
    assert_allclose(found.frame["estimate"], expected, rtol=1e-9, atol=1e-12)
    assert list(found.table) == ["contrast1", "contrast"]
    assert list(found.table["contrast1"][:2]) == ["a - c", "b - c"]
    assert list(found.table["contrast"][:3]) == ["n1 - n0", "n1 - n0", "n2 - n0"]


def test_defaults_follow_the_results():
    result = fit("y ~ f + x + (1 | g)")
    chosen = result.with_df_method("kenward-roger")
    expected = marginal_means(result, "f", df_method="kenward-roger").frame
    pd.testing.assert_frame_equal(marginal_means(chosen, "f").frame, expected)
    assert np.isinf(marginal_means(result, "f").frame["df"]).all()
    residual = marginal_means(result, "f", df_method="residual").frame
    assert (residual["df"] == result.df_resid).all()
    wide = marginal_means(result, "f", alpha=0.01)
    reach = wide.frame["ci_upper"] - wide.frame["mean"]
    assert_allclose(reach, stats.norm.isf(0.005) * wide.frame["std err"])
    ends = wide.contrasts(adjust="none").frame
    assert_allclose(
        ends["ci_upper"] - ends["estimate"], stats.norm.isf(0.005) * ends["std err"]
    )


# factors that are called as the columns of the tables ---------------------------

OWN = ("mean", "slope", "estimate", "contrast", "std err", "df", "statistic")
OWN += ("pvalue", "ci_lower", "ci_upper", "F", "PR(>F)", "df_", "df_denom")


def renamed(factor, by):
    """A fit with the factors f and k under other names."""
    data = sample().rename(columns={"f": factor, "k": by})
    return fit(f"y ~ `{factor}` * `{by}` + x + (1 | g)", data)


def tables(one, factor, other, by):
    """Tables of a fit in which f has another name, and of one in which k has."""
    means, within = marginal_means(one, factor), marginal_means(other, "f", by=by)
    return [
        *(means, marginal_means(one, factor, by="k"), within),
        *(marginal_slopes(one, "x", factor), means.contrasts()),
        *(within.contrasts("poly"), within.contrasts()),
    ]


@functools.cache
def plain_tables():
    """Each table, its joint test and its number of lines, under the plain names."""
    plain = renamed("f", "k")
    found = tables(plain, "f", plain, "k")
    return [(t, t.frame, t.joint_test(), str(t).count("\n")) for t in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_factors_called_as_a_column_of_the_table(name):
    others = tables(renamed(name, "k"), name, renamed("f", name), name)
    pairs = list(zip(plain_tables(), others))
    (plain, *_), other = pairs[-1]
    for (_, expected, joint, rows), found in pairs:
        frame = found.frame
        assert frame.columns.is_unique
        assert list(frame.columns[: found.table.shape[1]]) == list(found.table)
        for own, column in found.names.items():
            assert column == own + "_" * (own == name and name in found.table)
            assert_array_equal(frame[column], expected[own])
        test = found.joint_test()
        assert_array_equal(test.iloc[:, -4:], joint.iloc[:, -4:])
        assert test.columns.is_unique
        assert str(found).count("\n") == rows
    column = "contrast1" if name == "contrast" else "contrast"
    assert list(other.table) == [column, name]
    assert list(other.table[column]) == list(plain.table["contrast"])


def test_a_slope_in_a_column_called_slope():
    data = sample().rename(columns={"x": "slope"})
    found = marginal_slopes(fit("y ~ f * slope + (1 | g)", data), "slope", "f")
    expected = marginal_slopes(fit("y ~ f * x + (1 | g)"), "x", "f")
    assert_array_equal(found.frame["slope"], expected.frame["slope"])
    along = marginal_means(
        fit("y ~ f * slope + (1 | g)", data), "slope", at={"slope": [0, 1]}
    )
    assert list(along.frame["slope"]) == [0, 1]


# printing, storing, refusing -----------------------------------------------------


def test_a_centered_covariate_is_at_zero():
    """Whatever is left of its mean by rounding."""
    data = sample()
    data["z"] = np.resize([-1.0, 0.0, 1.0, 2.0, -2.0], len(data)) + 1e-15
    means = marginal_means(fit("y ~ f + z + (1 | g)", data), "f", at={"f": ["a"]})
    assert len(data) % 5 == 0
    assert "At z = 0." in str(means)


@pytest.mark.slow
def test_printing():
    result = fit("np.exp(y) ~ f * k + np.log(x) + (1 | g)", emptied())
    means = marginal_means(result, "f", df_method="kenward-roger")
    text = str(means)
    assert "Marginal means of np.exp(y)" in text
    assert "Averaged over k (weights: equal)." in text
    assert "At x = " in text
    assert "On the scale of np.exp(y)." in text
    assert "Degrees of freedom: kenward-roger." in text
    assert "NaN: not determined by the data." in text
    assert means._repr_html_().startswith("<table")
    text = str(marginal_means(result, "k", by="f").contrasts(adjust="holm"))
    assert "adjusted" not in text  # one contrast in each group
    text = str(marginal_means(result, "f", by="k").contrasts(adjust="holm"))
    assert "P-values are adjusted in each group by holm; intervals are not." in text
    text = str(marginal_means(result, "f").contrasts())
    assert "P-values and intervals are adjusted by tukey." in text
    assert "P>|z|" in text
    assert " df " not in text
    assert "Slopes in x of np.exp(y)" in str(marginal_slopes(result, "x", "f"))


def test_pickle():
    means = means_of_n()
    again = pickle.loads(pickle.dumps(means))
    pd.testing.assert_frame_equal(again.frame, means.frame)
    pd.testing.assert_frame_equal(
        again.contrasts("effects").frame, means.contrasts("effects").frame
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"specs": "nope"},
            "'nope' is not a column of the fixed effects, which use f, x",
        ),
        ({"by": "g"}, "'g' is not a column"),
        ({"at": {"z": 1.0}}, "'z' is not a column"),
        ({"at": {"f": ["a", "d"]}}, "'f' has no level 'd'; it has c, a, b"),
        ({"at": {"x": "much"}}, "'x' is numeric"),
        ({"at": {"x": [np.nan]}}, "'x' is numeric"),
        ({"at": {"x": []}}, "at has no values for 'x'"),
        ({"weights": "some"}, "weights must be 'equal', 'proportional'"),
        ({"alpha": 1.0}, "alpha must be between 0 and 1"),
        ({"df_method": "t"}, "df_method must be"),
    ],
)
def test_bad_arguments(options, message):
    result = fit("y ~ f + x + (1 | g)")
    with pytest.raises(ValueError, match=message):
        marginal_means(result, **{"specs": "f", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "all"}, "method must be 'pairwise'"),
        ({"method": "trt.vs.ctrl"}, "for method='trt.vs.ctrl' write 'reference'"),
        ({"method": [1, -1]}, "needs 3 coefficients, one per mean.* got 2"),
        ({"method": {"a": [1, -1, 0], "b": [1]}}, "got 1, 3"),
        ({"method": [1.0, np.inf, 0.0]}, "must be finite"),
        ({"adjust": "scheffe"}, "adjust must be 'tukey'"),
        ({"adjust": "dunnett"}, "is for differences from one mean"),
        ({"method": "effects", "adjust": "tukey"}, "all pairwise differences"),
        ({"method": "reference", "reference": "z"}, "reference must be one of c, a, b"),
        ({"by": "k"}, "by has 'k'; the columns are f"),
        ({"alpha": 0}, "alpha must be"),
    ],
)
def test_bad_contrasts(options, message):
    means = marginal_means(fit("y ~ f + x + (1 | g)"), "f")
    with pytest.raises(ValueError, match=message):
        means.contrasts(**options)


def test_refusals():
    result = fit("y ~ f + x + (1 | g)")
    with pytest.raises(ValueError, match="'f' is a factor"):
        marginal_slopes(result, "f")
    with pytest.raises(ValueError, match="'z' is not a column"):
        marginal_slopes(result, "z")
    ml = fit("y ~ f + x + (1 | g)", reml=False)
    with pytest.raises(DataError, match="defined only for REML"):
        marginal_means(ml, "f", df_method="kenward-roger")
    with pytest.raises(DataError, match="no fixed effects"):
        marginal_means(fit("y ~ 0 + (1 | g)"))
    d = sample()
    arrays = CrossedMixedLM(d["y"], np.ones((N, 1)), random={"g": d["g"]}).fit()
    with pytest.raises(DataError, match="a model from arrays"):
        marginal_means(arrays)
    result.remove_data()
    with pytest.raises(DataError, match="removed"):
        marginal_means(result, "f")


def test_constant_alone():
    result = fit("y ~ 1 + (1 | g)")
    found = marginal_means(result).frame.iloc[0]
    assert_allclose(found["mean"], result.params["Intercept"], rtol=1e-12)
    assert_allclose(found["std err"], result.bse["Intercept"], rtol=1e-9)


def test_nothing_to_compare():
    means = marginal_means(fit("y ~ f + x + (1 | g)"))
    with pytest.raises(DataError, match="one estimate and nothing to compare"):
        means.contrasts()
    by = marginal_slopes(fit("y ~ f * x + (1 | g)"), "x", by="f")
    for method in ("pairwise", "reference", "consecutive", "effects", "poly"):
        with pytest.raises(
            DataError, match=r"for each of 'f'.*in specs rather than by"
        ):
            by.contrasts(method)
    assert len(by.contrasts(by=[]).frame) == 3
    test = means.joint_test().iloc[0]
    assert test["df"] == 0
    assert np.isnan(test["F"])


def test_rounding_does_not_make_a_contrast_unknown():
    # shares of thirds leave traces of x and x2 in the differences
    data = sample().assign(x2=lambda d: 3.0 - d["x"], t=np.arange(N) % 3)
    data = data.assign(t=data["t"].map({0: "u", 1: "v", 2: "w"}))
    result = fit("y ~ k * t + f + x + x2 + (1 | g)", data)
    assert np.isnan(result.params).sum() == 1
    pairs = marginal_means(result, "k", weights="cells").contrasts()
    assert pairs.estimable.all()
    other = marginal_means(
        fit("y ~ k * t + f + x + (1 | g)", data), "k", weights="cells"
    )
    expected = other.contrasts().frame
    pd.testing.assert_frame_equal(pairs.frame, expected, rtol=1e-6)
