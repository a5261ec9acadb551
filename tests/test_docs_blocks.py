"""
The Python of the pages is run.

The blocks of a page are run in order, in one namespace, at the lines where they stand.
Hidden ones are comments of reStructuredText, which no reader sees::

    .. hidden python

        new = data.head(3)

They prepare what a block needs, and check what the text around it claims.
"""

import builtins
import re
import symtable
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.rst")), ROOT / "README.rst"]
BLOCK = re.compile(
    r"^\.\. (?:code-block:: python|hidden python)\n((?:[ ]{3,}.*\n|\n)+)", re.MULTILINE
)
FRAGMENTS: dict = {}
"""Most blocks of a page that show calls with data of the reader's own."""


def blocks_of(text):
    """The blocks of a page as they are compiled, and the lines where they start."""
    for found in BLOCK.finditer(text):
        line = text[: found.start(1)].count("\n")
        yield line, "\n" * line + dedent(found[1])


def unknown_names(code, namespace):
    """Names that neither the block nor those before it define."""

    def tables(table):
        yield table
        for child in table.get_children():
            yield from tables(child)

    top = symtable.symtable(code, "block", "exec")
    known = {s.get_name() for s in top.get_symbols() if s.is_assigned()}
    known |= {s.get_name() for s in top.get_symbols() if s.is_imported()}
    known |= set(namespace) | set(dir(builtins))
    used = {
        symbol.get_name()
        for table in tables(top)
        for symbol in table.get_symbols()
        if symbol.is_global() or table is top
    }
    return used - known


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_blocks(page):
    namespace = {"__name__": page.stem}
    fragments = []
    for line, code in blocks_of(page.read_text()):
        unknown = unknown_names(code, namespace)
        if unknown:
            fragments.append(f"line {line}: {', '.join(sorted(unknown))}")
        else:
            exec(compile(code, str(page), "exec"), namespace)
    assert len(fragments) <= FRAGMENTS.get(page.name, 0), fragments


def test_readme_renders_without_a_warning():
    page = ROOT / "README.rst"
    core = pytest.importorskip("docutils.core")
    settings = {"halt_level": 2, "report_level": 2, "syntax_highlight": "none"}
    html = core.publish_string(
        page.read_text(), writer="html5", settings_overrides=settings
    ).decode()
    assert "hidden python" not in re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)


def test_names_of_a_block_are_seen():
    found = unknown_names("import a\nb = a.c\nprint([d for e in f], *g)", {"g": 1})
    assert found == {"d", "f"}
    assert unknown_names("def h(x):\n    return x + y\n\n\nh(1)", {}) == {"y"}
    assert unknown_names("class K:\n    z = w", {}) == {"w"}


def test_a_page_is_cut_into_its_blocks():
    text = (
        "a\n\n.. code-block:: python\n\n    one\n\n    two\n\nb\n\n.. hidden python\n\n"
    )
    text += "    three\n\n.. code-block:: text\n\n    no\n"
    lines = [(line, code.strip()) for line, code in blocks_of(text)]
    assert lines == [(3, "one\n\ntwo"), (11, "three")]
