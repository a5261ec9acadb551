"""What models of one design and many responses form once for all."""

from dataclasses import dataclass
from typing import Any

from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.engines.responses import with_response
from statsmodels_lmm.core.rows.standardize import standardize_design


@dataclass(eq=False)
class SharedDesign:
    """
    The standardized design and its cross-products, formed when they are needed.

    Parameters
    ----------
    design : StandardizedDesign, optional
        The design.
    products : CrossProducts or SparseProducts, optional
        Cross-products with any one of the responses.
    """

    design: Any = None
    products: Any = None

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
        CrossProducts or SparseProducts
        """
        if self.products is None:
            self.products = sufficient_statistics(data.endog, data.exog, data.factors)
            return self.products
        return with_response(self.products, data)
