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
    found = number(value, what)
    if not found.is_integer() or not least <= found <= most:
        raise ValueError(f"{what} is {_short(value)}")
    return int(found)


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
    found = np.array(value, dtype=object)
    if not found.size and -1 not in shape:
        found = found.reshape(shape)
    matches = [n in (-1, m) for n, m in zip(shape, found.shape)]
    if len(found.shape) != len(shape) or not all(matches):
        raise ValueError(f"{what} has shape {found.shape} instead of {shape}")
    for item in found.ravel():
        if not (missing and item is None):
            number(item, what, least)
    return found.astype(float)


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
    found = numbers(value, what, shape, missing)
    size = np.abs(np.nan_to_num(found)).max(axis=(-2, -1), keepdims=True, initial=0.0)
    asymmetry = np.abs(np.nan_to_num(found - np.swapaxes(found, -2, -1)))
    variances = np.diagonal(found, axis1=-2, axis2=-1)
    if (asymmetry > 1e-6 * size).any() or (variances < -1e-6 * size[..., 0]).any():
        raise ValueError(f"{what} is not a covariance matrix")
    return found


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
    found = [level(v, what) for v in value]
    if len(set(found)) < len(found):
        raise ValueError(f"{what} has a duplicate level")
    return found


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
    found = pd.Index(values, dtype=dtype(plain["dtype"]), tupleize_cols=False)
    if found.tolist() != values:
        raise ValueError(f"{what} has levels that are not of type {plain['dtype']}")
    return found


def dtype(name):
    """Read the name of a type of numbers or text; see `number`."""
    if text(name, "a type") in ("object", "str", "string"):
        return object
    found = np.dtype(name)
    if found.kind not in "biuf":
        raise ValueError(f"a column has the unsupported type {name}")
    return found


def _short(value):
    """A value in a few characters."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'dict'} of {len(value)}"
    try:
        shown = repr(value)
    except ValueError:  # an integer with thousands of digits
        shown = "a huge number"
    return shown if len(shown) <= 40 else shown[:37] + "..."
