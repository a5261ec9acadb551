"""Scans in coordinates in which V is diagonal, against dense searches."""

from dataclasses import replace

import numpy as np
import pytest
from scan_cases import dense_best, dense_fit, genotypes, people

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.scans import windows
from statsmodels_lmm.core.scans.estimates import (
    CONSTANT,
    EMPTY,
    NOT_FOUND,
    REPRODUCED,
    SPANNED,
)
from statsmodels_lmm.core.scans.rotated import UNBOUNDED, RotatedModel


class Case:
    """A model in standardized units, with its dense V."""

    def __init__(self, kind="families", reml=True, seed=0):
        data, k = people(seed=seed)
        rng = np.random.default_rng(seed + 10)
        n = len(data)
        self.reml, self.k = reml, k.to_numpy()
        self.counts = genotypes(data, 12).to_numpy(float)
        root = np.linalg.cholesky(self.k)
        self.y = {
            "families": data["trait"].to_numpy(),
            "no variance": rng.normal(size=n),
            "less than none": rng.normal(size=(20, 6)),
            "only genes": root @ rng.normal(size=n),
            "more than genes": self.k @ self.k @ rng.normal(size=n),
            "one candidate": 3.0 * self.counts[:, 4] + 0.2 * root @ rng.normal(size=n),
        }[kind]
        if kind == "less than none":  # relatives differ more than strangers do
            self.y = (self.y - self.y.mean(axis=1, keepdims=True)).ravel()
        if kind == "one candidate":
            self.y = self.y + 0.3 * rng.normal(size=n)
        self.x = np.column_stack([np.ones(n), data["sex"]])
        term = GroupedEffects(
            np.arange(n), n, np.ones((n, 1)), (1,), relationship=Relationship(self.k)
        )
        self.data = standardize(self.y, self.x, [term])
        self.model = RotatedModel.of(self.data, reml)
        self.unit = float(self.data.to_effects[0][0, 0]) ** 2

    def columns(self):
        return self.counts - self.counts.mean(axis=0)

    def found(self, *args, **kwargs):
        """Estimates with effects and standard errors in the data's units."""
        out = self.model.estimates(self.columns(), *args, **kwargs)
        nu = out.df_resid if self.reml else out.nobs
        effect = out.effect[:, 0] * self.data.response_scale
        root = np.sqrt(out.squares / nu / out.information[:, 0, 0])
        return out, effect, root * self.data.response_scale

    def dense(self, j, ratio=None, rows=slice(None)):
        x = np.column_stack([self.x, self.counts[:, j]])[rows]
        y, k = self.y[rows], self.k[rows][:, rows]
        if ratio is None:
            ratio = dense_best(y, x, k, self.reml)
        beta, covariance, _, value = dense_fit(
            y, x, np.eye(len(y)) + ratio * k, self.reml
        )
        return ratio, beta[-1], np.sqrt(covariance[-1, -1]), value


KINDS = [
    "families",
    "no variance",
    "less than none",
    "only genes",
    "more than genes",
    "one candidate",
]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_is_at_the_lowest_point_of_the_criterion(kind, reml):
    case = Case(kind, reml)
    out, effects, errors = case.found(True)
    assert not out.reason.any()
    for j in range(12):
        own = out.ratio[j] * case.unit
        best, effect, se, value = case.dense(j)
        if 1e-6 < best < 1e3:
            assert np.isclose(own, best, rtol=1e-4)
        finite = min(own, 1e9)
        at = case.dense(j, finite)
        # at the same ratio all digits agree, and the criterion is not higher
        assert abs(effects[j] - at[1]) < 2e-8 * at[2]
        assert np.isclose(errors[j], at[2], rtol=1e-8)
        assert at[3] <= value + 1e-8
        assert abs(effects[j] - effect) < 1e-3 * se


def test_the_ends_of_the_range_are_reached():
    none, _, _ = Case("less than none").found(True)
    assert (none.ratio == 0.0).all()
    assert (none.spread == 0.0).all()
    for seed in range(6):
        some, _, _ = Case("no variance", seed=seed).found(True)
        assert (some.spread[some.ratio == 0.0] == 0.0).all()
    only, _, _ = Case("more than genes").found(True)
    assert (only.ratio > UNBOUNDED).all()


