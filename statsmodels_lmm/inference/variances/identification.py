"""Which variance parameters of a fit the data determine, in words and in numbers."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

from statsmodels_lmm.core.structures.roots import lower_triangles
from statsmodels_lmm.core.uncertainty.identification import flat_directions

ROUNDING = 1e-6
"""Share of its terms that a sum must have left not to be 0."""

CLEAR = 1e-2
"""Curvature, in units of what the data tell of an effect, that no rounding feigns."""

CONSEQUENCE = (
    "The estimates are one choice of many that fit equally well; where they depend on "
    "it, their standard errors are NaN"
)


@dataclass(frozen=True)
class Identification:
    """
    What the data leave open about the variances and covariances.

    Parameters
    ----------
    directions : ndarray
        Changes of the parameters that do not change the likelihood, in standardized
        units, see `core.identification.flat_directions`, shape (m + 1, f).
    idle : int
        Number of parameters that are not determined or, because the fixed effects tell
        levels apart already, set to 0.
    messages : tuple of str
        A sentence for each set of terms that cannot be told apart.
    """

    directions: np.ndarray
    idle: int
    messages: tuple

    @property
    def sentences(self):
        """The messages with what follows from them."""
        return tuple(f"{m}. {CONSEQUENCE}" for m in self.messages)


def identification(results):
    """
    What the data leave open about the variances and covariances of a fit.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    Identification
    """
    data, products = results.model._sufficient_statistics()
    told = informative(results)
    if told.all() and _is_clear(results):
        return Identification(np.zeros((len(told) + 1, 0)), 0, ())
    flat = flat_directions(data, products, results.reml, told)
    idle = flat.shape[1] + int((~told).sum())
    random = results._units.of_plan(results.model.random)
    messages = _messages(random, products.plan.terms, flat)
    return Identification(flat, idle, messages)


def _is_clear(results):
    """
    Whether the curvature inside the cone shows that there is no flat direction.

    There every direction of covariances is one of their factors, too.
    """
    inside = not any(f.may_be_elsewhere for f in results._estimates.factors)
    return inside and results.optimum.least_curvature > CLEAR


def informative(results):
    """
    Which covariance parameters the fixed effects leave anything about.

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
    told = [effects.name not in results.uninformative for effects in random]
    return np.repeat(told, [effects.grouped.n_parameters for effects in random])


def flat_at(results):
    """
    The flat directions at the estimates, on which those of a structure depend.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    ndarray
        Shape (m + 1, f).
    """
    data, products = results.model._sufficient_statistics()
    places = results.at_optimum.factors
    told = informative(results)
    return flat_directions(data, products, results.reml, told, places)


def combined(coefficients, directions):
    """
    A matrix product in which what cancels is 0.

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
    found = coefficients @ directions
    terms = np.abs(coefficients) @ np.abs(directions)
    return np.where(np.abs(found) <= ROUNDING * terms, 0.0, found)


def _messages(random, factors, flat):
    """A sentence for each set of terms that cannot be told apart."""
    if not flat.shape[1]:
        return ()
    labels, places, start = [], [], 0
    for effects, factor in zip(random, factors):
        for label, count in zip(_labels(effects), factor.parameter_counts):
            labels.append(label)
            places.append(slice(start, start + count))
            start += count
    places.append(slice(start, start + 1))
    # terms are linked if some flat direction needs both
    basis = np.linalg.qr(flat / np.abs(flat).max(axis=0))[0]
    shared = basis @ basis.T
    links = np.array([[np.abs(shared[a, b]).max() for b in places] for a in places])
    involved = np.diagonal(links) > ROUNDING
    _, groups = connected_components(links > ROUNDING, directed=False)
    apart = _covariances_apart(factors, np.diagonal(shared))
    out = []
    for group in dict.fromkeys(groups[involved]):
        members = np.flatnonzero((groups == group) & involved)
        names = [labels[at] for at in members if at < len(labels)]
        if members[0] < len(labels) and apart[members[0]]:
            out.append(_sentence_of_covariances(*names))
        else:
            out.append(_sentence(names, len(labels) in members))
    return tuple(out)


def _covariances_apart(factors, shares):
    """Whether what is open about each block is single covariances, see `_messages`."""
    out, start = [], 0
    for factor in factors:
        for block, count, model in zip(
            factor.block_slices, factor.parameter_counts, factor.structures
        ):
            own = shares[start : start + count]
            start += count
            single = False
            if not model.has_structure:
                row, column = lower_triangles([block])
                whole = np.where(row == column, 0.0, own.round())
                single = bool(np.abs(own - whole).max() <= ROUNDING)
            out.append(single and bool(own.any()))
    return out


def _sentence_of_covariances(name):
    """That nothing tells the correlation of effects which no level has together."""
    return (
        f"the covariance of {name} is determined in part only: some of its effects are "
        f"in no level together, so that nothing tells their correlation. diag{name} "
        "leaves the correlations out"
    )


def _sentence(names, with_residual):
    """What cannot be told apart."""
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    covariances = "covariance" if len(names) == 1 else "covariances"
    if with_residual:
        return (
            f"the {covariances} of {listed} cannot be told from the residual variance: "
            "only their sum is determined"
        )
    if len(names) > 1:
        return (
            f"the covariances of {listed} cannot be told apart: only their sum is "
            "determined, so leave one of the terms out"
        )
    return (
        f"the covariance of {listed} is determined in part only: its effects depend "
        "linearly on one another within every level, so leave one of them out"
    )


def _labels(effects):
    """The terms that the covariance blocks of a factor stand for."""
    if not effects.has_groups:
        return [effects.name]
    written, start = {}, 0
    for term, size in effects.terms:
        written[start, start + size] = str(term)
        start += size
    found = []
    for block, names, _ in effects.blocks:
        columns = " + ".join("1" if n == "Intercept" else str(n) for n in names)
        own = f"({columns} | {effects.name})"
        found.append(written.get((block.start, block.stop), own))
    return found
