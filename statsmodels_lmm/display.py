"""How a prompt and a notebook show what is returned."""

import re
from ast import literal_eval
from html import escape

import pandas as pd

QUOTED = re.compile(r"""\bQ\(((['"])(?:\\.|(?!\2).)*\2)\)""")
"""A column in the spelling of patsy."""


class Brief:
    """
    Mixin for what is shown in at most three lines.

    A class defines `_brief`, the lines, or for a notebook a table of its own.
    """

    _hidden: frozenset = frozenset()
    """What completion leaves out: names that are for statsmodels or this package."""

    def __dir__(self):
        return sorted({*super().__dir__()} - self._hidden)

    def _brief(self) -> list[str]:
        """What it is, in one to three lines."""
        raise NotImplementedError

    def __repr__(self):
        lines = "\n ".join(self._brief())
        return f"<{type(self).__name__}: {lines}>"

    def _repr_html_(self):
        return f"<pre>{escape(repr(self))}</pre>"


def captioned(lines, table):
    """
    A table for a notebook, below lines of text.

    Parameters
    ----------
    lines : sequence of str
        What the table is, as in `Brief`.
    table : str
        The table as HTML.

    Returns
    -------
    str
    """
    return f"<p>{'<br>'.join(map(escape, lines))}</p>{table}"


class ResultTable(pd.DataFrame):
    """
    A DataFrame of which a prompt shows every column, with a legend of its models.

    ``attrs["models"]`` has the formula of each model, by its label in the index.
    """

    @property
    def _constructor(self):
        return ResultTable

    def _legend(self):
        models = self.attrs.get("models", {})
        return [f"{label}: {formula}" for label, formula in models.items()]

    def __repr__(self):
        with pd.option_context("display.max_columns", None):
            return "\n".join([super().__repr__(), *self._legend()])

    def _repr_html_(self):
        with pd.option_context("display.max_columns", None):
            table = super()._repr_html_()
        legend = "<br>".join(map(escape, self._legend()))
        return f"{table}<p>{legend}</p>" if table and legend else table


def unquoted(text, mark=""):
    """
    A name or formula for reading, its columns without ``Q('...')``.

    Parameters
    ----------
    text : str
        Such as ``log(Q('RT (ms)'))``.
    mark : str, optional
        What stands around such a column: "`" keeps a formula legible.

    Returns
    -------
    str
        Such as ``log(RT (ms))``.
    """
    return QUOTED.sub(lambda found: f"{mark}{literal_eval(found[1])}{mark}", str(text))


def groups_of(random):
    """
    The grouping factors with their numbers of levels, for a single line.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.

    Returns
    -------
    str
    """
    return ", ".join(f"{effects.name} ({effects.n_levels:,})" for effects in random)
