"""
How Sphinx builds the pages: ``python -m sphinx -W -b html docs docs/_build/html``.

The pictures of a page are what its own code draws, see `page_code`.
"""

import functools
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import page_code  # noqa: E402

import statsmodels_lmm  # noqa: E402

project = "statsmodels_lmm"
author = "The statsmodels_lmm developers"
project_copyright = author
version = release = statsmodels_lmm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "mathml",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/GALLERY_HEADER.rst"]
default_role = "py:obj"  # as docstrings of numpydoc mean `name`

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_show_inherited_class_members = False

html_theme = "furo"
html_title = f"statsmodels_lmm {release}"
html_math_renderer = "mathml"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["style.css"]

GALLERY = HERE.parent / "examples" / "gallery"
if GALLERY.is_dir():
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "examples_dirs": "../examples/gallery",
        "gallery_dirs": "gallery",
        "write_computation_times": False,
        "show_memory": False,
        "download_all_examples": False,
        "capture_repr": (),  # what an example shows is printed
        "backreferences_dir": None,
        "within_subsection_order": "gallery_order.place",
    }


def draw_pictures(app):
    """Draw what the pages show before they are read."""
    draw = functools.partial(page_code.draw, folder=HERE / "_pictures")
    with ProcessPoolExecutor(app.parallel) as processes:
        list(processes.map(draw, sorted(HERE.glob("*.rst"))))


def without_results(app, what, name, obj, options, lines):
    """Leave out what a function is called with where it is a method of that."""
    own = ("results : ", "means : MarginalMeans")
    found = [i for i, x in enumerate(lines) if x.startswith(own)]
    if what == "method" and found:
        start = found[0]
        stop = start + 1
        while stop < len(lines) and lines[stop].startswith(" "):
            stop += 1
        del lines[start:stop]


def setup(app):
    """Connect with Sphinx."""
    app.connect("autodoc-process-docstring", without_results, priority=400)
    app.connect("builder-inited", draw_pictures)
