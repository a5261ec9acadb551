"""States in which patsy's transforms remember the data of a fit."""

from collections.abc import Callable

import numpy as np

from statsmodels_lmm.formula.splines import MAX_DEGREE

STATES = {
    "BS": ("_degree", "_all_knots"),
    "CC": ("_all_knots", "_constraints"),
    "CR": ("_all_knots", "_constraints"),
    "Center": ("_sum", "_count"),
    "Cut": ("_breaks",),
    "NS": ("_knots",),
    "Poly": ("_degree", "_centers", "_norms"),
    "Standardize": ("current_n", "current_mean", "current_M2"),
    "TE": ("_constraints",),
}
"""Attributes of each transform, by class name."""

FAR = 1e50
"""Largest magnitude of data for which a polynomial is still finite."""


def check_state(kind, state):
    """
    Reject a state that no transform can have.

    Parameters
    ----------
    kind : str
        The class of the transform, a key of `STATES`.
    state : dict
        Attributes of the transform: finite arrays and numbers, or None.

    Raises
    ------
    ValueError
    """
    if not CHECKS[kind](*(state[name] for name in STATES[kind])):
        listed = ", ".join(STATES[kind])
        raise ValueError(f"the saved state of {kind} is damaged: {listed}")


def _b_spline(degree, knots):
    """Sorted knots, with those at the ends repeated degree + 1 times."""
    if not _is_whole(degree, 0, MAX_DEGREE) or not _are_places(knots):
        return False
    ends = degree + 1
    if len(knots) < 2 * ends or not knots[0] < knots[-1]:
        return False
    return (knots[:ends] == knots[0]).all() and (knots[-ends:] == knots[-1]).all()


def _cyclic_spline(knots, constraints):
    return _cubic_spline(knots, constraints, 1)


def _cubic_spline(knots, constraints, fewer=0):
    """Distinct knots, and constraints on as many coefficients."""
    if not _are_places(knots) or len(knots) < 2:
        return False
    if not np.diff(knots).min() > 1e-14 * (knots[-1] - knots[0]):
        return False
    return constraints is None or _are_constraints(constraints, len(knots) - fewer)


def _ends(breaks):
    """At least two distinct ends of intervals."""
    return _are_places(breaks) and len(breaks) > 1 and (np.diff(breaks) > 0).all()


def _natural_spline(knots):
    return _are_places(knots) and len(knots) > 1 and knots[0] < knots[-1]


def _tensor_product(constraints):
    return constraints is None or _are_constraints(constraints)


def _center(total, count):
    if total is None or np.ndim(total) > 1 or not _is_whole(count, 1):
        return False
    return (np.abs(total) <= FAR * count).all()


def _polynomial(degree, centers, norms):
    """Centers and roots no farther from the mean than the rows can be."""
    if not _is_whole(degree, 1) or np.ndim(centers) != 1 or np.ndim(norms) != 1:
        return False
    if (len(centers), len(norms)) != (degree, degree + 1) or min(norms) <= 0.0:
        return False
    reach = 1.001 * np.sqrt(norms[1])
    near = np.abs(centers - centers[0]) <= reach
    grown = norms[1:] / norms[:-1] <= 10.0 * norms[1]
    return max(abs(centers[0]), reach) <= FAR and (near & grown).all()


def _standardize(count, mean, squares):
    if not _is_whole(count, 1) or np.ndim(mean) != 1 or np.ndim(squares) != 1:
        return False
    if not len(mean) == len(squares) > 0 or np.abs(mean).max() > FAR:
        return False
    return FAR**-2 <= min(squares) and max(squares) <= FAR**2


CHECKS: dict[str, Callable[..., bool]] = {
    "BS": _b_spline,
    "CC": _cyclic_spline,
    "CR": _cubic_spline,
    "Center": _center,
    "Cut": _ends,
    "NS": _natural_spline,
    "Poly": _polynomial,
    "Standardize": _standardize,
    "TE": _tensor_product,
}


def _is_whole(value, least, most=2**53):
    return isinstance(value, int) and least <= value <= most


def _are_places(knots):
    """Whether knots are sorted and could be data values."""
    if np.ndim(knots) != 1 or not np.size(knots):
        return False
    return (np.diff(knots) >= 0).all() and np.abs(knots).max() <= FAR


def _are_constraints(constraints, columns=None):
    """Whether a matrix has fewer rows than columns."""
    if np.ndim(constraints) != 2 or np.abs(constraints).max() > FAR:
        return False
    rows, width = constraints.shape
    return 0 < rows < width and columns in (None, width)
