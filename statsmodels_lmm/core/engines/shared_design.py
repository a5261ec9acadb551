"""What models with one design and many responses compute once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from statsmodels_lmm.core.engines.choice import (
    engine_for,
    sufficient_statistics,
    sufficient_statistics_of_sums,
)
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import standardize_design
from statsmodels_lmm.core.rows.standardized_sums import standardize_sums


@dataclass(eq=False)
class SharedDesign:
    """
    The standardized design, its engine and cross-products, formed when needed.

    Parameters
    ----------
    design : StandardizedDesign, optional
        The design.
    products : Products, optional
        Cross-products with any one of the responses.
    engine : Engine, optional
        The engine that formed them.
    choice : callable, optional
        Gives the engine for terms and a number of rows; default is `engine_for`.
    """

    design: Any = None
    products: Any = None
    engine: Any = None
    choice: Any = None

    def standardize(self, endog, exog, factors, weights):
        """
        Standardize a response, and the design if it is the first.

        Parameters
        ----------
        endog : ndarray
            Response minus its offset, shape (n,).
        exog, factors, weights
            The design, see `standardize_design`; always the same.

        Returns
        -------
        Standardized
        """
        if self.design is None:
            self.design = standardize_design(exog, factors, weights)
        return self.design.with_response(endog)

    def plain(self, endog, exog, factors):
        """
        A response that keeps its units, with the standardized design and its engine.

        Parameters
        ----------
        endog : ndarray
            Response, shape (n,).
        exog, factors
            The design, always the same.

        Returns
        -------
        Standardized
        """
        if self.design is None:
            self.design = standardize_design(exog, factors)
            self.engine = engine_for(self.design.terms, len(endog))
        return self.design.with_plain_response(endog)

    def of_sums(self, summed):
        """
        Standardize sums over rows, and form the cross-products.

        Parameters
        ----------
        summed : SummedRows
            The sums, always the same.

        Returns
        -------
        StandardizedSums
        """
        if self.design is None:
            self.design = standardize_sums(summed)
        if self.products is None:
            sums, terms = self.design.sums, self.design.terms
            if self.choice is None:
                self.products = sufficient_statistics_of_sums(sums, terms)
            else:
                self.engine = self.choice(terms, sums.nobs)
                self.products = self.engine.gather_sums(sums)
        return self.design

    def cross_products(self, data):
        """
        Cross-products with a response, and of the design if it is the first.

        Parameters
        ----------
        data : Standardized
            As returned by `standardize`.

        Returns
        -------
        Products
        """
        if self.products is not None:
            return self.products.with_response(data)
        if self.choice is None:
            self.products = sufficient_statistics(data.endog, data.exog, data.terms)
        else:
            self.engine = self.choice(data.terms, len(data.endog))
            self.products = self.engine.gather(Rows(data.endog, data.exog))
        return self.products

    @cached_property
    def left_by_fixed(self):
        """Share of each term's effect columns outside the span of X, see `Products`."""
        return self.products.left_by_fixed()
