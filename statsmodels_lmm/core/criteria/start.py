"""Where the search starts: variances by the method of moments."""

import numpy as np

from statsmodels_lmm.core.engines.coupling import SparseCoupling
from statsmodels_lmm.core.structures.relative_factor import starting_factor

FLOOR = 0.1
"""Smallest starting variance, relative to sigma^2 over a level's information."""


SPREAD = 1e3
"""Starting variance in units of l / n where the effects are given all variation."""

SCALES = 1e-2, 1.0, 30.0, 1e5
"""Other starting variances, where many starts cost little more than one."""

LITTLE = 0.03
"""Starting variance of effects that are given hardly any variation."""

CORRELATED = 0.9
"""Share of either half of the range of a correlation at which a search starts."""


def moment_start(products):
    """
    Relative factors from sums of squares between the levels.

    With t = Z'y for a response that is orthogonal to X, and a the diagonal of
    Z'Z, the sum of squares q_c = sum_g t_gc^2 / a_gc of an effect column c has
    about the expectation

        sigma^2 l + sum_d s_d sum_gh (Z'Z)_gc,hd^2 / a_gc,

    s_d the variance of effect d. Solving for s with the total sum of squares is
    Henderson's (1953) first method; correlations start at zero.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.

    Returns
    -------
    list of RelativeFactor
        In the order of the elimination plan.
    """
    plan = products.plan
    labels, width = [], 0
    for factor in plan.factors:
        labels.append(np.arange(width, width + factor.k_effects))
        width += factor.k_effects
    gather = _sparse_moments if plan.is_sparse else _moments
    squares, between, traces, counts = gather(products, labels, width)
    n = float(products.nobs)
    system = np.block([[squares, counts[:, None]], [traces[None, :], np.array([[n]])]])
    total = products.gram[-1, -1]
    solution = np.linalg.lstsq(system, np.append(between, total), rcond=1e-10)[0]
    residual = max(solution[-1], 0.05 * total / n)
    floor = FLOOR * counts / np.maximum(traces, 1e-300)
    relative = np.maximum(solution[:-1] / residual, floor)
    pairs = zip(plan.factors, labels)
    return [
        starting_factor(f, np.diag(relative[rows] / f.level_variance))
        for f, rows in pairs
    ]


def further_starts(products, factors):
    """
    Places from which other optima are found, the most promising first.

    Optima differ in which effects carry the response, and in the sign of correlations
    that moments do not tell.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.
    factors : sequence of RelativeFactor
        An optimum, in the order of the elimination plan.

    Returns
    -------
    list of list of RelativeFactor
    """
    each = products.plan.factors
    spread = start_at(products, [SPREAD] * len(each))
    found = [[f.correlated(-CORRELATED) for f in spread]]
    structures = [s for f in each for s in f.structures]
    if any(p.kind == "cor" for s in structures for p in s.parameters):
        units = [FLOOR * f.n_levels / products.nobs for f in each]
        lifted = [f.lifted(unit) for f, unit in zip(factors, units)]
        found.append([f.correlated(CORRELATED) for f in lifted])
    elif any(s.has_structure for s in structures):
        found.append(start_at(products, [1.0] * len(each)))
    if len(each) > 1:
        found.append(start_at(products, [SPREAD, *[LITTLE] * (len(each) - 1)]))
    return found


def many_starts(products):
    """
    The same and more, for searches that go on side by side.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.

    Returns
    -------
    list of list of RelativeFactor
    """
    factors = products.plan.factors
    sizes: list = [[scale] * len(factors) for scale in (SPREAD, *SCALES)]
    blocks = [(i, block) for i, f in enumerate(factors) for block in f.block_slices]
    for i, block in blocks if len(blocks) > 1 else ():
        one = [np.full(f.k_effects, LITTLE) for f in factors]
        one[i][block] = SPREAD
        sizes.append(one)
    return [start_at(products, s) for s in sizes]


def start_at(products, sizes):
    """
    Relative factors with variances of a size.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.
    sizes : sequence of float or ndarray
        Variances of the effects of each factor, shapes () or (k,), in units of l / n:
        at one, half of what a random intercept adds to the mean of a level is noise.

    Returns
    -------
    list of RelativeFactor
    """
    return [
        starting_factor(
            f,
            size * f.n_levels / products.nobs / f.level_variance * np.eye(f.k_effects),
        )
        for f, size in zip(products.plan.factors, sizes)
    ]


