"""A model from a formula is complete when its constructor returns."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.backend import FormulaData
from statsmodels_lmm.mixedlm.model import MixedLM
from statsmodels_lmm.models.base import MixedModel
from statsmodels_lmm.structures import Diagonal

N = 60


def frame():
    rng = np.random.default_rng(8)
    g, x = np.arange(N) % 10, rng.normal(size=N)
    y = x + rng.normal(size=10)[g] + rng.normal(size=N)
    data = pd.DataFrame({"y": y, "x": x, "g": g, "o": rng.normal(size=N)})
    data["h"] = np.arange(N) % 6
    data.loc[[3, 7], "x"] = np.nan
    return data


def watched(model):
    """A model class that notes what is set on it when its constructor returns."""

    class Watched(model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.seen = dict(vars(self)), dict(vars(self.data)), type(self.data)

    return Watched


DOORS: dict = {
    "a formula": ("y ~ x + (x | g)", {}),
    "an offset": (
        "y ~ x + offset(o) + (1 | g)",
        {"offset": "o", "weights": np.ones(N)},
    ),
    "a structure": ("y ~ x + own(x | g)", {"structures": {"own": Diagonal(hom=True)}}),
    "groups": ("y ~ x", {"groups": "g", "re_formula": "~x"}),
    "groups and an offset": (
        "y ~ x + offset(o)",
        {"groups": "g", "offset": "o", "weights": np.ones(N)},
    ),
    "groups and a structure": (
        "y ~ x + own(x | g)",
        {"groups": "h", "structures": {"own": Diagonal(hom=True)}},
    ),
}


def made(door, model=CrossedMixedLM):
    formula, arguments = DOORS[door]
    return model.from_formula(formula, frame(), missing="drop", **arguments)


@pytest.mark.parametrize(
    ("door", "model"),
    [(door, CrossedMixedLM) for door in DOORS]
    + [(door, MixedLM) for door in DOORS if "groups" in door],
)
def test_nothing_is_set_after_the_constructor(door, model):
    found = made(door, watched(model))
    own, data, kind = found.seen
    assert kind is type(found.data) is FormulaData
    for then, now in ((own, vars(found)), (data, vars(found.data))):
        assert set(now) - set(then) <= {"seen"}
        for name, value in then.items():
            assert now[name] is value, name


def test_what_a_model_says_of_its_formula():
    model = made("an offset")
    assert model.formula == "y ~ x"
    assert model.formula_full == "y ~ x + offset(o) + (1 | g)"
    assert model.n_dropped == 2
    used = frame().dropna()
    assert_allclose(model.formula_offset, used["o"])
    assert_allclose(model.offset, 2 * used["o"])
    assert list(model.data.frame.index) == list(used.index)
    assert set(model.data.frame) == {"y", "x", "g", "o"}
    own = made("a structure")
    assert list(own.structures) == ["own"]


def test_a_model_from_arrays_has_no_formula():
    data = frame().dropna()
    model = CrossedMixedLM(data["y"], data[["x"]], {"g": data["g"]})
    assert model.formula_full is None
    assert model.formula_offset is None
    assert model.structures == {}
    assert not hasattr(model, "formula")


@pytest.mark.parametrize("door", DOORS)
def test_a_clone_is_the_same_model(door):
    model = made(door)
    clone = type(model)(model.endog, model.exog, **model._get_init_kwds())
    again = pickle.loads(pickle.dumps(model))
    for other in (clone, again):
        assert other.fit().llf == pytest.approx(model.fit().llf, rel=1e-12)


class Family(MixedModel):
    """A model that is given more than a linear one."""

    _own_arguments = ("family",)

    def __init__(self, *args, family=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.family = family
        self._init_keys.append("family")


def test_the_doors_are_those_of_every_mixed_model():
    text = "y ~ x + (1 | g)"
    model = Family.from_formula(text, frame(), family="poisson")
    linear = CrossedMixedLM.from_formula(text, frame())
    assert model.family == model._get_init_kwds()["family"] == "poisson"
    assert_allclose(model.exog, linear.exog)
    assert model.exog_names == linear.exog_names
    other = model.with_response(model.endog + 1.0)
    assert other.family == "poisson"
    assert_allclose(other.endog, model.endog + 1.0)
    z = np.eye(10)[np.arange(N) % 10]
    model = Family.from_matrices(frame()["y"], np.ones((N, 1)), z, family="gamma")
    assert model.family == "gamma"
    with pytest.raises(TypeError, match=r"family= belongs to .*crossedmixedglm\("):
        CrossedMixedLM.from_formula(text, frame(), family="poisson")


@pytest.mark.parametrize("model", [CrossedMixedLM, MixedLM])
def test_names_of_nobody(model):
    """``eval_env=-1`` gives a formula no names of its callers, which have a formula."""
    with pytest.raises(FormulaError, match="column 'formula' not in data"):
        model.from_formula("y ~ x + formula + (1 | g)", frame(), eval_env=-1)
