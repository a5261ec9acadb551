"""Residuals of groups: medians, boxes, whiskers and what lies outside."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.cbook import boxplot_stats
from numpy.testing import assert_allclose, assert_array_equal
from samples import sleepstudy

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm.graphics.diagnostics import plot_residuals  # noqa: E402
from statsmodels_lmm.graphics.residual_groups import draw_residual_groups  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_each_group_has_its_box():
    result = sleepstudy()
    (ax,) = plot_residuals(result, by="Subject").axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    subjects = result.model.data.frame["Subject"].to_numpy()
    assert labels == sorted(set(subjects), reverse=True)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Pearson residual", "Subject")
    whiskers, boxes = (
        {s[0, 1]: s[:, 0] for s in c.get_segments()} for c in ax.collections
    )
    medians, outside = (li.get_xydata() for li in ax.lines[1:])
    count = 0
    for row, label in enumerate(labels):
        (own,) = boxplot_stats(result.resid_pearson[subjects == label])
        assert_allclose(boxes[row], [own["q1"], own["q3"]])
        assert_allclose(whiskers[row], [own["whislo"], own["whishi"]])
        assert_allclose(medians[medians[:, 1] == row, 0], own["med"])
        found = np.sort(outside[outside[:, 1] == row, 0])
        assert_allclose(found, np.sort(own["fliers"]))
        count += len(found)
    assert count == len(outside) > 5


def test_levels_of_a_number_and_values_of_the_rows():
    result, (_, own) = sleepstudy(), plt.subplots()
    assert plot_residuals(result, ax=own, by="Days") is own.get_figure()
    assert [t.get_text() for t in own.get_yticklabels()] == list("9876543210")
    (ax,) = plot_residuals(result, "response", by=np.arange(180) % 2).axes
    assert len(ax.get_yticklabels()) == 2
    assert ax.get_xlabel() == "residual of Reaction"


def test_many_groups_are_in_order_of_their_medians():
    values = np.random.default_rng(1).standard_normal(600)
    codes, names = np.arange(600) % 100, pd.Index(range(100), name="g")
    (ax,) = draw_residual_groups(values, codes, names, "residual").axes
    medians = ax.lines[1].get_xydata()
    expected = np.sort(np.median(values.reshape(6, 100), axis=0))
    assert_allclose(medians[np.argsort(medians[:, 1]), 0], expected)
    assert_array_equal(np.sort(medians[:, 1]), np.arange(100))
    assert ax.get_ylabel() == "g (100 levels)"
