"""
Degrees of freedom and F tests of fixed effects.

They are held against n x n matrices in the units of the data, against exact results
for balanced designs and against numbers of lmerTest and pbkrtest.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import N, load, quiet
from scipy import stats

from statsmodels_lmm import CrossedMixedLM, datasets
from statsmodels_lmm.core.uncertainty.small_sample import AdjustedCovariance
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.fixed.degrees_of_freedom import (
    DF_METHODS,
    FixedInference,
    inference,
)

SMALL = ("satterthwaite", "kenward-roger")
MODELS = {
    # formula, options, (columns of the factor, effects, group of each effect)
    "crossed": (
        "x + f + (x | g) + (1 | h)",
        {},
        [("g", "1x", [0, 0]), ("h", "1", [0])],
    ),
    "weights": (
        "x + f + (x | g) + (1 | h)",
        {"weights": "w"},
        [("g", "1x", [0, 0]), ("h", "1", [0])],
    ),
    "offset": ("x + f + offset(o) + (1 | h)", {}, [("h", "1", [0])]),
    "nested": ("x + f + (1 | g / c)", {}, [("gc", "1", [0]), ("g", "1", [0])]),
    "terms": ("x + f + (x || g) + (1 | h)", {}, [("g", "1x", [0, 1]), ("h", "1", [0])]),
    "singular": (
        "x + f + (flat | h) + (1 | g)",
        {},
        [("h", "1z", [0, 0]), ("g", "1", [0])],
    ),
    "redundant": ("x + f + same + (x | g)", {}, [("g", "1x", [0, 0])]),
}


class Dense:
    """A fit, its covariance and the slopes of it by dense linear algebra."""

    def __init__(self, name, data, reml):
        formula, options, factors = MODELS[name]
        self.result = quiet(f"y ~ {formula}", data, reml, **options)
        self.kept = np.isfinite(self.result.params.to_numpy())
        self.s = self.result.scale
        f = data["f"].to_numpy()
        columns = {"Intercept": np.ones(N), "x": data["x"].to_numpy()}
        columns |= {"f[T.b]": f == "b", "f[T.c]": f == "c"}
        names = self.result.params.index[self.kept]
        self.x = np.column_stack([columns[n] for n in names]).astype(float)
        weights = data["w"] if "weights" in options else np.ones(N)
        self.noise = np.diag(1.0 / np.asarray(weights))
        self.y = (data["y"] - (data["o"] if name == "offset" else 0.0)).to_numpy()
        covariances = self.result.cov_re
        self.terms, variance = [], self.s * self.noise
        for key, effects, groups in factors:
            label = data[list(key)].astype(str).agg(":".join, axis=1).to_numpy()
            z = np.column_stack(
                [
                    {"1": np.ones(N), "x": data["x"], "z": data["flat"]}[e]
                    for e in effects
                ]
            )
            sigma = covariances[":".join(key)].to_numpy()
            same = label[:, None] == label[None]
            self.terms.append((z, same, sigma, np.array(groups)))
            variance = variance + z @ sigma @ z.T * same
        self.inverse = np.linalg.inv(variance)
        self.phi = np.linalg.inv(self.x.T @ self.inverse @ self.x)
        self.half = self.phi @ self.x.T @ self.inverse
        self.p = self.inverse - self.half.T @ self.x.T @ self.inverse

    def kenward_roger(self):
        """Adjusted covariance, W, and the derivatives of Phi."""
        slopes = []
        for z, same, _, groups in self.terms:
            for a in range(len(groups)):
                for b in range(a + 1):
                    if groups[a] == groups[b]:
                        unit = np.zeros((len(groups),) * 2)
                        unit[a, b] = unit[b, a] = 1.0
                        slopes.append(z @ unit @ z.T * same)
        slopes.append(self.noise)
        traces = [
            [np.sum((self.p @ a) * (self.p @ b).T) for b in slopes] for a in slopes
        ]
        w = inverse_of(np.array(traces), 2.0)
        bias = sum(
            w[i, j] * self.half @ a @ self.p @ b @ self.half.T
            for i, a in enumerate(slopes)
            for j, b in enumerate(slopes)
        )
        return self.phi + 2.0 * bias, w, [self.half @ a @ self.half.T for a in slopes]

    def satterthwaite(self):
        """Covariance of the entries of L and sigma^2, and the derivatives of Phi."""
        slopes, second = [], {}
        for z, same, sigma, groups in self.terms:
            root = relative_root(sigma / self.s)
            entries = []
            for column in range(len(groups)):
                if not root[:, column].any():
                    continue  # of a singular factor: Phi does not depend on it
                unit = np.eye(len(groups))
                for row in range(column, len(groups)):
                    if groups[row] == groups[column]:
                        change = np.outer(unit[row], root[:, column])
                        entries.append((row, column, len(slopes)))
                        slopes.append(self.s * (z @ (change + change.T) @ z.T) * same)
            for row, column, i in entries:
                for other, again, j in entries:
                    if column == again:
                        change = np.outer(unit[row], unit[other])
                        both = z @ (change + change.T) @ z.T * same
                        second[i, j] = self.s * both
        total = np.linalg.inv(self.inverse) / self.s
        m = len(slopes)
        for i in range(m):
            second[i, m] = second[m, i] = slopes[i] / self.s
        slopes.append(total)
        kernel = self.p if self.result.reml else self.inverse
        py = self.p @ self.y
        hessian = np.zeros((m + 1, m + 1))
        for i, a in enumerate(slopes):
            for j, b in enumerate(slopes):
                hessian[i, j] = 2.0 * py @ a @ self.p @ b @ py
                hessian[i, j] -= np.sum((kernel @ a) * (kernel @ b).T)
                if (i, j) in second:
                    hessian[i, j] += np.sum(kernel * second[i, j])
                    hessian[i, j] -= py @ second[i, j] @ py
        variance = inverse_of(hessian, 2.0)
        return self.phi, variance, [self.half @ a @ self.half.T for a in slopes]


def inverse_of(matrix, factor):
    size = np.sqrt(np.diag(matrix))
    scaled = matrix / np.outer(size, size)
    assert np.linalg.eigvalsh(scaled)[0] > 1e-6
    return factor * np.linalg.inv(scaled) / np.outer(size, size)


def relative_root(matrix):
    """Lower triangular root; a matrix of rank 1 has all of it in the first column."""
    values, vectors = np.linalg.eigh(matrix)
    half = vectors * np.sqrt(np.where(values > 1e-9 * values[-1], values, 0.0))
    root = np.linalg.qr(half.T)[1].T
    return np.where(np.abs(root) > 1e-9 * np.abs(root).max(initial=0.0), root, 0.0)


def full_rows(contrasts, kept):
    rows = np.zeros((len(contrasts), len(kept)))
    rows[:, kept] = contrasts
    return rows


CASES = [(m, "satterthwaite", r) for m in MODELS for r in (True, False)]
CASES += [(m, "kenward-roger", True) for m in MODELS]


@pytest.mark.parametrize(("name", "method", "reml"), CASES)
def test_dense(name, method, reml, data):
    dense = Dense(name, data, reml)
    found = inference(dense.result, method)
    kenward = method == "kenward-roger"
    covariance, variance, slopes = getattr(dense, method.replace("-", "_"))()
    kept = dense.kept
    assert_allclose(found.covariance[np.ix_(kept, kept)], covariance, rtol=1e-6)
    assert np.isnan(found.covariance[~kept]).all()
    contrasts = np.vstack([np.eye(kept.sum()), np.random.default_rng(3).normal(size=4)])
    for row, c in zip(full_rows(contrasts, kept), contrasts):
        gradient = np.array([c @ slope @ c for slope in slopes])
        df = 2.0 * (c @ dense.phi @ c) ** 2 / (gradient @ variance @ gradient)
        assert_allclose(found.df(row), df, rtol=2e-6)
        one, estimate = found.f_test(row), c @ dense.result.params[kept]
        assert_allclose(one.statistic, estimate**2 / (c @ covariance @ c), rtol=1e-6)
        assert_allclose(one.df_denom, df, rtol=2e-6)
        t = np.sqrt(one.statistic)
        assert_allclose(one.pvalue, 2.0 * stats.t.sf(t, one.df_denom), rtol=1e-8)
    joint = found.f_test(full_rows(contrasts[1:3], kept))
    two, params = contrasts[1:3], dense.result.params.to_numpy()[kept]
    wald = two @ params @ np.linalg.solve(two @ covariance @ two.T, two @ params) / 2
    values, vectors = np.linalg.eigh(two @ dense.phi @ two.T)
    if kenward:
        scale = joint.statistic / wald
        assert 0.9 < scale < 1.0
    else:
        assert_allclose(joint.statistic, wald, rtol=1e-6)
        each = []
        for value, c in zip(values, vectors.T @ two):
            gradient = np.array([c @ slope @ c for slope in slopes])
            each.append(2.0 * value**2 / (gradient @ variance @ gradient))
        excess = sum(2.0 / (nu - 2.0) for nu in each)
        assert_allclose(joint.df_denom, 2 * (2 + excess) / excess, rtol=2e-6)
    assert_allclose(
        joint.pvalue, stats.f.sf(joint.statistic, 2, joint.df_denom), rtol=1e-8
    )


def test_models_are_what_they_say(data):
    assert Dense("singular", data, True).result.is_singular
    assert not Dense("crossed", data, True).result.is_singular
    assert not Dense("redundant", data, True).kept.all()


# lmerTest 3.1-3 and pbkrtest 0.5.2 with lme4 1.1-31, optimizer bobyqa:
#   d <- subset(sleepstudy, !((as.integer(Subject) %% 4 == 1 & Days > 5) |
#                             (as.integer(Subject) %% 3 == 0 & Days < 2)))
#   m <- lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), d); coef(summary(m))
#   coef(summary(m, ddf = "Kenward-Roger")); KRmodcomp(m, L); contestMD(m, L)
#   with L <- rbind(c(0, 1, 0), c(0, 0, 1)); then (Days || Subject), then ML
SLEEP = {
    ("|", "satterthwaite", True): (
        [25.0625696012, 77.8596231363, 129.0101315187],
        [8.895674898744, 3.241918293679, 0.298672940907],
        (16.7479140451, 40.2964599864, 5.08360525251e-06),
    ),
    ("|", "kenward-roger", True): (
        [24.3026472551, 83.4826780831, 129.1728800336],
        [8.968219383249, 3.277873717948, 0.304169267944],
        (16.2615298962, 36.1245839146, 9.20071374385e-06),
    ),
    ("|", "satterthwaite", False): (
        [26.9170900200, 84.8807888033, 130.8879083812],
        [8.655855851644, 3.187696528312, 0.296606067522],
        (18.0535742752, 41.3470491001, 2.31413195276e-06),
    ),
    ("||", "satterthwaite", True): (
        [28.4173823545, 94.9730249281, 131.3586100860],
        [8.629081803666, 3.183186849579, 0.297195380093],
        (18.5828029913, 45.6993300399, 1.2423772891e-06),
    ),
    ("||", "kenward-roger", True): (
        [27.5006549385, 97.0591618061, 133.3349566297],
        [8.676508800695, 3.206119385894, 0.300588040422],
        (18.1455376459, 39.6768907774, 2.53347173430e-06),
    ),
}


def unbalanced_sleep():
    data = load("sleepstudy")
    number = data["Subject"].cat.codes + 1
    late = (number % 4 == 1) & (data["Days"] > 5)
    return data[~(late | ((number % 3 == 0) & (data["Days"] < 2)))]


@pytest.mark.parametrize(("bar", "method", "reml"), SLEEP)
def test_sleepstudy(bar, method, reml):
    df, se, joint = SLEEP[bar, method, reml]
    formula = f"Reaction ~ Days + I(Days**2) + (Days {bar} Subject)"
    found = inference(quiet(formula, unbalanced_sleep(), reml), method)
    # R's optimum is good to about 1e-6, and lmerTest differentiates numerically
    assert_allclose([found.df(row) for row in np.eye(3)], df, rtol=2e-5)
    assert_allclose(np.sqrt(np.diag(found.covariance)), se, rtol=1e-5)
    test = found.f_test(np.eye(3)[1:])
    assert_allclose((test.statistic, test.df_denom), joint[:2], rtol=2e-5)
    assert_allclose(test.pvalue, joint[2], rtol=2e-4)
    assert test.df_num == 2


def test_cake():
    """
    Several degrees of freedom, crossed factors, values under the hypothesis.

    As above, with k <- subset(cake, !(as.integer(replicate) %% 5 == 0 & recipe ==
    "B") & !(temp == 225 & as.integer(replicate) < 6)).
    """
    data = load("cake")
    number = data["replicate"].astype(int)
    some = (number % 5 == 0) & (data["recipe"] == "B")
    data = data[~some & ~((data["temp"] == 225) & (number < 6))]
    assert len(data) == 238
    formula = "angle ~ recipe * temp + (1 | replicate) + (1 | recipe:replicate)"
    result = quiet(formula, data)
    names = "Intercept recipe[T.B] recipe[T.C] temp recipe[T.B]:temp recipe[T.C]:temp"
    at = [list(result.params.index).index(name) for name in names.split()]
    rows = np.eye(6)[at]
    four = rows[[1, 2, 4, 5]]
    found = inference(result, "satterthwaite")
    expected = [212.328916141, 201.108763111, 201.066877438, 195.933925887]
    assert_allclose([found.df(r) for r in rows[:4]], expected, rtol=2e-5)
    test = found.f_test(four)
    assert_allclose(
        (test.statistic, test.df_denom, test.pvalue),
        (1.06114295186, 44.861722338, 0.386824059015),
        rtol=2e-5,
    )
    test = found.f_test([rows[3], rows[1] + rows[3]], [0.1, -1.0])
    assert_allclose(
        (test.statistic, test.df_denom), (5.14865257399, 199.779561144), rtol=2e-5
    )
    test = inference(result, "kenward-roger").f_test(four)
    assert_allclose(
        (test.statistic, test.df_denom, test.pvalue),
        (1.04484024693, 64.5511440799, 0.391117842403),
        rtol=2e-5,
    )


@pytest.mark.parametrize("method", SMALL)
def test_balanced_sleepstudy(method):
    """All contrasts of a balanced random-coefficient model have 17."""
    data = load("sleepstudy")
    result = quiet("Reaction ~ Days + (Days | Subject)", data)
    found = inference(result, method)
    for contrast in ([1.0, 0.0], [0.0, 1.0], [1.0, 4.5], [2.0, -7.0]):
        assert_allclose(found.df(contrast), 17.0, rtol=1e-6)
    # Hotelling's T^2 with 18 subjects
    if method == "kenward-roger":
        test = found.f_test(np.eye(2))
        assert_allclose((test.df_num, test.df_denom), (2, 16.0), rtol=1e-6)
        plain = inference(result, "asymptotic").f_test(np.eye(2))
        assert_allclose(test.statistic, plain.statistic * 16.0 / 17.0, rtol=1e-6)


@pytest.mark.parametrize("method", SMALL)
def test_invariance(method, data):
    """Rows, names of levels, units and origins do not matter."""
    formula = "y ~ x + f + (x | g) + (1 | h)"
    rng = np.random.default_rng(8)
    other = data.iloc[rng.permutation(N)].reset_index(drop=True)
    other["g"] = other["g"].map(dict(zip(data["g"].unique(), rng.permutation(10))))
    other["x"] = 1e-4 * other["x"] + 20.0
    other["y"] = 1e6 * other["y"] - 3.0
    here = inference(quiet(formula, data), method)
    there = inference(quiet(formula, other), method)
    slope, factor = [0, 0, 0, 1], [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert list(quiet(formula, data).params.index)[3] == "x"
    assert_allclose(there.df(slope), here.df(slope), rtol=1e-5)
    assert_allclose(there.covariance[3, 3], 1e20 * here.covariance[3, 3], rtol=1e-5)
    mean = np.array([1.0, 0.3, 0.3, 2.5])
    moved = np.array([1.0, 0.3, 0.3, 20.0 + 2.5e-4])
    assert_allclose(there.df(moved), here.df(mean), rtol=1e-4)
    for a, b in zip(
        (there.f_test(factor), there.f_test([[0, 0, 0, 5.0]])),
        (here.f_test(factor), here.f_test([[0, 0, 0, -1.0]])),
    ):
        assert_allclose((a.statistic, a.df_denom), (b.statistic, b.df_denom), rtol=1e-5)


@pytest.mark.parametrize("method", DF_METHODS)
def test_dependent_contrasts(method, data):
    """Contrasts that add nothing change nothing, but must agree."""
    found = inference(quiet("y ~ x + f + (x | g) + (1 | h)", data), method)
    rows, values = np.eye(4)[1:3], np.array([0.2, 0.5])
    mix = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    test, whole = found.f_test(rows, values), found.f_test(mix @ rows, mix @ values)
    assert test.df_num == whole.df_num == 2
    assert_allclose(whole.statistic, test.statistic, rtol=1e-8)
    if method != "satterthwaite":  # principal components depend on the rows
        assert_allclose(whole.df_denom, test.df_denom, rtol=1e-8)
    with pytest.raises(DataError, match="contradicts itself"):
        found.f_test(mix @ rows, [0.2, 0.5, 0.8, 0.0])
    with pytest.raises(DataError, match="contradicts itself"):
        found.f_test(mix @ rows, [0.2, 0.5, 0.7, 1.0])
    # contrasts of very different size are not mistaken for dependent ones
    scaled = np.array([1e-9, 1e9])
    again = found.f_test(scaled[:, None] * rows, scaled * values)
    assert again.df_num == 2
    assert_allclose(again.statistic, test.statistic, rtol=1e-8)


def test_asymptotic_and_residual(data):
    result = quiet("y ~ x + f + (x | g) + (1 | h)", data)
    rows, values = np.eye(4)[1:], np.array([0.2, 0.5, 0.1])
    wald = result.wald_test((rows, values), use_f=False, scalar=True)
    found = inference(result)
    assert found.method == "asymptotic"
    test = found.f_test(rows, values)
    assert_allclose(test.statistic * 3, wald.statistic, rtol=1e-8)
    assert_allclose(test.pvalue, wald.pvalue, rtol=1e-8)
    assert test.df_denom == found.df(rows[0]) == np.inf
    assert_allclose(found.covariance, result.cov_params(), rtol=1e-12)
    wald = result.wald_test((rows, values), use_f=True, scalar=True)
    found = inference(result, "residual")
    test = found.f_test(rows, values)
    assert_allclose(test.statistic, wald.statistic, rtol=1e-8)
    assert_allclose(test.pvalue, wald.pvalue, rtol=1e-8)
    assert test.df_denom == found.df(rows[0]) == result.df_resid == N - 4


@pytest.mark.parametrize("method", DF_METHODS)
def test_dropped_columns(method, data):
    result = quiet("y ~ x + f + same + (x | g)", data)
    plain = quiet("y ~ x + f + (x | g)", data)
    found, expected = inference(result, method), inference(plain, method)
    names = list(result.params.index)
    dropped = np.flatnonzero(result.params.isna())
    assert len(dropped) == 2
    unit = np.eye(len(names))
    assert np.isnan(found.df(unit[dropped[0]]))
    for name in plain.params.index:
        here = found.df(unit[names.index(name)])
        there = expected.df(np.eye(4)[list(plain.params.index).index(name)])
        assert_allclose(here, there, rtol=1e-6)
    rows = unit[[names.index("f[T.b]"), names.index("f[T.c]")]]
    other = np.eye(4)[[list(plain.params.index).index(n) for n in ("f[T.b]", "f[T.c]")]]
    test, same = found.f_test(np.vstack([rows, unit[dropped]])), expected.f_test(other)
    assert test.df_num == 2
    assert_allclose(test.statistic, same.statistic, rtol=1e-6)
    nothing = found.f_test(unit[dropped])
    assert nothing.df_num == 0
    assert np.isnan([nothing.statistic, nothing.df_denom, nothing.pvalue]).all()


def test_joint_test_without_an_f_distribution():
    """Kenward and Roger's formula would have negative degrees of freedom."""
    unit = np.eye(2)
    slopes = np.array([np.diag(row) for row in 2.0 * unit])
    found = FixedInference(
        "kenward-roger",
        np.array([1.0, 2.0]),
        unit,
        1.0,
        unit,
        uncertain=AdjustedCovariance(unit, slopes),
    )
    with pytest.warns(DataWarning, match="Satterthwaite's method or the bootstrap"):
        test = found.f_test(unit)
    assert np.isnan([test.statistic, test.df_denom, test.pvalue]).all()
    assert test.df_num == 2
    assert_allclose(test.unscaled, 2.5)
    # each by itself has some
    assert_allclose([found.df(row) for row in unit], 0.5)
    assert found.f_test(unit[0]).df_denom == 0.5


