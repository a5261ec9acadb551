"""A damaged text is refused in the package's own words, or does no harm."""

import copy
import json
import random
import warnings

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm.exceptions import DataError, FormulaError, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.results.saving import from_json, to_json

rng = np.random.default_rng(3)
N = 120
DATA = pd.DataFrame({"x": rng.random(N), "z": rng.random(N), "g": np.arange(N) % 12})
DATA["f"], DATA["h"] = rng.choice(["a", "b", "c"], N), (DATA["g"] // 4).astype(str)
DATA["y"] = DATA["x"] + rng.standard_normal(12)[DATA["g"]] + rng.standard_normal(N)

NEW = DATA.drop(columns="y").head(24)

FORMULAS = {
    "slopes": "y ~ x * f + (x | g)",
    "nested": "y ~ C(f, Sum) + scale(x) + offset(z) + (1 | h/g)",
    "splines": "y ~ bs(x, df=4) + cr(z, df=3) + (poly(z, 2) || g)",
    "tensor": "y ~ te(cr(x, df=3), cc(z, df=3), constraints='center') + center(x)"
    " + diag(0 + f | g)",
}


def saved():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            name: to_json(crossedmixedlm(formula, DATA).fit())
            for name, formula in FORMULAS.items()
        }


TEXTS = saved()


def use(result):
    """All that a fit that was loaded can do; its predictions."""
    _ = (result.bse, result.cov_params(), result.variance_components())
    _ = (result.random_effects_table(), result.summary(), repr(result))
    return [
        result.predict(NEW, random_effects=effects, new_levels="population")
        for effects in (False, True)
    ]


def assert_harmless(text):
    """
    Whether a text was read; an error of ours or finite predictions.

    Rows that are no longer determined, because another column than the fit's is dropped
    for them, are NaN, and a RankWarning says how many.
    """
    try:
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always", RankWarning)
            predictions = use(from_json(text))
    except (DataError, FormulaError):
        return False
    is_told = any(issubclass(w.category, RankWarning) for w in record)
    for values in predictions:
        assert is_told or np.isfinite(values).all()
        assert not np.isinf(values).any()
        assert np.abs(np.nan_to_num(values)).max() < 1e30
    return True


@pytest.mark.parametrize("name", FORMULAS)
def test_nothing_is_refused_as_it_was_saved(name):
    assert assert_harmless(TEXTS[name])


# damage at random ------------------------------------------------------------

INSTEAD = [
    *(None, True, 0, -1, 2.5, 49, 1_000_000, 1e308, 10**400, "", "x", "<b>", "open"),
    *([], {}, [None], [[]], [[1, 2], [3]], {"a": 1}, [0.0] * 8),
    *(float("nan"), float("inf"), "\ud800", "datetime64[ns]", "U99999999"),
]


def places(part, path=()):
    """Paths to all parts of what JSON holds."""
    if path:
        yield path
    keys = part if isinstance(part, dict) else range(len(part))
    for key in keys if isinstance(part, dict | list) else ():
        value = part[key]
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def at(part, path):
    for key in path:
        part = part[key]
    return part


def damage(whole, choose):
    """Change one part of a saved fit."""
    top = choose.choice(list(whole))
    paths = [p for p in places(whole) if p[0] == top] or [(top,)]
    *path, key = choose.choice(paths)
    parent, kind = at(whole, path), choose.randrange(9)
    value = parent[key]
    is_number = isinstance(value, int | float)
    if kind == 0:
        del parent[key]
    elif kind == 1 and is_number:
        parent[key] = -value
    elif kind == 2 and is_number:
        parent[key] = value * choose.choice([1e100, 1e250, float("nan")])
    elif kind == 3 and isinstance(value, list) and value:
        del value[choose.randrange(len(value)) :]
    elif kind == 4 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(value))
    elif kind == 5:
        parent[key] = [value]
    elif kind == 6:
        parent[key] = len(value) if isinstance(value, str) else str(value)
    elif kind == 7:
        other = at(whole, choose.choice(paths))
        parent[key] = copy.deepcopy(other)
    else:
        parent[key] = copy.deepcopy(choose.choice(INSTEAD))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMULAS)
def test_damage_at_random(name):
    refused = 0
    for seed in range(80):
        choose = random.Random(seed)
        whole = json.loads(TEXTS[name])
        damage(whole, choose)
        refused += not assert_harmless(json.dumps(whole))
    assert refused > 40


@pytest.mark.parametrize("name", FORMULAS)
def test_texts_that_are_cut_or_garbled(name):
    text = TEXTS[name]
    choose = random.Random(0)
    for _ in range(40):
        at = choose.randrange(len(text))
        garbage = choose.choice(["", "[", "}", '"', "NaN", "-Infinity", "1e999", "\0"])
        assert_harmless(text[:at] + garbage + text[at + choose.randrange(3) :])
        assert not assert_harmless(text[:at])


# damage on purpose -----------------------------------------------------------


def splines(whole, **state):
    for factor in whole["design"]["factors"].values():
        for transform in factor["transforms"].values():
            if "_degree" in transform:
                transform.update(state)


def first(whole, name):
    return next(iter(whole["design"]["factors"].values()))[name]


