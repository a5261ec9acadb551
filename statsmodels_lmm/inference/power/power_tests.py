"""The p-values of a test in many simulated studies at once."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import stats
from scipy.linalg import null_space

from statsmodels_lmm.core.resampling.replicates import Replicates, ReplicateTask
from statsmodels_lmm.core.uncertainty.small_sample import kenward_roger, satterthwaite
from statsmodels_lmm.inference.comparison.bootstrap_likelihood_ratio import (
    without_effects_design,
)
from statsmodels_lmm.inference.comparison.likelihood_ratio import (
    Comparison,
    mixture_pvalue,
)
from statsmodels_lmm.inference.comparison.reduced_models import with_fixed
from statsmodels_lmm.inference.fixed.degrees_of_freedom import (
    KENWARD_ROGER,
    SMALL_SAMPLE,
)
from statsmodels_lmm.inference.power.planned_values import Plan, at_plan
from statsmodels_lmm.inference.replicates.refitted_parameters import design_of
from statsmodels_lmm.inference.replicates.simulation import drawn_response, generators

AT_ONCE = 200
"""Number of studies in a piece of work if each has its own degrees of freedom."""

ROUNDING = 1e-7
"""What a likelihood-ratio statistic of 0 may be, as refits stop within 1e-8."""


@dataclass(frozen=True)
class WaldTest(ReplicateTask):
    """
    Task that computes p-values of Wald tests in simulated studies.

    Parameters
    ----------
    replicates : Replicates
        Draws from the planned model, and its fits.
    units : Units
        Conversion to the units of the data.
    contrasts : ndarray
        Contrasts of the fixed effects kept, shape (q, k).
    distances : ndarray
        Their planned distances from the hypothesis, shape (q,).
    df_method : str
        As of a fit, see `MixedInference.with_df_method`.
    df : float
        Denominator degrees of freedom, if the method has the same in all studies.
    """

    units: Any
    contrasts: np.ndarray
    distances: np.ndarray
    df_method: str
    df: float

    @property
    def in_batches(self):
        """Whether the studies are tested by array computations."""
        one_by_one = self.df_method in SMALL_SAMPLE and not self._is_joint
        return super().in_batches and not one_by_one

    @property
    def size(self):
        """Number of studies to handle at once, fewer if each has its own df."""
        size = super().size
        return size if self.in_batches else min(size, AT_ONCE)

    def __call__(self, sequences):
        """One p-value per seed, NaN where there is none; and which are separated."""
        responses, fits = self.replicates.fit(generators(sequences))
        if self.df_method in SMALL_SAMPLE:
            return self._small_sample(responses, fits), fits.separated
        moved = self.units.beta_change(fits.coefficients)[:, self.units.data.kept]
        distances = self.distances + moved @ self.contrasts.T
        whitened = self.contrasts @ self.units.beta_root(fits.fixed_root)
        covariance = whitened @ whitened.swapaxes(-1, -2)
        scale, usable = self.units.scale(fits.scale), np.isfinite(fits.value)
        usable &= np.isfinite(covariance).all(axis=(-1, -2)) & ~fits.separated
        covariance[~usable] = np.eye(len(self.contrasts))
        solved = np.linalg.solve(covariance, distances[..., None])[..., 0]
        wald, q = (distances * solved).sum(axis=-1) / scale, len(self.contrasts)
        tail = stats.chi2.sf(wald, q)
        if np.isfinite(self.df):
            tail = stats.f.sf(wald / q, q, self.df)
        return np.where(usable, tail, np.nan), fits.separated

    def _small_sample(self, responses, fits):
        """p-values with degrees of freedom of their own."""
        design, q = self.replicates.designs[0], len(self.contrasts)
        tests = np.full((len(fits.value), 2), np.nan)
        known = np.flatnonzero(np.isfinite(fits.value))
        if self._is_joint and len(known):
            evaluation = design.evaluation(responses[known], fits.take(known))
            uncertain = satterthwaite(evaluation)
            for place, position in enumerate(known):
                tests[position] = self._f_test(fits, position, uncertain.take(place))
        elif len(known):
            which = satterthwaite
            if self.df_method in KENWARD_ROGER:
                which = partial(kenward_roger, **KENWARD_ROGER[self.df_method])
            for i, evaluation in enumerate(design.evaluations(responses, fits)):
                if evaluation is not None:
                    tests[i] = self._f_test(fits, i, which(evaluation))
        return stats.f.sf(tests[:, 0], q, tests[:, 1])

    @property
    def _is_joint(self):
        """Whether the degrees of freedom of all studies are one array computation."""
        design = self.replicates.designs[0]
        return self.df_method == "satterthwaite" and design.levels_share_no_rows

    def _f_test(self, fits, i, uncertain):
        """The F statistic of a fit and its denominator degrees of freedom."""
        change = self.units.beta_change(fits.coefficients[i])[self.units.data.kept]
        distances = self.distances + self.contrasts @ change
        whitened = self.contrasts @ self.units.beta_root(fits.fixed_root[i])
        left, sizes, basis = np.linalg.svd(whitened, full_matrices=False)
        errors = (left.T @ distances) / sizes
        df, factor = uncertain.joint(whitened, basis)
        wald = errors @ np.linalg.solve(uncertain.restricted(basis), errors)
        wald /= float(self.units.scale(fits.scale[i]))
        return factor * wald / len(basis), df


@dataclass(frozen=True)
class LikelihoodRatioTest(ReplicateTask):
    """
    Task that computes p-values of likelihood-ratio tests in simulated studies.

    Parameters
    ----------
    replicates : Replicates
        Draws from the planned model, and fits of the full and the restricted one.
    counts : tuple of int
        Numbers of fixed effects, variances and covariances tested.
    shift : ndarray or float
        What the draws lack of the fixed part and the restricted model cannot restore.
    """

    counts: tuple
    shift: Any = 0.0

    def __call__(self, sequences):
        """One p-value per seed, NaN where a fit failed; and which are separated."""
        responses = self.replicates.response.draw(generators(sequences)) + self.shift
        full, restricted = (d.criteria(responses) for d in self.replicates.designs)
        statistics = restricted - full
        statistics = np.where(statistics < ROUNDING, 0.0, statistics)
        known = np.isfinite(statistics)
        pvalues = np.full(len(statistics), np.nan)
        pvalues[known] = [mixture_pvalue(s, *self.counts) for s in statistics[known]]
        return pvalues, np.zeros(len(statistics), dtype=bool)


def wald_task(planned, hypothesis, df_method):
    """
    The task for Wald tests of a design.

    Parameters
    ----------
    planned : MixedResults
        The planned fit.
    hypothesis : FixedHypothesis
        What is tested.
    df_method : str
        Kind of degrees of freedom.

    Returns
    -------
    WaldTest
    """
    kept = planned._estimates.kept
    df = planned._residual_df if df_method == "residual" else np.inf
    return WaldTest(
        Replicates(drawn_response(planned), (design_of(planned),)),
        planned._units,
        hypothesis.contrasts[:, kept],
        hypothesis.sizes(planned.params),
        df_method,
        float(df),
    )


def likelihood_ratio_task(planned, hypothesis, size, pilot, options):
    """
    The task for likelihood-ratio tests of a design.

    Parameters
    ----------
    planned : MixedResults
        The planned fit, by maximum likelihood if fixed effects are tested.
    hypothesis : FixedHypothesis or RandomHypothesis
        What is tested.
    size : StudySize
        The size of the design.
    pilot : MixedResults
        The fit of which it is a size.
    options : dict
        Arguments of ``fit``.

    Returns
    -------
    LikelihoodRatioTest
    """
    response, full = drawn_response(planned), design_of(planned)
    if hypothesis.is_random:
        restricted = _fewer_effects(planned, hypothesis, size, pilot, options)
        counts = Comparison(planned, restricted).determined_counts
        if restricted is None:
            design = without_effects_design(planned)
        else:
            design = design_of(restricted)
        return LikelihoodRatioTest(Replicates(response, (full, design)), counts)
    restricted, missing = _fewer_columns(planned, hypothesis, options)
    shift = 0.0
    if planned._is_gaussian:
        shift = planned.model.exog[:, planned._estimates.kept] @ missing
    designs = full, design_of(restricted)
    q = np.linalg.matrix_rank(hypothesis.contrasts)
    return LikelihoodRatioTest(Replicates(response, designs), (int(q), 0, 0), shift)


def _fewer_columns(planned, hypothesis, options):
    """
    The planned fit of the model in which a hypothesis holds, and what it lacks.

    With beta = b + N g, where L b = l and the columns of N span the null space of L,
    the model has the columns X N and the offset X b. The planned beta is b + N g + m.
    """
    kept = planned._estimates.kept
    contrasts, beta = hypothesis.contrasts[:, kept], planned.params[kept]
    inverse = np.linalg.pinv(contrasts)
    base, free = inverse @ hypothesis.values, null_space(contrasts)
    model = planned.model
    exog = model.exog[:, kept]
    restricted = with_fixed(planned, exog @ free)
    if base.any():
        offset = exog @ base
        restricted.offset = offset + (0.0 if model.offset is None else model.offset)
    plan = replace(Plan.of(planned), fixed=free.T @ (beta - base))
    missing = inverse @ (contrasts @ beta - hypothesis.values)
    return at_plan(restricted, plan, options), missing


def _fewer_effects(planned, hypothesis, size, pilot, options):
    """The planned fit of the model without some random effects, if any are left."""
    if hypothesis.restricted is None:
        return None
    model = size.model(pilot, hypothesis.restricted)
    plan, full = Plan.of(planned), planned.model.random
    factors = {e.name: i for i, e in enumerate(full)}
    covariances = []
    for effects in model.random:
        i = factors[effects.name]
        names = list(full[i].effect_names)
        at = [names.index(name) for name in effects.effect_names]
        covariances.append(plan.covariances[i][np.ix_(at, at)])
    return at_plan(model, replace(plan, covariances=covariances), options)
