"""Satterthwaite's and Kenward and Roger's methods against n x n matrices."""

import numpy as np
import pytest
from dense_twin import (
    SHAPES,
    DenseTwin,
    Design,
    covariances,
    design,
    evaluate,
    products_of,
    roots_of,
)
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.core.criteria import derivatives
from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.core.uncertainty.small_sample import (
    contrast_df,
    joint_df,
    kenward_roger,
    satterthwaite,
    scaled_f,
)

CONTRASTS = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, -2.0]])


def optimum(data, reml):
    """The criterion at its minimum, and its factors in the user's order."""
    products = products_of(data)
    found, _ = minimize(Profiled(products, reml), moment_start(products))
    roots = [None] * len(data.terms)
    for at, i in enumerate(products.plan.order):
        roots[i] = found.factors[at]
    return found, roots


def whitened(deviance, contrasts):
    """Contrasts of beta as contrasts of R'beta."""
    return contrasts @ np.linalg.inv(deviance.fixed_root).T


def orthonormal(rows):
    return np.linalg.qr(rows.T)[0].T


def dense_satterthwaite(data, roots, reml, contrasts):
    """
    Degrees of freedom from the Hessian in the entries of L and sigma^2.

    -2 log L = log |s V| [+ log |X'V^-1 X / s|] + y'Py / s is differentiated twice by
    the rules for inverses and determinants.
    """
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    s = twin.scale
    slopes = twin._slopes()
    m = len(slopes)
    joint = np.zeros((m + 1, m + 1))
    # the profiled Hessian is this one's Schur complement
    working = np.array([twin.py @ dv @ twin.py for *_, dv in slopes])
    joint[:m, :m] = twin.curvature(exact=True)
    joint[:m, :m] += np.outer(working, working) / (twin.nu * s**2)
    joint[m, :m] = joint[:m, m] = working / s**2
    joint[m, m] = twin.nu / s**2
    size = np.sqrt(np.abs(np.diag(joint)))
    joint = joint / np.outer(size, size)
    assert np.linalg.eigvalsh(joint)[0] > 1e-6
    variance = 2.0 * np.linalg.inv(joint) / np.outer(size, size)
    half = twin.xvx_inverse @ data.exog.T @ twin.v_inverse
    changes = [s * half @ dv @ half.T for *_, dv in slopes] + [twin.xvx_inverse]
    found = []
    for c in contrasts:
        gradient = np.array([c @ change @ c for change in changes])
        numerator = 2.0 * (s * c @ twin.xvx_inverse @ c) ** 2
        found.append(numerator / (gradient @ variance @ gradient))
    return np.array(found)


