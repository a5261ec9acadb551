"""What statsmodels promises of any model and results, kept here too."""

import copy
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import ENGINES, load
from scipy import stats
from statsmodels.base.model import LikelihoodModel, LikelihoodModelResults
from statsmodels.iolib.summary2 import summary_col
from statsmodels.tools import _testing as checks
from statsmodels_twin import gain_left, mixedlm_at

import statsmodels_lmm
from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.formula.backend import formula_engine

N = 120
FORMULA = "y ~ x * z + f + (x | g) + (1 | h)"


def sample():
    rng = np.random.default_rng(11)
    g, h = rng.permutation(np.arange(N) % 10), rng.permutation(np.arange(N) % 6)
    x, z = rng.standard_normal((2, N))
    u, v = rng.standard_normal((10, 2)), rng.standard_normal(6)
    f = rng.integers(3, size=N)
    y = 2.0 + 0.5 * x + 0.3 * f + u[g, 0] + 0.7 * u[g, 1] * x + v[h]
    y += 0.8 * rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "w": rng.uniform(0.5, 2.0, N)})
    frame["f"] = np.array(["a", "b", "c"])[f]
    return frame.assign(g=[f"g{i}" for i in g], h=h)


@pytest.fixture(scope="module")
def data():
    return sample()


@pytest.fixture(scope="module")
def result(data):
    return crossedmixedlm(FORMULA, data).fit()


def array_model(data, pandas=False, **more):
    """x and a constant, correlated effects by g, an intercept by h."""
    exog = sm.add_constant(data[["x"]])
    effects, g, h = exog.copy(), data["g"], data["h"]
    if not pandas:
        exog, effects, g, h = (v.to_numpy() for v in (exog, effects, g, h))
    y = data["y"] if pandas else data["y"].to_numpy()
    return CrossedMixedLM(y, exog, random={"g": (g, effects), "h": h}, **more)


# tests and intervals -------------------------------------------------------


def z_test(result, contrasts, value=0.0):
    """Effects, standard errors and p-values by hand."""
    contrasts = np.atleast_2d(contrasts)
    effect = contrasts @ np.asarray(result.params)
    sd = np.sqrt(np.diag(contrasts @ np.asarray(result.cov_params()) @ contrasts.T))
    return effect, sd, 2 * stats.norm.sf(np.abs((effect - value) / sd))


def unit(result, *terms):
    row = np.zeros(len(result.params))
    for name, value in terms:
        row[list(result.params.index).index(name)] = value
    return row


def hypotheses(result):
    x, xz = unit(result, ("x", 1.0)), unit(result, ("x:z", 1.0))
    pair = unit(result, ("f[T.b]", 1.0), ("f[T.c]", -1.0))
    both = np.array([x, pair])
    return {
        "string": ("x = 0", x, 0.0),
        "value": ("x = 0.3", x, 0.3),
        "several": ("x = 0, f[T.b] = f[T.c]", both, 0.0),
        "list": (["x = 0", "f[T.b] = f[T.c]"], both, 0.0),
        "interaction": ("x:z = 0", xz, 0.0),
        "vector": (x, x, 0.0),
        "list of numbers": (list(x), x, 0.0),
        "matrix": (both, both, 0.0),
        "tuple": ((both, [0.1, 0.2]), both, np.array([0.1, 0.2])),
    }


@pytest.mark.parametrize(
    "kind",
    [
        *("string", "value", "several", "list", "interaction", "vector"),
        *("list of numbers", "matrix", "tuple"),
    ],
)
def test_t_test_and_wald_test(kind, result):
    given, contrasts, value = hypotheses(result)[kind]
    effect, sd, pvalue = z_test(result, contrasts, value)
    found = result.t_test(given)
    assert_allclose(found.effect, effect, rtol=1e-12)
    table = found.summary_frame()
    assert_allclose(table["std err"], sd, rtol=1e-12)
    assert_allclose(table["P>|z|"], pvalue, rtol=1e-9)
    interval = np.column_stack([effect, effect])
    interval += stats.norm.ppf([0.05, 0.95]) * sd[:, None]
    assert_allclose(found.conf_int(alpha=0.1), interval, rtol=1e-10)
    rows = np.atleast_2d(contrasts)
    middle = np.linalg.inv(rows @ result.cov_params().to_numpy() @ rows.T)
    gap = effect - value
    statistic = gap @ middle @ gap
    wald = result.wald_test(given, scalar=True)
    assert_allclose(wald.statistic, statistic, rtol=1e-9)
    assert_allclose(wald.pvalue, stats.chi2.sf(statistic, len(rows)), rtol=1e-8)
    f = result.f_test(given)
    assert_allclose(f.fvalue, statistic / len(rows), rtol=1e-9)
    assert (f.df_num, f.df_denom) == (len(rows), result.df_resid)
    expected = stats.f.sf(statistic / len(rows), len(rows), N - 6)
    assert_allclose(f.pvalue, expected, rtol=1e-8)