@pytest.mark.parametrize("reml", [True, False])
def test_held_is_generalized_least_squares_at_the_null(reml):
    case = Case(reml=reml)
    out, effects, errors = case.found(False)
    ratio = case.model.best_ratio * case.unit
    assert np.isclose(ratio, dense_best(case.y, case.x, case.k, reml), rtol=1e-4)
    v = np.eye(len(case.y)) + ratio * case.k
    _, _, squares, null = dense_fit(case.y, case.x, v, reml)
    for j in range(12):
        _, effect, se, value = case.dense(j, ratio)
        assert abs(effects[j] - effect) < 1e-11 * se
        assert np.isclose(errors[j], se, rtol=1e-11)
        if not reml:
            gain = out.null_value[j] - out.value[j]
            assert np.isclose(gain, null - value, atol=1e-9)
    scale = case.data.response_scale**2
    assert np.allclose(out.null_squares * scale, squares, rtol=1e-11)


def test_the_spread_is_that_of_the_logarithm_of_the_variance():
    case = Case()
    out, _, _ = case.found(True)
    y, x, k = case.y, case.x, case.k
    for j in range(4):
        whole = np.column_stack([x, case.counts[:, j]])
        center, step = np.log(out.ratio[j] * case.unit), 1e-3

        def at(t, whole=whole):
            fit = dense_fit(y, whole, np.eye(len(y)) + np.exp(t) * k, True)
            return np.log(fit[1][-1, -1]), fit[3]

        low, middle, high = (at(center + d) for d in (-step, 0.0, step))
        slope = (high[0] - low[0]) / (2 * step)
        curvature = (high[1] - 2 * middle[1] + low[1]) / step**2
        assert np.isclose(out.spread[j], 2.0 * slope**2 / curvature, rtol=1e-3)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("is_exact", [True, False])
def test_rows_left_out_are_as_if_they_were_not_there(is_exact, reml):
    case = Case(reml=reml)
    rows = np.array([2, 40, 77])
    kept = np.setdiff1d(np.arange(len(case.y)), rows)
    columns = case.counts[:, [0]] - case.counts[kept, 0].mean()
    columns[rows] = 0.0
    out = case.model.left_out(rows).estimates(columns, is_exact)
    ratio = None if is_exact else case.model.best_ratio * case.unit
    ratio, effect, se, value = case.dense(0, ratio, kept)
    assert np.isclose(out.ratio[0] * case.unit, ratio, rtol=1e-4)
    ratio, effect, se, value = case.dense(0, out.ratio[0] * case.unit, kept)
    assert abs(out.effect[0, 0] * case.data.response_scale - effect) < 1e-8 * se
    assert out.nobs[0] == len(kept)
    assert out.df_resid[0] == len(kept) - 3
    if not reml:
        y, x, k = case.y[kept], case.x[kept], case.k[np.ix_(kept, kept)]
        own = dense_best(y, x, k, reml) if is_exact else ratio
        null = dense_fit(y, x, np.eye(len(y)) + own * k, reml)[3]
        gain = out.null_value[0] - out.value[0]
        assert np.isclose(gain, null - value, atol=1e-7)


def test_rows_left_out_may_leave_x_short_of_rank():
    case = Case()
    rows = np.flatnonzero(case.x[:, 1] == 1.0)
    left = case.model.left_out(rows)
    assert left.k_fixed == 1
    columns = case.columns()[:, [0]]
    columns[rows] = 0.0
    out = left.estimates(columns, True)
    kept = np.flatnonzero(case.x[:, 1] == 0.0)
    assert out.df_resid[0] == len(kept) - 2


