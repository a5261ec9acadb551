"""A model keeps the data that it was given, whatever becomes of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from statsmodels_lmm import CrossedMixedLM, matrix_effects, random_effects
from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inputs import plain_arrays
from statsmodels_lmm.mixedlm.model import MixedLM

N, LEVELS = 60, 10


def data():
    """Arrays and tables of their own, by name."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(LEVELS), N // LEVELS)
    exog = np.column_stack([np.ones(N), rng.normal(size=N)])
    endog = exog[:, 1] + rng.normal(size=LEVELS)[groups] + rng.normal(size=N)
    k = np.eye(LEVELS) + 0.2
    return {
        "endog": endog,
        "exog": exog,
        "groups": groups,
        "effects": exog.copy(),
        "z": np.eye(LEVELS)[groups],
        "sparse": sparse.csr_array(np.eye(LEVELS)[groups]),
        "weights": rng.uniform(0.5, 2.0, N),
        "offset": rng.normal(size=N),
        "relationship": k,
        "sparse inverse": sparse.csr_array(np.linalg.inv(k)),
        "frame": pd.DataFrame(
            {"y": endog, "x": exog[:, 1], "g": groups, "f": groups % 3}
        ).astype({"f": "category"}),
    }


LABELS = np.arange(LEVELS)
MODELS = {
    "groups": lambda d: CrossedMixedLM(d["endog"], d["exog"], [d["groups"]]),
    "pandas": lambda d: CrossedMixedLM(
        d["frame"]["y"], d["frame"][["x"]], {"g": d["frame"]["g"]}
    ),
    "effects": lambda d: CrossedMixedLM(
        d["endog"], d["exog"], {"g": (d["groups"], d["effects"])}
    ),
    "random_effects": lambda d: CrossedMixedLM(
        d["endog"], d["exog"], [random_effects(d["groups"], d["effects"])]
    ),
    "matrix": lambda d: CrossedMixedLM(d["endog"], d["exog"], {"z": d["z"]}),
    "sparse matrix": lambda d: CrossedMixedLM(
        d["endog"], d["exog"], [matrix_effects(d["sparse"])]
    ),
    "from_matrices": lambda d: CrossedMixedLM.from_matrices(
        d["endog"], d["exog"], d["z"]
    ),
    "weights and offset": lambda d: CrossedMixedLM(
        d["endog"],
        d["exog"],
        [d["groups"]],
        weights=d["weights"],
        offset=d["offset"],
    ),
    "relationship": lambda d: CrossedMixedLM(
        d["endog"],
        d["exog"],
        {"g": d["groups"]},
        relationship={"g": (d["relationship"], LABELS)},
    ),
    "inverse": lambda d: CrossedMixedLM(
        d["endog"],
        d["exog"],
        {"g": d["groups"]},
        relationship_inverse={"g": (d["sparse inverse"], LABELS)},
    ),
    "MixedLM": lambda d: MixedLM(d["endog"], d["exog"], d["groups"], d["effects"]),
    "formula": lambda d: crossedmixedlm(
        "y ~ x + f + (x | g)", d["frame"], weights=d["weights"], offset=d["offset"]
    ),
    "response": lambda d: crossedmixedlm("y ~ x + (1 | g)", d["frame"]).with_response(
        d["endog"]
    ),
}


def spoil(values):
    """Change what a user holds, in place."""
    if sparse.issparse(values):
        values.data[:] = values.data[::-1] + 7.0
    elif isinstance(values, pd.DataFrame):
        for name in ("y", "x", "g"):
            values.loc[:, name] = values[name].to_numpy()[::-1].copy()
        values["f"] = values["f"].cat.rename_categories(["q", "r", "s"])
        values.iloc[:5, 1] = 99.0
    else:
        values[:] = values[::-1].copy() + 1


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ModelWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_changes_between_model_and_fit(kind):
    expected = MODELS[kind](data()).fit()
    given = data()
    model = MODELS[kind](given)
    for values in given.values():
        spoil(values)
    found = model.fit()
    assert found.llf == expected.llf
    assert found.params.tolist() == expected.params.tolist()
    assert found.fittedvalues.tolist() == expected.fittedvalues.tolist()
    if kind == "formula":
        kept = model.data.frame
        pd.testing.assert_frame_equal(kept, data()["frame"][[*kept]])
        new = data()["frame"].head(4)
        pd.testing.assert_series_equal(
            found.predict(new, random_effects=True),
            expected.predict(new, random_effects=True),
        )


def test_the_model_changes_nothing_of_the_user():
    given, kept = data(), data()
    for make in MODELS.values():
        make(given).fit()
    for name, values in kept.items():
        if sparse.issparse(values):
            assert (given[name] != values).nnz == 0
        elif name == "frame":
            pd.testing.assert_frame_equal(given[name], values)
        else:
            np.testing.assert_array_equal(given[name], values)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_a_copy_that_takes_much_of_the_memory(kind, monkeypatch):
    z = kind(data()["z"])
    size = 8 * z.size
    for module in (plain_arrays, memory):
        monkeypatch.setattr(module, "available_bytes", lambda: 1.5 * size)
    with pytest.warns(DataWarning, match="own copy of the matrix of Z takes"):
        matrix_effects(z)
    for module in (plain_arrays, memory):
        monkeypatch.setattr(module, "available_bytes", lambda: 0.5 * size)
    with pytest.raises(MemoryError, match="own copy of the matrix of Z"):
        matrix_effects(z)
