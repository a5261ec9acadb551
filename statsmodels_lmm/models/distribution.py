"""The distribution of the response, in the form statsmodels expects."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.tools.rng_qrng import check_random_state

from statsmodels_lmm.core.structures.roots import lower_root


@dataclass(frozen=True)
class Distribution:
    """
    Distribution of a model's response at given parameters.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    mean : ndarray
        Fixed part, shape (n,).
    theta : ndarray
        Relative covariance parameters.
    scale : float
        Residual variance.
    """

    model: Any
    mean: np.ndarray
    theta: np.ndarray
    scale: float

    def rvs(self, n: int = 0, rng: Any = None) -> np.ndarray:
        """
        Draw one response.

        Parameters
        ----------
        n : int, optional
            Ignored, as in MixedLM.
        rng : None, int, numpy.random.Generator or numpy.random.RandomState
            Source of randomness.

        Returns
        -------
        ndarray
            Shape (number of rows,).
        """
        rng = check_random_state(rng)
        sigma, out = np.sqrt(self.scale), self.mean.copy()
        for i, covariance in enumerate(self.model.relative_covariances(self.theta)):
            grouped = self.model.random[i].grouped
            drawn = np.zeros((grouped.n_levels, grouped.k_effects))
            for block in grouped.block_slices:  # MixedLM draws one effect after another
                root = lower_root(covariance[block, block])
                normal = rng.normal(size=(grouped.n_levels, len(root)))
                drawn[:, block] = normal @ root.T
            out += sigma * grouped.times(drawn)
        return out + sigma * rng.normal(size=len(out))
