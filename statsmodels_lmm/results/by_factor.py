"""A dict by grouping factor that, as before, can stand in for its only value."""

import warnings

import numpy as np


class ByFactor(dict):
    """
    A dict by grouping factor.

    For a single factor, earlier versions gave the value itself. Its attributes and
    operations still work, with a DeprecationWarning that states what to write instead.

    Parameters
    ----------
    values : dict, optional
        A DataFrame, or a dict of level to DataFrame, by factor.
    name : str, optional
        The attribute of the results that holds the dict.
    """

    _name = ""

    def __init__(self, values=(), name=""):
        super().__init__(values)
        self._name = name

    def _only(self, asked):
        """The only value, with a warning that states how to get it."""
        ((factor, value),) = self.items()
        warnings.warn(
            f"{self._name} is a dict by grouping factor, even for a single one: write "
            f"{self._name}[{factor!r}]{asked}",
            DeprecationWarning,
            stacklevel=3,
        )
        return value

    def __missing__(self, key):
        values = list(self.values())
        if len(values) != 1 or key not in getattr(values[0], "index", values[0]):
            raise KeyError(key)
        if isinstance(values[0], dict):
            return self._only(f"[{key!r}]")[key]
        return self._only(f".loc[{key!r}]").xs(key)

    def __getattr__(self, name):
        values = list(self.values())
        if name.startswith("_") or len(values) != 1 or not hasattr(values[0], name):
            raise AttributeError(f"a dict by grouping factor has no {name!r}")
        return getattr(self._only(f".{name}"), name)

    def __array__(self, dtype=None, copy=None):
        if len(self) != 1:
            return np.array(dict(self), dtype=object)
        return np.array(self._only(""), dtype)

    def __mul__(self, other):
        return self._only("") * other if len(self) == 1 else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self._only("") / other if len(self) == 1 else NotImplemented

    def __matmul__(self, other):
        return self._only("") @ other if len(self) == 1 else NotImplemented
