"""Transformed responses of linear models, log(y) or sqrt(y), as links."""

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.families.links import Link, Log

LOG_2, LOG_10 = np.log(2.0), np.log(10.0)

INVERSES: dict[str, tuple[Any, Any, Any]] = {
    "log2": (np.log2, np.exp2, lambda eta: LOG_2 * np.exp2(eta)),
    "log10": (np.log10, lambda eta: 10.0**eta, lambda eta: LOG_10 * 10.0**eta),
    "log1p": (np.log1p, np.expm1, np.exp),
    "sqrt": (
        np.sqrt,
        lambda eta: np.maximum(eta, 0.0) ** 2,
        lambda eta: 2.0 * np.maximum(eta, 0.0),
    ),
}
"""Transformations, their inverses and the slopes of these; no root is negative."""

TRANSFORMS = ("log", *INVERSES)


@dataclass(frozen=True)
class Transform(Link):
    """
    A transformation of the response as a link.

    Parameters
    ----------
    function : str
        One of `INVERSES`.
    """

    function: str

    @property
    def name(self):
        """Name of the function."""
        return self.function

    def link(self, mu):
        """The transformed value."""
        return INVERSES[self.function][0](mu)

    def mean(self, eta):
        """The value before the transformation."""
        return INVERSES[self.function][1](eta)

    def mean_slope(self, eta):
        """The derivative of that value."""
        return INVERSES[self.function][2](eta)


def response_transform(text):
    """
    Find the transformation of the response of a formula.

    Parameters
    ----------
    text : str
        The left-hand side, such as "np.log(y + 1)".

    Returns
    -------
    link : Link or None
        The transformation; None if it is none of `TRANSFORMS` of numpy or of a formula.
    inside : str
        What is transformed, such as "y + 1".
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None, text
    if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
        return None, text
    package, _, name = ast.unparse(call.func).rpartition(".")
    if package not in ("", "np", "numpy") or name not in TRANSFORMS:
        return None, text
    return Log() if name == "log" else Transform(name), ast.unparse(call.args[0])
