"""Sums are saved, loaded, sent elsewhere and merged."""

import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from batch_cases import awkward, in_batches

from statsmodels_lmm import CrossedMixedLM, RowSums
from statsmodels_lmm.batches import saving
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm

pytestmark = pytest.mark.filterwarnings(
    "ignore::statsmodels_lmm.exceptions.DataWarning"
)

DATA = awkward()
FORMULA = "y ~ center(x) + f + c + np.log(w) + (1 + x | g) + (1 | h:day) + (1 | z > 3)"
FIT = crossedmixedlm(FORMULA, DATA, weights="w").fit()


def sums_of(data, formula=FORMULA, **options):
    return RowSums.of(formula, in_batches(data, 40), **{"weights": "w"} | options)


def assert_same_fit(sums):
    ours = CrossedMixedLM.from_sums(sums).fit()
    assert ours.llf == pytest.approx(FIT.llf, rel=1e-12)
    assert ours.model.n_dropped == FIT.model.n_dropped
    for mine, theirs in zip(ours.model.random, FIT.model.random):
        pd.testing.assert_index_equal(mine.levels, theirs.levels)
    new = ours.predict(DATA.head(9), random_effects=True)
    old = FIT.predict(DATA.head(9), random_effects=True)
    np.testing.assert_allclose(new, old, rtol=1e-7)


def test_sums_that_were_saved_go_on(tmp_path):
    whole = sums_of(DATA)
    whole.save(tmp_path / "sums.npz")
    loaded = RowSums.load(tmp_path / "sums.npz")
    assert_same_fit(loaded)
    part = whole.empty().update(DATA[:70])
    part.save(tmp_path / "part.npz")
    later = RowSums.load(tmp_path / "part.npz").update(in_batches(DATA[70:], 30))
    assert_same_fit(later)
    assert later.nobs == whole.nobs == FIT.nobs


def test_sums_merge_in_any_order():
    whole = sums_of(DATA)
    parts = [whole.empty().update(batch) for batch in in_batches(DATA, 30)]
    merged = whole.empty()
    for part in parts[::-1]:
        merged.merge(part)
    assert_same_fit(merged)
    assert_same_fit(pickle.loads(pickle.dumps(merged)))
    before = parts[0].nobs
    parts[0].merge(whole.empty())
    assert parts[0].nobs == before


@pytest.mark.parametrize("kind", ["zone", "category", "period", "date"])
def test_sums_with_levels_that_no_file_holds_are_sent_elsewhere(kind, tmp_path):
    """Such as to the other processes of a cluster."""
    days = DATA["day"]
    made = {
        "zone": days.dt.tz_localize("Europe/Berlin"),
        "category": days.astype("category"),
        "period": days.dt.to_period("D"),
        "date": days.dt.date,
    }
    data, formula = DATA.assign(day=made[kind]), "y ~ x + (1 | day) + (1 | h)"
    sums = sums_of(data, formula, weights=None)
    ours = CrossedMixedLM.from_sums(pickle.loads(pickle.dumps(sums))).fit()
    fit = crossedmixedlm(formula, data).fit()
    assert ours.llf == pytest.approx(fit.llf, rel=1e-12)
    pd.testing.assert_index_equal(
        ours.model.random[0].levels, fit.model.random[0].levels
    )
    with pytest.raises(
        DataError, match=r"levels of 'day' are of type .*convert the col"
    ):
        sums.save(tmp_path / "sums.npz")


def test_sums_that_differ_are_not_merged():
    whole = sums_of(DATA)
    with pytest.raises(DataError, match="different formulas"):
        whole.merge(sums_of(DATA, "y ~ x + (1 | g)"))
    with pytest.raises(DataError, match="remember different data"):
        whole.merge(sums_of(DATA[10:]))
    with pytest.raises(DataError, match="different weights"):
        whole.merge(sums_of(DATA, weights="o"[:0] or None))
    with pytest.raises(TypeError, match="merge takes other RowSums, not DataFrame"):
        whole.merge(DATA)


def test_new_levels_of_fixed_factors_are_rejected():
    whole = sums_of(DATA)
    with pytest.raises(DataError, match="new levels of 'f': new"):
        whole.update(DATA[:20].assign(f="new"))
    with pytest.raises(DataError, match="column 'f' not in the batch"):
        whole.update(DATA[:20].drop(columns="f"))
    grown = whole.update(DATA[:20].assign(g=99))
    assert 99 in CrossedMixedLM.from_sums(grown).random[0].levels


