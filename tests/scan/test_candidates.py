"""Candidates from every kind of source."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from scan_cases import genotypes, people
from scipy import sparse

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.scan.candidates import read_candidates

DATA, KINSHIP = people(8)
COUNTS = genotypes(DATA, 6)


@pytest.fixture(scope="module")
def model():
    return crossedmixedlm("trait ~ sex + (1 | id)", DATA, relationship={"id": KINSHIP})


class Stored:
    """Columns that can only be sliced, as those of a file."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, place):
        rows, columns = place
        assert rows == slice(None)
        assert isinstance(columns, slice)
        return self.values[:, columns]


def everywhere(model, given, **options):
    read = read_candidates(given, model, **options)
    return read, read.block(np.arange(len(read)))


@pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_array, sparse.coo_array, Stored, np.ndarray.tolist]
)
@pytest.mark.parametrize("dtype", [np.int8, float, np.float32, np.int64])
def test_all_kinds_hold_the_same_values(model, kind, dtype):
    values = COUNTS.to_numpy().astype(dtype)
    read, block = everywhere(model, kind(values))
    assert block.values.dtype == float
    assert np.array_equal(block.values, values)
    assert block.missing is None
    assert read.are_counts == (dtype == np.int8 and kind is not np.ndarray.tolist)
    assert list(read.names) == list(range(6))
    some = read_candidates(np.asarray(values), model).block(np.array([1, 4]))
    assert np.array_equal(some.values, values[:, [1, 4]])


def test_a_block_is_a_copy(model):
    values = COUNTS.to_numpy(float)
    _, block = everywhere(model, values)
    block.values[:] = 0.0
    assert values.any()


def test_a_table_is_aligned_by_its_index(model):
    shuffled = COUNTS.sample(frac=1.0, random_state=1)
    more = pd.concat([shuffled, shuffled.iloc[:1].rename({shuffled.index[0]: "new"})])
    for frame in (COUNTS, shuffled, more, more.astype(float)):
        read, block = everywhere(model, frame)
        assert np.array_equal(block.values, COUNTS.to_numpy())
        assert list(read.names) == list(COUNTS.columns)


def test_columns_of_a_table_may_be_of_any_numeric_kind(model):
    frame = COUNTS.astype(float).assign(snp000=COUNTS["snp000"].astype("Int64"))
    frame.iloc[2, 0] = pd.NA
    _, block = everywhere(model, frame)
    assert np.isnan(block.values[2, 0])
    assert block.missing.sum() == 1
    with pytest.raises(DataError, match="snp001"):
        everywhere(model, frame.assign(snp001="a"))


def test_missing_codes(model):
    values = COUNTS.to_numpy().copy()
    values[3, 2] = -127
    _, block = everywhere(model, values)
    assert np.argwhere(block.missing).tolist() == [[3, 2]]
    assert np.isnan(block.values[3, 2])
    values[3, 2] = 3
    _, block = everywhere(model, values, missing_code=3)
    assert np.isnan(block.values[3, 2])
    _, block = everywhere(model, values)
    assert np.flatnonzero(block.reason).tolist() == [2]
    assert not block.values[:, 2].any()
    assert block.missing is None


@pytest.mark.parametrize(
    ("kind", "value", "reason"), [(float, np.inf, "infinite"), (np.int8, 7, "int8")]
)
def test_the_rest_is_done_beside_unusable_values(model, kind, value, reason):
    values = COUNTS.to_numpy(kind, copy=True)
    good = model.scan_predictors(values).table
    values[1, 4] = value
    found = model.scan_predictors(values)
    table = found.table
    assert reason in table["reason"].iloc[4]
    assert table.iloc[4][["effect", "se", "p"]].isna().all()
    others = np.arange(len(table)) != 4
    pd.testing.assert_frame_equal(table[others], good[others])
    sets = model.scan_predictors(values, sets={"bad": [0, 4], "good": [0, 1]}).table
    assert reason in sets["reason"].iloc[0]
    assert sets["p"].isna().tolist() == [True, False]


def test_what_does_not_fit_is_named(model):
    values = COUNTS.to_numpy()
    with pytest.raises(DataError, match="47 rows but the model 48"):
        read_candidates(values[:47], model)
    with pytest.raises(DataError, match="one column for each"):
        read_candidates(values[:, 0], model)
    with pytest.raises(DataError, match="5 names for 6 candidates"):
        read_candidates(values, model, names=list("abcde"))
    with pytest.raises(DataError, match="appear twice: b"):
        read_candidates(values, model, names=list("abbdef"))
    with pytest.raises(DataError, match="no value for 48 of 48 rows"):
        read_candidates(COUNTS.set_axis(range(1, 49)), model)


