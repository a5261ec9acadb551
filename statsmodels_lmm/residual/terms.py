"""What a user says of the errors of a model."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from statsmodels_lmm.core.residuals.base import ResidualStructure
from statsmodels_lmm.core.residuals.by_name import RESIDUALS
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.keywords import CORRELATIONS


@dataclass(frozen=True)
class Residual:
    """
    Correlation of the errors within groups of rows, and which differ in variance.

    Parameters
    ----------
    structure : str or ResidualStructure
        The correlations: "ar1", "car1", "cs", "us", ..., or an object.
    when : str, array_like or sequence of them, optional
        When, or where, the rows of a group were observed: with a formula the name of a
        column, or several joined by ``+`` for places in space; otherwise one value, or
        one row of coordinates, for each row. Not needed for "cs".
    group : str or array_like
        The residual groups, between which errors are independent: names of columns
        joined by ":", or one value per row.
    by : str or array_like, optional
        Groups with parameters of their own, correlations and variances, such as the
        arms of a trial.
    hom : bool, optional
        Whether the errors at all visits have one variance. Default is True for "ar1",
        "car1", "toep", "arma" and structures in space, False for "us", "cs" and "ad",
        as in lme4 and glmmTMB, but True for "cs" without visits.

    Examples
    --------
    >>> from statsmodels_lmm.residual import Residual
    >>> print(Residual("ar1", when="trial", group="subject"))
    ar1(trial | subject)
    """

    structure: Any
    when: Any = None
    group: Any = None
    by: Any = None
    hom: bool | None = None

    def __post_init__(self):
        """Turn the name of a structure into the structure."""
        if isinstance(self.structure, str):
            if self.structure not in RESIDUALS:
                raise FormulaError(unknown_structure(self.structure))
            object.__setattr__(self, "structure", RESIDUALS[self.structure]())
        elif not isinstance(self.structure, ResidualStructure):
            raise TypeError(
                "the structure of the errors must be a name or an object of a subclass "
                f"of ResidualStructure, not {self.structure!r}"
            )
        if self.group is None:
            raise TypeError(
                "give the groups within which errors are correlated: group="
            )

    def __str__(self):
        when = "1" if _is_empty(self.when) else _written(self.when, " + ")
        options = [
            f"{name}={v}" for name, v in structure_options(self.structure).items()
        ]
        options += [] if self.hom is None else [f"hom={self.hom}"]
        options += [] if _is_empty(self.by) else [f"by={_written(self.by, ':')}"]
        inner = ", ".join([f"{when} | {_written(self.group, ':')}", *options])
        return f"{self.structure.name}({inner})"


def structure_options(structure):
    """
    The options of a structure of errors that are not the defaults.

    Parameters
    ----------
    structure : ResidualStructure
        The structure; only a dataclass has options.

    Returns
    -------
    dict
    """
    if not is_dataclass(structure):
        return {}
    pairs = {f.name: (getattr(structure, f.name), f.default) for f in fields(structure)}
    return {name: value for name, (value, usual) in pairs.items() if value != usual}


def _is_empty(names):
    return names is None or (isinstance(names, tuple) and not names)


def _written(names, joint):
    """Names as they stand in a formula."""
    if isinstance(names, str):
        return str(names)
    if isinstance(names, tuple) and all(isinstance(name, str) for name in names):
        return joint.join(map(str, names))
    return "..."


def unknown_structure(name, form="(time | group)"):
    """
    Say that there is no structure of errors with a name, and what to write.

    Parameters
    ----------
    name : str
        The unknown name.
    form : str, optional
        When or where, and the groups, in parentheses.

    Returns
    -------
    str
    """
    lower = name.lower()
    near = lower if lower in RESIDUALS else CORRELATIONS.get(lower)
    if near is None:
        return f"unknown structure of errors '{name}'; there are {', '.join(RESIDUALS)}"
    if RESIDUALS[near].needs_place:
        form = form.replace("(1 |", "(time |")
    if lower in ("toeph", "arh", "ar1h"):
        form = form.replace(")", ", hom=False)")
    return f'{name} is spelled {near} here: `residual="{near}{form}"`'
