"""A model takes no notice of what becomes of the user's data."""

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm.formula.api import crossedmixedlm

LEVELS = np.arange(40) % 5
DAYS = pd.Timestamp("2020-01-01") + pd.to_timedelta(LEVELS, "D")
KINDS = {
    "category": pd.Categorical.from_codes(LEVELS, list("abcde")),
    "dates": DAYS,
    "zoned dates": DAYS.tz_localize("UTC"),
    "durations": pd.to_timedelta(LEVELS, "D"),
    "periods": DAYS.to_period("D"),
    "intervals": pd.arrays.IntervalArray.from_arrays(LEVELS + 0.0, LEVELS + 1.0),
    "text": np.array(list("abcde"), object)[LEVELS],
    "integers": LEVELS,
    "floats": LEVELS.astype(float),
    "nullable integers": pd.array(LEVELS, dtype="Int64"),
}


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (1 | g:h)"])
@pytest.mark.parametrize("kind", KINDS)
def test_groups_that_are_written_to_later(kind, formula):
    _check(KINDS[kind], formula)


@pytest.mark.parametrize("kind", ["category", "integers", "floats", "boolean"])
def test_terms_that_are_written_to_later(kind):
    values = KINDS.get(kind, pd.array(LEVELS > 2, dtype="boolean"))
    _check(values, "y ~ x + g + (1 | h)")


def _check(g, formula):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40)})
    data["g"], data["h"] = g, np.arange(40) // 10
    model = crossedmixedlm(formula, data)
    before = model.data.frame.copy(deep=True)
    data.loc[:30, "g"] = data["g"].iloc[0]
    data.loc[:, "x"] = 3.0
    data.loc[5, "y"] += 1e6
    data["h"] *= 2
    pd.testing.assert_frame_equal(model.data.frame, before)
