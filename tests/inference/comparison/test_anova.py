"""
Tables of tests by term, against lmerTest and lme4, dense algebra and explicit refits.
"""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import N, load, quiet, sample
from scipy import stats
from scipy.linalg import null_space

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.degrees_of_freedom import inference
from statsmodels_lmm.inference.fixed.terms import hypotheses

COLUMNS = ["sum_sq", "mean_sq", "df", "df_denom", "F", "PR(>F)"]


def unbalanced():
    """Sleepstudy, of which some subjects lack the first or last days."""
    data = load("sleepstudy")
    subject = data["Subject"].astype("category").cat.codes + 1
    early, late = data["Days"] < 2, data["Days"] > 5
    out = ((subject % 4 == 1) & late) | ((subject % 3 == 0) & early)
    data = data.assign(Grp=np.array(["a", "b", "c"])[subject % 3])
    return data[~out]


@functools.cache
def named_fit(name, formula, reml=True):
    data = unbalanced() if name == "sleepstudy, unbalanced" else load(name)
    return quiet(formula, data, reml)


@functools.cache
def fit(right, reml=True, weights=None, offset=None):
    return quiet(f"y ~ {right}", sample(), reml, weights=weights, offset=offset)


# lmerTest --------------------------------------------------------------------

# lmerTest 3.1-3, pbkrtest 0.5.2 and lme4 1.1-31, anova(m, type, ddf): for each term sum
# of squares, NumDF, DenDF, F and p. Where the types or methods agree there is one row.
UNBALANCED = "Reaction ~ Days * Grp + I(Days**2) + (Days | Subject)"
CAKE, TEMP = "angle ~ recipe * C(temperature) + (1 | replicate / recipe)", "temp"
SLOPES = "angle ~ recipe * temp + (1 | replicate) + (1 | recipe:replicate)"
TEETH = "distance ~ age * Sex + (1 | Subject)"
REFERENCES = {
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", True, (1, 2, 3), "sk"): {
        "Days": (30031.0147854, 1, 17.0, 45.8530059104, 3.26378807065e-06),
    },
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", False, (1, 2, 3), "s"): {
        "Days": (31797.5450523, 1, 18.0, 48.5502415335, 1.65241470811e-06),
    },
    ("cake", CAKE, True, (1, 2, 3), "sk"): {
        "recipe": (64.608346596, 2, 28.0, 1.57805343849, 0.224185670205),
        "C(temperature)": (2100.3, 5, 210.0, 20.5198604297, 1.15316214626e-16),
        "recipe:C(temperature)": (
            205.977777778,
            10,
            210.0,
            1.00619798401,
            0.439269437201,
        ),
    },
    ("cake", SLOPES, True, (1,), "sk"): {
        "recipe": (65.9188462727, 2, 28.0, 1.57805343799, 0.224185670305),
        "temp": (1966.70507937, 1, 222.0, 94.1632291065, 8.74684147478e-19),
        "recipe:temp": (1.74158730159, 2, 222.0, 0.0416924443347, 0.959172240169),
    },
    ("cake", SLOPES, True, (2, 3), "sk"): {
        "recipe": (4.31107902676, 2, 228.280103746, 0.103204371197, 0.901984682214),
        "temp": (1966.70506862, 1, 222.0, 94.163228592, 8.7468430711e-19),
        "recipe:temp": (1.74158730159, 2, 222.0, 0.0416924443347, 0.959172240169),
    },
    (
        "oats",
        "`yield` ~ C(nitro) * Variety + (1 | Block / Variety)",
        True,
        (1, 3),
        "sk",
    ): {
        "C(nitro)": (20020.5, 3, 45.0, 37.6856470555, 2.45770955804e-12),
        "Variety": (526.058051178, 2, 10.0, 1.48534037966, 0.272386856687),
        "C(nitro):Variety": (321.75, 6, 45.0, 0.302823529385, 0.932198759013),
    },
    ("orthodont", TEETH, True, (1,), "sk"): {
        "age": (235.356018519, 1, 79.0, 122.450212117, 9.95649536981e-18),
        "Sex": (17.8599232319, 1, 25.0, 9.29209884624, 0.00537505591552),
        "age:Sex": (12.114151936, 1, 79.0, 6.30270890678, 0.0140974506792),
    },
    ("orthodont", TEETH, True, (2,), "sk"): {
        "age": (235.356018519, 1, 79.0, 122.450212117, 9.95649536981e-18),
        "Sex": (0.866215055291, 1, 103.986361049, 0.450671361314, 0.503504873871),
        "age:Sex": (12.114151936, 1, 79.0, 6.30270890678, 0.0140974506792),
    },
    ("orthodont", TEETH, True, (3,), "sk"): {
        "age": (208.266003788, 1, 79.0, 108.355913314, 1.78953486205e-16),
        "Sex": (0.866215055291, 1, 103.986361049, 0.450671361314, 0.503504873871),
        "age:Sex": (12.114151936, 1, 79.0, 6.30270890678, 0.0140974506792),
    },
    ("machines", "score ~ Machine + (Machine | Worker)", True, (1, 2, 3), "s"): {
        "Machine": (75.8265987815, 2, 5.0, 41.0037686039, 0.000791649277936),
    },
    ("machines", "score ~ Machine + (Machine | Worker)", True, (1, 2, 3), "k"): {
        "Machine": (75.8265987815, 2, 4.0, 32.8030148831, 0.00330237400373),
    },
    # factor(c("a", "b", "c")[as.integer(Subject) %% 3 + 1]) and the rows of
    # test_degrees_of_freedom
    ("sleepstudy, unbalanced", UNBALANCED, True, (1,), "s"): {
        "Days": (14667.411886142, 1, 14.6302989969, 27.508191217336, 1.07328037e-04),
        "Grp": (1795.785224595, 2, 15.1748060174, 1.683964551037, 0.2185303003),
        "I(Days ** 2)": (228.261700143, 1, 56.9850720760, 0.428096418364, 0.5155565442),
        "Days:Grp": (962.127175329, 2, 13.6414109713, 0.902217055053, 0.4285551265),
    },
    ("sleepstudy, unbalanced", UNBALANCED, True, (1,), "k"): {
        "Days": (14514.427391533, 1, 16.0071647700, 27.221274427678, 8.4522523351e-05),
        "Grp": (1791.995549248, 2, 14.9336016470, 1.678655910808, 0.219984779289),
        "I(Days ** 2)": (225.495494569, 1, 59.9606080093, 0.422908501609, 0.5179735385),
        "Days:Grp": (952.761002392, 2, 14.8757375227, 0.893328736821, 0.4301487118),
    },
    ("sleepstudy, unbalanced", UNBALANCED, True, (2,), "s"): {
        "Days": (2960.922154938, 1, 28.1741932536, 5.553100536751, 0.0256305199598),
        "Grp": (183.386382684, 2, 15.8589756468, 0.171967205962, 0.8435559870711),
        "I(Days ** 2)": (
            779.299726818,
            1,
            120.6338822247,
            1.461547958654,
            0.2290481838,
        ),
        "Days:Grp": (962.127175329, 2, 13.6015285788, 0.902217055053, 0.4286185988778),
    },
    ("sleepstudy, unbalanced", UNBALANCED, True, (2,), "k"): {
        "Days": (2954.141678159, 1, 30.3573536882, 5.540384002081, 0.0252446799553),
        "Grp": (182.997519498, 2, 15.8296007414, 0.171472988825, 0.8439669705143),
        "I(Days ** 2)": (
            764.092606287,
            1,
            121.2263845514,
            1.433027563735,
            0.2336066539,
        ),
        "Days:Grp": (952.761002392, 2, 14.8757375227, 0.893328736821, 0.4301487118),
    },
    ("sleepstudy, unbalanced", UNBALANCED, True, (3,), "s"): {
        "Days": (2662.438187975, 1, 79.9797605442, 4.993304841214, 0.0282360079623),
        "Grp": (183.386382684, 2, 15.8589756468, 0.171967205962, 0.8435559870711),
        "I(Days ** 2)": (
            779.299726818,
            1,
            120.6338822247,
            1.461547958654,
            0.2290481838,
        ),
        "Days:Grp": (962.127175329, 2, 13.6015285788, 0.902217055053, 0.4286185988778),
    },
    ("sleepstudy, unbalanced", UNBALANCED, True, (3,), "k"): {
        "Days": (2649.461515772, 1, 82.5699218399, 4.968967570051, 0.0285224727903),
        "Grp": (182.997519498, 2, 15.8296007414, 0.171472988825, 0.8439669705143),
        "I(Days ** 2)": (
            764.092606287,
            1,
            121.2263845514,
            1.433027563735,
            0.2336066539,
        ),
        "Days:Grp": (952.761002392, 2, 14.8757375227, 0.893328736821, 0.4301487118),
    },
}
CASES = [
    (*key[:3], kind, letter)
    for key in REFERENCES
    for kind in key[3]
    for letter in key[4]
]


