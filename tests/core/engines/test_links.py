"""Pairs of levels that share rows."""

import numpy as np
from dense_twin import dense_z, design
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines.links import coupling_pattern, linked

FACTORS = design("3 crossed").terms


def filled(link, first, second):
    out = np.zeros((first.n_columns, second.n_columns))
    out[link.places(first, second)] = link.blocks(first, second)
    return out


def test_blocks():
    for first in FACTORS:
        for second in FACTORS:
            link = linked(first, second)
            pairs = list(zip(link.first, link.second))
            assert pairs == sorted(set(pairs))
            wanted = dense_z(first).T @ dense_z(second)
            assert_allclose(filled(link, first, second), wanted, atol=1e-12)


def test_some_rows_have_the_same_pairs():
    first, second = FACTORS[:2]
    link, rows = linked(first, second), np.array([5, 2, 30])
    few = link.take(rows)
    assert few.first is link.first
    wanted = dense_z(first)[rows].T @ dense_z(second)[rows]
    assert_allclose(filled(few, first.take(rows), second.take(rows)), wanted)


def test_coupling():
    first, *tail = FACTORS
    links = [linked(first, f) for f in tail]
    pattern = coupling_pattern(first, tail, links)
    wanted = dense_z(first).T @ np.hstack([dense_z(f) for f in tail])
    for scale in (1.0, 3.0):
        blocks = [scale * link.blocks(first, f) for link, f in zip(links, tail)]
        found = pattern.matrix(blocks)
        assert found.has_sorted_indices
        assert_allclose(found.toarray(), scale * wanted, atol=1e-12)
