"""Keywords that are said in two ways."""

import warnings
from functools import wraps

R_SCALES = {"response": "mean", "link": "linear"}
"""R's names of the scales of a prediction, in statsmodels' words."""


def renamed(**names):
    """
    Accept keywords of a function by their earlier names, with a DeprecationWarning.

    Parameters
    ----------
    **names
        The new name by the old one.

    Returns
    -------
    callable
        Decorates the function, whose signature has the new names only.
    """

    def decorate(function):
        @wraps(function)
        def accepting(*args, **kwargs):
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{old} is now called {new}: give one of them")
                warnings.warn(
                    f"{old} is now called {new}", DeprecationWarning, stacklevel=2
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return accepting

    return decorate


def scale_of(which, type=None):
    """
    The scale of a prediction.

    Parameters
    ----------
    which : {"mean", "linear"}
        The mean of the response, or the linear predictor.
    type : {None, "response", "link"}
        The same in R's words, which count if they are given.

    Returns
    -------
    str
        "mean" or "linear".

    Raises
    ------
    ValueError
        If the scale is unknown.
    """
    if type is not None:
        if type not in R_SCALES:
            raise ValueError(f"type must be 'response' or 'link', not {type!r}")
        return R_SCALES[type]
    if which not in R_SCALES.values():
        raise ValueError(f"which must be 'mean' or 'linear', not {which!r}")
    return which
