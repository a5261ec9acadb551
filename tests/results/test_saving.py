"""A fit as JSON predicts the same in a fresh process, and no code of the file runs."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from patsy import stateful_transform
from samples import load
from statsmodels.formula import options

from statsmodels_lmm import CrossedMixedLM, Structure, structures
from statsmodels_lmm.core.residuals.base import correlation_parameter
from statsmodels_lmm.exceptions import DataError, FormulaError, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.residual import Residual, ResidualStructure
from statsmodels_lmm.results.saving import VERSION, from_json, to_json


def sample():
    """The sleepstudy data with more columns."""
    data = load("sleepstudy").astype({"Subject": str})
    i = np.arange(180)
    data["f"] = np.array(["low", "mid", "top"])[i % 3]
    data["c"] = pd.Categorical(data["f"], ["top", "low", "mid"])
    data["b"] = i % 7 < 3
    data["t"] = data["Days"].astype(int)
    data["z"] = 1 + (11 * i % 17) / 4
    data["the z"] = data["z"]
    data["o"] = 10.0 * (i % 7)
    data["w"] = 0.5 + (i % 5) / 4
    data["item"] = 5 * i % 12
    data["site"] = [f"S{k}" for k in i // 60]
    data["Reaction"] += 12 * np.sin(2 * data["item"]) + 3 * data["z"]
    return data


DATA = sample()
NAMES = [*DATA["Subject"].astype(str).unique(), "new1", "new2"]
KINSHIP = pd.DataFrame(np.eye(20), NAMES, NAMES)
KINSHIP.loc["new1", "309"] = KINSHIP.loc["309", "new1"] = 0.5
KINSHIP.loc["new2", "310"] = KINSHIP.loc["310", "new2"] = -0.5


class Own(Structure):
    """A structure of the user: all effects have one deviation."""

    name = "own"

    def parameters(self, effects):
        return (structures.deviation("own"),)

    def covariance(self, theta, k):
        return theta[0] ** 2 * np.eye(k)


FORMULAS = {
    "slopes": "Reaction ~ Days + (Days | Subject)",
    "crossed": "Reaction ~ Days + (1 | Subject) + (1 | item)",
    "nested": "Reaction ~ Days + (1 | site/Subject)",
    "double bar": "Reaction ~ Days + (1 + Days || Subject) + (0 + z | item)",
    "nothing fixed": "Reaction ~ 0 + (1 | Subject)",
    "interaction": "Reaction ~ f * Days * b + (f | Subject)",
    "categories": "Reaction ~ c:Days + (0 + c | Subject)",
    "codings": "Reaction ~ C(f, Sum) * C(t > 4) + C(c, Treatment('mid')) + (1 | item)",
    "helmert": "Reaction ~ 0 + C(t, Helmert) + C(f, Poly) + C(c, Diff) + (1 | Subject)",
    "levels": "Reaction ~ C(f, levels=['top', 'mid', 'low']) + (1 | Subject)",
    "arithmetic": "log(Reaction) ~ np.log(z) + I(Days**2) + (Days > 4) + (1 | item)",
    "quoted": "Reaction ~ Q('the z') + `the z`:Days + (`the z` | Subject)",
    "scaled": "Reaction ~ scale(Days) + center(z) + (scale(z) | Subject)",
    "splines": "Reaction ~ bs(Days, df=5) + cr(z, df=4) + (poly(Days, 2) | Subject)",
    "tensor": "Reaction ~ te(cr(Days, df=3), cr(z, df=3), constraints='center')"
    " + cc(z, df=3) + (1 | Subject)",
    "nested transforms": "Reaction ~ bs(center(z), df=4, degree=2) + (1 | Subject)",
    "offset": "Reaction ~ Days + offset(o) + offset(log(z)) + (1 | Subject)",
    "ar1": "Reaction ~ Days + ar1(0 + factor(t) | Subject)",
    "cs": "Reaction ~ Days + cs(1 + Days | Subject) + diag(0 + f | item, hom=TRUE)",
    "own": "Reaction ~ Days + own(0 + f | Subject)",
    "weights": "Reaction ~ Days + (Days | Subject)",
    "related": "Reaction ~ Days + (1 | Subject)",
}
OPTIONS = {
    "own": {"structures": {"own": Own()}},
    "weights": {"weights": "w"},
    "related": {"relationship": {"Subject": KINSHIP}},
}


@pytest.fixture(scope="module")
def fits():
    """Some are singular or have redundant columns, and say so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            name: crossedmixedlm(formula, DATA, **OPTIONS.get(name, {})).fit()
            for name, formula in FORMULAS.items()
        }


