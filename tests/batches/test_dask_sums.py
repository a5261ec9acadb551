"""Partitions of Dask are summed on its scheduler."""

import pandas as pd
import pytest
from batch_cases import awkward

from statsmodels_lmm import RowSums
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

    def noted(empty, tasks, sums, *tables):
        added.append((len(tasks), len(tables)))
        return adding(empty, tasks, sums, *tables)

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
    more = [dask_sums._summed(None, [], sums, data[1::2]) for _ in range(2)]
    assert sums.nobs == RowSums.of(FORMULA, [data[::2]], weights="w").nobs
    one, other = (each.finish().sums.gram for each in more)
    assert (one == other).all()
    assert dask_sums._merged(sums, more[0]).nobs == sums.nobs + more[0].nobs
    assert sums.finish().sums.nobs == sums.nobs
