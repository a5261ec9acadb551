"""
Arguments of MixedLM mean what they mean there.

Each model is given to statsmodels' MixedLM too, at our optimum: everything it tells
about that point is compared, and its derivatives say that there is no better one.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose, assert_array_equal
from statsmodels.regression import mixed_linear_model as statsmodels_mixed
from statsmodels.regression.mixed_linear_model import MixedLMParams
from statsmodels_twin import gain_left, mixedlm_at

from statsmodels_lmm import CrossedMixedLM, MixedLM
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm

N_GROUPS, SIZE = 12, 10
N = N_GROUPS * SIZE
FIXED = "y ~ x + z"


def frame():
    """Rows in no order; labels of `r` occur in every group, those of `rr` in one."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(N_GROUPS), SIZE)
    r = np.tile(np.repeat(np.arange(4), [3, 2, 3, 2]), N_GROUPS)
    data = pd.DataFrame(rng.normal(size=(N, 4)), columns=["x", "z", "v1", "v2"]).assign(
        y=0.0, g=[f"g{i:02d}" for i in g], number=g, r=[f"r{i}" for i in r]
    )
    data["rn"], data["rr"] = r, data["g"] + data["r"]
    data["c"], data["one"] = [f"c{i}" for i in rng.integers(6, size=N)], 1
    data["flag"] = r % 2 == 1
    effects = rng.normal(size=(N_GROUPS, 2))[g]
    data["y"] = data["z"] + effects[:, 0] + effects[:, 1] * data["x"]
    data["y"] += 0.7 * rng.normal(size=N) + 0.5 * r
    return data.sample(frac=1.0, random_state=4).reset_index(drop=True)


DATA = frame()

CASES = {
    "nothing else": {"groups": "g"},
    "1": {"groups": "g", "re_formula": "1"},
    "~1": {"groups": "g", "re_formula": "~1"},
    "~x": {"groups": "g", "re_formula": "~x"},
    "1 + x": {"groups": "g", "re_formula": "1 + x"},
    "0 + x": {"groups": "g", "re_formula": "0 + x"},
    "x + v1": {"groups": "g", "re_formula": "~x + v1"},
    "by level": {"groups": "g", "re_formula": "0 + flag"},
    "integers": {"groups": "number", "re_formula": "~x"},
    "labels": {"groups": "g", "vc_formula": {"v": "0 + C(r)"}},
    "labels, intercept": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + C(r)"},
    },
    "labels of one group": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + C(rr)"},
    },
    "text": {"groups": "g", "re_formula": "1", "vc_formula": {"v": "0 + r"}},
    "number": {"groups": "g", "re_formula": "1", "vc_formula": {"v": "0 + C(rn)"}},
    "yes and no": {"groups": "g", "vc_formula": {"v": "0 + flag"}},
    "tilde": {"groups": "g", "vc_formula": {"v": "~ 0+C(r)"}},
    "labels last": {"groups": "g", "vc_formula": {"v": "C(r) - 1"}},
    "slope": {"groups": "g", "re_formula": "1", "vc_formula": {"v": "0 + x"}},
    "slope only": {"groups": "g", "vc_formula": {"v": "0 + x"}},
    "slope by label": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + C(r):x"},
    },
    "label by slope": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + x:C(r)"},
    },
    "function by label": {"groups": "g", "vc_formula": {"v": "0 + C(r):np.exp(v1)"}},
    "labels of two": {"groups": "g", "vc_formula": {"v": "0 + C(r):C(c)"}},
    "texts of two": {"groups": "g", "vc_formula": {"v": "0 + r:c"}},
    "slopes by label": {"groups": "g", "vc_formula": {"v": "0 + C(r):(v1 + v2)"}},
    "and a slope": {"groups": "g", "vc_formula": {"v": "0 + C(r):v1 + v2"}},
    "columns": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + v1 + v2"},
    },
    "labels and slope": {"groups": "g", "vc_formula": {"v": "0 + C(r) + v1"}},
    "coded labels": {"groups": "g", "vc_formula": {"v": "0 + C(r, Sum)"}},
    "constant": {"groups": "g", "vc_formula": {"v": "1"}},
    "constant and slope": {"groups": "g", "vc_formula": {"v": "v1"}},
    "constant, intercept": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "v1"},
    },
    "several": {
        "groups": "g",
        "re_formula": "~v1",
        "vc_formula": {"b": "0 + C(r)", "a": "0 + x"},
    },
    "crossed": {
        "groups": "one",
        "vc_formula": {"g": "0 + C(g)", "c": "0 + C(c)", "gx": "0 + C(g):x"},
    },
    "ML": {"groups": "g", "re_formula": "~x", "reml": False},
    "labels, ML": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + C(r)"},
        "reml": False,
    },
    "covariances": {"groups": "g", "re_formula": "~x", "use_sqrt": False},
    "sparse": {
        "groups": "g",
        "re_formula": "1",
        "vc_formula": {"v": "0 + C(r)"},
        "use_sparse": True,
    },
}


