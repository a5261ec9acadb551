"""Weights by row, of arrays and sparse matrices, and effects of all kinds."""

import numpy as np
from dense_twin import design
from numpy.testing import assert_allclose
from scipy import sparse

from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.precision_effects import PrecisionEffects
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.related_effects import related
from statsmodels_lmm.core.rows.row_transforms import RowWeights

ROOT = np.linspace(0.5, 2.0, 44)
WEIGHTS = RowWeights(ROOT)


def test_columns():
    columns = np.random.default_rng(0).standard_normal((44, 3))
    assert_allclose(WEIGHTS.apply(columns), np.diag(ROOT) @ columns)
    assert_allclose(WEIGHTS.apply(columns[:, 0]), ROOT * columns[:, 0])
    found = WEIGHTS.apply(sparse.csr_array(columns))
    assert found.format == "csr"
    assert_allclose(found.toarray(), np.diag(ROOT) @ columns)
    some = np.array([3, 1])
    assert_allclose(
        WEIGHTS.take(some).apply(columns[some]), ROOT[some, None] * columns[some]
    )


def test_rows():
    rng = np.random.default_rng(1)
    rows = Rows(rng.standard_normal(44), rng.standard_normal((44, 2)))
    change = rng.standard_normal((3, 2))
    wanted = ROOT[:, None] * rows.columns() @ change
    assert_allclose(rows.transformed(WEIGHTS).turned(change).columns(), wanted)
    assert_allclose(rows.turned(change).transformed(WEIGHTS).columns(), wanted)
    again = rows.turned(change).turned(change[:2])
    assert_allclose(again.columns(), rows.columns() @ change @ change[:2])


def test_effects():
    grouped = design("one factor, 2 effects").terms[0]
    raw = RawEffects(np.random.default_rng(2).standard_normal((44, 50)))
    precision = Precision(sparse.csc_array(2.0 * np.eye(raw.n_levels)))
    sparsely = PrecisionEffects(RawEffects(raw.matrix, precision))
    for factor in (grouped, raw, related(raw), sparsely):
        b = np.random.default_rng(3).standard_normal(
            (factor.n_levels, factor.k_effects)
        )
        assert_allclose(factor.transformed(WEIGHTS).times(b), ROOT * factor.times(b))
    assert related(raw).has_level_blocks
    assert not related(raw).transformed(WEIGHTS).has_level_blocks
    assert grouped.transformed(WEIGHTS).codes is grouped.codes


def test_unit_rows():
    """A row for each column of Z that is asked for, zero for what lies outside."""
    grouped = design("one factor, 2 effects").terms[0]
    raw = RawEffects(np.random.default_rng(2).standard_normal((44, 12)))
    for factor in (grouped, raw, related(raw)):
        columns = np.array([-1, 0, 5, 2, factor.n_columns])
        wanted = columns[:, None] == np.arange(factor.n_columns)
        found = factor.unit_rows(columns).indicator()
        assert_allclose(found.toarray(), wanted.astype(float))
