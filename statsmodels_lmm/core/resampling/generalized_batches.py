"""Fits of a generalized model to many responses, as one array computation."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.laplace_in_batches import LaplaceBatch
from statsmodels_lmm.core.resampling.generalized_refits import (
    SETTINGS,
    GeneralizedRefits,
    GeneralizedRefitting,
)
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.core.structures.relative_factor import block_diagonal
from statsmodels_lmm.core.structures.roots import lower_entries
from statsmodels_lmm.core.uncertainty.joint_covariance import joint_covariances
from statsmodels_lmm.core.uncertainty.separation import (
    is_suspicious,
    signs,
    unlimited_effects,
)

ENTRIES = 2**18
"""Size of the largest array of a batch, which the cache should hold."""

MAX_BATCH = 1000
"""Largest number of fits in one batch."""


@dataclass(frozen=True)
class GeneralizedBatches(GeneralizedRefitting):
    """
    A generalized model of one grouping factor, with which responses are fitted.

    See `GeneralizedRefitting`. Fits that do not end at a proved optimum with finite
    estimates are repeated one by one.
    """

    in_batches = True

    @staticmethod
    def suits(criterion):
        """Whether the criterion can be minimized for many responses at once."""
        if criterion.nagq != 1:
            return False
        return LaplaceBatch.suits(criterion.model, criterion.observed)

    @property
    def size(self):  # type: ignore[override]
        """Number of responses to do at once, as determined by the design alone."""
        n, p = self.criterion.model.exog.shape
        width = n * (p + sum(f.n_free for f in self.factors))
        return int(np.clip(ENTRIES // width, 1, MAX_BATCH))

    def fit(self, responses):
        """Fits to responses, shape (r, n), in the form that the family takes."""
        finite = np.flatnonzero(np.isfinite(responses).all(axis=-1))
        together, is_good = self._fit_together(responses[finite])
        fits = [together.take(np.flatnonzero(is_good))]
        places = [finite[is_good]]
        rest = np.setdiff1d(np.arange(len(responses)), places[0])
        if len(rest):
            fits, places = [*fits, super().fit(responses[rest])], [*places, rest]
        return GeneralizedRefits.join(fits).take(np.argsort(np.concatenate(places)))

    def criteria(self, responses):
        """-2 log-likelihood at the fits to responses, shape (r,)."""
        return self.fit(responses).value

    def _fit_together(self, responses):
        """Fits to finite responses, and whether each needs no other."""
        model = self.criterion.model
        (term,) = model.terms
        batch = LaplaceBatch.of(model, responses)
        state = np.zeros((term.n_levels, term.k_effects))
        start = batch.start(self.coefficients, self._start[0][0], state)
        try:
            evaluation, optimum = minimize(batch, start, SETTINGS)
        except np.linalg.LinAlgError:  # one of them spoils the others
            nothing = GeneralizedRefits.join([self._nothing()] * len(responses))
            return nothing, np.zeros(len(responses), dtype=bool)
        covariance, is_regular = joint_covariances(evaluation)
        known, p = evaluation.fixed_information, len(self.coefficients)
        is_regular &= np.isfinite(known).all(axis=(-1, -2))  # within the link's range
        information = np.broadcast_to(np.eye(p), known.shape).copy()
        if self.variances_known:
            information[is_regular] = known[is_regular]
        else:
            information[is_regular] = np.linalg.inv(covariance[is_regular, :p, :p])
        moves = evaluation.factor.blocks
        slopes = [transpose(lower_entries(b.directions)) for b in moves]
        slopes = block_diagonal([*slopes, np.zeros((len(responses), 1, 0))])
        is_good = is_regular & optimum.certified & np.isfinite(evaluation.value)
        is_good &= ~self._may_lack_variance(responses)
        found = evaluation.coefficients[is_good], known[is_good]
        is_good[is_good] = ~is_suspicious(model.exog, *found)
        count = len(responses)
        fits = GeneralizedRefits(
            evaluation.value,
            evaluation.coefficients - self.coefficients,
            np.linalg.cholesky(information),
            np.ones(count),
            (evaluation.factor.covariance,),
            np.zeros((count, 0)),
            slopes @ covariance[:, p:, p:] @ transpose(slopes),
            optimum.certified,
            optimum.evaluations,
            np.zeros(count, dtype=bool),
            np.full(count, np.nan),
        )
        return fits, is_good

    def _may_lack_variance(self, responses):
        """Whether each response may be constant within every level, shape (r,)."""
        family = self.criterion.model.family
        sign = signs(family.name, family.link_name, responses)
        if sign is None:
            return np.zeros(len(responses), dtype=bool)
        return np.array(
            [any(unlimited_effects(f, s).any() for f in self.of_user) for s in sign],
            dtype=bool,
        )
