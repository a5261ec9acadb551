"""Values read from a saved fit, each of the kind and size that it must have."""

from math import isfinite

import numpy as np
import pandas as pd

LARGEST = 1e200
"""What is larger overflows somewhere."""


def number(value, what, least=-LARGEST):
    """
    A finite number.

    Parameters
    ----------
    value : object
        What was read.
    what : str
        What it is, for the message.
    least : float, optional
        The smallest that it can be.

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
    A whole number; see `number`.

    Parameters
    ----------
    value : object
        What was read, such as 3 or 3.0.
    what : str
        What it is, for the message.
    least, most : int, optional
        The limits.

    Returns
    -------
    int
    """
    found = number(value, what)
    if not found.is_integer() or not least <= found <= most:
        raise ValueError(f"{what} is {_short(value)}")
    return int(found)


def text(value, what):
    """A string that can be written; see `number`."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {_short(value)}")
    value.encode()
    return value


def truth(value, what):
    """A truth value; see `number`."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} is {_short(value)}")
    return value


def texts(value, what):
    """A list of strings; see `number`."""
    if not isinstance(value, list):
        raise ValueError(f"{what} is {_short(value)}")
    return [text(v, what) for v in value]


def numbers(value, what, shape, missing=False, least=-LARGEST):
    """
    An array of finite numbers.

    Parameters
    ----------
    value : object
        What was read, nested lists.
    what : str
        What they are, for the message.
    shape : tuple of int
        Their shape; -1 for any length.
    missing : bool, optional
        Whether None is allowed, which becomes NaN.
    least : float, optional
        The smallest that they can be.

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
    Symmetric matrices with variances that are not negative; see `numbers`.

    Parameters
    ----------
    value : object
        What was read.
    what : str
        What they are, for the message.
    shape : tuple of int
        Their shape, the last two lengths the same.
    missing : bool, optional
        Whether None is allowed.

    Returns
    -------
    ndarray
    """
    found = numbers(value, what, shape, missing)
    size = np.abs(np.nan_to_num(found)).max(axis=(-2, -1), keepdims=True, initial=0.0)
    asymmetry = np.abs(np.nan_to_num(found - np.swapaxes(found, -2, -1)))
    variances = np.diagonal(found, axis1=-2, axis2=-1)
    if (asymmetry > 1e-6 * size).any() or (variances < -1e-6 * size[..., 0]).any():
        raise ValueError(f"{what} is no covariance matrix")
    return found


def level(value, what):
    """A level: a string, a number, a truth value, or a list of them as a tuple."""
    if isinstance(value, list):
        return tuple(level(part, what) for part in value)
    if isinstance(value, str):
        return text(value, what)
    if not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{what} has the level {_short(value)}")
    return value


def levels(value, what):
    """A list of levels, none twice; see `level`."""
    if not isinstance(value, list):
        raise ValueError(f"{what} has the levels {_short(value)}")
    found = [level(v, what) for v in value]
    if len(set(found)) < len(found):
        raise ValueError(f"{what} has a level twice")
    return found


def index(plain, what):
    """
    Levels of a type.

    Parameters
    ----------
    plain : dict
        With "dtype" and "values".
    what : str
        What they are the levels of, for the message.

    Returns
    -------
    Index
    """
    values = levels(plain["values"], what)
    found = pd.Index(values, dtype=dtype(plain["dtype"]), tupleize_cols=False)
    if found.tolist() != values:
        raise ValueError(f"{what} has levels of another type than {plain['dtype']}")
    return found


def dtype(name):
    """A type of numbers or text by its name; see `number`."""
    if text(name, "a type") in ("object", "str", "string"):
        return object
    found = np.dtype(name)
    if found.kind not in "biuf":
        raise ValueError(f"a column of type {name}")
    return found


def _short(value):
    """What was found instead, in a few characters."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'dict'} of {len(value)}"
    try:
        shown = repr(value)
    except ValueError:  # a number of thousands of digits
        shown = "a huge number"
    return shown if len(shown) <= 40 else shown[:37] + "..."