@pytest.fixture(scope="module")
def new():
    """New rows: other order, missing values, and levels not seen."""
    rows = DATA.sample(40, random_state=1).reset_index(drop=True)
    rows["Days"] = np.clip(rows["Days"] + 0.25, 0, 9)
    rows.loc[[3, 7], "Days"] = np.nan
    rows.loc[4, "Subject"], rows.loc[5, "item"] = "stranger", 99
    return rows.drop(columns="Reaction")


PROGRAM = """
import pathlib, sys
import pandas as pd
from statsmodels_lmm.results.saving import from_json
folder = pathlib.Path(sys.argv[1])
new = pd.read_pickle(folder / "new.pkl")
out = {}
for file in sorted(folder.glob("*.json")):
    result = from_json(file.read_text())
    for effects in (False, True):
        out[f"{file.stem} {effects}"] = result.predict(
            new, random_effects=effects, new_levels="population"
        )
pd.DataFrame(out).to_pickle(folder / "out.pkl")
assert "matplotlib" not in sys.modules, "no picture was drawn"
"""


@pytest.fixture(scope="module")
def elsewhere(fits, new, tmp_path_factory):
    """Predictions of a fresh process from the files alone."""
    folder = tmp_path_factory.mktemp("saved")
    new.to_pickle(folder / "new.pkl")
    for name, result in fits.items():
        (folder / f"{name}.json").write_text(to_json(result))
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], check=True)
    return pd.read_pickle(folder / "out.pkl")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMULAS)
def test_predictions_in_a_fresh_process(name, fits, new, elsewhere):
    for effects in (False, True):
        expected = fits[name].predict(
            new, random_effects=effects, new_levels="population"
        )
        assert np.isfinite(expected).sum() > 30
        assert_allclose(elsewhere[f"{name} {effects}"], expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMULAS)
def test_numbers(name, fits):
    result = fits[name]
    saved = from_json(to_json(result))
    for attribute in ("params", "bse", "theta", "fe_params"):
        pd.testing.assert_series_equal(
            getattr(saved, attribute), getattr(result, attribute)
        )
    pd.testing.assert_frame_equal(saved.cov_params(), result.cov_params())
    for attribute in ("scale", "llf", "nobs", "df_resid", "method", "converged"):
        assert getattr(saved, attribute) == getattr(result, attribute)
    pd.testing.assert_frame_equal(
        saved.variance_components(),
        result.variance_components(),
    )
    found, expected = saved.random_effects_table(), result.random_effects_table()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-14)
    assert saved.summary() == str(result.summary())
    assert saved.versions["patsy"]


def test_saved_again_it_is_the_same(fits):
    """No row of the data is in the file: those of half the rows differ in nothing."""
    text = to_json(fits["slopes"])
    result = crossedmixedlm(FORMULAS["slopes"], DATA).fit()
    assert to_json(result) == text
    assert len(text) < 8000
    y = DATA["Reaction"].to_numpy()
    assert not any(repr(float(v)) in text for v in y if v != round(v))


