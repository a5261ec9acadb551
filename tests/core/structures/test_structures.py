"""Covariance structures: by hand, by differences, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.structures.base import Parameter, Structure, deviation
from statsmodels_lmm.core.structures.by_name import structure_named
from statsmodels_lmm.core.structures.checks import check_structure
from statsmodels_lmm.core.structures.correlated import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
)
from statsmodels_lmm.core.structures.known import Fixed, Known
from statsmodels_lmm.core.structures.structured_block import StructuredCovariance
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance

K3 = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 1.5]])


class Toeplitz(Structure):
    """One variance and a correlation for each distance."""

    name = "toep"

    def parameters(self, effects):
        k = len(effects)
        lags = [Parameter(f"rho{d}", -0.5, 0.5, kind="cor") for d in range(1, k)]
        return [deviation(self.name), *lags]

    def covariance(self, theta, k):
        at = np.arange(k)
        return theta[0] ** 2 * np.append(1.0, theta[1:])[abs(at[:, None] - at)]


# matrices by hand -----------------------------------------------------------

BY_HAND = {
    "diag": (Diagonal(False), [2.0, 3.0], [[4, 0], [0, 9]]),
    "diag hom": (Diagonal(True), [2.0], 4 * np.eye(3)),
    "diag one": (Diagonal(False), [3.0], [[9]]),
    "cs": (
        CompoundSymmetry(False),
        [1.0, 2.0, 3.0, 0.5],
        [[1, 1, 1.5], [1, 4, 3], [1.5, 3, 9]],
    ),
    "cs hom": (
        CompoundSymmetry(True),
        [2.0, -0.25],
        [[4, -1, -1], [-1, 4, -1], [-1, -1, 4]],
    ),
    "cs one": (CompoundSymmetry(False), [3.0], [[9]]),
    "cs hom one": (CompoundSymmetry(True), [3.0], [[9]]),
    "ar1": (
        AutoRegressive(True),
        [2.0, -0.5],
        [[4, -2, 1], [-2, 4, -2], [1, -2, 4]],
    ),
    "ar1 het": (
        AutoRegressive(False),
        [1.0, 2.0, 4.0, 0.5],
        [[1, 1, 1], [1, 4, 4], [1, 4, 16]],
    ),
    "ar1 zero": (AutoRegressive(True), [2.0, 0.0], 4 * np.eye(3)),
    "ar1 one": (AutoRegressive(True), [3.0], [[9]]),
    "known": (Known(K3), [3.0], 9 * K3),
    "fixed": (Fixed(K3), [], K3),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_covariance(name):
    structure, theta, expected = BY_HAND[name]
    k = len(expected)
    found = structure.covariance(np.array(theta), k)
    assert_allclose(found, np.array(expected, dtype=float), atol=1e-15)
    root = structure.factor(np.array(theta), k)
    assert_allclose(root @ root.T, found, atol=1e-13)
    assert len(structure.parameters([f"e{a}" for a in range(k)])) == len(theta)


def stencil(function, theta, a, h=0.05):
    """Derivative in one variable, exact for polynomials of degree four."""
    unit = np.eye(len(theta))[a] * h
    steps = {-2: 1.0, -1: -8.0, 1: 8.0, 2: -1.0}
    return sum(w * function(theta + i * unit) for i, w in steps.items()) / (12.0 * h)


def points(structure, k):
    """Inside the range and at its ends."""
    rng = np.random.default_rng(k)
    count = len(structure.parameters([""] * k))
    ends = structure.ranges(k)
    inside = rng.uniform(0.3, 1.5, count)
    out = [inside]
    for a, (low, high) in enumerate(ends):
        if np.isfinite(high):
            inside[a] = low + 0.7 * (high - low)
        for end in (low, high, 0.0):
            if np.isfinite(end):
                out.append(np.where(np.arange(count) == a, end, inside))
    return [*out, np.zeros(count)]


OWN = [
    structure(hom)
    for structure in (Diagonal, CompoundSymmetry, AutoRegressive)
    for hom in (True, False)
]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("structure", OWN, ids=repr)
def test_derivatives(structure, k):
    for theta in points(structure, k):
        first = structure.derivative(theta, k)
        second = structure.second_derivative(theta, k)
        assert first.shape == (len(theta), k, k)
        for a in range(len(theta)):
            by_steps = stencil(lambda t: structure.covariance(t, k), theta, a)
            assert_allclose(first[a], by_steps, atol=1e-11)
            by_steps = stencil(lambda t: structure.derivative(t, k), theta, a)
            assert_allclose(second[a], by_steps, atol=1e-11)


@pytest.mark.parametrize("structure", [Known(K3), Fixed(K3)])
def test_derivatives_of_known_matrices(structure):
    count = len(structure.parameters("abc"))
    for theta in (np.full(count, 0.7), np.zeros(count)):
        first = structure.derivative(theta, 3)
        second = structure.second_derivative(theta, 3)
        assert first.shape == (count, 3, 3)
        assert second.shape == (count, count, 3, 3)
        for a in range(count):
            by_steps = stencil(lambda t: structure.covariance(t, 3), theta, a)
            assert_allclose(first[a], by_steps, atol=1e-12)
            by_steps = stencil(lambda t: structure.derivative(t, 3), theta, a)
            assert_allclose(second[a], by_steps, atol=1e-12)


# differences of the base class ----------------------------------------------


class Watched(Structure):
    """AR(1) as a user writes it; it remembers where it was asked."""

    def __init__(self, low=-1.0, high=1.0):
        self.low, self.high, self.asked = low, high, []

    def parameters(self, effects):
        return [deviation(), Parameter("rho", self.low, self.high, kind="cor")]

    def covariance(self, theta, k):
        self.asked.append(np.array(theta))
        return AutoRegressive(True).covariance(theta, k)


@pytest.mark.parametrize("rho", [-1.0, -0.9999, -0.3, 0.0, 0.6, 0.9993, 1.0])
@pytest.mark.parametrize("sd", [0.0, 0.4, 30.0])
def test_differences_of_the_base_class(sd, rho):
    exact, watched, theta = AutoRegressive(True), Watched(), np.array([sd, rho])
    size = max(1.0, sd**2)
    found = watched.derivative(theta, 4)
    assert_allclose(found, exact.derivative(theta, 4), atol=1e-8 * size)
    found = watched.second_derivative(theta, 4)
    assert_allclose(found, exact.second_derivative(theta, 4), atol=1e-5 * size)
    asked = np.array(watched.asked)
    assert asked[:, 0].min() >= 0.0
    assert np.abs(asked[:, 1]).max() <= 1.0


@pytest.mark.parametrize("rho", [0.3, 0.3004, 0.301])
def test_differences_stay_inside_a_narrow_range(rho):
    watched = Watched(0.3, 0.301)
    watched.derivative(np.array([1.0, rho]), 3)
    asked = np.array(watched.asked)[:, 1]
    assert asked.min() >= 0.3
    assert asked.max() <= 0.301


class ByFactor(Structure):
    """A structure given by its factor only, with more columns than rows."""

    def parameters(self, effects):
        return [deviation(), Parameter("load")]

    def factor(self, theta, k):
        return theta[0] * np.column_stack([np.eye(k), np.full(k, theta[1])])


def test_structure_from_a_factor():
    theta, one = np.array([0.8, -1.3]), np.ones((3, 3))
    structure = ByFactor()
    expected = 0.64 * (np.eye(3) + 1.69 * one)
    assert_allclose(structure.covariance(theta, 3), expected, rtol=1e-14)
    first = structure.derivative(theta, 3)
    assert_allclose(first[0], expected / 0.4, atol=1e-9)
    assert_allclose(first[1], -0.64 * 2.6 * one, atol=1e-9)


def test_a_derivative_of_zero_at_the_start_is_smooth():
    # the loading starts at zero, where its square has no slope
    check_structure(ByFactor(), "abc")


# ranges, names --------------------------------------------------------------


def test_ranges():
    ends = CompoundSymmetry(True).ranges(5)
    assert ends == [(0.0, np.inf), (-0.25, 1.0)]
    assert CompoundSymmetry(False).ranges(2) == [(0.0, np.inf)] * 2 + [(-1.0, 1.0)]
    assert AutoRegressive(True).ranges(5) == [(0.0, np.inf), (-1.0, 1.0)]
    assert Diagonal(False).ranges(2) == [(0.0, np.inf)] * 2
    for structure in OWN:
        assert len(structure.ranges(1)) == 1


@pytest.mark.parametrize("k", [2, 3, 7])
def test_the_ends_of_rho_are_where_the_matrix_is_singular(k):
    structure = CompoundSymmetry(True)
    for end in structure.ranges(k)[1]:
        values = np.linalg.eigvalsh(structure.covariance(np.array([1.0, end]), k))
        assert abs(values[0]) < 1e-14
        beyond = structure.covariance(np.array([1.0, 1.001 * end]), k)
        assert np.linalg.eigvalsh(beyond)[0] < -1e-4


def test_names():
    def told(structure, effects):
        return [(p.name, p.kind, p.effect) for p in structure.parameters(effects)]

    assert told(CompoundSymmetry(False), ["a", "b"]) == [
        ("a", "sd", 0),
        ("b", "sd", 1),
        ("rho", "cor", None),
    ]
    assert told(AutoRegressive(True), ["a", "b"]) == [
        ("ar1", "sd", None),
        ("rho", "cor", None),
    ]
    assert told(Diagonal(True), ["a", "b"]) == [("diag", "sd", None)]
    assert [str(s) for s in OWN] == [
        *("diag, hom", "diag, het", "cs, hom", "cs, het", "ar1, hom", "ar1, het")
    ]
    assert CompoundSymmetry(True) == CompoundSymmetry(True)
    assert CompoundSymmetry(True) != CompoundSymmetry(False)
    assert CompoundSymmetry(True) != AutoRegressive(True)
    assert len({CompoundSymmetry(True), CompoundSymmetry(True), Diagonal(True)}) == 2


@pytest.mark.parametrize(
    ("name", "hom", "expected"),
    [
        ("us", None, None),
        ("diag", None, None),
        ("diag", False, None),
        ("diag", True, Diagonal(True)),
        ("cs", None, CompoundSymmetry(False)),
        ("cs", True, CompoundSymmetry(True)),
        ("ar1", None, AutoRegressive(True)),
        ("ar1", False, AutoRegressive(False)),
    ],
)
def test_names_in_a_formula(name, hom, expected):
    assert structure_named(name, hom) == expected


def test_where_a_search_starts():
    assert Parameter("a").initial == 0.0
    assert Parameter("a", 2.0).initial == 3.0
    assert Parameter("a", upper=2.0).initial == 1.0
    assert Parameter("a", -1.0, 2.0).initial == 0.5
    assert Parameter("a", -1.0, 2.0, 1.5).initial == 1.5


# singular -------------------------------------------------------------------

SMALL, LARGER = 0.5e-4, 2e-4

IS_SINGULAR = [
    # structure, effects, parameters, whether singular, rank
    (Diagonal(False), 2, [1.0, 0.2], False),
    (Diagonal(False), 2, [1.0, SMALL], True),
    (Diagonal(False), 2, [1.0, LARGER], False),
    (Diagonal(True), 3, [SMALL], True),
    (Diagonal(True), 3, [LARGER], False),
    (CompoundSymmetry(True), 3, [1.0, 0.5], False),
    (CompoundSymmetry(True), 3, [1.0, 1.0], True),
    (CompoundSymmetry(True), 3, [1.0, 1.0 - SMALL], True),
    (CompoundSymmetry(True), 3, [1.0, 1.0 - LARGER], False),
    (CompoundSymmetry(True), 3, [1.0, -0.5], True),
    (CompoundSymmetry(True), 3, [1.0, -0.5 + SMALL], True),
    (CompoundSymmetry(True), 3, [1.0, -0.5 + LARGER], False),
    (CompoundSymmetry(True), 3, [0.0, 0.5], True),
    (CompoundSymmetry(False), 3, [1.0, 0.0, 1.0, 0.5], True),
    (CompoundSymmetry(False), 3, [1.0, 0.5, 1.0, 1.0], True),
    (CompoundSymmetry(False), 3, [0.0, 0.0, 0.0, 0.0], True),
    (CompoundSymmetry(False), 1, [0.3], False),
    (CompoundSymmetry(False), 1, [0.0], True),
    (AutoRegressive(True), 3, [1.0, 0.99], False),
    (AutoRegressive(True), 3, [1.0, 1.0], True),
    (AutoRegressive(True), 3, [1.0, -1.0], True),
    (AutoRegressive(True), 3, [1.0, -1.0 + SMALL], True),
    (AutoRegressive(True), 3, [1.0, -1.0 + LARGER], False),
    (AutoRegressive(True), 3, [0.0, 0.0], True),
    (AutoRegressive(False), 3, [1.0, 0.5, 0.0, 0.5], True),
    (Known(K3), 3, [0.0], True),
    (Known(K3), 3, [1.0], False),
    (Known(np.ones((2, 2))), 2, [1.0], False),
    (Fixed(np.ones((2, 2))), 2, [], False),
    (Toeplitz(), 3, [1.0, 0.5, -0.5], True),
    (Toeplitz(), 3, [1.0, 0.4, 0.1], False),
]


@pytest.mark.parametrize(("structure", "k", "theta", "singular"), IS_SINGULAR)
def test_is_singular(structure, k, theta, singular):
    assert structure.is_singular(np.array(theta), k) is singular


# checks ---------------------------------------------------------------------


def test_what_passes():
    for structure in (*OWN, Known(K3), Fixed(K3), Toeplitz(), Watched()):
        check_structure(structure, "abc")
    check_structure(Known(np.ones((3, 3))), "abc")


def custom(parameters=None, **methods):
    """A structure with some of its methods replaced."""
    made = {k: lambda self, *args, f=f: f(*args) for k, f in methods.items()}
    if parameters is not None:
        made["parameters"] = lambda self, effects: parameters
    return type("Mine", (Toeplitz,), {"name": "mine", **made})()


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (custom(covariance=lambda t, k: np.eye(k + 1)), r"shape \(4, 4\) for 3"),
        (custom(covariance=lambda t, k: np.full((k, k), np.nan)), "numbers"),
        (custom(covariance=lambda t, k: np.triu(np.ones((k, k)))), "symmetric"),
        (custom(covariance=lambda t, k: 1.0 - 2.0 * np.eye(k)), "semi-definite"),
        (
            custom(covariance=lambda t, k: t[0] ** 2 * (1 + abs(t[1])) * np.eye(k)),
            "not smooth in rho1",
        ),
        (
            custom(derivative=lambda t, k: np.ones((3, k, k))),
            "derivative of mine in mine",
        ),
        (custom([Parameter("a", 0.0, 1.0, 2.0)]), "mine: a starts at 2.0, outside of"),
        (custom([Parameter("a", 1.0, 1.0)]), "range of a is empty"),
        (Known(np.eye(2)), r"shape \(2, 2\) for 3"),
        (Known(-np.eye(3)), "semi-definite"),
        (Fixed(np.triu(np.ones((3, 3)))), "symmetric"),
    ],
)
def test_what_is_refused(structure, message):
    with pytest.raises(ValueError, match=message):
        check_structure(structure, "abc")


def test_derivatives_of_too_few_parameters_are_refused():
    short = custom(derivative=lambda t, k: np.zeros((1, k, k)))
    with pytest.raises(ValueError, match="mine"):
        check_structure(short, "abc")


# nesting ---------------------------------------------------------------------


def test_which_structure_is_a_case_of_which():
    effects = ("a", "b", "c")
    cs, ar = CompoundSymmetry(False), AutoRegressive(False)
    assert cs.holds(CompoundSymmetry(True), effects, effects)
    assert cs.holds(Diagonal(True), effects, effects)
    assert not CompoundSymmetry(True).holds(cs, effects, effects)
    assert not cs.holds(ar, effects, effects)
    assert not cs.holds(Diagonal(True), effects, effects[::-1])
    assert not cs.holds(Known(np.eye(3)), effects, effects)
    assert cs.holds_each_effect
    assert not CompoundSymmetry(True).holds_each_effect
    known = Known(np.eye(3))
    assert known.holds(Known(np.eye(3)), effects, effects)
    assert not known.holds(Known(2.0 * np.eye(3)), effects, effects)
    assert not known.holds(Known(np.eye(3), "other"), effects, effects)
    assert not known.holds_each_effect


def test_which_model_is_a_case_of_which():
    def model(structure):
        return StructuredCovariance(structure, ("a", "b"))

    free, one = UnstructuredCovariance(2), UnstructuredCovariance(1)
    het, hom = (model(Diagonal(h)) for h in (False, True))
    assert free.holds(het)
    assert het.holds(one)
    assert not het.holds(free)
    assert not hom.holds(one)
    assert het.holds(hom)
    assert hom.parts() == (one, one)
    assert free.parts() == model(CompoundSymmetry(True)).parts() == ()
