"""The order in which random effects are eliminated."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.algebra.dense import consecutive

FIRST_ROWS = 2**14
"""Number of rows that are asked first whether levels are nested."""


@dataclass(frozen=True)
class EliminationPlan:
    """
    Order and structure of the block elimination.

    The term with the most levels comes first. A term joins the *chain* if every term
    already in it is nested in the new one, so the chain stays block-diagonal at any
    depth. All other terms form the *tail*, which is eliminated as one dense matrix.
    Related levels are a chain by themselves if their columns are orthogonal, and
    otherwise part of the tail.

    Parameters
    ----------
    terms : tuple of GroupedEffects or RelatedEffects
        The terms in elimination order, chain first. Levels of chain terms
        are renumbered so that the children of a level are contiguous.
    order : tuple of int
        Position of each of `terms` in the order given by the user.
    relabel : tuple of ndarray
        For each of `terms`, the new code of each of the user's levels.
    n_chain : int
        Number of chain terms.
    parents : dict
        ``parents[i, j]``, i < j < n_chain, is the level of term j in which
        each level of term i is nested, shape (l_i,), ascending.
    """

    terms: tuple
    order: tuple
    relabel: tuple
    n_chain: int
    parents: dict

    def __setstate__(self, state):
        """Read pickles, including earlier ones, which called the terms factors."""
        names = {"factors": "terms"}
        self.__dict__.update({names.get(name, name): v for name, v in state.items()})

    @cached_property
    def chain(self):
        """The terms that stay block-diagonal."""
        return self.terms[: self.n_chain]

    @cached_property
    def tail(self):
        """The terms that are eliminated densely."""
        return self.terms[self.n_chain :]

    @property
    def is_diagonal(self):
        """Whether there is one term, eliminated level by level."""
        return self.n_chain == len(self.terms) == 1

    @cached_property
    def n_tail(self):
        """Number of columns of the tail."""
        return sum(f.n_columns for f in self.tail)

    @cached_property
    def slices(self):
        """Columns of each term among all random effects."""
        return consecutive(f.n_columns for f in self.terms)

    @property
    def n_columns(self):
        """Number of all random effects."""
        return sum(f.n_columns for f in self.terms)

    def over(self, terms):
        """
        The same order for the same random effects at other rows.

        Parameters
        ----------
        terms : sequence of GroupedEffects or RelatedEffects
            In the plan's order; the first joins the tail if its columns are not
            orthogonal at the other rows.

        Returns
        -------
        EliminationPlan
        """
        broken = self.chain and not terms[0].has_level_blocks
        n_chain = 0 if broken else self.n_chain
        return replace(self, terms=tuple(terms), n_chain=n_chain)

    def take(self, rows):
        """The plan of a subset of the rows."""
        return self.over([f.take(rows) for f in self.terms])

    @cached_property
    def tail_slices(self):
        """Columns of each tail term within the tail."""
        return consecutive(f.n_columns for f in self.tail)


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
    parents = np.zeros(child.n_levels, dtype=np.intp)
    for rows in slice(FIRST_ROWS), slice(None):  # the first mostly tell
        levels, above = child.codes[rows], parent.codes[rows]
        parents[levels] = above
        if not np.array_equal(parents[levels], above):
            return None
    return parents


def plan_elimination(terms, chain_tail=True, nesting=None):
    """
    Find the elimination order of random-effects terms.

    Parameters
    ----------
    terms : sequence of GroupedEffects or RelatedEffects
        In the order given by the user.
    chain_tail : bool, optional
        Whether a chain of more than one term may be followed by a tail.
    nesting : callable, optional
        Gives what `parent_levels` returns for the positions of child and parent. By
        default the rows of the terms tell.

    Returns
    -------
    EliminationPlan
    """
    if nesting is None:

        def nesting(i, j):
            return parent_levels(terms[i], terms[j])

    by_size = sorted(
        range(len(terms)),
        key=lambda i: (-terms[i].n_levels, -terms[i].k_effects),
    )
    chain = [i for i in by_size if terms[i].has_level_blocks][:1]
    parents = {}
    for j in [i for i in by_size if chain and i != chain[0]]:
        above = [nesting(i, j) for i in chain]
        if all(p is not None for p in above):
            parents.update({(i, j): p for i, p in zip(chain, above)})
            chain.append(j)
    if len(chain) < len(by_size) and not chain_tail:
        chain = chain[:1]
    order = chain + [i for i in by_size if i not in chain]
    relabel = _contiguous_children(terms, chain, parents) if chain else []
    relabel += [np.arange(terms[i].of_user.n_levels) for i in order[len(chain) :]]
    renumbered = tuple(_renumbered(terms[i], new) for i, new in zip(order, relabel))
    new_parents = {}
    for a, i in enumerate(chain):
        for b in range(a + 1, len(chain)):
            levels = np.empty(terms[i].n_levels, dtype=np.intp)
            levels[relabel[a]] = relabel[b][parents[i, chain[b]]]
            new_parents[a, b] = levels
    return EliminationPlan(
        renumbered, tuple(order), tuple(relabel), len(chain), new_parents
    )


def _renumbered(term, new):
    """A term with new codes of its levels."""
    if not term.is_grouped or np.array_equal(new, np.arange(len(new))):
        return term
    return term.at(new[term.codes], term.effects)


def _contiguous_children(terms, chain, parents):
    """Renumber the levels of a chain so that siblings are neighbors."""
    relabel = [np.arange(terms[chain[-1]].of_user.n_levels)]
    for child, above in zip(chain[-2::-1], chain[:0:-1]):
        parent = relabel[0][parents[child, above]]
        new = np.empty(terms[child].n_levels, dtype=np.intp)
        new[np.argsort(parent, kind="stable")] = np.arange(len(new))
        relabel.insert(0, new)
    return relabel
