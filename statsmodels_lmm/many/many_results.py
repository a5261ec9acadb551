"""The results of fits to many responses."""

from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.many.many_design import ManyDesign
from statsmodels_lmm.display import captioned
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.many import many_summary, many_tests
from statsmodels_lmm.many.many_estimates import ManyEstimates
from statsmodels_lmm.many.own_weights import Source, read_weights, with_weights
from statsmodels_lmm.many.single_fits import design_of, model_of


class ManyResults(ManyEstimates):
    """
    Fits of one model to many responses, with a row for each.

    Parameters
    ----------
    fits : ManyFits
        The estimates.
    names : Index
        Names of the responses.
    reasons : dict
        Why there is no fit, or no proof of an optimum, by position.
    model : CrossedMixedLM
        The model.
    reml : bool
        Whether the restricted likelihood was maximized.
    df_method : str
        Degrees of freedom of the tests unless they are told otherwise.
    source : Source, optional
        The responses; None if they were read from an iterator.
    interrupted : bool, optional
        Whether the user stopped the work before all fits were done.
    """

    # tests -------------------------------------------------------------------

    def t_test(
        self,
        contrast: Any,
        df_method: str | None = None,
        adjust: str | None = "fdr_bh",
        moderated: bool | str = False,
    ) -> pd.DataFrame:
        """
        Test one contrast of the fixed effects for every response.

        Parameters
        ----------
        contrast : str or array_like
            A coefficient such as ``"age:treatment"``, an equation such as
            ``"a - b = 1"``, or coefficients (p,). Degrees of freedom of a single
            coefficient are known; others need the responses again.
        df_method : {"satterthwaite", "asymptotic", "residual"}, optional
            Degrees of freedom. Default is that of the fits.
        adjust : str or None, optional
            Adjustment for many tests, a method of statsmodels' ``multipletests`` or
            R's name for one, such as "BH".
        moderated : {False, True, "robust"}, optional
            Whether to draw the residual variances towards what they have in common, as
            limma does.

        Returns
        -------
        DataFrame
            Columns effect, se, df, t, p and p_adjusted, a row for each response; NaN
            where there is no fit, which does not count among the tests.
        """
        return many_tests.t_test(self, contrast, df_method, adjust, moderated)

    def f_test(
        self,
        contrasts: Any,
        df_method: str | None = None,
        adjust: str | None = "fdr_bh",
        moderated: bool | str = False,
    ) -> pd.DataFrame:
        """
        Test a term, or several contrasts jointly, for every response.

        Parameters
        ----------
        contrasts : str or array_like
            A term such as ``"age:treatment"``, several equations, or coefficients
            (k, p).
        df_method, adjust, moderated : optional
            As for `t_test`.

        Returns
        -------
        DataFrame
            Columns F, df_num, df_denom, p and p_adjusted.
        """
        return many_tests.f_test(self, contrasts, df_method, adjust, moderated)

    def compare_lr_test(
        self, restricted: "ManyResults", adjust: str | None = "fdr_bh"
    ) -> pd.DataFrame:
        """
        Likelihood-ratio tests against a smaller model of the same responses.

        Parameters
        ----------
        restricted : ManyResults
            Fits of a model nested in this one; both by ML if their fixed effects
            differ.
        adjust : str or None, optional
            As for `t_test`.

        Returns
        -------
        DataFrame
            Columns lr, df, p and p_adjusted.
        """
        return many_tests.compare_lr_test(self, restricted, adjust)

    # single fits ---------------------------------------------------------------

    def __getitem__(self, name: Any) -> Any:
        """
        The ordinary results of one response.

        Parameters
        ----------
        name : object
            Name of the response.

        Returns
        -------
        CrossedMixedLMResults
            Of a fit that starts at the estimates.

        Raises
        ------
        KeyError
            If there is no such response, or there are several.
        DataError
            If there is no fit.
        """
        return self.at(self.position(name))

    def at(self, i: int) -> Any:
        """
        The ordinary results of the response at a position, see `__getitem__`.

        Parameters
        ----------
        i : int
            The position.

        Returns
        -------
        CrossedMixedLMResults
        """
        if not -len(self) <= i < len(self):
            raise IndexError(f"there are {len(self)} responses, and no position {i}")
        i = i % len(self)
        name = self.names[i]
        if np.isnan(self.fits.llf[i]):
            raise DataError(f"{name} has no fit: {self.reasons.get(i, '')}")
        y, weights = self._read(i, i + 1)
        own = None if weights is None else weights[0]
        model, start = model_of(self.model, y[0], own, name), self.fits.theta[i]
        return model.fit(self.reml, start_params=start, df_method=self.df_method)

    @cached_property
    def design(self) -> ManyDesign:
        """The standardized design."""
        return design_of(self.model, self.reml)

    def _read(self, start, stop):
        """Responses and their weights, shapes (r, n)."""
        if self.source is None:
            raise DataError(
                "this needs the responses, which were read from an iterator or are "
                "not part of the file; give them to `with_responses`"
            )
        weights = read_weights(self.source.weights, start, stop)
        return self.source.table.block(start, stop), weights

    def with_responses(self, responses: Any, weights: Any = None) -> "ManyResults":
        """
        The same results with the responses that they are of.

        Parameters
        ----------
        responses : DataFrame or array_like
            One column for each response, as for `fit_many`.
        weights : DataFrame or array_like, optional
            As for `fit_many`.

        Returns
        -------
        ManyResults
        """
        ((table, own),) = with_weights(self.model, responses, weights)
        if len(table) < len(self) or not table.names[: len(self)].equals(self.names):
            raise DataError("the responses are not those of the results")
        other = copy(self)
        other.source = Source(table, own)
        return other

    # files -----------------------------------------------------------------------

    def to_parquet(self, path: Any) -> None:
        """Write all estimates to a Parquet file, see `from_parquet`."""
        from statsmodels_lmm.many.storage import ParquetWriter

        about = {"reml": self.reml, "df_method": self.df_method, "model": self.model}
        writer = ParquetWriter(path, about)
        writer.write(self)
        writer.close(self.interrupted)

    @classmethod
    def from_parquet(cls, path: Any, model: Any) -> "ManyResults":
        """
        Read results from a Parquet file.

        Parameters
        ----------
        path : path-like
            The file.
        model : CrossedMixedLM
            The model of the fits.

        Returns
        -------
        ManyResults
            Without the responses, see `with_responses`.
        """
        from statsmodels_lmm.many.storage import ParquetFile

        return ParquetFile(path, model).read()

    # pictures ----------------------------------------------------------------------

    def plot_volcano(
        self,
        contrast: Any,
        level: float = 0.05,
        labels: Any = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> Any:
        """
        Plot -log10 p against the effect; see `graphics.plot_volcano`.

        Parameters
        ----------
        contrast : str or array_like
            As for `t_test`.
        level : float, optional
            Adjusted p-value below which a response is marked.
        labels : int or sequence, optional
            Number of marked responses that are named, those with the smallest p-values,
            or the names of the responses to be named.
        ax : Axes, optional
            Axes to draw on.
        **kwargs
            Arguments of `t_test`, such as ``moderated=True``.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.many_tests import plot_volcano

        return plot_volcano(self.t_test(contrast, **kwargs), level, labels, ax)

    def plot_pvalues(self, contrast: Any, ax: Any = None, **kwargs: Any) -> Any:
        """
        Plot the distribution of p-values; see `graphics.plot_pvalues`.

        Parameters
        ----------
        contrast : str or array_like
            As for `t_test`, which takes `kwargs`.
        ax : Axes, optional
            Axes to draw on.
        **kwargs
            Arguments of `t_test`.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.many_tests import plot_pvalues

        return plot_pvalues(self.t_test(contrast, **kwargs), ax=ax)

    # summaries -----------------------------------------------------------------------

    def summary(self, adjust: str = "fdr_bh", level: float = 0.05) -> pd.DataFrame:
        """
        Summarize the fixed effects over all responses.

        Parameters
        ----------
        adjust : str, optional
            Adjustment of the p-values, as for `t_test`.
        level : float, optional
            Adjusted p-value below which a response counts.

        Returns
        -------
        DataFrame
            A row for each coefficient: quartiles of the estimates, the median standard
            error and degrees of freedom, and the number of responses below `level`.
        """
        return many_summary.summary(self, adjust, level)

    def _brief(self):
        return many_summary.lines(self)

    def _repr_html_(self):
        return captioned(self._brief(), self.summary().to_html())
