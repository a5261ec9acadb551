"""Checks of whether one model is nested in another, by spans and not by names."""

from dataclasses import replace

import numpy as np
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.regression.linear_model import WLS

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.criteria.without_effects import without_effects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.spans import spans
from statsmodels_lmm.core.rows.standardize import independent_columns
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.comparison.nested_errors import errors_hold
from statsmodels_lmm.inference.comparison.summed_models import (
    check_nested_sums,
    check_same_sums,
    is_summed,
)
from statsmodels_lmm.inference.requirements import (
    require_data,
    require_likelihood,
    require_sums,
)
from statsmodels_lmm.residual.absorbed_effects import absorbs

OTHER_FAMILY = (
    "the models have different families or links, for which there is no test; models "
    "of the same response can be compared by aic"
)


OTHER_WAY = (
    "the models are not nested: Poisson's family is a special case of the negative "
    "binomial, not the other way round"
)


def is_mixed(results):
    """Whether a fit has random effects."""
    return hasattr(results.model, "random")


def check_nested(full, restricted):
    """
    Reject a restricted model that is not nested in the full one.

    Parameters
    ----------
    full : MixedResults
        Fit of the larger model.
    restricted : MixedResults, RegressionResults or GLMResults
        Fit of the smaller model.

    Raises
    ------
    DataError
        If the data differ or the models are not nested.
    """
    if not is_mixed(full):
        raise DataError(
            "the full model has no random effects; it must be fitted by CrossedMixedLM "
            "or CrossedMixedGLM"
        )
    mixed = is_mixed(restricted)
    kind, name = (WLS, "OLS") if full._is_gaussian else (GLM, "GLM")
    if not mixed and not isinstance(restricted.model, kind):
        raise DataError(
            f"a fit of {type(restricted.model).__name__} cannot be compared; fit the "
            f"restricted model with {type(full.model).__name__} or {name}"
        )
    check_same_data(full, restricted)
    if not full._is_gaussian and not _has_family(full.model, restricted.model):
        raise DataError(OTHER_WAY)
    if is_summed(full, restricted):
        return check_nested_sums(full, restricted)
    if not spans(full.model.exog, np.asarray(restricted.model.exog)):
        raise DataError(
            "the models are not nested: the restricted one has fixed effects that "
            "are not in the full one"
            + swapped(spans(np.asarray(restricted.model.exog), full.model.exog))
        )
    if not mixed:
        return
    errors, inner = full.model.residual, restricted.model.residual
    if not errors_hold(errors, inner):
        raise DataError(
            "the models are not nested: the errors of the restricted one "
            f"({inner}) are not a special case of those of the full one "
            f"({errors or 'independent'})" + swapped(errors_hold(inner, errors))
        )
    for effects in restricted.model.random:
        inside = any(contains(e.grouped, effects.grouped) for e in full.model.random)
        grouped, weights = effects.grouped, full.model.weights
        if not inside and not absorbs(errors, inner, weights, grouped, grouped.effects):
            raise DataError(
                "the models are not nested: the random effects "
                f"({', '.join(effects.effect_names)} | {effects.name}) are not in the "
                "full one"
            )


def swapped(other_way):
    """
    Advice if the larger model was given as the restricted one.

    Parameters
    ----------
    other_way : bool
        Whether the full model is contained in the restricted one.

    Returns
    -------
    str
    """
    if not other_way:
        return ""
    return "; the larger model comes first: `larger.compare_lr_test(smaller)`"


