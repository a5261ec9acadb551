"""The rows of a model, kept for when their cross-products do not suffice."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Rows:
    """
    The rows of a model in standardized units.

    Parameters
    ----------
    endog : ndarray or None
        Response, shape (n,); None if only the columns of X matter.
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    change : ndarray, optional
        A matrix that multiplies [X y] from the right, shape (p + 1, w).
    """

    endog: np.ndarray | None
    exog: np.ndarray
    change: np.ndarray | None = None

    def columns(self):
        """W = [X y], after the change, shape (n, w)."""
        if self.endog is None:
            return self.exog
        n, p = self.exog.shape
        whole = np.empty((n, p + 1), order="F")  # sums run down columns
        whole[:, :p], whole[:, p] = self.exog, self.endog
        return whole if self.change is None else whole @ self.change

    def gram(self):
        """W'W, shape (w, w)."""
        if self.endog is None or self.change is not None:
            whole = self.columns()
            return whole.T @ whole
        # W itself would be another copy of the data
        across = self.exog.T @ self.endog
        corner = self.endog @ self.endog
        return np.block([[self.exog.T @ self.exog, across[:, None]], [across, corner]])

    def level_sums(self, term):
        """Z'W for a term, level by level, shape (l, k, w)."""
        if self.endog is None or self.change is not None:
            return term.level_sums(self.columns())
        parts = self.exog, self.endog[:, None]
        return np.concatenate([term.level_sums(part) for part in parts], axis=-1)

    def times(self, contrast):
        """W c for a vector c, without forming W, shape (n,)."""
        if self.change is not None:
            contrast = self.change @ contrast
        if self.endog is None:
            return self.exog @ contrast
        return self.exog @ contrast[:-1] + contrast[-1] * self.endog

    def transformed(self, transform):
        """The same rows after a transform, see `row_transforms`."""
        endog = None if self.endog is None else transform.apply(self.endog)
        return replace(self, endog=endog, exog=transform.apply(self.exog))

    def turned(self, change):
        """The same rows with W times a matrix of shape (w, number of columns)."""
        before = self.change
        return replace(self, change=change if before is None else before @ change)
