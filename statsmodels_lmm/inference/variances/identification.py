"""Which variance parameters of a fit the data determine."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse.csgraph import connected_components

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.structures.roots import lower_triangle
from statsmodels_lmm.core.uncertainty.identification import flat_directions
from statsmodels_lmm.core.uncertainty.identification_of_sums import (
    flat_directions_of_sums,
)
from statsmodels_lmm.display import Brief

NO_SHARE = 1e-6
"""Size of a sum relative to its terms below which it counts as 0."""

CLEAR = 1e-2
"""Curvature clearly above rounding, relative to the information about an effect."""

CONSEQUENCE = (
    "The estimates are one choice of many that fit equally well; where they depend on "
    "this choice, their standard errors are NaN"
)

ONE_OF_MANY = (
    "The estimates are one choice of many that fit equally well; leave out one of the "
    "terms, or choose a structure with fewer parameters"
)

SHARE = 0.05
"""Size of a parameter's change, relative to the largest, below which it is left out."""


@dataclass(frozen=True, repr=False)
class Identification(Brief):
    """
    Variances and covariances that the data do not determine.

    Parameters
    ----------
    directions : ndarray
        Changes of the parameters that do not change the likelihood, in standardized
        units, shape (m + 1, f); see `core.uncertainty.identification.flat_directions`.
    idle : int
        Number of parameters that are not determined or that are set to 0 because the
        fixed effects already distinguish the levels.
    messages : tuple of str
        One sentence per set of terms that the data cannot distinguish.
    consequence : str, optional
        What follows from that.
    """

    directions: np.ndarray
    idle: int
    messages: tuple
    consequence: str = field(default=CONSEQUENCE, repr=False)

    def _brief(self):
        return [*self.sentences] or ["the data determine every variance"]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The messages with their consequence."""
        return tuple(f"{m}. {self.consequence}" for m in self.messages)


def identification(results):
    """
    Find the variances and covariances of a fit that the data do not determine.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    Identification
    """
    if results.model.residual is not None:
        return _with_errors(results)
    if not results.uninformative and _is_clear(results):
        return Identification(np.zeros((len(results.optimum.theta) + 1, 0)), 0, ())
    _, products = results.model._sufficient_statistics()
    informed = informative(results)
    flat = _flat_directions(results, informed)
    idle = flat.shape[1] + int((~informed).sum())
    random = results._units.of_plan(results.model.random)
    messages = _messages(random, products.plan.terms, flat)
    return Identification(flat, idle, messages)


def _with_errors(results):
    """As `identification`, for a model with correlated errors."""
    flat = results._flat
    messages: tuple = ()
    if flat.shape[1]:
        random = results._units.of_plan(results.model.random)
        counts = [f.n_free for f in results._units.of_plan(results._estimates.factors)]
        names = np.repeat([effects.name for effects in random], counts).tolist()
        names += results.model.residual.parameter_names
        size = np.abs(flat).max(axis=1)
        each = [n for n, s in zip(names, size) if s > SHARE * size.max()]
        listed = ", ".join(dict.fromkeys(each))
        what = "tell apart" if len(set(each)) > flat.shape[1] else "determine"
        messages = (f"the data do not {what} the covariance parameters of {listed}",)
    none = np.zeros((len(results.optimum.theta) + 1, 0))
    return Identification(none, flat.shape[1], messages, ONE_OF_MANY)


def _is_clear(results):
    """
    Whether the curvature inside the cone excludes flat directions.

    There every direction of covariances corresponds to one of their factors.
    """
    inside = not any(f.may_be_elsewhere for f in results._estimates.factors)
    return inside and results.optimum.least_curvature > CLEAR


def informative(results):
    """
    Find the covariance parameters about which the fixed effects leave information.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    ndarray
        Booleans, in the order of the elimination, shape (m,).
    """
    random = results._units.of_plan(results.model.random)
    informed = [effects.name not in results.uninformative for effects in random]
    return np.repeat(informed, [effects.grouped.n_parameters for effects in random])


def flat_at(results):
    """
    Flat directions at the estimates; those of a structure depend on them.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    ndarray
        Shape (m + 1, f).
    """
    places = results.at_optimum.factors
    return _flat_directions(results, informative(results), places)


def _flat_directions(results, informed, places=None):
    """Flat directions of the likelihood of a fit, from its rows or sums over them."""
    data, products = results.model._sufficient_statistics()
    find = flat_directions
    if results.model.summed is not None:
        find = flat_directions_of_sums
    return find(data, products, results.reml, informed, places)


def combined(coefficients, directions):
    """
    Matrix product with terms that cancel set to 0.

    Parameters
    ----------
    coefficients : ndarray
        Shape (..., M, m + 1).
    directions : ndarray
        Shape (m + 1, f).

    Returns
    -------
    ndarray
        Shape (..., M, f).
    """
    sums = coefficients @ directions
    terms = np.abs(coefficients) @ np.abs(directions)
    return np.where(np.abs(sums) <= NO_SHARE * terms, 0.0, sums)


def _messages(random, factors, flat):
    """One sentence per set of terms that the data cannot distinguish."""
    if not flat.shape[1]:
        return ()
    labels = [label for effects in random for label in _labels(effects)]
    counts = [count for factor in factors for count in factor.parameter_counts]
    places = consecutive([*counts, 1])  # the last is the residual variance
    # terms are linked if a flat direction involves both
    basis = np.linalg.qr(flat / np.abs(flat).max(axis=0))[0]
    shared = basis @ basis.T
    links = np.array([[np.abs(shared[a, b]).max() for b in places] for a in places])
    involved = np.diagonal(links) > NO_SHARE
    _, groups = connected_components(links > NO_SHARE, directed=False)
    apart = _covariances_apart(factors, np.diagonal(shared))
    out = []
    for group in dict.fromkeys(groups[involved]):
        members = np.flatnonzero((groups == group) & involved)
        names = [labels[i] for i in members if i < len(labels)]
        if members[0] < len(labels) and apart[members[0]]:
            out.append(_sentence_of_covariances(*names))
        else:
            out.append(_sentence(names, len(labels) in members))
    return tuple(out)


def _covariances_apart(factors, shares):
    """Whether only single covariances of each block are undetermined."""
    blocks = [(f.blocks[i], s) for f in factors for i, s in enumerate(f.structures)]
    places = consecutive(model.n_parameters for _, model in blocks)
    out = []
    for (size, model), place in zip(blocks, places):
        part, single = shares[place], False
        if not model.has_structure:
            row, column = lower_triangle(size)
            whole = np.where(row == column, 0.0, part.round())
            single = bool(np.abs(part - whole).max() <= NO_SHARE)
        out.append(single and bool(part.any()))
    return out


def _sentence_of_covariances(name):
    """The sentence for correlations of effects that never occur in the same level."""
    return (
        f"the covariance of {name} is only partly determined: some of its effects "
        "never occur in the same level, so their correlation cannot be estimated. "
        f"diag{name} omits the correlations"
    )


def _sentence(names, with_residual):
    """The sentence for terms that the data cannot distinguish."""
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    covariances = "covariance" if len(names) == 1 else "covariances"
    if with_residual:
        return (
            f"the {covariances} of {listed} cannot be distinguished from the residual "
            "variance: only their sum is determined"
        )
    if len(names) > 1:
        return (
            f"the covariances of {listed} cannot be distinguished: only their sum is "
            "determined, so leave out one of the terms"
        )
    return (
        f"the covariance of {listed} is only partly determined: its effects are "
        "linearly dependent within every level, so leave out one of them"
    )


def _labels(effects):
    """The terms that correspond to the covariance blocks of a factor."""
    if not effects.has_groups:
        return [effects.name]
    written = {(s.start, s.stop): str(term) for term, s in effects.term_slices}
    labels = []
    for block, names, _ in effects.blocks:
        columns = " + ".join("1" if n == "Intercept" else str(n) for n in names)
        default = f"({columns} | {effects.name})"
        labels.append(written.get((block.start, block.stop), default))
    return labels
