"""The package is a row of rooms, and each knows only the rooms before it."""

import ast
from pathlib import Path

import pytest

import statsmodels_lmm

ROOT = Path(statsmodels_lmm.__file__).parent

ROOMS = """
exceptions keywords display
core.algebra core.families core.structures core.rows core.residuals core.engines
core.criteria core.search core.penalized core.uncertainty core.resampling core.many
core.scans
inputs relationship random residual formula markup inference batches scan graphics
results many regularized models mixedlm reporting
""".split()
"""In the order in which a fit walks through them."""

OF_CORE = {"numpy", "scipy", "concurrent", "dataclasses", "functools", "heapq"}
OF_CORE |= {"os", "pathlib", "time", "typing"}

DOORS = ("formula.api",)
"""Modules through which users come in, so that they know every room."""


def name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = [p for p in sorted(ROOT.rglob("*.py")) if name(p) not in DOORS]


def room(module):
    """The room of a module, the longest that it is in; None for the doors."""
    inside = [r for r in ROOMS if f"{module}.".startswith(f"{r}.")]
    return max(inside, key=len, default=None)


def imported(nodes):
    """Full names of the modules that some statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_lead_to_rooms_before(path):
    """Pictures alone are imported late, by methods of what they show."""
    tree = ast.parse(path.read_text())
    here = room(name(path))
    if here is None:
        return
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        for module in imported([node]):
            own = module.removeprefix("statsmodels_lmm.")
            there = room(own) if module.startswith("statsmodels_lmm.") else None
            if there is None or (there == "graphics" and id(node) not in top):
                continue
            assert ROOMS.index(there) <= ROOMS.index(here), module


@pytest.mark.parametrize(
    "path", [p for p in MODULES if name(p).startswith("core.")], ids=name
)
def test_the_core_knows_arrays_only(path):
    for module in imported(ast.walk(ast.parse(path.read_text()))):
        inside = module.startswith("statsmodels_lmm.core")
        assert inside or module.partition(".")[0] in OF_CORE, module


def test_every_module_has_a_room():
    flat = {p.stem for p in ROOT.glob("*.py")} - {"__init__"}
    assert flat == {
        "display", "exceptions", "keywords", "markup", "old_names", "show_versions",
        "structures",
    }  # fmt: skip
    folders = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    assert folders == {r.partition(".")[0] for r in ROOMS} - flat | {"datasets"}
