"""A dict of levels with values made on access."""

from collections.abc import ItemsView, ValuesView
from itertools import islice
from typing import Any

SHOWN = 10
"""Number of levels printed."""


UNMADE = object()
"""Placeholder for a value until it is made."""


class LevelDict(dict):
    """
    A dict of level to value, each made on first access and kept.

    It can be used, changed and compared like any other dict; pickles and deep copies
    are plain dicts. Values are equal if pandas considers them equal.

    Parameters
    ----------
    levels : iterable, optional
        The levels.
    make : callable, optional
        Called with a level and its position; returns its value.
    """

    def __init__(self, levels=(), make=None):
        self._positions = {level: i for i, level in enumerate(levels)}
        self._make = make
        super().__init__(dict.fromkeys(self._positions, UNMADE))

    def _made(self, level, value):
        return self._make(level, self._positions[level]) if value is UNMADE else value

    def __missing__(self, level):
        raise KeyError(f"no level {level!r}: {told(self, level)}")

    def __getitem__(self, level):
        value = super().__getitem__(level)
        made = self._made(level, value)
        if made is not value:
            self[level] = made
        return made

    def __iter__(self):
        # with an iterator of its own, dict(x) and {**x} look values up
        return super().__iter__()

    def get(self, level, default=None):
        """The value of a level, or the default."""
        return self[level] if level in self else default

    def values(self) -> Any:
        """A view of the values."""
        return ValuesView(self)

    def items(self) -> Any:
        """A view of pairs of level and value."""
        return ItemsView(self)

    def pop(self, level, *default):
        """Remove a level and return its value, or the default."""
        return self._made(level, super().pop(level, *default))

    def popitem(self):
        """Remove the last level and return it with its value."""
        level, value = super().popitem()
        return level, self._made(level, value)

    def setdefault(self, level, default=None):
        """The value of a level; a new level is set to the default first."""
        super().setdefault(level, default)
        return self[level]

    def copy(self):
        """A dict with the same values."""
        other = LevelDict(make=self._make)
        other._positions = self._positions
        other.update(super().items())
        return other

    __copy__ = copy

    def __reduce__(self):
        return dict, (list(self.items()),)

    def __or__(self, other):
        return {**self, **other} if isinstance(other, dict) else NotImplemented

    def __ror__(self, other):
        return {**other, **self} if isinstance(other, dict) else NotImplemented

    def __eq__(self, other):
        if not isinstance(other, dict):
            return NotImplemented
        return self.keys() == other.keys() and all(
            _are_same(value, other[level]) for level, value in self.items()
        )

    def __ne__(self, other):
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        parts = [f"{level!r}: {self[level]!r}" for level in islice(self, SHOWN)]
        if len(self) > SHOWN:
            parts.append(f"and {len(self) - SHOWN:,} more")
        return "{" + ",\n".join(parts) + "}"


def told(labels, asked):
    """Kind of label, for the message about one that is missing."""
    labels = list(labels)
    for label in labels:
        if str(label) == str(asked):
            kind = "text" if isinstance(label, str) else "not text"
            return f"the labels are {kind}, write {label!r}"
    shown = ", ".join(map(repr, labels[:SHOWN]))
    more = f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else ""
    return f"there are {shown}{more}"


def _are_same(one, other):
    if one is other:
        return True
    return bool(one.equals(other) if hasattr(one, "equals") else one == other)
