"""
The rows of clusters that contain the levels of the random effects, side by side.

A cluster sees only the random effects of its own levels. Its rows of Z, restricted to
these, are laid out densely, several clusters of similar size at a time; shorter
clusters end in rows of zeros, and clusters with fewer levels have columns of zeros.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.memory import require_memory

ENTRIES = 2_000_000
"""Numbers laid out at once, unless a single cluster has more."""

COPIES = 4
"""Arrays of that size at one time, with what is made of them."""


@dataclass(frozen=True)
class ClusterBatch:
    """
    Clusters of similar size.

    Parameters
    ----------
    clusters : ndarray
        The clusters, shape (b,).
    rows, places : ndarray
        Positions of their rows among all rows, and in the layout, shape (r,).
    shape : tuple of int
        Number of clusters b and of rows of the largest.
    effects : tuple of ndarray
        Z of each term with the levels of the cluster, shapes (b, rows, l_i, k_i).
    """

    clusters: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    shape: tuple
    effects: tuple

    def laid_out(self, columns):
        """Columns (n, ...) of all rows, as those of the clusters, (b, rows, ...)."""
        b, longest = self.shape
        out = np.zeros((b * longest, *columns.shape[1:]))
        out[self.places] = columns[self.rows]
        return out.reshape(b, longest, *columns.shape[1:])

    def times(self, matrices):
        """Z M for a matrix M (k_i, k_i) of each term, shape (b, rows, q)."""
        each = [e @ matrix for e, matrix in zip(self.effects, matrices)]
        flat = [z.reshape(*self.shape, z.shape[2] * z.shape[3]) for z in each]
        return np.concatenate([np.zeros((*self.shape, 0)), *flat], axis=-1)


def crossing_level(term, codes):
    """
    A level whose rows are in more than one cluster.

    Parameters
    ----------
    term : GroupedEffects
        Random effects.
    codes : ndarray
        Cluster of each row, shape (n,).

    Returns
    -------
    int or None
    """
    apart = _cluster_of_levels(term, codes)[term.codes] != codes
    return int(term.codes[apart][0]) if apart.any() else None


def are_related(term, codes):
    """
    Whether levels of different clusters are related, be it through others.

    Parameters
    ----------
    term : GroupedEffects
        Random effects with a known covariance of their levels.
    codes : ndarray
        Cluster of each row, shape (n,).

    Returns
    -------
    bool
    """
    links = sparse.csr_array(term.relationship.matrix != 0.0)
    count, kin = sparse.csgraph.connected_components(links, directed=False)
    cluster_of, kin = np.zeros(count, dtype=codes.dtype), kin[term.codes]
    cluster_of[kin] = codes
    return bool((cluster_of[kin] != codes).any())


def cluster_batches(terms, codes, n_clusters):
    """
    Lay out the rows of all clusters.

    Parameters
    ----------
    terms : sequence of GroupedEffects
        Random effects whose levels are each in one cluster.
    codes : ndarray
        Cluster of each row, shape (n,).
    n_clusters : int
        Number of clusters, none of them empty.

    Yields
    ------
    ClusterBatch
    """
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=n_clusters)
    starts = np.cumsum(sizes) - sizes
    counts, local = [], []
    for term in terms:
        count, place = _numbered(_cluster_of_levels(term, codes), n_clusters)
        counts.append(count)
        local.append(place)
    widths = np.ones_like(sizes)
    for term, count in zip(terms, counts):
        widths += count * term.k_effects
    for clusters in _alike(sizes, widths):
        size = sizes[clusters]
        longest, each = int(size.max()), np.repeat(np.arange(len(clusters)), size)
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        rows = order[np.repeat(starts[clusters], size) + within]
        shape, effects = (len(clusters), longest), []
        require_memory(
            COPIES * 8 * len(clusters) * longest * int(widths[clusters].max()),
            f"the random effects of a cluster of {longest:,} rows",
            "Choose smaller clusters; CR1 of a linear model needs no such matrix",
        )
        for term, count, place in zip(terms, counts, local):
            z = np.zeros((*shape, int(count[clusters].max()), term.k_effects))
            z[each, within, place[term.codes[rows]]] = term.effects[rows]
            effects.append(z)
        places = each * longest + within
        yield ClusterBatch(clusters, rows, places, shape, tuple(effects))


def _cluster_of_levels(term, codes):
    """The cluster of the last row of each level, -1 for a level without rows."""
    out = np.full(term.n_levels, -1)
    out[term.codes] = codes
    return out


def _numbered(cluster_of_levels, n_clusters):
    """Number of levels of each cluster, and the number of each level in its own."""
    seen = np.flatnonzero(cluster_of_levels >= 0)
    levels = seen[np.argsort(cluster_of_levels[seen], kind="stable")]
    count = np.bincount(cluster_of_levels[levels], minlength=n_clusters)
    number = np.zeros(len(cluster_of_levels), dtype=np.intp)
    first = np.repeat(np.cumsum(count) - count, count)
    number[levels] = np.arange(len(levels)) - first
    return count, number


def _alike(sizes, widths):
    """Clusters in batches, in each of which no size or width is twice another."""
    kinds = np.frexp(sizes)[1] + 64 * np.frexp(widths)[1]
    order = np.argsort(kinds, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(kinds[order])) + 1, len(order))
    for start, end in zip(np.append(0, ends[:-1]), ends):
        alike = order[start:end]
        step = max(1, ENTRIES // int(sizes[alike].max() * widths[alike].max()))
        for first in range(0, len(alike), step):
            yield alike[first : first + step]
