"""Results with pandas labels, in statsmodels' manner."""

from functools import wraps

import pandas as pd
from statsmodels.base.model import LikelihoodResultsWrapper

from statsmodels_lmm.inference.methods import MixedInference
from statsmodels_lmm.keywords import refuse_r_names


class MixedResultsWrapper(LikelihoodResultsWrapper):
    """Results with pandas labels, see `MixedResults`."""

    _attrs = {
        "fe_params": "columns",
        "bse_fe": "columns",
        "resid": "rows",
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

    @wraps(MixedInference.conf_int)
    def conf_int(self, *args, **kwargs):
        """See `MixedInference.conf_int`."""
        intervals = self._results.conf_int(*args, **kwargs)
        if isinstance(intervals, pd.DataFrame):
            return intervals
        return self.model.data.wrap_output(intervals, "columns")

    @wraps(MixedInference.with_df_method)
    def with_df_method(self, df_method):
        """See `MixedInference.with_df_method`."""
        return type(self)(self._results.with_df_method(df_method))

    @wraps(MixedInference.with_cov_type)
    @refuse_r_names(cluster="is spelled groups= here")
    def with_cov_type(self, cov_type, groups=None):
        """See `MixedInference.with_cov_type`."""
        return type(self)(self._results.with_cov_type(cov_type, groups))

    def __repr__(self):
        return repr(self._results)

    def _repr_html_(self):
        return self._results._repr_html_()
