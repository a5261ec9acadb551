"""Models of sums over rows without some of their terms, by algebra on the sums."""

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.pieces import term_key
from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.reduced_design import reduced_design
from statsmodels_lmm.inference.fixed.terms import has_formula


def without_columns(model, left, dropped):
    """
    The model without one term of the fixed effects.

    Parameters
    ----------
    model : CrossedMixedLM
        A model of sums over rows.
    left : sequence of FixedTerm
        The terms that remain.
    dropped : str
        The term that is dropped, for messages.

    Returns
    -------
    CrossedMixedLM
    """
    columns = sorted(column for t in left for column in t.columns)
    effects = _whole(model, range(len(model.random)))
    if not has_formula(model):
        return model.reduced_to(columns, effects)
    spec = reduced_design(model.data.model_spec, columns, dropped)
    constant = any(t.is_constant for t in left)
    names = ["1" if constant else "0", *(t.text for t in left if not t.is_constant)]
    text, parsed = _formula(model, " + ".join(names), model._parsed.random)
    specs = spec, model.data.column_specs
    return model.reduced_to(columns, effects, text, parsed, specs)


def without_factors(model, names):
    """
    A model without a formula with some of its grouping factors.

    Parameters
    ----------
    model : CrossedMixedLM
        A model of sums over rows.
    names : list of str
        Names of the factors that remain.

    Returns
    -------
    CrossedMixedLM
    """
    left = [i for i, effects in enumerate(model.random) if effects.name in names]
    return model.reduced_to(range(len(model.exog_names)), _whole(model, left))


def with_random_terms(model, terms):
    """
    The model with some of its random-effects terms, or some of their effects.

    Parameters
    ----------
    model : CrossedMixedLM
        A model of sums over rows, from a formula.
    terms : sequence of RandomTerm
        The terms that remain.

    Returns
    -------
    CrossedMixedLM
    """
    specs, effects, unused = dict(model.data.column_specs), [], list(terms)
    for i, factor in enumerate(model.random):
        columns, kept = [], []
        for term, place in factor.term_slices:
            found = next((t for t in unused if _is_part(t, term)), None)
            if found is None:
                continue
            unused.remove(found)
            inside = range(place.stop - place.start)
            if found.effect_terms != term.effect_terms:
                inside, spec = _remaining(model, term, found)
                specs[found.effects] = spec
            columns += [place.start + j for j in inside]
            kept.append((found, len(inside)))
        if kept:
            effects.append((i, columns, kept))
    if unused:
        raise DataError(
            f"{unused[0]} is not part of the model; fit the other model to the source"
        )
    every = [t for _, _, kept in effects for t, _ in kept]
    text, parsed = _formula(model, model._parsed.fixed, every)
    of_formula = text, parsed, (model.data.model_spec, specs)
    return model.reduced_to(range(len(model.exog_names)), effects, *of_formula)


def _whole(model, places):
    """Factors with all their effects, as arguments of `reduced_to`."""
    random = model.random
    return [(i, range(len(random[i].effect_names)), random[i].terms) for i in places]


def _formula(model, fixed, random):
    """The text of a formula and the formula as parsed."""
    pieces = [fixed, *(f"offset({o})" for o in model._parsed.offsets)]
    right = " + ".join([*pieces, *map(str, random)])
    text = in_backticks(f"{model._parsed.response} ~ {right}")
    return text, parse(text, model.structures)


def _is_part(term, whole):
    """Whether a term has some of the effects of another, by the same factor."""
    same = set(term.grouping) == set(whole.grouping)
    return (
        same
        and term.structure == whole.structure
        and term.effect_terms <= whole.effect_terms
    )


def _remaining(model, term, reduced):
    """Positions of the effect columns that remain, and their design."""
    spec, columns = model.data.column_specs[term.effects], list[int]()
    left = {_key(name) for name in reduced.effect_terms}
    for name, place in spec.term_name_slices.items():
        if _key(name) in left:
            columns += range(place.start, place.stop)
    design = reduced_design(spec, columns, f"an effect of {term}")
    return columns, design


def _key(name):
    """Key of the name of a term, the same for equivalent names."""
    return term_key("1" if name == "Intercept" else name)
