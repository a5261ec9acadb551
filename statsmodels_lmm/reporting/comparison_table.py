"""Tables of several models side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.inference.requirements import as_fit, check_alpha, check_choice
from statsmodels_lmm.keywords import refuse_r_names
from statsmodels_lmm.reporting.model_columns import (
    labeled,
    model_column,
    ratio_of_any,
)
from statsmodels_lmm.reporting.typesetting import TextTable

STARS = {"***": 0.001, "**": 0.01, "*": 0.05}
UNCERTAINTY = ("std err", "conf_int", None)
PARTS = ("Fixed effects", "Random effects", "Fit")
FIT = ["N", "R2", "Pseudo R2", "R2 marginal", "R2 conditional", "ICC"]
FIT += ["Log-likelihood", "AIC", "BIC"]
"""Rows of the last part in their order; numbers of levels follow the first."""


@dataclass(frozen=True, repr=False)
class ComparisonTable:
    """
    Several models side by side; printed as text, and in notebooks as HTML.

    Attributes
    ----------
    frame : DataFrame
        The cells as text, with one column per model. The index has the levels part
        and row; the row of an uncertainty is empty.
    numbers : DataFrame
        The numbers before rounding, NaN where a model has none. The index has the
        levels part, row and value: "estimate", "std err", "p", "lower" or "upper".
    notes : list of str
        What stands below the table.
    title : str
        The title, empty if there is none.
    fits : list
        The fits, in the order of the columns.
    """

    frame: pd.DataFrame
    numbers: pd.DataFrame
    notes: list
    title: str
    fits: list

    def _table(self):
        parts = [
            [[label, *cells] for label, cells in zip(rows.index, rows.to_numpy())]
            for _, rows in self._parts()
        ]
        return TextTable(list(self.frame), parts, self.title, self.notes)

    def _parts(self):
        """Each part with its rows, labeled by row alone."""
        for part in self.frame.index.unique("part"):
            yield part, self.frame.loc[part]

    def as_text(self) -> str:
        """
        The table as plain text.

        Returns
        -------
        str
        """
        return self._table().as_text()

    def as_html(self) -> str:
        """
        The table as HTML.

        Returns
        -------
        str
        """
        return self._table().as_html()

    def as_latex(self) -> str:
        r"""
        The table as LaTeX, which needs ``\usepackage{booktabs}``.

        Returns
        -------
        str
            A ``tabular``, inside a ``table`` with a caption if there is a title.
        """
        return self._table().as_latex()

    __repr__ = __str__ = as_text
    _repr_html_ = as_html

    def to_maketables(self) -> Any:
        """
        The table as an object of the package maketables, which also writes Typst.

        Returns
        -------
        maketables.MTable

        Raises
        ------
        ImportError
            If maketables is not installed.
        """
        try:
            maketables = import_module("maketables")
        except ImportError as error:
            raise ImportError(
                'Word and Typst need maketables: pip install "statsmodels_lmm[tables]"'
            ) from error
        notes = "\n".join(self.notes)
        return maketables.MTable(self.frame, notes=notes, caption=self.title or None)

    def to_word(self, path: Any) -> None:
        """
        Write the table to a Word document, by means of maketables.

        Parameters
        ----------
        path : str or path-like
            File to write; an existing one is replaced.

        Raises
        ------
        ImportError
            If maketables is not installed.
        """
        place = str(Path(path).resolve())
        self.to_maketables().save("docx", place, show=False, replace=True)

    def info_dict(self) -> dict[str, Any]:
        """
        The random effects and the fit as an argument of statsmodels' ``summary_col``.

        Returns
        -------
        dict of str to callable
            By label, a function of one of the fits that returns its cell.
        """
        names = list(self.frame)
        cells = {
            label: dict(zip(names, row))
            for part, rows in self._parts()
            if part != PARTS[0]
            for label, row in zip(rows.index, rows.to_numpy())
        }

        def function(row):
            def cell(fit):
                at = next(i for i, f in enumerate(self.fits) if f is as_fit(fit))
                return row[names[at]]

            return cell

        return {label: function(row) for label, row in cells.items()}


@refuse_r_names(
    ci="is spelled uncertainty= here: `compare_table(result, uncertainty='conf_int')`",
    digits="is spelled decimals= here: `compare_table(result, decimals=2)`",
)
def compare_table(
    *fits: Any,
    names: Any = None,
    uncertainty: str | None = "std err",
    alpha: float = 0.05,
    stars: Any = False,
    exponentiate: bool = False,
    decimals: int = 3,
    labels: Any = None,
    title: str = "",
) -> ComparisonTable:
    """
    Table of several models side by side.

    Parameters
    ----------
    *fits : MixedResults or results of statsmodels
        The fits, also of different kinds and to different data. Of a cluster-robust
        covariance and of the degrees of freedom, those of the fit are used; see
        `with_cov_type` and `with_df_method`.
    names : sequence of str, optional
        Heads of the columns. Default is (1), (2) and so on.
    uncertainty : {"std err", "conf_int", None}, optional
        What stands below each coefficient: its standard error in parentheses, its
        confidence interval in brackets, or nothing.
    alpha : float, optional
        One minus the level of the intervals.
    stars : bool, optional
        Whether to mark p-values below 0.05, 0.01 and 0.001.
    exponentiate : bool, optional
        Whether coefficients are odds ratios, rate ratios or the like, with standard
        errors by the delta method. The random effects remain on the scale of the linear
        predictor.
    decimals : int, optional
        Decimals of the numbers. Log-likelihood and criteria have at most one, and a
        number that would be rounded to zero has two significant digits.
    labels : dict, optional
        Labels in place of the names of coefficients and other rows; None leaves a row
        out. Coefficients with the same label share a row, such as "const" and
        "Intercept".
    title : str, optional
        Title of the table.

    Returns
    -------
    ComparisonTable
        With `as_text`, `as_html`, `as_latex` and `to_word`. Its `frame` has the cells,
        for pandas, and its `numbers` the numbers before rounding.

    Raises
    ------
    TypeError
        If a fit has no coefficients with standard errors.
    ValueError
        If an argument has an unknown value, or coefficients to be exponentiated are not
        logarithms of ratios.

    Notes
    -----
    The parts are those of R's modelsummary: coefficients; standard deviations and
    correlations of the random effects; then the numbers of rows and levels, marginal
    and conditional R-squared, the adjusted ICC, log-likelihood and criteria. A
    coefficient follows the one that precedes it in its own model. What limits the
    numbers, such as a singular covariance matrix, stands below the table. NaN marks a
    number that the data do not determine.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> formulas = ["(1 | Subject)", "(Days | Subject)"]
    >>> fits = [crossedmixedlm(f"Reaction ~ Days + {f}", data).fit() for f in formulas]
    >>> table = compare_table(*fits, names=["intercepts", "slopes"], decimals=2)
    >>> table.frame.loc["Random effects"]  # doctest: +NORMALIZE_WHITESPACE
                                    intercepts slopes
    row
    SD (Intercept | Subject)             37.12  24.74
    SD (Days | Subject)                          5.92
    Cor (Intercept, Days | Subject)              0.07
    SD (Residual)                        30.99  25.59
    """
    check_choice("uncertainty", uncertainty, UNCERTAINTY)
    check_alpha(alpha)
    if not isinstance(decimals, int | np.integer) or not 0 <= decimals <= 15:
        raise ValueError(f"decimals must be a whole number from 0, not {decimals!r}")
    if not isinstance(labels or {}, Mapping):
        raise TypeError(
            f"labels must be a dict from names to labels, not {labels!r}; labels of "
            "the models are names="
        )
    raw = [as_fit(fit) for fit in fits]
    if not raw:
        raise TypeError("at least one fitted model is needed")
    names = [f"({i + 1})" for i in range(len(raw))] if names is None else names
    names = list(map(str, names))
    if len(names) != len(raw) or len(set(names)) < len(names):
        raise ValueError(f"names must be {len(raw)} different names, not {names!r}")
    labels = labels or {}
    columns = [model_column(fit, alpha, exponentiate) for fit in raw]
    values = [_values(column, labels) for column in columns]
    keys = _merged(values, labels)
    index = pd.MultiIndex.from_tuples(keys, names=["part", "row", "value"])
    numbers = {n: pd.Series(v, dtype=float) for n, v in zip(names, values)}
    cells = [_cells(v, keys, uncertainty, stars, decimals) for v in values]
    for each, column in zip(cells, columns):
        each[PARTS[2], labels.get("Estimation", "Estimation")] = column.method
    rows = pd.MultiIndex.from_tuples([k[:2] for k in cells[0]], names=["part", "row"])
    frame = {n: list(each.values()) for n, each in zip(names, cells)}
    notes = _notes_on_cells(raw, uncertainty, alpha, stars)
    for note, about in _by_note(raw, columns, names, exponentiate).items():
        notes.append(f"{', '.join(about)}: {note}")
    return ComparisonTable(
        pd.DataFrame(frame, rows), pd.DataFrame(numbers, index), notes, title, raw
    )


def _values(column, labels):
    """The numbers of a model by part, row and kind of value."""
    parts = [
        {
            (row, v): x
            for row, numbers in column.fixed.T.items()
            for v, x in numbers.items()
        },
        {(row, "estimate"): x for row, x in column.random.items()},
        {(row, "estimate"): x for row, x in column.fit.items()},
    ]
    values = {}
    for part, numbers in zip(PARTS, parts):
        for (row, value), number in numbers.items():
            key = part, labeled(row, labels), value
            if key[1] is None:
                continue
            if key in values:
                raise ValueError(f"two rows of a model are labeled {key[1]!r}")
            values[key] = number
    return values


def _merged(dicts, labels):
    """Keys of all dicts by part; each follows its predecessor in its own dict."""
    merged: list = []
    for keys in dicts:
        place = 0
        for key in keys:
            if key not in merged:
                merged.insert(place, key)
            place = merged.index(key) + 1
    ranks = {(PARTS[2], labels.get(row, row)): i for i, row in enumerate(FIT)}
    return sorted(merged, key=lambda key: (PARTS.index(key[0]), ranks.get(key[:2], 0)))


def _cells(values, keys, uncertainty, stars, decimals):
    """The cells of a model by part and row; that of an uncertainty has its own key."""
    cells: dict = {}
    for key in keys:
        part, row, kind = key
        if kind != "estimate":
            continue
        cells[part, row] = ""
        if key in values:
            cells[part, row] = _number(values[key], decimals, part)
            if stars and part == PARTS[0]:
                cells[part, row] += _stars(values[part, row, "p"])
        if part == PARTS[0] and uncertainty is not None:
            cells[part, "", row] = _uncertainty(values, row, uncertainty, decimals)
    return cells


def _uncertainty(values, row, kind, decimals):
    """The standard error or interval of a coefficient; empty without one."""
    if (PARTS[0], row, kind if kind == "std err" else "lower") not in values:
        return ""
    if kind == "std err":
        return f"({_number(values[PARTS[0], row, kind], decimals)})"
    ends = (_number(values[PARTS[0], row, v], decimals) for v in ("lower", "upper"))
    return f"[{', '.join(ends)}]"


def _number(value, decimals, part=PARTS[0]):
    """A count; a share, log-likelihood or criterion; or two digits at least."""
    if isinstance(value, int):
        return str(value)
    if np.isnan(value):
        return "NaN"
    if part == PARTS[2]:
        return f"{value:.{min(decimals, 1) if abs(value) > 1.0 else decimals}f}"
    is_small = 0.0 < abs(value) < 0.5 * 10.0**-decimals
    return f"{value:.2g}" if is_small else f"{value:.{decimals}f}"


def _stars(p):
    return next((mark for mark, limit in STARS.items() if p < limit), "")


def _notes_on_cells(fits, uncertainty, alpha, stars):
    """What the numbers in parentheses, the marks and the criteria are."""
    notes = []
    if uncertainty == "std err":
        notes.append("Standard errors in parentheses.")
    elif uncertainty == "conf_int":
        notes.append(f"{100.0 * (1.0 - alpha):g}% confidence intervals in brackets.")
    if stars:
        limits = (f"{mark} p < {limit}" for mark, limit in reversed(STARS.items()))
        notes.append(", ".join(limits) + ".")
    restricted = [fit for fit in fits if getattr(fit, "reml", False)]
    if restricted:
        note = "Log-likelihood, AIC and BIC of fits by REML are restricted"
        if len({tuple(fit.model.exog_names) for fit in restricted}) > 1:
            note += ", and not comparable if the fixed effects differ"
        notes.append(f"{note}.")
    return notes


def _by_note(fits, columns, names, exponentiate):
    """Names of the models that each note is about, by note."""
    about: dict = {}
    for fit, column, name in zip(fits, columns, names):
        notes = []
        if exponentiate:
            notes.append(f"Coefficients are {ratio_of_any(fit)}s.")
        if getattr(fit, "df_method", "asymptotic") != "asymptotic":
            notes.append(f"Degrees of freedom: {fit.df_method}.")
        for note in notes + column.notes:
            about.setdefault(note, []).append(name)
    return about