def _sparse_moments(products, labels, width):
    """Squares of Z'Z, q_c, traces and numbers of levels, from the whole of Z'Z."""
    factors = products.plan.factors
    label = np.concatenate([np.tile(x, f.n_levels) for x, f in zip(labels, factors)])
    diagonal = products.matrix.diagonal()
    inverse = _reciprocal(diagonal)
    matrix = products.matrix.tocoo()
    weighted = inverse[matrix.row] * matrix.data**2
    cell = label[matrix.row] * width + label[matrix.col]
    squares = np.bincount(cell, weighted, width**2).reshape(width, width)
    t = np.concatenate([f[..., -1].ravel() for f in products.fixed])
    return (
        squares,
        np.bincount(label, inverse * t**2, width),
        np.bincount(label, diagonal, width),
        np.bincount(label, inverse > 0, width),
    )


def _moments(products, labels, width):
    """The same from the blocks of Z'Z."""
    plan = products.plan
    tail_labels = np.concatenate(
        [np.zeros(0, dtype=int)]
        + [np.tile(x, f.n_levels) for x, f in zip(labels[plan.n_chain :], plan.tail)]
    )
    diagonals = [np.diagonal(d, axis1=1, axis2=2) for d in products.diagonal]
    inverses = [_reciprocal(d) for d in diagonals]
    tail_inverse = _reciprocal(np.diagonal(products.tail))

    squares = np.zeros((width, width))
    between, traces, counts = np.zeros(width), np.zeros(width), np.zeros(width)
    for i in range(plan.n_chain):
        rows = labels[i]
        squares[np.ix_(rows, rows)] += np.einsum(
            "gc,gcd->cd", inverses[i], products.diagonal[i] ** 2
        )
        between[rows] = (inverses[i] * products.fixed[i][..., -1] ** 2).sum(axis=0)
        traces[rows] = diagonals[i].sum(axis=0)
        counts[rows] = (inverses[i] > 0).sum(axis=0)
    for (i, j), block in products.nested.items():
        parents = plan.parents[i, j]
        cross = np.ix_(labels[i], labels[j])
        squares[cross] += np.einsum("gc,gcd->cd", inverses[i], block**2)
        upward = np.einsum("gd,gcd->dc", inverses[j][parents], block**2)
        squares[np.ix_(labels[j], labels[i])] += upward
    if plan.tail:
        for i, coupling in enumerate(products.coupling):
            down, up = _coupling_squares(
                coupling, inverses[i], tail_inverse, tail_labels, width
            )
            squares[labels[i]] += down
            squares[:, labels[i]] += up
        tail_squares = tail_inverse[:, None] * products.tail**2
        by_column = _sum_by_label(tail_squares.T, tail_labels, width).T
        squares += _sum_by_label(by_column, tail_labels, width)
        weighted = tail_inverse * products.tail_fixed[:, -1] ** 2
        between += np.bincount(tail_labels, weighted, width)
        traces += np.bincount(tail_labels, np.diagonal(products.tail), width)
        counts += np.bincount(tail_labels, tail_inverse > 0, width)

    return squares, between, traces, counts


def _reciprocal(values):
    """One over the values, zero where they are zero."""
    positive = values > 1e-12 * values.max(initial=0.0)
    return np.where(positive, 1.0 / np.where(positive, values, 1.0), 0.0)


def _sum_by_label(rows, labels, width):
    """Sum the rows of a matrix that share a label, shape (width, columns)."""
    out = np.zeros((width, rows.shape[1]))
    for label in np.unique(labels):
        out[label] = rows[labels == label].sum(axis=0)
    return out


def _coupling_squares(coupling, inverse, tail_inverse, tail_labels, width):
    """Squares of Z_i'Z_t over either diagonal, summed by effect column."""
    k = inverse.shape[1]
    if isinstance(coupling, SparseCoupling):
        matrix = coupling.matrix.tocoo()
        row, column = matrix.row.astype(int), matrix.col.astype(int)
        squares = matrix.data**2
    else:
        values = coupling.values.reshape(-1, coupling.values.shape[-1])
        row, column = np.nonzero(values)
        squares = values[row, column] ** 2
    cell = (row % k) * width + tail_labels[column]
    down = np.bincount(cell, squares * inverse.ravel()[row], k * width)
    up = np.bincount(cell, squares * tail_inverse[column], k * width)
    return down.reshape(k, width), up.reshape(k, width).T
