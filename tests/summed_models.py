"""Models of sums over the rows of models in memory."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.models.from_sums import model_from_sums


def summed(model):
    """The same model without its rows."""
    offset = 0.0 if model.offset is None else model.offset
    terms = [effects.grouped for effects in model.random]
    sums = SummedRows.of(model.endog - offset, model.exog, terms, model.weights)
    of_formula = {}
    if model.formula_full is not None:
        data, frame = model.data, model.data.frame
        texts = [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
        typed = frame.astype(dict.fromkeys(texts, "category"))
        of_formula = {
            "formula": model.formula_full,
            "parsed": model._parsed,
            "frame": typed.iloc[:0],
            "spec": data.model_spec,
            "column_specs": data.column_specs,
            "groupings": data.groupings,
            "scope": data.scope,
            "structures": model.structures,
        }
    return model_from_sums(
        type(model),
        sums,
        endog_name=model.endog_names,
        exog_names=model.exog_names,
        random=tuple(effects.without_data() for effects in model.random),
        n_dropped=model.n_dropped,
        check_levels=model.check_levels,
        **of_formula,
    )


def close(one, other, tolerance=1e-12):
    """Whether numbers agree relative to the largest of them."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    size = np.nanmax(np.abs(other), initial=1e-300)
    np.testing.assert_allclose(one / size, other / size, atol=tolerance, rtol=tolerance)