def test_rows_that_the_model_left_out():
    data = DATA.assign(trait=DATA["trait"].mask(DATA.index == "row3"))
    model = crossedmixedlm("trait ~ (1 | id)", data, relationship={"id": KINSHIP})
    _, block = everywhere(model, COUNTS)
    assert np.array_equal(block.values, COUNTS.drop("row3").to_numpy())
    with pytest.raises(DataError, match="1 incomplete rows of the data are not in"):
        read_candidates(COUNTS.to_numpy(), model)


def test_rows_by_the_levels_of_a_factor():
    twice = pd.concat([DATA, DATA.assign(trait=DATA["trait"] + 1.0)])
    twice = twice.reset_index(drop=True)
    model = crossedmixedlm("trait ~ (1 | id)", twice, relationship={"id": KINSHIP})
    of_people = COUNTS.set_axis(DATA["id"])
    expected = np.vstack([COUNTS, COUNTS])
    shuffled = of_people.sample(frac=1.0, random_state=2)
    for given in (of_people, shuffled):
        _, block = everywhere(model, given, by="id")
        assert np.array_equal(block.values, expected)
    ordered = of_people.loc[model.random[0].levels].to_numpy()
    _, block = everywhere(model, ordered, by="id")
    assert np.array_equal(block.values, expected)
    with pytest.raises(DataError, match="no row for 1 levels of id: p"):
        read_candidates(of_people.iloc[1:], model, by="id")
    with pytest.raises(DataError, match="several rows"):
        read_candidates(pd.concat([of_people, of_people]), model, by="id")
    with pytest.raises(DataError, match="3 rows but id has 48 levels"):
        read_candidates(ordered[:3], model, by="id")
    with pytest.raises(DataError, match="by='who' is no grouping factor"):
        read_candidates(ordered, model, by="who")


class OpenBed:
    """What bed-reader returns, with people in another order."""

    def __init__(self, path):
        shuffled = COUNTS.sample(frac=1.0, random_state=3)
        self.values, self.iid = shuffled.to_numpy(), shuffled.index.to_numpy()
        self.shape, self.sid = self.values.shape, np.array(COUNTS.columns)
        self.chromosome = np.array(list("111222"))
        self.bp_position = np.arange(6)

    def read(self, index, dtype, num_threads):
        assert dtype == "int8"
        return self.values[index]


def test_a_plink_file(model, monkeypatch):
    package = types.ModuleType("bed_reader")
    package.open_bed = OpenBed
    monkeypatch.setitem(sys.modules, "bed_reader", package)
    read, block = everywhere(model, "some.bed")
    assert np.array_equal(block.values, COUNTS.to_numpy())
    assert list(read.names) == list(COUNTS.columns)
    assert read.positions.loc["snp003"].tolist() == ["2", 3]
    assert read.are_counts
    table = model.scan_predictors("some.bed").table
    assert table["chromosome"].tolist() == list("111222")


def test_a_plink_file_needs_its_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "bed_reader", None)
    with pytest.raises(ImportError, match=r"statsmodels_lmm\[genotypes\]"):
        read_candidates("some.bed", model)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, float])
def test_the_missing_code_of_other_types(kind, model):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (int(model.nobs), 3)).astype(kind)
    values[4, 1] = 9
    _, block = everywhere(model, values, missing_code=9)
    assert block.missing.sum() == 1
    assert np.isnan(block.values[4, 1])


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "dict"])
def test_tables_of_other_kinds_have_names(kind, model):
    n = int(model.nobs)
    columns = {"a": np.arange(n) * 1.0, "b": np.ones(n)}
    given = columns
    if kind != "dict":
        module = pytest.importorskip(kind)
        given = (module.DataFrame if kind == "polars" else module.table)(columns)
    read, block = everywhere(model, given)
    assert read.names.tolist() == ["a", "b"]
    np.testing.assert_array_equal(block.values[:, 0], columns["a"])


def test_what_is_no_table_of_candidates(model):
    with pytest.raises(DataError, match="not an array of numbers"):
        read_candidates([[1.0], [1.0, 2.0]], model)
    with pytest.raises(TypeError, match="names are a sequence of texts"):
        read_candidates(np.ones((int(model.nobs), 2)), model, names="ab")
