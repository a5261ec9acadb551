"""
Arguments of MixedLM's ``fit`` and ``fit_regularized``.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import optimize
from statsmodels.base._penalties import L2, PseudoHuber
from statsmodels.regression.mixed_linear_model import MixedLMParams
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from statsmodels_lmm import MixedLM
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm

SLEEP = load("sleepstudy")
TEXT = "y ~ x + z"
TEXT_NAMES = ["Intercept", "x", "z"]


def frame(seed=2):
    rng = np.random.default_rng(seed)
    g, s = np.repeat(np.arange(15), 8), np.tile(np.repeat([0, 1], 4), 15)
    data = pd.DataFrame(rng.normal(size=(120, 2)), columns=["x", "z"])
    u, b = rng.normal(size=(15, 2)), rng.normal(size=(15, 2))
    data["y"] = 1 + data["x"] + 0.1 * data["z"] + u[g, 0] + u[g, 1] * data["x"]
    data["y"] += b[g, s] + 0.7 * rng.normal(size=120)
    data["g"], data["s"] = g, s
    return data


DATA = frame()
MODELS = {
    "intercept": {},
    "slope": {"re_formula": "~x"},
    "components": {"re_formula": "~x", "vc_formula": {"s": "0 + C(s)"}},
    "components only": {"vc_formula": {"s": "0 + C(s)", "x": "0 + x"}},
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MixedLM.from_formula(TEXT, DATA, groups="g", **MODELS[request.param])


def point(model):
    root = 0.8 * np.eye(model.k_re) + 0.1 * np.tri(model.k_re, k=-1)
    return MixedLMParams.from_components(
        fe_params=np.arange(3.0),
        cov_re=root @ root.T,
        vcomp=0.5 + np.arange(model.k_vc),
    )


def starts(model):
    at = point(model)
    return {
        "object": at,
        "packed": at.get_packed(model.use_sqrt, has_fe=True),
        "without fixed effects": at.get_packed(model.use_sqrt, has_fe=False),
        "list": at.get_packed(model.use_sqrt, has_fe=True).tolist(),
    }


KINDS = ["object", "packed", "without fixed effects", "list"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reml", [True, False])
def test_any_start_leads_to_the_optimum(model, kind, reml):
    expected = model.fit(reml=reml)
    found = model.fit(start_params=starts(model)[kind], reml=reml)
    assert found.converged
    assert found.llf == pytest.approx(expected.llf, abs=1e-8)
    assert found.reml is reml
    assert found.method == ("REML" if reml else "ML")


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_search_the_results_are_those_at_the_start(model, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = model.fit(start_params=starts(model)[kind], do_cg=False)
    at = point(model)
    assert not found.converged
    assert_allclose(found.cov_re_unscaled, at.cov_re, atol=1e-12)
    assert_allclose(found.vcomp, found.scale * at.vcomp, atol=1e-12)
    assert found.llf == pytest.approx(model.loglike(at), abs=1e-10)


@pytest.mark.parametrize("use_sqrt", [True, False])
def test_a_packed_start_is_read_as_the_model_packs(use_sqrt):
    model = mixedlm(TEXT, DATA, groups="g", re_formula="~x", use_sqrt=use_sqrt)
    start = np.array([0.0, 0.0, 0.0, 1.5, 0.4, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = model.fit(start_params=start, do_cg=False).cov_re_unscaled
    matrix = np.array([[1.5, 0.4], [0.4, 2.0]])
    if use_sqrt:
        root = np.tril(matrix)
        matrix = root @ root.T
    assert_allclose(found, matrix, atol=1e-12)


def test_variances_are_read_though_there_are_as_many_fixed_effects():
    model = mixedlm("y ~ 1", DATA, groups="g")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = model.fit(start_params=[1.5], do_cg=False)
    assert_allclose(found.cov_re_unscaled, 1.5**2, atol=1e-12)


def test_fixed_effects_start_nothing(model):
    expected = model.fit()
    found = model.fit(start_params=expected.params)
    assert found.llf == pytest.approx(expected.llf, abs=1e-8)


def test_starts_of_other_lengths_are_refused(model):
    for length in (9, 4 + model.k_re2 + model.k_vc):
        with pytest.raises(ValueError, match="invalid start_params"):
            model.fit(start_params=np.ones(length))


def test_a_start_at_zero(model):
    expected = model.fit()
    nothing = np.zeros(3 + model.k_re2 + model.k_vc)
    found = model.fit(start_params=nothing)
    assert found.converged
    assert found.llf == pytest.approx(expected.llf, abs=1e-8)


# independent random effects -------------------------------------------------------


def test_independent_effects_of_sleepstudy():
    """lme4 1.1-31: lmer(Reaction ~ Days + (Days || Subject))."""
    model = MixedLM.from_formula(
        "Reaction ~ Days", SLEEP, groups="Subject", re_formula="~Days"
    )
    free = MixedLMParams.from_components(np.ones(2), cov_re=np.eye(2))
    result = model.fit(free=free)
    assert -2 * result.llf == pytest.approx(1743.669294, abs=1e-6)
    assert_allclose(result.cov_re, [[627.56905, 0], [0, 35.8583797]], rtol=1e-4)
    assert result.cov_re.index.tolist() == ["Subject", "Days"]
    assert result.scale == pytest.approx(653.5835, rel=1e-5)
    assert_allclose(result.params, [251.405105, 10.467286], atol=1e-5)
    assert_allclose(result.bse, [6.8853808, 1.5595691], rtol=1e-5)
    twin = crossedmixedlm("Reaction ~ Days + (Days || Subject)", SLEEP).fit()
    effects = result.random_effects
    assert effects["308"].index.tolist() == ["Subject", "Days"]
    assert_allclose(
        result.fittedvalues.to_numpy(), twin.fittedvalues.to_numpy(), atol=1e-6
    )
    assert result.n_params == twin.n_params == 5
    covariance = result.random_effects_cov["308"].to_numpy()
    assert_allclose(covariance, dense_mode_covariance(result), rtol=1e-6)
    # the model itself is as it was
    assert -2 * model.fit().llf == pytest.approx(1743.6283, abs=1e-4)


def dense_mode_covariance(result):
    days, cov = np.arange(10.0), np.asarray(result.cov_re)
    z = np.column_stack([np.ones(10), days])
    v = z @ cov @ z.T + result.scale * np.eye(10)
    return cov - cov @ z.T @ np.linalg.solve(v, z @ cov)


def test_independent_effects_beside_components():
    free = MixedLMParams.from_components(np.ones(3), cov_re=np.eye(2), vcomp=np.ones(1))
    model = mixedlm(TEXT, DATA, groups="g", **MODELS["components"])
    result = model.fit(free=free)
    twin = crossedmixedlm(f"{TEXT} + (x || g) + (1 | g:s)", DATA).fit()
    assert result.llf == pytest.approx(twin.llf, abs=1e-8)
    names = [*TEXT_NAMES, "g Var", "g x x Cov", "x Var", "s Var"]
    assert result.packed_params.index.tolist() == names
    assert result.bse_re.index.tolist() == names[3:]
    assert result.bse_re["g x x Cov"] == 0.0
    assert result.cov_re.loc["g", "x"] == 0.0
    found = model.fit(free=free, start_params=result.params_object)
    assert found.llf == pytest.approx(result.llf, abs=1e-9)
    text = str(result.summary())
    assert "g x x Cov" in text
    same = model.fit(
        free=MixedLMParams.from_components(
            np.ones(3), cov_re=np.ones((2, 2)), vcomp=np.ones(1)
        )
    )
    assert same.llf == pytest.approx(model.fit().llf, abs=1e-10)


def mask(cov_re, vcomp=()):
    return MixedLMParams.from_components(
        np.ones(3), cov_re=np.array(cov_re, dtype=float), vcomp=np.array(vcomp)
    )


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("intercept", mask([[0]])),
        ("slope", mask([[1, 0], [0, 0]])),
        ("slope", mask([[0, 1], [1, 1]])),
        ("slope", mask([[0, 0], [0, 0]])),
        ("components", mask([[1, 1], [1, 1]], [0.0])),
        ("components", mask([[1, 0], [0, 1]], [0.0])),
        ("components only", mask(np.zeros((0, 0)), [1.0, 0.0])),
    ],
)
def test_other_masks_are_refused(name, free):
    model = mixedlm(TEXT, DATA, groups="g", **MODELS[name])
    with pytest.raises(ValueError, match="free"):
        model.fit(free=free)


# the rest --------------------------------------------------------------------------


def test_penalties_are_refused(model):
    with pytest.raises(ValueError, match="fe_pen, cov_pen"):
        model.fit(fe_pen=L2())
    with pytest.raises(ValueError, match="fe_pen, cov_pen"):
        model.fit(cov_pen=object())


def test_names_of_optimizers(model):
    expected = model.fit()
    for method in ("bfgs", "lbfgs", "cg", "powell", "nm", ["lbfgs", "bfgs"]):
        found = model.fit(method=method, gtol=1e-8, disp=False)
        assert found.llf == pytest.approx(expected.llf, rel=1e-12)
    for method in ("newton", "ncg", "Newton", ["bfgs", "ncg"]):
        with pytest.raises(ValueError, match="not available for MixedLM"):
            model.fit(method=method)


def test_history(model):
    assert model.fit().hist is None
    history = model.fit(full_output=True).hist
    assert isinstance(history, list)
    assert history


def test_unknown_arguments_are_warned_of(model):
    with pytest.warns(FutureWarning, match="Argument cov_type not used") as record:
        found = model.fit(cov_type="robust")
    assert record[0].filename == __file__
    assert found.llf == pytest.approx(model.fit().llf, rel=1e-12)
    with pytest.warns(FutureWarning, match="Arguments cov_type, skip not used"):
        model.fit(cov_type="robust", skip=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(gtol=1e-6, maxiter=100, eps=1e-8, maxcor=5, ftol=1e-9, tol=1e-9)
        model.fit(disp=True, maxls=10)


def test_maxiter_ends_the_search(model):
    far = MixedLMParams.from_components(
        np.zeros(3), cov_re=1e4 * np.eye(model.k_re), vcomp=np.full(model.k_vc, 1e4)
    )
    with pytest.warns(ConvergenceWarning):
        result = model.fit(start_params=far, maxiter=2)
    assert not result.converged
    assert model.fit(start_params=far).converged


def test_a_fit_leaves_the_model_as_it_was(model):
    first = model.fit().llf
    model.fit(reml=False)
    assert model.reml is False
    assert model.fit().llf == pytest.approx(first, rel=1e-12)
    assert model.reml is True
    assert model.loglike(model.fit().params_object) == pytest.approx(first, abs=1e-9)


# penalized fixed effects ------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 1.0, 20.0, np.array([0.0, 5.0, 30.0])])
@pytest.mark.parametrize("name", ["intercept", "slope"])
def test_lasso_is_stationary(name, alpha):
    """-2 x'V^-1 r is the weight of what is not zero, and no more of what is."""
    model = mixedlm(TEXT, DATA, groups="g", **MODELS[name])
    options = {"ptol": 1e-12, "ceps": 0.0}
    result, plain = model.fit_regularized(alpha=alpha, **options), model.fit()
    z = np.ones((len(DATA), 1)) if model.exog_re is None else model.exog_re
    g = DATA["g"].to_numpy()
    v = (g[:, None] == g) * (z @ np.asarray(plain.cov_re) @ z.T)
    v = v + plain.scale * np.eye(len(g))
    r = model.endog - model.exog @ result.fe_params.to_numpy()
    slopes = 2.0 * model.exog.T @ np.linalg.solve(v, r)
    chosen = (result.fe_params != 0).to_numpy()
    weights = np.broadcast_to(alpha, 3)
    expected = (weights * np.sign(result.fe_params))[chosen]
    assert_allclose(slopes[chosen], expected, atol=1e-6)
    assert (np.abs(slopes[~chosen]) <= weights[~chosen]).all()
    assert_allclose(result.cov_re_unscaled, plain.cov_re_unscaled, atol=1e-10)
    scale = r @ np.linalg.solve(v / plain.scale, r) / (len(r) - 3)
    assert result.scale == pytest.approx(scale, rel=1e-8)
    assert result.fe_params.index.tolist() == TEXT_NAMES
    assert np.isfinite(result.bse).to_numpy().tolist() == chosen.tolist()
    result.summary()