def test_t_test_with_t(result):
    effect, sd, _ = z_test(result, unit(result, ("x", 1.0)))
    found = result.t_test("x = 0", use_t=True)
    assert_allclose(found.pvalue, 2 * stats.t.sf(abs(effect / sd), N - 6), rtol=1e-9)


@pytest.mark.parametrize("which", ["t_test", "wald_test", "f_test"])
def test_wrong_hypotheses_are_refused(which, result):
    with pytest.raises(Exception, match="nosuch"):
        getattr(result, which)("nosuch = 0")
    with pytest.raises(ValueError, match="wrong shape"):
        getattr(result, which)(np.eye(7))


def test_wald_test_terms(engine, data):
    result = crossedmixedlm(FORMULA, data).fit()
    table = result.wald_test_terms(scalar=True).table
    terms = {
        "Intercept": ["Intercept"],
        "f": ["f[T.b]", "f[T.c]"],
        "x": ["x"],
        "z": ["z"],
        "x:z": ["x:z"],
    }
    names = {"1": "Intercept"}
    assert sorted(names.get(str(i), str(i)) for i in table.index) == sorted(terms)
    for term, columns in terms.items():
        values = result.params[columns].to_numpy()
        cov = result.cov_params().loc[columns, columns].to_numpy()
        statistic = values @ np.linalg.solve(cov, values)
        row = table[[names.get(str(i), str(i)) == term for i in table.index]].iloc[0]
        assert_allclose(row.iloc[0], statistic, rtol=1e-9)
        assert_allclose(row.iloc[1], stats.chi2.sf(statistic, len(columns)), rtol=1e-8)
        assert row.iloc[2] == len(columns)


def test_t_test_pairwise(engine, data):
    result = crossedmixedlm(FORMULA, data).fit()
    found = result.t_test_pairwise("f", method="bonferroni").result_frame
    rows = [
        unit(result, ("f[T.b]", 1.0)),
        unit(result, ("f[T.c]", 1.0)),
        unit(result, ("f[T.c]", 1.0), ("f[T.b]", -1.0)),
    ]
    effect, sd, pvalue = z_test(result, rows)
    assert list(found.index) == ["b-a", "c-a", "c-b"]
    assert_allclose(found["coef"], effect, rtol=1e-9)
    assert_allclose(found["std err"], sd, rtol=1e-9)
    assert_allclose(found["P>|z|"], pvalue, rtol=1e-8)
    assert_allclose(found["pvalue-bonferroni"], np.minimum(1, 3 * pvalue), rtol=1e-8)


def test_table_of_parameters(result):
    effect, sd, pvalue = z_test(result, np.eye(6))
    assert_allclose(result.tvalues, effect / sd, rtol=1e-12)
    assert_allclose(result.pvalues, pvalue, rtol=1e-9)
    for alpha in (0.05, 0.2):
        half = stats.norm.isf(alpha / 2) * sd
        expected = np.column_stack([effect - half, effect + half])
        found = result.conf_int(alpha=alpha)
        assert_allclose(found, expected, rtol=1e-10)
        assert list(found.index) == list(result.params.index)
        assert list(found.columns) == [0, 1]


def test_cov_params(result):
    cov = result.cov_params()
    names = list(result.params.index)
    assert list(cov.index) == list(cov.columns) == names
    assert_allclose(np.sqrt(np.diag(cov)), result.bse, rtol=1e-12)
    contrasts = np.eye(6)[1:4] - np.eye(6)[[0]]
    inner = result._results
    found = inner.cov_params(r_matrix=contrasts)
    assert_allclose(found, contrasts @ cov.to_numpy() @ contrasts.T, rtol=1e-10)
    assert_allclose(inner.cov_params(column=[0, 2]), cov.iloc[[0, 2], [0, 2]])
    from_arrays = array_model(sample()).fit()
    contrast = np.array([[1.0, -2.0]])
    expected = contrast @ from_arrays.cov_params() @ contrast.T
    assert_allclose(from_arrays.cov_params(r_matrix=contrast), expected, rtol=1e-10)


