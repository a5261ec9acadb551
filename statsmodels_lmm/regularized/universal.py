"""The penalty that columns without effect hardly reach."""

import numpy as np

SOME = 60
"""Number of columns from which the size of all is estimated."""


def universal(penalized, alphas):
    r"""
    The penalty that columns without effect hardly reach.

    A column x without effect is pulled by about :math:`\sqrt{x'V^{-1}x}` at random, and
    the largest of p pulls is about :math:`\sqrt{2 \log p}` times that. So alpha is

    .. math:: \sqrt{2 \log p / n} \; \mathrm{mean}_j \sqrt{x_j'V^{-1}x_j / n}

    with the V of the fit at this alpha, and the columns adjusted for those that are not
    penalized. The second factor is 1 without random effects, and about one half for
    individuals with kinship of a heritability of two thirds.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    alphas : ndarray
        Descending penalties between which it is sought.

    Returns
    -------
    float
        The penalty, found on the way down from the fit without columns; where V jumps
        across it or the path ends before, the last one above.
    """
    options = penalized.options
    if options.objective != "scaled" or not options.standardize:
        raise ValueError(
            'alpha="universal" is for objective="scaled" and standardize=True'
        )
    problem, p = penalized.problem, penalized.n_penalized
    n, _ = problem.columns.shape
    usable = np.flatnonzero(np.isfinite(problem.weights) & (problem.columns.sizes > 0))
    some = usable[np.unique(np.linspace(0, len(usable) - 1, SOME).astype(int))]
    unit = np.sqrt(2.0 * np.log(p)) / (penalized.amount(1.0) * problem.l1)

    def reached(fit):
        return float(unit * problem.sizes(fit, some).mean())

    found, before = reached(penalized.null), alphas[0]
    if found >= before:
        return found
    amounts = [penalized.amount(alpha) for alpha in alphas]
    fits = problem.path(amounts, options.largest(n), penalized.null)
    for alpha, fit in zip(alphas, fits):
        last, found = found, reached(fit)
        if found > before:  # V jumps
            return before
        if found >= alpha:
            above, below = before - last, found - alpha
            return alpha + (before - alpha) * below / (above + below)
        before = alpha
    return found if before == alphas[-1] else before  # where the path ends
