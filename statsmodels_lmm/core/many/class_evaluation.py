"""
The criterion of many responses with one grouping factor, and its derivatives.

Notation as in `criteria.derivatives`: for a level with A = Z_g'Z_g and S = L L',

    M = L (I + L'A L)^-1 L',    J = I - A M,    K = J A,

so that Z_g'V^-1 W is J W_g and W'V^-1 W is W'W less the sum of W_g'M W_g. Sums over the
levels of a class involve its A alone and sums of products of entries of W_g.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.derivatives import Derivatives
from statsmodels_lmm.core.many.small_matrices import (
    inner,
    inverse_root,
    shared_times,
    swapped,
    times,
    within,
)

EPSILON = np.finfo(float).eps


@dataclass(frozen=True)
class ClassEvaluation:
    """
    The criterion at one value of the factor for each response.

    The arrays that a search and a summary read have the responses first, as in
    `ProfiledDeviance`; those of this module have them last.

    Parameters
    ----------
    criterion : ClassCriterion
        The criterion.
    factors : tuple of RelativeFactor
        The factor, r values of it.
    value, scale, rounding : ndarray
        The criterion, the residual variance and the rounding error, shape (r,).
    inner : list of ndarray
        J of each class, shapes (k, k, r).
    half : ndarray
        Inverse of the lower Cholesky factor of X'V^-1 X, shape (p, p, r).
    beta : ndarray
        Coefficients, shape (p, r).
    """

    criterion: Any
    factors: tuple
    value: np.ndarray
    scale: np.ndarray
    rounding: np.ndarray
    inner: list
    half: np.ndarray
    beta: np.ndarray

    @classmethod
    def at(cls, criterion, factors):
        """
        Evaluate the criterion.

        Parameters
        ----------
        criterion : ClassCriterion
            The criterion.
        factors : sequence of RelativeFactor
            The factor, one value or r.

        Returns
        -------
        ClassEvaluation

        Raises
        ------
        numpy.linalg.LinAlgError
            If nothing is left of the residual variance of a response.
        """
        classes, r = criterion.classes, len(criterion.total)
        (factor,) = (f.broadcast(r) for f in factors)
        root = _last(factor.matrix)
        k, p, nu = len(root), len(classes.gram), criterion.nu
        identity = np.eye(k)[:, :, None]
        gram = np.repeat(classes.gram[:, :, None], r, axis=2)
        right, left = criterion.fixed.copy(), criterion.total.copy()
        logdet, inside = np.zeros(r), []
        for c, a in enumerate(classes.grams):
            inverse, each = inverse_root(
                times(swapped(root), shared_times(a, root)) + identity
            )
            logdet += classes.counts[c] * each
            m = times(inverse, swapped(root))
            m = times(swapped(m), m)
            pairs = classes.fixed[c].reshape(p * p, k * k)
            gram -= shared_times(pairs, m.reshape(k * k, r)).reshape(gram.shape)
            right -= inner(m, criterion.cross[c])
            left -= inner(m, criterion.squares[c])
            # of a single effect J is known without a difference
            inside.append(inverse**2 if k == 1 else identity - shared_times(a, m))
        half, of_fixed = inverse_root(gram) if p else (gram, 0.0)
        explained = np.einsum("ijr,jr->ir", half, right)
        squares = left - (explained**2).sum(axis=0)
        if not (squares > 0.0).all():
            raise np.linalg.LinAlgError("nothing is left of the residual variance")
        scale = squares / nu
        value = logdet + nu * (1.0 + np.log(2.0 * np.pi * scale))
        if criterion.reml:
            value += of_fixed
        rounding = np.maximum(1e-14 * np.abs(value), EPSILON * classes.nobs / scale)
        beta = np.einsum("jir,jr->ir", half, explained)
        return cls(criterion, (factor,), value, scale, rounding, inside, half, beta)

    @property
    def point(self):
        """The point of evaluation: the factor."""
        return self.factors

    @property
    def reml(self):
        """Whether the criterion is that of REML."""
        return self.criterion.reml

    @property
    def nu(self):
        """Degrees of freedom of the residual variances."""
        return self.criterion.nu

    @property
    def coefficients(self):
        """Fixed effects, shape (r, p)."""
        return self.beta.T

    @property
    def half_fixed(self):
        """Inverse of the lower Cholesky factor of X'V^-1 X, shape (r, p, p)."""
        return np.moveaxis(self.half, -1, 0)

    @property
    def information(self):
        """Sum over the levels of Z_g'V^-1 Z_g, shape (r, k, k), in a tuple."""
        return (np.moveaxis(self._sums.kernel, -1, 0),)

    @property
    def units(self):
        """Natural step lengths of the free parameters, shape (r, m)."""
        (information,), levels = self.information, len(self.criterion.classes.codes)
        diagonal = np.diagonal(information, axis1=-2, axis2=-1)
        return self.factors[0].units(diagonal / levels)

    @cached_property
    def _sums(self):
        return _sums(self)

    def derivatives(self, exact=True):
        """First derivatives and the Hessian, whatever is asked for."""
        return self._derivatives

    @cached_property
    def _derivatives(self):
        sums, scale, factor = self._sums, self.scale, self.factors[0]
        dual = sums.kernel - sums.scores / scale
        if self.criterion.reml:
            dual = dual - sums.fixed_scores
        dual = np.moveaxis(0.5 * (dual + swapped(dual)), -1, 0)
        working = inner(sums.directions, sums.scores) / scale
        along = np.einsum("jkr,kmr->jmr", self.half, sums.across)
        hessian = _pairs(sums.directions, sums.products)
        hessian -= 2.0 / scale * np.einsum("jmr,jnr->mnr", along, along)
        hessian -= working[:, None] * working / self.nu
        if self.criterion.reml:
            hessian -= np.einsum("mijr,nijr->mnr", self._slopes, self._slopes)
        hessian = np.moveaxis(hessian, -1, 0) + factor.curvature(dual)
        # a part whose information is not needed stands for `observed`
        return Derivatives((dual,), factor.slope(dual), hessian, hessian, working.T)

    @cached_property
    def _slopes(self):
        """Changes of the covariance of R'beta / sigma^2, shape (m, p, p, r)."""
        half = self.half
        return times(times(half, self._sums.changes), swapped(half))

    @property
    def variance_forms(self):
        """What `satterthwaite` reads the changes of the covariance from: itself."""
        return self

    def free_slopes(self):
        """Changes of the covariance of R'beta along the parameters, (r, m, p, p)."""
        return np.moveaxis(self._slopes, -1, 0)


