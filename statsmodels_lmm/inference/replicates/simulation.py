"""Simulated responses from a fitted model, and refits to new responses."""

from dataclasses import replace

import numpy as np
import pandas as pd

from statsmodels_lmm.core.resampling.draws import (
    Gaussian,
    Held,
    RandomPart,
    Resampled,
    reflated,
)
from statsmodels_lmm.core.rows.precision_effects import independent_levels
from statsmodels_lmm.core.rows.related_effects import OfLevels
from statsmodels_lmm.core.structures.roots import lower_blocks
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.formula.new_rows import codes_of
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.prediction_rows import effect_rows, new_rows
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_gaussian,
)
from statsmodels_lmm.keywords import refuse_r_names
from statsmodels_lmm.random.random_effects import group_levels

SIMULATIONS = ("parametric", "conditional", "semiparametric")


@refuse_r_names(
    "newdata",
    "seed",
    re_form="is spelled random_effects= here: 'new' for NA, 'conditional' for NULL",
)
def simulate(results, nsim=1, rng=None, random_effects="new", exog=None, offset=None):
    """
    Draw responses from a fitted model.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    nsim : int, optional
        Number of responses.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness. Response i depends only on it and on i.
    random_effects : {"new", "conditional"}, optional
        Whether to draw new random effects from their distribution, or to keep the
        conditional modes, so that only the residuals are new.
    exog : DataFrame, optional
        New data. Rows of one level share its random effect; with
        ``random_effects="conditional"`` a level not in the fit gets a new one. Default
        is the data of the model, with its weights and offset. Rows of new data have
        weight 1.
    offset : array_like, optional
        Offset of the rows, in addition to ``offset(...)`` in the formula, as in
        `predict`.

    Returns
    -------
    DataFrame
        One column per response, with rows labeled as in the data; incomplete rows of
        new data are NaN.

    Raises
    ------
    ValueError
        If `random_effects` has an unknown value.
    DataError
        If the new data lack a column, or the data of the model have been removed.
    """
    results = as_fit(results)
    if random_effects not in ("new", "conditional"):
        raise ValueError(
            f"random_effects must be 'new' or 'conditional', not {random_effects!r}"
        )
    require_gaussian(results, "simulation")
    check_count("nsim", nsim)
    if exog is not None and not has_formula(results.model):
        raise ValueError("responses at new rows need a model from a formula")
    streams = generators(seeds(rng, nsim))
    used = [] if exog is None else list(results.model.random)
    rows = new_rows(results, exog, True, used, offset)
    if exog is None:
        kind = "parametric" if random_effects == "new" else "conditional"
        part = random_part(results, kind)
    else:
        rows = _with_levels(results, rows)
        part = _new_part(results, rows, random_effects == "conditional")
    mean, drawn = rows.fixed_part(results), part.draw(streams)
    values = np.full((len(mean), nsim), np.nan)
    values[rows.complete] = drawn.T
    return pd.DataFrame(values + mean[:, None], index=rows.labels)


def random_part(results, kind="parametric"):
    """
    Describe how the random part of the rows of the model is drawn.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"parametric", "conditional", "semiparametric"}, optional
        Random effects and residuals from their normal distributions; the
        conditional modes and normal residuals; or both resampled from those of the
        fit, rescaled to the estimated variances (Carpenter et al. 2003).

    Returns
    -------
    RandomPart
    """
    model = results.model
    require_data(model, "simulation")
    covariances = results._covariances()
    weights = model.weights
    sigma = np.sqrt(np.array([[results.scale]]))
    residuals: Gaussian | Resampled = Gaussian(len(model.endog), sigma)
    effects: list = []
    factors: list = []
    for i, (each, covariance) in enumerate(zip(model.random, covariances)):
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
    if kind == "semiparametric":
        scaled = results.resid_pearson[:, None] * sigma
        residuals = Resampled(reflated(scaled, sigma**2))
    return RandomPart(
        tuple(factors),
        tuple(effects),
        residuals,
        1.0 if weights is None else np.sqrt(weights),
    )


def _independent(results, i, factor, modes):
    """A factor with independent levels, and its modes in the units of the data."""
    term = results._units.term(i)
    if not isinstance(term, OfLevels):
        return factor, modes
    return term.over(factor), results._units.independent_modes(results.at_optimum, i)


def _with_levels(results, rows):
    """Omit the new rows in which a grouping factor is missing."""
    known = np.ones(len(rows.design), dtype=bool)
    for effects in results.model.random:
        known &= codes_of(effects, rows.frame) != -2
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
    residuals = Gaussian(len(rows.design), np.sqrt(np.array([[results.scale]])))
    return RandomPart(tuple(factors), tuple(effects), residuals)


def refit(results, endog):
    """
    Fit the same model to another response.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    endog : array_like or Series
        One value per row used. A Series that has the labels of these rows, possibly
        among others, is aligned with them.

    Returns
    -------
    CrossedMixedLMResults
        Fit by the same method, such as REML or ML, with the same kind of degrees of
        freedom or standard errors.

    Raises
    ------
    DataError
        If the number of rows differs or values are missing.
    """
    results = as_fit(results)
    return fit_like(results, results.model.with_response(endog))


def fit_like(results, model):
    """
    Fit a model in the same way as an existing fit.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    model : CrossedMixedLM
        The model.

    Returns
    -------
    CrossedMixedLMResults
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
