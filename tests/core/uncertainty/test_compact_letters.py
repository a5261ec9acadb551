"""Letters say neither more nor less than the comparisons."""

from itertools import combinations

import numpy as np
import pytest

from statsmodels_lmm.core.uncertainty.compact_letters import compact_letters


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_means_share_a_letter_unless_they_differ(share):
    rng = np.random.default_rng(3)
    different = np.triu(rng.random((8, 8)) < share, 1)
    different |= different.T
    letters = [set(text) for text in compact_letters(different)]
    for i, j in combinations(range(8), 2):
        assert bool(letters[i] & letters[j]) != different[i, j]
    # no letter says what another one does
    members = [{i for i in range(8) if x in letters[i]} for x in set.union(*letters)]
    assert not [a for a in members for b in members if a < b]
    assert "a" in letters[0]
    assert len(set.union(*letters)) == {0.0: 1, 1.0: 8}.get(share, len(members))


def test_more_sets_than_letters():
    found = compact_letters(~np.eye(54, dtype=bool))
    assert found[0] == "a"
    assert found[51:] == ["Z", "a1", "b1"]
