"""Batches from every kind of source, and what cannot be read."""

import sys
from copy import copy

import numpy as np
import pytest
from batch_cases import awkward, in_batches

from statsmodels_lmm import CrossedMixedLM, RowSums
from statsmodels_lmm.batches.opening import is_lazy, source_of
from statsmodels_lmm.batches.passes import Passes
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm

pytestmark = pytest.mark.filterwarnings(
    "ignore::statsmodels_lmm.exceptions.DataWarning"
)

DATA = awkward()
# not every kind of table keeps the order of categories
DATA["c"] = DATA["c"].astype(str)
FORMULA = "y ~ x + z + (1 + x | g) + (1 | h) + (1 | day)"
LEVELS = "y ~ f + c + center(x) + (1 | g) + (1 | h)"


def arrow():
    return pytest.importorskip("pyarrow").Table.from_pandas(DATA, preserve_index=False)


def folder(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for i, batch in enumerate(in_batches(DATA, 60)):
        # whole numbers in one file and decimals in another
        batch = batch.astype({"z": float}) if i else batch
        table = pytest.importorskip("pyarrow").Table.from_pandas(
            batch, preserve_index=False
        )
        parquet.write_table(table, tmp_path / f"{i}.parquet", row_group_size=25)
    return tmp_path


def dictionary_columns():
    """Text as dictionaries that have values of no row."""
    table = arrow()
    pa = pytest.importorskip("pyarrow")
    values = ["none of them", *DATA["h"].astype(object).where(DATA["h"].notna(), None)]
    coded = pa.array(values).dictionary_encode().slice(1)
    return table.set_column(table.column_names.index("h"), "h", coded)


def relation():
    connection = pytest.importorskip("duckdb").connect()
    connection.register("ratings", arrow())
    return connection.sql("select * from ratings")


def lazy():
    arrow()
    return pytest.importorskip("polars").from_pandas(DATA).lazy()


def polars():
    return lazy().collect()


def with_empty_batches():
    return [DATA[:0], DATA[:20], DATA[:0], DATA[20:]]


def dask():
    return pytest.importorskip("dask.dataframe").from_pandas(DATA, npartitions=3)


SOURCES = {
    "folder": folder,
    "text": lambda path: str(folder(path)),
    "pattern": lambda path: str(folder(path) / "*.parquet"),
    "dataset": lambda path: pytest.importorskip("pyarrow.dataset").dataset(arrow()),
    "lazy frame": lambda path: lazy(),
    "relation": lambda path: relation(),
    "dask": lambda path: dask(),
    "function": lambda path: lambda: iter(in_batches(DATA, 40)),
    "arrow tables": lambda path: lambda: iter([arrow().slice(0, 50), arrow()[50:]]),
    "polars frames": lambda path: (
        lambda: iter([lazy().collect()[:9], lazy().collect()[9:]])
    ),
    "dictionaries": lambda path: lambda: iter(dictionary_columns().to_batches(50)),
    "empty batches": lambda path: (
        lambda: iter([DATA[:0], DATA[:20], DATA[:0], DATA[20:]])
    ),
    "nullable types": lambda path: lambda: iter(in_batches(DATA.convert_dtypes(), 40)),
    "mappings": lambda path: lambda: iter([DATA[:9].to_dict("list"), DATA[9:]]),
}


@pytest.fixture(scope="module", params=[FORMULA, LEVELS], ids=["plain", "levels"])
def expected(request):
    return request.param, crossedmixedlm(request.param, DATA).fit()


@pytest.mark.parametrize("kind", SOURCES)
def test_fits_are_those_in_memory(kind, tmp_path, expected):
    formula, fit = expected
    source = SOURCES[kind](tmp_path)
    assert is_lazy(source)
    ours = crossedmixedlm(formula, source).fit()
    assert ours.nobs == fit.nobs
    assert ours.model.n_dropped == fit.model.n_dropped
    assert ours.params.index.equals(fit.params.index)
    np.testing.assert_allclose(ours.llf, fit.llf, rtol=1e-11)
    np.testing.assert_allclose(ours.params, fit.params, rtol=1e-7)
    for mine, theirs in zip(ours.model.random, fit.model.random):
        levels = mine.levels.tolist()
        # those of a dictionary are in its order
        levels = sorted(levels) if kind == "dictionaries" else levels
        assert levels == theirs.levels.tolist()


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["dataset", "lazy frame", "relation"])
def test_sizes_of_batches(kind, size, tmp_path):
    tables = source_of(SOURCES[kind](tmp_path), size).open(["y", "g"])
    sizes = [len(table) for table in tables]
    assert sum(sizes) == len(DATA)
    assert max(sizes) <= max(size, 2) or size == 1000