class DenseKenwardRoger:
    """Sections 2 and 3 of the paper, with sigma^2 V and its derivatives."""

    def __init__(self, data, roots):
        twin = DenseTwin(data.endog, data.exog, data.terms, roots, True)
        s, x = twin.scale, data.exog
        slopes = []
        for i, f in enumerate(data.terms):
            for block in f.block_slices:
                for a in range(block.start, block.stop):
                    for b in range(block.start, a + 1):
                        unit = np.zeros((f.k_effects, f.k_effects))
                        unit[a, b] = unit[b, a] = 1.0
                        slopes.append(twin.through_levels(i, unit))
        slopes.append(np.eye(len(x)))
        inverse, projector = twin.v_inverse / s, twin.p / s
        self.phi = twin.xvx_inverse * s
        information = np.array(
            [
                [((projector @ a) * (projector @ b).T).sum() for b in slopes]
                for a in slopes
            ]
        )
        size = np.sqrt(np.diag(information))
        both = np.outer(size, size)
        self.w = 2.0 * np.linalg.inv(information / both) / both
        through = inverse @ x
        self.p = [-through.T @ a @ through for a in slopes]
        bias = np.zeros_like(self.phi)
        for r, a in enumerate(slopes):
            for q, b in enumerate(slopes):
                across = through.T @ a @ inverse @ b @ through
                bias += self.w[r, q] * (across - self.p[r] @ self.phi @ self.p[q])
        self.adjusted = self.phi + 2.0 * self.phi @ bias @ self.phi
        self.scale = s

    def f(self, contrasts):
        """Degrees of freedom and scale of the statistic."""
        q = len(contrasts)
        middle = np.linalg.inv(contrasts @ self.phi @ contrasts.T)
        theta = contrasts.T @ middle @ contrasts
        moved = [theta @ self.phi @ p @ self.phi for p in self.p]
        each = range(len(moved))
        traces = [np.trace(m) for m in moved]
        a1 = sum(self.w[i, j] * traces[i] * traces[j] for i in each for j in each)
        a2 = sum(
            self.w[i, j] * np.trace(moved[i] @ moved[j]) for i in each for j in each
        )
        b = (a1 + 6 * a2) / (2 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        c = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
        mean = 1 / (1 - a2 / q)
        variance = 2 / q * (1 + c[0] * b) / ((1 - c[1] * b) ** 2 * (1 - c[2] * b))
        rho = variance / (2 * mean**2)
        df = 4 + (q + 2) / (q * rho - 1)
        return df, df / (mean * (df - 2)) if df > 2.01 else 1.0


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_satterthwaite(name, reml):
    data = design(name, n=90)
    deviance, roots = optimum(data, reml)
    found = satterthwaite(deviance)
    df = contrast_df(found.slopes, whitened(deviance, CONTRASTS))
    expected = dense_satterthwaite(data, roots, reml, CONTRASTS)
    assert_allclose(df, expected, rtol=1e-7)
    assert np.array_equal(found.covariance, np.eye(3))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", SHAPES)
def test_kenward_roger(name, kind, sparse, monkeypatch):
    data = design(name, n=60)
    roots = roots_of(data, covariances(data, kind))
    products = products_of(data, monkeypatch if sparse else None)
    deviance = evaluate(products, roots, True)
    found, dense = kenward_roger(deviance), DenseKenwardRoger(data, roots)
    root = np.linalg.inv(deviance.fixed_root).T
    adjusted = root @ found.covariance @ root.T * deviance.scale
    assert_allclose(adjusted, dense.adjusted, rtol=1e-8, atol=1e-10)
    for rows in (CONTRASTS[:1], CONTRASTS, np.eye(3)):
        basis = orthonormal(whitened(deviance, rows))
        assert_allclose(scaled_f(found.slopes, basis), dense.f(rows), rtol=1e-7)
    df = contrast_df(found.slopes, whitened(deviance, CONTRASTS[1]))
    assert_allclose(df, dense.f(CONTRASTS[1:])[0], rtol=1e-7)


def test_adjustment_is_visible():
    """The comparisons above would see a missing or doubled adjustment."""
    data = design("2 crossed", n=60)
    dense = DenseKenwardRoger(data, roots_of(data, covariances(data, "regular")))
    larger = np.diag(dense.adjusted) / np.diag(dense.phi) - 1.0
    assert (larger > 1e-5).all()
    assert larger.max() > 1e-3


@pytest.mark.parametrize("name", ["2 crossed", "chain and tail"])
def test_differenced_hessian(name, monkeypatch):
    """Models too large for the exact Hessian."""
    data = design(name, n=90)
    deviance, _ = optimum(data, True)
    contrasts = whitened(deviance, CONTRASTS)
    exact = contrast_df(satterthwaite(deviance).slopes, contrasts)
    monkeypatch.setattr(derivatives, "MAX_DENSE_COLUMNS", 0)
    differenced = contrast_df(satterthwaite(deviance).slopes, contrasts)
    assert not np.array_equal(differenced, exact)
    assert_allclose(differenced, exact, rtol=1e-5)


def test_unidentified_variance():
    """A random intercept for every row is the residual: least squares is exact."""
    rng = np.random.default_rng(4)
    n = 30
    exog = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    factor = GroupedEffects(np.arange(n), n, np.ones((n, 1)), (1,))
    data = Design(rng.standard_normal(n), exog, (factor,))
    roots = roots_of(data, [np.array([[0.7]])])
    deviance = evaluate(products_of(data), roots, True)
    contrasts = whitened(deviance, CONTRASTS)
    for method in (satterthwaite, kenward_roger):
        found = method(deviance)
        assert_allclose(contrast_df(found.slopes, contrasts), n - 3, rtol=1e-9)
        assert_allclose(found.covariance, np.eye(3), atol=1e-9)
    df, scale = scaled_f(found.slopes, orthonormal(contrasts))
    assert_allclose([df, scale], [n - 3, 1.0], rtol=1e-9)


@pytest.mark.parametrize("method", [satterthwaite, kenward_roger])
def test_balanced_split_plot(method):
    """Where classical F tests are exact both methods give their degrees of freedom."""
    rng = np.random.default_rng(11)
    levels, size = 12, 4
    codes = np.repeat(np.arange(levels), size)
    between = np.repeat(np.arange(levels) % 3, size)
    within = np.tile(np.arange(size), levels)
    exog = np.column_stack(
        [np.ones(len(codes))]
        + [between == j for j in (1, 2)]
        + [within == j for j in range(1, size)]
    ).astype(float)
    endog = 1.5 * rng.standard_normal(levels)[codes] + rng.standard_normal(len(codes))
    factor = GroupedEffects(codes, levels, np.ones((len(codes), 1)), (1,))
    deviance, roots = optimum(Design(endog, exog, (factor,)), True)
    assert roots[0].matrix > 0.1
    found, rows = method(deviance), whitened(deviance, np.eye(6))
    for which, expected in ((slice(1, 3), levels - 3), (slice(3, 6), 3 * (levels - 1))):
        each = contrast_df(found.slopes, rows[which])
        assert_allclose(each, expected, rtol=1e-7)
        basis = orthonormal(rows[which])
        assert_allclose(joint_df(found.slopes, basis), expected, rtol=1e-7)
        assert_allclose(scaled_f(found.slopes, basis), [expected, 1.0], rtol=1e-6)
    assert_allclose(found.covariance, np.eye(6), atol=1e-8)


def slopes_with(df):
    """Slopes for which unit contrasts have given degrees of freedom."""
    q = len(df)
    slopes = np.zeros((q, q, q))
    slopes[range(q), range(q), range(q)] = np.sqrt(2.0 / np.array(df))
    return slopes


def test_joint_df():
    """An F distribution has the mean of the statistic: df / (df - 2)."""
    df = joint_df(slopes_with([5.0, 9.0, 30.0]), np.eye(3))
    mean = np.mean([5.0 / 3.0, 9.0 / 7.0, 30.0 / 28.0])
    assert_allclose(df / (df - 2.0), mean, rtol=1e-12)
    assert_allclose(joint_df(slopes_with([7.0, 7.0]), np.eye(2)), 7.0, rtol=1e-12)
    assert_allclose(joint_df(slopes_with([1.5, 1.5]), np.eye(2)), 1.5, rtol=1e-12)
    assert joint_df(slopes_with([1.5, 9.0]), np.eye(2)) == 2.0


def test_scale_near_two_degrees_of_freedom():
    """Up to there the statistic has no mean to match, and it is not scaled."""
    for each, matched in ((2.01, False), (2.0132163, False), (2.1, True), (6.0, True)):
        df, scale = scaled_f(slopes_with([each, each]), np.eye(2))
        assert df > 0.0
        assert (df > 2.01) == matched
        # the mean of the statistic is 1 / (1 - A2 / q), and A2 is 2 * 2 / each
        mean = 1.0 / (1.0 - 2.0 / each)
        assert_allclose(scale, df / (df - 2.0) / mean if matched else 1.0, rtol=1e-12)


def test_exact_f_with_two_degrees_of_freedom():
    """Where everything is known to a scale that is, 0 / 0 is its limit, 1."""
    for df in (2.0, 1.5, 8.0):
        slopes = np.sqrt(2.0 / df) * np.eye(2)[None]
        assert_allclose(scaled_f(slopes, np.eye(2)), [df, 1.0], rtol=1e-12)


@pytest.mark.parametrize("df", [[0.5, 0.5], [2.0, 2.0, 2.0], [0.3, 0.3, 0.3]])
def test_moments_of_no_f_distribution(df):
    """The formula has negative degrees of freedom for them."""
    assert np.isnan(scaled_f(slopes_with(df), np.eye(len(df)))).all()


def test_degrees_of_freedom_that_are_rounding():
    """Two effects with A1 = 0 and A2 = 44/9 have none, nor have any next to it."""
    for change in (0.0, 1e-12, -1e-12):
        size = np.sqrt((1.0 + change) * 22.0 / 9.0)
        slopes = size * np.diag([1.0, -1.0])[None]
        assert np.isnan(scaled_f(slopes, np.eye(2))).all()


def test_no_fixed_effects():
    data = design("2 crossed", n=60)
    data = Design(data.endog, data.exog[:, :0], data.terms)
    deviance, _ = optimum(data, True)
    for method in (satterthwaite, kenward_roger):
        found = method(deviance)
        assert found.covariance.shape == (0, 0)
        assert contrast_df(found.slopes, np.zeros(0)) == np.inf


def test_memory(monkeypatch):
    """What does not fit is refused before it is formed."""
    one = evaluate(*_model("one factor"), True)
    several = evaluate(*_model("2 crossed"), True)
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    assert kenward_roger(one).covariance.shape == (3, 3)
    with pytest.raises(MemoryError, match=r"11 x 11: about .* GiB"):
        kenward_roger(several)


def _model(name):
    data = design(name)
    return products_of(data), roots_of(data, covariances(data, "regular"))