def simulated(model, seed=11):
    """A response of a statsmodels model in which no variance is near zero."""
    rng = np.random.default_rng(seed)
    y = model.exog @ np.ones(model.k_fe) + 0.7 * rng.normal(size=model.n_totobs)
    root = 1.2 * np.eye(model.k_re) + 0.3 * np.tri(model.k_re, k=-1)
    for i, label in enumerate(model.group_labels):
        rows = model.row_indices[label]
        if model.k_re:
            y[rows] += model.exog_re[rows] @ root @ rng.normal(size=model.k_re)
        for of_component in model.exog_vc.mats:
            matrix = of_component[i]
            y[rows] += 1.3 * (matrix @ rng.normal(size=matrix.shape[1]))
    return y


class Pair:
    """Our fit of a model, and what MixedLM of statsmodels says of that point."""

    def __init__(self, case):
        arguments = dict(case)
        self.reml = arguments.pop("reml", True)
        self.data = DATA.assign(y=simulated(self.theirs(DATA, arguments)))
        self.model = MixedLM.from_formula(FIXED, self.data, **arguments)
        self.result = self.model.fit(reml=self.reml)
        self.old = self.theirs(self.data, arguments)
        self.old_result = mixedlm_at(self.old, self.result)

    @staticmethod
    def theirs(data, arguments):
        # with sparse matrices it tells no fitted values
        arguments = {k: v for k, v in arguments.items() if k != "use_sparse"}
        return statsmodels_mixed.MixedLM.from_formula(FIXED, data, **arguments)

    def covariance(self):
        """Dense covariance matrix of the response by statsmodels' designs."""
        old, result = self.old, self.result
        v = result.scale * np.eye(N)
        for i, label in enumerate(old.group_labels):
            rows = np.ix_(*[old.row_indices[label]] * 2)
            if old.k_re:
                z = old.exog_re[rows[1][0]]
                v[rows] += z @ np.asarray(result.cov_re) @ z.T
            for variance, of_component in zip(result.vcomp, old.exog_vc.mats):
                v[rows] += variance * of_component[i] @ of_component[i].T
        return v


@pytest.fixture(scope="module", params=CASES)
def pair(request):
    return Pair(CASES[request.param])


def point_of(model):
    """Some parameters, far from the optimum."""
    rng = np.random.default_rng(model.k_re + 7)
    root = np.tril(rng.normal(size=(model.k_re, model.k_re)))
    return MixedLMParams.from_components(
        fe_params=rng.normal(size=model.k_fe),
        cov_re=root @ root.T,
        vcomp=rng.uniform(0.2, 3.0, model.k_vc),
    )


def test_statsmodels_would_not_move(pair):
    assert pair.result.converged
    assert pair.result.llf == pytest.approx(pair.old_result.llf, abs=1e-9)
    assert abs(gain_left(pair.old, pair.result)) < 1e-12


def test_fixed_effects(pair):
    ours, theirs = pair.result, pair.old_result
    assert_allclose(ours.fe_params, theirs.fe_params, atol=1e-6)
    assert_array_equal(ours.fe_params.index, theirs.fe_params.index)
    x, v = pair.old.exog, pair.covariance()
    covariance = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    assert_allclose(ours.cov_params(), covariance, rtol=1e-7, atol=1e-10)
    assert_allclose(ours.bse_fe, np.sqrt(np.diag(covariance)), rtol=1e-7)


