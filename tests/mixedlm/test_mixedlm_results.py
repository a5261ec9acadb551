"""
Results of MixedLM: tables, standard errors of variances, profiles, and consumers.
"""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import optimize
from statsmodels.iolib.summary2 import summary_col
from statsmodels.regression import mixed_linear_model as statsmodels_mixed
from statsmodels.regression.linear_model import OLS
from statsmodels.regression.mixed_linear_model import MixedLMParams
from statsmodels.stats.mediation import Mediation
from statsmodels.tools.numdiff import approx_hess
from statsmodels_twin import mixedlm_at

from statsmodels_lmm import CrossedMixedLM, MixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.inference.prediction import prediction_variance

TEXT = "y ~ x"


def frame(seed=12):
    rng = np.random.default_rng(seed)
    g, s = np.repeat(np.arange(16), 6), np.tile(np.repeat([0, 1, 2], 2), 16)
    data = pd.DataFrame(rng.normal(size=(96, 2)), columns=["x", "w"])
    u, b = rng.normal(size=(16, 2)), rng.normal(size=(16, 3))
    data["y"] = 1 + data["x"] + 2 * u[g, 0] + 1.5 * u[g, 1] * data["x"]
    data["y"] += b[g, s] + 0.5 * rng.normal(size=96)
    data["g"], data["s"], data["one"] = [f"g{i:02d}" for i in g], s, 1.0
    return data


DATA = frame()
MODELS = {
    "intercept": {},
    "slope": {"re_formula": "~x"},
    "components": {"re_formula": "~x", "vc_formula": {"s": "0 + C(s)"}},
    "components only": {"vc_formula": {"s": "0 + C(s)", "i": "1"}},
}


def fitted(name, reml=True):
    return mixedlm(TEXT, DATA, groups="g", **MODELS[name]).fit(reml=reml)


@pytest.fixture(
    scope="module", params=[(name, reml) for name in MODELS for reml in (True, False)]
)
def result(request):
    fit = fitted(*request.param)
    fit._results.case = request.param[0]
    return fit


class Dense:
    """The likelihood of a model by n x n algebra."""

    def __init__(self, case, data=DATA, reml=True):
        self.reml, self.y = reml, data["y"].to_numpy()
        self.x = np.column_stack([np.ones(len(data)), data["x"]])
        g, s = data["g"].to_numpy(), data["s"].to_numpy()
        same = (g[:, None] == g).astype(float)
        nested = same * (s[:, None] == s)
        z = self.x
        pieces = {
            "1": [same],
            "x": [same, same * (np.add.outer(z[:, 1], z[:, 1]))],
            "xx": [same * np.outer(z[:, 1], z[:, 1])],
        }
        slope = [same, pieces["x"][1], pieces["xx"][0]]
        self.pieces = {
            "intercept": [same],
            "slope": slope,
            "components": [*slope, nested],
            "components only": [same, nested],
        }[case]
        self.pieces.append(np.eye(len(g)))

    def covariance(self, values):
        return sum(v * p for v, p in zip(values, self.pieces))

    def loglike(self, values):
        """Values: covariances row by row, components, residual variance."""
        v = self.covariance(values)
        sign, logdet = np.linalg.slogdet(v)
        if sign <= 0 or np.linalg.eigvalsh(v)[0] <= 0:
            return -np.inf
        inverse = np.linalg.inv(v)
        information = self.x.T @ inverse @ self.x
        beta = np.linalg.solve(information, self.x.T @ inverse @ self.y)
        r = self.y - self.x @ beta
        n = len(r)
        out = logdet + r @ inverse @ r + n * np.log(2 * np.pi)
        if self.reml:
            p = self.x.shape[1]
            out += np.linalg.slogdet(information)[1] - p * np.log(2 * np.pi)
        return -0.5 * out

    def errors(self, values):
        hessian = approx_hess(values, self.loglike, epsilon=1e-3 * np.abs(values))
        return np.sqrt(np.diag(np.linalg.inv(-hessian)))


