"""Why a likelihood has no maximum: links that leave the range of means, no error."""

import numpy as np

from statsmodels_lmm.inputs.row_values import listed, rows_text

FARTHEST_EDGE = 30.0
"""Largest linear predictor that counts as an edge: links may round infinite ones."""

NEAR = 1e-6
"""Distance of a linear predictor from an edge that it has reached."""

EXACT = 1e-12
"""Share of the variance of the response that is none."""

LARGEST = 700.0
"""Linear predictor from which exponentials overflow."""


def edges(family):
    """
    Linear predictors at which the means of a family end.

    Parameters
    ----------
    family : Family
        The distribution with its link.

    Returns
    -------
    ndarray
        Shape (k,); none for links such as the logit, which reach the ends at infinity.
    """
    if family.name == "Gaussian":
        return np.zeros(0)
    ends = [0.0, 1.0 if family.name == "Binomial" else np.inf]
    with np.errstate(all="ignore"):
        found = np.asarray(family.link(np.array(ends)), dtype=float)
    return found[np.abs(found) < FARTHEST_EDGE]


def no_optimum_sentence(evaluation, labels, ended):
    """
    Say why there is no optimum where a search ended.

    Parameters
    ----------
    evaluation : LaplaceDeviance
        The criterion at the end.
    labels : Index
        Labels of the rows, n of them.
    ended : bool
        Whether the search ended before its last evaluation.

    Returns
    -------
    str
        Empty if no reason is known.
    """
    model, eta = evaluation.model, evaluation.inner.eta
    family = model.family
    if family.has_extra and not family.extra_is_squared:
        mean = family.mean(eta)
        variance = family.variance(mean, model.weights, evaluation.extra)
        if variance.mean() < EXACT * model.endog.var():
            return (
                "fixed and random effects reproduce the response without error, so "
                "the dispersion tends to 0 and the likelihood has no maximum"
            )
    if evaluation.leaves_range:
        return nodes_sentence(family)
    return edge_sentence(family, eta, labels) if ended else ""


def edge_sentence(family, eta, labels):
    """
    Say that a search ended at the edge of the range of its link.

    Parameters
    ----------
    family : Family
        The distribution with its link.
    eta : ndarray
        Linear predictors at the end, shape (n,).
    labels : Index
        Labels of the rows, n of them.

    Returns
    -------
    str
        Empty if no row has reached an edge.
    """
    distances = np.abs(eta[:, None] - edges(family)).min(axis=1, initial=np.inf)
    near = distances < NEAR
    if not near.any():
        return ""
    return (
        f"the fit stopped at the edge of the range of the {family.link_name} link, "
        f"beyond which means are not {_allowed(family)}: "
        f"{rows_text(int(near.sum()))} reached it, {listed(labels[near])}. Its numbers "
        f"are provisional; {_advice(family)}"
    )


def nodes_sentence(family):
    """
    Say that nodes of a quadrature lie beyond the range of the link.

    Parameters
    ----------
    family : Family
        The distribution with its link.

    Returns
    -------
    str
    """
    return (
        f"no optimum was found: nodes of the quadrature lie beyond the range of the "
        f"{family.link_name} link, where means are not {_allowed(family)}. The numbers "
        f"are provisional; use nagq=1, or another link, as {_advice(family)}"
    )


def failure_sentence(family, eta, labels, error, where="no start was found"):
    """
    Say why a likelihood cannot be evaluated.

    Parameters
    ----------
    family : Family
        The distribution with its link.
    eta : ndarray
        Linear predictors at the start, shape (n,).
    labels : Index
        Labels of the rows, n of them.
    error : Exception
        What happened.
    where : str, optional
        The parameters, to be followed by "at which".

    Returns
    -------
    str
    """
    far = np.abs(eta) > LARGEST
    if far.any():
        return (
            "the likelihood cannot be evaluated: offset, exposure and fixed effects "
            f"leave linear predictors of up to {np.abs(eta).max():.2g} in rows "
            f"{listed(labels[far])}"
        )
    if len(edges(family)):
        return (
            f"the likelihood cannot be evaluated: {where} at which the "
            f"{family.link_name} link keeps the means of all rows {_allowed(family)}; "
            f"{_advice(family)}"
        )
    return f"the likelihood cannot be evaluated: {error}"


def _allowed(family):
    return "between 0 and 1" if family.name == "Binomial" else "positive"


def _advice(family):
    link = "logit" if family.name == "Binomial" else "log"
    return f"the {link} link has no such edge"
