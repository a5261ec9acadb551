"""Sparse Cholesky factors and the elements of the inverse, against dense algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.core.algebra import minimum_degree as module
from statsmodels_lmm.core.algebra.elimination_tree import elimination_tree
from statsmodels_lmm.core.algebra.minimum_degree import (
    elimination_order,
    minimum_degree,
)
from statsmodels_lmm.core.algebra.sparse_cholesky import analyze, factorize
from statsmodels_lmm.core.algebra.symbolic_cholesky import LONG


def dominant(pattern, seed=0):
    """A positive definite matrix with the pattern, in no order of magnitude special."""
    rng = np.random.default_rng(seed)
    lower = sparse.tril(pattern, -1).tocoo()
    values = rng.standard_normal(lower.nnz)
    lower = sparse.coo_array((values, lower.coords), shape=lower.shape)
    matrix = lower + lower.T
    size = np.abs(matrix).sum(axis=0) + rng.uniform(0.1, 1.0, matrix.shape[0])
    scale = sparse.diags_array(10.0 ** rng.uniform(-2, 2, matrix.shape[0]))
    return sparse.csc_array(scale @ (matrix + sparse.diags_array(size)) @ scale)


def random_pattern(n, density, seed):
    return dominant(sparse.random_array((n, n), density=density, rng=seed), seed)


def pedigree(n, parents, seed=0, generations=5):
    """
    The inverse of a relationship matrix plus records, by Henderson's rules.

    Parents are drawn from the generation before; the first is without.
    """
    rng = np.random.default_rng(seed)
    each = n // generations
    transmission = sparse.eye_array(n, format="lil")
    known = np.zeros(n)
    for i in range(each, n):
        before = (i // each - 1) * each + np.arange(min(parents, each))
        for parent in rng.choice(before, size=2, replace=False):
            transmission[i, parent] = -0.5
            known[i] += 1
    precision = sparse.diags_array(1.0 / (1.0 - 0.25 * known))
    records = sparse.diags_array(0.5 * rng.poisson(1.0, n))
    transmission = transmission.tocsc()
    return sparse.csc_array(transmission.T @ precision @ transmission + records)


def pedigree_with_herds():
    """Mixed model equations of animals and of herds, each with a record."""
    animals = pedigree(300, 30)
    rng = np.random.default_rng(1)
    herd = sparse.eye_array(5, format="csr")[rng.integers(5, size=300)]
    joint = [
        [animals + sparse.eye_array(300), herd],
        [herd.T, sparse.diags_array(herd.sum(axis=0) + 0.7)],
    ]
    return sparse.csc_array(sparse.block_array(joint))


def phylogeny(n, seed=0):
    """A tree, each node grown from an earlier one."""
    rng = np.random.default_rng(seed)
    above = [rng.integers(i) for i in range(1, n)]
    edges = sparse.coo_array((np.ones(n - 1), (np.arange(1, n), above)), shape=(n, n))
    return dominant(edges + edges.T)


def dense():
    root = np.random.default_rng(0).standard_normal((90, 120))
    return sparse.csc_array(root @ root.T)


def two_effects():
    within = np.array([[1.0, 0.3], [0.3, 0.5]])
    return sparse.csc_array(sparse.kron(pedigree(200, 20), within))


def linked_blocks():
    """Of three blocks linked to a fourth, one is eliminated together with it."""
    blocks = np.kron(np.eye(3), np.ones((150, 150)))
    pattern = np.block([[blocks, np.ones((450, 70))], [np.ones((70, 520))]])
    return dominant(sparse.coo_array(pattern))


def disconnected():
    parts = [pedigree(100, 10), dense(), sparse.eye_array(3), phylogeny(40), [[2.0]]]
    return sparse.csc_array(sparse.block_diag(parts))


MATRICES = {
    "1 x 1": lambda: sparse.csc_array([[4.0]]),
    "diagonal": lambda: sparse.csc_array(sparse.diags_array(np.arange(1.0, 9.0))),
    "dense": dense,
    "random, sparse": lambda: random_pattern(200, 0.003, 1),
    "random": lambda: random_pattern(200, 0.02, 2),
    "random, filled": lambda: random_pattern(250, 0.1, 3),
    "few sires": lambda: pedigree(500, 8),
    "random mating": lambda: pedigree(600, 120),
    "herds": pedigree_with_herds,
    "phylogeny": lambda: phylogeny(400),
    "path": lambda: dominant(sparse.diags_array([np.ones(299)], offsets=[1])),
    "star": lambda: dominant(sparse.coo_array(np.eye(1, 100) + np.ones((100, 1)))),
    "linked blocks": linked_blocks,
    "two effects": two_effects,
    "disconnected": disconnected,
}


@pytest.fixture(scope="module", params=MATRICES)
def matrix(request):
    return MATRICES[request.param]()


@pytest.fixture(scope="module")
def factor(matrix):
    return factorize(analyze(matrix), matrix)


def right(n, columns=3):
    return np.random.default_rng(5).standard_normal((n, columns))


def scales(matrix):
    """1 / sqrt of the diagonal, which makes all columns of one order of magnitude."""
    return matrix.diagonal() ** -0.5


def test_logdet(matrix, factor):
    assert_allclose(factor.logdet, np.linalg.slogdet(matrix.toarray())[1], rtol=1e-12)


def test_solve(matrix, factor):
    d = scales(matrix)
    b = right(len(d)) / d[:, None]
    wanted = np.linalg.solve(matrix.toarray() * d * d[:, None], d[:, None] * b)
    found = factor.solve(b) / d[:, None]
    assert_allclose(found, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())
    alone = factor.solve(b[:, 0]) / d
    assert_allclose(alone, found[:, 0], rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_half_solve_is_the_root_of_the_quadratic_form(matrix, factor):
    b = matrix @ right(matrix.shape[0])
    half = factor.half_solve(b)
    wanted = b.T @ right(matrix.shape[0])
    assert_allclose(half.T @ half, wanted, atol=1e-11 * np.abs(wanted).max())


def test_back_solve_makes_the_inverse(matrix, factor):
    root = factor.back_solve(np.eye(matrix.shape[0]))
    d = scales(matrix)
    wanted = np.linalg.inv(matrix.toarray() * d * d[:, None])
    found = root @ root.T / d / d[:, None]
    assert_allclose(found, wanted, atol=1e-11 * np.abs(wanted).max())


def test_half_solve_is_the_transpose_of_back_solve(matrix, factor):
    identity = np.eye(matrix.shape[0])
    forth, back = factor.half_solve(identity), factor.back_solve(identity)
    assert_allclose(forth, back.T, rtol=1e-9, atol=1e-12 * np.abs(forth).max())


def test_factor_is_lower_triangular_in_the_order_of_elimination(matrix, factor):
    inverse = factor.half_solve(np.eye(matrix.shape[0]))[:, factor.symbolic.order]
    assert_array_equal(np.triu(inverse, 1), 0.0)
    assert (np.diagonal(inverse) > 0).all()


def test_selected_inverse(matrix, factor):
    d = scales(matrix)
    inverse = np.linalg.inv(matrix.toarray() * d * d[:, None])
    found = factor.selected_inverse()
    assert_array_equal(found.indices, matrix.indices)
    assert_array_equal(found.indptr, matrix.indptr)
    rows, columns = found.tocoo().coords
    wanted = inverse[rows, columns]
    found = found.data / d[rows] / d[columns]
    assert_allclose(found, wanted, rtol=1e-10, atol=1e-13 * np.abs(inverse).max())


@pytest.mark.parametrize("ordered", [minimum_degree, elimination_order])
def test_the_order_is_a_permutation_and_the_tree_holds_the_factor(matrix, ordered):
    n = matrix.shape[0]
    order = ordered(matrix)
    assert_array_equal(np.sort(order), np.arange(n))
    # a factor without cancellation: its entries are all that fill in
    filled = np.abs(matrix.toarray()[np.ix_(order, order)]) > 0
    for j in range(n):
        below = j + 1 + np.flatnonzero(filled[j + 1 :, j])
        filled[np.ix_(below, below)] = True
    tree = elimination_tree(matrix, order)
    assert_array_equal(np.sort(np.concatenate(tree.columns)), np.arange(n))
    rank = np.argsort(order)
    for s, (columns, rows) in enumerate(zip(tree.columns, tree.rows)):
        if len(rows):
            assert tree.parent[s] > s
            parent = tree.parent[s]
            above = np.concatenate([tree.columns[parent], tree.rows[parent]])
            assert set(rows) <= set(above)
        else:
            assert tree.parent[s] == -1
        front = set(rank[columns]) | set(rank[rows])
        for j in rank[columns]:
            assert set(j + np.flatnonzero(filled[j:, j])) <= front


def test_minimum_degree_fills_in_less_than_the_order_given():
    matrix = pedigree(600, 20)
    found = analyze(matrix).n_entries
    tree = elimination_tree(matrix, np.arange(600))
    given = sum(
        len(c) * (len(c) + 1) // 2 + len(c) * len(r)
        for c, r in zip(tree.columns, tree.rows)
    )
    assert found < 0.5 * given
    assert found < 3 * matrix.nnz


def test_only_hubs_need_the_own_order(monkeypatch):
    """SuperLU's order is taken as one of rows, and never where it would be slow."""
    line = sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(30, 30))
    grid = sparse.csc_array(sparse.kronsum(line, line))
    monkeypatch.setattr(module, "minimum_degree", lambda pattern: "own")
    order = elimination_order(grid)

    def fill(order):
        tree = elimination_tree(grid, order)
        return sum(len(c) * len(r) for c, r in zip(tree.columns, tree.rows))

    assert fill(order) < 1.3 * fill(minimum_degree(grid))
    assert fill(order) < 0.7 * fill(np.argsort(order))
    monkeypatch.setattr(module, "HUB", 4)
    assert elimination_order(grid) == "own"


