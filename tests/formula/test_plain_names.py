"""Columns of any name are shown as they are called."""

import json

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm import anova, crossedmixedlm, from_json, report, to_json
from statsmodels_lmm.formula.plain_names import in_backticks, plain_names, unquoted


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        (["Intercept", "Q('RT (ms)')"], ["Intercept", "RT (ms)"]),
        (["Q('a b')[T.c]:log(Q(\"it's\"))"], ["a b[T.c]:log(it's)"]),
        (["my_Q('a b')", "x.Q('a b')"], ["my_Q('a b')", "x.Q('a b')"]),
        # what could be taken for something else
        (["Q('a:b')", "Q('1')", "Q(1)", "Q(' x')", "Q('(x)')"], None),
        (["a", "b", "Q('a-b')"], None),
        (["a", "Q('a-b')"], ["a", "a-b"]),
        (["log(x)", "Q('log(x)')"], None),
        (["Q('2019')", "Q('1e3')"], None),
        (["Q('2nd half')"], ["2nd half"]),
        (["Q(\"Q('z')\")"], None),
    ],
)
def test_plain_names(names, plain):
    assert plain_names(names) == (names if plain is None else plain)


def test_what_a_user_writes():
    assert unquoted("`a b` - Q('c d') = 0") == "a b - c d = 0"
    assert unquoted("Q('a\nb') = 0") == "a\nb = 0"
    assert unquoted("`a:b` = `c d`", ["Q('a:b')", "c d"]) == "Q('a:b') = c d"
    assert in_backticks("1 + Q('a b') + Q('a`b')") == "1 + `a b` + Q('a`b')"


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(1)
    n = 120
    data = pd.DataFrame(
        {
            "RT (ms)": rng.normal(500.0, 50.0, n),
            "word freq": rng.normal(size=n),
            "cond/1": np.tile(["a b", "c"], n // 2),
            "Subject ID": np.repeat(np.arange(12), n // 12),
        }
    )
    data["RT (ms)"] += 40.0 * rng.normal(size=12)[data["Subject ID"]]
    data["RT (ms)"] += (
        20.0 * rng.normal(size=12)[data["Subject ID"]] * (data["word freq"])
    )
    text = "`RT (ms)` ~ `cond/1` * `word freq` + (`word freq` | `Subject ID`)"
    return crossedmixedlm(text, data).fit(), data


@pytest.mark.filterwarnings("ignore:refitted by maximum likelihood")
def test_nothing_shown_is_quoted_in_python(fit):
    result, _ = fit
    assert result.model.endog_names == "RT (ms)"
    names = ["Intercept", "cond/1[T.c]", "word freq", "cond/1[T.c]:word freq"]
    assert result.model.exog_names == list(result.params.index) == names
    assert list(result.conf_int().index) == names
    assert list(result.anova().index) == ["cond/1", "word freq", "cond/1:word freq"]
    shown = [
        result.summary(),
        result,
        result.tidy().to_string(),
        result.anova(),
        result.random_effect_tests(),
        result.variance_parameters(),
        result.marginal_means("cond/1"),
        report(result),
        anova(result, result.drop_fixed("cond/1:word freq")),
        result.model.update(". ~ . - `cond/1`:`word freq`").formula_full,
        result.drop_fixed("`cond/1`:`word freq`").model.formula_full,
    ]
    assert not [text for text in map(str, shown) if "Q(" in text]


def test_both_spellings_are_understood(fit):
    result, _ = fit
    value = result.params["word freq"]
    for name in ("word freq", "`word freq`", "Q('word freq')"):
        assert result.t_test(f"{name} = 0").effect[0] == value
        assert result.t_test([f"2 * {name}"]).effect[0] == 2.0 * value
        found = result.wald_test({name: 0.0}).statistic
        assert np.isclose(found, result.tvalues["word freq"] ** 2)
        assert result.derive(f'b["{name}"]').estimates.iloc[0] == value
        variance = result.derive(f"var({name} | Subject ID)").estimates.iloc[0]
        effects = result.cov_re["Subject ID"]
        assert np.isclose(variance, effects.loc["word freq", "word freq"])
        left = result.drop_random("Subject ID", effect=name)
        assert left.model.random[0].effect_names == ("Intercept",)
    both = "`cond/1`[T.c]:`word freq` = `word freq`"
    expected = result.params["cond/1[T.c]:word freq"] - value
    assert np.isclose(result.t_test(both).effect[0], expected)


@pytest.mark.parametrize("matrix", [np.eye(2), [1.0, 2.0], (np.eye(3), 0.0), 5.0])
def test_hypotheses_of_another_width(fit, matrix):
    match = r"wrong shape: .* each of the 4 fixed effects, Intercept, .* it has \d$"
    for test in (fit[0].t_test, fit[0].wald_test):
        with pytest.raises(ValueError, match=match):
            test(matrix)


def test_saved_fits_of_either_spelling_predict(fit):
    result, data = fit
    saved = json.loads(to_json(result))
    assert saved["exog_names"] == result.model.exog_names
    for names in (saved["exog_names"], saved["design"]["columns"]):
        back = from_json(json.dumps({**saved, "exog_names": names}))
        assert list(back.params.index) == names
        assert np.allclose(back.predict(data), result.predict(data))