@pytest.mark.parametrize(("name", "formula", "reml", "kind", "letter"), CASES)
def test_anova_against_lmertest(name, formula, reml, kind, letter):
    expected = next(
        rows
        for key, rows in REFERENCES.items()
        if key[:3] == (name, formula, reml) and kind in key[3] and letter in key[4]
    )
    method = {"s": "satterthwaite", "k": "kenward-roger"}[letter]
    result = named_fit(name, formula, reml)
    table = result.anova(type=kind, df_method=method)
    assert list(table.columns) == COLUMNS
    assert list(table.index) == list(expected)
    rows = np.array(list(expected.values()))
    assert_allclose(table["df"], rows[:, 1])
    # lmerTest differentiates numerically
    assert_allclose(table["df_denom"], rows[:, 2], rtol=2e-6)
    assert_allclose(table["F"], rows[:, 3], rtol=2e-6)
    assert_allclose(table["PR(>F)"], rows[:, 4], rtol=1e-5)
    if letter == "s":
        assert_allclose(table["sum_sq"], rows[:, 0], rtol=2e-6)
    assert_allclose(table["mean_sq"] * table["df"], table["sum_sq"])
    one = result.anova(type="I" * kind, df_method=method)
    pd.testing.assert_frame_equal(one, table)


def test_sums_of_squares_after_kenward_and_roger():
    """Those of lmerTest are not scaled, although F is: 4/5 of them here."""
    result = named_fit("machines", "score ~ Machine + (Machine | Worker)")
    table = result.anova(df_method="kenward-roger")
    assert_allclose(table["F"], 32.8030148831, rtol=1e-6)
    assert_allclose(table["sum_sq"], 75.8265987815, rtol=1e-6)
    assert_allclose(table["mean_sq"], 37.9132993907, rtol=1e-6)


