"""A relative covariance factor that is a function of its parameters."""

import numpy as np

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.structures.base import Parameter, Structure


class RelativeFactorFunction(Structure):
    """
    A relative covariance factor given as a function of theta.

    Parameters
    ----------
    function : callable
        Maps theta, shape (m,), to L with S = L L', an array or sparse matrix with k
        rows.
    start : array_like
        Where the search starts, shape (m,).
    lower, upper : array_like, optional
        Range of theta, shape (m,).
    names : sequence of str, optional
        Names of the parameters.
    derivative : callable, optional
        Maps theta to dL / dtheta, a sequence of m matrices like L. Default is to
        difference S.
    name : str, optional
        Name in tables.
    """

    def __init__(
        self,
        function,
        start,
        lower=None,
        upper=None,
        names=None,
        derivative=None,
        name="theta",
    ):
        self.function, self.slopes, self.name = function, derivative, name
        self.start = np.atleast_1d(np.array(start, dtype=float))
        m = len(self.start)
        self.lower = self._of_each("lower", -np.inf if lower is None else lower)
        self.upper = self._of_each("upper", np.inf if upper is None else upper)
        if names is not None and len(names) != m:
            raise ValueError(f"{len(names)} names for {m} parameters")
        self.names = [str(j + 1) for j in range(m)] if names is None else list(names)

    def _of_each(self, what, values):
        """One number for each parameter."""
        values = np.array(values, dtype=float)
        if values.shape not in ((), self.start.shape):
            raise ValueError(
                f"{what} has shape {values.shape} for {len(self.start)} parameters"
            )
        return np.broadcast_to(values, self.start.shape)

    def parameters(self, effects):
        """The parameters as given."""
        columns = zip(self.names, self.lower, self.upper, self.start)
        return [
            Parameter(str(n), float(a), float(b), float(s)) for n, a, b, s in columns
        ]

    @property
    def gives_derivative(self):
        """Whether the user gave a derivative."""
        return self.slopes is not None

    def factor(self, theta, k):
        """The value of the function as an array."""
        value = as_array(self.function(np.array(theta, dtype=float)))
        return value.astype(float, copy=False)

    def derivative(self, theta, k):
        """From the derivative of L, or by finite differences."""
        if self.slopes is None:
            return super().derivative(theta, k)
        root = self.factor(theta, k)
        slopes = [as_array(d) for d in self.slopes(np.array(theta))]
        if [s.shape for s in slopes] != [root.shape] * len(self.start):
            raise ValueError(
                f"derivative gives matrices of shapes {[s.shape for s in slopes]}; it "
                f"needs {len(self.start)} of {root.shape}"
            )
        changes = [s @ root.T for s in slopes]
        return np.array([c + c.T for c in changes])