def test_summary_col_beside_ols(data, result):
    ols = smf.ols("y ~ x * z + f", data).fit()
    text = str(
        summary_col(
            [result, ols],
            stars=True,
            float_format="%.4f",
            model_names=["mixed", "ols"],
            info_dict={"N": lambda r: f"{int(r.nobs)}"},
        )
    )
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    for one, name in zip((0, 1), (result, ols)):
        assert lines["x"][one].rstrip("*") == f"{name.params['x']:.4f}"
        assert f"({name.bse['x']:.4f})" in text
    assert lines["N"] == [str(N), str(N)]
    assert "mixed" in text
    assert "ols" in text


# statsmodels' own checks ---------------------------------------------------


@pytest.mark.parametrize("kind", ["formula", "arrays", "pandas"])
@pytest.mark.parametrize("check", ["check_ttest_tvalues", "check_ftest_pvalues"])
def test_checks_of_tests(check, kind, data, result):
    made = {
        "formula": lambda: result,
        "arrays": lambda: array_model(data).fit(),
        "pandas": lambda: array_model(data, True).fit(),
    }
    getattr(checks, check)(made[kind]())


def test_fitted_values_are_predictions_with_random_effects(data):
    """`check_fitted`, but for a default of `predict` like MixedLM's."""
    result = array_model(data).fit()
    fitted = result.fittedvalues
    assert_allclose(result.model.endog - fitted, result.resid, rtol=1e-12)
    assert_allclose(result.predict(random_effects=True), fitted, rtol=1e-12)
    exog = result.model.exog
    assert_allclose(result.predict(), exog @ result.params, rtol=1e-12)


def test_check_of_types_of_predictions(data):
    """
    `check_predict_types` with zero variances, where fitted values are the fixed part.
    """
    group = np.arange(N) % 12
    y = 1.0 + data["x"] + data["z"]
    y -= (y - 1.0 - data["x"]).groupby(group).transform("mean")
    exog = sm.add_constant(data["x"].to_numpy())
    result = CrossedMixedLM(y.to_numpy(), exog, random={"g": group}).fit()
    assert result.is_singular
    checks.check_predict_types(result)
    checks.check_fitted(result)


def test_model_attributes(data, result):
    model = result.model
    assert model.endog_names == "y"
    assert model.exog_names == list(result.params.index)
    assert_allclose(model.endog, data["y"])
    assert model.exog.shape == (N, 6)
    assert (model.nobs, model.df_model, model.df_resid) == (N, 5, N - 6)
    assert model.k_constant == 1
    assert "(" not in model.formula
    assert model.formula.replace(" ", "") == "y~x*z+f"
    assert model.formula_full == FORMULA
    assert result.cov_type == "nonrobust"
    assert isinstance(model, LikelihoodModel)
    assert isinstance(result._results, LikelihoodModelResults)


def test_predict_of_the_model(data, result):
    model, params = result.model, result.params.to_numpy()
    assert_allclose(model.predict(params), model.exog @ params, rtol=1e-12)
    rows = model.exog[:3]
    for which in ("mean", "linear"):
        found = model.predict(2 * params, rows, which=which)
        assert_allclose(found, 2 * rows @ params, rtol=1e-12)
    shifted = model.predict(params, rows, offset=[1.0, 2.0, 3.0])
    assert_allclose(shifted, rows @ params + [1.0, 2.0, 3.0], rtol=1e-12)


# storage -------------------------------------------------------------------


def summary_text(result):
    return result.summary().as_text()


def said(result, new):
    """What results say: numbers, text, labels and predictions of new rows."""
    return {
        "llf": result.llf,
        "params": np.asarray(result.params),
        "bse": np.asarray(result.bse),
        "fixed": np.asarray(result.predict(new, random_effects=False)),
        "full": np.asarray(result.predict(new, random_effects=True)),
        "summary": summary_text(result),
        "terms": str(result.wald_test_terms(scalar=True)),
        "formula": result.model.formula,
    }


def assert_same(other, result, new, wanted):
    """Results that went to disk and back say the same."""
    for name, found in said(other, new).items():
        rtol = 1e-12 if name in ("fixed", "full") else 0.0
        if isinstance(found, np.ndarray):
            assert_allclose(found, wanted[name], rtol=rtol, err_msg=name)
        else:
            assert found == wanted[name], name
    assert other.theta.equals(result.theta)
    assert other.resid.equals(result.resid)
    assert other.model.fit().llf == pytest.approx(result.llf, rel=1e-12)


def ways(result, folder):
    """Each way to store and restore, or to copy."""
    buffer = io.BytesIO()
    result.save(buffer)
    buffer.seek(0)
    path = folder / "result.pickle"
    result.save(str(path))
    yield type(result).load(buffer)
    yield sm.load(str(path))
    yield pickle.loads(pickle.dumps(result))
    yield copy.copy(result)
    yield copy.deepcopy(result)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the fixed effects are not")
