"""The engine for crossed terms whose levels are too many for a dense matrix."""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.memory import check_parameters
from statsmodels_lmm.core.engines.krylov_probes import Probes
from statsmodels_lmm.core.engines.krylov_products import KrylovProducts
from statsmodels_lmm.core.engines.plan import EliminationPlan
from statsmodels_lmm.core.rows.pair_sums import PairSums, suffice

FEW_PROBES = Probes(seed=0, count=8)


@dataclass(frozen=True)
class KrylovEngine:
    """
    Conjugate gradients on the system of all terms but the largest.

    Parameters
    ----------
    plan : EliminationPlan
        The term with the most levels as the chain, all others as the tail.
    probes : Probes
        The signs from which traces are estimated.
    """

    plan: EliminationPlan
    probes: Probes

    @classmethod
    def suits(cls, terms):
        """Whether there are several terms, all with unrelated levels."""
        return suffice(terms)

    @classmethod
    def of(cls, terms, nobs, probes=FEW_PROBES):
        """
        Choose the term that is eliminated level by level.

        Parameters
        ----------
        terms : sequence of GroupedEffects
            In standardized units, in the order given by the user.
        nobs : int
            Number of rows n.
        probes : Probes, optional
            The signs from which traces are estimated.

        Returns
        -------
        KrylovEngine
        """
        check_parameters(sum(f.n_parameters for f in terms))
        return cls(krylov_plan(terms), probes)

    def take(self, which):
        """
        The engine of a subset of the rows, with the same plan.

        Parameters
        ----------
        which : slice or ndarray
            Positions of the rows, or booleans.

        Returns
        -------
        KrylovEngine
        """
        return replace(self, plan=self.plan.take(which))

    def gather(self, rows, transform=None):
        """
        Form the products in one pass over the rows.

        Parameters
        ----------
        rows : Rows
            X and y.
        transform : RowTransform, optional
            A matrix that multiplies X, y and Z from the left and preserves the levels
            of the rows.

        Returns
        -------
        KrylovProducts
        """
        plan = self.plan
        if transform is not None:
            plan = plan.over([f.transformed(transform) for f in plan.terms])
            rows = rows.transformed(transform)
        sums = PairSums.of(plan.terms, rows)
        return KrylovProducts.of(plan, sums, self.probes, rows)

    def gather_sums(self, sums):
        """
        Form the products from sums over the rows.

        Parameters
        ----------
        sums : PairSums
            Sums with the columns [X y], terms in the order given by the user.

        Returns
        -------
        KrylovProducts
            Without rows.
        """
        plan = self.plan
        return KrylovProducts.of(
            plan, sums.ordered(plan.order, plan.relabel), self.probes
        )


def krylov_plan(terms):
    """
    The plan with the largest term first, whatever is nested in it.

    Parameters
    ----------
    terms : sequence of GroupedEffects
        In the order given by the user.

    Returns
    -------
    EliminationPlan
    """
    order = sorted(
        range(len(terms)), key=lambda i: (-terms[i].n_levels, -terms[i].k_effects)
    )
    relabel = tuple(np.arange(terms[i].n_levels) for i in order)
    return EliminationPlan(tuple(terms[i] for i in order), tuple(order), relabel, 1, {})
