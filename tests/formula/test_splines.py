"""B-splines that SciPy could not evaluate are refused, however they are called."""

import formulaic.transforms
import numpy as np
import pandas as pd
import patsy
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.splines import MAX_DEGREE

rng = np.random.default_rng(0)
N = 120
DATA = pd.DataFrame({"x": rng.normal(size=N), "g": np.arange(N) % 12})
DATA["y"] = np.sin(DATA["x"]) + rng.normal(size=N)


@pytest.mark.parametrize(
    "term",
    [
        "bs(x, df=50, degree=49)",
        "bs(x, 50, None, 22)",
        "bs(x, df=9, degree=6)",
        "bs(x, df=9, degree=high)",
        "bs(x, df=9, degree=-1)",
        "bs(x, df=9, degree=2.5)",
        "bs(x, df=9, degree=True)",
        "bs(x + 1, df=60, degree=5 * 5)",
        "scale(bs(x, df=60, degree=49))",
        "of_patsy(x, df=60, degree=49)",
        "of_formulaic(x, df=60, degree=49)",
        "patsy.bs(x, df=60, degree=49)",
        "(0 + bs(x, df=60, degree=49) | g)",
    ],
)
def test_degrees(engine, term):
    scope = {
        "high": 49,
        "patsy": patsy,
        "of_patsy": patsy.bs,
        "of_formulaic": formulaic.transforms.basis_spline,
    }
    with pytest.raises(FormulaError, match="a whole number from 0 to 5, not"):
        crossedmixedlm(f"y ~ {term} + (1 | g)", DATA, eval_env=scope)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ("knots=[0.0, missing]", "knots"),
        ("knots=[0.0, 1e999]", "knots"),
        ("df=4, lower_bound=-1e999", "lower_bound"),
        ("df=4, upper_bound=missing", "upper_bound"),
    ],
)
def test_knots(engine, arguments, what):
    with pytest.raises(FormulaError, match=f"{what} of .* must be finite"):
        crossedmixedlm(
            f"y ~ bs(x, {arguments}) + (1 | g)", DATA, eval_env={"missing": np.nan}
        )


@pytest.mark.parametrize(
    "arguments",
    [f"df=6, degree={d}" for d in range(1, MAX_DEGREE + 1)]
    + ["5", "knots=[1.0, -0.5]", "knots=[]", "knots=[0], lower_bound=-9"],
)
def test_what_it_gives_is_that_of_patsy(engine, arguments):
    model = crossedmixedlm(f"y ~ bs(x, {arguments}) + (1 | g)", DATA)
    expected = patsy.dmatrix(f"bs(x, {arguments})", DATA)
    assert_allclose(model.exog, expected, atol=1e-12)
