"""Covariances of species through common descent, from a phylogenetic tree."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.relationship.labeled import (
    LabeledMatrix,
    check_unique,
    quoted,
    recursive_precision,
    require_square,
)
from statsmodels_lmm.relationship.newick import read_newick


def phylogenetic_covariance(newick: Any, scale: bool = False) -> pd.DataFrame:
    """
    Covariances of the tips of a tree under Brownian motion.

    The covariance of two tips is the length of the path from the root to their last
    common ancestor; the variance of a tip is its distance from the root. A branch
    above the root does not count.

    Parameters
    ----------
    newick : str
        A tree with branch lengths in the Newick format, such as
        ``((A:1,B:1):0.5,C:1.5);``. Names are kept as written, including underscores.
    scale : bool, optional
        Whether to return correlations. Default is covariances, in units of length.

    Returns
    -------
    DataFrame
        Symmetric, labeled by tip in the order of the text.

    Raises
    ------
    DataError
        If the tree cannot be read, a branch has no length or a tip appears twice;
        with `scale`, also if a tip is at the root.
    MemoryError
        If the matrix does not fit in memory; `phylogenetic_covariance_inverse` is
        sparse.

    References
    ----------
    Felsenstein, J. (1985). Phylogenies and the comparative method. American
    Naturalist 125, 1-15.
    """
    tree, tips = _tree(newick)
    require_square(len(tips), "the phylogenetic covariance matrix")
    depth = _depths(tree)
    # the tips below a node are adjacent in the order of the text
    first = np.cumsum(tree.is_tip) - tree.is_tip
    stop = first + tree.is_tip
    for node in range(len(stop) - 1, 0, -1):
        parent = tree.parents[node]
        stop[parent] = max(stop[parent], stop[node])
    covariance = np.diag(depth[tree.is_tip])
    for node in range(1, len(stop)):
        parent = tree.parents[node]
        below, later = slice(first[node], stop[node]), slice(stop[node], stop[parent])
        covariance[below, later] = covariance[later, below] = depth[parent]
    if scale:
        deviations = _deviations(depth[tree.is_tip], tips)
        covariance /= deviations[:, None] * deviations
    return pd.DataFrame(covariance, tips, tips)


def phylogenetic_covariance_inverse(newick: Any, scale: bool = False) -> LabeledMatrix:
    """
    Sparse inverse covariance matrix of the tips and inner nodes of a tree.

    Under Brownian motion the variance of a node given its parent is the length of the
    branch between them, so the precision is (I - P)' D^-1 (I - P), where P marks the
    parents and D holds the lengths. The tips have the covariances of
    `phylogenetic_covariance`.

    Parameters
    ----------
    newick : str
        A tree; see `phylogenetic_covariance`.
    scale : bool, optional
        Whether to return the inverse of a correlation matrix.

    Returns
    -------
    LabeledMatrix
        Labeled by the tips and inner nodes in the order of the text, without the
        root. An inner node without a name of its own is called "Node" followed by its
        number among the inner nodes, the root being 1. An inner node at distance 0
        from its parent is merged with it.

    Raises
    ------
    DataError
        As for `phylogenetic_covariance`; also if a tip has a branch of length 0.

    References
    ----------
    Hadfield, J. D. and Nakagawa, S. (2010). General quantitative genetic methods for
    comparative biology. Journal of Evolutionary Biology 23, 494-508.
    """
    tree, _ = _tree(newick)
    labels = _node_labels(tree)
    same = tree.lengths == 0
    if (tree.is_tip & same).any():
        raise DataError(
            f"the branch of {quoted(labels[tree.is_tip & same])} has length 0: a tip "
            "that coincides with its ancestor makes the matrix singular"
        )
    stands_for = np.arange(len(same))
    for node in range(1, len(same)):
        if same[node]:
            stands_for[node] = stands_for[tree.parents[node]]
    kept = np.flatnonzero(stands_for == np.arange(len(same)))[1:]
    above = np.searchsorted(kept, stands_for[tree.parents[kept]])
    inner = stands_for[tree.parents[kept]] > 0
    shape = (len(kept),) * 2
    places = np.flatnonzero(inner), above[inner]
    weights = sparse.csr_array((np.ones(inner.sum()), places), shape=shape)
    variances, labels = tree.lengths[kept], labels[kept]
    if scale:
        deviations = _deviations(_depths(tree)[kept], labels)
        weights = (
            sparse.diags_array(1 / deviations)
            @ weights
            @ sparse.diags_array(deviations)
        )
        variances = variances / deviations**2
    return recursive_precision(weights, variances, labels)


def _tree(newick):
    """A tree and the names of its tips, checked."""
    tree = read_newick(newick)
    tips = pd.Index([n for n, is_tip in zip(tree.names, tree.is_tip) if is_tip])
    if len(tips) < 2:
        raise DataError("the tree has only one tip; expected a tree in Newick format")
    check_unique(tips, "tip")
    return tree, tips


def _depths(tree):
    """Distance of each node from the root."""
    depth = np.zeros(len(tree.parents))
    for node in range(1, len(depth)):
        depth[node] = depth[tree.parents[node]] + tree.lengths[node]
    return depth


def _deviations(depth, labels):
    """Standard deviations under Brownian motion, none of which may be 0."""
    at_root = depth == 0
    if at_root.any():
        raise DataError(f"tip {quoted(labels[at_root])} is at the root: no correlation")
    return np.sqrt(depth)


def _node_labels(tree):
    """Names of the nodes; inner nodes whose name is not unique are numbered."""
    names = pd.Series(tree.names)
    numbers = np.cumsum(~tree.is_tip)
    numbered = pd.Series([f"Node{k}" for k in numbers])
    unclear = ~tree.is_tip & ((names == "") | names.duplicated(keep=False))
    return pd.Index(numbered.where(unclear, names))
