"""Tables of every kind become the same frame; lazy ones are read where needed."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inputs.tables import to_frame

DATA = pd.DataFrame(
    {
        "y": [1.5, 2.0, np.nan, 4.0],
        "k": [1, 2, 3, 4],
        "g": ["a", "ä", "b", "a"],
        "b": [True, False, True, True],
    }
)


class Stream:
    """A table of some library that only speaks Arrow."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def polars():
    return pytest.importorskip("polars").from_pandas(DATA)


def arrow():
    return pytest.importorskip("pyarrow").Table.from_pandas(DATA)


def duckdb():
    return pytest.importorskip("duckdb").from_df(DATA)


def narwhals(lazy):
    frame = pytest.importorskip("narwhals").from_native(polars())
    return frame.lazy() if lazy else frame


TABLES = {
    "pandas": lambda: DATA,
    "polars": polars,
    "polars lazy": lambda: polars().lazy(),
    "arrow": arrow,
    "arrow batch": lambda: arrow().to_batches()[0],
    "arrow reader": lambda: arrow().to_reader(),
    "arrow stream": lambda: Stream(arrow()),
    "duckdb": duckdb,
    "narwhals": lambda: narwhals(False),
    "narwhals lazy": lambda: narwhals(True),
    "dict": lambda: DATA.to_dict("list"),
    "records": lambda: DATA.to_records(index=False),
}


@pytest.mark.parametrize("kind", TABLES)
def test_same_frame(kind):
    frame = to_frame(TABLES[kind]())
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(DATA.columns)
    assert_allclose(frame["y"].to_numpy(float), DATA["y"])
    assert list(frame["k"]) == [1, 2, 3, 4]
    assert list(frame["g"].astype(str)) == list(DATA["g"])
    assert list(frame["b"].astype(bool)) == list(DATA["b"])
    assert list(frame.index) == [0, 1, 2, 3]


def test_pandas_is_not_copied():
    assert to_frame(DATA, ["y"]) is DATA


@pytest.mark.parametrize("kind", ["polars lazy", "duckdb", "narwhals lazy"])
def test_lazy_tables_read_what_is_needed(kind):
    frame = to_frame(TABLES[kind](), ["g", "np", "y"])
    assert list(frame.columns) == ["y", "g"]


def test_other_columns_of_polars_are_not_computed():
    pl = pytest.importorskip("polars")

    def fail(column):
        raise RuntimeError("computed")

    bad = pl.col("k").map_batches(fail, return_dtype=pl.Int64).alias("bad")
    lazy = polars().lazy().with_columns(bad)
    assert to_frame(lazy, DATA.columns).shape == (4, 4)
    with pytest.raises((RuntimeError, pl.exceptions.ComputeError), match="computed"):
        to_frame(lazy)


def test_other_columns_of_duckdb_are_not_computed():
    module = pytest.importorskip("duckdb")
    relation = duckdb().project("*, error('computed' || k) as bad")
    assert to_frame(relation, DATA.columns).shape == (4, 4)
    with pytest.raises(module.Error, match="computed"):
        to_frame(relation)


def test_categories():
    pl = pytest.importorskip("polars")
    enum = polars().with_columns(pl.col("g").cast(pl.Enum(["b", "ä", "a"])))
    for table in (enum, enum.lazy(), enum.to_arrow(), Stream(enum.to_arrow())):
        column = to_frame(table)["g"]
        assert isinstance(column.dtype, pd.CategoricalDtype)
        assert list(column.cat.categories) == ["b", "ä", "a"]
    relation = pytest.importorskip("duckdb").sql(
        "select g::enum('b', 'ä', 'a') as g from (values ('a'), ('b')) as t(g)"
    )
    assert list(to_frame(relation)["g"].cat.categories) == ["b", "ä", "a"]


def test_fit_and_prediction():
    pytest.importorskip("duckdb")
    data = load("sleepstudy")
    expected = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    relation = sys.modules["duckdb"].from_df(data)
    frame = to_frame(relation, ["Reaction", "Days", "Subject"])
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", frame).fit()
    assert_allclose(result.params, expected.params, rtol=1e-12)
    new = to_frame(relation, ["Days", "Subject"])
    assert_allclose(
        result.predict(new, random_effects=True),
        expected.predict(data, random_effects=True),
        rtol=1e-12,
    )


# without narwhals ----------------------------------------------------------


def test_without_narwhals(monkeypatch):
    monkeypatch.setitem(sys.modules, "narwhals", None)
    for kind in ("pandas", "polars", "polars lazy", "arrow", "dict", "records"):
        assert to_frame(TABLES[kind]()).shape == (4, 4)
    match = r"Stream need narwhals: pip install 'statsmodels-lmm\[frames\]'"
    with pytest.raises(ImportError, match=match):
        to_frame(Stream(arrow()))


def test_no_table_library_is_imported():
    code = (
        "import sys, pandas as pd; before = set(sys.modules);"
        "from statsmodels_lmm.inputs.tables import to_frame;"
        "to_frame(pd.DataFrame({'a': [1]})); to_frame({'a': [1]});"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "assert not new & {'narwhals', 'polars', 'duckdb'}, new"
    )
    # the package itself imports formulaic, which imports narwhals
    code = (
        "import sys, types; package = types.ModuleType('statsmodels_lmm');"
        f"package.__path__ = {list(sys.modules['statsmodels_lmm'].__path__)!r};"
        "sys.modules['statsmodels_lmm'] = package;" + code
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# what is no table ----------------------------------------------------------


@pytest.mark.parametrize("data", [1, "data.csv", object()])
def test_no_table(data):
    with pytest.raises((TypeError, ValueError)):
        to_frame(data)


def test_unknown_table():
    class Columns:
        columns = ("a", "b")

    with pytest.raises(TypeError, match="Columns"):
        to_frame(Columns())
