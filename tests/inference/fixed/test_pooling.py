"""Rubin's rules against mice."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import crossedmixedlm, pool_imputations
from statsmodels_lmm.exceptions import DataError, DataWarning

Q, U = [10.2, 10.9, 9.8, 10.5, 10.1], [2.1, 2.4, 1.9, 2.2, 2.0]

# mice 3.15.0: pool.scalar(Q, U, n, k), n - k being Inf or 178
MICE = {np.inf: (492.417233560091, 0.0938019067329852)}
MICE[178.0] = 120.856700131811, 0.104821077115134


def fit(estimate, variance, **changes):
    model = SimpleNamespace(exog_names=["x"])
    values = {"nobs": 9, "use_t": False, "df_resid": 178.0, "converged": True}
    values |= {"params": [estimate], "cov_params": lambda: [[variance]]}
    return SimpleNamespace(model=model, **values | changes)


@pytest.mark.parametrize("df_complete", MICE)
def test_as_in_mice(df_complete):
    df, missing = MICE[df_complete]
    for pooled in (
        pool_imputations(map(fit, Q, U), df_complete),
        pool_imputations(fit(q, u, use_t=df_complete < np.inf) for q, u in zip(Q, U)),
    ):
        row = pooled.summary_frame().loc["x"]
        found = row["estimate"], row["std_error"] ** 2, row["riv"]
        assert_allclose(found, [10.3, 2.33, 0.0990566037735849])
        assert_allclose([row["df"], row["fmi"]], [df, missing])
        assert pooled.n_imputations == 5
        assert len(pooled.variances) == 0
        # R 4.2.2: qt(0.975, df) * sqrt(2.33)
        half = {np.inf: 2.99912673, 178.0: 3.02201442}[df_complete]
        assert_allclose(row[["lower", "upper"]].tolist(), [10.3 - half, 10.3 + half])


def test_equal_fits_are_one_fit():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.arange(60) % 6, "x": rng.normal(size=60)})
    data["y"] = data["x"] + rng.normal(size=6)[data["g"]] + rng.normal(size=60)
    one = crossedmixedlm("y ~ x + (x | g)", data).fit(df_method="satterthwaite")
    pooled = pool_imputations([one, one, one])
    assert_allclose(pooled.params, one.params)
    assert_allclose(pooled.cov_params(), one.cov_params())
    complete = one.df_resid_inference
    assert_allclose(pooled.df, complete * (complete + 1.0) / (complete + 3.0))
    assert_allclose(pooled.variances, one.variance_components()["variance"])
    assert pooled.variances.loc["g", "x", ""].size == 1
    assert "3 imputations" in str(pooled)
    assert "p_value" in pooled._repr_html_()


def test_what_cannot_be_pooled():
    good = fit(1.0, 1.0)
    with pytest.raises(TypeError, match="at least two fits"):
        pool_imputations([good])
    with pytest.raises(ValueError, match="df_complete must be positive"):
        pool_imputations([good, good], 0.0)
    other = fit(1.0, 1.0, nobs=8)
    with pytest.raises(DataError, match="fit 2 has 8 rows and fit 1 has 9: impute"):
        pool_imputations([good, other])
    other.model.exog_names = ["z"]
    with pytest.raises(DataError, match="fit 2 has other fixed effects"):
        pool_imputations([good, other])
    with pytest.warns(DataWarning, match="fit 2 has not converged"):
        pool_imputations([good, fit(1.0, 1.0, converged=False)])
    nothing = fit(np.nan, np.nan)
    assert pool_imputations([good, nothing]).summary_frame().loc["x"].isna().all()


def test_p_values():
    """R 4.2.2: 2 * pt(-2, 120.856700131811), a statistic of 2 by shifting."""
    shift = 2.0 * np.sqrt(2.33) - 10.3
    pooled = pool_imputations([fit(q + shift, u) for q, u in zip(Q, U)], 178.0)
    assert_allclose(pooled.summary_frame().loc["x", "p_value"], 0.0477424605139)
