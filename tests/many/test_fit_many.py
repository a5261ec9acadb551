"""One model and many responses, from tables of any kind."""

import os
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from many_designs import FORMULAS, responses, rows
from scipy import sparse

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, DataWarning, RankWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.many import fitting
from statsmodels_lmm.many.own_weights import read_weights
from statsmodels_lmm.many.response_table import is_iterable_of_tables, response_table
from statsmodels_lmm.many.single_fits import design_of, fit_alone, model_of
from statsmodels_lmm.many.storage import ParquetFile

ONE_SIDED = "~ x + f + (x | g)"


def frame():
    data = rows()
    return data.set_index(pd.Index([f"s{i}" for i in range(len(data))]))


def genes(count=12):
    """Samples x genes, two of them incomplete."""
    data = frame()
    names = [f"gene{i}" for i in range(12)]
    out = pd.DataFrame(responses(data, 12).T, data.index, names)
    out.iloc[5, 1] = out.iloc[[7, 8, 60], 4] = np.nan
    return out.iloc[:, :count]


def model(formula=ONE_SIDED, **options):
    return crossedmixedlm(formula, frame(), **options)


@pytest.fixture(scope="module")
def many():
    return model().fit_many(genes())


def same(one, other):
    pd.testing.assert_frame_equal(one.params, other.params, check_names=False)
    np.testing.assert_array_equal(one.fits.df, other.fits.df)
    np.testing.assert_array_equal(one.llf, other.llf)


def test_a_formula_without_a_response_waits_for_one(many):
    one = model()
    assert one.formula_full == ONE_SIDED
    with pytest.raises(DataError, match=r"has no response.*fit_many\(responses\)"):
        one.fit()
    y = genes()["gene3"]
    single = one.with_response(y).fit(df_method="satterthwaite")
    np.testing.assert_allclose(many.params.loc["gene3"], single.params, rtol=1e-9)
    np.testing.assert_allclose(
        many.df.loc["gene3"], single.df_resid_inference, rtol=1e-6
    )
    again = pickle.loads(pickle.dumps(one))
    same(again.fit_many(genes()), many)


def test_a_response_of_the_model_is_not_used(many):
    same(crossedmixedlm("y " + ONE_SIDED, frame()).fit_many(genes()), many)


def test_rows_are_aligned_by_label(many):
    same(model().fit_many(genes().sample(frac=1.0, random_state=0)), many)
    with pytest.raises(DataError, match="no value for 1 of 120 rows, such as s7"):
        model().fit_many(genes().drop(index="s7"))


@pytest.mark.parametrize("kind", ["array", "fortran", "masked", "sparse", "list"])
def test_arrays_are_in_order(kind, many, tmp_path):
    values = genes().to_numpy()
    made = {
        "array": values,
        "fortran": np.asfortranarray(values),
        "masked": np.ma.masked_invalid(values),
        "sparse": sparse.csr_array(values),
        "list": values.tolist(),
    }[kind]
    found = model().fit_many(made)
    np.testing.assert_array_equal(found.fits.params, many.fits.params)
    assert found.names.equals(pd.RangeIndex(12))


def test_memory_maps_are_read_in_parts(many, tmp_path):
    path = os.fspath(tmp_path / "y.npy")
    np.save(path, genes().to_numpy())
    found = model().fit_many(np.load(path, mmap_mode="r"), chunk_size=12)
    np.testing.assert_array_equal(found.fits.params, many.fits.params)


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_frames_of_other_kinds(kind, many):
    module = pytest.importorskip(kind)
    table = genes().reset_index(drop=True)
    if kind == "polars":
        given = module.DataFrame({n: v.to_numpy() for n, v in table.items()})
    else:
        given = module.Table.from_pandas(table)
    same(model().fit_many(given), many)


def test_an_iterable_of_tables_is_read_once(many):
    y = genes()
    found = model().fit_many(y.iloc[:, i : i + 4] for i in range(0, 12, 4))
    np.testing.assert_allclose(found.llf, many.llf, rtol=1e-12)
    assert found.names.equals(y.columns)
    with pytest.raises(DataError, match="read from an iterator"):
        found.t_test("x - f[T.b] = 0")
    arrays = model().fit_many([y.to_numpy()[:, :5], y.to_numpy()[:, 5:]])
    assert arrays.names.tolist() == list(range(12))
    given = found.with_responses(y)
    assert np.isfinite(given.t_test("x - f[T.b] = 0")["p"]).all()
    with pytest.raises(DataError, match="not those of the results"):
        found.with_responses(y.iloc[:, ::-1])


