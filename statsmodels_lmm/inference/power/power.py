"""Power of tests by simulation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.fixed.degrees_of_freedom import (
    KENWARD_ROGER,
    SMALL_SAMPLE,
    df_method_of,
)
from statsmodels_lmm.inference.parallel import quiet
from statsmodels_lmm.inference.power.planned_values import Plan, at_plan
from statsmodels_lmm.inference.power.power_curve import PowerCurve
from statsmodels_lmm.inference.power.power_tests import likelihood_ratio_task, wald_task
from statsmodels_lmm.inference.power.study_size import own_size, sizes
from statsmodels_lmm.inference.power.tested_effects import hypothesis
from statsmodels_lmm.inference.replicates.bootstrap import run_replicates
from statsmodels_lmm.inference.replicates.simulation import check_count
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_alpha,
    check_choice,
    require_data,
    require_gaussian,
    require_independent_errors,
)
from statsmodels_lmm.keywords import refuse_r_names

TESTS = ("wald", "lrt")

NAMES = {
    "asymptotic": "Wald test",
    "residual": "Wald test with residual degrees of freedom",
    "satterthwaite": "Wald test by Satterthwaite's method",
    "kenward-roger": "Wald test by Kenward and Roger's method",
    "lrt": "Likelihood-ratio test",
}


@refuse_r_names("seed", fixef="give planned parameters as values={'x': 0.5}")
def power_curve(
    results: Any,
    effect: str,
    n: Iterable[int],
    along: str | None = None,
    within: str | None = None,
    *,
    values: Mapping[str, float] | None = None,
    test: str | None = None,
    df_method: str | None = None,
    nsim: int = 1000,
    alpha: float = 0.05,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> PowerCurve:
    """
    Estimate the power of a test in studies of several sizes.

    The model is drawn from at planned parameters, and refitted to each response.

    Parameters
    ----------
    results : MixedResults
        A fit to pilot data, or `statsmodels_lmm.planned` of a design.
    effect : str
        What is tested to be absent: a coefficient, ``"x"``; a term of the fixed
        effects, with all its coefficients; a contrast as for `t_test`, ``"a - b = 0"``;
        random effects, as a factor or term, ``"(x | g)"``; or one of several effects of
        a factor, ``"var(x | g)"``, with its correlations.
    n : sequence of int
        The sizes.
    along : str, optional
        What there are n levels or values of. A grouping factor: its levels, with all
        their rows, are repeated in turn as new levels, and so are those nested in it; a
        smaller study has the first n. Arms of a study, which differ in fixed effects
        that are constant within levels, keep their proportions. Or a numeric column,
        whose equally spaced values continue. Default is the only grouping factor.
    within : str, optional
        Instead of `along`, columns or grouping factors joined by "+": n rows in each
        combination of their values, whose rows are repeated in turn.
    values : dict, optional
        Planned parameters that replace the estimates, by the names that `derive` takes:
        ``{"x": 0.5, "var(g)": 2.0}``, see `statsmodels_lmm.planned`.
    test : {"wald", "lrt"}, optional
        A Wald test of fixed effects, which is a z or t test of one coefficient, or the
        likelihood-ratio test against the model without the effect. Default is a Wald
        test of fixed effects and a likelihood-ratio test of random effects.
    df_method : str, optional
        Degrees of freedom of a Wald test, see `with_df_method`. Default is that of the
        fit, which is the normal distribution unless another was asked for.
    nsim : int, optional
        Number of studies drawn for each size.
    alpha : float, optional
        Level of the test.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness. The same source gives the same studies, whatever the
        number of workers.
    n_jobs, progress : optional
        As for `bootstrap`.

    Returns
    -------
    PowerCurve
        The power of each size with intervals; after an interrupt, of what was done.

    Raises
    ------
    ValueError
        If an effect, parameter, column or other name is unknown.
    DataError
        If a size cannot be made of the design, or leaves the effect undetermined.
    NotImplementedError
        If the errors of the model are correlated or of unequal variance.

    Notes
    -----
    A study that cannot be fitted, or in which a generalized model is separated so that
    its Wald test is undefined, does not reject; such studies are counted in the table.

    Fixed effects are compared by maximum likelihood. The likelihood-ratio test of
    variances uses the mixture of chi-squared distributions on the boundary (Self and
    Liang 1987), and REML if the fit does.

    Estimates of a pilot study are uncertain, and those that were significant are likely
    to be too large. Plan with the smallest effect of interest instead.

    References
    ----------
    Green, P. and MacLeod, C. J. (2016). SIMR: an R package for power analysis of
    generalized linear mixed models by simulation. Methods in Ecology and Evolution 7,
    493-498.
    Self, S. G. and Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood
    estimators and likelihood ratio tests under nonstandard conditions. Journal of the
    American Statistical Association 82, 605-610.
    """
    results = as_fit(results)
    _check_model(results.model)
    counts = _checked_sizes(n)
    designs, what = sizes(results, counts, along, within)
    study = _Study.of(results, effect, values, test, df_method)
    drawn = nsim, rng, n_jobs, progress
    return _simulated(study, counts, designs, what, alpha, drawn)


@refuse_r_names("seed", fixef="give planned parameters as values={'x': 0.5}")
def power(
    results: Any,
    effect: str,
    *,
    values: Mapping[str, float] | None = None,
    test: str | None = None,
    df_method: str | None = None,
    nsim: int = 1000,
    alpha: float = 0.05,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> PowerCurve:
    """
    Estimate the power of a test in a study with the design of the fit.

    Parameters
    ----------
    results, effect, values, test, df_method, nsim, alpha, rng, n_jobs, progress
        As for `power_curve`.

    Returns
    -------
    PowerCurve
        With a single size, the number of rows.
    """
    results = as_fit(results)
    _check_model(results.model)
    design = own_size(results)
    study = _Study.of(results, effect, values, test, df_method)
    drawn = nsim, rng, n_jobs, progress
    return _simulated(study, [len(design.rows)], [design], "rows", alpha, drawn)


@dataclass(frozen=True)
class _Study:
    """
    What is tested, and how, in studies of all sizes.

    Parameters
    ----------
    results : MixedResults
        The fit.
    hypothesis : FixedHypothesis or RandomHypothesis
        What is tested.
    plan : Plan
        The planned parameters.
    test : {"wald", "lrt"}
        The test.
    df_method : str
        Degrees of freedom of a Wald test.
    options : dict
        Arguments of ``fit``.
    """

    results: Any
    hypothesis: Any
    plan: Plan
    test: str
    df_method: str
    options: dict

    @classmethod
    def of(cls, results, effect, values, test, df_method):
        """Check what the user asked for."""
        if results._robust is not None:
            raise DataError(
                "the power is that of a test with the covariance of the model, not a "
                "cluster-robust one: fit with the default cov_type"
            )
        tested = hypothesis(results, effect)
        test = test or ("lrt" if tested.is_random else "wald")
        check_choice("test", test, TESTS)
        if tested.is_random and test == "wald":
            raise ValueError("a variance has no Wald test; use test='lrt'")
        method = df_method_of(df_method) or results.df_method
        if df_method is not None and test == "lrt":
            raise ValueError("df_method is for a Wald test; leave it out")
        if method in SMALL_SAMPLE and test == "wald":
            require_gaussian(results, f"df_method={method!r}", "test='lrt'")
        if method in KENWARD_ROGER and test == "wald" and not results.reml:
            raise DataError(
                "Kenward and Roger's method is defined only for REML: refit with "
                "reml=True"
            )
        options = dict(results._fit_options)
        for name in ("df_method", "cov_kwds"):
            options.pop(name, None)
        if results._is_gaussian and test == "lrt" and not tested.is_random:
            options["reml"] = False
        plan = Plan.of(results)
        plan.set(results.model, values)
        return cls(results, tested, plan, test, method, options)

    @property
    def test_name(self):
        """The test in words."""
        return NAMES[self.df_method.partition("(")[0] if self.test == "wald" else "lrt"]

    @property
    def planned_size(self):
        """The planned effect in words."""
        if self.hypothesis.is_random:
            return ""
        sizes = self.hypothesis.sizes(self.plan.fixed)
        return ", ".join(f"{size:.4g}" for size in sizes)

    def task(self, size):
        """The task for one size."""
        model = size.model(self.results)
        with quiet:
            planned = at_plan(model, self.plan, self.options)
        self._check_determined(planned)
        if self.test == "wald":
            return wald_task(planned, self.hypothesis, self.df_method)
        more = size, self.results, self.options
        return likelihood_ratio_task(planned, self.hypothesis, *more)

    def _check_determined(self, planned):
        """Reject a size that leaves nothing of the effect."""
        if self.hypothesis.is_random:
            return
        if not planned._estimability.determined(self.hypothesis.contrasts).all():
            raise DataError(
                f"{len(planned.model.endog)} rows do not determine "
                f"{self.hypothesis.name}, because {', '.join(planned.dropped)} depends "
                "linearly on other columns; use a larger n"
            )


def _check_model(model):
    """Reject a model of which no other designs can be drawn."""
    require_data(model, "power")
    require_independent_errors(
        model,
        "power",
        "draw responses with `result.simulate(1000)` and fit each with `result.refit`",
    )


def _checked_sizes(n):
    """The sizes, ascending, without repetition."""
    if np.ndim(n) == 0:
        n = [n]
    for each in n:
        check_count("n", each)
        if each < 2:
            raise ValueError(f"n must be at least 2, not {each}")
    found = sorted({int(each) for each in n})
    if not found:
        raise ValueError("n has no size; give for instance n=[10, 20, 40]")
    return found


def _simulated(study, counts, designs, what, alpha, drawn):
    """The curve from studies of every size."""
    nsim, rng, n_jobs, progress = drawn
    check_count("nsim", nsim)
    check_alpha(alpha)
    rng = np.random.default_rng(rng)
    tasks = [study.task(design) for design in designs]
    pvalues: dict = {}
    separated: dict = {}
    interrupted = False
    for count, task in zip(counts, tasks):
        try:
            done = run_replicates(task, nsim, rng, n_jobs, progress)
        except KeyboardInterrupt:
            if not pvalues:
                raise
            warn(f"interrupted before any study with {count} {what}", DataWarning)
            interrupted = True
            break
        batches, interrupted = done
        pvalues[count] = np.concatenate([p for p, _ in batches])
        separated[count] = int(np.concatenate([s for _, s in batches]).sum())
        if interrupted:
            break
    rows = {c: len(d.rows) for c, d in zip(counts, designs) if c in pvalues}
    return PowerCurve(
        study.hypothesis.name,
        study.planned_size,
        study.test_name,
        what,
        float(alpha),
        nsim,
        pd.Series(rows, name="rows"),
        pvalues,
        pd.Series(separated, name="separated"),
        interrupted,
    )
