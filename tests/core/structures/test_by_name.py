"""Structures by their names, and the blocks of a term."""

import numpy as np
import pytest

from statsmodels_lmm.core.structures.by_name import covariance_blocks
from statsmodels_lmm.core.structures.correlated import AutoRegressive, Diagonal
from statsmodels_lmm.core.structures.known import Known
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance

EFFECTS = ("a", "b", "c")


def test_blocks_of_a_term():
    assert covariance_blocks("us", EFFECTS) == ((3,), (UnstructuredCovariance(3),))
    assert covariance_blocks(None, EFFECTS) == ((3,), (UnstructuredCovariance(3),))
    assert covariance_blocks("diag", EFFECTS) == (
        (1, 1, 1),
        (UnstructuredCovariance(1),) * 3,
    )
    blocks, structures = covariance_blocks("diag", EFFECTS, True)
    assert blocks == (3,)
    assert structures[0].structure == Diagonal(True)
    blocks, structures = covariance_blocks("ar1", EFFECTS)
    assert structures[0].structure == AutoRegressive(True)
    assert structures[0].effects == EFFECTS
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 3 effects"):
        covariance_blocks(Known(np.eye(2)), EFFECTS)
