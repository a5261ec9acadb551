"""All random effects eliminated at once, against n x n algebra."""

import numpy as np
import pytest
from dense_twin import free_entries
from numpy.testing import assert_allclose
from scipy.linalg import block_diag
from sparse_cases import (
    CASES,
    KINDS,
    data,
    products_of,
    related,
    relative,
)

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.resampling.draws import Gaussian
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.related_effects import RelatedEffects
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor


class Dense:
    """Everything with V = I + sum Z (K (x) S) Z' and its inverse."""

    def __init__(self, case, s, reml=True):
        self.y, self.x, self.pairs = data(case)
        self.s = s
        n, p = self.x.shape
        self.z = [
            np.asarray(f.indicator() @ np.eye(f.n_columns)) for f, _ in self.pairs
        ]
        self.g = [np.kron(known, each) for (_, known), each in zip(self.pairs, s)]
        v = np.eye(n) + sum(z @ g @ z.T for z, g in zip(self.z, self.g))
        self.inverse = np.linalg.inv(v)
        self.logdet = np.linalg.slogdet(v)[1]
        vx = self.inverse @ self.x
        information = self.x.T @ vx
        self.p = self.inverse - vx @ np.linalg.solve(information, vx.T)
        self.nu = n - p if reml else n
        self.py = self.p @ self.y
        self.scale = self.y @ self.py / self.nu
        self.kernel = self.p if reml else self.inverse
        self.value = self.logdet + self.nu * (1 + np.log(2 * np.pi * self.scale))
        if reml:
            self.value += np.linalg.slogdet(information)[1]

    def level_sum(self, i):
        """Sum of K_gh [Z'V^-1 Z]_gh."""
        k = len(self.s[i])
        middle = self.z[i].T @ self.inverse @ self.z[i]
        blocks = middle.reshape(-1, k, len(middle) // k, k)
        return np.einsum("gh,gahb->ab", self.pairs[i][1], blocks)

    def conditional(self, i, j):
        """Blocks of G - G Z'V^-1 Z G."""
        explained = self.g[i] @ self.z[i].T @ self.inverse @ self.z[j] @ self.g[j]
        return (self.g[i] if i == j else 0.0) - explained

    def slopes(self, factors):
        """DV for every free entry of L, and where it is."""
        out = []
        for i, factor in enumerate(factors):
            for row, column in free_entries(factor):
                ds = np.zeros_like(self.s[i])
                ds[row] = factor.matrix[:, column]
                out.append((i, row, column, self.through(i, ds + ds.T)))
        return out

    def through(self, i, ds):
        return self.z[i] @ np.kron(self.pairs[i][1], ds) @ self.z[i].T

    def derivatives(self, factors):
        """Gradient and Hessian of the criterion in the free entries of L."""
        slopes, m, py = self.slopes(factors), self.kernel, self.py
        linear = np.array([py @ dv @ py / self.scale for *_, dv in slopes])
        gradient = [(m * dv).sum() for *_, dv in slopes] - linear
        hessian = -np.outer(linear, linear) / self.nu
        for a, (i, row_a, column_a, dv_a) in enumerate(slopes):
            for b, (j, row_b, column_b, dv_b) in enumerate(slopes):
                hessian[a, b] += 2 * py @ dv_a @ self.p @ dv_b @ py / self.scale
                hessian[a, b] -= (m @ dv_a * (m @ dv_b).T).sum()
                if i == j and column_a == column_b:
                    dds = np.zeros_like(self.s[i])
                    dds[row_a, row_b] += 1.0
                    dds[row_b, row_a] += 1.0
                    ddv = self.through(i, dds)
                    hessian[a, b] += (m * ddv).sum() - py @ ddv @ py / self.scale
        return gradient, hessian


def at(case, kind):
    """Factors of the core, and the dense twin."""
    s = relative(case, kind)
    factors = [
        pivoted_factor(each, f.block_slices) for each, (f, _) in zip(s, data(case)[2])
    ]
    return factors, s


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_elimination(case, kind):
    factors, s = at(case, kind)
    twin = Dense(case, s)
    found = products_of(case).eliminate([f.matrix for f in factors])
    w = np.column_stack([twin.x, twin.y])
    expected = w.T @ twin.inverse @ w
    assert_allclose(found.gram, expected, atol=1e-9 * abs(expected).max())
    assert_allclose(found.logdet, twin.logdet, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", ["regular", "zero", "singular", "small"])
@pytest.mark.parametrize("case", CASES)
def test_criterion_and_derivatives(case, kind, reml):
    factors, s = at(case, kind)
    twin = Dense(case, s, reml)
    found = profiled_deviance(products_of(case), factors, reml)
    assert_allclose(found.value, twin.value, rtol=1e-10)
    assert_allclose(found.scale, twin.scale, rtol=1e-9)
    slopes = found.derivatives(exact=True)
    gradient, hessian = twin.derivatives(factors)
    size = max(1.0, abs(hessian).max())
    assert_allclose(slopes.gradient, gradient, atol=1e-7 * size)
    assert_allclose(slopes.curvature, hessian, atol=1e-6 * size)


@pytest.mark.parametrize("kind", ["regular", "zero", "singular", "small"])
@pytest.mark.parametrize("case", CASES)
def test_selected_inverse(case, kind):
    factors, s = at(case, kind)
    twin, products = Dense(case, s), products_of(case)
    found = products.eliminate([f.matrix for f in factors]).selected_inverse()
    w = np.column_stack([twin.x, twin.y])
    for i, own in enumerate(products.plan.terms):
        scores = twin.z[i].T @ twin.inverse @ w
        k = own.k_effects
        known = np.kron(twin.pairs[i][1], np.eye(k)) @ scores
        shape = -1, k, w.shape[1]
        projected = own.level_modes(found.projected[i])
        tolerance = {"rtol": 1e-7, "atol": 1e-8}
        assert_allclose(projected, known.reshape(shape), **tolerance)
        modes = (twin.g[i] @ scores).reshape(shape)
        assert_allclose(own.level_modes(found.modes[i]), modes, **tolerance)
        if not isinstance(own.base, RelatedEffects):
            each = np.arange(own.n_levels)
            full = twin.conditional(i, i).reshape(own.n_levels, k, -1, k)
            assert_allclose(found.diagonal[i], full[each, :, each], **tolerance)


@pytest.mark.parametrize("kind", ["regular", "zero", "singular", "small"])
@pytest.mark.parametrize("case", CASES)
def test_sums_over_related_levels(case, kind):
    """The derivative of log |V| in S, also where S is (almost) singular."""
    factors, s = at(case, kind)
    twin = Dense(case, s)
    roots = [f.matrix for f in factors]
    found = products_of(case).eliminate(roots).selected_inverse()
    for i, sums in enumerate(found.level_sums):
        expected = twin.level_sum(i)
        assert_allclose(sums, expected, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("kind", ["regular", "singular"])
@pytest.mark.parametrize("case", CASES)
def test_projected_forms(case, kind):
    factors, s = at(case, kind)
    twin, products = Dense(case, s), products_of(case)
    rng = np.random.default_rng(19)
    plan = products.plan
    columns = [rng.standard_normal((f.n_levels, f.k_effects, 4)) for f in plan.terms]
    # the model matrix of the independent levels, column by column
    spread = sum(f.times(np.moveaxis(c, -1, 0)).T for f, c in zip(plan.terms, columns))
    elimination = products.eliminate([f.matrix for f in factors])
    own, with_fixed = elimination.projected_forms(columns)
    assert_allclose(own, spread.T @ twin.inverse @ spread, rtol=1e-8, atol=1e-9)
    expected = twin.x.T @ twin.inverse @ spread
    assert_allclose(with_fixed, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_independent_levels_make_the_known_covariance(case):
    """Z C applied to all unit vectors has the products Z K Z'."""
    for own, (factor, known) in zip(products_of(case).plan.terms, data(case)[2]):
        unit = np.eye(own.n_columns).reshape(-1, own.n_levels, own.k_effects)
        spread = own.times(unit)
        z = np.asarray(factor.indicator() @ np.eye(factor.n_columns))
        expected = z @ np.kron(known, np.eye(own.k_effects)) @ z.T
        assert_allclose(spread.T @ spread, expected, atol=1e-10)
        levels = own.level_modes(np.moveaxis(unit, 0, -1)).reshape(z.shape[1], -1)
        assert_allclose(z @ levels, spread.T, atol=1e-10)
        if not isinstance(own.base, RelatedEffects):
            expected = np.kron(known, np.eye(own.k_effects))
            assert_allclose(levels @ levels.T, expected, atol=1e-10)


@pytest.mark.parametrize("kind", ["regular", "singular", "zero"])
@pytest.mark.parametrize("case", CASES)
def test_forms_of_rows(case, kind):
    factors, s = at(case, kind)
    twin, products = Dense(case, s), products_of(case)
    elimination = products.eliminate([f.matrix for f in factors])
    rng, m, rows, z = np.random.default_rng(20), 7, [], []
    for own, (factor, _) in zip(products.plan.terms, twin.pairs):
        levels, k = factor.n_levels, factor.k_effects
        codes, effects = rng.integers(levels, size=m), rng.standard_normal((m, k))
        rows.append(own.at(codes, effects))
        each = np.zeros((m, levels * k))
        for row in range(m):
            each[row, codes[row] * k : codes[row] * k + k] = effects[row]
        z.append(each)
    q = sum(f.n_columns for f, _ in twin.pairs)
    assert elimination.row_width <= q
    found = sum(left @ right.T for left, right in elimination.row_forms(rows))
    both = range(len(z))
    expected = sum(z[i] @ twin.conditional(i, j) @ z[j].T for i in both for j in both)
    # a matrix or levels of a dense relationship are known up to what the data see
    if "dense" not in case:
        assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    else:
        differences = expected - found
        assert np.linalg.eigvalsh(differences)[0] > -1e-9


def test_draws_of_related_levels():
    """Simulation goes through the same C, batch by batch."""
    own = products_of("slopes").plan.terms[0]
    root = np.array([[1.2, 0.0], [0.4, 0.8]])
    generators = [np.random.default_rng(i) for i in range(3)]
    drawn = Gaussian(own.n_levels, root).draw(generators)
    each = [own.times(b) for b in drawn]
    assert_allclose(own.times(drawn), each, rtol=1e-12)
    assert_allclose(own.times(drawn[None]), [each], rtol=1e-12)


def test_precision_in_other_units():
    """The criterion does not know how K and S share a number."""
    (factor, known), (endog, exog, _) = related(1, 9, 1), data("levels")
    s = np.array([[0.6]])
    expected = Dense("levels", [s]).value
    for c in (1e-6, 1e6):
        scaled = Precision(factor.relationship.matrix / c)
        other = GroupedEffects(
            factor.codes, factor.n_levels, factor.effects, (1,), (), scaled
        )
        products = sufficient_statistics(endog, exog, [other])
        root = pivoted_factor(s / c, other.block_slices)
        found = profiled_deviance(products, [root], True)
        assert_allclose(found.value, expected, rtol=1e-9)
        assert_allclose(scaled.variances, c * np.diag(known), rtol=1e-9)


def test_determinant_that_is_known():
    """It is taken as given, not found again."""
    factor, known = related(1, 9, 1)
    q = factor.relationship.matrix
    told = -np.linalg.slogdet(known)[1]
    endog, exog, _ = data("levels")
    values = []
    for log_determinant in (None, told, told + 1.0):
        other = GroupedEffects(
            factor.codes,
            9,
            factor.effects,
            (1,),
            (),
            Precision(q, log_determinant),
        )
        products = sufficient_statistics(endog, exog, [other])
        root = pivoted_factor(np.eye(1), other.block_slices)
        values.append(float(profiled_deviance(products, [root], True).value))
    assert_allclose(values[1], values[0], rtol=1e-12)
    assert_allclose(values[2], values[0] - 1.0, rtol=1e-12)


def test_joint_conditional_covariance_has_all_factors():
    """The blocks between two factors, by rows that touch one of them each."""
    case = "two related"
    factors, s = at(case, "regular")
    twin, products = Dense(case, s), products_of(case)
    elimination = products.eliminate([f.matrix for f in factors])
    sizes = [f.n_columns for f, _ in twin.pairs]
    total = sum(sizes)
    start, rows = 0, []
    for own, (factor, _), size in zip(products.plan.terms, twin.pairs, sizes):
        k = factor.k_effects
        codes, effects = np.zeros(total, int), np.zeros((total, k))
        part = slice(start, start + size)
        codes[part] = np.repeat(np.arange(factor.n_levels), k)
        effects[part] = np.tile(np.eye(k), (factor.n_levels, 1))
        rows.append(own.at(codes, effects))
        start += size
    found = sum(left @ right.T for left, right in elimination.row_forms(rows))
    g = block_diag(*twin.g)
    z = np.column_stack(twin.z)
    expected = g - g @ z.T @ twin.inverse @ z @ g
    assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