def test_text_of_expressions_is_known_to_predictions():
    formula = "y ~ (f == 'a') + (1 | g)"
    fit = CrossedMixedLM.from_sums(sums_of(DATA, formula)).fit()
    expected = crossedmixedlm(formula, DATA, weights="w").fit().predict(DATA)
    np.testing.assert_allclose(fit.predict(DATA), expected, rtol=1e-8)


def test_names_of_the_caller_are_not_saved(tmp_path):
    def own(v):
        return v

    assert own(1) == 1
    sums = sums_of(DATA, "y ~ own(x) + (1 | g)", eval_env={"own": own})
    with pytest.raises(DataError, match=r"names of your own.*own"):
        sums.save(tmp_path / "a")


def changed(path, **entries):
    """A file with other entries."""
    with np.load(path) as arrays:
        parts = dict(arrays)
    head = json.loads(parts["head"].tobytes())
    parts |= {n: v for n, v in entries.items() if n in parts}
    head |= {n: v for n, v in entries.items() if n in head}
    parts["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **parts)
    path.write_bytes(file.getvalue())


def counts_of(n):
    rows = pd.DataFrame({"y": np.arange(6.0), "g": [0, 1] * 3, "h": [0, 0, 1, 1, 2, 2]})
    return RowSums.of("y ~ 1 + (1 | g) + (1 | h)", [rows] * n)


def stored(path):
    with np.load(path) as arrays:
        return {part: arrays[f"links 0 1 {part}"] for part in saving.LINKS}


def test_numbers_of_rows_take_little_space(tmp_path):
    path = tmp_path / "sums.npz"
    counts_of(200).save(path)
    assert {part.dtype for part in stored(path).values()} == {np.dtype(np.uint8)}
    twice = RowSums.load(path).merge(RowSums.load(path)).finish().sums
    assert (twice.links[0, 1].blocks == 400.0).all()
    sums_of(DATA).save(path)
    assert stored(path)["data"].dtype == float


def test_files_of_the_first_version_are_read(tmp_path):
    path = tmp_path / "sums.npz"
    counts_of(3).save(path)
    kinds = {"data": float, "indices": np.int32, "indptr": np.int32}
    plain = {f"links 0 1 {n}": v.astype(kinds[n]) for n, v in stored(path).items()}
    changed(path, version=1, **plain)
    assert (RowSums.load(path).finish().sums.links[0, 1].blocks == 3.0).all()


@pytest.mark.parametrize(
    ("entries", "error", "told"),
    [
        ({"format": "other"}, DataError, "not saved sums"),
        ({"version": 99}, DataError, "upgrade"),
        ({"formula": "y ~ open('f') + (1 | g)"}, FormulaError, "open"),
        ({"triangle": np.zeros((2, 2))}, DataError, "triangle"),
        ({"shift": np.full(7, np.nan)}, DataError, "shift"),
        ({"counts": [1, 2, -3, 4]}, DataError, "counts"),
        ({"links 0 1 shape": np.array([3, 3])}, DataError, "links"),
        ({"links 0 1 indices": np.array([10**6])}, DataError, "damaged"),
        ({"links 0 1 data": np.array([np.nan])}, DataError, "not finite"),
        ({"values g": np.zeros(15, dtype=int)}, DataError, "twice"),
    ],
)
def test_damaged_files_are_rejected(tmp_path, entries, error, told):
    path = tmp_path / "sums.npz"
    sums_of(DATA).save(path)
    changed(path, **entries)
    with pytest.raises(error, match=told):
        RowSums.load(path)


def test_a_pickle_is_not_loaded(tmp_path):
    path = tmp_path / "sums.npz"
    path.write_bytes(pickle.dumps({"format": "statsmodels_lmm sums"}))
    with pytest.raises(DataError, match="damaged ones: no archive"):
        RowSums.load(path)


def test_only_sums_make_a_model():
    with pytest.raises(TypeError, match="sums are a RowSums, not list"):
        CrossedMixedLM.from_sums([])


def test_a_file_that_holds_no_sums_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*gone\.sums"):
        RowSums.load(tmp_path / "gone.sums")
    (tmp_path / "text.sums").write_text("text")
    with pytest.raises(DataError, match=r"text\.sums: not saved sums"):
        RowSums.load(tmp_path / "text.sums")