def variances(result):
    lower = np.asarray(result.cov_re)[np.tril_indices(result.k_re)]
    return np.concatenate([lower, result.vcomp, [result.scale]])


# estimates and their errors ----------------------------------------------------


def test_likelihood_is_the_dense_one(result):
    dense = Dense(result.case, reml=result.reml)
    assert result.llf == pytest.approx(dense.loglike(variances(result)), abs=1e-8)


def test_errors_of_variances_are_of_the_observed_information(result):
    values = variances(result)
    expected = Dense(result.case, reml=result.reml).errors(values)
    assert_allclose(result.bse_re, expected[:-1], rtol=2e-3)
    names = result.model.data.exog_re_names_full
    names = [*names, *(f"{v} Var" for v in result.model.data.vcomp_names)]
    assert result.bse_re.index.tolist() == names


def test_errors_of_variances_of_sleepstudy():
    """The restricted likelihood of (1 | Subject) in both variances by differences."""
    data = load("sleepstudy")
    fit = mixedlm("Reaction ~ Days", data, groups="Subject").fit()
    assert fit.bse_re["Subject Var"] == pytest.approx(505.77, abs=0.02)


@pytest.mark.parametrize("reml", [True, False])
def test_errors_at_zero_are_of_the_observed_information(reml):
    data = load("dyestuff2")
    fit = mixedlm("Yield ~ 1", data, groups="Batch").fit(reml=reml)
    assert float(fit.cov_re.iloc[0, 0]) == 0.0
    frame = pd.DataFrame({"y": data["Yield"], "g": data["Batch"].astype(str)})
    dense = Dense("intercept", frame.assign(x=0.0, s=0), reml)
    dense.x = dense.x[:, :1]
    at = np.array([0.0, fit.scale])
    hessian = approx_hess(at, dense.loglike, epsilon=np.full(2, 0.01))
    expected = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    assert fit.bse_re["Batch Var"] == pytest.approx(expected[0], rel=2e-3)


def test_packed_parameters(result):
    lower = np.asarray(result.cov_re)[np.tril_indices(result.k_re)]
    expected = [*result.fe_params, *lower / result.scale, *result.vcomp / result.scale]
    assert_allclose(result.packed_params, expected, rtol=1e-12)
    names = [*result.model.exog_names, *result.bse_re.index]
    assert result.packed_params.index.tolist() == names
    back = result.params_object
    assert isinstance(back, MixedLMParams)
    assert_allclose(back.get_packed(False, has_fe=True), result.packed_params)
    assert_allclose(result.cov_re_unscaled, back.cov_re)
    assert_allclose(result.model.loglike(back), result.llf, atol=1e-9)


def test_the_likelihood_is_flat_at_the_estimate(result):
    model, at = result.model, result.params_object
    model.reml = result.reml
    for profile_fe in (True, False):
        assert_allclose(model.score(at.copy(), profile_fe), 0.0, atol=2e-4)
    curvature = np.linalg.eigvalsh(model.hessian(at, profile_fe=True))
    assert curvature[-1] < 0.0
    assert model.hessian(at).shape == (len(result.packed_params),) * 2


def test_counts(result):
    model = result.model
    assert result.nobs == model.nobs == model.n_totobs == 96
    assert result.df_resid == 94
    assert (result.k_fe, result.k_re, result.k_re2, result.k_vc) == (
        model.k_fe,
        model.k_re,
        model.k_re2,
        model.k_vc,
    )
    assert result.method == ("REML" if result.reml else "ML")
    assert result.use_sqrt is True
    assert result.hist is None
    assert result.cov_pen is None
    assert result.freepat is None
    n_params = len(result.packed_params) + 1
    assert result.aic == pytest.approx(-2 * result.llf + 2 * n_params)
    assert result.bic == pytest.approx(-2 * result.llf + np.log(96) * n_params)