@pytest.mark.parametrize("ordered", [minimum_degree, elimination_order])
def test_a_tree_is_eliminated_without_fill(ordered):
    matrix = phylogeny(300)
    order = ordered(matrix)
    root = np.linalg.cholesky(matrix.toarray()[np.ix_(order, order)])
    assert np.count_nonzero(root) == 300 + 299


def test_the_batches_are_of_all_kinds():
    def shapes_of(matrix):
        return [b.shape for b in analyze(matrix).batches]

    shapes = shapes_of(pedigree(600, 120))
    assert any(k > 1 and m == 1 for k, m, r in shapes)
    assert any(k > 1 and m > 1 for k, m, r in shapes)
    assert any(k == 1 and m > LONG for k, m, r in shapes)
    shapes = shapes_of(linked_blocks())
    assert any(k > 1 and r >= LONG for k, m, r in shapes)


def test_analyzed_once_factorized_with_other_values():
    relationship = pedigree(300, 20)
    symbolic = analyze(relationship)
    records = sparse.diags_array(np.arange(300) % 3 + 0.0).tocsc()
    q, z = symbolic.values(relationship), symbolic.values(records)
    for ratio in (0.01, 1.0, 100.0):
        matrix = ratio * records + relationship
        inverse = np.linalg.inv(matrix.toarray())
        for given in (matrix, ratio * z + q):
            factor = factorize(symbolic, given)
            wanted = np.linalg.slogdet(matrix.toarray())[1]
            assert_allclose(factor.logdet, wanted, rtol=1e-12)
            trace = q @ factor.selected_inverse().data
            wanted = np.sum(relationship.toarray() * inverse)
            assert_allclose(trace, wanted, rtol=1e-11)
    # the one factorized first is not touched by the second
    again = factorize(symbolic, relationship)
    kept = again.solve(np.ones(300))
    factorize(symbolic, matrix).selected_inverse()
    assert_array_equal(again.solve(np.ones(300)), kept)