# dense -----------------------------------------------------------------------


class Dense:
    """Intercepts by g and h and residuals, by n x n matrices in three variances."""

    def __init__(self, result, weights=None):
        data = sample()
        self.x, self.y = result.model.exog, result.model.endog
        self.parts = [
            1.0 * (data[c].to_numpy()[:, None] == data[c].to_numpy()) for c in "gh"
        ]
        noise = np.ones(N) if weights is None else 1.0 / data[weights].to_numpy()
        self.parts.append(np.diag(noise))
        self.reml = result.reml
        components = [result.cov_re[c].iloc[0, 0] for c in "gh"]
        self.variances = np.array([*components, result.scale])

    def fixed(self, variances):
        v = sum(s * part for s, part in zip(variances, self.parts))
        inverse = np.linalg.inv(v)
        phi = np.linalg.inv(self.x.T @ inverse @ self.x)
        return v, inverse, phi, phi @ self.x.T @ inverse @ self.y

    def criterion(self, variances):
        v, inverse, phi, beta = self.fixed(variances)
        rest = self.y - self.x @ beta
        value = np.linalg.slogdet(v)[1] + rest @ inverse @ rest
        return value - np.linalg.slogdet(phi)[1] if self.reml else value

    def uncertainty(self):
        """Covariance of the variances, from numerical second derivatives."""
        steps = np.diag(1e-3 * self.variances)
        hessian = np.empty((3, 3))
        for i, a in enumerate(steps):
            for j, b in enumerate(steps):
                values = [
                    s * t * self.criterion(self.variances + s * a + t * b)
                    for s in (1, -1)
                    for t in (1, -1)
                ]
                hessian[i, j] = sum(values) / (4.0 * a[i] * b[j])
        return 2.0 * np.linalg.inv(hessian)

    def f_test(self, rows):
        """F and Fai and Cornelius' degrees of freedom."""
        _, _, phi, beta = self.fixed(self.variances)
        middle, estimate = rows @ phi @ rows.T, rows @ beta
        f = estimate @ np.linalg.solve(middle, estimate) / len(rows)
        values, vectors = np.linalg.eigh(middle)
        covariance, each = self.uncertainty(), []
        for value, c in zip(values, vectors.T @ rows):
            slopes = []
            for step in np.diag(1e-4 * self.variances):
                up, down = (
                    c @ self.fixed(self.variances + s * step)[2] @ c for s in (1, -1)
                )
                slopes.append((up - down) / (2.0 * step.max()))
            slopes = np.array(slopes)
            each.append(2.0 * value**2 / (slopes @ covariance @ slopes))
        if len(each) == 1:
            return f, each[0]
        excess = sum(nu / (nu - 2.0) for nu in each)
        return f, 2.0 * excess / (excess - len(each))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_satterthwaite_by_dense_algebra(kind, weights, reml):
    result = fit("x * k + f + (1 | g) + (1 | h)", reml, weights)
    dense = Dense(result, weights)
    assert (dense.variances > 0.05).all()
    table = result.anova(type=kind)
    for name, rows in hypotheses(result, kind).items():
        f, df = dense.f_test(rows)
        assert_allclose(table.loc[name, "F"], f, rtol=1e-5)
        assert_allclose(table.loc[name, "df_denom"], df, rtol=2e-3)
        assert_allclose(table.loc[name, "mean_sq"], f * result.scale, rtol=1e-5)
        assert table.loc[name, "df"] == len(rows)
        p = stats.f.sf(table.loc[name, "F"], len(rows), table.loc[name, "df_denom"])
        assert_allclose(table.loc[name, "PR(>F)"], p)


