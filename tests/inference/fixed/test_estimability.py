"""Predictions and contrasts that the data determine, and those that they do not."""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.results.saving import from_json, to_json

CODINGS = [
    "f * h",
    "C(f, Treatment('c')) * C(h, Treatment('w'))",
    "C(f, Sum) * C(h, Sum)",
    "0 + f:h",
]
"""One model; the cell (c, m) was never seen."""

NEW = pd.DataFrame({"f": ["c", "b", "a"], "h": ["m", "w", "m"], "g": [3, 3, 4]})


@functools.cache
def sample():
    rng = np.random.default_rng(6)
    n = 160
    data = pd.DataFrame({"g": np.arange(n) % 12, "x": rng.standard_normal(n)})
    data["f"] = np.array(list("abc"))[rng.integers(3, size=n)]
    data["h"] = np.array(list("mw"))[rng.integers(2, size=n)]
    data = data[(data["f"] != "c") | (data["h"] != "m")].reset_index(drop=True)
    y = rng.standard_normal(12)[data["g"]] + 2.0 * (data["h"] == "w")
    return data.assign(y=y + rng.standard_normal(len(data)))


@functools.cache
def fit(right=CODINGS[0], factory=crossedmixedlm, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if factory is mixedlm:
            return mixedlm(f"y ~ {right}", sample(), groups="g").fit()
        return factory(f"y ~ {right} + (1 | g)", sample(), **kwargs).fit()


def by_cell():
    return crossedmixedlm("y ~ 0 + cell + (1 | g)", with_cells()).fit()


def with_cells():
    return sample().assign(cell=lambda d: d["f"] + d["h"])


def warned(function, *args, **kwargs):
    """What a function returns, and the messages of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = function(*args, **kwargs)
    assert all(issubclass(w.category, RankWarning) for w in caught)
    return value, [str(w.message) for w in caught]


@pytest.mark.parametrize("coding", CODINGS)
def test_predictions_of_a_cell_that_was_not_seen(coding):
    result, cells = fit(coding), by_cell()
    expected = cells.predict(pd.DataFrame({"cell": ["bw", "am"]}))
    found, messages = warned(result.predict, NEW)
    assert len(messages) == 1
    assert "1 of 3 rows are NaN" in messages[0]
    assert np.isnan(found[0])
    assert_allclose(found[1:], expected, rtol=1e-6)
    # rows that were seen need no word
    found, messages = warned(result.predict, NEW[1:])
    assert not messages
    assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"interval": "prediction"}])
@pytest.mark.parametrize("method", [None, "residual", "kenward-roger"])
def test_intervals_of_a_cell_that_was_not_seen(options, method):
    if options and method == "kenward-roger":
        options = {"random_effects": False}
    found, messages = warned(fit().get_prediction, NEW, df_method=method, **options)
    assert len(messages) == 1
    table = found.summary_frame()
    assert table.iloc[0].isna().all()
    assert table.iloc[1:].notna().all(axis=None)


def test_conditional_predictions():
    found, messages = warned(fit().get_prediction, NEW, random_effects=True)
    assert len(messages) == 1
    table = found.summary_frame()
    assert table.iloc[0].isna().all()
    assert table.iloc[1:].notna().all(axis=None)
    found, messages = warned(fit().predict, NEW, random_effects=True)
    assert len(messages) == 1
    assert np.isnan(found).tolist() == [True, False, False]


def test_simulated_responses():
    found, messages = warned(fit().simulate, 3, rng=1, exog=NEW)
    assert len(messages) == 1
    assert found.iloc[0].isna().all()
    assert found.iloc[1:].notna().all(axis=None)


@pytest.mark.parametrize("coding", CODINGS)
def test_rows_of_the_fit_are_determined(coding):
    result = fit(coding)
    for function in (
        result.predict,
        lambda: result.fittedvalues,
        lambda: result.get_prediction(interval="prediction").predicted,
        lambda: result.predict(sample()),
        lambda: result.simulate(2, rng=1),
    ):
        found, messages = warned(function)
        assert np.isfinite(found).all(axis=None)
        assert not messages


def test_models_from_arrays():
    x = fit().model.exog
    with pytest.warns(RankWarning):
        result = CrossedMixedLM(sample()["y"], x, random={"g": sample()["g"]}).fit()
    unseen = np.array([[1.0, 0.0, 1.0, 0.0, 0.0, 0.0], x[0]])
    found, messages = warned(result.predict, unseen)
    assert len(messages) == 1
    assert np.isnan(found).tolist() == [True, False]
    # by the model, given these parameters
    found, messages = warned(result.model.predict, result.params, unseen)
    assert len(messages) == 1
    assert np.isnan(found).tolist() == [True, False]
    assert_allclose(result.model.predict(result.params), result.predict(), rtol=1e-12)


def test_mixedlm():
    found, messages = warned(fit(factory=mixedlm).predict, NEW)
    assert len(messages) == 1
    assert np.isnan(found).tolist() == [True, False, False]


def test_fits_without_their_data():
    result = crossedmixedlm("y ~ f * h + (1 | g)", sample())
    with pytest.warns(RankWarning):
        result = result.fit()
    result.remove_data()
    restored = pickle.loads(pickle.dumps(result))
    saved = from_json(to_json(fit()))
    for each in (result, restored, saved):
        found, messages = warned(each.predict, NEW)
        assert len(messages) == 1
        assert np.isnan(found).tolist() == [True, False, False]


def test_a_row_of_a_factor_by_a_covariate():
    """A slope that was seen at one value of the covariate only."""
    data = sample().assign(year=2000.0 + np.arange(len(sample())) % 5)
    data.loc[data["f"] == "c", "year"] = 2003.0
    with pytest.warns(RankWarning):
        result = crossedmixedlm("y ~ f * year + (1 | g)", data).fit()
    new = pd.DataFrame({"f": ["c", "c", "b"], "year": [2003.0, 2004.0, 2007.0]})
    found, messages = warned(result.predict, new)
    assert len(messages) == 1
    assert np.isnan(found).tolist() == [False, True, False]


def cell(f, h):
    """The row of a cell in treatment coding."""
    b, c, w = f == "b", f == "c", h == "w"
    return np.array([1, b, c, w, b * w, c * w], dtype=float)


@pytest.mark.parametrize("method", ["asymptotic", "satterthwaite"])
def test_contrasts_of_cells(method):
    """Those that touch a dropped column can be determined, and others need not be."""
    result = fit().with_df_method(method)
    assert result.dropped == ["f[T.c]:h[T.w]"]
    rows = np.array(
        [
            cell("c", "w"),
            cell("c", "w") - cell("a", "m"),
            cell("c", "m"),
            cell("c", "m") - cell("b", "m"),
            cell("b", "m") - cell("a", "m"),
        ]
    )
    test, messages = warned(result.t_test, rows)
    assert len(messages) == 1
    assert "2 of 5 contrasts" in messages[0]
    known = [True, True, False, False, True]
    cells = by_cell().with_df_method(method)
    names = list(cells.params.index)
    other = {n[-3:-1]: np.eye(len(names))[i] for i, n in enumerate(names)}
    expected = cells.t_test(
        [other["cw"], other["cw"] - other["am"], other["bm"] - other["am"]]
    )
    for name in ("effect", "sd", "tvalue", "pvalue"):
        numbers = np.asarray(getattr(test, name)).ravel()
        assert np.isfinite(numbers).tolist() == known
        assert_allclose(
            numbers[known], np.ravel(getattr(expected, name)), rtol=1e-6, atol=1e-12
        )
    joint, messages = warned(result.wald_test, rows, scalar=True)
    assert len(messages) == 1
    same = cells.wald_test(
        [other["cw"], other["cw"] - other["am"], other["bm"] - other["am"]], scalar=True
    )
    assert_allclose(joint.statistic, same.statistic, rtol=1e-6)
    assert_allclose(joint.pvalue, same.pvalue, rtol=1e-5)


def test_single_coefficients_are_those_of_the_table():
    result = fit()
    test, messages = warned(result.t_test, np.eye(6))
    assert not messages
    assert_allclose(test.effect, result.params, rtol=1e-12)
    assert np.isnan(test.effect).tolist() == np.isnan(result.params).tolist()
