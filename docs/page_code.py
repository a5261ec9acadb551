"""
The Python of a page: what it draws is the page's picture, what it prints its output.

A page refers to its pictures as ``_pictures/PAGE_1.png`` and so on, in the order in
which its code makes figures.
"""

import contextlib
import io
import re
import warnings
from textwrap import dedent

BLOCK = re.compile(
    r"^\.\. (code-block:: python|hidden python|code-block:: text)\n"
    r"((?:[ ]{3,}.*\n|\n)+)",
    re.MULTILINE,
)


def blocks(text):
    """
    The blocks of a page.

    Parameters
    ----------
    text : str
        The page.

    Yields
    ------
    line : int
        Where the block starts, from 0.
    kind : {"code-block:: python", "hidden python", "code-block:: text"}
        What it is.
    content : str
        Its lines, dedented.
    """
    for found in BLOCK.finditer(text):
        yield text[: found.start(2)].count("\n"), found[1], dedent(found[2])


def run(page):
    """
    Run the code of a page in one namespace.

    Parameters
    ----------
    page : Path
        The page.

    Yields
    ------
    line : int
        Where a block of code starts, from 0.
    printed : str
        What it printed.
    shown : str or None
        The output that the page shows below it.
    """
    namespace = {"__name__": page.stem}
    found = [*blocks(page.read_text()), (0, "", "")]
    for (line, kind, code), (_, following, text) in zip(found, found[1:]):
        if kind == "code-block:: text":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
        yield line, printed.getvalue(), text if following.endswith("text") else None


def draw(page, folder):
    """
    Save the figures that the code of a page makes, if the page shows any.

    Parameters
    ----------
    page : Path
        The page.
    folder : Path
        Where pictures go.
    """
    import matplotlib
    from matplotlib import pyplot as plt

    matplotlib.use("Agg")
    if f"_pictures/{page.stem}_" not in page.read_text():
        return
    folder.mkdir(exist_ok=True)
    plt.close("all")
    with warnings.catch_warnings(), plt.rc_context({"figure.dpi": 100}):
        warnings.simplefilter("ignore")
        for _ in run(page):
            pass
        for number in plt.get_fignums():
            name = f"{page.stem}_{number}.png"
            plt.figure(number).savefig(folder / name, dpi=150, bbox_inches="tight")
        plt.close("all")