@pytest.mark.parametrize("kind", ["plain", "weights", "singular", "redundant"])
def test_storage(kind, engine, data, tmp_path):
    formula, more = FORMULA, {}
    if kind == "weights":
        more, formula = {"weights": "w", "offset": "z"}, FORMULA + " + offset(w)"
    if kind == "singular":
        data, formula = data.assign(y=data["z"] - data["w"]), "y ~ x + f + (x | g)"
    if kind == "redundant":
        formula = "y ~ x + I(2 * x) + f + (1 | g)"
    result = crossedmixedlm(formula, data, **more).fit()
    assert result.is_singular is (kind == "singular")
    assert len(result.dropped) == (kind == "redundant")
    new = data.head(5)
    wanted = said(result, new)
    for other in ways(result, tmp_path):
        assert_same(other, result, new, wanted)


def test_a_stored_model_can_be_fitted(engine, data):
    model = crossedmixedlm(FORMULA, data)
    again = pickle.loads(pickle.dumps(model))
    assert_allclose(again.fit().params, model.fit().params, rtol=1e-12)


def test_array_models_can_be_stored(data, tmp_path):
    result = array_model(data, True).fit()
    text = summary_text(result)
    for other in ways(result, tmp_path):
        assert other.llf == result.llf
        assert summary_text(other) == text
        assert other.model.fit().llf == pytest.approx(result.llf, rel=1e-12)


USER_MODULE = """
import numpy as np


def half(values):
    return np.asarray(values) / 2
"""

SCRIPT = """
import json
import pickle
import sys

import pandas as pd
import statsmodels.api as sm
from statsmodels.formula import options

out = {}
for path in sys.argv[2:]:
    options.formula_engine = path.rpartition("-")[2].removesuffix(".pickle")
    new = pd.read_pickle(sys.argv[1])
    with open(path, "rb") as file:
        result = pickle.load(file)
    result = sm.load(path)
    out[path] = {
        "fixed": list(result.predict(new)),
        "full": list(result.predict(new, random_effects=True)),
        "se": list(result.get_prediction(new).se),
        "terms": [float(v) for v in result.wald_test_terms(scalar=True).pvalues],
        "summary": result.summary().as_text(),
        "llf": result.model.fit().llf,
        "params": list(result.params),
    }
print(json.dumps(out))
"""


