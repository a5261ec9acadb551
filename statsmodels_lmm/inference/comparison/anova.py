"""Tables of tests with one row per term."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr

from statsmodels_lmm.core.rows.spans import spans
from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.formula.pieces import term_key
from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.random_terms import term_names
from statsmodels_lmm.inference.comparison.likelihood_ratio import (
    Comparison,
    by_ml,
    compare,
    compare_models,
    of_the_model,
)
from statsmodels_lmm.inference.comparison.reduced_models import (
    drop_fixed,
    drop_random,
    with_fixed,
    with_random,
    without_effect,
)
from statsmodels_lmm.inference.fixed.degrees_of_freedom import (
    DF_METHODS,
    df_method_of,
    inference,
)
from statsmodels_lmm.inference.fixed.terms import fixed_terms, has_formula, hypotheses
from statsmodels_lmm.inference.replicates.simulation import fit_like
from statsmodels_lmm.inference.requirements import as_fit, require_sums
from statsmodels_lmm.keywords import refuse_r_names

FIXED_METHODS = ("wald", "lrt", "bootstrap", *DF_METHODS)
RANDOM_METHODS = ("lrt", "exact", "bootstrap")


@refuse_r_names("ddf", "test")
def anova(
    results: Any,
    *others: Any,
    type: Any = None,
    df_method: str | None = None,
    **options: Any,
) -> ResultTable:
    """
    Analysis of variance of one model, or likelihood-ratio tests of several.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    *others : CrossedMixedLMResults, optional
        Fits of nested models to compare with it; see `compare_models`.
    type : {1, 2, 3, "I", "II", "III"}, optional
        Type of hypotheses about the terms of one model; see `hypotheses`. Default
        is 3.
    df_method : str, optional
        "satterthwaite", "kenward-roger", "residual" or "asymptotic". Default is that
        of the fit; if none was chosen, "satterthwaite", as in lmerTest, and for a
        generalized model "asymptotic".
    **options
        For several fits method, nsim, rng, n_jobs and progress.

    Returns
    -------
    DataFrame
        For one fit, one row per term of the fixed effects, as in lmerTest's ``anova``:
        sum_sq; mean_sq, the residual variance times the F before Kenward and Roger's
        scaling; df, df_denom, F and PR(>F). NaN for a term about which nothing can be
        estimated. For a generalized model, the Wald tests of `fixed_effect_tests`.

    Warns
    -----
    DataWarning
        If a term has infinite coefficients. The finite combinations of these are
        tested, which do not depend on the coding; df counts them.
    """
    if others:
        if type is not None or df_method is not None:
            raise TypeError("type and df_method apply to the table of one model only")
        return compare_models(results, *others, **options)
    if options:
        raise TypeError(f"unknown argument {', '.join(sorted(options))}")
    type = 3 if type is None else type
    results, df_method = as_fit(results), df_method_of(df_method)
    if not results._is_gaussian:
        return fixed_effect_tests(results, df_method, type)
    df_method = df_method or results._chosen_df_method or "satterthwaite"
    tests = _f_tests(results, type, df_method)
    rows = {}
    for name, test in tests.items():
        mean_square = test.unscaled * results.scale
        rows[name] = (
            mean_square * test.df_num if test.df_num else np.nan,
            mean_square,
            test.df_num,
            test.df_denom,
            test.statistic,
            test.pvalue,
        )
    columns = ["sum_sq", "mean_sq", "df", "df_denom", "F", "PR(>F)"]
    return ResultTable.from_dict(rows, orient="index", columns=columns)


def _f_tests(results, type, df_method):
    fixed, every = inference(results, df_method), hypotheses(results, type)
    tests = {name: fixed.f_test(rows) for name, rows in every.items()}
    if results.unbounded.sentences:
        lost = [name for name, test in tests.items() if test.df_num < len(every[name])]
        if lost:
            warn(
                f"Wald tests leave out what is infinite of {', '.join(lost)}: "
                f"{'; '.join(results.unbounded.sentences)}. Likelihood-ratio tests, "
                "fixed_effect_tests('lrt') or drop1(), do not",
                DataWarning,
            )
    return tests


def fixed_effect_tests(
    results: Any,
    method: str | None = None,
    type: int | str = 3,
    nsim: int = 1000,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> ResultTable:
    """
    Test each term of the fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    method : str, optional
        "wald" for chi-squared tests; "residual", "satterthwaite" or "kenward-roger"
        for F tests with these degrees of freedom; "lrt" for likelihood-ratio tests
        after refits by ML; or "bootstrap" for the same with p = (k + 1) / (nsim + 1),
        where k of nsim statistics under the restricted model are as large. Default is
        the `df_method` of the fit.
    type : {1, 2, 3, "I", "II", "III"}, optional
        Type of hypotheses; see `hypotheses`. Type 3 tests every term in the presence
        of all others.
    nsim, rng, n_jobs, progress : optional
        For "bootstrap", which uses the same random numbers for every term.

    Returns
    -------
    DataFrame
        One row per term, with columns statistic, df, df_denom for F tests, and
        pvalue.
    """
    results = as_fit(results)
    method = results.df_method if method is None else method
    if method not in FIXED_METHODS:
        raise ValueError(
            f"method must be one of {', '.join(FIXED_METHODS)}, not {method!r}"
        )
    if method not in ("lrt", "bootstrap"):
        asymptotic = method in ("wald", "asymptotic")
        tests = _f_tests(results, type, "asymptotic" if asymptotic else method)
        rows = {
            n: (t.statistic * (t.df_num if asymptotic else 1), *_rest(t, asymptotic))
            for n, t in tests.items()
        }
        columns = ["statistic", "df", "df_denom", "pvalue"]
        if asymptotic:
            columns.remove("df_denom")
        return ResultTable.from_dict(rows, orient="index", columns=columns)
    full = by_ml(results)
    entropy = np.random.default_rng(rng).integers(2**63)
    rows = {}
    for name, hypothesis in hypotheses(full, type).items():
        if not len(hypothesis):
            rows[name] = (np.nan, 0, np.nan)
            continue
        pair = Comparison(full, _constrained(full, hypothesis))
        how = "chi2" if method == "lrt" else "bootstrap"
        test = pair.test(how, nsim, int(entropy), n_jobs, progress)
        rows[name] = test.statistic, test.df_diff, test.pvalue
    columns = ["statistic", "df", "pvalue"]
    return ResultTable.from_dict(rows, orient="index", columns=columns)


def _rest(test, asymptotic):
    """Degrees of freedom and p-value for a row."""
    if asymptotic:
        return test.df_num, test.pvalue
    return test.df_num, test.df_denom, test.pvalue


def _constrained(results, hypothesis):
    """
    The ML fit under L beta = 0.

    The hypothesis determines some coefficients from the others. These keep their names
    and, if no determined one depends on them, their columns.
    """
    kept = np.flatnonzero(np.isfinite(results.params))
    x = results.model.exog[:, kept]
    size = np.sqrt((x**2).mean(axis=0))
    triangle, order = qr(hypothesis[:, kept] / size, mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    rank = int((diagonal > 1e-10 * diagonal.max(initial=0.0)).sum())
    left = np.sort(order[rank:])
    triangle = triangle[:rank, np.argsort(order)]
    share = np.linalg.solve(triangle[:, order[:rank]], triangle[:, left])
    share[np.abs(share) <= 1e-12] = 0.0
    basis = x[:, left] - x[:, order[:rank]] / size[order[:rank]] @ (share * size[left])
    names = [
        results.model.exog_names[j] + (" under the hypothesis" if moves.any() else "")
        for j, moves in zip(kept[left], share.T)
    ]
    exog = pd.DataFrame(basis, columns=names)
    return fit_like(results, with_fixed(results, exog))._results


@refuse_r_names("test")
def drop1(
    results: Any,
    method: str = "lrt",
    nsim: int = 1000,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> ResultTable:
    """
    Drop, one at a time, each term of the fixed effects that no other contains.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit. REML fits are refitted by ML.
    method : {"lrt", "bootstrap"}, optional
        Source of the p-values; see `fixed_effect_tests`.
    nsim, rng, n_jobs, progress : optional
        For "bootstrap".

    Returns
    -------
    DataFrame
        A row for the whole model, "<none>", and one per term, with columns n_params
        and aic without the term, statistic, df and pvalue, as in lme4's
        ``drop1(m, test = "Chisq")``.
    """
    results = as_fit(results)
    if method not in ("lrt", "bootstrap"):
        raise ValueError(f"method must be 'lrt' or 'bootstrap', not {method!r}")
    require_sums(results.model, "a fit")
    full = by_ml(of_the_model(results))
    terms = fixed_terms(full)
    entropy = np.random.default_rng(rng).integers(2**63)
    rows = {"<none>": (full.n_params, full.aic, np.nan, np.nan, np.nan)}
    for term in terms:
        contained = any(term.factors < other.factors for other in terms)
        if term.is_constant or contained:
            continue
        try:
            restricted = drop_fixed(full, term.name)._results
        except DataError:  # redundant: the other terms span the same space
            rows[term.name] = full.n_params, full.aic, np.nan, 0, np.nan
            continue
        how = "chi2" if method == "lrt" else "bootstrap"
        test = compare(full, restricted, how, nsim, int(entropy), n_jobs, progress)
        rows[term.name] = (
            restricted.n_params,
            restricted.aic,
            test.statistic,
            test.df_diff,
            test.pvalue,
        )
    columns = ["n_params", "aic", "statistic", "df", "pvalue"]
    return ResultTable.from_dict(rows, orient="index", columns=columns)


def random_effect_tests(
    results: Any,
    method: str = "lrt",
    reduce_terms: bool = True,
    nsim: int | None = None,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> ResultTable:
    """
    Test each random-effects term, as in lmerTest's ``ranova``.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit. REML fits are compared by restricted likelihood.
    method : {"lrt", "exact", "bootstrap"}, optional
        Chi-squared and mixture p-values; the exact test of a single variance, NaN
        for other terms; or responses drawn from the restricted model.
    reduce_terms : bool, optional
        Whether to drop only the effect of x from ``(x | g)`` rather than the term,
        and only that of x:z from ``(x * z | g)``. ``(0 + f | g)`` with a factor f is
        reduced to the intercept ``(1 | g)``.
    nsim : int, optional
        Number of draws. Default is 10,000 for "exact" and 1,000 for "bootstrap".
    rng, n_jobs, progress : optional
        For "exact" and "bootstrap", which use the same random numbers for every term.

    Returns
    -------
    DataFrame
        A row for the whole model, "<none>", and one per reduction, with columns
        n_params, llf and aic of the remaining model; statistic, df, pvalue, and
        pvalue_mixture, which allows for variances on the boundary.
    """
    results = as_fit(results)
    if method not in RANDOM_METHODS:
        raise ValueError(
            f"method must be one of {', '.join(RANDOM_METHODS)}, not {method!r}"
        )
    how = "chi2" if method == "lrt" else method
    entropy = int(np.random.default_rng(rng).integers(2**63))
    rows = {"<none>": (results.n_params, results.llf, results.aic) + (np.nan,) * 4}
    for name, restricted in _reductions(results, reduce_terms):
        pair = Comparison(results, None if restricted is None else as_fit(restricted))
        try:
            test = pair.test(how, nsim, entropy, n_jobs, progress)
            pvalue = test.pvalue
        except DataError:
            if method != "exact":
                raise
            test, pvalue = pair.test(), np.nan
        count = results.n_params - test.df_diff
        llf = results.llf - 0.5 * test.statistic
        aic = -2.0 * llf + 2.0 * count
        row = count, llf, aic, test.statistic, test.df_diff, pvalue, test.pvalue_mixture
        rows[name] = row
    columns = ["n_params", "llf", "aic", "statistic", "df", "pvalue", "pvalue_mixture"]
    return ResultTable.from_dict(rows, orient="index", columns=columns)


ranova = random_effect_tests
"""lmerTest's name for it."""


