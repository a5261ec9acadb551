"""The preconditioner and what is known exactly, against dense matrices."""

import numpy as np
import pytest
from krylov_cases import products
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra.conjugate_gradients import conjugate_gradients
from statsmodels_lmm.core.engines import krylov_products, krylov_system
from statsmodels_lmm.core.engines.krylov_system import symmetric_root

KINDS = "plain", "slopes", "four"


def system_of(kind):
    _, mine = products(kind)
    rng = np.random.default_rng(2)
    roots = [
        0.6 * np.tril(rng.uniform(0.3, 1.0, (f.k_effects,) * 2))
        for f in mine.plan.terms
    ]
    return mine.eliminate(roots).system


def dense(times, size):
    return times(np.eye(size))


def blocks_of(matrix, system):
    out = []
    for f, rows in system.tail:
        block = matrix[rows, rows].reshape((f.n_levels, f.k_effects) * 2)
        out.append(np.einsum("gagb->gab", block))
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_schur_complement(kind):
    system = system_of(kind)
    p = system.products
    q = p.plan.n_tail
    z = np.hstack([f.indicator().toarray() for f in p.plan.terms])
    gram = z.T @ z
    roots = [np.kron(np.eye(f.n_levels), r) for f, r in zip(p.plan.terms, system.roots)]
    root = np.zeros(gram.shape)
    for rows, r in zip(p.plan.slices, roots):
        root[rows, rows] = r
    whole = root.T @ gram @ root + np.eye(len(gram))
    k = len(whole) - q
    schur = whole[k:, k:] - whole[k:, :k] @ np.linalg.solve(
        whole[:k, :k], whole[:k, k:]
    )
    assert_allclose(dense(system.times, q), schur, rtol=1e-9, atol=1e-9)
    assert_allclose(system.log_head, np.linalg.slogdet(whole[:k, :k])[1])
    for mine, yours in zip(system.blocks, blocks_of(schur, system)):
        assert_allclose(mine, yours, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_preconditioner(kind):
    system = system_of(kind)
    q = system.products.plan.n_tail
    s, b = dense(system.times, q), dense(system.precondition, q)
    assert_allclose(b, b.T, atol=1e-10)
    assert np.linalg.eigvalsh(b).min() > 0.0
    v = system.coarse
    assert_allclose(b @ (s @ v), v, atol=1e-8)  # exact on the coarse space
    columns, weights, images = system.low_rank
    assert_allclose(images, s @ columns, rtol=1e-8, atol=1e-8)
    jacobi = dense(system.jacobi, q)
    assert_allclose(jacobi + (columns * weights) @ columns.T, b, rtol=1e-8, atol=1e-8)
    p = 2.0 * b - b @ s @ b
    assert_allclose(dense(lambda x: system.twice(x)[1], q), p, rtol=1e-8, atol=1e-8)
    for mine, yours in zip(system.tail_blocks(), blocks_of(p, system)):
        assert_allclose(mine, yours, rtol=1e-7, atol=1e-8)
    head = system.products.plan.terms[0]
    z = np.hstack([f.indicator().toarray() for f in system.products.plan.tail])
    across = head.indicator().T @ z
    root = dense(system.rooted, q)
    whole = across @ root @ b @ root @ across.T
    whole = whole.reshape((head.n_levels, head.k_effects) * 2)
    assert_allclose(
        system.head_blocks(), np.einsum("gagb->gab", whole), rtol=1e-7, atol=1e-7
    )


def test_parts_of_the_head_give_the_same(monkeypatch):
    size = system_of("slopes").products.plan.n_tail
    whole = dense(system_of("slopes").times, size)[:, :3]
    monkeypatch.setattr(krylov_products, "HEAD_LEVELS", 7)
    products.cache_clear()
    parts = dense(system_of("slopes").times, whole.shape[0])[:, :3]
    products.cache_clear()
    assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)


def test_columns_do_not_depend_on_each_other():
    system = system_of("plain")
    x = np.random.default_rng(0).standard_normal((system.products.plan.n_tail, 40))
    assert np.array_equal(system.times(x)[:, 5:6], system.times(x[:, 5:6].copy()))


def test_symmetric_root():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 3))
    found = symmetric_root(root)
    assert_allclose(found @ found, root @ root.T)
    assert_allclose(found, found.T)
    root[:, 2] = 0.0
    raised = np.linalg.eigvalsh(symmetric_root(root, 0.1))
    assert_allclose(raised.min(), 0.1)


def test_conjugate_gradients_give_up():
    matrix = np.diag([1.0, -1.0])
    with pytest.raises(np.linalg.LinAlgError, match="do not converge"):
        conjugate_gradients(
            lambda x: matrix @ x, lambda x: x, np.array([[1.0], [1.0]]), 1e-10
        )


def test_small_terms_are_solved_at_once():
    assert krylov_system.SMALL_TERM >= 20
    system = system_of("three")
    assert system.coarse.shape[1] == 1 + 20