def test_variances(pair):
    ours, theirs = pair.result, pair.old_result
    assert ours.scale == pytest.approx(theirs.scale, abs=1e-6)
    assert_allclose(ours.cov_re, theirs.cov_re, atol=1e-5)
    assert_allclose(ours.cov_re_unscaled, theirs.cov_re_unscaled, atol=1e-5)
    assert_array_equal(ours.cov_re.index, theirs.cov_re.index)
    assert_array_equal(ours.cov_re.columns, theirs.cov_re.columns)
    assert_allclose(ours.vcomp, theirs.vcomp, atol=1e-5)


def test_packed_parameters_and_names(pair):
    ours, theirs = pair.result.packed_params, pair.old_result.params
    assert_allclose(ours, theirs, atol=2e-5)
    assert_array_equal(ours.index, pair.old.data.param_names)
    data, old = pair.model.data, pair.old.data
    assert data.exog_re_names == old.exog_re_names
    assert data.exog_re_names_full == old.exog_re_names_full
    assert list(data.vcomp_names) == list(getattr(old, "vcomp_names", []))
    assert pair.model.exog_names == pair.old.exog_names


def test_groups(pair):
    ours, theirs = pair.model, pair.old
    assert list(ours.group_labels) == list(theirs.group_labels)
    assert ours.row_indices == theirs.row_indices
    for name in ("k_fe", "k_re", "k_re2", "k_vc", "n_groups", "n_totobs", "nobs"):
        assert getattr(ours, name) == getattr(theirs, name)
    for array in (theirs.endog, theirs.exog):
        for one, other in zip(ours.group_list(array), theirs.group_list(array)):
            assert_array_equal(one, other)
    assert ours.group_list(None) is None
    if theirs.k_re:
        assert_allclose(ours.exog_re, theirs.exog_re)


def as_there(ours, names):
    """
    Our rows that MixedLM has, and the others.

    Of two labels MixedLM combines those it meets in a group; we combine those of the
    data, and those that are not in the group have the mean of all.
    """
    is_there = ours.index.isin(names)
    return ours[is_there], ours[~is_there]


def test_random_effects(pair):
    ours, theirs = pair.result.random_effects, pair.old_result.random_effects
    assert list(ours) == list(theirs)
    for label, expected in theirs.items():
        own, more = as_there(ours[label], expected.index)
        assert_allclose(own, expected, atol=1e-5)
        assert_array_equal(more, 0.0)


def test_names_and_order_of_random_effects(pair):
    ours, theirs = pair.result.random_effects, pair.old_result.random_effects
    for label, expected in theirs.items():
        own, _ = as_there(ours[label], expected.index)
        assert own.index.tolist() == expected.index.tolist()


def test_conditional_covariances(pair):
    ours, theirs = pair.result.random_effects_cov, pair.old_result.random_effects_cov
    assert list(ours) == list(theirs)
    for label, expected in theirs.items():
        names = pair.result.random_effects[label].index.tolist()
        assert ours[label].index.tolist() == names
        assert ours[label].columns.tolist() == names
        there = pair.old_result.random_effects[label].index
        own = as_there(as_there(ours[label], there)[0].T, there)[0]
        assert_allclose(own, expected, atol=1e-5)


def test_fitted_values(pair):
    ours, theirs = pair.result, pair.old_result
    assert_allclose(ours.fittedvalues, theirs.fittedvalues, atol=1e-5)
    assert_allclose(ours.resid, theirs.resid, atol=1e-5)
    assert_array_equal(ours.fittedvalues.index, theirs.fittedvalues.index)
    new = pair.data.iloc[[7, 3, 3]]
    assert_allclose(ours.predict(new), theirs.predict(new), atol=1e-6)
    assert_allclose(ours.predict(), theirs.predict(), atol=1e-6)


@pytest.mark.parametrize("profile_fe", [True, False])
@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_anywhere(pair, reml, profile_fe):
    old, model, point = pair.old, pair.model, point_of(pair.old)
    before = old.reml, model.reml
    old.reml = model.reml = reml
    try:
        expected = old.loglike(point, profile_fe=profile_fe)
        found = [model.loglike(point, profile_fe=profile_fe)]
        packed = point.get_packed(model.use_sqrt, has_fe=not profile_fe)
        found.append(model.loglike(packed, profile_fe=profile_fe))
        assert_allclose(found, expected, rtol=1e-10)
    finally:
        old.reml, model.reml = before