def test_what_is_a_table():
    assert not is_iterable_of_tables(genes())
    assert not is_iterable_of_tables([[1.0, 2.0], [3.0, 4.0]])
    assert is_iterable_of_tables([np.ones((2, 2))])
    assert is_iterable_of_tables(iter([]))
    table = response_table(genes(), model())
    assert len(table) == 12
    np.testing.assert_array_equal(table.block(2, 4), genes().to_numpy()[:, 2:4].T)


WRONG = {
    "one": (lambda y: y.to_numpy()[:, 0], "for a single response"),
    "turned": (lambda y: y.to_numpy().T, "transpose it"),
    "short": (lambda y: y.to_numpy()[1:], r"shape \(119, 12\), and the model 120 rows"),
    "text": (lambda y: y.assign(gene2="a"), "must be numbers, but gene2 are not"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_do_not_match_are_named(case):
    make, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        model().fit_many(make(genes()))


def test_rows_that_the_model_dropped_are_named():
    data = frame()
    data.iloc[3, data.columns.get_loc("x")] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = crossedmixedlm(ONE_SIDED, data)
    with pytest.raises(DataError, match="1 incomplete rows of the data are not in"):
        one.fit_many(genes().to_numpy())
    found = one.fit_many(genes())
    assert found.nobs.iloc[0] == 119


def test_problems_are_reasons_and_the_rest_is_done(many):
    y = genes()
    y["flat"], y["none"], y["inf"] = 3.0, np.nan, y["gene0"]
    y.iloc[2, -1] = np.inf
    y["short"] = y["gene0"].where(frame()["g"] == 0)
    y["column"] = y["gene0"].where(frame()["f"] == "a")
    found = model().fit_many(y)
    np.testing.assert_array_equal(found.fits.params[:12], many.fits.params)
    assert found.reason["gene0"] == ""
    assert found.reason["flat"] == "the fixed effects reproduce the response exactly"
    assert found.reason["none"] == "all values are missing"
    assert found.reason["inf"] == "infinite values"
    assert "single level" in found.reason["short"]
    # a fit of its own without the column that is not determined
    assert found.reason["column"] == "the rows left do not determine f[T.b]"
    assert np.isfinite(found.llf["column"])
    assert np.isnan(found.params.loc["column", "f[T.b]"])
    assert found.n_failed == 4
    assert "4 without a fit" in repr(found)
    table = found.t_test("x")
    assert table["p"].isna().sum() == 4
    np.testing.assert_allclose(
        found.t_test("x", adjust="bonferroni")["p_adjusted"].dropna(),
        np.minimum(table["p"].dropna() * 13, 1.0),
    )
    with pytest.raises(DataError, match="none has no fit: all values are missing"):
        found["none"]
    with pytest.raises(KeyError, match="no response"):
        found["absent"]


def test_repeated_names_are_told():
    y = genes().iloc[:, :3].set_axis(["a", "b", "a"], axis=1)
    with pytest.warns(DataWarning, match="several responses have the same name: a"):
        found = model().fit_many(y)
    assert len(found) == 3
    assert np.isfinite(found.llf).all()
    with pytest.raises(KeyError, match="2 responses are named 'a'"):
        found["a"]
    assert found.at(2).nobs == 120


def test_redundant_columns_are_left_out():
    data = frame().assign(twice=2 * frame()["x"])
    formula = "~ x + twice + (1 | g)"
    with pytest.warns(RankWarning, match="left out: twice"):
        found = crossedmixedlm(formula, data).fit_many(genes())
    assert found.params["twice"].isna().all()
    assert np.isfinite(found.params["x"]).all()
    with pytest.raises(DataError, match="not linearly independent: twice"):
        crossedmixedlm(formula, data, rank="raise").fit_many(genes())


def test_offsets_are_subtracted():
    data = frame()
    data["o"] = np.random.default_rng(0).normal(size=len(data))
    found = crossedmixedlm("~ x + offset(o) + (1 | g)", data).fit_many(
        genes().iloc[:, [0, 2]].add(data["o"], axis=0)
    )
    plain = crossedmixedlm("~ x + (1 | g)", data).fit_many(genes().iloc[:, [0, 2]])
    np.testing.assert_allclose(found.params, plain.params, rtol=1e-9)
    np.testing.assert_allclose(found["gene2"].params, plain.params.loc["gene2"])
    test = found.t_test("x - Intercept = 0")
    np.testing.assert_allclose(test, plain.t_test("x - Intercept = 0"), rtol=1e-6)


def test_weights_of_each_value():
    y, rng = genes(4), np.random.default_rng(0)
    w = pd.DataFrame(rng.uniform(0.5, 2.0, y.shape), y.index, y.columns)
    w.iloc[3, 0], w.iloc[4, 1] = 0.0, np.nan
    found = model().fit_many(y, weights=w)
    for name in ("gene0", "gene1", "gene3"):
        data = frame().assign(y=y[name], w=w[name])
        one = crossedmixedlm("y " + ONE_SIDED, data, weights="w").fit(tol=1e-14)
        np.testing.assert_allclose(found.params.loc[name], one.params, rtol=1e-7)
        np.testing.assert_allclose(found.llf[name], one.llf)
        assert found.nobs[name] == one.nobs
        np.testing.assert_allclose(found[name].llf, one.llf)
        test = found.t_test("x - f[T.b] = 0").loc[name]
        np.testing.assert_allclose(
            test["se"], one.t_test("x - f[T.b] = 0").sd.item(), rtol=1e-6
        )
    of_rows = model().fit_many(y, weights=w["gene2"])
    np.testing.assert_allclose(of_rows.llf["gene2"], found.llf["gene2"])
    with pytest.raises(DataError, match="negative or infinite"):
        model().fit_many(y, weights=-w)
    with pytest.raises(DataError, match="not named as the responses"):
        model().fit_many(y, weights=w.iloc[:, ::-1])
    with pytest.raises(DataError, match="4 responses and weights for 3"):
        model().fit_many(y, weights=w.iloc[:, :3])
    assert read_weights(None, 0, 1) is None


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_no_bit(backend):
    joblib = pytest.importorskip("joblib")
    alone = model().fit_many(genes(), chunk_size=5)
    with joblib.parallel_config(backend, n_jobs=2):
        same(model().fit_many(genes(), chunk_size=5), alone)


def test_an_interrupt_keeps_what_is_done(monkeypatch, many):
    usual, calls = fitting._Work.__call__, []

    def interrupted(self, piece):
        calls.append(piece)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return usual(self, piece)

    monkeypatch.setattr(fitting._Work, "__call__", interrupted)
    found = model().fit_many(genes(), chunk_size=4, n_jobs=1)
    assert found.interrupted
    assert found.names.tolist() == [f"gene{i}" for i in range(8)]
    assert "interrupted" in repr(found)
    assert found["gene6"].nobs == 120


REFUSED = {
    "kr": (ValueError, {"df_method": "kr"}, "not available for many responses"),
    "chunks": (ValueError, {"chunk_size": 0}, "positive whole number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    kind, options, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        model().fit_many(genes(), **options)


def test_models_that_are_fitted_one_by_one():
    with pytest.raises(NotImplementedError, match=r"with_response\(y\)"):
        model(residual="cs(1 | g:c)").fit_many(genes())
    data = frame().assign(k=(frame()["x"] > 0.1).astype(int))
    logistic = crossedmixedglm("k ~ x + (1 | g)", data, family="binomial")
    with pytest.raises(NotImplementedError, match="linear mixed models"):
        logistic.fit_many(genes())


def test_nothing_to_fit():
    with pytest.raises(DataError, match="no responses"):
        model().fit_many(iter([]))


def test_structures_are_fitted_one_by_one():
    one = model("~ x + cs(1 + x | g)")
    found = one.fit_many(genes(3), n_jobs=1)
    single = one.with_response(genes()["gene2"]).fit()
    np.testing.assert_allclose(found.llf["gene2"], single.llf)
    np.testing.assert_allclose(found.theta.loc["gene2"], single.theta, rtol=1e-5)
    assert found.variance_components().shape[1] == len(single.theta) + 1
    test = found.t_test("x - f[T.b] = 0" if "f[T.b]" in found.params else "x - 1 = 0")
    assert np.isfinite(test["p"]).all()


def test_a_model_from_arrays():
    data = frame()
    x = np.column_stack([np.ones(120), data["x"]])
    one = CrossedMixedLM(data["y"].to_numpy(), x, {"g": data["g"].to_numpy()})
    found = one.fit_many(genes().to_numpy())
    single = one.with_response(genes()["gene2"].to_numpy()).fit()
    np.testing.assert_allclose(found.params.iloc[2], single.params)


def test_single_fits_stand_in_for_those_of_a_batch():
    one, y = model(FORMULAS["crossed"].replace("y ", "")), genes()
    values = y["gene0"].to_numpy()
    fits, reason = fit_alone(one, values, None, True)
    batch = one.fit_many(y.iloc[:, :1])
    assert reason == ""
    for name in ("params", "bse", "df", "theta", "scale", "scale_df", "llf", "nobs"):
        np.testing.assert_allclose(
            getattr(fits, name), getattr(batch.fits, name), rtol=2e-5, err_msg=name
        )
    assert design_of(one, True).in_batches
    named = model_of(one, y["gene4"].to_numpy(), None, "gene4")
    assert named.endog_names == "gene4"
    assert named.nobs == 117


def series():
    return genes()["gene3"]


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (series, DataError, r"shape \(120,\).*with_response\(y\).fit\(\)"),
        (lambda: None, TypeError, "a table with a column for each, not NoneType"),
        (lambda: "y.csv", TypeError, "not str; read a file first"),
        (lambda: 3.0, TypeError, "a table with a column for each, not float"),
        (lambda: ["x", "y"], DataError, "the responses must be numeric"),
        (lambda: [[1.0], [1.0, 2.0]], DataError, "not an array of numbers"),
        (lambda: genes().to_numpy() + 1j, DataError, "must be real, not complex"),
        (lambda: np.zeros((120, 2), "M8[ns]"), DataError, "dates or times"),
        (lambda: genes().iloc[:, :0], DataError, "there are no responses"),
        (lambda: np.empty((120, 0)), DataError, "there are no responses"),
        (list, DataError, "there are no responses"),
        (lambda: iter([np.empty((120, 0))]), DataError, "there are no responses"),
    ],
)
def test_what_is_no_table_of_responses(given, error, told):
    with pytest.raises(error, match=told):
        model().fit_many(given())


def test_a_dict_of_columns_and_objects(many):
    same(model().fit_many(dict(genes().items())), many)
    objects = genes().to_numpy().astype(object)
    np.testing.assert_array_equal(model().fit_many(objects).fits.params, many.params)


def test_every_table_has_weights():
    y, w = genes(), np.ones((120, 6))
    parts = [y.iloc[:, :6], y.iloc[:, 6:]]
    with pytest.raises(DataError, match="not as many tables of weights"):
        model().fit_many(iter(parts), weights=iter([w]))
    with pytest.raises(DataError, match="the weights must be numeric"):
        model().fit_many(y, weights=["a"] * 120)
    with pytest.raises(ValueError, match="chunk_size must be a positive whole number"):
        model().fit_many(y, chunk_size="a")


def test_units_beyond_the_range_of_squares():
    y = genes()[["gene0", "gene4"]]
    tables = [y * unit for unit in (1e-300, 1e-160, 1e300, 5e-324)]
    odd = pd.concat([y, *tables], axis=1).set_axis(range(10), axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model().fit_many(odd)
    assert (found.reason[2:].str.contains("use another unit")).all()
    assert (found.reason[:2] == "").all()
    np.testing.assert_allclose(found.llf[:2], model().fit_many(y).llf, rtol=1e-12)


@pytest.mark.parametrize("seed", [3379, 8949])
def test_a_step_too_far_beside_a_small_pivot_is_not_the_last(seed):
    """The gradient grows at first; the optimum is singular and counts more df."""
    g, x = np.divmod(np.arange(60), 6)
    rng = np.random.default_rng(seed)
    y = rng.normal(size=60) + rng.normal(size=10)[g] + 0.12 * rng.normal(size=10)[g] * x
    one = crossedmixedlm("~ x + (x | g)", pd.DataFrame({"g": g, "x": x}))
    found = one.fit_many(y[:, None])
    single = one.with_response(y).fit(df_method="satterthwaite", tol=1e-14)
    assert found.singular[0]
    assert found.certificates["promised"][0] < 1e-20
    np.testing.assert_allclose(found.theta.iloc[0], single.theta, atol=1e-9)
    np.testing.assert_allclose(found.df.iloc[0], single.df_resid_inference, rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("engine", "many are exact"),
        ("method", "reml=False"),
        ("adjust", "many.t_test"),
        ("workers", "spelled n_jobs="),
        ("family", "crossedmixedglm"),
    ],
)
def test_arguments_of_other_functions(name, told):
    with pytest.raises(TypeError, match=f"^{name}= .*{told}"):
        model().fit_many(genes(), **{name: "krylov"})


def test_weights_of_zero_are_the_reason():
    weights = np.ones((120, 12))
    weights[:, 3] = 0.0
    reason = model().fit_many(genes(), weights=weights).reason
    assert reason["gene3"] == "the weights of all its values are zero"
    assert (reason.drop("gene3") == "").all()


def test_reml_is_a_choice():
    with pytest.raises(ValueError, match="reml must be True or False, not 'ML'"):
        model().fit_many(genes(), "ML")


def ending(error):
    yield genes().iloc[:, :4]
    raise error


def test_an_iterable_that_breaks_off(tmp_path, many):
    found = model().fit_many(ending(KeyboardInterrupt()))
    assert found.interrupted
    np.testing.assert_allclose(found.llf, many.llf[:4], rtol=1e-13)
    path = tmp_path / "some.parquet"
    with pytest.raises(OSError, match="no disk"):
        model().fit_many(ending(OSError("no disk")), to=path)
    kept = ParquetFile(path, model()).read()
    np.testing.assert_allclose(kept.llf, many.llf[:4], rtol=1e-13)
