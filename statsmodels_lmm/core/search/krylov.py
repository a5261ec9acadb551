"""
Which engine a linear mixed model calls for, and the search with estimated traces.

A dense matrix of all terms but the largest is exact, and worth its price up to some
1,000 columns. Beyond that the search uses conjugate gradients with a few probes, as
many as it takes for their error not to matter beside that of the data, and where one
evaluation with the dense matrix is affordable, the optimum is polished with it.
"""

from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.algebra.memory import available_bytes, needed_bytes
from statsmodels_lmm.core.criteria.krylov import (
    KrylovProfiled,
    errors,
    probed,
    valued,
)
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.engines.block_sums import nesting_of
from statsmodels_lmm.core.engines.krylov_engine import KrylovEngine
from statsmodels_lmm.core.engines.plan import plan_elimination
from statsmodels_lmm.core.search.newton import minimize, stay
from statsmodels_lmm.core.search.several_starts import without

DENSE_WORK = 2e9
"""q^3 plus rows up to which the dense matrix of q columns is formed without asking."""

DEFAULT_PROBES, MOST_PROBES, MOST_FOR_VALUE = 8, 256, 512

THETA_ERROR = 0.01
"""Monte-Carlo error of theta, in standard errors, that does not matter."""

VALUE_ERROR = 0.01
"""Monte-Carlo error of the criterion that does not matter."""

PATIENCE = 10.0
"""Seconds of an evaluation with a dense matrix that are worth its exactness."""

SECONDS_PER_CUBE, SECONDS_PER_PAIR = 3e-11, 8e-9
"""
Measured for 2,500 to 5,000 columns with one thread: for each q^3, and for each pair of
columns that a level links.
"""


def is_for_dense(terms, nobs, nesting=None):
    """
    Whether the dense matrix is cheap, or the only way.

    Parameters
    ----------
    terms : sequence of GroupedEffects or RawEffects
        Random-effects terms, in the order given by the user.
    nobs : int
        Number of rows n.
    nesting : callable, optional
        Which terms are nested, if these have no rows, see `plan_elimination`.

    Returns
    -------
    bool
    """
    if not KrylovEngine.suits(terms):
        return True
    sizes = [f.n_columns for f in terms]
    if _work(sum(sizes) - max(sizes), nobs) < DENSE_WORK:
        return True
    return _work(plan_elimination(terms, nesting=nesting).n_tail, nobs) < DENSE_WORK


def _work(q, nobs):
    return float(q) ** 3 + nobs


def why_not(terms):
    """Why conjugate gradients are not available for these terms; empty if they are."""
    if any(f.relationship is not None for f in terms):
        return "the levels of a factor are related"
    if any(not f.is_grouped for f in terms):
        return "a random effect is a model matrix"
    return ""


def is_by_level(terms, nesting=None):
    """Whether there is one term, or nested ones, so that no matrix is needed."""
    return len(terms) < 2 or not plan_elimination(terms, nesting=nesting).tail


def is_worth_polishing(products):
    """
    Whether an evaluation with a dense matrix fits and does not take long.

    Parameters
    ----------
    products : KrylovProducts
        Sufficient statistics.

    Returns
    -------
    bool
    """
    terms = products.plan.terms
    plan = plan_elimination(terms, nesting=nesting_of(products.links, terms))
    linked: np.ndarray = np.zeros(1)
    for (i, _), link in products.links.items():
        if i == 0:
            count = np.bincount(link.first, minlength=plan.terms[0].n_levels)
            linked = linked + count * link.shape[1]
    pairs = plan.terms[0].k_effects * (linked.astype(float) ** 2).sum()
    seconds = SECONDS_PER_CUBE * float(plan.n_tail) ** 3 + SECONDS_PER_PAIR * pairs
    available = available_bytes()
    fits = available is None or needed_bytes(plan, False) <= 0.5 * available
    return bool(fits and seconds <= PATIENCE)


def search_krylov(products, reml, settings, start=None, idle=(), fixed=False):
    """
    Minimize the criterion with estimated traces.

    Parameters
    ----------
    products : KrylovProducts
        Sufficient statistics, with the first number of probes.
    reml : bool
        Whether to minimize the REML criterion.
    settings : Settings
        When a search stops.
    start : sequence of RelativeFactor, optional
        Starting point, in elimination order.
    idle : collection of int, optional
        Terms with variances held at zero, by position in the elimination plan.
    fixed : bool, optional
        Whether to keep the number of probes.

    Returns
    -------
    deviance : ProfiledDeviance
        The criterion at the optimum, without its value.
    optimum : Optimum
        How the search went.
    """
    first = moment_start(products) if start is None else start
    criterion = KrylovProfiled(products, reml)
    deviance, optimum = minimize(criterion, without(first, idle), settings)
    while not fixed and optimum.certified and optimum.evaluations < settings.maxiter:
        count = deviance.elimination.products.probes.count
        asked = _enough(count, errors(deviance).ratio / THETA_ERROR, MOST_PROBES)
        if asked == count:
            break
        known = probed(deviance, count=asked)
        criterion = KrylovProfiled(known.elimination.products, reml, known)
        left = replace(settings, maxiter=settings.maxiter - optimum.evaluations + 1)
        deviance, again = minimize(criterion, known.factors, left)
        again = replace(again, evaluations=again.evaluations - 1)
        optimum = after(optimum, again)
    if any(deviance.factors[i].matrix.any() for i in idle):
        # the noise of a slope that is zero may have led away
        products, held = deviance.elimination.products, without(deviance.factors, idle)
        deviance, again = stay(KrylovProfiled(products, reml), held)
        again = replace(again, certified=optimum.certified, given=False)
        optimum = after(optimum, again)
    return deviance, optimum


def after(before, optimum):
    """The report of a search that continued another one."""
    return replace(
        optimum,
        evaluations=before.evaluations + optimum.evaluations,
        trace=before.trace + optimum.trace,
    )


def with_value(deviance, fixed=False):
    """
    An optimum with its value, from as many probes as it needs.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum.
    fixed : bool, optional
        Whether to keep the number of probes.

    Returns
    -------
    ProfiledDeviance
    """
    count = deviance.elimination.products.probes.of_determinant().count
    while not fixed:
        error = deviance.elimination.log_determinant.error
        asked = _enough(count, error / VALUE_ERROR, MOST_FOR_VALUE)
        if asked == count:
            break
        deviance, count = probed(deviance, more=asked), asked
    out = valued(deviance)
    deviance.elimination.forget_matrices()
    return out


def _enough(count, ratio, most):
    """A number of probes that lowers an error to its limit, by doubling."""
    asked = count
    while asked < min(count * ratio**2, most):
        asked = min(2 * asked, most)
    return asked
