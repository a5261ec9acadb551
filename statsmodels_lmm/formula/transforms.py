"""Transforms that lme4's users write and patsy does not know."""

import numpy as np
import patsy

from statsmodels_lmm.formula.splines import CHECKED


class Poly:
    """
    Orthogonal polynomials as R's ``poly``, remembered for prediction.

    The columns are found by the three-term recurrence of Kennedy and Gentle
    (1980, pp. 343-344) and have norm 1 over the data.
    """

    def __init__(self):
        self._chunks = []
        self._degree = 0

    def memorize_chunk(self, x, degree=1):
        """Collect some rows."""
        self._chunks.append(np.asarray(x, dtype=float))
        self._degree = degree

    def memorize_finish(self):
        """Find the coefficients of the recurrence."""
        x = np.concatenate(self._chunks)
        del self._chunks
        self._centers, self._norms = [], [float(len(x))]
        before, column = np.zeros_like(x), np.ones_like(x)
        for _ in range(self._degree):
            self._centers.append((x * column**2).sum() / (column**2).sum())
            following = (x - self._centers[-1]) * column
            if len(self._norms) > 1:
                following -= self._norms[-1] / self._norms[-2] * before
            before, column = column, following
            self._norms.append((column**2).sum())

    def transform(self, x, degree=1):
        """Evaluate the polynomials of degree 1, ..., `degree`."""
        x = np.asarray(x, dtype=float)
        before, column = np.zeros_like(x), np.ones_like(x)
        columns = []
        for i, center in enumerate(self._centers):
            following = (x - center) * column
            if i:
                following -= self._norms[i] / self._norms[i - 1] * before
            before, column = column, following
            columns.append(column / np.sqrt(self._norms[i + 1]))
        return np.column_stack(columns)


FUNCTIONS = {
    name: getattr(np, name) for name in ("exp", "log", "log10", "log1p", "log2", "sqrt")
}


def default_scope(engine):
    """
    Names that every formula knows; those of the caller come first.

    Parameters
    ----------
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    dict
    """
    extra = {"poly": patsy.stateful_transform(Poly)} if engine == "patsy" else {}
    return {**FUNCTIONS, **extra, "bs": CHECKED[engine], "np": np, "pi": np.pi}
