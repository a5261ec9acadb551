"""Which terms have random effects that stay sparse."""

from sparse_cases import (
    dense_matrix,
    densely_related,
    matrix,
    related,
    unrelated,
)

from statsmodels_lmm.core.engines import sparse_engine
from statsmodels_lmm.core.engines.sparse_engine import is_sparse


def test_which_factors_stay_sparse(monkeypatch):
    assert is_sparse(related(1, 9, 1)[0])
    assert is_sparse(matrix(9, 12, "precision")[0])
    assert not is_sparse(unrelated(6, 4, 2)[0])
    assert not is_sparse(densely_related(14, 5)[0])
    assert not is_sparse(matrix(9, 12)[0])
    monkeypatch.setattr(sparse_engine, "MANY_COLUMNS", 11)
    assert is_sparse(matrix(9, 12)[0])
    assert not is_sparse(dense_matrix(9, 12)[0])
