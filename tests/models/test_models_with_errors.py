"""Models with correlated errors: their doors, data, clones and what they refuse."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedGLM, CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm
from statsmodels_lmm.inference.power.planned_values import planned_results
from statsmodels_lmm.mixedlm.model import MixedLM
from statsmodels_lmm.residual import Residual

N, T = 16, 6
FORMULA, AR1, SPREAD = "y ~ t + (1 | g)", "ar1(t | g)", "~ sex"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(9)
    root = np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(range(T), range(T))))
    data = pd.DataFrame({"g": np.repeat(np.arange(N), T), "t": np.tile(range(T), N)})
    data["item"] = (data["t"] + data["g"]) % 4
    data["sex"] = np.where(data["g"] % 3, "f", "m")
    data["my t"], data["half"] = data["t"], data["t"] + 0.5 * (data["t"] > 2)
    data["day"] = pd.Timestamp("2024-02-27") + pd.to_timedelta(data["t"], unit="D")
    data["order"] = pd.Categorical(data["t"].map("abcdef".__getitem__), ordered=True)
    data["word"] = data["order"].astype(str)
    data["w"], data["z"] = rng.uniform(0.5, 2.0, N * T), rng.normal(size=N * T)
    data["n"] = rng.poisson(3.0, N * T)
    data["y"] = (rng.normal(size=(N, T)) @ root.T).ravel() + 0.3 * data["t"]
    data["y"] += (
        np.repeat(rng.normal(size=N), T) + 0.5 * rng.normal(size=4)[data["item"]]
    )
    return data


@pytest.fixture(scope="module")
def fits(data):
    """Models from formulas and from arrays, with random effects and without."""
    exog = np.column_stack([np.ones(N * T), data["t"]])
    term = Residual("ar1", when=data["t"], group=data["g"])
    male = (data["sex"] == "m") * 1.0
    told = {"residual": AR1, "dispersion": SPREAD}
    return {
        "formula": crossedmixedlm(FORMULA, data, **told).fit(),
        "alone": crossedmixedlm("y ~ t", data, residual=AR1).fit(),
        "arrays": CrossedMixedLM(
            data["y"], exog, {"g": data["g"]}, residual=term, dispersion=male
        ).fit(),
        "arrays alone": CrossedMixedLM(data["y"], exog, residual=term).fit(),
    }


def llf(data, formula="y ~ t", residual=AR1, **options):
    return crossedmixedlm(formula, data, residual=residual, **options).fit().llf


# against a dense likelihood -----------------------------------------------------------


def dense_llf(y, x, v):
    """Restricted log-likelihood with the coding of X, from the covariance matrix."""
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    rest = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    value = (len(y) - x.shape[1]) * np.log(2.0 * np.pi) + np.linalg.slogdet(v)[1]
    return -0.5 * (value + np.linalg.slogdet(information)[1] + rest @ inverse @ rest)


def test_related_slopes_and_inverses_crossed_with_residual_groups(data):
    rng = np.random.default_rng(3)
    a = rng.normal(size=(4, 4))
    k = pd.DataFrame(a @ a.T / 4 + np.eye(4), range(4), range(4))
    inverse = pd.DataFrame(np.linalg.inv(k), range(4), range(4))
    given = {"relationship": {"item": k}}, {"relationship_inverse": {"item": inverse}}
    formula = "y ~ t + (z | item)"
    fits = [crossedmixedlm(formula, data, residual=AR1, **o).fit() for o in given]
    (rho,), covariance = fits[0].residual_params, fits[0].cov_re["item"]
    effects = np.column_stack([np.ones(N * T), data["z"]])
    items = data["item"].to_numpy()
    gaps = np.abs(np.subtract.outer(*[data["t"].to_numpy()] * 2))
    same = np.equal.outer(*[data["g"].to_numpy()] * 2)
    related = k.to_numpy()[np.ix_(items, items)]
    v = related * (effects @ covariance.to_numpy() @ effects.T)
    v += fits[0].scale * same * rho**gaps
    expected = dense_llf(data["y"].to_numpy(), fits[0].model.exog, v)
    assert_allclose([fit.llf for fit in fits], expected)
    # E(b | y) = Cov(b, y) V^-1 (y - X beta)
    z = np.hstack([np.eye(4)[items] * column[:, None] for column in effects.T])
    cross = np.kron(covariance.to_numpy(), k.to_numpy()) @ z.T
    rest = data["y"].to_numpy() - fits[0].model.exog @ fits[0].params.to_numpy()
    modes = (cross @ np.linalg.solve(v, rest)).reshape(2, 4).T
    assert_allclose(fits[0].random_effects["item"], modes, atol=1e-8)


@pytest.mark.parametrize("factor", ["g", "item"])
def test_related_levels_nested_and_crossed(data, factor):
    rng = np.random.default_rng(1)
    size = data[factor].nunique()
    a = rng.normal(size=(size, size))
    k = pd.DataFrame(a @ a.T / size + np.eye(size), range(size), range(size))
    formula, options = f"y ~ t + (1 | {factor})", {"relationship": {factor: k}}
    fit = crossedmixedlm(
        formula, data, residual=AR1, dispersion=SPREAD, weights="w", **options
    ).fit()
    rho, gamma = fit.residual_params
    z = np.eye(size)[data[factor]]
    sd = np.exp(gamma * (data["sex"] == "m")) / np.sqrt(data["w"])
    gaps = np.abs(np.subtract.outer(*[data["t"].to_numpy()] * 2))
    same = np.equal.outer(*[data["g"].to_numpy()] * 2)
    errors = same * rho**gaps * np.outer(sd, sd)
    relative = fit.theta.iloc[0] ** 2 * z @ k.to_numpy() @ z.T
    v = fit.scale * (errors + relative)
    assert fit.theta.iloc[0] > 0.05
    assert_allclose(fit.llf, dense_llf(data["y"].to_numpy(), fit.model.exog, v))


def test_shares_of_variance_take_the_mean_of_the_errors_variances(fits):
    fit = fits["formula"]
    (tau,) = fit.variance_components().query("group == 'g'")["variance"]
    spread = np.exp(2.0 * fit.residual_params[1] * (fit.model.data.frame["sex"] == "m"))
    rest = fit.scale * spread.mean()
    assert_allclose(fit.icc()["adjusted"], tau / (tau + rest))
    fixed = np.var(fit.model.exog @ fit.params, ddof=1)
    assert_allclose(fit.r_squared()["conditional"], 1 - rest / (tau + rest + fixed))
    alone = fits["alone"].r_squared()
    assert_allclose(alone["marginal"], alone["conditional"])


# other forms of the same model ------------------------------------------------------


def test_arrays_and_formulas_agree(fits):
    assert_allclose(fits["arrays"].llf, fits["formula"].llf)
    assert_allclose(fits["arrays alone"].llf, fits["alone"].llf)


@pytest.mark.parametrize("name", ["formula", "alone", "arrays", "arrays alone"])
def test_clones_copies_and_other_responses(fits, name):
    fit, model = fits[name], fits[name].model
    clone = type(model)(model.endog, model.exog, **model._get_init_kwds())
    again = pickle.loads(pickle.dumps(fit))
    for other in (clone, copy.deepcopy(model), again.model):
        assert_allclose(other.fit().llf, fit.llf)
    assert again.residual_table().equals(fit.residual_table())
    doubled = fit.refit(2.0 * model.endog)
    assert_allclose(doubled.params, 2.0 * fit.params, rtol=1e-6)
    assert_allclose(doubled.residual_params, fit.residual_params, rtol=1e-5)


def test_a_clone_of_other_data(fits, data):
    """As statsmodels' multiple imputation makes them."""
    model = fits["formula"].model
    kwds = model._get_init_kwds()
    other = type(model).from_formula(kwds.pop("formula"), data.head(60), **kwds)
    assert other.nobs == 60
    assert str(other.residual) == str(model.residual)


