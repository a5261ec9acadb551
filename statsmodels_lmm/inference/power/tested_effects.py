"""The hypotheses whose tests have a power: effects by their names."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.plain_names import unquoted
from statsmodels_lmm.inference.comparison.reduced_models import without_random
from statsmodels_lmm.inference.fixed.contrasts import hypotheses
from statsmodels_lmm.inference.fixed.terms import fixed_terms, has_formula
from statsmodels_lmm.inference.power.planned_values import parameter_names


@dataclass(frozen=True)
class FixedHypothesis:
    """
    Contrasts of the fixed effects with given values, L beta = l.

    Parameters
    ----------
    name : str
        As the user wrote it.
    contrasts : ndarray
        L, shape (q, p).
    values : ndarray
        l, shape (q,).
    """

    name: str
    contrasts: np.ndarray
    values: np.ndarray

    is_random = False

    def sizes(self, params):
        """The planned distances from the hypothesis, L beta - l, shape (q,)."""
        return self.contrasts @ np.nan_to_num(params) - self.values


@dataclass(frozen=True)
class RandomHypothesis:
    """
    Random effects that may have no variance.

    Parameters
    ----------
    name : str
        As the user wrote it.
    restricted : MixedModel or None
        The model without them; None if no random effects are left.
    """

    name: str
    restricted: Any

    is_random = True


def hypothesis(results, effect):
    """
    The hypothesis that an effect is absent.

    Parameters
    ----------
    results : MixedResults
        A fit.
    effect : str
        A coefficient, a term of the fixed effects, a contrast as for `t_test`; a
        grouping factor or random-effects term; or ``var(x | g)``, one of its effects.

    Returns
    -------
    FixedHypothesis or RandomHypothesis

    Raises
    ------
    ValueError
        If there is no such effect.
    DataError
        If the data do not determine it.
    """
    if not isinstance(effect, str):
        raise TypeError(f"effect must be the name of an effect, not {effect!r}")
    effect = effect.strip()
    model = results.model
    columns = _columns(results, effect)
    if columns:
        kept = [j for j in columns if np.isfinite(results.params[j])]
        if not kept:
            raise DataError(
                f"{effect} was dropped as redundant, so it cannot be tested"
            )
        contrasts = np.eye(len(results.params))[kept]
        return FixedHypothesis(effect, contrasts, np.zeros(len(kept)))
    factors = [e.name for e in model.random]
    single = re.fullmatch(r"(?:var|sd)\((.*)\)", effect, re.DOTALL)
    if single:
        factor, (position,) = parameter_names(model).effects(single[1], 1)
        chosen = model.random[factor]
        name = chosen.effect_names[position]
        alone = len(chosen.effect_names) == 1
        restricted = without_random(results, chosen.name, None if alone else name)
        return RandomHypothesis(effect, restricted)
    if effect in factors or "|" in effect:
        return RandomHypothesis(effect, without_random(results, effect))
    return _contrast(results, effect)


def _columns(results, effect):
    """Columns of X of a coefficient or of a term."""
    names = results.model.exog_names
    effect = unquoted(effect, names)
    if effect in names:
        return [names.index(effect)]
    for term in fixed_terms(results):
        if "".join(term.name.split()) == "".join(effect.split()):
            return list(term.columns)
    return []


def _contrast(results, text):
    """A contrast in words."""
    try:
        given = hypotheses(text, results.model.exog_names)
    except ValueError:
        raise ValueError(_unknown(results, text)) from None
    rows = given.coefs
    if np.linalg.matrix_rank(rows) < len(rows):
        raise ValueError(f"the equations of {text} depend linearly on each other")
    if not results._estimability.determined(rows).all():
        raise DataError(f"the data do not determine {text}, so it cannot be tested")
    return FixedHypothesis(text, rows, given.constants[:, 0])


def _unknown(results, effect):
    """What to say of an effect that there is not."""
    model = results.model
    terms = [t.name for t in fixed_terms(results) if t.name not in model.exog_names]
    random = [e.name for e in model.random]
    if has_formula(model):
        random = list(map(str, model._parsed.random))
    sentence = f"there is no effect {effect}; there are the coefficients "
    sentence += ", ".join(map(str, model.exog_names))
    if terms:
        sentence += f", the terms {', '.join(terms)}"
    sentence += f" and the random effects {', '.join(random)}"
    return f"{sentence}; a contrast is written as in `result.t_test('a - b = 0')`"
