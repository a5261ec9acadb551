"""
Pictures against images of them that were looked at.

Without text, whose shape depends on the version of matplotlib and of its fonts. After
a change that is meant, draw the images anew, and look at them, with
``python tests/graphics/test_baseline.py``.
"""

import functools
import shutil
from pathlib import Path

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("PIL")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.legend import Legend  # noqa: E402
from matplotlib.testing.compare import compare_images  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from statsmodels_lmm import datasets  # noqa: E402
from statsmodels_lmm.formula.api import crossedmixedlm  # noqa: E402
from statsmodels_lmm.graphics.diagnostics import (  # noqa: E402
    plot_residuals,
    plot_simulated_residuals,
)
from statsmodels_lmm.graphics.effects import plot_effects  # noqa: E402
from statsmodels_lmm.graphics.influence import plot_influence  # noqa: E402
from statsmodels_lmm.graphics.profiles import plot_profile  # noqa: E402
from statsmodels_lmm.graphics.random_effects import plot_random_effects  # noqa: E402

FOLDER = Path(__file__).parent / "baseline"


@functools.cache
def sleepstudy():
    data = datasets.sleepstudy.load_pandas().data
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()


@functools.cache
def dyestuff():
    data = datasets.dyestuff.load_pandas().data
    return crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit(reml=False)


PICTURES = {
    "effects": lambda: plot_effects(sleepstudy(), "Days"),
    "influence": lambda: plot_influence(sleepstudy()),
    "profile": lambda: plot_profile(dyestuff()),
    "random_effects": lambda: plot_random_effects(sleepstudy()),
    "residuals": lambda: plot_residuals(sleepstudy()),
    "simulated_residuals": lambda: plot_simulated_residuals(sleepstudy(), 99, rng=1),
}


def draw(name, folder):
    """Save a picture, without text and in a place that does not depend on it."""
    with matplotlib.rc_context(), matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = PICTURES[name]()
        figure.draw_without_rendering()
        for artist in [*figure.findobj(Text), *figure.findobj(Legend)]:
            artist.set_visible(False)
        figure.set_layout_engine(None)
        figure.subplots_adjust(0.05, 0.05, 0.95, 0.95)
        figure.set_size_inches(4.0, 3.0)
        path = Path(folder) / f"{name}.png"
        figure.savefig(path, dpi=80, metadata={"Software": None})
        plt.close(figure)
    return path


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name, tmp_path):
    # compare_images writes next to the images
    expected = shutil.copy(FOLDER / f"{name}.png", tmp_path / "expected.png")
    found = draw(name, tmp_path)
    # a curve left out or another color differs by 1.7 to 25, matplotlib 3.9 from 3.11
    # by nothing
    assert compare_images(expected, found, tol=1.5) is None


def test_every_image_has_its_picture():
    assert {path.stem for path in FOLDER.glob("*.png")} == set(PICTURES)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in PICTURES:
        print(draw(each, FOLDER))
