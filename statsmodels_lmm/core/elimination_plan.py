"""In which order the random effects are eliminated."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.grouped_effects import GroupedEffects


@dataclass(frozen=True)
class EliminationPlan:
    """
    Order and structure of the block elimination.

    The factor with most levels comes first. A factor joins the *chain* as
    long as every factor already in the chain is nested in it: the chain
    stays block-diagonal, at any depth. Everything else is the *tail*, which
    is eliminated as one dense matrix.

    Parameters
    ----------
    factors : tuple of GroupedEffects
        The factors in elimination order, chain first. Levels of chain factors
        are renumbered so that the children of a level are contiguous.
    order : tuple of int
        Position of each of `factors` in the order the user gave.
    relabel : tuple of ndarray
        For each of `factors`, the new code of each of the user's levels.
    n_chain : int
        Number of chain factors, at least 1.
    parents : dict
        ``parents[i, j]``, i < j < n_chain, is the level of factor j in which
        each level of factor i is nested, shape (l_i,), ascending.
    """

    factors: tuple
    order: tuple
    relabel: tuple
    n_chain: int
    parents: dict

    @property
    def chain(self):
        """The factors that stay block-diagonal."""
        return self.factors[: self.n_chain]

    @property
    def tail(self):
        """The factors that are eliminated densely."""
        return self.factors[self.n_chain :]

    @property
    def n_tail(self):
        """Number of columns of the tail."""
        return sum(f.n_columns for f in self.tail)

    @cached_property
    def tail_slices(self):
        """Columns of each tail factor within the tail."""
        ends = np.cumsum([0] + [f.n_columns for f in self.tail]).tolist()
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:])]


def parent_levels(child, parent):
    """
    Level of `parent` in which each level of `child` lies.

    Returns
    -------
    ndarray or None
        Shape (child.n_levels,), or None if `child` is not nested in `parent`.
    """
    found = np.zeros(child.n_levels, dtype=np.intp)
    found[child.codes] = parent.codes
    return found if np.array_equal(found[child.codes], parent.codes) else None


def plan_elimination(factors, chain_tail=True):
    """
    Find the elimination order of some random-effects factors.

    Parameters
    ----------
    factors : sequence of GroupedEffects
        In the order the user gave.
    chain_tail : bool, optional
        Whether a chain of more than one factor may be followed by a tail.

    Returns
    -------
    EliminationPlan
    """
    by_size = sorted(
        range(len(factors)),
        key=lambda i: (-factors[i].n_levels, -factors[i].k_effects),
    )
    chain = [by_size[0]]
    parents = {}
    for j in by_size[1:]:
        found = [parent_levels(factors[i], factors[j]) for i in chain]
        if all(p is not None for p in found):
            parents.update({(i, j): p for i, p in zip(chain, found)})
            chain.append(j)
    if len(chain) < len(by_size) and not chain_tail:
        chain = chain[:1]
    order = chain + [i for i in by_size if i not in chain]
    relabel = _contiguous_children(factors, chain, parents)
    relabel += [np.arange(factors[i].n_levels) for i in order[len(chain) :]]
    renumbered = tuple(
        GroupedEffects(new[f.codes], f.n_levels, f.effects, f.blocks)
        for f, new in zip([factors[i] for i in order], relabel)
    )
    new_parents = {}
    for a, i in enumerate(chain):
        for b in range(a + 1, len(chain)):
            levels = np.empty(factors[i].n_levels, dtype=np.intp)
            levels[relabel[a]] = relabel[b][parents[i, chain[b]]]
            new_parents[a, b] = levels
    return EliminationPlan(
        renumbered, tuple(order), tuple(relabel), len(chain), new_parents
    )


def _contiguous_children(factors, chain, parents):
    """Renumber the levels of a chain so that siblings are neighbors."""
    relabel = [np.arange(factors[chain[-1]].n_levels)]
    for child, above in zip(chain[-2::-1], chain[:0:-1]):
        parent = relabel[0][parents[child, above]]
        new = np.empty(factors[child].n_levels, dtype=np.intp)
        new[np.argsort(parent, kind="stable")] = np.arange(len(new))
        relabel.insert(0, new)
    return relabel