def test_removed_data(fits):
    fit = pickle.loads(pickle.dumps(fits["formula"]))
    table, text = fit.residual_table(), str(fit.summary())
    fit.remove_data()
    assert not len(fit.model.residual.codes)
    assert not len(fit.model.residual.log_sd)
    assert fit.residual_table().equals(table)
    assert str(fit.summary()) == text
    assert len(pickle.dumps(fit)) < len(pickle.dumps(fits["formula"]))
    with pytest.raises(DataError, match="were removed"):
        _ = fit.resid_normalized


def test_mixedlms_door(data):
    fit = mixedlm("y ~ t", data, groups="g", re_formula="~ z", residual=AR1).fit()
    assert_allclose(fit.llf, llf(data, "y ~ t + (z | g)"))
    assert_allclose(mixedlm("y ~ t", data, residual=AR1).fit().llf, llf(data))
    term = Residual("ar1", when=data["t"], group=data["g"])
    with pytest.raises(TypeError, match="CrossedMixedLM"):
        MixedLM(data["y"], np.ones(N * T), data["g"], residual=term)


def test_generalized_models_refuse_errors(data):
    formula, poisson = "n ~ t + (1 | g)", {"family": "poisson"}
    model = crossedmixedglm(formula, data, **poisson)
    ones, groups = np.ones((N * T, 1)), {"g": data["g"]}
    for attempt in (
        lambda: crossedmixedglm(formula, data, residual=AR1, **poisson),
        lambda: crossedmixedglm(formula, data, dispersion=SPREAD, **poisson),
        lambda: CrossedMixedGLM(
            data["n"], ones, groups, dispersion=data["t"], **poisson
        ),
        lambda: model.update(residual=AR1),
    ):
        with pytest.raises(TypeError, match="are for linear models"):
            attempt()


