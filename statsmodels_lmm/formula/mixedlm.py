"""The random effects of statsmodels' MixedLM in lme4's words."""

import re

from statsmodels_lmm.exceptions import FormulaError

NAME = r"(?:\w+|Q\(['\"][^'\"]*['\"]\))"
BY_LEVEL = re.compile(rf"^0\s*\+\s*C\(\s*({NAME})\s*\)(?:\s*:\s*(.+))?$")
SLOPE = re.compile(r"^0\s*\+\s*([^+]+)$")


def random_terms(groups, re_formula=None, vc_formula=None):
    """
    Terms with a bar that mean what MixedLM's arguments mean.

    ``re_formula="~x"`` is ``(x | g)``; without `re_formula` and `vc_formula` there
    is a random intercept. Of `vc_formula`, ``"0 + C(s)"`` is ``(1 | g:s)``,
    ``"0 + x"`` is ``(0 + x | g)`` and ``"0 + C(s):x"`` is ``(0 + x | g:s)``.

    Parameters
    ----------
    groups : str
        Column of the outermost grouping factor.
    re_formula : str, optional
        Effects that are correlated within a group.
    vc_formula : dict, optional
        Variance components, name to formula.

    Returns
    -------
    list of str

    Raises
    ------
    FormulaError
        If a variance component is not one of the forms above.
    """
    if not isinstance(groups, str):
        raise FormulaError(
            "groups must be the name of a column; write a term such as (1 | g) for "
            "each of several grouping factors"
        )
    group = groups if groups.isidentifier() else f"Q({groups!r})"
    terms = []
    if re_formula is not None:
        terms.append(f"({re_formula.strip().removeprefix('~').strip()} | {group})")
    elif not vc_formula:
        terms.append(f"(1 | {group})")
    for name, text in (vc_formula or {}).items():
        text = text.strip().removeprefix("~").strip()
        by_level, slope = BY_LEVEL.match(text), SLOPE.match(text)
        if by_level:
            effects = f"0 + {by_level[2]}" if by_level[2] else "1"
            terms.append(f"({effects} | {group}:{by_level[1]})")
        elif slope and "C(" not in text:
            terms.append(f"(0 + {slope[1]} | {group})")
        else:
            raise FormulaError(
                f"variance component '{name}' = '{text}' has no counterpart; known are "
                "'0 + C(s)', '0 + x' and '0 + C(s):x'"
            )
    return terms
