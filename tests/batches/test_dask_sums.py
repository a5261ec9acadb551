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
