"""statsmodels' summaries as HTML and LaTeX, with every name escaped."""

import html
import re
from copy import copy, deepcopy
from typing import Any

from statsmodels.iolib import summary as iolib_summary
from statsmodels.iolib import summary2 as iolib_summary2
from statsmodels.iolib.table import SimpleTable

from statsmodels_lmm.formula.backend import simple_tables

LATEX = {c: f"\\{c}" for c in "#$%&_{}"}
LATEX |= {"\\": "\\textbackslash{}", "^": "\\textasciicircum{}"}
LATEX |= {"~": "\\textasciitilde{}", "|": "\\textbar{}"}
LATEX |= {"<": "\\textless{}", ">": "\\textgreater{}"}
"""LaTeX for the characters that have a special meaning there."""


def latex(text):
    """
    Escape a text so that LaTeX prints it literally.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
    """
    return text.translate(str.maketrans(LATEX))


def _line(text):
    """A text without line breaks; other values are returned unchanged."""
    return " ".join(text.splitlines()) if isinstance(text, str) else text


def _cell(text):
    r"""A cell in LaTeX; ``[`` and ``*`` would be read as arguments of a ``\\``."""
    return re.sub(r"^\s*([\[*])", r"{\1}", latex(_line(text)))


class Table(SimpleTable):
    """statsmodels' table with its text escaped in HTML and LaTeX."""

    def as_text(self, **fmt_dict: Any) -> str:
        """The table as text, with each cell in one line."""
        return SimpleTable.as_text(_escaped(self, _line), **fmt_dict)

    def as_html(self, **fmt_dict: Any) -> str:
        """The table as HTML."""
        return SimpleTable.as_html(_escaped(self, html.escape), **fmt_dict)

    def as_latex_tabular(self, center: bool = True, **fmt_dict: Any) -> str:
        """The table as LaTeX."""
        table = _escaped(self, _cell)
        # statsmodels would replace some characters a second time
        table.output_formats["latex"]["replacements"] = {}
        return SimpleTable.as_latex_tabular(table, center, **fmt_dict)


def _escaped(table, escape):
    """A copy of a table with its text escaped."""
    table = deepcopy(table)
    if table.title:
        table.title = escape(str(table.title))
    for row in table:
        row.table._colwidths = {}
        for cell in row:
            if isinstance(cell.data, str):
                cell.data = escape(cell.data)
    return table


class _Tables(list):
    """The tables of a summary, each of which becomes a `Table`."""

    def append(self, table):
        table.__class__ = Table
        super().append(table)


class Summary(iolib_summary.Summary):
    """statsmodels' summary with its text escaped in HTML and LaTeX."""

    def __init__(self):
        super().__init__()
        self.tables = _Tables()

    def as_html(self) -> str:
        """The tables and the text below them as HTML."""
        return iolib_summary.Summary.as_html(_with_text(self, html.escape))

    def as_latex(self) -> str:
        """The tables and the text below them as LaTeX."""
        return iolib_summary.Summary.as_latex(_with_text(self, latex))


class Summary2(iolib_summary2.Summary):
    """statsmodels' second kind of summary with its text escaped in HTML and LaTeX."""

    def as_text(self) -> str:
        """The tables and the text below them, with each cell in one line."""
        lines, breaks = copy(self), {r"\s*\n\s*": " "}
        lines.tables = [
            table.rename(index=_line).replace(breaks, regex=True)
            for table in self.tables
        ]
        return iolib_summary2.Summary.as_text(lines)

    def as_html(self) -> str:
        """The tables and the text below them as HTML."""
        empty = copy(_with_text(self, html.escape))
        empty.tables, empty.settings = [], []
        tables = "\n".join(table.as_html() for table in self._simple_tables())
        return tables + iolib_summary2.Summary.as_html(empty)

    def as_latex(self, label: str = "") -> str:
        """The tables and the text below them as LaTeX."""
        tables = "\n\n".join(t.as_latex_tabular() for t in self._simple_tables())
        title = latex(self.title or "")
        text = " \\newline \n".join(map(latex, self.extra_txt))
        return "\n".join(
            [
                "\\begin{table}",
                f"\\caption{{{title}}}",
                f"\\label{{{label}}}",
                tables,
                "\\end{table}",
                "\\bigskip",
                text,
            ]
        )

    def _simple_tables(self):
        tables = _Tables()
        for table in simple_tables(self.tables, self.settings):
            tables.append(table)
        return tables


def _with_text(summary, escape):
    """A summary with the text below its tables escaped."""
    summary = copy(summary)
    if isinstance(summary.extra_txt, str):
        summary.extra_txt = escape(summary.extra_txt)
    elif summary.extra_txt:
        summary.extra_txt = [escape(line) for line in summary.extra_txt]
    return summary
