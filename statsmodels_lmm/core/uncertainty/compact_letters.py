"""
Letters that means share if they do not differ.

References
----------
Piepho, H.-P. (2004). An algorithm for a letter-based representation of all-pairwise
comparisons. Journal of Computational and Graphical Statistics 13, 456-466.
"""

from string import ascii_letters

import numpy as np


def compact_letters(different):
    """
    Letters by Piepho's algorithm, insert and absorb.

    Parameters
    ----------
    different : ndarray
        Whether two means differ, a symmetric matrix of booleans, shape (k, k).

    Returns
    -------
    list of str
        The letters of each mean; two share a letter if and only if they do not differ.
        The first mean has the first letter.
    """
    sets = [np.ones(len(different), dtype=bool)]
    for i, j in zip(*np.nonzero(np.triu(different))):
        split = []
        for one in sets:
            if one[i] and one[j]:
                split += [one & (np.arange(len(one)) != m) for m in (i, j)]
            else:
                split.append(one)
        sets = _largest(split)
    sets.sort(key=lambda one: tuple(np.flatnonzero(one)))
    texts = [_letter(i) for i in range(len(sets))]
    return [
        "".join(t for t, one in zip(texts, sets) if one[m])
        for m in range(len(different))
    ]


def _largest(sets):
    """The sets that no other one contains."""
    sets = list({one.tobytes(): one for one in sets}.values())
    return [
        one for one in sets if not any((one <= o).all() for o in sets if o is not one)
    ]


def _letter(i):
    """a, ..., z, A, ..., Z, a1, ..."""
    again, place = divmod(i, len(ascii_letters))
    return ascii_letters[place] + (str(again) if again else "")
