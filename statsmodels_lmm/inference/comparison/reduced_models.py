"""Refits of models without one of their terms."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS, WLS

from statsmodels_lmm.core.rows.spans import spans
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.formula.model_formula import RandomTerm
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.pieces import has_bar, term_key
from statsmodels_lmm.formula.plain_names import in_backticks, unquoted
from statsmodels_lmm.formula.random_terms import term_names
from statsmodels_lmm.formula.reduced_design import SAME_SPAN
from statsmodels_lmm.formula.residual_terms import errors_of
from statsmodels_lmm.inference.comparison.reduced_sums import (
    with_random_terms,
    without_columns,
    without_factors,
)
from statsmodels_lmm.inference.fixed.terms import fixed_terms, has_formula
from statsmodels_lmm.inference.replicates.simulation import fit_like
from statsmodels_lmm.inference.requirements import (
    as_fit,
    names_lost,
    require_data,
    require_sums,
)
from statsmodels_lmm.random.known_levels import KnownLevels


def drop_fixed(results: Any, term: str) -> Any:
    """
    Fit the model without one term of the fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    term : str
        Name of the term, such as "x" or "x:z"; "Intercept" for the constant. For a
        model without a formula, the name of a column.

    Returns
    -------
    CrossedMixedLMResults
        Fit by the same method, REML or ML; its formula lists the remaining terms.

    Raises
    ------
    ValueError
        If there is no such term.
    DataError
        If the remaining terms span the same model, as an interaction of factors does
        without one of their main effects.
    """
    results = as_fit(results)
    require_sums(results.model, "a fit")
    terms = fixed_terms(results)
    left = [t for t in terms if not _is_called(t.text, term)]
    if len(left) == len(terms):
        listed = ", ".join(t.name for t in terms)
        raise ValueError(f"no fixed term {term!r}; there are {listed}")
    model = results.model
    if model.summed is not None:
        columns = [column for t in left for column in t.columns]
        kept = model.spanning[:, np.isfinite(results.params)]
        if spans(model.spanning[:, columns], kept):
            raise DataError(SAME_SPAN.format(term))
        return fit_like(results, without_columns(model, left, term))
    if has_formula(model):
        constant = any(t.is_constant for t in left)
        names = ["1" if constant else "0", *(t.text for t in left if not t.is_constant)]
        other = _from_formula(results, fixed=" + ".join(names))
    else:
        columns = [column for t in left for column in t.columns]
        other = with_fixed(results, model.exog[:, columns], columns)
    kept = model.exog[:, np.isfinite(results.params)]
    if spans(other.exog, kept):
        raise DataError(
            f"without {term} the other terms span the same fixed effects: they contain "
            "it, as an interaction of factors does, or it is redundant"
        )
    return fit_like(results, other)


def drop_random(results: Any, term: str, effect: str | None = None) -> Any:
    """
    Fit the model without one random-effects term, or without one of its effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    term : str
        The term, such as "(1 | item)", or the name of a grouping factor for all of
        its terms.
    effect : str, optional
        Effect to drop from the term, such as "x" from "(x | subject)"; "1" for the
        intercept. Default is all.

    Returns
    -------
    MixedResults, RegressionResults or GLMResults
        Fit by the same method; its formula lists the remaining terms. If no random
        effects remain, the model of correlated errors, or errors of unequal variance;
        without these statsmodels' (weighted) least squares fit to the response minus
        the offset, or statsmodels' GLM.

    Raises
    ------
    ValueError
        If there is no such term or effect.
    """
    other = without_random(results, term, effect)
    if other is None:
        return linear_model(as_fit(results))
    return fit_like(as_fit(results), other)


def without_random(results: Any, term: str, effect: str | None = None) -> Any:
    """
    The model without one random-effects term, or without one of its effects.

    Parameters
    ----------
    results, term, effect
        As for `drop_random`.

    Returns
    -------
    MixedModel or None
        The model, not fitted; None if no random effects remain.
    """
    results = as_fit(results)
    model = results.model
    require_sums(model, "a fit")
    if not isinstance(term, str):
        raise TypeError(
            f"term must be a string such as '(1 | item)' or 'item', not {term!r}"
        )
    if not has_formula(model):
        names = [e.name for e in model.random]
        if term not in names:
            listed = ", ".join(names) or "none"
            raise ValueError(f"no grouping factor {term!r}; there are {listed}")
        if effect is not None:
            raise ValueError("effect needs a model from a formula; drop the whole term")
        left = [e for e in model.random if e.name != term]
        if not left and model.residual is None:
            return None
        if model.summed is not None:
            return without_factors(model, [e.name for e in left])
        return with_fixed(results, model.exog, range(model.exog.shape[1]), left)
    meant = [each for each in model._parsed.random if _matches(each, term)]
    if not meant:
        listed = ", ".join(map(str, model._parsed.random)) or "none"
        raise ValueError(f"no random-effects term {term!r}; there are {listed}")
    if effect is not None:
        having = [each for each in meant if _has_effect(each, effect)]
        meant = having or meant[:1]
    terms: list = []
    for each in model._parsed.random:
        if each in meant:
            reduced = None if effect is None else without_effect(each, effect)
            terms += [] if reduced is None else [reduced]
        else:
            terms.append(each)
    if not terms and model.residual is None:
        return None
    return _from_formula(results, random=terms)


def with_random(results, terms):
    """
    Fit the model with different random-effects terms.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    terms : sequence of RandomTerm
        The terms.

    Returns
    -------
    MixedResults, RegressionResults or GLMResults
        The fit, by statsmodels if there are no terms and the errors are independent.
    """
    if not terms and results.model.residual is None:
        return linear_model(results)
    return fit_like(results, _from_formula(results, random=terms))


def _has_effect(term, effect):
    """Whether a term has an effect."""
    return any(_is_called(n, effect) for n in term_names(term.effects))


def without_effect(term, effect):
    """
    Remove one effect from a random-effects term.

    Parameters
    ----------
    term : RandomTerm
        The term.
    effect : str
        Name of the effect, "1" or "Intercept" for the intercept.

    Returns
    -------
    RandomTerm or None
        The remaining term, None if nothing is left.

    Raises
    ------
    ValueError
        If the term has no such effect.
    """
    names = term_names(term.effects)
    left = [n for n in names if not _is_called(n, effect)]
    if len(left) == len(names):
        raise ValueError(
            f"no effect {effect!r} in {term}; there are "
            + ", ".join(map(unquoted, names))
        )
    if not left:
        return None
    text = " + ".join(left if "1" in left else ["0", *left])
    return replace(
        term,
        effects="1" if left == ["1"] else text,
        effect_terms=frozenset(left),
    )


def linear_model(results):
    """
    Fit the model without random effects, by least squares or as a GLM.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    RegressionResults or GLMResults
        Fit of the columns kept; weighted if the model is.
    """
    model = results.model
    require_data(model, "a fit")
    kept = np.isfinite(results.params)
    if not kept.any():
        raise DataError("without random effects the model would be empty")
    if not results._is_gaussian:
        return model.without_random(kept)
    names = np.array(model.exog_names, dtype=object)[kept]
    exog = pd.DataFrame(model.exog[:, kept], columns=names, index=model.data.row_labels)
    offset = 0.0 if model.offset is None else model.offset
    endog = pd.Series(model.endog - offset, exog.index, name=model.endog_names)
    if model.weights is None:
        return OLS(endog, exog).fit()
    return WLS(endog, exog, weights=model.weights).fit()


def with_fixed(results, exog, columns=None, random=None):
    """
    Create the model with another fixed-effects design, from arrays.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    exog : ndarray
        Design, shape (n, q).
    columns : sequence of int, optional
        The model's columns to which those of `exog` correspond, for their names.
    random : sequence of RandomEffects, optional
        Random effects. Default is those of the model.

    Returns
    -------
    CrossedMixedLM
    """
    model = results.model
    require_data(model, "a fit")
    if columns is not None:
        names = [model.exog_names[column] for column in columns]
        exog = pd.DataFrame(exog, columns=names)
    endog = pd.Series(model.endog, name=model.endog_names)
    return model._general_class(
        endog,
        exog,
        random=tuple(model.random if random is None else random),
        check_levels=False,
        **model._beyond_design(),
        residual=model.residual,
    )


def _from_formula(results, fixed=None, random=None):
    """The model with another fixed part or other random effects."""
    model, parsed = results.model, results.model._parsed
    require_sums(model, "a fit")
    if model.summed is not None:
        return with_random_terms(model, random)
    random = parsed.random if random is None else random
    pieces = [parsed.fixed if fixed is None else fixed]
    pieces += [f"offset({o})" for o in parsed.offsets]
    text = f"{parsed.response} ~ " + " + ".join([*pieces, *map(str, random)])
    text = in_backticks(text)
    other = with_formula(model, text, random, model.data.frame, dict(model.data.scope))
    # after a refit the frame still has the old response
    other = other._with_endog(model.endog)
    other._has_other_response = model._has_other_response
    other._has_response = model._has_response
    return other


def with_formula(
    model, text, random, frame, scope, rows=slice(None), errors=None, alone=False
):
    """
    Create the model with another formula, but with its weights, offset and options.

    Parameters
    ----------
    model : MixedModel
        A model from a formula.
    text : str
        The formula.
    random : sequence of RandomTerm
        Its random-effects terms.
    frame : DataFrame
        The data, for the chosen rows of the model.
    scope : dict
        Names that are not columns.
    rows : ndarray, optional
        Whether each row of the model is among them. Default is all.
    errors : tuple, optional
        Arguments residual and dispersion. Default is those of the model.
    alone : bool, optional
        Whether the fixed effects may stand alone without such arguments, for a model
        whose errors the caller sets.

    Returns
    -------
    MixedModel
    """
    if model.data.lost:
        raise names_lost(model)
    arguments = model._beyond_design(rows)
    errors = errors_of(model._parsed) if errors is None else errors
    arguments["residual"], arguments["dispersion"] = errors
    if alone:  # the only errors that name no columns
        arguments["power_of_fitted"] = True
    if getattr(model, "_trials_of_response", False):
        del arguments["trials"]
    if model.offset is not None and model.formula_offset is not None:
        beyond = model.offset - model.formula_offset
        arguments["offset"] = beyond[rows] if beyond.any() else None
    with formula_engine(model.data.engine):
        return model._general_class.from_formula(
            text,
            frame,
            check_levels=model.check_levels,
            rank=model.rank,
            eval_env=scope,
            structures=model.structures,
            relationship=_relationships(model, random),
            **arguments,
        )


def _relationships(model, terms):
    """Relationships among the levels of the factors in some terms."""
    left = {t.group for t in terms}
    return {
        e.name: KnownLevels(e.name, e.levels, e.grouped.relationship)
        for e in model.random
        if e.name in left and e.grouped.relationship is not None
    }


def _matches(term: RandomTerm, text):
    """Whether a text refers to a term."""
    if not has_bar(f"({text})"):
        return term.group == text
    if not text.strip().endswith(")"):
        text = f"({text})"
    return any(
        other.effect_terms == term.effect_terms
        and set(other.grouping) == set(term.grouping)
        for other in parse(f"y ~ {text}", [term.structure]).random
    )


def _is_called(name, wanted):
    """Whether a term of a formula is the one that a user names."""
    return unquoted(name) == unquoted(str(wanted)) or _key(name) == _key(wanted)


def _key(name):
    """Key of a term name, the same for equivalent names."""
    if name in ("1", "Intercept"):
        return frozenset(["Intercept"])
    try:
        return term_key(str(name))
    except FormulaError:
        return frozenset([str(name)])
