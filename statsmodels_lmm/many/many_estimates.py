"""The estimates of fits to many responses."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_hashable
from scipy import stats

from statsmodels_lmm.core.many.fits import ManyFits
from statsmodels_lmm.display import Brief
from statsmodels_lmm.inference.requirements import check_alpha
from statsmodels_lmm.keywords import MANY_FUNCTIONS
from statsmodels_lmm.many import many_tests, many_variances
from statsmodels_lmm.many.own_weights import Source
from statsmodels_lmm.results.linear import CrossedMixedLMResults


class ManyEstimates(Brief):
    """Estimates with a row for each response; `ManyResults` has the parameters."""

    def __init__(
        self,
        fits: ManyFits,
        names: pd.Index,
        reasons: dict,
        model: Any,
        reml: bool,
        df_method: str,
        source: Source | None = None,
        interrupted: bool = False,
    ) -> None:
        self.fits, self.names, self.reasons = fits, names, reasons
        self.model, self.reml, self.df_method = model, reml, df_method
        self.source, self.interrupted = source, interrupted

    @classmethod
    def join(cls, parts, about, source=None, interrupted=False):
        """Several results joined into one."""
        reasons: dict = {}
        start = 0
        for part in parts:
            reasons |= {start + i: text for i, text in part.reasons.items()}
            start += len(part)
        names = parts[0].names
        if len(parts) > 1:
            names = names.append([p.names for p in parts[1:]])
        fits = ManyFits.join([p.fits for p in parts])
        return cls(
            fits, names, reasons, source=source, interrupted=interrupted, **about
        )

    def __len__(self) -> int:
        return len(self.names)

    # estimates -------------------------------------------------------------

    def _table(self, values, columns):
        return pd.DataFrame(values, self.names, columns)

    def _series(self, values, name):
        return pd.Series(values, self.names, name=name)

    @property
    def params(self) -> pd.DataFrame:
        """Fixed effects; NaN where there is no fit or a column was dropped."""
        return self._table(self.fits.params, self.model.exog_names)

    @property
    def bse(self) -> pd.DataFrame:
        """Standard errors of the fixed effects."""
        return self._table(self.fits.bse, self.model.exog_names)

    @property
    def df(self) -> pd.DataFrame:
        """Satterthwaite's degrees of freedom of the fixed effects."""
        return self._table(self.fits.df, self.model.exog_names)

    @property
    def theta(self) -> pd.DataFrame:
        """Relative covariance parameters, as `CrossedMixedLMResults.theta`."""
        labels = [name for e in self.model.random for name in e.theta_labels]
        return self._table(self.fits.theta, labels)

    @property
    def scale(self) -> pd.Series:
        """Residual variances."""
        return self._series(self.fits.scale, "scale")

    @property
    def scale_df(self) -> pd.Series:
        """Degrees of freedom of the residual variances, 2 s^4 / Var(s^2)."""
        return self._series(self.fits.scale_df, "scale_df")

    @property
    def llf(self) -> pd.Series:
        """Log-likelihoods, or restricted log-likelihoods."""
        return self._series(self.fits.llf, "llf")

    @property
    def nobs(self) -> pd.Series:
        """Numbers of rows used."""
        return self._series(self.fits.nobs, "nobs")

    @property
    def converged(self) -> pd.Series:
        """Whether each point is proved to be a local optimum."""
        return self._series(self.fits.certified, "converged")

    @property
    def singular(self) -> pd.Series:
        """Whether a standard deviation of the random effects counts as zero."""
        return self._series(self.fits.singular, "singular")

    @property
    def reason(self) -> pd.Series:
        """Why there is no fit, or no proof of an optimum; empty for most."""
        out = np.full(len(self), "", dtype=object)
        for i, text in self.reasons.items():
            out[i] = text
        return self._series(out, "reason")

    @property
    def certificates(self) -> pd.DataFrame:
        """
        How each search ended.

        Columns converged; promised, the decrease of the criterion that one more step
        promises; gradient, its largest entry in standardized units; evaluations.
        """
        fits = self.fits
        columns = {
            "converged": fits.certified,
            "promised": fits.promised,
            "gradient": fits.gradient,
            "evaluations": fits.evaluations,
        }
        return pd.DataFrame(columns, self.names)

    @property
    def _df(self):
        return many_tests.dfs_by(self, self.df_method)

    @property
    def tvalues(self) -> pd.DataFrame:
        """Fixed effects over their standard errors."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.DataFrame:
        """Two-sided p-values of the fixed effects, not adjusted."""
        p = 2.0 * stats.t.sf(np.abs(self.fits.params / self.fits.bse), self._df)
        return self._table(p, self.model.exog_names)

    def variance_components(self) -> pd.DataFrame:
        """
        Standard deviations and correlations of the random effects.

        Returns
        -------
        DataFrame
            Columns as the rows of a bootstrap: "g: sd x", "g: cor x, z" and, last,
            "sigma"; a correlation with an effect of no variance is NaN.
        """
        return many_variances.components(self)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """
        Wald intervals of the fixed effects.

        Parameters
        ----------
        alpha : float, optional
            One minus the level.

        Returns
        -------
        DataFrame
            Lower and upper limits, 0 and 1 as in statsmodels, a row for each response
            and effect.
        """
        check_alpha(alpha)
        half = stats.t.isf(alpha / 2.0, self._df) * self.fits.bse
        limits = np.stack([self.fits.params - half, self.fits.params + half], axis=-1)
        effects = self.model.exog_names
        names = [(response, e) for response in self.names for e in effects]
        index = pd.MultiIndex.from_tuples(names, names=["response", "term"])
        return pd.DataFrame(limits.reshape(-1, 2), index)

    def tidy(self, alpha: float = 0.05) -> pd.DataFrame:
        """
        All fixed effects in one long table, in the words of R's broom.

        Parameters
        ----------
        alpha : float, optional
            One minus the level of the intervals.

        Returns
        -------
        DataFrame
            Columns response, term, estimate, std_error, statistic, df, p_value,
            conf_low and conf_high. p-values are not adjusted.
        """
        table = self.conf_int(alpha).set_axis(["conf_low", "conf_high"], axis=1)
        values = {
            "estimate": self.fits.params,
            "std_error": self.fits.bse,
            "statistic": self.fits.params / self.fits.bse,
            "df": self._df,
            "p_value": self.pvalues.to_numpy(),
        }
        for place, (name, column) in enumerate(values.items()):
            table.insert(place, name, column.ravel())
        return table.reset_index()

    # responses ---------------------------------------------------------------

    def position(self, name: Any) -> int:
        """
        Position of a response.

        Parameters
        ----------
        name : object
            Its name.

        Returns
        -------
        int

        Raises
        ------
        KeyError
            If no response has this name, or several have.
        """
        places = self.names.get_indexer_for([name]) if is_hashable(name) else [-1]
        places = [place for place in places if place >= 0]
        if len(places) == 1:
            return int(places[0])
        if len(places):
            raise KeyError(f"{len(places)} responses are named {name!r}")
        advice = ""
        if isinstance(name, int | np.integer):
            advice = f"; by position it is `many.at({name})`"
        elif isinstance(name, list | slice):
            advice = (
                "; `many[name]` is the result of one response, and tables such as "
                "`many.params` have a row for each"
            )
        raise KeyError(f"no response is named {name!r}{advice}")

    def __iter__(self) -> Iterator[Any]:
        """The names of the responses, as of a dict."""
        return iter(self.names)

    def __contains__(self, name: Any) -> bool:
        return is_hashable(name) and name in self.names

    @property
    def n_failed(self) -> int:
        """Number of responses without a fit."""
        return int(np.isnan(self.fits.llf).sum())

    def __getattr__(self, name):
        if name in MANY_FUNCTIONS:
            raise AttributeError(f"many fits have no {name}: {MANY_FUNCTIONS[name]}")
        if not name.startswith("_") and hasattr(CrossedMixedLMResults, name):
            raise AttributeError(
                f"many fits have no {name}; that of one response has: write "
                f"`many[response].{name}`"
            )
        return super().__getattribute__(name)  # raises the error
