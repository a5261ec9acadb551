"""Groups of candidates: sets, and chromosomes with a relationship of their own."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.api.types import is_hashable, is_list_like

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import SHOWN
from statsmodels_lmm.scan.positions import chromosome_order
from statsmodels_lmm.scan.standard_models import with_relationship


def members_of(sets, names):
    """
    Positions of the candidates of each set, by its name.

    Parameters
    ----------
    sets : dict
        As for `scan_predictors`.
    names : Index
        Names of the candidates.

    Returns
    -------
    dict
    """
    if not isinstance(sets, Mapping):
        raise TypeError(
            "sets must be a dict from the name of a set to names of candidates, not "
            f"{type(sets).__name__}"
        )
    out = {}
    for name, wanted in sets.items():
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if not is_list_like(wanted) or not all(map(is_hashable, wanted)):
            raise TypeError(
                f"the set {name} must be a list of names of candidates, as in "
                f"sets={{{name!r}: ['rs1', 'rs2']}}, not {wanted!r}"
            )
        wanted = list(wanted)
        places = names.get_indexer(pd.Index(wanted).unique())
        absent = [w for w, at in zip(pd.Index(wanted).unique(), places) if at < 0]
        if absent or not wanted:
            listed = ", ".join(map(str, absent[:SHOWN]))
            raise DataError(
                f"the set {name} has names that are no candidates: {listed}"
                if wanted
                else f"the set {name} is empty"
            )
        out[name] = np.sort(places)
    return out


def groups_of(model, where, loco, labels, members):
    """
    Positions of candidates or sets, with the model that each group has.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    where : DataFrame or None
        Chromosome and position of each candidate.
    loco : dict or None
        As for `scan_predictors`.
    labels : Index
        Names of the candidates or sets.
    members : dict or None
        See `members_of`.

    Yields
    ------
    which : ndarray
        Positions.
    model : CrossedMixedLM
        With the relationship for their chromosome.
    """
    if not len(labels):
        raise DataError("there are no candidates")
    if loco is None:
        yield np.arange(len(labels)), model
        return
    if not isinstance(loco, Mapping):
        raise TypeError(
            "loco must be a dict from chromosome to relationship, not "
            f"{type(loco).__name__}"
        )
    if where is None:
        raise DataError("loco needs the chromosomes of the candidates: give positions=")
    chromosomes = where["chromosome"].to_numpy(dtype=object)
    if members is not None:
        chromosomes = _of_sets(chromosomes, members)
    distinct = chromosome_order(chromosomes)
    absent = [repr(c) for c in distinct if c not in loco]
    if absent:
        keys = ", ".join(map(repr, list(loco)[:SHOWN]))
        raise DataError(
            "loco has no relationship for chromosome "
            + ", ".join(absent[:SHOWN])
            + f"; its keys begin with {keys}" * bool(loco)
        )
    for chromosome in distinct:
        what = f"the relationship for chromosome {chromosome}"
        own = with_relationship(model, loco[chromosome], what)
        yield np.flatnonzero(chromosomes == chromosome), own


def _of_sets(chromosomes, members):
    """The chromosome of each set."""
    out = []
    for name, places in members.items():
        own = pd.unique(chromosomes[places])
        if len(own) > 1:
            raise DataError(
                f"the set {name} is on chromosomes {', '.join(map(str, own))}; with "
                "loco= a set is on one"
            )
        out.append(own[0])
    return np.array(out, dtype=object)