@pytest.mark.slow
def test_storage_at_the_top_level_of_a_fresh_process(data, tmp_path, monkeypatch):
    """Names of the caller travel along: np, a function of a module, numbers."""
    (tmp_path / "user_module.py").write_text(USER_MODULE)
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    from user_module import half

    shift = 0.25
    formulas = {
        "names": "y ~ half(x) + np.exp(z / 4) + I(w + shift) + (half(x) | g)",
        "basis": "y ~ bs(x, df=4) + scale(z) + f + (1 | g:h) + (1 | h)",
        "weights": "y ~ x + f + offset(z) + (x | g)",
    }
    new = data.sample(7, random_state=1)
    new_path = tmp_path / "new.pickle"
    new.to_pickle(new_path)
    results = {}
    for name in ENGINES:
        with formula_engine(name):
            for kind, formula in formulas.items():
                weights = "w" if kind == "weights" else None
                result = crossedmixedlm(formula, data, weights=weights).fit()
                path = tmp_path / f"{kind}-{name}.pickle"
                result.save(str(path))
                results[str(path)] = result
            singular = data.assign(y=data["z"] - data["w"])
            path = str(tmp_path / f"singular-{name}.pickle")
            results[path] = crossedmixedlm("y ~ x + f + (x | g)", singular).fit()
            results[path].save(path)
    root = str(Path(statsmodels_lmm.__file__).parents[1])
    search = os.pathsep.join([str(tmp_path), root])
    run = subprocess.run(
        [sys.executable, "script.py", str(new_path), *results],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    for path, result in results.items():
        other, name = found[path], Path(path).stem.rpartition("-")[2]
        with formula_engine(name):
            full = result.predict(new, random_effects=True)
            assert_allclose(other["fixed"], result.predict(new), rtol=1e-10)
            assert_allclose(other["full"], full, rtol=1e-10)
            assert_allclose(other["se"], result.get_prediction(new).se, rtol=1e-9)
            terms = result.wald_test_terms(scalar=True).pvalues
            assert_allclose(other["terms"], np.array(terms, float), rtol=1e-8)
            assert other["summary"] == summary_text(result)
            assert_allclose(other["llf"], result.llf, rtol=1e-10)
            assert_allclose(other["params"], result.params, rtol=0)
    assert shift == 0.25
    assert half(1) == 0.5


def a_third():
    """A function that no pickle can hold."""
    lock = Lock()

    def third(values):
        with lock:
            return values / 3

    return third


def test_names_that_cannot_be_pickled(engine, data, tmp_path):
    """Everything works but predictions for new data, which say why."""
    third = a_third()
    plain = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    result = crossedmixedlm("y ~ third(x) + (1 | g)", data).fit()
    assert_allclose(result.params.iloc[1], 3 * plain.params["x"], rtol=1e-6)
    expected = result.predict(data.head(3))
    assert_allclose(expected, plain.predict(data.head(3)), rtol=1e-7)
    assert third(3.0) == 1.0
    path = str(tmp_path / "result.pickle")
    result.save(path)
    for other in (sm.load(path), pickle.loads(pickle.dumps(result))):
        assert other.llf == result.llf
        assert summary_text(other) == summary_text(result)
        assert_allclose(other.t_test(np.eye(2)).sd, result.t_test(np.eye(2)).sd)
        assert_allclose(other.predict(), result.predict(), rtol=1e-14)
        assert other.resid.equals(result.resid)
        assert other.random_effects.keys() == result.random_effects.keys()
        for call in (other.predict, other.get_prediction):
            with pytest.raises(DataError, match=r"could not be pickled.*third"):
                call(data.head(3))


def test_what_is_lost_matters_only_where_it_is_used(engine, data):
    third = a_third()
    result = crossedmixedlm("y ~ x + (third(x) | g)", data).fit()
    assert third(3.0) == 1.0
    other = pickle.loads(pickle.dumps(result))
    new = data.head(4)
    assert_allclose(other.predict(new), result.predict(new), rtol=1e-12)
    with pytest.raises(DataError, match=r"could not be pickled.*third"):
        other.predict(new, random_effects=True)


def test_only_columns_in_use_are_stored(data):
    unused = np.ones((N, 200))
    wide = data.join(pd.DataFrame(unused, data.index).add_prefix("unused"))
    results = [crossedmixedlm(FORMULA, frame).fit() for frame in (data, wide)]
    sizes = [len(pickle.dumps(result)) for result in results]
    assert sizes[1] < 1.1 * sizes[0]


@pytest.mark.parametrize("kind", ["formula", "arrays"])
def test_remove_data(kind, data, engine):
    many = pd.concat([data] * 20, ignore_index=True)
    if kind == "formula":
        result, new = crossedmixedlm(FORMULA, many).fit(), data.head(6)
    else:
        result, new = array_model(many).fit(), sm.add_constant(data["x"].to_numpy())[:6]
    before = {
        "predict": np.asarray(result.predict(new)),
        "prediction": np.asarray(result.get_prediction(new).se),
        "summary": summary_text(result),
        "summary2": str(result.summary2()),
        "llf": result.llf,
        "params": np.asarray(result.params),
        "bse": np.asarray(result.bse),
        "test": result.t_test(np.eye(len(result.params))).pvalue,
        "modes": result.random_effects["g"].to_numpy(),
        "table": str(result.variance_components()),
    }
    full = None
    if kind == "formula":
        full = result.predict(new, random_effects=True)
    assert len(result.fittedvalues) == len(many)
    size = len(pickle.dumps(result))
    result.remove_data()
    for value in vars(result._results).values():
        assert not isinstance(value, np.ndarray) or value.size < len(many)
    small = pickle.dumps(result)
    for other in (result, pickle.loads(small)):
        after = {
            "predict": np.asarray(other.predict(new)),
            "prediction": np.asarray(other.get_prediction(new).se),
            "summary": summary_text(other),
            "summary2": str(other.summary2()),
            "llf": other.llf,
            "params": np.asarray(other.params),
            "bse": np.asarray(other.bse),
            "test": other.t_test(np.eye(len(other.params))).pvalue,
            "modes": other.random_effects["g"].to_numpy(),
            "table": str(other.variance_components()),
        }
        for name, value in before.items():
            if isinstance(value, str):
                assert after[name] == value
            else:
                assert_allclose(after[name], value, rtol=1e-12)
        if full is not None:
            found = other.predict(new, random_effects=True)
            assert_allclose(found, full, rtol=1e-12)
    assert len(small) < 0.6 * size
    assert result.model.endog is None
    assert result.model.exog is None


def test_pickle_keeps_the_same_attributes(result):
    other = pickle.loads(pickle.dumps(result))
    assert type(other) is type(result)
    assert sorted(other._results.__dict__) == sorted(result._results.__dict__)
    assert sorted(other.model.__dict__) == sorted(result.model.__dict__)


def test_save_can_remove_data(data, tmp_path):
    result = crossedmixedlm(FORMULA, data).fit()
    expected = result.predict(data.head(), random_effects=True)
    path = str(tmp_path / "small.pickle")
    result.save(path, remove_data=True)
    other = sm.load(path)
    assert_allclose(other.predict(data.head(), random_effects=True), expected)


# other ways to say the same ------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{}, {"weights": "w"}, {"offset": "z"}, {"weights": "w", "offset": "w"}],
    ids=["plain", "weights", "offset", "both"],
)
def test_cloning(more, engine, data):
    model = crossedmixedlm(FORMULA, data, **more)
    result = model.fit()
    clone = type(model)(model.endog, model.exog, **model._get_init_kwds())
    other = clone.fit()
    assert_allclose(other.llf, result.llf, rtol=1e-12)
    assert_allclose(other.params, result.params, rtol=1e-9)
    assert_allclose(other.theta, result.theta, rtol=1e-7)
    assert list(other.theta.index) == list(result.theta.index)
    again = pickle.loads(pickle.dumps(other))
    assert_allclose(again.params, result.params, rtol=1e-9)
    keep = [0, 3]
    small = type(model)(model.endog, model.exog[:, keep], **model._get_init_kwds())
    assert small.fit(reml=False).llf < clone.fit(reml=False).llf


