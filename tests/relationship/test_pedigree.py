"""Relationships by descent: textbook examples, dense twins, any labels and order."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.relationship import (
    LabeledMatrix,
    inbreeding,
    numerator_relationship,
    numerator_relationship_inverse,
)
from statsmodels_lmm.relationship import pedigree as pedigree_module

# Mrode (2014), Linear Models for the Prediction of Animal Breeding Values, 3rd ed.,
# table 2.1, and T and D of its section 2.3
MRODE = pd.DataFrame(
    {"animal": [3, 4, 5, 6], "sire": [1, 1, 4, 5], "dam": [2, 0, 3, 2]}
)
MRODE_T = [
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.5, 0.5, 1.0, 0.0, 0.0, 0.0],
    [0.5, 0.0, 0.0, 1.0, 0.0, 0.0],
    [0.5, 0.25, 0.5, 0.5, 1.0, 0.0],
    [0.25, 0.625, 0.25, 0.25, 0.5, 1.0],
]
MRODE_D = [1.0, 1.0, 0.5, 0.75, 0.5, 0.46875]  # the last is printed as 0.469


def random_pedigree(seed, n=60, founders=8, selfing=0.1, unknown=0.1):
    """Rows in the order of birth, labels 1 to n, any animal a sire or a dam."""
    rng = np.random.default_rng(seed)
    parents = np.zeros((n, 2), dtype=int)
    for i in range(founders, n):
        parents[i] = rng.integers(max(0, i - 15), i, 2) + 1
        if rng.uniform() < selfing:
            parents[i, 1] = parents[i, 0]
        parents[i, rng.uniform(size=2) < unknown] = 0
    frame = pd.DataFrame(parents, columns=["sire", "dam"])
    frame.insert(0, "animal", np.arange(n) + 1)
    return frame


def tabular(frame):
    """A of animals 1 to n in the order of birth, one entry after the other."""
    n = len(frame)
    a = np.zeros((n + 1, n + 1))
    for j, (s, d) in enumerate(zip(frame["sire"], frame["dam"]), start=1):
        for i in range(1, j):
            a[i, j] = a[j, i] = 0.5 * (a[i, s] + a[i, d])
        a[j, j] = 1.0 + 0.5 * a[s, d]
    return a[1:, 1:]


def dense(labeled):
    return labeled.to_frame().sort_index().sort_index(axis=1).to_numpy()


def check_equal(frame, expected_a):
    """Compare A, F, A^-1 and its determinant of animals 1 to n with A."""
    a = numerator_relationship(frame).sort_index().sort_index(axis=1)
    assert_allclose(a, expected_a, rtol=1e-14)
    f = inbreeding(frame).sort_index()
    assert_allclose(f, np.diag(expected_a) - 1.0, atol=1e-14)
    inverse = numerator_relationship_inverse(frame)
    assert_allclose(dense(inverse) @ expected_a, np.eye(len(a)), atol=1e-9)
    sign, logarithm = np.linalg.slogdet(expected_a)
    assert sign == 1
    assert_allclose(inverse.log_determinant, -logarithm, rtol=1e-9)


def test_example_of_mrode():
    t = np.array(MRODE_T)
    check_equal(MRODE, (t * MRODE_D) @ t.T)
    a = numerator_relationship(MRODE)
    assert a.index.tolist() == a.columns.tolist() == [1, 2, 3, 4, 5, 6]
    assert a.loc[6, 6] == 1.125
    assert a.loc[4, 5] == 0.625
    f = inbreeding(MRODE)
    assert f.name == "inbreeding"
    assert f.tolist() == [0, 0, 0, 0, 0.125, 0.125]


def test_inverse_of_mrode_by_hand():
    # Henderson's rules for the same pedigree, 1/d of animal 6 is 1/0.46875 = 32/15
    w = 32 / 15
    expected = np.zeros((6, 6))
    rules = [([0], 1), ([1], 1), ([2, 0, 1], 2), ([3, 0], 4 / 3), ([4, 3, 2], 2)]
    for (own, *parents), weight in [*rules, ([5, 4, 1], w)]:
        expected[own, own] += weight
        for p in parents:
            expected[own, p] -= weight / 2
            expected[p, own] -= weight / 2
            expected[np.ix_([p], parents)] += weight / 4
    assert_allclose(numerator_relationship_inverse(MRODE).to_frame(), expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("selfing", [0.0, 0.4])
def test_random_pedigrees(seed, selfing):
    frame = random_pedigree(seed, selfing=selfing)
    expected = tabular(frame)
    assert np.diag(expected).max() > 1.1
    check_equal(frame, expected)


def test_few_columns_at_a_time(monkeypatch):
    frame = random_pedigree(3, n=200)
    monkeypatch.setattr(pedigree_module, "ENTRIES", 450)
    assert_allclose(inbreeding(frame), np.diag(tabular(frame)) - 1, atol=1e-14)


def test_order_of_rows_does_not_matter():
    frame = random_pedigree(1)
    shuffled = frame.sample(frac=1.0, random_state=2)
    a, b = numerator_relationship(frame), numerator_relationship(shuffled)
    assert b.index.tolist() == shuffled["animal"].tolist()
    assert_allclose(b.loc[a.index, a.index], a, rtol=1e-14)
    assert_allclose(inbreeding(shuffled)[a.index], np.diag(a) - 1, atol=1e-14)
    inverses = [numerator_relationship_inverse(f) for f in (frame, shuffled)]
    assert_allclose(dense(inverses[0]), dense(inverses[1]), rtol=1e-12)


def test_founders_need_no_row():
    frame = random_pedigree(4, founders=8, unknown=0.0)
    named = frame[8:]
    a = numerator_relationship(named)
    known = set(named["sire"]) | set(named["dam"])
    assert set(a.index[: len(a) - len(named)]) == known - set(named["animal"])
    assert a.index[-len(named) :].tolist() == named["animal"].tolist()
    expected = pd.DataFrame(tabular(frame), frame["animal"], frame["animal"])
    assert_allclose(a, expected.loc[a.index, a.index], rtol=1e-14)


FLOAT = MRODE.replace({"dam": {0: np.nan}})
TEXT = MRODE.astype(str)
KINDS = {
    "missing": (FLOAT, int),
    "objects": (FLOAT.astype(object).where(FLOAT.notna(), None), int),
    "nullable": (FLOAT.astype("Int64"), int),
    "strings": (TEXT, str),
    "empty": (TEXT.replace("0", ""), str),
    "dots": (TEXT.replace("0", "."), str),
    "categories": (TEXT.replace("0", np.nan).astype("category"), str),
    "polars": (pl.DataFrame(MRODE.to_dict("list")), int),
    "polars null": (
        pl.DataFrame(MRODE.to_dict("list")).with_columns(
            pl.when(pl.col("dam") > 0).then(pl.col("dam")).alias("dam")
        ),
        int,
    ),
    "mapping": ({name: MRODE[name].tolist() for name in MRODE}, int),
    "array": (MRODE.to_numpy(), int),
    "rows": (MRODE.to_numpy().tolist(), int),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_tables(kind):
    frame, label = KINDS[kind]
    expected = numerator_relationship(MRODE).to_numpy()
    a = numerator_relationship(frame)
    assert a.index.tolist() == [label(i) for i in range(1, 7)]
    assert type(a.index.tolist()[0]) is label
    assert_allclose(a, expected)
    labels = numerator_relationship_inverse(frame).labels
    assert labels.equals(a.index)


def test_names_of_columns():
    frame = MRODE.rename(columns={"animal": "id", "sire": "father", "dam": "mother"})
    a = numerator_relationship(frame, animal="id", sire="father", dam="mother")
    assert_allclose(a, numerator_relationship(MRODE))
    with pytest.raises(
        DataError, match=r"no column 'animal', 'sire', 'dam'; name.*animal='ID'"
    ):
        inbreeding(frame)


def test_sire_and_dam_are_alike():
    frame = random_pedigree(5)
    swapped = frame.rename(columns={"sire": "dam", "dam": "sire"})
    a, b = numerator_relationship(frame), numerator_relationship(swapped)
    assert_allclose(a, b, rtol=1e-14)
    assert_allclose(inbreeding(frame), inbreeding(swapped), atol=1e-14)


def test_selfing_for_generations():
    n = 12
    line = pd.DataFrame({"animal": range(1, n), "sire": range(n - 1)})
    line["dam"] = line["sire"]
    f = 1.0 - 0.5 ** np.arange(n - 1)
    assert_allclose(inbreeding(line), f, rtol=1e-15)
    inverse = numerator_relationship_inverse(line)
    # d = (1 - F) / 2 of the parent
    assert_allclose(inverse.log_determinant, -np.log((1 - f[:-1]) / 2).sum())


def test_no_inverse_of_a_fixed_line():
    n = 80
    line = pd.DataFrame({"animal": range(1, n), "sire": range(n - 1)})
    line["dam"] = line["sire"]
    assert inbreeding(line).iloc[-1] == 1.0
    with pytest.raises(DataError, match=r"'55', .* and 20 more has no Mendelian"):
        numerator_relationship_inverse(line)


def test_inverse_is_sparse():
    inverse = numerator_relationship_inverse(random_pedigree(7, n=600))
    assert inverse.matrix.nnz < 9 * 600
    assert abs(inverse.matrix - inverse.matrix.T).max() == 0


def wrong(**columns):
    return MRODE.astype(object).assign(**columns)


def test_names_that_differ_by_white_space_are_told():
    frame = pd.DataFrame({"animal": ["c", "d"], "sire": ["A", "A "], "dam": ["b", " "]})
    with pytest.warns(DataWarning, match="case only: 'A', 'A '. If they") as caught:
        family = numerator_relationship(frame)
    assert list(family) == ["A", "A ", "b", "c", "d"]
    assert family.loc["d"].tolist() == [0.0, 0.5, 0.0, 0.0, 1.0]  # its dam is unknown
    line = str(caught[0].message).split("`")[1]
    scope = {"pedigree": frame}
    exec(line, scope)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        family = numerator_relationship(scope["pedigree"])
    assert family.loc["D"].tolist() == [0.5, 0.0, 0.25, 1.0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (wrong(animal=[3, 4, 5, 5]), "animal '5' appears more than once"),
        (wrong(animal=[3, 4, 0, 6]), "rows 2 of the pedigree name no"),
        (wrong(animal=["3", "4", "5", "6"]), "are text .* and others numbers"),
        (wrong(sire=[3, 1, 4, 5]), r"own ancestor \(.*: '3' < '3'\)"),
        (wrong(sire=[1, 6, 4, 5]), "'4' is its own.*'4' < '6' < '5' < '4'"),
        (MRODE[:0], "no rows"),
        (np.zeros((3, 2)), "three columns"),
        ({"animal": [1], "sire": [0], "dam": []}, "different lengths"),
    ],
)
def test_errors_name_the_animal(frame, message):
    for function in (
        inbreeding,
        numerator_relationship,
        numerator_relationship_inverse,
    ):
        with pytest.raises(DataError, match=message):
            function(frame)


def test_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(MemoryError, match="sparse inverse"):
        numerator_relationship(random_pedigree(0))
    inverse = numerator_relationship_inverse(random_pedigree(0))
    with pytest.raises(MemoryError, match="60 levels"):
        inverse.to_frame()


def test_labeled_matrix():
    labeled = LabeledMatrix(np.diag([1.0, 2.0]), ["a", "b"])
    assert labeled.to_frame().loc["b", "b"] == 2.0
    with pytest.raises(DataError, match="3 labels given for a 2 x 2 matrix"):
        LabeledMatrix(np.eye(2), ["a", "b", "c"])
    with pytest.raises(DataError, match="label 'a' appears more than once"):
        LabeledMatrix(np.eye(2), ["a", "a"])


# Mrode (2014), the animal model of example 3.1: gain of calves 4 to 8
CALVES = pd.DataFrame(
    {"animal": [4, 5, 6, 7, 8], "sire": [1, 3, 1, 4, 3], "dam": [0, 2, 2, 5, 6]}
)
GAIN, MALE = np.array([4.5, 2.9, 3.9, 3.5, 5.0]), np.array([1.0, 0.0, 0.0, 1.0, 1.0])
# ... and the repeatability model of example 4.1: fat of cows 4 to 8 in two parities.
# The inverse of A printed there is that without the dam of cow 5, the solutions are
# those with it.
COWS = pd.DataFrame(
    {"animal": [4, 5, 6, 7, 8], "sire": [1, 3, 1, 3, 1], "dam": [2, 2, 5, 4, 7]}
)
FAT = np.array([201.0, 280, 150, 200, 160, 190, 180, 250, 285, 300])
SEASON = np.array([1, 3, 1, 4, 2, 3, 1, 3, 2, 4])


def solve(blocks, y, precisions):
    """Solutions of Henderson's mixed model equations."""
    columns = np.column_stack(blocks)
    equations = columns.T @ columns
    at = blocks[0].shape[1]
    for precision in precisions:
        own = slice(at, at + len(precision))
        equations[own, own] += precision
        at = own.stop
    return np.linalg.solve(equations, columns.T @ y)


