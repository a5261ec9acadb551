"""The lasso of a working set, solved by scikit-learn."""

import warnings

import numpy as np

CYCLES = 2000
"""Largest number of cycles through the columns."""

GAP = 1e-9
"""Duality gap at which the lasso stops; the signs are then settled exactly."""


def lasso(root, target, pulls, start):
    """
    Minimize |target - root x|^2 / 2 + sum of pulls times |x|.

    Parameters
    ----------
    root : ndarray
        Shape (m, a).
    target : ndarray
        Shape (m,).
    pulls : ndarray
        Positive weights of the absolute values, shape (a,).
    start : ndarray
        x close to the minimum, shape (a,).

    Returns
    -------
    ndarray
        Shape (a,).

    Raises
    ------
    ImportError
        Without scikit-learn.
    """
    path, warning = _solver()
    if not root.size:
        return np.zeros(len(pulls))
    unit = pulls.max()
    weights = pulls / unit
    with warnings.catch_warnings():
        # what is left undone shows in the conditions of the minimum
        warnings.simplefilter("ignore", warning)
        _, x, _ = path(
            np.asfortranarray(root / weights),
            target,
            alphas=[unit / len(target)],
            coef_init=start * weights,
            tol=GAP,
            max_iter=CYCLES,
        )
    return x[:, 0] / weights


def _solver():
    """scikit-learn's path of lassos, and its warning."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import lasso_path
    except ImportError:
        raise ImportError(
            "penalized fits need scikit-learn: pip install "
            "'statsmodels-lmm[regularized]'"
        ) from None
    return lasso_path, ConvergenceWarning
