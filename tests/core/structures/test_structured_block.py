"""Blocks with a structure in the coordinates of a search."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.structures.base import Parameter, Structure
from statsmodels_lmm.core.structures.correlated import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
)
from statsmodels_lmm.core.structures.known import Fixed, Known
from statsmodels_lmm.core.structures.structured_block import (
    PLAIN,
    Fold,
    StructuredCovariance,
)

EFFECTS = ("a", "b", "c")
UNIT = np.array([2.0, 0.5, 1.25])


class OneSided(Structure):
    """Parameters with one end, from above and below, one without, one between."""

    name = "sided"

    def parameters(self, effects):
        return [
            Parameter("above", lower=0.5),
            Parameter("below", upper=-0.25),
            Parameter("free"),
            Parameter("between", 0.0, 3.0),
        ]

    def covariance(self, theta, k):
        above, below, free, between = theta
        ramp = np.arange(1.0, k + 1.0)
        return (
            above * np.eye(k)
            + between * np.diag(ramp)
            + np.exp(free) * np.outer(ramp, ramp)
            - below * np.ones((k, k))
        )


STRUCTURES = {
    "cs": CompoundSymmetry(False),
    "cs hom": CompoundSymmetry(True),
    "ar1": AutoRegressive(True),
    "ar1 het": AutoRegressive(False),
    "diag hom": Diagonal(True),
    "known": Known(np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.0]])),
    "sided": OneSided(),
}


# folds ----------------------------------------------------------------------

FOLDS = [
    (Fold("free", 0.0, 1.0), (-np.inf, np.inf)),
    (Fold("even", 0.0, 0.4), (0.0, np.inf)),
    (Fold("square", 0.5, 1.0), (0.5, np.inf)),
    (Fold("square", -0.25, -1.0), (-np.inf, -0.25)),
    (Fold("angle", 0.25, 0.75), (-0.5, 1.0)),
]


@pytest.mark.parametrize(("fold", "ends"), FOLDS)
def test_folds(fold, ends):
    low, high = np.maximum(ends, (-3.0, -np.inf)), np.minimum(ends, (np.inf, 4.0))
    for theta in np.linspace(low[0], high[1], 9):
        x = fold.fold(theta)
        assert_allclose(fold.unfold(x)[0], theta, atol=1e-14)
    for x in (-7.3, -2.0, -0.4, 0.3, 1.5, 6.1):
        value, first, second = fold.unfold(x)
        assert ends[0] <= value <= ends[1]
        h = 1e-3
        near = [fold.unfold(x + i * h)[0] for i in (-1, 0, 1)]
        assert_allclose(first, (near[2] - near[0]) / (2 * h), atol=1e-5)
        bend = (near[2] - 2 * near[1] + near[0]) / h**2
        assert_allclose(second, bend, atol=1e-5)


@pytest.mark.parametrize("k", [2, 3, 7, 10, 11, 18, 30])
def test_no_coordinate_leaves_the_range(k):
    """Not by rounding either: a user's square root of 1 - rho^2 would be NaN."""
    model = StructuredCovariance(CompoundSymmetry(True), tuple(map(str, range(k))))
    low, high = model.structure.ranges(k)[1]
    for x in (-0.5 * np.pi, 0.5 * np.pi, 1.5 * np.pi, -1.6, 1.6):
        assert low <= model.folds[1].unfold(x)[0] <= high


def test_which_fold():
    model = StructuredCovariance(OneSided(), EFFECTS)
    assert [f.kind for f in model.folds] == ["square", "square", "free", "angle"]
    model = StructuredCovariance(CompoundSymmetry(True), EFFECTS)
    assert [f.kind for f in model.folds] == ["even", "angle"]
    rho = model.folds[1]
    assert_allclose([rho.origin, rho.unit], [0.25, 0.75])


# one block ------------------------------------------------------------------


def blocks(name):
    """A block in its own units and in others, somewhere inside."""
    structure = STRUCTURES[name]
    rng = np.random.default_rng(3)
    for unit in (None, UNIT):
        model = StructuredCovariance(structure, EFFECTS, unit)
        middle = [p.initial + 0.0 for p in model.parameters]
        theta = np.array(middle) + rng.uniform(0.05, 0.3, len(middle))
        theta = [
            np.clip(t, p.lower, p.upper - 0.05) for t, p in zip(theta, model.parameters)
        ]
        yield model, np.array(theta), model.block(theta)