def test_hypotheses_are_about_the_fixed_effects(result):
    z = result.params["x"] / result.bse["x"]
    for hypothesis in ("x = 0", [[0, 1]], np.array([[0.0, 1.0]]), [0, 1]):
        assert_allclose(result.t_test(hypothesis).tvalue.ravel(), z, rtol=1e-10)
    with pytest.raises(ValueError, match="should have 2 columns"):
        result.t_test(np.ones((1, 3)))
    wald = result.wald_test("x = 0", scalar=True)
    assert wald.statistic == pytest.approx(z**2)
    assert_allclose(result.f_test("x = 0").fvalue, z**2)
    terms = result.wald_test_terms(scalar=True).table
    assert terms.loc["x", "statistic"] == pytest.approx(z**2)
    for table in (result.bse, result.tvalues, result.pvalues, result.params):
        assert table.index.tolist() == ["Intercept", "x"]
    assert result.conf_int().shape == result.cov_params().shape == (2, 2)


def test_no_formula_no_pandas():
    x = np.column_stack([np.ones(96), DATA["x"]])
    arrays = DATA["y"].to_numpy(), x, DATA["g"].to_numpy()
    plain = MixedLM(*arrays, exog_re=x).fit()
    named = fitted("slope")
    for name in ("params", "fe_params", "bse", "bse_fe", "tvalues", "pvalues"):
        assert isinstance(getattr(plain, name), np.ndarray)
        assert isinstance(getattr(named, name), pd.Series)
        assert_allclose(getattr(plain, name), getattr(named, name), rtol=1e-6)
    for name in ("fittedvalues", "resid"):
        assert isinstance(getattr(plain, name), np.ndarray)
        assert isinstance(getattr(named, name), pd.Series)
    for name in ("cov_re", "cov_re_unscaled"):
        assert isinstance(getattr(plain, name), np.ndarray)
        assert isinstance(getattr(named, name), pd.DataFrame)
    assert isinstance(plain.cov_params(), np.ndarray)
    assert isinstance(named.cov_params(), pd.DataFrame)
    assert isinstance(plain.vcomp, np.ndarray)
    assert isinstance(named.vcomp, np.ndarray)


# profiles ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "which", "vtype", "at", "reml"),
    [
        ("intercept", 0, "re", 0, True),
        ("intercept", 0, "re", 0, False),
        ("slope", 0, "re", 0, True),
        ("slope", 1, "re", 2, False),
        ("components", 1, "re", 2, False),
        ("components", "s", "vc", 3, True),
        ("components only", "i", "vc", 0, True),
        ("components only", "s", "vc", 1, False),
    ],
)
def test_profiles_are_the_dense_ones(case, which, vtype, at, reml):
    fit = fitted(case, reml)
    values = variances(fit)
    found = fit.profile_re(
        which, vtype, num_low=1, dist_low=0.4, num_high=2, dist_high=1.0
    )
    assert found.shape == (4, 2)
    expected = values[at] + np.array([-0.4, 0.0, 0.5, 1.0])
    assert_allclose(found[:, 0], expected, rtol=1e-10)
    assert found[1, 1] == pytest.approx(fit.llf, abs=1e-7)
    dense = Dense(case, reml=reml)

    def profiled(value):
        def negative(rest):
            return -dense.loglike(np.insert(rest, at, value))

        start = np.delete(values, at)
        best = optimize.minimize(
            negative,
            start,
            method="Nelder-Mead",
            options={"fatol": 1e-9, "xatol": 1e-6},
        )
        return -best.fun

    for value, height in found[[0, 3]]:
        assert height == pytest.approx(profiled(value), abs=1e-5)


def test_a_profile_is_highest_at_the_estimate():
    fit = fitted("intercept")
    options = {"num_low": 2, "dist_low": 1.0, "num_high": 2, "dist_high": 1.0}
    found = fit.profile_re(0, "re", **options)
    assert_allclose(found[2], [fit.cov_re.iloc[0, 0], fit.llf], rtol=1e-8)
    assert (found[:, 1] <= found[2, 1]).all()


def test_what_cannot_be_profiled():
    fit = fitted("components")
    with pytest.raises(ValueError, match="dist_low is too large"):
        fit.profile_re(0, "re", dist_low=100.0)
    with pytest.raises(ValueError, match="vtype must be"):
        fit.profile_re(0, "fe")


