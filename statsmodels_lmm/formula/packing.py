"""Values that a formula names, packed for a pickle."""

import pickle
import sys
import types
from dataclasses import dataclass
from importlib import import_module
from typing import Any

BY_VALUE = ("cloudpickle", "joblib.externals.cloudpickle")
"""Modules that pickle functions by value, the first one that is installed counts."""


@dataclass(frozen=True)
class Module:
    """A module by its name."""

    name: str

    def unpacked(self):
        """The module."""
        return import_module(self.name)


@dataclass(frozen=True)
class Written:
    """
    A pickle of its own, so that one which cannot be read costs no other value.

    Parameters
    ----------
    content : bytes
        The pickle.
    version : tuple or None
        The version of Python whose code it has, None if it has only names.
    """

    content: bytes
    version: tuple | None = None

    def unpacked(self):
        """The value."""
        if self.version not in (None, sys.version_info[:2]):
            raise pickle.UnpicklingError(f"code of Python {self.version}")
        return pickle.loads(self.content)


@dataclass(frozen=True)
class Parts:
    """An object of patsy, which refuses to be pickled, by its attributes."""

    kind: type
    attributes: dict

    def unpacked(self):
        """The object."""
        value: Any = object.__new__(self.kind)
        value.__dict__.update(self.attributes)
        return value


def packed_value(value):
    """
    A value as something that can be pickled.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    Module, Parts, Written or None
        None if it cannot be.
    """
    if isinstance(value, types.ModuleType):
        return Module(value.__name__)
    if type(value).__module__.partition(".")[0] == "patsy":
        parts = Parts(type(value), dict(getattr(value, "__dict__", {})))
        return parts if _written(pickle, parts) else None
    by_value = list(filter(None, map(_installed, BY_VALUE)))
    # what the main module defines has no name in another process
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
    """The pickle of a value, None if there is none."""
    try:
        return pickler.dumps(value)
    except Exception:
        return None
