"""The example of ratings in batches, with fewer rows."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "ratings_in_batches.py"


@pytest.mark.slow
def test_example(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("ratings_in_batches", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with matplotlib.rc_context({"backend": "Agg"}):
        result = example.main(20_000, tmp_path / "movies.png")
    assert result.nobs == 20_000
    assert result.converged
    table = result.variance_components()
    sds = table.set_index("group")["sd"]
    assert sds["user"] == pytest.approx(0.5, rel=0.2)
    assert sds["Residual"] == pytest.approx(0.9, rel=0.05)
    assert (tmp_path / "movies.png").stat().st_size > 0
