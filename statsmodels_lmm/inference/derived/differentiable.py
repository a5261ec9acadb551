"""Numbers that carry their derivatives through NumPy's functions (forward mode)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

PARTIAL: dict = {
    np.add: (lambda a, b: 1.0, lambda a, b: 1.0),
    np.subtract: (lambda a, b: 1.0, lambda a, b: -1.0),
    np.multiply: (lambda a, b: b, lambda a, b: a),
    np.true_divide: (lambda a, b: 1.0 / b, lambda a, b: -a / b**2),
    np.power: (lambda a, b: b * a ** (b - 1.0), lambda a, b: a**b * np.log(a)),
    np.negative: (lambda a: -1.0,),
    np.positive: (lambda a: 1.0,),
    np.absolute: (np.sign,),
    np.square: (lambda a: 2.0 * a,),
    np.sqrt: (lambda a: 0.5 / np.sqrt(a),),
    np.exp: (np.exp,),
    np.log: (lambda a: 1.0 / a,),
    np.tanh: (lambda a: 1.0 / np.cosh(a) ** 2,),
    np.arctanh: (lambda a: 1.0 / (1.0 - a**2),),
    expit: (lambda a: expit(a) * expit(-a),),
    logit: (lambda a: 1.0 / (a * (1.0 - a)),),
}
"""Derivatives of each function with respect to its arguments."""

COMPARISONS = {
    *(np.equal, np.not_equal),
    *(np.less, np.less_equal, np.greater, np.greater_equal),
}


@dataclass(frozen=True, eq=False)
class Differentiable(np.lib.mixins.NDArrayOperatorsMixin):
    """
    The value of a function and its derivatives.

    Parameters
    ----------
    value : float
        The value.
    slopes : ndarray
        Derivatives with respect to all parameters, shape (P,).
    """

    value: float
    slopes: np.ndarray

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        """Apply the chain rule."""
        values = [np.float64(_value(x)) for x in inputs]
        if ufunc in COMPARISONS:
            return ufunc(*values)
        if ufunc not in PARTIAL or method != "__call__" or options:
            known = ", ".join(sorted(f.__name__ for f in PARTIAL))
            raise TypeError(
                f"the derivative of {ufunc.__name__} is not known; a function of "
                f"parameters may use {known}"
            )
        with np.errstate(all="ignore"):
            # a root at 0 has no slope, but does not depend on the rest either
            slopes = [
                np.where(x.slopes == 0.0, 0.0, partial(*values) * x.slopes)
                for partial, x in zip(PARTIAL[ufunc], inputs)
                if isinstance(x, Differentiable)
            ]
            return Differentiable(ufunc(*values), np.sum(slopes, axis=0))

    def __float__(self):
        """Not available, since the derivatives would be lost."""
        raise TypeError("a function of parameters must use NumPy's functions, not math")


def _value(x):
    return x.value if isinstance(x, Differentiable) else x
