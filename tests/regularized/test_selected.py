"""Fits of chosen columns, by each rule, and what they say of the choice."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_regularized_path import sample

from statsmodels_lmm import CrossedMixedLM, crossedmixedglm, crossedmixedlm, report
from statsmodels_lmm.core.penalized.refits import refit
from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import mixedlm
from statsmodels_lmm.regularized import folds as folds_module
from statsmodels_lmm.regularized import stability as stability_module
from statsmodels_lmm.regularized.problem import PenalizedModel, Regularization

pytest.importorskip("sklearn")

FORMULA = "y ~ x + (1 | g)"
TRUE = ["penalized[0]", "penalized[1]", "penalized[2]"]


@pytest.fixture(scope="module")
def data():
    return sample(n_groups=20)


@pytest.fixture(scope="module")
def model(data):
    return crossedmixedlm(FORMULA, data[0], penalized=data[1], offset="o")


@pytest.fixture(scope="module")
def result(model):
    return model.fit_regularized()


def test_the_refit_is_the_ordinary_fit(data, result):
    frame, z = data
    named = frame.assign(**dict(zip("abc", z.T)))
    plain = crossedmixedlm("y ~ x + a + b + c + (1 | g)", named, offset="o").fit()
    assert list(result.selection.chosen) == TRUE
    assert list(result.params.index)[:2] == ["Intercept", "x"]
    np.testing.assert_allclose(result.params, plain.params, rtol=1e-8)
    np.testing.assert_allclose(result.bse, plain.bse, rtol=1e-7)
    assert result.method == "REML"
    assert result.llf == pytest.approx(plain.llf)
    new = frame.assign(**dict(zip(TRUE, z.T))).head(4)
    expected = plain.predict(named.head(4), random_effects=True, offset=frame["o"][:4])
    found = result.predict(new, random_effects=True, offset=frame["o"][:4])
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert result.model.penalized is None


def test_the_choice_is_told(result):
    note = result.selection.note
    assert note.startswith("3 of 100 columns were chosen (ebic, alpha=")
    assert "ignore this choice" in " ".join(str(result.summary()).split())
    assert "ignore this choice" in " ".join(report(result).text.split())
    assert note in repr(result.selection)
    assert "ignore" in str(result.with_df_method("satterthwaite").summary())


def test_rules_of_the_path(model):
    path = model.fit_regularized_path()
    assert path.alpha_max * 0.09 < path.alphas[-1]
    best = path.best("bic", reml=False)
    assert best.selection.alpha == path.best_alpha("bic")
    assert best.method == "ML"
    assert best.llf == pytest.approx(path.criteria["llf"][best.selection.alpha])
    universal = model.fit_regularized("universal")
    n, p = 100, 100
    assert 0.8 < universal.selection.alpha / np.sqrt(2 * np.log(p) / n) < 1.0
    assert list(universal.selection.chosen) == TRUE
    given = model.fit_regularized(universal.selection.alpha)
    assert given.selection.method == "alpha"
    assert list(given.selection.chosen) == TRUE


def test_a_shrunken_fit_has_no_standard_errors(data, model):
    frame, z = data
    result = model.fit_regularized(0.3, refit=False)
    assert len(result.params) == 102
    assert np.isnan(result.bse).all()
    assert "no standard errors" in result.reason
    text = str(result.summary())
    assert "A penalty shrinks the coefficients" in text
    assert result.selection.note.split("chosen ")[1].startswith("(alpha=0.3) on")
    assert "Minimum certified" in text
    assert "penalized[0]" in text
    assert "shrunken" in repr(result)
    assert "</table>" in result._repr_html_()
    b = result.params
    assert (b[TRUE] != 0.0).all()
    fixed = b["Intercept"] + b["x"] * frame["x"] + z @ b[2:].to_numpy()
    np.testing.assert_allclose(result.predict(), fixed + frame["o"], rtol=1e-9)
    new = result.predict(frame.head(5), penalized=z[:5])
    np.testing.assert_allclose(new, fixed[:5], rtol=1e-9)
    modes = result.random_effects["g"].loc[frame["g"]].to_numpy()[:, 0]
    np.testing.assert_allclose(
        result.fittedvalues, fixed + frame["o"] + modes, rtol=1e-9
    )
    np.testing.assert_allclose(result.resid, frame["y"] - result.fittedvalues)
    expected = result.theta.iloc[0] ** 2 * result.scale
    assert result.cov_re["g"].iloc[0, 0] == pytest.approx(expected)
    with pytest.raises(TypeError, match="exog and penalized"):
        result.predict(frame)
    with pytest.raises(DataError, match=r"\(3, 100\)"):
        result.predict(frame.head(3), penalized=z[:5])
    with pytest.raises(TypeError, match="reml= is for a refit"):
        model.fit_regularized(0.3, refit=False, reml=False)


def test_arrays_predict_without_a_formula(data):
    frame, z = data
    exog = np.column_stack([np.ones(len(frame)), z])
    model = CrossedMixedLM(frame["y"].to_numpy(), exog, {"g": frame["g"].to_numpy()})
    result = model.fit_regularized(0.3, refit=False)
    np.testing.assert_allclose(result.predict(exog[:4]), result.predict()[:4])
    best = model.fit_regularized("universal")
    assert list(best.params.index) == ["const", "x1", "x2", "x3"]


@pytest.mark.parametrize("cv", ["groups", "rows"])
@pytest.mark.parametrize("again", [True, False])
def test_cross_validation_is_that_by_hand(data, cv, again):
    frame, z = data
    model = crossedmixedlm(FORMULA, frame, penalized=z)
    options = {"cv": cv, "refit": again, "n_folds": 4, "n_alphas": 4, "eps": 0.5}
    result = model.fit_regularized("cv", rng=3, **options)
    table = result.selection.table
    assert result.selection.alpha == table["mse"].idxmin()
    codes = pd.factorize(frame["g"])[0] if cv == "groups" else np.arange(len(frame))
    count = codes.max() + 1
    fold = np.random.default_rng(3).permutation(np.arange(count) % 4)[codes]
    alpha, squares = table.index[2], 0.0
    for k in range(4):
        inside = fold != k
        part = crossedmixedlm(FORMULA, frame[inside], penalized=z[inside])
        fit = part.fit_regularized(alpha, refit=False)
        chosen = [int(name[10:-1]) for name in fit.chosen.index]
        if again:
            exog = np.column_stack([np.ones(len(frame)), frame["x"], z[:, chosen]])
            g = frame["g"].to_numpy()
            other = CrossedMixedLM(
                frame["y"].to_numpy()[inside], exog[inside], {"g": g[inside]}
            ).fit(reml=False)
            mean, modes = exog @ other.params, other.random_effects["g"]
        else:
            mean = np.column_stack([np.ones(len(frame)), frame["x"], z])
            mean, modes = mean @ fit.params.to_numpy(), fit.random_effects["g"]
        of_rows = modes.iloc[:, 0].reindex(frame["g"], fill_value=0.0).to_numpy()
        away = frame["y"] - mean - of_rows
        squares += (away[~inside] ** 2).sum()
    assert table["mse"][alpha] == pytest.approx(squares / len(frame), rel=1e-6)
    same = model.fit_regularized("cv", rng=3, **options)
    pd.testing.assert_frame_equal(same.selection.table, table)


def test_stability_selection(data):
    frame, z = data
    model = crossedmixedlm(FORMULA, frame, penalized=z)
    options = {"n_pairs": 6, "n_columns": 4, "threshold": 0.7}
    result = model.fit_regularized("stability", rng=1, **options)
    table = result.selection.table
    assert list(result.selection.chosen) == TRUE
    assert table["frequency"].is_monotonic_decreasing
    assert set(np.round(12 * table["frequency"], 9) % 1) == {0.0}
    assert table["frequency"].sum() <= 4
    assert table.attrs["expected_false"] == pytest.approx(16 / (0.4 * 100))
    assert "(stability)" in result.selection.note
    same = model.fit_regularized("stability", rng=1, **options)
    pd.testing.assert_frame_equal(same.selection.table, table)
    other = model.fit_regularized("stability", rng=2, groups=frame["g"], **options)
    assert not other.selection.table.equals(table)


def test_a_split_fits_the_other_groups(data):
    frame, z = data
    model = crossedmixedlm(FORMULA, frame, penalized=z)
    result = model.fit_regularized("ebic", selection="split", rng=5)
    assert set(TRUE) <= set(result.selection.chosen) | set(TRUE[2:])
    assert result.selection.apart == (10, 10)
    assert "are not affected" in " ".join(str(result.summary()).split())
    first = np.zeros(20, dtype=bool)
    first[np.random.default_rng(5).permutation(20)[:10]] = True
    codes, levels = pd.factorize(frame["g"], sort=True)
    kept = ~first[codes]
    assert list(result.model.random[0].levels) == list(levels[~first])
    part = crossedmixedlm(FORMULA, frame[~kept], penalized=z[~kept])
    assert list(part.fit_regularized().selection.chosen) == list(
        result.selection.chosen
    )
    columns = [int(name[10:-1]) for name in result.selection.chosen]
    exog = np.column_stack([np.ones(len(frame)), frame["x"], z[:, columns]])[kept]
    y, g = frame["y"].to_numpy()[kept], frame["g"].to_numpy()[kept]
    plain = CrossedMixedLM(y, exog, {"g": g}).fit()
    np.testing.assert_allclose(result.params, plain.params, rtol=1e-7)


def test_a_split_keeps_its_level():
    """Intervals after a choice among noise cover zero as often as they say."""
    rng, p_values = np.random.default_rng(4), []
    for _ in range(25):
        g = np.repeat(np.arange(16), 4)
        z, y = rng.normal(size=(64, 80)), rng.normal(size=64)
        y += rng.normal(size=16)[g]
        model = CrossedMixedLM(y, np.ones((64, 1)), {"g": g}, penalized=z)
        path = model.fit_regularized_path(n_alphas=1)
        for split in (None, "split"):
            fit = model.fit_regularized(0.8 * path.alpha_max, selection=split, rng=rng)
            p_values.append((split, np.asarray(fit.pvalues)[1:]))
    told = {
        split: np.concatenate([p for s, p in p_values if s == split])
        for split in (None, "split")
    }
    assert np.median(told[None]) < 0.02
    assert stats.kstest(told["split"], "uniform").pvalue > 0.001


def test_the_core_refits_columns_that_depend_on_each_other(data):
    frame, z = data
    z = z.astype(float)
    z[:, 4] = z[:, 0] + z[:, 1]
    model = crossedmixedlm(FORMULA, frame, penalized=z)
    penalized = PenalizedModel.of(model, Regularization())
    both = penalized.refitted(np.array([0, 1, 2, 4]))
    plain = penalized.refitted(np.array([0, 1, 2]))
    assert both[1] == pytest.approx(plain[1], abs=1e-8)
    assert both[0].coefficients[3] == 0.0
    np.testing.assert_allclose(both[0].modes[0], plain[0].modes[0], atol=1e-8)
    assert refit(penalized.problem, np.arange(98)) is None


WRONG = {
    "alpha must be positive": {"alpha": 0.0},
    "alpha is a number, one for each": {"alpha": "aicc"},
    "say which you mean": {"alpha": "cv"},
    'cv= is for alpha="cv"': {"cv": "rows"},
    "cv must be 'groups' or 'rows'": {"alpha": "cv", "cv": "both"},
    "n_folds must be between": {"alpha": "cv", "cv": "groups", "n_folds": 30},
    "selection must be None or": {"selection": "half"},
    "refit=True": {"alpha": "stability", "refit": False},
    "fit of the chosen columns": {"selection": "split", "refit": False},
    "method must be 'elastic_net', not 'sqrt_lasso'": {"method": "sqrt_lasso"},
    "the lasso is L1_wt=1": {"method": "l1"},
    "did you mean 'bic'": {"alpha": "BIC"},
    "alpha must be positive, not None": {"alpha": None},
    "L1_wt must be above 0": {"L1_wt": 0.0},
    "objective must be": {"objective": "plain"},
    "weights of the penalty of shape": {"alpha": [0.1, 0.2]},
    "must be 0 or positive": {"penalty_weights": [-1.0] * 100},
    "leave out penalty_weights": {"alpha": [0.1] * 100, "penalty_weights": [1] * 100},
    "is for objective=": {"alpha": "universal", "objective": "lmmlasso"},
    "threshold must be above 0.5": {"alpha": "stability", "threshold": 0.5},
    "n_pairs must be": {"alpha": "stability", "n_pairs": 0},
    "adaptive is a number": {"adaptive": -1},
    "max_columns must be": {"max_columns": 0},
    "eps must be": {"eps": 2.0},
    "n_alphas must be": {"n_alphas": 0},
}


@pytest.mark.parametrize("message", WRONG)
def test_arguments_without_meaning(model, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        model.fit_regularized(**WRONG[message])


@pytest.mark.parametrize("name", ["lambda_", "lam", "penalty", "l1_ratio", "alphas"])
def test_words_of_other_packages(model, name):
    with pytest.raises(TypeError, match=rf"no {name}=; .*(alphas?|L1_wt)="):
        model.fit_regularized(**{name: 0.5})


@pytest.mark.parametrize("name", ["lambda_", "penalty", "l1_ratio", "alpha"])
def test_words_of_other_packages_for_a_path(model, name):
    with pytest.raises(TypeError, match=rf"{name}= is .*(alphas?|L1_wt)="):
        model.fit_regularized_path(**{name: 0.5})


def test_any_number_of_workers_gives_the_same_numbers(data, monkeypatch):
    frame, z = data
    model = crossedmixedlm(FORMULA, frame, penalized=z)
    stable = {"alpha": "stability", "n_pairs": 3, "n_columns": 4}
    crossed = {"alpha": "cv", "cv": "groups", "n_alphas": 4, "eps": 0.5}
    for options in (stable, crossed):
        one = model.fit_regularized(rng=3, n_jobs=1, **options)
        with joblib.parallel_config(backend="threading"):
            two = model.fit_regularized(rng=3, n_jobs=2, **options)
        pd.testing.assert_frame_equal(one.selection.table, two.selection.table)

    def interrupted(task, pieces, *others):
        assert others == (2, False, "if it pays")
        return [pickle.loads(pickle.dumps(task))(p) for p in pieces[:2]], True

    two = model.fit_regularized(rng=3, n_jobs=1, **stable | {"n_pairs": 2})
    monkeypatch.setattr(stability_module, "run", interrupted)
    monkeypatch.setattr(folds_module, "run", interrupted)
    work = {"rng": 3, "n_jobs": 2, "progress": False}
    with pytest.warns(DataWarning, match="after 2 of 3 pairs"):
        found = model.fit_regularized(**work, **stable)
    pd.testing.assert_frame_equal(found.selection.table, two.selection.table)
    with pytest.raises(KeyboardInterrupt):
        model.fit_regularized(**work, **crossed)


def test_data_without_meaning(data):
    frame, z = data
    with pytest.raises(DataError, match="all penalized columns are constant"):
        crossedmixedlm(FORMULA, frame, penalized=0 * z).fit_regularized()
    model = crossedmixedlm(FORMULA, frame, penalized=z)
    with pytest.raises(DataError, match=r"fit_regularized\(\)"):
        model.fit()
    with pytest.raises(DataError, match=r"fit_regularized\(\)"):
        model.loglike([1.0])
    gaps = pd.DataFrame(z.astype(float)).add_prefix("s")
    gaps.loc[3, ["s4", "s7"]] = np.nan, np.inf
    with pytest.raises(DataError, match=r"2 penalized columns .*: s4, s7"):
        crossedmixedlm(FORMULA, frame, penalized=gaps).fit_regularized()
    with pytest.raises(DataError, match=r"shape \(99,\)"):
        crossedmixedlm(FORMULA, frame, penalized=z[1:])
    with pytest.raises(DataError, match=r"^penalized: the labels .* 90 of 100 rows"):
        crossedmixedlm(FORMULA, frame, penalized=pd.DataFrame(z[:10]))
    with pytest.raises(DataError, match=r"rows and columns, not of shape \(\)"):
        crossedmixedlm(FORMULA, frame, penalized="s3")
    with pytest.raises(DataError, match="not numbers: f"):
        crossedmixedlm(FORMULA, frame, penalized=frame[["x"]].assign(f="a"))
    twice = pd.DataFrame(z[:, :2], columns=["1", 1])
    with pytest.raises(DataError, match="several columns named 1"):
        crossedmixedlm(FORMULA, frame, penalized=twice)
    with pytest.raises(DataError, match="rows and columns"):
        crossedmixedlm(FORMULA, frame, penalized=z[:, 0])
    with pytest.raises(DataError, match="of type <U"):
        crossedmixedlm(FORMULA, frame, penalized=z.astype(str))
    with pytest.raises(DataError, match="masked"):
        crossedmixedlm(FORMULA, frame, penalized=np.ma.masked_equal(z, 0))
    with pytest.raises(DataError, match="no columns"):
        crossedmixedlm(FORMULA, frame, penalized=frame[[]])
    with pytest.raises(DataError, match="no columns to penalize"):
        crossedmixedlm("y ~ 1 + (1 | g)", frame).fit_regularized()
    with pytest.raises(DataError, match="x is penalized and has a random slope"):
        crossedmixedlm(
            "y ~ 1 + (x | g)", frame, penalized=frame[["x", "w"]]
        ).fit_regularized()
    with pytest.raises(ValueError, match="2 grouping factors"):
        crossedmixedlm(
            "y ~ 1 + (1 | g) + (1 | h)",
            frame.assign(h=np.arange(100) % 7),
            penalized=z,
        ).fit_regularized("stability")
    with pytest.raises(NotImplementedError, match="power_of_fitted"):
        crossedmixedlm(
            FORMULA, frame, penalized=z, power_of_fitted=True
        ).fit_regularized()
    with pytest.raises(TypeError, match="linear models"):
        crossedmixedglm("b ~ x + (1 | g)", frame.assign(b=frame["y"] > 3), penalized=z)
    with pytest.raises(TypeError, match="penalized= is for"):
        mixedlm("y ~ x", frame, groups="g", penalized=z)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_columns_of_other_tables_keep_their_names(data, model, library):
    table = pytest.importorskip(library)
    frame, z = data
    kept = frame.assign(y=frame["y"].where(np.arange(100) != 3))
    named = {f"s{j}": column for j, column in enumerate(z.T)}
    make = table.DataFrame if library == "polars" else table.table
    found = crossedmixedlm(FORMULA, kept, penalized=make(named), offset="o")
    found = found.fit_regularized(0.3)
    expected = crossedmixedlm(FORMULA, kept, penalized=z, offset="o")
    assert list(found.selection.chosen) == ["s0", "s1", "s2"]
    assert np.array_equal(found.params, expected.fit_regularized(0.3).params)


def test_scikit_learn_is_needed(model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r"statsmodels-lmm\[regularized\]"):
        model.fit_regularized(0.3)


def test_a_model_with_penalized_columns_is_updated_and_cloned(data):
    frame, z = data
    model = crossedmixedlm("y ~ 1 + (1 | g)", frame, penalized=z)
    wider = model.update(". ~ . + x", frame)
    expected = crossedmixedlm(FORMULA, frame, penalized=z)
    for other in (wider, pickle.loads(pickle.dumps(expected))):
        found = other.fit_regularized(0.3, refit=False)
        np.testing.assert_allclose(
            found.params, expected.fit_regularized(0.3, refit=False).params, rtol=1e-7
        )
    assert "100 columns" in repr(model.penalized)
    assert "penalized: 100 columns" in repr(model)


def test_a_pickle_has_the_note_and_not_the_columns(result):
    again = pickle.loads(pickle.dumps(result))
    assert again.selection.note == result.selection.note
    assert again.selection.path is None
    assert result.selection.path is not None
