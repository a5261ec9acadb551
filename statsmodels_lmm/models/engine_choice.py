"""The engine of a fit: what the user asks for, and what the data call for."""

from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.units import Units
from statsmodels_lmm.core.engines.block_sums import nesting_of, products_of_products
from statsmodels_lmm.core.engines.krylov_engine import KrylovEngine
from statsmodels_lmm.core.engines.krylov_probes import Probes
from statsmodels_lmm.core.engines.shared_design import SharedDesign
from statsmodels_lmm.core.search.krylov import (
    DEFAULT_PROBES,
    is_by_level,
    is_for_dense,
    is_worth_polishing,
    why_not,
)
from statsmodels_lmm.inference.requirements import check_choice

ENGINES = "auto", "exact", "krylov"

MOST_PROBES = 2**16
"""Largest number of probes, for an error 90 times smaller than that of 8."""

LESS_MEMORY = '; fit(engine="krylov") needs no dense matrix'


@dataclass(frozen=True)
class EngineChoice:
    """
    How a fit is to be computed.

    Parameters
    ----------
    engine : {"auto", "exact", "krylov"}
        See `CrossedMixedLM.fit`.
    probes : int or None
        Number of probes; None for as many as are needed.
    seed : int
        Source of the probes.
    """

    engine: str
    probes: int | None
    seed: int

    @classmethod
    def of(cls, engine, probes, rng):
        """
        The choice that arguments of a fit express.

        Parameters
        ----------
        engine, probes, rng
            See `CrossedMixedLM.fit`.

        Raises
        ------
        ValueError
            If one has an unknown value.
        """
        check_choice("engine", engine, ENGINES)
        is_count = isinstance(probes, int | np.integer) and not isinstance(probes, bool)
        if probes is not None and not (is_count and 2 <= probes <= MOST_PROBES):
            raise ValueError(
                "probes must be a whole number from 2, whose spread gives the error "
                f"of their mean, to {MOST_PROBES:,}, not {probes!r}"
            )
        if isinstance(rng, int | np.integer) and rng >= 0:
            seed = int(rng)
        elif rng is None or isinstance(rng, np.random.Generator):
            seed = int(np.random.default_rng(rng).integers(2**63))
        else:
            raise ValueError(
                "rng must be None, a whole number of at least 0 or a "
                f"numpy.random.Generator, not {rng!r}"
            )
        return cls(engine, None if probes is None else int(probes), seed)

    @property
    def is_fixed(self):
        """Whether the number of probes is given."""
        return self.probes is not None

    def model_for(self, model):
        """
        The model with the engine of the fit: itself, or a copy with another engine.

        Parameters
        ----------
        model : CrossedMixedLM
            The model.

        Raises
        ------
        ValueError
            If conjugate gradients are asked for and not available.
        """
        if self.engine == "exact":
            return model
        terms, nesting = [r.grouped for r in model.random], None
        if model.summed is not None:
            nesting = nesting_of(model.summed.sums.links, terms)
        if self.engine == "krylov":
            reason = "errors are correlated or of unequal variance"
            if model.residual is None:
                reason = why_not(terms)
            if reason:
                raise ValueError(
                    'engine="krylov" is for factors with independent levels and '
                    f"independent errors, and here {reason}; leave engine out"
                )
            suits = is_by_level(terms, nesting)
        else:
            suits = model.residual is not None
            suits = suits or is_for_dense(terms, model.nobs, nesting)
        if suits:
            return model
        other = copy(model)
        probes = Probes(self.seed, self.probes or DEFAULT_PROBES)
        choose = partial(KrylovEngine.of, probes=probes)
        other._design = SharedDesign(design=model._design.design, choice=choose)
        other._cross, other._choice = (), self
        return other

    def may_polish(self, products):
        """Whether a last step with the exact engine is allowed and affordable."""
        return self.engine == "auto" and is_worth_polishing(products)


def exactly(model):
    """The model with the exact engine: itself, or a copy if it has another one."""
    if model._design.choice is None:
        return model
    other = copy(model)
    other._design = SharedDesign(design=model._design.design)
    other._cross, other._choice = (), None
    return other


def use_sums(exact, model):
    """
    Form the products of the exact engine from those of another, without the rows.

    Parameters
    ----------
    exact : CrossedMixedLM
        A model with the exact engine.
    model : CrossedMixedLM
        The same model with the engine of conjugate gradients, fitted.
    """
    if not exact._cross:
        data, products = model._cross[:2]
        exact._design.products = found = products_of_products(products)
        exact._cross = data, found, Units(data, found.plan)


def settle(model, deviance):
    """
    Make the probes of an optimum those of its model, for all that is computed later.

    Parameters
    ----------
    model : CrossedMixedLM
        A model with the engine of conjugate gradients.
    deviance : ProfiledDeviance
        The optimum.
    """
    products = deviance.elimination.products
    data, design = model._cross[0], model._design
    model._cross = data, products, Units(data, products.plan)
    design.products = products
    design.choice = partial(KrylovEngine.of, probes=products.probes)


def told_of_krylov(error: MemoryError, terms: Any):
    """The error with the engine that needs less memory, if there is one."""
    if why_not(terms):
        return error
    return MemoryError(str(error) + LESS_MEMORY)
