"""Results with pandas labels, in statsmodels' manner."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Self, cast

import pandas as pd
from statsmodels.base.model import LikelihoodResultsWrapper

from statsmodels_lmm.inference.methods import MixedInference
from statsmodels_lmm.keywords import Function, refuse_r_names


def documented_as(method: Callable) -> Callable[[Function], Function]:
    """``functools.wraps``, with which a function keeps its own type."""
    return cast(Any, wraps(method))


class MixedResultsWrapper(LikelihoodResultsWrapper):
    """Results with pandas labels, see `MixedResults`."""

    params: pd.Series
    bse: pd.Series
    tvalues: pd.Series
    pvalues: pd.Series
    fe_params: pd.Series
    bse_fe: pd.Series
    fittedvalues: pd.Series
    resid: pd.Series
    resid_normalized: pd.Series
    resid_pearson: pd.Series

    if TYPE_CHECKING:

        def __init__(self, results: Any) -> None: ...

    _attrs = {
        "fe_params": "columns",
        "bse_fe": "columns",
        "resid": "rows",
        "resid_normalized": "rows",
        "resid_pearson": "rows",
        "fittedvalues": "rows",
    }
    _wrap_attrs = {**LikelihoodResultsWrapper._wrap_attrs, **_attrs}
    # intervals for all parameters have labels of their own
    _wrap_methods = {
        name: how
        for name, how in LikelihoodResultsWrapper._wrap_methods.items()
        if name != "conf_int"
    }

    @documented_as(MixedInference.conf_int)
    def conf_int(self, *args: Any, **kwargs: Any) -> Any:
        """See `MixedInference.conf_int`."""
        intervals = self._results.conf_int(*args, **kwargs)
        if isinstance(intervals, pd.DataFrame):
            return intervals
        return self.model.data.wrap_output(intervals, "columns")

    @documented_as(MixedInference.with_df_method)
    def with_df_method(self, df_method: str) -> Self:
        """See `MixedInference.with_df_method`."""
        return type(self)(self._results.with_df_method(df_method))

    @documented_as(MixedInference.with_cov_type)
    @refuse_r_names(cluster="is spelled groups= here")
    def with_cov_type(self, cov_type: str, groups: Any = None) -> Self:
        """See `MixedInference.with_cov_type`."""
        return type(self)(self._results.with_cov_type(cov_type, groups))

    def __repr__(self):
        return repr(self._results)

    def _repr_html_(self):
        return self._results._repr_html_()