@pytest.mark.parametrize("method", ["residual", "asymptotic"])
def test_other_degrees_of_freedom(method):
    result = fit("x * k + f + (1 | g) + (1 | h)")
    table = result.anova(df_method=method)
    for name, rows in hypotheses(result, 3).items():
        e, v = rows @ result.params, rows @ result.cov_params() @ rows.T
        f = e @ np.linalg.solve(v, e) / len(rows)
        assert_allclose(table.loc[name, "F"], f)
        if method == "residual":
            df, p = N - 6, stats.f.sf(f, len(rows), N - 6)
        else:
            df, p = np.inf, stats.chi2.sf(f * len(rows), len(rows))
        assert table.loc[name, "df_denom"] == df
        assert_allclose(table.loc[name, "PR(>F)"], p)


@pytest.mark.parametrize("method", ["residual", "satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_coding_scale_and_order_do_not_matter(kind, method):
    data = sample()
    one = quiet("y ~ f * k + x + (1 | g)", data)
    turned = data.assign(x=1e4 * data["x"], y=0.01 * data["y"])
    turned = turned.sample(frac=1.0, random_state=1)
    turned["k"] = turned["k"].astype("category").cat.reorder_categories(["q", "p"])
    two = quiet("y ~ C(f, Sum) * k + x + (1 | g)", turned)
    first, second = (r.anova(type=kind, df_method=method) for r in (one, two))
    assert_allclose(second["F"], first["F"], rtol=1e-5)
    assert_allclose(second["sum_sq"], 1e-4 * first["sum_sq"], rtol=1e-5)
    alone = (first["df"] == 1) | (method != "satterthwaite")
    assert_allclose(
        second["df_denom"].to_numpy()[alone], first["df_denom"][alone], rtol=1e-5
    )


def test_singular_fits_and_redundant_columns():
    data = sample()
    rng = np.random.default_rng(3)
    noise = pd.Series(rng.standard_normal(N))
    data = data.assign(
        y=data["x"] + noise - noise.groupby(data["g"]).transform("mean"),
        twice=2.0 * data["x"],
        same=data["f"].str.upper(),
    )
    result = quiet("y ~ x + twice + f + same + (1 | g)", data)
    assert result.is_singular
    plain = quiet("y ~ x + f + (1 | g)", data)
    ols = smf.ols("y ~ x + f", data).fit()
    for method in ("satterthwaite", "kenward-roger", "residual"):
        table = result.anova(df_method=method)
        assert list(table.index) == ["x", "twice", "f", "same"]
        assert list(table["df"]) == [1, 0, 2, 0]
        assert table.loc[["twice", "same"]].drop(columns="df").isna().all(axis=None)
        expected = plain.anova(df_method=method)
        assert_allclose(table.loc[["x", "f"]], expected, rtol=1e-6)
    t = ols.tvalues["x"]
    table = result.anova(df_method="residual")
    assert_allclose(table.loc["x", "F"], t**2, rtol=1e-6)


def test_models_without_terms():
    for right in ("1", "0"):
        result = fit(f"{right} + (1 | g)")
        table = result.anova()
        assert list(table.columns) == COLUMNS
        assert len(table) == 0
        for method in ("wald", "lrt", "satterthwaite"):
            assert len(result.fixed_effect_tests(method)) == 0
        assert list(result.drop1().index) == ["<none>"]


def test_models_from_arrays():
    data = sample()
    x = data[["x", "z"]].assign(const=1.0)[["const", "x", "z"]]
    array = CrossedMixedLM(data["y"], x, random={"g": data["g"]}).fit()
    formula = fit("x + z + (1 | g)")
    for kind in (1, 2, 3):
        pd.testing.assert_frame_equal(
            array.anova(type=kind), formula.anova(type=kind), rtol=1e-6
        )
    for method in ("wald", "lrt"):
        pd.testing.assert_frame_equal(
            array.fixed_effect_tests(method),
            formula.fixed_effect_tests(method),
            rtol=1e-6,
        )
    one, two = array.drop1(), formula.drop1()
    assert list(one.index) == ["<none>", "x", "z"]
    pd.testing.assert_frame_equal(one, two, rtol=1e-6)
    one, two = array.random_effect_tests(), formula.random_effect_tests()
    assert list(one.index) == ["<none>", "g"]
    assert_allclose(one, two, rtol=1e-6)


def test_arguments():
    result = fit("x + f + (1 | g)")
    with pytest.raises(ValueError, match="type must be 1, 2, 3"):
        result.anova(type=4)
    with pytest.raises(ValueError, match="df_method must be"):
        result.anova(df_method="krr")
    with pytest.raises(TypeError, match="unknown argument method, nsim"):
        result.anova(nsim=3, method="bootstrap")
    with pytest.raises(ValueError, match="method must be one of wald, lrt, bootstrap"):
        result.fixed_effect_tests("chi2")
    with pytest.raises(ValueError, match="type must be 1, 2, 3"):
        result.fixed_effect_tests("lrt", type="2")
    with pytest.raises(ValueError, match="method must be 'lrt' or 'bootstrap'"):
        result.drop1("wald")
    with pytest.raises(ValueError, match="method must be one of lrt, exact, bootstrap"):
        result.random_effect_tests("chi2")
    with pytest.raises(DataError, match="refit with reml=True"):
        fit("x + f + (1 | g)", False).fixed_effect_tests("kenward-roger")


# fixed effects -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("reml", [True, False])
def test_wald_and_f_tests_of_terms(reml, kind):
    result = fit("f * k + x + (1 | g) + (1 | h)", reml)
    wald = result.fixed_effect_tests("wald", type=kind)
    assert list(wald.columns) == ["statistic", "df", "pvalue"]
    for name, rows in hypotheses(result, kind).items():
        e, v = rows @ result.params, rows @ result.cov_params() @ rows.T
        statistic = e @ np.linalg.solve(v, e)
        assert_allclose(wald.loc[name, "statistic"], statistic)
        assert wald.loc[name, "df"] == len(rows)
        assert_allclose(wald.loc[name, "pvalue"], stats.chi2.sf(statistic, len(rows)))
    same = result.fixed_effect_tests("asymptotic", type=kind)
    pd.testing.assert_frame_equal(same, wald)
    for method in ("residual", "satterthwaite", "kenward-roger")[: 3 if reml else 2]:
        table = result.fixed_effect_tests(method, type=kind)
        assert list(table.columns) == ["statistic", "df", "df_denom", "pvalue"]
        expected = result.anova(type=kind, df_method=method)
        assert list(table.index) == list(expected.index)
        assert_allclose(table, expected[["F", "df", "df_denom", "PR(>F)"]])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
def test_likelihood_ratios_are_those_of_refits(weights, reml):
    """Columns are left out after sum contrasts, where type 3 is that."""
    data = sample()
    result = fit("f * k + x + offset(o) + (1 | g)", reml, weights)
    table = result.fixed_effect_tests("lrt", type=3)
    assert list(table.index) == ["f", "k", "x", "f:k"]
    coded = smf.ols("y ~ C(f, Sum) * C(k, Sum) + x", data)
    x, names = coded.exog, coded.exog_names
    kinds = {
        "f": [n.startswith("C(f") and ":" not in n for n in names],
        "k": [n.startswith("C(k") and ":" not in n for n in names],
        "x": [n == "x" for n in names],
        "f:k": [":" in n for n in names],
    }

    def llf(columns):
        more = {"offset": data["o"].to_numpy()}
        if weights:
            more["weights"] = data[weights].to_numpy()
        model = CrossedMixedLM(data["y"], columns, random={"g": data["g"]}, **more)
        return model.fit(reml=False).llf

    full = llf(x)
    for name, mine in kinds.items():
        statistic = 2.0 * (full - llf(x[:, ~np.array(mine)]))
        assert_allclose(table.loc[name, "statistic"], statistic, rtol=1e-6)
        assert table.loc[name, "df"] == sum(mine)
        p = stats.chi2.sf(statistic, sum(mine))
        assert_allclose(table.loc[name, "pvalue"], p, rtol=1e-6)
    assert result.reml is reml


@pytest.mark.parametrize("kind", [1, 2])
def test_likelihood_ratios_of_other_types(kind):
    result = fit("x + f * k + (1 | g)", False)
    table = result.fixed_effect_tests("lrt", type=kind)
    for name, rows in hypotheses(result, kind).items():
        model = CrossedMixedLM(
            result.model.endog,
            result.model.exog @ null_space(rows),
            random=result.model.random,
        )
        statistic = 2.0 * (result.llf - model.fit(reml=False).llf)
        assert_allclose(table.loc[name, "statistic"], statistic, rtol=1e-6)
    # the last one is a model of its own
    small = fit("x + f + k + (1 | g)", False)
    test = result.compare_lr_test(small)
    assert_allclose(table.loc["f:k"], [test.statistic, 2, test.pvalue], rtol=1e-6)


def test_only_column_and_redundant_columns_in_likelihood_ratios():
    table = fit("0 + x + (1 | g)", False).fixed_effect_tests("lrt")
    test = fit("0 + x + (1 | g)", False).compare_lr_test(fit("0 + (1 | g)", False))
    assert_allclose(table.loc["x"], [test.statistic, 1, test.pvalue], rtol=1e-6)
    data = sample().assign(twice=2.0 * sample()["x"])
    table = quiet("y ~ x + z + twice + (1 | g)", data).fixed_effect_tests("lrt")
    plain = fit("x + z + (1 | g)").fixed_effect_tests("lrt")
    assert_allclose(table.loc[["x", "z"]], plain, rtol=1e-6)
    assert table.loc["twice", "df"] == 0
    assert np.isnan(table.loc["twice", "pvalue"])


def test_bootstrap_of_terms():
    result = fit("flat + k + (1 | g)")
    table = result.fixed_effect_tests("bootstrap", nsim=39, rng=4)
    lrt = result.fixed_effect_tests("lrt")
    assert_allclose(table[["statistic", "df"]], lrt[["statistic", "df"]])
    counts = table["pvalue"] * 40
    assert_allclose(counts, counts.round(), atol=1e-9)
    again = result.fixed_effect_tests("bootstrap", nsim=39, rng=4)
    pd.testing.assert_frame_equal(again, table)
    # standard error 0.08
    assert (abs(table["pvalue"] - lrt["pvalue"]) < 0.25).all()
    # without interactions nothing but other words for the same restricted models
    dropped = result.drop1("bootstrap", nsim=39, rng=4)
    assert_allclose(
        dropped.loc[["flat", "k"], "pvalue"], table.loc[["flat", "k"], "pvalue"]
    )
    other = result.fixed_effect_tests("bootstrap", nsim=39, rng=3)
    generator = result.fixed_effect_tests(
        "bootstrap", nsim=39, rng=np.random.default_rng(4)
    )
    pd.testing.assert_frame_equal(generator, table)
    assert not other["pvalue"].equals(table["pvalue"])


# one term less -------------------------------------------------------------------


def test_drop1_against_lme4():
    """Of version 1.1-31 after ML; terms that others contain stay."""
    for reml in (True, False):
        table = named_fit("sleepstudy, unbalanced", UNBALANCED, reml).drop1()
        assert list(table.columns) == ["n_params", "aic", "statistic", "df", "pvalue"]
        assert list(table.index) == ["<none>", "I(Days ** 2)", "Days:Grp"]
        aic = [1443.510910, 1442.976564, 1441.529624]
        assert_allclose(table["aic"], aic, rtol=1e-9)
        assert_allclose(table["statistic"].iloc[1:], [1.465654172, 2.018714018], 1e-6)
        assert_allclose(table["pvalue"].iloc[1:], [0.22603, 0.36445], rtol=3e-5)
        assert list(table["n_params"]) == [11, 10, 9]
        assert list(table["df"].iloc[1:]) == [1, 2]
        assert table.loc["<none>", ["statistic", "df", "pvalue"]].isna().all()
    table = named_fit("cake", SLOPES).drop1()
    assert list(table.index) == ["<none>", "recipe:temp"]
    assert_allclose(table["aic"], [1673.466438, 1669.550934], rtol=1e-9)
    table = named_fit("cake", SLOPES.replace("*", "+")).drop1()
    assert_allclose(table["aic"], [1669.550934, 1668.755107, 1747.081552], rtol=1e-9)
    assert_allclose(table["statistic"].iloc[1:], [3.20417290, 79.53061821], rtol=1e-7)


def test_drop1_keeps_weights_and_offsets():
    result = fit("x + z + (1 | g)", True, "w", "o")
    table = result.drop1()
    full, small = (fit(f"{r} + (1 | g)", False, "w", "o") for r in ("x + z", "x"))
    test = full.compare_lr_test(small)
    expected = [small.n_params, small.aic, test.statistic, 1, test.pvalue]
    assert_allclose(table.loc["z"], expected, rtol=1e-6)


def test_drop1_with_redundant_columns():
    """A term that leaves the model as it was has nothing to test."""
    data = sample().assign(twice=2.0 * sample()["x"])
    table = quiet("y ~ x + z + twice + (1 | g)", data).drop1()
    plain = fit("x + z + (1 | g)").drop1()
    assert list(table.index) == ["<none>", "x", "z", "twice"]
    assert_allclose(table.loc["z"], plain.loc["z"], rtol=1e-6)
    assert not (table.loc[["x", "twice"], "df"] > 0).any()
    assert table.loc[["x", "twice"], "pvalue"].isna().all()


# random effects ------------------------------------------------------------------

# lmerTest 3.1-3, ranova(m): npar, logLik, AIC; LRT, df, p
RANOVA = {
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"): {
        "<none>": (6, -871.814135979, 1755.62827196),
        "Days in (Days | Subject)": (
            4,
            -893.232542697,
            1794.46508539,
            42.8368134364,
            2,
            4.99004142696e-10,
        ),
    },
    ("sleepstudy", "Reaction ~ Days + (Days || Subject)"): {
        "<none>": (5, -871.834646791, 1753.66929358),
        "(1 | Subject)": (
            4,
            -883.262513743,
            1774.52502749,
            22.8557339043,
            1,
            1.74627589656e-06,
        ),
        "Days in (0 + Days | Subject)": (
            4,
            -893.232542697,
            1794.46508539,
            42.7957918136,
            1,
            6.0762730989e-11,
        ),
    },
    ("pastes", "strength ~ 1 + (1 | batch / cask)"): {
        "<none>": (4, -123.495372927, 254.990745853),
        "(1 | batch)": (
            3,
            -123.82420089,
            253.64840178,
            0.657655926873,
            1,
            0.417388710959,
        ),
        "(1 | batch:cask)": (
            3,
            -150.797705365,
            307.595410731,
            54.6046648775,
            1,
            1.47385370219e-13,
        ),
    },
    ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"): {
        "<none>": (4, -165.430294496, 338.860588991),
        "(1 | plate)": (
            3,
            -217.958930822,
            441.917861645,
            105.057272653,
            1,
            1.18656152253e-24,
        ),
        "(1 | sample)": (
            3,
            -306.628012004,
            619.256024007,
            282.395435016,
            1,
            2.25734085744e-63,
        ),
    },
    ("machines", "score ~ Machine + (Machine | Worker)"): {
        "<none>": (10, -104.155609158, 228.311218316),
        "Machine in (Machine | Worker)": (
            5,
            -143.439100989,
            296.878201978,
            78.5669836613,
            5,
            1.67320934944e-15,
        ),
    },
    ("machines", "score ~ Machine + (0 + Machine | Worker)"): {
        "<none>": (10, -104.155609158, 228.311218316),
        "Machine in (0 + Machine | Worker)": (
            5,
            -143.439100989,
            296.878201978,
            78.5669836613,
            5,
            1.67320934944e-15,
        ),
    },
    # the intercept that is left is in the model already, and its variance, which lme4
    # counts, is not told from those of the machines
    ("machines", "score ~ Machine + (Machine || Worker)"): {
        "<none>": (10, -104.155609158, 228.311218316),
        "(1 | Worker)": (10, -104.155609158, 228.311218316, 0.0, 0, np.nan),
        "Machine in (0 + Machine | Worker)": (
            5,
            -143.439100989,
            296.878201978,
            78.5669836613,
            5,
            1.67320934944e-15,
        ),
    },
    ("orthodont", "distance ~ I(age - 11) * Sex + (I(age - 11) | Subject)"): {
        "<none>": (8, -216.290830751, 448.581661503),
        "I(age - 11) in (I(age - 11) | Subject)": (
            6,
            -216.878624601,
            445.757249201,
            1.17558769853,
            2,
            0.555551564258,
        ),
    },
}


