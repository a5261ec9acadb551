"""Values of the names in a formula, packed for pickling."""

import pickle
import sys
import types
from dataclasses import dataclass
from importlib import import_module
from typing import Any

BY_VALUE = ("cloudpickle", "joblib.externals.cloudpickle")
"""Modules that pickle functions by value; the first one installed is used."""


@dataclass(frozen=True)
class Module:
    """A module, stored by name."""

    name: str

    def unpacked(self):
        """The module."""
        return import_module(self.name)


@dataclass(frozen=True)
class Written:
    """
    A separate pickle, so that failure to read one value does not affect the others.

    Parameters
    ----------
    content : bytes
        The pickle.
    version : tuple or None
        Version of Python of the code it contains, None if it contains only names.
    """

    content: bytes
    version: tuple | None = None

    def unpacked(self):
        """The value."""
        if self.version not in (None, sys.version_info[:2]):
            raise pickle.UnpicklingError(f"code compiled by Python {self.version}")
        return pickle.loads(self.content)


@dataclass(frozen=True)
class Parts:
    """A patsy object, which cannot be pickled, stored as its attributes."""

    kind: type
    attributes: dict

    def unpacked(self):
        """The object."""
        value: Any = object.__new__(self.kind)
        value.__dict__.update(self.attributes)
        return value


def packed_value(value):
    """
    Convert a value to something that can be pickled.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    Module, Parts, Written or None
        None if the value cannot be pickled.
    """
    if isinstance(value, types.ModuleType):
        return Module(value.__name__)
    if type(value).__module__.partition(".")[0] == "patsy":
        parts = Parts(type(value), dict(getattr(value, "__dict__", {})))
        return parts if _written(pickle, parts) else None
    by_value = list(filter(None, map(_installed, BY_VALUE)))
    # definitions of the main module cannot be imported in another process
    home = getattr(value, "__module__", None) or type(value).__module__
    order = [*by_value, pickle] if home == "__main__" else [pickle, *by_value]
    for pickler in order:
        content = _written(pickler, value)
        if content is not None:
            version = None if pickler is pickle else sys.version_info[:2]
            return Written(content, version)
    return None


def _installed(name):
    try:
        return import_module(name)
    except ImportError:
        return None


def _written(pickler, value):
    """The pickle of a value, None if it cannot be pickled."""
    try:
        return pickler.dumps(value)
    except Exception:
        return None
