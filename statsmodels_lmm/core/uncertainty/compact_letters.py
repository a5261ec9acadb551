"""
Letters that means share if they do not differ.

References
----------
Piepho, H.-P. (2004). An algorithm for a letter-based representation of all-pairwise
comparisons. Journal of Computational and Graphical Statistics 13, 456-466.
"""

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
    sets = np.ones((1, len(different)), dtype=bool)
    for i, j in zip(*np.nonzero(np.triu(different))):
        split = sets[:, i] & sets[:, j]
        halves = np.repeat(sets[split], 2, axis=0)
        halves[::2, i] = halves[1::2, j] = False
        sets = _largest(np.vstack([sets[~split], halves]))
    order = sorted(range(len(sets)), key=lambda n: tuple(np.flatnonzero(sets[n])))
    texts = [_letter(n) for n in range(len(sets))]
    return [
        "".join(text for text, inside in zip(texts, members) if inside)
        for members in sets[order].T
    ]


def _largest(sets):
    """The sets that no other one contains, each of them once, shape (n, k)."""
    inside = sets.astype(float) @ ~sets.T == 0.0
    earlier = np.tri(len(sets), k=-1, dtype=bool)
    return sets[~(inside & (~inside.T | earlier)).any(axis=1)]


def _letter(i):
    """a, ..., z, A, ..., Z, a1, ..."""
    again, place = divmod(i, len(LETTERS))
    return LETTERS[place] + (str(again) if again else "")
