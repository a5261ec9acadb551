"""
An elimination ordering with little fill-in for a sparse symmetric matrix.

Minimum degree: the column linked to the fewest others is eliminated next. Its
elimination links these to one another; they are stored as one set, an element, rather
than as pairs. As in Amestoy, Davis and Duff (1996, SIAM J. Matrix Anal. Appl. 17, 886),
columns that become indistinguishable are eliminated together, an element contained in
the new one is dropped, and a degree is computed from the sizes of the elements minus
their overlap with the new one.

SuperLU finds an order of this kind much faster, but it slows down when all animals of a
herd are linked to the herd's column. Here a column in many elements is updated only now
and then.
"""

from heapq import heapify, heappop, heappush

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spilu

HUB = 64
"""Number of links from which a column may slow SuperLU down."""

RARELY = 4
"""A column is updated if it belongs to at most this many elements per new element."""


def elimination_order(pattern):
    """
    Find an order of elimination by the faster of two methods.

    Parameters
    ----------
    pattern : csc_array
        Symmetric pattern, shape (n, n).

    Returns
    -------
    ndarray
        Columns in the order of elimination, shape (n,).
    """
    links = np.diff(pattern.indptr)
    if not len(links) or links.max() > HUB:
        return minimum_degree(pattern)
    # SciPy exposes the order only with a factorization, of which nothing is kept here
    dominant = sparse.diags_array(1.0 + links) + _ones(pattern)
    found = spilu(
        sparse.csc_array(dominant),
        drop_tol=1e3,
        fill_factor=1,
        permc_spec="MMD_AT_PLUS_A",
    )
    return np.argsort(found.perm_c)


def _ones(pattern):
    """A pattern with ones as values."""
    ones = np.ones(len(pattern.indices))
    return sparse.csc_array((ones, pattern.indices, pattern.indptr), pattern.shape)


def minimum_degree(pattern):
    """
    Find an order of elimination that does not suffer from columns with many links.

    Parameters
    ----------
    pattern : csc_array
        Symmetric pattern, shape (n, n).

    Returns
    -------
    ndarray
        Columns in the order of elimination, shape (n,).
    """
    # a column is linked to others by pairs or by the elements that contain it
    n = pattern.shape[0]
    indices, bounds = pattern.indices.tolist(), pattern.indptr.tolist()
    linked = [set(indices[a:b]) - {i} for i, (a, b) in enumerate(_pairs(bounds))]
    elements: list = [set() for _ in range(n)]
    members: dict = {}
    weight: dict = {}
    # a column stands for those eliminated together with it
    together = [[i] for i in range(n)]
    degree = [len(links) for links in linked]
    new_elements = [0] * n
    queue = [(d, 0, i) for i, d in enumerate(degree)]
    heapify(queue)
    order: list = []

    def eliminate(i):
        order.extend(together[i])
        degree[i] = -1

    while queue:
        queued, _, pivot = heappop(queue)
        if queued != degree[pivot]:
            continue
        # the columns that the new element links: it absorbs the pivot's elements
        eliminate(pivot)
        absorbed = elements[pivot]
        reach = linked[pivot].union(*[members.pop(e) for e in absorbed]) - {pivot}
        # links within the new element are no longer pairs, and each element is measured
        # without the new one
        looked_at = []
        beyond: dict = {}
        for i in reach:
            # the cost of -= is the size of the set on its right
            if len(linked[i]) > len(reach):
                linked[i] -= reach
            else:
                linked[i] = linked[i] - reach
            linked[i].discard(pivot)
            elements[i] -= absorbed
            new_elements[i] += 1
            if len(elements[i]) <= RARELY * new_elements[i]:
                new_elements[i] = 0
                looked_at.append(i)
                for e in elements[i]:
                    beyond[e] = beyond.get(e, weight[e]) - len(together[i])
        # an element within the new one says nothing more
        for e, size in beyond.items():
            if size == 0:
                for i in members.pop(e):
                    elements[i].discard(e)
        # merge columns with the same links
        distinct: dict = {}
        for i in looked_at:
            first = distinct.setdefault(
                (frozenset(linked[i]), frozenset(elements[i])), i
            )
            if not linked[i] and not elements[i]:
                reach.remove(i)
                eliminate(i)
            elif first != i:
                together[first] += together[i]
                degree[i] = -1
                reach.remove(i)
                for e in elements[i]:
                    members[e].remove(i)
                for j in linked[i]:
                    linked[j].remove(i)
        # update the degrees
        total = sum([len(together[i]) for i in reach])
        left = n - len(order)
        for i in looked_at:
            if degree[i] >= 0:
                others = sum([len(together[j]) for j in linked[i]])
                others += sum([beyond[e] for e in elements[i]])
                bound = min(left, total + others, total + degree[i])
                degree[i] = bound - len(together[i])
                heappush(queue, (degree[i], len(order), i))
        # add the new element to theirs
        for i in reach:
            elements[i].add(pivot)
        if reach:
            members[pivot], weight[pivot] = reach, total
    return np.array(order)


def _pairs(bounds):
    """First and last + 1 of each part."""
    return zip(bounds[:-1], bounds[1:])