# summaries ---------------------------------------------------------------------


def test_layout_of_the_summary():
    fit = fitted("components")
    table = fit.summary()
    names = ["Intercept", "x", "g Var", "g x x Cov", "x Var", "s Var"]
    assert table.tables[1].index.tolist() == names
    columns = ["Coef.", "Std.Err.", "z", "P>|z|", "[0.025", "0.975]"]
    assert table.tables[1].columns.tolist() == columns
    rows = table.tables[1]
    assert_allclose(rows["Coef."].astype(float)[:2], fit.params, atol=6e-4)
    assert_allclose(rows["Coef."].astype(float)[2:], variances(fit)[:-1], atol=6e-4)
    assert_allclose(rows["Std.Err."].astype(float)[2:], fit.bse_re, atol=6e-4)
    assert (rows.iloc[2:, 2:] == "").all(axis=None)
    text = str(table)
    for line in (
        "Mixed Linear Model Regression Results",
        "Model:             MixedLM",
        "Dependent Variable: y",
        "No. Observations:  96",
        "No. Groups:        16",
        "Min. group size:   6",
        "Mean group size:   6.0",
        "Converged:          Yes",
        "Method:             REML",
    ):
        assert " ".join(line.split()) in " ".join(text.split())
    assert "In lme4's notation: y ~ x + (x | g) + (1 | g:s)" in text


def test_first_table_is_that_of_statsmodels():
    fit = fitted("components")
    old = statsmodels_mixed.MixedLM.from_formula(
        TEXT, DATA, groups="g", **MODELS["components"]
    )
    ours, theirs = (
        {
            str(row[at]).strip(": "): str(row[at + 1]).strip()
            for row in each.summary().tables[0].to_numpy()
            for at in (0, 2)
        }
        for each in (fit, mixedlm_at(old, fit))
    )
    assert ours.keys() == theirs.keys()
    assert ours.pop("Converged") == "Yes"
    del theirs["Converged"]  # it was not to search
    for name in ("Scale", "Log-Likelihood"):
        ours[name], theirs[name] = (
            round(float(each[name]), 3) for each in (ours, theirs)
        )
    assert ours == theirs


def test_names_in_the_summary():
    fit = fitted("intercept")
    table = fit.summary(
        yname="response",
        xname_fe=["const", "slope"],
        xname_re=["between"],
        title="A title",
        alpha=0.1,
    )
    assert table.tables[1].index.tolist() == ["const", "slope", "between"]
    assert "[0.05" in table.tables[1].columns
    text = str(table)
    assert "A title" in text
    assert "response" in text
    with pytest.raises(ValueError, match="xname_fe should be a list of length 2"):
        fit.summary(xname_fe=["const"])
    with pytest.raises(ValueError, match="xname_re should be a list of length 1"):
        fit.summary(xname_re=["a", "b"])


def test_summary_of_arrays():
    x = np.column_stack([np.ones(96), DATA["x"]])
    fit = MixedLM(DATA["y"].to_numpy(), x, DATA["g"].to_numpy(), exog_re=x).fit()
    table = fit.summary()
    names = ["const", "x1", "x_re1 Var", "x_re1 x x_re2 Cov", "x_re2 Var"]
    assert table.tables[1].index.tolist() == names
    assert "lme4" not in str(table)


def test_summary_after_the_data_are_removed(result):
    fit = copy.deepcopy(result)
    before = str(fit.summary())
    fit.remove_data()
    assert fit.model.endog is None
    after = fit.summary()
    coefficients = after.tables[1]["Coef."].astype(float)
    expected = [*result.params, *variances(result)[:-1]]
    assert_allclose(coefficients, expected, atol=6e-4)
    assert after.tables[0].astype(str).equals(result.summary().tables[0].astype(str))
    assert before.splitlines()[0] == str(after).splitlines()[0]
    assert_allclose(fit.cov_re, result.cov_re)
    assert_allclose(fit.vcomp, result.vcomp)
    assert_allclose(fit.packed_params, result.packed_params)
    assert_allclose(fit.predict(DATA[:3]), result.predict(DATA[:3]))