def test_new_levels_and_single_terms(fits, new):
    saved = from_json(to_json(fits["crossed"]))
    with pytest.raises(DataError, match="new levels of Subject: stranger"):
        saved.predict(new, random_effects=True)
    assert np.isnan(saved.predict(new, random_effects=True, new_levels="nan")[4])
    for terms in ("item", ["Subject"], ["(1 | Subject)", "item"]):
        assert_array_equal(
            saved.predict(DATA, random_effects=terms),
            fits["crossed"].predict(DATA, random_effects=terms),
        )
    with pytest.raises(DataError, match="no column 'Days'"):
        saved.predict(new.drop(columns="Days"))
    offset = np.arange(180.0)
    assert_allclose(saved.predict(DATA, offset=offset), saved.predict(DATA) + offset)
    categories = from_json(to_json(fits["interaction"]))
    with pytest.raises(
        DataError, match="new levels of 'f': other; the levels in the fit are"
    ):
        categories.predict(DATA.assign(f="other"))


def test_related_levels_without_data(fits):
    saved = from_json(to_json(fits["related"]))
    new = pd.DataFrame({"Days": [0.0, 3.0], "Subject": ["new1", "new2"]})
    expected = fits["related"].predict(new, random_effects=True)
    assert_array_equal(saved.predict(new, random_effects=True), expected)
    assert abs(saved.predict(new) - expected).min() > 1e-3
    table = saved.random_effects_table()
    assert table.loc[table["level"] == "new1", "sd"].item() > 0


def test_redundant_column_and_singular_fit():
    data = DATA.assign(twice=2 * DATA["Days"])
    model = crossedmixedlm("Reaction ~ Days + twice + (1 | site:t)", data)
    with pytest.warns(RankWarning):
        result = model.fit()
    text = to_json(result)
    saved = from_json(text)
    assert np.isnan(saved.params["twice"])
    assert np.isnan(saved.bse["twice"])
    assert_array_equal(
        saved.predict(data, random_effects=True),
        result.predict(data, random_effects=True),
    )
    # where the column is no longer the double of the other
    new = data.iloc[:5].assign(twice=lambda d: d["twice"] + [0, 0, 1, 0, -3])
    with pytest.warns(RankWarning, match="2 of 5 rows are NaN.*here twice$"):
        predicted = saved.predict(new)
    assert np.isnan(predicted).tolist() == [False, False, True, False, True]
    # the first version of the format did not say what relations there are
    old = {k: v for k, v in json.loads(text).items() if k != "relations"}
    with pytest.warns(RankWarning, match="5 of 5 rows"):
        assert np.isnan(from_json(json.dumps(old | {"version": 1})).predict(new)).all()


def test_arrays():
    y, g = DATA["Reaction"].to_numpy(), DATA["Subject"].to_numpy()
    x = np.column_stack([np.ones(180), DATA["Days"]])
    z = (DATA["item"].to_numpy()[:, None] == np.arange(12)).astype(float)
    model = CrossedMixedLM(y, x, random={"subject": (g, x), "item": z})
    result = model.fit()
    saved = from_json(to_json(result))
    rows = {"subject": (g[:9], x[:9]), "item": z[:9]}
    expected = result.predict(x[:9], random_effects=True, random=rows)
    found = saved.predict(x[:9], random_effects=True, random=rows)
    assert_array_equal(found, expected)
    assert_array_equal(saved.predict(x[:9]), result.predict(x[:9]))
    assert repr(saved) == "<LightResults of a model from arrays>"


# what cannot be saved ------------------------------------------------------


class Double:
    """A stateful transform of the user."""

    def memorize_chunk(self, x):
        pass

    def memorize_finish(self):
        pass

    def transform(self, x):
        return 2 * x


def test_names_of_the_user_are_refused():
    def mine(x):
        return x**2

    result = crossedmixedlm("Reaction ~ mine(Days) + (1 | Subject)", DATA).fit()
    with pytest.raises(FormulaError, match="'mine' is not a function on the list"):
        to_json(result)
    scale = stateful_transform(Double)
    scope = {"scale": scale}
    result = crossedmixedlm(
        "Reaction ~ scale(Days) + (1 | Subject)", DATA, eval_env=scope
    ).fit()
    with pytest.raises(DataError, match="'scale' in the formula is a name of your own"):
        to_json(result)
    scope = {"log": np.log2}
    formula = "Reaction ~ Days + (log(z) | Subject)"
    result = crossedmixedlm(formula, DATA, eval_env=scope).fit()
    with pytest.raises(DataError, match="'log' in the formula is a name of your own"):
        to_json(result)


