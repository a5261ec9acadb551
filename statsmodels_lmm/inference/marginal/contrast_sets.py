"""Sets of contrasts between means, with names and coefficients."""

import re
from itertools import combinations
from math import comb, gcd, lcm

import numpy as np

CONTRASTS = ("pairwise", "reference", "consecutive", "effects", "poly")

R_CONTRASTS = {
    "consec": "'consecutive'",
    "eff": "'effects'",
    "revpairwise": "'pairwise' with reverse=True",
    "trt.vs.ctrl": "'reference'",
    "tukey": "'pairwise'",
}
"""What to write for emmeans' contrasts."""

DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")


def contrast_set(method, levels, reverse=False, reference=None, sign="-"):
    """
    Names and coefficients of a set of contrasts of k means.

    Parameters
    ----------
    method : str, dict or array_like
        One of `CONTRASTS`; "interaction" or a list of these names, one for each factor;
        a dict from names to k coefficients; or an array of shape (q, k).
    levels : DataFrame
        Levels of the factors for each mean, k rows.
    reverse : bool, optional
        Whether to reverse the sign of differences.
    reference : optional
        Level, or tuple of levels, of the mean with which others are compared. Default
        is the first.
    sign : {"-", "/"}, optional
        What stands between the names of two means that are compared.

    Returns
    -------
    names : list of str
        Names of the q contrasts.
    coefficients : ndarray
        Shape (q, k).

    Raises
    ------
    ValueError
        If an argument has an unknown value or shape.
    """
    k, labels, one = len(levels), level_labels(levels), np.eye(len(levels))
    if is_interaction(method):
        if reverse or reference is not None:
            raise ValueError("reverse and reference are for contrasts of one set")
        return _interaction(method, levels, sign)
    if not isinstance(method, str):
        return _own(method, k)
    if method in R_CONTRASTS:
        raise ValueError(f"for method={method!r} write {R_CONTRASTS[method]}")
    if method not in CONTRASTS:
        raise ValueError(
            f"method must be {', '.join(map(repr, CONTRASTS))}, 'interaction', a dict "
            f"or an array of coefficients, not {method!r}"
        )
    if method == "poly":
        coefficients = orthogonal_polynomials(k)
        return list(DEGREES[: len(coefficients)]), coefficients
    if method == "effects":
        return [f"{name} effect" for name in labels], one - 1.0 / k
    if method == "pairwise":
        pairs = list(combinations(range(k), 2))
    elif method == "consecutive":
        pairs = [(i + 1, i) for i in range(k - 1)]
    else:
        place = _position(reference, levels)
        pairs = [(i, place) for i in range(k) if i != place]
    if reverse:
        pairs = [(b, a) for a, b in pairs]
    names = [f"{labels[a]} {sign} {labels[b]}" for a, b in pairs]
    return names, np.array([one[a] - one[b] for a, b in pairs]).reshape(-1, k)


def is_interaction(method):
    """
    Whether a set is made of contrasts of contrasts.

    Parameters
    ----------
    method : str, dict or array_like
        As for `contrast_set`.

    Returns
    -------
    bool
    """
    if isinstance(method, str):
        return method == "interaction"
    return isinstance(method, (list, tuple)) and any(
        isinstance(name, str) for name in method
    )


