"""Small designs with correlated errors."""

import numpy as np

from statsmodels_lmm.core.criteria.correlated import Correlated, spread_if_crossed
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.search.correlated import place

VISITS = 5


def design(structure, unequal, n_parts, nested, crossed):
    """Rows, terms and the covariance of the errors of a small design with gaps."""
    rng = np.random.default_rng(1)
    group, visit = np.divmod(np.arange(12 * VISITS), VISITS)
    kept = rng.random(len(group)) > 0.2
    group, visit = group[kept], visit[kept]
    n = len(group)
    x = rng.standard_normal(n)
    exog = np.column_stack([np.ones(n), x])
    slope = np.column_stack([np.ones(n), visit - 2.0])
    endog = exog @ [1.0, 0.5] + (slope * rng.standard_normal((12, 2))[group]).sum(
        axis=1
    )
    endog = endog + rng.standard_normal(n)
    terms = []
    if nested:
        terms.append(GroupedEffects(group, 12, slope[:, :nested], (nested,)))
    if crossed:
        item = rng.integers(0, 4, n)
        terms.append(GroupedEffects(item, 4, slope[:, :crossed], (crossed,)))
    log_sd = np.zeros((n, 0))
    if unequal:
        log_sd = np.column_stack([group % 3 == 0, x])
    groups = np.arange(n) if structure is None else group
    visits = structure is not None and structure.of_visits
    layout = lay_out(
        groups, visit if visits else 1.0 * visit, group % n_parts, relative=not visits
    )
    model = ResidualCovariance(structure, layout, VISITS, n_parts, log_sd, 4.0)
    return endog, exog, terms, model


def criterion_of(case, reml=True):
    endog, exog, terms, model = design(*case)
    terms = [spread_if_crossed(term, model.layout) for term in terms]
    return Correlated(engine_for(terms, len(endog)), Rows(endog, exog), model, reml)


def somewhere(criterion):
    """A point that is not special."""
    start = criterion.model.start()
    shift = 0.1 * np.random.default_rng(2).standard_normal(len(start))
    return place(criterion, start + shift)


def moved(point, step):
    """A point after a step, without new pivots."""
    out, start = [], 0
    for part in point:
        out.append(part.moved(step[start : start + part.n_free]))
        start += part.n_free
    return out


def differences(criterion, point, size):
    """Gradient and Hessian from values and gradients a short step away."""
    h = 1e-5
    ends = [
        [criterion.evaluate(moved(point, sign * h * step)) for sign in (1, -1)]
        for step in np.eye(size)
    ]
    gradient = [(a.value - b.value) / (2 * h) for a, b in ends]
    hessian = [
        (a.derivatives().gradient - b.derivatives().gradient) / (2 * h) for a, b in ends
    ]
    return np.array(gradient), np.array(hessian)
