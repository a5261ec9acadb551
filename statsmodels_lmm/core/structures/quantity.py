"""The quantities that tables report for a covariance block."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """
    A standard deviation, a correlation or another parameter of a covariance block.

    Parameters
    ----------
    kind : {"sd", "cor", ""}
        The kind of quantity.
    first, second : int or None
        Positions in the block of the effects that it concerns; None if it concerns all.
        For a block with a structure, `first` is None except for standard deviations.
    effect1, effect2 : str
        Names of these effects in tables.
    label : str
        Name in tables of parameters, without the grouping factor.
    """

    kind: str
    first: int | None
    second: int | None
    effect1: str
    effect2: str
    label: str
