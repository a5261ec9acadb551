"""Notes below the summary of a generalized linear mixed model."""

OVERDISPERSED = 1.5
"""Ratio of Pearson's chi-squared to its degrees of freedom that is worth a note."""

NOTABLE = 0.1
"""Change of -2 log-likelihood by quadrature from which a refit is advised."""


def dispersion_notes(results):
    """
    A sentence on overdispersion in a family whose dispersion is not estimated.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.

    Returns
    -------
    list of str
    """
    ratio = results.overdispersion
    if ratio is None or not ratio > OVERDISPERSED:
        return []
    advice = "a random effect for each row, (1 | obs)"
    if results.family.name == "Poisson":
        advice += ', or family="negativebinomial"'
    return [
        f"Overdispersion: Pearson's chi-squared is {ratio:.2f} times its degrees of "
        f"freedom. Consider {advice}."
    ]


def limit_notes(results):
    """
    A sentence on a negative binomial family at its Poisson limit.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.

    Returns
    -------
    list of str
    """
    if not results.family.has_extra or results.alpha != 0.0:
        return []
    return ["On the boundary: alpha is estimated as 0, the Poisson limit."]


def quadrature_notes(results):
    """
    A sentence on what quadrature would change.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.

    Returns
    -------
    list of str
    """
    change = results.quadrature_change
    if change is None:
        return []
    n_nodes, k = change.n_nodes, results.model.random[0].grouped.k_effects
    said = f"{n_nodes}-point quadrature"
    if k > 1:
        said = f"Quadrature with {n_nodes} points for each of {k} effects"
    # a robust covariance needs the Laplace approximation
    is_advised = abs(change.value) >= NOTABLE and results._robust is None
    advice = f"; refit with nagq={n_nodes}" if is_advised else ""
    return [f"{said} changes -2 log-likelihood by {change.value:+.3g}{advice}."]