def level_labels(levels):
    """
    Label each combination of levels, as emmeans does.

    Parameters
    ----------
    levels : DataFrame
        Levels of the factors.

    Returns
    -------
    list of str
        Levels separated by blanks; numbers follow the name of their factor, and
        anything that looks like arithmetic is in parentheses.
    """
    if not levels.shape[1]:
        return ["all"] * len(levels)
    columns = []
    for name in levels:
        texts = [
            f"{v:g}" if isinstance(v, float) else str(v) for v in levels[name].tolist()
        ]
        is_number = any(re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", t) for t in texts)
        columns.append([f"{name}{t}" for t in texts] if is_number else texts)
    labels = [" ".join(parts) for parts in zip(*columns)]
    return [f"({t})" if re.search(r"[-+*/]", t) else t for t in labels]


def orthogonal_polynomials(k):
    r"""
    Orthogonal polynomials at 1, ..., k as the smallest whole numbers.

    Discrete Chebyshev polynomials :math:`\sum_i (-1)^{j-i} \binom{j}{i}
    \binom{j+i}{i} \binom{x}{i} / \binom{k-1}{i}`, x = 0, ..., k - 1.

    Parameters
    ----------
    k : int
        Number of means.

    Returns
    -------
    ndarray
        Degrees 1 to min(6, k - 1), shape (degrees, k).
    """
    polynomials = []
    for j in range(1, min(len(DEGREES), k - 1) + 1):
        common = lcm(*(comb(k - 1, i) for i in range(j + 1)))
        factors = [
            (-1) ** (j - i) * comb(j, i) * comb(j + i, i) * common // comb(k - 1, i)
            for i in range(j + 1)
        ]
        values = [sum(f * comb(x, i) for i, f in enumerate(factors)) for x in range(k)]
        polynomials.append([value // gcd(*values) for value in values])
    return np.array(polynomials, dtype=float).reshape(-1, k)


def free(names, taken):
    """
    Names of columns that no factor has.

    Parameters
    ----------
    names : iterable of str
        The names.
    taken : iterable
        Names of the factors.

    Returns
    -------
    dict
        Each name, with an underscore appended as long as it is taken.
    """
    chosen = {}
    for name in names:
        chosen[name] = name
        while chosen[name] in taken:
            chosen[name] += "_"
    return chosen


def as_list(given):
    """
    Make a list without duplicates from one label or several.

    Parameters
    ----------
    given : hashable, iterable or None
        A label, such as the name of a column, or several.

    Returns
    -------
    list
    """
    if given is None:
        return []
    is_one = isinstance(given, str) or not np.iterable(given)
    return list(dict.fromkeys([given] if is_one else given))


def quoted(allowed):
    """
    List the allowed values, for a message.

    Parameters
    ----------
    allowed : iterable
        The values.

    Returns
    -------
    str
    """
    return ", ".join(map(repr, allowed))


def _interaction(method, levels, sign):
    """Products of one contrast of each factor."""
    names = list(levels)
    methods = ["pairwise"] * len(names) if method == "interaction" else list(method)
    if len(methods) != len(names):
        raise ValueError(
            f"an interaction needs one set of contrasts for each of {len(names)} "
            f"factors, {', '.join(map(str, names))}; got {len(methods)}"
        )
    texts, products = [""], np.ones((1, len(levels)))
    for name, one in zip(names, methods):
        own = levels[[name]].drop_duplicates(ignore_index=True)
        labels, coefficients = contrast_set(one, own, sign=sign)
        codes = own.set_index(name).index.get_indexer(levels[name])
        spread = coefficients[:, codes]
        texts = [f"{a} : {b}" if a else b for b in labels for a in texts]
        products = (spread[:, None] * products).reshape(-1, len(levels))
    return texts, products


def _own(method, k):
    """User-defined contrasts."""
    if isinstance(method, dict):
        names, given = [str(name) for name in method], list(method.values())
    else:
        given = list(np.atleast_2d(np.asarray(method, dtype=float)))
        names = [f"c{i + 1}" for i in range(len(given))]
    lengths = {np.size(row) for row in given}
    if lengths != {k}:
        raise ValueError(
            f"a contrast needs {k} coefficients, one per mean of a group; got "
            + (", ".join(map(str, sorted(lengths))) or "none")
        )
    coefficients = np.array([np.ravel(row) for row in given], dtype=float)
    if not np.isfinite(coefficients).all():
        raise ValueError("the coefficients of a contrast must be finite")
    return names, coefficients


def _position(reference, levels):
    """Position of the reference among the means."""
    if reference is None:
        return 0
    wanted = reference if isinstance(reference, tuple) else (reference,)
    known = list(levels.itertuples(index=False, name=None))
    if wanted not in known:
        listed = ", ".join(str(k[0] if len(k) == 1 else k) for k in known[:10])
        raise ValueError(f"reference must be one of {listed}, not {reference!r}")
    return known.index(wanted)
