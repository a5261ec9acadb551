"""
Hypotheses about the terms of the fixed effects.

They are held against hand elimination of X'X, against sums of squares of least squares
with and without columns, and against Goodnight's (1978) definition written out in the
coefficients of one indicator for every level.
"""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from patsy import dmatrix
from samples import ENGINES, quiet
from scipy.linalg import null_space
from statsmodels.stats.anova import anova_lm

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.inference.fixed.terms import (
    FixedTerm,
    anova_type,
    fixed_terms,
    hypotheses,
)

N = 90


@functools.cache
def sample(empty=False):
    """Two unbalanced factors, without a cell of them if it is to be empty."""
    rng = np.random.default_rng(21)
    f = rng.choice(["a", "b", "c"], N, p=[0.5, 0.3, 0.2])
    k = rng.choice(["p", "q", "r"], N, p=[0.2, 0.35, 0.45])
    f[:9], k[:9] = np.repeat(["a", "b", "c"], 3), np.tile(["p", "q", "r"], 3)
    x, z = rng.uniform(1.0, 4.0, N), rng.standard_normal(N)
    g = rng.permutation(np.arange(N) % 9)
    y = x + (f == "b") * x + 2.0 * (k == "q") * (f == "c") + rng.standard_normal(9)[g]
    y += rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "f": f, "k": k, "g": g})
    if empty:
        frame = frame[~((f == "a") & (k == "q"))].reset_index(drop=True)
    return frame


def fit(right, data=None, engine="patsy"):
    data = sample() if data is None else data
    with formula_engine(engine):
        return quiet(f"y ~ {right} + (1 | g)", data)


def indicators(*columns):
    """One column for every level, or combination of levels, that occurs."""
    labels = pd.Series(list(zip(*columns)))
    return pd.get_dummies(labels).to_numpy(float)


