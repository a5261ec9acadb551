"""Scans of models, against a fit of its own for every candidate."""

import numpy as np
import pandas as pd
import pytest
from scan_cases import dense_fit, family_kinship, genotypes, people
from statsmodels.stats.multitest import multipletests

from statsmodels_lmm import datasets
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm
from statsmodels_lmm.inference import parallel
from statsmodels_lmm.scan import predictors

DATA, KINSHIP = people(20)
COUNTS = genotypes(DATA, 24)
FORMULA = "trait ~ sex + (1 | id)"
RELATED = {"relationship": {"id": KINSHIP}}


def model_of(formula=FORMULA, data=DATA, **options):
    return crossedmixedlm(formula, data, **{**RELATED, **options})


def own_fit(candidate, formula=FORMULA, data=DATA, reml=True, **options):
    data = data.assign(candidate=np.asarray(candidate))
    left, right = formula.split("~")
    return crossedmixedlm(
        f"{left}~ candidate + {right}", data, **{**RELATED, **options}
    ).fit(reml=reml, tol=1e-14)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("reml", [True, False])
def test_exact_is_a_fit_of_its_own(reml, weights):
    model = model_of(weights=weights)
    table = model.scan_predictors(COUNTS, reml=reml, df_method="residual").table
    for name, row in table.iterrows():
        fit = own_fit(COUNTS[name], reml=reml, weights=weights)
        se = fit.bse["candidate"]
        assert abs(row["effect"] - fit.params["candidate"]) < 1e-8 * se
        assert np.isclose(row["se"], se, rtol=1e-8)
        assert np.isclose(row["ratio"], fit.theta.iloc[0] ** 2, rtol=1e-7, atol=1e-9)
        own = fit.with_df_method("residual")
        assert row["df"] == own.df_resid == len(DATA) - 3
        assert np.isclose(row["p"], own.pvalues["candidate"], rtol=1e-6)
        assert np.isclose(row["frequency"], COUNTS[name].mean() / 2.0)


def test_satterthwaite_and_asymptotic_tests_are_those_of_a_fit():
    model = model_of()
    small = model.scan_predictors(COUNTS, df_method="satterthwaite").table
    plain = model.scan_predictors(COUNTS).table
    for name in COUNTS.columns[:8]:
        fit = own_fit(COUNTS[name])
        assert np.isclose(plain.loc[name, "p"], fit.pvalues["candidate"], rtol=1e-6)
        assert np.isinf(plain.loc[name, "df"])
        own = fit.with_df_method("satterthwaite")
        df = own.df_resid_inference[fit.model.exog_names.index("candidate")]
        assert np.isclose(small.loc[name, "df"], df, rtol=1e-6)
        assert np.isclose(small.loc[name, "p"], own.pvalues["candidate"], rtol=1e-6)


def test_likelihood_ratio_tests_are_those_of_two_fits():
    table = model_of().scan_predictors(COUNTS, test="lr").table
    null = model_of().fit(reml=False, tol=1e-14)
    for name in COUNTS.columns[:6]:
        test = own_fit(COUNTS[name], reml=False).compare_lr_test(null)
        assert np.isclose(table.loc[name, "statistic"], test.statistic, atol=1e-8)
        assert np.isclose(table.loc[name, "p"], test.pvalue, rtol=1e-6)


def test_held_and_score_tests_are_those_of_known_variances():
    model = model_of()
    held = model.scan_predictors(COUNTS, "held").table
    score = model.scan_predictors(COUNTS, "held", test="score").table
    ratio = model.fit(tol=1e-14).theta.iloc[0] ** 2
    assert np.allclose(held["ratio"], ratio, rtol=1e-8)
    k = KINSHIP.loc[DATA["id"], DATA["id"]].to_numpy()
    v, y = np.eye(len(k)) + ratio * k, DATA["trait"].to_numpy()
    x = np.column_stack([np.ones(len(y)), DATA["sex"]])
    _, _, before, _ = dense_fit(y, x, v, True)
    for name, row in held.iterrows():
        own = np.column_stack([x, COUNTS[name]])
        beta, covariance, after, _ = dense_fit(y, own, v, True)
        assert np.isclose(row["effect"], beta[-1], rtol=1e-8)
        assert np.isclose(row["se"], np.sqrt(covariance[-1, -1]), rtol=1e-8)
        expected = (before - after) / (before / (len(y) - 2))
        assert np.isclose(score.loc[name, "statistic"], expected, rtol=1e-7)