@pytest.mark.filterwarnings("ignore:'||' does not separate")
@pytest.mark.parametrize(("name", "formula"), RANOVA)
def test_random_effects_against_lmertest(name, formula):
    expected = RANOVA[name, formula]
    table = named_fit(name, formula).random_effect_tests()
    columns = ["n_params", "llf", "aic", "statistic", "df", "pvalue", "pvalue_mixture"]
    assert list(table.columns) == columns
    assert table.index[0] == "<none>"
    assert set(table.index) == set(expected)
    for label, row in expected.items():
        found = table.loc[label]
        assert_allclose(found[["n_params", "llf", "aic"]], row[:3], rtol=1e-8)
        if label == "<none>":
            assert found.iloc[3:].isna().all()
            continue
        assert_allclose(found[["statistic", "df"]], row[3:5], rtol=1e-6, atol=1e-7)
        assert_allclose(found["pvalue"], row[5], rtol=1e-5)
        statistic, df = found["statistic"], int(found["df"])
        if df == 1 and statistic > 1e-6:
            assert_allclose(found["pvalue_mixture"], 0.5 * found["pvalue"])
        if df == 2:
            halves = stats.chi2.sf(statistic, [1, 2]).mean()
            assert_allclose(found["pvalue_mixture"], halves)
        assert df == 0 or found["pvalue_mixture"] <= found["pvalue"] + 1e-12