@pytest.mark.parametrize("profile_fe", [True, False])
def test_score_anywhere(pair, profile_fe):
    point = point_of(pair.old)
    slope = pair.old.score(point.copy(), profile_fe=profile_fe)
    found = pair.model.score(point, profile_fe=profile_fe)
    assert found.shape == slope.shape
    assert_allclose(found, slope, rtol=1e-5, atol=1e-5)


def test_distribution_draws_the_same_numbers(pair):
    packed, scale = pair.old_result.params.to_numpy(), pair.old_result.scale
    draw = pair.model.get_distribution(packed, scale, None).rvs(0, rng=5)
    assert draw.shape == (N,)
    x = np.zeros((N, pair.old.k_fe))
    centered = pair.model.get_distribution(packed, scale, x).rvs(0, rng=5)
    fixed = pair.old.exog @ packed[: pair.old.k_fe]
    assert_allclose(draw - centered, fixed, atol=1e-10)
    if pair.old.k_re:  # MixedLM cannot draw without correlated effects
        expected = pair.old.get_distribution(packed, scale, None).rvs(0, rng=5)
        assert_allclose(draw, expected, atol=1e-8)


@pytest.mark.parametrize("labels", ["C(r)", "C(rr)", "v1 + r"])
def test_a_constant_and_labels_are_refused(labels):
    """MixedLM compares with the label that comes first in each group."""
    with pytest.raises(FormulaError, match=r"label comes first .* write '0 \+"):
        mixedlm(FIXED, DATA, groups="g", vc_formula={"v": labels})


# other doors ------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_the_crossed_class_takes_the_same_arguments(name):
    expected = MixedLM.from_formula(
        FIXED, DATA, **{k: v for k, v in CASES[name].items() if k != "reml"}
    ).fit()
    names = ("groups", "re_formula", "vc_formula")
    arguments = {k: v for k, v in CASES[name].items() if k in names}
    found = crossedmixedlm(FIXED, DATA, check_levels=False, **arguments).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-12)
    assert_allclose(found.params, expected.params, atol=1e-12)
    assert_allclose(found.theta, expected.theta, atol=1e-12)
    assert_allclose(found.fittedvalues, expected.fittedvalues, atol=1e-12)


def test_one_line_is_the_class_method():
    assert mixedlm.__self__ is MixedLM
    assert crossedmixedlm.__self__ is CrossedMixedLM
    assert mixedlm.__func__ is MixedLM.from_formula.__func__


GROUPS = {
    "array": lambda d: d["g"].to_numpy(),
    "series": lambda d: d["g"],
    "series without a name": lambda d: d["g"].rename(None),
    "series in another order": lambda d: d["g"].iloc[::-1],
    "list of labels": lambda d: d["g"].tolist(),
    "list of integers": lambda d: d["number"].tolist(),
    "categorical": lambda d: pd.Categorical(d["g"]),
    "list of one name": lambda d: ["g"],
    "frame of one column": lambda d: d[["g"]],
}


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("door", [mixedlm, crossedmixedlm])
def test_groups_are_names_or_labels(door, kind):
    expected = door(FIXED, DATA, groups="g", re_formula="~x").fit()
    found = door(FIXED, DATA, groups=GROUPS[kind](DATA), re_formula="~x").fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-12)
    assert_allclose(found.theta, expected.theta, atol=1e-12)
    assert_allclose(found.scale, expected.scale, atol=1e-12)
    if door is mixedlm:
        assert_allclose(found.cov_re, expected.cov_re, atol=1e-12)


def test_groups_by_array_are_named_as_by_mixedlm():
    for groups in (DATA["g"], DATA["g"].to_numpy()):
        old = smf.mixedlm(FIXED, DATA, groups=groups, re_formula="~x")
        new = mixedlm(FIXED, DATA, groups=groups, re_formula="~x")
        assert new.data.exog_re_names == old.data.exog_re_names == ["Group", "x"]
        assert new.fit().cov_re.index.tolist() == ["Group", "x"]


SEVERAL = {
    "names": ["g", "c"],
    "tuple": ("g", "c"),
    "frame": DATA[["g", "c"]],
}