def test_without_a_formula(data):
    exog = np.column_stack([np.ones(N), data["x"]])
    model = CrossedMixedLM(data["y"].to_numpy(), exog, groups=data["g"].to_numpy())
    arrays, formula = model.fit(), quiet("y ~ x + (1 | g)", data)
    for method in DF_METHODS:
        here, there = inference(arrays, method), inference(formula, method)
        assert_allclose(here.df([0.0, 1.0]), there.df([0.0, 1.0]), rtol=1e-7)
        assert_allclose(here.covariance, there.covariance, rtol=1e-6)


@pytest.mark.parametrize("method", DF_METHODS)
def test_no_fixed_effects(method, data):
    found = inference(quiet("y ~ 0 + (1 | g)", data), method)
    assert found.covariance.shape == (0, 0)
    assert found.f_test(np.zeros((1, 0))).df_num == 0
    assert found.df(np.zeros(0)) > 0


def test_zero_contrast(data):
    found = inference(quiet("y ~ x + (1 | g)", data), "satterthwaite")
    assert found.df([0.0, 0.0]) == np.inf


def test_found_once_and_pickled(data):
    result = quiet("y ~ x + f + (x | g) + (1 | h)", data)
    for method in DF_METHODS:
        assert inference(result, method) is inference(result._results, method)
    size = len(pickle.dumps(result))
    bare = quiet("y ~ x + f + (x | g) + (1 | h)", data)
    assert size - len(pickle.dumps(bare)) < 8 * N * 10
    again = pickle.loads(pickle.dumps(result))
    fresh = pickle.loads(pickle.dumps(bare))
    for method in DF_METHODS:
        expected = inference(result, method).df([0, 0, 0, 1])
        assert inference(again, method).df([0, 0, 0, 1]) == expected
        assert_allclose(inference(fresh, method).df([0, 0, 0, 1]), expected, rtol=1e-9)