def test_a_strong_lasso_chooses():
    model = mixedlm(TEXT, DATA, groups="g")
    assert (model.fit_regularized(alpha=0.0).fe_params != 0.0).all()
    assert (model.fit_regularized(alpha=1e6).fe_params == 0.0).all()


def test_lasso_of_components_is_the_minimum():
    """MixedLM's residual variance takes variances for ratios here."""
    model = mixedlm(TEXT, DATA, groups="g", **MODELS["components"])
    weights = np.array([1.0, 4.0, 3.0])
    result = model.fit_regularized(alpha=weights, ptol=1e-12, ceps=0.0)
    v, plain = dense_covariance(model.fit()), model.fit()
    precision = np.linalg.inv(v)

    def objective(beta):
        r = model.endog - model.exog @ beta
        return r @ precision @ r + weights @ np.abs(beta)

    best = optimize.minimize(
        objective, plain.params, method="Nelder-Mead", options={"xatol": 1e-9}
    )
    assert objective(result.params.to_numpy()) <= best.fun + 1e-9
    assert_allclose(result.params, best.x, atol=1e-4)
    r = model.endog - model.exog @ result.params.to_numpy()
    scale = r @ np.linalg.solve(v / plain.scale, r) / (len(r) - 3)
    assert result.scale == pytest.approx(scale, rel=1e-8)


