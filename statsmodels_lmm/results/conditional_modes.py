"""Conditional modes of the random effects, as tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.results.by_factor import ByFactor
from statsmodels_lmm.results.level_dict import LevelDict


def modes_by_factor(random, modes):
    """
    Conditional modes of each grouping factor.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    modes : sequence of ndarray
        Conditional modes of each factor, shape (l, k).

    Returns
    -------
    ByFactor
        A DataFrame of levels by effects, shape (l, k), for each factor.
    """
    tables = {
        effects.name: pd.DataFrame(
            values.copy(), effects.levels, list(effects.effect_names)
        )
        for effects, values in zip(random, modes)
    }
    return ByFactor(tables, "random_effects")


def coefficients_by_level(random, modes, fixed, constant):
    """
    Coefficients of each level: the fixed effects plus its conditional modes.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    modes : sequence of ndarray
        Conditional modes of each factor, shape (l, k).
    fixed : Series
        Fixed effects by name.
    constant : str or None
        Name of the constant among them, to which a random intercept belongs.

    Returns
    -------
    dict
        For each factor a DataFrame of levels by fixed effects, followed by the random
        effects that are not among them.
    """
    tables = {}
    for effects, values in zip(random, modes):
        table = pd.DataFrame(dict(fixed), effects.levels)
        for name, column in zip(effects.effect_names, values.T):
            if name == "Intercept" and name not in fixed and constant is not None:
                name = constant
            table[name] = table.get(name, 0.0) + column
        tables[effects.name] = table
    return tables


def covariances_by_factor(random, covariances):
    """
    Conditional covariances of each level of each grouping factor.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    covariances : iterable of ndarray
        Conditional covariances of each factor's modes, shape (l, k, k).

    Returns
    -------
    ByFactor
        For each factor, a dict of level to DataFrame, each made on access.
    """
    tables = {
        effects.name: _frames(effects, values)
        for effects, values in zip(random, covariances)
    }
    return ByFactor(tables, "random_effects_cov")


def _frames(effects, covariances):
    """The covariance matrix of the effects of each level, as a DataFrame."""
    names = pd.Index(effects.effect_names)
    return LevelDict(
        effects.levels,
        lambda _, i: pd.DataFrame(covariances[i].copy(), names, names),
    )


def modes_table(random, modes, covariances):
    """
    Conditional modes with their standard deviations, one row each.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    modes : sequence of ndarray
        Conditional modes of each factor, shape (l, k).
    covariances : iterable of ndarray
        Conditional covariances of each factor's modes, shape (l, k, k).

    Returns
    -------
    DataFrame
        Columns group, effect, level, mode and sd.
    """
    parts = [
        pd.DataFrame(
            {
                "group": effects.name,
                "effect": name,
                "level": effects.levels.astype(object),
                "mode": values[:, j],
                "sd": np.sqrt(np.maximum(each[:, j, j], 0.0)),
            }
        )
        for effects, values, each in zip(random, modes, covariances)
        for j, name in enumerate(effects.effect_names)
    ]
    if not parts:
        return pd.DataFrame(columns=["group", "effect", "level", "mode", "sd"])
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class _SomeLevels:
    """What `modes_table` reads of RandomEffects, for some of the levels."""

    name: str
    effect_names: Any
    levels: Any


def exact_modes_table(results, levels):
    """
    The table of selected levels, with standard deviations from a system for each.

    Parameters
    ----------
    results : MixedResults
        A fit.
    levels : dict
        Levels, or one level, by name of the grouping factor.

    Returns
    -------
    DataFrame
    """
    if not isinstance(levels, Mapping):
        raise TypeError(
            "exact= names levels by their grouping factor, such as "
            f"{{'worker': [17, 23]}}, and is {type(levels).__name__} here"
        )
    names = [effects.name for effects in results.model.random]
    unknown = [name for name in levels if name not in names]
    if unknown:
        raise DataError(
            f"exact= names {unknown[0]!r}, which is no grouping factor of the model; "
            f"there are {', '.join(names)}"
        )
    shown, modes, covariances = [], [], []
    for i, effects in enumerate(results.model.random):
        if effects.name not in levels:
            continue
        asked = levels[effects.name]
        asked = list(asked) if pd.api.types.is_list_like(asked) else [asked]
        places = effects.levels.get_indexer(asked)
        if (places < 0).any():
            missing = asked[int(np.argmax(places < 0))]
            raise DataError(f"{missing!r} is no level of {effects.name}")
        shown.append(
            _SomeLevels(effects.name, effects.effect_names, effects.levels[places])
        )
        modes.append(results._modes[i][places])
        solved = results._units.solved_covariances(results.at_optimum, i, places)
        covariances.append(results._unit * solved)
    return modes_table(shown, modes, covariances)
