"""From sums of all rows to the arguments of a model, with warnings of odd rows."""

from statsmodels_lmm.batches.learning import check_some_rows
from statsmodels_lmm.batches.levels import value_order
from statsmodels_lmm.batches.recipe import formulas_of
from statsmodels_lmm.exceptions import DataWarning, warn
from statsmodels_lmm.formula.columns import warn_of_float_keys
from statsmodels_lmm.formula.dialects import response_of
from statsmodels_lmm.formula.evaluation import MOST_COMPARED, warn_of_near_levels
from statsmodels_lmm.formula.frame import warn_of_rows_without_group
from statsmodels_lmm.formula.plain_names import plain_names
from statsmodels_lmm.inputs.row_values import rows_text


def finished(sums):
    """
    Sums with levels sorted, with warnings of what is odd in the rows.

    Parameters
    ----------
    sums : Sums
        Sums of all rows.

    Returns
    -------
    summed : SummedRows
        The sums, as the core of the package takes them.
    random : tuple
        The random effects without rows.
    """
    check_some_rows(sums.counts, sums.recipe.wanted)
    if sums.counts.weightless:
        rows = rows_text(sums.counts.weightless)
        warn(f"{rows} of weight 0 dropped", DataWarning)
    warn_of_rows_without_group(sums.counts.missing, sums.recipe.wanted.roles)
    warned: set = set()
    for name, values in sums.values.items():
        if len(values) and values.index.dtype.kind == "f":
            warn_of_float_keys(sums.counts.complete, len(values), name)
        if len(values) <= MOST_COMPARED:
            ordered, _ = value_order(values.index, values.categories)
            warn_of_near_levels(name, ordered, warned)
    return sums.finish()


def model_arguments(sums):
    """
    The arguments of `models.from_sums.model_from_sums`.

    Parameters
    ----------
    sums : Sums
        Sums of all rows.

    Returns
    -------
    dict
    """
    summed, random = finished(sums)
    recipe = sums.recipe
    parsed, infos = recipe.parsed, recipe.designs.infos
    seen = {name: values.index for name, values in sums.seen.items()}
    return {
        "summed": summed,
        "endog_name": plain_names([response_of(parsed.fixed_formula)])[0],
        "exog_names": recipe.exog_names,
        "random": random,
        "formula": recipe.text,
        "parsed": parsed,
        "frame": recipe.empty_frame(seen),
        "spec": infos[parsed.fixed],
        "column_specs": {t: infos[t] for t in formulas_of(parsed)[2:]},
        "groupings": recipe.groupings,
        "scope": recipe.wanted.scope,
        "n_dropped": sums.counts.dropped,
        "missing_counts": sums.counts.missing,
        "structures": recipe.structures,
        "weights_name": recipe.wanted.sides["weights"],
        "offset_name": recipe.wanted.sides["offset"],
        "subset": recipe.wanted.subset,
    }