def test_a_permuted_matrix_has_the_permuted_inverse():
    matrix = pedigree_with_herds()
    n = matrix.shape[0]
    mixed = np.random.default_rng(2).permutation(n)
    permuted = sparse.csc_array(matrix[mixed][:, mixed])
    one, other = (factorize(analyze(h), h) for h in (matrix, permuted))
    assert_allclose(other.logdet, one.logdet, rtol=1e-12)
    b = right(n)
    assert_allclose(other.solve(b[mixed]), one.solve(b)[mixed], rtol=1e-9, atol=1e-12)
    found = other.selected_inverse().toarray()
    wanted = one.selected_inverse().toarray()[np.ix_(mixed, mixed)]
    assert_allclose(found, wanted, rtol=1e-9, atol=1e-14)


def test_any_storage_is_read():
    matrix = pedigree(100, 10)
    n = matrix.shape[0]
    wanted = factorize(analyze(matrix), matrix)
    coo = matrix.tocoo()
    twice = [np.concatenate([a, a])[::-1] for a in (*coo.coords, 0.5 * coo.data)]
    duplicates = sparse.coo_array((twice[2], (twice[0], twice[1])), shape=(n, n))
    bounds = matrix.indptr
    backwards = np.concatenate(
        [np.arange(a, b)[::-1] for a, b in zip(bounds[:-1], bounds[1:])]
    )
    unsorted = sparse.csc_matrix(
        (matrix.data[backwards], matrix.indices[backwards], bounds), shape=(n, n)
    )
    assert not unsorted.has_sorted_indices
    long = matrix.copy()
    long.indices, long.indptr = (
        a.astype(np.int64) for a in (long.indices, long.indptr)
    )
    for other in (matrix.tocsr(), duplicates, unsorted, long, sparse.csr_matrix(coo)):
        found = factorize(analyze(other), other)
        assert_allclose(found.logdet, wanted.logdet, rtol=1e-13)
        found = found.selected_inverse()
        assert_allclose(found.data, wanted.selected_inverse().data, rtol=1e-12)
    # what was given is as it was
    assert_array_equal(unsorted.indices, matrix.indices[backwards])


