"""What only a linear model has is refused to others with a sentence."""

from copy import copy

import pytest
import statsmodels.formula.api as smf
from samples import load

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.requirements import require_gaussian
from statsmodels_lmm.results.linear import CrossedMixedLMResults

TEXT = "Reaction ~ Days + (1 | Subject)"


class GeneralizedResults(CrossedMixedLMResults):
    """What would answer all questions, but is of another distribution."""

    _is_gaussian = False


@pytest.fixture(scope="module")
def linear():
    return crossedmixedlm(TEXT, load("sleepstudy")).fit()._results


@pytest.fixture(scope="module")
def generalized(linear):
    other = copy(linear)
    other.__class__ = GeneralizedResults
    other._cache = {}
    return other


DOORS = {
    "df_method='satterthwaite'": lambda r: r.with_df_method("satterthwaite"),
    "df_method='kenward-roger'": lambda r: r.t_test([0, 1], df_method="kenward-roger"),
    "the exact test": lambda r: r.exact_lr_test(nsim=10, rng=0),
}


@pytest.mark.parametrize("purpose", DOORS)
def test_doors(purpose, linear, generalized):
    DOORS[purpose](linear)
    with pytest.raises(ValueError, match="linear mixed model") as error:
        DOORS[purpose](generalized)
    assert str(error.value).startswith(f"{purpose} is defined for a linear")


def test_the_smaller_model_must_be_linear_too(linear, generalized):
    from statsmodels_lmm.inference.comparison.exact_likelihood_ratio import (
        exact_lr_test,
    )

    with pytest.raises(ValueError, match="the exact test is defined for a linear"):
        exact_lr_test(linear, generalized)


@pytest.mark.parametrize("df_method", ["asymptotic", "residual"])
def test_what_every_model_has(df_method, generalized):
    found = generalized.with_df_method(df_method)
    assert found.t_test([0, 1]).tvalue[0, 0] == pytest.approx(13.02, abs=5e-3)
    assert "Days" in found.summary().as_text()


def test_least_squares_are_of_a_normal_response():
    require_gaussian(smf.ols("Reaction ~ Days", load("sleepstudy")).fit(), "a test")
