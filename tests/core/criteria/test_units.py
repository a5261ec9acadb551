"""Two orders and two units, against n x n matrices in those of the user."""

import functools
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import block_diag, toeplitz

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.uncertainty.mixed_model_inverse import error_covariance
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.structures import Parameter, Structure, deviation

N = 96


class Banded(Structure):
    """One deviation and a correlation of neighbors."""

    name = "banded"

    def parameters(self, effects):
        return [deviation(self.name), Parameter("rho", -0.6, 0.6, 0.0, "cor")]

    def covariance(self, theta, k):
        band = np.zeros(k)
        band[:2] = 1.0, theta[1]
        return theta[0] ** 2 * toeplitz(band)


class Uneven(Structure):
    """A deviation for each effect, none of them correlated."""

    name = "uneven"

    def parameters(self, effects):
        return [deviation(f"sd {name}", at) for at, name in enumerate(effects)]

    def covariance(self, theta, k):
        return np.diag(theta**2)


@functools.cache
def sample():
    """Groups g in k, levels of both in disorder, crossed with h; columns far off 0."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), N // 12)
    k = np.array([2, 0, 3, 1, 0, 2, 1, 3, 3, 2, 0, 1])[g]
    order = rng.permutation(N)
    frame = pd.DataFrame({"g": g[order], "k": k[order]})
    frame["h"] = rng.permutation(np.arange(N) % 5)
    frame["x"], frame["z"] = 40.0 + rng.standard_normal(N), rng.uniform(0, 2e-3, N)
    frame["x2"], frame["f"] = 2.0 * frame["x"] - 1.0, np.arange(N) % 3
    frame["f"] = frame["f"].astype(str)
    frame["w"] = rng.uniform(0.5, 2.0, N)
    u, v, m = (rng.standard_normal((count, 2)) for count in (12, 5, 4))
    x, z = frame["x"] - 40.0, 1e3 * frame["z"]
    frame["y"] = 2e3 + 30.0 * (x + z + u[frame["g"], 0] + v[frame["h"], 0])
    frame["y"] += 30.0 * (v[frame["h"], 1] * x + m[frame["k"], 0] + m[frame["k"], 1])
    frame["y"] += 30.0 * rng.standard_normal(N)
    return frame


def known(n, seed):
    """A covariance matrix of n levels."""
    root = np.random.default_rng(seed).standard_normal((n, n + 2))
    return root @ root.T / n


def inverse_of(n):
    """The sparse inverse of one."""
    return sparse.diags_array([np.full(n - 1, -0.4), np.full(n, 1.3)], offsets=[-1, 0])


def labeled(matrix):
    return pd.DataFrame(matrix, range(len(matrix)), range(len(matrix)))


def precision(n):
    half = inverse_of(n)
    return sparse.csc_array(half @ half.T)


CASES = {
    "plain": ("y ~ x + x2 + z + (z || k) + (x | h) + (1 | g)", {}, {}),
    "weights": ("y ~ x + x2 + z + (1 | k) + (x || h) + (x | g)", {"weights": "w"}, {}),
    "structures": (
        "y ~ x + z + banded(0 + f | k) + (x | h) + uneven(z | g)",
        {"structures": {"banded": Banded(), "uneven": Uneven()}},
        {},
    ),
    "related": (
        "y ~ x + x2 + (1 | k) + (1 | h) + (x | g)",
        {"weights": "w"},
        {"h": known(6, 1)},
    ),
    "related slopes": (
        "y ~ x + z + (1 | k) + (x | h) + (1 | g)",
        {},
        {"h": known(6, 2)},
    ),
    "sparse": (
        "y ~ x + x2 + z + (1 | k) + (x | h) + (x | g)",
        {"relationship_inverse": {"g": (precision(14), range(14))}},
        {"g": np.linalg.inv(precision(14).toarray())},
    ),
    "no fixed effects": ("y ~ 0 + (z || k) + (x | h) + (1 | g)", {}, {}),
}
THETA = {
    "plain": [0.9, 700.0, 0.8, -0.3, 0.5, 1.1],
    "weights": [0.7, 1.2, 0.4, 0.9, 0.2, 0.5],
    "structures": [0.9, 0.3, 0.7, 0.2, 0.6, 1.1, 400.0],
    "related": [0.7, 0.5, 0.9, -0.2, 0.6],
    "related slopes": [0.6, 0.8, 0.3, 0.5, 0.9],
    "sparse": [0.9, 0.8, -0.3, 0.5, 0.7, 0.1, 0.4],
    "no fixed effects": [0.9, 700.0, 0.8, -0.3, 0.5, 1.1],
}


class Case:
    """A model at some theta and what follows from n x n matrices, all of the user."""

    def __init__(self, name, reml=True):
        formula, arguments, matrices = CASES[name]
        if matrices and "relationship_inverse" not in arguments:
            levels = {f: labeled(k) for f, k in matrices.items()}
            arguments = arguments | {"relationship": levels}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = crossedmixedlm(formula, sample(), **arguments)
        self.reml, self.theta = reml, np.array(THETA[name])
        self.names = [effects.name for effects in self.model.random]
        _, self.products = self.model._sufficient_statistics()
        self.units = self.model._units
        self.evaluation = self.at(self.theta)
        self.terms = [effects.grouped for effects in self.model.random]
        self.known = [
            matrices.get(n, np.eye(t.n_levels)) for n, t in zip(self.names, self.terms)
        ]
        self.z = [
            np.asarray(sparse.csr_array(t.indicator()).toarray()) for t in self.terms
        ]
        weights = self.model.weights
        self.inverse_weights = np.ones(N) if weights is None else 1.0 / weights
        x = self.model.exog
        self.kept = np.array([n != "x2" for n in self.model.exog_names], dtype=bool)
        self.x, self.y = x[:, self.kept], self.model.endog
        self.s = self.relative(self.theta)
        self.g = block_diag(*map(np.kron, self.known, self.s))
        self.solve(self.covariance())

    def at(self, theta, pivoted=False):
        factors = self.units.factors_at(theta, pivoted)
        return profiled_deviance(self.products, factors, self.reml)

    def relative(self, theta):
        """S of each term, from theta as it is defined."""
        out, start = [], 0
        for effects in self.model.random:
            blocks = []
            for block, names, structured in effects.blocks:
                size = block.stop - block.start
                structure = getattr(structured, "structure", None)
                if structure is not None:
                    count = len(structure.parameters(names))
                    own = theta[start : start + count]
                    blocks.append(structure.covariance(own, size))
                else:
                    count = size * (size + 1) // 2
                    lower = np.zeros((size, size))
                    column, row = np.triu_indices(size)
                    lower[row, column] = theta[start : start + count]
                    blocks.append(lower @ lower.T)
                start += count
            out.append(block_diag(*blocks))
        assert start == len(theta)
        return out

    def covariance(self, s=None):
        """V over sigma^2."""
        v = np.diag(self.inverse_weights)
        for z, k, own in zip(self.z, self.known, self.s if s is None else s):
            v = v + z @ np.kron(k, own) @ z.T
        return v

    def solve(self, v):
        """Estimates by generalized least squares, and the criterion."""
        self.v_inverse = np.linalg.inv(v)
        self.xvx = self.x.T @ self.v_inverse @ self.x
        right = self.x.T @ self.v_inverse @ self.y
        self.beta = np.linalg.solve(self.xvx, right)
        self.residual = self.y - self.x @ self.beta
        nu = N - self.reml * len(self.beta)
        self.scale = self.residual @ self.v_inverse @ self.residual / nu
        value = np.linalg.slogdet(v)[1] + nu * (1 + np.log(2 * np.pi * self.scale))
        if self.reml:
            value += np.linalg.slogdet(self.xvx)[1]
        return value

    def split(self, rows):
        """What belongs to each term of a matrix with a row for each random effect."""
        return np.split(rows, np.cumsum([z.shape[1] for z in self.z])[:-1])


@functools.cache
def case(name):
    return Case(name)


@pytest.fixture(params=CASES)
def own(request):
    return case(request.param)


def triangle(matrix):
    """The lower triangle column by column."""
    column, row = np.triu_indices(len(matrix))
    return matrix[row, column]


# orders ----------------------------------------------------------------------


def test_the_orders_differ():
    for name in ("plain", "weights", "structures", "related slopes"):
        order = case(name).units.plan.order
        # an order that is its own inverse would hide which of the two is meant
        assert order != tuple(np.argsort(order)), name
    relabel = case("plain").units.plan.relabel
    assert any((new != np.arange(len(new))).any() for new in relabel)


def test_elements_are_put_into_either_order(own):
    units, names = own.units, own.names
    moved = units.of_plan(names)
    assert moved == [names[i] for i in units.plan.order]
    assert units.of_user(moved) == names
    assert units.of_plan(units.of_user(moved)) == moved
    for i, name in enumerate(names):
        assert moved[units.places[i]] == name
        assert units.term(i) is units.plan.terms[units.places[i]]
        assert units.term(i).of_user.n_levels == own.terms[i].n_levels


# fixed effects ---------------------------------------------------------------


def test_fixed_effects(own):
    beta = own.units.beta(own.evaluation.coefficients)
    assert_array_equal(np.isfinite(beta), own.kept)
    assert_allclose(beta[own.kept], own.beta, rtol=1e-9)
    back = own.units.coefficients(beta)
    assert_allclose(back, own.evaluation.coefficients, rtol=1e-6, atol=1e-9)


def test_changes_of_fixed_effects(own):
    r = own.kept.sum()
    some = np.random.default_rng(1).standard_normal((2, 3, r))
    found = own.units.beta_change(some)
    wanted = own.units.beta(some) - own.units.beta(np.zeros(r))
    assert found.shape == (2, 3, len(own.kept))
    assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert_allclose(found[..., own.kept], wanted[..., own.kept], rtol=1e-6, atol=1e-9)


def test_covariance_of_fixed_effects(own):
    root = own.units.beta_root(own.evaluation.fixed_root)
    assert_allclose(root @ root.T @ own.xvx, np.eye(len(root)), atol=1e-8)
    pair = np.stack([own.evaluation.fixed_root, 2.0 * own.evaluation.fixed_root])
    found = own.units.beta_root(pair)
    assert_allclose(found[0], root, rtol=1e-9, atol=1e-12 * np.abs(root).max(initial=0))
    assert_allclose(
        found[1], 0.5 * root, rtol=1e-9, atol=1e-12 * np.abs(root).max(initial=0)
    )


def test_directions_of_fixed_effects(own):
    columns, directions, lengths, origins = own.units.beta_directions()
    assert_array_equal(columns, np.flatnonzero(own.kept))
    assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    found = origins + lengths * (directions @ own.evaluation.coefficients)
    assert_allclose(found, own.beta, rtol=1e-9)


def test_rows_of_fixed_effects(own):
    design = np.random.default_rng(2).standard_normal((7, len(own.kept)))
    away = np.random.default_rng(3).standard_normal(own.kept.sum())
    change = np.nan_to_num(own.units.beta_change(away))
    found = own.units.response_scale * (own.units.fixed(design) @ away)
    assert_allclose(found, design @ change, rtol=1e-9, atol=1e-9)


# variances -------------------------------------------------------------------


def test_residual_variance(own):
    assert_allclose(own.units.scale(own.evaluation.scale), own.scale, rtol=1e-9)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_criterion(name, reml):
    own = Case(name, reml)
    value = own.solve(own.covariance())
    assert_allclose(own.units.criterion(own.evaluation), value, rtol=1e-10)
    shift = own.units.shift(reml)
    assert_allclose(own.evaluation.value + shift, value, rtol=1e-10)


def test_covariances(own):
    factors = own.evaluation.factors
    for found, s in zip(own.units.relative_covariances(factors), own.s):
        assert_allclose(found, s, rtol=1e-8, atol=1e-9 * np.abs(s).max())
        assert_array_equal(found, found.T)
    relative = [np.stack([f.covariance, 2.0 * f.covariance]) for f in factors]
    scale = own.evaluation.scale * np.array([1.0, 3.0])
    for found, s in zip(own.units.covariances(relative, scale), own.s):
        wanted = own.scale * np.stack([s, 6.0 * s])
        assert_allclose(found, wanted, rtol=1e-8, atol=1e-9 * np.abs(wanted).max())


def test_parameters_of_structures():
    own = case("structures")
    batch = np.random.default_rng(4).standard_normal((3, 2))
    # uneven, of the term with most levels, comes first in the plan
    plan = np.hstack([batch + 10.0, batch])
    assert own.units.places[2] < own.units.places[0]
    assert_array_equal(own.units.structured(plan), np.hstack([batch, batch + 10.0]))
    none = case("plain").units.structured(np.zeros((3, 0)))
    assert none.shape == (3, 0)


def test_change_of_covariance_parameters(own):
    rng = np.random.default_rng(6)
    plan, user = {}, []
    for i, effects in enumerate(own.model.random):
        mine, theirs = [], []
        for block, names, structured in effects.blocks:
            structure = getattr(structured, "structure", None)
            if structure is not None:
                theta = rng.standard_normal(len(structure.parameters(names)))
                mine, theirs = [*mine, theta], [*theirs, theta]
                continue
            s = rng.standard_normal((len(names),) * 2)
            change = own.units.data.to_effects[i][block, block]
            mine.append(triangle(s + s.T))
            moved = change @ (s + s.T) @ change.T
            theirs.append(triangle(own.units.scale(1.0) * moved))
        plan[i] = np.concatenate(mine)
        user.append(np.concatenate(theirs))
    given = np.concatenate([*(plan[i] for i in own.units.plan.order), [0.3]])
    wanted = np.concatenate([*user, [own.units.scale(0.3)]])
    found = own.units.variance_change() @ given
    assert_allclose(found, wanted, rtol=1e-10, atol=1e-12 * np.abs(wanted).max())


def test_deviations(own):
    for i, effects in enumerate(own.model.random):
        root = own.units.of_user(own.evaluation.factors)[i].matrix
        for block, *_ in effects.blocks:
            directions, lengths = own.units.deviations(i, block)
            assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
            sizes = np.linalg.norm(directions @ root[block, block], axis=1)
            sigma = np.sqrt(own.evaluation.scale)
            wanted = np.sqrt(own.scale * np.diag(own.s[i][block, block]))
            assert_allclose(sigma * lengths * sizes, wanted, rtol=1e-8)


# theta -----------------------------------------------------------------------


@pytest.mark.parametrize("pivoted", [True, False])
def test_theta_there_and_back(own, pivoted):
    factors = own.units.factors_at(own.theta, pivoted)
    assert_allclose(own.units.theta(factors), own.theta, rtol=1e-7)
    for found, term in zip(factors, own.units.plan.terms):
        assert len(found.matrix) == term.k_effects


def test_theta_that_is_none():
    units = case("structures").units
    with pytest.raises(ValueError, match=r"theta has 7 entries.*shape \(2,\)"):
        units.factors_at([1.0, 2.0])
    with pytest.raises(ValueError, match="theta must be finite"):
        units.factors_at([np.nan, *THETA["structures"][1:]])
    with pytest.raises(ValueError, match=r"rho of banded is 0\.9, outside"):
        units.factors_at([0.9, 0.9, *THETA["structures"][2:]])


def test_derivatives_in_theta(own):
    gradient = own.evaluation.derivatives().gradient
    found = own.units.theta_jacobian(own.evaluation.factors).T @ gradient
    differences = []
    for a, value in enumerate(own.theta):
        step = np.zeros(len(own.theta))
        step[a] = 1e-5 * abs(value)
        ends = [
            own.solve(own.covariance(own.relative(own.theta + sign * step)))
            for sign in (1.0, -1.0)
        ]
        differences.append((ends[0] - ends[1]) / (2.0 * step[a]))
    own.solve(own.covariance())
    size = np.abs(differences * own.theta).max()
    assert_allclose(
        found * own.theta, differences * own.theta, rtol=1e-5, atol=1e-6 * size
    )


# random effects --------------------------------------------------------------


def dense_modes(own):
    z = np.hstack(own.z)
    modes = own.g @ z.T @ own.v_inverse @ own.residual
    parts = zip(own.split(modes), own.terms)
    return [part.reshape(term.n_levels, -1) for part, term in parts]


def conditional_covariance(own):
    z = np.hstack(own.z)
    return own.g - own.g @ z.T @ own.v_inverse @ z @ own.g


def test_modes(own):
    for found, wanted in zip(own.units.modes(own.evaluation), dense_modes(own)):
        assert_allclose(found, wanted, rtol=1e-6, atol=1e-8 * np.abs(wanted).max())


def test_modes_of_independent_levels(own):
    for i, wanted in enumerate(dense_modes(own)):
        modes = own.units.independent_modes(own.evaluation, i)
        found = own.units.term(i).level_modes(modes)
        relabel = own.units.plan.relabel[own.units.places[i]]
        size = np.abs(wanted).max()
        assert_allclose(found[relabel], wanted, rtol=1e-6, atol=1e-8 * size)


def test_covariances_of_modes(own, monkeypatch):
    dense = conditional_covariance(own)
    starts = np.cumsum([0] + [z.shape[1] for z in own.z])
    # a few of the related levels at a time
    monkeypatch.setattr("statsmodels_lmm.core.criteria.units.ROW_ENTRIES", 24)
    for i, term in enumerate(own.terms):
        k = term.k_effects
        own_rows = slice(starts[i], starts[i + 1])
        blocks = dense[own_rows, own_rows].reshape(term.n_levels, k, term.n_levels, k)
        wanted = blocks[range(term.n_levels), :, range(term.n_levels)]
        found = own.units.mode_covariances(own.evaluation, i)
        assert_allclose(found, wanted, rtol=1e-6, atol=1e-8 * np.abs(wanted).max())
        at_hand = own.units.level_blocks(own.evaluation, i)
        if at_hand is not None:
            assert_array_equal(at_hand.covariances(), found)


def test_which_covariances_are_at_hand():
    own = case("related")
    found = [own.units.level_blocks(own.evaluation, i) for i in range(3)]
    assert [blocks is None for blocks in found] == [False, True, False]


def some_effects(own):
    """Positions of random effects of every term in turns, and in the dense matrix."""
    rng = np.random.default_rng(8)
    terms = np.arange(20) % len(own.terms)
    levels = np.array([rng.integers(own.terms[i].n_levels) for i in terms])
    columns = np.array([rng.integers(own.terms[i].k_effects) for i in terms])
    starts = np.cumsum([0] + [z.shape[1] for z in own.z])
    widths = np.array([own.terms[i].k_effects for i in terms])
    return terms, levels, columns, starts[terms] + levels * widths + columns


def test_rows_that_pick_random_effects(own):
    terms, levels, columns, places = some_effects(own)
    rows = own.units.unit_rows(terms, levels, columns)
    found = sum(r.times(m) for r, m in zip(rows, own.evaluation.modes))
    wanted = np.concatenate([m.ravel() for m in dense_modes(own)])[places]
    size = np.abs(wanted).max()
    found = own.units.response_scale * found
    assert_allclose(found, wanted, rtol=1e-6, atol=1e-8 * size)


def test_errors_of_fixed_and_random_effects():
    own = case("weights")
    terms, levels, columns, places = some_effects(own)
    none, p = np.full(len(own.kept), -1), len(own.kept)
    design = np.eye(p + len(terms), p)
    rows = own.units.unit_rows(*(np.append(none, v) for v in (terms, levels, columns)))
    found = error_covariance(own.evaluation, own.units.fixed(design), rows)
    x, z, w = own.x, np.hstack(own.z), 1.0 / own.inverse_weights
    both = np.hstack([x, z])
    prior = block_diag(np.zeros((x.shape[1],) * 2), np.linalg.inv(own.g))
    inverse = np.linalg.inv(both.T @ (w[:, None] * both) + prior)
    at = np.append(np.arange(x.shape[1]), x.shape[1] + places)
    kept = np.append(np.flatnonzero(own.kept), p + np.arange(len(terms)))
    wanted = inverse[np.ix_(at, at)]
    size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert_allclose(found[np.ix_(kept, kept)] / size, wanted / size, atol=1e-7)


@dataclass
class Rows:
    """Rows of a term as predictions give them."""

    codes: np.ndarray
    effects: np.ndarray

    def at(self, term, levels, change):
        return term.at(levels[self.codes], self.effects @ change)


def test_rows_of_predictions(own):
    rng, parts = np.random.default_rng(9), []
    for term in own.terms:
        codes = rng.integers(term.n_levels, size=15)
        parts.append(Rows(codes, rng.standard_normal((15, term.k_effects))))
    rows = own.units.rows(parts)
    found = sum(r.times(m) for r, m in zip(rows, own.evaluation.modes))
    pairs = zip(parts, dense_modes(own))
    wanted = sum((p.effects * modes[p.codes]).sum(axis=1) for p, modes in pairs)
    found = own.units.response_scale * found
    assert_allclose(found, wanted, rtol=1e-6, atol=1e-8 * np.abs(wanted).max())


# the search ------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """What of an optimum is in an order."""

    theta: np.ndarray
    duals: tuple
    dual_eigenvalues: tuple
    evaluations: int


def test_optimum(own):
    order = own.units.plan.order
    duals, values = [f"dual of {i}" for i in order], [f"values of {i}" for i in order]
    ended = Ended(np.zeros(0), tuple(duals), tuple(values), 17)
    found = own.units.optimum(ended, own.evaluation.factors)
    assert_allclose(found.theta, own.theta, rtol=1e-7)
    assert found.duals == tuple(f"dual of {i}" for i in range(len(order)))
    assert found.dual_eigenvalues == tuple(f"values of {i}" for i in range(len(order)))
    assert found.evaluations == 17
