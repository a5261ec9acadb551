"""Simulated responses from a fitted model, and refits to new responses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.resampling.draws import (
    Correlated,
    FamilyResponse,
    Gaussian,
    Held,
    NormalResponse,
    RandomPart,
    Resampled,
    reflated,
)
from statsmodels_lmm.core.rows.precision_effects import independent_levels
from statsmodels_lmm.core.rows.related_effects import OfLevels
from statsmodels_lmm.core.structures.roots import lower_blocks
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.formula.new_rows import codes_of
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.error_prediction import (
    new_whitening,
    rows_of_errors,
)
from statsmodels_lmm.inference.prediction.generalized_prediction import known_part
from statsmodels_lmm.inference.prediction.prediction_rows import effect_rows, new_rows
from statsmodels_lmm.inference.replicates.row_weights import new_weights, row_weights
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_choice,
    require_data,
    require_independent_errors,
)
from statsmodels_lmm.keywords import refuse_r_names
from statsmodels_lmm.random.random_effects import group_levels

SIMULATIONS = ("parametric", "conditional", "semiparametric")


@refuse_r_names(
    "newdata",
    "seed",
    re_form="is spelled random_effects= here: 'new' for NA, 'conditional' for NULL",
)
def simulate(
    results: Any,
    nsim: int = 1,
    rng: Any = None,
    random_effects: str = "new",
    exog: Any = None,
    offset: Any = None,
    *,
    exposure: Any = None,
    weights: Any = None,
) -> pd.DataFrame:
    """
    Draw responses from a fitted model.

    Parameters
    ----------
    results : MixedResults
        A fit.
    nsim : int, optional
        Number of responses.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness. Response i depends only on it and on i.
    random_effects : {"new", "conditional"}, optional
        Whether to draw new random effects from their distribution, or to keep the
        conditional modes, so that only the residuals are new, or the responses given
        them.
    exog : DataFrame, optional
        New data. Rows of one level share its random effect; with
        ``random_effects="conditional"`` a level not in the fit gets a new one. Default
        is the data of the model, with its weights and offset.
    offset : array_like, optional
        Offset of the rows, in addition to ``offset(...)`` in the formula, as in
        `predict`.
    exposure : array_like, float or str, optional
        Exposure of the rows of a generalized model, as in `predict`.
    weights : array_like, float or str, optional
        Prior weights of the rows of `exog`, or the column that holds them: numbers of
        trials for a binomial family, and otherwise what divides the dispersion.
        Default is 1; proportions and counts of successes need numbers of trials.

    Returns
    -------
    DataFrame
        One column per response, with rows labeled as in the data; incomplete rows of
        new data are NaN. A response has the form that `refit` takes: successes if the
        model has columns of successes and failures, proportions if it has proportions
        and weights, and 0 or 1 for a response of two levels, of which 1 is the event.

    Raises
    ------
    ValueError
        If `random_effects` has an unknown value.
    DataError
        If the new data lack a column, the data of the model have been removed, or the
        model does not define a distribution of single rows.

    Warns
    -----
    DataWarning
        If prior weights are not part of the distribution, as those of counts.
    """
    results = as_fit(results)
    check_choice("random_effects", random_effects, ("new", "conditional"))
    check_count("nsim", nsim)
    if exog is not None and not has_formula(results.model):
        raise ValueError("responses at new rows need a model from a formula")
    if exog is None and weights is not None:
        raise ValueError("weights are for new rows: the model has its own")
    streams = generators(seeds(rng, nsim))
    used = [] if exog is None else list(results.model.random)
    rows = new_rows(results, exog, True, used, _known(results, exog, offset, exposure))
    fixed = rows.fixed_part(results)
    if exog is None:
        kind, trials = {"new": "parametric"}.get(random_effects, "conditional"), None
        part, weights = random_part(results, kind), row_weights(results)
    else:
        weights = new_weights(results, exog, weights)
        rows = _usable(results, rows, np.isfinite(fixed) & np.isfinite(weights))
        weights = trials = weights[rows.complete]
        part = _new_part(results, rows, random_effects == "conditional")
    whitening = _whitening(results)
    if whitening is not None and exog is not None:
        whitening = new_whitening(results, rows, rows_of_errors(results, rows))
    response = _response(results, part, fixed[rows.complete], weights, whitening)
    values = np.full((len(fixed), nsim), np.nan)
    values[rows.complete] = whole_responses(results, response, streams, trials).T
    return pd.DataFrame(values, index=rows.labels)


def whole_responses(results, response, streams, trials=None):
    """
    Draw responses in the form in which the model was given its own.

    Parameters
    ----------
    results : MixedResults
        A fit.
    response : NormalResponse or FamilyResponse
        How they are drawn.
    streams : sequence of numpy.random.Generator
        One for each response, r in all.
    trials : ndarray, optional
        Numbers of trials of new rows, shape (n,).

    Returns
    -------
    ndarray
        Shape (r, n).

    Raises
    ------
    DataError
        If a response belongs to no distribution.
    """
    drawn = response.draw(streams) + response.left_out
    lost = np.flatnonzero(np.isnan(drawn).any(axis=1))
    if len(lost):
        family = results.family
        raise DataError(
            f"{len(lost)} of {len(drawn)} responses cannot be drawn: their means leave "
            f"the range of the {family.name} family, as its {family.link_name} link "
            "allows"
        )
    return results.model.as_given(drawn, trials)


def drawn_response(results, kind="parametric"):
    """
    Describe how a response in the rows of the model is drawn.

    Parameters
    ----------
    results : MixedResults
        A fit.
    kind : {"parametric", "conditional", "semiparametric"}, optional
        Random effects and residuals from their normal distributions, or the response
        from its family; the same with the conditional modes; or random effects and
        residuals of a linear model resampled from those of the fit, rescaled to the
        estimated variances (Carpenter et al. 2003).

    Returns
    -------
    NormalResponse or FamilyResponse
    """
    part, fixed = random_part(results, kind), results._fixed_part
    weights, whitening = row_weights(results), _whitening(results)
    response = _response(results, part, fixed, weights, whitening)
    if kind != "semiparametric":
        return response
    if not results._is_gaussian:
        raise ValueError(
            "kind='semiparametric' resamples residuals, of which a generalized model "
            "has none; use 'parametric' or 'conditional'"
        )
    require_independent_errors(results.model, "a semiparametric bootstrap")
    sigma = np.sqrt(np.array([[results.scale]]))
    scaled = results.resid_pearson[:, None] * sigma
    return replace(response, residuals=Resampled(reflated(scaled, sigma**2)))


def _whitening(results):
    """The covariance of the errors of the model's rows; None if independent."""
    if results.model.residual is None:
        return None
    return results.at_optimum.whitening