def test_summary_col_beside_ols():
    fit = fitted("slope")
    ols = OLS.from_formula(TEXT, DATA).fit()
    text = str(summary_col([fit, ols], model_names=["mixed", "ols"]))
    assert f"{fit.params['x']:.4f}" in text
    assert f"({fit.bse['x']:.4f})" in text
    assert f"{ols.params['x']:.4f}" in text


# random effects of each group -----------------------------------------------------


def test_random_effects_of_a_group_are_made_when_asked_for(result):
    fit = copy.copy(result._results)
    assert isinstance(fit.random_effects, dict)
    assert list(fit.random_effects_cov) == list(fit.random_effects)
    for name in ("random_effects", "random_effects_cov"):
        assert getattr(fit, name)["g03"] is getattr(fit, name)["g03"]
    before = len(pickle.dumps(result))
    assert len(pickle.dumps(type(result)(fit))) == before
    found = pickle.loads(pickle.dumps(fit.random_effects_cov))
    assert type(found) is dict
    assert found == fit.random_effects_cov


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_covariances_of_many_groups_are_found_together(result, rows, monkeypatch):
    calls = []
    joint = prediction_variance._joint_modes

    def counted(*args):
        calls.append(len(args[1]))
        return joint(*args)

    fit, expected = copy.copy(result._results), dict(result.random_effects_cov)
    monkeypatch.setattr(prediction_variance, "_joint_modes", counted)
    monkeypatch.setattr(prediction_variance, "JOINT_ROWS", rows)
    found = fit.random_effects_cov
    assert calls == []
    for label in reversed(list(found)):
        pd.testing.assert_frame_equal(found[label], expected[label])
    several = "component" in fit.case
    assert sum(calls) == several * sum(map(len, expected.values()))
    assert len(calls) <= max(1, 16 * 6 // rows) * several


def test_random_effects_by_group_need_the_data():
    """Those that were asked for before the data were removed are still there."""
    fit, other = fitted("components"), fitted("components")
    expected = dict(fit.random_effects)
    fit.remove_data()
    assert fit.random_effects == expected
    other.remove_data()
    with pytest.raises(DataError, match="random effects by group needs them"):
        _ = other.random_effects


# copies ------------------------------------------------------------------------


def assert_same(found, expected):
    assert found.llf == expected.llf
    assert_allclose(found.packed_params, expected.packed_params)
    assert_allclose(found.bse_re, expected.bse_re)
    assert str(found.summary()) == str(expected.summary())
    for label, effects in expected.random_effects.items():
        pd.testing.assert_series_equal(found.random_effects[label], effects)
    assert found.model.row_indices == expected.model.row_indices
    assert_allclose(found.predict(DATA[:3]), expected.predict(DATA[:3]))
    assert found.model.fit(reml=expected.reml).llf == pytest.approx(
        expected.llf, abs=1e-9
    )


def test_pickled_results_are_the_same(result):
    assert_same(pickle.loads(pickle.dumps(result)), result)


def test_copies_are_the_same(result):
    assert_same(copy.copy(result), result)
    assert_same(copy.deepcopy(result), result)


def test_pickled_model():
    model = mixedlm(TEXT, DATA, groups="g", **MODELS["components"])
    found = pickle.loads(pickle.dumps(model)).fit()
    assert found.llf == pytest.approx(fitted("components").llf, abs=1e-10)
    assert found.vcomp.shape == (1,)


def test_saved_results(tmp_path):
    fit = fitted("components")
    fit.save(tmp_path / "fit.pickle")
    assert_same(type(fit).load(tmp_path / "fit.pickle"), fit)


def test_clones_of_a_model(result):
    model = result.model
    clone = type(model)(model.endog, model.exog, **model._get_init_kwds())
    assert clone.fit(reml=result.reml).llf == pytest.approx(result.llf, abs=1e-9)
    assert clone.use_sqrt == model.use_sqrt
    found = clone.fit(reml=result.reml)
    assert_allclose(found.packed_params, result.packed_params, atol=1e-6)
    assert found.summary().tables[1].shape == result.summary().tables[1].shape


# several grouping factors ------------------------------------------------------


def test_several_factors_say_where_to_look():
    fit = mixedlm(TEXT, DATA, groups=["g", "s"]).fit()
    for name in ("cov_re", "vcomp", "packed_params", "params_object"):
        with pytest.raises(DataError, match=r"variance_components\(\)"):
            getattr(fit, name)
    with pytest.raises(DataError, match=r"random_effects_table\(\)"):
        _ = fit.random_effects
    twin = crossedmixedlm(f"{TEXT} + (1 | g) + (1 | s)", DATA).fit()
    assert_allclose(fit.fittedvalues, twin.fittedvalues)
    names = fit.summary().tables[1].index.tolist()
    assert names == ["Intercept", "x", "g Var", "s Var"]


# mediation ---------------------------------------------------------------------


def mediation_data(seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(100), 3)
    t = rng.integers(2, size=300).astype(float)
    m = 0.8 * t + 3 * rng.normal(size=100)[g] + rng.normal(size=300)
    y = 0.6 * m + 0.3 * t + rng.normal(size=300)
    return pd.DataFrame({"y": y, "m": m, "t": t, "g": g})


def mediation(klass, seed, method="parametric", n_rep=200):
    """Mediation with models from arrays."""
    data = mediation_data()
    one = np.ones(300)
    outcome = OLS(data["y"].to_numpy(), np.column_stack([one, data[["m", "t"]]]))
    mediator = klass(
        data["m"].to_numpy(),
        np.column_stack([one, data["t"]]),
        data["g"].to_numpy(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Mediation(outcome, mediator, (2, 1), 1).fit(
            method=method, n_rep=n_rep, rng=np.random.RandomState(seed)
        )


@pytest.mark.slow
def test_mediation_as_with_statsmodels():
    ours, theirs = mediation(MixedLM, 9), mediation(statsmodels_mixed.MixedLM, 10)
    assert ours.summary().index.tolist() == theirs.summary().index.tolist()
    for effects in ("indirect_effects", "direct_effects"):
        # averages over the rows, shape (2, replicates)
        a, b = (np.mean(getattr(each, effects), axis=1) for each in (ours, theirs))
        error = np.sqrt((a.var(axis=1) + b.var(axis=1)) / a.shape[1])
        assert (np.abs(a.mean(axis=1) - b.mean(axis=1)) < 4 * error).all()
        assert_allclose(a.std(axis=1), b.std(axis=1), rtol=0.25)
    average = ours.summary().loc["ACME (average)", "Estimate"]
    assert average == pytest.approx(0.6 * 0.8, abs=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["parametric", "bootstrap"])
def test_mediation_of_formulas(method):
    data = mediation_data()
    outcome = OLS.from_formula("y ~ m + t", data)
    mediator = mixedlm("m ~ t", data, groups="g")
    found = Mediation(outcome, mediator, "t", "m").fit(
        method=method, n_rep=4, rng=np.random.RandomState(1)
    )
    assert np.isfinite(found.summary().to_numpy()[:, 0]).all()
    if method == "parametric":  # the bootstrap draws rows, whatever their group
        average = found.summary().loc["ACME (average)", "Estimate"]
        assert average == pytest.approx(0.6 * 0.8, abs=0.4)


def test_a_mixed_outcome_in_a_mediation():
    data = mediation_data()
    outcome = mixedlm("y ~ m + t", data, groups="g")
    mediator = OLS.from_formula("m ~ t", data)
    found = Mediation(outcome, mediator, "t", "m").fit(
        n_rep=4, rng=np.random.RandomState(1)
    )
    assert np.isfinite(found.summary().to_numpy()[:, 0]).all()


def test_distributions_by_fixed_effects_take_the_variances_of_the_fit():
    fit = fitted("components")
    for x in (None, np.zeros((96, 2))):
        packed = fit.model.get_distribution(fit.packed_params, fit.scale, x)
        fixed = fit.model.get_distribution(fit.params, fit.scale, x)
        assert_allclose(fixed.rvs(0, rng=3), packed.rvs(0, rng=3), rtol=1e-8)


def test_covariances_of_draws():
    """Variances of draws of a group's mean are those of the model."""
    fit = fitted("components")
    draw = fit.model.get_distribution(
        fit.packed_params.to_numpy(), fit.scale, np.zeros((96, 2))
    )
    rng = np.random.default_rng(1)
    draws = np.array([draw.rvs(0, rng=rng) for _ in range(600)])
    v = Dense("components").covariance(variances(fit))
    for contrast in np.random.default_rng(2).normal(size=(4, 96)):
        expected = contrast @ v @ contrast
        found = (draws @ contrast).var()
        assert found == pytest.approx(expected, rel=5 * np.sqrt(2 / 600))


def test_the_door_of_the_crossed_class_has_the_same_fixed_effects():
    ours = fitted("components")
    other = CrossedMixedLM.from_formula(
        TEXT, DATA, groups="g", **MODELS["components"]
    ).fit()
    assert_allclose(ours.params, other.params, atol=1e-10)
    assert_allclose(ours.bse, other.bse, atol=1e-10)


def test_names_of_components_with_brackets():
    from statsmodels.regression.mixed_linear_model import VCSpec

    blocks = [DATA["g"] == g for g in sorted(DATA["g"].unique())]
    mats = [[DATA.loc[b, [c]].to_numpy() for b in blocks] for c in ("x", "w")]
    names = ["u[1]", "u[2]"]
    spec = VCSpec(names, [[[n] for _ in blocks] for n in names], mats)
    x = np.column_stack([np.ones(len(DATA)), DATA["x"]])
    fit = MixedLM(DATA["y"], x, DATA["g"], exog_vc=spec).fit()
    assert len(fit.vcomp) == 2
    assert list(fit.bse_re.index) == ["u[1] Var", "u[2] Var"]


def test_after_a_fit_with_independent_effects():
    model = mixedlm(TEXT, DATA, groups="g", re_formula="~x")
    free = MixedLMParams.from_components(np.ones(2), np.eye(2))
    fit = model.fit(free=free)
    assert fit.model.exog_re.shape == (len(DATA), 2)
    apart = crossedmixedlm("y ~ x + (x || g)", DATA).fit()
    table = fit.profile_re(1, "re", 1, 0.1, 1, 0.1)
    assert table[1, 0] == pytest.approx(fit.cov_re.iloc[1, 1])
    assert table[1, 1] == pytest.approx(apart.llf, abs=1e-6)
    means = fit.model.get_distribution(fit.params, fit.scale)
    assert_allclose(means.theta, fit.theta)


def test_what_profile_re_refuses():
    fit = fitted("components")
    for at, kind in ((2, "re"), ("x", "vc"), (0, "vc")):
        with pytest.raises(ValueError, match="re_ix must be in"):
            fit.profile_re(at, kind)
    with pytest.raises(TypeError, match="dist_lo"):
        fit.profile_re(0, "re", dist_lo=0.1)


def test_information_is_less_the_hessian():
    fit = fitted("slope")
    model, point = fit.model, fit.params_object
    for profile_fe in (True, False):
        hessian = model.hessian(point, profile_fe)
        assert_allclose(model.information(point, profile_fe), -hessian)
        roots = point.get_packed(model.use_sqrt, has_fe=True)
        assert_allclose(model.hessian(roots, profile_fe), hessian, rtol=1e-4, atol=1e-3)


def test_another_response_knows_nothing_of_the_fit():
    fit = fitted("slope")
    other = fit.model.with_response(3.0 * DATA["y"] + DATA["w"])
    drawn = other.get_distribution(np.zeros(2), 1.0)
    assert_allclose(drawn.theta, other.fit().theta)
