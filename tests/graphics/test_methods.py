"""Every picture is a method of what it is of, and needs matplotlib only when drawn."""

import subprocess
import sys

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from statsmodels_lmm import datasets, graphics  # noqa: E402
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm  # noqa: E402

DATA = datasets.sleepstudy.load_pandas().data
ARGUMENTS = {"plot_effects": ("Days",)}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", DATA).fit()


@pytest.mark.parametrize(
    "name", [name for name in graphics.__all__ if name != "plot_bootstrap"]
)
def test_methods(result, name):
    arguments = ARGUMENTS.get(name, ())
    assert isinstance(getattr(result, name)(*arguments), Figure)
    old = mixedlm("Reaction ~ Days", DATA, groups="Subject", re_formula="~Days").fit()
    assert isinstance(getattr(old, name)(*arguments), Figure)
    assert hasattr(graphics, name)


def test_methods_of_what_a_result_returns(result):
    assert isinstance(result.bootstrap(30, rng=1).plot("fixed"), Figure)
    assert isinstance(result.profile("fixed").plot(), Figure)
    assert isinstance(result.simulated_residuals(50, rng=1).plot(), Figure)


def test_matplotlib_is_not_imported_before_a_picture_is_drawn():
    code = "import sys, statsmodels_lmm; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_matplotlib_that_is_missing(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"statsmodels-lmm\[plots\]"):
        result.plot_residuals()
