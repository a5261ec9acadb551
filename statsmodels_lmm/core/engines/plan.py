"""In which order the random effects are eliminated."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class EliminationPlan:
    """
    Order and structure of the block elimination.

    The factor with most levels comes first. A factor joins the *chain* as
    long as every factor already in the chain is nested in it: the chain
    stays block-diagonal, at any depth. Everything else is the *tail*, which
    is eliminated as one dense matrix. Related levels are a chain by themselves if
    their columns are orthogonal, and otherwise part of the tail.

    Parameters
    ----------
    factors : tuple of GroupedEffects or RelatedEffects
        The factors in elimination order, chain first. Levels of chain factors
        are renumbered so that the children of a level are contiguous.
    order : tuple of int
        Position of each of `factors` in the order the user gave.
    relabel : tuple of ndarray
        For each of `factors`, the new code of each of the user's levels.
    n_chain : int
        Number of chain factors.
    parents : dict
        ``parents[i, j]``, i < j < n_chain, is the level of factor j in which
        each level of factor i is nested, shape (l_i,), ascending.
    """

    factors: tuple
    order: tuple
    relabel: tuple
    n_chain: int
    parents: dict

    @cached_property
    def chain(self):
        """The factors that stay block-diagonal."""
        return self.factors[: self.n_chain]

    @cached_property
    def tail(self):
        """The factors that are eliminated densely."""
        return self.factors[self.n_chain :]

    @property
    def is_diagonal(self):
        """Whether there is one factor, eliminated level by level."""
        return self.n_chain == len(self.factors) == 1

    @cached_property
    def n_tail(self):
        """Number of columns of the tail."""
        return sum(f.n_columns for f in self.tail)

    @cached_property
    def slices(self):
        """Columns of each factor among all random effects."""
        ends = np.cumsum([0] + [f.n_columns for f in self.factors]).tolist()
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:])]

    @property
    def n_columns(self):
        """Number of all random effects."""
        return self.slices[-1].stop

    def over(self, factors):
        """
        The same order of the same random effects at other rows.

        Parameters
        ----------
        factors : sequence of GroupedEffects or RelatedEffects
            In the order of the plan; the first one joins the tail if other rows cost it
            its orthogonal columns.

        Returns
        -------
        EliminationPlan
        """
        broken = self.chain and not factors[0].has_level_blocks
        n_chain = 0 if broken else self.n_chain
        return replace(self, factors=tuple(factors), n_chain=n_chain)

    def take(self, rows):
        """The plan of some of the rows."""
        return self.over([f.take(rows) for f in self.factors])

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
    if not (child.is_grouped and parent.is_grouped):
        return None
    found = np.zeros(child.n_levels, dtype=np.intp)
    found[child.codes] = parent.codes
    return found if np.array_equal(found[child.codes], parent.codes) else None


def plan_elimination(factors, chain_tail=True):
    """
    Find the elimination order of some random-effects factors.

    Parameters
    ----------
    factors : sequence of GroupedEffects or RelatedEffects
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
    chain = [i for i in by_size if factors[i].has_level_blocks][:1]
    parents = {}
    for j in [i for i in by_size if chain and i != chain[0]]:
        found = [parent_levels(factors[i], factors[j]) for i in chain]
        if all(p is not None for p in found):
            parents.update({(i, j): p for i, p in zip(chain, found)})
            chain.append(j)
    if len(chain) < len(by_size) and not chain_tail:
        chain = chain[:1]
    order = chain + [i for i in by_size if i not in chain]
    relabel = _contiguous_children(factors, chain, parents) if chain else []
    relabel += [np.arange(factors[i].of_user.n_levels) for i in order[len(chain) :]]
    renumbered = tuple(
        f.at(new[f.codes], f.effects) if f.is_grouped else f
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
    relabel = [np.arange(factors[chain[-1]].of_user.n_levels)]
    for child, above in zip(chain[-2::-1], chain[:0:-1]):
        parent = relabel[0][parents[child, above]]
        new = np.empty(factors[child].n_levels, dtype=np.intp)
        new[np.argsort(parent, kind="stable")] = np.arange(len(new))
        relabel.insert(0, new)
    return relabel
