"""Functions of the parameters, as users give them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from statsmodels_lmm.inference.derived.joint_estimates import drawn_parameters
from statsmodels_lmm.inference.derived.parameter_expressions import (
    ANYTHING,
    CORRELATION,
    POSITIVE,
    SHARE,
    parse,
)
from statsmodels_lmm.inference.requirements import check_choice

TRANSFORMS = {
    "identity": ANYTHING,
    "log": POSITIVE,
    "logit": SHARE,
    "fisher": CORRELATION,
}
"""Ranges that each transformation respects."""


@dataclass(frozen=True)
class Function:
    """
    A function of the parameters.

    Parameters
    ----------
    name : str
        Its name in tables.
    value : callable
        From `NamedParameters` to its value.
    range : tuple of float
        A range that holds for all values of the parameters.
    """

    name: str
    value: Callable
    range: tuple


def functions_of(given, transform=None):
    """
    The functions that a user gave, in any of the forms that `derive` takes.

    Parameters
    ----------
    given : str, callable, list or dict
        As for `derive`.
    transform : str or None
        As for `derive`.

    Returns
    -------
    list of Function
    """
    if transform is not None:
        check_choice("transform", transform, tuple(TRANSFORMS))
    pairs = [(None, given)]
    if isinstance(given, dict):
        pairs = list(given.items())
    elif isinstance(given, list | tuple):
        pairs = [(None, each) for each in given]
    out: list = []
    for name, each in pairs:
        if isinstance(each, str):
            trees = parse(each)
            if name is not None and len(trees) > 1:
                raise ValueError(f"{name!r} must be a single expression")
            out += [Function(name or n, t.value, t.range) for n, t in trees.items()]
        elif callable(each):
            own = getattr(each, "__name__", "function")
            own = "function" if own == "<lambda>" else own
            out.append(Function(name or own, each, ANYTHING))
        else:
            raise TypeError(
                "a function of the parameters is text such as 'var(g) / "
                f"(var(g) + var(Residual))', or a callable, not {each!r}"
            )
    names = [f.name for f in out]
    again = {name for name in names if names.count(name) > 1}
    if again or not out:
        raise ValueError(
            f"the name {', '.join(map(str, again))} is given twice; use a dict"
            if out
            else "there is no function to evaluate"
        )
    if transform is None:
        return out
    return [Function(f.name, f.value, TRANSFORMS[transform]) for f in out]


def evaluated(functions, results, draws, settings=None):
    """
    Evaluate functions in every replicate at once.

    Parameters
    ----------
    functions : list of Function
        The functions.
    results : MixedResults
        The fit from which the replicates were drawn.
    draws : DataFrame
        `BootstrapResults.draws`.
    settings : dict, optional
        Arguments of `variance_of_distribution`.

    Returns
    -------
    DataFrame
        One column per function.
    """
    parameters = drawn_parameters(results, draws, settings)
    with np.errstate(all="ignore"):
        values = {f.name: f.value(parameters) for f in functions}
    return pd.DataFrame(
        {name: np.broadcast_to(value, len(draws)) for name, value in values.items()},
        index=draws.index,
        dtype=float,
    )