def _response(results, part, fixed, weights, whitening=None):
    """How a response is drawn, given its random part."""
    if not results._is_gaussian:
        return FamilyResponse(part, fixed, results.family, weights, results.extra)
    residuals: Any = Gaussian(len(fixed), np.sqrt(np.array([[results.scale]])))
    if whitening is not None:
        residuals = Correlated(residuals, whitening)
    return NormalResponse(part, residuals, np.sqrt(weights), fixed)


def random_part(results, kind="parametric"):
    """
    Describe how the random effects of the rows of the model are drawn.

    Parameters
    ----------
    results : MixedResults
        A fit.
    kind : {"parametric", "conditional", "semiparametric"}, optional
        As for `drawn_response`.

    Returns
    -------
    RandomPart
    """
    model = results.model
    require_data(model, "simulation")
    effects: list = []
    factors: list = []
    for i, (each, covariance) in enumerate(zip(model.random, results._covariances())):
        factor, modes = each.grouped, results._modes[i]
        if kind != "conditional":
            factor, modes = _independent(results, i, factor, modes)
        factors.append(factor)
        if kind == "conditional":
            effects.append(Held(modes))
        elif kind == "semiparametric":
            effects.append(Resampled(reflated(modes, covariance)))
        else:
            root = lower_blocks(covariance, each.grouped.block_slices)
            effects.append(Gaussian(factor.n_levels, root))
    return RandomPart(tuple(factors), tuple(effects))


def _known(results, exog, offset, exposure):
    """The known part of the linear predictor, beyond the offsets of the formula."""
    if not results._is_gaussian:
        return known_part(results, exog, True, offset, exposure)
    if exposure is not None:
        raise ValueError("exposure is for a generalized model of counts")
    return offset


def _independent(results, i, factor, modes):
    """A factor with independent levels, and its modes in the units of the data."""
    term = results._units.term(i)
    if not isinstance(term, OfLevels):
        return factor, modes
    return term.over(factor), results._units.independent_modes(results.at_optimum, i)


