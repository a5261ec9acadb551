"""What a covariance block is told by in tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """
    A standard deviation, a correlation or another parameter of a covariance block.

    Parameters
    ----------
    kind : {"sd", "cor", ""}
        What it is.
    first, second : int or None
        The effects that it is about, by position in the block; None where it is about
        all. For a block with a structure `first` is None for all but deviations.
    effect1, effect2 : str
        What they are called in tables.
    label : str
        Its name in tables of parameters, without the grouping factor.
    """

    kind: str
    first: int | None
    second: int | None
    effect1: str
    effect2: str
    label: str
