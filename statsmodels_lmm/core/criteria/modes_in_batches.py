"""
Conditional modes of the effects of one factor, for many responses at once.

The steps are those of `conditional_modes`, each response with its own coefficients,
covariance, length of step and number of steps.
"""

from dataclasses import dataclass, fields

import numpy as np

from statsmodels_lmm.core.criteria.conditional_modes import (
    MAX_STEPS,
    SHORTEST,
    SUFFICIENT,
    TOLERANCE,
)
from statsmodels_lmm.core.engines.levels import solve_levels

HUGE = 1e100
"""Weight that is taken for infinite, as its products soon are."""

NEAR = 1e-2
"""Decrement below which Newton's step descends and is not checked."""


@dataclass
class ModesInBatch:
    """
    States at which f is smallest, one for each of r responses.

    Parameters
    ----------
    state : ndarray
        t with b = S t, shape (r, l, k).
    random, eta : ndarray
        Z b and the linear predictor, shape (r, n); NaN if no minimum was found.
    penalty : ndarray
        t'S t, shape (r,).
    """

    state: np.ndarray
    random: np.ndarray
    eta: np.ndarray
    penalty: np.ndarray

    def take(self, which):
        """A selection of the responses."""
        return ModesInBatch(*(getattr(self, f.name)[which] for f in fields(self)))

    def put(self, places, other):
        """Replace the responses at some places."""
        for f in fields(self):
            getattr(self, f.name)[places] = getattr(other, f.name)


def modes_in_batch(rows, fixed, roots, start) -> ModesInBatch:
    """
    Minimize f over the states.

    Parameters
    ----------
    rows : BatchRows
        The responses and their distribution.
    fixed : ndarray
        X beta + offset, shape (r, n).
    roots : ndarray
        L, shape (r, k, k).
    start : ndarray
        States from which the search starts, shape (r, l, k).

    Returns
    -------
    ModesInBatch
    """
    covariance = roots @ roots.swapaxes(-1, -2)
    random = rows.levels.times(start @ covariance)
    penalty = (start * (start @ covariance)).sum(axis=(-1, -2))
    found = ModesInBatch(start.copy(), random, fixed + random, penalty)
    going, failed = np.arange(len(fixed)), np.zeros(len(fixed), dtype=bool)
    for _ in range(MAX_STEPS):
        here = found.take(going)
        promised, arrived = _step(
            rows.take(going), roots[going], covariance[going], here
        )
        found.put(going, here)
        failed[going[~arrived]] = True
        going = going[arrived & (promised >= TOLERANCE)]
        if not len(going):
            break
    failed[going] = True
    found.eta[failed] = np.nan
    return found


def _step(rows, roots, covariance, here):
    """Take a Newton step in place: the decreases promised, and whether any descends."""
    levels = rows.levels
    slopes = rows.slopes(here.eta)
    # where c is not convex, another search has to do
    convex = ((slopes.second >= 0.0) & (slopes.second < HUGE)).all(axis=-1)
    weights = np.where(convex[:, None], slopes.second, 0.0)
    _, inner, _ = solve_levels(levels.squares(weights), roots)
    right = levels.sums(weights * here.random - slopes.first)
    move = (inner @ right[..., None])[..., 0] - here.state
    effects = move @ covariance
    random = levels.times(effects)
    # t'S t along the step, a quadratic of its share
    linear = (here.state * effects).sum(axis=(-1, -2))
    square = (move * effects).sum(axis=(-1, -2))
    promised = -((slopes.first * random).sum(axis=-1) + linear)
    share = np.where(convex, 1.0, 0.0)
    far = np.flatnonzero(convex & ~(promised < NEAR))
    if len(far):
        line = random[far], linear[far], square[far], promised[far]
        share[far] = _share(rows.take(far), here.take(far), *line)
    here.state = here.state + share[:, None, None] * move
    here.random = here.random + share[:, None] * random
    here.eta = here.eta + share[:, None] * random
    here.penalty = here.penalty + share * (2.0 * linear + share * square)
    return promised, share > 0.0


def _share(rows, here, random, linear, square, promised):
    """The largest share of each step that descends, 0 if none does."""
    share, going = np.ones(len(promised)), np.arange(len(promised))
    height = 2.0 * rows.loss(here.eta)
    while len(going):
        size, part = share[going], rows.take(going)
        eta = here.eta[going] + size[:, None] * random[going]
        rise = 2.0 * part.loss(eta) - height[going]
        rise += size * (2.0 * linear[going] + size * square[going])
        going = going[~(rise <= -SUFFICIENT * size * promised[going])]
        share[going] *= 0.5
        hopeless = share[going] < SHORTEST
        share[going[hopeless]] = 0.0
        going = going[~hopeless]
    return share
