"""Where the search starts: variances by the method of moments."""

import numpy as np
from scipy.linalg import lapack

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.structures.relative_factor import starting_factor

FLOOR = 0.1
"""Smallest starting variance, relative to sigma^2 over a level's information."""


SPREAD = 1e3
"""Starting variance, in units of l / n, of effects given all of the variation."""

SCALES = 1e-2, 1.0, 30.0, 1e5
"""Other starting variances, when many starts cost little more than one."""

LITTLE = 0.03
"""Starting variance of effects given hardly any of the variation."""

CORRELATED = 0.9
"""Starting correlation, as a share of either half of its range."""


def moment_start(products):
    """
    Relative factors from sums of squares between the levels.

    With t = Z'y for a response orthogonal to X, and a the diagonal of Z'Z, the sum
    of squares q_c = sum_g t_gc^2 / a_gc of an effect column c has approximately the
    expectation

        sigma^2 l + sum_d s_d sum_gh (Z'Z)_gc,hd^2 / a_gc,

    where s_d is the variance of effect d. Solving for s together with the total sum of
    squares is Henderson's (1953) first method; correlations start at zero.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data, of one response or of many.

    Returns
    -------
    list of RelativeFactor
        In elimination order.
    """
    moments, n, total = products.moments(), products.nobs, products.gram[..., -1, -1]
    system = np.full((len(moments.counts) + 1,) * 2, float(n))
    system[:-1, :-1], system[:-1, -1] = moments.squares, moments.counts
    system[-1, :-1] = moments.traces
    right = np.concatenate([moments.between, total[..., None]], axis=-1)
    solution = lapack.dgelss(system, right.T, cond=1e-10)[1].T
    residual = np.maximum(solution[..., -1:], 0.05 * total[..., None] / n)
    floor = FLOOR * moments.counts / np.maximum(moments.traces, 1e-300)
    relative = np.maximum(solution[..., :-1] / residual, floor)
    terms = products.plan.terms
    parts = zip(terms, consecutive(f.k_effects for f in terms))
    return [
        starting_factor(
            f, relative[..., part, None] / f.level_variance * np.eye(f.k_effects)
        )
        for f, part in parts
    ]


def further_starts(products, factors):
    """
    Starting points that lead to other optima, the most promising first.

    Optima differ in which effects account for the response, and in the signs of
    correlations, which the moments do not determine.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.
    factors : sequence of RelativeFactor
        An optimum, in elimination order.

    Returns
    -------
    list of list of RelativeFactor
    """
    each = products.plan.terms
    spread = start_at(products, [SPREAD] * len(each))
    starts = [[f.correlated(-CORRELATED) for f in spread]]
    structures = [s for f in each for s in f.structures]
    if any(p.kind == "cor" for s in structures for p in s.parameters):
        units = [FLOOR * f.n_levels / products.nobs for f in each]
        lifted = [f.lifted(unit) for f, unit in zip(factors, units)]
        starts.append([f.correlated(CORRELATED) for f in lifted])
    elif any(s.has_structure for s in structures):
        starts.append(start_at(products, [1.0] * len(each)))
    if len(each) > 1:
        starts.append(start_at(products, [SPREAD, *[LITTLE] * (len(each) - 1)]))
    return starts


def many_starts(products):
    """
    The starts of `further_starts` and more, for searches run side by side.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.

    Returns
    -------
    list of list of RelativeFactor
    """
    terms = products.plan.terms
    sizes: list = [[scale] * len(terms) for scale in (SPREAD, *SCALES)]
    blocks = [(i, block) for i, f in enumerate(terms) for block in f.block_slices]
    for i, block in blocks if len(blocks) > 1 else ():
        one = [np.full(f.k_effects, LITTLE) for f in terms]
        one[i][block] = SPREAD
        sizes.append(one)
    return [start_at(products, s) for s in sizes]


def start_at(products, sizes):
    """
    Relative factors with variances of given sizes.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.
    sizes : sequence of float or ndarray
        Variances of the effects of each term, shapes () or (k,), in units of l / n: at
        one, the mean of a level varies as much by its random intercept as by noise.

    Returns
    -------
    list of RelativeFactor
    """
    return [
        starting_factor(
            f,
            size * f.n_levels / products.nobs / f.level_variance * np.eye(f.k_effects),
        )
        for f, size in zip(products.plan.terms, sizes)
    ]