@pytest.mark.parametrize("method", ["exact", "held"])
def test_sets_are_joint_tests(method):
    sets = {
        "one": ["snp001"],
        "three": ["snp002", "snp003", "snp004"],
        "twice": ["snp005", "snp005", "copy"],
    }
    counts = COUNTS.assign(copy=COUNTS["snp005"])
    model = model_of()
    options = {"sets": sets, "df_method": "residual"}
    table = model.scan_predictors(counts, method, **options).table
    assert table["n_columns"].tolist() == [1, 3, 1]
    alone = model.scan_predictors(COUNTS, method, df_method="residual").table
    assert np.isclose(table.loc["one", "p"], alone.loc["snp001", "p"], rtol=1e-8)
    assert np.isclose(
        table.loc["one", "statistic"], alone.loc["snp001", "statistic"] ** 2
    )
    if method == "exact":
        data = DATA.join(COUNTS.astype(float))
        fixed = "trait ~ sex + snp002 + snp003 + snp004 + (1 | id)"
        fit = crossedmixedlm(fixed, data, **RELATED).fit(tol=1e-14)
        test = fit.f_test("snp002 = snp003 = snp004 = 0")
        assert np.isclose(table.loc["three", "statistic"], test.statistic, rtol=1e-6)
        assert np.isclose(table.loc["three", "p"], test.pvalue, rtol=1e-6)
        assert table.loc["three", "df"] == fit.df_resid
        full = crossedmixedlm(fixed, data, **RELATED).fit(reml=False, tol=1e-14)
        lr = model.scan_predictors(counts, sets=sets, test="lr").table
        own = full.compare_lr_test(model.fit(reml=False, tol=1e-14))
        assert np.isclose(lr.loc["three", "statistic"], own.statistic, atol=1e-7)
        assert np.isclose(lr.loc["three", "p"], own.pvalue, rtol=1e-6)


