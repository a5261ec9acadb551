"""What models of one design and many responses form once for all."""

from dataclasses import dataclass
from typing import Any

from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import standardize_design


@dataclass(eq=False)
class SharedDesign:
    """
    The standardized design, its engine and cross-products, formed when they are needed.

    Parameters
    ----------
    design : StandardizedDesign, optional
        The design.
    products : Products, optional
        Cross-products with any one of the responses.
    engine : Engine, optional
        What formed them.
    """

    design: Any = None
    products: Any = None
    engine: Any = None

    def standardize(self, endog, exog, factors, weights):
        """
        Standardize a response, and the design if it is the first one.

        Parameters
        ----------
        endog : ndarray
            Response less its offset, shape (n,).
        exog, factors, weights
            The design, see `standardize_design`; always the same.

        Returns
        -------
        Standardized
        """
        if self.design is None:
            self.design = standardize_design(exog, factors, weights)
        return self.design.with_response(endog)

    def cross_products(self, data):
        """
        Cross-products with a response, all of them if it is the first one.

        Parameters
        ----------
        data : Standardized
            What `standardize` returned.

        Returns
        -------
        Products
        """
        if self.products is not None:
            return self.products.with_response(data)
        self.engine = engine_for(data.terms, len(data.endog))
        self.products = self.engine.gather(Rows(data.endog, data.exog))
        return self.products
