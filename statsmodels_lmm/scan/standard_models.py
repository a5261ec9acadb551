"""The model of a scan in standardized units, for one relationship or for several."""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.scans.eliminated import EliminatedModel
from statsmodels_lmm.core.scans.rotated import UNINFORMATIVE, RotatedModel
from statsmodels_lmm.core.scans.rotation import can_rotate
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import SHOWN
from statsmodels_lmm.random.known_levels import known_levels


@dataclass(frozen=True)
class StandardModel:
    """
    A model in standardized units, and the way back to the user's.

    Parameters
    ----------
    core : ScanModel
        The model.
    root_weights : ndarray or None
        Square roots of the weights, shape (n,); None for equal ones.
    has_constant : bool
        Whether X spans a constant.
    scale : float
        An effect in the user's units over that in standardized units.
    ratio_scale : float
        The same for the variance ratio of a `RotatedModel`.
    """

    core: Any
    root_weights: np.ndarray | None
    has_constant: bool
    scale: float
    ratio_scale: float


def standard_model(model, reml):
    """
    Fit a model without candidates and prepare it for a scan.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    reml : bool
        Whether estimates are REML's.

    Returns
    -------
    StandardModel
    """
    data, ratio_scale = model._standardized(), 1.0
    core: Any
    if can_rotate(data.terms):
        core = RotatedModel.of(data, reml)
        ratio_scale = float(data.to_effects[0][0, 0]) ** 2
    else:
        data, products = model._sufficient_statistics()
        theta = model.fit(reml=reml).theta
        left = products.left_by_fixed()
        idle = tuple(np.flatnonzero(left <= UNINFORMATIVE).tolist())
        deviance = model._deviance(theta, reml)
        core = EliminatedModel(
            exog=data.exog,
            endog=data.endog,
            reml=reml,
            terms=data.terms,
            products=products,
            deviance=deviance,
            idle=idle,
        )
    root = data.root_weights
    return StandardModel(
        core,
        None if (root == 1.0).all() else root,
        data.ones is not None,
        data.response_scale / data.root_unit,
        ratio_scale,
    )


def prepared(core):
    """
    Find the optimum without candidates, once for all threads.

    Parameters
    ----------
    core : ScanModel
        The model.
    """
    if isinstance(core, RotatedModel):
        _ = core.windows
    else:
        _ = core._base


def with_relationship(model, matrix, what):
    """
    The same model with another relationship of its only grouping factor.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    matrix : DataFrame, LabeledMatrix or tuple
        The relationship, as for `CrossedMixedLM`.
    what : str
        What it is, for messages.

    Returns
    -------
    CrossedMixedLM

    Raises
    ------
    DataError
        If the model has several factors, or levels without a row in the matrix.
    """
    related = [e for e in model.random if e.grouped.relationship is not None]
    candidates = related or list(model.random)
    if len(candidates) != 1:
        raise DataError(
            f"{what}: the model has {len(candidates)} factors to which a relationship "
            "could belong; loco= needs one"
        )
    (effects,) = candidates
    known = known_levels({effects.name: matrix}, None, [effects.name])[effects.name]
    places = known.labels.get_indexer(effects.levels)
    absent = effects.levels[places < 0]
    if len(absent):
        listed = ", ".join(map(str, absent[:SHOWN]))
        raise DataError(f"{what} has no row for {len(absent)} levels: {listed}")
    relationship = known.relationship
    if isinstance(relationship, Precision):
        relationship = relationship.dense()
    grouped = replace(effects.grouped, relationship=relationship.among(places))
    changed = replace(effects, grouped=grouped)
    other = copy(model)
    other.random = tuple(changed if e is effects else e for e in model.random)
    other._forget()
    return other
