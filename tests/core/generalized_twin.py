"""
Conditional models on the designs of every engine, and the obvious dense Laplace.

The twin knows Z as a matrix of independent levels and S as one covariance; modes are
found by Newton's method with dense matrices, until nothing moves.
"""

from functools import cache

import numpy as np
from engine_cases import case, dense, roots
from scipy import sparse

from statsmodels_lmm.core.criteria.conditional import ConditionalModel
from statsmodels_lmm.core.criteria.laplace import Laplace, Place
from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.gaussian import Gaussian
from statsmodels_lmm.core.families.links import Log
from statsmodels_lmm.core.families.negative_binomial import NegativeBinomial
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.core.families.probability_links import Logit, Probit
from statsmodels_lmm.core.structures.relative_factor import full_factor

FAMILIES = {
    "logit": Binomial(Logit()),
    "probit": Binomial(Probit()),
    "poisson": Poisson(Log()),
    "negative binomial": NegativeBinomial(Log()),
    "gamma": Gamma(Log()),
    "gaussian, log": Gaussian(Log()),
}

EXTRA = {"negative binomial": 0.4, "gamma": -0.7, "gaussian, log": -1.0}


@cache
def conditional(name, family):
    """A conditional model of one of `engine_cases.DESIGNS`."""
    rows, _, engine = case(name)
    n = len(rows.endog)
    rng = np.random.default_rng(7)
    x = np.column_stack([np.ones(n), rng.standard_normal(n)])
    x = np.linalg.qr(x)[0] * np.sqrt(n)
    eta = 0.4 + 0.5 * np.sin(np.arange(n)) + 0.3 * rng.standard_normal(n)
    weights = np.ones(n)
    if family in ("logit", "probit"):
        weights = rng.integers(1, 5, n).astype(float)
        y = rng.binomial(weights.astype(int), 1.0 / (1.0 + np.exp(-eta))) / weights
    elif family == "gamma":
        y = rng.gamma(2.0, np.exp(eta) / 2.0)
    elif family == "gaussian, log":
        y = np.exp(eta) + 0.5 * rng.standard_normal(n)
    else:
        y = rng.poisson(np.exp(eta)).astype(float)
    offset = 0.1 * np.cos(np.arange(n))
    return ConditionalModel(engine, FAMILIES[family], y, weights, x, offset)


def factors_of(name, scale=0.6):
    """Factors at which nothing cancels, in the order of the plan."""
    terms = case(name)[2].plan.terms
    return [
        full_factor(scale * root, term.block_slices)
        for root, term in zip(roots(name, "regular"), terms)
    ]


COEFFICIENTS = np.array([0.2, -0.3])


def evaluation(name, family, tolerance=1e-14, scale=0.6, **kwargs):
    """The criterion at a point that is no optimum."""
    criterion = Laplace(conditional(name, family), **kwargs)
    point = criterion.point(COEFFICIENTS, factors_of(name, scale), EXTRA.get(family))
    return criterion.at(Place(point, COEFFICIENTS), tolerance)


def away(deviance):
    """A direction in which every free parameter moves, each by another size."""
    m = len(deviance.first.gradient)
    return np.linspace(1.0, 0.5, m) * (-1.0) ** np.arange(m)


def slope_away(deviance, step=1e-3):
    """The derivative in that direction, from five values."""
    moves = step * away(deviance)
    ends = [float(deviance.near(s * moves, 1e-14).value) for s in (1, -1, 2, -2)]
    return (8.0 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12.0 * step)


def gradient_slope_away(deviance, step=3e-5):
    """The derivative of the gradient in that direction, from two gradients."""
    moves = step * away(deviance)
    up, down = deviance.gradient_near(moves), deviance.gradient_near(-moves)
    return (up - down) / (2.0 * step)


def loglike(model, eta, extra):
    """The log-likelihood of the rows with all constants."""
    family, y, a = model.family, model.endog, model.weights
    each = family.half_deviance(y, a, eta, extra) + family.saturated(y, a, extra)
    return -each.sum()


def dense_laplace(model, factors, coefficients, extra, observed=True, jointly=False):
    """-2 log L by Laplace, the modes of independent levels, and the fixed effects."""
    family, y, a = model.family, model.endog, model.weights
    z = np.hstack([dense(f) for f in model.terms])
    s = sparse.block_diag(
        [
            np.kron(np.eye(f.n_levels), factor.covariance)
            for f, factor in zip(model.terms, factors)
        ]
    ).toarray()
    n_random = z.shape[1]
    beta, t = np.array(coefficients, dtype=float), np.zeros(n_random)

    def eta_at(beta, t):
        return model.exog @ beta + z @ (s @ t) + model.offset

    def height(beta, t):
        return -2.0 * loglike(model, eta_at(beta, t), extra) + t @ s @ t

    for _ in range(200):
        eta = eta_at(beta, t)
        first, second, *_ = family.slopes(y, a, eta, extra)
        weights = np.where(second > 0.0, second, family.expected(y, a, eta, extra)[0])
        # Newton in (beta, t) or in t alone: gradient S (Z'c' + t)
        columns = np.hstack([model.exog, z @ s]) if jointly else z @ s
        gradient = columns.T @ first
        curvature = columns.T @ (weights[:, None] * columns)
        gradient[-n_random:] += s @ t
        curvature[-n_random:, -n_random:] += s
        step = -np.linalg.lstsq(curvature, gradient, rcond=1e-13)[0]
        share, here = 1.0, height(beta, t)
        while True:
            moved = share * step
            new_beta = beta + moved[:-n_random] if jointly else beta
            new = height(new_beta, t + moved[-n_random:])
            if new <= here + 1e-13 * abs(here) or share < 1e-10:
                break
            share *= 0.5
        beta, t = new_beta, t + moved[-n_random:]
        if np.abs(moved).max() < 1e-12:
            break
    eta = eta_at(beta, t)
    weights = family.slopes(y, a, eta, extra).second
    if not observed:
        weights = family.expected(y, a, eta, extra).second
    inner = np.eye(n_random) + z.T @ (weights[:, None] * (z @ s))
    value = height(beta, t) + np.linalg.slogdet(inner)[1]
    return value, s @ t, beta