def test_whole_terms():
    """lmerTest 3.1-3, ranova(m, reduce.terms = FALSE)."""
    result = named_fit("sleepstudy, unbalanced", "Reaction ~ Days + (Days | Subject)")
    table = result.random_effect_tests(reduce_terms=False)
    assert list(table.index) == ["<none>", "(Days | Subject)"]
    assert_allclose(table["llf"], [-708.89971874028, -774.55981794556], rtol=1e-9)
    assert_allclose(table["aic"], [1429.7994374806, 1555.1196358911], rtol=1e-9)
    assert list(table["n_params"]) == [6, 3]
    assert_allclose(table["statistic"].iloc[1], 131.32019841056, rtol=1e-8)
    assert table["df"].iloc[1] == 3
    table = result.random_effect_tests()
    assert_allclose(table["statistic"].iloc[1], 33.315736408327, rtol=1e-8)
    assert_allclose(table["pvalue"].iloc[1], 5.8288081167e-08, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
def test_random_effects_are_those_of_refits(reml):
    result = fit("x + (x + z | g) + (1 | h)", reml)
    table = result.random_effect_tests()
    left = {
        "x in (x + z | g)": "x + (z | g) + (1 | h)",
        "z in (x + z | g)": "x + (x | g) + (1 | h)",
        "(1 | h)": "x + (x + z | g)",
    }
    assert list(table.index) == ["<none>", *left]
    for label, right in left.items():
        other = fit(right, reml)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            test = result.compare_lr_test(other)
        row = table.loc[label]
        assert row["n_params"] == other.n_params
        assert_allclose(row["llf"], other.llf, rtol=1e-9)
        assert_allclose(row["aic"], other.aic, rtol=1e-9)
        assert_allclose(row["statistic"], test.statistic, atol=1e-7)
        assert row["df"] == test.df_diff
        assert_allclose(row["pvalue_mixture"], test.pvalue_mixture, rtol=1e-5)
    whole = result.random_effect_tests(reduce_terms=False)
    assert list(whole.index) == ["<none>", "(x + z | g)", "(1 | h)"]
    assert_allclose(whole.loc["(x + z | g)", "llf"], fit("x + (1 | h)", reml).llf)
    assert whole.loc["(x + z | g)", "df"] == 6


def test_effects_that_an_interaction_contains_stay():
    """As in lmerTest: without f, f:x would span the same space as f * x."""
    result = fit("x + (f * x | g)")
    table = result.random_effect_tests()
    assert list(table.index) == ["<none>", "f:x in (f * x | g)"]
    other = fit("x + (f + x | g)")
    assert_allclose(table["llf"].iloc[1], other.llf, rtol=1e-9)
    assert table["n_params"].iloc[1] == other.n_params


@pytest.mark.parametrize("reml", [True, False])
def test_last_term_against_no_random_effects(reml):
    result = fit("x + f + (1 | g)", reml, "w", "o")
    table = result.random_effect_tests()
    llf = result.model.loglike(np.zeros(1), reml)
    assert_allclose(table["llf"], [result.llf, llf], rtol=1e-9)
    assert list(table["n_params"]) == [6, 5]
    statistic = 2.0 * (result.llf - llf)
    assert_allclose(table["statistic"].iloc[1], statistic)
    assert_allclose(table["pvalue_mixture"].iloc[1], 0.5 * stats.chi2.sf(statistic, 1))


def test_exact_tests_of_random_effects():
    result = fit("x + (x | g) + (1 | h)")
    lrt = result.random_effect_tests()
    table = result.random_effect_tests("exact", nsim=2000, rng=3)
    others = ["n_params", "llf", "aic", "statistic", "df", "pvalue_mixture"]
    pd.testing.assert_frame_equal(table[others], lrt[others])
    # more than a variance is tested of the first one
    assert np.isnan(table["pvalue"].iloc[1])
    alone = result.exact_lr_test(fit("x + (x | g)"), nsim=2000, rng=8)
    p = table.loc["(1 | h)", "pvalue"]
    assert abs(p - alone.pvalue) < 5.0 * np.sqrt(p * (1.0 - p) / 2000) + 1e-3
    again = result.random_effect_tests("exact", nsim=2000, rng=3)
    pd.testing.assert_frame_equal(again, table)
    assert_allclose(table.loc["(1 | h)", "pvalue"] * 2001 % 1.0 % 1.0, 0.0, atol=1e-6)
    default = fit("x + (1 | g)").random_effect_tests("exact", rng=3)
    assert_allclose(default["pvalue"].iloc[1] * 10_001, 1.0, atol=5.0)


def test_bootstrap_of_random_effects():
    result = fit("x + (x || h)")
    lrt = result.random_effect_tests()
    table = result.random_effect_tests("bootstrap", nsim=59, rng=3)
    assert_allclose(table["statistic"], lrt["statistic"])
    again = result.random_effect_tests("bootstrap", nsim=59, rng=3)
    pd.testing.assert_frame_equal(again, table)
    for label in table.index[1:]:
        k = table.loc[label, "pvalue"] * 60
        assert_allclose(k, round(k), atol=1e-9)
        gap = table.loc[label, "pvalue"] - lrt.loc[label, "pvalue_mixture"]
        # the mixture has an atom: only where the statistic is not 0
        assert lrt.loc[label, "statistic"] == 0.0 or abs(gap) < 0.25
    assert set(lrt.index) == {"<none>", "(1 | h)", "x in (0 + x | h)"}


def test_wrapper_or_not():
    result = fit("x + f + (1 | g)")
    for name in ("anova", "fixed_effect_tests", "drop1", "random_effect_tests"):
        one, two = (getattr(r, name)() for r in (result, result._results))
        pd.testing.assert_frame_equal(one, two)


def test_f_tests_are_those_of_the_hypotheses():
    result = fit("f * k + x + (1 | g) + (1 | h)")
    for method in ("satterthwaite", "kenward-roger"):
        found, table = inference(result, method), result.anova(df_method=method)
        for name, rows in hypotheses(result).items():
            test = found.f_test(rows)
            expected = test.df_num, test.df_denom, test.statistic, test.pvalue
            assert_allclose(
                table.loc[name, ["df", "df_denom", "F", "PR(>F)"]], expected
            )
