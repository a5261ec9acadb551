"""Formulas to matrices, each compared with matrices written out by hand."""

import warnings

import numpy as np
import pandas as pd
import patsy
import pytest
from numpy.testing import assert_allclose
from patsy import dmatrix

from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.transforms import Standardize

N = 24
ROW = np.arange(N)
X = np.sqrt(ROW + 1.0)
Z = np.cos(ROW)
Y = 3 + np.sin(5.0 * ROW)
F = np.array(["p", "q", "r"])[(ROW * 2 + ROW // 5) % 3]
G = np.array(["g1", "g2", "g3", "g4"])[ROW % 4]
OUTER = np.array(["a1", "a2"])[ROW // 12]
INNER = np.array(["b1", "b2", "b3"])[ROW // 4 % 3]
THIRD = np.array(["c1", "c2"])[ROW // 2 % 2]
ONE = np.ones(N)
IN_P, IN_Q, IN_R = (np.where(F == level, 1.0, 0.0) for level in "pqr")

FACTOR = 1.5
"""A global that formulas below use."""


def halved(x):
    """A global function that formulas below use."""
    return x / 2


def frame():
    columns = {
        "y": Y,
        "x": X,
        "z": Z,
        "f": F,
        "g": G,
        "a": OUTER,
        "b": INNER,
        "c": THIRD,
    }
    return pd.DataFrame({**columns, "my col": X, "1st": Z, "the g": G})


def pasted(*columns):
    """Levels of several columns joined by ":"."""
    return np.array([":".join(row) for row in zip(*columns)])


def by_level(labels, *effects):
    """Z of one factor: level by level the effect columns, zero elsewhere."""
    blocks = [
        np.column_stack(effects) * (labels == level)[:, None]
        for level in sorted(set(labels))
    ]
    return np.hstack(blocks)


def z_of(effects):
    """Z of one factor of a model."""
    grouped = effects.grouped
    blocks = [
        grouped.effects * (grouped.codes == level)[:, None]
        for level in range(effects.n_levels)
    ]
    return np.hstack(blocks)


def model_of(formula, data=None, **kwargs):
    data = frame() if data is None else data
    kwargs = {"check_levels": False, "eval_env": 1, **kwargs}
    return crossedmixedlm(formula, data, **kwargs)


def check_random(model, *expected):
    """Each of `expected` is name, labels, effect columns and sizes of blocks."""
    assert [e.name for e in model.random] == [name for name, *_ in expected]
    for effects, (_, labels, columns, blocks) in zip(model.random, expected):
        assert_allclose(z_of(effects), by_level(labels, *columns), atol=1e-13)
        assert list(effects.levels) == sorted(set(labels))
        assert effects.grouped.blocks == tuple(blocks)
        assert len(effects.effect_names) == len(columns)


RANDOM = {
    "(1|g)": [("g", G, [ONE], [1])],
    "(x|g)": [("g", G, [ONE, X], [2])],
    "(1 + x|g)": [("g", G, [ONE, X], [2])],
    "(0+x|g)": [("g", G, [X], [1])],
    "(-1+x|g)": [("g", G, [X], [1])],
    "(x-1|g)": [("g", G, [X], [1])],
    "(x||g)": [("g", G, [ONE, X], [1, 1])],
    "(x + z||g)": [("g", G, [ONE, X, Z], [1, 1, 1])],
    "(0 + x||g)": [("g", G, [X], [1])],
    "(x*z|g)": [("g", G, [ONE, X, Z, X * Z], [4])],
    "(x*z||g)": [("g", G, [ONE, X, Z, X * Z], [1, 1, 1, 1])],
    "(f|g)": [("g", G, [ONE, IN_Q, IN_R], [3])],
    "(0+f|g)": [("g", G, [IN_P, IN_Q, IN_R], [3])],
    "diag(x|g)": [("g", G, [ONE, X], [1, 1])],
    "diag(f|g)": [("g", G, [ONE, IN_Q, IN_R], [1, 1, 1])],
    "diag(0 + f|g)": [("g", G, [IN_P, IN_Q, IN_R], [1, 1, 1])],
    "(x:f|g)": [("g", G, [ONE, X * IN_P, X * IN_Q, X * IN_R], [4])],
    "(1|a:b)": [("a:b", pasted(OUTER, INNER), [ONE], [1])],
    "(1|a/b)": [("a", OUTER, [ONE], [1]), ("a:b", pasted(OUTER, INNER), [ONE], [1])],
    "(1|a/b/c)": [
        ("a", OUTER, [ONE], [1]),
        ("a:b", pasted(OUTER, INNER), [ONE], [1]),
        ("a:b:c", pasted(OUTER, INNER, THIRD), [ONE], [1]),
    ],
    "(x|a/b)": [
        ("a", OUTER, [ONE, X], [2]),
        ("a:b", pasted(OUTER, INNER), [ONE, X], [2]),
    ],
    "(1|f*g)": [
        ("f", F, [ONE], [1]),
        ("g", G, [ONE], [1]),
        ("f:g", pasted(F, G), [ONE], [1]),
    ],
    "(1|g) + (0+x|g)": [("g", G, [ONE, X], [1, 1])],
    "(0+x|g) + (1|a) + (1|g)": [("g", G, [X, ONE], [1, 1]), ("a", OUTER, [ONE], [1])],
    "(1|g) + (0+x+z|g)": [("g", G, [ONE, X, Z], [1, 2])],
    "(1|a:b) + (0+x|b:a)": [("a:b", pasted(OUTER, INNER), [ONE, X], [1, 1])],
    "(np.log(x)|g)": [("g", G, [ONE, np.log(X)], [2])],
    "(log(x)|g)": [("g", G, [ONE, np.log(X)], [2])],
    "(I(x**2)|g)": [("g", G, [ONE, X**2], [2])],
    "(Q('my col')|g)": [("g", G, [ONE, X], [2])],
    "(`my col`|g)": [("g", G, [ONE, X], [2])],
    "(1|Q('the g'))": [("the g", G, [ONE], [1])],
    "(1|`the g`)": [("the g", G, [ONE], [1])],
    "(1|C(g))": [("g", G, [ONE], [1])],
    "(halved(x)|g)": [("g", G, [ONE, X / 2], [2])],
    "(0 + I(x * FACTOR)|g)": [("g", G, [1.5 * X], [1])],
}


@pytest.mark.parametrize("text", RANDOM)
def test_random_part(text, engine):
    model = model_of(f"y ~ z + {text}")
    check_random(model, *RANDOM[text])
    assert_allclose(model.exog, np.column_stack([ONE, Z]))
    assert_allclose(model.endog, Y)


def orthogonal(x, degree):
    """Orthonormal polynomials with positive leading coefficients."""
    q, r = np.linalg.qr(np.vander(x, degree + 1, increasing=True))
    return (q * np.sign(np.diag(r)))[:, 1:].T


def truncated(x, knots):
    """Truncated powers, which span the cubic splines without the intercept."""
    powers = [x, x**2, x**3]
    return np.column_stack(powers + [np.maximum(x - k, 0.0) ** 3 for k in knots])


SCALED = (X - X.mean()) / X.std()
FIXED = {
    "y ~ (1|g)": [ONE],
    "y ~ 1 + (1|g)": [ONE],
    "y ~ x + (1|g)": [ONE, X],
    "y ~ (1|g) + x": [ONE, X],
    "y ~ 0 + x + (1|g)": [X],
    "y ~ x - 1 + (1|g)": [X],
    "y ~ -1 + x + (1|g)": [X],
    "y ~ 0 + f + (1|g)": [IN_P, IN_Q, IN_R],
    "y ~ f - 1 + (1|g)": [IN_P, IN_Q, IN_R],
    "y ~ f + (1|g)": [ONE, IN_Q, IN_R],
    "y ~ f * x + (1|g)": [ONE, IN_Q, IN_R, X, IN_Q * X, IN_R * X],
    "y ~ f:x + (1|g)": [ONE, IN_P * X, IN_Q * X, IN_R * X],
    "y ~ (x + z)**2 + (1|g)": [ONE, X, Z, X * Z],
    "y ~ x * z - x:z + (1|g)": [ONE, X, Z],
    "y ~ x * z + (1|g) - x:z": [ONE, X, Z],
    "y ~ I(x**2) + (1|g)": [ONE, X**2],
    "y ~ x + I(x**2) + (1|g)": [ONE, X, X**2],
    "y ~ I(x > 3) + (1|g)": [ONE, np.where(X > 3, 1.0, 0.0)],
    "y ~ log(x) + sqrt(x) + (1|g)": [ONE, np.log(X), np.sqrt(X)],
    "y ~ np.exp(z) + (1|g)": [ONE, np.exp(Z)],
    "y ~ poly(x, 2) + (1|g)": [ONE, *orthogonal(X, 2)],
    "y ~ Q('my col') + (1|g)": [ONE, X],
    'y ~ Q("my col") + (1|g)': [ONE, X],
    "y ~ `my col` + (1|g)": [ONE, X],
    "y ~ `1st`:x + (1|g)": [ONE, X * Z],
    "y ~ halved(x) + (1|g)": [ONE, X / 2],
    "y ~ I(x * FACTOR) + (1|g)": [ONE, 1.5 * X],
}


@pytest.mark.parametrize("text", FIXED)
def test_fixed_part(text, engine):
    model = model_of(text)
    exog, expected = model.exog, np.column_stack(FIXED[text])
    if engine == "formulaic":  # has an order of its own
        exog, expected = (m[:, np.lexsort(m.round(9))] for m in (exog, expected))
    assert_allclose(exog, expected, rtol=1e-9, atol=1e-13)
    check_random(model, ("g", G, [ONE], [1]))
    assert model.offset is None


@pytest.mark.parametrize(
    ("patsy", "formulaic", "columns"),
    [
        ("C(f, Sum)", "C(f, contr.sum)", [IN_P - IN_R, IN_Q - IN_R]),
        ("C(f, Helmert)", None, [IN_Q - IN_P, 2 * IN_R - IN_P - IN_Q]),
        (
            "C(f, Poly)",
            "C(f, contr.poly)",
            [(IN_R - IN_P) / np.sqrt(2), (IN_P - 2 * IN_Q + IN_R) / np.sqrt(6)],
        ),
        (
            "C(f, Treatment('q'))",
            "C(f, contr.treatment(base='q'))",
            [IN_P, IN_R],
        ),
    ],
)
def test_codings(patsy, formulaic, columns, engine):
    coding = patsy if engine == "patsy" else formulaic
    if coding is None:
        pytest.skip("formulaic divides by the level")
    model = model_of(f"y ~ {coding} + ({coding}|g)")
    assert_allclose(model.exog, np.column_stack([ONE, *columns]), atol=1e-13)
    effects = model.random[0].grouped.effects
    assert_allclose(effects, np.column_stack([ONE, *columns]), atol=1e-13)


def test_scale(engine):
    spread = X.std(ddof=0 if engine == "patsy" else 1)
    scaled = (X - X.mean()) / spread
    model = model_of("y ~ scale(x) + (scale(x)|g)")
    assert_allclose(model.exog, np.column_stack([ONE, scaled]), atol=1e-13)
    check_random(model, ("g", G, [ONE, scaled], [2]))


@pytest.mark.parametrize("kind", [float, np.float32, int])
@pytest.mark.parametrize("width", [1, 2])
def test_scale_by_chunks_is_that_of_patsy(kind, width):
    rng = np.random.default_rng(0)
    x = (1e3 + 5.0 * rng.standard_normal((101, width))).astype(kind)
    x[:, -1] = np.arange(101) % 3 == 0
    x = x if width > 1 else x[:, 0]
    own, theirs = Standardize(), patsy.state.Standardize()
    for chunk in np.split(x, [0, 1, 40]):
        own.memorize_chunk(chunk)
        theirs.memorize_chunk(chunk)
    assert type(own.current_n) is int
    assert own.current_n == 101
    assert_allclose(own.current_mean, theirs.current_mean, rtol=1e-12)
    assert_allclose(own.current_M2, theirs.current_M2, rtol=1e-12)
    assert_allclose(own.transform(x), theirs.transform(x), rtol=0.0, atol=1e-12)


def test_scale_of_a_constant_has_no_spread():
    own = Standardize()
    for chunk in (np.full(7, 0.1), np.full(30, 0.1)):
        own.memorize_chunk(chunk)
    assert own.current_M2 == 0.0
    assert own.current_mean == 0.1


def test_spline(engine):
    model = model_of("y ~ bs(x, df=4) + (1|g)")
    assert model.exog.shape == (N, 5)
    both = np.column_stack([ONE, truncated(X, [np.median(X)])])
    assert np.linalg.matrix_rank(both) == 5
    solved, *_ = np.linalg.lstsq(both, model.exog)
    assert_allclose(both @ solved, model.exog, atol=1e-10)
    assert np.linalg.matrix_rank(model.exog) == 5
    assert model.exog[:, 1:].min() >= 0
    assert model.exog[:, 1:].sum(axis=1).max() == pytest.approx(1)


def test_poly_in_the_random_part(engine):
    model = model_of("y ~ 1 + (poly(x, 3)|g)")
    check_random(model, ("g", G, [ONE, *orthogonal(X, 3)], [4]))


@pytest.mark.parametrize(
    ("left", "expected"),
    [("log(y)", np.log(Y)), ("np.log(y)", np.log(Y)), ("I(y - x)", Y - X)],
)
def test_response(left, expected, engine):
    assert_allclose(model_of(f"{left} ~ x + (1|g)").endog, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("offset(z)", Z),
        ("offset(2 * z + 1)", 2 * Z + 1),
        ("offset(log(x))", np.log(X)),
        ("offset(z) + offset(x)", Z + X),
        ("offset(Q('my col'))", X),
    ],
)
def test_offset(text, expected, engine):
    model = model_of(f"y ~ x + {text} + (1|g)")
    assert_allclose(model.offset, expected)
    assert_allclose(model.exog, np.column_stack([ONE, X]))
    model = model_of(f"y ~ x + {text} + (1|g)", offset="z")
    assert_allclose(model.offset, expected + Z)


@pytest.mark.parametrize("text", ["offset(f)", "offset(C(f))", "offset(bs(x, df=4))"])
def test_offset_of_several_columns(text, engine):
    with pytest.raises(ValueError, match="offset"):
        model_of(f"y ~ x + {text} + (1|g)")


def test_double_bar_with_a_factor(engine):
    """The columns of a factor stay correlated, as in lme4, and it is said once."""
    with pytest.warns(DataWarning) as caught:
        model = model_of("y ~ 1 + (f||g)")
    assert len(caught) == 1
    assert "diag(f | g)" in str(caught[0].message)
    assert "(0 + f || g) leaves the intercept out" in str(caught[0].message)
    assert caught[0].filename == __file__
    check_random(model, ("g", G, [ONE, IN_P, IN_Q, IN_R], [1, 3]))
    with pytest.warns(DataWarning) as caught:
        model_of("y ~ 1 + (f + x + C(c)||g)")
    assert len(caught) == 1
    for text in ("(0 + f || g)", "(x:f || g)"):
        with pytest.warns(DataWarning, match="for independent columns$"):
            model_of(f"y ~ 1 + {text}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model_of("y ~ 1 + diag(f|g) + (x||a)")


def test_names_of_a_function(engine):
    shift, labels = 2.5, pd.Series(["u", "v"] * 12)  # noqa: F841

    def cubed(x):
        return x**3

    data = frame()
    model = crossedmixedlm("y ~ cubed(x) + I(x + shift) + labels + (1|g)", data)
    expected = {
        "cubed(x)": X**3,
        "I(x + shift)": X + 2.5,
        "labels[T.v]": np.where(labels == "v", 1.0, 0.0),
    }
    for name, column in expected.items():
        assert_allclose(model.exog[:, model.exog_names.index(name)], column)
    model = crossedmixedlm("y ~ 1 + offset(shift * z) + (cubed(x)|g)", data)
    assert_allclose(model.offset, 2.5 * Z)
    check_random(model, ("g", G, [ONE, X**3], [2]))


@pytest.mark.parametrize("index", [ROW + 100, ROW[::-1]])
def test_series_with_the_index_of_the_data(index, engine):
    data = frame().set_axis(index)
    double = 2 * data["x"]
    model = crossedmixedlm("y ~ double + offset(double) + (double|g)", data)
    assert_allclose(model.exog, np.column_stack([ONE, 2 * X]))
    assert_allclose(model.offset, 2 * X)
    check_random(model, ("g", G, [ONE, 2 * X], [2]))
    assert list(double.index) == list(index)


def test_arrays_as_long_as_data_with_incomplete_rows(engine):
    data = frame()
    data.loc[3, "y"] = np.nan
    double, triple = 2 * X, 3 * data["x"]
    model = crossedmixedlm("y ~ double + offset(triple) + (double|g)", data)
    kept = ROW != 3
    assert_allclose(model.exog[:, 1], double[kept])
    assert_allclose(model.random[0].grouped.effects[:, 1], double[kept])
    assert_allclose(model.offset, triple[kept])


def test_backticks_where_a_variable_is_called_q(engine):
    Q = ROW  # noqa: F841
    model = crossedmixedlm("y ~ `my col` + (1|g)", frame())
    assert_allclose(model.exog[:, 1], X)


def test_columns_come_before_names(engine):
    x, FACTOR = ONE, 7.0  # noqa: F841
    model = crossedmixedlm("y ~ I(FACTOR * x) + (1|g)", frame())
    assert_allclose(model.exog[:, 1], 7.0 * X)
    model = crossedmixedlm("y ~ FACTOR + (1|g)", frame().assign(FACTOR=Z))
    assert_allclose(model.exog[:, 1], Z)


def test_eval_env(engine):
    names = {"shift": 4.0}
    model = crossedmixedlm("y ~ I(x + shift) + (1|g)", frame(), eval_env=names)
    assert_allclose(model.exog[:, 1], X + 4.0)
    with pytest.raises(ValueError, match="'shift' not in data"):
        crossedmixedlm("y ~ I(x + shift) + (1|g)", frame())
    shift = 1.0  # noqa: F841
    with pytest.raises(ValueError, match="'shift' not in data"):
        crossedmixedlm("y ~ I(x + shift) + (1|g)", frame(), eval_env=-1)


def test_names(engine):
    model = model_of("y ~ f * x + (x + f|g) + (1|a/b)")
    plain = ["Intercept", "f[T.q]", "f[T.r]"]
    assert set(model.exog_names) == {*plain, "x", "f[T.q]:x", "f[T.r]:x"}
    first, *others = model.random
    assert set(first.effect_names) == {*plain, "x"}
    assert first.effect_names[0] == "Intercept"
    assert [e.effect_names for e in others] == [("Intercept",), ("Intercept",)]
    assert first.block_names == [first.effect_names]
    assert model_of("y ~ 1 + (x||g)").random[0].block_names == [("Intercept",), ("x",)]


def test_columns_belong_to_their_names(engine):
    model = model_of("y ~ 1 + (x + f|g)")
    expected = {"Intercept": ONE, "x": X, "f[T.q]": IN_Q, "f[T.r]": IN_R}
    effects = model.random[0]
    for name, column in zip(effects.effect_names, effects.grouped.effects.T):
        assert_allclose(column, expected[name])


def test_levels():
    data = frame()
    order = ["g3", "g1", "g9", "g4", "g2"]
    data["ordered"] = pd.Categorical(data["g"], order)
    data["number"] = ROW % 4 * 10
    data["float"] = ROW % 4 / 2
    data["bool"] = ROW % 4 > 1
    data["mixed"] = [f"{r % 12}" for r in ROW]
    levels = {
        "g": ["g1", "g2", "g3", "g4"],
        "ordered": ["g3", "g1", "g4", "g2"],
        "number": [0, 10, 20, 30],
        "float": [0.0, 0.5, 1.0, 1.5],
        "bool": [False, True],
        "mixed": sorted({str(r % 12) for r in ROW}),
    }
    for name, expected in levels.items():
        (effects,) = model_of(f"y ~ x + (1|{name})", data).random
        assert list(effects.levels) == expected
        assert list(data[name]) == [expected[c] for c in effects.grouped.codes]


def test_observed_combinations_only():
    data = frame()
    data = data[~((data["a"] == "a1") & (data["b"] == "b2"))]
    data = data[~((data["a"] == "a2") & (data["b"] == "b3"))]
    _, cells = model_of("y ~ x + (1|a/b)", data).random
    assert list(cells.levels) == ["a1:b1", "a1:b3", "a2:b1", "a2:b2"]
    labels = pasted(data["a"], data["b"])
    assert list(cells.levels[cells.grouped.codes]) == list(labels)


def test_combinations_in_the_order_of_the_levels():
    data = frame()
    data["b"] = pd.Categorical(data["b"], ["b3", "b1", "b2"])
    (cells,) = model_of("y ~ x + (1|a:b)", data).random
    assert list(cells.levels)[:4] == ["a1:b3", "a1:b1", "a1:b2", "a2:b3"]
    (cells,) = model_of("y ~ x + (1|b:a)", data).random
    assert list(cells.levels)[:3] == ["b3:a1", "b3:a2", "b1:a1"]


def test_combinations_whose_labels_look_alike():
    data = frame()
    data["l"] = np.array(["u", "u:v", "u"])[ROW % 3]
    data["m"] = np.array(["v:w", "w", "x"])[ROW % 3]
    (cells,) = model_of("y ~ x + (1|l:m)", data).random
    assert cells.n_levels == 3
    assert list(cells.levels) == [("u", "v:w"), ("u", "x"), ("u:v", "w")]
    assert cells.grouped.codes[:3].tolist() == [0, 2, 1]


def test_many_combinations():
    """The product of the numbers of levels needs more than 32 bits."""
    n, k = 100_000, 50_000
    assert k * k > 2**31
    row = np.arange(n)
    a, b = row % k, (row * 7 + row // k) % k
    data = pd.DataFrame({"y": np.sin(row), "a": a, "b": b, "c": row % 3})
    pairs = len(set(zip(a.tolist(), b.tolist())))
    (effects,) = model_of("y ~ 1 + (1|a:b)", data).random
    assert effects.n_levels == pairs
    assert effects.grouped.codes.max() == pairs - 1
    names = effects.levels[effects.grouped.codes]
    assert list(names[[0, 70_000, n - 1]]) == [
        f"{a[i]}:{b[i]}" for i in (0, 70_000, -1)
    ]
    (effects,) = model_of("y ~ 1 + (1|a:b:c)", data).random
    assert effects.n_levels == len(set(zip(a.tolist(), b.tolist(), data["c"])))


def test_the_name_of_an_argument_is_no_column():
    """A gap in a column that is called like an argument costs no row."""
    data = pd.DataFrame({"y": np.arange(12.0) ** 2, "x": np.arange(12.0)})
    data["g"], data["df"] = np.arange(12) % 4, np.nan
    model = crossedmixedlm("y ~ bs(x, df=4) + (1 | g)", data)
    assert model.nobs == 12
    assert "df" not in model.data.frame


def test_incomplete_rows(engine):
    data = frame()
    data.loc[3, "y"] = np.nan
    data.loc[5, "x"] = np.nan
    data.loc[7, "z"] = np.nan
    kept = ~np.isin(ROW, [3, 5])
    model = model_of("y ~ 1 + (x|g)", data)
    assert_allclose(model.endog, Y[kept])
    assert_allclose(model.random[0].grouped.effects, np.column_stack([ONE, X])[kept])
    assert list(model.random[0].levels[model.random[0].grouped.codes]) == list(G[kept])
    kept = ~np.isin(ROW, [3, 7])
    assert_allclose(model_of("y ~ offset(z) + (1|g)", data).offset, Z[kept])


def test_unused_levels_go(engine):
    data = frame()
    data["f"] = pd.Categorical(F, ["o", "p", "q", "r"])
    with pytest.warns(DataWarning, match="levels of 'f' without observations"):
        model = model_of("y ~ 0 + f + (1|g)", data)
    assert_allclose(model.exog, np.column_stack([IN_P, IN_Q, IN_R]))
    check_random(model_of("y ~ 1 + (0 + f|g)", data), ("g", G, [IN_P, IN_Q, IN_R], [3]))


def test_columns_alone_and_in_expressions():
    """A column is the same by itself and in an expression, whatever the labels."""
    data = frame().set_index(np.roll(ROW, 5))
    fixed = "x + np.log(x) + f + f:x + I(z > 0) + C(g)"
    model = crossedmixedlm(f"y ~ {fixed} + (x | g)", data)
    expected = dmatrix(fixed, data, return_type="dataframe")
    pd.testing.assert_frame_equal(model.data.orig_exog, expected)
    assert_allclose(model.random[0].grouped.effects, np.column_stack([ONE, X]))