def rss(x, y):
    return ((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum()


def sum_of_squares(result, hypothesis):
    """Of a hypothesis in the least squares fit to the same columns."""
    kept = np.isfinite(result.params.to_numpy())
    assert (hypothesis[:, ~kept] == 0.0).all()
    x, y, rows = result.model.exog[:, kept], result.model.endog, hypothesis[:, kept]
    beta = rows @ np.linalg.lstsq(x, y, rcond=None)[0]
    return beta @ np.linalg.solve(rows @ np.linalg.inv(x.T @ x) @ rows.T, beta)


def same_rows(a, b, x):
    """Whether two hypotheses are the same, whatever the units of the columns."""
    size = np.sqrt((x**2).sum(axis=0))
    a, b = (np.linalg.svd(m / size, full_matrices=False) for m in (a, b))
    a, b = (v[s > 1e-8 * s[0]] for _, s, v in (a, b))
    return a.shape == b.shape and np.allclose(a - a @ b.T @ b, 0.0, atol=1e-8)


# type 1 --------------------------------------------------------------------


def doolittle(matrix):
    """The unit upper triangle U of an elimination without pivots."""
    upper = matrix.copy()
    for i in range(len(upper)):
        upper[i] /= upper[i, i]
        for j in range(i + 1, len(upper)):
            upper[j] -= upper[j, i] * upper[i]
    return upper


@pytest.mark.parametrize(
    "right",
    ["x + f * k", "f + x + k", "f * x + z", "0 + f + k", "x + I(x**2) + f:x", "f:k"],
)
def test_sequential_hypotheses_are_those_of_an_elimination(right):
    result = fit(right)
    x, terms = result.model.exog, fixed_terms(result)
    kept = np.isfinite(result.params.to_numpy())
    order = [c for t in terms for c in t.columns if kept[c]]
    rows = np.zeros((len(order), x.shape[1]))
    rows[:, order] = doolittle(x[:, order].T @ x[:, order])
    found = hypotheses(result, 1)
    assert list(found) == [t.name for t in terms if not t.is_constant]
    for term in terms:
        if not term.is_constant:
            expected = rows[[order.index(c) for c in term.columns if kept[c]]]
            assert same_rows(found[term.name], expected, x)


def test_rows_are_about_single_coefficients():
    """On which combinations of rows are taken Satterthwaite's method depends."""
    result = fit("x + f * k")
    x, terms = result.model.exog, [t for t in fixed_terms(result) if not t.is_constant]
    order = [c for t in fixed_terms(result) for c in t.columns]
    rows = np.zeros((len(order), x.shape[1]))
    rows[:, order] = doolittle(x[:, order].T @ x[:, order])
    for term in terms:
        expected = rows[[order.index(c) for c in term.columns]]
        assert_allclose(hypotheses(result, 1)[term.name], expected, atol=1e-9)
        contained = any(other.contains(term) for other in terms)
        for kind in (2, 3):
            own = hypotheses(result, kind)[term.name][:, list(term.columns)]
            assert_allclose(np.tril(own), np.eye(len(own)), atol=1e-9)
            # lmerTest's rows of type 2 are those of type 1 of another order
            if kind == 3 or not contained:
                assert_allclose(own, np.eye(len(own)), atol=1e-9)
            elif len(own) > 1:
                assert np.abs(np.triu(own, 1)).max() > 1e-3
    alone = fit("f")
    lower = doolittle(alone.model.exog.T @ alone.model.exog)[1:]
    for kind in (1, 2, 3):
        assert_allclose(hypotheses(alone, kind)["f"], lower, atol=1e-9)


def test_sequential_sums_of_squares_are_those_of_statsmodels():
    result = fit("f * k")
    table = anova_lm(smf.ols("y ~ f * k", sample()).fit(), typ=1)
    for name, rows in hypotheses(result, "I").items():
        assert_allclose(sum_of_squares(result, rows), table.loc[name, "sum_sq"])
        assert len(rows) == table.loc[name, "df"]


def test_order_of_the_formula_matters_for_type_1_only():
    one, other = fit("f + k + x"), fit("x + k + f")
    assert list(hypotheses(one)) == ["f", "k", "x"]
    assert list(hypotheses(other)) == ["x", "k", "f"]
    for kind in (2, 3):
        first, second = hypotheses(one, kind), hypotheses(other, kind)
        for name in first:
            ours, theirs = (
                sum_of_squares(r, h[name]) for r, h in ((one, first), (other, second))
            )
            assert_allclose(ours, theirs)
    first, second = hypotheses(one, 1), hypotheses(other, 1)
    gap = sum_of_squares(one, first["f"]) / sum_of_squares(other, second["f"])
    assert abs(gap - 1.0) > 0.01


# type 2 --------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True])
def test_type_2_of_factors_is_that_of_statsmodels(empty):
    data = sample(empty)
    result = fit("f * k + x", data)
    table = anova_lm(smf.ols("y ~ f + k + x", data).fit(), typ=2)
    found = hypotheses(result, 2)
    x = indicators(data["f"], data["k"]), data[["x"]].to_numpy()
    y = data["y"].to_numpy()
    main = [indicators(data["f"]), indicators(data["k"])[:, 1:], x[1]]
    expected = {
        "f": table.loc["f", "sum_sq"],
        "k": table.loc["k", "sum_sq"],
        "x": rss(x[0], y) - rss(np.hstack(x), y),
        "f:k": rss(np.hstack(main), y) - rss(np.hstack(x), y),
    }
    assert list(found) == ["f", "k", "x", "f:k"]
    for name, value in expected.items():
        assert_allclose(sum_of_squares(result, found[name]), value)
    assert [len(h) for h in found.values()] == [2, 2, 1, 3 if empty else 4]


def test_type_2_with_covariates():
    """x:f contains x, but not f: it has a covariate that f has not, as in SAS."""
    data = sample()
    result = fit("x * f + z")
    found = hypotheses(result, 2)
    y, f = data["y"].to_numpy(), indicators(data["f"])
    x, z = data[["x"]].to_numpy(), data[["z"]].to_numpy()
    compared = {
        "x": ([f, z], [f, z, x]),
        "f": ([np.ones((N, 1)), z, f * x], [f, z, f * x]),
        "z": ([f, f * x], [f, f * x, z]),
        "x:f": ([f, x, z], [f, f * x, z]),
    }
    for name, (small, large) in compared.items():
        value = rss(np.hstack(small), y) - rss(np.hstack(large), y)
        assert_allclose(sum_of_squares(result, found[name]), value)
    assert {n: len(h) for n, h in found.items()} == {"x": 1, "f": 2, "z": 1, "x:f": 2}


@pytest.mark.parametrize(
    "right", ["f * k + x", "x * f + z", "0 + f + k", "x + f:k", "f / x"]
)
def test_type_2_is_a_difference_of_column_spaces(right):
    result = fit(right)
    x, terms = result.model.exog, fixed_terms(result)
    found = hypotheses(result, 2)
    for term in terms:
        if term.is_constant:
            continue
        others = [
            c
            for t in terms
            if t != term
            and not (t.numeric == term.numeric and t.categorical > term.categorical)
            for c in t.columns
        ]
        together = [*others, *term.columns]
        large, small = (
            x[:, cols] @ np.linalg.pinv(x[:, cols]) for cols in (together, others)
        )
        values, vectors = np.linalg.eigh(large - small)
        expected = vectors[:, values > 0.5].T @ x
        assert len(found[term.name]) == len(expected)
        assert same_rows(found[term.name], expected, x)


# type 3 --------------------------------------------------------------------


def test_type_3_are_the_columns_of_sum_contrasts():
    data = sample()
    result = fit("f * k + x")
    coded = smf.ols("y ~ C(f, Sum) * C(k, Sum) + x", data).fit()
    y, x, names = data["y"].to_numpy(), coded.model.exog, coded.model.exog_names
    f = [n.startswith("C(f") and ":" not in n for n in names]
    k = [n.startswith("C(k") and ":" not in n for n in names]
    both = [":" in n for n in names]
    marks = {"f": f, "k": k, "x": [n == "x" for n in names], "f:k": both}
    found = hypotheses(result, 3)
    for name, mine in marks.items():
        value = rss(x[:, ~np.array(mine)], y) - rss(x, y)
        assert_allclose(sum_of_squares(result, found[name]), value)
        assert len(found[name]) == sum(mine)
    table = anova_lm(coded, typ=3)
    ours = sum_of_squares(result, found["f"])
    assert_allclose(ours, table.loc["C(f, Sum)", "sum_sq"])


def test_type_3_compares_unweighted_means():
    """The means of the cells of a level, each with the same weight."""
    result = fit("f * k")
    cells = pd.DataFrame(
        [(f, k) for f in ("a", "b", "c") for k in ("p", "q", "r")], columns=["f", "k"]
    ).assign(g=0)
    rows = np.asarray(dmatrix(result.model.data.model_spec, cells))
    means = np.array([rows[cells["f"] == f].mean(axis=0) for f in ("a", "b", "c")])
    found = hypotheses(result, 3)["f"]
    assert same_rows(found, means[1:] - means[0], result.model.exog)


def test_type_3_with_covariates():
    """x is the mean slope, f a difference where x is 0."""
    result = fit("x * f")
    found = hypotheses(result, 3)
    names = result.model.exog_names
    unit = dict(zip(names, np.eye(len(names))))
    slopes = [unit["x"], unit["x"] + unit["x:f[T.b]"], unit["x"] + unit["x:f[T.c]"]]
    x = result.model.exog
    assert same_rows(found["x"], np.mean(slopes, axis=0)[None], x)
    assert same_rows(found["f"], np.array([unit["f[T.b]"], unit["f[T.c]"]]), x)
    interaction = np.array([unit["x:f[T.b]"], unit["x:f[T.c]"]])
    assert same_rows(found["x:f"], interaction, x)


def goodnight(blocks, mine, containing):
    """
    Type 3 functions in the coefficients of all indicators.

    blocks: name to indicator columns; mine: the term; containing: terms around it.
    Returns the functions as A' of A' X~.
    """
    x = np.hstack(list(blocks.values()))
    ends = np.cumsum([b.shape[1] for b in blocks.values()])
    at = {n: slice(e - b.shape[1], e) for (n, b), e in zip(blocks.items(), ends)}
    # rows: a basis of all functions that can be estimated
    _, values, rows = np.linalg.svd(x, full_matrices=False)
    rows = rows[values > 1e-9 * values[0]]
    free = [n for n in blocks if n != mine and n not in containing]
    zero = np.hstack([np.zeros((len(rows), 0)), *(rows[:, at[n]] for n in free)])
    functions = null_space(zero.T).T @ rows if zero.shape[1] else rows
    if containing:
        inside = null_space(functions[:, at[mine]].T).T @ functions
        functions = null_space(inside @ functions.T).T @ functions
    return functions @ np.linalg.pinv(x)


CELLS = {
    "two factors": ("f * k", ["f", "k", "f:k"], True),
    "covariate": ("f * k + x", ["f", "k", "x", "f:k"], True),
    "no constant": ("0 + f + k", ["f", "k"], False),
    "nested": ("f + f:k", ["f", "f:k"], True),
    "cells alone": ("f:k", ["f:k"], True),
    "slopes": ("f * x + k", ["f", "x", "k", "f:x"], True),
}


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_type_3_as_goodnight_defines_it(name, empty):
    right, terms, constant = CELLS[name]
    data = sample(empty)
    result = fit(right, data)
    blocks = {"1": np.ones((len(data), 1))} if constant else {}
    sets = {}
    for term in terms:
        parts = term.split(":")
        factors = [data[p] for p in parts if p != "x"]
        columns = indicators(*factors) if factors else np.ones((len(data), 1))
        blocks[term] = columns * (data[["x"]].to_numpy() if "x" in parts else 1.0)
        sets[term] = {p for p in parts if p != "x"}, "x" in parts
    found = hypotheses(result, 3)
    named = {frozenset(n.split(":")): h for n, h in found.items()}
    assert len(named) == len(terms)
    for term in terms:
        factors, slope = sets[term]
        around = [t for t in terms if sets[t][1] == slope and sets[t][0] > factors]
        expected = goodnight(blocks, term, around) @ result.model.exog
        kept = np.isfinite(result.params.to_numpy())
        ours = named[frozenset(term.split(":"))]
        assert (ours[:, ~kept] == 0.0).all()
        x = result.model.exog[:, kept]
        assert same_rows(ours[:, kept], expected[:, kept], x)


def test_types_agree_in_a_balanced_design():
    cells = pd.MultiIndex.from_product([range(6), list("abc"), list("pq")])
    data = pd.DataFrame(cells.to_list(), columns=["g", "f", "k"])
    data["y"] = np.random.default_rng(1).standard_normal(len(data))
    result = fit("f * k", data)
    one, two, three = (hypotheses(result, kind) for kind in (1, 2, 3))
    for name in one:
        assert same_rows(one[name], two[name], result.model.exog)
        assert same_rows(one[name], three[name], result.model.exog)


@pytest.mark.parametrize("right", ["f * k", "k + x * f", "x + z"])
def test_last_term_is_the_same_in_all_types(right):
    result = fit(right)
    one, two, three = (list(hypotheses(result, k).values())[-1] for k in (1, 2, 3))
    assert same_rows(one, two, result.model.exog)
    assert same_rows(one, three, result.model.exog)


# what they do not depend on -------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("f * k + x", "C(f, Sum) * C(k, Sum) + x"),
        ("f * k + x", "C(f, Treatment('b')) * C(k, Helmert) + x"),
        ("x + f", "x + C(f, Sum)"),
        ("f * k", "C(f, Sum) * k"),
    ],
)
def test_coding(right, other, empty, kind):
    data = sample(empty)
    one, two = fit(right, data), fit(other, data)
    first, second = hypotheses(one, kind), hypotheses(two, kind)
    assert len(first) == len(second)
    for a, b in zip(first.values(), second.values()):
        assert len(a) == len(b)
        assert_allclose(sum_of_squares(one, a), sum_of_squares(two, b))


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_coding_of_a_factor_with_a_slope(kind):
    one, two = fit("x * f"), fit("x * C(f, Sum)")
    first, second = hypotheses(one, kind), hypotheses(two, kind)
    for a, b in zip(first.values(), second.values()):
        assert_allclose(sum_of_squares(one, a), sum_of_squares(two, b))


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("empty", [False, True])
def test_order_of_levels(kind, empty):
    data = sample(empty)
    turned = data.assign(
        f=pd.Categorical(data["f"], ["c", "a", "b"]),
        k=pd.Categorical(data["k"], ["r", "q", "p"]),
    )
    one, two = fit("f * k + x", data), fit("f * k + x", turned)
    for a, b in zip(hypotheses(one, kind).values(), hypotheses(two, kind).values()):
        assert_allclose(sum_of_squares(one, a), sum_of_squares(two, b))


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_units_of_covariates(kind):
    data = sample()
    other = data.assign(x=1e7 * data["x"], z=1e-6 * data["z"])
    one, two = fit("f * x + x:z", data), fit("f * x + x:z", other)
    first, second = hypotheses(one, kind), hypotheses(two, kind)
    assert list(first) == list(second)
    for a, b in zip(first.values(), second.values()):
        assert a.shape == b.shape
        assert_allclose(sum_of_squares(one, a), sum_of_squares(two, b), rtol=1e-6)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_order_of_rows(kind):
    data = sample()
    turned = data.sample(frac=1.0, random_state=2)
    one, two = fit("f * k + x", data), fit("f * k + x", turned)
    for a, b in zip(hypotheses(one, kind).values(), hypotheses(two, kind).values()):
        assert same_rows(a, b, one.model.exog)


