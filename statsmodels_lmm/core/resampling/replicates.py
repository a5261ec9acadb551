"""Responses drawn from one model and fitted with one or more designs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from statsmodels_lmm.core.criteria.krylov import criterion_of
from statsmodels_lmm.core.engines.batches import is_batchable
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.engines.projection import WIDE
from statsmodels_lmm.core.resampling.draws import FamilyResponse, NormalResponse
from statsmodels_lmm.core.resampling.refits import Refits, batch_size, refit_all
from statsmodels_lmm.core.rows.standardize import Standardized


@dataclass(frozen=True)
class Refitting:
    """
    A design with which responses are fitted.

    Parameters
    ----------
    data : Standardized
        Standardized data.
    products : CrossProducts
        Cross-products of the data.
    start : tuple of RelativeFactor
        Starting point, in standardized units and in the order of the
        elimination plan.
    reml : bool
        Whether to minimize the REML criterion.
    root_weights : ndarray or float
        Square roots of the prior weights, shape (n,).
    """

    data: Standardized
    products: CrossProducts
    start: tuple
    reml: bool
    root_weights: np.ndarray | float = 1.0

    @property
    def size(self):
        """Number of responses to do at once, as determined by the design alone."""
        return batch_size(self.products)

    @property
    def in_batches(self):
        """Whether the fits to many responses are one array computation."""
        return is_batchable(self.products)

    def fit(self, responses):
        """Fits to responses in the units of the data, shape (r, n)."""
        return refit_all(self._criterion(responses), self.start)

    def _criterion(self, responses):
        """The criterion of many responses."""
        weighted = responses * self.root_weights
        products = self.products.with_responses(
            self.data, weighted / self.data.response_scale
        )
        return criterion_of(products, self.reml)

    def evaluations(self, responses, fits):
        """
        The criterion at each of some fits, with all that can be derived from it.

        Parameters
        ----------
        responses : ndarray
            Shape (r, n).
        fits : Refits
            Fits to them, see `fit`.

        Yields
        ------
        ProfiledDeviance or None
            None where a fit failed.
        """
        criterion = self._criterion(responses)
        for i, value in enumerate(fits.value):
            if not np.isfinite(value):
                yield None
                continue
            factors = fits.factors(self.products.plan.terms, i)
            yield criterion.take(i).evaluate(factors)

    @property
    def levels_share_no_rows(self):
        """Whether there is one term of few effects, so that K has a block a level."""
        plan = self.products.plan
        few = max((term.k_effects for term in plan.terms), default=0) <= WIDE
        return self.in_batches and plan.is_diagonal and few

    def evaluation(self, responses, fits):
        """The criterion at all of some fits, none of which failed."""
        factors = fits.factors(self.products.plan.terms, slice(None))
        return self._criterion(responses).evaluate(factors)

    def criteria(self, responses):
        """-2 log-likelihood at the fits to responses, shape (r,)."""
        return self.fit(responses).value + self.data.criterion_shift(self.reml)


class Design(Protocol):
    """
    A design with which responses are fitted, a `Refitting` or another.

    Attributes
    ----------
    size : int
        Number of responses to fit at once, whatever the number of workers.
    in_batches : bool
        Whether the fits to many responses are one array computation, of which threads
        can do several; fits one by one need processes.
    """

    size: int
    in_batches: bool

    def fit(self, responses) -> Refits:
        """Fits to responses in the units of the data, shape (r, n)."""

    def criteria(self, responses) -> np.ndarray:
        """-2 log-likelihood at the fits to responses, shape (r,); NaN where none."""


@dataclass(frozen=True)
class Replicates:
    """
    Draws from one model, to be fitted with one or more designs.

    Parameters
    ----------
    response : NormalResponse or FamilyResponse
        The model from which responses are drawn. A linear one leaves its fixed part
        out: it lies in the span of the fixed effects of every design, so it would
        change only the coefficients.
    designs : tuple of Design
        The designs with which they are fitted.
    """

    response: NormalResponse | FamilyResponse
    designs: tuple

    @property
    def size(self):
        """Number of replicates to do at once, as determined by the designs alone."""
        return min(d.size for d in self.designs)

    @property
    def in_batches(self):
        """Whether all designs fit many responses by array computations."""
        return all(d.in_batches for d in self.designs)

    def fit(self, generators):
        """
        Draw one replicate for each generator, and fit it with the first design.

        Parameters
        ----------
        generators : sequence of numpy.random.Generator
            One for each replicate, r in all.

        Returns
        -------
        responses : ndarray
            The responses drawn, shape (r, n).
        fits : Refits
            The fits.
        """
        responses = self.response.draw(generators)
        return responses, self.designs[0].fit(responses)

    def criteria(self, generators):
        """-2 log-likelihood of replicates by each design, a list of arrays (r,)."""
        responses = self.response.draw(generators)
        return [design.criteria(responses) for design in self.designs]


@dataclass(frozen=True)
class ReplicateTask:
    """
    Base of the tasks that compute something from replicates, piece by piece.

    Parameters
    ----------
    replicates : Replicates
        Draws and their fits.
    """

    replicates: Replicates

    @property
    def in_batches(self):
        """Whether the replicates are fitted by array computations."""
        return self.replicates.in_batches

    @property
    def size(self):
        """Number of replicates to handle at once."""
        return self.replicates.size
