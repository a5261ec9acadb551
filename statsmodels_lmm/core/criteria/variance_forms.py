"""
What changes of the covariance matrix sigma^2 V do to a fit.

A *direction* is a change V_r of sigma^2 V: Z (I (x) D) Z' for a change D of the
covariance matrix of a term, a coordinate of the errors' covariance if there is one, or
V itself. With X'V^-1 X = F F' and G = V^-1 X F^-T, the coefficients F'beta have
covariance I in units of sigma^2, which changes by G'V_r G.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import consecutive, transpose
from statsmodels_lmm.core.criteria.derivatives import (
    dual_matrices,
    of_all_factors,
    projected_products,
    trace_products,
    working_products,
)
from statsmodels_lmm.core.structures.relative_factor import block_diagonal


@dataclass(frozen=True)
class VarianceForms:
    """
    The forms of a model with independent errors.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    """

    deviance: Any

    usual_information = "expected"
    """Information that Kenward and Roger's method takes unless told otherwise."""

    n_coordinates = 0
    """Number of coordinates of the errors' covariance."""

    @property
    def unit_changes(self):
        """Changes of sigma^2 S of each term per unit of its parameters, (m_i, k, k)."""
        scale = np.asarray(self.deviance.scale)
        return [f.unit_changes(scale) for f in self.deviance.factors]

    def free_slopes(self):
        """Changes of the covariance of F'beta along the free parameters, (m, p, p)."""
        pairs = zip(self.deviance.factors, self.deviance.fixed_scores)
        each = [level_forms(y, f.directions) for f, y in pairs]
        return np.concatenate(each, axis=-3)

    def require(self, what, instead):
        """
        Raise MemoryError if the traces need matrices that do not fit.

        Parameters
        ----------
        what, instead : str
            What needs them, and an alternative that does not.
        """
        self.deviance.elimination.products.require_projection(what, instead)

    def working_products(self):
        """
        Products y'P V_r P y and y'P V_r P V_s P y, for parameters without sigma^2.

        Returns
        -------
        first, products : ndarray
            Shapes (m,) and (m, m).
        """
        return working_products(self.deviance, self.unit_changes)

    def traces(self):
        """Traces tr(P V_r P V_s) for the parameters and V, shape (m + 1, m + 1)."""
        return expected_traces(self.deviance, of_all_factors(self.unit_changes))

    def bend(self):
        """Half the terms of the Hessian with second derivatives of V, shape (m, m)."""
        pairs = zip(self.deviance.factors, dual_matrices(self.deviance))
        return block_diagonal([f.bend(dual) for f, dual in pairs])

    def slopes(self, changes, along):
        """
        Changes G'V_r G of the covariance of F'beta, as terms of a sum.

        Parameters
        ----------
        changes : sequence of ndarray
            D_r of each term, shapes (r, k_i, k_i).
        along : ndarray
            Changes of the coordinates, shape (r, c).

        Returns
        -------
        list of ndarray
            Shapes (r, p, p).
        """
        return [level_forms(y, d) for d, y in zip(changes, self.deviance.fixed_scores)]

    def products(self, changes, along):
        """
        G'V_r P V_r G for one direction.

        Parameters
        ----------
        changes : sequence of ndarray
            D_r of each term, shapes (k_i, k_i).
        along : ndarray
            Change of the coordinates, shape (c,).

        Returns
        -------
        ndarray
            Shape (p, p).
        """
        return projected_products(self.deviance, self._columns(changes))

    def _columns(self, changes):
        """D_r Z'G of each term, shapes (l_i, k_i, p)."""
        return [d @ y for d, y in zip(changes, self.deviance.fixed_scores)]

    def curvature(self, root):
        """
        G'V_rs G / sigma^2 for second derivatives V_rs of sigma^2 V, with weights B B'.

        They are zero where V is linear in covariances, and else in the natural
        parameters of `block.CovarianceBlock.natural_bend`.

        Parameters
        ----------
        root : ndarray
            B for all parameters, sigma^2 last, shape (m + c + 1, r).

        Returns
        -------
        float or ndarray
            Shape (p, p).
        """
        deviance, total = self.deviance, 0.0
        scale = float(deviance.scale)
        places = consecutive(f.n_parameters for f in deviance.factors)
        pairs = zip(deviance.factors, deviance.fixed_scores) if places else ()
        for (factor, y), place in zip(pairs, places):
            bend = factor.natural_bend(scale * root[place], root[-1])
            if bend.any():
                total = total + level_forms(y, bend[None])[0]
        return total

    def of_user(self):
        """
        The directions of the user's parameters, in terms of those of this class.

        A change of sigma^2 alone changes V by V - Z S Z', with S of the unstructured
        blocks.

        Returns
        -------
        ndarray
            Shape (m + 1, m + 1).
        """
        factors = self.deviance.factors
        counts = sum(f.n_parameters for f in factors)
        change = np.eye(counts + self.n_coordinates + 1)
        if factors:
            change[:counts, -1] = -np.concatenate([f.scale_slopes() for f in factors])
        return change


def level_forms(y, changes):
    """
    Sums over the levels of y_g'D y_g.

    Parameters
    ----------
    y : ndarray
        Rows of each level, shape (..., l, k, p).
    changes : ndarray
        D, shape (..., m, k, k).

    Returns
    -------
    ndarray
        Shape (..., m, p, p).
    """
    *batch, n_levels, k, p = y.shape
    flat = y.reshape(*batch, n_levels, k * p)
    gram = (transpose(flat) @ flat).reshape(*batch, k, p, k, p)
    return np.einsum("...mab,...apbq->...mpq", changes, gram)


def expected_traces(deviance, changes):
    """
    Traces tr(P V_r P V_s) for changes V_r = Z (I (x) D_r) Z' and, last, V itself.

    For ML, V^-1 takes the place of P.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    changes : sequence of ndarray
        D_r of each term, shapes (m, k_i, k_i).

    Returns
    -------
    ndarray
        Shape (m + 1, m + 1).
    """
    m = len(changes[0])
    out = np.zeros((m + 1, m + 1))
    out[:m, :m] = trace_products(deviance, changes)
    for change, sums, y in zip(
        changes, deviance.selected.level_sums, deviance.fixed_scores
    ):
        # P V P is P
        within = sums - np.einsum("gap,gbp->ab", y, y) if deviance.reml else sums
        out[m, :m] += (change * within).sum(axis=(-1, -2))
    out[:m, m] = out[m, :m]
    out[m, m] = deviance.nu
    return out
