"""Parameters of a search that are not covariances."""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.structures.unstructured_block import SNAP


@dataclass(frozen=True)
class FreeParameters:
    """
    Parameters without bounds, such as coefficients.

    The methods are those of `relative_factor.RelativeFactor` that a search calls.

    Parameters
    ----------
    values : ndarray
        Shape (..., m).
    """

    values: np.ndarray

    @property
    def n_free(self):
        """Number of parameters m."""
        return self.values.shape[-1]

    def moved(self, step):
        """The parameters after a step."""
        return replace(self, values=self.values + step)

    stepped = moved

    def snapped(self, tolerance=SNAP):
        """The parameters themselves: they have no boundary."""
        return self

    def is_near(self, other, share):
        """Whether no parameter differs by more than a share of 1 or of the other's."""
        change = np.abs(self.values - other.values)
        size = np.maximum(1.0, np.abs(other.values))
        return (change <= share * size).all(axis=-1)

    def take(self, which):
        """A selection of the values."""
        return replace(self, values=self.values[which])

    def where(self, better, other):
        """The better of two, for each of many values."""
        values = np.where(better[:, None], other.values, self.values)
        return replace(self, values=values)

    def broadcast(self, count):
        """One value repeated `count` times; many values stay as they are."""
        shape = count, self.n_free
        return replace(self, values=np.broadcast_to(self.values, shape))


@dataclass(frozen=True)
class SquareRoots(FreeParameters):
    """
    Square roots of parameters that are not negative.

    The search moves the roots l of the parameters l^2: their boundary is a point at
    which the slope is zero.
    """

    def stepped(self, step):
        """The roots after a step, not negative."""
        return replace(self, values=np.abs(self.values + step))

    def snapped(self, tolerance=SNAP):
        """The roots, or those that are almost zero moved there."""
        if not (self.values[self.values != 0.0] <= tolerance).any():
            return self
        values = np.where(self.values <= tolerance, 0.0, self.values)
        return replace(self, values=values)


@dataclass(frozen=True)
class Carried:
    """
    Arrays that go along with the points of many searches, without being searched.

    Parameters
    ----------
    values : tuple of ndarray
        One entry for each search along the first axis of each.
    """

    values: tuple

    n_free = 0

    def stepped(self, step):
        """The arrays themselves, as after any operation on the parameters."""
        return self

    def snapped(self, tolerance=SNAP):
        """The arrays themselves."""
        return self

    def broadcast(self, count):
        """The arrays themselves, which have one entry for each search."""
        return self

    def take(self, which):
        """A selection of the searches."""
        return Carried(tuple(v[which] for v in self.values))

    def where(self, better, other):
        """The arrays of the better of two points, for each search."""
        pairs = zip(self.values, other.values)
        shaped = [(better.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs]
        return Carried(tuple(np.where(which, b, a) for which, a, b in shaped))
