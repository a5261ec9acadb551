"""Partitions of Dask are summed on its scheduler."""

import threading
import warnings
from collections import UserDict

import numpy as np
import pandas as pd
import pytest
from batch_cases import awkward, in_batches

from statsmodels_lmm import RowSums
from statsmodels_lmm.batches.told_once import ToldOnce
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm

pytestmark = pytest.mark.filterwarnings(
    "ignore::statsmodels_lmm.exceptions.DataWarning"
)

FORMULA = "y ~ center(x) + f + halved(o) + (1 + x | g) + (1 | h:z)"


def halved(values):
    return values / 2


def frame(n):
    dask = pytest.importorskip("dask.dataframe")
    return dask.from_pandas(awkward(), npartitions=n)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_results_are_those_of_one_process(n):
    ours = crossedmixedlm(FORMULA, frame(n), weights="w").fit()
    fit = crossedmixedlm(FORMULA, awkward(), weights="w").fit()
    assert ours.llf == pytest.approx(fit.llf, rel=1e-12)
    for mine, theirs in zip(ours.model.random, fit.model.random):
        pd.testing.assert_index_equal(mine.levels, theirs.levels)


@pytest.mark.slow
def test_partitions_are_summed_by_other_processes():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        sums = RowSums.of("y ~ center(x) + f + (1 | g)", frame(3))
    here = RowSums.of("y ~ center(x) + f + (1 | g)", [awkward()])
    assert sums.nobs == here.nobs
    found, expected = sums.finish().sums.gram, here.finish().sums.gram
    assert found[0, 0] == pytest.approx(expected[0, 0])


def test_partitions_are_read_where_they_are_summed(monkeypatch, tmp_path):
    """Files are, and what takes several tasks comes as Dask has made it."""
    pytest.importorskip("pyarrow")
    frames = pytest.importorskip("dask.dataframe")
    dask_sums = pytest.importorskip("statsmodels_lmm.batches.dask_sums")
    monkeypatch.setattr(dask_sums, "READ_AT_ONCE", 2)
    monkeypatch.setattr(dask_sums, "_threads", lambda: 2)
    adding, added = dask_sums._summed, []

    def noted(empty, start, tasks, sums, *tables):
        added.append((len(tasks), len(tables)))
        return adding(empty, start, tasks, sums, *tables)

    monkeypatch.setattr(dask_sums, "_summed", noted)
    data = awkward()[["y", "x", "g", "h"]].dropna()
    frames.from_pandas(data, npartitions=5).to_parquet(tmp_path / "rows")
    formula = "y ~ center(x) + (1 + x | g) + (1 | h)"
    expected = crossedmixedlm(formula, data).fit()
    for make, counts in [
        (lambda rows: rows, [(2, 0), (1, 0), (2, 0)]),
        (lambda rows: rows[rows["x"] < 99], [(2, 0), (1, 0), (2, 0)]),
        (lambda rows: rows.repartition(npartitions=2), [(0, 1), (0, 1)]),
    ]:
        added.clear()
        source = make(frames.read_parquet(tmp_path / "rows"))
        found = crossedmixedlm(formula, source).fit()
        assert found.llf == pytest.approx(expected.llf, rel=1e-12)
        assert sorted(added) == sorted(counts)


def test_sums_that_dask_holds_are_not_changed():
    """A worker that dies has Dask add rows to the same sums again."""
    dask_sums = pytest.importorskip("statsmodels_lmm.batches.dask_sums")
    data = awkward()
    sums = RowSums.of(FORMULA, [data[::2]], weights="w")
    more = [dask_sums._summed(None, 0, [], sums, data[1::2]) for _ in range(2)]
    assert sums.nobs == RowSums.of(FORMULA, [data[::2]], weights="w").nobs
    one, other = (each.finish().sums.gram for each in more)
    assert (one == other).all()
    assert dask_sums._merged(0, sums, more[0]).nobs == sums.nobs + more[0].nobs
    assert sums.finish().sums.nobs == sums.nobs


def from_parts(parts):
    """A frame with these partitions."""
    frames, dask = pytest.importorskip("dask.dataframe"), pytest.importorskip("dask")
    tables = [dask.delayed(part) for part in parts]
    return frames.from_delayed(tables, meta=parts[0][:0], verify_meta=False)


def test_errors_name_the_partition_and_the_row_in_it():
    data = awkward()
    data.loc[130, "o"] = np.inf
    parts = in_batches(data, 40)
    with pytest.raises(DataError, match=r"^partition 3: 'o' .* in row 10$"):
        RowSums.of("y ~ o + (1 | g)", from_parts(parts))


@pytest.mark.parametrize(
    ("n_threads", "where"), [(1, "partition 2"), (2, "partitions from 2 on")]
)
def test_partitions_of_another_kind_are_named(monkeypatch, n_threads, where):
    dask_sums = pytest.importorskip("statsmodels_lmm.batches.dask_sums")
    monkeypatch.setattr(dask_sums, "_threads", lambda: n_threads)
    parts = in_batches(awkward(), 40)
    parts[2:] = [part.assign(z="text") for part in parts[2:]]
    with pytest.raises(DataError, match=f"^{where}: grouping column 'z' mixes"):
        RowSums.of("y ~ x + (1 | g) + (1 | z)", from_parts(parts))


def test_warnings_are_told_once_and_no_thread_changes_their_filters(monkeypatch):
    listening, threads = ToldOnce.listening, []

    def noted(self):
        threads.append(threading.current_thread())
        return listening(self)

    monkeypatch.setattr(ToldOnce, "listening", noted)
    data = awkward()
    data["k"] = np.arange(len(data)) + 2**53 * (np.arange(len(data)) > 40)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        RowSums.of("y ~ k + (1 | g)", from_parts(in_batches(data, 20)))
        warnings.warn("later", stacklevel=1)
    assert set(threads) == {threading.main_thread()}
    told = [str(each.message) for each in caught]
    assert sum("above 2**53" in each for each in told) == 1
    assert told[-1] == "later"


def test_functions_that_cannot_be_sent_are_named(monkeypatch):
    dask = pytest.importorskip("dask")
    lock = threading.Lock()

    def locked(values):
        with lock:
            return values

    def compute(*level):
        raise TypeError("Could not serialize object of type _HLGExprSequence")

    source = from_parts(in_batches(awkward(), 40))
    monkeypatch.setattr(dask, "compute", compute)
    with pytest.raises(DataError, match="'locked' in the formula cannot be sent"):
        RowSums.of("y ~ locked(x) + (1 | g)", source)
    with pytest.raises(TypeError, match="serialize"):
        RowSums.of("y ~ x + (1 | g)", source)


def test_a_graph_that_partitions_share_is_read_once():
    """Dask makes it a dict anew each time, of as many tasks as there are partitions."""
    dask_sums = pytest.importorskip("statsmodels_lmm.batches.dask_sums")
    parts = frame(5).to_delayed()
    shared, read = dict(parts[0].__dask_graph__()), []

    class Graph(UserDict):
        def keys(self):
            read.append(len(self))
            return super().keys()

    class Part:
        graph = Graph(shared)

        def __init__(self, key):
            self.key = key

        def __dask_graph__(self):
            return self.graph

    tasks = dask_sums._reading_tasks([Part(part.key) for part in parts])
    assert read == [5]
    found = pd.concat([task() for task in tasks])
    assert len(found) == len(awkward())
