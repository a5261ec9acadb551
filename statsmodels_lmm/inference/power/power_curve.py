"""The power of a test in studies of several sizes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from statsmodels_lmm.display import Brief, captioned
from statsmodels_lmm.inference.power.power_fit import PowerFit, fitted_power
from statsmodels_lmm.inference.requirements import check_alpha, check_choice

INTERVALS = {"exact": "beta", "wilson": "wilson"}
"""statsmodels' names of intervals for a proportion."""


class SampleSize(NamedTuple):
    """
    The size at which a power is reached.

    Parameters
    ----------
    n : float
        The smallest size with the power, NaN if it is not known.
    lower, upper : float
        Interval of the size.
    reason : str
        Why a number is NaN.
    """

    n: float
    lower: float
    upper: float
    reason: str = ""


@dataclass(frozen=True, repr=False)
class PowerCurve(Brief):
    """
    The power of a test in studies of several sizes.

    Parameters
    ----------
    effect : str
        What is tested.
    planned_size : str
        Its planned values; empty for a variance.
    test : str
        The test in words.
    along : str
        What the sizes count.
    alpha : float
        Level of the test.
    nsim : int
        Number of studies that were to be drawn for each size.
    rows : Series
        Number of rows, by size.
    pvalues : dict
        p-values of the studies, by size; NaN where there is none.
    separated : Series
        Number of studies in which a generalized model has no finite estimates.
    interrupted : bool
        Whether the user stopped the work.
    """

    effect: str
    planned_size: str
    test: str
    along: str
    alpha: float
    nsim: int
    rows: pd.Series
    pvalues: dict
    separated: pd.Series
    interrupted: bool = False

    @cached_property
    def _counts(self):
        """Numbers of studies and of rejections by size."""
        studies = np.array([len(p) for p in self.pvalues.values()])
        rejected = [np.sum(p < self.alpha) for p in self.pvalues.values()]
        return studies, np.array(rejected)

    @property
    def table(self) -> pd.DataFrame:
        """
        The power of each size.

        One row per size, with columns power; lower and upper, the exact 95 % interval
        of Clopper and Pearson; rows; nsim, the studies drawn; failed, those that could
        not be fitted or tested; and separated, those in which a generalized model has
        no finite estimates. Studies of the last two kinds count as not significant.
        """
        return self._table()

    def _table(self, alpha=0.05, method="exact"):
        studies, rejected = self._counts
        table = self.conf_int(alpha, method)
        table.insert(0, "power", rejected / studies)
        lost = np.array([np.isnan(p).sum() for p in self.pvalues.values()])
        separated = self.separated.to_numpy()
        table["rows"] = self.rows.to_numpy()
        table["nsim"] = studies
        table["failed"] = np.maximum(lost - separated, 0)
        table["separated"] = separated
        return table

    def conf_int(self, alpha: float = 0.05, method: str = "exact") -> pd.DataFrame:
        """
        Intervals of the power, which allow for the number of studies drawn.

        Parameters
        ----------
        alpha : float, optional
            One minus the level.
        method : {"exact", "wilson"}, optional
            That of Clopper and Pearson or that of Wilson.

        Returns
        -------
        DataFrame
            One row per size, with columns lower and upper.
        """
        check_alpha(alpha)
        check_choice("method", method, tuple(INTERVALS))
        studies, rejected = self._counts
        lower, upper = proportion_confint(rejected, studies, alpha, INTERVALS[method])
        index = pd.Index(list(self.pvalues), name=self.along)
        return pd.DataFrame({"lower": lower, "upper": upper}, index)

    @cached_property
    def fit(self) -> PowerFit | None:
        """The curve fitted to the powers, see `n_for`; None with fewer than 3 sizes."""
        studies, rejected = self._counts
        if len(studies) < 3:
            return None
        sizes = np.array(list(self.pvalues), dtype=float)
        return fitted_power(sizes, rejected, studies)

    def n_for(self, power: float = 0.8, alpha: float = 0.05) -> SampleSize:
        """
        The smallest size with a given power.

        Parameters
        ----------
        power : float, optional
            The power.
        alpha : float, optional
            One minus the level of the interval.

        Returns
        -------
        SampleSize
            The size, rounded up, with an interval; NaN with a reason if the sizes do
            not include it or no curve describes the powers. A limit beyond the sizes is
            NaN.

        Notes
        -----
        The probit of the power is taken to be linear in the square root of n, as it is
        for a z test whose information is proportional to n; or in n or in n to the
        power of 3/2, as for a trend over n times, if that fits better. The interval is
        Fieller's, from the fit to the numbers of rejections; it spans those of all
        three that fit almost equally well.
        """
        check_alpha(power, "power")
        check_alpha(alpha)
        if len(self.pvalues) < 3:
            return _unknown("a curve needs at least three sizes")
        if self.fit is None:
            return _unknown("the power does not increase with n")
        if not self.fit.is_adequate:
            return _unknown(
                "no increasing curve fits the powers: look at plot(), and interpolate"
            )
        target, z = stats.norm.ppf(power), stats.norm.isf(alpha / 2.0)
        n, lower, upper = self.fit.inverse(target, z)
        least, most = min(self.pvalues), max(self.pvalues)
        if not least <= n <= most:
            side, end = ("larger", most) if n > most else ("smaller", least)
            reached = 100.0 * self.fit.power(float(end))
            return _unknown(
                f"the power is about {reached:.0f} % with {end} {self.along}; add "
                f"{side} sizes"
            )
        lower, upper = (v if least <= v <= most else np.nan for v in (lower, upper))
        lost = np.isnan([lower, upper]).any()
        reason = "a limit is beyond the sizes" if lost else ""
        n, lower, upper = (float(np.ceil(v - 1e-9)) for v in (n, lower, upper))
        return SampleSize(n, lower, upper, reason)

    def plot(self, power: float | None = 0.8, ax: Any = None) -> Any:
        """
        Plot the power against the size; see `graphics.plot_power`.

        Parameters
        ----------
        power, ax : optional
            As for `graphics.plot_power`.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.power import plot_power

        return plot_power(self, power, ax)

    def _brief(self):
        size = f", planned as {self.planned_size}" if self.planned_size else ""
        studies, _ = self._counts
        short = ", interrupted" if self.interrupted else ""
        drawn = f"{studies[0]:,}" if len(set(studies)) == 1 else f"up to {self.nsim:,}"
        return [
            f"Power to detect {self.effect}{size}",
            f"{self.test}, level {self.alpha:g}; {drawn} studies of each size{short}",
        ]

    def __str__(self):
        """What was tested, and the table without columns of zeros."""
        shown = self._shown().to_string(
            formatters=dict.fromkeys(("power", "lower", "upper"), "{:.3f}".format)
        )
        return "\n".join([*self._brief(), shown])

    def _shown(self):
        """The table without counts that are all zero or known."""
        table = self.table
        idle = [c for c in ("failed", "separated") if not table[c].any()]
        idle += ["rows"] if self.along == "rows" else []
        return table.drop(columns=idle)

    def _repr_html_(self):
        return captioned(self._brief(), self._shown().to_html(float_format="%.3f"))


def _unknown(reason):
    return SampleSize(np.nan, np.nan, np.nan, reason)
