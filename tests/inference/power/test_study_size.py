"""A design of another size is that of a frame with copied rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import quiet

from statsmodels_lmm import CrossedMixedLM, random_effects
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.power.study_size import own_size, sizes


def frame():
    """Classes of two schools, pupils in classes, and tasks that all of them do."""
    rows = pd.MultiIndex.from_product(
        [range(4), range(2), range(3)], names=["c", "pupil", "task"]
    )
    data = rows.to_frame(index=False)
    data["arm"] = np.where(data["c"] < 2, "a", "b")
    data["x"] = data["task"] * 0.5 + 1.0
    data["y"] = np.random.default_rng(0).normal(size=len(data))
    return data


FORMULA = "y ~ arm + scale(x) + (1 | c / pupil) + (1 | task)"


def made(n, along=None, within=None, formula=FORMULA, data=None):
    data = frame() if data is None else data
    raw = quiet(formula, data, check_levels=False)._results
    (size,), what = sizes(raw, [n], along, within)
    return size.model(raw), what, size


def same_design(model, formula, data):
    """Whether a model has the rows of another in some order."""
    other = crossedmixedlm(formula, data, check_levels=False)
    assert_allclose(model.exog, other.exog, rtol=1e-12)
    for one, two in zip(model.random, other.random):
        assert one.n_levels == two.n_levels
        assert_allclose(one.grouped.effects, two.grouped.effects, rtol=1e-12)
        pairs = np.column_stack([one.grouped.codes, two.grouped.codes])
        assert len(np.unique(pairs, axis=0)) == one.n_levels


PLAIN = FORMULA.replace("scale(x)", "x")


def test_more_levels_copy_the_rows_of_existing_ones():
    """Nested levels are new, crossed ones are not, and arms stay balanced."""
    model, what, _ = made(6, "c", formula=PLAIN)
    data = frame()
    # the two arms in turn: 0 of a, 2 of b, 1 of a, 3 of b, and again
    order = [0, 2, 1, 3, 0, 2]
    parts = [data[data["c"] == old].assign(c=new) for new, old in enumerate(order)]
    same_design(model, PLAIN, pd.concat(parts, ignore_index=True))
    assert what == "levels of c"
    assert [e.n_levels for e in model.random] == [6, 12, 3]
    assert_allclose(model.exog[:, 1].mean(), 0.5)
    assert list(model.random[0].levels) == [
        "0",
        "1",
        "2",
        "3",
        "0, copy 2",
        "2, copy 2",
    ]
    assert model.exog_names == ["Intercept", "arm[T.b]", "x"]


def test_fewer_levels_are_the_first_of_each_arm():
    model, _, _ = made(2, "c", formula=PLAIN)
    data = frame()
    same_design(model, PLAIN, data[data["c"].isin([0, 2])])


def test_levels_without_arms_keep_their_order():
    formula = "y ~ x + (1 | c)"
    _, _, size = made(3, formula=formula)
    assert_array_equal(size.rows, np.arange(18))
    assert_array_equal(made(4, formula=formula)[2].rows, np.arange(24))


def test_transforms_keep_the_state_of_the_fit():
    """A planned coefficient refers to the scale of the pilot study."""
    model, _, size = made(3, "c")
    whole = crossedmixedlm(FORMULA, frame(), check_levels=False)
    assert_allclose(model.exog, whole.exog[size.rows])


def test_rows_within_levels():
    formula = "y ~ x + (1 | c) + (1 | row)"
    data = frame().assign(row=np.arange(24))
    model, what, size = made(2, within="c + x", formula=formula, data=data)
    assert what == "rows within c + x"
    assert_array_equal(np.sort(size.rows), np.arange(24))
    model, _, size = made(3, within="c + x", formula=formula, data=data)
    assert len(size.rows) == 36
    assert [e.n_levels for e in model.random] == [4, 36]  # a row is a level of its own
    cells = data.iloc[size.rows].groupby(["c", "x"]).size()
    assert (cells == 3).all()


def test_values_of_a_column_continue():
    formula = "y ~ x + offset(2 * x) + (x | c)"
    model, what, _ = made(5, "x", formula=formula)
    data = frame()
    parts = [data[data["x"] == 1.0 + 0.5 * (k % 3)] for k in range(5)]
    parts = [part.assign(x=1.0 + 0.5 * k) for k, part in enumerate(parts)]
    bigger = pd.concat(parts, ignore_index=True)
    same_design(model, formula, bigger)
    assert_allclose(model.offset, 2.0 * bigger["x"])
    assert what == "values of x"
    assert len(made(2, "x", formula=formula)[2].rows) == 16


def test_weights_and_trials_belong_to_their_rows():
    data = frame().assign(size=np.arange(24) + 2, hits=1)
    fit = crossedmixedglm("cbind(hits, size - hits) ~ x + (1 | c)", data).fit()
    (size,), _ = sizes(fit._results, [6], "c")
    model = size.model(fit._results)
    assert_array_equal(model.trials, data["size"].to_numpy()[size.rows])
    fit = crossedmixedlm("y ~ x + (1 | c)", data, weights="size").fit()
    (size,), _ = sizes(fit._results, [6], "c")
    weights = size.model(fit._results).weights
    assert_array_equal(weights, data["size"].to_numpy()[size.rows])


def test_models_from_arrays():
    data = frame()
    exog = np.column_stack([np.ones(24), data["x"]])
    random = {"c": random_effects(data["c"].to_numpy(), exog)}
    raw = CrossedMixedLM(data["y"].to_numpy(), exog, random).fit()._results
    (size,), _ = sizes(raw, [7], None)
    model = size.model(raw)
    assert model.random[0].n_levels == 7
    assert_allclose(model.exog, exog[size.rows])
    assert_array_equal(own_size(raw).rows, np.arange(24))


@pytest.mark.parametrize(
    ("formula", "along", "words"),
    [
        ("y ~ C(c) + (1 | c)", "c", "c is also a fixed effect"),
        ("y ~ arm + (1 | c)", "arm", "neither a grouping factor nor numeric"),
        ("y ~ w + (1 | c)", "w", "not equally spaced"),
    ],
)
def test_what_cannot_grow(formula, along, words):
    data = frame().assign(w=lambda d: 2.0 ** d["task"])
    with pytest.raises(DataError, match=words):
        made(9, along, formula=formula, data=data)


def test_several_factors_need_a_choice():
    with pytest.raises(ValueError, match="along= one of the grouping factors c, "):
        made(3)


def test_related_levels_cannot_be_copied():
    relationship = {"c": pd.DataFrame(np.eye(4) + 0.1, range(4), range(4))}
    fit = crossedmixedlm("y ~ x + (1 | c)", frame(), relationship=relationship).fit()
    with pytest.raises(DataError, match="have a known relationship"):
        sizes(fit._results, [6], "c")
