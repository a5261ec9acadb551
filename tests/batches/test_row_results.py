"""Predictions and residuals of rows that are read in batches."""

import numpy as np
import pandas as pd
import pytest
from batch_cases import awkward, in_batches

from statsmodels_lmm import CrossedMixedLM, from_json
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm

pytestmark = pytest.mark.filterwarnings(
    "ignore::statsmodels_lmm.exceptions.DataWarning"
)

DATA = awkward()
FORMULA = "log(y + 30) ~ center(x) + f + offset(w / 9) + (1 + x | g) + (1 | h)"
FIT = crossedmixedlm(FORMULA, DATA, offset="o").fit()
OURS = CrossedMixedLM.from_batches(in_batches(DATA, 40), FORMULA, offset="o").fit()


def source():
    return iter(in_batches(DATA, 33))


def test_rows_of_a_fit_in_memory():
    fit = crossedmixedlm("y ~ x + (1 | g)", DATA).fit()
    found, expected = pd.concat(fit.augment(source)), fit.augment(DATA)
    known = expected["resid"].notna()
    np.testing.assert_allclose(found["resid"][known], expected["resid"][known])
    with pytest.raises(DataError, match="offset= beside its formula"):
        next(FIT.augment(source))


def test_augmented_rows_are_those_in_memory():
    found = pd.concat(OURS.augment(source))
    expected = FIT.augment(DATA)
    assert list(found) == list(expected)
    for name in ("fitted", "resid", "fixed"):
        known = expected[name].notna()
        np.testing.assert_allclose(
            found[name][known], expected[name][known], rtol=1e-8, atol=1e-9
        )
    assert found["resid"].isna().equals(expected["resid"].isna())


@pytest.mark.parametrize("random_effects", [False, True, ["g"]])
def test_predicted_rows_are_those_in_memory(random_effects):
    found = pd.concat(OURS.predict(source, random_effects=random_effects))
    offset = DATA["o"]
    expected = FIT.predict(DATA, random_effects=random_effects, offset=offset)
    np.testing.assert_allclose(found["predicted"], expected, rtol=1e-8, atol=1e-9)
    pd.testing.assert_frame_equal(
        found.drop(columns="predicted"), DATA, check_dtype=False
    )


def test_rows_are_written(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "out.parquet"
    assert OURS.augment(source, to=path) is None
    read = pd.read_parquet(path)
    np.testing.assert_allclose(read["resid"], pd.concat(OURS.augment(source))["resid"])
    assert OURS.predict(source, to=path) is None
    assert "predicted" in pd.read_parquet(path)


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path):
    pandas_of = pytest.importorskip("pyarrow.parquet").read_pandas
    path = tmp_path / "rows.parquet"
    DATA.assign(c=DATA["c"].astype(str)).to_parquet(path)
    before = path.read_bytes()
    other = [DATA.assign(note=1), DATA.assign(note="text")]
    with pytest.raises(DataError, match=f"different types .* at row {len(DATA)}"):
        OURS.augment(lambda: iter(other), to=path)
    assert path.read_bytes() == before
    OURS.augment(path, to=path)
    assert pandas_of(path).num_rows == len(DATA)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(TypeError, match="to= is the path of a Parquet file, not 5"):
        OURS.augment(source, to=5)


def test_one_table_of_rows():
    whole = pd.concat(OURS.augment(DATA))
    pd.testing.assert_frame_equal(whole, pd.concat(OURS.augment(lambda: iter([DATA]))))


def test_a_fit_of_sums_is_saved():
    fit = CrossedMixedLM.from_batches(source, "y ~ x + (1 + x | g) + (1 | h)").fit()
    light = from_json(fit.to_json())
    new = DATA.dropna()[:5]
    expected = fit.predict(new, random_effects=True)
    np.testing.assert_allclose(light.predict(new, random_effects=True), expected)


def test_new_levels_of_rows():
    def new():
        return iter([DATA[:20].assign(g=99)])

    with pytest.raises(DataError, match="99"):
        next(OURS.augment(new))
    frame = next(OURS.augment(new, new_levels="population"))
    known = next(OURS.augment(lambda: iter([DATA[:20]])))
    assert frame["fitted"].isna().equals(known["fitted"].isna())


def test_a_sample_of_residuals():
    every = pd.concat(OURS.augment(source))
    found = OURS.sample_residuals(source, n=30, rng=1)
    assert len(found) == 30
    assert found.index.is_monotonic_increasing
    assert found["resid"].notna().all()
    np.testing.assert_allclose(found["resid"], every.loc[found.index, "resid"])
    again = OURS.sample_residuals(source, n=30, rng=1)
    pd.testing.assert_frame_equal(found, again)
    other = OURS.sample_residuals(source, n=30, rng=2)
    assert not other.index.equals(found.index)
    whole = OURS.sample_residuals(source, n=10**6)
    assert len(whole) == OURS.nobs
    with pytest.raises(ValueError, match="n must be a positive whole number, not -1"):
        OURS.sample_residuals(source, n=-1)
    with pytest.raises(DataError, match="no rows"):
        OURS.sample_residuals(lambda: iter([DATA[:0]]))


