"""Every verb of every kind of covariance block, against differences and itself."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.structures.base import Parameter, Structure
from statsmodels_lmm.core.structures.block import CovarianceBlock, CovarianceModel
from statsmodels_lmm.core.structures.by_name import STRUCTURES, structure_named
from statsmodels_lmm.core.structures.function import RelativeFactorFunction
from statsmodels_lmm.core.structures.known import Fixed, Known
from statsmodels_lmm.core.structures.structured_block import StructuredCovariance
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance

EFFECTS = ("a", "b", "c")
UNIT = np.array([2.0, 0.5, 1.25])
STEP = 1e-4


class Exponential(Structure):
    """A structure of a user: correlations exp(-d / range), all by differences."""

    name = "exp"

    def parameters(self, effects):
        return [
            Parameter("sd", lower=0.0, kind="sd"),
            Parameter("range", lower=0.0, start=1.0),
        ]

    def covariance(self, theta, k):
        apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
        return theta[0] ** 2 * np.exp(-apart / (theta[1] + 0.1))


def function(theta):
    root = np.eye(3) * theta[0]
    root[1:, 0] = theta[1]
    return root


K = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.0]])
NAMED = {
    f"{name} {hom}": structure_named(name, hom)
    for name, kind in STRUCTURES.items()
    for hom in (True, False)
    if kind is not None and (name, hom) != ("diag", False)
}
MODELS = {
    "unstructured": UnstructuredCovariance(3),
    **{
        name: StructuredCovariance(structure, EFFECTS, UNIT)
        for name, structure in {
            **NAMED,
            "known": Known(K),
            "fixed": Fixed(K),
            "exponential": Exponential(),
            "function": RelativeFactorFunction(function, [1.0, 0.5], [0.0, -np.inf]),
        }.items()
    },
}
CHANGE = np.diag(UNIT)
KINDS = [(name, pivoted) for name in MODELS for pivoted in (False, True)]


def theta_of(model):
    """Parameters somewhere inside of their ranges."""
    if model.structure is None:
        return np.array([0.9, -0.3, 0.2, 0.7, 0.4, 0.6])
    return model.generic().structured_theta


def block_of(name, pivoted=True):
    model = MODELS[name]
    return model.at(theta_of(model), CHANGE, pivoted)


def dual_of(seed=3):
    matrix = np.random.default_rng(seed).standard_normal((3, 3))
    return matrix + matrix.T


def verbs(protocol):
    names = {*vars(protocol), *protocol.__annotations__}
    return sorted(n for n in names if not n.startswith("_"))


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_has_every_verb(name):
    for protocol, kind in (
        (CovarianceBlock, block_of(name)),
        (CovarianceModel, MODELS[name]),
    ):
        for verb in verbs(protocol):
            assert hasattr(kind, verb), verb
            promised = vars(protocol).get(verb)
            if inspect.isfunction(promised):
                wanted = list(inspect.signature(promised).parameters)[1:]
                given = list(inspect.signature(getattr(kind, verb)).parameters)
                assert given[: len(wanted)] == wanted, verb


@pytest.mark.parametrize(("name", "pivoted"), KINDS)
def test_sizes(name, pivoted):
    block, model = block_of(name, pivoted), MODELS[name]
    m, n = block.n_free, block.n_parameters
    assert block.size == model.size == 3
    assert n == model.n_parameters == len(block.theta(CHANGE))
    assert len(block.structured_theta) == model.n_structured
    assert block.directions.shape == (m, 3, 3)
    assert block.slope(dual_of()).shape == block.units(np.ones(3)).shape == (m,)
    assert block.curvature(dual_of()).shape == (m, m)
    assert block.bend(dual_of()).shape == (n, n)
    assert block.unit_changes(2.0).shape == (n, 3, 3)
    assert block.scale_slopes().shape == (n,)
    assert (block.units(np.full(3, 0.01)) >= block.units(np.ones(3))).all()


@pytest.mark.parametrize(("name", "pivoted"), KINDS)
def test_root_and_parameters(name, pivoted):
    block, model = block_of(name, pivoted), MODELS[name]
    assert_allclose(block.matrix @ block.matrix.T, block.covariance, atol=1e-12)
    assert_allclose(block.theta(CHANGE), theta_of(model), rtol=1e-10)
    assert np.linalg.eigvalsh(block.covariance)[0] > 0.0
    assert block.rank() == 3
    assert not block.is_singular


@pytest.mark.parametrize(("name", "pivoted"), KINDS)
def test_derivatives(name, pivoted):
    block, dual = block_of(name, pivoted), dual_of()
    m = block.n_free

    def value(step):
        return (dual * block.moved(step).covariance).sum()

    steps = STEP * np.eye(m)
    slope = np.array([value(s) - value(-s) for s in steps]) / (2 * STEP)
    assert_allclose(block.slope(dual), slope, atol=1e-6)
    assert_allclose(
        block.slope(dual), (block.directions * dual).sum(axis=(1, 2)), atol=1e-12
    )
    bend = np.array(
        [
            [value(s + t) - value(s - t) - value(t - s) + value(-s - t) for s in steps]
            for t in steps
        ]
    ).reshape(m, m) / (4 * STEP**2)
    assert_allclose(block.curvature(dual), bend, atol=1e-5)


@pytest.mark.parametrize(("name", "pivoted"), KINDS)
def test_steps_and_moves_lead_to_the_same(name, pivoted):
    block = block_of(name, pivoted)
    step = 0.1 * np.random.default_rng(0).standard_normal(block.n_free)
    moved, stepped = block.moved(step), block.stepped(step)
    assert_allclose(moved.covariance, stepped.covariance, atol=1e-12)


@pytest.mark.parametrize(("name", "pivoted"), KINDS)
def test_inside_nothing_is_snapped(name, pivoted):
    block = block_of(name, pivoted)
    assert block.snapped() is block


@pytest.mark.parametrize("name", MODELS)
def test_nothing_and_off_it_again(name):
    block, structure = block_of(name), MODELS[name].structure
    nothing = block.nothing()
    if any(p.kind == "sd" for p in MODELS[name].parameters) or structure is None:
        assert not nothing.covariance.any()
        assert nothing.is_singular
        assert nothing.rank() == 0
        assert not nothing.lifted(0.1).is_singular
    else:
        assert_allclose(nothing.covariance, block.covariance)


@pytest.mark.parametrize("name", MODELS)
def test_certificates(name):
    """Inside nothing is unused; with rising slopes nothing falls."""
    smallest, unused = block_of(name).certificates(np.eye(3), np.eye(3))
    assert min(smallest) >= 0.0
    assert unused == [0.0]


@pytest.mark.parametrize("name", MODELS)
def test_jacobian_of_theta(name):
    model = MODELS[name]
    theta = theta_of(model)
    block = model.at(theta, CHANGE)
    jacobian = block.theta_jacobian(CHANGE)
    assert jacobian.shape == (block.n_free, len(theta))
    for a, step in enumerate(STEP * np.eye(len(theta))):
        ends = [model.at(theta + h, CHANGE).matrix for h in (step, -step)]
        change = (ends[0] @ ends[0].T - ends[1] @ ends[1].T) / (2 * STEP)
        along = np.tensordot(jacobian[:, a], block.directions, 1)
        assert_allclose(along, change, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in MODELS if n != "unstructured"])
def test_jacobian_of_coordinates(name):
    """In the coordinates of a search, too; pivots have no such derivatives."""
    block = block_of(name)
    step = 1e-6 * np.ones(block.n_free)
    change = block.moved(step).theta(CHANGE) - block.theta(CHANGE)
    assert_allclose(block.theta_jacobian(CHANGE) @ change, step, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_changes_by_a_unit(name):
    """Of sigma^2 S with its parameters, of them with sigma^2, and the bend."""
    scale, h, model, dual = 2.5, 1e-5, MODELS[name], dual_of()
    block = block_of(name)
    changes = block.unit_changes(scale)
    inner = np.random.default_rng(4).standard_normal((2, 3, 3))
    inner = inner + inner.swapaxes(1, 2)
    unit = 1.0 if model.structure is None else scale
    traces = (changes * inner[:, None]).sum(axis=(-1, -2)) / unit
    assert_allclose(block.traces(inner), traces, atol=1e-12)
    if model.structure is None:
        # the parameters are the entries of sigma^2 S itself
        whole = np.tensordot(block.scale_slopes(), changes, 1)
        assert_allclose(whole, block.covariance, rtol=1e-12)
        assert not block.bend(dual).any()
        return
    assert not block.scale_slopes().any()
    theta = theta_of(model)

    def slopes(values):
        at = model.at(values, CHANGE)
        return 0.5 * (at.unit_changes(1.0) * dual).sum(axis=(1, 2))

    for a, step in enumerate(h * np.eye(len(theta))):
        ends = [model.at(theta + s, CHANGE).covariance for s in (step, -step)]
        assert_allclose(changes[a], scale * (ends[0] - ends[1]) / (2 * h), atol=1e-5)
        bend = (slopes(theta + step) - slopes(theta - step)) / (2 * h)
        assert_allclose(block.bend(dual)[a], bend, atol=1e-4)


@pytest.mark.parametrize(("name", "pivoted"), KINDS)
def test_freed(name, pivoted):
    """The same S, and moves that are independent."""
    block = block_of(name, pivoted)
    free, moves = block.freed()
    assert_allclose(free.covariance, block.covariance, atol=1e-12)
    assert moves.shape[1] == free.n_free
    assert np.linalg.matrix_rank(moves) == len(moves) == MODELS[name].n_parameters


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    model = MODELS[name]
    s = np.diag([0.5, 1.5, 2.5]) ** 2
    start = model.start(s)
    assert np.linalg.eigvalsh(start.covariance)[0] > 0.0
    again = model.in_units(CHANGE)
    theta = theta_of(model)
    assert_allclose(again.at(theta, CHANGE).covariance, block_of(name).covariance)
    assert again.has_structure == (model.structure is not None)
    generic = model.generic()
    assert np.abs(generic.unit_changes(1.0)).max(axis=(1, 2)).all()
    many = np.stack([start.covariance, generic.covariance])
    values = np.stack([start.structured_theta, generic.structured_theta])
    singular = [bool(b.is_singular) for b in (start, generic)]
    assert model.is_singular(many, values).tolist() == singular
    assert model.unit_change(CHANGE, 2.0).shape == (len(theta), len(theta))
