"""
Separation: fixed effects whose maximum likelihood estimates are infinite.

A binary response is separated if a direction d satisfies

    s_r x_r'd >= 0 in every row, and > 0 in some,

where s_r is 1 for a success and -1 for a failure: along d no row loses likelihood and
some gain, so that the likelihood has no maximum (Albert and Anderson 1984). Rows that
have a finite best linear predictor, such as a proportion between 0 and 1 or a positive
count under a log link, require x_r'd = 0. Given finite variances, random effects only
average over the position from which a row moves along d, and an offset only shifts it,
so neither matters.

The direction that gains most in a box solves a linear program. Few rows decide it: it
is solved for some, and those that its solution violates are added, until none is.
The rows that it separates are set aside, and the search is repeated among the others,
since a direction that is far longer may precede any other. The coefficients that are
left undetermined by the rows that are never separated are infinite.

References
----------
Albert, A. and Anderson, J. A. (1984). On the existence of maximum likelihood estimates
in logistic regression models. Biometrika 71, 1-10.

Correia, S., Guimaraes, P. and Zylkin, T. (2019). Verifying the existence of maximum
likelihood estimates for generalized linear models. arXiv:1903.01633.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from statsmodels_lmm.core.algebra.dense import eigvalsh, triangle_of_qr
from statsmodels_lmm.core.rows.standardize import constant_column, independent_columns

SEPARATED = 1e-7
"""Smallest x_r'd that counts as positive, for d in the box and unit columns of X."""

VIOLATED = 1e-9
"""Largest -s_r x_r'd that is treated as zero."""

INVOLVED = 1e-6
"""Smallest entry of a direction, for unit columns of X, not treated as zero."""

ROUNDING = 1e-13
"""Deviations from a mean, relative to it, that are due to rounding."""

CHUNK = 2000
"""Number of rows that are decomposed at once."""

ROWS = 1000
"""Number of rows in the first linear program, and of those added to the next."""

FAR = 10.0
"""Share of a linear predictor due to one standardized column that is suspicious."""

LOST = 1e-6
"""Smallest curvature along the fixed effects, over the largest, that is not."""

SIGMOID = {"logit", "probit", "cauchy", "cloglog", "loglog"}
"""Links under which a probability approaches both 0 and 1 at infinity."""

COUNTS = {"Poisson", "NegativeBinomial"}


@dataclass(frozen=True)
class Separation:
    """
    A direction in which the likelihood increases forever.

    Parameters
    ----------
    direction : ndarray
        d, with largest entry 1 in size, shape (p,).
    rows : ndarray
        Rows with s_r x_r'd > 0, booleans, shape (n,).
    columns : ndarray
        Columns whose coefficients are not finite, booleans, shape (p,).
    directions : ndarray
        Basis of all directions that move separated rows only, shape (p, k).
    """

    direction: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class Unbounded:
    """
    What has no finite maximum likelihood estimate.

    Parameters
    ----------
    sentences : tuple of str
        What, and why.
    columns : ndarray or None
        Columns of X, of those kept, with infinite coefficients, booleans, shape (r,).
    directions : ndarray or None
        Basis of the directions in which only separated rows move, shape (r, k).
    """

    sentences: tuple = ()
    columns: np.ndarray | None = None
    directions: np.ndarray | None = None

    def __repr__(self):
        found = "; ".join(self.sentences) or "every estimate is finite"
        return f"<{type(self).__name__}: {found}>"

    def basis(self, r):
        """
        A basis of the directions in which coefficients are infinite.

        Parameters
        ----------
        r : int
            Number of columns of X that are kept.

        Returns
        -------
        ndarray
            Shape (r, k). Without `directions`, every coefficient in `columns` may be
            infinite by itself.
        """
        if self.directions is not None:
            return self.directions
        return np.eye(r)[:, np.zeros(r, bool) if self.columns is None else self.columns]


FINITE = Unbounded()
"""Where every estimate is finite."""


def signs(family, link, y):
    """
    Directions in which the linear predictors of single rows are best.

    Parameters
    ----------
    family, link : str
        Names of the family and the link, as in statsmodels.
    y : ndarray
        Proportions of successes, or counts, shape (n,).

    Returns
    -------
    ndarray or None
        1 or -1 for a row that fits best at a linear predictor of plus or minus
        infinity, 0 for a finite one, shape (n,). None if all are finite whatever the
        response.
    """
    if family == "Binomial" and link in SIGMOID:
        return (y >= 1.0) * 1.0 - (y <= 0.0)
    if link == "log" and family in {"Binomial", *COUNTS}:
        return -1.0 * (y <= 0.0)
    return None


