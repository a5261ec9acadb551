"""Responses drawn from one model and fitted with one or more designs."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.resampling.draws import RandomPart
from statsmodels_lmm.core.resampling.refits import batch_size, refit_all
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
    """

    data: Standardized
    products: CrossProducts
    start: tuple
    reml: bool

    def fit(self, responses):
        """Fits to weighted responses in the units of the data, shape (r, n)."""
        products = self.products.with_responses(
            self.data, responses / self.data.response_scale
        )
        return refit_all(Profiled(products, self.reml), self.start)


@dataclass(frozen=True)
class Replicates:
    """
    Draws from one model, each fitted with one or more designs.

    The fixed part of the model is left out. It lies in the span of the fixed effects of
    every design, so it would change only the coefficients.

    Parameters
    ----------
    part : RandomPart
        The model from which responses are drawn.
    designs : tuple of Refitting
        The designs with which they are fitted.
    """

    part: RandomPart
    designs: tuple

    @property
    def size(self):
        """Number of replicates to do at once, as determined by the designs alone."""
        return min(batch_size(d.products) for d in self.designs)

    def fit(self, generators):
        """
        Draw and fit one replicate for each generator.

        Parameters
        ----------
        generators : sequence of numpy.random.Generator
            One for each replicate, r in all.

        Returns
        -------
        responses : ndarray
            The responses drawn, shape (r, n).
        fits : tuple of Refits
            The fits with each design.
        """
        responses = self.part.draw(generators)
        weighted = responses * np.asarray(self.part.root_weights)
        return responses, tuple(d.fit(weighted) for d in self.designs)
