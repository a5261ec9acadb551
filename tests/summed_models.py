"""Models of sums over the rows of models in memory."""

from dataclasses import replace

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.formula.summed_data import NumericColumn
from statsmodels_lmm.models.from_sums import model_from_sums


def sample(seed=0, n=300):
    """Data with crossed and nested factors, weights and an offset."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.normal(3.0, 1.0, n),
            "z": rng.normal(size=n),
            "f": np.array(list("abc"))[rng.integers(0, 3, n)],
            "g": rng.permutation(np.arange(n) % 24),
            "h": np.array(list("rstuvwpq"))[rng.permutation(np.arange(n) % 8)],
            "w": rng.uniform(0.5, 4.0, n),
            "o": rng.normal(size=n),
        }
    )
    frame["top"] = frame["g"] // 4
    y = 2.0 + frame["x"] + (frame["f"] == "b") + rng.normal(size=24)[frame["g"]]
    codes = frame["h"].map(ord) - ord("p")
    y += rng.normal(size=8)[codes] * (frame["x"] - 3.0) + rng.normal(size=8)[codes]
    y += rng.normal(size=6)[frame["top"]] + rng.normal(size=n)
    return frame.assign(y=y, dup=frame["x"] - 2 * frame["z"], far=frame["x"] * 10 + 1e6)


def summed(model):
    """The same model without its rows."""
    offset = 0.0 if model.offset is None else model.offset
    terms = [effects.grouped for effects in model.random]
    sums = SummedRows.of(model.endog - offset, model.exog, terms, model.weights)
    if model.offset is not None:
        inside = 0.0 if model.formula_offset is None else model.formula_offset
        sums = replace(sums, mean_offset=float(np.mean(model.offset - inside)))
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
            "numeric_columns": {c: _numeric(frame[c]) for c in frame if c not in texts},
        }
    return model_from_sums(
        type(model),
        sums,
        endog_name=model.endog_names,
        exog_names=model.exog_names,
        random=tuple(effects.without_data() for effects in model.random),
        n_dropped=model.n_dropped,
        check_levels=model.check_levels,
        offset_name=None if model.offset is None else "o",
        **of_formula,
    )


def _numeric(column):
    values = np.unique(column)
    two = tuple(values) if len(values) <= 2 else None
    return NumericColumn(column.mean(), column.min(), column.max(), two)


def close(one, other, tolerance=1e-12):
    """Whether numbers agree relative to the largest of them."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    size = np.nanmax(np.abs(other), initial=1e-300)
    np.testing.assert_allclose(one / size, other / size, atol=tolerance, rtol=tolerance)
