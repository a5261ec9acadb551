"""The estimates of a fit, in the user's order and units."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TINY = float(np.finfo(float).tiny)
"""Smallest variance that keeps all its digits."""


@dataclass(frozen=True)
class Estimates:
    """
    The estimates of a fit and the basis of their uncertainty.

    Parameters
    ----------
    fixed : ndarray
        Fixed effects, NaN for dropped columns, shape (p,).
    kept : ndarray
        Columns of X kept, shape (r,).
    fixed_root : ndarray
        R with (X'V^-1 X)^-1 = R R' for the columns kept, shape (r, r).
    scale : float
        Residual variance sigma^2.
    factors : tuple of RelativeFactor
        Relative covariance factors, in standardized units.
    relative : tuple of ndarray
        Covariance matrices of the random effects divided by sigma^2, shapes (k, k).
    modes : tuple of ndarray
        Conditional modes of the random effects, shapes (l, k).
    level_blocks : tuple of LevelBlocks or None
        Conditional covariances of the modes; None where they are left for later.
    criterion : float
        -2 times the (restricted) log-likelihood.
    infinite : ndarray or None
        Which of the columns kept have infinite coefficients, booleans, shape (r,).
    """

    fixed: np.ndarray
    kept: np.ndarray
    fixed_root: np.ndarray
    scale: float
    factors: tuple
    relative: tuple
    modes: tuple
    level_blocks: tuple
    criterion: float
    infinite: np.ndarray | None = None

    @cached_property
    def out_of_range(self):
        """Positions of the columns of X whose variance overflows or underflows."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            squares = (self.fixed_root**2).sum(axis=1)
            variances = squares * [[1.0], [self.scale]]
        lost = ((variances < TINY) | (variances == np.inf)).any(axis=0)
        return self.kept[lost]

    @cached_property
    def fixed_covariance(self):
        """(X'V^-1 X)^-1, shape (p, p); NaN if dropped, out of range or infinite."""
        covariance = np.full((len(self.fixed),) * 2, np.nan)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            determined = self.fixed_root @ self.fixed_root.T
        covariance[self.kept[:, None], self.kept] = determined
        lost = self.out_of_range
        covariance[lost], covariance[:, lost] = np.nan, np.nan
        if self.infinite is not None:
            lost = self.kept[self.infinite]
            covariance[lost], covariance[:, lost] = np.nan, np.nan
        return covariance

    def mode_covariances(self, i):
        """Conditional covariances of a term's modes / sigma^2, if available."""
        blocks = self.level_blocks[i]
        return None if blocks is None else blocks.covariances()


def estimates(units, evaluation, fixed_root=None, infinite=None):
    """
    The estimates that follow from an optimum.

    Parameters
    ----------
    units : Units
        The conversion to the user's order and units.
    evaluation : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    fixed_root : ndarray, optional
        A root of the covariance of the fixed effects kept, shape (r, r). Default is
        that for known covariances of the random effects.
    infinite : ndarray, optional
        Which of the columns kept have infinite coefficients, booleans, shape (r,).

    Returns
    -------
    Estimates
    """
    if fixed_root is None:
        fixed_root = units.beta_root(evaluation.fixed_root)
    cheap = evaluation.selected.diagonal_is_cheap
    terms = range(len(units.places))
    return Estimates(
        fixed=units.beta(evaluation.coefficients),
        kept=units.data.kept,
        fixed_root=fixed_root,
        scale=float(units.scale(evaluation.scale)),
        factors=tuple(units.of_user(evaluation.factors)),
        relative=tuple(units.relative_covariances(evaluation.factors)),
        modes=tuple(units.modes(evaluation)),
        level_blocks=tuple(
            units.level_blocks(evaluation, i) if cheap else None for i in terms
        ),
        criterion=units.criterion(evaluation),
        infinite=infinite,
    )
