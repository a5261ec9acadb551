"""Bars of the shares of the variance, against the numbers behind them."""

import numpy as np
import pytest
from generalized_samples import fitted
from numpy.testing import assert_allclose
from samples import dyestuff, load, quiet

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm.graphics.variance_shares import plot_variance_shares  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(ax):
    """Names and lengths of the bars."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    return dict(zip(names, [bar.get_width() for bar in ax.patches]))


def test_shares_of_a_linear_model():
    result = quiet("strength ~ 1 + (1 | batch / cask)", load("pastes"))
    (ax,) = plot_variance_shares(result).axes
    found = drawn(ax)
    # the factors without fixed effects, as in the example of icc
    expected = {"fixed effects": 0.0, "batch": 0.154, "batch:cask": 0.783}
    assert found.keys() == {*expected, "residual"}
    assert_allclose([found[name] for name in expected], [*expected.values()], atol=5e-4)
    assert_allclose(sum(found.values()), 1.0)
    texts = [t.get_text() for t in ax.texts]
    assert texts == [f"{share:.1%}" for share in found.values()]
    assert ax.get_xlabel() == "share of the variance"
    _, own = plt.subplots()
    assert plot_variance_shares(dyestuff(), ax=own) is own.get_figure()


def test_shares_of_a_generalized_model():
    result = fitted("binomial")
    (ax,) = plot_variance_shares(result, method="delta").axes
    found = drawn(ax)
    marginal, conditional = result.r_squared("delta")
    assert_allclose(found["fixed effects"], marginal)
    assert_allclose(found["distribution"], 1.0 - conditional)
    assert ax.get_xlabel().endswith("on the scale of the linear predictor")


def test_a_share_that_the_data_do_not_determine():
    data = load("pastes")
    result = quiet(
        "strength ~ 1 + (1 | sample) + (1 | twin)", data.assign(twin=data["sample"])
    )
    (ax,) = plot_variance_shares(result).axes
    texts = [t.get_text() for t in ax.texts]
    assert texts.count("not determined by the data") == 2
    found = drawn(ax)
    assert_allclose(found["residual"], 1.0 - result.r_squared()["conditional"])
    assert np.isfinite(list(found.values())).all()
