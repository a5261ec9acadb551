"""Fits of rows in batches have the same engines as those of rows in memory."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.search import krylov
from statsmodels_lmm.formula.api import crossedmixedlm

FORMULA = "y ~ x + (1 | a) + (1 | b)"


@pytest.fixture(scope="module")
def data():
    """A crossed design with more than a thousand columns beside the largest term."""
    rng = np.random.default_rng(0)
    n, sizes = 8000, {"a": 1400, "b": 1300}
    frame = pd.DataFrame({name: rng.integers(q, size=n) for name, q in sizes.items()})
    frame["x"] = rng.standard_normal(n)
    frame["y"] = 1.0 + 0.2 * frame["x"] + rng.standard_normal(n)
    for name, q in sizes.items():
        frame["y"] += 0.6 * rng.standard_normal(q)[frame[name]]
    return frame


@pytest.fixture(scope="module")
def source(data, tmp_path_factory):
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("rows")
    for i, part in enumerate(np.array_split(np.arange(len(data)), 3)):
        data.iloc[part].to_parquet(folder / f"{i}.parquet")
    return folder


def assert_same(one, other, atol):
    assert one.converged
    assert other.converged
    assert_allclose(one.theta, other.theta, rtol=0.0, atol=atol)
    assert_allclose(one.params, other.params, rtol=0.0, atol=atol)
    assert_allclose(one.bse, other.bse, rtol=0.0, atol=atol)
    assert_allclose(one.scale, other.scale, rtol=0.0, atol=atol)
    assert_allclose(one.llf, other.llf, rtol=0.0, atol=1e4 * atol)


def test_auto_is_polished(data, source, monkeypatch):
    """The exact fit is reached from an optimum with probes."""
    polished = []

    def counted(products):
        polished.append(products.rows is None)
        return krylov.is_worth_polishing(products)

    monkeypatch.setattr(
        "statsmodels_lmm.models.engine_choice.is_worth_polishing", counted
    )
    monkeypatch.setattr(krylov, "PATIENCE", np.inf)
    fit = crossedmixedlm(FORMULA, source).fit()
    assert polished == [True]
    assert fit.monte_carlo is None
    assert_same(fit, crossedmixedlm(FORMULA, data).fit(engine="exact"), 1e-8)


def test_probes(data, source):
    fits = [
        crossedmixedlm(FORMULA, rows).fit(engine="krylov") for rows in (source, data)
    ]
    assert_same(*fits, 1e-9)
    tables = [fit.monte_carlo for fit in fits]
    assert_allclose(*tables, rtol=1e-4, atol=1e-7)
    for fit in fits:
        assert fit.monte_carlo.index.tolist() == [*fit.theta.index, "llf"]
