"""Checks of a structure that a user has written."""

import numpy as np

from statsmodels_lmm.core.algebra.differences import differenced_gradient

CHECKED = 500
"""Largest number of effects for which definiteness is checked."""


def check_structure(structure, effects):
    """
    Reject a structure that a fit could not use.

    Parameters
    ----------
    structure : Structure
        The structure.
    effects : sequence of str
        Names of the effects.

    Raises
    ------
    ValueError
        If the matrix at the start is not finite, symmetric and positive semi-definite,
        or if finite differences contradict the derivatives.
    """
    k, parameters = len(effects), structure.parameters(effects)
    theta = np.array([p.initial for p in parameters])
    for p in parameters:
        if not p.lower <= p.initial <= p.upper:
            raise ValueError(
                f"{structure.name}: {p.name} starts at {p.initial}, outside of "
                f"[{p.lower}, {p.upper}]"
            )
        if p.lower == p.upper:
            raise ValueError(f"{structure.name}: the range of {p.name} is empty")
    matrix = np.asarray(structure.covariance(theta, k))
    if matrix.shape != (k, k):
        raise ValueError(
            f"{structure.name} gives a matrix of shape {matrix.shape} for {k} effects"
        )
    size = np.abs(matrix).max()
    if not np.isfinite(matrix).all() or np.abs(matrix - matrix.T).max() > 1e-10 * size:
        raise ValueError(
            f"{structure.name} is not a symmetric matrix of numbers at {theta}"
        )
    if k <= CHECKED and np.linalg.eigvalsh(matrix)[0] < -1e-8 * size:
        raise ValueError(f"{structure.name} is not positive semi-definite at {theta}")
    if not parameters:
        return
    given = structure.derivative(theta, k)

    def covariance(x):
        return structure.covariance(x, k)

    for a, p in enumerate(parameters):
        sides = []
        for low, high in ((theta[a], p.upper), (p.lower, theta[a])):
            if high > low:
                ranges = structure.ranges(k)
                ranges[a] = low, high
                sides.append(differenced_gradient(covariance, theta, ranges)[a])
        size = np.abs(matrix).max() / max(abs(theta[a]), 0.1)
        size = max(1e-2 * size, *(np.abs(s).max() for s in sides), 1e-300)
        if len(sides) > 1 and np.abs(sides[0] - sides[1]).max() > 1e-4 * size:
            raise ValueError(
                f"{structure.name} is not smooth in {p.name}: its differences on both "
                "sides disagree"
            )
        if np.abs(given[a] - sides[0]).max() > 1e-4 * size:
            raise ValueError(
                f"the derivative of {structure.name} in {p.name} is not that of its "
                "covariance"
            )
