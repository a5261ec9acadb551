"""What a notebook and a prompt show of what is returned, and what they complete."""

import pytest
from samples import load

from statsmodels_lmm import crossedmixedlm

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def result():
    formula = "Reaction ~ Days + (Days | Subject)"
    return crossedmixedlm(formula, load("sleepstudy")).fit()


@pytest.mark.parametrize("own", [False, True], ids=["new", "ax"])
def test_a_figure_is_shown_once(own, result):
    plt = pytest.importorskip("matplotlib.pyplot")
    formatters = pytest.importorskip("IPython.core.formatters")
    before = plt.get_backend()
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    try:
        figure = result.plot_residuals(ax=plt.subplots()[1] if own else None)
        # at the end of its cell, or by plt.show()
        assert plt.figure(plt.get_fignums()[0]) is figure
        # as the value of its cell, and then not at its end
        for _ in range(2):
            formats, _ = formatters.DisplayFormatter().format(figure)
            assert formats["text/plain"].startswith("<Figure")
            assert not plt.get_fignums()
    finally:
        plt.close("all")
        plt.switch_backend(before)


def test_other_backends_keep_their_figures(result):
    plt = pytest.importorskip("matplotlib.pyplot")
    figures = [result.plot_profile(), result.plot_residuals()]
    assert [figure._repr_mimebundle_() for figure in figures] == [{}, {}]
    assert all(plt.fignum_exists(figure.number) for figure in figures)
    plt.close("all")
