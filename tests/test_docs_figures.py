"""Figures on pages are those that a script has measured, and no others."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from statsmodels_lmm.formula.api import crossedmixedlm

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are not here"
)


def simple_tables(text):
    """Tables between lines of equal signs."""
    blocks = re.split(r"\n\s*\n", text)
    return [b.strip() for b in blocks if re.match(r"=+ +=", b.strip())]


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("benchmarks", 18),
        ("derived", 1),
        ("inference", 1),
        ("generalized_inference", 2),
    ],
)
def test_tables_are_those_of_the_benchmarks(page, count):
    measured = (ROOT / "benchmarks/README.rst").read_text()
    tables = simple_tables((ROOT / f"docs/{page}.rst").read_text())
    assert len(tables) == count
    for table in tables:
        assert table in measured, table


@pytest.fixture(scope="module")
def accuracy():
    path = ROOT / "benchmarks/accuracy.py"
    spec = importlib.util.spec_from_file_location("accuracy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_text_about_accuracy_is_that_of_the_script(accuracy):
    page = (ROOT / "docs/accuracy.rst").read_text()
    for part in re.split(r"\{.*?\}", accuracy.PAGE):
        assert part in page, part


def test_digits(accuracy):
    assert accuracy.digits(1.0, 1.0) == 16.0
    assert accuracy.digits([1.0, 2.0 + 2e-7], [1.0, 2.0]) == pytest.approx(
        7.0, abs=1e-6
    )
    assert accuracy.digits(-1.0, 1.0) == 0.0


def test_balanced_data(accuracy):
    """A weighted sum of the mean squares is the total, and the fit is the same."""
    for name, _, *found in accuracy.balanced_digits():
        # a difference of mean squares loses what their ratio is, two digits at most
        assert min(found) > 12.0, name
    y = accuracy.as_array(accuracy.load("dyestuff"), "Yield", "Batch")
    (between,), within = accuracy.one_way(y)
    total = float(np.var(y.astype(float), ddof=0) * 30)
    assert float(5 * (5 * between + within) + 24 * within) == pytest.approx(total)


def test_dense_criterion(accuracy):
    """The minimum in mpmath is the one in fractions."""
    pytest.importorskip("mpmath")
    data = accuracy.load("dyestuff")
    fit = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    criterion = accuracy.DenseCriterion(fit)
    theta = criterion.minimize()
    (between,), within = accuracy.one_way(accuracy.as_array(data, "Yield", "Batch"))
    ratio = criterion.mp.mpf(between.numerator) / between.denominator
    ratio *= criterion.mp.mpf(within.denominator) / within.numerator
    assert abs(theta[0] ** 2 / ratio - 1) < 1e-30
    value, coefficients, errors, covariances, scale = criterion(theta, whole=True)
    assert abs(scale * within.denominator / within.numerator - 1) < 1e-30
    assert float(value) == pytest.approx(-2.0 * fit.llf, rel=1e-14)
    assert float(coefficients[0]) == pytest.approx(1527.5, rel=1e-14)
    assert float(errors[0]) == pytest.approx(fit.bse.iloc[0], rel=1e-12)
    assert float(covariances[0]) == pytest.approx(float(between), rel=1e-14)
