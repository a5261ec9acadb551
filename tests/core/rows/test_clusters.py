"""The layout of clusters against their rows of Z, one cluster at a time."""

import numpy as np
import pytest
from dense_twin import dense_z, design
from numpy.testing import assert_array_equal

from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.core.rows import clusters
from statsmodels_lmm.core.rows.clusters import cluster_batches, crossing_level
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects

CHAIN = design("chain of 3")
TOP = CHAIN.terms[0].codes


@pytest.mark.parametrize("entries", [clusters.ENTRIES, 1])
def test_every_cluster_has_its_rows_and_levels(entries, monkeypatch):
    monkeypatch.setattr(clusters, "ENTRIES", entries)
    seen, x = [], np.random.default_rng(0).standard_normal((len(TOP), 2))
    matrices = [np.eye(f.k_effects) * (i + 2.0) for i, f in enumerate(CHAIN.terms)]
    z = np.hstack([dense_z(f) * (i + 2.0) for i, f in enumerate(CHAIN.terms)])
    for batch in cluster_batches(CHAIN.terms, TOP, 3):
        laid, effects = batch.laid_out(x), batch.times(matrices)
        assert len(batch.clusters) == 1 or entries > 1
        for b, c in enumerate(batch.clusters):
            inside = np.flatnonzero(TOP == c)
            n = len(inside)
            assert_array_equal(laid[b, :n], x[inside])
            assert not laid[b, n:].any()
            assert not effects[b, n:].any()
            # the same columns in another order, without those of other clusters
            gram = effects[b, :n] @ effects[b, :n].T
            assert np.allclose(gram, z[inside] @ z[inside].T)
            own = (z[inside] != 0.0).any(axis=0).sum()
            assert (effects[b] != 0.0).any(axis=0).sum() == own
        seen += list(batch.clusters)
    assert sorted(seen) == [0, 1, 2]


def test_sizes_that_differ_are_apart():
    codes = np.repeat(np.arange(4), [1, 1, 40, 60])
    term = GroupedEffects(codes, 4, np.ones((len(codes), 1)), (1,))
    batches = [set(b.clusters) for b in cluster_batches([term], codes, 4)]
    assert batches == [{0, 1}, {2, 3}]


def test_a_level_in_two_clusters():
    term = CHAIN.terms[2]
    assert crossing_level(term, TOP) is None
    moved = TOP.copy()
    row = np.flatnonzero(term.codes == 4)[0]
    moved[row] = (TOP[row] + 1) % 3
    assert crossing_level(term, moved) == 4


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(MemoryError, match="smaller clusters"):
        next(cluster_batches(CHAIN.terms, TOP, 3))
