"""
One grouping factor, by classes of levels with the same Z_g'Z_g.

With W_g = Z_g'[X y], everything that the criterion and its Hessian need of the levels
of a class is their number, their common A = Z_g'Z_g, and the sums of products of the
entries of W_g. Subjects measured on the same days are one class, whatever their number.
"""

from dataclasses import dataclass, fields

import numpy as np

from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.many.class_evaluation import ClassEvaluation

MOST = 24
"""Number of classes up to which they pay in any case."""

SHARED = 3
"""Levels per class from which more of them pay as well."""

FEW_EFFECTS = 4
"""Number of effects up to which their algebra is written out."""

DIGITS = 12
"""Digits in which the entries of A agree within a class."""


@dataclass(frozen=True)
class LevelClasses:
    """
    The classes of the levels of a design, without a response.

    Parameters
    ----------
    grams : ndarray
        A of each class, shape (d, k, k).
    counts : ndarray
        Number of levels of each class, shape (d,).
    codes : ndarray
        Class of each level, shape (l,).
    level_fixed : ndarray
        Z_g'X of each level, shape (l, k, p).
    fixed : ndarray
        Sums of x_ai x_bj over the levels of each class, shape (d, p, p, k, k).
    gram : ndarray
        X'X, shape (p, p).
    nobs : int
        Number of rows n.
    """

    grams: np.ndarray
    counts: np.ndarray
    codes: np.ndarray
    level_fixed: np.ndarray
    fixed: np.ndarray
    gram: np.ndarray
    nobs: int

    @classmethod
    def of(cls, products):
        """
        The classes of a design, if there are few enough.

        Parameters
        ----------
        products : CrossProducts or SparseProducts
            Sufficient statistics in standardized units, of any response.

        Returns
        -------
        LevelClasses or None
        """
        plan = products.plan
        if not plan.terms or not products.has_batch_axes or not plan.is_diagonal:
            return None
        (term,) = plan.terms
        if term.is_structured or term.k_effects > FEW_EFFECTS:
            return None
        (each,), p = products.diagonal, products.k_fixed
        rounded = np.round(each / np.abs(each).max(initial=1e-300), DIGITS)
        flat = rounded.reshape(len(each), -1)
        _, first, codes = np.unique(flat, True, True, axis=0)
        codes, d = codes.ravel(), len(first)
        if d > MOST and SHARED * d > len(each):
            return None
        x = products.level_sums[0][..., :p]
        of_class = [x[codes == c] for c in range(d)]
        return cls(
            grams=each[first],
            counts=np.bincount(codes),
            codes=codes,
            level_fixed=x,
            fixed=np.array([np.einsum("gai,gbj->ijab", v, v) for v in of_class]),
            gram=products.gram[:p, :p],
            nobs=products.nobs,
        )

    def criterion(self, products, reml):
        """
        The criterion of many responses.

        Parameters
        ----------
        products : CrossProducts
            Those of the same design with r responses.
        reml : bool
            Whether it is the REML criterion.

        Returns
        -------
        ClassCriterion
        """
        p, d, k = len(self.gram), len(self.counts), self.grams.shape[-1]
        t = products.level_sums[0][..., -1]
        cross = np.empty((d, p, k, k, len(t)))
        squares = np.empty((d, k, k, len(t)))
        for c in range(d):
            here = self.codes == c
            own = np.ascontiguousarray(np.moveaxis(t[:, here], 0, -1))
            x = self.level_fixed[here]
            flat = x.reshape(len(x), -1).T @ own.reshape(len(x), -1)
            cross[c] = flat.reshape(k, p, k, -1).swapaxes(0, 1)
            for a, b in zip(*np.triu_indices(k)):
                squares[c, a, b] = (own[:, a] * own[:, b]).sum(axis=0)
                squares[c, b, a] = squares[c, a, b]
        fixed = np.ascontiguousarray(products.gram[:, :p, p].T)
        return ClassCriterion(self, reml, cross, squares, fixed, products.gram[:, p, p])


@dataclass(frozen=True)
class ClassCriterion(Criterion):
    """
    The profiled deviance or the REML criterion of many responses.

    Parameters
    ----------
    classes : LevelClasses
        The design.
    reml : bool
        Whether it is the REML criterion.
    cross : ndarray
        Sums of x_ai y_b over the levels of each class, shape (d, p, k, k, r).
    squares : ndarray
        Sums of y_a y_b, shape (d, k, k, r).
    fixed : ndarray
        X'y, shape (p, r).
    total : ndarray
        y'y, shape (r,).
    """

    classes: LevelClasses
    reml: bool
    cross: np.ndarray
    squares: np.ndarray
    fixed: np.ndarray
    total: np.ndarray

    @property
    def nu(self):
        """Degrees of freedom of the residual variances, n - p or n."""
        return self.classes.nobs - (len(self.classes.gram) if self.reml else 0)

    def evaluate(self, factors):
        """The ClassEvaluation at given factors, or None if undefined."""
        try:
            return ClassEvaluation.at(self, factors)
        except np.linalg.LinAlgError:
            return None

    def take(self, which):
        """The criterion of selected responses."""
        arrays = [getattr(self, f.name)[..., which] for f in fields(self)[2:]]
        return ClassCriterion(self.classes, self.reml, *arrays)