def test_only_columns_that_are_needed_are_read():
    names = []

    def open_source(columns):
        names.append(columns)
        return iter([DATA[columns]])

    from statsmodels_lmm.batches.sources import Source

    source = Source(list(DATA), open_source)
    sums = RowSums.of("y ~ x + (1 | g)", source, weights="w", subset="z > 1")
    assert sums.nobs > 0
    assert {tuple(sorted(each)) for each in names} == {("g", "w", "x", "y", "z")}


def test_a_reader_is_read_once():
    fit = crossedmixedlm(FORMULA, arrow().to_reader(30)).fit()
    assert fit.nobs == crossedmixedlm(FORMULA, DATA).nobs
    generator = (batch for batch in in_batches(DATA, 40))
    assert RowSums.of(FORMULA, generator).nobs == fit.nobs


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("y ~ f + (1 | g)", r"the levels of f must be known"),
        ("y ~ center(x) + (1 | g)", r"center\(x\) must be known"),
        ("y ~ C(z) + (1 | g)", r"C\(x\) must be known"),
        ("y ~ x + (1 | cut(o, 3))", r"cut\(o, 3\) must be known"),
    ],
)
def test_terms_that_need_another_pass(formula, told):
    with pytest.raises(DataError, match=told):
        RowSums.of(formula, iter(in_batches(DATA, 40)))


def test_what_was_opened_is_closed():
    closed = []

    def tables():
        try:
            yield from in_batches(DATA, 40)
        finally:
            closed.append(True)

    RowSums.of("y ~ center(x) + f + (1 | g)", tables)
    opened = len(closed)
    assert opened >= 4
    with pytest.raises(FormulaError):
        RowSums.of("y ~ log(x, 'a') + (1 | g)", tables)
    assert len(closed) > opened


def test_an_interrupt_closes_the_source():
    closed = []

    def tables():
        try:
            yield DATA[:50]
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        RowSums.of("y ~ x + (1 | g)", tables)
    assert closed