# rows -----------------------------------------------------------------------------


def test_rows_in_any_order(data):
    mixed = data.sample(frac=1.0, random_state=2)
    assert_allclose(llf(mixed, FORMULA), llf(data, FORMULA))
    exog = np.column_stack([np.ones(N * T), data["t"]])
    term = Residual("ar1", when=mixed["t"], group=mixed["g"])  # aligned by labels
    assert_allclose(CrossedMixedLM(data["y"], exog, residual=term).fit().llf, llf(data))


def test_incomplete_rows(data):
    gaps = data.astype({"t": float, "sex": object})
    gaps["when"] = gaps["t"].mask(gaps.index == 3)
    gaps.loc[[8, 20], "sex"] = None
    kept, told = data.drop([3, 8, 20]), {"dispersion": SPREAD}
    expected = llf(kept, "y ~ 1", **told)
    with pytest.warns(DataWarning, match="dropped"):
        found = llf(gaps, "y ~ 1", "ar1(when | g)", **told)
    assert_allclose(found, expected)
    with pytest.raises(DataError, match="missing values in when"):
        llf(gaps, "y ~ 1", "ar1(when | g)", missing="raise")
    term = Residual("ar1", when=gaps["when"], group=gaps["g"])
    male = (gaps["sex"] == "m").astype(float).where(gaps["sex"].notna())
    given = data["y"], np.ones((N * T, 1)), ()
    model = CrossedMixedLM(*given, residual=term, dispersion=male, missing="drop")
    assert_allclose(model.fit().llf, expected)
    with pytest.raises(DataError, match="when of the errors has missing values"):
        CrossedMixedLM(*given, residual=term)


def test_subsets_and_zero_weights(data):
    late = llf(data[data["t"] > 1])
    assert_allclose(llf(data, subset="t > 1"), late)
    with pytest.warns(DataWarning, match="weight 0"):
        found = llf(data.assign(w=(data["t"] > 1) * 1.0), weights="w")
    assert_allclose(found, late)


def test_columns_of_other_data_frames(data):
    polars = pytest.importorskip("polars")
    columns = data[["y", "t", "g", "sex", "w"]].assign(unused=1)
    lazy = polars.from_pandas(columns).lazy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the price of a schema
        model = crossedmixedlm("y ~ 1", lazy, residual=AR1, dispersion="~ sex + w")
    assert set(model.data.frame.columns) == {"y", "t", "g", "sex", "w"}
    whole = llf(columns, "y ~ 1", dispersion="~ sex + w")
    assert_allclose(model.fit().llf, whole)


SAME = ["ar1(`my t` | g)", "ar1(day | g)", "ar1(order | g)", "ar1(t | C(g))"]


@pytest.mark.parametrize("residual", [*SAME, Residual("ar1", "my t", "g")], ids=str)
def test_names_dates_and_ordered_categories(data, residual):
    assert_allclose(llf(data, residual=residual), llf(data))