@pytest.mark.parametrize("reml", [True, False])
def test_a_set_is_estimated_together(reml):
    case = Case(reml=reml)
    for is_exact in (True, False):
        columns = case.columns()[:, :3]
        out = case.model.estimates(columns, is_exact, is_set=True)
        ratio = out.ratio[0] * case.unit
        x = np.column_stack([case.x, case.counts[:, :3]])
        v = np.eye(len(case.y)) + ratio * case.k
        beta, covariance, _, _ = dense_fit(case.y, x, v, reml)
        scale = case.data.response_scale
        assert np.allclose(out.effect[0] * scale, beta[-3:], atol=1e-9)
        nu = out.df_resid[0] if reml else out.nobs[0]
        own = out.squares[0] / nu * np.linalg.inv(out.information[0]) * scale**2
        assert np.allclose(own, covariance[-3:, -3:], rtol=1e-8)
        if is_exact:
            assert np.isclose(ratio, dense_best(case.y, x, case.k, reml), rtol=1e-4)


def test_candidates_without_an_estimate_have_a_reason():
    case = Case()
    n = len(case.y)
    sex = case.x[:, 1] - case.x[:, 1].mean()
    y = case.y - case.y.mean()
    columns = np.column_stack(
        [np.zeros(n), sex, sex + 1e-7 * case.columns()[:, 0], y, case.columns()[:, 0]]
    )
    for is_exact in (True, False):
        out = case.model.estimates(columns.copy(), is_exact)
        assert out.reason.tolist() == [CONSTANT, SPANNED, SPANNED, REPRODUCED, 0]
        alone = case.model.estimates(columns[:, [4]].copy(), is_exact)
        assert np.isclose(out.effect[4], alone.effect[0])


def test_a_set_with_nothing_left_has_the_reason_of_its_columns():
    case = Case()
    columns = np.column_stack([case.x[:, 1] - case.x[:, 1].mean()])
    out = case.model.estimates(columns, True, is_set=True)
    assert out.reason.tolist() == [SPANNED]
    both = np.column_stack([case.columns()[:, 0], case.x[:, 1] - case.x[:, 1].mean()])
    out = case.model.estimates(both, True, is_set=True)
    assert out.reason.tolist() == [SPANNED]


def test_too_few_rows_are_said():
    case = Case()
    left = case.model.left_out(np.arange(3, len(case.y)))
    columns = case.columns()[:, [0]]
    columns[3:] = 0.0
    assert left.estimates(columns, True).reason.tolist() == [EMPTY]


def test_a_search_that_does_not_end_is_not_an_estimate(monkeypatch):
    case = Case()
    far = replace(case.model, ratio=1e4)
    found = far.estimates(case.columns(), True)
    assert np.allclose(found.effect, case.found(True)[0].effect, rtol=1e-8)
    monkeypatch.setattr("statsmodels_lmm.core.scans.rotated.ROUNDS", 1)
    assert (far.estimates(case.columns(), True).reason == NOT_FOUND).all()


def test_levels_that_x_determines_have_no_variance():
    codes = np.repeat(np.arange(4), 10)
    y = np.random.default_rng(0).normal(size=40)
    x = (codes[:, None] == np.arange(4)).astype(float)
    term = GroupedEffects(codes, 4, np.ones((40, 1)), (1,))
    model = RotatedModel.of(standardize(y, x, [term]), True)
    assert model.is_known
    columns = np.random.default_rng(1).normal(size=(40, 2))
    exact, held = (model.estimates(columns.copy(), e) for e in (True, False))
    assert (exact.ratio == 0.0).all()
    assert np.array_equal(exact.effect, held.effect)


def test_large_means_and_extreme_explanations_keep_their_digits():
    case = Case()
    noisy = 1e5 * case.x[:, [1]] + case.columns()[:, :1]
    plain = case.model.estimates(case.columns()[:, :1], True)
    out = case.model.estimates(noisy - noisy.mean(), True)
    assert np.isclose(out.effect[0, 0], plain.effect[0, 0], rtol=1e-7)


def test_windows_are_those_of_the_model():
    case = Case()
    first = case.model.windows.each[case.model.windows.first]
    assert isinstance(first, windows.Window)
    assert np.isclose(first.ratio(0.0), case.model.best_ratio)
