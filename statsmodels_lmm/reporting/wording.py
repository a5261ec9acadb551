"""Names, numbers and statistics as they are written in sentences."""

import re
from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.display import unquoted
from statsmodels_lmm.inference.fixed.degrees_of_freedom import SMALL_SAMPLE
from statsmodels_lmm.reporting.model_columns import labeled

MOST_DECIMALS = 6
"""Numbers with more decimals are written as powers of ten."""


@dataclass(frozen=True)
class Style:
    """
    How words are marked.

    Parameters
    ----------
    is_markdown : bool
        Whether to mark them at all.
    labels : dict
        Words in place of names.
    """

    is_markdown: bool
    labels: dict

    def symbol(self, text):
        """A symbol of statistics, in italics."""
        return f"*{text}*" if self.is_markdown else text

    def name(self, text):
        """A name in the font of code, or its label; None if it is left out."""
        label = labeled(text, self.labels)
        if label is None or label != unquoted(text):
            return label and self.words(label)
        return self.code(label)

    def code(self, text):
        """A name or formula, in the font of code."""
        if not self.is_markdown:
            return text
        text = " ".join(text.split())
        fence = "``" if "`" in text else "`"
        gap = " " if "`" in text else ""
        return f"{fence}{gap}{text}{gap}{fence}"

    def words(self, text):
        """Words that may contain names, without a special meaning."""
        escaped = re.sub(r"([\\`*_<>\[\]#|&~$])", r"\\\1", text)
        return escaped if self.is_markdown else text


def level(alpha):
    """The level of intervals in percent."""
    return f"{100 * (1 - alpha):g}%"


def statistic(value, df, df_method, style):
    """The statistic as in "t(17.0) = 6.77"; z without degrees of freedom."""
    if df is None:
        return f"{style.symbol('z')} = {number(value)}"
    shown = f"{df:.1f}" if df_method in SMALL_SAMPLE else f"{df:g}"
    return f"{style.symbol('t')}({shown}) = {number(value)}"


def joint_statistic(test, style):
    """The statistic as in "F(3, 17.0) = 2.71"; chi2 without degrees of freedom."""
    if np.isfinite(test.df_denom):
        df = f"{test.df_num}, {test.df_denom:.1f}"
        return f"{style.symbol('F')}({df}) = {number(test.statistic)}"
    chi2 = style.symbol("\u03c7\u00b2" if style.is_markdown else "chi2")
    return f"{chi2}({test.df_num}) = {number(test.statistic * test.df_num)}"


def p_value(p, style):
    """A p-value as in "p = .012", without the leading zero."""
    symbol = style.symbol("p")
    if p < 0.001:
        return f"{symbol} {style.words('<')} .001"
    return f"{symbol} = {p:.3f}".replace(" 0.", " .")


def decimals(error):
    """Decimals that show the first digit of a standard error, two at least."""
    return max(2, int(np.ceil(-np.log10(error)))) if error > 0.0 else 2


def number(value, digits=2):
    """Some decimals, or as powers of ten where these would be many or zero."""
    if not np.isfinite(value) or value == 0.0:
        return f"{value:.2f}"
    is_small = abs(value) < 0.5 * 10.0**-digits
    if digits <= MOST_DECIMALS and not is_small:
        return f"{value:.{digits}f}"
    significant = digits + int(np.floor(np.log10(abs(value)))) + 1
    return f"{value:.{max(2, significant)}g}"


def listed(items):
    """Items with commas and "and"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
