"""Gradients of clusters against those of models that have their rows alone."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from generalized_twin import COEFFICIENTS, evaluation
from numpy.testing import assert_allclose

from statsmodels_lmm.core.uncertainty.cluster_scores import (
    cluster_gradients,
    robust_by_scores,
)
from statsmodels_lmm.core.uncertainty.joint_covariance import joint_covariance

CASES = [
    ("one factor, 2 effects", "logit", True),
    ("one factor, blocks 1 and 2", "negative binomial", True),
    ("chain of 3", "gamma", True),
    ("chain of 3", "probit", False),
    ("one factor", "gaussian, log", False),
]


@cache
def case(name, family, observed=True):
    """An evaluation, and the clusters by its factor with the fewest levels."""
    found = evaluation(name, family, observed=observed)
    top = min(found.model.terms, key=lambda term: term.n_levels)
    return found, top.codes, top.n_levels


def of_rows(found, rows):
    """The gradient of the model of some rows at the same point."""
    model = found.model
    alone = replace(
        model,
        engine=model.engine.take(rows),
        endog=model.endog[rows],
        weights=model.weights[rows],
        exog=model.exog[rows],
        offset=model.offset[rows],
    )
    criterion = replace(found.criterion, model=alone)
    return criterion.at(found.place, 1e-14).first.gradient


@pytest.mark.parametrize(("name", "family", "observed"), CASES)
def test_gradients(name, family, observed):
    found, codes, n_clusters = case(name, family, observed)
    expected = [of_rows(found, codes == c) for c in range(n_clusters)]
    gradients = cluster_gradients(found, codes, n_clusters)
    assert_allclose(gradients, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("separated", [None, np.array([[0.6], [0.8]])])
def test_sandwich(separated):
    """The sandwich of all parameters, from which the fixed effects are taken."""
    found, codes, n_clusters = case(*CASES[0])
    hessian = found.hessian + 40.0 * np.eye(len(found.first.gradient))  # no optimum
    joint = joint_covariance(found, hessian, separated)
    robust = robust_by_scores(found, joint, codes, n_clusters, 1.2)
    free = np.eye(len(hessian))
    if separated is not None:
        free = np.delete(free, 0, axis=1)
        free[:2, 0] = [0.8, -0.6]
    bread = free @ np.linalg.inv(free.T @ hessian @ free) @ free.T
    scores = cluster_gradients(found, codes, n_clusters)
    expected = 1.2 * bread @ scores.T @ scores @ bread
    root = joint.fixed_root
    p = len(COEFFICIENTS)
    assert_allclose(root @ robust.covariance @ root.T, expected[:p, :p])
    assert_allclose(robust.whole, expected, atol=1e-14)
    assert robust.n_clusters == n_clusters
    assert robust.through is None


def test_fixed_effects_that_are_not_determined():
    found, codes, n_clusters = case(*CASES[0])
    joint = joint_covariance(found, np.zeros_like(found.hessian))
    robust = robust_by_scores(found, joint, codes, n_clusters)
    assert np.isnan(robust.covariance).all()
    assert np.isnan(robust.whole).all()
    assert not robust.undetermined(np.ones(2))