@pytest.mark.parametrize(
    "formula", ["trait ~ sex + (sex | g)", "trait ~ (1|g) + (1|h)"]
)
def test_other_models(formula):
    rng = np.random.default_rng(3)
    data = DATA.assign(g=np.arange(120) // 8, h=rng.integers(6, size=120))
    data["trait"] += rng.normal(size=15)[data["g"]] + rng.normal(size=6)[data["h"]]
    model = crossedmixedlm(formula, data)
    exact = model.scan_predictors(COUNTS, df_method="residual").table
    held = model.scan_predictors(COUNTS, "held").table
    assert "ratio" not in exact
    for name in COUNTS.columns[:5]:
        fit = own_fit(COUNTS[name], formula, data, relationship=None)
        se = fit.bse["candidate"]
        row = exact.loc[name]
        assert abs(row["effect"] - fit.params["candidate"]) < 1e-7 * se
        assert np.isclose(row["se"], se, rtol=1e-7)
        assert row["df"] == fit.df_resid
        assert abs(held.loc[name, "effect"] - row["effect"]) < 0.2 * se
    holes = COUNTS.astype(float).iloc[:, :5]
    holes.iloc[2, 0] = np.nan
    small = model.scan_predictors(holes, df_method="satterthwaite", missing="drop")
    for name in holes:
        kept = holes[name].notna()
        fit = own_fit(holes[name][kept], formula, data[kept], relationship=None)
        own = fit.with_df_method("satterthwaite")
        df = own.df_resid_inference[fit.model.exog_names.index("candidate")]
        assert np.isclose(small.table.loc[name, "df"], df, rtol=1e-6)
        p = small.table.loc[name, "p"]
        assert np.isclose(p, own.pvalues["candidate"], rtol=1e-6)


def test_repeated_measures_by_person():
    data = pd.concat([DATA, DATA.assign(trait=DATA["trait"] ** 2 / 3.0)])
    data = data.reset_index(drop=True)
    model = model_of(data=data)
    table = model.scan_predictors(COUNTS.set_axis(DATA["id"]), by="id").table
    whole = pd.concat([COUNTS, COUNTS], ignore_index=True)
    for name in COUNTS.columns[:4]:
        fit = own_fit(whole[name], data=data)
        se = fit.bse["candidate"]
        assert abs(table.loc[name, "effect"] - fit.params["candidate"]) < 1e-8 * se
        assert np.isclose(table.loc[name, "se"], se, rtol=1e-8)


def test_missing_values_are_the_mean_or_left_out():
    counts = COUNTS.astype(float)
    counts.iloc[[3, 9, 30], 1] = np.nan
    counts.iloc[5, 2] = np.nan
    model = model_of()
    mean = model.scan_predictors(counts).table
    drop = model.scan_predictors(counts, missing="drop").table
    assert (
        mean["n_missing"].tolist()[:4] == drop["n_missing"].tolist()[:4] == [0, 3, 1, 0]
    )
    assert np.isclose(mean.loc["snp001", "mean"], counts["snp001"].mean())
    for name in ("snp001", "snp002"):
        known = counts[name].notna()
        fit = own_fit(counts.loc[known, name], data=DATA[known])
        se = fit.bse["candidate"]
        assert abs(drop.loc[name, "effect"] - fit.params["candidate"]) < 1e-8 * se
        assert np.isclose(drop.loc[name, "se"], se, rtol=1e-8)
        fit = own_fit(counts[name].fillna(counts[name].mean()))
        assert abs(mean.loc[name, "effect"] - fit.params["candidate"]) < 1e-8 * se
    assert np.allclose(
        mean["p"].drop(["snp001", "snp002"]), drop["p"].drop(["snp001", "snp002"])
    )
    lr = model.scan_predictors(counts, missing="drop", test="lr").table
    known = counts["snp001"].notna()
    full = own_fit(counts.loc[known, "snp001"], data=DATA[known], reml=False)
    null = model_of(data=DATA[known]).fit(reml=False, tol=1e-14)
    expected = full.compare_lr_test(null).statistic
    assert np.isclose(lr.loc["snp001", "statistic"], expected, atol=1e-7)


def test_missing_values_in_sets():
    counts = COUNTS.astype(float)
    counts.iloc[[3, 9], 1] = np.nan
    counts.iloc[[9, 20], 2] = np.nan
    sets = {"a": ["snp001", "snp002"]}
    table = model_of().scan_predictors(counts, missing="drop", sets=sets).table
    assert table.loc["a", "n_missing"] == 3
    known = counts[sets["a"]].notna().all(axis=1)
    data = DATA.join(counts)[known]
    fit = crossedmixedlm("trait ~ sex + snp001 + snp002 + (1 | id)", data, **RELATED)
    test = fit.fit(tol=1e-14).wald_test("snp001 = snp002 = 0", scalar=True)
    assert np.isclose(table.loc["a", "p"], test.pvalue, rtol=1e-6)


def test_a_column_that_is_constant_on_the_rows_of_its_set_does_not_count():
    counts = COUNTS.astype(float).assign(flat=1.0)
    counts.loc["row7", "flat"] = 2.0
    counts.loc["row7", "snp001"] = np.nan
    sets = {"a": ["snp001", "flat"]}
    table = model_of().scan_predictors(counts, missing="drop", sets=sets).table
    alone = (
        model_of().scan_predictors(counts, missing="drop", sets={"b": ["snp001"]}).table
    )
    assert table.loc["a", "n_columns"] == 1
    assert np.isclose(table.loc["a", "p"], alone.loc["b", "p"], rtol=1e-9)


def test_without_a_constant_candidates_are_not_centered():
    model = model_of("trait ~ 0 + sex + (1 | id)")
    shifted = COUNTS.astype(float) + 1.0
    shifted.iloc[4, 0] = np.nan
    for missing in ("mean", "drop"):
        table = model.scan_predictors(shifted, missing=missing).table
        fit = own_fit(shifted["snp003"], "trait ~ 0 + sex + (1 | id)")
        se = fit.bse["candidate"]
        assert abs(table.loc["snp003", "effect"] - fit.params["candidate"]) < 1e-8 * se
    filled = shifted["snp000"].fillna(shifted["snp000"].mean())
    fit = own_fit(filled, "trait ~ 0 + sex + (1 | id)")
    table = model.scan_predictors(shifted).table
    assert np.isclose(table.loc["snp000", "effect"], fit.params["candidate"], rtol=1e-8)


def test_the_ratio_is_in_units_of_the_relationship():
    scaled = model_of(relationship={"id": 4.0 * KINSHIP}).scan_predictors(COUNTS)
    plain = model_of().scan_predictors(COUNTS)
    assert np.allclose(4.0 * scaled.table["ratio"], plain.table["ratio"], rtol=1e-7)
    assert np.allclose(scaled.table["p"], plain.table["p"], rtol=1e-8)


def test_extreme_units_of_a_candidate():
    scale = np.array([1e-200, 1.0, 1e200])
    values = COUNTS["snp003"].to_numpy()[:, None] * scale
    table = model_of().scan_predictors(values).table
    assert np.allclose(table["effect"] * scale, table["effect"].iloc[1], rtol=1e-10)
    assert np.allclose(table["p"], table["p"].iloc[1], rtol=1e-10)
    shifted = model_of().scan_predictors(1e8 + values[:, [1]]).table
    assert np.isclose(shifted["p"].iloc[0], table["p"].iloc[1], rtol=1e-6)


def test_what_has_no_estimate_says_why():
    counts = pd.DataFrame(
        {
            "plain": COUNTS["snp000"].astype(float),
            "constant": 0.1,
            "sex": DATA["sex"] * 3.0 - 1.0,
            "trait": DATA["trait"],
            "unknown": np.nan,
            "nearly": np.where(np.arange(120) < 118, np.nan, 1.0),
        }
    )
    for method in ("exact", "held"):
        table = model_of().scan_predictors(counts, method).table
        assert table["reason"].tolist() == [
            "",
            "the candidate is constant",
            "the fixed effects determine the candidate",
            "the candidate and the fixed effects reproduce the response",
            "all values are missing",
            "the candidate is constant",
        ]
        values = table.iloc[1:][["effect", "se", "df", "statistic", "p", "ratio"]]
        assert values.isna().all().all()
    dropped = model_of().scan_predictors(counts, missing="drop").table
    assert dropped["reason"].tolist()[-2:] == [
        "all values are missing",
        "too few rows are left",
    ]
    assert np.isnan(table.loc["unknown", "mean"])
    sets = {"a": ["constant"], "b": ["sex", "constant"], "c": ["plain", "sex"]}
    table = model_of().scan_predictors(counts, sets=sets).table
    assert table["n_columns"].tolist() == [0, 0, 1]
    assert table["reason"].tolist()[1:] == [
        "the fixed effects determine the candidate",
        "",
    ]


def test_a_relationship_for_every_chromosome():
    position = pd.DataFrame(
        {"chromosome": ["2"] * 10 + ["1"] * 14, "position": range(24)}, COUNTS.columns
    )
    other = 0.6 * KINSHIP + 0.4 * np.eye(len(KINSHIP))
    # rows in another order
    loco = {"1": other.sample(frac=1.0, random_state=0), "2": KINSHIP}
    scan = model_of().scan_predictors(COUNTS, positions=position, loco=loco)
    whole = model_of().scan_predictors(COUNTS).table
    changed = model_of(relationship={"id": other}).scan_predictors(COUNTS).table
    assert list(scan.table.index) == list(COUNTS.columns)
    assert np.allclose(scan.table["p"].iloc[:10], whole["p"].iloc[:10], rtol=1e-9)
    assert np.allclose(scan.table["p"].iloc[10:], changed["p"].iloc[10:], rtol=1e-8)
    sets = {"a": ["snp000", "snp001"], "b": ["snp020", "snp021"]}
    table = (
        model_of()
        .scan_predictors(COUNTS, positions=position, loco=loco, sets=sets)
        .table
    )
    expected = model_of(relationship={"id": other})
    expected = expected.scan_predictors(COUNTS, sets=sets).table
    assert np.isclose(table.loc["b", "p"], expected.loc["b", "p"], rtol=1e-8)
    assert "chromosome" not in table

    def refused(match, **options):
        given = {"positions": position, "loco": loco, **options}
        with pytest.raises((DataError, TypeError), match=match):
            model_of().scan_predictors(COUNTS, **given)

    refused("give positions=", positions=None)
    refused("chromosome '1'; its keys begin with '2'$", loco={"2": KINSHIP})
    refused("chromosome '1', '2'; its keys begin with 1$", loco={1: KINSHIP})
    refused("no relationship for chromosome '1', '2'$", loco={})
    refused("must be a dict", loco=[KINSHIP])
    refused("chromosomes 2, 1", sets={"a": ["snp000", "snp020"]})
    refused("no row for 1 levels", loco={**loco, "1": other.iloc[1:, 1:]})
    two = crossedmixedlm("trait ~ (1 | id) + (1 | sex)", DATA, check_levels=False)
    with pytest.raises(DataError, match="2 factors"):
        two.scan_predictors(COUNTS, positions=position, loco=loco)


def test_p_values_are_adjusted_on_request():
    counts = COUNTS.assign(flat=1)
    table = model_of().scan_predictors(counts, adjust="fdr_bh").table
    expected = multipletests(table["p"].dropna(), method="fdr_bh")[1]
    assert np.allclose(table["p_adjusted"].dropna(), expected)
    assert np.isnan(table.loc["flat", "p_adjusted"])


def test_blocks_and_threads_change_no_bit(monkeypatch):
    pytest.importorskip("joblib")
    monkeypatch.setattr(predictors, "BLOCK", 5)
    alone = model_of().scan_predictors(COUNTS, n_jobs=1).table
    threads = model_of().scan_predictors(COUNTS, n_jobs=2).table
    pd.testing.assert_frame_equal(alone, threads, check_exact=True)
    monkeypatch.setattr(predictors, "BLOCK", 500)
    whole = model_of().scan_predictors(COUNTS).table
    assert np.allclose(alone["p"], whole["p"], rtol=1e-9)


def test_an_interrupted_scan_returns_what_is_done(monkeypatch):
    monkeypatch.setattr(predictors, "BLOCK", 5)
    calls = []

    class Stopped(parallel._OneThread):
        def __call__(self, piece):
            calls.append(piece)
            if len(calls) > 2:
                raise KeyboardInterrupt
            return super().__call__(piece)

    monkeypatch.setattr(parallel, "_OneThread", Stopped)
    scan = model_of().scan_predictors(COUNTS, n_jobs=1)
    assert scan.interrupted
    assert list(scan.table.index) == list(COUNTS.columns[:10])
    assert "10 of 24 candidates, interrupted" in repr(scan)


@pytest.mark.parametrize("wanted", [[["snp000"]], 3, None])
def test_a_set_is_a_list_of_names(wanted):
    with pytest.raises(TypeError, match="the set s must be a list of names"):
        model_of().scan_predictors(COUNTS, sets={"s": wanted})


def test_an_interrupt_between_chromosomes_keeps_those_before(monkeypatch):
    made = predictors.standard_model
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return made(*arguments)

    monkeypatch.setattr(predictors, "standard_model", interrupted)
    where = pd.DataFrame({"chromosome": [1, 2] * 12, "position": 0}, COUNTS.columns)
    scan = model_of().scan_predictors(
        COUNTS, positions=where, loco={1: KINSHIP, 2: KINSHIP}, adjust="BH"
    )
    assert scan.interrupted
    assert (scan.table["chromosome"] == 1).all()
    assert (scan.table["p_adjusted"] >= scan.table["p"]).all()


def test_a_candidate_without_values_says_so():
    empty = COUNTS.astype(float).assign(snp002=np.nan)
    for missing in ("mean", "drop"):
        table = model_of().scan_predictors(empty, missing=missing).table
        assert table.loc["snp002", "reason"] == "all values are missing"
        assert np.isnan(table.loc["snp002", "p"])


def test_names_of_sets_are_checked():
    def refused(match, sets):
        with pytest.raises((DataError, TypeError), match=match):
            model_of().scan_predictors(COUNTS, sets=sets)

    refused("set a has names that are no candidates: nothing", {"a": ["nothing"]})
    refused("set a is empty", {"a": []})
    refused("must be a dict", [["snp000"]])


def test_models_that_cannot_be_scanned_are_told_why():
    cbpp = datasets.cbpp.load_pandas().data
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    generalized = crossedmixedglm(formula, cbpp, family="binomial")
    with pytest.raises(NotImplementedError, match="linear mixed models"):
        generalized.scan_predictors(np.ones((len(cbpp), 1)))
    errors = crossedmixedlm(
        "trait ~ (1 | g)", DATA.assign(g=np.arange(120) // 10), dispersion="~ sex"
    )
    with pytest.raises(NotImplementedError, match=r"one by one with update\(\)"):
        errors.scan_predictors(COUNTS)
    with pytest.raises(DataError, match="no candidates"):
        model_of().scan_predictors(COUNTS.iloc[:, :0])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("K", r"relationship=\{'id': K\}"),
        ("kinship", r"relationship=\{'id': K\}"),
        ("covariates", "fixed effects in the formula"),
        ("cores", "spelled n_jobs="),
        ("engine", "scans are exact"),
    ],
)
def test_arguments_of_other_packages(name, told):
    with pytest.raises(TypeError, match=f"^{name}= .*{told}"):
        model_of().scan_predictors(COUNTS, **{name: 1})