@dataclass(frozen=True)
class _Sums:
    """
    Sums over all levels, with t = J e_g for residuals e, and D_a = dS / da.

    Parameters
    ----------
    directions : ndarray
        D_a, shape (m, k, k, r).
    kernel, scores, fixed_scores : ndarray
        K, t t' and, for y = J X_g R^-T, y y', shapes (k, k, r).
    products : ndarray
        The part of the Hessian that is a sum over levels, K_jk B_li with B = 2 t t' /
        scale + 2 y y' - K, shape (k, k, k, k, r).
    across : ndarray
        X_g'J'D_a t, shape (p, m, r).
    changes : ndarray
        X_g'J'D_a J X_g, shape (m, p, p, r).
    """

    directions: np.ndarray
    kernel: np.ndarray
    scores: np.ndarray
    fixed_scores: np.ndarray
    products: np.ndarray
    across: np.ndarray
    changes: np.ndarray


def _sums(evaluation):
    criterion, beta = evaluation.criterion, evaluation.beta
    classes, half, reml = criterion.classes, evaluation.half, criterion.reml
    directions = _last(evaluation.factors[0].directions)
    m, k, _, r = directions.shape
    p = len(beta)
    covariance = times(swapped(half), half) if p else half
    kernel, scores, fixed_scores = np.zeros((3, k, k, r))
    products = np.zeros((k, k, k, k, r))
    across, changes = np.zeros((p, m, r)), np.zeros((p, p, m, r))
    for c, j in enumerate(evaluation.inner):
        pairs = classes.fixed[c].reshape(p * p, k * k)
        # sums of x e' and e e' for the residuals e of the levels
        fitted = shared_times(
            classes.fixed[c].transpose(0, 2, 3, 1).reshape(p * k * k, p), beta
        ).reshape(p, k, k, r)
        errors = criterion.cross[c] - fitted
        both = criterion.squares[c] - np.einsum(
            "ir,iabr->abr", beta, errors + swapped(criterion.cross[c])
        )
        own = times(j, np.repeat(classes.grams[c][:, :, None], r, axis=2))
        t = within(j, 0.5 * (both + swapped(both)))
        kernel += classes.counts[c] * own
        scores += t
        b = 2.0 / evaluation.scale * t - classes.counts[c] * own
        if reml and p:
            y = shared_times(pairs.T, covariance.reshape(p * p, r)).reshape(k, k, r)
            y = within(j, y)
            fixed_scores += y
            b += 2.0 * y
        products += own[:, :, None, None] * b
        turned = within(swapped(j), directions)
        across += np.einsum("iabr,mabr->imr", errors, turned)
        flat = turned.transpose(1, 2, 0, 3).reshape(k * k, m, r)
        changes += shared_times(pairs, flat).reshape(p, p, m, r)
    changes = changes.transpose(2, 0, 1, 3)
    return _Sums(directions, kernel, scores, fixed_scores, products, across, changes)


def _pairs(directions, products):
    """Sums of D_a,ij P_jk,li D_b,kl for pairs of directions, symmetric, (m, m, r)."""
    m, k, _, r = directions.shape
    half = np.zeros((m, k, k, r))
    for i in range(k):
        for j in range(k):
            half += directions[:, i, j, None, None] * products[j, :, :, i]
    out = np.einsum("maxr,naxr->mnr", half, directions)
    return 0.5 * (out + out.swapaxes(0, 1))


def _last(matrices):
    """The responses moved from the first axis to the last, contiguous."""
    return np.ascontiguousarray(np.moveaxis(matrices, 0, -1))
