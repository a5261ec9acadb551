"""A generalized model without its random effects."""

import numpy as np
from scipy.optimize import minimize_scalar

from statsmodels_lmm.core.criteria.laplace import Laplace
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor


def without_effects(model, coefficients, extra=None):
    """
    Minimize -2 log-likelihood with random effects of zero.

    Parameters
    ----------
    model : ConditionalModel
        The rows and their distribution.
    coefficients : ndarray
        Standardized fixed effects from which to start, shape (p,).
    extra : float, optional
        The extra parameter, if the family has one, from which to start.

    Returns
    -------
    LaplaceDeviance
        The criterion at the optimum.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood cannot be evaluated.
    """
    criterion = Laplace(model, jointly=True)
    zeros = [
        pivoted_factor(np.zeros((f.k_effects, f.k_effects)), f.block_slices)
        for f in model.terms
    ]
    family = model.family

    def at(parameter):
        squared = family.has_extra and family.extra_is_squared
        value = parameter**2 if squared else parameter
        return criterion.at_parameters(coefficients, zeros, value)

    if not family.has_extra:
        return at(None)
    start = np.sqrt(extra) if family.extra_is_squared else extra
    found = minimize_scalar(lambda x: float(at(x).value), (start, start + 0.5))
    return at(found.x)
