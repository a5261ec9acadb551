"""emmeans' formulas of the means that are wanted, such as "pairwise ~ f | g"."""

import re

NAME = re.compile(r"`([^`]+)`|([^\s+*:`]+)")
"""A column, in backticks if its name has blanks or operators."""


def parse_specs(text):
    """
    Parse a formula of marginal means.

    Parameters
    ----------
    text : str
        "contrasts ~ factors | groups", of which "contrasts" and "| groups" may be
        missing. Names are separated by ``+``, ``*`` or ``:``, which mean the same; 1
        stands for no name.

    Returns
    -------
    contrasts : str or None
        Name of a set of contrasts.
    names, by : list of str
        Factors and groups.

    Raises
    ------
    ValueError
        If there is more than one tilde or bar, or no factor or 1.
    """
    left, *right = text.split("~")
    parts = right[0].split("|") if len(right) == 1 else []
    if len(parts) not in (1, 2) or not all(part.strip() for part in parts):
        raise ValueError(
            f"specs {text!r} cannot be read; write such as '~ f', '~ f * k | g' or "
            "'pairwise ~ f | g'"
        )
    names, by = (*map(_names, parts), [])[:2]
    return left.strip() or None, names, by


def _names(part):
    """Names without the operators between them."""
    found = [quoted or bare for quoted, bare in NAME.findall(part)]
    return [name for name in found if name != "1"]
