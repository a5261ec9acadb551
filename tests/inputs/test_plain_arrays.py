"""Arrays of every kind: read as numbers, or refused in words; masked is missing."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from statsmodels.tools.sm_exceptions import MissingDataError

from statsmodels_lmm import CrossedMixedLM, matrix_effects, random_effects
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.inputs.plain_arrays import group_values, numeric

N, GAPS = 48, 3
RNG = np.random.default_rng(9)
G = np.repeat(np.arange(8), 6)
X = np.column_stack([np.ones(N), RNG.integers(-20, 20, N)])
Y = np.round(RNG.normal(size=8)[G] * 8 + RNG.normal(size=N) * 8 + X[:, 1])
Z = np.eye(8)[G]
ONES = np.ones(N)
DATA = pd.DataFrame({"y": Y, "x": X[:, 1], "g": G})
PLAIN = CrossedMixedLM(Y, X, {"g": G}).fit()

TYPES = [">f8", "float32", "float16", "longdouble", "int8", ">i2", "int64", object]
WITHIN = {
    "response": lambda v: (v(Y), X, {"g": G}, {}),
    "design": lambda v: (Y, v(X), {"g": G}, {}),
    "groups": lambda v: (Y, X, {"g": v(G)}, {}),
    "effects": lambda v: (Y, X, {"g": (G, v(ONES[:, None]))}, {}),
    "matrix": lambda v: (Y, X, {"g": v(Z)}, {}),
    "weights": lambda v: (Y, X, {"g": G}, {"weights": v(ONES)}),
    "offset": lambda v: (Y, X, {"g": G}, {"offset": v(0.0 * ONES)}),
}
CONVERSIONS = {
    **{str(kind): lambda a, k=kind: a.astype(k) for kind in TYPES},
    "lists": lambda a: a.tolist() if a.ndim == 1 else a,
    "Decimal": lambda a: np.vectorize(lambda v: Decimal(int(v)), otypes=[object])(a),
    "Fraction": lambda a: np.vectorize(lambda v: Fraction(int(v)), otypes=[object])(a),
    "Float64": lambda a: _pandas(a, "Float64"),
    "Int64": lambda a: _pandas(a, "Int64"),
    "sparse": lambda a: _pandas(a, pd.SparseDtype(float)),
    "masked": np.ma.array,
}


def _pandas(array, kind):
    make = pd.Series if array.ndim == 1 else pd.DataFrame
    return make(array).astype(kind)


def fitted(where, convert):
    endog, exog, random, options = WITHIN[where](convert)
    return CrossedMixedLM(endog, exog, random, **options).fit()


@pytest.mark.parametrize("kind", CONVERSIONS)
@pytest.mark.parametrize("where", WITHIN)
def test_numbers_of_every_kind(where, kind):
    if where == "matrix" and kind in ("Decimal", "Fraction"):
        pytest.skip("a matrix of objects is a matter of the same function")
    assert fitted(where, CONVERSIONS[kind]).llf == pytest.approx(PLAIN.llf, abs=1e-8)


def test_sparse_matrices():
    exog = sparse.csr_array(X)
    assert CrossedMixedLM(Y, exog, {"g": G}).fit().llf == pytest.approx(PLAIN.llf)
    for make in (sparse.coo_matrix, sparse.csc_array, sparse.lil_array):
        for z in (make(Z), make(Z.astype(bool)), make(Z.astype("float32"))):
            found = CrossedMixedLM(Y, X, {"g": z}).fit()
            assert found.llf == pytest.approx(PLAIN.llf, abs=1e-8)


@pytest.mark.parametrize("where", [w for w in WITHIN if w != "groups"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("complex", "must be real"),
        ("U9", "must be numeric"),
        ("S9", "must be numeric"),
        ("M8[s]", "holds dates or times"),
        ("m8[s]", "holds dates or times"),
    ],
)
def test_what_is_no_number(where, kind, message):
    with pytest.raises(DataError, match=message):
        fitted(where, lambda a: a.astype(int).astype(kind))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0], [3.0]], "v is not an array of numbers"),
        ([1.0, "a"], "must be numeric"),
        (np.array([1.0, "a"], object), "v must be numeric; it holds 'a' \\(str\\)"),
        (np.array([1.0, 2j], object), "v must be real"),
        ([10**400], "v has numbers too large"),
        (pd.Series(["a"], dtype="category"), "v must be numeric, not category"),
        (pd.Series(["1"]), "v must be numeric"),
        (pd.Series(pd.period_range("2020", periods=2)), "v holds dates"),
        (pd.DataFrame({"a": [1], "b": ["q"]}), "column 'b' of v must be numeric"),
    ],
)
def test_numeric_refuses(values, message):
    with pytest.raises(DataError, match=message):
        numeric(values, "v")


def test_numeric_gaps():
    expected = [1.0, np.nan]
    for values in (
        np.ma.array([1.0, 999.0], mask=[0, 1]),
        np.ma.array([1, 999], mask=[0, 1]),
        np.ma.array(np.array([1, "text"], object), mask=[0, 1]),
        pd.Series([1, None], dtype="Int64"),
        [1.0, None],
        np.array([1, pd.NA], object),
    ):
        assert_array_equal(numeric(values, "v"), expected)
    assert_array_equal(numeric(np.ma.array([1.0, 2.0]), "v"), [1.0, 2.0])


def masked(array):
    """The first rows masked, with other values behind the mask."""
    array = np.array(array)
    array[:GAPS] = 99
    rows = np.arange(len(array)) < GAPS
    mask = rows if array.ndim == 1 else np.repeat(rows[:, None], array.shape[1], axis=1)
    return np.ma.array(array, mask=mask)


MASKED = {
    **{w: WITHIN[w](masked) for w in WITHIN},
    "random_effects": (Y, X, [random_effects(masked(G), name="g")], {}),
    "matrix_effects": (Y, X, [matrix_effects(masked(Z), name="g")], {}),
}


@pytest.mark.parametrize("where", MASKED)
def test_masked_values_are_missing(where):
    endog, exog, random, options = MASKED[where]
    with pytest.raises(DataError, match=r"missing|not finite"):
        CrossedMixedLM(endog, exog, random, **options)
    with pytest.raises(MissingDataError):
        CrossedMixedLM(endog, exog, random, missing="raise", **options)
    found = CrossedMixedLM(endog, exog, random, missing="drop", **options).fit()
    keep = np.arange(N) >= GAPS
    expected = CrossedMixedLM(Y[keep], X[keep], {"g": G[keep]}).fit()
    assert found.nobs == N - GAPS
    assert found.llf == pytest.approx(expected.llf, abs=1e-8)
    if where not in ("matrix", "matrix_effects"):
        assert list(found.model.random[0].levels) == list(range(8))


def test_masked_values_of_other_doors():
    with pytest.raises(DataError, match="missing or infinite in 3 of the rows"):
        PLAIN.refit(masked(Y))
    found = CrossedMixedLM.from_matrices(Y, X, masked(Z), missing="drop").fit()
    assert found.nobs == N - GAPS
    mean = np.asarray(PLAIN.predict(masked(X)))
    assert np.isnan(mean[:GAPS]).all()
    assert_allclose(mean[GAPS:], PLAIN.predict()[GAPS:])
    assert np.isnan(PLAIN.model.predict(PLAIN.params, masked(X))[:GAPS]).all()
    mean = np.asarray(PLAIN.predict(X, offset=masked(0.0 * ONES)))
    assert_array_equal(np.isnan(mean), np.arange(N) < GAPS)
    with pytest.raises(DataError, match="g has missing values"):
        PLAIN.predict(X, random={"g": masked(G)}, random_effects=True)
    for name in ("weights", "offset"):
        with pytest.raises(DataError, match=f"{name} has missing or infinite values"):
            crossedmixedlm("y ~ x + (1 | g)", DATA, **{name: masked(ONES)})
    with pytest.warns(DataWarning, match="3 rows dropped"):
        found = mixedlm("y ~ x", DATA, groups=masked(G), missing="drop").fit()
    assert found.nobs == N - GAPS
    with pytest.raises(DataError, match=r"the variable 'v' .* masked values"):
        crossedmixedlm("y ~ v + (1 | g)", DATA, eval_env={"v": masked(X[:, 1])})
    table = {"y": masked(Y), "x": X[:, 1], "g": G}
    assert crossedmixedlm("y ~ x + (1 | g)", table).fit().nobs == N - GAPS
    records = np.ma.array(
        list(zip(Y, X[:, 1], G)),
        dtype=[("y", float), ("x", float), ("g", int)],
        mask=[(i < GAPS, False, False) for i in range(N)],
    )
    assert crossedmixedlm("y ~ x + (1 | g)", records).fit().nobs == N - GAPS
    k = np.ma.array(np.eye(8), mask=np.eye(8) > 0)
    with pytest.raises(DataError, match="missing or infinite values for '0'"):
        crossedmixedlm("y ~ x + (1 | g)", DATA, relationship={"g": (k, range(8))})


@pytest.mark.parametrize("kind", [">i4", ">f8", ">U2", "float16"])
def test_columns_in_another_byte_order(kind):
    data = DATA.assign(g=pd.Series(G.astype(kind)), x=DATA["x"].astype(">f8"))
    data["y"] = data["y"].astype(">f4")
    fit = crossedmixedlm("y ~ x + (1 | g)", data, weights="x", subset=data["x"] > 0)
    expected = crossedmixedlm("y ~ x + (1 | g)", DATA, weights="x", subset=DATA.x > 0)
    assert fit.fit().llf == pytest.approx(expected.fit().llf, abs=1e-8)
    fit = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    again = fit.predict(data.tail(9), random_effects=True)
    assert_allclose(again, fit.fittedvalues[-9:])


@pytest.mark.parametrize("value", [[1], {1: 2}, {3}, np.array([1, 2])])
def test_values_that_cannot_be_levels(value):
    kind = type(value).__name__
    groups = pd.Series([value] * N)
    with pytest.raises(DataError, match=f"cannot be levels, such as a {kind}; convert"):
        crossedmixedlm("y ~ x + (1 | g)", DATA.assign(g=groups))
    fit = crossedmixedlm("y ~ x + (1 | g)", DATA).fit()
    with pytest.raises(DataError, match=f"cannot be levels, such as a {kind}"):
        fit.predict(DATA.assign(g=groups), random_effects=True)
    if not isinstance(value, np.ndarray):
        with pytest.raises(DataError, match=f"cannot be levels, such as a {kind}"):
            CrossedMixedLM(Y, X, {"g": groups})


def test_group_values():
    assert group_values(np.arange(3, dtype=">i4"), "v").dtype == np.int32
    assert group_values(np.arange(3, dtype="float16"), "v").dtype == float
    found = group_values(np.ma.array([1, 2], mask=[1, 0]), "v")
    assert np.isnan(found[0])
    assert found[1] == 2
    with pytest.raises(DataError, match="v must be one-dimensional"):
        group_values(np.ones((2, 2)), "v")
    with pytest.raises(DataError, match="v are records"):
        group_values(np.zeros(2, [("a", int), ("b", int)]), "v")


def test_names_of_columns_with_several_levels():
    data = DATA.set_axis(pd.MultiIndex.from_product([["a"], DATA.columns]), axis=1)
    message = "MultiIndex; join its 2 levels"
    with pytest.raises(DataError, match=message):
        crossedmixedlm("y ~ x + (1 | g)", data)
    fit = crossedmixedlm("y ~ x + (1 | g)", DATA).fit()
    with pytest.raises(DataError, match=message):
        fit.predict(data)


def test_names_of_the_index():
    data = DATA.set_index("g")
    for door, options in ((crossedmixedlm, {}), (mixedlm, {"groups": "g"})):
        formula = "y ~ x" if options else "y ~ x + (1 | g)"
        with pytest.raises(ValueError, match=r"data.reset_index\(\) makes it a column"):
            door(formula, data, **options)
    fit = crossedmixedlm("y ~ x + (1 | g)", DATA).fit()
    with pytest.raises(DataError, match=r"no column 'x'.*reset_index\(\)"):
        fit.predict(DATA.set_index("x"))
    # a column of the same name wins
    both = data.assign(g=G)
    assert crossedmixedlm("y ~ x + (1 | g)", both).fit().llf == fit.llf
