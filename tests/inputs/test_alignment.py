"""Series and frames meet the rows of a model by their labels, at every door."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm import CrossedMixedLM, random_effects
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.inputs.alignment import aligned, row_positions, subset_rows
from statsmodels_lmm.mixedlm.model import MixedLM

N = 60
RNG = np.random.default_rng(7)
ROWS = pd.Index([f"row {i}" for i in range(N)])
DATA = pd.DataFrame(
    {"c": 1.0, "x": RNG.normal(size=N), "g": np.repeat(list("abcdefghij"), 6)}, ROWS
)
DATA["y"] = DATA["x"] + np.repeat(RNG.normal(size=10), 6) + RNG.normal(size=N)
DATA["w"] = RNG.uniform(0.2, 4.0, N)
DATA["o"] = RNG.normal(size=N)
ORDER = RNG.permutation(N)
FORMULA = "y ~ x + (1 | g)"


def shuffled(name):
    return DATA[name].iloc[ORDER]


def arrays(y="y", x=("c", "x"), random=None, **kwargs):
    """The model of the arrays door, of which a test gives some parts otherwise."""
    y = DATA[y] if isinstance(y, str) else y
    x = DATA[list(x)] if isinstance(x, tuple) else x
    random = {"g": DATA["g"]} if random is None else random
    return CrossedMixedLM(y, x, random, **kwargs).fit()


PLAIN = arrays()
WEIGHTED = arrays(weights=DATA["w"].to_numpy(), offset=DATA["o"].to_numpy())
SLOPES = arrays(random={"g": (DATA["g"].to_numpy(), DATA[["c", "x"]].to_numpy())})


def z_of(data):
    return pd.get_dummies(data["g"]).astype(float)


DOORS = {
    "response": (lambda: arrays(shuffled("y")), PLAIN),
    "design": (lambda: arrays(x=DATA[["c", "x"]].iloc[ORDER]), PLAIN),
    "groups": (lambda: arrays(random={"g": shuffled("g")}), PLAIN),
    "groups of a longer Series": (
        lambda: arrays(random={"g": pd.concat([shuffled("g"), pd.Series({"z": "q"})])}),
        PLAIN,
    ),
    "random_effects": (
        lambda: arrays(random=[random_effects(shuffled("g"), name="g")]),
        PLAIN,
    ),
    "groups and effects": (
        lambda: arrays(random={"g": (shuffled("g"), DATA[["c", "x"]].iloc[::-1])}),
        SLOPES,
    ),
    "effects of an array of groups": (
        lambda: arrays(
            random={"g": (DATA["g"].to_numpy(), DATA[["c", "x"]].iloc[ORDER])}
        ),
        SLOPES,
    ),
    "matrix": (lambda: arrays(random={"g": z_of(DATA.iloc[ORDER])}), PLAIN),
    "weights and offset": (
        lambda: arrays(weights=shuffled("w"), offset=shuffled("o")),
        WEIGHTED,
    ),
    "labels of the design": (
        lambda: arrays(DATA["y"].to_numpy(), random={"g": shuffled("g")}),
        PLAIN,
    ),
    "groups of MixedLM": (
        lambda: MixedLM(DATA["y"], DATA[["c", "x"]], shuffled("g")).fit(),
        PLAIN,
    ),
    "effects of MixedLM": (
        lambda: MixedLM(
            DATA["y"], DATA[["c", "x"]], shuffled("g"), DATA[["c", "x"]].iloc[::-1]
        ).fit(),
        SLOPES,
    ),
    "from_matrices": (
        lambda: CrossedMixedLM.from_matrices(
            DATA["y"], DATA[["c", "x"]], z_of(DATA.iloc[ORDER])
        ).fit(),
        PLAIN,
    ),
    "weights and offset of a formula": (
        lambda: crossedmixedlm(
            FORMULA, DATA, weights=shuffled("w"), offset=shuffled("o")
        ).fit(),
        WEIGHTED,
    ),
    "groups of a formula": (
        lambda: crossedmixedlm("y ~ x", DATA, groups=shuffled("g")).fit(),
        PLAIN,
    ),
    "groups of mixedlm": (
        lambda: mixedlm("y ~ x", DATA, groups=shuffled("g")).fit(),
        PLAIN,
    ),
    "a variable of the caller": (
        lambda: crossedmixedlm(
            "y ~ v + (1 | g)", DATA, eval_env={"v": shuffled("x")}
        ).fit(),
        PLAIN,
    ),
    "refit": (lambda: PLAIN.refit(shuffled("y")), PLAIN),
    "refit of a design with labels": (
        lambda: arrays(DATA["y"].to_numpy()).refit(shuffled("y")),
        PLAIN,
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_the_same_labels_in_another_order(door):
    make, expected = DOORS[door]
    assert make().llf == pytest.approx(expected.llf, abs=1e-9)


OTHER = DATA["g"].set_axis([f"other {i}" for i in range(N)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: arrays(random={"g": OTHER}),
        lambda: arrays(x=DATA[["c", "x"]].set_axis(OTHER.index)),
        lambda: arrays(weights=DATA["w"].set_axis(OTHER.index)),
        lambda: arrays(random={"g": (DATA["g"], DATA[["x"]].iloc[1:])}),
        lambda: crossedmixedlm(FORMULA, DATA, offset=DATA["o"].set_axis(OTHER.index)),
        lambda: crossedmixedlm("y ~ x", DATA, groups=OTHER),
        lambda: PLAIN.refit(DATA["y"].set_axis(OTHER.index)),
    ],
)
def test_labels_of_something_else(make):
    with pytest.raises(DataError, match=r"there is no value for .* give an array"):
        make()


def test_a_default_index_goes_by_position():
    plain = {n: DATA[n].reset_index(drop=True) for n in "gw"}
    found = arrays(random={"g": plain["g"]}, weights=plain["w"])
    expected = arrays(weights=DATA["w"])
    assert found.llf == pytest.approx(expected.llf, abs=1e-9)
    # and so do labels that meet a response without
    y, x = (DATA[n].reset_index(drop=True) for n in (["y"], ["c", "x"]))
    assert arrays(y["y"], x, weights=DATA["w"]).llf == pytest.approx(expected.llf)


def test_a_default_index_that_contradicts_the_rows_is_refused():
    data = DATA.set_axis(np.arange(1, N + 1))
    with pytest.raises(DataError, match="no value for 1 of 60 rows, such as 60;"):
        crossedmixedlm(FORMULA, data, weights=DATA["w"].reset_index(drop=True))


def test_arrays_beside_labels_that_look_like_positions():
    data = DATA.set_axis(np.arange(1, N + 1))
    groups = data["g"].to_numpy()
    found = CrossedMixedLM(data["y"], data[["c", "x"]], [groups]).fit()
    assert found.llf == pytest.approx(PLAIN.llf, abs=1e-9)
    with pytest.raises(DataError, match="have 5 rows, endog has 60"):
        CrossedMixedLM(data["y"], data[["c", "x"]], [groups[:5]])


def test_labels_of_several_levels():
    data = DATA.set_axis(pd.MultiIndex.from_arrays([list(DATA["g"]), ROWS]))
    expected = arrays(weights=DATA["w"]).llf
    by_position = data["w"].reset_index(drop=True)
    for weights in (data["w"].iloc[ORDER], by_position):
        found = crossedmixedlm(FORMULA, data, weights=weights).fit()
        assert found.llf == pytest.approx(expected, abs=1e-9)
    with pytest.raises(DataError, match="weights: the labels do not match"):
        crossedmixedlm(FORMULA, data, weights=DATA["w"])


def test_repeated_labels():
    data = DATA.set_axis(list(ROWS[: N // 2]) * 2)
    expected = arrays(weights=DATA["w"]).llf
    found = crossedmixedlm(FORMULA, data, weights=data["w"]).fit()
    assert found.llf == pytest.approx(expected, abs=1e-9)
    with pytest.raises(DataError, match="weights: row labels are repeated"):
        crossedmixedlm(FORMULA, data, weights=data["w"].iloc[ORDER])
    by_position = data["w"].reset_index(drop=True)
    found = crossedmixedlm(FORMULA, data, weights=by_position).fit()
    assert found.llf == pytest.approx(expected, abs=1e-9)


def test_new_rows():
    fit = arrays(weights=DATA["w"])
    new = DATA[["c", "x"]].iloc[:9]
    order = np.argsort(ORDER[:9])
    weights, offset, groups = (DATA[n].iloc[:9] for n in "wog")
    options = {"random_effects": True, "interval": "prediction"}
    expected = fit.get_prediction(
        new,
        offset=offset.to_numpy(),
        weights=weights.to_numpy(),
        random={"g": groups.to_numpy()},
        **options,
    ).summary_frame()
    found = fit.get_prediction(
        new,
        offset=offset.iloc[order],
        weights=weights.iloc[order],
        random={"g": groups.iloc[order]},
        **options,
    ).summary_frame()
    pd.testing.assert_frame_equal(found, expected)
    by_formula = crossedmixedlm(FORMULA, DATA).fit()
    assert_allclose(
        by_formula.predict(DATA.iloc[:9], offset=offset.iloc[order]),
        by_formula.predict(DATA.iloc[:9], offset=offset.to_numpy()),
    )


def test_rows_of_a_relationship_in_another_order_than_its_labels():
    levels = list("abcdefghij")
    k = pd.DataFrame(0.3 * np.eye(10) + 0.7 * np.outer(*[np.arange(1, 11) / 9] * 2))
    k = k.set_axis(levels).set_axis(levels, axis=1)
    expected = crossedmixedlm(FORMULA, DATA, relationship={"g": k}).fit().llf
    turned = k.loc[levels[::-1], levels[3:] + levels[:3]]
    found = crossedmixedlm(FORMULA, DATA, relationship={"g": (turned, levels)}).fit()
    assert found.llf == pytest.approx(expected, abs=1e-9)
    with pytest.raises(DataError, match="there is no value for 1 of 10 rows"):
        crossedmixedlm(FORMULA, DATA, relationship={"g": (k, levels[:9] + ["q"])})


SUBSET = DATA["x"] > -0.8


@pytest.mark.parametrize(
    "subset",
    [
        SUBSET,
        SUBSET.iloc[ORDER],
        SUBSET.to_numpy(),
        SUBSET.tolist(),
        SUBSET.astype("boolean"),
        SUBSET.astype(object),
        SUBSET.index[SUBSET],
        SUBSET.index[SUBSET].tolist(),
    ],
)
@pytest.mark.parametrize("weights", [shuffled("w"), DATA["w"].to_numpy(), "w"])
def test_subset(subset, weights):
    found = crossedmixedlm(FORMULA, DATA, subset=subset, weights=weights).fit()
    expected = crossedmixedlm(FORMULA, DATA[SUBSET], weights="w").fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-9)


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        (
            np.ones(N - 1, dtype=bool),
            "subset has 59 booleans but the data have 60 rows",
        ),
        (["row 1", "row 99"], "subset must be row labels or one boolean .*row 99"),
        (SUBSET.set_axis(OTHER.index), "subset: the labels do not match the rows"),
        (
            np.ma.array(SUBSET, mask=np.arange(N) < 2),
            "subset has missing values in 2 rows",
        ),
        (SUBSET.astype("boolean").where(SUBSET), "subset has missing values in"),
        ({"row 1"}, "subset must be row labels"),
    ],
)
def test_subsets_that_are_refused(subset, message):
    with pytest.raises(DataError, match=message):
        crossedmixedlm(FORMULA, DATA, subset=subset)


def test_row_positions():
    labels = pd.Index(list("abc"))
    assert row_positions(None, labels, "v") is None
    assert row_positions(labels, None, "v") is None
    assert row_positions(labels, labels, "v") is None
    assert_array_equal(row_positions(pd.Index(list("cxab")), labels, "v"), [2, 3, 0])
    pairs = pd.MultiIndex.from_product([[1, 2], [3]])
    with pytest.raises(DataError, match="no value for 3 of 3 rows, such as a, b, c;"):
        row_positions(pairs, labels, "v")
    assert_array_equal(subset_rows(["b"], labels), [1])
    frame = pd.DataFrame({"v": [1, 2, 3]}, list("bca"))
    assert aligned(frame, labels, "v")["v"].tolist() == [3, 1, 2]
