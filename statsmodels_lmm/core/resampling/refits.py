"""
Many fits of one design to different responses, as one array computation.

The replicates share Z'Z, Z'X and X'X; each has its own response, covariances,
trust region and number of steps, and leaves the batch when it is done.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from statsmodels_lmm.core.criteria.derivatives import derivatives
from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.criteria.start import FLOOR
from statsmodels_lmm.core.engines.responses import repeated, select
from statsmodels_lmm.core.search.newton import (
    ACCEPTED,
    CLOSE,
    DUAL_TOLERANCE,
    HOPELESS,
    REACHED,
    Settings,
    minimize,
)
from statsmodels_lmm.core.search.trust_region import step_in_units
from statsmodels_lmm.core.structures.relative_factor import (
    RelativeFactor,
    pivoted_factor,
    split_step,
    structured_parameters,
)
from statsmodels_lmm.core.structures.roots import SINGULAR
from statsmodels_lmm.core.structures.unstructured_block import lowest_unused
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
)

MAX_BATCHED_TAIL = 250
"""Number of tail columns up to which many fits at once beat one after another."""

MAX_BATCHED_EFFECTS = 5000
"""Number of random effects up to which they do."""

MAX_BATCH = 1000
"""Largest number of fits of one batch."""

BATCH_ENTRIES = 2**20
"""Numbers that the largest array of one batch holds."""

RESPONSE_ENTRIES = 2**23
"""Numbers that the responses of one batch hold."""

SETTINGS = Settings(maxiter=100, tol=1e-7)
"""
When a refit stops: far below the spread of replicates, above their rounding. The step
that promises less than this is still taken, so that much less is left.
"""


@dataclass(frozen=True)
class Refits:
    """
    Optima of many fits, in standardized units.

    Parameters
    ----------
    value : ndarray
        Criterion, shape (r,); NaN where a fit failed.
    coefficients : ndarray
        Fixed effects, shape (r, p).
    fixed_root : ndarray
        Lower Cholesky factors of X'V^-1 X, shape (r, p, p).
    scale : ndarray
        Residual variances, shape (r,).
    covariances : tuple of ndarray
        Relative covariance of each factor in the order of the elimination plan,
        shapes (r, k, k).
    structured : ndarray
        Parameters of all blocks with a structure, in the same order, shape (r, s).
    variance_covariance : ndarray
        Covariance matrices of the estimates of the covariance parameters, see
        `variance_information`, from the average information, shape (r, m + 1, m + 1).
    certified : ndarray
        Whether each optimum is proved to be one, shape (r,).
    evaluations : ndarray
        Evaluations of the criterion, shape (r,).
    """

    value: np.ndarray
    coefficients: np.ndarray
    fixed_root: np.ndarray
    scale: np.ndarray
    covariances: tuple
    structured: np.ndarray
    variance_covariance: np.ndarray
    certified: np.ndarray
    evaluations: np.ndarray

    @classmethod
    def join(cls, parts):
        """Several sets of fits as one."""
        columns = {
            f.name: np.concatenate([getattr(p, f.name) for p in parts])
            for f in fields(cls)
            if f.name != "covariances"
        }
        covariances = zip(*(p.covariances for p in parts))
        return cls(covariances=tuple(map(np.concatenate, covariances)), **columns)

    def take(self, which):
        """Some of the fits, or in another order."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        covariances = tuple(s[which] for s in values.pop("covariances"))
        return Refits(
            covariances=covariances, **{n: v[which] for n, v in values.items()}
        )


def is_batchable(products):
    """Whether many fits of this design can and are best done at once."""
    plan = products.plan
    structured = any(f.is_structured for f in plan.factors)
    return not (products.is_coupled_sparsely or structured) and (
        plan.n_tail <= MAX_BATCHED_TAIL
        and sum(f.n_columns for f in plan.factors) <= MAX_BATCHED_EFFECTS
    )