def is_separated(evaluation, factors):
    """
    Whether a fixed effect or a variance has no finite estimate.

    Parameters
    ----------
    evaluation : LaplaceDeviance
        The criterion at the end of a search.
    factors : sequence of GroupedEffects or RawEffects
        The random effects, in any order.

    Returns
    -------
    bool
    """
    model = evaluation.model
    sign = signs(model.family.name, model.family.link_name, model.endog)
    if sign is None:
        return False
    if any(unlimited_effects(f, sign).any() for f in factors):
        return True
    known = evaluation.first.fixed_information
    may_be = is_suspicious(model.exog, evaluation.coefficients, known)
    return bool(may_be) and separation(model.exog, sign) is not None


def unlimited_effects(factor, sign):
    """
    Which random effects can predict a response of two values in every level.

    The likelihood increases with their variance forever. Related levels cannot all be
    predicted, nor can effects that share parameters with others that predict nothing.

    Parameters
    ----------
    factor : GroupedEffects or RawEffects
        The random effects of a factor.
    sign : ndarray
        1, -1 or 0 for each row, see `signs`.

    Returns
    -------
    ndarray of bool
        Shape (k,).
    """
    nothing = np.zeros(factor.k_effects, dtype=bool)
    if not sign.all() or not factor.of_user.is_grouped:
        return nothing
    if factor.relationship is not None:
        return nothing
    codes, n = factor.codes, factor.n_levels

    def predicts(column):
        ahead = sign * column
        found = [np.bincount(codes[s * ahead > 0.0], minlength=n) > 0 for s in (1, -1)]
        return (found[0] | found[1]).any() and not (found[0] & found[1]).any()

    out = np.array([predicts(column) for column in factor.effects.T], dtype=bool)
    for part, structure in zip(factor.block_slices, factor.structures):
        if structure.has_structure and not out[part].all():
            out[part] = False
    return out


def is_constant_by_level(factor, values):
    """
    Whether values do not vary within the levels of a factor with an intercept for each.

    Levels that are related share their intercepts, and do not count.

    Parameters
    ----------
    factor : GroupedEffects or RawEffects
        The random effects of a factor.
    values : ndarray
        Shape (n,).

    Returns
    -------
    bool
    """
    if not factor.of_user.is_grouped or factor.relationship is not None:
        return False
    if not (factor.effects == factor.effects[0]).all(axis=0).any():
        return False
    of_level = np.zeros(factor.n_levels)
    of_level[factor.codes] = values
    return bool((of_level[factor.codes] == values).all())


def is_suspicious(exog, coefficients, information):
    """
    Whether a fixed effect is so large or so uncertain that it may be infinite.

    Parameters
    ----------
    exog : ndarray
        Standardized design of the fixed effects, shape (n, p).
    coefficients, information : ndarray
        The fixed effects and X'V^-1 X, shapes (..., p) and (..., p, p).

    Returns
    -------
    ndarray of bool
        Shape (...).
    """
    if not coefficients.shape[-1]:
        return np.zeros(coefficients.shape[:-1], dtype=bool)
    shares = np.abs(exog).max(axis=0) * np.abs(coefficients)
    curvature = eigvalsh(information)
    is_flat = curvature[..., 0] <= LOST * curvature[..., -1]
    return (shares.max(axis=-1) > FAR) | is_flat


def separation(exog, sign):
    """
    Search for separation.

    Parameters
    ----------
    exog : ndarray
        X, shape (n, p). Columns that depend linearly on those before them are ignored.
    sign : ndarray
        The s_r, of which those of 0 require equality, shape (n,); see `signs`.

    Returns
    -------
    Separation or None
        None if there is none.
    """
    columns, change = _standardized(exog)
    triangle = _triangle(columns)
    kept = independent_columns(triangle)
    whitening = np.zeros((exog.shape[1], len(kept)))
    root = triangle_of_qr(triangle[:, kept]) / np.sqrt(len(exog))
    whitening[kept] = np.linalg.inv(root)
    held = columns[sign == 0.0] @ whitening
    whitening = whitening @ _span_and_null(held, len(exog))[1]
    signed = np.flatnonzero(sign)
    gains = sign[signed, None] * (columns[signed] @ whitening)
    ahead, place, null = _recession(gains, len(exog))
    if not ahead.any():
        return None
    unbounded = whitening @ np.column_stack([place, null])
    sizes = np.diagonal(change)[:, None] + np.abs(change) @ np.abs(unbounded)
    unbounded = change @ unbounded
    infinite = (np.abs(unbounded) > INVOLVED * sizes).any(axis=1)
    unbounded[~infinite] = 0.0
    direction, *basis = unbounded.T
    rows = np.zeros(len(exog), dtype=bool)
    rows[signed[ahead]] = True
    direction = direction / np.abs(direction).max()
    return Separation(direction, rows, infinite, np.transpose(basis))


