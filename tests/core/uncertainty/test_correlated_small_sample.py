"""Small-sample inference with correlated errors, against n x n matrices."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria import correlated_forms
from statsmodels_lmm.core.criteria.correlated import Correlated, spread_if_crossed
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.residuals import natural
from statsmodels_lmm.core.residuals.autoregressive import Autoregressive
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.spatial import Exponential
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.uncertainty.small_sample import (
    contrast_df,
    kenward_roger,
    satterthwaite,
)
from statsmodels_lmm.core.uncertainty.variance_information import joint_information

CONTRASTS = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])


@dataclass
class Case:
    """A model, and its covariance matrix as a function of its natural parameters."""

    structure: Any
    log_sd: str = "none"
    n_parts: int = 1
    nested: int = 0
    crossed: bool = False
    groups: int = 18
    visits: int = 5
    correlations: Any = None
    """Entries of C from phi and two visits."""


def powers(rho, s, t):
    return rho[0] ** abs(s - t)


def common(rho, s, t):
    return 1.0 if s == t else rho[0]


def fading(r, s, t):
    return np.exp(-abs(s - t) / r[0])


def any_pair(rho, s, t):
    return 1.0 if s == t else rho[max(s, t) * (max(s, t) - 1) // 2 + min(s, t)]


CASES = {
    "ar1 within slopes": Case(
        Autoregressive(), nested=2, groups=24, correlations=powers
    ),
    "heterogeneous cs, crossed": Case(
        CompoundSymmetry(), "visits", crossed=True, correlations=common
    ),
    "variances by a covariate": Case(None, "x", nested=1, crossed=True),
    "ar1 by arm and a covariate": Case(
        Autoregressive(), "x", n_parts=2, correlations=powers
    ),
    "fading, unequal": Case(
        Exponential(), "visits", nested=1, groups=24, correlations=fading
    ),
    "unstructured by arm, shared variances": Case(
        Unstructured(), "visits", n_parts=2, visits=3, correlations=any_pair
    ),
}


@dataclass
class Design:
    endog: Any
    exog: Any
    group: Any
    visit: Any
    item: Any
    arm: Any
    log_sd: Any


@functools.cache
def design(name):
    case = CASES[name]
    rng = np.random.default_rng(9)
    group, visit = np.divmod(np.arange(case.groups * case.visits), case.visits)
    kept = rng.random(len(group)) > 0.1
    group, visit = group[kept], visit[kept]
    n, item = len(group), rng.integers(0, 6, kept.sum())
    x = rng.standard_normal(n)
    exog = np.column_stack([np.ones(n), x, group % 3 == 0])
    log_sd = {
        "none": np.zeros((n, 0)),
        "visits": 1.0 * (visit[:, None] == np.arange(1, case.visits)),
        "x": 0.4 * x[:, None] + 0.7,
    }[case.log_sd]
    deviation = np.exp(log_sd @ np.full(log_sd.shape[1], 0.5))
    errors = rng.standard_normal(n)
    for row in range(1, n):
        if group[row] == group[row - 1] and case.structure is not None:
            errors[row] = 0.4 * errors[row - 1] + 0.9 * errors[row]
    endog = deviation * errors + exog @ [1.0, 0.5, -0.4]
    levels = 2.0 * rng.standard_normal((case.groups, 2))[group]
    if case.nested:
        endog = endog + levels[:, 0] + (case.nested == 2) * levels[:, 1] * (visit - 2.0)
    if case.crossed:
        endog = endog + rng.standard_normal(6)[item]
    return Design(endog, exog, group, visit, item, group % 2, log_sd)


@functools.cache
def optimum(name, reml=True):
    case, data = CASES[name], design(name)
    groups = np.arange(len(data.endog)) if case.structure is None else data.group
    of_visits = case.structure is not None and case.structure.of_visits
    layout = lay_out(
        groups,
        data.visit if of_visits else 1.0 * data.visit,
        data.arm if case.n_parts == 2 else None,
        relative=not of_visits,
    )
    covariance = ResidualCovariance(
        case.structure, layout, case.visits, case.n_parts, data.log_sd, 3.0
    )
    terms = []
    if case.nested:
        slope = np.column_stack([np.ones(len(data.visit)), data.visit - 2.0])
        effects = slope[:, : case.nested]
        terms.append(GroupedEffects(data.group, case.groups, effects, (case.nested,)))
    if case.crossed:
        terms.append(GroupedEffects(data.item, 6, np.ones((len(data.item), 1)), (1,)))
    terms = [spread_if_crossed(term, layout) for term in terms]
    rows = Rows(data.endog, data.exog)
    criterion = Correlated(engine_for(terms, len(data.endog)), rows, covariance, reml)
    deviance, found = search_correlated(criterion, Settings())
    assert found.certified
    assert all(np.linalg.eigvalsh(f.covariance)[0] > 1e-2 for f in deviance.factors)
    return deviance


class Dense:
    """
    The formulas of the papers in natural parameters, with differences of V alone.

    With a covariate, sigma^2 is the variance of a row where it is zero or, if it is
    centered, of a row with its mean, so that its origin does not matter.
    """

    def __init__(self, name, reml=True, centered=False):
        self.case, self.data, self.name = CASES[name], design(name), name
        log_sd = self.data.log_sd
        self.origin = log_sd.mean(axis=0) * (centered and self.case.log_sd == "x")
        deviance = optimum(name, reml)
        self.reml = reml
        self.order = deviance.elimination.products.plan.order
        eta = self.natural(self.user(deviance))
        v, self.slopes, self.bends = differences(self.covariance, eta)
        x = self.data.exog
        self.inverse = np.linalg.inv(v)
        self.phi = np.linalg.inv(x.T @ self.inverse @ x)
        self.half = self.phi @ x.T @ self.inverse
        self.p = self.inverse - self.half.T @ x.T @ self.inverse
        self.outer = self.p if reml else self.inverse

    def user(self, deviance):
        """Covariances of the effects, correlations, gamma and sigma^2."""
        scale, whitening = float(deviance.scale), deviance.whitening
        _, gamma = whitening.model.split(whitening.parameters)
        lower = [
            scale * f.covariance[np.tril_indices(f.size)[::-1]]
            for f in deviance.factors
        ]
        below = self.data.log_sd.mean(axis=0) - self.origin
        first = scale * np.exp(-2.0 * below @ gamma)
        return np.concatenate([*lower, whitening.parameters, [first]])

    def natural(self, user):
        """Variances of visits for gamma, and covariances if they are free."""
        eta, s = np.array(user), self.data.log_sd.shape[1]
        if self.case.log_sd != "visits":
            return eta
        eta[-1 - s : -1] = eta[-1] * np.exp(2.0 * eta[-1 - s : -1])
        if self.case.correlations is any_pair:
            variances = np.append(eta[-1], eta[-1 - s : -1])
            rows, columns = np.tril_indices(len(variances), -1)
            eta[: -1 - s] *= np.tile(np.sqrt(variances[rows] * variances[columns]), 2)
        return eta

    def covariance(self, eta):
        case, data = self.case, self.data
        n, used = len(data.endog), 0
        v = np.zeros((n, n))
        same = data.group[:, None] == data.group
        slope = data.visit - 2.0
        sizes = [case.nested] * bool(case.nested) + [1] * case.crossed
        kinds = ["nested"] * bool(case.nested) + ["crossed"] * case.crossed
        for i in self.order:
            size = sizes[i]
            own, used = (
                eta[used : used + size * (size + 1) // 2],
                used + size * (size + 1) // 2,
            )
            if kinds[i] == "crossed":
                v += own[0] * (data.item[:, None] == data.item)
                continue
            v += own[0] * same
            if size == 2:
                v += own[1] * same * (slope[:, None] + slope)
                v += own[2] * same * np.outer(slope, slope)
        s = data.log_sd.shape[1]
        count = len(eta) - 1 - s
        phi = eta[used:count].reshape(case.n_parts, -1)
        if case.log_sd == "visits":
            deviation = np.sqrt(np.append(eta[-1], eta[count:-1]))[data.visit]
        else:
            log_sd = data.log_sd - self.origin
            deviation = np.sqrt(eta[-1]) * np.exp(log_sd @ eta[count:-1])
        if case.structure is None:
            return v + np.diag(deviation**2)
        every = range(case.visits)
        tables = np.array(
            [
                [[case.correlations(own, a, b) for b in every] for a in every]
                for own in phi
            ]
        )
        part = data.arm if case.n_parts == 2 else 0 * data.arm
        c = tables[part[:, None], data.visit[:, None], data.visit]
        if case.correlations is any_pair:
            off = data.visit[:, None] != data.visit
            return v + same * np.where(off, c, np.diag(deviation**2))
        return v + same * c * np.outer(deviation, deviation)

    def information(self, kind):
        y, m = self.p @ self.data.endog, len(self.slopes)
        out = np.empty((m, m))
        moved = [v @ y for v in self.slopes]
        through = [self.outer @ v for v in self.slopes]
        for r in range(m):
            for s in range(m):
                expected = 0.5 * (through[r] * through[s].T).sum()
                average = 0.5 * moved[r] @ self.p @ moved[s]
                bend = self.bends[r][s]
                rest = 0.5 * ((self.outer * bend).sum() - y @ bend @ y)
                out[r, s] = {
                    "expected": expected,
                    "average": average,
                    "observed": 2.0 * average - expected + rest,
                }[kind]
        return out

    def satterthwaite(self, kind="observed"):
        """Degrees of freedom of the contrasts."""
        w, found = np.linalg.inv(self.information(kind)), []
        for c in CONTRASTS:
            left = c @ self.half
            gradient = np.array([left @ v @ left for v in self.slopes])
            found.append(2.0 * (c @ self.phi @ c) ** 2 / (gradient @ w @ gradient))
        return np.array(found)

    def adjusted(self, kind, linear):
        w = np.linalg.inv(self.information(kind))
        inner = sum(
            w[r, s] * (a @ self.p @ b - (0.0 if linear else 0.25) * self.bends[r][s])
            for r, a in enumerate(self.slopes)
            for s, b in enumerate(self.slopes)
        )
        return self.phi + 2.0 * self.half @ inner @ self.half.T


def differences(function, at, step=2e-3):
    """A matrix function, its first and second derivatives by differences to order 4."""
    h = step * np.maximum(np.abs(at), 0.1)
    unit, m = np.diag(h), len(at)
    middle = function(at)
    first, second = [], [[None] * m for _ in range(m)]
    for r in range(m):
        e = unit[r]
        near = function(at + e), function(at - e)
        far = function(at + 2.0 * e), function(at - 2.0 * e)
        first.append((8.0 * (near[0] - near[1]) - far[0] + far[1]) / (12.0 * h[r]))
        second[r][r] = (16.0 * sum(near) - sum(far) - 30.0 * middle) / (
            12.0 * h[r] ** 2
        )
        for s in range(r):
            d = unit[s]
            mixed = [
                function(at + k * e + k * d)
                - function(at + k * e - k * d)
                - function(at - k * e + k * d)
                + function(at - k * e - k * d)
                for k in (1.0, 2.0)
            ]
            cross = (16.0 * mixed[0] - mixed[1]) / (48.0 * h[r] * h[s])
            second[r][s] = second[s][r] = cross
    return middle, first, second


@functools.cache
def dense(name, reml=True, centered=False):
    return Dense(name, reml, centered)


def whitened(deviance):
    return CONTRASTS @ np.linalg.inv(deviance.fixed_root).T


@pytest.mark.parametrize("name", CASES)
def test_satterthwaite(name):
    deviance = optimum(name)
    found = contrast_df(satterthwaite(deviance).slopes, whitened(deviance))
    assert_allclose(found, dense(name).satterthwaite(), rtol=1e-5)


@pytest.mark.parametrize("information", [None, "expected"])
@pytest.mark.parametrize("name", CASES)
def test_kenward_roger(name, information):
    deviance, twin = optimum(name), dense(name, centered=True)
    kind = information or "observed"
    rows = whitened(deviance)
    for linear in (False, True):
        found = kenward_roger(deviance, information, linear)
        variances = rows @ found.covariance @ rows.T * deviance.scale
        expected = CONTRASTS @ twin.adjusted(kind, linear) @ CONTRASTS.T
        assert_allclose(variances, expected, rtol=1e-6, atol=1e-7)
    degrees = contrast_df(found.slopes, rows)
    assert_allclose(degrees, twin.satterthwaite(kind), rtol=1e-5)


@pytest.mark.parametrize("kind", ["expected", "average", "observed"])
@pytest.mark.parametrize("name", CASES)
def test_joint_information(name, kind):
    deviance, twin = optimum(name), dense(name)
    _, slopes, _ = differences(twin.natural, twin.user(deviance))
    change = np.array(slopes).T
    expected = change.T @ twin.information(kind) @ change
    size = np.sqrt(np.diagonal(expected))
    found = joint_information(deviance, kind)
    assert_allclose(
        found / np.outer(size, size), expected / np.outer(size, size), atol=1e-6
    )


@pytest.mark.parametrize("name", ["ar1 within slopes", "variances by a covariate"])
def test_maximum_likelihood(name):
    deviance, twin = optimum(name, False), dense(name, False)
    found = contrast_df(satterthwaite(deviance).slopes, whitened(deviance))
    assert_allclose(found, twin.satterthwaite(), rtol=1e-5)
    for kind in ("expected", "observed"):
        found = np.diagonal(joint_information(deviance, kind))
        assert_allclose(found, np.diagonal(twin.information(kind)), rtol=1e-6)


def test_a_hessian_that_does_not_fit_is_differenced(monkeypatch):
    name = "ar1 within slopes"
    deviance = optimum(name)
    exact = contrast_df(satterthwaite(deviance).slopes, whitened(deviance))
    monkeypatch.setattr(correlated_forms, "LARGEST", 0)
    again = deviance.elsewhere(deviance.point)
    found = contrast_df(satterthwaite(again).slopes, whitened(again))
    assert_allclose(found, exact, rtol=1e-5)
    assert (found != exact).any()
    with pytest.raises(MemoryError, match="satterthwaite"):
        kenward_roger(again)


def test_batches_of_columns_change_nothing(monkeypatch):
    whole = [optimum(name).derivatives(True).curvature for name in CASES]
    name = "fading, unequal"
    adjusted = kenward_roger(optimum(name)).covariance
    monkeypatch.setattr(correlated_forms, "ENTRIES", 1)
    monkeypatch.setattr(natural, "ENTRIES", 1)
    again = kenward_roger(optimum(name)).covariance
    assert_allclose(again, adjusted, rtol=1e-9, atol=1e-12)
    for name, expected in zip(CASES, whole):
        deviance = optimum(name)
        again = deviance.elsewhere(deviance.point).derivatives(True)
        assert_allclose(again.curvature, expected, rtol=1e-9, atol=1e-9)
