"""
Which rows a formula takes: gaps, subsets, repeated labels, and names around it.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.regression import mixed_linear_model as statsmodels_mixed
from statsmodels.tools.sm_exceptions import MissingDataError
from statsmodels_twin import mixedlm_at

from statsmodels_lmm import CrossedMixedLM, MixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm

TEXT = "y ~ x"
ARGUMENTS = {
    "re_formula": "~w",
    "vc_formula": {"s": "0 + C(s)", "v": "0 + v"},
}
DOORS = [mixedlm, crossedmixedlm]


def frame(seed=8):
    rng = np.random.default_rng(seed)
    g, s = np.repeat(np.arange(14), 9), np.tile(np.repeat([0, 1, 2], 3), 14)
    data = pd.DataFrame(rng.normal(size=(126, 3)), columns=["x", "w", "v"])
    u, b = rng.normal(size=(14, 3)), rng.normal(size=(14, 3))
    data["y"] = 1 + data["x"] + u[g, 0] + u[g, 1] * data["w"] + b[g, s]
    data["y"] += u[g, 2] * data["v"] + 0.5 * rng.normal(size=126)
    data["g"], data["s"] = [f"g{i:02d}" for i in g], [f"s{i}" for i in s]
    data["number"], data["other"] = g, rng.normal(size=126)
    return data.iloc[rng.permutation(126)].reset_index(drop=True)


DATA = frame()


def fit(data=DATA, door=mixedlm, **arguments):
    return door(TEXT, data, **{"groups": "g"} | ARGUMENTS | arguments).fit()


def same_fit(found, expected):
    assert found.llf == pytest.approx(expected.llf, abs=1e-10)
    assert_allclose(found.params, expected.params, atol=1e-8)
    assert_allclose(found.theta, expected.theta, atol=1e-6)
    assert_allclose(found.fittedvalues, expected.fittedvalues, atol=1e-7)


def with_gaps(column):
    data = DATA.copy()
    if column == "number":
        data[column] = data[column].astype(float)
    data.loc[[3, 50, 51, 120], column] = None if column in "gs" else np.nan
    return data


# gaps -------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("column", ["y", "x", "w", "v", "g", "s"])
def test_incomplete_rows_are_dropped(column, door):
    data = with_gaps(column)
    result = fit(data, door, missing="drop")
    kept = data.dropna()
    same_fit(result, fit(kept, door))
    assert result.nobs == 122
    assert result.fittedvalues.index.tolist() == kept.index.tolist()
    if door is mixedlm:
        model, expected = result.model, fit(kept).model
        assert model.row_indices == expected.row_indices
        assert model.n_totobs == 122


@pytest.mark.parametrize("column", ["y", "x", "w", "v", "g", "s"])
def test_statsmodels_drops_the_same(column):
    data = with_gaps(column)
    result = fit(data, missing="drop")
    if column == "g":  # statsmodels cannot sort labels with a gap: cut before
        data = data.dropna()
    old = statsmodels_mixed.MixedLM.from_formula(
        TEXT, data, groups="g", missing="drop", **ARGUMENTS
    )
    theirs = mixedlm_at(old, result)
    assert theirs.llf == pytest.approx(result.llf, abs=1e-8)
    assert_allclose(result.fittedvalues, theirs.fittedvalues, atol=1e-5)


@pytest.mark.parametrize("column", ["y", "x", "w", "v", "g", "s"])
@pytest.mark.parametrize("missing", ["none", "raise"])
def test_incomplete_rows_raise(column, missing):
    with pytest.raises((MissingDataError, DataError), match="missing"):
        fit(with_gaps(column), missing=missing)


@pytest.mark.parametrize("missing", ["none", "raise", "drop"])
@pytest.mark.parametrize("door", DOORS)
def test_gaps_in_other_columns_do_not_matter(door, missing):
    data = DATA.assign(other=np.nan, number=with_gaps("number")["number"])
    if door is crossedmixedlm and missing == "none":
        missing = "raise"
    same_fit(fit(data, door, missing=missing), fit(DATA, door))


@pytest.mark.parametrize("door", DOORS)
def test_gaps_in_groups_given_as_an_array(door):
    data = with_gaps("g")
    found = fit(DATA, door, groups=data["g"].to_numpy(), missing="drop")
    same_fit(found, fit(data.dropna(), door))


def test_gaps_in_several_groups():
    data = with_gaps("s")
    found = mixedlm(TEXT, data, groups=["g", "s"], missing="drop").fit()
    same_fit(found, mixedlm(TEXT, data.dropna(), groups=["g", "s"]).fit())


def test_gaps_where_all_rows_are_one_group():
    data = with_gaps("x").assign(one=1)
    vc = {"g": "0 + C(g)", "s": "0 + C(g):C(s)"}
    found = mixedlm(TEXT, data, groups="one", vc_formula=vc, missing="drop").fit()
    expected = crossedmixedlm(f"{TEXT} + (1 | g/s)", data.dropna()).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-10)
    assert found.model.n_groups == 1
    assert found.model.row_indices == {1: list(range(122))}


def test_a_subset_may_leave_one_group():
    """A grouping factor that is constant in the rows that are left."""
    few = DATA["g"] == "g03"
    found = mixedlm(
        "y ~ 1", DATA, groups="g", vc_formula={"s": "0 + C(s)"}, subset=few
    ).fit()
    expected = crossedmixedlm("y ~ 1 + (1 | s)", DATA[few]).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-10)
    assert found.model.group_labels == ["g03"]
    assert list(found.random_effects) == ["g03"]


# subsets ------------------------------------------------------------------------


SUBSETS = {
    "booleans": DATA["x"].to_numpy() > -0.5,
    "series": DATA["x"] > -0.5,
    "list": (DATA["x"] > -0.5).tolist(),
    "labels": DATA.index[DATA["x"] > -0.5],
    "list of labels": DATA.index[DATA["x"] > -0.5].tolist(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", SUBSETS)
def test_subset(kind, door):
    expected = fit(DATA[DATA["x"] > -0.5], door)
    for groups in ("g", DATA["g"].to_numpy(), DATA["g"]):
        found = fit(DATA, door, subset=SUBSETS[kind], groups=groups)
        same_fit(found, expected)
    assert found.nobs == (DATA["x"] > -0.5).sum()


def test_subset_by_labels_of_text():
    data = DATA.set_index(pd.Index([f"row{i}" for i in range(126)]))
    chosen = [f"row{i}" for i in range(0, 126, 2)]
    same_fit(fit(data, subset=chosen), fit(data.loc[chosen]))


# labels of rows and groups ----------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("index", [np.zeros(126), np.arange(126) // 2, list("ab") * 63])
def test_repeated_labels_of_rows(index, door):
    data = DATA.set_axis(index, axis=0)
    result = fit(data, door)
    same_fit(result, fit(DATA, door))
    assert result.fittedvalues.index.tolist() == list(index)


@pytest.mark.parametrize("door", DOORS)
def test_order_of_rows(door):
    turned = fit(DATA.iloc[::-1], door)
    expected = fit(DATA, door)
    assert turned.llf == pytest.approx(expected.llf, abs=1e-10)
    assert_allclose(
        turned.fittedvalues[expected.fittedvalues.index], expected.fittedvalues
    )
    assert_allclose(turned.bse, expected.bse, rtol=1e-8)


def test_labels_may_occur_again_in_other_groups():
    """Labels within groups are nested, whether or not other groups have them too."""
    distinct = DATA.assign(s=DATA["g"] + DATA["s"])
    same_fit(fit(distinct), fit(DATA))
    categorical = DATA.assign(s=pd.Categorical(DATA["s"], ["s2", "s0", "s1"]))
    same_fit(fit(categorical), fit(DATA))


def test_mixed_labels():
    mixed = DATA["number"].map(lambda i: i if i % 2 else f"g{i}")
    result = fit(DATA.assign(g=mixed))
    expected = fit(DATA)
    assert result.llf == pytest.approx(expected.llf, abs=1e-10)
    assert set(result.random_effects) == set(mixed)
    assert_allclose(
        result.random_effects[3].to_numpy(), expected.random_effects["g03"], atol=1e-7
    )
    assert_allclose(
        result.random_effects["g4"].to_numpy(),
        expected.random_effects["g04"],
        atol=1e-7,
    )
    for label, rows in result.model.row_indices.items():
        assert (mixed.iloc[rows] == label).all()


KINDS = {
    "integers": DATA["number"],
    "floats": DATA["number"] / 4,
    "dates": pd.Timestamp("2024-01-01") + pd.to_timedelta(DATA["number"], unit="D"),
    "categories": pd.Categorical(DATA["g"], [f"g{i:02d}" for i in range(20)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_kind(kind):
    data = DATA.assign(g=KINDS[kind])
    result, expected = fit(data), fit(DATA)
    same_fit(result, expected)
    assert len(result.model.group_labels) == result.model.n_groups == 14
    for label, own in zip(sorted(set(DATA["number"])), result.random_effects.values()):
        theirs = expected.random_effects[f"g{label:02d}"]
        assert_allclose(own.to_numpy(), theirs, atol=1e-7)


def test_yes_and_no_are_groups():
    data = DATA.assign(g=DATA["number"] < 7)
    result = mixedlm(TEXT, data, groups="g").fit()
    expected = crossedmixedlm(f"{TEXT} + (1 | g)", data).fit()
    assert result.llf == pytest.approx(expected.llf, abs=1e-10)
    assert result.model.group_labels == [False, True]


# names around the formula -------------------------------------------------


def doubled(values):
    return 2 * values


@pytest.mark.parametrize(
    "door", [*DOORS, MixedLM.from_formula, CrossedMixedLM.from_formula]
)
def test_functions_of_the_caller(door):
    def halved(values):
        return values / 2

    shift = 3.0
    arguments = {
        "groups": "g",
        "re_formula": "~halved(w)",
        "vc_formula": {"s": "0 + C(s):doubled(v)", "v": "0 + halved(v)"},
    }
    result = door("y ~ halved(x) + I(x * shift * w)", DATA, **arguments).fit()
    data = DATA.assign(hx=DATA["x"] / 2, hw=DATA["w"] / 2, hv=DATA["v"] / 2)
    data = data.assign(xw=3 * data["x"] * data["w"], dv=2 * data["v"])
    expected = door(
        "y ~ hx + xw",
        data,
        groups="g",
        re_formula="~hw",
        vc_formula={"s": "0 + C(s):dv", "v": "0 + hv"},
    ).fit()
    same_fit(result, expected)
    new = DATA.iloc[:4]
    assert_allclose(result.predict(new), expected.predict(data.iloc[:4]), atol=1e-8)
    assert shift == 3.0


@pytest.mark.parametrize("door", DOORS)
def test_names_given_as_a_dictionary(door):
    expected = fit(DATA.assign(x=2 * DATA["x"]), door).llf
    names = {"twice": doubled}
    found = door("y ~ twice(x)", DATA, groups="g", eval_env=names, **ARGUMENTS).fit()
    assert found.llf == pytest.approx(expected, abs=1e-10)
    with pytest.raises(ValueError, match="doubled"):
        door("y ~ doubled(x)", DATA, groups="g", eval_env={}, **ARGUMENTS)


@pytest.mark.parametrize("door", DOORS)
def test_frames_above_the_caller(door):
    def local(values):
        return 2 * values

    def nested():
        return door("y ~ local(x)", DATA, groups="g", eval_env=1, **ARGUMENTS).fit()

    expected = fit(DATA.assign(x=2 * DATA["x"]), door).llf
    assert nested().llf == pytest.approx(expected, abs=1e-10)
    with pytest.raises(ValueError, match="doubled"):
        door("y ~ doubled(x)", DATA, groups="g", eval_env=-1, **ARGUMENTS)


def test_columns_come_before_names_of_the_caller():
    C = x = g = s = "no column"
    expected = fit(DATA).llf
    found = mixedlm(TEXT, DATA, groups="g", **ARGUMENTS).fit()
    assert found.llf == pytest.approx(expected, rel=1e-12)
    assert C == x == g == s


@pytest.mark.parametrize("door", DOORS)
def test_other_frames(door):
    polars = pytest.importorskip("polars")
    expected = fit(DATA, door)
    found = door(TEXT, polars.from_pandas(DATA), groups="g", **ARGUMENTS).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-10)
