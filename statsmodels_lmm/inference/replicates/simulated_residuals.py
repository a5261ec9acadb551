"""Residuals as quantiles of responses simulated from the fit."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse, stats

from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.display import Brief
from statsmodels_lmm.inference.replicates.simulation import (
    check_count,
    drawn_response,
    generators,
    seeds,
    whole_responses,
)
from statsmodels_lmm.inference.requirements import as_fit, check_choice
from statsmodels_lmm.inference.row_groups import row_groups
from statsmodels_lmm.keywords import refuse_r_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIMULATED_RESIDUALS = ("parametric", "conditional")

CHUNK = 2**21
"""Number of values drawn or ranked at a time."""

ROUNDING = 1e-12
"""Difference of distances that is due to rounding."""


class ResidualTest(NamedTuple):
    """
    A test of simulated residuals.

    Parameters
    ----------
    statistic : float
        Statistic, as defined by the test.
    pvalue : float
        Two-sided p-value.
    """

    statistic: float
    pvalue: float


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedResiduals(Brief):
    """
    Residuals on the scale of probabilities; see `simulated_residuals`.

    Parameters
    ----------
    residuals : Series
        Between 0 and 1, uniform if the model is right; one for each of m rows or
        groups.
    observed : ndarray
        Response, or its mean by group, shape (m,).
    predicted : ndarray
        What responses are compared with, shape (m,): the mean at random effects of zero
        for "parametric", the fitted values for "conditional".
    simulated : ndarray
        The simulated responses, shape (m, nsim).
    kind : {"parametric", "conditional"}
        Kind of simulation.
    is_discrete : bool, optional
        Whether the response has ties, as counts and proportions have.
    """

    residuals: pd.Series
    observed: np.ndarray
    predicted: np.ndarray
    simulated: np.ndarray
    kind: str
    is_discrete: bool = False

    @property
    def nsim(self) -> int:
        """Number of simulated responses."""
        return self.simulated.shape[1]

    @cached_property
    def outliers(self) -> pd.Series:
        """Whether all simulated responses are on one side, as a Series."""
        low, high = self.simulated.min(axis=1), self.simulated.max(axis=1)
        outside = (self.observed < low) | (self.observed > high)
        return pd.Series(outside, self.residuals.index, name="outlier")

    def plot(self, ax: Any = None) -> "Figure":
        """
        Plot the residuals; see `graphics.plot_simulated_residuals`.

        Parameters
        ----------
        ax : list of Axes, optional
            Two axes to draw on. Default is a new figure.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.diagnostics import plot_simulated_residuals

        return plot_simulated_residuals(self, ax=ax)

    def uniformity_test(self, method: str = "ks") -> ResidualTest:
        """
        Test whether the residuals are uniform.

        Parameters
        ----------
        method : {"ks", "simulation"}, optional
            Source of the p-value: as in DHARMa, the Kolmogorov-Smirnov distribution,
            which is for independent residuals; or the same statistics of the simulated
            responses, whose residuals are dependent in the same way as those of the
            data.

        Returns
        -------
        ResidualTest
            The Kolmogorov-Smirnov statistic, the largest distance between the
            distribution of the residuals and the uniform one, evaluated for
            "simulation" at the multiples of 1 / (nsim + 1), where it is averaged over
            the random places of ties (Czado, Gneiting and Held 2009).

        Notes
        -----
        After a parametric simulation the residuals of a group share its random effect:
        they tend to be high or low together. The p-value of "ks" is then approximate,
        and too small if most of the variance is between a few groups: with nine tenths
        of it between 18 groups, one in five correct models is rejected at 5%.
        "simulation" is not affected by this but has less power. Neither allows for the
        estimation of the parameters from the same data, which makes both conservative.
        """
        check_choice("method", method, ("ks", "simulation"))
        if method == "ks":
            test = stats.kstest(self.residuals.to_numpy(), "uniform")
            return ResidualTest(float(test.statistic), float(test.pvalue))
        below = self._ranks.counts.cumsum(axis=0) / len(self.residuals)
        steps = np.arange(1, self.nsim + 2) / (self.nsim + 1)
        distances = np.abs(below - steps[:, None]).max(axis=0)
        more = (distances[1:] >= distances[0] - ROUNDING).sum()
        pvalue = (1 + more) / (1 + self.nsim)
        return ResidualTest(float(distances[0]), float(pvalue))

    def zero_inflation_test(self) -> ResidualTest:
        """
        Test whether there are as many zeros as in simulated responses.

        Returns
        -------
        ResidualTest
            The statistic is the number of zeros relative to its mean over the simulated
            responses, and NaN if these have none either. The p-value is twice the
            smaller share of simulated responses with at least as many zeros, or at
            most as many, as in DHARMa.

        Raises
        ------
        ValueError
            If the response is continuous.

        Notes
        -----
        More zeros than expected are no proof of a process that makes zeros alone:
        overdispersion makes them, too. They show more often after a conditional
        simulation: new random effects, of which the variance was estimated from the
        same response, make zeros of their own.
        """
        if not self.is_discrete:
            raise ValueError("a continuous response has no zeros to count")
        count = (self.observed == 0.0).sum()
        simulated = (self.simulated == 0.0).sum(axis=0)
        expected = simulated.mean()
        ratio = float(count / expected) if expected or count else np.nan
        return ResidualTest(ratio, _two_sided(count, simulated))

    def dispersion_test(self) -> ResidualTest:
        """
        Test whether the response is as dispersed as simulated responses.

        Returns
        -------
        ResidualTest
            The statistic is the standard deviation of observed - predicted relative
            to the mean of those of the simulated responses. The p-value is twice the
            smaller share of simulated responses that spread at least as much, or at
            most as much.

        Notes
        -----
        Because the variances were estimated from the same response, the ratio for a
        linear mixed model is near 1 whatever is wrong. After a conditional simulation
        it is below 1 even for a correct model, because the fitted values have absorbed
        part of the noise; the p-value is then not valid.
        """
        spread = np.std(self.observed - self.predicted)
        width = max(1, CHUNK // len(self.predicted))
        simulated = np.concatenate(
            [
                np.std(self.simulated[:, chunk] - self.predicted[:, None], axis=0)
                for chunk in _slices(self.nsim, width)
            ]
        )
        ratio = float(spread / simulated.mean())
        return ResidualTest(ratio, _two_sided(spread, simulated))

    def outlier_test(self, method: str | None = None) -> ResidualTest:
        """
        Test whether the number of responses outside all simulated ones is as expected.

        Parameters
        ----------
        method : {"binomial", "simulation"}, optional
            Source of the p-value: as in DHARMa, a binomial distribution, which is for
            independent residuals; or the number of such rows of each simulated
            response among the others. Default is "simulation" for a discrete response,
            and else "binomial".

        Returns
        -------
        ResidualTest
            The statistic is the share of such rows, expected to be 2 / (nsim + 1) if
            the model is right, and less for a discrete response, whose extremes are
            often ties.
        """
        if method is None:
            method = "simulation" if self.is_discrete else "binomial"
        check_choice("method", method, ("binomial", "simulation"))
        count, total = int(self.outliers.sum()), len(self.outliers)
        if method == "binomial":
            expected = min(2.0 / (self.nsim + 1), 1.0)
            pvalue = stats.binomtest(count, total, expected).pvalue
        else:
            outside = self._ranks.outside
            pvalue = _two_sided(outside[0], outside[1:])
        return ResidualTest(count / total, float(pvalue))

    def _brief(self):
        return [f"{len(self.residuals):,} rows, {self.nsim:,} simulations, {self.kind}"]

    def _repr_html_(self):
        return self.tests().to_html()

    def tests(self) -> pd.DataFrame:
        """
        Tabulate the tests, each with its defaults.

        Returns
        -------
        DataFrame
            Columns statistic and pvalue; rows uniformity, dispersion, outliers and,
            for a discrete response, zero_inflation.
        """
        found = {
            "uniformity": self.uniformity_test(),
            "dispersion": self.dispersion_test(),
            "outliers": self.outlier_test(),
        }
        if self.is_discrete:
            found["zero_inflation"] = self.zero_inflation_test()
        return pd.DataFrame(found, ResidualTest._fields).T

    @cached_property
    def _ranks(self):
        return _ranks(self.observed, self.simulated)


class _Ranks(NamedTuple):
    """
    Ranks of responses among each other, row by row.

    Parameters
    ----------
    counts : ndarray
        Number of rows in which each response has each rank, shape (ranks, responses);
        responses that are equal in a row share their ranks.
    outside : ndarray
        Number of rows in which all other responses are on one side.
    """

    counts: np.ndarray
    outside: np.ndarray


def _ranks(observed, simulated):
    """Ranks of the observed response, which comes first, and the simulated ones."""
    m, size = len(observed), simulated.shape[1] + 1
    # each response counts 1 / t from the first of its t ranks up to the last
    changes, outside = np.zeros((size + 1) * size), np.zeros(size, dtype=int)
    for chunk in _slices(m, max(1, CHUNK // (8 * size))):  # of eight arrays
        rows = np.column_stack([observed[chunk], simulated[chunk]])
        order = rows.argsort(axis=1)
        ordered = np.take_along_axis(rows, order, axis=1)
        is_new = np.ones((len(rows), size + 1), dtype=bool)
        is_new[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
        places = np.arange(size + 1)
        first = np.maximum.accumulate(np.where(is_new, places, 0), axis=1)[:, :-1]
        later = np.where(is_new, places, size)[:, ::-1]
        after = np.minimum.accumulate(later, axis=1)[:, ::-1][:, 1:]
        share = 1.0 / (after - first)
        for place, sign in ((first, 1.0), (after, -1.0)):
            where = (size * place + order).ravel()
            changes += np.bincount(where, sign * share.ravel(), len(changes))
        for end in (0, -1):
            alone = share[:, end] == 1.0
            outside += np.bincount(order[alone, end], minlength=size)
    return _Ranks(changes.reshape(size + 1, size).cumsum(axis=0)[:-1], outside)


@refuse_r_names(
    "seed",
    n="is spelled nsim= here",
    re_form="is spelled kind= here: 'parametric' for NA, 'conditional' for NULL",
)
def simulated_residuals(
    results: Any,
    nsim: int = 250,
    rng: Any = None,
    kind: str = "parametric",
    group: str | None = None,
) -> SimulatedResiduals:
    """
    Locate each response among responses simulated from the fit.

    The residual is the share of simulated responses below the observed one, spread
    evenly over its step: (number below + u) / (nsim + 1) with a uniform u. If the model
    is right, it is uniform on (0, 1), whatever the weights and the family; so is that
    of the mean of any group of rows.

    Parameters
    ----------
    results : MixedResults
        A fit.
    nsim : int, optional
        Number of simulated responses.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness. The responses are those of `simulate`.
    kind : {"parametric", "conditional"}, optional
        Whether to draw new random effects, which examines the whole model, as in
        DHARMa; or to keep the conditional modes, which examines only the distribution
        of the response given them.
    group : str or array_like, optional
        Groups of rows to combine; see `get_influence`. Default is single rows.

    Returns
    -------
    SimulatedResiduals

    Raises
    ------
    ValueError
        If `kind` or `group` is unknown, or `nsim` is not a positive whole number.
    DataError
        If the data of the model have been removed, or the groups do not match the
        rows.
    MemoryError
        If the simulated responses do not fit in memory.

    Notes
    -----
    The simulated responses are kept and take 8 nsim bytes per row or group, 147 MB for
    250 responses of 73,421 rows; the computation needs little more.

    After a parametric simulation residuals within a group are not independent; see
    `SimulatedResiduals.uniformity_test`. DHARMa's residuals are the same, except that
    those of rows outside all simulated responses are exactly 0 or 1.

    References
    ----------
    Czado, C., Gneiting, T. and Held, L. (2009). Predictive model assessment for count
    data. Biometrics 65, 1254-1261.
    Dunn, P. K. and Smyth, G. K. (1996). Randomized quantile residuals. Journal of
    Computational and Graphical Statistics 5, 236-244.
    Hartig, F. (2022). DHARMa: residual diagnostics for hierarchical (multi-level /
    mixed) regression models. R package.
    """
    results = as_fit(results)
    check_choice("kind", kind, SIMULATED_RESIDUALS)
    check_count("nsim", nsim)
    response, model = drawn_response(results, kind), results.model
    n = len(model.endog)
    predicted = results.fittedvalues
    if kind == "parametric":
        predicted = results._mean(results._fixed_part)
    if group is None:
        labels, sums = model.data.row_labels, sparse.eye_array(n, format="csr")
    else:
        codes, labels = row_groups(model, group)
        members = codes, np.arange(n)
        sums = sparse.csr_array((np.ones(n), members), shape=(len(labels), n))
    m = sums.shape[0]
    require_memory(
        8 * m * nsim, f"{nsim} responses of {m:,} rows", "Use a smaller nsim"
    )
    rng = np.random.default_rng(rng)
    streams, simulated = generators(seeds(rng, nsim)), np.empty((m, nsim))
    for chunk in _slices(nsim, max(1, CHUNK // n)):
        drawn = whole_responses(results, response, streams[chunk])
        simulated[:, chunk] = _means(sums, drawn.T)
    observed, predicted = (
        _means(sums, model.as_given(values)) for values in (model.endog, predicted)
    )
    below = (simulated < observed[:, None]).sum(axis=1)
    equal = (simulated == observed[:, None]).sum(axis=1)
    places = (below + rng.random(m) * (equal + 1)) / (nsim + 1)
    residuals = pd.Series(places, labels, name="simulated_resid")
    is_discrete = not results._is_gaussian and results.family.is_discrete
    return SimulatedResiduals(
        residuals, observed, predicted, simulated, kind, is_discrete
    )


def _means(sums, values):
    """Means by group. Sums of counts are exact, so that equal means are ties."""
    return ((sums @ values).T / sums.sum(axis=1)).T


def _slices(total, width):
    return [slice(a, a + width) for a in range(0, total, width)]


def _two_sided(value, simulated):
    """P-value of a value that under the model is one of nsim + 1 draws."""
    tail = min((simulated >= value).sum(), (simulated <= value).sum())
    return float(min(1.0, 2.0 * (1 + tail) / (1 + len(simulated))))