def test_removed_data(data):
    result = quiet("y ~ x + (1 | g)", data)
    before = inference(result, "satterthwaite").df([0, 1])
    result.remove_data()
    assert inference(result, "satterthwaite").df([0, 1]) == before
    assert inference(result, "residual").df([0, 1]) == N - 2
    with pytest.raises(DataError, match="data of the model were removed"):
        inference(result, "kenward-roger")


def test_prediction(data):
    """Intervals with the degrees of freedom of each row."""
    result = quiet("y ~ x + (x | g)", data)
    for method in SMALL:
        new = pd.DataFrame({"x": [0.5, 2.0]})
        found = result.get_prediction(new, df_method=method)
        rows = np.column_stack([np.ones(2), new["x"]])
        inside = inference(result, method)
        for row, se, (low, high) in zip(rows, found.se, found.conf_int()):
            half = stats.t.ppf(0.975, inside.df(row)) * se
            assert_allclose(se**2, row @ inside.covariance @ row, rtol=1e-8)
            assert_allclose([low, high], row @ result.params + [-half, half], rtol=1e-8)


def test_errors(data):
    result = quiet("y ~ x + (1 | g)", data, reml=False)
    with pytest.raises(ValueError, match=r"'asymptotic', 'residual', .* not 'exact'"):
        inference(result, "exact")
    with pytest.raises(DataError, match="refit with reml=True"):
        inference(result, "kenward-roger")
    with pytest.raises(ValueError, match="2 coefficients"):
        inference(result).df([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="2 coefficients"):
        inference(result).f_test(np.eye(3))


# attributes ----------------------------------------------------------------


def sleepstudy_fit():
    data = datasets.sleepstudy.load_pandas().data
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()


@pytest.mark.parametrize(
    "method", ["asymptotic", "residual", "satterthwaite", "kenward-roger"]
)
def test_attributes_do_not_depend_on_the_method(method):
    plain = sleepstudy_fit()
    found = plain.with_df_method(method)
    for name in set(dir(found._results)) - set(dir(plain._results)):
        raise AssertionError(f"{name} is there only after with_df_method")
    for result in (found, pickle.loads(pickle.dumps(found))):
        assert result.df_method == result.inference.method == method
        covariance = result.inference.covariance
        assert_allclose(result.cov_params_default, covariance, rtol=1e-14)
        assert_allclose(result.cov_params(), covariance, rtol=1e-14)
        df = [result.inference.df(c) for c in np.eye(2)]
        df = [result.df_resid if np.isinf(d) else d for d in df]
        assert_allclose(result.df_resid_inference, np.broadcast_to(df, 2))


def test_the_default_is_asymptotic_whatever_was_asked_before():
    result = sleepstudy_fit()
    before = result.inference, result.df_resid_inference, result.cov_params_default
    other = result.with_df_method("kenward-roger")
    again = other.with_df_method("asymptotic")
    for each in (result, again):
        assert each.inference.method == each.df_method == "asymptotic"
        assert each.df_resid_inference == before[1] == 178
        assert_allclose(each.cov_params_default, before[2], rtol=1e-14)
    assert other.inference.method == "kenward-roger"