def test_clone_keeps_options(data):
    model = crossedmixedlm("y ~ x + I(3 * x) + (1 | g)", data, check_levels=False)
    keywords = model._get_init_kwds()
    assert keywords["check_levels"] is False
    assert keywords["rank"] == "drop"
    with pytest.warns(RankWarning):
        clone = type(model)(model.endog, model.exog, **keywords).fit()
    assert np.isnan(clone.params).sum() == 1


@pytest.mark.parametrize("pandas", [False, True])
def test_arrays_are_the_formula(pandas, data):
    weights, offset = data["w"].to_numpy(), data["z"].to_numpy()
    by_formula = crossedmixedlm(
        "y ~ x + (x | g) + (1 | h)", data, weights="w", offset="z"
    ).fit()
    result = array_model(data, pandas, weights=weights, offset=offset).fit()
    assert_allclose(result.params, by_formula.params, rtol=1e-9)
    assert_allclose(result.llf, by_formula.llf, rtol=1e-12)
    assert_allclose(result.theta, by_formula.theta, rtol=1e-7)
    assert_allclose(result.resid, by_formula.resid, atol=1e-9)
    modes = result.random_effects["g"]
    assert_allclose(modes, by_formula.random_effects["g"], atol=1e-8)
    assert list(modes.index) == list(by_formula.random_effects["g"].index)
    if pandas:
        assert list(result.params.index) == ["const", "x"]
        assert list(result.fittedvalues.index) == list(data.index)
        assert list(modes.columns) == ["const", "x"]


@pytest.mark.parametrize("k", [1, 2])
def test_arrays_as_mixedlm_takes_them(k, data):
    exog = sm.add_constant(data["x"].to_numpy())
    effects = {"exog_re": exog[:, :k]} if k > 1 else {}
    y, groups = data["y"].to_numpy(), data["g"].to_numpy()
    ours = CrossedMixedLM(y, exog, groups=groups, **effects).fit()
    model = sm.MixedLM(y, exog, groups=groups, **effects)
    theirs = mixedlm_at(model, ours)
    assert_allclose(ours.llf, theirs.llf, rtol=1e-10)
    assert_allclose(ours.params, theirs.fe_params, rtol=1e-8)
    assert abs(gain_left(model, ours)) < 1e-12


def test_name_of_the_groups(data):
    exog = sm.add_constant(data["x"])
    named = CrossedMixedLM(data["y"], exog, groups=data["g"]).fit()
    assert list(named.theta.index) == ["g.Intercept"]
    plain = CrossedMixedLM(data["y"], exog, groups=data["g"].to_numpy()).fit()
    assert list(plain.theta.index) == ["Group.Intercept"]


