"""Random designs of crossed terms, and their fits by both engines."""

from functools import cache
from types import SimpleNamespace

import numpy as np

from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.krylov import theta_errors
from statsmodels_lmm.core.criteria.units import Units
from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.engines.krylov_engine import KrylovEngine
from statsmodels_lmm.core.engines.krylov_probes import Probes
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.search.krylov import search_krylov, with_value
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.search.several_starts import search

KINDS = (
    "plain",
    "weights",
    "slopes",
    "three",
    "four",
    "zero",
    "rank one",
    "sparse",
    "small",
)


def term(rng, n, levels, effects=None, spread=0.5):
    """A term whose levels differ in size; every level has rows."""
    sizes = rng.lognormal(0.0, spread, levels)
    codes = rng.choice(levels, n, p=sizes / sizes.sum())
    codes[rng.permutation(n)[:levels]] = np.arange(levels)
    effects = np.ones((n, 1)) if effects is None else effects
    return GroupedEffects(codes, levels, effects, (effects.shape[1],))


@cache
def case(kind, seed=0):
    """Standardized data of a design."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    n = int(rng.integers(500, 900))
    x = rng.standard_normal(n)
    both = np.column_stack([np.ones(n), x])
    roots = [np.array([[rng.uniform(0.2, 1.5)]]) for _ in range(4)]
    sizes = [int(rng.integers(90, 120)), int(rng.integers(66, 85)), 20, 9]
    count = {"three": 3, "four": 4}.get(kind, 2)
    effects = [None] * count
    if kind in ("slopes", "rank one"):
        effects = [both, both if seed % 2 else None]
        lower = np.array([[1.0, 0.0], [0.3, 0.5 if kind == "slopes" else 0.0]])
        roots = [rng.uniform(0.4, 1.0) * lower for _ in range(2)]
    if kind == "zero":
        roots[seed % 2] *= 0.0
    if kind == "sparse":
        sizes[:2] = 200, 100
    if kind == "small":  # all effects of the tail are in the coarse space
        sizes[1] = 30
    terms = [term(rng, n, q, e) for q, e in zip(sizes, effects)]
    exog = np.column_stack([np.ones(n), x, rng.standard_normal(n)])
    endog = exog @ [1.0, 0.5, -1.0] + rng.standard_normal(n)
    for f, root in zip(terms, roots):
        k = f.k_effects
        b = rng.standard_normal((f.n_levels, k)) @ root[:k, :k].T
        endog += f.times(b)
    weights = rng.uniform(0.3, 3.0, n) if kind == "weights" else None
    return standardize(endog, exog, terms, weights)


@cache
def products(kind, seed=0, probes=8, rng=0):
    """The products of both engines."""
    data = case(kind, seed)
    rows, n = Rows(data.endog, data.exog), len(data.endog)
    exact = BlockEngine.of(data.terms, n).gather(rows)
    source = Probes(rng, probes)
    return exact, KrylovEngine.of(data.terms, n, source).gather(rows)


@cache
def fits(kind, seed, reml=True):
    """The optima by both engines, what the second claims, and the first at it."""
    data, (exact, mine) = case(kind, seed), products(kind, seed)
    truth, optimum = search(Profiled(exact, reml), Settings())
    found, report = search_krylov(mine, reml, Settings())
    found = with_value(found)
    units, own = Units(data, exact.plan), Units(data, mine.plan)
    se, mc_se = theta_errors(own, found)
    there = [own.of_user(found.factors)[i] for i in exact.plan.order]
    return SimpleNamespace(
        exact=truth,
        optimum=optimum,
        found=found,
        report=report,
        units=units,
        own=own,
        theta=own.theta(found.factors),
        truth=units.theta(truth.factors),
        se=se,
        mc_se=mc_se,
        there=profiled_deviance(exact, there, reml),
    )