def _recession(gains, n):
    """
    The rows that directions without a loss leave ahead.

    Parameters
    ----------
    gains : ndarray
        Gains of the rows in each coordinate, shape (m, k).
    n : int
        Number of rows over which the coordinates have mean squares of 1.

    Returns
    -------
    ahead : ndarray
        Rows that gain, booleans, shape (m,).
    place : ndarray
        A direction in which exactly these gain, shape (k,).
    null : ndarray
        Basis of the directions in which the others do not change, with k rows.
    """
    free = np.eye(gains.shape[1])
    place, null = np.zeros(len(free)), free[:, :0]
    ahead = np.zeros(len(gains), dtype=bool)
    while free.shape[1] and not ahead.all():
        left = gains[~ahead]
        step = free @ _best_direction(left @ free)
        tied = np.abs(left @ step) <= SEPARATED
        span, vanishing = _span_and_null(left[tied], n)
        step = vanishing @ (vanishing.T @ step)
        if tied.all() or (left[~tied] @ step).min() <= VIOLATED:
            break
        # rows already ahead may lose half of their lead
        half, loss = 0.5 * gains[ahead] @ place, gains[ahead] @ -step
        place += step * (half / np.maximum(half, loss)).min(initial=1.0)
        ahead[~ahead] = ~tied
        free, null = span, vanishing
    return ahead, place, null


def _standardized(exog):
    """
    Columns of largest entry 1, centered if the first is constant, and the map back.

    Parameters
    ----------
    exog : ndarray
        X, shape (n, p).

    Returns
    -------
    columns : ndarray
        X times `change`, shape (n, p).
    change : ndarray
        Takes coefficients of `columns` to those of X, shape (p, p).
    """
    change, means = np.eye(exog.shape[1]), np.zeros(exog.shape[1])
    if constant_column(exog) == 0:
        means[1:] = exog[:, 1:].mean(axis=0)
        change[0] -= means / exog[0, 0]
    columns = exog - means
    units = np.abs(columns).max(axis=0, initial=0.0)
    is_constant = units <= ROUNDING * np.abs(means)
    columns[:, is_constant], units[is_constant] = 0.0, 1.0
    return columns / units, change / units


def _triangle(rows):
    """R of the QR decomposition of many rows, in pieces that fit into a cache."""
    while len(rows) > 2 * CHUNK:
        parts = range(0, len(rows), CHUNK)
        rows = np.concatenate([triangle_of_qr(rows[a : a + CHUNK]) for a in parts])
    return triangle_of_qr(rows)


def _span_and_null(rows, n):
    """Orthonormal bases of the span of some of n whitened rows, and of the rest."""
    _, values, right = np.linalg.svd(_triangle(rows))
    rank = int((values > VIOLATED * np.sqrt(n)).sum())
    return right[:rank].T, right[rank:].T


def _best_direction(gains):
    """
    The direction in a box with the largest sum of gains, none of which is negative.

    Parameters
    ----------
    gains : ndarray
        Gains of the rows in each coordinate, shape (m, k).

    Returns
    -------
    ndarray
        Shape (k,).
    """
    total = gains.sum(axis=0)
    total /= np.abs(total).max() or 1.0
    chosen = np.zeros(len(gains), dtype=bool)
    behind = np.arange(len(gains))
    while True:
        chosen[behind[:: -(-len(behind) // ROWS)]] = True
        used = gains[chosen]
        best = linprog(
            -total,
            -used,
            np.zeros(len(used)),
            bounds=(-1.0, 1.0),
            method="highs-ds",
            options={"primal_feasibility_tolerance": 0.1 * VIOLATED},
        )
        if best.x is None:
            return np.zeros(len(total))
        behind = np.flatnonzero((gains @ best.x < -VIOLATED) & ~chosen)
        if not len(behind):
            return best.x