@pytest.mark.parametrize(
    ("more", "bar"),
    [
        ({}, "(1 | g)"),
        ({"re_formula": "1"}, "(1 | g)"),
        ({"re_formula": "~x"}, "(x | g)"),
        ({"re_formula": "x"}, "(x | g)"),
        ({"re_formula": "0 + x"}, "(0 + x | g)"),
        ({"re_formula": "1", "vc_formula": {"x": "0 + x"}}, "(1 | g) + (0 + x | g)"),
        ({"vc_formula": {"k": "0 + C(k)"}}, "(1 | g:k)"),
        ({"re_formula": "1", "vc_formula": {"k": "0 + C(k)"}}, "(1 | g) + (1 | g:k)"),
    ],
)
def test_formulas_of_mixedlm(more, bar, data):
    rng = np.random.default_rng(5)
    k = rng.integers(3, size=N)
    cells, codes = np.unique(data["g"] + k.astype(str), return_inverse=True)
    data = data.assign(k=k, y=data["y"] + rng.standard_normal(len(cells))[codes])
    ours = crossedmixedlm("y ~ x", data, groups="g", **more).fit()
    by_bar = crossedmixedlm("y ~ x + " + bar, data).fit()
    assert_allclose(ours.llf, by_bar.llf, rtol=1e-12)
    assert_allclose(ours.params, by_bar.params, rtol=1e-10)
    assert_allclose(ours.theta, by_bar.theta, rtol=1e-8)
    # the same likelihood, and a maximum of it
    fitted = mixedlm("y ~ x", data, groups="g", **more).fit()
    model = smf.mixedlm("y ~ x", data, groups="g", **more)
    theirs = mixedlm_at(model, fitted)
    assert abs(gain_left(model, fitted)) < 1e-12
    assert_allclose(ours.llf, theirs.llf, rtol=1e-10)
    assert_allclose(ours.fe_params, theirs.fe_params, rtol=1e-6)


def test_groups_as_an_array_as_in_the_documentation_of_mixedlm(data):
    ours = crossedmixedlm("y ~ x", data, groups=data["g"]).fit()
    theirs = mixedlm_at(smf.mixedlm("y ~ x", data, groups=data["g"]), ours)
    assert_allclose(ours.llf, theirs.llf, rtol=1e-10)
    assert_allclose(ours.fe_params, theirs.fe_params, rtol=1e-8)


@pytest.mark.parametrize("kind", ["array", "list", "Series", "Series of new labels"])
def test_groups_as_an_array_go_by_position(kind, data):
    shuffled = data.sample(frac=1.0, random_state=2).add_prefix("row ", axis=0)
    groups = {
        "array": shuffled["g"].to_numpy(),
        "list": list(shuffled["g"]),
        "Series": shuffled["g"],
        "Series of new labels": shuffled["g"].reset_index(drop=True),
    }[kind]
    result = crossedmixedlm("y ~ x", shuffled, groups=groups).fit()
    expected = crossedmixedlm("y ~ x", shuffled, groups="g").fit()
    assert_allclose(result.llf, expected.llf, rtol=1e-12)
    assert_allclose(result.params, expected.params, rtol=1e-10)


@pytest.mark.parametrize("name", ["x", "z", "Group"])
def test_groups_as_an_array_replace_no_column(name, data):
    """Neither a Series that is named like a covariate, nor the name Group."""
    data = data.assign(Group=np.arange(N) / N)
    groups = data["g"].to_numpy()
    given = groups if name == "Group" else pd.Series(groups, data.index, name=name)
    result = crossedmixedlm("y ~ x + z + Group", data, groups=given).fit()
    expected = crossedmixedlm("y ~ x + z + Group + (1 | g)", data).fit()
    assert list(result.params.index) == list(expected.params.index)
    assert_allclose(result.params, expected.params, rtol=1e-9)


def test_groups_as_an_array_of_another_length(data):
    with pytest.raises(DataError, match="groups"):
        crossedmixedlm("y ~ x", data, groups=data["g"].to_numpy()[:5])


def test_pastes_as_in_mixedlm():
    data = load("pastes")
    result = crossedmixedlm(
        "strength ~ 1",
        data,
        groups="batch",
        re_formula="1",
        vc_formula={"cask": "0 + C(cask)"},
    ).fit()
    assert_allclose(-2 * result.llf, 246.9907, atol=1e-4)
    assert_allclose(np.sqrt(result.vcomp), [1.2874, 2.9041], atol=5e-4)


@pytest.mark.parametrize("kind", ["booleans", "labels", "Series"])
def test_subset(kind, engine, data):
    data = data.set_index(np.random.default_rng(0).permutation(500)[:N])
    rows = (data["x"] > -0.5).to_numpy()
    subset = {
        "booleans": rows,
        "labels": data.index[rows],
        "Series": pd.Series(rows, index=data.index),
    }[kind]
    result = crossedmixedlm(FORMULA, data, subset=subset, weights="w").fit()
    expected = crossedmixedlm(FORMULA, data[rows], weights="w").fit()
    assert result.nobs == rows.sum()
    assert_allclose(result.params, expected.params, rtol=1e-12)
    assert_allclose(result.llf, expected.llf, rtol=1e-12)
    assert list(result.resid.index) == list(data.index[rows])


