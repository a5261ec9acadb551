"""
Influence of rows and of groups of rows.

Held against generalized least squares of the remaining rows with the dense n x n
covariance, against OLSInfluence where there are no random effects, against refits,
and against numbers of lme4.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from samples import N, load, quiet, sample

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.uncertainty import case_deletion
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.inference import parallel
from statsmodels_lmm.inference.deletion.influence import MixedInfluence, influence

MODELS = {
    "crossed": ("y ~ x + f + (x | g) + (1 | h)", {}, {}),
    "ml": ("y ~ x + f + (x | g) + (1 | h)", {}, {"reml": False}),
    "weights": ("y ~ x + f + (x | g) + (1 | h)", {"weights": "w"}, {}),
    "offset": ("y ~ x + f + offset(o) + (1 | h)", {}, {}),
    "chain": ("y ~ x + f + (1 | g) + (x | m)", {}, {}),
    "nested": ("y ~ x + f + (1 | g / c)", {"weights": "w"}, {"reml": False}),
    "terms": ("y ~ x + (x || g) + (1 | h)", {}, {}),
    "singular": ("y ~ x + f + (flat | h) + (1 | g)", {}, {}),
    "redundant": ("y ~ x + f + same + (x | g)", {}, {}),
    "no fixed": ("y ~ 0 + (x | g) + (1 | h)", {}, {}),
}


@pytest.fixture(scope="module")
def data():
    """The shared sample, with labels of the rows."""
    return sample().set_index(pd.Index([f"r{7 * i % N}" for i in range(N)]))


def fit(formula, data, options=None, how=None):
    return quiet(formula, data, **(options or {}), **(how or {}))


@pytest.fixture(scope="module", params=MODELS)
def case(request, data):
    return Dense(fit(MODELS[request.param][0], data, *MODELS[request.param][1:]))


class Dense:
    """A fit, and generalized least squares with its relative covariances."""

    def __init__(self, result):
        self.result, self.model = result, result.model
        self.raw, n = result._results, int(result.nobs)
        self.kept = np.isfinite(result.params.to_numpy())
        self.x = self.model.exog[:, self.kept]
        weights, offset = self.model.weights, self.model.offset
        self.noise = np.eye(n) if weights is None else np.diag(1.0 / weights)
        self.y = self.model.endog - (0.0 if offset is None else offset)
        covariances = result.cov_re
        self.v = self.noise.copy()
        for effects in self.model.random:
            z, codes = effects.grouped.effects, effects.grouped.codes
            relative = covariances[effects.name].to_numpy() / result.scale
            self.v += (z @ relative @ z.T) * (codes[:, None] == codes)

    def without(self, out):
        """Fixed effects, normalized covariance and scale without some rows."""
        keep = ~out
        x, y = self.x[keep], self.y[keep]
        root = np.linalg.cholesky(self.v[np.ix_(keep, keep)])
        x, y = np.linalg.solve(root, x), np.linalg.solve(root, y)
        beta = np.linalg.lstsq(x, y, rcond=None)[0]
        nu = len(y) - (x.shape[1] if self.raw.reml else 0)
        rest = y - x @ beta
        return beta, np.linalg.inv(x.T @ x), rest @ rest / nu

    def smoother(self):
        """The matrix that makes fitted values, less the offset, of the response."""
        inverse = np.linalg.inv(self.v)
        x = self.x
        fixed = x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse)
        random = (self.v - self.noise) @ inverse
        return fixed + random @ (np.eye(len(x)) - fixed)

    def check(self, found, groups):
        """Everything about groups of rows, or about single rows."""
        full, covariance, _ = self.without(np.zeros(len(self.y), dtype=bool))
        scale, p = self.result.scale, len(full)
        rows = [self.without(out) for out in groups]
        betas = np.array([r[0] for r in rows])
        scales = np.array([r[2] for r in rows])
        kept = self.kept
        assert found.params_without.loc[:, ~kept].isna().all(axis=None)
        options = {"rtol": 1e-7, "atol": 1e-8}
        assert_allclose(found.params_without.loc[:, kept], betas, **options)
        assert_allclose(found.dfbeta.loc[:, kept], full - betas, **options)
        assert_allclose(found.scale_without, scales, rtol=1e-8)
        errors = np.array([np.sqrt(s * np.diag(c)) for _, c, s in rows])
        assert_allclose(found.bse_without.loc[:, kept], errors, rtol=1e-7)
        ratio = [
            np.linalg.det(s * c) / np.linalg.det(scale * covariance) for _, c, s in rows
        ]
        assert_allclose(found.cov_ratio, ratio, rtol=1e-7)
        distances = np.array(
            [
                d @ np.linalg.solve(scale * covariance, d) / max(p, 1)
                for d in full - betas
            ]
        )
        return full - betas, errors, scales, distances


# against dense algebra -----------------------------------------------------


def test_the_models_are_what_they_are_named_for(data):
    assert fit(MODELS["singular"][0], data).is_singular
    assert fit(MODELS["redundant"][0], data).dropped == ["same[T.B]", "same[T.C]"]
    assert not len(fit(MODELS["no fixed"][0], data).params)


@pytest.mark.parametrize("group", ["g", "k"])
def test_groups(case, data, group):
    named = any(effects.name == group for effects in case.model.random)
    found = influence(case.result, group if named else data[group])
    levels = sorted(set(data[group]))
    assert list(found.labels) == levels
    assert found.labels.name == group
    assert not len(found.not_estimable)
    assert found.variance_params_without is None
    outs = [data[group].to_numpy() == level for level in levels]
    change, errors, _, distances = case.check(found, outs)
    d, p = found.cooks_distance
    options = {"rtol": 1e-6, "atol": 1e-8}
    assert_allclose(found.dfbetas.loc[:, case.kept], change / errors, **options)
    table = found.summary_frame()
    names = [f"dfb_{name}" for name in case.result.params.index]
    assert list(table) == [*names, "cooks_d", "cov_ratio"]
    if not case.kept.any():
        assert d.isna().all()
        assert p.isna().all()
        return
    assert_allclose(d, distances, **options)
    assert (p.rank() == (-d).rank()).all()


def test_rows(case, data):
    found = influence(case.result)
    n = len(data)
    change, _, scales, _ = case.check(found, np.eye(n, dtype=bool))
    matrix = case.smoother()
    hat = np.diag(matrix)
    assert_allclose(found.hat_matrix_diag, hat, rtol=1e-8, atol=1e-10)
    assert found.hat_matrix_diag.index.equals(data.index)
    # the variance of y - yhat is sigma^2 (I - M) V (I - M)'
    rest = np.eye(n) - matrix
    spread = np.sqrt(np.diag(rest @ case.v @ rest.T))
    studentized = rest @ case.y / spread / np.sqrt(case.result.scale)
    assert_allclose(found.resid_studentized, studentized, rtol=1e-6, atol=1e-9)
    external = rest @ case.y / spread / np.sqrt(scales)
    assert_allclose(found.resid_studentized_external, external, rtol=1e-6, atol=1e-9)
    _, covariance, _ = case.without(np.zeros(n, dtype=bool))
    errors = np.sqrt(scales[:, None] * np.diag(covariance))
    ours = found.dfbetas.loc[:, case.kept]
    assert_allclose(ours, change / errors, rtol=1e-6, atol=1e-8)
    if case.kept.any():
        # the change of all fitted values, in terms of the row's own residual
        deleted = rest @ case.y / np.diag(rest)
        weights = 1.0 / np.diag(case.noise)
        expected = weights * deleted**2 * hat / case.kept.sum() / case.result.scale
        assert_allclose(found.cooks_distance[0], expected, rtol=1e-6, atol=1e-9)


def test_every_way_to_find_a_deletion_agrees(data, monkeypatch):
    result = fit(MODELS["crossed"][0], data)
    wanted = influence(result, "g")
    for columns in (0, 25):  # each group by itself; several batches
        monkeypatch.setattr(case_deletion, "MAX_COLUMNS", columns)
        found = influence(result, "g")
        for name in ("dfbeta", "bse_without", "scale_without"):
            assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-8)


def test_batches_hold_few_columns(data, monkeypatch):
    result = fit(MODELS["chain"][0], data)
    wanted, sizes = influence(result, "m"), []
    original = case_deletion.error_covariance

    def watched(deviance, fixed, factors):
        sizes.append(len(fixed))
        return original(deviance, fixed, factors)

    monkeypatch.setattr(case_deletion, "error_covariance", watched)
    monkeypatch.setattr(case_deletion, "MAX_COLUMNS", 20)
    found = influence(result, "m")
    assert_allclose(found.dfbeta, wanted.dfbeta, rtol=1e-8, atol=1e-12)
    assert len(sizes) > 1
    assert max(sizes) <= 20


def test_groups_of_one_row_are_rows(data):
    result = fit(MODELS["weights"][0], data, {"weights": "w"})
    rows, groups = influence(result), influence(result, data.index)
    for name in ("dfbeta", "bse_without", "scale_without", "cov_ratio"):
        ours = getattr(groups, name).loc[data.index]
        assert_allclose(ours, getattr(rows, name), rtol=1e-7, atol=1e-10)


def test_without_random_effects_it_is_ols(data):
    # means within groups are removed, so that the groups differ less than by chance
    frame = data.assign(z=data["y"] - data.groupby("g")["y"].transform("mean"))
    result = fit("z ~ x + f + (1 | g)", frame)
    assert result.vcomp.iloc[0] == 0.0
    found = influence(result)
    wanted = sm.OLS(result.model.endog, result.model.exog).fit().get_influence()
    for name in (
        *("hat_matrix_diag", "resid_studentized", "resid_studentized_external"),
        *("dfbeta", "dfbetas", "cov_ratio"),
    ):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-11)
    assert_allclose(found.params_without, wanted.params_not_obsi, rtol=1e-8)
    for ours, theirs in zip(found.cooks_distance, wanted.cooks_distance):
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-11)
    table = wanted.summary_frame()
    shared = found.summary_frame().columns[4:]
    assert list(shared) == ["cooks_d", "standard_resid", "hat_diag", "student_resid"]
    ours = found.summary_frame()[shared]
    assert_allclose(ours, table[shared], rtol=1e-8, atol=1e-11)


# refits --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ml", "weights", "offset", "nested", "redundant"])
def test_refits(data, name):
    formula, options, how = MODELS[name]
    group = "h" if name == "offset" else "g"
    result = fit(formula, data, options, how)
    found = influence(result, group, refit=True)
    assert found.converged.all()
    for level in found.labels[[0, -1]]:
        rest = fit(formula, data[data[group] != level], options, how)
        assert_allclose(found.params_without.loc[level], rest.params, rtol=1e-5)
        assert_allclose(found.bse_without.loc[level], rest.bse, rtol=1e-5)
        assert_allclose(found.scale_without[level], rest.scale, rtol=1e-5)
        change = result.params - rest.params
        assert_allclose(
            found.dfbetas.loc[level], change / rest.bse, rtol=1e-3, atol=1e-5
        )
        kept = change.notna()
        covariance = result.cov_params().loc[kept, kept]
        distance = change[kept] @ np.linalg.solve(covariance, change[kept]) / kept.sum()
        assert_allclose(found.cooks_distance[0][level], distance, rtol=1e-3, atol=1e-6)
        ratio = np.linalg.det(rest.cov_params().loc[kept, kept])
        ratio /= np.linalg.det(covariance)
        assert_allclose(found.cov_ratio[level], ratio, rtol=1e-4)
        table = found.variance_params_without.loc[level]
        theta = table[table.index.str.startswith("theta")]
        assert_allclose(theta, rest.theta, rtol=1e-3, atol=1e-4)
        deviations = table[table.index.str.contains(": sd ")]
        assert_allclose(deviations, np.sqrt(rest.vcomp), rtol=1e-3, atol=1e-4)
        assert_allclose(table["sigma"], np.sqrt(rest.scale), rtol=1e-5)


def test_refits_by_processes(data):
    pytest.importorskip("joblib")
    result = fit(MODELS["weights"][0], data, {"weights": "w"})
    one, two = (influence(result, "g", refit=True, n_jobs=n) for n in (None, 2))
    assert_allclose(one.dfbeta, two.dfbeta, rtol=1e-8, atol=1e-12)
    pd.testing.assert_frame_equal(
        one.variance_params_without, two.variance_params_without, rtol=1e-8
    )


def test_joblib_is_optional(data, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(parallel, "import_module", missing)
    result = fit(MODELS["offset"][0], data)
    assert len(influence(result, "h", refit=True).dfbeta) == 12
    with pytest.raises(ImportError, match=r"statsmodels_lmm\[parallel\]"):
        influence(result, "h", refit=True, n_jobs=2)


def test_a_refit_that_cannot_be_made_says_why(data):
    frame = data[data["g"].isin(["g0", "g1"])]
    result = fit("y ~ x + (1 | g)", frame)
    with pytest.raises(DataError, match=r"no group can be left out: .* 1 level"):
        influence(result, "g", refit=True)
    assert np.isfinite(influence(result, "g").dfbeta).all(axis=None)


# what cannot be left out ---------------------------------------------------


@pytest.fixture
def determined(data):
    """Level c of f occurs in group g0 only, level b in one row only."""
    frame = data.assign(f=np.where(data["g"] == "g0", "c", "a"))
    frame.iloc[np.flatnonzero(frame["g"] == "g5")[1], frame.columns.get_loc("f")] = "b"
    return frame


@pytest.mark.parametrize("refit", [False, True])
def test_groups_that_determine_an_effect(determined, refit):
    result = fit("y ~ x + f + (1 | g) + (1 | h)", determined)
    with pytest.warns(DataWarning, match=r"without g g0 .*f\[T.c\].*1 more"):
        found = influence(result, "g", refit)
    assert found.not_estimable.to_dict() == {
        "g0": "the remaining rows do not determine f[T.c]",
        "g5": "the remaining rows do not determine f[T.b]",
    }
    gone = found.labels.isin(["g0", "g5"])
    for table in (found.dfbeta, found.dfbetas, found.params_without, found.bse_without):
        assert table[gone].isna().all(axis=None)
        assert table[~gone].notna().all(axis=None)
    for column in (found.cov_ratio, found.scale_without, *found.cooks_distance):
        assert (column.isna() == gone).all()


def test_rows_that_determine_an_effect(determined):
    result = fit("y ~ x + f + (1 | g) + (1 | h)", determined)
    with pytest.warns(DataWarning, match=r"f\[T.b\]"):
        found = influence(result)
    at = determined.index[determined["f"] == "b"]
    assert list(found.not_estimable.index) == list(at)
    assert_allclose(found.hat_matrix_diag[at], 1.0, rtol=1e-10)
    table = found.summary_frame()
    assert table.drop(columns="hat_diag").loc[at].isna().all(axis=None)
    assert table.drop(index=at).notna().all(axis=None)


@pytest.mark.parametrize("group", [None, "g"])
def test_a_far_row_loses_no_digits(data, group):
    frame = data.copy()
    far = np.flatnonzero(frame["g"] == "g3")[0]
    frame.iloc[far, frame.columns.get_loc("x")] = 1e5
    result = fit("y ~ x + (1 | g) + (1 | h)", frame)
    dense = Dense(result)
    out = np.arange(N) == far if group is None else frame["g"].to_numpy() == "g3"
    beta, covariance, scale = dense.without(out)
    found = influence(result, group)
    at = frame.index[far] if group is None else "g3"
    assert_allclose(found.params_without.loc[at], beta, rtol=1e-7)
    assert_allclose(found.scale_without[at], scale, rtol=1e-7)
    errors = np.sqrt(scale * np.diag(covariance))
    assert_allclose(found.bse_without.loc[at], errors, rtol=1e-6)
    ratio = np.linalg.det(scale * covariance) / np.linalg.det(result.cov_params())
    assert_allclose(found.cov_ratio[at], ratio, rtol=1e-5)


def test_too_few_rows_are_left(data):
    frame = data.iloc[:12].assign(half=np.arange(12) < 8)
    columns = np.random.default_rng(3).standard_normal((12, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CrossedMixedLM(frame["y"], columns, {"c": frame["c"]})
        result = model.fit()
    with pytest.warns(DataWarning, match="without half True"):
        found = influence(result, frame["half"])
    assert found.params_without.loc[True].isna().all()
    assert found.params_without.loc[False].notna().all()


# groups --------------------------------------------------------------------


def test_ways_to_say_which_groups(data):
    result = fit("y ~ x + f + (1 | g / c) + (1 | h)", data)
    wanted = influence(result, "g").dfbeta
    labels = data["g"]
    for given in (
        *(labels.to_numpy(), list(labels), pd.Categorical(labels), pl.Series(labels)),
        # by label, whatever the order
        labels.sort_values(),
    ):
        assert_allclose(influence(result, given).dfbeta, wanted, rtol=1e-12)
    both = influence(result, "g:c")
    assert list(both.labels) == sorted(set(labels + ":" + data["c"].astype(str)))
    swapped = influence(result, "c:g").dfbeta
    swapped.index = [":".join(reversed(label.split(":"))) for label in swapped.index]
    assert_allclose(swapped.loc[both.labels], both.dfbeta, rtol=1e-9, atol=1e-12)
    by_column = influence(result, "f")
    assert list(by_column.labels) == ["a", "b", "c"]


def test_rows_with_gaps_are_left_out(data):
    frame = data.copy()
    frame.iloc[[3, 40], 0] = np.nan
    result = fit("y ~ x + (1 | g)", frame)
    found = influence(result)
    assert found.labels.equals(frame.index.delete([3, 40]))
    complete = influence(fit("y ~ x + (1 | g)", frame.dropna()), frame.dropna()["h"])
    assert_allclose(influence(result, frame["h"]).dfbeta, complete.dfbeta, rtol=1e-9)
    with pytest.raises(DataError, match=r"shape \(120,\) but the model 118 rows"):
        influence(result, frame["h"].to_numpy())


def test_models_of_arrays(data):
    formula = fit("y ~ x + (1 | g)", data)
    design = sm.add_constant(data["x"].to_numpy())
    result = CrossedMixedLM(data["y"].to_numpy(), design, {"g": data["g"]}).fit()
    found = influence(result)
    assert found.labels.equals(pd.RangeIndex(N))
    assert_allclose(found.dfbetas, influence(formula).dfbetas, rtol=1e-6, atol=1e-9)
    for refit in (False, True):
        ours, theirs = (influence(r, "g", refit).dfbeta for r in (result, formula))
        assert_allclose(ours, theirs, rtol=1e-5, atol=1e-8)
        assert list(ours.index) == list(theirs.index)


def test_what_is_refused(data):
    result = fit(MODELS["offset"][0], data)
    with pytest.raises(ValueError, match=r"no grouping factor or column 'z'.* h, y, x"):
        influence(result, "z")
    with pytest.raises(ValueError, match="refit=True needs a group"):
        influence(result, refit=True)
    with pytest.raises(DataError, match="only one value"):
        influence(result, np.ones(N))
    with pytest.raises(DataError, match="missing"):
        influence(result, np.where(data["x"] > 2.0, data["x"], np.nan))
    result.remove_data()
    with pytest.raises(DataError, match="removed"):
        influence(result)


def test_labels_may_repeat(data):
    result = fit("y ~ x + (1 | g)", data.set_index(data["h"].to_numpy()))
    table = influence(result).summary_frame()
    wanted = influence(fit("y ~ x + (1 | g)", data)).summary_frame()
    assert_allclose(table, wanted, rtol=1e-10)
    assert (table.index == data["h"]).all()


def test_it_can_be_pickled(data):
    found = influence(fit(MODELS["crossed"][0], data), "g")
    again = pickle.loads(pickle.dumps(found))
    assert isinstance(again, MixedInfluence)
    assert_allclose(again.summary_frame(), found.summary_frame(), rtol=1e-9)


# invariances ---------------------------------------------------------------


@pytest.mark.parametrize("group", [None, "g"])
def test_invariances(data, group):
    formula = "y ~ x + f + (x | g) + (1 | h)"
    wanted = influence(fit(formula, data), group).summary_frame()
    rng = np.random.default_rng(5)
    names = dict(zip(sorted(set(data["g"])), [f"n{i}" for i in rng.permutation(10)]))
    changed = data.iloc[rng.permutation(N)]
    changed = changed.assign(
        g=changed["g"].map(names), x=1e3 * changed["x"], y=1e-3 * changed["y"] + 7.0
    )
    found = influence(fit(formula, changed), group).summary_frame()
    if group is None:
        found = found.loc[wanted.index]
    else:
        found = found.loc[[names[level] for level in wanted.index]]
    assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


# against lme4 --------------------------------------------------------------


def test_rows_of_sleepstudy():
    # lme4 1.1-31, lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
    data = load("sleepstudy")
    found = influence(fit("Reaction ~ Days + (Days | Subject)", data))
    hat = [0.22930299, 0.16972925, 0.12682322, 0.10058490]
    assert_allclose(found.hat_matrix_diag[:4], hat, rtol=1e-6)
    assert_allclose(found.hat_matrix_diag.sum(), 29.022067, rtol=1e-6)
    cook = [0.0049631239, 0.0402059487, 0.2260977559, 0.0073132036]
    assert_allclose(found.cooks_distance[0][:4], cook, rtol=1e-5)
    student = [-0.18265414, -0.62717925, -1.76447224, 0.36164505]
    assert_allclose(found.resid_studentized[:4], student, rtol=1e-6)


def test_weighted_rows_of_penicillin():
    # lme4 1.1-31, lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin,
    # weights = 1 + seq_len(144) %% 3, REML = FALSE)
    data = load("penicillin")
    data["w"] = 1.0 + np.arange(1, 145) % 3
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    found = influence(fit(formula, data, {"weights": "w"}, {"reml": False}))
    hat = [0.19044966, 0.26495851, 0.11584765, 0.19044966]
    assert_allclose(found.hat_matrix_diag[:4], hat, rtol=1e-6)
    assert_allclose(found.hat_matrix_diag.sum(), 27.4202797, rtol=1e-6)
    cook = [1.1945683690, 0.2420564443, 0.0345122063, 0.3396399191]
    assert_allclose(found.cooks_distance[0][:4], cook, rtol=1e-5)
    student = [2.25339504, 0.81945538, 0.51322322, -1.20154819]
    assert_allclose(found.resid_studentized[:4], student, rtol=1e-6)


def test_refits_of_sleepstudy():
    # lme4 1.1-31, the same model without subjects 308, 309 and 310
    data = load("sleepstudy")
    result = fit("Reaction ~ Days + (Days | Subject)", data)
    found = influence(result, "Subject", refit=True)
    labels = found.labels[:3]
    assert [str(label) for label in labels] == ["308", "309", "310"]
    beta = [[251.82936578, 9.80273205], [254.13158483, 10.94996246]]
    assert_allclose(found.params_without.loc[labels[:2]], beta, rtol=1e-7)
    table = found.variance_params_without.loc[labels]
    assert_allclose(table["sigma"], [23.64696244, 26.24564609, 26.16367899], rtol=1e-6)
    theta = [
        [1.11414979, 0.01306667, 0.23308294],
        [0.86096748, -0.02587940, 0.21698488],
    ]
    assert_allclose(table.iloc[:2, -3:], theta, rtol=1e-4)
    cook = [0.0924170441, 0.1485247791, 0.1105220932]
    assert_allclose(found.cooks_distance[0][labels], cook, rtol=1e-6)


def test_refits_of_penicillin():
    # lme4 1.1-31, the model by ML without samples A, B and C
    data = load("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    found = influence(fit(formula, data, how={"reml": False}), "sample", refit=True)
    assert_allclose(found.params_without.iloc[:2, 0], [22.53333333, 23.175], rtol=1e-8)
    sigma = found.variance_params_without["sigma"].iloc[:3]
    assert_allclose(sigma, [0.55431203, 0.55935176, 0.56016331], rtol=1e-6)
    cook = [0.3474305582, 0.0741650955, 0.2727783585]
    assert_allclose(found.cooks_distance[0].iloc[:3], cook, rtol=1e-6)
