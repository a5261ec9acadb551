"""Tables of text, typeset as plain text, HTML and LaTeX."""

import html
import re
from dataclasses import dataclass
from textwrap import wrap

from statsmodels_lmm.markup import latex


@dataclass(frozen=True)
class TextTable:
    """
    A table of text in parts that are separated by rules.

    Parameters
    ----------
    header : list of str
        Heads of the columns, without that of the labels.
    parts : list of list of list of str
        Rows of each part; a row is its label and one cell per column.
    title : str
        Title, empty if there is none.
    notes : list of str
        Sentences below the table.
    """

    header: list
    parts: list
    title: str
    notes: list

    def as_text(self) -> str:
        """
        The table as plain text.

        Returns
        -------
        str
        """
        rows = [["", *self.header], *(row for part in self.parts for row in part)]
        lines = [[" ".join(cell.split()) for cell in row] for row in rows]
        first, *others = [max(map(len, column)) for column in zip(*lines)]
        printed = [
            f"{row[0]:<{first}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], others))
            for row in lines
        ]
        width = len(printed[0])
        text = [self.title.center(width).rstrip()] if self.title else []
        text += ["=" * width, printed.pop(0).rstrip()]
        for part in self.parts:
            text.append("-" * width)
            text += [printed.pop(0).rstrip() for _ in part]
        text.append("=" * width)
        for note in self.notes:
            text += wrap(note, max(width, 60), break_long_words=False)
        return "\n".join(text)

    def as_html(self) -> str:
        """
        The table as HTML, with a ``tbody`` for each part.

        Returns
        -------
        str
        """
        title = f"<caption>{html.escape(self.title)}</caption>\n" if self.title else ""
        heads = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in self.header)
        body = "\n".join(
            "<tbody>\n" + "\n".join(map(_html_row, part)) + "\n</tbody>"
            for part in self.parts
        )
        span = len(self.header) + 1
        notes = "<br>\n".join(map(html.escape, self.notes))
        return (
            f"<table>\n{title}<thead>\n<tr><td></td>{heads}</tr>\n</thead>\n{body}\n"
            f'<tfoot>\n<tr><td colspan="{span}">{notes}</td></tr>\n</tfoot>\n</table>'
        )

    def as_latex(self) -> str:
        r"""
        The table as LaTeX with the rules of the package booktabs.

        Returns
        -------
        str
            A ``tabular``, inside a ``table`` with a caption if there is a title.
        """
        columns = len(self.header)
        lines = [f"\\begin{{tabular}}{{l{'r' * columns}}}", "\\toprule"]
        lines.append(_latex_row(["", *self.header]))
        for part in self.parts:
            lines += ["\\midrule", *map(_latex_row, part)]
        lines += ["\\bottomrule", "\\end{tabular}"]
        if self.notes:
            notes = [f"{latex(note)}\\par" for note in self.notes]
            begin, end = "\\begin{flushleft}\\footnotesize", "\\end{flushleft}"
            lines += [begin, *notes, end]
        if self.title:
            caption = f"\\caption{{{latex(self.title)}}}"
            lines = ["\\begin{table}", "\\centering", caption, *lines, "\\end{table}"]
        return "\n".join(lines)


def _html_row(row):
    """A row, whose label is its heading."""
    label, *cells = map(html.escape, row)
    body = "".join(f'<td style="text-align: right">{cell}</td>' for cell in cells)
    return f'<tr><th scope="row" style="text-align: left">{label}</th>{body}</tr>'


def _latex_row(row):
    r"""A row with true minus signs; ``[`` after ``\\`` would be read as a length."""
    label, *cells = (latex(" ".join(cell.split())) for cell in row)
    cells = [re.sub(r"(?<![\w.])-(?=\d)", r"$-$", cell) for cell in cells]
    return " & ".join(["{}" + label, *cells]) + r" \\"
