"""The model with a constant only, with which other models are compared."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

MAX_STEPS = 100


@dataclass(frozen=True)
class NullModel:
    """
    The fit of a constant.

    Parameters
    ----------
    constant : float
        The constant of the linear predictor.
    extra : float or None
        The extra parameter, if the family has one.
    llf : float
        Log-likelihood.
    deviance : float
        Sum of the unit deviances, times the prior weights.
    """

    constant: float
    extra: float | None
    llf: float
    deviance: float


def null_model(family, endog, weights, offset=0.0, repeats=1.0):
    """
    Fit a constant by maximum likelihood.

    Parameters
    ----------
    family : Family
        The distribution with its link.
    endog, weights : ndarray
        Responses and prior weights, shape (n,).
    offset : ndarray or float, optional
        Known part of the linear predictor.
    repeats : ndarray or float, optional
        How often each row was observed.

    Returns
    -------
    NullModel
    """
    offset = np.broadcast_to(offset, endog.shape)
    start = float(family.link(family.starting_mean(endog, weights)) - offset.mean())

    def height(constant, extra):
        eta = constant + offset
        each = family.half_deviance(endog, weights, eta, extra)
        each = each + family.saturated(endog, weights, extra)
        return float((repeats * each).sum())

    def constant_at(extra):
        constant, best = start, height(start, extra)
        for _ in range(MAX_STEPS):
            eta = constant + offset
            first = (repeats * family.slopes(endog, weights, eta, extra).first).sum()
            second = (
                repeats * family.expected(endog, weights, eta, extra).second
            ).sum()
            step = -first / second
            while not (lower := height(constant + step, extra)) <= best:
                step *= 0.5
                if abs(step) < 1e-12 * (1.0 + abs(constant)):
                    return constant
            constant, best = constant + step, lower
            if abs(step * first) < 1e-16 * (1.0 + abs(best)):
                break
        return constant

    extra = None
    if family.has_extra:
        guess = family.starting_extra(endog, weights, constant_at(_moderate(family)))
        squared = family.extra_is_squared

        def of_root(root):
            value = root**2 if squared else root
            return height(constant_at(value), value)

        center = np.sqrt(guess) if squared else guess
        found = optimize.minimize_scalar(of_root, (center, center + 0.5), tol=1e-10)
        extra = float(found.x) ** 2 if squared else float(found.x)
    constant = constant_at(extra)
    mu = family.mean(constant + offset)
    each = repeats * weights * family.unit_deviance(endog, mu, extra)
    return NullModel(
        float(constant), extra, -height(constant, extra), float(each.sum())
    )


def _moderate(family):
    """The extra parameter with which the first constant is found."""
    return 1.0 if family.extra_is_squared else 0.0
