"""
Which variances and covariances the data determine.

The covariance matrix of the response is linear in those of the random effects and in
sigma^2. A change c of these parameters changes it, divided by sigma^2, by

    sum_a c_a V_a + c_0 I,    V_a = Z_i (I (x) D_a) Z_i',

and if that is zero the likelihood does not change: c is a flat direction. For the
restricted likelihood, M V_a M and M take the place of V_a and I, where M projects off
X. Flat directions depend on the design alone, unlike the rank of the information at an
estimate.

A symmetric matrix is zero if it maps random vectors to zero, so no n x n matrix is
formed. Vectors can show that a direction is not flat, but not that it is. The first is
the response itself, which needs no new computation and settles almost every model;
directions that it leaves open are tested with normal vectors.
"""

import numpy as np

from statsmodels_lmm.core.structures.relative_factor import generic_factor

UNCHANGED = 1e-7
"""Length of a combination of the V_a z, relative to theirs, treated as zero."""

FEW_ROWS = 2000
"""Largest number of rows at which the response is examined."""

MAX_VECTORS = 12
"""Largest number of normal vectors."""

CHUNK = 2**22
"""Largest size of the arrays held at once."""

SEED = 0x9E3779B97F4A7C15F39CC0605CEDC834
"""Fixed seed of the vectors, unlikely to be the seed of simulated data."""


