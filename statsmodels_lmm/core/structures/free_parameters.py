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