def test_one_set_of_parameters_by_arm(data):
    fit = crossedmixedlm("y ~ t * sex", data, residual="ar1(t | g, by=sex)").fit(
        reml=False
    )
    parts = [
        crossedmixedlm("y ~ t", part, residual=AR1).fit(reml=False)
        for _, part in data.groupby("sex")
    ]
    assert_allclose(fit.llf, sum(part.llf for part in parts))
    assert_allclose(
        fit.residual_params[:2], [p.residual_params[0] for p in parts], 1e-5
    )


def test_parameters_are_named_after_visits(data):
    early = data[data["t"] < 3]
    for when, labels in (("t", "012"), ("half", "012"), ("order", "abc")):
        for structure in ("us({} | g)", "ar1({} | g, hom=False)"):
            errors = crossedmixedlm(
                "y ~ 1", early, residual=structure.format(when)
            ).residual
            names = errors.parameter_names
            assert names[-2:] == [f"log sd {x}" for x in labels[1:]]
            first = "ar1 rho" if "ar1" in structure else "us ({}, {})".format(*labels)
            assert names[0] == first


def test_single_rows_and_gaps(data):
    few = data[(data["g"] > 2) | (data["t"] == 0)]
    assert crossedmixedlm("y ~ 1", few, residual=AR1).fit().converged
    assert crossedmixedlm("y ~ 1", data[data["t"] != 2], residual=AR1).fit().converged


REFUSED = {
    "ar1(half | g)": "whole steps.*rows 3, 4.*car1",
    "ar1(word | g)": "numeric, a date or an ordered categorical",
    "ar1(item | g)": "rows .* of group 0 have the same item",
    "us(item | g)": "rows .* of group 0 have the same item",
    "ar1(t | g, by=item)": "by=item varies within the group 0",
    "ar1(t | y)": "each group of y has one row",
    "exp(t + z | g, hom=False)": "hom=False needs one column left of the bar",
    "cs(1 | g, hom=False)": "hom=False needs one column left of the bar",
}


@pytest.mark.parametrize("residual", REFUSED)
def test_places_and_groups_that_cannot_be(data, residual):
    with pytest.raises(DataError, match=REFUSED[residual]):
        crossedmixedlm("y ~ 1", data, residual=residual)


# what the data do not determine ------------------------------------------------------

CONTAINED = [
    ("y ~ t + (1 | g)", "cs(1 | g)"),
    ("y ~ t + (1 | g)", "toep(t | g)"),
    ("y ~ t + (0 + z | g) + (1 | g)", "us(t | g)"),
    ("y ~ t + (t | g)", "us(t | g)"),
]

APART = [
    ("y ~ t + (1 | g)", "cs(t | g)", {}),
    ("y ~ t + (0 + z | g)", "us(t | g)", {}),
    ("y ~ t + (1 | item)", "cs(1 | g)", {}),
    ("y ~ t + (1 | g)", "cs(1 | g)", {"weights": "w"}),
]


@pytest.mark.parametrize(("formula", "residual"), CONTAINED)
def test_effects_that_the_errors_contain(data, formula, residual):
    with pytest.raises(DataError, match=r"already contains the random effects .* g"):
        crossedmixedlm(formula, data, residual=residual)


@pytest.mark.parametrize(("formula", "residual", "options"), APART)
def test_effects_beside_errors_that_do_not_contain_them(
    data, formula, residual, options
):
    model = crossedmixedlm(formula, data, residual=residual, **options)
    assert str(model.residual) == residual


def test_flat_directions_are_named(data):
    ends = data[data["t"] < 2]
    with pytest.warns(DataWarning, match="tell apart the .* parameters of g, ar1 rho"):
        fit = crossedmixedlm("y ~ 1 + (1 | g)", ends, residual=AR1).fit()
    alone = crossedmixedlm("y ~ 1", ends, residual=AR1).fit()
    assert_allclose(fit.llf, alone.llf, atol=1e-7)
    assert fit.n_params == alone.n_params  # the other one is idle
    halves = data[(data["t"] < 2) == (data["g"] % 2 == 0)]
    with pytest.warns(DataWarning, match=r"determine .* of ad \(1, 2\)\."):
        crossedmixedlm("y ~ 1", halves, residual="ad(t | g)").fit()
    with pytest.warns(DataWarning, match="tell apart .* of g, cs rho"):
        crossedmixedlm(FORMULA, data, residual="cs(1 | g)", check_levels=False).fit()