def symmetric(seed, k=3):
    matrix = np.random.default_rng(seed).standard_normal((k, k))
    return matrix + matrix.T


@pytest.mark.parametrize("name", STRUCTURES)
def test_block(name):
    for model, theta, block in blocks(name):
        assert_allclose(block.structured_theta, theta, rtol=1e-14)
        expected = model.structure.covariance(theta, 3)
        if model.unit is not None:
            expected = np.diag(1.0 / UNIT) @ expected @ np.diag(1.0 / UNIT)
        assert_allclose(block.covariance, expected, rtol=1e-12)
        assert_allclose(block.matrix @ block.matrix.T, expected, atol=1e-12)
        plain = model.block(theta, folded=False)
        assert_array_equal(plain.coordinates, theta)
        assert_allclose(plain.covariance, expected, rtol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_slope_and_curvature(name):
    dual, h = symmetric(1), 1e-4
    for model, theta, folded in blocks(name):
        for block in (folded, model.block(theta, folded=False)):
            m = block.n_free

            def value(step, block=block):
                moved = replace(block, coordinates=block.coordinates + step)
                return (dual * moved.covariance).sum()

            steps = h * np.eye(m)
            first = [(value(s) - value(-s)) / (2 * h) for s in steps]
            assert_allclose(block.slope(dual), first, rtol=1e-6, atol=1e-6)
            second = [
                [
                    (value(s + t) - value(s - t) - value(t - s) + value(-s - t))
                    / (4 * h**2)
                    for s in steps
                ]
                for t in steps
            ]
            assert_allclose(block.curvature(dual), second, rtol=1e-5, atol=1e-5)
            found = np.array([(dual * d).sum() for d in block.directions])
            assert_allclose(found, block.slope(dual), rtol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_steps_stay_in_the_range(name):
    rng = np.random.default_rng(8)
    for model, _, block in blocks(name):
        for _ in range(20):
            block = block.stepped(rng.standard_normal(block.n_free))
            for theta, p in zip(block.structured_theta, model.parameters):
                assert p.lower - 1e-15 <= theta <= p.upper + 1e-15
            assert np.linalg.eigvalsh(block.covariance)[0] > -1e-12


def at_ends(which=0):
    """A block with all its parameters at one of their ends."""
    model = StructuredCovariance(CompoundSymmetry(True), EFFECTS)
    rho = model.parameters[1]
    return model, model.block([0.0, (rho.lower, rho.upper)[which]])


@pytest.mark.parametrize("which", [0, 1])
def test_lifted(which):
    model, block = at_ends(which)
    assert block.structured_theta[0] == 0.0
    lifted = block.lifted()
    low, high = model.structure.ranges(3)[1]
    assert lifted.structured_theta[0] > 0.01
    assert low + 0.001 < lifted.structured_theta[1] < high - 0.001
    assert np.linalg.eigvalsh(lifted.covariance)[0] > 1e-6
    # what is inside stays
    inside = model.block([0.7, 0.2])
    assert_array_equal(inside.lifted().coordinates, inside.coordinates)


def test_lifted_where_a_search_had_folded_back():
    """Beyond an end the coordinate is another name of a value inside."""
    model = StructuredCovariance(CompoundSymmetry(True), EFFECTS)
    inside = model.block([0.7, 0.2])
    again = replace(inside, coordinates=inside.coordinates * [-1.0, 1.0])
    again = replace(again, coordinates=[0.0, np.pi] - again.coordinates * [-1.0, 1.0])
    assert_allclose(again.covariance, inside.covariance, rtol=1e-12)
    lifted = again.lifted()
    assert_allclose(lifted.covariance, inside.covariance, rtol=1e-12)


def test_snapped():
    model = StructuredCovariance(CompoundSymmetry(True), EFFECTS)
    near = model.block([1.0, 1.0]).stepped([0.0, 5e-6])
    snapped = near.snapped()
    assert snapped.structured_theta[1] == pytest.approx(1.0, abs=1e-15)
    assert_allclose(snapped.covariance, np.ones((3, 3)), atol=1e-15)
    assert model.block([3e-6, 0.2]).snapped().structured_theta[0] == 0.0
    assert (model.block([3e-6, 0.2]).snapped().covariance == 0.0).all()
    inside = model.block([0.5, 0.99])
    assert inside.snapped() is inside
    # after a fold the other end comes again
    far = model.block([1.0, 1.0]).stepped([0.0, 2 * np.pi - 5e-6]).snapped()
    assert far.structured_theta[1] == pytest.approx(1.0, abs=1e-15)


def test_snapped_with_one_end():
    model = StructuredCovariance(OneSided(), EFFECTS)
    block = model.block([0.5 + 1e-12, -0.25 - 1e-12, 0.3, 1e-12]).snapped()
    assert_array_equal(block.structured_theta[:3], [0.5, -0.25, 0.3])
    assert block.structured_theta[3] == pytest.approx(0.0, abs=1e-15)


def test_held():
    model = StructuredCovariance(CompoundSymmetry(False), EFFECTS)
    block = model.block([0.4, 0.6, 0.9, 0.3])
    held = block.held(3, 1.0).held(0, 0.0)
    assert_allclose(held.structured_theta, [0.0, 0.6, 0.9, 1.0], rtol=1e-14)
    assert held.folds[0] == held.folds[3] == PLAIN
    assert_array_equal(
        block.structured_theta, model.block([0.4, 0.6, 0.9, 0.3]).structured_theta
    )


@pytest.mark.parametrize(
    "name", ["cs", "cs hom", "ar1", "ar1 het", "diag hom", "known"]
)
def test_nothing(name):
    for _, _, block in blocks(name):
        assert (block.nothing().covariance == 0.0).all()


def test_a_fixed_matrix_has_no_coordinates():
    matrix = np.array([[1.0, 0.3], [0.3, 2.0]])
    model = StructuredCovariance(Fixed(matrix), ("a", "b"), np.array([2.0, 4.0]))
    block = model.start(np.eye(2))
    assert block.n_free == 0
    assert_allclose(block.covariance, matrix / [[4.0, 8.0], [8.0, 16.0]])
    assert block.slope(symmetric(0, 2)).shape == (0,)
    assert block.curvature(symmetric(0, 2)).shape == (0, 0)
    assert block.certificates(symmetric(0, 2), np.eye(2)) == ([0.0], [0.0])


def test_start_has_the_deviations_of_the_data():
    effects = np.array([0.5, 1.5, 2.5])
    model = StructuredCovariance(CompoundSymmetry(False), EFFECTS, UNIT)
    block = model.start(np.diag(effects**2))
    assert_allclose(np.sqrt(np.diag(block.covariance)), effects, rtol=1e-12)
    assert block.structured_theta[-1] == pytest.approx(0.0, abs=1e-15)
    block = StructuredCovariance(CompoundSymmetry(True), EFFECTS, UNIT).start(
        np.diag(effects**2)
    )
    # one deviation: the mean of the variances is that of the data
    assert np.trace(block.covariance) == pytest.approx((effects**2).sum())
    given = type("Given", (Known,), {})(np.eye(3))
    given.parameters = lambda effects: [Parameter("sd", 0.0, kind="sd", start=3.0)]
    assert (
        StructuredCovariance(given, EFFECTS, UNIT)
        .start(np.diag(effects**2))
        .structured_theta[0]
        == 3.0
    )


def test_certificates():
    """At rho = 1 the slope away from it, of either sign."""
    model = StructuredCovariance(CompoundSymmetry(True), EFFECTS)
    block, information = model.block([0.8, 1.0]), 3.0 * np.eye(3) - 0.5
    for sign in (1.0, -1.0):
        # the criterion rises as rho falls if the covariances have negative slopes
        dual = sign * (np.eye(3) - np.ones((3, 3)))
        smallest, unused = block.certificates(dual, information)
        assert np.sign(unused[0]) == min(sign, 0.0)
        assert smallest == unused
    inside = model.block([0.8, 0.3])
    assert inside.certificates(symmetric(4), information)[1] == [0.0]