def _usable(results, rows, known):
    """Only the new rows that are known and in which no grouping factor is missing."""
    known = known[rows.complete]
    for effects in results.model.random:
        known = known & (codes_of(effects, rows.frame) != -2)
    complete = rows.complete.copy()
    complete[complete] = known
    frame, design = rows.frame[known], rows.design[known]
    return replace(rows, design=design, complete=complete, frame=frame)


def _new_part(results, rows, conditional):
    """The random part of new rows."""
    factors: list = []
    effects: list = []
    for each, covariance, modes in zip(
        results.model.random, results._covariances(), results._modes
    ):
        columns = [rows.frame[find_column(rows.frame, c)] for c in each.columns]
        codes, levels, _ = group_levels(columns)
        take = np.ones(each.grouped.k_effects, dtype=bool)
        placed = effect_rows(results, each, rows, take, "population")
        drawn, grouped = placed.columns, each.grouped
        root = lower_blocks(covariance, grouped.block_slices)
        if conditional or grouped.relationship is not None:
            old = grouped.at(np.maximum(placed.codes, 0), placed.taken)
            drawn = placed.columns * ~placed.known[:, None]
            if conditional:
                factors.append(old)
                effects.append(Held(modes))
            else:
                among = independent_levels(old)
                factors.append(among)
                effects.append(Gaussian(among.n_levels, root))
        unrelated = replace(grouped, relationship=None, n_levels=len(levels))
        factors.append(unrelated.at(codes, drawn))
        effects.append(Gaussian(len(levels), root))
    return RandomPart(tuple(factors), tuple(effects))


def refit(results: Any, endog: Any) -> Any:
    """
    Fit the same model to another response.

    Parameters
    ----------
    results : MixedResults
        A fit.
    endog : array_like, Series or DataFrame
        One value per row used, in any form that the model takes, such as a column of
        `simulate`, or a DataFrame of one. Successes and failures may be given as two
        columns, or the successes alone: the numbers of trials are those of the model.
        A Series that has the labels of these rows, possibly among others, is aligned
        with them.

    Returns
    -------
    MixedResults
        Fit by the same method, such as REML or quadrature, with the same kind of
        degrees of freedom or standard errors. The search for a generalized model starts
        at the estimates of this fit, unless they are at the end of their range.

    Raises
    ------
    DataError
        If the number of rows differs or values are missing.
    """
    results = as_fit(results)
    return refit_like(results, results.model.with_response(endog))


def refit_like(results, model):
    """
    Fit a model of another response in the same way as an existing fit.

    Parameters
    ----------
    results : MixedResults
        A fit.
    model : MixedModel
        The same model with another response.

    Returns
    -------
    MixedResults
    """
    start = None if results._is_gaussian else starting_values(results)
    if start is None:
        return fit_like(results, model)
    try:
        return model.fit(**results._fit_options, start_params=start)
    except DataError:  # the likelihood of another response may be zero there
        return fit_like(results, model)


def starting_values(results):
    """
    The parameters of a generalized fit, from which to search for those of another.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.

    Returns
    -------
    ndarray or None
        None if they are at the end of their range, where slopes vanish, or infinite.
    """
    extra = [] if results.extra is None else [results.extra]
    values = np.concatenate([results.params, results.theta, extra])
    at_end = results.is_singular or results.alpha == 0.0 or results.unbounded.sentences
    return None if at_end or not np.isfinite(values).all() else values


def fit_like(results, model):
    """
    Fit a model in the same way as an existing fit.

    Parameters
    ----------
    results : MixedResults
        A fit.
    model : MixedModel
        The model.

    Returns
    -------
    MixedResults
        Fit by the same method, such as REML or ML, with the same kind of degrees of
        freedom or standard errors.
    """
    return model.fit(**results._fit_options)


def seeds(rng, count):
    """
    Create independent seeds, one per replicate.

    Parameters
    ----------
    rng : None, int or numpy.random.Generator
        Source of randomness; a generator is advanced.
    count : int
        Number of seeds.

    Returns
    -------
    list of numpy.random.SeedSequence
        The seeds; seed i does not depend on `count`.
    """
    entropy = np.random.default_rng(rng).integers(2**32, size=8, dtype=np.uint64)
    return np.random.SeedSequence(entropy.tolist()).spawn(count)


def generators(sequences):
    """Generators from seeds."""
    return [np.random.Generator(np.random.PCG64(s)) for s in sequences]


def check_count(name, value):
    """Reject anything but a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive whole number, not {value!r}")