def check_same_data(full, restricted):
    """
    Reject models fitted to different data.

    Parameters
    ----------
    full, restricted : MixedResults, RegressionResults or GLMResults
        The fits.

    Raises
    ------
    DataError
        If rows, responses, weights or offsets differ.
    """
    for results in (full, restricted):
        require_sums(results.model, "a comparison")
    if is_summed(full, restricted):
        check_same_sums(full, restricted)
        return _check_same_likelihood(full, restricted)
    y, y0 = full.model.endog, np.asarray(restricted.model.endog)
    if len(y) != len(y0):
        raise DataError(
            f"the models were fitted to different data: {len(y)} and {len(y0)} rows"
        )
    if is_mixed(full) and is_mixed(restricted):
        _check_same_likelihood(full, restricted)
    if not full._is_gaussian:
        return _check_same_rows(full.model, restricted.model)
    compared = [("weights", 1.0), ("offset", 0.0)]
    offset = getattr(full.model, "offset", None)
    if offset is not None and not is_mixed(restricted):
        # a linear model can have an offset only in its response
        if np.array_equal(y - offset, y0):
            y, compared = y - offset, [("weights", 1.0)]
    if not np.array_equal(y, y0):
        raise DataError("the models were fitted to different responses")
    for name, default in compared:
        w, w0 = (getattr(r.model, name, None) for r in (full, restricted))
        w, w0 = (np.broadcast_to(default if v is None else v, y.shape) for v in (w, w0))
        if not np.array_equal(w, w0):
            raise DataError(f"the models were fitted with different {name}")


def _check_same_rows(full, restricted):
    """Refuse a generalized model of another distribution or of other rows."""
    if not (_has_family(full, restricted) or _has_family(restricted, full)):
        raise DataError(OTHER_FAMILY)
    rows, rows0 = rows_of(full), rows_of(restricted)
    if isinstance(restricted, GLM) and not full.family.has_extra:
        # frequencies and other weights mean the same, but for constants
        for each in (rows, rows0):
            each["weights"] = each["weights"] * each.pop("freq_weights")
    for name, values in rows.items():
        # proportions and logarithms of exposures may be rounded differently
        if not np.allclose(values, rows0[name], rtol=1e-12, atol=1e-12):
            raise DataError(f"the models were fitted with different {name}")


def _has_family(full, restricted):
    """Whether a generalized mixed model has another's family, or alpha besides."""
    family, wanted = family_of(full, restricted), family_of(restricted, full)
    if family is None or not family.extra_is_squared:
        return family == wanted
    return wanted in (family, family.limit)


def family_of(model, mixed):
    """
    The family of a model in the terms of generalized mixed models.

    Parameters
    ----------
    model : MixedModel or GLM
        The model.
    mixed : CrossedMixedGLM
        A mixed model.

    Returns
    -------
    Family or None
        None if no mixed model has it.
    """
    if not isinstance(model, GLM):
        return getattr(model, "family", None)
    try:
        return mixed._family_of({"family": model.family})
    except ValueError:
        return None


def rows_of(model):
    """Response, offset, prior weights and frequencies, however they were given."""
    if isinstance(model, GLM):
        known = [getattr(model, name, None) for name in ("offset", "exposure")]
        trials = model.n_trials if isinstance(model.family, Binomial) else 1.0
        return {
            "responses": model.endog,
            "offsets": sum(v for v in known if v is not None),
            "weights": model.var_weights * trials,
            "freq_weights": model.freq_weights,
        }
    return {
        "responses": model.endog,
        "offsets": 0.0 if model._offset is None else model._offset,
        "weights": model._prior_weights,
        "freq_weights": model._repeats,
    }


def _check_same_likelihood(full, restricted):
    """Refuse mixed models of different distributions or approximations."""
    require_likelihood([full, restricted])
    one, other = full.model, restricted.model
    if not (_has_family(one, other) or _has_family(other, one)):
        raise DataError(OTHER_FAMILY)
    if full._is_gaussian:
        return
    # with a canonical link both kinds of Hessian are the same
    canonical = full.family.is_canonical or restricted.family.is_canonical
    names = ("nagq",) if canonical else ("nagq", "hessian")
    for name in names:
        used = [r._fit_options[name] for r in (full, restricted)]
        if used[0] != used[1]:
            raise DataError(
                f"the models were fitted with {name}={used[0]!r} and {used[1]!r}, so "
                "that their likelihoods are approximated differently"
            )


