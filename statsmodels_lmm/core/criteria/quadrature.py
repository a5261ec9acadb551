"""
Adaptive Gauss-Hermite quadrature for the random effects of one factor.

The effects of a level are b_g = L u with u ~ N(0, I). Nodes xi_j with normal weights
om_j are moved to the mode and scaled by its curvature, H_g = L'A_g L + I = R R':

    u_gj = u_g + R^-T xi_j,    f_gj = 2 sum c + |u_gj|^2,
    d = sum_g { log |H_g| - 2 log sum_j om_j exp(|xi_j|^2 / 2 - f_gj / 2) }.

With one node d is the Laplace deviance. The gradient is that of this sum, nodes moving
with the parameters; the curvature is Louis's (1982), with expectations over the nodes.

References
----------
Louis, T. A. (1982). Finding the observed information matrix when using the EM
algorithm. Journal of the Royal Statistical Society B 44, 226-233.
Pinheiro, J. C. and Bates, D. M. (1995). Approximations to the log-likelihood function
in the nonlinear mixed-effects model. Journal of Computational and Graphical Statistics
4, 12-35.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.laplace import Laplace, LaplaceDeviance
from statsmodels_lmm.core.criteria.laplace_derivatives import (
    DIFFERENCE_TOLERANCE,
    LaplaceSlopes,
    differenced,
    escape_from_zero,
)
from statsmodels_lmm.core.structures.relative_factor import split_step

MOST_EFFECTS = 3
"""Number of effects of a level up to which quadrature is offered."""

ENTRIES = 4_000_000
"""Rows times nodes evaluated at once."""


@lru_cache(maxsize=16)
def product_grid(n_nodes, k):
    """
    Nodes and weights for the standard normal distribution in k dimensions.

    Parameters
    ----------
    n_nodes : int
        Nodes along each axis.
    k : int
        Number of dimensions.

    Returns
    -------
    nodes : ndarray
        xi, shape (n_nodes^k, k).
    log_weights : ndarray
        log om + |xi|^2 / 2, shape (n_nodes^k,).
    """
    axis, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    weights = weights / weights.sum()
    nodes = np.stack(np.meshgrid(*[axis] * k, indexing="ij"), axis=-1).reshape(-1, k)
    each = np.stack(np.meshgrid(*[weights] * k, indexing="ij"), axis=-1).reshape(-1, k)
    return nodes, np.log(each).sum(axis=1) + 0.5 * (nodes**2).sum(axis=1)


@dataclass(frozen=True)
class Quadrature(Laplace):
    """
    The deviance by adaptive quadrature as a function of its parameters.

    Parameters
    ----------
    model, observed, jointly
        As for `Laplace`; the fixed effects are parameters.
    n_nodes : int
        Nodes along each axis.
    """

    n_nodes: int = 25

    def __post_init__(self):
        """Reject random effects that do not come level by level."""
        if self.jointly or not can_be_integrated(self.model):
            raise ValueError(
                "quadrature needs one grouping factor with independent levels and at "
                f"most {MOST_EFFECTS} effects"
            )

    @property
    def nagq(self):
        """The number of nodes along each axis."""
        return self.n_nodes

    exact_below = 0.0
    """Louis's curvature is the Hessian but for the error of the quadrature."""

    @cached_property
    def batches(self):
        """Rows of consecutive levels, ordered by level, in batches."""
        (term,) = self.model.terms
        order = np.argsort(term.codes, kind="stable")
        codes = term.codes[order]
        size = max(1, ENTRIES // self.n_nodes**term.k_effects)
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        out, first = [], 0
        while first < len(starts):
            limit = starts[first] + size
            last = max(first + 1, int(np.searchsorted(starts, limit, side="right")) - 1)
            last = len(starts) if starts[first] + size >= len(codes) else last
            end = starts[last] if last < len(starts) else len(codes)
            rows = order[starts[first] : end]
            out.append(_Batch(rows, codes[starts[first] : end], slice(first, last)))
            first = last
        return out

    def moved(self, current, step):
        """The place to which a step leads, in the same coordinates."""
        # the nodes turn with L, so that a new pivot would change the value
        place = super().moved(current, step)
        pairs = zip(current.point, split_step(step, current.point))
        point = tuple(p.moved(s) for p, s in pairs)
        return replace(place, point=point, secant=None, tolerance=None)

    def at(self, place, tolerance=1e-12):
        """The QuadratureDeviance at a place, see `Laplace.at`."""
        laplace = super().at(place, tolerance)
        fields = {
            name: getattr(laplace, name) for name in LaplaceDeviance.__annotations__
        }
        own = QuadratureDeviance(**{**fields, "criterion": self})
        if not np.isfinite(own.total):
            raise np.linalg.LinAlgError("the integral does not exist")
        constant = 2.0 * self.model.constant(laplace.extra)
        return replace(own, value=np.asarray(own.total + constant))


def can_be_integrated(model):
    """Whether the random effects of a model come level by level, and are few."""
    plan = model.engine.plan
    (term, *others) = plan.terms
    few = term.k_effects <= MOST_EFFECTS
    return not others and term.is_grouped and plan.is_diagonal and few


@dataclass(frozen=True)
class _Batch:
    """
    Rows of consecutive levels.

    Parameters
    ----------
    rows, codes : ndarray
        Positions of the rows, ordered by level, and their levels, shape (r,).
    levels : slice
        The levels.
    """

    rows: np.ndarray
    codes: np.ndarray
    levels: slice

    @property
    def local(self):
        """Level of each row among those of the batch."""
        return self.codes - self.levels.start

    def summed(self, values):
        """Sums over the rows of each level, of values of shape (r, ...)."""
        starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
        return np.add.reduceat(values, starts, axis=0)


@dataclass(frozen=True)
class _Nodes:
    """
    What is known at the nodes of a batch of levels.

    Parameters
    ----------
    model : ConditionalModel
        The rows of the batch alone.
    effects : ndarray
        u, shape (l, nodes, k).
    eta : ndarray
        Shape (nodes, r).
    shares : ndarray
        Normalized terms of the sum over nodes, shape (l, nodes).
    total : ndarray
        Minus twice the logarithm of the sum, shape (l,).
    leaves_range : bool
        Whether the likelihood is zero at some node.
    """

    model: object
    effects: np.ndarray
    eta: np.ndarray
    shares: np.ndarray
    total: np.ndarray
    leaves_range: bool


@dataclass(frozen=True)
class QuadratureDeviance(LaplaceDeviance):
    """The deviance by quadrature at one point, see `LaplaceDeviance`."""

    @cached_property
    def _geometry(self):
        """L, R^-1, u_g and log |H_g|."""
        (factor,), (t,) = self.factors, self.inner.state
        root = factor.matrix
        gram = self.determinant.products.diagonal[0]
        inner = np.eye(len(root)) + transpose(root) @ gram @ root
        cholesky = np.linalg.cholesky(inner)
        logdet = 2.0 * np.log(np.diagonal(cholesky, axis1=1, axis2=2)).sum(axis=1)
        return root, np.linalg.inv(cholesky), t @ root, logdet

    @cached_property
    def total(self):
        """D without twice the constant of the rows."""
        logdet = self._geometry[-1]
        return float(logdet.sum() + sum(self._at(b).total.sum() for b in self._batches))

    @cached_property
    def leaves_range(self):  # type: ignore[override]
        """Whether nodes lie beyond the range of the link."""
        return any(self._at(b).leaves_range for b in self._batches)

    @property
    def _batches(self):
        return self.criterion.batches

    @cached_property
    def _kept(self):
        return {}

    def _at(self, batch):
        """The nodes of a batch; kept if it is the only one."""
        if 0 in self._kept:
            return self._kept[0]
        root, inverse, center, _ = self._geometry
        nodes, log_weights = product_grid(self.criterion.n_nodes, len(root))
        effects = center[batch.levels, None] + nodes @ inverse[batch.levels]
        model = _of_rows(self.model, batch.rows)
        (term,) = self.model.terms
        random = np.einsum(
            "rk,rjk->jr", term.effects[batch.rows] @ root, effects[batch.local]
        )
        offset = np.broadcast_to(model.offset, len(batch.rows))
        eta = random + model.exog @ self.coefficients + offset
        each = model.half_deviances(eta, self.extra)
        height = 2.0 * batch.summed(each.T) + (effects**2).sum(axis=-1)
        terms = log_weights - 0.5 * height
        largest = terms.max(axis=1, keepdims=True)
        shares = np.exp(terms - largest)
        sums = shares.sum(axis=1, keepdims=True)
        total = -2.0 * (largest + np.log(sums))[:, 0]
        # a node beyond the link's range has no share, nor derivatives to be shared
        beyond = np.isneginf(terms)
        eta = np.where(beyond[batch.local].T, self.inner.eta[batch.rows], eta)
        found = _Nodes(model, effects, eta, shares / sums, total, bool(beyond.any()))
        if len(self._batches) == 1:
            self._kept[0] = found
        return found

    @cached_property
    def first(self):
        """Gradient and Louis's curvature, a LaplaceSlopes."""
        return quadrature_derivatives(self)

    @cached_property
    def hessian(self):
        """The Hessian of d in the free parameters, shape (m, m)."""
        return differenced(self, range(len(self.first.gradient)))

    def gradient_near(self, moves):
        """See `LaplaceDeviance.gradient_near`; nodes are placed by the modes."""
        return self.near(moves, DIFFERENCE_TOLERANCE).first.gradient

    @property
    def fixed_information(self):
        """The Laplace information of the fixed effects, shape (p, p)."""
        return self.laplace.fixed_information

    @cached_property
    def laplace(self):
        """The Laplace deviance at the same point."""
        criterion = Laplace(self.model, self.criterion.observed)
        fields = {name: getattr(self, name) for name in LaplaceDeviance.__annotations__}
        return LaplaceDeviance(**{**fields, "criterion": criterion})


def _of_rows(model, rows):
    """A conditional model of a subset of the rows, without its engine."""
    offset, repeats = model.offset, model.repeats
    return replace(
        model,
        endog=model.endog[rows],
        weights=model.weights[rows],
        exog=model.exog[rows],
        offset=offset[rows] if np.ndim(offset) else offset,
        repeats=None if repeats is None else repeats[rows],
    )


def root_directions(factor):
    """Derivatives of L in the free parameters, shape (m, k, k)."""
    out = []
    for a in range(factor.n_free):
        move = np.zeros(factor.n_free)
        move[a] = 1e-5  # L of an unstructured block is linear in its entries
        ends = factor.moved(move).matrix, factor.moved(-move).matrix
        out.append((ends[0] - ends[1]) / 2e-5)
    return np.array(out).reshape(-1, factor.size, factor.size)


def quadrature_derivatives(deviance) -> LaplaceSlopes:
    """
    Gradient and Louis's curvature of the deviance by quadrature.

    Parameters
    ----------
    deviance : QuadratureDeviance
        The point at which to differentiate.

    Returns
    -------
    LaplaceSlopes
    """
    sums = _sums_over_nodes(deviance)
    gradient = _with_motion(deviance, sums)
    curvature, escape = 2.0 * (sums.information - sums.spread), 0.0
    by_extra = gradient[-1] if deviance.criterion.counts[1] else 0.0
    if deviance.criterion.counts[1] and deviance.model.family.extra_is_squared:
        bend = deviance.extra_slopes.curvature
        twice = 2.0 * np.sqrt(deviance.extra)
        escape = escape_from_zero(deviance.extra, by_extra, bend)
        gradient[-1] *= twice
        curvature[-1] *= twice
        curvature[:, -1] *= twice
        curvature[-1, -1] += 2.0 * by_extra
    # S is quadratic in L, of which the complete information takes account
    return replace(
        deviance.laplace.first,
        duals=(0.5 * (sums.dual + sums.dual.T),),
        gradient=gradient,
        curvature=curvature,
        extra_slope=by_extra,
        escape=escape,
    )


@dataclass(frozen=True)
class _Sums:
    """
    Expectations over the nodes, summed over the levels.

    Parameters
    ----------
    expected : ndarray
        The complete gradient, shape (m,).
    information, spread : ndarray
        The complete information, and the covariance of complete gradients, (m, m).
    dual : ndarray
        The derivative with respect to S, shape (k, k).
    residual, across : ndarray
        L'Z'c' + u, shape (l, k), and its products with the nodes, shape (l, k, k).
    """

    expected: np.ndarray
    information: np.ndarray
    spread: np.ndarray
    dual: np.ndarray
    residual: np.ndarray
    across: np.ndarray


def _sums_over_nodes(deviance):
    """The expectations over the nodes."""
    model, extra = deviance.model, deviance.extra
    (term,), (factor,) = model.terms, deviance.factors
    root = factor.matrix
    nodes, _ = product_grid(deviance.criterion.n_nodes, len(root))
    turns = root_directions(factor)
    p, m, has_extra = model.exog.shape[1], factor.n_free, deviance.criterion.counts[1]
    d = p + m + has_extra
    shape = term.n_levels, term.k_effects
    expected = np.zeros(d)  # of the complete gradient
    information, spread = np.zeros((d, d)), np.zeros((d, d))
    dual = np.zeros((shape[1],) * 2)
    residual, across = np.zeros(shape), np.zeros((*shape, shape[1]))
    for batch in deviance._batches:
        at = deviance._at(batch)
        x, z, shares = at.model.exog, term.effects[batch.rows], at.shares
        slopes = at.model.slopes(at.eta, extra)
        rows_shares = shares[batch.local].T  # (nodes, r)
        score = np.stack(
            [batch.summed((slopes.first * column).T) for column in z.T], axis=-1
        )  # Z'c' of each level and node
        spherical = score @ root + at.effects
        residual[batch.levels] = np.einsum("lj,ljk->lk", shares, spherical)
        across[batch.levels] = np.einsum("lj,ja,ljb->lab", shares, nodes, spherical)
        # complete gradients: X'c', <Z'c' u', dL> and the extra parameter's
        by_fixed = [batch.summed((slopes.first * column).T) for column in x.T]
        turned = np.einsum("mab,ljb->mlja", turns, at.effects)  # dL u
        by_root = [(score * t).sum(axis=-1) for t in turned]
        each = by_fixed + by_root
        weights = rows_shares * slopes.second
        along = [
            (z[None] * t.swapaxes(0, 1)[:, batch.local]).sum(axis=-1) for t in turned
        ]
        changes = [np.broadcast_to(c, weights.shape) for c in x.T] + along
        if has_extra:
            loss, first, _, bend = at.model.extra_slopes(at.eta, extra)
            each.append(batch.summed(np.asarray(loss).T))
            mixed = rows_shares * first
            for a, change in enumerate(changes):
                information[a, -1] += (mixed * change).sum()
                information[-1, a] = information[a, -1]
            information[-1, -1] += (rows_shares * bend).sum()
        flat = np.array([c.ravel() for c in changes]).reshape(p + m, -1)
        information[: p + m, : p + m] += (flat * weights.ravel()) @ flat.T
        complete = np.stack(each, axis=-1)  # (l, nodes, d)
        mean = np.einsum("lj,ljd->ld", shares, complete)
        expected += mean.sum(axis=0)
        spread += np.einsum("lj,lja,ljb->ab", shares, complete, complete)
        spread -= mean.T @ mean
        square = np.einsum("jr,ra,rb->ab", weights, z, z)
        dual += square - np.einsum("lj,lja,ljb->ab", shares, score, score)
    return _Sums(expected, information, spread, dual, residual, across)


def _with_motion(deviance, sums):
    """The gradient: expectations, and what the motion of the nodes adds."""
    model, (term,), (factor,) = deviance.model, deviance.model.terms, deviance.factors
    root, inverse, center, _ = deviance._geometry
    p, m, shape = model.exog.shape[1], factor.n_free, (term.n_levels, len(root))
    turns = root_directions(factor)
    lower = np.tril(sums.across @ transpose(inverse))
    diagonal = np.arange(shape[1])
    lower[:, diagonal, diagonal] *= 0.5
    middle = 0.5 * (lower + transpose(lower))
    outer = transpose(inverse) @ (np.eye(shape[1]) - 2.0 * middle) @ inverse
    scaled = root @ outer @ root.T
    z = term.effects
    forms = np.einsum("na,nab,nb->n", z, scaled[term.codes], z)
    slopes = deviance.slopes
    through = forms * deviance.weight_slopes
    pulled = term.level_sums(through[:, None])[..., 0]
    observed = deviance.elimination.products.diagonal[0]
    inner = np.eye(shape[1]) + transpose(root) @ observed @ root
    pull = np.linalg.solve(inner, (pulled @ root + 2.0 * sums.residual)[..., None])[
        ..., 0
    ]
    moved = pull @ root.T
    rows_moved = np.einsum("nk,nk->n", z, moved[term.codes])
    gradient = 2.0 * sums.expected
    gradient[:p] += model.exog.T @ (through - slopes.second * rows_moved)
    gram = deviance.determinant.products.diagonal[0]
    scores = term.level_sums(slopes.first[:, None])[..., 0]
    by_root = (
        2.0 * np.einsum("lab,bc,lcd->ad", gram, root, outer)
        + pulled.T @ center
        - np.einsum("lab,lb,lc->ac", observed, moved, center)
        - scores.T @ pull
    )
    gradient[p : p + m] += np.einsum("mab,ab->m", turns, by_root)
    if deviance.criterion.counts[1]:
        each = deviance.extra_slopes
        gradient[-1] += forms @ each.second - rows_moved @ each.first
    return gradient
