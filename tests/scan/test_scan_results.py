"""What a scan returns."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scan_cases import genotypes, people

from statsmodels_lmm.formula.api import crossedmixedlm

DATA, KINSHIP = people(12)
COUNTS = genotypes(DATA, 20)


@pytest.fixture(scope="module")
def model():
    return crossedmixedlm("trait ~ sex + (1 | id)", DATA, relationship={"id": KINSHIP})


def test_a_summary_has_the_smallest_p_values(model):
    scan = model.scan_predictors(COUNTS.assign(flat=1))
    lines = scan.summary(3).split("\n")
    assert lines[0] == (
        "21 candidates beside trait ~ sex + (1 | id), 1 of them without a test"
    )
    assert lines[1] == "Wald tests (asymptotic), REML, variances estimated for each"
    assert lines[2] == f"inflation {scan.inflation:.3f}"
    best = scan.table["p"].nsmallest(3).index
    assert [line.split()[0] for line in lines[-3:]] == list(best)
    assert str(scan) == scan.summary()
    assert "reason" not in str(scan)
    assert "<table" in scan._repr_html_()
    assert repr(scan).startswith("<PredictorScan: 21 candidates")


def test_sets_are_called_sets(model):
    scan = model.scan_predictors(COUNTS, "held", sets={"a": list(COUNTS.columns[:3])})
    assert "1 set " in repr(scan)
    assert "variances held" in repr(scan)
    assert scan.table.index.name == "set"


def test_inflation_is_that_of_the_median_p_value(model):
    scan = model.scan_predictors(COUNTS)
    z = scan.table["statistic"]
    assert np.isclose(scan.inflation, np.median(z**2) / 0.45493642, rtol=0.2)
    odd = model.scan_predictors(COUNTS.iloc[:, :19])
    z = odd.table["statistic"]
    assert np.isclose(odd.inflation, np.median(z**2) / 0.45493642, rtol=1e-6)
    none = model.scan_predictors(np.ones((72, 1)))
    assert np.isnan(none.inflation)


def test_the_null_is_an_ordinary_fit(model):
    scan = model.scan_predictors(COUNTS, test="lr")
    assert not scan.null.reml
    assert np.isclose(scan.null.llf, model.fit(reml=False).llf)
    assert not scan.interrupted


def test_parquet(model, tmp_path):
    pytest.importorskip("pyarrow")
    scan = model.scan_predictors(COUNTS)
    scan.to_parquet(tmp_path / "scan.parquet")
    read = pd.read_parquet(tmp_path / "scan.parquet")
    pd.testing.assert_series_equal(read["p"], scan.table["p"])
    assert read.attrs["method"] == "exact"
    assert scan.table.attrs == {}


def test_attributes_of_other_packages_are_answered(model):
    scan = model.scan_predictors(genotypes(DATA, 3))
    with pytest.raises(AttributeError, match=r"no pvalues: write `scan.table\['p'\]`"):
        _ = scan.pvalues
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = scan.other
    assert not hasattr(pickle.loads(pickle.dumps(scan)), "tidy")


def test_a_summary_fits_a_page(model):
    where = pd.DataFrame({"chromosome": 1, "position": np.arange(20)}, COUNTS.columns)
    holes = COUNTS.astype(float)
    holes.iloc[0] = np.nan
    scan = model.scan_predictors(holes, positions=where, adjust="BH")
    text = scan.summary()
    assert max(map(len, text.splitlines())) <= 88
    assert "p_adjusted" in text
    assert "n_missing" not in text
    assert (scan.table["n_missing"] == 1).all()