def test_the_usual_names_may_be_imported(new):
    from numpy import log
    from patsy import bs

    assert log
    assert bs
    df = DATA  # no name in the formula means it
    formula = "Reaction ~ log(z) + bs(Days, df=4) + np.sqrt(z) + (1 | Subject)"
    result = crossedmixedlm(formula, df).fit()
    assert set(result.model.data.scope) == {"log", "bs", "np"}
    saved = from_json(to_json(result))
    assert_allclose(saved.predict(new), result.predict(new), rtol=1e-12)


def test_levels_that_are_no_text():
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(DATA["t"], unit="D")
    result = crossedmixedlm("Reaction ~ z + (1 | d)", DATA.assign(d=dates)).fit()
    with pytest.raises(DataError, match="levels of 'd' are of type Timestamp"):
        to_json(result)


def test_formulaic_is_refused():
    before = options.formula_engine
    options.formula_engine = "formulaic"
    try:
        result = crossedmixedlm("Reaction ~ Days + (1 | Subject)", DATA).fit()
    finally:
        options.formula_engine = before
    with pytest.raises(DataError, match="fit it with patsy"):
        to_json(result)


# what cannot be read -------------------------------------------------------


@pytest.fixture
def saved(fits):
    return json.loads(to_json(fits["scaled"]))


def test_a_newer_version(saved):
    saved["version"] = VERSION + 1
    saved["packages"]["statsmodels-lmm"] = "9.9"
    message = rf"version {VERSION + 1} .*statsmodels-lmm 9.9.*up to {VERSION}"
    with pytest.raises(DataError, match=message):
        from_json(json.dumps(saved))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"format": "other"}', "[" * 100_000]
)
def test_no_saved_fit(text):
    with pytest.raises(DataError, match="not a saved fit"):
        from_json(text)


@pytest.mark.slow
def test_every_part_is_needed(saved):
    for name in set(saved) - {"structures"}:
        part = {k: v for k, v in saved.items() if k != name}
        with pytest.raises(DataError, match="not a saved fit"):
            from_json(json.dumps(part))