def test_a_model_of_mixedlm():
    data = DATA.assign(g=np.arange(120) // 6)
    scan = mixedlm("trait ~ sex", data, groups="g").scan_predictors(COUNTS)
    expected = crossedmixedlm("trait ~ sex + (1 | g)", data).scan_predictors(COUNTS)
    assert np.allclose(scan.table["p"], expected.table["p"], rtol=1e-9)


@pytest.mark.slow
def test_inflation_is_near_one_without_effects_and_with_relatives():
    rng = np.random.default_rng(5)
    k = family_kinship(60)
    root, n = np.linalg.cholesky(k), len(k)
    labels = [f"p{i}" for i in range(n)]
    data = pd.DataFrame({"id": labels})
    data["trait"] = 1.5 * root @ rng.normal(size=n) + rng.normal(size=n)
    # alleles are inherited, so that relatives share them
    alike = root @ rng.normal(size=(n, 4000))
    kinship = pd.DataFrame(k, labels, labels)
    related = crossedmixedlm("trait ~ (1 | id)", data, relationship={"id": kinship})
    scan = related.scan_predictors(alike, df_method="residual")
    assert abs(scan.inflation - 1.0) < 0.1
    p = scan.table["p"]
    for level in (0.05, 0.01):
        assert abs((p < level).mean() - level) < 4.0 * np.sqrt(level / 4000)
    strangers = np.corrcoef(np.column_stack([data["trait"], alike]).T)[0, 1:]
    assert np.median(n * strangers**2) / 0.4549 > 1.2


def test_people_are_found_by_their_names():
    """Rows that are only numbered are not matched by position with named ones."""
    rows = model_of(data=DATA.reset_index(drop=True))
    named = COUNTS.set_axis(DATA["id"])
    table = rows.scan_predictors(named).table
    other = rows.scan_predictors(named.sample(frac=1.0, random_state=1)).table
    pd.testing.assert_frame_equal(table, other)
    numbered = KINSHIP.set_axis(range(1000, 1000 + len(DATA)))
    numbered.columns = numbered.index
    plain = DATA.assign(id=numbered.index).reset_index(drop=True)
    rows = model_of(data=plain, relationship={"id": numbered})
    other = rows.scan_predictors(COUNTS.set_axis(numbered.index)[::-1]).table
    pd.testing.assert_frame_equal(table, other, rtol=1e-6)


def test_without_residual_variance_the_ratio_is_infinite():
    rng = np.random.default_rng(8)
    labels = DATA["id"]
    covariance = KINSHIP.loc[labels, labels].to_numpy()
    trait = np.linalg.cholesky(covariance) @ rng.normal(size=len(DATA))
    table = model_of(data=DATA.assign(trait=trait)).scan_predictors(COUNTS).table
    x = np.column_stack([np.ones(len(DATA)), DATA["sex"]])
    infinite = table.index[np.isinf(table["ratio"])]
    assert len(infinite)
    for name in infinite:
        columns = np.column_stack([x, COUNTS[name]])
        coefficients, errors, _, _ = dense_fit(trait, columns, covariance, True)
        se = np.sqrt(errors[2, 2])
        assert abs(table.loc[name, "effect"] - coefficients[2]) < 1e-8 * se
        assert np.isclose(table.loc[name, "se"], se, rtol=1e-7)