def contains(full, restricted):
    """
    Whether every covariance block of one factor lies within a block of another.

    Parameters
    ----------
    full, restricted : GroupedEffects or RawEffects
        Factors of the larger and the smaller model.

    Returns
    -------
    bool
    """
    if not (full.is_grouped and restricted.is_grouped):
        return _same_columns(full, restricted)
    if full.n_levels != restricted.n_levels:
        return False
    matched = np.zeros(full.n_levels, dtype=np.int64)
    matched[full.codes] = restricted.codes
    if not np.array_equal(matched[full.codes], restricted.codes):
        return False
    if not _same_relationship(full, restricted, matched):
        return False
    return all(
        _holds(full, inner, restricted.effects[:, part])
        for part, inner in zip(restricted.block_slices, restricted.structures)
    )


def _holds(full, inner, columns):
    """Whether one block, or each of its effects, is a special case of another."""
    for block, outer in zip(full.block_slices, full.structures):
        if outer.holds(inner) and spans(full.effects[:, block], columns):
            return True
    parts = inner.parts()
    each = (_holds(full, part, columns[:, [j]]) for j, part in enumerate(parts))
    return bool(parts) and all(each)


def _same_columns(full, restricted):
    """Whether two factors have the same model matrix."""
    if full.is_grouped or restricted.is_grouped:
        return False
    if full.matrix.shape != restricted.matrix.shape:
        return False
    return not np.any(abs(full.matrix - restricted.matrix).max()) and (
        _same_relationship(full, restricted)
    )


def _same_relationship(full, restricted, matched=None):
    """Whether the levels of two factors, possibly matched, are related alike."""
    known = [full.relationship, restricted.relationship]
    if any(k is None for k in known):
        return known == [None, None]
    if type(known[0]) is not type(known[1]):
        return False
    if matched is not None and isinstance(known[0], Relationship):
        seen = np.unique(full.codes)
        known = [known[0].among(seen), known[1].among(matched[seen])]
    elif matched is not None and not np.array_equal(full.codes, restricted.codes):
        return False
    if known[0].matrix.shape != known[1].matrix.shape:
        return False
    return not np.any(abs(known[0].matrix - known[1].matrix).max())


def gain_of_random_effects(results):
    """
    Decrease of the criterion due to the random effects of a fit.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    float
    """
    if not results._is_gaussian:
        return deviance_without_effects(results) - results.deviance_criterion
    optimum = results.at_optimum
    factors = optimum.elimination.products.plan.terms
    zeros = [
        pivoted_factor(np.zeros((f.k_effects, f.k_effects)), f.block_slices)
        for f in factors
    ]
    without = profiled_deviance(optimum.elimination.products, zeros, results.reml)
    return float(without.value - optimum.value)


def deviance_without_effects(results, exog=None, family=None):
    """
    -2 log-likelihood of the generalized linear model without random effects.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    exog : ndarray, optional
        Fixed effects that its own span, shape (n, q). Default is its own.
    family : Family, optional
        A special case of its family. Default is its own.

    Returns
    -------
    float
        At the maximum likelihood estimates, with all constants.
    """
    require_data(results.model, "a comparison with no random effects")
    _, conditional = results.model._prepared()
    coefficients = results._units.coefficients(results._estimates.fixed)
    if exog is not None:
        basis = np.linalg.qr(exog[:, independent_columns(exog)])[0]
        basis = np.asfortranarray(basis * np.sqrt(len(exog)))
        coefficients = basis.T @ (conditional.exog @ coefficients) / len(exog)
        conditional = replace(conditional, exog=basis)
    if family is not None:
        conditional = replace(conditional, family=family)
    return float(without_effects(conditional, coefficients, results.extra).value)


def rank_of(results):
    """Number of fixed effects estimated."""
    if is_mixed(results):
        return np.isfinite(results.params).sum()
    return results.model.rank if hasattr(results.model, "rank") else len(results.params)
