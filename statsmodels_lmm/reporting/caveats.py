"""What a reader of a fit's numbers has to be told."""

from statsmodels_lmm.results.generalized_notes import dispersion_notes, limit_notes
from statsmodels_lmm.results.summary import boundary_notes, covariance_notes


def caveats(results):
    """
    Sentences on what limits the numbers of a fit.

    Parameters
    ----------
    results : MixedResults
        A fit without its wrapper.

    Returns
    -------
    list of str
        Without a proved optimum, that there is none and why; coefficients and variances
        that are not finite, dropped or not determined; the kind of a robust covariance;
        terms on the boundary; a choice of columns; and overdispersion.
    """
    lines = []
    if not results.optimum.certified:
        lines.append("No local optimum was proved, so the numbers are provisional.")
        if results.reason:
            lines.append(f"{results.reason[0].upper()}{results.reason[1:]}.")
    lines += [f"Not finite: {text}." for text in results.unbounded.sentences]
    if results.dropped:
        lines.append("Redundant columns dropped: " + ", ".join(results.dropped) + ".")
    lines += [f"Not determined: {text}." for text in results.identification.messages]
    lines += covariance_notes(results) + boundary_notes(results)
    if results._is_gaussian:
        chosen = getattr(results, "selection", None)
        return lines if chosen is None else [*lines, chosen.note]
    return lines + limit_notes(results) + dispersion_notes(results)
