"""Orthonormal columns of matrices with many rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra import tall_matrices
from statsmodels_lmm.core.algebra.tall_matrices import (
    MANY_ROWS,
    are_clearly_independent,
    orthonormalized,
    square_triangle,
)


def columns(n=MANY_ROWS + 7, p=4, share=1.0):
    """Columns of very different sizes, the last nearly a combination of others."""
    matrix = np.random.default_rng(1).standard_normal((n, p))
    matrix[:, -1] = matrix[:, 0] + share * matrix[:, -1]
    return np.asfortranarray(matrix * 10.0 ** np.linspace(-80, 80, p))


@pytest.mark.parametrize("share", [1.0, 0.05, 1e-5])
def test_a_qr_decomposition(share):
    matrix = columns(share=share)
    q, r = orthonormalized(matrix.copy(order="F"))
    assert_allclose(q.T @ q, np.eye(4), atol=1e-14)
    assert_allclose(np.tril(r, -1), 0.0)
    size = np.linalg.norm(matrix, axis=0)
    assert_allclose(q @ (r / size), matrix / size, atol=1e-14)
    expected = np.linalg.qr(matrix / size, mode="r")
    assert_allclose(np.abs(r / size), np.abs(expected), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_reflections_are_not_needed_for_clearly_independent_columns(share, monkeypatch):
    monkeypatch.setattr(np.linalg, "qr", None)
    monkeypatch.setattr(tall_matrices, "ROWS_AT_ONCE", 100)
    matrix = columns(share=share)
    assert are_clearly_independent(matrix)
    q, _ = orthonormalized(matrix)
    assert_allclose(q.T @ q, np.eye(4), atol=1e-14)


@pytest.mark.parametrize(
    "matrix",
    [columns(share=1e-3), columns(share=0.0), columns(n=100)],
    ids=["nearly dependent", "dependent", "few rows"],
)
def test_other_columns_are_not_clear(matrix):
    assert not are_clearly_independent(matrix)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("share", [1.0, 0.02, 1e-5, 0.0])
def test_a_triangle_is_that_of_reflections(share, order):
    """Whether one round is enough, two are needed or reflections; a column is zero."""
    matrix = columns(share=share) / 10.0 ** np.linspace(-80, 80, 4)
    found = square_triangle(matrix)
    assert_allclose(np.tril(found, -1), 0.0)
    expected = np.linalg.qr(matrix, mode="r")
    assert_allclose(np.abs(found), np.abs(expected), atol=1e-10)
    wider = np.insert(matrix, 1, 0.0, axis=1).copy(order=order)
    found = square_triangle(wider)
    assert_allclose(np.tril(found, -1), 0.0)
    assert_allclose(found.T @ found, wider.T @ wider, rtol=1e-11, atol=1e-9)


def test_a_second_round_restores_the_digits_of_a_triangle(monkeypatch):
    matrix = columns(share=0.02, p=2) / 10.0 ** np.linspace(-80, 80, 2)
    last = np.abs(np.linalg.qr(matrix, mode="r")[1, 1])
    monkeypatch.setattr(tall_matrices, "ROWS_AT_ONCE", 100)
    two = abs(square_triangle(matrix)[1, 1] / last - 1.0)
    monkeypatch.setattr(tall_matrices, "WELL", np.inf)
    one = abs(square_triangle(matrix)[1, 1] / last - 1.0)
    assert two < 1e-14 < one


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-161, 1e-158, 1e152])
def test_products_out_of_range_are_not_formed(unit):
    matrix = columns(p=2) / 10.0 ** np.linspace(-80, 80, 2)
    found = square_triangle(matrix * [1.0, unit]) / [1.0, unit]
    assert_allclose(np.abs(found), np.abs(np.linalg.qr(matrix, mode="r")), rtol=1e-12)


def test_few_rows_have_a_square_triangle():
    matrix = np.arange(6.0).reshape(2, 3) + np.eye(2, 3)
    found = square_triangle(matrix)
    assert found.shape == (3, 3)
    assert_allclose(found.T @ found, matrix.T @ matrix)
