"""Blocks with a structure in the coordinates of a search."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import block_diag

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.structures.base import Parameter, Structure
from statsmodels_lmm.core.structures.correlated import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
)
from statsmodels_lmm.core.structures.known import Fixed, Known
from statsmodels_lmm.core.structures.relative_factor import (
    SINGULAR,
    RelativeFactor,
    pivoted_factor,
)
from statsmodels_lmm.core.structures.structured_block import (
    PLAIN,
    Fold,
    StructuredBlock,
    StructuredPart,
)
from statsmodels_lmm.core.structures.structured_factor import (
    StructuredFactor,
    covariance_blocks,
    factor_at,
    starting_factor,
    structured_parameters,
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
    block = StructuredBlock(CompoundSymmetry(True), tuple(map(str, range(k))))
    low, high = block.structure.ranges(k)[1]
    for x in (-0.5 * np.pi, 0.5 * np.pi, 1.5 * np.pi, -1.6, 1.6):
        assert low <= block.folds[1].unfold(x)[0] <= high


def test_which_fold():
    block = StructuredBlock(OneSided(), EFFECTS)
    assert [f.kind for f in block.folds] == ["square", "square", "free", "angle"]
    block = StructuredBlock(CompoundSymmetry(True), EFFECTS)
    assert [f.kind for f in block.folds] == ["even", "angle"]
    rho = block.folds[1]
    assert_allclose([rho.origin, rho.unit], [0.25, 0.75])


# one block ------------------------------------------------------------------


def parts(name):
    """A block in its own units and in others, somewhere inside."""
    structure = STRUCTURES[name]
    rng = np.random.default_rng(3)
    for unit in (None, UNIT):
        block = StructuredBlock(structure, EFFECTS, unit)
        middle = [p.initial + 0.0 for p in block.parameters]
        theta = np.array(middle) + rng.uniform(0.05, 0.3, len(middle))
        theta = [
            np.clip(t, p.lower, p.upper - 0.05) for t, p in zip(theta, block.parameters)
        ]
        yield block, np.array(theta), block.part(theta)


def symmetric(seed, k=3):
    matrix = np.random.default_rng(seed).standard_normal((k, k))
    return matrix + matrix.T


@pytest.mark.parametrize("name", STRUCTURES)
def test_block(name):
    for block, theta, part in parts(name):
        assert_allclose(part.theta, theta, rtol=1e-14)
        expected = block.structure.covariance(theta, 3)
        if block.unit is not None:
            expected = np.diag(1.0 / UNIT) @ expected @ np.diag(1.0 / UNIT)
        assert_allclose(part.covariance, expected, rtol=1e-12)
        assert_allclose(part.matrix @ part.matrix.T, expected, atol=1e-12)
        plain = block.part(theta, folded=False)
        assert_array_equal(plain.coordinates, theta)
        assert_allclose(plain.covariance, expected, rtol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_slope_and_curvature(name):
    dual, h = symmetric(1), 1e-4
    for block, theta, folded in parts(name):
        for part in (folded, block.part(theta, folded=False)):
            m = part.n_free

            def value(step, part=part):
                moved = replace(part, coordinates=part.coordinates + step)
                return (dual * moved.covariance).sum()

            steps = h * np.eye(m)
            first = [(value(s) - value(-s)) / (2 * h) for s in steps]
            assert_allclose(part.slope(dual), first, rtol=1e-6, atol=1e-6)
            second = [
                [
                    (value(s + t) - value(s - t) - value(t - s) + value(-s - t))
                    / (4 * h**2)
                    for s in steps
                ]
                for t in steps
            ]
            assert_allclose(part.curvature(dual), second, rtol=1e-5, atol=1e-5)
            found = np.array([(dual * d).sum() for d in part.directions])
            assert_allclose(found, part.slope(dual), rtol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_steps_stay_in_the_range(name):
    rng = np.random.default_rng(8)
    for block, _, part in parts(name):
        for _ in range(20):
            part = part.stepped(rng.standard_normal(part.n_free))
            for theta, p in zip(part.theta, block.parameters):
                assert p.lower - 1e-15 <= theta <= p.upper + 1e-15
            assert np.linalg.eigvalsh(part.covariance)[0] > -1e-12


def at_ends(which=0):
    """A block with all its parameters at one of their ends."""
    block = StructuredBlock(CompoundSymmetry(True), EFFECTS)
    rho = block.parameters[1]
    return block, block.part([0.0, (rho.lower, rho.upper)[which]])


@pytest.mark.parametrize("which", [0, 1])
def test_lifted(which):
    block, part = at_ends(which)
    assert part.theta[0] == 0.0
    lifted = part.lifted()
    low, high = block.structure.ranges(3)[1]
    assert lifted.theta[0] > 0.01
    assert low + 0.001 < lifted.theta[1] < high - 0.001
    assert np.linalg.eigvalsh(lifted.covariance)[0] > 1e-6
    # what is inside stays
    inside = block.part([0.7, 0.2])
    assert_array_equal(inside.lifted().coordinates, inside.coordinates)


def test_lifted_where_a_search_had_folded_back():
    """Beyond an end the coordinate is another name of a value inside."""
    block = StructuredBlock(CompoundSymmetry(True), EFFECTS)
    inside = block.part([0.7, 0.2])
    again = replace(inside, coordinates=inside.coordinates * [-1.0, 1.0])
    again = replace(again, coordinates=[0.0, np.pi] - again.coordinates * [-1.0, 1.0])
    assert_allclose(again.covariance, inside.covariance, rtol=1e-12)
    lifted = again.lifted()
    assert_allclose(lifted.covariance, inside.covariance, rtol=1e-12)


def test_snapped():
    block = StructuredBlock(CompoundSymmetry(True), EFFECTS)
    near = block.part([1.0, 1.0]).stepped([0.0, 5e-6])
    snapped = near.snapped()
    assert snapped.theta[1] == pytest.approx(1.0, abs=1e-15)
    assert_allclose(snapped.covariance, np.ones((3, 3)), atol=1e-15)
    assert block.part([3e-6, 0.2]).snapped().theta[0] == 0.0
    assert (block.part([3e-6, 0.2]).snapped().covariance == 0.0).all()
    inside = block.part([0.5, 0.99])
    assert inside.snapped() is inside
    # after a fold the other end comes again
    far = block.part([1.0, 1.0]).stepped([0.0, 2 * np.pi - 5e-6]).snapped()
    assert far.theta[1] == pytest.approx(1.0, abs=1e-15)


def test_snapped_with_one_end():
    block = StructuredBlock(OneSided(), EFFECTS)
    part = block.part([0.5 + 1e-12, -0.25 - 1e-12, 0.3, 1e-12]).snapped()
    assert_array_equal(part.theta[:3], [0.5, -0.25, 0.3])
    assert part.theta[3] == pytest.approx(0.0, abs=1e-15)


def test_held():
    block = StructuredBlock(CompoundSymmetry(False), EFFECTS)
    part = block.part([0.4, 0.6, 0.9, 0.3])
    held = part.held(3, 1.0).held(0, 0.0)
    assert_allclose(held.theta, [0.0, 0.6, 0.9, 1.0], rtol=1e-14)
    assert held.folds[0] == held.folds[3] == PLAIN
    assert_array_equal(part.theta, block.part([0.4, 0.6, 0.9, 0.3]).theta)


@pytest.mark.parametrize(
    "name", ["cs", "cs hom", "ar1", "ar1 het", "diag hom", "known"]
)
def test_nothing(name):
    for _, _, part in parts(name):
        assert (part.nothing().covariance == 0.0).all()


def test_a_fixed_matrix_has_no_coordinates():
    matrix = np.array([[1.0, 0.3], [0.3, 2.0]])
    block = StructuredBlock(Fixed(matrix), ("a", "b"), np.array([2.0, 4.0]))
    part = block.start(np.ones(2))
    assert part.n_free == 0
    assert_allclose(part.covariance, matrix / [[4.0, 8.0], [8.0, 16.0]])
    assert part.slope(symmetric(0, 2)).shape == (0,)
    assert part.curvature(symmetric(0, 2)).shape == (0, 0)
    assert part.certificates(symmetric(0, 2), np.eye(2)) == ([0.0], [0.0])


def test_start_has_the_deviations_of_the_data():
    effects = np.array([0.5, 1.5, 2.5])
    block = StructuredBlock(CompoundSymmetry(False), EFFECTS, UNIT)
    part = block.start(effects)
    assert_allclose(np.sqrt(np.diag(part.covariance)), effects, rtol=1e-12)
    assert part.theta[-1] == pytest.approx(0.0, abs=1e-15)
    part = StructuredBlock(CompoundSymmetry(True), EFFECTS, UNIT).start(effects)
    # one deviation: the mean of the variances is that of the data
    assert np.trace(part.covariance) == pytest.approx((effects**2).sum())
    given = type("Given", (Known,), {})(np.eye(3))
    given.parameters = lambda effects: [Parameter("sd", 0.0, kind="sd", start=3.0)]
    assert StructuredBlock(given, EFFECTS, UNIT).start(effects).theta[0] == 3.0


def test_certificates():
    """At rho = 1 the slope away from it, of either sign."""
    block = StructuredBlock(CompoundSymmetry(True), EFFECTS)
    part, information = block.part([0.8, 1.0]), 3.0 * np.eye(3) - 0.5
    for sign in (1.0, -1.0):
        # the criterion rises as rho falls if the covariances have negative slopes
        dual = sign * (np.eye(3) - np.ones((3, 3)))
        smallest, unused = part.certificates(dual, information)
        assert np.sign(unused[0]) == min(sign, 0.0)
        assert smallest == unused
    inside = block.part([0.8, 0.3])
    assert inside.certificates(symmetric(4), information)[1] == [0.0]


# several blocks -------------------------------------------------------------


def mixed():
    """An unstructured block of two effects beside two with a structure."""
    lower = np.array([[0.8, 0.0], [0.3, 0.5]])
    free = pivoted_factor(lower @ lower.T, [slice(0, 2)])
    cs = StructuredBlock(CompoundSymmetry(False), EFFECTS).part([0.4, 0.6, 0.9, 0.3])
    ar = StructuredBlock(AutoRegressive(True), ("u", "v")).part([0.7, -0.4])
    return lower, StructuredFactor((free, cs, ar))


def test_several_blocks():
    lower, factor = mixed()
    cs = CompoundSymmetry(False).covariance([0.4, 0.6, 0.9, 0.3], 3)
    ar = AutoRegressive(True).covariance([0.7, -0.4], 2)
    expected = block_diag(lower @ lower.T, cs, ar)
    assert_allclose(factor.covariance, expected, atol=1e-14)
    assert_allclose(factor.matrix @ factor.matrix.T, expected, atol=1e-14)
    assert factor.slices == [slice(0, 2), slice(2, 5), slice(5, 7)]
    assert factor.n_free == 3 + 4 + 2
    assert_allclose(factor.structured_theta, [0.4, 0.6, 0.9, 0.3, 0.7, -0.4])
    back = block_diag([[1.0, -2.0], [0.0, 3.0]], np.eye(5))
    root = np.linalg.cholesky(back[:2, :2] @ lower @ lower.T @ back[:2, :2].T)
    theta = factor.theta(back)
    assert_allclose(theta[:3], [root[0, 0], root[1, 0], root[1, 1]], rtol=1e-12)
    assert_allclose(theta[3:], factor.structured_theta, rtol=1e-14)
    assert_array_equal(structured_parameters([factor, factor]), np.tile(theta[3:], 2))


def test_derivatives_of_several_blocks():
    _, factor = mixed()
    dual, h = symmetric(5, 7), 1e-5
    steps = h * np.eye(factor.n_free)

    def value(step):
        return (dual * factor.moved(step).covariance).sum()

    first = [(value(s) - value(-s)) / (2 * h) for s in steps]
    assert_allclose(factor.slope(dual), first, atol=1e-7)
    found = [(dual * d).sum() for d in factor.directions]
    assert_allclose(found, first, atol=1e-7)
    slopes = [
        (factor.moved(s).slope(dual) - factor.moved(-s).slope(dual)) / (2 * h)
        for s in steps
    ]
    assert_allclose(factor.curvature(dual), slopes, atol=1e-6)


def test_verbs_of_several_blocks():
    _, factor = mixed()
    assert factor.snapped() is factor
    assert (factor.nothing().covariance == 0.0).all()
    lifted = factor.nothing().lifted(0.1)
    assert np.linalg.eigvalsh(lifted.covariance)[0] > SINGULAR**2
    step = 0.05 * np.random.default_rng(0).standard_normal(9)
    assert_allclose(
        factor.stepped(step).covariance, factor.moved(step).covariance, atol=1e-12
    )
    smallest, unused = factor.certificates(np.eye(7), np.eye(7))
    assert len(smallest) == 3
    assert min(unused) == 0.0


def grouped(blocks, structures):
    rng = np.random.default_rng(2)
    codes, k = np.arange(20) % 5, sum(blocks)
    return GroupedEffects(codes, 5, rng.standard_normal((20, k)), blocks, structures)


def test_blocks_of_a_term():
    assert covariance_blocks("us", EFFECTS) == ((3,), (None,))
    assert covariance_blocks(None, EFFECTS) == ((3,), (None,))
    assert covariance_blocks("diag", EFFECTS) == ((1, 1, 1), (None,) * 3)
    blocks, structures = covariance_blocks("diag", EFFECTS, True)
    assert blocks == (3,)
    assert structures[0].structure == Diagonal(True)
    blocks, structures = covariance_blocks("ar1", EFFECTS)
    assert structures[0].structure == AutoRegressive(True)
    assert structures[0].effects == EFFECTS
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 3 effects"):
        covariance_blocks(Known(np.eye(2)), EFFECTS)


def test_factor_from_theta_and_back():
    cs = StructuredBlock(CompoundSymmetry(False), EFFECTS, UNIT)
    factor = grouped((2, 3), (None, cs))
    back = block_diag([[2.0, -0.5], [0.0, 1.5]], np.diag(UNIT))
    theta = np.array([0.9, -0.2, 0.4, 1.0, 0.5, 0.8, 0.3])
    lower = np.array([[0.9, 0.0], [-0.2, 0.4]])
    own = CompoundSymmetry(False).covariance(theta[3:], 3)
    expected = block_diag(lower @ lower.T, own)
    for pivoted in (False, True):
        found = factor_at(factor, theta, back, pivoted)
        assert isinstance(found.parts[0], RelativeFactor)
        assert isinstance(found.parts[1], StructuredPart)
        assert_allclose(back @ found.covariance @ back.T, expected, atol=1e-13)
        assert_allclose(found.theta(back), theta, rtol=1e-12)


def test_start_of_a_factor():
    cs = StructuredBlock(CompoundSymmetry(False), EFFECTS, UNIT)
    covariance = block_diag([[1.0, 0.2], [0.2, 0.5]], symmetric(3) + 6 * np.eye(3))
    found = starting_factor(grouped((2, 3), (None, cs)), covariance)
    assert_allclose(found.covariance[:2, :2], covariance[:2, :2], atol=1e-14)
    assert_allclose(np.diag(found.covariance), np.diag(covariance), rtol=1e-12)
    plain = starting_factor(grouped((2, 3), (None, None)), covariance)
    assert isinstance(plain, RelativeFactor)