def test_duplicated_index(data, engine):
    expected = crossedmixedlm(FORMULA, data, weights="w").fit()
    doubled = data.set_index(np.arange(N) // 2)
    result = crossedmixedlm(FORMULA, doubled, weights="w").fit()
    assert_allclose(result.params, expected.params, rtol=1e-12)
    assert_allclose(result.resid, expected.resid, rtol=1e-12)
    assert list(result.resid.index) == list(doubled.index)
    found = result.predict(doubled, random_effects=True)
    assert_allclose(found, expected.fittedvalues, rtol=1e-10)
    assert list(found.index) == list(doubled.index)
    holes = doubled.copy()
    holes.iloc[[0, 5], 1] = np.nan
    found = result.predict(holes, random_effects=True)
    assert np.flatnonzero(found.isna()).tolist() == [0, 5]


def test_labels_of_a_shuffled_index(data, engine):
    expected = crossedmixedlm(FORMULA, data).fit()
    shuffled = data.sample(frac=1.0, random_state=3)
    result = crossedmixedlm(FORMULA, shuffled).fit()
    for name in ("fittedvalues", "resid", "resid_pearson"):
        values = getattr(result, name)
        assert list(values.index) == list(shuffled.index)
        assert_allclose(
            values.loc[data.index], getattr(expected, name), rtol=1e-6, atol=1e-7
        )
    assert list(result.predict().index) == list(shuffled.index)
    assert_allclose(result.predict().loc[data.index], expected.predict(), rtol=1e-6)


@pytest.mark.parametrize(("first", "second"), [ENGINES, ENGINES[::-1]])
def test_another_engine_after_the_fit(first, second, data):
    formula = "y ~ bs(x, df=4) + f + (x | g) + (1 | h)"
    with formula_engine(first):
        result = crossedmixedlm(formula, data).fit()
        fixed = result.predict(data)
        se = result.get_prediction(data).se
    with formula_engine(second):
        assert_allclose(result.predict(data), fixed, rtol=1e-12)
        full = result.predict(data, random_effects=True)
        assert_allclose(full, result.fittedvalues, rtol=1e-9)
        assert_allclose(result.get_prediction(data).se, se, rtol=1e-12)
        assert_allclose(result.t_test("f[T.b] = 0").effect, result.params["f[T.b]"])
        other = pickle.loads(pickle.dumps(result))
        assert_allclose(other.predict(data), fixed, rtol=1e-12)


@pytest.mark.parametrize(("first", "second"), [ENGINES, ENGINES[::-1]])
def test_tables_by_term_with_another_engine(first, second, data):
    with formula_engine(first):
        result = crossedmixedlm(FORMULA, data).fit()
        terms = result.wald_test_terms(scalar=True).table
        pairs = result.t_test_pairwise("f").result_frame
    with formula_engine(second):
        found = result.wald_test_terms(scalar=True).table
        assert_allclose(found.astype(float), terms.astype(float))
        found = result.t_test_pairwise("f").result_frame
        assert_allclose(found["coef"], pairs["coef"])


def test_names_of_the_caller(engine, data):
    def twice(values):
        return 2 * values

    local = 3.0
    result = crossedmixedlm("y ~ twice(x) + I(z / local) + (twice(x) | g)", data).fit()
    plain = crossedmixedlm("y ~ x + z + (x | g)", data).fit()
    assert_allclose(result.params * [1, 2, 1 / local], plain.params, rtol=1e-6)
    assert_allclose(
        result.predict(data, random_effects=True), plain.fittedvalues, rtol=1e-6
    )
    assert_allclose(twice(local), 6.0)
    given = crossedmixedlm("y ~ double(x) + (1 | g)", data, eval_env={"double": twice})
    assert_allclose(
        given.fit().params.iloc[1],
        crossedmixedlm("y ~ x + (1 | g)", data).fit().params["x"] / 2,
        rtol=1e-6,
    )


def test_subset_takes_the_weights_along(data):
    weights = np.linspace(0.5, 2.0, len(data))
    keep = np.arange(len(data)) % 5 > 0
    found = crossedmixedlm(FORMULA, data, subset=keep, weights=weights).fit()
    expected = crossedmixedlm(FORMULA, data[keep], weights=weights[keep]).fit()
    assert_allclose(found.params, expected.params, rtol=1e-10)
