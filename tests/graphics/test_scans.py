"""Plots of scans."""

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from statsmodels_lmm.exceptions import DataError  # noqa: E402
from statsmodels_lmm.graphics import plot_manhattan, plot_scan_qq  # noqa: E402
from statsmodels_lmm.scan import PredictorScan  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def scan_of(p, **columns):
    table = pd.DataFrame({**columns, "p": p}, [f"s{i}" for i in range(len(p))])
    rest = "exact", "wald", "asymptotic", True, "mean", len(p)
    return PredictorScan(table, None, *rest)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_manhattan_places_chromosomes_one_after_another():
    p = np.array([0.5, 1e-9, np.nan, 0.2, 1e-8, 0.0])
    chromosome = ["2", "2", "10", "10", "10", "X"]
    position = [5, 9, 1, 100, 140, 7]
    scan = scan_of(p, chromosome=chromosome, position=position)
    (ax,) = scan.plot_manhattan().axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "10", "X"]
    dots = np.concatenate([c.get_offsets().data for c in ax.collections])
    assert len(dots) == 5
    order = np.argsort(dots[:, 0])
    expected = -np.log10([0.5, 1e-9, 0.2, 1e-8, np.finfo(float).tiny])
    assert np.allclose(dots[order, 1], expected)
    assert np.allclose(np.diff(dots[order, 0])[[0, 2]], [4.0, 40.0])
    line = ax.lines[0].get_ydata()[0]
    assert np.isclose(line, -np.log10(0.05 / 5))
    assert sorted(texts(ax)) == ["s1", "s4", "s5"]
    alternating = [len(c.get_offsets()) for c in ax.collections]
    assert alternating == [3, 2]


def test_manhattan_without_positions_is_in_order_of_the_candidates():
    scan = scan_of(np.array([1e-6, 1e-7, 0.3]))
    figure, own = plt.subplots()
    assert plot_manhattan(scan, alpha=None, ax=own) is figure
    assert own.get_xlabel() == "candidate"
    assert texts(own) == []
    assert not own.lines
    (ax,) = plot_manhattan(scan).axes
    assert texts(ax) == ["s1", "s0"]
    (ax,) = plot_manhattan(scan, names=False).axes
    assert texts(ax) == []


def test_qq_has_the_line_the_band_and_the_inflation():
    p = np.random.default_rng(0).uniform(size=200)
    scan = scan_of(p)
    (ax,) = scan.plot_qq().axes
    points = ax.lines[1]
    assert np.allclose(points.get_ydata(), -np.log10(np.sort(p)))
    assert np.allclose(points.get_xdata(), -np.log10((np.arange(200) + 0.5) / 200))
    assert ax.get_title() == f"inflation {scan.inflation:.3f}"
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() > 2.5


def test_qq_of_many_candidates_keeps_the_small_p_values():
    p = np.random.default_rng(0).uniform(size=30_000)
    (ax,) = plot_scan_qq(scan_of(p)).axes
    drawn = ax.lines[1].get_ydata()
    assert len(drawn) < 5_001
    assert np.allclose(drawn[:50], -np.log10(np.sort(p)[:50]))


def test_without_p_values_there_is_nothing_to_plot():
    scan = scan_of(np.array([np.nan, np.nan]))
    for plot in (plot_manhattan, plot_scan_qq):
        with pytest.raises(DataError, match="no candidate"):
            plot(scan)
