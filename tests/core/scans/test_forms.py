"""Quadratic forms of candidates."""

import numpy as np

from statsmodels_lmm.core.scans.estimates import REPRODUCED, SPANNED
from statsmodels_lmm.core.scans.forms import Forms, independent_part


def forms_of(x, y, columns, width=1):
    """Forms at V = I of candidates, or of sets of `width`."""
    whole = np.column_stack([x, y])
    root = np.linalg.cholesky(whole.T @ whole)[None]
    sets = columns.T.reshape(-1, width, len(y))
    own = sets @ sets.swapaxes(1, 2)
    cross = sets @ whole
    return Forms.of(own[:, None], cross[:, None], root, np.zeros(1))


def test_forms_are_those_of_residuals():
    rng = np.random.default_rng(0)
    x, y, c = rng.normal(size=(30, 2)), rng.normal(size=30), rng.normal(size=(30, 6))
    q = np.linalg.qr(x)[0]
    rest = c - q @ (q.T @ c)
    found = forms_of(x, y, c.copy())
    assert np.allclose(found.information[:, 0, 0, 0], (rest**2).sum(axis=0))
    assert np.allclose(found.score[:, 0, 0], rest.T @ y)
    sets = forms_of(x, y, c.copy(), 3)
    assert np.allclose(sets.information[1, 0], rest[:, 3:].T @ rest[:, 3:])
    left = np.column_stack([x, c[:, 3:]])
    squares = np.linalg.lstsq(left, y)[1][0]
    assert np.isclose(sets.left()[1, 0], squares)
    expected = 27 * np.log(squares) + np.linalg.slogdet(sets.information[1, 0])[1]
    assert np.isclose(sets.criterion(27, True)[1, 0], expected)
    assert np.isclose(sets.criterion(27, False)[1, 0], 27 * np.log(squares))


def test_what_x_spans_or_reproduces_the_response_has_a_reason_and_no_infinity():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    columns = np.column_stack([x[:, 0] - x[:, 1], y, rng.normal(size=30)])
    found = forms_of(x, y, columns)
    assert found.is_spanned.tolist() == [True, False, False]
    assert np.isfinite(found.criterion(27, True)).all()
    out = found.held(0.0, 30, 27, True)
    assert out.reason.tolist() == [SPANNED, REPRODUCED, 0]


def test_columns_that_depend_on_others_are_left_out():
    rng = np.random.default_rng(2)
    c = rng.normal(size=(20, 3))
    columns = np.column_stack([c[:, 0], 0.0 * c[:, 0], c[:, 0] * 2.0, c[:, 1:]])
    columns = np.column_stack([columns, c @ [1.0, -1.0, 2.0]])
    norms = np.linalg.norm(columns, axis=0)
    assert independent_part(columns, norms).tolist() == [0, 3, 4]
    # what X leaves of a column is small relative to the column
    assert independent_part(1e-6 * columns[:, :1], norms[:1]).tolist() == []
