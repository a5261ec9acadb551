"""Fits of a penalized model: at a given penalty, or at one that is chosen."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import check_choice
from statsmodels_lmm.regularized.folds import cross_validate, groups_of_rows, halves
from statsmodels_lmm.regularized.parts import on_rows
from statsmodels_lmm.regularized.path import fit_path, grid
from statsmodels_lmm.regularized.problem import PenalizedModel
from statsmodels_lmm.regularized.selected import Selection, fit_chosen, results_at
from statsmodels_lmm.regularized.stability import stability
from statsmodels_lmm.regularized.universal import universal

RULES = ("ebic", "bic", "aic", "universal", "cv", "stability")

STEPS = 10
"""Number of penalties on the way to one that is given."""

BELOW = (0.93, 0.86, 0.7)
"""Shares of a penalty from which lower minima are searched upwards."""

NAMED = "alpha is a number, one for each column, or one of {}, not {!r}"

LAMBDA = "the penalty is alpha=, lambda / n: `alpha=lambda_ / len(data)`"

OTHER_WORDS = {
    "lambda_": LAMBDA,
    "lambd": LAMBDA,
    "lam": LAMBDA,
    "alphas": "several penalties are those of fit_regularized_path(alphas=...)",
    "l1_ratio": "the share of absolute values is L1_wt=",
    "penalty": "the lasso is L1_wt=1, the default, and the elastic net L1_wt=0.5",
    "criterion": 'alpha= names the rule, such as alpha="bic"',
    "random_state": "the source of randomness is rng=",
    "n_splits": "the number of folds is n_folds=",
}
"""Arguments of other packages, and what they are here."""

PATH_WORDS = {
    name: f"is no argument of fit_regularized_path: {advice}"
    for name, advice in OTHER_WORDS.items()
    if name != "alphas"
} | {"alpha": "is for one penalty, that of fit_regularized; here they are alphas="}
"""The same of a path of penalties."""

METHODS = {
    "l1": "the lasso is L1_wt=1, the default",
    "lasso": "the lasso is L1_wt=1, the default",
    "l2": "a ridge is a random effect of all columns",
    "ridge": "a ridge is a random effect of all columns",
    "scad": "adaptive=2 shrinks large coefficients less",
    "mcp": "adaptive=2 shrinks large coefficients less",
}


def check_words(method, others):
    """
    Reject arguments of other packages, with what they are here.

    Parameters
    ----------
    method : str
        The argument `method`.
    others : collection of str
        Names of further arguments.
    """
    for name in others:
        if name in OTHER_WORDS:
            raise TypeError(f"fit_regularized has no {name}=; {OTHER_WORDS[name]}")
    if method != "elastic_net":
        hint = METHODS.get(str(method).lower())
        more = f"; {hint}" if hint else ""
        raise ValueError(f"method must be 'elastic_net', not {method!r}{more}")


def regularized_path(model, options, alphas, n_alphas, eps):
    """The path of a model, see `CrossedMixedLM.fit_regularized_path`."""
    penalized = PenalizedModel.of(model, options)
    if alphas is None:
        return fit_path(penalized, grid(penalized, n_alphas, eps), is_open=True)
    return fit_path(penalized, np.atleast_1d(alphas))


def regularized_fit(
    model,
    options,
    alpha,
    *,
    refit,
    selection,
    cv,
    groups,
    n_folds,
    n_pairs,
    threshold,
    n_columns,
    n_alphas,
    eps,
    rng,
    n_jobs,
    progress,
    fit_kwds,
):
    """A fit at one penalty, see `CrossedMixedLM.fit_regularized`."""
    options, alpha = _checked_alpha(options, alpha)
    check_choice("selection", selection, (None, "split"))
    if cv is not None and alpha != "cv":
        raise ValueError('cv= is for alpha="cv"')
    rng = np.random.default_rng(rng)
    task = _Task(
        cv,
        groups,
        n_folds,
        n_pairs,
        threshold,
        n_columns,
        n_alphas,
        eps,
        rng,
        {"n_jobs": n_jobs, "progress": progress},
    )
    whole = PenalizedModel.of(model, options)
    if selection is None:
        return task.results(whole, alpha, refit, fit_kwds)
    if not refit:
        raise ValueError('selection="split" is a fit of the chosen columns, refit=True')
    codes, count = groups_of_rows(model, groups)
    first, second = halves(codes, count, rng)
    part = whole.on(on_rows(model, first))
    if not isinstance(groups, str) and groups is not None:
        task.groups = codes[first]
    chosen, record = task.choice(part, alpha)
    apart = [len(np.unique(codes[rows])) for rows in (first, second)]
    other = whole.on(on_rows(model, second))
    record = replace(record, apart=tuple(apart))
    return fit_chosen(other, chosen, record, fit_kwds, drop_levels=True)


def _checked_alpha(options, alpha):
    """Options and a single penalty or rule; one for each column becomes weights."""
    if isinstance(alpha, str):
        if alpha not in RULES:
            near = alpha.lower()
            hint = f"; did you mean {near!r}?" if near in RULES else ""
            rules = ", ".join(map(repr, RULES))
            raise ValueError(NAMED.format(rules, alpha) + hint)
    elif np.ndim(alpha) == 1:
        if options.penalty_weights is not None:
            raise ValueError(
                "one alpha for each column already has the weights of the penalty; "
                "leave out penalty_weights="
            )
        return replace(options, penalty_weights=alpha), 1.0
    elif not (isinstance(alpha, int | float | np.number) and 0.0 < alpha < np.inf):
        raise ValueError(
            f"alpha must be positive, not {alpha!r}; a model of all columns without a "
            "penalty is fitted by fit()"
        )
    return options, alpha


@dataclass
class _Task:
    """How a penalty, or columns, are chosen; `work` has n_jobs and progress."""

    cv: Any
    groups: Any
    n_folds: int
    n_pairs: int
    threshold: float
    n_columns: Any
    n_alphas: int
    eps: Any
    rng: Any
    work: dict

    def results(self, penalized, alpha, refit, fit_kwds):
        """The results of a choice on all rows."""
        if alpha == "stability":
            if not refit:
                raise ValueError(
                    'alpha="stability" chooses columns, not a penalty: refit=True'
                )
            chosen, record = self.stable(penalized)
            return fit_chosen(penalized, chosen, record, fit_kwds)
        path, place, table = self.point(penalized, alpha, refit)
        method = alpha if isinstance(alpha, str) else "alpha"
        return results_at(path, place, method, refit, fit_kwds, table)

    def choice(self, penalized, alpha):
        """The chosen columns, and how they were chosen."""
        if alpha == "stability":
            return self.stable(penalized)
        path, place, table = self.point(penalized, alpha, True)
        point = path.points[place]
        record = Selection(
            method=alpha if isinstance(alpha, str) else "alpha",
            chosen=path.names[point.estimate.chosen],
            n_candidates=penalized.n_penalized,
            alpha=point.alpha,
            path=path,
            table=table,
        )
        return point.estimate.chosen, record

    def stable(self, penalized):
        """The columns that stability selection chooses."""
        table = stability(
            penalized,
            self.groups,
            self.n_pairs,
            self.threshold,
            self.n_columns,
            self.rng,
            **self.work,
        )
        often = table["frequency"].to_numpy() >= self.threshold
        chosen = np.sort(table["position"].to_numpy()[often])
        names = penalized.columns.names[chosen]
        record = Selection(
            "stability", names, penalized.n_penalized, np.nan, table=table
        )
        return chosen, record

    def point(self, penalized, alpha, refit):
        """A path, the point chosen on it, and the errors of a cross-validation."""
        table = None
        if not isinstance(alpha, str):
            return *_reached(path_to(penalized, float(alpha)), alpha), table
        alphas = grid(penalized, self.n_alphas, self.eps)
        if alpha == "universal":
            alpha = universal(penalized, alphas)
            path = fit_path(penalized, [*alphas[alphas > alpha], alpha])
            return *_reached(path, alpha), table
        path = fit_path(penalized, alphas, is_open=True)
        if alpha != "cv":
            return path, path._place(alpha), table
        table = cross_validate(
            penalized,
            path.alphas,
            self.cv,
            self.groups,
            self.n_folds,
            refit,
            self.rng,
            **self.work,
        )
        return path, int(np.nanargmin(table["mse"].to_numpy())), table


def _reached(path, alpha):
    """A path and the place of a penalty on it, which it must reach."""
    if path.alphas[-1] > alpha:
        raise DataError(path.notes[0] + f" It does not reach alpha={alpha:.3g}.")
    return path, int(np.flatnonzero(path.alphas == alpha)[0])


def path_to(penalized, alpha):
    """
    A path that leads to one penalty.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    alpha : float
        The penalty.

    Returns
    -------
    RegularizedPath
    """
    largest = penalized.alpha_max
    above = np.geomspace(max(largest, alpha), alpha, STEPS)
    above[-1] = alpha
    below = []
    if penalized.options.is_retraced:
        between = np.geomspace(alpha, min(largest, alpha), STEPS)[1:]
        below = [*between, *(min(alpha, largest) * share for share in BELOW)]
    return fit_path(penalized, [*above, *below])
