"""Cross-validation over groups or rows, and halves of groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.parallel import run
from statsmodels_lmm.inference.requirements import check_choice
from statsmodels_lmm.inference.row_groups import row_groups
from statsmodels_lmm.regularized.parts import on_rows
from statsmodels_lmm.regularized.path import fit_path

AIMS = (
    'cv="groups" leaves out whole groups, for predictions of new groups; cv="rows" '
    "leaves out rows, for predictions of known groups: say which you mean"
)


def groups_of_rows(model, groups):
    """
    The groups that stay together.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    groups : str, array_like or None
        A grouping factor, or the group of each row; None for the only factor.

    Returns
    -------
    codes : ndarray
        Group of each row, shape (n,).
    count : int
        Number of groups.
    """
    if groups is None:
        names = [e.name for e in model.random if e.has_groups]
        if not names and model.residual is not None:
            return model.residual.codes, int(model.residual.codes.max()) + 1
        if len(names) != 1:
            raise ValueError(
                f"the model has {len(names)} grouping factors"
                + (f" ({', '.join(names)})" if names else "")
                + "; name the one whose groups stay together, groups='...'"
            )
        groups = names[0]
    codes, _ = row_groups(model, groups, "groups")
    _, codes = np.unique(codes, return_inverse=True)
    return codes, int(codes.max()) + 1


@dataclass(frozen=True)
class _Fold:
    """
    Squared errors at each penalty for the rows of a fold, and their weight.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    alphas : ndarray
        Penalties, descending.
    fold : ndarray
        The fold of each row, shape (n,).
    refit : bool
        Whether the chosen columns are fitted without a penalty.
    """

    penalized: Any
    alphas: np.ndarray
    fold: np.ndarray
    refit: bool

    def __call__(self, folds):
        """Mean squared errors, shape (m,), and the weight of a list of one fold."""
        (k,), model = folds, self.penalized.model
        part = self.penalized.on(on_rows(model, np.flatnonzero(self.fold != k)))
        path = fit_path(part, self.alphas)
        test = on_rows(model, np.flatnonzero(self.fold == k))
        weights = np.ones(len(test.endog)) if test.weights is None else test.weights
        errors = np.full(len(self.alphas), np.nan)
        each = [e for e, _ in path._refits] if self.refit else None
        for i, estimate in enumerate(each or [p.estimate for p in path.points]):
            if estimate is not None:
                away = test.endog - part.mean(estimate, test)
                errors[i] = (weights @ away**2) / weights.sum()
        return errors, weights.sum()


def cross_validate(
    penalized, alphas, cv, groups, n_folds, refit, rng, n_jobs=None, progress=None
):
    """
    Squared errors of predictions for rows that were left out.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    alphas : ndarray
        Penalties, descending.
    cv : {"groups", "rows"}
        What is left out.
    groups : str, array_like or None
        See `groups_of_rows`.
    n_folds : int
        Number of folds.
    refit : bool
        Whether the chosen columns are fitted without a penalty.
    rng : numpy.random.Generator
        Draws the folds.
    n_jobs, progress : optional
        See `CrossedMixedLM.fit_regularized`.

    Returns
    -------
    DataFrame
        By alpha: the mean squared error, weighted as the rows are, and its standard
        error over the folds; NaN at penalties that some fold does not reach.
    """
    if cv is None:
        raise ValueError(AIMS)
    check_choice("cv", cv, ("groups", "rows"))
    model = penalized.model
    if cv == "groups":
        codes, count = groups_of_rows(model, groups)
    else:
        codes, count = np.arange(len(model.endog)), len(model.endog)
    if not 2 <= n_folds <= count:
        raise ValueError(f"n_folds must be between 2 and {count}, not {n_folds!r}")
    fold = rng.permutation(np.arange(count) % n_folds)[codes]
    task = _Fold(penalized, alphas, fold, refit)
    pieces = [[k] for k in range(n_folds)]
    done, interrupted = run(task, pieces, n_jobs, progress, "if it pays")
    if interrupted:
        raise KeyboardInterrupt
    errors, sizes = map(np.array, zip(*done))
    mean = (sizes @ errors) / sizes.sum()
    spread = errors.std(axis=0, ddof=1) / np.sqrt(n_folds)
    if not np.isfinite(mean).any():
        raise DataError("no penalty could be fitted in every fold; use larger ones")
    index = pd.Index(alphas, name="alpha")
    return pd.DataFrame({"mse": mean, "se": spread}, index=index)


def halves(codes, count, rng):
    """
    Rows of two complementary halves of the groups.

    Parameters
    ----------
    codes : ndarray
        Group of each row, shape (n,).
    count : int
        Number of groups.
    rng : numpy.random.Generator
        Draws the halves.

    Returns
    -------
    list of ndarray
        Positions of the rows of each half.
    """
    if count < 4:
        raise DataError(f"halves of {count} groups are too few to fit a model")
    first = np.zeros(count, dtype=bool)
    first[rng.permutation(count)[: count // 2]] = True
    return [np.flatnonzero(first[codes]), np.flatnonzero(~first[codes])]
