"""Rows in batches give the fit of the same rows in memory."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from batch_cases import N, awkward, in_batches

from statsmodels_lmm import CrossedMixedLM, RowSums
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm

pytestmark = pytest.mark.filterwarnings(
    "ignore::statsmodels_lmm.exceptions.DataWarning"
)

DATA = awkward()

FORMULAS = {
    "plain": "y ~ x + z + (1 + x | g) + (1 | h)",
    "levels": "y ~ f + c + b + C(z) + (1 | g)",
    "interaction": "y ~ f:x + c*x + (1 | g)",
    "codings": "y ~ C(f, Sum) + C(c, Treatment('hi')) + (1 | g)",
    "center": "y ~ center(x) + scale(z) + standardize(o) + (1 | g)",
    "bases": "y ~ poly(x, 2) + bs(o, df=4) + cr(w, df=3) + ns(z, 2) + (1 | g)",
    "cut": "y ~ cut(x, 3) + (1 | cut(o, 4)) + (1 | g)",
    "expressions": "log(y + 30) ~ I(x**2) + np.exp(o / 9) + (f == 'a') + (1 | g)",
    "text": "y ~ f.str.upper() + (1 | g)",
    "offsets": "y ~ x + offset(o / 2) + offset(log(w)) + (1 | g)",
    "nested": "y ~ x + (1 | g/h)",
    "three": "y ~ x + (1 | g:h:f)",
    "uncorrelated": "y ~ x + (x || g) + (0 + o | h)",
    "structures": "y ~ x + cs(0 + f | h) + diag(0 + c | g) + (1 | h:f)",
    "dates": "y ~ x + (1 | day) + (1 | h)",
    "categories": "y ~ c + (1 | c:g) + (1 | f)",
    "no intercept": "y ~ 0 + x + f + (1 | g)",
    "only intercept": "y ~ 1 + (1 | g)",
    "expression in groups": "y ~ x + (1 | z > 4) + (1 | g)",
    "transform by group": "y ~ x + (1 + center(x) | g)",
}


def sums_of(formula, data, size, **options):
    return RowSums.of(formula, lambda: iter(in_batches(data, size)), **options)


def assert_same_model(sums, model, rtol=1e-12):
    """The sums are those of the rows of a model, with the same names and levels."""
    ours = CrossedMixedLM.from_sums(sums, check_levels=False)
    assert ours.exog_names == model.exog_names
    assert ours.endog_names == model.endog_names
    assert ours.n_dropped == model.n_dropped
    assert ours.nobs == model.nobs
    offset = 0.0 if model.offset is None else model.offset
    root = np.ones(len(model.endog))
    if model.weights is not None:
        root = np.sqrt(model.weights)
    whole = np.column_stack([np.ones(len(root)), model.exog, model.endog - offset])
    summed = ours.summed
    back = np.eye(whole.shape[1])
    back[0, 1:] = summed.shift
    found = summed.triangle @ back
    expected = whole * root[:, None]
    size = np.sqrt((expected**2).sum(axis=0))
    np.testing.assert_allclose(
        found.T @ found / np.outer(size, size),
        expected.T @ expected / np.outer(size, size),
        atol=rtol,
    )
    assert len(ours.random) == len(model.random)
    for i, (mine, theirs) in enumerate(zip(ours.random, model.random)):
        assert mine.name == theirs.name
        assert mine.effect_names == theirs.effect_names
        assert mine.columns == theirs.columns
        assert mine.terms == theirs.terms
        pd.testing.assert_index_equal(mine.levels, theirs.levels)
        for key, other in zip(mine.keys, theirs.keys, strict=True):
            pd.testing.assert_index_equal(key.uniques, other.uniques)
            np.testing.assert_array_equal(key.codes, other.codes)
        assert mine.grouped.blocks == theirs.grouped.blocks
        z = theirs.grouped.take(slice(None))
        z = z.at(z.codes, (z.effects - summed.effect_shifts[i]) * root[:, None])
        expected = z.diagonal_blocks()
        np.testing.assert_allclose(
            summed.sums.diagonal[i], expected, atol=rtol * np.abs(expected).max()
        )
        w = (whole - np.concatenate([[0.0], summed.shift])) * root[:, None]
        expected = z.level_sums(w)
        np.testing.assert_allclose(
            summed.sums.level_sums[i], expected, atol=rtol * np.abs(expected).max()
        )
    z = []
    for effects, shift in zip(model.random, summed.effect_shifts):
        grouped = effects.grouped
        moved = (grouped.effects - shift) * root[:, None]
        z.append(grouped.at(grouped.codes, moved).indicator())
    for (i, j), link in summed.sums.links.items():
        found = link.matrix(ours.random[i].n_levels, ours.random[j].n_levels)
        expected = (z[i].T @ z[j]).toarray()
        np.testing.assert_allclose(
            found.toarray(), expected, atol=rtol * np.abs(expected).max()
        )


SIZES = [(name, 40) for name in FORMULAS]
SIZES += [(name, size) for name in ("plain", "levels", "nested") for size in (7, N)]
SIZES += [("plain", 1), ("center", 7), ("bases", 7)]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_sums_are_those_of_rows_in_memory(name, size):
    model = crossedmixedlm(FORMULAS[name], DATA, check_levels=False)
    assert_same_model(sums_of(FORMULAS[name], DATA, size), model)


@pytest.mark.parametrize("size", [7, N])
def test_weights_offset_and_subset(size):
    data = DATA.assign(w=DATA["w"].where(DATA.index != 3, np.nan))
    data.loc[[8, 100], "w"] = 0.0
    options = {"weights": "w", "offset": "o", "subset": "z > 1 and f != 'b'"}
    formula = "y ~ x + f + (1 + x | g) + (1 | h)"
    model = crossedmixedlm(formula, data, **options)
    sums = sums_of(formula, data, size, **options)
    assert_same_model(sums, model)
    summed = sums.finish()
    assert summed.log_weights == pytest.approx(np.log(model.weights).sum())
    assert summed.mean_offset == pytest.approx(model.offset.mean())
    plain = summed.plain.triangle
    back = np.eye(len(plain))
    back[0, 1:] = summed.shift
    x = np.column_stack([np.ones(len(model.exog)), model.exog])
    whole = np.column_stack([x, model.endog - model.offset])
    np.testing.assert_allclose(
        (plain @ back).T @ (plain @ back), whole.T @ whole, rtol=1e-11, atol=1e-9
    )
    assert summed.plain.inverse_weights == pytest.approx((1 / model.weights).sum())


@pytest.mark.parametrize("weights", [None, "w"])
def test_fits_are_those_in_memory(weights):
    formula = "y ~ center(x) + f + (1 + x | g) + (1 | h)"
    fit = crossedmixedlm(formula, DATA, weights=weights).fit()
    ours = CrossedMixedLM.from_batches(
        in_batches(DATA, 7), formula, weights=weights
    ).fit()
    for name in ("params", "bse", "theta", "llf", "scale", "aic"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(fit, name), rtol=1e-11, err_msg=name
        )
    modes, expected = ours.random_effects_table(), fit.random_effects_table()
    pd.testing.assert_frame_equal(modes, expected, rtol=1e-10, atol=1e-11)


def test_codings_by_argument():
    options = {"contrasts": {"f": "sum"}}
    model = crossedmixedlm("y ~ f + (1 | g)", DATA, **options)
    assert_same_model(sums_of("y ~ f + (1 | g)", DATA, 7, **options), model)


def test_names_of_the_caller_are_looked_up():
    def halved(v):
        return v / 2

    knots = [2.5, 3.5]
    formula = "y ~ halved(x) + bs(x, knots=knots) + (1 | g)"
    model = crossedmixedlm(formula, DATA)
    source = in_batches(DATA, 7)
    assert_same_model(RowSums.of(formula, source), model)
    ours = CrossedMixedLM.from_batches(source, formula)
    assert ours.exog_names == model.exog_names
    assert crossedmixedlm(formula, lambda: iter(source)).exog_names == model.exog_names
    with pytest.raises(ValueError, match="knots"):
        RowSums.of(formula, source, eval_env=-1)
    named = RowSums.of(formula, source, eval_env={"halved": halved, "knots": knots})
    assert named.nobs == model.nobs


def test_order_of_batches_moves_last_digits_only():
    formula = FORMULAS["plain"]
    forward, backward = in_batches(DATA, 7), in_batches(DATA, 7)[::-1]
    one, other = (CrossedMixedLM.from_batches(b, formula) for b in (forward, backward))
    for mine, theirs in zip(one.random, other.random):
        pd.testing.assert_index_equal(mine.levels, theirs.levels)
    fits = [model.fit() for model in (one, other)]
    assert fits[0].llf == pytest.approx(fits[1].llf, rel=1e-12)


def test_a_constant_column_is_not_shifted():
    data = DATA.assign(one=2.0)
    summed = sums_of("y ~ 0 + one + x + (1 | g)", data, 7).finish()
    assert summed.shift[0] == 0.0
    late = data.assign(one=np.where(np.arange(len(data)) < 30, 2.0, 3.0))
    model = crossedmixedlm("y ~ 0 + one + x + (1 | g)", late)
    assert_same_model(sums_of("y ~ 0 + one + x + (1 | g)", late, 7), model)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("name", "what"), [("x", "column x"), ("y", "the response")])
def test_columns_whose_squares_overflow_are_named(name, what):
    data = DATA.assign(**{name: DATA[name] * 1e154})
    with pytest.raises(DataError, match=f"^{what} is too large: the sum of its squ"):
        sums_of("y ~ x + (1 | g)", data, 7).finish()
    data[name] /= 1e8
    sums_of("y ~ x + (1 | g)", data, 7).finish()


def test_warnings_come_once():
    data = DATA.assign(c=DATA["c"], name=[f"n{i % 3}" for i in range(len(DATA))])
    data.loc[3, "name"] = "N1 "
    formula = "y ~ c + (1 | name) + (1 | h)"
    with pytest.warns(DataWarning) as expected:
        crossedmixedlm(formula, data)
    with pytest.warns(DataWarning) as found:
        crossedmixedlm(formula, lambda: iter(in_batches(data, 7)))
    texts = [sorted(str(w.message) for w in each) for each in (found, expected)]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 3
    assert all(w.filename == __file__ for w in found)


def test_sums_may_be_used_again():
    """Levels of one factor that arrive in order, and of another that do not."""
    rng = np.random.default_rng(0)
    g, h = np.sort(rng.integers(40, size=400)), rng.integers(30, size=400)
    y = rng.normal(size=40)[g] + rng.normal(size=30)[h] + rng.normal(size=400)
    data, formula = pd.DataFrame({"g": g, "h": h, "y": y}), "y ~ 1 + (1 | g) + (1 | h)"
    sums = sums_of(formula, data, 400)
    for _ in range(3):
        assert_same_model(sums, crossedmixedlm(formula, data))
    sums.update(data.head(50))
    more = pd.concat([data, data.head(50)], ignore_index=True)
    assert_same_model(sums, crossedmixedlm(formula, more))


@pytest.mark.parametrize("other", [str, lambda g: g > 7])
def test_kinds_of_levels_are_not_mixed_in_a_batch(other):
    data = DATA.dropna().reset_index(drop=True)
    g = data["g"].astype(object)
    g[5] = other(g[5])
    mixed = data.assign(g=g)
    with pytest.raises(DataError, match=r"'g' mixes numbers and .* in row 5; convert"):
        RowSums.of("y ~ x + (1 | g)", [mixed])


@pytest.mark.parametrize("order", [1, -1])
def test_whole_numbers_that_become_decimal_have_one_label(order):
    """As with a gap in a later file, which makes its whole numbers decimal."""
    data = DATA.dropna().astype({"g": int})
    batches = [data, data.astype({"g": float})][::order]
    sums = RowSums.of("y ~ x + (1 | g / h)", batches)
    model = crossedmixedlm("y ~ x + (1 | g / h)", pd.concat(batches))
    assert_same_model(sums, model)
    fit = CrossedMixedLM.from_sums(sums).fit()
    for name, effects in model.fit().random_effects.items():
        assert effects.index.astype(str).equals(
            fit.random_effects[name].index.astype(str)
        )


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", [float, np.uint64, "Int64"])
def test_large_whole_numbers_are_not_mixed_with_what_loses_digits(kind, order):
    whole = DATA.dropna().assign(g=2**53 + np.arange(len(DATA.dropna())) % 9)
    other = whole.astype({"g": kind})
    if kind == "Int64":
        other.loc[other.index[1], "g"] = pd.NA
        assert RowSums.of("y ~ x + (1 | g)", [whole, other]).finish()
        whole = whole.astype({"g": float})
    with pytest.raises(DataError, match=r"'g' has whole numbers above 2\*\*53"):
        RowSums.of("y ~ x + (1 | g)", [whole, other][::order])
    sums = RowSums.of("y ~ x + (1 | g)", [whole])
    with pytest.raises(DataError, match=r"'g' has whole numbers above 2\*\*53"):
        sums.merge(sums.empty().update(other))
    assert RowSums.of("y ~ x + (1 | g)", [whole, whole]).nobs == 2 * len(whole)


def test_bytes_are_no_text():
    data = DATA.dropna().astype({"h": object})
    data.loc[data.index[3], "h"] = b"item 1"
    with pytest.raises(DataError, match="'h' mixes text and bytes"):
        RowSums.of("y ~ x + (1 | h)", [data])


@pytest.mark.parametrize("formula", ["y ~ center(x) * c", "center(y) ~ scale(x)"])
def test_infinite_value_in_memory_is_named_by_its_row(formula):
    data = DATA.dropna().reset_index(drop=True)
    data.loc[7, "x" if formula[0] == "y" else "y"] = np.inf
    with pytest.raises(DataError, match=r"'[xy]' in center\([xy]\) is .* in row 7$"):
        crossedmixedlm(f"{formula} + (1 | g)", data)


@pytest.mark.parametrize("later", [str, float, lambda g: g > 7])
def test_levels_of_another_kind_are_no_further_levels(later):
    data, formula = DATA.dropna(), "y ~ x + (1 | g)"
    other = data.assign(g=[later(g) for g in data["g"]])
    if later is float:
        assert RowSums.of(formula, [data, other]).nobs == 2 * len(data)
        return
    with pytest.raises(DataError, match=f"'g' mixes numbers and .* row {len(data)};"):
        RowSums.of(formula, [data, other])
    sums = RowSums.of(formula, [data])
    with pytest.raises(DataError, match=r"'g' mixes numbers and .* sums to be added"):
        sums.merge(RowSums.of(formula, [other]))
    categories = data.assign(g=pd.Categorical(data["g"]))
    assert len(RowSums.of(formula, [data, categories]).finish().terms) == 1


@pytest.mark.parametrize("is_decimal", [(False, True), (True, False)])
def test_decimals_are_the_levels_that_numbers_are(is_decimal):
    data, formula = DATA.dropna().assign(g=DATA["g"] / 10.0), "y ~ x + (1 | g)"
    as_decimals = data.assign(g=[Decimal(str(g)) for g in data["g"]])
    one, other = (as_decimals if given else data for given in is_decimal)
    for sums in (
        RowSums.of(formula, [one, other]),
        RowSums.of(formula, [one]).merge(RowSums.of(formula, [one, other])),
    ):
        levels = sums.model_arguments()["random"][0].levels
        assert len(levels) == data["g"].nunique()
        assert levels.tolist() == sorted(one["g"].unique())
    # decimals that are the same number are one level
    close = other.assign(g=Decimal("0.1"))
    close.loc[close.index[0], "g"] = Decimal("0.1000000000000000000001")
    sums = RowSums.of(formula, [data, close])
    assert len(sums.model_arguments()["random"][0].levels) == data["g"].nunique()


def test_dates_are_no_times():
    data, formula = DATA.dropna().assign(g=DATA["day"]), "y ~ x + (1 | g)"
    dates = data.assign(g=data["g"].dt.date)
    with pytest.raises(DataError, match=r"'g' mixes times and dates, .* convert"):
        RowSums.of(formula, [data, dates])
    text = data.assign(g=data["g"].astype(str))
    with pytest.raises(DataError, match=r"'g' mixes dates and text, .* convert"):
        RowSums.of(formula, [dates, text])
    true = data.assign(g=data["x"] > 3)
    both = RowSums.of(formula, [true, true.astype({"g": "boolean"})])
    assert both.model_arguments()["random"][0].levels.tolist() == [False, True]


@pytest.mark.parametrize(
    "column",
    [
        {"x": lambda d: d["x"].astype("float32")},
        {"x": lambda d: [Decimal(str(x)) for x in d["x"]]},
        {"z": lambda d: (d["z"] * 14).astype("int8")},
        {"z": lambda d: d["z"].astype("Int8").where(d["z"] > 0)},
        {"g": lambda d: d["day"].dt.date},
        {"h": lambda d: d["h"].where(d["z"].ne(0) & (np.arange(N) >= 40))},
    ],
)
def test_awkward_types_in_batches_of_other_orders(column):
    data, formula = DATA.assign(**column), "y ~ x + z * f + (1 | g) + (1 | h)"
    batches = in_batches(data, 20)
    turned = [batch[list(batch)[::-1]] for batch in batches]
    fit = crossedmixedlm(formula, lambda: iter([data[:0], *turned])).fit(tol=0.0)
    expected = crossedmixedlm(formula, data).fit(tol=0.0)
    for name in ("theta", "scale", "params", "bse", "llf"):
        found, known = (np.asarray(getattr(f, name)) for f in (fit, expected))
        size = np.abs(known).max()
        np.testing.assert_allclose(found / size, known / size, rtol=0.0, atol=1e-11)
