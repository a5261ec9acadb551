"""What the scans of all models have in common."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from statsmodels_lmm.core.rows.standardize import independent_columns
from statsmodels_lmm.core.scans.estimates import EMPTY, Estimates
from statsmodels_lmm.core.scans.forms import outside


@dataclass(frozen=True, eq=False, kw_only=True)
class ScanModel:
    """
    A model whose candidates are to be tested, in standardized units.

    A kind of model defines `_held` and `_exact`, which take candidates outside X and
    whether they are one set, and `_null`.

    Parameters
    ----------
    exog : ndarray
        X, with X'X = n I, shape (n, p).
    endog : ndarray
        y, shape (n,).
    reml : bool
        Whether the criterion is REML's.
    without : ndarray, optional
        Rows left out; they are zero in `exog` and `endog`.
    """

    exog: np.ndarray
    endog: np.ndarray
    reml: bool
    without: Any = ()

    @property
    def nobs(self):
        """Number of rows used."""
        return len(self.endog) - len(self.without)

    @property
    def k_fixed(self):
        """Number of columns of X."""
        return self.exog.shape[1]

    def df_resid(self, width):
        """Number of rows minus that of the fixed effects with `width` candidates."""
        return self.nobs - self.k_fixed - width

    def nu(self, width):
        """Degrees of freedom of the residual variance with `width` candidates."""
        return self.df_resid(width) if self.reml else self.nobs

    def left_out(self, rows) -> Self:
        """
        The model without some of its rows; variances that are held stay the same.

        Parameters
        ----------
        rows : ndarray
            Their positions.

        Returns
        -------
        ScanModel
        """
        n = len(self.endog)
        exog, endog = self.exog.copy(), self.endog.copy()
        exog[rows] = endog[rows] = 0.0
        exog = np.linalg.qr(exog[:, independent_columns(exog)])[0] * np.sqrt(n)
        return replace(self, exog=exog, endog=endog, without=rows)

    def estimates(self, columns, is_exact, is_set=False):
        """
        Estimates of candidates.

        Parameters
        ----------
        columns : ndarray
            Candidates times the square roots of the weights, shape (n, r), changed in
            place. Rows left out are zero.
        is_exact : bool
            Whether variances are the best for each, or those without candidates.
        is_set : bool, optional
            Whether the candidates are one set, in which none depends on those before.

        Returns
        -------
        Estimates
            Of r candidates, or of one set.
        """
        columns, reason = outside(columns, self.exog)
        width = columns.shape[1] if is_set else 1
        if is_set:
            reason = reason[reason.argmax()][None]
        if self.df_resid(width) < 1:
            reason[:] = EMPTY
        out = self.nothing(width, reason)
        used = np.flatnonzero(reason == 0)
        if len(used):
            if len(used) < len(reason):
                columns = columns[:, used]
            find = self._exact if is_exact else self._held
            out.put(used, find(columns, is_set))
        out.null_value[:], out.null_squares[:] = self._null(is_exact)
        return out

    def nothing(self, width, reason):
        """Estimates that are yet to be made, or never, with the codes of reasons."""
        size = len(reason), width, self.nobs, self.df_resid(width)
        out = Estimates.nothing(*size)
        out.reason[:] = reason
        return out

    def _unit_columns(self):
        """A column for each row left out, shape (n, number of these rows)."""
        units = np.zeros((len(self.endog), len(self.without)))
        units[self.without, np.arange(len(self.without))] = 1.0
        return units

    def _held(self, columns, is_set):
        """Estimates at the variances without candidates."""
        raise NotImplementedError

    def _exact(self, columns, is_set):
        """Estimates at the best variances."""
        raise NotImplementedError

    def _null(self, is_exact):
        """Criterion without constants and r^2 of the model without candidates."""
        raise NotImplementedError