def test_other_random_effects_and_weights_do_not_matter():
    data = sample().assign(w=np.linspace(0.5, 2.0, N))
    one = fit("f * k + x")
    two = crossedmixedlm("y ~ f * k + x + (x | g)", data, weights="w").fit(reml=False)
    for kind in (1, 2, 3):
        for a, b in zip(hypotheses(one, kind).values(), hypotheses(two, kind).values()):
            assert_allclose(a, b)


@pytest.mark.parametrize("right", ["f * k + x", "0 + f + x:f", "np.log(x) + C(f) * k"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_engines_agree(right, kind):
    one, two = fit(right), fit(right, engine="formulaic")
    first, second = (
        {frozenset(n.split(":")): sum_of_squares(r, h) for n, h in found.items()}
        for r, found in ((one, hypotheses(one, kind)), (two, hypotheses(two, kind)))
    )
    assert list(first) == list(second)
    assert_allclose(list(first.values()), list(second.values()))


# terms ---------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_terms_of_a_formula(engine):
    result = fit("x * f + k + I(x**2)", engine=engine)
    terms = fixed_terms(result)
    names = [t.name.replace(" ", "") for t in terms]
    assert names == ["Intercept", "x", "f", "k", "I(x**2)", "x:f"]
    assert [t.is_constant for t in terms] == [True] + [False] * 5
    x, f, k, square, both = terms[1:]
    assert (x.numeric, x.categorical) == ({"x"}, set())
    assert (f.numeric, f.categorical) == (set(), {"f"})
    assert (both.numeric, both.categorical) == ({"x"}, {"f"})
    assert sorted(c for t in terms for c in t.columns) == list(
        range(len(result.params))
    )
    for term in terms:
        inside = [result.model.exog_names[c] for c in term.columns]
        bare = term.name.split(":")
        assert all(b.split("[")[0] in n for n in inside for b in bare)
    # x:f has the covariate x, so it contains x but not f
    assert both.contains(x)
    assert not both.contains(f)
    assert not k.contains(f)
    assert not f.contains(f)
    assert not square.contains(x)


@pytest.mark.parametrize("engine", ENGINES)
def test_terms_of_fewer_factors_come_first(engine):
    terms = fixed_terms(fit("x:f + z + f", engine=engine))
    names = [t.name for t in terms]
    assert names[:3] == ["Intercept", "z", "f"]
    assert set(names[3].split(":")) == {"x", "f"}


def test_containment():
    def term(categorical, numeric=""):
        return FixedTerm("t", "t", (), frozenset(categorical), frozenset(numeric))

    assert term("fk").contains(term("f"))
    assert term("fk").contains(term(""))
    assert term("fk", "x").contains(term("k", "x"))
    assert not term("f", "x").contains(term("f"))
    assert not term("f", "xz").contains(term("", "x"))
    assert not term("f").contains(term("fk"))


def test_terms_of_arrays():
    data = sample()
    x = np.column_stack([np.ones(N), data["x"], data["z"], 2.0 * data["x"]])
    frame = pd.DataFrame(x, columns=["const", "x", "z", "twice"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CrossedMixedLM(data["y"], frame, random={"g": data["g"]}).fit()
    terms = fixed_terms(result)
    assert [t.name for t in terms] == ["const", "x", "z", "twice"]
    assert [t.is_constant for t in terms] == [True, False, False, False]
    assert [t.columns for t in terms] == [(0,), (1,), (2,), (3,)]
    for kind in (2, 3):
        found = hypotheses(result, kind)
        assert list(found) == ["x", "z", "twice"]
        assert found["twice"].shape == (0, 4)
        for name, at in (("x", 1), ("z", 2)):
            assert same_rows(found[name], np.eye(4)[[at]], x)


def test_dropped_columns():
    data = sample()
    data = data.assign(same=data["f"].str.upper(), twice=2.0 * data["x"])
    result = fit("x + f + same + twice + same:k", data)
    kept = np.isfinite(result.params.to_numpy())
    assert not kept.all()
    plain = fit("x + f + f:k", data)
    for kind in (1, 2, 3):
        found, expected = hypotheses(result, kind), hypotheses(plain, kind)
        assert list(found) == ["x", "f", "same", "twice", "same:k"]
        assert found["same"].shape == found["twice"].shape == (0, len(kept))
        for rows in found.values():
            assert (rows[:, ~kept] == 0.0).all()
        value = sum_of_squares(result, found["x"])
        assert_allclose(value, sum_of_squares(plain, expected["x"]))
        assert len(found["same:k"]) == len(expected["f:k"]) == 6


def test_no_terms():
    for right in ("1", "0"):
        for kind in (1, 2, 3):
            assert hypotheses(fit(right), kind) == {}
    assert [t.name for t in fixed_terms(fit("1"))] == ["Intercept"]
    assert fixed_terms(fit("0")) == ()


def test_a_wrapper_and_a_pickle_have_the_same_terms():
    result = fit("x * f")
    other = pickle.loads(pickle.dumps(result))
    assert fixed_terms(result) == fixed_terms(result._results) == fixed_terms(other)
    for a, b in zip(hypotheses(result).values(), hypotheses(other).values()):
        assert_allclose(a, b)


def test_types():
    assert [anova_type(t) for t in (1, 2, 3, "I", "II", "III")] == [1, 2, 3] * 2
    for wrong in (0, 4, "IV", "1", None, 2.5):
        with pytest.raises(ValueError, match="type must be 1, 2, 3, 'I', 'II' or"):
            hypotheses(fit("x"), wrong)


def test_without_data():
    result = pickle.loads(pickle.dumps(fit("x * f")))
    result.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        hypotheses(result)
