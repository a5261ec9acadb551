"""What visits are called, and dispersions that no fit can follow."""

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm import datasets
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm


@pytest.fixture(scope="module")
def growth():
    data = datasets.orthodont.load_pandas().data
    return data.assign(visit=(data["age"] - 8) // 2)


# names of visits ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [lambda age: age, lambda age: age.astype("float32"), pd.Categorical],
    ids=["float64", "float32", "categorical"],
)
def test_whole_numbers_are_printed_as_whole_numbers(growth, change):
    data = growth.assign(age=change(growth["age"].astype(float)))
    result = crossedmixedlm("distance ~ 1", data, residual="us(age | Subject)").fit()
    assert result.residual_table().index[0] == "us (8, 10)"
    assert result.residual_table().index[-1] == "log sd 14"
    assert result.residual_covariance().index.tolist() == [8, 10, 12, 14]
    assert "8.0" not in str(result.residual_covariance()) + result.summary().as_text()
    assert np.isfinite(result.predict(data.head(3), include_residual=True)).all()


def test_large_numbers_of_visits_are_told_apart(growth):
    data = growth.assign(age=growth["age"] + 1234560.0)
    model = crossedmixedlm("distance ~ 1", data, residual="ad(age | Subject)")
    assert model.residual.parameter_names[-1] == "log sd 1234574"


def test_other_numbers_keep_their_digits(growth):
    data = growth.assign(age=growth["age"] / 4)
    model = crossedmixedlm("distance ~ 1", data, residual="us(age | Subject)")
    assert model.residual.parameter_names[0] == "us (2, 2.5)"


# dispersions --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["~ 0 + Sex", "~ Sex - 1", "~ -1 + Sex"])
def test_a_dispersion_without_a_constant_says_what_sigma_is(growth, text):
    with pytest.raises(FormulaError, match=r'sigma .*write `dispersion="~ Sex"`'):
        crossedmixedlm("distance ~ 1", growth, dispersion=text)
    with pytest.raises(FormulaError, match="leave out dispersion="):
        crossedmixedlm("distance ~ 1", growth, dispersion="~ 0")
