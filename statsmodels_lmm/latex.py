"""statsmodels' summaries with text below the tables that LaTeX can read."""

from copy import copy

from statsmodels.iolib import summary as iolib_summary
from statsmodels.iolib import summary2 as iolib_summary2

LATEX = {c: f"\\{c}" for c in "#$%&_{}"}
LATEX |= {"\\": "\\textbackslash{}", "^": "\\textasciicircum{}"}
LATEX |= {"~": "\\textasciitilde{}", "|": "\\textbar{}"}
"""What stands in LaTeX for characters that mean something there."""


class Summary(iolib_summary.Summary):
    """statsmodels' summary, whose text below the tables is LaTeX in LaTeX."""

    def as_latex(self):
        """The tables and the text below as LaTeX."""
        return iolib_summary.Summary.as_latex(_for_latex(self))


class Summary2(iolib_summary2.Summary):
    """statsmodels' other summary, whose text below the tables is LaTeX in LaTeX."""

    def as_latex(self, label=""):
        """The tables and the text below as LaTeX."""
        return iolib_summary2.Summary.as_latex(_for_latex(self), label)


def _for_latex(table):
    """A summary with the text below its tables escaped."""
    table = copy(table)
    mapping = str.maketrans(LATEX)
    if isinstance(table.extra_txt, str):
        table.extra_txt = table.extra_txt.translate(mapping)
    elif table.extra_txt:
        table.extra_txt = [line.translate(mapping) for line in table.extra_txt]
    return table
