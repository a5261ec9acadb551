"""
Which combinations of the fixed effects the data determine.

Columns of X that depend linearly on others were dropped, X_d = X_k A. A combination
l'beta that satisfies the same relations, l_d' = l_k' A, has the same value whichever
redundant columns are dropped (Searle 1971, section 5.4); any other is arbitrary.

References
----------
Searle, S. R. (1971). Linear Models. New York: Wiley.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.rows.standardize import RANK_TOLERANCE

ESTIMABLE = 1e-6
"""Share of a combination above which a departure from the relations counts."""


@dataclass(frozen=True)
class Estimability:
    """
    The relations among the columns of a design.

    Parameters
    ----------
    kept : ndarray
        Which of the p columns were kept, booleans, shape (p,).
    relations : ndarray
        A, the d dropped columns as combinations of the r columns kept, (r, d); NaN if
        unknown.
    """

    kept: np.ndarray
    relations: np.ndarray

    def outside(self, rows):
        """
        Coefficients of the dropped columns minus those that the kept ones imply.

        Parameters
        ----------
        rows : ndarray
            Coefficients l, shape (m, p).

        Returns
        -------
        ndarray
            Shape (m, d).
        """
        kept, dropped = rows[:, self.kept], rows[:, ~self.kept]
        beyond = dropped - kept @ self.relations
        size = np.abs(dropped) + np.abs(kept) @ np.abs(self.relations)
        beyond[np.abs(beyond) <= ESTIMABLE * size] = 0.0
        return beyond

    def determined(self, rows):
        """
        Whether the data determine the combinations.

        Parameters
        ----------
        rows : ndarray
            Coefficients l, shape (m, p).

        Returns
        -------
        ndarray
            Booleans, shape (m,).
        """
        return (self.outside(rows) == 0.0).all(axis=1)


def estimability(exog, kept):
    """
    The relations among the columns of a design.

    Parameters
    ----------
    exog : ndarray
        X, shape (n, p).
    kept : ndarray
        Which columns were kept, booleans, shape (p,).

    Returns
    -------
    Estimability
    """
    if kept.all():
        return Estimability(kept, np.zeros((len(kept), 0)))
    norms = np.linalg.norm(exog, axis=0)
    norms[norms == 0.0] = 1.0
    unit = exog / norms
    combinations = np.linalg.lstsq(unit[:, kept], unit[:, ~kept])[0]
    combinations[np.abs(combinations) <= RANK_TOLERANCE] = 0.0
    return Estimability(kept, combinations * norms[~kept] / norms[kept, None])