def _reductions(results, reduce_terms):
    """Name of each reduction, and the remaining fit, None if nothing remains."""
    model = results.model
    if not has_formula(model):
        for effects in model.random:
            alone = len(model.random) == 1 and model.residual is None
            yield effects.name, None if alone else drop_random(results, effects.name)
        return
    terms = model._parsed.random
    for i, term in enumerate(terms):
        names = _droppable(term)
        if term.hom or term.structure not in ("us", "diag", "cs"):
            names = []  # without one effect it would be a different structure
        if not names or not reduce_terms:
            yield str(term), _fit_of(results, [*terms[:i], *terms[i + 1 :]])
            continue
        for name in names:
            reduced = without_effect(term, name)
            left = [] if reduced is None else [reduced]
            alone = reduced is None and not _has_intercept(term.grouping, terms)
            if alone and _spans_constant(model, term):
                # without an intercept the indicators of a factor contain one
                left = [replace(term, effects="1", effect_terms=frozenset(["1"]))]
            others = [*terms[:i], *left, *terms[i + 1 :]]
            yield in_backticks(f"{name} in {term}"), _fit_of(results, others)


def _droppable(term):
    """Effects of a random-effects term that no other contains, in R's drop.scope."""
    names = [n for n in term_names(term.effects) if n != "1"]
    keys = [term_key(n) for n in names]
    return [n for n, key in zip(names, keys) if not any(key < other for other in keys)]


def _has_intercept(grouping, terms):
    """Whether a grouping factor has a random intercept."""
    return any(
        "1" in t.effect_terms and set(t.grouping) == set(grouping) for t in terms
    )


def _spans_constant(model, term):
    """Whether the effect columns of a term span a constant."""
    for effects in model.random:
        for each, part in effects.term_slices:
            if each == term:
                columns = effects.grouped.effects[:, part]
                return spans(columns, np.ones((len(columns), 1)))
    return False


def _fit_of(results, terms):
    """The fit with the given random effects, None if nothing is left to model."""
    if not terms and results.model.residual is None:
        return None
    return with_random(results, terms)
