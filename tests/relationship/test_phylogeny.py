"""Trees: what is read, and covariances against sums over branches."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.relationship import (
    phylogenetic_covariance,
    phylogenetic_covariance_inverse,
)
from statsmodels_lmm.relationship.newick import read_newick

#           +--1-- A
#    +-0.5--+
#  --+      +--2-- B
#    +------3----- C
SMALL = "((A:1,B:2):0.5,C:3);"
SMALL_COVARIANCE = [[1.5, 0.5, 0.0], [0.5, 2.5, 0.0], [0.0, 0.0, 3.0]]


def random_tree(rng, n_tips):
    """A nested list of (children or name, length), split at random."""

    def split(names):
        length = rng.uniform(0.1, 2.0)
        if len(names) == 1:
            return names[0], length
        cuts = np.sort(
            rng.choice(len(names) - 1, min(len(names) - 1, rng.integers(1, 4)), False)
        )
        parts = [p.tolist() for p in np.split(names, cuts + 1)]
        return [split(np.array(p)) for p in parts], length

    return split(np.array([f"t{i}" for i in range(n_tips)]))


def written(node, is_root=True):
    below, length = node
    inside = below
    if isinstance(below, list):
        inside = "(" + ",".join(written(child, False) for child in below) + ")"
    return f"{inside};" if is_root else f"{inside}:{length!r}"


def paths(node, above=()):
    """Branches from the root to each tip, by recursion."""
    below, length = node
    own = (*above, (id(node), float(length)))
    if not isinstance(below, list):
        return {str(below): own}
    return {tip: path for child in below for tip, path in paths(child, own).items()}


def by_paths(node):
    """Covariance of tips as the sum of the branches that they share."""
    found = {tip: path[1:] for tip, path in paths(node).items()}
    shared = [
        [sum(length for _, length in set(p) & set(q)) for q in found.values()]
        for p in found.values()
    ]
    return list(found), np.array(shared)


def inverse_of(precision):
    frame = precision.to_frame()
    frame[:] = np.linalg.inv(frame)
    return frame


def test_tree_drawn_by_hand():
    covariance = phylogenetic_covariance(SMALL)
    assert covariance.index.tolist() == covariance.columns.tolist() == ["A", "B", "C"]
    assert_allclose(covariance, SMALL_COVARIANCE)
    # the correlation that ape 5.7 gives, vcv(tree, corr = TRUE)
    correlation = phylogenetic_covariance(SMALL, scale=True)
    assert_allclose(correlation.loc["A", "B"], 0.2581989, rtol=1e-7)
    assert_allclose(np.diag(correlation), 1.0)


def test_precision_of_the_small_tree():
    precision = phylogenetic_covariance_inverse(SMALL)
    assert precision.labels.tolist() == ["Node2", "A", "B", "C"]
    expected = [
        [1 / 0.5 + 1 + 1 / 2, -1, -1 / 2, 0],
        [-1, 1, 0, 0],
        [-1 / 2, 0, 1 / 2, 0],
        [0, 0, 0, 1 / 3],
    ]
    assert_allclose(precision.to_frame(), expected)
    assert_allclose(precision.log_determinant, -np.log(0.5 * 1 * 2 * 3))


@pytest.mark.parametrize("seed", range(5))
def test_random_trees(seed):
    tree = random_tree(np.random.default_rng(seed), 25)
    text = written(tree)
    tips, expected = by_paths(tree)
    covariance = phylogenetic_covariance(text)
    assert covariance.index.tolist() == tips
    assert_allclose(covariance, expected, rtol=1e-13)
    deviations = np.sqrt(np.diag(expected))
    correlation = expected / np.outer(deviations, deviations)
    assert_allclose(phylogenetic_covariance(text, scale=True), correlation, rtol=1e-13)
    for scale, wanted in ((False, expected), (True, correlation)):
        precision = phylogenetic_covariance_inverse(text, scale=scale)
        full = inverse_of(precision)
        assert_allclose(full.loc[tips, tips], wanted, rtol=1e-10, atol=1e-12)
        sign, logarithm = np.linalg.slogdet(precision.to_frame())
        assert sign == 1
        assert_allclose(precision.log_determinant, logarithm, rtol=1e-10)
        if scale:
            assert_allclose(np.diag(full), 1.0)


@pytest.mark.parametrize(
    "text",
    [
        " ( (A:1 , B:2):0.5,\n C:3 ) ; ",
        "((A:1,B:2):0.5,C:3)",
        "((A:1,B:2):0.5,C:3):7;",
        "((A:1,B:2)ab:0.5,C:3)root:7;",
        "((A:1,B:2)0.97:.5,C:3)100;",
        "[&R] ((A[a:(]:1,B:2[95]):0.5,C:3)[the end];",
        "((A:10e-1,B:+2.0E0):5E-1,C:3.);",
        "(('A':1,'B':2)'a b':0.5,C:3);",
        "(((A:1):0,B:2):0.5,(C:2):1);",
    ],
)
def test_ways_to_write_a_tree(text):
    covariance = phylogenetic_covariance(text)
    assert covariance.index.tolist() == ["A", "B", "C"]
    assert_allclose(covariance, SMALL_COVARIANCE)
    tips = ["A", "B", "C"]
    found = inverse_of(phylogenetic_covariance_inverse(text)).loc[tips, tips]
    assert_allclose(found, SMALL_COVARIANCE, atol=1e-12)


def test_names():
    text = "(Homo_sapiens:1,'Pan (troglodytes)':1,'O''Brien''s; [x]':1,Ä-1/b.c:1);"
    names = ["Homo_sapiens", "Pan (troglodytes)", "O'Brien's; [x]", "Ä-1/b.c"]
    assert phylogenetic_covariance(text).index.tolist() == names
    tree = read_newick("((A:1,B:1)x:1,(C:1,D:1)x:1,(E:1,F:1)y:1)z;")
    assert tree.names == ["z", "x", "A", "B", "x", "C", "D", "y", "E", "F"]
    assert tree.parents.tolist() == [-1, 0, 1, 1, 0, 4, 4, 0, 7, 7]
    assert np.isnan(tree.lengths[0])


def test_inner_names_that_repeat_are_numbered():
    text = "((A:1,B:1)95:1,(C:1,D:1)95:1,(E:1,F:1)y:1);"
    labels = phylogenetic_covariance_inverse(text).labels.tolist()
    assert labels == ["Node2", "A", "B", "Node3", "C", "D", "y", "E", "F"]


def test_branches_of_length_zero():
    resolved = "(((A:1,B:1):0,C:1):1,(D:1,E:1):0);"
    polytomy = "((A:1,B:1,C:1):1,D:1,E:1);"
    covariance = phylogenetic_covariance(polytomy)
    assert_allclose(phylogenetic_covariance(resolved), covariance)
    precisions = [
        phylogenetic_covariance_inverse(t).to_frame() for t in (resolved, polytomy)
    ]
    assert_allclose(*precisions)
    with pytest.raises(DataError, match="branch of 'B' has length 0"):
        phylogenetic_covariance_inverse("((A:1,B:0):1,C:1);")
    assert_allclose(
        phylogenetic_covariance("((A:1,B:0):1,C:1);"), [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    )
    with pytest.raises(DataError, match="tip 'C' is at the root"):
        phylogenetic_covariance("((A:1,B:1):1,C:0);", scale=True)


def test_scaling_of_lengths():
    tree = random_tree(np.random.default_rng(9), 20)
    text = written(tree)
    longer = re.sub(r":([\d.]+)", lambda m: f":{4 * float(m[1])!r}", text)
    covariance = phylogenetic_covariance(text)
    assert_allclose(phylogenetic_covariance(longer), 4 * covariance)
    correlation = phylogenetic_covariance(text, scale=True)
    assert_allclose(phylogenetic_covariance(longer, scale=True), correlation)


def test_deep_tree():
    # a comb of 2000 tips, deeper than Python recurses
    n = 2000
    text = "(" * (n - 1) + "t0:1" + "".join(f",t{i}:1):1" for i in range(1, n)) + ";"
    covariance = phylogenetic_covariance(text).to_numpy()
    steps = n - np.maximum(np.arange(n), 1)
    expected = np.minimum.outer(steps, steps) - 1.0
    expected[np.diag_indices(n)] = steps
    assert_allclose(covariance, expected)
    precision = phylogenetic_covariance_inverse(text)
    assert precision.matrix.nnz <= 3 * 2 * n
    assert precision.log_determinant == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("((A:1,B):0.5,C:3);", "character 8, .*branch of 'B' has no length"),
        ("((A:1,B:1),C:3);", "character 11, .*the branch has no length"),
        ("((A:1,B:x):0.5,C:3);", "character 9, .*'x' is not a branch length"),
        ("((A:1,B:-1):0.5,C:3);", "'-1' is not a branch length"),
        ("((A:1,B:nan):0.5,C:3);", "'nan' is not a branch length"),
        ("((A:1,B:):0.5,C:3);", "character 9, .*expected a number"),
        ("((A:1,:2):0.5,C:3);", r"character 7, .*expected \( or a name"),
        ("((A:1,B:2):0.5,C:3;", "character 19, .*'\\(' is not closed"),
        ("((A:1,B:2):0.5,C:3", "character 19, .*'\\(' is not closed"),
        ("(A:1,B:2):0.5,C:3);", "character 14, .*',' outside"),
        ("(A:1,B:2));", "character 10, .*'\\)' without '\\('"),
        ("(A:1,B:2);(A:1,B:2);", "character 11, .*a single tree"),
        ("(Homo sapiens:1,B:2);", "character 7, .*expected : or ,"),
        ("(A:1,'B:2);", "character 6, .*' is not matched"),
        ("(A:1,B[:2);", r"character 7, .*\[ is not matched"),
        ("(A:1,B:1,A:2);", "tip 'A' appears more than once"),
        ("", "character 1, .*expected"),
        ("A:1;", "only one tip"),
        ("tree.nwk", "only one tip"),
        (None, "must be text"),
    ],
)
def test_errors_say_where(text, message):
    for function in (phylogenetic_covariance, phylogenetic_covariance_inverse):
        with pytest.raises(DataError, match=message):
            function(text)
