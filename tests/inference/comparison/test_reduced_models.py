"""
Models without a term, against the same models written by hand.

A reduced model must have the criterion of the formula that a user would have written,
and its own formula must lead there again.
"""

import functools
import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from samples import ENGINES
from statsmodels.formula import options
from statsmodels.regression.linear_model import OLS, WLS

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.backend import formula_engine

N = 96
SHIFT = 4.0


@functools.cache
def sample():
    rng = np.random.default_rng(12)
    g, h = rng.permutation(np.arange(N) % 8), rng.permutation(np.arange(N) % 6)
    x, z = rng.uniform(1.0, 4.0, N), rng.standard_normal(N)
    f = rng.choice(["a", "b", "c"], N)
    u, v = rng.standard_normal((8, 3)), rng.standard_normal(6)
    y = 8.0 + 0.5 * x + u[g, 0] + 0.6 * u[g, 1] * x + 0.5 * u[g, 2] * z + v[h]
    y += 0.5 * (f == "b") + rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "f": f, "g": g, "h": h})
    frame["b"], frame["my x"], frame["my g"] = np.arange(N) % 3, x, g
    return frame.assign(w=rng.uniform(0.5, 2.0, N), o=rng.standard_normal(N))


def quiet(formula, data, reml, **more):
    """A fit that may warn, with the names of this module in reach."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return crossedmixedlm(formula, data, **more).fit(reml=reml)


def fit(right, reml=True, data=None, left="y", **more):
    """A fit that is kept if it is one of the sample."""
    formula = f"{left} ~ {right}"
    if data is None:
        return kept(options.formula_engine, formula, reml, **more)
    return quiet(formula, data, reml, **more)


@functools.cache
def kept(engine, formula, reml, **more):
    return quiet(formula, sample(), reml, **more)


def check_same(found, expected, reml=True):
    """One model, whatever its words."""
    assert_allclose(found.llf, expected.llf, rtol=1e-9)
    assert found.reml is expected.reml is reml
    assert found.n_params == expected.n_params
    assert_allclose(found.fittedvalues, expected.fittedvalues, atol=1e-4)
    for name in ("weights", "offset"):
        one, two = getattr(found.model, name), getattr(expected.model, name)
        assert (one is None) == (two is None)
        if one is not None:
            assert_allclose(one, two, atol=1e-12)


def check_formula(found, data=None, **more):
    """What a formula says is what was fitted."""
    left, right = found.model.formula_full.split(" ~ ", 1)
    again = fit(right, found.reml, data, left, **more)
    assert_allclose(again.llf, found.llf, rtol=1e-9)
    assert list(again.params.index) == list(found.params.index)
    assert [e.name for e in again.model.random] == [e.name for e in found.model.random]


# fixed effects -------------------------------------------------------------

# formula, term, formula without it
FIXED = {
    "covariate": ("x + f + (1 | g)", "x", "f + (1 | g)"),
    "factor": ("x + f + (x | g)", "f", "x + (x | g)"),
    "interaction": ("x * f + (1 | g)", "x:f", "x + f + (1 | g)"),
    "turned": ("x * f + (1 | g)", "f:x", "x + f + (1 | g)"),
    "main effect": ("x * z + (1 | g)", "x", "z + x:z + (1 | g)"),
    "factor of a slope": ("x * f + (1 | g)", "f", "x + x:f + (1 | g)"),
    "intercept": ("x + z + (1 | g)", "Intercept", "0 + x + z + (1 | g)"),
    "one": ("x + z + (1 | g)", "1", "0 + x + z + (1 | g)"),
    "no intercept": ("0 + f + x + (1 | g)", "x", "0 + f + (1 | g)"),
    "no intercept, factor": ("0 + x + f + (1 | g)", "f", "0 + x + (1 | g)"),
    "last": ("x + (1 | g)", "x", "1 + (1 | g)"),
    "nothing left": ("1 + (1 | g)", "Intercept", "0 + (1 | g)"),
    "transform": ("np.log(x) + z + (1 | g)", "z", "np.log(x) + (1 | g)"),
    "transformed": ("np.log(x) + z + (1 | g)", "np.log(x)", "z + (1 | g)"),
    "identity": ("x + I(x ** 2) + (1 | g)", "I(x ** 2)", "x + (1 | g)"),
    "identity, tight": ("x + I(x**2) + (1 | g)", "I(x**2)", "x + (1 | g)"),
    "kept identity": ("z + I(x ** 2) + (1 | g)", "z", "I(x ** 2) + (1 | g)"),
    "stateful": ("center(x) + z + (1 | g)", "z", "center(x) + (1 | g)"),
    "poly": ("poly(x, 2) + z + (1 | g)", "poly(x, 2)", "z + (1 | g)"),
    "kept poly": ("poly(x, 2) + z + (1 | g)", "z", "poly(x, 2) + (1 | g)"),
    "nested": ("x + z + (1 | h / b)", "z", "x + (1 | h / b)"),
    "double bar": ("x + z + (x || g)", "z", "x + (x || g)"),
    "diag": ("x + z + diag(x + z | g)", "z", "x + diag(x + z | g)"),
    "same factor": ("x + z + (1 | g) + (0 + x | g)", "z", "x + (1 | g) + (0 + x | g)"),
    "effects": ("x + z + (0 + f | g)", "z", "x + (0 + f | g)"),
    "offset": ("x + z + offset(o) + (1 | g)", "z", "x + offset(o) + (1 | g)"),
    "offsets": (
        "x + z + offset(o) + offset(2 * x) + (1 | g)",
        "z",
        "x + offset(o) + offset(2 * x) + (1 | g)",
    ),
    "caller": ("I(x + SHIFT) + z + (1 | g)", "z", "I(x + SHIFT) + (1 | g)"),
    "caller, random": ("x + z + (I(x - SHIFT) | g)", "z", "x + (I(x - SHIFT) | g)"),
}


@pytest.mark.parametrize("name", FIXED)
def test_drop_fixed(name, engine):
    full, term, left = FIXED[name]
    reml = engine == "patsy"
    result = fit(full, reml)
    found = result.drop_fixed(term)
    check_same(found, fit(left, reml), reml)
    check_formula(found)
    # the fit itself stays
    assert result.model.formula_full == f"y ~ {full}"
    assert type(found) is type(result)


CODED = [
    ("C(f, Sum) + x + (1 | g)", "x", "C(f, Sum) + (1 | g)"),
    ("C(f, Sum) + x + (1 | g)", "C(f, Sum)", "x + (1 | g)"),
    ("x * C(f, Sum) + (1 | g)", "x:C(f, Sum)", "x + C(f, Sum) + (1 | g)"),
    ("C(f, Treatment('b')) + x + (1 | g)", "x", "C(f, Treatment('b')) + (1 | g)"),
    ("x + z + (C(f, Sum) | g)", "z", "x + (C(f, Sum) | g)"),
]


@pytest.mark.parametrize(("full", "term", "left"), CODED)
def test_drop_fixed_with_contrasts(full, term, left):
    found = fit(full).drop_fixed(term)
    check_same(found, fit(left))
    check_formula(found)
    assert list(found.params.index) == list(fit(left).params.index)


@pytest.mark.slow
@pytest.mark.parametrize("term", ["`my x`", "Q('my x')"])
def test_names_in_backticks(term, engine):
    result = fit("`my x` + z + (`my x` | `my g`) + (1 | h)")
    found = result.drop_fixed(term)
    check_same(found, fit("z + (x | g) + (1 | h)"))
    check_formula(found)
    found = result.drop_fixed("z")
    check_same(found, fit("x + (x | g) + (1 | h)"))
    check_formula(found)
    found = result.drop_random("my g", effect=term)
    check_same(found, fit("x + z + (1 | g) + (1 | h)"))
    check_formula(found)
    check_same(result.drop_random("h"), fit("x + z + (x | g)"))
    for name in ("my g", "(`my x` | `my g`)", "`my x` | `my g`"):
        check_same(result.drop_random(name), fit("x + z + (1 | h)"))


@pytest.mark.parametrize(
    ("right", "term"),
    [
        ("f * C(b) + (1 | g)", "f"),
        ("f * C(b) + (1 | g)", "C(b)"),
        ("f + x + (1 | g)", "Intercept"),
        ("x * f + (1 | g)", "x"),
    ],
)
def test_terms_that_others_span(right, term, engine):
    with pytest.raises(DataError, match="span the same fixed effects"):
        fit(right).drop_fixed(term)


def test_errors_list_what_there_is():
    result = fit("x * f + (x | g) + (1 | h)")
    for wrong in ("z", "x:z", "f[T.b]", "", "xf"):
        with pytest.raises(ValueError, match=r"no fixed term .* Intercept, x, f, x:f"):
            result.drop_fixed(wrong)
    for wrong in ("k", "(x | h)", "(1 | g)", "(z | g)", "1 | k"):
        with pytest.raises(
            ValueError, match=r"no random-effects term .* \(x \| g\), \(1 \| h\)"
        ):
            result.drop_random(wrong)
    with pytest.raises(
        ValueError, match=r"no effect 'z' in \(x \| g\); there are 1, x"
    ):
        result.drop_random("g", effect="z")


# random effects ------------------------------------------------------------

# formula, term, effect, formula without it
RANDOM = {
    "term": ("x + (x | g) + (1 | h)", "(1 | h)", None, "x + (x | g)"),
    "bare": ("x + (x | g) + (1 | h)", "1 | h", None, "x + (x | g)"),
    "factor": ("x + (x | g) + (1 | h)", "g", None, "x + (1 | h)"),
    "written otherwise": ("x + (x | g) + (1 | h)", "(1 + x | g)", None, "x + (1 | h)"),
    "slope": ("x + (x | g) + (1 | h)", "g", "x", "x + (1 | g) + (1 | h)"),
    "intercept": ("x + (x | g)", "(x | g)", "1", "x + (0 + x | g)"),
    "named intercept": ("x + (x | g)", "g", "Intercept", "x + (0 + x | g)"),
    "one of two": ("x + (x + z | g)", "g", "z", "x + (x | g)"),
    "other of two": ("x + (x + z | g)", "(x + z | g)", "x", "x + (z | g)"),
    "categorical": ("x + (f | g)", "g", "f", "x + (1 | g)"),
    "categorical and slope": ("x + (f + x | g)", "g", "f", "x + (x | g)"),
    "transformed": ("x + (np.log(x) | g)", "g", "np.log(x)", "x + (1 | g)"),
    "identity": ("x + (z + I(x ** 2) | g)", "g", "I(x ** 2)", "x + (z | g)"),
    "interaction": ("x + (x * z | g)", "g", "x:z", "x + (x + z | g)"),
    "double bar": ("x + (x || g) + (1 | h)", "(0 + x | g)", None, "x + (1|g) + (1|h)"),
    "double bar, intercept": ("x + (x || g)", "(1 | g)", None, "x + (0 + x | g)"),
    "double bar, all": ("x + (x || g) + (1 | h)", "(x || g)", None, "x + (1 | h)"),
    "double bar, factor": ("x + (x || g) + (1 | h)", "g", None, "x + (1 | h)"),
    "double bar, effect": ("x + (x || g) + (1 | h)", "g", "x", "x + (1|g) + (1|h)"),
    "two terms, effect": (
        "x + (1 | g) + (0 + x + z | g)",
        "g",
        "z",
        "x + (1 | g) + (0 + x | g)",
    ),
    "two terms": (
        "x + (1 | g) + (0 + x | g) + (1 | h)",
        "(0 + x | g)",
        None,
        "x + (1 | g) + (1 | h)",
    ),
    "diag": ("x + diag(x + z | g)", "g", "z", "x + diag(x | g)"),
    "diag, term": (
        "x + diag(x + z | g) + (1 | h)",
        "diag(x + z | g)",
        None,
        "x + (1|h)",
    ),
    "nested, inner": ("x + (1 | h / b)", "h:b", None, "x + (1 | h)"),
    "nested, outer": ("x + (1 | h / b)", "h", None, "x + (1 | h:b)"),
    "nested, turned": ("x + (1 | h / b)", "(1 | b:h)", None, "x + (1 | h)"),
    "nested, all": ("x + (1 | h / b) + (1 | g)", "(1 | h / b)", None, "x + (1 | g)"),
    "offset": ("x + offset(o) + (x | g)", "g", "x", "x + offset(o) + (1 | g)"),
    "caller": ("x + (I(x - SHIFT) | g) + (1 | h)", "h", None, "x + (I(x - SHIFT) | g)"),
}


@pytest.mark.parametrize("name", RANDOM)
def test_drop_random(name, engine):
    full, term, effect, left = RANDOM[name]
    reml = engine == "formulaic"
    result = fit(full, reml)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = result.drop_random(term, effect=effect)
        check_formula(found)
    check_same(found, fit(left, reml), reml)
    assert result.model.formula_full == f"y ~ {full}"


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "offset"), [("w", None), (None, "o"), ("w", "o")])
@pytest.mark.parametrize("in_formula", ["", " + offset(0.5 * z)"])
def test_weights_and_offsets(weights, offset, in_formula):
    more = {"weights": weights, "offset": offset}
    right = "x + z" + in_formula
    result = fit(right + " + (x | g) + (1 | h)", **more)
    found = result.drop_fixed("z")
    check_same(found, fit("x" + in_formula + " + (x | g) + (1 | h)", **more))
    check_formula(found, **more)
    found = result.drop_random("h")
    check_same(found, fit(right + " + (x | g)", **more))
    check_formula(found, **more)
    check_same(
        result.drop_random("g", effect="x"),
        fit(right + " + (1 | g) + (1 | h)", **more),
    )
    # twice
    check_same(
        result.drop_random("h").drop_fixed("z"),
        fit("x" + in_formula + " + (x | g)", **more),
    )


def test_weights_and_offsets_that_are_arrays():
    data = sample()
    more = {"weights": data["w"].to_numpy(), "offset": data["o"].to_numpy()}
    found = fit("x + z + (1 | g)", data=data, **more).drop_fixed("z")
    check_same(found, fit("x + (1 | g)", data=data, **more))


def test_rows_that_were_left_out(engine):
    """Missing values, weights of zero, a subset, labels of rows."""
    data = sample().copy()
    data.index = [f"row {i}" for i in range(N)]
    data.loc["row 3", "x"] = data.loc["row 10", "y"] = np.nan
    data.loc["row 20", "z"] = data.loc["row 30", "o"] = np.nan
    data.loc["row 40", "w"] = 0.0
    subset = np.arange(N) % 7 != 0
    more = {"data": data, "weights": "w", "offset": "o", "subset": subset}
    result = fit("center(x) + z + (x | g) + (1 | h)", **more)
    # rows without z stay away although z is dropped
    used = data.loc[result.model.data.row_labels]
    assert len(used) < subset.sum()
    assert "row 20" not in used.index
    same = {"data": used, "weights": "w", "offset": "o"}
    check_same(result.drop_fixed("z"), fit("center(x) + (x | g) + (1 | h)", **same))
    found = result.drop_random("h")
    check_same(found, fit("center(x) + z + (x | g)", **same))
    assert list(found.model.data.row_labels) == list(used.index)
    test = result.compare_lr_test(found)
    assert_allclose(test.statistic, 2.0 * (result.llf - found.llf), rtol=1e-9)


def test_a_response_that_is_transformed(engine):
    result = fit("x + z + (1 | g)", left="np.log(y)")
    found = result.drop_fixed("z")
    check_same(found, fit("x + (1 | g)", left="np.log(y)"))
    check_formula(found)


@pytest.mark.parametrize("reml", [True, False])
def test_after_a_refit(reml):
    data = sample()
    response = data["y"] + np.sin(np.arange(N))
    result = fit("x + z + (x | g) + (1 | h)", reml, weights="w").refit(response)
    other = {"data": data.assign(y=response), "weights": "w"}
    check_same(
        result.drop_fixed("z"), fit("x + (x | g) + (1 | h)", reml, **other), reml
    )
    check_same(result.drop_random("h"), fit("x + z + (x | g)", reml, **other), reml)
    last = result.drop_random("h").drop_random("g")
    wls = sm.WLS(response, sm.add_constant(data[["x", "z"]]), weights=data["w"]).fit()
    assert_allclose(last.llf, wls.llf)


def test_names_of_the_caller():
    here = np.linspace(1.0, 2.0, N)

    def bend(values):
        return values**1.5

    result = crossedmixedlm("y ~ bend(x) + here + z + (bend(x) | g)", sample()).fit()

    def elsewhere(here=None, bend=None):
        return result.drop_fixed("z"), result.drop_random("g", effect="bend(x)")

    one, two = elsewhere()
    expected = sample().assign(bent=sample()["x"] ** 1.5, here=here)
    check_same(one, fit("bent + here + (bent | g)", data=expected))
    check_same(two, fit("bent + here + z + (1 | g)", data=expected))


@pytest.mark.slow
def test_pickled_models(engine):
    result = fit("I(x + SHIFT) + np.log(x) + z + (x | g) + (1 | h)")
    other = pickle.loads(pickle.dumps(result))
    for one, two in (
        (other.drop_fixed("z"), result.drop_fixed("z")),
        (other.drop_random("h"), result.drop_random("h")),
        (other.drop_random("g", effect="x"), result.drop_random("g", effect="x")),
    ):
        check_same(one, two)
    again = pickle.loads(pickle.dumps(result.drop_fixed("z")))
    assert_allclose(again.llf, result.drop_fixed("z").llf)


def test_names_that_could_not_be_pickled():
    lock = threading.Lock()

    def local(v):
        with lock:  # which no pickle can hold
            return v + 1.0

    result = crossedmixedlm("y ~ local(x) + z + (1 | g)", sample()).fit()
    assert result.drop_fixed("z").n_params == 4
    other = pickle.loads(pickle.dumps(result))
    with pytest.raises(DataError, match="could not be pickled with the model: local"):
        other.drop_fixed("z")
    assert local(1.0) == 2.0


@pytest.mark.parametrize("with_engine", ENGINES)
def test_the_engine_of_the_fit_is_used(with_engine):
    with formula_engine(with_engine):
        result = fit("x * f + z + (f | g)")
    for current in ENGINES:
        with formula_engine(current):
            found = result.drop_fixed("z")
            assert options.formula_engine == current
        assert found.model.data.engine == with_engine


@pytest.mark.filterwarnings("ignore::statsmodels_lmm.exceptions.RankWarning")
def test_redundant_columns():
    data = sample().assign(twice=2.0 * sample()["x"])
    result = fit("x + z + twice + (1 | g) + (1 | h)", data=data)
    check_same(result.drop_fixed("z"), fit("x + (1 | g) + (1 | h)"))
    check_same(result.drop_random("h"), fit("x + z + (1 | g)"))
    with pytest.raises(DataError, match="span the same fixed effects"):
        result.drop_fixed("twice")
    last = fit("x + z + twice + (1 | g)", data=data).drop_random("g")
    assert list(last.params.index) == ["Intercept", "x", "z"]


# without random effects ----------------------------------------------------


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("offset", [None, "o"])
def test_last_random_term(weights, offset, engine):
    data, reml = sample(), engine == "patsy"
    result = fit("x + f + offset(z) + (x | g)", reml, weights=weights, offset=offset)
    for found in (result.drop_random("g"), result.drop_random("(x | g)")):
        y = data["y"] - data["z"] - (data["o"] if offset else 0.0)
        x = np.column_stack(
            [np.ones(N), data["x"], data["f"] == "b", data["f"] == "c"]
        ).astype(float)
        expected = WLS(y, x, weights=data["w"]) if weights else OLS(y, x)
        assert isinstance(found.model, WLS if weights else OLS)
        assert_allclose(found.llf, expected.fit().llf)
        names = list(result.params.index)
        assert list(found.params.index) == names
        at = [["Intercept", "x", "f[T.b]", "f[T.c]"].index(n) for n in names]
        assert_allclose(found.params, np.asarray(expected.fit().params)[at])
    zero = np.zeros(len(result.theta))
    assert_allclose(found.llf, result.model.loglike(zero, reml=False))


def test_last_effect_of_the_last_term():
    found = fit("x + (0 + x | g)").drop_random("g", effect="x")
    assert_allclose(found.llf, sm.OLS.from_formula("y ~ x", sample()).fit().llf)


@pytest.mark.parametrize("offset", [None, "o"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_what_is_left_can_be_compared(weights, offset):
    full = fit("x + (1 | g)", reml=False, weights=weights, offset=offset)
    restricted = full.drop_random("g")
    test = full.compare_lr_test(restricted)
    assert_allclose(test.statistic, 2.0 * (full.llf - restricted.llf))
    assert test.df_diff == 1


# arrays --------------------------------------------------------------------


def array_fit(reml=True, pandas=True, **more):
    data = sample()
    exog = sm.add_constant(data[["x", "z"]])
    effects, g, h = sm.add_constant(data[["x"]]), data["g"], data["h"]
    if not pandas:
        exog, effects, g, h = (v.to_numpy() for v in (exog, effects, g, h))
    random = {"g": (g, effects), "h": h}
    return CrossedMixedLM(data["y"], exog, random=random, **more).fit(reml=reml)


@pytest.mark.parametrize("pandas", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_models_from_arrays(weighted, pandas):
    data, reml = sample(), pandas is weighted
    more, same = {}, {}
    if weighted:
        more = {"weights": data["w"].to_numpy(), "offset": data["o"].to_numpy()}
        same = {"weights": "w", "offset": "o"}
    result = array_fit(reml, pandas, **more)
    z = result.model.exog_names[2]
    found = result.drop_fixed(z)
    check_same(found, fit("x + (x | g) + (1 | h)", reml, **same), reml)
    assert list(found.params.index) == result.model.exog_names[:2]
    found = result.drop_random("h")
    check_same(found, fit("x + z + (x | g)", reml, **same), reml)
    assert list(found.params.index) == result.model.exog_names
    check_same(result.drop_random("g"), fit("x + z + (1 | h)", reml, **same), reml)
    last = result.drop_random("h").drop_random("g")
    assert_allclose(last.llf, fit("x + z + (1 | g)", reml, **same).drop_random("g").llf)
    assert list(last.params.index) == result.model.exog_names
    no_constant = result.drop_fixed("const")
    check_same(no_constant, fit("0 + x + z + (x | g) + (1 | h)", reml, **same), reml)


def test_errors_of_models_from_arrays():
    result = array_fit()
    with pytest.raises(ValueError, match="no fixed term 'k'; there are const, x, z"):
        result.drop_fixed("k")
    with pytest.raises(ValueError, match="no grouping factor 'k'; there are g, h"):
        result.drop_random("k")
    with pytest.raises(ValueError, match="from a formula"):
        result.drop_random("g", effect="x")


CALLS = {
    "drop_fixed": lambda r: r.drop_fixed("x"),
    "drop_random": lambda r: r.drop_random("h"),
    "drop1": lambda r: r.drop1(),
    "random_effect_tests": lambda r: r.random_effect_tests(),
    "fixed_effect_tests": lambda r: r.fixed_effect_tests("lrt"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["formula", "arrays"])
def test_after_the_data_were_removed(kind, name):
    arrays = kind == "arrays"
    formula = "x + z + (x | g) + (1 | h)"
    result = array_fit() if arrays else fit(formula, data=sample())
    result.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        CALLS[name](result)


@pytest.mark.parametrize("name", ["drop_random", "random_effect_tests"])
def test_last_random_term_after_the_data_were_removed(name):
    result = fit("x + (1 | h)", data=sample())
    result.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        CALLS[name](result)
