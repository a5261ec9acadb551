"""A dict by grouping factor that, as before, can stand in for its only value."""

import warnings
from html import escape
from typing import Any

import numpy as np

from statsmodels_lmm.results.level_dict import told


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

    @property
    def values(self):
        """The values, if called as of a dict; else the array of the only value."""
        return _Values(self)

    def _old(self):
        """The only value, None if there are several."""
        values = list(super().values())
        return values[0] if len(values) == 1 else None

    def _has_level(self, key):
        """Whether a key is a level, or an effect, of the only value."""
        value = self._old()
        try:
            return value is not None and key in getattr(value, "index", value)
        except TypeError:  # a list or mask of columns
            return False

    def __missing__(self, key):
        if not self._has_level(key):
            message, value = f"no grouping factor {key!r}", self._old()
            if value is None:
                message += f": {told(self, key)}"
            else:
                (factor,) = self
                labels = getattr(value, "index", value)
                message += f"; in {factor!r}, {told(labels, key)}"
            raise KeyError(message)
        if isinstance(self._old(), dict):
            return self._only(f"[{key!r}]")[key]
        return self._only(f".loc[{key!r}]").xs(key)

    def __contains__(self, key):
        if super().__contains__(key):
            return True
        return self._has_level(key) and self._only("") is not None

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a factor; of a level, if there is one factor."""
        if super().__contains__(key):
            return super().get(key)
        return self[key] if self._has_level(key) else default

    def copy(self) -> Any:
        """The same dict again."""
        return ByFactor(self, self._name)

    def __repr__(self):
        lines = (f"{factor}:\n{value!r}" for factor, value in self.items())
        return "\n".join(lines) or "{}"

    def _repr_html_(self):
        return "".join(
            f"<p>{escape(str(factor))}</p>{_html(value)}"
            for factor, value in self.items()
        )

    def __eq__(self, other):
        if not isinstance(other, dict) or self.keys() != other.keys():
            return False
        return all(_equal(super(ByFactor, self).get(k), other[k]) for k in self)

    def __ne__(self, other):
        return not self == other

    __hash__ = None

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(self._old(), name):
            raise AttributeError(f"a dict by grouping factor has no {name!r}")
        return getattr(self._only(f".{name}"), name)

    def __array__(self, dtype=None, copy=None):
        if len(self) != 1:
            return np.array(dict(self), dtype=object)
        return np.array(self._only(""), dtype)


class _Values:
    """Values of a `ByFactor`: callable as for a dict, an array as for a DataFrame."""

    def __init__(self, by_factor):
        self._by_factor = by_factor

    def __call__(self):
        return dict.values(self._by_factor)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._by_factor._only(".to_numpy()"), dtype)

    def __getitem__(self, key):
        return self._by_factor._only(".to_numpy()").to_numpy()[key]

    def __getattr__(self, name):
        return getattr(self._by_factor._only(".to_numpy()").to_numpy(), name)


def _html(value):
    """HTML of a table, or of a dict of tables."""
    own = value._repr_html_() if hasattr(value, "_repr_html_") else None
    return own or f"<pre>{escape(repr(value))}</pre>"


def _equal(one, other):
    """Whether two values are equal as a whole."""
    return one.equals(other) if hasattr(one, "equals") else one == other


def _operation(name):
    """An operation of the only value."""

    def operate(self, *others):
        if len(self) != 1:
            return NotImplemented
        return getattr(self._only(""), name)(*others)

    return operate


for _name in (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "matmul"),
    *("rmatmul", "pow", "neg", "abs", "round", "lt", "le", "gt", "ge"),
):
    setattr(ByFactor, f"__{_name}__", _operation(f"__{_name}__"))