ENDS = [0.0] * 4 + [1.0] * 4
DAMAGES = {
    "scale": lambda s: s.update(scale=-1.0),
    "scale of zero": lambda s: s.update(scale=0.0),
    "scale of another fit": lambda s: s.update(scale=2 * s["scale"]),
    "scale as text": lambda s: s.update(scale="1.0"),
    "infinite parameter": lambda s: s["params"].__setitem__(0, float("inf")),
    "parameter beyond numbers": lambda s: s["params"].__setitem__(0, 10**400),
    "missing parameter": lambda s: s["params"].__setitem__(0, None),
    "parameter far beyond its error": lambda s: s["params"].__setitem__(0, 1e99),
    "truth for a parameter": lambda s: s["params"].__setitem__(0, True),
    "negative variance": lambda s: s["cov_params"][0].__setitem__(0, -1.0),
    "asymmetry": lambda s: s["cov_params"][0].__setitem__(1, 9.0),
    "missing mode": lambda s: s["random"][0]["modes"][0].__setitem__(0, None),
    "negative component": lambda s: s["variance_components"].update(
        variance=[-v for v in s["variance_components"]["variance"]]
    ),
    "missing llf": lambda s: s.update(llf=None),
    "rows": lambda s: s.update(nobs=-3),
    "method": lambda s: s.update(method="OLS"),
    "converged": lambda s: s.update(converged="yes"),
    "summary": lambda s: s.update(summary=["<b>"]),
    "version": lambda s: s.update(version="1"),
    "version of zero": lambda s: s.update(version=0),
    "deep": lambda s: s.update(params=json.loads("[" * 200 + "]" * 200)),
    "exog_names": lambda s: s["exog_names"].reverse(),
    "group": lambda s: s["random"][0].update(name="other"),
    "codes beyond": lambda s: s["random"][0]["keys"][0]["codes"].__setitem__(0, 99),
    "codes below": lambda s: s["random"][0]["keys"][0]["codes"].__setitem__(0, -1),
    "codes between": lambda s: s["random"][0]["keys"][0]["codes"].__setitem__(0, 0.5),
    "code twice": lambda s: s["random"][0]["keys"][0]["codes"].__setitem__(0, 1),
    "code lost": lambda s: s["random"][0]["keys"][0]["codes"].pop(),
    "levels twice": lambda s: s["random"][0]["levels"]["values"].__setitem__(0, 1),
    "levels of another type": lambda s: s["random"][0]["levels"].update(dtype="bool"),
    "levels that overflow": lambda s: s["random"][0]["levels"].update(
        dtype="int8", values=[300 + i for i in range(12)]
    ),
    "half a character": lambda s: s["random"][0]["effects"].__setitem__(0, "\ud800"),
    "sizes": lambda s: s["random"][0].update(sizes=[7]),
    "columns lost": lambda s: s.update(types=[]),
    "terms lost": lambda s: s["design"]["terms"].pop(),
    "width": lambda s: s["design"]["terms"][1]["subterms"][0].update(num_columns=2),
    "degree 49": lambda s: splines(s, _degree=49, _all_knots=[0.0] * 50 + [1.0] * 50),
    "degree 6": lambda s: splines(s, _degree=6, _all_knots=[0.0] * 7 + [1.0] * 7),
    "huge degree": lambda s: splines(s, _degree=1_000_000),
    "negative degree": lambda s: splines(s, _degree=-5),
    "degree as text": lambda s: splines(s, _degree="3"),
    "half a degree": lambda s: splines(s, _degree=2.5),
    "no degree": lambda s: splines(s, _degree=None),
    "missing knots": lambda s: splines(s, _all_knots=[None] * 8),
    "one knot": lambda s: splines(s, _all_knots=[0.0]),
    "no knots": lambda s: splines(s, _all_knots=[]),
    "knots as a number": lambda s: splines(s, _all_knots=3.0),
    "knots as a column": lambda s: splines(s, _all_knots=[[k] for k in ENDS]),
    "unsorted knots": lambda s: splines(s, _all_knots=[*ENDS, 0.5]),
    "knots outside": lambda s: splines(s, _all_knots=[-1.0, *ENDS]),
    "one place": lambda s: splines(s, _all_knots=[1.0] * 9),
    "few knots at the end": lambda s: splines(s, _all_knots=sorted(ENDS)[:-1] + [2.0]),
    "transforms lost": lambda s: first(s, "transforms").clear(),
    "type of a factor": lambda s: next(iter(s["design"]["factors"].values())).update(
        type="other"
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_on_purpose(name):
    whole = json.loads(TEXTS["splines"])
    DAMAGES[name](whole)
    with pytest.raises(DataError, match=r"not a saved fit|do not match"):
        from_json(json.dumps(whole))


STATES = {
    "cr(x, df=3)": {"_all_knots": [0.0, 0.0, 1.0]},
    "cc(x, df=3)": {"_all_knots": [[0.0, 1.0]]},
    "cr(x, df=3, constraints='center')": {"_constraints": [[1.0, 2.0]]},
    "poly(x, 2)": {"_norms": [1.0, -1.0, 1.0]},
    "poly(x, 3)": {"_degree": 9},
    "poly(z, 2)": {"_centers": [0.5, 1e9]},
    "poly(z, 3)": {"_norms": [1.0, 1.0, 1.0, 1e200]},
    "cr(z, df=3)": {"_all_knots": [-1e99, 0.0, 1e99]},
    "scale(z)": {"current_mean": [1e99]},
    "center(z)": {"_sum": [-1e99]},
    "scale(x)": {"current_M2": [-1.0]},
    "standardize(x)": {"current_n": 0},
    "center(x)": {"_count": 0},
    "te(cr(x, df=3), cr(z, df=3), constraints='center')": {"_constraints": [1.0]},
}


@pytest.mark.parametrize("term", STATES)
def test_what_transforms_remember(term):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = to_json(crossedmixedlm(f"y ~ {term} + (1 | g)", DATA).fit())
    assert assert_harmless(text)
    whole = json.loads(text)
    (name,) = STATES[term]
    transforms = whole["design"]["factors"][term]["transforms"].values()
    next(t for t in transforms if name in t).update(STATES[term])
    with pytest.raises(DataError, match=r"the saved state of .* is damaged|shape"):
        from_json(json.dumps(whole))
