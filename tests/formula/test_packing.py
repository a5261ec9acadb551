"""Functions and codings of the user stay with a fit, its copies and its pickles."""

import copy
import pickle
import sys
from dataclasses import replace
from importlib import import_module
from threading import Lock

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from patsy import ContrastMatrix, Treatment

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.formula.packing import Module, Parts, Written, packed_value

N = 60
RNG = np.random.default_rng(11)
DATA = pd.DataFrame({"x": RNG.normal(size=N), "g": np.repeat(np.arange(10), 6)})
DATA["f"] = np.array(list("abc"))[RNG.integers(3, size=N)]
DATA["y"] = DATA["x"] ** 2 + RNG.normal(size=10)[DATA["g"]] + RNG.normal(size=N)
NEW = DATA.head(5)

power = 2

HALVES = np.array([[-0.5, -1 / 3], [0.5, -1 / 3], [0.0, 2 / 3]])
NAMES = {
    "square": lambda v: v**power,
    "coding": ContrastMatrix(HALVES, ["[b-a]", "[c-ab]"]),
    "second": Treatment("b"),
}
FORMULAS = {
    "lambda": "y ~ square(x) + (1 | g)",
    "slope": "y ~ x + (square(x) || g)",
    "coding": "y ~ C(f, coding) + (1 | g)",
    "reference": "y ~ C(f, second) + offset(square(x)) + (1 | g)",
}


def fit(kind):
    return crossedmixedlm(FORMULAS[kind], DATA, eval_env=NAMES).fit()


def predicted(result):
    return result.predict(NEW, random_effects=True)


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ModelWarning")
@pytest.mark.parametrize("kind", FORMULAS)
def test_one_process_loses_nothing(kind):
    result = fit(kind)
    expected = predicted(result)
    for other in (
        result.refit(DATA["y"]),
        copy.copy(result),
        copy.deepcopy(result),
        copy.deepcopy(result.refit(DATA["y"])),
    ):
        assert_allclose(predicted(other), expected, rtol=1e-6)
    replicates = result.bootstrap(3, rng=1, n_jobs=1, statistic=predicted)
    assert replicates.statistics.shape == (3, len(NEW))


def test_a_copy_is_one_of_its_own():
    result = fit("lambda")
    other = copy.deepcopy(result)
    assert other.model.endog is not result.model.endog
    assert other.model.data is not result.model.data
    assert other.model.data.frame is not result.model.data.frame


@pytest.mark.parametrize("kind", ["lambda", "slope"])
def test_pickles_hold_functions_by_value(kind):
    pytest.importorskip("joblib")
    result = fit(kind)
    once = pickle.loads(pickle.dumps(result))
    again = pickle.loads(pickle.dumps(copy.deepcopy(once)))
    assert_allclose(predicted(again), predicted(result), rtol=1e-9)


def test_pickles_hold_codings():
    with formula_engine("patsy"):
        result = fit("coding")
        again = pickle.loads(pickle.dumps(result))
        assert_allclose(predicted(again), predicted(result), rtol=1e-9)


def test_workers_have_the_functions():
    pytest.importorskip("joblib")
    result = fit("lambda")
    one, two = (
        result.bootstrap(4, rng=1, n_jobs=jobs, statistic=predicted).statistics
        for jobs in (1, 2)
    )
    assert_allclose(one, two)


def test_what_is_packed_how():
    assert packed_value(np) == Module("numpy")
    assert packed_value(np).unpacked() is np
    coding = packed_value(NAMES["coding"])
    assert isinstance(coding, Parts)
    assert_allclose(coding.unpacked().matrix, HALVES)
    number = packed_value(0.25)
    assert isinstance(number, Written)
    assert number.version is None
    assert number.unpacked() == 0.25
    assert packed_value(Lock()) is None


def test_code_of_another_python_is_not_run():
    pytest.importorskip("joblib")
    packed = packed_value(NAMES["square"])
    assert packed.unpacked()(3) == 9
    with pytest.raises(pickle.UnpicklingError):
        replace(packed, version=(3, 0)).unpacked()


def test_a_name_that_is_gone_where_the_pickle_is_read(tmp_path, monkeypatch):
    """Predictions of new data say so; the rest is there."""
    (tmp_path / "home.py").write_text("def square(v):\n    return v**2\n")
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=40), "g": np.arange(40) % 8})
    data["y"] = data["x"] + rng.normal(size=40)
    with monkeypatch.context() as here:
        here.syspath_prepend(tmp_path)
        scope = {"square": import_module("home").square}
        model = crossedmixedlm("y ~ square(x) + (1 | g)", data, eval_env=scope)
        written = pickle.dumps(model.fit())
    del sys.modules["home"]
    result = pickle.loads(written)
    assert np.isfinite(result.params).all()
    with pytest.raises(DataError, match=r"could not be pickled.*square"):
        result.predict(pd.DataFrame({"x": [1.0]}))