def batch_size(products):
    """
    How many fits to do at once; a function of the design only.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.

    Returns
    -------
    int
    """
    plan = products.plan
    if not is_batchable(products):
        return 1
    m = sum(f.n_parameters for f in plan.factors)
    width = m + products.gram.shape[-1] + plan.n_tail
    rows = sum(f.n_columns * (f.k_effects + width) for f in plan.factors)
    fitting = min(BATCH_ENTRIES // rows, RESPONSE_ENTRIES // products.nobs)
    return int(np.clip(fitting, 1, MAX_BATCH))


def lifted(factors, products):
    """
    Relative factors moved off the boundary, where a search would start slowly.

    Parameters
    ----------
    factors : sequence of RelativeFactor
        In standardized units.
    products : CrossProducts
        Sufficient statistics.

    Returns
    -------
    list of RelativeFactor
    """
    return [
        f.lifted(FLOOR * each.n_levels / products.nobs)
        for f, each in zip(factors, products.plan.factors)
    ]


def refit(products, start, reml, settings=SETTINGS):
    """
    Minimize the criterion for many responses.

    Parameters
    ----------
    products : CrossProducts
        With a leading axis for the responses, see `responses.with_responses`.
    start : sequence of RelativeFactor
        Relative factors to start from, shared, in the order of the elimination plan.
    reml : bool
        Whether to minimize the REML criterion.
    settings : Settings, optional
        When to stop.

    Returns
    -------
    Refits
    """
    count = len(products.gram)
    if is_batchable(products):
        try:
            return _refit_batch(products, start, reml, settings)
        except np.linalg.LinAlgError:
            if count > 1:  # one spoils a batch: halves of it tell which
                halves = slice(count // 2), slice(count // 2, count)
                parts = [select(products, half) for half in halves]
                return Refits.join([refit(p, start, reml, settings) for p in parts])
    each = [
        _refit_one(select(products, i), start, reml, settings) for i in range(count)
    ]
    return Refits.join(each)


def from_starts(products, starts, reml, settings, known):
    """
    Search from many starts at once for what is below a known optimum.

    Parameters
    ----------
    products : CrossProducts
        Of one response, see `is_batchable`.
    starts : sequence of sequence of RelativeFactor
        Relative factors to start from, each in the order of the elimination plan.
    reml : bool
        Whether to minimize the REML criterion.
    settings : Settings
        When each search stops.
    known : ProfiledDeviance
        The optimum.

    Returns
    -------
    list of RelativeFactor or None
        Where the lowest search got, None if none got below.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a system is not positive definite in floating point.
    """
    factors = products.plan.factors
    stacked = [
        pivoted_factor(np.array([f.covariance for f in each]), plan.block_slices)
        for each, plan in zip(zip(*starts), factors)
    ]
    copies = repeated(products, len(starts))
    lowest, place = float(known.value), None
    for group in _descend(copies, stacked, reml, settings, known)[0]:
        values = np.where(group.left, np.inf, group.last.value)
        best = int(np.argmin(values))
        if values[best] < lowest:
            lowest, place = float(values[best]), [s[best] for s in group.moved]
    if place is None:
        return None
    return [pivoted_factor(s, f.block_slices) for s, f in zip(place, factors)]


def _refit_one(products, start, reml, settings):
    """One fit by the driver for one fit, as a batch of one."""
    # the certificate of a large model asks for more than a draw does
    settings = replace(settings, tol=min(settings.tol, Settings.tol))
    try:
        deviance, optimum = minimize(products, start, reml, settings)
    except np.linalg.LinAlgError:
        return _failed(products, start)
    found = _collect(deviance, optimum.certified, optimum.evaluations)
    return found.take(None)


def _collect(deviance, certified, evaluations):
    """What is kept of one fit or of many."""
    covariances = tuple(f.covariance for f in deviance.factors)
    information = average_information(deviance)
    # the shapes of the batch, also of what every response has in common
    batch = np.shape(deviance.value)
    structured = structured_parameters(deviance.factors)
    p = deviance.fixed_root.shape[-1]
    return Refits(
        np.asarray(deviance.value),
        deviance.coefficients,
        np.broadcast_to(deviance.fixed_root, (*batch, p, p)),
        np.asarray(deviance.scale),
        covariances,
        np.broadcast_to(structured, (*batch, len(structured))),
        inverse_information(information),
        np.asarray(certified),
        np.asarray(evaluations),
    )


def _failed(products, start):
    """A fit without an answer, as a batch of one."""
    p, nan = products.k_fixed, np.full(1, np.nan)
    m = 1 + sum(f.n_parameters for f in products.plan.factors)
    return Refits(
        nan,
        np.full((1, p), np.nan),
        np.full((1, p, p), np.nan),
        nan,
        tuple(np.full((1, *f.matrix.shape), np.nan) for f in start),
        np.full((1, len(structured_parameters(start))), np.nan),
        np.full((1, m, m), np.nan),
        np.zeros(1, dtype=bool),
        np.ones(1, dtype=int),
    )


@dataclass(frozen=True)
class _Iterates:
    """Where each replicate stands; every array has the replicates first."""

    value: np.ndarray
    rounding: np.ndarray
    units: np.ndarray
    gradient: np.ndarray
    curvature: np.ndarray
    duals: tuple
    information: tuple
    factors: tuple

    def take(self, which):
        """Some of the replicates."""

        def some(values):
            is_factor = isinstance(values, RelativeFactor)
            return values.take(which) if is_factor else values[which]

        return self._map(some)

    def where(self, better, trial):
        """The trial where it is better, else this."""

        def choose(old, new):
            if isinstance(old, RelativeFactor):
                return old.where(better, new)
            return np.where(better.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return self._map(choose, trial)

    def _map(self, function, *others):
        out: dict = {}
        for f in fields(self):
            values = [getattr(x, f.name) for x in (self, *others)]
            if isinstance(values[0], tuple):
                out[f.name] = tuple(function(*v) for v in zip(*values))
            else:
                out[f.name] = function(*values)
        return _Iterates(**out)


def _evaluate(products, covariances, reml):
    """Criterion and derivatives of every replicate."""
    slices = [f.block_slices for f in products.plan.factors]
    factors = [pivoted_factor(s, b) for s, b in zip(covariances, slices)]
    deviance = profiled_deviance(products, factors, reml)
    found = derivatives(deviance)
    count = len(products.gram)

    def each(array, n_axes):
        return np.broadcast_to(array, (count, *np.shape(array)[-n_axes:]))

    units = [each(f.units(p), 1) for f, p in zip(factors, deviance.precisions)]
    return _Iterates(
        deviance.value,
        deviance.rounding,
        np.concatenate(units, axis=1),
        found.gradient,
        found.curvature,
        found.duals,
        tuple(each(s, 2) for s in deviance.selected.level_sums),
        tuple(f.broadcast(count) for f in factors),
    )


def _moved(current, step):
    """Relative covariances after a step of the free entries."""
    pairs = zip(current.factors, split_step(step, current.factors))
    return [factor.moved(own).covariance for factor, own in pairs]


def _refit_batch(products, start, reml, settings):
    """All fits at once."""
    plan = products.plan
    ended, evaluations = _descend(products, start, reml, settings)
    where = np.argsort(np.concatenate([e.which for e in ended]))
    certified = np.concatenate([_are_certified(e.last, plan) for e in ended])[where]
    factors = [
        pivoted_factor(np.concatenate(s)[where], f.block_slices, SINGULAR)
        for s, f in zip(zip(*(e.moved for e in ended)), plan.factors)
    ]
    return _collect(profiled_deviance(products, factors, reml), certified, evaluations)


@dataclass(frozen=True)
class _Ended:
    """Searches that end together: which, where, and where one more step leads."""

    which: np.ndarray
    last: _Iterates
    moved: list
    left: np.ndarray


def _descend(products, start, reml, settings, known=None):
    """
    Searches side by side, in groups that end together, and their evaluations.

    Those that are bound for a known optimum or will end above it are left.
    """
    current = _evaluate(products, [s.covariance for s in start], reml)
    count = len(products.gram)
    active, radius = np.arange(count), np.ones(count)
    evaluations = np.ones(count, dtype=int)
    ended = []
    while True:
        units = current.units
        step, promised = step_in_units(
            current.gradient, current.curvature, radius, units
        )
        limit = np.maximum(settings.tol, current.rounding)
        left = np.zeros(len(active), dtype=bool)
        if known is not None:
            left = _are_bound_for(known, current, step, promised)
        stop = left | (promised < limit) | (evaluations[active] >= settings.maxiter)
        if stop.any():
            # the last step costs nothing: it is evaluated once for all
            last = current.take(stop)
            moved = _moved(last, step[stop])
            ended.append(_Ended(active[stop], last, moved, left[stop]))
            going = ~stop
            active, radius = active[going], radius[going]
            step, promised, units = step[going], promised[going], units[going]
            current, products = current.take(going), select(products, going)
        if not len(active):
            return ended, evaluations
        trial = _evaluate(products, _moved(current, step), reml)
        evaluations[active] += 1
        gain = (current.value - trial.value) / promised
        length = np.linalg.norm(step / units, axis=1)
        better = gain > ACCEPTED
        grown = np.where((gain > 0.75) & (length > 0.9 * radius), 2.0 * radius, radius)
        shrunk = np.where(better, 0.5, 0.25) * length
        radius = np.where(gain < 0.25, shrunk, grown)
        current = current.where(better, trial)


def _are_bound_for(known, current, step, promised):
    """Which searches near a known optimum, or will end above it, see `newton`."""
    height = current.value - known.value
    above = (promised < CLOSE) & (height > HOPELESS * promised)
    near = (promised <= CLOSE) & (np.abs(height - promised) <= CLOSE)
    if near.any():
        for s, f in zip(_moved(current, step), known.factors):
            size = np.abs(f.covariance).max(initial=CLOSE)
            near &= np.abs(s - f.covariance).max(axis=(1, 2)) <= CLOSE * size
    return above | near


def _are_certified(last, plan):
    """Whether the last iterates are optima, as one of them alone."""
    _, promised = step_in_units(last.gradient, last.curvature, 1.0, last.units)
    certified = (promised < REACHED) & (last.rounding < REACHED)
    covariances = [f.covariance for f in last.factors]
    for factor, dual, sums, covariance in zip(
        plan.factors, last.duals, last.information, covariances
    ):
        for block in factor.block_slices:
            information = np.trace(sums[:, block, block], axis1=1, axis2=2)
            lowest = lowest_unused(dual[:, block, block], covariance[:, block, block])
            certified &= lowest >= -DUAL_TOLERANCE * information
    return certified
