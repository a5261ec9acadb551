"""The pages are built, and what they link to is there."""

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import statsmodels_lmm
from statsmodels_lmm import datasets, exceptions, relationship, structures
from statsmodels_lmm.results.generalized import CrossedMixedGLMResults
from statsmodels_lmm.results.linear import CrossedMixedLMResults

ROOT = Path(__file__).parents[1]
TOOLS = ("furo", "matplotlib", "numpydoc", "sphinx", "sphinx_gallery")
UNNAMED = {
    "at_optimum",
    "cov_params_default",
    "df_method",
    "df_modelwc",
    "mle_retvals",
    "mle_settings",
}
"""Public names of the results that the reference leaves out."""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The folder of the pages: DOCS_HTML, or built without the runs of the gallery."""
    if "DOCS_HTML" in os.environ:
        return Path(os.environ["DOCS_HTML"]).resolve()
    for tool in TOOLS:
        pytest.importorskip(tool)
    home = tmp_path_factory.mktemp("docs")
    ignored = shutil.ignore_patterns("_build", "_pictures", "generated", "gallery")
    shutil.copytree(ROOT / "docs", home / "docs", ignore=ignored)
    for path in ROOT.iterdir():
        if path.suffix in (".rst", ".md") or path.name in ("benchmarks", "examples"):
            (home / path.name).symlink_to(path)
    options = ["-W", "--keep-going", "-q", "-b", "html"]
    if (ROOT / "examples" / "gallery").is_dir():
        options += ["-D", "sphinx_gallery_conf.plot_gallery=0"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "docs", "html"],
        cwd=home,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert not built.returncode, built.stderr[-3000:]
    return home / "html"


class Targets(HTMLParser):
    """What a page links to and shows, and the names that it can be linked by."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.names = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Collect from a tag."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
                if tag != "a":
                    self.loads.append(value)
            elif name == "id":
                self.names.add(value)


def broken_links(folder):
    """Links of the pages of a folder to files, pictures or names that are not there."""
    paths = (p for p in folder.rglob("*.html") if "_static" not in p.parts)
    pages = {p: Targets(p.read_text()) for p in paths}
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = unquote(parts.path)
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                yield f"{page.relative_to(folder)}: {link}"
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].names:
                    yield f"{page.relative_to(folder)}: {link}"


@pytest.mark.slow
def test_every_link_and_picture_is_there(html):
    assert not list(broken_links(html))


@pytest.mark.slow
def test_a_page_is_read_without_a_network(html):
    for page in html.rglob("*.html"):
        loads = Targets(page.read_text()).loads
        assert loads
        assert not [x for x in loads if urlsplit(x).netloc], page.name


@pytest.mark.slow
def test_every_page_is_built_and_hides_what_is_hidden(html):
    for page in (ROOT / "docs").glob("*.rst"):
        text = (html / f"{page.stem}.html").read_text()
        assert "hidden python" not in text, page.name
        for picture in re.findall(r"_pictures/(\S+\.png)", page.read_text()):
            assert picture in text
            assert (html / "_images" / picture).stat().st_size > 5_000


@pytest.mark.slow
def test_methods_are_documented_without_what_they_belong_to(html):
    pages = list((html / "generated").glob("*CrossedMixed*LMResults.*.html"))
    assert len(pages) > 60
    for page in pages:
        assert "<strong>results</strong>" not in page.read_text(), page.name
    function = html / "generated/statsmodels_lmm.to_json.html"
    assert "<strong>results</strong>" in function.read_text()


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="b.html#gone">2</a><img src="no.png">'
        '<a href="https://example.org">3</a><a href="#here">4</a><p id="here">'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    assert list(broken_links(tmp_path)) == ["a.html: b.html#gone", "a.html: no.png"]


def test_the_reference_has_every_public_name():
    named = set(re.findall(r"\w+", (ROOT / "docs" / "api.rst").read_text()))
    public = {
        name
        for results in (CrossedMixedLMResults, CrossedMixedGLMResults)
        for kind in results.__mro__
        if kind.__module__.startswith("statsmodels_lmm")
        for name in vars(kind)
        if not name.startswith("_")
    }
    for module in (statsmodels_lmm, datasets, relationship, structures, exceptions):
        public |= {name for name in module.__all__ if name != "warn"}
    assert sorted(public - named - UNNAMED) == []


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {statsmodels_lmm.__version__}\n" in text


def test_the_recipe_is_of_this_package():
    setup, recipe = ConfigParser(), (ROOT / "recipe" / "recipe.yaml").read_text()
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"].strip().split("\n")
    run = re.search(r"\n  run:\n(.*?)\n  \w", recipe, re.DOTALL)[1]
    listed = [line.removeprefix("    - ").replace(" ", "") for line in run.split("\n")]
    assert listed[1:] == needed
    assert f'version: "{statsmodels_lmm.__version__}"' in recipe
    minimum = setup["options"]["python_requires"].removeprefix(">=")
    assert f'python_min: "{minimum}"' in recipe