def flat_directions(data, products, reml, informative, places=None):
    """
    Changes of the covariance parameters that do not change the likelihood.

    Parameters
    ----------
    data : Standardized
        The standardized data.
    products : CrossProducts or SparseProducts
        Cross-products of the data.
    reml : bool
        Whether it is the restricted likelihood.
    informative : ndarray
        Which of the m parameters to examine; the others are held, shape (m,).
    places : sequence of RelativeFactor, optional
        Where the derivatives of structured blocks are taken, in elimination order; by
        default where nothing cancels.

    Returns
    -------
    ndarray
        A basis of these changes, shape (m + 1, number of flat directions). The rows are
        the lower triangles of the S, or the parameters of a structure, block by block
        in elimination order, and the residual variance.
    """
    terms, n = products.plan.terms, len(data.endog)
    asked = np.append(informative, True)
    if places is None:
        places = [generic_factor(f) for f in terms]
    draw = np.random.default_rng(SEED)
    rows = np.arange(n)
    few = max(FEW_ROWS, 4 * len(asked))
    if n > few:
        rows = np.sort(draw.choice(n, few, replace=False))
    sums = [s[..., -1] for s in products.level_sums]
    whole, images = _images(data, products, places, sums, data.endog, rows, True)
    lengths = np.sqrt((whole[:, asked] ** 2).mean(axis=0))
    lengths[lengths == 0.0] = 1.0
    basis = _null_basis(images[:, asked] / lengths)
    for _ in range(min(MAX_VECTORS, 1 + len(asked))):
        if not basis.shape[1]:
            break
        z = draw.standard_normal(n)
        if reml:
            z -= data.exog @ (data.exog.T @ z) / n
        sums = [f.level_sums(z[:, None])[..., 0] for f in terms]
        gram, total = np.zeros((basis.shape[1],) * 2), 0.0
        step = max(1, CHUNK // max(f.k_effects for f in terms) ** 2)
        for start in range(0, n, step):
            some = np.arange(start, min(start + step, n))
            whole, images = _images(data, products, places, sums, z, some, reml)
            left = images[:, asked] / lengths @ basis
            gram += left.T @ left
            total += np.mean(((whole[:, asked] / lengths) ** 2).sum(axis=0))
        values, vectors = np.linalg.eigh(gram)
        basis = basis @ vectors[:, values <= UNCHANGED**2 * total]
    basis[np.abs(basis) <= UNCHANGED] = 0.0
    out = np.zeros((len(asked), basis.shape[1]))
    out[asked] = basis / lengths[:, None]
    return out


def mean_variances(products, moments, inverse_weight):
    """
    Derivatives of the rows' mean variance with respect to covariance parameters.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Cross-products of the data.
    moments : sequence of ndarray
        Means over the rows of z z' / w for the standardized effects z of each term, in
        the user's order, (k, k).
    inverse_weight : float
        Mean of 1 / w.

    Returns
    -------
    ndarray
        Derivatives of each term's contribution to the mean variance, in the user's
        order, and of the residual variance, with respect to the parameters of
        `flat_directions`, shape (number of terms + 1, m + 1).
    """
    plan = products.plan
    counts = [f.n_parameters for f in plan.terms]
    out, start = np.zeros((len(counts) + 1, sum(counts) + 1)), 0
    for i, term in zip(plan.order, plan.terms):
        here = slice(start, start + term.n_parameters)
        out[i, here] = generic_factor(term).traces(moments[i])
        start = here.stop
    out[-1, -1] = inverse_weight
    return out


def _null_basis(columns):
    """Orthonormal basis of the coefficients for which X c is almost zero."""
    triangle = np.linalg.qr(columns, mode="r")
    _, values, right = np.linalg.svd(triangle)
    rank = int((values > UNCHANGED * values.max(initial=0.0)).sum())
    return right[rank:].T


def _images(data, products, places, sums, z, rows, projected):
    """
    The images V_a z and z of a vector at given rows, before and after M.

    Parameters
    ----------
    data, products, places
        As for `flat_directions`.
    sums : list of ndarray
        Z_i'z of each term, shapes (l_i, k_i).
    z : ndarray
        The vector, in the range of M if `projected`, shape (n,).
    rows : ndarray
        The rows, shape (r,).
    projected : bool
        Whether to apply M.

    Returns
    -------
    whole, images : ndarray
        Shapes (r, m + 1); identical unless M is applied.
    """
    columns, across = [], []
    p = products.k_fixed
    for term, place, t, w in zip(
        products.plan.terms, places, sums, products.level_sums
    ):
        t = term.whitened(t)
        inner = term.of_user.crossed(term.level_modes(t), rows)
        columns.append(place.traces(inner))
        if projected:
            inner = np.tensordot(term.whitened(w[..., :p]), t, axes=(0, 0))
            across.append(place.traces(np.moveaxis(inner, 1, 0)))
    whole = np.column_stack([*columns, z[rows]])
    if not projected:
        return whole, whole
    images = whole.copy()
    images[:, :-1] -= data.exog[rows] @ np.hstack(across) / len(z)
    return whole, images


NO_CURVATURE = 1e-5
"""Curvature of the criterion in a natural step that counts as none."""

AT_AN_END = 1e-5
"""Derivative of the parameters in a coordinate at which they are all but at an end."""

DISTANT = 1e4
"""Range, as a multiple of the largest distance, that counts as infinite."""


def flat_with_errors(deviance):
    """
    Directions of the covariances of effects and errors that the data do not determine.

    Parameters
    ----------
    deviance : CorrelatedDeviance
        The criterion at the estimates.

    Returns
    -------
    ndarray
        Changes of the free parameters of the factors, and of the parameters of the
        errors, as multiples of natural steps, shape (m, f).
    """
    jacobian = deviance.whitening.jacobian
    units, count = deviance.units, len(deviance.units) - len(jacobian)
    moves = np.append(np.ones(count), np.linalg.norm(jacobian, axis=0)) > AT_AN_END
    curvature = deviance.derivatives().curvature * np.outer(units, units)
    values, vectors = np.linalg.eigh(curvature[np.ix_(moves, moves)])
    largest = values.max(initial=0.0)
    flat = values < max(NO_CURVATURE, 1e-11 * largest)
    out = np.zeros((len(units), int(flat.sum())))
    out[moves] = vectors[:, flat]
    out[count:] = jacobian @ (units[count:, None] * out[count:])
    distant = np.flatnonzero(_run_off(deviance.whitening))
    distant = distant[~out[count + distant].any(axis=1)]
    return np.hstack([out, np.eye(len(units))[:, count + distant]])


def _run_off(whitening):
    """
    Which ranges exceed all distances, so that the errors have no variance of their own.

    What is then determined is the variance of differences, sigma^2 over the range.
    """
    model, found = whitening.model, np.zeros(len(whitening.x), dtype=bool)
    if model.structure is None or not model.spread > 0.0:
        return found
    values, _ = model.split(whitening.parameters)
    names = [p.name for p in model.structure.parameters(model.size)]
    far = (values > DISTANT * model.spread) & (np.array(names) == "range")
    found[: far.size] = far.ravel()
    return found
