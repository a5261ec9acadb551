"""Chromosomes and positions of candidates."""

import pandas as pd
import pytest

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.scan.positions import chromosome_order, read_positions

NAMES = pd.Index(["a", "b", "c"])


def test_positions_are_found_by_name_and_spelling():
    given = pd.DataFrame({"CHR": [2, 1, 1], "BP": [7, 5, 6]}, ["c", "a", "b"])
    found = read_positions(given, NAMES)
    assert found["chromosome"].tolist() == [1, 1, 2]
    assert found["position"].tolist() == [5, 6, 7]
    assert list(found.index) == list(NAMES)
    assert read_positions(None, NAMES) is None


def test_positions_without_names_are_in_order():
    given = pd.DataFrame({"chromosome": list("112"), "position": [1, 2, 3]})
    assert read_positions(given, NAMES)["position"].tolist() == [1, 2, 3]


def test_what_does_not_fit_is_named():
    given = pd.DataFrame({"chromosome": [1, 1], "pos": [1, 2]}, ["a", "b"])
    with pytest.raises(DataError, match="no value for 1 of 3 rows, such as c"):
        read_positions(given, NAMES)
    with pytest.raises(DataError, match="no column position; it has chromosome"):
        read_positions(pd.DataFrame({"chromosome": [1, 1, 1]}, NAMES), NAMES)
    with pytest.raises(TypeError, match="DataFrame"):
        read_positions([1, 2, 3], NAMES)


def test_chromosomes_have_their_usual_order():
    mixed = ["X", "10", "2", "MT", "2", "1"]
    assert chromosome_order(mixed) == ["1", "2", "10", "MT", "X"]
    assert chromosome_order(["chr10", "chr9"]) == ["chr9", "chr10"]
    assert chromosome_order([3, 1, 2]) == [1, 2, 3]
