"""Values read from a saved fit, checked for type and size."""

from math import isfinite

import numpy as np
import pandas as pd

LARGEST = 1e200
"""Largest magnitude accepted; larger values would overflow in later computations."""


def number(value, what, least=-LARGEST):
    """
    Read a finite number.

    Parameters
    ----------
    value : object
        The value read.
    what : str
        What the value is, for messages.
    least : float, optional
        Smallest valid value.

    Returns
    -------
    float

    Raises
    ------
    ValueError
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= LARGEST:
        raise ValueError(f"{what} is {_short(value)}")
    return float(value)


def whole(value, what, least=0, most=2**53):
    """
    Read a whole number; see `number`.

    Parameters
    ----------
    value : object
        The value read, such as 3 or 3.0.
    what : str
        What the value is, for messages.
    least, most : int, optional
        Smallest and largest valid values.

    Returns
    -------
    int
    """
    count = number(value, what)
    if not count.is_integer() or not least <= count <= most:
        raise ValueError(f"{what} is {_short(value)}")
    return int(count)


def text(value, what):
    """Read a string that can be encoded; see `number`."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {_short(value)}")
    value.encode()
    return value


def truth(value, what):
    """Read a boolean; see `number`."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} is {_short(value)}")
    return value


def texts(value, what):
    """Read a list of strings; see `number`."""
    if not isinstance(value, list):
        raise ValueError(f"{what} is {_short(value)}")
    return [text(v, what) for v in value]


def numbers(value, what, shape, missing=False, least=-LARGEST):
    """
    Read an array of finite numbers.

    Parameters
    ----------
    value : object
        The value read, as nested lists.
    what : str
        What the values are, for messages.
    shape : tuple of int
        Required shape; -1 for any length.
    missing : bool, optional
        Whether to accept None, which becomes NaN.
    least : float, optional
        Smallest valid value.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
    """
    if not isinstance(value, list):
        raise ValueError(f"{what} is {_short(value)}")
    array = np.array(value, dtype=object)
    if not array.size and -1 not in shape:
        array = array.reshape(shape)
    matches = [n in (-1, m) for n, m in zip(shape, array.shape)]
    if len(array.shape) != len(shape) or not all(matches):
        raise ValueError(f"{what} has shape {array.shape} instead of {shape}")
    for item in array.ravel():
        if not (missing and item is None):
            number(item, what, least)
    return array.astype(float)


def covariance(value, what, shape, missing=False):
    """
    Read symmetric matrices with nonnegative variances; see `numbers`.

    Parameters
    ----------
    value : object
        The value read.
    what : str
        What the values are, for messages.
    shape : tuple of int
        Required shape, with equal last two lengths.
    missing : bool, optional
        Whether to accept None.

    Returns
    -------
    ndarray
    """
    matrices = numbers(value, what, shape, missing)
    size = np.abs(np.nan_to_num(matrices)).max(
        axis=(-2, -1), keepdims=True, initial=0.0
    )
    asymmetry = np.abs(np.nan_to_num(matrices - np.swapaxes(matrices, -2, -1)))
    variances = np.diagonal(matrices, axis1=-2, axis2=-1)
    if (asymmetry > 1e-6 * size).any() or (variances < -1e-6 * size[..., 0]).any():
        raise ValueError(f"{what} is not a covariance matrix")
    return matrices


def level(value, what):
    """Read a level: a string, a number, a boolean, or a list of these as a tuple."""
    if isinstance(value, list):
        return tuple(level(part, what) for part in value)
    if isinstance(value, str):
        return text(value, what)
    if not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{what} has the level {_short(value)}")
    return value


def levels(value, what):
    """Read a list of distinct levels; see `level`."""
    if not isinstance(value, list):
        raise ValueError(f"{what} has the levels {_short(value)}")
    values = [level(v, what) for v in value]
    if len(set(values)) < len(values):
        raise ValueError(f"{what} has a duplicate level")
    return values


def index(plain, what):
    """
    Read levels of a given type.

    Parameters
    ----------
    plain : dict
        The levels, with keys "dtype" and "values".
    what : str
        What has these levels, for messages.

    Returns
    -------
    Index
    """
    values = levels(plain["values"], what)
    labels = pd.Index(values, dtype=dtype(plain["dtype"]), tupleize_cols=False)
    if labels.tolist() != values:
        raise ValueError(f"{what} has levels that are not of type {plain['dtype']}")
    return labels


def dtype(name):
    """Read the name of a type of numbers or text; see `number`."""
    if text(name, "a type") in ("object", "str", "string"):
        return object
    of_numpy = np.dtype(name)
    if of_numpy.kind not in "biuf":
        raise ValueError(f"a column has the unsupported type {name}")
    return of_numpy


def _short(value):
    """A value in a few characters."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'dict'} of {len(value)}"
    try:
        shown = repr(value)
    except ValueError:  # an integer with thousands of digits
        shown = "a huge number"
    return shown if len(shown) <= 40 else shown[:37] + "..."
