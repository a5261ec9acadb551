"""The example of generalized models runs, and prints what is known about its data."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[1] / "examples" / "generalized.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("generalized_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(text, label):
    """The numbers of the first row with a label."""
    line = next(line for line in text.splitlines() if line.startswith(label))
    return [float(x) for x in line.removeprefix(label).split()]


def test_proportions(example, capsys):
    example.proportions()
    text = capsys.readouterr().out
    assert row(text, "period[T.2]")[0] == 0.3707  # exp(-0.992333) of lme4
    for quarter in "1234":
        zero, mean, lower, upper = row(text, f"{quarter}  ")
        assert lower < zero < mean < upper


def test_answers(example, capsys):
    example.answers()
    text = capsys.readouterr().out
    laplace, quadrature = row(text, "log-likelihood")
    assert 0.2 < quadrature - laplace < 0.4
    assert max(row(text, "correlation")) < -0.7


def test_counts(example, capsys):
    example.counts()
    text = capsys.readouterr().out
    assert "Overdispersion: Pearson's chi-squared is 1.74 times" in text
    aic = [
        row(text, name)[0]
        for name in ("Poisson  ", "with an effect for each chick", "negative binomial")
    ]
    assert aic[0] - 190.0 > aic[1] > aic[2]
