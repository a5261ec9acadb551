"""
The Python of the README and of the pages runs and prints what they show.

The blocks of a page are run in order, in one namespace, at the lines where they stand.
Hidden ones are comments of reStructuredText, which no reader sees::

    .. hidden python

        new = data.head(3)

They prepare what a block needs, and check what the text around it claims.
"""

import importlib
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.rst")), ROOT / "README.rst"]


@pytest.fixture(scope="module")
def page_code():
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("page_code")
    sys.path.pop(0)


def same_output(text):
    """Output as it is compared: figures of rounding errors are not."""
    text = re.sub(r"(?<=proved in )\d+(?= evaluations)", "#", text)
    text = re.sub(r"-?\d+(\.\d+)?e-(1[2-9]|[2-9]\d)", "#", text)
    text = re.sub(r"(?<=gradient |ain left )\S+(?=,)", "#", text)
    text = re.sub(r"(?<=eigenvalue )-?\d+e-(0[8-9]|1\d)", "#", text)
    text = re.sub(r"-(0\.0*)(?!\d)", r" \1", text)
    return [line.rstrip() for line in text.strip("\n").split("\n")]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_code(page, page_code):
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"backend": "Agg"}):
        for line, printed, shown in page_code.run(page):
            if shown is not None:
                assert same_output(printed) == same_output(shown), f"line {line}"
        importlib.import_module("matplotlib.pyplot").close("all")


def test_output_that_differs_is_found():
    assert same_output("a 1e-13 \n") == same_output("\na 2.5e-16")
    assert same_output("a -0.0 1") == same_output("a  0.0 1")
    assert same_output("proved in 6 evaluations") == same_output(
        "proved in 7 evaluations"
    )
    assert same_output("1.5e-11") != same_output("1.6e-11")
    assert same_output("-0.01") != same_output("0.01")
    assert same_output("12.5") != same_output("12.6")


def test_readme_renders_without_a_warning():
    core = pytest.importorskip("docutils.core")
    settings = {"halt_level": 2, "report_level": 2, "syntax_highlight": "none"}
    html = core.publish_string(
        (ROOT / "README.rst").read_text(), writer="html5", settings_overrides=settings
    ).decode()
    assert "hidden python" not in re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)


def test_a_page_is_cut_into_its_blocks(page_code):
    code = ".. code-block:: python\n\n    one\n\n    two\n\nb\n\n.. hidden python\n\n"
    text = "a\n\n" + code + "    three\n\n.. code-block:: text\n\n    no\n"
    found = [(line, kind[:6], t.strip()) for line, kind, t in page_code.blocks(text)]
    assert [found[0], found[1]] == [
        (3, "code-b", "one\n\ntwo"),
        (11, "hidden", "three"),
    ]
    assert found[2][2] == "no"
