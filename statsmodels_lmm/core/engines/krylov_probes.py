"""Random signs, the same for the same seed whatever is computed from them."""

from dataclasses import dataclass

import numpy as np

WIDTH = 8
"""Number of columns that are drawn, and multiplied, together."""


def variance_of_mean(samples):
    """
    Variance of the mean of a few samples, as large as its errors are in mean square.

    With m samples the mean over its estimated error has a t distribution, of variance
    (m - 1) / (m - 3), by which the usual estimate is widened.

    Parameters
    ----------
    samples : ndarray
        Shape (m, ...).

    Returns
    -------
    ndarray
        Covariances if the samples are vectors, shape (p, p); otherwise variances.
    """
    m = len(samples)
    rest = samples - samples.mean(axis=0)
    squares = rest.T @ rest if rest.ndim == 2 else (rest**2).sum(axis=0)
    return squares / (m * max(m - 3, 1))


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
