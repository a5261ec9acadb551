"""Whether the errors of one model are a special case of those of another."""

import numpy as np

from statsmodels_lmm.core.rows.spans import spans, with_constant
from statsmodels_lmm.residual.absorbed_effects import determines, same_partition

ANY, SAME, SCALED, FUNCTION, MONOTONE = "any", "same", "scaled", "function", "monotone"
"""
How the places of rows in two structures must agree: not at all; equal but for a shift;
by a change of units; those of the larger structure determine those of the smaller one,
in any way or in order.
"""

STATIONARY = dict.fromkeys(("ar1", "car1", "arma", "exp", "gau", "matern"), SCALED)

HELD = {
    "ar1": {"car1": SAME},
    "car1": {"exp": SCALED},
    "arma": {"ar1": SAME, "car1": SAME},
    "exp": {"car1": SCALED},
    "matern": {"exp": SCALED, "car1": SCALED},
    "toep": {"cs": ANY, **STATIONARY},
    "ad": dict.fromkeys(("ar1", "car1", "exp"), MONOTONE),
}
"""
Structures that others contain, by name; a structure contains itself if orders and
options allow it, and "us" contains all.
"""


def errors_hold(full, restricted):
    """
    Whether errors are a special case of others, for the same rows.

    Parameters
    ----------
    full, restricted : ErrorCovariance or None
        The errors of the larger and the smaller model; None if they are independent and
        of one variance.

    Returns
    -------
    bool
    """
    if restricted is None:
        return True
    if full is None:
        return False
    columns = [with_constant(e.log_sd) for e in (full, restricted)]
    if not spans(*columns):
        return False
    return restricted.term is None or _holds_correlations(full, restricted)


def _holds_correlations(full, restricted):
    """Whether correlations are a special case of others."""
    if full.term is None or not same_partition(full.codes, restricted.codes):
        return False
    if not determines(full.parts, restricted.parts):
        return False
    needed = _agreement(full.structure, restricted.structure)
    return needed is not None and _agree(needed, full, restricted)


def _agreement(outer, inner):
    """How the places in two structures must agree; None if they are not nested."""
    if outer.name == "us":
        return FUNCTION if inner.needs_place else ANY
    if type(outer) is type(inner):
        return _of_one_kind(outer, inner)
    needed = HELD.get(outer.name, {}).get(inner.name)
    if needed is None or outer.name == "toep":
        return needed
    if outer.name == "arma" and not outer.p:
        return None
    if getattr(outer, "smoothness", None) not in (None, 0.5):
        return None
    # a nugget makes the correlation jump
    return None if _nugget(inner) > _nugget(outer) else needed


def _of_one_kind(outer, inner):
    """As `_agreement`, for structures of one class."""
    own, other = dict(vars(outer)), dict(vars(inner))
    for name in ("nugget", "p", "q"):
        if other.pop(name, 0) > own.pop(name, 0):
            return None
    if own != other:
        return None
    if not outer.needs_place:
        return ANY
    return SCALED if outer.name in ("car1", "exp", "gau", "matern") else SAME


def _nugget(structure):
    return getattr(structure, "nugget", False)


def _agree(needed, full, restricted):
    """Whether the places of the rows agree as they must."""
    if needed == ANY:
        return True
    x, x0 = (_places(e) for e in (full, restricted))
    if needed == SAME:
        x, x0 = (_from_first(values, full.codes) for values in (x, x0))
        return x.shape == x0.shape and np.allclose(x, x0)
    if needed == SCALED:
        x, x0 = (_from_first(values, full.codes) for values in (x, x0))
        return x.shape == x0.shape and _is_multiple(x, x0)
    if not determines(x, x0):
        return False
    return needed == FUNCTION or (x0.shape[1] == 1 and _rises(x[:, 0], x0[:, 0]))


def _places(errors):
    return np.asarray(errors.where, dtype=float).reshape(len(errors.codes), -1)


def _from_first(places, codes):
    """Places relative to the first row of each group."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return places - places[first[inverse.ravel()]]


def _is_multiple(x, x0):
    """Whether one array is another times a number."""
    factor = (x * x0).sum() / max((x**2).sum(), np.finfo(float).tiny)
    return bool(factor) and np.allclose(factor * x, x0, atol=1e-9 * np.abs(x0).max())


def _rises(x, x0):
    """Whether a function of x rises, or falls, everywhere."""
    order = np.argsort(x, kind="stable")
    steps, moves = np.diff(x0[order]), np.diff(x[order]) > 0.0
    return bool((steps[moves] > 0.0).all() or (steps[moves] < 0.0).all())


# parameters that the restricted errors leave on a boundary, or undetermined -------


def numbers_tested(full, restricted):
    """
    Numbers of parameters of the errors that a restricted model fixes.

    Parameters
    ----------
    full, restricted : ErrorCovariance or None
        The errors of the larger and the smaller model.

    Returns
    -------
    on_boundary : int
        Those fixed at an end of their range, such as a correlation of car1 at zero.
    inside : int
        The others.
    """
    count = sum(
        sign * errors.model.n_parameters
        for errors, sign in ((full, 1), (restricted, -1))
        if errors is not None
    )
    ends = max(_ends(full) - _ends(restricted), 0)
    return ends, count - ends


def _ends(errors):
    """Number of correlation parameters that are positive."""
    if errors is None or errors.term is None:
        return 0
    parameters = errors.structure.parameters(errors.model.size)
    ends = [p.lower == 0.0 and p.name != "smoothness" for p in parameters]
    return len(errors.part_names) * sum(ends)


def is_irregular(full, restricted):
    """
    Whether independence leaves other parameters of the correlations undetermined.

    The likelihood ratio has then no chi-squared distribution (Davies 1977).
    """
    if full is None or full.term is None:
        return False
    if restricted is not None and restricted.term is not None:
        return False
    structure = full.structure
    if structure.name == "arma":
        return structure.p > 0 and structure.q > 0
    estimated = getattr(structure, "smoothness", 0.0) is None
    return estimated or bool(_nugget(structure))