def test_right_hand_sides_of_any_layout():
    matrix = pedigree(100, 10)
    factor = factorize(analyze(matrix), matrix)
    b = right(100, 4)
    wanted = np.linalg.solve(matrix.toarray(), b)
    kept = b.copy()
    for given in (b, np.asfortranarray(b), np.repeat(b, 2, axis=1)[:, ::2]):
        assert_allclose(factor.solve(given), wanted, rtol=1e-10, atol=1e-13)
    assert_array_equal(b, kept)
    assert factor.solve(np.zeros((100, 0))).shape == (100, 0)
    assert factor.solve(np.arange(100)).shape == (100,)
    with pytest.raises(ValueError, match="100 rows"):
        factor.solve(np.ones(101))
    with pytest.raises(ValueError, match="100 rows"):
        factor.back_solve(np.ones((100, 1, 1)))


@pytest.mark.parametrize("at", [0, 57, 99])
def test_not_positive_definite(at):
    matrix = pedigree(100, 10)
    symbolic = analyze(matrix)
    lowest = np.linalg.inv(matrix.toarray())[at, at]
    for excess, fails in ((0.999, False), (1.001, True), (np.nan, True)):
        changed = matrix.copy()
        # the determinant is 0 when 1 / (H^-1)_ii is taken from H_ii
        changed[at, at] -= excess / lowest
        if fails:
            with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
                factorize(symbolic, changed)
        else:
            factorize(symbolic, changed)


def test_a_dense_indefinite_matrix_is_refused():
    indefinite = sparse.csc_array(np.ones((5, 5)) - 2.0 * np.eye(5))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        factorize(analyze(indefinite), indefinite)


def test_close_to_singular():
    # the inverse of a relationship matrix, with next to no information of its own
    n = 400
    matrix = pedigree(n, 40) + 1e8 * sparse.diags_array(np.arange(n) % 2 + 0.0)
    factor = factorize(analyze(matrix), matrix)
    d = scales(matrix)
    scaled = np.linalg.inv(matrix.toarray() * d * d[:, None])
    found = factor.selected_inverse()
    rows, columns = found.tocoo().coords
    wanted = scaled[rows, columns] * d[rows] * d[columns]
    assert_allclose(found.data, wanted, rtol=1e-9)


def test_wrong_matrices_are_named():
    matrix = pedigree(100, 10)
    symbolic = analyze(matrix)
    with pytest.raises(ValueError, match="square"):
        analyze(matrix[:, :50])
    with pytest.raises(ValueError, match="both triangles"):
        analyze(sparse.tril(matrix))
    with pytest.raises(ValueError, match=r"shape \(100, 100\), the matrix \(50, 50\)"):
        factorize(symbolic, matrix[:50, :50])
    with pytest.raises(ValueError, match="entries, the values"):
        factorize(symbolic, np.ones(3))
    more = matrix.tolil()
    assert more[99, 98] == 0.0
    more[99, 98] = more[98, 99] = 0.1
    with pytest.raises(ValueError, match="row 99, column 98"):
        factorize(symbolic, more)


def test_without_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 100_000)
    analyze(pedigree(100, 4))
    with pytest.raises(MemoryError, match="600 rows fills in to"):
        analyze(pedigree(600, 120))