def test_animal_model_of_mrode():
    inverse = dense(numerator_relationship_inverse(CALVES))
    x, z = np.column_stack([MALE, 1 - MALE]), np.eye(8)[3:]
    found = solve([x, z], GAIN, [2 * inverse])
    modes = [0.098, -0.019, -0.041, -0.009, -0.186, 0.177, -0.249, 0.183]
    assert_allclose(found, [4.358, 3.404, *modes], atol=6e-4)


def test_repeatability_model_of_mrode():
    inverse = dense(numerator_relationship_inverse(COWS))
    cow, parity = np.repeat(np.arange(5), 2), np.tile([1.0, 0.0], 5)
    x = np.column_stack([SEASON == 2, SEASON == 4, parity, 1 - parity]).astype(float)
    blocks = [x, np.eye(8)[3 + cow], np.eye(5)[cow]]
    found = solve(blocks, FAT, [28 / 20 * inverse, 28 / 12 * np.eye(5)])
    fixed = [44.065, 0.013, 175.472, 241.893]
    modes = [10.148, -3.084, -7.063, 13.581, -18.207, -18.387, 9.328, 24.194]
    permanent = [8.417, -7.146, -17.229, -1.390, 17.347]
    assert_allclose(found, [*fixed, *modes, *permanent], atol=6e-4)