@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("door", [mixedlm, crossedmixedlm])
@pytest.mark.parametrize(("effects", "bars"), [(None, "1"), ("~x", "x")])
def test_several_groups_are_crossed(door, kind, effects, bars):
    found = door(FIXED, DATA, groups=SEVERAL[kind], re_formula=effects).fit()
    text = f"{FIXED} + ({bars} | g) + ({bars} | c)"
    expected = crossedmixedlm(text, DATA).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-12)
    assert_allclose(found.theta, expected.theta, atol=1e-12)
    assert_allclose(found.fittedvalues, expected.fittedvalues, atol=1e-12)
    pd.testing.assert_frame_equal(
        found.variance_components(), expected.variance_components()
    )
    assert "c Var" in str(mixedlm(FIXED, DATA, groups=["g", "c"]).fit().summary())


def test_bars_beside_arguments():
    expected = crossedmixedlm(f"{FIXED} + (x | c) + (1 | g)", DATA).fit()
    for door in (mixedlm, crossedmixedlm):
        found = door(f"{FIXED} + (x | c)", DATA, groups="g").fit()
        assert found.llf == pytest.approx(expected.llf, abs=1e-12)
    only_bars = mixedlm(f"{FIXED} + (x | c) + (1 | g)", DATA).fit()
    assert only_bars.llf == pytest.approx(expected.llf, abs=1e-12)
    assert str(only_bars.summary()) == str(expected.summary())
    for name in ("cov_re", "random_effects", "random_effects_cov"):
        assert getattr(only_bars, name) == getattr(expected, name)


@pytest.mark.parametrize("terms", ["fixed", "random"])
def test_a_fit_with_fewer_terms_is_one_of_its_own(terms):
    found = mixedlm(FIXED, DATA, groups=["g", "c"]).fit()
    expected = crossedmixedlm(f"{FIXED} + (1 | g) + (1 | c)", DATA).fit()
    one, other = (
        fit.drop_random("c") if terms == "random" else fit.drop_fixed("x")
        for fit in (found, expected)
    )
    assert str(one.summary()) == str(other.summary())


@pytest.mark.parametrize("name", ["my group", "class", "C", "np", "Group", "I"])
def test_any_name_of_a_group(name):
    arguments = {"re_formula": "~x", "vc_formula": {"v": "0 + C(r)"}}
    expected = mixedlm(FIXED, DATA, groups="g", **arguments).fit()
    data = DATA.rename(columns={"g": name})
    found = mixedlm(FIXED, data, groups=name, **arguments).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-12)
    assert found.cov_re.index.tolist() == [name, "x"]


def test_quoted_names_of_columns():
    arguments = {"groups": "g", "re_formula": "~x"}
    expected = mixedlm(FIXED, DATA, vc_formula={"v": "0 + C(r)"}, **arguments).fit()
    data = DATA.assign(**{"my r": DATA["r"]})
    for text in ("0 + C(Q('my r'))", "0 + Q('my r')", '0 + C(Q("my r"))'):
        found = mixedlm(FIXED, data, vc_formula={"v": text}, **arguments).fit()
        assert found.llf == pytest.approx(expected.llf, abs=1e-10)


# refusals -----------------------------------------------------------------------


def test_what_is_refused():
    with pytest.raises(AttributeError, match="'groups' is a required keyword"):
        mixedlm(FIXED, DATA)
    with pytest.raises(TypeError, match=r"needs groups; .* use CrossedMixedLM"):
        MixedLM(DATA["y"], DATA[["x"]], random=[(DATA["g"], None)])
    with pytest.raises(FormulaError, match="write the formula with bars"):
        mixedlm(FIXED, DATA, groups=["g", "c"], vc_formula={"v": "0 + C(r)"})
    with pytest.raises(FormulaError, match="need groups"):
        crossedmixedlm(FIXED, DATA, re_formula="~x")
    with pytest.raises(ValueError, match="120 rows"):
        mixedlm(FIXED, DATA, groups=DATA["g"].to_numpy()[:-1])
    with pytest.raises(TypeError, match="surprise"):
        mixedlm(FIXED, DATA, groups="g", surprise=1)
    with pytest.raises(ValueError, match="nothere"):
        mixedlm(FIXED, DATA, groups="nothere")
