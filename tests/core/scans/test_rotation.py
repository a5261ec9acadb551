"""Coordinates in which V is diagonal, against dense matrices."""

from dataclasses import replace

import numpy as np
import pytest
from scan_cases import family_kinship

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Precision, Relationship
from statsmodels_lmm.core.scans.rotation import Rotation, can_rotate, rotation_of


def terms():
    """Terms of one column by name, with the K of their levels."""
    rng = np.random.default_rng(0)
    k = family_kinship(4)
    n = len(k)
    mixed = rng.normal(size=(n, n))
    order = rng.permutation(n)
    dense = mixed @ mixed.T / n
    repeated = np.repeat(np.arange(n), 2)[rng.permutation(2 * n)]

    def term(codes, matrix, effects=None):
        effects = np.ones(len(codes)) if effects is None else effects
        known = None if matrix is None else Relationship(matrix)
        return GroupedEffects(codes, len(k), effects[:, None], (1,), relationship=known)

    signed = rng.normal(size=n)
    gaps = np.where(np.arange(2 * n) % 8 < 2, 0.0, rng.uniform(0.5, 2.0, 2 * n))
    return {
        "families": term(order, k),
        "whole": term(order, dense),
        "in order": term(np.arange(n), dense),
        "signs": term(order, k, signed),
        "independent": term(repeated, None),
        "repeated": term(repeated, k, rng.normal(size=2 * n)),
        "levels without a column": term(np.repeat(np.arange(n), 2), dense, gaps),
    }


def dense_v(term, ratio):
    z = term.indicator().toarray()
    known = term.relationship
    k = np.eye(term.n_levels) if known is None else known.matrix
    return np.eye(len(z)) + ratio * z @ k @ z.T


@pytest.mark.parametrize("name", list(terms()))
@pytest.mark.parametrize("ratio", [0.0, 0.3, 50.0])
def test_v_is_diagonal(name, ratio):
    term = terms()[name]
    rotation = rotation_of(term)
    columns = np.random.default_rng(1).normal(size=(term.n_rows, 5))
    turned = rotation.times(columns)
    assert np.allclose(turned.T @ turned, columns.T @ columns, atol=1e-12)
    weights = 1.0 / (1.0 + ratio * rotation.values)
    v = dense_v(term, ratio)
    expected = columns.T @ np.linalg.solve(v, columns)
    assert np.allclose(turned.T @ (weights[:, None] * turned), expected, atol=1e-11)
    logdet = np.log1p(ratio * rotation.values).sum()
    assert np.isclose(logdet, np.linalg.slogdet(v)[1], atol=1e-10)


def test_families_are_found_and_equal_the_rotation_of_the_whole():
    term = terms()["families"]
    rotation = rotation_of(term)
    assert [m.shape for m, _ in rotation.families] == [(4, 6)]
    # a connection too weak to matter makes it one family
    k = term.relationship.matrix + 1e-15
    whole = rotation_of(replace(term, relationship=Relationship(k)))
    assert [m.shape for m, _ in whole.families] == [(1, len(k))]
    assert np.allclose(np.sort(rotation.values), np.sort(whole.values), atol=1e-12)


def test_negative_eigenvalues_of_rounding_count_as_zero():
    twins = np.kron(np.eye(3), np.ones((2, 2))) - 1e-13 * np.eye(6)
    term = GroupedEffects(
        np.arange(6), 6, np.ones((6, 1)), (1,), relationship=Relationship(twins)
    )
    values = rotation_of(term).values
    assert (values >= 0.0).all()
    assert np.allclose(np.sort(values), [0, 0, 0, 2, 2, 2])


def test_rows_in_order_are_not_copied_by_position():
    rotation = rotation_of(terms()["whole"])
    ((members, _),) = rotation.families
    assert (members[0] == np.arange(len(members[0]))).all()
    assert isinstance(rotation, Rotation)
    assert rotation.levels is None


def test_which_models_can_be_rotated():
    term = terms()["families"]
    two = replace(term, effects=np.ones((24, 2)), blocks=(2,), structures=())
    inverse = replace(term, relationship=Precision(np.eye(24)))
    assert can_rotate([term])
    assert not can_rotate([term, term])
    assert not can_rotate([])
    assert not can_rotate([two])
    assert not can_rotate([inverse])
    assert not can_rotate([replace(term, effects=np.zeros((24, 1)))])