def test_each_row_is_as_likely_as_another():
    counts = np.zeros(len(DATA))
    for seed in range(40):
        counts[OURS.sample_residuals(source, n=40, rng=seed).index] += 1
    used = counts[pd.concat(OURS.augment(source))["resid"].notna()]
    halves = used[: len(used) // 2].mean(), used[len(used) // 2 :].mean()
    assert abs(halves[0] - halves[1]) < 1.5


def test_what_batches_of_rows_cannot_have():
    with pytest.raises(DataError, match=r"result.augment\(source\)"):
        _ = OURS.resid
    with pytest.raises(DataError, match="already have a column 'resid'"):
        OURS.augment(lambda: iter([DATA.assign(resid=0.0)]))
    plain = CrossedMixedLM.from_batches(source, "y ~ x + (1 | g)").fit()
    with pytest.raises(DataError, match="'y' must be numeric, but it is text"):
        next(plain.augment(lambda: iter([DATA.assign(y="text")])))
    with pytest.raises(ValueError, match="influence"):
        OURS.augment(source, influence=True)
    with pytest.raises(ValueError, match="to="):
        FIT.augment(DATA, to="a")
    with pytest.raises(ValueError, match="to="):
        FIT.predict(DATA, to="a")
    arrays = CrossedMixedLM(
        FIT.model.endog, FIT.model.exog, {"g": FIT.model.random[0].grouped.codes}
    ).fit()
    with pytest.raises(DataError, match="a model with a formula"):
        arrays.augment(source)
    centered = CrossedMixedLM.from_batches(source, "center(y) ~ x + (1 | g)").fit()
    with pytest.raises(DataError, match=r"center\(y\)"):
        next(centered.augment(source))


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"Parquet file, not .*out\.csv"):
        OURS.augment(source, to=tmp_path / "out.csv")
    with pytest.raises(FileNotFoundError, match=r"no folder .*gone for a\.parquet"):
        OURS.predict(source, to=tmp_path / "gone" / "a.parquet")
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="rng is a seed, a Generator or None, not 'a'"):
        OURS.sample_residuals(source, rng="a")


@pytest.mark.filterwarnings("ignore")
def test_residuals_of_a_response_that_remembers_the_data():
    batches = in_batches(DATA, 40)
    formula = "center(y) ~ x + (1 | g)"
    fit = CrossedMixedLM.from_batches(batches, formula).fit()
    with pytest.raises(DataError, match=r"center\(y\).* a column of the rows"):
        list(fit.augment(lambda: iter(batches)))
    predictions = fit.predict(lambda: iter(batches), random_effects=True)
    predicted = pd.concat(list(predictions))["predicted"]
    expected = crossedmixedlm(formula, DATA).fit()
    found = predicted[expected.fittedvalues.index]
    np.testing.assert_allclose(found, expected.fittedvalues, rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("options", [{"subset": "f != late"}, {"weights": "v"}])
def test_a_sample_has_the_rows_of_the_fit(options):
    late = "a"
    data = DATA.assign(v=DATA["w"] * (DATA["z"] > 3))
    batches, formula = in_batches(data, 33), "y ~ x + f + (1 | g) + (1 | h)"
    fit = crossedmixedlm(formula, data, **options).fit()
    ours = CrossedMixedLM.from_batches(batches, formula, **options).fit()
    assert late in set(data["f"])
    found = ours.sample_residuals(batches)
    assert len(found) == fit.nobs < len(data.dropna())
    np.testing.assert_allclose(found["resid"], fit.resid, rtol=1e-8, atol=1e-9)
    smaller = ours.drop_random("g").sample_residuals(batches)
    assert smaller.index.equals(found.index)


def test_effects_are_drawn_at_values_that_are_given():
    pytest.importorskip("matplotlib")
    formula = "y ~ x * z + f + (1 | g)"
    ours = CrossedMixedLM.from_batches(source, formula).fit()
    with pytest.raises(DataError, match=r"give at=\{'x': \.\.\.\}"):
        ours.plot_effects("x")
    figure = ours.plot_effects("x", "z", at={"x": [2, 3, 4], "z": [0, 8]})
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert [list(line.get_xdata()) for line in lines] == [[2, 3, 4]] * 2
    found = [line.get_ydata() for line in lines]
    at = {"x": [2, 3, 4], "z": [0, 8]}
    fit = crossedmixedlm(formula, DATA).fit()
    means = fit.marginal_means(["x"], ["z"], at=at).frame
    expected = [means.loc[means["z"] == z, "mean"] for z in (0, 8)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)