def test_determined_parameters_are_not_called_flat(fits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit in fits.values():
            assert fit.model.fit().identification.idle == 0


# what is not available -----------------------------------------------------------

UNAVAILABLE = {
    "influence": lambda fit: fit.get_influence(),
    "a cluster-robust covariance": lambda fit: fit.with_cov_type("CR1", groups="g"),
    "the exact test of a variance": lambda fit: fit.exact_lr_test(),
    "heritability": lambda fit: fit.heritability("g", "narrow"),
    "conf_int='profile' of a share": lambda fit: fit.r_squared(conf_int="profile"),
    "power": lambda fit: fit.power("t", nsim=2),
    "power is": lambda fit: fit.power_curve("t", [4], "g", nsim=2),
    "a planned fit": lambda fit: planned_results(fit.model, {}),
}


@pytest.mark.parametrize("what", UNAVAILABLE)
def test_what_needs_independent_errors_says_so(fits, what):
    with pytest.raises(NotImplementedError, match=f"{what}.* not available .*ar1"):
        UNAVAILABLE[what](fits["formula"])


def test_a_robust_fit_is_not_silently_another(data):
    with pytest.raises(NotImplementedError, match="cluster-robust"):
        crossedmixedlm("y ~ t", data, residual=AR1).fit(
            cov_type="CR1", cov_kwds={"groups": data["g"]}
        )


# first guesses -----------------------------------------------------------------------

GUESSES = {
    "corAR1(form = ~ t | g)": r'residual="ar1\(t \| g\)"',
    "corCompSymm(form=~1|g)": r'residual="cs\(1 \| g\)"',
    "AR1(t | g)": r'residual="ar1\(t \| g\)"',
    "UN(t | g)": r'residual="us\(t \| g\)"',
    "TOEPH(t | g)": r'residual="toep\(t \| g, hom=False\)"',
    "AR(1)": r'residual="ar1\(time \| group\)"',
    "other(t | g)": "there are ar1, car1",
    "arma(t | g, p=0)": "arma needs an order",
}


@pytest.mark.parametrize("text", GUESSES)
def test_names_elsewhere_are_answered(data, text):
    with pytest.raises(FormulaError, match=GUESSES[text]):
        crossedmixedlm("y ~ t", data, residual=text)


def test_values_for_names_and_names_for_values(data):
    term = Residual("ar1", when=data["t"], group=data["g"])
    with pytest.raises(FormulaError, match="when of a Residual names columns"):
        crossedmixedlm("y ~ t", data, residual=term)
    ones = np.ones((N * T, 1))
    with pytest.raises(DataError, match="give its values"):
        CrossedMixedLM(data["y"], ones, residual=Residual("ar1", "t", "g"))
    with pytest.raises(DataError, match="is a formula"):
        CrossedMixedLM(data["y"], ones, {"g": data["g"]}, dispersion=SPREAD)
    assert crossedmixedlm(FORMULA, data, dispersion="~ 1").residual is None


ANSWERS = {
    r"without ~: write t\n": {"residual": "ar1(~t | g)"},
    "write its name alone": {"residual": "ar1(C(t) | g)"},
    r"data.eval\('time = t / 2'\)": {"residual": "ar1(t / 2 | g)"},
    "residual: column 'tt' not in data; did you mean t": {"residual": "ar1(tt | g)"},
    "residual: column 'gg' not in data; did you mean g": {"residual": "ar1(t | gg)"},
    r"us\(time \| g\)": {"residual": "corSymm(form = ~1 | g)"},
    'dispersion="~ sex"': {"dispersion": "varIdent(form = ~ 1 | sex)"},
    r'dispersion="~ log\(t\)"': {"dispersion": "varPower(form = ~ t)"},
    "did you mean residual=": {"residuals": "ar1(t | g)"},
    "weights= is a column of prior weights": {"weights": "~ sex"},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_first_guesses_of_errors_are_answered(answer):
    data = pd.DataFrame({"y": 0.0, "t": [1, 2] * 4, "g": list("aabbccdd")})
    data["sex"] = list("mmffmmff")
    with pytest.raises((TypeError, FormulaError), match=answer):
        crossedmixedlm("y ~ t + (1 | g)", data, **ANSWERS[answer])
