"""The bootstrap of mixed models."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.resampling.replicates import Replicates, ReplicateTask
from statsmodels_lmm.display import Brief, captioned
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.derived.functions import evaluated, functions_of
from statsmodels_lmm.inference.parallel import quiet, run
from statsmodels_lmm.inference.replicates.bootstrap_intervals import (
    INTERVALS,
    interval,
    tell_of_few,
)
from statsmodels_lmm.inference.replicates.refitted_parameters import (
    design_of,
    estimate_tables,
    replicate_tables,
    variances_of,
)
from statsmodels_lmm.inference.replicates.simulation import (
    SIMULATIONS,
    check_count,
    drawn_response,
    generators,
    refit_like,
    seeds,
)
from statsmodels_lmm.inference.requirements import as_fit, check_alpha
from statsmodels_lmm.keywords import refuse_r_names, renamed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATISTICS = 10
"""Largest number of replicates in a piece of work that calls a statistic."""


@dataclass(frozen=True, repr=False)
class BootstrapResults(Brief):
    """
    Estimates of all parameters in bootstrap replicates.

    Parameters
    ----------
    estimates : Series
        Estimates from the data, by parameter.
    errors : Series
        Standard errors of the estimates, NaN where undefined.
    draws : DataFrame
        One row per replicate that could be fitted, labeled by its number, and one
        column per parameter: the fixed effects by name, their standard errors
        ("se x"), standard deviations ("g: sd x") and correlations ("g: cor x, z")
        of the random effects, "sigma", for a generalized model the root of its
        dispersion or "alpha" if it has one, and the relative covariance parameters
        ("theta g.x").
    draw_errors : DataFrame
        Standard errors of the draws in each replicate, NaN where the delta method
        does not apply: for a standard deviation that counts as zero, and for the
        relative covariance parameters of a singular covariance matrix.
    statistics : DataFrame or None
        Values of the user's statistic, one row per replicate.
    kind : {"parametric", "conditional", "semiparametric"}
        Method of drawing the responses.
    nsim : int
        Number of replicates requested.
    n_failed : int
        Number of replicates that could not be fitted or whose statistic failed.
    n_boundary : int
        Number of replicates with a singular covariance matrix or an alpha of 0, which
        are valid estimates.
    n_uncertified : int
        Number of replicates not proved to be optima; they are among the draws.
    interrupted : bool
        Whether the user stopped the work before `nsim` replicates.
    failures : tuple of str
        Messages of the errors raised by the statistic, each once.
    ranges : tuple
        Smallest and largest value of each parameter.
    separated : tuple of int
        Numbers of the replicates of a generalized model in which a fixed effect or a
        variance has no finite estimate. They are left out of the draws and of all that
        is computed from them.
    own_statistics : Series or None
        The statistic of the fit itself, NaN where it failed.
    """

    estimates: pd.Series
    errors: pd.Series
    draws: pd.DataFrame
    draw_errors: pd.DataFrame
    statistics: pd.DataFrame | None
    kind: str
    nsim: int
    n_failed: int
    n_boundary: int
    n_uncertified: int
    interrupted: bool
    failures: tuple = ()
    ranges: tuple = ()
    separated: tuple = ()
    own_statistics: pd.Series | None = field(default=None, repr=False)

    @property
    def n_separated(self) -> int:
        """Number of replicates without finite estimates, see `separated`."""
        return len(self.separated)

    @property
    def all_draws(self) -> pd.DataFrame:
        """The draws and the statistics, whose columns are the rows of every table."""
        if self.statistics is None:
            return self.draws
        labels = list(map(_statistic_label, self.statistics.columns))
        return pd.concat([self.draws, self.statistics.set_axis(labels, axis=1)], axis=1)

    @property
    def kinds(self) -> pd.Series:
        """Kind of each column of `all_draws`: fixed, random, statistic or other."""
        bounded = [ends != (-np.inf, np.inf) for ends in self.ranges]
        # the fixed effects, which are unbounded, come first, and then their errors
        p = bounded.index(True) if any(bounded) else len(bounded)
        kinds = ["fixed"] * p + ["other"] * p
        rest = self.estimates.index[2 * p :]
        kinds += ["other" if n.startswith("theta ") else "random" for n in rest]
        return kinds + ["statistic"] * (self.all_draws.shape[1] - len(kinds))

    def conf_int(
        self, method: str = "percentile", alpha: float = 0.05, every: bool = False
    ) -> pd.DataFrame:
        """
        Compute confidence intervals for all parameters and statistics.

        Parameters
        ----------
        method : str, optional
            "wald", from the standard errors without the bootstrap; "basic",
            "normal", "studentized", which uses the standard error of each replicate,
            or "percentile", see `bootstrap_intervals`; or "all" for all five.
        alpha : float, optional
            One minus the level.
        every : bool, optional
            Whether to list the standard errors of the fixed effects and the relative
            covariance parameters, too.

        Returns
        -------
        DataFrame
            One row per parameter, with columns lower and upper; for "all" the
            columns are also labeled by method. Limits outside the range of a
            parameter are moved to its end: 0 for a standard deviation, -1 or 1 for a
            correlation. Intervals for a correlation leave out replicates in which it
            is undefined because a standard deviation is zero. NaN where a method does
            not apply, for instance where it needs the standard error of a standard
            deviation of zero, or of a statistic.

        Warns
        -----
        DataWarning
            If there are too few replicates for the quantiles at the limits.
        """
        check_alpha(alpha)
        if method not in (*INTERVALS, "all"):
            raise ValueError(
                f"method must be one of {', '.join(INTERVALS)} or all, not {method!r}"
            )
        if method not in ("wald", "normal"):
            tell_of_few(len(self.draws), alpha)
        if method == "all":
            tables = {m: self._intervals(m, alpha, every) for m in INTERVALS}
            return pd.concat(tables, axis=1, names=["method", "end"])
        return self._intervals(method, alpha, every)

    def _shown(self, every):
        """Which columns of `all_draws` a table shows."""
        return np.array([every or kind != "other" for kind in self.kinds])

    def _intervals(self, method, alpha, every):
        """Limits of the rows shown."""
        draws, count = self.all_draws, self.draws.shape[1]
        estimates, rows = self._estimates, []
        for i in np.flatnonzero(self._shown(every)):
            known = i < count
            nothing = np.full(len(draws), np.nan)
            ends = interval(
                method,
                estimates.iloc[i],
                self.errors.iloc[i] if known else np.nan,
                draws.iloc[:, i].to_numpy(dtype=float),
                self.draw_errors.iloc[:, i].to_numpy() if known else nothing,
                alpha,
            )
            rows.append(np.clip(ends, *self.ranges[i]) if known else ends)
        index = pd.Index(draws.columns[self._shown(every)], name="parameter")
        return pd.DataFrame(rows, index, ["lower", "upper"], dtype=float)

    @property
    def _estimates(self):
        """The estimates and the statistics of the fit, in the order of `all_draws`."""
        if self.statistics is None:
            return self.estimates
        own = self.own_statistics
        if own is None:  # an old pickle
            own = pd.Series(np.nan, self.statistics.columns)
        return pd.concat([self.estimates, own.reindex(self.statistics.columns)])

    def summary(
        self, method: str = "percentile", alpha: float = 0.05, every: bool = False
    ) -> pd.DataFrame:
        """
        Summarize estimates, bias, standard errors and intervals.

        Parameters
        ----------
        method : str, optional
            Kind of intervals, any of `conf_int` except "all".
        alpha : float, optional
            One minus the level.
        every : bool, optional
            As for `conf_int`.

        Returns
        -------
        DataFrame
            One row per parameter and statistic, with columns estimate; bias, the mean
            of the replicates minus the estimate; std err, their standard deviation;
            lower and upper. ``attrs`` has the numbers of replicates and failures.
        """
        if method not in INTERVALS:
            raise ValueError(
                f"method must be one of {', '.join(INTERVALS)}, not {method!r}"
            )
        draws, shown = self.all_draws.astype(float), self._shown(every)
        estimates = self._estimates.to_numpy(dtype=float)
        columns = {
            "estimate": estimates,
            "bias": draws.mean().to_numpy() - estimates,
            "std err": draws.std(ddof=1).to_numpy(),
        }
        table = pd.DataFrame(columns, pd.Index(draws.columns, name="parameter"))[shown]
        ends = self.conf_int(method, alpha, every)
        table[["lower", "upper"]] = ends.to_numpy()
        counts = "n_failed", "n_separated", "n_boundary", "n_uncertified"
        table.attrs = {n: getattr(self, n) for n in ("kind", "nsim", *counts)}
        return table

    def plot(
        self,
        which: Any = None,
        method: str = "percentile",
        level: float = 0.95,
        ax: Any = None,
    ) -> "Figure":
        """
        Plot the replicates of each parameter; see `graphics.plot_bootstrap`.

        Parameters
        ----------
        which, method, level, ax : optional
            As for `graphics.plot_bootstrap`.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.profiles import plot_bootstrap

        return plot_bootstrap(self, which, method, level, ax)

    def __str__(self):
        """Counts, and the table with percentile intervals."""
        table = self.summary().to_string(float_format="{:.4f}".format)
        return "\n".join([*self._brief(), table])

    def _brief(self):
        count = len(self.draws)
        separated = f"{self.n_separated} separated and left out, "
        return [
            f"{self.kind.capitalize()} bootstrap, {count} replicates"
            + (f" of {self.nsim}, interrupted" if self.interrupted else ""),
            f"{self.n_failed} failed, {separated if self.separated else ''}"
            f"{self.n_boundary} on the boundary, "
            f"{self.n_uncertified} not certified",
        ]

    def _repr_html_(self):
        return captioned(self._brief(), self.summary().to_html())


