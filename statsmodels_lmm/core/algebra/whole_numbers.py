"""Whole numbers in little memory."""

import numpy as np

LARGEST = 2**31
"""Numbers from which there is nothing to save."""


def compact(numbers, signed=False):
    """
    Numbers in the smallest type of whole numbers that holds them.

    Parameters
    ----------
    numbers : ndarray
        Any numbers.
    signed : bool, optional
        Whether the type has a sign. Without one, negative numbers stay as they are.

    Returns
    -------
    ndarray
        The same array unless all are whole numbers of that kind, smaller than 2^31.
    """
    lowest, highest = numbers.min(initial=0), numbers.max(initial=0)
    within = highest < LARGEST and lowest > (-LARGEST if signed else -1)
    if not within:  # nor where a number is undefined
        return numbers
    largest = int(max(highest, -lowest))
    small = numbers.astype(np.min_scalar_type(-1 - largest if signed else largest))
    return small if (small == numbers).all() else numbers
