"""Random signs, the same for the same seed whatever is computed from them."""

from dataclasses import dataclass

import numpy as np

WIDTH = 8
"""Number of columns that are drawn, and multiplied, together."""


@dataclass(frozen=True)
class Probes:
    """
    Columns z of independent signs, for which the mean of z'A z is the trace of A.

    Columns are drawn block by block, so that those of a smaller number are the first
    ones of a larger number.

    Parameters
    ----------
    seed : int
        Source of the signs.
    count : int
        Number m of columns for traces.
    more : int, optional
        Number of columns for a determinant; by default it is the same.
    """

    seed: int
    count: int
    more: int = 0

    def of_determinant(self):
        """The probes for a determinant."""
        return Probes(self.seed, self.more or self.count)

    @property
    def blocks(self):
        """Number and width of each block of columns, a list of pairs."""
        starts = range(0, self.count, WIDTH)
        return [(b, min(WIDTH, self.count - at)) for b, at in enumerate(starts)]

    def columns(self, block, size):
        """
        The columns of one block.

        Parameters
        ----------
        block : (int, int)
            Its number and width.
        size : int
            Number of rows.

        Returns
        -------
        ndarray
            Shape (size, width).
        """
        number, width = block
        source = np.random.SeedSequence(self.seed, spawn_key=(number,))
        signs = np.random.default_rng(source).integers(0, 2, (size, WIDTH), np.int8)
        return 2.0 * signs[:, :width] - 1.0