@refuse_r_names("FUN", "seed")
@renamed(type="kind")
def bootstrap(
    results: Any,
    nsim: int = 1000,
    rng: Any = None,
    statistic: Any = None,
    kind: str = "parametric",
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> BootstrapResults:
    """
    Draw responses from the fit and refit the model to each.

    Parameters
    ----------
    results : MixedResults
        A fit.
    nsim : int, optional
        Number of replicates.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness. The same source gives exactly the same draws, whatever
        the number and kind of workers.
    statistic : str, list, dict or callable, optional
        Functions of the parameters as for `derive`, in text or in a list or dict, which
        cost nothing more; or a function that is called with the results of each
        replicate, which must be fitted for this one by one, and returns a number, an
        array, a Series or a dict of numbers.
    kind : {"parametric", "conditional", "semiparametric"}, optional
        Draw random effects from their normal distribution, and then residuals, or the
        response of a generalized model from its family; keep the conditional modes and
        draw only the latter (lme4's ``use.u = TRUE``); or, for a linear model,
        resample modes and residuals of the fit, rescaled to the estimated variances
        (Carpenter, Goldstein and Rasbash 2003).
    n_jobs : int, optional
        Number of workers, as in joblib. Default is as configured by
        ``joblib.parallel_config``: processes, threads, Dask or Ray. If nothing is
        configured, small models are fitted in batches, each a single array
        computation, by a few threads; large and generalized models, and all models if
        there is a `statistic`, are fitted one by one, and by processes on all
        processors as soon as what remains takes longer than their start.
    progress : bool, optional
        Whether to show a progress bar. Default is to show one after two seconds on
        a terminal, if tqdm is installed.

    Returns
    -------
    BootstrapResults
        The results; after an interrupt, those of the replicates completed.

    Raises
    ------
    ValueError
        If an argument has an unknown value.
    TypeError
        If `statistic` is neither callable nor a function of the parameters.
    DataError
        If no replicate could be fitted, or the statistic failed in all of them.

    Notes
    -----
    The search for each replicate is that of a fit. It ends with the step that promises
    to gain less than 1e-7 in the criterion; the error that remains is far smaller, and
    estimates are accurate to about 1e-4 of their standard errors.

    A response of a generalized model may be separated: no finite coefficients fit it
    best. Such replicates are counted as `BootstrapResults.n_separated` and left out, so
    that what remains describes the estimates given that they are finite.

    References
    ----------
    Carpenter, J. R., Goldstein, H. and Rasbash, J. (2003). A novel bootstrap
    procedure for assessing the relationship between class size and achievement.
    Applied Statistics 52, 431-443.
    Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their
    Application. Cambridge University Press.
    """
    results = as_fit(results)
    check_count("nsim", nsim)
    if kind not in SIMULATIONS:
        raise ValueError(f"kind must be one of {', '.join(SIMULATIONS)}, not {kind!r}")
    functions = []
    if not (statistic is None or callable(statistic)):
        functions, statistic = functions_of(statistic), None
    replicates = Replicates(drawn_response(results, kind), (design_of(results),))
    task = _Task(replicates)
    if statistic is not None:
        task = _Task(replicates, results, statistic, results.model._design)
    batches, interrupted = run_replicates(task, nsim, rng, n_jobs, progress)
    parts = [fits for fits, _ in batches]
    fits = type(parts[0]).join(parts)
    values = [value for _, part in batches for value in part]
    boot = _assemble(results, fits, values, statistic, kind, nsim, interrupted)
    if not functions:
        return boot
    own = evaluated(functions, results, boot.estimates.to_frame().T)
    drawn = evaluated(functions, results, boot.draws)
    return replace(boot, statistics=drawn, own_statistics=own.iloc[0])


def run_replicates(task, nsim, rng, n_jobs, progress):
    """
    Call a task on the seeds of all replicates.

    Parameters
    ----------
    task : callable
        Called with seeds; has attributes ``size``, the number of replicates to handle
        at once, and ``in_batches``, whether that is a single array computation.
    nsim : int
        Number of replicates.
    rng : None, int or numpy.random.Generator
        Source of randomness.
    n_jobs : int or None
        Number of workers.
    progress : bool or None
        Whether to show a progress bar.

    Returns
    -------
    batches : list
        Results of the task for each piece of work.
    interrupted : bool
        Whether the user interrupted the work.
    """
    every, size = seeds(rng, nsim), task.size
    pieces = [every[start : start + size] for start in range(0, nsim, size)]
    # a batch spends its time in NumPy, which releases the interpreter to other threads
    parallel = len(pieces) > 1 and "threads" if task.in_batches else "if it pays"
    batches, interrupted = run(task, pieces, n_jobs, progress, parallel)
    if interrupted:
        done = sum(map(len, pieces[: len(batches)]))
        warn(f"interrupted after {done} of {nsim} replicates", DataWarning)
    return batches, interrupted


@dataclass(frozen=True)
class _Task(ReplicateTask):
    """Task that fits replicates and calls the statistic with each."""

    results: Any = None
    statistic: Any = None
    shared: Any = None

    @property
    def in_batches(self):
        """Whether the replicates are fitted by array computations and need no other."""
        return self.statistic is None and super().in_batches

    @property
    def size(self):
        """Number of replicates to handle at once, fewer if each needs its own fit."""
        size = super().size
        return size if self.statistic is None else min(size, STATISTICS)

    def __call__(self, sequences):
        """Fits, and values of the statistic or the errors it raised."""
        responses, fits = self.replicates.fit(generators(sequences))
        if self.statistic is None:
            return fits, []
        self.results.model._design = self.shared  # lost in another process
        left_out = self.replicates.response.left_out
        return fits, [self._evaluate(y + left_out) for y in responses]

    def _evaluate(self, response):
        results = self.results
        with quiet:
            try:
                model = results.model._with_endog(response)
                return self.statistic(refit_like(results, model))
            except Exception as error:
                return error


def _assemble(results, fits, values, statistic, kind, nsim, interrupted):
    """The results from all fits."""
    fitted = np.isfinite(fits.value)
    works = fitted.copy()
    for i, value in enumerate(values):
        works[i] &= not isinstance(value, Exception)
    failed, separated = ~works, works & fits.separated
    errors = [v for v in values if isinstance(v, Exception)]
    failures = tuple(dict.fromkeys(f"{e.__class__.__name__}: {e}" for e in errors))
    if not works.any():
        if not fitted.any():
            raise DataError(f"none of {len(works)} replicates could be fitted")
        raise DataError(
            f"the statistic failed in all of {len(works)} replicates: {failures[0]}"
        )
    works &= ~separated
    if not works.any():
        raise DataError(
            f"{separated.sum()} of {len(works)} replicates are separated: none has "
            "finite estimates of all fixed effects"
        )
    numbers = np.flatnonzero(works)
    fits = fits.take(numbers)
    parameters = variances_of(results, fits)
    at_end = parameters.singular.any(axis=-1)
    if not results._is_gaussian:
        at_end |= fits.extra == 0.0  # an alpha; the logarithm of a dispersion is not
    draws, draw_errors = replicate_tables(results, fits, parameters, numbers)
    estimates, own_errors, ranges = estimate_tables(results)
    statistics = own = None
    if statistic is not None:
        rows = [_as_row(values[i]) for i in numbers]
        statistics = pd.DataFrame(rows, index=draws.index)
        own = _own_statistics(statistic, results, statistics.columns)
    return BootstrapResults(
        estimates,
        own_errors,
        draws,
        draw_errors,
        statistics,
        kind,
        nsim,
        int(failed.sum()),
        int(at_end.sum()),
        int((~fits.certified).sum()),
        interrupted,
        failures,
        ranges,
        tuple(np.flatnonzero(separated).tolist()),
        own,
    )


def _own_statistics(statistic, results, names):
    """The statistic of the fit itself, NaN if it fails."""
    _, wrapper = results.model._results_classes
    with quiet:
        try:
            own = _as_row(statistic(wrapper(results)))
        except Exception:
            own = {}
    return pd.Series(own, dtype=float).reindex(names)


def _statistic_label(name):
    """Name of a statistic in tables, also of one that is a position."""
    return f"statistic {name}" if isinstance(name, int | np.integer) else name


def _as_row(value):
    """A value of the statistic as a row."""
    if isinstance(value, pd.Series):
        return value.to_dict()
    if isinstance(value, dict):
        return value
    return dict(enumerate(np.ravel(value)))
