"""
Models from arrays: groups, exog_re and exog_vc, against statsmodels and the formulas.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from statsmodels.regression import mixed_linear_model as statsmodels_mixed
from statsmodels.regression.mixed_linear_model import VCSpec
from statsmodels.tools.sm_exceptions import MissingDataError
from statsmodels_twin import mixedlm_at

from statsmodels_lmm import CrossedMixedLM, MixedLM
from statsmodels_lmm.formula.api import mixedlm

N_GROUPS = 12
LABELS = {
    "text": [f"g{i:02d}" for i in range(N_GROUPS)],
    "integers": [7 * i - 20 for i in range(N_GROUPS)],
    "mixed": [*range(6), *"abcdef"],
    "floats": [i / 4 for i in range(N_GROUPS)],
}


def rows(labels="text", seed=5):
    """Groups of different sizes in mixed order; `s` are labels within groups."""
    rng = np.random.default_rng(seed)
    sizes = 6 + np.arange(N_GROUPS) % 4
    g = np.repeat(np.arange(N_GROUPS), sizes)
    s = np.concatenate([np.arange(n) % 3 for n in sizes])
    u, v = rng.normal(size=(N_GROUPS, 2)), rng.normal(size=(N_GROUPS, 3))
    x, w = rng.normal(size=(2, len(g)))
    y = 1 + x + u[g, 0] + u[g, 1] * w + v[g, s] + 0.6 * rng.normal(size=len(g))
    label = np.empty(N_GROUPS, dtype=object)
    label[:] = LABELS[labels]
    frame = pd.DataFrame({"y": y, "x": x, "w": w, "s": s, "g": label[g], "code": g})
    frame["one"] = 1.0
    return frame.iloc[rng.permutation(len(g))].reset_index(drop=True)


def components(data, order, wrap=np.asarray):
    """A component of the labels in a group (two or three) and one of slopes."""
    mats: list = [[], []]
    names: list = [[], []]
    for label in order:
        own = data[data["g"] == label]
        labels = sorted(set(own["s"]))
        mats[0].append(wrap((own["s"].to_numpy()[:, None] == labels).astype(float)))
        mats[1].append(wrap(own[["w"]].to_numpy()))
        names[0].append([f"s{k}" for k in labels])
        names[1].append(["w"])
    return VCSpec(["a_labels", "b_slope"], names, mats)


def same_fit(found, expected, atol=1e-10):
    assert found.llf == pytest.approx(expected.llf, abs=atol)
    assert_allclose(found.params, expected.params, atol=1e-8)
    assert_allclose(found.scale, expected.scale, atol=1e-8)
    assert_allclose(found.fittedvalues, expected.fittedvalues, atol=1e-8)


@pytest.mark.parametrize("pandas", [True, False])
@pytest.mark.parametrize("effects", [None, ["w"], ["one", "w"]])
def test_effects_as_statsmodels(effects, pandas):
    data = rows()
    arrays = [data["y"], data[["one", "x"]], data["g"]]
    arrays.append(None if effects is None else data[effects])
    if not pandas:
        arrays = [None if a is None else a.to_numpy() for a in arrays]
    model = MixedLM(*arrays)
    result = model.fit()
    old = statsmodels_mixed.MixedLM(*arrays)
    theirs = mixedlm_at(old, result)
    assert result.llf == pytest.approx(theirs.llf, abs=1e-9)
    assert_allclose(result.params, theirs.fe_params, atol=1e-6)
    assert_allclose(result.cov_re, theirs.cov_re, atol=1e-5)
    assert_allclose(result.fittedvalues, theirs.fittedvalues, atol=1e-5)
    assert type(result.params) is type(theirs.fe_params)
    assert type(result.fittedvalues) is type(theirs.fittedvalues)
    assert type(result.cov_re) is type(theirs.cov_re)
    assert list(model.group_labels) == list(old.group_labels)
    assert model.row_indices == old.row_indices
    if effects is not None:
        assert model.data.exog_re_names == old.data.exog_re_names
        assert model.data.exog_re_names_full == old.data.exog_re_names_full
    for label, expected in theirs.random_effects.items():
        assert_allclose(result.random_effects[label], expected, atol=1e-5)


def test_names_of_arrays():
    data = rows()
    arrays = data["y"].to_numpy(), data[["one", "x"]].to_numpy(), data["g"].to_numpy()
    plain = MixedLM(*arrays, exog_re=data[["one", "w"]].to_numpy())
    assert plain.data.exog_re_names == ["x_re1", "x_re2"]
    assert plain.fit().random_effects["g00"].index.tolist() == ["x_re1", "x_re2"]
    series = MixedLM(*arrays, exog_re=data["w"])
    assert series.data.exog_re_names_full == ["w Var"]
    assert MixedLM(*arrays).fit().random_effects["g00"].index.tolist() == ["Group"]


def test_a_column_may_be_one_dimensional():
    data = rows()
    y, x, g = (data[c].to_numpy() for c in "yxg")
    flat = MixedLM(y, x, g, exog_re=data["w"].to_numpy()).fit()
    square = MixedLM(y, x[:, None], g, exog_re=data[["w"]].to_numpy()).fit()
    same_fit(flat, square)
    same_fit(MixedLM(y, data["x"], data["g"], exog_re=data["w"]).fit(), square)
    lists = [data[c].tolist() for c in "yxg"]
    same_fit(MixedLM(*lists, exog_re=data["w"].tolist()).fit(), square)


WRAPS = {
    "arrays": np.asarray,
    "sparse arrays": sparse.csr_array,
    "sparse matrices": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "frames": pd.DataFrame,
}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("effects", [None, "one"])
@pytest.mark.parametrize("klass", [MixedLM, CrossedMixedLM])
def test_components_are_those_of_the_formula(klass, effects, wrap):
    data = rows()
    spec = components(data, LABELS["text"], WRAPS[wrap])
    exog_re = None if effects is None else data[[effects]]
    arrays = {"groups": data["g"], "exog_re": exog_re, "exog_vc": spec}
    found = klass(data["y"], data[["one", "x"]], **arrays).fit()
    expected = mixedlm(
        "y ~ x",
        data,
        groups="g",
        re_formula=None if effects is None else "1",
        vc_formula={"a_labels": "0 + C(s)", "b_slope": "0 + w"},
    ).fit()
    same_fit(found, expected)
    if klass is MixedLM:
        assert_allclose(found.vcomp, expected.vcomp, atol=1e-7)
        assert_allclose(found.bse_re, expected.bse_re, atol=1e-6)
        assert found.model.data.vcomp_names == ["a_labels", "b_slope"]


def test_components_as_statsmodels():
    data = rows()
    spec = components(data, LABELS["text"])
    arrays = data["y"], data[["one", "x"]], data["g"], data[["one"]], spec
    result = MixedLM(*arrays).fit()
    old = statsmodels_mixed.MixedLM(*arrays)
    theirs = mixedlm_at(old, result)
    assert result.llf == pytest.approx(theirs.llf, abs=1e-9)
    assert_allclose(result.vcomp, theirs.vcomp, atol=1e-5)
    assert_allclose(result.fittedvalues, theirs.fittedvalues, atol=1e-5)
    for label, expected in theirs.random_effects.items():
        own = result.random_effects[label]
        # small groups may have effects of columns that they lack, which are zero
        assert_allclose(own.to_numpy()[: len(expected) - 1], expected[:-1], atol=1e-5)
        assert own.iloc[-1] == pytest.approx(expected.iloc[-1], abs=1e-5)
        assert own.index[: len(expected) - 1].tolist() == expected.index[:-1].tolist()


def test_names_in_no_order():
    data = rows()
    spec = components(data, LABELS["text"])
    names = ["z", "b"]
    turned = VCSpec(names, spec.colnames, spec.mats)
    arrays = data["y"], data[["one", "x"]], data["g"], None
    result = MixedLM(*arrays, turned).fit()
    assert result.model.data.vcomp_names == ["b", "z"]
    expected = MixedLM(*arrays, spec).fit()
    assert_allclose(result.vcomp, expected.vcomp[::-1], atol=1e-8)


@pytest.mark.parametrize("klass", [MixedLM, CrossedMixedLM])
def test_dictionaries_are_deprecated(klass):
    data = rows()
    spec = components(data, LABELS["text"])
    as_dict = {
        name: dict(zip(LABELS["text"], mats))
        for name, mats in zip(spec.names, spec.mats)
    }
    arrays = data["y"], data[["one", "x"]]
    named = {"groups": data["g"], "exog_re": data[["one"]]}
    expected = klass(*arrays, exog_vc=spec, **named).fit()
    with pytest.warns(FutureWarning, match="deprecated variance components") as record:
        model = klass(*arrays, exog_vc=as_dict, **named)
    assert record[0].filename == __file__
    same_fit(model.fit(), expected)


@pytest.mark.parametrize("labels", LABELS)
def test_labels_of_any_kind(labels):
    expected = MixedLM(*(rows()[c] for c in (["y"], ["one", "x"])), rows()["g"]).fit()
    data = rows(labels)
    model = MixedLM(data["y"], data[["one", "x"]], data["g"])
    result = model.fit()
    assert_allclose(result.llf, expected.llf, atol=1e-12)
    assert set(model.group_labels) == set(LABELS[labels])
    for label, at in model.row_indices.items():
        assert (data["g"].iloc[at] == label).all()
    for code, label in enumerate(LABELS[labels]):
        own = expected.random_effects[f"g{code:02d}"]
        assert_allclose(result.random_effects[label], own, atol=1e-10)


@pytest.mark.parametrize("labels", ["text", "integers", "floats"])
def test_components_follow_sorted_labels(labels):
    data = rows(labels)
    spec = components(data, sorted(LABELS[labels]))
    result = MixedLM(data["y"], data[["one", "x"]], data["g"], None, spec).fit()
    plain = rows()
    expected = MixedLM(
        plain["y"],
        plain[["one", "x"]],
        plain["g"],
        None,
        components(plain, LABELS["text"]),
    ).fit()
    same_fit(result, expected)


@pytest.mark.parametrize("column", ["y", "x", "g", "w"])
def test_incomplete_rows(column):
    data = rows()
    data.loc[[4, 17, 30], column] = None if column == "g" else np.nan
    kept = data.dropna()
    arrays = [[d["y"], d[["one", "x"]], d["g"], d[["one", "w"]]] for d in (data, kept)]
    model = MixedLM(*arrays[0], missing="drop")
    expected = MixedLM(*arrays[1])
    result = model.fit()
    same_fit(result, expected.fit())
    assert model.nobs == model.n_totobs == len(kept)
    assert model.row_indices == expected.row_indices
    assert result.fittedvalues.index.tolist() == kept.index.tolist()
    with pytest.raises(MissingDataError):
        MixedLM(*arrays[0], missing="raise")
    with pytest.raises(ValueError, match=r"missing|finite|nan|infs"):
        MixedLM(*arrays[0]).fit()


@pytest.mark.parametrize("column", ["y", "x"])
def test_incomplete_rows_with_components(column):
    data = rows()
    spec = components(data, LABELS["text"])
    data.loc[[4, 17, 30], column] = np.nan
    kept = data.dropna()
    arrays = data["y"], data[["one", "x"]], data["g"], data[["one"]], spec
    result = MixedLM(*arrays, missing="drop").fit()
    expected = MixedLM(
        kept["y"],
        kept[["one", "x"]],
        kept["g"],
        kept[["one"]],
        components(kept, LABELS["text"]),
    ).fit()
    same_fit(result, expected)


def test_order_of_rows():
    data = rows()
    turned = data.iloc[::-1]
    first, second = (
        MixedLM(
            d["y"], d[["one", "x"]], d["g"], d[["one"]], components(d, LABELS["text"])
        ).fit()
        for d in (data, turned)
    )
    assert first.llf == pytest.approx(second.llf, abs=1e-10)
    assert_allclose(first.fittedvalues, second.fittedvalues[first.fittedvalues.index])


def test_no_fixed_effects():
    data = rows()
    empty = np.zeros((len(data), 0))
    result = MixedLM(data["y"].to_numpy(), empty, data["g"].to_numpy()).fit()
    expected = mixedlm("y ~ 0", data, groups="g").fit()
    assert result.llf == pytest.approx(expected.llf, abs=1e-12)
    assert len(result.fe_params) == 0
    assert result.packed_params.index.tolist() == ["Group Var"]
    assert result.cov_re.shape == (1, 1)


def test_errors_name_what_is_wrong():
    data = rows()
    arrays = data["y"], data[["one", "x"]], data["g"]
    spec = components(data, LABELS["text"])
    short = VCSpec(spec.names, spec.colnames, [m[:-1] for m in spec.mats])
    with pytest.raises(ValueError, match="a_labels has matrices for 11 groups"):
        MixedLM(*arrays, exog_vc=short)
    wrong = VCSpec(["a"], [spec.colnames[1]], [[m[:-1] for m in spec.mats[1]]])
    with pytest.raises(ValueError, match="a has 5 rows for group g00, which has 6"):
        MixedLM(*arrays, exog_vc=wrong)
    with pytest.raises(ValueError, match="VCSpec"):
        MixedLM(*arrays, exog_vc=[1.0])
    with pytest.raises(ValueError, match="exog_re has 3 rows"):
        MixedLM(*arrays, exog_re=np.ones((3, 1)))
    with pytest.raises(ValueError, match="one-dimensional"):
        MixedLM(data["y"], data[["one", "x"]], data[["g", "s"]])
    with pytest.raises(TypeError, match="surprise"):
        MixedLM(*arrays, surprise=1)
