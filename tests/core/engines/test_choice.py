"""The first engine that suits the factors is taken."""

from engine_cases import CASES, CROSSED, DESIGNS, case

from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.engines.sparse_engine import SparseEngine


def test_which_engine(monkeypatch):
    for name in DESIGNS:
        kind = SparseEngine if name in CASES else BlockEngine
        assert type(case(name)[2]) is kind
    for name in CROSSED:
        assert case(name)[2].is_dense
        assert not case(f"{name}, sparsely")[2].is_dense
