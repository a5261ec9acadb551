"""Fits with an engine of one's choice, and what their results say of it."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import datasets, from_json
from statsmodels_lmm.core.algebra import memory, threads
from statsmodels_lmm.core.engines import shared_design
from statsmodels_lmm.core.search import krylov
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.comparison.likelihood_ratio import compare
from statsmodels_lmm.inference.variances import profile as profiles

FORMULA = "y ~ x + f + (x | worker) + (1 | firm)"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 2000
    frame = pd.DataFrame(
        {
            "worker": rng.integers(0, 200, n),
            "firm": rng.integers(0, 90, n),
            "x": rng.standard_normal(n),
            "f": rng.choice(list("abc"), n),
        }
    )
    slopes = 0.5 + 0.4 * rng.standard_normal(200)
    return frame.assign(
        y=1.0
        + slopes[frame["worker"]] * frame["x"]
        + 0.6 * rng.standard_normal(200)[frame["worker"]]
        + 0.7 * rng.standard_normal(90)[frame["firm"]]
        + rng.standard_normal(n)
    )


@pytest.fixture(scope="module")
def model(data):
    return crossedmixedlm(FORMULA, data)


@pytest.fixture(scope="module")
def exact(model):
    return model.fit(engine="exact")


@pytest.fixture(scope="module")
def probed(model):
    return model.fit(engine="krylov")


def test_small_models_are_exact(model, exact):
    fit = model.fit()
    assert fit.monte_carlo is None
    assert fit.llf == exact.llf
    assert fit.model is model


def test_monte_carlo(exact, probed):
    table = probed.monte_carlo
    assert list(table.index) == [*probed.theta.index, "llf"]
    assert list(table.columns) == ["estimate", "se", "mc_se"]
    assert np.isnan(table.loc["llf", "se"])
    theta = table.iloc[:-1]
    assert (theta["mc_se"] <= 0.01 * theta["se"]).all()
    assert (np.abs(exact.theta - probed.theta) <= 5.0 * theta["mc_se"]).all()
    error = table.loc["llf", "mc_se"]
    assert 0.0 < error <= 0.005
    assert abs(exact.llf - probed.llf) <= 5.0 * error
    assert probed.converged
    assert f"{error:.1g}." in str(probed.summary())
    assert "8 probes; Monte-Carlo error at most" in str(probed.summary())
    assert "probes" not in str(exact.summary())


def test_what_follows_is_that_of_the_exact_fit(model, data, exact, probed):
    assert_allclose(probed.params, exact.params, rtol=1e-4, atol=1e-5)
    assert_allclose(probed.bse, exact.bse, rtol=1e-4)
    assert_allclose(
        probed.random_effects["firm"], exact.random_effects["firm"], atol=1e-3
    )
    new = data.head(5)
    pair = (r.predict(new, random_effects=True) for r in (probed, exact))
    assert_allclose(*pair, atol=1e-3)
    pair = (r.get_prediction(new, random_effects=True).se for r in (probed, exact))
    assert_allclose(*pair, rtol=1e-3)
    pair = (r.wald_test_terms().table["pvalue"].astype(float) for r in (probed, exact))
    assert_allclose(*pair, rtol=1e-2)
    pair = (
        r.with_df_method("satterthwaite").df_resid_inference for r in (probed, exact)
    )
    assert_allclose(*pair, rtol=1e-2)
    errors = (r.variance_parameters()["std err"] for r in (probed, exact))
    assert_allclose(*errors, rtol=5e-2)
    assert_allclose(probed.model.loglike(probed.theta), probed.llf)
    assert_allclose(probed.model.score(probed.theta), 0.0, atol=1e-2)


def test_standard_deviations_of_modes(exact, probed):
    tables = [r.random_effects_table() for r in (exact, probed)]
    assert_allclose(tables[1]["sd"], tables[0]["sd"], rtol=0.02)
    asked = {"firm": [3, 17], "worker": [5]}
    own = probed.random_effects_table(exact=asked)
    assert len(own) == 2 + 2
    key = ["group", "effect", "level"]
    both = own.merge(tables[0], on=key, suffixes=("", "_exact"))
    assert_allclose(both["sd"], both["sd_exact"], rtol=1e-4)
    one = probed.random_effects_table(exact={"firm": 3})
    pd.testing.assert_frame_equal(one, own.iloc[[2]].reset_index(drop=True))
    with pytest.raises(TypeError, match=r"such as {'worker': \[17, 23\]}, and is list"):
        probed.random_effects_table(exact=["firm"])
    with pytest.raises(DataError, match="'shop', which is no grouping factor"):
        probed.random_effects_table(exact={"shop": [1]})
    with pytest.raises(DataError, match="1000 is no level of firm"):
        probed.random_effects_table(exact={"firm": [1000]})


def test_saved(probed):
    again = pickle.loads(pickle.dumps(probed))
    pd.testing.assert_frame_equal(again.monte_carlo, probed.monte_carlo)
    assert_allclose(again.model.loglike(again.theta), probed.llf)
    assert "probes" in from_json(probed.to_json()).summary()


def test_refits_are_of_the_same_kind(data, exact, probed):
    other = probed.refit(data["y"] + data["x"])
    assert other.monte_carlo is not None
    assert_allclose(other.theta, probed.theta, atol=1e-6)
    drawn, known = (r.bootstrap(2, rng=0) for r in (probed, exact))
    assert_allclose(drawn.draws, known.draws, rtol=1e-2, atol=1e-2)
    assert probed.model.fit(engine="exact").monte_carlo is None


def test_same_seed_same_numbers(model, probed):
    again = model.fit(engine="krylov", rng=0)
    assert again.llf == probed.llf
    assert (again.theta == probed.theta).all()
    other = model.fit(engine="krylov", rng=np.random.default_rng(1), probes=16)
    assert other.llf != probed.llf
    assert other._probes.count == 16
    assert other._probes.more == 0


@pytest.mark.parametrize("count", [2, 5])
def test_threads_change_no_bit(monkeypatch, model, probed, count):
    monkeypatch.setattr(threads, "WORTH", 0.0)
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    fit = crossedmixedlm(FORMULA, model.data.frame).fit(engine="krylov")
    assert fit.llf == probed.llf
    assert fit.theta.tolist() == probed.theta.tolist()
    assert fit.params.tolist() == probed.params.tolist()


def test_polished_fits_are_exact(monkeypatch, data, exact):
    monkeypatch.setattr(krylov, "DENSE_WORK", 0.0)
    # the rows are not read again
    monkeypatch.setattr(shared_design, "sufficient_statistics", None)
    model = crossedmixedlm(FORMULA, data)
    fit = model.fit()
    assert fit.monte_carlo is None
    assert_allclose(fit.llf, exact.llf, rtol=0.0, atol=1e-8)
    assert_allclose(fit.theta, exact.theta, atol=1e-6)
    assert fit.optimum.evaluations > 3
    monkeypatch.setattr(krylov, "PATIENCE", 0.0)
    assert model.fit().monte_carlo is not None


def test_levels_that_fixed_effects_distinguish(data):
    model = crossedmixedlm("y ~ C(firm) + (1 | worker) + (1 | firm)", data)
    with pytest.warns(DataWarning, match="levels of firm"):
        fit, exact = model.fit(engine="krylov"), model.fit(engine="exact")
    assert fit.theta["firm.Intercept"] == 0.0
    assert fit.converged
    assert_allclose(fit.theta, exact.theta, atol=1e-6)
    assert np.isnan(fit.monte_carlo.loc["firm.Intercept", "se"])


def test_staying_at_given_parameters(model, exact):
    fit = model.fit(start_params=exact.theta, maxiter=0, engine="krylov")
    assert fit.optimum.given
    assert abs(fit.llf - exact.llf) <= 5.0 * fit.monte_carlo.loc["llf", "mc_se"]


def test_structures(data):
    model = crossedmixedlm("y ~ x + cs(x | worker) + (1 | firm)", data)
    one, other = model.fit(engine="exact"), model.fit(engine="krylov")
    assert_allclose(other.theta, one.theta, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "fast"}, "engine must be 'auto', 'exact' or 'krylov'"),
        ({"probes": 1}, "probes must be a whole number from 2, whose"),
        ({"probes": 2**16 + 1}, "to 65,536, not 65537"),
        ({"probes": 8.0}, "probes must be a whole number"),
        ({"probes": True}, "probes must be a whole number"),
        ({"rng": -1}, "rng must be"),
        ({"rng": "seed"}, "rng must be"),
    ],
)
def test_unknown_values(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.fit(**arguments)


def test_what_has_no_such_engine(data):
    sleep = datasets.sleepstudy.load_pandas().data
    one = crossedmixedlm("Reaction ~ Days + (Days | Subject)", sleep)
    assert one.fit(engine="krylov").llf == one.fit().llf  # level by level
    firms = pd.Index(np.unique(data["firm"]))
    known = pd.DataFrame(np.eye(len(firms)), firms, firms)
    formula = "y ~ x + (1 | worker) + (1 | firm)"
    related = crossedmixedlm(formula, data, relationship={"firm": known})
    with pytest.raises(ValueError, match="the levels of a factor are related"):
        related.fit(engine="krylov")
    errors = crossedmixedlm(formula, data, dispersion="~ x")
    with pytest.raises(ValueError, match="errors are correlated or of unequal"):
        errors.fit(engine="krylov")


def test_what_needs_exact_traces(probed):
    with pytest.raises(NotImplementedError, match='fit with engine="exact"'):
        probed.get_influence()
    with pytest.raises(NotImplementedError, match='fit with engine="exact"'):
        probed.with_df_method("kenward-roger").summary()


def test_profiles_state_their_error(probed, exact):
    names = ["x", "worker: sd x", "firm: sd Intercept", "sigma"]
    found, truth = probed.profile(names), exact.profile(names)
    ends, known = found.conf_int(), truth.conf_int()
    errors = (known["upper"] - known["lower"]) / (2.0 * 1.96)
    assert (ends.sub(known).div(errors, axis=0).abs() <= 0.01).all(axis=None)
    assert 0.0 < found.mc_se < 0.01
    assert ends.attrs == {"mc_se": found.mc_se}
    assert truth.mc_se == 0.0
    assert known.attrs == {}
    text = f"Monte-Carlo error of limits at most {found.mc_se:.1g} SE"
    assert text in repr(found)
    assert text in found._repr_html_()
    assert "Monte-Carlo" not in repr(truth)
    same = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(same.conf_int(), ends)
    lowest = found.curves.groupby("parameter")["deviance"].min()
    assert_allclose(lowest.drop("x"), -2.0 * probed.llf)
    shares = [r.icc(conf_int="profile").conf_int() for r in (probed, exact)]
    assert_allclose(*(s.loc["adjusted"] for s in shares), rtol=1e-3)
    assert 0.0 < shares[0].attrs["mc_se"] < 0.01
    assert shares[1].attrs == {}


def test_profiles_that_probes_leave_uncertain(monkeypatch, model):
    fit = model.fit(engine="krylov")
    monkeypatch.setattr(profiles, "LARGEST_ERROR", 1e-7)
    with pytest.raises(NotImplementedError, match="use more probes in fit"):
        fit.profile("sigma")
    with pytest.raises(NotImplementedError, match="standard errors in its limits"):
        fit.icc(conf_int="profile").conf_int()


def test_too_large_for_a_dense_matrix(monkeypatch, data):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    model = crossedmixedlm("y ~ x + (1 | worker) + (1 | firm)", data)
    with pytest.raises(MemoryError, match=r'fit\(engine="krylov"\)'):
        model.fit(engine="exact")


def test_likelihood_ratios_state_their_error(data, probed, exact):
    smaller = crossedmixedlm("y ~ x + f + (1 | worker) + (1 | firm)", data)
    small = smaller.fit(engine="krylov")
    found, truth = compare(probed, small), compare(exact, smaller.fit())
    assert 0.0 < found.mc_se < 0.03
    assert truth.mc_se == 0.0
    assert abs(found.statistic - truth.statistic) <= 5.0 * found.mc_se
    assert "Monte-Carlo error of the statistic" in repr(found)
    assert "Monte-Carlo" not in repr(truth)
    assert pickle.loads(pickle.dumps(found)).mc_se == found.mc_se
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        compare(probed, small)


def test_a_verdict_that_the_error_leaves_open(probed, data):
    other = crossedmixedlm(FORMULA.replace(" + f", ""), data)
    ml, ml0 = (
        probed.model.fit(False, engine="krylov"),
        other.fit(False, engine="krylov"),
    )
    statistic = 2.0 * (ml.llf - ml0.llf)
    # an error as large as the distance to the limit of 5 %
    table = ml._monte_carlo
    table.loc["llf", "mc_se"] = abs(statistic - 5.991) + 1.0
    with pytest.warns(DataWarning, match=r"could move p = .* across 0.0"):
        compare(ml, ml0)