DAMAGES = {
    "params": lambda s: s["params"].pop(),
    "params text": lambda s: s.update(params=["a", "b", "c"]),
    "covariance": lambda s: s["cov_params"].pop(),
    "modes": lambda s: s["random"][0]["modes"].pop(),
    "levels": lambda s: s["random"][0]["levels"]["values"].pop(),
    "factor": lambda s: s["random"].pop(),
    "effects": lambda s: s["column_designs"].clear(),
    "type": lambda s: s["types"][0][1].update(dtype="timedelta64[ns]"),
    "transform": lambda s: s["design"]["factors"]["scale(Days)"]["transforms"].clear(),
    "state": lambda s: next(
        iter(s["design"]["factors"]["scale(Days)"]["transforms"].values())
    ).update(current_mean="x"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(name, saved):
    DAMAGES[name](saved)
    with pytest.raises(DataError):
        from_json(json.dumps(saved))


def test_formulas_of_strangers_are_refused(saved, tmp_path):
    file = tmp_path / "ran"
    call = f"open('{file.as_posix()}', 'w')"
    for formula in (
        f"Reaction ~ {call} + (1 | Subject)",
        f"Reaction ~ scale(Days) + center(z) + ({call} | Subject)",
    ):
        hostile = {**saved, "formula": formula}
        with pytest.raises(FormulaError, match="'open' is not a function"):
            from_json(json.dumps(hostile))
    assert not file.exists()


def test_code_outside_of_the_formula_is_refused(saved):
    """Factors of the design are those of the formula, whatever the file says."""
    factors = saved["design"]["factors"]
    factors["open('f')"] = factors.pop("center(z)")
    with pytest.raises(DataError, match=r"'open\('f'\)' is not part of the formula"):
        from_json(json.dumps(saved))


# errors ------------------------------------------------------------------------

ERRORS = {
    "Reaction ~ t": {"residual": "ar1(t | Subject)"},
    "Reaction ~ z": {"residual": "arma(`the z` | Subject:site, p=0, q=1, by=site)"},
    "Reaction ~ t + (1 | Subject)": {"dispersion": "~ scale(Days) + C(f, Sum)"},
    "Reaction ~ t + (0 + z | Subject)": {
        "residual": "cs(1 | item)",
        "dispersion": "~ z",
    },
}


@pytest.mark.parametrize("formula", ERRORS)
def test_a_fit_with_errors(formula):
    data = DATA.assign(**{"the z": DATA["Days"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = crossedmixedlm(formula, data, **ERRORS[formula]).fit()
        read = from_json(fit.to_json())
    assert_array_equal(read.predict(data), fit.predict(data))
    pd.testing.assert_frame_equal(read.residual_table(), fit.residual_table())
    assert str(read.model.residual) == str(fit.model.residual)
    told, kept = fit.model._parsed, read.model._parsed
    assert (kept.dispersion, str(kept.residual)) == (
        told.dispersion,
        str(told.residual),
    )


class Pairs(ResidualStructure):
    """A structure of errors of the user."""

    name = "ar1"  # a name that would be read as another structure

    def parameters(self, size):
        return [correlation_parameter(lower=-0.4, upper=0.4)]

    def correlation(self, phi, where):
        gap = np.abs(where[..., :, None] - where[..., None, :])
        return np.where(gap == 0, 1.0, np.where(gap == 1, phi[0], 0.0))


def test_a_structure_of_errors_of_ones_own_is_refused():
    term = Residual(Pairs(), when="Days", group="Subject")
    fit = crossedmixedlm("Reaction ~ Days", DATA, residual=term).fit()
    with pytest.raises(DataError, match="Pairs is a structure of errors of your own"):
        fit.to_json()


@pytest.fixture(scope="module")
def with_errors():
    told = {"residual": "ar1(t | Subject)", "dispersion": "~ z"}
    return json.loads(crossedmixedlm("Reaction ~ t", DATA, **told).fit().to_json())


HOSTILE = [
    {"residual": "ar1(open('f') | Subject)"},
    {"residual": "__import__('os')"},
    {"residual": "ar1(t | C(open('f')))"},
    {"residual": "ar1(t | Subject, by=open('f'))"},
    {"residual": "ar1(t | Subject, q=open('f'))"},
    {"residual": "ar1(t | <b>)"},
    {"residual": "ar1(t | secret)"},
    {"residual": "arma(t | Subject, p=1000000000)"},
    {"dispersion": "~ open('f')"},
    {"dispersion": "~ secret"},
    {"dispersion": "z"},
]


@pytest.mark.parametrize("entry", HOSTILE, ids=str)
def test_hostile_errors(with_errors, entry):
    assert from_json(json.dumps(with_errors)).residual_params.shape == (2,)
    saved = with_errors | {"errors": with_errors["errors"] | entry}
    with pytest.raises(FormulaError):
        from_json(json.dumps(saved))


@pytest.mark.parametrize(
    "entry",
    [{"residual": 3}, {"values": [0.5]}, {"values": ["x", 1.0]}, {"names": "ar1"}],
    ids=str,
)
def test_damaged_errors(with_errors, entry):
    saved = with_errors | {"errors": with_errors["errors"] | entry}
    with pytest.raises(DataError):
        from_json(json.dumps(saved))


def test_errors_are_independent_before_version_6():
    saved = json.loads(crossedmixedlm(FORMULAS["slopes"], DATA).fit().to_json())
    assert saved.pop("errors") is None
    read = from_json(json.dumps(saved | {"version": 5}))
    assert read.model.residual is None
    assert read.residual_table().empty