def dense_covariance(result):
    """Covariance of the response of the model of components."""
    g, s, x = (DATA[c].to_numpy() for c in "gsx")
    same = g[:, None] == g
    z = np.column_stack([np.ones(len(x)), x])
    v = same * (z @ np.asarray(result.cov_re) @ z.T)
    v = v + result.vcomp[0] * (same & (s[:, None] == s))
    return v + result.scale * np.eye(len(x))


@pytest.mark.parametrize("penalty", [L2(), PseudoHuber(0.5)])
def test_smooth_penalty_is_the_minimum(penalty):
    model = mixedlm(TEXT, DATA, groups="g", **MODELS["components"])
    result = model.fit_regularized(method=penalty, alpha=3.0)
    precision = np.linalg.inv(dense_covariance(model.fit()))

    def objective(beta):
        r = model.endog - model.exog @ beta
        return 0.5 * r @ precision @ r + np.sum(penalty.func(beta))

    assert penalty.alpha == 3.0
    best = optimize.minimize(objective, np.zeros(3), options={"gtol": 1e-9})
    assert_allclose(result.params, best.x, atol=1e-4)


def test_penalties_need_a_known_method():
    with pytest.raises(ValueError, match="regularization method"):
        mixedlm(TEXT, DATA, groups="g").fit_regularized(method="ridge")


def test_a_penalized_fit_with_a_redundant_column():
    model = mixedlm("y ~ x + z + I(x + z)", DATA, groups="g")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = model.fit_regularized(alpha=[1.0, 2.0, 3.0, 4.0])
    expected = mixedlm(TEXT, DATA, groups="g").fit_regularized(alpha=[1.0, 2.0, 3.0])
    assert_allclose(result.params[:3], expected.params, atol=1e-8)
    assert np.isnan(result.params.iloc[3])


def test_arguments_of_the_fit_reach_it():
    model = mixedlm(TEXT, DATA, groups="g")
    assert model.fit_regularized(alpha=1.0, reml=False).method == "ML"
    with pytest.raises(ValueError, match="penalties"):
        model.fit_regularized(alpha=1.0, fe_pen=L2())
