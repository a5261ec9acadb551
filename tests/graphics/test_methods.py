"""Every picture is a method of what it is of, and needs matplotlib only when drawn."""

import sys

import pytest
from samples import load

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from statsmodels_lmm import graphics  # noqa: E402
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm  # noqa: E402

DATA = load("sleepstudy")
ELSEWHERE = {"plot_bootstrap", "plot_power", "plot_variogram"}
ELSEWHERE |= {"plot_pvalues", "plot_volcano", "plot_manhattan", "plot_scan_qq"}
"""Pictures of other objects, or of models with correlated errors."""

ARGUMENTS = {"plot_effects": ("Days",), "plot_profile_pairs": ("fixed",)}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    return crossedmixedlm("Reaction ~ Days + (Days | Subject)", DATA).fit()


@pytest.fixture(scope="module")
def of_mixedlm():
    return mixedlm("Reaction ~ Days", DATA, groups="Subject", re_formula="~Days").fit()


@pytest.mark.parametrize(
    "name", [name for name in graphics.__all__ if name not in ELSEWHERE]
)
def test_methods(result, of_mixedlm, name):
    arguments = ARGUMENTS.get(name, ())
    assert isinstance(getattr(result, name)(*arguments), Figure)
    assert isinstance(getattr(of_mixedlm, name)(*arguments), Figure)
    assert hasattr(graphics, name)


def test_methods_of_what_a_result_returns(result):
    assert isinstance(result.bootstrap(30, rng=1).plot("fixed"), Figure)
    assert isinstance(result.profile("fixed").plot(), Figure)
    assert isinstance(result.simulated_residuals(50, rng=1).plot(), Figure)


@pytest.mark.slow
def test_matplotlib_that_is_missing(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"statsmodels-lmm\[plots\]"):
        result.plot_residuals()


def texts(figure):
    """All that is written in a figure, as it is drawn."""
    figure.canvas.draw()
    found = [t for t in figure.findobj(matplotlib.text.Text) if t.get_visible()]
    return [t.get_text().replace(r"\$", "$") for t in found if t.get_text()]


@pytest.mark.slow
def test_dollars_and_underscores_are_drawn_as_they_are():
    """Matplotlib takes dollars for formulas and hides entries that start with "_"."""
    levels = {name: rf"${name}_{{$" for name in DATA["Subject"].unique()}
    data = DATA.assign(
        Subject=DATA["Subject"].astype(str).map(levels),
        f=["$a_{$", "$5 or $6"] * 90,
    )
    names = {"Subject": "_$g_{$", "f": "_f", "Reaction": "$y_{$", "Days": "$x_{$"}
    data = data.rename(columns=names)
    formula = 'Q("$y_{$") ~ Q("$x_{$") * _f + (Q("$x_{$") | Q("_$g_{$"))'
    result = crossedmixedlm(formula, data).fit()
    drawn = {}
    for name in graphics.__all__:
        if name in {*ELSEWHERE, "plot_effects", "plot_influence"}:
            continue
        arguments = ARGUMENTS.get(name, ())
        drawn[name] = texts(getattr(result, name)(*arguments))
    drawn["plot_influence"] = texts(result.plot_influence("_$g_{$"))
    drawn["plot_effects"] = texts(result.plot_effects("$x_{$", by="_f"))
    levels = set(data["_$g_{$"])
    for name in ("plot_groups", "plot_random_effects", "plot_influence"):
        assert levels <= set(drawn[name]), name
    for name in ("plot_groups", "plot_effects", "plot_residuals"):
        assert any("$y_{$" in text for text in drawn[name]), name
    assert {" _f = $a_{$", " _f = $5 or $6"} <= set(drawn["plot_effects"])
    other = result.plot_coefficients(result, names=["_a", "$b_{$"])
    assert {" _a", "$b_{$"} <= set(texts(other))