@pytest.mark.parametrize(
    ("formula", "options", "told"),
    [
        ("y ~ nope + (1 | g)", {}, "column 'nope' not in data"),
        ("y ~ x + (1 | G)", {}, "did you mean g"),
        ("y ~ x + (1 | g)", {"weights": "ww"}, "weights: column 'ww' not in data"),
        ("f ~ x + (1 | g)", {}, "must be numeric, but it is text"),
        ("b ~ x + (1 | g)", {}, "the response 'b' is true/false"),
        ("y ~ day + (1 | g)", {}, "holds dates or times"),
        ("y ~ log(x - 9) + (1 | g)", {}, "is infinite or undefined in rows 0, 1"),
        ("y ~ x + (1 | g)", {"subset": "x > 99"}, "no row satisfies"),
        ("y ~ x + (1 | g)", {"missing": "raise"}, "missing values in y"),
        ("y ~ x - x.mean() + I(x - x.mean()) + (1 | g)", {}, "depend on other rows"),
        ("y ~ x + (1 | g)", {"offset": "f"}, "offset"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_errors(formula, options, told):
    with pytest.raises(ValueError, match=told):
        crossedmixedlm(formula, lambda: iter(in_batches(DATA, 40)), **options)


def test_no_rows():
    with pytest.raises(DataError, match="no rows"):
        crossedmixedlm(FORMULA, lambda: iter([DATA[:0]]))
    with pytest.raises(DataError, match="no rows"):
        crossedmixedlm(FORMULA, lambda: iter([]))
    missing = DATA.assign(x=np.nan)
    with pytest.raises(DataError, match=rf"no complete row is left.*x \({len(DATA)}\)"):
        crossedmixedlm(FORMULA, lambda: iter(in_batches(missing, 40)))
    with pytest.raises(DataError, match="no rows of positive weight"):
        RowSums.of("z ~ 1 + (1 | g)", [DATA.assign(w=0.0)], weights="w")


def test_an_iterator_that_has_begun_is_no_new_one():
    tables = iter(in_batches(DATA, 40))
    with pytest.raises(DataError, match="the same iterator a second time"):
        crossedmixedlm("y ~ x + (1 | g)", lambda: tables)


def test_iterators_that_share_their_tables():
    """A new object each time, which goes on where the one before has ended."""
    tables = iter(in_batches(DATA, 40))
    model = crossedmixedlm("y ~ x + (1 | g)", lambda: map(copy, tables))
    whole = crossedmixedlm("y ~ x + (1 | g)", DATA).fit()
    np.testing.assert_allclose(model.fit().llf, whole.llf)
    assert model.nobs == whole.nobs
    tables = iter(in_batches(DATA, 40))
    with pytest.raises(DataError, match=r"had \d+ rows .* and 0 the next"):
        crossedmixedlm("y ~ center(x) + (1 | g)", lambda: map(copy, tables))


def test_one_table_is_a_source():
    whole = RowSums.of("y ~ x + (1 | g)", DATA)
    assert whole.nobs == RowSums.of("y ~ x + (1 | g)", [DATA]).nobs
    both = whole.empty().update(iter(in_batches(DATA, 40)))
    assert both.nobs == whole.nobs
    assert whole.empty().update(arrow().to_reader(50)).nobs == whole.nobs


@pytest.mark.filterwarnings("ignore:invalid value")
def test_infinite_values_are_named():
    last = DATA[:1].assign(x=np.inf)
    with pytest.raises(DataError, match=r"'x' in .*center.x.* undefined in row 160$"):
        crossedmixedlm("y ~ center(x) + (1 | g)", lambda: iter([DATA, last]))


def test_a_list_of_files(tmp_path):
    folder(tmp_path)
    files, formula = sorted(tmp_path.glob("*.parquet")), "y ~ x + (1 | g)"
    assert is_lazy(files)
    whole = crossedmixedlm(formula, tmp_path).fit()
    for given in files, [str(path) for path in files]:
        assert crossedmixedlm(formula, given).fit().llf == whole.llf
    assert crossedmixedlm(formula, tuple(files[:2])).nobs < whole.nobs
    with pytest.raises(FileNotFoundError, match=r"no Parquet file \S*none.parquet"):
        crossedmixedlm(formula, [files[0], tmp_path / "none.parquet"])
    with pytest.raises(TypeError, match=r"pd.read_csv\('rows.csv'\)"):
        crossedmixedlm(formula, ["rows.csv"])


def test_files_that_do_not_go_together(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(FileNotFoundError, match="no Parquet file in"):
        crossedmixedlm("y ~ x + (1 | g)", tmp_path)
    DATA.to_parquet(tmp_path / "0.parquet")
    DATA.assign(x="text").to_parquet(tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"of the same columns: .*Field x"):
        crossedmixedlm("y ~ x + (1 | g)", tmp_path)
    (tmp_path / "1.parquet").write_text("no Parquet file")
    with pytest.raises(DataError, match=r"1\.parquet cannot be read as Parquet"):
        crossedmixedlm("y ~ x + (1 | g)", tmp_path / "1.parquet")


def test_kinds_of_values_may_not_be_mixed():
    mixed = DATA.astype({"z": object})
    mixed.loc[60:, "z"] = "many"
    parts = [mixed[:60].astype({"z": int}), mixed[60:]]
    with pytest.raises(DataError, match="'z' mixes numbers and text"):
        crossedmixedlm("y ~ z + (1 | g)", lambda: iter(parts))
    absent = [DATA[:60], DATA[60:].drop(columns="x")]
    with pytest.raises(DataError, match="batch 2 has no column 'x'"):
        crossedmixedlm("y ~ x + (1 | g)", lambda: iter(absent))


def test_variables_of_the_caller_are_no_columns():
    values = np.arange(float(len(DATA)))
    assert len(values)
    with pytest.raises(DataError, match=r"variable 'values'.*make it a column"):
        crossedmixedlm("y ~ values + (1 | g)", lambda: iter([DATA]))


def test_what_needs_rows_in_memory_says_so():
    source = SOURCES["function"](None)
    for name, value in {
        "residual": "ar1(z | g)",
        "relationship": {},
        "groups": "g",
    }.items():
        with pytest.raises(NotImplementedError, match=f"{name}=.*collect"):
            crossedmixedlm(FORMULA, source, **{name: value})
    with pytest.raises(TypeError, match="weights= is the name of a column"):
        crossedmixedlm(FORMULA, source, weights=np.ones(len(DATA)))
    with pytest.raises(TypeError, match="subset= is a condition"):
        crossedmixedlm(FORMULA, source, subset=DATA["x"] > 1)
    from statsmodels_lmm.formula.backend import formula_engine

    with formula_engine("formulaic"), pytest.raises(NotImplementedError, match="patsy"):
        crossedmixedlm(FORMULA, source)


def test_other_models_read_lazy_frames_as_a_whole():
    frame = lazy()
    fit = mixedlm("y ~ x", frame, groups="g", missing="drop")
    assert fit.endog is not None
    counts = crossedmixedglm("z ~ x + (1 | g)", frame, family="poisson")
    assert counts.endog is not None
    with pytest.raises(TypeError, match="read it first"):
        crossedmixedglm("z ~ x + (1 | g)", "counts.parquet", family="poisson")


def test_what_is_no_source():
    with pytest.raises(FileNotFoundError, match=r"no Parquet file nowhere\.parquet"):
        crossedmixedlm(FORMULA, "nowhere.parquet")
    with pytest.raises(TypeError, match=r"pd.read_csv\('rows.csv'\)"):
        crossedmixedlm(FORMULA, "rows.csv")
    with pytest.raises(TypeError, match="returns an iterator of tables, not int"):
        crossedmixedlm(FORMULA, lambda: 3)
    with pytest.raises(TypeError, match="returns an iterator of tables, not DataFrame"):
        crossedmixedlm(FORMULA, lambda: DATA)
    with pytest.raises(TypeError, match=r"called without arguments, .* needs path;"):
        crossedmixedlm(FORMULA, lambda path, size=3: iter([DATA]))
    with pytest.raises(TypeError, match="data is None; give a table"):
        crossedmixedlm(FORMULA, None)
    with pytest.raises(TypeError, match=r"several tables by .*from_batches"):
        crossedmixedlm(FORMULA, [DATA, DATA])
    with pytest.raises(TypeError, match="of type int are not batches"):
        CrossedMixedLM.from_batches(3, FORMULA)
    with pytest.raises(TypeError, match="batch_size"):
        source_of([DATA], 2.5)
    with pytest.raises(ValueError, match="at least 1"):
        source_of([DATA], 0)
    assert not is_lazy(DATA)
    assert not is_lazy({"y": [1]})


def test_packages_that_are_missing_are_named(monkeypatch, tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'statsmodels-lmm\[batches\]'"):
        crossedmixedlm(FORMULA, tmp_path / "rows.parquet")


def test_the_bar_counts_rows(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, delay, unit, desc, unit_scale):
            self.title, self.count = desc, 0
            bars.append(self)

        def update(self, count):
            self.count += count

        def close(self):
            self.closed = True

    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm, "tqdm", Bar)
    RowSums.of("y ~ center(x) + f + (1 | g)", in_batches(DATA, 40), progress=True)
    titles = [bar.title for bar in bars]
    assert titles == ["levels", "transforms", "sums"]
    assert {bar.count for bar in bars} == {len(DATA)}
    assert all(bar.closed for bar in bars)


def test_passes_close_what_they_began():
    passes = Passes(source_of(in_batches(DATA, 40)), ["y"])
    next(iter(passes.first()))
    assert sum(len(t) for t in passes.every("sums")) == len(DATA)
    passes.close()
    passes.close()


def test_the_order_of_arguments_is_told():
    with pytest.raises(FileNotFoundError, match=r"from_batches\(data, formula\)"):
        CrossedMixedLM.from_batches(FORMULA, "rows.parquet")
    with pytest.raises(
        TypeError, match=r"batch_size= is an argument of .*from_batches"
    ):
        crossedmixedlm(FORMULA, DATA, batch_size=10)
